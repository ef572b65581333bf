"""Poll a ChangeTracker, which is behind `stream(on_change=True)`, step by step."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from xshm.capture.changes import ChangeTracker

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from xshm.capture.source import Source
    from xshm.geometry import Rect
    from xshm.image.frame import Frame

# Each refresher over each transport: (transport, in_place).
WAYS = [("sysv", True), ("fd", True), ("sysv", False), ("fd", False), ("core", True)]


@contextlib.contextmanager
def watching(
    source: Source, region: Rect | None = None, cursor: bool = False, *, in_place: bool = True
) -> Iterator[ChangeTracker]:
    changes = ChangeTracker(source, region, cursor, in_place=in_place)
    try:
        yield changes
    finally:
        changes.close()


def first(changes: ChangeTracker) -> Frame:
    frame = changes.poll()
    assert frame is not None
    return frame


def finish(steps: Generator[Any, None, Frame | None]) -> Frame:
    """Go on to the end of a poll, and return the frame."""
    frame: Frame | None = None
    try:
        while True:
            next(steps)
    except StopIteration as end:
        frame = end.value
    assert frame is not None
    return frame
