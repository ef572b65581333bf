"""Pace: what a viewer is to be sent next, and when: nothing, the newest state, or exact pixels over lossy ones.

Of one viewer and one channel, without I/O: it reads no clock and no socket. Times are seconds of any clock that never
goes back. What a session does, in one task:

    while True:
        step = pace.next(now(), channel.picture)
        if isinstance(step, Ask):
            found = await in_the_pool(encoder.update, channel.picture, step)
            number = pace.sent(found, now())
            await socket.send(pack_update(channel.number, number, found.update))
        else:
            if step.has_room:
                watch.want()                        # only then anything is to be done after a change
            await one_of(a_change if step.has_room, an_acknowledgement, step.until)

and `pace.acked(number, now())` for each acknowledgement, `pace.begin_again()` after "broken".

Always true:

1. At most two messages are unacknowledged (up to four where the line's delay is long), and another one is made only
   when those before it are expected to be through the line. So a viewer that stops is sent two at most, and asks for
   nothing after that, neither a timer nor a capture; and what is sent is newer than a message takes.
2. The rate is that of acknowledgements: bytes a second of the time in which the line was busy, so buffers of the kernel
   do not hide it; a picture's decoding counts as the line's. The delay is that of the fastest small message: to have
   one, an Update without parts goes before the first large one, and each five seconds before another.
3. A message is to take 70 ms. Its level is the best one of which that is expected, by the area and by how many bytes
   the pixels of this screen took so far; it is better than the last one only with a margin of 30 %, so that levels do
   not alternate.
4. Each lossy rectangle is sent exactly when 150 ms have gone by since it changed, whatever changes elsewhere. While
   nothing changes strips of it are all that is sent; else a few go with the changes.
5. What is kept is bounded: messages under way, eight rates, sixteen delays, 32 rectangles.
"""

from __future__ import annotations

import functools
import math
from collections import deque
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from xshm.errors import InvalidArgument
from xshm.geometry import Rect, subtract
from xshm.live.encoding import LOSSLESS, SMALL, Ask, EncodedUpdate, Level
from xshm.live.messages import Codec

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from xshm.live.picture import Picture

Mode = Literal["auto", "exact", "video"]

# Best first. At 2 and below halves of text are still read; a quarter is for what moves.
LADDER: Final = tuple(
    Level(quality, scale)
    for scale, qualities in ((1, (80, 65, 50, 35)), (2, (70, 50, 35)), (4, (60, 40, 25)))
    for quality in qualities
)
# JPEG bytes of a pixel: those of terminal, page and photograph are within a third of it, soft noise is at half of it.
# `_Content` learns the rest.
_BYTES_A_PIXEL: Final = {80: 0.17, 70: 0.146, 65: 0.135, 60: 0.125, 50: 0.112, 40: 0.1, 35: 0.092, 25: 0.078}
_BY_SCALE: Final = 1.6  # a pixel of a picture of half the size takes 4 / 2 ** 1.6 of the bytes

_TARGET: Final = 0.07  # seconds that a message may take on the line
_CALM: Final = 0.15  # seconds without a change, after which a rectangle is sent exactly
_LOOKED: Final = 0.03  # seconds that a change is looked for, before exact pixels are sent: two captures
_REFINING: Final = 0.05  # seconds that a message of exact pixels may take: the next change waits for it
_BESIDE: Final = 0.02  # seconds that they may take in a message of changes
_BESIDE_EACH: Final = 0.15  # seconds between two such messages
_OVERDUE: Final = 0.5  # seconds, from which on there are such
_STRIP: Final = SMALL  # pixels
_LEAST_STRIP: Final = 1 << 12
_STRIPS: Final = 8  # in a message
_LEAST_EXACT, _MOST_EXACT = 1 << 12, 1 << 20  # bytes of an `Ask.exact`
_MARGIN: Final = 0.7  # of what a message may take, for a better level than the last one
_RECTS, _FEWER_RECTS = 32, 12
_COARSEST: Final = 16  # tile

_ENOUGH: Final = 1 << 12  # pixels that say how many bytes one takes
_FOLLOWED: Final = 0.25  # of how much less they take now
_LEAST_BYTES: Final = 0.1
_FACTORS: Final = (0.1, 8.0)

_LEAD: Final = 0.008  # seconds that the next message is made before the line is free: a capture, its encoding
_LATE: Final = 0.1  # seconds after which a message is late, and no other is sent after it
_MOST: Final = 2  # messages under way
_LONG, _MORE = 0.05, 2  # one more for so many seconds of delay, up to so many
_FIRST_RATE: Final = 4e6  # bytes a second, before there is a first one
_LEAST_RATE: Final = 2e3
_ENOUGH_BYTES: Final = 1 << 12  # of a message that shows the rate
_TINY: Final = 1 << 11  # bytes of one that shows the delay
_PROBE_EACH: Final = 5.0  # seconds
_RATES, _BUSY = 8, 0.25  # messages that the rate is of, and seconds that are enough
_SHORTEST, _LONGEST = 0.001, 1.0  # seconds of a message: the line stood still in one that took longer
_NOISE: Final = 0.02  # seconds in which a slow message says nothing
_DELAYS: Final = 16


class Pause(NamedTuple):
    """Nothing is to be sent; ask again at `until`, after an acknowledgement, and after a change if `has_room`."""

    has_room: bool  # a change would be sent, so one is wanted
    until: float | None  # None: not by time


class Pace:
    """The pace of one viewer of one channel. `mode` and `width` (device pixels, None: all) can be set at any time."""

    def __init__(self, mode: Mode = "auto", width: int | None = None) -> None:
        self.mode: Mode = mode
        self.width = width
        self.generation = 0  # that the viewer has, once all that was sent is there
        self.level = LADDER[0]  # of the last large change
        self._line = _Line()
        self._content = _Content()
        self._picture: Picture | None = None
        self._tile = 1
        self._exact = _MOST_EXACT
        self._lossy: list[_Lossy] = []
        self._refined_at = -math.inf  # beside changes
        self._is_refining = False  # the last message was of exact pixels alone
        self._open_at: float | None = None  # since when every change would have been seen

    @property
    def rate(self) -> float:
        """Bytes a second that the line takes, as far as is known."""
        return self._line.rate

    @property
    def is_exact(self) -> bool:
        """Whether all that the viewer has been sent is exact, or as good as its tile gets."""
        return not self._lossy

    def has_room(self, now: float) -> bool:
        """Return whether a message that is made now would find the line free."""
        return self._line.free_at(now) <= now

    def begin_again(self) -> None:
        """Have all sent anew: the viewer has nothing, or can't use what it has."""
        self.generation = 0
        self._lossy.clear()

    def next(self, now: float, picture: Picture | None) -> Ask | Pause:
        """Return what is to be encoded and sent, or until when nothing is; `picture` is the channel's."""
        if picture is None:
            return Pause(True, None)
        if picture is not self._picture:
            self._picture = picture
            self.begin_again()
        self._choose_tile(picture)
        free_at = self._line.free_at(now)
        if free_at > now:
            # While exact pixels are under way changes are looked for all the time, so that none has to wait for more.
            is_open = self._open_at is not None and self._is_refining and free_at < math.inf
            self._open_at = self._open_at if is_open else None
            return Pause(is_open, free_at if free_at < math.inf else None)
        if picture.generation != self.generation:
            self._open_at, self._is_refining = None, False
            return self._changes(now, picture.delta(self.generation)[1])
        if self._open_at is None:
            self._open_at = now
        due = max(min((each.at for each in self._lossy), default=math.inf) + _CALM, self._open_at + _LOOKED)
        if due > now:
            return Pause(True, due if due < math.inf else None)
        self._is_refining = True
        level = self._level(0)
        return Ask(self.generation, level, self._exact, self._tile, self._strips(now, _CALM, _REFINING))

    def sent(self, found: EncodedUpdate, now: float) -> int:
        """Note that this goes to the viewer now; return the number that its acknowledgement has."""
        update = found.update
        if found.ask.since == self.generation:  # else all was to be sent anew while it was encoded
            self.generation = found.generation
        left = _without(self._lossy, (*found.exact, *found.lossy))
        left += (_Lossy(rect, now) for rect in found.lossy)
        if len(left) > _RECTS:
            left = _fewer(left)
        self._lossy = left
        self._content.learn(found)
        return self._line.sent(update.nbytes, now, is_probe=found.ask.is_probe)

    def acked(self, number: int, now: float) -> None:
        """Note an acknowledgement, which is one of all messages before it, too.

        Raises InvalidArgument for a number that was never sent.
        """
        self._line.acked(number, now)

    # -- what to ask for -----------------------------------------------------------------------------------------------

    def _choose_tile(self, picture: Picture) -> None:
        width = self.width if self.mode != "exact" else None
        tile = min(max(picture.size[0] // max(width, 1), 1), _COARSEST) if width is not None else 1
        if tile < self._tile:  # it has become larger
            self.begin_again()
        self._tile = tile

    def _changes(self, now: float, changed: Sequence[Rect]) -> Ask | Pause:
        pixels = sum(map(_area, changed)) // self._tile**2
        if pixels > SMALL and self._line.wants_a_probe(now, knows_enough=self.level is LADDER[0]):
            # It shows the delay only where nothing else is under way.
            return Ask(self.generation, is_probe=True) if self._line.is_empty else Pause(False, None)
        beside: tuple[Rect, ...] = ()
        if self._refined_at + _BESIDE_EACH <= now:
            beside = self._strips(now, _CALM + _OVERDUE, _BESIDE, changed)
            self._refined_at = now if beside else self._refined_at
        level = self._level(pixels)
        return Ask(self.generation, level, self._exact, self._tile, beside, is_large=pixels > SMALL)

    def _level(self, pixels: int) -> Level:
        """Return the level of a change, and settle how much PNG may take."""
        budget = self._line.rate * _TARGET
        if not self._exact <= budget <= 3 * self._exact:
            # In steps of two, so that viewers with about the same rate share what is encoded.
            step = 2.0 ** math.floor(math.log2(budget))
            self._exact = int(min(max(step, _LEAST_EXACT), _MOST_EXACT))
        if self.mode == "exact":
            return LOSSLESS
        last = LADDER.index(self.level) if pixels > SMALL else len(LADDER)
        found = LADDER[-1]
        for at, level in enumerate(LADDER):
            if self._content.expected(pixels, level, self._tile) <= budget * (_MARGIN if at < last else 1):
                found = level
                break
        if pixels > SMALL:
            self.level = found
        return found

    def _strips(self, now: float, calm: float, seconds: float, changed: Sequence[Rect] = ()) -> tuple[Rect, ...]:
        """Return strips of what is lossy and has not changed for a while, of bytes that the line takes in `seconds`."""
        most = max(self._line.rate * seconds / self._content.exact_bytes, 1)  # pixels
        size = min(max(1 << int(math.log2(most)), _LEAST_STRIP), _STRIP) * self._tile**2
        found: list[Rect] = []
        for rect in _without([each for each in self._lossy if each.at + calm <= now], changed):
            for strip in _cut(rect.rect, max(size // rect.rect.width, 1)):
                found.append(strip)
                if len(found) == _STRIPS or sum(map(_area, found)) >= most * self._tile**2:
                    return tuple(found)
        return tuple(found)


class _Lossy(NamedTuple):
    rect: Rect
    at: float  # when it was sent so


def _without(lossy: Sequence[_Lossy], holes: Sequence[Rect]) -> list[_Lossy]:
    return [_Lossy(part, at) for rect, at in lossy for part in subtract([rect], *holes)]


def _fewer(lossy: Sequence[_Lossy]) -> list[_Lossy]:
    """Return few rectangles around all of them, each with the time of its newest; neighbours are joined."""
    ordered = sorted(lossy, key=lambda each: (each.rect.y, each.rect.x))
    size = -(-len(ordered) // _FEWER_RECTS)
    groups = [ordered[at : at + size] for at in range(0, len(ordered), size)]
    return [
        _Lossy(functools.reduce(Rect.union, [each.rect for each in group]), max(each.at for each in group))
        for group in groups
    ]


def _cut(rect: Rect, rows: int) -> Iterator[Rect]:
    """Yield strips of a rectangle, from multiples of `rows` on: viewers that have begun elsewhere ask for the same."""
    top = rect.y
    while top < rect.bottom:
        bottom = min((top // rows + 1) * rows, rect.bottom)
        yield Rect(rect.x, top, rect.width, bottom - top)
        top = bottom


def _area(rect: Rect) -> int:
    return rect.width * rect.height


class _Content:
    """How many bytes the pixels of this screen take, learned from what was encoded of it."""

    def __init__(self) -> None:
        self.exact_bytes = 1.0  # of a pixel as PNG: more than text, less than a photograph
        self._factor = 1.0  # of `_BYTES_A_PIXEL`

    def expected(self, pixels: int, level: Level, tile: int) -> float:
        """Return the JPEG bytes of so many pixels, after scaling by `tile`."""
        scale = max(level.scale, tile) / tile
        return float(self._factor * pixels * _BYTES_A_PIXEL[level.quality] / scale**_BY_SCALE)

    def learn(self, found: EncodedUpdate) -> None:
        """Learn from what was sent."""
        ask = found.ask
        for codec, mean in ((Codec.PNG, self._learn_exact), (Codec.JPEG, self._learn_lossy)):
            parts = [part for part in found.update.parts if part.codec is codec]
            pixels = sum(_area(part.rect) for part in parts) // ask.tile**2
            if pixels >= _ENOUGH:
                mean(sum(len(part.data) for part in parts), pixels, ask)

    def _learn_exact(self, nbytes: int, pixels: int, _: Ask) -> None:
        self.exact_bytes += (max(nbytes / pixels, _LEAST_BYTES) - self.exact_bytes) * _FOLLOWED

    def _learn_lossy(self, nbytes: int, pixels: int, ask: Ask) -> None:
        if ask.level.quality:
            factor = self._factor * nbytes / self.expected(pixels, ask.level, ask.tile)
            # Up at once, since a message that is too large delays all after it.
            share = 1 if factor > self._factor else _FOLLOWED
            self._factor += (min(max(factor, _FACTORS[0]), _FACTORS[1]) - self._factor) * share


class _Sent(NamedTuple):
    number: int
    nbytes: int
    at: float
    through: float  # when it is expected to be through the line
    is_probe: bool
    is_alone: bool  # nothing else was under way


class _Line:
    """What acknowledgements say about the line to a viewer: its rate, its delay, and when it is free again."""

    def __init__(self) -> None:
        self.rate = _FIRST_RATE
        self._delay = 0.0
        self._number = 0
        self._under_way: deque[_Sent] = deque()
        self._through = -math.inf  # when all that is under way is expected to be through
        self._acked_at = -math.inf
        self._probed_at = -math.inf  # when the delay was seen last
        self._rates: deque[tuple[int, float]] = deque()  # bytes and seconds
        self._delays: deque[float] = deque(maxlen=_DELAYS)

    @property
    def is_empty(self) -> bool:
        """Whether all was acknowledged."""
        return not self._under_way

    def wants_a_probe(self, now: float, *, knows_enough: bool) -> bool:
        """Return whether the delay was not seen for a while, or never."""
        is_old = self._probed_at + _PROBE_EACH <= now and not (knows_enough and self._delays)
        return is_old and not any(each.is_probe for each in self._under_way)

    def free_at(self, now: float) -> float:
        """Return when another message may be made; infinity: after an acknowledgement."""
        waiting = [each for each in self._under_way if not each.is_probe]
        if not waiting:
            return now
        late = waiting[0].through + self._delay + _LATE <= now
        most = _MOST + min(int(self._delay / _LONG), _MORE) if self._rates else 1
        if late or len(waiting) >= most:
            return math.inf
        return max(self._through - _LEAD, now)

    def sent(self, nbytes: int, now: float, *, is_probe: bool) -> int:
        """Note a message, and return its number."""
        self._number += 1
        self._through = max(self._through, now) + nbytes / self.rate
        self._under_way.append(_Sent(self._number, nbytes, now, self._through, is_probe, self.is_empty))
        return self._number

    def acked(self, number: int, now: float) -> None:
        """Note an acknowledgement."""
        if not 0 < number <= self._number:
            raise InvalidArgument(f"message {number} was never sent; the last one was {self._number}")
        done: list[_Sent] = []
        while self._under_way and self._under_way[0].number <= number:
            done.append(self._under_way.popleft())
        if not done:  # acknowledged before
            return
        took = now - done[0].at
        nbytes = sum(each.nbytes for each in done)
        if done[0].is_alone and (nbytes <= _TINY or took < self._delay):
            self._delays.append(took)
            self._delay = min(self._delays)
            self._probed_at = now
        # It began to go through the line when it was sent, or when the one before was through.
        self._learn_rate(nbytes, min(took - self._delay, now - self._acked_at))
        self._acked_at = now
        # What is left has been going through the line since this was through it.
        self._through = now - self._delay + sum(each.nbytes for each in self._under_way) / self.rate

    def _learn_rate(self, nbytes: int, busy: float) -> None:
        busy = min(max(busy, _SHORTEST), _LONGEST)
        if nbytes < _ENOUGH_BYTES or (busy < _NOISE and nbytes / busy < self.rate):
            return
        rates = self._rates
        rates.append((nbytes, busy))
        while len(rates) > _RATES or sum(each for _, each in rates) - rates[0][1] >= _BUSY:
            rates.popleft()
        self.rate = max(sum(each for each, _ in rates) / sum(each for _, each in rates), _LEAST_RATE)
