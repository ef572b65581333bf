"""Measures contestants against each other in interleaved rounds, each in a process of its own.

The machine's speed drifts, so a figure alone says little. Within a round every contestant runs for about the same short
time, one after the other, the first changing from round to round; a ratio is taken within each round, of the medians,
and the median of the ratios is the result. A worker reads a number of repetitions from its standard input and answers
with what they took: a Python program does that by `serve`, a C program by floor.h. Processor time is what the worker
and the processes that it waited for have used, and the server's beside it.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

_SAMPLE: Final = 200  # of the times of a turn that are told; floor.h has the same
_MOST_TURNS: Final = 5  # turns as long as the others' that a slow contestant may take; then it sits out
_PATIENCE: Final = 5e9  # ns of one operation; a contestant that takes longer is left out
_LONG: Final = 15e6  # ns of a turn in which the counter must have changed


class CanNotRun(Exception):
    """A contestant that is not there; the message has what it said."""


def serve(
    operation: Callable[[], object],
    prepare: Callable[[], object] | None = None,
    turn: Callable[[], AbstractContextManager[object]] = contextlib.nullcontext,
) -> None:
    """Be a worker: run `operation` as often as each line of standard input says, until its end.

    `prepare` runs before each, and is not counted; neither is what begins and ends a turn, the context that `turn`
    gives. What an operation returns tells pictures apart, if it is a number.
    """
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    clock = time.perf_counter_ns
    for line in sys.stdin:
        count = int(line)
        times, seen = [0] * count, set()
        with turn():
            used = -_cpu()
            for index in range(count):
                if prepare is not None:
                    before = _cpu()
                    prepare()
                    used -= _cpu() - before
                start = clock()
                value = operation()
                times[index] = clock() - start
                if isinstance(value, int):
                    seen.add(value)
            used += _cpu()
        most = min(count, _SAMPLE)
        mean, ordered = sum(times) / count, sorted(times)
        sample = " ".join(str(ordered[int((index + 0.5) * count / most)]) for index in range(most))
        sys.stdout.write(f"{mean} {used / count} {len(seen)} {sample}\n")
        sys.stdout.flush()


def touched(pixels: Any) -> int:
    """Read some bytes of a picture, the first and those at each quarter, and return their sum.

    What was only promised is fetched by that, and the counter that is painted in the corner makes the sums differ.
    """
    size = len(pixels)
    if size < 32:  # eight pixels: the first alone
        return int(pixels[0])
    quarter = size // 4
    return int(pixels[0]) + int(pixels[quarter]) + int(pixels[2 * quarter]) + int(pixels[3 * quarter])


def touched_array(pixels: Any) -> int:
    """Read as many bytes of an array: one by one, since a view of its bytes takes as long as reading three."""
    item, size = pixels.item, pixels.size
    if size < 32:
        return int(item(0))
    quarter = size // 4
    return int(item(0)) + int(item(quarter)) + int(item(2 * quarter)) + int(item(3 * quarter))


def _cpu() -> int:
    """Return the nanoseconds of processor time of this process, and of those that it waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time_ns() + round((children.ru_utime + children.ru_stime) * 1e9)


def cpu_of(pid: int) -> int:
    """Return the nanoseconds of processor time that another process's threads have used."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks)


@dataclass(frozen=True)
class Place:
    """The cores that the clients of a comparison, and their server, are pinned to; None: the scheduler decides."""

    client: int | None = None
    server: int | None = None

    @property
    def key(self) -> str:
        """Return what tells the table of this place from the others."""
        return "" if self.client == self.server else " apart"

    @property
    def title(self) -> str:
        """Return what a table's title says of it."""
        if self.client is None:
            return ""
        return ", on one core" if self.client == self.server else ", client and server each on a core of its own"


ANYWHERE = Place()


def places() -> list[Place]:
    """Return those between which the cost of a round trip differs most: one core, and two where there are."""
    cores = sorted(os.sched_getaffinity(0))
    return [Place(cores[-1], cores[-1]), *[Place(cores[-1], cores[0])][: len(cores) - 1]]


@dataclass(frozen=True)
class Turn:
    """What a contestant did in a round: nanoseconds an operation, of the processor and the server's processor too."""

    mean: float
    cpu: float
    seen: int
    sample: list[float]
    server: float | None = None
    overlapping: bool = False

    @property
    def median(self) -> float:
        """Nanoseconds that half of the operations took at most; the mean of those that do a part of the next one."""
        return self.mean if self.overlapping else statistics.median(self.sample)


class Worker:
    """A contestant's process. Raises CanNotRun where it ends before it is ready."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str], core: int | None = None) -> None:
        self._process = subprocess.Popen(
            command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        if core is not None:
            os.sched_setaffinity(self._process.pid, {core})
        if self._process.stdout is None or self._process.stdout.readline() != "ready\n":
            _, said = self._process.communicate()
            raise CanNotRun(said.strip().splitlines()[-1] if said.strip() else f"exit code {self._process.returncode}")

    def run(self, repetitions: int, server: int | None = None, *, overlapping: bool = False) -> Turn:
        """Run the operation so many times; return what one took, of the server with that pid too."""
        assert self._process.stdin
        assert self._process.stdout
        before = 0 if server is None else cpu_of(server)
        self._process.stdin.write(f"{repetitions}\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            _, said = self._process.communicate()
            raise RuntimeError(f"{self._process.args!r} ended in the middle of its work:\n{said}")
        used = None if server is None else (cpu_of(server) - before) / repetitions
        mean, cpu, seen, *sample = answer.split()
        return Turn(float(mean), float(cpu), int(seen), [float(each) for each in sample], used, overlapping)

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


@dataclass
class Result:
    """What one contestant did in its turns; `ratios` are its medians as multiples of the floor's, in each round."""

    name: str
    turns: list[Turn] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)
    nbytes: int | None = None  # of what it makes, where that is a file

    @property
    def rounds(self) -> list[float]:
        """Nanoseconds an operation, in each of its turns."""
        return [turn.median for turn in self.turns]

    @property
    def median(self) -> float:
        """Nanoseconds an operation."""
        return statistics.median(self.rounds)

    @property
    def p99(self) -> float:
        """Nanoseconds that 99 of 100 operations took at most, of all turns; the greatest, where there are fewer."""
        times = sorted(time for turn in self.turns for time in turn.sample)
        return times[min(len(times) - 1, int(0.99 * len(times)))]

    @property
    def ratio(self) -> float:
        """Median of what it took, as a multiple of what the floor took in the same round."""
        return statistics.median(self.ratios)

    @property
    def cpu(self) -> float:
        """Nanoseconds of processor time an operation."""
        return statistics.median(turn.cpu for turn in self.turns)

    @property
    def server(self) -> float | None:
        """Nanoseconds of the server's processor time an operation."""
        used = [turn.server for turn in self.turns if turn.server is not None]
        return statistics.median(used) if used else None

    @property
    def seen(self) -> int:
        """Different pictures that were seen, in all turns."""
        return sum(turn.seen for turn in self.turns)

    @property
    def is_still(self) -> bool:
        """Whether it saw the same picture all the time in turns of several."""
        several = [turn for turn in self.turns if len(turn.sample) * turn.mean > _LONG and len(turn.sample) > 2]
        return bool(several) and all(turn.seen <= 1 for turn in several)


def interleave(
    workers: Mapping[str, Worker],
    rounds: int = 31,
    seconds: float = 0.04,
    server: int | None = None,
    *,
    overlapping: bool = False,
) -> tuple[list[Result], dict[str, str]]:
    """Run the workers against each other, each for about `seconds` in each round; the first of them is the floor.

    Returns the results, and who was left out since one operation takes too long.
    """
    repetitions, turns, late = {}, {}, {}
    for name, worker in workers.items():
        once = worker.run(1).mean  # the first time is never typical
        if once > _PATIENCE:
            late[name] = f"one takes {once / 1e9:.0f} s"
            continue
        once = min(once, worker.run(max(1, round(0.01e9 / once))).mean)
        repetitions[name] = max(1, round(seconds * 1e9 / once))
        turns[name] = max(min(rounds, 3), min(rounds, round(rounds * _MOST_TURNS * seconds * 1e9 / once)))
    results = {name: Result(name) for name in repetitions}
    floor = next(iter(results.values()))
    turns[floor.name] = rounds
    order = list(results)
    for number in range(rounds):
        # A slow one's few turns are spread over all rounds, as the others' are.
        for name in [each for each in order if number * turns[each] // rounds != (number - 1) * turns[each] // rounds]:
            results[name].turns.append(workers[name].run(repetitions[name], server, overlapping=overlapping))
            results[name].ratios.append(number)  # of its round; the ratio takes its place below
        order.append(order.pop(0))
    for result in results.values():
        if result is not floor:
            result.ratios = [
                turn.median / floor.turns[int(number)].median
                for turn, number in zip(result.turns, result.ratios, strict=True)
            ]
    floor.ratios = [1.0] * len(floor.turns)
    return list(results.values()), late


def measure(
    commands: Mapping[str, Sequence[str]],
    env: Mapping[str, str],
    *,
    place: Place = ANYWHERE,
    rounds: int = 31,
    seconds: float = 0.04,
    server: int | None = None,
    overlapping: bool = False,
    starts: int = 1,
) -> tuple[list[Result], dict[str, str]]:
    """Start a worker for each command, let them run against each other, and end them.

    Returns the results, and why which contestants could not run. `place`: where they, and the server, may run;
    `server`: the pid of the process whose processor time is measured beside theirs. `overlapping`: an operation does a
    part of the next one, so that only the mean tells what one takes. `starts`: how often each worker is started anew,
    for a part of the rounds, since where a process's memory lies makes some percent of what a large picture takes.
    """
    if server is not None and place.server is not None:
        os.sched_setaffinity(server, {place.server})
    results: dict[str, Result] = {}
    absent: dict[str, str] = {}
    starts = min(starts, rounds)
    for number in range(starts):
        share = rounds * (number + 1) // starts - rounds * number // starts
        found, missing = _measure_once(commands, env, place.client, share, seconds, server, overlapping=overlapping)
        for each in found:
            known = results.setdefault(each.name, Result(each.name))
            known.turns += each.turns
            known.ratios += each.ratios
        absent |= missing
    return list(results.values()), {name: why for name, why in absent.items() if name not in results}


def _measure_once(
    commands: Mapping[str, Sequence[str]],
    env: Mapping[str, str],
    core: int | None,
    rounds: int,
    seconds: float,
    server: int | None,
    *,
    overlapping: bool,
) -> tuple[list[Result], dict[str, str]]:
    workers: dict[str, Worker] = {}
    absent: dict[str, str] = {}
    try:
        for name, command in commands.items():
            try:
                workers[name] = Worker(command, env, core)
            except CanNotRun as reason:
                absent[name] = str(reason)
        results, late = interleave(workers, rounds, seconds, server, overlapping=overlapping)
        return results, absent | late
    finally:
        for worker in workers.values():
            worker.close()


def compile_c(source: Path, into: Path, *libraries: str) -> Path:
    """Compile a C program, and return its path. Raises CanNotRun where there is no compiler, or a header is missing."""
    program = into / source.stem
    command = ["cc", "-O2", "-Wall", "-Werror", "-o", str(program), str(source), *(f"-l{name}" for name in libraries)]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except FileNotFoundError:
        raise CanNotRun("no C compiler (Debian: gcc)") from None
    except subprocess.CalledProcessError as error:
        raise CanNotRun(error.stderr.strip().splitlines()[0]) from None
    return program


def machine() -> dict[str, Any]:
    """Return what the figures depend on."""
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "cpu": models[0].partition(":")[2].strip() if models else platform.machine(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def write_json(path: Path, figures: Mapping[str, Any]) -> None:
    """Write figures, and the machine they are of, to a file."""
    path.write_text(json.dumps({"machine": machine()} | dict(figures), indent=1) + "\n")
