"""What a recording's conversions cost, beside other ways to the same: `python tests/bench/record_conversions.py`.

Everything starts from 1920×1080 B G R X pixels and ends in the planes of an av.VideoFrame. Each contestant is a process
of its own, and all of a table run in interleaved rounds (rounds.py); ratios are to the first. Takes half a minute.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import rounds
from figures import Table

from xshm.geometry import Rect
from xshm.pixels.format import PixelFormat, VisualClass
from xshm.record.libav.frames import new_frame
from xshm.record.pictures.libav_planes import LibavWriter
from xshm.record.pictures.numpy_planes import NumpyWriter
from xshm.record.pictures.opencv_planes import OpenCVWriter
from xshm.record.pictures.painter import Painter
from xshm.record.pictures.picture import LAYOUTS, Picture
from xshm.record.pictures.yuv import MATRIX

if TYPE_CHECKING:
    from collections.abc import Callable

    from xshm.record.pictures.picture import Layout

BGRX = PixelFormat(24, 32, 32, "little", 0xFF0000, 0xFF00, 0xFF, VisualClass.TrueColor)
WIDTH, HEIGHT = 1920, 1080
PARTS = {"1920×1080": Rect(0, 0, WIDTH, HEIGHT), "200×100": Rect(300, 300, 200, 100), "16×16": Rect(401, 401, 16, 16)}
WRITERS = ("OpenCV", "libswscale", "numpy")


def ours(writer: str, layout: Layout, part: Rect) -> Callable[[], object]:
    """Return the painting of a rectangle by one converter."""
    painter = Painter(BGRX, (WIDTH, HEIGHT), layout)
    if writer == "OpenCV":
        import cv2  # noqa: PLC0415  each process has but its own

        painter._writer = OpenCVWriter(cv2)
    elif writer == "libswscale":
        import av  # noqa: PLC0415

        painter._writer = LibavWriter(av)
    else:
        painter._writer = NumpyWriter()
    painter._lost = np.inf
    frame, planes = new_frame(layout, WIDTH, HEIGHT)
    picture = Picture(layout, WIDTH, HEIGHT, planes, frame)
    pixels = page()
    return lambda: painter.paint(picture, pixels, [part])


def other(name: str) -> Callable[[], object]:
    """Return one of the ways that are not taken, over the whole picture."""
    import av  # noqa: PLC0415
    import cv2  # noqa: PLC0415

    cv2.setNumThreads(1)
    pixels, matrix = page(), np.array(MATRIX)
    bgr, mixed = np.empty((HEIGHT, WIDTH, 3), np.uint8), np.empty((HEIGHT, WIDTH, 3), np.uint8)
    i420 = np.empty((HEIGHT * 3 // 2, WIDTH), np.uint8)
    frame = av.VideoFrame.from_numpy_buffer(pixels, "bgra")
    with_x = np.insert(matrix, 3, 0, axis=1)
    ways: dict[str, Callable[[], object]] = {
        "cv2 I420, chroma of one pixel in four": lambda: cv2.cvtColor(pixels, cv2.COLOR_BGRA2YUV_I420, dst=i420),
        "libswscale to yuv420p by default": lambda: frame.reformat(format="yuv420p"),
        "libswscale to yuv444p, no copy": lambda: frame.reformat(format="yuv444p"),
        "cv2.transform, three bytes a pixel": lambda: cv2.transform(bgr, matrix, mixed),
        "cv2.transform, four bytes a pixel": lambda: cv2.transform(pixels, with_x, mixed),
    }
    return ways[name]


OTHERS = (
    "cv2 I420, chroma of one pixel in four",
    "libswscale to yuv420p by default",
    "libswscale to yuv444p, no copy",
    "cv2.transform, three bytes a pixel",
    "cv2.transform, four bytes a pixel",
)


def page() -> Any:
    """Return pixels that are neither flat nor noise."""
    random = np.random.default_rng(0)
    return random.integers(0, 256, (HEIGHT // 8, WIDTH // 8, 4), dtype=np.uint8).repeat(8, axis=0).repeat(8, axis=1)


def main() -> None:
    """Print a table for each layout and part, and one of the other ways."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--serve", nargs="+", help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=11)
    options = parser.parse_args()
    if options.serve:
        name, *rest = options.serve
        rounds.serve(ours(name, rest[0], PARTS[rest[1]]) if rest else other(name))
        return
    tables = {
        f"{layout}, {part}": {writer: [writer, layout, part] for writer in WRITERS}
        for layout in LAYOUTS
        for part in PARTS
    }
    tables["other ways"] = {name: [name] for name in OTHERS}
    for title, contestants in tables.items():
        commands = {name: [sys.executable, __file__, "--serve", *words] for name, words in contestants.items()}
        results, absent = rounds.measure(commands, dict(os.environ), rounds=options.rounds)
        print(Table(title, title, results, absent).markdown(), "\n")


if __name__ == "__main__":
    main()
