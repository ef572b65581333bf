"""Segments, checked by the kernel's records: their memory, mode and seals, and open descriptors."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING, get_args

import pytest
from descriptors import new_descriptors, open_descriptors
from hypothesis import given
from hypothesis import strategies as st

from xshm import sysv
from xshm.errors import InvalidArgument
from xshm.shm.pool import Pool
from xshm.shm.probe import choose
from xshm.shm.segment import Kind, Segment, round_up
from xshm.x11.connection import Connection

if TYPE_CHECKING:
    from servers import Server

_PAGE = 4096
_KINDS = get_args(Kind)


@pytest.mark.parametrize("kind", _KINDS)
def test_a_segment_is_zeroed_memory_of_its_size(kind: Kind) -> None:
    segment = Segment(kind, 10_001)
    view = memoryview(segment.memory)
    assert len(view) == 10_001
    assert bytes(view) == bytes(10_001)
    view[10_000] = 7
    assert (segment.shmid >= 0, segment.descriptor >= 0) == (kind == "sysv", kind == "memfd")


@pytest.mark.parametrize("kind", _KINDS)
@pytest.mark.parametrize("size", [0, -1])
def test_a_segment_of_nothing_is_refused(kind: Kind, size: int) -> None:
    with pytest.raises(InvalidArgument, match=f"at least 1 byte, not {size}"):
        Segment(kind, size)


@pytest.mark.parametrize("kind", _KINDS)
def test_a_segment_that_the_kernel_has_no_room_for_is_its_error_and_leaves_nothing(kind: Kind) -> None:
    descriptors = open_descriptors()
    with pytest.raises(OSError, match=r"size=1152921504606846976|allocate|too large|argument"):
        Segment(kind, 1 << 60)
    assert not new_descriptors(descriptors)
    assert not [each for each in sysv.segments() if each.cpid == os.getpid()]


def test_a_system_v_segment_is_private_and_removed_before_the_server_hears_of_it(xvfb: Server) -> None:
    seen: list[sysv.SegmentInfo] = []
    connection = Connection(xvfb.name)
    transport = choose(connection, "sysv")

    def attach(segment: Segment) -> int:
        seen.extend(each for each in sysv.segments() if each.shmid == segment.shmid)
        return transport.attach(segment)

    pool = Pool("sysv", attach, transport.detach, 1)
    owner, _ = pool.acquire(5000)
    (before,) = seen
    assert before.mode == sysv.SHM_DEST | 0o600
    assert (before.nattch, before.key, before.uid) == (1, 0, os.geteuid())
    (after,) = (each for each in sysv.segments() if each.shmid == before.shmid)
    assert (after.mode, after.nattch) == (before.mode, 2)
    pool.close()
    connection.close()
    del owner


def test_a_memfd_can_be_neither_shrunk_nor_grown_nor_unsealed_nor_inherited() -> None:
    segment = Segment("memfd", 5000)
    seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
    assert fcntl.fcntl(segment.descriptor, fcntl.F_GET_SEALS) == seals
    for size in (0, 4999, 5001):
        with pytest.raises(PermissionError):
            os.ftruncate(segment.descriptor, size)
    with pytest.raises(PermissionError):
        fcntl.fcntl(segment.descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE)
    assert not os.get_inheritable(segment.descriptor)


def test_a_memfd_is_closed_with_its_segment_or_before_and_once() -> None:
    segment = Segment("memfd", 5000)
    number = int(segment.descriptor)
    segment.close_descriptor()
    segment.close_descriptor()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(number)
    assert os.dup2(0, number) == number  # somebody else's by now
    del segment
    os.fstat(number)
    os.close(number)


@given(st.integers(1, 1 << 34))
def test_sizes_are_rounded_up_to_few_and_by_little(nbytes: int) -> None:
    size = round_up(nbytes)
    assert nbytes <= size < nbytes * 1.125 + _PAGE
    assert size % _PAGE == 0
    assert round_up(size) == size
    assert round_up(nbytes + 1) >= size
