"""The core protocol's packed requests against python-xlib's own encodings of them."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from Xlib.protocol.request import ChangeKeyboardMapping, ChangeProperty, DeleteProperty, PutImage

from xshm.geometry import Rect
from xshm.x11.protocol import core


def encoded(request: Any, **fields: Any) -> bytes:
    data: bytes = request._request.to_binary(**fields)
    return data


def test_a_packed_request_has_the_bytes_that_python_xlib_gives_it() -> None:
    assert encoded(core.GetInputFocus) == core.SYNC
    place = {"src_x": -1, "src_y": 2, "dst_x": 3, "dst_y": -4, "width": 50, "height": 60}
    assert core.pack_copy_area(0x200001, 0x200002, 0x200003, *place.values()) == encoded(
        core.CopyArea, src_drawable=0x200001, dst_drawable=0x200002, gc=0x200003, **place
    )
    box = {"x": -7, "y": 8, "width": 30, "height": 40}
    assert core.pack_get_image(77, *box.values()) == encoded(
        core.GetImage, drawable=77, format=core.Z_PIXMAP, plane_mask=core.ALL_PLANES, **box
    )


def test_properties_and_keys_are_changed_with_the_bytes_that_python_xlib_gives_them() -> None:
    words = [7, 0xFFFFFFFF]
    assert core.pack_change_property(1, 2, core.CARDINAL, *words) == encoded(
        ChangeProperty, mode=0, window=1, property=2, type=core.CARDINAL, data=(32, words)
    )
    assert core.pack_change_property(1, 2, core.CARDINAL) == encoded(DeleteProperty, window=1, property=2)
    assert core.pack_change_key(93, 97, 65) == encoded(ChangeKeyboardMapping, first_keycode=93, keysyms=[[97, 65]])


@pytest.mark.parametrize(("limit", "band"), [(1 << 18, 10), (28 + 3 * 20, 3), (1, 1)])
def test_images_are_put_in_bands_of_the_rows_that_a_request_can_have(limit: int, band: int) -> None:
    rows = np.arange(10 * 20, dtype=np.uint8).reshape(10, 20)[:, :18]  # each is padded to the 20 bytes of the format
    sent = list(core.pack_put_images(77, 5, 24, Rect(-3, 4, 6, 10), rows, 20, limit))
    tops = range(0, 10, band)
    for top, data in zip(tops, sent, strict=True):
        part = rows[top : top + band]
        padded = b"".join(row.tobytes() + bytes(2) for row in part)
        where = {"width": 6, "height": len(part), "dst_x": -3, "dst_y": 4 + top, "left_pad": 0}
        assert data == encoded(PutImage, format=core.Z_PIXMAP, drawable=77, gc=5, depth=24, data=padded, **where)


def test_a_band_beyond_16_bits_of_words_has_the_length_of_big_requests() -> None:
    rows = np.zeros((70, 4000), np.uint8)
    (data,) = core.pack_put_images(77, 5, 24, Rect(0, 0, 1000, 70), rows, 4000, 4 << 20)
    assert struct.unpack_from("=BBHI", data) == (72, core.Z_PIXMAP, 0, len(data) // 4)
    assert struct.unpack_from("=IIHHhhBB", data, 8) == (77, 5, 1000, 70, 0, 0, 0, 24)
    assert data[28:] == bytes(280_000)
