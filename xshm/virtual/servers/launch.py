"""Start a server and its supervisor at once: there is no moment at which the server runs without one.

The owner starts one shell, whose script (`launch_script`) makes the private directories and the authority file, starts
the server, and becomes the supervisor. The shell is the owner's child, the supervisor is not. Both, and the server, are
in one process group, which the shell leads, so that a Ctrl-C in the terminal does not reach them.

Always true, whatever a signal handler raises: after `launch`, a shell that is in `started` runs and is the caller's to
end; if `started` is empty, no process and no file is left.
"""

from __future__ import annotations

import _socket
import contextlib
import fcntl
import os
import secrets
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from xshm._signal_safety import Descriptor, is_the_kernels, owned, pipe
from xshm.errors import StartFailed
from xshm.system import limits
from xshm.virtual.processes.error_pipe import OwningPopen
from xshm.virtual.servers import cleanup, launch_script
from xshm.virtual.servers import server_files as files
from xshm.virtual.servers.server_log import above_standard

if TYPE_CHECKING:
    from collections.abc import Callable

    from xshm.virtual.kinds.server_command import ServerCommand
    from xshm.virtual.servers.server_log import ServerLog

_PATIENCE: Final = 10.0  # seconds that a supervisor has to end a server that is only just starting
_BOOT: Final = f"{cleanup.BOOT}from xshm.virtual.servers.supervisor import main; main()"
_CLEAN: Final = f"{cleanup.BOOT}from xshm.virtual.servers.cleanup import main; main()"
# A server that inherits an ignored SIGCHLD gets no exit code of xkbcomp, and no shell can undo that.
_RESET_SIGCHLD: Final = (
    "import _signal, posix, sys; _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL); "
    "posix.execv(sys.argv[1], sys.argv[1:])"
)
# The interpreter for supervisors where sys.executable is none: applications that are frozen, or embed Python.
_INTERPRETER: Final = "XSHM_PYTHON"
PYTHON_HINT: Final = f"set {_INTERPRETER} to the path of a Python 3.11 or newer"
# In the environment of supervisors alone. An application that finds it was started in place of an interpreter, and must
# not start one more.
_IN_PLACE_OF_SUPERVISOR: Final = {"XSHM_SUPERVISOR": "1"}


@dataclass(frozen=True, slots=True)
class Directories:
    """Where a display's files go; "" for none.

    `files`: below this directory, the private one with the authority file. `memory`: below this one, the private one
    with framebuffers that are handed to the owner. `kept`: the caller's own, with the framebuffers of `screens` screens
    that stay as long as the display. `swept`: those in which killed displays may have left something.
    """

    files: str = ""
    memory: str = ""
    kept: str = ""
    screens: int = 0
    swept: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Launched:
    """A supervisor: our end of the control socket, the shell above it, its interpreter, its private directory.

    `framebuffers`: the caller's own directory, and how many screens have their files there.
    """

    control: _socket.socket
    shell: subprocess.Popen[bytes]
    interpreter: str
    directory: str
    framebuffers: tuple[str, int]


def interpreter() -> str:
    """Return the path of the Python that is to run supervisors; raise StartFailed where none is known."""
    if _IN_PLACE_OF_SUPERVISOR.keys() <= os.environ.keys():
        raise StartFailed(
            f"this process was started to look after a display, by another one that took {sys.executable} for a Python "
            f"interpreter; {PYTHON_HINT} there"
        )
    named = os.environ.get(_INTERPRETER, "")
    if named:
        return _checked(named, _INTERPRETER)
    if getattr(sys, "frozen", False):
        raise StartFailed(
            f"a display is looked after by a Python interpreter, and {sys.executable} is a frozen application; "
            f"{PYTHON_HINT}, and bring {Path(__file__).parent / 'supervisor.py'} and its neighbours as source files"
        )
    if not sys.executable:
        raise StartFailed(f"sys.executable names no interpreter, and a display's supervisor needs one; {PYTHON_HINT}")
    return _checked(sys.executable, "sys.executable")


def _checked(path: str, origin: str) -> str:
    # Not os.path.isfile, which swallows what a signal handler raises.
    if not os.access(path, os.X_OK) or os.access(f"{path}/.", os.F_OK):
        raise StartFailed(f"{origin} is {path}, which is no program that can be run; {PYTHON_HINT}")
    return path


def launch(
    server: ServerCommand | None, log: ServerLog, directories: Directories, mark: int, started: list[Launched]
) -> None:
    """Start a server, if any, and its supervisor, and append that to `started`, whose owner is to end it.

    `mark` is one of the display's programs (`descendants`); it is noted for a cleanup after a kill. Raises StartFailed.
    """
    python = interpreter()
    shells: list[subprocess.Popen[bytes]] = []
    with contextlib.ExitStack() as undo:  # in reverse; only `theirs` is closed after a start, too
        undo.callback(_unless, started, _reap, shells)
        # Not socket.socketpair, which is in Python: between its lines the descriptors have no owner.
        ours, theirs = _socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        undo.callback(_unless, started, ours.close)  # on which the supervisor ends everything
        undo.callback(theirs.close)
        ready, server_ready = map(above_standard, pipe())
        cookie_pipe, cookie_end = map(above_standard, pipe())
        parent_death, _other_end = map(above_standard, pipe())  # both are open until the server has inherited one
        owner = above_standard(_pidfd_of_this_process())
        passed: list[int] = [ready, cookie_pipe, parent_death, owner]
        tee, errors = "", ""
        if log.target >= 0 and server is not None:
            reads, writes = map(above_standard, pipe())
            passed += [reads, writes, log.target]
            tee, errors = f"{reads},{writes},{log.target}", f"/proc/self/fd/{writes}"
        kept = directories.kept
        if kept:
            passed.append(above_standard(_claim(kept, directories.screens)))
        token = secrets.token_hex(8)
        directory, memory = (
            files.directory_name(parent, token) if parent else "" for parent in (directories.files, directories.memory)
        )
        compositor, words = [], []
        if server is not None:
            compositor = server.compositor_words(files.compositor_mark(directory))
            words = server.words(directory, memory or kept)
        values = {
            "python": python,
            "flags": "-B" if sys.dont_write_bytecode else "",
            "boot": _BOOT,
            "clean": _CLEAN,
            "finished": cleanup.FINISHED,
            "package": Path(__file__).parents[2],
            "free": next(digit for digit in range(4, 10) if digit not in passed),
            "ready": ready,
            "owner": owner,
            "cookie_pipe": cookie_pipe,
            "parent_death": parent_death,
            "screens": directories.screens,
            "swept": "\n".join(directories.swept),
            "directory": directory,
            "memory": memory,
            "kept": kept,
            "kind": "sysv" if server is not None and server.makes_segments else "",
            "tee": tee,
            "errors": errors,
            "mark": mark,
            "compositor": len(compositor),
        }
        shell = launch_script.command_line(values, [*compositor, *words])
        if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:
            shell = [python, "-I", "-S", "-c", _RESET_SIGCHLD, *shell]
        os.write(cookie_end, _escaped(files.authority_entry(secrets.token_bytes(files.COOKIE_SIZE))))
        if kept:  # as late as can be: until the shell has started, a kill of this process leaves them
            undo.callback(_unless, started, files.remove_framebuffers, kept, directories.screens)
            _make_framebuffers(kept, directories.screens)
        # In the list before it is started: an interrupted Popen forgets the process that it has started.
        shells.append(process := OwningPopen.__new__(OwningPopen))
        OwningPopen.__init__(
            process,
            shell,
            stdin=theirs.fileno(),
            stdout=server_ready,
            stderr=log.log,
            pass_fds=passed,
            process_group=0,  # and not a session: programs can be put only into groups of their own session
            env=os.environ | _IN_PLACE_OF_SUPERVISOR,
        )
        started.append(Launched(ours, process, python, directory, (kept, directories.screens)))


def _unless(started: list[Launched], undo: Callable[..., object], *arguments: object) -> None:
    """Undo a step of a start, unless the start was completed."""
    if not started:
        undo(*arguments)


def _reap(shells: list[subprocess.Popen[bytes]]) -> None:
    """Wait for the shell of a failed start, which ends when its supervisor has removed what it had made."""
    for process in shells:
        if getattr(process, "pid", None) is None:
            continue
        try:
            process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # it is no supervisor but another program
            process.wait()


def _escaped(data: bytes) -> bytes:
    """Return a line for `read -r` that printf's %b turns into these bytes."""
    return "".join(f"\\0{byte:03o}" for byte in data).encode() + b"\n"


def _pidfd_of_this_process() -> Descriptor:
    try:
        return owned(os.pidfd_open, os.getpid())
    except OSError as error:
        if limits.explain(error) or not is_the_kernels(error):
            raise
        # An old kernel, or a container's seccomp filter: this first pidfd of a start tells, before a file is made.
        raise StartFailed(f"pidfd_open is refused ({error.strerror}); a display needs Linux 5.3 or newer") from error


def _make_framebuffers(directory: str, screens: int) -> None:
    """Make the empty files that the server will open: private at once, and not through another user's link."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    for screen in range(screens):
        path = files.framebuffer_file(directory, screen)
        try:
            owned(os.open, path, flags, 0o600)
        except FileExistsError as error:
            if not is_the_kernels(error):
                raise
            raise StartFailed(
                f"somebody else has just made {path}; take a directory that nobody else can write"
            ) from None


def _claim(directory: str, screens: int) -> Descriptor:
    """Lock the caller's directory for one display, and remove what a killed one left in it.

    The lock lasts as long as any process has the descriptor open, the server among them.
    """
    descriptor = owned(os.open, directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        if not is_the_kernels(error):
            raise
        raise StartFailed(f"another display keeps its framebuffer in {directory}; give each its own") from None
    files.remove_framebuffers(directory, screens)
    return descriptor
