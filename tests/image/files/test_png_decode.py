"""PNG files of our own are read back to the last bit; those of other writers are read too."""

from __future__ import annotations

import io
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pictures import BGRX, DEEP, DEEP_ALPHA, GRAYS, R5G6B5, photograph, random_picture
from PIL import Image

from xshm.errors import InvalidArgument
from xshm.image.files import png_chunks
from xshm.image.files.png import png
from xshm.image.files.png_decode import decode
from xshm.pixels.format import PixelFormat
from xshm.pixels.raster import Raster

if TYPE_CHECKING:
    from numpy.typing import NDArray


def _colours(data: bytes) -> NDArray[Any]:
    samples = decode(data)
    return samples.values if samples.table is None else samples.table[samples.values]


@pytest.mark.parametrize("fmt", [BGRX, DEEP, R5G6B5], ids=["24", "30", "16"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_colours_come_back_in_8_and_16_bits(fmt: PixelFormat, dtype: Any) -> None:
    picture = random_picture(fmt, 41, 33, seed=3)
    found = _colours(png(Raster(picture.pixels, fmt, width=41), dtype=dtype))
    assert found.dtype == dtype
    assert np.array_equal(found, picture.rgba(dtype)[..., :3])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_straight_alpha_and_grays_come_back(dtype: Any) -> None:
    picture = random_picture(DEEP_ALPHA, 20, 9, seed=5)
    assert np.array_equal(_colours(png(Raster(picture.pixels, DEEP_ALPHA), dtype=dtype)), picture.straight(dtype))
    grays = random_picture(GRAYS, 20, 9, seed=5)
    assert np.array_equal(_colours(png(Raster(grays.pixels, GRAYS, width=20), dtype=dtype)), grays.gray(dtype))


def test_a_file_with_filtered_bands_comes_back() -> None:
    rgb = photograph(200, 150)
    rgb[40:100] = 30  # a band that is not filtered, between those that are
    data = png(Raster(rgb, PixelFormat.RGB))
    rows = np.frombuffer(zlib.decompress(data[data.index(b"IDAT") + 4 : -16]), np.uint8).reshape(200, -1)
    assert set(rows[:, 0].tolist()) == {png_chunks.NONE, png_chunks.UP}
    assert np.array_equal(_colours(data), rgb)


def test_a_palette_comes_back() -> None:
    rgb = np.zeros((7, 9, 3), np.uint8)
    rgb[2:4] = (1, 2, 3)
    samples = decode(png(Raster(rgb, PixelFormat.RGB)))
    assert samples.table is not None
    assert samples.size == (9, 7)
    assert np.array_equal(samples.table[samples.values], rgb)


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "1"])
def test_files_of_another_writer_are_read(mode: str) -> None:
    picture = Image.fromarray(photograph(60, 50)).convert(mode)
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)  # with the filters Sub, Average and Paeth, and few bits a pixel
    found = _colours(file.getvalue())
    expected = np.asarray(picture.convert("RGB"))
    assert np.array_equal(found if found.ndim == 3 else np.stack([found] * 3, axis=2), expected)


def test_what_is_no_png_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="begins with"):
        decode(b"GIF89a and more")


def test_a_stream_that_is_broken_is_said_to_be_with_libisal_too() -> None:
    data = zlib.compress(bytes(100))
    with pytest.raises(zlib.error):
        png_chunks.inflate(data[:2] + b"\xff" * 20)
