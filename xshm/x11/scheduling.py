"""Whom the server serves when: `with_server_grabbed`, work during which all other clients hang; and the end of a turn.

1. A grab (GrabServer, core protocol) ends with its work, whatever exception ends that. Where a signal handler's
   exception interrupts the ungrab too, the grab ends with the last reference to its ServerResource (`io.resources`).
2. Grabs do not nest: the first UngrabServer ends all grabs of a client.

Locking rules: because of 2, one thread of a connection at a time has the grab, and `Connection.grab_lock`, which is
taken before the Wire's own lock, never inside it.

Turns: the server processes requests of one client until it finds no further one, for 20 ms at most, and answers each at
once. So a client that sends its next request as soon as it has a reply may have many of them processed in one turn.
What the server does between turns, such as to paint its pointer again, which it took off for a GetImage, waits until
then. A second round trip does not help for certain: beside busy programs the pointer was missing after two of them in 1
of 20,000 pictures. Await (SYNC 3.0) ends the turn, since it suspends the client, here for a condition that is met
already. Source: "X Synchronization Extension Protocol"; the X server (dix/dispatch.c, os/io.c, mi/misprite.c);
experiments with Xvfb 21.1.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, TypeVar

from xshm.system.deadlines import holding
from xshm.x11.connection import pack_request
from xshm.x11.protocol import core
from xshm.x11.protocol.requests import Request
from xshm.x11.protocol.structures import request_struct
from xshm.x11.protocol.xlib import rq

if TYPE_CHECKING:
    from collections.abc import Callable

    from xshm.x11.connection import Connection

_SYNC: Final = "SYNC", (3, 0)
_COUNTER: Final = rq.Card32  # python-xlib knows no COUNTER resource; an id is 32 bits
_ABSOLUTE, _POSITIVE_COMPARISON = 0, 2  # the condition of an Await: the counter is at least the wait value
# Await of one condition: counter, value type, wait value (its high and low half), test type, event threshold (halves).
_AWAIT: Final = struct.Struct("=BBHIIiIIiI")
_NO_EVENT: Final = 0x7FFF_FFFF, 0xFFFF_FFFF  # the greatest threshold: no counter is so far beyond the wait value

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


# -- turns -------------------------------------------------------------------------------------------------------------


class TurnEnd:
    """Ends turns of one connection, at `queue`. Raises ExtensionMissing; every server of this century has SYNC."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        opcode = connection.require(*_SYNC, "to wait for what the server does between clients").major
        self._counter = connection.resources.new_id(DestroyCounter, "counter", opcode=opcode)
        create = connection.send(CreateCounter, opcode=opcode, counter=self._counter, high=0, low=0)
        connection.check(create, doing="make a counter")
        self._request = pack_await(opcode, self._counter)

    def queue(self) -> None:
        """Queue the request; it is sent with the next one, which the server processes in another turn."""
        self._connection.wire.send(Request(self._request))


class CreateCounter(rq.Request):
    """Make a counter of this initial value, whose halves are `high` and `low`."""

    _request = request_struct(2, _COUNTER("counter"), rq.Card32("high"), rq.Card32("low"))


class DestroyCounter(rq.Request):
    """Free a counter."""

    _request = request_struct(6, _COUNTER("counter"))


def pack_await(opcode: int, counter: int) -> bytes:
    """Encode Await until the counter is 0 or more, without an event."""
    return _AWAIT.pack(opcode, 7, 8, counter, _ABSOLUTE, 0, 0, _POSITIVE_COMPARISON, *_NO_EVENT)
