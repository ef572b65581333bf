"""A program on a virtual display: a subprocess.Popen in a process group of its own, which ends with the display.

The group exists before the program does, so there is no moment at which the program runs and is not looked after.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import subprocess
import time
from typing import TYPE_CHECKING, Any, Final, NoReturn

from xshm import checks, process_groups
from xshm.errors import InvalidArgument, InvalidType, WindowNotFound
from xshm.x11.arrivals import Arrivals

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

    from xshm.screen import Screen
    from xshm.supervision import Supervision

    Command = str | Sequence[str | os.PathLike[str]]

_LONGEST: Final = 1_000_000  # seconds that poll(2) can count, with room to spare
_GROUP_OPTIONS = ("process_group", "start_new_session", "preexec_fn")


class Program(subprocess.Popen[Any]):
    """A running program. All of Popen's methods do what they do there; as a context manager it is ended on leaving."""

    def __init__(
        self,
        supervision: Supervision,
        connect: Callable[[], Screen],
        command: Command,
        environment: Mapping[str, str],
        options: dict[str, Any],
    ) -> None:
        taken = [name for name in _GROUP_OPTIONS if name in options]
        if taken:
            raise InvalidArgument(f"{', '.join(taken)} can't be given: the program's group is the display's to end")
        words = shlex.split(command) if isinstance(command, str) else list(command)
        if not words:
            raise InvalidArgument("the command is empty; name a program to run")
        # A group that is not the terminal's foreground is stopped when it reads from there.
        options.setdefault("stdin", subprocess.DEVNULL)
        self._name = str(words[0])
        self._supervision = supervision
        self._connect = connect
        self._left = self._ended = False
        self.group = supervision.new_group()
        try:
            super().__init__(words, env=environment, process_group=self.group, **options)
        except BaseException:
            supervision.left(self.group)
            raise

    def poll(self) -> int | None:
        """Return the exit code if the program has ended, as Popen has it."""
        return self._note(super().poll())

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the program to end and return its exit code, as Popen has it."""
        code = super().wait(timeout)
        self._note(code)
        return code

    def wait_window(self, title: str | re.Pattern[str] | None = None, *, timeout: float = 10.0) -> int:
        """Wait until the program, or one that it started, shows a window, and return the window's X id.

        With `title`, the whole of it or an expression that is found in it, until the window is called that: browsers
        show the title of their page. What is in the window may still have to be drawn. Raises WindowNotFound when the
        time (in seconds) is over, or the program ends before.
        """
        _check_wait(title, timeout)
        deadline = time.monotonic() + min(float(timeout), _LONGEST)
        if self.poll() is None:
            pidfd = os.pidfd_open(self.pid)
            try:
                with self._connect() as screen:
                    arrivals = Arrivals(screen.connection)
                    while True:
                        for window in screen.windows():
                            if self._is_ours(window.pid) and _is_called(window.title, title):
                                return window.id
                        if not arrivals.wait(pidfd, deadline):
                            break
            finally:
                os.close(pidfd)
        wanted = "window" if title is None else f"window called {title if isinstance(title, str) else title.pattern!r}"
        if self.poll() is not None:
            raise WindowNotFound(f"{self._name} ended with exit code {self.returncode} before it had a {wanted}")
        raise WindowNotFound(f"{self._name}, process {self.pid}, has shown no {wanted} within {timeout:g} s")

    def end(self) -> None:
        """End the program and all of its group: by TERM, after two seconds by KILL. Ending twice is fine."""
        if not self._ended:
            self._supervision.stop(self.group)
            self._ended = True
        self.wait()

    def bury(self) -> None:
        """Take note of the exit code of a program whose group was ended with the display."""
        self._left = self._ended = True
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                if os.getpgid(self.pid) == self.group:  # nobody ended it: its supervisor had been killed
                    process_groups.end({self.group})
            self.wait()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.end()
        super().__exit__(kind, error, traceback)

    def __reduce__(self) -> NoReturn:
        raise InvalidType("a Program is a child of this process; send its pid, or what it is to show, a Frame")

    def _note(self, code: int | None) -> int | None:
        """Tell the supervisor of the end, once: a group that nobody is in need not be kept."""
        if code is not None and not self._left:
            self._left = True
            self._supervision.left(self.group)
        return code

    def _is_ours(self, pid: int | None) -> bool:
        try:
            return pid is not None and os.getpgid(pid) == self.group
        except ProcessLookupError:
            return False


def _check_wait(title: object, timeout: object) -> None:
    checks.number(timeout, "a timeout is a number of seconds")
    if not (title is None or isinstance(title, str | re.Pattern)):
        raise InvalidType(f"a title is a text or a compiled expression, not {type(title).__name__}: {title!r}")


def _is_called(title: str, wanted: str | re.Pattern[str] | None) -> bool:
    if isinstance(wanted, str):
        return title == wanted
    return wanted is None or wanted.search(title) is not None
