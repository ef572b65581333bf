"""What is known of a screen's top-level windows: their stack, which are open, in which frames, and their titles.

A window is a client's, by its own id, in a window manager's frame or without. It is open while it, or the frame around
it, is mapped. Always true:

1. Each method takes one fact ("is mapped"), and a fact that is known already changes nothing. So facts may come twice,
   and what was queried may be newer than an event that is processed after it.
2. A fact that makes a difference to somebody at the screen is an event, which `take_events` returns once, with the
   title that the window had then.
3. `fresh`, `untitled` and `gone` say what is to be done at the server, which is not asked here: no window is both fresh
   and gone, since there is nothing to select of a window that came and went at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind = Literal["opened", "closed", "renamed", "restacked"]


class WindowEvent(NamedTuple):
    """What happened to a window, and the title that it had then; "" where it has none, or was gone before a reply."""

    kind: Kind
    id: int
    title: str


class Top:
    """A child of the root window. `client`: the window inside a frame, else itself."""

    __slots__ = ("client", "is_mapped")

    def __init__(self, client: int, *, is_mapped: bool = False) -> None:
        self.client = client
        self.is_mapped = is_mapped


class _News:
    """An event whose title may still be queried (None)."""

    __slots__ = ("client", "kind", "title")

    def __init__(self, kind: Kind, client: int) -> None:
        self.kind: Kind = kind
        self.client = client
        self.title: str | None = None


class KnownWindows:
    """The windows of one screen.

    `tops`: the children of the root window, always the same dict. Sets in order, as dicts: `fresh`, windows whose
    events are to be selected; `untitled`, windows whose titles are to be queried. `gone`: windows whose selection is
    over, and that are forgotten once they are not open any more.
    """

    def __init__(self) -> None:
        self.tops: dict[int, Top] = {}
        self.fresh: dict[int, None] = {}
        self.untitled: dict[int, None] = {}
        self.gone: set[int] = set()
        self._stack: list[int] = []  # the children of the root window, from the bottom to the top
        self._open: dict[int, int] = {}  # by client, the child of the root window that it is shown in
        self._titles: dict[int, str] = {}  # by client
        self._ignored: set[int] = set()
        self._news: list[_News] = []

    @property
    def open(self) -> dict[int, str]:
        """The windows that are open, by id, with their titles."""
        return {client: self._titles.get(client, "") for client in self._open if client not in self._ignored}

    @property
    def stack(self) -> list[int]:
        """The windows that are open, from the lowest to the highest."""
        clients = [(self.tops[window].client, window) for window in self._stack]
        return [
            client for client, window in clients if self._open.get(client) == window and client not in self._ignored
        ]

    def take_events(self) -> list[WindowEvent]:
        """Return the events since the last call, and forget the windows that are gone."""
        events = [
            WindowEvent(news.kind, news.client, self._title_of(news))
            for news in self._news
            if news.client not in self._ignored
        ]
        self._news.clear()
        for window in [each for each in self.gone if each not in self._open]:
            self.gone.discard(window)
            self._titles.pop(window, None)
            self._ignored.discard(window)
        return events

    # -- facts -------------------------------------------------------------------------------------------------------

    def replace(self, tops: Mapping[int, Top]) -> None:
        """Take in all children of the root window, from the bottom to the top; the differences are events."""
        former = {*self.tops, *self._titles, *self.fresh, *self._open}
        self.tops.clear()
        self.tops.update(tops)
        self._stack[:] = tops
        before, self._open = self._open, {top.client: window for window, top in tops.items() if top.is_mapped}
        self._news += [_News("closed", client) for client in before if client not in self._open]
        self._news += [_News("opened", client) for client in self._open if client not in before]
        # A client whose frame is not mapped is renamed, too, once that is.
        self.fresh = dict.fromkeys([*tops, *(top.client for top in tops.values())])
        self.untitled = dict.fromkeys(self.fresh)
        self.gone |= former
        self.gone -= self.fresh.keys()

    def add(self, window: int) -> None:
        """Note that the root window has a child."""
        if window in self.tops:
            return
        if window in self.gone:  # the id of a former window
            self.gone.discard(window)
            for news in self._news:
                if news.client == window:
                    news.title = self._title_of(news)
            self._titles.pop(window, None)
            self._ignored.discard(window)
        self.tops[window] = Top(window)
        self._stack.append(window)
        self.fresh[window] = self.untitled[window] = None

    def remove(self, window: int) -> None:
        """Note that a window is no child of the root window."""
        if window in self.tops:
            self.hide(window)
            del self.tops[window]
            self._stack.remove(window)

    def destroy(self, window: int) -> None:
        """Note that there is no such window any more."""
        self.gone.add(window)
        self.fresh.pop(window, None)  # (3)
        self.untitled.pop(window, None)
        self.remove(window)

    def show(self, window: int) -> None:
        """Note that a child of the root window is mapped."""
        top = self.tops[window]
        top.is_mapped = True
        if top.client not in self._open:
            self._news.append(_News("opened", top.client))
            self.untitled[top.client] = None
        self._open[top.client] = window  # also where it was open in a frame that is left now

    def hide(self, window: int) -> None:
        """Note that a child of the root window is not mapped."""
        top = self.tops.get(window)
        if top is None or not top.is_mapped:
            return
        top.is_mapped = False
        if self._open.get(top.client) == window:
            del self._open[top.client]
            self._news.append(_News("closed", top.client))

    def enframe(self, client: int, frame: int) -> None:
        """Note that a child of the root window is the frame around a client."""
        top = self.tops[frame]
        was_mapped = top.is_mapped
        self.hide(frame)
        top.client = client
        if was_mapped:
            self.show(frame)

    def restack(self, window: int, below: int) -> None:
        """Note that a window is above the sibling `below` now, or at the bottom (0)."""
        top = self.tops.get(window)
        if top is None or (below and below not in self.tops):
            return
        before = self._stack.index(window)
        del self._stack[before]
        after = self._stack.index(below) + 1 if below else 0
        self._stack.insert(after, window)
        if after != before and self._open.get(top.client) == window:
            self._news.append(_News("restacked", top.client))

    def raise_above_all(self, window: int) -> None:
        """Note that a window is above all others."""
        others = [other for other in self._stack if other != window]
        self.restack(window, others[-1] if others else 0)

    def name(self, titles: Mapping[int, str]) -> None:
        """Note the titles of windows, which were queried after all that is known by now."""
        opened = {news.client for news in self._news if news.kind == "opened"}
        for window, title in titles.items():
            if window in self._open and window not in opened and self._titles.get(window, title) != title:
                self._news.append(_News("renamed", window))
            self._titles[window] = title

    def ignore(self, window: int) -> None:
        """Report no events of a window: an InputOnly one, or that by which a window manager shows that it runs."""
        self._ignored.add(window)

    def _title_of(self, news: _News) -> str:
        return self._titles.get(news.client, "") if news.title is None else news.title
