"""Notes: what is said in a trace by its program: marks, failures, lines of logs.

Always true:

1. Texts go through `clean` (`Redaction`) before they are kept anywhere.
2. Any thread may note anything at any time. What is noted before the trace begins is at its beginning, what comes after
   its end is at its end. In a process that was forked from the tracing one nothing is noted.
"""

from __future__ import annotations

import logging
import os
import time
import traceback
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    Add = Callable[[int, str, dict[str, Any]], None]  # an event's time, its type, and what it says

_LIBRARY: Final = f"{Path(__file__).parents[2]}{os.sep}"
_LONGEST: Final = 10_000  # characters of a line that are kept
_MOST_EARLY: Final = 10_000  # notes before the trace begins


class Notes:
    """What is noted by the traced program itself, and by this process. `begin` and `end` are the trace's."""

    def __init__(self, clean: Callable[[str], str]) -> None:
        self._clean = clean
        self._process = os.getpid()
        self._early: deque[tuple[str, dict[str, Any]]] = deque(maxlen=_MOST_EARLY)
        self._begun: tuple[Add, int] | None = None  # where they go, and the trace's start
        self._end: int | None = None

    def begin(self, add: Add, started_ns: int) -> None:
        """Give what was noted before to `add`, and from now on all."""
        self._begun = add, started_ns
        while self._early:
            kind, values = self._early.popleft()
            add(0, kind, values)

    def end(self, at: int) -> None:
        """Let what is noted from now on be of this time."""
        self._end = at

    @property
    def is_over(self) -> bool:
        """Whether the trace has ended."""
        return self._end is not None

    def note(self, kind: str, **values: Any) -> None:
        """Note an event of this moment; all its texts are cleaned."""
        if os.getpid() != self._process:
            return
        cleaned = {name: self._clean(value) if isinstance(value, str) else value for name, value in values.items()}
        if kind == "log":  # only now: of half a secret a pattern knows nothing
            cleaned["text"] = cleaned["text"][:_LONGEST]
        if self._begun is None:
            self._early.append((kind, cleaned))
            return
        add, started = self._begun
        at = time.monotonic_ns() - started if self._end is None else self._end
        add(at, kind, cleaned)

    def lines(self, text: str, source: str, level: str) -> None:
        """Note each line of a text. What is secret may go over several lines, and over the end of what is kept."""
        for line in self._clean(text).splitlines() or [""]:
            self.note("log", text=line, source=source, level=level)


class LogHandler(logging.Handler):
    """A handler whose records become lines of a trace, under their logger's name."""

    def __init__(self, notes: Notes, level: int | str) -> None:
        super().__init__(level)
        self._notes = notes

    def emit(self, record: logging.LogRecord) -> None:
        """Note a record, as the handler's formatter writes it."""
        try:
            if not self._notes.is_over:
                self._notes.lines(self.format(record), record.name, record.levelname)
        except Exception:  # noqa: BLE001 - as logging has it: a log is no reason for a program to fail
            self.handleError(record)


def of_exception(error: BaseException) -> dict[str, Any]:
    """Return what a failure says of an exception; its line is the last one outside of this library."""
    message = str(error).strip().partition("\n")[0]
    found: dict[str, Any] = {
        "title": f"{type(error).__name__}: {message}" if message else type(error).__name__,
        "text": "".join(traceback.format_exception(error)),
    }
    places = [each for each in traceback.extract_tb(error.__traceback__) if not each.filename.startswith(_LIBRARY)]
    if places:
        found |= {"file": places[-1].filename, "line": places[-1].lineno}
    return found
