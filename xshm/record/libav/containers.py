"""Containers: the codecs that players find in each, and how it is written.

A container is written so that it plays however its writer ends: mp4 and mov in fragments of 0.1 s, which are turned
into a plain file at the end; Matroska and WebM in clusters of 0.1 s; all without a buffer of their own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from xshm.errors import InvalidArgument
from xshm.record.sinks import target
from xshm.record.sinks.sink import KEEP_ALIVE
from xshm.system.printable import quoted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from xshm.record.codecs.table import Codec
    from xshm.record.sinks.settings import Quality


@dataclass(frozen=True, slots=True)
class Container:
    """A container of libav: its name, as a Target has it, its muxer, its usual codec, and the kinds that play in it.

    `kinds` is empty where all do. `options` go to the muxer, `streamed` where it can't go back in what it writes.
    """

    name: str
    muxer: str
    codec: str
    kinds: tuple[str, ...]
    options: Mapping[str, str]
    streamed: Mapping[str, str]
    chapters: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)
    keep_alive: int = KEEP_ALIVE


_FRAGMENT: Final = {"frag_duration": "100000", "flush_packets": "1"}  # µs
# negative_cts_offsets: pictures that are encoded in another order than shown begin at 0 without an edit list, which
# fragments can't have.
# empty_moov: else the first fragment is part of the header, and of a file whose writer was killed ffmpeg takes the
# first picture's time for the rate of all, and drops most of them when it converts the file.
_HYBRID: Final = {"movflags": "+hybrid_fragmented+empty_moov+negative_cts_offsets", **_FRAGMENT}
_PIPED: Final = {"movflags": "+frag_keyframe+empty_moov+default_base_moof+negative_cts_offsets", **_FRAGMENT}
_CLUSTERS: Final = {"cluster_time_limit": "100", "flush_packets": "1"}  # ms
_FLUSHED: Final = {"flush_packets": "1"}
# ns: a cluster is written with the first picture of the next one, and a picture's length is where the next one begins:
# a kill loses two of them.
_CLUSTERS_ALIVE: Final = 480_000_000
_APPLE: Final = {"hevc": "hvc1"}  # QuickTime and Safari play H.265 by this tag alone

_CONTAINERS: Final = (
    Container(
        "mp4",
        "mp4",
        "libx264",
        ("h264", "hevc", "vp9", "av1", "mpeg4"),
        _HYBRID,
        _PIPED,
        chapters=True,
        tags=_APPLE,
    ),
    Container(
        "mov",
        "mov",
        "libx264",
        ("h264", "hevc", "prores", "mjpeg", "mpeg4", "qtrle", "png"),
        _HYBRID,
        _PIPED,
        chapters=True,
        tags=_APPLE,
    ),
    Container("mkv", "matroska", "libx264", (), _CLUSTERS, _CLUSTERS, chapters=True, keep_alive=_CLUSTERS_ALIVE),
    Container(
        "webm",
        "webm",
        "libvpx-vp9",
        ("vp8", "vp9", "av1"),
        _CLUSTERS,
        _CLUSTERS,
        chapters=True,
        keep_alive=_CLUSTERS_ALIVE,
    ),
    Container(
        "ts",
        "mpegts",
        "libx264",
        ("h264", "hevc", "mpeg2video", "mpeg4"),
        _FLUSHED,
        _FLUSHED,
    ),
    Container("flv", "flv", "libx264", ("h264", "flv1"), _FLUSHED, {**_FLUSHED, "flvflags": "+no_duration_filesize"}),
)
_BY_NAME: Final = {each.name: each for each in _CONTAINERS}

NAMES: Final = tuple(_BY_NAME)


def find(name: str) -> Container | None:
    """Return the container that a name means; None where it is none of libav's."""
    return _BY_NAME.get(target.container_of(name) or "")


def named(name: str | None) -> Container:
    """Return the container that a name means, or raise InvalidArgument with those there are."""
    found = None if name is None else find(name)
    if found is None:
        raise InvalidArgument(f"a container of libav is one of {', '.join(NAMES)}; not {quoted(name)}")
    return found


def check(container: Container, codec: Codec, quality: Quality) -> None:
    """Raise InvalidArgument for a codec that players do not find in a container."""
    if container.kinds and codec.kind not in container.kinds:
        fitting = [
            each for each in ("h264", "h265", "vp8", "vp9", "av1", "mpeg4", "mjpeg", "prores") if _has(container, each)
        ]
        wanted = f"; for quality {quality!r}" if quality == "lossless" else ""
        raise InvalidArgument(
            f"players do not find {codec.title} ({codec.name}) in .{container.name}; it takes "
            f"{', '.join(fitting)}{wanted}, and .mkv takes every codec"
        )


def fitting(codec: Codec) -> list[str]:
    """Return the names of the containers in which players find a codec."""
    return [each.name for each in _CONTAINERS if not each.kinds or codec.kind in each.kinds]


def _has(container: Container, codec: str) -> bool:
    return {"h265": "hevc"}.get(codec, codec) in container.kinds
