"""The XWD dump that Xvfb keeps its screen in: a header, the colormap, then the live pixels.

Always true: header and colormap are big-endian on every machine. Nothing about them is assumed; a header that
contradicts itself, or the size of the memory, is UnsupportedFormat, with the numbers. Source: X11/XWDFile.h, version 7.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from xshm.errors import UnsupportedFormat
from xshm.pixels.format import PixelFormat, VisualClass
from xshm.system.printable import quoted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from xshm.geometry import Rect
    from xshm.virtual.framebuffer_file import FramebufferFile
else:
    from xshm._numpy import np

_FIELDS: Final = struct.Struct(">25I")
_VERSION: Final = 7  # XWD_FILE_VERSION
_Z_PIXMAP: Final = 2
_COLOUR: Final = [("pixel", ">u4"), ("rgb", ">u2", 3), ("flags", "u1"), ("pad", "u1")]  # XWDColor, for numpy
_COLOUR_BYTES: Final = 12
# The window's name in a dump, which Xvfb uses for its own: "Xvfb host:1.0".
_NAME: Final = re.compile(r"Xvfb .*:(?P<number>[0-9]{1,5})\.(?P<screen>[0-9]{1,5})")


class _Fields(NamedTuple):
    """The header's 25 words, in their order."""

    header_size: int
    file_version: int
    pixmap_format: int
    pixmap_depth: int
    pixmap_width: int
    pixmap_height: int
    xoffset: int
    byte_order: int
    bitmap_unit: int
    bitmap_bit_order: int
    bitmap_pad: int
    bits_per_pixel: int
    bytes_per_line: int
    visual_class: int
    red_mask: int
    green_mask: int
    blue_mask: int
    bits_per_rgb: int
    colormap_entries: int
    ncolors: int
    window_width: int
    window_height: int
    window_x: int
    window_y: int
    window_border: int


@dataclass(frozen=True, slots=True)
class XwdHeader:
    """The parts of a header that count: size and format of the picture, offsets of colormap and pixels, in bytes.

    `colours` is the number of the colormap's entries; `number` and `screen` are the display's number and the screen's.
    """

    width: int
    height: int
    format: PixelFormat
    colours: int
    colours_at: int
    pixels_at: int
    number: int
    screen: int

    @classmethod
    def parse(cls, raw: Any, size: int) -> XwdHeader:
        """Read the header of a dump of `size` bytes that begins with `raw`; raises UnsupportedFormat."""
        if len(raw) < _FIELDS.size:  # an empty file, or one that is no dump at all
            raise UnsupportedFormat(f"{len(raw)} bytes are no XWD dump, whose header alone has {_FIELDS.size}")
        fields = _Fields(*_FIELDS.unpack_from(raw))
        if (fields.file_version, fields.pixmap_format) != (_VERSION, _Z_PIXMAP):
            raise UnsupportedFormat(
                f"no XWD dump of version {_VERSION} in ZPixmap format ({_Z_PIXMAP}): "
                f"version {fields.file_version}, format {fields.pixmap_format}"
            )
        fmt = _format(fields)
        width, height, stride = fields.pixmap_width, fields.pixmap_height, fields.bytes_per_line
        # An Xvfb has no padding but that of the scanline pad; another stride is another writer's, or garbage.
        if not width or not height or stride != fmt.stride(width):
            raise UnsupportedFormat(f"an XWD dump of {width}x{height}, {fmt}, with {stride} bytes per line")
        pixels_at = fields.header_size + fields.ncolors * _COLOUR_BYTES
        if fields.header_size < _FIELDS.size or pixels_at + stride * height > size:
            raise UnsupportedFormat(
                f"an XWD dump with a header of {fields.header_size} bytes, {fields.ncolors} colours and a picture of "
                f"{width}x{height} takes {pixels_at + stride * height} bytes; this one has {size}"
            )
        name = bytes(raw[_FIELDS.size : fields.header_size]).split(b"\0")[0].decode(errors="replace")
        match = _NAME.fullmatch(name)
        if match is None:
            raise UnsupportedFormat(f"an XWD dump named {quoted(name[:80])}, which is no screen of an Xvfb")
        number, screen = int(match["number"]), int(match["screen"])
        return cls(width, height, fmt, fields.ncolors, fields.header_size, pixels_at, number, screen)

    def pixels(self, memory: Any, width: int | None = None, height: int | None = None) -> NDArray[Any]:
        """Return the picture in the dump's memory, or its top left part of this size; shape and dtype: PixelFormat.

        No copy. The part is no larger than the picture.
        """
        _, dtype, strides = self.format.layout(self.width, self.height)
        shape, _, _ = self.format.layout(width or self.width, height or self.height)
        return np.ndarray(shape, dtype, memory, self.pixels_at, strides)

    def read(self, file: FramebufferFile, rect: Rect) -> NDArray[Any]:
        """Read a part of the picture from the dump's file, and return it contiguous, in memory of its own.

        Raises FramebufferTruncated where the file is shorter by now.
        """
        stride = self.format.stride(self.width)
        at = self.pixels_at + rect.y * stride
        shape, dtype, strides = self.format.layout(self.width, rect.height)
        # One call for whole rows, not one for each row's part; no copy where these are whole, and have no padding.
        rows = np.ndarray(shape, dtype, file.read(at, rect.height * stride), 0, strides)
        return np.ascontiguousarray(rows[:, rect.x : rect.right])

    def colormap(self, memory: Any) -> NDArray[np.uint16]:
        """Return the colormap as it is now: (n, 3) uint16; red, green, blue; 65535 is the brightest."""
        # A copy in this machine's byte order: the server may store other colours meanwhile.
        table = np.frombuffer(memory, np.dtype(_COLOUR), self.colours, self.colours_at)
        colours: NDArray[np.uint16] = table["rgb"].astype(np.uint16)
        return colours


@dataclass(frozen=True, slots=True)
class LiveDump:
    """A dump in memory that no other process can truncate, as a `capture.session.LiveMemory`.

    Unlike a Framebuffer, it does not keep the display.
    """

    header: XwdHeader
    memory: Any
    has_pointer: bool

    @property
    def pixels(self) -> NDArray[Any]:
        """All of the memory, read-only."""
        pixels = self.header.pixels(self.memory)
        pixels.flags.writeable = False
        return pixels

    @property
    def format(self) -> PixelFormat:
        """The layout of `pixels`."""
        return self.header.format

    @property
    def colormap(self) -> NDArray[np.uint16]:
        """The colours that the server has installed, now."""
        return self.header.colormap(self.memory)


def _format(fields: _Fields) -> PixelFormat:
    if fields.byte_order > 1 or fields.bitmap_bit_order > 1 or fields.visual_class > max(VisualClass):
        raise UnsupportedFormat(
            f"an XWD dump of byte order {fields.byte_order}, bit order {fields.bitmap_bit_order}, "
            f"visual class {fields.visual_class}"
        )
    return PixelFormat(
        depth=fields.pixmap_depth,
        bits_per_pixel=fields.bits_per_pixel,
        scanline_pad=fields.bitmap_pad,
        byte_order="big" if fields.byte_order else "little",
        red_mask=fields.red_mask,
        green_mask=fields.green_mask,
        blue_mask=fields.blue_mask,
        visual_class=VisualClass(fields.visual_class),
        bit_order="big" if fields.bitmap_bit_order else "little",
    )
