"""A program has its mark from its first instruction, and no other process that is started meanwhile has it."""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from interrupt_points import at_every_point

from xshm.virtual.processes import marked_fork
from xshm.virtual.processes.descendants import RLIMIT_LOCKS, with_mark

if TYPE_CHECKING:
    from xshm import VirtualDisplay


def test_nobody_who_is_started_beside_a_program_keeps_its_mark(display: VirtualDisplay) -> None:
    before, stop = resource.getrlimit(RLIMIT_LOCKS), threading.Event()
    seen, limits = list[str](), list[str]()

    def start_others() -> None:
        # Asked for its limit once no start of a program that was going on when it was forked can go on still.
        while not stop.is_set():
            command = ["sh", "-c", "read _; cat /proc/$$/limits"]
            with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as stranger:
                known = len(limits)
                while len(limits) < known + 2 and not stop.wait(0.001):
                    pass
                seen.append(_locks(stranger.communicate("\n")[0]))

    other = threading.Thread(target=start_others)
    other.start()
    for _ in range(30):
        with display.run(["cat", "/proc/self/limits"], stdout=subprocess.PIPE, text=True) as program:
            limits.append(_locks(program.communicate()[0]))
    with pytest.raises(FileNotFoundError):
        display.run(["no-such-program"])
    stop.set()
    other.join()
    assert resource.getrlimit(RLIMIT_LOCKS) == before
    assert len(set(limits)) == 30, "each has its own"
    assert set(seen) == {_locks(Path("/proc/self/limits").read_text())}


def test_threads_that_start_programs_at_once_leave_this_process_its_limit(display: VirtualDisplay) -> None:
    before, limits = resource.getrlimit(RLIMIT_LOCKS), list[str]()

    def start() -> None:
        for _ in range(15):
            with display.run(["cat", "/proc/self/limits"], stdout=subprocess.PIPE, text=True) as program:
                limits.append(_locks(program.communicate()[0]))

    threads = [threading.Thread(target=start) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert resource.getrlimit(RLIMIT_LOCKS) == before
    assert len(set(limits)) == 60


def _locks(limits: str) -> str:
    """Return the soft limit of file locks in /proc/PID/limits."""
    return limits.partition("file locks")[2].split()[0]


def test_the_mark_is_this_process_s_own_limit_only_during_the_fork() -> None:
    before = resource.getrlimit(RLIMIT_LOCKS)
    for _ in at_every_point(lambda: marked_fork._fork(5, resource.getrlimit, RLIMIT_LOCKS)):  # type: ignore[arg-type]
        assert resource.getrlimit(RLIMIT_LOCKS) == before
    assert marked_fork._fork(5, resource.getrlimit, RLIMIT_LOCKS) == (5, before[1])  # type: ignore[arg-type, comparison-overlap]
    try:
        marked_fork._fork(5, os.execv, "/no-such-program", ["fails"])
    except FileNotFoundError:
        assert resource.getrlimit(RLIMIT_LOCKS) == before


def test_what_was_forked_under_the_mark_in_spite_of_all_gets_its_limit_back() -> None:
    before, number, done = resource.getrlimit(RLIMIT_LOCKS), 1 << 40, threading.Event()
    other = threading.Thread(target=done.wait)  # whose code in C might have forked
    other.start()
    with contextlib.ExitStack() as ending:
        ending.callback(done.set)

        def start(environment: dict[str, str]) -> int:
            process = ending.enter_context(subprocess.Popen(["sleep", "60"], env=environment))
            ending.callback(process.kill)
            return process.pid

        resource.setrlimit(RLIMIT_LOCKS, (number, before[1]))
        stranger, orphan = start({"PATH": "/bin"}), start(with_mark({"PATH": "/bin"}, number))
        resource.setrlimit(RLIMIT_LOCKS, before)
        program = start({"PATH": "/bin"})
        marked_fork.mark(program, number)
        limits = [resource.prlimit(pid, RLIMIT_LOCKS)[0] for pid in (program, orphan, stranger)]
        assert limits == [number, number, before[0]]
    other.join()
