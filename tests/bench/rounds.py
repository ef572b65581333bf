"""Measures contestants against each other in interleaved rounds, each in a process of its own.

The machine's speed drifts, so a figure alone says little. Within a round every contestant runs for about the same short
time, one after the other, the first changing from round to round; a ratio is taken within each round, and the median of
the ratios is the result. A worker reads a number of repetitions from its standard input and writes the nanoseconds that
one took: a Python program does that by `serve`, a C program in two lines.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


class CanNotRun(Exception):
    """A contestant that is not there; the message has what it said."""


def serve(operation: Callable[[], object]) -> None:
    """Be a worker: run `operation` as often as each line of standard input says, until its end."""
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        repetitions = range(int(line))
        start = time.perf_counter_ns()
        for _ in repetitions:
            operation()
        took = time.perf_counter_ns() - start
        sys.stdout.write(f"{took / len(repetitions)}\n")
        sys.stdout.flush()


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

    def run(self, repetitions: int) -> float:
        """Run the operation so many times; return the nanoseconds that one took."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{repetitions}\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            _, said = self._process.communicate()
            raise RuntimeError(f"{self._process.args!r} ended in the middle of its work:\n{said}")
        return float(answer)

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


@dataclass(frozen=True)
class Result:
    """What one contestant took: nanoseconds an operation, and times the floor's, in each round."""

    name: str
    rounds: list[float]
    ratios: list[float]

    @property
    def median(self) -> float:
        """Nanoseconds an operation."""
        return statistics.median(self.rounds)

    @property
    def ratio(self) -> float:
        """Median of what it took, as a multiple of what the floor took in the same round."""
        return statistics.median(self.ratios)


def interleave(workers: Mapping[str, Worker], rounds: int = 31, seconds: float = 0.04) -> list[Result]:
    """Run the workers against each other, each for about `seconds` in each round; the first of them is the floor."""
    repetitions = {}
    for name, worker in workers.items():
        once = worker.run(1)  # the first time is never typical
        once = min(once, worker.run(max(1, round(0.01e9 / once))))
        repetitions[name] = max(1, round(seconds * 1e9 / once))
    took: dict[str, list[float]] = {name: [] for name in workers}
    order = list(workers)
    for _ in range(rounds):
        for name in order:
            took[name].append(workers[name].run(repetitions[name]))
        order.append(order.pop(0))
    floor = next(iter(took.values()))
    return [
        Result(name, times, [time / base for time, base in zip(times, floor, strict=True)])
        for name, times in took.items()
    ]


def measure(
    commands: Mapping[str, Sequence[str]],
    env: Mapping[str, str],
    *,
    core: int | None = None,
    rounds: int = 31,
    seconds: float = 0.04,
) -> tuple[list[Result], dict[str, str]]:
    """Start a worker for each command, let them run against each other, and end them.

    Returns the results, and why which contestants could not run. `core`: the only one that they may run on.
    """
    workers: dict[str, Worker] = {}
    absent: dict[str, str] = {}
    try:
        for name, command in commands.items():
            try:
                workers[name] = Worker(command, env, core)
            except CanNotRun as reason:
                absent[name] = str(reason)
        return interleave(workers, rounds, seconds), absent
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


def table(title: str, results: Sequence[Result], absent: Mapping[str, str]) -> str:
    """Write results down as a Markdown table: microseconds, and ratios to the first of them."""
    lines = [f"| {title} | µs | × {results[0].name} | spread |", "|---|---:|---:|---|"]
    for result in results:
        spread = f"{min(result.rounds) / 1e3:,.1f} – {max(result.rounds) / 1e3:,.1f}"
        lines.append(f"| {result.name} | {result.median / 1e3:,.1f} | {result.ratio:.3f} | {spread} |")
    lines += [f"| {name} | – | – | {reason} |" for name, reason in absent.items()]
    return "\n".join(lines)


def as_json(results: Sequence[Result], absent: Mapping[str, str]) -> dict[str, Any]:
    """Return results as what `json` can write."""
    times = {r.name: {"median_ns": r.median, "ratio": r.ratio, "rounds_ns": r.rounds} for r in results}
    return {"results": times, "absent": dict(absent)}


def write_json(path: Path, figures: Mapping[str, Any]) -> None:
    """Write figures, and the machine they are of, to a file."""
    path.write_text(json.dumps({"machine": machine()} | dict(figures), indent=1) + "\n")
