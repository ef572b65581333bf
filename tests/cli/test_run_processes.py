"""`xshm run` ends all that its command started, reaps what loses its parents, and never loses the exit code."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from processes import ended

_RUN = [sys.executable, "-m", "xshm", "run"]
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for namespaces")


# Prints the zombies among the children of a process.
_ZOMBIES = (
    'for s in /proc/[0-9]*/stat; do read -r p n state parent rest <$s; [ "$parent $state" = "{parent} Z" ] && echo $p; '
    "done 2>/dev/null"
)


def run(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*_RUN, *map(str, words)], capture_output=True, text=True, check=False, timeout=50)


def _skip_without_namespaces(stderr: str) -> None:
    if stderr.startswith("unshare: "):
        pytest.skip(f"namespaces are not allowed here: {stderr.strip()}")


# -- daemons -----------------------------------------------------------------------------------------------------------


def test_daemons_end_with_the_command_by_term_and_deaf_ones_by_kill(tmp_path: Path) -> None:
    result = tmp_path / "result"
    script = (
        f"setsid sh -c 'trap \"echo term >>{result}; exit\" TERM; echo $$; while :; do sleep 0.1; done' &\n"
        "setsid sh -c 'setsid sleep 60 & echo $!; wait' &\n"
        "setsid sh -c 'trap : TERM; echo $$; while :; do sleep 0.1; done' &\n"
        "sleep 1; exit 3"
    )
    ended_run = run("--", "sh", "-c", script)
    assert ended_run.returncode == 3
    pids = [int(pid) for pid in ended_run.stdout.split()]
    assert len(pids) == 3
    assert all(map(ended, pids))
    assert result.read_text() == "term\n"


def test_what_ran_in_this_process_s_name_before_is_left_alone() -> None:
    # The shell becomes xshm, which is then the parent of what the shell had started.
    script = 'sleep 60 >/dev/null & echo $!; exec "$@"'
    result = subprocess.run(
        ["sh", "-c", script, "sh", *_RUN, "--", "sh", "-c", "exit 3"], stdout=subprocess.PIPE, text=True, check=False
    )
    assert result.returncode == 3
    before = int(result.stdout)
    assert "sleep" in Path(f"/proc/{before}/cmdline").read_text()
    os.kill(before, signal.SIGKILL)


def test_orphans_are_reaped_while_the_command_runs() -> None:
    script = (
        f'for i in 1 2 3 4 5; do sh -c "sleep 0.1 & exit"; done; sleep 1; {_ZOMBIES.format(parent="$PPID")}; exit 6'
    )
    result = run("--", "sh", "-c", script)
    assert result.returncode == 6
    assert result.stdout == ""


@needs_root
@pytest.mark.parametrize("code", [0, 6])
def test_as_the_first_process_of_a_container_it_reaps_orphans_and_keeps_the_exit_code(code: int) -> None:
    script = (
        'for i in 1 2 3 4 5 6 7 8; do setsid sh -c "sleep 0.1 & exit"; done; sleep 1; '
        f"{_ZOMBIES.format(parent=1)}; exit {code}"
    )
    command = ["unshare", "--pid", "--fork", "--mount-proc", *_RUN, "--", "sh", "-c", script]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=50)
    _skip_without_namespaces(result.stderr)
    assert result.returncode == code, result.stderr
    assert result.stdout == ""


@needs_root
def test_as_the_first_process_of_a_container_it_reaps_while_it_holds_a_display() -> None:
    command = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", *_RUN]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        if not running.stdout.readline():
            _skip_without_namespaces(running.stderr.read())
            pytest.fail("it did not start")
        running.stdout.readline()
        init = int(Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text())
        inside = ["nsenter", "--target", str(init), "--pid", "--mount", "sh", "-c"]
        result = subprocess.run([*inside, "sleep 0.1 & echo $!"], stdout=subprocess.PIPE, text=True, check=True).stdout
        time.sleep(0.5)
        gone = subprocess.run([*inside, f"test ! -e /proc/{int(result)}"], check=False)
        os.kill(init, signal.SIGTERM)
        assert running.wait(timeout=10) == 0
    assert gone.returncode == 0


def test_a_command_that_left_its_group_hears_signals_too() -> None:
    script = "trap 'exit 5' TERM; echo ready; while :; do sleep 0.05; done"
    command = [*_RUN, "--", "setsid", "sh", "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "ready\n"
        running.terminate()
        assert running.wait(timeout=10) == 5


# -- the exit code -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [0, 3])
def test_the_exit_code_is_not_lost_where_sigchld_is_ignored(code: int) -> None:
    ignore = (
        "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])"
    )
    grep = f"grep SigIgn /proc/self/status; exit {code}"
    result = subprocess.run(
        [sys.executable, "-c", ignore, *_RUN, "--", "sh", "-c", grep],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        timeout=50,
    )
    assert result.returncode == code
    assert not int(result.stdout.split()[1], 16) & 1 << signal.SIGCHLD - 1


@pytest.mark.parametrize(
    ("closed", "out", "error"),
    [("<&-", "out\n", "error\n"), (">&-", "", None), ("2>&-", "out\n", ""), ("<&- >&- 2>&-", "", "")],
)
def test_closed_standard_streams_change_nothing_but_what_they_carry(closed: str, out: str, error: str | None) -> None:
    result = subprocess.run(
        ["sh", "-c", f'"$@" {closed}', "sh", *_RUN, "--", "sh", "-c", "echo out; echo error >&2; exit 3"],
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert result.returncode == 3
    assert result.stdout == out
    assert "Traceback" not in result.stderr
    assert error is None or result.stderr == error, "the shell itself has to say that it can't write"


@pytest.mark.parametrize(
    ("content", "code", "result"),
    [
        (b"exit 4\n", 4, ""),
        (b"\x7fELF\2\1\1\0of another machine", 126, "can't be executed: Exec format error"),
        (b"#!/no/such/interpreter\n", 127, "has a first line (#!) whose program was not found"),
        (None, 127, "was not found"),
    ],
)
def test_what_can_t_be_executed_has_a_shell_s_exit_code(
    content: bytes | None, code: int, result: str, tmp_path: Path
) -> None:
    command = tmp_path / "command"
    if content is not None:
        command.write_bytes(content)
        command.chmod(0o755)
    ended_run = run("--", command)
    assert ended_run.returncode == code
    assert ended_run.stderr == (f"xshm: {command} {result}\n" if result else "")


def test_an_empty_name_is_no_command() -> None:
    ended_run = run("--", "")
    assert ended_run.returncode == 127
    assert ended_run.stderr == "xshm: '' was not found\n"
    assert run("--", "/etc").returncode == 126
    assert run("--", "/etc/passwd/x").returncode == 126
