"""Attaching and detaching concurrently: forked children, threads, signal handlers that raise."""

from __future__ import annotations

import contextlib
import errno
import random
import signal
import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest
from sysv_kernel import attaches, run_python

from xshm import sysv
from xshm.sysv import attached

if TYPE_CHECKING:
    from collections.abc import Callable


def test_a_forked_child_detaches_its_own_and_leaves_the_parents(shmid: sysv.ShmId) -> None:
    printed = run_python(
        """
        import os, sys
        from xshm import sysv
        shmid = int(sys.argv[1])
        view, other = sysv.shmat(shmid), sysv.shmat(shmid)
        attaches = lambda: sysv.stat(shmid).nattch
        def child(work):
            pid = os.fork()
            if pid == 0:
                work()
                sys.stdout.flush()
                os._exit(0)
            assert os.waitpid(pid, 0)[1] == 0
            print("parent", attaches(), view[0], other[0], flush=True)
        def detach():
            print("child", attaches(), end=" ")
            view[0] = 9
            sysv.shmdt(view)
            print(attaches(), end=" ")
            try: sysv.shmdt(view)
            except OSError: print("EINVAL", attaches(), other[0])
        child(detach)
        child(lambda: print("child leaves", attaches()))
        sysv.shmdt(view); sysv.shmdt(other)
        print("end", attaches())
        """,
        shmid,
    )
    assert printed.splitlines() == [
        "child 4 3 EINVAL 3 9",
        "parent 2 9 9",
        "child leaves 4",
        "parent 2 9 9",
        "end 0",
    ]


def test_of_threads_that_detach_one_view_exactly_one_succeeds(shmid: sysv.ShmId) -> None:
    def detach(view: memoryview, barrier: threading.Barrier, outcomes: list[int]) -> None:
        barrier.wait()
        try:
            sysv.shmdt(view)
        except OSError as error:
            outcomes.append(error.errno or 0)
        else:
            outcomes.append(0)

    for _ in range(100):
        view, outcomes, barrier = sysv.shmat(shmid), list[int](), threading.Barrier(4)
        threads = [threading.Thread(target=detach, args=(view, barrier, outcomes)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(outcomes) == [0, errno.EINVAL, errno.EINVAL, errno.EINVAL]
        assert attaches(shmid) == 0


def test_many_threads_attach_write_and_detach_at_once(shmid: sysv.ShmId) -> None:
    failed: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for count in range(300):
                view = sysv.shmat(shmid)
                array = np.frombuffer(view, np.uint8)
                if count % 2:
                    sysv.shmdt(view)
                array[number] = count % 256
                assert array[number] == count % 256
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is shown by the thread that asserts
            failed.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert attaches(shmid) == 0


class Interrupted(Exception):
    """What the signal handler raises."""


def interrupt(times: int, work: Callable[[], None]) -> int:
    """Repeat the work, interrupted at random moments by a handler that raises; return how often it was."""
    count = 0

    def handler(*_: object) -> None:
        raise Interrupted

    before = signal.signal(signal.SIGALRM, handler)
    try:
        while count < times:
            try:
                signal.setitimer(signal.ITIMER_REAL, random.uniform(2e-6, 150e-6))
                while True:
                    work()
            except Interrupted:
                count += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    return count


@pytest.mark.usefixtures("no_collector")
def test_interrupts_at_any_moment_leave_nothing_attached_and_are_never_swallowed(shmid: sysv.ShmId) -> None:
    def attach_and_detach() -> None:
        view = sysv.shmat(shmid)
        part = view[:8]
        sysv.shmdt(view)
        del part
        view = sysv.shmat(shmid, sysv.SHM_RDONLY)
        del view

    before = set(attached.views)  # what a traceback of another test may hold
    # An interrupt that was swallowed, in a finalizer say, would never end the work: the test would time out.
    assert interrupt(3000, attach_and_detach) == 3000
    assert attaches(shmid) == 0
    assert set(attached.views) <= before


def test_an_interrupted_shmdt_can_be_called_again(shmid: sysv.ShmId) -> None:
    views: list[memoryview] = []

    def attach_and_detach() -> None:
        views.append(sysv.shmat(shmid))
        sysv.shmdt(views[0])
        views.clear()

    def tidy_up() -> None:
        for view in views:
            try:
                sysv.shmdt(view)
            except OSError:
                with pytest.raises(ValueError, match="released"):
                    len(view)
        views.clear()

    for _ in range(1000):
        interrupt(1, attach_and_detach)
        tidy_up()
        assert attaches(shmid) == 0


def test_a_signal_handlers_own_failures_do_not_change_the_errno_of_an_interrupted_call() -> None:
    handled, code = 0, 0

    def handler(*_: object) -> None:
        nonlocal handled
        handled += 1
        with contextlib.suppress(OSError):
            sysv.stat(0x7FFF_FFFF)
        signal.setitimer(signal.ITIMER_REAL, 50e-6)  # the next one only now: on a busy machine they would pile up

    before = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 50e-6)
        while handled < 2000 and code in {0, errno.ENOMEM}:
            try:
                sysv.shmget(sysv.IPC_PRIVATE, 2**60, sysv.IPC_CREAT)
            except OSError as error:
                code = error.errno or 0
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert code == errno.ENOMEM
