"""Fixtures of the tests in tests/virtual."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from xshm import VirtualDisplay

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def display() -> Iterator[VirtualDisplay]:
    with VirtualDisplay(200, 100) as display:
        yield display
