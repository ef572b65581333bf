"""Fixtures of the tests of `capture`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import interrupt_workload
import pytest
from pointers import Pointers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from interrupt_workload import InterruptWorkload
    from servers import Server


@pytest.fixture
def pointers(xvfb: Server) -> Iterator[Pointers]:
    with Pointers(xvfb) as pointers:
        yield pointers


@pytest.fixture(params=["sysv", "fd"])
def workload(make_server: Callable[..., Server], request: pytest.FixtureRequest) -> Iterator[InterruptWorkload]:
    with interrupt_workload.opened(
        make_server("Xvfb", interrupt_workload.WIDTH, interrupt_workload.HEIGHT), request.param
    ) as workload:
        yield workload
