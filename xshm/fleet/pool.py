"""DisplayPool: many displays, on one machine or on a Ray cluster's, and functions that are mapped over them.

Always true:

1. When the constructor returns, all displays are there; else it raises, and says how many fit and why not more.
2. An item's failure is that item's: its exception is raised in its place, and the others go on.
3. Displays end with the pool, with the process that made it, and with their workers, however these end.

What does not work: exactly once. An item whose worker or display was lost runs again, and what it had done to the world
outside of its display was done already. A node that is cut off from the others goes on with its item, until it notices,
while the item runs again elsewhere: two copies for a while.
"""

from __future__ import annotations

import functools
import itertools
import os
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, NoReturn, TypeVar, overload

from xshm import _arguments
from xshm.errors import Closed, FleetError, InvalidArgument, InvalidType, NoRoom
from xshm.fleet import cluster
from xshm.fleet.dispatch import Dispatcher
from xshm.fleet.items import Items, is_wanted
from xshm.fleet.nodes.packed import unpacked
from xshm.fleet.room import room_for, worker_memory
from xshm.fleet.seats import Seat, checked_kind, checked_programs, checked_spec
from xshm.fleet.tasks.function import checked, sendable
from xshm.fleet.tasks.task import Job, Task
from xshm.fleet.worker import Worker
from xshm.system.closing import Closing
from xshm.system.printable import quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from concurrent.futures import Future
    from typing import Concatenate, ParamSpec

    from xshm.fleet.picture import Delta, Seen
    from xshm.fleet.seats import SeatInfo
    from xshm.fleet.tasks.stats import FleetStats
    from xshm.fleet.wall import Wall
    from xshm.geometry import Region
    from xshm.image.frame import Frame
    from xshm.virtual.display import VirtualDisplay
    from xshm.virtual.processes.command import Command
    from xshm.virtual.spec import DisplaySpec

    P = ParamSpec("P")

T = TypeVar("T")
_AHEAD: Final = 2  # items for each display that `map` has under way, or done before their turn
_PATIENCE: Final = 30.0  # seconds for a look at a seat that is being replaced
_PAUSE: Final = 0.1
# Ray's options that leave nodes out, and of which Capacity does not know.
_CHOOSING: Final = {"label_selector", "placement_group", "scheduling_strategy"}
_SUFFIXES: Final = {"trace": ".html", "video": ".mp4"}


class DisplayPool(Closing):
    """Displays from one description, each for one item at a time.

        def shot(display, url):
            with display.launch(["chromium", url]):
                return display.screen.grab().png()

        with fleet.DisplayPool(8) as pool:
            for png in pool.map(shot, urls):
                ...

    - `n`: how many displays; None: as many as fit. `spec` describes each (None: 1280x800x24), `programs` are launched
      on each; `kind` is a class of seats, with a `set_up` of its own.
    - `per_worker`: displays in one process. One each isolates best, and is what programs need that draw from within the
      item's own process (Tk, pyautogui: $DISPLAY is set). Several share the 60 to 80 MB of a worker, and its GIL.
    - `tries`: how often an item may lose its worker or its display, until that is its error.
    - `timeout`: seconds until all displays have to be there; later, until a worker that was lost has to be back.
    - Further options are Ray's for actors (num_cpus, memory, resources, runtime_env, …). A display counts as a quarter
      of a CPU where nothing is said.

    It uses the Ray that this process is connected to, or that of $RAY_ADDRESS, or one that `ray start` has begun here,
    or starts its own, on this machine alone, which ends with it.

    Raises NoRoom where fewer than `n` fit; StartFailed and what `set_up` and the programs' launch raise; MissingExtra.
    """

    def __init__(
        self,
        n: int | None = None,
        spec: DisplaySpec | None = None,
        *,
        kind: type[Seat] = Seat,
        programs: Sequence[Command] = (),
        per_worker: int = 1,
        tries: int = 3,
        timeout: float = 60.0,
        **ray_options: Any,
    ) -> None:
        self._closed = True  # until there is something to close
        self._dispatcher: Dispatcher | None = None
        self._spec, self._kind, self._programs = checked_spec(spec), checked_kind(kind), checked_programs(programs)
        per_worker, tries = _counted(per_worker, "per_worker"), _counted(tries, "tries")
        count = None if n is None else _counted(n, "n, how many displays to start,")
        self._per_worker = min(per_worker, count or per_worker)
        seconds = _arguments.number(timeout, "the timeout is a number of seconds")
        if not seconds > 0:
            raise InvalidArgument(f"the timeout is a number of seconds above 0, not {quoted(timeout)}")
        cluster.check_of_pool(ray_options)
        self._numbers = itertools.count()  # of what is submitted
        self._owner = os.getpid()
        self._session = cluster.session() if cluster.connect() else ""  # of the Ray that ends with the pool
        self._closed = False
        try:
            self._start(count, tries, seconds, ray_options)
        except BaseException:
            self.close()
            raise

    def _start(self, n: int | None, tries: int, timeout: float, given: dict[str, Any]) -> None:
        memory = given.get("memory")
        if memory is None:
            memory = worker_memory(self._spec, self._per_worker)
        cpus = given.get("num_cpus", cluster.CPUS)
        taken = {"num_cpus": cpus, "memory": memory, "others": cluster.counted(given)}
        self.capacity = room_for(n, self._spec, per_worker=self._per_worker, **taken)
        self._count = self.capacity.fits if n is None else n
        self.capacity.check(max(self._count, 1))
        whole, rest = divmod(self._count, self._per_worker)
        counts = [self._per_worker] * whole + [rest] * bool(rest)
        self._options = cluster.options(given, memory=memory, nice=self.capacity.nice)
        self._dispatcher = Dispatcher(self._maker(counts), counts, tries, timeout)
        self._dispatcher.start()
        try:
            self._dispatcher.ready.result(min(timeout, threading.TIMEOUT_MAX))
        except TimeoutError as error:
            if self._dispatcher.ready.done():
                raise
            up = self._dispatcher.stats.up
            choosing = " and ".join(sorted({*given} & _CHOOSING))
            hint = f"; {choosing} is not counted below: see that a node has it" if choosing else ""
            raise NoRoom(
                f"{up} of {len(counts)} workers have started within {timeout:g} s{hint}; wait longer (timeout=), see "
                f"that set_up and the programs get ready, or take fewer displays\n{self.capacity}"
            ) from error

    def _maker(self, counts: Sequence[int]) -> Callable[[int], Any]:
        """Return what starts a worker of that number; it does not hold the pool, which may be dropped."""
        groups = {"concurrency_groups": cluster.groups(self._per_worker)}
        options = {**self._options, "max_restarts": 0, "max_task_retries": 0, "max_concurrency": self._per_worker}
        actor = cluster.ray().remote(**groups)(Worker).options(**options)
        settings, is_alone = (self._kind, self._spec, self._programs), self._per_worker == 1
        return lambda number: actor.remote(*settings, counts[number], is_alone=is_alone)

    # -- items ---------------------------------------------------------------------------------------------------------

    @overload
    def map(
        self,
        function: Callable[[VirtualDisplay, Any], T],
        items: Iterable[Any],
        /,
        *,
        fresh: bool = ...,
        timeout: float | None = ...,
        return_exceptions: Literal[False] = ...,
        trace_on_failure: str | os.PathLike[str] | None = ...,
        video_on_failure: str | os.PathLike[str] | None = ...,
        progress: bool | None = ...,
        buffersize: int | None = ...,
    ) -> Items[T]: ...

    @overload
    def map(
        self,
        function: Callable[[VirtualDisplay, Any], T],
        items: Iterable[Any],
        /,
        *,
        fresh: bool = ...,
        timeout: float | None = ...,
        return_exceptions: bool,
        trace_on_failure: str | os.PathLike[str] | None = ...,
        video_on_failure: str | os.PathLike[str] | None = ...,
        progress: bool | None = ...,
        buffersize: int | None = ...,
    ) -> Items[T | BaseException]: ...

    def map(
        self,
        function: Callable[[VirtualDisplay, Any], T],
        items: Iterable[Any],
        /,
        *,
        fresh: bool = False,
        timeout: float | None = None,
        return_exceptions: bool = False,
        trace_on_failure: str | os.PathLike[str] | None = None,
        video_on_failure: str | os.PathLike[str] | None = None,
        progress: bool | None = None,
        buffersize: int | None = None,
    ) -> Items[T] | Items[T | BaseException]:
        """Return an iterator over function(display, item) of each item, in their order, run beside the displays.

        Nothing runs before its first `next`: `for`, or `list(…)`.

        - `fresh`: each item has a display on which no other one has been, set up as the first was.
        - `timeout`: seconds for an item; then its worker is ended, and ItemTimeout is its error.
        - `return_exceptions`: an item's exception is returned in its place, and not raised there. Where it is raised,
          `next` goes on with the next item; a `for` loop ends.
        - `trace_on_failure`, `video_on_failure`: directories for item-0007.html and item-0007.mp4 of items that have
          failed: all that was on the screen. The exception's notes say where. A video needs `xshm[video]` there.
        - `progress`: a line with the items that are done; None: on a terminal.
        - `buffersize`: how many items may be under way, or done and not taken; None: twice the displays. So `items` may
          be endless, and are taken one by one.

        An item that loses its worker or display runs again, up to the pool's `tries`, then SeatLost is its error. What
        a function returns comes by Ray's shared memory; arrays of it are read-only, and hold their place there.
        """
        dispatcher = self._open()
        sent = sendable(checked(function, "map() calls function(display, item)", None), cluster.ray())
        for name, value in (("fresh", fresh), ("return_exceptions", return_exceptions)):
            _arguments.flag(value, name)
        if progress is not None:
            _arguments.flag(progress, "progress")
        seconds = _arguments.timeout(timeout)
        ahead = _AHEAD * self._count if buffersize is None else _counted(buffersize, "buffersize")
        wanted = {"trace": trace_on_failure, "video": video_on_failure}
        kept = {
            what: Path(_arguments.path(place, f"{what}_on_failure"))
            for what, place in wanted.items()
            if place is not None
        }

        def submit(number: int, item: Any) -> Future[Any]:
            places = {what: place / f"item-{number:04}{_SUFFIXES[what]}" for what, place in kept.items()}
            job = Job(f"item {number}", fresh, tuple(kept))
            task = Task(number, sent, (item,), job, seconds, places)
            dispatcher.submit(task)
            return task.future

        return Items(
            items, submit, self, ahead=ahead, return_exceptions=return_exceptions, progress=is_wanted(progress)
        )

    def submit(
        self, function: Callable[Concatenate[VirtualDisplay, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> Future[T]:
        """Return a Future of function(display, *args, **kwargs), run beside the next free display.

        An item of its own, as `map` has them: it runs again where its worker or display is lost. It can be cancelled
        until it runs. For a time limit, a fresh display or a trace: `map(function, [item], timeout=…)`.
        """
        dispatcher = self._open()
        checked(function, "submit() calls function(display, …) with its own arguments", *args, **kwargs)
        call = sendable(functools.partial(function, **kwargs) if kwargs else function, cluster.ray())
        task = Task(next(self._numbers), call, args, Job("submitted", fresh=False, kept=()), None, {})
        dispatcher.submit(task)
        return task.future

    # -- looking -------------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return self._count

    def grab(self, number: int, region: Region | None = None) -> Frame:
        """Return what is on the display of that number (0 …), also while an item runs there; exact to the pixel.

        From another machine it comes compressed, which is less to send. Raises what `Seat.grab` does; FleetError where
        its worker is not back, or has not answered, within 30 s.
        """
        frame: Frame = unpacked(self._looked(number, "grab", region))
        return frame

    def changed(self, number: int, since: Seen | None = None, *, timeout: float = 0) -> Delta:
        """Return what has changed on that display since a state that a Picture has, as `Seat.changed` and `grab` do."""
        seconds = _arguments.seconds(timeout, "a timeout is a number of seconds, 0 or more")
        delta: Delta = self._looked(number, "changed", since, timeout=min(seconds, threading.TIMEOUT_MAX / 2))
        return delta

    def infos(self) -> list[SeatInfo]:
        """Return where each seat is, in the order of their numbers."""
        return [self._looked(number, "info") for number in range(self._count)]

    def look(self, number: int, method: str, *args: Any, **named: Any) -> Any:
        """Return Ray's reference to what a seat's `grab`, `preview`, `changed` or `info` will return, without waiting.

        Raises FleetError while the seat's worker is being replaced.
        """
        dispatcher = self._open()
        number = _arguments.integer(number, "a display's number is a whole number")
        if not 0 <= number < self._count:
            raise InvalidArgument(f"the pool's displays have the numbers 0 to {self._count - 1}, not {number}")
        worker, index = divmod(number, self._per_worker)
        found = dispatcher.handles.get(worker)
        if found is None:
            raise FleetError(f"the worker of display {number} has ended, and is being replaced; look again")
        handle, node = found
        look = handle.look.options(concurrency_group=cluster.group_of(method))
        return look.remote(index, method, args, named, is_far=node != cluster.node())

    def wall(self, width: int = 1920, columns: int | None = None) -> Frame:
        """Return all displays' screens as one picture, row by row: a Frame of R G B, `width` pixels wide.

        Each is made smaller to fit, with a line that says which it is; `columns` None: as many as make the screens
        largest. One that does not answer within 5 s has words in its place. Raises InvalidArgument, InvalidType.
        """
        from xshm.fleet import wall  # noqa: PLC0415 - it loads Pillow

        self._open()
        return wall.wall(self, (self._spec.width, self._spec.height), width, columns)

    def live(self, **settings: Any) -> Wall:
        """Show all displays in a browser: `with pool.live() as wall: print(wall.url)`; parameters are `Screen.live`'s.

        It needs xshm[live], and an X server's program (Xvfb) here: all screens are shown on one display of this
        machine, whose parts are what the page has. Raises MissingExtra, StartFailed, and what `Screen.live` raises.
        """
        from xshm.fleet import wall  # noqa: PLC0415 - as above

        self._open()
        return wall.Wall(self, (self._spec.width, self._spec.height), settings)

    def stats(self) -> FleetStats:
        """Return counts, as they are now: items, what was lost, how many workers are there."""
        return self._open().snapshot()

    # -- its end -------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """End all displays; what still runs or waits is Closed. Closing twice is fine."""
        if os.getpid() != self._owner:
            return
        self._closed = True
        if self._dispatcher is not None:
            self._dispatcher.close()
        if self._session and self._session == cluster.session():  # else it is over already, or another one
            self._session = ""
            cluster.ray().shutdown()

    def __del__(self) -> None:
        if getattr(self, "_closed", True) or os.getpid() != self._owner:
            return
        try:
            warnings.warn(f"{self!r} was not closed", ResourceWarning, stacklevel=2, source=self)
        finally:  # warnings may be errors
            if not sys.is_finalizing():  # then the thread is gone, which it would wait for; Ray ends the displays
                self.close()

    def __reduce__(self) -> NoReturn:
        raise InvalidType("a DisplayPool belongs to its process; make it in the task or actor that uses it")

    def __repr__(self) -> str:
        return f"<DisplayPool of {getattr(self, '_count', 0)}{', closed' if self._closed else ''}>"

    # -- helpers -------------------------------------------------------------------------------------------------------

    def _open(self) -> Dispatcher:
        if os.getpid() != self._owner:
            raise FleetError("a pool works only in the process that made it, not in one that was forked from that")
        if self._closed or self._dispatcher is None:
            raise Closed("the pool was closed; make another one")
        if not self._dispatcher.is_connected():  # Ray would start a new one by itself
            raise Closed("Ray was shut down, and with it the pool's displays; make another pool")
        return self._dispatcher

    def _looked(self, number: int, method: str, *args: Any, **named: Any) -> Any:
        module, deadline = cluster.ray(), time.monotonic() + _PATIENCE + named.get("timeout", 0)
        while True:
            try:
                return module.get(self.look(number, method, *args, **named), timeout=deadline - time.monotonic())
            except module.exceptions.RayTaskError as error:
                raise error.cause from None
            except module.exceptions.GetTimeoutError as error:
                why = f"display {number} has not answered within {_PATIENCE:g} s; map(timeout=) ends items that hang"
                raise FleetError(why) from error
            except (FleetError, module.exceptions.RayActorError) as error:
                if time.monotonic() + _PAUSE >= deadline:
                    raise FleetError(f"display {number} was not back within {_PATIENCE:g} s: {error}") from error
            time.sleep(_PAUSE)  # shorter than what is left


def _counted(value: object, name: str) -> int:
    if (count := _arguments.integer(value, f"{name} is a whole number")) < 1:
        raise InvalidArgument(f"{name} is 1 or more, not {quoted(value)}")
    return count
