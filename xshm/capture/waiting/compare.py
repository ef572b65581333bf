"""Compare two frames of one source inside the rectangles that were drawn to; and parts of a frame, as frames.

DAMAGE reports drawing, not difference, so the waits compare. Only what was drawn to can differ: comparing no more is
what makes a wait on a large screen with a small animation cheap. All rectangles are in the source's coordinates, as
everything that a frame says.
"""

from __future__ import annotations

from typing import Final

from xshm.geometry import Rect, merged, subtract
from xshm.image.difference import Difference, difference
from xshm.image.frame import Frame
from xshm.pixels.bounding_shape import cut

MOST_RECTS: Final = 16  # of a Difference, and of what was drawn to since a frame: more are merged
_BITS_PER_BYTE: Final = 8


def compare(before: Frame, now: Frame, drawn: list[Rect], ignored: list[Rect]) -> Difference:
    """Return the Difference of two frames inside `drawn`; frames of two sizes differ everywhere.

    `drawn` may overlap: each pixel counts once.
    """
    if before.rect != now.rect:  # the source was resized
        return Difference(now.width * now.height, 1.0, (now.rect,))
    if drawn and now.format.bits_per_pixel < _BITS_PER_BYTE:  # a rectangle's columns are not whole bytes there
        mask = (before.rgb() != now.rgb()).any(axis=2)
        for hole in ignored:
            if (inside := hole.intersect(now.rect)) is not None:
                mask[now.slices(inside)] = False
        found = difference(mask, (now.rect.x, now.rect.y))
        return Difference(found.pixels, found.ratio, merged(list(found.rects), MOST_RECTS))
    holes = ignored
    count, rects = 0, list[Rect]()
    for rect in drawn:
        for each in subtract([rect], *holes):
            found = part(before, each).diff(part(now, each))
            count += found.pixels
            rects += found.rects
        holes = [*holes, rect]  # the next rectangle may overlap this one
    return Difference(count, count / (now.width * now.height), merged(rects, MOST_RECTS))


def part(frame: Frame, rect: Rect) -> Frame:
    """Return a part of a frame as a frame over the same memory; at depths below 8 `rect` is one of `whole_bytes`."""
    rows, columns = frame.slices(rect)
    each = _pixels_per_byte(frame)
    columns = slice(columns.start // each, -(-columns.stop // each))
    pixels = frame.pixels if rect == frame.rect else frame.pixels[rows, columns]
    found = Frame(pixels, rect, frame.monotonic_ns, frame.sequence, frame.format, frame.colormap)
    if frame.bounding_shape is not None:
        found.bounding_shape = cut(frame.bounding_shape, rect)
    return found


def whole_bytes(frame: Frame, rect: Rect) -> Rect:
    """Widen a rectangle to whole bytes of a frame's rows, which hold several pixels each at depths below 8."""
    each, corner = _pixels_per_byte(frame), frame.rect.x
    left = corner + (rect.x - corner) // each * each
    right = min(corner - (corner - rect.right) // each * each, frame.rect.right)
    return Rect.from_ltrb(left, rect.y, right, rect.bottom)


def _pixels_per_byte(frame: Frame) -> int:
    return max(_BITS_PER_BYTE // frame.format.bits_per_pixel, 1)
