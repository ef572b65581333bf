"""Limits that shared memory and virtual displays meet: the kernel's, this process's, directories'."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from xshm.cli.doctor.fact import Fact, in_words, parted
from xshm.errors import StartFailed
from xshm.virtual.kinds import installed

if TYPE_CHECKING:
    from collections.abc import Iterator

_FRAME: Final = 3840 * 2160 * 4  # bytes of a 4K screen, 32 bits a pixel
_SHARED_MEMORY: Final = "/dev/shm"  # noqa: S108 - looked at, not written
_SOCKETS: Final = "/tmp/.X11-unix"  # noqa: S108 - as above
# A display takes about 20 while it starts; a pool of 64 frames may have a descriptor for each.
_LEAST_DESCRIPTORS: Final = 128
_LEAST_SEGMENTS: Final = 16


def memory() -> Iterator[Fact]:
    """Yield /dev/shm, where framebuffers lie, and the limits of System V shared memory against what is in use."""
    yield _shared_memory()
    yield from _system_v()


def others() -> Iterator[Fact]:
    """Yield descriptors, pidfds, and the directories of sockets and private files."""
    yield _descriptors()
    yield _pidfd()
    yield _sockets()
    yield _private_place()


def left_segments() -> Iterator[Fact]:
    """Yield the segments that killed processes of this user have left."""
    from xshm import sysv  # noqa: PLC0415 - needs ctypes
    from xshm.shm import own_segments  # noqa: PLC0415 - as above

    left = [each.shmid for each in sysv.segments() if own_segments.is_own(each) and not each.nattch]
    if left:
        words = f"{len(left)} of killed processes; the next Screen removes them once they are a minute old"
        yield Fact("left segments", words, "note", f"xshm segments --remove {' '.join(map(str, left))}")
    else:
        yield Fact("left segments", "none")


# -- memory ------------------------------------------------------------------------------------------------------------


def _shared_memory() -> Fact:
    from xshm.virtual import directories  # noqa: PLC0415 - each group imports its own

    try:
        place = directories.memory_directory(_FRAME)
    except StartFailed as error:
        words = in_words(error).partition(". Give it room")[0]  # which is for those who write Python
        return Fact(_SHARED_MEMORY, f"of a 4K screen, {words}", "wrong", _more_room())
    room = os.statvfs(place)
    free, size = (count * room.f_frsize / 1e6 for count in (room.f_bavail, room.f_blocks))
    words = f"{free:,.0f} of {size:,.0f} MB free; a 4K screen's framebuffer takes {_FRAME / 1e6:.0f}"
    if place != _SHARED_MEMORY:
        return Fact(_SHARED_MEMORY, f"can't be used; {place} has {words}", "note", _more_room())
    return Fact(_SHARED_MEMORY, words)


def _more_room() -> str:
    """Return what gives /dev/shm room: the container's option, or a mount."""
    in_container = any(map(os.path.exists, ("/.dockerenv", "/run/.containerenv")))
    if in_container:
        return "start the container with --shm-size=256m"
    if os.path.ismount(_SHARED_MEMORY):
        return _as_root(f"mount -o remount,rw,size=256m {_SHARED_MEMORY}")
    return _as_root(f"mkdir -p {_SHARED_MEMORY}", f"mount -t tmpfs -o mode=1777,size=256m none {_SHARED_MEMORY}")


def _system_v() -> Iterator[Fact]:
    from xshm import sysv  # noqa: PLC0415 - needs ctypes

    most, used = sysv.ShmLimits(), sysv.ShmUsage()
    sysv.shmctl(0, sysv.IPC_INFO, most)
    sysv.shmctl(0, sysv.SHM_INFO, used)
    page = os.sysconf("SC_PAGE_SIZE")
    # The rest of shmall is bytes; by default it is so large that they are more than a machine can have.
    room = (most.shmall - used.shm_tot) * page
    few = most.shmmni - used.used_ids < _LEAST_SEGMENTS
    yield Fact(
        "kernel.shmmni",
        f"{used.used_ids:,} of {most.shmmni:,} segments in use",
        "wrong" if few else "ok",
        _as_root(f"sysctl kernel.shmmni={max(4096, 2 * most.shmmni)}") if few else "",
    )
    for name, limit, free, enough in (
        ("kernel.shmmax", f"{_bytes(most.shmmax)} for a segment", most.shmmax, _FRAME),
        (
            "kernel.shmall",
            f"{_bytes(used.shm_tot * page)} in use; {_bytes(most.shmall * page)} for all segments",
            room,
            2 * _FRAME,
        ),
    ):
        small = free < enough
        default = sys.maxsize - (1 << 24) if sys.maxsize > 1 << 32 else (1 << 31) - 1
        yield Fact(
            name,
            f"{limit}; a frame of 4K takes {_bytes(_FRAME)}" if small else limit,
            "wrong" if small else "ok",
            _as_root(f"sysctl {name}={default if name.endswith('max') else default // page}") if small else "",
        )


def _as_root(*commands: str) -> str:
    return " && ".join(map(installed.as_root, commands))


def _bytes(count: int) -> str:
    return f"{count / 1e6:,.1f} MB" if count < 1 << 50 else "no limit"


# -- this process ------------------------------------------------------------------------------------------------------


def _descriptors() -> Fact:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        words = f"{len(os.listdir('/proc/self/fd')) - 1} of {soft:,} in use"  # noqa: PTH208 - one is the listing's own
    except OSError as error:
        words = f"{soft:,} at most; {in_words(error)}"
    if soft >= _LEAST_DESCRIPTORS:
        return Fact("descriptors", words)
    raised = 1024 if hard == resource.RLIM_INFINITY or hard >= 1024 else hard  # noqa: PLR2004 - what shells have
    remedy = f"ulimit -n {raised}" if raised > soft else "raise the hard limit: ulimit -Hn, limits.conf(5)"
    return Fact("descriptors", f"{words}; {_LEAST_DESCRIPTORS} are few", "wrong", remedy)


def _pidfd() -> Fact:
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError as error:
        remedy = "take Linux 5.3 or newer; in a container, a seccomp profile that allows pidfd_open"
        return Fact("pidfd_open", f"refused ({in_words(error)}): no virtual display", "wrong", remedy)
    return Fact("pidfd_open", f"there (Linux {os.uname().release})")


# -- directories -------------------------------------------------------------------------------------------------------


def _sockets() -> Fact:
    from xshm.virtual import directories  # noqa: PLC0415 - each group imports its own

    mended = _as_root(f"chown root:root {_SOCKETS}", f"chmod 1777 {_SOCKETS}")
    if reason := directories.why_not_for_sockets():
        words = f"{reason}: virtual displays have an abstract socket only"
        return Fact(_SOCKETS, words, "wrong", mended)
    if not directories.has_socket_directory():
        refused = "written" if os.path.lexists(_SOCKETS) else "made"
        words = f"can't be {refused}: virtual displays have an abstract socket only"
        return Fact(_SOCKETS, words, "note", f"{_as_root(f'mkdir -p {_SOCKETS}')} && {mended}")
    try:
        status = Path(_SOCKETS).lstat()
    except FileNotFoundError:
        return Fact(_SOCKETS, "not there yet; the first server makes it")
    owner = "root" if not status.st_uid else f"uid {status.st_uid}"
    return Fact(_SOCKETS, f"belongs to {owner}, mode {status.st_mode & 0o7777:04o}")


def _private_place() -> Fact:
    from xshm.virtual import directories  # noqa: PLC0415 - each group imports its own

    try:
        return Fact("private files", f"in {directories.private_place()}, in a directory of this user alone")
    except StartFailed as error:
        words, _ = parted(error)
        return Fact("private files", words, "wrong", 'mkdir -m 700 ~/tmp && export TMPDIR="$HOME/tmp"')
