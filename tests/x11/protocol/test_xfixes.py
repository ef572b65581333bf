"""XFIXES on the wire: its bytes against xcffib's own encodings, and its regions and events against a real server."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import xcffib
import xcffib.xfixes
from pointers import Pointers
from slow_blend import random_sprite

import xshm
from xshm.x11.connection import Connection
from xshm.x11.protocol import core, xfixes
from xshm.x11.protocol.requests import EventRoute, Request

if TYPE_CHECKING:
    from collections.abc import Iterator

    from painter import Painter
    from servers import Server

OPCODE = 138
RECTANGLES = [(1, 2, 3, 4), (-5, -6, 70, 80)]
_RECTANGLE: Any = xcffib.xproto.RECTANGLE.synthetic


class Captured:
    """xcffib's requests as bytes; opcode and length, which libxcb puts in, as libxcb would."""

    def __init__(self) -> None:
        self.sent = b""
        requests: Any = object.__new__(xcffib.xfixes.xfixesExtension)
        requests.send_request = self._capture
        self.requests = requests

    def _capture(self, opcode: int, buffer: Any, *_: object, **__: object) -> None:
        body = buffer.getvalue()
        self.sent = struct.pack("=BBH", OPCODE, opcode, len(body) // 4) + body[4:]


@pytest.mark.parametrize(
    ("request_class", "fields", "method"),
    [
        (xfixes.SelectCursorInput, {"window": 77, "mask": 1}, "SelectCursorInput"),
        (xfixes.CreateRegion, {"region": 0x200001, "rectangles": []}, "CreateRegion"),
        (xfixes.CreateRegion, {"region": 0x200001, "rectangles": RECTANGLES}, "CreateRegion"),
        (
            xfixes.CreateRegionFromWindow,
            {"region": 0x200001, "window": 77, "kind": xfixes.BOUNDING},
            "CreateRegionFromWindow",
        ),
        (xfixes.DestroyRegion, {"region": 0x200001}, "DestroyRegion"),
        (xfixes.SubtractRegion, {"source1": 5, "source2": 6, "destination": 7}, "SubtractRegion"),
        (xfixes.FetchRegion, {"region": 0x200001}, "FetchRegion"),
    ],
)
def test_requests_are_the_bytes_that_xcffib_sends(request_class: Any, fields: dict[str, Any], method: str) -> None:
    theirs = Captured()
    values = dict(fields)
    if "rectangles" in values:
        rectangles = [_RECTANGLE(*each) for each in values.pop("rectangles")]
        theirs.requests.CreateRegion(values["region"], len(rectangles), rectangles)
    else:
        getattr(theirs.requests, method)(*values.values())
    assert request_class._request.to_binary(opcode=OPCODE, **fields) == theirs.sent


@pytest.mark.parametrize(
    ("packed", "method", "arguments"),
    [
        (xfixes.pack_clear_region(OPCODE, 7), "SetRegion", (7, 0, [])),
        (xfixes.pack_set_region(OPCODE, 7, xshm.Rect(1, 2, 3, 4)), "SetRegion", (7, 1, [_RECTANGLE(1, 2, 3, 4)])),
        (xfixes.pack_union_region(OPCODE, 5, 6, 7), "UnionRegion", (5, 6, 7)),
        (xfixes.pack_intersect_region(OPCODE, 5, 6, 7), "IntersectRegion", (5, 6, 7)),
        (xfixes.pack_fetch_region(OPCODE, 7), "FetchRegion", (7,)),
        (xfixes.pack_set_gc_clip_region(OPCODE, 5, 6, -7, 8), "SetGCClipRegion", (5, 6, -7, 8)),
        (xfixes.pack_get_cursor_image(OPCODE), "GetCursorImageAndName", ()),
    ],
)
def test_packed_requests_are_too(packed: bytes, method: str, arguments: tuple[Any, ...]) -> None:
    theirs = Captured()
    getattr(theirs.requests, method)(*arguments)
    assert packed == theirs.sent


@pytest.fixture
def connection(xvfb: Server) -> Iterator[Connection]:
    connection = Connection(xvfb.name)
    yield connection
    connection.close()


def test_the_picture_comes_apart_as_xcffib_has_it(xvfb: Server, connection: Connection) -> None:
    rgba = random_sprite(13, 7)
    with Pointers(xvfb) as pointers:
        pointers.show(pointers.picture(rgba, (12, 6)))
        pointers.move(300, 200)
        theirs = pointers.shown()
        opcode = connection.require(xfixes.NAME, xfixes.VERSION, "this test").major
        pending = connection.wire.send(Request(xfixes.pack_get_cursor_image(opcode)))
        image = xfixes.unpack_cursor_image(connection.wait_reply(pending))
    assert image[:7] == (300, 200, 13, 7, 12, 6, theirs.serial)
    words = np.frombuffer(image.picture, np.uint32).reshape(7, 13)
    assert np.array_equal(words >> 24, rgba[..., 3])
    assert np.array_equal(words >> 16 & 255, rgba[..., 0])
    assert image.name == b""


def test_a_region_is_fetched_as_the_rectangles_that_make_it_up(connection: Connection) -> None:
    opcode = connection.require(xfixes.NAME, xfixes.VERSION, "this test").major
    region = connection.allocate_resource_id()
    rectangles = [(0, 0, 10, 10), (5, 5, 10, 10), (100, 100, 1, 1)]
    created = connection.send(xfixes.CreateRegion, opcode=opcode, region=region, rectangles=rectangles)
    reply = connection.request(xfixes.FetchRegion, opcode=opcode, region=region)
    extents = reply.extents
    assert (extents.x, extents.y, extents.width, extents.height) == (0, 0, 101, 101)
    covered = np.zeros((101, 101), int)
    for each in reply.rectangles:
        covered[each.y : each.y + each.height, each.x : each.x + each.width] += 1
    expected = np.zeros((101, 101), int)
    for x, y, width, height in rectangles:
        expected[y : y + height, x : x + width] = 1
    assert np.array_equal(covered, expected)
    destroyed = connection.send(xfixes.DestroyRegion, opcode=opcode, region=region)
    connection.check(created, destroyed)
    again = connection.send(xfixes.DestroyRegion, opcode=opcode, region=region)
    with pytest.raises(xshm.ServerError, match=f"{region:#x}"):
        connection.check(again)


def test_a_graphics_context_draws_inside_its_region_only(
    xvfb: Server, connection: Connection, painter: Painter
) -> None:
    opcode = connection.require(xfixes.NAME, xfixes.VERSION, "this test").major
    painter.fill((0, 0, 100, 100), (0, 0, 0))
    region, gc = connection.allocate_resource_id(), connection.allocate_resource_id()
    root = connection.setup.root.id
    connection.send(xfixes.CreateRegion, opcode=opcode, region=region, rectangles=[(10, 20, 5, 6)])
    connection.send(core.CreateGC, cid=gc, drawable=root, attrs={"foreground": 0xFFFFFF, "subwindow_mode": 1})
    clipped = connection.wire.send(Request(xfixes.pack_set_gc_clip_region(opcode, gc, region, 30, 1)))
    copied = connection.send(
        core.CopyArea,
        src_drawable=root,
        dst_drawable=root,
        gc=gc,
        src_x=200,
        src_y=0,
        dst_x=0,
        dst_y=0,
        width=99,
        height=99,
    )
    painter.fill((200, 0, 100, 100), (255, 255, 255))
    connection.check(clipped, copied)
    frame = xshm.grab((0, 0, 100, 100), display=xvfb.name)
    white = np.argwhere((frame.rgb() == 255).all(axis=2))
    assert (white.min(axis=0).tolist(), white.max(axis=0).tolist(), len(white)) == ([21, 40], [26, 44], 30)


def test_word_of_a_new_picture_comes_as_an_event(xvfb: Server, connection: Connection) -> None:
    extension = connection.require(xfixes.NAME, xfixes.VERSION, "this test")
    route = EventRoute(extension.first_event + xfixes.CURSOR_NOTIFY, lambda _message: True)
    connection.wire.add_route(route)
    root = connection.setup.root.id
    mask = xfixes.DISPLAY_CURSOR_NOTIFY_MASK
    connection.check(connection.send(xfixes.SelectCursorInput, opcode=extension.major, window=root, mask=mask))
    with Pointers(xvfb) as pointers:
        pointers.show(pointers.picture(random_sprite(8, 8)))
        message = connection.wire.next_event(route.queue, 5)
        event = xfixes.CursorNotify(display=connection, binarydata=message)
        assert event.window.id == root
        assert event.cursor_serial == pointers.shown().serial


def test_starting_says_what_for_where_there_is_none(make_server: Any) -> None:
    server = make_server("Xvfb", 320, 200, 24, "-extension", "XFIXES")
    connection = Connection(server.name)
    with pytest.raises(xshm.XshmError, match=f"this test needs the XFIXES extension.*X{server.name[1:]}"):
        connection.require(xfixes.NAME, xfixes.VERSION, "this test")
    connection.close()
