"""Targets whose file is open already: that of a held name, and one that gets its name at the end, if at all."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from xshm.cli.recording.destination import Held, HeldFile
from xshm.record.sinks.target import Target
from xshm.system.replacement import Replacement

if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextlib import ExitStack


class Withheld(Replacement):
    """A Replacement that gets its name by `keep` alone, if at all: `commit` and `close` of its writer are put off."""

    _is_over = True  # while it is made

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._is_over = self._is_worth_it = False

    @property
    def is_worth_it(self) -> bool:
        """Whether what is in it plays."""
        return self._is_worth_it

    def commit(self) -> None:
        """Note that what is in it plays."""
        self._is_worth_it = True

    def close(self) -> None:
        """Do nothing: it may be kept still."""

    def discard(self) -> None:
        """Do nothing, as above."""
        if self._is_over:
            super().discard()

    def keep(self) -> None:
        """Give it its name. Raises OSError with the file's name."""
        super().commit()

    def __exit__(self, *_: object) -> None:
        self._is_over = True
        super().close()


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedTarget(Target):
    """A file that is open already."""

    file: Replacement

    def open(self, timeout: float = 0.0) -> Replacement:  # noqa: ARG002 - as a Target's
        """Return the file."""
        return self.file


def opened(target: Target, file: Replacement) -> OpenedTarget:
    """Return a target as one whose file is open already."""
    return OpenedTarget(**{each.name: getattr(target, each.name) for each in fields(target)}, file=file)


def hold(names: Iterable[str], container: str, stack: ExitStack) -> tuple[Held, OpenedTarget]:
    """Hold a name as long as the stack is open; return it, and the target whose file takes its place."""
    held = stack.enter_context(Held(names))
    file = stack.enter_context(HeldFile(held))
    return held, opened(Target.parse(held.name, container), file)
