"""What the server keeps for us: ids of resources, and what is to be undone, each with an owner on our side.

What takes it back, FreePixmap for one, is made ready before it is asked for. When the owner goes (the last reference to
the `Held`: its verb has ended, by whatever exception, or its object was dropped), a note is taken, in C throughout, and
whichever thread waits for something next sends it. So nothing that a signal handler cuts short leaves anything on the
server, clean-up included; and `free` does the same at once. Each is sent once, and an id is nobody else's before that.
"""

from __future__ import annotations

from operator import attrgetter
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

import Xlib.error

from xshm.errors import XshmError
from xshm.x11.protocol.requests import Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from xshm.x11.io.wire import Wire
    from xshm.x11.protocol.requests import EventRoute


class _NoIdLeft(XshmError, Xlib.error.ResourceIDError):
    """All resource ids of a connection are in use."""


class Release:
    """What takes something back: a request, and with it an id that others may have then, and routes of its events.

    `lapsed` tells, where given, that the server has taken it back by itself, and may have given its number to another.
    """

    __slots__ = ("lapsed", "number", "request", "routes")

    def __init__(self, number: int | None, request: Request) -> None:
        self.number = number
        self.request = request
        self.routes: tuple[EventRoute, ...] = ()
        self.lapsed: Callable[[], bool] | None = None


class ServerResource(int):
    """Something that the server keeps as long as this lives: the id of a resource, where it is one."""

    release: Release
    let_go: Callable[[], None]
    __del__ = property(attrgetter("let_go"))


_Kind = TypeVar("_Kind", bound=ServerResource)


class ReleaseQueue:
    """All of one connection's, and its ids: of `mask`'s bits, beside those of `base`."""

    def __init__(self, wire: Wire, base: int, mask: int) -> None:
        self._wire = wire
        self._base, self._mask = base, mask
        self._next = 0
        self._lock = Lock()
        self.numbers: dict[int, Release | None] = {}  # ids in use, without the base, and what gives each back

    # -- with an owner ---------------------------------------------------------------------------------------------

    def id(self, free: Any, field: str, *routes: EventRoute, **fields: Any) -> ServerResource:
        """Return a new id, for a resource to be created with; `free` is the request that frees what its `field` names.

        `routes` are those of events that come for it, and go with it.
        """
        return self.id_as(ServerResource, free, field, *routes, **fields)

    def id_as(self, kind: type[_Kind], free: Any, field: str, *routes: EventRoute, **fields: Any) -> _Kind:
        """Return a new id as one of its own kind."""
        held = kind(self.allocate())
        number = int(held)
        release = Release(number & self._mask, Request(free._request.to_binary(**fields, **{field: number})))  # noqa: SLF001
        release.routes = routes
        self.numbers[number & self._mask] = release
        held.release = release
        held.let_go = self._wire.later(release)
        return held

    def undo(self, request: Any, *, lapsed: Callable[[], bool] | None = None, **fields: Any) -> ServerResource:
        """Return the owner of something that this request, without a reply, takes back. It is to be asked for next."""
        return self.undo_by(Request(request._request.to_binary(**fields)), lapsed)  # noqa: SLF001 - encodes

    def undo_by(self, request: Request, lapsed: Callable[[], bool] | None) -> ServerResource:
        """Do the same with a request that is encoded already."""
        held = ServerResource()
        held.release = release = Release(None, request)
        release.lapsed = lapsed
        held.let_go = self._wire.later(release)
        return held

    def free(self, *held: ServerResource) -> None:
        """Queue what takes these back, now; without effect where that was done, or on a connection that is over."""
        for each in held:
            self.give_back(each.release)
            vars(each).pop("let_go", None)  # there is nothing to be noted any more

    def give_back(self, release: Release) -> None:
        """Take one back: once, however often this is tried, and wherever it was interrupted."""
        if self._wire.ended:
            return
        self._wire.keep_in_step()
        with self._lock:
            lapsed = release.lapsed is not None and release.lapsed()
            if not release.request.serial:
                self._queue(release, lapsed=lapsed)
            if release.number is not None and self.numbers.get(release.number) is release:
                self.numbers.pop(release.number, None)

    def _queue(self, release: Release, *, lapsed: bool) -> None:
        for route in release.routes:
            self._wire.remove_route(route, None if lapsed else release.request)
        if not lapsed:
            self._wire.queue(release.request)

    # -- ids alone -------------------------------------------------------------------------------------------------

    def allocate(self) -> int:
        """Return an id that is not in use on this connection."""
        step = self._mask & -self._mask
        for _ in range(self._mask // step + 1):
            with self._lock:
                number = self._next
                self._next = number + step if number + step <= self._mask else 0
                if number not in self.numbers:
                    self.numbers[number] = None
                    return self._base | number
        raise _NoIdLeft(f"all {self._mask // step + 1} resource ids of this connection are in use")

    def forget(self, rid: int) -> None:
        """Count an id as one that is not in use; one that is not this connection's is left alone."""
        number = rid & self._mask
        if rid - number == self._base:
            self.numbers.pop(number, None)

    def abandon(self) -> None:
        """After fork, in the child: a thread may hold the lock that only the parent has."""
        self._lock = Lock()
