"""RfbCanvas: what of the screen a client has, and what it is sent next; SharedUpdates: encoded once for all of them.

Always true:

1. `_generation` of `_picture` is what the client has, but for the rectangles in `_unsent`, which it has not, and those
   in `_lossy`, of which it has something near. Another picture (another size) begins at 0.
2. A client is sent something only where it has asked: `ask` allows one update. The newest state is sent then; what was
   between is never sent.
3. What is lossy is sent again, exactly, a few strips at a time, `_CALM` seconds after it was sent.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from xshm.geometry import Rect, merged, subtract
from xshm.live.rfb.codecs import strips
from xshm.live.rfb.encoding import LOSSLESS, Pixels, encode_pixels, picture_of_words

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from xshm.live.rfb.encoding import Style
    from xshm.live.rfb.viewed import ViewedPicture
    from xshm.pixels.raster import Raster

_CALM: Final = 0.15  # seconds
_REFINED: Final = 1 << 17  # pixels at a time: 5 ms of work, and as long on a line of 20 MB/s
_MOST_KEPT: Final = 4  # updates
_LARGEST_KEPT: Final = 1 << 22  # bytes of an update
_MOST_RECTS: Final = 16  # that are kept apart
_MOST_LOSSY: Final = 512  # parts; a screen of 8K has 256 strips


class Sent(NamedTuple):
    """What an update brings a client to."""

    generation: int
    rects: tuple[Rect, ...]  # that were sent, or are to be sent later where the client did not ask for them
    pixels: Pixels


class Job(NamedTuple):
    """An update to be encoded, in a thread of the pool: all that it needs, and that makes it equal to another."""

    picture: ViewedPicture
    since: int
    newest: int
    unsent: tuple[Rect, ...]
    refined: tuple[Rect, ...]
    asked: Rect

    def encode(self, style: Style) -> Sent:
        """Copy what differs, and encode it; blocking."""
        copied = self.picture.copy(self.since, self.unsent)
        pieces = _cut(zip(copied.rects, copied.rasters, strict=True), self.asked)
        is_small = sum(rect.width * rect.height for rect, _ in pieces) <= LOSSLESS
        found = encode_pixels(pieces, style, lossless=is_small)
        generation, rects = copied.generation, tuple(copied.rects)
        if self.refined:
            # What has changed since the first copy comes along: also this is newest.
            again = self.picture.copy(generation, self.refined)
            exact = encode_pixels(_cut(zip(again.rects, again.rasters, strict=True), self.asked), style, lossless=True)
            lossy = tuple(subtract(found.lossy, *again.rects))
            found = Pixels(found.count + exact.count, found.data + exact.data, lossy)
            generation, rects = again.generation, rects + tuple(again.rects)
        return Sent(generation, rects, found)


class WordsJob(NamedTuple):
    """A picture that says why there is no other, to be made and encoded in a thread of the pool."""

    size: tuple[int, int]
    picture: ViewedPicture | None
    words: str

    def encode(self, style: Style) -> Sent:
        """Draw it, and encode it; blocking."""
        last: Raster | None = None
        if self.picture is not None and self.picture.generation:
            copied = self.picture.copy(0)
            last = copied.rasters[0] if len(copied.rasters) == 1 else None
        whole = Rect(0, 0, *self.size)
        pixels = encode_pixels([(whole, picture_of_words(self.size, last, self.words))], style, lossless=True)
        return Sent(0, (whole,), pixels)


def _cut(pieces: zip[tuple[Rect, Raster]], asked: Rect) -> list[tuple[Rect, Raster]]:
    """Return the pieces that touch what was asked for; wholly, since what is sent beside it does no harm."""
    return [(rect, raster) for rect, raster in pieces if rect.intersect(asked) is not None]


class SharedUpdates:
    """Updates that are encoded in a pool of threads, once for all clients that are sent the same; of one thread."""

    def __init__(self, pool: Executor) -> None:
        self._pool = pool
        # The jobs are kept, too: the id of a picture is only its own while that lives.
        self._kept: OrderedDict[tuple[Any, ...], tuple[Job | WordsJob, asyncio.Future[Sent]]] = OrderedDict()
        self.encoded = 0  # updates that were really encoded

    async def encode(self, job: Job | WordsJob, style: Style) -> Sent:
        """Return a job's update."""
        shared = style.shared
        if shared is None:
            return await self._start(job, style)
        key = (type(job), *(id(each) if each is job.picture else each for each in job), shared)
        kept = self._kept.get(key)
        if kept is None:
            kept = self._kept[key] = job, self._start(job, style)
            while len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)
        # Shielded: where one of the clients goes, the others still wait for it.
        sent = await asyncio.shield(kept[1])
        if len(sent.pixels.data) > _LARGEST_KEPT:
            self._kept.pop(key, None)
        return sent

    def clear(self) -> None:
        """Release what is kept, when all clients have gone."""
        self._kept.clear()

    def _start(self, job: Job | WordsJob, style: Style) -> asyncio.Future[Sent]:
        self.encoded += 1
        return asyncio.get_running_loop().run_in_executor(self._pool, job.encode, style)


class RfbCanvas:
    """What one client has; of one thread, but for the jobs."""

    def __init__(self, size: tuple[int, int]) -> None:
        self.size = size
        self._words = ""  # in the client's picture; "": it is the screen's
        self._asked: Rect | None = None
        self._picture: ViewedPicture | None = None
        self._generation = 0
        self._unsent: list[Rect] = []
        self._lossy: list[tuple[float, Rect]] = []  # since when, the longest first

    @property
    def is_asked(self) -> bool:
        """Whether the client has asked for an update that it was not sent yet."""
        return self._asked is not None

    @property
    def has_picture(self) -> bool:
        """Whether the client was sent pixels, of the screen or with words, since it has this size."""
        return bool(self._generation or self._words)

    def ask(self, rect: Rect, *, is_incremental: bool) -> None:
        """Allow one update, of what is inside of a rectangle; not incremental: the client has nothing of it."""
        inside = rect.intersect(Rect(0, 0, *self.size))
        if inside is None:
            return
        self._asked = inside if self._asked is None else self._asked.union(inside)
        if not is_incremental:
            self._unsent = list(merged([*self._unsent, inside], _MOST_RECTS))
            self._words = ""

    def resize(self, size: tuple[int, int]) -> None:
        """Note that the client has a canvas of another size from now on, with nothing on it, and asks anew."""
        self.size, self._asked = size, None
        self.forget()

    def forget(self) -> None:
        """Note that the client has nothing of what it was sent."""
        self._words = ""
        self._picture, self._generation = None, 0
        self._unsent, self._lossy = [], []

    def answered(self) -> None:
        """Note that the client was sent an update without pixels."""
        self._asked = None

    def refine_at(self) -> float | None:
        """Return when what is lossy is due (time.monotonic); None where nothing is."""
        return self._lossy[0][0] + _CALM if self._lossy else None

    def words_job(self, picture: ViewedPicture | None, words: str) -> WordsJob | None:
        """Return what shows the client some words in place of the screen; None where it shows them, or did not ask."""
        if self._asked is None or self._words == words:
            return None
        self.forget()
        self._asked, self._words = None, words
        return WordsJob(self.size, picture, words)

    def job(self, picture: ViewedPicture, now: float) -> Job | None:
        """Return what brings the client to the newest state; None where it has that, or did not ask."""
        asked, newest = self._asked, picture.generation
        if asked is None or not newest:
            return None
        if self._words or picture is not self._picture:
            self.forget()
            self._picture = picture
        unsent = [rect for rect in self._unsent if rect.intersect(asked) is not None]
        refined = self._due(asked, now)
        if newest <= self._generation and not unsent and not refined:
            return None
        self._asked = None
        self._unsent = [rect for rect in self._unsent if rect not in unsent]
        return Job(picture, self._generation, newest, tuple(unsent), tuple(refined), asked)

    def sent(self, job: Job | WordsJob, sent: Sent, now: float) -> None:
        """Note that a job's update was sent."""
        if isinstance(job, WordsJob) or job.picture is not self._picture:
            return
        self._generation = sent.generation
        covered = [rect for rect in sent.rects if rect.intersect(job.asked) is not None]
        beside = [rect for rect in sent.rects if rect not in covered]
        self._unsent = list(merged([*self._unsent, *beside], _MOST_RECTS))
        left = [(since, part) for since, rect in self._lossy for part in subtract([rect], *covered)]
        self._lossy = [*left, *((now, rect) for rect in sent.pixels.lossy)]
        if len(self._lossy) > _MOST_LOSSY:
            joined = merged([rect for _, rect in self._lossy], _MOST_RECTS)
            self._lossy = [(now, strip) for rect in joined for strip in strips(rect)]

    def _due(self, asked: Rect, now: float) -> list[Rect]:
        """Return the rectangles that are to be sent without loss, and are due: a few strips."""
        found: list[Rect] = []
        pixels = 0
        for since, rect in self._lossy:
            if since + _CALM > now or pixels >= _REFINED:
                break
            if rect.intersect(asked) is not None:
                found.append(rect)
                pixels += rect.width * rect.height
        return found
