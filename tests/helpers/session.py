"""A program that uses most of the API again and again, and reports errors without a type of ours, and slow calls.

It reads lines of JSON, each about one session: the display's name, the transport, the timeout, a window, a pixmap; and
writes a line for each, with a list of what went wrong and the greatest memory that it has taken so far (MiB). Its
address space is bounded: a session that takes more than a GiB has a MemoryError.
"""

from __future__ import annotations

import json
import resource
import signal
import sys
import time
import traceback
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import Xlib.error

from xshm import Screen, Surface
from xshm.errors import Closed, RequestTimeout, ServerNonsense, XshmError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_GRACE = 2.0  # seconds that any one call may take beyond the timeouts that it has
_ROOM = 1 << 30
_OF_SEVERAL = ("window", "stream")  # which look at each of their calls
_SURFACE_TAKES = 2.5  # to be mapped, to be waited for


class _TooLate(BaseException):
    """A call has not come back."""


def _too_late(*_: object) -> None:
    raise _TooLate


class Session:
    """One use of nearly everything; `wrong` lists what went wrong."""

    def __init__(self, name: str, transport: str, timeout: float, window: int, pixmap: int) -> None:
        self.wrong: list[str] = []
        self._name, self._transport, self._timeout = name, transport, timeout
        self._window, self._pixmap = window, pixmap
        self._nonsense: dict[str, ServerNonsense] = {}
        self._late = 0

    def run(self) -> None:
        """Go through all of it."""
        screen = self._do("Screen", lambda: Screen(self._name, self._transport, timeout=self._timeout))
        if screen is not None:
            for name, call in self._of_a_screen(screen):
                if self._late < 3:
                    self._do(name, call, "screen" if name not in _OF_SEVERAL else "")
            self._do("Screen.close", screen.close, closing=True)
        if self._late < 3:
            self._with_a_surface()

    def _of_a_screen(self, screen: Screen) -> Iterator[tuple[str, Callable[[], object]]]:
        yield "grab", screen.grab
        yield "grab a region", lambda: screen.grab((3, 4, 50, 60)).rgb()
        yield "grab with the pointer", lambda: screen.grab(cursor=True)
        yield "grab_many", lambda: screen.grab_many([(0, 0, 5, 5), (9, 9, 40, 40)])
        yield "monitors", lambda: repr(screen.monitors)
        yield "windows", lambda: repr(screen.windows())
        yield "find a window", lambda: screen.window("active")
        yield "pixmap", lambda: screen.pixmap(self._pixmap).grab()
        yield "window", lambda: self._with_a_window(screen)
        yield "stream", lambda: self._with_a_stream(screen)
        yield "wait_change", lambda: screen.wait_change(timeout=0.01)
        yield "wait_pixel", lambda: screen.wait_pixel(0, 0, (1, 2, 3), timeout=0.01)
        yield "xlib", lambda: screen.xlib
        yield "xlib's objects", lambda: self._with_xlib(screen)
        yield "grab again", screen.grab

    def _with_a_window(self, screen: Screen) -> None:
        with screen.window(self._window) as window:
            calls: dict[str, Callable[[], object]] = {
                "Window.grab": window.grab,
                "Window.title": lambda: (window.title, window.class_name, window.pid, window.position),
                "Window.grab with the pointer": lambda: window.grab(cursor="layer"),
                "Window.stream": lambda: next(iter(window.stream())),
            }
            for name, call in calls.items():
                self._do(name, call, "screen")
            self._do("Window.close", window.close, closing=True)

    def _with_a_stream(self, screen: Screen) -> None:
        stream = screen.stream(on_change=True, cursor=True)
        self._do("next of a stream", lambda: next(stream), "screen")
        self._do("Stream.close", stream.close, closing=True)

    def _with_xlib(self, screen: Screen) -> None:
        root = screen.xlib.screen().root
        root.query_tree()
        root.get_geometry()
        root.query_pointer()
        screen.xlib.pending_events()

    def _with_a_surface(self) -> None:
        make = lambda: Surface(40, 30, display=self._name, transport=self._transport, timeout=self._timeout)  # noqa: E731
        surface = self._do("Surface", make, grace=_SURFACE_TAKES)
        if surface is None:
            return
        picture = np.zeros((30, 40, 3), np.uint8)
        for name, call in {
            "Surface.show": lambda: surface.show(picture),
            "Surface.wait": lambda: surface.wait(self._timeout),
            "Surface.events": lambda: list(surface.events(0)),
            "Surface.resize": lambda: surface.resize(20, 20),
            "Surface.is_open": lambda: surface.is_open,
        }.items():
            if self._late < 3:
                self._do(name, call, "surface", grace=_SURFACE_TAKES)
        self._do("Surface.close", surface.close, closing=True)

    def _do(
        self, name: str, call: Callable[[], Any], of: str = "", *, closing: bool = False, grace: float = 0.0
    ) -> Any:
        before = time.monotonic()
        found: Any = None
        error: BaseException | None = None
        most = 2 * self._timeout + _GRACE + grace
        if name not in _OF_SEVERAL:
            signal.setitimer(signal.ITIMER_REAL, 2 * most)  # what hangs is to be seen where it does
        try:
            found = call()
            signal.setitimer(signal.ITIMER_REAL, 0)
        except XshmError as raised:
            error = raised
            if closing:
                self.wrong.append(f"{name} raised {_told(raised)}")
        except Xlib.error.XError as raised:
            error = raised
            if "xlib" not in name:
                self.wrong.append(f"{name}: {_told(raised)}")
        except BaseException as raised:  # noqa: BLE001 - this is what is looked for
            error = raised
            self.wrong.append(f"{name}: {_told(raised)}")
        signal.setitimer(signal.ITIMER_REAL, 0)
        if "MemoryError" in str(error):
            self.wrong.append(f"{name}: {_told(error)}")
        took = time.monotonic() - before
        if name not in _OF_SEVERAL and took > most:
            self.wrong.append(f"{name}: took {took:.1f} s, with a timeout of {self._timeout} s")
        self._late += isinstance(error, RequestTimeout)
        self._check_the_end(name, of, error)
        return found

    def _check_the_end(self, name: str, of: str, error: BaseException | None) -> None:
        """Check that each call raises the same error once the server has sent nonsense."""
        known = self._nonsense.get(of)
        if known is not None and not isinstance(error, ServerNonsense | Closed):
            after = "nothing" if error is None else _told(error)
            self.wrong.append(f"{name}: {after} after {known.request!r} {known.wrong}")
        if isinstance(error, ServerNonsense) and of:
            self._nonsense[of] = error


def _told(error: BaseException | None) -> str:
    assert error is not None
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    where = " < ".join(f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in reversed(frames))
    return f"{type(error).__module__}.{type(error).__qualname__}: {str(error)[:200]} ({where})"


def main() -> None:
    """Do what is asked for, line by line."""
    warnings.simplefilter("error")
    signal.signal(signal.SIGALRM, _too_late)
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + _ROOM, resource.RLIM_INFINITY))
    for line in sys.stdin:
        session = Session(**json.loads(line))
        session.run()
        # Not getrusage, whose peak begins with that of the process that this one was forked from.
        status = dict(row.split(":", 1) for row in Path("/proc/self/status").read_text().splitlines())
        peak = int(status["VmHWM"].split()[0]) // 1024
        print(json.dumps({"wrong": session.wrong, "peak": peak}), flush=True)


if __name__ == "__main__":
    main()
