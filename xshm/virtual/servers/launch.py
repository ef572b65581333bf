"""How a server and its supervisor come to be: one process from the start, so that there is no moment without it.

A shell starts another one and waits. That makes the private directories and the authority file, starts the server, and
becomes the supervisor (exec): the server gets ready while the interpreter does. Whatever was made, the supervisor takes
away. Where it was killed before, the shell above it runs an interpreter that does (`remains`), unless nothing has shown
yet that it is one: then the owner does, who chose the directories' names, and only if that is dead too the shell.

The shell above is the owner's child, and the supervisor is not: some masters kill their workers' children when a worker
has ended (Ray), and would leave a server without supervisor. It leads the process group in which all of them are.
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

from xshm._signal_safety import Descriptor, owned, pipe
from xshm.errors import StartFailed
from xshm.system import limits
from xshm.system.kernel_errors import is_the_kernels
from xshm.virtual.servers import remains
from xshm.virtual.servers import server_files as files
from xshm.virtual.servers.server_log import above_standard

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xshm.virtual.servers.server_log import ServerLog

# What stops a terminal's programs does not end the shell above; a subshell has none of its traps, so that the server
# hears of it. The server keeps descriptors that it has no use for; the line to the owner is not among them. From $! on
# it is the supervisor's child. The cookie comes by a pipe: an environment can be read as long as there is the process.
# What a shell says of a child that was killed, all of its source with some, is not for the log.
_SHELL: Final = """
python=$1 flags=$2 boot=$3 clean=$4 package=$5 ready=$6 owner=$7 screens=$8
shift 8
entry=$1 life=$2 places=$3 directory=$4 memory=$5 kept=$6 kind=$7 tee=$8
shift 8
errors=$1 mark=$2
shift 2
trap : HUP INT QUIT TERM USR1 USR2 PIPE TSTP TTIN TTOU
exec FREE>&2 2>/dev/null
(
  exec 2>&FREE FREE>&-
  server=
  if [ $# -gt 0 ]; then
    server=failed
    if mkdir -m 700 "$directory" ${memory:+"$memory"} &&
      printf '%s\n' "$kind" "$screens" "$mark" "$memory" "$kept" >"$directory/what" &&
      read -r cookie <"/proc/self/fd/$entry" && printf %b "$cookie" >"$directory/Xauthority"
    then
      ( umask 077; [ -z "$errors" ] || exec 2>"$errors"; exec "$@" 3>&1 >&2 </dev/null ) &
      server=$!
      echo "$server" >"$directory/pid"
    fi
  fi
  trap '' HUP INT QUIT TERM USR1 USR2 PIPE TSTP TTIN TTOU
  exec "$python" -I -S $flags -c "$boot" "$package" "$ready" "$owner" "$screens" "$life" "$places" \
    "$directory" "$memory" "$kept" "$server" "$kind" "$tee" >/dev/null
)
status=$?
exec 2>&FREE FREE>&-
if [ -n "$directory" ] && [ -d "$directory" ]; then
  exec >/dev/null
  echo "gone $status" 2>/dev/null >&0
  [ -e "$directory/supervisor" ] || { read -r end; kill -TERM 0; }
  exec "$python" -I -S $flags -c "$clean" "$package" "$directory" "$memory"
fi
exit $status
"""
_READY_FD: Final = "3"
_PATIENCE: Final = 10.0  # seconds that a supervisor has to end a server that is only just starting
# The package's own __init__ and site-packages stay out: an interpreter without them is up in half the time.
_BOOT: Final = f"{remains.BOOT}from xshm.virtual.servers.supervisor import main; main()"
_CLEAN: Final = f"{remains.BOOT}from xshm.virtual.servers.remains import main; main()"
# An ignored SIGCHLD is inherited by the server, which then fails to hear of xkbcomp, and no shell can undo it.
_RESET_SIGCHLD: Final = (
    "import _signal, posix, sys; _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL); "
    "posix.execv(sys.argv[1], sys.argv[1:])"
)
# Names an interpreter for supervisors, where sys.executable is none: an application that was frozen, or embeds Python.
_INTERPRETER: Final = "XSHM_PYTHON"
WAY_OUT: Final = f"set {_INTERPRETER} to the path of a Python 3.11 or newer"
# Set for supervisors alone. An application that finds it was started in the place of one, and must not start another.
_MARK: Final = {"XSHM_SUPERVISOR": "1"}


@dataclass(frozen=True, slots=True)
class Directories:
    """Directories ("": none): for the authority file, for framebuffers that are handed over, for those that stay.

    `swept` are those in which killed displays may have left something.
    """

    files: str = ""
    memory: str = ""
    kept: str = ""
    screens: int = 0
    swept: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Launched:
    """A supervisor: our end of the line to it, the shell above it, its interpreter, its private directories ("")."""

    line: _socket.socket
    shell: subprocess.Popen[bytes]
    interpreter: str
    directory: str
    memory: str


def interpreter() -> str:
    """Return the path of the Python that is to run supervisors; raise StartFailed where none is known."""
    if _MARK.keys() <= os.environ.keys():
        raise StartFailed(
            f"this process was started to look after a display, by another one that took {sys.executable} for a Python "
            f"interpreter; {WAY_OUT} there"
        )
    named = os.environ.get(_INTERPRETER, "")
    if named:
        return _checked(named, _INTERPRETER)
    if getattr(sys, "frozen", False):
        raise StartFailed(
            f"a display is looked after by a Python interpreter, and {sys.executable} is a frozen application; "
            f"{WAY_OUT}, and bring {Path(__file__).parent / 'supervisor.py'} and its neighbours as source files"
        )
    if not sys.executable:
        raise StartFailed(f"sys.executable names no interpreter, and a display's supervisor needs one; {WAY_OUT}")
    return _checked(sys.executable, "sys.executable")


def _checked(path: str, origin: str) -> str:
    # Not os.path.isfile, which swallows what a signal handler raises.
    if not os.access(path, os.X_OK) or os.access(f"{path}/.", os.F_OK):
        raise StartFailed(f"{origin} is {path}, which is no program that can be run; {WAY_OUT}")
    return path


def launch(server: Sequence[str], log: ServerLog, places: Directories, mark: int, started: list[Launched]) -> None:
    """Start a server (no words: none) and its supervisor, and add that to `started`, whose owner is to end it.

    Whatever is raised, by a signal handler too, one is left running if it is in there, and none if it is not. `mark` is
    a number of the display's programs (descendants.py), which is written down for those who have to end them.
    """
    python = interpreter()
    shells: list[subprocess.Popen[bytes]] = []
    with contextlib.ExitStack() as if_not_started:
        if_not_started.callback(_reap, shells, started)
        # Not socket.socketpair, which is in Python, and has descriptors without an owner for a moment.
        ours, theirs = _socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        if_not_started.callback(_close, ours, started)
        if_not_started.callback(theirs.close)
        ready, server_ready = map(above_standard, pipe())
        entry, entry_end = map(above_standard, pipe())
        life, _other_end = map(above_standard, pipe())  # both ends open until the server has inherited one
        owner = above_standard(_pidfd_of_this_process())
        passed: list[int] = [ready, owner, entry, life]
        tee, errors = "", ""
        if log.target >= 0 and server:
            reads, writes = map(above_standard, pipe())
            passed += [reads, writes, log.target]
            tee, errors = f"{reads},{writes},{log.target}", f"/proc/self/fd/{writes}"
        if places.kept:
            passed.append(above_standard(_claim(places.kept, places.screens)))
            if_not_started.callback(_remove_framebuffers, places, started)
            _make_framebuffers(places.kept, places.screens)
        token = secrets.token_hex(8)
        directory, memory = (remains.name(place, token) if place else "" for place in (places.files, places.memory))
        first = ["-auth", f"{directory}/Xauthority", "-displayfd", _READY_FD]  # before what may swallow it, as -I does
        if memory or places.kept:
            first += ["-fbdir", memory or places.kept]
        words = [server[0], *first, *server[1:]] if server else []
        free = next(digit for digit in range(4, 10) if digit not in passed)  # dash knows no greater ones
        shell = ["/bin/sh", "-c", _SHELL.replace("FREE", str(free)), "sh"]
        shell += [python, "-B" if sys.dont_write_bytecode else "", _BOOT, _CLEAN]
        shell += [str(Path(__file__).parents[2]), str(ready), str(owner), str(places.screens), str(entry), str(life)]
        shell += ["\n".join(places.swept), directory, memory, places.kept, "sysv" if "-shmem" in server else ""]
        shell += [tee, errors, str(mark)]
        if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:
            shell = [python, "-I", "-S", "-c", _RESET_SIGCHLD, *shell]
        os.write(entry_end, _for_shell(files.entry(secrets.token_bytes(files.COOKIE_SIZE))))
        # In a group of its own, so that a Ctrl-C in the terminal does not reach it; in our session, so that programs
        # can be put into the groups that it makes.
        # Known before it is started: interrupted, a Popen forgets what it has started.
        shells.append(process := subprocess.Popen.__new__(subprocess.Popen))
        subprocess.Popen.__init__(
            process,
            [*shell, *words],
            stdin=theirs.fileno(),
            stdout=server_ready,
            stderr=log.log,
            pass_fds=passed,
            process_group=0,
            env=os.environ | _MARK,
        )
        started.append(Launched(ours, process, python, directory, memory))


def _close(line: _socket.socket, started: list[Launched]) -> None:
    """Close the line to a supervisor, which it ends by, unless it was handed over."""
    if not started:
        line.close()


def _remove_framebuffers(places: Directories, started: list[Launched]) -> None:
    """Remove the framebuffers' files that were made for a server, unless it was handed over."""
    if not started:
        files.remove_framebuffers(places.kept, places.screens)


def _reap(shells: list[subprocess.Popen[bytes]], started: list[Launched]) -> None:
    """Wait for the end of a supervisor that was not handed over; it takes away what it has started."""
    for process in shells if not started else ():
        if getattr(process, "pid", None) is None:
            continue
        try:
            process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # it is another program than a supervisor
            process.wait()


def _for_shell(data: bytes) -> bytes:
    """Return a line for `read -r` that printf's %b makes these bytes of."""
    return "".join(f"\\0{byte:03o}" for byte in data).encode() + b"\n"


def _pidfd_of_this_process() -> Descriptor:
    try:
        return owned(os.pidfd_open, os.getpid())
    except OSError as error:
        if limits.told(error) or not is_the_kernels(error):
            raise
        raise StartFailed(f"pidfd_open is refused ({error.strerror}); a display needs Linux 5.3 or newer") from error


def _make_framebuffers(directory: str, screens: int) -> None:
    """Make the files that the server is going to open, empty: closed to others from birth, and nobody's link."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    for screen in range(screens):
        path = f"{directory}/Xvfb_screen{screen}"
        try:
            owned(os.open, path, flags, 0o600)
        except FileExistsError as error:
            if not is_the_kernels(error):
                raise
            raise StartFailed(
                f"somebody else has just made {path}; take a directory that nobody else can write"
            ) from None


def _claim(directory: str, screens: int) -> Descriptor:
    """Make the caller's directory one display's, and clear what a killed one left in it.

    The lock holds as long as anybody has the descriptor, the server itself among them.
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
