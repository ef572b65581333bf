"""Streams: frames one after another, as fast as they are used, at a rate, or when something was drawn.

A Stream is an iterator and an asynchronous one. What it does is written once, as steps: a step is a frame, or something
to wait for, and the two forms differ only in how they wait. The asynchronous one needs no thread: it listens on the
connection's own descriptor.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import inspect
import math
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NoReturn, Self

from xshm import _arguments
from xshm._signal_safety import Descriptor, owned
from xshm.capture.changes import ChangeTracker
from xshm.errors import BadWindow, ConnectFailed, InvalidArgument, InvalidType, RequestTimeout
from xshm.image.frame import Frame
from xshm.system import limits
from xshm.system.deadlines import timed_out
from xshm.system.printable import quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from xshm.capture.source import Source
    from xshm.geometry import Rect, Region
    from xshm.image.cursor import CursorMode
    from xshm.x11.io.wire import Wire
    from xshm.x11.protocol.requests import Waitable

# Another thread may take in what we wait for; then our descriptor stays silent, and we look again after this long.
_SECOND_LOOK: Final = 0.25


@dataclass(slots=True)
class Wait:
    """A step that is no frame: wait until `what` is done (None: only for the time), or until `deadline` has come.

    With `timeout` the server owes it. The time for that begins with the wait, not when the question was sent: whoever
    is interrupted, and asks for the next frame much later, finds the answer there and no time that is over.
    """

    what: Waitable | None
    deadline: float | None = None
    timeout: float | None = None


if TYPE_CHECKING:
    Steps = Generator[Frame | Wait, None, None]


class Stream:
    """Frames of one source, without end. Iterate over it, or `async for`, in one thread at a time.

    `with` gives back at its end what a stream on change keeps on the server; without it, that goes with the next
    answer that any verb waits for, or with the Screen. After an exception (WindowNotViewable, PoolExhausted, Ctrl-C) it
    can be asked for the next frame again. So it can after RequestTimeout: a server owed an answer for longer than the
    Screen's `timeout`. For a change it is waited without a limit.

    `skipped` counts the frames that a paced stream left out because the one before was used for too long. `how` says
    where frames come from.
    """

    def __init__(
        self,
        source: Source,
        region: Region | None,
        fps: float | None,
        *,
        on_change: bool,
        cursor: CursorMode,
        in_place: bool = True,
    ) -> None:
        _check_rate(fps)
        _arguments.flag(on_change, "on_change")
        _arguments.cursor(cursor)
        self._source = source
        self._tally = tally = _Tally()
        self._steps: Steps | None = None
        self._closed = False
        source._current()
        rect = None if region is None else source._within(region)
        period = None if fps is None else 1 / float(fps)
        if on_change:
            self._changes = changes = ChangeTracker(source, rect, cursor, in_place=in_place)
            self.how = changes.how
            self._begin: Callable[[], Steps] = lambda: _changed(changes, period)
        elif period is None:
            self.how = "grabs, the next under way while the last is used"
            self._begin = lambda: _overlapped(source, rect, cursor)
        else:
            self.how = "a grab for each point in time"
            self._begin = lambda: _paced(source, rect, cursor, period, tally)

    @property
    def skipped(self) -> int:
        """How many frames of a paced stream were left out so far."""
        return self._tally.skipped

    def close(self) -> None:
        """End the stream and give back what it held; frames stay valid. Closing twice is fine."""
        self._closed = True
        if self._steps is not None:
            self._steps.close()
        if hasattr(self, "_changes"):
            self._changes.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> NoReturn:
        raise InvalidType("a Stream belongs to its connection; send the Frames that it gives, which pickle by value")

    # -- two ways to wait --------------------------------------------------------------------------------------------

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Frame:
        while not self._closed:
            step = self._next_step()
            if isinstance(step, Frame):
                return step
            self._wait(step)
        raise StopIteration

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Frame:
        while not self._closed:
            step = self._next_step()
            if isinstance(step, Frame):
                return step
            await self._wait_async(step)
        raise StopAsyncIteration

    def _next_step(self) -> Frame | Wait:
        if self._steps is None or inspect.getgeneratorstate(self._steps) == inspect.GEN_CLOSED:  # by an exception
            self._steps = self._begin()
        return next(self._steps)

    def _wait(self, step: Wait) -> None:
        if step.what is None:
            time.sleep(max(0.0, (step.deadline or 0.0) - time.monotonic()))
            return
        wire = self._source._session.connection.wire
        if step.timeout is not None:
            wire.wait_for(step.what, step.timeout)
            return
        left = None if step.deadline is None else max(0.0, step.deadline - time.monotonic())
        with contextlib.suppress(RequestTimeout):
            wire.wait_for(step.what, left)

    async def _wait_async(self, step: Wait) -> None:
        if step.what is None:
            await asyncio.sleep(max(0.0, (step.deadline or 0.0) - time.monotonic()))
            return
        wire, loop = self._source._session.connection.wire, asyncio.get_running_loop()
        deadline = step.deadline if step.timeout is None else time.monotonic() + step.timeout
        wire.pump()
        while not step.what.done:
            left = _SECOND_LOOK if deadline is None else min(_SECOND_LOOK, deadline - time.monotonic())
            if left <= 0:
                if step.timeout is not None:
                    raise timed_out()
                return
            arrived = asyncio.Event()
            descriptor = _watched(wire)
            # Not asyncio.timeout, whose TimeoutError can't be told from a signal handler's.
            timer = loop.call_later(left, arrived.set)
            try:
                loop.add_reader(descriptor, arrived.set)
                await arrived.wait()
            finally:
                timer.cancel()
                loop.remove_reader(descriptor)
                del descriptor
            wire.pump()


def _watched(wire: Wire) -> Descriptor:
    """Return a descriptor of its own: a loop knows one reader for each, and several streams may share a connection."""
    try:
        with limits.Named(ConnectFailed, "a stream can't be waited for"):
            return owned(os.dup, wire.socket.fileno())
    except OSError as error:
        if error.errno == errno.EBADF:
            wire.check()  # another thread has closed it since
        raise


# -- what to do; no function holds the Stream, which could not be dropped then -----------------------------------------


class _Tally:
    skipped = 0


def _changed(changes: ChangeTracker, period: float | None) -> Steps:
    """When something was drawn; the whole picture to begin with. With a period: not more often than that."""
    due = time.monotonic()
    while True:
        found: list[Frame] = []
        while not found:
            looking = changes.poll_steps()
            try:
                while True:
                    awaited = next(looking)
                    while not awaited.done:
                        yield Wait(awaited, timeout=changes.timeout)
            except StopIteration as end:
                found = [end.value] if end.value is not None else []
            while not (found or changes.done or _is_past(changes.next_poll)):
                yield Wait(changes, changes.next_poll)
        due = max(due + (period or 0.0), time.monotonic())
        yield found.pop()  # not from a variable, which would hold it while the caller has dropped it
        while period is not None and time.monotonic() < due:
            yield Wait(None, due)
        while not (changes.done or _is_past(changes.next_poll)):
            yield Wait(changes, changes.next_poll)


def _overlapped(source: Source, region: Rect | None, cursor: CursorMode) -> Steps:
    """As fast as they are used: the next frame is being copied while the caller works on this one."""
    taking = _Taking(source, region, cursor)
    while True:
        while not taking.done:
            yield Wait(taking, timeout=source._session.connection.wire.timeout)
        found = [taking.frame()]
        taking = _Taking(source, region, cursor)
        yield found.pop()


def _paced(source: Source, region: Rect | None, cursor: CursorMode, period: float, tally: _Tally) -> Steps:
    """At a rate, on a grid of time that does not drift. Who is late gets the newest at once."""
    first = time.monotonic()
    tick = 0
    while True:
        due = first + tick * period
        while time.monotonic() < due:
            yield Wait(None, due)
        taking = _Taking(source, region, cursor)
        while not taking.done:
            yield Wait(taking, timeout=source._session.connection.wire.timeout)
        yield taking.frame()
        now = int((time.monotonic() - first) / period)
        tally.skipped += max(0, now - tick - 1)
        tick = max(tick + 1, now)


class _Taking:
    """A frame that is on its way. Its time is that of the request: when it was copied nobody was there to see."""

    def __init__(self, source: Source, region: Rect | None, cursor: CursorMode) -> None:
        self._source, self._region, self._cursor = source, region, cursor
        self._asked = None
        if cursor is not False:
            pointer, window = source._pointer()
            self._asked = pointer.ask(window)
        self._begun = source._begin(region)
        self._since = time.monotonic_ns()
        source._session.connection.wire.flush()

    @property
    def done(self) -> bool:
        return self._begun.request.done

    def frame(self) -> Frame:
        source = self._source
        frame = source._finish(self._begun, self._region)
        frame.monotonic_ns = self._since
        if self._asked is not None:
            pointer, _ = source._pointer()
            try:
                frame.cursor = pointer.read(self._asked)
            except BadWindow:
                source._explain_refusal(frame.rect)
                raise
            if self._cursor is True:
                pointer.draw(frame)
        return frame


def _check_rate(fps: object) -> None:
    if fps is None:
        return
    if not 0 < _arguments.number(fps, "fps is a number of frames per second, or None") < math.inf:
        raise InvalidArgument(f"fps is a number of frames per second above 0, or None for no pacing; not {quoted(fps)}")


def _is_past(moment: float | None) -> bool:
    return moment is not None and time.monotonic() >= moment
