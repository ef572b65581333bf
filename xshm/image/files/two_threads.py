"""Do two parts of some work at the same time, where this process has a second processor.

For work in C that runs without the interpreter's lock, such as Pillow's resize and libisal's compression, and takes
milliseconds: a thread costs 0.1. With one processor, where the system has no more threads, or inside of such a part,
one part follows the other, and the result is the same.

OpenCV keeps 864 bytes of each thread that a conversion of its has run in, until the process ends (5.0; they are of its
trace, which is off). So a thread that goes on with such work for hours calls `keep_helper` before.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from xshm._signal_safety import is_a_handlers

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

_parts: set[int] = set()  # the threads that do a part of such work


class _Own(threading.local):
    """What a thread has for itself."""

    helper: Executor | None = None


_own = _Own()


def keep_helper() -> None:
    """Let this thread have one helper from now on, which ends after it does, not a new one for each `together`.

    Not for a thread in which signal handlers run, the main one, nor for one that forks.
    """
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - few need it

    _own.helper = ThreadPoolExecutor(1, thread_name_prefix="xshm-files")


def together(here: Callable[[], None], there: Callable[[], None]) -> None:
    """Call both functions, `there` in a thread of its own where that is of use; raise what either raises.

    Where a signal handler raises meanwhile, that thread goes on to its end, for a few milliseconds, and keeps what it
    works on.
    """
    if threading.get_ident() in _parts:
        there()
        here()
        return
    failed: list[BaseException] = []

    def other() -> None:
        try:
            _do(there)
        except BaseException as error:  # noqa: BLE001 - the caller's thread raises it
            failed.append(error)

    wait = _begun(other) if len(os.sched_getaffinity(0)) > 1 else None
    if wait is None:
        there()
    _do(here)
    if wait is not None:
        wait()
    if failed:
        raise failed[0]


def _do(part: Callable[[], None]) -> None:
    me = threading.get_ident()
    try:
        _parts.add(me)
        part()
    finally:
        _parts.discard(me)


def _begun(work: Callable[[], None]) -> Callable[[], object] | None:
    """Have a helper do it; return what waits for that, or None where there can be no helper."""
    kept = _own.helper
    if kept is None:
        helper = _started(work)
        return None if helper is None else helper.join
    try:
        return kept.submit(work).result
    except RuntimeError:  # as in `_started`
        keep_helper()  # this one would do it later, once it can
        return None


def _started(work: Callable[[], None]) -> threading.Thread | None:
    helper = threading.Thread(target=work, name="xshm-files")
    try:
        helper.start()
    except RuntimeError as error:  # the system has no more threads, or the interpreter is about to end
        if is_a_handlers(error, "threading"):
            raise
        return None
    except KeyError as error:
        # threading's own clean-up, of a thread that ran already when a signal handler raised: an error of the handler's
        # came first.
        if error.args != (helper,) or error.__context__ is None:
            raise
        raise error.__context__ from None
    return helper
