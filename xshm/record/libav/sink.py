"""LibavSink: a recording written by libav: encoded, put into a container, to a file or a URL."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from xshm.record.libav import codecs, containers
from xshm.record.libav.encoder import Encoder
from xshm.record.libav.muxer import Muxer, Output, to_url

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xshm.geometry import Rect
    from xshm.record.pictures.picture import Layout, Picture
    from xshm.record.sinks.settings import Settings

_SECOND: Final = 1_000_000_000


class LibavSink:
    """A Sink, whose rules are its own. `target` is a path or a URL."""

    def __init__(self, target: str, size: tuple[int, int], settings: Settings) -> None:
        self._container = containers.named(target, settings.format)
        codec, note = codecs.find(settings.codec or self._container.codec, settings.quality)
        containers.check(self._container, codec, settings.quality)
        self._notes = [note] if note else []
        self.layout: Layout = codec.layouts[settings.quality]
        self.size = self._padded(size)
        url = "://" in target
        self._encoder = Encoder(codec, self.size, settings, joined=url)
        self._settings = settings
        self._target = target
        self._output = to_url(target) if url else Output(os.path.realpath(target), target, seekable=True)
        self._muxer: Muxer | None = None
        self._last: Picture | None = None
        self._last_at = 0
        self._marks: list[tuple[int, str]] = []

    def _padded(self, size: tuple[int, int]) -> tuple[int, int]:
        width, height = size
        if self.layout != "yuv420p" or not (width % 2 or height % 2):
            return size
        self._notes.append(f"{width}x{height} is padded by an edge repeated, since 4:2:0 has even sizes")
        return width + width % 2, height + height % 2

    @property
    def how(self) -> str:
        """What was chosen and why."""
        codec = self._encoder.codec
        colour = {"yuv444p": "4:4:4", "yuv420p": "4:2:0"}.get(self.layout, "RGB")
        return "; ".join((f"{codec.title} ({codec.name}), {colour}, in {self._container.names[0]}", *self._notes))

    @property
    def nbytes(self) -> int:
        """How many bytes were written so far."""
        return self._muxer.nbytes if self._muxer else 0

    def new_picture(self) -> Picture:
        """Return a black picture that `write` reads without a copy."""
        return self._encoder.new_picture()

    def write(self, picture: Picture, at: int, changed: Sequence[Rect]) -> None:
        """Append a picture that is shown from `at`."""
        packets = self._encoder.encode(picture, at, changed)
        self._last, self._last_at = picture, at
        if self._muxer is None:
            self._muxer = Muxer(self._output, self._container, self._encoder)
        self._muxer.write(packets)

    def mark(self, at: int, title: str) -> None:
        """Begin a chapter."""
        self._marks.append((at, title))

    def finish(self, end: int) -> None:
        """Complete the file."""
        if self._muxer is None:
            return
        period = round(self._encoder.period * _SECOND)
        try:
            if self._last and not self._settings.constant and end - self._last_at > 1.5 * period:
                self.write(self._last, end - period, ())
        finally:
            packets = self._encoder.finish()
        self._muxer.write(packets)
        self._muxer.finish(self._chapters(end))

    def abort(self) -> None:
        """Give up what is not written yet."""
        if self._muxer:
            self._muxer.abort()

    def _chapters(self, end: int) -> list[tuple[int, int, str]]:
        ends = [at for at, _ in self._marks[1:]] + [end]
        return [(at, until, title) for (at, title), until in zip(self._marks, ends, strict=True)]
