"""How a server and its supervisor come to be: one process from the start, so that there is no moment without it.

A shell makes the private directories and the authority file, starts the server, and becomes the supervisor (exec): the
server gets ready while the interpreter does. Whatever the shell has made, the supervisor takes away.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from xshm import display_files as files
from xshm.errors import StartFailed

if TYPE_CHECKING:
    from collections.abc import Sequence

# The server keeps descriptors that it has no use for; the line to the owner is not among them. From $! on it is the
# supervisor's child, and what stops a terminal's programs does not reach either.
_SHELL: Final = """
python=$1 flags=$2 boot=$3 package=$4 ready=$5 owner=$6 screens=$7 directory=$8
shift 8
memory=$1 kept=$2 kind=$3
shift 3
server=
if [ $# -gt 0 ]; then
  server=failed
  if mkdir -m 700 "$directory" ${memory:+"$memory"} && printf %b "$XSHM_ENTRY" >"$directory/Xauthority"; then
    unset XSHM_ENTRY
    "$@" 3>&1 >&2 </dev/null &
    server=$!
  fi
fi
trap '' HUP INT QUIT TERM USR1 USR2 PIPE TSTP TTIN TTOU
exec "$python" -I -S $flags -c "$boot" "$package" \
  "$ready" "$owner" "$screens" "$directory" "$memory" "$kept" "$server" "$kind" >/dev/null
"""
_READY_FD: Final = "3"
# The package's own __init__ and site-packages stay out: an interpreter without them is up in half the time.
_BOOT: Final = (
    "import sys; xshm = type(sys)('xshm'); xshm.__path__ = [sys.argv[1]]; sys.modules['xshm'] = xshm; "
    "from xshm.supervisor import main; main()"
)


@dataclass(frozen=True, slots=True)
class Places:
    """Directories ("": none): for the authority file, for framebuffers that are handed over, for those that stay."""

    files: str = ""
    memory: str = ""
    kept: str = ""
    screens: int = 0


def launch(server: Sequence[str], log: int, places: Places) -> tuple[socket.socket, subprocess.Popen[bytes]]:
    """Start a server (no words: none) and its supervisor; return our end of the line to it, and its process."""
    if not sys.executable:
        raise StartFailed("sys.executable names no interpreter, and a display's supervisor needs one")
    with contextlib.ExitStack() as open_until_started:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        open_until_started.enter_context(theirs)
        kept_back = open_until_started.enter_context(contextlib.ExitStack())
        kept_back.callback(ours.close)
        ready, server_ready = os.pipe()
        owner = _pidfd_of_this_process()
        passed = [ready, owner]
        for descriptor in (ready, server_ready, owner):
            open_until_started.callback(os.close, descriptor)
        if places.kept:
            passed.append(_claim(places.kept, places.screens))
            open_until_started.callback(os.close, passed[-1])
        directory, memory = _name(places.files), _name(places.memory)
        words = [*server]
        if server:
            words += ["-auth", f"{directory}/Xauthority", "-displayfd", _READY_FD]
        if memory or places.kept:
            words += ["-fbdir", memory or places.kept]
        options = [str(ready), str(owner), str(places.screens), directory, memory, places.kept]
        kind = "sysv" if "-shmem" in server else ""
        flags = "-B" if sys.dont_write_bytecode else ""
        shell = [
            "/bin/sh",
            "-c",
            _SHELL,
            "sh",
            sys.executable,
            flags,
            _BOOT,
            str(Path(__file__).parent),
            *options,
            kind,
        ]
        # In a group of its own, so that a Ctrl-C in the terminal does not reach it; in our session, so that programs
        # can be put into the groups that it makes.
        process = subprocess.Popen(
            [*shell, *words],
            stdin=theirs.fileno(),
            stdout=server_ready,
            stderr=log,
            pass_fds=passed,
            process_group=0,
            # Not among the arguments, which every user can read.
            env=os.environ | {"XSHM_ENTRY": _for_printf(files.entry(secrets.token_bytes(files.COOKIE_SIZE)))},
        )
        kept_back.pop_all()
    return ours, process


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
        for screen in range(screens):
            Path(directory, f"Xvfb_screen{screen}").unlink(missing_ok=True)
    except BaseException as error:
        os.close(descriptor)
        if isinstance(error, BlockingIOError):
            raise StartFailed(f"another display keeps its framebuffer in {directory}; give each its own") from None
        raise
    return descriptor
