"""`xshm.compat.pyvirtualdisplay` does what PyVirtualDisplay 3.0 does: one suite for both, then where they differ."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import pyvirtualdisplay.smartdisplay
from processes import ended
from pyvirtualdisplay.abstractdisplay import XStartError as TheirXStartError

import xshm
from xshm.compat import pyvirtualdisplay as ours

_THEIRS = (pyvirtualdisplay.smartdisplay.SmartDisplay, TheirXStartError)
_OURS = (ours.SmartDisplay, ours.XStartError)
# Between two clients of theirs (one looks whether it has started) the server resets itself, and may drop the next one's
# connection meanwhile: every test with a client takes this.
_NO_RESET: dict[Any, list[str]] = {_THEIRS[0]: ["-noreset"], _OURS[0]: []}
_LOGO = ["xlogo", "-geometry", "120x100+30+40"]


@pytest.fixture(params=[_THEIRS, _OURS], ids=["theirs", "ours"])
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("DISPLAY", ":before")
    monkeypatch.delenv("XAUTHORITY", raising=False)
    return request.param


def test_a_display_leads_programs_to_itself_while_it_is_started(library: Any) -> None:
    make, _ = library
    display = make(size=(320, 200), bgcolor="white", retries=3, extra_args=_NO_RESET[make])
    assert (display.is_alive(), display.pid, display.display) == (False, None, None)
    assert display.start() is display
    try:
        assert display.is_alive()
        assert os.environ["DISPLAY"] == display.new_display_var == f":{display.display}" == display.env()["DISPLAY"]
        said = subprocess.run(["xdpyinfo"], capture_output=True, text=True, check=True).stdout
        assert "dimensions:    320x200 pixels" in said
        assert "Xvfb" in Path(f"/proc/{display.pid}/cmdline").read_text()
        assert display.grab(autocrop=False).convert("RGB").getpixel((5, 5)) == (255, 255, 255)
        assert display.grab() is None
    finally:
        assert display.stop() is display
    assert not display.is_alive()
    assert os.environ["DISPLAY"] == ":before"
    assert "XAUTHORITY" not in os.environ
    assert ended(display.pid)


def test_the_environment_can_be_left_alone(library: Any) -> None:
    make, _ = library
    with make(manage_global_env=False, color_depth=16, extra_args=["+xinerama", *_NO_RESET[make]], dpi=120) as display:
        assert os.environ["DISPLAY"] == ":before"
        said = subprocess.run(["xdpyinfo"], env=display.env(), capture_output=True, text=True, check=True).stdout
        assert "dimensions:    1024x768 pixels" in said
        assert "resolution:    120x120 dots per inch" in said
        assert "depth of root window:    16 planes" in said
        assert "XINERAMA" in said
    assert os.environ["DISPLAY"] == ":before"


def test_a_display_is_started_once_and_stopped_only_then(library: Any) -> None:
    make, error = library
    display = make()
    with pytest.raises(error):
        display.stop()
    with display, pytest.raises(error):
        display.start()
    with pytest.raises(error):
        display.start()


def test_of_threads_that_start_a_display_at_the_same_time_one_does() -> None:
    display, failed = ours.Display(size=(64, 48)), []

    def start() -> None:
        try:
            display.start()
        except ours.XStartError as error:
            failed.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    display.stop()
    assert len(failed) == 3


@pytest.mark.parametrize("wrong", [{"backend": "wayland"}, {"backend": ""}, {"bgcolor": "green"}])
def test_what_no_display_has_is_refused(library: Any, wrong: dict[str, str]) -> None:
    make, _ = library
    if wrong == {"backend": ""}:
        with make(**wrong) as display:  # nothing at all, as None
            assert display.is_alive()
        return
    with pytest.raises((ValueError, KeyError)):
        make(**wrong).start()


def test_a_killed_server_is_noticed(library: Any) -> None:
    make, _ = library
    with make() as display:
        os.kill(display.pid, 9)
        deadline = time.monotonic() + 5
        while display.is_alive():
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_a_picture_is_waited_for_cut_and_checked() -> None:
    pictures: list[tuple[Any, Any]] = []
    for make, _ in (_THEIRS, _OURS):
        looked: list[tuple[int, int]] = []

        def check(image: Any, looked: list[tuple[int, int]] = looked) -> bool:
            looked.append(image.size)
            return bool(image.size == (120, 100))

        with make(size=(300, 200), extra_args=_NO_RESET[make]) as display, subprocess.Popen(_LOGO) as logo:
            pictures.append((display.waitgrab(timeout=10, cb_imgcheck=check), display.grab(autocrop=False)))
            assert looked[-1] == (120, 100)
            logo.terminate()
    (theirs, their_screen), (mine, my_screen) = pictures
    assert (mine.mode, mine.size) == (theirs.mode, theirs.size) == ("RGB", (120, 100))
    assert mine.tobytes() == theirs.tobytes()
    assert my_screen.tobytes() == their_screen.tobytes()


def test_a_picture_that_does_not_come_is_an_error_that_shows_what_was_there() -> None:
    with ours.SmartDisplay(size=(200, 100)) as display:
        with pytest.raises(ours.DisplayTimeoutError, match=r"^nothing was drawn within 0\.1 s$") as caught:
            display.waitgrab(timeout=0.1)
        assert (caught.value.frame.width, caught.value.frame.height) == (200, 100)
        with display.virtual.launch(["xlogo", "-geometry", "50x40+5+5"]):
            assert display.waitgrab(timeout=5).size == (50, 40)
            with pytest.raises(ours.DisplayTimeoutError, match="that cb_imgcheck accepts"):
                display.waitgrab(timeout=0.1, cb_imgcheck=lambda _: False)


def test_a_display_to_be_watched_is_refused_with_a_way_that_works(xvfb: Any) -> None:
    for wrong in ({"visible": True}, {"backend": "xephyr"}, {"backend": "xvnc"}):
        with pytest.raises(xshm.InvalidArgument, match="xshm view NAME --xauthority FILE") as caught:
            ours.Display(**wrong)
        assert "\n" not in str(caught.value)
    assert ours.Display(backend="xvfb", visible=True).pid is None  # as theirs: a backend that is named counts
    with ours.Display(size=(210, 120), manage_global_env=False) as display:
        shown = [
            sys.executable,
            "-m",
            "xshm",
            "view",
            display.new_display_var,
            "--xauthority",
            str(display.virtual.xauthority),
        ]
        with subprocess.Popen(shown, env=os.environ | xvfb.env()) as view, xshm.Screen(xvfb.name) as screen:
            found = screen.wait_window(re.compile(f"^{display.new_display_var} "))
            view.terminate()
            assert (found.rect.width, found.rect.height) == (210, 120)


def test_the_framebuffer_of_a_directory_can_be_read_by_others(tmp_path: Path) -> None:
    with (
        ours.Display(size=(64, 48), fbdir=str(tmp_path)),
        xshm.Framebuffer.open(tmp_path / "Xvfb_screen0") as framebuffer,
    ):
        assert framebuffer.pixels.shape == (48, 64, 4)


def test_options_that_a_display_has_parameters_for_are_taken(library: Any, tmp_path: Path) -> None:
    make, _ = library
    options = ["-nocursor", "-dpi", "90", "-dpi", "120", "-fbdir", str(tmp_path), "-fp", "built-ins"]
    options += _NO_RESET[make]
    with make(size=(640, 480), manage_global_env=False, extra_args=options) as display:
        said = subprocess.run(["xdpyinfo"], env=display.env(), capture_output=True, text=True, check=True).stdout
        assert "resolution:    120x120 dots per inch" in said
        said = subprocess.run(["xset", "q"], env=display.env(), capture_output=True, text=True, check=True).stdout
        assert "built-ins" in said
        with xshm.Framebuffer.open(tmp_path / "Xvfb_screen0") as framebuffer:
            assert framebuffer.pixels.shape == (480, 640, 4)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["-dpi", "many"], "-dpi is followed by a whole number, not 'many'"),
        (["-dpi"], "args has -dpi"),
        (["-fbdir", 5], "the value of -fbdir in extra_args is a text, not int"),
        (["-auth", "file"], "args has -auth"),
    ],
)
def test_options_without_a_right_value_are_refused(options: list[Any], why: str) -> None:
    with pytest.raises(xshm.XshmError, match=re.escape(why)):
        ours.Display(extra_args=options)


def test_a_server_that_does_not_start_says_why() -> None:
    with pytest.raises(ours.XStartError, match="no-such-option") as caught:
        ours.Display(extra_args=["-no-such-option"]).start()
    assert isinstance(caught.value, xshm.StartFailed)
    assert ours.XStartTimeoutError is ours.XStartError
    with pytest.raises(ours.XStartError, match="was not started"):
        ours.Display().env()


def test_access_takes_the_cookie_unless_everybody_is_let_in(tmp_path: Path) -> None:
    for extra, is_let_in in (((), False), (("-ac",), True)):
        with ours.Display(extra_args=extra, manage_global_env=False) as display:
            alone = {"DISPLAY": display.new_display_var, "HOME": str(tmp_path), "PATH": os.environ["PATH"]}
            run = subprocess.run(["xdpyinfo"], env=alone, capture_output=True, check=False)
            assert (run.returncode == 0) == is_let_in
