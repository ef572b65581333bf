"""The recording of `xshm run`: of its display, from before the command starts until it has ended.

1. It is begun, or refused, before the command starts: a server that refuses the connection, a codec that is not there.
2. A recording that is for a failure alone has no name until there is one: a success, a command that can't be started,
   which shows nothing, and a kill of the whole leave nothing.
3. What ends it early, a full disk say, ends nothing else. It is said at the end, where a command that has failed keeps
   its exit code.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Self

from xshm.cli.recording.destination import Held, parse, refuse_existing
from xshm.errors import InvalidArgument, XshmError
from xshm.record.recorder import Recorder
from xshm.record.sinks.settings import Settings
from xshm.record.sinks.target import Target
from xshm.system.replacement import Replacement

if TYPE_CHECKING:
    import argparse

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
        self._withheld: Withheld | None = None
        self._overwrite = bool(args.overwrite)
        self._over = False
        settings = Settings(fps=_FPS if args.framerate is None else args.framerate)
        try:
            if args.record_on_failure is not None:
                self._withheld = self._opened.enter_context(Withheld(target.path))
                target = _late(target, self._withheld)
            elif target.kind == "file" and not args.overwrite:
                self._opened.enter_context(Held([target.path]))
            self._recorder = Recorder(display.screen, target, None, settings)
            self._recorder.start()
        except BaseException:
            self._opened.close()
            raise

    def started(self, program: Program) -> None:
        """Do nothing: it began before."""

    def drop_if_for_failures(self) -> None:
        """End it without a file if it is for a failure alone; what has ended it before is of no interest then."""
        if self._withheld is not None:
            with contextlib.suppress(OSError, XshmError):
                self.finish(0)

    def finish(self, code: int) -> None:
        """End it, and keep it if it is to be kept. Raises what has ended it before, or keeps it from being kept."""
        if self._over:
            return
        self._over = True
        with self._opened:
            try:
                self._recorder.stop()
            finally:
                if code and self._withheld is not None:
                    if not self._overwrite:
                        refuse_existing(self._withheld.name)
                    self._withheld.keep()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.finish(1)


class Withheld(Replacement):
    """A Replacement that gets its name by `keep` alone, if at all: `commit` and `close` of its writer are put off."""

    _is_over = True  # while it is made

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._is_over = self._is_worth_it = False

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
        """Give it its name, if what is in it plays. Raises OSError with the file's name."""
        if self._is_worth_it:
            super().commit()

    def __exit__(self, *_: object) -> None:
        self._is_over = True
        super().close()


def _late(target: Target, file: Withheld) -> Target:
    """Return the target as one whose file is open already."""
    return _Late(**{each.name: getattr(target, each.name) for each in fields(target)}, file=file)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Late(Target):
    """A file that is open already."""

    file: Withheld

    def open(self, timeout: float = 0.0) -> Withheld:  # noqa: ARG002 - as a Target's
        """Return the file."""
        return self.file
