"""Tell which threads of this process have used its processors, where a test finds that somebody has."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path

_TASKS = Path("/proc/self/task")
_WORTH_TELLING = 0.001  # seconds


def thread_times() -> dict[int, float]:
    """Return the seconds of processor that each thread has used, by its id of the system's."""
    found = {}
    for task in _TASKS.iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended
            found[int(task.name)] = int((task / "schedstat").read_text().split()[0]) / 1e9
    return found


def used_since(before: dict[int, float], more_than: float = _WORTH_TELLING) -> str:
    """Say what each thread has used since: "xshm-live-1 0.004 s". One that no `threading.Thread` is has no name."""
    names = {thread.native_id: thread.name for thread in threading.enumerate()}
    used = {thread: seconds - before.get(thread, 0.0) for thread, seconds in thread_times().items()}
    told = sorted((seconds, names.get(thread, "?")) for thread, seconds in used.items() if seconds > more_than)
    return ", ".join(f"{name} {seconds:.3f} s" for seconds, name in reversed(told))
