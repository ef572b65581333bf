"""The one line that the command line prints for an error: printable, and in terms of the command's own flags.

Messages of the library end in a remedy, after a semicolon, and name keyword arguments: "region … leaves the screen
1280x800; pass clip=True to cut it". A keyword argument becomes the command's flag ("pass --clip to cut it"); a remedy
that names one for which the command has no flag is left out.

What does not work: a second set of messages for the command line. The two would soon differ.
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

# The parameters that messages name; a test searches all messages for others. A parameter counts as one with "=" and a
# value after it; without, if its name is no word of English (_NO_WORDS), or begins the message (_SUBJECTS).
_PARAMETERS: Final = (
    "clip",
    "codec",
    "colours",
    "constant",
    "copies",
    "cursor",
    "display",
    "format",
    "fps",
    "framebuffer",
    "framebuffer_mode",
    "host",
    "ignore",
    "options",
    "port",
    "quality",
    "region",
    "rhythms",
    "token",
    "transport",
    "unencrypted",
    "xauthority",
)
_NO_WORDS: Final = (
    *("keep_last", "max_bytes", "max_edge", "max_frames"),
    *("allow_input", "allowed_hosts", "max_viewers", "tls_cert", "tls_key", "vnc_password", "vnc_port"),
)
_SUBJECTS: Final = ("args", "fps", "framebuffer_mode", "host", "port", "quiet", "token", "xauthority")
_NAMED: Final = (
    rf"\b({'|'.join((*_PARAMETERS, *_NO_WORDS))})=('[^']*'|(?:[^\s,;)]*[^\s,;).])?)|\b({'|'.join(_NO_WORDS)})\b"
    rf"|\bScreen\.(window)\b|^({'|'.join(_SUBJECTS)})(?= (?:is|has) )"
)
_EXPRESSION: Final = r"re\.compile\((['\"])(.*?)\1\) finds"  # in a shell it is written /between slashes/
_NO_VALUE: Final = r", or None( for [^;,']*)?(?=[;,]|$)"  # which no text of a flag stands for
# argparse's name of what is a parameter by another name.
_DESTINATIONS: Final = {
    "allow_host": "allowed_hosts",
    "framerate": "fps",
    "geometry": "region",
    "server_args": "args",
    "token_file": "token",
    "vnc": "vnc_port",
    "vnc_password_file": "vnc_password",
}
_IN_SHELL_WORDS: Final = (
    ("Screen.windows", "xshm windows"),
    ("VirtualDisplay()", "xshm run -- COMMAND"),
    # A command holds no more frames than it needs: only the limit itself helps its user.
    ("drop some, keep frame.copy() in their place, open the screen without copies=False, or ", ""),
)


def error_line(error: BaseException, parser: argparse.ArgumentParser) -> str:
    """Return an error's message in one line, with the parser's flags for the parameters that it names."""
    text = str(error)
    if isinstance(error, OSError) and error.strerror:
        is_ours = isinstance(error, XshmError)
        if error.filename is not None:
            name = os.fsdecode(error.filename) if isinstance(error.filename, bytes) else error.filename
            words = error.strerror if is_ours else limits.describe(error)
            return printable(f"{name}: {words}")  # unchanged: a file's name may look like a parameter
        text = error.strerror if is_ours else limits.describe(error)
    line = in_flags(text, parser)
    if isinstance(error, RequestTimeout) and any(each.dest == "timeout" for each in parser._actions):  # noqa: SLF001
        line += "; --timeout gives it longer"
    return printable(" ".join(line.split()))


def in_flags(text: str, parser: argparse.ArgumentParser) -> str:
    """Write parameters as the parser's flags; leave out each remedy, after "; ", that names one without a flag."""
    actions = parser._actions  # noqa: SLF001 - argparse has no public list of them
    flags = {
        _DESTINATIONS.get(each.dest, each.dest): each.option_strings[-1] for each in actions if each.option_strings
    }
    for python, shell in _IN_SHELL_WORDS:
        text = text.replace(python, shell)
    text = re.sub(_EXPRESSION, lambda match: f"/{match[2]}/ finds", re.sub(_NO_VALUE, "", text))
    first, *remedies = text.split("; ")
    kept = [each for each in remedies if _parameters(each) <= flags.keys()]
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
