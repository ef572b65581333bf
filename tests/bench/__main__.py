"""Measure all of it, and write tables, JSON and plots: `python tests/bench [PART …] [--quick]`.

A full run takes some 27 minutes, summed from its parts, and brings tests/bench/README.md, figures.json and plots/ up to
date; one of some parts leaves the others' figures as they were. With --quick it takes under 6, and only prints, unless
--into says where to write. Nothing else should run meanwhile. What is not installed is named; `sh tests/bench/setup.sh`
installs it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import report
import rounds
from figures import Settings
from parts import PARTS

if TYPE_CHECKING:
    from figures import Part

_HERE = Path(__file__).parent


def main() -> int:
    """Measure the parts that are asked for."""
    parser = argparse.ArgumentParser(
        prog="python tests/bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)} (default: all)")
    parser.add_argument("--quick", action="store_true", help="few rounds, and fewer cases of each")
    parser.add_argument("--rounds", type=int, metavar="N", help="of each comparison (default: 21; 5 with --quick)")
    parser.add_argument("--seconds", type=float, metavar="S", help="of each contestant's turn (default: 0.04)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file, too")
    parser.add_argument("--into", type=Path, metavar="FOLDER", help="where README.md, figures.json and plots/ are")
    parser.add_argument("--plots", action="store_true", help="measure nothing: draw what figures.json has anew")
    options = parser.parse_args()
    if unknown := [name for name in options.parts if name not in PARTS]:
        parser.error(f"no such part: {', '.join(unknown)}; there are {', '.join(PARTS)}")
    into = options.into or (None if options.quick else _HERE)
    figures: dict[str, Any] = (
        {} if options.plots else _measure([PARTS[name] for name in options.parts or PARTS], options)
    )
    if options.json:
        report.write_json(options.json, figures)
    if into is not None:
        report.write(into, figures)
    return 0


def _measure(parts: list[Part], options: argparse.Namespace) -> dict[str, Any]:
    """Return the parts' figures as JSON has them, and print their tables as they come."""
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="xshm-bench-") as folder:
        settings = Settings(
            options.rounds or (5 if options.quick else 21), options.seconds or 0.04, options.quick, Path(folder)
        )
        for part in parts:
            begun = time.monotonic()
            print(f"## {part.title}\n", flush=True)
            tables = []
            try:
                for table in part.measure(settings):
                    tables.append(table)
                    print(table.markdown(), end="\n\n", flush=True)
                said = None
            except rounds.CanNotRun as reason:
                said = str(reason)
                print(f"{part.name} left out: {said}\n", flush=True)
            figures[part.name] = {
                "title": part.title,
                "tables": {table.key: table.as_json() for table in tables},
                "markdown": [table.markdown() for table in tables],
                "machine": rounds.machine(),
                "measured": time.strftime("%Y-%m-%d", time.gmtime()),
                "seconds": round(time.monotonic() - begun, 1),
            } | ({"absent": said} if said else {})
    return figures


if __name__ == "__main__":
    sys.exit(main())
