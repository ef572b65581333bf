"""Wait until a window of any process is there, or gone: the code behind `Screen.wait_window` and `wait_window_gone`.

A wait sleeps until the server reports that windows came, went or got other titles (WindowWatch), and lists them then.
It lists them a last time at its deadline, so that a window that is there by then is found.
"""

from __future__ import annotations

import contextlib
import math
import re
import time
from typing import TYPE_CHECKING, Any, Final, Protocol, Self, cast

from xshm import _arguments
from xshm.capture.waiting.deadline import PAUSE, Deadline
from xshm.drawables.window import Window
from xshm.drawables.window_list import WindowInfo, lines, list_windows, matches, not_found, resource_id, wanted
from xshm.errors import (
    BadWindow,
    DisplayGone,
    InvalidArgument,
    InvalidType,
    PoolExhausted,
    RequestTimeout,
    RootlessServer,
    WaitTimeout,
    WindowGone,
    WindowNotViewable,
)
from xshm.system.deadlines import holding
from xshm.system.printable import quoted
from xshm.x11.cookie import Cookie
from xshm.x11.protocol import core
from xshm.x11.windows.tree import VIEWABLE, ancestors
from xshm.x11.windows.window_watch import WindowWatch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import SupportsIndex

    from xshm.capture.session import Session
    from xshm.drawables.window_context import WindowContext
    from xshm.geometry import Rect
    from xshm.image.frame import Frame
    from xshm.x11.protocol.requests import Waitable
    from xshm.x11.windows.structure_events import Subscription

    Wanted = str | re.Pattern[str] | Callable[[WindowInfo], object]

_NAMES: Final = "a title, a compiled regular expression or a predicate of a WindowInfo"


class ScreenOfWindows(Protocol):
    """What a wait needs of a Screen."""

    _session: Session

    def _window_context(self) -> WindowContext: ...

    def _query_extent(self) -> Rect: ...

    def grab(self) -> Frame:
        """Return the whole screen's picture."""
        ...


class Search:
    """What is waited for, checked: windows by a title, an expression or a predicate, and by a process."""

    def __init__(self, which: object, pid: object) -> None:
        if which is None and pid is None:
            raise InvalidArgument(f"name what to wait for: {_NAMES}, or a pid")
        if not (which is None or isinstance(which, str | re.Pattern) or callable(which)) or isinstance(which, type):
            raise InvalidType(f"a window to wait for is named by {_NAMES}, not {type(which).__name__}")
        if isinstance(which, re.Pattern) and not isinstance(which.pattern, str):
            raise InvalidType(f"titles are text; the expression {which.pattern!r} is for bytes")
        self._which = cast("Wanted | None", which)
        self._pid = None if pid is None else _arguments.integer(cast("SupportsIndex", pid), "a pid is a number")
        if self._pid is not None and self._pid < 1:
            raise InvalidArgument(f"a pid is a number from 1 on, not {quoted(pid)}")

    def among(self, listed: list[WindowInfo]) -> list[WindowInfo]:
        """Return those of the windows that are meant. The caller's predicate is called here."""
        return [info for info in listed if self._pid in (None, info.pid) and self._is_meant(info)]

    def _is_meant(self, info: WindowInfo) -> bool:
        if self._which is None:
            return True
        if isinstance(self._which, str | re.Pattern):
            return matches(info.title, self._which)
        return bool(self._which(info))

    def __str__(self) -> str:
        process = "" if self._pid is None else f"process {quoted(self._pid)}"
        if self._which is None:
            return process
        what = wanted(self._which) if isinstance(self._which, str | re.Pattern) else "the predicate"
        return f"{what} and {process}" if process else what


def wait_window(screen: ScreenOfWindows, which: Wanted | None, pid: int | None, timeout: float | None) -> Window:
    """See `Screen.wait_window`."""
    deadline = Deadline(timeout)
    search = Search(which, pid)
    context = deadline.call(screen._window_context)
    why = ""  # it can't be opened, as far as is known
    with _Looks(screen, context, deadline) as looks:
        for listed in looks:
            found = search.among(listed)
            if len(found) > 1:
                raise not_found(found, listed, str(search))
            if found:
                try:
                    return deadline.call(Window, screen._session, context, found[0].id)
                except (WindowGone, WindowNotViewable) as error:
                    why = f": {error}"
            else:
                why = ""
    unmapped = search.among(deadline.call(_list, screen, context, mapped=False))
    if unmapped and not why:
        why = f": it has no picture, being iconified or otherwise unmapped:{lines(unmapped)}"
    if not why:
        why = f"; there are:{lines(listed)}" if listed else "; there is none"
    raise WaitTimeout(f"no window answered to {search} within {timeout} s{why}", frame=_picture(screen, deadline))


def wait_window_gone(screen: ScreenOfWindows, which: Any, pid: int | None, timeout: float | None) -> None:
    """See `Screen.wait_window_gone`."""
    deadline = Deadline(timeout)
    if isinstance(which, Window | WindowInfo | int) or hasattr(which, "__index__"):
        if pid is not None:
            raise InvalidArgument("a pid goes with a title, an expression or a predicate; an id names one window")
        number = which.id if isinstance(which, Window | WindowInfo) else which
        window = resource_id(number, "a window", f"a window that is to go is named by its id, {_NAMES}")
        left = _wait_not_viewable(screen, window, deadline)
    else:
        left = _wait_none_listed(screen, Search(which, pid), deadline)
    if left is not None:
        what, still = left
        raise WaitTimeout(f"{what} did not go within {timeout} s{still}", frame=_picture(screen, deadline))


def _wait_none_listed(screen: ScreenOfWindows, search: Search, deadline: Deadline) -> tuple[str, str] | None:
    """Wait until no window is left that the search finds; return the message's parts where some are."""
    context = deadline.call(screen._window_context)
    with _Looks(screen, context, deadline) as looks:
        for listed in looks:
            found = search.among(listed)
            if not found:
                return None
    return f"what answers to {search}", f"; there {'is' if len(found) == 1 else 'are'} still:{lines(found)}"


def _wait_not_viewable(screen: ScreenOfWindows, window: int, deadline: Deadline) -> tuple[str, str] | None:
    """Wait until a window is destroyed or unmapped, itself or with an ancestor; return the message's parts if not."""
    context = deadline.call(screen._window_context)
    connection = context.connection
    while True:
        try:
            chain = (window, *deadline.call(ancestors, connection, window))
        except BadWindow:
            return None
        changes: Subscription = deadline.call(holding, context.lock, context.subscribe, chain)
        try:
            while not changes.reparented:
                is_last = not deadline.left
                changes.stale = False  # before the query: what comes after it counts
                cookie = Cookie(connection, core.GetWindowAttributes, window=window)
                attributes = deadline.call(cookie.reply_or_none)
                if changes.gone or attributes is None or attributes.map_state != VIEWABLE:
                    return None
                if is_last:
                    return f"the window {window:#x}", ""
                _sleep(context, _Stale(changes), deadline)
        finally:
            with contextlib.suppress(DisplayGone, RequestTimeout):
                deadline.call(holding, context.lock, context.unsubscribe, changes)


class _Stale:
    """A Waitable: done when something has happened to a window that is subscribed to."""

    __slots__ = ("_changes",)

    def __init__(self, changes: Subscription) -> None:
        self._changes = changes

    @property
    def done(self) -> bool:
        return self._changes.stale or self._changes.reparented


class _Looks:
    """The lists of windows that a wait looks at: at once, after each change, and at the deadline."""

    def __init__(self, screen: ScreenOfWindows, context: WindowContext, deadline: Deadline) -> None:
        self._screen = screen
        self._context = context
        self._deadline = deadline
        self._watch: WindowWatch | None = None

    def __iter__(self) -> Iterator[list[WindowInfo]]:
        deadline = self._deadline
        yield deadline.call(_list, self._screen, self._context)
        # Not before: what is there at once needs no watch. Windows that came meanwhile are in the next list.
        self._watch = watch = deadline.call(WindowWatch, self._context)
        while True:
            is_last = not deadline.left
            begin = time.monotonic()
            yield deadline.call(_list, self._screen, self._context)
            if is_last:
                return
            # Where windows flash by the hundred, a list takes long: no more than half of a core is used for that.
            time.sleep(min(max(PAUSE, time.monotonic() - begin), deadline.left))
            _sleep(self._context, watch, deadline)
            deadline.call(watch.update)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._watch is not None:
            with contextlib.suppress(DisplayGone, RequestTimeout):
                self._deadline.call(self._watch.close)


def _list(screen: ScreenOfWindows, context: WindowContext, *, mapped: bool = True) -> list[WindowInfo]:
    extent = screen._query_extent()
    with context.connection.decoding("the windows"):
        return list_windows(context, extent, mapped=mapped)


def _sleep(context: WindowContext, what: Waitable, deadline: Deadline) -> None:
    with contextlib.suppress(RequestTimeout):
        context.connection.wire.wait_for(what, None if deadline.end == math.inf else deadline.left)


def _picture(screen: ScreenOfWindows, deadline: Deadline) -> Frame:
    """Return the screen's picture for WaitTimeout; None where it has none."""
    try:
        return deadline.call(screen.grab)
    except (PoolExhausted, RootlessServer):
        return cast("Frame", None)
