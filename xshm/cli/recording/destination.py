"""Where a recording goes: a file's name, and that nothing of that name is overwritten unasked.

Without -y a file that is there is refused before anything is connected, and the name is then held by an empty file that
only this process can have made (O_EXCL): no other program's file of that name can appear between that check and the
first picture. What was held and got no picture is removed.
"""

from __future__ import annotations

import contextlib
import os
import stat
from typing import TYPE_CHECKING, Final, Self

from xshm.cli.output import dated_names
from xshm.errors import InvalidArgument
from xshm.system.atomic_write import followed
from xshm.system.printable import printable
from xshm.system.replacement import about_target

if TYPE_CHECKING:
    from collections.abc import Iterable

STANDARD_OUTPUT: Final = "-"
# Containers whose files have another suffix than their name.
_SUFFIXES: Final = {"matroska": "mkv", "mpegts": "ts", "bgr0": "raw", "rawvideo": "raw"}


def is_url(name: str) -> bool:
    """Return whether a name is a URL, which libav opens, and no path."""
    return "://" in name


def is_new(name: str) -> bool:
    """Return whether a file of this name would be made."""
    return not is_url(name) and not os.path.lexists(name)


def suffix_of(container: str | None) -> str:
    """Return the suffix of a file that the user has not named."""
    return "mp4" if container is None else _SUFFIXES.get(container.lower(), container.lower())


def refuse_existing(name: str) -> None:
    """Raise InvalidArgument for a file that a recording would overwrite; pipes and devices are no such files."""
    if is_url(name):
        return
    try:
        mode = os.stat(name).st_mode  # noqa: PTH116 - a text, as the user wrote it
    except OSError:
        if os.path.islink(name):  # noqa: PTH114 - of a file that is not there: the one would be made in its place
            raise _exists(name) from None
        return  # what is wrong with it is said when it is opened
    if stat.S_ISREG(mode) and followed(name) is not None:  # not /dev/stdout, which a shell has redirected
        raise _exists(name)


def _exists(name: str) -> InvalidArgument:
    return InvalidArgument(f"{printable(name)} exists; name another file, or overwrite it with -y")


class Held:
    """A name that is held by an empty file of ours until a recording has taken its place; a context manager."""

    def __init__(self, names: Iterable[str]) -> None:
        """Hold the first of the names that is free. Raises InvalidArgument where none is, TargetNotFound, OSError."""
        self.name = ""
        for self.name in names:
            try:
                made = os.open(self.name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
            except FileExistsError:
                continue
            except OSError as error:
                raise about_target(self.name, error) from error
            self._file = os.fstat(made)
            os.close(made)
            return
        raise _exists(self.name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            now = os.lstat(self.name)
            if os.path.samestat(now, self._file) and not now.st_size:
                os.unlink(self.name)  # noqa: PTH108 - as above


def free_names(size: tuple[int, int], container: str | None) -> Iterable[str]:
    """Yield names by date, time and size, of which the first that is free is to be taken."""
    return dated_names(f"{size[0]}x{size[1]}", suffix_of(container))


def names_beside(name: str) -> Iterable[str]:
    """Yield names like this one, with the time before the suffix: of what is saved while a recording goes on."""
    stem, suffix = os.path.splitext(name)  # noqa: PTH122 - as above
    return (f"{stem}_{each}" for each in dated_names("", suffix.removeprefix(".")))
