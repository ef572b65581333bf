"""Virtual displays, their programs, and arrays drawn into windows."""

# ruff: noqa: N802 - an example has the name of what it shows
from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

import xshm

if TYPE_CHECKING:
    from pathlib import Path

OF = "xshm"


def VirtualDisplay(folder: Path) -> None:
    with xshm.VirtualDisplay(640, 480) as display:
        display.launch("xlogo")  # returns when its window is painted
        display.screen.grab().save(folder / "logo.png")
        print(display.name, display.env()["DISPLAY"])


def DisplaySpec() -> None:
    spec = xshm.DisplaySpec(width=640, height=480, dpi=120)  # a value: it can be pickled, and started elsewhere
    with xshm.VirtualDisplay.from_spec(spec) as display:
        print(display.spec == spec, spec.nbytes)


def ScreenSpec() -> None:
    with xshm.VirtualDisplay(640, 480, screens=[xshm.ScreenSpec(320, 200, depth=16)]) as display:
        print([(screen.width, screen.format.depth) for screen in display.screens])


def Framebuffer(display: xshm.VirtualDisplay) -> None:
    framebuffer = display.framebuffer  # of another process's server: Framebuffer.open(path)
    print(framebuffer.pixels[0, 0])  # the live screen, without a request
    framebuffer.sync()  # all that was drawn before is in it now
    print(framebuffer.grab((0, 0, 10, 10)).rgb().shape)


def Program(display: xshm.VirtualDisplay) -> None:
    with display.launch("xlogo") as program:  # or run(): a Popen
        print(program.pid, program.poll(), program.said())
    print(program.returncode)  # it has ended, and all that it had started


def Surface(display: xshm.VirtualDisplay) -> None:
    with xshm.Surface(320, 200, title="Noise") as surface:
        surface.show(np.random.default_rng(0).integers(0, 256, (200, 320, 3), np.uint8))
        with surface.draw((0, 0, 100, 50)) as pixels:  # the shared memory itself
            pixels[...] = 255
        surface.wait()  # the server has read it all
        print(display.screen.window("Noise").grab().pixel(0, 0))
