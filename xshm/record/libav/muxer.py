"""Muxer: packets of an Encoder into a container: a file, what is open already, a URL.

1. The header is written with the first packet; without one nothing is written.
2. Packets come in the order in which they are decoded, and their times rise.
3. Any error of the disk or the line is an OSError with the target's name; after one nothing more is written.
4. `finish` or `abort` is the last call.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

from xshm.errors import XshmError
from xshm.record.libav import codecs

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from xshm.record.libav.containers import Container
    from xshm.record.libav.encoder import Encoder

_NANOSECONDS: Final = Fraction(1, 1_000_000_000)


@dataclass(frozen=True, slots=True)
class Output:
    """Where a muxer writes: what libav opens, what messages call it, whether it can go back in what it has written."""

    url: str
    name: str
    seekable: bool


def to_descriptor(descriptor: int, name: str) -> Output:
    """Return the Output of a file, a pipe or a socket that is open; it stays the caller's and open."""
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return Output(f"/proc/self/fd/{descriptor}", name, seekable=True)
    return Output(f"pipe:{descriptor}", name, seekable=False)


def to_url(url: str) -> Output:
    """Return the Output of a URL that libav knows."""
    return Output(url, url, seekable=False)


class Muxer:
    """Writes packets of one encoder. Times are moved so that `start`, in the encoder's units, is 0."""

    def __init__(self, output: Output, container: Container, encoder: Encoder, *, start: int = 0) -> None:
        self._output, self._encoder, self._start = output, encoder, start
        self._av = codecs.libav()
        given = container.options if output.seekable else container.streamed
        with _errors_of(output.name, self._av):
            self._file = self._av.open(output.url, "w", format=container.muxer, container_options=dict(given))
            self._stream = self._file.add_stream_from_template(encoder.stream, opaque=True)
        if kind := container.tags.get(encoder.codec.kind):
            self._stream.codec_context.codec_tag = kind
        self._last: int | None = None
        self._ended = False
        self.nbytes = 0

    def write(self, packets: Iterable[Any]) -> None:
        """Write packets; each reaches the file with the next one at the latest. They are not to be used again."""
        with _errors_of(self._output.name, self._av):
            for packet in packets:
                if self._start:
                    packet.pts -= self._start
                    packet.dts -= self._start
                self._check(packet)
                self.nbytes += packet.size
                packet.stream = self._stream
                try:
                    self._file.mux_one(packet)
                except BaseException:
                    self._ended = True
                    raise

    def _check(self, packet: Any) -> None:
        if self._ended:
            raise XshmError(f"nothing more is written to {self._output.name}")
        if packet.dts is None or (self._last is not None and packet.dts <= self._last):
            raise XshmError(f"{self._encoder.codec.name} gave packets whose times don't rise: {packet.dts}")
        self._last = packet.dts

    def finish(self, chapters: Sequence[tuple[int, int, str]] = ()) -> None:
        """Complete the container, with chapters of (start, end, title) in ns."""
        if self._last is not None and not self._ended:
            self._file.set_chapters(
                [
                    {"id": number, "start": start, "end": end, "time_base": _NANOSECONDS, "metadata": {"title": title}}
                    for number, (start, end, title) in enumerate(chapters)
                ]
            )
        with _errors_of(self._output.name, self._av):
            self._close()

    def abort(self) -> None:
        """Release everything; what is written stays. Raises nothing."""
        with suppress(Exception):
            self._close()

    def _close(self) -> None:
        self._ended = True
        try:
            self._file.close()
        except BaseException:
            # libav's trailer failed, and is not tried again.
            with suppress(Exception):
                self._file.close()
            raise


class _errors_of:  # noqa: N801 - used as a function
    """Raise libav's errors as OSError with the target's name, where the kernel has a number for it, else XshmError."""

    def __init__(self, name: str, av: Any) -> None:
        self._name, self._error = name, av.FFmpegError

    def __enter__(self) -> None:
        pass

    def __exit__(self, _type: object, error: BaseException | None, _trace: object) -> None:
        if not isinstance(error, self._error):
            return
        if isinstance(error, OSError):
            raise OSError(error.errno, error.strerror, self._name) from None
        raise XshmError(f"{self._name}: {getattr(error, 'strerror', None) or error}") from None


def kept(packet: Any) -> Any:
    """Return a packet over the same bytes which can be written, and is used up by it, while this one is kept."""
    copy = codecs.libav().Packet(packet)
    copy.pts, copy.dts, copy.duration, copy.time_base = packet.pts, packet.dts, packet.duration, packet.time_base
    copy.is_keyframe = packet.is_keyframe
    return copy
