"""A trace gives back the picture of any instant, exactly, and all that was noted."""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pictures import (
    BGR,
    BGRA,
    BGRX,
    DEEP,
    DEEP_BIG,
    GRAYS,
    R3G3B2,
    R5G5B5,
    R5G6B5,
    R5G6B5_BIG,
    XRGB,
    Picture,
    random_picture,
    random_rect,
)
from trace_files import SECOND, STARTED_AT, STARTED_NS, TraceFile, example

from xshm.errors import Closed, InvalidArgument, InvalidType, OutOfBounds
from xshm.geometry import Rect
from xshm.pixels.format import PixelFormat
from xshm.trace import records
from xshm.trace.reader import TraceReader

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


@pytest.fixture(scope="module")
def file() -> TraceFile:
    """Give a trace of 12 s in three groups."""
    return example()


@pytest.fixture
def reader(file: TraceFile, tmp_path: Path) -> TraceReader:
    """Give a reader of its page."""
    return TraceReader.open(file.save(tmp_path / "trace.html"))


def _random(fmt: PixelFormat, size: tuple[int, int], pictures: int, seed: int = 1) -> TraceFile:
    """Return a trace of random rectangles, ten pictures a second, with a key picture now and then."""
    random = np.random.default_rng(seed)
    file = TraceFile(size, fmt)
    for number in range(pictures):
        parts: list[tuple[Rect, Any]] = []
        for _ in range(int(random.integers(1, 4))):
            rect = random_rect(random, size)
            few = random_picture(fmt, rect.width, rect.height, int(random.integers(1 << 30)))
            pixels = few.pixels if random.integers(2) else few.pixels[:1, :1]
            parts.append((rect, _valid(pixels, fmt)))
        file.draw(number / 10, *parts, key=number == 0 or bool(random.integers(12) == 0))
    file.end(pictures / 10)
    return file


def _valid(pixels: NDArray[Any], fmt: PixelFormat) -> NDArray[Any]:
    """Return pixels of which none is brighter than its alpha, as the protocol has it."""
    valid: NDArray[Any] = np.minimum(pixels, pixels[..., 3:]) if fmt.alpha_mask else pixels
    return valid


def _truth(fmt: PixelFormat, size: tuple[int, int], pixels: NDArray[Any], dtype: Any) -> NDArray[Any]:
    """Return R G B as the slow decoder of the tests has it."""
    shape, kind, strides = fmt.layout(*size)
    memory = bytearray(fmt.nbytes(*size))
    np.ndarray(shape, kind, memory, 0, strides)[...] = pixels
    picture = Picture(fmt, *size, bytes(memory), None)
    return picture.gray(dtype)[..., None].repeat(3, axis=2) if fmt.is_gray else picture.rgba(dtype)[..., :3]


@pytest.mark.parametrize(
    "fmt",
    [BGRX, XRGB, BGR, PixelFormat.RGB, BGRA, DEEP, DEEP_BIG, R5G6B5, R5G6B5_BIG, R5G5B5, R3G3B2, GRAYS],
    ids=str,
)
def test_every_format_comes_back_to_the_last_bit(fmt: PixelFormat) -> None:
    size = (13, 9)
    file = _random(fmt, size, 12)
    reader = TraceReader(file.stream)
    dtype = np.uint16 if fmt.depth == 30 else np.uint8
    for at, pixels in file.taken:
        frame = reader.at(at / SECOND)
        assert frame.format == fmt
        assert np.array_equal(frame.rgb(dtype=dtype), _truth(fmt, size, pixels, dtype))
        if fmt.alpha_mask:
            assert np.array_equal(frame.pixels, pixels)


def test_instants_in_any_order_are_what_was_drawn_by_then() -> None:
    file = _random(BGRX, (60, 40), 300)
    reader = TraceReader(file.stream)
    random = np.random.default_rng(2)
    times = [at / SECOND for at, _ in file.taken]
    for seconds in (*times, *reversed(times), *random.uniform(0, 30, 300).tolist()):
        frame = reader.at(seconds)
        assert np.array_equal(frame.rgb(), file.rgb(seconds)), seconds


def test_a_frame_tells_when_and_where_it_is_from_and_is_the_callers_own(file: TraceFile, reader: TraceReader) -> None:
    frame = reader.at(5.05)
    assert frame.monotonic_ns == STARTED_NS + 5 * SECOND
    assert (frame.rect, frame.size) == (Rect(0, 0, 320, 200), (320, 200))
    frame.pixels[...] = 0
    assert np.array_equal(reader.at(5.05).rgb(), file.rgb(5.05))
    reader.close()
    assert not frame.rgb().any()
    with pytest.raises(Closed, match="closed"):
        reader.at(5.05)


def test_what_was_noted_is_told(reader: TraceReader) -> None:
    assert (reader.started_ns, reader.started_at, reader.duration, reader.begin) == (STARTED_NS, STARTED_AT, 12.0, 0.0)
    assert (reader.title, reader.size, reader.ended) == ("a trace of known pictures", (320, 200), "")
    assert [(mark.seconds, mark.title, mark.kind) for mark in reader.marks] == [
        *((4.0 * group + 0.5, f"step {group} <b>&amp;", "mark") for group in range(3)),
        (11.75, "AssertionError: 1 == 2", "failure"),
    ]
    assert (reader.marks[-1].file, reader.marks[-1].line) == ("t.py", 2)
    assert "assert 1 == 2" in reader.marks[-1].text
    assert [(line.seconds, line.text, line.source, line.level) for line in reader.log][1] == (
        5,
        "line 1",
        "stdout",
        "INFO",
    )
    assert (reader.inputs[0].seconds, reader.inputs[0].action) == (2.5, "click")
    assert reader.inputs[0].details == {"x": 20, "y": 30, "button": 1}
    assert {values["type"] for _, values in reader.events()} >= {"rate", "end", "pointer"}


def test_windows_and_pointer_are_those_of_the_instant(reader: TraceReader) -> None:
    before, after = reader.windows(5.9), reader.windows(6.0)
    assert [window.title for window in before] == ["Desk", "Window 1"]
    assert (before[1].rect, after[1].rect) == (Rect(10, 11, 160, 100), Rect(30, 20, 160, 100))
    assert (reader.pointer(6.4), reader.pointer(6.5)) == ((6, 7), (20, 30))


def test_coordinates_are_the_sources() -> None:
    file = TraceFile((50, 40), origin=(100, 200))
    file.key(0)
    file.event(0, "windows", windows=[[7, "", 1, 2, 3, 4]])
    file.event(0, "pointer", x=-1, y=5)
    file.event(0, "input", action="drag", x=3, y=4, x2=-5, y2=6, button=1)
    file.draw(1, (Rect(10, 10, 5, 5), 200))
    file.end(2)
    reader = TraceReader(file.stream)
    frame = reader.at(1)
    assert reader.inputs[0].details == {"x": 103, "y": 204, "x2": 95, "y2": 206, "button": 1}
    assert frame.rect == Rect(100, 200, 50, 40)
    assert frame.pixel(110, 210) == (200, 200, 200)
    assert [change.rects for change in reader] == [(frame.rect,), (Rect(110, 210, 5, 5),)]
    assert (reader.windows(0)[0].rect, reader.pointer(0)) == (Rect(101, 202, 3, 4), (99, 205))
    assert reader.last_change(110, 210) == 1
    with pytest.raises(OutOfBounds, match="100"):
        reader.last_change(10, 10)


def test_changes_have_the_times_and_rectangles_of_all_pictures(file: TraceFile, reader: TraceReader) -> None:
    changes = list(reader)
    assert [change.seconds for change in changes] == [at / SECOND for at, _ in file.taken]
    assert [change.seconds for change in changes if change.is_key] == [0, 4, 8]
    for (_, before), (_, after), change in zip(file.taken, file.taken[1:], changes[1:], strict=False):
        outside = np.ones(before.shape[:2], bool)
        for rect in change.rects:
            outside[rect.slices] = False
        assert not (before != after)[outside].any()


@pytest.mark.parametrize("seed", range(3))
def test_a_pixels_or_regions_changes_are_those_that_its_pictures_show(seed: int) -> None:
    size = (16, 12)
    file = _random(R3G3B2, size, 60, seed)  # few values: much is drawn anew as it was
    reader = TraceReader(file.stream)
    random = np.random.default_rng(seed)
    for rect in (random_rect(random, (16, 12)) if number % 2 else None for number in range(16)):
        region = rect or Rect(int(random.integers(16)), int(random.integers(12)), 1, 1)
        parts = [(at, pixels[region.slices]) for at, pixels in file.taken]
        changed = [at / SECOND for (_, one), (at, other) in itertools.pairwise(parts) if not np.array_equal(one, other)]
        arguments = (region.x, region.y, region.width, region.height)
        found, forward = reader.last_change(*arguments), reader.next_change(*arguments)
        backward, onward = [], []
        while found is not None:
            backward.append(found)
            found = reader.last_change(*arguments, before=found)
        while forward is not None:
            onward.append(forward)
            forward = reader.next_change(*arguments, after=forward)
        assert backward[::-1] == onward == changed


def test_what_the_trace_has_not_is_refused_with_what_it_has() -> None:
    file = TraceFile((8, 8))
    file.key(3)
    file.draw(4, (Rect(0, 0, 2, 2), 9))
    file.end(5)
    reader = TraceReader(file.stream, "kept.html")
    assert (reader.begin, reader.duration) == (3, 5)
    assert reader.at(5).monotonic_ns == STARTED_NS + 4 * SECOND
    with pytest.raises(InvalidArgument, match=r"kept.html has no picture of 2.5 s: it begins at 3.000 s; older .*gone"):
        reader.at(2.5)
    with pytest.raises(InvalidArgument, match=r"kept.html has no 5.001 s: it ends at 5.000 s"):
        reader.at(5.001)
    for wrong in (float("nan"), float("inf")):
        with pytest.raises(InvalidArgument, match="number of seconds"):
            reader.at(wrong)
    with pytest.raises(InvalidType, match="number of seconds"):
        reader.at("1")  # type: ignore[arg-type]
    assert reader.last_change(0, 0) == 4
    assert reader.next_change(0, 0, after=4) is None


def test_a_trace_without_a_picture_is_read_and_says_so() -> None:
    file = TraceFile((8, 8))
    file.event(1, "mark", title="alone")
    file.end(2, "the window was closed")
    reader = TraceReader(file.stream)
    assert ([mark.title for mark in reader.marks], list(reader), reader.duration) == (["alone"], [], 2)
    assert reader.ended == "the window was closed"
    with pytest.raises(InvalidArgument, match=r"no picture \(the window was closed\)"):
        reader.at(1)
    with pytest.raises(InvalidArgument, match="no picture"):
        reader.last_change(0, 0)


def _check_last(reader: TraceReader, file: TraceFile) -> None:
    """Check the last picture that is there."""
    last = list(reader)[-1].seconds
    assert np.array_equal(reader.at(reader.duration).rgb(), file.rgb(last))


def test_a_stream_that_is_cut_anywhere_is_read_up_to_there(tmp_path: Path) -> None:
    file = example((64, 48), groups=1)
    data = file.bytes()
    ends = np.cumsum([len(records.MAGIC), *(record.nbytes for record in file.stream)]).tolist()
    cut = tmp_path / "cut"
    for length in range(ends[1], len(data), 97):
        cut.write_bytes(data[:length])
        whole = sum(end <= length for end in ends) - 1
        reader = TraceReader.open(cut)
        assert len(list(reader)) + len(list(reader.events())) + 1 == whole
        assert "cut off" in reader.ended
        if list(reader):
            _check_last(reader, file)
    cut.write_bytes(data)
    assert TraceReader.open(cut).ended == ""
    cut.write_bytes(data[: ends[1] - 1])
    with pytest.raises(InvalidArgument, match="first record"):
        TraceReader.open(cut)


def test_a_spill_file_of_a_killed_process_says_that_it_was_cut_though_its_last_record_is_whole(tmp_path: Path) -> None:
    file = TraceFile((8, 8))
    file.key(0)
    file.draw(1.5, (Rect(0, 0, 1, 1), 5))
    assert TraceReader.open(file.spill(tmp_path / "spilled")).ended == (
        "the file was cut off, or is damaged, after 1.500 s"
    )
    assert TraceReader.open(file.save(tmp_path / "page.html")).ended == ""  # which is written whole


def test_a_page_that_is_cut_or_damaged_is_read_up_to_there(tmp_path: Path) -> None:
    file = example((64, 48), groups=1)
    page = file.save(tmp_path / "whole.html").read_bytes()
    begin = page.index(b'id="trace">')
    end = page.index(b"</script>", begin)
    cut = tmp_path / "cut.html"
    seen = set()
    for length in range(begin + 600, end, 331):
        cut.write_bytes(page[:length])
        reader = TraceReader.open(cut)
        seen.add(reader.duration)
        assert "cut off" in reader.ended
        if list(reader):
            _check_last(reader, file)
    assert len(seen) > 20
    for place in (begin + (end - begin) // 2, begin + (end - begin) // 3):
        cut.write_bytes(page[:place] + b"??" + page[place + 2 :])
        reader = TraceReader.open(cut)
        assert 0 < reader.duration < 4
        assert "damaged" in reader.ended
        _check_last(reader, file)


def test_other_files_are_refused_by_name(tmp_path: Path) -> None:
    other = tmp_path / "other.html"
    other.write_text("<html></html>")
    with pytest.raises(InvalidArgument, match=r"other\.html is no trace"):
        TraceReader.open(other)
    with pytest.raises(FileNotFoundError, match=r"none\.html"):
        TraceReader.open(tmp_path / "none.html")


def test_pictures_that_contradict_the_head_are_refused() -> None:
    file = TraceFile((8, 8))
    file.key(0)
    wrong = records.Patch(Rect(6, 6, 4, 4), next(file.stream[-1].patches()).png)
    file.stream.append(records.picture(SECOND, [wrong], key=False))
    file.stream.append(records.picture(2 * SECOND, [records.Patch(Rect(0, 0, 8, 8), b"\x89PNG")], key=True))
    reader = TraceReader(file.stream)
    assert not reader.at(0.5).rgb().any()
    for seconds in (1, 2):
        with pytest.raises(InvalidArgument, match=rf"picture of {seconds}.000 s can't be decoded"):
            reader.at(seconds)
    assert not reader.at(0.5).rgb().any()


@pytest.mark.parametrize("key", ["format", "size", "started_ns", "origin"])
def test_a_head_without_what_is_needed_is_refused(key: str) -> None:
    head = TraceFile((8, 8)).stream[0].value()
    del head[key]
    with pytest.raises(InvalidArgument, match=f"head of it.*{key}"):
        TraceReader([records.head(head)], "it")


def test_threads_ask_at_the_same_time(file: TraceFile, reader: TraceReader) -> None:
    wrong: list[float] = []

    def ask(seed: int) -> None:
        times = np.random.default_rng(seed).uniform(0, 12, 60).tolist()
        wrong.extend(each for each in times if not np.array_equal(reader.at(each).rgb(), file.rgb(each)))

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_what_was_cut_is_saved_as_a_page_that_says_so(tmp_path: Path) -> None:
    file = example((64, 48), groups=1)
    cut = tmp_path / "spilled"
    cut.write_bytes(file.bytes()[:-5000])
    with TraceReader.open(cut) as reader:
        reader.save(tmp_path / "recovered.html")
        with TraceReader.open(tmp_path / "recovered.html") as again:
            assert (again.ended, again.duration) == (reader.ended, reader.duration)
            assert [change.seconds for change in again] == [change.seconds for change in reader]
            assert np.array_equal(again.at(again.duration).rgb(), file.rgb(again.duration))


def test_a_page_that_cannot_be_written_leaves_the_old_one(reader: TraceReader, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="missing"):
        reader.save(tmp_path / "nowhere" / "page.html")


def test_a_page_is_not_written_under_the_name_of_a_video(reader: TraceReader, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match=r"export\(\)"):
        reader.save(tmp_path / "trace.mp4")
    assert not (tmp_path / "trace.mp4").exists()


def test_pictures_that_contradict_themselves_are_refused() -> None:
    file = TraceFile((8, 8))
    file.key(0)
    part = records.Patch(Rect(0, 0, 4, 4), next(file.stream[-1].patches()).png)
    with pytest.raises(InvalidArgument, match=r"1\.000 s can't be decoded: it is a key"):
        TraceReader([*file.stream, records.picture(SECOND, [part], key=True)]).last_change(6, 6)
    whole = records.picture(SECOND, [part], key=False)
    cut = records.Record(whole.kind, SECOND, b"\2" + whole.payload[1:])
    with pytest.raises(InvalidArgument, match="fewer rectangles"):
        list(TraceReader([*file.stream, cut]))


@pytest.mark.parametrize("size", [[0, 8], [8], [1 << 40, 8], "8x8"])
def test_a_head_with_an_impossible_size_is_refused(size: Any) -> None:
    head = TraceFile((8, 8)).stream[0].value()
    with pytest.raises(InvalidArgument, match="head of it"):
        TraceReader([records.head({**head, "size": size})], "it")


def test_events_that_are_not_as_their_type_says_are_skipped() -> None:
    file = TraceFile((8, 8))
    file.key(0)
    for values in ({"windows": [[1, "a"]]}, {"windows": 3}, {"windows": [[1, 2, 3, 4, 5, 6]]}):
        file.event(0.1, "windows", **values)
    file.event(0.1, "pointer", x=1)
    file.event(0.1, "mark", title="a", file=3)
    file.event(0.2, "mark", title="b")
    reader = TraceReader(file.stream)
    assert reader.windows(0.2) == []
    assert reader.pointer(0.2) is None
    assert [each.title for each in reader.marks] == ["b"]


def test_a_full_disk_is_told_with_the_files_name_and_leaves_nothing(reader: TraceReader, small_disk: Path) -> None:
    (small_disk / "rest").write_bytes(bytes(400_000))
    with pytest.raises(OSError, match=r"trace\.html"):
        reader.save(small_disk / "trace.html")
    assert [each.name for each in small_disk.iterdir()] == ["rest"]
