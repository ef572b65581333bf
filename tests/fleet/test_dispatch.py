"""Which task runs where, calls for later, and a task's one end: without Ray."""

from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING

import pytest

from xshm.fleet.tasks.events import Events
from xshm.fleet.tasks.task import Job, Task, WorkerState, next_run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def task(number: int, *, is_suspect: bool = False) -> Task:
    return Task(number, None, (), Job("", fresh=False, kept=()), None, {}, is_suspect=is_suspect)


def worker(number: int, seats: int, running: int) -> WorkerState:
    """Return a worker of so many seats, on some of which something runs."""
    busy = {index: task(100 + index) for index in range(running)}
    return WorkerState(number, free=set(range(running, seats)), running=busy)


def chosen(waiting: Sequence[Task], workers: Sequence[WorkerState]) -> tuple[int, int] | None:
    found = next_run(waiting, workers)
    return None if found is None else (found[0].number, found[1].number)


def test_a_task_goes_where_the_least_runs() -> None:
    workers = [worker(0, 3, 2), worker(1, 3, 1), worker(2, 3, 3)]
    assert chosen([task(7), task(8)], workers) == (7, 1)
    assert chosen([task(7)], [worker(0, 1, 1)]) is None
    assert chosen([], workers) is None


def test_a_task_that_has_lost_a_worker_runs_where_nothing_else_does() -> None:
    suspect = task(7, is_suspect=True)
    assert chosen([suspect, task(8)], [worker(0, 3, 1), worker(1, 3, 0)]) == (7, 1)
    beside = worker(0, 3, 1)
    beside.is_alone = True
    assert chosen([task(8)], [beside]) is None, "and nothing else where it does"


def test_others_do_not_keep_it_waiting_for_ever_nor_does_it_keep_all_of_them() -> None:
    suspect = task(7, is_suspect=True)
    workers = [worker(0, 3, 2), worker(1, 3, 1)]
    assert chosen([suspect, task(8)], workers) == (8, 0), "the worker with the least is left to become empty"
    assert chosen([suspect, task(8)], workers[1:]) is None
    assert chosen([suspect, task(8, is_suspect=True), task(9)], workers) is None, "one for each of them"


def test_a_task_ends_once() -> None:
    for ends in ((Task.done, Task.fail), (Task.fail, Task.done)):
        one = task(1)
        assert one.begins()
        assert [end(one, LookupError()) for end in ends] == [True, False]
    cancelled = task(2)
    assert cancelled.future.cancel()
    assert not cancelled.fail(LookupError())
    assert not cancelled.begins()


def test_a_callback_of_the_callers_does_not_end_the_thread_that_dispatches() -> None:
    def leave(_: object) -> None:
        raise SystemExit

    one = task(1)
    one.future.add_done_callback(leave)
    assert one.done(5)
    assert one.future.result(0) == 5


def test_calls_that_are_due_come_in_the_order_of_their_times() -> None:
    events, made = Events(), []

    def make(value: str) -> None:
        made.append(value)

    events.after(0.02, make, "third")
    events.after(0.01, make, "second")
    cancelled = events.after(0, make, "never")
    events.put(make, "first")
    events.cancel(cancelled)
    for _ in range(3):
        call, values = events.next()
        call(*values)
    assert made == ["first", "second", "third"]
    assert not events.has(make)


class _Large:
    """What a task holds."""


@pytest.mark.parametrize("end", [Events.cancel, lambda events, _: events.next()])
def test_what_is_over_is_not_held_until_its_time(end: Callable[..., object]) -> None:
    events, large = Events(), _Large()
    seen = weakref.ref(large)
    is_now = end is not Events.cancel
    timer = events.after(0 if is_now else 1000, print, large)
    del large
    end(events, timer)
    gc.collect()
    assert seen() is None


def test_calls_that_were_cancelled_do_not_pile_up() -> None:
    events = Events()
    events.after(1000, print)
    for _ in range(10_000):
        events.cancel(events.after(1000, print))
    assert len(events._heap) < 200
    assert events.has(print)
