"""The files of one virtual display: private directories, authority file, socket, framebuffers; and its segments.

Always true:

1. The name of a private directory holds its owner: process id, start time and PID namespace. Its supervisor has a lock
   on it (flock(2)), which the kernel releases when the supervisor ends, in any namespace. So the directory alone
   shows whether the owner and the supervisor are dead.
2. A file elsewhere is noted in the directory before it is made, or as soon as its name is known. So the directory is
   removed last. Framebuffers in the caller's own directory are made a moment before that; owner and shell know of them
   without the note, and should both be killed in that moment, the next display in that directory removes them.
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
_LISTENS = 1 << 16  # of the flags in /proc/net/unix: __SO_ACCEPTCON
_WILD, _LOCAL = 65535, 256  # address families of authority entries
_PROTOCOL = b"MIT-MAGIC-COOKIE-1"
COOKIE_SIZE = 16  # bytes

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


def compositor_mark(directory: str) -> str:
    """Return the path that the command line of a display's compositor names, and no other; there is no such file."""
    return f"{directory}/compositor"


def start_time(pid: int) -> str:
    """Return when a living process was started (clock ticks since boot), or "" where there is none."""
    found = process_groups.process(pid)
    return str(found.start) if found is not None and found.lives else ""


def pid_namespace() -> str:
    """Return the number of our PID namespace."""
    return posix.readlink("/proc/self/ns/pid")[len("pid:[") : -1]


def lock(directory: str) -> int:
    """Lock a directory (1) for as long as the descriptor that is returned is open; BlockingIOError if it is locked."""
    descriptor = posix.open(directory, posix.O_RDONLY | posix.O_DIRECTORY | posix.O_CLOEXEC)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return descriptor


def write_note(directory: str, what: str, text: str) -> None:
    """Write a note into a display's directory (2)."""
    with open(f"{directory}/{what}", "wb") as file:  # noqa: PTH123 - pathlib is slow to import
        file.write(text.encode())


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
    found = _is_ours(directory) and (status(f"{directory}/what") or status(directory))
    return found.st_mtime if found else 0.0


def _is_ours(directory: str) -> bool:
    """Tell whether a display's directory is this user's, and not another user's of the same name."""
    found = status(directory)
    return found is not None and found.st_mode & _TYPE == _DIRECTORY


def status(path: str) -> posix.stat_result | None:
    """Return the status of a file, a link itself; None where there is none, or where it is another user's."""
    try:
        found = posix.lstat(path)
    except FileNotFoundError:
        return None
    return found if found.st_uid == posix.geteuid() else None


def remove_file(path: str) -> None:
    """Remove a file, if it is still there."""
    try:  # noqa: SIM105 - contextlib is slow to import
        posix.unlink(path)
    except FileNotFoundError:
        pass


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
            try:  # noqa: SIM105 - contextlib is slow to import
                posix.unlink(name, dir_fd=descriptor)
            except FileNotFoundError:
                pass  # two processes may remove what is left of a display at the same time
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
        remove_file(framebuffer_file(directory, screen))


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


def socket_of(number: str, server: int) -> list[str]:
    """Return what is noted of a server's socket: its number, and the identity of its file, where it has one."""
    path = f"{SOCKETS}/X{number}"
    # A server of another network namespace may have the same number, and the file.
    return [number, *(socket_identity(path) if _listens(server, path) else [])]


def socket_identity(path: str) -> list[str]:
    """Return inode and time of change of a socket, in which a later one of that name differs; [] where we have none."""
    found = status(path)
    return [str(found.st_ino), str(found.st_ctime_ns)] if found else []


def is_socket_dead(path: str) -> bool:
    """Tell whether no process has a socket of that name, in any namespace, without connecting to one.

    A connection is not for servers that may be anybody's: an Xvfb without XFIXES aborts when one of several ends. With
    a datagram socket, connect(2) finds the stream socket, and refuses it for its type before that learns of it; what it
    refuses otherwise is a name without a socket. A socket between its bind(2) and listen(2) is one, too.
    """
    client = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM)
    try:
        client.connect(path)
    except ConnectionRefusedError:
        return True
    except OSError:  # EPROTOTYPE; or a file that is gone, or that we may not write
        return False
    finally:
        client.close()
    return False


def _listens(server: int, path: str) -> bool:
    """Tell whether a server listens on a socket of that name; it does not notice (`is_socket_dead` has the reason)."""
    descriptors = f"/proc/{server}/fd"
    try:
        with open(f"/proc/{server}/net/unix", "rb") as table:  # noqa: PTH123 - pathlib is slow to import
            rows = [line.split(maxsplit=7) for line in table if line.endswith(b" " + path.encode() + b"\n")]
        listening = {f"socket:[{int(row[6])}]" for row in rows if int(row[3], 16) & _LISTENS}
        return any(_link(f"{descriptors}/{name}") in listening for name in posix.listdir(descriptors))
    except OSError:  # it has ended
        return False


def _link(path: str) -> str:
    """Return what a link leads to, "" where it is gone."""
    try:
        return posix.readlink(path)
    except FileNotFoundError:
        return ""
