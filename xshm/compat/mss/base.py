"""MSS: takes screenshots of regions, and saves monitors as PNG files, with the names and the dicts of mss 10."""

from __future__ import annotations

from datetime import UTC, datetime
from threading import Lock
from typing import TYPE_CHECKING, Any

from xshm.compat.mss._grabber import ScreenGrabber
from xshm.compat.mss.exception import ScreenShotError
from xshm.compat.mss.screenshot import ScreenShot, is_lazy, over_frame
from xshm.compat.mss.tools import to_png

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from xshm.compat.mss.models import Monitor, Monitors

__all__ = ["MSS", "MSSBase", "ScreenShot", "ScreenShotError", "lock"]

# Programs that still take it around their grabs; nothing here does.
lock = Lock()


class MSS(ScreenGrabber):
    """Screenshots of one display; any number of threads may take them at once.

        with mss.MSS() as sct:
            shot = sct.grab(sct.monitors[1])
            mss.tools.to_png(shot.rgb, shot.size, output="monitor.png")

    `display` is its name (None or "": $DISPLAY), `with_cursor` whether the pointer is painted into the pictures,
    `compression_level` zlib's, for files. `backend` "default" or "xshmgetimage" is the fastest transport that works
    here, "xgetimage" or "xlib" the core protocol's. `max_displays` means nothing on X. `cls_image` is the class of
    screenshots: it is called with a bytearray of B G R X and the monitor that was given to `grab`.
    Raises ScreenShotError.
    """

    def __init__(
        self,
        /,
        *,
        backend: str = "default",
        compression_level: int = 6,
        with_cursor: bool = False,
        display: bytes | str | None = None,
        max_displays: int = 32,  # noqa: ARG002 - programs that run on macOS too give it
    ) -> None:
        super().__init__(backend, display, with_cursor=with_cursor)
        self.cls_image: Callable[..., ScreenShot] = ScreenShot
        self.compression_level = compression_level
        self._monitors: Monitors | None = None

    def grab(self, monitor: Monitor | tuple[int, int, int, int], /) -> ScreenShot:
        """Return a screenshot of a dict of left, top, width and height, or of (left, top, right, bottom).

        Other keys of the dict are not read. In a tuple, right and bottom are the first column and row outside. Raises
        ScreenShotError for a region that is empty or leaves the screen.
        """
        if isinstance(monitor, tuple):
            left, top = monitor[0], monitor[1]
            monitor = {"left": left, "top": top, "width": monitor[2] - left, "height": monitor[3] - top}
        view, rect = self._grab_bytes(monitor["left"], monitor["top"], monitor["width"], monitor["height"])
        kind = self.cls_image
        if is_lazy(kind):
            return over_frame(kind, view, rect)
        return kind(bytearray(view), monitor)

    @property
    def monitors(self) -> Monitors:
        """All monitors together, then each; they are read once. A list of dicts.

        left, top, width, height; of each also is_primary, output ("HDMI-1"), and name and unique_id where the monitor
        has an EDID.
        """
        with self._listing:
            if self._monitors is None:
                self._monitors = self._query_monitors()
            return self._monitors

    @property
    def primary_monitor(self) -> Monitor:
        """The monitor that is marked primary, or the first. Raises ScreenShotError where there is none."""
        each = self.monitors[1:]
        if not each:
            raise ScreenShotError("the server lists no monitors; monitors[0] is the whole screen")
        return next((monitor for monitor in each if monitor.get("is_primary")), each[0])

    def save(
        self,
        /,
        *,
        mon: int = 0,
        output: str = "monitor-{mon}.png",
        callback: Callable[[str], None] | None = None,
    ) -> Iterator[str]:
        """Save monitors as PNG files, one by one as the returned generator is used; it yields the files' names.

        `mon` 0 is a file for each monitor, -1 one of all together, another number that monitor. `output` is formatted
        with {mon}, {date} (UTC) and the keys of the monitor: {left}, {top}, {width}, {height}. `callback` is called
        with a name before that screenshot is taken. Raises ScreenShotError, OSError.
        """
        monitors = self.monitors
        for number in range(1, len(monitors)) if mon == 0 else [0 if mon == -1 else mon]:
            try:
                monitor = monitors[number]
            except IndexError as error:
                raise ScreenShotError(
                    f"there is no monitor {mon!r}: they are numbered from 1 to {len(monitors) - 1}, and -1 is all"
                ) from error
            name = output.format(mon=number, date=datetime.now(UTC) if "{date" in output else None, **monitor)
            if callable(callback):
                callback(name)
            shot = self.grab(monitor)
            to_png(shot.rgb, shot.size, level=self.compression_level, output=name)
            yield name

    def shot(self, /, **kwargs: Any) -> str:
        """Save one monitor, by default the first, as `save` does; return the file's name."""
        return next(self.save(**{"mon": 1, **kwargs}))


MSSBase = MSS
