"""Run tests of the fleet that need Ray, in processes of their own, since Ray stays in one that connects to it."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_TESTS = Path(__file__).parents[1] / "fleet" / "on_ray"
# Two thirds of them by their time, which run beside the others, so that both processors have work while some wait. One
# node is enough for these.
_ON_ONE_NODE = (
    ("test_wall", "test_fleet_drivers", "test_evidence"),
    ("test_worker_ends", "test_seat", "test_fleet_reference", "test_pool"),
)


def functions() -> list[str]:
    """Return all of these tests' functions: "test_pool.test_results_come_in_the_order_of_the_items"."""
    return [
        f"{path.stem}.{node.name}"
        for path in sorted(_TESTS.glob("test_*.py"))
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]


def results(folder: Path) -> dict[str, list[str]]:
    """Run all of them; return what was said of each case of a function: "" where it has passed, or was skipped."""
    parts = [[_TESTS / f"{stem}.py" for stem in part] for part in _ON_ONE_NODE]
    rest = sorted({*_TESTS.glob("test_*.py")}.difference(*parts))
    runs = [_Run(folder, rest, 2), *[_Run(folder, part, 1) for part in parts]]
    for run in runs:
        run.wait()
    found: dict[str, list[str]] = {}
    for run in runs:
        for case in run.cases():
            name = f"{case.attrib['classname'].rpartition('.')[2]}.{case.attrib['name'].partition('[')[0]}"
            wrong = [each.text or "" for each in case if each.tag in ("failure", "error")]
            found.setdefault(name, []).append("\n".join(wrong))
    return found


class _Run:
    """A pytest of some of the files, with a Ray of its own."""

    def __init__(self, folder: Path, files: Sequence[Path], nodes: int) -> None:
        environment = {**os.environ, "XSHM_ON_RAY": str(nodes), "RAY_USAGE_STATS_ENABLED": "0"}
        environment.pop("PYTEST_XDIST_WORKER", None)
        self._report = folder / f"{files[0].stem}.xml"
        self._output = self._report.with_suffix(".txt")
        options = ("-q", "-p", "no:xdist", "-p", "no:cacheprovider", f"--junitxml={self._report}")
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "pytest", *options, *map(str, files)],
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def wait(self) -> None:
        self._process.wait()

    def cases(self) -> Iterator[ET.Element]:
        """Yield what it has said of each test."""
        assert self._report.exists(), self._output.read_text()
        yield from ET.parse(self._report).iter("testcase")  # noqa: S314 - our own
