"""Pixmaps whose pixels are shared memory: the server copies out of them what it was never sent (MIT-SHM 1.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xshm.errors import ServerError
from xshm.x11.protocol import core, mit_shm

if TYPE_CHECKING:
    from xshm.shm.transport import Transport
    from xshm.x11.connection import Connection
    from xshm.x11.io.release_queue import ServerResource


class SharedPixmaps:
    """Makes pixmaps of one depth, on the screen whose root window is `root`."""

    def __init__(self, connection: Connection, transport: Transport, root: int, depth: int) -> None:
        self._connection = connection
        self._opcode = transport.opcode
        self._root = root
        self._depth = depth

    def make(self, shmseg: int, width: int, height: int) -> ServerResource:
        """Return a pixmap over the beginning of an attached segment. One round trip; raises the server's error.

        The server has it for as long as what is returned is held, or until `free`.
        """
        connection = self._connection
        pixmap = connection.holdings.id(core.FreePixmap, "pixmap")
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
            self.free(pixmap)
            raise
        return pixmap

    def free(self, pixmap: ServerResource) -> None:
        """Have the server free what `make` returned."""
        self._connection.holdings.free(pixmap)
