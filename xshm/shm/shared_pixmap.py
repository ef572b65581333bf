"""Shared pixmaps: pixmaps whose pixels are the memory of an attached segment (ShmCreatePixmap, MIT-SHM).

The server draws from and into the segment itself: a CopyArea from such a pixmap copies pixels that no request carried.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xshm.errors import ServerError
from xshm.x11.protocol import core, mit_shm

if TYPE_CHECKING:
    from xshm.shm.transport import Transport
    from xshm.x11.connection import Connection
    from xshm.x11.io.resources import ServerResource


class SharedPixmaps:
    """Makes shared pixmaps of one depth, on the screen whose root window is `root`."""

    def __init__(self, connection: Connection, transport: Transport, root: int, depth: int) -> None:
        self._connection = connection
        self._opcode = transport.opcode
        self._root = root  # names the screen in CreatePixmap, which takes any drawable of it
        self._depth = depth

    def make(self, shmseg: int, width: int, height: int) -> ServerResource:
        """Return a pixmap over the beginning of an attached segment. One round trip; raises the server's error.

        The pixmap exists as long as the returned id is held, or until `free`.
        """
        connection = self._connection
        # The id first: from here on the pixmap is freed with the last reference to it, whatever is raised.
        pixmap = connection.resources.new_id(core.FreePixmap, "pixmap")
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
            self.free(pixmap)  # now, not when the traceback that refers to it goes
            raise
        return pixmap

    def free(self, pixmap: ServerResource) -> None:
        """Have the server free a pixmap that `make` returned."""
        self._connection.resources.free(pixmap)
