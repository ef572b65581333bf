"""What arguments of several verbs have to be, asked in one place and refused in the same words.

A value is looked at by its type first: an array has no truth and no order to compare by, and a text may be no text that
the kernel, or the protocol, can be given.
"""

from __future__ import annotations

import numbers
import operator
import os
from typing import TYPE_CHECKING, Any, Final, Literal

from xshm.errors import InvalidArgument, InvalidType
from xshm.system.printable import quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

Colours = Literal["auto", "rgb"]
LONGEST: Final = 1_000_000  # seconds that the kernel's waits take, with room to spare


def number(value: object, what: str) -> float:
    """Return a number, numpy's too, as a float; `what` begins the sentence of InvalidType or InvalidArgument."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise InvalidType(f"{what}, not {type(value).__name__}: {quoted(value)}")
    try:
        return float(value)
    except OverflowError:
        raise InvalidArgument(f"{what}, and this one is too large: {quoted(value)}") from None


def whole(value: object, what: str) -> int:
    """Return a whole number, numpy's too, as an int; `what` begins the sentence of InvalidType."""
    if type(value) is int:
        return value
    if not isinstance(value, bool):
        try:
            return operator.index(value)  # type: ignore[arg-type]  # it says so; an array of one element is one, too
        except TypeError:
            pass
    raise InvalidType(f"{what}, not {type(value).__name__}: {quoted(value)}")


def flag(value: object, name: str) -> None:
    """Raise InvalidType for what is neither True nor False."""
    if not isinstance(value, bool):
        raise InvalidType(f"{name} is True or False, not {type(value).__name__}: {quoted(value)}")


def choice(value: object, choices: Sequence[str], what: str) -> None:
    """Raise InvalidArgument for what is none of these names; `what` begins the sentence: "a way is one of"."""
    if not (isinstance(value, str) and value in choices):
        raise InvalidArgument(f"{what} {', '.join(choices)}; not {quoted(value)}")


def answer_timeout(value: object) -> float | None:
    """Return the seconds that any one answer may take, None for no limit; raise InvalidType or InvalidArgument."""
    if value is None:
        return None
    seconds = number(value, "a timeout is a number of seconds, or None")
    if not 0 < seconds <= LONGEST:
        raise InvalidArgument(f"a timeout is above 0 and at most {LONGEST} seconds, or None; not {quoted(value)}")
    return seconds


def text(value: object, what: str) -> str:
    """Return a text that can be sent as UTF-8; `what` names it in InvalidType or InvalidArgument: "a title"."""
    if not isinstance(value, str):
        raise InvalidType(f"{what} is a text, not {type(value).__name__}: {quoted(value)}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidArgument(f"{what} is a text without surrogates, not {quoted(value)}") from None
    return value


def path(value: object, what: str) -> str:
    """Return a path as a text, whatever it is of; raise InvalidType or InvalidArgument for what can be none."""
    return word(value, f"{what} is a path", "which a path can't be")


def word(value: object, what: str, why_not: str) -> str:
    """Return a text, bytes or a path as the text that the kernel takes, which has no NUL."""
    if not isinstance(value, str | bytes | os.PathLike):
        raise InvalidType(f"{what}, not {type(value).__name__}: {quoted(value)}")
    try:
        found = os.fsdecode(value)
        if "\0" not in found:
            os.fsencode(found)
            return found
    except UnicodeError:  # half of a surrogate pair
        pass
    raise InvalidArgument(f"{what}, and this is {quoted(value)}, {why_not}")


def point(value: object, what: str) -> tuple[int, int]:
    """Return a pair (x, y) of whole numbers; `what` begins the sentence: "a position is"."""
    if not isinstance(value, tuple | list):
        raise InvalidType(f"{what} (x, y), not {type(value).__name__}: {quoted(value)}")
    if len(value) != 2:  # noqa: PLR2004 - x and y
        raise InvalidArgument(f"{what} (x, y), not {len(value)} numbers: {quoted(value)}")
    x, y = (whole(each, f"{what} (x, y), two whole numbers") for each in value)
    return x, y


def several(value: Any, what: str, *, no_types: tuple[type, ...] = (str,)) -> list[Any]:
    """Return a list of several values; `what` begins the sentence of InvalidType for what is none, or one alone."""
    if not isinstance(value, no_types):
        try:
            values = iter(value)
        except TypeError:  # an array of no dimension has the method, too
            pass
        else:
            return list(values)
    raise InvalidType(f"{what}, not {type(value).__name__}: {quoted(value)}")


def cursor(value: object) -> None:
    """Raise InvalidArgument for what says nothing of the pointer. By identity: an array has no truth to compare by."""
    if not (isinstance(value, bool) or (isinstance(value, str) and value == "layer")):
        raise InvalidArgument(f"cursor is False, True (drawn into the frame) or 'layer', not {quoted(value)}")


def colours(value: object) -> None:
    """Raise InvalidType or InvalidArgument for what names no choice of a file's channels."""
    if not isinstance(value, str):
        raise InvalidType(f"colours is 'auto' or 'rgb', not {type(value).__name__}: {quoted(value)}")
    if value not in ("auto", "rgb"):
        raise InvalidArgument(
            f"colours is 'auto' (as the picture needs them) or 'rgb' (three channels), not {quoted(value)}"
        )
