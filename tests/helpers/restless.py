"""Programs that never rest, and programs that load for a while: what waits have to tell apart.

    /usr/bin/python3 restless.py caret gtk|qt|tk     # a text field of 168x34 or so, with the focus and "text" in it
    python restless.py video X                       # 25 pictures a second, 320x240 at X, 0
    python restless.py load HOW X                    # loads for three seconds, 200x200 at X, 0; then a green square

HOW it loads: "repaint" (all anew every 200 ms), "list" (a row every 100 ms), "bar" (it fills, 50 steps a second),
"fade" (lighter and lighter, as often).
"""

from __future__ import annotations

import random
import sys
import time
import tkinter as tk

SECONDS = 3.0  # of loading
GREEN = (0, 200, 0)  # the square at 180, 180 once it has loaded


def _caret(toolkit: str) -> None:
    if toolkit == "gtk":
        import gi  # type: ignore[import-not-found,unused-ignore] # noqa: PLC0415 - Debian's python has it

        gi.require_version("Gtk", "3.0")
        from gi.repository import Gtk  # type: ignore[import-not-found,unused-ignore] # noqa: PLC0415

        window = Gtk.Window(title="caret")
        field = Gtk.Entry(text="text")
        window.add(field)
        window.show_all()
        field.grab_focus()
        field.set_position(-1)  # all of it was selected, and a selection has no caret
        Gtk.main()
    elif toolkit == "qt":
        from PyQt5 import QtWidgets  # type: ignore[import-not-found,unused-ignore] # noqa: PLC0415

        application = QtWidgets.QApplication(sys.argv)
        line = QtWidgets.QLineEdit("text")
        line.setWindowTitle("caret")
        line.show()
        line.setFocus()
        application.exec_()
    else:
        root = tk.Tk()
        root.title("caret")
        entry = tk.Entry(root)
        entry.insert(0, "text")
        entry.pack()
        entry.focus_force()
        root.mainloop()


def _canvas(x: int, width: int, height: int) -> tk.Canvas:
    root = tk.Tk()
    root.geometry(f"{width}x{height}+{x}+0")
    root.overrideredirect(boolean=True)
    canvas = tk.Canvas(root, width=width, height=height, highlightthickness=0, background="white")
    canvas.pack()
    root.update()
    return canvas


def _video(x: int) -> None:
    canvas = _canvas(x, 320, 240)
    image = tk.PhotoImage(width=80, height=60)
    canvas.create_image(160, 120, image=image)
    header = b"P6 80 60 255 "

    def show() -> None:
        canvas.after(40, show)
        image.configure(data=header + random.randbytes(80 * 60 * 3), format="ppm")

    show()
    canvas.mainloop()


def _load(how: str, x: int) -> None:
    canvas = _canvas(x, 200, 200)
    begin = time.monotonic()
    item = canvas.create_rectangle(10, 10, 10, 30, fill="blue", width=0)

    def step(number: int = 0) -> None:
        done = min((time.monotonic() - begin) / SECONDS, 1.0)
        if done >= 1:
            canvas.create_rectangle(170, 170, 195, 195, fill="#00c800", width=0)
            return
        canvas.after({"repaint": 200, "list": 100}.get(how, 20), step, number + 1)
        if how == "repaint":
            canvas.delete("all")
            for _ in range(20):
                corner = random.randrange(180), random.randrange(180)
                canvas.create_text(*corner, text=str(random.random()))
        elif how == "list":
            canvas.create_text(60, 5 + 6 * number, text=f"row {number} of a list")
        elif how == "bar":
            canvas.coords(item, 10, 10, 10 + 180 * done, 30)
        else:
            level = f"{int(255 * done):02x}"
            canvas.configure(background=f"#{level}{level}{level}")

    step()
    canvas.mainloop()


if __name__ == "__main__":
    what, *arguments = sys.argv[1:]
    if what == "caret":
        _caret(arguments[0])
    elif what == "video":
        _video(int(arguments[0]))
    else:
        _load(arguments[0], int(arguments[1]))
