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
import errno
import fcntl
import posix
import sys
import time

from xshm.virtual.processes import descendants, process_groups
from xshm.virtual.servers import server_files as files

TYPE_CHECKING = False  # typing is slow to import
if TYPE_CHECKING:
    from collections.abc import Callable

# The beginning of every `python -c` below: the package without its own __init__ and without site-packages, which halves
# the start of the interpreter. Its words are how `_role` recognises supervisors and shells.
BOOT = "import sys; xshm = type(sys)('xshm'); xshm.__path__ = [sys.argv[1]]; sys.modules['xshm'] = xshm; "
# The exit code of a supervisor that has left nothing to clean up: one that no shell gives, and hardly a program that is
# in the supervisor's place by mistake.
FINISHED = 93
_SERVER, _COMPOSITOR, _KEEPER = "server", "compositor", "shell or supervisor"
_KEYMAPS = ("/var/lib/xkb", "/tmp")  # noqa: S108 - where servers compile them
_NEW = 60.0  # seconds; an unlocked directory of another PID namespace may be that of a display that is only starting
_SWEEP = 2.0  # seconds, after which no further removal begins: programs may ignore SIGTERM, and a start must not wait
_START = 60.0  # seconds at most from the start of a server to its files, where it was killed before it was ready
_REMOVED = (errno.EINVAL, errno.EIDRM)  # of a segment that another process has removed meanwhile
_ROUNDING = 2.0  # seconds: a segment's time is one of whole seconds


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
    directory: str,
    framebuffers: tuple[str, int] = ("", 0),
    *,
    group: int = 0,
    is_held: bool = False,
    has_processes: bool = True,
) -> list[str]:
    """End what is left of the processes of a display whose supervisor is dead, and remove its files and segments.

    Return descriptions of the programs that did not end; all other processes have ended, a stopped supervisor too.
    `framebuffers`: the directory that the caller of VirtualDisplay named, and how many screens have their files there,
    for who knows it without the note: the owner makes these files before the script makes that. `group` is the
    display's process group, where the number is known to be still its own; the leader of it is spared.
    `is_held`: a living process of the display has the lock on the directory that the caller of VirtualDisplay named, so
    no other display uses that. `has_processes`: False for a display of another PID namespace.
    """
    kind, screens, mark, memory, kept = [*files.read_note(directory, "what").split("\n", 4), *[""] * 5][:5]
    creators = _noted_servers(directory)
    left = []
    if has_processes:
        left = _end_programs(directory, descendants.parse_marks(mark))
        creators += _end_processes(directory, spared=group)
        if group:
            end_keymap_compiler(group)
    remove_socket(directory)
    if kind == "sysv" and has_processes:  # a server that was just starting has noted itself meanwhile
        remove_segments(directory, creators + _noted_servers(directory))
    named, count = (kept[:-1], int(screens)) if kept.rstrip("\n") else framebuffers
    if named:
        _remove_kept(named, count, is_held)
    if memory:
        files.remove_directory(memory)
    files.remove_directory(directory)
    return left


def _noted_servers(directory: str) -> list[int]:
    return [int(pid) for pid in files.read_note(directory, "pid").split()]


def end_keymap_compiler(group: int) -> None:
    """Kill what a dead server has left in its process group, which must be still its own: an xkbcomp.

    That has inherited the server's socket, and writes a file when it is ready. The group's leader and this process are
    spared.
    """
    for pid in process_groups.members(group):
        if pid not in (group, posix.getpid()):
            _end(pid, lambda pid: posix.getpgid(pid) == group, (_signal.SIGKILL,))


def remove_socket(directory: str) -> None:
    """Remove the socket of a dead server: the one noted, or a dead one that was made while the server started.

    A server removes its socket itself, unless it is killed.
    """
    noted = files.read_note(directory, "socket").split()
    start = files.server_start(directory)
    try:
        numbers = noted[:1] or [each[1:] for each in posix.listdir(files.SOCKETS) if each[1:].isdigit()]
    except FileNotFoundError:
        return
    for number in numbers:
        path = f"{files.SOCKETS}/X{number}"
        found = files.socket_identity(path)
        if not found or (noted[1:] != found if noted else not _within(int(found[1]) / 1e9, start)):
            continue
        if files.is_socket_dead(path) and files.socket_identity(path) == found:
            for keymaps in _KEYMAPS:  # of a server that was killed while it started; as a rule there is none
                keymap = f"{keymaps}/server-{number}.xkm"
                if (made := files.status(keymap)) and _within(made.st_mtime, start):
                    files.remove_file(keymap)
            files.remove_file(path)


def remove_segments(directory: str, creators: list[int]) -> None:
    """Remove the System V segments that these processes made, which are dead, as servers of a display."""
    start = files.server_start(directory)  # a later segment is that of a process that got the server's number
    with open("/proc/sysvipc/shm") as table:  # noqa: PTH123 - pathlib is slow to import
        names, *rows = (line.split() for line in table)
    cpid, ctime, shmid = (names.index(name) for name in ("cpid", "ctime", "shmid"))
    for row in rows:
        if int(row[cpid]) in creators and _within(int(row[ctime]), start):
            from xshm import sysv  # noqa: PLC0415 - hardly ever needed, and ctypes is slow to import

            try:
                sysv.remove(int(row[shmid]))
            except OSError as error:
                if error.errno not in _REMOVED:
                    raise


def main() -> None:
    """Remove what is left of the display whose directories the command line names (the shell's last step)."""
    directory, kept, screens = sys.argv[2:]
    remove(directory, (kept, int(screens)), group=posix.getpid(), is_held=True)  # the shell has inherited the lock
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


def _end_programs(directory: str, marks: range) -> list[str]:
    """End all processes that have one of these marks, which are the display's alone, and started after its owner."""
    owner = files.directory_owner(directory.rpartition("/")[2])
    if not marks or owner is None:
        return []
    pid, started, _ = owner
    return descendants.Descendants(marks, set(), int(started), pid).end()


def _end_processes(directory: str, spared: int) -> list[int]:
    """End server and compositor (SIGTERM, then SIGKILL), shell and supervisor (SIGKILL); return the server's number."""
    roles = {pid: _role(pid, directory) for pid in map(int, filter(str.isdigit, posix.listdir("/proc")))}
    servers = [pid for pid, role in roles.items() if role == _SERVER]
    compositors = [pid for pid, role in roles.items() if role == _COMPOSITOR]
    keepers = [pid for pid, role in roles.items() if role == _KEEPER and pid not in (spared, posix.getpid())]
    for pid in servers:
        _end(pid, lambda pid: _role(pid, directory) == _SERVER)
    for pid in compositors:  # as a rule they have ended with their servers
        _end(pid, lambda pid: _role(pid, directory) == _COMPOSITOR)
    for pid in keepers:
        _end(pid, lambda pid: _role(pid, directory) == _KEEPER, (_signal.SIGKILL,))
    return servers


def _end(pid: int, is_it: Callable[[int], bool], numbers: tuple[int, ...] = process_groups.TERM_THEN_KILL) -> None:
    """End a process, unless its number is another's by now: `is_it` is asked once there is a pidfd."""
    try:
        pidfd = posix.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if is_it(pid):
            if posix.getpgid(pid) == pid:  # the shell, whose children are in its group
                process_groups.signal_group(pid, _signal.SIGKILL)
            process_groups.end_process(pidfd, numbers)
            posix.waitid(posix.P_PIDFD, pidfd, posix.WEXITED | posix.WNOHANG)  # reap it where we are a subreaper
    except (ProcessLookupError, ChildProcessError):
        pass  # it has ended, and is not our child
    finally:
        posix.close(pidfd)


def _role(pid: int, directory: str) -> str:
    """Return what a process of ours is that has a display's directory on its command line; "" for others."""
    place = directory.encode(sys.getfilesystemencoding(), "surrogateescape")
    of_keeper = (b"\0" + place + b"\0", b"\0directory=" + place + b"\0")  # of `main`; of shell and supervisor
    line = process_groups.read(pid, "cmdline") if files.status(f"/proc/{pid}") else b""
    if BOOT.encode() in line and any(words in line for words in of_keeper):
        return _KEEPER
    if b"=" + files.compositor_mark("").encode().join((place, b"\0")) in line:
        return _COMPOSITOR
    return _SERVER if b"\0-auth\0" + place + b"/Xauthority\0-displayfd\0" in line else ""


# -- files -------------------------------------------------------------------------------------------------------------


def _within(made: float, start: float) -> bool:
    return -_ROUNDING <= made - start <= _START


def _remove_kept(directory: str, screens: int, is_held: bool) -> None:
    """Remove the framebuffers from the caller's own directory, unless another display uses that by now."""
    if is_held:
        files.remove_framebuffers(directory, screens)
        return
    try:
        descriptor = files.lock(directory)
    except (BlockingIOError, FileNotFoundError):
        return
    try:
        files.remove_framebuffers(directory, screens)
    finally:
        posix.close(descriptor)
