"""The contents of a drawable: which memory each part of it was copied from.

From there an exposed part is redrawn, and a buffer with stale parts is completed.

Always true:

1. The pieces do not overlap. A part of the drawable that is in none of them shows something unknown.
2. A piece's source holds, at the piece, exactly what the drawable shows there. So memory is discarded here before it is
   acquired to be written (`Swapchain.acquire`).
3. `pieces` is a tuple, replaced as a whole: an exception leaves the old one or the new one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from xshm.geometry import subtract

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from xshm.geometry import Rect
    from xshm.x11.io.resources import ServerResource
    from xshm.x11.protocol.requests import Request

# Small presents into a drawable whose other parts are unknown make a piece each. Above this number the oldest become
# unknown: where such a window is exposed, only its own client redraws them.
_MOST_PIECES: Final = 256


class ImageSource:
    """Memory that the server can copy from: pixels in the drawable's format, for the rectangle `place` of it.

    `rows` is the memory as bytes, (height, bytes of a row) uint8. The server knows it as `shmseg` or `pixmap`, if it is
    shared. Its readers are the requests that have the server read it, from when they are made.
    """

    __slots__ = ("_pixel", "packed", "pixmap", "place", "reading", "rows", "shmseg")

    def __init__(
        self, place: Rect, rows: NDArray[Any], pixel_bytes: int, shmseg: int = 0, pixmap: ServerResource | None = None
    ) -> None:
        self.place = place
        self.rows = rows
        self.shmseg = shmseg
        self.pixmap = pixmap
        self.packed = b""  # the request that copies all of `place`, once there was one
        self._pixel = pixel_bytes
        self.reading: tuple[Request, ...] = ()

    def add_reader(self, request: Request) -> None:
        """Record a request that reads this memory, before it is sent."""
        reading = self.reading
        self.reading = (request,) if not reading or reading[-1].done else (*self.readers(), request)

    def readers(self) -> list[Request]:
        """Return the requests that may still read this memory: those that were sent and are not completed."""
        reading = self.reading
        if not reading or reading[-1].done:  # the server executes them in order
            return []
        return [request for request in reading if request.serial and not request.done]

    def bytes_at(self, part: Rect) -> NDArray[Any]:
        """Return the memory of a part, in the drawable's coordinates: (height, bytes of a row) uint8, a view."""
        left, top = part.x - self.place.x, part.y - self.place.y
        return self.rows[top : top + part.height, left * self._pixel : (left + part.width) * self._pixel]

    def copy_from(self, contents: Contents, part: Rect) -> None:
        """Copy into a part of this memory what the drawable shows there; where that is unknown nothing is copied."""
        for piece, source in contents.parts(part):
            if source is None:
                self.bytes_at(piece)[...] = 0  # the background of an own window is all bits zero
            elif source is not self:
                self.bytes_at(piece)[...] = source.bytes_at(piece)


Piece = tuple["Rect", ImageSource | None]


class Contents:
    """Pieces, oldest first: rectangles with their sources. None stands for the background of an own window: zeros."""

    def __init__(self, background: Rect | None) -> None:
        self.pieces: tuple[Piece, ...] = ((background, None),) if background is not None else ()

    def shows(self, source: ImageSource) -> bool:
        """Tell whether any part of the drawable shows this memory."""
        return any(piece[1] is source for piece in self.pieces)

    def parts(self, region: Rect) -> list[Piece]:
        """Return the pieces inside a region, cut to it."""
        cuts = ((rect.intersect(region), source) for rect, source in self.pieces)
        return [(cut, source) for cut, source in cuts if cut is not None]

    def put(self, region: Rect, source: ImageSource | None, extent: Rect | None = None) -> None:
        """Record that `region` shows `source`. If it is the very object `extent`, nothing has to be cut."""
        if region is extent:
            self.pieces = ((region, source),)
            return
        # What was there before stays around it, in up to four rectangles for each piece that is cut.
        pieces = [(cut, old) for rect, old in self.pieces for cut in subtract([rect], region)]
        self.pieces = (*pieces, (region, source))[-_MOST_PIECES:]

    def discard(self, region: Rect, source: ImageSource) -> None:
        """Count as unknown what `region` shows of `source`, which is going to be written (2)."""
        if len(self.pieces) == 1 and self.pieces[0] == (region, source):  # hot path: whole pictures, one buffer
            self.pieces = ()
            return
        if not self.shows(source):
            return
        kept = (piece for piece in self.pieces if piece[1] is not source)
        cut = ((part, source) for rect, old in self.pieces if old is source for part in subtract([rect], region))
        self.pieces = (*kept, *cut)

    def put_all(self, region: Rect, source: ImageSource, extent: Rect) -> bool:
        """Record that `region` shows `source`, which holds every other known part, too.

        Return whether all of the drawable is known now, and so is in `source`.
        """
        if region is extent:
            self.pieces = ((extent, source),)
            return True
        rects = [cut for rect, _ in self.pieces for cut in subtract([rect], region)]
        rects.append(region)
        # They do not overlap (1), so their areas tell whether anything is missing.
        complete = sum(rect.width * rect.height for rect in rects) == extent.width * extent.height
        if complete:
            rects = [extent]
        self.pieces = tuple((rect, source) for rect in rects)[-_MOST_PIECES:]
        return complete

    def resize(self, before: Rect, extent: Rect, *, has_background: bool) -> None:
        """Cut off what lies outside of a new extent; with a background, that is what the server paints new parts with.

        The rest stays, at the upper left, since that is the bit gravity of an own window. Safe to repeat.
        """
        kept = self.parts(extent)
        fresh = subtract([extent], before, *(rect for rect, _ in kept)) if has_background else []
        self.pieces = (*kept, *((rect, None) for rect in fresh))
