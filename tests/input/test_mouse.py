"""Clicks, drags and wheels: which events a program gets, where, and what is refused before anything is sent."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from interrupts import Interrupt, interrupted_after
from programs import Programs, eventually
from round_trips import relayed
from Xlib import X

import xshm
from xshm.errors import Closed, ExtensionMissing, InvalidArgument, InvalidType, OutOfBounds, WindowGone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from servers import Server

# A drawing program: a line follows the pointer while the left button is down. It prints the events that it gets.
_DRAWING = """
import json, sys, tkinter as tk
root = tk.Tk(); root.title("drawing"); root.geometry("300x200+40+30")
canvas = tk.Canvas(root, width=300, height=200, background="white", highlightthickness=0); canvas.pack()
last = []
def tell(event):
    print(json.dumps([str(event.type), event.num, event.x, event.y, event.state]), flush=True)
def begin(event): last[:] = [event.x, event.y]; tell(event)
def draw(event):
    canvas.create_line(*last, event.x, event.y, fill="red"); last[:] = [event.x, event.y]; tell(event)
for button in range(1, 10):
    try: canvas.bind(f"<Button-{button}>", begin); canvas.bind(f"<ButtonRelease-{button}>", tell)
    except tk.TclError: pass
canvas.bind("<Double-Button-1>", lambda event: print(json.dumps(["double", 1, event.x, event.y, 0]), flush=True))
canvas.bind("<B1-Motion>", draw)
canvas.bind("<Motion>", tell)
root.after(300, lambda: print("[]", flush=True))
root.mainloop()
"""
PRESS, RELEASE, MOTION = "4", "5", "6"


class Drawing:
    """The program, and the events that it got."""

    def __init__(self, server: Server) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _DRAWING], env=server.env(), stdout=subprocess.PIPE, text=True
        )
        self.events: list[list[Any]] = []
        threading.Thread(target=self._read, daemon=True).start()
        eventually(lambda: self.events)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.events.append(json.loads(line))

    def gets(self, wanted: list[list[Any]]) -> bool:
        """Wait for these presses and releases; whether they are all that came, in order."""
        deadline = time.monotonic() + 5
        while len(self._buttons()) < len(wanted) and time.monotonic() < deadline:
            time.sleep(0.01)
        found = self._buttons()
        self.events.clear()
        return found == wanted

    def _buttons(self) -> list[list[Any]]:
        return [event[:4] for event in self.events if event and event[0] in (PRESS, RELEASE, "double")]

    def close(self) -> None:
        self._process.terminate()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


@pytest.fixture(scope="module")
def drawing(server: Server) -> Iterator[Drawing]:
    drawing = Drawing(server)
    yield drawing
    drawing.close()


@pytest.fixture
def window(drawing: Drawing, screen: xshm.Screen) -> Iterator[xshm.Window]:
    drawing.events.clear()
    with screen.window("drawing") as window:
        yield window


def test_a_click_is_where_it_was_asked_for(drawing: Drawing, screen: xshm.Screen, window: xshm.Window) -> None:
    left, top = window.position
    screen.click(left + 7, top + 9)
    assert drawing.gets([[PRESS, 1, 7, 9], [RELEASE, 1, 7, 9]])
    window.click(20, 30, "right")
    assert drawing.gets([[PRESS, 3, 20, 30], [RELEASE, 3, 20, 30]])
    time.sleep(0.6)  # else the next one is a double click's second
    window.click(5, 6, count=2)
    both = [[PRESS, 1, 5, 6], [RELEASE, 1, 5, 6]]
    assert drawing.gets([*both, ["double", 1, 5, 6], both[1]])


def test_a_click_is_in_its_window_wherever_that_was_moved_to(
    drawing: Drawing, window: xshm.Window, screen: xshm.Screen
) -> None:
    for place in ((100, 90), (3, 200), (40, 30)):
        window_in_xlib = screen.xlib.create_resource_object("window", window.id)
        outer = window_in_xlib.query_tree().parent
        moved = outer if outer.id != screen.xlib.screen().root.id else window_in_xlib
        moved.configure(x=place[0], y=place[1])
        screen.xlib.sync()
        window.click(11, 12, 2)
        assert drawing.gets([[PRESS, 2, 11, 12], [RELEASE, 2, 11, 12]])


def test_modifiers_are_held_during_a_click(drawing: Drawing, window: xshm.Window) -> None:
    window.click(50, 50, modifiers=("ctrl", "shift"))
    eventually(lambda: [event for event in drawing.events if event and event[0] == PRESS])
    press = next(event for event in drawing.events if event and event[0] == PRESS)
    assert press[4] & 0xFF == 1 | 4
    window.move(60, 60)
    eventually(lambda: [event for event in drawing.events if event and event[:4] == [MOTION, "??", 60, 60]])
    assert drawing.events[-1][4] & 0xFF == 0


def test_a_drag_draws_a_line(drawing: Drawing, window: xshm.Window) -> None:
    def ink() -> int:
        pixels = window.grab().pixels
        return int(((pixels[..., 2] > 200) & (pixels[..., 1] < 80)).sum())

    before = ink()
    window.drag(100, 20, 180, 100)
    eventually(lambda: ink() >= before + 80)
    diagonal = window.grab((100, 20, 80, 80)).pixels
    assert all(diagonal[place, place, 1] < 80 for place in range(1, 79))
    assert drawing.gets([[PRESS, 1, 100, 20], [RELEASE, 1, 180, 100]])


def test_a_drag_takes_the_time_that_it_is_given(drawing: Drawing, window: xshm.Window) -> None:
    begin = time.monotonic()
    window.drag(10, 150, 210, 150, duration=0.3)
    assert 0.3 <= time.monotonic() - begin < 3
    eventually(lambda: [event for event in drawing.events if event and event[0] == RELEASE])
    assert 10 < len([event for event in drawing.events if event and event[0] == MOTION]) <= 40
    assert drawing.gets([[PRESS, 1, 10, 150], [RELEASE, 1, 210, 150]])


def test_a_drag_that_is_interrupted_releases_the_button(drawing: Drawing, window: xshm.Window) -> None:
    with pytest.raises(Interrupt), interrupted_after(0.2):
        window.drag(10, 10, 200, 10, duration=2, modifiers="shift")
    eventually(lambda: [event for event in drawing.events if event and event[0] == RELEASE])
    found = [event for event in drawing.events if event and event[0] in (PRESS, RELEASE)]
    assert [event[0] for event in found] == [PRESS, RELEASE]
    assert found[1][2] < 200
    window.move(20, 20)
    eventually(lambda: [event for event in drawing.events if event and event[2:] == [20, 20, 0]])


def test_the_wheel_turns_by_notches(drawing: Drawing, window: xshm.Window) -> None:
    window.move(5, 5)
    window.scroll(0, 2)
    window.scroll(0, -1)
    down, up = ([[kind, button, 5, 5] for kind in (PRESS, RELEASE)] for button in (5, 4))
    assert drawing.gets([*down, *down, *up])


def test_a_button_is_held_and_released(drawing: Drawing, window: xshm.Window) -> None:
    window.move(30, 40)
    window.button_down("right")
    window.move(33, 44)
    window.button_up("right")
    assert drawing.gets([[PRESS, 3, 30, 40], [RELEASE, 3, 33, 44]])


def test_a_point_outside_is_refused_before_anything_is_sent(
    drawing: Drawing, screen: xshm.Screen, window: xshm.Window
) -> None:
    for place in ((640, 0), (0, 480), (-1, 5), (2**40, 0)):
        with pytest.raises(OutOfBounds, match=r"is outside of the screen 640x480\+0\+0"):
            screen.click(*place)
    with pytest.raises(OutOfBounds, match=r"300, 5 is outside of the window 0x\w+ 300x200\+0\+0"):
        window.click(300, 5)
    with pytest.raises(OutOfBounds):
        window.drag(5, 5, 5, 200)
    with pytest.raises(InvalidType):
        screen.click(1.5, 2)  # type: ignore[arg-type]
    assert drawing.gets([])


def test_a_point_of_a_window_that_is_off_the_screen_is_refused(screen: xshm.Screen, server: Server) -> None:
    with xshm.Surface(100, 100, display=server.name, position=(600, 10)) as surface:
        surface.wait()
        with screen.window(surface.id) as window:
            window.move(10, 10)
            with pytest.raises(OutOfBounds, match=r"is at 6.., 20, which is off the screen 640x480"):
                window.click(90, 10)
        surface.close()


def test_names_of_buttons_and_modifiers_are_checked(drawing: Drawing, screen: xshm.Screen) -> None:
    with pytest.raises(InvalidArgument, match="no button is named 'lef'; near ones are left"):
        screen.click(1, 1, "lef")
    with pytest.raises(InvalidArgument, match="from 1 to 9, not 10"):
        screen.click(1, 1, 10)
    with pytest.raises(InvalidArgument, match="no modifier is named 'crtl'; near ones are ctrl"):
        screen.click(1, 1, modifiers=["crtl"])
    with pytest.raises(InvalidArgument):
        screen.click(1, 1, count=0)
    assert drawing.gets([])


def test_a_click_is_one_write_and_one_round_trip(server: Server) -> None:
    with relayed(server) as relay, xshm.Screen(relay.name) as screen:
        screen.click(600, 400)
        before = relay.round_trips
        screen.click(601, 401)
        assert relay.round_trips - before == 1


def test_a_window_that_is_gone_can_not_be_clicked_on(screen: xshm.Screen, server: Server) -> None:
    with xshm.Surface(50, 50, display=server.name) as surface:
        surface.wait()
        window = screen.window(surface.id)
    with pytest.raises(WindowGone):
        window.click(5, 5)


def test_a_closed_screen_takes_no_input(server: Server) -> None:
    screen = xshm.Screen(server.name)
    screen.move(5, 5)
    screen.close()
    with pytest.raises(Closed):
        screen.move(6, 6)
    with pytest.raises(Closed):
        screen.type("a")


def test_a_drag_ends_and_releases_its_button_when_the_screen_is_closed(server: Server, screen: xshm.Screen) -> None:
    closed = xshm.Screen(server.name)
    errors: list[BaseException] = []

    def drag() -> None:
        try:
            closed.drag(10, 10, 300, 200, duration=30, modifiers="ctrl")
        except Closed as error:
            errors.append(error)

    def mask() -> int:
        return int(screen.xlib.screen().root.query_pointer().mask)

    thread = threading.Thread(target=drag)
    thread.start()
    eventually(lambda: mask() == X.Button1Mask | X.ControlMask)
    closed.close()
    thread.join(10)
    assert errors
    assert mask() == 0


def test_a_server_without_xtest_is_told(make_server: Callable[..., Server]) -> None:
    server = make_server("Xvfb", 100, 100, 24, "-extension", "XTEST")
    with xshm.Screen(server.name) as screen:
        calls: tuple[Callable[[], None], ...] = (
            lambda: screen.click(1, 1),
            lambda: screen.type("a"),
            lambda: screen.scroll(0, 1),
        )
        for call in calls:
            with pytest.raises(ExtensionMissing, match="needs the XTEST extension"):
                call()


def test_a_click_goes_through_a_window_manager(make_server: Callable[..., Server]) -> None:
    server = make_server("Xvfb", 640, 480)
    with Programs(server) as programs:
        drawing = Drawing(server)
        try:
            with xshm.Screen(server.name) as screen, screen.window("drawing") as before:
                programs.manage(before.id)
                before.click(15, 16)
                assert drawing.gets([[PRESS, 1, 15, 16], [RELEASE, 1, 15, 16]])
        finally:
            drawing.close()
