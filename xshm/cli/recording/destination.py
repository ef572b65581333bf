"""Where a recording goes: a file's name, and that nothing of that name is overwritten unasked.

Without -y a file that is there is refused before anything is connected, and the name is then held by an empty file that
only this process can have made (O_EXCL): no other program's file of that name can appear between that check and the
first picture. What was held and got no picture is removed.
"""

from __future__ import annotations

import contextlib
import errno
import os
from typing import TYPE_CHECKING, Self

from xshm.cli.output import dated_names
from xshm.errors import InvalidArgument
from xshm.system.printable import printable
from xshm.system.replacement import about_target

if TYPE_CHECKING:
    from collections.abc import Iterable

    from xshm.record.sinks.target import Target


def parse(name: str | None, container: str | None, *, overwrite: bool) -> Target:
    """Return the target of that name; None stands for a file whose name is made later, an mp4 unless told otherwise.

    Raises InvalidArgument for a name that tells no container, and for a file that a recording would overwrite;
    TargetIsDirectory.
    """
    from xshm.record.sinks.target import Target  # noqa: PLC0415 - not needed for --help

    if name is None:
        return Target.parse("recording", container or "mp4")
    target = Target.parse(name, container)
    if target.kind == "file" and not overwrite:
        refuse_existing(target.path)
    return target


def refuse_existing(path: str) -> None:
    """Raise InvalidArgument, TargetIsDirectory where something has that name, a link that leads nowhere as well."""
    if os.path.lexists(path):
        raise _exists(path)


def _exists(path: str) -> Exception:
    if os.path.isdir(path):  # noqa: PTH112 - a text, as the user wrote it
        return about_target(path, IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR)))
    return InvalidArgument(f"{printable(path)} exists; name another file, or overwrite it with -y")


class Held:
    """A name that is held by an empty file of ours until a recording has taken its place; a context manager."""

    def __init__(self, names: Iterable[str]) -> None:
        """Hold the first of the names that is free; where none is, raise as `refuse_existing`. Raises OSError."""
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
                os.unlink(self.name)  # noqa: PTH108 - a text, as the user wrote it


def free_names(size: tuple[int, int], container: str) -> Iterable[str]:
    """Yield names by date, time and size, of which the first that is free is to be taken."""
    return dated_names(f"{size[0]}x{size[1]}", container)


def names_beside(name: str) -> Iterable[str]:
    """Yield names like this one, with the time before the suffix: of what is saved while a recording goes on."""
    stem, suffix = os.path.splitext(name)  # noqa: PTH122 - as above
    return (f"{stem}_{each}{suffix}" for each in dated_names())
