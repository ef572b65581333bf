"""Sixteen threads that grab at once, for a minute at an effort of 100, and look at every pixel of every frame.

Each thread has an area of its own, which one request paints in one colour: the area's number, a counter, and a sum of
both. So a frame with two colours is torn, one with another number is another thread's, one whose counter went back is
an old one. Half of the threads keep their last frames for a while, which no later one may change.
"""

from __future__ import annotations

import collections
import random
import threading
import time
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from painter import plain_display
from servers import start

import xshm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from servers import Server

    from faults.report import Report, Row

    Box = tuple[int, int, int, int]

_THREADS: Final = 16
_EDGE: Final = 96  # pixels of an area; four rows of four
_COUNTS: Final = 1 << 14
_KEPT: Final = 3
_SECONDS: Final = 0.6  # for each unit of effort
_ROWS: Final = ("sysv", "fd", "core", "a Screen for each", "streams")


def provoke(report: Report, effort: int) -> None:
    """Grab for 0.6 s in all for each unit of effort: a fifth of it in each way to share a screen."""
    with start("Xvfb", 4 * _EDGE, 4 * _EDGE) as server:
        painter = _Painter(server)
        painter.start()
        try:
            for name in _ROWS:
                _grab_all(report, server, name, effort * _SECONDS / len(_ROWS))
        finally:
            painter.end()


class _Painter(threading.Thread):
    """Another client, which paints each area anew, again and again, in random order."""

    def __init__(self, server: Server) -> None:
        super().__init__(daemon=True)
        self._display: Any = plain_display(server)
        self._gc = self._display.screen().root.create_gc()
        self._is_over = threading.Event()
        self._number = 0
        self._paint()

    def _paint(self) -> None:
        root, self._number = self._display.screen().root, self._number + 1
        for area in random.sample(range(_THREADS), _THREADS):
            self._gc.change(foreground=_colour(area, self._number))
            root.fill_rectangle(self._gc, *_box(area))
        self._display.sync()

    def run(self) -> None:
        """Paint until `end`."""
        while not self._is_over.is_set():
            self._paint()
            time.sleep(0.001)

    def end(self) -> None:
        """End, and disconnect."""
        self._is_over.set()
        self.join()
        self._display.close()


def _box(area: int) -> Box:
    return area % 4 * _EDGE, area // 4 * _EDGE, _EDGE, _EDGE


def _colour(area: int, count: int) -> int:
    value = area << 14 | count % _COUNTS
    return value | _sum(value) << 18


def _sum(value: int) -> int:
    return (value * 2654435761 >> 20) % 61


def _grab_all(report: Report, server: Server, name: str, seconds: float) -> None:
    shared = None if name.startswith("a Screen") else xshm.Screen(server.name, _transport(name), max_frames=128)
    results: list[list[str | None]] = [[] for _ in range(_THREADS)]
    until = time.monotonic() + seconds

    def work(area: int) -> None:
        screen = shared or xshm.Screen(server.name)
        try:
            for how in _checked(_frames(screen, name, area), area, until):
                results[area].append(how)
        except Exception as error:  # noqa: BLE001 - the thread has nobody else to tell it to
            results[area].append(f"{type(error).__name__}: {error}")
        finally:
            if not shared:
                screen.close()

    threads = [threading.Thread(target=work, args=(area,)) for area in range(_THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(seconds + 30)
    _count(report.row(f"a frame of 16 threads: {name}"), threads, results)
    if shared:
        shared.close()


def _count(row: Row, threads: list[threading.Thread], results: list[list[str | None]]) -> None:
    for area, (thread, result) in enumerate(zip(threads, results, strict=True)):
        if thread.is_alive() or not result:
            row.failed(f"thread {area} got {len(result)} frames and {'hangs' if thread.is_alive() else 'ended'}")
        for how in list(result):
            row.count(how)


def _transport(name: str) -> Any:
    return name if name in ("sysv", "fd", "core") else "auto"


def _frames(screen: xshm.Screen, name: str, area: int) -> Iterator[xshm.Frame]:
    if name == "streams":
        with screen.stream(_box(area), on_change=area % 2 == 0) as stream:
            yield from stream
    while True:
        yield screen.grab(_box(area))


def _checked(frames: Iterator[xshm.Frame], area: int, until: float) -> Iterator[str | None]:
    """Give for each frame what is wrong with it, or None."""
    kept: collections.deque[tuple[Any, int]] = collections.deque()
    last = -1
    for frame in frames:
        pixels = frame.pixels.view("<u4")[..., 0] & 0xFFFFFF
        value = int(pixels[0, 0])
        yield _fault(pixels, value, area, last)
        last = value % _COUNTS
        if area % 2:
            kept.append((pixels, value) if frame.changed is None else (pixels.copy(), value))
        if len(kept) > _KEPT:
            held, was = kept.popleft()
            if (held != was).any():
                yield f"thread {area}: a frame that was kept has changed"
        if time.monotonic() > until:
            return


def _fault(pixels: Any, value: int, area: int, last: int) -> str | None:
    if (pixels != value).any():
        found: Callable[..., Any] = np.unique
        return f"thread {area}: a torn frame: {[hex(each) for each in found(pixels)[:4]]}"
    if value >> 18 != _sum(value % (1 << 18)) or value >> 14 & 15 != area:
        return f"thread {area}: another's frame: {value:#x}"
    if last >= 0 and (value % _COUNTS - last) % _COUNTS > _COUNTS // 2:
        return f"thread {area}: an older frame, {value % _COUNTS} after {last}"
    return None
