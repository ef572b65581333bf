"""A Tk program that answers clicks late, beside a caret and a spinner; it prints what it did, with time.monotonic().

    python responsive.py [spinner]

The window is 400x300 at 0, 0. A text field has the focus, so that its caret blinks. `AREAS` are the rectangles to click
at. With "spinner" an arc turns at 25 steps a second. Each line that it prints is a word and a time.
"""

from __future__ import annotations

import sys
import time
import tkinter as tk

# By name: x, y, width, height. Those with a number answer after so many milliseconds, by another colour for good.
AREAS = {
    "20": (10, 100, 60, 30),
    "100": (90, 100, 60, 30),
    "300": (170, 100, 60, 30),
    "nothing": (250, 100, 60, 30),
    "flash": (10, 150, 60, 30),  # another colour for 100 ms
    "steps": (90, 150, 60, 30),  # six colours, 100 ms each
    "dialog": (170, 150, 60, 30),  # opens a window
    "menu": (250, 150, 60, 30),  # opens a window that closes again after 200 ms
    "start": (330, 150, 60, 30),  # starts the spinner after 400 ms
}
_COLOURS = ("#225588", "#cc5522")


class _Program:
    """The window, and what answers clicks in it."""

    def __init__(self) -> None:
        self.root = tk.Tk()
        self.root.geometry("400x300+0+0")
        self._canvas = tk.Canvas(self.root, width=400, height=300, highlightthickness=0, background="white")
        self._canvas.place(x=0, y=0)
        field = tk.Entry(self.root)
        field.place(x=10, y=10, width=200, height=30)
        field.insert(0, "text")
        field.focus_force()
        self._toggled = dict.fromkeys(AREAS, 0)
        self._items: dict[str, int] = {}
        for name, (x, y, width, height) in AREAS.items():
            item = self._canvas.create_rectangle(x, y, x + width, y + height, fill=_COLOURS[0], width=0)
            self._items[name] = item
        self._canvas.create_arc(330, 20, 380, 70, extent=90, width=6, style="arc", outline="black", tags="spinner")
        self._canvas.bind("<Button-1>", self._clicked)
        self.root.after(300, self.say, "ready")

    def say(self, word: str) -> None:
        """Print a word, once what was drawn is on its way."""
        self.root.update_idletasks()
        print(word, time.monotonic(), flush=True)

    def spin(self, angle: int = 0) -> None:
        """Turn the arc on and on."""
        self._canvas.itemconfigure("spinner", start=-angle)
        self.root.after(40, self.spin, (angle + 15) % 360)

    def _clicked(self, event: tk.Event[tk.Canvas]) -> None:
        for name, (x, y, width, height) in AREAS.items():
            if x <= event.x < x + width and y <= event.y < y + height:
                if name.isdigit():
                    self.root.after(int(name), self._toggle, name)
                elif name != "nothing":
                    getattr(self, f"_{name}")(name)

    def _toggle(self, name: str) -> None:
        self._toggled[name] += 1
        self._fill(name, _COLOURS[self._toggled[name] % 2])
        self.say(name)

    def _fill(self, name: str, colour: str) -> None:
        self._canvas.itemconfigure(self._items[name], fill=colour)

    def _flash(self, name: str) -> None:
        self._toggle(name)
        self.root.after(100, self._toggle, name)

    def _steps(self, name: str) -> None:
        first = 130 * (self._toggled[name] % 2)
        self._toggled[name] += 1
        for number in range(6):
            self.root.after(100 * number, self._fill, name, f"#{first + number * 20:02x}aa00")
        self.root.after(505, self.say, name)

    def _dialog(self, name: str) -> None:
        self.root.after(50, self._open, name, 0)

    def _menu(self, name: str) -> None:
        self.root.after(50, self._open, name, 200)

    def _open(self, name: str, milliseconds: int) -> None:
        top = tk.Toplevel(self.root)
        top.geometry("120x80+220+200")
        self.say(name)
        if milliseconds:
            self.root.after(milliseconds, top.destroy)

    def _start(self, name: str) -> None:
        self.root.after(400, self.spin)
        self.root.after(400, self.say, name)


def main() -> None:
    """Show the window, and answer clicks until the program is ended."""
    program = _Program()
    if "spinner" in sys.argv:
        program.spin()
    program.root.mainloop()


if __name__ == "__main__":
    main()
