"""Pure colours decode within 2 of 255 with each codec's own settings: in a still picture, and right after a change."""

from __future__ import annotations

import functools
import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import av
import cv2
import numpy as np
import pytest
import videos

from xshm import InvalidArgument
from xshm.record.codecs import rates, table
from xshm.record.libav.sink import LibavSink
from xshm.record.sinks.settings import Settings
from xshm.system.replacement import Replacement

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_SIZE = (640, 480)
_CASES = [
    ("mp4", "x264rgb", "screen"),
    *(
        (suffix, name, quality)
        for quality in ("screen", "small")
        for suffix, names in {
            "mp4": ("h264", "h265", "mpeg4", "av1"),
            "webm": ("vp8", "vp9"),
            "mov": ("mjpeg", "prores"),
        }.items()
        for name in names
    ),
]

_SINGLE = ("mjpeg", "prores")  # each picture is encoded by itself


def _pictures(bars: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """Return pictures between which all changes: bars still, after black, after their opposites, moved, after text."""
    text = np.full_like(bars, 255)
    text[::3] = np.random.default_rng(1).integers(0, 2, (len(text[::3]), _SIZE[0], 1)) * 255
    moved = np.roll(bars, 2 * (_SIZE[0] // len(videos.BARS)), axis=1)
    return [*[bars] * 4, np.zeros_like(bars), bars, bars, 255 - bars, bars, bars, moved, bars, moved, text, bars, bars]


def _off(bars: NDArray[np.uint8], frames: NDArray[np.uint8], pictures: list[NDArray[np.uint8]]) -> list[int]:
    """Return how far the middles of the bars are off in each picture of them."""
    row, columns = _SIZE[1] // 2, videos.middles(_SIZE[0])
    pure = {tuple(map(int, colour)) for colour in bars[row, columns]}
    return [
        int(abs(frame[row, columns].astype(int) - picture[row, columns].astype(int)).max())
        for frame, picture in zip(frames, pictures, strict=True)
        if {tuple(map(int, colour)) for colour in picture[row, columns]} == pure
    ]


@pytest.mark.parametrize(("suffix", "codec", "quality"), _CASES)
def test_pure_colours_stay_within_2_in_each_picture(tmp_path: Path, suffix: str, codec: str, quality: Any) -> None:
    bars = videos.bars(*_SIZE)
    pictures = _pictures(bars)
    path = tmp_path / f"bars.{suffix}"
    videos.record(LibavSink(Replacement(path), _SIZE, Settings(format=suffix, codec=codec, quality=quality)), pictures)
    off = _off(bars, videos.decode(path), pictures)
    assert len(off) == len(pictures) - 3  # all but black, opposites and text
    assert max(off) <= 2, off


def _rectangles(count: int) -> list[NDArray[np.uint8]]:
    """Return pictures in each of which a few rectangles more are drawn; each ninth is the opposite of its colours."""
    pick = np.random.default_rng(1)
    width, height = _SIZE
    palette = np.array([*videos.BARS, (255, 255, 0), (0, 255, 255), (255, 0, 255), (30, 60, 90)], np.uint8)
    picture = np.full((height, width, 3), 255, np.uint8)
    pictures = []
    for number in range(count):
        picture = 255 - picture if number % 9 == 8 else picture.copy()
        for _ in range(pick.integers(1, 6)):
            wide, high = (int(pick.integers(20, edge // 2)) for edge in _SIZE)
            x, y = int(pick.integers(width - wide)), int(pick.integers(height - high))
            picture[y : y + high, x : x + wide] = palette[pick.integers(len(palette))]
        pictures.append(picture)
    return pictures


def _is_plain(picture: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return where all is of one colour, 12 pixels around."""
    edges = np.zeros(picture.shape[:2], np.uint8)
    edges[:, 1:] |= (picture[:, 1:] != picture[:, :-1]).any(axis=2)
    edges[1:] |= (picture[1:] != picture[:-1]).any(axis=2)
    return np.equal(cv2.dilate(edges, np.ones((25, 25), np.uint8)), 0).astype(np.bool_)


@pytest.mark.parametrize(("suffix", "codec", "quality"), [case for case in _CASES if case[1] not in _SINGLE])
def test_nothing_of_the_picture_before_is_left(tmp_path: Path, suffix: str, codec: str, quality: Any) -> None:
    # An encoder in a hurry leaves whole blocks as they were: 3 of 1,000 pixels, where ringing is 1 of 100,000.
    pictures = _rectangles(20)
    path = tmp_path / f"rectangles.{suffix}"
    videos.record(LibavSink(Replacement(path), _SIZE, Settings(format=suffix, codec=codec, quality=quality)), pictures)
    wrong = plain = 0
    for frame, picture in zip(videos.decode(path), pictures, strict=True):
        where = _is_plain(picture)
        worst = functools.reduce(cv2.max, cv2.split(cv2.absdiff(frame, picture)))
        wrong += int(np.count_nonzero(worst[where] > 20))
        plain += int(np.count_nonzero(where))
    assert wrong <= plain / 5000, (wrong, plain)


@pytest.mark.parametrize(("suffix", "codec", "quality"), _CASES)
def test_the_whole_of_a_picture_has_its_colour(tmp_path: Path, suffix: str, codec: str, quality: Any) -> None:
    # The first block of a picture is predicted from nothing: of H.264 it was up to 5 off after a change of all.
    width, height = 160, 96
    changes = itertools.permutations(videos.BARS, 2)
    pictures = [np.full((height, width, 3), colour, np.uint8) for pair in changes for colour in (*pair, pair[1])]
    path = tmp_path / f"plain.{suffix}"
    settings = Settings(format=suffix, codec=codec, quality=quality)
    videos.record(LibavSink(Replacement(path), (width, height), settings), pictures)
    for frame, picture in zip(videos.decode(path), pictures, strict=True):
        assert abs(frame.astype(int) - picture).max() <= 2, (picture[0, 0], frame[0, 0])


@pytest.mark.parametrize("quality", ["screen", "small"])
def test_vp8_does_not_spoil_a_large_still_picture(tmp_path: Path, quality: Any) -> None:
    # Its control of the rate did, in anything that takes more bits than the rate has.
    size = (1920, 1080)
    bars, path = videos.bars(*size), tmp_path / "bars.webm"
    videos.record(LibavSink(Replacement(path), size, Settings(format="webm", codec="vp8", quality=quality)), [bars] * 3)
    for frame in videos.decode(path):
        shown = frame[size[1] // 2, videos.middles(size[0])].astype(int)
        assert abs(shown - np.array(videos.BARS)).max() <= 2, shown


def test_vp8_is_no_coarser_where_processors_are_busy(tmp_path: Path) -> None:
    pictures = _pictures(videos.bars(*_SIZE))
    settings = Settings(format="webm", codec="vp8", quality="small")

    def recorded(number: int) -> bytes:
        path = tmp_path / f"{number}.webm"
        videos.record(LibavSink(Replacement(path), _SIZE, settings), pictures)
        return b"".join(_packets(path))

    with ThreadPoolExecutor(3) as threads:
        files = {recorded(0), *threads.map(recorded, range(1, 4))}
    assert len(files) == 1


def _packets(path: Path) -> list[bytes]:
    """Return what the encoder made, without what a container adds."""
    with av.open(path) as file:
        return [bytes(packet) for packet in file.demux(video=0)]


def test_h265_is_no_coarser_after_text(tmp_path: Path) -> None:
    size = (1920, 1080)
    bars, path = videos.bars(*size), tmp_path / "bars.mp4"
    text = np.full_like(bars, 255)
    text[::3] = np.random.default_rng(1).integers(0, 2, (len(text[::3]), size[0], 1)) * 255
    settings = Settings(format="mp4", codec="h265", quality="small", fps=25)
    videos.record(LibavSink(Replacement(path), size, settings), [text, text, bars, bars])
    for frame in videos.decode(path)[2:]:
        shown = frame[size[1] // 2, videos.middles(size[0])].astype(int)
        assert abs(shown - np.array(videos.BARS)).max() <= 2, shown


@pytest.mark.parametrize(
    ("codec", "given", "left"),
    [
        ("vp8", {}, {"crf": "13", "qmin": "13", "qmax": "13", "b": "6M"}),
        ("vp8", {"crf": "30"}, {"crf": "30", "qmin": "30", "qmax": "30", "b": "6M"}),
        ("vp8", {"crf": "10", "qmax": "40"}, {"crf": "10", "qmax": "40", "b": "6M"}),
        ("vp8", {"b": "2M"}, {"b": "2M"}),
        ("vp8", {"maxrate": "300k"}, {"crf": "13", "b": "6M", "maxrate": "300k"}),
        ("vp8", {"qmin": "20"}, {"crf": "20", "qmin": "20", "qmax": "20", "b": "6M"}),
        ("vp8", {"qmin": "20", "qmax": "40"}, {"crf": "20", "qmin": "20", "qmax": "40", "b": "6M"}),
        ("vp8", {"qmax": "20"}, {"crf": "13", "qmin": "13", "qmax": "20", "b": "6M"}),
        ("vp8", {"qmax": "7"}, {"crf": "7", "qmin": "7", "qmax": "7", "b": "6M"}),
        ("vp9", {"qmax": "20"}, {"crf": "20", "qmax": "20", "b": "0"}),
        ("vp9", {"lossless": "1"}, {"b": "0"}),
        ("mpeg4", {}, {"qmin": "3", "qmax": "6"}),
        ("mpeg4", {"b": "2M"}, {"b": "2M"}),
        ("mpeg4", {"qmin": "1"}, {"qmin": "1", "qmax": "6"}),
        ("mpeg4", {"qmin": "10"}, {"qmin": "10", "qmax": "10"}),
        ("h265", {}, {"crf": "25", "qmax": "30"}),
        ("h265", {"preset": "medium"}, {"crf": "25", "qmax": "30"}),
        ("h265", {"crf": "35"}, {"crf": "35"}),
        ("h265", {"qmin": "40"}, {"crf": "40", "qmin": "40", "qmax": "40"}),
        ("h265", {"x265-params": "bitrate=900"}, {}),
        ("h265", {"x265-params": "crf=40"}, {"crf": "25"}),
        ("h265", {"x265-params": "qpmin=40"}, {"crf": "25"}),
        ("h264", {}, {"qp": "22"}),
        ("h264", {"b": "1M"}, {"b": "1M"}),
        ("av1", {"b": "1M"}, {"b": "1M", "maxrate": "1M"}),
    ],
)
def test_a_given_rate_takes_the_place_of_the_usual_one(codec: str, given: dict[str, str], left: dict[str, str]) -> None:
    settled = rates.settled(table.find(codec, "small")[0], "small", given)
    rated = ("crf", "qp", "b", "qmin", "qmax", "maxrate")
    assert {name: value for name, value in settled.items() if name in rated} == left


@pytest.mark.parametrize(
    ("options", "said"),
    [
        *(({name: "20"}, f"{name} of libsvtav1 has no effect without b") for name in ("qmin", "qmax", "maxrate")),
        ({"b": "1M", "maxrate": "2M"}, "maxrate of libsvtav1 is b, 1M, or left out: .* not '2M'"),
    ],
)
def test_what_av1_would_ignore_is_refused(options: dict[str, str], said: str) -> None:
    with pytest.raises(InvalidArgument, match=said):
        rates.settled(table.find("av1", "small")[0], "small", options)


def test_the_encoders_take_what_is_settled(tmp_path: Path) -> None:
    size = (160, 96)
    given: dict[str, list[dict[str, Any]]] = {
        "vp8": [{"crf": 0}, {"crf": 4}, {"qmin": 20}, {"qmax": 7}, {"b": "300k"}, {"maxrate": "300k"}],
        "vp9": [{"qmin": 30}, {"qmax": 20}, {"lossless": 1}, {"b": "300k"}],
        "mpeg4": [{"qmin": 10}, {"qmax": 2}, {"qmin": 31}],
        "mjpeg": [{"qmin": 1}, {"qmax": 20}],
        "h265": [{"qmin": 40}, {"qmax": 10}, {"x265-params": "bitrate=900"}],
        "av1": [{"b": "1M"}, {"b": "1M", "svtav1-params": "rc=2"}, {"crf": 1}],
    }
    for codec, each in given.items():
        for options in each:
            settings = Settings(format="mkv", codec=codec, quality="small", options=options)
            videos.record(LibavSink(Replacement(tmp_path / "a.mkv"), size, settings), [videos.bars(*size)] * 2)
            assert len(videos.decode(tmp_path / "a.mkv")) == 2, (codec, options)
