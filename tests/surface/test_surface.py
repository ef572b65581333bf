"""What was presented on a surface is what is there; how old its memory is; what is refused."""

from __future__ import annotations

import os
import re
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from painter import Painter
from reference import core_image, xwd
from surfaces import WAYS, cover_and_uncover, fail_while_drawing, noise, resources, seen
from Xlib import X

import xshm
from xshm import sysv
from xshm.errors import (
    Closed,
    InvalidArgument,
    InvalidType,
    OutOfBounds,
    TransportUnavailable,
    WindowGone,
)
from xshm.surface.surface import Surface

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from servers import Server

_KINDS = [
    *(("Xvfb", depth) for depth in (8, 15, 16, 24, 30)),
    *(("Xvnc", depth) for depth in (16, 24)),
    *(("Xephyr", depth) for depth in (8, 16, 24)),
    ("Xorg", 24),
    ("Xorg", 30),
    ("Xwayland", 24),
]
_MASKS = {8: 0xFF, 15: 0x7FFF, 16: 0xFFFF, 24: 0xFFFFFF, 30: 0x3FFFFFFF}


def values(image: NDArray[Any], depth: int) -> NDArray[Any]:
    """Return pixels as numbers, without bits that the depth leaves undefined."""
    if image.ndim == 3:
        image = np.ascontiguousarray(image).view("<u4")[..., 0]
    masked: NDArray[Any] = image & image.dtype.type(_MASKS[depth])
    return masked


# -- what was presented is what is there -----------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "depth"), _KINDS)
def test_what_was_drawn_is_read_back_byte_for_byte(kind: str, depth: int, make_server: Callable[..., Server]) -> None:
    # Five surfaces on a server that has to be started: up to two seconds for each.
    server = make_server(kind, 320, 240, depth)
    with Painter(server) as painter:
        for number, (transport, way) in enumerate(WAYS):
            with Surface(131, 97, display=server.name, transport=transport, way=way) as surface:
                assert surface.format.depth == depth
                drawn = []
                for part in (None, (7, 11, 33, 21)):
                    with surface.draw(part) as pixels:
                        shape, dtype = pixels.shape, pixels.dtype
                        size = int(np.prod(shape))
                        data = np.random.default_rng(number).bytes(size * dtype.itemsize)
                        pixels[...] = np.frombuffer(data, dtype).reshape(shape)
                        drawn.append(pixels.copy())
                surface.wait()
                drawn[0][11:32, 7:40] = drawn[1]
                window = painter.display.create_resource_object("window", surface.id)
                by_core = core_image(painter.display, drawable=window)
                by_xwd = xwd(server, surface.id).pixels
                assert np.array_equal(values(by_core, depth), values(drawn[0], depth))
                assert np.array_equal(values(by_xwd, depth), values(drawn[0], depth))


@pytest.mark.parametrize(("kind", "depth"), _KINDS)
def test_what_was_shown_has_the_nearest_colours_that_the_screen_has(
    kind: str, depth: int, make_server: Callable[..., Server]
) -> None:
    server = make_server(kind, 320, 240, depth)
    array = noise(60, 70, 3)
    array[:8, :8] = [[[255 * (n >> 2 & 1), 255 * (n >> 1 & 1), 255 * (n & 1)] for n in range(8)]] * 8
    with Surface(131, 97, display=server.name) as surface:
        surface.show(np.zeros((97, 131), np.uint8))
        surface.show(array, at=(20, 30))
        surface.show(array[..., ::-1][::2, ::2], at=(95, 1), order="bgr")
        surface.wait()
        dump = xwd(server, surface.id)
    found = dump.rgb()
    assert not found[:30, :90].any()
    if dump.visual_class < 4:
        # 180 cells are allocated, evenly spread: what is shown is as far from what was meant as the nearest is.
        for column, steps in enumerate(([0, 51, 102, 153, 204, 255],) * 2 + ([0, 63, 127, 191, 255],)):
            meant, shown = array[..., column].astype(int), found[30:90, 20:90, column].astype(int)
            assert np.array_equal(abs(meant - shown), abs(meant[..., None] - steps).min(axis=2))
        assert np.array_equal(found[1:31, 95:130], found[30:90:2, 20:90:2])
    else:
        expected = np.empty_like(array)
        for column, mask in enumerate(dump.masks):
            top = (1 << mask.bit_count()) - 1
            nearest = [round(round(value * top / 255 + 1e-9) * 255 / top) for value in range(256)]
            expected[..., column] = np.array(nearest, np.uint8)[array[..., column]]
        assert np.array_equal(found[30:90, 20:90], expected)
        assert np.array_equal(found[1:31, 95:130], expected[::2, ::2])
    assert (found[30:38, 20:28] == array[:8, :8]).all()


def test_random_parts_end_up_where_they_belong(each: Surface, painter: Painter) -> None:
    random = np.random.default_rng(1)
    expected = np.zeros((150, 200, 3), np.uint8)
    for number in range(120):
        x, y = int(random.integers(0, 200)), int(random.integers(0, 150))
        width, height = int(random.integers(1, 201 - x)), int(random.integers(1, 151 - y))
        array = noise(height, width, 3, seed=number)
        if number % 2:
            each.show(array, at=(x, y))
        else:
            with each.draw((x, y, width, height)) as pixels:
                pixels[..., 2::-1] = array
        expected[y : y + height, x : x + width] = array
        if number % 3 == 0:
            each.wait()
    each.wait()
    assert np.array_equal(seen(painter, each), expected)
    # The memory knows all of it, too, whichever buffer it is.
    with each.draw() as pixels:
        assert each.age == 1
        assert np.array_equal(pixels[..., 2::-1], expected)


@pytest.mark.parametrize("at", [(-20, -30), (150, 100), (-50, 120)])
def test_clip_shows_the_part_that_is_inside(at: tuple[int, int], each: Surface, painter: Painter) -> None:
    array = noise(90, 120, 3)
    each.show(np.full((150, 200), 9, np.uint8))
    each.show(array, at=at, clip=True)
    each.show(array, at=(200, 0), clip=True)
    each.wait()
    canvas = np.full((500, 500, 3), 9, np.uint8)
    canvas[at[1] + 100 : at[1] + 190, at[0] + 100 : at[0] + 220] = array
    assert np.array_equal(seen(painter, each), canvas[100:250, 100:300])


def resources_of(surface: Surface) -> dict[str, int]:
    return {name: count for name, count in resources(surface).items() if name in ("GC", "PIXMAP", "ShmSeg")}


@pytest.mark.parametrize("transport", ["sysv", "fd"])
def test_the_faster_way_is_found_by_measuring_which_leaves_nothing_on_the_server(
    transport: str, make_server: Callable[..., Server]
) -> None:
    server = make_server("Xvfb", 1920, 1080)
    with Surface(100, 100, display=server.name, transport=transport) as small:
        assert (small.way, small.way_reason) == ("put", "at this size both ways take the same")
        known = resources_of(small)
    with Surface(1920, 1080, display=server.name, transport=transport) as surface:
        found = re.fullmatch(r"measured: ([\d,]+) µs by ShmPutImage, ([\d,]+) by CopyArea", surface.way_reason)
        assert found is not None
        put, copied = (int(text.replace(",", "")) for text in found.groups())
        assert 50 < put < 100_000
        assert surface.way == ("pixmap" if copied < put * 0.95 else "put") or abs(copied - put * 0.95) < 1
        assert resources_of(surface) == known
    with Surface(1920, 1080, display=server.name, transport=transport, way="pixmap") as surface:
        assert (surface.way, surface.way_reason) == ("pixmap", "asked for by name")


def test_without_mit_shm_all_is_the_same_and_the_transport_says_why(make_server: Callable[..., Server]) -> None:
    server = make_server("Xvfb", 1300, 1000, 24, "-extension", "MIT-SHM")
    array = noise(900, 1201, 3)
    with Painter(server) as painter, Surface(1201, 900, display=server.name) as surface:
        assert surface.transport.kind == "core"
        assert "MIT-SHM" in surface.transport.reason
        assert surface.way == "core"
        surface.show(array)
        surface.wait()
        assert np.array_equal(seen(painter, surface), array)
        # What a server without BIG-REQUESTS would take: 4 MB are 17 requests then.
        surface._swapchain._blitter._most = 4 * 0xFFFF
        surface.show(array[::-1])
        surface.wait()
        assert np.array_equal(seen(painter, surface), array[::-1])
        with pytest.raises(TransportUnavailable, match=r"shared memory.*MIT-SHM"):
            Surface(10, 10, display=server.name, way="pixmap")


def test_a_window_and_a_pixmap_of_others_are_drawn_on(xvfb: Server, painter: Painter) -> None:
    window = painter.window((30, 40, 120, 90), (255, 255, 255))
    pixmap = window.create_pixmap(64, 48, 24)
    painter.display.sync()
    array = noise(48, 64, 3)
    for drawable in (window, pixmap):
        for transport, way in WAYS:
            with Surface(on=drawable.id, display=xvfb.name, transport=transport, way=way) as surface:
                assert (surface.rect.width, surface.rect.height) == ((120, 90) if drawable is window else (64, 48))
                surface.show(array)
                surface.show(array[:5, :5], at=(20, 20))
                surface.wait()
                image = core_image(painter.display, (0, 0, 64, 48), drawable)[..., 2::-1]
                expected = array.copy()
                expected[20:25, 20:25] = array[:5, :5]
                assert np.array_equal(image, expected)
    assert (core_image(painter.display, (64, 48, 56, 42), window)[..., :3] == 255).all()


def test_windows_and_pixmaps_of_a_screen_are_drawn_on(xvfb: Server, painter: Painter) -> None:
    made = painter.window((30, 40, 64, 48), (255, 255, 255))
    array = noise(48, 64, 3)
    with xshm.Screen(xvfb.name) as screen, screen.window(made.id) as window, Surface(on=window) as surface:
        surface.show(array)
        surface.wait()
        assert np.array_equal(window.grab().rgb(), array)
    with pytest.raises(WindowGone, match="neither a window nor a pixmap"):
        Surface(on=0x12345, display=xvfb.name)


def test_a_window_of_depth_32_gets_alpha(xvfb: Server, painter: Painter) -> None:
    visual = next(
        visual.visual_id
        for depth in painter.screen.allowed_depths
        for visual in depth.visuals
        if depth.depth == 32 and visual.visual_class == X.TrueColor
    )
    colormap = painter.root.create_colormap(visual, X.AllocNone)
    window = painter.root.create_window(
        *(0, 0, 32, 24, 0, 32), X.InputOutput, visual, colormap=colormap, border_pixel=0, override_redirect=True
    )
    window.map()
    painter.display.sync()
    array = noise(24, 32, 4)
    colours, opacity = array[..., :3].astype(np.int64), array[..., 3:].astype(np.int64)
    multiplied = np.dstack((np.floor(colours * opacity / 255 + 0.5).astype(np.uint8), array[..., 3]))
    with Surface(on=window.id, display=xvfb.name) as surface, xshm.Screen(xvfb.name) as screen:
        surface.show(array)
        surface.wait()
        assert np.array_equal(core_image(painter.display, drawable=window), multiplied[..., [2, 1, 0, 3]])
        with screen.window(window.id) as shown:
            frame = shown.grab()
        surface.show(np.zeros((24, 32, 4), np.uint8))
        for order, rgba in (("rgb", frame.rgba()), ("bgr", frame.rgba()[..., [2, 1, 0, 3]])):
            surface.show(rgba, order=order)
            surface.wait()
            assert np.array_equal(core_image(painter.display, drawable=window), frame.pixels)
        surface.show_frame(frame)
        surface.wait()
        assert np.array_equal(core_image(painter.display, drawable=window), frame.pixels)
        surface.show(array[..., :3])
        surface.wait()
        assert (core_image(painter.display, drawable=window)[..., 3] == 255).all()
    window.destroy()


# -- age, buffers, errors --------------------------------------------------------------------------------------------


def test_age_tells_what_the_lent_memory_held(each: Surface) -> None:
    history: list[int] = []
    undefined = 0
    for number in range(1, 60):
        with each.draw() as pixels:
            if each.age:
                assert (pixels[..., :3] == history[-each.age]).all()
            else:
                undefined += 1
            pixels[...] = number
        history.append(number)
        if number % 5 == 0:
            each.wait()
            with each.draw() as pixels:
                assert each.age == 1
                assert (pixels[..., :3] == number).all()
                pixels[...] = number
            history.append(number)
    assert undefined <= 3  # the first time in each buffer


def test_an_exception_inside_presents_nothing_and_leaves_the_content_undefined(each: Surface, painter: Painter) -> None:
    array = noise(150, 200, 3)
    each.show(array)
    each.wait()
    fail_while_drawing(each, None)
    each.wait()
    assert np.array_equal(seen(painter, each), array)
    with each.draw() as pixels:
        assert each.age == 0
        pixels[..., 2::-1] = array[::-1]
    each.wait()
    assert np.array_equal(seen(painter, each), array[::-1])


def test_what_was_painted_before_an_exception_is_never_shown(each: Surface, painter: Painter) -> None:
    fail_while_drawing(each, None)
    each.show(np.full((10, 10), 9, np.uint8), at=(100, 100))
    fail_while_drawing(each, (20, 20, 50, 50))
    each.wait()
    cover_and_uncover(painter, (0, 0, 200, 150))
    each.wait()
    expected = np.zeros((150, 200, 3), np.uint8)
    expected[100:110, 100:110] = 9
    assert np.array_equal(seen(painter, each), expected)


def test_after_an_exception_in_one_buffer_it_is_completed_from_the_other(each: Surface, painter: Painter) -> None:
    array = noise(150, 200, 3)
    each.show(array)
    each.wait()
    with each.draw((0, 0, 1, 1)) as pixels:  # the buffer that is shown is acquired: so another is brought up to date
        each.show(array[:9, :9], at=(0, 0))
        pixels[..., 2::-1] = array[0, 0]
    each.wait()  # else the server may still read that buffer, and the other is acquired first
    fail_while_drawing(each, (0, 0, 1, 1), lambda: fail_in_the_other_and_go_on(each, array))
    each.wait()
    cover_and_uncover(painter, (0, 0, 200, 150))
    each.wait()
    assert np.array_equal(seen(painter, each), array)


def fail_in_the_other_and_go_on(surface: Surface, array: NDArray[np.uint8]) -> None:
    fail_while_drawing(surface, (50, 50, 60, 60))
    surface.show(array[:9, :9], at=(0, 0))


def test_after_an_exception_in_a_part_the_rest_is_still_known(each: Surface, painter: Painter) -> None:
    array = noise(150, 200, 3)
    each.show(array)
    each.wait()
    fail_while_drawing(each, (10, 10, 50, 50))
    each.show(array[10:60, 10:60], at=(10, 10))
    cover_and_uncover(painter, (0, 0, 200, 150))
    each.wait()
    assert np.array_equal(seen(painter, each), array)


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda s: s.show(noise(151, 200, 3)), OutOfBounds, r"200x151\+0\+0 leaves the surface 200x150; pass clip"),
        (lambda s: s.show(noise(10, 10), at=(-1, 0)), OutOfBounds, r"10x10\+-1\+0 leaves"),
        (lambda s: s.show(noise(10, 10, 2)), InvalidArgument, r"\(10, 10, 2\) uint8"),
        (lambda s: s.show(noise(10, 10).astype(float)), InvalidArgument, "float64"),
        (lambda s: s.show([[1]]), InvalidType, "list"),
        (lambda s: s.show(noise(10, 10), at=5), InvalidType, r"at= is \(x, y\), not int"),
        (lambda s: s.show(noise(10, 10), at=(1, 2, 3)), InvalidArgument, "not 3 numbers"),
        (lambda s: s.show(noise(10, 10), order="grb"), InvalidArgument, "grb"),
        (lambda s: s.draw((0, 0, 201, 1)).__enter__(), OutOfBounds, "201x1.*200x150"),
        (lambda s: s.show_frame(noise(10, 10)), InvalidType, "ndarray"),
        (lambda s: s.wait(-1), InvalidArgument, "-1"),
        (lambda s: next(s.events(timeout=-1)), InvalidArgument, "-1"),
    ],
)
def test_bad_input_is_an_error_that_says_the_numbers(
    call: Callable[[Any], object], error: type[Exception], said: str, surface: Surface
) -> None:
    with pytest.raises(error, match=said):
        call(surface)


@pytest.mark.parametrize(
    ("arguments", "options", "said"),
    [
        ((), {}, "a width and a height, or on="),
        ((100,), {}, "a width and a height, or on="),
        ((100, 100), {"on": 5}, "a width and a height, or on="),
        ((0, 100), {}, "0x100"),
        ((40000, 100), {}, "40000x100"),
        ((10, 10), {"way": "gl"}, "'gl'"),
        ((), {"on": 5, "resizable": True}, "resizable="),
    ],
)
def test_a_surface_that_can_not_be_meant_is_refused(
    arguments: tuple[int, ...], options: dict[str, Any], said: str, xvfb: Server
) -> None:
    with pytest.raises(InvalidArgument, match=said):
        Surface(*arguments, display=xvfb.name, **options)


def test_a_closed_surface_says_so(surface: Surface) -> None:
    surface.close()
    surface.close()
    assert not surface.is_open
    calls: list[Callable[[], object]] = [
        lambda: surface.show(noise(1, 1)),
        surface.wait,
        lambda: next(surface.events()),
        lambda: surface.draw().__enter__(),
        lambda: surface.xlib,
    ]
    for call in calls:
        with pytest.raises(Closed, match="this surface was closed"):
            call()


def test_a_timeout_that_is_no_number_of_seconds_is_refused(surface: Surface) -> None:
    for wrong in ("1", True, 1j):
        with pytest.raises(xshm.InvalidType, match="a timeout is a number of seconds"):
            surface.wait(wrong)  # type: ignore[arg-type]
        with pytest.raises(xshm.InvalidType, match="a timeout is a number of seconds"):
            next(surface.events(wrong))  # type: ignore[arg-type]
    for wrong in (-1, float("nan"), 10**400):
        with pytest.raises(xshm.InvalidArgument, match="a timeout is a number of seconds"):
            surface.wait(wrong)


def test_closing_gives_all_memory_back_at_once(xvfb: Server) -> None:
    # Not when the garbage collector comes by: nothing that holds memory is part of a cycle.
    def attached() -> list[int]:
        return [segment.shmid for segment in sysv.segments() if segment.cpid == os.getpid()]

    before = attached()
    surface = Surface(64, 64, display=xvfb.name)
    with surface.draw(), surface.draw():
        pass
    frame = xshm.grab((0, 0, 64, 64), display=xvfb.name)
    surface.show_frame(frame)
    assert len(attached()) == len(before) + 3
    del frame
    surface.close()
    deadline = time.monotonic() + 5  # the server takes note when it reads from the connection
    while attached() != before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert attached() == before
