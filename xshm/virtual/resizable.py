"""Resize the screen of a display, as far as its kind of server lets it.

Always true: a size that would end the server is not asked for. An Xvnc takes a greater one than it can show, and then
ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from xshm.errors import InvalidArgument
from xshm.virtual.kinds import choice
from xshm.virtual.spec import ScreenSpec
from xshm.x11.server.screen_resize import resize_screen

if TYPE_CHECKING:
    from xshm.drawables.screen import Screen
    from xshm.virtual.kinds.choice import ServerChoice

_GREATEST: Final = min(kind.greatest for kind in choice.KINDS.values())


def resize(screen: Screen, width: int, height: int, server: ServerChoice | None) -> None:
    """Give a screen another size; `server` is None where its kind is not known.

    Raises InvalidArgument, which says who has the size; ExtensionMissing.
    """
    size = ScreenSpec(width, height)
    kind = choice.KINDS[server.kind] if server is not None else None
    greatest = kind.greatest if kind is not None else _GREATEST
    if max(size.width, size.height) > greatest:
        raise InvalidArgument(f"this screen can be at most {greatest}x{greatest} pixels, not {width}x{height}")
    root = screen.connection.setup.root.id
    with screen.connection.decoding("RandR"):
        try:
            resize_screen(screen.connection, root, size.width, size.height, is_foreign=kind is None)
        except InvalidArgument as error:
            if kind is not None and kind.takes_any_size:
                raise
            raise InvalidArgument(f"{error}; {choice.who_takes_any_size()}") from error
