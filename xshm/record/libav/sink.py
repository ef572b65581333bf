"""LibavSink: a recording written by libav: encoded, put into a container, to a file, a pipe or a URL."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from xshm.record.codecs import table
from xshm.record.libav import containers
from xshm.record.libav.encoder import Encoder
from xshm.record.libav.muxer import Muxer, chapters, check
from xshm.record.libav.outputs import to_output

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xshm.geometry import Rect
    from xshm.record.libav.outputs import Output
    from xshm.record.pictures.picture import Layout, Picture
    from xshm.record.sinks.settings import Settings
    from xshm.record.sinks.timed_writer import TimedWriter
    from xshm.system.replacement import Replacement

_SECOND: Final = 1_000_000_000
_CLOSING: Final = 1.5  # periods that the last picture may be old at the end without being written again


class LibavSink:
    """A Sink, whose rules are its own. The file gets its name once a picture in it can be played.

    Where abort and a write meet: `_using` is held by whoever is inside libav. An abort that finds it held ends the
    write's waiting, and the write's own thread releases everything.

    The picture written last is encoded once more by `finish`: whoever writes does not paint it over before, as it does
    not where it may have to be written again.
    """

    def __init__(self, target: Replacement | TimedWriter | str, size: tuple[int, int], settings: Settings) -> None:
        """Check everything, and open the codec. `target` is what is open already, or a URL, which is connected to.

        `settings.format` names the container.
        """
        self._container = containers.named(settings.format)
        codec, note = table.find(self._container.codec if settings.codec is None else settings.codec, settings.quality)
        containers.check(self._container, codec, settings.quality)
        self._notes = [note] if note else []
        self.layout: Layout = codec.layouts[settings.quality]
        self.size = self._padded(size)
        self._settings = settings
        self._encoder = Encoder(
            codec,
            self.size,
            settings,
            joined=isinstance(target, str),
            in_band=self._container.muxer == "mpegts",
        )
        check(self._container, self._encoder)
        self._target = target
        # A URL is connected to now. A file is asked for when there is a picture, since that may empty the old one.
        self._output: Output | None = to_output(target) if isinstance(target, str) else None
        self._muxer: Muxer | None = None
        self._committed = False
        self._last: Picture | None = None
        self._last_at = 0
        self._marks: list[tuple[int, str]] = []
        self._using = threading.Lock()
        self._aborted = False

    def _padded(self, size: tuple[int, int]) -> tuple[int, int]:
        width, height = size
        if self.layout != "yuv420p" or not (width % 2 or height % 2):
            return size
        self._notes.append(f"{width}x{height} is padded by its last column or row once more: 4:2:0 needs even sizes")
        return width + width % 2, height + height % 2

    @property
    def how(self) -> str:
        """What was chosen and why."""
        codec = self._encoder.codec
        notes = list(self._notes)
        if not self._container.chapters:
            notes.append(f".{self._container.name} has no chapters")
        return "; ".join((f"{codec.title} ({codec.name}), {self._encoder.colour}, in {self._container.name}", *notes))

    @property
    def nbytes(self) -> int:
        """How many bytes were written so far."""
        return self._output.nbytes() if self._output else 0

    @property
    def keep_alive(self) -> int:
        """After how many ns the last picture is written again where nothing changes."""
        return self._container.keep_alive

    def new_picture(self) -> Picture:
        """Return a black picture that `write` reads without a copy."""
        return self._encoder.new_picture()

    def write(self, picture: Picture, at: int, changed: Sequence[Rect]) -> None:
        """Append a picture that is shown from `at`."""
        try:
            with self._using:
                self._write(picture, at, changed)
        finally:
            self._after()

    def _write(self, picture: Picture, at: int, changed: Sequence[Rect]) -> None:
        packets = self._encoder.encode(picture, at, changed)
        self._last, self._last_at = picture, at
        if packets:
            self._opened().write(packets)
            self._name_when_playable()

    def _opened(self) -> Muxer:
        if self._muxer is None:
            self._output = self._output or to_output(self._target)
            self._muxer = Muxer(self._output, self._container, self._encoder)
        return self._muxer

    def _name_when_playable(self) -> None:
        """Give the file its name once it holds more than its header: fragments and clusters come whole."""
        if self._muxer and self._output and not self._committed and self._output.nbytes() > self._muxer.header:
            self._output.commit()
            self._committed = True

    def mark(self, at: int, title: str) -> None:
        """Begin a chapter."""
        self._marks.append((at, title))

    def finish(self, end: int) -> None:
        """Complete the file. Without a picture there is none, and an old one stays."""
        with self._using:
            try:
                self._conclude(end)
            except BaseException:
                self._release()
                raise

    def _conclude(self, end: int) -> None:
        period = round(self._encoder.period * _SECOND)
        if self._last and not self._settings.constant and end - self._last_at > _CLOSING * period:
            self._write(self._last, max(end - period, self._last_at + period), ())  # no nearer than two of the rate
        packets = self._encoder.finish()
        if packets or self._muxer:
            muxer = self._opened()
            muxer.write_last(packets)
            muxer.finish(chapters(self._marks, end))
        if self._output is None:
            self._discard()
            return
        if self._muxer:
            self._output.commit()
        self._output.close()

    def abort(self) -> None:
        """Give up what is not written yet, and end a write that waits."""
        self._aborted = True
        if self._output:
            self._output.abort()
        self._after()

    def _after(self) -> None:
        """Release everything after an abort, in the thread that comes last."""
        if self._aborted and self._using.acquire(blocking=False):
            try:
                self._release()
            finally:
                self._using.release()

    def _release(self) -> None:
        """Complete the file as far as it is written, and close it; raise nothing."""
        with suppress(Exception):
            self._encoder.finish()
        if self._muxer and self._output and self._muxer.abort():
            with suppress(Exception):
                self._output.commit()
        self._discard()

    def _discard(self) -> None:
        """Close what is written to; a file without its name goes."""
        with suppress(Exception):
            if self._output:
                self._output.discard()
            elif not isinstance(self._target, str):
                self._target.discard()
