"""The pool of slots, checked by the kernel's counts: which segments are mapped and attached, by which process."""

from __future__ import annotations

import copy
import ctypes
import gc
import os
import pickle
import re
import socket
import struct
import sys
import threading
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import pytest
from descriptors import new_descriptors, open_descriptors
from interrupt_points import at_every_point
from sysv_kernel import run_python_with_few_segments

from xshm import sysv
from xshm._signal_safety import WeakRegistry
from xshm.errors import Closed, InvalidArgument, PoolExhausted, TransportUnavailable
from xshm.shm.pool import Pool, segment_of
from xshm.shm.probe import choose
from xshm.shm.segment import Kind, Segment
from xshm.x11.connection import Connection
from xshm.x11.protocol import core, mit_shm

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from servers import Server

    from xshm.shm.transport import Transport

_PAGE = 4096
_KINDS = get_args(Kind)


class Rig:
    """A pool with a real server behind it, and eyes on the kernel."""

    def __init__(self, name: str, kind: Kind, limit: int = 4) -> None:
        self.kind: Kind = kind
        self.connection = Connection(name)
        self.transport: Transport = choose(self.connection, "sysv" if kind == "sysv" else "fd")
        self.pool = Pool(kind, self.transport.attach, self.transport.detach, limit)

    def attached(self) -> int:
        """Count the segments that the server has attached, by the kernel's table; memfds by its memory map."""
        self.connection.sync()
        if self.kind == "sysv":
            pid = os.getpid()
            return sum(each.nattch == 2 for each in sysv.segments() if each.cpid == pid)
        return _mappings("memfd:xshm", self._server_pid())

    def _server_pid(self) -> int:
        credentials = self.connection.wire.socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        return int(struct.unpack("3i", credentials)[0])

    def mapped(self) -> int:
        """Count the segments that this process has mapped."""
        return _mappings("SYSV7f7873" if self.kind == "sysv" else "memfd:xshm", os.getpid())

    def close(self) -> None:
        self.pool.close()
        self.connection.close()


def _mappings(name: str, pid: int) -> int:
    return sum(name in line for line in Path(f"/proc/{pid}/maps").read_text().splitlines())


@pytest.fixture(params=_KINDS)
def rig(xvfb: Server, request: pytest.FixtureRequest) -> Iterator[Rig]:
    gc.collect()
    rig = Rig(xvfb.name, request.param)
    assert rig.mapped() == 0
    yield rig
    rig.close()


def address(owner: Any) -> int:
    return int(np.frombuffer(owner, np.uint8).ctypes.data)


# -- lending ---------------------------------------------------------------------------------------------------------


def test_a_slot_in_use_is_never_handed_out_and_a_free_one_is_used_again(rig: Rig) -> None:
    held = [rig.pool.acquire(3 * _PAGE)[0] for _ in range(4)]
    places = [address(each) for each in held]
    assert len(set(places)) == 4
    assert rig.attached() == rig.mapped() == 4
    for _ in range(50):
        held.pop(0)
        held.append(rig.pool.acquire(3 * _PAGE)[0])
        assert {address(each) for each in held} == set(places)
    stats = rig.pool.stats()
    assert (stats.slots, stats.held, stats.idle, stats.grown, stats.takes, stats.limit) == (4, 4, 0, 4, 54, 4)
    assert stats.bytes == 4 * 3 * _PAGE


@pytest.mark.parametrize("view", ["owner", "array", "slice", "memoryview", "cast", "exported", "pickled", "pointer"])
def test_any_view_holds_the_slot_until_the_last_is_gone(rig: Rig, view: str) -> None:
    owner, _ = rig.pool.acquire(100)
    array = np.frombuffer(owner, np.uint8)
    views = {
        "owner": owner,
        "array": array,
        "slice": array[3:4].reshape(1, 1),
        "memoryview": memoryview(owner),
        "cast": memoryview(array.data)[5:6],
        "exported": array[7:].__dlpack__(),
        "pickled": pickle.PickleBuffer(array[::2].data),
        "pointer": ctypes.pointer(owner),
    }
    kept: Any = views[view]
    del owner, array, views
    assert rig.pool.stats().held == 1
    place = ctypes.addressof(rig.pool._slots()[0].owner)
    assert address(rig.pool.acquire(100)[0]) != place
    del kept
    assert (rig.pool.stats().held, rig.pool.stats().idle) == (0, 2)


def test_the_limit_is_an_error_that_says_how_many_frames_are_held(rig: Rig) -> None:
    held = [rig.pool.acquire(1_000_000)[0] for _ in range(4)]
    with pytest.raises(PoolExhausted, match=r"4 frames are held \(4 MB\), which is the limit.*copy\(\).*max_frames"):
        rig.pool.acquire(1_000_000)
    del held[2]
    held.append(rig.pool.acquire(1_000_000)[0])
    assert rig.pool.stats().grown == 4


def test_at_the_limit_idle_slots_of_other_sizes_make_room(rig: Rig) -> None:
    held = [rig.pool.acquire(_PAGE * pages)[0] for pages in (1, 2, 3)]
    del held[0], held[0]
    more = [rig.pool.acquire(_PAGE * 50)[0] for _ in range(3)]
    assert rig.pool.stats().slots == rig.attached() == 4
    with pytest.raises(PoolExhausted):
        rig.pool.acquire(1)
    del more


@pytest.mark.parametrize("limit", [0, -3])
def test_a_pool_without_room_for_a_frame_is_refused(limit: int) -> None:
    with pytest.raises(InvalidArgument, match=f"at least 1 frame, not {limit}"):
        Pool("sysv", lambda _segment: 0, lambda _shmseg: None, limit)


def test_regions_of_almost_the_same_size_share_their_slots(rig: Rig) -> None:
    for nbytes in range(100 * _PAGE, 104 * _PAGE, 1000):
        rig.pool.acquire(nbytes)
    assert rig.pool.stats().grown == 1


def test_what_has_been_idle_for_long_is_given_back_to_the_kernel_and_by_the_server(rig: Rig) -> None:
    held = [rig.pool.acquire(100 * _PAGE)[0] for _ in range(3)]
    del held
    assert rig.attached() == 3
    for _ in range(400):
        rig.pool.acquire(_PAGE)
    stats = rig.pool.stats()
    assert (stats.slots, stats.idle, stats.given_back, stats.bytes) == (1, 1, 3, _PAGE)
    assert rig.attached() == rig.mapped() == 1


def test_trim_gives_back_what_no_frame_holds(rig: Rig) -> None:
    held = [rig.pool.acquire(_PAGE)[0] for _ in range(3)]
    del held[1:]
    rig.pool.trim()
    assert rig.attached() == rig.mapped() == rig.pool.stats().slots == 1


def test_a_refused_attach_costs_no_slot(rig: Rig) -> None:
    answers = [ConnectionError("no"), MemoryError("no"), None]

    def attach(segment: Segment) -> int:
        answer = answers.pop(0)
        if answer is not None:
            raise answer
        return rig.transport.attach(segment)

    pool = Pool(rig.kind, attach, rig.transport.detach, 1)
    for kind in (ConnectionError, MemoryError):
        with pytest.raises(kind):
            pool.acquire(1)
    assert pool.stats().slots == 0
    pool.acquire(1)
    assert pool.stats().slots == 1
    pool.close()


def test_idle_slots_make_room_where_the_kernel_has_none() -> None:
    printed = run_python_with_few_segments(
        """
        with servers.start("Xvfb", 320, 200) as server, xshm.Screen(server.name, copies=False) as screen:
            print(screen.transport.kind)
            limit(shmmni=3)
            sizes = [(0, 0, 320, height) for height in (10, 50, 100, 150, 200)]
            for rect in sizes * 3:
                screen.grab(rect)
            pool = screen.stats().pool
            print(pool.held, pool.slots <= 3, pool.grown > 3)
            frames = [screen.grab(rect) for rect in sizes[:3]]
            try:
                screen.grab()
            except xshm.PoolExhausted as error:
                print(error)
            del frames[1]
            frames.append(screen.grab())
            print(screen.stats().pool.held)
        print(sysv.segments() == [segment for segment in sysv.segments() if segment.nattch == 1])
        """
    ).splitlines()
    assert printed[:2] == ["sysv", "0 True True"]
    assert re.match(
        r"the kernel has no room for a frame of 262,144 bytes \(\[Errno 28\] No space left on device: shmget\(.*"
        r"; 3 frames are held \(0 MB\); drop some, .* \(kernel.shmmni, .* transport='fd'",
        printed[2],
    )
    assert printed[3:] == ["3", "True"]


def test_what_a_signal_handler_raises_is_not_taken_for_a_lack_of_memory(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> Segment:
        raise TimeoutError("the alarm of the caller")

    monkeypatch.setattr("xshm.shm.pool.Segment", interrupted)
    with pytest.raises(TimeoutError, match="the alarm of the caller"):
        rig.pool.acquire(1)


# -- the end ---------------------------------------------------------------------------------------------------------


def test_views_outlive_the_pool_and_the_connection(rig: Rig) -> None:
    owner, slot = rig.pool.acquire(64)
    pixels = np.frombuffer(owner, np.uint8)
    request = mit_shm.pack_get_image(rig.transport.opcode, rig.connection.setup.root.id, 0, 0, 4, 4, slot.shmseg)
    rig.connection.wire.call(request)
    pending = rig.connection.wire.call(core.pack_get_image(rig.connection.setup.root.id, 0, 0, 4, 4))
    assert pending.reply is not None
    expected = pending.reply[32:]
    del owner, slot
    rig.close()
    gc.collect()
    assert pixels[:64].tobytes() == expected
    pixels[0] += 1
    assert rig.mapped() == 1
    del pixels
    assert rig.mapped() == 0


def test_a_closed_pool_lends_nothing_and_closing_twice_is_fine(rig: Rig) -> None:
    held = rig.pool.acquire(1)
    rig.pool.close()
    rig.pool.close()
    assert rig.attached() == 0
    with pytest.raises(Closed):
        rig.pool.acquire(1)
    del held
    assert rig.pool.stats().slots == 0


def test_a_closed_pool_has_let_go_of_what_it_lent_to_copy_from(rig: Rig) -> None:
    with_staging = Pool(rig.kind, rig.transport.attach, rig.transport.detach, 1, 2)
    held = with_staging.acquire_or_stage(1)
    assert [with_staging.acquire_or_stage(1)[2] for _ in range(2)] == [True, True]
    assert rig.attached() == with_staging.stats().slots > 1
    with_staging.close()
    assert rig.attached() == with_staging.stats().slots == 0
    with pytest.raises(Closed):
        with_staging.acquire_or_stage(1)
    del held


def test_no_garbage_collector_is_needed(rig: Rig) -> None:
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            pool = Pool(rig.kind, rig.transport.attach, rig.transport.detach, 8)
            frames = [np.frombuffer(pool.acquire(_PAGE * pages)[0], np.uint8) for pages in (1, 2, 1, 5)]
            del frames[1]
            frames.append(np.frombuffer(pool.acquire(10)[0], np.uint8))
            gone = weakref.ref(pool)
            del pool  # without being closed
            assert gone() is None
            assert rig.mapped() == len(frames)
            frames.clear()
            assert rig.mapped() == 0
        rig.pool.acquire(1)  # whose attach is the occasion to tell the server of what went without a word
        assert rig.attached() == 1
    finally:
        gc.enable()


def test_ten_thousand_takes_leave_memory_and_descriptors_where_they_were(rig: Rig) -> None:
    for _ in range(100):
        rig.pool.acquire(50_000)
    descriptors, blocks = open_descriptors(), sys.getallocatedblocks()
    for _ in range(10_000):
        rig.pool.acquire(50_000)
    opened = new_descriptors(descriptors)
    assert not opened
    assert sys.getallocatedblocks() - blocks < 100
    assert rig.pool.stats().grown == 1


# -- threads and processes -------------------------------------------------------------------------------------------


def test_threads_never_share_a_slot(xvfb: Server) -> None:
    rig = Rig(xvfb.name, "sysv", limit=40)
    failures: list[int] = []

    def work(number: int) -> None:
        for turn in range(300):
            owner, _ = rig.pool.acquire(_PAGE * (1 + turn % 2))
            pixels = np.frombuffer(owner, np.uint8)
            pixels[:] = number
            held = [pixels[::2], rig.pool.acquire(_PAGE)[0]]
            if (held[0] != number).any():
                failures.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert rig.pool.stats().held == 0
    rig.close()


def test_threads_wait_for_the_server_side_by_side_and_no_more_of_them_than_there_may_be_slots(rig: Rig) -> None:
    """Each in turn, eight threads of a server that does not reply would be told after eight times their timeout."""
    both = threading.Barrier(3)

    def attach(segment: Segment) -> int:
        both.wait(10)
        both.wait(10)
        return rig.transport.attach(segment)

    pool = Pool(rig.kind, attach, rig.transport.detach, 2)
    owners: list[Any] = []
    threads = [threading.Thread(target=lambda: owners.append(pool.acquire(_PAGE)[0])) for _ in range(2)]
    for thread in threads:
        thread.start()
    both.wait(10)  # both threads are within `attach`
    assert pool.stats().slots == 0, "the pool is not locked"
    with pytest.raises(PoolExhausted, match="2 frames are held"):
        pool.acquire(_PAGE)
    both.wait(10)
    for thread in threads:
        thread.join()
    assert address(owners[0]) != address(owners[1])
    owners.clear()
    pool.acquire(_PAGE)
    assert (pool.stats().grown, pool.stats().idle) == (2, 2)
    pool.close()


def test_a_new_slot_never_counts_twice(rig: Rig) -> None:
    """Between its place in the list and the end of its reservation no other thread may count."""
    locked: list[bool] = []

    class Reservations(WeakRegistry[Any]):
        def discard(self, member: Any) -> bool:
            locked.append(rig.pool._lock.locked())
            return super().discard(member)

    rig.pool._growing = Reservations()
    rig.pool.acquire(_PAGE)
    assert locked[0]


def test_a_slot_that_is_made_while_the_pool_is_closed_goes_again(rig: Rig) -> None:
    def attach(segment: Segment) -> int:
        pool.close()
        return rig.transport.attach(segment)

    pool = Pool(rig.kind, attach, rig.transport.detach, 2)
    with pytest.raises(Closed):
        pool.acquire(_PAGE)
    assert rig.attached() == rig.mapped() == pool.stats().slots == 0


def test_a_slot_that_could_not_be_made_does_not_count_though_its_exception_is_kept(rig: Rig) -> None:
    def refuse(_: Segment) -> int:
        raise ConnectionError("no")

    pool = Pool(rig.kind, refuse, rig.transport.detach, 2)
    kept = []
    for _ in range(5):
        with pytest.raises(ConnectionError) as failed:
            pool.acquire(_PAGE)
        kept.append(failed.value)
    pool.close()


def test_wherever_acquire_is_interrupted_no_slot_is_lost_and_none_is_handed_out_twice(rig: Rig) -> None:
    held: list[Any] = []

    def work() -> None:
        held.append(rig.pool.acquire(_PAGE)[0])
        rig.pool.acquire(2 * _PAGE)
        held.append(rig.pool.acquire(_PAGE)[0])

    points = 0
    for interrupted in at_every_point(work):
        points += interrupted
        assert len({address(owner) for owner in held}) == len(held)
        held.clear()
        assert rig.pool.stats().held == 0
        rig.connection.sync()  # until then an interrupted request refers to its segment
        assert rig.mapped() == rig.pool.stats().slots
        if points % 2:  # with slots, and without
            rig.pool.trim()
    assert points > 100
    owners = [rig.pool.acquire(_PAGE)[0] for _ in range(4)]
    assert len({address(owner) for owner in owners}) == rig.attached() == rig.pool.stats().slots == 4


def test_who_has_all_objects_listed_neither_keeps_a_slot_nor_gets_one_given_away(rig: Rig) -> None:
    kept: list[Any] = []

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "c_call" and frame.f_code.co_name in ("__init__", "_find"):
            kept.append((gc.get_objects(), dict(frame.f_locals)))

    sys.setprofile(note)
    try:
        first = rig.pool.acquire(_PAGE)[0]
    finally:
        sys.setprofile(None)
    assert kept
    kept[:] = [gc.get_objects()]
    owners = [first, *(rig.pool.acquire(_PAGE)[0] for _ in range(3))]
    assert len({address(owner) for owner in owners}) == 4
    del owners, first
    assert (rig.pool.stats().held, rig.pool.stats().idle) == (0, 4)
    kept[:] = [gc.get_objects()]
    owners = [rig.pool.acquire(2 * _PAGE)[0] for _ in range(4)]
    assert len({address(owner) for owner in owners}) == 4


def test_the_segment_of_an_owner_is_known_and_none_of_a_copy(rig: Rig) -> None:
    owner, slot = rig.pool.acquire(_PAGE)
    assert segment_of(owner) is slot.segment
    assert segment_of(copy.copy(owner)) is segment_of(np.zeros(3)) is segment_of(None) is None


def test_without_the_gil_it_is_refused_with_the_way_out(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: False, raising=False)
    with pytest.raises(TransportUnavailable, match=r"without the GIL.*PYTHON_GIL=1"):
        Pool(rig.kind, rig.transport.attach, rig.transport.detach, 2)
