"""The way out: requests in order, numbered when they are queued, given to the kernel as it takes them.

All of it is called under the Wire's lock. State is committed by stores, `+=` and `del` with no call in between, and
what the kernel accepted is stored inside the call that hands it over (see `wire.py`, "How it keeps step").
"""

from __future__ import annotations

import array
import socket
from itertools import compress, count
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from xshm.system.kernel_errors import is_the_kernels

if TYPE_CHECKING:
    import _socket
    from collections.abc import Sequence

    from xshm.x11.protocol.requests import Ledger, Request

# NOSIGNAL: a program that has SIGPIPE end it, as command line tools do, shall hear of a dead server like any other.
_FLAGS: Final = socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL
_COPIED: Final = 1 << 20  # what is longer is sent from where it lies
# So many requests go to the kernel at a time. Interrupted again and again, the queue still gets shorter: the time from
# one commit to the next does not grow with its length.
_TOGETHER: Final = 256
_data, _descriptors = attrgetter("data"), attrgetter("descriptors")


class WriteBuffer:
    """Requests for one socket: what the ledger has after `ledger.sent`, the last that was put into `_tail`."""

    def __init__(self, sock: _socket.socket, ledger: Ledger) -> None:
        self._send = sock.send
        self._sendmsg = sock.sendmsg
        self._ledger = ledger
        self._tail: bytes | memoryview = b""
        self._tail_descriptors: Sequence[int] = ()
        self._accepted: list[int] = []  # bytes of the tail that the kernel took, until the tail is cut

    def commit(self, pending: Request) -> None:
        """Queue a request: from here on it will be sent, and sent once."""
        ledger = self._ledger
        pending.serial = (ledger[-1].serial if ledger else 0) + 1
        ledger += (pending,)

    def commit_all(self, batch: tuple[Request, ...]) -> None:
        """Queue requests that belong together: a signal handler that raises finds all of them queued, or none."""
        ledger = self._ledger
        serial = ledger[-1].serial if ledger else 0
        for pending in batch:
            serial += 1
            pending.serial = serial
        ledger += batch

    def send_one(self, pending: Request) -> bool:
        """Queue a request that neither takes nor brings descriptors, and push: the hot path."""
        ledger = self._ledger
        serial = (ledger[-1].serial if ledger else 0) + 1
        pending.serial = serial
        ledger += (pending,)
        if self._tail or ledger.sent != serial - 1:
            return self.flush()
        accepted, data = self._accepted, pending.data
        self._tail = data
        self._tail_descriptors = ()
        ledger.sent = serial
        pending.data = b""
        try:
            accepted.extend(map(self._send, (data,), (_FLAGS,)))
        except BlockingIOError as error:
            if not is_the_kernels(error):
                raise
            return False
        if accepted[0] != len(data):
            return self.flush()
        self._tail = b""
        del accepted[0]
        return True

    def flush(self) -> bool:
        """Give the kernel what it takes without waiting; tell whether that was all. OSError: the connection is over."""
        accepted, ledger = self._accepted, self._ledger
        while True:
            if accepted:
                if accepted[0]:
                    self._tail_descriptors = ()
                self._tail = self._tail[accepted[0] :]
                del accepted[0]
            tail = self._tail
            if tail:
                try:
                    if self._tail_descriptors:
                        rights = array.array("i", self._tail_descriptors)
                        control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)]
                        accepted.extend(map(self._sendmsg, ([tail],), (control,), (_FLAGS,)))
                    else:
                        accepted.extend(map(self._send, (tail,), (_FLAGS,)))
                except BlockingIOError as error:
                    if not is_the_kernels(error):
                        raise
                    return False
            elif not ledger or ledger[-1].serial == ledger.sent:
                return True
            else:
                self._compose()

    def _compose(self) -> None:
        """Make the next tail out of the requests that are still to be sent, of which there are some."""
        ledger = self._ledger
        start = ledger.sent - ledger[-1].serial  # counted from the end, where what is queued is
        batch = list(map(ledger.__getitem__, range(start, min(start + _TOGETHER, 0))))
        descriptors = batch[0].descriptors
        if descriptors:  # they travel with their own request, alone
            del batch[1:]
        else:
            del batch[next(compress(count(), map(_descriptors, batch)), _TOGETHER) :]
        tail: bytes | memoryview = b"".join(map(_data, batch))
        if len(tail) > _COPIED:
            tail = memoryview(tail)
        self._tail = tail
        self._tail_descriptors = descriptors
        ledger.sent = batch[-1].serial
        # The ledger keeps a request until the server is heard of again, and need not keep its bytes too.
        for pending in batch:
            pending.data = b""
            pending.descriptors = ()
