"""Muxer: packets of an Encoder into a container.

1. The header is written with the first packet; without one nothing is written.
2. Packets come in the order in which they are decoded, and their times rise.
3. An error of the disk or the line is an OSError with the output's name; after one nothing more is written, and a file
   ends with what was whole before: no player meets half a picture.
4. `finish` or `abort` is the last call. It is one thread's at a time.
"""

from __future__ import annotations

import os
from contextlib import suppress
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

from xshm.errors import InvalidArgument, XshmError
from xshm.record.codecs.pyav import libav
from xshm.system.replacement import explained

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from xshm.record.libav.containers import Container
    from xshm.record.libav.encoder import Encoder
    from xshm.record.libav.outputs import Output

_NANOSECONDS: Final = Fraction(1, 1_000_000_000)
_LONGEST_DELAY: Final = 600  # seconds from a picture's decoding to its showing
_APART: Final = 1000  # ns; mp4 counts a chapter's time in 100 ns


class Muxer:
    """Writes packets of one encoder. Times are moved so that `start`, in the encoder's units, is 0."""

    def __init__(self, output: Output, container: Container, encoder: Encoder, *, start: int = 0) -> None:
        self._output, self._encoder, self._start = output, encoder, start
        self._av = libav()
        options = dict(container.options if output.is_seekable else container.streamed)
        with _Errors(output.name, self._av):
            self._file = self._av.open(
                output.opened(),
                "w",
                format=container.muxer,
                container_options=options,
                buffer_size=output.buffer_size,
            )
            self._stream = self._file.add_stream_from_template(encoder.stream, opaque=True)
        if tag := container.tags.get(encoder.codec.kind):
            self._stream.codec_context.codec_tag = tag
        self._by_decoding = container.muxer in ("mp4", "mov")
        self._most_delay = _LONGEST_DELAY / encoder.time_base
        self._first: int | None = None
        self._last: int | None = None
        self._shown_until = 0
        self._ended = self._failed = False
        self.packets = 0
        self._whole = 0  # bytes after the last packet that was written without an error
        self.header = 0  # bytes after the first packet: it is written with the second one

    def write(self, packets: Iterable[Any]) -> None:
        """Write packets; each reaches the file with the next one at the latest. They are not to be used again."""
        for packet in packets:
            if self._start:
                packet.pts -= self._start
                packet.dts -= self._start
            self._check(packet)
            packet.stream = self._stream
            try:
                with _Errors(self._output.name, self._av):
                    self._file.mux_one(packet)
            except BaseException:
                self._ended = self._failed = True
                raise
            self.packets += 1
            self._whole = self._output.nbytes()
            if self.packets == 1:
                self.header = self._whole

    def _check(self, packet: Any) -> None:
        if self._ended:
            raise XshmError(f"nothing more is written to {self._output.name}")
        if packet.dts is None or (self._last is not None and packet.dts <= self._last):
            raise XshmError(f"{self._encoder.codec.name} gave packets whose times don't rise: {packet.dts}")
        if not packet.pts - self._most_delay <= packet.dts <= packet.pts:  # of which libav's mp4 ends the program
            raise XshmError(
                f"{self._encoder.codec.name} gave a packet that is to be decoded at {packet.dts} and shown at "
                f"{packet.pts}, as x265 does with B-frames where there are few pictures; leave them out"
            )
        self._first = packet.dts if self._first is None else self._first
        self._last = packet.dts
        self._shown_until = max(self._shown_until, packet.pts + packet.duration)

    def write_last(self, packets: Sequence[Any]) -> None:
        """Write the last packets, the last of all with the time that is left until each picture was shown.

        Where pictures are encoded in another order than shown, it is not the one that is shown last, and mp4 counts by
        the order of decoding.
        """
        if packets and self._by_decoding:
            first = packets[0].dts if self._first is None else self._first
            until = max(packet.pts + packet.duration for packet in packets) - self._start
            packets[-1].duration = max(until, self._shown_until) - (packets[-1].dts - self._start) + min(first, 0)
        self.write(packets)

    def finish(self, chapters: Sequence[tuple[int, int, str]] = ()) -> None:
        """Complete the container, with chapters of (start, end, title) in ns; in mp4 and mov the first 255."""
        if self._last is not None and not self._ended and chapters:
            self._file.set_chapters(
                [
                    {
                        "id": number,
                        "start": start,
                        "end": end,
                        "time_base": _NANOSECONDS,
                        "metadata": {"title": _encodable(title)},
                    }
                    for number, (start, end, title) in enumerate(chapters)
                ]
            )
        with _Errors(self._output.name, self._av):
            self._close()

    def abort(self) -> bool:
        """Complete what is written, and return whether that was possible. Raises nothing."""
        with suppress(Exception):
            self._close()
            return self.packets > 0
        return False

    def _close(self) -> None:
        self._ended = True
        try:
            self._file.close()
        except BaseException:
            # The trailer is not tried again; the file is closed.
            with suppress(Exception):
                self._file.close()
            self._output.take_back(self._whole)
            raise
        if self._failed and not self._output.is_seekable:  # where there is nothing to be corrected, a close is no error
            self._output.take_back(self._whole)


class _Errors:
    """Raise libav's errors as OSError with a name where the kernel has a number for them, else as XshmError."""

    def __init__(self, name: str, av: Any) -> None:
        self._name, self._kind = name, av.FFmpegError

    def __enter__(self) -> None:
        pass

    def __exit__(self, _type: object, error: BaseException | None, _trace: object) -> None:
        if not isinstance(error, self._kind):
            return
        if isinstance(error, OSError):
            raise OSError(error.errno, explained(error), self._name) from None
        raise XshmError(f"{self._name}: {getattr(error, 'strerror', None) or error}") from None


def _encodable(title: str) -> str:
    """Return a title that libav takes: what can't be UTF-8 would keep the whole file from being completed."""
    return title.encode(errors="replace").decode().replace("\0", "?")


def chapters(marks: Sequence[tuple[int, str]], end: int, start: int = 0) -> list[tuple[int, int, str]]:
    """Return chapters of (start, end, title) for marks of (time, title), in ns, in a file that begins at `start`.

    Those of one time begin a microsecond apart: players leave out chapters that do not begin after the one before.
    """
    begins: list[int] = []
    for at, _ in marks:
        begins.append(max(at - start, begins[-1] + _APART if begins else 0))
    until = [*begins[1:], end - start]
    return [
        (begin, max(after, begin + _APART), title)
        for begin, after, (_, title) in zip(begins, until, marks, strict=False)
    ]


def kept(packet: Any) -> Any:
    """Return a packet over the same bytes, to be written, while this one is kept to be written again."""
    copy = libav().Packet(packet)
    copy.pts, copy.dts, copy.duration, copy.time_base = packet.pts, packet.dts, packet.duration, packet.time_base
    copy.is_keyframe = packet.is_keyframe
    return copy


def check(container: Container, encoder: Encoder) -> None:
    """Raise InvalidArgument where libav does not put an encoder's packets into a container."""
    file = libav().open(os.devnull, "w", format=container.muxer)
    try:
        file.add_stream_from_template(encoder.stream, opaque=True)
    except ValueError:
        raise InvalidArgument(
            f".{container.name} has no place for {encoder.codec.title} ({encoder.codec.name}) in libav"
        ) from None
