"""A server of their own for these tests: they change its keymap, and hold its keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from servers import start

import xshm

if TYPE_CHECKING:
    from collections.abc import Iterator

    from servers import Server


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with start("Xvfb", 640, 480) as server:
        yield server


@pytest.fixture
def screen(server: Server) -> Iterator[xshm.Screen]:
    with xshm.Screen(server.name, timeout=20) as screen:
        yield screen
