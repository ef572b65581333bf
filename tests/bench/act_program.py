"""The Tk program of act.py: it answers keys after 20 to 300 ms, beside a caret that blinks, and prints what it did.

Each line is {at, state, busy, inputs} as JSON, once that is drawn; `at` is time.monotonic(). A letter is written below
the text field, "f" colours a square for 100 ms, "n" does nothing.
"""

from __future__ import annotations

import json
import random
import time
import tkinter as tk
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST = 30  # letters in the line


class _Program:
    def __init__(self) -> None:
        self.root = tk.Tk()
        self.root.geometry("800x600+0+0")
        field = tk.Entry(self.root, font=("monospace", 14))
        field.place(x=20, y=20, width=400, height=40)
        self._line = tk.Label(self.root, font=("monospace", 14), anchor="w")
        self._line.place(x=20, y=100, width=600, height=40)
        self._square = tk.Frame(self.root, width=60, height=40)
        self._square.place(x=20, y=200)
        self._plain = str(self._square.cget("background"))
        self._busy = self._inputs = 0
        field.bind("<Key>", self._pressed)
        field.focus_force()
        self.root.after(500, self._tell)

    def _tell(self) -> None:
        self.root.update_idletasks()  # which draws; it is sent as soon as this returns
        state = [self._line.cget("text"), str(self._square.cget("background"))]
        told = {"at": time.monotonic(), "state": state, "busy": self._busy, "inputs": self._inputs}
        print(json.dumps(told), flush=True)

    def _later(self, milliseconds: float, change: Callable[[], None]) -> None:
        def answer() -> None:
            self._busy -= 1
            change()
            self._tell()

        self._busy += 1
        self.root.after(round(milliseconds), answer)

    def _pressed(self, event: tk.Event[tk.Entry]) -> str:
        if event.char:  # not a modifier alone
            self._inputs += 1
            late = random.uniform(20, 300)
            if event.char == "f":
                self._later(late, self._flash)
            elif event.char != "n":
                self._later(late, lambda: self._write(event.char))
            self._tell()
        return "break"  # the field stays as it is

    def _write(self, letter: str) -> None:
        text = str(self._line.cget("text"))
        self._line.configure(text=(text if len(text) < _MOST else "") + letter)

    def _flash(self) -> None:
        self._square.configure(background="#c30")
        self._later(100, self._calm)

    def _calm(self) -> None:
        self._square.configure(background=self._plain)


if __name__ == "__main__":
    _Program().root.mainloop()
