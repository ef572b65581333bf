"""`examples/fleet.py`, run as a person runs it: each form has arrived, from displays of two nodes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("ray", reason="Ray is not installed: pip install 'xshm[fleet]'")

_EXAMPLE = Path(__file__).parents[1] / "examples" / "fleet.py"


def test_each_form_has_arrived_and_all_displays_are_on_the_picture(tmp_path: Path) -> None:
    # Takes 12 seconds: two nodes of Ray, and two Chromiums.
    done = subprocess.run(
        [sys.executable, _EXAMPLE, "--items", "6", "--displays", "2", tmp_path / "fleet.png"],
        env={name: value for name, value in os.environ.items() if name not in ("DISPLAY", "XAUTHORITY", "RAY_ADDRESS")}
        | {"RAY_USAGE_STATS_ENABLED": "0"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    *_, first, second, summary, file = done.stdout.splitlines()
    assert file == str(tmp_path / "fleet.png")
    assert re.fullmatch(r"6 forms in [\d.]+ s, \d+ ms each; the slowest [\d.]+ s", summary)
    places = [re.fullmatch(r"node (\w{6}), display :\d+: (\d) forms", line) for line in (first, second)]
    assert all(places)
    assert len({place[1] for place in places if place}) == 2
    assert sum(int(place[2]) for place in places if place) == 6
    picture = np.asarray(Image.open(tmp_path / "fleet.png").convert("RGB"))
    assert picture.shape[1] == 1280
    # Both pages' ground, and text on it.
    for half in (picture[:, 100:540], picture[:, 740:1180]):
        assert (half == (238, 244, 250)).all(axis=2).mean() > 0.3
        assert (half.max(axis=2) < 60).any()
