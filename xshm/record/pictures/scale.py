"""Scale pictures down: each pixel is the mean of the area of the source that it covers.

A pixel depends on its place alone, never on what else is scaled with it: parts that are scaled one by one are those of
the whole, and show no seam.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
else:
    from xshm._numpy import np


def scaled_size(size: tuple[int, int], max_edge: int | None) -> tuple[int, int]:
    """Return the size whose longer edge is at most `max_edge`, never a larger one.

    The shorter edge is rounded to the nearest, halves up, and at least 1.
    """
    longer = max(size)
    if max_edge is None or longer <= max_edge:
        return size
    width, height = (max(1, (2 * edge * max_edge + longer) // (2 * longer)) for edge in size)
    return width, height


class Axis:
    """Which pixels of the source's axis, and with which weights, make each pixel of the scaled one."""

    def __init__(self, source: int, target: int) -> None:
        step = source / target
        starts = np.arange(target) * source / target
        ends = np.arange(1, target + 1) * source / target
        taps = int(np.ceil(step)) + 1
        places = np.floor(starts).astype(np.intp)[:, None] + np.arange(taps)
        covered = np.minimum(places + 1, ends[:, None]) - np.maximum(places, starts[:, None])
        weights = np.clip(covered, 0, None)
        self._weights = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
        self._places = np.minimum(places, source - 1)  # past the end the weight is 0
        self._source, self._target = source, target
        # So many scaled pixels begin where a pixel of the source does, and so do the next ones.
        self.period = target // math.gcd(source, target)

    def covered(self, start: int, stop: int) -> tuple[int, int]:
        """Return the first pixel of the source that pixels `start` to `stop` (excluded) are made of, and the end."""
        return start * self._source // self._target, -(-stop * self._source // self._target)

    def touched(self, start: int, stop: int) -> tuple[int, int]:
        """Return the first scaled pixel that any of the source's `start` to `stop` (excluded) is in, and the end."""
        return start * self._target // self._source, -(-stop * self._target // self._source)

    def aligned(self, start: int, stop: int) -> tuple[int, int]:
        """Return the pixels from `start` to `stop`, and those before and after them up to whole periods."""
        return start // self.period * self.period, -(-stop // self.period) * self.period

    def apply(self, samples: NDArray[Any], start: int, stop: int) -> NDArray[np.float32]:
        """Return pixels `start` to `stop` along the first axis; `samples` begin at the first one that they cover."""
        first, _ = self.covered(start, stop)
        places = np.minimum(self._places[start:stop] - first, len(samples) - 1)
        weights = self._weights[start:stop]
        shape = (-1,) + (1,) * (samples.ndim - 1)
        total: NDArray[np.float32] = samples[places[:, 0]] * weights[:, 0].reshape(shape)
        for tap in range(1, weights.shape[1]):
            total += samples[places[:, tap]] * weights[:, tap].reshape(shape)
        return total


def scaled(
    window: NDArray[np.uint8], down: Axis, across: Axis, rows: tuple[int, int], columns: tuple[int, int]
) -> NDArray[np.uint8]:
    """Return (rows, columns, channels) uint8 of the window of the source that they cover."""
    high = down.apply(window, *rows)
    wide = across.apply(high.swapaxes(0, 1), *columns).swapaxes(0, 1)
    wide += np.float32(0.5)
    return wide.astype(np.uint8, order="C")
