"""Recordings by libav to what is no file, to disks that are full, and to a process that is killed."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import videos
from disks import descriptors, fill, names, small_disk
from videos import SECOND

from xshm.errors import TargetGone, TargetUnreachable
from xshm.record.codecs import table
from xshm.record.libav import containers
from xshm.record.libav.encoder import Encoder
from xshm.record.libav.muxer import Muxer, kept
from xshm.record.libav.outputs import to_output
from xshm.record.libav.sink import LibavSink
from xshm.record.sinks.settings import Settings
from xshm.record.sinks.timed_writer import TimedWriter
from xshm.system.replacement import Replacement

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

SIZE = 192, 96


def pictures(count: int = 8) -> list[NDArray[np.uint8]]:
    return [np.full((SIZE[1], SIZE[0], 3), 30 * number, np.uint8) for number in range(count)]


# -- pipes and URLs ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("container", ["mp4", "mkv", "webm", "ts", "flv"])
def test_each_container_goes_through_a_pipe(tmp_path: Path, container: str) -> None:
    read, write = os.pipe()
    with open(tmp_path / "piped", "wb") as file, subprocess.Popen(["cat"], stdin=read, stdout=file):  # noqa: PTH123
        os.close(read)
        sink = LibavSink(TimedWriter(write, "pipe"), SIZE, Settings(format=container))
        videos.record(sink, pictures())
        os.close(write)
    assert sink.nbytes == (tmp_path / "piped").stat().st_size
    shown = videos.decode(tmp_path / "piped")
    assert abs(shown.mean(axis=(1, 2, 3)) - np.arange(8) * 30).max() < 3


def test_a_pipe_whose_reader_goes_is_an_error_with_its_name() -> None:
    read, write = os.pipe()
    sink = LibavSink(TimedWriter(write, "the pipe"), SIZE, Settings(format="ts"))
    os.close(read)
    with pytest.raises(TargetGone, match="the pipe"):
        videos.record(sink, pictures())
    sink.abort()
    os.close(write)


def test_abort_ends_a_write_that_hangs() -> None:
    read, write = os.pipe()
    sink = LibavSink(TimedWriter(write, "the pipe"), SIZE, Settings(format="mkv", quality="lossless"))
    threading.Timer(0.4, sink.abort).start()
    begun = time.monotonic()
    with pytest.raises(Exception, match="given up"):
        videos.record(sink, [videos.noise(*SIZE, seed) for seed in range(200)])
    assert time.monotonic() - begun < 5
    os.close(read)
    os.close(write)


def test_ffmpeg_receives_what_is_sent_to_a_url(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = ["ffmpeg", "-v", "error", "-f", "mpegts", "-i", f"tcp://127.0.0.1:{port}?listen=1", "-c", "copy"]
    with subprocess.Popen([*command, str(tmp_path / "received.mkv")], stdin=subprocess.DEVNULL):
        until = time.monotonic() + 15
        while True:
            with contextlib.suppress(TargetUnreachable):
                sink = LibavSink(f"tcp://127.0.0.1:{port}", SIZE, Settings(format="ts"))
                break
            assert time.monotonic() < until
            time.sleep(0.02)
        videos.record(sink, pictures())
    shown = videos.decode(tmp_path / "received.mkv")
    assert abs(shown.mean(axis=(1, 2, 3)) - np.arange(8) * 30).max() < 3


def test_a_url_where_nobody_listens_is_refused_at_once() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        with pytest.raises(TargetUnreachable, match="refused"):
            LibavSink(f"tcp://127.0.0.1:{probe.getsockname()[1]}", SIZE, Settings(format="ts"))


# -- disks and kills ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "flv"])
def test_a_full_disk_is_an_error_with_the_files_name_and_leaves_whole_pictures(tmp_path: Path, suffix: str) -> None:
    with small_disk(tmp_path) as disk:
        fill(disk, 300_000)
        path = disk / f"out.{suffix}"
        sink = LibavSink(Replacement(path), (96, 48), Settings(quality="lossless", format=suffix))
        with pytest.raises(OSError, match=f"free some, or write to another disk: .*out.{suffix}") as raised:
            videos.record(sink, [videos.noise(96, 48, seed) for seed in range(60)])
        assert raised.value.errno == errno.ENOSPC
        sink.abort()
        assert names(disk) == ["filler", path.name]
        assert sink.nbytes == path.stat().st_size
        shown = videos.decode(path)  # where ffmpeg finds no fault
        assert len(shown) >= 2
        assert all((picture == videos.noise(96, 48, seed)).all() for seed, picture in enumerate(shown))


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "webm", "ts", "flv"])
def test_a_full_disk_leaves_whole_pictures_of_what_is_redirected_to_a_file(tmp_path: Path, suffix: str) -> None:
    with small_disk(tmp_path) as disk:
        fill(disk, 300_000)
        path = disk / f"out.{suffix}"
        with path.open("wb") as redirected:
            writer = TimedWriter(redirected.fileno(), "standard output")
            sink = LibavSink(writer, (96, 48), Settings(format=suffix))
            with pytest.raises(OSError, match="free some") as raised:
                videos.record(sink, [videos.noise(96, 48, seed) for seed in range(60)])
            assert raised.value.errno == errno.ENOSPC
            sink.abort()
        assert len(videos.decode(path)) >= 2
        command = ["ffmpeg", "-v", "error", "-i", str(path), "-f", "null", "-"]
        assert subprocess.run(command, capture_output=True, check=True, timeout=30).stderr == b""


def test_a_disk_that_is_full_from_the_start_leaves_the_old_file_and_nothing_open(tmp_path: Path) -> None:
    with small_disk(tmp_path) as disk:
        path = disk / "out.mp4"
        path.write_bytes(b"old")
        fill(disk, 0)
        before = descriptors()
        sink = LibavSink(Replacement(path), SIZE, Settings(quality="lossless", format="mp4"))
        with pytest.raises(OSError, match=r"out\.mp4"):
            videos.record(sink, [videos.noise(*SIZE, seed) for seed in range(4)])
        sink.abort()
        assert path.read_bytes() == b"old"
        assert descriptors() == before


_WRITER = """
import sys, time
from xshm.geometry import Rect
from xshm.record.libav.sink import LibavSink
from xshm.record.sinks.settings import Settings
from xshm.system.replacement import Replacement
sink = LibavSink(Replacement(sys.argv[1]), (192, 96), Settings(format=sys.argv[1].rpartition(".")[2]))
picture = sink.new_picture()
for number in range(int(sys.argv[2])):
    at = number and 700_000_000 + number * 50_000_000  # the first is shown for longer
    picture.planes[0][:] = 40 + number * 4 % 180
    sink.write(picture, at, (Rect(0, 0, 192, 96),))
sink.write(picture, at + 800_000_000, ())    # a keep-alive
print("written", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv", "webm", "ts"])
def test_after_a_kill_all_but_the_last_second_plays_with_its_times(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out.{suffix}"
    with subprocess.Popen([sys.executable, "-c", _WRITER, path, "40"], stdout=subprocess.PIPE) as writer:
        assert writer.stdout
        assert writer.stdout.readline() == b"written\n"
        writer.send_signal(signal.SIGKILL)
    assert names(tmp_path) == [path.name]
    found = np.array(videos.times(path))
    assert len(found) >= 39
    times = np.arange(39) / 20 + 0.7
    times[0] = 0
    assert np.allclose(found[:39] - found[0], times, atol=0.0015)
    converted = tmp_path / "converted.mkv"
    subprocess.run(["ffmpeg", "-v", "error", "-i", str(path), "-c:v", "ffv1", str(converted)], check=True, timeout=30)
    assert len(videos.times(converted)) == len(found)
    if suffix in ("mp4", "mov"):
        assert float(videos.probe(path)["format"]["duration"]) == pytest.approx(3.45, abs=0.85)


# -- packets that are kept ---------------------------------------------------------------------------------------------


def test_kept_packets_are_written_later_and_twice_from_a_key_frame_on(tmp_path: Path) -> None:
    codec, _ = table.find("h264", "screen")
    encoder = Encoder(codec, SIZE, Settings())
    picture = encoder.new_picture()
    packets: list[Any] = []
    for number in range(24):
        videos.paint(picture, np.full((SIZE[1], SIZE[0], 3), 10 * number, np.uint8))
        packets += encoder.encode(picture, number * SECOND, ())
    packets += encoder.finish()
    first = next(number for number, packet in enumerate(packets) if packet.is_keyframe and number)
    assert first == 10
    for name, suffix in (("one.mp4", "mp4"), ("two.mkv", "mkv")):
        file = Replacement(tmp_path / name)
        output = to_output(file)
        muxer = Muxer(output, containers.named(suffix), encoder, start=packets[first].pts)
        muxer.write(kept(packet) for packet in packets[first:])
        muxer.finish([(0, SECOND, "chapter")])
        output.commit()
        output.close()
        assert np.allclose(videos.times(tmp_path / name), np.arange(14))
        shown = videos.decode(tmp_path / name).mean(axis=(1, 2, 3))
        assert abs(shown - np.arange(100, 240, 10)).max() < 3
        assert videos.probe(tmp_path / name)["chapters"][0]["tags"]["title"] == "chapter"
