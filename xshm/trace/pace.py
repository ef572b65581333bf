"""Pace: how many pictures a second are taken, in stated steps, so that CPU and bytes stay within what they may take.

1. Of CPU time of the thread, and of bytes of the records, so much a second comes in, and what is not used is saved up,
   to that of a third of a second (a token bucket). A picture that takes more than there is leaves a debt, and the rate
   falls at once to the step whose period pays it off: by so much as pictures cost, within two or three of them. So what
   scrolls for half a second has its first pictures, fewer in the middle, and its last one; and it stays cheap.
2. After a second it rises to the fastest step at which that second would have fitted. Pictures that come more slowly
   than the step allows would not come faster: they count as they are.
3. Where a rise has proved too much, the next one is tried after twice the time, up to half a minute; after a minute
   without a step down, or a pause, after a second again.
4. After a pause of a second and more, in which nothing was drawn, it is the first step again.
"""

from __future__ import annotations

from collections import deque
from typing import Final, NamedTuple

STEPS: Final = (30, 15, 8, 4, 2, 1)  # pictures a second
CPU_SHARE: Final = 0.09  # of one core; with the waits and the server's own work a trace takes less than a tenth
_SAVED: Final = 1 / 3  # seconds whose share is saved up at most: three pictures of a page, one of a film
_DEBT: Final = 1.0  # seconds in which any debt is paid off, at most: there is no slower step
_SECOND: Final = 1_000_000_000
_MILLI: Final = 1_000_000
_MARGIN: Final = 0.8  # of a bound, which a faster step has to fit in
_LATE: Final = 0.5  # of a period; a picture that comes so long after it was due would not come earlier at a faster rate
_LONGEST: Final = 32  # seconds until a faster step is tried again
_CALM: Final = 60  # seconds without a step down, after which it is tried as soon as at first
_FULL: Final = 10  # seconds at the highest rate of bytes fill what is kept, at least
_MEBI: Final = 1 << 20
_UNBOUNDED: Final = 2.0**60  # bytes a second


class Step(NamedTuple):
    """A rate from now on: pictures a second at most, and why, in words with the numbers."""

    fps: float
    why: str


class _Look(NamedTuple):
    at: int
    spent: int
    nbytes: int
    was_due: bool  # it was taken as soon as it was due, so at a faster rate it would have come earlier


class _Account:
    """So much a second, and what is left of it: less than nothing after a picture that took more."""

    def __init__(self, a_second: float) -> None:
        self.a_second = a_second
        self._left = _SAVED * a_second

    def take(self, amount: float, after: float) -> None:
        """Take an amount, so many seconds after the last one."""
        left = min(self._left + self.a_second * after, _SAVED * self.a_second) - amount
        self._left = max(left, -_DEBT * self.a_second)

    @property
    def wait(self) -> float:
        """Seconds in which its debt is paid off."""
        return max(-self._left / self.a_second, 0.0)


class Pace:
    """The rate of a trace. Times are nanoseconds of one clock; no clock is read here.

    `fps` is the highest rate, and the first step; the others are those of STEPS below it. `bytes_a_second` is what the
    records may take (this module's function of that name computes it); None: no bound.
    """

    def __init__(self, fps: float, bytes_a_second: float | None = None, cpu_share: float = CPU_SHARE) -> None:
        self._steps = (fps, *(each for each in STEPS if each < fps))
        self._at_step = 0
        self.step = Step(fps, f"{fps:g} pictures a second at most, as asked for")  # the present one
        self._cpu = _Account(cpu_share)
        self._bytes = _Account(_UNBOUNDED if bytes_a_second is None else bytes_a_second)
        self._looks: deque[_Look] = deque()  # of the last second, at the present step
        self._last: int | None = None  # when the last one began
        self._since = 0  # when this step began
        self._patience = 1  # seconds at a step before a faster one is tried
        self._stepped_down: int | None = None  # when, the last time
        self._has_risen = False  # whether the present step was reached from a slower one

    @property
    def due(self) -> int:
        """When the next picture may be taken, at the earliest; 0 before the first one."""
        return 0 if self._last is None else self._last + self._period()

    def note(self, at: int, spent: int, nbytes: int) -> Step | None:
        """Count a look at the source: when it began, nanoseconds of CPU that it took, bytes of its records.

        Return the new step where the rate changes with it.
        """
        paused = 0 if self._last is None else at - self._last
        was_due = at < self.due + _LATE * self._period()
        self._last = at
        self._cpu.take(spent / _SECOND, paused / _SECOND)
        self._bytes.take(nbytes, paused / _SECOND)
        self._looks.append(_Look(at, spent, nbytes, was_due))
        while self._looks[0].at <= at - _SECOND:
            self._looks.popleft()
        if paused >= max(_SECOND, 2 * self._period()):
            return self._restart(at, paused)
        if max(self._cpu.wait, self._bytes.wait) * self.step.fps > 1 and self._at_step + 1 < len(self._steps):
            return self._step_down(at, spent, nbytes)
        if self._stepped_down is not None and at - self._stepped_down >= _CALM * _SECOND:
            self._patience = 1
        if self._at_step and at - self._since >= self._patience * _SECOND:
            return self._step_up(at)
        return None

    def _restart(self, at: int, paused: int) -> Step | None:
        self._patience = 1
        if not self._at_step:
            return None
        return self._move(at, -self._at_step, f"nothing was drawn for {paused / _SECOND:.1f} s")

    def _step_down(self, at: int, spent: int, nbytes: int) -> Step:
        """Go down to the step whose period pays the debt off, or to the last one."""
        if self._has_risen:
            self._patience = min(2 * self._patience, _LONGEST)
        self._stepped_down = at
        if self._cpu.wait >= self._bytes.wait:
            wait, why = self._cpu.wait, f"{spent / _MILLI:.1f} ms of CPU a picture: more than {self._cpu.a_second:.0%}"
            why += " of a core allows"
        else:
            wait, why = self._bytes.wait, f"{nbytes / _MEBI:.2f} MiB a picture: more than"
            why += f" {self._bytes.a_second / _MEBI:.1f} MiB a second allow"
        slower = range(self._at_step + 1, len(self._steps))
        found = next((each for each in slower if wait * self._steps[each] <= 1), slower[-1])
        return self._move(at, found - self._at_step, why)

    def _step_up(self, at: int) -> Step | None:
        """Go up to the fastest step at which the last second would have fitted, if there is one."""
        found = next((each for each in range(self._at_step) if self._fits(self._steps[each])), None)
        if found is None:
            return None
        cpu, data = self._taken()
        why = f"a second took {cpu:.1%} of a core and {data / _MEBI:.1f} MiB, which leaves room"
        return self._move(at, found - self._at_step, why)

    def _fits(self, fps: float) -> bool:
        cpu, data = self._taken(fps / self.step.fps)
        return cpu <= _MARGIN * self._cpu.a_second and data <= _MARGIN * self._bytes.a_second

    def _move(self, at: int, steps: int, why: str) -> Step:
        self._at_step += steps
        self._has_risen = steps < 0
        self._since = at
        self._looks.clear()
        self.step = Step(self._steps[self._at_step], why)
        return self.step

    def _period(self) -> int:
        return round(_SECOND / self.step.fps)

    def _taken(self, ratio: float = 1.0) -> tuple[float, float]:
        """Return the share of a core and the bytes of the last second; or those at a rate so many times as fast."""
        often = [ratio if look.was_due else 1.0 for look in self._looks]
        cpu = sum(look.spent * times for look, times in zip(self._looks, often, strict=True))
        return cpu / _SECOND, sum(look.nbytes * times for look, times in zip(self._looks, often, strict=True))


def bytes_a_second(max_bytes: int, keep_last: float | None = None) -> float:
    """Return how many bytes a second may come, so that `max_bytes` hold ten seconds of them, or all of `keep_last`."""
    return max_bytes / min(keep_last or _FULL, _FULL)
