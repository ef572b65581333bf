"""`xshm run --trace` and `xshm trace -- COMMAND`: all of a command's display, beside its own exit code."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from disks import names
from ffprobe import last_picture

from xshm import Trace
from xshm.geometry import Rect

if TYPE_CHECKING:
    from pathlib import Path

_XSHM = [sys.executable, "-m", "xshm"]
_PAINTED = "xsetroot -solid '#c81e3c'; sleep 0.3; xsetroot -solid '#1ec83c'; sleep 0.2; "
_SMALL = ("--size", "320x200")


def xshm(where: Path, *words: str) -> tuple[int, str, str]:
    """Run it in a directory; return exit code, standard output and standard error."""
    done = subprocess.run([*_XSHM, *words], cwd=where, capture_output=True, text=True, check=False, timeout=50)
    return done.returncode, done.stdout, done.stderr


def test_a_commands_display_is_traced_from_before_it_starts_until_its_end(tmp_path: Path) -> None:
    words = f"{_PAINTED} ls -A; env; exit 7"
    code, out, error = xshm(tmp_path, "trace", "-o", "a.html", *_SMALL, "--", "sh", "-c", words)
    assert (code, error) == (7, "")
    assert out.startswith("a.html\n")
    assert "OPENBLAS" not in out
    assert names(tmp_path) == ["a.html"]
    with Trace.open(tmp_path / "a.html") as trace:
        assert trace.size == (320, 200)
        assert "xsetroot" in trace.title
        assert trace.at(0).pixel(9, 9) == (0, 0, 0)
        (failure,) = trace.marks
        assert (failure.kind, failure.title) == ("failure", "exit code 7")
        assert shlex.split(failure.text) == ["sh", "-c", words]
        assert trace.at(failure.seconds).pixel(9, 9) == (30, 200, 60)
        last = trace.last_change(9, 9)
        assert last is not None
        assert trace.at(last - 0.01).pixel(9, 9) == (200, 30, 60)


def test_a_trace_and_a_recording_are_kept_of_one_run(tmp_path: Path) -> None:
    flags = ("--trace", "a.html", "--record", "a.apng", "-r", "15")
    assert xshm(tmp_path, "run", *_SMALL, *flags, "--", "sh", "-c", _PAINTED) == (0, "", "")
    assert names(tmp_path) == ["a.apng", "a.html"]
    assert (last_picture(tmp_path / "a.apng") == (30, 200, 60)).all()
    with Trace.open(tmp_path / "a.html") as trace:
        assert trace.at(trace.duration).pixel(9, 9) == (30, 200, 60)
        assert (trace.marks, trace.head["fps"]) == ([], 15)


def test_a_recording_that_can_t_be_kept_keeps_no_failure_out_of_the_trace(tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    flags = ("--trace", "a.html", "--record", "gone/a.apng")
    code, _, error = xshm(tmp_path, "run", *_SMALL, *flags, "--", "sh", "-c", "rm -r gone; exit 3")
    assert code == 3
    assert "a.apng" in error
    assert names(tmp_path) == ["a.html"]
    with Trace.open(tmp_path / "a.html") as trace:
        assert [mark.title for mark in trace.marks] == ["exit code 3"]


def test_a_trace_for_failures_is_there_after_a_failure_alone(tmp_path: Path) -> None:
    words = ["run", *_SMALL, "--trace-on-failure", "a.html", "--", "sh", "-c"]
    assert xshm(tmp_path, *words, "ls -A") == (0, "", "")
    assert xshm(tmp_path, *words[:-2], "./nonsense") == (127, "", "xshm: ./nonsense was not found\n")
    assert names(tmp_path) == []
    assert xshm(tmp_path, *words, "xsetroot -solid white; ls -A; kill -SEGV $$")[:2] == (139, "")
    assert names(tmp_path) == ["a.html"]
    with Trace.open(tmp_path / "a.html") as trace:
        assert trace.marks[-1].title == "exit code 139, SIGSEGV"
        assert trace.at(trace.duration).pixel(9, 9) == (255, 255, 255)


def test_no_file_is_replaced_unasked(tmp_path: Path) -> None:
    exists = "xshm: a.html exists; name another file, or overwrite it with -y\n"
    failing = ("--", "sh", "-c", "echo mine > a.html; exit 3")
    beside = r"xshm: a\.html has appeared meanwhile, and was left alone; this is (a_.*\.html)\n"
    for command in ("run --trace-on-failure", "run --trace", "trace -o"):
        name, flag = command.split()
        code, out, error = xshm(tmp_path, name, *_SMALL, flag, "a.html", *failing)
        found = re.fullmatch(beside, error)
        assert (code, out) == (3, "")
        assert found, error
        assert (tmp_path / "a.html").read_text() == "mine\n"
        (tmp_path / "a.html").unlink()
        assert len(Trace.open(tmp_path / found[1]).marks) == 1
        (tmp_path / found[1]).unlink()
    (tmp_path / "a.html").write_text("mine\n")
    for flags in (("run", "--trace-on-failure"), ("run", "--trace"), ("trace", "-o")):
        assert xshm(tmp_path, *flags, "a.html", "--", "touch", "started") == (2, "", exists)
    assert (tmp_path / "a.html").read_text() == "mine\n"
    assert xshm(tmp_path, "run", *_SMALL, "-y", "--trace-on-failure", "a.html", *failing) == (3, "", "")
    assert len(Trace.open(tmp_path / "a.html").marks) == 1
    assert names(tmp_path) == ["a.html"]


def test_a_command_that_fails_keeps_its_exit_code_where_the_trace_can_not_be_written(tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    words = ("run", *_SMALL, "--trace-on-failure", "place/a.html", "--", "sh", "-c", "rmdir place; exit 3")
    code, _, error = xshm(tmp_path, *words)
    assert code == 3
    assert "place/a.html: its directory is missing" in error
    code, _, error = xshm(tmp_path, *words)
    assert (code, error.count("missing")) == (2, 1), "which is refused before the command starts"
    both = ("run", "--record", "a.apng", "--trace", "nowhere/a.html", "--", "touch", "started")
    assert xshm(tmp_path, *both)[0] == 2
    assert names(tmp_path) == [], "and before a recording begins"


def test_a_region_a_duration_a_title_and_secrets(tmp_path: Path) -> None:
    flags = ("-g", "100x50+20+10", "--duration", "0.4", "--title", "Login of bob", "--redact", "b.b", "--redact")
    words = "xsetroot -solid white; sleep 0.3; sleep 0.5; xsetroot -solid '#1ec83c'; sleep 0.2; exit 1"
    code, _, error = xshm(tmp_path, "trace", "-o", "a.html", *flags, "10x10+30+20", *_SMALL, "--", "sh", "-c", words)
    assert (code, error) == (1, "")
    with Trace.open(tmp_path / "a.html") as trace:
        assert trace.title == "Login of █████"
        assert trace.duration == pytest.approx(0.4, abs=0.15)
        frame = trace.at(trace.duration)
        assert frame.rect == Rect(20, 10, 100, 50)
        assert (frame.pixel(29, 20), frame.pixel(30, 20), frame.pixel(40, 30)) == ((255,) * 3, (0,) * 3, (255,) * 3)
        assert trace.marks == [], "its time was over"


@pytest.mark.skipif(shutil.which("xmessage") is None, reason="needs xmessage")
def test_a_commands_window_is_traced_from_when_it_is_shown(tmp_path: Path) -> None:
    command = ("xmessage", "-title", "Hello", "-timeout", "1", "-geometry", "150x80+30+20", "text")
    assert xshm(tmp_path, "trace", "-o", "a.html", "-i", "Hello", *_SMALL, "--", *command)[0] == 0
    with Trace.open(tmp_path / "a.html") as trace:
        assert trace.size == (150, 80)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--trace", "a.html", "--trace-on-failure", "b.html", "--", "true"), "leave --trace-on-failure out"),
        (("--trace-on-failure", "b.html"), "--trace-on-failure is about a command"),
        (("--trace", "a.mp4", "--", "true"), "a trace is an HTML file"),
        (("-y", "--", "true"), "--overwrite is about a recording or a trace"),
    ],
)
def test_what_can_not_be_is_refused(flags: tuple[str, ...], message: str, tmp_path: Path) -> None:
    code, _, error = xshm(tmp_path, "run", *flags)
    assert code == 2
    assert message in error
    assert names(tmp_path) == []


def test_a_fifo_has_the_whole_file_for_its_one_reader(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "trace.html")
    with subprocess.Popen(["cat", tmp_path / "trace.html"], stdout=subprocess.PIPE) as reading:
        assert xshm(tmp_path, "trace", "-y", "-o", "trace.html", "--size", "64x48", "--", "true")[0] == 0
        assert reading.stdout is not None
        (tmp_path / "copy.html").write_bytes(reading.stdout.read())
    assert Trace.open(tmp_path / "copy.html").ended == ""


def test_a_command_whose_arguments_are_no_text_is_traced(tmp_path: Path) -> None:
    word = os.fsdecode(b"\xff")
    assert xshm(tmp_path, "trace", "-o", "trace.html", "--size", "64x48", "--", "test", word, "=", "a")[0] == 1
    reader = Trace.open(tmp_path / "trace.html")
    assert reader.title == r"test '\udcff' = a"
    assert reader.marks[0].text == reader.title
