"""The server for one client alone (core protocol, GrabServer): all others wait, and seem to hang, until it is over.

Grabs do not nest, the first UngrabServer ends all of a client's: the threads that share a connection take turns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from xshm.system.deadlines import holding
from xshm.x11.protocol import core
from xshm.x11.protocol.requests import Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from xshm.x11.connection import Connection

_Result = TypeVar("_Result")


class _Grab:
    """A grab from `begin` to `end`. It ends with this too, whatever became of who was to end it (`x11.holdings`).

    Made before it is begun, so that `end` can be called whichever instruction of `begin` is interrupted.
    """

    def __init__(self, connection: Connection) -> None:
        request: Any = core.GrabServer
        self._connection = connection
        self._grab = grab = Request(request._request.to_binary())  # noqa: SLF001 - encodes without I/O
        self._held = connection.holdings.undo(core.UngrabServer, lapsed=lambda: not grab.serial)

    def begin(self) -> None:
        """Queue the grab: all that is asked after it is answered under it."""
        self._connection.wire.attend()  # the end of a former one, which was noted only, would be this one's
        self._connection.wire.send(self._grab)

    def end(self) -> None:
        """Let the others go on, now; as often as it takes."""
        self._connection.holdings.free(self._held)
        self._connection.flush()


def alone(connection: Connection, work: Callable[[], _Result]) -> _Result:
    """Do some work while the server serves nobody else. The others go on before anything that it raises is handled."""
    connection.check_for_error()  # after fork the lock may be held by a thread that only the parent has
    return holding(connection.alone, _alone, connection, work)


def _alone(connection: Connection, work: Callable[[], _Result]) -> _Result:
    grab = _Grab(connection)
    # A signal handler may raise in the middle of the end, too, and another one in the middle of the next attempt.
    try:
        try:
            try:
                grab.begin()
                return work()
            finally:
                grab.end()
        except BaseException:
            grab.end()
            raise
    except BaseException:
        grab.end()
        raise
