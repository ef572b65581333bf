"""Play a video file in a window: PyAV decodes, a Surface shows. Space pauses, q or closing the window ends.

python examples/video_player.py FILE [--display :0]        (pip install xshm[video])
"""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

import av
import numpy as np

from xshm.events import Close, Key
from xshm.surface.surface import Surface

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

_LATE = 0.1  # seconds behind its time at which a picture is left out


class Clock:
    """The time that the film has got to, which stands still while it is paused."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._paused_at: float | None = None

    @property
    def paused(self) -> bool:
        """Whether it stands still."""
        return self._paused_at is not None

    def now(self) -> float:
        """Return the seconds since the film's beginning."""
        return (time.monotonic() if self._paused_at is None else self._paused_at) - self._start

    def toggle(self) -> None:
        """Pause, or go on."""
        if self._paused_at is None:
            self._paused_at = time.monotonic()
        else:
            self._start += time.monotonic() - self._paused_at
            self._paused_at = None


def wait_until(due: float, clock: Clock, surface: Surface) -> bool:
    """Listen to the window until a picture is due; return False when the film is to end."""
    while True:
        left = due - clock.now()
        for event in surface.events(timeout=None if clock.paused else max(0.0, left)):
            if isinstance(event, Close) or (isinstance(event, Key) and event.pressed and event.name in {"q", "Escape"}):
                return False
            if isinstance(event, Key) and event.pressed and event.name == "space":
                clock.toggle()
            break  # to look at the time again
        if not clock.paused and due <= clock.now():
            return surface.is_open


def show(frame: VideoFrame, surface: Surface) -> None:
    """B G R and a spare byte is what nearly all screens have: such a picture is copied once, into shared memory."""
    surface.show(np.asarray(frame.to_ndarray(format="bgra"), np.uint8), order="bgr")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("--display", help="where to show it (default: $DISPLAY)")
    chosen = parser.parse_args()

    with av.open(chosen.file) as film:
        stream = film.streams.video[0]
        stream.thread_type = "AUTO"
        width, height = stream.codec_context.width, stream.codec_context.height
        with Surface(width, height, title=chosen.file, display=chosen.display) as surface:
            print(f"{width}x{height}, shown by {surface.transport.kind}, {surface.way}")
            clock, shown, left_out = Clock(), 0, 0
            due, each = 0.0, float(1 / (stream.average_rate or 25))
            for frame in film.decode(stream):
                due = frame.time or 0.0
                if due < clock.now() - _LATE:
                    left_out += 1
                    continue
                if not wait_until(due, clock, surface):
                    break
                show(frame, surface)
                shown += 1
            else:
                wait_until(due + each, clock, surface)  # the last one has its time, too
            print(f"{shown} pictures shown, {left_out} left out, in {clock.now():.2f} s")


if __name__ == "__main__":
    main()
