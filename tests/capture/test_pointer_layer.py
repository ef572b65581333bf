"""Frame.cursor: image, serial, position and hotspot, on screens and in windows."""

from __future__ import annotations

import pickle
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from painter import Painter, plain_display
from pointers import Pointers, write_theme_file
from slow_blend import check_drawn, random_sprite

import xshm
from xshm.drawables.drawable import Drawable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from servers import Server


@pytest.fixture
def screen(xvfb: Server, painter: Painter) -> Iterator[xshm.Screen]:
    painter.rectangles()
    with xshm.Screen(xvfb.name) as screen:
        yield screen


def test_the_layer_tells_all_and_draws_nothing(screen: xshm.Screen, pointers: Pointers) -> None:
    rgba = random_sprite(33, 21)
    pointers.show(pointers.picture(rgba, (7, 9)))
    pointers.move(123, 456)
    plain, layer, drawn = screen.grab(), screen.grab(cursor="layer"), screen.grab(cursor=True)
    assert not layer.diff(plain)
    assert drawn.diff(plain)
    for frame in (layer, drawn):
        assert frame.cursor
        assert np.array_equal(frame.cursor.sprite, rgba)
        assert frame.cursor.position == (123, 456)
        assert frame.cursor.hotspot == (7, 9)
        assert frame.cursor.rect == xshm.Rect(116, 447, 33, 21)
        assert frame.cursor.serial == pointers.shown().serial
        assert frame.cursor.name == ""
        shown = f"<Cursor 33x21 #{frame.cursor.serial} at 123,456, hotspot 7,9>"
        assert repr(frame.cursor) == shown, "without the sprite's bytes"


def test_one_picture_is_unpacked_once_and_can_not_be_written_to(screen: xshm.Screen, pointers: Pointers) -> None:
    pointers.show(pointers.picture(random_sprite(16, 16)))
    first, second = screen.grab(cursor=True).cursor, screen.grab(cursor="layer").cursor
    assert first
    assert second
    assert first.sprite is second.sprite
    with pytest.raises(ValueError, match="read-only"):
        first.sprite[0, 0] = 0
    with pytest.raises(ValueError, match="WRITEABLE"):
        first.sprite.setflags(write=True)


def test_a_layer_is_drawn_later_as_it_was_though_the_picture_has_changed(
    screen: xshm.Screen, pointers: Pointers
) -> None:
    rgba = random_sprite(16, 16, 1)
    pointers.show(pointers.picture(rgba, (8, 8)))
    pointers.move(50, 60)
    plain, frame = screen.grab((30, 40, 40, 40)), screen.grab((30, 40, 40, 40), cursor="layer")
    pointers.show(pointers.picture(random_sprite(20, 20, 2)))
    screen.grab(cursor="layer")
    pointer, _ = screen._pointer()
    pointer.draw(frame)
    assert check_drawn(plain, frame, rgba, (42, 52)) > 50


def test_a_copy_and_a_pickled_frame_keep_it(screen: xshm.Screen, pointers: Pointers) -> None:
    pointers.show(pointers.picture(random_sprite(16, 16), (1, 2)))
    pointers.move(50, 60)
    frame = screen.grab(cursor=True)
    assert frame.cursor
    for twin in (frame.copy(), pickle.loads(pickle.dumps(frame))):  # noqa: S301 - our own
        assert twin.cursor
        assert np.array_equal(twin.cursor.sprite, frame.cursor.sprite)
        assert (twin.cursor.position, twin.cursor.hotspot, twin.cursor.serial) == (
            (50, 60),
            (1, 2),
            frame.cursor.serial,
        )
        assert not twin.diff(frame)


def test_the_one_shot_has_it_too(xvfb: Server, painter: Painter, pointers: Pointers) -> None:
    painter.rectangles()
    pointers.show(pointers.picture(random_sprite(16, 16)))
    pointers.move(50, 60)
    frame = xshm.grab((0, 0, 100, 100), display=xvfb.name, cursor=True)
    assert frame.cursor
    assert frame.diff(xshm.grab((0, 0, 100, 100), display=xvfb.name))


def test_every_phase_of_an_animated_one_is_drawn(screen: xshm.Screen, pointers: Pointers) -> None:
    phases = [random_sprite(12, 12, seed) for seed in (1, 2, 3)]
    pointers.show(pointers.animated([pointers.picture(rgba, (6, 6)) for rgba in phases], 20))
    pointers.move(100, 100)
    region = (90, 90, 20, 20)
    plain = screen.grab(region)
    seen: dict[int, int] = {}
    deadline = time.monotonic() + 5
    while len(seen) < len(phases) and time.monotonic() < deadline:
        frame = screen.grab(region, cursor=True)
        assert frame.cursor
        if frame.cursor.serial not in seen and frame.cursor.sprite.any():  # empty until the second phase begins
            (phase,) = (at for at, rgba in enumerate(phases) if np.array_equal(rgba, frame.cursor.sprite))
            seen[frame.cursor.serial] = phase
            assert check_drawn(plain, frame, phases[phase], (94, 94)) > 50
    assert sorted(seen.values()) == [0, 1, 2]


def test_a_recoloured_one_is_drawn_in_its_new_colours_though_its_serial_stays(
    screen: xshm.Screen, pointers: Pointers
) -> None:
    cursor = pointers.glyph(68, (65535, 0, 0), (0, 0, 0))
    pointers.show(cursor)
    pointers.move(100, 100)
    red = screen.grab(cursor=True)
    pointers.recolour(cursor, (0, 65535, 0), (0, 0, 0))
    green = screen.grab(cursor=True)
    assert red.cursor
    assert green.cursor
    assert red.cursor.serial == green.cursor.serial
    assert np.array_equal(green.cursor.sprite, pointers.shown().rgba)
    assert {tuple(pixel) for pixel in green.cursor.sprite.reshape(-1, 4)} == {
        (0, 0, 0, 0),
        (0, 0, 0, 255),
        (0, 255, 0, 255),
    }
    assert np.array_equal(green.cursor.sprite[..., [1, 0, 2, 3]], red.cursor.sprite)
    assert red.diff(green)


def test_a_theme_s_is_drawn_and_named_though_the_client_that_set_it_has_left(
    make_server: Callable[..., Server], tmp_path: Path
) -> None:
    rgba = random_sprite(48, 48)
    cursors = tmp_path / "themed" / "cursors"
    cursors.mkdir(parents=True)
    write_theme_file(cursors / "left_ptr", [rgba], (10, 4))
    server = make_server("Xvfb", 320, 200)
    environment = {"XCURSOR_PATH": str(tmp_path), "XCURSOR_THEME": "themed", "XCURSOR_SIZE": "48"}
    with xshm.Screen(server.name) as screen:
        # Clients before it that leave after it: the first newcomers don't get its place.
        before = [plain_display(server) for _ in range(3)]
        command = ["xsetroot", "-cursor_name", "left_ptr"]
        subprocess.run(command, env=server.env() | environment, check=True)
        for display in before:
            display.close()
        for _ in range(3):
            plain, frame = screen.grab(), screen.grab(cursor=True)
            assert frame.cursor
            assert (frame.cursor.name, frame.cursor.hotspot) == ("left_ptr", (10, 4))
            assert check_drawn(plain, frame, rgba, (160 - 10, 100 - 4)) > 1000


def test_threads_get_frames_that_fit_their_own_pointer(screen: xshm.Screen, pointers: Pointers) -> None:
    phases = [np.full((8, 8, 4), (10 * at, 0, 0, 255), np.uint8) for at in range(20)]
    pointers.show(pointers.animated([pointers.picture(rgba) for rgba in phases], 1))
    pointers.move(100, 100)
    wrong: list[Any] = []

    def work() -> None:
        for _ in range(100):
            frame = screen.grab((100, 100, 8, 8), cursor=True)
            if not (frame.cursor and frame.cursor.sprite.any()):
                continue
            if not np.array_equal(frame.rgb(), frame.cursor.sprite[..., :3]):
                wrong.append(frame)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_in_a_window_it_is_placed_by_the_window_s_corner(
    screen: xshm.Screen, pointers: Pointers, painter: Painter
) -> None:
    rgba = random_sprite(16, 16)
    pointers.show(pointers.picture(rgba, (8, 8)))
    pointers.move(350, 220)
    window = painter.window((300, 200, 100, 80), (0, 0, 255))
    whole = xshm.Rect(0, 0, 100, 80)
    drawable = Drawable(screen._session, window.id, whole, screen.format, 0)
    plain, frame = drawable.grab(), drawable.grab(cursor=True)
    assert frame.cursor
    assert frame.cursor.position == (50, 20)
    assert check_drawn(plain, frame, rgba, (42, 12)) > 50


def test_on_another_screen_of_the_display_it_is_not_in_this_one_s_frames(make_server: Callable[..., Server]) -> None:
    server = make_server("Xvfb", 320, 200, 24, "-screen", "1", "320x200x24")
    with xshm.Screen(f"{server.name}.0") as here, xshm.Screen(f"{server.name}.1") as there:
        assert here.grab(cursor=True).diff(here.grab())
        frame = there.grab(cursor=True)
        assert frame.cursor is None
        assert not frame.diff(there.grab())
        display = plain_display(server)
        display.screen(1).root.warp_pointer(20, 30)
        display.sync()
        frame = there.grab(cursor=True)
        assert frame.cursor
        assert frame.cursor.position == (20, 30)
        assert here.grab(cursor=True).cursor is None
        display.close()
