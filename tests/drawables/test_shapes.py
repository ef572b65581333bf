"""Windows with a bounding shape (SHAPE): transparent outside of it, wherever the result has alpha."""

from __future__ import annotations

import contextlib
import io
import pickle
import select
import socket
import subprocess
import sys
import threading
from dataclasses import astuple
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from colours import BLUE, DARK_GREEN
from painter import Painter
from PIL import Image
from programs import Programs, eventually
from reference import core_image
from Xlib import X
from Xlib.ext import shape
from Xlib.protocol.request import GetInputFocus

import xshm
from xshm.capture.changes import ChangeTracker
from xshm.capture.waiting.compare import part
from xshm.errors import RequestTimeout, WindowGone
from xshm.pixels.bounding_shape import cut

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray
    from servers import Server

_RECTS = [(0, 0, 30, 20), (50, 10, 30, 60), (190, 90, 40, 40)]  # the last leaves the window


def _shape(window: Any, rects: list[tuple[int, int, int, int]], kind: int = shape.SK.Bounding) -> None:
    fields = [dict(zip(("x", "y", "width", "height"), rect, strict=True)) for rect in rects]
    window.shape_rectangles(shape.SO.Set, kind, 0, 0, 0, fields)
    window.get_geometry()  # a round trip: it is done


def _unshape(window: Any) -> None:
    window.shape_mask(shape.SO.Set, shape.SK.Bounding, 0, 0, X.NONE)
    window.get_geometry()  # a round trip: it is done


def _inside(rects: Any, height: int = 100, width: int = 200) -> NDArray[np.bool_]:
    mask = np.zeros((height, width), bool)
    for x, y, wide, high in rects:
        mask[y : y + high, x : x + wide] = True
    return mask


def _mask(frame: xshm.Frame) -> NDArray[np.bool_]:
    """Return where a frame is not transparent; see to it that it is nothing at all elsewhere."""
    rgba = frame.rgba()
    inside: NDArray[np.bool_] = rgba[..., 3] == 255
    assert not rgba[~inside].any()
    return inside


def test_outside_of_its_shape_a_window_is_transparent(screen: xshm.Screen, painter: Painter, tmp_path: Path) -> None:
    painter.rectangles()
    window = painter.window((100, 50, 200, 100), BLUE)
    _shape(window, _RECTS)
    with screen.window(window.id) as opened:
        frame = opened.grab()
    inside = _inside(_RECTS)
    assert np.array_equal(_mask(frame), inside)
    assert np.array_equal(_inside(map(astuple, frame.bounding_shape or ())), inside)
    assert (frame.rgba()[inside] == (*BLUE, 255)).all()
    assert np.array_equal(np.asarray(frame.image()), frame.rgba())
    assert frame.image().mode == "RGBA"
    assert np.array_equal(frame.rgba(dtype=np.uint16), frame.rgba().astype(np.uint16) * 257)
    out = np.ones((100, 200, 4), np.uint8)
    assert frame.rgba(out=out) is out
    assert np.array_equal(out, frame.rgba())
    for name in ("a.png", "a.tif"):
        frame.save(tmp_path / name)
        with Image.open(tmp_path / name) as picture:
            assert picture.mode == "RGBA"
            assert np.array_equal(np.asarray(picture), frame.rgba())
    with Image.open(io.BytesIO(frame.encode("WEBP").data)) as picture:
        assert np.array_equal(np.asarray(picture)[..., 3] == 255, inside)


def test_pixels_and_what_has_no_alpha_are_as_the_server_has_them(screen: xshm.Screen, painter: Painter) -> None:
    window = painter.window((100, 50, 200, 100), BLUE)
    with screen.window(window.id) as opened:
        painter.rectangles(drawable=window)
        whole = opened.grab().copy()
        _shape(window, _RECTS)
        frame = opened.grab()
        assert frame.bounding_shape
        inside = _inside(_RECTS)
        assert np.array_equal(frame.pixels[inside][:, :3], whole.pixels[inside][:, :3])
        assert np.array_equal(frame.rgb(), frame.pixels[..., 2::-1])
        assert np.array_equal(frame.bgr(), frame.pixels[..., :3])
        assert frame.pixel(150, 50) == tuple(frame.pixels[50, 150, 2::-1].tolist())
        before = frame.pixels.copy()
        frame.rgba()
        frame.png()
        assert np.array_equal(frame.pixels, before)


def test_a_jpeg_is_black_outside_of_the_shape(screen: xshm.Screen, painter: Painter) -> None:
    painter.fill((0, 0, 1280, 800), (255, 255, 255))
    window = painter.window((100, 50, 200, 100), BLUE)
    _shape(window, [(0, 0, 96, 96)])
    with screen.window(window.id) as opened, Image.open(io.BytesIO(opened.grab().jpeg(quality=100))) as picture:
        shown = np.asarray(picture).astype(int)
    assert shown[:, 112:].max() <= 3
    assert np.abs(shown[:80, :80] - BLUE).max() <= 4


def test_a_smaller_picture_has_the_shape_too(screen: xshm.Screen, painter: Painter) -> None:
    window = painter.window((100, 50, 200, 100), BLUE)
    _shape(window, [(0, 0, 100, 100)])
    with screen.window(window.id) as opened, Image.open(io.BytesIO(opened.grab().encode(max_edge=50).data)) as picture:
        small = np.asarray(picture)
    assert small.shape == (25, 50, 4)
    assert not small[:, 27:].any()
    assert (small[:, :23] == (*BLUE, 255)).all()
    assert (small[small[..., 3] > 0][:, :3] == BLUE).all()


def test_a_region_has_its_part_of_the_shape(screen: xshm.Screen, painter: Painter) -> None:
    window = painter.window((100, 50, 200, 100), BLUE)
    _shape(window, _RECTS)
    with screen.window(window.id) as opened:
        part = opened.grab((40, 5, 60, 30))
        assert np.array_equal(_mask(part), _inside(_RECTS)[5:35, 40:100])
        again = opened.grab((40, 30, 60, 20))
        assert again.bounding_shape == (xshm.Rect(50, 30, 30, 20),)
        inside, outside = opened.grab_many([(55, 20, 10, 10), (100, 20, 10, 10)])
        assert inside.bounding_shape is None  # all of it is the window's
        assert inside.image().mode == "RGB"
        assert outside.bounding_shape == ()
        assert not outside.rgba().any()


def test_the_shape_goes_with_copies_and_pickles(screen: xshm.Screen, painter: Painter) -> None:
    window = painter.window((100, 50, 200, 100), BLUE)
    _shape(window, _RECTS)
    with screen.window(window.id) as opened:
        frame = opened.grab()
    for other in (frame.copy(), pickle.loads(pickle.dumps(frame))):  # noqa: S301 - our own bytes
        assert other.bounding_shape == frame.bounding_shape
        assert np.array_equal(other.rgba(), frame.rgba())


def test_a_part_of_a_frame_has_its_part_of_the_shape(screen: xshm.Screen, painter: Painter) -> None:
    window = painter.window((100, 50, 200, 100), BLUE)
    _shape(window, _RECTS)
    with screen.window(window.id) as opened:
        found = part(opened.grab(), xshm.Rect(40, 5, 60, 30))
    assert np.array_equal(_mask(found), _inside(_RECTS)[5:35, 40:100])


def test_a_shape_is_followed_from_grab_to_grab(screen: xshm.Screen, painter: Painter) -> None:
    window = painter.window((100, 50, 200, 100), BLUE)
    with screen.window(window.id) as opened, screen.window(window.id) as again:
        assert opened.grab().bounding_shape is None
        assert opened.grab().image().mode == "RGB"
        for rects in ([(0, 0, 50, 50)], _RECTS, [(10, 10, 1, 1)]):
            _shape(window, rects)
            assert np.array_equal(_mask(opened.grab()), _inside(rects))
            assert np.array_equal(_mask(opened.grab((5, 5, 60, 40))), _inside(rects)[5:45, 5:65])
            assert np.array_equal(_mask(opened.grab_many([(5, 5, 60, 40)])[0]), _inside(rects)[5:45, 5:65])
            assert np.array_equal(_mask(again.grab()), _inside(rects))
        _shape(window, [])
        assert opened.grab().bounding_shape == ()
        _unshape(window)
        assert opened.grab().bounding_shape is None
        assert again.grab((0, 0, 5, 5)).bounding_shape is None
        _shape(window, [(0, 0, 50, 50)])
        window.configure(width=300)
        painter.display.sync()
        assert np.array_equal(_mask(opened.grab()), _inside([(0, 0, 50, 50)], width=300))


def test_another_kind_of_shape_is_none_of_the_picture(screen: xshm.Screen, painter: Painter) -> None:
    window = painter.window((100, 50, 200, 100), BLUE)
    with screen.window(window.id) as opened:
        opened.grab()
        _shape(window, [(0, 0, 5, 5)], shape.SK.Input)
        _shape(window, [(0, 0, 5, 5)], shape.SK.Clip)
        assert opened.grab().bounding_shape is None


def test_a_shape_counts_inside_of_the_border(screen: xshm.Screen, painter: Painter) -> None:
    window = painter.window((100, 50, 200, 100), BLUE)
    window.configure(border_width=7)
    _shape(window, [(-7, -7, 57, 57), (60, 20, 10, 10)])
    with screen.window(window.id) as opened:
        frame = opened.grab()
        assert np.array_equal(_mask(frame), _inside([(0, 0, 50, 50), (60, 20, 10, 10)]))
        assert (frame.rgba()[:50, :50] == (*BLUE, 255)).all()


def test_a_shape_that_covers_the_window_is_none(screen: xshm.Screen, painter: Painter) -> None:
    window = painter.window((100, 50, 200, 100), BLUE)
    _shape(window, [(0, 0, 120, 100), (100, 0, 500, 500)])
    with screen.window(window.id) as opened:
        assert opened.grab().bounding_shape is None
        window.configure(height=700)
        painter.display.sync()
        assert np.array_equal(_mask(opened.grab()), _inside([(0, 0, 120, 100), (100, 0, 100, 500)], 700))


def test_frames_of_streams_have_the_shape_of_their_moment(screen: xshm.Screen, painter: Painter) -> None:
    window = painter.window((100, 50, 200, 100), BLUE)
    _shape(window, [(0, 0, 50, 50)])
    with screen.window(window.id) as opened:
        for on_change in (False, True):
            _shape(window, [(0, 0, 50, 50)])
            with opened.stream(on_change=on_change) as stream:
                assert np.array_equal(_mask(next(stream)), _inside([(0, 0, 50, 50)]))
                _shape(window, _RECTS)
                if not on_change:
                    next(stream)  # on its way already
                assert np.array_equal(_mask(next(stream)), _inside(_RECTS))


def test_a_shape_that_a_grab_has_met_first_is_a_change_to_a_stream_too(screen: xshm.Screen, painter: Painter) -> None:
    window = painter.window((100, 50, 200, 100), BLUE)
    with screen.window(window.id) as opened, contextlib.closing(ChangeTracker(opened, None, cursor=False)) as changes:
        while changes.poll() is not None:
            pass
        with pytest.raises(RequestTimeout):
            changes.wait(0.05)
        _shape(window, _RECTS)
        assert np.array_equal(_mask(opened.grab()), _inside(_RECTS))
        changes.wait(1)  # nothing was drawn
        frame = changes.poll()
        assert frame is not None
        assert np.array_equal(_mask(frame), _inside(_RECTS))


def test_a_screens_frames_have_no_shape(screen: xshm.Screen, painter: Painter) -> None:
    window = painter.window((100, 50, 200, 100), BLUE)
    _shape(window, _RECTS)
    frame = screen.grab((100, 50, 200, 100))
    assert frame.bounding_shape is None
    assert (frame.rgba()[..., 3] == 255).all()


def test_a_window_with_alpha_and_a_shape_has_both(screen: xshm.Screen, painter: Painter) -> None:
    depth = next(each for each in painter.screen.allowed_depths if each["depth"] == 32)
    visual = next(each["visual_id"] for each in depth["visuals"] if each["visual_class"] == X.TrueColor)
    window = painter.root.create_window(
        *(50, 60, 64, 48, 0, 32),
        visual=visual,
        colormap=painter.root.create_colormap(visual, X.AllocNone),
        border_pixel=0,
        background_pixel=0x80800000,
        override_redirect=True,
    )
    window.map()
    _shape(window, [(0, 0, 32, 48)])
    with screen.window(window.id) as opened:
        frame = opened.grab()
    for rgba in (frame.rgba(), np.asarray(frame.image())):
        assert (rgba[:, :32] == (255, 0, 0, 128)).all()
        assert not rgba[:, 32:].any()


@pytest.mark.parametrize("shaped", [False, True])
def test_a_grab_sends_no_more_than_its_one_request(screen: xshm.Screen, painter: Painter, *, shaped: bool) -> None:
    window = painter.window((100, 50, 200, 100), BLUE)
    if shaped:
        _shape(window, _RECTS)
    with screen.window(window.id) as opened:
        opened.grab()

        def serial() -> int:
            """Return the number that a request gets which is sent now."""
            return int(screen.connection.send(GetInputFocus).serial)

        before = serial()
        for _ in range(10):
            opened.grab()
        assert serial() - before == 11


def test_closing_the_last_window_takes_the_subscription_back(screen: xshm.Screen, painter: Painter) -> None:
    window = painter.window((100, 50, 200, 100), BLUE)
    ours: Any = screen.xlib.create_resource_object("window", window.id)
    opened, again = screen.window(window.id), screen.window(window.id)
    assert ours.shape_input_selected().enabled
    opened.close()
    assert ours.shape_input_selected().enabled
    again.close()
    assert not ours.shape_input_selected().enabled
    screen.window(window.id).grab()
    screen.windows()  # what was dropped unclosed is given back
    assert not ours.shape_input_selected().enabled


def test_events_that_the_caller_selected_stay_selected_and_reach_the_caller(
    screen: xshm.Screen, painter: Painter
) -> None:
    theirs = painter.window((100, 50, 200, 100), BLUE)
    display = screen.xlib
    window: Any = display.create_resource_object("window", theirs.id)

    def heard() -> list[str]:
        display.sync()
        return [type(display.next_event()).__name__ for _ in range(display.pending_events())]

    with screen.window(theirs.id) as opened:
        _shape(theirs, _RECTS)
        opened.grab()
        assert heard() == []
    window.shape_select_input(1)
    with screen.window(theirs.id) as opened:
        _shape(theirs, [(0, 0, 9, 9)])
        assert np.array_equal(_mask(opened.grab()), _inside([(0, 0, 9, 9)]))
        assert heard() == ["NotifyEventData"]  # as python-xlib calls the class of ShapeNotify
    assert window.shape_input_selected().enabled


def test_a_window_that_is_destroyed_is_gone_though_its_shape_was_to_be_asked_for(
    screen: xshm.Screen, painter: Painter
) -> None:
    window = painter.window((100, 50, 200, 100), BLUE)
    opened = screen.window(window.id)
    _shape(window, _RECTS)
    window.destroy()
    painter.display.sync()
    with pytest.raises(WindowGone):
        opened.grab()
    opened.close()
    screen.connection.sync()


def _relay(server: Server, listener: socket.socket) -> None:
    """Carry one connection to a server, and let it know of no SHAPE: X.Org's servers can't be started without."""
    client, _ = listener.accept()
    with client, socket.socket(socket.AF_UNIX) as behind:
        behind.connect(f"/tmp/.X11-unix/X{server.name.removeprefix(':')}")  # noqa: S108 - where X servers listen
        others = {client: behind, behind: client}
        while True:
            for ready in select.select(list(others), [], [])[0]:
                data = ready.recv(1 << 16)
                if not data:
                    return
                others[ready].sendall(data.replace(b"SHAPE", b"NOSUC") if ready is client else data)


def test_a_server_without_the_extension_has_no_shapes(xvfb: Server, painter: Painter) -> None:
    window = painter.window((10, 10, 50, 40), BLUE)
    _shape(window, [(0, 0, 9, 9)])
    number = next(number for number in range(50, 200) if _is_free(6000 + number))
    with socket.create_server(("127.0.0.1", 6000 + number)) as listener:
        relay = threading.Thread(target=_relay, args=(xvfb, listener))
        relay.start()
        with xshm.Screen(f"127.0.0.1:{number}") as screen, screen.window(window.id) as opened:
            assert screen.connection.extension("SHAPE") is None
            assert opened.grab().bounding_shape is None
            assert opened.grab().pixel(5, 5) == BLUE
        relay.join()


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_without_composite_a_shape_is_followed_too(make_server: Callable[..., Server]) -> None:
    server = make_server("Xvfb", 320, 240, 24, "-extension", "Composite")
    with Painter(server) as painter, xshm.Screen(server.name) as screen:
        window = painter.window((-20, 10, 200, 100), BLUE)
        _shape(window, _RECTS)
        with screen.window(window.id) as opened:
            assert opened.source.kind == "screen"
            frame = opened.grab()
            assert frame.rect == xshm.Rect(20, 0, 180, 100)
            assert np.array_equal(_mask(frame), _inside(_RECTS)[:, 20:])
            for rects in ([(25, 0, 50, 50)], [(30, 30, 5, 5)]):
                _shape(window, rects)
                assert np.array_equal(_mask(opened.grab((25, 5, 60, 40))), _inside(rects)[5:45, 25:85])
                assert np.array_equal(_mask(opened.grab()), _inside(rects)[:, 20:])
            ours: Any = screen.xlib.create_resource_object("window", window.id)
            assert ours.shape_input_selected().enabled
        assert not ours.shape_input_selected().enabled


def test_a_program_with_a_shape_is_cut_out(make_server: Callable[..., Server], tmp_path: Path) -> None:
    server = make_server("Xvfb", 640, 480)
    with Programs(server) as programs, Painter(server) as painter, xshm.Screen(server.name) as screen:
        painter.fill((0, 0, 640, 480), DARK_GREEN)
        window = programs.show("xeyes", "xeyes", "-shape", "-geometry", "200x150+50+50")
        with screen.window(window) as opened:
            eventually(lambda: opened.grab().bounding_shape)
            frame, (x, y) = opened.grab(), opened.position
        painted = core_image(painter.display, (x, y, 200, 150))[..., 2::-1]
        beneath = (painted == DARK_GREEN).all(axis=2)
        assert beneath[0, 0]
        assert beneath.any()
        assert np.array_equal(_mask(frame), ~beneath)
        command = [sys.executable, "-m", "xshm", "shot", "-i", hex(window), str(tmp_path / "eyes.png")]
        subprocess.run(command, env=server.env(), check=True)
        with Image.open(tmp_path / "eyes.png") as picture:
            assert picture.mode == "RGBA"
            assert np.array_equal(np.asarray(picture)[..., 3] == 255, ~beneath)


def test_what_is_cut_of_a_shape_is_the_same_as_masking_it() -> None:
    random = np.random.default_rng(5)
    for _ in range(200):
        edges = np.sort(random.choice(60, 6, replace=False)) - 10
        rects = tuple(
            xshm.Rect(int(left), int(top), int(right - left), int(bottom - top))
            for left, right in (edges[:2], edges[2:4])
            for top, bottom in (edges[1:3], edges[4:6])
        )
        region = xshm.Rect(*random.integers(0, 20, 2).tolist(), *random.integers(1, 30, 2).tolist())
        mask = np.zeros((100, 100), bool)
        for rect in rects:
            mask[rect.y + 20 : rect.bottom + 20, rect.x + 20 : rect.right + 20] = True
        wanted = mask[region.y + 20 : region.bottom + 20, region.x + 20 : region.right + 20]
        found = cut(rects, region)
        if found is None:
            assert wanted.all()
        else:
            assert not wanted.all()
            inside = (astuple(each.moved(-region.x, -region.y)) for each in found)
            assert np.array_equal(_inside(inside, *wanted.shape), wanted)
