"""Act: an action on a GUI, and what came of it: whether there was a reaction, when it came to rest, what has changed.

    with screen.act() as act:           # what is on the screen now is `before`
        screen.click(120, 80)
    act.outcome.summary()

Always true:

1. The zero of all times is the moment that the block is entered, after `before` was taken. What happens while the block
   runs counts, but nobody looks then: it is dated to the block's end.
2. After the block, an Act sleeps until the server reports drawing or a window, and looks then. Nothing is polled.
3. It ends `quiet` seconds after the last change; without any, `reaction` seconds after the block; or after `timeout`
   seconds. So a reaction that goes on after a pause longer than `quiet` is seen in part. Beside known carets and
   spinners, 200 acts ended 9 ms after the last change and `quiet` (median; 35 ms at most, on two cores). An idle act
   takes 0.06 % of a core.
4. What a Judge proves to be a steady rhythm, even afterwards, was no reaction, and does not delay the rest. What looks
   like a caret, and has not been proven to be one, is no reaction if it changes back within a caret's longest phase; an
   Act in which nothing else happens waits for that. Beside another change it is left out at once, and named in
   `moving`. What is found out is kept on the source: the next Act knows its carets and spinners from the beginning.
5. If the block raises, nothing is waited for.

What does not work: telling a spinner that the action has started from one that ran before, if it began while the block
ran; and a caret that comes into a field, and nothing else, from one that blinked there already. Both are in `moving`.
A reaction of one small upright bar alone, of one colour ("1" in a calculator), is reported a caret's phase late: 0.95 s
after it came. Beside another change it is in `changed`, unless it is as large as a caret that is known.

A spinner or a video that nothing is known of costs the first Act beside it 2 to 4 s, a clock 4 s: an Act is not at rest
while anything changes, and a flow takes two seconds to prove, more where it pauses or its bounds grow meanwhile. Less
would take a page that loads for still: one that repaints every 200 ms has only ten changes in two seconds, and one that
slides or fades in is as fast as a spinner for up to a second. The next Act has it for a flow as soon as it goes on at
its pace and pixels turn back: a video after three changes, a spinner of one turn a second after 0.3 s. So
wait_stable() before the first Act takes that time out of it; `timeout` ends it, and `ignore` spares it.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, Self

from xshm import _arguments
from xshm.capture.waiting.compare import MOST_RECTS, compare
from xshm.capture.waiting.deadline import PAUSE, Deadline, first_frame
from xshm.capture.waiting.judge import Judge, span
from xshm.capture.waiting.results import Outcome
from xshm.capture.waiting.wait import ignored_rects, quiet_time
from xshm.errors import InvalidArgument, InvalidType, RequestTimeout, WindowGone, WindowNotViewable
from xshm.geometry import Rect, merged
from xshm.system.printable import quoted

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from xshm.capture.changes import ChangeTracker
    from xshm.capture.source import Source
    from xshm.geometry import Region
    from xshm.image.frame import Frame


class WindowEvent(Protocol):
    """What happened to a window; `x11.windows.known_windows.WindowEvent` is one."""

    @property
    def kind(self) -> str:
        """One of "opened", "closed", "renamed", "restacked"."""


class WindowChanges(Protocol):
    """A watch of top-level windows; `x11.windows.window_watch.WindowWatch` is one."""

    @property
    def done(self) -> bool:
        """Whether something has happened since the last `update`."""

    @property
    def opened(self) -> dict[int, str]:
        """The windows that came, by id, with their titles."""

    @property
    def closed(self) -> dict[int, str]:
        """The windows that went, by id, with their titles."""

    def update(self) -> Iterable[WindowEvent]:
        """Process what has happened; return the events."""

    def close(self) -> None:
        """End the watch; what was seen can be read afterwards."""


WatchWindows = Callable[[], WindowChanges | None]


class Act:
    """An action: a context manager, entered once; `outcome` is there after its block has ended without an exception."""

    def __init__(
        self,
        source: Source,
        watch_windows: WatchWindows,
        quiet: float | None,
        timeout: float | None,
        reaction: float,
        region: Region | None,
        ignore: Iterable[Region],
    ) -> None:
        deadline = Deadline(timeout)
        self._source = source
        self._watch_windows = watch_windows
        self._quiet = quiet_time(quiet, timeout)
        self._timeout = timeout
        self._reaction = _arguments.seconds(reaction, "reaction is a number of seconds, 0 or more")
        self._ignored = ignored_rects(source, ignore, deadline)
        self._region = None if region is None else deadline.call(source._within, region)
        self._closing = contextlib.ExitStack()
        self._watching: _Watching | None = None
        self._outcome: Outcome | None = None

    @property
    def outcome(self) -> Outcome:
        """What came of the action. Raises InvalidArgument before the block has ended, or if it raised."""
        if self._outcome is None:
            raise InvalidArgument("the outcome of an act is known when its block has ended without an exception")
        return self._outcome

    def __enter__(self) -> Self:
        if self._watching is not None:
            raise InvalidArgument("an act is entered once; call act() again")
        deadline = Deadline(self._timeout)
        with contextlib.ExitStack() as closing:
            # The windows first: one that opens once `before` was taken is reported.
            windows = deadline.call(self._watch_windows)
            if windows is not None:
                closing.callback(windows.close)
            changes = closing.enter_context(deadline.track(self._source, self._region))
            before = deadline.call(first_frame, changes)
            self._watching = _Watching(changes, windows, before, self._ignored, self._source)
            self._closing = closing.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._closing:
            if kind is None and self._watching is not None:
                self._outcome = self._watching.outcome(Deadline(self._timeout), self._quiet, self._reaction)


def call(act: Act, function: Callable[..., object], args: tuple[object, ...]) -> Outcome:
    """Call a function as the block of an Act, and return the Outcome."""
    if not callable(function):
        raise InvalidType(f"act calls a function, not {type(function).__name__}: {quoted(function)}")
    with act:
        function(*args)
    return act.outcome


class _Watching:
    """What an Act has seen since its block was entered."""

    def __init__(
        self,
        changes: ChangeTracker,
        windows: WindowChanges | None,
        before: Frame,
        ignored: list[Rect],
        source: Source,
    ) -> None:
        self._changes = changes
        self._windows = windows
        self._before = before
        self._ignored = ignored
        self._source = source
        self._zero = time.monotonic()
        self._judge = Judge(before, self._zero, ignored, source._rhythms)
        self._drawn: list[Rect] = []
        self._of_windows: tuple[float, float] | None = None  # the times of the first and the last event of a window
        self._is_gone = False  # the source itself: a dialog that the action has closed

    @property
    def done(self) -> bool:
        """Whether there is something to look at, as a Waitable."""
        return self._changes.done or (self._windows is not None and self._windows.done)

    def outcome(self, deadline: Deadline, quiet: float, reaction: float) -> Outcome:
        """Wait for a reaction and for rest."""
        latest = min(time.monotonic() + reaction, deadline.end)  # for a reaction
        is_exact = False
        try:
            while True:
                now = time.monotonic()  # before the look, as in `wait_stable`
                looked = self._look(deadline, is_exact=is_exact)
                is_exact = True
                seen = self._seen(now)
                until = max(latest, self._judge.pending(now) or 0.0) if seen is None else seen[1] + quiet
                if self._is_gone or deadline.is_unanswered or now >= min(until, deadline.end):
                    is_settled = seen is None or self._is_gone or now >= until
                    return self._conclude(now, seen, settled=is_settled and not deadline.is_unanswered)
                if looked:
                    time.sleep(min(PAUSE, deadline.left))
                self._sleep(min(until, deadline.end))
        finally:
            self._source._rhythms = self._judge.remembered()

    def _look(self, deadline: Deadline, *, is_exact: bool) -> bool:
        """Take what is new; return whether anything was drawn."""
        frame = None
        try:
            frame = deadline.poll(self._changes)
        except (WindowGone, WindowNotViewable):
            self._is_gone = True
        if frame is not None:
            self._judge.see(frame, frame.monotonic_ns / 1e9, exact=is_exact)
            self._drawn = list(merged([*self._drawn, *(frame.changed or ())], MOST_RECTS))
        events: Iterable[WindowEvent] = ()
        if self._windows is not None and not deadline.is_unanswered:
            try:
                events = deadline.call(self._windows.update)
            except RequestTimeout:
                if deadline.left:
                    raise
                deadline.is_unanswered = True
        # A title is not on the screen; where a manager draws it, that is drawing. Those of Chromium come 0.2 s late.
        if self._is_gone or any(event.kind != "renamed" for event in events):
            now = time.monotonic()
            self._of_windows = span([self._of_windows, (now, now)])
        return frame is not None

    def _seen(self, now: float) -> tuple[float, float] | None:
        return span([self._judge.reaction(now), self._of_windows])

    def _sleep(self, until: float) -> None:
        left = None if until == math.inf else max(0.0, until - time.monotonic())
        with contextlib.suppress(RequestTimeout):
            self._source._connection.wire.wait_for(self, left)

    def _conclude(self, now: float, seen: tuple[float, float] | None, *, settled: bool) -> Outcome:
        frame, windows = self._judge.frame, self._windows
        moving = self._judge.set_aside(now)
        changed = self._lasting(self._judge.no_changes(now))
        first, last = (None, 0.0) if seen is None else (max(0.0, seen[0] - self._zero), seen[1] - self._zero)
        return Outcome(
            reacted=seen is not None,
            settled=settled,
            reaction_seconds=first,
            rest_seconds=max(0.0, last) if settled else None,
            changed=changed,
            moving=moving,
            before=self._before,
            frame=frame,
            opened=windows.opened if windows is not None else {},
            closed=windows.closed if windows is not None else {},
        )

    def _lasting(self, left_out: list[Rect]) -> tuple[Rect, ...]:
        """Return where the last picture differs from the one before."""
        frame = self._judge.frame
        if self._is_gone:
            return (frame.rect,)
        return compare(self._before, frame, self._drawn, [*self._ignored, *left_out]).rects
