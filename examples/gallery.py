"""Pictures of what can be grabbed, each from a virtual display of its own: `python examples/gallery.py [DIRECTORY]`.

- page.png: a page in Chromium (left out where it is not installed).
- covered.png: a screen on which one window hides another, and the hidden one grabbed whole.
- alpha.png: a 32-bit window, its alpha kept, over a chequered ground.
- pointer.png: the pointer, blended in, four times its size.
- depths.png: the same colours on a 16-bit screen (above) and on a 24-bit one.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

import xshm

_PAGE = """<!doctype html><meta charset="utf-8"><title>Gallery</title>
<body style="margin:0;font:17px/1.6 'DejaVu Sans';color:#223">
<header style="background:linear-gradient(110deg,#16324f,#2a6f97 60%,#61a5c2);color:#fff;padding:34px 60px">
<h1 style="margin:0;font-weight:400;letter-spacing:1px">A page, photographed when it had come to rest</h1></header>
<main style="display:grid;grid-template-columns:2fr 1fr;gap:40px;padding:36px 60px">
<p>The browser runs on a display without hardware. Its window is drawn by the X server into memory that this process
maps too, so the picture was there the moment the page was. Nothing was encoded on the way; <b>what you see is what
numpy has</b>.</p>
<svg viewBox="0 0 200 150"><g fill="none" stroke-width="9">
<circle cx="70" cy="70" r="46" stroke="#e76f51"/><circle cx="110" cy="70" r="46" stroke="#2a9d8f"/>
<circle cx="90" cy="100" r="46" stroke="#e9c46a"/></g></svg></main>"""
_CHROMIUM = [
    *("chromium", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-quic", "--test-type", "--window-position=0,0"),
]


def page() -> Image.Image:
    """Take a page in a browser."""
    with tempfile.TemporaryDirectory() as home, xshm.VirtualDisplay(1000, 560) as display:
        file = Path(home, "page.html")
        file.write_text(_PAGE, encoding="utf-8")
        size = "--window-size=1000,560"
        command = [*_CHROMIUM, f"--user-data-dir={home}/profile", size, f"--app={file.as_uri()}"]
        display.launch(command, "Gallery", timeout=30)
        return display.screen.wait_stable(1).frame.image()


def covered() -> Image.Image:
    """Take a screen with a hidden window on it, and the hidden window."""
    with xshm.VirtualDisplay(500, 380) as display:
        display.run(["xsetroot", "-solid", "#24344f"]).wait()
        display.launch(["xlogo", "-title", "below", "-fg", "#c0392b", "-geometry", "300x300+30+40"])
        display.launch(["xclock", "-title", "above", "-render", "-padding", "12", "-geometry", "340x310+120+50"])
        whole = display.screen.grab().image()
        with display.screen.window("below") as window:
            hidden = window.grab().image()
    both = Image.new("RGB", (860, 380), "white")
    both.paste(whole, (0, 0))
    both.paste(hidden, (530, 40))
    return both


def alpha() -> Image.Image:
    """Take a window that has alpha."""
    with xshm.VirtualDisplay(640, 240) as display:
        xlib = display.screen.xlib
        screen = xlib.screen()
        depth = next(each for each in screen.allowed_depths if each.depth == 32)  # noqa: PLR2004 - the one with alpha
        visual = depth.visuals[0].visual_id
        colormap = screen.root.create_colormap(visual, 0)
        window = screen.root.create_window(
            0, 0, 640, 240, 0, 32, visual=visual, colormap=colormap, background_pixel=0, border_pixel=0
        )
        window.map()
        gc = window.create_gc()
        for column in range(640):
            opacity = column * 255 // 639
            red, blue = (opacity * shade // 255 for shade in (231, 81))
            gc.change(foreground=opacity << 24 | red << 16 | opacity * 111 // 255 << 8 | blue)
            window.fill_rectangle(gc, column, 30, 1, 180)
        xlib.sync()
        with display.screen.window(window.id) as grabbed:
            rgba = grabbed.grab().rgba().astype(int)
    rows, columns = np.indices((240, 640)) // 20
    ground = np.where((rows + columns) % 2, 200, 245)[..., None]
    shown = (rgba[..., :3] * rgba[..., 3:] + ground * (255 - rgba[..., 3:])) // 255
    return Image.fromarray(shown.astype(np.uint8))


def pointer() -> Image.Image:
    """Take the pointer."""
    with xshm.VirtualDisplay(640, 240) as display:
        display.run(["xsetroot", "-solid", "#3d7ea6", "-cursor_name", "hand2"]).wait()
        display.screen.xlib.screen().root.warp_pointer(70, 22)
        display.screen.xlib.sync()
        frame = display.screen.grab((0, 0, 160, 60), cursor=True)
        return frame.image().resize((640, 240), Image.Resampling.NEAREST)


def depths() -> Image.Image:
    """Take the same colours at two depths."""
    both = Image.new("RGB", (640, 240))
    for top, depth in ((0, 16), (120, 24)):
        with xshm.VirtualDisplay(640, 120, depth=depth) as display:
            xlib = display.screen.xlib
            root, gc = xlib.screen().root, xlib.screen().root.create_gc()
            for column in range(640):
                share = column / 639
                colour = (60 + 60 * share, 120 - 60 * share, 160 + 30 * share)
                bits = (5, 6, 5) if depth == 16 else (8, 8, 8)  # noqa: PLR2004 - the depths of above
                pixel = 0
                for value, width in zip(colour, bits, strict=True):
                    pixel = pixel << width | round(value) >> (8 - width)
                gc.change(foreground=pixel)
                root.fill_rectangle(gc, column, 0, 1, 120)
            xlib.sync()
            both.paste(display.screen.grab().image(), (0, top))
    return both


def main() -> None:
    directory = Path(sys.argv[1] if len(sys.argv) > 1 else "gallery")
    directory.mkdir(parents=True, exist_ok=True)
    for take in (page, covered, alpha, pointer, depths):
        if take is page and shutil.which("chromium") is None:
            print("page.png left out: Chromium is not installed (Debian: apt install chromium)")
            continue
        take().save(directory / f"{take.__name__}.png")
        print(directory / f"{take.__name__}.png")


if __name__ == "__main__":
    main()
