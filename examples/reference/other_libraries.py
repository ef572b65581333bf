"""PyVirtualDisplay's names."""

# ruff: noqa: N802 - an example has the name of what it shows
from __future__ import annotations

import os
import subprocess

from xshm.compat import pyvirtualdisplay

OF = "xshm.compat.pyvirtualdisplay"


def Display() -> None:
    with pyvirtualdisplay.Display(size=(640, 480)) as display:
        subprocess.run(["xdpyinfo"], stdout=subprocess.DEVNULL, check=True)  # by os.environ
        print(display.new_display_var == os.environ["DISPLAY"], display.is_alive())
        print(display.virtual.screen.grab().size)  # all that xshm has


def SmartDisplay() -> None:
    with pyvirtualdisplay.SmartDisplay(size=(640, 480)) as display, subprocess.Popen(["xlogo"]) as logo:
        print(display.waitgrab(timeout=5).size)  # cut to what is not background
        logo.terminate()


def XStartError() -> None:
    try:
        pyvirtualdisplay.Display(extra_args=["-no-such-option"]).start()
    except pyvirtualdisplay.XStartError as error:
        print(error)


def XStartTimeoutError() -> None:
    try:
        pyvirtualdisplay.Display().stop()
    except pyvirtualdisplay.XStartTimeoutError as error:  # XStartError by its other name
        print(error)


def DisplayTimeoutError() -> None:
    with pyvirtualdisplay.SmartDisplay(size=(640, 480)) as display:
        try:
            display.waitgrab(timeout=0.1)
        except pyvirtualdisplay.DisplayTimeoutError as error:
            print(error, error.frame.rect)
