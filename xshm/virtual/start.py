"""Start the server of a DisplaySpec in directories in which no other user can replace its files or its socket.

Which server it is, `kinds.choice` says; here and below no kind is known by its name.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from xshm.errors import StartFailed
from xshm.virtual import directories
from xshm.virtual.kinds import choice
from xshm.virtual.servers.launch import Directories
from xshm.virtual.servers.server import SupervisedServer

if TYPE_CHECKING:
    from xshm.virtual.kinds.choice import ServerChoice
    from xshm.virtual.kinds.server_command import ServerCommand
    from xshm.virtual.servers.server_log import ServerLog
    from xshm.virtual.spec import DisplaySpec


def command_of(spec: DisplaySpec, chosen: ServerChoice) -> ServerCommand:
    """Return what is run for a display."""
    command = choice.command(spec, chosen)
    if not directories.has_socket_directory():
        # A server that can't write there tries all 65,536 numbers and gives up. Another user who owns the directory
        # could put his own socket in place of the server's. The abstract socket is enough, and needs no directory.
        command = command.with_options("-nolisten", "unix")
    return command


def directories_of(spec: DisplaySpec, command: ServerCommand) -> Directories:
    """Return the directories of a display's files. Raises StartFailed, InvalidArgument."""
    memory, kept = "", ""
    if isinstance(spec.framebuffer, Path):
        directories.check_kept(spec.framebuffer, spec.nbytes)
        kept = str(spec.framebuffer.resolve())
    elif spec.framebuffer in ("auto", "file") and command.framebuffers:
        memory = directories.memory_directory(spec.nbytes)
    swept = directories.swept_places()
    private = directories.private_place([name for _, name in command.files])
    return Directories(private, memory, kept, len(spec.all_screens()), swept)


def start(command: ServerCommand, log: ServerLog, timeout: float, where: Directories) -> SupervisedServer:
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
