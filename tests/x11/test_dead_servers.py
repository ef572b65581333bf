"""A dead server is DisplayGone within a second, in every call and every thread; a stopped server is waited for."""

from __future__ import annotations

import contextlib
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

import xshm
from xshm.errors import DisplayGone, RequestTimeout, XshmError
from xshm.x11.connection import Connection
from xshm.x11.protocol import core
from xshm.x11.protocol.requests import Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from servers import Server

_NO_OPERATION = bytes([127, 0, 64, 0]) + bytes(252)  # 256 bytes that mean nothing


@pytest.fixture
def server(make_server: Callable[..., Server]) -> Server:
    return make_server("Xvfb", 320, 200)


@pytest.fixture
def connection(server: Server) -> Iterator[Connection]:
    connection = Connection(server.name)
    yield connection
    with contextlib.suppress(ProcessLookupError):
        server.resume()
    connection.close()


@contextlib.contextmanager
def within(seconds: float) -> Iterator[None]:
    before = time.monotonic()
    yield
    assert time.monotonic() - before < seconds


def fill(connection: Connection) -> None:
    """Send until a server that is stopped has no room for more."""
    for _ in range(8000):
        connection.wire.send(Request(_NO_OPERATION))
    with pytest.raises(RequestTimeout):
        connection.wire.flush(0.05)


# -- dead ------------------------------------------------------------------------------------------------------------


def test_every_call_says_that_the_server_is_gone(server: Server) -> None:
    screen = xshm.Screen(server.name)
    frame = screen.grab()
    connection, xlib = screen.connection, screen.xlib
    server.kill()
    calls: list[Callable[[], Any]] = [
        screen.grab,
        lambda: screen.grab((0, 0, 5, 5)),
        lambda: screen.grab_many([(0, 0, 5, 5), (5, 5, 5, 5)]),
        connection.sync,
        lambda: connection.request(core.GetInputFocus),
        connection.next_event,
        connection.pending_events,
        connection.fileno,
        xlib.sync,
        xlib.next_event,
        xlib.flush,
        xlib.screen().root.get_geometry,
    ]
    for call in calls:
        with within(1), pytest.raises(DisplayGone, match="the server died or closed it"):
            call()
    assert connection.closed
    assert frame.pixels.shape == (200, 320, 4)
    frame.pixels.sum()
    with within(1):
        screen.close()


@pytest.mark.parametrize("transport", ["sysv", "fd", "core"])
def test_a_grab_that_is_under_way_ends_when_the_server_dies(server: Server, transport: str) -> None:
    screen = xshm.Screen(server.name, transport)
    server.pause()
    threading.Timer(0.1, server.kill).start()
    with within(1.5), pytest.raises(DisplayGone):
        screen.grab()
    screen.close()


def test_every_waiting_thread_is_told(server: Server, connection: Connection) -> None:
    told: dict[str, tuple[type[BaseException], float]] = {}

    def run(name: str, work: Callable[[], object]) -> None:
        try:
            while True:
                work()
        except XshmError as error:
            told[name] = (type(error), time.monotonic())

    def send_and(then: Callable[[], object]) -> None:
        connection.wire.send(Request(_NO_OPERATION))
        then()

    xlib = xshm.Screen(server.name).xlib
    works: dict[str, Callable[[], object]] = {
        "waits for an event": connection.next_event,
        "waits for another": lambda: connection.wire.next_event(connection.wire.events),
        "waits with a timeout": lambda: connection.wire.next_event(connection.wire.events, 30),
        "asks": connection.sync,
        "sends megabytes": partial(send_and, connection.flush),
        "sends and asks": partial(send_and, connection.sync),
        "waits on another connection": xlib.next_event,
    }
    threads = [threading.Thread(target=run, args=each) for each in works.items()]
    for thread in threads:
        thread.start()
    time.sleep(0.1)
    server.pause()
    time.sleep(0.2)  # until the sender is stuck
    assert not told
    died = time.monotonic()
    server.kill()
    for thread in threads:
        thread.join(3)
    assert {name: kind for name, (kind, _) in told.items()} == dict.fromkeys(works, DisplayGone)
    assert max(at for _, at in told.values()) - died < 1
    xlib.close()


def test_closing_after_the_server_died_is_quick_and_quiet(server: Server) -> None:
    connection = Connection(server.name)
    connection.wire.send(Request(_NO_OPERATION))
    server.kill()
    with within(0.5):
        connection.close()
        connection.close()


# -- stopped ---------------------------------------------------------------------------------------------------------


def test_a_stopped_server_is_a_timeout_and_a_late_answer_is_nobody_elses(server: Server) -> None:
    connection = Connection(server.name, timeout=0.1)
    atoms = [connection.request(core.InternAtom, name=f"XSHM_{number}", only_if_exists=0).atom for number in range(4)]
    server.pause()
    for number in range(4):
        with within(1), pytest.raises(RequestTimeout, match="it may be stopped or grabbed by another client"):
            connection.request(core.InternAtom, name=f"XSHM_{number}", only_if_exists=0)
        with within(1), pytest.raises(RequestTimeout):
            connection.sync()
    server.resume()
    connection.wire.timeout = 5
    for number in (3, 1, 0, 2):
        assert connection.request(core.InternAtom, name=f"XSHM_{number}", only_if_exists=0).atom == atoms[number]
    connection.close()


@pytest.mark.parametrize("transport", ["sysv", "fd", "core"])
def test_a_timed_out_grab_does_not_spoil_the_next(server: Server, transport: str) -> None:
    with xshm.Screen(server.name, transport, timeout=0.1) as screen:
        held = screen.grab((0, 0, 50, 50))
        before = held.pixels.copy()
        server.pause()
        for _ in range(3):
            with pytest.raises(RequestTimeout):
                screen.grab((0, 0, 50, 50))
        server.resume()
        screen.connection.wire.timeout = 5
        frames = [screen.grab((0, 0, 50, 50)) for _ in range(4)]
        assert all((each.pixels == before).all() for each in frames)


def test_sending_megabytes_to_a_stopped_server_times_out_and_goes_on_where_it_was(
    server: Server, connection: Connection
) -> None:
    server.pause()
    fill(connection)
    connection.wire.timeout = 0.1
    for call in (connection.sync, connection.flush, lambda: connection.request(core.GetInputFocus)):
        with within(1), pytest.raises(RequestTimeout):
            call()
    with within(1):
        assert connection.wire.next_event(connection.wire.events, 0.1) is None
    with within(1):
        assert connection.pending_events() == 0
    server.resume()
    connection.wire.timeout = 5
    assert connection.request(core.GetGeometry, drawable=connection.setup.root.id).width == 320


def test_a_thread_that_can_not_send_does_not_keep_others_from_their_events(
    server: Server, connection: Connection
) -> None:
    server.pause()
    fill(connection)
    senders = [threading.Thread(target=connection.sync) for _ in range(3)]
    for sender in senders:
        sender.start()
    with within(1):
        assert connection.wire.next_event(connection.wire.events, 0.2) is None
    server.resume()
    for sender in senders:
        sender.join(5)
        assert not sender.is_alive()


def test_closing_a_stopped_server_s_connection_takes_a_second_at_most(server: Server) -> None:
    for filled in (False, True):
        connection = Connection(server.name)
        server.pause()
        if filled:
            fill(connection)
        with within(2.5):
            connection.close()
        server.resume()


def test_a_thread_that_waits_without_limit_outlasts_a_pause(server: Server, connection: Connection) -> None:
    server.pause()
    threading.Timer(0.3, server.resume).start()
    with within(3):
        connection.sync()
