"""Containers: which one a suffix or a name means, the codecs that players find in it, and how it is written.

A container is written so that it plays however its writer ends: mp4 and mov in fragments of 0.1 s, which are turned
into a plain file at the end; Matroska and WebM in clusters of 0.1 s; all without a buffer of their own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from xshm.errors import InvalidArgument
from xshm.record.sinks.sink import KEEP_ALIVE
from xshm.system.printable import quoted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from xshm.record.libav.codecs import Codec
    from xshm.record.sinks.settings import Quality


@dataclass(frozen=True, slots=True)
class Container:
    """A container of libav: its muxer, what it is called, its usual codec, and the kinds of codec that play in it.

    `kinds` is empty where all do. `options` go to the muxer, `streamed` where it can't go back in what it writes.
    """

    muxer: str
    names: tuple[str, ...]
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
_HYBRID: Final = {"movflags": "+hybrid_fragmented+negative_cts_offsets", **_FRAGMENT}
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
        ("mp4", "m4v"),
        "libx264",
        ("h264", "hevc", "vp9", "av1", "mpeg4"),
        _HYBRID,
        _PIPED,
        chapters=True,
        tags=_APPLE,
    ),
    Container(
        "mov",
        ("mov", "qt"),
        "libx264",
        ("h264", "hevc", "prores", "mjpeg", "mpeg4", "qtrle", "png"),
        _HYBRID,
        _PIPED,
        chapters=True,
        tags=_APPLE,
    ),
    Container(
        "matroska", ("mkv", "matroska"), "libx264", (), _CLUSTERS, _CLUSTERS, chapters=True, keep_alive=_CLUSTERS_ALIVE
    ),
    Container(
        "webm",
        ("webm",),
        "libvpx-vp9",
        ("vp8", "vp9", "av1"),
        _CLUSTERS,
        _CLUSTERS,
        chapters=True,
        keep_alive=_CLUSTERS_ALIVE,
    ),
    Container(
        "mpegts",
        ("ts", "mpegts", "m2ts", "mts"),
        "libx264",
        ("h264", "hevc", "mpeg2video", "mpeg4"),
        _FLUSHED,
        _FLUSHED,
    ),
    Container(
        "flv", ("flv",), "libx264", ("h264", "flv1"), _FLUSHED, {**_FLUSHED, "flvflags": "+no_duration_filesize"}
    ),
)
_BY_NAME: Final = {name: container for container in _CONTAINERS for name in container.names}
_BY_SCHEME: Final = {
    **dict.fromkeys(("rtmp", "rtmps", "rtmpt", "rtmpe", "rtmpte", "rtmpts"), "flv"),
    **dict.fromkeys(("tcp", "udp", "udplite", "srt", "rist", "http", "https", "tls", "unix"), "mpegts"),
}

NAMES: Final = tuple(_BY_NAME)


def find(target: str, name: str | None) -> Container | None:
    """Return the container that a name means; without one, what a path's suffix or a URL's scheme means; else None."""
    if name is not None:
        return _BY_NAME.get(name.lower().removeprefix("."))
    if "://" in target:
        parts = urlsplit(target)
        if parts.scheme.lower() in _BY_SCHEME:
            return _BY_NAME[_BY_SCHEME[parts.scheme.lower()]]
        target = parts.path
    stem, dot, suffix = target.rpartition(".")
    return _BY_NAME.get(suffix.lower()) if dot and stem and "/" not in suffix else None


def named(target: str, name: str | None) -> Container:
    """Return the container that `find` finds, or raise InvalidArgument with those there are."""
    found = find(target, name)
    if found is None:
        what = f"no container is named {quoted(name)}" if name else f"the name {quoted(target)} tells no container"
        raise InvalidArgument(f"{what}; there are {', '.join(NAMES)}" + ("" if name else "; name one by format="))
    return found


def check(container: Container, codec: Codec, quality: Quality) -> None:
    """Raise InvalidArgument for a codec that players do not find in a container."""
    if container.kinds and codec.kind not in container.kinds:
        fitting = [
            each for each in ("h264", "h265", "vp8", "vp9", "av1", "mpeg4", "mjpeg", "prores") if _has(container, each)
        ]
        wanted = f"; for quality {quality!r}" if quality == "lossless" else ""
        raise InvalidArgument(
            f"players do not find {codec.title} ({codec.name}) in .{container.names[0]}; it takes "
            f"{', '.join(fitting)}{wanted}, and .mkv takes every codec"
        )


def fitting(codec: Codec) -> list[str]:
    """Return the names of the containers in which players find a codec."""
    return [each.names[0] for each in _CONTAINERS if not each.kinds or codec.kind in each.kinds]


def _has(container: Container, codec: str) -> bool:
    return {"h265": "hevc"}.get(codec, codec) in container.kinds
