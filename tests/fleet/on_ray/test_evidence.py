"""What is kept of items that have failed: their traces and videos, at home, with what their screens showed."""

from __future__ import annotations

import errno
import signal
import time
from typing import TYPE_CHECKING, Any

import disks
import ffprobe
import pytest

from xshm import DisplaySpec, Trace, VirtualDisplay, fleet
from xshm.errors import ItemTimeout, SeatLost

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SPEC = DisplaySpec(160, 120, args=("-extension", "GLX"))
_COLOURS = {0: "#ff0000", 1: "#00ff00", 2: "#0000ff"}


@pytest.fixture(scope="module")
def pool(nothing_is_left: None, cluster: Any) -> Iterator[fleet.DisplayPool]:  # noqa: ARG001 - it comes before
    assert cluster
    with fleet.DisplayPool(2, _SPEC) as pool:
        yield pool


def show(display: VirtualDisplay, item: int) -> None:
    """Paint the screen in the item's colour, and wait until it is seen."""
    display.run(["xsetroot", "-solid", _COLOURS[item]]).wait()
    while display.screen.grab().rgb()[0, 0].tolist() != colour(item):
        time.sleep(0.02)
    time.sleep(0.2)  # a moment for those who watch


def fail_at_one(display: VirtualDisplay, item: int) -> int:
    show(display, item)
    if item == 1:
        raise LookupError("nothing of that name")
    return item


def colour(item: int) -> list[int]:
    return [int(_COLOURS[item][place : place + 2], 16) for place in (1, 3, 5)]


def test_the_trace_and_the_video_of_a_failed_item_come_home(pool: fleet.DisplayPool, tmp_path: Path) -> None:
    traces, videos = tmp_path / "traces", tmp_path / "deep" / "videos"
    results = pool.map(fail_at_one, range(3), return_exceptions=True, trace_on_failure=traces, video_on_failure=videos)
    found = list(results)
    assert found[::2] == [0, 2]
    assert isinstance(found[1], LookupError)
    trace, video = traces / "item-0001.html", videos / "item-0001.mp4"
    assert [*traces.iterdir(), *videos.iterdir()] == [trace, video], "of the others nothing is kept"
    assert {f"trace: {trace}", f"video: {video}"} <= set(found[1].__notes__)
    with Trace.open(trace) as reader:
        assert reader.at(reader.duration).rgb()[0, 0].tolist() == colour(1)
        assert [mark.title for mark in reader.marks if mark.kind == "failure"] == ["LookupError: nothing of that name"]
    assert ffprobe.probe(video).size == (160, 120)
    red, green, blue = ffprobe.last_picture(video)[60, 80].tolist()
    assert green > 200
    assert max(red, blue) < 60


def test_an_item_whose_time_is_over_sends_its_trace_and_no_other_loses_its_result(cluster: Any, tmp_path: Path) -> None:
    def hang(display: VirtualDisplay, item: int) -> int:
        show(display, item)
        while item:
            time.sleep(1000)
        return item

    def once_more(_: VirtualDisplay, begun: Path) -> str:
        if begun.exists():
            return "again"
        begun.touch()
        time.sleep(1000)
        return "it was not ended"

    assert cluster
    with fleet.DisplayPool(4, _SPEC, per_worker=4, tries=1) as pool:
        beside = pool.submit(once_more, tmp_path / "begun")
        first, *late = pool.map(hang, range(3), timeout=2, return_exceptions=True, trace_on_failure=tmp_path)
        assert first == 0
        for item, error in enumerate(late, 1):
            assert isinstance(error, ItemTimeout)
            assert isinstance(error, TimeoutError)
            assert f"item {item} was not done within 2 s" in str(error)
            with Trace.open(tmp_path / f"item-{item:04}.html") as reader:
                assert reader.at(reader.duration).rgb()[0, 0].tolist() == colour(item)
                assert ["not done within 2 s" in mark.title for mark in reader.marks] == [True]
        assert beside.result(20) == "again", "it had its one try beside others, and has that once more"
        assert pool.stats().workers_lost == 1


def test_looks_that_wait_keep_no_trace_from_coming_home(cluster: Any, tmp_path: Path) -> None:
    def hang(_: VirtualDisplay, _item: int) -> None:
        time.sleep(1000)

    assert cluster
    with fleet.DisplayPool(1, _SPEC) as pool:
        whole = pool.changed(0)
        seen = fleet.Seen(whole.epoch, whole.generation)
        waiting = [pool.look(0, "changed", seen, timeout=30) for _ in range(8)]
        (error,) = pool.map(hang, [1], timeout=1, return_exceptions=True, trace_on_failure=tmp_path)
        assert isinstance(error, ItemTimeout)
        assert [path.name for path in tmp_path.iterdir()] == ["item-0000.html"]
        assert len(waiting) == 8


def test_a_place_that_takes_no_file_is_a_note_and_the_error_is_the_items(
    pool: fleet.DisplayPool, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    (found,) = pool.map(fail_at_one, [1], return_exceptions=True, trace_on_failure=tmp_path / "file")
    assert isinstance(found, LookupError)
    assert any(note.startswith("no trace: ") and "file" in note for note in found.__notes__)
    with disks.small_disk(tmp_path) as disk:
        disks.fill(disk, 4096)
        (found,) = pool.map(fail_at_one, [1], return_exceptions=True, trace_on_failure=disk)
        assert isinstance(found, LookupError)
        assert any(note.startswith("no trace: ") and f"[Errno {errno.ENOSPC}]" in note for note in found.__notes__)
        assert not [*disk.glob("item*")], "half a trace is none"


def test_an_item_that_has_ended_its_worker_says_that_its_trace_is_lost(cluster: Any, tmp_path: Path) -> None:
    def end(display: VirtualDisplay, _: int) -> None:
        show(display, 0)
        signal.raise_signal(signal.SIGKILL)

    assert cluster
    with fleet.DisplayPool(1, _SPEC, tries=1) as pool:
        (found,) = pool.map(end, [0], return_exceptions=True, trace_on_failure=tmp_path)
    assert isinstance(found, SeatLost)
    assert found.__notes__ == ["what was to be kept of it was lost with the worker"]
