"""Wall: the screens of all displays of a pool, as one picture, or live in a browser.

1. A tile never shows an old or an empty picture as if it were one of now: a seat that is being replaced, or does not
   answer, is a tile with words.
2. Neither waits for a seat longer than `_PATIENCE`, and all seats are asked at once.
3. Live, nothing is pulled from a seat at whose tile nobody looks. Else one call waits there until something changes;
   a second one is under way only while somebody begins to look.

All of the work of a live wall is one thread's, the Feed's, which takes one event after another: somebody looks, a seat
has answered, a time is over. Ray calls a reply's callback in a thread of its own; these put an event.
"""

from __future__ import annotations

import contextlib
import functools
import os
import threading
import time
import warnings
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NoReturn, Protocol, Self

import numpy as np
from PIL import Image

from xshm.errors import Closed, FleetError, InvalidArgument, InvalidType, LiveViewFailed, XshmError
from xshm.fleet import cluster
from xshm.fleet.nodes.packed import unpacked
from xshm.fleet.picture import Picture
from xshm.fleet.tasks.events import Events
from xshm.fleet.tiles.drawing import GROUND, caption, fitted, worded
from xshm.fleet.tiles.grid import shrunk, whole
from xshm.fleet.tiles.mosaic import Mosaic
from xshm.geometry import Rect
from xshm.image.frame import Frame
from xshm.live.web.view import LiveView
from xshm.pixels.format import PixelFormat
from xshm.system import logs
from xshm.system.closing import Closing
from xshm.system.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from xshm.fleet.picture import Delta
    from xshm.fleet.seats import SeatInfo

_PATIENCE: Final = 5.0  # seconds for a seat's answer
_FIRST: Final = 1.0  # seconds for the answer before a tile is first shown; the page gives up after 2
_POLL: Final = 3.0  # seconds that a call waits for a change, at the seat; so long the last one is left there
_RETRY: Final = 0.5  # seconds until a seat that was lost is looked for again
_SHARE: Final = 2  # the drawing of live tiles takes at most one part of so many of a processor


class Seats(Protocol):
    """A DisplayPool, as far as it is looked at."""

    def __len__(self) -> int: ...

    def look(self, number: int, method: str, *args: Any, **named: Any) -> Any:
        """See `DisplayPool.look`."""


# -- one picture -------------------------------------------------------------------------------------------------------


def wall(pool: Seats, screen: tuple[int, int], width: int, columns: int | None) -> Frame:
    """Return all screens as one picture; see `DisplayPool.wall`. `screen` is the size of each."""
    grid, count = shrunk(len(pool), screen, width, columns), len(pool)
    looks: list[tuple[int, str, tuple[int, ...]]] = [(number, "preview", grid.tile) for number in range(count)]
    found = _asked(pool, looks + [(number, "info", ()) for number in range(count)])
    now = time.monotonic_ns()
    canvas = Image.new("RGB", grid.size, GROUND)
    for number, (seen, info) in enumerate(zip(found[:count], found[count:], strict=True)):
        place = grid.place(number)
        caption(canvas, Rect(place.x, place.y - grid.caption, place.width, grid.caption), _title(number, info))
        tile = worded(grid.tile, _why(seen)) if isinstance(seen, Exception) else fitted(seen, grid.tile)
        canvas.paste(tile, (place.x, place.y))
    return Frame(np.array(canvas), Rect(0, 0, *grid.size), now, 0, PixelFormat.RGB)


def _asked(pool: Seats, looks: Sequence[tuple[int, str, tuple[int, ...]]]) -> list[Any]:
    """Return what seats answer, all asked at once; in the place of an answer that there is not, the exception."""
    module = cluster.ray()
    found: list[Any] = [FleetError(f"it has not answered within {_PATIENCE:g} s")] * len(looks)
    references: dict[Any, int] = {}
    for index, (number, method, values) in enumerate(looks):
        try:
            references[pool.look(number, method, *values)] = index
        except FleetError as error:
            found[index] = error
    if references:
        for reference in module.wait([*references], num_returns=len(references), timeout=_PATIENCE)[0]:
            try:
                answer = module.get(reference)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is told in the tile
                answer = error
            found[references[reference]] = unpacked(answer)
    return found


def _title(number: int, info: SeatInfo | Exception | None) -> str:
    """Return what to call a display: its number, and where it is, if that is known."""
    if info is None or isinstance(info, Exception):
        return f"display {number}"
    return printable(f"display {number}, {info.display} on {info.host}, node {info.node[:6]}")


def _why(error: BaseException) -> str:
    """Return why there is no picture of a seat, in one line for a person."""
    exceptions = cluster.ray().exceptions
    if isinstance(error, exceptions.RayTaskError):
        error = error.cause or error
    elif isinstance(error, exceptions.RayError):
        return "its worker has ended, and is being replaced"
    lines = str(error).splitlines() or [type(error).__name__]
    return printable(lines[0])


# -- live --------------------------------------------------------------------------------------------------------------


@dataclass(eq=False, slots=True)
class _Tile:
    """What is known of a seat's tile."""

    number: int
    picture: Picture = field(default_factory=Picture)
    viewers: int = 0  # 0 or 1, and 2 for a moment: the channel's thread that ends, and the next one
    beginning: list[threading.Event] = field(default_factory=list)  # of threads that wait for the picture of now
    is_asked: bool = False  # what it shows now; that is under way
    is_polled: bool = False  # what will change
    asked_at: float = 0.0


class _Feed(Closing):
    """The thread that pulls what is looked at, and draws it."""

    def __init__(self, pool: Seats, mosaic: Mosaic, fps: float) -> None:
        self._pool = pool
        self._mosaic = mosaic
        self._pause = 1 / fps
        self._events = Events()
        self._tiles = [_Tile(number) for number in range(len(pool))]
        self._is_patrolling = self._is_over = False
        self._thread = threading.Thread(target=self._serve, name="xshm-wall", daemon=True)

    # -- any thread ----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin. From now on a tile that somebody begins to look at waits for the picture of now."""
        for tile in self._tiles:
            self._mosaic.attend(tile.number, functools.partial(self._attended, tile))
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._events.put(self._end)
        self._thread.join(_PATIENCE)

    @contextlib.contextmanager
    def _attended(self, tile: _Tile) -> Iterator[None]:
        is_there = threading.Event()
        self._events.put(self._begin, tile, is_there)
        if not self._is_over:
            is_there.wait(_FIRST + _RETRY)
        try:
            yield
        finally:
            self._events.put(self._leave, tile)

    # -- the thread ----------------------------------------------------------------------------------------------------

    def _serve(self) -> None:
        try:
            while not self._is_over:
                call, values = self._events.next()
                call(*values)
        except XshmError as error:  # the display has ended, which the page says by itself
            logs.warning("live", "the wall has ended: %s", error)
        finally:
            self._is_over = True
            for tile in self._tiles:
                self._release(tile)

    def _end(self) -> None:
        self._is_over = True

    def _begin(self, tile: _Tile, is_there: threading.Event) -> None:
        tile.viewers += 1
        tile.beginning.append(is_there)
        self._events.after(_FIRST, self._is_slow, tile, is_there)
        self._pull(tile, 0)
        if not self._is_patrolling:
            self._patrol()

    def _leave(self, tile: _Tile) -> None:
        tile.viewers -= 1

    def _release(self, tile: _Tile) -> None:
        waiting, tile.beginning = tile.beginning, []
        for each in waiting:
            each.set()

    def _is_slow(self, tile: _Tile, is_there: threading.Event) -> None:
        if is_there in tile.beginning:
            self._say(tile, "it has not answered yet")
            self._release(tile)

    def _patrol(self) -> None:
        """Say which seats do not answer, as long as somebody looks."""
        watched = [tile for tile in self._tiles if tile.viewers]
        for tile in watched:
            if (tile.is_asked or tile.is_polled) and time.monotonic() > tile.asked_at + _POLL + _PATIENCE:
                self._say(tile, "it does not answer")
        self._is_patrolling = bool(watched)
        if watched:
            self._events.after(1, self._patrol)

    # -- pulls ---------------------------------------------------------------------------------------------------------

    def _pull(self, tile: _Tile, timeout: float) -> None:
        """Ask for what has changed, now or within a time; but once."""
        if not tile.viewers or (tile.is_polled if timeout else tile.is_asked):
            return
        tile.asked_at = time.monotonic()
        if timeout:
            tile.is_polled = True
        else:
            tile.is_asked = True
        self._look(tile, self._pulled, timeout, "changed", tile.picture.seen, timeout=timeout)

    def _look(self, tile: _Tile, then: Callable[..., None], value: float, method: str, *args: Any, **more: Any) -> None:
        """Have `then` called in this thread with the tile, the value and the reply's Future, when that is there."""
        try:
            reply = self._pool.look(tile.number, method, *args, **more).future()
        except Exception as error:  # noqa: BLE001 - told in the tile
            reply = Future()
            reply.set_exception(error)
        reply.add_done_callback(lambda reply: self._events.put(then, tile, value, reply))

    def _pulled(self, tile: _Tile, timeout: float, reply: Future[Delta]) -> None:
        if timeout:
            tile.is_polled = False
        else:
            tile.is_asked = False
        if not tile.viewers:  # what it has not taken over now is in the next answer
            return
        begin, error = time.monotonic(), reply.exception()
        if error is None:
            try:
                if not self._mosaic.show(tile.number, tile.picture.apply(reply.result())):
                    self._look(tile, self._named, 0, "info")  # it may be another display, or on another machine
            except FleetError as failure:  # it is of a time that the picture knows nothing of
                tile.picture, error = Picture(), failure
        if error is not None:
            self._say(tile, _why(error))
            if not isinstance(error, Closed):
                self._events.after(_RETRY, self._pull, tile, 0)
        else:
            took = (time.monotonic() - begin) * _SHARE * sum(bool(each.viewers) for each in self._tiles)
            self._events.after(tile.asked_at + max(self._pause, took) - begin, self._pull, tile, _POLL)
        self._release(tile)

    def _named(self, tile: _Tile, _: float, reply: Future[SeatInfo]) -> None:
        if reply.exception() is None:
            self._mosaic.call(tile.number, _title(tile.number, reply.result()))
        elif tile.viewers:
            self._events.after(_RETRY, self._look, tile, self._named, 0, "info")

    def _say(self, tile: _Tile, words: str) -> None:
        self._mosaic.say(tile.number, f"display {tile.number}: {words}")


class Wall(Closing):
    """The live view of all displays of a pool, in a browser; `DisplayPool.live` makes it, `with` starts and ends it.

        with pool.live(port=8080) as wall:
            print(wall.url)

    Each display has a tile of its own on the page, called by its number and where it is. `view` is the LiveView: how
    many look, links to single pictures. While nobody looks at a tile nothing is pulled from its display; a display that
    was lost is words in its tile, until it is back.

    Raises what `Screen.live` does, and InvalidArgument for screens that are too large together, and for `allow_input`:
    what a viewer typed could not get to the displays.
    """

    def __init__(self, pool: Seats, screen: tuple[int, int], settings: Mapping[str, Any]) -> None:
        self._held = contextlib.ExitStack()
        self._owner = os.getpid()
        self._is_started = self._is_open = False
        self._pool = pool
        self._grid = whole(len(pool), screen)
        if settings.get("region") is not None:
            raise InvalidArgument("the page of a pool has whole screens; for a part of one, region is Screen.live's")
        self.view = LiveView(**{"title": f"{len(pool)} displays", **settings})
        self._fps = self.view._settings.fps  # noqa: SLF001 - checked there
        if self.view._settings.allow_input:  # noqa: SLF001 - as above
            raise InvalidArgument(
                "the live view of a pool takes no input, which would not get to its displays: send them functions, by "
                "submit() or map(); or have a function there show its own, by display.screen.live(allow_input=True)"
            )

    @property
    def url(self) -> str:
        """The link, as `LiveView.url`."""
        return self.view.url

    def start(self) -> None:
        """Start the display, and serve the page. Raises StartFailed, LiveViewFailed, Closed."""
        if self._is_started:
            raise LiveViewFailed("this wall was started already; make another one with live()")
        self._is_started = True
        infos = _asked(self._pool, [(number, "info", ()) for number in range(self._grid.count)])
        titles = [_title(number, info) for number, info in enumerate(infos)]
        with contextlib.ExitStack() as held:
            mosaic = held.enter_context(Mosaic(self.view, self._grid, titles))
            feed = held.enter_context(_Feed(self._pool, mosaic, self._fps))
            feed.start()
            self.view.start()
            self._held, self._is_open = held.pop_all(), True

    def close(self) -> None:
        """End it, and its display. Closing twice is fine."""
        if os.getpid() == self._owner:
            self._is_started, self._is_open = True, False
            self._held.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __del__(self) -> None:
        if not getattr(self, "_is_open", False) or os.getpid() != self._owner:
            return
        try:
            warnings.warn(f"{self!r} was not closed", ResourceWarning, stacklevel=2, source=self)
        finally:  # warnings may be errors
            self.close()

    def __reduce__(self) -> NoReturn:
        raise InvalidType("a Wall belongs to its process; send its url")

    def __repr__(self) -> str:
        return f"<Wall of {self._grid.count} displays, {self.view!r}>"
