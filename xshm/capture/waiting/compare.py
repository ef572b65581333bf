"""Compare two frames of one source inside the rectangles that were drawn to; and parts of a frame, as frames.

DAMAGE reports drawing, not difference, so the waits compare. Only what was drawn to can differ: comparing no more is
what makes a wait on a large screen with a small animation cheap.
"""

from __future__ import annotations

from typing import Final

from xshm.geometry import Rect, merged, subtract
from xshm.image.difference import Difference
from xshm.image.frame import Frame
from xshm.pixels.bounding_shape import cut

MOST_RECTS: Final = 16  # of a Difference, and of what was drawn to since a frame: more are merged
_BITS_PER_BYTE: Final = 8


def compare(before: Frame, now: Frame, drawn: list[Rect], ignored: list[Rect]) -> Difference:
    """Return the Difference of two frames inside `drawn`; frames of two sizes differ everywhere.

    `drawn` is in the frames' own coordinates, may overlap, and each pixel counts once; `ignored` is in the source's
    coordinates.
    """
    entire = whole(now)
    if before.rect != now.rect:  # the source was resized
        return Difference(now.width * now.height, 1.0, (entire,))
    holes = [each.moved(-now.rect.x, -now.rect.y) for each in ignored]
    if now.format.bits_per_pixel < _BITS_PER_BYTE:  # a rectangle's columns are not whole bytes there
        drawn = [entire] if drawn else []
    count, rects = 0, list[Rect]()
    for rect in drawn:
        for each in subtract([rect], *holes):
            found = part(before, each).diff(part(now, each))
            count += found.pixels
            rects += [one.moved(each.x, each.y) for one in found.rects]
        holes = [*holes, rect]  # the next rectangle may overlap this one
    return Difference(count, count / (now.width * now.height), merged(rects, MOST_RECTS))


def part(frame: Frame, rect: Rect) -> Frame:
    """Return a part of a frame as a frame over the same memory; at depths below 8 `rect` is one of `whole_bytes`.

    `rect` counts from the frame's corner, and is the `rect` of the result: not the source's coordinates.
    """
    each = _pixels_per_byte(frame)
    columns = slice(rect.x // each, -(-rect.right // each))
    pixels = frame.pixels if rect == whole(frame) else frame.pixels[rect.y : rect.bottom, columns]
    found = Frame(pixels, rect, frame.monotonic_ns, frame.sequence, frame.format, frame.colormap)
    if frame.bounding_shape is not None:
        found.bounding_shape = cut(frame.bounding_shape, rect)
    return found


def whole_bytes(frame: Frame, rect: Rect) -> Rect:
    """Widen a rectangle to whole bytes of a frame's rows, which hold several pixels each at depths below 8."""
    each = _pixels_per_byte(frame)
    right = min(-(-rect.right // each) * each, frame.width)
    return Rect.from_ltrb(rect.x // each * each, rect.y, right, rect.bottom)


def whole(frame: Frame) -> Rect:
    """Return all of a frame in its own coordinates."""
    return Rect(0, 0, frame.width, frame.height)


def _pixels_per_byte(frame: Frame) -> int:
    return max(_BITS_PER_BYTE // frame.format.bits_per_pixel, 1)
