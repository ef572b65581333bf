"""Worker: what the actors of a pool run: one Seat or several, each for one item at a time.

Always true:

1. What an item's function raises is a value here, an Outcome: Ray sees no exception, whatever its class is.
2. An Outcome can be pickled. An exception that can't is told as text, in a FleetError.
3. Where the display's server ended while an item ran, the Outcome is "lost", whatever the function made of it.
"""

from __future__ import annotations

import contextlib
import functools
import os
import pickle
import signal
import tempfile
import threading
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Self

from xshm.errors import DisplayGone, FleetError, ItemTimeout
from xshm.fleet import cluster, seats
from xshm.fleet.nodes.packed import Packed
from xshm.fleet.tasks.task import Job, Outcome
from xshm.image.frame import Frame
from xshm.system.printable import quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from xshm.drawables.screen import Screen
    from xshm.fleet.seats import Seat
    from xshm.record.recorder import Recorder
    from xshm.trace.trace import Trace
    from xshm.virtual.display import VirtualDisplay
    from xshm.virtual.processes.command import Command
    from xshm.virtual.spec import DisplaySpec

_OURS: Final = {__file__, seats.__file__}
_ALL: Final = 24 * 3600.0  # seconds of a trace that are kept: all of any item; its bytes are bounded anyhow
_ENDING: Final = 2.0  # seconds in which a server ends whose connections have; milliseconds as a rule


class Worker:
    """The actor: `start` before all else; then `run` for each item, and looks at seats meanwhile."""

    def __init__(
        self, kind: type[Seat], spec: DisplaySpec, programs: Sequence[Command], count: int, *, is_alone: bool
    ) -> None:
        # By Ray's own handler the process would end once no call is left; `stay` is one that lasts, and while it is
        # waited for items would be taken, and not be run.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        # A subclass, since a process has one environment: it can lead to one display alone.
        self._kind: type[Seat] = type(
            kind.__name__, (kind,), {"_is_activated": is_alone, "__module__": kind.__module__}
        )
        self._make: Callable[[], Seat] = functools.partial(self._kind, spec, programs=programs)
        self._seats: list[Seat] = []
        self._used = [False] * count
        self._watches: dict[int, _Watch] = {}
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._sent = b""
        self._last: Callable[..., Any]

    def start(self) -> Outcome:
        """Start all displays, and return Ray's node; tell what went wrong, with nothing left of them."""
        try:
            while len(self._seats) < len(self._used):
                self._seats.append(self._make())
        except BaseException as error:  # noqa: BLE001 - its caller decides
            self.close()
            return _failed("failed", error)
        return Outcome("done", cluster.node(), {}, ())

    def stay(self) -> None:
        """Return when the displays are closed. Who has called it learns of this process's end in any case."""
        self._over.wait()

    def run(self, index: int, job: Job, sent: bytes, arguments: Sequence[Any]) -> Outcome:
        """Run function(display, *arguments) on the seat of that index; the function comes as a pickle."""
        seat = self._seats[index]
        try:
            function = self._function(sent)
        except BaseException as error:  # noqa: BLE001 - a module that is not there, or whatever it does
            return _failed("failed", error)
        with seat._in_use():  # noqa: SLF001 - until the end's cause is known: a look would replace an ended display
            try:
                if job.fresh and self._used[index]:
                    seat.restart()
                self._used[index] = True
                display = seat.display
            except BaseException as error:  # noqa: BLE001 - as above
                return _failed("unready", error)
            with _Watch(seat, job) as watch:
                with self._lock:
                    self._watches[index] = watch
                try:
                    outcome = Outcome("done", seat.do(_run_here, function, *arguments), {}, ())
                except BaseException as error:  # noqa: BLE001 - an item's failure is the item's, sys.exit included
                    if seat.is_lost(_ENDING if _is_of_the_end(error) else 0):
                        return _failed("lost", error, f"the display {display.name} has ended")
                    return watch.kept(_failed("failed", error, f"on {display.name}"))
                finally:
                    with self._lock:
                        del self._watches[index]
                if seat.is_lost():
                    return _failed("lost", FleetError(f"the display {display.name} has ended while the item ran"))
                return outcome

    def _function(self, sent: bytes) -> Callable[..., Any]:
        """Return the function of a pickle: the same one as long as the pickle is the same."""
        with self._lock:
            if sent != self._sent:
                self._last, self._sent = pickle.loads(sent), sent  # noqa: S301 - the driver's own
            return self._last

    def evidence(self, index: int, why: str) -> Outcome:
        """Return what there is of the item that runs on a seat, and is about to be ended from outside."""
        with self._lock:
            watch = self._watches.get(index)
        late = Outcome("failed", ItemTimeout(why), {}, ())
        return late if watch is None else watch.kept(late)

    def look(self, index: int, method: str, arguments: Sequence[Any], named: dict[str, Any], *, is_far: bool) -> Any:
        """Return what a look at a seat returns (`grab`, `changed`, …); a Frame for another machine as a Packed."""
        if index >= len(self._seats):
            raise FleetError("this seat was closed, or has not started yet")
        found = getattr(self._seats[index], method)(*arguments, **named)
        return Packed.of(found) if is_far and isinstance(found, Frame) else found

    def close(self) -> None:
        """End all displays."""
        try:
            while self._seats:
                self._seats.pop().close()
        finally:
            self._over.set()


class _Watch:
    """The trace and the video of one item, until they are sent home: no file has a name that a killed worker leaves."""

    def __init__(self, seat: Seat, job: Job) -> None:
        self._notes: list[str] = []
        self._held = contextlib.ExitStack()
        self._trace: Trace | None = None
        self._video: Recorder | None = None
        self._film: Any = None  # the video's file
        self._title = job.title
        self._saving = threading.Lock()  # the item may fail while its evidence is asked for
        if not job.kept:
            return
        with self._noting(" and no ".join(job.kept)):
            if "trace" in job.kept:
                self._begin_trace(seat.display.screen)
            if "video" in job.kept:
                self._begin_video(seat.display.screen)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._saving, self._noting("trace"):
            self._held.close()

    def kept(self, outcome: Outcome) -> Outcome:
        """Return an outcome with what there is of its item."""
        files: dict[str, bytes] = {}
        with self._saving:
            if self._trace is not None:
                with self._noting("trace"):
                    if outcome.value is not None:
                        self._trace.failure(f"{type(outcome.value).__name__}: {outcome.value}")
                    with tempfile.TemporaryDirectory(prefix="xshm-item-") as place:
                        self._trace.save(Path(place, "trace.html"))
                        files["trace"] = Path(place, "trace.html").read_bytes()
            if self._video is not None:
                with self._noting("video"):
                    self._stop_video()
                    self._film.seek(0)
                    files["video"] = self._film.read()
        return outcome._replace(files=files, notes=(*outcome.notes, *self._notes))

    def _begin_trace(self, screen: Screen) -> None:
        with self._noting("trace"):
            trace = screen.trace(keep_last=_ALL, title=self._title)
            trace.start()
            self._held.callback(trace.stop)
            self._trace = trace

    def _begin_video(self, screen: Screen) -> None:
        with self._noting("video"):
            film = self._film = self._held.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - it is entered
            video = screen.record(f"/proc/self/fd/{film.fileno()}", format="mp4")
            video.start()
            self._held.callback(self._stop_video)
            self._video = video

    def _stop_video(self) -> None:
        video, self._video = self._video, None
        if video is not None:
            video.stop()

    @contextlib.contextmanager
    def _noting(self, what: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # noqa: BLE001 - nothing that is kept fails an item
            self._notes.append(f"no {what}: {type(error).__name__}: {error}")


def _run_here(display: VirtualDisplay, function: Callable[..., Any], *arguments: Any) -> Any:
    """Return function(display, *arguments); end a process that the function has forked, and that leaves it.

    It would go on as a second worker without Ray's threads, and keep the worker's connections open: its parent's end
    would not be noticed.
    """
    own, code = os.getpid(), 1
    try:
        value = function(display, *arguments)
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
        raise
    finally:
        if os.getpid() != own:
            os._exit(code)
    return value


def _is_of_the_end(error: BaseException) -> bool:
    """Return whether an exception, or what it came of, says that the display is gone."""
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        if isinstance(found, DisplayGone):
            return True
        seen.add(id(found))
        found = found.__cause__ or found.__context__
    return False


def _failed(kind: Literal["failed", "lost", "unready"], error: BaseException, where: str = "") -> Outcome:
    """Return an exception as an outcome, with its traceback as a note, since a pickle has none."""
    shown = error.__traceback__
    while shown is not None and shown.tb_next is not None and shown.tb_frame.f_code.co_filename in _OURS:
        shown = shown.tb_next  # how its code was called says nothing about it
    lines = "".join(traceback.format_exception(type(error), error, shown)).rstrip()
    note = f"{where + ', ' if where else ''}in the worker:\n{lines}"
    sendable = _sendable(error)
    try:
        sendable.add_note(note)
    except Exception:  # noqa: BLE001 - code of the item's, or a `__notes__` of its own
        sendable = _told(error)
        sendable.add_note(note)
    return Outcome(kind, sendable, {}, ())


def _sendable(error: BaseException) -> BaseException:
    if isinstance(error, Exception):
        with contextlib.suppress(Exception):
            # By value where the class is in the program's own file, as Ray does it. Some can't be made again of that.
            again = pickle.loads(cluster.ray().cloudpickle.dumps(error))  # noqa: S301 - our own
            if type(again) is type(error):
                return error
    # KeyboardInterrupt and SystemExit are told as text, too: they would end the one who waits for the item.
    return _told(error)


def _told(error: BaseException) -> FleetError:
    try:
        text = str(error)
    except Exception as why:  # noqa: BLE001 - code of the item's
        text = f"its text can't be made: {type(why).__name__}"
    return FleetError(f"{type(error).__name__}: {text}" if text else quoted(error))
