"""A server that lies: a proxy in front of a real X server, which changes the server's messages to its clients.

    def lie(message: Message) -> Iterable[bytes]:
        return [message.data] if message.request != (15, 0) else [cycle(message.data)]   # QueryTree

    with Liar(server, lie) as liar, Screen(liar.name, "sysv") as screen:
        ...

`lie` is called for each message, in order, in the thread of its connection, and returns what is sent in its place.
What clients send, and descriptors in either direction, are passed on unchanged.
"""

from __future__ import annotations

import array
import contextlib
import os
import socket
import struct
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from leak_watch import DIRECTORY_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from servers import Server

_HEADER = 32
_SOME = 1 << 16
_SPACE = socket.CMSG_SPACE(64)


@dataclass(frozen=True, slots=True)
class Message:
    """A message of the server: `kind` is "set-up", "reply", "error" or "event"; `number` counts them from 0.

    `request` is the opcode of the request that a reply is to, and its minor opcode: (15, 0); (-1, 0) for all else.
    `first_event` and the like are the server's own. `connection` counts the clients.
    """

    kind: str
    data: bytes
    number: int
    request: tuple[int, int]
    connection: int


def honest(message: Message) -> Iterable[bytes]:
    """Return the message unchanged."""
    return (message.data,)


class Liar:
    """`name` is the display's name; `said` counts the server's messages since it was set to 0, of all connections."""

    def __init__(self, server: Server, lie: Callable[[Message], Iterable[bytes]] = honest) -> None:
        self.lie = lie
        self.said = 0
        self._behind = f"/tmp/.X11-unix/X{server.name.removeprefix(':')}"  # noqa: S108 - where X servers listen
        self._home = tempfile.TemporaryDirectory(prefix="xshm-liar-", dir=os.environ.get(DIRECTORY_VARIABLE))
        self.name = str(Path(self._home.name) / "X9")
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.name)
        self._listener.listen(16)
        self._ends: list[socket.socket] = []
        self._count = 0
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def close(self) -> None:
        """End all connections."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()
        self._listener.close()
        self.hang_up()
        for thread in self._threads[1:]:
            thread.join()
        for end in self._ends:
            end.close()
        self._home.cleanup()

    def hang_up(self) -> None:
        """End those connections that there are now; new ones can be made."""
        for end in list(self._ends):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _accept(self) -> None:
        while True:
            try:
                ours, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            server.connect(self._behind)
            self._ends += (ours, server)
            self._count += 1
            requests = _Requests()
            for target in (
                lambda ours=ours, server=server, requests=requests: _pass_on(ours, server, requests.hear),
                lambda ours=ours, server=server, requests=requests, count=self._count: self._tell(
                    server, ours, requests, count
                ),
            ):
                thread = threading.Thread(target=target)
                self._threads.append(thread)
                thread.start()

    def _tell(self, server: socket.socket, client: socket.socket, requests: _Requests, connection: int) -> None:
        """Pass on what the server sends, as `lie` changes it."""
        stream = _Stream(server)
        with contextlib.suppress(OSError):
            for kind, data, rights in stream.messages():
                request = requests.opcode(struct.unpack_from("=H", data, 2)[0]) if kind == "reply" else (-1, 0)
                message = Message(kind, data, self.said, request, connection)
                self.said += 1
                for part in self.lie(message):
                    _send(client, part, rights)
                    rights.clear()
        for end in (client, server):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


class _Stream:
    """A server's bytes, cut into messages, each with the descriptors that came by then."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._buffer = b""
        self._rights: list[int] = []

    def messages(self) -> Iterator[tuple[str, bytes, list[int]]]:
        head = self._peek(8)
        yield "set-up", *self._take(8 + 4 * struct.unpack_from("=H", head, 6)[0])
        while True:
            head = self._peek(_HEADER)
            code = head[0] & 0x7F
            kind = "reply" if head[0] == 1 else "error" if head[0] == 0 else "event"
            length = struct.unpack_from("=I", head, 4)[0] if head[0] == 1 or code == 35 else 0
            yield kind, *self._take(_HEADER + 4 * length)

    def _peek(self, count: int) -> bytes:
        while len(self._buffer) < count:
            data, control, _, _ = self._socket.recvmsg(_SOME, _SPACE)
            if not data:
                raise ConnectionResetError
            self._buffer += data
            self._rights += _descriptors(control)
        return self._buffer[:count]

    def _take(self, count: int) -> tuple[bytes, list[int]]:
        data, rights = self._peek(count), self._rights
        self._buffer, self._rights = self._buffer[count:], []
        return data, rights


class _Requests:
    """A client's bytes, of which the opcodes are remembered."""

    def __init__(self) -> None:
        self._left = b""
        self._set_up = False
        self._opcodes: list[tuple[int, int]] = [(-1, 0)]

    def hear(self, data: bytes) -> None:
        self._left += data
        if not self._set_up and len(self._left) >= 12:
            name, value = struct.unpack_from("=6xHH", self._left)
            size = 12 + name + -name % 4 + value + -value % 4
            if len(self._left) >= size:
                self._left, self._set_up = self._left[size:], True
        at = 0
        while self._set_up and len(self._left) - at >= 4:
            major, minor, words = struct.unpack_from("=BBH", self._left, at)
            if not words and len(self._left) - at < 8:
                break
            if not words:
                words = struct.unpack_from("=I", self._left, at + 4)[0]
            if len(self._left) - at < 4 * words:
                break
            self._opcodes.append((major, minor))
            at += 4 * words
        self._left = self._left[at:]

    def opcode(self, number: int) -> tuple[int, int]:
        last = len(self._opcodes) - 1
        at = last - ((last - number) & 0xFFFF)
        return self._opcodes[at] if at >= 0 else (-1, 0)


def _pass_on(source: socket.socket, target: socket.socket, hear: Callable[[bytes], None]) -> None:
    with contextlib.suppress(OSError):
        while True:
            data, control, _, _ = source.recvmsg(_SOME, _SPACE)
            if not data:
                break
            hear(data)
            _send(target, data, _descriptors(control))
    for end in (source, target):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


def _send(target: socket.socket, data: bytes, rights: list[int]) -> None:
    if rights:
        control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", rights))]
        sent = target.sendmsg([data], control)
        for descriptor in rights:
            os.close(descriptor)
        data = data[sent:]
    target.sendall(data)


def _descriptors(control: list[tuple[int, int, bytes]]) -> list[int]:
    found = array.array("i")
    for _, _, data in control:
        found.frombytes(data[: len(data) - len(data) % found.itemsize])
    return found.tolist()
