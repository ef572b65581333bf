"""Fixtures of the tests of System V shared memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sysv_kernel import attaches, segment_maker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from xshm import sysv


@pytest.fixture
def make() -> Iterator[Callable[..., int]]:
    with segment_maker() as make:
        yield make


@pytest.fixture
def shmid() -> Iterator[sysv.ShmId]:
    """Give a segment of one page that nothing is attached to, before and after the test."""
    with segment_maker() as make:
        shmid = make()
        yield shmid
        assert attaches(shmid) == 0
