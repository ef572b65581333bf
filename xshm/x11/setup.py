"""The connection setup: connect, send the cookie, read and check the setup block (core protocol, "Connection Setup").

When `connect` returns, the server is an X server, it has accepted the connection, and the numbers of the setup block
that are used without a further check are valid (`_check`). It takes `timeout` seconds at most. Where it raises, the
socket is closed. It is called once for each Connection, before any other thread has it.
"""

from __future__ import annotations

import errno
import sys
import time
import weakref
from typing import TYPE_CHECKING, Any, Final

from xshm._signal_safety import is_the_kernels
from xshm.errors import AccessDenied, ConnectFailed, RequestTimeout, ServerNonsense
from xshm.system import limits
from xshm.system.deadlines import bounded
from xshm.system.printable import printable
from xshm.x11 import xauthority as xauth
from xshm.x11.protocol.decoding import Decoding, with_checked_lists
from xshm.x11.protocol.xlib import protocol_display

if TYPE_CHECKING:
    import _socket
    import os

    from xshm.x11.display_name import DisplayName, ServerSocket

_LITTLE, _BIG = 0x6C, 0x42  # "l" and "B"
_REFUSED, _ACCEPTED, _AUTHENTICATE = 0, 1, 2
# Attempts, and seconds between them: a server that resets itself, after its last client has left, drops connections for
# tens of milliseconds.
_ATTEMPTS, _RESET_PAUSE = 5, 0.02
_SETUP: Any = protocol_display.ConnectionSetupRequest
_BODY: Any = with_checked_lists(_SETUP._success_reply)
_CROWDED: Final = "Maximum number of clients"  # as X.Org's servers word it
_NAME: Final = "the set-up"  # in errors
# The protocol's limits: bits of an id that are the client's, bits of an id, words of a request, key codes.
_LEAST_ID_BITS, _ID_BITS, _LEAST_WORDS, _LEAST_KEYCODE = 18, 29, 4096, 8
_DEEPEST, _PIXELS, _PADS = 32, (1, 4, 8, 16, 24, 32), (8, 16, 32)  # bits
_GREATEST: Final = 0x7FFF  # coordinates are signed 16-bit numbers


def connect(
    display: DisplayName, xauthority: str | os.PathLike[str] | None, timeout: float | None, xlib: Any
) -> tuple[ServerSocket, str, Any]:
    """Connect and do the connection setup; return the socket, the address, and the setup block.

    Takes `timeout` seconds at most, or what is left of the thread's deadline. `xlib` is the display that python-xlib's
    objects in the block refer to. Raises ConnectFailed, AccessDenied, UntrustedServer before a cookie is sent,
    RequestTimeout where the server accepts the connection and does not reply, ServerNonsense for an invalid block.
    """
    # `xlib` will refer to the block: without the proxy the cycle would keep the socket open after its last user.
    xlib = weakref.proxy(xlib)
    timeout = bounded(timeout)
    deadline = None if timeout is None else time.monotonic() + timeout
    attempts = _ATTEMPTS
    while True:
        attempts -= 1
        with limits.Explained(ConnectFailed, f"{display.name!r} can't be connected to"):
            sock, address = display.connect(_left(deadline))
        try:
            return sock, address, _set_up(display, sock, address, xauthority, xlib, deadline)
        except BaseException as error:
            sock.close()
            dropped = isinstance(error, ConnectFailed) and error.errno == errno.ECONNRESET
            if not (dropped and attempts):
                raise
            time.sleep(_RESET_PAUSE)


def _left(deadline: float | None) -> float | None:
    """Return the seconds until the deadline, 0.0 after it."""
    return None if deadline is None else max(0.0, deadline - time.monotonic())


def _set_up(
    display: DisplayName,
    sock: _socket.socket,
    address: str,
    xauthority: str | os.PathLike[str] | None,
    xlib: Any,
    deadline: float | None,
) -> Any:
    """Send the setup request with the cookie for this display; return the setup block."""
    # `origin` says which file the cookie is from, or why there is none: the end of an AccessDenied's message.
    cookie, origin = xauth.find_cookie(display, sock, xauthority, address)
    request = _SETUP._request.to_binary(
        byte_order=_BIG if sys.byteorder == "big" else _LITTLE,  # the server swaps, so that nothing here has to
        protocol_major=11,
        protocol_minor=0,
        auth_prot_name=xauth.COOKIE if cookie else b"",
        auth_prot_data=cookie,
    )
    try:
        sock.settimeout(_left(deadline))
        sock.sendall(request)
        head = _receive(sock, _SETUP._reply.static_size, deadline)
        data, _ = _SETUP._reply.parse_binary(head, xlib, rawdict=True)
        body = _receive(sock, 4 * data["additional_length"], deadline)
    except (TimeoutError, BlockingIOError) as error:  # the latter with a timeout of 0.0, after the deadline
        if not is_the_kernels(error):
            raise
        raise RequestTimeout(f"the X server at {address} took the connection and did not answer in time") from None
    except ConnectionError as error:
        if not is_the_kernels(error):
            raise
        message = f"the X server at {address} ended the connection while it was set up"
        raise ConnectFailed(errno.ECONNRESET, message) from error
    if data["status"] not in (_REFUSED, _ACCEPTED, _AUTHENTICATE):
        raise ServerNonsense(_NAME, f"it begins with {data['status']}, which is neither yes nor no; is it an X server?")
    if data["status"] != _ACCEPTED:
        reason = body[: data["reason_length"] or None].rstrip(b"\0\n ").decode(errors="replace")
        if _CROWDED in reason:
            raise ConnectFailed(
                errno.EAGAIN, f"the X server at {display.name!r} ({address}) has no room: {printable(reason)}"
            )
        raise AccessDenied(
            errno.EACCES, f"the X server at {display.name!r} ({address}) refused: {printable(reason)}; {origin}"
        )
    info = _SETUP.__new__(_SETUP)  # its __init__ would do the I/O
    with Decoding(_NAME):
        success, _ = _BODY.parse_binary(body, xlib, rawdict=True)
        info._data = data | success
        _check(info)
    return info


def _check(info: Any) -> None:
    """Raise ValueError for numbers that the protocol does not allow. `server.visuals` checks pixel formats."""
    mask, base = info.resource_id_mask, info.resource_id_base
    step = mask & -mask
    # The mask is one run of bits, none of which the base has, and both fit into an id.
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
    _check_screens(info)


def _check_screens(info: Any) -> None:
    for fmt in info.pixmap_formats:
        if not (1 <= fmt.depth <= _DEEPEST and fmt.bits_per_pixel in _PIXELS and fmt.scanline_pad in _PADS):
            raise ValueError(
                f"pixels of depth {fmt.depth}, {fmt.bits_per_pixel} bits, in rows padded to {fmt.scanline_pad}"
            )
    for screen in info.roots:
        if not 1 <= screen.root_depth <= _DEEPEST:
            raise ValueError(f"a screen of depth {screen.root_depth}")
        size = screen.width_in_pixels, screen.height_in_pixels
        if not screen.root.id or not all(0 < each <= _GREATEST for each in size):
            raise ValueError(f"a screen of {size[0]}x{size[1]} with the root window {screen.root.id:#x}")


def _receive(sock: _socket.socket, count: int, deadline: float | None) -> bytes:
    """Return the next `count` bytes; after the deadline, only what has arrived by then is received."""
    data = bytearray()
    while len(data) < count:
        sock.settimeout(_left(deadline))
        part = sock.recv(count - len(data))
        if not part:
            raise ConnectionResetError  # the end of the stream, ConnectFailed by the caller
        data += part
    return bytes(data)
