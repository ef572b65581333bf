"""The workers of changes.py: `python changers.py NAME DISPLAY …`, each a process of its own."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np
from rounds import serve

if TYPE_CHECKING:
    from collections.abc import Callable

_SPOT = (100, 100, 100, 100)


def small(display: str) -> None:
    """Serve the whole 4K picture in hand after a change of 100×100."""
    _after_a_change(display, _SPOT)


def full(display: str) -> None:
    """Serve the whole picture in hand after all of it has changed, the last one let go."""
    _after_a_change(display, None, hold=False)


def full_held(display: str) -> None:
    """Serve the same while the last one is held: two slots take turns, and the processor's cache serves one."""
    _after_a_change(display, None)


def _after_a_change(display: str, box: tuple[int, int, int, int] | None, *, hold: bool = True) -> None:
    import xshm  # noqa: PLC0415 - a worker loads only what it measures
    from xshm.capture.changes import ChangeTracker  # noqa: PLC0415

    with xshm.Screen(display) as screen, xshm.Screen(display) as other:
        rect = screen.rect
        root = other.xlib.screen().root
        gc = root.create_gc()
        changes = ChangeTracker(screen, None, cursor=False)
        held: list[Any] = []
        turn = 0

        def draw() -> None:
            nonlocal turn
            turn += 1
            gc.change(foreground=turn)
            root.fill_rectangle(gc, *(box or (0, 0, rect.width, rect.height)))
            other.connection.sync()

        def look() -> None:
            if not hold:
                held.clear()
            held[:] = [changes.poll()]  # while the next is taken, the last is held, as in a loop

        _serve_after(draw, look)
        changes.close()


def _serve_after(prepare: Callable[[], None], operation: Callable[[], None]) -> None:
    """Be a worker as `rounds.serve` is, and don't count what is done before each operation."""
    print("ready", flush=True)
    for line in sys.stdin:
        took = 0
        for _ in range(int(line)):
            prepare()
            start = time.perf_counter_ns()
            operation()
            took += time.perf_counter_ns() - start
        print(took / int(line), flush=True)


def grab_loop(display: str) -> None:
    """Serve grab and rgb(), one after the other."""
    import xshm  # noqa: PLC0415

    with xshm.Screen(display) as screen:
        rgb = np.empty((screen.rect.height, screen.rect.width, 3), np.uint8)
        serve(lambda: screen.grab().rgb(out=rgb))


def stream_loop(display: str) -> None:
    """Serve the frames of a stream, with rgb(), once it has found its way (`Stream.how`)."""
    import xshm  # noqa: PLC0415

    with xshm.Screen(display) as screen, screen.stream() as stream:
        rgb = np.empty((screen.rect.height, screen.rect.width, 3), np.uint8)
        for _ in range(32):  # else it would be its trial that says how many go into a round
            next(stream).rgb(out=rgb)
        serve(lambda: next(stream).rgb(out=rgb))


def without_opencv(name: str, display: str) -> None:
    """Serve one of the loops as it is where only the base dependencies are installed."""
    sys.modules["cv2"] = None  # type: ignore[assignment] # what makes an import fail
    WORKERS[name](display)


def drawer(display: str, count: str) -> None:
    """Draw a small box in colours 1, 2, 3, …, at odd intervals; tell when each was begun."""
    import random  # noqa: PLC0415

    import xshm  # noqa: PLC0415

    pick, begun = random.Random(7), []
    with xshm.Screen(display) as screen:
        root = screen.xlib.screen().root
        gc = root.create_gc()
        for number in range(1, int(count) + 1):
            time.sleep(pick.uniform(0.02, 0.07))
            gc.change(foreground=number)
            begun.append(time.monotonic_ns())
            root.fill_rectangle(gc, *_SPOT)
            screen.connection.sync()
    print(json.dumps(begun))


def seen_by_stream(display: str, count: str) -> None:
    """Tell when each colour was in hand, by a stream on change."""
    import xshm  # noqa: PLC0415

    with xshm.Screen(display) as screen, screen.stream(on_change=True) as stream:
        next(stream)

        def look() -> list[int]:
            low, high = next(stream).pixels[150, 150, :2].tolist()
            return [low, high]

        _watch(look, int(count))


def seen_by_act(display: str, count: str) -> None:
    """Tell when each colour was seen by an act, one for each; that it then compares, and concludes, is not counted."""
    import xshm  # noqa: PLC0415

    with xshm.Screen(display) as screen:
        screen.act(lambda: None, quiet=1e-4, reaction=0)  # imports

        def look() -> list[int]:
            outcome = screen.act(lambda: None, quiet=1e-4, reaction=5)
            low, high = outcome.frame.pixels[150, 150, :2].tolist()
            seen.setdefault(low + 256 * high, outcome.frame.monotonic_ns)
            return [low, high]

        seen: dict[int, int] = {}
        _watch(look, int(count), seen)


def seen_by_mss(display: str, count: str) -> None:
    """Tell when each colour was in hand, by a picture 60 times a second."""
    from mss import MSS  # noqa: PLC0415

    with MSS(display=display) as grabber:
        region = grabber.monitors[0]
        width = region["width"]
        due = time.monotonic()

        def look() -> list[int]:
            nonlocal due
            due = max(due + 1 / 60, time.monotonic())
            time.sleep(max(0.0, due - time.monotonic()))
            raw = grabber.grab(region).raw
            at = (150 * width + 150) * 4
            return [raw[at], raw[at + 1]]

        _watch(look, int(count))


def _watch(look: Callable[[], list[int]], count: int, seen: dict[int, int] | None = None) -> None:
    print("ready", flush=True)
    seen = {} if seen is None else seen
    before = os.times()
    while count not in seen:
        low, high = look()
        seen.setdefault(low + 256 * high, time.monotonic_ns())
    after = os.times()
    cpu = after.user + after.system - before.user - before.system
    print(json.dumps({"cpu": cpu, "seen": seen}), flush=True)


WORKERS: dict[str, Callable[..., None]] = {
    each.__name__: each
    for each in (
        *(small, full, full_held, grab_loop, stream_loop, without_opencv, drawer),
        *(seen_by_stream, seen_by_act, seen_by_mss),
    )
}

if __name__ == "__main__":
    WORKERS[sys.argv[1]](*sys.argv[2:])
