"""The records of a trace: groups that replay exactly, bounds, snapshots while it goes on, the file of a killed one."""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from disks import fill
from hypothesis import given, settings
from hypothesis import strategies as st
from interrupt_points import at_every_point
from pictures import BGRX, random_rect

from xshm.geometry import Rect
from xshm.trace import records
from xshm.trace.log import RecordLog
from xshm.trace.records import KEY, Patch, Record
from xshm.trace.rectangles import Shadow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from numpy.typing import NDArray

_SECOND = 10**9
_HEAD = records.head({"version": 1, "title": "a test"})
_STATE = (records.event(0, "windows", windows=[]), records.event(0, "pointer", x=1, y=2))


def _patch(nbytes: int, fill_with: bytes = b"p") -> Patch:
    """Return a patch of any bytes, which the log does not look at."""
    return Patch(Rect(0, 0, 9, 9), fill_with * nbytes)


def _line(at: int, text: str) -> Record:
    return records.event(at, "log", text=text, source="log", level="")


def _texts(found: Iterable[Record]) -> list[str]:
    return [record.value()["text"] for record in found if record.kind == b"J" and "text" in record.value()]


def _check(found: list[Record]) -> None:
    """Check what is true of all that is read: the head, a key picture with its state, and times that never go back."""
    assert found[0] is _HEAD or found[0] == _HEAD
    assert found[1].kind == KEY
    times = [record.at for record in found]
    assert times == sorted(times)


def _replayed(pictures: Iterable[Record], size: tuple[int, int]) -> NDArray[Any]:
    colours: NDArray[Any] = np.zeros((size[1], size[0], 3), np.uint8)
    for record in pictures:
        for rect, png in record.patches():
            decoded: Any = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
            colours[rect.slices] = decoded[..., ::-1]
    return colours


@settings(max_examples=30)
@given(st.integers(0, 1 << 32), st.sampled_from([100_000, 200_000, None]))
def test_any_picture_is_its_groups_key_and_the_changes_up_to_it(seed: int, most: int | None) -> None:
    """The log decides on the keys; pixels are random, so that groups of 32 KiB are a few changes."""
    pixels: NDArray[Any] = np.zeros((64, 64, 4), np.uint8)
    whole = Rect(0, 0, 64, 64)
    shadow, log = Shadow((64, 64), BGRX), RecordLog(_HEAD, max_bytes=most)
    seen: dict[int, NDArray[Any]] = {}
    random = np.random.default_rng(seed)
    for at in range(50):
        rect, is_idle = random_rect(random, (64, 64)), random.integers(0, 4) == 0
        if not is_idle:
            pixels[rect.slices] = random.integers(0, 256, (rect.height, rect.width, 4))
        log.hold()
        log.add(records.event(at, "pointer", x=at, y=0))
        shadow.read(pixels, [whole if at == 0 else rect])
        if log.is_key_due(at):
            patches = shadow.take(key=True)
            if patches:
                log.add_key(at, patches[0], [records.event(at, "windows", windows=[])])
            else:
                log.release()
        else:
            log.add_change(at, shadow.take())
        seen[at] = pixels[..., 2::-1].copy()
    found = log.records()
    _check(found)
    pictures = [record for record in found if record.is_picture]
    for _ in range(3):
        chosen = int(random.integers(0, len(pictures)))
        key = max(at for at in range(chosen + 1) if pictures[at].kind == KEY)
        assert np.array_equal(_replayed(pictures[key : chosen + 1], (64, 64)), seen[pictures[chosen].at])
    assert [record.value()["type"] for record in found if record.kind == b"J"].count("pointer") >= 1


def test_a_key_is_due_when_changes_are_as_large_as_it() -> None:
    log = RecordLog(_HEAD)
    assert log.is_key_due(0)
    log.add_key(0, _patch(100_000))
    for at in range(1, 10):
        assert not log.is_key_due(at)
        log.add_change(at, [_patch(12_000)])
    assert log.is_key_due(10)
    log.add_key(10, _patch(100))
    for at in range(11, 27):
        assert not log.is_key_due(at)
        log.add_change(at, [_patch(2_100)])  # a small key waits for 32 KiB
    assert log.is_key_due(27)


def test_a_key_is_due_after_2000_changes_and_with_seconds_after_a_quarter_of_them() -> None:
    log = RecordLog(_HEAD, seconds=60)
    log.add_key(0, _patch(100_000))
    assert not log.is_key_due(15 * _SECOND - 1)
    assert log.is_key_due(15 * _SECOND)
    for at in range(2000):
        assert not log.is_key_due(at)
        log.add_change(at, [_patch(1)])
    assert log.is_key_due(2000)


@given(
    st.lists(st.tuples(st.integers(0, 3 * _SECOND), st.integers(1, 30_000)), min_size=1, max_size=80),
    st.sampled_from([None, 2, 10]),
    st.sampled_from([None, 100_000, 300_000]),
)
def test_whole_groups_go_so_that_bytes_and_seconds_are_kept_to(
    steps: list[tuple[int, int]], seconds: float | None, most: int | None
) -> None:
    log, at = RecordLog(_HEAD, seconds=seconds, max_bytes=most), 0
    for pictures, (wait, nbytes) in enumerate(steps, 1):
        at += wait
        if log.is_key_due(at):
            log.add_key(at, _patch(20_000), _STATE)
        else:
            log.add_change(at, [_patch(nbytes)])
        log.add(_line(at, "said"))
        found = log.records()
        _check(found)
        keys = [record.at for record in found if record.kind == KEY]
        assert log.nbytes == sum(record.nbytes for record in found[1:])
        assert log.dropped == pictures - sum(record.is_picture for record in found)
        if most is not None:
            assert log.nbytes <= most or len(keys) == 1
        if seconds is not None and len(keys) > 1:
            assert keys[1] > at - seconds * _SECOND  # else the first group were needed no more
        if most is None:
            begin = 0 if seconds is None else max(at - seconds * _SECOND, 0)
            assert keys[0] <= begin or log.dropped == 0
    if seconds is None and most is None:
        assert log.dropped == 0


def test_an_event_of_a_look_goes_behind_its_older_picture() -> None:
    log = RecordLog(_HEAD)
    log.add(_line(-5, "before the first picture"))
    log.add_key(10, _patch(9), _STATE)
    log.hold()
    log.add(_line(25, "later"))
    log.add(_line(15, "earlier"))
    log.add_change(20, [_patch(9)])
    log.add(_line(18, "too late for its time"))
    log.hold()
    log.add(_line(40, "while a look goes on"))
    found = log.records(records.event(30, "end", why=""))
    _check(found)
    assert [(record.at, record.kind) for record in found[1:]] == [
        *((10, b"K"), (10, b"J"), (10, b"J"), (10, b"J")),
        *((20, b"C"), (25, b"J"), (25, b"J"), (25, b"J")),
        *((40, b"J"), (40, b"J")),
    ]
    assert len(log.records()) == len(found) - 1  # what was given for the end is not kept


def test_a_screen_that_has_changed_is_asked_for_a_key_where_a_log_fills_memory() -> None:
    asked: list[int] = []
    log = RecordLog(_HEAD, max_bytes=80_000, wants_key=lambda: asked.append(log.nbytes))
    log.add_key(0, _patch(100))
    log.add_change(0, [_patch(100)])
    for number in range(100):
        log.add(_line(number, "x" * 100))
    assert asked
    assert 10_000 <= asked[0] <= 10_500
    assert log.is_key_due(100)


@pytest.mark.parametrize("picture", [100, 30_000, 200_000])
def test_of_a_flood_of_lines_on_a_screen_that_stands_still_the_newest_are_kept(picture: int, tmp_path: Path) -> None:
    asked: list[int] = []
    log = RecordLog(_HEAD, max_bytes=80_000, wants_key=lambda: asked.append(1), spill=tmp_path / "spill")
    key = _patch(picture)
    moved = records.event(5, "pointer", x=3, y=4)
    log.add_key(0, key, _STATE)
    log.add(moved)
    for number in range(3000):
        log.add(_line(10 + number, f"{number} " + "x" * 100))
    found = log.records()
    texts = [each.value()["text"].split()[0] for each in found if b'"log"' in each.payload]
    assert texts == [str(number) for number in range(3000 - len(texts), 3000)]
    assert len(texts) > 20
    assert (asked, log.lines_dropped) == ([], 0)
    assert log.nbytes <= max(80_000, picture + 12_000)
    # What is kept begins with the picture, and with how things were.
    begin = found[1:5]
    assert begin[0].is_key
    assert list(begin[0].patches()) == [key]
    states = {each.value()["type"]: each.value() for each in begin[1:] if b'"log"' not in each.payload}
    assert states["pointer"] == moved.value()
    assert states.keys() >= {each.value()["type"] for each in _STATE}
    spilled = list(records.unpack((tmp_path / "spill").read_bytes()))
    assert spilled[-1] == found[-1]


def _take_pictures(log: RecordLog, now: Callable[[], int], ended: threading.Event) -> None:
    while not ended.is_set():
        log.hold()
        at = now()
        if log.is_key_due(at):
            log.add_key(at, _patch(3000), [records.event(at, "windows", windows=[])])
        else:
            log.add_change(at, [_patch(700)])


def _check_lines(found: list[Record], name: str, log: RecordLog) -> None:
    """Check that of a thread's lines all that are kept are there, in their order and once."""
    numbers = [int(text.split()[1]) for text in _texts(found) if text.startswith(name)]
    assert numbers == sorted(set(numbers))
    if numbers:
        assert numbers[-1] - numbers[0] + 1 - len(numbers) <= log.lines_dropped


def test_snapshots_are_whole_while_pictures_and_lines_come() -> None:
    log = RecordLog(_HEAD, max_bytes=60_000)
    log.add_key(0, _patch(3000), _STATE)
    started = time.monotonic_ns()
    ended = threading.Event()

    def now() -> int:
        return time.monotonic_ns() - started

    said: dict[str, int] = {"one": 0, "two": 0}

    def say(name: str) -> None:
        while not ended.is_set():
            log.add(_line(now(), f"{name} {said[name]}"))
            said[name] += 1

    threads = [
        threading.Thread(target=_take_pictures, args=(log, now, ended)),
        *(threading.Thread(target=say, args=(name,)) for name in said),
    ]
    for thread in threads:
        thread.start()
    until = time.monotonic() + 0.4
    snapshots = 0
    while time.monotonic() < until:
        found = log.records()
        _check(found)
        for name in said:
            _check_lines(found, name, log)
        snapshots += 1
    ended.set()
    for thread in threads:
        thread.join()
    assert snapshots > 3
    assert log.dropped > 10


@pytest.mark.usefixtures("no_collector")
def test_an_interrupt_at_any_point_neither_loses_nor_doubles_what_was_added(tmp_path: Path) -> None:
    """A picture's thread, which no handler interrupts, adds one between two events of the main one."""
    place = tmp_path / "spill"
    log = RecordLog(_HEAD, spill=place)
    log.add_key(0, _patch(50), _STATE)
    turn, certain = 0, []

    def work() -> None:
        log.add(_line(turn, f"{turn}"))
        assert log.nbytes

    for interrupted in at_every_point(work):
        thread = threading.Thread(target=log.add_change, args=(turn, [_patch(turn % 7)]))
        thread.start()
        thread.join()
        if not interrupted:
            certain.append(f"{turn}")
        log.add(_line(turn, f"between {turn}"))
        certain.append(f"between {turn}")
        turn += 1
    texts = _texts(log.records())
    assert turn > 30
    assert len(texts) == len(set(texts))
    assert [text for text in texts if text in certain] == certain
    assert len(texts) > 1.8 * turn  # all but for the points before an event was in the log's hands
    assert sum(record.is_picture for record in log.records()) == turn + 1
    assert list(records.unpack(place.read_bytes())) == log.records()
    log.close()


def test_a_handler_that_logs_while_the_log_is_at_work_is_heard() -> None:
    log = RecordLog(_HEAD)
    log.add_key(0, _patch(50))
    numbers = itertools.count()  # a handler may itself be interrupted by the next one

    def handler(*_: object) -> None:
        log.add(_line(0, f"handler {next(numbers)}"))

    former = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
        for number in range(4000):
            log.add(_line(number, f"main {number}"))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)
    texts, heard = _texts(log.records()), next(numbers)
    assert heard > 3
    assert sorted(texts) == sorted([f"main {n}" for n in range(4000)] + [f"handler {n}" for n in range(heard)])
    assert log.nbytes == sum(record.nbytes for record in log.records()[1:])


# -- the spill file ----------------------------------------------------------------------------------------------------


def test_the_spill_file_is_readable_wherever_it_is_cut(tmp_path: Path) -> None:
    place = tmp_path / "spill"
    log = RecordLog(_HEAD, spill=place)
    assert list(records.unpack(place.read_bytes())) == [_HEAD]
    log.add_key(0, _patch(60), _STATE)
    log.add(_line(3, "a line"))
    log.add_change(7, [_patch(20), _patch(0)])
    stream, kept = place.read_bytes(), log.records()
    ends = [len(records.MAGIC)]
    for record in kept:
        ends.append(ends[-1] + record.nbytes)
    for length in range(len(records.MAGIC), len(stream) + 1):
        found = list(records.unpack(stream[:length]))
        assert found == kept[: sum(end <= length for end in ends[1:])]
    log.close()
    assert not place.exists()
    log.close()


def test_the_spill_file_is_bounded_and_ends_with_what_is_kept(tmp_path: Path) -> None:
    place = tmp_path / "spill"
    place.write_bytes(b"of a former run")
    log = RecordLog(_HEAD, max_bytes=50_000, spill=place)
    sizes = []
    for at in range(400):
        if log.is_key_due(at):
            log.add_key(at, _patch(5000, bytes([at % 256])), _STATE)
        else:
            log.add_change(at, [_patch(1500, bytes([at % 256]))])
        found = list(records.unpack(place.read_bytes()))
        _check(found)
        kept = log.records()
        assert found[-len(kept) + 1 :] == kept[1:]
        sizes.append(place.stat().st_size)
    assert 90_000 < max(sizes) < 110_000
    assert list(tmp_path.iterdir()) == [place]
    log.close()
    assert list(tmp_path.iterdir()) == []


def test_another_file_of_its_name_is_left_alone(tmp_path: Path) -> None:
    log = RecordLog(_HEAD, spill=tmp_path / "spill")
    (tmp_path / "spill").unlink()
    (tmp_path / "spill").write_bytes(b"another's")
    log.close()
    assert (tmp_path / "spill").read_bytes() == b"another's"


def test_a_full_disk_ends_the_spill_file_and_not_the_log(small_disk: Path) -> None:
    log = RecordLog(_HEAD, spill=small_disk / "spill")
    log.add_key(0, _patch(60), _STATE)
    fill(small_disk, 20_000)
    for at in range(60):
        log.add_change(at, [_patch(1000)])
    assert log.spill_error is not None
    assert "No space left" in str(log.spill_error)
    kept, found = log.records(), list(records.unpack((small_disk / "spill").read_bytes()))
    assert len(kept) == 64
    assert 10 < len(found) < 50
    assert found == kept[: len(found)]
    log.close()


def test_a_killed_process_leaves_all_that_it_had_added(tmp_path: Path) -> None:
    program = """
import sys
from xshm.geometry import Rect
from xshm.trace import records
from xshm.trace.log import RecordLog
log = RecordLog(records.head({"version": 1, "title": "a test"}), spill=sys.argv[1])
log.add_key(0, records.Patch(Rect(0, 0, 9, 9), b"p" * 1000))
for number in range(10**9):
    log.add(records.event(number, "log", text=str(number), source="log", level=""))
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
"""
    with subprocess.Popen(
        [sys.executable, "-c", program, tmp_path / "spill"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(50)]
        process.kill()
        lines += process.stdout.read().splitlines(keepends=True)
    said = [int(line) for line in lines if line.endswith("\n")]
    found = _texts(records.unpack((tmp_path / "spill").read_bytes()))
    assert len(found) - len(said) in (0, 1)
    assert found[: len(said)] == [str(number) for number in said]


def test_what_waits_for_a_picture_is_in_the_spill_file_already(tmp_path: Path) -> None:
    place = tmp_path / "spill"
    log = RecordLog(_HEAD, spill=place)
    log.add_key(0, _patch(60), _STATE)
    log.hold()
    for number in range(3):
        log.add(_line(5 + number, f"{number}"))
        assert list(records.unpack(place.read_bytes())) == log.records()
    log.add_change(4, [_patch(20)])
    log.hold()
    log.add(_line(9, "3"))
    log.release()
    found = list(records.unpack(place.read_bytes()))
    assert found == log.records()
    assert [record.at for record in found] == [0, 0, 0, 0, 4, 5, 6, 7, 9]
    assert place.stat().st_size == len(records.MAGIC) + sum(record.nbytes for record in found)
    log.close()


@pytest.mark.parametrize("kind", ["log", "mark", "failure", "input"])
def test_events_of_any_number_are_bounded_where_no_key_picture_comes(kind: str) -> None:
    log = RecordLog(_HEAD, max_bytes=100_000)
    log.add_key(0, _patch(60), _STATE)
    for number in range(2000):
        log.add(records.event(number, kind, title="x" * 100))
    assert log.nbytes < 120_000
    log.hold()
    for number in range(30_000):
        log.add(records.event(number, "log", text="x"))
    assert len(log.records()) < 15_000
    log.add(records.event(30_000, "end", why=""))
    assert log.records()[-1].value()["type"] == "end"


def test_a_mark_has_room_where_lines_have_filled_it() -> None:
    log = RecordLog(_HEAD, max_bytes=100_000)
    log.add_key(0, _patch(60), _STATE)
    for number in range(2000):
        log.add(_line(number, "x" * 100))
    log.add(records.event(3000, "failure", title="at last", text="x" * 5000))
    assert log.records()[-1].value()["title"] == "at last"


def test_there_is_room_for_what_is_noted_though_a_key_picture_takes_all() -> None:
    log = RecordLog(_HEAD, max_bytes=100_000)
    log.add_key(0, _patch(200_000), _STATE)
    log.add(_line(1, "a line"))
    log.add(records.event(2, "mark", title="a mark"))
    assert [record.value()["type"] for record in log.records()[-2:]] == ["log", "mark"]


def test_a_screen_that_stands_still_is_asked_for_a_key_where_events_are_older_than_the_seconds() -> None:
    asked: list[int] = []
    second = 0
    log = RecordLog(_HEAD, seconds=10, wants_key=lambda: asked.append(second * _SECOND))
    log.add_key(0, _patch(60), _STATE)
    for second in range(40):
        log.add(_line(second * _SECOND, str(second)))
        if asked and asked[-1] == second * _SECOND:
            log.add_key(second * _SECOND, _patch(60), _STATE)
    assert asked == [second * _SECOND for second in (10, 20, 30)]
    assert _texts(log.records()) == [str(second) for second in range(21, 40)]
