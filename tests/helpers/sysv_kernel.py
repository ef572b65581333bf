"""Helpers for the tests of System V memory: segments that are removed after the test, and Python in another process."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from xshm import sysv

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOBODY = 65534
MODE = sysv.IPC_CREAT | 0o600


@contextlib.contextmanager
def segment_maker() -> Iterator[Callable[..., sysv.ShmId]]:
    """Give a shmget whose segments are removed at the end."""
    made: list[sysv.ShmId] = []

    def make(size: int = 4096, flags: int = MODE, key: int = sysv.IPC_PRIVATE) -> sysv.ShmId:
        made.append(sysv.shmget(key, size, flags))
        return made[-1]

    try:
        yield make
    finally:
        still_there = {info.shmid for info in sysv.segments()}
        for shmid in still_there.intersection(made):
            sysv.remove(shmid)


def free_key() -> int:
    """Return a key that no segment has."""
    taken = {info.key for info in sysv.segments()}
    return next(key for key in range(0x58_53_48_4D, 0x7FFF_FFFF) if key not in taken)


def run_python(code: str, *arguments: object) -> str:
    """Run the code and return what it printed; a crash, a non-zero exit or anything on stderr fails the test."""
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert (done.returncode, done.stderr) == (0, ""), f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def run_python_as_nobody(code: str, *arguments: object) -> str:
    """Run the code as another user, with `sysv` imported and `shmid` set to the first argument."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    # Imports come first: the other user may not be able to read this interpreter's directory.
    prologue = f"""\
import errno, os, sys
from xshm import sysv
shmid = int(sys.argv[1])
os.setgroups([])
os.setgid({NOBODY})
os.setuid({NOBODY})
"""
    return run_python(prologue + textwrap.dedent(code), *arguments)


def need_namespaces() -> None:
    """Skip the test where this process may not make an IPC namespace: without root, and in most containers."""
    done = subprocess.run(["unshare", "--ipc", "true"], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no IPC namespace can be made here: {done.stderr.strip()}")


def run_python_with_few_segments(code: str, *arguments: object) -> str:
    """Run the code in an IPC namespace of its own, with `limit(shmmni=3)` to set that namespace's limits."""
    need_namespaces()
    prologue = f"""\
import ctypes, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import servers, xshm
from xshm import sysv
assert ctypes.CDLL(None).unshare(0x08000000) == 0  # CLONE_NEWIPC

def limit(**limits):
    for name, value in limits.items():
        with open(f"/proc/sys/kernel/{{name}}", "w") as file:
            file.write(str(value))

"""
    return run_python(prologue + textwrap.dedent(code), *arguments)


def attaches(shmid: int) -> int:
    """Return how many attach to a segment, by the kernel."""
    return sysv.stat(shmid).nattch
