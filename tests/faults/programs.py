"""Programs that try to outlive their display, by every way to end the display.

A program's standard output is a pipe that all of its descendants inherit, no matter what they change. So the
pipe reports its end when the last of them has ended.
"""

from __future__ import annotations

import contextlib
import os
import random
import select
import signal
import subprocess
import sys
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Self

from processes import parent

from xshm.virtual.display import VirtualDisplay

if TYPE_CHECKING:
    from collections.abc import Callable

    from faults.report import Report
    from xshm.virtual.programs.program import Program

    Failures = dict[str, str | None]

_SLEEP = "echo ready; exec sleep 40"
# Scripts of sh; each prints "ready" when it is set up.
KINDS = {
    "plain": _SLEEP,
    "setsid": f"exec setsid sh -c '{_SLEEP}'",
    "daemon, twice forked": f"setsid sh -c 'sh -c \"{_SLEEP}\" & exit' & exit",
    "deaf to TERM": "trap '' TERM; echo ready; sleep 20; sleep 20",
    "deaf to TERM, setsid": "exec setsid sh -c 'trap \"\" TERM; echo ready; sleep 20; sleep 20'",
    "environment, setsid": f"setsid env -i /bin/sh -c '{_SLEEP}' & exit",
    "environment, setsid, itself": f"exec env -i setsid /bin/sh -c '{_SLEEP}'",
    "stopped": "echo ready; kill -STOP $$; sleep 40",
    "stopped, setsid": "exec setsid sh -c 'echo ready; kill -STOP $$; sleep 40'",
    "storm": "echo ready; while :; do setsid sh -c 'sleep 0.3 & exec sleep 0.2' & sleep 0.02; done",
    "storm that outlives it": "setsid sh -c 'while :; do setsid env -i /bin/sleep 0.1; done' & echo ready",
}
_DEAF = {"deaf to TERM", "deaf to TERM, setsid"}
_AT_ONCE, _BY_KILL = 1.9, 2.0 + 1.0 + 4.0  # seconds: less than the grace, and all of the bounds on a busy machine
_PATIENCE = 20.0
_QUICK = 4  # ends at an effort of 1
_CODE = 3  # of the command of `xshm run`

_OWNER = """
import sys, time
from xshm.virtual.display import VirtualDisplay
display = VirtualDisplay(64, 48)
for descriptor, script in zip(sys.argv[1::2], sys.argv[2::2]):
    display.run(["sh", "-c", script], stdout=int(descriptor), stderr=-3)
time.sleep(300)
"""
_COMMAND = 'while [ $# -gt 0 ]; do sh -c "$2" >/dev/fd/$1 2>/dev/null & shift 2; done; read -r line; exit 3'


class Lives:
    """The pipes of some programs."""

    def __init__(self, kinds: list[str]) -> None:
        self._kinds = kinds
        self._ends = [os.pipe() for _ in kinds]

    @property
    def writing(self) -> list[int]:
        return [end for _, end in self._ends]

    def words(self) -> list[str]:
        return [word for kind, end in zip(self._kinds, self.writing, strict=True) for word in (str(end), KINDS[kind])]

    def wait_ready(self) -> None:
        """Close our ends, and wait until every program is where it wants to be."""
        for _, end in self._ends:
            os.close(end)
        for kind, (end, _) in zip(self._kinds, self._ends, strict=True):
            if not select.select([end], [], [], _PATIENCE)[0] or os.read(end, 100) != b"ready\n":
                raise AssertionError(f"{kind!r} did not start")

    def outcome(self, bound: float, started: float) -> Failures:
        """Wait until all have ended; return how each failed, if it did."""
        failures: Failures = {}
        for kind, (end, _) in zip(self._kinds, self._ends, strict=True):
            left = max(0.0, started + bound - time.monotonic())
            failures[kind] = None
            if not select.select([end], [], [], left)[0]:
                failures[kind] = f"left after {time.monotonic() - started:.1f} s: {', '.join(_kill(end)) or 'nobody'}"
        return failures

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for ends in self._ends:
            os.close(ends[0])


def _kill(pipe: int) -> list[str]:
    """End all processes that have a pipe open, and return their command lines."""
    name, told = Path(f"/proc/self/fd/{pipe}").readlink(), []
    for place in Path("/proc").glob("[0-9]*/fd/1"):
        with contextlib.suppress(OSError):
            if place.readlink() == name:
                told.append(place.parents[1].joinpath("cmdline").read_bytes().replace(b"\0", b" ").decode())
                os.kill(int(place.parts[2]), signal.SIGKILL)
    return told


# -- ends: each takes programs that are ready, and returns when the display should be gone -----------------------------


def _run(display: VirtualDisplay, kinds: list[str], lives: Lives) -> list[Program]:
    programs = [
        display.run(["sh", "-c", KINDS[kind]], stdout=end, stderr=subprocess.DEVNULL)
        for kind, end in zip(kinds, lives.writing, strict=True)
    ]
    lives.wait_ready()
    return programs


def program_end(kinds: list[str], bound: float) -> Failures:
    """Program.end(), one after the other; each has its own time."""
    failures: Failures = {}
    with VirtualDisplay(64, 48) as display:
        for kind in kinds:
            with Lives([kind]) as lives:
                program, *_ = _run(display, [kind], lives)
                started = time.monotonic()
                program.end()
                took = time.monotonic() - started
                failures |= lives.outcome(0.0, started)
                if took > (_BY_KILL if kind in _DEAF else bound):
                    failures[kind] = f"took {took:.1f} s"
    return failures


def close(kinds: list[str], bound: float) -> Failures:
    """VirtualDisplay.close()."""
    with Lives(kinds) as lives:
        display = VirtualDisplay(64, 48)
        with display:
            _run(display, kinds, lives)
            started = time.monotonic()
        return _late(lives.outcome(0.0, started), time.monotonic() - started, bound)


def supervisor_killed(kinds: list[str], bound: float) -> Failures:
    """Kill -9 of the supervisor, then VirtualDisplay.close()."""
    with Lives(kinds) as lives, VirtualDisplay(64, 48) as display:
        _run(display, kinds, lives)
        os.kill(parent(display.pid or 0), signal.SIGKILL)
        started = time.monotonic()
        display.close()
        return _late(lives.outcome(0.0, started), time.monotonic() - started, bound)


def supervisor_killed_program_end(kinds: list[str], bound: float) -> Failures:
    """Kill -9 of the supervisor, then Program.end()."""
    failures: Failures = {}
    for kind in kinds:
        with Lives([kind]) as lives, VirtualDisplay(64, 48) as display:
            program, *_ = _run(display, [kind], lives)
            os.kill(parent(display.pid or 0), signal.SIGKILL)
            started = time.monotonic()
            program.end()
            failures |= _late(lives.outcome(0.0, started), time.monotonic() - started, bound)
    return failures


def owner_killed(kinds: list[str], bound: float) -> Failures:
    """Kill -9 of the owner."""
    with Lives(kinds) as lives:
        owner = subprocess.Popen([sys.executable, "-c", _OWNER, *lives.words()], pass_fds=lives.writing)
        with owner:
            lives.wait_ready()
            owner.kill()
            started = time.monotonic()
        return lives.outcome(bound, started)


def run_ends(kinds: list[str], bound: float) -> Failures:
    """End of the command of `xshm run`, whose exit code stays."""
    with Lives(kinds) as lives, _xshm_run(lives) as running:
        lives.wait_ready()
        started = time.monotonic()
        running.communicate(b"\n")
        failures = _late(lives.outcome(0.0, started), time.monotonic() - started, bound + 1)  # the display's own end
        return failures if running.returncode == _CODE else dict.fromkeys(kinds, f"exit code {running.returncode}")


def run_killed(kinds: list[str], bound: float) -> Failures:
    """Kill -9 of `xshm run`."""
    with Lives(kinds) as lives, _xshm_run(lives) as running:
        lives.wait_ready()
        running.kill()
        return lives.outcome(bound, time.monotonic())


ENDS: list[Callable[[list[str], float], Failures]] = [
    *(program_end, close, owner_killed, run_ends, run_killed, supervisor_killed, supervisor_killed_program_end)
]


def _xshm_run(lives: Lives) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "xshm", "run", "--", "sh", "-c", _COMMAND, "sh", *lives.words()]
    return subprocess.Popen(command, pass_fds=lives.writing, stdin=subprocess.PIPE)


def _late(failures: Failures, took: float, bound: float) -> Failures:
    return {kind: how or (f"took {took:.1f} s" if took > bound else None) for kind, how in failures.items()}


def provoke(report: Report, effort: int) -> None:
    """Try every end (at an effort of 1, four) with every kind: all at once, in a long proof also each alone."""
    everything = list(KINDS)
    work = []
    for number in range(max(1, effort // 5)):
        for end in ENDS if effort > 1 else random.sample(ENDS, _QUICK):
            if number == 0 and effort == 1 and end is supervisor_killed_program_end:
                groups = [["setsid"]]
            elif number == 0 and effort == 1 and end is program_end:
                groups = [[kind for kind in everything if kind not in _DEAF]]
            else:
                groups = [everything] if number % 2 == 0 else [[kind] for kind in everything]
            work += [(end, kinds) for kinds in groups]

    def attempt(each: tuple[Callable[[list[str], float], Failures], list[str]]) -> Failures:
        end, kinds = each
        is_slow = bool(_DEAF.intersection(kinds)) and end is not program_end
        try:
            return end(kinds, _BY_KILL if is_slow else _AT_ONCE)
        except Exception as error:  # noqa: BLE001 - that is a failure, too
            return dict.fromkeys(kinds, repr(error))

    with warnings.catch_warnings(), ThreadPoolExecutor(len(ENDS) if effort == 1 else 3) as pool:
        warnings.simplefilter("error", ResourceWarning)  # names what is left
        for (end, _), failures in zip(work, pool.map(attempt, work), strict=True):
            for kind, how in failures.items():
                report.row(f"{end.__name__.replace('_', ' ')}: {kind}").count(how)
