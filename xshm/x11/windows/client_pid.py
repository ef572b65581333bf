"""The pids of windows: the server's (X-Resource 1.2, LocalClientPID), or else the window's own (_NET_WM_PID).

1. The server's comes first: it is the socket's peer in the server's PID namespace, while a program in a sandbox sets
   _NET_WM_PID to its pid inside.
2. A window whose WM_CLIENT_MACHINE is another host has no process here: the server's pid is then that of the process
   that forwards its connection, such as sshd.
3. A pid is returned only if there is such a process now.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from xshm.errors import ServerError
from xshm.x11.cookie import Cookie
from xshm.x11.protocol.xlib import res

if TYPE_CHECKING:
    from xshm.x11.connection import Connection
    from xshm.x11.windows.properties import WindowProperties

_EVERY_CLIENT: Final = 0  # in place of a resource id


class ClientPids:
    """The pids of all clients of the server: one request, queued when this is made."""

    def __init__(self, connection: Connection) -> None:
        self._mask = connection.info.resource_id_mask
        found = connection.extension("X-Resource")
        specs = [{"client": _EVERY_CLIENT, "mask": res.LocalClientPIDMask}]
        self._asked = Cookie(connection, res.QueryClientIds, opcode=found.major, specs=specs) if found else None
        self._known: dict[int, int] | None = None  # client (the base of its resource ids): pid
        self._host = socket.gethostname().partition(".")[0]

    def pid_of(self, window: int, properties: WindowProperties) -> int | None:
        """Return the pid of the process on this machine that made a window; None where the rules above yield none."""
        machine = properties.machine().partition(".")[0]
        if machine and machine != self._host:
            return None
        pid = self.by_client().get(window & ~self._mask) or properties.pid()
        return pid if pid and Path(f"/proc/{pid}").exists() else None

    def by_client(self) -> dict[int, int]:
        """Return the pid of each client of this machine, by the base of its resource ids; {} where none is known."""
        if self._known is None:
            self._known = {}
            with suppress(ServerError):  # BadRequest: X-Resource is older than 1.2
                ids = self._asked.reply().ids if self._asked else ()
                self._known = {each.spec.client: each.value[0] for each in ids if each.value}
        return self._known
