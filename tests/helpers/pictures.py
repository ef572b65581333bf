"""Random pixels in every layout that servers have, and a slow, obvious decoder that shares no code with xshm."""

from __future__ import annotations

import io
import itertools
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st
from PIL import Image

from xshm.geometry import Rect
from xshm.image.frame import Frame
from xshm.pixels.format import PixelFormat, VisualClass

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from xshm.pixels.format import ByteOrder

TRUE, DIRECT = VisualClass.TrueColor, VisualClass.DirectColor
BGRX = PixelFormat(24, 32, 32, "little", 0xFF0000, 0xFF00, 0xFF, TRUE)
XRGB = replace(BGRX, byte_order="big")
RGBX = replace(BGRX, red_mask=0xFF, blue_mask=0xFF0000)
XBGR = replace(RGBX, byte_order="big")
BGRA = replace(BGRX, depth=32)
ARGB = replace(BGRA, byte_order="big")
BGR = replace(BGRX, bits_per_pixel=24)
RGB = replace(BGR, byte_order="big")
DEEP = PixelFormat(30, 32, 32, "little", 0x3FF00000, 0xFFC00, 0x3FF, TRUE)
DEEP_BIG = replace(DEEP, byte_order="big")
DEEP_ALPHA = replace(DEEP, depth=32)
R5G6B5 = PixelFormat(16, 16, 32, "little", 0xF800, 0x7E0, 0x1F, TRUE)
R5G6B5_BIG = replace(R5G6B5, byte_order="big")
R5G5B5 = PixelFormat(15, 16, 32, "little", 0x7C00, 0x3E0, 0x1F, TRUE)
R3G3B2 = PixelFormat(8, 8, 32, "little", 0x07, 0x38, 0xC0, TRUE)
PSEUDO = PixelFormat(8, 8, 32, "little", 0, 0, 0, VisualClass.PseudoColor)
STATIC_COLOUR = replace(PSEUDO, visual_class=VisualClass.StaticColor)
GRAYS = replace(PSEUDO, visual_class=VisualClass.StaticGray)
GRAYS_CHANGING = replace(PSEUDO, visual_class=VisualClass.GrayScale)
DIRECT_24 = replace(BGRX, visual_class=DIRECT)
DIRECT_16 = replace(R5G6B5, visual_class=DIRECT)
FOUR_IN_EIGHT = replace(PSEUDO, depth=4)
NIBBLES = replace(PSEUDO, depth=4, bits_per_pixel=4)
NIBBLES_BIG = replace(NIBBLES, byte_order="big", visual_class=VisualClass.StaticGray)
BITS = replace(GRAYS, depth=1, bits_per_pixel=1)
BITS_BIG = replace(BITS, byte_order="big", bit_order="big")

KNOWN = {name: value for name, value in list(globals().items()) if isinstance(value, PixelFormat)}


@dataclass(frozen=True)
class Picture:
    """Memory of random bytes, padding included, and the array over it."""

    fmt: PixelFormat
    width: int
    height: int
    memory: bytes
    colormap: NDArray[Any] | None

    @property
    def pixels(self) -> NDArray[Any]:
        """The array over a copy of the memory."""
        shape, dtype, strides = self.fmt.layout(self.width, self.height)
        return np.ndarray(shape, dtype, bytearray(self.memory), 0, strides)

    def value(self, x: int, y: int) -> int:
        """Return the pixel's value, as the protocol lays it out in memory."""
        fmt = self.fmt
        stride = -(-self.width * fmt.bits_per_pixel // fmt.scanline_pad) * fmt.scanline_pad // 8
        at, bit = divmod(x * fmt.bits_per_pixel, 8)
        row = self.memory[y * stride : (y + 1) * stride]
        if fmt.bits_per_pixel >= 8:
            return int.from_bytes(row[at : at + fmt.bits_per_pixel // 8], fmt.byte_order)
        order = fmt.bit_order if fmt.bits_per_pixel == 1 else fmt.byte_order
        if order == "big":
            bit = 8 - fmt.bits_per_pixel - bit
        return row[at] >> bit & ((1 << fmt.bits_per_pixel) - 1)

    def colour(self, x: int, y: int, most: int) -> tuple[int, int, int, int]:
        """Return red, green, blue and alpha from 0 to `most`."""
        fmt, value = self.fmt, self.value(x, y)
        top = (1 << fmt.depth) - 1
        if fmt.visual_class is VisualClass.StaticGray:
            shade = scaled(value & top, top, most)
            return shade, shade, shade, most
        if fmt.visual_class < TRUE:
            assert self.colormap is not None
            red, green, blue = (self._cell(value & top, column, most) for column in range(3))
            return red, green, blue, most
        masks = (fmt.red_mask, fmt.green_mask, fmt.blue_mask)
        channels = [channel(value, mask) for mask in masks]
        if fmt.visual_class is DIRECT:
            red, green, blue = (self._cell(raw, column, most) for column, (raw, _) in enumerate(channels))
        else:
            red, green, blue = (scaled(raw, highest, most) for raw, highest in channels)
        rest = top & ~sum(masks)
        alpha = scaled(*channel(value, rest), most) if fmt.depth == 32 and rest else most
        return red, green, blue, alpha

    def _cell(self, index: int, column: int, most: int) -> int:
        assert self.colormap is not None
        return scaled(int(self.colormap[index, column]), int(np.iinfo(self.colormap.dtype).max), most)

    def rgba(self, dtype: Any = np.uint8) -> NDArray[Any]:
        """Return all of it, (height, width, 4); colours beside alpha as memory has them, multiplied by it."""
        most = int(np.iinfo(dtype).max)
        rows = [[self.colour(x, y, most) for x in range(self.width)] for y in range(self.height)]
        return np.array(rows, dtype).reshape(self.height, self.width, 4)

    def straight(self, dtype: Any = np.uint8) -> NDArray[Any]:
        """Return all of it, (height, width, 4), colours divided by alpha."""
        most = int(np.iinfo(dtype).max)
        straightened = [
            [*(straight(colour, alpha, most) for colour in colours), alpha]
            for *colours, alpha in self.rgba(dtype).reshape(-1, 4).tolist()
        ]
        return np.array(straightened, dtype).reshape(self.height, self.width, 4)

    def gray(self, dtype: Any = np.uint8) -> NDArray[Any]:
        """Return BT.601 brightness, (height, width), as Pillow's fixed point has it."""
        colours = self.rgba(dtype).astype(object)
        red, green, blue = colours[..., 0], colours[..., 1], colours[..., 2]
        luma: NDArray[Any] = (red * 19595 + green * 38470 + blue * 7471 + 32768) // 65536
        return luma.astype(dtype)


def channel(value: int, mask: int) -> tuple[int, int]:
    """Return the channel's bits, and the greatest they can be."""
    while mask & 1 == 0:
        value, mask = value >> 1, mask >> 1
    return value & mask, mask


def scaled(value: int, top: int, most: int) -> int:
    """Return value / top × most, rounded to the nearest; halves don't occur, since top is odd."""
    return (2 * value * most + top) // (2 * top)


def straight(colour: int, alpha: int, most: int = 255) -> int:
    """Return the colour that gives `colour` when it is multiplied by alpha, to the nearest, halves up."""
    if alpha == 0:
        return 0
    return min(int(Fraction(colour * most, alpha) + Fraction(1, 2)), most)


def random_picture(fmt: PixelFormat, width: int, height: int, seed: int = 0) -> Picture:
    """Return a picture of random bytes with a random colormap, where one is needed."""
    random = np.random.default_rng(seed)
    memory = random.integers(0, 256, fmt.nbytes(width, height), np.uint8).tobytes()
    cells = len(fmt.colormap_pixels)
    colormap = random.integers(0, 65536, (cells, 3)).astype(np.uint16) if fmt.needs_colormap else None
    return Picture(fmt, width, height, memory, colormap)


def _runs(draw: st.DrawFn, depth: int) -> list[int]:
    """Return three masks, or four that leave no bit of depth 32: its rest is alpha, which has to be one run."""
    if depth == 32:
        edges = [0, *sorted(draw(st.sets(st.integers(1, 31), min_size=2, max_size=3))), 32]
        runs = list(itertools.pairwise(edges))
    else:
        ends = sorted(draw(st.lists(st.integers(0, depth), min_size=6, max_size=6)))
        runs = list(zip(ends[::2], ends[1::2], strict=True))
    assume(all(0 < high - low <= 16 for low, high in runs))
    return [(1 << high) - (1 << low) for low, high in runs]


@st.composite
def odd_formats(draw: st.DrawFn) -> PixelFormat:
    """Return TrueColor and DirectColor formats with any masks, in any place and either byte order."""
    bits_per_pixel = draw(st.sampled_from([8, 16, 24, 32]))
    depth = draw(st.integers({8: 3, 16: 9, 24: 17, 32: 17}[bits_per_pixel], bits_per_pixel))
    red, green, blue, *_ = draw(st.permutations(_runs(draw, depth)))
    pad = draw(st.sampled_from([8, 16, 32]))
    order: ByteOrder = draw(st.sampled_from(["little", "big"]))
    return PixelFormat(depth, bits_per_pixel, pad, order, red, green, blue, draw(st.sampled_from([TRUE, TRUE, DIRECT])))


@st.composite
def pictures(draw: st.DrawFn) -> Picture:
    """Return small pictures of known and odd formats."""
    fmt = draw(st.one_of(st.sampled_from(list(KNOWN.values())), odd_formats()))
    width, height = draw(st.integers(1, 19)), draw(st.integers(1, 5))
    return random_picture(fmt, width, height, draw(st.integers(0, 1 << 32)))


def random_rect(generator: np.random.Generator, size: tuple[int, int]) -> Rect:
    """Return a rectangle inside a picture of a size."""
    x, y = (int(generator.integers(0, edge)) for edge in size)
    return Rect(x, y, *(int(generator.integers(1, size[at] - (x, y)[at] + 1)) for at in (0, 1)))


def frame_of(picture: Picture) -> Frame:
    """Return a frame over a copy of the picture's memory."""
    rect = Rect(0, 0, picture.width, picture.height)
    return Frame(None, rect, 0, 0, picture.fmt, colormap=picture.colormap, memory=bytearray(picture.memory))


def bgrx(rgb: NDArray[Any], seed: int = 0) -> NDArray[np.uint8]:
    """Return B G R X pixels, X at random as servers may leave it."""
    rest = np.random.default_rng(seed).integers(0, 256, rgb.shape[:2]).astype(np.uint8)
    return np.dstack((rgb[..., ::-1], rest))


def photograph(height: int = 270, width: int = 480) -> NDArray[np.uint8]:
    """Return something smooth with fine noise on it, as cameras give it."""
    y, x = np.mgrid[:height, :width]
    waves = [128 + 90 * np.sin(x / (40 + 9 * c)) * np.cos(y / (55 - 7 * c)) for c in range(3)]
    noise = np.random.default_rng(1).normal(0, 3, (height, width, 3))
    return np.clip(np.dstack(waves) + noise, 0, 255).astype(np.uint8)


def opened(data: bytes) -> Image.Image:
    """Return the picture in a file's bytes, read to its end."""
    picture = Image.open(io.BytesIO(data))
    picture.load()
    return picture
