"""The waits: until a source changes, is stable, shows a colour or a picture, or a predicate is true of its frame.

Each is the code behind a verb of `Drawable`. A wait sleeps until the server reports drawing (DAMAGE), polls a
ChangeTracker for the new frame, and examines that. What was drawn may be the same pixels again, so frames are compared,
but only inside the rectangles that were drawn to.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Final, Literal, NoReturn, TypeVar

from xshm import _arguments
from xshm.capture.waiting.closest import Unseen, find_closest
from xshm.capture.waiting.colour_match import describe_displayed, matches_colour, parse_colour
from xshm.capture.waiting.compare import MOST_RECTS, compare, part, whole_bytes
from xshm.capture.waiting.deadline import PAUSE, Deadline, first_frame, wait_until
from xshm.capture.waiting.find_image import find_image
from xshm.capture.waiting.judge import Judge
from xshm.capture.waiting.results import Change, Found, Stability, describe_moving
from xshm.capture.waiting.template import check_scales, load_templates
from xshm.errors import InvalidArgument, InvalidType, OutOfBounds, WaitTimeout
from xshm.geometry import Rect, merged
from xshm.image.frame import Frame
from xshm.system.printable import quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from xshm.capture.source import Source
    from xshm.capture.waiting.template import Picture, Template
    from xshm.geometry import Region

_Result = TypeVar("_Result")
Rhythms = Literal["ignore", "count"]

QUIET: Final = 0.3  # seconds without a change, after which a picture is at rest
_LEAST_QUIET: Final = 0.001
_RECENT: Final = 1.0  # seconds: what has changed in the last one is named as moving


def wait_change(
    source: Source, timeout: float | None, region: Region | None, threshold: float, since: Frame | None
) -> Change:
    """See `Drawable.wait_change`."""
    deadline = Deadline(timeout)
    _arguments.ratio(threshold, "a threshold")
    if since is not None and not isinstance(since, Frame):
        raise InvalidType(f"since is a Frame of this source, not {type(since).__name__}")
    before, drawn = since, list[Rect]()
    most = 0.0
    with deadline.track(source, region) as changes:
        for frame in deadline.frames(changes):
            last = frame
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
            most = max(most, found.ratio)
        what = f"no more than {most:.2%} of the pixels changed" if most else "nothing changed"
        raise WaitTimeout(f"{what} within {deadline.timeout} s{_silent(deadline)}", frame=last)


def wait_stable(
    source: Source,
    quiet: float | None,
    timeout: float | None,
    threshold: float,
    ignore: Iterable[Region],
    region: Region | None,
    rhythms: Rhythms,
) -> Stability:
    """See `Drawable.wait_stable`."""
    deadline = Deadline(timeout)
    _arguments.ratio(threshold, "a threshold")
    quiet = quiet_time(quiet, timeout)
    _arguments.choice(rhythms, ("ignore", "count"), "rhythms is one of")
    ignored = ignored_rects(source, ignore, deadline)
    with deadline.track(source, region) as changes:
        judge = Judge(deadline.call(first_frame, changes), time.monotonic(), ignored, source._rhythms)
        rest = _Rest(judge, threshold, ignored, counts_rhythms=rhythms == "count")
        try:
            while True:
                wait_until(changes, min(rest.since + quiet, deadline.end))
                # Before the look: the picture at rest is known up to here, however late the reply is.
                now = time.monotonic()
                frame = deadline.poll(changes)
                if frame is not None:
                    rest.see(frame)
                # Whether the picture has changed since the last reply is not known without one.
                if now >= rest.begun(now) + quiet and not deadline.is_unanswered:
                    return Stability(deadline.seconds, judge.frame, judge.moving(now))
                if now >= deadline.end or deadline.is_unanswered:
                    _raise_moving(judge, now, deadline, rest, quiet)
                if frame is not None:
                    time.sleep(min(PAUSE, deadline.left))
        finally:
            source._rhythms = judge.remembered()


class _Rest:
    """Since when a source has been at rest: `since`, of time.monotonic.

    Without a threshold, each change of the Judge begins it anew. With one, frames are compared with that of its
    beginning, and not with the last: slow movement adds up.
    """

    def __init__(self, judge: Judge, threshold: float, ignored: list[Rect], *, counts_rhythms: bool) -> None:
        self.since = judge.began
        self.counts_rhythms = counts_rhythms
        self._judge = judge
        self._threshold = threshold
        self._ignored = ignored
        self._first = judge.frame
        self._drawn: list[Rect] = []

    def see(self, frame: Frame) -> None:
        """Take the next frame."""
        at = frame.monotonic_ns / 1e9
        self._judge.see(frame, at)
        if self._threshold:
            left_out = [] if self.counts_rhythms else self._judge.rhythms()
            self._drawn = list(merged([*self._drawn, *(frame.changed or ())], MOST_RECTS))
            if compare(self._first, frame, self._drawn, [*self._ignored, *left_out]).ratio > self._threshold:
                self._first, self.since, self._drawn = frame, at, []

    def begun(self, now: float) -> float:
        """Return `since`, after what is known now: a rhythm may be proven, or have ended."""
        if not self._threshold:
            found = self._judge.changes(now, rhythms=self.counts_rhythms)
            self.since = found[1] if found is not None else self._judge.began
        return self.since


def _raise_moving(judge: Judge, now: float, deadline: Deadline, rest: _Rest, quiet: float) -> NoReturn:
    moving = judge.moving(now, min(rest.since, now - _RECENT), rhythms=rest.counts_rhythms)
    if not moving:  # the time was too short, or the server was silent
        raise WaitTimeout(f"no rest of {quiet:g} s within {deadline.timeout} s{_silent(deadline)}", frame=judge.frame)
    what = f"still moving after {deadline.timeout} s{_silent(deadline)}: {describe_moving(moving)}"
    if any(each.rhythm for each in moving):
        raise WaitTimeout(f"{what}; ignore=[region] or rhythms='ignore'", frame=judge.frame, moving=moving)
    raise WaitTimeout(f"{what}; ignore=[region] leaves a place out", frame=judge.frame, moving=moving)


def quiet_time(quiet: object, timeout: float | None) -> float:
    """Return the seconds without a change that are rest; None is 0.3, or half of a shorter timeout."""
    if quiet is None:
        # At least a moment, so that a wait of no time at all fails by its time, as others do.
        return QUIET if timeout is None else max(min(QUIET, timeout / 2), _LEAST_QUIET)
    found = _arguments.number(quiet, "quiet is a number of seconds, or None")
    if not 0 < found < math.inf or (timeout is not None and found > timeout):
        raise InvalidArgument(f"quiet is above 0 and at most the timeout, {timeout} seconds, not {quoted(quiet)}")
    return found


def ignored_rects(source: Source, ignore: Iterable[Region], deadline: Deadline) -> list[Rect]:
    """Return the regions to leave out, in the source's coordinates; a region outside of it is OutOfBounds at once."""
    regions = _arguments.several(ignore, "ignore is a list of regions", no_types=(str, Mapping))
    return [deadline.call(source._within, each) for each in regions]


def _silent(deadline: Deadline) -> str:
    return ", and the server does not answer any more" if deadline.is_unanswered else ""


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
    source: Source,
    picture: Picture,
    region: Region | None,
    threshold: float,
    timeout: float | None,
    scales: Iterable[float],
) -> Found:
    """See `Drawable.wait_image`."""
    deadline = Deadline(timeout)
    _arguments.ratio(threshold, "a threshold")
    factors = check_scales(scales)
    # Queried before the file is loaded: a picture too large for it is refused by its header.
    bounds = deadline.call(source._current) if region is None else deadline.call(source._within, region)
    templates = load_templates(picture, bounds, factors)

    def match(frame: Frame) -> Found | None:
        found = [each for each in (_find_where_drawn(frame, one, threshold) for one in templates) if each is not None]
        return min(found, key=lambda each: each.difference, default=None)

    sizes = " or ".join(f"{one.width}x{one.height}" for one in templates)
    try:
        return _wait_for(source, match, deadline, region, f"the picture of {sizes}")
    except WaitTimeout as error:
        raise Unseen(str(error), frame=error.frame, closest=partial(_closest, error.frame, templates)) from None


def _closest(frame: Frame, templates: Sequence[Template]) -> str:
    """Return how close the best match of all templates in a frame comes, and where, as the end of a message."""
    inside, found = frame.rgb(), list[tuple[float, str]]()
    for one in templates:
        match = find_closest(inside, one.rgb, one.mask)
        if match is not None:  # None: the source was resized, and is smaller than the picture
            x, y, difference = match
            place = Rect(frame.rect.x + x, frame.rect.y + y, one.width, one.height)
            found.append((difference, f"{place}{f' at scale {one.scale:g}' if len(templates) > 1 else ''}"))
    if not found:
        return f"; it does not fit into {frame.rect}"
    difference, where = min(found)
    return f"; the best match is off by {difference:.2%} at {where}".replace("%", " %")


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
        raise WaitTimeout(f"{what} did not come within {deadline.timeout} s{_silent(deadline)}", frame=last)


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
            return Found(Rect(reach.x + x, reach.y + y, width, height), difference, frame, wanted.scale)
    return None
