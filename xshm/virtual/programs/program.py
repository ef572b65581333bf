"""A program on a virtual display: a subprocess.Popen in a process group of its own, which ends with the display.

Always true:

1. The supervisor has made the group before the program is started, so that it ends the program should this process be
   killed at any moment.
2. A descendant that leaves the group is found by the mark that all descendants of the program have (`descendants`).
3. The supervisor learns once that the program has ended, and keeps the group until it is empty.
4. Where the supervisor was killed, this process ends the program itself.
"""

from __future__ import annotations

import errno
import fcntl
import math
import os
import signal
import subprocess
import time
import warnings
from typing import TYPE_CHECKING, Any, Final, NoReturn

from xshm import _arguments
from xshm._signal_safety import Descriptor, Ignored, owned
from xshm.errors import (
    ConnectFailed,
    InvalidArgument,
    InvalidType,
    RequestTimeout,
    StartFailed,
    WaitTimeout,
    WindowGone,
    WindowNotFound,
    WindowNotViewable,
)
from xshm.system import limits
from xshm.system.deadlines import nearest, within
from xshm.system.polling import LONGEST
from xshm.system.printable import printable, quoted
from xshm.virtual.processes import command as commands
from xshm.virtual.processes import error_pipe, marked_fork, process_groups
from xshm.virtual.processes.descendants import Descendants, has_mark, with_mark
from xshm.virtual.programs import program_window
from xshm.virtual.programs.program_window import check_wait
from xshm.virtual.servers.control_socket import NoAnswer
from xshm.x11.windows.window_watch import WindowWatch

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

    from xshm.drawables.screen import Screen
    from xshm.image.frame import Frame
    from xshm.virtual.processes.command import Command
    from xshm.virtual.servers.server import SupervisedServer

_QUOTED_LINES: Final = 6
_QUOTED_BYTES: Final = 2000  # of the end of standard error
_PAUSE: Final = 0.05  # seconds until the next look for a window, where the last one was gone or off the screen
_GROUP_OPTIONS: Final = ("process_group", "start_new_session", "preexec_fn")


class Program(subprocess.Popen[Any]):
    """A running program. All of Popen's methods do what they do there; as a context manager it is ended on leaving.

    `window` is the X id of the window that `VirtualDisplay.launch` or `wait_window` has found last, None before that;
    `group` is the program's process group.
    """

    def __init__(
        self,
        supervision: SupervisedServer,
        connect: Callable[[], Screen],
        command: Command,
        environment: Mapping[str, str],
        options: dict[str, Any],
        *,
        keep_stderr: bool = False,
        before_failed_end: Callable[[BaseException], object] | None = None,
    ) -> None:
        taken = [name for name in _GROUP_OPTIONS if name in options]
        if taken:
            raise InvalidArgument(f"{', '.join(taken)} can't be given: the program's group is the display's to end")
        words = commands.split(command)
        if words[0] == "":
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), "")  # as execvp(3) does
        if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:  # then Popen would report each exit code as 0
            raise StartFailed(
                "SIGCHLD is ignored in this process, so the exit codes of its children are lost; call "
                "signal.signal(signal.SIGCHLD, signal.SIG_DFL) before a program is run"
            )
        # A group that is not the terminal's foreground is stopped when it reads from there.
        if "stdin" not in options:  # not subprocess.DEVNULL: Popen has that open without an owner for a moment
            options["stdin"] = owned(os.open, os.devnull, os.O_RDWR | os.O_CLOEXEC)
        self._stderr: Descriptor | None = None
        if keep_stderr and "stderr" not in options:
            # A file in memory: a pipe takes a thread that empties it, and Python warns of a fork beside threads.
            self._stderr = owned(os.memfd_create, "xshm-stderr", os.MFD_CLOEXEC)
            # A program that opens /dev/stderr truncates the file; without O_APPEND a hole of zeros would follow.
            fcntl.fcntl(self._stderr, fcntl.F_SETFL, os.O_APPEND)
            options["stderr"] = self._stderr
        self.window: int | None = None
        self._name = str(words[0])
        self._supervision = supervision
        self._connect = connect
        self._before_failed_end = before_failed_end  # called with what leaves `with`, while the windows are there
        self._is_reported = self._ended = False  # the supervisor has been sent the end (3); nothing is left to be ended
        self.group, self._mark = supervision.new_group()
        try:
            self._execute(words, env=with_mark(environment, self._mark), process_group=self.group, **options)
            marked_fork.mark(self.pid, self._mark)
        except BaseException:
            self._undo_start()
            raise

    # -- its window ----------------------------------------------------------------------------------------------------

    def wait_window(self, title: str | re.Pattern[str] | None = None, *, timeout: float = 10.0) -> int:
        """Wait until the program, or one that it has started, shows a window, and return the window's X id.

        With `title`, the whole of it or an expression that is found in it, wait until the window is called that:
        browsers show the title of their page. The window may still have to be painted. Raises WindowNotFound when
        `timeout` seconds are over, or the program ends before; RequestTimeout where that is longer than 30 s, and the
        server takes as long for one reply.
        """
        timeout = check_wait(title, timeout)
        deadline = nearest(time.monotonic() + min(float(timeout), LONGEST))
        silent = ""
        try:
            window = within(deadline, self._find_window, title, deadline)
        except RequestTimeout as error:
            if time.monotonic() < deadline:
                raise
            window, silent = None, f"; {error}"
        if window is None:
            what = program_window.describe(title)
            raise WindowNotFound(f"{self._name}, process {self.pid}, has shown no {what} within {timeout:g} s{silent}")
        return window

    def wait_painted(
        self, screen: Screen, title: str | re.Pattern[str] | None = None, *, timeout: float = 10.0
    ) -> Frame:
        """Wait as `wait_window` does, then until the window is painted and nothing was drawn in it for 0.2 s.

        Return the window's picture. A window of one colour counts as painted when it has stayed so for 2 s. `screen` is
        the display's. Raises WindowNotFound where the program ends before, with the last lines of its standard error;
        WaitTimeout when `timeout` seconds are over, with the screen's picture; RequestTimeout where the server does not
        even reply to that.
        """
        if not hasattr(screen, "grab"):
            raise InvalidType(f"screen is the display's Screen, not {type(screen).__name__}: {quoted(screen)}")
        timeout = check_wait(title, timeout)
        deadline = nearest(time.monotonic() + min(float(timeout), LONGEST))
        return within(deadline, self._wait_painted, screen, title, deadline, timeout)

    def _wait_painted(
        self, screen: Screen, title: str | re.Pattern[str] | None, deadline: float, timeout: float
    ) -> Frame:
        shown = f", has shown no {program_window.describe(title)} within"
        last: Frame | None = None
        while (window := self._find_window(title, deadline)) is not None:
            try:
                return program_window.wait_painted(screen, window, deadline)
            except (WindowGone, WindowNotViewable) as error:
                # A splash screen has gone; the program has ended, which the next look finds; it is off the screen.
                shown = f": {error}, after"
            except WaitTimeout as error:
                shown, last = f": its window {window:#x} {error} after", error.frame
                break
            if time.monotonic() >= deadline:
                break
            time.sleep(_PAUSE)
        over = f"{self._name}, process {self.pid}{shown} {timeout:g} s"
        try:
            last = screen.grab()
        except RequestTimeout as error:
            over = f"{over}; {error}"
            if last is None:
                raise RequestTimeout(over) from None
        raise WaitTimeout(over, frame=last)

    def _find_window(self, title: str | re.Pattern[str] | None, deadline: float) -> int | None:
        """Return the id of its window; None at the deadline. Raises WindowNotFound where the program has ended."""
        if self._living() is not None:
            with self._connect() as screen:
                watch = WindowWatch(screen._window_context())  # noqa: SLF001 - before the look, so that none is missed
                while (pid := self._living()) is not None:
                    for window in screen.windows():
                        if self._is_ours(window.pid) and program_window.is_called(window.title, title):
                            self.window = window.id
                            return window.id
                    if (
                        not program_window.wait_new_window(screen, watch, pid, deadline)
                        and time.monotonic() >= deadline
                    ):
                        return None
        what = program_window.describe(title)
        raise WindowNotFound(
            f"{self._name} ended with exit code {self.returncode} before it had a {what}{self._quoted_stderr()}"
        )

    def _living(self) -> int | None:
        """Return the process to wait for: the program, or, where that has ended with code 0, another of its group."""
        if self.poll() is None:
            return self.pid
        with limits.Explained(ConnectFailed, "the program's processes can't be looked for"):
            members = process_groups.members(self.group) if self.returncode == 0 else []
        return members[0] if members else None

    def _is_ours(self, pid: int | None) -> bool:
        try:
            return pid is not None and (
                os.getpgid(pid) == self.group or has_mark(pid, range(self._mark, self._mark + 1))
            )
        except ProcessLookupError:
            return False

    # -- its output and its end ----------------------------------------------------------------------------------------

    def said(self) -> str:
        """Return what the program has written to standard error; "" unless `launch` started it, and kept that."""
        if self._stderr is None:
            return ""
        return os.pread(self._stderr, os.fstat(self._stderr).st_size, 0).decode(errors="replace")

    def _quoted_stderr(self) -> str:
        """Return the last lines of its standard error as the end of a sentence."""
        if self._stderr is None:
            return ""
        begin = max(0, os.fstat(self._stderr).st_size - _QUOTED_BYTES)
        end = os.pread(self._stderr, _QUOTED_BYTES, begin).decode(errors="replace")
        lines = [printable(line.strip()) for line in end.splitlines() if line.strip()]
        return f"; it said: {'…' * (begin > 0)}{' | '.join(lines[-_QUOTED_LINES:])}" if lines else ""

    def poll(self) -> int | None:
        """Return the exit code if the program has ended, as Popen does."""
        return self._report_end(super().poll())

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the program to end and return its exit code, as Popen does."""
        if timeout is not None:
            timeout = _arguments.number(timeout, "a timeout is a number of seconds, or None")
            if math.isnan(timeout):  # Popen would wait without end
                raise InvalidArgument("a timeout is a number of seconds, or None; not nan")
        code = super().wait(timeout)
        self._report_end(code)
        return code

    def pass_on(self, number: int) -> None:
        """Send a signal to all of the program's group, and to the program where it has left that (setsid).

        Raises InvalidType, InvalidArgument for what is no signal's number.
        """
        number = _arguments.integer(number, "a signal is a number")
        if number not in signal.valid_signals():
            raise InvalidArgument(f"a signal is a number from 1 to {signal.NSIG - 1}, not {quoted(number)}")
        process_groups.signal_group(self.group, number)
        with Ignored(ProcessLookupError, PermissionError):
            if os.getpgid(self.pid) != self.group:
                self.send_signal(number)  # which signals no process that has ended

    def end(self) -> None:
        """End the program and all that it has started, daemons too: SIGTERM, and SIGKILL after two seconds.

        Return when they have ended. A process that SIGKILL has not ended after another second (it waits for a dead
        disk, say, or belongs to another user) is named in a ResourceWarning. Ending twice is fine.
        """
        if self._ended:
            self._reap("")
            return
        left = self._end_descendants()
        self._ended = not left
        self._reap(left)

    def reap(self) -> None:
        """Reap a program that was ended with the display, so that `returncode` is set."""
        self._is_reported = self._ended = True
        if self.poll() is None:  # its supervisor had been killed (4)
            self._reap(self._end_without_supervisor())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if error is not None and self._before_failed_end is not None:
                self._before_failed_end(error)
        finally:
            self.end()
        if self.returncode is None:  # it lives on, and Popen would wait for it
            for stream in filter(None, (self.stdin, self.stdout, self.stderr)):
                stream.close()
        else:
            super().__exit__(kind, error, traceback)

    def __reduce__(self) -> NoReturn:
        raise InvalidType("a Program is a child of this process; send its pid, or what it is to show, a Frame")

    def _end_descendants(self) -> str:
        """End all that descends from the program, and return what is left."""
        marked_fork.unmark(self._mark)
        try:
            return self._supervision.end_program(self._mark)
        except (StartFailed, NoAnswer):  # the supervisor was killed or stopped (4)
            return self._end_without_supervisor() if self._has_started else ""

    @property
    def _has_started(self) -> bool:
        return getattr(self, "pid", None) is not None

    def _end_without_supervisor(self) -> str:
        with limits.Explained(ConnectFailed, "the program's processes can't be looked for"):
            # Not reaped: its process id is its own, and so is its group's number.
            is_leading = self.poll() is None and os.getpgid(self.pid) == self.group
            marks, since = range(self._mark, self._mark + 1), process_groups.own_start()
            return ", ".join(Descendants(marks, {self.group} if is_leading else set(), since, os.getpid()).end())

    def _reap(self, left: str) -> None:
        """Reap the program, and warn of what is left."""
        try:
            self.wait(process_groups.ENDING)
        except subprocess.TimeoutExpired:
            # This may be a signal handler above a `wait` of Popen's that has this lock, and will reap the program.
            left = left or ("" if vars(self)["_waitpid_lock"].locked() else f"process {self.pid}")
        if left:
            warnings.warn(f"{self._name} could not be ended completely: {left} did not end", ResourceWarning, 3)

    def _report_end(self, code: int | None) -> int | None:
        """Send the supervisor the program's end, once (3)."""
        if code is not None and not self._is_reported:
            self._is_reported = True
            self._supervision.program_exited(self._mark)
        return code

    # -- the start -----------------------------------------------------------------------------------------------------

    def _execute(self, words: Sequence[str | os.PathLike[str]], *, env: Mapping[str, str], **options: Any) -> None:
        """Start the program as Popen does, and a script without "#!" by the shell."""
        before = dict(vars(self))
        try:
            super().__init__(words, env=env, **options)
        except OSError as error:
            by_shell = commands.by_the_shell(words, env, options) if error.errno == errno.ENOEXEC else None
            if by_shell is None:
                raise
            vars(self).clear()  # a Popen that failed has the numbers of descriptors that it has closed
            vars(self).update(before)
            super().__init__(by_shell, env=env, **options)

    def _execute_child(self, *arguments: Any) -> None:
        """Fork and execute as Popen does, with the mark."""
        execute = error_pipe.owning(super()._execute_child.__func__)  # type: ignore[misc]
        marked_fork.marking(self._mark, execute)(self, *arguments)

    def _undo_start(self) -> None:
        """End what was started before an exception: an interrupted Popen may not know of its process."""
        self._is_reported = self._ended = True
        left = self._end_descendants()
        if self._has_started:
            self._reap(left)
        with Ignored(ChildProcessError):
            os.waitid(os.P_PGID, self.group, os.WEXITED | os.WNOHANG)
