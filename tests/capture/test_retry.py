"""Grabs that the server refuses, or whose drawable changes meanwhile, are repeated (invariant 2 of capture.source)."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any

import pytest
from colours import BLUE

from xshm.errors import BadMatch, Closed, OutOfBounds
from xshm.geometry import Rect

if TYPE_CHECKING:
    from collections.abc import Callable

    from painter import Painter

    from xshm import Frame, Screen, Window

_RECT = Rect(0, 0, 10, 10)
_GRABS: dict[str, Callable[[Screen], Frame]] = {
    "whole": lambda screen: screen.grab(),
    "rect": lambda screen: screen.grab(_RECT),
    "clipped": lambda screen: screen.grab((-5, -5, 20, 20), clip=True),
    "pending": lambda screen: screen._finish(screen._begin(None), None),
}


class _Attempts:
    """Stand in for a source's single attempt to grab, and do something before, or instead of, the real one."""

    def __init__(self, screen: Screen, monkeypatch: pytest.MonkeyPatch, before: Callable[[int], None]) -> None:
        self.count = 0
        self._before = before
        for name in ("_acquire", "_receive_grab"):
            monkeypatch.setattr(screen, name, self._counted(getattr(screen, name)))

    def _counted(self, attempt: Callable[..., Frame]) -> Callable[..., Frame]:
        def grab(*arguments: object) -> Frame:
            self.count += 1
            self._before(self.count)
            return attempt(*arguments)

        return grab


def _refuse(_: int) -> None:
    raise BadMatch("BadMatch", code=8, value=0, major=130, minor=4)


@pytest.mark.parametrize("how", _GRABS)
def test_what_is_refused_without_end_is_out_of_bounds(
    screen: Screen, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    attempts = _Attempts(screen, monkeypatch, _refuse)
    with pytest.raises(OutOfBounds, match=r"the server refuses the region .* of the screen .*, again and again"):
        _GRABS[how](screen)
    assert attempts.count in (20, 21)


@pytest.mark.parametrize("how", _GRABS)
def test_what_is_refused_once_is_grabbed_again(screen: Screen, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    attempts = _Attempts(screen, monkeypatch, lambda count: _refuse(count) if count == 1 else None)
    frame = _GRABS[how](screen)
    assert frame.pixels.shape[:2] == (frame.height, frame.width)
    assert attempts.count == 2


@pytest.mark.parametrize("how", ["whole", "clipped"])
def test_a_frame_is_grabbed_again_where_another_thread_has_found_another_extent(
    screen: Screen, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    extent = screen.rect

    def resized(count: int) -> None:
        if count == 1:
            screen._extent = Rect(0, 0, extent.width, extent.height)

    attempts = _Attempts(screen, monkeypatch, resized)
    assert _GRABS[how](screen).rect in (extent, Rect(0, 0, 15, 15))
    assert attempts.count == 2


@pytest.mark.parametrize("how", _GRABS)
def test_a_screen_that_another_thread_closes_is_not_asked_again(
    screen: Screen, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    def refused_and_closed(count: int) -> None:
        screen.close()
        _refuse(count)

    attempts = _Attempts(screen, monkeypatch, refused_and_closed)
    with pytest.raises(Closed):
        _GRABS[how](screen)
    assert attempts.count == 1


def test_the_windows_of_a_screen_that_is_closed_are_closed_without_a_request(screen: Screen, painter: Painter) -> None:
    window = screen.window(painter.window((10, 10, 20, 20), BLUE).id)
    screen.close()
    for grab in (window.grab, lambda: window.grab(_RECT), lambda: window.title):
        with pytest.raises(Closed, match=r"the window .* was closed"):
            grab()
    window.close()


# -- windows, whose drawable, border and size are stored one after the other -------------------------------------------


def test_a_region_that_a_smaller_window_has_lost_is_out_of_bounds_and_not_its_border(
    screen: Screen, painter: Painter
) -> None:
    lost = Rect(0, 0, 100, 80)
    window = painter.window((10, 10, 100, 80), BLUE)
    window.configure(border_width=20)
    painter.display.sync()
    with screen.window(window.id) as opened, opened.stream(lost) as stream:
        assert next(stream).rect == lost
        window.configure(width=90)
        painter.display.sync()
        # The text's extent is read after the first region was checked.
        with pytest.raises(OutOfBounds, match="resized to 90x80"):
            opened.grab_many([lost, "10x10-0-0"])
        for _ in range(3):
            with pytest.raises(OutOfBounds, match="90x80"):
                next(stream)


def test_a_grab_between_the_stores_of_another_thread_is_of_the_new_drawable(
    screen: Screen, painter: Painter, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = painter.window((10, 10, 60, 40), BLUE)
    with screen.window(window.id) as opened, ThreadPoolExecutor(1) as threads:
        grabs: list[Future[Frame]] = []

        def grab_meanwhile() -> None:
            grabs.append(threads.submit(opened.grab))
            wait(grabs, timeout=0.3)

        _before_a_store(opened, "_border", monkeypatch, grab_meanwhile)
        window.configure(width=80, height=50)
        painter.display.sync()
        assert opened.rect == Rect(0, 0, 80, 50)
        assert [grab.result(10).rect for grab in grabs] == [Rect(0, 0, 80, 50)]


@pytest.mark.parametrize("name", ["_drawable", "_border", "_extent"])
def test_a_window_is_followed_after_a_handler_has_raised_between_the_stores(
    screen: Screen, painter: Painter, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    window = painter.window((10, 10, 60, 40), BLUE)
    with screen.window(window.id) as opened:
        errors = iter([KeyboardInterrupt()])

        def interrupt() -> None:
            for error in errors:  # once
                raise error

        _before_a_store(opened, name, monkeypatch, interrupt)
        window.configure(width=80, height=50)
        painter.display.sync()
        with pytest.raises(KeyboardInterrupt):
            opened.rect  # noqa: B018 - the property locates the window
        assert opened.grab().rect == opened.rect == Rect(0, 0, 80, 50)


def _before_a_store(window: Window, name: str, monkeypatch: pytest.MonkeyPatch, call: Callable[[], None]) -> None:
    def store(self: Window, value: Any) -> None:
        call()
        self.__dict__[name] = value

    def load(self: Window) -> Any:
        return self.__dict__[name]

    monkeypatch.setattr(type(window), name, property(load, store), raising=False)
