"""Untrusted servers: invalid bytes are ServerNonsense, end the connection, and take no memory."""

from __future__ import annotations

import contextlib
import pickle
import resource
import select
import signal
import socket
import struct
import threading
import time
from collections import deque
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from fake_server import REQUEST, FakeServer, error, event, generic_event, reply
from liar import Liar
from Xlib import X
from Xlib.ext import res
from Xlib.ext.shape import SK, SO
from Xlib.protocol import request as xlib_request
from Xlib.protocol import rq

import xshm
from xshm.drawables.window_context import WindowContext
from xshm.errors import BadAlloc, InvalidArgument, RequestTimeout, ServerNonsense, XshmError
from xshm.surface import target
from xshm.surface.inbox import Inbox
from xshm.virtual.programs.program_window import wait_windows
from xshm.x11.connection import Connection
from xshm.x11.io import packet_reader, shared_socket
from xshm.x11.protocol import core
from xshm.x11.protocol.decoding import Decoding, decode, with_checked_lists
from xshm.x11.protocol.requests import EventRoute, Request, bounded_request
from xshm.x11.server import damage
from xshm.x11.server.keyboard import Keyboard
from xshm.x11.windows import tree
from xshm.x11.windows.client_pid import ClientPids
from xshm.x11.windows.shape import ShapeEvents
from xshm.x11.windows.structure_events import Subscription
from xshm.x11.windows.window_watch import WindowWatch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from liar import Message
    from painter import Painter
    from servers import Server

QUERY_TREE, GET_GEOMETRY, GET_PROPERTY, INTERN_ATOM = (15, 0), (14, 0), (20, 0), (16, 0)
ENDLESS = 5_000  # messages that stand for messages without end


@pytest.fixture
def liar(xvfb: Server) -> Iterator[Liar]:
    with Liar(xvfb) as liar:
        yield liar


@contextlib.contextmanager
def bounded(mebibytes: int) -> Iterator[None]:
    """Fail what takes more memory than so much, at any moment; nothing may have taken more before."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1024 * mebibytes


def instead(of: tuple[int, int], change: Callable[[bytes], bytes]) -> Callable[[Message], Iterable[bytes]]:
    """Return a lie that changes the major requests' replies."""
    return lambda message: [change(message.data) if (message.request[0], 0) == of else message.data]


def put(fmt: str, place: int, value: int) -> Callable[[bytes], bytes]:
    """Return what puts a number into a message."""

    def change(data: bytes) -> bytes:
        changed = bytearray(data)
        struct.pack_into("=" + fmt, changed, place, value)
        return bytes(changed)

    return change


def nonsense_for_ever(connection: Connection, request: str) -> None:
    """See that every later call says the same, and that closing is quiet."""
    for name in ("sync", "flush", "check_for_error", "fileno"):
        with pytest.raises(ServerNonsense) as raised:
            getattr(connection, name)()
        assert raised.value.request == request
    connection.close()
    connection.close()


# -- numbers of requests -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("message", [reply(2), reply(7), event(2, 1), event(9, 1), error(2), reply(3, bytes(8))])
def test_a_number_that_no_request_has_ends_the_connection(fake_server: FakeServer, message: bytes) -> None:
    fake_server.send_after((4, message))
    with pytest.raises(ServerNonsense, match="the last one sent is 1, the last one answered 0"):
        fake_server.wire.call(REQUEST)
    wire = fake_server.wire
    for call in (wire.sync, wire.pump, lambda: wire.call(REQUEST), lambda: wire.send(Request(b""))):
        with pytest.raises(ServerNonsense):
            call()
    fake_server.wire.close()


def test_a_number_that_is_queued_and_not_sent_is_one_too_many(fake_server: FakeServer) -> None:
    fake_server.wire.queue(Request(REQUEST))
    fake_server.wire.packets.chunks.append(reply(1))
    fake_server.wire.packets.dispatch()
    assert "the last one sent is 0" in fake_server.wire.packets.wrong


def test_numbers_may_wrap_and_events_may_come_without_any(fake_server: FakeServer) -> None:
    before = Request(REQUEST)
    before.serial = fake_server.wire._ledger.sent = fake_server.wire.packets.seen = 0xFFFF
    before.done = True
    fake_server.wire._ledger.append(before)
    fake_server.send_after((4, event(0xFFFF, 1) + bytes([11]) + b"\xff" * 31 + reply(0x10000)))
    assert fake_server.wire.call(REQUEST).reply == reply(0)
    assert len(fake_server.wire.events) == 2


def test_a_request_that_was_passed_over_is_over(fake_server: FakeServer) -> None:
    passed = [fake_server.wire.send(Request(REQUEST)) for _ in range(3)]
    fake_server.send_after((16, reply(2) + reply(4)))
    started = time.monotonic()
    assert fake_server.wire.call(REQUEST).reply == reply(4)
    for each in passed:
        fake_server.wire.wait(each, 5)
    assert time.monotonic() - started < 2
    assert [(each.reply, each.error) for each in passed] == [(None, None), (reply(2), None), (None, None)]


def test_a_sync_that_was_passed_over_is_nonsense(fake_server: FakeServer) -> None:
    def say() -> None:
        fake_server.receive(4)
        fake_server.wire.send_now(Request(REQUEST))  # another thread asks for something else
        fake_server.receive(4)
        fake_server.send(reply(2))

    other = threading.Thread(target=say)
    other.start()
    with pytest.raises(ServerNonsense, match="passed over this one, number 1") as raised:
        fake_server.wire.sync()
    other.join()
    assert raised.value.request == "GetInputFocus"


@pytest.mark.parametrize("lost", ["ask", "grab", "python-xlib"])
def test_an_answer_that_is_left_out_is_an_error_at_once(liar: Liar, lost: str) -> None:
    with xshm.Screen(liar.name, timeout=20) as screen:
        display = screen.xlib
        screen.grab()
        is_lost = threading.Event()

        def lose_one(message: Message) -> list[bytes]:
            if message.kind != "reply" or is_lost.is_set():
                return [message.data]
            is_lost.set()
            return []

        def bring_to_light() -> None:
            is_lost.wait(10)
            _quietly(screen.connection.sync)

        liar.lie = lose_one
        others = threading.Thread(target=bring_to_light)
        others.start()
        started = time.monotonic()
        calls: dict[str, Callable[[], object]] = {
            "ask": lambda: screen.connection.request(core.GetInputFocus),
            "grab": screen.grab,
            "python-xlib": display.screen().root.get_geometry,
        }
        with pytest.raises(ServerNonsense, match="passed over"):
            calls[lost]()
        assert time.monotonic() - started < 5
        others.join()
        with pytest.raises(ServerNonsense):
            screen.grab()


def _quietly(call: Callable[[], object]) -> None:
    with contextlib.suppress(XshmError):
        call()


# -- memory ------------------------------------------------------------------------------------------------------------


def test_a_reply_that_is_longer_than_its_request_allows_ends_the_connection_at_its_header(
    fake_server: FakeServer,
) -> None:
    fake_server.send_after((4, struct.pack("=BBHI24x", 1, 0, 1, 0xFFFFFFFF)))
    with pytest.raises(ServerNonsense, match=f"a reply of {32 + 4 * 0xFFFFFFFF} bytes to request 1"):
        fake_server.wire.call(REQUEST)


def test_an_event_longer_than_any_ends_the_connection(fake_server: FakeServer) -> None:
    fake_server.send(generic_event(0, bytes(5000)) + struct.pack("=BBHI24x", 35, 1, 0, 1 << 20))
    assert fake_server.wire.next_event(fake_server.wire.events, 5) == generic_event(0, bytes(5000))
    with pytest.raises(ServerNonsense, match=r"an event \(35\) of 4194336 bytes"):
        fake_server.wire.next_event(fake_server.wire.events, 5)


def test_a_picture_takes_no_more_than_was_asked_for(liar: Liar) -> None:
    connection = Connection(liar.name, timeout=10)
    root = connection.setup.root.id
    answered = connection.wire.wait(connection.wire.send(core.image_request(root, 0, 0, 20, 10)))
    assert answered.reply is not None
    assert len(answered.reply) == 32 + 800
    liar.lie = instead((73, 0), put("I", 4, 1000))
    with pytest.raises(ServerNonsense, match=r"a reply of 4032 bytes to request \d+, where 912 are the most"):
        connection.wait_reply(connection.wire.send(core.image_request(root, 0, 0, 20, 10)), "GetImage")
    nonsense_for_ever(connection, "")


@pytest.mark.parametrize("words", [0xFFFFFFFF, 1 << 19])
def test_a_list_of_windows_has_an_end(liar: Liar, words: int) -> None:
    with xshm.Screen(liar.name, timeout=10) as screen, bounded(50):
        liar.lie = lambda message: (
            [put("I", 4, words)(message.data), *([bytes(1 << 20)] * 64)]
            if message.request == QUERY_TREE
            else [message.data]
        )
        with pytest.raises(ServerNonsense, match="1048608 are the most"):
            screen.windows()
        with pytest.raises(ServerNonsense):
            screen.grab()


def test_a_field_that_says_how_long_a_list_is_takes_no_memory() -> None:
    ids = struct.pack("=BxHII20xIII", 1, 1, 3, 1, 5, 2, 0xFFFFFFFC)
    with bounded(10), pytest.raises(ValueError, match=r"value: a list of \d+ in 0 bytes"):
        decode(res.QueryClientIds, ids, None)
    with bounded(10), pytest.raises(ValueError, match="ids: a list of 4294967295 in 0 bytes"):
        decode(res.QueryClientIds, struct.pack("=BxHII20x", 1, 1, 0, 0xFFFFFFFF), None)
    honest = struct.pack("=BxHII20xIIII", 1, 1, 4, 1, 5, 2, 4, 4711)
    (found,) = decode(res.QueryClientIds, honest, None).ids
    assert (found.spec.client, list(found.value)) == (5, [4711])


def test_where_there_is_nothing_to_bound_python_xlibs_structure_is_used_as_it_is() -> None:
    assert with_checked_lists(xlib_request.GetGeometry._reply) is xlib_request.GetGeometry._reply  # type: ignore[attr-defined]


@pytest.mark.parametrize("of", ["Screen", "python-xlib"])
def test_x_resource_can_not_take_all_memory(liar: Liar, of: str) -> None:
    liar_opcode: list[int] = []

    def lie(message: Message) -> list[bytes]:
        if message.request[0] in liar_opcode and message.request[1] == 4:
            return [put("I", 40, 0xFFFFFFF0)(message.data)]
        return [message.data]

    with xshm.Screen(liar.name, timeout=10) as screen, bounded(50):
        extension = screen.connection.extension("X-Resource")
        assert extension is not None
        liar_opcode.append(extension.major)
        display = screen.xlib
        liar.lie = lie
        calls: dict[str, Callable[[], object]] = {
            "Screen": ClientPids(screen.connection).by_client,
            "python-xlib": lambda: display.res_query_client_ids([{"client": 0, "mask": res.LocalClientPIDMask}]),
        }
        with pytest.raises(ServerNonsense, match=r"QueryClientIds: .* a list of"):
            calls[of]()


def test_windows_that_are_inside_of_each_other_are_nonsense(liar: Liar, painter: Painter) -> None:
    inner = painter.window((5, 5, 50, 50), (255, 0, 0))
    with xshm.Screen(liar.name, timeout=10) as screen:
        liar.lie = instead(QUERY_TREE, put("I", 12, inner.id))
        with pytest.raises(ServerNonsense, match="is inside of itself"):
            screen.window(inner.id)
        with pytest.raises(ServerNonsense):
            screen.grab()


def test_windows_that_have_ancestors_without_end_are_nonsense(
    liar: Liar, painter: Painter, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = painter.window((5, 5, 50, 50), (255, 0, 0))

    def lie(message: Message) -> list[bytes]:
        if message.request == QUERY_TREE:
            return [put("I", 12, 0x1000000)(message.data)]
        if message.kind == "error" and message.data[10] == QUERY_TREE[0]:  # there is no such window
            (number,) = struct.unpack_from("=2xH", message.data)
            return [struct.pack("=BxHIIIH14x", 1, number, 0, 7, 0x1000000 + message.number, 0)]
        return [message.data]

    monkeypatch.setattr(tree, "_DEEPEST", 200)
    with xshm.Screen(liar.name, timeout=10) as screen:
        liar.lie = lie
        with pytest.raises(ServerNonsense, match="more than 200 ancestors"):
            screen.window(window.id)


def test_mappings_without_end_are_not_kept(liar: Liar) -> None:
    mapping = struct.pack("=BxH28x", X.MappingNotify, 0)
    with xshm.Screen(liar.name, timeout=10) as screen, xshm.Surface(20, 20, display=liar.name, timeout=10) as surface:
        connections = (screen.connection, surface._connection)
        liar.lie = lambda message: (
            [_numbered(mapping, message.data) * ENDLESS, message.data] if message.kind == "reply" else [message.data]
        )
        for connection in connections:
            connection.sync()
            assert sum(map(len, _queues(connection))) == 0
        assert screen.grab().rect == screen.rect
        surface.show(np.zeros((20, 20, 3), np.uint8))
        surface.wait(5)


def _numbered(message: bytes, like: bytes) -> bytes:
    return message[:2] + like[2:4] + message[4:]


def _queues(connection: Connection) -> list[Any]:
    packet_reader = connection.wire.packets
    queues = [packet_reader.events, *(route.queue for routes in packet_reader.routes.values() for route in routes)]
    return list({id(queue): queue for queue in queues}.values())  # several routes may share one


def test_what_a_surface_is_told_without_end_is_kept_up_to_a_number(liar: Liar) -> None:
    connection = Connection(liar.name, timeout=20)
    window = 0x1234567
    inbox = Inbox(connection, window)
    close = (connection.atoms["WM_PROTOCOLS"], connection.atoms["WM_DELETE_WINDOW"])
    messages = [
        struct.pack("=BxH8xI16x", X.KeyPress, 0, window),
        struct.pack("=BxHIHHHH16x", X.Expose, 0, window, 1, 2, 3, 4),
        struct.pack("=BxH4xI8xHH8x", X.ConfigureNotify, 0, window, 7, 8),
        struct.pack("=BxH4xI20x", X.UnmapNotify, 0, window),
        struct.pack("=BxH4xI20x", X.MapNotify, 0, window),
        struct.pack("=BxHIII16x", X.ClientMessage, 0, window, 99, 99),
        struct.pack("=BxHIII16x", X.ClientMessage, 0, window, *close),
        struct.pack("=BxH4xI20x", 0x80 | X.DestroyNotify, 0, window),
    ]
    liar.lie = lambda message: [*(_numbered(each, message.data) * 5000 for each in messages), message.data]
    connection.sync()
    assert sum(map(len, _queues(connection))) < 10_000
    inbox.sort()
    assert inbox.exposed == (xshm.Rect(0, 0, 0x8000, 0x8000),)
    assert (inbox.size, inbox.mapped, inbox.closed, inbox.destroyed) == ((7, 8), True, True, False)
    liar.lie = lambda message: [_numbered(struct.pack("=BxH4xI20x", 17, 0, window), message.data), message.data]
    connection.sync()
    inbox.sort()
    assert inbox.destroyed
    connection.close()


@contextlib.contextmanager
def endless(connection: Connection, message: bytes) -> Iterator[None]:
    """Have the kernel bring one thing without end, faster than anybody reads, and nothing else."""
    connection.sync()
    flood = _numbered(message, struct.pack("=HH", 0, connection.wire.packets.seen & 0xFFFF)) * 128
    connection.wire.send_now(Request(REQUEST))  # its reply is left there, so that there is always something to read
    assert select.select([connection.fileno()], [], [], 10)[0]
    told: Any = connection.wire
    told._recv = lambda _count, _flags: flood
    try:
        yield
    finally:
        told._recv = told.socket.recv


def ends(connection: Connection, work: Callable[[], object]) -> object:
    """Return what some work returns; fail where it does not end within seconds."""
    found: list[object] = []
    thread = threading.Thread(target=lambda: found.append(work()))
    thread.start()
    thread.join(8)
    is_late = thread.is_alive()
    if is_late:
        connection.wire.end(lambda: RequestTimeout("the test is over"))
    thread.join(8)
    assert not is_late
    return found[0]


EXPOSE = struct.pack("=BxHI24x", X.Expose, 0, 0x1234567)


def test_what_has_arrived_is_taken_in_and_not_what_comes_without_end(xvfb: Server) -> None:
    with contextlib.closing(Connection(xvfb.name, timeout=10)) as connection, endless(connection, EXPOSE):
        ends(connection, connection.wire.pump)
        assert connection.wire.events


def test_a_window_is_not_waited_for_longer_because_of_what_else_comes(xvfb: Server) -> None:
    with contextlib.closing(Connection(xvfb.name, timeout=10)) as connection, socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        watch = WindowWatch(WindowContext(connection))
        with endless(connection, EXPOSE):
            deadline = time.monotonic() + 0.1
            assert ends(connection, lambda: wait_windows(connection, watch, silent.fileno(), deadline)) is False


def test_a_window_of_our_own_is_exposed_without_end(xvfb: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(target, "_MOST_WAIT", 0.1)
    monkeypatch.setattr(shared_socket, "_MOST_READS", 20)
    with contextlib.closing(Connection(xvfb.name, timeout=10)) as connection:
        inbox = Inbox(connection, 0x1234567)
        with endless(connection, EXPOSE):
            ends(connection, lambda: target._wait_until_mapped(connection, inbox))
    with xshm.Surface(20, 10, display=xvfb.name, timeout=10) as surface:
        exposed = struct.pack("=BxHI24x", X.Expose, 0, surface.id)
        with endless(surface._connection, exposed):
            assert ends(surface._connection, lambda: list(surface.events(timeout=0.1))) == []


def test_strokes_that_count_as_forgotten_do_not_keep_anybody(xvfb: Server) -> None:
    with contextlib.closing(Connection(xvfb.name, timeout=10)) as connection:
        extension = connection.negotiate(damage.NAME)
        assert extension is not None
        strokes = damage.Damage(connection, extension, connection.setup.root.id)
        told = struct.pack("=BxH4xI20x", extension.first_event, 0, int(strokes._id))
        with endless(connection, told):
            strokes.discard_pending()
            assert ends(connection, lambda: strokes.wait(0.1)) is False


def test_replies_to_one_request_that_nobody_takes_have_a_number(
    fake_server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packet_reader, "_MOST_EVENTS", 1000)
    several = bounded_request(1 << 20, REQUEST)
    several.replies = deque()
    fake_server.send_after((8, reply(1) * 1000 + reply(2)))
    fake_server.wire.send(several)
    assert fake_server.wire.call(REQUEST).reply == reply(2)
    assert len(several.replies) == 1000
    several = bounded_request(1 << 20, REQUEST)
    several.replies = deque()
    fake_server.wire.send(several)
    fake_server.send(reply(3) * 1001)
    with pytest.raises(ServerNonsense, match="1001 replies to request 3, none of which was taken"):
        fake_server.wire.pump()


def test_long_replies_to_one_request_that_nobody_takes_have_a_size(
    fake_server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packet_reader, "_MOST_BYTES", 10_000)
    several = bounded_request(1 << 20, REQUEST)
    several.replies = deque()
    fake_server.wire.send(several)
    fake_server.send_after((4, reply(1, bytes(4000)) * 4))
    with pytest.raises(ServerNonsense, match="4 replies to request 1, none of which was taken"):
        fake_server.wire.next_event(fake_server.wire.events, 10)


def test_many_events_that_wait_do_not_make_the_next_one_slow(fake_server: FakeServer) -> None:
    started = time.thread_time()
    for _ in range(300):
        fake_server.wire.packets.chunks.append(generic_event(0, bytes(52)) * 100)
        fake_server.wire.packets.dispatch()
    assert time.thread_time() - started < 2
    assert len(fake_server.wire.events) == 30_000


def test_descriptors_that_come_with_a_message_that_has_no_end_are_few(fake_server: FakeServer) -> None:
    fake_server.wire._takes_descriptors = True
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        fake_server.send(b"\1", (fake_server.socket.fileno(),) * 16)
    with pytest.raises(ServerNonsense, match="80 descriptors that belong to no reply"):
        fake_server.wire.pump()
    fake_server.wire.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before - 1


# -- decoding ----------------------------------------------------------------------------------------------------------

SETUPS: dict[str, Callable[[bytes], bytes]] = {
    "neither yes nor no": put("B", 0, 77),
    "cut off in the middle of itself": lambda data: data[:6] + struct.pack("=H", 20) + data[8:88],
    "no room for ids": put("I", 16, 0),
    "ids with a hole": put("I", 16, 0x1DFFFF),
    "ids beyond 29 bits": put("I", 12, 0xE0000000),
    "short requests": put("H", 26, 12),
    "no screen": put("B", 28, 0),
    "255 screens": put("B", 28, 255),
    "255 formats": put("B", 29, 255),
    "a format of depth 0": put("B", 60, 0),
    "pixels of 7 bits": put("B", 61, 7),
    "byte order 9": put("B", 30, 9),
    "key codes from 0": put("B", 34, 0),
    "key codes that go down": put("B", 35, 7),
    "a vendor of 60,000 letters": put("H", 24, 60000),
}


@pytest.mark.parametrize("wrong", SETUPS)
@pytest.mark.parametrize("kind", ["Screen", "Surface"])
def test_a_set_up_that_no_server_can_mean_is_nonsense(liar: Liar, wrong: str, kind: str) -> None:
    liar.lie = lambda message: [SETUPS[wrong](message.data) if message.kind == "set-up" else message.data]
    with pytest.raises(ServerNonsense, match=r"^the set-up: "):
        xshm.Screen(liar.name, timeout=5) if kind == "Screen" else xshm.Surface(9, 9, display=liar.name, timeout=5)


# What is lied about (an opcode, or an extension and the minor one), how, what is done then, what is said to be wrong.
LIES: dict[str, tuple[tuple[int | str, int], Callable[[bytes], bytes], Callable[[xshm.Screen], object], str]] = {
    "a size of nothing": (GET_GEOMETRY, put("H", 16, 0), xshm.Screen.windows, "GetGeometry: .* a size of 0x"),
    "a property in 7 bits": (GET_PROPERTY, put("B", 1, 7), xshm.Screen.windows, "GetProperty: "),
    "a shape of many parts": (
        ("SHAPE", 8),
        put("I", 8, 1 << 30),
        xshm.Screen.windows,
        "GetRectangles: .* 1073741824 in",
    ),
    "many monitors": (
        ("RANDR", 42),
        put("I", 12, 1 << 30),
        lambda screen: screen.monitors,
        "GetMonitors: .* 1073741824",
    ),
    "a large pointer": (
        ("XFIXES", 25),
        put("I", 12, 0xFFFFFFFF),
        lambda screen: screen.grab(cursor=True),
        "GetCursorImage: .* a picture of 65535x65535",
    ),
    "a large pointer's long name": (
        ("XFIXES", 25),
        put("H", 28, 0xFFFF),
        lambda screen: next(screen.stream(cursor="layer")),
        "GetCursorImage: .* a name of 65535",
    ),
    "keys without symbols": (
        (101, 0),
        put("B", 1, 0),
        lambda screen: Keyboard(screen.connection).look_up(38, 0),
        "GetKeyboardMapping: .* must not be zero",
    ),
    "a region of one and a half": (
        ("XFIXES", 19),
        lambda data: put("I", 4, struct.unpack_from("=4xI", data)[0] + 1)(data) + bytes(4),
        lambda screen: next(screen.stream(on_change=True)),
        "XFixesFetchRegion: .* error",
    ),
}


@pytest.mark.parametrize("what", LIES)
def test_a_reply_that_can_not_be_read_is_nonsense_and_ends_the_connection(
    liar: Liar, painter: Painter, what: str
) -> None:
    painter.window((5, 5, 50, 50), (255, 0, 0))
    (whose, minor), change, verb, wrong = LIES[what]
    screen = xshm.Screen(liar.name, timeout=10)
    extension = screen.connection.extension(whose) if isinstance(whose, str) else None
    major = extension.major if extension is not None else whose
    liar.lie = lambda message: [change(message.data) if message.request == (major, minor) else message.data]
    with bounded(100), pytest.raises(ServerNonsense, match=wrong) as raised:
        verb(screen)
    assert raised.value.__cause__ is not None
    for call in (screen.grab, screen.windows, lambda: screen.monitors, lambda: screen.window("active")):
        with pytest.raises(ServerNonsense, match=wrong):
            call()
    screen.close()


def test_an_error_of_the_server_is_never_one_of_python_xlibs(liar: Liar) -> None:
    liar.lie = lambda message: [
        struct.pack("=BBHIHB21x", 0, 11, *struct.unpack_from("=2xH", message.data), 0, 0, 16)
        if message.request[0] == INTERN_ATOM[0]
        else message.data
    ]
    with pytest.raises(BadAlloc):
        xshm.Surface(20, 20, display=liar.name, timeout=10)


def test_what_a_signal_handler_raises_while_something_is_decoded_comes_out_as_it_is(liar: Liar) -> None:
    class Interrupted(core.GetInputFocus):
        _reply = rq.Struct(rq.ReplyCode(), _Raises("raised"))

    def handler(*_: object) -> None:
        raise ValueError("of the handler")

    connection = Connection(liar.name, timeout=10)
    former = signal.signal(signal.SIGUSR1, handler)
    try:
        with pytest.raises(ValueError, match=r"^of the handler$"):
            connection.request(Interrupted)
    finally:
        signal.signal(signal.SIGUSR1, former)
    connection.sync()
    with pytest.raises(ServerNonsense, match=r"GetInputFocus: .* error"):
        connection.request(type("GetInputFocus", (core.GetInputFocus,), {"_reply": rq.Struct(rq.Pad(3), rq.Pad(40))}))
    connection.close()


class _Raises(rq.Card8):
    def parse_value(self, _value: int, _display: object) -> None:
        signal.raise_signal(signal.SIGUSR1)


def test_a_process_that_is_out_of_memory_is_told_so_and_the_connection_stays(liar: Liar) -> None:
    def greedy(_self: object, _value: int, _display: object) -> bytearray:
        return bytearray(1 << 62)

    field = type("Greedy", (rq.Card8,), {"parse_value": FunctionType(greedy.__code__, vars(rq))})  # as one of theirs
    connection = Connection(liar.name, timeout=10)
    with pytest.raises(MemoryError):
        connection.request(
            type("Greedy", (core.GetInputFocus,), {"_reply": rq.Struct(rq.ReplyCode(), field("greedy"))})
        )
    connection.sync()
    connection.close()


def test_what_means_something_else_is_left_alone_by_the_gate() -> None:
    for raising in (OSError("full"), RequestTimeout("late"), InvalidArgument("no such thing"), KeyboardInterrupt()):
        with pytest.raises(type(raising)) as raised, Decoding("all of it"):
            raise raising
        assert raised.value is raising


def test_it_can_be_sent_to_another_process() -> None:
    sent = pickle.loads(pickle.dumps(ServerNonsense("QueryTree", "a cycle")))  # noqa: S301 - our own
    assert (sent.request, sent.wrong, str(sent)) == (
        "QueryTree",
        "a cycle",
        str(ServerNonsense("QueryTree", "a cycle")),
    )


# -- what nobody takes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("taken", [False, True])
def test_events_that_nobody_can_take_are_not_kept(xvfb: Server, painter: Painter, taken: bool) -> None:
    keys = painter.display.get_keyboard_mapping(250, 1)
    with xshm.Screen(xvfb.name, timeout=10) as screen:
        if taken:
            assert screen.xlib.pending_events() == 0
        for _ in range(100):
            painter.display.change_keyboard_mapping(250, keys)
        painter.display.sync()
        screen.connection.sync()
        assert len(screen.connection.wire.events) == 100 * taken
        assert screen.connection.pending_events() == 100 * taken  # whoever asks is told from then on
        painter.display.change_keyboard_mapping(250, keys)
        painter.display.sync()
        assert screen.connection.next_event().type == X.MappingNotify if not taken else True


def test_word_of_what_was_closed_is_not_left_to_others(xvfb: Server, painter: Painter) -> None:
    window = painter.window((5, 5, 50, 50), (255, 0, 0))
    with xshm.Screen(xvfb.name, timeout=10) as screen:
        display = screen.xlib
        with screen.window(window.id) as opened, opened.stream(on_change=True, cursor=True) as stream:
            next(stream)
        painter.fill((0, 0, 9, 9), (0, 255, 0))
        painter.fill((0, 0, 9, 9), (255, 255, 0))
        window.configure(width=40)
        window.shape_rectangles(SO.Set, SK.Bounding, 0, 0, 0, [(0, 0, 20, 20)])
        window.unmap()
        window.destroy()
        painter.display.sync()
        screen.connection.sync()
        assert display.pending_events() == 0


def test_word_of_a_shape_that_was_on_its_way_is_not_left_to_others(xvfb: Server, painter: Painter) -> None:
    window = painter.window((5, 5, 50, 50), (255, 0, 0))
    with xshm.Screen(xvfb.name, timeout=10) as screen:
        display = screen.xlib
        shapes, subscription = ShapeEvents(screen.connection), Subscription([window.id])
        shapes.subscribe(subscription)
        screen.connection.sync()
        shapes.unsubscribe(subscription)  # which is not sent yet
        window.shape_rectangles(SO.Set, SK.Bounding, 0, 0, 0, [(0, 0, 20, 20)])
        painter.display.sync()
        assert display.pending_events() == 0


def test_what_others_on_the_connection_have_selected_still_reaches_them(xvfb: Server, painter: Painter) -> None:
    window = painter.window((5, 5, 50, 50), (255, 0, 0))
    with xshm.Screen(xvfb.name, timeout=10) as screen:
        with screen.window(window.id):
            pass
        theirs = screen.xlib.create_resource_object("window", window.id)
        theirs.change_attributes(event_mask=X.StructureNotifyMask)
        screen.xlib.sync()
        window.unmap()
        window.destroy()
        painter.display.sync()
        screen.xlib.sync()
        assert [screen.xlib.next_event().type for _ in range(2)] == [X.UnmapNotify, X.DestroyNotify]


def test_what_a_route_that_has_left_wanted_is_dropped_until_the_server_has_heard_of_it(fake_server: FakeServer) -> None:
    route, last = EventRoute(34, lambda _message: True), Request(REQUEST)
    fake_server.wire.add_route(route)
    fake_server.wire.remove_route(route, last)
    fake_server.send(event(0, 1, 34))
    fake_server.wire.pump()
    fake_server.wire.send_now(last)
    fake_server.send_after((4, event(0, 2, 34) + event(1, 3, 34)))
    assert fake_server.wire.next_event(fake_server.wire.events, 5) == event(1, 3, 34)
    fake_server.send_after((4, reply(2)))
    fake_server.wire.sync()
    fake_server.wire.add_route(other := EventRoute(34, lambda _message: False))
    assert fake_server.wire.packets.routes[34] == (other,), "a route that gets nothing any more is kept"
    assert not route.queue


# -- what is no nonsense -----------------------------------------------------------------------------------------------


def test_what_servers_may_say_is_heard_and_forgotten(fake_server: FakeServer) -> None:
    fake_server.wire.keep_events(keep=False)
    fake_server.wire.send(Request(REQUEST))  # nobody waits for its answer
    said = [event(0, 1, code) for code in (*range(2, 128), *range(130, 256)) if code & 0x7F not in (11, 35)]
    said += [
        bytes([11]) + b"\xff" * 31,
        generic_event(0, bytes(4000)),
        error(1, 255),
        reply(1, bytes(400)),
        event(1, 1),
    ]
    fake_server.send_after((8, b"".join(said) + reply(2)))
    assert fake_server.wire.call(REQUEST).reply == reply(2)
    assert not fake_server.wire.events
