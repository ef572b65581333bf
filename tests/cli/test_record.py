"""`xshm record` as a person runs it: what it leaves is read by ffprobe and ffmpeg."""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from early_signals import RECORDER, run_with_signal
from ffprobe import last_picture, probe
from programs import eventually

from xshm.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from painter import Painter
    from servers import Server

_RECORD = [sys.executable, "-m", "xshm", "record"]
_SMALL = ["-g", "320x200+0+0"]


class Recording:
    """The command, running in a directory."""

    def __init__(self, server: Server, where: Path, *arguments: str) -> None:
        self.where = where
        self.run = subprocess.Popen(
            [*_RECORD, *arguments],
            env=server.env(),
            cwd=where,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def until_written(self, name: str) -> None:
        """Wait until the file is there, with a picture in it."""
        eventually(lambda: (self.where / name).exists() and (self.where / name).stat().st_size)

    def until_it_notes(self, number: signal.Signals) -> None:
        """Wait until a signal is one of a recording's: it has a handler, and so has SIGUSR1, as proc(5) tells."""

        def notes() -> bool:
            status = Path(f"/proc/{self.run.pid}/status").read_text()
            caught = int(status.partition("SigCgt:")[2].split()[0], 16)
            return all(caught >> (each - 1) & 1 for each in (number, signal.SIGUSR1))

        eventually(notes)

    def end(self, number: signal.Signals | None = None) -> tuple[int, str, str]:
        """Send a signal, and return exit code, standard output and standard error."""
        if number is not None:
            self.run.send_signal(number)
        out, error = self.run.communicate(timeout=20)
        return self.run.returncode, out, error


@pytest.fixture
def record(xvfb: Server, tmp_path: Path) -> Iterator[Callable[..., Recording]]:
    """Give a function that starts the command; what a test leaves running is killed."""
    begun: list[Recording] = []

    def record(*arguments: str, server: Server = xvfb) -> Recording:
        begun.append(Recording(server, tmp_path, *arguments))
        return begun[-1]

    yield record
    for each in begun:
        if each.run.poll() is None:
            each.run.kill()
            each.run.communicate()


@pytest.fixture
def inside(
    xvfb: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Give a function that runs the command in this process; it returns what `Recording.end` does."""
    for name, value in xvfb.env().items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)

    def inside(*arguments: str) -> tuple[int, str, str]:
        code = main.main(["record", *arguments])
        return code, *capsys.readouterr()

    return inside


# -- the end -----------------------------------------------------------------------------------------------------------


def test_int_term_and_hup_end_it_properly_and_a_pipe_gets_no_numbers(record: Any, tmp_path: Path) -> None:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    running = [record(f"{number.name}.mp4", *_SMALL) for number in numbers]
    for each, number in zip(running, numbers, strict=True):
        each.until_written(f"{number.name}.mp4")
    time.sleep(0.5)
    for each, number in zip(running, numbers, strict=True):
        assert each.end(number) == (0, "", "")
        video = probe(tmp_path / f"{number.name}.mp4")
        assert (video.codec, video.size, video.layout) == ("h264", (320, 200), "yuv444p")
        assert 0.4 < video.duration < 8


def test_a_duration_is_that_of_the_video_and_the_numbers_are_those_of_ffprobe(
    inside: Any, painter: Painter, tmp_path: Path
) -> None:
    painter.fill((0, 0, 320, 200), (200, 30, 60))
    flags = ["--duration", "0.6", "-r", "20", "--constant", "-q", "lossless", "--json"]
    code, out, error = inside("a.mkv", *_SMALL, *flags)
    assert (code, error) == (0, "")
    said, video = json.loads(out), probe(tmp_path / "a.mkv")
    assert list(said) == ["file", "seconds", "frames", "dropped", "bytes", "how"]
    assert said["file"] == "a.mkv"
    assert said["frames"] == len(video.times) == 12
    assert said["seconds"] == 0.6
    assert abs(video.duration - 0.6) < 0.002
    assert abs(said["bytes"] - (tmp_path / "a.mkv").stat().st_size) < 4096
    assert (last_picture(tmp_path / "a.mkv") == (200, 30, 60)).all()


def test_a_window_that_is_closed_ends_it_and_that_is_no_error(record: Any, painter: Painter, tmp_path: Path) -> None:
    window = painter.window((10, 10, 80, 60), (0, 0, 250), title="to be closed")
    running = record("a.webm", "-i", "to be closed", "-q", "small")
    running.until_written("a.webm")
    window.destroy()
    painter.display.sync()
    code, out, error = running.end()
    assert (code, out) == (0, "")
    assert error.endswith("; a.webm has all that came before\n")
    assert error.count("\n") == 1
    assert f"{window.id:#x}" in error
    assert probe(tmp_path / "a.webm").size == (80, 60)


def test_the_end_of_the_server_is_an_error_and_the_file_is_complete(
    record: Any, make_server: Callable[..., Server], tmp_path: Path
) -> None:
    server = make_server("Xvfb", 160, 120)
    running = record("a.mp4", server=server)
    running.until_written("a.mp4")
    server.kill()
    code, out, error = running.end()
    assert (code, out) == (2, "")
    assert error.endswith("; a.mp4 has all that came before\n")
    assert error.count("\n") == 1
    assert probe(tmp_path / "a.mp4").size == (160, 120)


def test_a_full_disk_is_an_error_with_the_name_of_the_file(xvfb: Server, painter: Painter, tmp_path: Path) -> None:
    """A limit on the size of files stands in for the disk, which takes root to make."""
    painter.noise((0, 0, 320, 200))
    line = f"ulimit -f 100; exec {' '.join(_RECORD)} a.mkv -q lossless {' '.join(_SMALL)}"
    done = subprocess.run(["bash", "-c", line], env=xvfb.env(), cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 2
    told = rb"xshm: a\.mkv: File too large: [^;]* 102,400 bytes [^;]*; raise the limit \(ulimit -f\)[^\n]*\n"
    assert re.fullmatch(told, done.stderr)


def test_a_second_signal_gives_up_what_hangs(record: Any, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    running = record("pipe", "--format", "y4m")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY)
    assert os.read(reader, 9) == b"YUV4MPEG2"
    time.sleep(0.3)  # until the pipe is full
    running.run.send_signal(signal.SIGINT)
    time.sleep(0.3)
    assert running.run.poll() is None
    begun = time.monotonic()
    assert running.end(signal.SIGINT) == (2, "", "xshm: interrupted\n")
    assert time.monotonic() - begun < 3
    os.close(reader)


def test_a_signal_ends_the_wait_for_a_reader_of_a_fifo_at_once(record: Any, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mkv")
    for number in (signal.SIGINT, signal.SIGTERM):
        running = record("pipe.mkv")
        running.until_it_notes(number)
        time.sleep(0.2)
        assert running.end(number) == (2, "", "xshm: interrupted\n")  # and not that nobody reads, which takes 10 s


@pytest.mark.parametrize("place", ["__init__", "start"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_before_the_first_picture_leaves_no_file(
    number: signal.Signals, place: str, xvfb: Server, tmp_path: Path
) -> None:
    code = run_with_signal(RECORDER, place, number, ["record", "a.mp4"], tmp_path, xvfb.env())
    assert code == (-number if place == "__init__" else 2)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("how", ["written to", "replaced"])
def test_a_file_that_appears_before_the_first_picture_plays_is_left_alone(
    how: str, record: Any, tmp_path: Path
) -> None:
    file = tmp_path / "a.mp4"
    running = record("a.mp4", *_SMALL)
    eventually(file.exists)  # empty, and of a still screen for a second
    if how == "replaced":
        file.unlink()
    file.write_text("another's")
    running.until_it_notes(signal.SIGTERM)
    time.sleep(1.3)
    code, out, error = running.end(signal.SIGTERM)
    found = re.fullmatch(r"xshm: a\.mp4 has appeared meanwhile, and was left alone; this is (a_.*\.mp4)\n", error)
    assert (code, out) == (0, "")
    assert found, error
    assert file.read_text() == "another's"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.mp4", found[1]]
    assert probe(tmp_path / found[1]).duration > 1


def test_a_signal_that_was_ignored_at_the_start_stays_ignored(record: Any) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup(1) has it
    try:
        running = record("a.mp4", *_SMALL)
    finally:
        signal.signal(signal.SIGHUP, before)
    running.until_written("a.mp4")
    running.run.send_signal(signal.SIGHUP)
    time.sleep(0.4)
    assert running.run.poll() is None
    assert running.end(signal.SIGTERM) == (0, "", "")


def test_numpy_and_opencv_start_no_threads_of_their_own(record: Any, painter: Painter) -> None:
    """A few large pictures that are scaled down are reason enough to import OpenCV."""
    pytest.importorskip("cv2")
    running = record("a.mp4", "--max-edge", "640")
    process = Path(f"/proc/{running.run.pid}")
    colours = itertools.cycle([(200, 30, 60), (30, 200, 60)])

    def has_opencv() -> bool:
        painter.fill((0, 0, 1280, 800), next(colours))
        return "cv2" in (process / "maps").read_text()

    eventually(has_opencv)
    assert len(list((process / "task").iterdir())) == 3  # the command's, and the recording's two
    assert running.end(signal.SIGTERM) == (0, "", "")


# -- what is recorded --------------------------------------------------------------------------------------------------


def test_a_monitor_is_recorded_alone(
    inside: Any, make_server: Callable[..., Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = make_server("Xvfb", 320, 200)
    subprocess.run(["xrandr", "--setmonitor", "right", "120/30x200/50+200+0", "none"], env=server.env(), check=True)
    for name, value in server.env().items():
        monkeypatch.setenv(name, value)
    assert inside("-m", "right", "a.apng", "--duration", "0.1") == (0, "", "")
    assert last_picture(tmp_path / "a.apng").shape == (200, 120, 3)


def test_the_pointer_is_drawn_in_where_that_is_asked_for(inside: Any, painter: Painter, tmp_path: Path) -> None:
    painter.fill((0, 0, 320, 200), (200, 30, 60))
    painter.root.warp_pointer(100, 100)
    painter.display.sync()
    for name, *flags in (("plain.apng",), ("pointed.apng", "--cursor")):
        assert inside(name, *_SMALL, "--duration", "0.1", *flags) == (0, "", "")
    differs = (last_picture(tmp_path / "plain.apng") != last_picture(tmp_path / "pointed.apng")).any(axis=2)
    assert differs[80:120, 80:120].any()
    assert differs.sum() == differs[80:120, 80:120].sum()


# -- standard output ---------------------------------------------------------------------------------------------------


def piped(server: Server, where: Path, line: str) -> tuple[int, str]:
    """Run a line of shell in which $record is the command; return its exit code and standard error."""
    done = subprocess.run(
        ["bash", "-c", f"{line}; exit ${{PIPESTATUS[0]}}"],
        env=server.env() | {"record": " ".join([*_RECORD, *_SMALL])},
        cwd=where,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    return done.returncode, done.stderr


def test_ffmpeg_reads_it_from_a_pipe_and_the_numbers_are_on_standard_error(
    xvfb: Server, painter: Painter, tmp_path: Path
) -> None:
    painter.fill((0, 0, 320, 200), (20, 200, 60))
    code, error = piped(xvfb, tmp_path, "$record - --duration 0.5 -r 20 | ffmpeg -v error -i - x.mp4")
    assert code == 0
    assert re.fullmatch(r"xshm: 0:00\.5  10 frames, \d dropped, [\d.]+ [kM]B\n", error)
    video = probe(tmp_path / "x.mp4")
    assert (video.size, len(video.times)) == ((320, 200), 10)
    assert (abs(last_picture(tmp_path / "x.mp4").astype(int) - (20, 200, 60)) < 6).all()


def test_raw_pixels_come_without_a_header_and_standard_error_says_what_they_are(
    xvfb: Server, painter: Painter, tmp_path: Path
) -> None:
    painter.fill((0, 0, 320, 200), (20, 200, 60))
    code, error = piped(xvfb, tmp_path, "$record - --format bgr0 --duration 0.3 -r 20 --max-edge 160 > raw")
    assert code == 0
    found = re.search(r"ffmpeg (-f rawvideo .*) -i -$", error, re.MULTILINE)
    assert found, error
    subprocess.run(["ffmpeg", "-v", "error", *found[1].split(), "-i", "raw", "x.mkv"], cwd=tmp_path, check=True)
    raw = np.fromfile(tmp_path / "raw", np.uint8).reshape(-1, 100, 160, 4)
    assert (raw[..., :3] == (60, 200, 20)).all()
    assert len(probe(tmp_path / "x.mkv").times) == len(raw) == 6


def test_a_reader_who_leaves_is_said_as_shot_says_it(xvfb: Server, tmp_path: Path) -> None:
    assert piped(xvfb, tmp_path, "$record - | head -c 1000 > part") == (
        2,
        "xshm: standard output: its reader has closed it\n",
    )


# -- files -------------------------------------------------------------------------------------------------------------


def test_without_a_name_it_has_date_and_size_and_y_replaces(inside: Any, painter: Painter, tmp_path: Path) -> None:
    code, out, error = inside(*_SMALL, "--duration", "0.1")
    assert (code, error) == (0, "")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d-\d{6}_320x200_xshm\.mp4\n", out)
    name = out.strip()
    before = (tmp_path / name).read_bytes()
    painter.fill((0, 0, 320, 200), (200, 30, 60))
    assert inside(name, *_SMALL, "--duration", "0.1")[0] == 2
    assert (tmp_path / name).read_bytes() == before
    assert inside(name, *_SMALL, "--duration", "0.1", "-y") == (0, "", "")
    assert (abs(last_picture(tmp_path / name).astype(int) - (200, 30, 60)) < 6).all()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["a.mp4", "-c", "nonsense"], "nonsense"),
        (["a.mp4", "-p", "nonsense=1"], "nonsense"),
        (["a.mp4", "-r", "2000"], "--framerate is a number of frames per second from 0.001 to 1000; not 2000"),
        (["a.mp4", "--keep-last", "5", "--max-bytes", "7"], "--max-bytes is at least 65,536 bytes, not 7"),
        (["a.mp4", "-g", "99x99+1279+0"], "leaves the screen 1280x800"),
        (["a.mp4", "-i", "no such window"], "no window answers to 'no such window'"),
        (["a.mp4", "-m", "no such"], "there is no monitor 'no such'"),
        (["a.nonsense"], "nonsense"),
        (["a.png"], ".apng"),
        (["no/such/a.mp4"], "xshm: no/such/a.mp4: its directory is missing; make it first"),
        (["made.mp4"], "xshm: made.mp4: this is a directory; name a file in it"),
        (["tcp://127.0.0.1:9"], "refused"),
    ],
)
def test_what_can_not_be_recorded_is_said_in_one_line_and_leaves_no_file(
    inside: Any, tmp_path: Path, arguments: list[str], words: str
) -> None:
    (tmp_path / "made.mp4").mkdir()
    code, out, error = inside(*arguments)
    assert (code, out, error.count("\n")) == (2, "", 1), error
    assert words in error
    assert [each.name for each in tmp_path.iterdir()] == ["made.mp4"]


def test_a_file_that_appears_while_the_region_is_chosen_is_left_alone(
    inside: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slop = tmp_path / "slop"
    slop.write_text("#!/bin/sh\necho mine > a.apng; echo 20 10 40 30\n")
    slop.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    refused = "xshm: a.apng exists; name another file, or overwrite it with -y\n"
    assert inside("-s", "a.apng", "--duration", "0.1") == (2, "", refused)
    assert (tmp_path / "a.apng").read_text() == "mine\n"


def test_the_last_seconds_have_a_name_by_date_and_size_where_none_was_given(inside: Any, tmp_path: Path) -> None:
    code, out, error = inside(*_SMALL, "--keep-last", "1", "--duration", "0.1")
    assert (code, error) == (0, "")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d-\d{6}_320x200_xshm\.mp4\n", out)
    assert probe(tmp_path / out.strip()).size == (320, 200)


def test_the_numbers_of_the_last_seconds_are_those_of_the_file(inside: Any, painter: Painter, tmp_path: Path) -> None:
    painter.fill((0, 0, 320, 200), (200, 30, 60))
    flags = ["--duration", "2.5", "-r", "20", "--constant", "--keep-last", "0.3", "--json"]
    code, out, error = inside("a.mkv", *_SMALL, *flags)
    assert (code, error) == (0, "")
    said, video = json.loads(out), probe(tmp_path / "a.mkv")
    assert list(said) == ["file", "seconds", "frames", "dropped", "bytes", "how"]
    assert said["frames"] == len(video.times)
    assert said["frames"] < 50
    assert abs(said["seconds"] - video.duration) < 0.002
    assert said["bytes"] == (tmp_path / "a.mkv").stat().st_size


def test_the_last_seconds_are_saved_by_usr1_and_at_the_end(record: Any, tmp_path: Path) -> None:
    running = record("a.mp4", *_SMALL, "--keep-last", "1", "-r", "20")
    running.until_it_notes(signal.SIGUSR1)
    time.sleep(1.5)
    running.run.send_signal(signal.SIGUSR1)
    beside = running.run.stdout.readline().strip()
    assert re.fullmatch(r"a_\d{4}-\d\d-\d\d-\d{6}\.mp4", beside)
    assert not (tmp_path / "a.mp4").exists()
    (tmp_path / "a.mp4").write_bytes(b"another's")
    code, out, error = running.end(signal.SIGTERM)
    assert (code, out) == (0, "")
    found = re.fullmatch(r"xshm: a\.mp4 has appeared meanwhile, and was left alone; this is (.*)\n", error)
    assert found, error
    assert (tmp_path / "a.mp4").read_bytes() == b"another's"
    for name in (beside, found[1]):
        assert 0.5 < probe(tmp_path / name).duration < 2.2


@pytest.mark.parametrize(
    ("drawn", "seen"), [("20 10 40 30", (40, 30, 20, 10)), ("30 20 -10 -10", (0, 0, 20, 10))], ids=["inside", "partly"]
)
def test_a_person_chooses_the_region_by_slop(
    drawn: str,
    seen: tuple[int, int, int, int],
    inside: Any,
    painter: Painter,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A program of that name stands in for the person and the tool that asks them."""
    painter.fill(seen, (9, 99, 199))
    slop = tmp_path / "slop"
    slop.write_text(f"#!/bin/sh\necho {drawn}\n")
    slop.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert inside("-s", "a.apng", "--duration", "0.1") == (0, "", "")
    picture = last_picture(tmp_path / "a.apng")
    assert picture.shape == (10, 20, 3)
    assert (picture == (9, 99, 199)).all()
