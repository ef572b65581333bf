"""Start a server with the Wayland compositor that it needs, connected by a socket pair: nobody else can connect.

Always true: the compositor has one client, the server, and no socket with a name. Either ends when the other does, by
SIGKILL too: weston when its primary client is gone, Xwayland when its connection is. Both are children of the caller,
the supervisor, which reaps them.

Imported by the supervisor, whose start-up time counts: no `os`, `signal`, `subprocess`, `typing` here.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # the C half of `signal`; its enums take longer than all other imports
import _socket
import fcntl
import posix

# Those that the supervisor ignores, or its interpreter, and a child would then ignore, too.
_RESET = (
    *(_signal.SIGHUP, _signal.SIGINT, _signal.SIGQUIT, _signal.SIGTERM, _signal.SIGUSR1, _signal.SIGUSR2),
    *(_signal.SIGPIPE, _signal.SIGTSTP, _signal.SIGTTIN, _signal.SIGTTOU, _signal.SIGXFSZ),
)
_ABOVE = 10  # the numbers of the sockets: not the one on which a server writes its number
# What would lead a compositor or a server elsewhere than to each other.
_ELSEWHERE = (b"DISPLAY", b"WAYLAND_DISPLAY", b"WAYLAND_SOCKET", b"WAYLAND_SERVER_SOCKET")


def start(compositor: list[str], server: list[str], directory: str, number: int, errors: int) -> tuple[int, int]:
    """Start both, and return the process ids of the compositor and of the server. Raises OSError.

    `directory` is private, where they may keep files; `number` the descriptor for the display's number, which the
    server gets as 3; `errors` the one for messages.
    """
    environment = {name: value for name, value in posix.environ.items() if name not in _ELSEWHERE}
    environment[b"XDG_RUNTIME_DIR"] = directory.encode("utf-8", "surrogateescape")
    ends = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM)
    theirs, ours = (fcntl.fcntl(end.fileno(), fcntl.F_DUPFD_CLOEXEC, _ABOVE) for end in ends)
    streams = [
        (posix.POSIX_SPAWN_OPEN, 0, "/dev/null", posix.O_RDONLY, 0),
        *((posix.POSIX_SPAWN_DUP2, errors, stream) for stream in (1, 2)),
    ]
    try:
        first = _spawn(compositor, environment, b"WAYLAND_SERVER_SOCKET", theirs, streams)
        streams.append((posix.POSIX_SPAWN_DUP2, number, 3))
        return first, _spawn(server, environment, b"WAYLAND_SOCKET", ours, streams)
    finally:  # where the server was not started, the compositor ends by that
        for end in ends:
            end.close()
        posix.close(theirs)
        posix.close(ours)


def _spawn(words: list[str], environment: dict[bytes, bytes], name: bytes, end: int, actions: list[tuple]) -> int:  # type: ignore[type-arg]
    posix.set_inheritable(end, True)
    try:
        variables = environment | {name: b"%d" % end}
        return posix.posix_spawn(words[0], words, variables, file_actions=actions, setsigdef=_RESET)
    finally:
        posix.set_inheritable(end, False)
