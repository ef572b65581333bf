"""What a drawable shows of what was drawn into it: pieces that do not overlap, each with the memory it came from.

So an exposed part can be drawn again, and a buffer that lacks a part can be completed. Memory that is lent to be
written is the source of no piece: who lends it says `forget` before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from xshm.geometry import Rect
    from xshm.x11.io.release_queue import ServerResource
    from xshm.x11.protocol.requests import Request

# More is not kept of a drawable that is not ours: the oldest are forgotten, and whoever owns it draws those again.
_MOST_PIECES: Final = 256


class ImageSource:
    """Memory with pixels in the drawable's own layout, which lie (or will lie) at `place` in it.

    `rows` is the memory as bytes, (height, bytes of a row) uint8.
    """

    __slots__ = ("_pixel", "_reading", "pixmap", "place", "rows", "shmseg")

    def __init__(
        self, place: Rect, rows: NDArray[Any], pixel_bytes: int, shmseg: int = 0, pixmap: ServerResource | None = None
    ) -> None:
        self.place = place
        self.rows = rows
        self.shmseg = shmseg
        self.pixmap = pixmap
        self._pixel = pixel_bytes
        self._reading: tuple[Request, ...] = ()

    def is_read_by(self, request: Request) -> None:
        """Take note of a request, before it is sent."""
        self._reading = (*self.readers(), request)

    def readers(self) -> list[Request]:
        """Return the requests that were sent and that the server has not done yet: those that read this memory."""
        return [request for request in self._reading if request.serial and not request.done]

    def bytes_at(self, part: Rect) -> NDArray[Any]:
        """Return the memory of a part, in the drawable's coordinates: (height, bytes of a row) uint8, a view."""
        left, top = part.x - self.place.x, part.y - self.place.y
        return self.rows[top : top + part.height, left * self._pixel : (left + part.width) * self._pixel]

    def copy_from(self, picture: Contents, part: Rect) -> None:
        """Bring a part of this memory up to what is shown there; what was never drawn is left as it is."""
        for piece, source in picture.parts(part):
            if source is None:
                self.bytes_at(piece)[...] = 0
            elif source is not self:
                self.bytes_at(piece)[...] = source.bytes_at(piece)


Piece = tuple["Rect", ImageSource | None]


class Contents:
    """The pieces; a source of None is the background (all bits zero) of a window that is ours."""

    def __init__(self, background: Rect | None) -> None:
        self.pieces: tuple[Piece, ...] = ((background, None),) if background is not None else ()

    def shows(self, source: ImageSource) -> bool:
        """Tell whether any of it is shown."""
        return any(piece[1] is source for piece in self.pieces)

    def parts(self, region: Rect) -> list[Piece]:
        """Return what is shown inside a region."""
        cuts = ((rect.intersect(region), source) for rect, source in self.pieces)
        return [(cut, source) for cut, source in cuts if cut is not None]

    def put(self, region: Rect, source: ImageSource | None, whole: Rect | None = None) -> None:
        """From now on, `region` shows `source`; nothing else is shown if that is the `whole`."""
        if region is whole:
            self.pieces = ((region, source),)
            return
        pieces = [(cut, old) for rect, old in self.pieces for cut in subtract([rect], region)]
        self.pieces = (*pieces, (region, source))[-_MOST_PIECES:]

    def forget(self, region: Rect, source: ImageSource) -> None:
        """Be without what `region` shows of `source`, which is going to be written."""
        if len(self.pieces) == 1 and self.pieces[0] == (region, source):
            self.pieces = ()
            return
        if not self.shows(source):
            return
        kept = (piece for piece in self.pieces if piece[1] is not source)
        cut = ((part, source) for rect, old in self.pieces if old is source for part in subtract([rect], region))
        self.pieces = (*kept, *cut)

    def put_all(self, region: Rect, source: ImageSource, whole: Rect) -> bool:
        """From now on `region` shows `source`, which holds all the rest of what is shown, too.

        Tell whether that is the whole, with nothing missing.
        """
        if region is whole:
            self.pieces = ((whole, source),)
            return True
        rects = [cut for rect, _ in self.pieces for cut in subtract([rect], region)]
        rects.append(region)
        complete = sum(rect.width * rect.height for rect in rects) == whole.width * whole.height
        if complete:
            rects = [whole]
        self.pieces = tuple((rect, source) for rect in rects)[-_MOST_PIECES:]
        return complete

    def resize(self, whole: Rect, *, has_background: bool) -> None:
        """Cut off what lies outside; what is new shows the background, where there is one."""
        kept = self.parts(whole)
        fresh = subtract([whole], *(rect for rect, _ in kept)) if has_background else []
        self.pieces = (*kept, *((rect, None) for rect in fresh))


def subtract(rects: Iterable[Rect], *holes: Rect) -> list[Rect]:
    """Return what is left of rectangles: rectangles again, which overlap where those given do."""
    left = list(rects)
    for hole in holes:
        left = [part for rect in left for part in _around(rect, hole)]
    return left


def _around(rect: Rect, hole: Rect) -> list[Rect]:
    if rect is hole:
        return []
    cut = rect.intersect(hole)
    if cut is None:
        return [rect]
    edges = (
        (rect.x, rect.y, rect.right, cut.y),
        (rect.x, cut.bottom, rect.right, rect.bottom),
        (rect.x, cut.y, cut.x, cut.bottom),
        (cut.right, cut.y, rect.right, cut.bottom),
    )
    return [
        rect.from_ltrb(left, top, right, bottom) for left, top, right, bottom in edges if left < right and top < bottom
    ]
