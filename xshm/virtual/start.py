"""Start the server of a DisplaySpec in directories in which no other user can replace its files or its socket."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from xshm.errors import StartFailed
from xshm.virtual import directories
from xshm.virtual.servers.launch import Directories
from xshm.virtual.servers.server import SupervisedServer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xshm.virtual.servers.server_log import ServerLog
    from xshm.virtual.spec import DisplaySpec


def directories_of(spec: DisplaySpec) -> Directories:
    """Return the directories of a display's files. Raises StartFailed, InvalidArgument."""
    memory, kept = "", ""
    if isinstance(spec.framebuffer, Path):
        directories.check_kept(spec.framebuffer, spec.nbytes)
        kept = str(spec.framebuffer.resolve())
    elif spec.framebuffer == "file":
        memory = directories.memory_directory(spec.nbytes)
    swept = directories.swept_places()
    return Directories(directories.private_place(), memory, kept, len(spec.all_screens()), swept)


def start(command: Sequence[str], log: ServerLog, timeout: float, where: Directories) -> SupervisedServer:
    """Start a server. Raises StartFailed, also where its socket's directory has become another user's meanwhile."""
    try:
        server = SupervisedServer(command, log=log, timeout=timeout, directories=where)
    except StartFailed as error:
        if reason := directories.why_not_for_sockets():  # so `command` has -nolisten unix
            raise StartFailed(f"{error}; since {reason}, an abstract socket was all that it tried") from error
        raise
    # Checked again, now that the socket is there: the directory may have been given away, or made, during the start.
    if server.has_socket_file and (reason := directories.why_not_for_sockets(is_started=True)):
        server.end()  # programs would connect to another user's socket
        raise StartFailed(f"{reason} since a moment ago; started again, the display does without a socket there")
    return server
