"""An error as the command line says it: one line, printable, in the words of the command's own flags.

Messages of the library end in a way out, after a semicolon, and name keyword arguments: "region … leaves the screen
1280x800; pass clip=True to cut it". The command has a flag for it ("pass --clip to cut it"), or the way out is none
of its user's, and is left out.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

from xshm.errors import RequestTimeout, XshmError
from xshm.system import limits
from xshm.system.printable import printable

if TYPE_CHECKING:
    import argparse

# The parameters that messages name; a test looks through all messages for others. Without "=" and a value only those
# are meant that are no words of English, or that a message begins with, to say what they are or have.
_PARAMETERS: Final = (
    "clip",
    "colours",
    "copies",
    "display",
    "framebuffer",
    "framebuffer_mode",
    "transport",
    "xauthority",
)
_NO_WORDS: Final = ("max_edge", "max_frames")
_SUBJECTS: Final = ("args", "framebuffer_mode", "quiet", "xauthority")
_NAMED: Final = (
    rf"\b({'|'.join((*_PARAMETERS, *_NO_WORDS))})=('[^']*'|[^\s,;)]+)|\b({'|'.join(_NO_WORDS)})\b|\bScreen\.(window)\b"
    rf"|^({'|'.join(_SUBJECTS)})(?= (?:is|has) )"
)
_DESTINATIONS: Final = {"server_args": "args"}  # argparse's name of what is a parameter by another name
_SAID_OTHERWISE: Final = (
    ("Screen.windows", "xshm windows"),
    ("VirtualDisplay()", "xshm run -- COMMAND"),
    # A command holds no more frames than it must.
    ("let some go, keep frame.copy() in their place, open the screen without copies=False, or ", ""),
)


def error_line(error: BaseException, parser: argparse.ArgumentParser) -> str:
    """Return what an error says, in one line and in the words of the flags that the parser has."""
    text = str(error)
    if isinstance(error, OSError) and error.strerror:
        if error.filename is not None and not isinstance(error, XshmError):
            name = os.fsdecode(error.filename) if isinstance(error.filename, bytes) else error.filename
            return printable(f"{name}: {limits.said(error)}")  # as it is: a name may look like a parameter
        text = error.strerror if isinstance(error, XshmError) else limits.said(error)
    line = in_flags(text, parser)
    if isinstance(error, RequestTimeout) and any(each.dest == "timeout" for each in parser._actions):  # noqa: SLF001
        line += "; --timeout gives it longer"
    return printable(" ".join(line.split()))


def in_flags(text: str, parser: argparse.ArgumentParser) -> str:
    """Write parameters as the parser's flags; leave out a way out, after "; ", that names one without a flag."""
    actions = parser._actions  # noqa: SLF001 - argparse tells it in no other way
    flags = {
        _DESTINATIONS.get(each.dest, each.dest): each.option_strings[-1] for each in actions if each.option_strings
    }
    for python, shell in _SAID_OTHERWISE:
        text = text.replace(python, shell)
    first, *ways_out = text.split("; ")
    kept = [each for each in ways_out if _parameters(each) <= flags.keys()]
    return re.sub(_NAMED, lambda match: _flag(match, flags), "; ".join([first, *kept]))


def _parameters(text: str) -> set[str]:
    return {_parameter(match) for match in re.finditer(_NAMED, text)}


def _parameter(match: re.Match[str]) -> str:
    return match[1] or match[3] or match[4] or match[5]


def _flag(match: re.Match[str], flags: dict[str, str]) -> str:
    flag = flags.get(_parameter(match))
    if flag is None:
        return match[0]
    value = (match[2] or "True").strip("'")
    return flag if value == "True" else f"{flag} {value}"
