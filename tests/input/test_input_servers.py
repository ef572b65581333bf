"""Input on servers of all kinds, and on one that does not answer."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from keymaps import keymap_of
from text_field import TextField

import xshm
from xshm.errors import RequestTimeout

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers import Server


@pytest.mark.parametrize("kind", ["Xvnc", "Xephyr", "Xorg", "Xwayland"])
def test_a_text_is_typed_on_each_kind_of_server(make_server: Callable[..., Server], kind: str) -> None:
    server = make_server(kind, 640, 480)
    with TextField("tk", server) as field, xshm.Screen(server.name, timeout=20) as screen:
        field.clear(screen)
        keymap = keymap_of(server)
        screen.type("aB1 \u00fc\u0436\u65e5\n")
        assert field.holds("aB1 \u00fc\u0436\u65e5\n")
        screen.close()
        assert keymap_of(server) == keymap


def test_a_server_that_does_not_answer_is_told_and_does_not_keep_a_screen_open(
    make_server: Callable[..., Server],
) -> None:
    server = make_server("Xvfb", 100, 100)
    screen = xshm.Screen(server.name, timeout=0.3)
    screen.type("\u0436")
    server.pause()
    try:
        with pytest.raises(RequestTimeout):
            screen.click(1, 1)
        begin = time.monotonic()
        screen.close()
        assert time.monotonic() - begin < 10
    finally:
        server.resume()
