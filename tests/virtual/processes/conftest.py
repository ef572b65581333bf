"""Fixtures of the tests of a display's programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from xshm import VirtualDisplay

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def display() -> Iterator[VirtualDisplay]:
    with VirtualDisplay(64, 48) as display:
        yield display
