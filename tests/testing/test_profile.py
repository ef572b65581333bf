"""The stable profile: what programs show in two runs is equal, and no caret blinks."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np
import pytest

from xshm import VirtualDisplay
from xshm.errors import StartFailed
from xshm.testing import profile

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_HAS_CHROMIUM = shutil.which("chromium") is not None
_WATCHED = 1.2  # seconds: the longest that a caret is shown at once, GTK's, is 0.8
_POINT = (100, 20)  # of each field
_PROGRAMS = {
    "tk": """
import tkinter
root = tkinter.Tk()
root.title("field")
root.geometry("300x120+0+0")
entry = tkinter.Entry(root, width=40)
entry.insert(0, "Typed text")
entry.pack(pady=10)
tkinter.Label(root, text="Label 123").pack()
told = {"off": str(entry["insertofftime"])}
""",
    "gtk": """
import gi
gi.require_version("Gtk", "3.0")
from gi.repository import Gtk
window = Gtk.Window(title="field")
window.set_default_size(300, 120)
box = Gtk.Box(orientation=Gtk.Orientation.VERTICAL)
for each in (Gtk.Entry(text="Typed text"), Gtk.Label(label="Label 123"), Gtk.Button(label="Save")):
    box.add(each)
window.add(box)
window.show_all()
settings = Gtk.Settings.get_default()
names = ("gtk-enable-animations", "gtk-font-name", "gtk-theme-name", "gtk-xft-dpi", "gtk-xft-rgba")
told = {name: settings.get_property(name) for name in names} | {"scale": window.get_scale_factor()}
""",
    "qt": """
from PyQt5.QtCore import Qt
from PyQt5.QtWidgets import QApplication, QLabel, QLineEdit, QPushButton, QVBoxLayout, QWidget
application = QApplication([])
window = QWidget()
window.setWindowTitle("field")
window.resize(300, 120)
column = QVBoxLayout(window)
for each in (QLineEdit("Typed text"), QLabel("Label 123"), QPushButton("Save")):
    column.addWidget(each)
window.show()
font = application.font()
told = {"style": application.style().objectName(), "font": f"{font.family()} {font.pointSize()}"}
told |= {"ratio": window.devicePixelRatio(), "flash": application.cursorFlashTime()}
""",
}
_LOOPS = {"tk": "root.mainloop()", "gtk": "Gtk.main()", "qt": "application.exec()"}
_STABLE = {
    "tk": {"off": "0"},
    "gtk": {
        "gtk-enable-animations": False,
        "gtk-font-name": "DejaVu Sans 10",
        "gtk-theme-name": "Adwaita",
        "gtk-xft-dpi": 96 * 1024,
        "gtk-xft-rgba": "none",
        "scale": 1,
    },
    "qt": {"style": "fusion", "font": "DejaVu Sans 10", "ratio": 1.0, "flash": 0},
}
_PAGE = """<!doctype html><title>field</title><input autofocus value="Typed text" style="width:200px"><p>Label 123
<script>document.title = matchMedia("(prefers-reduced-motion: reduce)").matches + " " + devicePixelRatio</script>"""


class Shown:
    """A program with a text field in use: its picture, what it told, and how many pixels have blinked."""

    def __init__(self, toolkit: str, env: dict[str, str] | None, home: Path) -> None:
        tells = "import json\nprint(json.dumps(told), flush=True)"
        command = ["/usr/bin/python3", "-c", f"{_PROGRAMS.get(toolkit)}\n{tells}\n{_LOOPS.get(toolkit)}"]
        if toolkit == "chromium":
            command = _chromium(home)
        with VirtualDisplay(400, 200, args=("-extension", "GLX")) as display:
            if env is not None:
                profile.set_resources(display.screen)
            program = display.launch(command, env=env, timeout=30, stdout=subprocess.PIPE)
            self.title = display.screen.windows()[-1].title
            display.screen.click(*_POINT)
            window = display.screen.xlib.create_resource_object("window", display.screen.windows()[-1].id)
            window.set_input_focus(1, 0)
            display.screen.xlib.sync()
            time.sleep(0.3)
            self.blinked, self.picture = self._watch(display)
            assert program.stdout is not None
            self.told: Any = json.loads(program.stdout.readline()) if toolkit != "chromium" else None
            program.stdout.close()

    def _watch(self, display: VirtualDisplay) -> tuple[int, NDArray[np.uint8]]:
        first = display.screen.grab().copy()
        blinked = np.zeros(first.rgb().shape[:2], np.bool_)
        end = time.monotonic() + _WATCHED
        while time.monotonic() < end:
            blinked |= (display.screen.grab().rgb() != first.rgb()).any(axis=2)
            time.sleep(0.05)
        return int(blinked.sum()), first.rgb()


def _chromium(home: Path) -> list[str]:
    return [
        *("chromium", "--kiosk", "--window-position=0,0", "--window-size=400,200", "--no-first-run", "--disable-gpu"),
        *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
        *(["--no-sandbox", "--test-type"] if os.geteuid() == 0 else []),  # the sandbox refuses root
        *(f"--user-data-dir={home}", f"--app=data:text/html,{quote(_PAGE)}"),
    ]


@pytest.fixture(scope="module")
def stable(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return profile.stable(tmp_path_factory.mktemp("profile"))


@pytest.fixture(scope="module")
def shown(stable: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Shown]]:
    """Give each program without the profile and twice with it, Chromium once, all watched at the same time."""
    environments = (None, os.environ | stable, os.environ | stable)
    home = tmp_path_factory.mktemp("home")  # of one Chromium
    with ThreadPoolExecutor(10) as threads:
        started = {
            toolkit: [threads.submit(Shown, toolkit, each, home) for each in environments] for toolkit in _PROGRAMS
        }
        if _HAS_CHROMIUM:
            started["chromium"] = [threads.submit(Shown, "chromium", environments[1], home)]
        return {toolkit: [each.result() for each in programs] for toolkit, programs in started.items()}


@pytest.mark.parametrize("toolkit", _PROGRAMS)
def test_no_caret_blinks_and_two_runs_are_equal(toolkit: str, shown: dict[str, list[Shown]]) -> None:
    plain, one, other = shown[toolkit]
    assert plain.blinked > 10  # else this would show nothing
    assert (one.blinked, other.blinked) == (0, 0)
    assert np.array_equal(one.picture, other.picture)
    assert one.told == _STABLE[toolkit]


@pytest.mark.skipif(not _HAS_CHROMIUM, reason="chromium is not installed")
def test_chromium_has_caret_and_animations_as_gtk_has_them(shown: dict[str, list[Shown]]) -> None:
    (chromium,) = shown["chromium"]
    assert chromium.blinked == 0
    assert chromium.title.startswith("true 1")


def test_text_is_in_the_dejavu_fonts_and_in_no_others(stable: dict[str, str]) -> None:
    def ask(*command: str) -> str:
        return subprocess.run(command, env=os.environ | stable, capture_output=True, text=True, check=True).stdout

    assert {line.split(",")[0].split()[0] for line in ask("fc-list", ":", "family").splitlines()} == {"DejaVu"}
    for family, shown in (("Arial", "DejaVu Sans"), ("serif", "DejaVu Serif"), ("Courier", "DejaVu Sans Mono")):
        assert ask("fc-match", "-f", "%{family[0]}", family) == shown
    drawn = ask("fc-match", "-f", "%{antialias} %{hintstyle} %{rgba} %{autohint} %{dpi}", "sans")
    assert drawn == "True 1 5 False 96"


def test_resources_are_those_of_the_display() -> None:
    with VirtualDisplay(100, 100) as display:
        profile.set_resources(display.screen)
        said = subprocess.run(["xrdb", "-query"], env=display.env(), capture_output=True, text=True, check=True).stdout
    assert "*insertOffTime:\t0\n" in said
    assert "Xft.dpi:\t96\n" in said


def test_fonts_that_are_missing_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "fc-list"
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(StartFailed, match="fonts-dejavu-core"):
        profile.stable(tmp_path)
