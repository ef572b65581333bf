"""Waiting for descriptors by poll(2), or by select(2) where a library has removed `poll` from the `select` module.

eventlet (0.41) removes it, and gevent (26.9) replaces it; the waits of both run other greenlets. So each wait looks up
`select.poll` anew. The supervisor of a display imports this file, so it imports little.
"""

from __future__ import annotations

import select

# Seconds, 11 days. poll(2) counts milliseconds in an int, up to 24 days: a wait for longer is one without a limit.
LONGEST = 1_000_000
_FD_SETSIZE = 1024  # of glibc: the first descriptor for which a select(2) set has no bit
_BUILTIN = type(len)


def is_cooperative() -> bool:
    """Return whether waits run a library's other greenlets, which a blocking recv would stop."""
    # The interpreter's own `poll` is a builtin function; eventlet's is missing, gevent's a class.
    return type(getattr(select, "poll", None)) is not _BUILTIN


def readable(descriptors: tuple[int, ...], seconds: float | None) -> list[int]:
    """Wait until a descriptor has something to read, or has ended; return those, none when `seconds` have passed."""
    return ready(descriptors, (), seconds)


def is_readable(descriptor: int, seconds: float | None) -> bool:
    """Return whether one descriptor has something to read, or has ended; `readable` in half of its time."""
    if not hasattr(select, "poll"):
        return bool(readable((descriptor,), seconds))
    if seconds is not None:
        seconds = None if seconds > LONGEST else max(0.0, seconds * 1000)
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    return bool(poller.poll(seconds))


class OneDescriptor:
    """Waits for one open descriptor, again and again, by the same poll object; one thread at a time may wait.

    That takes 1.3 of 5.2 µs off what a round trip with a deadline costs beside C's (tests/bench/framebuffer.py).
    """

    __slots__ = ("_descriptor", "_made_by", "_poll")

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._made_by = self._poll = None  # where waits run other greenlets, each looks up `select.poll` anew
        if not is_cooperative():
            self._made_by = select.poll
            poller = select.poll()
            poller.register(descriptor, select.POLLIN)
            self._poll = poller.poll

    def is_readable(self, seconds: float | None) -> bool:
        """Return what the function of this name does."""
        poll = self._poll
        # Not a negative time, which is one without a limit for poll(2); nor after a library has replaced `select.poll`.
        if poll and seconds is not None and 0 <= seconds <= LONGEST and getattr(select, "poll", None) is self._made_by:
            return bool(poll(seconds * 1000))
        return is_readable(self._descriptor, seconds)


def ready(reading: tuple[int, ...], writing: tuple[int, ...], seconds: float | None) -> list[int]:
    """Wait as `readable` does, or until one of `writing` takes more; return the ready ones, in the order given."""
    fired = {descriptor for descriptor, _ in _wait(reading, writing, seconds)}
    return [descriptor for descriptor in reading + writing if descriptor in fired]


def readable_or_writable(descriptor: int, seconds: float) -> bool:
    """Wait until a descriptor takes more or has something to read, `seconds` at most; return whether to read."""
    # POLLHUP and POLLERR, too, are to be read: as the end of the stream, or as the error.
    return any(events & ~select.POLLOUT for _, events in _wait((descriptor,), (descriptor,), seconds))


def _wait(reading: tuple[int, ...], writing: tuple[int, ...], seconds: float | None) -> list[tuple[int, int]]:
    """Wait for descriptors; return those that are ready, each with its events as poll(2) has them."""
    if seconds is not None:
        seconds = None if seconds > LONGEST else max(0.0, seconds)
    if not hasattr(select, "poll"):
        return _select(reading, writing, seconds)
    poller = select.poll()
    for descriptor in {*reading, *writing}:
        wanted = (descriptor in reading) * select.POLLIN | (descriptor in writing) * select.POLLOUT
        poller.register(descriptor, wanted)
    return poller.poll(None if seconds is None else seconds * 1000)


def _select(reading: tuple[int, ...], writing: tuple[int, ...], seconds: float | None) -> list[tuple[int, int]]:
    try:
        to_read, to_write, _ = select.select(reading, writing, (), seconds)
    except ValueError:  # "filedescriptor out of range in select()"
        highest = max((*reading, *writing))
        if highest < _FD_SETSIZE:
            raise
        from xshm.errors import XshmError  # noqa: PLC0415 - its import takes time

        raise XshmError(
            f"descriptor {highest} can't be waited for: select(2) ends at {_FD_SETSIZE - 1}, and this program has no "
            f"select.poll (a library has patched it out); open the display before so many files are open"
        ) from None
    return [*((each, select.POLLIN) for each in to_read), *((each, select.POLLOUT) for each in to_write)]
