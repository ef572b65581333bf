"""The recording of `xshm run`: of its display, from before the command starts until it has ended.

1. It is begun, or refused, before the command starts: a server that refuses the connection, a codec that is not there.
2. A recording that is for a failure alone has no name until there is one: a success, a command that can't be started,
   which shows nothing, and a kill of the whole leave nothing.
3. What ends it early, a full disk say, ends nothing else. It is said at the end, where a command that has failed keeps
   its exit code; of a recording that is for a failure alone it is of no interest where there is none.
4. A failure's recording is not lost for its name: where a file of that name has appeared meanwhile, it gets one beside.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Self

from xshm.cli.recording.destination import Held, free_or_beside, parse, tell_name
from xshm.cli.recording.opened import Withheld, hold, opened
from xshm.errors import InvalidArgument, XshmError
from xshm.record.recorder import Recorder
from xshm.record.sinks.settings import Settings

if TYPE_CHECKING:
    import argparse

    from xshm.record.sinks.target import Target
    from xshm.virtual.display import VirtualDisplay
    from xshm.virtual.programs.program import Program

_FPS = 30.0


def check(args: argparse.Namespace, *, has_command: bool) -> Target:
    """Return what is to be recorded to; refuse what can't be, before anything is started. Raises InvalidArgument."""
    if args.record is not None and args.record_on_failure is not None:
        raise InvalidArgument("--record keeps the recording of a failure, too; leave --record-on-failure out")
    target = parse(args.record or args.record_on_failure, None, overwrite=args.overwrite)
    if target.kind == "descriptor":
        raise InvalidArgument(f"{target.name} is the command's own; name a file to record to")
    if args.record_on_failure is not None:
        if not has_command:
            raise InvalidArgument("--record-on-failure is about a command; name one after --")
        if target.kind != "file":
            raise InvalidArgument(f"--record-on-failure names a file, which can be left out; {target.name} is none")
    return target


class RunRecording:
    """A recording of a display that is going on; a context manager, which keeps it unless `finish` said otherwise."""

    def __init__(self, display: VirtualDisplay, target: Target, args: argparse.Namespace) -> None:
        self._opened = contextlib.ExitStack()
        self._asked = target.path
        self._held: Held | None = None
        self._withheld: Withheld | None = None
        self._overwrite = bool(args.overwrite)
        self._over = False
        settings = Settings(fps=_FPS if args.framerate is None else args.framerate)
        try:
            if args.record_on_failure is not None:
                self._withheld = self._opened.enter_context(Withheld(target.path))
                target = opened(target, self._withheld)
            elif target.kind == "file" and not args.overwrite:
                self._held, target = hold([target.path], target.container, self._opened)
            self._recorder = Recorder(display.screen, target, None, settings)
            self._recorder.start()
        except BaseException:
            self._opened.close()
            raise

    def started(self, program: Program) -> None:
        """Do nothing: it began before."""

    def drop_if_for_failures(self) -> None:
        """End it without a file if it is for a failure alone."""
        if self._withheld is not None:
            self.finish(0)

    def finish(self, code: int) -> None:
        """End it, and keep it if it is to be kept. Raises what has ended it before, or keeps it from being kept."""
        if self._over:
            return
        self._over = True
        with self._opened:
            if self._withheld is not None and not code:
                with contextlib.suppress(OSError, XshmError):
                    self._recorder.stop()
                return
            try:
                self._recorder.stop()
            finally:
                if self._withheld is not None and self._withheld.is_worth_it:
                    self._keep(self._withheld)
                if self._held is not None:
                    tell_name(self._asked, self._held.name)

    def _keep(self, file: Withheld) -> None:
        if self._overwrite:
            file.keep()
            return
        with Held(free_or_beside(self._asked)) as held:
            file.redirect(held.name)
            file.keep()
            tell_name(self._asked, held.name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.finish(1)
