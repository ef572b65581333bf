"""Disks and directories that refuse: full ones, mounted files, directories of other users; and what is in them."""

from __future__ import annotations

import contextlib
import ctypes
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

NOBODY = 65534
MS_BIND, _MNT_DETACH = 0x1000, 2
_mount = ctypes.CDLL(None, use_errno=True).mount
_unmount = ctypes.CDLL(None, use_errno=True).umount2


def mount(source: str, place: Path, kind: str, flags: int = 0, options: str = "") -> contextlib.ExitStack:
    """Mount until the returned context is left; skip where that is not permitted (containers)."""
    if _mount(source.encode(), bytes(place), kind.encode(), flags, options.encode()):
        pytest.skip(f"can't mount here: {os.strerror(ctypes.get_errno())}")
    mounted = contextlib.ExitStack()
    mounted.callback(unmount, place)
    return mounted


def unmount(place: Path) -> None:
    # At once, though a test may still have its working directory there.
    if _unmount(bytes(place), _MNT_DETACH):
        raise OSError(ctypes.get_errno(), f"can't unmount {place}")


@contextlib.contextmanager
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Make a directory on a disk of 512 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    with mount("none", place, "tmpfs", options="size=512k"):
        yield place


@contextlib.contextmanager
def as_nobody() -> Iterator[None]:
    """Be a user whom modes keep out; root is let in everywhere."""
    if os.geteuid() == 0:
        os.setegid(NOBODY)
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if os.getuid() == 0:
            os.seteuid(0)
            os.setegid(0)


def fill(disk: Path, left: int) -> None:
    """Leave so many bytes on a disk."""
    room = os.statvfs(disk)
    (disk / "filler").write_bytes(bytes(room.f_bavail * room.f_frsize - left))


def descriptors() -> set[str]:
    return set(names(Path("/proc/self/fd")))


def names(directory: Path) -> list[str]:
    return sorted(each.name for each in directory.iterdir())


@contextlib.contextmanager
def own_directory(tmp_path: Path) -> Iterator[Path]:
    """Make a directory that is anybody's to enter and nobody's but its owner's to write; the way there is open."""
    opened = [each for each in (tmp_path, *tmp_path.parents) if not each.stat().st_mode & 0o001]
    for each in opened:
        each.chmod(each.stat().st_mode | 0o011)
    place = tmp_path / "place"
    place.mkdir(mode=0o755)
    try:
        yield place
    finally:
        place.chmod(0o755)
