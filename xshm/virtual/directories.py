"""Choose the directories of a virtual display's files, where no other user can replace what is in them.

Always true: a directory is examined, never tried by making a file there, which a kill would leave behind (as it does
with Python's tempfile). A directory that is refused is named with its reason. An exception of a signal handler is never
swallowed, as os.path.isdir does.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path, PosixPath
from typing import TYPE_CHECKING, Final

from xshm._signal_safety import Ignored
from xshm.errors import InvalidArgument, StartFailed
from xshm.system.printable import quoted
from xshm.virtual.servers.server_files import SOCKETS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_LONGEST_PATH: Final = 4096  # bytes; PATH_MAX
_LONGEST_SOCKET: Final = 107  # bytes of sun_path, without its NUL
_LONGEST_NAME: Final = 58  # bytes of a private directory's name, with the slash before it: `server_files`
_SHARED_MEMORY: Final = "/dev/shm"  # noqa: S108 - a directory of ours, 0700, within


class AuthorityFile(PosixPath):
    """The path of a display's own authority file: its cookie goes to no other server, where it is given by hand too."""

    is_for_own_server = True  # see xauthority.find


# -- the authority file ------------------------------------------------------------------------------------------------


def private_place(sockets: Sequence[str] = ()) -> str:
    """Return a directory for the authority file: the user's own, a temporary one, or memory. Raises StartFailed.

    `sockets`: names of files that servers make sockets of, whose paths can't be long.
    """
    room = _LONGEST_SOCKET - _LONGEST_NAME - max(map(len, sockets)) - 1 if sockets else _LONGEST_PATH
    places = ((place, _why_not_private(place, room)) for place in _places())
    return _first(places, "there is no place for the display's authority file", "; set TMPDIR to a directory")


def swept_places() -> tuple[str, ...]:
    """Return the directories in which killed displays of this user may have left something.

    Without those in which another user could rename what is there, and so choose what is removed.
    """
    return tuple(place for place in _places() if _why_not_ours_alone(place) is None)


def _places() -> tuple[str, ...]:
    """Return where private directories may lie, in the order of Python's tempfile: the caller's choice first."""
    chosen = [os.environ.get(name, "") for name in ("TMPDIR", "TEMP", "TMP")]
    temporary = (*chosen, "/tmp", "/var/tmp", "/usr/tmp")  # noqa: S108 - a directory of ours, 0700, within
    # $XDG_RUNTIME_DIR first: no other user can list it.
    found = (_runtime_directory(), *temporary, _SHARED_MEMORY)
    return tuple(dict.fromkeys(os.path.abspath(place) for place in found if place))  # noqa: PTH100 - texts throughout


def _why_not_private(directory: str, most: int) -> str | None:
    if len(os.fsencode(directory)) > most:
        return f"is a path of over {most} bytes, below which a socket can't be made"
    if reason := _why_not_ours_alone(directory):
        return reason
    room = os.statvfs(directory)  # a file system that does not count blocks or files has 0 of 0
    if (room.f_blocks and not room.f_bavail) or (room.f_files and not room.f_favail):
        return "is full"
    return None


def _runtime_directory() -> str:
    """Return $XDG_RUNTIME_DIR if it is this user's own; after su it is another user's."""
    directory = os.environ.get("XDG_RUNTIME_DIR", "")
    status = _status(directory)
    return directory if status and status.st_uid == os.geteuid() else ""


# -- framebuffers ------------------------------------------------------------------------------------------------------


def memory_directory(need: int) -> str:
    """Return a directory on a tmpfs with room for framebuffers of that many bytes; raises StartFailed with numbers."""
    # Not a temporary directory: on a disk, each page that the server writes would be written back.
    return _first(
        ((place, _why_not_memory(place, need)) for place in (_SHARED_MEMORY, _runtime_directory()) if place),
        f"the framebuffer of {_megabytes(need)} has no place in memory",
        ". Give it room (in containers: --shm-size), or pass framebuffer='sysv', framebuffer='none' or a directory's "
        "path",
    )


def check_kept(directory: Path, need: int) -> None:
    """Raise unless framebuffers of that many bytes can stay in this directory of the caller's."""
    if not directory.is_dir():
        raise InvalidArgument(f"framebuffer={quoted(str(directory))} is no directory; make it first")
    if not _can_write(directory):
        raise InvalidArgument(f"framebuffer={quoted(str(directory))} can't be written by uid {os.geteuid()}")
    free = free_bytes(str(directory))
    if free < need:
        raise StartFailed(f"the framebuffer takes {_megabytes(need)}; {directory} has {_megabytes(free)} free")


def _why_not_memory(directory: str, need: int) -> str | None:
    if reason := _why_not_ours_alone(directory):
        return reason
    # /dev/shm is an ordinary directory of the root file system in some chroots.
    kind = filesystem(os.stat(directory).st_dev)  # noqa: PTH116 - texts throughout
    if kind != "tmpfs":
        return f"is on {kind}, not on a tmpfs"
    free = free_bytes(directory)
    return f"has {_megabytes(free)} free" if free < need else None


def filesystem(device: int) -> str:
    """Return the type of the file system that has this device number (proc(5), mountinfo)."""
    number = f"{os.major(device)}:{os.minor(device)}"
    for line in Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape").splitlines():
        mount, _, source = line.partition(" - ")
        if mount.split()[2] == number:
            return source.split()[0]
    return "an unknown file system"


def free_bytes(directory: str) -> int:
    """Return how many bytes the file system of a directory has left for this user."""
    room = os.statvfs(directory)
    return room.f_bavail * room.f_frsize


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.1f} MB"


# -- the socket --------------------------------------------------------------------------------------------------------


def has_socket_directory() -> bool:
    """Tell whether the server can make its socket in the file system, where no other user can replace it."""
    made_in = SOCKETS if _status(SOCKETS) else os.path.dirname(SOCKETS)  # noqa: PTH120 - texts throughout
    return _can_write(made_in) and why_not_for_sockets() is None


def why_not_for_sockets(*, is_started: bool = False) -> str | None:
    """Return who else could replace a display's socket in the file system, as a clause; None where no other user could.

    A server of root's makes a directory sticky that every user can write. So for root one that is not sticky is a
    reason only once the server `is_started`.
    """
    status = _status(SOCKETS, follow_symlinks=False)  # a link there is its owner's to redirect
    if status is None:
        return None
    if status.st_uid not in (0, os.geteuid()):
        return f"{SOCKETS} belongs to uid {status.st_uid}"
    if status.st_mode & (stat.S_IWOTH | stat.S_ISVTX) == stat.S_IWOTH and (is_started or os.geteuid() != 0):
        return f"everybody can replace what is in {SOCKETS} (chmod +t)"
    return None


# -- any directory -----------------------------------------------------------------------------------------------------


def _first(places: Iterable[tuple[str, str | None]], what: str, remedy: str) -> str:
    """Return the first directory that has no reason against it; raise StartFailed with the reasons."""
    reasons = []
    for directory, reason in places:
        if reason is None:
            return directory
        reasons.append(f"{directory} {reason}")
    raise StartFailed(f"{what}: {'; '.join(reasons)}{remedy}")


def _status(path: str, *, follow_symlinks: bool = True) -> os.stat_result | None:
    with Ignored(OSError):
        return os.stat(path, follow_symlinks=follow_symlinks)  # noqa: PTH116 - texts throughout
    return None


def _can_write(directory: str | Path) -> bool:
    """Tell whether files can be made there by the effective user, who need not be the one that started this process."""
    return os.access(directory, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids)


def _why_not_ours_alone(directory: str) -> str | None:
    """Return why this process can't make a directory there that stays its own, or None."""
    status = _status(directory)
    if status is None or not stat.S_ISDIR(status.st_mode):
        return "is no directory"
    if not _can_write(directory):
        return f"can't be written by uid {os.geteuid()}"
    # The owner of a directory, and in one that is not sticky every writer, can rename what is in it.
    if status.st_uid not in (0, os.geteuid()):
        return f"belongs to uid {status.st_uid}, who could replace what is in it"
    if status.st_mode & stat.S_IWOTH and not status.st_mode & stat.S_ISVTX:
        return "can be written by everybody, who could replace what is in it (chmod +t)"
    return None
