"""Stream: an iterator of frames, plain and asynchronous: as fast as they are used, at a rate, or after each change.

`Drawable.stream` makes it, over a Source. Each kind of stream is one generator of steps (`_fastest`, `_paced`,
`_changed`). A step is a frame to return, or a Wait, for which `__next__` blocks and `__anext__` suspends its task; so
both kinds of iteration share all other code.

Always true:

1. A generator that has ended by an exception is replaced by a new one at the next step: a stream goes on after errors.
2. A Wait is yielded again until its object is `done`: an exception in the middle of a wait, Ctrl-C or a cancellation,
   loses no frame, and the next step resumes the wait.
3. No local variable of a suspended generator holds the frame that was yielded last: its slot would stay in use after
   the caller has dropped the frame. Hence a frame is yielded from an expression.
4. No generator refers to the Stream: that would be a cycle, and a dropped Stream would wait for the garbage collector.
   What both use is in objects of its own (ChangeTracker, PipelineTrial, _Tally).
"""

from __future__ import annotations

import inspect
import math
import time
from typing import TYPE_CHECKING, NoReturn, Self

from xshm import _arguments
from xshm.capture.changes import ChangeTracker
from xshm.capture.pipelining import PipelineTrial
from xshm.capture.stream_wait import Wait
from xshm.errors import InvalidArgument, InvalidType
from xshm.image.frame import Frame
from xshm.system.closing import Closing
from xshm.system.printable import quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from xshm.capture.source import Source
    from xshm.geometry import Rect, Region
    from xshm.image.cursor import CursorMode

    Steps = Generator[Frame | Wait, None, None]


class Stream(Closing):
    """Frames of one source, without end. Iterate over it, or `async for`, in one thread at a time.

    `with` releases at its end what a stream on change keeps on the server. A stream that is dropped instead releases it
    with the next reply that anything on the connection waits for, or with the Screen. After an exception the next frame
    can be asked for again (WindowNotViewable, PoolExhausted, Ctrl-C, RequestTimeout). RequestTimeout is raised where a
    reply takes longer than the Screen's `timeout`; a change is waited for without a limit.

    `skipped` counts the frames that a paced stream left out because the one before was used for too long.
    """

    def __init__(
        self,
        source: Source,
        region: Region | None,
        fps: float | None,
        *,
        on_change: bool,
        cursor: CursorMode,
    ) -> None:
        rate = None if fps is None else _arguments.number(fps, "fps is a number of frames per second, or None")
        if rate is not None and not 0 < rate < math.inf:
            raise InvalidArgument(
                f"fps is a number of frames per second above 0, or None for no pacing; not {quoted(fps)}"
            )
        _arguments.flag(on_change, "on_change")
        _arguments.cursor(cursor)
        self._wire = source._session.connection.wire
        self._tally = tally = _Tally()
        self._trial: PipelineTrial | None = None
        self._steps: Steps | None = None  # the generator; None before the first step
        self._closed = False
        source._current()  # a source that is closed, or gone, raises here and not at the first frame
        rect = None if region is None else source._within(region)
        period = None if rate is None else 1 / rate
        if on_change:
            self._changes = changes = ChangeTracker(source, rect, cursor)
            self._how = changes.how
            self._make_steps: Callable[[], Steps] = lambda: _changed(changes, period)
        elif period is None:
            self._trial = trial = PipelineTrial()
            self._make_steps = lambda: _fastest(source, rect, cursor, trial)
        else:
            self._how = "a grab for each point in time"
            self._make_steps = lambda: _paced(source, rect, cursor, period, tally)

    @property
    def how(self) -> str:
        """How frames are captured, and why; of a stream as fast as they are used: with the times measured so far."""
        return self._how if self._trial is None else self._trial.how

    @property
    def skipped(self) -> int:
        """How many frames of a paced stream were left out so far."""
        return self._tally.skipped

    def close(self) -> None:
        """End the stream, and release what it keeps on the server; frames stay valid. Closing twice is fine."""
        self._closed = True  # ends the iteration of a task that awaits a frame meanwhile, too
        if self._steps is not None:
            self._steps.close()
        if hasattr(self, "_changes"):
            self._changes.close()

    def __reduce__(self) -> NoReturn:
        # The generator uses the connection, which no other process can.
        raise InvalidType("a Stream belongs to its connection; send the Frames that it gives, which pickle by value")

    # -- steps ---------------------------------------------------------------------------------------------------------

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Frame:
        while not self._closed:
            step = self._next_step(blocks=True)
            if isinstance(step, Frame):
                return step
            step.block(self._wire)
        raise StopIteration

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Frame:
        while not self._closed:
            step = self._next_step(blocks=False)
            if isinstance(step, Frame):
                return step
            await step.suspend(self._wire)
        raise StopAsyncIteration

    def _next_step(self, *, blocks: bool) -> Frame | Wait:
        # The first step, or the first after an exception (1).
        if self._steps is None or inspect.getgeneratorstate(self._steps) == inspect.GEN_CLOSED:
            self._steps = self._make_steps()
        if self._trial is not None:
            self._trial.blocks = blocks
        return next(self._steps)


# -- the kinds of streams, as generators of steps ----------------------------------------------------------------------


class _Tally:
    """What a paced generator counts for its Stream, to which it may not refer (4)."""

    skipped = 0


def _changed(changes: ChangeTracker, period: float | None) -> Steps:
    """Yield the whole picture at once, then after each change; with a period at most one frame in each."""
    due = time.monotonic()
    while True:
        yield (yield from _next_change(changes))  # in no local variable (3)
        if period is not None:
            due = max(due + period, changes.polled_at)
            while time.monotonic() < due:
                yield Wait(None, due)


def _next_change(changes: ChangeTracker) -> Generator[Wait, None, Frame]:
    """Wait for the next change, and return its frame."""
    while True:
        while not changes.done and time.monotonic() < changes.next_poll:
            yield Wait(changes, changes.next_poll)
        frame = yield from _poll(changes)
        if frame is not None:
            return frame


def _poll(changes: ChangeTracker) -> Generator[Wait, None, Frame | None]:
    """Poll, with a Wait for each reply."""
    steps = changes.poll_steps()
    while True:
        try:
            reply = next(steps)
        except StopIteration as end:
            frame: Frame | None = end.value
            return frame
        while not reply.done:
            yield Wait(reply, is_reply=True)


def _fastest(source: Source, region: Rect | None, cursor: CursorMode, trial: PipelineTrial) -> Steps:
    """Yield frames as fast as they are used; the next is requested before the yield where `trial` finds that faster."""
    ahead: _PendingFrame | None = None
    while True:
        if ahead is None and trial.blocks and cursor is False:  # by steps a frame would cost 50 µs more
            found = [source._grab_whole() if region is None else source._grab_rect(region)]
        else:
            pending = ahead or _PendingFrame(source, region, cursor)
            while not pending.done:
                yield Wait(pending, is_reply=True)
            found = [pending.frame()]
        ahead = _PendingFrame(source, region, cursor) if trial.next_is_ahead() else None
        yield found.pop()  # which leaves no reference here (3)


def _paced(source: Source, region: Rect | None, cursor: CursorMode, period: float, tally: _Tally) -> Steps:
    """Yield a frame at each multiple of the period since the first, so without drift; multiples missed are counted."""
    first = time.monotonic()
    tick = 0
    while True:
        due = first + tick * period
        while time.monotonic() < due:
            yield Wait(None, due)
        pending = _PendingFrame(source, region, cursor)
        while not pending.done:
            yield Wait(pending, is_reply=True)
        yield pending.frame()
        # Multiples that passed while the caller used the frame are skipped; then the next frame is due at once.
        now = int((time.monotonic() - first) / period)
        tally.skipped += max(0, now - tick - 1)
        tick = max(tick + 1, now)


class _PendingFrame:
    """A frame whose requests were sent; a Waitable. Its time is that of the request: the server reports no other."""

    def __init__(self, source: Source, region: Rect | None, cursor: CursorMode) -> None:
        self._source, self._region, self._cursor = source, region, cursor
        self._cursor_request = None
        if cursor is not False:
            self._pointer, window = source._pointer()
            # Before the grab: in the same packet, of the same moment.
            self._cursor_request = self._pointer.request(window)
        self._grab = source._begin(region)
        self._sent_ns = time.monotonic_ns()
        source._session.connection.wire.flush()  # so that the server copies while the caller is busy

    @property
    def done(self) -> bool:
        return self._grab.request.done

    def frame(self) -> Frame:
        source = self._source
        frame = source._finish(self._grab, self._region)
        frame.monotonic_ns = self._sent_ns
        if self._cursor_request is not None:
            source._add_cursor(frame, self._pointer, self._cursor_request, self._cursor)
        return frame
