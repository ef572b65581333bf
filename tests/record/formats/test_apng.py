"""APNG recordings, as Pillow, ffmpeg and pngcheck read them."""

from __future__ import annotations

import shutil
import struct
import subprocess
import zlib
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
from animations import MS, Script, appended, by_ffmpeg, by_pillow, noise, piped

from xshm.geometry import Rect
from xshm.record.formats.apng import ApngSink
from xshm.record.sinks.settings import Settings
from xshm.system.replacement import Replacement

if TYPE_CHECKING:
    from pathlib import Path

SIZE = (201, 101)  # odd, and rows that are no whole words
WHOLE = Rect(0, 0, *SIZE)


def chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """Take a file apart by the specification, checking lengths and CRCs."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    found, at = [], 8
    while at < len(data):
        (size,) = struct.unpack_from(">I", data, at)
        name, content = data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        assert struct.unpack_from(">I", data, at + 8 + size)[0] == zlib.crc32(name + content)
        found.append((name, content))
        at += 12 + size
    return found


def played(sink: ApngSink) -> Script:
    """Write a recording in which something is new, or not, in each way that there is."""
    script = Script(sink)
    script.first(noise(WHOLE))
    script.write(50 * MS, script.paint(Rect(3, 4, 20, 10), (255, 0, 0)), script.paint(Rect(180, 90, 7, 7), (0, 255, 0)))
    script.write(1000 * MS)
    overlapping = [script.paint(Rect(30 + 9 * each, 40, 50, 50), noise(Rect(0, 0, 50, 50), each)) for each in (3, 4)]
    script.write(1033 * MS + 1, *overlapping)
    script.write(1067 * MS, script.paint(Rect(200, 100, 1, 1), (1, 2, 3)))
    script.write(1101 * MS, script.paint(WHOLE, noise(WHOLE, 5)))
    return script


def test_it_holds_the_exact_pixels_at_their_times(tmp_path: Path) -> None:
    path = tmp_path / "a.apng"
    script = played(ApngSink(Replacement(path), SIZE, Settings()))
    script.sink.finish(3000 * MS)
    times = [at // MS for at, _ in script.shown]
    durations = [later - at for at, later in pairwise([*times, 3000])]
    for number, (duration, pixels) in enumerate(by_pillow(path)):
        assert duration == durations[number]
        assert np.array_equal(pixels, script.shown[number][1]), number
    decoded = by_ffmpeg(path)
    assert [at for at, _, _ in decoded] == times
    assert all(np.array_equal(pixels, shown) for (_, _, pixels), (_, shown) in zip(decoded, script.shown, strict=True))
    assert path.stat().st_size == script.sink.nbytes


@pytest.mark.skipif(shutil.which("pngcheck") is None, reason="pngcheck is not installed")
def test_its_chunks_are_as_specified(tmp_path: Path) -> None:
    path = tmp_path / "a.apng"
    script = played(ApngSink(Replacement(path), SIZE, Settings()))
    script.sink.finish(3000 * MS)
    found = chunks(path.read_bytes())
    names = [name for name, _ in found]
    assert names == [b"IHDR", b"acTL", b"fcTL", b"IDAT", *[b"fcTL", b"fdAT"] * 5, b"IEND"]
    assert found[1][1] == struct.pack(">II", 6, 0)
    numbers = [struct.unpack(">I", data[:4])[0] for name, data in found if name in (b"fcTL", b"fdAT")]
    assert numbers == list(range(11))
    rects = [struct.unpack(">IIII", data[4:20]) for name, data in found if name == b"fcTL"]
    assert rects[1] == (184, 93, 3, 4)
    assert rects[2] == (1, 1, 0, 0)  # the keep-alive
    assert rects[4] == (1, 1, 200, 100)
    subprocess.run(["pngcheck", "-q", path], check=True)


def test_it_is_complete_after_each_frame(tmp_path: Path) -> None:
    path = tmp_path / "a.apng"
    script = Script(ApngSink(Replacement(path), SIZE, Settings()))
    script.first()
    assert not path.exists()  # nothing can be played
    for number in range(1, 6):
        script.write(number * 100 * MS, script.paint(Rect(number, 9, 3, 3), (number, 0, 0)))
        names = [name for name, _ in chunks(path.read_bytes())]
        assert names[-1] == b"IEND"
        read = by_pillow(path)
        assert [duration for duration, _ in read] == [100] * number
        assert np.array_equal(read[-1][1], script.shown[number - 1][1])
    script.sink.abort()
    assert [duration for duration, _ in by_pillow(path)] == [100] * 5


@pytest.mark.parametrize("is_finished", [True, False])
def test_what_went_through_a_pipe_plays_though_its_number_of_frames_was_not_known(
    tmp_path: Path, *, is_finished: bool
) -> None:
    with piped() as (pipe, received):
        script = played(ApngSink(pipe, SIZE, Settings()))
        if is_finished:
            script.sink.finish(3000 * MS)
        else:
            script.sink.abort()
    assert len(received[0]) == script.sink.nbytes
    path = tmp_path / "a.apng"
    path.write_bytes(received[0])
    count = len(script.shown) - (not is_finished)
    decoded = by_ffmpeg(path)
    assert len(decoded) == count
    assert all(np.array_equal(pixels, shown) for (_, _, pixels), (_, shown) in zip(decoded, script.shown, strict=False))


def test_a_file_that_is_appended_to_keeps_what_it_has(tmp_path: Path) -> None:
    path = tmp_path / "a.apng"
    path.write_bytes(b"before")
    script = played(ApngSink(appended(path), SIZE, Settings()))
    script.sink.finish(3000 * MS)
    data = path.read_bytes()
    assert data[:6] == b"before"
    path.write_bytes(data[6:])
    assert len(by_ffmpeg(path)) == len(script.shown)


def test_small_changes_in_opposite_corners_are_small_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.apng"
    script = Script(ApngSink(Replacement(path), (1920, 1080), Settings()))
    script.first(noise(Rect(0, 0, 1920, 1080), colours=16))
    script.write(100 * MS, script.paint(Rect(0, 0, 20, 16), 0), script.paint(Rect(1900, 1064, 20, 16), 0))
    before = script.sink.nbytes
    script.sink.finish(200 * MS)
    assert script.sink.nbytes - before < 16_000
    assert np.array_equal(by_pillow(path)[1][1], script.shown[1][1])
