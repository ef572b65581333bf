"""A Tk program that answers clicks late, beside a caret and a spinner; it prints what it did, with time.monotonic().

    python responsive.py [spinner]

The window is 400x300 at 0, 0, with a text field that has the focus (its caret blinks), and areas to click at: `AREAS`
has their rectangles. With "spinner" an arc turns at 25 steps a second. Each line that it prints is a word and a time.
"""

from __future__ import annotations

import sys
import time
import tkinter

# By name, x, y, width, height. Those with a number answer after so many milliseconds, by another colour for good.
AREAS = {
    "20": (10, 100, 60, 30),
    "100": (90, 100, 60, 30),
    "300": (170, 100, 60, 30),
    "nothing": (250, 100, 60, 30),
    "flash": (10, 150, 60, 30),  # another colour for 100 ms
    "steps": (90, 150, 60, 30),  # six colours, 100 ms each
    "dialog": (170, 150, 60, 30),  # opens a window called "Really?"
    "menu": (250, 150, 60, 30),  # opens a window called "Menu" that closes again
    "start": (330, 150, 60, 30),  # a spinner that runs from then on
}
_COLOURS = ("#225588", "#cc5522")


def main() -> None:
    """Show the window, and answer clicks until the program is ended."""
    root = tkinter.Tk()
    root.title("responsive")
    root.geometry("400x300+0+0")
    canvas = tkinter.Canvas(root, width=400, height=300, highlightthickness=0, background="white")
    canvas.place(x=0, y=0)
    field = tkinter.Entry(root)
    field.place(x=10, y=10, width=200, height=30)
    field.insert(0, "text")
    field.focus_force()
    toggled = dict.fromkeys(AREAS, 0)

    def say(word: str) -> None:
        root.update_idletasks()
        print(word, time.monotonic(), flush=True)

    def colour(name: str) -> None:
        toggled[name] += 1
        canvas.itemconfigure(f"area-{name}", fill=_COLOURS[toggled[name] % 2])
        say(name)

    def window(title: str, milliseconds: int) -> None:
        top = tkinter.Toplevel(root)
        top.title(title)
        top.geometry("120x80+220+200")
        say(title)
        if milliseconds:
            root.after(milliseconds, lambda: (top.destroy(), say("closed")))

    def spin(angle: int = 0) -> None:
        canvas.itemconfigure("spinner", start=-angle)
        root.after(40, spin, (angle + 15) % 360)

    def clicked(event: tkinter.Event[tkinter.Canvas]) -> None:
        name = next(
            (name for name, (x, y, w, h) in AREAS.items() if x <= event.x < x + w and y <= event.y < y + h), "nothing"
        )
        if name.isdigit():
            root.after(int(name), colour, name)
        elif name == "flash":
            colour(name)
            root.after(100, colour, name)
        elif name == "steps":
            for number in range(6):
                root.after(100 * number, lambda number=number: canvas.itemconfigure(f"area-{name}", fill=f"#{number * 20:02x}aa00"))
            root.after(520, say, name)
        elif name == "dialog":
            root.after(50, window, "Really?", 0)
        elif name == "menu":
            root.after(50, window, "Menu", 200)
        elif name == "start":
            root.after(100, spin)
            root.after(100, say, name)

    for name, (x, y, width, height) in AREAS.items():
        canvas.create_rectangle(x, y, x + width, y + height, fill=_COLOURS[0], width=0, tags=f"area-{name}")
    canvas.create_arc(330, 20, 380, 70, extent=90, width=6, style="arc", outline="black", tags="spinner")
    canvas.bind("<Button-1>", clicked)
    if "spinner" in sys.argv:
        spin()
    root.after(300, say, "ready")
    root.mainloop()


if __name__ == "__main__":
    main()
