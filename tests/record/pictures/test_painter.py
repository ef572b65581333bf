"""Painter: exact samples in every layout, of every depth, by every converter, and no seam between changed parts."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pictures import BGRX, KNOWN, random_picture, random_rect

from xshm.errors import InvalidArgument
from xshm.geometry import Rect
from xshm.record.pictures import libav_planes, opencv_planes
from xshm.record.pictures.numpy_planes import NumpyWriter
from xshm.record.pictures.painter import Painter
from xshm.record.pictures.picture import LAYOUTS, Picture, new_planes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from xshm.record.pictures.picture import Layout

WRITERS = ("numpy", "opencv", "libav")
writers = pytest.mark.parametrize("writer", WRITERS)
layouts = pytest.mark.parametrize("layout", LAYOUTS)


def painter(
    writer: str, layout: Layout, size: tuple[int, int], fmt: Any = BGRX, max_edge: int | None = None
) -> Painter:
    """Return a painter that uses one converter from the start on."""
    made = Painter(fmt, size, layout, max_edge=max_edge)
    if writer == "opencv":
        made._writer = opencv_planes.OpenCVWriter(pytest.importorskip("cv2"))
    elif writer == "libav":
        made._writer = libav_planes.LibavWriter(pytest.importorskip("av"))
    else:
        made._writer = NumpyWriter()
        made._lost = np.inf  # OpenCV, which another test has imported, does not take over
    return made


def blank(layout: Layout, size: tuple[int, int]) -> Picture:
    """Return a picture whose rows are padded, as an encoder's are, by bytes that nothing writes."""
    width, height = size
    planes = []
    for plane in new_planes(layout, width, height):
        memory = np.full((plane.shape[0] + 2, plane.shape[1] + 13, *plane.shape[2:]), 77, np.uint8)
        planes.append(memory[1:-1, 5:-8])
    return Picture(layout, width, height, tuple(planes))


def rims(picture: Picture) -> int:
    """Return how many bytes around the planes were written to."""
    written = 0
    for plane in picture.planes:
        memory = plane.base
        assert memory is not None
        inside = np.zeros(memory.shape, bool)
        inside[1:-1, 5:-8] = True
        written += int(np.count_nonzero((memory != 77) & ~inside))
    return written


def expected(rgb: NDArray[Any], layout: Layout) -> list[NDArray[np.float64]]:
    """Return the exact samples of (height, width, 3) colours: ITU-R BT.601 as its equations are, not rounded."""
    red, green, blue = np.moveaxis(rgb.astype(np.float64), -1, 0)
    if layout == "gbrp":
        return [green, blue, red]
    if layout == "bgr0":
        return [np.dstack([blue, green, red, np.full_like(red, 255)])]
    bright = 0.299 * red + 0.587 * green + 0.114 * blue
    chroma = [
        128 + 224 / 255 * (blue - bright) / (2 * (1 - 0.114)),
        128 + 224 / 255 * (red - bright) / (2 * (1 - 0.299)),
    ]
    if layout == "yuv420p":
        chroma = [
            sum(plane[down::2, across::2] for down in (0, 1) for across in (0, 1)) / np.float64(4) for plane in chroma
        ]
    return [16 + 219 / 255 * bright, *chroma]


def padded(rgb: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    width, height = size
    return np.pad(rgb, ((0, height - rgb.shape[0]), (0, width - rgb.shape[1]), (0, 0)), mode="edge")


def error(picture: Picture, want: list[NDArray[np.float64]]) -> float:
    assert [plane.shape for plane in picture.planes] == [plane.shape for plane in want]
    return max(float(np.abs(plane - exact).max()) for plane, exact in zip(picture.planes, want, strict=True))


def whole(size: tuple[int, int]) -> list[Rect]:
    return [Rect(0, 0, *size)]


@writers
@layouts
@pytest.mark.parametrize("name", KNOWN)
def test_samples_of_all_depths_are_those_of_the_equations(name: str, layout: Layout, writer: str) -> None:
    picture = random_picture(KNOWN[name], 37, 29)
    made = painter(writer, layout, (37, 29), picture.fmt)
    assert made.size == ((38, 30) if layout == "yuv420p" else (37, 29))
    target = blank(layout, made.size)
    pixels = picture.pixels
    pixels.flags.writeable = False
    assert made.paint(target, pixels, whole((37, 29)), picture.colormap) == whole(made.size)
    want = expected(padded(picture.rgba()[..., :3], made.size), layout)
    # Rounding is off by 0.5, ten bits of coefficients by 0.12; the mean of four rounded samples is rounded again.
    tolerance = {"yuv420p": 1.1, "yuv444p": 0.63}.get(layout, 0)
    if tolerance and writer == "libav":
        tolerance = 1.6
    assert error(target, want) <= tolerance
    assert rims(target) == 0


@writers
@layouts
@pytest.mark.parametrize("size", [(1, 1), (2, 2), (3, 2), (1, 50), (301, 203), (1000, 64)])
def test_parts_are_those_of_the_whole(size: tuple[int, int], layout: Layout, writer: str) -> None:
    generator = np.random.default_rng(0)
    picture = random_picture(BGRX, *size)
    at_once = blank(layout, painter(writer, layout, size).size)
    painter(writer, layout, size).paint(at_once, picture.pixels, whole(size))
    tolerance = 1 if writer == "libav" and layout.startswith("yuv") else 0
    for count in (*[1] * 20, 40):
        rects = [random_rect(generator, size) for _ in range(count)]
        made = painter(writer, layout, size)
        target = blank(layout, made.size)
        before = [plane.copy() for plane in target.planes]
        painted = made.paint(target, picture.pixels, rects)
        covered = np.zeros(made.size[::-1], bool)
        for rect in painted:
            covered[rect.slices] = True
        for rect in rects:
            assert covered[rect.slices].all()
        for plane, old, full in zip(target.planes, before, at_once.planes, strict=True):
            step = 1 if plane.shape[:2] == covered.shape else 2
            mask = covered[::step, ::step]
            assert (np.abs(plane.astype(int) - full)[mask] <= tolerance).all()
            assert np.array_equal(plane[~mask], old[~mask])
        assert rims(target) == 0


@layouts
def test_a_converter_that_takes_over_leaves_no_seam(layout: Layout) -> None:
    size = (641, 363)
    picture = random_picture(BGRX, *size)
    made = {}
    for writer in WRITERS:
        one = painter(writer, layout, size)
        made[writer] = blank(layout, one.size)
        one.paint(made[writer], picture.pixels, whole(size))
    for plane, other, third in zip(*(made[writer].planes for writer in WRITERS), strict=True):
        assert np.array_equal(plane, other)
        assert np.abs(plane.astype(int) - third).max() <= (1 if layout.startswith("yuv") else 0)


@writers
@pytest.mark.parametrize("layout", ["yuv420p", "yuv444p"])
def test_pure_colours_are_those_that_players_know(layout: Layout, writer: str) -> None:
    bars = {
        (0, 0, 0): (16, 128, 128),
        (255, 255, 255): (235, 128, 128),
        (255, 0, 0): (81, 90, 240),
        (0, 255, 0): (145, 54, 34),
        (0, 0, 255): (41, 240, 110),
        (128, 128, 128): (126, 128, 128),
    }
    for (red, green, blue), want in bars.items():
        pixels = np.full((64, 64, 4), (blue, green, red, 99), np.uint8)
        made = painter(writer, layout, (64, 64))
        target = blank(layout, made.size)
        made.paint(target, pixels, whole((64, 64)))
        for plane, value in zip(target.planes, want, strict=True):
            assert len(np.unique(plane)) == 1
            assert abs(int(plane[0, 0]) - value) <= 1


@pytest.mark.parametrize("max_edge", [1, 0, -5])
def test_an_edge_too_short_is_refused(max_edge: int) -> None:
    with pytest.raises(InvalidArgument, match=f"at least 2 pixels, not {max_edge}"):
        Painter(BGRX, (64, 48), "yuv420p", max_edge=max_edge)


def test_an_unknown_layout_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="yuv420p"):
        Painter(BGRX, (64, 48), "yuv422p")  # type: ignore[arg-type]


def test_rectangles_beyond_the_source_are_cut() -> None:
    made = painter("numpy", "gbrp", (10, 10))
    target = blank("gbrp", made.size)
    pixels = random_picture(BGRX, 10, 10).pixels
    assert made.paint(target, pixels, [Rect(8, -3, 100, 8), Rect(50, 50, 4, 4), Rect(-9, 0, 9, 5)]) == [
        Rect(8, 0, 2, 5)
    ]


def test_many_small_rectangles_near_each_other_are_painted_as_few() -> None:
    made = painter("numpy", "bgr0", (1920, 1080))
    target = blank("bgr0", made.size)
    pixels = np.zeros((1080, 1920, 4), np.uint8)
    letters = [Rect(100 + 9 * at, 200, 8, 14) for at in range(100)]
    assert made.paint(target, pixels, letters) == [Rect(100, 200, 899, 14)]
    corners = [Rect(0, 0, 8, 8), Rect(1900, 0, 8, 8), Rect(0, 1060, 8, 8), Rect(1900, 1060, 8, 8)]
    assert made.paint(target, pixels, corners) == corners


def test_what_is_as_the_picture_has_it_is_copied_and_needs_no_other_library() -> None:
    assert Painter(BGRX, (1920, 1080), "bgr0").how == "numpy, which copies BGRX as fast as anything"


def test_opencv_is_imported_once_it_is_worth_it_and_starts_no_thread() -> None:
    code = """
import sys, os
import numpy as np
from xshm.geometry import Rect
from xshm.record.pictures.painter import Painter
from xshm.record.pictures.picture import Picture, new_planes
sys.path.insert(0, "tests/helpers")
from pictures import BGRX
size = (1920, 1080)
painter = Painter(BGRX, size, "yuv420p")
picture = Picture("yuv420p", *size, new_planes("yuv420p", *size))
pixels = np.zeros((1080, 1920, 4), np.uint8)
painter.paint(picture, pixels, [Rect(100, 100, 640, 360)])
assert "cv2" not in sys.modules
assert painter.how.startswith("numpy: OpenCV is not imported for so little"), painter.how
for _ in range(40):
    painter.paint(picture, pixels, [Rect(0, 0, *size)])
    if "cv2" in sys.modules:
        break
assert painter.how.startswith("OpenCV"), painter.how
threads = len(os.listdir("/proc/self/task"))  # the import has started one itself
painter.paint(picture, pixels, [Rect(0, 0, *size)])
print(len(os.listdir("/proc/self/task")) - threads)
"""
    pytest.importorskip("cv2")
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=os.environ)
    assert run.returncode == 0, run.stderr
    assert run.stdout == "0\n"
