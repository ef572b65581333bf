"""The waits: until a source changes, is stable, shows a colour or a picture, or a predicate is true of its frame.

Each is the code behind a verb of `Drawable`. A wait sleeps until the server reports drawing (DAMAGE), polls a
ChangeTracker for the new frame, and examines that. What was drawn may be the same pixels again, so frames are compared,
but only inside the rectangles that were drawn to.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, TypeVar

from xshm import _arguments
from xshm.capture.waiting.colour_match import describe_displayed, matches_colour, parse_colour
from xshm.capture.waiting.compare import MOST_RECTS, compare, part, whole_bytes
from xshm.capture.waiting.deadline import PAUSE, Deadline, first_frame, wait_until
from xshm.capture.waiting.find_image import find_image
from xshm.capture.waiting.results import Change, Found, Stability
from xshm.capture.waiting.template import load_template
from xshm.errors import InvalidArgument, InvalidType, OutOfBounds, WaitTimeout
from xshm.geometry import Rect, merged
from xshm.image.frame import Frame
from xshm.system.printable import quoted

if TYPE_CHECKING:
    from collections.abc import Callable

    from xshm.capture.source import Source
    from xshm.capture.waiting.template import Picture, Template
    from xshm.geometry import Region

_Result = TypeVar("_Result")


def wait_change(
    source: Source, timeout: float | None, region: Region | None, threshold: float, since: Frame | None
) -> Change | None:
    """See `Drawable.wait_change`."""
    deadline = Deadline(timeout)
    _arguments.ratio(threshold, "a threshold")
    if since is not None and not isinstance(since, Frame):
        raise InvalidType(f"since is a Frame of this source, not {type(since).__name__}")
    before, drawn = since, list[Rect]()
    with deadline.track(source, region) as changes:
        for frame in deadline.frames(changes):
            if before is None:  # without `since`, the others are compared with the first frame
                before = frame
                continue
            if before is since and not drawn and before.rect != frame.rect:
                raise InvalidArgument(f"since is a frame of {before.rect}; what is watched is {frame.rect}")
            # All that was drawn since `before`: many changes, each below the threshold, may exceed it together.
            drawn = list(merged([*drawn, *(frame.changed or ())], MOST_RECTS))
            found = compare(before, frame, drawn, [])
            if found.ratio > threshold:
                return Change(found.rects, found.ratio, frame, deadline.seconds)
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
    deadline = Deadline(timeout)
    _arguments.ratio(threshold, "a threshold")
    quiet = _arguments.number(quiet, "quiet is a number of seconds")
    if not 0 < quiet < math.inf or (timeout is not None and quiet > timeout):
        raise InvalidArgument(f"quiet is above 0 and at most the timeout, {timeout} seconds, not {quoted(quiet)}")
    regions = _arguments.several(ignore, "ignore is a list of regions", no_types=(str, Mapping))
    # Checked before the tracker is made: a region outside of the source is OutOfBounds at once.
    ignored = [deadline.call(source._within, each) for each in regions]
    with deadline.track(source, region) as changes:
        # Frames are compared with the one that the quiet time began with, not with the last: slow movement adds up.
        first = last = deadline.call(first_frame, changes)
        since, drawn = time.monotonic(), list[Rect]()
        while True:
            wait_until(changes, min(since + quiet, deadline.end))
            frame = deadline.poll(changes)
            now = time.monotonic()
            if deadline.is_unanswered:  # whether the picture has changed since `last` is not known
                return Stability(stable=False, seconds=deadline.seconds, frame=last)
            if frame is not None:
                last = frame
                drawn = list(merged([*drawn, *(frame.changed or ())], MOST_RECTS))
                if compare(first, frame, drawn, ignored).ratio > threshold:
                    first, since, drawn = frame, now, []
            if now >= since + quiet or now >= deadline.end:
                return Stability(stable=now >= since + quiet, seconds=deadline.seconds, frame=last)
            if frame is not None:
                time.sleep(min(PAUSE, deadline.left))


def wait_for(
    source: Source, predicate: Callable[[Frame], object], timeout: float | None, region: Region | None
) -> Frame:
    """See `Drawable.wait_for`."""
    deadline = Deadline(timeout)
    if not callable(predicate):
        raise InvalidType(f"a predicate is a function of a frame, not {type(predicate).__name__}: {quoted(predicate)}")

    def match(frame: Frame) -> Frame | None:
        return frame if predicate(frame) else None

    return _wait_for(source, match, deadline, region, "what the predicate wants")


def wait_pixel(
    source: Source, x: int, y: int, colour: str | tuple[int, int, int], timeout: float | None, tolerance: int
) -> Frame:
    """See `Drawable.wait_pixel`."""
    deadline = Deadline(timeout)
    wanted = parse_colour(colour)
    pixel = deadline.call(source._within, (x, y, 1, 1))
    _arguments.number(tolerance, "a tolerance is a number")
    if not tolerance >= 0:
        raise InvalidArgument(f"a tolerance is 0 or more, of 255; not {quoted(tolerance)}")

    def match(frame: Frame) -> Frame | None:
        if not frame.rect.contains(pixel):
            raise OutOfBounds(f"the pixel {x}, {y} leaves {source}, which was resized to {frame.rect}")
        return frame if matches_colour(frame, x, y, wanted, tolerance) else None

    # The whole source is tracked, not the pixel alone: the frame that is returned shows all of it.
    try:
        return _wait_for(source, match, deadline, None, f"the colour {wanted} at {x}, {y}")
    except WaitTimeout as error:
        frame = error.frame
        there = f"it is {frame.pixel(x, y)}{describe_displayed(wanted, frame.format)}"
        raise WaitTimeout(f"{error}; {there}", frame=frame) from None


def wait_image(
    source: Source, picture: Picture, region: Region | None, threshold: float, timeout: float | None
) -> Found:
    """See `Drawable.wait_image`."""
    deadline = Deadline(timeout)
    _arguments.ratio(threshold, "a threshold")
    # Queried before the file is loaded: a picture too large for it is refused by its header.
    bounds = deadline.call(source._current) if region is None else deadline.call(source._within, region)
    wanted = load_template(picture, bounds)

    def match(frame: Frame) -> Found | None:
        return _find_where_drawn(frame, wanted, threshold)

    return _wait_for(source, match, deadline, region, f"the picture of {wanted.width}x{wanted.height}")


def _wait_for(
    source: Source,
    match: Callable[[Frame], _Result | None],
    deadline: Deadline,
    region: Region | None,
    what: str,
) -> _Result:
    """Return the first result of `match` that is not None, of the frames until the deadline; raise WaitTimeout."""
    with deadline.track(source, region) as changes:
        for frame in deadline.frames(changes):
            last = frame
            result = match(frame)  # outside of the deadline: a predicate may send requests of its own
            if result is not None:
                return result
        silent = ", and the server does not answer any more" if deadline.is_unanswered else ""
        raise WaitTimeout(f"{what} did not come within {deadline.timeout} s{silent}", frame=last)


def _find_where_drawn(frame: Frame, wanted: Template, threshold: float) -> Found | None:
    """Search a frame for a picture that was not in the frame before it: only where it would overlap a change."""
    width, height = wanted.width, wanted.height
    for changed in frame.changed or ():
        # The union of all places of the picture that share a pixel with the change.
        reach = Rect(
            *(changed.x - width + 1, changed.y - height + 1),
            *(changed.width + 2 * width - 2, changed.height + 2 * height - 2),
        ).intersect(frame.rect)
        if reach is None:
            continue
        reach = whole_bytes(frame, reach)  # `part` can cut between bytes only; a larger reach costs time alone
        match = find_image(part(frame, reach).rgb(), wanted.rgb, threshold, wanted.mask)
        if match is not None:
            x, y, difference = match
            return Found(Rect(reach.x + x, reach.y + y, width, height), difference, frame)
    return None
