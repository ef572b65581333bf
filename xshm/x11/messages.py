"""What travels between a Wire's halves: requests on their way, and the places that events go to."""

from __future__ import annotations

import weakref
from collections import deque
from types import MethodType
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from xshm.descriptor import Descriptor


class Awaited(Protocol):
    """What a thread can wait for."""

    @property
    def done(self) -> bool:
        """Whether it is there."""
        ...


class Pending:
    """A request on its way, and what came back: `reply` or `error` as the bytes that the server sent.

    `keep` is held until the server has answered: memory that it may still write to, whatever became of the caller.
    """

    __slots__ = ("data", "descriptors", "done", "error", "keep", "on_error", "received", "replies", "reply", "serial")

    def __init__(self, data: bytes, keep: object = None, descriptors: Sequence[int] = ()) -> None:
        self.data = data  # let go once it is on its way
        self.keep = keep
        self.descriptors = descriptors
        self.serial = 0  # its number in the stream, from when it was queued
        self.reply: bytes | None = None
        self.error: bytes | None = None
        self.done = False
        self.replies: deque[bytes] | None = None  # set for requests that have more than one reply
        self.on_error: Callable[[bytes], None] | None = None  # called by a thread that waits, outside all locks
        self.received: list[Descriptor] | None = None  # set to [] for requests whose reply carries descriptors


class Route:
    """Events of one code that somebody inside waits for, beside the general queue or (`take`) in place of it.

    `wants` is asked under the lock: it must be quick and send nothing. A method is held weakly, so that the listener,
    which holds the connection, is not held by it. A `queue` of at most one makes a flag of it.
    """

    __slots__ = ("code", "queue", "take", "wants")

    def __init__(
        self, code: int, wants: Callable[[bytes], bool], *, most: int | None = None, take: bool = True
    ) -> None:
        self.code = code
        self.wants = weakly(wants) if isinstance(wants, MethodType) else wants
        self.take = take
        self.queue: deque[bytes] = deque(maxlen=most)


def weakly(method: Callable[..., Any], *more: object) -> Callable[[bytes], Any]:
    """Return what calls a method with a message, and `more`, for as long as the method's object lives."""
    reference = weakref.WeakMethod(method)

    def call(message: bytes) -> Any:
        found = reference()
        return None if found is None else found(message, *more)

    return call


class Filled:
    """Waiting for a queue to hold something."""

    __slots__ = ("queue",)

    def __init__(self, queue: deque[bytes]) -> None:
        self.queue = queue

    @property
    def done(self) -> bool:
        """Whether it does."""
        return bool(self.queue)
