"""Texts of all kinds, typed into a page in Chromium, and into a field of GTK, which Chromium's own menus use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from keymaps import TEXT, set_layout
from text_field import TextField

if TYPE_CHECKING:
    from collections.abc import Iterator

    from servers import Server

    import xshm


@pytest.fixture(scope="module", params=["gtk", "chromium"])
def field(request: pytest.FixtureRequest, server: Server) -> Iterator[TextField]:
    with TextField(request.param, server) as field:
        yield field


# Takes 2 seconds each: the characters that no key has need all free keycodes several times over.
@pytest.mark.parametrize("layout", ["us", "de", "fr", "ru"])
def test_a_field_or_a_page_holds_what_was_typed(
    field: TextField, screen: xshm.Screen, server: Server, layout: str
) -> None:
    set_layout(server, layout)
    field.clear(screen)
    screen.type(TEXT)
    assert field.holds(TEXT)
