"""A fake X server at the other end of a Wire: messages as bytes, sent at the test's command."""

from __future__ import annotations

import array
import os
import select
import socket
import struct
import threading

from xshm.x11.io.wire import Wire

REQUEST = b"\x2b\0\1\0"


def reply(serial: int, extra: bytes = b"", nfd: int = 0) -> bytes:
    assert len(extra) % 4 == 0
    return struct.pack("=BBHI24x", 1, nfd, serial & 0xFFFF, len(extra) // 4) + extra


def error(serial: int, code: int = 3) -> bytes:
    return struct.pack("=BBHI24x", 0, code, serial & 0xFFFF, 7)


def event(serial: int, number: int, code: int = 33) -> bytes:
    return struct.pack("=BxHI24x", code, serial & 0xFFFF, number)


def generic_event(serial: int, extra: bytes) -> bytes:
    return struct.pack("=BBHI24x", 35, 1, serial & 0xFFFF, len(extra) // 4) + extra


class FakeServer:
    """`wire`, and the other end of its socket."""

    def __init__(self) -> None:
        ours, self.socket = socket.socketpair()
        self.socket.settimeout(5)
        self.wire = Wire(ours)
        self._threads: list[threading.Thread] = []

    def send(self, data: bytes, descriptors: tuple[int, ...] = ()) -> None:
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
        assert self.socket.sendmsg([data], rights) == len(data)

    def receive(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            part = self.socket.recv(count - len(data))
            assert part, f"the wire ended after {len(data)} of {count} bytes"
            data += part
        return data

    def send_after(self, *steps: tuple[int, bytes]) -> None:
        """In a thread, for each step: receive so many bytes, then send these. A server replies only to requests."""

        def serve() -> None:
            for count, data in steps:
                self.receive(count)
                self.socket.sendall(data)

        thread = threading.Thread(target=serve)
        self._threads.append(thread)
        thread.start()

    def close(self) -> None:
        self.wire.close()
        for thread in self._threads:
            thread.join()
        self.socket.close()

    def receives_nothing(self) -> bool:
        return not select.select([self.socket], [], [], 0.02)[0]


def is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True
