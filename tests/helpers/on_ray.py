"""Run tests of the fleet that need Ray, in a process of their own, since Ray stays in the one that connects to it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_TESTS = Path(__file__).parents[1] / "fleet" / "on_ray"
# Those that start programs and whole Rays of their own; the others share one cluster's workers. Each group is run by a
# test in a file of its own, so that they take turns on two processors: each waits more than it works.
_PROGRAMS = (
    "test_capacity_on_ray",
    "test_evidence",
    "test_fleet_drivers",
    "test_fleet_example",
    "test_fleet_reference",
)


def files(*, programs: bool) -> list[Path]:
    """Return the files of tests of one group."""
    return sorted(path for path in _TESTS.glob("test_*.py") if (path.stem in _PROGRAMS) == programs)


def run(*, programs: bool) -> None:
    """Run one group; an assertion fails with all that was said where one of them fails."""
    environment = {**os.environ, "XSHM_ON_RAY": "1", "RAY_USAGE_STATS_ENABLED": "0"}
    environment.pop("PYTEST_XDIST_WORKER", None)
    options = ("-q", "-p", "no:xdist", "-p", "no:cacheprovider", "--durations=10")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *files(programs=programs)],
        env=environment,
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
