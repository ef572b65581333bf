"""Recordings whose process is ended at once: the files play to within a second of that, and end in whole pictures."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import videos
from counted import counted, numbers

if TYPE_CHECKING:
    from pathlib import Path

    from counter_screen import CounterScreen
    from servers import Server

_SIGNALS = (signal.SIGKILL, signal.SIGTERM)  # which Python, too, leaves at its default
_SUFFIXES = ("mp4", "mkv", "webm")
# It tells when each recording had begun at the latest.
_PROGRAM = """
import sys, time, xshm
screen = xshm.Screen(sys.argv[1])
recorders = [screen.record(path, region=(0, 0, 256, 32)) for path in sys.argv[2:]]
for recorder in recorders:
    recorder.start()
    print(time.monotonic(), flush=True)
time.sleep(60)
"""
# Seconds from the last change to the kill: a quarter of one after mkv and webm were kept alive for the third time, and
# a quarter before they could have lost a second. So much a busy machine may be late with either.
_STILL = 1.63


def test_a_file_plays_to_within_a_second_of_the_kill(xvfb: Server, counter: CounterScreen, tmp_path: Path) -> None:
    # Takes 3 seconds: in the end the screen is still, so that only what keeps a recording alive comes to the files.
    with contextlib.ExitStack() as stack:
        runs = {number: stack.enter_context(_recording(xvfb, tmp_path, number)) for number in _SIGNALS}
        begun = [float(run.stdout.readline()) for run in runs.values() if run.stdout for _ in _SUFFIXES]
        counter.count()
        time.sleep(_STILL)
        for number, run in runs.items():
            run.send_signal(number)
        killed = time.monotonic()
    assert [run.returncode for run in runs.values()] == [-number for number in _SIGNALS]
    paths = [path for number in _SIGNALS for path in _paths(tmp_path, number)]
    assert sorted(tmp_path.iterdir()) == sorted(paths)
    for path, since in zip(paths, begun, strict=True):
        found = counted(path)
        assert numbers(found) == [0, 1]
        # Only an mp4 says how long its last picture is shown.
        plays = float(videos.probe(path)["format"]["duration"]) if path.suffix == ".mp4" else found[-1][0] - found[0][0]
        assert killed - since - plays < 1, path


def _recording(server: Server, directory: Path, number: signal.Signals) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", _PROGRAM, server.name, *map(str, _paths(directory, number))]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


def _paths(directory: Path, number: signal.Signals) -> list[Path]:
    return [directory / f"{number.name}.{suffix}" for suffix in _SUFFIXES]
