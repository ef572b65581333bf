"""What is free of a machine's memory: of all of it, of its control groups (containers), and of a tmpfs.

Always true:

1. Each has an identity, the same for all processes of the machine that share it, whatever their namespaces.
2. What the object store of the node's raylet may still take is reserved. Its file in /dev/shm has no pages before they
   are written, so that they count as free, and a store that fills up later ends its writers by SIGBUS.

What does not work: the raylet's RssShmem. Most pages of the store are written by other processes, and are not in its
page table: 16 KB of 50 MB that a driver had put there. The file's blocks are all of them.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from xshm._signal_safety import Ignored
from xshm.virtual import directories

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROOT: Final = Path("/")
_BLOCK: Final = 512  # bytes of st_blocks
_NO_LIMIT: Final = 1 << 60  # bytes; control groups v1 have a number for "none", 2**63 less a page
# Files of a control group: its limit, what is used, and how `memory.stat` calls the file cache that is given up first.
_V1: Final = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
_V2: Final = ("memory.max", "memory.current", "inactive_file")


@dataclass(frozen=True, slots=True)
class Supply:
    """Bytes of one thing: `free` now, of which the object store of this node may still take `reserved`."""

    identity: str
    free: int
    reserved: int = 0


def boot() -> str:
    """Return the kernel's identity: the same in all containers of a machine, another one after a restart."""
    return _read("/proc/sys/kernel/random/boot_id").strip() or socket.gethostname()


def of_machine(reserved: int, root: Path = _ROOT) -> Supply:
    """Return what programs can have of the machine's memory without swapping (MemAvailable of proc(5))."""
    lines = dict(line.split(":", 1) for line in _read(root / "proc/meminfo").splitlines())
    return Supply(boot(), int(lines["MemAvailable"].split()[0]) << 10, reserved)


def of_groups(reserved: int, root: Path = _ROOT) -> list[Supply]:
    """Return what is left to each control group above this process that has a limit; a container has one."""
    return [
        Supply(f"{boot()} cgroup {status.st_dev}:{status.st_ino}", max(0, limit - used), reserved)
        for directory, names in _groups(root)
        for limit, used in _limits(directory, names)
        for status in (directory.stat(),)
    ]


def of_directory(directory: str, stores: list[os.stat_result]) -> Supply:
    """Return what is free of the file system that a directory is on."""
    device = os.stat(directory).st_dev  # noqa: PTH116 - a text
    return Supply(f"{boot()} device {device}", directories.free_bytes(directory), untouched(stores, device))


def _groups(root: Path) -> Iterator[tuple[Path, tuple[str, str, str]]]:
    """Yield the directories of this process's groups for memory, from its own up, and how their files are called."""
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            top, names = root / "sys/fs/cgroup", _V2
        elif "memory" in controllers.split(","):
            top, names = root / "sys/fs/cgroup/memory", _V1
        else:
            continue
        # In a namespace of its own a group's path may begin above what is mounted, or be the host's, and not be there.
        own = top / path.lstrip("/") if ".." not in path.split("/") else top
        for directory in (own, *own.parents):
            yield directory, names
            if directory == top:
                break


def _limits(directory: Path, names: tuple[str, str, str]) -> Iterator[tuple[int, int]]:
    """Yield the limit of a group and what is used of it for good, in bytes, if it has one."""
    most, current, cache = names
    limit, used = _read(directory / most).strip(), _read(directory / current)
    if limit.isdecimal() and int(limit) < _NO_LIMIT and used:
        counts = dict(line.split() for line in _read(directory / "memory.stat").splitlines())
        yield int(limit), int(used) - int(counts.get(cache, 0))


def _read(path: str | Path) -> str:
    """Return a small file's text, "" where there is none: the root's group has no limit, other paths are the host's."""
    with Ignored(OSError), open(path, encoding="utf-8", errors="surrogateescape") as file:  # noqa: PTH123 - see Ignored
        return file.read()
    return ""


# -- the object store --------------------------------------------------------------------------------------------------


def stores(raylet: int) -> list[os.stat_result]:
    """Return the status of each file in which a raylet keeps objects; [] where that can't be seen (another user's)."""
    directory = f"/proc/{raylet}/fd"
    names: list[str] = []
    with Ignored(OSError):
        names = os.listdir(directory)  # noqa: PTH208 - names, not paths
    return [found for name in names if (found := _store(f"{directory}/{name}"))]


def _store(descriptor: str) -> os.stat_result | None:
    with Ignored(OSError):  # it was closed meanwhile
        if os.path.basename(os.readlink(descriptor)).startswith("plasma"):  # noqa: PTH115, PTH119 - "… (deleted)"
            return os.stat(descriptor)  # noqa: PTH116 - a text
    return None


def untouched(found: list[os.stat_result], device: int | None = None) -> int:
    """Return how many bytes stores may still take of a file system; None: of all memory, which is every tmpfs."""
    return sum(
        max(0, each.st_size - each.st_blocks * _BLOCK)
        for each in found
        if (each.st_dev == device if device is not None else directories.filesystem(each.st_dev) == "tmpfs")
    )
