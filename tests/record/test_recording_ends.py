"""What ends a recording: its block, the server, the window, the interpreter, a finalizer; the file is complete then."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest
from counted import counted, numbers
from counter_screen import CounterScreen

import xshm
from xshm.errors import DisplayGone, WindowGone
from xshm.record import pipeline

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from servers import Server

_REGION = (0, 0, 300, 100)


def test_an_exception_of_the_block_goes_on_and_the_file_is_complete(
    screen: xshm.Screen, counter: CounterScreen, tmp_path: Path
) -> None:
    def fail() -> None:
        counter.count()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), screen.record(tmp_path / "video.mp4", region=_REGION):
        fail()
    assert numbers(counted(tmp_path / "video.mp4")) == [0, 1]


def test_the_end_of_the_server_completes_the_file_and_is_raised(
    make_server: Callable[..., Server], tmp_path: Path
) -> None:
    server = make_server("Xvfb", 320, 200)
    with (
        xshm.Screen(server.name) as screen,
        contextlib.suppress(DisplayGone),  # of the counter's end
        CounterScreen(server.name) as counter,
    ):
        recorder = screen.record(tmp_path / "video.mp4")
        recorder.start()
        counter.count_for(recorder, 3)
        server.stop()
        until = time.monotonic() + 5
        while recorder.is_running and time.monotonic() < until:
            time.sleep(0.01)
        assert isinstance(recorder.ended, DisplayGone)
        with pytest.raises(DisplayGone):
            recorder.stop()
    recorder.stop()  # which tells it once
    assert numbers(counted(tmp_path / "video.mp4")) == [0, 1, 2, 3]


def test_with_a_server_that_stands_still_the_file_ends_in_time_and_where_the_recording_does(
    make_server: Callable[..., Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "_LAST_LOOK", 0.4)
    server = make_server("Xvfb", 320, 200)
    with xshm.Screen(server.name) as screen, CounterScreen(server.name) as counter:
        recorder = screen.record(tmp_path / "video.mkv", fps=50, constant=True)
        recorder.start()
        counter.count_at_a_pace(3)
        server.pause()
        try:
            begun = time.monotonic()
            recorder.stop()
            assert time.monotonic() - begun < 3
        finally:
            server.resume()
    found = counted(tmp_path / "video.mkv")
    assert numbers(found) == [0, 1, 2, 3]
    assert len(found) == round(recorder.duration * 50)


def test_the_end_of_a_window_ends_the_recording_and_is_no_error(
    screen: xshm.Screen, xvfb: Server, tmp_path: Path
) -> None:
    with CounterScreen(xvfb.name) as counter, screen.window(counter.id) as window:
        with window.record(tmp_path / "video.mp4") as recorder:
            counter.count_for(recorder, 3)
            counter.close()
            until = time.monotonic() + 5
            while recorder.is_running and time.monotonic() < until:
                time.sleep(0.01)
            assert not recorder.is_running
        assert isinstance(recorder.ended, WindowGone)
    assert numbers(counted(tmp_path / "video.mp4")) == [0, 1, 2, 3]


def test_a_recording_ends_with_the_interpreter_and_its_file_is_complete(
    xvfb: Server, counter: CounterScreen, tmp_path: Path
) -> None:
    program = (
        "import sys, time, xshm\n"
        "recorder = xshm.Screen(sys.argv[1]).record(sys.argv[2], region=(0, 0, 300, 100))\n"
        "recorder.start()\n"
        "print(flush=True)\n"
        "input()\n"
    )
    command = [sys.executable, "-c", program, xvfb.name, str(tmp_path / "video.mp4")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as run:
        assert run.stdout
        run.stdout.readline()
        counter.count_at_a_pace(3)
        run.communicate(b"\n", timeout=20)
    assert run.returncode == 0
    assert numbers(counted(tmp_path / "video.mp4")) == [0, 1, 2, 3]


def test_a_forked_child_leaves_the_recording_alone(screen: xshm.Screen, counter: CounterScreen, tmp_path: Path) -> None:
    with screen.record(tmp_path / "video.mp4", region=_REGION) as recorder:
        child = os.fork()
        if not child:
            try:
                recorder.mark("child")
                recorder.pause()
                recorder.stop()
                pipeline._stop_all()  # as the interpreter's end does
            finally:
                os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        counter.count_for(recorder, 2)
        assert recorder.is_running
    assert numbers(counted(tmp_path / "video.mp4")) == [0, 1, 2]


@pytest.mark.usefixtures("no_collector")
def test_a_recorder_that_is_dropped_stops_and_completes_its_file(
    screen: xshm.Screen, counter: CounterScreen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "_PATROL", 0.2)
    before = set(threading.enumerate())
    recorder = screen.record(tmp_path / "video.mp4", region=_REGION)
    recorder.start()
    counter.count()
    threads = set(threading.enumerate()) - before
    assert len(threads) == 2
    del recorder
    for thread in threads:
        thread.join(5)
    assert numbers(counted(tmp_path / "video.mp4")) == [0, 1]
