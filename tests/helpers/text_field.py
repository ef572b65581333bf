"""A text field of several lines in a real program, and what it holds.

with TextField("tk", server) as field:            # "tk", "qt", "gtk" or "chromium"
    screen.click(*field.place)
    screen.type("text")
    assert field.holds("text")

/usr/bin/python3 text_field.py tk|qt|gtk          # the field: prints what it holds, as JSON, whenever that changes
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers import Server

    from xshm import Screen

_PATIENCE: Final = 30.0  # seconds, to start
_SOON: Final = 5.0  # seconds, for what was typed to be there
_TICK: Final = 20  # ms, between two looks of a program at its own field
# What it holds is in its title. Tab leaves a field in a browser, unless the page inserts it.
_PAGE: Final = """<!doctype html><meta charset="utf-8"><title>""</title>
<textarea autofocus spellcheck="false" style="position:absolute;left:0;top:0;width:400px;height:200px"></textarea>
<script>
  const field = document.querySelector("textarea")
  field.onkeydown = event => { if (event.key == "Tab") {
    event.preventDefault(); document.execCommand("insertText", false, "\\t") } }
  field.oninput = () => document.title = JSON.stringify(field.value)
</script>"""


class TextField:
    """A program with a text field at the upper left of a server's screen, 400x200, which has the focus.

    The one in Tk comes to its events only every `busy` seconds, and takes `slow` seconds for each key.
    """

    place = (200, 100)  # a point of it

    def __init__(self, toolkit: str, server: Server, busy: float = 0.0, slow: float = 0.0) -> None:
        self.contents: str | None = None  # what it holds, as far as the program has told; None before it is there
        self._closing = contextlib.ExitStack()
        environment = server.env() | {"LC_ALL": "C.UTF-8", "NO_AT_BRIDGE": "1"}
        if toolkit == "chromium":
            home = self._closing.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
            self._start(_chromium(home), environment, subprocess.DEVNULL)
            watch = self._start([sys.executable, __file__, "titles"], environment, subprocess.PIPE)
        else:
            # Debian's GTK and Qt are for its own Python.
            python = sys.executable if toolkit == "tk" else "/usr/bin/python3"
            watch = self._start([python, __file__, toolkit, str(busy), str(slow)], environment, subprocess.PIPE)
        threading.Thread(target=self._read, args=(watch.stdout,), daemon=True).start()
        try:
            assert self._comes(lambda: self.contents is not None, _PATIENCE), f"{toolkit} did not start"
        except BaseException:
            self._closing.close()
            raise

    def holds(self, text: str) -> bool:
        """Wait until it holds this text; return whether it ever does."""
        return self.becomes(lambda contents: contents == text)

    def becomes(self, right: Callable[[str], bool]) -> bool:
        """Wait until what it holds is right; return whether it ever is."""
        return self._comes(lambda: right(self.contents or ""), _SOON)

    def clear(self, screen: Screen) -> None:
        """Click into it, and delete what it holds."""
        screen.click(*self.place)
        for keys in ("ctrl+Home", "ctrl+shift+End", "Delete"):
            screen.press(keys)
        assert self.holds("")

    def _comes(self, there: Callable[[], bool], patience: float) -> bool:
        deadline = time.monotonic() + patience
        while not there():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True

    def _start(self, command: list[str], environment: dict[str, str], out: int) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.DEVNULL, text=True
        )
        if process.stdout is not None:
            self._closing.callback(process.stdout.close)
        self._closing.callback(process.wait)
        self._closing.callback(process.terminate)
        return process

    def _read(self, lines: Any) -> None:
        with contextlib.suppress(ValueError):  # it is closed
            for line in lines:
                self.contents = json.loads(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()


def _chromium(home: str) -> list[str]:
    return [
        *("chromium", "--kiosk", "--window-position=0,0", "--window-size=640,480", "--no-first-run", "--disable-gpu"),
        *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
        *(["--no-sandbox", "--test-type"] if os.geteuid() == 0 else []),  # the sandbox refuses root
        *(f"--user-data-dir={home}", f"--app=data:text/html,{quote(_PAGE)}"),
    ]


# -- the programs ------------------------------------------------------------------------------------------------------


class _Teller:
    """Prints what a field holds, when that changes."""

    def __init__(self, contents: Callable[[], str]) -> None:
        self._contents = contents
        self._last: str | None = None

    def look(self) -> bool:
        found = self._contents()
        if found != self._last:
            print(json.dumps(found), flush=True)
            self._last = found
        return True


def _tk() -> None:
    import tkinter as tk  # noqa: PLC0415 - of the program alone

    root = tk.Tk()
    root.geometry("400x200+0+0")
    field = tk.Text(root)
    field.pack()
    field.focus_force()
    field.bind("<Key>", lambda _event: time.sleep(float(sys.argv[3])))
    teller = _Teller(lambda: field.get("1.0", "end-1c"))

    def look() -> None:
        teller.look()
        time.sleep(float(sys.argv[2]))
        root.after(_TICK, look)

    root.after(300, look)
    root.mainloop()


def _qt() -> None:
    from PyQt5 import QtCore, QtWidgets  # type: ignore[import-not-found,unused-ignore] # noqa: PLC0415

    application = QtWidgets.QApplication(sys.argv)
    field = QtWidgets.QPlainTextEdit()
    field.setGeometry(0, 0, 400, 200)
    field.show()
    field.activateWindow()
    # toPlainText would give spaces for no-break spaces. Its paragraphs end in U+2029.
    teller = _Teller(lambda: field.document().toRawText().replace("\u2029", "\n"))
    timer = QtCore.QTimer()
    timer.timeout.connect(teller.look)
    QtCore.QTimer.singleShot(300, lambda: timer.start(_TICK))
    application.exec_()


def _gtk() -> None:
    import gi  # type: ignore[import-not-found,unused-ignore] # noqa: PLC0415

    gi.require_version("Gtk", "3.0")
    from gi.repository import GLib, Gtk  # type: ignore[import-not-found,unused-ignore] # noqa: PLC0415

    window = Gtk.Window()
    window.set_default_size(400, 200)
    field = Gtk.TextView()
    window.add(field)
    window.show_all()
    field.grab_focus()
    buffer = field.get_buffer()
    teller = _Teller(lambda: buffer.get_text(*buffer.get_bounds(), include_hidden_chars=True))
    GLib.timeout_add(300, lambda: GLib.timeout_add(_TICK, teller.look) and False)
    Gtk.main()


def _titles() -> None:
    """Tell the contents of the page, which are its window's title."""
    import xshm  # noqa: PLC0415 - of this program alone

    with xshm.Screen() as screen:
        with screen.wait_window(lambda window: window.title.startswith('"'), timeout=_PATIENCE):
            pass
        time.sleep(0.3)

        def contents() -> str:
            titles = [window.title for window in screen.windows() if window.title.startswith('"')]
            return str(json.loads(titles[-1])) if titles else ""

        teller = _Teller(contents)
        while teller.look():
            time.sleep(_TICK / 1000)


if __name__ == "__main__":
    {"tk": _tk, "qt": _qt, "gtk": _gtk, "titles": _titles}[sys.argv[1]]()
