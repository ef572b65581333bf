"""The workers of changes.py: `python changers.py NAME DISPLAY …`, each a process of its own."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np
from rounds import serve, touched, touched_array

if TYPE_CHECKING:
    from collections.abc import Callable

_SPOT = (100, 100, 100, 100)


def after_a_change(display: str, percent: str, how: str = "") -> None:
    """Serve the whole picture in hand after so much of it was drawn anew; `held`: while the last one is held.

    With `held` two slots take turns, and the processor's cache serves one.
    """
    import xshm  # noqa: PLC0415 - a worker loads only what it measures
    from xshm.capture.changes import ChangeTracker  # noqa: PLC0415

    screen = xshm.Screen(display)
    changes = ChangeTracker(screen, None, cursor=False)
    last = changes.poll()
    assert last is not None

    def look() -> int:
        nonlocal last
        frame = changes.poll()
        if frame is not None:
            last = frame if how == "held" else None
            return touched_array(frame.pixels)
        return 0  # the picture is the last one

    if how != "held":
        last = None
    serve(look, _drawing(display, float(percent)))


def mss_after_a_change(display: str, percent: str) -> None:
    """Serve the same by mss, which has no way to tell what has changed."""
    from mss import MSS  # noqa: PLC0415

    grabber = MSS(display=display)
    region = grabber.monitors[0]
    serve(lambda: touched(grabber.grab(region).raw), _drawing(display, float(percent)))


def _drawing(display: str, percent: float) -> Callable[[], None]:
    """Return what draws a box of so many percent of the screen, in another colour each time, by another client."""
    from Xlib.display import Display  # noqa: PLC0415

    other: Any = Display(display)
    root = other.screen().root
    gc = root.create_gc()
    size = root.get_geometry()
    share = (percent / 100) ** 0.5
    box = (0, 0, round(size.width * share), round(size.height * share))
    turn = 0

    def draw() -> None:
        nonlocal turn
        turn += 1
        if percent:
            gc.change(foreground=0x10101 * (turn % 256))
            root.fill_rectangle(gc, *box)
        other.sync()

    return draw


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
        *(after_a_change, mss_after_a_change, grab_loop, stream_loop, without_opencv, drawer),
        *(seen_by_stream, seen_by_act, seen_by_mss),
    )
}

if __name__ == "__main__":
    WORKERS[sys.argv[1]](*sys.argv[2:])
