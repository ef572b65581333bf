"""Pixel formats of drawables: the PixelFormat of a depth and visual, from the setup block. No request is sent.

The channels come from the visual's masks, never from the depth alone: 24 bits may be red, green, blue or blue, green,
red, and each server chooses the bits per pixel of a depth.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from xshm.errors import UnsupportedFormat
from xshm.pixels.format import PixelFormat, VisualClass

if TYPE_CHECKING:
    from xshm.pixels.format import ByteOrder
    from xshm.x11.connection import Connection


def format_of(connection: Connection, depth: int, visual_id: int | None) -> PixelFormat:
    """Return the format of ZPixmap images of a depth and visual; None, as for pixmaps, is the depth's first visual."""
    layout = next((each for each in connection.info.pixmap_formats if each.depth == depth), None)
    if layout is None:
        raise UnsupportedFormat(f"the server describes no pixel layout for depth {depth}")
    depths = [allowed for screen in connection.info.roots for allowed in screen.allowed_depths]
    visuals = [visual for allowed in depths if allowed.depth == depth for visual in allowed.visuals]
    # A depth such as 1 may have none.
    visual = next((each for each in visuals if visual_id in (None, each.visual_id)), None)
    order: ByteOrder = "big" if connection.info.image_byte_order else "little"
    bit_order: ByteOrder = "big" if connection.info.bitmap_format_bit_order else "little"
    # Without a visual (a pixmap of depth 1, 4 …) the values are grays; PixelFormat raises for a depth that can't be.
    kind = visual.visual_class if visual else VisualClass.StaticGray
    masks = (visual.red_mask, visual.green_mask, visual.blue_mask) if visual else (0, 0, 0)
    return PixelFormat(
        depth=depth,
        bits_per_pixel=layout.bits_per_pixel,
        scanline_pad=layout.scanline_pad,
        byte_order=order,
        red_mask=masks[0],
        green_mask=masks[1],
        blue_mask=masks[2],
        visual_class=kind,
        bit_order=bit_order,
    )


def of_root(fmt: PixelFormat) -> PixelFormat:
    """Return a format without alpha, for a root window: at depth 32, too, there is nothing below it to blend with."""
    return replace(fmt, opaque=True) if fmt.alpha_mask else fmt
