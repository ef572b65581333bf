"""Do two parts of some work at the same time, where this process has a second processor.

For work in C that runs without the interpreter's lock, such as Pillow's resize and libisal's compression, and takes
milliseconds: a thread costs 0.1. With one processor, where the system has no more threads, or inside of such a part,
one part follows the other, and the result is the same.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from xshm._signal_safety import is_a_handlers

if TYPE_CHECKING:
    from collections.abc import Callable

_parts: set[int] = set()  # the threads that do a part of such work


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

    helper = _started(other) if len(os.sched_getaffinity(0)) > 1 else None
    if helper is None:
        there()
    _do(here)
    if helper is not None:
        helper.join()
    if failed:
        raise failed[0]


def _do(part: Callable[[], None]) -> None:
    me = threading.get_ident()
    try:
        _parts.add(me)
        part()
    finally:
        _parts.discard(me)


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
