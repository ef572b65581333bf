"""Recordings to files and pipes, from start to stop, and what ends them: files are complete, errors are told."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import videos
from counted import counted, length, numbers
from counter_screen import CounterScreen, counter_in
from PIL import Image

import xshm
from xshm.errors import (
    Closed,
    DisplayGone,
    InvalidArgument,
    InvalidType,
    OutOfBounds,
    RecordingFailed,
    TargetGone,
    TargetTimeout,
    WindowGone,
    WindowNotViewable,
)
from xshm.record import pipeline
from xshm.record.sinks.target import Target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from painter import Painter
    from servers import Server

_REGION = (0, 0, 300, 100)


def _count(counter: CounterScreen, count: int, pause: float = 0.04) -> None:
    """Show some numbers."""
    for _ in range(count):
        time.sleep(pause)
        counter.count()
    time.sleep(pause)


# -- what is in the file -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["video.mkv", "video.mp4", "video.apng"])
def test_a_file_shows_each_number_once_in_order_and_at_its_time(
    screen: xshm.Screen, counter: CounterScreen, tmp_path: Path, name: str
) -> None:
    with screen.record(tmp_path / name, region=_REGION, fps=None) as recorder:
        moments = counter.count_for(recorder, 9)
    found = counted(tmp_path / name)
    assert numbers(found) == list(range(10))
    first = [min(time for time, seen in found if seen == number) for number in range(1, 10)]
    for at, (before, after) in zip(first, moments, strict=True):
        assert before - moments[0][1] - 0.002 <= at - first[0] <= after - moments[0][0] + 0.002
    assert recorder.frames == 10
    assert recorder.dropped == 0
    assert recorder.bytes == (tmp_path / name).stat().st_size
    if name != "video.apng":  # of which ffprobe tells no length
        assert length(tmp_path / name) == pytest.approx(recorder.duration, abs=0.05)


@pytest.mark.parametrize("name", ["video.mkv", "video.y4m"])
def test_a_constant_rate_is_exact(screen: xshm.Screen, counter: CounterScreen, tmp_path: Path, name: str) -> None:
    with screen.record(tmp_path / name, region=_REGION, fps=25, constant=True) as recorder:
        _count(counter, 5, 0.1)
    found = counted(tmp_path / name)
    assert len(found) == recorder.frames == round(recorder.duration * 25)
    assert [time for time, _ in found] == pytest.approx([number / 25 for number in range(len(found))], abs=0.0011)
    assert numbers(found) == list(range(6))


def test_a_display_of_our_own_is_recorded_from_its_memory(tmp_path: Path) -> None:
    with (
        xshm.VirtualDisplay(320, 200) as display,
        display.activate(),
        CounterScreen(display.name) as counter,
        display.record(tmp_path / "video.mkv", fps=None) as recorder,
    ):
        counter.count_for(recorder, 9)
    assert numbers(counted(tmp_path / "video.mkv")) == list(range(10))
    assert "the screen's own memory" in recorder.how


def test_a_scaled_recording_has_the_size_that_was_asked_for(
    screen: xshm.Screen, counter: CounterScreen, tmp_path: Path
) -> None:
    with screen.record(tmp_path / "video.mkv", region=(0, 0, 512, 128), max_edge=256):
        counter.show(0x5A5A)
    assert numbers(counted(tmp_path / "video.mkv", 0.5))[-1] == 0x5A5A


def test_chapters_and_a_pause(screen: xshm.Screen, counter: CounterScreen, tmp_path: Path) -> None:
    recorder = screen.record(tmp_path / "video.mkv", region=_REGION)
    recorder.mark("begin")
    begun = time.monotonic()
    with recorder:
        counter.count_for(recorder, 2)
        recorder.pause()
        paused = recorder.duration
        counter.show(100)
        counter.show(200)
        time.sleep(0.3)
        recorder.resume()
        recorder.mark("after the pause")
        resumed = recorder.duration
        time.sleep(0.1)
    assert numbers(counted(tmp_path / "video.mkv")) == [0, 1, 2, 200]
    assert length(tmp_path / "video.mkv") < time.monotonic() - begun - 0.25
    first, second = videos.probe(tmp_path / "video.mkv")["chapters"]
    assert (first["tags"]["title"], float(first["start_time"])) == ("begin", 0)
    assert second["tags"]["title"] == "after the pause"
    assert paused - 0.001 <= float(second["start_time"]) <= resumed


def test_the_pointer_is_recorded_where_that_is_asked_for(screen: xshm.Screen, painter: Painter, tmp_path: Path) -> None:
    painter.fill((0, 0, 300, 100), (0, 0, 255))
    for cursor in (False, True):
        screen.move(600, 600)
        with screen.record(tmp_path / "raw", format="bgr0", region=_REGION, fps=60, cursor=cursor):
            time.sleep(0.1)
            screen.move(50, 50)
            time.sleep(0.1)
        frames = (tmp_path / "raw").read_bytes()
        size = 300 * 100 * 4
        assert (frames[:size] != frames[-size:]) == cursor


# -- what ends it ------------------------------------------------------------------------------------------------------


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
        _count(counter, 3)
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


def test_a_hidden_window_is_refused_at_the_start_and_nothing_is_written(
    screen: xshm.Screen, painter: Painter, tmp_path: Path
) -> None:
    made = painter.window((10, 10, 60, 40), (0, 0, 255))
    with screen.window(made.id) as window:
        made.unmap()
        painter.display.sync()
        with pytest.raises(WindowNotViewable):
            window.record(tmp_path / "video.mp4").start()
    assert not list(tmp_path.iterdir())


def test_a_window_that_was_resized_is_recorded_in_its_new_size(
    screen: xshm.Screen, painter: Painter, tmp_path: Path
) -> None:
    made = painter.window((10, 10, 60, 40), (0, 0, 255))
    with screen.window(made.id) as window:
        made.configure(width=90, height=70)
        painter.display.sync()  # the event has not been read yet
        with window.record(tmp_path / "video.apng") as recorder:
            pass
    assert recorder.frames == 1
    with Image.open(tmp_path / "video.apng") as shown:
        assert shown.size == (90, 70)


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
        _count(counter, 3)
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


# -- pipes -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """Give a FIFO, and its reading end."""
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    yield tmp_path / "pipe", reader
    with contextlib.suppress(OSError):
        os.close(reader)


def test_a_reader_that_goes_away_is_an_error_in_time(
    screen: xshm.Screen, counter: CounterScreen, pipe: tuple[Path, int]
) -> None:
    path, reader = pipe
    recorder = screen.record(path, format="y4m", region=_REGION)
    recorder.start()
    counter.count()
    os.close(reader)
    until = time.monotonic() + 5
    while recorder.is_running and time.monotonic() < until:
        time.sleep(0.01)
    assert isinstance(recorder.ended, TargetGone)
    with pytest.raises(TargetGone, match=str(path)):
        recorder.stop()


def test_an_exception_of_the_block_tells_of_the_recording_that_failed_too(
    screen: xshm.Screen, counter: CounterScreen, pipe: tuple[Path, int]
) -> None:
    path, reader = pipe
    recorder = screen.record(path, format="y4m", region=_REGION)

    def fail() -> None:
        os.close(reader)
        counter.count()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as raised, recorder:
        fail()
    assert isinstance(recorder.ended, TargetGone)
    assert raised.value.__notes__ == [f"The recording failed, too: TargetGone: {recorder.ended}"]


def test_a_reader_that_does_not_read_costs_pictures_and_is_an_error_in_time(
    screen: xshm.Screen, counter: CounterScreen, pipe: tuple[Path, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Target, "open", functools.partialmethod(Target.open, timeout=0.6))
    recorder = screen.record(pipe[0], format="bgr0", fps=60)  # 4 MB a picture
    recorder.start()
    begun = time.monotonic()
    _count(counter, 10, 0.02)
    assert time.monotonic() - begun < 0.5  # nothing holds up the program
    assert recorder.dropped > 2, recorder.ended
    with pytest.raises(TargetTimeout):
        recorder.stop()
    assert time.monotonic() - begun < 3


def test_an_interrupted_stop_completes_the_file_nevertheless(
    screen: xshm.Screen, counter: CounterScreen, pipe: tuple[Path, int]
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    path, reader = pipe
    former = signal.signal(signal.SIGALRM, interrupt)
    try:
        recorder = screen.record(path, format="bgr0", fps=25)
        recorder.start()
        counter.show(5)
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        with pytest.raises(KeyboardInterrupt):
            recorder.stop()  # which nobody reads
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)
    os.set_blocking(reader, True)
    read: list[int] = []

    def read_all() -> None:
        time.sleep(0.2)
        read.extend(map(len, iter(lambda: os.read(reader, 1 << 20), b"")))

    reading = threading.Thread(target=read_all)
    reading.start()
    recorder.stop()  # which waits for the rest: after the interrupt, too
    assert recorder.frames == max(1, round(recorder.duration * 25))
    reading.join()
    assert sum(read) == recorder.frames * 1280 * 800 * 4


@pytest.mark.parametrize(
    ("kind", "reads"),
    [
        ("y4m", ["-i", "-"]),
        ("bgr0", ["-f", "rawvideo", "-pixel_format", "bgr0", "-video_size", "300x100", "-framerate", "30", "-i", "-"]),
    ],
)
def test_ffmpeg_reads_standard_output(
    xvfb: Server, counter: CounterScreen, painter: Painter, tmp_path: Path, kind: str, reads: list[str]
) -> None:
    colours = {(20 + 40 * place, 50): colour for place, colour in enumerate(((255, 0, 0), (0, 255, 0), (0, 0, 255)))}
    for (x, y), colour in colours.items():
        painter.fill((x - 10, y - 10, 20, 20), colour)
    counter.show(4321)
    program = (
        "import sys, time, xshm\n"
        "with xshm.Screen(sys.argv[1]) as screen:\n"
        "    with screen.record('-', format=sys.argv[2], region=(0, 0, 300, 100), fps=30):\n"
        "        print('not in the video')\n"
        "        time.sleep(0.3)\n"
    )
    out = tmp_path / "last.rgb"
    command = ["ffmpeg", "-v", "error", "-y", *reads, "-f", "rawvideo", "-pix_fmt", "rgb24", "-update", "1", str(out)]
    with subprocess.Popen(
        [sys.executable, "-c", program, xvfb.name, kind], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as writes:
        read = subprocess.run(command, stdin=writes.stdout, capture_output=True, check=True, timeout=30)
        assert writes.wait(10) == 0
    assert read.stderr == b""
    pictures = np.frombuffer(out.read_bytes(), np.uint8).reshape(-1, 100, 300, 3).astype(int)
    assert 8 <= len(pictures) <= 15
    assert {counter_in(picture) for picture in pictures} == {4321}
    for (x, y), colour in colours.items():
        assert abs(pictures[:, y, x] - colour).max() <= (2 if kind == "y4m" else 0)


# -- what is refused ---------------------------------------------------------------------------------------------------


def test_each_call_out_of_order_says_what_to_do(screen: xshm.Screen, tmp_path: Path) -> None:
    recorder = screen.record(tmp_path / "video.mp4", region=_REGION)
    assert (recorder.frames, recorder.dropped, recorder.duration, recorder.bytes, recorder.how) == (0, 0, 0, 0, "")
    assert recorder.ended is None
    with pytest.raises(RecordingFailed, match="start"):
        recorder.pause()
    with recorder:
        with pytest.raises(RecordingFailed, match="already"):
            recorder.start()
        assert recorder.is_running
    recorder.stop()
    for call in (recorder.start, recorder.pause, recorder.resume, lambda: recorder.mark("late")):
        with pytest.raises(Closed, match="record"):
            call()
    unused = screen.record(tmp_path / "unused.mp4")
    unused.stop()
    with pytest.raises(Closed):
        unused.start()
    assert [each.name for each in tmp_path.iterdir()] == ["video.mp4"]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({}, InvalidArgument),
        ({"target": 5}, InvalidType),
        ({"target": "video"}, InvalidArgument),
        ({"target": "video.png"}, InvalidArgument),
        ({"target": "video.mp4", "fps": 0}, InvalidArgument),
        ({"target": "video.mp4", "fps": None, "constant": True}, InvalidArgument),
        ({"target": "video.y4m", "fps": None}, InvalidArgument),
        ({"target": "video.mp4", "quality": "best"}, InvalidArgument),
        ({"target": "video.mp4", "cursor": "layer"}, InvalidType),
        ({"target": "video.mp4", "max_bytes": 100_000}, InvalidArgument),
        ({"target": "video.mp4", "keep_last": 5}, InvalidArgument),
        ({"keep_last": 0}, InvalidArgument),
        ({"keep_last": "5"}, InvalidType),
        ({"keep_last": 5, "max_bytes": 10}, InvalidArgument),
        ({"target": "video.mp4", "codec": "h266"}, InvalidArgument),
        ({"target": "video.mp4", "options": {"crf": 9999}}, InvalidArgument),
        ({"target": "video.y4m", "quality": "lossless"}, InvalidArgument),
        ({"target": "video.y4m", "codec": "h264"}, InvalidArgument),
        ({"target": "video.y4m", "options": {"crf": 5}}, InvalidArgument),
        ({"target": "video.mp4", "region": (5000, 0, 10, 10)}, OutOfBounds),
    ],
    ids=str,
)
def test_what_is_wrong_is_refused_before_anything_is_made(
    screen: xshm.Screen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: dict[str, Any], error: type
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error):
        screen.record(**arguments).start()
    assert not list(tmp_path.iterdir())


def test_av1_leaves_no_block_of_the_picture_before(tmp_path: Path) -> None:
    # Takes 2 seconds: its faster presets do it in some pictures of a hundred, on a screen of this size.
    with (
        xshm.VirtualDisplay(1920, 1080) as display,
        display.activate(),
        CounterScreen(display.name) as counter,
        display.record(tmp_path / "video.mkv", fps=60, codec="av1", quality="small") as recorder,
    ):
        for _ in range(120):
            counter.count()
            time.sleep(0.01)
    found = numbers(counted(tmp_path / "video.mkv"))
    assert found == sorted(set(found))
    assert len(found) > 20
    assert recorder.ended is None
