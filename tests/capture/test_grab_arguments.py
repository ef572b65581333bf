"""Wrong arguments of grab: a typed error before anything is sent."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from painter import Painter
from Xlib import X

import xshm

if TYPE_CHECKING:
    from collections.abc import Iterator

    from servers import Server


@pytest.fixture(scope="module")
def screen(xvfb: Server) -> Iterator[xshm.Screen]:
    with xshm.Screen(xvfb.name) as screen:
        yield screen


@pytest.mark.parametrize(
    ("regions", "words"),
    [
        (5, "grab_many takes a list of regions, not int: 5"),
        (None, "grab_many takes a list of regions, not NoneType"),
        ("10x10+0+0", "grab_many takes a list of regions, not str: '10x10"),
        (xshm.Rect(0, 0, 5, 5), "grab_many takes a list of regions, not Rect"),
        ((0, 0, 5, 5), "not int: 0"),
        ({"left": 0, "top": 0, "width": 5, "height": 5}, "grab_many takes a list of regions, not dict"),
    ],
)
def test_one_region_alone_is_not_several(screen: xshm.Screen, regions: Any, words: str) -> None:
    with pytest.raises(xshm.InvalidType, match=words):
        screen.grab_many(regions)


def test_regions_may_come_one_by_one(screen: xshm.Screen) -> None:
    assert [frame.rect.x for frame in screen.grab_many((x, 0, 2, 2) for x in range(3))] == [0, 1, 2]


@pytest.mark.parametrize("cursor", [np.zeros(3), np.bool_(False), 0, 1, None, "shape"])
def test_what_says_nothing_of_the_pointer_is_refused(screen: xshm.Screen, cursor: Any) -> None:
    with pytest.raises(xshm.InvalidArgument, match="cursor is False, True"):
        screen.grab(cursor=cursor)
    with pytest.raises(xshm.InvalidArgument, match="cursor is False, True"):
        screen.stream(cursor=cursor)


_FORMS = [
    ("30x40-0-0", (1250, 760)),
    ("30x40-5+6", (1245, 6)),
    ("30x40+5-6", (5, 754)),
    ("7,8 30x40", (7, 8)),
    ("30x40+7+8", (7, 8)),
    ({"left": 7, "top": 8, "width": 30, "height": 40, "mon": 1}, (7, 8)),
]


@pytest.mark.parametrize(("region", "corner"), _FORMS)
def test_every_verb_takes_every_form_of_a_region(screen: xshm.Screen, region: Any, corner: tuple[int, int]) -> None:
    rect = xshm.Rect(*corner, 30, 40)
    frames = [screen.grab(region), screen.grab(region, clip=True), screen.grab(region, cursor=True)]
    frames += screen.grab_many([region, region])
    screen.grab_into(np.empty((40, 30, 4), np.uint8), region)
    for on_change in (True, False):
        with screen.stream(region, on_change=on_change) as stream:
            frames.append(next(stream))
    frames.append(screen.wait_stable(0.01, 5, region=region, ignore=[region]).frame)
    frames.append(screen.wait_for(lambda _: True, region=region))
    frames.append(screen.wait_image(frames[0], region).frame)
    with pytest.raises(xshm.WaitTimeout) as over:
        screen.wait_change(0, region)
    frames.append(over.value.frame)
    frames.append(screen.act(str, region=region, ignore=[region], reaction=0).frame)
    assert {frame.rect for frame in frames} == {rect}


@pytest.mark.parametrize(("region", "corner"), _FORMS)
def test_a_framebuffer_and_a_surface_take_every_form_of_a_region(region: Any, corner: tuple[int, int]) -> None:
    rect = xshm.Rect(*corner, 30, 40)
    with xshm.VirtualDisplay(1280, 800) as display:
        assert display.framebuffer.grab(region).rect == display.framebuffer.peek(region).rect == rect
        with xshm.Surface(1280, 800, display=display.name, xauthority=display.xauthority) as surface:
            with surface.draw(region) as pixels:
                pixels[...] = 0xFF
            surface.wait()
            with display.screen.window(surface.id) as window:
                assert (window.grab(region).rgb() == 0xFF).all()


def test_what_has_coordinates_of_its_own_is_no_region_of_another() -> None:
    with (
        xshm.VirtualDisplay(320, 200) as display,
        xshm.Surface(50, 40, display=display.name, xauthority=display.xauthority, position=(9, 9)) as surface,
        display.screen.window(surface.id) as window,
    ):
        screen, framebuffer = display.screen, display.framebuffer
        verbs: list[Any] = [screen.grab, framebuffer.grab, framebuffer.peek, window.grab, screen.stream]
        pictures: list[Any] = [screen, framebuffer, surface, window]
        for region in pictures:
            for verb in verbs:
                with pytest.raises(xshm.InvalidType, match="is a picture of its own"):
                    verb(region)
            with pytest.raises(xshm.InvalidType, match="is a picture of its own"), surface.draw(region):
                pass


def test_what_lies_on_the_screen_is_no_region_of_a_window(screen: xshm.Screen, painter: Painter) -> None:
    window = painter.window((5, 5, 1270, 790), (0, 0, 255), title="nearly all")
    (info,) = screen.windows()
    assert screen.grab(info).pixel(5, 5) == (0, 0, 255)
    pixmap = window.create_pixmap(1280, 800, painter.screen.root_depth)
    painter.display.sync()
    with screen.window(window.id) as opened:
        for source in (opened, screen.pixmap(pixmap.id)):
            for region in (info, screen.monitor("primary")):
                for verb in (source.grab, source.stream, lambda each, s=source: s.grab(each, clip=True)):
                    with pytest.raises(xshm.InvalidType, match=r"lies on the screen, .* grab it from the Screen"):
                        verb(region)
                with pytest.raises(xshm.InvalidType, match="lies on the screen"):
                    source.grab_many([region])


def test_the_far_edge_is_the_sources_as_it_is_at_that_moment(screen: xshm.Screen, painter: Painter) -> None:
    window = painter.window((100, 50, 200, 100), (0, 0, 255))
    with screen.window(window.id) as opened:
        assert opened.grab("30x40-0-0").rect == xshm.Rect(170, 60, 30, 40)
        window.configure(width=300, height=200)
        painter.display.sync()
        assert opened.grab("30x40-0-0").rect == xshm.Rect(270, 160, 30, 40)
        assert opened.grab("30x40--10-0", clip=True).rect == xshm.Rect(280, 160, 20, 40)


@contextlib.contextmanager
def _resized_without_rest(server: Server, window: int) -> Iterator[None]:
    over = threading.Event()

    def resize() -> None:
        with Painter(server) as painter:
            there = painter.display.create_resource_object("window", window)
            while not over.is_set():
                for width, height in ((300, 60), (60, 300), (40, 40), (200, 200)):
                    there.configure(width=width, height=height)
                    painter.display.sync()

    thread = threading.Thread(target=resize)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_the_far_corner_is_taken_of_a_window_that_is_resized_without_rest(
    xvfb: Server, screen: xshm.Screen, painter: Painter
) -> None:
    window = painter.window((100, 50, 200, 100), (0, 0, 255))
    corner = window.create_window(
        *(170, 60, 30, 40, 0, painter.screen.root_depth),
        background_pixel=painter.pixel((255, 255, 255)),
        win_gravity=X.SouthEastGravity,  # the server moves it in one step with the edges
    )
    corner.map()
    painter.display.sync()
    with screen.window(window.id) as opened, _resized_without_rest(xvfb, window.id):
        for _ in range(50):
            frames = [opened.grab("30x40-0-0"), opened.grab("30x40-0-0", clip=True)]
            frames += opened.grab_many(["30x40-0-0"] * 3)
            frames.append(opened.grab("30x40-0-0", cursor="layer"))
            assert all((frame.rgb() == 0xFF).all() for frame in frames)


def test_what_is_cut_is_all_that_is_inside_of_a_window_that_is_resized_without_rest(
    xvfb: Server, screen: xshm.Screen, painter: Painter
) -> None:
    window = painter.window((100, 50, 200, 200), (0, 0, 255))
    sizes = {(290, 50), (50, 290), (30, 30), (190, 190)}
    with screen.window(window.id) as opened, _resized_without_rest(xvfb, window.id):
        for _ in range(50):
            frames = [opened.grab((10, 10, 500, 500), clip=True), *opened.grab_many([(10, 10, 500, 500)], clip=True)]
            assert {frame.size for frame in frames} <= sizes


@pytest.mark.parametrize("verb", ["stream", "wait_change", "wait_stable", "wait_for", "wait_pixel", "wait_image"])
def test_verbs_that_cut_nothing_do_not_advise_it(screen: xshm.Screen, verb: str) -> None:
    others: dict[str, dict[str, Any]] = {
        "wait_for": {"predicate": bool},
        "wait_pixel": {"x": 1280, "y": 0, "colour": "red"},
        "wait_image": {"picture": np.zeros((1, 1, 3), np.uint8)},
    }
    arguments = others.get(verb, {})
    if verb != "wait_pixel":
        arguments["region"] = (1280, 0, 1, 1)
    with pytest.raises(xshm.OutOfBounds, match=r"^region 1x1\+1280\+0 leaves the screen 1280x800$"):
        getattr(screen, verb)(**arguments)
    with pytest.raises(xshm.OutOfBounds, match=r"pass clip=True to cut it$"):
        screen.grab((1280, 0, 1, 1))


def test_regions_to_be_ignored_are_a_list(screen: xshm.Screen) -> None:
    edges: Any = {"left": 0, "top": 0, "width": 5, "height": 5}
    with pytest.raises(xshm.InvalidType, match="ignore is a list of regions, not dict"):
        screen.wait_stable(ignore=edges)
