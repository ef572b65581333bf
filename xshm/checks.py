"""What arguments of several verbs have to be, asked in one place and refused in the same words."""

from __future__ import annotations

import numbers
from typing import Literal

from xshm.errors import InvalidArgument, InvalidType

Colours = Literal["auto", "rgb"]


def number(value: object, what: str) -> float:
    """Return a number, numpy's too, as a float; `what` begins the sentence of InvalidType or InvalidArgument."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise InvalidType(f"{what}, not {type(value).__name__}: {value!r}")
    try:
        return float(value)
    except OverflowError:
        raise InvalidArgument(f"{what}, and this one is too large: {len(str(value))} digits") from None


def cursor(value: object) -> None:
    """Raise InvalidArgument for what says nothing of the pointer. By identity: an array has no truth to compare by."""
    if not (isinstance(value, bool) or (isinstance(value, str) and value == "layer")):
        raise InvalidArgument(f"cursor is False, True (drawn into the frame) or 'layer', not {value!r}")


def colours(value: object) -> None:
    """Raise InvalidType or InvalidArgument for what names no choice of a file's channels."""
    if not isinstance(value, str):
        raise InvalidType(f"colours is 'auto' or 'rgb', not {type(value).__name__}: {value!r}")
    if value not in ("auto", "rgb"):
        raise InvalidArgument(f"colours is 'auto' (as the picture needs them) or 'rgb' (three channels), not {value!r}")
