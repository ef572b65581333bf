"""A stream shown in a window: a thread shows the frames, the caller's thread handles the window's events."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from xshm._signal_safety import leave_signals
from xshm.errors import Closed
from xshm.events import Close, Key
from xshm.pixels import opencv

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from xshm.capture.stream import Stream
    from xshm.drawables.screen import Screen
    from xshm.image.frame import Frame
    from xshm.surface.surface import Surface

_QUIT = ("q", "Escape")  # keysym names, as in image viewers and mpv


class Mirror:
    """Shows a stream of `screen`, `factor` times as large, on a surface; `run` closes screen and surface at its end."""

    def __init__(self, screen: Screen, stream: Stream, surface: Surface, factor: float) -> None:
        self._screen = screen
        self._stream = stream
        self._surface = surface
        self._factor = factor
        self._is_over = False
        self._failed: BaseException | None = None

    def run(self) -> None:
        """Return when the window was closed, or q or Escape was pressed; raise what ends the stream."""
        # A daemon: it may wait for a server that does not answer when the process has to end.
        frames = threading.Thread(target=self._show_all, name="xshm mirror", daemon=True)
        frames.start()
        try:
            for event in self._surface.events():
                if isinstance(event, Close) or (isinstance(event, Key) and event.pressed and event.name in _QUIT):
                    break
        except Closed:
            if self._failed is None:
                raise
        finally:
            self._is_over = True
            self._screen.close()  # the other thread's wait for a frame ends with Closed
            self._surface.close()
            frames.join()
        failed, self._failed = self._failed, None
        if failed is not None:
            try:
                raise failed
            finally:
                # Else the exception and this call's frame are a reference cycle, which keeps the last picture's memory.
                del failed

    def _show_all(self) -> None:
        leave_signals()
        try:
            for frame in self._stream:
                self._show(frame)
        except BaseException as error:  # noqa: BLE001 - `run` raises it in the caller's thread
            if not self._is_over:
                self._failed = error
                self._surface.close()

    def _show(self, frame: Frame) -> None:
        surface, size = self._surface, scaled_size(frame, self._factor)
        if size != (surface.rect.width, surface.rect.height):
            surface.resize(*size)  # the source was resized; until the server has followed, frames are shown cut
        if self._factor == 1:
            surface.show_frame(frame, clip=True)
        else:
            surface.show(resized(frame.rgb(), *size), clip=True)


def resized(picture: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Return a picture, (height, width, 3), in another size: smaller by averages, larger by squares."""
    # Averages keep thin lines visible in a smaller picture; squares keep pixels countable in a larger one.
    smaller = width < picture.shape[1]
    cv2 = opencv.module()[0]
    if cv2 is not None:
        how = cv2.INTER_AREA if smaller else cv2.INTER_NEAREST
        found: NDArray[np.uint8] = cv2.resize(picture, (width, height), interpolation=how)
        return found
    plain = Image.Resampling.BOX if smaller else Image.Resampling.NEAREST
    return np.asarray(Image.fromarray(picture).resize((width, height), plain))


def scaled_size(frame: Frame, factor: float) -> tuple[int, int]:
    """Return width and height of a frame that is shown `factor` times as large."""
    return max(1, round(frame.width * factor)), max(1, round(frame.height * factor))
