"""Call a function a little later, in another thread, while a test waits for its effect."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextlib.contextmanager
def later(seconds: float, act: Callable[..., object], *args: Any) -> Iterator[None]:
    """Call `act` after so many seconds; on leaving it has returned."""
    timer = threading.Timer(seconds, act, args)
    timer.start()
    try:
        yield
    finally:
        timer.join()
