"""PacketSink: the last seconds of a recording as packets in memory, bounded by time and bytes, to be saved at any time.

1. Packets are kept in groups, each from a key frame on, since nothing plays without its own. Whole groups are evicted,
   the oldest first: so what is kept begins up to the length of one group before the time that is asked for.
2. A group that alone takes a quarter of the bytes is ended by a key frame, so that there is something to evict. Where
   key frames are so large that few fit, it goes on until the others are as large as its own, or it takes three
   quarters: else each picture would be a key frame, and a moment all that is kept. At least one picture stays.
3. Each picture gives its packet at once. An encoder that holds pictures back, as some options have it, is refused: what
   is saved would end before the moment that it is saved for.
4. `save` writes copies of what is kept at that moment, and may be called by any thread; packets that are kept are never
   changed.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from xshm.errors import InvalidArgument, RecordingFailed
from xshm.record.codecs import table
from xshm.record.libav import containers
from xshm.record.libav.encoder import Encoder
from xshm.record.libav.muxer import Muxer, chapters, kept
from xshm.record.libav.outputs import to_output
from xshm.record.sinks.sink import KEEP_ALIVE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xshm.geometry import Rect
    from xshm.record.libav.containers import Container
    from xshm.record.pictures.picture import Layout, Picture
    from xshm.record.sinks.settings import Settings
    from xshm.record.sinks.timed_writer import TimedWriter
    from xshm.system.replacement import Replacement

_SECOND: Final = 1_000_000_000
_CLOSING: Final = 1.5  # periods that the last picture may be old at the end without being written again
_GROUPS: Final = 4  # at least, that the bytes are divided into, where key frames are small
_LARGEST: Final = 3 / 4  # of the bytes, for one group


@dataclass(slots=True)
class _Group:
    """Packets from a key frame on; `start` is its time in ns."""

    start: int
    packets: list[Any] = field(default_factory=list)
    nbytes: int = 0

    def is_full(self, max_bytes: int) -> bool:
        """Return whether a key frame is to end it."""
        key_frame: int = self.packets[0].size
        return self.nbytes >= max(max_bytes / _GROUPS, min(2 * key_frame, max_bytes * _LARGEST))

    def copy(self) -> _Group:
        """Return a group of the packets of now."""
        return _Group(self.start, list(self.packets), self.nbytes)


class PacketSink:
    """A Sink that keeps the last `seconds`, and at most `max_bytes`, in memory."""

    keep_alive = KEEP_ALIVE

    def __init__(self, size: tuple[int, int], settings: Settings, seconds: float, max_bytes: int | None) -> None:
        usual = containers.named(settings.format or "mp4").codec
        codec, note = table.find(usual if settings.codec is None else settings.codec, settings.quality)
        self._note = note
        self.layout: Layout = codec.layouts[settings.quality]
        width, height = size
        self.size = (width + width % 2, height + height % 2) if self.layout == "yuv420p" else size
        self._encoder = Encoder(codec, self.size, settings, joined=True)
        if settings.options or settings.codec is not None:
            _check_prompt(Encoder(codec, self.size, settings, joined=True))
        self._seconds = seconds
        self._max_bytes = max_bytes
        self._lock = threading.Lock()  # guards the groups and marks
        self._groups: deque[_Group] = deque()
        self._marks: deque[tuple[int, str]] = deque()
        self._last: Picture | None = None
        self._end = 0  # the time of the last picture, or of the end
        self.nbytes = 0

    @property
    def how(self) -> str:
        """What was chosen and why, in words."""
        codec = self._encoder.codec
        bound = "" if self._max_bytes is None else f", at most {self._max_bytes:,} bytes"
        words = f"{codec.title} ({codec.name}), {self._encoder.colour}, the last {self._seconds:g} s in memory{bound}"
        return f"{words}; {self._note}" if self._note else words

    def new_picture(self) -> Picture:
        """Return a black picture that `write` reads without a copy."""
        return self._encoder.new_picture()

    def write(self, picture: Picture, at: int, changed: Sequence[Rect]) -> None:
        """Encode a picture, and evict what is too old or too much."""
        most = self._max_bytes
        if most is not None and self._groups and self._groups[-1].is_full(most):
            self._encoder.request_key()
        packets = self._encoder.encode(picture, at, changed)
        self._last = picture
        with self._lock:
            self._keep(packets, at)

    def mark(self, at: int, title: str) -> None:
        """Begin a chapter."""
        with self._lock:
            self._marks.append((at, title))

    def finish(self, end: int) -> None:
        """Keep what the encoder still held; it can be saved afterwards."""
        period = round(self._encoder.period * _SECOND)
        if self._last is not None and end - self._end > _CLOSING * period:
            # So that it is shown until the end; no nearer than two of the rate.
            self.write(self._last, max(end - period, self._end + period), ())
        packets = self._encoder.finish()
        with self._lock:
            self._keep(packets, end)

    def abort(self) -> None:
        """Do nothing: what is kept stays."""

    def container(self, name: str) -> Container:
        """Return the container of that name, or raise InvalidArgument with those that take what is kept."""
        codec = self._encoder.codec
        found = containers.find(name)
        if found is not None and (not found.kinds or codec.kind in found.kinds):
            return found
        how = self._advice(name) if found else f"{name} is written while it is recorded, to a target"
        fitting = ", ".join(f".{each}" for each in containers.fitting(codec))
        raise InvalidArgument(
            f"this ring keeps {codec.title} ({codec.name}), which is saved as {fitting}, not as .{name}; {how}"
        )

    def _advice(self, name: str) -> str:
        """Return how a ring is recorded that can be saved as a container: by the codec that is usual there."""
        settings = self._encoder.settings
        chosen = [] if settings.codec is None else [f"codec={settings.codec!r}"]
        if settings.options:
            chosen.append("its options")
        return f"record it with format={name!r}" + (f" and without {' and '.join(chosen)}" if chosen else "")

    def save(self, target: Replacement | TimedWriter, container: Container) -> tuple[int, float]:
        """Write what is kept, as one file of that container, and close the target; after an error it is as it was.

        Return its frames and seconds. Raises RecordingFailed where nothing is kept.
        """
        with self._lock:
            groups = [*map(_Group.copy, self._groups)]  # no loop in here: an interrupt would leave the lock taken
            marks, end = list(self._marks), self._end
        start = groups[0].start if groups else 0
        packets = [kept(packet) for group in groups for packet in group.packets]
        if not packets:
            raise RecordingFailed("nothing is recorded yet that could be saved")
        output = to_output(target)
        muxer: Muxer | None = None
        try:
            muxer = Muxer(output, container, self._encoder, start=packets[0].pts)
            muxer.write(packets[:-1])
            muxer.write_last(packets[-1:])
            muxer.finish(chapters(marks, end, start))
            output.commit()
            output.close()
            return len(packets), (end - start) / _SECOND
        except BaseException:
            if muxer is not None:
                muxer.abort()
            output.discard()
            raise

    def _keep(self, packets: list[Any], at: int) -> None:
        for packet in packets:
            if packet.is_keyframe or not self._groups:
                self._groups.append(_Group(round(packet.pts * self._encoder.time_base * _SECOND)))
            group = self._groups[-1]
            group.packets.append(packet)
            group.nbytes += packet.size
            self.nbytes += packet.size
        self._end = at
        while len(self._groups) > 1 and self._is_evicted():
            self.nbytes -= self._groups.popleft().nbytes
        while len(self._marks) > 1 and self._marks[1][0] <= self._groups[0].start:
            self._marks.popleft()  # the last one before the start is the chapter that is kept the end of

    def _is_evicted(self) -> bool:
        """Return whether the oldest group is needed no more: the next is old enough, or there are too many bytes."""
        if self._max_bytes is not None and self.nbytes > self._max_bytes:
            return True
        return self._groups[1].start <= self._end - self._seconds * _SECOND


def _check_prompt(encoder: Encoder) -> None:
    """Raise InvalidArgument for an encoder, a spare one, that holds pictures back."""
    packets = encoder.encode(encoder.new_picture(), 0, ())
    encoder.finish()  # libsvtav1 complains of one that was not
    if not packets:
        chosen = ", ".join(encoder.settings.options) or "codec"
        raise InvalidArgument(
            f"a ring is saved up to the moment, and {encoder.codec.name} with these options ({chosen}) holds pictures "
            "back; leave out those of B-frames and look-ahead: tune, bf, lag-in-frames"
        )
