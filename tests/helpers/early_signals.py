"""A command that a signal reaches as early as it begins to record or to trace."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import signal
    from collections.abc import Mapping
    from pathlib import Path

_SCRIPT = """
import importlib, os, resource, sys
from xshm.cli.main import main
module, kind, place, number, *words = sys.argv[1:]
kind = getattr(importlib.import_module(module), kind)
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
whole = getattr(kind, place)
def interrupted(*args, **options):
    os.kill(os.getpid(), int(number))
    whole(*args, **options)
setattr(kind, place, interrupted)
sys.exit(main(words))
"""
RECORDER, TRACE = "xshm.record.recorder Recorder", "xshm.trace.trace Trace"


def run_with_signal(
    kind: str, place: str, number: signal.Signals, words: list[str], where: Path, env: Mapping[str, str] | None = None
) -> int:
    """Run `xshm WORDS` in a directory; the signal comes where `place` of a class, RECORDER or TRACE, is called."""
    command = [sys.executable, "-c", _SCRIPT, *kind.split(), place, str(int(number)), *words]
    return subprocess.run(command, cwd=where, env=env, check=False, timeout=20).returncode
