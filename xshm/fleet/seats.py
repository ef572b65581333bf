"""Seat: one display, the programs on it, and code that runs beside it: in a Ray actor, or in any process.

Always true:

1. It is made from a description, DisplaySpec, which can be pickled; it starts its display where it is made.
2. A display whose server has ended is replaced by a new one, with set-up and programs, before anything else is done on
   it. What was being done meanwhile sees DisplayGone or Closed: nothing is repeated here.
3. While something is done on it, it can be looked at: `grab`, `changed` and `info` are for other threads, too.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, NoReturn

from xshm import _arguments
from xshm.errors import Closed, DisplayGone, InvalidArgument, InvalidType
from xshm.fleet import cluster
from xshm.fleet.picture import Seen
from xshm.geometry import Rect
from xshm.image.files.encode import smaller
from xshm.image.frame import Frame
from xshm.pixels.raster import Raster
from xshm.system import limits
from xshm.system.closing import Closing
from xshm.system.printable import quoted
from xshm.virtual.display import VirtualDisplay
from xshm.virtual.processes import command
from xshm.virtual.spec import DisplaySpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Concatenate, ParamSpec, TypeVar

    from xshm.fleet.changes import Changes
    from xshm.fleet.picture import Delta
    from xshm.geometry import Region
    from xshm.virtual.processes.command import Command

    P = ParamSpec("P")
    T = TypeVar("T")


class SeatInfo(NamedTuple):
    """Where a seat is: its display's name there, the processes' ids, the machine, Ray's node ("": no actor).

    `starts` counts the displays that it has had: 1 is the first.
    """

    display: str
    pid: int
    server_pid: int
    host: str
    node: str
    starts: int


class Seat(Closing):
    """A display with programs, for code that is sent to it; `fleet.seat` makes one as a Ray actor.

        class Editor(fleet.Seat):
            programs = (["xterm"],)             # each is launched, and its window awaited

            def set_up(self):                   # on each new display, before the programs
                self.display.run("openbox")

            def write(self, text):              # further methods: editor.write.remote("ls")
                self.display.screen.type(text)
                return self.display.screen.grab()

    `spec` describes the display (None: 1280x800x24); `programs` are commands, as `VirtualDisplay.launch` takes them, in
    place of the class's. Raises what a VirtualDisplay's start, `set_up` and `launch` raise; nothing is left then.

    As an actor a Seat runs its methods in a thread of Ray's that is not the main one, so that it can be looked at
    meanwhile; $DISPLAY and $XAUTHORITY of that process lead to the display.
    """

    programs: ClassVar[Sequence[Command]] = ()
    _is_activated: ClassVar[bool] = False  # the process is this seat's: its environment leads to the display

    def __init__(self, spec: DisplaySpec | None = None, *, programs: Sequence[Command] = ()) -> None:
        self._spec = checked_spec(spec)
        self._commands = checked_programs(programs) or checked_programs(self.programs)
        self._lock = threading.RLock()  # held while the display is replaced
        self._looking = threading.Lock()  # the display and its Changes are a pair; nothing else is waited for under it
        self._display: VirtualDisplay | None = None
        self._changes: Changes | None = None
        self._active = contextlib.ExitStack()
        self._busy = 0  # how many calls of `do` are under way
        self._starts = 0
        self._closed = False
        self.restart()

    # -- to be overridden ----------------------------------------------------------------------------------------------

    def set_up(self) -> None:
        """Prepare a new display, before the programs are launched: a window manager, wallpaper, settings. Override."""

    # -- code beside the display ---------------------------------------------------------------------------------------

    @property
    def display(self) -> VirtualDisplay:
        """The seat's VirtualDisplay; a new one where the server of the last one has ended. Raises Closed."""
        with self._lock:
            self._check_open()
            display = self._display
            if display is None or display._closed or display.wait(0):  # noqa: SLF001 - a function may have closed it
                return self._start()
            return display

    def do(self, function: Callable[Concatenate[VirtualDisplay, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return function(display, *args, **kwargs), run here beside the display. What it raises is raised."""
        if not callable(function):
            raise InvalidType(f"do() takes a function of a display, not {type(function).__name__}: {quoted(function)}")
        with self._in_use():
            return function(self.display, *args, **kwargs)

    # -- looking at it -------------------------------------------------------------------------------------------------

    def grab(self, region: Region | None = None, *, encoding: str | None = None, cursor: bool = False) -> Frame | bytes:
        """Return the screen, or a region of it, as a Frame of its own memory; as a file's bytes with an `encoding`.

        On one machine a Frame reaches a reader fastest, by Ray's shared memory. Across machines "png" is a tenth of it
        or less, exact, and "jpeg" less again: `encoding` is what `Frame.encode` takes. Raises what `Screen.grab` does.
        """
        frame = self._seen().screen.grab(region, cursor=cursor)
        if encoding is None:
            return frame
        return frame.encode(encoding).data

    def preview(self, width: int, height: int) -> Frame:
        """Return the screen made smaller, where it is larger than that, as a Frame of its own size.

        Its shape is kept; its rectangle begins at 0, 0. It is what an overview of many screens needs, and the less to
        send. Raises what `Screen.grab` does.
        """
        for name, value in (("width", width), ("height", height)):
            if _arguments.integer(value, f"a preview's {name} is a whole number") < 1:
                raise InvalidArgument(f"a preview is at least 1x1 pixels, not {quoted(width)}x{quoted(height)}")
        frame = self._seen().screen.grab()
        scale = min(width / frame.width, height / frame.height)
        if scale >= 1:
            return frame
        size = max(round(frame.width * scale), 1), max(round(frame.height * scale), 1)
        found = smaller(Raster(frame.pixels, frame.format, frame.colormap, frame.width), size, "rgb")
        return Frame(found.pixels, Rect(0, 0, *size), frame.monotonic_ns, frame.sequence, found.format)

    def changed(self, since: Seen | None = None, *, timeout: float = 0) -> Delta:
        """Return what has changed on the screen since a state that a Picture has had; None: all of it.

            picture = fleet.Picture()
            frame = picture.apply(ray.get(seat.changed.remote(picture.seen)))

        Where nothing has, it waits up to `timeout` seconds for a change, and returns an empty Delta after that. Raises
        Closed; DisplayGone where the display has ended while a function ran on it, or while this waited. An actor
        answers eight of these at a time, and four other looks, such as `grab`; further ones wait for these to be over.
        """
        seconds = _arguments.seconds(timeout, "a timeout is a number of seconds, 0 or more")
        if not isinstance(since, Seen | None):
            raise InvalidType(
                f"since is what a Picture has `seen`, or None, not {type(since).__name__}: {quoted(since)}"
            )
        return self._current_changes().delta(since, seconds)

    def info(self) -> SeatInfo:
        """Return where this seat is. Raises Closed, and DisplayGone as `changed` does."""
        display = self._seen()
        return SeatInfo(display.name, os.getpid(), display.pid or 0, socket.gethostname(), cluster.node(), self._starts)

    # -- its life ------------------------------------------------------------------------------------------------------

    def restart(self) -> None:
        """End the display and all that runs on it, and start another from the description, set up as the first."""
        with self._lock:
            self._start()

    def close(self) -> None:
        """End the display and its programs. Closing twice is fine."""
        with self._lock:
            self._closed = True
            self._end()

    def is_lost(self, patience: float = 0) -> bool:
        """Return whether the display's server has ended, or does in so many seconds, though nobody has closed it."""
        display = self._display
        return display is not None and not display._closed and display.wait(patience)  # noqa: SLF001 - as above

    def __reduce__(self) -> NoReturn:
        raise InvalidType("a Seat belongs to its process; send its class and a DisplaySpec, as fleet.seat does")

    def __repr__(self) -> str:
        display = self._display
        return f"<{type(self).__name__} {'closed' if display is None else display.name}>"

    # -- helpers -------------------------------------------------------------------------------------------------------

    def _start(self) -> VirtualDisplay:
        self._check_open()
        self._end()
        display = VirtualDisplay.from_spec(self._spec)
        try:
            self._display = display
            self._starts += 1
            if self._is_activated:
                self._active.enter_context(display.activate())
            self.set_up()
            for program in self._commands:
                display.launch(program)
        except BaseException:
            self._end()
            raise
        return display

    def _end(self) -> None:
        with self._looking:
            display, self._display = self._display, None
            changes, self._changes = self._changes, None
        self._active.close()
        try:
            if changes is not None:
                changes.close()
        finally:
            if display is not None:
                display.close()

    def _seen(self) -> VirtualDisplay:
        """Return the display for a look. While a function runs on it, it is that function's, and not replaced."""
        display = self._display
        if self._busy and display is not None and not self._closed:
            if display._closed or display.wait(0):  # noqa: SLF001 - as above
                raise DisplayGone(f"the display {display.name} has ended while a function ran on it; look again later")
            return display
        return self.display

    def _current_changes(self) -> Changes:
        while True:
            display = self._seen()  # before the lock, since it may replace the display, which takes the lock
            with self._looking:
                if display is self._display:  # else it was replaced meanwhile
                    if self._changes is None:
                        with limits.loading():
                            from xshm.fleet.changes import Changes  # noqa: PLC0415 - it loads numpy; few are looked at

                        self._changes = Changes(display.screen)
                    return self._changes

    @contextlib.contextmanager
    def _in_use(self) -> Iterator[None]:
        """Have looks not replace a display that has ended: who runs something on it is to learn of that."""
        with self._lock:
            self._busy += 1
        try:
            yield
        finally:
            with self._lock:
                self._busy -= 1

    def _check_open(self) -> None:
        if self._closed:
            raise Closed("this seat was closed; make another one")


def checked_spec(spec: DisplaySpec | None) -> DisplaySpec:
    """Return a description, the usual one for None. Raises InvalidType."""
    if spec is None:
        return DisplaySpec()
    if not isinstance(spec, DisplaySpec):
        raise InvalidType(
            f"a display is described by a DisplaySpec, not {type(spec).__name__}: {quoted(spec)}; "
            + ("kind= takes a class of seats" if isinstance(spec, type) else "DisplaySpec(1280, 800) is one")
        )
    return spec


def checked_programs(programs: Iterable[Command]) -> tuple[Command, ...]:
    """Return commands as they are, all of them checked. Raises InvalidType, InvalidArgument."""
    commands: Any = _arguments.several(programs, "programs are a list of commands")
    for each in commands:
        command.split(each)
    return tuple(commands)


def checked_kind(kind: object) -> type[Seat]:
    """Return a class of seats. Raises InvalidType."""
    if not (isinstance(kind, type) and issubclass(kind, Seat)):
        raise InvalidType(f"kind is fleet.Seat or a class that inherits from it, not {quoted(kind)}")
    return kind
