"""The owner's end of the control socket: messages to a supervisor (`supervisor` lists them), and its answers.

Always true:

1. An answer belongs to the question that names it, by a word and a mark: "group 17". Other messages that arrive
   meanwhile are kept for the question that waits for them, or passed to `handle_other`.
2. A message that has been received stays in `_arrived` until it is handled: a handler's exception in between loses
   neither the message nor the descriptors that came with it.
3. `_waiting` has the answers that are being waited for: several, where a signal handler asks a question while one of
   the same thread is open. If the display is ended meanwhile, the last question to return closes the socket.
4. A forked child never uses the socket: its owner is the process that made it.

Locking rules:

- A thread that asks holds the lock from the question to the answer. It is an RLock, since a signal handler of the same
  thread may ask.
- Messages that need no answer are sent without the lock: another thread may be waiting under it for seconds.
- A handler may receive the answer to the question that it has interrupted, and puts it into `_kept`. That question may
  sleep in poll(2) already; "wake" makes the supervisor send something that wakes it.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from array import array
from typing import TYPE_CHECKING, Final

from xshm._signal_safety import Descriptor, Ignored, is_the_kernels
from xshm.errors import Closed
from xshm.virtual.processes import process_groups
from xshm.virtual.processes.process_groups import GRACE

if TYPE_CHECKING:
    import _socket
    from collections.abc import Callable

    from xshm.virtual.servers.launch import Launched

    _Message = tuple[bytes, list[tuple[int, int, bytes]], int, object]

PATIENCE: Final = 4 * GRACE + 5  # seconds for an answer: programs and server may each take SIGTERM's and SIGKILL's time
_MOST_SCREENS: Final = 16  # MAXSCREENS of the X server
_RIGHTS_SIZE: Final = socket.CMSG_SPACE(4 * (1 + _MOST_SCREENS))  # bytes: the server's pidfd and its framebuffers
_MESSAGE_SIZE: Final = 8192  # bytes, more than any message has


class NoAnswer(TimeoutError):
    """The supervisor has not answered in time. A class of its own, since signal handlers raise TimeoutErrors too."""


class ControlSocket:
    """The socket to the supervisor that is in `launched`, once it is.

    `handle_other(word, rest, wanted)` is called with each message that is no awaited answer (word "": the socket's end)
    while the answer `wanted` is waited for; an exception of it ends the wait. `descriptors` are
    those that came with messages.
    """

    def __init__(self, launched: list[Launched], handle_other: Callable[[str, str, str], None]) -> None:
        self._launched, self._handle_other = launched, handle_other
        self._owner = os.getpid()
        self._lock = threading.RLock()
        self._waiting: list[str] = []
        self._kept: dict[str, str] = {}
        self._arrived: list[_Message] = []
        self.descriptors: list[Descriptor] = []
        self.is_ended = False  # by the display's end: no further question

    @property
    def is_connected(self) -> bool:
        """Whether the socket is open."""
        return self._socket.fileno() >= 0

    @property
    def is_owner(self) -> bool:
        """Whether this process may use it, which a forked child may not (4)."""
        return os.getpid() == self._owner

    def check_open(self) -> None:
        """Raise Closed in a forked child, and after the display's end."""
        if not self.is_owner:
            raise Closed(
                f"this display belongs to process {self._owner}, from which this one was forked; start one here"
            )
        if self.is_ended:
            raise Closed("this display was closed")

    def ask(self, question: str, mark: int, answer: str = "") -> str:
        """Send a question about a program, and return what follows the answer's word (the question's) and the mark.

        Raises NoAnswer after PATIENCE, Closed, and what `handle_other` raises.
        """
        deadline = time.monotonic() + PATIENCE
        wanted = f"{answer or question} {mark}"
        with self._lock:
            self.check_open()
            try:
                self._waiting.append(wanted)
                if process_groups.wait((), deadline, (self._socket.fileno(),)) < 0:
                    raise NoAnswer
                with Ignored(OSError):  # the reason is in a message that is still to be read
                    self._socket.send(f"{question} {mark}".encode())
                return self.wait_answer(wanted, deadline)
            finally:
                if wanted in self._waiting:
                    self._waiting.remove(wanted)
                if self.is_ended and not self._waiting:
                    self._socket.close()
                elif self._kept:
                    self.send("wake")

    def send(self, message: str) -> None:
        """Send a message that needs no answer; one that can't be sent now is dropped."""
        if not self.is_ended and self.is_owner:
            with Ignored(OSError):
                self._socket.send(message.encode(), socket.MSG_DONTWAIT)

    def end(self) -> str:
        """Ask the supervisor to end all, and return what failed. Raises NoAnswer, and as `handle_other` does."""
        with self._lock:
            if not self.is_connected:  # closed by a question of another thread's, by which the supervisor ends all
                return ""
            with Ignored(BrokenPipeError, ConnectionResetError):  # the latter where it had not read all
                self._socket.send(b"end")
            return self.wait_answer("ended", time.monotonic() + PATIENCE)

    def wait_end(self) -> None:
        """Wait until another thread's `end` has returned."""
        with self._lock:
            pass

    def disconnect(self) -> None:
        """Close the socket at once; the supervisor then ends all."""
        self.is_ended = True
        if self._launched:
            self._socket.close()

    def close(self) -> None:
        """Close the socket, or leave that to a question that is open (3)."""
        if not self._waiting:
            self._socket.close()
        if self._arrived:
            self._own_descriptors()

    def wait_answer(self, wanted: str, deadline: float) -> str:
        """Return the rest of the message that begins with the words `wanted`; raise NoAnswer at the deadline."""
        while wanted not in self._kept:
            if not self._arrived and process_groups.wait((self._socket.fileno(),), deadline) < 0:
                raise NoAnswer
            if self.is_ended and wanted != "ended":  # by a signal handler
                raise Closed("this display was closed")
            data = self._receive()
            del self._arrived[:]  # only now, when it is decoded (2)
            message = data.decode("utf-8", "surrogateescape")
            if f"{message} ".startswith(f"{wanted} "):
                return message[len(wanted) + 1 :]
            answered = " ".join(message.split(" ", 2)[:2])
            if answered in self._waiting:
                self._kept[answered] = message[len(answered) + 1 :]
            word, _, rest = message.partition(" ")
            self._handle_other(word, rest, wanted)
        return self._kept.pop(wanted)

    @property
    def _socket(self) -> _socket.socket:
        return self._launched[0].control

    def _receive(self) -> bytes:
        """Return a message, b"" at the socket's end, and keep the descriptors that came with it."""
        try:
            if not self._arrived:
                # Not socket.recv_fds, which forgets its flags: other programs would inherit these descriptors. The
                # message is stored inside the call that receives it: its descriptors are never without an owner.
                message = map(self._socket.recvmsg, (_MESSAGE_SIZE,), (_RIGHTS_SIZE,), (socket.MSG_CMSG_CLOEXEC,))
                self._arrived.extend(message)
        except ConnectionResetError as error:
            if not is_the_kernels(error):
                raise
            return b""
        self._own_descriptors()
        return self._arrived[0][0]

    def _own_descriptors(self) -> None:
        """Keep the descriptors of the message that has arrived; only one message brings any, and it may come twice."""
        descriptors = array("i", b"".join(each[2] for each in self._arrived[0][1]))
        if not self.descriptors:
            self.descriptors.extend(map(Descriptor, descriptors))
