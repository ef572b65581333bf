"""Run an example that brings its own display, as a person runs it who has none."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

_EXAMPLES = Path(__file__).parents[2] / "examples"


def loaded(name: str) -> Any:
    """Return an example as a module: "gallery", "reference/fleets"."""
    title = name.replace("/", "_")
    spec = importlib.util.spec_from_file_location(title, _EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[title] = importlib.util.module_from_spec(spec)  # dataclasses look there
    spec.loader.exec_module(module)
    return module


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
