"""A Tk program of this very process on a virtual display: python examples/tk_program.py [FILE.png].

The toolkit is led to the display by `activate`; what it draws is looked at in the server's own memory, without a
request for pixels. Needs Python's tkinter (Debian: package python3-tk).
"""

from __future__ import annotations

import sys
import tkinter as tk
from tkinter import ttk

from xshm import VirtualDisplay


def main() -> None:
    file = sys.argv[1] if len(sys.argv) > 1 else "tk-program.png"
    with VirtualDisplay(440, 290) as display, display.activate():
        root = tk.Tk()
        fill(root)
        root.wait_visibility()
        root.update()  # draws
        root.winfo_pointerxy()  # a round trip of Tk's: the server has done all that Tk has asked for
        pixels = display.framebuffer.pixels
        print(f"{(pixels[..., :3] != pixels[0, 0, :3]).any(axis=2).mean():.0%} of the screen is not background")
        display.framebuffer.grab().save(file)
        root.destroy()
    print(file)


def fill(root: tk.Tk) -> None:
    root.geometry("440x290+0+0")
    root.title("A form")
    frame = ttk.Frame(root, padding=24)
    frame.pack(fill="both", expand=True)
    for row, (label, value) in enumerate(
        [("Name", "Ada Lovelace"), ("Machine", "Analytical Engine"), ("Year", "1843")]
    ):
        ttk.Label(frame, text=label, width=10).grid(row=row, column=0, pady=6, sticky="w")
        entry = ttk.Entry(frame, width=32)
        entry.insert(0, value)
        entry.grid(row=row, column=1, pady=6)
    progress = ttk.Progressbar(frame, length=370, value=64)
    progress.grid(row=3, column=0, columnspan=2, pady=18)
    canvas = tk.Canvas(frame, width=370, height=70, background="white")
    canvas.grid(row=4, column=0, columnspan=2)
    for column, colour in enumerate(("#e41a1c", "#377eb8", "#4daf4a", "#984ea3", "#ff7f00")):
        canvas.create_oval(20 + 70 * column, 10, 70 + 70 * column, 60, fill=colour, width=0)


if __name__ == "__main__":
    main()
