"""The top-level windows of a screen, and the programs' windows inside the frames of a window manager.

All windows are asked at once, so that the round trips grow with the depth of the frames, not with their number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from Xlib import X, Xatom

from xshm.errors import ServerError
from xshm.x11.cookie import Cookie
from xshm.x11.protocol import core
from xshm.x11.windows.properties import Atoms, has_state, window_id

if TYPE_CHECKING:
    from xshm.x11.connection import Connection

INPUT_OUTPUT: Final = X.InputOutput
VIEWABLE: Final = X.IsViewable
UNMAPPED: Final = X.IsUnmapped
_DEEPEST: Final = 1 << 14  # windows inside of each other; toolkits have dozens
_WALKS: Final = 5
_DEEPEST_FRAME: Final = 3  # windows between the root and a client, in those window managers that have the most


@dataclass(slots=True)
class TopLevel:
    """A child of the root window: its outline on the root window, and the `client` inside, which may be itself."""

    window: int
    client: int
    outer: tuple[int, int, int, int]  # x, y, width, height, with the border
    border: int
    depth: int


def top_levels(connection: Connection, atoms: Atoms, root: int, *, mapped: bool = True) -> list[TopLevel]:
    """Return the root window's children that have pixels (InputOutput), from the bottom to the top.

    Those that are mapped, or with `mapped=False` those that are not.

    A window manager marks the windows it looks after with WM_STATE (ICCCM 2.0, section 4.1.3.1), which is how a client
    is told from its frame. Where no manager runs, every child is its own client.
    """
    tree = Cookie(connection, core.QueryTree, window=root)
    attributes = Cookie(connection, core.GetWindowAttributes, window=root)
    check = atoms.ask(root, atoms.net_check, Xatom.WINDOW)
    own = window_id(check)  # a window manager's sign that it is there, one pixel off the screen
    children = [child.id for child in tree.reply().children if child.id != own]
    managed = bool(attributes.reply().all_event_masks & X.SubstructureRedirectMask)
    asked = [
        (
            child,
            Cookie(connection, core.GetWindowAttributes, window=child),
            Cookie(connection, core.GetGeometry, drawable=child),
            atoms.ask(child, atoms.state) if managed else None,
        )
        for child in children
    ]
    found, frames = [], []
    for child, attributes, geometry, state in asked:
        top = _top_level(child, attributes.reply_or_none(), geometry.reply_or_none(), mapped=mapped)
        is_client = state is not None and has_state(state)
        if top is None:
            continue
        found.append(top)
        if managed and not is_client:
            frames.append(top)
    _find_clients(connection, atoms, frames)
    return found


def ancestors(connection: Connection, window: int) -> list[int]:
    """Return a window's parent, its parent and so on, without the root window. Raises BadWindow."""
    for _ in range(_WALKS):  # what is reparented on the way may be met twice
        found = _walk_up(connection, window)
        if found is not None:
            return found
    raise connection.nonsense("QueryTree", f"the window {window:#x} is inside of itself, in {_WALKS} looks")


def _walk_up(connection: Connection, window: int) -> list[int] | None:
    """Return a window's ancestors; None where one of them comes twice."""
    met = {window: None}  # in order
    while len(met) <= _DEEPEST:
        reply = connection.request(core.QueryTree, window=next(reversed(met)))
        if reply.parent == X.NONE or reply.parent.id == reply.root.id:
            return list(met)[1:]
        if reply.parent.id in met:
            return None
        met[reply.parent.id] = None
    raise connection.nonsense("QueryTree", f"the window {window:#x} has more than {_DEEPEST} ancestors")


def client_of(connection: Connection, atoms: Atoms, window: int) -> int:
    """Return the client that a window is, is a part of, or is the frame of. Raises BadWindow."""
    chain = [window, *ancestors(connection, window)]
    asked = [atoms.ask(each, atoms.state) for each in chain]
    marked = [each for each, state in zip(chain, asked, strict=True) if has_state(state)]
    if marked:
        return marked[0]
    top = TopLevel(chain[-1], chain[-1], (0, 0, 1, 1), 0, 0)
    _find_clients(connection, atoms, [top])
    return top.client


def _top_level(window: int, attributes: Any, geometry: Any, *, mapped: bool) -> TopLevel | None:
    if attributes is None or geometry is None or attributes.win_class != X.InputOutput:
        return None
    if mapped != (attributes.map_state != X.IsUnmapped):
        return None
    border = geometry.border_width
    return TopLevel(
        window,
        window,
        (geometry.x, geometry.y, geometry.width + 2 * border, geometry.height + 2 * border),
        border,
        geometry.depth,
    )


def _find_clients(connection: Connection, atoms: Atoms, frames: list[TopLevel]) -> None:
    """Set `client` where a window with WM_STATE lies inside.

    Resource ids tell whose a window is: a frame and what decorates it are the manager's, the client is another
    program's. So one window of a frame is asked, not all of its fifty handles and buttons.
    """
    mask = connection.info.resource_id_mask
    looking = {frame.window: (frame, [frame.window]) for frame in frames}
    for _ in range(_DEEPEST_FRAME):
        trees = [
            (frame, [Cookie(connection, core.QueryTree, window=window) for window in windows])
            for frame, windows in looking.values()
        ]
        asked = []
        looking = {}
        for frame, replies in trees:
            children = [child.id for reply in replies for child in _children(reply)]
            own = [child for child in children if not (child ^ frame.window) & ~mask]
            others = [child for child in children if (child ^ frame.window) & ~mask]
            asked.append((frame, own, [(child, atoms.ask(child, atoms.state)) for child in others]))
        for frame, own, states in asked:
            marked = [child for child, state in states if has_state(state)]
            if marked:
                frame.client = marked[0]
            elif own:
                looking[frame.window] = (frame, own)
        if not looking:
            return


def _children(asked: Cookie) -> list[Any]:
    try:
        return list(asked.reply().children)
    except ServerError:
        return []  # it was destroyed meanwhile
