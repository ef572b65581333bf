"""Starting the server of a DisplaySpec where nobody else has a hand in it: its directories, and its socket's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from xshm.errors import StartFailed
from xshm.virtual.servers.launch import Directories
from xshm.virtual.servers.server import SupervisedServer
from xshm.virtual.spec import private_place, swept_places, why_not_for_sockets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xshm.virtual.servers.server_log import ServerLog
    from xshm.virtual.spec import DisplaySpec


def places_of(spec: DisplaySpec) -> Directories:
    """Return where a display's files go; raises StartFailed, InvalidArgument."""
    memory, kept = "", ""
    if isinstance(spec.framebuffer, Path):
        spec.check_kept(spec.framebuffer)
        kept = str(spec.framebuffer.resolve())
    elif spec.framebuffer == "file":
        memory = spec.memory_directory()
    return Directories(private_place(), memory, kept, len(spec.all_screens()), swept_places())


def start(command: Sequence[str], log: ServerLog, timeout: float, places: Directories) -> SupervisedServer:
    """Start a server; raises StartFailed, also where its socket is in a directory that has become somebody else's."""
    try:
        supervision = SupervisedServer(command, log=log, timeout=timeout, places=places)
    except StartFailed as error:
        if reason := why_not_for_sockets():
            raise StartFailed(f"{error}; since {reason}, an abstract socket was all that it tried") from error
        raise
    if supervision.has_socket_file and (reason := why_not_for_sockets(is_started=True)):
        supervision.end()
        raise StartFailed(f"{reason} since a moment ago; started again, the display does without a socket there")
    return supervision
