"""Real programs on a test's display: started, waited for until they have painted, ended by their own process id."""

from __future__ import annotations

import re
import subprocess
import time
from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np
from reference import xwd

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from servers import Server

    from xshm.image.frame import Frame

_Found = TypeVar("_Found")
_PATIENCE = 15.0  # seconds; they are there in 0.2, but not on a machine that is busy with something else


class Programs:
    """Programs on one server, which end with the `with` block."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        """Start a program, and return at once."""
        proc = subprocess.Popen(
            command,
            env=self._server.env(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._running.append(proc)
        return proc

    def talk(self, *command: str) -> Callable[[str], None]:
        """Start a program; return a function that writes a line to its standard input."""
        proc = subprocess.Popen(
            command,
            env=self._server.env(),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._running.append(proc)
        stdin = proc.stdin
        assert stdin is not None

        def write(line: str) -> None:
            stdin.write(line.encode() + b"\n")
            stdin.flush()

        return write

    def show(self, title: str, *command: str) -> int:
        """Start a program; return the id of its window, which has this title, once its picture has come to rest."""
        self.start(*command)
        window = eventually(lambda: self.window(title))
        self.picture(window)
        return window

    def manage(self, *windows: int) -> subprocess.Popen[bytes]:
        """Start openbox, a window manager; return once it manages these windows.

        They are there before it: one that asks to be mapped while openbox starts may never be (seen with 3.6.1).
        """
        proc = self.start("openbox")
        for window in windows:
            self._wait_for_word("Normal", "xprop", "-id", str(window), "WM_STATE")
            self._wait_for_word("IsViewable", "xwininfo", "-id", str(window))
        return proc

    def _wait_for_word(self, word: str, *command: str) -> None:
        eventually(lambda: word in self.ask(*command))

    def window(self, title: str) -> int | None:
        """Return the id of a viewable window by its title, as `xwininfo` has it."""
        said = self.ask("xwininfo", "-name", title)
        found = re.search(r"Window id: (0x[0-9a-f]+)", said)
        return int(found[1], 16) if found and "Map State: IsViewable" in said else None

    def picture(self, window: int) -> NDArray[Any]:
        """Return a window's picture, B G R, inside its border, as `xwd` has it.

        Waits until it stays the same, and is of more than one colour.
        """
        last: list[NDArray[Any]] = []

        def rests() -> NDArray[Any] | None:
            pixels = xwd(self._server, window).pixels[..., :3]
            found = re.search(r"Border width: (\d+)", self.ask("xwininfo", "-id", str(window)))
            border = int(found[1]) if found else 0
            pixels = pixels[border : len(pixels) - border, border : pixels.shape[1] - border]
            steady = bool(last) and np.array_equal(pixels, last[-1]) and (pixels != pixels[0, 0]).any()
            last.append(pixels)
            return pixels if steady else None

        return eventually(rests)

    def ask(self, *command: str) -> str:
        """Run a program to its end, and return its output."""
        run = subprocess.run(command, env=self._server.env(), capture_output=True, check=False)
        return run.stdout.decode(errors="replace")

    def end(self, proc: subprocess.Popen[bytes]) -> None:
        """End one program."""
        proc.terminate()
        proc.wait(_PATIENCE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for proc in self._running:
            if proc.stdin is not None:
                proc.stdin.close()
            proc.terminate()
        for proc in self._running:
            proc.wait(_PATIENCE)


def same(frame: Frame, picture: NDArray[Any]) -> bool:
    """Tell whether a frame's colours are those of another picture; the fourth byte is none."""
    pixels = frame.pixels[..., :3] if frame.pixels.ndim == 3 else frame.pixels
    return np.array_equal(pixels, picture[..., :3] if picture.ndim == 3 else picture)


def eventually(look: Callable[[], _Found | None]) -> _Found:
    """Return what `look` finds as soon as it finds something; an assertion fails where it never does."""
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        found = look()
        if isinstance(found, np.ndarray) or found:
            return found
        time.sleep(0.05)
    raise AssertionError("it never came")
