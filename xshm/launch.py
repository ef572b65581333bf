"""How a server and its supervisor come to be: one process from the start, so that there is no moment without it.

A shell makes the private directories and the authority file, starts the server, and becomes the supervisor (exec): the
server gets ready while the interpreter does. Whatever the shell has made, the supervisor takes away. Should the
interpreter turn out to be another program, the owner does: it chose the directories' names, and the shell leads the
process group in which the server is.
"""

from __future__ import annotations

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

from xshm import display_files as files
from xshm.errors import StartFailed
from xshm.server_log import above_standard

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xshm.server_log import ServerLog

# The server keeps descriptors that it has no use for; the line to the owner is not among them. From $! on it is the
# supervisor's child, and what stops a terminal's programs does not reach either.
_SHELL: Final = """
python=$1 flags=$2 boot=$3 package=$4 ready=$5 owner=$6 screens=$7 directory=$8
shift 8
memory=$1 kept=$2 kind=$3 tee=$4 errors=$5
shift 5
server=
if [ $# -gt 0 ]; then
  server=failed
  if mkdir -m 700 "$directory" ${memory:+"$memory"} && printf %b "$XSHM_ENTRY" >"$directory/Xauthority"; then
    unset XSHM_ENTRY
    ( [ -z "$errors" ] || exec 2>"$errors"; exec "$@" 3>&1 >&2 </dev/null ) &
    server=$!
  fi
fi
trap '' HUP INT QUIT TERM USR1 USR2 PIPE TSTP TTIN TTOU
exec "$python" -I -S $flags -c "$boot" "$package" \
  "$ready" "$owner" "$screens" "$directory" "$memory" "$kept" "$server" "$kind" "$tee" >/dev/null
"""
_READY_FD: Final = "3"
# The package's own __init__ and site-packages stay out: an interpreter without them is up in half the time.
_BOOT: Final = (
    "import sys; xshm = type(sys)('xshm'); xshm.__path__ = [sys.argv[1]]; sys.modules['xshm'] = xshm; "
    "from xshm.supervisor import main; main()"
)
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
class Places:
    """Directories ("": none): for the authority file, for framebuffers that are handed over, for those that stay."""

    files: str = ""
    memory: str = ""
    kept: str = ""
    screens: int = 0


@dataclass(frozen=True, slots=True)
class Launched:
    """A supervisor: our end of the line to it, its process, its interpreter, and what it is to remove in the end.

    `directories` are private ones; of `kept`, the caller's own, the framebuffers' files.
    """

    line: socket.socket
    process: subprocess.Popen[bytes]
    interpreter: str
    directories: tuple[str, ...]
    kept: str
    screens: int
    has_segments: bool


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
    if not (os.path.isfile(path) and os.access(path, os.X_OK)):  # noqa: PTH113 - a text throughout
        raise StartFailed(f"{origin} is {path}, which is no program that can be run; {WAY_OUT}")
    return path


def launch(server: Sequence[str], log: ServerLog, places: Places) -> Launched:
    """Start a server (no words: none) and its supervisor."""
    python = interpreter()
    with contextlib.ExitStack() as until_started, contextlib.ExitStack() as if_not_started:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        until_started.callback(theirs.close)
        if_not_started.callback(ours.close)
        ready, server_ready = _pipe(until_started)
        passed = [ready, above_standard(_pidfd_of_this_process())]
        until_started.callback(os.close, passed[-1])
        tee, errors = "", ""
        if log.target >= 0 and server:
            pipe = _pipe(until_started)
            passed += [*pipe, log.target]
            tee, errors = f"{pipe[0]},{pipe[1]},{log.target}", f"/proc/self/fd/{pipe[1]}"
        if places.kept:
            passed.append(above_standard(_claim(places.kept, places.screens)))
            until_started.callback(os.close, passed[-1])
        directory, memory = _name(places.files), _name(places.memory)
        first = ["-auth", f"{directory}/Xauthority", "-displayfd", _READY_FD]  # before what may swallow it, as -I does
        if memory or places.kept:
            first += ["-fbdir", memory or places.kept]
        words = [server[0], *first, *server[1:]] if server else []
        shell = ["/bin/sh", "-c", _SHELL, "sh", python, "-B" if sys.dont_write_bytecode else "", _BOOT]
        shell += [str(Path(__file__).parent), str(ready), str(passed[1]), str(places.screens)]
        has_segments = "-shmem" in server
        shell += [directory, memory, places.kept, "sysv" if has_segments else "", tee, errors]
        if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:
            shell = [python, "-I", "-S", "-c", _RESET_SIGCHLD, *shell]
        # In a group of its own, so that a Ctrl-C in the terminal does not reach it; in our session, so that programs
        # can be put into the groups that it makes.
        process = subprocess.Popen(
            [*shell, *words],
            stdin=theirs.fileno(),
            stdout=server_ready,
            stderr=log.log,
            pass_fds=passed,
            process_group=0,
            # Not among the arguments, which every user can read.
            env=os.environ | {"XSHM_ENTRY": _for_printf(files.entry(secrets.token_bytes(files.COOKIE_SIZE)))} | _MARK,
        )
        if_not_started.pop_all()
    private = tuple(name for name in (directory, memory) if name)
    return Launched(ours, process, python, private, places.kept, places.screens, has_segments)


def _pipe(closing: contextlib.ExitStack) -> tuple[int, int]:
    """Return both ends of a pipe, which is closed with the stack."""
    ends = []
    for end in os.pipe():
        ends.append(above_standard(end))
        closing.callback(os.close, ends[-1])
    return ends[0], ends[1]


def _name(parent: str) -> str:
    return f"{parent}/xshm-{secrets.token_hex(8)}" if parent else ""


def _for_printf(data: bytes) -> str:
    return "".join(f"\\0{byte:03o}" for byte in data)


def _pidfd_of_this_process() -> int:
    try:
        return os.pidfd_open(os.getpid())
    except OSError as error:
        raise StartFailed(f"pidfd_open is refused ({error.strerror}); a display needs Linux 5.3 or newer") from error


def _claim(directory: str, screens: int) -> int:
    """Make the caller's directory one display's, and clear what a killed one left in it.

    The lock holds as long as anybody has the descriptor, the server itself among them.
    """
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        files.remove_framebuffers(directory, screens)
    except BaseException as error:
        os.close(descriptor)
        if isinstance(error, BlockingIOError):
            raise StartFailed(f"another display keeps its framebuffer in {directory}; give each its own") from None
        raise
    return descriptor
