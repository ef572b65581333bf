"""What colours and files cost, beside other ways to the same: `python tests/bench pixels`.

Everything starts from 1920×1080 pixels as a server writes them. The page is tests/bench/page.html as Chromium shows it,
or lines of text where that is not installed. As a worker,
`python pixels.py PAGE TABLE NAME`.
"""

from __future__ import annotations

import io
import os
import sys
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import rounds
from figures import Part, Settings, Table
from PIL import Image
from screens import HEIGHT, WIDTH, load, page

from xshm.image.files import encode
from xshm.pixels import to_rgb
from xshm.pixels.format import PixelFormat, VisualClass
from xshm.pixels.raster import Raster

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_FLOOR = "memcpy of the pixels"
TRUE = VisualClass.TrueColor
BGRX = PixelFormat(24, 32, 32, "little", 0xFF0000, 0xFF00, 0xFF, TRUE)
R5G6B5 = PixelFormat(16, 16, 32, "little", 0xF800, 0x7E0, 0x1F, TRUE)
DEEP = PixelFormat(30, 32, 32, "little", 0x3FF00000, 0xFFC00, 0x3FF, TRUE)
PSEUDO = PixelFormat(8, 8, 32, "little", 0, 0, 0, VisualClass.PseudoColor)


def conversions(pixels: NDArray[np.uint8]) -> dict[str, dict[str, Any]]:
    """Return operations by table and contestant; each fills `out`, unless it says otherwise."""
    out = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    out4, flat = np.empty((HEIGHT, WIDTH, 4), np.uint8), np.empty((HEIGHT, WIDTH), np.uint8)
    size = (WIDTH, HEIGHT)

    def ours(function: Any, target: Any, converter: str) -> Any:
        return lambda: function(Raster(pixels, BGRX), out=target, converter=converter)

    def by_channel() -> None:
        for channel in range(3):
            out[..., channel] = pixels[..., 2 - channel]

    def by_slice() -> None:
        out[...] = pixels[..., 2::-1]

    def pillow_encoder() -> None:
        picture = Image.frombuffer("RGBX", size, pixels, "raw", "RGBX", 0, 1)
        out.reshape(-1)[:] = np.frombuffer(picture.tobytes("raw", "BGR"), np.uint8)

    def pillow_decoder() -> Any:
        return Image.frombytes("RGB", size, pixels.data, "raw", "BGRX", 0, 1)

    def by_bytes() -> bytes:
        # As mss makes its `rgb`.
        raw, rgb = bytearray(pixels.data), bytearray(WIDTH * HEIGHT * 3)
        rgb[::3], rgb[1::3], rgb[2::3] = raw[2::4], raw[1::4], raw[::4]
        return bytes(rgb)

    def pillow_gray() -> Any:
        return pillow_decoder().convert("L")

    random = np.random.default_rng(0)
    sixteen = random.integers(0, 1 << 16, (HEIGHT, WIDTH)).astype("<u2")
    thirty = random.integers(0, 1 << 32, (HEIGHT, WIDTH)).astype("<u4")
    eight = random.integers(0, 256, (HEIGHT, WIDTH)).astype(np.uint8)
    colormap = random.integers(0, 65536, (256, 3)).astype(np.uint16)
    return {
        "rgb": {
            "xshm, base": ours(to_rgb.rgb, out, "numpy"),
            "xshm, OpenCV": ours(to_rgb.rgb, out, "opencv"),
            "numpy, a channel at a time": by_channel,
            "numpy, one slice": by_slice,
            "Pillow's raw encoder, copied into out": pillow_encoder,
            "Pillow's raw decoder, to an Image": pillow_decoder,
            "bytearrays, as mss does": by_bytes,
        },
        "bgr": {"xshm, base": ours(to_rgb.bgr, out, "numpy"), "xshm, OpenCV": ours(to_rgb.bgr, out, "opencv")},
        "rgba": {"xshm, base": ours(to_rgb.rgba, out4, "numpy"), "xshm, OpenCV": ours(to_rgb.rgba, out4, "opencv")},
        "gray": {
            "xshm, base": ours(to_rgb.gray, flat, "numpy"),
            "xshm, OpenCV": ours(to_rgb.gray, flat, "opencv"),
            "Pillow, to an Image": pillow_gray,
        },
        "rgb of other depths": {
            "depth 16": lambda: to_rgb.rgb(Raster(sixteen, R5G6B5), out=out),
            "depth 30": lambda: to_rgb.rgb(Raster(thirty, DEEP), out=out),
            "depth 30, to uint16": lambda: to_rgb.rgb(Raster(thirty, DEEP), dtype=np.uint16),
            "depth 8, colormap": lambda: to_rgb.rgb(Raster(eight, PSEUDO, colormap=colormap), out=out),
        },
    }


def files(pixels: NDArray[np.uint8]) -> dict[str, dict[str, Any]]:
    """Return operations that make a file of the page; all but "xshm" are given RGB for nothing."""
    rgb = np.ascontiguousarray(pixels[..., 2::-1])
    picture = Image.fromarray(rgb)

    def pillow(level: int) -> bytes:
        buffer = io.BytesIO()
        picture.save(buffer, "PNG", compress_level=level)
        return buffer.getvalue()

    def opencv_png() -> bytes:
        import cv2  # noqa: PLC0415  the others are measured without it

        return cv2.imencode(".png", pixels[..., :3])[1].tobytes()

    def opencv_jpeg() -> bytes:
        import cv2  # noqa: PLC0415  as above

        return cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes()

    def unfiltered() -> bytes:
        # As mss writes its files.
        rows = b"".join(b"\0" + row.tobytes() for row in rgb)
        return zlib.compress(rows, 6)

    def pillow_jpeg() -> bytes:
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=85)
        return buffer.getvalue()

    return {
        "PNG of the page": {
            "xshm": lambda: encode.png(Raster(pixels, BGRX)),
            "xshm, level 6": lambda: encode.png(Raster(pixels, BGRX), level=6),
            "Pillow, level 6": lambda: pillow(6),
            "Pillow, level 1": lambda: pillow(1),
            "OpenCV": opencv_png,
            "unfiltered, as mss does": unfiltered,
        },
        "JPEG of the page": {
            "xshm": lambda: encode.encode(Raster(pixels, BGRX), "JPEG").data,
            "Pillow": pillow_jpeg,
            "OpenCV": opencv_jpeg,
        },
        "smaller PNG of the page": {
            f"xshm, max_edge={edge}": lambda edge=edge: encode.encode(Raster(pixels, BGRX), max_edge=edge).data
            for edge in (1568, 1024, 640)
        },
    }


def _copied(pixels: NDArray[np.uint8]) -> Any:
    """Return what copies the pixels as they are: the floor."""
    target = np.empty_like(pixels)
    return lambda: np.copyto(target, pixels)


def work(picture: Path, table: str, name: str) -> None:
    """Be the worker for one contestant."""
    pixels = load(picture)
    tables = conversions(pixels) if table in _CONVERSIONS else files(pixels)
    operation = _copied(pixels) if name == _FLOOR else tables[table][name]
    operation()
    rounds.serve(operation)


_CONVERSIONS = tuple(conversions(np.zeros((HEIGHT, WIDTH, 4), np.uint8)))


def pixels(settings: Settings) -> Iterator[Table]:
    """Give the tables, of which those of files have their sizes."""
    picture = page(settings.folder)
    tables = conversions(load(picture)) | files(load(picture))
    for table, some in tables.items():
        contestants = {_FLOOR: _copied(load(picture))} | some
        if settings.quick and "of the page" not in table:
            continue
        command = [sys.executable, __file__, str(picture), table]
        commands = {name: [*command, name] for name in contestants}
        results, absent = rounds.measure(commands, os.environ, **settings.turns)
        for result in results:
            made = contestants[result.name]()
            if isinstance(made, bytes):
                result.nbytes = len(made)
        yield Table(table, f"{table}, {WIDTH}×{HEIGHT}", results, absent)


PIXELS = Part("pixels", "Colours and files, of pixels in memory", 3, pixels)

if __name__ == "__main__":
    work(Path(sys.argv[1]), *sys.argv[2:])
