"""A command as a list of words, and scripts without a "#!" line, which the shell runs.

The kernel refuses such a script (ENOEXEC); execvp(3) gives it to the shell, and so does a Program. A binary for another
machine is refused with the same error: as in shells, a NUL byte in its beginning tells it from a script.
"""

from __future__ import annotations

import os
import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from xshm import _arguments
from xshm._signal_safety import is_a_handlers
from xshm.errors import InvalidArgument, InvalidType
from xshm.system.printable import quoted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Command = str | Sequence[str | os.PathLike[str]]

_SHELL: Final = "/bin/sh"
_EXAMINED: Final = 256  # bytes; bash looks at 80, dash at 512
_A_COMMAND: Final = "a command is a list of words, or a text that is split into words"


def split(command: object) -> list[str | os.PathLike[str]]:
    """Return a command as a list of words, at least one. Raises InvalidType, InvalidArgument."""
    if isinstance(command, bytes | os.PathLike):  # both would pass for a sequence or for one word, as Popen takes them
        raise InvalidType(f"{_A_COMMAND}, not {type(command).__name__}: {quoted(command)}")
    try:
        words: list[Any] = shlex.split(command) if isinstance(command, str) else _arguments.several(command, _A_COMMAND)
    except ValueError as error:
        if is_a_handlers(error, "shlex"):  # shlex raises ValueError too, for a quotation without its end
            raise
        raise InvalidArgument(f"the command {quoted(command)} can't be split: {error}; give a list of words") from None
    if not words:
        raise InvalidArgument("the command is empty; name a program to run")
    for word in words:
        _arguments.os_text(word, "a word of a command is a text or a path", "which no program can be given")
    return words


def check_is_one(verb: str, command: object, further: Sequence[object]) -> None:
    """Raise InvalidType where words of a command were given as further arguments, as on a command line."""
    if further:
        words = [*command, *further] if isinstance(command, list | tuple) else [command, *further]
        raise InvalidType(f"a command is one list: {verb}([{', '.join(map(quoted, words))}])")


def by_the_shell(
    words: Sequence[str | os.PathLike[str]], environment: Mapping[str, str], options: Mapping[str, Any]
) -> list[str] | None:
    """Return the words with which the shell runs a script; None for what can't be read or is no text.

    `words`, `environment` and `options` are those that subprocess raised ENOEXEC for.
    """
    if options.get("executable") or options.get("shell"):
        return None
    name = os.fspath(words[0])
    # The search of execvp(3): a name with a slash is a path, another one is looked for in the program's own PATH.
    found = name if os.path.dirname(name) else shutil.which(name, path=environment.get("PATH", os.defpath))  # noqa: PTH120
    if found is None:
        return None
    try:
        with Path(options.get("cwd") or "", found).open("rb") as file:
            beginning = file.read(_EXAMINED)
    except OSError:
        return None
    return None if b"\0" in beginning else [_SHELL, found, *(os.fspath(word) for word in words[1:])]
