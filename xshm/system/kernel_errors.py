"""Whose an OSError is: the kernel's, or that of a signal handler that ran while the kernel was asked.

Handlers raise such errors too, TimeoutError above all; the connection has nothing to do with those.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final, TypeGuard

if TYPE_CHECKING:
    from types import TracebackType

_OURS: Final = __name__.partition(".")[0]
PILLOW: Final = ("PIL", "numpy", *sys.stdlib_module_names)  # in which Pillow's own errors are raised


def is_the_kernels(error: BaseException, *through: str) -> TypeGuard[OSError]:
    """Tell whether an error that xshm caught was raised by a call into C; a handler has a frame of its own.

    `through` are modules in Python that were called in between, such as "socket".
    """
    return isinstance(error, OSError) and not is_a_handlers(error, *through)


def is_a_handlers(error: BaseException, *through: str) -> bool:
    """Tell of an error that xshm caught whether code was running that is neither ours nor of `through`."""
    trace = error.__traceback__
    while trace is not None:
        names = trace.tb_frame.f_globals
        package, name = str(names.get("__package__")).partition(".")[0], names.get("__name__")
        if package != _OURS and name not in through and package not in through:
            return True
        trace = trace.tb_next
    return False


class Ignored:
    """A with block that these errors end without a word, but for a handler's: contextlib.suppress takes its too."""

    def __init__(self, *kinds: type[Exception]) -> None:
        self._kinds = kinds

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> bool:
        return isinstance(error, self._kinds) and not is_a_handlers(error)
