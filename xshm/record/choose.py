"""Choose the Sink of a recording by its target and the settings: a format of our own, or libav's.

A target is a path, "-" for standard output, or a URL. The format is what `format` names; without that what the path's
suffix means; on standard output y4m.
"""

from __future__ import annotations

import importlib
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from xshm import _arguments
from xshm.errors import InvalidArgument
from xshm.record.libav import containers
from xshm.system.printable import quoted
from xshm.system.replacement import Replacement

if TYPE_CHECKING:
    from collections.abc import Callable

    from xshm.record.formats.growing_file import Output
    from xshm.record.sinks.settings import Settings
    from xshm.record.sinks.sink import Sink

Target = str | bytes | os.PathLike[str]

STANDARD_OUTPUT: Final = "-"
_STREAMED: Final = ("y4m", "bgr0")
_ALIASES: Final = {"yuv4mpegpipe": "y4m", "rawvideo": "bgr0", "raw": "bgr0"}
# The modules and classes of formats of our own.
_OWN: Final = {
    "y4m": ("y4m", "Y4mSink"),
    "bgr0": ("raw", "RawSink"),
    "apng": ("apng", "ApngSink"),
    "gif": ("gif", "GifSink"),
    "webp": ("webp", "WebpSink"),
}


def as_target(value: Target) -> str:
    """Return a target as a text. Raises InvalidType, InvalidArgument."""
    target = _arguments.path(value, "a recording's target")
    if not target:
        raise InvalidArgument("a recording's target is a path, '-' or a URL, and this is empty")
    return target


def is_url(target: str) -> bool:
    """Return whether a target is a URL of libav's, and no path."""
    return "://" in target


def complete(target: str, settings: Settings) -> Settings:
    """Return the settings with the format that the target means, and a constant rate where the format needs it.

    Raises InvalidArgument for a target that means none.
    """
    name = _format_of(target, settings)
    return replace(settings, format=name, constant=settings.constant or name in _STREAMED)


def open_sink(target: str, size: tuple[int, int], settings: Settings) -> Sink:
    """Open the Sink for a target, with settings that are `complete`, and pictures of `size`."""
    make = _libav if settings.format not in _OWN else _own_format(settings.format)
    if is_url(target):
        return _libav(target, size, settings)
    output = _open(target)
    try:
        return make(output, size, settings)
    except BaseException:
        output.discard()
        raise


def _libav(output: Output | str, size: tuple[int, int], settings: Settings) -> Sink:
    from xshm.record.libav.sink import LibavSink  # noqa: PLC0415 - it needs PyAV, which the others do not

    return LibavSink(output, size, settings)


def _own_format(name: str) -> Callable[[Output, tuple[int, int], Settings], Sink]:
    """Return the Sink of a format of our own; each recording imports one of them."""
    module, kind = _OWN[name]
    found: Callable[[Output, tuple[int, int], Settings], Sink] = getattr(
        importlib.import_module(f"xshm.record.formats.{module}"), kind
    )
    return found


def _open(target: str) -> Output:
    """Open a file to be replaced, a FIFO or what a path names; or standard output."""
    return Replacement("/dev/stdout" if target == STANDARD_OUTPUT else target)


def _format_of(target: str, settings: Settings) -> str | None:
    """Return the name of a format of our own that is named or meant; else `settings.format`, which is libav's."""
    name = settings.format
    if name is None:
        if target == STANDARD_OUTPUT:
            return "y4m"
        name = os.path.splitext(target)[1]  # noqa: PTH122 - a text, as the user wrote it
    name = name.lower().removeprefix(".")
    name = _ALIASES.get(name, name)
    if name == "png":
        raise InvalidArgument(f"a PNG is one picture: name the animation {quoted(target)} .apng, or save a frame")
    if name in _OWN:
        if is_url(target):
            raise InvalidArgument(f"{name} goes to files and pipes, not to {quoted(target)}; leave format= out")
        return name
    if containers.find(target, settings.format) is None:
        what = f"no container is named {quoted(name)}" if settings.format else f"{quoted(target)} names no container"
        way = "" if settings.format else "; give it one of these suffixes, or name one by format="
        raise InvalidArgument(f"{what}; there are {', '.join((*containers.NAMES, *_OWN))}{way}")
    return settings.format
