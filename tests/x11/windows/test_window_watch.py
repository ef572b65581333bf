"""A WindowWatch reports the windows that come, go, and change their titles, over a connection that others use too."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest
from interrupt_points import interrupted_at
from painter import Painter
from programs import Programs, eventually
from round_trips import relayed
from Xlib import X

import xshm
from xshm.errors import RequestTimeout
from xshm.x11.protocol import core
from xshm.x11.windows.known_windows import WindowEvent
from xshm.x11.windows.window_watch import WindowWatch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from servers import Server

BLUE = (0, 0, 255)
# A Tk window that does, at each line of input, what the line says.
_TK = """
import sys, tkinter
root = tkinter.Tk(); root.title("first"); root.geometry("150x80+20+20")
def step(*_):
    line = sys.stdin.readline()
    if line: exec(line, globals())
    else: root.destroy()
root.createfilehandler(sys.stdin, tkinter.READABLE, step)
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


def watching(screen: xshm.Screen) -> WindowWatch:
    return WindowWatch(screen._window_context())


def seen(screen: xshm.Screen, watch: WindowWatch) -> list[tuple[str, str]]:
    """Return kind and title of what has happened by now."""
    screen.connection.sync()
    return [(event.kind, event.title) for event in watch.update()]


def masks(screen: xshm.Screen, window: int) -> int:
    return int(screen.connection.request(core.GetWindowAttributes, window=window).your_event_mask)


def test_windows_that_come_go_and_change_are_reported_with_their_titles(screen: xshm.Screen, painter: Painter) -> None:
    below = painter.window((0, 0, 50, 50), BLUE, "below")
    with watching(screen) as watch:
        assert watch.windows == {below.id: "below"}
        assert seen(screen, watch) == []
        window = painter.window((10, 10, 50, 50), BLUE, "dialog")
        assert seen(screen, watch) == [("opened", "dialog")]
        window.set_wm_name("dialog 2")
        painter.display.sync()
        assert seen(screen, watch) == [("renamed", "dialog 2")]
        below.configure(stack_mode=X.Above)
        painter.display.sync()
        assert seen(screen, watch) == [("restacked", "below")]
        for step in range(20):
            below.configure(x=step)
        painter.display.sync()
        assert seen(screen, watch) == []
        window.unmap()
        painter.display.sync()
        assert seen(screen, watch) == [("closed", "dialog 2")]
        window.map()
        below.destroy()
        painter.display.sync()
        assert seen(screen, watch) == [("opened", "dialog 2"), ("closed", "below")]
        assert watch.windows == {window.id: "dialog 2"}
    assert watch.opened == {window.id: "dialog 2"}
    assert watch.closed == {window.id: "dialog 2", below.id: "below"}
    assert watch.events[0] == WindowEvent("opened", window.id, "dialog")


def test_what_came_and_went_before_anybody_looked_is_reported(screen: xshm.Screen, painter: Painter) -> None:
    with watching(screen) as watch:
        flash = painter.window((10, 10, 50, 50), BLUE, "flash")
        flash.destroy()
        painter.display.sync()
        assert seen(screen, watch) == [("opened", ""), ("closed", "")]  # nothing is left to ask for the title
        assert watch.opened == watch.closed == {flash.id: ""}
        assert not watch.windows


def selected(screen: xshm.Screen) -> set[int]:
    """Return the windows that are selected for anybody, without the root window."""
    return set(screen._window_context().masks._entries) - {screen.connection.setup.root.id}


def test_nothing_stays_selected_of_what_came_and_went_between_two_updates(
    screen: xshm.Screen, painter: Painter
) -> None:
    with watching(screen) as watch:
        windows = [painter.window((10, 10, 50, 50), BLUE, "flash") for _ in range(3)]
        for window in windows:
            window.destroy()
        there = painter.window((10, 10, 50, 50), BLUE, "there")
        painter.display.sync()
        seen(screen, watch)
        assert selected(screen) == {there.id}


def test_nothing_stays_selected_of_what_went_while_more_happened_than_the_queue_holds(
    screen: xshm.Screen, painter: Painter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xshm.x11.windows.window_watch._MOST_MESSAGES", 8)
    with watching(screen) as watch:
        there = painter.window((10, 10, 50, 50), BLUE, "there")
        windows = [painter.window((10, 10, 50, 50), BLUE, "closed") for _ in range(3)]
        seen(screen, watch)
        assert selected(screen) == {there.id, *(window.id for window in windows)}
        for window in windows:
            window.destroy()
        for step in range(9):
            there.set_wm_name(f"there {step}")
        painter.display.sync()
        assert sorted(seen(screen, watch)) == [*[("closed", "closed")] * 3, ("renamed", "there 8")]
        assert selected(screen) == {there.id}


def test_hundreds_of_windows_that_flash_are_all_seen(screen: xshm.Screen, painter: Painter) -> None:
    def flash() -> None:
        for number in range(300):  # python-xlib gives all of them the same id
            window = painter.window((number, 10, 20, 20), BLUE, f"flash {number}")  # synchronized: it is mapped
            time.sleep(0.002)
            window.destroy()
        painter.display.sync()

    with watching(screen) as watch:
        thread = threading.Thread(target=flash)
        thread.start()
        while thread.is_alive() or watch.done:
            with contextlib.suppress(RequestTimeout):
                screen.connection.wire.wait_for(watch, 0.1)
            watch.update()
        thread.join()
        screen.connection.sync()
        watch.update()
        assert [event.kind for event in watch.events] == ["opened", "closed"] * 300
        # All but a few are there for long enough that the title can be queried; none gets the title of another.
        titles = [event.title for event in watch.events if event.kind == "opened"]
        assert all(title in ("", f"flash {number}") for number, title in enumerate(titles))
        assert sum(title != "" for title in titles) > 150
        assert not watch.windows
        assert not selected(screen)


def test_without_news_nothing_is_sent_and_nobody_is_woken(server: Server, painter: Painter) -> None:
    window = painter.window((0, 0, 50, 50), BLUE, "there")
    with relayed(server) as relay, xshm.Screen(relay.name, timeout=20) as screen, watching(screen) as watch:
        before = relay.round_trips
        for step in range(50):  # what programs do all day, and is no news about top-level windows
            window.fill_rectangle(painter._gc, 0, 0, step, 9)
            window.change_property(painter.display.intern_atom("XSHM_NOISE"), 31, 8, b"noise")
        painter.display.sync()
        with pytest.raises(RequestTimeout):
            screen.connection.wire.wait_for(watch, 0.2)
        assert watch.update() == []
        assert relay.round_trips == before


def test_a_wait_for_it_ends_when_something_happens(screen: xshm.Screen, painter: Painter) -> None:
    with watching(screen) as watch:
        timer = threading.Timer(0.2, painter.window, ((0, 0, 9, 9), BLUE, "late"))
        timer.start()
        screen.connection.wire.wait_for(watch, 10)
        timer.join()
        eventually(lambda: watch.update() or watch.opened)
        assert list(watch.opened.values()) == ["late"]


def test_input_only_windows_are_none(screen: xshm.Screen, painter: Painter) -> None:
    with watching(screen) as watch:
        window = painter.root.create_window(0, 0, 9, 9, 0, 0, window_class=X.InputOnly, override_redirect=True)
        window.map()
        painter.display.sync()
        assert seen(screen, watch) == []
        window.unmap()
        painter.display.sync()
        assert seen(screen, watch) == []


def test_a_tk_window_has_its_title_though_it_lies_in_a_wrapper_of_tk(server: Server, screen: xshm.Screen) -> None:
    with Programs(server) as programs, watching(screen) as watch:
        tk = programs.talk(sys.executable, "-c", _TK)
        tk("pass")
        heard = list[tuple[str, str]]()

        def hear(event: tuple[str, str]) -> None:
            def is_heard() -> bool:
                heard.extend(seen(screen, watch))
                return event in heard

            eventually(is_heard)

        hear(("opened", "first"))
        assert watch.windows == {window.id: window.title for window in screen.windows()}
        tk("root.title('second')")
        hear(("renamed", "second"))
        tk("root.destroy()")
        hear(("closed", "second"))
        assert not watch.windows


def test_what_another_client_only_says_is_no_event(screen: xshm.Screen, painter: Painter) -> None:
    from Xlib.protocol import event  # noqa: PLC0415

    window = painter.window((0, 0, 9, 9), BLUE, "there")
    with watching(screen) as watch:
        message = event.UnmapNotify(event=painter.root, window=window, from_configure=0)
        painter.root.send_event(message, event_mask=X.SubstructureNotifyMask)
        painter.display.sync()
        assert seen(screen, watch) == []
        assert watch.windows == {window.id: "there"}


# -- window managers ---------------------------------------------------------------------------------------------------


def test_under_openbox_windows_are_reported_by_their_own_ids(server: Server, screen: xshm.Screen) -> None:
    with Programs(server) as programs:
        there = programs.show("there", "xlogo", "-title", "there", "-geometry", "50x50+300+300")
        programs.manage(there)
        with watching(screen) as watch:
            assert watch.windows == {there: "there"}
            tk = programs.talk(sys.executable, "-c", _TK)

            def happens(line: str, *events: tuple[str, str]) -> None:
                tk(line)
                wanted, heard = list(events), list[tuple[str, str]]()

                def all_heard() -> bool:
                    heard.extend(each for each in seen(screen, watch) if each[0] != "restacked")
                    return heard == wanted

                with contextlib.suppress(AssertionError):
                    eventually(all_heard)
                assert heard == wanted

            happens("pass", ("opened", "first"))
            assert screen.window("first").id == next(iter(watch.opened))
            happens("root.title('second')", ("renamed", "second"))
            happens("root.iconify()", ("closed", "second"))
            happens("root.deiconify()", ("opened", "second"))
            happens("root.withdraw()", ("closed", "second"))
            happens("root.title('third'); root.deiconify()", ("opened", "third"))
            happens("menu = tkinter.Toplevel(); menu.overrideredirect(True)", ("opened", "third"))  # Tk's default
            happens("menu.destroy()", ("closed", "third"))
            happens("root.destroy()", ("closed", "third"))
            assert watch.windows == {there: "there"}
            assert list(watch.opened.values()) == ["third", "third"]


def test_a_window_that_was_iconified_when_the_watch_began_is_renamed_once_it_is_open(
    server: Server, screen: xshm.Screen
) -> None:
    with Programs(server) as programs:
        programs.manage(programs.show("there", "xlogo", "-title", "there", "-geometry", "50x50+300+300"))
        tk = programs.talk(sys.executable, "-c", _TK)
        eventually(lambda: "first" in [window.title for window in screen.windows()])
        tk("root.iconify()")
        eventually(lambda: "first" not in [window.title for window in screen.windows()])
        with watching(screen) as watch:
            tk("root.deiconify()")
            eventually(lambda: ("opened", "first") in seen(screen, watch))
            tk("root.title('second')")
            eventually(lambda: ("renamed", "second") in seen(screen, watch))


def test_a_window_manager_that_starts_and_ends_opens_and_closes_no_program(server: Server, screen: xshm.Screen) -> None:
    with Programs(server) as programs:
        there = programs.show("there", "xlogo", "-title", "there", "-geometry", "50x50+300+300")
        with watching(screen) as watch:
            manager = programs.manage(there)
            screen.connection.sync()
            watch.update()
            assert watch.windows == {there: "there"}
            manager.terminate()
            manager.wait()
            screen.connection.sync()
            watch.update()
            assert watch.windows == {there: "there"}


# -- others on the connection ------------------------------------------------------------------------------------------


def test_what_others_select_on_the_connection_stays_theirs_and_ours_stays_ours(
    screen: xshm.Screen, painter: Painter
) -> None:
    display, root = screen.xlib, screen.xlib.screen().root

    def heard() -> list[int]:
        display.sync()
        return [display.next_event().type for _ in range(display.pending_events())]

    window = painter.window((0, 0, 90, 90), BLUE, "there")
    theirs = display.create_resource_object("window", window.id)
    root.change_attributes(event_mask=X.PropertyChangeMask)
    with watching(screen) as watch, screen.window(window.id) as opened:
        assert masks(screen, root.id) == X.PropertyChangeMask | X.SubstructureNotifyMask
        # Meanwhile, which would take away what was selected for the watch and the window.
        root.change_attributes(event_mask=0)
        theirs.change_attributes(background_pixel=1, event_mask=X.PropertyChangeMask, do_not_propagate_mask=0)
        display.sync()
        window.set_wm_name("renamed")
        window.configure(width=77)
        painter.display.sync()
        assert heard() == [X.PropertyNotify]
        assert seen(screen, watch) == [("renamed", "renamed")]
        assert opened.grab().width == 77
        screen.connection.send(
            core.ChangeWindowAttributes, window=root.id, attrs={"event_mask": X.SubstructureNotifyMask}
        )
        other = painter.window((5, 5, 9, 9), BLUE, "other")
        assert heard() == [X.CreateNotify, X.MapNotify]
        assert seen(screen, watch) == [("opened", "other")]
        assert other.id in watch.windows
    assert masks(screen, root.id) == X.SubstructureNotifyMask
    assert masks(screen, window.id) == X.PropertyChangeMask
    window.set_wm_name("again")
    painter.display.sync()
    assert heard() == [X.PropertyNotify]


def test_a_mask_that_the_server_refuses_another_user_does_not_cost_us_ours(
    screen: xshm.Screen, painter: Painter
) -> None:
    painter.root.change_attributes(event_mask=X.SubstructureRedirectMask)
    painter.display.sync()
    with watching(screen) as watch:
        refused: list[object] = []
        root = screen.xlib.screen().root
        root.change_attributes(onerror=lambda *error: refused.append(error), event_mask=X.SubstructureRedirectMask)
        screen.xlib.sync()
        assert len(refused) == 1
        with watching(screen):
            painter.window((5, 5, 9, 9), BLUE, "other")
            assert seen(screen, watch) == [("opened", "other")]
    assert masks(screen, root.id) == 0


def test_events_that_only_a_watch_has_selected_reach_nobody_else(screen: xshm.Screen, painter: Painter) -> None:
    display = screen.xlib
    with watching(screen) as first, watching(screen) as second:
        window = painter.window((0, 0, 90, 90), BLUE, "there")
        screen.connection.sync()
        first.close()
        window.set_wm_name("renamed")
        window.destroy()
        painter.display.sync()
        screen.connection.sync()
        assert [event.kind for event in second.update()] == ["opened", "closed"]
        assert not first.events
    painter.window((0, 0, 90, 90), BLUE, "there")  # while the deselection may be on its way
    display.sync()
    assert display.pending_events() == 0
    assert masks(screen, screen.connection.setup.root.id) == 0


def test_a_watch_that_is_dropped_selects_nothing_any_more(screen: xshm.Screen, painter: Painter) -> None:
    window = painter.window((0, 0, 90, 90), BLUE, "there")
    watch = watching(screen)
    assert masks(screen, window.id)
    del watch
    screen.windows()
    assert not masks(screen, window.id)
    assert not masks(screen, screen.connection.setup.root.id)


def test_an_interrupt_loses_no_window(screen: xshm.Screen, painter: Painter) -> None:
    windows = {}
    with watching(screen) as watch:
        for point in range(1, 4000, 23):
            window = painter.window((0, 0, 9, 9), BLUE, f"window {point}")
            windows[window.id] = f"window {point}"
            screen.connection.sync()
            if not interrupted_at(point, watch.update):
                break
            watch.update()
            assert watch.windows == windows
            assert watch.opened == windows
        else:
            pytest.fail("there are more points than that")
        assert len(windows) > 20
