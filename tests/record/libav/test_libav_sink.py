"""Recordings by libav: every codec in its containers, colours, times, chapters, exact pixels, by ffmpeg's judgement."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import videos
from videos import SECOND

from xshm import InvalidArgument, MissingExtra
from xshm.geometry import Rect
from xshm.record.libav.sink import LibavSink
from xshm.record.sinks.settings import Settings
from xshm.system.replacement import Replacement

if TYPE_CHECKING:
    from pathlib import Path


WIDTH, HEIGHT = 192, 96


def sink(path: Path, size: tuple[int, int] = (WIDTH, HEIGHT), **settings: Any) -> LibavSink:
    return LibavSink(Replacement(path), size, Settings(**{"format": path.suffix, **settings}))


# container, codec, quality → codec and pixels by ffprobe, how far a pure colour may be off
_CASES = [
    ("mp4", None, "screen", "h264", "yuv444p", 2),
    ("mp4", None, "small", "h264", "yuv420p", 2),
    ("mov", None, "screen", "h264", "yuv444p", 2),
    ("mkv", None, "screen", "h264", "yuv444p", 2),
    ("ts", None, "small", "h264", "yuv420p", 2),
    ("flv", None, "small", "h264", "yuv420p", 2),
    ("webm", None, "screen", "vp9", "yuv444p", 2),
    ("webm", None, "small", "vp9", "yuv420p", 2),
    ("webm", "vp8", "screen", "vp8", "yuv420p", 2),
    ("webm", "av1", "screen", "av1", "yuv420p", 2),
    ("mp4", "av1", "small", "av1", "yuv420p", 2),
    ("mp4", "h265", "screen", "hevc", "yuv444p", 2),
    ("ts", "h265", "small", "hevc", "yuv420p", 2),
    ("mp4", "vp9", "screen", "vp9", "yuv444p", 2),
    ("mp4", "x264rgb", "screen", "h264", "gbrp", 2),
    ("mp4", "mpeg4", "small", "mpeg4", "yuv420p", 2),
    ("mov", "prores", "screen", "prores", "yuv444p10le", 2),
    ("mov", "prores", "small", "prores", "yuv422p10le", 2),
    ("mov", "mjpeg", "screen", "mjpeg", "yuvj444p", 2),
    ("mkv", "mjpeg", "small", "mjpeg", "yuvj420p", 2),
    ("mkv", "ffv1", "screen", "ffv1", "yuv444p", 2),
    ("mkv", "ffv1", "small", "ffv1", "yuv420p", 2),
]


def test_no_thread_of_this_process_becomes_real_time(tmp_path: Path) -> None:
    # As root SVT-AV1 does that to its threads and to the caller, whose programs inherit it.
    recording = sink(tmp_path / "video.webm", codec="av1")
    picture = recording.new_picture()
    recording.write(picture, 0, (Rect(0, 0, WIDTH, HEIGHT),))
    kinds = {os.sched_getscheduler(int(thread)) for thread in os.listdir("/proc/self/task")}  # noqa: PTH208 - names
    recording.finish(SECOND)
    assert kinds == {os.SCHED_OTHER}
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


@pytest.mark.parametrize(("suffix", "codec", "quality", "kind", "pixels", "off"), _CASES)
def test_ffmpeg_decodes_each_codec_with_its_colours_and_times(
    tmp_path: Path, suffix: str, codec: str | None, quality: Any, kind: str, pixels: str, off: int
) -> None:
    path = tmp_path / f"out.{suffix}"
    rgb = videos.bars(WIDTH, HEIGHT)
    written = sink(path, codec=codec, quality=quality, fps=25)
    videos.record(written, [rgb, rgb, np.zeros_like(rgb), rgb, rgb])
    found = videos.probe(path, frames=True)
    stream = found["streams"][0]
    assert (stream["codec_name"], stream["pix_fmt"]) == (kind, pixels)
    assert (stream["width"], stream["height"]) == (WIDTH, HEIGHT)
    frames = videos.decode(path)
    assert len(frames) == 5
    for frame in frames[[0, 4]]:
        shown = frame[HEIGHT // 2, videos.middles(WIDTH)].astype(int)
        assert abs(shown - np.array(videos.BARS)).max() <= off, shown
    assert frames[2].max() <= 20
    assert ("softened" in written.how) == (quality == "screen" and pixels == "yuv420p")
    periods = np.diff([float(frame["pts_time"]) for frame in found["frames"]])
    assert np.allclose(periods, 0.04, atol=0.0011), periods
    assert 0.2 <= float(found["format"]["duration"]) < 0.241


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [("mp4", None), ("mkv", None), ("webm", None), ("mkv", "ffv1"), ("mkv", "h265"), ("mp4", "vp9")],
)
def test_lossless_gives_back_the_exact_pixels(tmp_path: Path, suffix: str, codec: str | None) -> None:
    path = tmp_path / f"out.{suffix}"
    pictures = [videos.noise(67, 35, seed) for seed in range(3)]
    written = sink(path, (67, 35), codec=codec, quality="lossless")
    assert written.size == (67, 35)
    videos.record(written, pictures)
    assert np.array_equal(videos.decode(path), pictures)
    assert ("RGB (libx264rgb), RGB" in written.how) == (suffix in ("mp4", "mkv") and codec is None)


@pytest.mark.parametrize(
    ("suffix", "quality", "size"),
    [
        ("mp4", "screen", (67, 35)),
        ("mp4", "small", (68, 36)),
        ("webm", "screen", (67, 35)),
        ("webm", "small", (68, 36)),
    ],
)
def test_odd_sizes_are_padded_where_colour_is_in_pairs(
    tmp_path: Path, suffix: str, quality: Any, size: tuple[int, int]
) -> None:
    path = tmp_path / f"out.{suffix}"
    written = sink(path, (67, 35), quality=quality)
    assert written.size == size
    assert ("padded" in written.how) == (size == (68, 36))
    videos.record(written, [videos.bars(67, 35)] * 2)
    assert videos.decode(path).shape == (2, size[1], size[0], 3)


def test_one_pixel_is_a_video(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    videos.record(sink(path, (1, 1)), [np.full((1, 1, 3), 200, np.uint8)] * 2)
    assert videos.decode(path).shape == (2, 1, 1, 3)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1)])
@pytest.mark.parametrize("quality", ["screen", "small", "lossless"])
def test_ffv1_takes_an_edge_of_one_pixel(tmp_path: Path, size: tuple[int, int], quality: Any) -> None:
    path = tmp_path / "out.mkv"
    videos.record(sink(path, size, codec="ffv1", quality=quality), [np.full((*size[::-1], 3), 200, np.uint8)] * 2)
    assert abs(videos.decode(path).astype(int) - 200).max() <= 1


# -- times -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "webm", "ts", "flv"])
def test_times_are_those_of_the_pictures_and_the_last_is_shown_to_the_end(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out.{suffix}"
    written = sink(path)
    picture = written.new_picture()
    at = [0.0, 0.016, 0.5, 0.533, 2.0]
    for time in at:
        written.write(picture, round(time * SECOND), (Rect(0, 0, 2, 2),))
    written.finish(round(3.5 * SECOND))
    found = np.array(videos.times(path))
    assert np.allclose(found - found[0], [*at, 3.5 - 1 / 30], atol=0.0015), found
    assert float(videos.probe(path)["format"]["duration"]) == pytest.approx(3.5, abs=1 / 30)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "webm"])
def test_where_pictures_are_rare_the_last_one_is_not_shown_longer_than_the_recording(
    tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"out.{suffix}"
    written = sink(path, fps=0.5)
    picture = written.new_picture()
    for time in (0.0, 2.0, 4.0):
        written.write(picture, round(time * SECOND), (Rect(0, 0, 2, 2),))
    written.finish(round(4.3 * SECOND))
    assert float(videos.probe(path)["format"]["duration"]) == pytest.approx(4.3, abs=0.05)


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_at_the_end_no_two_pictures_are_one_for_who_counts_in_frames_of_the_rate(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out.{suffix}"
    pictures = [videos.noise(WIDTH, HEIGHT, seed) for seed in range(2)]
    videos.record(sink(path), pictures, period=52_000_000, end=104_000_000)
    assert np.diff(videos.times(path)).min() >= 0.033
    command = ["ffmpeg", "-v", "warning", "-i", str(path), "-f", "null", "-"]  # which counts so
    assert subprocess.run(command, capture_output=True, check=True, timeout=30).stderr == b""


def test_a_constant_rate_has_exact_times_and_no_picture_more(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    videos.record(sink(path, fps=29.97, constant=True), [videos.bars(WIDTH, HEIGHT)] * 12, period=round(SECOND / 29.97))
    stream = videos.probe(path)["streams"][0]
    assert stream["avg_frame_rate"] == stream["r_frame_rate"] == "2997/100"
    assert stream["nb_frames"] == "12"


def test_times_that_fall_together_are_kept_apart(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    videos.record(sink(path, fps=None), [videos.bars(WIDTH, HEIGHT)] * 4, period=1000)
    assert len(videos.decode(path)) >= 4


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "mov"])
def test_pictures_that_are_encoded_out_of_order_begin_at_0(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out.{suffix}"
    pictures = [np.roll(videos.bars(WIDTH, HEIGHT), 3 * number, axis=1) for number in range(20)]
    videos.record(sink(path, options={"bf": 2}), pictures)
    packets = subprocess.run(
        ["ffprobe", "-v", "error", "-show_entries", "frame=pict_type", "-of", "csv=p=0", path],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "B" in packets
    found = videos.probe(path)
    assert float(found["format"]["start_time"]) == 0
    assert float(found["format"]["duration"]) == pytest.approx(0.8, abs=1 / 25)
    assert np.allclose(videos.times(path), np.arange(20) / 25, atol=0.0011)


def test_key_frames_come_each_ten_seconds_and_each_four_where_much_changes(tmp_path: Path) -> None:
    for name, area, keys in (("still", 10, [0, 10, 20]), ("busy", HEIGHT, [0, 4, 8, 12, 16, 20, 24])):
        path = tmp_path / f"{name}.mp4"
        written = sink(path)
        picture = written.new_picture()
        for number in range(50):
            written.write(picture, number * SECOND // 2, (Rect(0, 0, WIDTH, area),) if number % 2 else ())
            if name == "busy":
                written.write(picture, number * SECOND // 2 + 5_000_000, (Rect(0, 0, WIDTH, area),) * 2)
        written.finish(25 * SECOND)
        frames = videos.probe(path, frames=True)["frames"]
        assert [round(float(each["pts_time"])) for each in frames if each["key_frame"]] == keys, name


# -- chapters ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv", "webm"])
def test_marks_are_chapters(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out.{suffix}"
    written = sink(path)
    written.write(written.new_picture(), 0, ())
    written.mark(0, "begin")
    written.mark(SECOND // 2, "Formular geöffnet: 12 €")
    written.mark(SECOND, "half a pair: \ud800")
    written.mark(SECOND, "at the same time")
    written.finish(2 * SECOND)
    chapters = videos.probe(path)["chapters"]
    titles = ["begin", "Formular geöffnet: 12 €", "half a pair: ?", "at the same time"]
    assert [each["tags"]["title"] for each in chapters] == titles
    times = [(float(each["start_time"]), float(each["end_time"])) for each in chapters]
    assert times == [(0, 0.5), (0.5, 1), (1, pytest.approx(1, abs=1e-4)), (pytest.approx(1, abs=1e-4), 2)]


def test_a_container_without_chapters_says_so(tmp_path: Path) -> None:
    written = sink(tmp_path / "out.ts")
    assert "no chapters" in written.how
    written.mark(0, "one")
    written.write(written.new_picture(), 0, ())
    written.finish(SECOND)
    assert videos.probe(tmp_path / "out.ts")["chapters"] == []


# -- the file ----------------------------------------------------------------------------------------------------------


def test_the_old_file_stays_until_a_picture_of_the_new_one_plays(tmp_path: Path) -> None:
    for suffix in ("mp4", "mkv", "webm"):
        path = tmp_path / f"out.{suffix}"
        path.write_bytes(b"old")
        written = sink(path)
        picture = written.new_picture()
        assert path.read_bytes() == b"old"
        for number in range(20):
            written.write(picture, number * SECOND // 10, ())
            if path.read_bytes() != b"old":
                break
        assert len(videos.decode(path)) >= 1
        assert number <= 3
        assert written.nbytes == path.stat().st_size
        written.finish(2 * SECOND)
        assert [each.name for each in tmp_path.iterdir() if each.suffix == path.suffix] == [path.name]


def test_without_a_picture_there_is_no_file(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    path.write_bytes(b"old")
    sink(path).finish(SECOND)
    sink(path).abort()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_aborted_recording_is_a_file_that_plays(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    written = sink(path)
    for number in range(10):
        written.write(written.new_picture(), number * SECOND // 10, ())
    written.abort()
    assert len(videos.decode(path)) == 10


def test_a_picture_may_be_painted_over_as_soon_as_it_is_written(tmp_path: Path) -> None:
    for codec, options in (("mpeg4", {"bf": 2}), ("h264", {"bf": 2, "tune": "film"}), ("vp9", {"lag-in-frames": 10})):
        path = tmp_path / "out.mkv"
        pictures = [np.full((HEIGHT, WIDTH, 3), 20 * number, np.uint8) for number in range(12)]
        videos.record(sink(path, codec=codec, options=options), pictures)
        shown = videos.decode(path)[:, HEIGHT // 2, WIDTH // 2, 0].astype(int)
        assert abs(shown - np.arange(12) * 20).max() <= 4, (codec, shown)


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "settings", "said"),
    [
        ("a.ts", {"codec": "vp9"}, "players do not find VP9"),
        ("a.flv", {"codec": "h265"}, "players do not find H.265"),
        ("a.webm", {"codec": "h264"}, "it takes vp8, vp9, av1"),
        ("a.mp4", {"codec": "ffv1"}, "mkv takes every codec"),
        ("a.mkv", {"codec": "utvideo"}, "has no place for"),
        ("a.mkv", {"codec": "h246"}, "did you mean h26"),
        ("a.mkv", {"codec": "libx246"}, r"did you mean (?!.*\b([\w-]+), \1[,?])"),
        ("a.mp4", {"codec": "H.264"}, "'H.264'; it is h264$"),
        ("a.mp4", {"codec": "libaom-av1"}, "'libaom-av1'; it is av1$"),
        ("a.mp4", {"codec": "divx"}, "'divx'; it is mpeg4$"),
        ("a.webm", {"codec": "webm"}, "webm is a container, which the suffix names, or format='webm'"),
        ("a.ts", {"codec": "mpeg2video", "quality": "small"}, "constant=True with fps=24"),
        ("a.mkv", {"codec": ""}, "no codec is named ''"),
        ("a.mkv", {"codec": "aac"}, "encoder of audio"),
        ("a.mkv", {"codec": "png"}, "encoder of single pictures"),
        ("a.webm", {"codec": "vp8", "quality": "lossless"}, "libvpx can't be lossless"),
        ("a.mkv", {"codec": "x264rgb", "quality": "small"}, "no quality 'small'"),
        ("a.mp4", {"codec": "h264_nvenc"}, "h264_nvenc can't be opened here: Cannot load"),
        ("a.xyz", {}, r"container of libav is one of mp4, mov, mkv, .*not '\.xyz'"),
        ("a.mkv", {"format": "gif"}, "container of libav is one of mp4.*not 'gif'"),
        ("a.mkv", {"format": None}, "container of libav is one of mp4.*not None"),
    ],
)
def test_what_does_not_fit_is_refused_before_a_file_is_made(
    tmp_path: Path, name: str, settings: dict[str, Any], said: str
) -> None:
    if "nvenc" in said and shutil.which("nvidia-smi"):
        pytest.skip("there is a graphics card")
    (tmp_path / name).write_bytes(b"old")
    with pytest.raises(InvalidArgument, match=said):
        sink(tmp_path / name, **settings)
    assert [each.read_bytes() for each in tmp_path.iterdir()] == [b"old"]


def test_without_pyav_the_extra_is_named_before_a_file_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    for target in (Replacement(tmp_path / "out.mp4"), "tcp://127.0.0.1:9"):
        with pytest.raises(MissingExtra, match=r"pip install 'xshm\[video\]'"):
            LibavSink(target, (WIDTH, HEIGHT), Settings(format="mp4"))
    assert list(tmp_path.iterdir()) == []


def test_format_names_the_container_where_the_suffix_does_not(tmp_path: Path) -> None:
    videos.record(sink(tmp_path / "out.video", format="mkv"), [videos.bars(WIDTH, HEIGHT)] * 2)
    assert "matroska" in videos.probe(tmp_path / "out.video")["format"]["format_name"]
