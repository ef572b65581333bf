"""VirtualDisplay: an Xvfb that is ready when you get it and gone when you let go.

Gone are then the server, every program that was run on it, and every file and segment, also when this process is killed
in the middle; what is left where everything was killed at once (out of memory, a container's end) goes when the next
display starts. Any number of displays can be started at once, from threads and processes. Only its owner can end one: a
forked child has no part in it.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn, Self

from xshm import _arguments
from xshm._signal_safety import Descriptor, owned
from xshm.drawables.screen import Screen
from xshm.errors import (
    Closed,
    ConnectFailed,
    InvalidArgument,
    InvalidType,
    StartFailed,
    TransportUnavailable,
    WaitTimeout,
)
from xshm.system import limits
from xshm.system.deadlines import PATIENCE, within
from xshm.system.kernel_errors import is_the_kernels
from xshm.system.printable import quoted
from xshm.virtual import find_framebuffer, start
from xshm.virtual.processes import process_groups
from xshm.virtual.program import Program, check_wait
from xshm.virtual.servers.server import SupervisedServer
from xshm.virtual.servers.server_log import open_log
from xshm.virtual.spec import AuthorityFile, DisplaySpec, as_tuple
from xshm.x11 import xauthority as xauth
from xshm.x11.display_name import DisplayName

if TYPE_CHECKING:
    import re
    from collections.abc import Iterator, Sequence

    from xshm.virtual.framebuffer import Framebuffer
    from xshm.virtual.program import Command
    from xshm.virtual.servers.server_log import ServerLog
    from xshm.virtual.spec import FramebufferKind, ScreenSpec
    from xshm.x11.display_name import Name

# What would lead a toolkit to another display than the one that is named.
_OTHER_DISPLAYS = ("WAYLAND_DISPLAY", "WAYLAND_SOCKET")
_NAMES = ("DISPLAY", "XAUTHORITY", *_OTHER_DISPLAYS)

# Those whose displays have not ended. The collector finalizes what is garbage in any order; held here, the socket to
# the supervisor is not closed before a forgotten display has been ended over it.
_HELD: Final[set[SupervisedServer]] = set()


class VirtualDisplay:
    """A display of its own, without hardware.

    - `width`, `height`, `depth` (8, 15, 16, 24 or 30 bits): the first screen; `screens` are further ones, ScreenSpecs.
    - `dpi`: dots per inch; `fonts`: font path elements; `args`: further arguments of Xvfb's. With
      ("-extension", "GLX"), for programs that use no OpenGL, it is up in half the time.
    - `cursor`: the server paints the pointer into the framebuffer. Grabs of `screen` show it only where asked.
    - `framebuffer`: where the screens' memory is. "file": a file on a tmpfs, unlinked at once. "sysv": a System V
      segment, closed to others and removed at once; Xvfb makes it open to every local user, and a start in which
      somebody has used that moment fails. A Path: a directory that readers in other processes and containers look into
      (`Framebuffer.open`); its files go with the display. "none": not shared.
    - `framebuffer_mode`: who can open the files in that Path, as os.chmod has it: 0o600, this user's programs and root,
      unless it says more. They show all that is on the screen; the directory's own mode counts, too.
    - `writable`: the framebuffer's pixels can be written, which draws past the server.
    - `timeout`: seconds for the start. `log`: a file to which all is appended that the server says; a terminal, a pipe
      and a FIFO that has a reader will do.

    Raises StartFailed with what the server said; InvalidArgument before anything is started. Access is by a cookie in a
    file that only this user can read; nothing listens on TCP, nor in a /tmp/.X11-unix that is neither this user's nor
    root's: then it is the abstract socket alone. A small Python process looks after each display, below a shell that
    waits for it, run by sys.executable; where that is no interpreter (frozen applications), by the one that the
    environment variable XSHM_PYTHON names.
    """

    def __init__(
        self,
        width: int = 1280,
        height: int = 800,
        depth: int = 24,
        *,
        screens: Sequence[ScreenSpec] = (),
        dpi: int | None = None,
        fonts: Sequence[str] = (),
        cursor: bool = False,
        args: Sequence[str] = (),
        framebuffer: FramebufferKind | Path = "file",
        writable: bool = False,
        timeout: float = 10.0,
        log: Path | None = None,
        framebuffer_mode: int = 0o600,
    ) -> None:
        self._start(
            DisplaySpec(
                *(width, height, depth, as_tuple(screens), dpi, as_tuple(fonts), cursor, as_tuple(args), framebuffer),
                *(writable, timeout, log, framebuffer_mode),
            )
        )

    @classmethod
    def from_spec(cls, spec: DisplaySpec) -> Self:
        """Start the display that a DisplaySpec describes."""
        if not isinstance(spec, DisplaySpec):
            raise InvalidType(f"a display is started from a DisplaySpec, not {type(spec).__name__}: {quoted(spec)}")
        self = cls.__new__(cls)
        self._start(spec)
        return self

    @classmethod
    def attach(cls, name: Name, xauthority: str | os.PathLike[str] | None = None, *, writable: bool = False) -> Self:
        """Take part in a display that somebody else started: all but its end. Raises ConnectFailed, AccessDenied.

        `xauthority` is as in Screen. Of a name with the number of a screen, ":5.1", `screen`, `framebuffer` and
        programs have that one.
        """
        parsed = DisplayName.parse(name)
        _arguments.flag(writable, "writable")
        authority = xauthority if isinstance(xauthority, Path | None) else Path(xauth.checked(xauthority))
        self = cls.__new__(cls)
        self._prepare(None)
        self.name, self._address, self._writable = parsed.name, parsed.name, writable
        self._number = parsed.screen
        self.xauthority = authority
        try:
            self.pid = find_framebuffer.server_pid(self._screen(self._number))
        except BaseException:
            self.close()
            raise
        return self

    def _prepare(self, spec: DisplaySpec | None) -> None:
        self.spec = spec
        self.name = self._address = ""
        self._number = 0  # of the screen that programs find by the name
        self.pid: int | None = None
        self.xauthority: Path | None = None
        self._owner = os.getpid()
        self._lock = threading.RLock()
        self._supervision: SupervisedServer | None = None
        self._log: ServerLog | None = None
        self._programs: list[Program] = []
        self._screens: dict[int, Screen] = {}
        self._framebuffers: tuple[Framebuffer, ...] | None = None
        self._writable = False
        self._closing = threading.RLock()
        self._ended = False  # all that `close` does is done
        self._closed = False  # last: what was interrupted before has nothing to be ended

    def _start(self, spec: DisplaySpec) -> None:
        self._prepare(spec)
        try:
            with limits.Named(StartFailed, "the display can't be started"):
                self._supervision = self._supervise(spec)
            _HELD.add(self._supervision)
            self.name, self.pid = f":{self._supervision.number}", self._supervision.pid
            # Without a socket file of its own there may be one of another server, of another network namespace.
            abstract = f"unix:@/tmp/.X11-unix/X{self._supervision.number}"
            self._address = self.name if self._supervision.has_socket_file else abstract
            self.xauthority = AuthorityFile(self._supervision.authority)
            self._framebuffers = find_framebuffer.adopt(spec, self._supervision, self._screen_of)
            self._supervision.close_framebuffers()
        except BaseException:
            self.close()
            raise

    def _supervise(self, spec: DisplaySpec) -> SupervisedServer:
        command, places = spec.command(), start.places_of(spec)
        self._log = open_log(spec.log)
        return start.start(command, self._log, float(spec.timeout), places)

    # -- what it offers ------------------------------------------------------------------------------------------------

    @property
    def screen(self) -> Screen:
        """The screen that programs have, the first one unless the name attached to says another.

        Connected to when it is first asked for, closed with the display. RequestTimeout: an answer took over 30 s.
        """
        return self._screen(self._number)

    @property
    def width(self) -> int:
        """Pixels in a row of `screen`, as of now."""
        return self.screen.width

    @property
    def height(self) -> int:
        """Rows of `screen`, as of now."""
        return self.screen.height

    @property
    def screens(self) -> tuple[Screen, ...]:
        """Every screen, each by a connection of its own; one where Xinerama joins them ("+xinerama")."""
        return tuple(self._screen(number) for number in range(len(self.screen.connection.info.roots)))

    @property
    def framebuffer(self) -> Framebuffer:
        """The own memory of `screen`. Raises TransportUnavailable where the server does not share it."""
        return self.framebuffers[self._number]

    @property
    def framebuffers(self) -> tuple[Framebuffer, ...]:
        """Every screen's own memory, in the order of the screens; each has its own where Xinerama joins them, too."""
        self._check_open()
        if self.spec is not None and self.spec.framebuffer == "none":
            raise TransportUnavailable("this display was started with framebuffer='none'; leave that out to have one")
        if self._framebuffers is None:  # found without the lock, as `_screen` does it
            found = find_framebuffer.find_framebuffers(self.name, self.pid, self._screen_of, writable=self._writable)
            with self._lock:
                self._check_open()
                if self._framebuffers is None:
                    self._framebuffers = found
        return self._framebuffers

    def env(self, base: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return a copy of the environment (`base`: of that one) that leads programs to this display."""
        self._check_open()
        environment = dict(os.environ) if base is None else _checked(base)
        for name in _OTHER_DISPLAYS:
            environment.pop(name, None)
        environment["DISPLAY"] = self.name
        if self.xauthority is not None:
            environment["XAUTHORITY"] = str(self.xauthority)
        return environment

    @contextlib.contextmanager
    def activate(self) -> Iterator[Self]:
        """Set this process's own environment, for toolkits in it, and put back what was there.

        The environment is the whole process's: no two threads can have different displays active.
        """
        wanted = self.env()
        before = {name: os.environ.get(name) for name in _NAMES}
        _set_environment({name: wanted.get(name) for name in _NAMES})
        try:
            yield self
        finally:
            _set_environment(before)

    def launch(
        self,
        command: Command,
        window: str | re.Pattern[str] | None = None,
        timeout: float = 10.0,
        *,
        env: Mapping[str, str] | None = None,
        **options: Any,
    ) -> Program:
        """Start a program as `run` does, and return when its window is on the screen, painted and at rest.

        `window` is the whole title, or a compiled expression that is found in it, of the window to wait for; None takes
        the first that the program shows. It is at rest when nothing was drawn in it for 0.2 s; a window of one colour
        when it has stayed so for 2 s. `program.window` is its X id. What the program writes to standard error is kept
        in memory (`program.said()`), unless `stderr` is among the options.

        Raises WindowNotFound, with exit code and last lines of standard error, where the program ends before;
        WaitTimeout, with the screen's picture, when `timeout` seconds are over; RequestTimeout where the server did not
        even answer. In each case, and after any other exception, the program is ended.
        """
        check_wait(window, timeout)
        program = self._start_program(command, env, options, keep_stderr=True)
        try:
            within(time.monotonic() + timeout, lambda: program.wait_painted(self.screen, window, timeout=timeout))
        except WaitTimeout as error:
            self._give_up(program)
            way_out = "run() starts a program without waiting, and its wait_window() waits for no more than a window"
            raise WaitTimeout(f"{error}; {way_out}", frame=error.frame) from None
        except BaseException:
            self._give_up(program)
            raise
        return program

    def run(self, command: Command, *, env: Mapping[str, str] | None = None, **options: Any) -> Program:
        """Start a program on the display, a window manager as well: a subprocess.Popen that ends with the display.

        `command` is a list of words, or a text that is split as a shell would, and run without one. `env` takes the
        place of os.environ, `options` are Popen's. Nothing is read from the terminal unless `stdin` says so. A script
        without "#!" is run by the shell. It returns at once, when nothing is on the screen yet: `launch` waits for
        that. All that the program starts ends with it, or with the display, daemons too. Raises what Popen raises, and
        StartFailed while SIGCHLD is ignored, which loses exit codes.
        """
        return self._start_program(command, env, options, keep_stderr=False)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the server has ended, and return True; False when the time (in seconds) is over."""
        self._check_open()
        if timeout is not None:
            timeout = _arguments.number(timeout, "a timeout is a number of seconds")
        deadline = None if timeout is None else time.monotonic() + timeout
        pidfd = self._supervision.pidfd if self.spec and self._supervision else self._watched_server()
        return process_groups.wait((pidfd,), deadline) == pidfd

    def _watched_server(self) -> Descriptor:
        with limits.Named(ConnectFailed, f"the server of {self.name} can't be waited for"):
            try:
                return owned(os.pidfd_open, self.pid or 0)
            except OSError as error:
                if limits.told(error) or not is_the_kernels(error):
                    raise
                raise InvalidArgument(
                    f"the server of {self.name} is no process that can be waited for: {error}"
                ) from error

    def said(self) -> str:
        """Return what the server has said so far on its standard error; "" for somebody else's."""
        self._check_open()
        return self._supervision.said() if self.spec and self._supervision else ""

    # -- the end -------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """End programs and server, by TERM, then by KILL, and wait for them; a display of somebody else's goes on.

        Arrays over the framebuffer stay valid, and show its last picture. Closing twice is fine. Interrupted, it leaves
        the end to the supervisor, and another close waits for that. Raises StartFailed where somebody has killed the
        supervisor, and no descriptor is left to do its work; close again when one is.
        """
        if os.getpid() != self._owner:  # the lock may be another thread's, of the parent
            self._close()
            return
        with self._closing:
            try:
                self._close()
            except BaseException:
                if self._supervision is not None:
                    self._supervision.leave()
                raise

    def _close(self) -> None:
        if self._ended:
            return
        with self._lock:
            self._closed = True
        for screen in self._screens.values():
            screen.close()
        for framebuffer in self._framebuffers or ():
            framebuffer.close()
        if self._supervision is not None:
            _HELD.discard(self._supervision)
            try:
                self._supervision.end()
            except StartFailed:
                _HELD.add(self._supervision)
                self._closed = False
                raise
        if os.getpid() == self._owner:
            for program in self._programs:
                program.bury()
        if self._log is not None:
            self._log.close()
        self._ended = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        supervision: SupervisedServer | None = getattr(self, "_supervision", None)
        if supervision is not None:
            _HELD.discard(supervision)  # whether it is closed or not: a close may have been interrupted
        if getattr(self, "_closed", True) or os.getpid() != self._owner:
            return
        try:
            warnings.warn(f"{self!r} was not closed", ResourceWarning, stacklevel=2, source=self)
        finally:  # where warnings are errors, too
            if not sys.is_finalizing():
                self.close()
            elif supervision is not None:
                supervision.forget()

    def __reduce__(self) -> NoReturn:
        raise InvalidType(
            "a VirtualDisplay belongs to the process that started it; send display.spec and start that there "
            "(VirtualDisplay.from_spec), or display.name and display.xauthority (VirtualDisplay.attach)"
        )

    def __repr__(self) -> str:
        whose = "of somebody else's" if self.spec is None else ", ".join(map(str, self.spec.all_screens()))
        return f"<VirtualDisplay {self.name} {whose}{', closed' if self._closed else ''}>"

    # -- behind it -----------------------------------------------------------------------------------------------------

    def _screen(self, number: int) -> Screen:
        self._check_open()
        if (known := self._screens.get(number)) is not None:
            return known
        # Without the lock: a server that does not answer keeps nobody from `close`.
        name = DisplayName.parse(self._address).of_screen(number)
        screen = Screen(name, xauthority=self.xauthority, timeout=PATIENCE)
        with self._lock:
            known = None if self._closed else self._screens.setdefault(number, screen)
        if known is not screen:  # another thread was faster, if only with the end
            screen.close()
            self._check_open()
        return known or screen

    def _start_program(
        self, command: Command, env: Mapping[str, str] | None, options: dict[str, Any], *, keep_stderr: bool
    ) -> Program:
        self._check_open()
        environment = self.env(env)
        with limits.Named(StartFailed, "the program can't be started"):
            looked_after = self._looked_after()
            program = Program(looked_after, self._connect, command, environment, options, keep_stderr=keep_stderr)
        with self._lock:
            self._programs = [each for each in self._programs if each.poll() is None]  # a Program keeps its exit code
            self._programs.append(program)
        return program

    def _give_up(self, program: Program) -> None:
        """End a program that is handed to nobody, and let go of what was kept of it."""
        program.end()
        with self._lock:
            self._programs = [each for each in self._programs if each is not program]

    def _screen_of(self, framebuffer: int) -> Screen:
        """Return the Screen that a framebuffer belongs to: its own, or the one that Xinerama joins all of them in."""
        has_own = framebuffer and framebuffer < len(self._screen(0).connection.info.roots)
        return self._screen(framebuffer if has_own else 0)

    def _connect(self) -> Screen:
        return Screen(self._address, xauthority=self.xauthority, timeout=PATIENCE)

    def _looked_after(self) -> SupervisedServer:
        """Return who looks after programs; a display of somebody else's has a supervisor for them alone."""
        with self._lock:
            if self._supervision is None:
                if self._log is None:
                    self._log = open_log(None)
                self._supervision = SupervisedServer([], log=self._log, timeout=DisplaySpec().timeout)
                _HELD.add(self._supervision)
            return self._supervision

    def _check_open(self) -> None:
        if self._closed:
            raise Closed(f"the display {self.name} was closed")


def _checked(base: Mapping[str, str]) -> dict[str, str]:
    """Return a copy of an environment; raise InvalidType or InvalidArgument where the kernel can't be given it."""
    if not isinstance(base, Mapping):
        raise InvalidType(f"an environment is a dict of texts, not {type(base).__name__}: {quoted(base)}")
    for name, value in base.items():
        found = _arguments.word(name, "a variable's name is a text", "which the environment can't have")
        if not found or "=" in found:
            raise InvalidArgument(
                f"a variable's name has at least one character, and none of them is '=': {quoted(name)}"
            )
        _arguments.word(value, f"the variable {found} is a text", "which the environment can't have")
    return dict(base)


def _set_environment(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
