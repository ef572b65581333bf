"""Changes: the whole picture of a source or region, whenever it was drawn to, at the cost of what was drawn.

It follows its source: a window that gets another pixmap, a screen that is resized, a pointer that moves. Whatever goes
wrong in between, Ctrl-C too, the next look is right: it starts again from a whole picture.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from xshm.capture.pixmap_refresher import PixmapRefresher
from xshm.capture.row_refresher import RowRefresher
from xshm.errors import OutOfBounds, PoolExhausted, ServerError
from xshm.geometry import Rect, merged
from xshm.x11.server.pointer_events import PointerEvents

if TYPE_CHECKING:
    from collections.abc import Generator

    from xshm.capture.pixmap_refresher import Refreshed
    from xshm.capture.source import Source
    from xshm.image.cursor import Asked, Cursor, CursorMode, Pointer
    from xshm.image.frame import Frame
    from xshm.x11.protocol.requests import Waitable
    from xshm.x11.server.pointer_events import Selection

_MOST_RECTS: Final = 16
_TRIES: Final = 20
_LIMIT: Final = 64  # frames, where the source has no pool that would say
# A pointer that XWarpPointer puts elsewhere inside a window that takes its motion gives no event (seen on Xvfb 21.1,
# Xvnc 1.12): we look by ourselves, at first after the one number of seconds, then less and less often down to the
# other. One look is one round trip; on an idle screen they add up to 0.03 % of a core.
_FIRST_LOOK, _LAST_LOOK = 0.25, 2.0


class ChangeTracker:
    """What is drawn on a source from now on: something to wait for (`done`), and frames (`look`). To be closed.

    `region` None follows the source's size. Frames' pixels are read-only: the next frames are built on that memory.

    What does not work: keeping out who writes there by its address (ctypes, torch.from_numpy in spite of its warning;
    by DLPack there is a copy). What is written so is in later frames of that slot until the server draws there. Pages
    that can't be written would end the process; a private mapping, which System V memory does not have, would have to
    be searched for written pages before each turn: by /proc/self/pagemap 0.34 ms at 4K, where a small change takes 0.15
    in all; and mapping it anew has pages fetched again, 2.1 ms.
    """

    def __init__(self, source: Source, region: Rect | None, cursor: CursorMode, *, in_place: bool = True) -> None:
        self._source = source
        self._connection = source._session.connection
        self._region = region
        self._cursor = cursor
        link = source._session
        if not in_place:
            self._in_place, self.how = False, "bands: asked for"
        elif link.transport.kind == "core":
            self._in_place, self.how = False, f"bands over the core protocol: {link.transport.reason}"
        elif not link.transport.shared_pixmaps:
            self._in_place, self.how = False, "bands: the server has no shared pixmaps"
        else:
            self._in_place, self.how = True, "shared pixmaps: the server copies what was drawn, and no more"
        self._refresher: PixmapRefresher | RowRefresher | None = None
        self._place: tuple[int, int] | None = None
        self._whole: Rect | None = None
        self._anew = True  # nothing was handed out that the next picture could be compared with
        self._pointing: PointerEvents | None = None
        self._listening: Selection | None = None  # what `_pointing` hears by
        self._pointer_seen = -1
        self._pointer_due = 0.0
        self._pointer_pause = _FIRST_LOOK
        self._shown: Cursor | None = None
        try:
            if cursor is not False:
                source._pointer()
                if link.pointing is None:
                    link.pointing = PointerEvents(link.connection)
                self._pointing = link.pointing
                self._listening = self._pointing.start()
            self._follow()
        except BaseException:
            self.close()
            raise

    @property
    def done(self) -> bool:
        """Whether a look may find something; asked by whichever thread reads from the connection."""
        refresher, source = self._refresher, self._source
        if refresher is None or refresher.drawn.events or source._geometry_changed or source._location != self._place:
            return True  # another look at the source may have followed it already, and not this one
        return self._pointing is not None and self._pointing.seen != self._pointer_seen

    @property
    def timeout(self) -> float | None:
        """The seconds that any one answer may take; None: no limit."""
        return self._connection.wire.timeout

    @property
    def next_poll(self) -> float | None:
        """When (time.monotonic()) to look even if nothing is told; None: not needed."""
        return self._pointer_due if self._pointing is not None else None

    def poll(self) -> Frame | None:
        """Return the whole picture as it is now, if something in it has changed since the last look; else None.

        `frame.changed` has where it was drawn to, in the frame's own coordinates; everywhere after a new beginning.
        Raises WindowGone, WindowNotViewable, OutOfBounds, PoolExhausted.
        """
        steps = self.poll_steps()
        while True:
            try:
                next(steps)  # what it would wait for is waited for as it goes on
            except StopIteration as end:
                found: Frame | None = end.value
                return found

    def poll_steps(self) -> Generator[Waitable, None, Frame | None]:
        """Do what `look` does in steps, each of them something to wait for, or to go on without waiting."""
        refused: ServerError | None = None
        pointing = self._pointing
        if pointing is not None and not (self._anew or self.done) and (yield from self._pointer_rests()):
            return None
        for _ in range(_TRIES):
            try:
                followed = self._follow()
                found = yield from self._refresh()
                if not self._source._geometry_changed or self._is_current():
                    return found
                if followed:  # it was right in the course of this look, and may be resized again before any other
                    self._give_back()  # the next look is due at once
                    return found
            except PoolExhausted:  # before anything was asked
                raise
            except ServerError as error:
                refused, rect = error, self._rect()
                self._give_back()
                self._ask_why(rect)
            except GeneratorExit:  # dropped, maybe by the collector, in the middle of a request: nothing may be sent
                self._place = None  # what was asked for and not read: the next look begins anew
                raise
            except BaseException:
                self._give_back()
                raise
        raise OutOfBounds(f"{self._source} is resized, or mapped and unmapped, all the time") from refused

    def wait(self, timeout: float | None) -> None:
        """Wait until a look may find something; raises RequestTimeout after `timeout` seconds."""
        self._connection.wire.wait_for(self, timeout)

    def close(self) -> None:
        """Give back what the server keeps for this, as when it goes. Frames stay valid. Closing twice is fine."""
        self._pointing = self._listening = None
        self._give_back()

    # -- following the source ------------------------------------------------------------------------------------------

    def _rect(self) -> Rect:
        return self._region or self._whole or self._source._current()

    def _is_current(self) -> bool:
        """Tell whether the refresher is one of the source as it is now."""
        whole = self._source._current()
        return self._refresher is not None and (self._source._location, whole) == (self._place, self._whole)

    def _follow(self) -> bool:
        """Make the refresher one of the source as it is now; False where it was that already."""
        if self._is_current():
            return False
        self._give_back()
        whole = self._source._current()
        self._place, self._whole = self._source._location, whole
        rect = self._region or whole
        if not whole.contains(rect):
            raise OutOfBounds(f"region {rect} leaves {self._source}, which was resized to {whole}")
        pool = self._source._session.pool
        kind = PixmapRefresher if self._in_place else RowRefresher
        self._anew = True
        self._refresher = kind(self._source, rect, pool.limit if pool is not None else _LIMIT)
        return True

    def _ask_why(self, rect: Rect) -> None:
        """Raise why the server refused, unless that was for the size of a source that is watched as a whole."""
        try:
            self._source._explain_refusal(rect)
        except OutOfBounds:  # it was resized, maybe by now to what it was
            if self._region is not None:
                raise

    def _give_back(self) -> None:
        known, self._refresher = self._refresher, None
        if known is not None:
            known.close()

    # -- one look ------------------------------------------------------------------------------------------------------

    def _refresh(self) -> Generator[Waitable, None, Frame | None]:
        refresher, source, anew = self._refresher, self._source, self._anew
        assert refresher is not None  # noqa: S101 - `_follow` made it in this same step of the generator
        pointer: Pointer | None = None
        asked: Asked | None = None
        seen = 0
        if self._pointing is not None:
            seen = self._pointing.seen
            pointer, window = source._pointer()
            asked = pointer.ask(window)
        begun = refresher.begin()
        yield begun.fetched
        got = refresher.finish(begun)
        shown = pointer.read(asked) if pointer is not None and asked is not None else None
        self._pointer_seen, self._pointer_due = seen, time.monotonic() + _FIRST_LOOK
        self._pointer_pause = _FIRST_LOOK
        before, self._shown = self._shown, shown
        moved = not _same(before, shown)
        if not (anew or got.drawn or moved):
            return None
        frame = source._make_frame(refresher.rect, got.copy() if got.landing else got.owner, copied=got.landing)
        frame.cursor = shown
        if anew:
            frame.changed = (Rect(0, 0, refresher.rect.width, refresher.rect.height),)
        else:
            drawn = got.drawn
            if moved and self._cursor is True:
                drawn = [*drawn, *_inside(refresher.rect, before, shown)]
            if not drawn and self._cursor is True:
                return None  # the pointer moves outside
            corner = refresher.rect.x, refresher.rect.y
            frame.changed = merged([rect.moved(-corner[0], -corner[1]) for rect in drawn], _MOST_RECTS)
        if self._cursor is True and pointer is not None:
            self._blend(refresher, got, pointer, frame)
        frame._make_read_only(shared=not (got.landing or source._session.transport.kind == "core"))
        self._anew = False
        return frame

    def _pointer_rests(self) -> Generator[Waitable, None, bool]:
        """Look for the pointer alone, since nothing was told; and see what was told before the answer came."""
        pointer, window = self._source._pointer()
        asked = pointer.ask(window)
        yield asked.image
        try:
            rests = _same(self._shown, pointer.read(asked))
        except ServerError:
            return False  # the look itself will say what is wrong
        self._pointer_pause = min(2 * self._pointer_pause, _LAST_LOOK)
        self._pointer_due = time.monotonic() + self._pointer_pause
        return rests and not self.done

    def _blend(self, refresher: PixmapRefresher | RowRefresher, got: Refreshed, pointer: Pointer, frame: Frame) -> None:
        """Draw the pointer into the frame. A slot counts as behind there from before the first pixel is written."""
        if got.slot is not None and not got.landing:
            for covered in _inside(refresher.rect, frame.cursor):
                refresher.mark_stale(got.slot, covered)
        pointer.draw(frame)


def _same(one: Cursor | None, other: Cursor | None) -> bool:
    if one is None or other is None:
        return one is other
    return one.sprite is other.sprite and (one.position, one.hotspot) == (other.position, other.hotspot)


def _inside(rect: Rect, *cursors: Cursor | None) -> list[Rect]:
    """Return the parts of a rectangle that pointers cover."""
    covered = [cursor.rect.intersect(rect) for cursor in cursors if cursor is not None]
    return [each for each in covered if each is not None]
