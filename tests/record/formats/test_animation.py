"""What APNG, GIF and WebP recordings have in common: their frames, when these are shown, and the file meanwhile."""

from __future__ import annotations

import contextlib
import fcntl
import gc
import os
import random
import resource
import select
import threading
import time
import tracemalloc
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from animations import MS, Script, by_pillow, noise

from xshm.errors import Closed, InvalidArgument
from xshm.geometry import Rect
from xshm.record.formats.apng import ApngSink
from xshm.record.formats.gif import GifSink
from xshm.record.formats.webp import WebpSink
from xshm.record.sinks.settings import Settings
from xshm.record.sinks.timed_writer import TimedWriter
from xshm.system.replacement import Replacement

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from xshm.record.formats.animation import Animation

SIZE = (67, 41)
WHOLE = Rect(0, 0, *SIZE)
KINDS: dict[str, type[Animation]] = {"apng": ApngSink, "gif": GifSink, "webp": WebpSink}

Begin = Any  # a function that begins a recording, and returns its Script and its file


@pytest.fixture(params=KINDS)
def begin(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Begin]:
    def begin(size: tuple[int, int] = SIZE, output: TimedWriter | None = None, **settings: Any) -> tuple[Script, Path]:
        path = tmp_path / f"a.{request.param}"
        file = output or Replacement(path)
        opened.callback(file.discard)
        return Script(KINDS[request.param](file, size, Settings(**settings))), path

    with contextlib.ExitStack() as opened:
        yield begin


def _assert_closed(script: Script) -> None:
    with pytest.raises(Closed):
        _ = script.sink._file._output.descriptor  # type: ignore[attr-defined]


def starts(path: Path) -> list[int]:
    """Return when each frame begins, and when the last one ends, in ms."""
    return list(accumulate((duration for duration, _ in by_pillow(path)), initial=0))


def test_only_what_differs_is_in_the_file(begin: Begin) -> None:
    script, path = begin()
    script.first()
    script.write(100 * MS, script.paint(Rect(40, 20, 1, 1), (255, 0, 0)), WHOLE)
    script.write(200 * MS, WHOLE)  # painted anew, as it was
    before = script.sink.nbytes
    script.write(300 * MS, script.paint(Rect(3, 3, 2, 2), (0, 0, 255)), WHOLE)
    assert before < script.sink.nbytes < before + 150
    script.sink.finish(400 * MS)
    read = by_pillow(path)
    assert [duration for duration, _ in read] == [100, 200, 100]
    assert np.array_equal(read[1][1], script.shown[1][1])
    assert np.array_equal(read[2][1], script.shown[3][1])


def test_what_does_not_differ_between_two_changes_is_transparent(begin: Begin) -> None:
    script, path = begin()
    script.first(noise(WHOLE, colours=200))  # 6 KiB of a GIF, 8 of others
    for number in range(1, 4):
        colour = (number, 0, 0)
        for corner in (Rect(0, 0, 1, 1), Rect(66, 40, 1, 1)):
            script.paint(corner, colour)
        script.write(number * 100 * MS, WHOLE)
        before = script.sink.nbytes
        script.write(number * 100 * MS + 50 * MS, WHOLE)
        script.write(number * 100 * MS + 60 * MS)
        assert script.sink.nbytes - before < 400
    script.sink.finish(500 * MS)
    assert np.array_equal(by_pillow(path)[-1][1], script.shown[-1][1])


def test_what_is_painted_anew_all_the_time_keeps_nothing_back(begin: Begin) -> None:
    script, path = begin()
    script.first()
    script.write(40 * MS, script.paint(Rect(3, 3, 2, 2), (255, 0, 0)))
    for at in range(80, 1000, 40):
        script.write(at * MS, WHOLE)
    script.sink.abort()
    assert 600 < starts(path)[-1] <= 1000
    assert np.array_equal(by_pillow(path)[-1][1], script.shown[1][1])


def test_a_keep_alive_is_a_small_frame(begin: Begin) -> None:
    script, path = begin()
    script.first(noise(WHOLE, colours=9))
    for at in range(1, 11):
        script.write(at * 800 * MS)
        if at == 1:
            first = script.sink.nbytes
    assert script.sink.nbytes - first < 9 * 100
    script.sink.finish(8500 * MS)
    read = by_pillow(path)
    assert [duration for duration, _ in read] == [800] * 10 + [500]
    assert all(np.array_equal(pixels, script.shown[0][1]) for _, pixels in read)


def test_at_a_constant_rate_each_picture_is_a_frame(begin: Begin) -> None:
    script, path = begin(fps=30, constant=True)
    for number in range(60):
        at = number * 1_000_000_000 // 30
        if number == 0:
            script.first()
        else:
            script.write(at, *([script.paint(Rect(number, 3, 1, 1), 0)] if number % 7 == 0 else [WHOLE][: number % 2]))
    script.sink.finish(2_000_000_000)
    found = starts(path)
    assert len(found) == 61
    assert all(abs(at - number * 1000 / 30) <= 10 for number, at in enumerate(found))
    assert found[-1] == 2000


def test_pictures_faster_than_browsers_show_them_are_joined_in_time(begin: Begin) -> None:
    script, path = begin(fps=None)
    script.first()
    for number in range(1, 200):
        script.write(number * 3_300_000, script.paint(Rect(number % 60, number // 60, 1, 1), (number, 0, 0)))
    script.sink.finish(199 * 3_300_000)
    read, found = by_pillow(path), starts(path)
    shortest = 1000 * script.sink.shortest // script.sink.ticks
    assert min(duration for duration, _ in read) >= shortest
    assert len(read) >= 0.9 * found[-1] / shortest
    assert abs(found[-1] - 199 * 3.3) <= shortest + 10
    for at, (_, pixels) in zip(found, read, strict=False):
        shown = next(when for when, picture in reversed(script.shown) if np.array_equal(picture, pixels))
        assert shown // MS - 10 <= at <= shown // MS + shortest + 10
    assert np.array_equal(read[-1][1], script.shown[-1][1])


def test_a_picture_that_lasts_longer_than_a_frame_can_is_several(begin: Begin) -> None:
    script, path = begin()
    script.first()
    script.sink.finish(1_400_000 * MS)
    assert starts(path)[-1] == 1_400_000
    assert all(np.array_equal(pixels, script.shown[0][1]) for _, pixels in by_pillow(path))


def test_an_end_at_the_last_picture_shows_it_all_the_same(begin: Begin) -> None:
    script, path = begin()
    script.first()
    script.write(100 * MS, script.paint(Rect(3, 3, 2, 2), (255, 0, 0)))
    script.sink.finish(100 * MS)
    read = by_pillow(path)
    assert len(read) == 2
    assert 10 < read[1][0] <= 20


def test_an_aborted_file_is_complete_up_to_the_last_picture_but_one(begin: Begin) -> None:
    script, path = begin()
    script.first(noise(WHOLE, colours=9))
    script.write(100 * MS, script.paint(Rect(3, 3, 2, 2), (255, 0, 0)))
    script.write(250 * MS, script.paint(Rect(9, 9, 2, 2), (255, 0, 0)))
    script.sink.abort()
    assert starts(path) == [0, 100, 250]
    assert path.stat().st_size == script.sink.nbytes
    with pytest.raises(Closed, match="takes no further pictures"):
        script.write(300 * MS)
    script.sink.abort()


def test_without_a_picture_there_is_no_file(begin: Begin) -> None:
    script, path = begin()
    script.sink.finish(0)
    assert script.sink.nbytes == 0
    assert not list(path.parent.iterdir())
    _assert_closed(script)


def test_on_a_full_disk_the_file_ends_with_the_last_whole_frame(begin: Begin) -> None:
    script, path = begin((300, 200))
    script.first()
    small = Rect(0, 0, 20, 20)
    script.write(100 * MS, script.paint(small, (255, 0, 0)))
    script.write(200 * MS, script.paint(Rect(0, 0, 300, 200), noise(Rect(0, 0, 300, 200))))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))  # bytes; the kernel's error is EFBIG, not ENOSPC
    try:
        with pytest.raises(
            OSError, match=r"too large: .* may have 20,000 bytes .*; raise the limit \(ulimit -f\)"
        ) as error:
            script.write(300 * MS, script.paint(small, (0, 255, 0)))
        script.sink.abort()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert error.value.filename == str(path)
    assert starts(path) == [0, 100, 200]
    assert np.array_equal(by_pillow(path)[1][1], script.shown[1][1])


def test_an_end_on_a_full_disk_is_an_error_and_leaves_the_file_whole(begin: Begin) -> None:
    script, path = begin((300, 200))
    script.first()
    script.write(100 * MS, script.paint(Rect(0, 0, 300, 200), noise(Rect(0, 0, 300, 200))))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            script.sink.finish(300 * MS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    _assert_closed(script)
    assert starts(path) == [0, 100]


@pytest.mark.parametrize("kind", ["apng", "gif"])
def test_to_give_up_waits_for_no_reader_and_the_pipe_is_closed_after_the_write(kind: str) -> None:
    reads, writes = os.pipe()
    script = Script(KINDS[kind](TimedWriter(writes, "a pipe"), (400, 300), Settings()))
    os.close(writes)
    fcntl.fcntl(reads, fcntl.F_SETPIPE_SZ, 4096)  # which is less than a picture
    script.first(noise(Rect(0, 0, 400, 300)))
    raised: list[BaseException] = []

    def write() -> None:
        try:
            script.write(100 * MS)
        except Closed as error:
            raised.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    assert select.select([reads], [], [], 10)[0]  # it is writing
    time.sleep(0.1)  # the time that the rest would take
    assert writer.is_alive()
    script.sink.abort()
    writer.join(5)
    assert len(raised) == 1
    _assert_closed(script)
    with open(reads, "rb") as file:  # noqa: PTH123 - a descriptor
        assert file.read()  # up to its end: nobody has the pipe open


@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_drawn_each_frame_is_what_was_shown_at_its_time(begin: Begin, seed: int) -> None:
    rng = random.Random(seed)
    script, path = begin(fps=None)
    script.first(noise(WHOLE, colours=9))
    at = 0
    for _ in range(60):
        at += rng.choice((1, 200_000, 4 * MS, 15 * MS, 40 * MS, 300 * MS))
        drawn = []
        for number in range(rng.choice((0, 1, 1, 2, 3))):
            left, top = rng.randrange(SIZE[0]), rng.randrange(SIZE[1])
            rect = Rect(left, top, rng.randint(1, SIZE[0] - left), rng.randint(1, SIZE[1] - top))
            if number != 2:
                script.paint(rect, noise(rect, rng.randrange(3), colours=9) if rng.random() < 0.5 else 7)
            drawn.append(rect)
        script.write(at, *drawn)
    script.sink.finish(at + 100 * MS)
    shortest, tick = (1000 * each // script.sink.ticks for each in (script.sink.shortest, 1))
    for begins, (_, pixels) in zip(starts(path), by_pillow(path), strict=False):
        near = [picture for when, picture in script.shown if begins - shortest - tick <= when / MS < begins + tick]
        near += [picture for when, picture in script.shown if when / MS < begins + tick][-1:]
        assert any(np.array_equal(pixels, picture) for picture in near), begins
    assert np.array_equal(by_pillow(path)[-1][1], script.shown[-1][1])


def test_it_goes_behind_what_is_in_an_open_file(begin: Begin, tmp_path: Path) -> None:
    opened = tmp_path / "opened"
    descriptor = os.open(opened, os.O_RDWR | os.O_CREAT, 0o666)
    os.write(descriptor, b"before")
    script, _ = begin(output=TimedWriter(descriptor, str(opened)))
    script.first()
    script.write(100 * MS, script.paint(Rect(3, 3, 2, 2), (255, 0, 0)))
    script.sink.finish(200 * MS)
    data = opened.read_bytes()
    assert data[:6] == b"before"
    os.write(descriptor, b"after")
    os.close(descriptor)
    assert opened.read_bytes() == data + b"after"
    (tmp_path / "cut").write_bytes(data[6:])
    assert starts(tmp_path / "cut") == [0, 100, 200]


def test_it_does_not_grow_in_memory(begin: Begin) -> None:
    script, _ = begin()
    script.first()

    def go_on(first: int, last: int) -> None:
        for number in range(first, last):
            rects = [script.paint(Rect(number % 50, each, 9, 2), number % 251) for each in (1, 30)]
            script.sink.write(script.picture, number * 40 * MS, rects)

    go_on(1, 50)
    tracemalloc.start()
    try:
        go_on(50, 100)
        gc.collect()
        before, _ = tracemalloc.get_traced_memory()
        go_on(100, 300)
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    script.sink.abort()
    assert after - before < 20_000  # of which 200 frames have 100 bytes each


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"codec": "libx264"}, "format and codec in one; leave codec='libx264' out"),
        ({"options": {"crf": 3}}, "has no options, so 'crf' can't be set"),
        ({"fps": 120, "constant": True}, "pictures a second, .* not a constant 120"),
    ],
)
def test_settings_that_it_does_not_have_are_refused(begin: Begin, settings: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidArgument, match=words):
        begin(**settings)


def test_its_own_name_is_a_codec_too_and_its_words_say_what_it_is(begin: Begin, request: pytest.FixtureRequest) -> None:
    kind = request.node.callspec.params["begin"]
    script, _ = begin(codec=kind)
    assert script.sink.how.lower().startswith(kind)
    assert "no chapters" in script.sink.how
    script.sink.mark(0, "a chapter")
    script.sink.abort()


def test_a_bound_on_the_rate_that_is_not_reached_is_no_error(begin: Begin) -> None:
    script, _ = begin(fps=120)
    script.sink.abort()
