"""Fixtures of the tests of `record`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from counter_screen import CounterScreen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from servers import Server


@pytest.fixture
def counter(xvfb: Server) -> Iterator[CounterScreen]:
    """Give a CounterScreen on `xvfb`."""
    with CounterScreen(xvfb.name) as counter:
        yield counter
