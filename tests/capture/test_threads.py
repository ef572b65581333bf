"""Threads on one connection: none blocks another, and each gets its own replies and frames."""

from __future__ import annotations

import threading
import time

from interrupt_workload import BackgroundThreads, InterruptWorkload, Ticker
from Xlib import X


def test_sixteen_threads_share_a_connection_and_none_blocks_another(workload: InterruptWorkload) -> None:
    workload.pool.limit = 32
    threads, ticker = BackgroundThreads(workload, 15), Ticker(workload)
    ticker.start()
    time.sleep(1)
    ticker.end()
    threads.end()
    assert threads.received == list(range(ticker.sent))
    assert min(threads.rounds) > 2
    # A thread that was forgotten looks by itself after half a second; a crowd on two busy cores costs some hundredths.
    assert sorted(threads.waits)[len(threads.waits) * 98 // 100] < 0.3


def test_a_thread_that_waits_for_events_does_not_delay_replies(workload: InterruptWorkload) -> None:
    wire = workload.connection.wire
    waiter = threading.Thread(target=lambda: workload.events.append(workload.xlib.next_event()))
    waiter.start()
    while wire._reader is None:
        time.sleep(0.001)
    before = time.monotonic()
    for _ in range(300):
        workload.check()
    assert time.monotonic() - before < 1
    workload.windows[0].change_attributes(event_mask=X.PropertyChangeMask)
    workload.windows[0].change_property(workload.atom, 31, 8, b"now")
    workload.xlib.flush()
    waiter.join(5)
    assert [type(each).__name__ for each in workload.events] == ["PropertyNotify"]


def test_threads_that_come_and_go_leave_no_one_asleep(workload: InterruptWorkload) -> None:
    # A sleeper leaves without the lock; the reader that is just looking for one to wake must not mind.
    slowest = []

    def visit() -> None:
        for _ in range(30):
            before = time.monotonic()
            workload.connection.sync()
            slowest.append(time.monotonic() - before)

    for _ in range(5):
        threads = [threading.Thread(target=visit) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(slowest) == 5 * 12 * 30
    assert sorted(slowest)[len(slowest) * 98 // 100] < 0.3
