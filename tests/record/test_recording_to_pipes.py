"""Recordings to pipes: what comes through, and readers that hang or go away, which hold up nothing."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest
from counter_screen import counter_in

from xshm.errors import TargetGone, TargetTimeout
from xshm.record.sinks.target import Target

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from counter_screen import CounterScreen
    from painter import Painter
    from servers import Server

    import xshm

_REGION = (0, 0, 300, 100)


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
    counter.count_at_a_pace(10, 0.02)
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
