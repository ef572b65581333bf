"""Remove what killed displays have left: servers, programs, directories, sockets, keymaps, segments.

Three processes call it, and any two of them may do so at the same time:

- the next display that starts (`sweep`), for displays of this user whose owner and supervisor are dead;
- the shell above a supervisor that was killed (`main`), and
- the owner of such a display (`remove`).

`server_files` has the rules that tell a display's files from others. Nothing of a living display is touched, and only
processes that were found by the display's own directory or marks are signalled.

Imported by the supervisor, whose start-up time counts: no `os`, `signal`, `subprocess`, `typing` here.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # the C half of `signal`; its enums take longer than all other imports
import _socket
import fcntl
import posix
import sys
import time

from xshm.virtual.processes import descendants, process_groups
from xshm.virtual.servers import server_files as files

# The beginning of every `python -c` below: the package without its own __init__ and without site-packages, which halves
# the start of the interpreter. Its words are how `_find_processes` recognises supervisors and shells.
BOOT = "import sys; xshm = type(sys)('xshm'); xshm.__path__ = [sys.argv[1]]; sys.modules['xshm'] = xshm; "
_KEYMAPS = ("/var/lib/xkb", "/tmp")  # noqa: S108 - where servers compile them
_NEW = 60.0  # seconds; an unlocked directory of another PID namespace may be that of a display that is only starting
_SWEEP = 2.0  # seconds, after which no further removal begins: programs may ignore SIGTERM, and a start must not wait
_START = 60.0  # seconds at most from the start of a server to its files, where it was killed before it was ready
_RETRY = 0.005  # seconds between two attempts: a socket refuses connections between its bind(2) and listen(2)


def sweep(places: list[str]) -> None:
    """Remove all that is left in these directories of displays of this user whose owner and supervisor are dead."""
    deadline = time.monotonic() + _SWEEP
    for place in places:
        try:
            names = posix.listdir(place)
        except OSError:
            continue
        for name in names:
            owner = files.directory_owner(name)
            if owner is not None and time.monotonic() < deadline:
                try:  # noqa: SIM105 - contextlib is slow to import
                    _sweep_directory(f"{place}/{name}", *owner)
                except OSError:
                    pass  # no reason for another display not to start; the next start tries again


def remove(
    directory: str, memory: str = "", *, group: int = 0, is_held: bool = False, has_processes: bool = True
) -> None:
    """End the server and the programs of a display whose supervisor is dead, and remove its files and segments.

    `memory` is the directory of its framebuffers, where the caller knows that. `group` is the display's process group,
    where the number is known to be still its own; the leader of it is spared. `is_held`: a living process of the
    display has the lock on the directory that the caller of VirtualDisplay named, so no other display uses that.
    `has_processes`: False for a display of another PID namespace.
    """
    kind, screens, mark, noted_memory, kept = [*files.read_note(directory, "what").split("\n", 4), *[""] * 5][:5]
    creators = [int(pid) for pid in files.read_note(directory, "pid").split()]
    if has_processes:
        _end_programs(directory, descendants.parse_marks(mark))
        creators += _end_processes(directory, spared=group)
        if group:
            end_keymap_compiler(group)
    remove_socket(directory)
    if kind == "sysv" and has_processes:
        start = files.server_start(directory)  # later segments are of a process that got the server's number
        files.remove_segments(creators, start - 2, start + _START)
    if kept.rstrip("\n"):
        _remove_kept(kept[:-1], int(screens), is_held)
    for path in (memory or noted_memory, directory):
        if path:
            files.remove_directory(path)


def end_keymap_compiler(group: int) -> None:
    """Kill what a dead server has left in its process group, which must be still its own: an xkbcomp.

    That has inherited the server's socket, and writes a file when it is ready. The group's leader and this process are
    spared.
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
    """Remove the socket of a dead server: the one noted, or a dead one that was made while the server started."""
    noted = files.read_note(directory, "socket").split()
    start = files.server_start(directory)
    try:
        numbers = noted[:1] or [each[1:] for each in posix.listdir(files.SOCKETS) if each[1:].isdigit()]
    except FileNotFoundError:
        return
    for number in numbers:
        path = f"{files.SOCKETS}/X{number}"
        try:
            found = posix.lstat(path)
        except FileNotFoundError:
            continue
        if noted[1:] != [str(found.st_ino), str(found.st_ctime_ns)] and (noted or not _within(found.st_ctime, start)):
            continue
        if found.st_uid == posix.geteuid() and _is_dead(path) and files.identity(path) == files.identity_of(found):
            for keymaps in _KEYMAPS:
                _remove_keymap(f"{keymaps}/server-{number}.xkm", start)
            posix.unlink(path)


def main() -> None:
    """Remove what is left of the display whose directories the command line names (the shell's last step)."""
    for number in (_signal.SIGHUP, _signal.SIGINT, _signal.SIGQUIT, _signal.SIGTERM, _signal.SIGPIPE):
        _signal.signal(number, _signal.SIG_IGN)
    remove(*sys.argv[2:4], group=posix.getpid(), is_held=True)  # the shell has inherited the lock
    posix._exit(0)  # noqa: SLF001 - its public name


def _sweep_directory(path: str, pid: int, started: str, namespace: str) -> None:
    descriptor = posix.open(path, posix.O_RDONLY | posix.O_DIRECTORY | posix.O_NOFOLLOW | posix.O_CLOEXEC)
    try:
        found = posix.fstat(descriptor)
        if found.st_uid != posix.geteuid() or found.st_mode & 0o077:
            return
        is_near = namespace == files.pid_namespace()
        if is_near and files.start_time(pid) == started:
            return  # its owner lives, and will end it
        if not is_near and time.time() - found.st_mtime < _NEW:
            return
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        marks = files.read_note(path, "what").split("\n")[2:3]
        if is_near and any(descendants.is_this_process_marked(descendants.parse_marks(mark)) for mark in marks):
            return  # this process is one of the programs that would be ended
        remove(path, has_processes=is_near)
    finally:
        posix.close(descriptor)


# -- processes ---------------------------------------------------------------------------------------------------------


def _end_programs(directory: str, marks: range) -> None:
    """End all processes that have one of these marks, which are the display's alone, and started after its owner."""
    owner = files.directory_owner(directory.rpartition("/")[2])
    if marks and owner is not None:
        pid, started, _ = owner
        descendants.Descendants(marks, set(), {}, int(started), pid).end()


def _end_processes(directory: str, spared: int) -> list[int]:
    """End the server (SIGTERM, then SIGKILL), its shell and supervisor (SIGKILL); return the server's process id."""
    servers, keepers = _find_processes(directory)
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
        if not any(pid in found for found in _find_processes(directory)):  # the number is another process's by now
            return
        for number in signals:
            if number == _signal.SIGKILL and posix.getpgid(pid) == pid:  # the shell; its children are in its group
                process_groups.signal_group(pid, number)
            _signal.pidfd_send_signal(pidfd, number)
            _signal.pidfd_send_signal(pidfd, _signal.SIGCONT)  # a stopped process gets SIGTERM only when it continues
            if process_groups.wait((pidfd,), time.monotonic() + process_groups.GRACE) == pidfd:
                break
        posix.waitid(posix.P_PIDFD, pidfd, posix.WEXITED | posix.WNOHANG)  # reap it where we are a subreaper
    except (ProcessLookupError, ChildProcessError):
        pass  # it has ended, and is not our child
    finally:
        posix.close(pidfd)


def _find_processes(directory: str) -> tuple[list[int], list[int]]:
    """Return the servers, and the shells and interpreters, that have a directory on their command line."""
    place = directory.encode(sys.getfilesystemencoding(), "surrogateescape")
    of_server = b"\0-auth\0" + place + b"/Xauthority\0-displayfd\0"
    of_keeper = (b"\0" + place + b"\0", b"\0directory=" + place + b"\0")  # of `main`; of shell and supervisor
    servers, keepers = [], []
    for entry in posix.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/cmdline", "rb") as file:  # noqa: PTH123 - pathlib is slow to import
                    line = file.read()
                if posix.stat(f"/proc/{entry}").st_uid != posix.geteuid():
                    continue
            except OSError:
                continue  # it has ended
            if BOOT.encode() in line and any(words in line for words in of_keeper):
                keepers.append(int(entry))
            elif of_server in line:
                servers.append(int(entry))
    return servers, keepers


# -- files -------------------------------------------------------------------------------------------------------------


def _within(made: float, start: float) -> bool:
    return -1 <= made - start <= _START


def _is_dead(path: str) -> bool:
    """Tell whether no process listens on a socket, in any namespace."""
    for pause in (_RETRY, 0.0):
        client = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        client.setblocking(False)
        try:
            client.connect(path)
        except ConnectionRefusedError:
            time.sleep(pause)
        except OSError:
            return False
        else:
            return False
        finally:
            client.close()
    return True


def _remove_keymap(path: str, start: float) -> None:
    """Remove a keymap of a server that was killed while it started; as a rule there is none."""
    try:
        found = posix.lstat(path)
        if found.st_uid == posix.geteuid() and _within(found.st_mtime, start):
            posix.unlink(path)
    except OSError:
        pass


def _remove_kept(directory: str, screens: int, is_held: bool) -> None:
    """Remove the framebuffers from the caller's own directory, unless another display uses that by now."""
    descriptor = -1
    try:
        if not is_held:
            descriptor = files.lock(directory)
        files.remove_framebuffers(directory, screens)
    except (BlockingIOError, FileNotFoundError):
        return
    finally:
        if descriptor >= 0:
            posix.close(descriptor)
