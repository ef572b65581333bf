"""What a killed display has left, and its removal: a server, programs, directories, a socket, a keymap, segments.

The names of a display's directories hold its owner: process id, start and PID namespace. Its supervisor keeps a lock on
them (flock(2)), which the kernel takes back when it ends, in whatever namespace. So a directory whose owner and whose
supervisor are dead is known by itself. What lies elsewhere is written down in it before it is made, or as soon as its
name is known; therefore it goes last. The next display that starts takes all of that away (`sweep`), and what is left
of a supervisor that was killed alone, the shell above it and the owner do (`remove`), both if need be.
Part of the supervisor: imports only what takes no time.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # the C half of `signal`, whose enums take longer than all the rest
import _socket
import fcntl
import posix
import sys
import time

from xshm.virtual.processes import descendants, process_groups
from xshm.virtual.servers import server_files as files

BOOT = "import sys; xshm = type(sys)('xshm'); xshm.__path__ = [sys.argv[1]]; sys.modules['xshm'] = xshm; "
_PREFIX, _FIELDS = "xshm", 5
_SOCKETS = "/tmp/.X11-unix"  # noqa: S108 - the protocol's well-known place
_KEYMAPS = ("/var/lib/xkb", "/tmp")  # noqa: S108 - where servers compile them
# Seconds. A directory of another PID namespace whose lock nobody has may be so new that its supervisor is not up yet.
_NEW = 60.0
_SWEEP = 2.0  # after which no further one is begun: programs may be deaf, and a display that starts has its time
_START = 60.0  # at most, of a server that was killed before it said its number
_TYPE, _DIRECTORY = 0o170000, 0o040000  # of st_mode: S_IFMT, S_IFDIR
# None that can be looked at. Another error, as for want of a descriptor, says nothing of the process.
_NO_PROCESS = (FileNotFoundError, ProcessLookupError, PermissionError)
_TWICE = 0.005  # between two looks at a socket: there is a moment between bind(2) and listen(2)


def name(parent: str, token: str) -> str:
    """Return the path of a directory of a display that this process owns; `token` is 16 random digits."""
    pid = posix.getpid()
    return f"{parent}/{_PREFIX}-{pid}-{_started(pid)}-{_namespace()}-{token}"


def lock(directory: str) -> int:
    """Keep a directory from being swept as long as the descriptor that is returned is open."""
    descriptor = posix.open(directory, posix.O_RDONLY | posix.O_DIRECTORY | posix.O_CLOEXEC)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return descriptor


def note(directory: str, what: str, text: str) -> None:
    """Write something down in a display's directory."""
    descriptor = posix.open(f"{directory}/{what}", posix.O_WRONLY | posix.O_CREAT | posix.O_CLOEXEC, 0o600)
    try:
        posix.write(descriptor, text.encode("utf-8", "surrogateescape"))
    finally:
        posix.close(descriptor)


def sweep(places: list[str]) -> None:
    """Remove what displays of this user have left whose owner and supervisor are dead, in whatever way they died."""
    deadline = time.monotonic() + _SWEEP
    for place in places:
        try:
            names = posix.listdir(place)
        except OSError:
            continue
        for each in names:
            if each.startswith(_PREFIX) and time.monotonic() < deadline:
                try:  # noqa: SIM105 - contextlib takes its time
                    _sweep(f"{place}/{each}", each.split("-"))
                except OSError:
                    pass  # no reason for another display not to start; the next one tries again


def remove(
    directory: str, memory: str = "", *, group: int = 0, is_held: bool = False, has_processes: bool = True
) -> None:
    """Remove all that is left of a display whose supervisor is dead, and end its programs and its server.

    Of its process `group`, if that is known to be still its own, the leader is left alone. Others may be at it at the
    same time. Where the lock on the caller's own directory `is_held` by a process of the display, no other display can
    have it by now.
    """
    kind, screens, mark, noted_memory, kept = [*_noted(directory, "what").split("\n", 4), *[""] * 5][:5]
    creators = [int(pid) for pid in _noted(directory, "pid").split()]
    if has_processes:
        _end_programs(directory, descendants.noted(mark))
        creators += _end_processes(directory, spared=group)
        if group:
            end_heirs(group)
    remove_socket(directory)
    if kind == "sysv" and has_processes:
        began = _began(directory)  # a server makes them when it starts; later ones are of another that has its number
        files.remove_segments(creators, began - 2, began + _START)
    if kept.rstrip("\n"):
        _remove_kept(kept[:-1], int(screens), is_held)
    for path in (memory or noted_memory, directory):
        if path:
            files.remove_directory(path)


def end_heirs(group: int) -> None:
    """End what a dead server has left in its group, which must be still its own: a compiler of keymaps.

    That holds the server's socket, and writes a file when it is done. The group's leader and this process stay.
    """
    for pid in process_groups.members({group}):
        if pid in (group, posix.getpid()):
            continue
        try:
            pidfd = posix.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            if posix.getpgid(pid) == group:
                _signal.pidfd_send_signal(pidfd, _signal.SIGKILL)
                process_groups.wait((pidfd,), time.monotonic() + process_groups.GRACE)
        except ProcessLookupError:
            pass
        finally:
            posix.close(pidfd)


def remove_socket(directory: str) -> None:
    """Remove the socket of a dead server: the one written down, or what was made while it started and is dead too."""
    noted = _noted(directory, "socket").split()
    began = _began(directory)
    try:
        numbers = noted[:1] or [each[1:] for each in posix.listdir(_SOCKETS) if each[1:].isdigit()]
    except FileNotFoundError:
        return
    for number in numbers:
        path = f"{_SOCKETS}/X{number}"
        try:
            found = posix.lstat(path)
        except FileNotFoundError:
            continue
        made = found.st_ctime
        if noted[1:] != [str(found.st_ino), str(found.st_ctime_ns)] and (noted or not _within(made, began)):
            continue
        if found.st_uid == posix.geteuid() and _is_dead(path) and files.identity(path) == files.identity_of(found):
            for keymaps in _KEYMAPS:
                _remove_keymap(f"{keymaps}/server-{number}.xkm", began)
            posix.unlink(path)


def main() -> None:
    """Remove what is left of the display whose directories the command line names."""
    for number in (_signal.SIGHUP, _signal.SIGINT, _signal.SIGQUIT, _signal.SIGTERM, _signal.SIGPIPE):
        _signal.signal(number, _signal.SIG_IGN)
    remove(*sys.argv[2:4], group=posix.getpid(), is_held=True)  # all of it was the shell's
    posix._exit(0)  # noqa: SLF001 - its public name


# -- whose a directory is ----------------------------------------------------------------------------------------------


def _sweep(path: str, fields: list[str]) -> None:
    if len(fields) != _FIELDS or not all(field.isdigit() for field in fields[1:4]):
        return
    _, pid, started, namespace, _ = fields
    descriptor = posix.open(path, posix.O_RDONLY | posix.O_DIRECTORY | posix.O_NOFOLLOW | posix.O_CLOEXEC)
    try:
        found = posix.fstat(descriptor)
        if found.st_uid != posix.geteuid() or found.st_mode & 0o077:
            return
        is_near = namespace == _namespace()
        if is_near and _started(int(pid)) == started:
            return  # its owner lives, and will end it
        if not is_near and time.time() - found.st_mtime < _NEW:
            return
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        marks = _noted(path, "what").split("\n")[2:3]
        if is_near and any(descendants.are_ours(descendants.noted(mark)) for mark in marks):
            return  # a program of its own that starts another display would end that with its own end
        remove(path, has_processes=is_near)
    finally:
        posix.close(descriptor)


def _started(pid: int) -> str:
    """Return when a living process was started (ticks since the start of the machine), or "" where there is none."""
    found = process_groups.process(pid)
    return str(found.start) if found is not None and found.lives else ""


def _namespace() -> str:
    """Return the number of our PID namespace, "0" where the kernel does not tell."""
    try:
        return posix.readlink("/proc/self/ns/pid")[len("pid:[") : -1]
    except _NO_PROCESS:
        return "0"


# -- what is left ------------------------------------------------------------------------------------------------------


def _is_ours(directory: str) -> bool:
    """Tell whether a display's directory is ours, and not what somebody else has put there first."""
    try:
        found = posix.lstat(directory)  # a link is no directory
    except FileNotFoundError:
        return False
    return found.st_mode & _TYPE == _DIRECTORY and found.st_uid == posix.geteuid()


def _noted(directory: str, what: str) -> str:
    """Return what is written down in a directory of ours; of somebody else's, nothing."""
    if not _is_ours(directory):
        return ""
    try:
        with open(f"{directory}/{what}", "rb") as file:  # noqa: PTH123 - pathlib takes its time
            return file.read().decode(sys.getfilesystemencoding(), "surrogateescape")
    except FileNotFoundError:
        return ""


def _began(directory: str) -> float:
    """Return when a display's server was started (seconds of the epoch), or 0 where we have no such directory."""
    if not _is_ours(directory):
        return 0.0
    for path in (f"{directory}/what", directory):
        try:
            return posix.stat(path).st_mtime
        except FileNotFoundError:
            continue
    return 0.0


def _within(made: float, began: float) -> bool:
    return -1 <= made - began <= _START


def _end_programs(directory: str, marks: range) -> None:
    """End all that has a mark of the display's, which nobody else has, and began after its owner did."""
    fields = directory.rpartition("/")[2].split("-")
    if marks and len(fields) == _FIELDS and fields[1].isdecimal() and fields[2].isdecimal():
        descendants.Descendants(marks, set(), {}, int(fields[2]), int(fields[1])).end()


def _end_processes(directory: str, spared: int) -> list[int]:
    """End the server by TERM, then by KILL, and who was to look after it by KILL; return the server's process id."""
    servers, keepers = _find(directory)
    for pid in servers:
        _end(pid, directory, (_signal.SIGTERM, _signal.SIGKILL))
    for pid in keepers:
        if pid not in (spared, posix.getpid()):
            _end(pid, directory, (_signal.SIGKILL,))
    return servers


def _end(pid: int, directory: str, signals: tuple[int, ...]) -> None:
    try:
        pidfd = posix.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if not any(pid in found for found in _find(directory)):  # what was opened is what was meant
            return
        for number in signals:
            if number == _signal.SIGKILL and posix.getpgid(pid) == pid:  # the shell, with who it was to wait for
                process_groups.signal_group(pid, number)
            _signal.pidfd_send_signal(pidfd, number)
            _signal.pidfd_send_signal(pidfd, _signal.SIGCONT)  # a stopped process hears TERM only then
            if process_groups.wait((pidfd,), time.monotonic() + process_groups.GRACE) == pidfd:
                break
        posix.waitid(posix.P_PIDFD, pidfd, posix.WEXITED | posix.WNOHANG)
    except (ProcessLookupError, ChildProcessError):
        pass  # it has ended; it was not an orphan that became ours, who may be a subreaper
    finally:
        posix.close(pidfd)


def _find(directory: str) -> tuple[list[int], list[int]]:
    """Return the servers and the keepers, shells or interpreters, that have a directory in their command line."""
    place = directory.encode(sys.getfilesystemencoding(), "surrogateescape")
    mark = b"\0-auth\0" + place + b"/Xauthority\0-displayfd\0"
    servers, keepers = [], []
    for entry in posix.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/cmdline", "rb") as file:  # noqa: PTH123 - pathlib takes its time
                    line = file.read()
                if posix.stat(f"/proc/{entry}").st_uid != posix.geteuid():
                    continue
            except OSError:
                continue  # it has ended
            if BOOT.encode() in line and b"\0" + place + b"\0" in line:
                keepers.append(int(entry))
            elif mark in line:
                servers.append(int(entry))
    return servers, keepers


def _is_dead(path: str) -> bool:
    """Tell whether nobody listens on a socket, in whatever namespace."""
    for pause in (_TWICE, 0.0):
        asking = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        asking.setblocking(False)
        try:
            asking.connect(path)
        except ConnectionRefusedError:
            time.sleep(pause)
        except OSError:
            return False
        else:
            return False
        finally:
            asking.close()
    return True


def _remove_keymap(path: str, began: float) -> None:
    """Remove a keymap that a server was killed over while it started."""
    try:
        found = posix.lstat(path)
        if found.st_uid == posix.geteuid() and _within(found.st_mtime, began):
            posix.unlink(path)
    except OSError:
        pass  # there is none, as a rule


def _remove_kept(directory: str, screens: int, is_held: bool) -> None:
    """Remove the framebuffers from the caller's own directory, unless another display has it by now."""
    descriptor = -1
    try:
        if not is_held:
            descriptor = lock(directory)
        files.remove_framebuffers(directory, screens)
    except (BlockingIOError, FileNotFoundError):
        return
    finally:
        if descriptor >= 0:
            posix.close(descriptor)
