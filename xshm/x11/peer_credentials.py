"""Peer credentials: which user's server is at the other end of a local socket, and may that user have a cookie.

Any user can listen under a name where a server is looked for, and would be sent the cookie of the real one. Therefore:

1. The user is the one that the kernel reports (SO_PEERCRED): the one who called listen(2), not the file's owner.
2. A cookie from a file that xshm has found ($XAUTHORITY, ~/.Xauthority) is sent to root, to our own user, and to the
   owner of that file, who knows the cookie anyway.
3. To any other user a cookie is sent only if the caller has passed the file's path, and so means that server.
4. The overflow uid, which in a user namespace stands for all users without a number there, counts as another user.

What does not work: over TCP, and on a kernel without SO_PEERCRED, no user is known, and there is no check.
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
    """The user whose process called listen(2), and that process, 0 where its PID namespace is not visible here."""

    pid: int
    uid: int


def credentials(sock: _socket.socket) -> Credentials | None:
    """Return the credentials of a connected socket's other end; None over TCP, and on kernels without SO_PEERCRED."""
    # The kernel stores them at listen(2): a later exec or setuid of the server does not change them.
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None or sock.family != socket.AF_UNIX:
        return None
    pid, uid, _ = _UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, option, _UCRED.size))
    return Credentials(pid, uid)


def check_may_have_cookie(sock: _socket.socket, address: str, authority: str, owner: int) -> None:
    """Raise UntrustedServer by the rules above; `owner` is the user whose file `authority` has the cookie."""
    peer = credentials(sock)
    us = os.geteuid()  # effective: the user that may read the authority file
    if peer is None or (peer.uid in (_ROOT, us, owner) and not may_be_anybody(peer.uid)):
        return
    process = f", process {peer.pid}" if peer.pid else ""
    raise UntrustedServer(
        errno.EACCES,
        f"the X server at {address} belongs to uid {peer.uid}{process}, who is neither root nor uid {us}, and is not "
        f"sent the cookie that {authority} has for it; if that server is meant, say so with xauthority={authority!r}",
    )
