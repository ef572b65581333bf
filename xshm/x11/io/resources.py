"""Resource ids, and the resources on the server that are freed with the last reference to their id.

The request that frees a resource, such as FreePixmap, is encoded before the request that creates it. When the last
reference to the id, a ServerResource, goes (by an exception, or since its object was dropped), a finalizer in C queues
the release, and the next thread that waits sends it (signal-safe: 3; `deferred`). So no signal handler leaves a
resource on the server. `free` does the same at once.

Invariants:
1. A release's request is sent once, however often it was interrupted: its serial tells whether it is queued.
2. A number leaves `numbers`, and may be allocated again, after the request that frees its resource was queued.
"""

from __future__ import annotations

from functools import partial
from operator import attrgetter
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

from xshm.errors import XshmError
from xshm.x11.io.deferred import Release
from xshm.x11.protocol.requests import Request, weakly
from xshm.x11.protocol.xlib import error

if TYPE_CHECKING:
    from collections.abc import Callable

    from xshm.x11.io.wire import Wire


class _NoIdLeft(XshmError, error.ResourceIDError):
    """All resource ids of a connection are in use."""


class ServerResource(int):
    """A resource on the server that exists as long as this object. The number is its id; 0 for one without an id."""

    release: Release
    finalize: Callable[[], None]
    __del__ = property(attrgetter("finalize"))  # signal-safe (3): `Wire.finalizer` made it, and it is called in C


_Kind = TypeVar("_Kind", bound=ServerResource)


class ResourceTable:
    """The resources of one connection, and their ids: `base`, with any of the bits of `mask`."""

    def __init__(self, wire: Wire, base: int, mask: int) -> None:
        self._wire = wire
        self._send_release = weakly(self.send_release)  # for finalizers: the Wire has their calls, and this the Wire
        self._base, self._mask = base, mask
        self._next = 0
        self._lock = Lock()
        self.numbers: dict[int, Release | None] = {}  # ids in use, without the base; None: without a release

    # -- with a release ----------------------------------------------------------------------------------------------

    def new_id(self, free: Any, field: str, **fields: Any) -> ServerResource:
        """Return a new id, by which the caller creates a resource that exists as long as the id.

        `free` is the request (a python-xlib class) that frees the resource in its field `field`; `fields` are its other
        fields. Routes of events about the resource go into `release.routes`, and are removed with it.
        """
        return self.new_id_as(ServerResource, free, field, **fields)

    def new_id_as(self, kind: type[_Kind], free: Any, field: str, **fields: Any) -> _Kind:
        """Return a new id as `new_id` does, as an object of a subclass of ServerResource."""
        resource = kind(self.allocate())
        number = int(resource) & self._mask
        release = Release(number, _encode(free, **fields, **{field: int(resource)}))
        # A signal handler's exception before this store leaks one number of at least 262,144, and no resource.
        self.numbers[number] = release
        resource.release = release
        resource.finalize = self._wire.finalizer(partial(self._send_release, release))
        return resource

    def undone_by(self, request: Any, *, lapsed: Callable[[], bool] | None = None, **fields: Any) -> ServerResource:
        """Return a resource without an id, such as a grab or a selection of events, which this request ends.

        Call it before the request that begins the grab or selection is sent; `lapsed` is described at `Release`.
        """
        resource = ServerResource()
        resource.release = release = Release(None, _encode(request, **fields))
        release.lapsed = lapsed
        resource.finalize = self._wire.finalizer(partial(self._send_release, release))
        return resource

    def free(self, *resources: ServerResource) -> None:
        """Queue the requests that free these, now; those that were freed before or with the connection are skipped."""
        for resource in resources:
            self.send_release(resource.release)
            vars(resource).pop("finalize", None)  # there is nothing left to release

    def send_release(self, release: Release) -> None:
        """Queue the request of a release, once, and mark its number as free."""
        if self._wire.ended:
            return
        self._wire.prevent_sequence_wrap()  # before the lock, since it may wait
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

    # -- ids alone ---------------------------------------------------------------------------------------------------

    def allocate(self) -> int:
        """Return an id that is not in use on this connection."""
        step = self._mask & -self._mask  # the lowest bit: the mask's bits are contiguous
        for _ in range(self._mask // step + 1):
            with self._lock:
                number = self._next
                self._next = number + step if number + step <= self._mask else 0
                if number not in self.numbers:
                    self.numbers[number] = None
                    return self._base | number
        raise _NoIdLeft(f"all {self._mask // step + 1} resource ids of this connection are in use")

    def forget(self, resource: int) -> None:
        """Mark an id as free; one that is not of this connection is ignored."""
        number = resource & self._mask
        if resource - number == self._base:
            self.numbers.pop(number, None)

    def abandon(self) -> None:
        """After fork, in the child: replace the lock, which a thread that only the parent has may hold."""
        self._lock = Lock()


def _encode(request: Any, **fields: Any) -> Request:
    return Request(request._request.to_binary(**fields))  # noqa: SLF001 - python-xlib's encoder, no I/O
