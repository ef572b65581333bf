"""A Tk program to be tested: a form that asks for a name and a password, and greets who knows it.

With GUI_TESTS_BUG=1 in the environment it has a fault: it takes no password for the right one.
"""

from __future__ import annotations

import os
import tkinter as tk
from tkinter import ttk

_PASSWORD = "correct horse"  # noqa: S105 - of an example


def main() -> None:
    """Show the form until its window is closed."""
    root = tk.Tk()
    root.title("Log in")
    root.geometry("420x220+40+40")
    frame = ttk.Frame(root, padding=20)
    frame.pack(fill="both", expand=True)
    entries = []
    for row, label in enumerate(("Name", "Password")):
        ttk.Label(frame, text=label, width=10).grid(row=row, column=0, pady=6, sticky="w")
        entry = ttk.Entry(frame, width=28, show="•" if row else "")
        entry.grid(row=row, column=1, pady=6)
        entries.append(entry)
    answer = ttk.Label(frame, text="", foreground="#b02b2b")
    answer.grid(row=3, column=1, sticky="w")

    def log_in() -> None:
        name, password = (entry.get() for entry in entries)
        if password == _PASSWORD and not os.environ.get("GUI_TESTS_BUG"):
            answer.configure(text=f"Welcome, {name}!", foreground="#2b6e3f")
            root.title(f"Welcome, {name}")
        else:
            answer.configure(text="This password is wrong.")

    ttk.Button(frame, text="Log in", command=log_in).grid(row=2, column=1, pady=10, sticky="w")
    entries[0].focus_set()
    entries[1].bind("<Return>", lambda _: log_in())
    root.mainloop()


if __name__ == "__main__":
    main()
