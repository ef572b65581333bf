"""The recording of `xshm run`: of its display, from before the command starts until it has ended.

1. It is begun, or refused, before the command starts: a server that refuses the connection, a codec that is not there.
2. A recording that is for a failure alone has no name until there is one: a success, and a kill of the whole, leave
   nothing.
3. What ends it early, a full disk say, ends nothing else. It is said at the end, where a command that has failed keeps
   its exit code.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Self

from xshm.cli.recording.destination import STANDARD_OUTPUT, Held, is_new, is_url, refuse_existing
from xshm.errors import InvalidArgument
from xshm.system.replacement import Replacement

if TYPE_CHECKING:
    import argparse

    from xshm.virtual.display import VirtualDisplay


def check(args: argparse.Namespace, *, has_command: bool) -> None:
    """Refuse what can't be recorded, before anything is started. Raises InvalidArgument."""
    if args.record is None and args.record_on_failure is None:
        for flag, given in (("--framerate", args.framerate is not None), ("--overwrite", args.overwrite)):
            if given:
                raise InvalidArgument(f"{flag} is about a recording; name its file with --record")
        return
    if args.record is not None and args.record_on_failure is not None:
        raise InvalidArgument("--record keeps the recording of a failure, too; leave --record-on-failure out")
    if args.record_on_failure is not None:
        if not has_command:
            raise InvalidArgument("--record-on-failure is about a command; name one after --")
        if is_url(args.record_on_failure):
            raise InvalidArgument("--record-on-failure writes at the end, and only then; name a file")
    if STANDARD_OUTPUT in (args.record, args.record_on_failure):
        raise InvalidArgument("standard output is the command's own; name a file to record to")
    if not args.overwrite:
        refuse_existing(args.record or args.record_on_failure)


class RunRecording:
    """A recording of a display that is going on; a context manager, which keeps it unless `finish` said otherwise."""

    def __init__(self, display: VirtualDisplay, args: argparse.Namespace) -> None:
        self._opened = contextlib.ExitStack()
        self._replacement: Replacement | None = None
        self._overwrite = bool(args.overwrite)
        self._over = False
        try:
            target, container = self._target(args)
            fps = 30.0 if args.framerate is None else args.framerate
            self._recorder = display.record(target, fps=fps, format=container, cursor=True)
            self._recorder.start()
        except BaseException:
            self._opened.close()
            raise

    def finish(self, code: int) -> None:
        """End it, and keep it if it is to be kept. Raises what has ended it before, or keeps it from being kept."""
        if self._over:
            return
        self._over = True
        with self._opened:
            try:
                self._recorder.stop()
            finally:
                if code and self._replacement is not None and self._recorder.frames:
                    if not self._overwrite:
                        refuse_existing(self._replacement.name)
                    self._replacement.commit()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.finish(1)

    def _target(self, args: argparse.Namespace) -> tuple[str, str | None]:
        """Return what to record to, and its container where the name does not tell."""
        if args.record is not None:
            if not args.overwrite and is_new(args.record):
                self._opened.enter_context(Held([args.record]))
            return args.record, None
        name: str = args.record_on_failure
        self._replacement = self._opened.enter_context(Replacement(name))
        container = os.path.splitext(name)[1].removeprefix(".")  # noqa: PTH122 - a text, as the user wrote it
        return f"/proc/self/fd/{self._replacement.descriptor}", container
