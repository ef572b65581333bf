"""The files of one virtual display: its private directories, its authority file, its socket; and its segments.

A file is removed only if it is still the one that was made. Part of the supervisor: imports only what takes no time.
"""

from __future__ import annotations

import _socket
import posix
import sys

_WILD, _LOCAL = 65535, 256
_PROTOCOL = b"MIT-MAGIC-COOKIE-1"
COOKIE_SIZE = 16
Identity = tuple[int, int, int]


def remove_directory(path: str) -> None:
    """Remove a directory of ours and the files in it, if it is still there.

    Its name is on the command line that makes it, where every user can read it; what somebody else has put there first,
    a link to another directory of ours above all, stays.
    """
    try:
        descriptor = posix.open(path, posix.O_RDONLY | posix.O_DIRECTORY | posix.O_NOFOLLOW | posix.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError, PermissionError):  # a link is no directory
        return
    try:
        if posix.fstat(descriptor).st_uid != posix.geteuid():
            return
        for name in posix.listdir(descriptor):
            posix.unlink(name, dir_fd=descriptor)
    finally:
        posix.close(descriptor)
    try:  # noqa: SIM105 - contextlib takes its time
        posix.rmdir(path)
    except FileNotFoundError:
        pass


def remove_framebuffers(directory: str, screens: int) -> None:
    """Remove the files of that many screens, as far as they are there."""
    for screen in range(screens):
        try:  # noqa: SIM105 - contextlib takes its time
            posix.unlink(f"{directory}/Xvfb_screen{screen}")
        except FileNotFoundError:
            pass


def remove_segments(creators: list[int], since: float, until: float = float("inf")) -> None:
    """Remove the System V segments that these processes, which have ended, made between these times, or since then."""
    with open("/proc/sysvipc/shm") as table:  # noqa: PTH123 - pathlib takes its time
        names, *rows = (line.split() for line in table)
    cpid, ctime, shmid = (names.index(name) for name in ("cpid", "ctime", "shmid"))
    for row in rows:
        if int(row[cpid]) in creators and since <= int(row[ctime]) <= until:
            from xshm import sysv  # noqa: PLC0415 - ctypes takes its time, and is hardly ever needed here

            sysv.remove(int(row[shmid]))


def entry(cookie: bytes, *, family: int = _WILD, address: bytes = b"", number: bytes = b"") -> bytes:
    """Return an entry of an authority file (Xau, "AUTHORIZATION FILE"); as it is, it fits every display."""
    fields = (address, number, _PROTOCOL, cookie)
    return family.to_bytes(2, "big") + b"".join(len(field).to_bytes(2, "big") + field for field in fields)


def add_number(authority: str, number: str) -> None:
    """Name this host and the display's number as well, for those who know no wildcards (python-xlib, Go's xgb)."""
    descriptor = posix.open(authority, posix.O_RDWR | posix.O_APPEND | posix.O_CLOEXEC)
    try:
        cookie = posix.read(descriptor, 4096)[-COOKIE_SIZE:]
        posix.write(
            descriptor, entry(cookie, family=_LOCAL, address=posix.uname().nodename.encode(), number=number.encode())
        )
    finally:
        posix.close(descriptor)


class SocketFile:
    """The server's socket in the file system, if it has one: it removes it itself, unless it is killed."""

    def __init__(self, number: str, server: int) -> None:
        self._number = number
        self._path = f"/tmp/.X11-unix/X{number}"  # noqa: S108 - the protocol's well-known place
        listens = _listener(self._path) == server  # and not a server of another network namespace, with our number
        self._identity = identity(self._path) if listens else None

    @property
    def exists(self) -> bool:
        """Whether the server listens there."""
        return self._identity is not None

    @property
    def noted(self) -> str:
        """What is written down of it, for those who are to remove it where the supervisor can't."""
        return "" if self._identity is None else f"{self._number} {self._identity[1]} {self._identity[2]}"

    def remove(self) -> None:
        """Remove what a dead server has left, and nobody else's."""
        if self._identity is not None and identity(self._path) == self._identity:
            posix.unlink(self._path)


def identity(path: str) -> Identity | None:
    """Return what tells a file from another that has its name later, or None where there is none."""
    try:
        found = posix.lstat(path)
    except FileNotFoundError:
        return None
    return identity_of(found)


def identity_of(found: posix.stat_result) -> Identity:
    """Return the same of a file that was looked at."""
    return found.st_dev, found.st_ino, found.st_ctime_ns


def _listener(path: str) -> int:
    """Return the process id of who listens on a socket, or -1."""
    asking = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        asking.connect(path)
        credentials = asking.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)
    except OSError:
        return -1
    finally:
        asking.close()
    return int.from_bytes(credentials[:4], sys.byteorder)
