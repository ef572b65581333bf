"""Whose an OSError is: the kernel's, or that of a signal handler that ran while the kernel was asked.

Handlers raise such errors too, TimeoutError above all; the connection has nothing to do with those.
"""

from __future__ import annotations

from typing import Final, TypeGuard

_OURS: Final = __name__.partition(".")[0]


def is_the_kernels(error: BaseException, *through: str) -> TypeGuard[OSError]:
    """Tell whether an error that xshm caught was raised by a call into C; a handler has a frame of its own.

    `through` are modules in Python that were called in between, such as "socket".
    """
    trace = error.__traceback__
    while trace is not None:
        names = trace.tb_frame.f_globals
        if str(names.get("__package__")).partition(".")[0] != _OURS and names.get("__name__") not in through:
            return False
        trace = trace.tb_next
    return isinstance(error, OSError)
