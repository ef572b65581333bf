"""Videos, and traces: everything that was on a screen."""

# ruff: noqa: N802 - an example has the name of what it shows
from __future__ import annotations

from typing import TYPE_CHECKING

import xshm

if TYPE_CHECKING:
    from pathlib import Path

OF = "xshm"


def Recorder(display: xshm.VirtualDisplay, folder: Path) -> None:
    with display.record(folder / "logo.gif", fps=30) as recorder:  # .mp4 and .webm need xshm[video]
        recorder.mark("a program starts")
        display.launch("xlogo").end()
    print(recorder.frames, recorder.dropped, recorder.duration, recorder.how)


def Ring(display: xshm.VirtualDisplay, folder: Path) -> None:
    with display.screen.record(keep_last=30) as ring:  # the last half minute, in memory
        display.launch("xlogo").end()
        ring.save(folder / "last.mp4")  # only if it is wanted; it needs xshm[video]
    print(ring.frames, ring.bytes)


def Trace(display: xshm.VirtualDisplay, folder: Path) -> None:
    with display.trace(folder / "logo.html") as trace:
        trace.mark("a program starts")
        display.launch("xlogo").end()
        trace.log("it has ended")
    print(trace.duration, trace.dropped, trace.how)


def TraceReader(recorded: Path, folder: Path) -> None:
    with xshm.Trace.open(recorded) as reader:
        reader.at(reader.duration / 2).save(folder / "middle.png")
        print(reader.duration, reader.last_change(10, 10), reader.windows(reader.duration))


def TraceChange(recorded: Path) -> None:
    with xshm.Trace.open(recorded) as reader:
        for change in reader.changes():
            print(f"{change.seconds:.3f} s", change.rects, "a whole picture" if change.is_key else "")


def TraceMark(recorded: Path) -> None:
    with xshm.Trace.open(recorded) as reader:
        for mark in reader.marks:
            print(mark.seconds, mark.kind, mark.title)


def TraceLine(recorded: Path) -> None:
    with xshm.Trace.open(recorded) as reader:
        for line in reader.log:
            print(line.seconds, line.source, line.text)


def TraceInput(recorded: Path) -> None:
    with xshm.Trace.open(recorded) as reader:
        for made in reader.inputs:
            print(made.seconds, made.action, made.details)


def TraceWindow(recorded: Path) -> None:
    with xshm.Trace.open(recorded) as reader:
        for window in reader.windows(reader.marks[-1].seconds):
            print(window.id, window.title, window.rect)
