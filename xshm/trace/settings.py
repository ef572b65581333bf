"""Settings: how a trace is to be made, as `trace` takes it, each checked by itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from xshm import _arguments
from xshm.errors import InvalidArgument
from xshm.system.printable import quoted
from xshm.trace.log import MAX_BYTES

if TYPE_CHECKING:
    import os
    import re
    from collections.abc import Iterable

    from xshm.geometry import Region

    Name = str | bytes | os.PathLike[str]

_MOST_FPS: Final = 1000
_LEAST_BYTES: Final = 1 << 16
_SUFFIXES: Final = (".html", ".htm", "")


@dataclass(frozen=True, slots=True)
class TraceSettings:
    """How a trace is to be made, as `trace` takes it."""

    fps: float = 30.0
    keep_last: float | None = None
    max_bytes: int = MAX_BYTES
    redact: Iterable[Region | re.Pattern[str]] = ()
    typed_text: bool = False
    spill: Name | None = None
    title: str | None = None

    def __post_init__(self) -> None:
        rate = _arguments.number(self.fps, "fps is a number of pictures per second")
        if not 0 < rate <= _MOST_FPS:
            raise InvalidArgument(
                f"fps is a number of pictures per second above 0 and at most {_MOST_FPS}, not {quoted(self.fps)}"
            )
        object.__setattr__(self, "fps", rate)
        if self.keep_last is not None:
            seconds = _arguments.number(self.keep_last, "keep_last is a number of seconds, or None for all")
            if not 0 < seconds < float("inf"):
                raise InvalidArgument(f"keep_last is a number of seconds above 0, not {quoted(self.keep_last)}")
            object.__setattr__(self, "keep_last", seconds)
        if _arguments.integer(self.max_bytes, "max_bytes is a whole number") < _LEAST_BYTES:
            raise InvalidArgument(f"max_bytes is at least {_LEAST_BYTES:,} bytes, not {quoted(self.max_bytes)}")
        _arguments.flag(self.typed_text, "typed_text")
        if self.title is not None:
            _arguments.text(self.title, "a trace's title")
        if self.spill is not None:
            file_path(self.spill, "spill")


def file_path(value: object, what: str) -> str:
    """Return a path as text. Raises InvalidType, InvalidArgument; `what` begins the sentence."""
    path = _arguments.path(value, what)
    if not path:
        raise InvalidArgument(f"{what} is a path, not {quoted(value)}")
    return path


def page_path(value: object) -> str:
    """Return the path of a page; refuse one that names another kind of file."""
    path = file_path(value, "a trace's file")
    suffix = Path(path).suffix
    if suffix.lower() not in _SUFFIXES:
        raise InvalidArgument(
            f"a trace is an HTML file, whose name ends in .html, not in {quoted(suffix)}; for a video record one, or "
            f"export() one of a trace that was opened"
        )
    return path
