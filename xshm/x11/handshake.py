"""Getting to know a server: connecting, showing the cookie, reading the set-up block."""

from __future__ import annotations

import errno
import sys
import time
import weakref
from typing import TYPE_CHECKING, Any, Final

from Xlib.protocol import display as xlib_display

from xshm.errors import AccessDenied, ConnectFailed, RequestTimeout
from xshm.x11 import xauth

if TYPE_CHECKING:
    import _socket
    import os

    from xshm.x11.address import DisplayName, ServerSocket

_LITTLE, _BIG = 0x6C, 0x42
_ACCEPTED = 1
_RESETS, _RESET_PAUSE = 5, 0.02
_SETUP: Any = xlib_display.ConnectionSetupRequest
_CROWDED: Final = "Maximum number of clients"


class _Dropped(ConnectFailed):
    """The server took the connection and ended it before it had answered."""


def connect(
    display: DisplayName, xauthority: str | os.PathLike[str] | None, timeout: float | None, structures: Any
) -> tuple[ServerSocket, str, Any]:
    """Connect and introduce ourselves; return the socket, what it is connected to, and the set-up block.

    `structures` is what python-xlib's objects in the block refer to as their display; weakly, since it will hold the
    block itself, and shall go with its last user. Raises ConnectFailed, AccessDenied, and RequestTimeout where the
    server is there and does not answer.
    """
    structures = weakref.proxy(structures)
    # A server that resets itself when its last client has left also drops who connects at that moment.
    for attempts_left in reversed(range(_RESETS)):
        sock, address = display.connect(timeout)
        try:
            return sock, address, _set_up(display, sock, address, xauthority, structures)
        except _Dropped as dropped:
            sock.close()
            if not attempts_left:
                raise ConnectFailed(dropped.errno, dropped.strerror) from dropped
            time.sleep(_RESET_PAUSE)
        except BaseException:
            sock.close()
            raise
    raise AssertionError("the last attempt returns or raises")


def _set_up(
    display: DisplayName, sock: _socket.socket, address: str, xauthority: str | os.PathLike[str] | None, structures: Any
) -> Any:
    cookie, told = xauth.find(display, sock, xauthority)
    hello = _SETUP._request.to_binary(
        byte_order=_BIG if sys.byteorder == "big" else _LITTLE,
        protocol_major=11,
        protocol_minor=0,
        auth_prot_name=xauth.COOKIE if cookie else b"",
        auth_prot_data=cookie,
    )
    try:
        sock.sendall(hello)
        head = _receive(sock, _SETUP._reply.static_size)
        data, _ = _SETUP._reply.parse_binary(head, structures, rawdict=True)
        body = _receive(sock, 4 * data["additional_length"])
    except TimeoutError:
        raise RequestTimeout(f"the X server at {address} took the connection and did not answer in time") from None
    except ConnectionError as error:
        raise _Dropped(
            errno.ECONNRESET, f"the X server at {address} ended the connection while it was set up"
        ) from error
    if data["status"] != _ACCEPTED:
        reason = body[: data["reason_length"] or None].rstrip(b"\0\n ").decode(errors="replace")
        if _CROWDED in reason:
            raise ConnectFailed(errno.EAGAIN, f"the X server at {display.name!r} ({address}) has no room: {reason}")
        raise AccessDenied(errno.EACCES, f"the X server at {display.name!r} ({address}) refused: {reason}; {told}")
    success, _ = _SETUP._success_reply.parse_binary(body, structures, rawdict=True)
    info = _SETUP.__new__(_SETUP)
    info._data = data | success
    return info


def _receive(sock: _socket.socket, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        part = sock.recv(count - len(data))
        if not part:
            raise ConnectionResetError
        data += part
    return bytes(data)
