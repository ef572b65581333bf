"""A workload to interrupt: kinds of work on one connection, each of which checks its results; and threads beside it."""

from __future__ import annotations

import contextlib
import mmap
import os
import random
import struct
import threading
import time
from typing import TYPE_CHECKING, Any

from descriptors import new_descriptors, open_descriptors
from painter import Painter
from Xlib import X

from xshm import sysv
from xshm.shm.pool import Pool
from xshm.shm.probe import choose
from xshm.shm.segment import Kind, Segment
from xshm.x11.connection import Connection
from xshm.x11.protocol import core, mit_shm
from xshm.x11.protocol.requests import EventRoute, Request
from xshm.x11.xlib_display import XlibDisplay

if TYPE_CHECKING:
    from collections.abc import Iterator

    from servers import Server

WIDTH, HEIGHT = 1280, 800
_SIZES = range(1, 9)


class InterruptWorkload:
    """A connection, and kinds of work on it that each check their results."""

    def __init__(self, name: str, kind: str) -> None:
        self.connection = Connection(name)
        self.transport = choose(self.connection, kind)
        self.xlib = XlibDisplay(self.connection)
        self.root = self.xlib.screen().root
        self.kind: Kind = "sysv" if kind == "sysv" else "memfd"
        self.pool = Pool(self.kind, self.transport.attach, self.transport.detach, 6)
        self.small_pool = Pool(self.kind, self.transport.attach, self.transport.detach, 2, 2)
        self.windows = [self.root.create_window(0, 0, size, 2 * size, 0, X.CopyFromParent) for size in _SIZES]
        self.atom = self.xlib.intern_atom("XSHM_TEST")
        self.whole = self.big_core_image()
        self.events: list[Any] = []

    def check(self, size: int | None = None) -> None:
        """Send a request whose reply can't be mistaken for another one."""
        size = size or random.choice(_SIZES)
        reply = self.connection.request(core.GetGeometry, drawable=self.windows[size - 1].id)
        assert (reply.width, reply.height) == (size, 2 * size)

    def hot_calls(self) -> None:
        wire = self.connection.wire
        for _ in range(5):
            pending = wire.call(struct.pack("=BxHI", 14, 2, self.windows[3].id))
            assert pending.reply is not None
            assert struct.unpack_from("=16xHH", pending.reply) == (4, 8)
            wire.sync()

    def xlib_objects(self) -> None:
        window, value = random.choice(self.windows), os.urandom(random.randrange(1, 40))
        mine = self.xlib.intern_atom(f"XSHM_TEST_{threading.get_ident()}")
        window.change_property(mine, 31, 8, value)
        assert window.get_full_property(mine, 31).value == value
        pixmap = self.root.create_pixmap(3, 4, 24)
        assert pixmap.get_geometry().height == 4
        pixmap.free()

    def attach_segments(self) -> None:
        shmseg = self.transport.attach(Segment(self.kind, 4096))
        self.transport.detach(shmseg)
        self.transport.attach(Segment(self.kind, 8192))

    def frames(self) -> None:
        for _ in range(3):
            x, y = random.randrange(WIDTH - 64), random.randrange(HEIGHT - 16)
            owner, slot = self.pool.acquire(64 * 16 * 4)
            request = mit_shm.pack_get_image(self.transport.opcode, self.root.id, x, y, 64, 16, slot.shmseg)
            pending = self.connection.wire.call(request, owner)
            assert pending.error is None
            for row in range(16):
                start = ((y + row) * WIDTH + x) * 4
                assert bytes(owner[row * 256 : row * 256 + 256]) == self.whole[start : start + 256]

    def pool_comes_and_goes(self) -> None:
        held = [self.pool.acquire(random.choice((100, 5000, 9000)))[0] for _ in range(4)]
        self.pool.trim()
        held.clear()
        self.pool.trim()

    def beyond_the_limit(self) -> None:
        held = [self.small_pool.acquire_or_stage(5000) for _ in range(4)]
        assert [staged for _, _, staged in held] == [False, False, True, True]
        held.clear()
        self.small_pool.trim()

    def descriptors(self) -> None:
        shmseg = self.connection.allocate_resource_id()
        _, received = self.connection.request(
            mit_shm.CreateSegment, received=True, opcode=self.transport.opcode, shmseg=shmseg, size=4096, read_only=0
        )
        with mmap.mmap(received[0], 4096) as memory:
            assert memory[:4] == bytes(4)
        self.connection.send(mit_shm.Detach, opcode=self.transport.opcode, shmseg=shmseg)

    def big_core_image(self) -> bytes:
        pending = self.connection.wire.call(core.pack_get_image(self.root.id, 0, 0, WIDTH, HEIGHT))
        assert pending.reply is not None
        return pending.reply[32:]

    def same_big_core_image(self) -> None:
        assert self.big_core_image() == self.whole

    def take_events(self) -> None:
        for _ in range(self.xlib.pending_events()):
            self.events.append(self.xlib.next_event())

    def close(self) -> None:
        self.pool.close()
        self.small_pool.close()
        self.connection.close()


@contextlib.contextmanager
def opened(server: Server, kind: str) -> Iterator[InterruptWorkload]:
    """Open an InterruptWorkload on a server painted for it; no descriptor and no segment may be left at its end."""
    with Painter(server) as painter:
        painter.noise((0, 0, WIDTH, HEIGHT))
        descriptors, segments = open_descriptors(), own_segments()
        workload = InterruptWorkload(server.name, kind)
        try:
            yield workload
        finally:
            workload.close()
        assert not new_descriptors(descriptors)
        # The server detaches its segments when it has read the end of the connection.
        deadline = time.monotonic() + 2
        while (left := new_segments(segments)) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not left


def own_segments() -> dict[int, int]:
    """Return the ids and the sizes of the segments that this process has made and that are there still.

    Those of earlier tests may be among them, which wait for the garbage collector.
    """
    return {each.shmid: each.size for each in sysv.segments() if each.cpid == os.getpid()}


def new_segments(before: dict[int, int]) -> set[int]:
    """Return the ids of those that were not there before."""
    return own_segments().keys() - before.keys()


class Ticker(threading.Thread):
    """Sends numbered ClientMessages to a window, from a connection of its own that nothing interrupts."""

    def __init__(self, workload: InterruptWorkload) -> None:
        super().__init__()
        self._connection = Connection(workload.connection.display_name)
        self._window = workload.windows[0].id
        self._ending = threading.Event()
        self.sent = 0

    def run(self) -> None:
        while not self._ending.wait(0.0002):
            self.tick()

    def tick(self) -> None:
        message = struct.pack("=BBHII5I", X.ClientMessage, 32, 0, self._window, 1, self.sent, 0, 0, 0, 0)
        self._connection.wire.send(Request(struct.pack("=BBHII", 25, 0, 11, self._window, 0) + message))
        self._connection.sync()
        self.sent += 1

    def end(self) -> None:
        self._ending.set()
        if self.is_alive():
            self.join()
        self._connection.close()


class BackgroundThreads:
    """Threads that work on the same connection, which no signal handler runs in; one waits for events."""

    def __init__(self, workload: InterruptWorkload, count: int) -> None:
        self._workload = workload
        self._route = EventRoute(X.ClientMessage, lambda _message: True)
        workload.connection.wire.add_route(self._route)
        self._ending = threading.Event()
        self._failures: list[BaseException] = []
        self.rounds = [0] * count
        self.waits: list[float] = []
        self.received: list[int] = []
        self._threads = [threading.Thread(target=self._work, args=(number,)) for number in range(count)]
        self._threads.append(threading.Thread(target=self._wait_for_events))
        for thread in self._threads:
            thread.start()

    def _work(self, number: int) -> None:
        try:
            while not self._ending.is_set():
                before = time.monotonic()
                self._workload.check()
                self.waits.append(time.monotonic() - before)
                if number % 2:
                    self._workload.frames()
                else:
                    self._workload.xlib_objects()
                self.rounds[number] += 1
                time.sleep(0.002)
        except BaseException as failure:
            self._failures.append(failure)
            raise

    def _wait_for_events(self) -> None:
        wire = self._workload.connection.wire
        while not (self._ending.is_set() and not self._route.queue):
            message = wire.next_event(self._route.queue, 0.1)
            if message is not None:
                self.received += struct.unpack_from("=12xI", message)

    def end(self) -> None:
        self._workload.connection.sync()
        self._ending.set()
        for thread in self._threads:
            thread.join()
        assert not self._failures
