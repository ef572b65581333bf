"""One connection to one X server: requests out, replies and errors back, extensions and versions looked up once.

The rest of xshm makes its requests here. The socket and its threads are in `x11.io`, the methods that python-xlib's
objects call in the base class (`xlib_base`). Always true:

1. An error of one of our requests is raised as a ServerError by the call that waits for its reply, or that checks it.
2. A reply is returned once. An invalid reply ends the connection, and raises ServerNonsense.
3. An extension's version is negotiated once, for all purposes: a server uses the last one that it was offered.
4. After fork the child's copies are closed: each call raises Closed, which names the parent process.

Locking rules: any thread may call any method. Tables that are filled on demand (extensions, atoms) have no lock: two
threads may both query an entry, and store equal values.
"""

from __future__ import annotations

import errno
import os
import struct
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from xshm import errors
from xshm._signal_safety import WeakRegistry
from xshm.errors import (
    Closed,
    ConnectFailed,
    DisplayGone,
    ExtensionMissing,
    InvalidArgument,
    RequestTimeout,
    ServerError,
    ServerNonsense,
)
from xshm.system import limits, logs
from xshm.x11.display_name import DisplayName
from xshm.x11.io.resources import ResourceTable
from xshm.x11.io.wire import Wire, explain_missing_reply
from xshm.x11.protocol.decoding import Decoding, decode, reply_limit
from xshm.x11.protocol.requests import bounded_request, weakly
from xshm.x11.protocol.xlib import request as xlib_request
from xshm.x11.setup import connect
from xshm.x11.xlib_base import XlibBase

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xshm.x11.display_name import Name
    from xshm.x11.protocol.requests import BoundedRequest, Request

# By their codes, from 1 on (core protocol, "Errors").
_CORE_ERRORS: Final = (
    *("BadRequest", "BadValue", "BadWindow", "BadPixmap", "BadAtom", "BadCursor", "BadFont", "BadMatch", "BadDrawable"),
    *("BadAccess", "BadAlloc", "BadColor", "BadGC", "BadIDChoice", "BadName", "BadLength", "BadImplementation"),
)
_ERROR = struct.Struct("=xBHIHB21x")  # code, sequence number, value, minor and major opcode
# QueryVersion of each extension: its minor opcode, the format of a version in the request and in the reply, and the
# version that is offered: the newest that xshm uses for any purpose.
_HANDSHAKES: Final = {
    "Composite": (0, "II", "8xII", (0, 4)),
    "DAMAGE": (0, "II", "8xII", (1, 1)),
    "RANDR": (0, "II", "8xII", (1, 5)),
    "SYNC": (0, "BBxx", "8xBB", (3, 0)),
    "XFIXES": (0, "II", "8xII", (5, 0)),
    "XInputExtension": (47, "HH", "8xHH", (2, 1)),
    "XKEYBOARD": (0, "HH", "8xHH", (1, 0)),
    "XTEST": (0, "BxH", "xB6xH", (2, 2)),
}
_BIG_REQUESTS_ENABLE = struct.Struct("=BBH")
_BIG_REQUESTS_REPLY = struct.Struct("=8xI")
_LEAST_REQUEST_WORDS: Final = 4096  # the core protocol's least maximum
# Bytes. Longer requests gain nothing, and the server serves no other client while it receives one.
_LONGEST_REQUEST: Final = 4 << 20
_CLOSE_TIMEOUT: Final = 1.0  # seconds that a server has to process the last requests
_TAKEN: Final = b""  # in place of a reply that was returned
_connections: WeakRegistry[Connection] = WeakRegistry()


class Extension(NamedTuple):
    """An extension's place on one server: its major opcode, its first event code and its first error code.

    `version` is the negotiated one (`Connection.negotiate`); (0, 0) before that.
    """

    name: str
    major: int
    first_event: int
    first_error: int
    version: tuple[int, int] = (0, 0)


def pack_request(
    request: Any, keepalive: object = None, descriptors: Sequence[int] = (), **fields: Any
) -> BoundedRequest:
    """Encode a request (an rq.Request class of python-xlib's kind) for the Wire. No I/O."""
    data = request._request.to_binary(**fields)
    return bounded_request(reply_limit(request), data, keepalive, descriptors)


class Connection(XlibBase):
    """A connection to the display `name` (None or "": $DISPLAY).

    `xauthority` is the path of an authority file, where None means $XAUTHORITY or ~/.Xauthority; `timeout` in seconds
    bounds connecting, the setup included, and the wait for any one reply, where None means no limit. Raises
    ConnectFailed, AccessDenied, RequestTimeout, ServerNonsense; UntrustedServer where `xauthority` is None and another
    user's server would be sent the cookie.
    """

    def __init__(
        self,
        name: Name | None = None,
        xauthority: str | os.PathLike[str] | None = None,
        timeout: float | None = None,
    ) -> None:
        display = DisplayName.parse(name)
        super().__init__(display)  # before the setup block is decoded, which needs the tables
        self._extensions: dict[str, Extension | None] = {}
        self._longest_request = 0  # bytes; 0 until the first use of `longest_request`
        self._error_types: dict[int, type[ServerError]] = {
            code: getattr(errors, name) for code, name in enumerate(_CORE_ERRORS, start=1)
        }
        self.grab_lock = Lock()  # held by the thread that has grabbed the server, see `scheduling`

        sock, self.address, self.info = connect(display, xauthority, timeout, self)
        if self.default_screen >= len(self.info.roots):
            sock.close()
            last = len(self.info.roots) - 1
            raise ConnectFailed(f"{display.name!r} asks for screen {display.screen}; the server has 0 to {last}")
        self._socket = sock
        self.wire = Wire(sock, timeout)
        # Weakly: the Wire would hold this object, which holds the Wire, and the socket would outlive its last user.
        self.wire.set_error_handler(weakly(self._on_stray_error))
        self.resources = ResourceTable(self.wire, self.info.resource_id_base, self.info.resource_id_mask)
        _connections.add(self)
        self._is_end_logged = False
        try:
            logs.info("connection", "opened %s: %s, screens: %d", self.address, self.info.vendor, len(self.info.roots))
        except BaseException:  # raised by a handler of the program's
            self.wire.close()
            raise

    @property
    def setup(self) -> Any:
        """The chosen screen in the setup block (`info`): root, size, depth, visuals, as of connection time."""
        return self.info.roots[self.default_screen]

    @property
    def closed(self) -> bool:
        """Whether the connection has ended: it was closed, or the server is gone."""
        return self.wire.ended

    def name_owner(self, owner: str) -> None:
        """Name the object that uses the connection, for the ResourceWarning if it is dropped unclosed."""
        self._socket.name_owner(owner)

    # -- requests ----------------------------------------------------------------------------------------------------

    def request(self, request: Any, *, received: bool = False, **fields: Any) -> Any:
        """Send a request that has a reply (an rq.ReplyRequest class), wait, and return the reply's fields.

        With `received`, return the reply's descriptors too: (fields, list of Descriptor). Each is closed when the last
        reference to it goes. Raises ConnectFailed where this process may not open so many.
        """
        pending = pack_request(request, **fields)
        if received:
            self.wire.expect_descriptors()
            pending.received = []
        self.wire.send(pending)
        data = self.wait_reply(pending, request.__name__)
        reply = self.decode(request, request.__name__, data)
        if pending.received is None:
            return reply
        if len(pending.received) < data[1]:  # their number is in the header's second byte
            lost = data[1] - len(pending.received)
            why = limits.explain(OSError(errno.EMFILE, ""))
            raise ConnectFailed(errno.EMFILE, f"{request.__name__}: {lost} descriptors were lost: {why}")
        return reply, pending.received

    def send(
        self, request: Any, *, descriptors: Sequence[int] = (), keepalive: object = None, **fields: Any
    ) -> Request:
        """Queue a request (an rq.Request class); `check` raises its error, `wait_reply` returns its reply.

        `descriptors` are sent with it, and referred to until then. `keepalive` is referred to until the server has
        replied or is known to have processed the request.
        """
        if descriptors:
            if self.address.startswith("tcp:"):
                raise InvalidArgument(f"descriptors do not travel over TCP ({self.address})")
            for descriptor in descriptors:
                os.fstat(descriptor)  # EBADF here; from sendmsg it would end the connection
        pending = pack_request(request, keepalive, descriptors, **fields)
        pending.data = self.joined(pending.data)
        return self.wire.send(pending)

    def check(self, *sent: Request, doing: str = "") -> None:
        """Wait until the server has processed these requests, one round trip; raise the first of their errors."""
        self.wire.sync()
        for pending in sent:
            if pending.error is not None:
                raise self.error(pending.error, doing)

    def wait_reply(self, pending: Request, doing: str = "") -> bytes:
        """Wait for the reply to a request that was sent; return its bytes, or raise the request's error."""
        self.wire.wait(pending)
        reply, pending.reply = pending.reply, pending.reply and _TAKEN
        if reply is None:
            raise self.refusal(pending, doing)
        if reply is _TAKEN:  # two calls for one request: a bug of the caller, not of the server
            raise AssertionError(f"{doing}: this request's reply was taken before")
        return reply

    def refusal(self, pending: Request, doing: str) -> ServerError | ServerNonsense:
        """Return what to raise for a request without a reply: its error, or ServerNonsense if the server skipped it."""
        if pending.error is not None:
            return self.error(pending.error, doing)
        return self.nonsense(doing, explain_missing_reply(pending))

    def nonsense(self, name: str, wrong: str) -> ServerNonsense:
        """End the connection, since the reply to `name` is invalid; return the exception to raise, with `wrong`."""
        return self.wire.nonsense(name, wrong)

    def decode(self, request: Any, name: str, data: bytes) -> Any:
        """Return the fields of a reply to a request (an rq.ReplyRequest class); errors give the request's `name`."""
        with self.decoding(name):
            return decode(request, data, self)

    def decoding(self, name: str) -> Decoding:
        """Return a with block in which a reply to `name` is decoded; what fails in it is raised as ServerNonsense."""
        return Decoding(name, self.wire.nonsense)

    def error(self, message: bytes, doing: str = "") -> ServerError:
        """Return the exception for the 32 bytes of an X error."""
        code, _, value, minor, major = _ERROR.unpack(message)
        kind = self._error_types.get(code, ServerError)
        name = kind.__name__ if kind is not ServerError else f"error {code}"
        return kind(name, code=code, value=value, major=major, minor=minor, doing=doing)

    def sync(self) -> None:
        """Wait until the server has processed all that was sent before: one round trip."""
        self.wire.sync()

    # -- extensions --------------------------------------------------------------------------------------------------

    def extension(self, name: str) -> Extension | None:
        """Look an extension up (once); return None where the server does not have it."""
        if name not in self._extensions:
            reply = self.request(xlib_request.QueryExtension, name=name)
            found = Extension(name, reply.major_opcode, reply.first_event, reply.first_error) if reply.present else None
            self._extensions[name] = found
        return self._extensions[name]

    def negotiate(self, name: str) -> Extension | None:
        """Look an extension up and negotiate its version (once); return None where the server does not have it.

        Before that, the requests of most extensions are BadRequest.
        """
        extension = self.extension(name)
        if extension is None or extension.version != (0, 0):
            return extension
        minor, words, answer, offered = _HANDSHAKES[name]
        length = 1 + struct.calcsize(words) // 4
        request = bounded_request(0, struct.pack(f"=BBH{words}", extension.major, minor, length, *offered))
        reply = self.wait_reply(self.wire.send(request), f"{name} QueryVersion")
        self._extensions[name] = negotiated = extension._replace(version=struct.unpack_from(f"={answer}", reply))
        return negotiated

    def require(self, name: str, least: tuple[int, int], purpose: str, instead: str = "") -> Extension:
        """Return an extension of the version `least` or newer; raise ExtensionMissing, which names the purpose.

        `instead` ends the message where the server lacks the extension.
        """
        extension = self.negotiate(name)
        if extension is None:
            hint = f"; {instead}" if instead else ""
            raise ExtensionMissing(
                f"{purpose} needs the {name} extension, which the server at {self.address} does not have{hint}"
            )
        if extension.version < least:
            raise ExtensionMissing(
                f"{purpose} needs {name} {least[0]}.{least[1]} or newer; "
                f"the server at {self.address} has {extension.version[0]}.{extension.version[1]}"
            )
        return extension

    @property
    def longest_request(self) -> int:
        """The most bytes of a request to this server. The first use enables BIG-REQUESTS, one round trip."""
        if not self._longest_request:
            found = self.extension("BIG-REQUESTS")
            if found is None:
                self._longest_request = int(4 * self.info.max_request_length)
            else:
                enable = bounded_request(0, _BIG_REQUESTS_ENABLE.pack(found.major, 0, 1))
                (words,) = _BIG_REQUESTS_REPLY.unpack_from(self.wait_reply(self.wire.send(enable), "BigReqEnable"))
                if words < _LEAST_REQUEST_WORDS:
                    raise self.nonsense("BigReqEnable", f"requests of {words} words at most")
                self._longest_request = min(4 * words, _LONGEST_REQUEST)
        return self._longest_request

    def register_error(self, code: int, kind: type[ServerError], xlib_kind: Any) -> None:
        """Register the exception for an extension's error code: for our requests, and for python-xlib's objects."""
        self._error_types[code] = kind
        self.error_classes[code] = xlib_kind

    # -- the end -----------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Wait until the server has processed all requests, a second at most, and close. It may be called again."""
        reason = str(self.wire.end_reason() or "")
        try:
            if not self.wire.ended:
                # Closing a socket with unread bytes resets the connection: the server would lose the requests that it
                # has not read yet.
                self.wire.sync(_CLOSE_TIMEOUT)
        except (DisplayGone, RequestTimeout, Closed) as error:
            reason = str(error)  # not the exception, whose traceback refers to this frame
        finally:
            self.wire.close()
        if not self._is_end_logged:
            self._is_end_logged = True
            logs.info("connection", "closed %s%s", self.address, f": {reason}" if reason else "")


def _after_fork_in_child() -> None:
    why = f"this connection belongs to process {os.getppid()}, from which this one was forked; open one here"
    for connection in _connections.living():
        connection.resources.abandon()
        connection.wire.abandon(partial(Closed, why))


os.register_at_fork(after_in_child=_after_fork_in_child)
