"""Files of bare pictures: on a full disk they end with the last whole one, and the old file stays until the first."""

from __future__ import annotations

import errno
import itertools
from typing import TYPE_CHECKING, Literal

import pytest
import videos
from disks import fill, names, small_disk

from xshm.record.formats.raw import RawSink
from xshm.record.formats.y4m import Y4mSink
from xshm.record.sinks.settings import Settings
from xshm.record.sinks.timed_writer import TimedWriter
from xshm.system.replacement import Replacement

if TYPE_CHECKING:
    from pathlib import Path

    from xshm.record.formats.streamed import Streamed

SIZE = (96, 48)
KINDS: dict[str, type[Streamed]] = {"y4m": Y4mSink, "bgr0": RawSink}


def written_until_full(sink: Streamed) -> int:
    """Return how many pictures were written before the disk was full."""
    picture = sink.new_picture()
    numbers = itertools.count()

    def write_without_end() -> None:
        while True:
            sink.write(picture, next(numbers) * 33_000_000, ())

    with pytest.raises(OSError, match="free some, or write to another disk") as full:
        write_without_end()
    assert full.value.errno == errno.ENOSPC
    sink.abort()
    return next(numbers) - 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_full_disk_leaves_whole_pictures(tmp_path: Path, kind: str) -> None:
    with small_disk(tmp_path) as disk:
        path = disk / f"out.{kind}"
        sink = KINDS[kind](Replacement(path), SIZE, Settings())
        picture = len(sink.new_picture().handle)
        count = written_until_full(sink)
        header = 0 if kind == "bgr0" else path.read_bytes().index(b"\n") + 1
        assert count > 10
        assert path.stat().st_size == sink.nbytes == header + count * picture
        assert names(disk) == [path.name]
        if kind == "y4m":
            assert len(videos.times(path)) == count  # which ffprobe reads without an error


@pytest.mark.parametrize("mode", ["wb", "ab"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_full_disk_leaves_whole_pictures_of_what_is_redirected_to_a_file(
    tmp_path: Path, kind: str, mode: Literal["wb", "ab"]
) -> None:
    with small_disk(tmp_path) as disk:
        path = disk / "redirected"
        path.write_bytes(b"before")
        with path.open(mode) as redirected:
            sink = KINDS[kind](TimedWriter(redirected.fileno(), "standard output"), SIZE, Settings())
            picture = len(sink.new_picture().handle)
            count = written_until_full(sink)
            redirected.write(b"after")
        data = path.read_bytes().removeprefix(b"before").removesuffix(b"after")
        header = 0 if kind == "bgr0" else data.index(b"\n") + 1
        assert count > 10
        assert len(data) == sink.nbytes == header + count * picture


@pytest.mark.parametrize("kind", KINDS)
def test_a_disk_without_room_for_one_picture_leaves_the_old_file(tmp_path: Path, kind: str) -> None:
    with small_disk(tmp_path) as disk:
        path = disk / f"out.{kind}"
        path.write_bytes(b"old")
        fill(disk, 8192)
        assert written_until_full(KINDS[kind](Replacement(path), SIZE, Settings())) == 0
        assert path.read_bytes() == b"old"
        assert names(disk) == ["filler", path.name]
