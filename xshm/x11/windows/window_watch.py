"""A watch of a screen's top-level windows: which are opened, closed, renamed and restacked (core protocol, ICCCM 2.0).

Where it is asked for, it also says which have moved, or have another size.

Three selections report what happens to windows; `known_windows` has what follows from that, which windows are open and
what has become of them:

- SubstructureNotify on the root window: its children, frames and clients, are created, mapped, unmapped, destroyed,
  restacked, and reparented into a frame or out of it.
- PropertyChange on the children, which are selected once they are reported, so that titles are known; a client keeps
  that selection inside its frame.
- StructureNotify on them, since a client may be mapped after its frame was.

Always true:

1. The thread that reads only queues messages; `update` does the rest, in the thread that has the watch. While nothing
   happens to the windows there is no request, and no wake-up.
2. Where a signal handler has interrupted `update`, or more came than the queue holds, all windows are queried anew.
"""

from __future__ import annotations

import struct
from collections import deque
from typing import TYPE_CHECKING, Final, Protocol, Self

from xshm.errors import ServerError
from xshm.system.deadlines import holding
from xshm.x11.cookie import Cookie
from xshm.x11.protocol import core
from xshm.x11.protocol.xlib import X, Xatom
from xshm.x11.windows.event_masks import WINDOWS
from xshm.x11.windows.known_windows import KnownWindows, Top
from xshm.x11.windows.properties import Title, window_id
from xshm.x11.windows.tree import ancestors, have_one_creator, top_levels

if TYPE_CHECKING:
    from collections.abc import Sequence
    from threading import Lock

    from xshm.x11.connection import Connection
    from xshm.x11.windows.event_masks import EventMasks
    from xshm.x11.windows.known_windows import WindowEvent
    from xshm.x11.windows.properties import Atoms

_OF_ROOT: Final = X.SubstructureNotifyMask
_OF_CHILDREN: Final = X.StructureNotifyMask | X.PropertyChangeMask
_MOST_MESSAGES: Final = 1 << 14  # in the queue, between two calls of `update`
_MOST_EVENTS: Final = 1 << 12  # that are kept; the oldest are dropped
_OF_CHILD: Final = frozenset(
    (X.CreateNotify, X.DestroyNotify, X.UnmapNotify, X.MapNotify, X.ReparentNotify, X.CirculateNotify)
)
_OF_CLIENT: Final = (X.DestroyNotify, X.UnmapNotify, X.MapNotify)
_THIRD = struct.Struct("=12xI")  # the new parent, or the sibling below
_PLACE = struct.Struct("=16xB")  # CirculateNotify


class WatchContext(Protocol):
    """What a watch needs of a connection; `drawables.WindowContext` is one."""

    connection: Connection
    root: int
    atoms: Atoms
    masks: EventMasks
    lock: Lock


class _Listener:
    """A Holder that puts the messages which matter into the watch's queue. It refers to no watch: that would cycle."""

    __slots__ = ("__weakref__", "_above", "_names", "_of_client", "_queue", "_tops", "_with_moves", "mask")

    def __init__(
        self, mask: int, queue: deque[bytes], tops: dict[int, Top], names: frozenset[int], *, with_moves: bool
    ) -> None:
        self.mask = mask
        self._queue = queue
        self._tops = tops
        self._names = names  # the atoms of titles
        self._with_moves = with_moves
        self._of_client = (*_OF_CLIENT, X.ConfigureNotify) if with_moves else _OF_CLIENT
        self._above: dict[int, int] = {}  # by window, the sibling below it, of the last ConfigureNotify

    def notify(self, message: bytes) -> None:
        """Queue a message, as a Holder."""
        code = message[0]  # those by SendEvent have a higher one: what other clients say is no fact
        on, about = WINDOWS.unpack_from(message)
        if code == X.PropertyNotify:
            matters = about in self._names
        elif self.mask != _OF_ROOT:  # of children of the root window, the root window's events are enough
            matters = code in self._of_client and on not in self._tops
        elif code == X.ConfigureNotify and not self._with_moves:
            # A window that is dragged sends one for each step: only another place in the stack is news.
            (above,) = _THIRD.unpack_from(message)
            matters = self._above.get(about) != above
            self._queue += (message,) if matters else ()
            self._above[about] = above  # last: if a signal handler raises before, the message comes again
            return
        else:
            matters = code in _OF_CHILD or code == X.ConfigureNotify
            if code == X.DestroyNotify:
                self._above.pop(about, None)
        if matters:
            self._queue.append(message)


class WindowWatch:
    """A watch of all top-level windows, from now until `close`; a Waitable (`x11.protocol.requests`).

        with WindowWatch(context) as watch:
            while ...:
                connection.wire.wait_for(watch, timeout)        # until `done`; RequestTimeout when the time is over
                for event in watch.update():
                    ...
        watch.opened, watch.closed

    `done`: something has happened since the last `update`, though none of it may be an event. For one thread; any
    number of watches may share a connection. Titles are queried by `update`: where it is called as soon as `done` is
    set, windows that vanish again have theirs. One that was destroyed before the reply is reported all the same, with
    the title "". No event is reported of InputOnly windows.

    `with_moves`: `take_moved` tells, too, which are elsewhere. Then each step of a window that is dragged is a wake-up.
    """

    def __init__(self, context: WatchContext, *, with_moves: bool = False) -> None:
        self._context = context
        self._moved: set[int] | None = set() if with_moves else None
        self._queue: deque[bytes] = deque(maxlen=_MOST_MESSAGES)
        self._known = KnownWindows()
        self._events: deque[WindowEvent] = deque(maxlen=_MOST_EVENTS)
        names = frozenset((int(Xatom.WM_NAME), context.atoms.net_name))
        to = self._queue, self._known.tops, names
        self._of_root: _Listener | None = _Listener(_OF_ROOT, *to, with_moves=with_moves)
        self._of_children: _Listener | None = _Listener(_OF_CHILDREN, *to, with_moves=with_moves)
        self._is_unsure = True  # rule 2
        self._query_all()
        self._known.take_events()  # what was there before
        self._is_unsure = False

    @property
    def done(self) -> bool:
        """Whether something has happened since the last `update`."""
        return bool(self._queue) or self._is_unsure

    @property
    def windows(self) -> dict[int, str]:
        """The windows that are open, by id, with their titles; as of the last `update`."""
        return self._known.open

    @property
    def stack(self) -> list[int]:
        """The windows that are open, by id, from the lowest to the highest; as of the last `update`."""
        return self._known.stack

    def take_moved(self) -> set[int]:
        """Return the ids of windows that may be elsewhere, or of another size, since the last call.

        It is as of the last `update`, and empty without `with_moves`. Ids of frames and of windows that are not open
        are among them.
        """
        if not self._moved:
            return set()
        moved, self._moved = self._moved, set()
        return moved

    @property
    def events(self) -> tuple[WindowEvent, ...]:
        """All events so far; of more than 4,096 the last."""
        return tuple(self._events)

    @property
    def opened(self) -> dict[int, str]:
        """The windows that came, by id, with their last titles; also those that went again.

        Of several windows that had the same id, one after the other, it has the last; `events` has all.
        """
        titles = {event.id: event.title for event in self._events}
        return {event.id: titles[event.id] for event in self._events if event.kind == "opened"}

    @property
    def closed(self) -> dict[int, str]:
        """The windows that went, by id, with their titles; also those that came again."""
        return {event.id: event.title for event in self._events if event.kind == "closed"}

    def update(self) -> list[WindowEvent]:
        """Process what has happened; return the events since the last call. Without news there is no round trip."""
        if not self.done:
            return []
        if len(self._queue) >= _MOST_MESSAGES:
            self._is_unsure = True
        was_unsure, self._is_unsure = self._is_unsure, True
        if was_unsure:
            self._query_all()
        else:
            while self._queue:
                message = self._queue.popleft()
                self._process(message)
                if self._moved is not None and message[0] != X.PropertyNotify:
                    _, about = WINDOWS.unpack_from(message)
                    top = self._known.tops.get(about)
                    self._moved |= {about} if top is None else {about, top.client}
            self._query_new()
        events = self._known.take_events()
        self._events.extend(events)
        self._is_unsure = False
        return events

    def close(self) -> None:
        """Deselect the events. Closing twice is fine; what was seen can be read afterwards."""
        self._of_root = self._of_children = None  # the masks refer to them weakly
        self._queue.clear()
        self._is_unsure = False
        if not self._context.connection.closed:
            holding(self._context.lock, self._context.masks.collect_dropped)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- messages ----------------------------------------------------------------------------------------------------

    def _process(self, message: bytes) -> None:
        """Note what a message reports; its requests are made by `_query_new`, for all messages at once."""
        known, code = self._known, message[0]
        on, about = WINDOWS.unpack_from(message)
        if code == X.PropertyNotify:
            known.untitled[on] = None
        elif code == X.DestroyNotify:
            known.destroy(about)
        elif on != self._context.root:
            pass  # a client was mapped, unmapped or moved in its frame: a wake-up, since it may be viewable now
        elif code == X.UnmapNotify:
            known.hide(about)
        elif code == X.ConfigureNotify:
            known.restack(about, *_THIRD.unpack_from(message))
        elif code == X.CirculateNotify:
            if _PLACE.unpack_from(message)[0] == X.PlaceOnTop:
                known.raise_above_all(about)
            else:
                known.restack(about, X.NONE)
        elif code == X.ReparentNotify and (parent := _THIRD.unpack_from(message)[0]) != self._context.root:
            known.remove(about)
            self._enframe(about, parent)
        else:  # created, mapped, or reparented back to the root window
            known.add(about)
            if code == X.MapNotify:
                known.show(about)

    def _enframe(self, client: int, parent: int) -> None:
        """Note that a window manager has put a client into a frame, or a program a window into another.

        What a program puts into a window of its own is a part of that one: Tk's toplevels, whose wrapper has the title.
        """
        connection, tops = self._context.connection, self._known.tops
        if parent not in tops:  # a part of a frame
            try:
                parent = [parent, *ancestors(connection, parent)][-1]
            except ServerError:  # it was destroyed
                return
        if self._moved is not None:
            self._moved.add(client)
        top = tops.get(parent)
        if top is not None and top.client != client and not have_one_creator(connection, client, parent):
            self._known.enframe(client, parent)

    # -- requests ----------------------------------------------------------------------------------------------------

    def _query_all(self) -> None:
        """Query all windows anew; the differences to what was known are news."""
        context = self._context
        self._queue.clear()  # first: what comes from now on is newer
        self._select(self._of_root, (context.root,))
        # InputOnly windows are in the tree, not among the top levels.
        tree = Cookie(context.connection, core.QueryTree, window=context.root)
        found = {top.window: top for top in top_levels(context.connection, context.atoms, context.root, mapped=None)}
        children = [child.id for child in tree.reply().children]
        clients = ((window, found.get(window)) for window in children)
        if self._moved is not None:
            self._moved |= {each.client for each in found.values()}
        self._known.replace(
            {window: Top(top.client, is_mapped=top.is_mapped) if top else Top(window) for window, top in clients}
        )
        self._query_new()

    def _query_new(self) -> None:
        """Select the events of new windows, then query titles: one that is set after that is reported."""
        context, known = self._context, self._known
        if known.gone and self._of_children is not None:
            holding(context.lock, context.masks.release, self._of_children, tuple(known.gone))
        fresh = list(known.fresh)
        self._select(self._of_children, fresh)
        untitled = list(known.untitled)
        classes = [Cookie(context.connection, core.GetWindowAttributes, window=window) for window in fresh]
        check = context.atoms.get_property(context.root, context.atoms.net_check, Xatom.WINDOW)
        titles = [Title(context.atoms, window) for window in untitled]
        for window, cookie in zip(fresh, classes, strict=True):
            attributes = cookie.reply_or_none()
            if attributes is not None and attributes.win_class == X.InputOnly:
                known.ignore(window)
        if (managers := window_id(check)) is not None:
            known.ignore(managers)
        texts = [title.text() for title in titles]
        # Ids are used again at once: a reply that came after another window's creation is perhaps that one's title.
        again = {WINDOWS.unpack_from(message)[1] for message in tuple(self._queue) if message[0] == X.CreateNotify}
        named = zip(untitled, texts, strict=True)
        # Without a text it was destroyed: the last one stays.
        known.name({window: text for window, text in named if text is not None and window not in again})
        known.fresh.clear()
        known.untitled.clear()

    def _select(self, listener: _Listener | None, windows: Sequence[int]) -> None:
        if listener is not None and windows:
            holding(self._context.lock, self._context.masks.select, listener, windows)
