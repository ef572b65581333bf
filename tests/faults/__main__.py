"""The command line: `python tests/faults [kinds of faults] [--effort N] [--minutes M]`; exit code 1 where any failed.

An effort of 1 is what the suite does; 100 tries each system call, each number of descriptors, a million grabs. A
summary comes last, a row for each kind. With `--minutes`, kinds are left out that begin after so many, and said so. Run
by root: other users, limits and containers are made in namespaces.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:1] = [str(HERE.parent), str(HERE.parent / "helpers")]  # as pytest has it: `faults`, and what the tests share

from faults.report import Report  # noqa: E402

NOT_FAULTS = {"__init__", "__main__", "report"}


def main() -> int:
    """Provoke the faults that are asked for, or all; return the exit code."""
    kinds = sorted(path.stem for path in HERE.glob("*.py") if path.stem not in NOT_FAULTS)
    parser = argparse.ArgumentParser(prog="python tests/faults", description=__doc__)
    parser.add_argument("kinds", nargs="*", help=f"of {', '.join(kinds)}")
    parser.add_argument("--effort", type=int, default=100, help="how often, in units of what the suite does (100)")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="after which no other kind is begun")
    options = parser.parse_args()
    if unknown := sorted(set(options.kinds).difference(kinds)):
        parser.error(f"no such kind: {', '.join(unknown)}; there are {', '.join(kinds)}")
    summary, failed, begun = [], 0, time.monotonic()
    for kind in options.kinds or kinds:
        if time.monotonic() - begun > 60 * options.minutes:
            summary.append(f"{kind:20}  left out: {options.minutes:g} minutes are over")
            continue
        report, started = Report(), time.monotonic()
        how = _provoke(kind, report, options.effort)
        seconds = time.monotonic() - started
        print(f"{kind} ({seconds:.0f} s)\n{report}\n", flush=True)
        tried = sum(row.tried for row in report.rows)
        summary.append(f"{kind:20}  {tried:9,}  {len(report.failures):7,}  {seconds:7.0f}{how}")
        failed += len(report.failures)
    print(f"{'':20}  {'tried':>9}  {'failed':>7}  {'seconds':>7}", *summary, sep="\n")
    print(f"{failed} failed" if failed else "nothing failed")
    return 1 if failed else 0


def _provoke(kind: str, report: Report, effort: int) -> str:
    """Provoke one kind; return what is to be added to its row of the summary. One that breaks ends no other."""
    try:
        importlib.import_module(f"faults.{kind}").provoke(report, effort)
    except unittest.SkipTest as error:
        return f"  skipped: {error}"
    except Exception as error:  # noqa: BLE001 - told, as a failure
        report.row("the run itself").failed(f"{type(error).__name__}: {error}")
    return ""


if __name__ == "__main__":
    sys.exit(main())
