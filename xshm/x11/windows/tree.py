"""The window tree: a screen's top-level windows, and the clients (programs' windows) inside a window manager's frames.

Requests about all windows of a level are queued before the first reply is waited for, so that round trips grow with the
depth of the frames, not with their number. The tree may change while it is queried: a window that is destroyed is left
out, and one that is reparented may be met twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from xshm.errors import ServerError
from xshm.x11.cookie import Cookie
from xshm.x11.protocol import core
from xshm.x11.protocol.xlib import X, Xatom
from xshm.x11.windows.properties import Atoms, is_managed, window_id

if TYPE_CHECKING:
    from xshm.x11.connection import Connection

INPUT_OUTPUT: Final = X.InputOutput
VIEWABLE: Final = X.IsViewable
UNMAPPED: Final = X.IsUnmapped
_DEEPEST: Final = 1 << 14  # ancestors of a window, where toolkits have dozens: a server that returns more is broken
_WALKS: Final = 5  # tries to walk up a tree in which windows are being reparented
_DEEPEST_FRAME: Final = 3  # levels between a frame and its client, in those window managers that have the most


@dataclass(slots=True)
class TopLevel:
    """A child of the root window: its outline in root coordinates, and the `client` inside, which may be itself."""

    window: int
    client: int
    outer: tuple[int, int, int, int]  # x, y, width, height, with the border
    border: int
    depth: int
    is_mapped: bool = True


def top_levels(connection: Connection, atoms: Atoms, root: int, *, mapped: bool | None = True) -> list[TopLevel]:
    """Return the root window's children that have pixels (InputOutput), from the bottom to the top.

    They are the mapped ones, with `mapped=False` the others, with None all. A window manager sets WM_STATE on the
    clients that it manages (ICCCM 2.0, section 4.1.3.1), by which a client is found in its frame. Without a manager,
    which selects SubstructureRedirect on the root window, every child is its own client.
    """
    tree = Cookie(connection, core.QueryTree, window=root)
    attributes = Cookie(connection, core.GetWindowAttributes, window=root)
    check = atoms.get_property(root, atoms.net_check, Xatom.WINDOW)
    own = window_id(check)  # the manager's check window, which proves that a manager runs and is never visible
    children = [child.id for child in tree.reply().children if child.id != own]
    managed = bool(attributes.reply().all_event_masks & X.SubstructureRedirectMask)
    cookies = [
        (
            child,
            Cookie(connection, core.GetWindowAttributes, window=child),
            Cookie(connection, core.GetGeometry, drawable=child),
            atoms.get_property(child, atoms.state) if managed else None,
        )
        for child in children
    ]
    found, frames = [], []
    for child, attributes, geometry, state in cookies:
        top = _top_level(child, attributes.reply_or_none(), geometry.reply_or_none(), mapped=mapped)
        is_client = state is not None and is_managed(state)
        if top is None:
            continue
        found.append(top)
        if managed and not is_client:
            frames.append(top)
    _find_clients(connection, atoms, frames)
    return found


def ancestors(connection: Connection, window: int) -> list[int]:
    """Return a window's ancestors from its parent up, without the root window. Raises BadWindow."""
    for _ in range(_WALKS):
        found = _walk_up(connection, window)
        if found is not None:
            return found
    raise connection.nonsense("QueryTree", f"the window {window:#x} is inside of itself, in {_WALKS} looks")


def have_one_creator(connection: Connection, one: int, other: int) -> bool:
    """Return whether one client has created both windows, as their ids show: a program, or the window manager."""
    return not (one ^ other) & ~connection.info.resource_id_mask


def _walk_up(connection: Connection, window: int) -> list[int] | None:
    """Return a window's ancestors; None where one is met twice, since it was reparented during the walk."""
    met = {window: None}  # a dict: ordered, and quick to look up
    while len(met) <= _DEEPEST:
        reply = connection.request(core.QueryTree, window=next(reversed(met)))
        if reply.parent == X.NONE or reply.parent.id == reply.root.id:
            return list(met)[1:]
        if reply.parent.id in met:
            return None
        met[reply.parent.id] = None
    raise connection.nonsense("QueryTree", f"the window {window:#x} has more than {_DEEPEST} ancestors")


def client_of(connection: Connection, atoms: Atoms, window: int) -> int:
    """Return the client that a window is, is a part of, or is a frame of. Raises BadWindow."""
    chain = [window, *ancestors(connection, window)]
    states = [atoms.get_property(each, atoms.state) for each in chain]
    marked = [each for each, state in zip(chain, states, strict=True) if is_managed(state)]
    if marked:
        return marked[0]
    # Neither the window nor an ancestor is a client, so it is a part of a frame. Of `top` only `window` is read.
    top = TopLevel(chain[-1], chain[-1], (0, 0, 1, 1), 0, 0)
    _find_clients(connection, atoms, [top])
    return top.client


def _top_level(window: int, attributes: Any, geometry: Any, *, mapped: bool | None) -> TopLevel | None:
    """Return a child of the root window; None where it was destroyed, has no pixels, or is of the other kind."""
    if attributes is None or geometry is None or attributes.win_class != X.InputOutput:
        return None
    is_mapped = attributes.map_state != X.IsUnmapped
    if mapped not in (None, is_mapped):
        return None
    border = geometry.border_width
    return TopLevel(
        window,
        window,
        (geometry.x, geometry.y, geometry.width + 2 * border, geometry.height + 2 * border),
        border,
        geometry.depth,
        is_mapped,
    )


def _find_clients(connection: Connection, atoms: Atoms, frames: list[TopLevel]) -> None:
    """Set `client` of each frame in which a window with WM_STATE is found, level by level.

    A window's resource id shows its creator: frame and decorations are the manager's, the client is another program's.
    So WM_STATE is queried of a few windows only, not of the fifty handles and buttons that a frame may have.
    """
    searched = {frame.window: (frame, [frame.window]) for frame in frames}  # the manager's windows of this level
    for _ in range(_DEEPEST_FRAME):
        trees = [
            (frame, [Cookie(connection, core.QueryTree, window=window) for window in windows])
            for frame, windows in searched.values()
        ]
        levels = []
        searched = {}
        for frame, replies in trees:
            children = [child.id for reply in replies for child in _children(reply)]
            own = [child for child in children if have_one_creator(connection, child, frame.window)]
            others = [child for child in children if child not in own]
            levels.append((frame, own, [(child, atoms.get_property(child, atoms.state)) for child in others]))
        for frame, own, states in levels:
            marked = [child for child, state in states if is_managed(state)]
            if marked:
                frame.client = marked[0]
            elif own:
                searched[frame.window] = (frame, own)
        if not searched:
            return


def _children(cookie: Cookie) -> list[Any]:
    try:
        return list(cookie.reply().children)
    except ServerError:
        return []  # the window was destroyed
