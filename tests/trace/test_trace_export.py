"""A trace as a video: each picture at its own time, exact where that is asked for; ffprobe and ffmpeg say so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import videos
from PIL import Image
from trace_files import SECOND, TraceFile, example

from xshm.errors import InvalidArgument
from xshm.geometry import Rect
from xshm.trace.reader import TraceReader

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def file() -> TraceFile:
    """Give a trace of 8 s in two groups."""
    return example((128, 96), groups=2)


@pytest.fixture(scope="module")
def reader(file: TraceFile) -> TraceReader:
    """Give a reader of it."""
    return TraceReader(file.stream)


@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
def test_a_lossless_video_has_each_picture_at_its_own_time(
    suffix: str, file: TraceFile, reader: TraceReader, tmp_path: Path
) -> None:
    path = tmp_path / f"out.{suffix}"
    reader.export(path, quality="lossless")
    times, pictures = videos.times(path), videos.decode(path)
    for at, picture in zip(times, pictures, strict=True):
        assert np.array_equal(picture, file.rgb(at + 0.0005))  # containers count in milliseconds
    taken = [at / SECOND for at, _ in file.taken]
    assert all(any(abs(at - each) < 0.001 for each in times) for at in taken)
    assert np.diff(times).max() <= 1
    assert float(videos.probe(path)["format"]["duration"]) == pytest.approx(8, abs=0.002)


def test_marks_and_failures_are_chapters(reader: TraceReader, tmp_path: Path) -> None:
    reader.export(tmp_path / "out.mkv")
    chapters = videos.probe(tmp_path / "out.mkv")["chapters"]
    assert [(float(each["start_time"]), each["tags"]["title"]) for each in chapters] == [
        (0.5, "step 0 <b>&amp;"),
        (4.5, "step 1 <b>&amp;"),
        (7.75, "AssertionError: 1 == 2"),
    ]


def test_a_rate_bounds_the_pictures_and_each_shows_all_that_has_changed_by_then(
    file: TraceFile, reader: TraceReader, tmp_path: Path
) -> None:
    path = tmp_path / "out.mkv"
    reader.export(path, fps=4, quality="lossless")
    times, pictures = videos.times(path), videos.decode(path)
    assert 28 <= len(times) <= 34
    for at, picture in zip(times, pictures, strict=True):
        assert np.array_equal(picture, file.rgb(at + 0.0005))


def test_a_constant_rate_has_a_picture_for_each_frame_as_of_its_middle(
    file: TraceFile, reader: TraceReader, tmp_path: Path
) -> None:
    path = tmp_path / "out.mkv"
    reader.export(path, fps=15, constant=True, quality="lossless")
    times, pictures = videos.times(path), videos.decode(path)
    assert np.allclose(times, np.arange(8 * 15) / 15, atol=0.001)
    for number, picture in enumerate(pictures):
        assert np.array_equal(picture, file.rgb((number + 0.5) / 15))


def test_an_apng_is_exact_and_a_gif_has_its_times(file: TraceFile, reader: TraceReader, tmp_path: Path) -> None:
    for suffix in ("apng", "gif"):
        reader.export(tmp_path / f"out.{suffix}")
        with Image.open(tmp_path / f"out.{suffix}") as picture:
            at = 0.0
            for number in range(getattr(picture, "n_frames", 1)):
                picture.seek(number)
                picture.load()
                if suffix == "apng":
                    assert np.array_equal(np.asarray(picture.convert("RGB")), file.rgb(at + 0.0005))
                at += picture.info["duration"] / 1000
            assert at == pytest.approx(8, abs=0.02)


def test_y4m_has_a_constant_rate_and_small_pictures_are_scaled(reader: TraceReader, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="fps=30"):
        reader.export(tmp_path / "out.y4m")
    reader.export(tmp_path / "out.y4m", fps=10, max_edge=64)
    assert videos.decode(tmp_path / "out.y4m").shape == (80, 48, 64, 3)


def test_a_video_begins_with_the_first_picture_that_is_kept(tmp_path: Path) -> None:
    file = TraceFile((32, 32))
    file.event(1, "mark", title="long ago")
    file.draw(10, (Rect(0, 0, 32, 32), 80), key=True)
    file.draw(11.5, (Rect(0, 0, 32, 32), 160))
    file.end(12)
    path = tmp_path / "out.mkv"
    TraceReader(file.stream).export(path, quality="lossless")
    times, pictures = videos.times(path), videos.decode(path)
    assert times[0] == 0
    assert float(videos.probe(path)["format"]["duration"]) == pytest.approx(2, abs=0.02)
    assert [int(picture.max()) for picture in pictures] == [160 if at >= 1.499 else 80 for at in times]
    assert 1.5 in times
    assert float(videos.probe(path)["chapters"][0]["start_time"]) == 0


def test_what_is_wrong_is_refused_and_leaves_the_old_file(reader: TraceReader, tmp_path: Path) -> None:
    path = tmp_path / "out.mkv"
    path.write_bytes(b"old")
    for arguments in ({"codec": "no such codec"}, {"fps": -1.0}, {"max_edge": 1}):
        with pytest.raises(InvalidArgument):
            reader.export(path, **arguments)
    empty = TraceFile((8, 8))
    empty.end(1)
    with pytest.raises(InvalidArgument, match="no picture"):
        TraceReader(empty.stream).export(path)
    assert path.read_bytes() == b"old"
