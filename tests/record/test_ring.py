"""Rings: the last seconds of a recording, bounded in time and bytes, written on demand, whole or not at all."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
import videos
from counted import counted, length, numbers
from disks import fill, small_disk

import xshm
from xshm.errors import InvalidArgument, RecordingFailed, TargetNotFound
from xshm.record import pipeline
from xshm.record.libav import encoder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from counter_screen import CounterScreen
    from painter import Painter
    from servers import Server

_REGION = (0, 0, 300, 100)


def _chapters(path: Path) -> list[tuple[str, float]]:
    return [(each["tags"]["title"], float(each["start_time"])) for each in videos.probe(path)["chapters"]]


@pytest.mark.parametrize("name", ["saved.mp4", "saved.ts"])
def test_what_is_saved_lasts_until_that_moment_and_recording_goes_on(
    screen: xshm.Screen, counter: CounterScreen, tmp_path: Path, name: str
) -> None:
    with screen.record(keep_last=30, region=_REGION, fps=None) as ring:
        counter.count_for(ring, 5)
        ring.save(tmp_path / name)  # at once after the last change
        counter.count_for(ring, 5)
    ring.save(tmp_path / f"later-{name}")
    assert numbers(counted(tmp_path / name)) == list(range(6))
    assert numbers(counted(tmp_path / f"later-{name}")) == list(range(11))
    assert length(tmp_path / f"later-{name}") == pytest.approx(ring.duration, abs=0.06)


def test_what_was_drawn_just_before_is_saved_though_no_picture_was_due(
    screen: xshm.Screen, counter: CounterScreen, tmp_path: Path
) -> None:
    with screen.record(keep_last=30, region=_REGION, fps=1) as ring:
        counter.show(7)
        ring.save(tmp_path / "saved.mp4")
    assert numbers(counted(tmp_path / "saved.mp4")) == [0, 7]


def test_what_is_saved_ends_at_that_moment_though_the_next_picture_were_long_due(
    screen: xshm.Screen, tmp_path: Path
) -> None:
    with screen.record(keep_last=30, region=_REGION, fps=0.2) as ring:
        time.sleep(0.1)
        ring.save(tmp_path / "saved.mp4")
        saved = ring.duration
    ring.save(tmp_path / "later.mp4")
    assert length(tmp_path / "saved.mp4") <= saved + 0.06
    assert length(tmp_path / "later.mp4") == pytest.approx(ring.duration, abs=0.06)


def test_what_is_saved_lasts_until_that_moment_though_the_server_stands_still(
    make_server: Callable[..., Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "_CATCH_UP", 0.3)
    server = make_server("Xvfb", 320, 200)
    with xshm.Screen(server.name) as screen, screen.record(keep_last=30) as ring:
        server.pause()
        try:
            before = ring.duration
            ring.save(tmp_path / "saved.mp4")
            assert before + 0.29 < length(tmp_path / "saved.mp4") < ring.duration + 0.06
        finally:
            server.resume()
        now = ring.duration
        ring.save(tmp_path / "later.mp4")
    assert length(tmp_path / "later.mp4") > now - 0.002  # in milliseconds, as containers count


def test_only_the_last_seconds_are_kept_from_a_key_frame_on_with_their_chapter(
    screen: xshm.Screen, counter: CounterScreen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoder, "_JOINED_KEY_SECONDS", 0.2)
    with screen.record(keep_last=0.5, region=_REGION, fps=None) as ring:
        ring.mark("gone")
        counter.count_for(ring, 5)
        ring.mark("begins before")
        until = ring.duration + 1
        while ring.duration < until:
            counter.count_for(ring, 1)
        inside = counter.number
        ring.mark("inside")
        counter.count_for(ring, 3)
        ring.save(tmp_path / "saved.mkv")
    found = counted(tmp_path / "saved.mkv")
    assert found[0][0] == 0
    seen = numbers(found)
    assert seen == list(range(seen[0], counter.number + 1))
    # Up to the next key frame more than was asked for: without what is before that, it would be less.
    assert found[-1][0] > 0.5
    assert found[-1][0] - next(time for time, _ in found if time >= 0.2) < 0.501
    (first, start), (second, begin) = _chapters(tmp_path / "saved.mkv")
    assert (first, second, start) == ("begins before", "inside", 0)
    assert _time_of(inside, found) < begin < _time_of(inside + 1, found)


def _time_of(number: int, found: list[tuple[float, int]]) -> float:
    return next(time for time, seen in found if seen == number)


def test_the_bytes_are_bounded(screen: xshm.Screen, counter: CounterScreen, painter: Painter, tmp_path: Path) -> None:
    with screen.record(keep_last=60, max_bytes=200_000, region=_REGION, fps=None) as ring:
        for _ in range(40):
            painter.noise((0, 40, 300, 60))  # some 25 KB a picture
            counter.count()
            time.sleep(0.01)
            assert ring.bytes <= 240_000
        ring.save(tmp_path / "saved.mkv")
    assert (tmp_path / "saved.mkv").stat().st_size <= 240_000
    seen = numbers(counted(tmp_path / "saved.mkv"))
    assert seen[0] > 0
    assert seen[-1] == 40


def test_small_changes_are_kept_though_a_key_frame_takes_half_of_the_bytes(
    screen: xshm.Screen, counter: CounterScreen, painter: Painter, tmp_path: Path
) -> None:
    painter.noise((0, 40, 300, 60))
    with screen.record(keep_last=60, region=_REGION, fps=None) as ring:
        pass
    key_frame = ring.bytes
    counter.show(0)
    with screen.record(keep_last=60, max_bytes=2 * key_frame, region=_REGION, fps=None) as ring:
        counter.count_for(ring, 30)
        assert ring.bytes <= 2 * key_frame
        ring.save(tmp_path / "saved.mkv")
    seen = numbers(counted(tmp_path / "saved.mkv"))
    assert len(seen) > 15
    assert seen[-1] == 30


def test_a_file_is_saved_whole_or_the_old_one_stays(
    screen: xshm.Screen, counter: CounterScreen, painter: Painter, tmp_path: Path
) -> None:
    with small_disk(tmp_path) as disk, screen.record(keep_last=60, region=_REGION, fps=None) as ring:
        for _ in range(5):
            painter.noise((0, 40, 300, 60))
            counter.count()
            time.sleep(0.02)
        (disk / "saved.mp4").write_bytes(b"old")
        fill(disk, 20_000)
        with pytest.raises(OSError, match=r"saved\.mp4"):
            ring.save(disk / "saved.mp4")
        assert (disk / "saved.mp4").read_bytes() == b"old"
        assert {each.name for each in disk.iterdir() if each.name.startswith(".xshm")} == set()
        ring.save(tmp_path / "saved.mp4")  # and the ring is as it was
    assert numbers(counted(tmp_path / "saved.mp4"))[-1] == 5


def test_what_can_not_be_saved_is_refused(screen: xshm.Screen, tmp_path: Path) -> None:
    ring = screen.record(keep_last=5, region=_REGION)
    with pytest.raises(RecordingFailed, match="start"):
        ring.save(tmp_path / "early.mp4")
    with ring:
        for name, error, words in (
            ("saved.webm", InvalidArgument, r"H\.264 .*saved as \.mp4, \.mov, .*; record it with format='webm'"),
            ("saved.gif", InvalidArgument, r"saved as \.mp4, .*; gif is written while it is recorded"),
            ("saved", InvalidArgument, "suffix"),
            ("nowhere/saved.mp4", TargetNotFound, "nowhere"),
        ):
            with pytest.raises(error, match=words):
                ring.save(tmp_path / name)
        with pytest.raises(InvalidArgument, match="file"):
            ring.save("tcp://127.0.0.1:9")
        assert not list(tmp_path.iterdir())
        ring.save(tmp_path / "named", format="mkv")
    assert length(tmp_path / "named") > 0


@pytest.mark.parametrize(
    ("settings", "name", "advice", "advised"),
    [
        ({"codec": "ffv1"}, "mp4", "format='mp4' and without codec='ffv1'", {}),
        (
            {"codec": "ffv1", "quality": "lossless"},
            "webm",
            "format='webm' and without codec='ffv1'",
            {"quality": "lossless"},
        ),
        ({"codec": "mjpeg", "options": {"qmin": 2}}, "mp4", "without codec='mjpeg' and its options", {}),
        ({"options": {"preset": "medium"}}, "webm", "format='webm' and without its options", {}),
        ({"quality": "small"}, "webm", "format='webm'", {"quality": "small"}),
    ],
)
def test_how_a_ring_is_recorded_for_a_container_is_told_and_works(
    screen: xshm.Screen, tmp_path: Path, settings: dict[str, Any], name: str, advice: str, advised: dict[str, Any]
) -> None:
    path = tmp_path / f"saved.{name}"
    with (
        screen.record(keep_last=5, region=_REGION, **settings) as ring,
        pytest.raises(InvalidArgument, match=f"not as .{name}; record it with .*{advice}$"),
    ):
        ring.save(path)
    with screen.record(keep_last=5, region=_REGION, format=name, **advised) as ring:
        ring.save(path)
    assert path.stat().st_size


def test_a_container_that_no_ring_can_be_saved_as_is_refused_before_the_recording(screen: xshm.Screen) -> None:
    with pytest.raises(InvalidArgument, match=r"saved as mp4, .*not as 'gif'"):
        screen.record(keep_last=5, format="gif")
    with pytest.raises(InvalidArgument, match=r"VP8 .* in \.mp4"):
        screen.record(keep_last=5, format="mp4", codec="vp8")


@pytest.mark.parametrize(
    "settings",
    [{"options": {"tune": "film"}}, {"options": {"bf": 2}}, {"format": "webm", "options": {"lag-in-frames": 10}}],
)
def test_an_encoder_that_holds_pictures_back_is_refused_at_the_start(
    screen: xshm.Screen, settings: dict[str, Any]
) -> None:
    ring = screen.record(keep_last=5, region=_REGION, quality="small", **settings)
    with pytest.raises(InvalidArgument, match=f"holds pictures back.*{next(iter(settings['options']))}"):
        ring.start()


def test_a_ring_takes_options_that_hold_nothing_back(
    screen: xshm.Screen, counter: CounterScreen, tmp_path: Path
) -> None:
    with screen.record(keep_last=5, region=_REGION, fps=None, options={"preset": "medium", "crf": 30}) as ring:
        counter.count_for(ring, 3)
        ring.save(tmp_path / "saved.mp4")
    assert numbers(counted(tmp_path / "saved.mp4")) == [0, 1, 2, 3]


def test_a_ring_encodes_by_the_codec_that_was_asked_for(
    screen: xshm.Screen, counter: CounterScreen, tmp_path: Path
) -> None:
    with screen.record(keep_last=5, region=_REGION, format="webm", quality="small") as ring:
        counter.count_for(ring, 3)
    assert "VP9" in ring.how
    ring.save(tmp_path / "saved.webm")
    assert numbers(counted(tmp_path / "saved.webm"))[-1] == 3
