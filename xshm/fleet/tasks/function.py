"""The function of an item: whether it can be called as it will be."""

from __future__ import annotations

import inspect
from typing import Any

from xshm.errors import InvalidType
from xshm.system.printable import quoted


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
