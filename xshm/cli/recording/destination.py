"""Where a recording goes: a file's name, and that nothing of that name is overwritten unasked.

Without -y a file that is there is refused before anything is connected, and the name is then held by an empty file that
only this process can have made (O_EXCL): no other program that looks first takes it between that check and the first
picture. One that does not look is not overwritten either: where the file has become another's by then, ours gets a name
beside it. What was held and got no picture is removed.
"""

from __future__ import annotations

import contextlib
import errno
import os
from itertools import chain
from typing import TYPE_CHECKING, Final, Self

from xshm.cli.output import dated_names
from xshm.cli.standard_streams import complain
from xshm.errors import InvalidArgument
from xshm.system.printable import printable
from xshm.system.replacement import Replacement, about_target

if TYPE_CHECKING:
    from collections.abc import Iterable

    from xshm.record.sinks.target import Target

_LONGEST: Final = 255  # bytes of a file's name
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


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
    """A name that is held by an empty file of ours until a recording has taken its place; a context manager.

    One that is dropped lets go of it, so that a signal whose handler raises leaves nothing behind.
    """

    def __init__(self, names: Iterable[str]) -> None:
        """Hold the first of the names that is free; where none is, raise as `refuse_existing`. Raises OSError."""
        self._files: list[tuple[str, int]] = []  # name and descriptor; the last one's is the name that is held
        self._take(names)
        self._first = self.name

    @property
    def name(self) -> str:
        """The name that is held; after `release` the one that was asked for."""
        return self._files[-1][0] if self._files else self._first

    def claim(self) -> str:
        """Return the name for a file that replaces ours; where that is another's by now, one beside it, held anew."""
        if not self._is_ours(or_gone=True):
            self._take(names_beside(self._first))
        return self.name

    def release(self) -> None:
        """Let go of the name: an empty file of ours is removed. Twice is fine."""
        while self._files:
            if self._is_ours():
                with contextlib.suppress(OSError):
                    os.unlink(self.name)  # noqa: PTH108 - a text, as the user wrote it
            os.close(self._files.pop()[1])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def __del__(self) -> None:
        self.release()

    def _take(self, names: Iterable[str]) -> None:
        name = ""
        for name in names:
            try:
                # One call into C: no signal comes between the file and the note of it.
                self._files.extend(zip((name,), map(os.open, (name,), (_NEW,), (0o666,)), strict=True))
            except FileExistsError:
                continue
            except OSError as error:
                raise about_target(name, error) from error
            return
        raise _exists(name)

    def _is_ours(self, *, or_gone: bool = False) -> bool:
        name, file = self._files[-1]
        try:
            now = os.lstat(name)
        except OSError:
            return or_gone
        return os.path.samestat(now, os.fstat(file)) and not now.st_size


class HeldFile(Replacement):
    """A Replacement of a held name's empty file. Of another's file in that place nothing is lost: see `Held.claim`."""

    def __init__(self, held: Held) -> None:
        self._held = held
        super().__init__(held.name)

    def _rename(self, file: int, directory: int) -> None:
        self.redirect(self._held.claim())
        super()._rename(file, directory)


def tell_name(asked: str, name: str) -> None:
    """Tell a person where a file is that has not the name that was asked for, since another one has it by now."""
    if name != asked and os.path.lexists(name):
        complain(f"xshm: {printable(asked)} has appeared meanwhile, and was left alone; this is {printable(name)}")


def free_or_beside(name: str) -> Iterable[str]:
    """Yield the name, and then those beside it."""
    return chain((name,), names_beside(name))


def free_names(size: tuple[int, int], container: str) -> Iterable[str]:
    """Yield names by date, time and size, of which the first that is free is to be taken."""
    return dated_names(f"{size[0]}x{size[1]}", container)


def names_beside(name: str) -> Iterable[str]:
    """Yield names like this one, with the time before the suffix: of what is saved while a recording goes on."""
    directory, base = os.path.split(name)
    stem, suffix = os.path.splitext(base)  # noqa: PTH122 - as above
    for each in dated_names():
        room = _LONGEST - len(os.fsencode(f"_{each}{suffix}"))
        yield os.path.join(directory, f"{os.fsdecode(os.fsencode(stem)[:room])}_{each}{suffix}")  # noqa: PTH118 - as above
