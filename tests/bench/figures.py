"""Tables of figures: what a part of the benchmarks hands on, as Markdown and as JSON.

A Table is of one comparison: its first row is the floor, each row has its ratio to that. A Sheet has figures of another
kind, of one of the programs that measure more than time. Both say in words where another is ahead.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import rounds

# What the contestants that are no peers begin with: nobody can be better than what has to be done at least.
_BOUNDS = ("C, ", "C:", "memcpy", "Xvfb", "python -c")
_NOISE = 1.02  # a peer is not ahead by less


@dataclass(frozen=True)
class Settings:
    """How long to measure: rounds, seconds of a turn, and whether a part may leave its long cases out."""

    rounds: int = 21
    seconds: float = 0.04
    quick: bool = False
    folder: Path = field(default=Path())  # for programs and files

    @property
    def turns(self) -> dict[str, Any]:
        """What `rounds.measure` takes."""
        return {"rounds": self.rounds, "seconds": self.seconds}


@dataclass(frozen=True)
class Table:
    """One comparison; `key` is its name in JSON."""

    key: str
    title: str
    results: Sequence[rounds.Result]
    absent: Mapping[str, str]
    note: str = ""

    def markdown(self) -> str:
        """Write it as a Markdown table: microseconds, or milliseconds where they are long."""
        unit, scale = ("ms", 1e6) if statistics.median(r.median for r in self.results) >= 1e6 else ("µs", 1e3)
        files = any(result.nbytes for result in self.results)
        head = f"| {self.title} | median, {unit} | 99 %, {unit} | × floor | its processor, {unit} | server's, {unit} |"
        lines = [head + (" KiB |" if files else ""), "|---|---:|---:|---:|---:|---:|" + ("---:|" if files else "")]
        for result in self.results:
            server = "–" if result.server is None else _number(result.server / scale)
            name = f"**{result.name}**" if is_ours(result.name) else result.name
            cells = [name, _number(result.median / scale), _number(result.p99 / scale), f"{result.ratio:.2f}"]
            cells += [_number(result.cpu / scale), server]
            if files:
                cells.append("–" if result.nbytes is None else f"{result.nbytes / 1024:,.0f}")
            lines.append("| " + " | ".join(cells) + " |")
        return "\n".join([*lines, "", *self._words()])

    def _words(self) -> Iterator[str]:
        ahead = self.ahead()
        if ahead:
            yield f"Ahead of xshm: {', '.join(ahead)}."
        if self.absent:
            yield "Absent: " + "; ".join(f"{name} ({reason})" for name, reason in self.absent.items()) + "."
        if self.note:
            yield self.note

    def ahead(self) -> list[str]:
        """Say which other libraries or programs took less than the first of ours, and how much of its time."""
        ours = [result.ratio for result in self.results if is_ours(result.name)]
        if not ours:
            return []
        peers = [r for r in self.results if not is_ours(r.name) and not r.name.startswith(_BOUNDS)]
        return [f"{r.name} ({r.ratio / ours[0]:.2f} × its time)" for r in peers if r.ratio * _NOISE < ours[0]]

    def as_json(self) -> dict[str, Any]:
        """Return what `json` can write: nanoseconds an operation."""
        return {
            "title": self.title,
            "floor": self.results[0].name,
            "results": {
                result.name: {
                    "median_ns": result.median,
                    "p99_ns": result.p99,
                    "ratio": result.ratio,
                    "cpu_ns": result.cpu,
                    "server_cpu_ns": result.server,
                    "seen": result.seen,
                    "rounds_ns": result.rounds,
                }
                | ({"bytes": result.nbytes} if result.nbytes else {})
                for result in self.results
            },
            "absent": dict(self.absent),
            "ahead": self.ahead(),
        }


@dataclass(frozen=True)
class Sheet:
    """Figures with heads of their own."""

    key: str
    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
    data: Any = None

    def markdown(self) -> str:
        """Write it as a Markdown table."""
        lines = [f"| {self.title} | " + " | ".join(self.heads) + " |", "|---|" + "---:|" * len(self.heads)]
        for name, *cells in self.rows:
            shown = f"**{name}**" if is_ours(name) else name
            lines.append("| " + " | ".join([shown, *cells]) + " |")
        return "\n".join([*lines, "", *([self.note] if self.note else [])])

    def as_json(self) -> dict[str, Any]:
        """Return what `json` can write: the rows as they are printed, and the figures that they were made of."""
        return {"title": self.title, "heads": list(self.heads), "rows": [list(row) for row in self.rows]} | (
            {} if self.data is None else {"data": self.data}
        )


@dataclass(frozen=True)
class Part:
    """A part of the benchmarks: `measure` gives its tables one after the other. `minutes` that a full run takes."""

    name: str
    title: str
    minutes: float
    measure: Callable[[Settings], Iterator[Table | Sheet]]


def is_ours(name: str) -> bool:
    """Whether a contestant is xshm."""
    return name.startswith("xshm")


def _number(value: float) -> str:
    if value >= 100:  # three digits tell more than the machine can keep
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
