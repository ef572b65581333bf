"""Log records below the logger "xshm": what was connected to, chosen and given up, with the reasons.

Always true:

1. A program that has not imported `logging` wants no records: nothing is done for it, `logging` is not loaded.
2. Nothing is printed unless the program asks for it: "xshm" has a NullHandler.
3. A record is one line: what is in it of a server, a window or a user is escaped. None has a cookie, what was typed or
   pasted, or the command of a program.
4. A frame costs no record. Those about frames come once for a state, such as the first copy beyond `max_frames`.

The loggers: "xshm.connection" (opened, closed), "xshm.transport", "xshm.pool", "xshm.converter", "xshm.changes",
"xshm.surface", "xshm.display" (started, ended), "xshm.record", "xshm.trace". What was chosen is INFO, for a single
stream or wait DEBUG; WARNING is what makes grabs much slower than they were meant to be.

What does not work: records from finalizers, which may interrupt a handler that has a lock; they are `Silent`. And
`logging` itself keeps its locks where a signal handler raises within it: it is entered for records that are wanted, and
once for each logger.

Locking rules: a handler is the program's code. It may raise, wait, or use xshm. So records are made where a signal
handler might raise, too: with no lock held, nothing on the server that has no owner, state stored before.
"""

from __future__ import annotations

import sys
from threading import get_ident
from typing import TYPE_CHECKING, Final

from xshm.system.printable import printable

if TYPE_CHECKING:
    from logging import Logger
    from types import ModuleType, TracebackType

_ROOT: Final = "xshm"
_DEBUG, _INFO, _WARNING = 10, 20, 30  # as logging's
_CALLER: Final = 3  # frames from `Logger.log` to who made the record
_loggers: dict[str, tuple[ModuleType, Logger]] = {}  # by name; and the module that they are of
_silent: list[int] = []  # threads that are in a finalizer; as often as they are


class Silent:
    """A with block in which the calling thread makes no records: for finalizers."""

    def __enter__(self) -> None:
        _silent.append(get_ident())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _silent.remove(get_ident())


def debug(name: str, message: str, *values: object) -> None:
    """Log to "xshm.NAME" what was chosen for one stream or wait."""
    _log(_DEBUG, name, message, values)


def info(name: str, message: str, *values: object) -> None:
    """Log to "xshm.NAME" what was chosen or happened; `values` are put into the message as logging does it, by %."""
    _log(_INFO, name, message, values)


def warning(name: str, message: str, *values: object) -> None:
    """Log to "xshm.NAME" what makes grabs slower than they were meant to be."""
    _log(_WARNING, name, message, values)


def _log(level: int, name: str, message: str, values: tuple[object, ...]) -> None:
    logging = sys.modules.get("logging")
    # Not imported; or another thread is about to, and has not come to its last class; or a program's own logging.py.
    if not hasattr(logging, "NullHandler"):
        return
    if _silent and get_ident() in _silent:
        return
    assert logging is not None  # noqa: S101 - None has no NullHandler
    if not (root := _logger(logging, _ROOT)).handlers:
        root.addHandler(logging.NullHandler())
    logger = _logger(logging, f"{_ROOT}.{name}")
    if logger.getEffectiveLevel() <= level and logger.isEnabledFor(level):  # the former takes no lock
        shown = (printable(value) if isinstance(value, str) else value for value in values)
        logger.log(level, message, *shown, stacklevel=_CALLER)


def _logger(logging: ModuleType, name: str) -> Logger:
    """Return a logger; from `logging`, which takes a lock for that, once."""
    known = _loggers.get(name)
    if known is None or known[0] is not logging:
        known = _loggers[name] = (logging, logging.getLogger(name))
    return known[1]
