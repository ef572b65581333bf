"""When a segment is attached and detached, by the kernel's own count: views, slices, arrays, reference cycles."""

from __future__ import annotations

import ctypes
import errno
import gc
import itertools
import mmap
import os
import pickle

import numpy as np
import pytest
from sysv_kernel import attaches, run_python

from xshm import sysv


@pytest.mark.usefixtures("no_collector")
def test_shmdt_detaches_at_once_and_the_view_is_unusable(shmid: sysv.ShmId) -> None:
    view = sysv.shmat(shmid)
    assert attaches(shmid) == 1
    sysv.shmdt(view)
    assert attaches(shmid) == 0
    with pytest.raises(ValueError, match="released memoryview"):
        view[0]


@pytest.mark.usefixtures("no_collector")
def test_the_segment_stays_until_the_last_of_views_slices_and_arrays_dies_in_any_order(shmid: sysv.ShmId) -> None:
    for order in itertools.permutations(range(4)):
        view = sysv.shmat(shmid)
        view[16] = 42
        array = np.frombuffer(view, np.uint8)
        holders: list[memoryview | np.ndarray | None] = [view[16:32], array[16:20], view.cast("I")[4:], array]
        sysv.shmdt(view)
        del view, array
        for count, number in enumerate(order):
            assert attaches(shmid) == 1
            assert all(holder[0] == 42 for holder in holders[:3] if holder is not None)
            holders[number] = None
            assert attaches(shmid) == (1 if count < 3 else 0)


@pytest.mark.usefixtures("no_collector")
def test_dropping_or_releasing_or_leaving_the_view_detaches_as_shmdt_does(shmid: sysv.ShmId) -> None:
    view = sysv.shmat(shmid)
    del view
    assert attaches(shmid) == 0
    sysv.shmat(shmid, sysv.SHM_RDONLY).release()
    assert attaches(shmid) == 0
    with sysv.shmat(shmid):
        assert attaches(shmid) == 1
    assert attaches(shmid) == 0


def test_what_is_no_view_of_shmat_is_refused_and_left_alone(shmid: sysv.ShmId) -> None:
    view, other = sysv.shmat(shmid), sysv.shmat(shmid, sysv.SHM_RDONLY)
    detached, released = sysv.shmat(shmid), sysv.shmat(shmid)
    sysv.shmdt(detached)
    released.release()
    foreign = mmap.mmap(-1, 4096)
    strangers = [
        detached, released, view[:], view[1:], view[:0], view.cast("I"), view.toreadonly(), memoryview(view),
        np.frombuffer(view, np.uint8), memoryview(foreign), foreign, b"", memoryview(b""), None, 0, view.obj,
    ]  # fmt: skip
    for stranger in strangers:
        words = rf"Invalid argument: shmdt\(<{type(stranger).__name__} at 0x[0-9a-f]+>\): not a view"
        with pytest.raises(OSError, match=words) as caught:
            sysv.shmdt(stranger)  # type: ignore[arg-type]
        assert caught.value.errno == errno.EINVAL
    assert attaches(shmid) == 2
    view[0] = foreign[0] = 5
    assert (other[0], foreign[0]) == (5, 5)
    strangers.clear()
    del stranger, caught
    sysv.shmdt(view)
    sysv.shmdt(other)


def test_a_second_shmdt_does_not_touch_what_was_mapped_there_since(shmid: sysv.ShmId) -> None:
    view = sysv.shmat(shmid)
    place = np.frombuffer(view, np.uint8).ctypes.data
    sysv.shmdt(view)
    libc = ctypes.CDLL(None)
    libc.shmat.restype = ctypes.c_void_p
    assert libc.shmat(shmid, ctypes.c_void_p(place), 0) == place
    with pytest.raises(OSError, match="shmdt"):
        sysv.shmdt(view)
    del view
    assert attaches(shmid) == 1
    assert libc.shmdt(ctypes.c_void_p(place)) == 0


def test_a_use_of_the_view_itself_keeps_the_segment_until_the_view_dies(shmid: sysv.ShmId) -> None:
    view = sysv.shmat(shmid)
    use = pickle.PickleBuffer(view)
    sysv.shmdt(view)
    assert attaches(shmid) == 1
    with pytest.raises(OSError, match="shmdt"):
        sysv.shmdt(view)
    use.release()
    del view
    assert attaches(shmid) == 0


def test_a_finalizer_in_a_reference_cycle_can_still_read_and_even_rescue_the_view(shmid: sysv.ShmId) -> None:
    # In a process of its own: a view that dangles kills it. Nothing but the cycle may hold the view.
    printed = run_python(
        """
        import gc, sys
        from xshm import sysv
        shmid = int(sys.argv[1])
        rescued = []
        class Node:
            def __del__(self):
                print("read", self.view[4095], sysv.stat(shmid).nattch)
                if self.rescue:
                    rescued.append(self.view)
        for rescue in (False, True):
            node = Node()
            node.view, node.rescue, node.itself = sysv.shmat(shmid), rescue, node
            node.view[4095] = 42
            del node
            gc.collect()
            print("collected", sysv.stat(shmid).nattch)
        part = rescued.pop()[4095:]
        print("rescued", part[0], sysv.stat(shmid).nattch)
        del part
        print("gone", sysv.stat(shmid).nattch)
        """,
        shmid,
    )
    assert printed.splitlines() == ["read 42 1", "collected 0", "read 42 1", "collected 1", "rescued 42 1", "gone 0"]


def test_a_cycle_that_holds_views_in_many_places_is_collected(shmid: sysv.ShmId) -> None:
    for order in itertools.permutations(range(4)):
        view = sysv.shmat(shmid)
        parts: list[object] = [view, view[1:], np.frombuffer(view, np.uint8), {"view": view.cast("I")}]
        cycle: list[object] = [parts[number] for number in order]
        cycle.append(cycle)
        del view, parts, cycle
        gc.collect()
        assert attaches(shmid) == 0


def test_views_that_live_to_the_end_of_the_interpreter_do_no_harm(shmid: sysv.ShmId) -> None:
    code = """
        import sys
        from xshm import sysv
        shmid = int(sys.argv[1])
        class Late:
            def __init__(self): self.view = sysv.shmat(shmid)
            def __del__(self): print("late", self.view[0], flush=True)
        view, late, sys.late = sysv.shmat(shmid), Late(), Late()
        late.itself, sysv.kept = late, Late()
    """
    # How many finalizers an ending interpreter runs is its own affair.
    assert set(run_python(code, shmid).splitlines()) == {"late 0"}


def test_a_size_that_the_kernel_does_not_tell_leaves_nothing_attached(shmid: sysv.ShmId) -> None:
    if os.uname().machine != "x86_64":
        pytest.skip("the filter names the system calls of x86-64")
    printed = run_python(
        """
        import ctypes, struct, sys
        from xshm import sysv
        shmid = int(sys.argv[1])
        # A seccomp filter by which shmctl, system call 31, is EPERM and all else allowed.
        steps = (0x20, 0, 0, 0), (0x15, 0, 1, 31), (0x06, 0, 0, 0x00050001), (0x06, 0, 0, 0x7FFF0000)
        code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in steps))
        program = struct.pack("HxxxxxxP", len(steps), ctypes.addressof(code))
        libc = ctypes.CDLL(None)
        assert libc.prctl(38, 1, 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS
        assert libc.prctl(22, 2, program) == 0  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER
        try:
            sysv.shmat(shmid)
        except OSError as error:
            held = error  # with its traceback, and the frames in it
        print(held.errno, held.strerror)
        print(next(info.nattch for info in sysv.segments() if info.shmid == shmid))
        """,
        shmid,
    )
    call = f"shmat(shmid={shmid}, flags=0o0)"
    assert printed.splitlines() == [f"1 Operation not permitted: {call}: IPC_STAT did not return its size", "0"]
    assert sysv.stat(shmid).atime > 0
