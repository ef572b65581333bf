"""Suites of tests that run with the plugin, in directories and processes of their own; and pictures that they leave."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pytest

# A window that its fixture closes: red, at a place that its corner and its middle show.
WINDOW = """
import tkinter
import pytest

@pytest.fixture
def window(xshm_display):
    root = tkinter.Tk()
    root.title("A red window")
    root.configure(background="#ff0000")
    root.geometry("300x200+50+40")
    root.update()
    yield root
    root.destroy()
"""


@dataclass
class Suite:
    """A suite of tests, and what is left of its runs."""

    pytester: pytest.Pytester

    @property
    def path(self) -> Path:
        return self.pytester.path

    def write(self, name: str, text: str) -> None:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def command(self, *args: str, plugins: Sequence[str] = ()) -> list[str]:
        """Return the command of a run: with our plugin, these, and no others."""
        loaded = [word for name in ("xshm.testing.plugin", *plugins) for word in ("-p", name)]
        return [sys.executable, "-m", "pytest", "-W", "error", "-p", "no:cacheprovider", *loaded, *args]

    def run(self, *args: str, plugins: Sequence[str] = ()) -> pytest.RunResult:
        return self.pytester.run(*self.command(*args, plugins=plugins))

    def files(self, directory: str = "test-results") -> dict[str, Path]:
        """Return what tests have left, by the names inside the directory."""
        base = self.path / directory
        return {
            str(path.relative_to(base)): path
            for path in sorted(base.rglob("*"))
            if path.is_file() and path.name != ".xshm-files"
        }


def shows_window(path: Path) -> bool:
    """Return whether a picture has the red window, and nothing of it beside it."""
    with Image.open(path) as picture:
        rgb = picture.convert("RGB")
        inside = {rgb.getpixel((60, 50)), rgb.getpixel((200, 140)), rgb.getpixel((340, 230))}
        return inside == {(255, 0, 0)} and rgb.getpixel((500, 140)) != (255, 0, 0)
