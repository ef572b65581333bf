"""Write a trace as other files: as a video, by the sinks of recordings, and as a page.

A video has the trace's own times: 0 is its first picture, and each one is shown from the moment that it was taken. What
is written of a rate, of still times and of chapters is what a recording has (`record.writer`): a picture that is due
shows all that has changed by then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xshm._signal_safety import is_a_handlers
from xshm.record import choose
from xshm.record.pictures.handover import joined
from xshm.record.pictures.painter import Painter
from xshm.record.pictures.scale import scaled_size
from xshm.record.sinks.target import Target
from xshm.record.timing import SECOND, TICK, Grid
from xshm.system.replacement import Replacement, about_target
from xshm.trace import page

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Sequence

    from xshm.geometry import Rect
    from xshm.record.sinks.settings import Settings
    from xshm.record.sinks.sink import Sink
    from xshm.trace.reading.canvas import TraceCanvas
    from xshm.trace.reading.events import TraceMark
    from xshm.trace.records import Record

    Name = str | bytes | os.PathLike[str]


def save(stream: Iterable[Record], title: str, path: Name) -> None:
    """Write records as a page, whole or not at all. Raises OSError with the file's name."""
    with Replacement(path) as file:
        write(stream, title, file)


def write(stream: Iterable[Record], title: str, file: Replacement) -> None:
    """Write records as a page to a file that is open already, and give it its name. Raises OSError with that."""
    try:
        with open(file.descriptor, "wb", closefd=False) as out:
            out.writelines(page.pieces(stream, title))
    except OSError as error:
        if is_a_handlers(error) or error.filename is not None:
            raise
        raise about_target(file.name, error) from error
    file.commit()


def export(
    canvas: TraceCanvas, times: Sequence[int], end: int, marks: Iterable[TraceMark], path: Name, settings: Settings
) -> None:
    """Write pictures of these times (ns), the last one shown until `end`, as a video. The canvas shows none yet.

    Raises InvalidArgument, MissingExtra, OSError of the target.
    """
    target = Target.parse(path, settings.format)
    settings = choose.complete(target, settings)
    sink = choose.open_sink(target, scaled_size(canvas.size, settings.max_edge), settings)
    try:
        video = _Video(canvas, times, sink, settings)
        video.add_marks(marks)
        video.write(end)
    except BaseException:
        sink.abort()
        raise


class _Video:
    """A video that is being written; its times begin at 0 with the first picture."""

    def __init__(self, canvas: TraceCanvas, times: Sequence[int], sink: Sink, settings: Settings) -> None:
        self._canvas = canvas
        self._first = times[0]
        self._times = [each - times[0] for each in times]
        self._sink = sink
        self._settings = settings
        self._painter = Painter(canvas.format, canvas.size, sink.layout, max_edge=settings.max_edge)
        self._picture = sink.new_picture()
        self._marks: list[tuple[int, str]] = []
        self._last = -TICK  # the time of what was written last

    def add_marks(self, marks: Iterable[TraceMark]) -> None:
        """Let chapters begin at marks; at the beginning for those of before the first picture."""
        self._marks = [(max(round(mark.seconds * SECOND) - self._first, 0), mark.title) for mark in marks]

    def write(self, end: int) -> None:
        """Write all of it, and complete the file."""
        end -= self._first
        if self._settings.constant and self._settings.fps is not None:
            self._write_constant(self._settings.fps, end)
        else:
            for at in self._due(self._settings.fps, end):
                changed = self._catch_up(at)
                self._keep_alive(at)
                self._write(at, changed)
            self._keep_alive(end)
        end = max(end, self._last + TICK)
        self._mark_until(end)
        self._sink.finish(end)

    def _due(self, fps: float | None, end: int) -> Iterator[int]:
        """Yield the times at which pictures are written: of changes, and at most so many a second (`timing.Pace`).

        What is due only after the end is written before it.
        """
        period = 0 if fps is None else round(SECOND / fps)
        due, last, place = 0, -TICK, 0
        while place < len(self._times):
            last = max(self._times[place], min(due, max(end - TICK, last + TICK)))
            yield last
            due = max(due + period, last + max(period // 2, TICK))
            while place < len(self._times) and self._times[place] <= last:
                place += 1

    def _write_constant(self, fps: float, end: int) -> None:
        """Write the frames of a constant rate, of which there is at least one: each as of the middle of its time."""
        grid = Grid(fps)
        for _ in range(max(grid.due(end), 1)):
            at = grid.next()
            self._write(at, self._catch_up(at + round(SECOND / fps / 2)))

    def _keep_alive(self, until: int) -> None:
        """Write the picture again and again where nothing changes before a time."""
        while self._last >= 0 and until - self._last > self._sink.keep_alive:
            self._write(self._last + self._sink.keep_alive, [])

    def _catch_up(self, at: int) -> list[Rect]:
        """Bring the canvas to a time; return where it may have changed, in the source's pixels."""
        changed: list[Rect] = []
        while self._canvas.index + 1 < len(self._times) and self._times[self._canvas.index + 1] <= at:
            changed = joined(changed, self._canvas.step())
        return changed

    def _write(self, at: int, changed: list[Rect]) -> None:
        self._mark_until(at)
        painted = self._painter.paint(self._picture, self._canvas.pixels, changed)
        self._sink.write(self._picture, at, painted)
        self._last = at

    def _mark_until(self, at: int) -> None:
        while self._marks and self._marks[0][0] <= at:
            self._sink.mark(*self._marks.pop(0))
