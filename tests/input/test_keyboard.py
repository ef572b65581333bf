"""Keys, chords and held keys: which events a program gets, and what becomes of the keys that a user holds."""

from __future__ import annotations

import subprocess
import threading
from typing import TYPE_CHECKING

import pytest
from keymaps import keymap_of, set_layout
from text_field import TextField
from Xlib import X
from Xlib.ext import xtest

import xshm
from xshm.errors import InvalidArgument, InvalidType

if TYPE_CHECKING:
    from collections.abc import Iterator

    from servers import Server

CAPS_LOCK, SHIFT, CONTROL = 66, 50, 37  # keycodes


@pytest.fixture(scope="module")
def field(server: Server) -> Iterator[TextField]:
    with TextField("tk", server) as field:
        yield field


@pytest.fixture
def user(server: Server) -> Iterator[User]:
    user = User(server)
    yield user
    user.close()


class User:
    """Somebody else's hands on the same keyboard: another connection, with python-xlib's XTEST."""

    def __init__(self, server: Server) -> None:
        self._screen = xshm.Screen(server.name)
        self._display = self._screen.xlib
        self._down: list[int] = []

    def press(self, keycode: int) -> None:
        xtest.fake_input(self._display, X.KeyPress, keycode)
        self._display.sync()
        self._down.append(keycode)

    def release(self) -> None:
        while self._down:
            xtest.fake_input(self._display, X.KeyRelease, self._down.pop())
        self._display.sync()

    def tap(self, keycode: int) -> None:
        self.press(keycode)
        self.release()

    def held(self) -> set[int]:
        keys = self._display.query_keymap()
        return {8 * index + bit for index, byte in enumerate(keys) for bit in range(8) if byte >> bit & 1}

    def modifiers(self) -> int:
        return int(self._display.screen().root.query_pointer().mask)

    def close(self) -> None:
        self.release()
        if self.modifiers() & X.LockMask:
            self.tap(CAPS_LOCK)
        self._screen.close()


@pytest.fixture
def typed(field: TextField, screen: xshm.Screen, server: Server) -> TextField:
    set_layout(server, "us")
    field.clear(screen)
    return field


def test_a_key_is_pressed_by_its_name_and_with_its_modifiers(typed: TextField, screen: xshm.Screen) -> None:
    for keys in ("a", "A", "shift+b", "plus", "+", "shift++", "Return", "enter", "U00e9", "EuroSign", "space", "Tab"):
        screen.press(keys)
    assert typed.holds("aAB+++\n\n\u00e9\u20ac \t")
    for keys in ("ctrl+Home", "Shift+Right", "shift+Right", "BackSpace"):
        screen.press(keys)
    assert typed.holds("B+++\n\n\u00e9\u20ac \t")


def test_shift_and_caps_lock_of_a_user_do_not_change_what_is_typed_and_are_put_back(
    typed: TextField, screen: xshm.Screen, user: User
) -> None:
    user.tap(CAPS_LOCK)
    user.press(SHIFT)
    assert user.modifiers() & 0xFF == X.LockMask | X.ShiftMask
    screen.type("aA1!\u00fc")
    screen.press("b")
    assert user.held() == {SHIFT}
    assert user.modifiers() & 0xFF == X.LockMask | X.ShiftMask
    assert typed.holds("aA1!\u00fcb")


def test_num_lock_is_put_back(typed: TextField, screen: xshm.Screen, user: User) -> None:
    user.tap(77)
    try:
        screen.type("1aB")
        assert user.modifiers() & X.Mod2Mask
        assert typed.holds("1aB")
    finally:
        user.tap(77)


def test_a_group_that_the_user_is_in_is_used_and_come_back_to(
    field: TextField, screen: xshm.Screen, server: Server, user: User
) -> None:
    subprocess.run(
        ["setxkbmap", "us,ru", "-option", "grp:menu_toggle"], env=server.env(), check=True
    )  # the menu key switches to Russian
    try:
        field.clear(screen)
        user.tap(135)
        assert user.modifiers() >> 13 & 3 == 1
        screen.type("\u0430b\u0432. ctrl")
        assert user.modifiers() >> 13 & 3 == 1
        assert field.holds("\u0430b\u0432. ctrl")
    finally:
        subprocess.run(["setxkbmap", "us", "-option", ""], env=server.env(), check=True)


def test_a_key_that_is_held_stays_down_until_it_is_released(typed: TextField, screen: xshm.Screen, user: User) -> None:
    screen.key_down("shift")
    assert user.held() == {SHIFT}
    screen.press("a")
    screen.key_down("b")
    assert user.held() == {SHIFT, 56}
    screen.type("c")  # what is typed does not depend on what is held
    assert user.held() == {SHIFT, 56}
    screen.key_up("b")
    screen.key_up("shift")
    assert user.held() == set()
    assert typed.holds("ABc")


def test_what_is_held_when_the_screen_is_closed_is_released(server: Server, user: User) -> None:
    set_layout(server, "us")
    with xshm.Screen(server.name) as screen:
        screen.key_down("ctrl+alt")
        screen.button_down("right")
        assert len(user.held()) == 2
        assert user.modifiers() & X.Button3Mask
    assert user.held() == set()
    assert not user.modifiers() & X.Button3Mask


def test_sixteen_threads_type_one_after_the_other(typed: TextField, screen: xshm.Screen) -> None:
    # Each text has a character that no key has.
    words = [f"{chr(0x430 + number)}{letter * 9}" for number, letter in enumerate("abcdefghijklmnop")]
    _type_at_once(screen, [f"{word} " for word in words])
    assert typed.becomes(lambda text: sorted(text.split()) == words)


def test_long_texts_of_several_threads_are_not_mixed(typed: TextField, screen: xshm.Screen) -> None:
    texts = ["\n".join([letter * 60] * 30) for letter in "abcd"]
    _type_at_once(screen, [f"{text}\n\n" for text in texts])
    assert typed.becomes(lambda text: sorted(text.split("\n\n")) == ["", *texts])


def _type_at_once(screen: xshm.Screen, texts: list[str]) -> None:
    threads = [threading.Thread(target=screen.type, args=(text,)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.mark.parametrize(
    ("keys", "near"),
    [("ctlr+s", "ctrl"), ("Retrun", "Return"), ("page_up", "Page_Up"), ("ctrl+F55", "F5"), ("supr", "super")],
)
def test_a_name_that_is_none_is_refused_with_near_ones(screen: xshm.Screen, keys: str, near: str) -> None:
    with pytest.raises(InvalidArgument, match=rf"no key is named .*near ones are .*\b{near}\b"):
        screen.press(keys)


def test_odd_keys_and_texts_are_refused(screen: xshm.Screen) -> None:
    for keys in ("", "ctrl+", "+a", "\x1b", "ctrl+\ud800"):
        with pytest.raises(InvalidArgument):
            screen.press(keys)
    with pytest.raises(InvalidType):
        screen.press(5)  # type: ignore[arg-type]
    with pytest.raises(InvalidType):
        screen.type(b"bytes")  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match=r"control character '.x08' at index 2"):
        screen.type("ab\b")


def test_keys_that_the_keyboard_has_are_not_lent_a_keycode(screen: xshm.Screen, server: Server) -> None:
    set_layout(server, "us")
    before = keymap_of(server)
    screen.press("XF86AudioPlay")
    screen.press("F12")
    screen.press("KP_Enter")
    assert keymap_of(server) == before  # all of them have keys


def test_a_key_that_is_pressed_down_twice_is_released_with_its_shift(
    typed: TextField, screen: xshm.Screen, user: User
) -> None:
    for _ in range(2):
        screen.key_down("A")
    screen.key_up("A")
    assert not user.held()
    assert typed.becomes(lambda text: text.startswith("A"))


def test_a_modifier_that_is_held_stays_held_when_a_key_that_needs_it_is_released(
    typed: TextField, screen: xshm.Screen, user: User
) -> None:
    screen.key_down("A")
    screen.key_down("shift")
    screen.key_up("A")
    assert user.held() == {SHIFT}
    screen.key_up("shift")
    assert not user.held()
    assert typed.becomes(lambda text: text.startswith("A"))


@pytest.mark.parametrize(("key", "lock"), [("Caps_Lock", X.LockMask), ("Num_Lock", X.Mod2Mask)])
def test_a_lock_is_set_and_reset_by_pressing_its_key(
    typed: TextField, screen: xshm.Screen, user: User, key: str, lock: int
) -> None:
    assert typed.holds("")
    for expected in (lock, 0, lock, 0):
        screen.press(key)
        assert user.modifiers() & lock == expected
        screen.press("Escape")
        assert user.modifiers() & lock == expected
