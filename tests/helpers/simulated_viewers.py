"""A viewer behind a line of a rate and a delay, on a clock that is only counted: real pictures, encoder and pace."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from xshm.live.encoding import Ask, Encoder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xshm.live.encoding import EncodedUpdate
    from xshm.live.pace import Pace
    from xshm.live.picture import Picture

_CAPTURE = 0.003  # seconds
_ENCODE = 0.003
_DECODE = 0.004
_MOST_STEPS = 200_000


class Scene(Protocol):
    """What happens on a screen."""

    picture: Picture

    def next_change(self, after: float) -> float:
        """Return when it changes next; infinity: no more."""

    def paint(self, now: float) -> None:
        """Write what is on the screen at a time to the picture."""


@dataclass
class Line:
    """Bytes go through it one after the other; `stops` are times in which none does."""

    rate: float
    delay: float = 0.002  # there and back
    jitter: float = 0.0
    buffer: float = 200e3  # bytes that are taken at once, whether they go through or not
    stops: Sequence[tuple[float, float]] = ()
    seed: int = 1
    free: float = 0.0
    shown: float = 0.0
    _random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def send(self, nbytes: int, now: float) -> tuple[float, float, float]:
        """Return when a message is taken, shown, and its acknowledgement is back."""
        begin, left = max(self.free, now), nbytes / self.rate
        for start, end in self.stops:
            if end > begin and start < begin + left:
                gone = max(start - begin, 0.0)
                begin, left = end, left - gone
        self.free = begin + left
        taken = max(now, self.free - self.buffer / self.rate)
        late = self._random.uniform(0, self.jitter)
        decode = _DECODE if nbytes > 10_000 else 0.001
        self.shown = max(self.shown, self.free + self.delay / 2 + late) + decode
        return taken, self.shown, self.shown + self.delay / 2


@dataclass
class Sent:
    """A message as the viewer had it."""

    found: EncodedUpdate
    drawn: float  # when the newest that it shows was drawn
    sent: float
    shown: float

    @property
    def latency(self) -> float:
        """Seconds from the screen to the viewer."""
        return self.shown - self.drawn


@dataclass
class Viewer:
    """A session with this pace; `run` goes on to a time."""

    scene: Scene
    pace: Pace
    line: Line
    encoder: Encoder = field(default_factory=Encoder)
    now: float = 0.0
    sent: list[Sent] = field(default_factory=list)
    steps: int = 0
    captures: int = 0
    _acks: list[tuple[float, int]] = field(default_factory=list)
    _captured: float = -1.0

    def run(self, until: float) -> None:
        while self.now < until:
            self.steps += 1
            assert self.steps < _MOST_STEPS, "it never waits"
            step = self.pace.next(self.now, self.scene.picture)
            if isinstance(step, Ask):
                self._send(step)
                continue
            changes = self.scene.next_change(self._captured) if step.has_room else math.inf
            change = max(changes, self.now) + _CAPTURE
            ack = self._acks[0][0] if self._acks else math.inf
            timer = math.inf if step.until is None else step.until
            assert timer > self.now
            self.now = min(change, ack, timer, until)
            if self.now == change:
                self.captures += 1
                self._captured = change - _CAPTURE
                self.scene.paint(self._captured)
            self._acknowledge()

    def _send(self, ask: Ask) -> None:
        found = self.encoder.update(self.scene.picture, ask)
        self.now += _ENCODE if found.update.nbytes > 10_000 else 0.0005
        self._acknowledge()
        number = self.pace.sent(found, self.now)
        taken, shown, acked = self.line.send(found.update.nbytes, self.now)
        if not ask.is_probe:
            self.sent.append(Sent(found, self._captured, self.now, shown))
        self._acks.append((acked, number))
        self.now = max(self.now, taken)
        self._acknowledge()

    def _acknowledge(self) -> None:
        while self._acks and self._acks[0][0] <= self.now:
            at, number = self._acks.pop(0)
            self.pace.acked(number, max(at, 0.0))
