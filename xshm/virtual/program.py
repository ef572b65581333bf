"""A program on a virtual display: a subprocess.Popen in a process group of its own, which ends with the display.

The group exists before the program does, so there is no moment at which the program runs and is not looked after. What
leaves the group is known by the marks that all of the program's descendants carry (descendants.py).
"""

from __future__ import annotations

import errno
import fcntl
import math
import os
import re
import shlex
import signal
import subprocess
import time
import warnings
from typing import TYPE_CHECKING, Any, Final, NoReturn

from xshm import _arguments
from xshm._signal_safety import Descriptor, owned
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
from xshm.system.kernel_errors import Ignored, is_a_handlers
from xshm.system.printable import printable, quoted
from xshm.virtual.painted import wait_painted
from xshm.virtual.processes import marked_start, process_groups
from xshm.virtual.processes.descendants import Descendants, carries, marked
from xshm.virtual.processes.shell_script import by_the_shell
from xshm.virtual.servers.server import NotInTime, SupervisedServer
from xshm.x11.windows.new_windows import NewWindowWatch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

    from xshm.drawables.screen import Screen
    from xshm.image.frame import Frame

    Command = str | Sequence[str | os.PathLike[str]]

_LONGEST: Final = 1_000_000  # seconds that poll(2) can count, with room to spare
_TOLD_LINES: Final = 6
_TOLD_BYTES: Final = 2000  # of the end of what was said
_PAUSE: Final = 0.05  # seconds, after which a window that can't be looked at is looked at again
_A_COMMAND: Final = "a command is a list of words, or a text that is split into words"
_GROUP_OPTIONS = ("process_group", "start_new_session", "preexec_fn")


class Program(subprocess.Popen[Any]):
    """A running program. All of Popen's methods do what they do there; as a context manager it is ended on leaving.

    `window` is the X id of the window that `VirtualDisplay.launch` or `wait_window` has found last, None before that.
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
    ) -> None:
        taken = [name for name in _GROUP_OPTIONS if name in options]
        if taken:
            raise InvalidArgument(f"{', '.join(taken)} can't be given: the program's group is the display's to end")
        words = _words(command)
        if words[0] == "":
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), "")  # as execvp(3) has it
        _check_exit_codes()
        # A group that is not the terminal's foreground is stopped when it reads from there.
        if "stdin" not in options:  # not subprocess.DEVNULL, which Popen has open without an owner for a moment
            options["stdin"] = owned(os.open, os.devnull, os.O_RDWR | os.O_CLOEXEC)
        self._stderr: Descriptor | None = None
        if keep_stderr and "stderr" not in options:
            # A file in memory: a pipe would want a thread to empty it, and fork warns of threads.
            self._stderr = owned(os.memfd_create, "xshm-stderr", os.MFD_CLOEXEC)
            # So that no hole of zeros follows where the program opens /dev/stderr, which empties the file.
            fcntl.fcntl(self._stderr, fcntl.F_SETFL, os.O_APPEND)
            options["stderr"] = self._stderr
        self.window: int | None = None
        self._name = str(words[0])
        self._supervision = supervision
        self._connect = connect
        self._left = self._ended = False
        self._pidfd: Descriptor | None = None
        self.group, self._mark = supervision.new_group()
        try:
            self._execute(words, env=marked(environment, self._mark), process_group=self.group, **options)
            self._make_known()
        except BaseException:
            self._undo()
            raise

    def _make_known(self) -> None:
        """Tell the supervisor which process is the program itself; without, the marks have to do."""
        marked_start.mark(self.pid, self._mark)
        with Ignored(OSError):
            self._pidfd = owned(os.pidfd_open, self.pid)
            self._supervision.started(self._mark, self.pid, self._pidfd)

    def _undo(self) -> None:
        """End what was started before something was raised: interrupted, a Popen may not even know of it."""
        self._left = self._ended = True
        has_started = getattr(self, "pid", None) is not None
        try:
            left = self._supervision.stop(self._mark)
        except (StartFailed, NotInTime):  # somebody killed or stopped the supervisor
            left = self._end_alone() if has_started else ""
        if has_started:
            self._bury(left)
        with Ignored(ChildProcessError):
            os.waitid(os.P_PGID, self.group, os.WEXITED | os.WNOHANG)

    def _execute(self, words: Sequence[str | os.PathLike[str]], *, env: Mapping[str, str], **options: Any) -> None:
        """Start the program as Popen does, and a script without "#!" by the shell."""
        before = dict(vars(self))
        try:
            super().__init__(words, env=env, **options)
        except OSError as error:
            by_shell = by_the_shell(words, env, options) if error.errno == errno.ENOEXEC else None
            if by_shell is None:
                raise
            vars(self).clear()  # a Popen that failed still has the numbers of descriptors that it has closed
            vars(self).update(before)
            super().__init__(by_shell, env=env, **options)

    def _execute_child(self, *arguments: Any) -> None:
        """Fork and execute as Popen does, under the mark."""
        marked_start.under(self._mark, super()._execute_child.__func__)(self, *arguments)  # type: ignore[misc]

    def poll(self) -> int | None:
        """Return the exit code if the program has ended, as Popen has it."""
        return self._note(super().poll())

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the program to end and return its exit code, as Popen has it."""
        if timeout is not None:
            timeout = _arguments.number(timeout, "a timeout is a number of seconds, or None")
            if math.isnan(timeout):  # which would be waited for without end
                raise InvalidArgument("a timeout is a number of seconds, or None; not nan")
        code = super().wait(timeout)
        self._note(code)
        return code

    def wait_window(self, title: str | re.Pattern[str] | None = None, *, timeout: float = 10.0) -> int:
        """Wait until the program, or one that it started, shows a window, and return the window's X id.

        With `title`, the whole of it or an expression that is found in it, until the window is called that: browsers
        show the title of their page. What is in the window may still have to be drawn. Raises WindowNotFound when the
        time (in seconds) is over, or the program ends before; RequestTimeout where that is longer than 30 s, and the
        server takes as long for one answer.
        """
        timeout = check_wait(title, timeout)
        deadline = nearest(time.monotonic() + min(float(timeout), _LONGEST))
        silent = ""
        try:
            window = within(deadline, self._find_window, title, deadline)
        except RequestTimeout as error:
            if time.monotonic() < deadline:
                raise
            window, silent = None, f"; {error}"
        if window is None:
            raise WindowNotFound(
                f"{self._name}, process {self.pid}, has shown no {_described(title)} within {timeout:g} s{silent}"
            )
        return window

    def wait_painted(
        self, screen: Screen, title: str | re.Pattern[str] | None = None, *, timeout: float = 10.0
    ) -> Frame:
        """Wait as `wait_window` does, and then until the window is painted and nothing was drawn in it for 0.2 s.

        Return the window's picture. A window of one colour counts as painted when it has stayed so for 2 s. `screen` is
        the display's. Raises WindowNotFound where the program ends before, with the last lines of its standard error;
        WaitTimeout when the time (in seconds) is over, with what the screen shows; RequestTimeout where the server does
        not answer even that.
        """
        if not hasattr(screen, "grab"):
            raise InvalidType(f"screen is the display's Screen, not {type(screen).__name__}: {quoted(screen)}")
        timeout = check_wait(title, timeout)
        deadline = nearest(time.monotonic() + min(float(timeout), _LONGEST))
        return within(deadline, self._wait_painted, screen, title, deadline, timeout)

    def said(self) -> str:
        """Return what it has written to standard error so far; "" unless `launch` started it, and kept that."""
        if self._stderr is None:
            return ""
        return os.pread(self._stderr, os.fstat(self._stderr).st_size, 0).decode(errors="replace")

    def _wait_painted(
        self, screen: Screen, title: str | re.Pattern[str] | None, deadline: float, timeout: float
    ) -> Frame:
        shown = f", has shown no {_described(title)} within"
        last: Frame | None = None
        while (window := self._find_window(title, deadline)) is not None:
            try:
                return wait_painted(screen, window, deadline)
            except (WindowGone, WindowNotViewable) as error:
                # A splash screen, the program's end, which the next look tells, or a window that is off the screen.
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
        """Return the id of its window; None when the deadline has passed. Raises WindowNotFound where it has ended."""
        if self._living() is not None:
            with self._connect() as screen:
                arrivals = NewWindowWatch(screen.connection)
                while (pid := self._living()) is not None:
                    window = self._shown(screen, title)
                    if window is not None:
                        return window
                    if not self._wait_arrival(arrivals, pid, deadline) and time.monotonic() >= deadline:
                        return None
        raise WindowNotFound(
            f"{self._name} ended with exit code {self.returncode} before it had a {_described(title)}{self._told()}"
        )

    def _living(self) -> int | None:
        """Return the process to wait for: the program, or, where that has ended well, one that it left in its group."""
        if self.poll() is None:
            return self.pid
        with limits.Named(ConnectFailed, "the program's processes can't be looked for"):
            members = process_groups.members({self.group}) if self.returncode == 0 else []
        return members[0] if members else None

    def _shown(self, screen: Screen, title: str | re.Pattern[str] | None) -> int | None:
        for window in screen.windows():
            if self._is_ours(window.pid) and _is_called(window.title, title):
                self.window = window.id
                return window.id
        return None

    def _wait_arrival(self, arrivals: NewWindowWatch, pid: int, deadline: float) -> bool:
        """Wait for a window that comes; False at the deadline, or when the process has ended."""
        try:
            with limits.Named(ConnectFailed, f"the process {pid} can't be waited for"):
                pidfd = owned(os.pidfd_open, pid)
        except ProcessLookupError:
            return False
        return arrivals.wait(pidfd, deadline)

    def _told(self) -> str:
        """Return the last lines of its standard error as the end of a sentence."""
        if self._stderr is None:
            return ""
        begin = max(0, os.fstat(self._stderr).st_size - _TOLD_BYTES)
        end = os.pread(self._stderr, _TOLD_BYTES, begin).decode(errors="replace")
        lines = [printable(line.strip()) for line in end.splitlines() if line.strip()]
        return f"; it said: {'…' * (begin > 0)}{' | '.join(lines[-_TOLD_LINES:])}" if lines else ""

    def pass_on(self, number: int) -> None:
        """Send a signal to all of the program's group, and to the program where it has left that (setsid).

        Raises InvalidType, InvalidArgument for what is no signal's number.
        """
        number = _arguments.whole(number, "a signal is a number")
        if number not in signal.valid_signals():
            raise InvalidArgument(f"a signal is a number from 1 to {signal.NSIG - 1}, not {quoted(number)}")
        pidfd = self._pidfd  # held, should the end be noted meanwhile
        process_groups.signal_group(self.group, number)
        with Ignored(ProcessLookupError, PermissionError):
            if pidfd is not None and os.getpgid(self.pid) != self.group:
                signal.pidfd_send_signal(pidfd, number)

    def end(self) -> None:
        """End the program and all that it started, daemons too: by TERM, after two seconds by KILL.

        Returns when they have ended. What a KILL has not ended after another second (it waits for a dead disk, say, or
        belongs to another user) is named in a ResourceWarning. Ending twice is fine.
        """
        if self._ended:
            self._bury("")
            return
        try:
            left = self._supervision.stop(self._mark)
        except (StartFailed, NotInTime):  # somebody killed or stopped the supervisor
            left = self._end_alone()
        self._ended = not left
        self._bury(left)

    def bury(self) -> None:
        """Take note of the exit code of a program that was ended with the display."""
        self._left = self._ended = True
        if self.poll() is None:  # nobody ended it: its supervisor had been killed
            self._bury(self._end_alone())

    def _end_alone(self) -> str:
        """End what descends from it without the supervisor, and return what is left."""
        with limits.Named(ConnectFailed, "the program's processes can't be looked for"):
            return self._end_descendants()

    def _end_descendants(self) -> str:
        groups, held, ourselves = set(), {}, process_groups.process(os.getpid())
        if self.poll() is None:  # so the number is its own, and its group's
            if os.getpgid(self.pid) == self.group:
                groups.add(self.group)
            if self._pidfd is not None:
                held[self.pid] = int(self._pidfd)
        marks = range(self._mark, self._mark + 1)
        since = ourselves.start if ourselves else 0
        return ", ".join(Descendants(marks, groups, held, since, os.getpid()).end())

    def _bury(self, left: str) -> None:
        """Take note of the exit code, and warn of what is left."""
        try:
            self.wait(process_groups.ENDING)
        except subprocess.TimeoutExpired:
            # Where a `wait` of Popen's holds this lock (we are in a signal handler above it), that takes note.
            left = left or ("" if vars(self)["_waitpid_lock"].locked() else f"process {self.pid}")
        if left:
            warnings.warn(f"{self._name} could not be ended completely: {left} did not end", ResourceWarning, 3)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.end()
        if self.returncode is None:  # it can't be waited for
            for stream in filter(None, (self.stdin, self.stdout, self.stderr)):
                stream.close()
        else:
            super().__exit__(kind, error, traceback)

    def __reduce__(self) -> NoReturn:
        raise InvalidType("a Program is a child of this process; send its pid, or what it is to show, a Frame")

    def _note(self, code: int | None) -> int | None:
        """Tell the supervisor of the end, once: a group that nobody is in need not be kept."""
        if code is not None and not self._left:
            self._left = True
            self._pidfd = None
            self._supervision.left(self._mark)
        return code

    def _is_ours(self, pid: int | None) -> bool:
        try:
            return pid is not None and (
                os.getpgid(pid) == self.group or carries(pid, range(self._mark, self._mark + 1))
            )
        except ProcessLookupError:
            return False


def _check_exit_codes() -> None:
    """Raise StartFailed where the kernel would throw the program's exit code away; Popen would call it 0."""
    if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:
        raise StartFailed(
            "SIGCHLD is ignored in this process, so the exit codes of its children are lost; call "
            "signal.signal(signal.SIGCHLD, signal.SIG_DFL) before a program is run"
        )


def _words(command: object) -> list[str | os.PathLike[str]]:
    """Return a command as a list of words. Raises InvalidType, InvalidArgument."""
    if isinstance(command, bytes | os.PathLike):
        raise InvalidType(f"{_A_COMMAND}, not {type(command).__name__}: {quoted(command)}")
    try:
        words: list[Any] = shlex.split(command) if isinstance(command, str) else _arguments.several(command, _A_COMMAND)
    except ValueError as error:
        if is_a_handlers(error, "shlex"):
            raise
        raise InvalidArgument(f"the command {quoted(command)} can't be split: {error}; give a list of words") from None
    if not words:
        raise InvalidArgument("the command is empty; name a program to run")
    for word in words:
        _arguments.word(word, "a word of a command is a text or a path", "which no program can be given")
    return words


def check_wait(title: object, timeout: object) -> float:
    """Return the timeout; raise where one of the two is none to wait for a window with."""
    seconds = _arguments.number(timeout, "a timeout is a number of seconds")
    if not seconds >= 0:
        raise InvalidArgument(f"a timeout is 0 seconds or more, not {quoted(timeout)}")
    if not (title is None or isinstance(title, str | re.Pattern)):
        raise InvalidType(f"a title is a text or a compiled expression, not {type(title).__name__}: {quoted(title)}")
    return seconds


def _is_called(title: str, wanted: str | re.Pattern[str] | None) -> bool:
    if isinstance(wanted, str):
        return title == wanted
    return wanted is None or wanted.search(title) is not None


def _described(wanted: str | re.Pattern[str] | None) -> str:
    if wanted is None:
        return "window"
    return f"window called {quoted(wanted if isinstance(wanted, str) else wanted.pattern)}"
