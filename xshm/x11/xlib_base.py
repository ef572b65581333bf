"""The display that python-xlib's objects call, with the I/O of our Wire in place of python-xlib's.

python-xlib's windows, pixmaps, graphics contexts and extension modules are written against its `_BaseDisplay`: they
hand request objects to `send_request`, wait in `send_and_recv`, and look up classes of events, errors and resources.
This class has those methods and tables. Always true:

1. All tables belong to the instance, so that two servers in one process do not disturb each other.
2. A reply or an event is removed from its queue after it was decoded, by a statement without a call: where a signal
   handler's exception interrupts, it is decoded again, and nothing is lost.
3. An error reaches the object whose request caused it, or the error handler; it is never raised from another call.

Locking rules: python-xlib takes locks around its waits, and a lock that a signal handler's exception leaves taken is
never released. They are replaced by locks that do nothing; the Wire has its own, and the deques' operations are atomic.

What does not work: the methods of python-xlib's own I/O, `parse_*`, `get_waiting_*` and `close_internal`.
"""

from __future__ import annotations

import sys
import traceback
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from xshm.system.deadlines import bounded
from xshm.x11.io.wire import explain_missing_reply
from xshm.x11.protocol.decoding import Decoding, packed_reply_limit, with_checked_lists
from xshm.x11.protocol.requests import bounded_request, weakly
from xshm.x11.protocol.xlib import display as xlib_display
from xshm.x11.protocol.xlib import error, event, lock, resource_classes, rq

if TYPE_CHECKING:
    from collections.abc import Callable

    from xshm.x11.display_name import DisplayName
    from xshm.x11.io.resources import ResourceTable
    from xshm.x11.io.wire import Wire
    from xshm.x11.protocol.requests import Request

_FIRST_EXTENSION_ERROR: Final = 128  # lower codes are the core protocol's
_CHANGE_WINDOW_ATTRIBUTES: Final = 2  # the opcode
_NO_LOCK: Any = lock._DummyLock()  # python-xlib's own, see "Locking rules"


class XlibBase(xlib_display._BaseDisplay):
    """The base of `Connection`, which sets `wire` and `resources` once it is connected."""

    wire: Wire
    resources: ResourceTable

    def __init__(self, display: DisplayName) -> None:
        # Not the base's __init__, which would connect by itself: these are the attributes that its methods use.
        self.display_name = display.name
        self.default_screen = display.screen
        self.resource_classes = resource_classes()
        self.error_classes = dict(error.xerror_class)
        self.event_classes = dict(event.event_class)
        self.extension_major_opcodes: dict[str, int] = {}
        self.error_handler: Callable[..., Any] | None = None
        self.send_recv_lock = _NO_LOCK  # ReplyRequest.reply releases it before the wait, and takes it after
        self.sent_requests: Any = _NoLedger()
        self.atoms: dict[str, int] = {}
        self._atom_cache = self.atoms  # the base's name for it
        self.on_selection: Callable[[bytes], bytes | None] | None = None  # see `joined`; it is referred to weakly
        self.first_error = 0  # of the extension whose module is registering its errors now
        self._unreadable = b""  # the last event whose decoding failed

    # -- requests --------------------------------------------------------------------------------------------------

    def send_request(self, request: Any, wait_for_response: bool) -> None:  # noqa: ARG002 - python-xlib's signature
        """Queue a python-xlib request object."""
        pending = bounded_request(packed_reply_limit(request._binary), self.joined(request._binary))
        if isinstance(request, rq.ReplyRequest):
            request._response_lock = _NO_LOCK
            pending.replies = deque()
            # python-xlib passes `_serial` to send_and_recv as `request`; it need not be a number.
            request._serial = _Replies(self.wire, pending, request)
        elif request._errorhandler is None:
            pending.on_error = weakly(self._on_stray_error)
        else:
            pending.on_error = weakly(self._on_error, request)
        self.wire.send(pending)

    def joined(self, data: bytes) -> bytes:
        """Return a request of a user of this connection; of those that select events, with xshm's own in the mask."""
        if data[0] != _CHANGE_WINDOW_ATTRIBUTES or self.on_selection is None:
            return data
        return self.on_selection(data) or data

    def send_and_recv(
        self,
        flush: bool = False,  # noqa: ARG002
        event: bool = False,  # noqa: ARG002
        request: Any = None,
        recv: bool = False,  # noqa: ARG002
    ) -> None:
        """Send what is queued; with a request's `_Replies`, wait for the next one and set it on the request object."""
        if request is None:
            self.wire.pump()
            return
        self.wire.wait_for(request, bounded(self.wire.timeout))
        request.set_next(self)

    def flush(self) -> None:
        """Send all that is queued."""
        self.wire.flush()

    def fileno(self) -> int:
        """Return the socket's descriptor, for select and poll."""
        self.check_for_error()
        return self.wire.socket.fileno()

    def check_for_error(self) -> None:
        """Raise the reason for its end once the connection is over."""
        self.wire.check()

    def allocate_resource_id(self) -> int:
        """Return an id for a new resource on the server that is not in use on this connection."""
        return self.resources.allocate()

    def free_resource_id(self, rid: int) -> None:
        """Mark an id as free; one that is not of this connection is ignored."""
        self.resources.forget(rid)

    # -- events ----------------------------------------------------------------------------------------------------

    def next_event(self) -> Any:
        """Return the next event that no route of xshm's has taken; wait for it without limit."""
        queue = self.wire.events
        self.wire.keep_events(keep=True)
        while True:
            self.wire.wait_event(queue)
            if not queue:  # another thread has taken it
                continue
            message = queue[0]
            try:
                found = self._decode_event(message)
            except Exception:
                # Either a signal handler raised, and the next call decodes the event again; or python-xlib can't decode
                # it. A second failure counts as the latter: the event is dropped, or no later one would be reached.
                if self._unreadable is message and queue and queue[0] is message:
                    del queue[0]
                self._unreadable = message
                raise
            if queue and queue[0] is message:
                del queue[0]  # and no call until the return, so that no signal handler's exception loses the event
                return found

    def pending_events(self) -> int:
        """Receive what has arrived; return how many events `next_event` returns without waiting."""
        self.wire.keep_events(keep=True)
        self.wire.pump()
        return len(self.wire.events)

    def _decode_event(self, message: bytes) -> Any:
        kind = self.event_classes.get(message[0] & 0x7F, event.AnyEvent)
        if isinstance(kind, dict):  # an extension's event code that is shared by several events
            kind = kind.get(message[1], event.AnyEvent)
        return kind(display=self, binarydata=message)

    # -- errors ----------------------------------------------------------------------------------------------------

    def add_extension_error(self, code: int, err: Any) -> None:
        """Register an extension's error class.

        python-xlib's RandR and DAMAGE modules give the offset in place of the code, and RandR's classes are no
        XErrors; both would break the handling of core errors.
        """
        if code < _FIRST_EXTENSION_ERROR:
            code += self.first_error
        if not issubclass(err, error.XError):
            err = type(err.__name__, (error.XError,), {"__doc__": err.__doc__})
        self.error_classes[code] = err

    def xlib_error(self, message: bytes) -> Any:
        """Return python-xlib's exception for the 32 bytes of an X error."""
        return self.error_classes.get(message[1], error.XError)(self, message)

    def _on_error(self, message: bytes, request: Any) -> None:
        """Call the error handler of a python-xlib request object."""
        if not _handled(request._errorhandler, self.xlib_error(message), request):
            self._on_stray_error(message)

    def _on_stray_error(self, message: bytes) -> None:
        """Report an error of a request without a handler, as python-xlib does: to the display's handler, or stderr."""
        error = self.xlib_error(message)
        if self.error_handler is not None:
            _handled(self.error_handler, error, None)
        else:
            sys.stderr.write(f"X protocol error:\n{error}\n")


def _handled(handler: Callable[..., Any], error: Any, request: Any) -> Any:
    """Call an error handler; print an Exception that it raises, as python-xlib does, and pass on KeyboardInterrupt."""
    try:
        return handler(error, request)
    except Exception:  # noqa: BLE001 - it would be raised from an unrelated call
        sys.stderr.write("An error handler failed:\n")
        traceback.print_exc()
        return None


class _NoLedger:
    """Stands in for python-xlib's list of sent requests, into which requests with several replies insert themselves."""

    def insert(self, index: int, request: Any) -> None:
        """Do nothing."""


def _has_result(request: Any) -> bool:
    """Return whether a request object has its reply or its error, maybe set by another thread."""
    return request._data is not None or request._error is not None


class _Replies:
    """The replies to one python-xlib request object: the Waitable for the next one, which is then set on the object."""

    __slots__ = ("pending", "request", "wire")

    def __init__(self, wire: Wire, pending: Request, request: Any) -> None:
        self.wire = wire
        self.pending = pending
        self.request = weakref.ref(request)  # weakly, since the request object refers to this one

    @property
    def done(self) -> bool:
        request, pending = self.request(), self.pending
        if request is None or _has_result(request):
            return True
        return bool(pending.replies) or pending.error is not None or self.wire.is_processed(pending)

    def set_next(self, display: XlibBase) -> None:
        """Set the next reply, or the error, on the request object; raise ServerNonsense where there is neither."""
        request, replies = self.request(), self.pending.replies
        if request is None or replies is None:
            return
        name = type(request).__name__
        if replies:
            message = replies[0]
            request._reply = with_checked_lists(request._reply)
            with Decoding(name, self.wire.nonsense):
                request._parse_response(message)
            if replies and replies[0] is message:  # a signal handler's exception before this: it is parsed again
                del replies[0]
        elif self.pending.error is not None:
            request._set_error(display.xlib_error(self.pending.error))
        elif not _has_result(request):
            raise self.wire.nonsense(name, explain_missing_reply(self.pending))
