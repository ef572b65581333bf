"""TraceReader: what a trace holds, at any of its instants: the picture, the windows, the pointer; marks, lines, inputs.

Always true:

1. `at` is exact: the picture of an instant is the last one that was taken by then, pixel for pixel.
2. Times are seconds since the trace's start (`started_ns`); a time that the reader gives out leads back to the same
   record. Coordinates are those of what was traced, as a frame's are, not the region's own.
3. A file that was cut off or damaged is read up to there, and `ended` says so.
4. Any thread may ask; a frame has memory of its own, and outlives the reader.
"""

from __future__ import annotations

import bisect
import itertools
import math
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from xshm import _arguments
from xshm.errors import Closed, InvalidArgument, OutOfBounds, XshmError
from xshm.geometry import Rect
from xshm.image.files.reader import message
from xshm.image.frame import Frame
from xshm.pixels.format import PixelFormat
from xshm.system.printable import printable, quoted
from xshm.trace import page, records
from xshm.trace.reading import checks, history
from xshm.trace.reading.canvas import TraceCanvas
from xshm.trace.reading.events import Events

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from xshm.record.sinks.settings import Option, Quality
    from xshm.trace.reading.events import TraceInput, TraceLine, TraceMark, TraceWindow
    from xshm.trace.records import Record

_SECOND: Final = 10**9  # nanoseconds


@dataclass(frozen=True, slots=True)
class TraceChange:
    """A picture that was taken: when, and the rectangles where it differs from the one before.

    `is_key` is whether it is written whole, with one rectangle that is all of it; it may then differ in a part, or
    nowhere.
    """

    seconds: float
    rects: tuple[Rect, ...]
    is_key: bool


class TraceReader:
    """A trace to be read: of a file (`Trace.open`), or what a running Trace has kept by now (`Trace.reader`).

        with xshm.Trace.open("login.html") as trace:
            trace.at(trace.marks[0].seconds).save("first.png")

    `started_ns` is CLOCK_MONOTONIC at its time 0, nanoseconds; `started_at` the same moment as seconds since 1970.
    `head` has all that the file says of itself. `ended` is "" for a trace that ended properly, else what ended it
    early, or that its file was cut off.
    """

    def __init__(self, stream: Iterable[Record], name: str = "the trace", *, ended: str = "") -> None:
        """Read records, of which the first is the head; `name` is what errors call it.

        `ended` is why it ended, where no record says so. Raises InvalidArgument for records that are no trace.
        """
        self._name = name
        self._records = list(stream)
        if not self._records or self._records[0].kind != records.HEAD_KIND:
            raise InvalidArgument(f"{name} holds no trace: its first record, which says what it is, is missing")
        self.head: Final[dict[str, Any]] = _value(self._records[0], name)
        try:
            self._format = PixelFormat(**self.head["format"])
            self.started_ns: Final = int(self.head["started_ns"])
            self.started_at: Final = float(self.head["started_at"])
            self.size: Final[tuple[int, int]] = checks.size(self.head["size"])
            self._origin = checks.pair(self.head["origin"])
            self._rect = Rect(*self._origin, *self.size)
        except (LookupError, TypeError, ValueError, ArithmeticError, XshmError) as error:
            raise InvalidArgument(f"the head of {name} can't be understood: {message(error)}") from error
        self.title: Final = str(self.head.get("title", ""))
        self._pictures = _whole_groups(self._records)
        self._times = [each.at for each in self._pictures]
        self._end = self._records[-1].at
        self._lock = threading.RLock()  # over the canvas
        self._canvas: TraceCanvas | None = None
        self._closed = False
        events = [(each.at, _value(each, name)) for each in self._records if each.kind == records.EVENT]
        self._events = Events([each for each in events if checks.is_understood(each[1])], self._origin)
        self.ended: Final = ended if self._events.end is None else self._events.end

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> TraceReader:
        """Read a file: a page (.html), or a spill file. Raises OSError; InvalidArgument for a file that is no trace."""
        name = printable(os.fsdecode(path))
        data = Path(path).read_bytes()
        stream = page.stream_of(data, name)
        found = list(records.unpack(stream, name))
        is_whole = len(records.MAGIC) + sum(each.nbytes for each in found) == len(stream)
        # A page is written whole; what is spilled has no end but the one of the process.
        is_complete = is_whole and (page.is_complete(data) or any(map(_is_end, found)))
        last = f"{found[-1].at / _SECOND:.3f} s" if found else "its beginning"
        return cls(found, name, ended="" if is_complete else f"the file was cut off, or is damaged, after {last}")

    # -- pictures ------------------------------------------------------------------------------------------------------

    @property
    def begin(self) -> float:
        """The time of the first picture that is kept: above 0 where older ones have gone for newer ones."""
        return self._times[0] / _SECOND if self._times else self.duration

    @property
    def duration(self) -> float:
        """Its length: the time of its end, seconds."""
        return self._end / _SECOND

    def at(self, seconds: float) -> Frame:
        """Return the picture of an instant: the last one that was taken by then.

        `frame.monotonic_ns` is when that was taken, `frame.format` is `head["format"]`, and `frame.rect` is where in
        the source it is from. Raises InvalidArgument before the first picture and after the end.
        """
        index = self._index(self._instant(seconds))
        with self._lock:
            canvas = self._drawn()
            canvas.move(index)
            memory = bytearray(canvas.memory)
        return Frame(None, self._rect, self.started_ns + self._times[index], index, self._format, memory=memory)

    def changes(self) -> Iterator[TraceChange]:
        """Yield each picture that is kept, with the rectangles that it changes. It decodes none."""
        for record in self._pictures:
            rects = tuple(self._placed(patch.rect) for patch in record.patches())
            yield TraceChange(record.at / _SECOND, rects, record.kind == records.KEY)

    def __iter__(self) -> Iterator[TraceChange]:
        return self.changes()

    def last_change(
        self, x: int, y: int, width: int = 1, height: int = 1, *, before: float | None = None
    ) -> float | None:
        """Return when a pixel, or a region, last got other colours before a time (None: ever); None: it never did.

        That is when its colours differ from those of the picture before: to be drawn anew is not enough. `x` and `y`
        are in the coordinates of what was traced. Raises OutOfBounds for a region that leaves it, InvalidArgument for a
        time after the end.
        """
        region = self._region(x, y, width, height)
        last = self._index(self._end if before is None else self._instant(before) - 1, or_none=True)
        with self._lock:
            return self._seconds(history.last_change(self._drawn(), region, last))

    def next_change(
        self, x: int, y: int, width: int = 1, height: int = 1, *, after: float | None = None
    ) -> float | None:
        """Return when a pixel, or a region, next gets other colours after a time (None: ever); None: it never does.

        Coordinates and errors are as with `last_change`.
        """
        region = self._region(x, y, width, height)
        since = self._index(0 if after is None else self._instant(after), or_none=True)
        with self._lock:
            return self._seconds(history.next_change(self._drawn(), region, since))

    # -- what happened besides -----------------------------------------------------------------------------------------

    @property
    def marks(self) -> list[TraceMark]:
        """The marks and failures, in the order of their times."""
        return self._events.marks()

    @property
    def log(self) -> list[TraceLine]:
        """The lines of logs and of programs' output."""
        return self._events.lines()

    @property
    def inputs(self) -> list[TraceInput]:
        """The input that was made."""
        return self._events.inputs()

    def windows(self, seconds: float) -> list[TraceWindow]:
        """Return the windows at an instant, from the lowest to the highest. Raises InvalidArgument after the end."""
        return self._events.windows(self._instant(seconds))

    def pointer(self, seconds: float) -> tuple[int, int] | None:
        """Return where the pointer was at an instant, x and y; None where that is not known.

        Raises InvalidArgument after the end.
        """
        return self._events.pointer(self._instant(seconds))

    def events(self) -> Iterator[tuple[float, dict[str, Any]]]:
        """Yield the time and the object of each event, of unknown types too; coordinates are as the file has them."""
        return iter(self._events)

    # -- other files ---------------------------------------------------------------------------------------------------

    def export(
        self,
        path: str | os.PathLike[str],
        fps: float | None = None,
        *,
        constant: bool = False,
        quality: Quality = "screen",
        codec: str | None = None,
        options: Mapping[str, Option] | None = None,
        format: str | None = None,  # noqa: A002 - as `record` has it
        max_edge: int | None = None,
    ) -> None:
        """Write it as a video, as `record` writes one: each picture at its own time, marks as chapters.

        `fps` bounds the pictures a second; None: each change. The other arguments are `record`'s. Raises
        InvalidArgument, MissingExtra, OSError of the target.
        """
        from xshm.record.sinks.settings import Settings  # noqa: PLC0415 - reading needs no sinks
        from xshm.trace import export  # noqa: PLC0415

        settings = Settings(
            fps=fps,
            constant=constant,
            quality=quality,
            codec=codec,
            options=options or {},
            format=format,
            max_edge=max_edge,
        )
        with self._lock:
            export.export(self._drawn().fresh(), self._times, self._end, self.marks, path, settings)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it as a page, whole or not at all: to be seen in a browser.

        Raises InvalidArgument for a name that does not end in .html, OSError with the file's name.
        """
        from xshm.trace import export  # noqa: PLC0415 - as above
        from xshm.trace.settings import page_path  # noqa: PLC0415

        name = page_path(path)
        stream = list(self._records)
        if not any(map(_is_end, stream)):
            stream.append(records.event(self._end, "end", why=self.ended))
        export.save(stream, self.title, name)

    def close(self) -> None:
        """Drop what was read; frames stay. Twice is fine."""
        with self._lock:
            self._canvas, self._closed = None, True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<TraceReader {quoted(self.title)}, {self._rect}, {self.begin:.1f} to {self.duration:.1f} s>"

    # -- the index -----------------------------------------------------------------------------------------------------

    def _instant(self, seconds: float) -> int:
        """Return a time in nanoseconds, that of a record where it was given out as one's. Raises InvalidArgument."""
        value = _arguments.number(seconds, "a time of a trace is a number of seconds")
        if not math.isfinite(value):
            raise InvalidArgument(f"a time of a trace is a number of seconds, not {quoted(seconds)}")
        at = round(value * _SECOND)
        if at > self._end:
            raise InvalidArgument(f"{self._name} has no {value:g} s: it ends at {self.duration:.3f} s{self._why()}")
        return at

    def _index(self, at: int, *, or_none: bool = False) -> int:
        """Return which picture an instant shows. Before the first one: -1, or InvalidArgument that says why."""
        index = bisect.bisect_right(self._times, at) - 1
        if index >= 0 or or_none:
            return index
        if not self._times:
            raise InvalidArgument(f"{self._name} has no picture{self._why()}")
        first = self._times[0] / _SECOND
        gone = "; older pictures have gone, for keep_last or max_bytes" if self._times[0] > 0 else ""
        raise InvalidArgument(f"{self._name} has no picture of {at / _SECOND:g} s: it begins at {first:.3f} s{gone}")

    def _why(self) -> str:
        return f" ({self.ended})" if self.ended else ""

    def _drawn(self) -> TraceCanvas:
        if self._closed:
            raise Closed(f"{self._name} is closed; open it again")
        if self._canvas is None:
            self._index(self._end)  # which raises where there is no picture
            self._canvas = TraceCanvas(self._format, self.size, self._pictures)
        return self._canvas

    def _seconds(self, index: int | None) -> float | None:
        return None if index is None else self._times[index] / _SECOND

    def _placed(self, rect: Rect) -> Rect:
        return rect.moved(*self._origin)

    def _region(self, x: int, y: int, width: int, height: int) -> Rect:
        """Return a region of the source as one of the pictures."""
        region = Rect(x, y, width, height)
        if not self._rect.contains(region):
            raise OutOfBounds(f"the region {region} leaves what was traced, which is {self._rect}")
        return region.moved(-self._origin[0], -self._origin[1])


def _value(record: Record, name: str) -> dict[str, Any]:
    try:
        found = record.value()
    except ValueError as error:
        raise InvalidArgument(
            f"{name} has an object at {record.at / _SECOND:.3f} s that is no JSON: {error}"
        ) from error
    if not isinstance(found, dict):
        raise InvalidArgument(f"{name} has an object at {record.at / _SECOND:.3f} s that is none: {quoted(found)}")
    return found


def _whole_groups(stream: Iterable[Record]) -> list[Record]:
    """Return the pictures, from the first key picture on: what comes before it can't be told."""
    pictures = (each for each in stream if each.is_picture)
    return list(itertools.dropwhile(lambda each: each.kind != records.KEY, pictures))


def _is_end(record: Record) -> bool:
    return record.kind == records.EVENT and record.payload.startswith(b'{"type":"end"')
