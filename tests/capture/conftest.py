"""What the tests of this package share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import interrupt_workload
import pytest
from pointers import Pointers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from interrupt_workload import Workplace
    from servers import Server


@pytest.fixture
def pointers(xvfb: Server) -> Iterator[Pointers]:
    with Pointers(xvfb) as pointers:
        yield pointers


@pytest.fixture(params=["sysv", "fd"])
def place(make_server: Callable[..., Server], request: pytest.FixtureRequest) -> Iterator[Workplace]:
    with interrupt_workload.opened(
        make_server("Xvfb", interrupt_workload.WIDTH, interrupt_workload.HEIGHT), request.param
    ) as place:
        yield place
