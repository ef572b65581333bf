"""What tests do with a VirtualDisplay from outside, as other programs would: paint on it, resize it."""

from __future__ import annotations

import contextlib
import subprocess
from types import SimpleNamespace
from typing import TYPE_CHECKING

from painter import Painter

from xshm.virtual.display import VirtualDisplay

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray


def painting(display: VirtualDisplay, screen: int = 0) -> Painter:
    """Return a Painter on a screen of a display."""
    name = f"{display.name}.{screen}"
    return Painter(SimpleNamespace(name=name, authority=display.xauthority))  # type: ignore[arg-type]


@contextlib.contextmanager
def painted_pointer() -> Iterator[tuple[VirtualDisplay, NDArray[np.uint8], NDArray[np.uint8]]]:
    """Give a display whose server paints its pointer, the live pixels of that, and a copy.

    All of the pointer is within 30x30 pixels at 950, 530.
    """
    with VirtualDisplay(1920, 1080, cursor=True) as display:
        display.run("xsetroot -cursor_name left_ptr -solid orange").wait()
        display.framebuffer.sync()
        pixels = display.framebuffer.pixels[540:556, 960:976]
        painted = pixels.copy()
        assert (painted != display.framebuffer.pixels[0, 0]).any()
        yield display, pixels, painted


def resize(display: VirtualDisplay, width: int, height: int, screen: int = 0) -> None:
    """Give the screen another size, as a user of xrandr does: a mode that Xvfb does not have yet."""
    sizes = subprocess.run(["xrandr"], env=display.env(), capture_output=True, text=True, check=True).stdout
    env = display.env() | {"DISPLAY": f"{display.name}.{screen}"}
    name = f"{width}x{height}"
    commands = [["-s", name]]
    if f" {name} " not in sizes or screen:
        lines = [str(number) for number in (width, width, width, width, height, height, height, height)]
        commands = [["--newmode", name, "0", *lines], ["--addmode", "screen", name], *commands]
    for command in commands:
        subprocess.run(["xrandr", *command], env=env, check=True)
