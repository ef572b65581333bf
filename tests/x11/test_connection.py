"""A connection to a real server: errors, extensions, sequence numbers, events, descriptors, two servers at once."""

from __future__ import annotations

import errno
import os
import resource
import struct
import subprocess
import sys
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from descriptors import new_descriptors, open_descriptors
from round_trips import relayed
from Xlib import X
from Xlib.protocol import request

from xshm import errors
from xshm.errors import ExtensionMissing
from xshm.shm.probe import choose
from xshm.x11.connection import Connection
from xshm.x11.protocol import core, mit_shm
from xshm.x11.protocol.requests import EventRoute, Request, bounded_request
from xshm.x11.xlib_display import XlibDisplay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from servers import Server

_NOBODY = 0x1FFFFFFF  # an id that nothing has


@pytest.fixture
def connection(xvfb: Server) -> Iterator[Connection]:
    connection = Connection(xvfb.name)
    choose(connection)
    yield connection
    connection.close()


def _raw(connection: Connection, data: bytes) -> None:
    """Send bytes as a request without a reply; raise its error."""
    connection.check(connection.wire.send(Request(data)))


def _geometry(connection: Connection, window: int) -> tuple[int, int]:
    reply = connection.request(core.GetGeometry, drawable=window)
    return reply.width, reply.height


def _window(connection: Connection, width: int = 7, height: int = 5) -> int:
    window = connection.allocate_resource_id()
    place: dict[str, Any] = {"x": 0, "y": 0, "width": width, "height": height, "border_width": 0}
    kind: dict[str, Any] = {"depth": 0, "window_class": 0, "visual": 0, "attrs": {}}
    connection.send(core.CreateWindow, wid=window, parent=connection.setup.root.id, **place, **kind)
    return window


# -- errors ----------------------------------------------------------------------------------------------------------


_PIXMAP = {"depth": 24, "width": 9, "height": 9}
_FAILURES: dict[str, tuple[Any, dict[str, Any]]] = {
    "BadRequest": (struct.pack("=BBH", 125, 0, 1), {}),
    "BadValue": (core.CreatePixmap, _PIXMAP | {"width": 0}),
    "BadWindow": (core.MapWindow, {"window": _NOBODY}),
    "BadPixmap": (core.FreePixmap, {"pixmap": _NOBODY}),
    "BadAtom": (request.GetAtomName, {"atom": _NOBODY}),
    "BadCursor": (request.FreeCursor, {"cursor": _NOBODY}),
    "BadFont": (request.CloseFont, {"font": _NOBODY}),
    "BadMatch": (core.GetImage, {"x": -1, "y": 0, "width": 9, "height": 9, "plane_mask": 1, "format": 2}),
    "BadDrawable": (core.GetGeometry, {"drawable": _NOBODY}),
    "BadAccess": (mit_shm.Attach, {"shmid": 2**31 - 1, "read_only": 0}),
    "BadAlloc": (core.CreatePixmap, _PIXMAP | {"width": 65535, "height": 65535}),
    "BadColor": (request.FreeColormap, {"cmap": _NOBODY}),
    "BadGC": (core.FreeGC, {"gc": _NOBODY}),
    "BadIDChoice": (core.CreatePixmap, _PIXMAP | {"pid": 1}),
    "BadName": (request.OpenFont, {"name": "no-such-font"}),
    "BadLength": (struct.pack("=BBHII", 14, 0, 3, 5, 0), {}),
    "BadImplementation": ("RENDER", {"minor": 9}),  # Scale, which nobody ever wrote
    "BadSeg": (mit_shm.Detach, {"shmseg": _NOBODY}),
}


def _fails(connection: Connection, name: str) -> None:
    """Do what the server answers with the error of that name."""
    what, fields = _FAILURES[name]
    if isinstance(what, bytes):
        _raw(connection, what)
    elif isinstance(what, str):
        extension = connection.extension(what)
        assert extension is not None
        _raw(connection, struct.pack("=BBH", extension.major, fields["minor"], 1))
    else:
        new = dict.fromkeys(("pid", "shmseg", "fid"), connection.allocate_resource_id())
        known = {"drawable": connection.setup.root.id, "opcode": _shm(connection)} | new
        connection.check(connection.send(what, **(known | fields)), doing="this")


def _shm(connection: Connection) -> int:
    extension = connection.extension("MIT-SHM")
    assert extension is not None
    return extension.major


_CODES = {kind.__name__: kind for kind in errors.ServerError.__subclasses__()}


@pytest.mark.parametrize("name", _CODES)
def test_every_error_of_the_server_has_its_type(connection: Connection, name: str) -> None:
    with pytest.raises(errors.ServerError) as failed:
        _fails(connection, name)
    assert type(failed.value) is _CODES[name]
    assert failed.value.name == name
    assert f"{name}, value {failed.value.value:#x}, request {failed.value.major}." in str(failed.value)
    assert _geometry(connection, connection.setup.root.id) == (1280, 800)


def test_an_error_carries_what_the_server_said(connection: Connection) -> None:
    with pytest.raises(errors.BadWindow) as failed:
        _fails(connection, "BadWindow")
    error = failed.value
    assert (error.code, error.value, error.major, error.minor) == (3, _NOBODY, 8, 0)
    assert str(error) == "this: BadWindow, value 0x1fffffff, request 8.0"


def test_an_error_code_that_nobody_named_is_still_a_server_error(connection: Connection) -> None:
    xinput = connection.extension("XInputExtension")
    assert xinput is not None
    with pytest.raises(errors.ServerError, match=f"error {xinput.first_error}"):
        _raw(connection, struct.pack("=BBHBxxx", xinput.major, 3, 2, 99))  # OpenDevice: no such device


def test_the_first_error_of_several_requests_is_raised_and_the_others_are_known(connection: Connection) -> None:
    sent = [connection.send(core.MapWindow, window=window) for window in (_window(connection), _NOBODY, _NOBODY - 1)]
    with pytest.raises(errors.BadWindow) as failed:
        connection.check(*sent)
    assert failed.value.value == _NOBODY
    assert [each.error is None for each in sent] == [True, False, False]


# -- two servers -----------------------------------------------------------------------------------------------------


def test_two_servers_that_number_their_extensions_differently_do_not_mix(make_server: Callable[..., Server]) -> None:
    without = [word for name in ("RANDR", "XINERAMA", "XFIXES", "Composite") for word in ("-extension", name)]
    one = Connection(make_server("Xvfb", 320, 200).name)
    two = Connection(make_server("Xvfb", 320, 200, 24, *without).name)
    choose(one)
    choose(two)
    codes = [[each.extension("MIT-SHM"), each.extension("DAMAGE"), each.extension("SYNC")] for each in (one, two)]
    assert codes[0] != codes[1]
    for _ in range(3):
        for each in (one, two):
            extension = each.extension("MIT-SHM")
            assert extension is not None
            with pytest.raises(errors.BadSeg) as failed:
                each.check(each.send(mit_shm.Detach, opcode=extension.major, shmseg=5))
            assert (failed.value.code, failed.value.major) == (extension.first_error, extension.major)
    assert {name: one.extension(name) is None for name in ("RANDR", "XFIXES")} == {"RANDR": False, "XFIXES": False}
    assert {name: two.extension(name) is None for name in ("RANDR", "XFIXES")} == {"RANDR": True, "XFIXES": True}
    one.close()
    assert _geometry(two, two.setup.root.id) == (320, 200)
    two.close()


# -- extensions and their versions -------------------------------------------------------------------------------------


def test_a_version_is_agreed_on_once_for_all_purposes(xvfb: Server) -> None:
    with relayed(xvfb) as relay, closing(Connection(relay.name)) as connection:
        assert connection.extension("XFIXES") is not None
        before = relay.round_trips
        first = connection.require("XFIXES", (2, 0), "this test")
        assert first.version == (5, 0)
        assert relay.round_trips == before + 1
        assert connection.require("XFIXES", (5, 0), "another test") is connection.negotiate("XFIXES") is first
        assert relay.round_trips == before + 1


@pytest.mark.parametrize(
    ("name", "query"),
    [("Composite", "composite"), ("DAMAGE", "damage"), ("RANDR", "xrandr"), ("XFIXES", "xfixes")],
)
def test_python_xlib_may_agree_on_a_version_of_its_own(connection: Connection, name: str, query: str) -> None:
    extension = connection.negotiate(name)
    assert extension is not None
    agreed = getattr(XlibDisplay(connection), f"{query}_query_version")()
    assert (0, 0) < (agreed.major_version, agreed.minor_version) <= extension.version


def test_raw_motion_s_version_is_agreed_on(connection: Connection) -> None:
    extension = connection.negotiate("XInputExtension")
    assert extension is not None
    assert extension.version == (2, 1)


def test_an_extension_that_is_too_old_or_missing_is_named_with_the_purpose(make_server: Callable[..., Server]) -> None:
    server = make_server("Xvfb", 64, 64, 24, "-extension", "DAMAGE")
    with closing(Connection(server.name)) as connection:
        with pytest.raises(ExtensionMissing, match=r"^a test needs XFIXES 9\.0 or newer; the server at .* has 5\.0$"):
            connection.require("XFIXES", (9, 0), "a test")
        with pytest.raises(
            ExtensionMissing, match=r"^a test needs the DAMAGE extension, .* does not have; do without$"
        ):
            connection.require("DAMAGE", (1, 1), "a test", "do without")
        assert connection.negotiate("DAMAGE") is None


def test_a_request_may_be_as_long_as_big_requests_allow(xvfb: Server) -> None:
    with relayed(xvfb) as relay, closing(Connection(relay.name)) as connection:
        assert 4 * connection.info.max_request_length < connection.longest_request <= 4 << 20
        before = relay.round_trips
        assert connection.longest_request > 0
        assert relay.round_trips == before


# -- order -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [65_535, 65_536, 131_073])
def test_requests_without_replies_beyond_sixteen_bits_of_sequence_numbers(xvfb: Server, count: int) -> None:
    connection = Connection(xvfb.name)
    window = _window(connection, 11, 13)
    last = [connection.send(core.MapWindow, window=window) for _ in range(count)][-1]
    failing = connection.send(core.MapWindow, window=_NOBODY)
    assert _geometry(connection, window) == (11, 13)
    connection.check(last)
    with pytest.raises(errors.BadWindow):
        connection.check(failing)
    connection.close()


def test_answers_may_be_asked_for_in_any_order(connection: Connection) -> None:
    sizes = [(3, 4), (5, 6), (7, 8), (9, 10)]
    asked = [connection.send(core.GetGeometry, drawable=_window(connection, *size)) for size in sizes]
    for index in (2, 0, 3, 1):
        reply, _ = core.GetGeometry._reply.parse_binary(connection.wait_reply(asked[index]), connection)  # type: ignore[attr-defined]
        assert (reply.width, reply.height) == sizes[index]


def test_what_was_sent_is_done_before_close_returns(xvfb: Server, connection: Connection) -> None:
    # The last requests of a client that leaves events unread are dropped by the server: 131 of 200 times.
    atom = connection.request(core.InternAtom, name="XSHM_LAST", only_if_exists=0).atom
    window = _window(connection)
    connection.sync()
    for number in range(30):
        other = Connection(xvfb.name)
        other.send(core.ChangeWindowAttributes, window=window, attrs={"event_mask": X.PropertyChangeMask})
        for value in (b"first", b"%06d" % number):
            data = struct.pack("=BBHIII", 18, 0, 6 + 2, window, atom, 31) + struct.pack("=BxxxI8s", 8, 6, value)
            other.wire.send(Request(data))
            other.flush()
        other.close()
        reply = connection.request(
            core.GetProperty, window=window, property=atom, type=31, long_offset=0, long_length=9, delete=0
        )
        assert reply.value[1] == b"%06d" % number


# -- events and errors beside the hot path ---------------------------------------------------------------------------


def test_events_and_errors_between_hot_calls_are_not_lost(connection: Connection) -> None:
    told: list[int] = []
    window = _window(connection)
    connection.send(core.ChangeWindowAttributes, window=window, attrs={"event_mask": X.StructureNotifyMask})
    route = EventRoute(X.MapNotify, lambda _message: True)
    connection.wire.add_route(route)
    calls = core.pack_get_image(connection.setup.root.id, 0, 0, 1, 1)
    for number in range(100):
        connection.send(core.MapWindow, window=window)
        connection.send(request.UnmapWindow, window=window)
        failing = bounded_request(0, struct.pack("=BBHI", 8, 0, 2, _NOBODY - number))
        failing.on_error = lambda message: told.append(struct.unpack_from("=4xI", message)[0])
        connection.wire.send(failing)
        assert connection.wire.call(calls).reply is not None
    assert len(route.queue) == 100
    assert [event.type for event in (connection.next_event() for _ in range(100))] == [X.UnmapNotify] * 100
    assert told == [_NOBODY - number for number in range(100)]
    assert connection.pending_events() == 0


def test_an_event_is_what_python_xlib_makes_of_it(connection: Connection) -> None:
    window = _window(connection)
    connection.send(core.ChangeWindowAttributes, window=window, attrs={"event_mask": X.StructureNotifyMask})
    connection.send(core.MapWindow, window=window)
    event = connection.next_event()
    assert (type(event).__name__, event.window.id, event.send_event) == ("MapNotify", window, 0)


# -- descriptors and limits ------------------------------------------------------------------------------------------


def test_a_connection_works_beyond_descriptor_1023(xvfb: Server) -> None:
    program = """
import os, resource, select, sys
from xshm import Screen
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
held = [os.open(os.devnull, os.O_RDONLY) for _ in range(1500)]
for transport in ("sysv", "fd"):
    with Screen(sys.argv[1], transport, timeout=5) as screen:
        assert screen.connection.fileno() > 1023
        frames = [screen.grab((0, 0, 5, 5)) for _ in range(3)]
        screen.xlib.sync()
        screen.xlib.pending_events()
print("fine")
"""
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 2048:
        pytest.skip("this machine allows no more descriptors")
    run = subprocess.run([sys.executable, "-c", program, xvfb.name], capture_output=True, text=True, check=False)
    assert (run.stdout, run.stderr) == ("fine\n", "")


def test_descriptors_that_there_was_no_room_for_are_an_error_and_no_loss_of_step(connection: Connection) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    fields = {"opcode": _shm(connection), "size": 4096, "read_only": 0}
    probe = os.open(os.devnull, os.O_RDONLY)
    os.close(probe)
    resource.setrlimit(resource.RLIMIT_NOFILE, (probe, hard))
    try:
        with pytest.raises(OSError, match="CreateSegment: 1 descriptors were lost") as failed:
            connection.request(mit_shm.CreateSegment, received=True, shmseg=connection.allocate_resource_id(), **fields)
        assert failed.value.errno == errno.EMFILE
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    _, (descriptor,) = connection.request(
        mit_shm.CreateSegment, received=True, shmseg=connection.allocate_resource_id(), **fields
    )
    assert os.fstat(descriptor).st_size == 4096


def test_a_descriptor_comes_through_a_thread_that_was_waiting_for_events_before_it_was_asked_for(
    make_server: Callable[..., Server],
) -> None:
    name = make_server("Xvfb", 64, 64).name
    for _ in range(10):
        with closing(Connection(name)) as connection:
            waiter = threading.Thread(target=connection.wire.wait_event, args=(connection.wire.events,))
            waiter.start()
            while connection.wire._reader is None:
                time.sleep(0.001)
            time.sleep(0.01)  # into the kernel
            shmseg = connection.allocate_resource_id()
            _, (descriptor,) = connection.request(
                mit_shm.CreateSegment, received=True, opcode=_shm(connection), shmseg=shmseg, size=4096, read_only=0
            )
            assert os.fstat(descriptor).st_size == 4096
            connection.wire.events.append(b"")
            connection.sync()
            waiter.join()


def test_a_program_that_is_started_inherits_nothing_of_a_connection(connection: Connection) -> None:
    assert not os.get_inheritable(connection.fileno())
    shmseg = connection.allocate_resource_id()
    _, (descriptor,) = connection.request(
        mit_shm.CreateSegment, received=True, opcode=_shm(connection), shmseg=shmseg, size=4096, read_only=0
    )
    assert not os.get_inheritable(descriptor)


# -- ids -------------------------------------------------------------------------------------------------------------


def test_ids_are_the_servers_distinct_and_reused_late(connection: Connection) -> None:
    base, mask = connection.info.resource_id_base, connection.info.resource_id_mask
    ids = [connection.allocate_resource_id() for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert all(each & ~mask == base for each in ids)
    for each in ids:
        connection.free_resource_id(each)
        connection.free_resource_id(each)
    assert connection.allocate_resource_id() not in ids


def test_threads_get_distinct_ids(connection: Connection) -> None:
    ids: list[int] = []
    threads = [
        threading.Thread(target=lambda: ids.extend(connection.allocate_resource_id() for _ in range(2000)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(ids)) == 16_000


# -- the end ---------------------------------------------------------------------------------------------------------


def test_a_closed_connection_says_so_and_closing_twice_is_fine(xvfb: Server) -> None:
    connection = Connection(xvfb.name)
    connection.close()
    connection.close()
    assert connection.closed
    for use in (
        connection.sync,
        connection.next_event,
        connection.pending_events,
        connection.fileno,
        connection.flush,
        lambda: connection.request(core.GetInputFocus),
        lambda: connection.send(core.FreeGC, gc=1),
        lambda: connection.extension("SYNC"),
    ):
        with pytest.raises(errors.Closed, match="this connection was closed"):
            use()


def test_closing_gives_the_descriptor_back_and_the_server_its_client(xvfb: Server) -> None:
    before = open_descriptors()
    connections = [Connection(xvfb.name) for _ in range(5)]
    windows = [_window(each) for each in connections]
    for each in connections:
        each.close()
    assert not new_descriptors(before)
    other = Connection(xvfb.name)
    deadline = time.monotonic() + 2
    while _children(other) & set(windows):
        assert time.monotonic() < deadline
    other.close()


def _children(connection: Connection) -> set[int]:
    return {child.id for child in connection.request(core.QueryTree, window=connection.setup.root.id).children}
