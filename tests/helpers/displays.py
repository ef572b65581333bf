"""What tests do with a VirtualDisplay from outside, as other programs would: paint on it, resize it."""

from __future__ import annotations

import subprocess
from types import SimpleNamespace
from typing import TYPE_CHECKING

from painter import Painter

if TYPE_CHECKING:
    from xshm.virtual.display import VirtualDisplay


def painting(display: VirtualDisplay, screen: int = 0) -> Painter:
    """Return a Painter on a screen of a display."""
    name = f"{display.name}.{screen}"
    return Painter(SimpleNamespace(name=name, authority=display.xauthority))  # type: ignore[arg-type]


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
