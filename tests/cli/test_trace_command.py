"""`xshm trace` as a person runs it: of a display that is there, and of files."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import videos
from disks import names
from early_signals import TRACE, run_with_signal
from programs import eventually
from terminals import Terminal
from trace_files import example

from xshm import Trace
from xshm.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from painter import Painter
    from servers import Server

_TRACE = [sys.executable, "-m", "xshm", "trace"]
_SMALL = ["-g", "320x200+0+0"]


@pytest.fixture
def trace(xvfb: Server, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Give a function that starts the command; what a test leaves running is killed."""
    begun: list[subprocess.Popen[str]] = []

    def trace(*arguments: str, server: Server = xvfb) -> subprocess.Popen[str]:
        command = [*_TRACE, *arguments]
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        begun.append(subprocess.Popen(command, env=server.env(), cwd=tmp_path, text=True, **pipes))  # type: ignore[call-overload]
        return begun[-1]

    yield trace
    for each in begun:
        if each.poll() is None:
            each.kill()
            each.communicate()


@pytest.fixture
def inside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any) -> Callable[..., tuple[int, str, str]]:
    """Give a function that runs the command in this process."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: (main.main(["trace", *arguments]), *capsys.readouterr())


def _end(running: subprocess.Popen[str], number: signal.Signals | None) -> tuple[int, str, str]:
    if number is not None:
        running.send_signal(number)
    out, error = running.communicate(timeout=20)
    return running.returncode, out, error


def _until_traced(spill: Path) -> None:
    """Wait until a picture is in the spill file."""
    eventually(lambda: spill.exists() and b"IEND" in spill.read_bytes())


# -- of a display ------------------------------------------------------------------------------------------------------


def test_int_term_and_hup_end_it_properly(trace: Any, painter: Painter, tmp_path: Path) -> None:
    painter.fill((0, 0, 320, 200), (1, 2, 3))
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    running = [trace("-o", f"{number.name}.html", "--spill", number.name, *_SMALL) for number in numbers]
    for number in numbers:
        _until_traced(tmp_path / number.name)
    painter.fill((0, 0, 320, 200), (200, 30, 60))
    time.sleep(0.2)
    for each, number in zip(running, numbers, strict=True):
        assert _end(each, number) == (0, "", "")
        with Trace.open(tmp_path / f"{number.name}.html") as reader:
            assert (reader.size, reader.ended) == ((320, 200), "")
            assert reader.at(0).pixel(5, 5) == (1, 2, 3)
            assert reader.at(reader.duration).pixel(5, 5) == (200, 30, 60)
    assert names(tmp_path) == sorted(f"{number.name}.html" for number in numbers)


def test_what_a_kill_leaves_is_recovered_and_exported(
    trace: Any, painter: Painter, tmp_path: Path, inside: Any
) -> None:
    painter.fill((0, 0, 320, 200), (1, 2, 3))
    running = trace("-o", "a.html", "--spill", "spilled", *_SMALL)
    _until_traced(tmp_path / "spilled")
    painter.fill((0, 0, 320, 200), (200, 30, 60))
    time.sleep(0.8)
    _end(running, signal.SIGKILL)
    (tmp_path / "a.html").unlink(missing_ok=True)  # the name was held
    code, out, error = inside("--recover", "spilled", "-o", "a.html")
    assert (code, out) == (0, "")
    assert "cut off" in error
    with Trace.open(tmp_path / "a.html") as reader:
        assert reader.at(reader.duration).pixel(5, 5) == (200, 30, 60)
    assert inside("--export", "a.html", "-o", "a.mkv", "-q", "lossless")[:2] == (0, "")
    pictures = videos.decode(tmp_path / "a.mkv")
    assert (tuple(pictures[0][5, 5]), tuple(pictures[-1][5, 5])) == ((1, 2, 3), (200, 30, 60))


def test_usr1_writes_the_last_seconds_to_a_file_of_their_own(trace: Any, tmp_path: Path) -> None:
    running = trace("-o", "a.html", "--keep-last", "30", "--spill", "spilled", *_SMALL)
    _until_traced(tmp_path / "spilled")
    running.send_signal(signal.SIGUSR1)
    name = running.stdout.readline().strip()
    assert name.startswith("a_")
    assert Trace.open(tmp_path / name).size == (320, 200)
    assert _end(running, signal.SIGTERM)[::2] == (0, "")
    assert names(tmp_path) == sorted(["a.html", name])


def test_a_dead_server_ends_it_and_the_file_has_all_before(trace: Any, make_server: Any, tmp_path: Path) -> None:
    server = make_server("Xvfb")
    running = trace("-o", "a.html", "--spill", "spilled", server=server)
    _until_traced(tmp_path / "spilled")
    server.kill()
    code, _, error = _end(running, None)
    assert code == 2
    assert error.count("\n") == 1
    assert error.endswith("a.html has all that came before\n")
    with Trace.open(tmp_path / "a.html") as reader:
        assert len(list(reader)) >= 1
        assert reader.ended


def test_q_ends_it_at_a_terminal_which_shows_its_numbers(xvfb: Server, tmp_path: Path) -> None:
    with Terminal(*_TRACE, "-o", str(tmp_path / "a.html"), *_SMALL, env=xvfb.env()) as terminal:
        terminal.expect("at most 30 a second")
        terminal.type("q")
        terminal.rest()
        assert terminal.exit_code() == 0
    assert Trace.open(tmp_path / "a.html").duration > 0


# -- of files ----------------------------------------------------------------------------------------------------------


def test_a_trace_is_exported_with_the_flags_of_record(inside: Any, tmp_path: Path) -> None:
    file = example((128, 96), groups=1)
    file.save(tmp_path / "a.html")
    flags = ("-r", "10", "--constant", "-q", "lossless", "-c", "ffv1")
    assert inside("--export", "a.html", "-o", "a.mkv", *flags) == (0, "", "")
    assert videos.probe(tmp_path / "a.mkv")["streams"][0]["codec_name"] == "ffv1"
    for number, picture in enumerate(videos.decode(tmp_path / "a.mkv")):
        assert np.array_equal(picture, file.rgb((number + 0.5) / 10))
    code, _, error = inside("--export", "a.html", "-o", "a.mkv")
    assert (code, error) == (2, "xshm: a.mkv exists; name another file, or overwrite it with -y\n")
    assert inside("--export", "a.html", "-o", "a.mkv", "-y", "--max-edge", "64") == (0, "", "")
    assert videos.probe(tmp_path / "a.mkv")["streams"][0]["width"] == 64


def is_subreaper() -> bool:
    found = ctypes.c_int()
    ctypes.CDLL(None).prctl(37, ctypes.byref(found), 0, 0, 0)  # PR_GET_CHILD_SUBREAPER
    return bool(found.value)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--recover", "none", "-o", "b.html"), "none: No such file"),
        (("--recover", "other", "-o", "b.html"), "other is no trace"),
        (("--recover", "a.html", "-o", "b.mp4"), "HTML file"),
        (("--recover", "a.html", "-o", "b.html", "--constant"), "--constant has no effect"),
        (("--recover", "a.html", "-o", "b.html", "-r", "5"), "--framerate has no effect"),
        (("--export", "a.html", "-o", "b.mp4", "--", "true"), "leave true out"),
        (("--export", "a.html", "-o", "b.png"), ".png"),
        (("--export", "a.html", "-o", "b.y4m"), "--framerate 30"),
        (("--export", "a.html", "-o", "-"), "exported to a file"),
        (("--export", "a.html", "-o", "nowhere/b.mp4"), "its directory is missing"),
        (("--export", "a.html", "-o", "b.mp4", "-g", "5x5"), "--geometry has no effect"),
        (("--recover", "a.html"), "name the file to write: --output"),
        (("-o", "b.html", "-q", "small"), "--quality has no effect"),
        (("-o", "b.html", "--size", "5x5"), "--size has no effect"),
        (("-o", "b.html", "--display", ":5", "--", "true"), "--display has no effect"),
        (("-o", "b.html", "--size", "5", "--", "true"), "--size is WIDTHxHEIGHT"),
        (("-o", "b.html", "--display", ":987"), ":987"),
        (("-o", "b.html", "--redact", "*", "--", "true"), "neither"),
        (("-o", "b.html", "--max-bytes", "5", "--", "true"), "at least"),
        (("-o", "b.html", "-r", "5000", "--", "true"), "at most"),
    ],
)
def test_what_can_not_be_is_refused_in_one_line_and_leaves_nothing(
    flags: tuple[str, ...], message: str, inside: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(*_: object, **__: object) -> None:
        raise AssertionError("a display was started for what is refused")

    monkeypatch.setattr("xshm.virtual.display.VirtualDisplay.from_spec", start)
    example((64, 48), groups=1).save(tmp_path / "a.html")
    (tmp_path / "other").write_bytes(b"something else")
    code, _, error = inside(*flags)
    assert not is_subreaper(), "which the run's other tests would have for a parent of their orphans"
    assert code == 2
    assert message in error
    assert error.count("\n") == 1
    assert names(tmp_path) == ["a.html", "other"]


def test_help_loads_no_numpy() -> None:
    program = (
        "import sys, contextlib, io\nfrom xshm.cli import main\n"
        "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()): main.main(['trace', '-h'])\n"
        "sys.exit('numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False, env=dict(os.environ)).returncode == 0


@pytest.mark.parametrize("place", ["__init__", "start"])
def test_a_signal_before_the_first_picture_leaves_no_file(place: str, xvfb: Server, tmp_path: Path) -> None:
    code = run_with_signal(TRACE, place, signal.SIGTERM, ["trace", "-o", "a.html"], tmp_path, xvfb.env())
    assert code == (-signal.SIGTERM if place == "__init__" else 2)
    assert names(tmp_path) == []
