"""What a trace has besides pixels, as the X server tells it: windows, the pointer, input."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from displays import painting
from pointers import Pointers
from programs import Programs, eventually

import xshm
from xshm.x11.windows.window_watch import WindowWatch

if TYPE_CHECKING:
    from collections.abc import Callable

    from painter import Painter
    from servers import Server

RED, BLUE = (255, 0, 0), (0, 0, 255)


def _windows(trace: xshm.Trace) -> list[tuple[str, tuple[int, int, int, int]]]:
    """Return titles and places of the windows by now."""
    reader = trace.reader()
    found = reader.windows(reader.duration)
    return [(each.title, (each.rect.x, each.rect.y, each.rect.width, each.rect.height)) for each in found]


def _pointer(trace: xshm.Trace) -> tuple[int, int] | None:
    """Return where the pointer is by now."""
    reader = trace.reader()
    return reader.pointer(reader.duration)


def _types(trace: xshm.Trace, kind: str) -> list[dict[str, Any]]:
    return [values for _, values in trace.reader().events() if values["type"] == kind]


# -- windows -----------------------------------------------------------------------------------------------------------


def test_windows_come_move_are_renamed_restacked_and_go() -> None:
    with xshm.VirtualDisplay(300, 200) as display, painting(display) as painter:
        first = painter.window((10, 20, 60, 50), RED, "first")
        with display.screen.trace(keep_last=60) as trace:
            assert _windows(trace) == [("first", (10, 20, 60, 50))]
            second = painter.window((30, 30, 80, 70), BLUE, "second")
            assert _windows(trace) == [("first", (10, 20, 60, 50)), ("second", (30, 30, 80, 70))]
            second.configure(x=100, y=90)
            painter.display.sync()
            assert _windows(trace)[1] == ("second", (100, 90, 80, 70))
            second.configure(width=40)
            painter.display.sync()
            assert _windows(trace)[1] == ("second", (100, 90, 40, 70))
            first.raise_window()
            first.set_wm_name("renamed")
            painter.display.sync()
            assert _windows(trace) == [("second", (100, 90, 40, 70)), ("renamed", (10, 20, 60, 50))]
            first.unmap()
            painter.display.sync()
            assert _windows(trace) == [("second", (100, 90, 40, 70))]
            second.destroy()
            painter.display.sync()
            assert _windows(trace) == []
            count = len(_types(trace, "windows"))
        assert count == 7
        reader = trace.reader()
        times = [seconds for seconds, values in reader.events() if values["type"] == "windows"]
        assert [len(reader.windows(seconds)) for seconds in times] == [1, 2, 2, 2, 2, 1, 0]


def test_windows_are_noted_without_being_asked_for(xvfb: Server, painter: Painter) -> None:
    with xshm.Screen(xvfb.name) as screen, screen.trace(keep_last=60) as trace:
        window = painter.window((10, 20, 60, 50), RED, "here")

        def places() -> list[Any]:
            return [values["windows"][0][2:4] for values in _noted(trace, "windows") if values["windows"]]

        assert eventually(lambda: places() == [[10, 20]])
        window.configure(x=50, y=60)
        painter.display.sync()
        assert eventually(lambda: [50, 60] in places())


def _noted(trace: xshm.Trace, kind: str) -> list[dict[str, Any]]:
    """Return the events of a type so far, without a look for them."""
    assert trace._engine is not None
    found = [each.value() for each in trace._engine.kept() if each.kind == b"J"]
    return [values for values in found if values["type"] == kind]


def test_a_window_in_a_frame_is_where_its_inside_is(make_server: Callable[..., Server]) -> None:
    server = make_server("Xvfb", 400, 300)
    with Programs(server) as programs, xshm.Screen(server.name) as screen:
        window = programs.show("xclock", "xclock", "-geometry", "100x90+50+60")
        with screen.trace(keep_last=60) as trace:
            assert _windows(trace) == [("xclock", (51, 61, 100, 90))]
            programs.manage(window)
            (info,) = screen.windows()
            assert eventually(lambda: _windows(trace) == [("xclock", (info.rect.x, info.rect.y, 100, 90))])
            assert (info.rect.x, info.rect.y) != (51, 61)
            programs.ask("xdotool", "windowmove", str(window), "120", "130")
            assert eventually(lambda: screen.windows()[0].rect != info.rect)
            moved = screen.windows()[0].rect
            assert eventually(lambda: _windows(trace)[0][1][:2] == (moved.x, moved.y))


def test_windows_and_pointer_of_a_window_are_in_its_own_coordinates() -> None:
    with xshm.VirtualDisplay(300, 200) as display, painting(display) as painter:
        shown = painter.window((40, 30, 100, 80), RED, "mine")
        other = painter.window((60, 60, 50, 40), BLUE, "other")
        with display.screen.window(shown.id) as window, window.trace(keep_last=60, region=(10, 5, 50, 50)) as trace:
            display.screen.move(70, 90)
            # The window moves: all others are elsewhere for it, and so is a pointer that stands still.
            assert dict(_windows(trace)) == {"mine": (0, 0, 100, 80), "other": (20, 30, 50, 40)}
            assert _pointer(trace) == (30, 60)
            assert _types(trace, "pointer")[-1] == {"type": "pointer", "x": 20, "y": 55}
            shown.configure(x=0, y=0)
            painter.display.sync()
            assert dict(_windows(trace)) == {"mine": (0, 0, 100, 80), "other": (60, 60, 50, 40)}
            window.click(3, 4)
            trace.catch_up()
            (clicked,) = [each for each in _types(trace, "input") if each["action"] == "click"]
            assert (clicked["x"], clicked["y"]) == (-7, -1)
            other.destroy()
            painter.display.sync()


def test_a_pixmap_has_neither_windows_nor_a_pointer_nor_input(xvfb: Server, painter: Painter) -> None:
    pixmap = painter.root.create_pixmap(60, 50, 24)
    painter.fill((0, 0, 60, 50), RED, pixmap)
    with xshm.Screen(xvfb.name) as screen, screen.pixmap(pixmap.id) as source, source.trace(keep_last=60) as trace:
        screen.click(10, 10)
        painter.fill((0, 0, 30, 50), BLUE, pixmap)
        trace.catch_up()
        reader = trace.reader()
        assert tuple(reader.at(reader.duration).rgb()[0, 0]) == BLUE
        assert {values["type"] for _, values in reader.events()} <= {"rate", "end"}


def test_the_watch_of_moves_is_for_those_who_ask(xvfb: Server, painter: Painter) -> None:
    window = painter.window((10, 20, 60, 50), RED, "dragged")
    with (
        xshm.Screen(xvfb.name) as screen,
        WindowWatch(screen._window_context()) as plain,
        WindowWatch(screen._window_context(), with_moves=True) as moves,
    ):
        moves.take_moved()
        window.configure(x=12)  # its first ConfigureNotify tells its place in the stack
        painter.display.sync()
        screen.connection.wire.sync()
        assert (plain.update(), moves.update()) == ([], [])
        assert moves.take_moved() == {window.id}
        window.configure(x=14)
        painter.display.sync()
        screen.connection.wire.sync()
        assert not plain.done
        assert moves.done
        assert moves.update() == []
        assert moves.take_moved() == {window.id}
        assert moves.take_moved() == set()
        assert moves.stack[-1] == window.id


# -- the pointer -------------------------------------------------------------------------------------------------------


def test_the_pointer_is_noted_where_it_moves_and_only_then(make_server: Callable[..., Server]) -> None:
    server = make_server("Xvfb", 300, 200)
    with (
        Pointers(server) as pointers,
        xshm.Screen(server.name) as screen,
        screen.trace(keep_last=60, region=(100, 50, 100, 100)) as trace,
    ):
        for x, y in ((110, 60), (20, 30), (20, 30), (150, 90)):
            pointers.move(x, y)
            trace.catch_up()
            assert _pointer(trace) == (x, y)
        first, *others = _types(trace, "pointer")
        assert (first["x"], first["y"]) == (50, 50)
        assert [(each["x"], each["y"]) for each in others] == [(10, 10), (-80, -20), (50, 40)]
        screen.move(170, 120)  # as a device
        assert eventually(lambda: [each for each in _noted(trace, "pointer") if each["x"] == 70])


# -- input -------------------------------------------------------------------------------------------------------------


def _inputs(**options: Any) -> list[dict[str, Any]]:
    with xshm.VirtualDisplay(300, 200) as display:
        screen = display.screen
        with screen.trace(keep_last=60, **options) as trace:
            screen.move(5, 6)
            screen.click(10, 20, "right", 2, ("ctrl",))
            screen.drag(1, 2, 30, 40)
            screen.scroll(0, 3)
            screen.type("a secret word")
            screen.press("ctrl+shift+s")
            screen.press("x")
            screen.press("shift+Y")
            screen.press("exclam")
            screen.press("a+KP_1")
            screen.press("Return")
            screen.key_down("Shift_L")
            screen.key_up("Shift_L")
            screen.button_down()
            screen.button_up()
            with pytest.raises(xshm.OutOfBounds):
                screen.click(999, 0)
            with pytest.raises(xshm.InvalidArgument):
                screen.press("no such key")
        assert not screen._session.listeners
        screen.click(1, 1)  # noted by nobody
        return [dict(each.details) | {"action": each.action} for each in trace.reader().inputs]


def test_input_is_noted_with_its_place_and_typed_text_as_its_length() -> None:
    found = _inputs(redact=["word"])
    assert found == [
        {"action": "move", "x": 5, "y": 6},
        {"action": "click", "x": 10, "y": 20, "button": 3, "count": 2, "keys": "Control_L"},
        {"action": "drag", "x": 1, "y": 2, "x2": 30, "y2": 40, "button": 1, "keys": ""},
        {"action": "scroll", "dx": 0, "dy": 3, "keys": ""},
        {"action": "type", "length": 13},
        {"action": "press", "keys": "ctrl+shift+s"},
        {"action": "press", "keys": "", "length": 1},
        {"action": "press", "keys": "", "length": 1},
        {"action": "press", "keys": "", "length": 1},
        {"action": "press", "keys": "", "length": 2},
        {"action": "press", "keys": "Return"},
        {"action": "key_down", "keys": "Shift_L"},
        {"action": "key_up", "keys": "Shift_L"},
        {"action": "button_down", "button": 1},
        {"action": "button_up", "button": 1},
    ]


def test_typed_text_is_kept_where_that_is_asked_for_without_what_is_redacted() -> None:
    found = _inputs(typed_text=True, redact=["word"])
    assert found[4] == {"action": "type", "length": 13, "text": "a secret █████"}
    pressed = ["ctrl+shift+s", "x", "shift+Y", "exclam", "a+KP_1", "Return"]
    assert [each["keys"] for each in found if each["action"] == "press"] == pressed


def test_input_is_before_what_comes_of_it() -> None:
    with xshm.VirtualDisplay(300, 200) as display:
        command = ["xterm", "-geometry", "20x5", "-e", "cat"]
        with display.launch(command), display.screen.trace(keep_last=60) as trace:
            display.screen.click(40, 30)
            display.screen.wait_stable(timeout=3)
            before = len(list(trace.reader().changes()))
            display.screen.type("x")
            assert eventually(lambda: len(list(trace.reader().changes())) > before)
        reader = trace.reader()
        typed = next(each.seconds for each in reader.inputs if each.action == "type")
        drawn = next(each.seconds for each in list(reader.changes())[before:])
        assert typed < drawn


def test_nothing_listens_to_input_while_no_trace_runs(screen: xshm.Screen) -> None:
    counts = [len(screen._session.listeners)]
    with screen.trace(keep_last=5), screen.trace(keep_last=5):
        counts.append(len(screen._session.listeners))
    counts.append(len(screen._session.listeners))
    assert counts == [0, 2, 0]
