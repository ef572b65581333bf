"""The report: a table with a row for each kind of fault, how often it was tried, what failed, and how."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import unittest
from dataclasses import dataclass, field

import namespaces

_TOLD = 5  # failures of one row that are printed with their details


@dataclass
class Row:
    """One kind of fault: how often it was provoked, and what went wrong each time that something did."""

    name: str
    tried: int = 0
    failures: list[str] = field(default_factory=list)

    def passed(self) -> None:
        """Count an attempt that went as it should."""
        self.tried += 1

    def failed(self, how: str) -> None:
        """Count an attempt that did not, and keep what it takes to see it again: a seed, a step, a message."""
        self.tried += 1
        self.failures.append(how)

    def count(self, how: str | None) -> None:
        """Count an attempt: `how` it failed, or None."""
        if how is None:
            self.passed()
        else:
            self.failed(how)


@dataclass
class Report:
    """All rows, in the order in which they were begun."""

    rows: list[Row] = field(default_factory=list)

    def row(self, name: str) -> Row:
        """Begin a row, or go on with the one of that name."""
        for row in self.rows:
            if row.name == name:
                return row
        self.rows.append(Row(name))
        return self.rows[-1]

    @property
    def failures(self) -> list[str]:
        """All failures, each with the name of its row."""
        return [f"{row.name}: {how}" for row in self.rows for how in row.failures]

    def __str__(self) -> str:
        width = max((len(row.name) for row in self.rows), default=0)
        lines = [f"{'':{width}}  {'tried':>7}  {'failed':>7}"]
        for row in self.rows:
            lines.append(f"{row.name:{width}}  {row.tried:7,}  {len(row.failures):7,}")
            lines += [f"    {how}" for how in row.failures[:_TOLD]]
        return "\n".join(lines)


def provoke_inside(report: Report, program: str, effort: int) -> None:
    """Have a program, `PROGRAM EFFORT SEED`, provoke faults in namespaces of its own, where it is root.

    It prints a line for each attempt: a JSON list of its row, and how it failed, or null.
    """
    seed = random.randrange(1 << 32)
    command = [sys.executable, program, str(effort), str(seed)]
    try:
        run = namespaces.run_in(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    except namespaces.NotAllowed as error:
        raise unittest.SkipTest(str(error)) from None
    for line in run.stdout.splitlines():
        name, how = json.loads(line)
        report.row(name).count(how)
    report.row("the run itself").count(f"seed {seed}: {run.stderr[-2000:]}" if run.returncode else None)
