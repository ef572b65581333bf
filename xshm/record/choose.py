"""Choose the Sink of a recording by its target and the settings: a format of our own, or a container of libav's."""

from __future__ import annotations

import importlib
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from xshm.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Callable

    from xshm.record.sinks.settings import Settings
    from xshm.record.sinks.sink import Sink
    from xshm.record.sinks.target import Target
    from xshm.record.sinks.timed_writer import TimedWriter
    from xshm.system.replacement import Replacement

    Opened = Replacement | TimedWriter

# The modules and classes of formats of our own.
_OWN: Final = {
    "y4m": ("y4m", "Y4mSink"),
    "bgr0": ("raw", "RawSink"),
    "apng": ("apng", "ApngSink"),
    "gif": ("gif", "GifSink"),
    "webp": ("webp", "WebpSink"),
}
_STREAMED: Final = ("y4m", "bgr0")  # without times, so of a constant rate


def complete(target: Target, settings: Settings) -> Settings:
    """Return the settings with the target's container, and a constant rate where that has no times.

    Raises InvalidArgument.
    """
    if target.container in _OWN and target.kind == "url":
        raise InvalidArgument(f"{target.container} goes to files and pipes, not to {target.name}; leave format= out")
    if target.container in _STREAMED and settings.fps is None:
        raise InvalidArgument(f"{target.container} has a constant rate: name it, as fps=30")
    return replace(settings, format=target.container, constant=settings.constant or target.container in _STREAMED)


def open_sink(target: Target, size: tuple[int, int], settings: Settings) -> Sink:
    """Open the Sink for a target, with settings that are `complete`, and pictures of `size`."""
    if target.kind == "url":
        return _libav(target.path, size, settings)
    make: Callable[[Opened, tuple[int, int], Settings], Sink] = _own(target.container) or _libav
    opened = target.open()
    try:
        return make(opened, size, settings)
    except BaseException:
        opened.discard()
        raise


def _own(container: str) -> Callable[[Opened, tuple[int, int], Settings], Sink] | None:
    """Return the Sink of a format of our own; each recording imports one of them."""
    if container not in _OWN:
        return None
    module, kind = _OWN[container]
    found: Callable[[Opened, tuple[int, int], Settings], Sink]
    found = getattr(importlib.import_module(f"xshm.record.formats.{module}"), kind)
    return found


def _libav(opened: Opened | str, size: tuple[int, int], settings: Settings) -> Sink:
    from xshm.record.libav.sink import LibavSink  # noqa: PLC0415 - it needs PyAV, which the others do not

    return LibavSink(opened, size, settings)
