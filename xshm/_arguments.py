"""Checks of arguments that several public functions take; each raises InvalidType or InvalidArgument with the value.

Every check tests the type first: an array has neither a truth value nor an order, and a str may contain characters that
neither the kernel nor the X protocol accepts (NUL, a surrogate). `what` begins the error's sentence: "fps is a number".
"""

from __future__ import annotations

import math
import numbers
import operator
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal

from xshm.errors import InvalidArgument, InvalidType
from xshm.system.polling import LONGEST
from xshm.system.printable import quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

Colours = Literal["auto", "rgb"]


def number(value: object, what: str) -> float:
    """Return a real number, numpy's too, as a float. NaN passes: `not value >= 0` refuses it where there is a bound."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):  # numpy registers its scalars as Real
        raise InvalidType(f"{what}, not {type(value).__name__}: {quoted(value)}")
    try:
        return float(value)
    except OverflowError:  # an int of more than 308 digits
        raise InvalidArgument(f"{what}, and this one is too large: {quoted(value)}") from None


def amount(value: object, what: str) -> float:
    """Return a number that is 0 or more, and not endless; `what` says so. Raises InvalidType, InvalidArgument."""
    found = number(value, what)
    if not 0 <= found < math.inf:
        raise InvalidArgument(f"{what}; not {quoted(value)}")
    return found


def integer(value: object, what: str) -> int:
    """Return a whole number, numpy's too, as an int; a bool is refused."""
    if type(value) is int:  # first, since most arguments are
        return value
    if not isinstance(value, bool):
        with suppress(TypeError):
            return operator.index(value)  # type: ignore[arg-type]  # raises for what has no __index__
    raise InvalidType(f"{what}, not {type(value).__name__}: {quoted(value)}")


def ratio(value: object, what: str) -> float:
    """Return a number from 0 to 1 as a float."""
    found = number(value, f"{what} is a ratio from 0 to 1")
    if not 0 <= found <= 1:
        raise InvalidArgument(f"{what} is a ratio from 0 to 1, not {quoted(value)}")
    return found


def timeout(value: object) -> float | None:
    """Return seconds, 0 or more, as a float; None, no limit, stays None."""
    if value is None:
        return None
    return seconds(value, "a timeout is a number of seconds, 0 or more, or None for no limit")


def seconds(value: object, what: str) -> float:
    """Return seconds, 0 or more, as a float."""
    found = number(value, what)
    if not found >= 0:  # not `found < 0`, which NaN passes
        raise InvalidArgument(f"{what}; not {quoted(value)}")
    return found


def reply_timeout(value: object) -> float | None:
    """Return the seconds that any one reply may take; None is no limit."""
    if value is None:
        return None
    # Not 0: a reply takes a round trip. Not infinity: None is no limit.
    found = number(value, "a timeout is a number of seconds, or None")
    if not 0 < found <= LONGEST:
        raise InvalidArgument(f"a timeout is above 0 and at most {LONGEST} seconds, or None; not {quoted(value)}")
    return found


def flag(value: object, name: str) -> None:
    """Raise InvalidType for a value that is neither True nor False."""
    if not isinstance(value, bool):
        raise InvalidType(f"{name} is True or False, not {type(value).__name__}: {quoted(value)}")


def choice(value: object, choices: Sequence[str], what: str) -> None:
    """Raise InvalidArgument for a value that is none of these names; `what` is "a transport is one of"."""
    # The type first: `in` compares an array with each choice, and the result has no truth value.
    if not (isinstance(value, str) and value in choices):
        raise InvalidArgument(f"{what} {', '.join(choices)}; not {quoted(value)}")


def text(value: object, what: str) -> str:
    """Return a text that can be sent as UTF-8; `what` is its name alone, "a title"."""
    if not isinstance(value, str):
        raise InvalidType(f"{what} is a text, not {type(value).__name__}: {quoted(value)}")
    try:
        value.encode()  # X properties are UTF8_STRING
    except UnicodeEncodeError:
        raise InvalidArgument(f"{what} is a text without surrogates, not {quoted(value)}") from None
    return value


def path(value: object, what: str) -> str:
    """Return a path, given as a text, bytes or PathLike, as a text; `what` is its name alone, "log"."""
    return os_text(value, f"{what} is a path", "which a path can't be")


def os_text(value: object, what: str, why_not: str) -> str:
    """Return a text, bytes or a path as a text that the kernel takes: it has no NUL and can be encoded."""
    if not isinstance(value, str | bytes | os.PathLike):
        raise InvalidType(f"{what}, not {type(value).__name__}: {quoted(value)}")
    try:
        found = os.fsdecode(value)
        os.fsencode(found)
    except UnicodeError:  # half of a surrogate pair
        pass
    else:
        if "\0" not in found:
            return found
    raise InvalidArgument(f"{what}, and this is {quoted(value)}, {why_not}")


def point(value: object, what: str) -> tuple[int, int]:
    """Return a pair (x, y) of whole numbers; `what` is "a position is"."""
    if not isinstance(value, tuple | list):
        raise InvalidType(f"{what} (x, y), not {type(value).__name__}: {quoted(value)}")
    if len(value) != 2:  # noqa: PLR2004 - x and y
        raise InvalidArgument(f"{what} (x, y), not {len(value)} numbers: {quoted(value)}")
    x, y = (integer(each, f"{what} (x, y), two whole numbers") for each in value)
    return x, y


def several(value: Any, what: str, *, no_types: tuple[type, ...] = (str,)) -> list[Any]:
    """Return an iterable's values as a list; an instance of `no_types` is one value, and refused like a number."""
    if not isinstance(value, no_types):
        try:
            values = iter(value)
        except TypeError:  # called, not looked up: a numpy array of no dimension has `__iter__`, too
            pass
        else:
            return list(values)
    raise InvalidType(f"{what}, not {type(value).__name__}: {quoted(value)}")


def cursor(value: object) -> None:
    """Raise InvalidArgument for a value that is no CursorMode."""
    if not (isinstance(value, bool) or (isinstance(value, str) and value == "layer")):
        raise InvalidArgument(f"cursor is False, True (drawn into the frame) or 'layer', not {quoted(value)}")


def colours(value: object) -> None:
    """Raise InvalidType or InvalidArgument for a value that names no choice of a file's channels."""
    if not isinstance(value, str):
        raise InvalidType(f"colours is 'auto' or 'rgb', not {type(value).__name__}: {quoted(value)}")
    if value not in ("auto", "rgb"):
        raise InvalidArgument(
            f"colours is 'auto' (as the picture needs them) or 'rgb' (three channels), not {quoted(value)}"
        )
