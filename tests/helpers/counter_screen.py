"""A counter that machines read: shows which pictures a recording has, in which order, and that none is torn.

    with CounterScreen(server.name) as counter:
        counter.show(5)                                  # is on the screen when it returns
    assert counter_in(rgb) == 5                          # (height, width, 3) uint8, whose corner is the counter's

A number is 16 black or white squares in a row, the highest bit first, and below it the same again, inverted. The
squares are large enough to outlive any codec, half the size, and colour of a quarter of the resolution.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

import xshm

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from xshm.record.recorder import Recorder

BITS: Final = 16
_EDGE: Final = 16  # pixels
WIDTH, HEIGHT = BITS * _EDGE, 2 * _EDGE


def counter_picture(number: int) -> NDArray[np.uint8]:
    """Return a number as it is shown: (HEIGHT, WIDTH, 3) uint8."""
    bits = np.array([number >> place & 1 for place in range(BITS - 1, -1, -1)], np.uint8)
    gray = np.kron(np.stack([bits, 1 - bits]) * 255, np.ones((_EDGE, _EDGE), np.uint8))
    return np.repeat(gray[..., None].astype(np.uint8), 3, axis=2)


def counter_in(rgb: NDArray[Any], scale: float = 1.0) -> int:
    """Return the number in the upper left corner of a picture; AssertionError where it is torn or none is there."""
    middles = ((np.arange(BITS) + 0.5) * _EDGE * scale).astype(int)
    gray = np.asarray(rgb)[..., :3].mean(axis=2) if np.ndim(rgb) > 2 else np.asarray(rgb).astype(int)
    upper, lower = (gray[int((row + 0.5) * _EDGE * scale), middles] for row in (0, 1))
    bits = upper > 127
    assert (abs(upper - lower) > 100).all(), f"no counter: {upper}, {lower}"
    assert (bits != (lower > 127)).all(), f"torn: {upper}, {lower}"
    return int("".join("01"[bit] for bit in bits.astype(int)), 2)


class CounterScreen:
    """A counter in the upper left corner, above all windows; it shows 0 at first. Close it, or use `with`."""

    def __init__(self, display: str) -> None:
        self.number = 0
        self._surface = xshm.Surface(WIDTH, HEIGHT, display=display, position=(0, 0), title="counter")
        window = self._surface.xlib.create_resource_object("window", self._surface.id)
        # As a window manager would not: it lies where it is to, and nothing covers it.
        window.change_attributes(override_redirect=True)
        window.unmap()
        window.map()
        window.configure(x=0, y=0, stack_mode=0)
        self._surface.xlib.sync()
        self.show(0)

    @property
    def id(self) -> int:
        """The window's id."""
        return self._surface.id

    def show(self, number: int) -> None:
        """Show a number, in one request; it is on the screen when this returns."""
        self.number = number
        self._surface.show(counter_picture(number))
        self._surface.wait()

    def count(self) -> int:
        """Show the next number, and return it."""
        self.show(self.number + 1)
        return self.number

    def count_at_a_pace(self, count: int, pause: float = 0.04) -> None:
        """Show so many numbers, whatever becomes of them; a pause of so many seconds is before, between and after."""
        for _ in range(count):
            time.sleep(pause)
            self.count()
        time.sleep(pause)

    def count_for(self, recorder: Recorder, count: int, pause: float = 0.02) -> list[tuple[float, float]]:
        """Show so many numbers, each once the one before is recorded, so that none is lost on a busy machine.

        Return, for each, a moment (time.monotonic) before it was shown, and one after it was recorded. It needs a
        recording whose rate is not constant.
        """
        moments = []
        for _ in range(count):
            time.sleep(pause)
            frames, begun = recorder.frames, time.monotonic()
            self.count()
            while recorder.frames == frames and recorder.is_running and time.monotonic() < begun + 20:
                time.sleep(0.001)
            moments.append((begun, time.monotonic()))
        return moments

    def close(self) -> None:
        """Remove the window."""
        self._surface.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
