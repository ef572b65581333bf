"""The pipe on which a starting program reports a failed exec, with an owner: Popen opens and closes it by number.

`subprocess` keeps its two ends as plain numbers. An exception that a signal handler raises between the call that opens
them and the `try` whose `finally` closes them, or in that `finally`, would leave them open. Here they are closed when
the last reference to them goes, as a Descriptor is.
"""

from __future__ import annotations

import os
import subprocess
from types import FunctionType, SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, Self

from xshm._signal_safety import Descriptor, owned, pipe

if TYPE_CHECKING:
    from collections.abc import Callable

_USED: Final = {"_fork_exec", "os", "pipe", "close"}  # by Popen's `_execute_child`, from CPython 3.11 on


class _End(int):
    """An end of the pipe: its number, and the list that holds its Descriptor as long as it is open."""

    held: list[Descriptor]

    def __new__(cls, descriptor: Descriptor) -> Self:
        end = super().__new__(cls, descriptor)
        end.held = [descriptor]
        return end


class OwningPopen(subprocess.Popen[Any]):
    """A Popen that an exception in the middle of its start leaves with no descriptor open."""

    def _execute_child(self, *arguments: Any) -> None:
        owning(super()._execute_child.__func__)(self, *arguments)  # type: ignore[misc]


def owning(execute: Callable[..., Any]) -> Callable[..., Any]:
    """Return Popen's `_execute_child` as a function whose pipe has an owner; another library's Popen's as it is."""
    code = getattr(execute, "__code__", None)
    if code is None or not _USED.issubset(code.co_names) or execute.__globals__.get("os") is not os:
        return execute
    # The same code, with another `os` among its globals: neither `os` nor subprocess is changed.
    calls = SimpleNamespace(**(vars(os) | {"pipe": _pipe, "dup": _dup, "close": _close}))
    names = execute.__globals__ | {"os": calls}
    return FunctionType(code, names, code.co_name, execute.__defaults__, execute.__closure__)


def _pipe() -> tuple[_End, _End]:
    reads, writes = pipe()
    return _End(reads), _End(writes)


def _dup(descriptor: int) -> _End:
    """Duplicate an end, as Popen does with one in the place of a standard stream."""
    return _End(owned(os.dup, descriptor))


def _close(descriptor: int) -> None:
    """Close an end, once: to clear the list is one call into C, and drops the Descriptor there."""
    if isinstance(descriptor, _End):
        descriptor.held.clear()
    else:
        os.close(descriptor)
