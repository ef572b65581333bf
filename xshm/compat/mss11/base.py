"""MSS: takes screenshots of regions, and saves monitors as PNG files, as mss 11 will have it."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from threading import Lock
from typing import TYPE_CHECKING, Any

from xshm.compat.mss._grabber import ScreenGrabber
from xshm.compat.mss11.exception import ScreenShotError
from xshm.compat.mss11.models import Monitor, Region
from xshm.compat.mss11.screenshot import ScreenShot
from xshm.compat.mss11.tools import to_png

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from xshm.compat.mss11.models import Monitors

__all__ = ["MSS", "ScreenShot", "ScreenShotError", "lock"]

lock = Lock()  # as in `xshm.compat.mss.base`: nothing takes it


class MSS(ScreenGrabber):
    """Screenshots of one display; any number of threads may take them at once.

        with mss.MSS() as sct:
            array = sct.grab(sct.primary_monitor).to_numpy()

    Arguments are those of `xshm.compat.mss.MSS`. `cls_image` is the class of screenshots: it is called with a
    memoryview of B G R X and a Region. Raises ScreenShotError.
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

    def grab(self, region: Region | Mapping[str, Any] | tuple[int, int, int, int], /) -> ScreenShot:
        """Return a screenshot of a Region or Monitor, a dict of its keys, or (left, top, right, bottom).

        Raises ScreenShotError for a region that is empty or leaves the screen, TypeError for what is no region.
        """
        wanted = Region.of(region)
        view, rect = self._grab_bytes(wanted.left, wanted.top, wanted.width, wanted.height)
        return self.cls_image(view, Region(rect.x, rect.y, rect.width, rect.height))

    @property
    def monitors(self) -> Monitors:
        """All monitors together, then each; they are read once."""
        with self._listing:
            if self._monitors is None:
                self._monitors = self._listed()
            return self._monitors

    def _listed(self) -> Monitors:
        return [Monitor(**monitor) for monitor in self._query_monitors()]

    @property
    def primary_monitor(self) -> Monitor:
        """The monitor that is marked primary, or the first. Raises ScreenShotError where there is none."""
        each = self.monitors[1:]
        if not each:
            raise ScreenShotError("the server lists no monitors; monitors[0] is the whole screen")
        return next((monitor for monitor in each if monitor.is_primary), each[0])

    def save(
        self,
        /,
        *,
        mon: int = 0,
        output: str = "monitor-{mon}.png",
        callback: Callable[[str], None] | None = None,
    ) -> Sequence[str]:
        """Save monitors as PNG files; return the files' names.

        `mon` 0 is a file for each monitor, -1 one of all together, another number that monitor. All pictures are taken
        before the first is written. `output` is formatted with {mon}, {date} (local time, the same for all) and the
        attributes of the monitor. `callback` is called with a name before that screenshot is taken. Raises
        ScreenShotError, OSError.
        """
        monitors, date = self.monitors, datetime.now().astimezone() if "{date" in output else None
        taken: list[tuple[str, ScreenShot]] = []
        for number in range(1, len(monitors)) if mon == 0 else [0 if mon == -1 else mon]:
            try:
                monitor = monitors[number]
            except IndexError as error:
                raise ScreenShotError(
                    f"there is no monitor {mon!r}: they are numbered from 1 to {len(monitors) - 1}, and -1 is all"
                ) from error
            name = output.format(mon=number, date=date, **asdict(monitor))
            if callable(callback):
                callback(name)
            taken.append((name, self.grab(monitor)))
        for name, shot in taken:
            to_png(shot.rgb, shot.size, level=self.compression_level, output=name)
        return [name for name, _ in taken]

    def shot(self, /, **kwargs: Any) -> str:
        """Save one monitor, by default the first, as `save` does; return the file's name."""
        return self.save(**{"mon": 1, **kwargs})[0]
