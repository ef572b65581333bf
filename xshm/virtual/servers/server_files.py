"""The files of one virtual display: private directories, authority file, socket, framebuffers; and its segments.

Always true:

1. The name of a private directory holds its owner: process id, start time and PID namespace. Its supervisor has a lock
   on it (flock(2)), which the kernel releases when the supervisor ends, in any namespace. So the directory alone
   shows whether the owner and the supervisor are dead.
2. A file elsewhere is noted in the directory before it is made, or as soon as its name is known. So the directory is
   removed last.
3. A file is removed only if it is still the one that the display made, by user, inode and time.

Imported by the supervisor, whose start-up time counts: no `os`, `signal`, `subprocess`, `typing` here.
"""

from __future__ import annotations

import _socket
import fcntl
import posix
import sys

from xshm.virtual.processes import process_groups

_PREFIX = "xshm"
_FIELDS = 5  # of a directory's name: prefix, process id, start, namespace, token
SOCKETS = "/tmp/.X11-unix"  # noqa: S108 - where X servers listen
_TYPE, _DIRECTORY = 0o170000, 0o040000  # of st_mode: S_IFMT, S_IFDIR
# Errors that mean that a process is gone. Others, such as the lack of a descriptor, mean nothing about the process.
_NO_PROCESS = (FileNotFoundError, ProcessLookupError, PermissionError)
_WILD, _LOCAL = 65535, 256  # address families of authority entries
_PROTOCOL = b"MIT-MAGIC-COOKIE-1"
COOKIE_SIZE = 16  # bytes
Identity = tuple[int, int, int]  # device, inode, time of change in ns

# -- private directories -----------------------------------------------------------------------------------------------


def directory_name(parent: str, token: str) -> str:
    """Return the path of a private directory of a display that this process owns; `token` is 16 random digits."""
    pid = posix.getpid()
    return f"{parent}/{_PREFIX}-{pid}-{start_time(pid)}-{pid_namespace()}-{token}"


def directory_owner(name: str) -> tuple[int, str, str] | None:
    """Return process id, start time and PID namespace of the owner of a private directory, None for another name."""
    fields = name.split("-")
    if len(fields) != _FIELDS or fields[0] != _PREFIX or not all(field.isdecimal() for field in fields[1:4]):
        return None
    return int(fields[1]), fields[2], fields[3]


def start_time(pid: int) -> str:
    """Return when a living process was started (clock ticks since boot), or "" where there is none."""
    found = process_groups.process(pid)
    return str(found.start) if found is not None and found.lives else ""


def pid_namespace() -> str:
    """Return the number of our PID namespace, "0" where the kernel does not give it."""
    try:
        return posix.readlink("/proc/self/ns/pid")[len("pid:[") : -1]
    except _NO_PROCESS:
        return "0"


def lock(directory: str) -> int:
    """Lock a directory (1) for as long as the descriptor that is returned is open; BlockingIOError if it is locked."""
    descriptor = posix.open(directory, posix.O_RDONLY | posix.O_DIRECTORY | posix.O_CLOEXEC)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return descriptor


def write_note(directory: str, what: str, text: str) -> None:
    """Write a note into a display's directory (2)."""
    descriptor = posix.open(f"{directory}/{what}", posix.O_WRONLY | posix.O_CREAT | posix.O_CLOEXEC, 0o600)
    try:
        posix.write(descriptor, text.encode("utf-8", "surrogateescape"))
    finally:
        posix.close(descriptor)


def read_note(directory: str, what: str) -> str:
    """Return a note; "" where there is none, or where the directory is another user's."""
    if not _is_ours(directory):
        return ""
    try:
        with open(f"{directory}/{what}", "rb") as file:  # noqa: PTH123 - pathlib is slow to import
            return file.read().decode(sys.getfilesystemencoding(), "surrogateescape")
    except FileNotFoundError:
        return ""


def server_start(directory: str) -> float:
    """Return when a display's server was started (seconds since the epoch), 0 where we have no such directory."""
    if not _is_ours(directory):
        return 0.0
    for path in (f"{directory}/what", directory):
        try:
            return posix.stat(path).st_mtime
        except FileNotFoundError:
            continue
    return 0.0


def _is_ours(directory: str) -> bool:
    """Tell whether a display's directory is this user's, and not another user's of the same name."""
    try:
        found = posix.lstat(directory)  # lstat: a link is no directory
    except FileNotFoundError:
        return False
    return found.st_mode & _TYPE == _DIRECTORY and found.st_uid == posix.geteuid()


def remove_directory(path: str) -> None:
    """Remove a directory of ours and the files in it, if it is still there.

    Every user can read its name on the command line that makes it. So another user may have put something there first,
    above all a link to another directory of ours: that stays.
    """
    try:
        descriptor = posix.open(path, posix.O_RDONLY | posix.O_DIRECTORY | posix.O_NOFOLLOW | posix.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError, PermissionError):  # O_NOFOLLOW: a link is no directory
        return
    try:
        if posix.fstat(descriptor).st_uid != posix.geteuid():
            return
        for name in posix.listdir(descriptor):
            posix.unlink(name, dir_fd=descriptor)
    finally:
        posix.close(descriptor)
    try:  # noqa: SIM105 - contextlib is slow to import
        posix.rmdir(path)
    except FileNotFoundError:
        pass


# -- framebuffers ------------------------------------------------------------------------------------------------------


def framebuffer_file(directory: str, screen: int) -> str:
    """Return the path that Xvfb gives to a screen's framebuffer in its -fbdir."""
    return f"{directory}/Xvfb_screen{screen}"


def remove_framebuffers(directory: str, screens: int) -> None:
    """Remove the files of that many screens, as far as they are there."""
    for screen in range(screens):
        try:  # noqa: SIM105 - contextlib is slow to import
            posix.unlink(framebuffer_file(directory, screen))
        except FileNotFoundError:
            pass


def remove_segments(creators: list[int], since: float, until: float = float("inf")) -> None:
    """Remove the System V segments that these processes, which have ended, made between these times."""
    with open("/proc/sysvipc/shm") as table:  # noqa: PTH123 - pathlib is slow to import
        names, *rows = (line.split() for line in table)
    cpid, ctime, shmid = (names.index(name) for name in ("cpid", "ctime", "shmid"))
    for row in rows:
        if int(row[cpid]) in creators and since <= int(row[ctime]) <= until:
            from xshm import sysv  # noqa: PLC0415 - hardly ever needed, and ctypes is slow to import

            sysv.remove(int(row[shmid]))


# -- the authority file ------------------------------------------------------------------------------------------------


def authority_entry(cookie: bytes, *, family: int = _WILD, address: bytes = b"", number: bytes = b"") -> bytes:
    """Return an entry of an authority file (Xau, "AUTHORIZATION FILE"); without address and number for any display."""
    fields = (address, number, _PROTOCOL, cookie)
    return family.to_bytes(2, "big") + b"".join(len(field).to_bytes(2, "big") + field for field in fields)


def add_display_number(authority: str, number: str) -> None:
    """Add an entry for this host and this number, for clients that know no wildcards (python-xlib, Go's xgb)."""
    descriptor = posix.open(authority, posix.O_RDWR | posix.O_APPEND | posix.O_CLOEXEC)
    try:
        cookie = posix.read(descriptor, 4096)[-COOKIE_SIZE:]
        host = posix.uname().nodename.encode()
        posix.write(descriptor, authority_entry(cookie, family=_LOCAL, address=host, number=number.encode()))
    finally:
        posix.close(descriptor)


# -- the socket --------------------------------------------------------------------------------------------------------


class SocketFile:
    """The server's socket in the file system, if it has one. The server removes it itself, unless it is killed."""

    def __init__(self, number: str, server: int) -> None:
        self._number = number
        self._path = f"{SOCKETS}/X{number}"
        listens = _listener(self._path) == server  # and not a server of another network namespace with our number
        self._identity = identity(self._path) if listens else None

    @property
    def exists(self) -> bool:
        """Whether the server listens there."""
        return self._identity is not None

    @property
    def note(self) -> str:
        """Number, inode and time of the socket, to be noted for a removal by another process; "" where it has none."""
        return "" if self._identity is None else f"{self._number} {self._identity[1]} {self._identity[2]}"

    def remove(self) -> None:
        """Remove the socket of the server, which is dead, if it is still there."""
        if self._identity is not None and identity(self._path) == self._identity:
            posix.unlink(self._path)


def identity(path: str) -> Identity | None:
    """Return what differs between a file and another that gets its name later; None where there is no file."""
    try:
        found = posix.lstat(path)
    except FileNotFoundError:
        return None
    return identity_of(found)


def identity_of(found: posix.stat_result) -> Identity:
    """Return the identity of the file with this status."""
    return found.st_dev, found.st_ino, found.st_ctime_ns


def _listener(path: str) -> int:
    """Return the process id of the server that listens on a socket, -1 where none does."""
    client = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        client.connect(path)
        credentials = client.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)
    except OSError:
        return -1
    finally:
        client.close()
    return int.from_bytes(credentials[:4], sys.byteorder)
