"""Servers that do not reply: streams, verbs, and functions that open their own connection end in time."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from fake_server import REQUEST, FakeServer, error, reply
from faults.stopped import Dripping
from interrupt_points import at_every_point
from painter import Painter
from servers import start

import xshm
from xshm.capture.stream_wait import Wait
from xshm.cli import main
from xshm.cli.last_picture import LastPicture
from xshm.errors import Closed, ConnectFailed, RequestTimeout, WaitTimeout, WindowNotFound, XshmError
from xshm.surface.surface import Surface
from xshm.system.deadlines import ENDS, GRACE, bounded, holding, nearest, within
from xshm.x11.connection import Connection
from xshm.x11.display_name import DisplayName

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from types import FrameType

    from servers import Server

SILENT = "the server did not answer in time; it may be stopped or grabbed by another client"
KINDS: list[dict[str, Any]] = [{}, {"fps": 100}, {"cursor": True}, {"on_change": True}, {"on_change": True, "fps": 100}]
UNDER_WAY = KINDS[0], KINDS[2]  # whose next frame is asked for before it is wanted


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with start("Xvfb", 320, 200) as server:
        yield server


@pytest.fixture
def screen(server: Server) -> Iterator[xshm.Screen]:
    with xshm.Screen(server.name) as screen:
        yield screen


@contextlib.contextmanager
def paused(server: Server) -> Iterator[None]:
    server.pause()
    try:
        yield
    finally:
        server.resume()


@contextlib.contextmanager
def takes(seconds: float) -> Iterator[None]:
    """Check that something takes so many seconds, and not for ever: as many more as a busy machine may need."""
    before = time.monotonic()
    yield
    assert seconds <= time.monotonic() - before < seconds + 5


def take(stream: xshm.Stream, *, in_a_loop: bool) -> xshm.Frame:
    async def one() -> xshm.Frame:
        return await anext(stream)

    return asyncio.run(one()) if in_a_loop else next(stream)


# -- streams -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("in_a_loop", [False, True], ids=["sync", "async"])
def test_a_stream_that_is_owed_an_answer_ends_in_the_screens_time_and_goes_on(
    server: Server, *, in_a_loop: bool
) -> None:
    with contextlib.ExitStack() as opened:
        painter = opened.enter_context(Painter(server))
        screens = [opened.enter_context(xshm.Screen(server.name, timeout=30)) for _ in KINDS]
        streams = [
            opened.enter_context(screen.stream((0, 0, 20, 20), **kind))
            for screen, kind in zip(screens, KINDS, strict=True)
        ]
        for stream in streams:
            take(stream, in_a_loop=in_a_loop)
        painter.fill((0, 0, 20, 20), (1, 2, 3))  # of which the word is there, but not the picture
        with paused(server):
            for screen, stream, kind in zip(screens, streams, KINDS, strict=True):
                screen.connection.wire.timeout = 0.1
                if kind in UNDER_WAY:
                    take(stream, in_a_loop=in_a_loop)
                with takes(0.1), pytest.raises(RequestTimeout, match=SILENT):
                    take(stream, in_a_loop=in_a_loop)
        for screen, stream in zip(screens, streams, strict=True):
            screen.connection.wire.timeout = 30
            assert take(stream, in_a_loop=in_a_loop).pixel(5, 5) == (1, 2, 3)


@pytest.mark.parametrize("in_a_loop", [False, True], ids=["sync", "async"])
def test_a_change_is_waited_for_without_a_limit(server: Server, *, in_a_loop: bool) -> None:
    with (
        xshm.Screen(server.name, timeout=0.3) as screen,
        screen.stream((0, 0, 20, 20), on_change=True) as stream,
        Painter(server) as painter,
    ):
        take(stream, in_a_loop=in_a_loop)
        timer = threading.Timer(0.5, painter.fill, ((0, 0, 20, 20), (9, 8, 7)))
        timer.start()
        assert take(stream, in_a_loop=in_a_loop).pixel(5, 5) == (9, 8, 7)
        timer.join()


def test_a_signal_handlers_timeout_is_not_a_streams(server: Server) -> None:
    def interrupt(frame: FrameType, _event: str, _arg: object) -> None:
        if frame.f_code is asyncio.Event.wait.__code__:
            sys.settrace(None)
            raise TimeoutError("the alarm's")

    async def wait(stream: xshm.Stream) -> None:
        await anext(stream)
        sys.settrace(interrupt)
        await anext(stream)

    former = sys.gettrace()
    with xshm.Screen(server.name) as screen, screen.stream((0, 0, 20, 20), on_change=True) as stream:
        try:
            with pytest.raises(TimeoutError, match="the alarm's"):
                asyncio.run(asyncio.wait_for(wait(stream), 5))
        finally:
            sys.settrace(former)


def test_a_stream_whose_screen_another_thread_closes_is_closed(server: Server) -> None:
    opened = xshm.Screen(server.name)

    class Closing:
        @property
        def done(self) -> bool:  # looked at between what has arrived and what is waited for
            opened.close()
            return False

    with pytest.raises(Closed):
        asyncio.run(Wait(Closing()).suspend(opened.connection.wire))


def test_the_time_for_an_answer_is_the_wait_s_and_not_that_of_the_caller(server: Server) -> None:
    with xshm.Screen(server.name, timeout=30) as screen, screen.stream(fps=100) as stream:

        async def given_up() -> None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(anext(stream), 0.05)

        take(stream, in_a_loop=True)  # so that its memory is there
        with paused(server):
            asyncio.run(given_up())
            screen.connection.wire.timeout = 0.3
            time.sleep(0.3)
        assert take(stream, in_a_loop=True).rect == screen.rect


# -- verbs that have a time of their own -------------------------------------------------------------------------------

WAITS: list[Callable[[Any, float], object]] = [
    lambda source, timeout: source.wait_change(timeout),
    lambda source, timeout: source.wait_stable(0.05, timeout),
    lambda source, timeout: source.wait_for(lambda _: False, timeout),
    lambda source, timeout: source.wait_pixel(1, 1, "#123456", timeout),
    lambda source, timeout: source.wait_image(np.full((2, 2, 3), 77, np.uint8), timeout=timeout),
]


def ended_in(seconds: float, works: Sequence[Callable[[], object]]) -> list[BaseException | None]:
    """Do pieces of work at once, each in so many seconds; return what they have raised."""
    raised: list[BaseException | None] = [None for _ in works]

    def do(number: int) -> None:
        with takes(seconds):
            try:
                works[number]()
            except XshmError as error:
                raised[number] = error.with_traceback(None)

    with ThreadPoolExecutor(len(works)) as threads:
        list(threads.map(do, range(len(works))))
    return raised


@pytest.mark.parametrize("source", ["Screen", "Window"])
def test_a_wait_ends_in_its_time_though_the_connection_has_none(server: Server, source: str) -> None:
    with contextlib.ExitStack() as opened:
        window = opened.enter_context(Painter(server)).window((0, 0, 30, 20), (1, 2, 3)).id
        sources: list[Any] = [opened.enter_context(xshm.Screen(server.name)) for _ in WAITS]
        if source == "Window":
            sources = [opened.enter_context(screen.window(window)) for screen in sources]
        waits = [partial(wait, each, 0.05) for wait, each in zip(WAITS, sources, strict=True)]
        with paused(server):
            raised = ended_in(0.05, waits)
        assert [type(error) for error in raised] == [RequestTimeout] * len(WAITS)
        assert not ENDS
        for each in sources:
            assert each.grab().rect == each.rect


def test_of_two_times_the_nearer_one_ends_a_wait(server: Server) -> None:
    with xshm.Screen(server.name, timeout=30) as screen, paused(server):
        screen.connection.wire.timeout = 0.05
        for wait in WAITS:
            with takes(0.05), pytest.raises(RequestTimeout, match=SILENT):
                wait(screen, 60)


def test_what_was_seen_before_the_server_stopped_is_told_as_ever(server: Server, screen: xshm.Screen) -> None:
    def stops(_: xshm.Frame) -> bool:
        server.pause()
        return False

    try:
        with (
            takes(0.1),
            pytest.raises(WaitTimeout, match=r"within 0\.1 s, and the server does not answer") as over,
        ):
            screen.wait_for(stops, 0.1)
    finally:
        server.resume()
    assert over.value.frame.rect == screen.rect


def test_a_change_that_a_stopped_server_does_not_tell_of_is_a_timeout(server: Server) -> None:
    with xshm.Screen(server.name) as one, xshm.Screen(server.name) as other, ThreadPoolExecutor() as threads:
        waits: list[Future[Any]] = [
            threads.submit(lambda: within(time.monotonic() + 0.5, one.wait_change)),
            threads.submit(lambda: within(time.monotonic() + 0.5, other.wait_stable, 0.45)),
        ]
        while not (one.stats().frames and other.stats().frames):
            time.sleep(0.005)
        with paused(server), takes(0):
            for each in waits:
                with pytest.raises(WaitTimeout, match="the server does not answer any more"):
                    each.result()


def test_what_a_predicate_does_is_not_bound_by_the_time_of_the_wait(screen: xshm.Screen) -> None:
    asked: list[xshm.Frame] = []

    def slow(_: xshm.Frame) -> bool:
        time.sleep(GRACE + 0.1)
        asked.append(screen.grab())
        return False

    with pytest.raises(WaitTimeout, match=r"did not come within 0\.01 s$"):  # the last look has a time of its own
        screen.wait_for(slow, 0.01)
    assert asked


def test_a_surface_ends_its_waits_though_another_thread_draws(server: Server) -> None:
    with Surface(20, 10, display=server.name) as surface:
        server.pause()
        # The first picture wants memory, which the server has to attach: without an end, and with the surface's lock.
        drawing = threading.Thread(target=surface.show, args=(np.zeros((10, 20, 3), np.uint8),))
        drawing.start()
        try:
            events: list[object] = []
            works = [lambda: events.extend(surface.events(timeout=0.1)), lambda: surface.wait(0.1)]
            assert [type(error) for error in ended_in(0.1, works)] == [type(None), RequestTimeout]
            assert events == []
        finally:
            server.resume()
        drawing.join()
        surface.wait(5)
    with Surface(20, 10, display=server.name, timeout=30) as surface:
        surface.show(np.zeros((10, 20, 3), np.uint8))
        surface.wait(5)
        with paused(server):
            surface.show(np.zeros((10, 20, 3), np.uint8))
            surface._connection.wire.timeout = 0.1
            with takes(0.1), pytest.raises(RequestTimeout, match=SILENT):
                surface.wait(60)


def test_a_verb_ends_in_its_time_though_another_thread_waits_for_memory_without_a_limit(
    server: Server, screen: xshm.Screen
) -> None:
    with ThreadPoolExecutor() as threads:
        with paused(server):
            first = threads.submit(screen.grab)  # which the server has to attach
            while not screen.connection.wire._reader:
                time.sleep(0.005)
            with takes(0.05), pytest.raises(RequestTimeout, match=SILENT):
                within(time.monotonic() + 0.05, screen.grab)
        assert first.result().rect == screen.grab().rect


def test_a_verb_ends_in_its_time_though_another_threads_error_handler_does_not(fake_server: FakeServer) -> None:
    over, told = threading.Event(), threading.Event()

    def ask(_error: bytes) -> None:
        told.set()
        over.wait(20)

    fake_server.wire.set_error_handler(ask)
    fake_server.send(error(0))
    with ThreadPoolExecutor() as threads:
        other = threads.submit(fake_server.wire.pump)
        assert told.wait(5)
        fake_server.send_after((4, reply(1)), (4, reply(2)))
        try:
            with takes(GRACE), pytest.raises(RequestTimeout, match=SILENT):
                within(time.monotonic(), fake_server.wire.call, REQUEST)
        finally:
            over.set()
        other.result()
    assert fake_server.wire.call(REQUEST).reply == reply(2)


def test_a_programs_window_is_waited_for_in_the_time_that_was_given(server: Server) -> None:
    with xshm.VirtualDisplay.attach(server.name) as display, display.run("sleep 60") as program:
        assert display.screen.connection.wire.timeout == 30
        waits = [
            lambda: program.wait_window(timeout=0.1),
            lambda: program.wait_painted(display.screen, timeout=0.1),
            lambda: display.launch("sleep 60", timeout=0.1),
        ]
        with paused(server):
            raised = ended_in(0.1, waits)
        assert [type(error) for error in raised] == [WindowNotFound, RequestTimeout, RequestTimeout]
        assert f"has shown no window within 0.1 s; the X server at unix:/tmp/.X11-unix/X{server.name[1:]}" in str(
            raised[0]
        )
        with pytest.raises(WindowNotFound, match=r"has shown no window within 0\.1 s"):
            program.wait_window(timeout=0.1)


# -- connecting --------------------------------------------------------------------------------------------------------


def test_a_set_up_that_comes_byte_by_byte_has_one_deadline(server: Server, tmp_path: Path) -> None:
    way = Dripping(server, tmp_path)
    way.drips = True
    try:
        with takes(0.2), pytest.raises(RequestTimeout, match="took the connection and did not answer in time"):
            Connection(way.name, timeout=0.2)
        with takes(GRACE), pytest.raises(RequestTimeout, match="took the connection"):
            within(time.monotonic(), Connection, way.name)
    finally:
        way.close()


def test_a_server_that_has_no_room_for_who_connects_is_waited_for(tmp_path: Path) -> None:
    name = DisplayName.parse(str(tmp_path / "X1"))
    with contextlib.ExitStack() as opened:
        full = opened.enter_context(socket.socket(socket.AF_UNIX))
        full.bind(name.path)
        full.listen(0)
        opened.callback(name.connect(1)[0].close)
        with takes(0.1), pytest.raises(RequestTimeout, match="took no more connections in time"):
            name.connect(0.1)
        timer = threading.Timer(0.1, lambda: opened.enter_context(full.accept()[0]))
        timer.start()
        opened.callback(name.connect(5)[0].close)
        timer.join()


def test_a_hosts_name_that_is_not_found_out_is_waited_for_in_the_time_that_was_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    over = threading.Event()
    real = socket.getaddrinfo

    def silent(*wanted: Any) -> Any:  # as where no name server answers
        over.wait(30)
        return real(*wanted)

    name = DisplayName.parse("tcp/127.0.0.1:59000")
    monkeypatch.setattr(socket, "getaddrinfo", silent)
    try:
        with takes(0.1), pytest.raises(ConnectFailed, match=r"the host '127.0.0.1' is not known .*no answer in time"):
            name.connect(0.1)
        with takes(GRACE), pytest.raises(ConnectFailed, match="no answer in time"):
            within(time.monotonic(), Connection, name.name)
    finally:
        over.set()
    for timeout in (None, 5):
        with pytest.raises(ConnectFailed, match="no X server answers"):
            name.connect(timeout)


# -- the end -----------------------------------------------------------------------------------------------------------


def test_what_is_closed_does_not_wait_for_the_server_nor_for_threads_that_do(
    make_server: Callable[..., Server], tmp_path: Path
) -> None:
    server = make_server("Xvfb", 320, 200, 24, "-fbdir", str(tmp_path))
    screen, other = xshm.Screen(server.name), xshm.Screen(server.name)
    display = xshm.VirtualDisplay.attach(server.name)
    with Painter(server) as painter, screen, ThreadPoolExecutor() as threads:
        shown = painter.window((0, 0, 30, 20), (1, 2, 3))
        window = screen.window(shown.id)
        with paused(server):
            hanging: list[Future[Any]] = [
                threads.submit(other.grab),
                threads.submit(lambda: display.framebuffers),
            ]  # hold locks
            time.sleep(0.1)
            assert ended_in(0.9, [window.close, other.close, display.close]) == [None, None, None]
            assert [type(each.exception(1)) for each in hanging] == [Closed, Closed]
        # It is followed again where it was closed without a word.
        with screen.window(shown.id) as again:
            shown.configure(width=50)
            painter.display.sync()
            assert again.grab().rect.width == 50
        assert not screen.connection.wire.events


# -- the command line --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", ["shot -", "wait --change"])
def test_a_command_ends_with_one_line_when_the_server_does_not_answer(
    server: Server, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with paused(server), takes(0.1):
        assert main.main([*words.split(), "--display", server.name, "--timeout", "0.1"]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.endswith("took the connection and did not answer in time; --timeout gives it longer\n")
    assert told.err.count("\n") == 1


def test_a_command_has_half_a_minute_by_itself(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("shot", "windows", "monitors", "info", "view", "run"):
        with pytest.raises(SystemExit):
            main.main([command, "--help"])
        assert "(default: 30)" in " ".join(capsys.readouterr().out.split()), command


def test_the_last_picture_is_given_in_time_and_watched_for_when_the_server_goes_on(server: Server) -> None:
    with LastPicture(server.name, None, timeout=0.3) as picture, Painter(server) as painter:
        with paused(server), takes(0.3), pytest.raises(RequestTimeout, match=SILENT):
            picture.take()
        picture._screen.connection.wire.timeout = picture._timeout = 30
        window = painter.window((0, 0, 30, 20), (5, 6, 7))
        while picture._kept is None or picture._kept.pixel(3, 3) != (5, 6, 7):
            time.sleep(0.01)
        window.destroy()
        painter.display.sync()
        assert picture.take().pixel(3, 3) == (5, 6, 7)


# -- how -------------------------------------------------------------------------------------------------------------


def test_the_earliest_of_several_ends_holds() -> None:
    now = time.monotonic()
    assert bounded(None) is None
    assert within(now + 9, within, now + 5, nearest, now + 7) == now + 5
    assert within(now + 5, within, now + 9, nearest, now + 9) == now + 5
    assert within(now + 5, bounded, 1) == 1
    assert 0 < (within(now - 5, bounded, 9) or 0) <= GRACE
    assert within(float("inf"), bounded, None) is None
    assert not ENDS


def test_no_time_and_no_lock_outlasts_a_signal_handler_that_raises() -> None:
    lock, mine = Lock(), threading.get_ident()

    def work() -> None:
        within(time.monotonic() + 5, lambda: within(time.monotonic() + 3, lambda: holding(lock, nearest, 9.0)))

    for _ in at_every_point(work):
        assert mine not in ENDS
        assert not lock.locked()
