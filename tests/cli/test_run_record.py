"""`xshm run --record` and `--record-on-failure`: the display's recording, beside a command that keeps its exit code."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from disks import names
from early_signals import RECORDER, run_with_signal
from ffprobe import last_picture, probe
from programs import eventually

if TYPE_CHECKING:
    from pathlib import Path

_RUN = [sys.executable, "-m", "xshm", "run", "--size", "320x200"]


def run(where: Path, *words: str, limit: str = "") -> subprocess.CompletedProcess[str]:
    """Run the command in a directory; `limit` is what ulimit(1) is told before."""
    command = [*_RUN, *words]
    if limit:
        command = ["bash", "-c", f'ulimit {limit}; exec "$@"', "bash", *command]
    return subprocess.run(command, cwd=where, capture_output=True, text=True, check=False, timeout=50)


def test_the_display_is_recorded_from_before_the_command_until_its_end(tmp_path: Path) -> None:
    words = "env; xsetroot -solid '#c81e3c'; sleep 0.5; xsetroot -solid '#1ec83c'; sleep 0.3; exit 7"
    done = run(tmp_path, "--record", "a.mp4", "--", "sh", "-c", words)
    assert (done.returncode, done.stderr) == (7, "")
    assert "OPENBLAS" not in done.stdout
    assert names(tmp_path) == ["a.mp4"]
    video = probe(tmp_path / "a.mp4")
    assert video.size == (320, 200)
    assert 0.8 < video.duration < 4
    assert (abs(last_picture(tmp_path / "a.mp4").astype(int) - (30, 200, 60)) < 6).all()


def test_a_recording_for_failures_is_there_after_a_failure_alone(tmp_path: Path) -> None:
    words = ["--record-on-failure", "a.mp4", "-r", "10", "--", "sh", "-c"]
    assert run(tmp_path, *words, "sleep 0.2").returncode == 0
    assert names(tmp_path) == []
    done = run(tmp_path, *words, "ls -A; xsetroot -solid white; sleep 0.2; exit 3")
    assert (done.returncode, done.stdout, done.stderr) == (3, "", "")
    assert names(tmp_path) == ["a.mp4"]
    assert (last_picture(tmp_path / "a.mp4") > 250).all()
    assert probe(tmp_path / "a.mp4").layout == "yuv444p"
    before = (tmp_path / "a.mp4").read_bytes()
    assert run(tmp_path, "-y", *words, "sleep 0.2").returncode == 0
    assert (tmp_path / "a.mp4").read_bytes() == before, "of an earlier failure"


def test_a_recording_for_failures_replaces_the_one_before_if_it_may(tmp_path: Path) -> None:
    (tmp_path / "a.apng").write_bytes(b"an earlier one")
    words = ["--record-on-failure", "a.apng", "--", "sh", "-c", "xsetroot -solid '#123456'; sleep 0.2; exit 3"]
    assert run(tmp_path, *words).returncode == 2
    assert (tmp_path / "a.apng").read_bytes() == b"an earlier one"
    assert run(tmp_path, "-y", *words).returncode == 3
    assert (last_picture(tmp_path / "a.apng") == (0x12, 0x34, 0x56)).all()
    assert names(tmp_path) == ["a.apng"]


def test_a_command_that_can_not_be_started_leaves_no_recording_for_failures(tmp_path: Path) -> None:
    done = run(tmp_path, "--record-on-failure", "a.mp4", "--", "./nonsense")
    assert (done.returncode, done.stderr) == (127, "xshm: ./nonsense was not found\n")
    assert names(tmp_path) == []


def test_a_failure_replaces_no_file_that_has_appeared_meanwhile(tmp_path: Path) -> None:
    words = ["--", "sh", "-c", "echo mine > a.mp4; xsetroot -solid white; sleep 0.3; exit 3"]
    for flag, left in (("--record-on-failure", 2), ("--record", 2)):
        done = run(tmp_path, flag, "a.mp4", *words)
        found = re.fullmatch(r"xshm: a\.mp4 has appeared .*, and was left alone; this is (a_.*\.mp4)\n", done.stderr)
        assert found, done.stderr
        assert done.returncode == 3
        assert (tmp_path / "a.mp4").read_text() == "mine\n"
        assert (last_picture(tmp_path / found[1]) > 250).all()
        assert len(names(tmp_path)) == left
        for each in tmp_path.iterdir():
            each.unlink()


@pytest.mark.parametrize("limit", ["", "-f 20"], ids=["server", "disk"])
def test_what_ends_a_recording_for_failures_is_of_no_interest_without_one(limit: str, tmp_path: Path) -> None:
    """The end of the server; a limit on the size of files stands in for a full disk."""
    noise = "for at in 0 9 18; do xterm -geometry 60x20+0+$at -e 'od -An -c -N 40000 -w80 /dev/urandom'; done"
    killer = tmp_path / "killer.py"
    killer.write_text(
        "import os, socket\n"
        "server = socket.socket(socket.AF_UNIX)\n"
        "server.connect('/tmp/.X11-unix/X' + os.environ['DISPLAY'][1:])\n"
        "os.kill(int.from_bytes(server.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 4), 'little'), 9)\n"
    )
    words = f"({noise}) 2>/dev/null" if limit else f"sleep 0.3; {sys.executable} {killer}"
    flags = ["--record-on-failure", "a.mkv", "--framebuffer", "none"]
    for code in (0, 5):
        done = run(tmp_path, *flags, "--", "sh", "-c", f"xsetroot -solid red; {words}; exit {code}", limit=limit)
        assert done.returncode == code, done.stderr
        assert bool(done.stderr) == bool(code)
    assert limit or names(tmp_path) == ["a.mkv", "killer.py"]


@pytest.mark.parametrize("place", ["__init__", "start"])
@pytest.mark.parametrize("command", [[], ["--", "true"]], ids=["without", "with"])
def test_a_signal_before_the_command_leaves_no_file(place: str, command: list[str], tmp_path: Path) -> None:
    words = ["run", "--record", "a.mp4", *command]
    code = run_with_signal(RECORDER, place, signal.SIGTERM, words, tmp_path)
    assert code == -signal.SIGTERM
    assert names(tmp_path) == []


def test_a_file_that_appears_while_the_display_starts_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that makes the file stands in for another program."""
    (tmp_path / "bin").mkdir()
    server = tmp_path / "bin" / "Xvfb"
    server.write_text(f"#!/bin/sh\necho mine > '{tmp_path}/a.mp4'; exec {shutil.which('Xvfb')} \"$@\"\n")
    server.chmod(0o755)
    monkeypatch.setenv("PATH", f"{server.parent}:{os.environ['PATH']}")
    done = run(tmp_path, "--record", "a.mp4", "--", "touch", "started")
    assert (done.returncode, done.stderr) == (2, "xshm: a.mp4 exists; name another file, or overwrite it with -y\n")
    assert (tmp_path / "a.mp4").read_text() == "mine\n"
    assert names(tmp_path) == ["a.mp4", "bin"]


def test_the_command_inherits_nothing_that_is_for_the_recording_alone(tmp_path: Path) -> None:
    plain, recorded = (
        subprocess.run([*_RUN, *flags, "--", "env"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
        for flags in ((), ("--record", "a.mp4"))
    )
    assert names_of(recorded) == names_of(plain)


def names_of(environment: str) -> list[str]:
    return sorted(line.partition("=")[0] for line in environment.splitlines())


def test_a_kill_of_everything_leaves_no_part_of_a_recording_for_failures(tmp_path: Path) -> None:
    command = [*_RUN, "--record-on-failure", "a.mp4", "--", "sh", "-c", "echo $$; exec sleep 60"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        pid = int(running.stdout.readline())
        time.sleep(0.3)
        running.kill()
    assert names(tmp_path) == []
    with contextlib.suppress(ProcessLookupError):
        eventually(lambda: os.kill(pid, 0))


def test_a_signal_reaches_the_command_and_the_recording_is_complete(tmp_path: Path) -> None:
    command = [
        *_RUN,
        "--record",
        "a.webm",
        "--",
        "sh",
        "-c",
        "trap 'exit 5' TERM; echo ready; while :; do sleep 0.1; done",
    ]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "ready\n"
        running.send_signal(signal.SIGTERM)
        assert running.wait(20) == 5
    assert probe(tmp_path / "a.webm").codec == "vp9"


def test_without_a_command_it_is_recorded_until_a_signal_comes(tmp_path: Path) -> None:
    with subprocess.Popen([*_RUN, "--record", "a.mp4"], cwd=tmp_path, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stdout.readline().startswith("DISPLAY=")
        eventually(lambda: (tmp_path / "a.mp4").exists() and (tmp_path / "a.mp4").stat().st_size)
        running.send_signal(signal.SIGTERM)
        assert running.wait(20) == 0
    assert probe(tmp_path / "a.mp4").size == (320, 200)


def test_without_a_command_quit_ends_it_and_what_is_ignored_does_not(tmp_path: Path) -> None:
    def ignore() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup(1) has it

    words = [*_RUN, "--record", "a.mp4"]
    with subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, text=True, preexec_fn=ignore) as running:  # noqa: PLW1509 - of a test without threads
        assert running.stdout is not None
        assert running.stdout.readline().startswith("DISPLAY=")
        eventually(lambda: (tmp_path / "a.mp4").exists() and (tmp_path / "a.mp4").stat().st_size)
        running.send_signal(signal.SIGHUP)
        time.sleep(0.3)
        assert running.poll() is None
        running.send_signal(signal.SIGQUIT)
        assert running.wait(20) == 0
    assert probe(tmp_path / "a.mp4").duration > 0.3


@pytest.mark.parametrize(
    ("words", "result"),
    [
        (["--record", "tcp://127.0.0.1:9"], "refused"),
        (["--record", "a.mp4", "-r", "2000"], "xshm: --framerate is a number of frames per second from 0.001 to 1000"),
        (["--record", "no/such/a.mp4"], "xshm: no/such/a.mp4: its directory is missing"),
        (["--record-on-failure", "no/such/a.mp4"], "xshm: no/such/a.mp4: its directory is missing"),
    ],
)
def test_what_can_not_be_recorded_is_told_before_the_command_starts(
    words: list[str], result: str, tmp_path: Path
) -> None:
    done = run(tmp_path, *words, "--", "touch", "started")
    assert done.returncode == 2
    assert result in done.stderr
    assert done.stderr.count("\n") == 1
    assert names(tmp_path) == []


@pytest.mark.parametrize("code", [0, 5])
def test_a_full_disk_hides_no_failure_of_the_command_and_ends_nothing_else(code: int, tmp_path: Path) -> None:
    """A limit on the size of files stands in for the disk, which takes root to make."""
    noise = "od -An -c -N 40000 -w80 /dev/urandom; sleep 0.4"  # so that a busy machine sees it, too
    words = f"for at in 0 9 18; do xterm -geometry 60x20+0+$at -e '{noise}'; done; exit {code}"
    done = run(tmp_path, "--record", "a.mkv", "--framebuffer", "none", "--", "sh", "-c", words, limit="-f 20")
    assert done.returncode == (code or 2), done.stderr
    assert done.stderr.splitlines()[-1].startswith("xshm: a.mkv: File too large: ")
