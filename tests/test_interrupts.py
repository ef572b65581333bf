"""What is cut short by a signal handler leaves nothing on the server, stops nobody else, and tells what was raised.

`tests/faults/interrupts.py` does it to every verb, and by the thousand.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
import warnings
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

import interrupt_points
import pytest
from descriptors import new_descriptors, open_descriptors
from interrupt_points import Interrupted, interrupted_at
from PIL import Image

import xshm
from xshm.image.files import reader
from xshm.system.atomic_write import replace_file
from xshm.virtual.framebuffer import Framebuffer
from xshm.virtual.servers.control_socket import ControlSocket
from xshm.x11.connection import Connection
from xshm.x11.protocol import core, xfixes
from xshm.x11.protocol.requests import weakly
from xshm.x11.scheduling import _Grab, with_server_grabbed
from xshm.x11.windows.event_masks import EventMasks
from xshm.x11.windows.structure_events import subscribe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from painter import Painter
    from servers import Server

pytestmark = pytest.mark.timeout(method="thread")  # the other one uses SIGALRM, as the tests here do


class _Own(TimeoutError):
    """What an alarm's handler raises."""


def _after(seconds: float, work: Callable[[], object]) -> None:
    """Do some work that is interrupted by a real signal, whose handler raises.

    A file that was being opened then closes itself, with a warning that says so; that none stays open is the tests' own
    to show.
    """

    def handle(*_: object) -> None:
        raise _Own("the handler's own")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # of what was made and nobody was given
        former = signal.signal(signal.SIGALRM, handle)
        try:
            signal.setitimer(signal.ITIMER_REAL, seconds)
            work()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, former)


@pytest.fixture
def connection(xvfb: Server) -> Iterator[Connection]:
    connection = Connection(xvfb.name, timeout=20)
    yield connection
    connection.close()


@pytest.fixture
def other(xvfb: Server) -> Iterator[Connection]:
    """Give another client, who does not wait for long."""
    connection = Connection(xvfb.name, timeout=5)
    yield connection
    connection.close()


# -- the server, grabbed -----------------------------------------------------------------------------------------------


def test_other_clients_go_on_whichever_point_of_a_grab_is_interrupted(
    connection: Connection, other: Connection
) -> None:
    def work() -> None:
        with_server_grabbed(connection, connection.sync)

    work()
    point, goes_on = 0, True
    while goes_on:
        point += 1
        countdown = interrupt_points._Countdown(point)
        try:
            countdown.start()
            work()
            goes_on = False
        except Interrupted:
            countdown.stop()
            other.sync()  # while the exception, and so all that its frames have, is held
        finally:
            countdown.stop()
    assert point > 60


def test_a_grab_that_nobody_ended_ends_with_the_next_answer(connection: Connection, other: Connection) -> None:
    grab = _Grab(connection)
    grab.begin()
    connection.sync()
    del grab
    connection.sync()
    other.sync()


def test_threads_that_grab_the_server_by_one_connection_take_turns(connection: Connection, other: Connection) -> None:
    begun, may_end, done = threading.Event(), threading.Event(), []

    def first() -> None:
        begun.set()
        may_end.wait(20)
        done.append("the first")

    threads = [threading.Thread(target=with_server_grabbed, args=(connection, first))]
    threads[0].start()
    assert begun.wait(20)
    threads.append(threading.Thread(target=with_server_grabbed, args=(connection, lambda: done.append("the second"))))
    threads[1].start()
    threads[1].join(0.1)
    assert done == []
    may_end.set()
    for each in threads:
        each.join()
    assert done == ["the first", "the second"]
    other.sync()


def test_a_framebuffer_that_is_interrupted_while_it_is_copied_lets_the_others_go_on(
    make_server: Callable[..., Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = make_server("Xvfb", 64, 48, 24, "-fbdir", str(tmp_path))
    other = Connection(server.name, timeout=5)
    with Framebuffer.open(tmp_path / "Xvfb_screen0", server.name, has_pointer=False) as framebuffer:
        framebuffer.grab()
        with monkeypatch.context() as meanwhile:
            meanwhile.setattr(framebuffer, "_copy", lambda _rect: time.sleep(20))
            with pytest.raises(_Own):
                _after(0.02, framebuffer.grab)
        other.sync()
        assert framebuffer.grab().rect == framebuffer.rect
    other.close()


# -- what the server keeps ---------------------------------------------------------------------------------------------


def test_what_is_held_is_freed_once_and_its_id_is_nobody_elses_before_that(connection: Connection) -> None:
    fixes = connection.require(xfixes.NAME, xfixes.VERSION, "a test").major
    region = connection.resources.new_id(xfixes.DestroyRegion, "region", opcode=fixes)
    connection.send(xfixes.CreateRegion, opcode=fixes, region=region, rectangles=[])
    number, release = int(region), region.release

    def ask() -> None:
        connection.request(xfixes.FetchRegion, opcode=fixes, region=number)

    ask()
    assert len(connection.resources.numbers) == 1
    del region
    assert len(connection.resources.numbers) == 1  # noted, and not yet told
    connection.sync()
    assert not connection.resources.numbers
    sent = release.request.serial
    with pytest.raises(xshm.ServerError):
        ask()
    connection.resources.send_release(release)
    assert release.request.serial == sent
    again = connection.resources.new_id(xfixes.DestroyRegion, "region", opcode=fixes)
    connection.resources.numbers[release.number or 0] = again.release  # as if another had the number by now
    connection.resources.send_release(release)
    assert connection.resources.numbers[release.number or 0] is again.release


def test_what_is_freed_is_not_freed_again_when_it_goes(connection: Connection) -> None:
    pixmap = connection.resources.new_id(core.FreePixmap, "pixmap")
    root = connection.setup.root.id
    connection.send(core.CreatePixmap, depth=24, pid=pixmap, drawable=root, width=1, height=1)
    connection.resources.free(pixmap)
    connection.resources.free(pixmap)
    last = connection.wire.send(xshm.x11.protocol.requests.Request(b"\x2b\0\1\0")).serial
    del pixmap
    connection.sync()
    assert connection.wire._ledger[-1].serial == last + 1  # the sync alone


def test_word_of_a_window_is_not_lost_to_a_subscription_that_was_interrupted(
    connection: Connection, painter: Painter
) -> None:
    window = painter.window((5, 5, 20, 20), (1, 2, 3))
    masks = EventMasks(connection)
    point = 1
    while interrupted_at(point, lambda: subscribe(masks, (window.id,))):
        subscription = subscribe(masks, (window.id,))
        connection.sync()
        subscription.stale = False
        window.configure(width=20 + point % 7 + 1)
        painter.display.sync()
        connection.sync()
        assert subscription.stale
        masks.release(subscription, (window.id,))
        attributes = connection.request(core.GetWindowAttributes, window=window.id)
        assert not attributes.your_event_mask
        point += 1
    assert point > 30
    window.destroy()


def test_a_method_that_is_held_weakly_has_no_callback_in_python() -> None:
    class Listener:
        def hear(self, message: bytes) -> bytes:
            return message

    listener = Listener()
    hear = weakly(listener.hear)
    assert hear(b"word") == b"word"
    assert [each.__callback__ for each in weakref.getweakrefs(listener)] == [None]
    del listener
    assert hear(b"word") is None


# -- what comes out ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("timeout", [None, 30.0])
def test_a_handlers_error_while_connecting_is_its_own(tmp_path: Path, timeout: float | None) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "X7"))
        silent.listen()
        with pytest.raises(_Own, match="the handler's own"):
            _after(0.02, lambda: xshm.Screen(str(tmp_path / "X7"), timeout=timeout))


def test_a_handlers_error_while_the_authority_is_read_is_its_own(xvfb: Server, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "authority")  # to open it waits for a writer
    with pytest.raises(_Own, match="the handler's own"):
        _after(0.02, lambda: xshm.Screen(xvfb.name, xauthority=tmp_path / "authority"))


def test_a_handlers_error_while_a_supervisor_is_waited_for_is_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = tmp_path / "python"
    silent.write_text("#!/bin/sh\nexec sleep 60\n")
    silent.chmod(0o700)
    monkeypatch.setenv("XSHM_PYTHON", str(silent))
    wait_answer = ControlSocket.wait_answer

    def interrupted(control: ControlSocket, wanted: str, deadline: float) -> str:
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        return wait_answer(control, wanted, deadline)

    monkeypatch.setattr(ControlSocket, "wait_answer", interrupted)
    with pytest.raises(_Own, match="the handler's own"):
        _after(20, lambda: xshm.VirtualDisplay(64, 48))


@pytest.mark.parametrize("seconds", [0.004, 0.02])
def test_a_handlers_error_while_a_display_starts_is_its_own_and_leaves_nothing(seconds: float) -> None:
    before = open_descriptors()
    with pytest.raises(_Own, match="the handler's own"):
        _after(seconds, lambda: [xshm.VirtualDisplay(64, 48) for _ in range(20)])
    assert not new_descriptors(before)


def test_a_handlers_error_while_pillow_writes_is_its_own(xvfb: Server) -> None:
    with xshm.Screen(xvfb.name) as screen:
        frame = screen.grab()
    frame.encode("webp")
    with pytest.raises(_Own, match="the handler's own"):
        _after(0.05, lambda: [frame.encode("webp") for _ in range(1000)])


class _Reset(ConnectionResetError):
    pass


class _Blocking(BlockingIOError):
    pass


class _Missing(FileNotFoundError):
    pass


class _Value(ValueError):
    pass


_OF_HANDLERS = (_Own, _Value, _Blocking, _Reset, _Missing)


def _check_outcomes(work: Callable[[], object], step: int) -> None:
    """Raise at every so-manieth point, each time another exception, which has to come out as it is."""
    work()
    wrong = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # of what was made and nobody was given
        for number, point in enumerate(range(1, interrupt_points.count_points(work), step)):
            raised = _OF_HANDLERS[number % len(_OF_HANDLERS)]
            error, fired = interrupt_points.outcome(point, raised, work)
            if fired and type(error) is not raised and not isinstance(getattr(error, "__cause__", None), raised):
                wrong.append((point, raised.__name__, repr(error)))
            error = None
        gc.collect()
    assert wrong == []


def test_a_handlers_error_comes_out_of_connecting_wherever_it_is_raised(xvfb: Server) -> None:
    _check_outcomes(lambda: Connection(xvfb.name).close(), 3)


def test_a_handlers_error_comes_out_of_starting_a_program_wherever_it_is_raised() -> None:
    with xshm.VirtualDisplay(64, 48, args=("-extension", "GLX")) as display:
        _check_outcomes(lambda: display.run(["true"]).wait(), 4)


def test_a_handlers_error_comes_out_of_files_wherever_it_is_raised(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    Image.new("RGB", (8, 8)).save(path)
    before = path.read_bytes()
    _check_outcomes(lambda: replace_file(path, before), 1)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
    _check_outcomes(lambda: reader.read(path, (9, 9, "is too large")), 2)


# -- the end of a display ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("point", [8, 60, 150])
def test_a_display_whose_close_was_interrupted_ends_and_is_gone_when_it_is_closed_again(point: int) -> None:
    display = xshm.VirtualDisplay(64, 48, args=("-extension", "GLX"))
    display.screen.grab()
    server = os.pidfd_open(display.pid or 0)
    name = Path(f"/tmp/.X11-unix/X{display.name[1:]}")  # noqa: S108
    its_own = name.stat().st_ino
    program = display.run(["sleep", "100"])
    assert interrupted_at(point, display.close)
    assert select.select([server], [], [], 5)[0]  # by itself
    display.close()
    assert program.returncode == -signal.SIGTERM
    with contextlib.suppress(FileNotFoundError):
        assert name.stat().st_ino != its_own  # another test's server may have the number by now
    os.close(server)


# -- generators --------------------------------------------------------------------------------------------------------

_GENERATOR = """
    import gc, sys, xshm

    def frames():
        with xshm.Screen(sys.argv[1], sys.argv[2]) as screen, screen.stream(on_change=True) as stream:
            yield from stream

    class Viewer:
        def __init__(self):
            self.screen = xshm.Screen(sys.argv[1], sys.argv[2])
            self.stream = self.screen.stream(on_change=True)
            self.frames = self.run()

        def run(self):
            with self.stream as stream:
                yield from stream

    viewer = Viewer()
    next(viewer.frames)
    cell = [frames()]
    cell.append(cell)
    next(cell[0])
    del viewer, cell
    gc.collect()
    at_exit = frames()
    next(at_exit)
"""


@pytest.mark.parametrize("transport", ["sysv", "core"])
def test_a_generator_in_a_cycle_with_its_stream_or_open_at_exit_is_silent(xvfb: Server, transport: str) -> None:
    command = [sys.executable, "-c", textwrap.dedent(_GENERATOR), xvfb.name, transport]
    run: Any = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
