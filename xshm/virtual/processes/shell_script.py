"""Scripts without a "#!" line: the kernel refuses them (ENOEXEC), and execvp(3) gives them to the shell. So do we.

A binary for another machine is refused in the same way; shells look for a NUL in the beginning to tell it from a
script.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SHELL: Final = "/bin/sh"
_LOOKED_AT: Final = 256  # bytes; bash looks at 80, dash at 512


def by_the_shell(
    words: Sequence[str | os.PathLike[str]], environment: Mapping[str, str], options: Mapping[str, Any]
) -> list[str] | None:
    """Return the words that run a script by the shell; None for what can't be read or is no text.

    `words`, `environment` and `options` are what subprocess was refused with ENOEXEC.
    """
    if options.get("executable") or options.get("shell"):
        return None
    name = os.fspath(words[0])
    found = name if os.path.dirname(name) else shutil.which(name, path=environment.get("PATH", os.defpath))  # noqa: PTH120
    if found is None:
        return None
    try:
        with Path(options.get("cwd") or "", found).open("rb") as file:
            beginning = file.read(_LOOKED_AT)
    except OSError:
        return None
    return None if b"\0" in beginning else [_SHELL, found, *(os.fspath(word) for word in words[1:])]
