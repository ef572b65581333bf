"""VirtualDisplay: an X server that is ready when the constructor returns, and ended and removed by `close`.

Always true:

1. After `close`, and after the end of this process by any signal, no server, no program that was run on the
   display, no file and no segment is left. What is left where all processes were killed at once (out of memory, a
   container's end) is removed when the next display starts.
2. Only the process that started a display can end it; a forked child can't, and ends nothing by its own end.
3. Any number of displays can be started at the same time, from threads and processes.
4. No lock but that of `close` is held during a request: a server that does not reply keeps no thread from closing.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Never, NoReturn, Self

from xshm import _arguments
from xshm.drawables.recordable import Recordable
from xshm.errors import Closed, InvalidType, StartFailed
from xshm.system import limits, logs
from xshm.system.closing import Closing
from xshm.system.printable import quoted
from xshm.virtual import find_framebuffer, resizable
from xshm.virtual.directories import AuthorityFile
from xshm.virtual.kinds import choice
from xshm.virtual.processes import environment, process_groups
from xshm.virtual.processes.command import check_is_one
from xshm.virtual.programs.program import Program
from xshm.virtual.programs.program_list import ProgramList
from xshm.virtual.programs.program_window import check_wait
from xshm.virtual.screens import Screens, open_server, server_pid
from xshm.virtual.spec import DisplaySpec
from xshm.virtual.supervision import Supervision
from xshm.x11 import xauthority as xauth
from xshm.x11.display_name import DisplayName

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from xshm.drawables.screen import Screen
    from xshm.virtual.framebuffer import Framebuffer
    from xshm.virtual.kinds.choice import ServerChoice
    from xshm.virtual.processes.command import Command
    from xshm.virtual.spec import FramebufferKind, ScreenSpec, Server
    from xshm.x11.display_name import Name


class VirtualDisplay(Recordable, Closing):
    """An X display of its own, without hardware: an Xvfb, or another server where there is none.

    - `width`, `height`, `depth` (8, 15, 16, 24 or 30 bits): the first screen; `screens` are further ones, ScreenSpecs.
    - `dpi`: dots per inch; `fonts`: font path elements; `args`: further arguments of the server's. With
      ("-extension", "GLX"), for programs that use no OpenGL, it is up in half the time.
    - `cursor`: the server paints the pointer into the framebuffer. Grabs of `screen` show it only where asked.
    - `framebuffer`: where the screens' memory is, which only Xvfb shares. "file": a file on a tmpfs, unlinked at once.
      "sysv": a System V segment, closed to others and removed at once; Xvfb makes it open to every local user, and a
      start in which another process has attached to it before fails. A Path: a directory in which readers in other
      processes and containers find it (`Framebuffer.open`); its files are removed with the display. "none": not shared.
      "auto": "file" where the server shares it, else "none".
    - `framebuffer_mode`: who can open the files in that Path, as for os.chmod: 0o600, this user's programs and root,
      unless it gives more. They show all that is on the screen; the directory's own mode counts, too.
    - `writable`: the framebuffer's pixels can be written, which draws without the server's knowledge.
    - `server`: "xvfb"; "xvnc", TigerVNC's, which `resize` gives any size, with one screen of depth 16 or 24;
      "xwayland", one screen of depth 24 in a compositor of its own (weston) that shows it nowhere. What a server can't
      do is refused. "auto": the first of these that is installed and can do all that is asked for; `display.server`
      says which that is, and why.
    - `timeout`: seconds for the start. `log`: a file to which the server's messages are appended; a terminal, a pipe
      and a FIFO that has a reader will do.

    Raises StartFailed with the server's messages; InvalidArgument before anything is started. Access is by a cookie in
    a file that only this user can read; nothing listens on TCP, nor in a /tmp/.X11-unix that is neither this user's nor
    root's: then the abstract socket is the only one. A small Python process supervises each display, below a shell that
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
        framebuffer: FramebufferKind | Path = "auto",
        writable: bool = False,
        timeout: float = 10.0,
        log: Path | None = None,
        framebuffer_mode: int = 0o600,
        server: Server = "auto",
    ) -> None:
        self._start(
            DisplaySpec(
                # A DisplaySpec makes tuples of sequences.
                *(width, height, depth, screens, dpi, fonts, cursor, args, framebuffer),  # type: ignore[arg-type]
                *(writable, timeout, log, framebuffer_mode, server),
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
        """Use a display that another process has started; `close` does not end its server.

        `xauthority` is as in Screen. With a screen's number in the name, ":5.1", `screen`, `framebuffer` and programs
        use that screen. Raises ConnectFailed, AccessDenied.
        """
        parsed = DisplayName.parse(name)
        _arguments.flag(writable, "writable")
        authority = xauthority if isinstance(xauthority, Path | None) else Path(xauth.checked(xauthority))
        self = cls.__new__(cls)
        self._prepare(None)
        self.name, self.xauthority, self._number, self._writable = parsed.name, authority, parsed.screen, writable
        self._screens = Screens(self.name, self.name, authority)
        try:
            self.pid = self._screens.pid = server_pid(self.screen)
            logs.info("display", "attached to %s, pid %s", self.name, self.pid)
            self._is_logged = True
        except BaseException:
            self.close()
            raise
        return self

    def _prepare(self, spec: DisplaySpec | None) -> None:
        self.spec = spec
        self.name = ""
        self._number = 0  # of the screen that the name leads to
        self.pid: int | None = None
        self.server: ServerChoice | None = None  # which kind it is, and why; None for a display that `attach` found
        self.xauthority: Path | None = None
        self._owner = os.getpid()
        self._lock = threading.RLock()
        self._supervision = Supervision()
        self._programs = ProgramList()
        self._screens = Screens("", "", None)
        self._framebuffers: tuple[Framebuffer, ...] | None = None
        self._writable = False
        # A hook for who watches the display: an exception leaves the `with` of a program, which is ended then.
        self._before_failed_end: Callable[[BaseException], object] | None = None
        self._closing = threading.RLock()
        self._ended = False  # `close` has done all
        self._is_logged = False  # a record says that it was started or attached, so one says that it is over
        self._closed = False  # last: without it, __del__ has nothing to end

    def _start(self, spec: DisplaySpec) -> None:
        self._prepare(spec)
        begin = time.monotonic()
        try:
            with limits.Explained(StartFailed, "the display can't be started"):
                self.server = choice.choose(spec)
                supervised = self._supervision.start(spec, self.server)
            self.name, self.pid = f":{supervised.number}", supervised.pid
            self.xauthority = AuthorityFile(supervised.authority)
            self._screens = Screens(self.name, self._supervision.address, self.xauthority, self.pid)
            self._framebuffers = find_framebuffer.of_our_server(spec, supervised, self._screen_of)
            self._screens.live = tuple(each._live() for each in self._framebuffers)  # noqa: SLF001 - not for users
            supervised.close_framebuffers()
            took = time.monotonic() - begin
            logs.info("display", "started %s in %.2f s: %s, pid %s", self.name, took, self.server, self.pid)
            self._is_logged = True
        except BaseException:
            self.close()
            raise

    # -- its screens ---------------------------------------------------------------------------------------------------

    @property
    def screen(self) -> Screen:
        """The Screen of the display's name: the first one, unless `attach` was given another.

        Connected when it is first used, closed with the display. Raises RequestTimeout where a reply takes over 30 s.
        """
        return self._screens.screen(self._number)

    @property
    def width(self) -> int:
        """Pixels in a row of `screen`, now."""
        return self.screen.width

    @property
    def height(self) -> int:
        """Rows of `screen`, now."""
        return self.screen.height

    def resize(self, width: int, height: int) -> None:
        """Give `screen` another size; what is grabbed, recorded and shown from then on is of that size.

        An Xvnc takes any size from 32x32 to 16384x16384, an Xvfb any up to that of its start; an Xwayland of version 23
        or newer any from 16x16 on, and an older one keeps its own. Raises InvalidArgument where the server does not
        have the size; ExtensionMissing.
        """
        self._check_open()
        resizable.resize(self.screen, width, height, self.server)

    @property
    def screens(self) -> tuple[Screen, ...]:
        """Every screen, each by a connection of its own; one where Xinerama joins them ("+xinerama")."""
        return tuple(self._screens.screen(number) for number in range(len(self.screen.connection.info.roots)))

    @property
    def framebuffer(self) -> Framebuffer:
        """The server's own memory of `screen`. Raises TransportUnavailable where the server does not share it."""
        return self.framebuffers[self._number]

    @property
    def framebuffers(self) -> tuple[Framebuffer, ...]:
        """Each screen's own memory, in the order of the screens; one each where Xinerama joins them, too."""
        self._check_open()
        find_framebuffer.check_is_shared(self.spec, self.server)
        if self._framebuffers is None:  # found without the lock (4)
            found = find_framebuffer.find_framebuffers(self.name, self.pid, self._screen_of, writable=self._writable)
            with self._lock:
                self._check_open()
                self._framebuffers = self._framebuffers or found
        return self._framebuffers

    # -- programs ------------------------------------------------------------------------------------------------------

    def env(self, base: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return a copy of os.environ (`base`: of that one) that leads programs to this display."""
        self._check_open()
        return environment.leading_to(self.name, self.xauthority, base)

    @contextlib.contextmanager
    def activate(self) -> Iterator[Self]:
        """Lead toolkits in this process to the display, by os.environ, and restore that on leaving.

        The environment belongs to the whole process: no two threads can have different displays active.
        """
        with environment.activated(self.env()):
            yield self

    def launch(
        self,
        command: Command,
        window: str | re.Pattern[str] | None = None,
        timeout: float = 10.0,
        *words: Never,
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
        even reply. In each case, and after any other exception, the program is ended.
        """
        are_words = words or (isinstance(window, str) and isinstance(timeout, str))
        check_is_one("launch", command, (window, timeout, *words) if are_words else ())
        check_wait(window, timeout)
        program = self._start_program(command, env, options, keep_stderr=True)  # for the message of WindowNotFound
        self._programs.wait_painted(program, lambda: self.screen, window, timeout)
        return program

    def run(self, command: Command, *words: Never, env: Mapping[str, str] | None = None, **options: Any) -> Program:
        """Start a program on the display, a window manager as well: a subprocess.Popen that ends with the display.

        `command` is a list of words, or a text that is split as by a shell, and run without one; a script without "#!"
        is run by the shell. `env` takes the place of os.environ, `options` are Popen's; without `stdin` there is no
        input. It returns at once, when nothing is on the screen yet: `launch` waits for a window. All that the program
        starts ends with it, or with the display, daemons too. Raises what Popen raises, and StartFailed while SIGCHLD
        is ignored, which loses exit codes.
        """
        check_is_one("run", command, words)
        return self._start_program(command, env, options, keep_stderr=False)

    # -- its server, and the end ---------------------------------------------------------------------------------------

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the server has ended, and return True; False when `timeout` seconds are over."""
        self._check_open()
        deadline = None
        if timeout is not None:
            deadline = time.monotonic() + _arguments.number(timeout, "a timeout is a number of seconds")
        pidfd = self._supervision.pidfd if self.spec else open_server(self.name, self.pid)
        return process_groups.wait((pidfd,), deadline) == pidfd

    def said(self) -> str:
        """Return the server's messages on standard error so far; "" for a server that `attach` found."""
        self._check_open()
        return self._supervision.said()

    def close(self) -> None:
        """End programs and server (SIGTERM, then SIGKILL) and wait for them; the server of `attach` goes on.

        Arrays over the framebuffer stay valid, and show its last picture. Closing twice is fine. An interrupted close
        leaves the end to the supervisor, and another close waits for that. Raises StartFailed where the supervisor was
        killed and no descriptor is left to do its work; close again when there is one.
        """
        if os.getpid() != self._owner:  # another thread of the parent's may have held the lock at the fork
            self._close()
            return
        with self._closing:
            try:
                self._close()
            except BaseException:
                self._supervision.disconnect()
                raise
        if self._is_logged:
            self._is_logged = False
            logs.info("display", "ended %s" if self.spec else "left %s", self.name)

    def _close(self) -> None:
        if self._ended:
            return
        with self._lock:
            self._closed = True
        self._screens.close()
        for framebuffer in self._framebuffers or ():
            framebuffer.close()
        try:
            self._supervision.end()
        except StartFailed:
            self._closed = False
            raise
        if os.getpid() == self._owner:
            self._programs.reap()
        self._ended = True

    def __del__(self) -> None:
        supervision: Supervision | None = getattr(self, "_supervision", None)  # none after a failed constructor
        if supervision is not None:
            supervision.let_go()  # also of a closed one: the close may have been interrupted
        if getattr(self, "_closed", True) or os.getpid() != self._owner:
            return
        try:
            warnings.warn(f"{self!r} was not closed", ResourceWarning, stacklevel=2, source=self)
        finally:  # warnings may be errors
            if not sys.is_finalizing():
                with logs.Silent():
                    self.close()
            elif supervision is not None:
                supervision.disconnect_at_exit()

    def _recorded(self) -> Screen:
        return self.screen

    def __reduce__(self) -> NoReturn:
        raise InvalidType(
            "a VirtualDisplay belongs to the process that started it; send display.spec and start that there "
            "(VirtualDisplay.from_spec), or display.name and display.xauthority (VirtualDisplay.attach)"
        )

    def __repr__(self) -> str:
        whose = "of somebody else's" if self.spec is None else ", ".join(map(str, self.spec.all_screens()))
        return f"<VirtualDisplay {self.name} {whose}{', closed' if self._closed else ''}>"

    # -- helpers ------------------------------------------------------------------------------------------------------

    def _start_program(
        self, command: Command, env: Mapping[str, str] | None, options: dict[str, Any], *, keep_stderr: bool
    ) -> Program:
        self._check_open()
        variables = self.env(env)
        with limits.Explained(StartFailed, "the program can't be started"):
            program = Program(
                *(self._supervision.of_programs(), self._connect, command, variables, options),
                keep_stderr=keep_stderr,
                before_failed_end=self._program_fails,
            )
        self._programs.add(program)
        return program

    def _screen_of(self, framebuffer: int) -> Screen:  # a method: framebuffers keep the display alive
        return self._screens.of_framebuffer(framebuffer)

    def _connect(self) -> Screen:  # and so do programs
        return self._screens.connect()

    def _program_fails(self, error: BaseException) -> None:
        if self._before_failed_end is not None:
            self._before_failed_end(error)

    def _check_open(self) -> None:
        if self._closed:
            raise Closed(f"the display {self.name} was closed")
