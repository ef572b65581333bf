"""The function of an item: whether it can be called as it will be, and how it is sent to workers."""

from __future__ import annotations

import inspect
from typing import Any, Final

from xshm.errors import InvalidType
from xshm.system.printable import quoted

_SMALL: Final = 1 << 16  # bytes of a function that goes with each item


def checked(function: Any, how: str, *args: Any, **named: Any) -> Any:
    """Return a function that takes a display and these arguments; `how` says how it is called. Raises InvalidType."""
    if not callable(function):
        raise InvalidType(f"a pool runs a function of a display, not {type(function).__name__}: {quoted(function)}")
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # functions in C have none
        return function
    try:
        signature.bind(None, *args, **named)
    except TypeError as error:
        name = getattr(function, "__name__", type(function).__name__)
        raise InvalidType(f"{how}, and {name}{signature} can't be called so: {error}") from None
    return function


def sendable(function: Any, ray: Any) -> Any:
    """Return a function as workers are sent it: pickled once for all items, by Ray's store where it is large."""
    try:
        data: bytes = ray.cloudpickle.dumps(function)
    except Exception as error:  # whatever a `__reduce__` raises
        raise InvalidType(f"the function can't be sent to workers: {error}") from error
    return data if len(data) <= _SMALL else ray.put(data)
