"""`VirtualDisplay.launch` returns when there is something to photograph, and ends the program where nothing comes."""

from __future__ import annotations

import math
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import xshm
from xshm.errors import InvalidArgument, InvalidType, WaitTimeout, WindowNotFound

if TYPE_CHECKING:
    from collections.abc import Iterator

# A Tk window "main" of 200x100 at 20, 20; {} is what it does besides.
_TK = """
import sys, time, tkinter
root = tkinter.Tk()
root.title("main")
root.geometry("200x100+20+20")
canvas = tkinter.Canvas(root, width=200, height=100, background="white", highlightthickness=0)
canvas.pack()
def paint(colour, x=0):
    canvas.create_rectangle(x, 0, x + 20, 100, fill=colour, width=0)
{}
root.mainloop()
"""


def _tk(*lines: str) -> list[str]:
    return [sys.executable, "-c", _TK.format("\n".join(lines))]


@pytest.fixture
def display() -> Iterator[xshm.VirtualDisplay]:
    with xshm.VirtualDisplay(640, 480) as display:
        yield display


def _colours(frame: xshm.Frame) -> set[tuple[int, ...]]:
    return {tuple(colour) for colour in np.unique(frame.rgb().reshape(-1, 3), axis=0).tolist()}


def test_a_program_is_there_to_be_photographed_when_launch_returns(display: xshm.VirtualDisplay) -> None:
    program = display.launch("xclock -geometry 164x164+10+10")
    frame = display.screen.grab()
    assert len(_colours(frame)) > 1
    assert program.window is not None
    with display.screen.window(program.window) as window:
        assert window.title == "xclock"
        shown = frame.pixels[window.rect.moved(*window.position).slices]
        assert np.array_equal(window.grab().rgb()[..., ::-1], shown[..., :3])


def test_what_is_painted_long_after_the_window_came_is_waited_for(display: xshm.VirtualDisplay) -> None:
    display.launch(_tk("root.after(1000, paint, 'red')"))
    assert display.screen.grab().pixel(25, 25) == (255, 0, 0)


def test_what_is_painted_bit_by_bit_is_waited_for_to_the_last(display: xshm.VirtualDisplay) -> None:
    display.launch(_tk("for step in range(10): root.after(100 * step, paint, 'blue', 20 * step)"))
    assert display.screen.grab().pixel(215, 25) == (0, 0, 255)


def test_a_window_that_stays_of_one_colour_counts_after_two_seconds(display: xshm.VirtualDisplay) -> None:
    begin = time.monotonic()
    display.launch(_tk())
    assert display.screen.grab().pixel(25, 25) == (255, 255, 255)
    assert time.monotonic() - begin > 2
    with pytest.raises(WaitTimeout, match=r"its window 0x\w+ is of one colour still after 1\.5 s"):
        display.launch(_tk(), timeout=1.5)


def test_one_window_of_several_is_waited_for_by_its_title_or_an_expression(display: xshm.VirtualDisplay) -> None:
    lines = ["paint('red')", "root.after(700, lambda: (root.title('page 7'), paint('lime')))"]
    for wanted in ("page 7", re.compile(r"page \d")):
        program = display.launch(_tk(*lines), wanted)
        assert display.screen.grab().pixel(25, 25) == (0, 255, 0)
        program.end()


def test_a_window_that_goes_again_is_not_the_one(display: xshm.VirtualDisplay) -> None:
    splash = "splash = tkinter.Toplevel(); splash.title('splash'); root.withdraw()"
    then = "root.after(150, lambda: (splash.destroy(), root.deiconify(), paint('red')))"
    program = display.launch(_tk(splash, then))
    assert program.window is not None
    with display.screen.window(program.window) as window:
        assert window.title == "main"
        assert window.grab().pixel(5, 5) == (255, 0, 0)


def test_a_program_that_starts_another_and_ends_well_is_waited_for_in_the_other(display: xshm.VirtualDisplay) -> None:
    program = display.launch(["sh", "-c", "(sleep 0.3; exec xlogo -geometry 50x50+10+10) & exit 0"])
    assert program.wait() == 0
    assert len(_colours(display.screen.grab((11, 11, 50, 50)))) > 1
    program.end()
    assert not display.screen.windows()


def test_without_composite_the_place_on_the_screen_is_looked_at() -> None:
    with xshm.VirtualDisplay(640, 480, args=["-extension", "Composite"]) as display:
        display.launch(_tk("root.after(700, paint, 'red')"))
        assert display.screen.grab().pixel(25, 25) == (255, 0, 0)


def test_without_composite_a_window_off_the_screen_is_told_when_the_time_is_over() -> None:
    with xshm.VirtualDisplay(640, 480, args=["-extension", "Composite"]) as display:
        with pytest.raises(WaitTimeout, match=r"xlogo, process \d+: the window 0x\w+ lies wholly off .*, after 0\.7 s"):
            display.launch("xlogo -geometry 50x50-500-500", timeout=0.7)
        assert not display.screen.windows()


@pytest.mark.parametrize("then", ["root.withdraw", "root.destroy"])
def test_without_composite_what_is_under_a_window_that_goes_is_not_taken_for_it(then: str) -> None:
    with (
        xshm.VirtualDisplay(640, 480, args=["-extension", "Composite"]) as display,
        pytest.raises((WaitTimeout, WindowNotFound), match=r"has shown no window|has no picture|ended with"),
    ):
        display.launch(_tk(f"root.after(700, {then})"), timeout=4)


def test_a_window_that_could_not_be_at_rest_for_long_enough_is_not_taken_for_it(display: xshm.VirtualDisplay) -> None:
    program = display.launch("xlogo")
    with pytest.raises(WaitTimeout, match=r"its window 0x\w+ has not been at rest for 0\.2 s after 0\.1 s"):
        program.wait_painted(display.screen, timeout=0.1)


def test_of_what_a_program_said_an_error_has_the_end_without_control_characters(display: xshm.VirtualDisplay) -> None:
    said = r"head -c 3000000 /dev/zero | tr '\0' a >&2; printf '\033[31mred\a\n' >&2; exit 3"
    with pytest.raises(WindowNotFound, match=r"it said: …a+\\x1b\[31mred\\x07$") as caught:
        display.launch(["sh", "-c", said])
    assert len(str(caught.value)) < 3000


def test_a_program_that_opens_its_standard_error_anew_leaves_no_hole_in_what_it_said(
    display: xshm.VirtualDisplay,
) -> None:
    said = "echo the first of three >&2; echo two >/dev/stderr; echo three >&2; exit 3"
    with pytest.raises(WindowNotFound, match=r"it said: two \| three$"):
        display.launch(["sh", "-c", said])


def test_a_program_that_ends_before_says_with_what_code_and_what_it_said(display: xshm.VirtualDisplay) -> None:
    command = ["sh", "-c", "for line in 1 2 3 4 5 6 7 8; do echo line $line >&2; done; exit 3"]
    with pytest.raises(
        WindowNotFound, match=r"sh ended with exit code 3 before it had a window; it said: line 3 \| .* \| line 8$"
    ):
        display.launch(command)
    with pytest.raises(WindowNotFound, match=r"exit code 1 before it had a window; it said: .*Can't open display"):
        display.launch(["env", "DISPLAY=:4711", "xclock"])
    with pytest.raises(WindowNotFound, match=r"exit code 5 before it had a window$"):
        display.launch(["sh", "-c", "echo unheard >&2; exit 5"], stderr=subprocess.DEVNULL)


def test_a_program_that_ends_with_its_window_on_the_screen_is_told_too(display: xshm.VirtualDisplay) -> None:
    with pytest.raises(WindowNotFound, match="ended with exit code 7"):
        display.launch(
            _tk("root.after(300, lambda: sys.exit(7))", "root.report_callback_exception = lambda *_: exit(7)")
        )


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("sleep 60", "sleep, process {pid}, has shown no window within 0.7 s"),
        (
            "xclock -update 0.05",
            "xclock, process {pid}: its window 0x.* is still being drawn after 0.7 s; run",
        ),
    ],
)
def test_when_the_time_is_over_there_is_a_picture_and_the_program_is_ended(
    display: xshm.VirtualDisplay, command: str, why: str
) -> None:
    with pytest.raises(WaitTimeout, match=why.format(pid=r"\d+")) as caught:
        display.launch(command, timeout=0.7)
    assert caught.value.frame.rect == display.screen.rect
    pid = re.search(r"process (\d+)", str(caught.value))
    assert pid is not None
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid[1]), 0)


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # closed it is: one of /proc that was being opened
def test_an_interrupted_launch_ends_the_program(display: xshm.VirtualDisplay, tmp_path: Path) -> None:
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    former = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            display.launch(["sh", "-c", f"echo $$ >{tmp_path}/pid; exec sleep 60"])
    finally:
        signal.signal(signal.SIGALRM, former)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_what_it_says_can_be_asked_for_later(display: xshm.VirtualDisplay) -> None:
    program = display.launch(_tk("paint('red')", "print('painted', file=sys.stderr, flush=True)"))
    assert program.said() == "painted\n"
    assert display.run("true").said() == ""


@pytest.mark.parametrize(
    ("verb", "words", "command"),
    [
        ("launch", ("xclock", "-update", "1"), r"launch\(\['xclock', '-update', '1'\]\)"),
        ("launch", ("xclock", "-update", "1", "-digital"), r"launch\(\['xclock', '-update', '1', '-digital'\]\)"),
        ("launch", (["xclock"], "-update", "1"), r"launch\(\['xclock', '-update', '1'\]\)"),
        ("run", ("sleep", "60"), r"run\(\['sleep', '60'\]\)"),
    ],
)
def test_words_that_are_given_one_by_one_are_refused_with_the_list_that_they_are_to_be(
    display: xshm.VirtualDisplay, verb: str, words: tuple[Any, ...], command: str
) -> None:
    with pytest.raises(InvalidType, match=f"a command is one list: {command}$"):
        getattr(display, verb)(*words)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"window": 5}, InvalidType),
        ({"timeout": "1"}, InvalidType),
        ({"timeout": -1}, InvalidArgument),
        ({"timeout": math.nan}, InvalidArgument),
        ({"command": ""}, InvalidArgument),
        ({"command": "sleep '60"}, InvalidArgument),
        ({"command": b"sleep 60"}, InvalidType),
        ({"command": None}, InvalidType),
        ({"command": Path("/bin/sleep")}, InvalidType),
        ({"command": ["sleep", 60]}, InvalidType),
        ({"start_new_session": True}, InvalidArgument),
        ({"command": "no-such-program"}, FileNotFoundError),
    ],
)
def test_wrong_arguments_are_refused(
    display: xshm.VirtualDisplay, arguments: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        display.launch(**{"command": "sleep 60"} | arguments)
    assert display.launch("xlogo").window
