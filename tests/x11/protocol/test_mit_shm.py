"""MIT-SHM as bytes, against xcffib's encodings and the protocol's tables; and each request and error on a real Xvfb."""

from __future__ import annotations

import mmap
import os
import struct
from typing import TYPE_CHECKING, Any

import pytest
import xcffib
import xcffib.shm
from hypothesis import given
from hypothesis import strategies as st

from xshm import errors
from xshm.geometry import Rect
from xshm.shm.probe import choose
from xshm.shm.segment import Segment
from xshm.x11.connection import Connection
from xshm.x11.protocol import core, mit_shm
from xshm.x11.protocol.requests import EventRoute

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from painter import Painter
    from servers import Server

_OPCODE = 130
_U8, _U16, _U32 = st.integers(0, 0xFF), st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF)
_I16, _ID, _BOOL = st.integers(-0x8000, 0x7FFF), st.integers(0, 0x1FFFFFFF), st.integers(0, 1)
_AREA = {"drawable": _ID, "x": _I16, "y": _I16, "width": _U16, "height": _U16}
_SOURCE = dict.fromkeys(("total_width", "total_height", "src_x", "src_y", "src_width", "src_height"), _U16)
_PLACE = {"shmseg": _ID, "offset": _U32}
_FIELDS: dict[str, dict[str, st.SearchStrategy[int]]] = {
    "QueryVersion": {},
    "Attach": {"shmseg": _ID, "shmid": _U32, "read_only": _BOOL},
    "Detach": {"shmseg": _ID},
    "PutImage": {"drawable": _ID, "gc": _ID, "dst_x": _I16, "dst_y": _I16, "depth": _U8, "format": _U8}
    | {"send_event": _BOOL}
    | _SOURCE
    | _PLACE,
    "GetImage": _AREA | {"plane_mask": _U32, "format": _U8} | _PLACE,
    "CreatePixmap": {"pid": _ID, "drawable": _ID, "width": _U16, "height": _U16, "depth": _U8} | _PLACE,
}
_theirs: Any = xcffib.shm  # which has no types


class _Recorder(_theirs.shmExtension):  # type: ignore[misc]
    """xcffib's MIT-SHM, for its encodings alone."""

    def send_request(self, opcode: int, data: Any, *_: Any, **__: Any) -> bytes:
        body: bytes = data.getvalue()[4:]  # xcb writes the head
        return struct.pack("=BBH", _OPCODE, opcode, 1 + len(body) // 4) + body


# -- as bytes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", _FIELDS)
@given(data=st.data())
def test_a_request_has_the_bytes_that_xcffib_gives_it(name: str, data: st.DataObject) -> None:
    fields = data.draw(st.fixed_dictionaries(_FIELDS[name]))
    recorder: Any = _Recorder
    theirs = getattr(recorder(None), name)(**fields)
    assert getattr(mit_shm, name)._request.to_binary(opcode=_OPCODE, **fields) == theirs


@given(shmseg=_ID, size=_U32, read_only=_BOOL)
def test_requests_of_version_1_2_have_the_bytes_of_the_protocols_table(shmseg: int, size: int, read_only: int) -> None:
    attach = mit_shm.AttachFd._request.to_binary(opcode=_OPCODE, shmseg=shmseg, read_only=read_only)
    assert attach == struct.pack("=BBHIB3x", _OPCODE, 6, 3, shmseg, read_only)
    create = mit_shm.CreateSegment._request.to_binary(opcode=_OPCODE, shmseg=shmseg, size=size, read_only=read_only)
    assert create == struct.pack("=BBHIIB3x", _OPCODE, 7, 4, shmseg, size, read_only)


@given(st.fixed_dictionaries(_AREA | _PLACE))
def test_the_request_that_is_packed_at_once_is_the_same(fields: dict[str, int]) -> None:
    packed = mit_shm.pack_get_image(_OPCODE, **fields)
    assert packed == mit_shm.GetImage._request.to_binary(opcode=_OPCODE, plane_mask=0xFFFFFFFF, format=2, **fields)


def test_a_packed_put_image_draws_its_part_where_it_lies_in_the_image() -> None:
    packed = mit_shm.pack_put_image(_OPCODE, 77, 5, 24, 0x200001, Rect(-10, 20, 300, 200), Rect(-4, 30, 50, 60))
    size = {"total_width": 300, "total_height": 200, "src_width": 50, "src_height": 60}
    place = {"src_x": 6, "src_y": 10, "dst_x": -4, "dst_y": 30}
    fields = {"drawable": 77, "gc": 5, "depth": 24, "format": 2, "send_event": 1, "shmseg": 0x200001, "offset": 0}
    assert packed == mit_shm.PutImage._request.to_binary(opcode=_OPCODE, **size, **place, **fields)


@given(drawable=_ID, minor=_U16, major=_U8, shmseg=_ID, offset=_U32)
def test_completion_is_read_as_xcffib_writes_it(
    drawable: int, minor: int, major: int, shmseg: int, offset: int
) -> None:
    raw = _theirs.CompletionEvent.synthetic(drawable, minor, major, shmseg, offset).pack()
    display: Any = _NoDisplay()
    event = mit_shm.Completion(display=display, binarydata=raw)
    assert (event.drawable.id, event.minor_event, event.major_event) == (drawable, minor, major)
    assert (event.shmseg, event.offset) == (shmseg, offset)


class _NoDisplay:
    """What python-xlib asks for the class of a drawable."""

    def get_resource_class(self, *_: Any) -> Any:
        return lambda _display, number: type("Drawable", (), {"id": number})


# -- on a server -----------------------------------------------------------------------------------------------------


class Shm:
    """MIT-SHM on a connection, request by request."""

    def __init__(self, name: str) -> None:
        self.connection = Connection(name)
        self.transport = choose(self.connection)
        self.root = self.connection.setup.root.id
        extension = self.connection.extension("MIT-SHM")
        assert extension is not None
        self.extension = extension
        self.gc = self.connection.allocate_resource_id()
        self.connection.send(core.CreateGC, cid=self.gc, drawable=self.root, attrs={})

    def send(self, request: Any, **fields: Any) -> None:
        """Send a request without a reply; raise its error."""
        self.connection.check(self.connection.send(request, opcode=self.extension.major, **fields))

    def ask(self, request: Any, **fields: Any) -> Any:
        return self.connection.request(request, opcode=self.extension.major, **fields)

    def attach(self, size: int = 8192, read_only: int = 0, segment: Segment | None = None) -> tuple[int, Segment]:
        segment = segment or Segment("sysv", size)
        shmseg = self.connection.allocate_resource_id()
        self.send(mit_shm.Attach, shmseg=shmseg, shmid=segment.shmid, read_only=read_only)
        return shmseg, segment

    def get(self, shmseg: int, box: tuple[int, int, int, int] = (0, 0, 8, 4), offset: int = 0, **more: Any) -> Any:
        x, y, width, height = box
        fields = {"drawable": self.root, "plane_mask": 0xFFFFFFFF, "format": 2} | more
        return self.ask(mit_shm.GetImage, x=x, y=y, width=width, height=height, shmseg=shmseg, offset=offset, **fields)

    def put(self, shmseg: int, offset: int = 0, **more: Any) -> None:
        fields = {"drawable": self.root, "gc": self.gc, "depth": 24, "format": 2, "send_event": 0}
        fields |= {"total_width": 8, "total_height": 4, "src_x": 0, "src_y": 0, "src_width": 8, "src_height": 4}
        self.send(mit_shm.PutImage, shmseg=shmseg, offset=offset, **(fields | {"dst_x": 0, "dst_y": 0} | more))

    def pixmap(self, shmseg: int, width: int = 8, height: int = 4, offset: int = 0, depth: int = 24) -> int:
        pid = self.connection.allocate_resource_id()
        place = {"pid": pid, "drawable": self.root, "shmseg": shmseg, "offset": offset}
        self.send(mit_shm.CreatePixmap, width=width, height=height, depth=depth, **place)
        return pid

    def core_image(self, box: tuple[int, int, int, int]) -> bytes:
        pending = self.connection.wire.call(core.pack_get_image(self.root, *box))
        assert pending.reply is not None
        return pending.reply[32:]


@pytest.fixture
def shm(xvfb: Server, painter: Painter) -> Iterator[Shm]:
    painter.noise((0, 0, 64, 32))
    shm = Shm(xvfb.name)
    yield shm
    shm.connection.close()


def test_query_version_tells_the_version_and_who_the_server_runs_as(shm: Shm, xvfb: Server) -> None:
    reply = shm.ask(mit_shm.QueryVersion)
    assert (reply.major_version, reply.minor_version) == (1, 2)
    assert reply.shared_pixmaps
    assert (reply.uid, reply.gid) == (os.geteuid(), os.getegid())
    connect: Any = xcffib.connect
    other = connect(xvfb.name)
    theirs = other(_theirs.key).QueryVersion().reply()
    names = ("shared_pixmaps", "major_version", "minor_version", "uid", "gid", "pixmap_format")
    assert [getattr(reply, name) for name in names] == [getattr(theirs, name) for name in names]
    other.disconnect()


def test_get_image_writes_the_picture_into_the_segment_and_nothing_beside_it(shm: Shm) -> None:
    shmseg, segment = shm.attach()
    segment.memory[:] = b"\xaa" * 8192
    reply = shm.get(shmseg, (3, 2, 8, 4), offset=1024)
    assert (reply.depth, reply.size, reply.visual) == (24, 128, shm.connection.setup.root_visual)
    assert segment.memory[1024 : 1024 + 128] == shm.core_image((3, 2, 8, 4))
    assert bytes(segment.memory[:1024]) == b"\xaa" * 1024
    assert bytes(segment.memory[1024 + 128 :]) == b"\xaa" * (8192 - 1024 - 128)


def test_put_image_draws_what_is_in_the_segment_and_completion_tells_of_it(shm: Shm) -> None:
    shmseg, segment = shm.attach()
    picture = os.urandom(128)
    segment.memory[256:384] = picture
    route = EventRoute(shm.extension.first_event + mit_shm.COMPLETION, lambda _message: True)
    shm.connection.wire.add_route(route)
    shm.put(shmseg, offset=256, dst_x=20, dst_y=10, send_event=1)
    (message,) = route.queue
    event = mit_shm.Completion(display=shm.connection, binarydata=message)
    assert (event.drawable.id, event.shmseg, event.offset) == (shm.root, shmseg, 256)
    assert (event.major_event, event.minor_event) == (shm.extension.major, 3)
    drawn = shm.core_image((20, 10, 8, 4))
    assert [drawn[at : at + 3] for at in range(0, 128, 4)] == [picture[at : at + 3] for at in range(0, 128, 4)]


def test_a_failed_put_image_sends_no_completion(shm: Shm) -> None:
    shmseg, _ = shm.attach()
    route = EventRoute(shm.extension.first_event + mit_shm.COMPLETION, lambda _message: True)
    shm.connection.wire.add_route(route)
    with pytest.raises(errors.BadValue):
        shm.put(shmseg, total_width=5000, send_event=1)
    assert not route.queue


def test_a_shared_pixmap_shows_the_memory_both_ways(shm: Shm) -> None:
    shmseg, segment = shm.attach()
    pixmap = shm.pixmap(shmseg, offset=512)
    segment.memory[512:640] = picture = os.urandom(128)
    pending = shm.connection.wire.call(core.pack_get_image(pixmap, 0, 0, 8, 4))
    assert pending.reply is not None
    assert pending.reply[32:] == picture
    copy = {"src_drawable": shm.root, "dst_drawable": pixmap, "gc": shm.gc, "width": 8, "height": 4}
    shm.connection.send(core.CopyArea, src_x=5, src_y=6, dst_x=0, dst_y=0, **copy)
    shm.connection.sync()
    assert segment.memory[512:640] == shm.core_image((5, 6, 8, 4))


def test_attach_fd_maps_the_descriptor_that_travels_with_it(shm: Shm) -> None:
    segment, shmseg = Segment("memfd", 4096), shm.connection.allocate_resource_id()
    shm.connection.check(
        shm.connection.send(
            mit_shm.AttachFd,
            opcode=shm.extension.major,
            shmseg=shmseg,
            read_only=0,
            descriptors=(segment.descriptor,),
        )
    )
    shm.get(shmseg)
    assert segment.memory[:128] == shm.core_image((0, 0, 8, 4))


def test_create_segment_brings_a_descriptor_of_the_servers_memory(shm: Shm) -> None:
    shmseg = shm.connection.allocate_resource_id()
    reply, (descriptor,) = shm.ask(mit_shm.CreateSegment, received=True, shmseg=shmseg, size=4096, read_only=0)
    assert reply.nfd == 1
    with mmap.mmap(descriptor, 4096) as memory:
        shm.get(shmseg)
        assert memory[:128] == shm.core_image((0, 0, 8, 4))


def test_a_detached_segment_is_a_bad_seg(shm: Shm) -> None:
    shmseg, _ = shm.attach()
    shm.send(mit_shm.Detach, shmseg=shmseg)
    with pytest.raises(errors.BadSeg) as failed:
        shm.get(shmseg)
    assert (failed.value.value, failed.value.minor, failed.value.major) == (shmseg, 4, shm.extension.major)
    assert failed.value.code == shm.extension.first_error
    with pytest.raises(errors.BadSeg):
        shm.send(mit_shm.Detach, shmseg=shmseg)


# -- the errors ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("offset", [1, 2, 8193, 9000])
def test_an_offset_that_is_no_multiple_of_four_or_past_the_end_is_a_bad_value(shm: Shm, offset: int) -> None:
    shmseg, _ = shm.attach(8192)
    for request in (shm.get, shm.put):
        with pytest.raises(errors.BadValue) as failed:
            request(shmseg, offset=offset)
        assert failed.value.value == offset
    with pytest.raises(errors.BadValue):
        shm.pixmap(shmseg, offset=offset)


def test_a_segment_that_is_too_small(shm: Shm) -> None:
    shmseg, _ = shm.attach(4096)
    with pytest.raises(errors.BadAccess):
        shm.get(shmseg, (0, 0, 64, 32))
    with pytest.raises(errors.BadAccess):
        shm.get(shmseg, offset=4096 - 64)
    with pytest.raises(errors.BadAccess):
        shm.pixmap(shmseg, 64, 32)
    with pytest.raises(errors.BadValue):
        shm.put(shmseg, total_width=64, total_height=32)


def test_a_read_only_attach_is_drawn_from_and_not_written_to(shm: Shm) -> None:
    shmseg, segment = shm.attach(read_only=1)
    shm.put(shmseg, dst_x=40, dst_y=20)
    before = bytes(segment.memory)
    with pytest.raises(errors.BadAccess):
        shm.get(shmseg)
    assert bytes(segment.memory) == before


def test_one_segment_is_attached_for_reading_or_for_writing_and_not_for_both(shm: Shm) -> None:
    _, segment = shm.attach(read_only=1)
    with pytest.raises(errors.BadAccess):
        shm.attach(segment=segment)
    shm.attach(segment=segment, read_only=1)


@pytest.mark.parametrize("shmid", [-1, 2**31 - 1])
def test_an_id_that_no_segment_has_is_a_bad_access(shm: Shm, shmid: int) -> None:
    with pytest.raises(errors.BadAccess):
        shm.send(mit_shm.Attach, shmseg=shm.connection.allocate_resource_id(), shmid=shmid & 0xFFFFFFFF, read_only=0)


def test_a_shmseg_that_is_not_this_clients_or_in_use_is_a_bad_id_choice(shm: Shm) -> None:
    shmseg, segment = shm.attach()
    for taken in (shmseg, 1):
        with pytest.raises(errors.BadIDChoice):
            shm.send(mit_shm.Attach, shmseg=taken, shmid=segment.shmid, read_only=0)


def test_a_region_outside_the_screen_or_an_unmapped_window_is_a_bad_match(shm: Shm, painter: Painter) -> None:
    shmseg, _ = shm.attach()
    for box in ((1279, 0, 8, 4), (0, 799, 8, 4), (-1, 0, 8, 4)):
        with pytest.raises(errors.BadMatch):
            shm.get(shmseg, box)
    window = painter.window((200, 100, 50, 50), (1, 2, 3))
    shm.get(shmseg, drawable=window.id)
    window.unmap()
    input_only = painter.root.create_window(0, 0, 9, 9, 0, 0, window_class=2)
    input_only.map()
    painter.display.sync()
    for drawable in (window.id, input_only.id):
        with pytest.raises(errors.BadMatch):
            shm.get(shmseg, drawable=drawable)


def test_a_drawable_that_is_not_there_is_a_bad_drawable(shm: Shm) -> None:
    shmseg, _ = shm.attach()
    with pytest.raises(errors.BadDrawable):
        shm.get(shmseg, drawable=0x1FFFFFFF)


def test_attach_fd_without_a_descriptor_or_with_an_empty_file_is_a_bad_match(shm: Shm) -> None:
    fields = {"opcode": shm.extension.major, "read_only": 0}
    empty = os.memfd_create("empty")
    for descriptors in ((), (empty,)):
        shmseg = shm.connection.allocate_resource_id()
        sent = shm.connection.send(mit_shm.AttachFd, shmseg=shmseg, descriptors=descriptors, **fields)
        with pytest.raises(errors.BadMatch):
            shm.connection.check(sent)
    os.close(empty)


def test_a_descriptor_that_is_not_open_is_refused_before_it_ends_the_connection(shm: Shm) -> None:
    with pytest.raises(OSError, match="Bad file descriptor"):
        shm.connection.send(mit_shm.AttachFd, opcode=shm.extension.major, shmseg=5, read_only=0, descriptors=(987_654,))
    shm.connection.sync()


def test_a_pixmap_that_can_not_be_is_refused(shm: Shm) -> None:
    shmseg, _ = shm.attach()
    with pytest.raises(errors.BadValue):
        shm.pixmap(shmseg, width=0)
    with pytest.raises(errors.BadValue):
        shm.pixmap(shmseg, depth=23)


def test_over_tcp_a_private_segment_is_a_bad_access(make_server: Callable[..., Server]) -> None:
    server = make_server("Xvfb", 320, 200, tcp=True)
    shm = Shm(f"127.0.0.1{server.name}")
    with pytest.raises(errors.BadAccess):
        shm.attach()
    shm.connection.close()
