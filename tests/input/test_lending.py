"""Keycodes that are lent: given back after a while, on closing, after an exception, and after kill -9 by the next."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from interrupts import Interrupt, interrupted_after
from keymaps import CYRILLIC, keymap_of, set_layout
from programs import eventually
from text_field import TextField

import xshm
from xshm.errors import Closed, XshmError
from xshm.input.lending import GRACE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from servers import Server

_KILLED = """
import os, sys, xshm
screen = xshm.Screen()
screen.type("\\u0436\\u4e00")
print("typed", flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def keymap(server: Server) -> bytes:
    set_layout(server, "us")
    return keymap_of(server)


@pytest.fixture(scope="module")
def field(server: Server) -> Iterator[TextField]:
    with TextField("tk", server) as field:
        yield field


def notes(server: Server) -> list[int]:
    """Return the numbers in the property of what is lent; [] where there is none."""
    said = subprocess.run(
        ["xprop", "-root", "-notype", "_XSHM_LENT"], env=server.env(), capture_output=True, text=True, check=True
    ).stdout
    return [int(word) for word in re.findall(r"\d+", said.partition("=")[2])]


def lent_by_a_killed_process(server: Server) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _KILLED], env=server.env(), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"typed\n"
        os.kill(process.pid, signal.SIGKILL)


def test_a_keycode_is_lent_for_a_while_and_given_back(server: Server, screen: xshm.Screen, keymap: bytes) -> None:
    screen.type("a")
    assert keymap_of(server) == keymap
    begin = time.monotonic()
    screen.type("\u0436")
    assert time.monotonic() - begin < GRACE  # which it does not wait for
    assert keymap_of(server) != keymap
    assert notes(server)
    eventually(lambda: keymap_of(server) == keymap)
    assert time.monotonic() - begin >= GRACE
    assert not notes(server)


def test_a_keycode_that_is_lent_is_used_again(server: Server, screen: xshm.Screen, field: TextField) -> None:
    field.clear(screen)
    screen.type("\u0436")
    lent = keymap_of(server)
    screen.type("\u0436")
    screen.type("\u0436")
    assert keymap_of(server) == lent
    assert field.holds("\u0436" * 3)


def test_a_closed_screen_leaves_no_keycode_lent(server: Server, keymap: bytes) -> None:
    with xshm.Screen(server.name) as screen:
        screen.type("\u0436\u4e00")
        assert keymap_of(server) != keymap
    assert keymap_of(server) == keymap


def test_a_program_that_ends_without_closing_leaves_no_keycode_lent(server: Server, keymap: bytes) -> None:
    program = "import xshm\nscreen = xshm.Screen()\nscreen.type('\u0436')\n"
    subprocess.run([sys.executable, "-c", program], env=server.env(), check=True)
    assert keymap_of(server) == keymap


def test_after_an_exception_nothing_is_held_and_the_keycodes_are_given_back(
    server: Server, screen: xshm.Screen, keymap: bytes
) -> None:
    # Where a text of more characters than fit waits for the keycodes.
    with pytest.raises(Interrupt), interrupted_after(0.6 * GRACE):
        screen.type(CYRILLIC)
    assert keymap_of(server) != keymap
    assert not any(screen.xlib.query_keymap())
    eventually(lambda: keymap_of(server) == keymap)


def test_interrupts_at_any_moment_leave_nothing_held_and_nothing_lent(server: Server, keymap: bytes) -> None:
    with xshm.Screen(server.name) as screen:
        screen.type("\u0436")  # what is imported and queried once is there
        for number in range(60):
            with contextlib.suppress(Interrupt), interrupted_after(0.0002 + number * 0.00025):
                screen.type(f"aB{chr(0x4E00 + number % 20)}C")
            screen.move(5, 5)  # what was queued has been sent
            assert not any(screen.xlib.query_keymap()), number
    assert keymap_of(server) == keymap
    assert not notes(server)


def test_an_interrupt_between_lending_and_typing_leaves_nothing_lent(
    server: Server, screen: xshm.Screen, keymap: bytes
) -> None:
    screen.type("\u0436")
    eventually(lambda: keymap_of(server) == keymap)
    for number in range(40):
        with contextlib.suppress(Interrupt), interrupted_after(0.0005 + number * 0.00025):
            screen.type(chr(0x4E00 + number))
    eventually(lambda: keymap_of(server) == keymap)


def test_closing_after_a_long_text_gives_back_too(server: Server, keymap: bytes) -> None:
    with xshm.Screen(server.name) as screen:
        screen.type("a" * 700)
        screen.type("\u0436")
    assert keymap_of(server) == keymap


def test_what_a_killed_process_has_lent_is_taken_back_by_the_next(
    server: Server, screen: xshm.Screen, keymap: bytes
) -> None:
    lent_by_a_killed_process(server)
    assert keymap_of(server) != keymap
    assert notes(server)
    screen.press("a")
    assert keymap_of(server) == keymap
    assert not notes(server)


def test_what_a_killed_process_has_lent_is_lent_again(server: Server, screen: xshm.Screen, field: TextField) -> None:
    lent_by_a_killed_process(server)
    field.clear(screen)
    screen.type(CYRILLIC[:38])
    assert field.holds(CYRILLIC[:38])


def test_a_keymap_that_a_user_has_set_meanwhile_is_not_changed(server: Server, screen: xshm.Screen) -> None:
    lent_by_a_killed_process(server)
    codes = notes(server)[1::4]
    subprocess.run(["xmodmap", "-e", f"keycode {codes[0]} = F20 F21"], env=server.env(), check=True)
    screen.press("a")
    keys = subprocess.run(["xmodmap", "-pke"], env=server.env(), capture_output=True, text=True, check=True).stdout
    assert f"{codes[0]} = F20 F21" in " ".join(keys.split())
    assert f"keycode {codes[1]} = keycode" in " ".join(keys.split())


def test_what_another_has_lent_is_not_relied_on(server: Server, screen: xshm.Screen) -> None:
    with xshm.Screen(server.name) as other:
        other.key_down("\u0436")  # held, they stay lent for as long as this takes
        screen.key_down("\u0436")
        owners, codes = notes(server)[::4], notes(server)[1::4]
        assert len(set(owners)) == len(set(codes)) == 2
    assert notes(server)[1::4] == codes[1:]  # those of the other are given back alone
    screen.key_up("\u0436")


def test_a_keycode_that_is_held_stays_lent_though_a_text_needs_all_others(
    server: Server, screen: xshm.Screen, keymap: bytes
) -> None:
    screen.key_down("\u65e5")
    held = notes(server)
    screen.type("".join(map(chr, range(0x4E00, 0x4E00 + 50))))
    assert notes(server)[:4] == held
    screen.key_up("\u65e5")
    assert not any(screen.xlib.query_keymap())
    eventually(lambda: keymap_of(server) == keymap)
    assert not notes(server)


def test_two_processes_never_lend_the_same_keycode(server: Server, field: TextField, keymap: bytes) -> None:
    with xshm.Screen(server.name) as first, xshm.Screen(server.name) as second:
        field.clear(first)
        texts = ["".join(map(chr, range(start, start + 8))) for start in (0x4E00, 0x5E00)]
        threads = [
            threading.Thread(target=_type_slowly, args=(screen, text))
            for screen, text in zip((first, second), texts, strict=True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert field.becomes(lambda text: sorted(text) == sorted("".join(texts)))
    assert keymap_of(server) == keymap


def _type_slowly(screen: xshm.Screen, text: str) -> None:
    for character in text:
        screen.type(character)
        time.sleep(0.02)


def test_a_program_that_is_busy_for_less_than_the_grace_gets_what_was_typed(
    server: Server, screen: xshm.Screen
) -> None:
    with TextField("tk", server, busy=0.3) as field:
        field.clear(screen)
        screen.type("\u0436\u4e00\u0444")
        assert field.holds("\u0436\u4e00\u0444")


def test_characters_arrive_though_a_program_is_behind_with_keys(server: Server, screen: xshm.Screen) -> None:
    text = "It takes this program a second to come to the end.\n" * 10
    with TextField("tk", server, slow=0.002) as field:
        field.clear(screen)
        screen.type(text)
        screen.type("\u65e5\u672c")
        assert field.holds(text + "\u65e5\u672c")


def test_a_keymap_without_a_free_keycode_is_told(make_server: Callable[..., Server]) -> None:
    server = make_server("Xvfb", 100, 100)
    full = "".join(f"keycode {code} = F20\n" for code in range(8, 256))
    subprocess.run(["xmodmap", "-"], env=server.env(), input=full, text=True, check=True)
    with xshm.Screen(server.name) as screen, pytest.raises(XshmError, match="no keycode"):
        screen.type("\u0436")


def test_nonsense_in_the_notes_is_ignored(screen: xshm.Screen, field: TextField) -> None:
    display: Any = screen.xlib
    root = display.screen().root
    atom = display.intern_atom("_XSHM_LENT")
    for size, data in ((8, b"nonsense"), (32, [1, 2, 3]), (32, [2**32 - 1] * 8), (32, [0, 38, 97, 65])):
        root.change_property(atom, 6, size, data)
        display.sync()
        field.clear(screen)
        screen.type("a\u0436")
        assert field.holds("a\u0436")


def test_a_keymap_that_is_set_while_keycodes_are_lent_leaves_as_many_to_lend(
    server: Server, screen: xshm.Screen, field: TextField, keymap: bytes
) -> None:
    field.clear(screen)
    screen.type(CYRILLIC[:18])
    assert field.holds(CYRILLIC[:18])
    set_layout(server, "us")  # which takes the keysyms of the lent ones away
    screen.type(CYRILLIC[18:36])
    assert field.holds(CYRILLIC[:36])
    eventually(lambda: not notes(server))
    assert keymap_of(server) == keymap


def test_a_chord_after_a_text_that_has_taken_all_keycodes_waits_for_one(
    server: Server, screen: xshm.Screen, field: TextField
) -> None:
    set_layout(server, "ru")
    field.clear(screen)
    text = "".join(map(chr, range(0x4E00, 0x4E00 + 38)))
    screen.type(text)
    assert field.holds(text)
    screen.press("shift+x")  # which the Russian keymap lacks
    assert field.becomes(lambda contents: contents.lower() == text + "x")


def test_a_screen_that_is_closed_while_it_types_leaves_no_keycode_lent(server: Server, keymap: bytes) -> None:
    screen = xshm.Screen(server.name)
    errors: list[BaseException] = []

    def type_long() -> None:
        try:
            screen.type("".join(map(chr, range(0x4E00, 0x4E00 + 1000))))  # more than half a minute
        except Closed as error:
            errors.append(error)

    thread = threading.Thread(target=type_long)
    thread.start()
    eventually(lambda: bool(notes(server)))
    screen.close()
    thread.join(10)
    assert errors
    assert not notes(server)
    assert keymap_of(server) == keymap
