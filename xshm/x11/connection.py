"""One connection to one X server: python-xlib's structures and objects over our own input and output (`Wire`).

All of its tables (events, errors, extensions) belong to the instance, so that two servers in one process do not
disturb each other. Errors of our requests are raised as `ServerError`s from the call that waits for the answer.
"""

from __future__ import annotations

import contextlib
import errno
import os
import struct
import sys
import traceback
import weakref
from collections import deque
from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

import Xlib.display
import Xlib.error
import Xlib.X
from Xlib.protocol import event, rq
from Xlib.protocol import request as xlib_request

from xshm import errors
from xshm.errors import (
    Closed,
    ConnectFailed,
    DisplayGone,
    InvalidArgument,
    RequestTimeout,
    ServerError,
    ServerNonsense,
)
from xshm.system import limits
from xshm.system.deadlines import bounded
from xshm.x11.cookie import packed
from xshm.x11.display_name import DisplayName
from xshm.x11.io.release_queue import ReleaseQueue
from xshm.x11.io.wire import Wire, passed_over
from xshm.x11.protocol.decoding import Gate, believing_no_length, decode, most_of_packed, refuse
from xshm.x11.protocol.requests import Request, bounded_request, weakly
from xshm.x11.setup import connect

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from xshm.x11.display_name import Name

_CORE_ERRORS: Final = (
    *("BadRequest", "BadValue", "BadWindow", "BadPixmap", "BadAtom", "BadCursor", "BadFont", "BadMatch", "BadDrawable"),
    *("BadAccess", "BadAlloc", "BadColor", "BadGC", "BadIDChoice", "BadName", "BadLength", "BadImplementation"),
)
_ERROR = struct.Struct("=xBHIHB21x")
_FIRST_EXTENSION_ERROR = 128
_FAREWELL: Final = 1.0  # seconds that a server has to do the last requests
_TAKEN: Final = b""  # in place of a reply that was given to who has asked
_connections: dict[int, weakref.ref[Connection]] = {}


@dataclass(frozen=True, slots=True)
class Extension:
    """Where a server keeps an extension: its major opcode, its first event and its first error code."""

    name: str
    major: int
    first_event: int
    first_error: int


_structures: Any = Xlib.display


class Connection(Xlib.display._BaseDisplay):  # what python-xlib's objects are written against
    """A connection to the display `name` (None or "": $DISPLAY).

    `xauthority` is the path of an authority file, where None means $XAUTHORITY or ~/.Xauthority; `timeout` in seconds
    bounds connecting, the set-up included, and the wait for any one answer, where None means no limit. Raises
    ConnectFailed, AccessDenied, RequestTimeout, ServerNonsense; UntrustedServer where `xauthority` is None and another
    user's server would be sent the cookie.
    """

    def __init__(
        self,
        name: Name | None = None,
        xauthority: str | os.PathLike[str] | None = None,
        timeout: float | None = None,
    ) -> None:
        # The base's __init__ would connect by its own means; what its methods use is set here instead.
        display = DisplayName.parse(name)
        self.display_name = display.name
        self.default_screen = display.screen
        self.resource_classes = _structures._resource_baseclasses.copy()
        self.error_classes = dict(Xlib.error.xerror_class)
        self.event_classes = dict(event.event_class)
        self.extension_major_opcodes: dict[str, int] = {}
        self.error_handler: Callable[..., Any] | None = None
        self.send_recv_lock: Any = _NO_LOCK  # ReplyRequest.reply takes and gives it back around the wait
        self.sent_requests: Any = _Resent()
        self._atom_cache: dict[str, int] = {}
        self.atoms: dict[str, int] = {}
        self._unreadable = b""  # an event that could not be read
        self._extensions: dict[str, Extension | None] = {}
        self._error_types: dict[int, type[ServerError]] = {
            code: getattr(errors, name) for code, name in enumerate(_CORE_ERRORS, start=1)
        }
        self.alone = Lock()  # held by the thread that has grabbed the server, see `server_grab`
        self.initialising: Extension | None = None  # the one whose module is registering itself

        sock, self.address, self.info = connect(display, xauthority, timeout, self)
        if self.default_screen >= len(self.info.roots):
            sock.close()
            last = len(self.info.roots) - 1
            raise ConnectFailed(f"{display.name!r} asks for screen {display.screen}; the server has 0 to {last}")
        self._socket = sock
        self.wire = Wire(sock, timeout)
        # Weakly: what the Wire holds of us would hold it, and its socket, when nobody uses it any more.
        self.wire.on_stray_error(weakly(self._on_stray_error))
        self.holdings = ReleaseQueue(self.wire, self.info.resource_id_base, self.info.resource_id_mask)
        self.wire.on_release(weakly(self.holdings.give_back))
        # A weak reference's callback runs in C here: as a method it could be where Ctrl-C arrives, and swallow it.
        _connections[id(self)] = weakref.ref(self, partial(_connections.pop, id(self)))

    # -- our own requests --------------------------------------------------------------------------------------------

    @property
    def setup(self) -> Any:
        """The chosen screen of the set-up block: root, size, depth, visuals, as of connection time."""
        return self.info.roots[self.default_screen]

    def request(self, request: Any, *, received: bool = False, **fields: Any) -> Any:
        """Send a request that has a reply (an rq.ReplyRequest class) and return the reply's fields.

        With `received`, the reply's descriptors come back too: (fields, list of Descriptor). Each is closed when the
        last reference to it goes. Raises ConnectFailed where this process had no room for them.
        """
        pending = packed(request, **fields)
        if received:
            self.wire.expect_descriptors()
            pending.received = []
        self.wire.send(pending)
        answer = self.wait_reply(pending, request.__name__)
        reply = self.decode(request, request.__name__, answer)
        if pending.received is None:
            return reply
        if len(pending.received) < answer[1]:
            lost = answer[1] - len(pending.received)
            why = limits.told(OSError(errno.EMFILE, ""))
            raise ConnectFailed(errno.EMFILE, f"{request.__name__}: {lost} descriptors were lost: {why}")
        return reply, pending.received

    def send(self, request: Any, *, descriptors: Sequence[int] = (), keep: object = None, **fields: Any) -> Request:
        """Queue a request (an rq.Request class). `check` tells how it went, `answer` brings its reply.

        `descriptors` travel with it; they and `keep` are held until it is sent, or until the server has answered.
        """
        if descriptors:
            if self.address.startswith("tcp:"):
                raise InvalidArgument(f"descriptors do not travel over TCP ({self.address})")
            for descriptor in descriptors:
                os.fstat(descriptor)  # one that is not open would end the connection, not the request
        return self.wire.send(packed(request, keep, descriptors, **fields))

    def check(self, *sent: Request, doing: str = "") -> None:
        """One round trip; then raise the error of the first of these requests that has one."""
        self.wire.sync()
        for pending in sent:
            if pending.error is not None:
                raise self.error(pending.error, doing)

    def wait_reply(self, pending: Request, doing: str = "") -> bytes:
        """Wait for a request that was sent; return the reply's bytes or raise its error."""
        self.wire.wait(pending)
        reply, pending.reply = pending.reply, pending.reply and _TAKEN
        if reply is None:
            raise self.refusal(pending, doing)
        if reply is _TAKEN:  # a second question for one answer, whatever the server sends: a bug of ours
            raise AssertionError(f"{doing}: this request's reply was taken before")
        return reply

    def refusal(self, pending: Request, doing: str) -> ServerError | ServerNonsense:
        """Return what to raise of a request that is done and has no reply: its error, or that it was passed over."""
        if pending.error is not None:
            return self.error(pending.error, doing)
        return self.nonsense(doing, passed_over(pending))

    def nonsense(self, name: str, wrong: str) -> ServerNonsense:
        """End the connection, since what the server has said of `name` makes no sense; return what to raise."""
        return self.wire.nonsense(name, wrong)

    def decode(self, request: Any, name: str, data: bytes) -> Any:
        """Return the fields of the reply to a request (an rq.ReplyRequest class) of that name."""
        try:
            return decode(request, data, self)
        except Exception as error:
            refuse(error, name, self.wire.nonsense)
            raise

    def decoding(self, name: str) -> Gate:
        """Return a with block for decoding what the server has said of `name`; ServerNonsense is what goes wrong."""
        return Gate(name, self.wire.nonsense)

    def error(self, message: bytes, doing: str = "") -> ServerError:
        """Make an exception of the 32 bytes of an X error."""
        code, _, value, minor, major = _ERROR.unpack(message)
        kind = self._error_types.get(code, ServerError)
        name = kind.__name__ if kind is not ServerError else f"error {code}"
        return kind(name, code=code, value=value, major=major, minor=minor, doing=doing)

    def sync(self) -> None:
        """One round trip: when it returns, the server has done all that was sent before."""
        self.wire.sync()

    def extension(self, name: str) -> Extension | None:
        """Look an extension up (once); None where the server does not have it."""
        if name not in self._extensions:
            reply = self.request(xlib_request.QueryExtension, name=name)
            found = Extension(name, reply.major_opcode, reply.first_event, reply.first_error) if reply.present else None
            self._extensions[name] = found
        return self._extensions[name]

    def register_error(self, code: int, kind: type[ServerError], xlib_kind: Any = None) -> None:
        """Say what an extension's error code means: to our requests, and to python-xlib's objects."""
        self._error_types[code] = kind
        if xlib_kind is not None:
            self.error_classes[code] = xlib_kind

    def name_owner(self, owner: str) -> None:
        """Say whose connection it is: what the ResourceWarning names when that is dropped unclosed."""
        self._socket.name_owner(owner)

    @property
    def closed(self) -> bool:
        """Whether the connection is over: closed, or the server gone."""
        return self.wire.ended

    # -- what python-xlib's objects call -----------------------------------------------------------------------------

    def send_request(self, request: Any, wait_for_response: bool) -> None:  # noqa: ARG002 - python-xlib's signature
        """Queue a python-xlib request object."""
        pending = bounded_request(most_of_packed(request._binary), request._binary)
        if isinstance(request, rq.ReplyRequest):
            # Its own lock would stay taken if a signal handler raised inside reply(); our wait needs none.
            request._response_lock = _NO_LOCK
            pending.replies = deque()
            request._serial = _Answers(self.wire, pending, request)  # comes back in send_and_recv
        elif request._errorhandler is None:
            pending.on_error = weakly(self._on_stray_error)
        else:
            pending.on_error = weakly(self._on_error, request)
        self.wire.send(pending)

    def send_and_recv(
        self,
        flush: bool = False,  # noqa: ARG002
        event: bool = False,  # noqa: ARG002
        request: Any = None,
        recv: bool = False,  # noqa: ARG002
    ) -> None:
        """Send what is queued; with a request, wait for its next reply and hand it over."""
        if request is None:
            self.wire.pump()
            return
        self.wire.wait_for(request, bounded(self.wire.timeout))
        request.hand_over(self)

    def next_event(self) -> Any:
        """Return the next event that nobody inside xshm took, waiting for it without limit."""
        queue = self.wire.events
        self.wire.keep_events(keep=True)
        while True:
            self.wire.filled(queue)
            if queue:  # another thread may have been faster
                message = queue[0]
                try:
                    found = self._event(message)
                except Exception:
                    # A signal handler's, or an event that python-xlib can't read: that one shall not come for ever.
                    if self._unreadable is message and queue and queue[0] is message:
                        del queue[0]
                    self._unreadable = message
                    raise
                if queue and queue[0] is message:
                    del queue[0]  # nothing can come between this and the return: no event is lost to a signal
                    return found

    def pending_events(self) -> int:
        """Take in what has arrived; return how many events `next_event` gives without waiting."""
        self.wire.keep_events(keep=True)
        self.wire.pump()
        return len(self.wire.events)

    def flush(self) -> None:
        """Send all that is queued."""
        self.wire.flush()

    def fileno(self) -> int:
        """Return the socket's descriptor, for select and poll."""
        self.check_for_error()
        return self.wire.socket.fileno()

    def check_for_error(self) -> None:
        """Raise what every call raises once the connection is over."""
        self.wire.check()

    def close(self) -> None:
        """Let the server do what was sent, for a second at most, and close. Closing twice is fine."""
        try:
            if not self.wire.ended:
                # A server that finds the stream ended by a client who left something unread drops the last requests.
                with contextlib.suppress(DisplayGone, RequestTimeout, Closed):
                    self.wire.sync(_FAREWELL)
        finally:
            self.wire.close()

    def allocate_resource_id(self) -> int:
        """Return an id for a new resource on the server that is not in use on this connection."""
        return self.holdings.allocate()

    def free_resource_id(self, rid: int) -> None:
        """Give an id back; one that is not this connection's is left alone."""
        self.holdings.forget(rid)

    def add_extension_error(self, code: int, err: Any) -> None:
        """Register an extension's error class.

        python-xlib's RandR and DAMAGE modules give the offset in place of the code, and RandR's classes are no
        XErrors; both would break the handling of core errors.
        """
        if self.initialising is not None and code < _FIRST_EXTENSION_ERROR:
            code += self.initialising.first_error
        if not issubclass(err, Xlib.error.XError):
            err = type(err.__name__, (Xlib.error.XError,), {"__doc__": err.__doc__})
        self.error_classes[code] = err

    # -- errors and events -------------------------------------------------------------------------------------------

    def _event(self, message: bytes) -> Any:
        kind = self.event_classes.get(message[0] & 0x7F, event.AnyEvent)
        if isinstance(kind, dict):  # an extension's event code that is shared by several events
            kind = kind.get(message[1], event.AnyEvent)
        return kind(display=self, binarydata=message)

    def xlib_error(self, message: bytes) -> Any:
        """Make python-xlib's exception of the 32 bytes of an X error."""
        return self.error_classes.get(message[1], Xlib.error.XError)(self, message)

    def _on_error(self, message: bytes, request: Any) -> None:
        if not _handled(request._errorhandler, self.xlib_error(message), request):
            self._on_stray_error(message)

    def _on_stray_error(self, message: bytes) -> None:
        """Tell of an error of python-xlib's objects that has no handler of its own, as python-xlib does."""
        error = self.xlib_error(message)
        if self.error_handler is not None:
            _handled(self.error_handler, error, None)
        else:
            sys.stderr.write(f"X protocol error:\n{error}\n")


def _handled(handler: Callable[..., Any], error: Any, request: Any) -> Any:
    """Call an error handler. What goes wrong in it is printed, as python-xlib does; Ctrl-C in it is not swallowed."""
    try:
        return handler(error, request)
    except Exception:  # noqa: BLE001 - it would be raised from whichever call happens to wait
        sys.stderr.write("An error handler failed:\n")
        traceback.print_exc()
        return None


class _NoLock:
    """python-xlib takes locks around waits that ours makes safe without them."""

    def acquire(self) -> None:
        """Do nothing."""

    def release(self) -> None:
        """Do nothing."""


_NO_LOCK: Final = _NoLock()


class _Resent:
    """Requests with many replies put themselves back into python-xlib's ledger; ours keeps them anyway."""

    def insert(self, index: int, request: Any) -> None:
        """Do nothing."""


def _is_read(request: Any) -> bool:
    return request._data is not None or request._error is not None  # by another thread, maybe


class _Answers:
    """The next reply of a python-xlib request, or its error: waited for, then handed over by who waited."""

    __slots__ = ("pending", "request", "wire")

    def __init__(self, wire: Wire, pending: Request, request: Any) -> None:
        self.wire = wire
        self.pending = pending
        self.request = weakref.ref(request)  # the request holds us

    @property
    def done(self) -> bool:
        request, pending = self.request(), self.pending
        if request is None or _is_read(request):
            return True
        return bool(pending.replies) or pending.error is not None or self.wire.is_passed(pending)

    def hand_over(self, connection: Connection) -> None:
        request, replies = self.request(), self.pending.replies
        if request is None or replies is None:
            return
        if replies:
            message = replies[0]
            request._reply = believing_no_length(request._reply)
            with connection.decoding(type(request).__name__):
                request._parse_response(message)
            if replies and replies[0] is message:  # a signal may come before this: then it is read again
                del replies[0]
        elif self.pending.error is not None:
            request._set_error(connection.xlib_error(self.pending.error))
        elif not _is_read(request):
            raise connection.refusal(self.pending, type(request).__name__)


def _inherited(owner: int) -> Closed:
    return Closed(f"this connection belongs to process {owner}, from which this one was forked; open one here")


def _after_fork_in_child() -> None:
    owner = os.getppid()
    for reference in list(_connections.values()):
        connection = reference()
        if connection is not None:
            connection.holdings.abandon()
            connection.wire.abandon(lambda: _inherited(owner))


os.register_at_fork(after_in_child=_after_fork_in_child)
