"""Requests: what a page's messages say, each looked at whole before anything is done; None for what no page sends."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple, get_args

from xshm.live.pace import Mode

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST_HELLO: Final = 4096  # characters
_MOST_CHANNEL: Final = 255
_MOST_NUMBER: Final = 2**53  # what a number of JavaScript holds
_MOST_WIDTH: Final = 1 << 16  # device pixels
_MOST_WHY: Final = 200  # characters of it that are kept
_INPUT: Final = frozenset({"pointer", "button", "key", "scroll"})
_MODES: Final = get_args(Mode)


class Wish(NamedTuple):
    """How a page shows a channel."""

    width: int | None  # device pixels; None: as it is
    mode: Mode


def parse_hello(text: str | bytes) -> str | None:
    """Return the token of a page's first message."""
    if not isinstance(text, str) or len(text) > _MOST_HELLO:
        return None
    message = _parse(text)
    if message is None or message.get("type") != "hello":
        return None
    token = message.get("token")
    return token if isinstance(token, str) else None


def parse_message(text: str | bytes) -> dict[str, Any] | None:
    """Return a message; of "watch" the `channels` are Wishes by number. What is input is checked by `live.input`."""
    message = _parse(text) if isinstance(text, str) else None
    if message is None:
        return None
    kind = message.get("type")
    if not isinstance(kind, str):
        return None
    if kind in _INPUT:
        return message
    parse = _PARSERS.get(kind)
    return None if parse is None else parse(message)


def _parse(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _ack(message: dict[str, Any]) -> dict[str, Any] | None:
    return _with(message, channel=_is_channel, number=_is_number)


def _broken(message: dict[str, Any]) -> dict[str, Any] | None:
    why = message.get("why", "")
    if not isinstance(why, str):
        return None
    return _with({**message, "why": why[:_MOST_WHY]}, channel=_is_channel)


def _ping(message: dict[str, Any]) -> dict[str, Any] | None:
    return _with(message, id=_is_number)


def _watch(message: dict[str, Any]) -> dict[str, Any] | None:
    channels = message.get("channels")
    if not isinstance(channels, dict) or len(channels) > _MOST_CHANNEL:
        return None
    wishes: dict[int, Wish] = {}
    for name, how in channels.items():
        # What int() takes besides is no number here: signs, underscores, other scripts' digits.
        if not (name.isascii() and name.isdecimal() and len(name) <= len(str(_MOST_CHANNEL)) and isinstance(how, dict)):
            return None
        width, mode = how.get("width"), how.get("mode", "auto")
        if not (width is None or (type(width) is int and 0 <= width <= _MOST_WIDTH)) or mode not in _MODES:
            return None
        wishes[int(name)] = Wish(width, mode)
    return {"type": "watch", "channels": wishes}


def _with(message: dict[str, Any], **checks: Callable[[object], bool]) -> dict[str, Any] | None:
    return message if all(check(message.get(name)) for name, check in checks.items()) else None


def _is_channel(value: object) -> bool:
    return type(value) is int and 0 < value <= _MOST_CHANNEL  # not bool, which is an int, too


def _is_number(value: object) -> bool:
    return type(value) is int and 0 <= value < _MOST_NUMBER


_PARSERS: Final = {"ack": _ack, "broken": _broken, "ping": _ping, "watch": _watch}
