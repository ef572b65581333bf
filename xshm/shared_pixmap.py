"""Pixmaps whose pixels are shared memory: the server copies out of them what it was never sent (MIT-SHM 1.2)."""

from __future__ import annotations

from collections import deque
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING

from xshm.errors import ServerError
from xshm.x11 import mit_shm
from xshm.x11.messages import Pending
from xshm.x11.put import pack_free_pixmap

if TYPE_CHECKING:
    from collections.abc import Callable

    from xshm.transport import Transport
    from xshm.x11.connection import Connection


class SharedPixmap(int):
    """A pixmap's id. When it goes, a note is taken (in C throughout) that the server shall free the pixmap."""

    let_go: Callable[[], None]
    __del__ = property(attrgetter("let_go"))


class SharedPixmaps:
    """Makes pixmaps of one depth, on the screen whose root window is `root`."""

    def __init__(self, connection: Connection, transport: Transport, root: int, depth: int) -> None:
        self._connection = connection
        self._opcode = transport.opcode
        self._root = root
        self._depth = depth
        self._gone: deque[tuple[int, Pending]] = deque()

    def make(self, shmseg: int, width: int, height: int) -> SharedPixmap:
        """Return a pixmap over the beginning of an attached segment. One round trip; raises the server's error."""
        self.free_those_gone()
        connection = self._connection
        pixmap = SharedPixmap(connection.allocate_resource_id())
        free = Pending(pack_free_pixmap(pixmap))
        pixmap.let_go = partial(self._gone.append, (int(pixmap), free))
        made = connection.send(
            mit_shm.CreatePixmap,
            opcode=self._opcode,
            pid=pixmap,
            drawable=self._root,
            width=width,
            height=height,
            depth=self._depth,
            shmseg=shmseg,
            offset=0,
        )
        try:
            connection.check(made, doing="ShmCreatePixmap")
        except ServerError:
            del pixmap.let_go
            connection.free_resource_id(pixmap)
            raise
        return pixmap

    def free_those_gone(self) -> None:
        """Have the server free what nobody holds any more: once, however often it is tried."""
        while self._gone:
            pixmap, free = self._gone[0]
            if not free.serial:
                self._connection.wire.send(free)
                self._connection.free_resource_id(pixmap)
            del self._gone[0]
