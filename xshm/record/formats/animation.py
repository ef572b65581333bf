"""Animation: what the sinks of animated pictures (APNG, GIF, WebP) share: which pixels a frame holds, and how long.

Always true:

1. A frame is held back until the next one comes, since its duration is written before its pixels. A keep-alive counts
   as one, so no more than the last second is missing in the file.
2. A frame is one rectangle, around all pixels that differ from the frame before; those inside it that do not differ are
   transparent. The formats have no frame of several rectangles, and browsers show each frame for 10 ms at least.
3. Times are whole ticks of the format since the recording's start, and no rounding adds up. A frame that comes sooner
   than the shortest one lasts is shown as soon as that is over; until then later ones take its place.
4. With constant=True each `write` is one frame. Otherwise pictures without a pixel that differs are left out.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple

from xshm.errors import Closed, InvalidArgument
from xshm.geometry import Rect, merged
from xshm.image.difference import bounds
from xshm.record.formats.growing_file import GrowingFile
from xshm.record.pictures.picture import Picture
from xshm.record.sinks.sink import KEEP_ALIVE
from xshm.system.printable import quoted

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from xshm.record.formats.growing_file import Output
    from xshm.record.pictures.picture import Layout
    from xshm.record.sinks.settings import Settings
else:
    from xshm._numpy import np

_SECOND: Final = 1_000_000_000  # ns
_MOST_RECTS: Final = 16
OPAQUE: Final = np.uint32(0xFF000000)
_CORNER: Final = Rect(0, 0, 1, 1)
# Seconds after which a picture that was painted anew, with the same pixels, is a keep-alive too: together with the
# 0.8 s to the next one that is about a second.
_UNCHANGED: Final = 0.25


class Patch(NamedTuple):
    """A part of a frame: B G R and 255 of each pixel, as a number, and where it differs; None: all of it.

    Patches may overlap; they agree on the pixels that they share.
    """

    rect: Rect  # in the picture
    pixels: NDArray[np.uint32]
    differs: NDArray[np.bool_] | None


@dataclass(slots=True)
class _Held:
    """A frame that is not written yet: when it begins, in ticks, and rectangles around what differs in it."""

    start: int
    rects: list[Rect]


class Animation:
    """A Sink whose subclass encodes frames. `output` is its own once it is made; before that, see `check`.

    Durations of frames, `shortest` and `longest`, are in ticks; `most_edge` is in pixels.
    """

    kind: ClassVar[str]
    ticks: ClassVar[int]  # a second
    shortest: ClassVar[int]
    longest: ClassVar[int]
    most_edge: ClassVar[int]
    trailer: ClassVar[bytes]

    layout: Layout = "bgr0"
    keep_alive = KEEP_ALIVE

    def __init__(self, output: Output, size: tuple[int, int], settings: Settings) -> None:
        self.check(size, settings)
        self.size = size
        self.settings = settings
        self._file = GrowingFile(output, self.trailer)
        self._lock = threading.Lock()  # held by write and finish; abort does without what it would wait for
        self._is_over = False
        self._held: _Held | None = None
        self._frames = 0
        width, height = size
        # B G R and 255 of each pixel, as a number: the picture with the frame that is held back, and the one before it.
        self._shown: NDArray[np.uint32] = np.zeros((height, width), "<u4")
        self._written: NDArray[np.uint32] = np.zeros((height, width), "<u4")

    @classmethod
    def check(cls, size: tuple[int, int], settings: Settings) -> None:
        """Raise InvalidArgument for what the format does not have, before an output is opened."""
        kind, most = cls.kind, cls.ticks // cls.shortest
        if settings.codec is not None and settings.codec.lower() != kind.lower():
            raise InvalidArgument(
                f"{kind} is format and codec in one; leave codec={quoted(settings.codec)} out, or record to .mp4, .mkv "
                f"or .webm"
            )
        if settings.options:
            raise InvalidArgument(
                f"{kind} has no options, so {', '.join(map(quoted, settings.options))} can't be set; quality= can"
            )
        if settings.constant and settings.fps is not None and settings.fps > most:
            raise InvalidArgument(
                f"{kind} has at most {most} pictures a second, since browsers show shorter ones for 0.1 s; not a "
                f"constant {settings.fps:g}; record to .mp4, .mkv or .webm"
            )
        if max(size) > cls.most_edge:
            raise InvalidArgument(
                f"{kind} has at most {cls.most_edge} pixels along an edge, not {size[0]}x{size[1]}; pass max_edge= or "
                f"a region"
            )

    @property
    def how(self) -> str:
        """What was chosen and why, in words."""
        most = f"at most {self.ticks // self.shortest} pictures a second"
        return f"{self._how()}; {most}; played in a loop; no chapters"

    @property
    def nbytes(self) -> int:
        """How many bytes were written so far."""
        return self._file.nbytes

    def new_picture(self) -> Picture:
        """Return a black picture."""
        width, height = self.size
        plane = np.zeros((height, width, 4), np.uint8)
        plane[..., 3] = 255
        return Picture(self.layout, width, height, (plane,))

    def write(self, picture: Picture, at: int, changed: Sequence[Rect]) -> None:
        """Hold a frame back, and write the one before it, if a pixel differs or this is a keep-alive."""
        with self._writing():
            pixels: NDArray[np.uint32] = picture.planes[0].view("<u4")[..., 0]
            start = at * self.ticks // _SECOND
            if self._held is None:
                found = [Rect(0, 0, *self.size)]
                self._held = _Held(start, found)
            else:
                found = [part for rect in changed if (part := self._differing(pixels, rect)) is not None]
                waited = start - self._held.start
                if found or not changed or self.settings.constant or waited >= _UNCHANGED * self.ticks:
                    self._hold(start, found)
            for rect in found:
                np.bitwise_or(pixels[rect.slices], OPAQUE, out=self._shown[rect.slices])

    def mark(self, at: int, title: str) -> None:
        """Do nothing: the format has no chapters."""

    def finish(self, end: int) -> None:
        """Write the frame that is held back, to be shown until `end`, and close the file."""
        with self._writing():
            try:
                if self._held is not None:
                    self._write_held(max(end * self.ticks // _SECOND, self._held.start + self.shortest))
                self._file.close()
            finally:
                self._is_over = True

    def abort(self) -> None:
        """Close the file as it is, complete up to the last frame that was written."""
        self._is_over = True
        self._file.end_write()
        self._release()

    def _how(self) -> str:
        raise NotImplementedError

    def _header(self) -> bytes:
        """Return what the file begins with."""
        raise NotImplementedError

    def _frame(self, whole: Rect, patches: list[Patch], ticks: int) -> bytes:
        """Return a frame of a rectangle, transparent where no patch differs from the frame before.

        Where the format can't show a pixel exactly, what it shows instead is written into the patch.
        """
        raise NotImplementedError

    def _corrections(self, frames: int, nbytes: int) -> Mapping[int, bytes]:
        """Return what the header has to say, by its offset, after so many frames and bytes before the trailer."""
        raise NotImplementedError

    @contextmanager
    def _writing(self) -> Generator[None]:
        """Refuse what comes after the end; release the file after an `abort` that has come meanwhile."""
        try:
            with self._lock:
                if self._is_over:
                    raise Closed(f"this {self.kind} is complete, and takes no further pictures")
                yield
        finally:
            if self._is_over:
                self._release()

    def _release(self) -> None:
        """Close the file, unless it is being written to: then `_writing` does that."""
        if self._lock.acquire(blocking=False):
            try:
                self._file.discard()
            finally:
                self._lock.release()

    def _differing(self, pixels: NDArray[np.uint32], rect: Rect) -> Rect | None:
        """Return the part of `rect` around the pixels that differ from the frame that is held back; None for none."""
        found = bounds(pixels[rect.slices] != self._shown[rect.slices])
        return None if found is None else found.moved(rect.x, rect.y)

    def _hold(self, start: int, rects: list[Rect]) -> None:
        """Write the frame that is held back, and hold one from `start` on; join them if the former is not shown yet."""
        held = self._held
        assert held is not None  # noqa: S101 - `write` has tested it
        if start < held.start:
            held.rects = list(merged([*held.rects, *rects], _MOST_RECTS))
            return
        start = max(start, held.start + self.shortest)
        self._write_held(start)
        self._held = _Held(start, rects)

    def _write_held(self, until: int) -> None:
        """Write the frame that is held back, to be shown until a tick: several where that is too long for one."""
        held = self._held
        assert held is not None  # noqa: S101 - as above
        while held.start < until:
            end = min(until, held.start + self.longest)
            patches = self._patches(held.rects)
            whole = reduce(Rect.union, (each.rect for each in patches))
            data = self._frame(whole, patches, end - held.start)
            if not self._frames:
                data = self._header() + data
            self._file.append(data, self._corrections(self._frames + 1, self._file.end + len(data)))
            self._frames += 1
            for each in patches:
                where = True if each.differs is None else each.differs
                np.copyto(self._written[each.rect.slices], each.pixels, where=where)
            held.start, held.rects = end, []

    def _patches(self, rects: list[Rect]) -> list[Patch]:
        """Return what a frame is made of; the first one is the whole picture, and one without a change a pixel."""
        if not self._frames:
            return [Patch(rects[0], self._shown.copy(), None)]
        patches = []
        for rect in rects or [_CORNER]:
            pixels = self._shown[rect.slices].copy()
            differs = pixels != self._written[rect.slices]
            patches.append(Patch(rect, pixels, None if differs.all() else differs))
        return patches
