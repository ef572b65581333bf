"""Waiting for descriptors by poll(2), or by select(2) where a library has taken `poll` out of the `select` module.

eventlet does (0.41), and gevent (26.9) puts a `poll` of its own in its place. Their waits let other greenlets run
meanwhile; so `select` is looked at anew for each wait. Part of the supervisor: imports only what takes no time.
"""

from __future__ import annotations

import select

_LONGEST = 1e6  # seconds; poll(2) counts no further than 24 days, and who waits longer waits without a limit
_FD_SETSIZE = 1024  # of glibc: the first descriptor that select(2) has no bit for
_BUILTIN = type(len)


def is_cooperative() -> bool:
    """Tell whether waits are a library's, which runs other greenlets meanwhile; a blocking recv would stop those."""
    return type(getattr(select, "poll", None)) is not _BUILTIN


def readable(descriptors: tuple[int, ...], seconds: float | None) -> list[int]:
    """Wait until a descriptor has something to read, or has ended; return those, none when `seconds` have passed."""
    return ready(descriptors, (), seconds)


def is_readable(descriptor: int, seconds: float | None) -> bool:
    """Tell whether one descriptor has something to read, or has ended; as `readable`, in half of its time."""
    if not hasattr(select, "poll"):
        return bool(readable((descriptor,), seconds))
    if seconds is not None:
        seconds = None if seconds > _LONGEST else max(0.0, seconds * 1000)
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    return bool(poller.poll(seconds))


def ready(reading: tuple[int, ...], writing: tuple[int, ...], seconds: float | None) -> list[int]:
    """Wait as `readable` does, or until one of `writing` takes more; return those, in the order they were given in."""
    if seconds is not None:
        seconds = None if seconds > _LONGEST else max(0.0, seconds)
    if hasattr(select, "poll"):
        poller = select.poll()
        for descriptor in reading:
            poller.register(descriptor, select.POLLIN)
        for descriptor in writing:
            poller.register(descriptor, select.POLLOUT)
        fired = {descriptor for descriptor, _ in poller.poll(None if seconds is None else seconds * 1000)}
    else:
        to_read, to_write, _ = _select(reading, writing, seconds)
        fired = {*to_read, *to_write}
    return [descriptor for descriptor in reading + writing if descriptor in fired]


def readable_or_writable(descriptor: int, seconds: float) -> bool:
    """Wait until a descriptor takes more or has something to read, for `seconds` at most; tell whether to read."""
    seconds = max(0.0, seconds)
    if not hasattr(select, "poll"):
        return bool(_select((descriptor,), (descriptor,), seconds)[0])
    poller = select.poll()
    poller.register(descriptor, select.POLLIN | select.POLLOUT)
    return any(events & ~select.POLLOUT for _, events in poller.poll(seconds * 1000))


def _select(
    reading: tuple[int, ...], writing: tuple[int, ...], seconds: float | None
) -> tuple[list[int], list[int], list[int]]:
    try:
        return select.select(reading, writing, (), seconds)
    except ValueError:
        highest = max((*reading, *writing))
        if highest < _FD_SETSIZE:
            raise
        from xshm.errors import XshmError  # noqa: PLC0415 - it takes its time

        raise XshmError(
            f"descriptor {highest} can't be waited for: select(2) ends at {_FD_SETSIZE - 1}, and this program has no "
            f"select.poll (a library has patched it out); open the display before so many files are open"
        ) from None
