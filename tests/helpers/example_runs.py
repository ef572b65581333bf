"""Run an example that brings its own display, as a person runs it who has none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_EXAMPLES = Path(__file__).parents[2] / "examples"


def output_of(name: str, *arguments: Path) -> str:
    """Run an example, and return its standard output; an assertion fails where it fails, or warns of anything."""
    done = subprocess.run(
        [sys.executable, "-W", "error", _EXAMPLES / name, *arguments],
        env={name: value for name, value in os.environ.items() if name not in ("DISPLAY", "XAUTHORITY")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout
