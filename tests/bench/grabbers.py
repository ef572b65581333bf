"""The contestants of grab.py: `python grabbers.py NAME DISPLAY WIDTH HEIGHT` grabs as rounds.py tells it to.

Each is used as its own documentation shows for many pictures in a row, and gives what it gives: an array of its own
(fastgrab), bytes (mss, python-xlib), a Pillow image.
"""

from __future__ import annotations

import sys

from rounds import serve


def ours(display: str, width: int, height: int) -> None:
    import xshm  # noqa: PLC0415 - a contestant loads only its own library

    with xshm.Screen(display) as screen:
        region = xshm.Rect(0, 0, width, height)
        serve(lambda: screen.grab(region))


def mss(display: str, width: int, height: int) -> None:
    from mss import MSS  # noqa: PLC0415

    with MSS(display=display) as grabber:
        region = {"left": 0, "top": 0, "width": width, "height": height}
        serve(lambda: grabber.grab(region))


def fastgrab(_: str, width: int, height: int) -> None:
    from fastgrab.screenshot import Screenshot  # noqa: PLC0415

    grabber = Screenshot("x11")  # of $DISPLAY
    serve(lambda: grabber.capture((0, 0, width, height)))


def pillow(display: str, width: int, height: int) -> None:
    from PIL import ImageGrab  # noqa: PLC0415

    # It always fetches the whole screen, and crops.
    serve(lambda: ImageGrab.grab((0, 0, width, height), xdisplay=display))


def python_xlib(display: str, width: int, height: int) -> None:
    from Xlib import X  # noqa: PLC0415
    from Xlib.display import Display  # noqa: PLC0415

    root = Display(display).screen().root
    serve(lambda: root.get_image(0, 0, width, height, X.ZPixmap, 0xFFFFFFFF))


CONTESTANTS = {"xshm": ours, "mss": mss, "fastgrab": fastgrab, "Pillow": pillow, "python-xlib": python_xlib}

if __name__ == "__main__":
    name, display, width, height = sys.argv[1:]
    CONTESTANTS[name](display, int(width), int(height))
