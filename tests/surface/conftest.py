"""Fixtures of the tests in tests/surface."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from surfaces import WAYS

from xshm import Surface

if TYPE_CHECKING:
    from collections.abc import Iterator

    from servers import Server


@pytest.fixture(params=WAYS, ids=" ".join)
def each(request: pytest.FixtureRequest, xvfb: Server) -> Iterator[Surface]:
    """Give a surface of 200x150 over each way of drawing."""
    transport, way = request.param
    with Surface(200, 150, display=xvfb.name, transport=transport, way=way) as surface:
        yield surface
