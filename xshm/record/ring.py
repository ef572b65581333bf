"""Ring: a recording of which the last seconds are kept in memory, encoded, and written to a file when asked for.

It is a Recorder whose sink is a PacketSink. Saving writes packets, and encodes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xshm import _arguments
from xshm.errors import InvalidArgument, RecordingFailed
from xshm.record.codecs import table
from xshm.record.libav import containers
from xshm.record.libav.packets import PacketSink
from xshm.record.recorder import Recorder
from xshm.record.sinks.target import Target
from xshm.system.printable import quoted

if TYPE_CHECKING:
    import os

    from xshm.capture.source import Source
    from xshm.geometry import Region
    from xshm.record.sinks.settings import Settings
    from xshm.record.sinks.sink import Sink

_LEAST_BYTES = 1 << 16


class Ring(Recorder):
    """The last seconds of a recording, in memory until `save`. `with` starts and stops it; so do `start` and `stop`.

        with screen.record(keep_last=30) as ring:
            ...
            ring.save("failed.mp4")                    # as often as needed, and after the end, too

    `keep_last` seconds are kept, from the key frame before them on: up to 3 s more. `max_bytes` bounds the memory: of
    what does not fit the oldest goes. `bytes` is what is kept now, `duration` all that was recorded.
    """

    def __init__(
        self, source: Source, region: Region | None, settings: Settings, keep_last: float, max_bytes: int | None
    ) -> None:
        seconds = _arguments.number(keep_last, "keep_last is a number of seconds")
        if not 0 < seconds < float("inf"):
            raise InvalidArgument(f"keep_last is a number of seconds above 0, not {quoted(keep_last)}")
        if max_bytes is not None and _arguments.integer(max_bytes, "max_bytes is a whole number") < _LEAST_BYTES:
            raise InvalidArgument(f"max_bytes is at least {_LEAST_BYTES:,} bytes, not {quoted(max_bytes)}")
        _check(settings)
        self._seconds = seconds
        self._max_bytes = max_bytes
        self._packets: PacketSink | None = None
        self._saved = 0, 0.0  # frames and seconds of the last file
        self._prepare(source, region, settings)

    def save(self, path: str | bytes | os.PathLike[str], format: str | None = None) -> None:  # noqa: A002 - as `record` has it
        """Write the last seconds up to now as a video file, whole or not at all; recording goes on.

        The suffix, or `format`, names the container: .mp4, .mkv, .mov, .ts, .webm, as the codec allows. Raises
        InvalidArgument, OSError with the file's name, RecordingFailed where nothing was recorded yet.
        """
        if self._is_elsewhere():
            return
        target = Target.parse(path, format)
        if target.kind == "url":
            raise InvalidArgument(f"a ring is saved to a file, not to {target.name}")
        if self._packets is None or self._pipeline is None:
            raise RecordingFailed("this recording was not started yet; start() does, or `with`")
        container = self._packets.container(target.container)
        self._pipeline.catch_up()
        with target.open() as file:  # which discards it, unless it was committed
            self._saved = self._packets.save(file, container)

    def _open_sink(self, size: tuple[int, int]) -> Sink:
        self._packets = PacketSink(size, self._settings, self._seconds, self._max_bytes)
        return self._packets


def _check(settings: Settings) -> None:
    """Raise InvalidArgument for a container that no ring is saved as, or that does not take the codec."""
    if settings.format is None:
        return
    container = containers.find(settings.format)
    if container is None:
        raise InvalidArgument(f"a ring is saved as {', '.join(containers.NAMES)}, not as {quoted(settings.format)}")
    if settings.codec is not None:
        containers.check(container, table.find(settings.codec, settings.quality)[0], settings.quality)
