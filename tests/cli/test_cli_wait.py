"""`xshm wait`: what it waits for, and the exit codes that scripts go by."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from colours import BLUE, GREEN, RED
from PIL import Image

import xshm
from xshm.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from painter import Painter
    from servers import Server


@pytest.fixture
def wait(xvfb: Server) -> Callable[..., int]:
    return lambda *arguments: main.main(["wait", "--display", xvfb.name, *arguments])


def later(act: Callable[..., object], *args: Any) -> threading.Timer:
    timer = threading.Timer(0.3, act, args)
    timer.start()
    return timer


def test_a_change_ends_it_with_0_and_says_where(
    wait: Callable[..., int], painter: Painter, capsys: pytest.CaptureFixture[str]
) -> None:
    painter.fill((0, 0, 300, 300), BLUE)
    timer = later(painter.fill, (100, 90, 20, 10), RED)
    assert wait("--change", "--timeout", "10", "--json") == 0
    timer.join()
    result = json.loads(capsys.readouterr().out)
    assert result["seen"] is True
    assert result["rects"] == [[100, 90, 20, 10]]
    assert result["ratio"] == pytest.approx(200 / (1280 * 800))


def test_a_change_in_a_region_is_told_in_the_coordinates_of_the_screen(
    wait: Callable[..., int], painter: Painter, capsys: pytest.CaptureFixture[str]
) -> None:
    painter.fill((0, 0, 300, 300), BLUE)
    timer = later(painter.fill, (100, 90, 20, 10), RED)
    assert wait("--change", "-g", "200x150+50+40", "--timeout", "10", "--json") == 0
    timer.join()
    assert json.loads(capsys.readouterr().out)["rects"] == [[100, 90, 20, 10]]


def test_time_that_runs_out_ends_it_with_1_and_what_was_seen(
    wait: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    begin = time.monotonic()
    assert wait("--change", "--timeout", "0.2") == 1
    assert wait("--stable", "--quiet", "0.1", "--timeout", "5") == 0
    assert time.monotonic() - begin < 5
    assert capsys.readouterr() == ("", "xshm: nothing changed within 0.2 s\n")
    assert wait("--change", "--timeout", "0", "--json") == 1
    assert json.loads(capsys.readouterr().out) == {"seen": False}


def test_a_pixel_is_waited_for(wait: Callable[..., int], painter: Painter) -> None:
    painter.fill((0, 0, 50, 50), BLUE)
    timer = later(painter.fill, (0, 0, 50, 50), GREEN)
    assert wait("--pixel", "10,20,#00ff00") == 0
    timer.join()
    assert wait("--pixel", "10,20,lime", "--timeout", "0") == 0


def test_a_pixel_that_has_another_colour_is_named_with_it_in_one_line(
    wait: Callable[..., int], painter: Painter, capsys: pytest.CaptureFixture[str]
) -> None:
    painter.fill((0, 0, 50, 50), BLUE)
    assert wait("--pixel", "10,20,#00ff00", "--timeout", "0", "--json") == 1
    said = capsys.readouterr()
    assert json.loads(said.out) == {"seen": False}
    assert said.err == "xshm: the colour (0, 255, 0) at 10, 20 did not come within 0.0 s; it is (0, 0, 255)\n"


def test_a_picture_is_waited_for_in_a_region(
    wait: Callable[..., int], xvfb: Server, painter: Painter, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    painter.noise((200, 100, 30, 20))
    picture = tmp_path / "picture.png"
    xshm.grab((200, 100, 30, 20), display=xvfb.name).save(picture)
    assert wait("--image", str(picture), "-g", "300x200+100+50", "--timeout", "0", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"seen": True, "rect": [200, 100, 30, 20], "difference": 0.0}
    assert wait("--image", str(picture), "-g", "300x200+300+50", "--timeout", "0") == 1


def test_calm_leaves_out_what_is_ignored(wait: Callable[..., int], painter: Painter) -> None:
    over = threading.Event()

    def blink() -> None:
        turn = 0
        while not over.wait(0.03):
            turn += 1
            painter.fill((50, 60, 2, 12), (0, 0, 250 if turn % 2 else 5))

    thread = threading.Thread(target=blink)
    thread.start()
    try:
        assert wait("--stable", "--quiet", "0.2", "--timeout", "0.5") == 1
        assert wait("--stable", "--quiet", "0.2", "--timeout", "5", "--ignore", "10x20+45+55") == 0
        assert wait("--stable", "--quiet", "0.2", "--timeout", "5", "--threshold", "0.001") == 0
    finally:
        over.set()
        thread.join()


def test_a_window_is_looked_at_though_it_is_covered(wait: Callable[..., int], painter: Painter) -> None:
    window = painter.window((10, 10, 100, 100), BLUE, title="waited for")
    painter.window((0, 0, 200, 200), GREEN)
    for named, x in (("waited for", 5), (hex(window.id), 50)):
        timer = later(painter.fill, (x, 5, 3, 3), RED, window)
        assert wait("--pixel", f"{x},5,red", "--window", named) == 0
        timer.join()


def test_a_window_that_appears_is_waited_for_and_described(
    wait: Callable[..., int], painter: Painter, capsys: pytest.CaptureFixture[str]
) -> None:
    timer = later(painter.window, (30, 40, 60, 50), BLUE, "Save as")
    assert wait("--window-appears", "Save as", "--json") == 0
    timer.join()
    said = json.loads(capsys.readouterr().out)
    assert (said["seen"], said["title"], said["rect"]) == (True, "Save as", [30, 40, 60, 50])
    for title in ("Save as", "/^Save.*s$/"):
        assert wait("--window-appears", title, "--timeout", "0") == 0
        with pytest.raises(SystemExit):
            wait("--window-appears", title, "--change")
    assert capsys.readouterr().out == ""
    painter.window((100, 40, 60, 50), RED, "Save as")
    assert wait("--window-appears", "Save as") == 2
    assert "2 windows answer to the title 'Save as'" in capsys.readouterr().err


def test_a_window_that_does_not_appear_ends_it_with_1_and_a_list_in_one_line(
    wait: Callable[..., int], painter: Painter, capsys: pytest.CaptureFixture[str]
) -> None:
    painter.window((30, 40, 60, 50), BLUE, "another one")
    assert wait("--window-appears", "another", "--timeout", "0.1", "--json") == 1
    said = capsys.readouterr()
    assert json.loads(said.out) == {"seen": False}
    assert said.err.startswith(
        "xshm: no window answered to the title 'another' (all of it; /another/ finds a part) within 0.1 s; there are: "
    )
    assert said.err.count("\n") == 1
    assert "'another one' (no class) 60x50+30+40" in said.err


def test_a_window_that_goes_is_waited_for_by_id_title_or_expression(
    wait: Callable[..., int], painter: Painter, capsys: pytest.CaptureFixture[str]
) -> None:
    def destroy(window: Any) -> None:
        window.destroy()
        painter.display.sync()

    window = painter.window((30, 40, 60, 50), BLUE, "4711")
    for named in (hex(window.id), str(window.id), "4711", "/47/"):
        assert wait("--window-gone", named, "--timeout", "0.1") == 1
        assert "did not go within 0.1 s" in capsys.readouterr().err
        timer = later(destroy, window)
        assert wait("--window-gone", named, "--json") == 0
        timer.join()
        assert json.loads(capsys.readouterr().out) == {"seen": True}
        assert wait("--window-gone", named, "--timeout", "0") == 0
        window = painter.window((30, 40, 60, 50), BLUE, "4711")


def test_a_caret_keeps_nothing_from_rest_unless_rhythms_count(
    wait: Callable[..., int], painter: Painter, capsys: pytest.CaptureFixture[str]
) -> None:
    over = threading.Event()

    def blink() -> None:
        turn = 0
        while not over.wait(0.1):
            turn += 1
            painter.fill((50, 60, 2, 12), (0, 0, 250 if turn % 2 else 5))

    painter.fill((0, 0, 300, 300), BLUE)
    thread = threading.Thread(target=blink)
    thread.start()
    try:
        assert wait("--stable", "--quiet", "0.4", "--timeout", "15", "--json") == 0
        (moving,) = json.loads(capsys.readouterr().out)["moving"]
        assert moving["rect"] == [50, 60, 2, 12]
        assert 0.05 < moving["period"] < 0.4
        assert wait("--stable", "--quiet", "0.4", "--timeout", "2", "--rhythms", "count") == 1
        assert "--rhythms" in capsys.readouterr().err
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--change", "--rhythms", "count"], "--rhythms goes with --stable"),
        (["--window-appears", "x", "-g", "5x5+0+0"], "--geometry"),
        (["--window-appears", "x", "--threshold", "0"], "--threshold"),
        (["--window-appears", "x", "--quiet", "1"], "--stable"),
        (["--window-gone", "x", "-i", "x"], "--window"),
        (["--window-appears", "/(/"], "no regular expression"),
        (["--window-gone", "/(/"], "no regular expression"),
        (["--pixel", "nonsense"], "X,Y,COLOUR"),
        (["--pixel", "1,2,no-colour"], "no colour"),
        (["--pixel", "9000,2,red"], "1280x800"),
        (["--pixel", "1,2,red", "-g", "5x5+0+0"], "--geometry"),
        (["--image", "/nowhere/at/all.png"], "No such file"),
        (["--change", "-g", "9000x9000+0+0"], "1280x800"),
        (["--change", "--threshold", "7"], "threshold"),
        (["--change", "--ignore", "5x5+0+0"], "--stable"),
        (["--stable", "--quiet", "5", "--timeout", "1"], "quiet"),
        (["--change", "--window", "there is no such window"], "no such window"),
    ],
)
def test_an_error_ends_it_with_2_and_one_line(
    wait: Callable[..., int], capsys: pytest.CaptureFixture[str], arguments: list[str], word: str
) -> None:
    assert wait(*arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert word in said.err


def test_one_thing_to_wait_for_has_to_be_named(wait: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], ["--change", "--stable"], ["--change", "--timeout", "-3"]):
        with pytest.raises(SystemExit) as ended:
            wait(*arguments)
        assert ended.value.code == 2
        assert capsys.readouterr().err.endswith("; see xshm wait --help\n")


def test_it_runs_as_a_command_of_its_own(xvfb: Server, tmp_path: Path) -> None:
    Image.fromarray(np.full((3, 3, 3), 77, np.uint8)).save(tmp_path / "gray.png")
    command = [sys.executable, "-m", "xshm", "wait", "--image", str(tmp_path / "gray.png"), "--timeout", "0.1"]
    run = subprocess.run(command, env=xvfb.env(), capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr.startswith("xshm: the picture of 3x3 did not come within 0.1 s")
    assert run.stderr.count("\n") == 1
