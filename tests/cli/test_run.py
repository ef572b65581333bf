"""`xshm run` gives a command a display, its own exit code back, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from processes import ended, terminal
from programs import eventually
from terminals import Terminal

from xshm.virtual.display import VirtualDisplay

if TYPE_CHECKING:
    from collections.abc import Iterator

_RUN = [sys.executable, "-m", "xshm", "run"]


def run(*words: object) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "XAUTHORITY")}
    return subprocess.run([*_RUN, *map(str, words)], capture_output=True, text=True, check=False, env=env, timeout=50)


# -- the command's own exit code ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["true"], 0),
        (["sh", "-c", "exit 7"], 7),
        (["sh", "-c", "kill -TERM $$"], 128 + signal.SIGTERM),
        (["no-such-command"], 127),
        (["/etc/passwd"], 126),
    ],
)
def test_the_exit_code_is_the_command_s_own(command: list[str], code: int) -> None:
    assert run("--", *command).returncode == code
    assert run(*command).returncode == code


def test_the_command_finds_its_display_and_its_options_stay_its_own() -> None:
    result = run("--size", "321x123", "--depth", "16", "sh", "-c", 'xdpyinfo; echo "$1"', "sh", "--depth")
    assert "dimensions:    321x123 pixels" in result.stdout
    assert "depth of root window:    16 planes" in result.stdout
    assert result.stdout.endswith("--depth\n")


def test_the_command_gets_the_descriptors_that_are_handed_on_and_none_of_ours() -> None:
    ours, theirs = os.pipe()
    command = ["bash", "-c", f"echo handed on >&{theirs}; ls /proc/$$/fd; :"]
    result = subprocess.run([*_RUN, *command], pass_fds=[theirs], capture_output=True, text=True, check=False)
    os.close(theirs)
    assert os.read(ours, 64) == b"handed on\n"
    os.close(ours)
    assert sorted(map(int, result.stdout.split())) == [0, 1, 2, theirs]


def test_what_xvfb_run_is_told_is_understood(tmp_path: Path) -> None:
    log = tmp_path / "log"
    server_args = "-screen 0 640x480x15 -screen 1 320x200x24 -dpi 100 -ac -nolisten tcp"
    for words in (["-a", "-e", log, "-s", server_args], [f"--error-file={log}", f"--server-args={server_args}"]):
        result = run(*words, "xdpyinfo")
        assert result.returncode == 0, result.stderr
        assert "dimensions:    640x480 pixels" in result.stdout
        assert "dimensions:    320x200 pixels" in result.stdout
        assert "depth of root window:    15 planes" in result.stdout
    assert run("-e", log, "-s", "-bogus", "true").returncode == 2
    assert "Unrecognized option: -bogus" in log.read_text()


@pytest.mark.parametrize(
    ("words", "result"),
    [
        (["-s", "-bogus", "true"], "Unrecognized option: -bogus"),
        (["-s", "-screen 1 640x480x24", "true"], "they count from 0 without gaps"),
        (["-s", "-screen 0", "true"], "ends after -screen, which has a value"),
        (["-s", "-auth /x", "true"], "every display has a cookie of its own"),
        (["-s", "-terminate", "true"], "the server ends with the display"),
        (["--size", "big", "true"], "--size is WIDTHxHEIGHT"),
        (["--depth", "9", "true"], "depth 8, 15, 16, 24 and 30, not 9"),
        (["--framebuffer", "/nowhere/at/all", "true"], "is no directory"),
        (["--shot", "x.png"], "are about a command"),
        (["--shot", "x.nothing", "true"], ".nothing"),
    ],
)
def test_an_error_is_told_in_a_line_and_is_exit_code_2(words: list[str], result: str) -> None:
    done = run(*words)
    assert done.returncode == 2
    assert result in done.stderr
    assert done.stderr.count("\n") == 1


def test_it_works_without_home_and_path_to_anything_else() -> None:
    result = subprocess.run([*_RUN, "xdpyinfo"], env={"PATH": "/usr/bin:/bin"}, capture_output=True, check=False)
    assert result.returncode == 0, result.stderr


# -- signals and groups ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
def test_signals_are_passed_on_to_the_command(number: signal.Signals) -> None:
    name = number.name.removeprefix("SIG")
    command = ["sh", "-c", f"trap 'echo {name}; exit 42' {name}; echo ready; while :; do sleep 0.1; done"]
    with subprocess.Popen([*_RUN, *command], stdout=subprocess.PIPE, text=True, process_group=0) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "ready\n"
        running.send_signal(number)
        assert running.stdout.read() == f"{name}\n"
    assert running.returncode == 42


def test_what_the_command_leaves_running_ends_with_it() -> None:
    done = run("--", "sh", "-c", "sleep 60 >/dev/null & echo $!; exit 3")
    assert done.returncode == 3
    assert ended(int(done.stdout))


def test_killing_it_ends_command_and_server() -> None:
    command = ["sh", "-c", "echo $$ $DISPLAY $XAUTHORITY; exec sleep 60"]
    with subprocess.Popen([*_RUN, *command], stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        pid, name, authority = running.stdout.readline().split()
        with VirtualDisplay.attach(name, authority) as display:
            server = display.pid
        running.kill()
    assert server is not None
    assert ended(int(pid))
    assert ended(server)


# -- pictures ----------------------------------------------------------------------------------------------------------


def coloured(path: Path, colour: tuple[int, int, int]) -> float:
    return float((np.asarray(Image.open(path).convert("RGB")) == colour).all(axis=2).mean())


def test_the_shot_shows_the_last_window_though_it_went_with_its_command(tmp_path: Path) -> None:
    shot, on_failure = tmp_path / "end.png", tmp_path / "failure.png"
    program = (
        "import tkinter as t, sys; r = t.Tk(); r.configure(bg='#0000ff'); r.geometry('640x400+0+0'); "
        "r.after(500, lambda: sys.exit(5)); r.mainloop()"
    )
    words = ["--shot", shot, "--shot-on-failure", on_failure, "--size", "640x400", "/usr/bin/python3", "-c", program]
    assert run(*words).returncode == 5
    assert coloured(shot, (0, 0, 255)) == 1.0
    assert coloured(on_failure, (0, 0, 255)) == 1.0


@pytest.mark.parametrize("missing", ["DAMAGE", "MIT-SHM"])
def test_the_shot_shows_the_last_window_on_a_server_without_extensions(missing: str, tmp_path: Path) -> None:
    shot = tmp_path / "end.png"
    server = ["--size", "300x200", "-s", f"-extension {missing}"]
    words = ["xterm", "-bg", "#0000ff", "-fg", "#0000ff", "-geometry", "99x99-5-5", "-e", "sleep 1"]
    done = run(*server, "--shot", shot, "--", *words)
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    assert coloured(shot, (0, 0, 255)) > 0.5
    assert run(*server, "true").stderr == ""


def test_a_shot_that_can_t_be_written_hides_no_failure_of_the_command(tmp_path: Path) -> None:
    nowhere, shot = tmp_path / "nowhere" / "end.png", tmp_path / "failure.png"
    done = run("--shot", nowhere, "--shot-on-failure", shot, "--", "sh", "-c", "exit 5")
    assert done.returncode == 5
    assert str(nowhere) in done.stderr
    assert shot.exists()
    assert run("--shot", nowhere, "--", "true").returncode == 2


def test_the_shot_shows_what_is_there_at_the_end_and_success_is_no_failure(tmp_path: Path) -> None:
    shot, on_failure = tmp_path / "end.png", tmp_path / "failure.png"
    words = ["--shot", shot, "--shot-on-failure", on_failure, "--", "xsetroot", "-solid", "red"]
    assert run(*words).returncode == 0
    assert coloured(shot, (255, 0, 0)) == 1.0
    assert not on_failure.exists()


def test_a_program_that_never_ends_is_photographed_when_its_window_is_drawn(tmp_path: Path) -> None:
    shot = tmp_path / "clock.png"
    done = run(
        "--wait-window", "--shot", shot, "--size", "200x200", "--", "xclock", "-bg", "red", "-geometry", "200x200+0+0"
    )
    assert done.returncode == 0, done.stderr
    assert coloured(shot, (255, 0, 0)) > 0.5


@pytest.mark.parametrize(
    ("command", "code", "result"),
    [
        (["sleep", "60"], 1, "has shown no window within 2 s"),
        (["sh", "-c", "exit 4"], 4, "ended with exit code 4 before it had a window"),
        (["true"], 1, "ended with exit code 0 before it had a window"),
    ],
)
def test_a_window_that_does_not_come_is_a_failure(command: list[str], code: int, result: str, tmp_path: Path) -> None:
    shot = tmp_path / "failure.png"
    done = run("--wait-window", "--timeout", "2", "--shot-on-failure", shot, "--", *command)
    assert done.returncode == code
    assert result in done.stderr
    assert shot.exists()


# -- without a command -------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def held() -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    pipe = subprocess.PIPE
    with subprocess.Popen(_RUN, stdout=pipe, stderr=pipe, text=True) as running:
        assert running.stdout is not None
        yield running, dict(running.stdout.readline().strip().split("=", 1) for _ in range(2))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_without_a_command_the_display_is_there_until_a_signal_comes(number: signal.Signals) -> None:
    with held() as (running, environment):
        with VirtualDisplay.attach(environment["DISPLAY"], environment["XAUTHORITY"]) as display:
            server = display.pid
            assert display.run("xdpyinfo", stdout=subprocess.DEVNULL).wait() == 0
        running.send_signal(number)
        assert running.wait(timeout=10) == 0
    assert not Path(environment["XAUTHORITY"]).exists()
    assert server is not None
    assert ended(server)


def test_without_a_command_the_death_of_the_server_is_an_error() -> None:
    with held() as (running, environment):
        with VirtualDisplay.attach(environment["DISPLAY"], environment["XAUTHORITY"]) as display:
            assert display.pid is not None
            os.kill(display.pid, signal.SIGKILL)
        assert running.wait(timeout=10) == 2
        assert running.stderr is not None
        assert "has ended" in running.stderr.read()


# -- at a terminal -----------------------------------------------------------------------------------------------------


def test_a_command_reads_from_the_terminal_and_hears_ctrl_c() -> None:
    script = "trap 'echo interrupted; exit 9' INT; read x; echo got $x; read y; echo not this"
    with Terminal(*_RUN, "--", "bash", "-c", script) as terminal:
        time.sleep(0.5)
        terminal.type("hello\n")
        terminal.expect("got hello")
        terminal.type("\x03")
        terminal.expect("interrupted")
        assert terminal.exit_code() == 9


def test_ctrl_z_stops_the_command_for_the_shell_and_fg_goes_on() -> None:
    with Terminal("bash", "--norc", "-i") as shell:
        shell.expect("$ ")
        shell.type(" ".join([*_RUN, "--", "cat"]) + "\n")
        time.sleep(1)
        shell.type("before\n")
        shell.expect("before\r\nbefore")
        shell.type("\x1a")
        shell.expect("Stopped")
        shell.type("echo $((6*7))\n")
        shell.expect("42")
        shell.type("fg\n")
        shell.expect("-- cat\r\n")
        time.sleep(0.3)  # what is typed while bash still has the terminal in raw mode never reaches a program
        shell.type("after\n")
        shell.expect("after\r\nafter")
        shell.type("\x04")
        shell.type("echo code $?\n")
        shell.expect("code 0")
        shell.type("exit\n")
        os.waitid(os.P_PID, shell.pid, os.WEXITED | os.WNOWAIT)


def at_a_shell(shell: Terminal, *words: str, becomes: str = "") -> None:
    """Type a command line, and wait until the command has a display and reads."""
    shell.expect("$ ")
    shell.type(" ".join([*_RUN, *words]) + "\n")
    shell.expect("\n")
    command = becomes or words[words.index("--") + 1]
    eventually(lambda: command in programs_at(shell))
    time.sleep(0.3)  # until it reads


def programs_at(shell: Terminal) -> list[str]:
    """Return the programs whose controlling terminal is this one."""
    own = terminal(shell.pid)
    found = []
    for entry in os.listdir("/proc"):  # noqa: PTH208 - names
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, NotADirectoryError):
            if entry.isdigit() and terminal(int(entry)) == own:
                found.append(Path(f"/proc/{entry}/cmdline").read_bytes().partition(b"\0")[0].decode())
    return found


def expect_stopped(shell: Terminal) -> None:
    """Ask for prompts until the shell says that a job of the background has stopped."""
    deadline = time.monotonic() + 20
    while True:
        shell.type("\n")
        try:
            shell.expect("Stopped", 1)
        except pytest.fail.Exception:
            if time.monotonic() > deadline:
                raise
        else:
            return


def test_bg_lets_a_stopped_command_go_on_and_its_end_leaves_the_terminal_to_the_shell() -> None:
    with Terminal("bash", "--norc", "--noediting", "-i") as shell:
        at_a_shell(shell, "--", "sh", "-c", "'sleep 3; echo $((43*101))'")
        shell.type("\x1a")
        shell.expect("Stopped")
        shell.type("bg; sleep 0.5; jobs\n")
        shell.expect("Running")
        shell.expect("4343")
        time.sleep(0.5)
        shell.type("jobs; echo $((6*7))\n")
        shell.expect("Done")
        shell.expect("42")


def test_a_command_that_reads_in_the_background_is_a_stopped_job_until_fg() -> None:
    with Terminal("bash", "--norc", "--noediting", "-i") as shell:
        at_a_shell(shell, "--", "head", "-n1", "&")
        expect_stopped(shell)
        shell.type("fg\n")
        shell.expect("fg\r\n")
        shell.expect("head -n1\r\n")
        time.sleep(0.3)
        shell.type("word\n")
        shell.expect("word\r\nword")
        shell.type("echo code $?\n")
        shell.expect("code 0")


def test_a_running_command_that_is_brought_to_the_foreground_reads_from_there() -> None:
    with Terminal("bash", "--norc", "--noediting", "-i") as shell:
        at_a_shell(shell, "--", "sh", "-c", "'sleep 3; exec head -n1'", "&")
        shell.type("fg\n")
        time.sleep(3)
        shell.type("word\n")
        shell.expect("word\r\nword")


def test_ctrl_z_gives_the_shell_its_prompt_while_a_window_is_waited_for() -> None:
    with Terminal("bash", "--norc", "--noediting", "-i") as shell:
        at_a_shell(shell, "--wait-window", "--timeout", "60", "--", "cat")
        shell.type("\x1a")
        shell.expect("Stopped")
        shell.type("kill %1; wait; echo $((6*7))\n")
        shell.expect("42")


@pytest.mark.parametrize("how", ["stopped", "reading in the background"])
def test_a_stopped_command_ends_when_its_terminal_does(how: str, tmp_path: Path) -> None:
    result = tmp_path / "pid"
    with Terminal("bash", "--norc", "--noediting", "-i") as shell:
        in_background = how != "stopped"
        at_a_shell(shell, "--", "sh", "-c", f"'echo $$ >{result}; exec cat'", *["&"] * in_background, becomes="cat")
        if in_background:
            expect_stopped(shell)
        else:
            shell.type("\x1a")
            shell.expect("Stopped")
        os.close(shell.fd)
        shell.fd = os.open(os.devnull, os.O_RDONLY)
        assert ended(int(result.read_text()))
