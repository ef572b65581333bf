"""Pixel formats out of the set-up block: channels come from the visual's masks, never from the depth alone."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from xshm.errors import UnsupportedFormat
from xshm.pixels.format import PixelFormat, VisualClass

if TYPE_CHECKING:
    from xshm.pixels.format import ByteOrder
    from xshm.x11.connection import Connection


def format_of(connection: Connection, depth: int, visual_id: int | None) -> PixelFormat:
    """Return the layout of ZPixmap images of a depth and visual; a pixmap has no visual and takes the depth's first."""
    layout = next((each for each in connection.info.pixmap_formats if each.depth == depth), None)
    if layout is None:
        raise UnsupportedFormat(f"the server describes no pixel layout for depth {depth}")
    visual = None
    for screen in connection.info.roots:
        for allowed in screen.allowed_depths:
            if allowed.depth != depth:
                continue
            for candidate in allowed.visuals:
                if candidate.visual_id == visual_id or (visual_id is None and visual is None):
                    visual = candidate
    order: ByteOrder = "big" if connection.info.image_byte_order else "little"
    bit_order: ByteOrder = "big" if connection.info.bitmap_format_bit_order else "little"
    kind = visual.visual_class if visual else VisualClass.StaticGray  # what is none of them, PixelFormat refuses
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
    """Return the layout of a root window that has this format but for alpha: nothing lies under it, at depth 32 too."""
    return replace(fmt, opaque=True) if fmt.alpha_mask else fmt
