"""Dispatch: which item runs where, and what is done when its worker, its display or its time ends.

Each item is a Task, with a Future for its caller. Workers have one seat or several. All of the state is one thread's
alone, which takes one event after another from a queue: a task that is new, a call that has ended, a time that is over.

1. A worker that can't be called any more is ended for good, and another is made in its place; there is no other repair.
   Each has one call that lasts as long as it does: so the end of an idle one is known, too, and costs no item a try.
2. A task that lost its worker or display runs again, at most `tries` times in all, and from then on alone in its
   worker: so one that ends its worker ends no other task's more than once. With its last try the error is its own.
   For tasks that must be alone a worker is kept free of others, so that these can't keep them waiting for ever.
3. A worker that does not start is tried again after pauses, as long as another one works, and at least `_STARTS`
   times. When none is left, all tasks fail, with what the last one said.
4. A Future always ends: `close` ends all that are left, with Closed; Ray's end, or this thread's, with FleetError.
5. Nothing is called once Ray was shut down: a call would start a new one.

Ray calls a reply's callback in a thread of its own; these put an event, and nothing else.
"""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Final

from xshm.errors import Closed, FleetError, NoRoom
from xshm.fleet import cluster
from xshm.fleet.tasks.events import Events
from xshm.fleet.tasks.stats import FleetStats
from xshm.fleet.tasks.task import Task, WorkerState, caused, next_run, own_error, unsent

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from xshm.fleet.tasks.task import Outcome

_STARTS: Final = 3  # of one worker in succession, until it is given up where no other one works
_PAUSES: Final = (1.0, 4.0, 30.0)  # seconds before it is tried again; the last one from then on
_PATIENCE: Final = 10.0  # seconds for the evidence of an item whose time is over
_END: Final = 5.0  # seconds for displays to end by themselves, when the pool is closed
_LOOK: Final = 1.0  # seconds after which it is noticed that Ray was shut down


class Dispatcher:
    """The thread. `make` returns a worker's actor; `counts` says how many seats each worker has.

    `patience`: seconds for a worker's start, after which it is given up, unless there are others.
    """

    def __init__(self, make: Callable[[int], Any], counts: Sequence[int], tries: int, patience: float) -> None:
        self._make = make
        self._counts = counts
        self._tries = tries
        self._patience = patience
        self._events = Events()
        self._waiting: list[Task] = []  # suspects come first
        self._workers: dict[int, WorkerState] = {}
        self._failure: FleetError | None = None  # of all tasks, those to come included
        self._is_closing = False
        self._gate = threading.Lock()  # held while a task is put into the queue, and while that is shut
        self._is_shut = False
        self.stats = FleetStats()
        self.ready: Future[None] = Future()  # all workers are up; or why one is not
        # Of workers that are up, by their numbers, and the Ray nodes that they are on; read by any thread.
        self.handles: dict[int, tuple[Any, str]] = {}
        self.session = cluster.session()
        self._thread = threading.Thread(target=self._serve, name="xshm-fleet", daemon=True)

    # -- any thread ----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin, and start all workers."""
        for number, _ in enumerate(self._counts):
            self._events.put(self._begin, number, 0)
        self._events.after(_LOOK, self._look_at_ray)
        self._thread.start()

    def submit(self, task: Task) -> None:
        """Have a task run. Its future ends in any case."""
        with self._gate:
            if self._is_shut:
                task.fail(self._last_word())
            else:
                self._events.put(self._add, task)

    def snapshot(self) -> FleetStats:
        """Return the counts as they are now."""
        return dataclasses.replace(self.stats)

    def close(self) -> None:
        """End all; return when displays have ended, or were left to their workers' end."""
        self._events.put(setattr, self, "_is_closing", True)
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def is_connected(self) -> bool:
        """Return whether the Ray is still there that the workers are in."""
        return cluster.session() == self.session

    # -- the thread ----------------------------------------------------------------------------------------------------

    def _serve(self) -> None:
        try:
            while not self._is_closing:
                call, values = self._events.next()
                call(*values)
                del call, values  # a task that is over is not kept until the next event
        except BaseException as error:
            self._failure = FleetError(f"the pool's thread has ended: {type(error).__name__}: {error}")
            raise
        finally:
            self._finish()

    def _call(self, send: Callable[[], Any], then: Callable[..., None], *values: Any) -> None:
        """Call a worker, and have `then` called in this thread with the values and the reply's Future."""
        reply: Future[Any]
        try:
            if not self.is_connected():
                raise FleetError("Ray was shut down")  # noqa: TRY301 - as a reply, like all that Ray raises
            reply = send().future()
        except Exception as error:  # noqa: BLE001 - whatever Ray raises
            reply = Future()
            reply.set_exception(error)
        reply.add_done_callback(lambda reply: self._events.put(then, *values, reply))

    def _look_at_ray(self) -> None:
        if self.is_connected():
            self._events.after(_LOOK, self._look_at_ray)
            return
        for worker in [*self._workers.values()]:
            self._drop(worker)
            for task in worker.running.values():
                self._waiting.append(task)
        self._fail_all(FleetError("Ray was shut down, and with it the pool's displays; make another pool"))

    def _last_word(self) -> FleetError | Closed:
        return self._failure if self._failure is not None else Closed("the pool was closed")

    # -- workers -------------------------------------------------------------------------------------------------------

    def _begin(self, number: int, failures: int) -> None:
        worker = self._workers[number] = WorkerState(number, failures=failures)
        self._count()
        if self.ready.done():  # until then, the pool's constructor is who waits
            worker.timer = self._events.after(self._patience, self._is_missing, worker)
        if not self.is_connected():
            self._look_at_ray()
            return
        try:
            worker.handle = self._make(number)
        except Exception as error:  # noqa: BLE001 - whatever Ray raises for options that it does not take
            self._has_failed(worker, error)
            return
        start = worker.handle.start.options(concurrency_group="life")
        self._call(start.remote, self._began, worker)

    def _began(self, worker: WorkerState, reply: Future[Outcome]) -> None:
        if self._workers.get(worker.number) is not worker:
            return
        error = reply.exception()
        if error is not None:
            words = f"a worker has not started: {error}"
            self._has_failed(worker, caused(words, error), was_lost=not getattr(error, "actor_init_failed", True))
            return
        if reply.result().kind != "done":
            self._has_failed(worker, reply.result().value)
            return
        self._events.cancel(worker.timer)
        worker.is_up = True
        worker.free = set(range(self._counts[worker.number]))
        self.handles[worker.number] = worker.handle, reply.result().value
        stay = worker.handle.stay.options(concurrency_group="life")
        self._call(stay.remote, lambda reply: self._lose(worker, reply.exception()))
        self._count()
        if self.stats.up == len(self._counts) and not self.ready.done():
            self.ready.set_result(None)
        self._assign()

    def _has_failed(self, worker: WorkerState, error: BaseException, *, was_lost: bool = False) -> None:
        """Try a worker's start again later; where there is no other one, so many times.

        At the pool's start, one that fails is the pool's failure, unless it `was_lost`: killed, or with its node.
        """
        self._drop(worker)
        failures = worker.failures + 1
        if not self.ready.done() and (failures >= _STARTS or not was_lost):
            self.ready.set_exception(error)
            return
        if failures < _STARTS or self.stats.up:
            self._events.after(_PAUSES[min(failures, len(_PAUSES)) - 1], self._begin, worker.number, failures)
        elif not self._workers and not self._events.has(self._begin):
            self._fail_all(caused(f"no worker is left, and none can be started: {error}", error))

    def _fail_all(self, error: FleetError) -> None:
        self._failure = error
        if not self.ready.done():
            self.ready.set_exception(error)
        waiting, self._waiting = self._waiting, []
        for task in waiting:
            self._fail(task, error)

    def _lose(self, worker: WorkerState, why: BaseException | None, culprit: Task | None = None) -> None:
        """Replace a worker; its tasks are tried again, or fail with what has ended it.

        `culprit`: the task because of which we have ended it; the others lose no try.
        """
        if self._workers.get(worker.number) is not worker:
            return
        self.stats.workers_lost += 1
        self._drop(worker)
        for task in sorted(worker.running.values(), key=lambda task: task.number, reverse=True):
            if task.is_over_time:
                self._leave(task)
                error = task.late()
                task.without_files(error)
                self._fail(task, error)
            elif culprit is None:
                self._again(task, why)
            else:
                self._leave(task)
                task.tries -= 1
                self._waiting.insert(0, task)
        self._begin(worker.number, 0)
        self._assign()

    def _is_missing(self, worker: WorkerState) -> None:
        """Give up a worker that does not come, when there is no other."""
        if self._workers.get(worker.number) is not worker:
            return
        if self.stats.up:
            worker.timer = self._events.after(self._patience, self._is_missing, worker)
            return
        worker.failures = _STARTS
        words = f"no worker has started for {self._patience:g} s: Ray has no node with room for one any more"
        self._has_failed(worker, NoRoom(words))

    def _drop(self, worker: WorkerState) -> None:
        """End a worker for good."""
        self._events.cancel(worker.timer)
        self.handles.pop(worker.number, None)
        del self._workers[worker.number]
        self._count()
        self._kill(worker)

    def _kill(self, worker: WorkerState) -> None:
        if worker.handle is not None and self.is_connected():
            with contextlib.suppress(Exception):  # it may be gone already
                cluster.ray().kill(worker.handle)

    def _count(self) -> None:
        self.stats.up = sum(worker.is_up for worker in self._workers.values())
        self.stats.starting = len(self._workers) - self.stats.up

    # -- tasks ---------------------------------------------------------------------------------------------------------

    def _add(self, task: Task) -> None:
        if self._failure is not None:
            self._fail(task, self._failure)
            return
        self._waiting.append(task)
        self._assign()

    def _assign(self) -> None:
        if not self.is_connected():
            self._look_at_ray()
            return
        while found := next_run(self._waiting, self._workers.values()):
            task, worker = found
            self._waiting.remove(task)
            if task.begins():
                self._run(task, worker)

    def _run(self, task: Task, worker: WorkerState) -> None:
        task.state, task.index = worker, min(worker.free)
        worker.is_alone = task.is_suspect
        self.stats.again += bool(task.tries)
        task.tries += 1
        worker.free.remove(task.index)
        worker.running[task.index] = task
        if task.timeout is not None:
            task.timer = self._events.after(task.timeout, self._time_is_over, task)
        try:
            reference = worker.handle.run.remote(task.index, task.job, task.function, task.arguments)
        except BaseException as error:  # noqa: BLE001 - what can't be pickled, of any class: that code is the caller's
            self._leave(task)
            self._fail(task, unsent(task, error))
            return
        self._call(lambda: reference, self._ran, task, worker)

    def _ran(self, task: Task, worker: WorkerState, reply: Future[Outcome]) -> None:
        if task.state is not worker or task.is_over_time:  # it was lost before, or is about to be ended
            return
        error = reply.exception()
        own = None if error is None else own_error(task, error, cluster.ray().exceptions)
        if error is not None and own is None:
            self._lose(worker, error)
            return
        self._leave(task)
        if own is not None:
            self._fail(task, own)
        elif reply.result().kind in {"lost", "unready"}:
            self.stats.displays_lost += 1
            task.tries -= (is_broken := reply.result().kind == "unready") and not task.is_suspect  # it had not begun
            self._again(task, reply.result().value)
            if is_broken:  # by what another item did to its process; it would end all items that come to it
                self._lose(worker, reply.result().value, culprit=task)
        elif reply.result().kind == "failed":
            self._fail(task, task.with_files(reply.result().value, reply.result()))
        else:
            self.stats.done += task.done(reply.result().value)
        self._assign()

    def _leave(self, task: Task) -> None:
        worker, task.state = task.state, None
        self._events.cancel(task.timer)
        if worker is not None:
            del worker.running[task.index]
            worker.free.add(task.index)
            worker.is_alone = False

    def _again(self, task: Task, why: BaseException | None) -> None:
        self._leave(task)
        task.is_suspect = True
        if task.tries < self._tries:
            self._waiting.insert(0, task)
        else:
            self._fail(task, task.lost(why))

    def _fail(self, task: Task, error: BaseException) -> None:
        self.stats.failed += task.fail(error)

    # -- time that is over ---------------------------------------------------------------------------------------------

    def _time_is_over(self, task: Task) -> None:
        worker = task.state
        if worker is None:
            return
        task.is_over_time = True
        if not task.places:
            self._has_evidence(task, worker, None)
            return
        call = worker.handle.evidence.options(concurrency_group="life")
        words = f"not done within {task.timeout:g} s"
        self._call(lambda: call.remote(task.index, words), self._has_evidence, task, worker)
        task.timer = self._events.after(_PATIENCE, self._has_evidence, task, worker, None)

    def _has_evidence(self, task: Task, worker: WorkerState, reply: Future[Outcome] | None) -> None:
        if task.future.done():
            return
        self._events.cancel(task.timer)
        error = task.late()
        if reply is not None and reply.exception() is None:
            task.with_files(error, reply.result())
        else:
            task.without_files(error)
        self._fail(task, error)
        if not any(other.is_over_time and not other.future.done() for other in worker.running.values()):
            self._lose(worker, error, culprit=task)  # else once the others' evidence is there

    # -- the end -------------------------------------------------------------------------------------------------------

    def _finish(self) -> None:
        with self._gate:
            self._is_shut = True
        try:
            self._end_workers()
        finally:
            self._end_tasks()

    def _end_workers(self) -> None:
        replies = []
        for worker in self._workers.values():
            with contextlib.suppress(Exception):
                if not self.is_connected():
                    return
                if worker.is_up and not worker.running:
                    replies.append(worker.handle.close.options(concurrency_group="life").remote())
                else:
                    self._kill(worker)
        if replies and self.is_connected():
            with contextlib.suppress(Exception):
                cluster.ray().wait(replies, num_returns=len(replies), timeout=_END)
        for worker in self._workers.values():
            self._kill(worker)

    def _end_tasks(self) -> None:
        left = {*self._waiting}
        for worker in self._workers.values():
            left.update(worker.running.values())
        for _, values in self._events.rest():
            left.update(value for value in values if isinstance(value, Task))
        error = self._last_word()
        for task in left:
            self._fail(task, error)
        self._waiting.clear()
        self._workers.clear()
        self.handles.clear()
        if not self.ready.done():
            self.ready.set_exception(error)
