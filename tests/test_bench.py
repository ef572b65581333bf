"""`python tests/bench`, quick, on one of its parts: what it writes has the shape that tables and plots are made of."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

_BENCH = Path(__file__).parent / "bench"


def test_one_command_writes_tables_figures_and_plots(tmp_path: Path) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "fastgrab.py").write_text("raise ImportError('fastgrab is not here')\n")
    paths = [str(hidden), *filter(None, [os.environ.get("PYTHONPATH")])]
    into, told = tmp_path / "into", tmp_path / "told.json"
    command = [sys.executable, str(_BENCH), "grab", "--quick", "--rounds", "3", "--seconds", "0.004"]
    done = subprocess.run(
        [*command, "--into", str(into), "--json", str(told)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    part = json.loads(told.read_text())["grab"]
    assert json.loads((into / "figures.json").read_text()) == {"grab": part}
    for table in part["tables"].values():
        assert table["floor"] == "C, xcb"
        assert "fastgrab is not here" in table["absent"]["fastgrab"]
        assert {"C, xcb", "C, xcb, again", "memcpy", "xshm", "Pillow ImageGrab"} <= table["results"].keys()
        for name, found in table["results"].items():
            assert 0 < found["median_ns"] <= found["p99_ns"], name
            assert len(found["rounds_ns"]) in range(1, 4), name
            assert found["cpu_ns"] >= 0, name
        floor, ours = table["results"]["C, xcb"], table["results"]["xshm"]
        assert floor["ratio"] == 1
        ratios = sorted(a / b for a, b in zip(ours["rounds_ns"], floor["rounds_ns"], strict=True))
        assert ours["ratio"] == ratios[1], "the median of the ratios within each round"
        assert ours["server_cpu_ns"] > 0
    readme = (into / "README.md").read_text()
    for name in ("| **xshm** |", "Absent: fastgrab (", "plots/speed.svg", "plots/grab_growth.svg"):
        assert name in readme, name
    for plot in ("speed", "grab_growth"):
        root = ET.parse(into / "plots" / f"{plot}.svg").getroot()  # noqa: S314 - our own file
        assert root.tag.endswith("svg")
        assert len(list(root.iter())) > 50


def test_a_part_that_there_is_not_is_refused_with_those_that_there_are() -> None:
    done = subprocess.run([sys.executable, str(_BENCH), "grap"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "no such part: grap" in done.stderr
    assert "grab, rgb, png, files" in done.stderr
