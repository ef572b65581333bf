"""Getting to know a server: connecting, showing the cookie, reading the set-up block."""

from __future__ import annotations

import errno
import sys
import time
import weakref
from typing import TYPE_CHECKING, Any, Final

from Xlib.protocol import display as xlib_display

from xshm.errors import AccessDenied, ConnectFailed, RequestTimeout, ServerNonsense
from xshm.system import limits
from xshm.system.deadlines import bounded
from xshm.system.kernel_errors import is_the_kernels
from xshm.system.printable import printable
from xshm.x11 import xauthority as xauth
from xshm.x11.protocol.decoding import Gate, believing_no_length

if TYPE_CHECKING:
    import _socket
    import os

    from xshm.x11.display_name import DisplayName, ServerSocket

_LITTLE, _BIG = 0x6C, 0x42
_REFUSED, _ACCEPTED, _MORE_WANTED = 0, 1, 2
_RESETS, _RESET_PAUSE = 5, 0.02
_SETUP: Any = xlib_display.ConnectionSetupRequest
_BODY: Any = believing_no_length(_SETUP._success_reply)
_CROWDED: Final = "Maximum number of clients"
_NAME: Final = "the set-up"  # in errors
# What the protocol promises: so many bits for ids, of so many that an id has; so many words for a request.
_LEAST_ID_BITS, _ID_BITS, _LEAST_WORDS, _LEAST_KEYCODE = 18, 29, 4096, 8
_GREATEST: Final = 0x7FFF  # X names coordinates up to here


class _Dropped(ConnectFailed):
    """The server took the connection and ended it before it had answered."""


def connect(
    display: DisplayName, xauthority: str | os.PathLike[str] | None, timeout: float | None, structures: Any
) -> tuple[ServerSocket, str, Any]:
    """Connect and introduce ourselves; return the socket, what it is connected to, and the set-up block.

    All of that in `timeout` seconds, or in what the thread has left (`deadlines`). `structures` is what python-xlib's
    objects in the block refer to as their display; weakly, since it will hold the block itself, and shall go with its
    last user. Raises ConnectFailed, AccessDenied, UntrustedServer before a cookie is sent, RequestTimeout where the
    server is there and does not answer, and ServerNonsense for a block that no server can mean.
    """
    structures = weakref.proxy(structures)
    timeout = bounded(timeout)
    deadline = None if timeout is None else time.monotonic() + timeout
    # A server that resets itself when its last client has left also drops who connects at that moment.
    for attempts_left in reversed(range(_RESETS)):
        with limits.Named(ConnectFailed, f"{display.name!r} can't be connected to"):
            sock, address = display.connect(_left(deadline))
        try:
            return sock, address, _set_up(display, sock, address, xauthority, structures, deadline)
        except _Dropped as dropped:
            sock.close()
            if not attempts_left:
                raise ConnectFailed(dropped.errno, dropped.strerror) from dropped
            time.sleep(_RESET_PAUSE)
        except BaseException:
            sock.close()
            raise
    raise AssertionError("the last attempt returns or raises")


def _left(deadline: float | None) -> float | None:
    return None if deadline is None else max(0.0, deadline - time.monotonic())


def _set_up(
    display: DisplayName,
    sock: _socket.socket,
    address: str,
    xauthority: str | os.PathLike[str] | None,
    structures: Any,
    deadline: float | None,
) -> Any:
    cookie, told = xauth.find_cookie(display, sock, xauthority, address)
    hello = _SETUP._request.to_binary(
        byte_order=_BIG if sys.byteorder == "big" else _LITTLE,
        protocol_major=11,
        protocol_minor=0,
        auth_prot_name=xauth.COOKIE if cookie else b"",
        auth_prot_data=cookie,
    )
    try:
        sock.settimeout(_left(deadline))
        sock.sendall(hello)
        head = _receive(sock, _SETUP._reply.static_size, deadline)
        data, _ = _SETUP._reply.parse_binary(head, structures, rawdict=True)
        body = _receive(sock, 4 * data["additional_length"], deadline)
    except (TimeoutError, BlockingIOError) as error:  # the latter where no time was left to wait for more
        if not is_the_kernels(error):
            raise
        raise RequestTimeout(f"the X server at {address} took the connection and did not answer in time") from None
    except ConnectionError as error:
        if not is_the_kernels(error):
            raise
        raise _Dropped(
            errno.ECONNRESET, f"the X server at {address} ended the connection while it was set up"
        ) from error
    if data["status"] not in (_REFUSED, _ACCEPTED, _MORE_WANTED):
        raise ServerNonsense(_NAME, f"it begins with {data['status']}, which is neither yes nor no; is it an X server?")
    if data["status"] != _ACCEPTED:
        reason = body[: data["reason_length"] or None].rstrip(b"\0\n ").decode(errors="replace")
        if _CROWDED in reason:
            raise ConnectFailed(
                errno.EAGAIN, f"the X server at {display.name!r} ({address}) has no room: {printable(reason)}"
            )
        raise AccessDenied(
            errno.EACCES, f"the X server at {display.name!r} ({address}) refused: {printable(reason)}; {told}"
        )
    info = _SETUP.__new__(_SETUP)
    with Gate(_NAME):
        success, _ = _BODY.parse_binary(body, structures, rawdict=True)
        info._data = data | success
        _check(info)
    return info


def _check(info: Any) -> None:
    """Raise what is wrong with a set-up block that could be read. Formats are looked at when they are used."""
    mask, base = info.resource_id_mask, info.resource_id_base
    step = mask & -mask
    if mask.bit_count() < _LEAST_ID_BITS or (mask + step) & mask or base & mask or (base | mask) >> _ID_BITS:
        raise ValueError(f"resource ids of base {base:#x} and mask {mask:#x}")
    if not _LEAST_KEYCODE <= info.min_keycode <= info.max_keycode:
        raise ValueError(f"key codes from {info.min_keycode} to {info.max_keycode}")
    if info.max_request_length < _LEAST_WORDS:
        raise ValueError(f"requests of {info.max_request_length} words at most, where {_LEAST_WORDS} are the least")
    if max(info.image_byte_order, info.bitmap_format_bit_order) > 1:
        raise ValueError(f"byte order {info.image_byte_order}, bit order {info.bitmap_format_bit_order}")
    if not info.roots:
        raise ValueError("no screen")
    for screen in info.roots:
        size = screen.width_in_pixels, screen.height_in_pixels
        if not screen.root.id or not all(0 < each <= _GREATEST for each in size):
            raise ValueError(f"a screen of {size[0]}x{size[1]} with the root window {screen.root.id:#x}")


def _receive(sock: _socket.socket, count: int, deadline: float | None) -> bytes:
    """Return so many bytes; after the deadline only what has arrived by then is taken."""
    data = bytearray()
    while len(data) < count:
        sock.settimeout(_left(deadline))
        part = sock.recv(count - len(data))
        if not part:
            raise ConnectionResetError
        data += part
    return bytes(data)
