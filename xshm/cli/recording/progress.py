"""The line of numbers that a recording shows on a terminal: elapsed, frames, dropped, size.

It is on standard error, and there only while that is a terminal whose foreground is ours: a pipe, a file or a job in
the background gets none.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, Final

from xshm.cli.standard_streams import complain

if TYPE_CHECKING:
    from collections.abc import Callable

    from xshm.record.recorder import Recorder

_STDERR: Final = 2
_UNITS: Final = ("kB", "MB", "GB", "TB")
_USUAL, _ROWS = 80, 20  # of a terminal that does not tell: a serial line, a container's
_THOUSAND: Final = 1000  # bytes in a kB, as disks and ffmpeg have it


class Progress:
    """The line, drawn anew by each `update`. `total`: seconds, if known; `hint` is its end; `describe` its middle."""

    def __init__(self, total: float | None, hint: str, describe: Callable[[], str]) -> None:
        self._total, self._hint = total, hint
        self._describe = describe
        self._line: Any = None
        self._shows = sys.__stderr__ is not None and os.isatty(_STDERR)

    def update(self, duration: float) -> None:
        """Show the numbers of what has lasted so many seconds."""
        if not self._shows or not _is_foreground():
            return
        if self._line is None:
            self._line = _line(self._describe(), self._total, self._hint)
            self._shows = self._line is not None
            if not self._shows:
                return
        if self._total is not None:
            self._line.n = min(duration, self._total)
        self._line.set_description_str(self._describe(), refresh=False)
        self._line.refresh()

    def clear(self) -> None:
        """Remove the line, so that other text can be printed; the next `update` shows it again."""
        if self._line is not None:
            self._line.clear()

    def close(self) -> None:
        """Leave the line as it was last shown, and begin a new one."""
        if self._line is not None:
            self._line.close()
            self._line = None
        self._shows = False


def numbers(recorder: Recorder) -> str:
    """Return a recording's numbers in words."""
    frames = recorder.frames
    return (
        f"{clock(recorder.duration)}  {frames:,} frame{'s' * (frames != 1)}, {recorder.dropped:,} dropped, "
        f"{size_of(recorder.bytes)}"
    )


def clock(seconds: float) -> str:
    """Return a time as players show it: 1:02:03.4, without hours where there are none."""
    tenths = int(seconds * 10)
    minutes, tenths = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    return f"{f'{hours}:{minutes:02}' if hours else minutes}:{tenths // 10:02}.{tenths % 10}"


def size_of(count: int) -> str:
    """Return a number of bytes as people read it: 512 bytes, 12.3 kB, 4.5 MB."""
    if count < _THOUSAND:
        return f"{count} byte{'s' * (count != 1)}"
    value = float(count)
    for unit in _UNITS:
        value /= _THOUSAND
        if round(value, 1) < _THOUSAND or unit == _UNITS[-1]:
            break
    return f"{value:.1f} {unit}"


def _line(text: str, total: float | None, hint: str) -> Any:
    """Return tqdm's line; None, which is said, where tqdm is not installed."""
    try:
        from tqdm import tqdm  # noqa: PLC0415 - only a terminal needs it
    except ImportError:
        complain("xshm: no progress is shown without tqdm, which pip install xshm[video] brings")
        return None
    tqdm.monitor_interval = 0  # no thread that looks whether the line is old: we draw it ourselves
    bar = "{desc}  {percentage:3.0f}%|{bar}|" if total is not None else "{desc}"
    # One line whatever the terminal's width is: what is too long for it is cut.
    width = {"dynamic_ncols": True} if os.get_terminal_size(_STDERR).columns else {"ncols": _USUAL, "nrows": _ROWS}
    return tqdm(desc=text, total=total, bar_format=bar + hint, file=sys.stderr, mininterval=0, leave=True, **width)


def _is_foreground() -> bool:
    try:
        return os.tcgetpgrp(_STDERR) == os.getpgrp()
    except OSError:  # not our controlling terminal: no shell of ours writes there
        return True
