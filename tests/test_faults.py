"""Each kind of fault in `faults`, provoked a few times; `python tests/faults` does it by the thousand."""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from another_user import UID, needs_root
from faults.report import Report
from processes import below, ended

KINDS = sorted(
    path.stem
    for path in (Path(__file__).parent / "faults").glob("*.py")
    if path.stem not in {"__init__", "__main__", "report"}
)


@pytest.mark.parametrize("kind", KINDS)
def test_provoked(kind: str) -> None:
    report = Report()
    importlib.import_module(f"faults.{kind}").provoke(report, 1)
    assert report.failures == []
    assert sum(row.tried for row in report.rows) > 0


@needs_root
def test_another_user_ends_with_a_run_of_his_attacks_that_is_killed() -> None:
    command = [sys.executable, str(Path(__file__).parent / "faults"), "strangers", "--effort", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as run:
        while not (his := [pid for pid in below(run.pid) if searches_for_ever(pid)]):
            if run.poll() is not None:
                assert run.stdout is not None
                pytest.skip(f"no namespaces are to be had here: {run.stdout.read()}")
            time.sleep(0.001)
        time.sleep(0.1)  # until he is in his loop; he is there for longer than that
        os.kill(below(run.pid)[1], signal.SIGKILL)  # as subprocess.run does to what it runs, at a time limit
    assert all(map(ended, his))


def searches_for_ever(pid: int) -> bool:
    """Tell whether a process is another user's, with a program that only ends when it is ended."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        process = Path(f"/proc/{pid}")
        return process.stat().st_uid == UID and b"planted" in (process / "cmdline").read_bytes()
    return False
