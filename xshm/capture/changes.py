"""ChangeTracker: a frame of all of a source, or of a region, after each change, at the cost of the pixels drawn.

DAMAGE reports what was drawn. Streams on change and all waits poll a ChangeTracker. Always true of one:

1. A refresher belongs to one drawable of one size (`_location`, `_extent`). It is replaced when the source has another:
   a window with a new pixmap, a resized screen. No frame mixes two sizes.
2. Any exception but PoolExhausted closes the refresher, KeyboardInterrupt included. The next poll makes another, whose
   slots are all stale, and returns the whole picture: no state has to be repaired.
3. `_is_first` is True until a refresher's first frame is returned. That frame's `changed` is all of it.

What does not work: protection against code that writes into a frame by its address (ctypes; torch.from_numpy, which
warns; by DLPack it gets a copy). What such code writes is in later frames of that slot until the server draws there.
Pages without write permission would end the process with SIGSEGV. A private mapping, which System V memory does not
have, would have to be searched for written pages before each poll: by /proc/self/pagemap 0.34 ms at 4K, where a poll
after a small change takes 0.15 ms; mapping it anew faults its pages in again, 2.1 ms.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Final

from xshm.capture.pixmap_refresher import PixmapRefresher
from xshm.capture.row_refresher import RowRefresher
from xshm.errors import OutOfBounds, PoolExhausted, ServerError
from xshm.geometry import merged
from xshm.system import logs
from xshm.x11.server.pointer_events import PointerEvents

if TYPE_CHECKING:
    from collections.abc import Generator

    from xshm.capture.damage_region import Refreshed
    from xshm.capture.pointer import CursorRequest, Pointer
    from xshm.capture.source import Source
    from xshm.geometry import Rect
    from xshm.image.cursor import Cursor, CursorMode
    from xshm.image.frame import Frame
    from xshm.x11.protocol.requests import Waitable
    from xshm.x11.server.pointer_events import Selection

    Refresher = PixmapRefresher | RowRefresher

_MOST_RECTS: Final = 16  # of `Frame.changed`
_TRIES: Final = 20  # of one poll, of a source that is resized all the time
_LIMIT: Final = 64  # frames held at once, where the source has no pool with a limit of its own
# A pointer that XWarpPointer moves inside a window that selects its motion gives no event (seen on Xvfb 21.1 and Xvnc
# 1.12). So the pointer is queried after the first of these numbers of seconds, then at longer and longer intervals up
# to the second. A query is one round trip; on an idle screen they add up to 0.03 % of a core.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 2.0


class ChangeTracker:
    """The changes of a source since the constructor: `poll` returns frames, `wait` waits until one is likely.

    A ChangeTracker is a Waitable, and is closed at the end. `region` None follows the source's size. Frames' pixels are
    read-only, since later frames are built on their memory. `how` names the refresher that is used, and why.
    """

    def __init__(self, source: Source, region: Rect | None, cursor: CursorMode, *, in_place: bool = True) -> None:
        self._source = source
        self._connection = source._session.connection
        self._region = region
        self._cursor = cursor
        self._refresher_type, self.how = _choose_refresher(source, in_place=in_place)
        logs.debug("changes", "%s: %s", source._name(), self.how)
        self._refresher: Refresher | None = None
        self._location: tuple[int, int] | None = None
        self._extent: Rect | None = None
        self._is_first = True
        self._pointer_events: PointerEvents | None = None
        self._selection: Selection | None = None  # its events are selected as long as it is held
        self._pointer_seen = -1  # `PointerEvents.count` as of the last poll
        self._pointer_pause = _FIRST_PAUSE
        self._last_cursor: Cursor | None = None
        self.polled_at = 0.0  # time.monotonic() of the last poll's reply
        session = source._session
        try:
            if cursor is not False:
                source._pointer()
                if session.pointing is None:
                    session.pointing = PointerEvents(session.connection)
                self._pointer_events = session.pointing
                self._selection = self._pointer_events.subscribe()
            self._match_source()
        except BaseException:
            self.close()
            raise

    @property
    def done(self) -> bool:
        """Whether an event makes a change likely, so that a poll is due. Called by any thread that reads events."""
        refresher, source = self._refresher, self._source
        # The location is compared too: another poll or grab may have consumed the event.
        if self._is_first or refresher is None or source._geometry_changed or source._location != self._location:
            return True
        if refresher.damage.events:
            return True
        return self._pointer_events is not None and self._pointer_events.count != self._pointer_seen

    @property
    def next_poll(self) -> float:
        """When (time.monotonic()) to poll even without an event; infinity: not needed."""
        return self.polled_at + self._pointer_pause if self._pointer_events is not None else math.inf

    def poll(self) -> Frame | None:
        """Return the whole picture as it is now, if anything was drawn in it since the last poll; else None.

        `frame.changed` has the rectangles drawn to, in the source's coordinates; all of it if the refresher is new.
        Raises WindowGone, WindowNotViewable, OutOfBounds, PoolExhausted.
        """
        steps = self.poll_steps()
        while True:
            try:
                next(steps)  # nothing is waited for here: the next step blocks until it has its reply
            except StopIteration as end:
                frame: Frame | None = end.value
                return frame

    def poll_steps(self) -> Generator[Waitable, None, Frame | None]:
        """Poll without blocking: each step is a reply to wait for; resumed before that is `done`, this blocks."""
        refused: ServerError | None = None
        if self._pointer_events is not None and not self.done and (yield from self._pointer_is_unchanged()):
            return None
        for _ in range(_TRIES):
            try:
                is_new = self._match_source()
                frame = yield from self._refresh()
                if not self._source._geometry_changed or self._is_matching():
                    return frame
                # The source was resized during this poll. A frame of a new refresher was right within the poll, and is
                # returned: a source that is resized before every reply would never give one otherwise.
                if is_new:
                    self._close_refresher()  # so that `done` is true at once
                    return frame
            except PoolExhausted:  # raised before anything was sent: the refresher is unchanged
                raise
            except ServerError as error:
                refused, rect = error, self._region or self._extent or self._source._current()
                self._close_refresher()
                self._explain_refusal(rect)
            except GeneratorExit:
                # Dropped between two steps, maybe by the collector in the middle of another request: nothing may be
                # sent here. The replies are lost, so the next poll replaces the refresher.
                self._location = None
                raise
            except BaseException:
                self._close_refresher()
                raise
        raise OutOfBounds(f"{self._source} is resized, or mapped and unmapped, all the time") from refused

    def wait(self, timeout: float | None) -> None:
        """Wait until a poll is likely to find a change; raise RequestTimeout after `timeout` seconds."""
        self._connection.wire.wait_for(self, timeout)

    def close(self) -> None:
        """Release what the server keeps, as dropping the tracker does. Frames stay valid; closing twice is fine."""
        self._pointer_events = self._selection = None
        self._close_refresher()

    # -- matching the source -------------------------------------------------------------------------------------------

    def _is_matching(self) -> bool:
        """Return whether the refresher is for the source's present drawable and extent."""
        extent = self._source._current()
        return self._refresher is not None and (self._source._location, extent) == (self._location, self._extent)

    def _match_source(self) -> bool:
        """Replace the refresher if it is not for the source's present drawable and extent; return whether it was."""
        if self._is_matching():
            return False
        self._close_refresher()
        extent = self._source._current()
        self._location, self._extent = self._source._location, extent
        rect = self._region or extent
        if not extent.contains(rect):
            raise OutOfBounds(f"region {rect} leaves {self._source}, which was resized to {extent}")
        pool = self._source._session.pool
        self._is_first = True
        self._refresher = self._refresher_type(self._source, rect, pool.limit if pool is not None else _LIMIT)
        return True

    def _explain_refusal(self, rect: Rect) -> None:
        """Raise the reason why the server refused a request. Return where another try may succeed."""
        try:
            self._source._explain_refusal(rect)
        except OutOfBounds:  # a source that is tracked as a whole was resized, maybe back again by now
            if self._region is not None:
                raise

    def _close_refresher(self) -> None:
        refresher, self._refresher = self._refresher, None
        if refresher is not None:
            refresher.close()

    # -- one poll ------------------------------------------------------------------------------------------------------

    def _refresh(self) -> Generator[Waitable, None, Frame | None]:
        """Refresh a slot, and make a frame over it; None where neither the picture nor the pointer has changed."""
        refresher, source, is_first = self._refresher, self._source, self._is_first
        assert refresher is not None  # noqa: S101 - `_match_source` made it in this same step of the generator
        pointer: Pointer | None = None
        request: CursorRequest | None = None
        seen = 0
        if self._pointer_events is not None:
            seen = self._pointer_events.count  # before the query: what comes after it counts for the next poll
            pointer, window = source._pointer()
            request = pointer.request(window)
        pending = refresher.begin()
        yield pending.fetched
        refreshed = refresher.finish(pending)
        cursor = pointer.wait_cursor(request) if pointer is not None and request is not None else None
        self._pointer_seen, self._pointer_pause, self.polled_at = seen, _FIRST_PAUSE, time.monotonic()
        before, self._last_cursor = self._last_cursor, cursor
        moved = not _same(before, cursor)
        if not (is_first or refreshed.drawn or moved):
            return None
        rect, copied = refresher.rect, refreshed.staged
        frame = source._make_frame(rect, refreshed.copy() if copied else refreshed.owner, copied=copied)
        frame.cursor = cursor
        if is_first:
            frame.changed = (rect,)
        else:
            drawn = refreshed.drawn
            if moved and self._cursor is True:
                drawn = [*drawn, *_parts_inside(rect, before, cursor)]
            if not drawn and self._cursor is True:
                return None  # the pointer moved outside the region
            frame.changed = merged(drawn, _MOST_RECTS)
        if self._cursor is True and pointer is not None:
            self._blend(refresher, refreshed, pointer, frame)
        frame._make_read_only(shared=not (copied or source._session.transport.kind == "core"))
        self._is_first = False
        return frame

    def _pointer_is_unchanged(self) -> Generator[Waitable, None, bool]:
        """Query the pointer alone, without an event; False also where an event came before the reply."""
        pointer, window = self._source._pointer()
        request = pointer.request(window)
        yield request.image
        try:
            is_same = _same(self._last_cursor, pointer.wait_cursor(request))
        except ServerError:
            return False  # the poll itself raises the reason
        self._pointer_pause, self.polled_at = min(2 * self._pointer_pause, _LONGEST_PAUSE), time.monotonic()
        return is_same and not self.done

    def _blend(self, refresher: Refresher, refreshed: Refreshed, pointer: Pointer, frame: Frame) -> None:
        """Draw the pointer into the frame."""
        if refreshed.slot is not None and not refreshed.staged:
            # First: where drawing is interrupted, the server's next copy covers what was drawn.
            for covered in _parts_inside(refresher.rect, frame.cursor):
                refresher.mark_stale(refreshed.slot, covered)
        pointer.draw(frame)


def _choose_refresher(source: Source, *, in_place: bool) -> tuple[type[Refresher], str]:
    """Return the best refresher for a source, and the reason for it."""
    transport = source._session.transport
    if not in_place:
        return RowRefresher, "rows: asked for"
    if transport.kind == "core":
        return RowRefresher, f"rows over the core protocol: {transport.reason}"
    if not transport.shared_pixmaps:
        return RowRefresher, "rows: the server has no shared pixmaps"
    return PixmapRefresher, "shared pixmaps: the server copies what was drawn, and no more"


def _same(one: Cursor | None, other: Cursor | None) -> bool:
    if one is None or other is None:
        return one is other
    return one.sprite is other.sprite and (one.position, one.hotspot) == (other.position, other.hotspot)


def _parts_inside(rect: Rect, *cursors: Cursor | None) -> list[Rect]:
    """Return the parts of a rectangle that cursors cover."""
    covered = [cursor.rect.intersect(rect) for cursor in cursors if cursor is not None]
    return [each for each in covered if each is not None]
