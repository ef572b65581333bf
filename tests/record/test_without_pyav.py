"""Recordings in a Python that has no PyAV: the formats of our own are made, the others say what to install."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from counted import counted, numbers

if TYPE_CHECKING:
    from pathlib import Path

    from counter_screen import CounterScreen
    from servers import Server

# `None` in sys.modules is what makes an import fail as that of a package that is not there.
_PROGRAM = """
import sys, time
sys.modules["av"] = None
import xshm
with xshm.Screen(sys.argv[1]) as screen:
    with screen.record(sys.argv[2], region=(0, 0, 300, 100), fps=20, max_edge=int(sys.argv[3])) as recorder:
        time.sleep(0.2)
    print(recorder.frames)
"""


def _run(server: Server, path: Path, max_edge: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", _PROGRAM, server.name, str(path), str(max_edge)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)


@pytest.mark.parametrize("suffix", ["y4m", "apng", "gif", "webp", "bgr0"])
def test_formats_of_our_own_need_nothing(xvfb: Server, counter: CounterScreen, tmp_path: Path, suffix: str) -> None:
    counter.show(777)
    path = tmp_path / f"video.{suffix}"
    done = _run(xvfb, path, 300)
    assert done.returncode == 0, done.stderr
    if suffix == "bgr0":
        assert path.stat().st_size == int(done.stdout) * 300 * 100 * 4
    elif suffix != "webp":  # which ffmpeg does not read
        assert numbers(counted(path)) == [777]
    else:
        assert path.read_bytes()[8:12] == b"WEBP"
    assert _run(xvfb, tmp_path / f"small.{suffix}", 150).returncode == 0  # scaled down, too


def test_others_say_what_to_install_and_make_no_file(xvfb: Server, tmp_path: Path) -> None:
    done = _run(xvfb, tmp_path / "video.mp4", 300)
    assert done.returncode == 1
    assert "MissingExtra: a video of this kind needs PyAV: pip install 'xshm[video]'" in done.stderr
    assert "; .apng, .gif, .webp and y4m need nothing" in done.stderr
    assert not list(tmp_path.iterdir())
