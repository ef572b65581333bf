"""What the idioms of signal safety promise: owners close, deaths are noted, a handler's OSError is a handler's."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from xshm._signal_safety import (
    Ignored,
    TaggedRef,
    WeakRegistry,
    is_a_handlers,
    is_the_kernels,
    owned,
    pipe,
    released_by,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Thing:
    """Something that dies."""


def is_open(descriptor: int) -> bool:
    with contextlib.suppress(OSError):
        os.fstat(descriptor)
        return True
    return False


def test_a_descriptor_is_closed_with_its_last_reference() -> None:
    opened = owned(os.open, "/dev/null", os.O_RDONLY)
    reads, writes = pipe()
    numbers = [int(each) for each in (opened, reads, writes)]
    other = reads
    assert all(map(is_open, numbers))
    del opened, reads, writes
    assert [is_open(each) for each in numbers] == [False, True, False]
    del other
    assert not is_open(numbers[1])


def test_what_releases_a_number_is_called_with_it_once() -> None:
    released: list[int] = []

    class Number(int):
        __del__ = released_by(released.append)

    number = Number(5)
    assert released == []
    del number
    assert released == [5]


def test_a_tagged_reference_hands_on_its_tag_when_its_object_dies() -> None:
    died: deque[TaggedRef[Thing, str]] = deque()
    one, two = Thing(), Thing()
    first: TaggedRef[Thing, str] = TaggedRef(one, died.append)
    first.tag = "first"
    again: TaggedRef[Thing, str] = TaggedRef(one, died.append)
    again.tag = "again"
    assert first() is one
    assert first != again
    assert len({first, again}) == 2
    del two
    assert not died
    del one
    assert {each.tag for each in died} == {"first", "again"}
    assert first() is None


def test_a_registry_holds_nothing_and_forgets_what_dies() -> None:
    registry: WeakRegistry[Thing] = WeakRegistry()
    one, two = Thing(), Thing()
    registry.add(one)
    registry.add(two)
    assert registry.living() == [one, two]
    del one
    assert registry.living() == [two]
    assert len(registry) == 1
    assert registry.discard(two)
    assert not registry.discard(two)
    del two
    assert not registry


# -- whose an OSError is -----------------------------------------------------------------------------------------------

_OURS: dict[str, Any] = {"__name__": "xshm.somewhere", "__package__": "xshm", "Ignored": Ignored}
exec(  # noqa: S102 - functions of a module that counts as xshm's
    """
def caught(call):
    try:
        call()
    except OSError as error:
        return error

def ignored(call):
    with Ignored(OSError):
        call()
""",
    _OURS,
)
_BAD_CLOSE = partial(os.close, 1 << 20)


@pytest.fixture
def interrupted() -> Iterator[Callable[[], None]]:
    """Return a call into C during which a signal handler fails at a system call of its own."""
    before = signal.signal(signal.SIGUSR1, lambda *_: _BAD_CLOSE())
    yield partial(signal.raise_signal, signal.SIGUSR1)
    signal.signal(signal.SIGUSR1, before)


def test_whose_an_error_is_is_told_by_its_frames_and_not_by_its_errno(interrupted: Callable[[], None]) -> None:
    ours, theirs = _OURS["caught"](_BAD_CLOSE), _OURS["caught"](interrupted)
    assert ours.errno == theirs.errno == errno.EBADF
    assert (is_the_kernels(ours), is_a_handlers(ours)) == (True, False)
    assert (is_the_kernels(theirs), is_a_handlers(theirs)) == (False, True)
    assert not is_a_handlers(theirs, __name__)


def test_an_error_of_another_kind_is_not_the_kernels() -> None:
    assert not is_the_kernels(ValueError())


def test_a_handlers_error_is_not_ignored(interrupted: Callable[[], None]) -> None:
    _OURS["ignored"](_BAD_CLOSE)
    with pytest.raises(OSError, match="Bad file descriptor"):
        _OURS["ignored"](interrupted)
