"""Reference pictures of a screen that share no code with xshm: core GetImage through plain python-xlib, and `xwd`."""

from __future__ import annotations

import struct
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from Xlib import X

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from painter import Box
    from servers import Server

_ALL_PLANES = 0xFFFFFFFF
_XWD_HEADER = struct.Struct(">25I")
_XWD_COLOUR = np.dtype([("pixel", ">u4"), ("rgb", ">u2", 3), ("flags", "u1"), ("pad", "u1")])
_TRUE_COLOUR = 4


def core_image(display: Any, box: Box | None = None, drawable: Any = None) -> NDArray[Any]:
    """Return a rectangle of a drawable (the root window, whole, where not named) as core GetImage has it.

    The bytes as the server sent them: (height, width, 4) uint8 for 32 bits a pixel, (height, width) uint16 or uint8
    for 16 and 8. `display` is python-xlib's own (`painter.plain_display`, `Painter.display`).
    """
    drawable = drawable or display.screen().root
    if box is None:
        geometry = drawable.get_geometry()
        box = (0, 0, geometry.width, geometry.height)
    reply = drawable.get_image(*box, X.ZPixmap, _ALL_PLANES)
    fmt = next(fmt for fmt in display.display.info.pixmap_formats if fmt.depth == reply.depth)
    stride = -(-box[2] * fmt.bits_per_pixel // fmt.scanline_pad) * fmt.scanline_pad // 8
    return _pixels(reply.data, (box[3], box[2]), fmt.bits_per_pixel, stride)


@dataclass(frozen=True)
class Dump:
    """What `xwd` wrote: `pixels` shaped as `core_image` has them, and what it takes to read colours from them."""

    pixels: NDArray[Any]
    depth: int
    masks: tuple[int, int, int]
    visual_class: int
    colours: NDArray[Any]

    def rgb(self) -> NDArray[np.uint8]:
        """Return (height, width, 3) uint8: each channel scaled so that its highest value is 255, rounded to nearest."""
        values = self.pixels
        if values.ndim == 3:
            values = np.ascontiguousarray(values).view("<u4")[..., 0]
        values = values.astype(np.uint64)
        if self.visual_class < _TRUE_COLOUR:
            table = np.zeros((1 << self.depth, 3), np.uint8)
            table[self.colours["pixel"]] = self.colours["rgb"] >> 8
            return np.take(table, values, axis=0)
        channels = []
        for mask in self.masks:
            shift = (mask & -mask).bit_length() - 1
            highest = mask >> shift
            channel = (values & np.uint64(mask)) >> np.uint64(shift)
            channels.append((channel * np.uint64(255) + np.uint64(highest // 2)) // np.uint64(highest))
        return np.stack(channels, axis=-1).astype(np.uint8)


def xwd(server: Server, window: int | None = None) -> Dump:
    """Run `xwd` on the root window, or on the window of that id, in a process of its own."""
    target = ["-root"] if window is None else ["-id", hex(window)]
    data = subprocess.run(["xwd", "-silent", *target], env=server.env(), capture_output=True, check=True).stdout
    header = _XWD_HEADER.unpack_from(data)
    header_size, _, _, depth, width, height, _, byte_order, _, _, _, bits, stride, visual_class = header[:14]
    masks, colour_count = header[14:17], header[19]
    assert byte_order == 0, "a big-endian server; `xwd` here reads little-endian pixels only"
    colours = np.frombuffer(data, _XWD_COLOUR, colour_count, header_size)
    start = header_size + colours.nbytes
    pixels = _pixels(data[start:], (height, width), bits, stride)
    return Dump(pixels, depth, (masks[0], masks[1], masks[2]), visual_class, colours)


def _pixels(data: bytes, shape: tuple[int, int], bits: int, stride: int) -> NDArray[Any]:
    height, width = shape
    rows = np.frombuffer(data, np.uint8, stride * height).reshape(height, stride)[:, : width * bits // 8]
    if bits == 32:
        return rows.reshape(height, width, 4)
    return np.ascontiguousarray(rows).view({16: "<u2", 8: "u1"}[bits])
