"""What the MSS classes of both interfaces share: one Screen, frames of it as bytes, and the pointer as mss paints it.

All errors of xshm leave as ScreenShotError, but for arguments of a wrong type, which are TypeErrors, as in mss.

Programs open mss before they fork, and take pictures in the child: there a grabber that was open connects anew, to the
same display, when it is first used.
"""

from __future__ import annotations

import contextlib
import os
from threading import RLock
from typing import TYPE_CHECKING, Any, Final, Self

from xshm._signal_safety import WeakRegistry
from xshm.compat.mss import _monitors
from xshm.compat.mss._shot import PIXEL
from xshm.compat.mss.exception import ScreenShotError, as_screenshot_error
from xshm.drawables.screen import Screen
from xshm.errors import InvalidType, XshmError
from xshm.geometry import Rect, as_rect

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from xshm.image.frame import Frame
    from xshm.pixels.format import PixelFormat
else:
    from xshm._numpy import np

# mss's names for its ways to take a picture, and the transport that does the same.
TRANSPORTS: Final = {"default": "auto", "xshmgetimage": "auto", "xgetimage": "core", "xlib": "core"}
_BGR: Final = (2, 1, 0)  # the bytes of red, green and blue in a pixel
_OPAQUE: Final = 255
_grabbers: WeakRegistry[ScreenGrabber] = WeakRegistry()


class ScreenGrabber:
    """A Screen for one of the MSS classes: `_grab_bytes` takes pictures, `_query_monitors` lists monitors."""

    def __init__(self, backend: str, display: str | bytes | None, *, with_cursor: bool) -> None:
        transport = TRANSPORTS.get(backend.lower())
        if transport is None:
            raise ScreenShotError(f"there is no backend {backend!r}; there are {', '.join(TRANSPORTS)}")
        self._transport = transport
        self._screen = _open(display, transport)
        self._with_cursor = bool(with_cursor)
        # The last region and its Rect: Screen.grab recognizes a Rect that it was given before.
        self._last: tuple[tuple[Any, ...], Rect | None] = ((), None)
        # Of the thread that has them, since a signal handler may list monitors, and close it.
        self._listing = RLock()  # all threads that ask at once get one list
        self._connecting = RLock()
        self._closed = False
        self._is_of_parent = False  # whether the Screen is that of the process from which this one was forked
        _grabbers.add(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        # Programs that never close mss are many, and mss does not warn, as a Screen does. Nothing is sent here, and no
        # reply is waited for: the memory is released by its own finalizers.
        screen = getattr(self, "_screen", None)
        if screen is not None:
            screen.connection.wire.close()

    def close(self) -> None:
        """Close the connection. Screenshots stay valid, and so do the monitors that were read. Twice is fine."""
        with self._connecting:
            self._closed, self._is_of_parent = True, False
        self._screen.close()

    @property
    def with_cursor(self) -> bool:
        """Whether the pointer is painted into the pictures."""
        return self._with_cursor

    @property
    def performance_status(self) -> list[str]:
        """How pictures come from the server, and why in that way, for people to read."""
        transport = self._screen.transport
        return [f"{transport.kind}: {transport.reason}"]

    @property
    def max_displays(self) -> int:
        """Nothing: macOS alone limits displays, and on others mss has no such attribute either."""
        raise AttributeError("max_displays is an attribute on macOS only")

    def _grab_bytes(self, left: int, top: int, width: int, height: int) -> tuple[memoryview, Rect]:
        """Return the pixels of a region, B G R X, in memory that no other screenshot has; and the region."""
        if self._is_of_parent:
            self._connect_anew()
        place = left, top, width, height
        known, rect = self._last
        # 3.0 equals 3, and is to be refused each time.
        if rect is None or place != known or not type(left) is type(top) is type(width) is type(height) is int:
            with translated():
                rect = as_rect({"left": left, "top": top, "width": width, "height": height})
            self._last = place, rect
        try:
            if self._with_cursor:
                frame = self._screen.grab(rect, cursor="layer")
                _paint_pointer(frame)
            else:
                frame = self._screen.grab(rect)
        except InvalidType:
            raise
        except XshmError as error:
            raise as_screenshot_error(error) from error
        memory = frame.memory
        assert memory is not None  # noqa: S101 - a frame of a grab has it until it is released
        return memory[0][: PIXEL * rect.width * rect.height], rect

    def _query_monitors(self) -> list[dict[str, Any]]:
        if self._is_of_parent:
            self._connect_anew()
        with translated():
            return _monitors.query(self._screen)

    def _connect_anew(self) -> None:
        # With no lock held: it makes log records, whose handlers may take pictures.
        screen = _open(self._screen.display, self._transport)
        with self._connecting:
            is_first = self._is_of_parent  # of several threads, and before `close`
            if is_first:
                self._screen, self._is_of_parent = screen, False
        if not is_first:
            screen.close()

    def _abandon(self) -> None:
        """In a forked child: leave the connection to the parent, whose threads may hold the locks."""
        self._listing, self._connecting = RLock(), RLock()
        self._is_of_parent = not self._closed


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Raise ScreenShotError for the errors of xshm. Not on the way of a grab: it takes a microsecond."""
    try:
        yield
    except InvalidType:
        raise
    except XshmError as error:
        raise as_screenshot_error(error) from error


def _open(display: str | bytes | None, transport: str) -> Screen:
    with translated():
        screen = Screen(display, transport)
    try:
        _check_format(screen.format)
    except BaseException:
        screen.close()
        raise
    return screen


def _check_format(fmt: PixelFormat) -> None:
    """Raise for a screen whose pixels are not four bytes, B G R X, one after the other."""
    if fmt.stride(1) != PIXEL or fmt.byte_offsets != _BGR or fmt.needs_colormap:
        raise ScreenShotError(
            f"the pixels of this screen are {fmt}, and screenshots are B G R X, as screens of 24 bits have them; "
            f"xshm.Screen reads all others"
        )


def _paint_pointer(frame: Frame) -> None:
    """Paint the pointer as mss does, to the last bit: its colours are taken to be not multiplied by alpha.

    X has them multiplied, so translucent edges come out darker than on the screen; `xshm.Screen.grab(cursor=True)`
    paints what is seen there.
    """
    cursor = frame.cursor
    if cursor is None or (part := cursor.rect.intersect(frame.rect)) is None:
        return
    rows, columns = part.moved(-cursor.rect.x, -cursor.rect.y).slices
    sprite = cursor.sprite[rows, columns]
    behind: NDArray[np.uint8] = frame.pixels[frame.slices(part)][..., :3]
    alpha = sprite[..., 3:]
    share = alpha / _OPAQUE
    blended = (sprite[..., _BGR] * share + behind * (1 - share)).astype(np.uint8)  # in doubles, and cut, as there
    behind[...] = np.where(alpha == _OPAQUE, sprite[..., _BGR], np.where(alpha == 0, behind, blended))


def _after_fork_in_child() -> None:
    for grabber in _grabbers.living():
        grabber._abandon()  # noqa: SLF001 - of this module's class


os.register_at_fork(after_in_child=_after_fork_in_child)
