"""Sink: what a recording is written to: a file in a format of our own, libav's encoder and container, a pipe, a URL.

Rules of each sink:

1. What can be refused is refused by the constructor, before anything is made or changed: an unknown codec, an option
   out of range, a directory that can't be written.
2. `write`, `mark` and `finish` are called by one thread, the encoder thread, one at a time; `new_picture` by the thread
   that starts the recording. `abort` may come from any thread, and ends a `write` that hangs where that is possible.
3. After `write` returns nothing refers to the picture's memory: it is painted anew.
4. `finish` or `abort` is the last call. After an `abort` by another thread, and after an error of `finish`, the encoder
   thread calls `abort` once more. A file that was there before stays until a picture of the new one can be played.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xshm.geometry import Rect
    from xshm.record.pictures.picture import Layout, Picture

# ns: the longest that no picture is written. Players and editors choke on gaps of more than a second; and most sinks
# keep a picture until the next one, so that a kill loses this much at most.
KEEP_ALIVE: Final = 800_000_000
USUAL_RATE: Final = 30  # pictures a second, where each change is one
# Pictures a second, of which the last one's time is, where they are rarer: it may come just before the end.
LEAST_LAST_RATE: Final = 20


class Sink(Protocol):
    """What pictures are written to. Times are in nanoseconds since the recording's first picture, whose time is 0."""

    @property
    def layout(self) -> Layout:
        """The planes that `write` reads."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of its pictures: those of the source, scaled and padded as codec and settings need it."""

    @property
    def how(self) -> str:
        """What was chosen and why, in words: codec, colours, container."""

    @property
    def nbytes(self) -> int:
        """How many bytes were written so far."""

    @property
    def keep_alive(self) -> int:
        """After how many ns the last picture is written again where nothing changes."""

    def new_picture(self) -> Picture:
        """Return a further picture in memory that `write` reads without a copy; black."""

    def write(self, picture: Picture, at: int, changed: Sequence[Rect]) -> None:
        """Append a picture that is shown from `at` on; `at` rises strictly.

        `changed` has the rectangles, in the picture's own pixels, outside of which it equals the one written before;
        without any it is the same picture again (a keep-alive). The first one is all of it.
        """

    def mark(self, at: int, title: str) -> None:
        """Begin a chapter at a time; sinks without chapters keep none, and say so in `how`."""

    def finish(self, end: int) -> None:
        """Complete the file: its last picture is shown until `end`. Raises OSError, XshmError."""

    def abort(self) -> None:
        """Give up what is not written yet, and release everything; a file that has pictures stays. Raises nothing."""
