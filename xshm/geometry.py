"""Rectangles of pixels: the value `Rect`, parsing a region, and intersection, union, subtraction and merging.

Every `Rect` is valid: four ints, width and height of at least 1. Coordinates are pixels; y grows downwards.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, SupportsIndex, runtime_checkable

from xshm import _arguments
from xshm.errors import InvalidArgument, InvalidType, OutOfBounds
from xshm.system.printable import quoted

_NUMBER = r"[0-9]{1,20}"  # longer ones are no numbers of pixels, and int() refuses more than 4300 digits
_GEOMETRY = rf"({_NUMBER})x({_NUMBER})(?:([+-]-?{_NUMBER})([+-]-?{_NUMBER}))?"  # XParseGeometry
_SLURP = rf"(-?{_NUMBER}),(-?{_NUMBER}) ({_NUMBER})x({_NUMBER})"
_TEXTS = "'640x480+10+20', '640x480-10-20' (from the right and bottom edge), '640x480' or slurp's '10,20 640x480'"
_FIELDS = 4
_KEYS = ("left", "top", "width", "height")
_MSS_KEYS = {*_KEYS, "mon", "name", "is_primary", "unique_id", "output"}  # the keys of a monitor in mss 10.2
# Rectangles that `merged` compares pair by pair: 32 that lie anywhere take 0.7 ms. More are joined in runs of
# neighbours first, since the time grows with the square of their number.
_MOST_PAIRWISE = 32
_NO_PAIR = (math.inf, -1)
_Box = tuple[int, int, int, int, int]  # left, top, right, bottom, area

__all__ = ["HasRect", "Rect", "Region", "as_rect", "merged"]  # the other functions are the library's own


@runtime_checkable
class HasRect(Protocol):
    """An object that has a rectangle of the screen, such as a Monitor."""

    @property
    def rect(self) -> Rect:
        """The rectangle, in the screen's coordinates."""
        ...


class Sized:
    """The size of what has a `rect`: a frame, a drawable, a monitor."""

    __slots__ = ()

    @property
    def width(self: HasRect) -> int:
        """Pixels in a row of `rect`."""
        return self.rect.width

    @property
    def height(self: HasRect) -> int:
        """Rows of `rect`."""
        return self.rect.height


@dataclass(frozen=True, slots=True, order=True)
class Rect:
    """A rectangle of pixels: left, top, width and height."""

    x: int
    y: int
    width: int
    height: int

    def __post_init__(self) -> None:
        for name in ("x", "y", "width", "height"):
            value = getattr(self, name)
            if type(value) is not int:
                object.__setattr__(self, name, _coordinate(name, value))
        if self.width < 1 or self.height < 1:
            size = f"{quoted(self.width)}x{quoted(self.height)}"
            raise InvalidArgument(f"a region needs a width and height of at least 1, not {size}")

    @classmethod
    def from_ltrb(cls, left: int, top: int, right: int, bottom: int) -> Rect:
        """Make a Rect from its edges; right and bottom are the first column and row outside, as Pillow has them."""
        edges = (("left", left), ("top", top), ("right", right), ("bottom", bottom))
        left, top, right, bottom = (_coordinate(name, value) for name, value in edges)
        return cls(left, top, right - left, bottom - top)

    @classmethod
    def parse(cls, text: str, within: Rect | None = None) -> Rect:
        """Read "640x480+10+20" as X tools write it, "640x480" at 0, 0, or "10,20 640x480" as slurp writes it.

        "+-5" is a negative coordinate. "640x480-10-20" counts from the right and bottom edge of `within`, the whole
        that it is a part of (`screen.rect`); without that it is refused.
        """
        if not isinstance(text, str):
            raise InvalidType(f"a geometry is a text like '640x480+10+20', not {type(text).__name__}: {quoted(text)}")
        if within is None:
            return _parse(text, None)
        _check_rect(within)
        return _parse(text, lambda: within)

    @property
    def right(self) -> int:
        """The first column outside."""
        return self.x + self.width

    @property
    def bottom(self) -> int:
        """The first row outside."""
        return self.y + self.height

    def intersect(self, other: Rect) -> Rect | None:
        """Return the part that both cover, or None where there is none."""
        _check_rect(other)
        left, top = max(self.x, other.x), max(self.y, other.y)
        right, bottom = min(self.right, other.right), min(self.bottom, other.bottom)
        if right <= left or bottom <= top:
            return None
        return Rect(left, top, right - left, bottom - top)

    def union(self, other: Rect) -> Rect:
        """Return the smallest rectangle that covers both."""
        _check_rect(other)
        left, top = min(self.x, other.x), min(self.y, other.y)
        right, bottom = max(self.right, other.right), max(self.bottom, other.bottom)
        return Rect(left, top, right - left, bottom - top)

    def contains(self, other: Rect) -> bool:
        """Return whether `other` lies wholly inside."""
        try:
            return self.x <= other.x and self.y <= other.y and other.right <= self.right and other.bottom <= self.bottom
        except (AttributeError, TypeError):  # checked here alone: the hot path of every grab has no check
            _check_rect(other)
            raise

    def moved(self, dx: int, dy: int) -> Rect:
        """Return the same rectangle elsewhere."""
        return Rect(self.x + _coordinate("dx", dx), self.y + _coordinate("dy", dy), self.width, self.height)

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns, to index an array of a picture whose corner is 0, 0; for a frame's see `Frame.slices`."""
        return slice(self.y, self.bottom), slice(self.x, self.right)

    def __str__(self) -> str:
        try:
            return f"{self.width}x{self.height}+{self.x}+{self.y}"
        except ValueError:  # Python writes no int of more than 4300 digits
            return "of numbers with thousands of digits"


Region = Rect | HasRect | tuple[int, int, int, int] | Mapping[str, Any] | str


def as_rect(region: Region, whole: Callable[[], Rect] | None = None) -> Rect:
    """Return a caller's region as a Rect.

    A region is a Rect, a Monitor, (x, y, width, height), {"left", "top", "width", "height"} as mss has it, or a text
    as `Rect.parse` reads it. `whole` is called for a text that counts from the right or bottom edge.
    """
    if type(region) is Rect:
        return region
    if isinstance(region, str):
        return _parse(region, whole)
    if isinstance(region, (tuple, list)):
        if len(region) != _FIELDS:
            raise InvalidArgument(f"a region is (x, y, width, height), not {len(region)} numbers: {quoted(region)}")
        return Rect(*region)
    if getattr(region, "_has_own_coordinates", False):  # a Window or Pixmap: its `rect` counts from its own corner
        raise InvalidType(
            f"a region is a part of what is grabbed or drawn on, and {region!r} is a picture of its own; to take that, "
            f"call its own grab()"
        )
    if isinstance(region, HasRect):
        return region.rect
    if isinstance(region, Mapping):
        return _of_edges(region)
    raise InvalidType(
        f"a region is a Rect, (x, y, width, height), a Monitor, a dict of left, top, width and height, or a text: "
        f"{_TEXTS}; not {type(region).__name__}: {quoted(region)}"
    )


def _of_edges(region: Mapping[str, Any]) -> Rect:
    missing = [key for key in _KEYS if key not in region]
    unknown = sorted(str(key) for key in region if key not in _MSS_KEYS)
    if missing or unknown:
        wrong = [f"{' and '.join(missing)} missing"] if missing else []
        wrong += [f"{' and '.join(unknown)} not understood"] if unknown else []
        raise InvalidArgument(
            f"a region as a dict has left, top, width and height; {', '.join(wrong)}: {quoted(region)}"
        )
    # By `_coordinate`, so that an error names the key, "left" and not "x".
    return Rect(*(_coordinate(key, region[key]) for key in _KEYS))


def _parse(text: str, whole: Callable[[], Rect] | None) -> Rect:
    match = re.fullmatch(_SLURP, text.strip())  # "X,Y WxH"
    if match is not None:
        return Rect(*map(int, match.groups()))
    match = re.fullmatch(_GEOMETRY, text.strip())
    if match is None:
        raise InvalidArgument(f"{quoted(text)} is no geometry; write {_TEXTS}")
    width, height = int(match[1]), int(match[2])
    x, y = match[3] or "+0", match[4] or "+0"
    across, down = int(x[1:]), int(y[1:])  # after the sign: "+-5" is -5 from the near edge, "-5" is 5 from the far one
    if "-" in (x[0], y[0]):
        if whole is None:
            raise InvalidArgument(
                f"{quoted(text)} counts from the far edge of a picture, whose size is not known here; give it, as in "
                f"Rect.parse({quoted(text)}, within=screen.rect), or write +-5 for the coordinate -5"
            )
        edges = whole()
        across = edges.right - width - across if x[0] == "-" else across
        down = edges.bottom - height - down if y[0] == "-" else down
    return Rect(across, down, width, height)


def fit(rect: Rect, whole: Rect, name: str, *, clip: bool | None) -> Rect:
    """Return `rect` if `whole` contains it, or with `clip` the part inside; else raise OutOfBounds, about `name`.

    `clip` None is False for a caller that has no such argument: the error does not advise it.
    """
    if whole.contains(rect):
        return rect
    size = f"{name} {whole.width}x{whole.height}"
    if not clip:
        advice = "" if clip is None else "; pass clip=True to cut it"
        raise OutOfBounds(f"region {rect} leaves {size}{advice}")
    inside = rect.intersect(whole)
    if inside is None:
        raise OutOfBounds(f"region {rect} lies wholly outside {size}; nothing is left")
    return inside


def subtract(rects: Iterable[Rect], *holes: Rect) -> list[Rect]:
    """Return what `holes` leave of `rects`: rectangles again, disjoint where those given are."""
    left = list(rects)  # after each hole: the rectangles that no hole so far covers
    for hole in holes:
        left = [part for rect in left for part in _around(rect, hole)]
    return left


def _around(rect: Rect, hole: Rect) -> list[Rect]:
    """Return up to four strips of `rect`: above and below the hole over the full width, left and right beside it."""
    if rect == hole:
        return []
    inside = rect.intersect(hole)
    if inside is None:
        return [rect]
    strips = (
        (rect.x, rect.y, rect.right, inside.y),
        (rect.x, inside.bottom, rect.right, rect.bottom),
        (rect.x, inside.y, inside.x, inside.bottom),
        (inside.right, inside.y, rect.right, inside.bottom),
    )
    return [Rect.from_ltrb(*strip) for strip in strips if strip[0] < strip[2] and strip[1] < strip[3]]


def merged(rects: list[Rect], most: int) -> tuple[Rect, ...]:
    """Return at most `most` rectangles that cover all of `rects`; the pair that wastes least is joined first."""
    try:
        return _merged(rects, most)
    except (AttributeError, TypeError):
        if not isinstance(rects, tuple | list):
            raise InvalidType(f"rectangles are a list of Rects, not {type(rects).__name__}: {quoted(rects)}") from None
        for each in rects:
            _check_rect(each)
        _arguments.integer(most, "the number of rectangles is a whole number")
        raise


def _merged(rects: list[Rect], most: int) -> tuple[Rect, ...]:
    # By rows, so that neighbours in the list lie close; each once, since what is drawn anew each time has equal ones.
    found = list(dict.fromkeys(rects))
    if len(found) < 2:  # noqa: PLR2004 - as each picture of a film has it
        return tuple(found)
    found.sort(key=lambda rect: (rect.y, rect.x))
    if len(found) > _MOST_PAIRWISE:
        size = -(-len(found) // _MOST_PAIRWISE)
        found = [functools.reduce(Rect.union, found[at : at + size]) for at in range(0, len(found), size)]
    # By number, which rises with the place in the list; a union has a new one. Of each box the best pair with a later
    # one is kept, so that a join compares one box with the others, and not all of them anew.
    boxes: dict[int, _Box] = {at: (*_corners(each), _area(each)) for at, each in enumerate(found)}
    best = {at: _best(boxes, at) for at in boxes}
    for number in range(len(found), 2 * len(found) - 1):
        waste, one, other = min((waste, at, other) for at, (waste, other) in best.items())
        if waste > 0 and len(boxes) <= most:  # a join that covers no further pixel is always made
            break
        joined = _union(boxes.pop(one), boxes.pop(other))
        del best[one], best[other]
        for at, box in boxes.items():
            if best[at][1] in (one, other):
                best[at] = _best(boxes, at)
            best[at] = min(best[at], (_union(box, joined)[4] - box[4] - joined[4], number))
        boxes[number], best[number] = joined, _NO_PAIR
    return tuple(sorted((Rect.from_ltrb(*box[:4]) for box in boxes.values()), key=lambda rect: (rect.y, rect.x)))


def _corners(rect: Rect) -> tuple[int, int, int, int]:
    return rect.x, rect.y, rect.right, rect.bottom


def _best(boxes: Mapping[int, _Box], at: int) -> tuple[float, int]:
    """Return what the best pair of a box and a later one wastes, and that one's number."""
    box = boxes[at]
    pairs = ((_union(box, other)[4] - box[4] - other[4], number) for number, other in boxes.items() if number > at)
    return min(pairs, default=_NO_PAIR)


def _union(one: _Box, other: _Box) -> _Box:
    left, top = min(one[0], other[0]), min(one[1], other[1])
    right, bottom = max(one[2], other[2]), max(one[3], other[3])
    return left, top, right, bottom, (right - left) * (bottom - top)


def _area(rect: Rect) -> int:
    return rect.width * rect.height


def _check_rect(other: object) -> None:
    if not isinstance(other, Rect):
        raise InvalidType(f"a Rect goes with a Rect, not with {type(other).__name__}: {quoted(other)}")


def _coordinate(name: str, value: SupportsIndex) -> int:
    return value if type(value) is int else _arguments.integer(value, f"a region's {name} is a whole number")
