"""An exception from a signal handler, as Ctrl-C raises one, after some time."""

from __future__ import annotations

import contextlib
import gc
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Interrupt(BaseException):
    """What the handler raises."""


@contextlib.contextmanager
def interrupted_after(seconds: float) -> Iterator[None]:
    """Raise Interrupt in the main thread after so many seconds, unless the block has ended by then."""

    def interrupt(*_: object) -> None:
        raise Interrupt

    former = signal.signal(signal.SIGALRM, interrupt)
    gc.disable()  # it calls finalizers and hypothesis, where an exception would be lost
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        yield
        signal.setitimer(signal.ITIMER_REAL, 0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)
        gc.enable()
