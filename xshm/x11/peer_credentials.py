"""Who is at the other end of a local socket: any user can listen where a server is looked for, and ask for its cookie.

The kernel tells who called listen(2), SO_PEERCRED. A cookie goes to root, to us, and to who owns the file that it was
read from, who knows it anyway; to anybody else it goes only where its file was named by hand. TCP tells nobody's name.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from xshm.errors import UntrustedServer
from xshm.system.user_namespace import may_be_anybody

if TYPE_CHECKING:
    import _socket

_UCRED: Final = struct.Struct("iII")  # struct ucred: pid, uid, gid
_ROOT: Final = 0


class Credentials(NamedTuple):
    """The process that listens, 0 where its PID namespace can't be seen from here, and its user."""

    pid: int
    uid: int


def credentials(sock: _socket.socket) -> Credentials | None:
    """Return who listens at the other end of a connected socket; None over TCP, and where the kernel does not tell."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None or sock.family != socket.AF_UNIX:
        return None
    pid, uid, _ = _UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, option, _UCRED.size))
    return Credentials(pid, uid)


def check_may_have_cookie(sock: _socket.socket, address: str, authority: str, owner: int) -> None:
    """Raise UntrustedServer if a stranger listens; `owner` is the user whose file `authority` has the cookie."""
    peer = credentials(sock)
    us = os.geteuid()
    if peer is None or (peer.uid in (_ROOT, us, owner) and not may_be_anybody(peer.uid)):
        return
    process = f", process {peer.pid}" if peer.pid else ""
    raise UntrustedServer(
        errno.EACCES,
        f"the X server at {address} belongs to uid {peer.uid}{process}, who is neither root nor uid {us}, and is not "
        f"sent the cookie that {authority} has for it; if that server is meant, say so with xauthority={authority!r}",
    )
