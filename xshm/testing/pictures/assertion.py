"""AssertScreenshot: a picture on the screen has to look like one in a file, by the end of some time.

Always true:

1. It passes at the first frame that matches: frames are taken when something was drawn, not at intervals. It fails only
   when the time is over, and then by the last frame.
2. A golden picture is written when that was asked for, and at no other time; what was written is told.
3. Masked pixels are in no file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from xshm import _arguments
from xshm.errors import InvalidArgument, InvalidType, WaitTimeout, XshmError
from xshm.system.printable import quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from xshm.drawables.drawable import Drawable
    from xshm.drawables.screen import Screen
    from xshm.drawables.window import Window
    from xshm.geometry import Rect, Region
    from xshm.image.frame import Frame
    from xshm.testing.pictures.golden import Golden
    from xshm.testing.pictures.masks import Masked, Masks
    from xshm.testing.pictures.matching import Colours, Matcher
    from xshm.testing.pictures.report import Place
    from xshm.testing.pictures.surroundings import Surroundings

_REST: Final = 5.0  # seconds for a picture to come to rest, where there is no time limit


class AssertScreenshot:
    """`assert_screenshot("name.png")`: assert that the screen, a region or a window of it looks as it did.

    `screen` is the test's, `test` its file, beside which the pictures lie. `place` returns the path of a file of the
    test's output by its suffix, in a directory that exists. With `update` pictures are written where they do not match;
    `tell` is called with a line for the report about each that was.
    """

    def __init__(
        self, screen: Screen, test: Path, place: Place, tell: Callable[[str], object], *, update: bool
    ) -> None:
        self._screen = screen
        self._test = test
        self._place = place
        self._tell = tell
        self._update = update

    def __call__(
        self,
        name: str,
        *,
        region: Region | None = None,
        window: Window | None = None,
        threshold: float = 0.2,
        max_diff_pixels: int | None = None,
        max_diff_ratio: float | None = None,
        mask: Iterable[Masked] = (),
        timeout: float | None = 5,
    ) -> None:
        """Return as soon as the picture matches; raise AssertionError after `timeout` seconds.

        `name` is a PNG file below the test's own directory of pictures. `region` is a part of the screen, or of
        `window`, in whose coordinates it is then. `threshold` is how far a pixel's colour may be off, 0 (not at all) to
        1, as it looks to the eye (pixelmatch's); smoothed edges of letters and lines do not count. At most
        `max_diff_pixels`, and at most `max_diff_ratio` of all, may be off by more; where neither is given, none may.

        `mask` are regions, in the coordinates of what is compared, and Windows, wherever they are: both pictures are
        painted over there. Windows that are gone mask nothing.

        A picture that is missing fails, and what is there is written as a candidate to the test's output.

        Raises InvalidArgument and InvalidType for arguments, OutOfBounds for a region, WindowGone and WindowNotViewable
        for the window, MissingExtra without the comparing library.
        """
        __tracebackhide__ = True
        from xshm.testing.pictures.golden import Golden  # noqa: PLC0415 - it loads numpy
        from xshm.testing.pictures.masks import Masks  # noqa: PLC0415
        from xshm.testing.pictures.matching import Matcher  # noqa: PLC0415

        golden = Golden(self._test, name)
        source = _source(self._screen, window)
        limits = _Allowance(threshold, max_diff_pixels, max_diff_ratio)
        masks = Masks(source, mask)
        expected = self._expected(golden)
        if expected is None:
            frame = _at_rest(source, region, timeout, masks)
            if not self._update:
                raise AssertionError(self._missing(golden, frame, masks))
            self._write(golden, source, frame, masks)
            return
        matcher = Matcher(expected, threshold, limits.allowed(expected), masks.rects)
        if self._update:
            frame = _at_rest(source, region, timeout, masks)
            if not matcher.see(frame):
                self._write(golden, source, frame, masks)
            return
        try:
            source.wait_for(matcher.see, timeout, region)
        except WaitTimeout as error:
            how = f"after {timeout:g} s, with {limits.text(expected)}"
            failed = self._differs(golden, source, matcher, error.frame, how)
        else:
            return
        raise AssertionError(failed)  # outside of `except`: that the time was over is no cause that a report need show

    def _expected(self, golden: Golden) -> Colours | None:
        try:
            return golden.read()
        except InvalidArgument:  # it is no picture
            if self._update:
                return None
            raise

    def _missing(self, golden: Golden, frame: Frame, masks: Masks) -> str:
        from xshm.testing.pictures import report  # noqa: PLC0415 - as above
        from xshm.testing.pictures.matching import colours  # noqa: PLC0415

        return report.missing(golden, colours(frame, masks.rects()), self._place)

    def _differs(self, golden: Golden, source: Drawable, matcher: Matcher, frame: Frame, how: str) -> str:
        from xshm.testing.pictures import report  # noqa: PLC0415 - as above

        before = golden.surroundings()
        unlike = [] if before is None else _surroundings(source, frame).unlike(before)
        return report.differ(golden, matcher.comparison(), self._place, how, unlike)

    def _write(self, golden: Golden, source: Drawable, frame: Frame, masks: Masks) -> None:
        from xshm.testing.pictures.matching import colours  # noqa: PLC0415 - as above

        verb = "changed" if golden.path.exists() else "added"
        golden.write(colours(frame, masks.rects()), _surroundings(source, frame))
        self._tell(f"assert_screenshot {verb} {golden.path} ({frame.width}x{frame.height})")


class _Allowance:
    """How much may differ, checked."""

    def __init__(self, threshold: float, most_pixels: int | None, most_ratio: float | None) -> None:
        self._threshold = _arguments.ratio(threshold, "a threshold")
        self._pixels = None
        if most_pixels is not None:
            self._pixels = _arguments.integer(most_pixels, "max_diff_pixels is a whole number of pixels, or None")
            if self._pixels < 0:
                raise InvalidArgument(f"max_diff_pixels is 0 or more, not {quoted(most_pixels)}")
        self._ratio = None if most_ratio is None else _arguments.ratio(most_ratio, "max_diff_ratio")

    def allowed(self, expected: Colours) -> int:
        """Return how many pixels may differ by more than the threshold."""
        of_all = None if self._ratio is None else int(self._ratio * expected.shape[0] * expected.shape[1])
        return min((limit for limit in (self._pixels, of_all) if limit is not None), default=0)

    def text(self, expected: Colours) -> str:
        """Return the limits for a message."""
        allowed = self.allowed(expected)
        return f"threshold {self._threshold:g}" + (f" and {allowed} pixels that may differ" if allowed else "")


def _source(screen: Screen, window: Window | None) -> Drawable:
    from xshm.drawables.window import Window  # noqa: PLC0415 - as above

    if window is None:
        return screen
    if not isinstance(window, Window):
        raise InvalidType(
            f"window is a Window, as screen.window('title') and screen.wait_window('title') return it, not "
            f"{type(window).__name__}: {quoted(window)}"
        )
    return window


def _at_rest(source: Drawable, region: Region | None, timeout: float | None, masks: Masks) -> Frame:
    """Return a frame once nothing moves any more; at the end of the time, whatever there is."""
    try:
        limit = _REST if timeout is None else timeout
        return source.wait_stable(timeout=limit, ignore=masks.inside(source.rect), region=region).frame
    except WaitTimeout as error:
        return error.frame


def _surroundings(source: Drawable, frame: Frame) -> Surroundings:
    from xshm.testing.pictures.surroundings import Surroundings  # noqa: PLC0415 - as above

    return Surroundings.here(frame.size, frame.format.depth, _pids(source, frame.rect))


def _pids(source: Drawable, rect: Rect) -> list[int | None]:
    """Return the processes whose windows a picture of this rectangle shows; none where they can't be told."""
    from xshm.drawables.screen import Screen  # noqa: PLC0415 - as above
    from xshm.drawables.window import Window  # noqa: PLC0415

    try:
        if isinstance(source, Window):
            return [source.pid]
        if isinstance(source, Screen):
            return [each.pid for each in source.windows() if each.visible and each.rect.intersect(rect)]
    except XshmError:  # it is for a message that has more to say
        pass
    return []
