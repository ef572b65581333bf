"""All that descends from a program ends with it, though it has left group, parent and environment; nothing else."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from xshm.virtual.processes.descendants import marks_of_display
from xshm.virtual.processes.process_groups import GRACE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xshm import VirtualDisplay


def gone(pipe: int, seconds: float = 0) -> bool:
    """Tell whether no process has the other end of a pipe any more, by reading all that was written."""
    return bool(select.select([pipe], [], [], seconds)[0]) and not os.read(pipe, 100)


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Make a pipe for a program and all below it; the writing end is the caller's to close."""
    reading, writing = os.pipe()
    yield reading, writing
    os.close(reading)


@pytest.mark.parametrize(
    "script",
    ["exec setsid sleep 60", "exec env -i setsid sleep 60", "setsid sleep 60 & exit", "setsid env -i sleep 60 & exit"],
)
def test_what_left_the_program_s_group_ends_with_it_at_once(
    display: VirtualDisplay, pipe: tuple[int, int], script: str
) -> None:
    program = display.run(["sh", "-c", script], stdout=pipe[1])
    os.close(pipe[1])
    if script.endswith("exit"):
        assert program.wait() == 0
    assert not gone(pipe[0])
    started = time.monotonic()
    program.end()
    assert time.monotonic() - started < GRACE
    assert gone(pipe[0])
    assert program.returncode == (0 if script.endswith("exit") else -signal.SIGTERM)


def test_what_starts_after_the_term_may_tidy_up(display: VirtualDisplay) -> None:
    # The other one ends while it tidies up, which makes who ends them look again.
    other = "sh -c 'trap \"sleep 0.1; exit\" TERM; echo ready; while :; do sleep 0.05; done' >&2"
    tidy = "for part in 1 2 3 4; do sleep 0.1 || echo cut; done; echo tidy; exit"
    script = f"{other} & trap '{tidy}' TERM; echo ready; while :; do sleep 0.05; done"
    pipe = subprocess.PIPE
    program = display.run(["setsid", "sh", "-c", script], stdout=pipe, stderr=pipe, text=True)
    assert program.stdout is not None
    assert program.stderr is not None
    assert program.stdout.readline() == program.stderr.readline() == "ready\n"
    program.end()
    assert program.communicate()[0] == "tidy\n"


def test_who_only_has_a_program_s_environment_is_left_alone(display: VirtualDisplay) -> None:
    # As a service has that a manager starts with an environment that it was handed by the program.
    result = display.run(["printenv", "XSHM_PROGRAMS"], stdout=subprocess.PIPE, text=True)
    handed = {"XSHM_PROGRAMS": result.communicate()[0].strip(), "PATH": "/bin"}
    pipe = subprocess.PIPE
    with subprocess.Popen(
        ["sh", "-c", "sleep 60 & echo $!; wait; true"], env=handed, stdout=pipe, text=True
    ) as manager:
        assert manager.stdout is not None
        service = os.pidfd_open(int(manager.stdout.readline()))
        result.end()
        assert manager.poll() is None
        assert not select.select([service], [], [], 0)[0]
        signal.pidfd_send_signal(service, signal.SIGKILL)
        os.close(service)


def test_a_program_in_a_program_of_another_display_belongs_to_both(display: VirtualDisplay) -> None:
    inner = (
        "from xshm.virtual.display import VirtualDisplay\n"
        "with VirtualDisplay(64, 48) as display: display.run(['printenv', 'XSHM_PROGRAMS']).wait()"
    )
    result = display.run([sys.executable, "-c", inner], stdout=subprocess.PIPE, text=True).communicate()[0]
    marks = [int(mark, 16) for mark in result.split(":")]
    assert len(marks) == 2
    assert marks_of_display(marks[0]) != marks_of_display(marks[1])
