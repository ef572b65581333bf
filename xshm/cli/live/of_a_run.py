"""The live view of `xshm run --live`: of its display, from before the command starts until it has ended."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any, Self

from xshm.cli.standard_streams import complain
from xshm.system.printable import printable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from xshm.virtual.display import VirtualDisplay
    from xshm.virtual.programs.program import Program


def choices(args: argparse.Namespace, command: list[str]) -> dict[str, Any]:
    """Return how `xshm run` is to be shown, as `live` takes it."""
    words = printable(shlex.join(command))  # an argument may be no text
    return {"port": args.port or 0} | ({"title": words} if command else {})


class RunLive:
    """A live view of a run; a context manager. Its link is printed on standard error: the output is the command's."""

    def __init__(self, display: VirtualDisplay, choices: Mapping[str, Any]) -> None:
        self._live = display.live(**choices)
        self._live.start()
        complain(f"xshm: live at {self._live.url}")

    def started(self, program: Program) -> None:
        """Do nothing: it began before."""

    def drop_if_for_failures(self) -> None:
        """Do nothing: it is for all runs."""

    def finish(self, code: int) -> None:  # noqa: ARG002 - a Keeper's
        """End it."""
        self._live.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()
