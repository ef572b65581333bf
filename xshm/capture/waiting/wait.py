"""Waiting for what is seen: a change, calm, a pixel, a picture. Between changes nothing is done and nothing is copied.

DAMAGE reports drawing, not difference: what was drawn is compared for real, and only where it was drawn.
"""

from __future__ import annotations

import contextlib
import math
import operator
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

from xshm import _arguments
from xshm.capture.changes import ChangeTracker
from xshm.capture.waiting.find_image import find_image
from xshm.capture.waiting.shades import shown_as, shows
from xshm.capture.waiting.template import template
from xshm.errors import InvalidArgument, InvalidType, OutOfBounds, RequestTimeout, WaitTimeout
from xshm.geometry import Rect, merged
from xshm.image.bounding_shape import cut
from xshm.image.difference import Difference
from xshm.image.frame import Frame
from xshm.system import limits
from xshm.system.deadlines import nearest, within
from xshm.system.printable import quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from xshm.capture.source import Source
    from xshm.capture.waiting.shades import Colour
    from xshm.capture.waiting.template import Picture
    from xshm.geometry import Region
    from xshm.pixels.format import PixelFormat

_MOST_RECTS: Final = 16
# While a source is drawn to all the time, it is looked at no more often than after each of so many seconds.
_PAUSE: Final = 0.005
_WHOLE_BYTES: Final = 8

_Given = ParamSpec("_Given")
_Returned = TypeVar("_Returned")


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """What `wait_change` saw: where (`rects`, in the frame's own coordinates), how much of the picture (`ratio`)."""

    rects: tuple[Rect, ...]
    ratio: float
    frame: Frame
    seconds: float


@dataclass(frozen=True, slots=True, eq=False)
class Stability:
    """What `wait_stable` saw; true if `stable`. `seconds` is how long it took, `frame` the last picture."""

    stable: bool
    seconds: float
    frame: Frame

    def __bool__(self) -> bool:
        return self.stable


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """Where `wait_image` saw the picture: `rect` in the source's coordinates, how far off (0.0: the same), frame."""

    rect: Rect
    difference: float
    frame: Frame


def wait_change(
    source: Source, timeout: float | None, region: Region | None, threshold: float, since: Frame | None
) -> Change | None:
    """See `Drawable.wait_change`."""
    clock = _Clock(timeout)
    _check_ratio(threshold)
    if since is not None and not isinstance(since, Frame):
        raise InvalidType(f"since is a Frame of this source, not {type(since).__name__}")
    before, drawn = since, list[Rect]()
    with _changes(source, region, clock) as changes:
        for frame in _frames(changes, clock):
            if before is None:
                before = frame
                continue
            if before is since and not drawn and before.rect != frame.rect:
                raise InvalidArgument(f"since is a frame of {before.rect}; what is watched is {frame.rect}")
            drawn = list(merged([*drawn, *(frame.changed or ())], _MOST_RECTS))
            found = _differing(before, frame, drawn, [])
            if found.ratio > threshold:
                return Change(found.rects, found.ratio, frame, clock.seconds)
    return None


def wait_stable(
    source: Source,
    quiet: float,
    timeout: float | None,
    threshold: float,
    ignore: Iterable[Region],
    region: Region | None,
) -> Stability:
    """See `Drawable.wait_stable`."""
    clock = _Clock(timeout)
    _check_ratio(threshold)
    quiet = _arguments.number(quiet, "quiet is a number of seconds")
    if not 0 < quiet < math.inf or (timeout is not None and quiet > timeout):
        raise InvalidArgument(f"quiet is above 0 and at most the timeout, {timeout} seconds, not {quoted(quiet)}")
    regions = _arguments.several(ignore, "ignore is a list of regions", no_types=(str, Mapping))
    ignored = [clock.ask(source._within, each) for each in regions]
    with _changes(source, region, clock) as changes:
        # Compared with the picture that the quiet time began with: what moves a little at a time adds up.
        calm = last = clock.ask(_first, changes)
        since, drawn = time.monotonic(), list[Rect]()
        while True:
            _wait_until(changes, min(since + quiet, clock.end))
            frame = clock.look(changes)
            now = time.monotonic()
            if clock.is_unanswered:
                return Stability(stable=False, seconds=clock.seconds, frame=last)
            if frame is not None:
                last = frame
                drawn = list(merged([*drawn, *(frame.changed or ())], _MOST_RECTS))
                if _differing(calm, frame, drawn, ignored).ratio > threshold:
                    calm, since, drawn = frame, now, []
            if now >= since + quiet:
                return Stability(stable=True, seconds=clock.seconds, frame=last)
            if now >= clock.end:
                return Stability(stable=False, seconds=clock.seconds, frame=last)
            if frame is not None:
                time.sleep(min(_PAUSE, clock.left))


def wait_for(
    source: Source, predicate: Callable[[Frame], object], timeout: float | None, region: Region | None
) -> Frame:
    """See `Drawable.wait_for`."""
    clock = _Clock(timeout)
    if not callable(predicate):
        raise InvalidType(f"a predicate is a function of a frame, not {type(predicate).__name__}: {quoted(predicate)}")
    return _wait_for(source, predicate, clock, region, "what the predicate wants")


def _wait_for(
    source: Source, predicate: Callable[[Frame], object], clock: _Clock, region: Region | None, name: str
) -> Frame:
    """Wait for a frame that the predicate, which is the caller's own and not bound to his time, is true of."""
    with _changes(source, region, clock) as changes:
        for frame in _frames(changes, clock):
            last = frame
            if predicate(frame):
                return frame
        silent = ", and the server does not answer any more" if clock.is_unanswered else ""
        raise WaitTimeout(f"{name} did not come within {clock.timeout} s{silent}", frame=last)


def wait_pixel(
    source: Source, x: int, y: int, colour: str | tuple[int, int, int], timeout: float | None, tolerance: int
) -> Frame:
    """See `Drawable.wait_pixel`."""
    clock = _Clock(timeout)
    wanted = _colour(colour)
    place = clock.ask(source._within, (x, y, 1, 1))
    _arguments.number(tolerance, "a tolerance is a number")
    if not tolerance >= 0:
        raise InvalidArgument(f"a tolerance is 0 or more, of 255; not {quoted(tolerance)}")

    def is_met(frame: Frame) -> bool:
        if not frame.rect.contains(place):
            raise OutOfBounds(f"the pixel {x}, {y} leaves {source}, which was resized to {frame.rect}")
        return shows(frame, x, y, wanted, tolerance)

    try:
        return _wait_for(source, is_met, clock, None, f"the colour {wanted} at {x}, {y}")
    except WaitTimeout as error:
        frame = error.frame
        there = f"it is {frame.pixel(x, y)}{_spellings(wanted, frame.format)}"
        raise WaitTimeout(f"{error}; {there}", frame=frame) from None


def wait_image(
    source: Source, picture: Picture, region: Region | None, threshold: float, timeout: float | None
) -> Found:
    """See `Drawable.wait_image`."""
    clock = _Clock(timeout)
    _check_ratio(threshold)
    wanted = template(picture, clock.ask(source._current) if region is None else clock.ask(source._within, region))
    width, height = wanted.width, wanted.height
    found: list[Found] = []

    def matches(frame: Frame) -> bool:
        # Where it was not, it can have come only to places that touch what was drawn.
        for changed in frame.changed or ():
            reach = Rect(
                *(changed.x - width + 1, changed.y - height + 1),
                *(changed.width + 2 * width - 2, changed.height + 2 * height - 2),
            ).intersect(_all_of(frame))
            if reach is None:
                continue
            reach = _whole_bytes(frame, reach)
            match = find_image(_part(frame, reach).rgb(), wanted.rgb, threshold, wanted.mask)
            if match is not None:
                x, y, difference = match
                corner = frame.rect.x + reach.x, frame.rect.y + reach.y
                found.append(Found(Rect(corner[0] + x, corner[1] + y, width, height), difference, frame))
                return True
        return False

    _wait_for(source, matches, clock, region, f"the picture of {width}x{height}")
    return found[0]


# -- how -----------------------------------------------------------------------------------------------------------


class _Clock:
    """A verb's time: seconds since it was made, how many are left, and what the server has to answer until then."""

    def __init__(self, timeout: float | None) -> None:
        self.timeout = timeout  # as it was given
        if timeout is not None:
            timeout = _arguments.number(timeout, "a timeout is a number of seconds, or None for no limit")
            if not timeout >= 0:
                raise InvalidArgument(f"a timeout is 0 seconds or more, or None for no limit; not {quoted(timeout)}")
        self._start = time.monotonic()
        self.end = nearest(math.inf if timeout is None else self._start + timeout)
        self.is_unanswered = False  # the last look

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._start

    @property
    def left(self) -> float:
        return max(0.0, self.end - time.monotonic())

    def ask(self, work: Callable[_Given, _Returned], *args: _Given.args, **options: _Given.kwargs) -> _Returned:
        """Do what asks the server for something. Raises RequestTimeout where the time is over without an answer."""
        return within(self.end, work, *args, **options)

    def look(self, changes: ChangeTracker) -> Frame | None:
        """Take a look after the first. One that the time is over for is `is_unanswered`: what was seen before counts.

        Raises RequestTimeout where it took longer than the connection has for any answer.
        """
        try:
            return self.ask(changes.poll)
        except RequestTimeout:
            if self.left:
                raise
            self.is_unanswered = True
            return None


def _changes(source: Source, region: Region | None, clock: _Clock) -> contextlib.closing[ChangeTracker]:
    """Return what watches a source, as a context manager; no generator, whose end may come in the collector's hands."""
    return contextlib.closing(clock.ask(_watch, source, region))


def _watch(source: Source, region: Region | None) -> ChangeTracker:
    source._current()
    return ChangeTracker(source, None if region is None else source._within(region), cursor=False)


def _first(changes: ChangeTracker) -> Frame:
    while True:
        frame = changes.poll()
        if frame is not None:
            return frame


def _frames(changes: ChangeTracker, clock: _Clock) -> Generator[Frame]:
    """Give the first frame, then one whenever something was drawn, and take a last look when the time is over."""
    yield clock.ask(_first, changes)
    while True:
        time.sleep(min(_PAUSE, clock.left))
        over = not clock.left
        if not over:
            _wait_until(changes, clock.end)
        frame = clock.look(changes)
        if frame is not None:
            yield frame
        if over or clock.is_unanswered:
            return


def _wait_until(changes: ChangeTracker, moment: float) -> None:
    left = None if moment == math.inf else max(0.0, moment - time.monotonic())
    with contextlib.suppress(RequestTimeout):
        changes.wait(left)


def _differing(before: Frame, now: Frame, drawn: list[Rect], ignored: list[Rect]) -> Difference:
    """Compare two pictures where was drawn, and nowhere else; another size is another picture."""
    whole = _all_of(now)
    if before.rect != now.rect:
        return Difference(now.width * now.height, 1.0, (whole,))
    holes = [each.moved(-now.rect.x, -now.rect.y) for each in ignored]
    if now.format.bits_per_pixel < _WHOLE_BYTES:  # a column is no column of bytes there
        drawn = [whole] if drawn else []
    count, rects = 0, list[Rect]()
    for rect in drawn:
        for part in _without(rect, holes):
            found = _part(before, part).diff(_part(now, part))
            count += found.pixels
            rects += [each.moved(part.x, part.y) for each in found.rects]
        holes = [*holes, rect]
    return Difference(count, count / (now.width * now.height), merged(rects, _MOST_RECTS))


def _part(frame: Frame, rect: Rect) -> Frame:
    """Return a part of a frame, over the same memory; where pixels share bytes, one of `_whole_bytes`."""
    each = max(_WHOLE_BYTES // frame.format.bits_per_pixel, 1)
    columns = slice(rect.x // each, -(-rect.right // each))
    pixels = frame.pixels if rect == _all_of(frame) else frame.pixels[rect.y : rect.bottom, columns]
    part = Frame(pixels, rect, frame.monotonic_ns, frame.sequence, frame.format, frame.colormap)
    if frame.bounding_shape is not None:
        part.bounding_shape = cut(frame.bounding_shape, rect)
    return part


def _whole_bytes(frame: Frame, rect: Rect) -> Rect:
    """Return a rectangle in a frame widened to where bytes begin and end, which several pixels may share."""
    each = max(_WHOLE_BYTES // frame.format.bits_per_pixel, 1)
    right = min(-(-rect.right // each) * each, frame.width)
    return Rect.from_ltrb(rect.x // each * each, rect.y, right, rect.bottom)


def _without(rect: Rect, holes: list[Rect]) -> list[Rect]:
    """Return what is left of a rectangle outside of others, in rectangles that do not overlap."""
    left = [rect]
    for hole in holes:
        left = [piece for each in left for piece in _cut(each, hole)]
    return left


def _cut(rect: Rect, hole: Rect) -> list[Rect]:
    inside = rect.intersect(hole)
    if inside is None:
        return [rect]
    edges = (
        (rect.x, rect.y, rect.right, inside.y),
        (rect.x, inside.bottom, rect.right, rect.bottom),
        (rect.x, inside.y, inside.x, inside.bottom),
        (inside.right, inside.y, rect.right, inside.bottom),
    )
    return [Rect.from_ltrb(*each) for each in edges if each[0] < each[2] and each[1] < each[3]]


def _all_of(frame: Frame) -> Rect:
    return Rect(0, 0, frame.width, frame.height)


def _check_ratio(threshold: float) -> None:
    _arguments.number(threshold, "a threshold is a ratio from 0 to 1")
    if not 0 <= threshold <= 1:
        raise InvalidArgument(f"a threshold is a ratio from 0 to 1, not {quoted(threshold)}")


def _spellings(colour: Colour, fmt: PixelFormat) -> str:
    """Return what a screen of few bits makes of a colour, as the end of a sentence."""
    others = [str(each) for each in dict.fromkeys(shown_as(fmt, colour)) if each != colour]
    return f", and {colour} would be {' or '.join(others)} at depth {fmt.depth}" if others else ""


def _colour(colour: Any) -> tuple[int, int, int]:
    if isinstance(colour, str):
        with limits.loading():
            from PIL import ImageColor  # noqa: PLC0415 - for names alone

        try:
            red, green, blue, *alpha = ImageColor.getrgb(colour)
        except ValueError as error:
            raise InvalidArgument(f"{quoted(colour)} is no colour; write '#rrggbb' or a name that CSS has") from error
        if alpha or max(red, green, blue) > 255:  # noqa: PLR2004 - 8 bits; it takes rgb(300, 0, 0)
            raise InvalidArgument(f"{quoted(colour)} is no colour to wait for: it has alpha, or a channel above 255")
        return red, green, blue
    try:
        red, green, blue = map(operator.index, colour)
    except (TypeError, ValueError):
        raise InvalidArgument(
            f"a colour is (red, green, blue), each 0 to 255, or '#rrggbb'; not {quoted(colour)}"
        ) from None
    if not all(0 <= each <= 255 for each in (red, green, blue)):  # noqa: PLR2004 - 8 bits
        raise InvalidArgument(f"a colour is (red, green, blue), each 0 to 255; not {quoted(colour)}")
    return red, green, blue
