"""GrabServer (core protocol): work during which the server serves no other client, so that all others hang.

1. A grab ends with its work, whatever exception ends that. Where a signal handler's exception interrupts the ungrab
   too, the grab ends with the last reference to its ServerResource (`x11.io.resources`).
2. Grabs do not nest: the first UngrabServer ends all grabs of a client.

Locking rules: because of 2, one thread of a connection at a time has the grab, and `Connection.grab_lock`, which is
taken before the Wire's own lock, never inside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from xshm.system.deadlines import holding
from xshm.x11.connection import pack_request
from xshm.x11.protocol import core

if TYPE_CHECKING:
    from collections.abc import Callable

    from xshm.x11.connection import Connection

_Result = TypeVar("_Result")


class _Grab:
    """A grab from `begin` to `end`, or until this object is dropped.

    It is made before it begins, so that `end` can be called wherever `begin` was interrupted.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._grab = grab = pack_request(core.GrabServer)
        # No UngrabServer where no GrabServer was sent: it would end the grab of another thread.
        self._held = connection.resources.undone_by(core.UngrabServer, lapsed=lambda: not grab.serial)

    def begin(self) -> None:
        """Queue GrabServer: all requests after it are processed under the grab."""
        # First the deferred UngrabServer of an interrupted grab: sent later, it would end this one.
        self._connection.wire.run_deferred()
        self._connection.wire.send(self._grab)

    def end(self) -> None:
        """Send UngrabServer now; it may be called several times."""
        self._connection.resources.free(self._held)
        self._connection.flush()


def with_server_grabbed(connection: Connection, work: Callable[[], _Result]) -> _Result:
    """Call `work` under a grab and return its result. The grab ends before an exception of `work` is handled."""
    connection.check_for_error()  # after fork the lock may be held by a thread that only the parent has
    return holding(connection.grab_lock, _with_server_grabbed, connection, work)


def _with_server_grabbed(connection: Connection, work: Callable[[], _Result]) -> _Result:
    grab = _Grab(connection)
    # Three times: a signal handler may raise in the middle of the first `end`, and another one in the second.
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
