"""Target: where a recording goes, as its caller names it: a file, standard output, a FIFO, a device, a URL.

- A path is a file; its suffix names the container where `format` does not. "-", /dev/stdout and the like, a FIFO and a
  device are streamed to: as y4m where neither names a container.
- `scheme://…` is a URL, which libav opens, and so is `tcp:HOST:PORT` of the schemes that libav writes to. Any other
  name with a colon is a file's; a file that is named like a URL is written as `./NAME`.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import urlsplit

from xshm import _arguments
from xshm.errors import InvalidArgument, InvalidType
from xshm.record.sinks import opening
from xshm.record.sinks.timed_writer import TIMEOUT, TimedWriter
from xshm.system.printable import quoted
from xshm.system.replacement import Replacement

Kind = Literal["file", "descriptor", "stream", "url"]

# The containers by each of their names, those of libav too.
_NAMES: Final = {
    **dict.fromkeys(("mp4", "m4v"), "mp4"),
    **dict.fromkeys(("mov", "qt"), "mov"),
    **dict.fromkeys(("mkv", "matroska"), "mkv"),
    **dict.fromkeys(("ts", "mpegts", "m2ts", "mts"), "ts"),
    **dict.fromkeys(("y4m", "yuv4mpegpipe"), "y4m"),
    **dict.fromkeys(("bgr0", "rawvideo", "raw"), "bgr0"),
    **{name: name for name in ("webm", "flv", "gif", "apng", "webp")},
}
CONTAINERS: Final = tuple(dict.fromkeys(_NAMES.values()))
_STREAMED: Final = "y4m"  # the usual one where no suffix is expected
_RTMP: Final = ("rtmp", "rtmps", "rtmpt", "rtmpe", "rtmpte", "rtmpts")
_BY_SCHEME: Final = {
    **dict.fromkeys(_RTMP, "flv"),
    **dict.fromkeys(("udp", "udplite", "tcp", "tls", "srt", "rist", "unix", "http", "https", "ftp", "sftp"), "ts"),
}
# Two letters at least: "C:/shot.mp4" is a file's name.
_URL: Final = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]+)://", re.ASCII)
_SHORT_URL: Final = re.compile(rf"({'|'.join(_BY_SCHEME)}):[^/]*:[0-9]+(?:[/?]|$)", re.ASCII | re.IGNORECASE)
_DESCRIPTOR: Final = re.compile(r"(?:/dev/fd|/proc/(?:self|thread-self|([0-9]+))/fd)/([0-9]+)", re.ASCII)
_STANDARD: Final = {"/dev/stdin": 0, "-": 1, "/dev/stdout": 1, "/dev/stderr": 2}
_LOCAL: Final = {
    "file": "a file is named by its path",
    "pipe": "standard output is '-'",
    "fd": "standard output is '-'",
}

_STILL: Final = "a still picture is no recording; .apng is PNG in motion, and as exact"
_SOUND: Final = "a recording has no sound; name a video's"
_REFUSED: Final = {
    **dict.fromkeys(("png", "jpg", "jpeg", "bmp", "tif", "tiff", "ppm", "qoi", "npy"), _STILL),
    **dict.fromkeys(("wav", "mp3", "ogg", "flac", "m4a"), _SOUND),
    "avi": "AVI has one frame rate from end to end; .mkv takes the same codecs",
    "wmv": "WMV has codecs of its own; .mp4 and .mkv take H.264",
    "ogv": "Ogg video is Theora's; .webm is as free, and takes VP8, VP9 and AV1",
}


@dataclass(frozen=True, slots=True)
class Target:
    """Where a recording goes. `name` is what messages call it: `path`, without the secrets of a URL.

    `container` is one of CONTAINERS. `kind` is "file"; "descriptor", a number that is open already; "stream", a FIFO or
    a device; "url".
    """

    kind: Kind
    path: str
    name: str
    container: str
    number: int | None = None  # of a descriptor

    @classmethod
    def parse(cls, value: str | bytes | os.PathLike[str] | Target, format: str | None = None) -> Target:  # noqa: A002 - as `record` has it
        """Return the target that a value names, or is. Raises InvalidType, InvalidArgument; nothing is opened."""
        if isinstance(value, Target):
            return value
        path = _text(value)
        given = None if format is None else _named(_arguments.text(format, "format"), "format ")
        if isinstance(value, str) and (found := _URL.match(path) or _SHORT_URL.match(path)):
            return cls._url(path, found[1].lower(), given)
        number = _descriptor(path)
        if number is not None:
            name = {1: "standard output", 2: "standard error"}.get(number, path)
            return cls("descriptor", path, name, given or _STREAMED, number)
        if _is_stream(path):
            suffix = _suffix(path).lower()
            return cls("stream", path, path, given or _NAMES.get(suffix, _STREAMED))
        return cls("file", path, path, given or _by_suffix(path))

    @classmethod
    def _url(cls, url: str, scheme: str, given: str | None) -> Target:
        if scheme in _LOCAL:
            raise InvalidArgument(f"{without_secrets(url)} is a URL of this machine's: {_LOCAL[scheme]}")
        split = urlsplit(url)
        by_suffix = None if scheme in _RTMP else _NAMES.get(_suffix(split.path).lower())
        container = given or by_suffix or _BY_SCHEME.get(scheme)
        if container is None:
            raise InvalidArgument(f"nothing tells the container of {without_secrets(url)}; name it: format='ts'")
        return cls("url", url, without_secrets(url), container)

    @property
    def is_seekable(self) -> bool:
        """Whether what was written can be corrected: a file's header, when its length is known."""
        return self.kind == "file"

    def open(self, timeout: float = TIMEOUT) -> Replacement | TimedWriter:
        """Open what is no URL: a file as a Replacement, anything else as a TimedWriter.

        Raises OSError with the target's name, XshmError; see `opening` for what is waited for and refused.
        """
        if self.kind == "file":
            return Replacement(self.path)
        if self.number is not None:
            return opening.open_descriptor(self.number, self.name, timeout)
        return opening.open_path(self.path, timeout)


def _text(value: object) -> str:
    """Return a path as text."""
    if not isinstance(value, str | bytes | os.PathLike):
        raise InvalidType(f"a recording's target is a path, '-' or a URL, not {type(value).__name__}: {quoted(value)}")
    path = os.fsdecode(value)
    if not path or "\0" in path:
        raise InvalidArgument(f"a recording's target is a path, '-' or a URL, not {quoted(value)}")
    return path


def _descriptor(path: str) -> int | None:
    """Return the number of one of this process's descriptors that a path names; None where it names a file."""
    if path in _STANDARD:
        return _STANDARD[path]
    found = _DESCRIPTOR.fullmatch(path)
    return int(found[2]) if found and found[1] in (None, str(os.getpid())) else None


def _is_stream(path: str) -> bool:
    try:
        kind = os.stat(path).st_mode  # noqa: PTH116 - a text, as the user wrote it
    except (OSError, ValueError):  # there is no such file yet; what is wrong is said when it is opened
        return False
    return not stat.S_ISREG(kind) and not stat.S_ISDIR(kind)


def _suffix(path: str) -> str:
    return os.path.splitext(path)[1].removeprefix(".")  # noqa: PTH122 - as above


def _by_suffix(path: str) -> str:
    suffix = _suffix(path)
    if not suffix and (path.endswith("/") or os.path.isdir(path)):  # noqa: PTH112 - as above
        raise InvalidArgument(
            f"{quoted(path)} names a directory; name a file in it ({quoted(os.path.join(path, 'out.mp4'))})"  # noqa: PTH118
        )
    if not suffix:
        directory, name = os.path.split(path)
        is_bare = name.startswith(".") and container_of(name) is not None  # ".mp4", which is a name and no suffix
        named = os.path.join(directory, f"out{name}") if is_bare else f"{path}.mp4"  # noqa: PTH118 - as above
        raise InvalidArgument(
            f"the name {quoted(path)} has no suffix that tells its container; name it so ({quoted(named)}); where "
            f"the name can't be changed, name one: format='mp4'"
        )
    return _named(suffix, ".")


def _named(name: str, what: str) -> str:
    """Return the container of that name; `what` is said before the name where there is none."""
    found = container_of(name)
    if found is not None:
        return found
    wanted = _bare(name)
    shown = f"{what}{quoted(name)}" if what != "." else f".{wanted}" if wanted.isalnum() else quoted(f".{wanted}")
    if wanted in _REFUSED:
        raise InvalidArgument(f"{shown}: {_REFUSED[wanted]}")
    raise InvalidArgument(
        f"{shown} is no container of a recording; there are {', '.join(CONTAINERS)}"
        + ("; where the name can't be changed, name one: format='mp4'" if what == "." else "")
    )


def container_of(name: str) -> str | None:
    """Return the one of CONTAINERS that a name or a suffix means; None for another."""
    return _NAMES.get(_bare(name))


def _bare(name: str) -> str:
    return name.lower().removeprefix(".")


def without_secrets(url: str) -> str:
    """Return a URL for messages and logs: without user, password, query, and without the key of an RTMP stream."""
    scheme, colon, rest = url.partition(":")
    rest = re.split(r"[?# ]", rest, maxsplit=1)[0]
    slashes = rest[: len(rest) - len(rest.lstrip("/"))]
    host, slash, path = rest.lstrip("/").partition("/")
    if scheme.lower() in _RTMP and "/" in path:
        path = f"{path.partition('/')[0]}/…"
    return f"{scheme}{colon}{slashes}{host.rpartition('@')[2]}{slash}{path}"
