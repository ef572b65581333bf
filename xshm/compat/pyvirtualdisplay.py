"""PyVirtualDisplay's names over VirtualDisplay: change the import, and a killed program leaves no server any more.

    from xshm.compat.pyvirtualdisplay import Display        # from pyvirtualdisplay import Display

    with Display(size=(800, 600)) as display:
        subprocess.run(["xclock"], timeout=5)               # finds the display by os.environ
        display.virtual.screen.grab().save("clock.png")     # all that xshm has

SmartDisplay, which is in pyvirtualdisplay.smartdisplay, and the exceptions are in this module, too.

What is different:

1. A display has a cookie, whatever `use_xauth` is. `os.environ` and `env()` lead to it by XAUTHORITY beside DISPLAY; a
   program that is given DISPLAY alone is refused. `extra_args=["-ac"]` lets every local user in, as PyVirtualDisplay's
   displays do without `use_xauth`.
2. `visible=True`, "xephyr" and "xvnc" show the display in a window, which `xshm view` does for any display.
3. Of `extra_args` those that a display has parameters for (-dpi, -fbdir, -fp, -nocursor) count as these; -auth and
   -displayfd are refused.
4. `waitgrab` sleeps until something is drawn and waits until that is at rest, where PyVirtualDisplay looks after 0.3,
   0.8, 1.8 s and so on.
"""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from xshm import _arguments
from xshm.errors import InvalidArgument, StartFailed, WaitTimeout
from xshm.system import limits
from xshm.system.printable import quoted
from xshm.virtual.display import VirtualDisplay
from xshm.virtual.spec import DisplaySpec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from PIL import Image

    from xshm.image.frame import Frame

__all__ = ["Display", "DisplayTimeoutError", "SmartDisplay", "XStartError", "XStartTimeoutError"]

_BACKGROUNDS: Final = {"black": "-br", "white": "-wr"}  # the X server's options for its root window
_LONGEST_REST: Final = 2.0  # seconds: what moves for longer, a video, is taken as it is


class XStartError(StartFailed):
    """The display can't be started, or not again; or it was used before it was started."""


XStartTimeoutError = XStartError  # a server that is not ready in time has failed to start: one error for both


class DisplayTimeoutError(WaitTimeout):
    """`waitgrab` saw nothing, or nothing that its callback accepts, within its time; `frame` is the last picture."""


class Display:
    """A virtual display that is started by `start`, or a `with` block, and once only.

    - `size`: (width, height); `color_depth`: 8, 15, 16, 24 or 30 bits; `bgcolor`: "black" or "white", the root window.
    - `extra_args`: options of the X server; `fbdir`: a directory in which others find its screen; `dpi`.
    - `manage_global_env`: os.environ leads to the display from `start` to `stop`, in the whole process.
    - `backend`: "xvfb" or None. `retries` and `use_xauth` are taken and change nothing: the server chooses a free
      number by itself, and always has a cookie.

    Raises InvalidArgument, a ValueError, for what no display has, before anything is started.
    """

    def __init__(
        self,
        backend: str | None = None,
        visible: bool = False,
        size: tuple[int, int] = (1024, 768),
        color_depth: int = 24,
        bgcolor: str = "black",
        use_xauth: bool = False,  # noqa: ARG002 - so are all displays
        retries: int = 10,  # noqa: ARG002 - as the docstring says
        extra_args: Sequence[str] = (),
        manage_global_env: bool = True,
        *,
        fbdir: str | None = None,
        dpi: int | None = None,
    ) -> None:
        kind = backend or ("xephyr" if visible else "xvfb")
        _arguments.choice(kind, ("xvfb", "xephyr", "xvnc"), "a backend is one of")
        if kind != "xvfb":
            raise InvalidArgument(
                f"{'visible=True' if backend is None else f'backend={kind!r}'} is for a display that is watched; leave "
                "it out, and look at the display by `xshm view NAME --xauthority FILE`, which are new_display_var and "
                "virtual.xauthority"
            )
        _arguments.choice(bgcolor, tuple(_BACKGROUNDS), "bgcolor is one of")
        width, height = _arguments.point(size, "size is")
        self._bgcolor = bgcolor
        self._manage_global_env = manage_global_env
        args = list(_arguments.several(extra_args, "extra_args is a list of options"))
        asked = {option: _taken(args, option) for option in ("-dpi", "-fbdir", "-fp")}
        directory = fbdir or asked["-fbdir"]
        spec = DisplaySpec(
            *(width, height, color_depth),
            dpi=_dots(asked["-dpi"]) if dpi is None else dpi,
            fonts=tuple(asked["-fp"].split(",")) if asked["-fp"] else (),
            args=(_BACKGROUNDS[bgcolor], *(arg for arg in args if arg != "-nocursor")),  # no display paints a cursor
        )
        self._spec = replace(spec, framebuffer=Path(directory)) if directory else spec
        self._virtual: VirtualDisplay | None = None
        self._stopped = False
        self._starting = threading.Lock()
        self._environment = contextlib.ExitStack()  # what gives os.environ its former values

    @property
    def virtual(self) -> VirtualDisplay:
        """The VirtualDisplay itself: `screen`, `launch`, `record` and all else. Raises XStartError before `start`."""
        if self._virtual is None:
            raise XStartError("the display was not started; call start(), or use it in a with block")
        return self._virtual

    def start(self) -> Self:
        """Start the server and return when it is ready. Raises XStartError, the second time too."""
        if not self._starting.acquire(blocking=False):
            raise XStartError("the display is being started by another thread; make another Display")
        try:
            if self._virtual is not None:
                raise XStartError(f"the display {self._virtual.name} was started before; make another Display")
            try:
                self._virtual = VirtualDisplay.from_spec(self._spec)
            except StartFailed as error:
                raise XStartError(str(error)) from error
            if self._manage_global_env:
                self._environment.enter_context(self._virtual.activate())
        finally:
            self._starting.release()
        return self

    def stop(self) -> Self:
        """End the server and what `virtual` has run, and give os.environ what it had before.

        Stopping twice is fine. Raises XStartError before `start`.
        """
        virtual = self.virtual
        self._stopped = True
        self._environment.close()
        virtual.close()
        return self

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def is_alive(self) -> bool:
        """Return whether the server runs: False before `start`, after `stop`, and after its death."""
        return self._virtual is not None and not self._stopped and not self._virtual.wait(0)

    @property
    def pid(self) -> int | None:
        """The server's process id, after `stop` too; None before `start`."""
        return None if self._virtual is None else self._virtual.pid

    @property
    def display(self) -> int | None:
        """The display's number: 5 of ":5"; None before `start`."""
        return None if self._virtual is None else int(self._virtual.name.removeprefix(":"))

    @property
    def new_display_var(self) -> str:
        """What $DISPLAY is for programs on the display, such as ":5". Raises XStartError before `start`."""
        return self.virtual.name

    def env(self) -> dict[str, str]:
        """Return a copy of os.environ that leads a program to the display. Raises XStartError before `start`."""
        return self.virtual.env()


class SmartDisplay(Display):
    """A Display that is grabbed as Pillow images, cut to what is not background."""

    def autocrop(self, im: Image.Image) -> Image.Image | None:
        """Return an image without its margins of the background's colour; None where there is nothing else."""
        with limits.loading():
            from PIL import Image, ImageChops  # noqa: PLC0415 - a Display does without

        image = im.convert("RGB")
        box = ImageChops.difference(image, Image.new("RGB", image.size, self._bgcolor)).getbbox()
        return None if box is None else image.crop(box)

    def grab(self, autocrop: bool = True) -> Image.Image | None:
        """Return the screen as it is now, an RGB image; with `autocrop` None where it shows nothing."""
        image = self.virtual.screen.grab().image().convert("RGB")
        return self.autocrop(image) if autocrop else image

    def waitgrab(
        self,
        timeout: float = 60,
        autocrop: bool = True,
        cb_imgcheck: Callable[[Image.Image], object] | None = None,
    ) -> Image.Image:
        """Wait until the screen shows something that is at rest and that `cb_imgcheck(image)` accepts; return it.

        What moves for over two seconds is taken as it is then. Raises DisplayTimeoutError after `timeout` seconds.
        """
        screen, end = self.virtual.screen, time.monotonic() + _arguments.seconds(timeout, "a timeout is seconds")
        try:
            while True:
                screen.wait_for(self._is_something, _left(end))
                frame = self._at_rest(_left(end))
                whole = frame.image().convert("RGB")
                image = self.autocrop(whole)
                if image is not None and not autocrop:
                    image = whole
                if image is not None and (cb_imgcheck is None or cb_imgcheck(image)):
                    return image
                screen.wait_change(_left(end), since=frame)
        except WaitTimeout as error:
            wanted = "nothing was drawn" if cb_imgcheck is None else "nothing that cb_imgcheck accepts was drawn"
            raise DisplayTimeoutError(f"{wanted} within {quoted(timeout)} s", frame=error.frame) from error

    def _is_something(self, frame: Frame) -> bool:
        return self.autocrop(frame.image()) is not None

    def _at_rest(self, left: float) -> Frame:
        try:
            return self.virtual.screen.wait_stable(timeout=min(left, _LONGEST_REST)).frame
        except WaitTimeout as error:
            return error.frame


def _left(end: float) -> float:
    return max(0.0, end - time.monotonic())


def _taken(args: list[str], option: str) -> str | None:
    """Take an option and its value out of the words of a command line; return the value, the last one of several."""
    value = None
    while option in args[:-1]:
        at = args.index(option)
        value = _arguments.text(args[at + 1], f"the value of {option} in extra_args")
        del args[at : at + 2]
    return value


def _dots(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit()):
        raise InvalidArgument(f"-dpi is followed by a whole number, not {quoted(text)}")
    return int(text)
