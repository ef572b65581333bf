"""wait_window and wait_window_gone: windows of any process, that are there, come, go, or never do."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from painter import Painter
from programs import Programs
from round_trips import relayed

import xshm
from xshm.errors import DisplayGone, InvalidArgument, InvalidType, RequestTimeout, WaitTimeout, WindowNotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from servers import Server

BLUE, RED = (0, 0, 255), (255, 0, 0)
_LATER = 0.3  # seconds

# A Tk window that has its title changed, is withdrawn and comes back, in quick steps; {} is what it does.
_TK = """
import tkinter
root = tkinter.Tk(); root.title("early"); root.geometry("150x80+20+20")
def steps(count):
    if count % 3 == 0: root.title(f"step {{count}}")
    elif count % 3 == 1: root.withdraw()
    else: root.deiconify()
    if count < 60: root.after(15, steps, count + 1)
    else: root.deiconify(); root.title("at last")
root.after(200, {})
root.mainloop()
"""


@pytest.fixture
def server(make_server: Callable[..., Server]) -> Server:
    return make_server("Xvfb", 640, 480)


@pytest.fixture
def screen(server: Server) -> Iterator[xshm.Screen]:
    with xshm.Screen(server.name, timeout=20) as screen:
        yield screen


@pytest.fixture
def painter(server: Server) -> Iterator[Painter]:
    with Painter(server) as painter:
        yield painter


def later(act: Callable[..., object], *args: Any) -> threading.Timer:
    timer = threading.Timer(_LATER, act, args)
    timer.start()
    return timer


def retitle(painter: Painter, window: Any, title: str) -> None:
    window.set_wm_name(title)
    painter.display.sync()


def change(painter: Painter, action: Callable[[], object]) -> None:
    action()
    painter.display.sync()


def named(title: str) -> list[Any]:
    return [title, re.compile(title[:-1]), lambda info: info.title == title]


def test_a_window_that_is_there_is_opened_at_once_whatever_names_it(screen: xshm.Screen, painter: Painter) -> None:
    window = painter.window((10, 20, 50, 40), BLUE, "there")
    painter.window((100, 20, 50, 40), RED, "here")
    for which in named("there"):
        with screen.wait_window(which, timeout=0) as opened:
            assert opened.id == window.id
            assert opened.grab().pixel(5, 5) == BLUE
    assert screen.wait_window("there", pid=os.getpid(), timeout=0).id == window.id


def test_a_window_that_comes_is_waited_for(screen: xshm.Screen, painter: Painter) -> None:
    for number, which in enumerate(named("dialog")):
        timer = later(painter.window, (10 + 30 * number, 20, 20, 20), BLUE, "dialog")
        with screen.wait_window(which, timeout=10) as opened:
            assert opened.title == "dialog"
            assert opened.position == (10 + 30 * number, 20)
        timer.join()
        for each in painter.root.query_tree().children:
            each.destroy()
        painter.display.sync()


def test_a_window_that_is_named_or_mapped_later_is_waited_for(screen: xshm.Screen, painter: Painter) -> None:
    window = painter.window((10, 20, 50, 40), BLUE)
    timer = later(retitle, painter, window, "loaded")
    assert screen.wait_window("loaded", timeout=10).id == window.id
    timer.join()
    window.unmap()
    painter.display.sync()
    timer = later(change, painter, window.map)
    assert screen.wait_window("loaded", timeout=10).id == window.id
    timer.join()
    parent = painter.window((100, 20, 50, 40), RED, "outer")
    parent.unmap()
    inner = parent.create_window(0, 0, 9, 9, 0, 24)
    inner.map()
    timer = later(change, painter, parent.map)
    assert screen.wait_window("outer", timeout=10).id == parent.id
    timer.join()


def test_windows_of_other_processes_are_left_out_where_a_pid_is_named(server: Server, screen: xshm.Screen) -> None:
    with Programs(server) as programs:
        first = programs.start("xlogo", "-title", "twin", "-geometry", "50x50+10+10")
        assert screen.wait_window("twin", pid=first.pid, timeout=15).pid == first.pid
        second = programs.start("xlogo", "-title", "twin", "-geometry", "50x50+100+10")
        assert screen.wait_window(pid=second.pid, timeout=15).pid == second.pid
        with pytest.raises(WindowNotFound, match=r"2 windows answer to the title 'twin' .*; name one by its id:\n"):
            screen.wait_window("twin")
        programs.end(first)
        screen.wait_window_gone("twin", pid=first.pid, timeout=15)
        left = rf"title 'twin' .* and process {second.pid} did not go within 0\.2 s; there is still:\n  0x"
        with pytest.raises(WaitTimeout, match=left):
            screen.wait_window_gone("twin", pid=second.pid, timeout=0.2)


def test_when_the_time_is_over_the_error_lists_what_is_there_and_has_the_screen(
    screen: xshm.Screen, painter: Painter
) -> None:
    with pytest.raises(WaitTimeout, match=r"no window answered to the title 'nothing' .* within 0 s; there is none$"):
        screen.wait_window("nothing", timeout=0)
    window = painter.window((10, 20, 50, 40), BLUE, "there")
    begin = time.monotonic()
    with pytest.raises(WaitTimeout) as caught:
        screen.wait_window(re.compile("no[ ]thing"), timeout=0.4)
    assert 0.4 <= time.monotonic() - begin < 5
    assert re.search(
        rf"the expression 'no\[ \]thing' within 0\.4 s; there are:\n  {window.id:#x} 'there' ", str(caught.value)
    )
    assert caught.value.frame.pixel(15, 25) == BLUE
    window.unmap()
    painter.display.sync()
    with pytest.raises(WaitTimeout, match=r"has no picture, being iconified or otherwise unmapped:\n  0x\w+ 'there'"):
        screen.wait_window("there", timeout=0)


def test_a_window_that_goes_is_waited_for_by_its_id_its_info_its_title_and_as_a_window(
    screen: xshm.Screen, painter: Painter
) -> None:
    def doomed() -> Any:
        return painter.window((10, 20, 50, 40), BLUE, "doomed")

    ways: list[Callable[[Any], Any]] = [
        lambda window: window.id,
        lambda _: next(info for info in screen.windows() if info.title == "doomed"),
        lambda window: screen.window(window.id),
        lambda _: "doomed",
        lambda _: re.compile("doo"),
        lambda _: lambda info: info.title == "doomed",
    ]
    for number, way in enumerate(ways):
        window = doomed()
        with pytest.raises(
            WaitTimeout, match=rf"did not go within 0\.05 s(; there is still:\n  {window.id:#x} 'doomed' .*)?$"
        ):
            screen.wait_window_gone(way(window), timeout=0.05)
        timer = later(change, painter, window.destroy if number % 2 else window.unmap)
        screen.wait_window_gone(way(window), timeout=10)
        timer.join()
        assert not screen.windows()
        screen.wait_window_gone(window.id, timeout=0)
        window.destroy()
        painter.display.sync()


def test_a_window_that_is_no_top_level_one_is_gone_with_its_parent(screen: xshm.Screen, painter: Painter) -> None:
    parent = painter.window((10, 20, 50, 40), BLUE, "parent")
    middle = parent.create_window(0, 0, 20, 20, 0, 24)
    inner = middle.create_window(0, 0, 9, 9, 0, 24)
    for each in (inner, middle):
        each.map()
    painter.display.sync()
    with pytest.raises(WaitTimeout):
        screen.wait_window_gone(inner.id, timeout=0)
    timer = later(change, painter, middle.unmap)
    screen.wait_window_gone(inner.id, timeout=10)
    timer.join()


def test_under_openbox_a_tk_window_that_changes_fast_is_found_and_gone(server: Server, screen: xshm.Screen) -> None:
    with Programs(server) as programs:
        programs.manage(programs.show("there", "xlogo", "-title", "there", "-geometry", "50x50+300+300"))
        tk = programs.start(sys.executable, "-c", _TK.format("steps, 0"))
        with screen.wait_window("at last", pid=tk.pid, timeout=20) as window:
            assert window.grab().width == 150
            identity = window.id
        tk.terminate()
        screen.wait_window_gone(identity, timeout=15)
        screen.wait_window_gone("at last", timeout=15)
        assert [info.title for info in screen.windows()] == ["there"]
        there = screen.windows()[0]
        subprocess.run(["xdotool", "windowminimize", str(there.id)], env=server.env(), check=True)
        screen.wait_window_gone(there, timeout=15)


def test_a_window_is_found_among_hundreds_that_flash(screen: xshm.Screen, server: Server) -> None:
    program = """
import sys, time, Xlib.display
display = Xlib.display.Display(sys.argv[1]); root = display.screen().root
windows = []
for number in range(400):
    title = "this one" if number == 300 else "flash"
    window = root.create_window(number, 9, 30, 30, 0, 24, override_redirect=True)
    window.set_wm_name(title); window.map(); display.sync()
    if title == "flash": windows.append(window)
    if len(windows) > 20: windows.pop(0).destroy()
time.sleep(9)
"""
    with Programs(server) as programs:
        programs.start(sys.executable, "-c", program, server.name)
        with screen.wait_window(re.compile("^this one$"), timeout=15) as window:
            assert window.title == "this one"


def test_an_idle_wait_makes_no_request(server: Server, painter: Painter) -> None:
    painter.window((10, 20, 50, 40), BLUE, "there")
    with relayed(server) as relay, xshm.Screen(relay.name, timeout=20) as screen:
        counts: list[int] = []
        timers = [threading.Timer(delay, lambda: counts.append(relay.round_trips)) for delay in (0.4, 1.0)]
        for timer in timers:
            timer.start()
        with pytest.raises(WaitTimeout):
            screen.wait_window("never", timeout=1.3)
        for timer in timers:
            timer.join()
        assert counts[0] == counts[1]


def test_nothing_stays_selected_after_a_wait(screen: xshm.Screen, painter: Painter) -> None:
    window = painter.window((10, 20, 50, 40), BLUE, "there")
    for wait in (
        lambda: screen.wait_window("never", timeout=0.05),
        lambda: screen.wait_window_gone("there", timeout=0.05),
        lambda: screen.wait_window_gone(window.id, timeout=0.05),
    ):
        with pytest.raises(WaitTimeout):
            wait()
        for each in (window.id, screen.connection.setup.root.id):
            theirs = screen.xlib.create_resource_object("window", each)
            assert theirs.get_attributes().your_event_mask == 0


def test_threads_wait_at_the_same_time_on_one_connection(screen: xshm.Screen, painter: Painter) -> None:
    found: list[str] = []

    def wait(title: str) -> None:
        found.append(screen.wait_window(title, timeout=15).title)

    threads = [threading.Thread(target=wait, args=(f"window {number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    time.sleep(0.2)
    for number in range(6):
        painter.window((number * 20, 0, 15, 15), BLUE, f"window {number}")
    for thread in threads:
        thread.join()
    assert sorted(found) == [f"window {number}" for number in range(6)]


def test_a_server_that_does_not_answer_or_ends_ends_the_wait(make_server: Callable[..., Server]) -> None:
    server = make_server("Xvfb", 64, 48)
    with xshm.Screen(server.name) as screen:
        with pytest.raises(WaitTimeout):
            screen.wait_window("never", timeout=0.1)
        server.pause()
        begin = time.monotonic()
        for wait in (screen.wait_window, screen.wait_window_gone):
            with pytest.raises(RequestTimeout):
                wait("never", timeout=0.2)
        assert time.monotonic() - begin < 8
        server.resume()
        timer = later(server.kill)
        with pytest.raises(DisplayGone):
            screen.wait_window("never", timeout=20)
        timer.join()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, InvalidArgument, "name what to wait for"),
        ({"which": 5}, InvalidType, "a title, a compiled"),
        ({"which": b"title"}, InvalidType, "not bytes"),
        ({"which": re.compile(b"title")}, InvalidType, "for bytes"),
        ({"which": str}, InvalidType, "not type"),
        ({"which": "title", "pid": "1"}, InvalidType, "pid"),
        ({"which": "title", "pid": 0}, InvalidArgument, "from 1 on, not 0"),
        ({"which": "title", "timeout": -1}, InvalidArgument, "timeout"),
    ],
)
def test_wrong_arguments_are_refused(
    screen: xshm.Screen, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        screen.wait_window(**arguments)
    if arguments.get("which") != 5:
        with pytest.raises(error, match=message):
            screen.wait_window_gone(**arguments)


def test_a_pid_that_python_does_not_write_out_is_waited_for_like_any_other(screen: xshm.Screen) -> None:
    with pytest.raises(xshm.WaitTimeout, match="no window answered to process <int"):
        screen.wait_window(pid=10**5000, timeout=0)


def test_an_id_takes_no_pid_and_what_a_predicate_raises_is_its_own(screen: xshm.Screen, painter: Painter) -> None:
    window = painter.window((10, 20, 50, 40), BLUE, "there")
    with pytest.raises(InvalidArgument, match="an id names one window"):
        screen.wait_window_gone(window.id, pid=1)
    with pytest.raises(ZeroDivisionError):
        screen.wait_window(lambda _: 1 // 0)


def test_a_grabbed_screen_is_no_reason_to_lose_a_window(screen: xshm.Screen, painter: Painter) -> None:
    def grabbed() -> None:
        painter.display.grab_server()
        painter.window((10, 20, 50, 40), BLUE, "dialog")
        time.sleep(0.3)
        painter.display.ungrab_server()
        painter.display.sync()

    timer = later(grabbed)
    with screen.wait_window("dialog", timeout=15) as opened:
        assert opened.grab().pixel(5, 5) == BLUE
    timer.join()
