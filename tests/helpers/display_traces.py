"""What the kernel shows of one display: its processes, sockets, files and segments; and a wait until all are gone."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import processes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from xshm import VirtualDisplay

_PLACES = "/tmp/.X11-unix/X{}", "/tmp/.X{}-lock"  # noqa: S108 - where X servers have them


class Traces(NamedTuple):
    """Processes as (id, start), files as (path, time), System V segments by their ids."""

    worker: int
    server: int
    supervisor: int
    processes: frozenset[tuple[int, str]]
    files: frozenset[tuple[str, int]]
    segments: frozenset[int]


def traces(display: VirtualDisplay, *others: Path) -> Traces:
    """Return what there is of a display that this process has started: programs too, and further files."""
    assert display.pid is not None
    assert display.xauthority is not None
    supervisor = processes.parent(display.pid)
    number = display.name.removeprefix(":")
    places = (Path(place.format(number)) for place in _PLACES)
    named = (*places, display.xauthority, display.xauthority.parent)
    return Traces(
        os.getpid(),
        display.pid,
        supervisor,
        frozenset((pid, _started(pid)) for pid in {os.getpid(), *_below(os.getpid())}),
        frozenset((str(path), _made(path)) for path in (*named, *others) if path.exists()),
        frozenset(segment for segment, creator in _segments().items() if creator == display.pid),
    )


def left_of(found: Iterable[Traces], seconds: float = 10) -> list[str]:
    """Return what is left of displays that are to be gone, after so many seconds at most: nothing, at best at once."""
    deadline = time.monotonic() + seconds
    while left := [each for one in found for each in _left_of(one)]:
        if time.monotonic() > deadline:
            break
        time.sleep(0.05)
    return left


def servers_below(pid: int) -> set[int]:
    """Return all X servers and supervisors that descend from a process, of whichever thread."""
    return {each for each in _below(pid) if processes.lives(each) and _is_of_a_display(each)}


def _below(pid: int) -> set[int]:
    """Return all descendants of a process, of whichever thread."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
                parents[int(entry.name)] = processes.parent(int(entry.name))

    def is_below(each: int | None) -> bool:
        each = parents.get(each or 0)
        return each == pid or (each is not None and is_below(each))

    return {each for each in parents if is_below(each)}


def _left_of(found: Traces) -> list[str]:
    left = [f"process {pid}" for pid, start in found.processes if processes.lives(pid) and _started(pid) == start]
    left += [path for path, made in found.files if Path(path).exists() and _made(Path(path)) == made]
    return [*left, *(f"segment {segment}" for segment in found.segments & _segments().keys())]


def _is_of_a_display(pid: int) -> bool:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return b"Xvfb" in command or b"xshm.virtual.servers" in command


def _started(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _made(path: Path) -> int:
    """Return what tells a socket from the next one of its name, which may have its inode; directories have no next."""
    return 0 if path.is_dir() else path.stat().st_ctime_ns


def _segments() -> dict[int, int]:
    """Return the creators of all System V segments."""
    lines = Path("/proc/sysvipc/shm").read_text().splitlines()[1:]
    return {int(fields[1]): int(fields[4]) for fields in map(str.split, lines)}
