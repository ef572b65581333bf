"""The README's tables for those who come from other programs: both sides of each row run, and do the same."""

from __future__ import annotations

import contextlib
import io
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mss
import mss.tools
import numpy as np
import pytest
from painter import Painter
from PIL import Image
from pyvirtualdisplay.display import Display
from pyvirtualdisplay.smartdisplay import SmartDisplay

import xshm

if TYPE_CHECKING:
    from collections.abc import Iterator

    from servers import Server

_README = (Path(__file__).parent.parent / "README.md").read_text()
_SECTION = _README.partition("## Coming from\n")[2].partition("\n## ")[0]


def _rows(first: str) -> list[tuple[str, ...]]:
    """Return the rows of the table whose first heading this is, each cell without its backticks."""
    lines = _SECTION.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(f"| {first} |"))
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append(tuple(cell.strip().strip("`") for cell in line.strip("|").split("|")))
    return rows


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def _painted(xvfb: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with Painter(xvfb) as painter:
        painter.rectangles()
        painter.window((200, 100, 90, 80), (0, 0, 255), title="Clock")
        for name, value in xvfb.env().items():
            monkeypatch.setenv(name, value)
        yield


def _same(value: Any) -> Any:
    """Return what two libraries' values have in common: a picture's red, green and blue, a file's too."""
    if Path("a.png").exists():
        with Image.open("a.png") as image:
            value = (image.mode, image.convert("RGB").tobytes())
        Path("a.png").unlink()
    elif isinstance(value, xshm.Frame):
        value = value.rgb().tobytes()
    elif hasattr(value, "rgb"):
        value = value.rgb
    elif isinstance(value, np.ndarray):
        value = value[..., :3].tobytes()
    return value


@pytest.mark.usefixtures("_painted")
def test_mss(screen: xshm.Screen) -> None:
    with mss.MSS() as sct:
        names: dict[str, Any] = {"mss": mss, "xshm": xshm, "np": np, "sct": sct, "screen": screen}
        names |= {"shot": sct.grab((10, 20, 310, 220)), "frame": screen.grab((10, 20, 300, 200))}
        for row in _rows("mss"):
            theirs, ours = (_same(eval(each, names)) for each in row)  # noqa: S307 - the README's
            assert theirs == ours, row
            assert theirs is not None, row
    assert len(_rows("mss")) == 9


def test_pyvirtualdisplay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":before")
    answers: list[list[Any]] = []
    for column in range(2):
        with contextlib.ExitStack() as closing:
            if column == 0:
                display: Any = closing.enter_context(SmartDisplay(size=(300, 200), extra_args=["-noreset"]))
            else:
                display = closing.enter_context(xshm.VirtualDisplay(300, 200))
            names = {"xshm": xshm, "subprocess": subprocess, "display": display, "Display": Display}
            answers.append([])
            for row in _rows("PyVirtualDisplay"):
                value = eval(row[column], names)  # noqa: S307 - the README's
                if isinstance(value, xshm.VirtualDisplay):
                    closing.enter_context(value)
                    value = (value.spec.width, value.spec.height, value.spec.depth, value.spec.dpi)  # type: ignore[union-attr]
                elif isinstance(value, Display):
                    with value if value is not display else contextlib.nullcontext():
                        said = subprocess.run(["xdpyinfo"], capture_output=True, text=True, check=False).stdout
                    found = re.search(r"dimensions: +(\d+)x(\d+)(?s:.*)n: +(\d+)x(?s:.*)root window: +(\d+)", said)
                    value = found and (*map(int, found.group(1, 2, 4, 3)),)
                elif isinstance(value, subprocess.Popen):
                    closing.callback(value.wait)
                    closing.callback(value.terminate)
                    value = "a program"
                elif isinstance(value, Image.Image):
                    value = value.size
                answers[-1].append(value)
    theirs, ours = answers
    assert all(re.fullmatch(r":\d+", each.pop(1)) for each in answers)
    assert theirs == ours == [(800, 600, 16, 120), "a program", True, (300, 200), None]


def _run(command: str, folder: Path) -> bytes:
    """Run a command as a shell does, ours by this Python, in a folder of its own; return its output."""
    program, _, rest = command.partition(" ")
    if program == "xshm":
        command = f"{sys.executable} -m xshm {rest}"
    elif shutil.which(program) is None:
        pytest.skip(f"{program} is not installed; sh tests/run.sh does that")
    folder.mkdir()
    run = subprocess.run(["bash", "-c", command], capture_output=True, check=False, timeout=30, cwd=folder)
    assert run.returncode == 0, f"{command}: {run.stderr!r}"
    return run.stdout


def _run_all(rows: list[tuple[str, ...]], folder: Path) -> list[list[tuple[Path, bytes]]]:
    """Run the commands of all rows, two at a time: most of each is waiting. Return each one's folder and output."""
    with ThreadPoolExecutor(2) as pool:
        started = [
            [(folder / f"{number}-{column}", command) for column, command in enumerate(row) if command]
            for number, row in enumerate(rows)
        ]
        running = [[(place, pool.submit(_run, command, place)) for place, command in row] for row in started]
        return [[(place, each.result()) for place, each in row] for row in running]


def test_xvfb_run(tmp_path: Path) -> None:
    rows = _rows("xvfb-run")
    for (theirs, _), results in zip(rows, _run_all(rows, tmp_path), strict=True):
        for place, output in results:
            said = output.decode("latin-1")
            assert ("screen #0" in said) == ("xdpyinfo" in theirs)
            if "-s" in theirs:
                assert "800x600 pixels" in said
                assert "120x120 dots" in said
                assert "depth of root window:    16" in said
            if "a.png" in theirs:
                with Image.open(place / "a.png") as image:
                    assert image.convert("RGB").getcolors(1) is None, "a picture of one colour"
            assert (place / "errors.log").exists() == ("errors.log" in theirs)
    assert len(rows) == 4


@pytest.mark.usefixtures("_painted")
def test_maim_and_scrot(tmp_path: Path) -> None:
    rows = _rows("maim")
    for row, results in zip(rows, _run_all(rows, tmp_path), strict=True):
        pictures = []
        for place, output in results:
            with Image.open(io.BytesIO(output or (place / "a.png").read_bytes())) as image:
                pictures.append((image.size, image.convert("RGB").tobytes()))
        assert len(pictures) > 1
        assert all(each == pictures[0] for each in pictures), row
    assert len(rows) == 6
