"""What the README shows works as it stands there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from programs import Programs

import xshm

if TYPE_CHECKING:
    from servers import Server

_README = (Path(__file__).parent.parent / "README.md").read_text()
_BLOCKS = re.findall(r"```python\n(.*?)```", _README, re.DOTALL)


class Turns:
    """True for so many times."""

    def __init__(self, count: int) -> None:
        self._left = count

    def __bool__(self) -> bool:
        self._left -= 1
        return self._left >= 0


def test_there_is_a_first_look_and_five_recipes() -> None:
    assert len(_BLOCKS) == 6


@pytest.mark.parametrize("block", _BLOCKS, ids=lambda block: block.strip().splitlines()[-1].strip()[:40])
def test_each_piece_of_python_runs(block: str, xvfb: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with Programs(xvfb) as programs, xshm.Screen(xvfb.name) as screen:
        programs.show("Terminal", "xterm", "-T", "Terminal")
        names: dict[str, Any] = {"xshm": xshm, "np": np, "screen": screen, "recording": Turns(3)}
        exec(block.replace('":0"', repr(xvfb.name)).replace("(1080, 1920, 3)", "(800, 1280, 3)"), names)  # noqa: S102
    for name in re.findall(r'save\("(.*?)"\)', block):
        assert (tmp_path / name).stat().st_size > 100
    if "rgb = frame" in block:
        assert names["rgb"].shape == (480, 640, 3)
    if "coverage" in block:
        assert len(names["coverage"]) == 65536


def test_every_file_that_it_names_is_there() -> None:
    root = Path(__file__).parent.parent
    for name in re.findall(r"\]\(([\w/.]+)\)", _README):
        assert (root / name).exists(), name
    for name in re.findall(r"python (tests/bench/\w+\.py|examples/\w+\.py)", _README):
        assert (root / name).exists(), name
