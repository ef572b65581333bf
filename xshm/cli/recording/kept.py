"""What a run keeps of its display: a recording, a trace, both or none; each from before its command until its end."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from xshm.virtual.display import VirtualDisplay
    from xshm.virtual.programs.program import Program


class Keeper(Protocol):
    """A recording or a trace that is going on; a context manager, which keeps it unless `finish` said otherwise."""

    def started(self, program: Program) -> None:
        """Take note that the command has started."""

    def drop_if_for_failures(self) -> None:
        """End it without a file if it is for a failure alone."""

    def finish(self, code: int) -> None:
        """End it, and keep it if it is to be kept. Raises what has ended it before, or keeps it from being kept."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


class Keepers:
    """All that is kept of one run; a context manager. Where one can't be begun, those before it are ended."""

    def __init__(self, display: VirtualDisplay, makers: Iterable[Callable[[VirtualDisplay], Keeper]]) -> None:
        self._keepers: list[Keeper] = []
        with contextlib.ExitStack() as opened:
            try:
                for make in makers:
                    self._keepers.append(opened.enter_context(make(display)))
            except BaseException:
                self.drop_if_for_failures()
                raise
            self._opened = opened.pop_all()

    def started(self, program: Program) -> None:
        """Take note that the command has started."""
        for each in self._keepers:
            each.started(program)

    def drop_if_for_failures(self) -> None:
        """End those without a file that are for a failure alone."""
        for each in self._keepers:
            each.drop_if_for_failures()

    def finish(self, code: int) -> None:
        """End all of them, each though another one fails; raise what one of them raises."""
        with contextlib.ExitStack() as ends:
            for each in self._keepers:
                ends.callback(each.finish, code)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._opened.__exit__(*error)  # type: ignore[arg-type]
