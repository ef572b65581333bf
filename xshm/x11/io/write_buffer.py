"""The write buffer: requests are numbered when they are queued, and written as the kernel takes their bytes.

Every method is called under the Wire's lock, and none waits.

Invariants:
1. The ledger's serials have no gaps. A request is queued by the store that appends it: from then on it is sent, once.
2. The bytes of all requests up to `ledger.sent` are with the kernel or in `tail`; those after that are in the ledger.
3. `_accepted` holds how many bytes of the tail the kernel has taken since the tail was cut, noted inside the call that
   sends them (signal-safe: 1); the tail is cut by it before more is sent.
"""

from __future__ import annotations

import array
import socket
from itertools import compress, count, repeat
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from xshm._signal_safety import is_the_kernels

if TYPE_CHECKING:
    import _socket
    from collections.abc import Sequence

    from xshm.x11.protocol.requests import Ledger, Request

# NOSIGNAL: a dead server is an error also in a program with the default action for SIGPIPE, as command line tools have.
_FLAGS: Final = repeat(socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
_COPIED: Final = 1 << 20  # bytes; of a longer tail a memoryview is sliced, since each cut would copy it
# Requests that are joined to one tail, at most. It bounds the time from one commit to the next: however often signal
# handlers interrupt this, the queue gets shorter.
_TOGETHER: Final = 256
_data, _descriptors = attrgetter("data"), attrgetter("descriptors")


class WriteBuffer:
    """Writes the requests of one ledger to one socket."""

    def __init__(self, sock: _socket.socket, ledger: Ledger) -> None:
        self._send = sock.send
        self._sendmsg = sock.sendmsg
        self._ledger = ledger
        self.tail: bytes | memoryview = b""  # the bytes up to `ledger.sent` that the kernel has yet to take
        self._tail_descriptors: Sequence[int] = ()
        self._accepted: list[int] = []

    def queue(self, request: Request) -> None:
        """Queue a request."""
        ledger = self._ledger
        request.serial = (ledger[-1].serial if ledger else 0) + 1
        ledger += (request,)  # signal-safe (2): a request that has a serial is in the ledger

    def queue_all(self, batch: tuple[Request, ...]) -> None:
        """Queue requests that belong together: all of them, or none if a signal handler raises."""
        ledger = self._ledger
        serial = ledger[-1].serial if ledger else 0
        for request in batch:
            serial += 1
            request.serial = serial
        ledger += batch

    def send_one(self, request: Request) -> bool:
        """Queue a request without descriptors and send it, all at once where nothing is queued before: the hot path.

        Return whether the kernel has taken all that is queued. OSError: the connection is over.
        """
        ledger = self._ledger
        serial = (ledger[-1].serial if ledger else 0) + 1
        request.serial = serial
        ledger += (request,)
        if self.tail or ledger.sent != serial - 1:
            return self.flush()
        accepted, data = self._accepted, request.data
        self.tail = data
        ledger.sent = serial
        request.data = b""
        try:
            accepted.extend(map(self._send, (data,), _FLAGS))  # signal-safe (1)
        except BlockingIOError as error:
            if not is_the_kernels(error):
                raise
            return False
        if accepted[0] != len(data):
            return self.flush()
        self.tail = b""
        del accepted[0]
        return True

    def flush(self) -> bool:
        """Send as much as the kernel takes; return whether all was sent. OSError: the connection is over."""
        accepted, ledger = self._accepted, self._ledger
        while True:
            if accepted:
                if accepted[0]:  # the descriptors were sent with the first byte
                    self._tail_descriptors = ()
                self.tail = self.tail[accepted[0] :]
                del accepted[0]
            tail = self.tail
            if tail:
                try:  # signal-safe (1)
                    if self._tail_descriptors:
                        rights = array.array("i", self._tail_descriptors)
                        control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)]
                        accepted.extend(map(self._sendmsg, ([tail],), (control,), _FLAGS))
                    else:
                        accepted.extend(map(self._send, (tail,), _FLAGS))
                except BlockingIOError as error:
                    if not is_the_kernels(error):
                        raise
                    return False
            elif not ledger or ledger[-1].serial == ledger.sent:
                return True
            else:
                self._refill()

    def _refill(self) -> None:
        """Join the next queued requests to a new tail. At least one is queued."""
        ledger = self._ledger
        start = ledger.sent - ledger[-1].serial  # an index from the ledger's end, where the queued requests are
        batch = list(map(ledger.__getitem__, range(start, min(start + _TOGETHER, 0))))
        descriptors = batch[0].descriptors
        if descriptors:  # such a request is sent alone, so that the server takes them for its own
            del batch[1:]
        else:  # up to the first request with descriptors
            del batch[next(compress(count(), map(_descriptors, batch)), _TOGETHER) :]
        tail: bytes | memoryview = b"".join(map(_data, batch))
        if len(tail) > _COPIED:
            tail = memoryview(tail)
        self.tail = tail  # signal-safe (2)
        self._tail_descriptors = descriptors
        ledger.sent = batch[-1].serial
        # The ledger keeps a request until the server has answered it or a later one, and need not keep its bytes too.
        for request in batch:
            request.data = b""
        if descriptors:
            batch[0].descriptors = ()  # type: ignore[misc]  # a BoundedRequest, which has a slot for it
