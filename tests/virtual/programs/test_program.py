"""A program is run as the shell would run it, its exit code is its own, and all that it starts ends with it."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from processes import children, parent, state
from programs import eventually

from xshm.errors import Closed, StartFailed
from xshm.virtual.display import VirtualDisplay
from xshm.virtual.processes import marked_fork
from xshm.virtual.processes.process_groups import GRACE

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def display() -> Iterator[VirtualDisplay]:
    with VirtualDisplay(64, 48) as display:
        yield display


def executable(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_a_script_without_a_first_line_is_run_by_the_shell(display: VirtualDisplay, tmp_path: Path) -> None:
    script = executable(tmp_path / "no-first-line", b'echo "$1" "$2" >result\nexit 4\n')
    for words, path in ([script], "/bin"), (["no-first-line"], f"{tmp_path}:/bin"), (["./no-first-line"], "/bin"):
        with display.run([*words, "a b", "c"], cwd=tmp_path, env={"PATH": path}) as program:
            assert program.wait() == 4
        assert (tmp_path / "result").read_text() == "a b c\n"
        (tmp_path / "result").unlink()
    assert display.run([executable(tmp_path / "empty", b"")]).wait() == 0


def test_what_is_no_program_is_popen_s_own_error(display: VirtualDisplay, tmp_path: Path) -> None:
    binary = executable(tmp_path / "binary", b"\x7fELF\2\1\1\0of another machine")
    with pytest.raises(OSError, match="Exec format error"):
        display.run([binary])
    script = executable(tmp_path / "script", b"exit 4\n")
    with pytest.raises(OSError, match="Exec format error"):
        display.run(["name"], executable=script)
    with pytest.raises(FileNotFoundError):
        display.run([""])
    assert display.run("true").wait() == 0


def test_an_exit_code_that_the_kernel_would_lose_is_refused(display: VirtualDisplay) -> None:
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        with pytest.raises(
            StartFailed, match=r"SIGCHLD is ignored .* signal\.signal\(signal\.SIGCHLD, signal\.SIG_DFL"
        ):
            display.run(["sh", "-c", "exit 3"])
    finally:
        signal.signal(signal.SIGCHLD, before)
    assert display.run(["sh", "-c", "exit 3"]).wait() == 3


# -- what it leaves ----------------------------------------------------------------------------------------------------


def test_programs_that_nobody_waits_for_leave_no_zombies_and_keep_their_exit_codes() -> None:
    with VirtualDisplay(64, 48) as display:
        held = display.run(["sh", "-c", "exit 3"])
        supervisor = parent(display.pid)
        for _ in range(40):
            display.run(["true"])

        def zombies() -> int:
            display.run(["true"]).wait()
            return [state(pid) for family in (os.getpid(), supervisor) for pid in children(family)].count("Z")

        eventually(lambda: zombies() <= 3)
        assert not Path(f"/proc/{held.pid}").exists()
        assert held.wait() == 3
    held.end()


def test_programs_beside_few_descriptors_end_in_time_and_all_of_them() -> None:
    # The supervisor has the limits of its owner, and a descriptor of each program.
    script = (
        "import resource, sys, time\n"
        "from xshm.virtual.display import VirtualDisplay\n"
        "hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (40, hard))\n"
        "display = VirtualDisplay(64, 48)\n"
        "programs = [display.run(['setsid', 'sleep', '20']) for _ in range(26)]\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))\n"
        "started = time.monotonic()\n"
        "programs[0].end()\n"
        "display.close()\n"
        "assert time.monotonic() - started < 1.9\n"
        "assert {program.returncode for program in programs} == {-15}"
    )
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=False, timeout=50
    )
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize("what", ["run", "poll", "end", "close"])
def test_a_signal_handler_can_use_a_display_of_which_something_is_being_asked(what: str) -> None:
    with VirtualDisplay(64, 48) as display:
        supervisor = parent(display.pid)
        other = display.run(["sh", "-c", "exit 3"])
        os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
        program = display.run(["sleep", "20"])

        def handle(*_: object) -> None:
            os.kill(supervisor, signal.SIGCONT)
            if what == "run":
                assert display.run("true").wait() == 0
            elif what == "poll":
                assert other.poll() == 3
            elif what == "end":
                program.end()
            else:
                display.close()

        before = signal.signal(signal.SIGALRM, handle)
        os.kill(supervisor, signal.SIGSTOP)
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        started = time.monotonic()
        try:
            if what == "close":
                with pytest.raises(Closed, match="this display was closed"):
                    display.run("true")
            program.end()
        finally:
            signal.signal(signal.SIGALRM, before)
        assert program.returncode == -signal.SIGTERM
        assert time.monotonic() - started < 5


@pytest.mark.filterwarnings("error")
def test_a_signal_handler_can_end_the_program_that_is_waited_for(
    display: VirtualDisplay, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = display.run(["sleep", "20"])
    monkeypatch.setattr(
        "xshm.virtual.processes.process_groups.ENDING", 0.1
    )  # seconds that it tries to take note itself
    before = signal.signal(signal.SIGALRM, lambda *_: program.end())
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    try:
        assert program.wait() == -signal.SIGTERM
    finally:
        signal.signal(signal.SIGALRM, before)


def test_what_was_started_and_interrupted_ends_though_its_supervisor_was_killed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pids = []
    with VirtualDisplay(64, 48) as display, monkeypatch.context() as patch:
        supervisor = parent(display.pid)

        def interrupt(pid: int, _: int) -> None:
            pids.append(pid)
            os.kill(supervisor, signal.SIGKILL)
            raise InterruptedError

        patch.setattr(marked_fork, "mark", interrupt)
        with pytest.raises(InterruptedError):
            display.run(["sleep", "20"])
        assert not Path(f"/proc/{pids[0]}").exists()


def test_a_program_that_a_debugger_does_not_let_go_is_named_and_not_waited_for() -> None:
    # Killed, it stays a zombie that its parent can't wait for until the tracer has seen it.
    tracer = (
        "import ctypes, sys, time\n"
        "libc = ctypes.CDLL(None)\n"
        "libc.ptrace.argtypes = [ctypes.c_long] * 4\n"
        "print(libc.ptrace(0x4206, int(sys.argv[1]), 0, 0), flush=True)\n"  # PTRACE_SEIZE
        "time.sleep(60)"
    )
    with VirtualDisplay(64, 48) as display:
        program = display.run(["sleep", "60"])
        command = [sys.executable, "-c", tracer, str(program.pid)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as debugger:
            assert debugger.stdout is not None
            if debugger.stdout.readline() != "0\n":
                pytest.skip("ptrace is not allowed here")
            started = time.monotonic()
            with pytest.warns(ResourceWarning, match=rf"sleep could not be ended completely: process {program.pid}"):
                program.end()
            assert time.monotonic() - started < 2 * GRACE + 2
            debugger.kill()
        assert program.wait() == -signal.SIGKILL
