"""Task: one item, with a Future for its caller; and what an error of Ray's says of an item.

Always true: a Task ends once, by what comes first: its worker's answer, its time, the pool's end, its caller's cancel.
"""

from __future__ import annotations

import dataclasses
from concurrent.futures import Future, InvalidStateError
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from xshm.errors import FleetError, ItemTimeout, SeatLost
from xshm.system.atomic_write import replace_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from xshm.fleet.tasks.events import Timer

_LOST_WITH_IT = "what was to be kept of it was lost with the worker"


class Job(NamedTuple):
    """How an item is to be run. `kept` names what is kept of it: "trace", "video"."""

    title: str
    fresh: bool
    kept: tuple[str, ...]


class Outcome(NamedTuple):
    """What became of an item: "done" with its function's value; "failed", "lost" or "unready" with an exception.

    "unready": its worker had no display for it, so it has not begun.
    `files` are what was kept of a failed one, by what they are: "trace", "video". `notes`: what could not be kept.
    """

    kind: Literal["done", "failed", "lost", "unready"]
    value: Any
    files: dict[str, bytes]
    notes: tuple[str, ...]


@dataclasses.dataclass(eq=False, slots=True)
class Task:
    """A function (or Ray's reference to it), its arguments, and what is promised about it.

    `places`: where what is kept of a failed one goes, by what it is: "trace", "video". `tries`: how often it has begun;
    `is_suspect`: it has lost a worker or a display, and runs alone from then on.
    """

    number: int
    function: Any
    arguments: Sequence[Any]
    job: Job
    timeout: float | None
    places: dict[str, Path]
    future: Future[Any] = dataclasses.field(default_factory=Future)
    tries: int = 0
    is_suspect: bool = False
    state: WorkerState | None = None  # of the worker where it runs, on the seat of this index
    index: int = 0
    timer: Timer | None = None
    is_over_time: bool = False

    def begins(self) -> bool:
        """Return whether it is to run: not where it was cancelled."""
        return self.future.running() or self.future.set_running_or_notify_cancel()

    def done(self, value: Any) -> bool:
        """End with a value; return False where it had ended before."""
        return self._ends(self.future.set_result, value)

    def fail(self, error: BaseException) -> bool:
        """End with an exception; return False where it had ended before."""
        return self._ends(self.future.set_exception, error)

    def _ends(self, end: Callable[[Any], None], how: Any) -> bool:
        try:
            end(how)
        except InvalidStateError:
            return False
        except BaseException:  # noqa: BLE001, S110 - of a callback of the caller's: SystemExit; others are logged
            pass
        return True

    def lost(self, why: BaseException | None) -> SeatLost:
        """Return the error of one that is not tried again."""
        last = f"; the last time: {_told(why).splitlines()[0]}" if why is not None else ""
        error = SeatLost(
            f"item {self.number} lost its display or its worker {self.tries} times, and is not tried again{last}",
            item=self.number,
            tries=self.tries,
        )
        error.__cause__ = why
        self.without_files(error)
        return error

    def late(self) -> ItemTimeout:
        """Return the error of one whose time is over."""
        return ItemTimeout(f"item {self.number} was not done within {self.timeout:g} s; its worker was ended")

    def without_files(self, error: BaseException) -> None:
        """Note that nothing is there of what was to be kept."""
        if self.places:
            error.add_note(_LOST_WITH_IT)

    def with_files(self, error: BaseException, outcome: Outcome) -> BaseException:
        """Write what was kept of it to its places; the error's notes say where it is, or why it is not."""
        for what, data in outcome.files.items():
            place = self.places[what]
            try:
                place.parent.mkdir(parents=True, exist_ok=True)
                replace_file(place, data)
            except (OSError, ValueError) as why:
                error.add_note(f"no {what}: {why}")
            else:
                error.add_note(f"{what}: {place}")
        for note in outcome.notes:
            error.add_note(note)
        return error


@dataclasses.dataclass(eq=False, slots=True)
class WorkerState:
    """One worker: its actor, which of its seats are free, and what runs on the others."""

    number: int
    handle: Any = None
    failures: int = 0  # of its start, in succession
    free: set[int] = dataclasses.field(default_factory=set)
    running: dict[int, Task] = dataclasses.field(default_factory=dict)
    is_up: bool = False
    is_alone: bool = False  # what runs there is a suspect
    timer: Timer | None = None


def next_run(waiting: Iterable[Task], workers: Iterable[WorkerState]) -> tuple[Task, WorkerState] | None:
    """Return the first of the waiting tasks that can run now, and where: a suspect where nothing else runs.

    For each suspect that has to wait one worker gets no other task meanwhile.
    """
    open_ones = [worker for worker in workers if worker.free and not worker.is_alone]
    for task in waiting:
        worker = min(open_ones, key=lambda worker: len(worker.running), default=None)
        if worker is None:
            return None
        if not task.is_suspect or not worker.running:
            return task, worker
        open_ones.remove(worker)
    return None


def unsent(task: Task, error: BaseException) -> FleetError:
    """Return the error of an item that does not reach its worker."""
    why = error.__cause__ or error  # Ray's own explanation has fifty lines
    return caused(f"item {task.number} can't be sent to its worker: {_told(why)}", error)


def own_error(task: Task, error: BaseException, errors: Any) -> FleetError | None:
    """Return an item's own error where Ray could not carry it or its result; None where its worker has ended.

    `errors` is the module of Ray's.
    """
    if isinstance(error, errors.RayTaskError):
        cause = error.cause
        if isinstance(cause, errors.RaySystemError):
            return caused(f"item {task.number} can't be read in its worker: {_told(cause.client_exc)}", error)
        return caused(f"what item {task.number} has returned can't be sent: {_told(cause)}", error)
    if isinstance(error, errors.RaySystemError):
        return caused(f"what item {task.number} has returned can't be read here: {_told(error.client_exc)}", error)
    return None


def caused(message: str, cause: BaseException) -> FleetError:
    """Return a FleetError with its cause."""
    error = FleetError(message)
    error.__cause__ = cause
    return error


def _told(error: object) -> str:
    return f"{type(error).__name__}: {error}"
