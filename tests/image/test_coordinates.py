"""One rule of coordinates: all that a frame says is in those of its source, whatever region it is of.

The expected places are those that were painted at, or what python-xlib's GetImage has there.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from colours import BLACK, BLUE, GREEN, RED, WHITE
from delayed import later
from painter import Painter
from PIL import Image
from Xlib.ext import shape

import xshm
from xshm.geometry import Rect

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers import Server

# A region whose corner is not 0, 0, and a place in it; on the screen, and in a window that lies elsewhere on it.
REGION, SPOT = Rect(100, 50, 300, 200), Rect(130, 120, 90, 40)


@pytest.fixture(params=["screen", "window"])
def painted(request: pytest.FixtureRequest, screen: xshm.Screen, painter: Painter) -> Any:
    """Give a source, and a function that fills a rectangle of it, in its coordinates; it is black at first."""
    if request.param == "screen":
        painter.fill((0, 0, 1280, 800), BLACK)
        yield screen, painter.fill
        return
    window = painter.window((333, 222, 500, 400), BLACK)
    with screen.window(window.id) as source:
        yield source, lambda rect, colour: painter.fill(rect, colour, window)


def _box(rect: Rect) -> tuple[int, int, int, int]:
    return rect.x, rect.y, rect.width, rect.height


def test_what_a_stream_says_has_changed(painted: Any) -> None:
    source, fill = painted
    with source.stream(REGION, on_change=True) as stream:
        frame = next(stream)
        assert (frame.rect, frame.changed) == (REGION, (REGION,))
        fill(_box(SPOT), RED)
        frame = next(stream)
        assert frame.changed == (SPOT,)
        assert frame.pixel(SPOT.x, SPOT.y) == frame.pixel(SPOT.right - 1, SPOT.bottom - 1) == RED
        assert frame.pixel(SPOT.x - 1, SPOT.y) == frame.pixel(SPOT.x, SPOT.bottom) == BLACK


def test_what_has_changed_can_be_cut_out_of_every_array_of_the_frame(painted: Any) -> None:
    source, fill = painted
    with source.stream(REGION, on_change=True) as stream:
        next(stream)
        fill(_box(SPOT), RED)
        frame = next(stream)
    rows, columns = frame.slices(frame.changed[0])
    assert (rows, columns) == (slice(70, 110), slice(30, 120))
    assert frame.rgb()[rows, columns].shape == (SPOT.height, SPOT.width, 3)
    assert (frame.rgb()[rows, columns] == RED).all()
    assert np.count_nonzero((frame.rgb() == RED).all(axis=2)) == SPOT.width * SPOT.height
    assert np.shares_memory(frame.pixels[rows, columns], frame.pixels)
    assert np.array_equal(frame.pixels[rows, columns][..., :3], source.grab(SPOT).pixels[..., :3])


def test_slices_are_of_any_region_inside_the_frame_and_of_none_that_leaves_it(screen: xshm.Screen) -> None:
    frame = screen.grab(REGION)
    assert frame.slices((100, 50, 1, 1)) == (slice(0, 1), slice(0, 1))
    assert frame.slices("10x20+110+60") == (slice(10, 30), slice(10, 20))
    assert frame.slices("10x20-0-0") == (slice(180, 200), slice(290, 300))  # from the frame's far edges
    assert frame.slices(frame.rect) == (slice(0, 200), slice(0, 300))
    for outside in ((99, 50, 1, 1), (0, 0, 300, 200), (100, 50, 301, 1)):  # some would be negative: the other end
        with pytest.raises(xshm.OutOfBounds, match=r"leaves this frame, which is 300x200\+100\+50"):
            frame.slices(outside)


def test_where_two_frames_differ(painted: Any) -> None:
    source, fill = painted
    before = source.grab(REGION)
    fill(_box(SPOT), RED)
    after = source.grab(REGION)
    assert before.diff(after).rects == after.diff(before).rects == (SPOT,)
    # Of another format, and so compared as RGB.
    gray = xshm.PixelFormat(8, 8, 32, "little", 0, 0, 0, xshm.VisualClass.StaticGray)
    assert xshm.Frame(before.gray(), REGION, 0, 0, gray).diff(after).rects == (SPOT,)


def test_two_places_are_compared_in_the_coordinates_of_the_first(painted: Any) -> None:
    source, fill = painted
    fill(_box(SPOT), RED)
    elsewhere = REGION.moved(100, 150)
    one, other = source.grab(REGION), source.grab(elsewhere)
    assert one.diff(other).rects == (SPOT,)
    assert other.diff(one).rects == (SPOT.moved(100, 150),)


def test_where_a_wait_has_seen_a_change(painted: Any) -> None:
    source, fill = painted
    before = source.grab(REGION)
    with pytest.raises(xshm.WaitTimeout):  # the first wait of a process imports what waits, which takes its time
        source.wait_change(0.01, REGION)
    with later(0.1, fill, _box(SPOT), RED):
        change = source.wait_change(5, REGION)
    assert change.rects == source.wait_change(5, REGION, since=before).rects == (SPOT,)
    assert before.slices(change.rects[0]) == (slice(70, 110), slice(30, 120))


def test_what_a_wait_ignores(painted: Any) -> None:
    source, fill = painted
    # Were the place not left out, the picture would be at rest 1.7 s after the beginning.
    with later(0.2, fill, _box(SPOT), RED), later(0.7, fill, _box(SPOT), GREEN):
        assert source.wait_stable(quiet=1, timeout=1.5, region=REGION, ignore=[SPOT])


def test_what_an_action_has_changed_and_what_moves(painted: Any) -> None:
    source, fill = painted
    outcome = source.act(fill, _box(SPOT), RED, region=REGION, quiet=0.1)
    assert outcome.before.rect == outcome.frame.rect == REGION
    assert outcome.changed == (SPOT,)
    with later(0.2, fill, _box(SPOT), GREEN), pytest.raises(xshm.WaitTimeout) as caught:
        source.wait_stable(quiet=0.4, timeout=0.5, region=REGION)
    assert [each.rect for each in caught.value.moving] == [SPOT]


def test_where_a_picture_was_found_and_where_it_was_waited_for(painted: Any) -> None:
    source, fill = painted
    fill(_box(SPOT), RED)
    fill((SPOT.x + 10, SPOT.y + 10, 5, 5), BLUE)
    picture = source.grab(SPOT).rgb()
    assert source.wait_image(picture, REGION, timeout=0).rect == SPOT
    fill(_box(SPOT), BLACK)
    with later(0.1, lambda: (fill(_box(SPOT), RED), fill((SPOT.x + 10, SPOT.y + 10, 5, 5), BLUE))):
        assert source.wait_image(picture, REGION, timeout=5).rect == SPOT


@pytest.mark.parametrize("cursor", [True, "layer"])
def test_where_the_pointer_is(painted: Any, painter: Painter, cursor: Any) -> None:
    source, _ = painted
    x, y = source.position if isinstance(source, xshm.Window) else (0, 0)
    painter.root.warp_pointer(x + SPOT.x, y + SPOT.y)
    painter.display.sync()
    with source.stream(REGION, on_change=True, cursor=cursor) as stream:
        frames = [source.grab(REGION, cursor=cursor), next(stream)]
        assert [frame.cursor.position for frame in frames] == [(SPOT.x, SPOT.y)] * 2
        painter.root.warp_pointer(x + SPOT.x + 50, y + SPOT.y)
        painter.display.sync()
        frame = next(stream)
        assert frame.cursor.position == (SPOT.x + 50, SPOT.y)
        former = frames[0].cursor.rect
        # Drawn into the pixels, it has changed them where it was and where it is.
        assert any(each.contains(former) for each in frame.changed) == (cursor is True)


def test_the_shape_of_a_window(screen: xshm.Screen, painter: Painter) -> None:
    window = painter.window((333, 222, 500, 400), RED)
    fields = {"x": SPOT.x, "y": SPOT.y, "width": SPOT.width, "height": SPOT.height}
    window.shape_rectangles(shape.SO.Set, shape.SK.Bounding, 0, 0, 0, [fields])
    painter.display.sync()
    with screen.window(window.id) as source:
        frame = source.grab(REGION)
        assert frame.bounding_shape == (SPOT,)
        assert (frame.rgba()[frame.slices(SPOT)] == (*RED, 255)).all()
        assert np.count_nonzero(frame.rgba()[..., 3]) == SPOT.width * SPOT.height
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(frame.png()))), frame.rgba())
        with source.stream(REGION, on_change=True) as stream:
            assert next(stream).bounding_shape == (SPOT,)


@pytest.mark.parametrize("edge", [None, 77, 150])
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_point_of_an_encoded_picture_is_one_of_the_source(painted: Any, kind: str, edge: int | None) -> None:
    source, fill = painted
    fill(_box(SPOT), WHITE)
    frame = source.grab(REGION)
    made = frame.encode(kind, max_edge=edge)
    assert made.source == REGION
    brightest = np.asarray(Image.open(io.BytesIO(made.data)).convert("L")) > 250
    for y, x in np.argwhere(brightest).tolist():
        left, top = made.to_source(x, y)
        assert SPOT.contains(Rect(left, top, 1, 1))
        assert frame.pixel(left, top) == WHITE
    assert brightest.any()
    if edge is None:
        assert made.to_source(0, 0) == (REGION.x, REGION.y)
        assert made.to_source(299, 199) == (REGION.right - 1, REGION.bottom - 1)


def test_a_png_written_without_numpy_maps_to_the_source_too(xvfb: Server) -> None:
    program = (
        "import sys, xshm\n"
        "made = xshm.grab((100, 50, 300, 200)).encode()\n"
        "assert 'numpy' not in sys.modules\n"
        "print(made.source, *made.to_source(5, 6))"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], env=os.environ | xvfb.env(), capture_output=True, text=True, check=True
    )
    assert run.stdout == "300x200+100+50 105 56\n"


@pytest.mark.parametrize("depth", [8, 16])
def test_frames_of_other_depths_follow_the_same_rule(make_server: Callable[..., Server], depth: int) -> None:
    server = make_server("Xvfb", 640, 480, depth)
    with Painter(server) as painter, xshm.Screen(server.name) as screen:
        painter.fill((0, 0, 640, 480), BLACK)
        with screen.stream(REGION, on_change=True) as stream:
            before = next(stream)
            painter.fill(_box(SPOT), WHITE)
            frame = next(stream)
        assert frame.changed == before.diff(frame).rects == (SPOT,)
        assert (frame.rgb()[frame.slices(SPOT)] == 255).all()


@pytest.mark.parametrize("depth", [1, 4])
def test_parts_of_frames_with_several_pixels_in_a_byte_are_cut_between_bytes(depth: int) -> None:
    from xshm.capture.waiting.compare import compare, part, whole_bytes  # noqa: PLC0415 - what is inside, once

    fmt = xshm.PixelFormat(depth, depth, 32, "little", 0, 0, 0, xshm.VisualClass.StaticGray)
    each = 8 // depth
    region = Rect(3, 5, 64, 10)  # its first byte begins at 3, so bytes begin at 3, 3 + each, …
    pixels = np.random.default_rng(1).integers(0, 255, fmt.layout(64, 10)[0], np.uint8)
    frame = xshm.Frame(pixels, region, 0, 1, fmt)
    wanted = Rect(3 + each + 1, 7, each, 3)
    cut = part(frame, whole_bytes(frame, wanted))
    assert cut.rect == Rect(3 + each, 7, 2 * each, 3)
    assert np.array_equal(cut.rgb(), frame.rgb()[frame.slices(cut.rect)])
    other = frame.copy()
    other.pixels[4, 2] ^= 255  # a byte: the pixels from 3 + 2 * each on
    found = compare(frame, other, [Rect(20, 6, 5, 5)], [])
    assert found.rects == frame.diff(other).rects
    assert all(Rect(3 + 2 * each, 9, each, 1).contains(rect) for rect in found.rects)
