"""Run tests of the fleet that need Ray, in a process of their own, since Ray stays in the one that connects to it."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

_TESTS = Path(__file__).parents[1] / "fleet" / "on_ray"


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
    environment = {**os.environ, "XSHM_ON_RAY": "1", "RAY_USAGE_STATS_ENABLED": "0"}
    environment.pop("PYTEST_XDIST_WORKER", None)
    report = folder / "report.xml"
    options = ("-q", "-p", "no:xdist", "-p", "no:cacheprovider", f"--junitxml={report}")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, _TESTS], env=environment, text=True, capture_output=True, check=False
    )
    assert report.exists(), done.stdout + done.stderr
    found: dict[str, list[str]] = {}
    for case in ET.parse(report).iter("testcase"):  # noqa: S314 - our own
        name = f"{case.attrib['classname'].rpartition('.')[2]}.{case.attrib['name'].partition('[')[0]}"
        wrong = [each.text or "" for each in case if each.tag in ("failure", "error")]
        found.setdefault(name, []).append("\n".join(wrong))
    return found
