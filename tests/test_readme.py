"""What the README shows works as it stands there, pasted into a fresh folder."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import ffprobe
import numpy as np
import pytest
from PIL import Image
from programs import Programs

import xshm
from xshm.cli import main

if TYPE_CHECKING:
    from servers import Server

_ROOT = Path(__file__).parent.parent
_README = (_ROOT / "README.md").read_text()
_BLOCKS = re.findall(r"```python\n(.*?)```", _README, re.DOTALL)
_SHELL = "\n".join(re.findall(r"```sh\n(.*?)```", _README, re.DOTALL)).replace("\\\n", " ").splitlines()
_COMMANDS = [line for line in (*_SHELL, *re.findall(r"`(xshm \w+ [^`]+)`", _README)) if line.startswith("xshm ")]


_NEEDS_RAY = pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed: pip install 'xshm[fleet]'")


def _paste(block: str, folder: Path, environment: dict[str, str]) -> str:
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", block],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env=environment,
        timeout=60,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_there_is_a_first_look_and_eleven_recipes() -> None:
    assert len(_BLOCKS) == 12


@pytest.mark.parametrize(
    "block",
    [pytest.param(each, marks=_NEEDS_RAY) if "fleet" in each else each for each in _BLOCKS],
    ids=lambda block: block.strip().splitlines()[-1].strip()[:40],
)
def test_each_piece_of_python_can_be_pasted(block: str, xvfb: Server, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "XAUTHORITY")}
    environment |= {"RAY_ADDRESS": "local"} if "fleet" in block else {}  # not the cluster of another test
    if "Screen()" in block:
        with Programs(xvfb) as programs:
            programs.show("Terminal", "xterm", "-T", "Terminal")
            said = _paste(block, tmp_path, environment | xvfb.env())
        assert ("'Terminal'" in said) == ("windows()" in block)
    else:
        _paste(block, tmp_path, environment)
    names = re.findall(r"\b(?:save|record|trace)\(\"(.*?)\"[,)]", block)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
    for name in names:
        if name.endswith(".mp4"):
            assert len(ffprobe.probe(tmp_path / name).times) > 1
            continue
        if name.endswith(".html"):
            with xshm.Trace.open(tmp_path / name) as trace:
                assert len(list(trace.changes())) > 1
            continue
        pixels = np.asarray(Image.open(tmp_path / name).convert("RGB"))
        assert (pixels != pixels[0, 0]).any(), f"{name} is of one colour"


def test_the_first_piece_makes_its_own_display() -> None:
    assert "VirtualDisplay" in _BLOCKS[0]
    assert "save(" in _BLOCKS[0]


@pytest.mark.parametrize("line", _COMMANDS)
def test_each_command_is_one_that_the_command_line_takes(line: str) -> None:
    assert callable(main._parser().parse_args(shlex.split(line, comments=True)[1:]).run)


def test_every_file_that_it_names_is_there() -> None:
    for name in re.findall(r"\]\(([\w/.]+)\)", _README):
        assert (_ROOT / name).exists(), name
    for name in re.findall(r"(?:python|sh) (tests/bench/\w+\.py|examples/[\w/]+\.(?:py|sh)|tests/\w+\.sh)", _README):
        assert (_ROOT / name).exists(), name
