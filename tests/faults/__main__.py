"""The command line: `python tests/faults [kinds of faults] [--effort N]`; exit code 1 where anything failed.

An effort of 1 is what the suite does, 100 takes the better part of an hour. Run by root, in namespaces where needed.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
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
    options = parser.parse_args()
    if unknown := sorted(set(options.kinds).difference(kinds)):
        parser.error(f"no such kind: {', '.join(unknown)}; there are {', '.join(kinds)}")
    failed = 0
    for kind in options.kinds or kinds:
        report, started = Report(), time.monotonic()
        importlib.import_module(f"faults.{kind}").provoke(report, options.effort)
        print(f"{kind} ({time.monotonic() - started:.0f} s)\n{report}\n", flush=True)
        failed += len(report.failures)
    print(f"{failed} failed" if failed else "nothing failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
