"""What a Recorder writes: each picture once, in order, at its time, in its size; and what is refused before it does."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
import videos
from counted import counted, length, numbers
from counter_screen import CounterScreen
from PIL import Image

import xshm
from xshm.errors import Closed, InvalidArgument, InvalidType, OutOfBounds, RecordingFailed, WindowNotViewable

if TYPE_CHECKING:
    from pathlib import Path

    from painter import Painter

_REGION = (0, 0, 300, 100)


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
        counter.count_at_a_pace(5, 0.1)
    found = counted(tmp_path / name)
    assert len(found) == recorder.frames == round(recorder.duration * 25)
    assert [time for time, _ in found] == pytest.approx([number / 25 for number in range(len(found))], abs=0.0011)
    assert numbers(found) == list(range(6))


@pytest.mark.parametrize("name", ["video.mp4", "video.mkv", "video.y4m", "video.gif", "video.apng"])
def test_the_lowest_rate_is_one_that_each_format_has(screen: xshm.Screen, tmp_path: Path, name: str) -> None:
    for rate in (0.000999, 1e-6, 1e-9):
        with pytest.raises(InvalidArgument, match=r"fps is a number of frames per second from 0\.001 to 1000, or None"):
            screen.record(tmp_path / name, fps=rate, constant=True)
    with screen.record(tmp_path / name, region=_REGION, fps=0.001, constant=True) as recorder:
        pass
    assert recorder.frames == 1
    if name in {"video.gif", "video.apng"}:  # which have times, and no rate
        with Image.open(tmp_path / name) as image:
            assert image.size == _REGION[2:]
    else:
        assert videos.probe(tmp_path / name)["streams"][0]["r_frame_rate"] == "1/1000"


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
