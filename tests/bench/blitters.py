"""The contestants of blit.py: `python blitters.py NAME DISPLAY Y WIDTH HEIGHT` draws as rounds.py tells it to.

Each opens a window at 0, Y, and shows one picture again and again, waiting each time until the server has it.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
from rounds import serve

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


def _picture(width: int, height: int, channels: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), np.uint8)


def _surface(display: str, y: int, width: int, height: int, way: str = "auto") -> Any:
    from xshm.surface.surface import Surface  # noqa: PLC0415 - a contestant loads only its own library

    return Surface(width, height, display=display, position=(0, y), way=way)


def draw(display: str, y: int, width: int, height: int, way: str = "auto") -> None:
    surface = _surface(display, y, width, height, way)
    with surface.draw() as pixels:
        pixels[...] = 0x55  # as the C loop does; memory that was never written is read faster

    def present() -> None:
        with surface.draw():
            pass
        surface.wait()

    serve(present)


def draw_put(display: str, y: int, width: int, height: int) -> None:
    draw(display, y, width, height, way="put")


def _shown(channels: int, order: str) -> Callable[[str, int, int, int], None]:
    def show(display: str, y: int, width: int, height: int) -> None:
        surface = _surface(display, y, width, height)
        picture = _picture(width, height, channels)

        def present() -> None:
            surface.show(picture, order=order)
            surface.wait()

        serve(present)

    return show


def mirror(display: str, y: int, width: int, height: int) -> None:
    import xshm  # noqa: PLC0415

    surface = _surface(display, y, width, height)
    screen = xshm.Screen(display)
    frame = screen.grab((0, 0, width, height))
    frame.pixels[...] = 0x55

    def present() -> None:
        surface.show_frame(frame)
        surface.wait()

    serve(present)


def pygame(display: str, y: int, width: int, height: int) -> None:
    os.environ |= {"DISPLAY": display, "SDL_VIDEO_WINDOW_POS": f"0,{y}", "PYGAME_HIDE_SUPPORT_PROMPT": "1"}
    import pygame  # noqa: PLC0415

    pygame.display.init()
    window = pygame.display.set_mode((width, height), pygame.NOFRAME)
    picture = _picture(width, height, 3)

    def present() -> None:
        pygame.event.pump()
        window.blit(pygame.image.frombuffer(picture.data, (width, height), "RGB"), (0, 0))
        pygame.display.flip()

    serve(present)


def image_tk(display: str, y: int, width: int, height: int) -> None:
    import tkinter as tk  # noqa: PLC0415

    from PIL import Image, ImageTk  # noqa: PLC0415

    root = tk.Tk(screenName=display)
    root.overrideredirect(boolean=True)
    root.geometry(f"{width}x{height}+0+{y}")
    image = Image.fromarray(_picture(width, height, 3))
    photo = ImageTk.PhotoImage(image)
    tk.Label(root, image=photo, borderwidth=0).pack()
    root.update()

    def present() -> None:
        photo.paste(image)
        root.update()
        root.winfo_pointerx()  # a round trip

    serve(present)


def python_xlib(display: str, y: int, width: int, height: int) -> None:
    from Xlib import X  # noqa: PLC0415
    from Xlib.display import Display  # noqa: PLC0415

    connection = Display(display)
    screen = connection.screen()
    window = screen.root.create_window(0, y, width, height, 0, screen.root_depth, override_redirect=True)
    window.map()
    gc = window.create_gc()
    picture = _picture(width, height, 4)
    rows = 262_000 // (4 * width)

    def present() -> None:
        for top in range(0, height, rows):
            band = picture[top : top + rows]
            window.put_image(gc, 0, top, width, len(band), X.ZPixmap, screen.root_depth, 0, band.tobytes())
        connection.sync()

    serve(present)


CONTESTANTS = {
    "xshm, draw()": draw,
    "xshm, draw(), way='put'": draw_put,
    "xshm, show_frame()": mirror,
    "xshm, show(B G R X)": _shown(4, "bgr"),
    "xshm, show(R G B)": _shown(3, "rgb"),
    "pygame": pygame,
    "Pillow, ImageTk": image_tk,
    "python-xlib": python_xlib,
}

if __name__ == "__main__":
    name, display, y, width, height = sys.argv[1:]
    CONTESTANTS[name](display, int(y), int(width), int(height))
