"""Signal handlers that raise, at any instruction: the connection stays in sync, and nothing is lost, doubled or leaked.

By hand, for more than the suite's count: XSHM_INTERRUPTS=50000 pytest --timeout 1000 tests/capture/test_signals.py
"""

from __future__ import annotations

import gc
import os
import random
import signal
import sys
import time
from typing import TYPE_CHECKING, Any, get_args

import interrupt_workload
import pytest
from descriptors import new_descriptors, open_descriptors
from fake_server import REQUEST, FakeServer, reply
from interrupt_points import at_every_point, interrupted_at
from interrupt_workload import BackgroundThreads, InterruptWorkload, Ticker

from xshm.shm.pool import Pool
from xshm.shm.segment import Kind, Segment
from xshm.x11.connection import Connection
from xshm.x11.protocol.requests import Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from servers import Server

pytestmark = pytest.mark.timeout(method="thread")  # the other one uses SIGALRM, as the tests here do
_INTERRUPTS = int(os.environ.get("XSHM_INTERRUPTS", "500"))


class Interrupted(BaseException):
    """What the signal handler raises."""


class Interrupts:
    """Interrupts some work at a random moment; with `double` mostly a second time, within microseconds."""

    def __init__(self, *, double: bool = False) -> None:
        self._double = double
        self._armed = 0
        self.count = 0

    def during(self, work: Callable[[], object], microseconds: int) -> bool:
        """Do the work; tell whether it was interrupted."""
        try:
            self._armed = 2 if self._double else 1
            signal.setitimer(signal.ITIMER_REAL, random.randint(1, microseconds) / 1e6)
            work()
            self._armed = 0  # no call in between: from here on nothing is raised
        except (Interrupted, SystemError) as error:
            self._armed = 0
            # CPython 3.11.2 wraps what a signal raises while another exception is being made.
            if isinstance(error, SystemError) and not isinstance(error.__cause__, Interrupted):
                raise
            self.count += 1
            return True
        else:
            signal.setitimer(signal.ITIMER_REAL, 0)
            return False

    def handle(self, *_: object) -> None:
        if self._armed:
            self._armed -= 1
            if self._armed:
                signal.setitimer(signal.ITIMER_REAL, random.randint(1, 20) / 1e6)
            raise Interrupted


@pytest.fixture
def interrupts(request: pytest.FixtureRequest) -> Iterator[Interrupts]:
    """Give an Interrupts that has SIGALRM, and see that no interrupt was swallowed by a finalizer."""
    swallowed: list[Any] = []
    interrupts = Interrupts(double=getattr(request, "param", False))
    former, hook = signal.signal(signal.SIGALRM, interrupts.handle), sys.unraisablehook
    callbacks, gc.callbacks[:] = list(gc.callbacks), []  # hypothesis has one, in Python, which would swallow some
    sys.unraisablehook = lambda what: swallowed.append((what.exc_value, what.object, what.err_msg))
    yield interrupts
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, former)
    sys.unraisablehook = hook
    gc.callbacks[:] = callbacks
    assert not [what for what in swallowed if isinstance(what[0], Interrupted)]


def _interrupt(workload: InterruptWorkload, interrupts: Interrupts, count: int) -> None:
    """Interrupt each kind of work in turn until there were so many interrupts; check after each."""
    works: list[tuple[Callable[[], object], int]] = [
        (workload.hot_calls, 600),
        (workload.xlib_objects, 600),
        (workload.attach_segments, 600),
        (workload.frames, 600),
        (workload.pool_comes_and_goes, 600),
        (workload.beyond_the_limit, 600),
        (workload.descriptors, 600),
        (workload.take_events, 300),
        (workload.same_big_core_image, 5000),
    ]
    while interrupts.count < count:
        for work, microseconds in works:
            if interrupts.during(work, microseconds):
                workload.check()


def _all_slots_can_be_had(workload: InterruptWorkload) -> bool:
    gc.collect()  # tracebacks of interrupts hold frames, which hold slots
    held = [workload.pool.acquire(100)[0] for _ in range(workload.pool.limit)]
    return len(held) == workload.pool.limit


@pytest.mark.parametrize("interrupts", [False, True], ids=["single", "double"], indirect=True)
def test_an_interrupt_at_any_instruction_loses_nothing(workload: InterruptWorkload, interrupts: Interrupts) -> None:
    ticker = Ticker(workload)
    ticker.start()
    _interrupt(workload, interrupts, _INTERRUPTS // 4)
    ticker.end()
    workload.connection.sync()
    workload.take_events()
    assert [each.data[1][0] for each in workload.events] == list(range(ticker.sent))
    assert ticker.sent > 50
    assert _all_slots_can_be_had(workload)


def test_an_interrupt_loses_nothing_where_others_made_the_descriptor_non_blocking(
    workload: InterruptWorkload, interrupts: Interrupts
) -> None:
    os.set_blocking(workload.connection.fileno(), False)
    _interrupt(workload, interrupts, _INTERRUPTS // 4)
    workload.connection.sync()
    assert _all_slots_can_be_had(workload)


def test_an_interrupt_loses_nothing_where_replies_have_a_deadline(
    workload: InterruptWorkload, interrupts: Interrupts
) -> None:
    workload.connection.wire.timeout = 30.0  # then each read waits by poll, as on the connections of a VirtualDisplay
    _interrupt(workload, interrupts, _INTERRUPTS // 4)
    workload.connection.sync()
    assert _all_slots_can_be_had(workload)


def test_interrupts_of_one_thread_do_no_harm_to_the_others(workload: InterruptWorkload, interrupts: Interrupts) -> None:
    threads, ticker = BackgroundThreads(workload, 3), Ticker(workload)
    ticker.start()
    _interrupt(workload, interrupts, _INTERRUPTS // 8)
    ticker.end()
    threads.end()
    assert threads.received == list(range(ticker.sent))
    assert min(threads.rounds) > 0
    assert _all_slots_can_be_had(workload)


@pytest.mark.filterwarnings("ignore:unclosed <connection:ResourceWarning")  # closed it is, by its finalizer
def test_interrupts_while_connecting_leave_no_socket_open(xvfb: Server, interrupts: Interrupts) -> None:
    descriptors = open_descriptors()
    while interrupts.count < 40:
        connections: list[Connection] = []
        interrupts.during(lambda: connections.append(Connection(xvfb.name)), 3000)  # noqa: B023 - called at once
        for connection in connections:
            connection.close()
    assert not new_descriptors(descriptors)


def test_interrupts_while_segments_are_made_leave_none_in_the_kernels_table(interrupts: Interrupts) -> None:
    descriptors, segments = open_descriptors(), interrupt_workload.own_segments()
    while interrupts.count < 200:
        for kind in ("sysv", "memfd"):
            interrupts.during(lambda kind=kind: Segment(kind, 4096), 60)  # type: ignore[misc]
    assert not interrupt_workload.new_segments(segments)
    assert not new_descriptors(descriptors)


def test_an_interrupt_in_an_error_handler_is_not_swallowed(workload: InterruptWorkload, interrupts: Interrupts) -> None:
    told: list[object] = []

    def handler(error: object, _: object) -> None:
        told.append(error)
        time.sleep(1 if len(told) == 1 else 0)

    def fail() -> None:
        workload.xlib.create_resource_object("window", 1).map(onerror=handler)
        workload.connection.sync()

    assert interrupts.during(fail, 20_000)
    workload.connection.sync()
    assert told, "an error is told, if not before the interrupt, then after it"


def test_the_handler_of_a_signal_that_does_not_raise_is_just_run(xvfb: Server) -> None:
    count = 0

    def handle(*_: object) -> None:
        nonlocal count
        count += 1

    former = signal.signal(signal.SIGALRM, handle)
    connection = Connection(xvfb.name)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    try:
        while count < 50:
            connection.sync()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)
        connection.close()


@pytest.mark.parametrize("raised", [TimeoutError, BlockingIOError, BrokenPipeError])
def test_an_os_error_of_a_handler_does_not_end_the_connection(fake_server: FakeServer, raised: type[OSError]) -> None:
    # The error of an alarm is a TimeoutError more often than not; of the kernel's it differs by where it was raised.
    def handle(*_: object) -> None:
        raise raised("the handler's own")

    wire = fake_server.wire
    former = signal.signal(signal.SIGALRM, handle)
    try:
        for wait in (lambda: wire.call(REQUEST), wire.sync, lambda: wire.next_event(wire.events)):
            signal.setitimer(signal.ITIMER_REAL, 0.02)
            with pytest.raises(raised, match="the handler's own"):
                wait()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)
    fake_server.send_after((12, reply(1) + reply(2) + reply(3)))
    assert fake_server.wire.call(REQUEST).reply == reply(3)


@pytest.mark.parametrize("raised", [TimeoutError, BlockingIOError, BrokenPipeError])
@pytest.mark.parametrize("queued", [0, 2])
def test_an_os_error_of_a_handler_while_sending_is_no_word_of_the_kernel(
    fake_server: FakeServer, monkeypatch: pytest.MonkeyPatch, raised: type[OSError], queued: int
) -> None:
    def interrupted(*_: object) -> int:
        raise raised("the handler's own")

    for _ in range(queued):
        fake_server.wire.send(Request(REQUEST))
    with monkeypatch.context() as while_sending:
        while_sending.setattr(fake_server.wire._out, "_send", interrupted)
        with pytest.raises(raised, match="the handler's own"):
            fake_server.wire.call(REQUEST)
    fake_server.send_after((4 * (queued + 2), reply(queued + 2)))
    assert fake_server.wire.call(REQUEST).reply == reply(queued + 2)


# -- each point, one after the other ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", get_args(Kind))
def test_a_segment_interrupted_at_any_point_of_its_making_leaves_nothing(kind: Kind) -> None:
    descriptors, segments = open_descriptors(), interrupt_workload.own_segments()
    assert sum(at_every_point(lambda: Segment(kind, 4096))) > 7
    assert not interrupt_workload.new_segments(segments)
    assert not new_descriptors(descriptors)


def test_a_slot_that_was_being_given_back_is_not_kept_for_ever() -> None:
    segments = interrupt_workload.own_segments()
    pool = Pool("sysv", lambda _segment: 1, lambda _shmseg: None, 6)

    def come_and_go() -> None:
        held = [pool.acquire(5000)[0] for _ in range(3)]
        held.clear()
        pool.trim()

    for _ in at_every_point(come_and_go):
        pool.trim()  # each time from the beginning: with slots left over there would be fewer points
    gc.collect()
    assert not interrupt_workload.new_segments(segments)


def test_a_queue_gets_shorter_though_each_attempt_to_send_it_is_interrupted(fake_server: FakeServer) -> None:
    for _ in range(10_000):
        fake_server.wire.send(Request(REQUEST))
    attempts = 1
    while interrupted_at(100, fake_server.wire.flush) and attempts < 100:
        attempts += 1
    assert 10 < attempts < 100
    fake_server.send_after((40_004, reply(10_001)))
    fake_server.wire.sync()


@pytest.mark.parametrize(
    "name", ["sync", "frames", "attach_segments", "pool_comes_and_goes", "descriptors", "xlib_objects"]
)
def test_work_interrupted_at_any_point_does_no_harm_to_the_next(workload: InterruptWorkload, name: str) -> None:
    work = workload.connection.sync if name == "sync" else getattr(workload, name)
    points = 0
    for interrupted in at_every_point(work):
        workload.check()
        workload.pool.trim()
        points += interrupted
    assert points > 10
    assert _all_slots_can_be_had(workload)


def test_no_event_is_lost_or_doubled_whichever_point_is_interrupted(workload: InterruptWorkload) -> None:
    ticker = Ticker(workload)
    for _ in at_every_point(workload.take_events):
        for _ in range(3):
            ticker.tick()
    assert ticker.sent > 60
    workload.connection.sync()
    workload.take_events()
    ticker.end()
    assert [each.data[1][0] for each in workload.events] == list(range(ticker.sent))


def test_no_error_is_left_untold_whichever_point_is_interrupted(workload: InterruptWorkload) -> None:
    told: list[int] = []
    sent = 0

    def fail() -> None:
        nobody = workload.xlib.create_resource_object("window", 1 + sent)
        nobody.map(onerror=lambda error, _: told.append(error.resource_id.id) or 1)  # type: ignore[func-returns-value]
        workload.connection.sync()

    for _ in at_every_point(fail):
        workload.connection.sync()
        sent += 1
        # Interrupted before it was queued it fails nowhere; interrupted while it was told it may be told again.
        assert told.count(sent) <= 2
    assert sent > 30
    assert len(set(told)) > sent // 2
    assert told == sorted(told)
