"""A trace from its start to its stop, and what ends it: files are complete, errors are told, nothing is left."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from descriptors import new_descriptors, open_descriptors
from disks import fill
from displays import painting
from painter import Painter
from programs import eventually

import xshm
from xshm.errors import (
    Closed,
    DisplayGone,
    InvalidArgument,
    InvalidType,
    OutOfBounds,
    RecordingFailed,
    TargetNotFound,
    WindowGone,
    WindowNotViewable,
)
from xshm.trace import engine
from xshm.trace import trace as trace_module

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from servers import Server

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
_BOX = (0, 0, 60, 50)


def _corner(reader: xshm.TraceReader, seconds: float | None = None) -> tuple[int, ...]:
    """Return the colour of the first pixel, at the end if no other time is named."""
    return tuple(reader.at(reader.duration if seconds is None else seconds).rgb()[0, 0].tolist())


# -- the file ----------------------------------------------------------------------------------------------------------


def test_the_file_has_the_picture_of_each_mark(screen: xshm.Screen, painter: Painter, tmp_path: Path) -> None:
    path = tmp_path / "trace.html"
    painter.fill(_BOX, RED)
    with screen.trace(path, region=_BOX, title="of <colours>") as trace:
        before = time.monotonic_ns()
        for colour in (GREEN, BLUE):
            painter.fill(_BOX, colour)
            trace.catch_up()
            trace.mark(str(colour))
        assert not path.exists()
        assert trace.is_running
        assert trace.duration > 0
        assert trace.bytes > 0
    with xshm.Trace.open(path) as reader:
        assert [_corner(reader, each.seconds) for each in reader.marks] == [GREEN, BLUE]
        assert [each.title for each in reader.marks] == [str(GREEN), str(BLUE)]
        assert _corner(reader, 0) == RED
        assert reader.title == "of <colours>"
        assert reader.size == (60, 50)
        assert reader.ended == ""
        assert 0 <= before - reader.started_ns < 10**9
        assert abs(reader.started_at - time.time()) < 60
        assert reader.duration == pytest.approx(trace.duration)
        assert reader.head["how"] == trace.how != ""
    assert "of &lt;colours&gt;" in path.read_text()


def test_an_exception_goes_on_and_is_the_traces_failure(screen: xshm.Screen, painter: Painter, tmp_path: Path) -> None:
    path = tmp_path / "trace.html"

    def work() -> None:
        with screen.trace(path, region=_BOX, redact=["division"]):
            painter.fill(_BOX, BLUE)
            1 / 0  # noqa: B018

    with pytest.raises(ZeroDivisionError) as raised:
        work()
    assert not hasattr(raised.value, "__notes__")
    with xshm.Trace.open(path) as reader:
        (mark,) = reader.marks
        assert (mark.kind, mark.title) == ("failure", "ZeroDivisionError: █████ by zero")
        assert mark.file == __file__
        assert mark.line == raised.traceback[-1].lineno + 1
        assert "1 / 0" in mark.text
        assert "division" not in mark.text
        assert _corner(reader) == BLUE


def test_a_generator_that_is_closed_is_no_failure(screen: xshm.Screen, tmp_path: Path) -> None:
    def steps() -> Iterator[int]:
        with screen.trace(tmp_path / "trace.html", region=_BOX):
            yield 1

    running = steps()
    next(running)
    del running  # which raises GeneratorExit at the yield
    with xshm.Trace.open(tmp_path / "trace.html") as reader:
        assert (reader.marks, reader.ended) == ([], "")


def test_what_is_kept_is_saved_while_it_runs_and_afterwards(
    screen: xshm.Screen, painter: Painter, tmp_path: Path
) -> None:
    with screen.trace(keep_last=60, region=_BOX) as trace:
        painter.fill(_BOX, RED)
        trace.save(tmp_path / "red.html")
        painter.fill(_BOX, GREEN)
        trace.save(tmp_path / "green.html")
        painter.fill(_BOX, BLUE)
    trace.failure("found later", "the report", "test.py", 12)
    trace.save(tmp_path / "blue.html")
    for name, colour in (("red", RED), ("green", GREEN), ("blue", BLUE)):
        with xshm.Trace.open(tmp_path / f"{name}.html") as reader:
            assert _corner(reader) == colour
            assert reader.ended == ""
            (*marks,) = reader.marks
    assert [(each.title, each.text, each.file, each.line) for each in marks] == [
        ("found later", "the report", "test.py", 12)
    ]
    assert trace.at(trace.duration).rgb()[0, 0].tolist() == list(BLUE)


def test_of_a_ring_the_last_seconds_are_kept_and_no_more_than_its_bytes() -> None:
    with xshm.VirtualDisplay(300, 200) as display, painting(display) as painter:
        with display.screen.trace(keep_last=0.3, fps=100) as trace:
            for _ in range(30):
                painter.rectangles(1)
                trace.catch_up()
                time.sleep(0.03)
            reader = trace.reader()
            assert 0.3 <= reader.duration - reader.begin < 0.9
            assert trace.dropped > 5
            assert reader.windows(reader.begin) == []  # said anew
            assert reader.pointer(reader.begin) is not None
        with display.screen.trace(keep_last=600, max_bytes=1 << 20, fps=1000) as trace:
            for _ in range(25):
                painter.noise((0, 0, 300, 200))
                trace.catch_up()
                assert trace.bytes <= 1.3 * (1 << 20)
            assert trace.dropped > 5
            for number in range(20_000):
                trace.log(f"line {number} " + 80 * "x")
            assert trace.bytes <= 1.3 * (1 << 20)
            assert trace.reader().log[-1].text.startswith("line 19999 ")


# -- its end -----------------------------------------------------------------------------------------------------------


def test_the_end_of_the_server_is_raised_once_and_the_file_has_what_was_there(
    make_server: Callable[..., Server], tmp_path: Path
) -> None:
    server = make_server("Xvfb", 200, 150)
    with xshm.Screen(server.name) as screen:
        trace = screen.trace(tmp_path / "trace.html")
        with Painter(server) as painter:
            trace.start()
            painter.fill((0, 0, 200, 150), GREEN)
            trace.catch_up()
        server.kill()
        assert eventually(lambda: not trace.is_running)
        assert isinstance(trace.ended, DisplayGone)
        trace.mark("afterwards")
        with pytest.raises(DisplayGone):
            trace.stop()
        trace.stop()
    with xshm.Trace.open(tmp_path / "trace.html") as reader:
        assert _corner(reader) == GREEN
        assert reader.ended.startswith("DisplayGone: ")
        assert [each.seconds for each in reader.marks] == [reader.duration]


def test_with_a_server_that_stands_still_it_ends_in_time(
    make_server: Callable[..., Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_LAST_LOOK", "_CATCH_UP"):
        monkeypatch.setattr(engine, name, 0.2)
    server = make_server("Xvfb", 200, 150)
    with Painter(server) as painter, xshm.Screen(server.name) as screen:
        painter.fill((0, 0, 200, 150), GREEN)
        trace = screen.trace(tmp_path / "trace.html")
        trace.start()
        server.pause()
        try:
            begin = time.monotonic()
            trace.catch_up()
            trace.stop()
            assert time.monotonic() - begin < 2
        finally:
            server.resume()
        with xshm.Trace.open(tmp_path / "trace.html") as reader:
            assert _corner(reader) == GREEN


def test_a_window_that_is_closed_ends_it_and_is_no_error(xvfb: Server, tmp_path: Path) -> None:
    with Painter(xvfb) as painter, xshm.Screen(xvfb.name) as screen:
        shown = painter.window((40, 40, 60, 50), RED)
        with screen.window(shown.id) as window, window.trace(tmp_path / "trace.html") as trace:
            shown.destroy()
            painter.display.sync()
            assert eventually(lambda: not trace.is_running)
        assert isinstance(trace.ended, WindowGone)
        with xshm.Trace.open(tmp_path / "trace.html") as reader:
            assert _corner(reader) == RED
            assert "WindowGone" in reader.ended


def test_closing_the_screen_ends_it(xvfb: Server, tmp_path: Path) -> None:
    screen = xshm.Screen(xvfb.name)
    trace = screen.trace(tmp_path / "trace.html", region=_BOX)
    trace.start()
    screen.close()
    assert eventually(lambda: not trace.is_running)
    with pytest.raises(Closed):
        trace.stop()
    with xshm.Trace.open(tmp_path / "trace.html") as reader:
        assert reader.at(0).size == (60, 50)


def test_an_exception_of_the_block_tells_of_the_trace_that_failed_too(xvfb: Server, tmp_path: Path) -> None:
    def work() -> None:
        with xshm.Screen(xvfb.name) as screen, screen.trace(tmp_path / "trace.html", region=_BOX) as trace:
            screen.close()
            assert eventually(lambda: not trace.is_running)
            raise ValueError("first of all")

    with pytest.raises(ValueError, match="first of all") as raised:
        work()
    assert "The trace failed, too: Closed" in raised.value.__notes__[0]


def test_a_trace_that_is_dropped_ends_without_a_file(
    screen: xshm.Screen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_PATROL", 0.1)
    threads, descriptors = set(threading.enumerate()), open_descriptors()
    trace = screen.trace(tmp_path / "trace.html", region=_BOX)
    trace.start()
    assert len(set(threading.enumerate()) - threads) == 1
    del trace
    assert eventually(lambda: not set(threading.enumerate()) - threads)
    assert list(tmp_path.iterdir()) == []
    assert new_descriptors(descriptors) == {}
    assert not screen._session.listeners


def test_nothing_is_left_of_many(screen: xshm.Screen, painter: Painter, tmp_path: Path) -> None:
    with screen.trace(tmp_path / "first.html", region=_BOX):
        pass
    threads, descriptors = set(threading.enumerate()), open_descriptors()
    for number in range(5):
        with screen.trace(tmp_path / f"{number}.html", region=_BOX, spill=tmp_path / "spill") as trace:
            painter.fill(_BOX, RED)
            trace.catch_up()
            assert (tmp_path / "spill").exists()
    assert set(threading.enumerate()) == threads
    assert new_descriptors(descriptors) == {}
    assert len(list(tmp_path.iterdir())) == 6


_AT_EXIT = """
import sys, xshm
screen = xshm.Screen(sys.argv[1])
trace = screen.trace(sys.argv[2], region=(0, 0, 60, 50))
trace.start()
trace.mark("last words")
"""


def test_it_ends_with_the_interpreter_and_its_file_is_written(xvfb: Server, tmp_path: Path) -> None:
    path = tmp_path / "trace.html"
    subprocess.run([sys.executable, "-c", _AT_EXIT, xvfb.name, str(path)], check=True, timeout=20)
    with xshm.Trace.open(path) as reader:
        assert [each.title for each in reader.marks] == ["last words"]
        assert reader.ended == ""


_KILLED = """
import sys, time, xshm
with xshm.Screen(sys.argv[1]) as screen, screen.trace(spill=sys.argv[2], region=(0, 0, 60, 50)) as trace:
    trace.mark("before")
    print(flush=True)
    time.sleep(60)
"""


def test_of_a_killed_process_the_spill_file_has_what_was_there(xvfb: Server, painter: Painter, tmp_path: Path) -> None:
    path = tmp_path / "spill"
    painter.fill(_BOX, RED)
    command = [sys.executable, "-c", _KILLED, xvfb.name, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        painter.fill(_BOX, BLUE)
        time.sleep(0.3)
        process.kill()
    with xshm.Trace.open(path) as reader:
        assert (_corner(reader, 0), _corner(reader)) == (RED, BLUE)
        assert [each.title for each in reader.marks] == ["before"]
        assert "cut off" in reader.ended


def test_a_forked_child_leaves_it_alone(screen: xshm.Screen, painter: Painter, tmp_path: Path) -> None:
    with screen.trace(tmp_path / "trace.html", region=_BOX) as trace:
        handler = trace.handler()
        child = os.fork()
        if not child:
            code = 1
            try:
                trace.mark("child")
                trace.log("child")
                handler.emit(logging.makeLogRecord({"msg": "child"}))
                trace.catch_up()
                trace.save(tmp_path / "child.html")
                trace.stop()
                trace_module._stop_all()  # as the interpreter's end does
                try:
                    trace.reader()
                except Closed:
                    code = 0
            finally:
                os._exit(code)
        assert os.waitpid(child, 0)[1] == 0
        painter.fill(_BOX, BLUE)
        assert trace.is_running
    with xshm.Trace.open(tmp_path / "trace.html") as reader:
        assert (reader.marks, reader.log) == ([], [])
        assert _corner(reader) == BLUE
    assert not (tmp_path / "child.html").exists()


# -- its costs ---------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("no_collector")
def test_while_nothing_happens_nothing_is_asked_and_nothing_kept(make_server: Callable[..., Server]) -> None:
    server = make_server("Xvfb", 200, 150)
    with xshm.Screen(server.name) as screen, screen.trace(keep_last=60) as trace:
        trace.catch_up()
        time.sleep(0.1)
        assert trace._engine is not None
        before = screen.connection.wire._ledger.sent, trace.bytes, time.process_time()
        time.sleep(0.7)
        assert (screen.connection.wire._ledger.sent, trace.bytes) == before[:2]
        assert time.process_time() - before[2] < 0.01


def test_full_motion_is_taken_in_fewer_pictures_and_why_is_in_the_file() -> None:
    with xshm.VirtualDisplay(1280, 800) as display, painting(display) as painter:
        with display.screen.trace(keep_last=60) as trace:
            end = time.monotonic() + 1.2
            while time.monotonic() < end and trace.fps >= 30:
                painter.noise((0, 0, 1280, 800))
            assert trace.fps < 30
        rates = [values for _, values in trace.reader().events() if values["type"] == "rate"]
        assert rates[0]["fps"] == 30
        assert rates[-1]["fps"] < 30
        assert "core" in rates[-1]["why"] or "bytes" in rates[-1]["why"] or "B" in rates[-1]["why"]


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({}, InvalidArgument, "keep_last="),
        ({"path": "trace.mp4"}, InvalidArgument, r"\.html"),
        ({"path": 5}, InvalidType, "a path, not int"),
        ({"keep_last": 0}, InvalidArgument, "above 0"),
        ({"keep_last": float("nan")}, InvalidArgument, "above 0"),
        ({"keep_last": 5, "fps": 0}, InvalidArgument, "above 0"),
        ({"keep_last": 5, "fps": None}, InvalidType, "fps"),
        ({"keep_last": 5, "max_bytes": 100}, InvalidArgument, "65,536"),
        ({"keep_last": 5, "typed_text": "yes"}, InvalidType, "typed_text"),
        ({"keep_last": 5, "redact": ["("]}, InvalidArgument, "neither"),
        ({"keep_last": 5, "redact": 5}, InvalidType, "a list of regions and patterns"),
        ({"keep_last": 5, "title": 5}, InvalidType, "title"),
        ({"spill": ""}, InvalidArgument, "spill"),
        ({"path": "half of a pair \ud800.html"}, InvalidArgument, "a path can't be"),
    ],
)
def test_what_is_wrong_is_refused_at_once(
    screen: xshm.Screen, options: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        screen.trace(**options)


def test_what_the_source_or_the_file_refuse_the_start_raises(
    screen: xshm.Screen, painter: Painter, tmp_path: Path
) -> None:
    descriptors = open_descriptors()
    with pytest.raises(TargetNotFound):
        screen.trace(tmp_path / "no" / "trace.html").start()
    with pytest.raises(OutOfBounds):
        screen.trace(tmp_path / "trace.html", region=(0, 0, 9999, 5)).start()
    with pytest.raises(TargetNotFound):
        screen.trace(tmp_path / "trace.html", spill=tmp_path / "no" / "spill").start()
    shown = painter.window((40, 40, 60, 50), RED)
    with screen.window(shown.id) as window:
        shown.unmap()
        painter.display.sync()
        with pytest.raises(WindowNotViewable):
            window.trace(tmp_path / "trace.html").start()
    assert list(tmp_path.iterdir()) == []
    assert new_descriptors(descriptors) == {}


def test_each_call_out_of_order_says_what_to_do(screen: xshm.Screen, tmp_path: Path) -> None:
    trace = screen.trace(tmp_path / "trace.html", region=_BOX)
    with pytest.raises(RecordingFailed, match="start"):
        trace.save(tmp_path / "other.html")
    assert (trace.bytes, trace.dropped, trace.duration, trace.how, trace.started_ns) == (0, 0, 0, "", 0)
    trace.mark("early")
    trace.start()
    with pytest.raises(RecordingFailed, match="started already"):
        trace.start()
    trace.stop()
    with pytest.raises(Closed, match="begin a new one"):
        trace.start()
    with pytest.raises(Closed, match="written"):
        trace.mark("too late")
    with pytest.raises(InvalidArgument, match=r"\.html"):
        trace.save(tmp_path / "other.png")
    with xshm.Trace.open(tmp_path / "trace.html") as reader:
        assert [(each.seconds, each.title) for each in reader.marks] == [(0, "early")]
    never = screen.trace(tmp_path / "never.html")
    never.stop()
    assert not (tmp_path / "never.html").exists()


def test_ctrl_c_in_the_block_is_a_failure_and_the_file_is_written(screen: xshm.Screen, tmp_path: Path) -> None:
    def work() -> None:
        with screen.trace(tmp_path / "trace.html", region=_BOX):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(5)

    with pytest.raises(KeyboardInterrupt):
        work()
    with xshm.Trace.open(tmp_path / "trace.html") as reader:
        assert [each.title for each in reader.marks] == ["KeyboardInterrupt"]


@pytest.mark.parametrize(("code", "titles"), [(None, []), (0, []), (3, ["SystemExit: 3"])])
def test_a_proper_exit_is_no_failure(code: int | None, titles: list[str], screen: xshm.Screen) -> None:
    trace = screen.trace(keep_last=60)
    with pytest.raises(SystemExit), trace:
        sys.exit(code)
    assert [each.title for each in trace.reader().marks] == titles


def test_what_a_full_disk_has_ended_and_what_had_to_go_is_told(
    screen: xshm.Screen, painter: Painter, small_disk: Path, tmp_path: Path
) -> None:
    with screen.trace(keep_last=60, region=_BOX, spill=small_disk / "spill", max_bytes=1 << 16) as trace:
        at_first = trace.spill_error
        fill(small_disk, 0)
        for number in range(40):
            painter.fill(_BOX, (number, 0, 0))
            trace.log("x" * 5000)
            trace.catch_up()
        assert at_first is None
        assert "No space left" in str(trace.spill_error)
        trace.save(tmp_path / "trace.html")
        assert trace.dropped > 0
        dropped = trace.dropped
    with xshm.Trace.open(tmp_path / "trace.html") as reader:
        _, end = list(reader.events())[-1]
        assert (end["type"], end["dropped"], end["lines_dropped"]) == ("end", dropped, trace.lines_dropped)
