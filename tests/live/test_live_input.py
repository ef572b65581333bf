"""What viewers do with pointer and keyboard, on a real server and in a real program; and what they may not.

The messages are those of the page (`live.input`). The server itself is asked which keys and buttons are down.
"""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from live_client import LiveClient
from programs import eventually
from servers import Server, start
from text_field import TextField
from Xlib import X
from Xlib.display import Display

import xshm
from xshm.errors import InvalidArgument
from xshm.geometry import Rect
from xshm.live.channel import Channel
from xshm.live.input import LiveInput

if TYPE_CHECKING:
    from collections.abc import Iterator

SHIFT_L, CONTROL_L, KEY_A, KEY_B = 50, 37, 38, 56  # keycodes of Xvfb


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with start("Xvfb", 640, 480) as server:
        yield server


@pytest.fixture(scope="module")
def field(server: Server) -> Iterator[TextField]:
    with TextField("tk", server) as field:
        yield field


@pytest.fixture
def screen(server: Server) -> Iterator[xshm.Screen]:
    with xshm.Screen(server.name, timeout=20) as screen:
        yield screen


class Viewer:
    """A viewer's input, and what the server says of it."""

    def __init__(self, screen: xshm.Screen, server: Server, region: Rect | None = None) -> None:
        self.channel = Channel(1, "", screen, region, fps=60)
        self.input = LiveInput(lambda: {1: self.channel})
        self._display = Display(server.name)

    def key(self, key: str, code: str, *, down: bool = True, repeat: bool = False) -> None:
        self.input.handle({"type": "key", "channel": 1, "key": key, "code": code, "down": down, "repeat": repeat})

    def tap(self, key: str, code: str) -> None:
        self.key(key, code)
        self.key(key, code, down=False)

    def do(self, kind: str, **values: Any) -> None:
        self.input.handle({"type": kind, "channel": 1, **values})

    def held(self) -> set[int]:
        keys = self._display.query_keymap()
        return {8 * at + bit for at, byte in enumerate(keys) for bit in range(8) if byte >> bit & 1}

    def pointer(self) -> tuple[int, int, int]:
        found = self._display.screen().root.query_pointer()
        return found.root_x, found.root_y, found.mask & (X.Button1Mask | X.Button2Mask | X.Button3Mask)

    def close(self) -> None:
        self.input.release()
        self.channel.close()
        self._display.close()


@pytest.fixture
def viewer(screen: xshm.Screen, server: Server) -> Iterator[Viewer]:
    viewer = Viewer(screen, server)
    yield viewer
    viewer.close()


@pytest.fixture
def typed(field: TextField, screen: xshm.Screen) -> TextField:
    """Return the field, empty, with the focus."""
    field.clear(screen)
    return field


# -- keys --------------------------------------------------------------------------------------------------------------


def test_each_key_types_what_it_types_on_the_viewers_keyboard(typed: TextField, viewer: Viewer) -> None:
    """Where Shift means another thing there than here: on a German keyboard Shift+7 is a slash."""
    viewer.tap("h", "KeyH")
    viewer.key("Shift", "ShiftLeft")
    for key, code in (("E", "KeyE"), ("/", "Digit7"), ("?", "Minus"), ("Y", "KeyZ")):
        viewer.tap(key, code)
    viewer.key("Shift", "ShiftLeft", down=False)
    for key, code in (("ß", "Minus"), (" ", "Space"), ("ж", "Semicolon"), ("7", "Numpad7"), ("Enter", "NumpadEnter")):
        viewer.tap(key, code)
    for text in ("é", "€ 日本", "😀"):
        viewer.do("key", text=text)
    assert typed.becomes(lambda text: text.startswith("hE/?Yß ж7")), typed.contents
    assert typed.becomes(lambda text: text.endswith("é€ 日本😀")), typed.contents
    assert viewer.held() == set()


def test_letters_that_a_viewer_has_as_capitals_are_that_whatever_is_locked(typed: TextField, viewer: Viewer) -> None:
    viewer.tap("A", "KeyA")  # by its own Caps Lock
    viewer.tap("CapsLock", "CapsLock")
    viewer.tap("b", "KeyB")
    assert typed.holds("Ab")


def test_shortcuts_are_the_keys_with_their_modifiers(typed: TextField, viewer: Viewer) -> None:
    viewer.do("key", text="some words")
    viewer.key("Control", "ControlRight")
    viewer.tap("a", "KeyA")  # to the line's start, in Tk
    viewer.key("Control", "ControlRight", down=False)
    viewer.tap("x", "KeyX")
    assert typed.holds("xsome words")
    viewer.key("Control", "ControlLeft")
    viewer.tap("у", "KeyE")  # noqa: RUF001 - a Cyrillic letter, where E is
    viewer.key("Control", "ControlLeft", down=False)
    viewer.tap("Backspace", "Backspace")
    viewer.tap("ArrowLeft", "ArrowLeft")
    viewer.tap("y", "KeyY")
    assert typed.holds("xsome woryd"), typed.contents


def test_a_key_is_held_and_repeats_by_the_server_alone(typed: TextField, viewer: Viewer) -> None:
    viewer.key("a", "KeyA")
    assert viewer.held() == {KEY_A}
    for _ in range(10):
        viewer.key("a", "KeyA", repeat=True)
    viewer.key("a", "KeyA", down=False)
    assert viewer.held() == set()
    assert typed.holds("a")


def test_what_is_typed_at_once_repeats_as_the_viewers_key_does(typed: TextField, viewer: Viewer) -> None:
    viewer.key("Shift", "ShiftLeft")
    viewer.key("/", "Digit7")
    viewer.key("/", "Digit7", repeat=True)
    viewer.key("/", "Digit7", down=False)
    assert viewer.held() == {SHIFT_L}
    viewer.key("Shift", "ShiftLeft", down=False)
    assert typed.holds("//")


def test_a_lost_release_is_made_up_for(typed: TextField, viewer: Viewer) -> None:
    viewer.key("a", "KeyA")
    viewer.key("a", "KeyA")
    viewer.key("A", "KeyA", down=False)
    viewer.key("a", "KeyA", down=False)
    viewer.key("b", "KeyB", down=False)
    assert viewer.held() == set()
    assert typed.holds("aa")


def test_all_is_released_when_a_viewer_goes(viewer: Viewer, typed: TextField) -> None:
    assert typed.contents == ""
    viewer.key("Control", "ControlLeft")
    viewer.key("b", "KeyB")
    viewer.do("button", x=600, y=400, button=1, down=True)
    viewer.do("button", x=601, y=401, button=3, down=True)
    assert viewer.held() == {CONTROL_L, KEY_B}
    assert viewer.pointer() == (601, 401, X.Button1Mask | X.Button3Mask)
    viewer.input.release()
    assert viewer.held() == set()
    assert viewer.pointer() == (601, 401, 0)
    viewer.key("b", "KeyB")  # a message that was under way
    assert viewer.held() == set()


def test_who_presses_more_than_people_can_has_all_released(viewer: Viewer) -> None:
    for number in range(100):
        viewer.key("F1", f"Code{number}")
    viewer.key("b", "KeyB")
    assert len(viewer.input._held) <= 33
    viewer.input.release()
    assert viewer.held() == set()


# -- the pointer -------------------------------------------------------------------------------------------------------


def test_the_pointer_goes_where_it_is_said_to_be_and_nowhere_else(viewer: Viewer) -> None:
    viewer.do("pointer", x=123, y=45)
    assert viewer.pointer() == (123, 45, 0)
    for x, y in ((640, 0), (0, 480), (65535, 65535)):
        viewer.do("pointer", x=x, y=y)
        viewer.do("button", x=x, y=y, button=1, down=True)
        viewer.do("scroll", x=x, y=y, dx=0, dy=1)
    assert viewer.pointer() == (123, 45, 0)
    viewer.do("button", x=5, y=6, button=1, down=True)
    viewer.do("button", x=700, y=6, button=1, down=False)  # the screen has become smaller meanwhile
    assert viewer.pointer() == (5, 6, 0)
    viewer.do("pointer", x=1, y=1, channel=2)
    assert viewer.pointer() == (5, 6, 0)


def test_points_are_of_the_part_that_is_shown(screen: xshm.Screen, server: Server) -> None:
    viewer = Viewer(screen, server, Rect(100, 200, 50, 60))
    viewer.do("pointer", x=49, y=59)
    assert viewer.pointer() == (149, 259, 0)
    viewer.do("pointer", x=50, y=0)
    assert viewer.pointer() == (149, 259, 0)
    viewer.close()


def test_a_pixmap_takes_no_input(screen: xshm.Screen, server: Server, viewer: Viewer) -> None:
    viewer.do("pointer", x=9, y=9)
    display = Display(server.name)
    pixmap = display.screen().root.create_pixmap(50, 50, 24)
    display.sync()
    viewer.channel = Channel(1, "", screen.pixmap(pixmap.id), None, fps=60)
    viewer.do("pointer", x=20, y=20)
    viewer.key("a", "KeyA")
    assert (viewer.pointer(), viewer.held()) == ((9, 9, 0), set())
    display.close()


def test_the_wheel_turns(typed: TextField, viewer: Viewer, screen: xshm.Screen) -> None:
    viewer.do("key", text="\n".join(map(str, range(60))))
    x, y = typed.place
    assert typed.becomes(lambda text: text.endswith("59"))
    screen.wait_stable(timeout=5, quiet=0.1)
    before = screen.grab().rgb().copy()
    viewer.do("scroll", x=x, y=y, dx=0, dy=-8)
    eventually(lambda: not (screen.grab().rgb() == before).all())


# -- what no page sends ------------------------------------------------------------------------------------------------

_AT = {"x": 1, "y": 1}
_NONSENSE: tuple[dict[str, Any], ...] = (
    {"type": "pointer"},
    {"type": "pointer", "x": 1.0, "y": 1},
    {"type": "pointer", "x": True, "y": 1},
    {"type": "pointer", "x": -1, "y": 1},
    {"type": "pointer", "x": 1, "y": 65536},
    {"type": "pointer", "x": "1", "y": None},
    {"type": "button", **_AT, "down": True},
    {"type": "button", **_AT, "button": 4, "down": True},
    {"type": "button", **_AT, "button": 0, "down": True},
    {"type": "button", **_AT, "button": 255, "down": True},
    {"type": "button", **_AT, "button": True, "down": True},
    {"type": "button", **_AT, "button": [1], "down": True},
    {"type": "button", **_AT, "button": 1, "down": 1},
    {"type": "button", "button": 1, "down": False},
    {"type": "scroll", **_AT, "dx": 0, "dy": 51},
    {"type": "scroll", **_AT, "dx": 0.5, "dy": 0},
    {"type": "scroll", **_AT, "dx": 0},
    {"type": "key"},
    {"type": "key", "key": "a", "code": "KeyA"},
    {"type": "key", "key": "a", "code": "KeyA", "down": "yes"},
    {"type": "key", "key": "a", "code": "KeyA", "down": True, "repeat": 1},
    {"type": "key", "key": "a", "code": 38, "down": True},
    {"type": "key", "key": "", "code": "KeyA", "down": True},
    {"type": "key", "key": "a" * 33, "code": "KeyA", "down": True},
    {"type": "key", "key": "a", "code": "K" * 1000, "down": True},
    {"type": "key", "text": ""},
    {"type": "key", "text": "a" * 257},
    {"type": "key", "text": "\x1b[A"},
    {"type": "key", "text": "\ud800"},
    {"type": "key", "text": ["a"]},
)


@pytest.mark.parametrize("message", _NONSENSE, ids=str)
def test_what_no_page_sends_is_refused(viewer: Viewer, message: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument, match=r"no page sends|typed"):
        viewer.input.handle({"channel": 1, **message})
    assert viewer.held() == set()


@pytest.mark.parametrize("channel", [None, 0, 2, -1, 10**30, "1", 1.0, True, [], {}])
def test_another_channel_is_nothing_to_point_at(viewer: Viewer, channel: object) -> None:
    viewer.do("pointer", x=3, y=3)
    viewer.do("pointer", x=8, y=8, channel=channel)
    assert viewer.pointer() == (3, 3, 0)


def test_keys_that_x_has_not_do_nothing(viewer: Viewer) -> None:
    for key in (
        "AltGraph",
        "Dead",
        "Process",
        "LaunchApplication2",
        "F99",
        "Unidentified",
        "XF86Sleep",
        "Return",
        "\x07",
    ):
        viewer.tap(key, "Code")
    assert viewer.held() == set()


def test_floods_are_bounded_and_releases_always_done(viewer: Viewer, monkeypatch: pytest.MonkeyPatch) -> None:
    viewer.key("b", "KeyB")
    # Within one moment: how fast this machine is does not decide how many of them are left out.
    moment = viewer.input._filled_at
    monkeypatch.setattr("xshm.live.input.time", SimpleNamespace(monotonic=lambda: moment))
    began = time.monotonic()
    for at in range(5000):
        viewer.do("pointer", x=at % 640, y=at // 640)
    assert time.monotonic() - began < 2, "they are left out"
    assert viewer.pointer()[:2] == (798 % 640, 798 // 640), "800 at once, of which the key was one"
    viewer.do("key", text="a" * 200)
    viewer.key("a", "KeyA")
    assert viewer.held() == {KEY_B}
    viewer.key("b", "KeyB", down=False)
    assert viewer.held() == set()


def test_a_server_that_does_not_answer_is_left_alone_for_a_while() -> None:
    with start("Xvfb", 320, 200) as stopped, xshm.Screen(stopped.name, timeout=20) as screen:
        viewer = Viewer(screen, stopped)
        viewer.key("b", "KeyB")
        stopped.pause()
        try:
            began = time.monotonic()
            for at in range(20):
                viewer.do("pointer", x=at, y=0)
            assert 0.5 < time.monotonic() - began < 2
        finally:
            stopped.resume()
        viewer.input.release()
        assert viewer.held() == set()
        viewer.close()


# -- over the wire -----------------------------------------------------------------------------------------------------


def test_a_view_has_no_input_unless_it_is_said(screen: xshm.Screen, viewer: Viewer) -> None:
    viewer.do("pointer", x=7, y=7)
    with screen.live() as live, LiveClient(live.url) as page:
        assert page.until("welcome")["input"] is False
        page.send({"type": "pointer", "channel": 1, "x": 50, "y": 50})
        assert page.closed() == 1002
    assert viewer.pointer() == (7, 7, 0)


def test_input_arrives_and_is_released_however_a_viewer_goes(screen: xshm.Screen, viewer: Viewer) -> None:
    with screen.live(allow_input=True) as live:
        with LiveClient(live.url) as page:
            assert page.until("welcome")["input"] is True
            page.send({"type": "button", "channel": 1, "x": 50, "y": 60, "button": 1, "down": True})
            page.send({"type": "key", "channel": 1, "key": "b", "code": "KeyB", "down": True})
            eventually(lambda: viewer.held() == {KEY_B} and viewer.pointer() == (50, 60, X.Button1Mask))
        eventually(lambda: not viewer.held() and viewer.pointer() == (50, 60, 0))
        with LiveClient(live.url) as page:
            page.until("welcome")
            page.send({"type": "key", "channel": 1, "key": "b", "code": "KeyB", "down": True})
            eventually(lambda: viewer.held() == {KEY_B})
            page.send({"type": "key", "channel": 1, "key": 5, "code": "KeyB", "down": True})
            assert page.closed() == 1002
            eventually(lambda: not viewer.held())
        page = LiveClient(live.url)
        page.until("welcome")
        page.send({"type": "key", "channel": 1, "key": "b", "code": "KeyB", "down": True})
        eventually(lambda: viewer.held() == {KEY_B})
    eventually(lambda: not viewer.held())
    page.close()
