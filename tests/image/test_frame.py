"""Frame: numpy, Pillow, pickle, DLPack, files, diff."""

from __future__ import annotations

import io
import pickle
import subprocess
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from colours import BLACK
from PIL import Image

import xshm

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from painter import Painter
    from servers import Server


@pytest.fixture
def frame(xvfb: Server, painter: Painter) -> Iterator[xshm.Frame]:
    painter.fill((0, 0, 1280, 800), BLACK)  # the rectangles leave some of what an earlier test has painted
    painter.rectangles()
    # Released at the end: pytest holds what a fixture gave until the next test has begun.
    with xshm.Screen(xvfb.name) as screen, screen.grab((100, 50, 321, 203)) as frame:
        yield frame


def opened(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def test_numpy_takes_it_without_a_copy(frame: xshm.Frame) -> None:
    assert np.asarray(frame) is frame.pixels
    assert np.array(frame) is not frame.pixels
    assert np.asarray(frame, dtype=np.float32).dtype == np.float32
    with pytest.raises(ValueError, match="copied"):
        np.asarray(frame, dtype=np.float32, copy=False)


def test_dlpack_shares_the_memory(frame: xshm.Frame) -> None:
    shared = np.from_dlpack(frame)
    frame.pixels[0, 0] = (1, 2, 3, 4)
    assert tuple(shared[0, 0]) == (1, 2, 3, 4)
    assert frame.__dlpack_device__() == (1, 0)


def test_the_dlpack_view_keeps_the_slot(xvfb: Server) -> None:
    with xshm.Screen(xvfb.name) as screen:
        shared = np.from_dlpack(screen.grab())
        assert screen.stats().pool.held == 1  # type: ignore[union-attr]
        del shared
        assert screen.stats().pool.held == 0  # type: ignore[union-attr]


def test_a_copy_shares_nothing_that_can_be_written() -> None:
    fmt = xshm.PixelFormat(8, 8, 32, "little", 0, 0, 0, xshm.VisualClass.PseudoColor)
    colours = np.arange(768, dtype=np.uint16).reshape(256, 3) * 85
    frame = xshm.Frame(np.full((4, 4), 7, np.uint8), xshm.Rect(0, 0, 4, 4), 0, 1, fmt, colours)
    twin = frame.copy()
    assert not frame.diff(twin)
    before = twin.rgb()
    frame.pixels[...] = 9
    colours[...] = 0
    assert np.array_equal(twin.rgb(), before)


def test_it_pickles_by_value(frame: xshm.Frame) -> None:
    twin = pickle.loads(pickle.dumps(frame))  # noqa: S301 - our own
    assert np.array_equal(twin.pixels, frame.pixels)
    assert (twin.rect, twin.monotonic_ns, twin.sequence, twin.format) == (
        frame.rect,
        frame.monotonic_ns,
        frame.sequence,
        frame.format,
    )
    assert not np.shares_memory(twin.pixels, frame.pixels)


def test_a_frame_released_while_its_array_is_being_made_stays_released(frame: xshm.Frame) -> None:
    fmt = frame.format

    class Releasing:
        """Stands for another thread that comes in between."""

        def layout(self, width: int, height: int) -> Any:
            small.release()
            return fmt.layout(width, height)

    releasing: Any = Releasing()
    small = xshm.Frame(None, xshm.Rect(0, 0, 2, 1), 0, 1, releasing, None, bytearray(range(8)))
    assert small.pixels.tobytes() == bytes(range(8))
    with pytest.raises(xshm.Closed):
        _ = small.pixels


def test_a_copy_pins_no_slot(xvfb: Server) -> None:
    with xshm.Screen(xvfb.name) as screen:
        copy = screen.grab().copy()
        assert screen.stats().pool.held == 0  # type: ignore[union-attr]
        assert copy.diff(screen.grab()).pixels == 0


@pytest.mark.parametrize(
    "out",
    [
        np.empty((203, 321, 4), np.uint8),
        np.empty((321, 203, 3), np.uint8),
        np.empty((203, 321, 3), np.int16),
        np.empty((203, 321, 3), np.uint8)[::-1][:100],
    ],
)
def test_a_wrong_out_is_a_value_error_with_what_was_expected(frame: xshm.Frame, out: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"\(203, 321, 3\)"):
        frame.rgb(out=out)


def test_out_is_filled_and_returned(frame: xshm.Frame) -> None:
    out = np.empty((203, 321, 3), np.uint8)
    assert frame.rgb(out=out) is out
    assert np.array_equal(out, frame.pixels[..., 2::-1])


def test_its_size_is_width_and_height_as_pillow_has_them(xvfb: Server) -> None:
    with xshm.Screen(xvfb.name) as screen, screen.grab((3, 4, 50, 20)) as frame:
        assert frame.size == (frame.width, frame.height) == frame.image().size == (50, 20)


def test_files_hold_the_picture(frame: xshm.Frame, tmp_path: Path) -> None:
    expected = frame.rgb()
    for name in ("a.png", "a.bmp", "a.tiff"):
        frame.save(tmp_path / name)
        assert np.array_equal(opened((tmp_path / name).read_bytes()), expected)
    assert np.array_equal(opened(frame.png()), expected)
    assert np.array_equal(np.asarray(frame.image()), expected)
    frame.save(tmp_path / "a.jpg")
    error = opened((tmp_path / "a.jpg").read_bytes()).astype(int) - expected
    assert np.sqrt((error**2).mean()) < 12
    with pytest.raises(xshm.InvalidArgument, match="xyz"):
        frame.save(tmp_path / "a.xyz")


def test_imagemagick_finds_no_difference_to_xwd(xvfb: Server, painter: Painter, tmp_path: Path) -> None:
    painter.rectangles()
    xshm.grab(display=xvfb.name).save(tmp_path / "ours.png")
    dump = tmp_path / "theirs.xwd"
    subprocess.run(["xwd", "-silent", "-root", "-out", dump], env=xvfb.env(), check=True)
    compared = subprocess.run(
        ["compare", "-metric", "AE", tmp_path / "ours.png", f"xwd:{dump}", "null:"], capture_output=True, check=False
    )
    assert compared.stderr.split()[0] == b"0"


def test_pixel_tells_a_colour_in_the_coordinates_of_the_source(frame: xshm.Frame) -> None:
    assert frame.pixel(100, 50) == tuple(frame.rgb()[0, 0])
    assert frame.pixel(420, 252) == tuple(frame.rgb()[-1, -1])
    with pytest.raises(xshm.InvalidArgument, match="99, 50"):
        frame.pixel(99, 50)


def test_diff_says_where_and_how_much(frame: xshm.Frame) -> None:
    other = frame.copy()
    assert not frame.diff(other)
    other.pixels[10:20, 30:50, :3] ^= 255
    other.pixels[100:, :, 3] ^= 255  # undefined, so no difference
    found = frame.diff(other)
    assert found.rects == (xshm.Rect(130, 60, 20, 10),)
    assert found.pixels == 200
    assert found.ratio == 200 / (321 * 203)


def test_frames_that_can_not_be_compared_say_so(frame: xshm.Frame, xvfb: Server) -> None:
    with pytest.raises(xshm.InvalidArgument, match="321x203 and 5x5"):
        frame.diff(xshm.grab((0, 0, 5, 5), display=xvfb.name))
    with pytest.raises(xshm.InvalidType, match="ndarray"):
        frame.diff(frame.pixels)  # type: ignore[arg-type]
