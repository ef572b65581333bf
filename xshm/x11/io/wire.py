"""One connected socket, and the threads that use it: who reads, who waits, and how it ends.

Any number of threads may use one Wire. It keeps step with the server whatever exception a signal handler raises, at
whatever instruction. Requests go out by `Outgoing`; what comes in is cut and handed out by `Incoming`.

How it keeps step. CPython runs signal handlers, and changes threads, only at function entries, at backward jumps and
after calls. So what arrives or is accepted by the kernel is stored inside the one call that transfers it (`extend`
over `map`), and state is committed by stores, `+=` and `del` with no call in between. What was interrupted before the
commit is done again from the same state, by whoever comes next. Nor does a loop stand inside a `with` or `try`: since
3.12 what is raised at its backward jump leaves them without their way out, a lock still taken.

Who reads. One thread at a time is the reader. It waits in the kernel without the lock, then hands out under the lock
what came. The others sleep until their message is there, or until the reader has left and one of them takes over.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Final, NoReturn

from xshm.errors import Closed, DisplayGone, RequestTimeout, ServerNonsense
from xshm.system.deadlines import ENDS, bounded, timed_out
from xshm.system.kernel_errors import is_the_kernels
from xshm.system.polling import is_cooperative, is_readable, readable_or_writable, ready
from xshm.x11.io.late_errors import LateErrors
from xshm.x11.io.packet_reader import PacketReader
from xshm.x11.io.write_buffer import WriteBuffer
from xshm.x11.protocol.requests import EventRoute, Ledger, QueueNotEmpty, Request, Waitable

if TYPE_CHECKING:
    import _socket
    from collections import deque
    from collections.abc import Callable

    from xshm.x11.io.release_queue import Release

__all__ = ["Wire"]

_SYNC = struct.pack("=BBH", 43, 0, 1)  # GetInputFocus: the shortest request that has a reply
# Sequence numbers have 16 bits; half of that is where we make sure that the server has followed.
_MOST_UNSEEN: Final = 0x8000
_DESCRIPTOR_SPACE = socket.CMSG_SPACE(64)  # 16 of them
_RECEIVE_FLAGS = getattr(socket, "MSG_CMSG_CLOEXEC", 0)  # no program that is started meanwhile inherits them
# A sleeping thread is woken by the reader. A second signal within microseconds of the first can cut that short; then
# the sleeper finds out by itself after this many seconds.
_SECOND_LOOK: Final = 0.5
_FAREWELL: Final = 1.0  # seconds that `close` gives a thread to come back from the kernel
# So many reads `pump` makes: of more than a socket holds, and an end where the server sends faster than we read.
_MOST_READS: Final = 1024


class Wire:
    """A stream to an X server. `timeout` (seconds, None for no limit) bounds the wait for any one answer.

    So does what is left of the time of a verb that the thread is in (`deadlines`), where that is less.
    """

    def __init__(self, sock: _socket.socket, timeout: float | None = None) -> None:
        # Reads block in the kernel; but where somebody made the descriptor non-blocking, as uvloop's add_reader does,
        # and where a read that blocks would stop other greenlets, they wait by poll. Sends say MSG_DONTWAIT.
        sock.settimeout(0.0 if is_cooperative() else None)
        self.socket = sock
        self._recv, self._recvmsg = sock.recv, sock.recvmsg
        self.timeout = timeout
        self._lock = Lock()
        self._ended: Callable[[], Exception] | None = None
        self._ledger = Ledger()
        self._takes_descriptors = False  # taking none costs less
        self._out = WriteBuffer(sock, self._ledger)
        self._in = PacketReader(self._ledger)
        self.events = self._in.events
        self._late = self._in.deferred
        self._late_errors = LateErrors(self._late)
        # Who reads, and who sleeps on what; the keys stand for threads that wait, one for each wait.
        self._reader: object = None
        self._sleepers: dict[object, tuple[Waitable, Lock]] = {}

    # -- requests ------------------------------------------------------------------------------------------------

    def call(self, data: bytes, keep: object = None) -> Request:
        """Send one request, with all that was queued before it, and wait for its answer: the hot path."""
        pending = Request(data, keep)
        timeout = bounded(self.timeout) if ENDS else self.timeout
        deadline = None if timeout is None else time.monotonic() + timeout
        try:
            with self._lock:
                if self._ended is not None:
                    raise self._ended()
                try:
                    sent = self._out.send_one(pending)
                except OSError as error:
                    self._broken(error)
                if sent and self._reader is None:  # else whoever makes room may have to read
                    self._reader = pending
            if not sent:
                self._flush(deadline)
            elif deadline is None and self._reader is pending:
                self._receive(None)  # what comes first is mostly the reply, and all
            if not pending.done:
                self._run(pending, pending, deadline)
        finally:
            if self._reader is pending:  # not in a function: a signal could cut its call short
                self._reader = None
            if self._sleepers:
                self._hand_over()
        if self._late:
            self._attend()
        return pending

    def send(self, pending: Request) -> Request:
        """Queue a request; `flush` and every wait send what is queued."""
        self.keep_in_step()
        self.queue(pending)
        return pending

    def queue(self, pending: Request) -> None:
        """Queue a request without waiting for anything, where `keep_in_step` was called before."""
        with self._lock:
            self.check()
            self._out.commit(pending)

    def keep_in_step(self) -> None:
        """Have the server follow where it is too far behind for more requests; mostly it is not."""
        if self._ledger and self._ledger[-1].serial - self._in.seen > _MOST_UNSEEN:
            self.sync()

    def post(self, pending: Request) -> None:
        """Queue a request and give it to the kernel, all in one where the kernel takes it without waiting."""
        self.keep_in_step()
        with self._lock:
            self.check()
            try:
                sent = self._out.send_one(pending)
            except OSError as error:
                self._broken(error)
        if not sent:
            self.flush()

    def send_all(self, batch: tuple[Request, ...]) -> None:
        """Queue requests that belong together: all of them, or none if a signal handler raises."""
        self.keep_in_step()
        with self._lock:
            if self._ended is not None:
                raise self._ended()
            self._out.commit_all(batch)

    def wait(self, pending: Request, timeout: float | None = None) -> Request:
        """Send what is queued and wait for a request's answer; RequestTimeout after `timeout` or the Wire's own."""
        self.wait_for(pending, self._seconds(timeout))
        return pending

    def wait_for(self, what: Waitable, timeout: float | None) -> None:
        """Send what is queued and wait until `what` is done; RequestTimeout after `timeout` seconds."""
        me = object()
        deadline = None if timeout is None else time.monotonic() + timeout
        try:
            with self._lock:
                self.check()
                sent = self._push()
                if sent and self._reader is None:
                    self._reader = me
            if not sent:
                self._flush(deadline)
            self._run(what, me, deadline)
        finally:
            if self._reader is me:  # not in a function: a signal could cut its call short
                self._reader = None
            if self._sleepers:
                self._hand_over()
        if self._late:
            self._attend()

    def sync(self, timeout: float | None = None) -> None:
        """One round trip: when it returns, the server has done all that was sent, and its errors were told."""
        if timeout is None:
            pending = self.call(_SYNC)
        else:
            pending = Request(_SYNC)
            self.queue(pending)
            self.wait(pending, timeout)
        if pending.reply is None and pending.error is None:
            raise self.nonsense("GetInputFocus", passed_over(pending))

    def expect_descriptors(self) -> None:
        """From now on, take the descriptors that come with replies. One round trip, before the request is sent.

        It brings back the thread that waits in the kernel already, where descriptors would be dropped.
        """
        self._takes_descriptors = True
        self.sync()

    def flush(self, timeout: float | None = None) -> None:
        """Hand all that is queued to the kernel; RequestTimeout after `timeout` seconds, or the Wire's own."""
        timeout = self._seconds(timeout)
        self._flush(None if timeout is None else time.monotonic() + timeout)

    def on_stray_error(self, handler: Callable[[bytes], None]) -> None:
        """Say who is told of errors of requests that are not known any more."""
        self._late_errors.handler = handler

    def on_release(self, give_back: Callable[[Release], None]) -> None:
        """Say who gives back what was noted by `later`."""
        self._late_errors.give_back = give_back

    def later(self, release: Release) -> Callable[[], None]:
        """Return what notes, in C throughout, that something is to be given back by whoever waits next."""
        return partial(self._late.append, release)

    def attend(self) -> None:
        """Do what is left to whoever waits next, without waiting."""
        if self._late:
            self._attend()

    def _attend(self) -> None:
        """Tell of late errors and give back what has lost its owner; not as the reader, and without the lock."""
        self._late_errors.tell()
        with self._lock:
            if self._ended is None:
                self._push()

    def is_passed(self, pending: Request) -> bool:
        """Whether the server has come to a later request, so that nothing more is to be heard of this one."""
        return 0 < pending.serial < self._in.seen

    # -- events --------------------------------------------------------------------------------------------------

    def keep_events(self, *, keep: bool) -> None:
        """Say whether events that no route takes are kept, in `events`: as long as nobody looks there, for nothing."""
        self._in.kept = keep
        if not keep:
            self.events.clear()

    def add_route(self, route: EventRoute) -> None:
        """From now on, give the route the events of its code that it wants."""
        with self._lock:
            self._in.routes[route.code] = (*self._routes_but(route), route)

    def remove_route(self, route: EventRoute, last: Request | None = None) -> None:
        """Stop doing so; what is in its queue stays there.

        What it wanted and the server sends before it comes to the request `last` is for nobody, and dropped.
        """
        with self._lock:
            routes = self._routes_but(route)
            self._in.routes[route.code] = routes if last is None else (*routes, route.until(last))

    def _routes_but(self, route: EventRoute) -> tuple[EventRoute, ...]:
        """Return the routes of its code, without those that will get nothing any more."""
        return tuple(
            other
            for other in self._in.routes.get(route.code, ())
            if other is not route and not (other.last is not None and self.is_passed(other.last))
        )

    def next_event(self, queue: deque[bytes], timeout: float | None = None) -> bytes | None:
        """Take the next message out of `queue`, waiting for it; None when `timeout` seconds have passed."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while self.filled(queue, None if deadline is None else max(0.0, deadline - time.monotonic())):
            if queue:  # another thread may have been faster
                message = queue[0]
                del queue[0]
                return message
        return None

    def filled(self, queue: deque[bytes], timeout: float | None = None) -> bool:
        """Wait until `queue` holds a message; False when `timeout` seconds have passed. Zero takes one look."""
        if not queue:
            with contextlib.suppress(RequestTimeout):
                self.wait_for(QueueNotEmpty(queue), timeout)
        return bool(queue)

    def pump(self) -> None:
        """Send as much as goes without waiting, and take in what has arrived; not what comes meanwhile, without end."""
        me = object()
        try:
            with self._lock:
                self.check()
                self._push()
                if self._reader is None:
                    self._reader = me
            self._receive_all(me)
        finally:
            if self._reader is me:  # not in a function: a signal could cut its call short
                self._reader = None
            if self._sleepers:
                self._hand_over()
        if self._late:
            self._attend()
        self.check()

    # -- the end -------------------------------------------------------------------------------------------------

    @property
    def ended(self) -> bool:
        """Whether the connection is over, for whatever reason."""
        return self._ended is not None

    def check(self) -> None:
        """Raise what every call raises once the connection is over."""
        if self._ended is not None:
            raise self._ended()

    def end(self, because: Callable[[], Exception]) -> None:
        """Make `because` what every later call raises, and wake all who wait. The first reason stays."""
        if self._ended is None:
            self._ended = because
        try:
            self.socket.shutdown(socket.SHUT_RDWR)  # a reader in the kernel comes back with nothing
        except OSError as error:
            if not is_the_kernels(error):  # which says that the other side was faster
                raise
        with self._lock:
            self._wake_done()

    def nonsense(self, request: str, wrong: str) -> ServerNonsense:
        """End the connection, since what the server has said of a request makes no sense; return what to raise."""
        self.end(partial(ServerNonsense, request, wrong))
        return ServerNonsense(request, wrong)

    def close(self) -> None:
        """End the connection from our side; the descriptor is given back when no thread reads from it any more."""
        self.end(_closed)
        deadline = time.monotonic() + _FAREWELL
        while self._reader is not None and time.monotonic() < deadline:
            time.sleep(0.0005)
        self._in.drop_descriptors()
        self.socket.close()

    def abandon(self, because: Callable[[], Exception]) -> None:
        """After fork, in the child: let go of the descriptor without a word; the server's client is the parent."""
        self._lock = Lock()
        self._late_errors = LateErrors(self._late)
        self._reader = None
        self._sleepers = {}
        self._ended = because
        self._in.drop_descriptors()
        self.socket.close()

    # -- sending -------------------------------------------------------------------------------------------------

    def _seconds(self, timeout: float | None) -> float | None:
        """Return the seconds for an answer: the least of what was asked for, the Wire's own, and the thread's."""
        limit = self.timeout
        if timeout is None or (limit is not None and limit < timeout):
            timeout = limit
        return bounded(timeout) if ENDS else timeout

    def _push(self) -> bool:
        """Under the lock: give the kernel what it takes without waiting; tell whether that was all."""
        try:
            return self._out.flush()
        except OSError as error:
            self._broken(error)

    def _broken(self, error: OSError) -> NoReturn:
        if not is_the_kernels(error):
            raise error
        if self._ended is None:
            self._ended = _gone(error)
        raise self._ended() from error

    def _flush(self, deadline: float | None) -> None:
        while True:
            with self._lock:
                self.check()
                if self._push():
                    return
            self._make_room(deadline)

    def _make_room(self, deadline: float | None) -> None:
        """Wait until the kernel takes more. If nobody reads, read: a server that can't write to us may not listen."""
        me = object()
        try:
            with self._lock:
                if self._reader is None:
                    self._reader = me
            reading = self._reader is me
            left = _SECOND_LOOK if deadline is None else deadline - time.monotonic()
            if left <= 0:
                raise timed_out()
            left = min(left, _SECOND_LOOK)  # who reads may have left meanwhile
            if not reading:
                ready((), (self.socket.fileno(),), left)
            elif readable_or_writable(self.socket.fileno(), left):
                self._receive(None)
        finally:
            if self._reader is me:  # not in a function: a signal could cut its call short
                self._reader = None
            if self._sleepers:
                self._hand_over()

    # -- waiting -------------------------------------------------------------------------------------------------

    def _run(self, what: Waitable, me: object, deadline: float | None) -> None:
        """Wait until `what` is done, reading or sleeping. The caller takes `me` back from `_reader` afterwards."""
        too_late = False
        while not what.done:
            if self._ended is not None:
                raise self._ended()
            if self._reader is me:
                if too_late:
                    raise timed_out()
                # The last look comes after the deadline: this process may have been stopped while the answer came.
                too_late = deadline is not None and time.monotonic() >= deadline
                self._receive(deadline)
                if self._late and self._late[0] is not None:  # its handler may make requests, and wait for them
                    self._reader = None
                    self._hand_over()
                    self._attend()
            else:
                self._sleep(what, me, deadline)

    def _sleep(self, what: Waitable, me: object, deadline: float | None) -> None:
        """Become the reader, or sleep until something has changed."""
        baton = threading.Lock()  # of the moment: eventlet and gevent may have patched it since the import
        baton.acquire()
        try:
            with self._lock:
                # Registered first, looked second: a reader that leaves in between sees one of the two.
                self._sleepers[me] = (what, baton)
                if self._reader is None:
                    self._reader = me
            if self._reader is not me and not what.done and self._ended is None:
                left = _SECOND_LOOK if deadline is None else deadline - time.monotonic()
                if left <= 0:
                    raise timed_out()
                baton.acquire(timeout=min(left, _SECOND_LOOK))
        finally:
            if me in self._sleepers:
                del self._sleepers[me]

    def _hand_over(self) -> None:
        """Wake those whose wait is over, and one more, who will become the reader."""
        with self._lock:
            self._wake_done()
            if self._reader is None:
                self._wake_one()

    def _wake_one(self) -> None:
        for _, baton in list(self._sleepers.values()):  # a copy: sleepers leave without the lock
            if baton.locked():
                baton.release()
                return

    def _wake_done(self) -> None:
        """Under the lock: wake those whose wait is over."""
        for what, baton in list(self._sleepers.values()):
            if (what.done or self._ended is not None) and baton.locked():
                baton.release()

    # -- receiving, by the reader --------------------------------------------------------------------------------

    def _receive(self, deadline: float | None) -> None:
        """Take in what has arrived, waiting for it until the deadline."""
        incoming = self._in
        if incoming.parsed:
            if deadline is not None and not self._readable(deadline - time.monotonic()):
                return
            incoming.parsed = False
            try:
                if self._takes_descriptors:
                    incoming.chunks.extend(
                        map(self._recvmsg, (incoming.expected,), (_DESCRIPTOR_SPACE,), (_RECEIVE_FLAGS,))
                    )
                else:
                    incoming.chunks.extend(map(self._recv, (incoming.expected,)))
            except OSError as error:
                if not is_the_kernels(error):
                    raise
                incoming.parsed = True  # nothing came
                if not isinstance(error, BlockingIOError):
                    self.end(_gone(error))
            if incoming.parsed:
                self._wait_again(deadline)
                return
        with self._lock:
            if not incoming.dispatch_short_reply():
                self._hand_out()
            if self._sleepers:
                self._wake_done()

    def _hand_out(self) -> None:
        """Under the lock: hand out all that has arrived, be it the end."""
        self._in.dispatch()
        if self._ended is not None:
            return
        if self._in.wrong:
            self._ended = partial(ServerNonsense, "", self._in.wrong)
            with contextlib.suppress(OSError):  # the other side was faster
                self.socket.shutdown(socket.SHUT_RDWR)
        elif self._in.over:
            self._ended = _gone(None)

    def _wait_again(self, deadline: float | None) -> None:
        """Wait for what a non-blocking read has not found, unless it was waited for before that."""
        if deadline is None and self._ended is None:
            self._readable(None)

    def _receive_all(self, me: object) -> None:
        """As the reader: take in what has arrived by now."""
        reads = 0
        while self._reader is me and self._ended is None and (not self._in.parsed or self._readable(0)):
            self._receive(None)
            reads += 1
            if reads >= _MOST_READS:
                return

    def _readable(self, seconds: float | None) -> bool:
        return is_readable(self.socket.fileno(), seconds)


def passed_over(pending: Request) -> str:
    """Say what is wrong where a request that has a reply is done without one."""
    return f"it has answered a later request, and passed over this one, number {pending.serial & 0xFFFF}"


def _closed() -> Exception:
    return Closed("this connection was closed")


def _gone(error: OSError | None) -> Callable[[], Exception]:
    reason = f" ({error.strerror})" if error is not None else ""
    return lambda: DisplayGone(f"the connection to the X server has ended{reason}; the server died or closed it")
