"""Whose an OSError is: the kernel's, or that of a signal handler that ran while the kernel was asked.

Handlers raise such errors too, TimeoutError above all; the connection has nothing to do with those.
"""

from __future__ import annotations

from typing import TypeGuard


def is_the_kernels(error: BaseException) -> TypeGuard[OSError]:
    """Tell whether an error that this package caught was raised by a call into C; a handler has a frame of its own."""
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_globals.get("__package__") != __package__:
            return False
        trace = trace.tb_next
    return isinstance(error, OSError)
