"""Long recordings do not grow in memory: an hour, as fast as it can be written, and a thousand pictures a second."""

from __future__ import annotations

import ctypes
import resource
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import videos
from videos import SECOND

from xshm.geometry import Rect
from xshm.record.libav.sink import LibavSink
from xshm.record.sinks.settings import Settings
from xshm.system.replacement import Replacement

if TYPE_CHECKING:
    from collections.abc import Iterator

    import xshm

_SIZE = 64, 48  # whose pictures have 9 KiB
_CHANGED = Rect(0, 0, 8, 4)
_FPS = 5
_HOUR = 3600


# Other threads of this process may take memory meanwhile. What a recording leaves behind is there each time.
_ATTEMPTS = 3
_PR_SET_THP_DISABLE = 41


@pytest.fixture(autouse=True)
def _no_huge_pages() -> Iterator[None]:
    """Let memory be of small pages: a huge one adds 2 MiB at once, most of which nobody has used.

    numpy asks for huge pages for its large arrays, and the kernel gives them to what has their addresses after them.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(_PR_SET_THP_DISABLE, 1, 0, 0, 0) == 0
    yield
    assert libc.prctl(_PR_SET_THP_DISABLE, 0, 0, 0, 0) == 0


def _resident() -> int:
    """Return how many bytes of this process are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def _hour(path: Path, name: str) -> tuple[int, int]:
    """Write an hour's recording; return how many pictures its last fifty minutes have, and what they left in memory."""
    sink = LibavSink(Replacement(path), _SIZE, Settings(format=name, fps=_FPS))
    picture = sink.new_picture()
    videos.paint(picture, videos.bars(*_SIZE))
    after: dict[int, int] = {}
    for number in range(_HOUR * _FPS):
        picture.planes[0][_CHANGED.slices] = 16 + number % 200
        sink.write(picture, number * SECOND // _FPS, (_CHANGED,))
        if number in (_HOUR * _FPS // 6, _HOUR * _FPS - 1):
            after[number] = _resident()
    sink.finish(_HOUR * SECOND)
    (first, before), (last, in_the_end) = after.items()
    return last - first, in_the_end - before


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("mkv", 60),
        ("mp4", 250),  # its index, which is written at the end: 137 bytes a picture
    ],
)
def test_an_hour_takes_no_more_memory_than_ten_minutes(tmp_path: Path, name: str, most: int) -> None:
    path = tmp_path / f"hour.{name}"
    measured = []
    for _ in range(_ATTEMPTS):
        count, grown = _hour(path, name)
        measured.append((count, grown))
        assert float(videos.probe(path)["format"]["duration"]) == pytest.approx(_HOUR, abs=0.3)
        if grown < most * count:
            return
    pytest.fail(f"pictures, and bytes more: {measured}")


def test_thousands_of_pictures_leave_nothing_behind_in_capture_and_threads(screen: xshm.Screen, tmp_path: Path) -> None:
    path = tmp_path / "video.mkv"
    measured = []
    with screen.record(path, region=(0, 0, *_SIZE), fps=1000, constant=True) as recorder:
        time.sleep(0.6)
        for _ in range(_ATTEMPTS):
            first, before = recorder.frames, _resident()
            time.sleep(1.2)
            count, grown = recorder.frames - first, _resident() - before
            measured.append((count, grown))
            assert count > 500
            if grown < 500 * count + 200_000:
                return
    pytest.fail(f"pictures, and bytes more: {measured}")
