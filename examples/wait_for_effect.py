"""Type into a program and wait for each effect, beside the same with sleeps: how long it takes, and how often it works.

The program is an xterm on a virtual display; it answers each key with a colour, now sooner and now later.
Run it with: python examples/wait_for_effect.py
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from Xlib import X
from Xlib.ext import xtest

from xshm import VirtualDisplay
from xshm.errors import WaitTimeout

if TYPE_CHECKING:
    from collections.abc import Callable

    from xshm import Screen

# Paints the whole terminal after 20 to 300 ms, the same ones in each run.
_PROGRAM = r"""
import random, sys, time, tty
tty.setraw(0)
sys.stdout.write("\033[?25l\033[45m\033[2J"); sys.stdout.flush()
pick = random.Random(3)
while key := sys.stdin.read(1):
    time.sleep(pick.uniform(0.02, 0.3))
    sys.stdout.write({"r": "\033[41m", "g": "\033[42m", "b": "\033[44m"}[key] + "\033[2J"); sys.stdout.flush()
"""
_COLOURS = {"r": (205, 0, 0), "g": (0, 205, 0), "b": (0, 0, 238)}  # xterm's own
_READY = (205, 0, 205)
_KEYS = "rgbrgbrgbrgbrgb"
_SPOT = (200, 150)


def main() -> None:
    print(f"{'':14} {'seconds':>8}  effects seen")
    for name, effect in (
        ("wait_pixel", wait_for_it),
        ("sleep 0.1 s", lambda screen, key: sleep_and_look(screen, key, 0.1)),
        ("sleep 0.4 s", lambda screen, key: sleep_and_look(screen, key, 0.4)),
    ):
        seconds, seen = play(effect)
        print(f"{name:14} {seconds:8.2f}  {seen} of {len(_KEYS)}", flush=True)


def play(effect: Callable[[Screen, str], bool]) -> tuple[float, int]:
    """Start the program, type all keys, each after the last one's effect; return seconds, and how many were seen."""
    with VirtualDisplay(640, 480) as display:
        program = [sys.executable, "-c", _PROGRAM]
        display.run(["xterm", "-geometry", "100x34+0+0", "-b", "0", "-e", *program])
        screen = display.screen
        screen.wait_pixel(*_SPOT, _READY, timeout=10)
        begin = time.monotonic()
        seen = 0
        for key in _KEYS:
            press(screen, key)
            seen += effect(screen, key)
        return time.monotonic() - begin, seen


def press(screen: Screen, key: str) -> None:
    """Press a key and let it go, as a keyboard would (XTEST)."""
    code = screen.xlib.keysym_to_keycode(ord(key))
    for what in (X.KeyPress, X.KeyRelease):
        xtest.fake_input(screen.xlib, what, code)
    screen.xlib.sync()


def wait_for_it(screen: Screen, key: str) -> bool:
    """Go on as soon as the effect is there."""
    try:
        screen.wait_pixel(*_SPOT, _COLOURS[key], timeout=5)
    except WaitTimeout:
        return False
    return True


def sleep_and_look(screen: Screen, key: str, seconds: float) -> bool:
    """Hope that the effect is there by then."""
    time.sleep(seconds)
    return screen.grab().pixel(*_SPOT) == _COLOURS[key]


if __name__ == "__main__":
    main()
