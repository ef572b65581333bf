"""Waiting until a window is painted and at rest, which is when a picture of it shows what a person would see.

A window that has just been mapped shows its background: the server paints that, and a client's first stroke may come
much later (0.3 s to 2 s with a browser). So a window of one colour has to stay so for longer than one with a picture.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from xshm.errors import WaitTimeout

if TYPE_CHECKING:
    from xshm.drawables.drawable import Drawable
    from xshm.drawables.screen import Screen
    from xshm.geometry import Rect
    from xshm.image.frame import Frame

QUIET: Final = 0.2  # seconds without a change, after which a picture is taken for complete
BLANK: Final = 2.0  # seconds for which a window of one colour stays so before it is taken for painted
_LEAST: Final = 0.001  # seconds: a wait that begins at the deadline still looks once


def wait_painted(screen: Screen, window: int, deadline: float) -> Frame:
    """Wait until the window `window` is painted and at rest; return its picture.

    `deadline` is of time.monotonic. Raises WaitTimeout, with the window's last picture; WindowGone, WindowNotViewable.
    """
    with screen.window(window) as shown:
        if shown.source.kind == "pixmap":
            return _wait(shown, None, deadline)
        # Without Composite nothing tells of a window's changes: its place on the screen is watched, which shows what is
        # under the window when that has gone, or has moved away.
        watched = None
        while (place := shown.rect.moved(*shown.position)) != watched:
            watched, frame = place, _wait(screen, place, deadline)
        return frame


def _wait(source: Drawable, region: Rect | None, deadline: float) -> Frame:
    while True:
        left = max(deadline - time.monotonic(), _LEAST)
        calm = source.wait_stable(min(QUIET, left), left, region=region)
        if not calm:
            raise WaitTimeout("is still being drawn", frame=calm.frame)
        if left < QUIET:
            raise WaitTimeout(f"has not been at rest for {QUIET:g} s", frame=calm.frame)
        if not _is_blank(calm.frame):
            return calm.frame
        left = max(deadline - time.monotonic(), 0)
        try:
            source.wait_for(lambda frame: not _is_blank(frame), min(BLANK, left), region)
        except WaitTimeout as error:
            if left < BLANK:
                raise WaitTimeout("is of one colour still", frame=error.frame) from None
            return error.frame


def _is_blank(frame: Frame) -> bool:
    """Tell whether a picture is of one colour."""
    rgb = frame.rgb()
    return bool((rgb == rgb[0, 0]).all())
