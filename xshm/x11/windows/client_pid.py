"""Whose processes the windows are: what the server knows (X-Resource 1.2), what they say (_NET_WM_PID); checked."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING, Final

from Xlib.ext import res

from xshm.errors import ServerError
from xshm.x11.cookie import Cookie

if TYPE_CHECKING:
    from xshm.x11.connection import Connection
    from xshm.x11.windows.properties import WindowProperties

_EVERY_CLIENT: Final = 0


class ClientPids:
    """One question for all clients of the server, on its way, and then its answer."""

    def __init__(self, connection: Connection) -> None:
        self._mask = connection.info.resource_id_mask
        found = connection.extension("X-Resource")
        specs = [{"client": _EVERY_CLIENT, "mask": res.LocalClientPIDMask}]
        self._asked = Cookie(connection, res.QueryClientIds, opcode=found.major, specs=specs) if found else None
        self._known: dict[int, int] | None = None
        self._host = socket.gethostname().partition(".")[0]

    def of(self, window: int, claims: WindowProperties) -> int | None:
        """Return the id of the process on this machine that made a window, or None where nothing credible says so.

        The server's word comes first: a program in a sandbox knows itself by another number. A program that says it
        runs on another machine has no process here: the server sees only who forwards its connection.
        """
        machine = claims.machine().partition(".")[0]
        if machine and machine != self._host:
            return None
        pid = self._clients().get(window & ~self._mask) or claims.pid()
        return pid if pid and Path(f"/proc/{pid}").exists() else None

    def _clients(self) -> dict[int, int]:
        if self._known is None:
            self._known = {}
            try:
                ids = self._asked.reply().ids if self._asked else ()
            except ServerError:
                ids = ()  # older than 1.2
            for each in ids:
                if each.value:
                    self._known[each.spec.client] = each.value[0]
        return self._known
