"""PipelineTrial: choose by timing whether a stream requests its next frame ahead (pipelining) or when it is asked for.

`stream` asks it after each frame of a stream without a rate. Pipelined, the server copies the next frame while the
caller uses the last. For a loop that converts 1080p frames to RGB
this takes 0.6 to 0.8 times as long where client and server run on a core each. Where the scheduler has put both on one
core it takes 1.2 to 1.5 times as long with OpenCV: nothing runs in parallel, and with two frames in use by turns
neither stays in the processor's cache (tests/bench/changes.py).

Always true:

1. A stream begins pipelined. Of every 256 frames the first 7 are requested the other way; then the medians of the last
   7 times of each way decide about the rest.
2. Pipelining is chosen only if it is clearly faster: a frame that was requested ahead is older when it is used.
3. The trial waits for nothing and copies nothing. A frame's time is that from one call of `next_is_ahead` to the next,
   so it includes what the caller does with the frame.

What does not work:

- Always to pipeline, or never: see the figures above.
- To look at which cores both run on: an affinity mask says where they may run, not where the scheduler has them now.
- The mean of the times: one frame during which the process was preempted would decide.
"""

from __future__ import annotations

import time
from collections import deque
from typing import Final

# Frames. The 7 of 256 cost 0.8 % of the time where the other way takes 1.3 times as long.
_TRIAL_INTERVAL: Final = 256
_TRIAL_FRAMES: Final = 7
_CLEARLY_FASTER: Final = 0.95  # of the time without; a smaller difference is noise


class PipelineTrial:
    """The times of one stream's frames, pipelined and not, and which of the two is in use now."""

    def __init__(self) -> None:
        # Not of the trial itself: the stream sets here, for its generator, whether the caller blocks for a frame
        # (`next`) or awaits it in an event loop.
        self.blocks = False
        self._ahead = True
        # By whether the frame was requested ahead.
        self._seconds: dict[bool, deque[float]] = {each: deque(maxlen=_TRIAL_FRAMES) for each in (True, False)}
        # The first trial begins after 8 frames, not 7: so the deque drops the first time, which includes the set-up.
        self._count = -_TRIAL_FRAMES - 1
        self._last = time.monotonic()

    @property
    def how(self) -> str:
        """The way in use, and the median time of a frame by each of the two, the caller's use of it included."""
        if not self._seconds[False]:
            return "grabs, the next under way while the last is used, until both ways have been timed"
        ahead, without = (f"{1e6 * self._median(each):,.0f}" for each in (True, False))
        if self._ahead:
            return f"grabs, the next under way while the last is used: {ahead} µs a frame, {without} without"
        return f"grabs, each when it is asked for: {without} µs a frame, {ahead} with the next under way meanwhile"

    def next_is_ahead(self) -> bool:
        """Record the time of the frame that has just come; return whether to request the next one at once."""
        now = time.monotonic()
        self._seconds[self._ahead].append(now - self._last)
        self._last = now
        self._count += 1
        turn = self._count % _TRIAL_INTERVAL
        if turn == 0:  # a trial begins: the other way, whichever is in use
            self._ahead = not self._ahead
        elif turn == _TRIAL_FRAMES:
            self._ahead = self._median(True) < _CLEARLY_FASTER * self._median(False)
        return self._ahead

    def _median(self, ahead: bool) -> float:
        seconds = sorted(self._seconds[ahead])
        return seconds[len(seconds) // 2]
