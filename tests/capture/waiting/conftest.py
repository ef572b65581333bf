"""Fixtures of the waits: a program that answers clicks late, and a mouse."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import responsive
from painter import plain_display
from Xlib import X
from Xlib.ext import xtest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from servers import Server


class Responsive:
    """The program of `tests/helpers/responsive.py` on a server, and a mouse to click at its areas."""

    def __init__(self, server: Server, *words: str) -> None:
        self.display = plain_display(server)
        self._process = subprocess.Popen(
            [sys.executable, str(Path(responsive.__file__)), *words],
            env=server.env(),
            stdout=subprocess.PIPE,
            text=True,
        )
        self.await_word("ready")

    def click(self, name: str) -> None:
        """Click at the middle of an area; the server has taken the click when this returns."""
        x, y, width, height = responsive.AREAS[name]
        xtest.fake_input(self.display, X.MotionNotify, x=x + width // 2, y=y + height // 2)
        xtest.fake_input(self.display, X.ButtonPress, 1)
        xtest.fake_input(self.display, X.ButtonRelease, 1)
        self.display.sync()

    def await_word(self, word: str) -> float:
        """Return the time (time.monotonic) at which the program did what it calls by this word."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            said, at = line.rsplit(maxsplit=1)
            if said == word:
                return float(at)
        raise AssertionError(f"it ended without {word}")

    def close(self) -> None:
        """End the program."""
        self._process.kill()
        self._process.communicate()
        self.display.close()


@pytest.fixture
def responsive_on(make_server: Callable[..., Server]) -> Iterator[Callable[..., tuple[Server, Responsive]]]:
    """Give a function that starts the program on a server of its own; its words are the program's."""
    started: list[Responsive] = []

    def start(*words: str) -> tuple[Server, Responsive]:
        server = make_server("Xvfb", 640, 480)
        started.append(Responsive(server, *words))
        return server, started[-1]

    yield start
    for each in started:
        each.close()
