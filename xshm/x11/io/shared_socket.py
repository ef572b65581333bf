"""One connected socket and the threads that share it: which thread reads, which sleep, and how the connection ends.

This is the base class of `Wire` (`wire`), whose methods make the requests and the waits. One waiting thread at a time
is the reader: it waits in the kernel for bytes and dispatches the replies, errors and events that they hold, its own
and those that other threads wait for. The other threads sleep until their message is dispatched, or until the reader
stops and one of them replaces it. A thread that waits alone reads its own reply, with no thread switch.

Locking rules:
1. `_lock` guards the ledger, both buffers, the routes and the sleepers. It is held for microseconds: no thread waits
   for the server under it, and no function called under it may use the Wire. It is not reentrant.
2. `_reader` is None or the token of one thread's wait: any object that no other wait has. A thread sets it under the
   lock where it is None, and clears its own token without the lock, by one store.
3. Only the reader reads the socket, and without the lock; it takes the lock to dispatch the messages it has read.
4. A thread that sleeps has a `wakeup` in `_sleepers`: a lock that it has taken, and that another thread releases.
   The reader wakes those whose wait is over; a thread that stops reading wakes one more, which becomes the reader.
5. Deferred work (`deferred`: error handlers, releases) runs in a thread that is not the reader and does not hold the
   lock, since it may make requests.

State stays consistent by the idioms 1 and 2 of `_signal_safety`. Work that a signal handler cut short is done again,
from the same state, by the next thread that sends or waits.

What does not work:
- Reading under the lock: a thread that waits for an event would block every other's request.
- A dedicated thread that does all reading: each reply costs a thread switch, 20 µs.
- threading.Condition to sleep on: it is written in Python, and a signal handler's exception leaves its lock taken.
- A with block for the reader's turn: its `__exit__` could be cut short before it clears `_reader`.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Final, NoReturn

from xshm._signal_safety import is_the_kernels
from xshm.errors import Closed, DisplayGone, ServerNonsense
from xshm.system.deadlines import timed_out
from xshm.system.polling import OneDescriptor, is_cooperative, readable_or_writable, ready
from xshm.x11.io.deferred import DeferredWork
from xshm.x11.io.packet_reader import PacketReader
from xshm.x11.io.write_buffer import WriteBuffer
from xshm.x11.protocol.requests import Ledger

if TYPE_CHECKING:
    import _socket
    from collections.abc import Callable

    from xshm.x11.protocol.requests import Waitable

_DESCRIPTOR_SPACE = socket.CMSG_SPACE(64)  # of 16 descriptors
_CLOEXEC = getattr(socket, "MSG_CMSG_CLOEXEC", 0)  # a program that another thread starts does not inherit descriptors
_WAITING: Final = (_CLOEXEC,)  # the flags of a receive
NOT_WAITING: Final = (_CLOEXEC | socket.MSG_DONTWAIT,)
# Seconds. Between two cores of a virtual machine, a 1x1 grab takes 46 us in place of 90, and no more of the processor.
_SPIN: Final = 50e-6
_MOST_SKIPS: Final = 255  # calls; 0.2 us of each are what is lost where no answer ever comes so soon
# Seconds after which a sleeper checks its wait by itself: a second signal, within microseconds of the first, can cut
# short the code that would have woken it.
_RECHECK: Final = 0.5
_CLOSE_WAIT: Final = 1.0  # seconds that `close` gives the reader to come back from the kernel
# Reads of one `_read_available`, at most: more than a socket's buffer holds, and a bound where a server sends
# endlessly.
_MOST_READS: Final = 1024


class SharedSocket:
    """The state and the methods by which all waits of a Wire read, sleep and end."""

    def __init__(self, sock: _socket.socket) -> None:
        # A read blocks in the kernel. Where another library has made the descriptor non-blocking, as uvloop's
        # add_reader does, or where a blocking read would stop other greenlets, the reader waits by poll. Sends never
        # block (MSG_DONTWAIT).
        sock.settimeout(0.0 if is_cooperative() else None)
        self.socket = sock
        self._is_readable = OneDescriptor(sock.fileno()).is_readable  # for the reader alone
        self._recv, self._recvmsg = sock.recv, sock.recvmsg
        self._takes_descriptors = False  # recv until a request's reply brings descriptors: recvmsg is slower
        self._lock = Lock()
        self._ended: Callable[[], Exception] | None = None  # once the connection is over: makes each call's exception
        self._ledger = Ledger()
        self._out = WriteBuffer(sock, self._ledger)
        self.packets = PacketReader(self._ledger)
        self._deferred = self.packets.deferred
        self._deferred_work = DeferredWork(self._deferred)
        self._reader: object = None
        self._skips = 0  # calls that are not to spin
        self._in_vain = 0  # how many were skipped when the last one had spun in vain; 0: it was not in vain
        self._sleepers: dict[object, tuple[Waitable, Lock]] = {}  # by the token of each wait

    # -- the end -----------------------------------------------------------------------------------------------------

    @property
    def ended(self) -> bool:
        """Whether the connection is over, for whatever reason."""
        return self._ended is not None

    def end_reason(self) -> Exception | None:
        """Return why the connection is over, as each call raises it; None while it is not."""
        return None if self._ended is None else self._ended()

    def check(self) -> None:
        """Raise the reason for its end once the connection is over."""
        if self._ended is not None:
            raise self._ended()

    def end(self, because: Callable[[], Exception]) -> None:
        """End the connection: every later call raises `because()`. All sleepers are woken. The first reason stays."""
        if self._ended is None:
            self._ended = because
        try:
            self.socket.shutdown(socket.SHUT_RDWR)  # the reader comes back from the kernel
        except OSError as error:
            if not is_the_kernels(error):  # such as ENOTCONN: the server has closed the connection before
                raise
        with self._lock:
            self._wake_done()

    def nonsense(self, request: str, wrong: str) -> ServerNonsense:
        """End the connection because of an invalid reply; return the exception to raise."""
        self.end(partial(ServerNonsense, request, wrong))
        return ServerNonsense(request, wrong)

    def close(self) -> None:
        """End the connection from our side; close the descriptor once no thread reads from it, or after a second."""
        self.end(lambda: Closed("this connection was closed"))
        deadline = time.monotonic() + _CLOSE_WAIT
        while self._reader is not None and time.monotonic() < deadline:
            time.sleep(0.0005)
        self.packets.drop_descriptors()
        self.socket.close()

    def abandon(self, because: Callable[[], Exception]) -> None:
        """After fork, in the child: close the descriptor and send nothing, since the connection is the parent's."""
        # New locks: a thread that was not copied into the child may hold the parent's.
        self._lock = Lock()
        self._deferred_work = DeferredWork(self._deferred)
        self._reader = None
        self._sleepers = {}
        self._ended = because
        self.packets.drop_descriptors()
        self.socket.close()

    def _broken(self, error: OSError) -> NoReturn:
        """Raise the exception for an error of send(2): the connection has ended; or pass on a signal handler's."""
        if not is_the_kernels(error):  # signal-safe (6)
            raise error
        if self._ended is None:
            self._ended = _gone(error)
        raise self._ended() from error

    # -- sending -----------------------------------------------------------------------------------------------------

    def _flush_now(self, me: object) -> bool:
        """Send as much as the kernel takes without waiting; return whether all queued requests were sent.

        Where there is no reader, the thread whose token is `me` becomes it; with None, no thread does.
        """
        with self._lock:
            if self._ended is not None:
                raise self._ended()
            try:
                sent = self._out.flush()
            except OSError as error:
                self._broken(error)
            if self._reader is None:
                self._reader = me
        return sent

    def _flush(self, me: object, sent: bool, deadline: float | None) -> None:
        """Wait until the kernel has taken all that is queued; `sent` is whether it has done so already."""
        while not sent:
            self._wait_for_room(me, deadline)
            sent = self._flush_now(me)

    def _wait_for_room(self, me: object, deadline: float | None) -> None:
        """Wait until the kernel takes more. The reader also reads: a server may stop reading until it has written."""
        left = _RECHECK if deadline is None else deadline - time.monotonic()
        if left <= 0:
            raise timed_out()
        left = min(left, _RECHECK)  # the reader may stop before the kernel takes more: then this thread has to read
        if self._reader is not me:
            ready((), (self.socket.fileno(),), left)
        elif readable_or_writable(self.socket.fileno(), left):
            self._read(None)

    # -- waiting -----------------------------------------------------------------------------------------------------

    def _as_reader(self, work: Callable[..., None], *args: object) -> None:
        """Send as much as the kernel takes, and call `work(me, sent, *args)`, as the reader unless another thread is.

        `me` is the token of this wait; `sent` is whether the kernel has taken all that was queued. `Wire.call` and
        `Wire.wait_for` are the same steps written out.
        """
        me = object()
        try:
            work(me, self._flush_now(me), *args)
        finally:
            if self._reader is me:  # signal-safe (2): no call that could be cut short
                self._reader = None
            if self._sleepers:
                self._wake_next_reader()

    def _wait_until_done(self, me: object, sent: bool, what: Waitable, deadline: float | None) -> None:
        """Send the rest of the queue, and read or sleep until `what` is done. The caller clears `_reader`."""
        if not sent:
            self._flush(me, sent, deadline)
        too_late = False
        while not what.done:
            if self._ended is not None:
                raise self._ended()
            if self._reader is not me:
                self._sleep(me, what, deadline)
            elif self._deferred and self._deferred[0] is not None:  # None: another thread does this work already
                self._reader = None  # rule 5
                self._wake_next_reader()
                self.run_deferred()
            else:
                if too_late:
                    raise timed_out()
                # One read follows the deadline: the reply may have come while this process was stopped (SIGSTOP).
                too_late = deadline is not None and time.monotonic() >= deadline
                self._read(deadline)

    def _sleep(self, me: object, what: Waitable, deadline: float | None) -> None:
        """Become the reader where no thread is; else sleep until another thread releases the wakeup."""
        wakeup = threading.Lock()  # looked up now: eventlet and gevent may have patched it since the import
        wakeup.acquire()
        try:
            with self._lock:
                # Registered before the checks: a reader that stops in between finds the wakeup, or has cleared
                # `_reader` before this thread looks at it.
                self._sleepers[me] = (what, wakeup)
                if self._reader is None:
                    self._reader = me
            if self._reader is not me and not what.done and self._ended is None:
                left = _RECHECK if deadline is None else deadline - time.monotonic()
                if left <= 0:
                    raise timed_out()
                wakeup.acquire(timeout=min(left, _RECHECK))
        finally:
            if me in self._sleepers:
                del self._sleepers[me]

    def _wake_next_reader(self) -> None:
        """Wake those whose wait is over and, where no thread reads, one more, which becomes the reader."""
        with self._lock:
            self._wake_done()
            if self._reader is None:
                self._wake_one()

    def _wake_done(self) -> None:
        """Under the lock: wake those whose wait is over."""
        for what, wakeup in list(self._sleepers.values()):  # a copy: sleepers leave without the lock
            if (what.done or self._ended is not None) and wakeup.locked():
                wakeup.release()

    def _wake_one(self) -> None:
        """Under the lock: wake one sleeper, which finds no reader and becomes it."""
        for _, wakeup in list(self._sleepers.values()):
            if wakeup.locked():
                wakeup.release()
                return

    def run_deferred(self) -> None:
        """Do the work that was deferred, and send the requests that it queued, as far as the kernel takes them."""
        if self._deferred:
            self._deferred_work.run()
            if self._ended is None:
                self._flush_now(None)

    # -- reading, by the reader --------------------------------------------------------------------------------------

    def _read(  # noqa: C901 - in one piece, since it is on the hot path
        self, deadline: float | None, flags: tuple[int] = _WAITING
    ) -> None:
        """Receive what has arrived, waiting for it until the deadline, and dispatch it.

        With the flags `NOT_WAITING`, and no deadline, it waits for nothing.
        """
        packets = self.packets
        if packets.parsed:
            if deadline is not None and not self._is_readable(deadline - time.monotonic()):
                return
            # Before the receive: a signal handler may raise once the bytes are stored and before they are dispatched.
            # The next read then dispatches them, and receives nothing.
            packets.parsed = False
            try:
                if self._takes_descriptors:  # signal-safe (1)
                    packets.chunks.extend(map(self._recvmsg, (packets.expected,), (_DESCRIPTOR_SPACE,), flags))
                else:
                    packets.chunks.extend(map(self._recv, (packets.expected,), flags))
            except OSError as error:
                if not is_the_kernels(error):  # signal-safe (6)
                    raise
                packets.parsed = True  # nothing was received
                if not isinstance(error, BlockingIOError):
                    self.end(_gone(error))
            if packets.parsed:
                # A non-blocking socket that is empty: wait for more. With a deadline, `_is_readable` above has waited.
                if deadline is None and flags is _WAITING and self._ended is None:
                    self._is_readable(None)
                return
        with self._lock:
            if not packets.dispatch_short():
                self._dispatch()
            if self._sleepers:
                self._wake_done()

    def _spin(self, request: Waitable) -> None:
        """Read until a request is done, for as long as going to sleep and waking up would take.

        Where that was in vain, the next calls sleep at once, the more of them the more often it was: a large picture, a
        server that is busy or far away, and one that needs this thread's core would never answer so soon.
        """
        until = time.monotonic() + _SPIN
        while not request.done and self._ended is None:
            if time.monotonic() > until:
                self._skips = self._in_vain = min(2 * self._in_vain + 1, _MOST_SKIPS)
                return
            self._read(None, NOT_WAITING)
        self._in_vain = 0

    def _dispatch(self) -> None:
        """Under the lock: dispatch all that was received; end the connection where the stream ends or is invalid."""
        self.packets.dispatch()
        if self._ended is not None:
            return
        if self.packets.wrong:
            self._ended = partial(ServerNonsense, "", self.packets.wrong)
            with contextlib.suppress(OSError):  # ENOTCONN: the server has closed the connection before
                self.socket.shutdown(socket.SHUT_RDWR)
        elif self.packets.over:
            self._ended = _gone(None)

    def _read_available(self, me: object, _sent: bool) -> None:
        """Where this thread is the reader, read what has arrived by now; wait for nothing (`Wire.pump`)."""
        reads = 0
        while self._reader is me and self._ended is None and (not self.packets.parsed or self._is_readable(0)):
            self._read(None)
            reads += 1
            if reads >= _MOST_READS:
                return


def _gone(error: OSError | None) -> Callable[[], Exception]:
    reason = f" ({error.strerror})" if error is not None else ""
    return lambda: DisplayGone(f"the connection to the X server has ended{reason}; the server died or closed it")
