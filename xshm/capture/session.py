"""Session: the connection, transport and pool that the drawables of one Screen share; Stats: a drawable's counts."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xshm.capture.pointer import Pointer
    from xshm.input.device import InputDevice
    from xshm.shm.pool import Pool, PoolStats
    from xshm.shm.transport import Transport
    from xshm.x11.connection import Connection
    from xshm.x11.server.pointer_events import PointerEvents


@dataclass(frozen=True, slots=True)
class Stats:
    """A drawable's counts: `frames` grabbed, and its `pool` (None on the core transport, which shares no memory).

    `copies` counts the frames that got memory of their own because all slots were in use, or because the kernel had no
    memory for one more (`Frame.shared` is False). They were copied out of a slot, or came over the socket.
    """

    frames: int
    pool: PoolStats | None
    copies: int = 0


class Session:
    """The connection, the transport of frames over it, and their memory: one for a Screen and all opened from it."""

    # Not a dataclass, which takes 0.7 ms to make: each screenshot as a process would pay for it.
    __slots__ = ("connection", "copies", "input", "opening", "pointer", "pointing", "pool", "transport")

    def __init__(self, connection: Connection, transport: Transport, pool: Pool | None, copies: bool) -> None:
        self.connection = connection
        self.transport = transport
        self.pool = pool  # None: the core transport, which has no slots
        self.copies = copies  # a frame without a free slot gets memory of its own; False: PoolExhausted
        # Both are made for the first grab or stream that needs them, and kept: their constructors send requests
        # (XFIXES's version, the selection of events).
        self.pointer: Pointer | None = None
        self.pointing: PointerEvents | None = None
        self.input: InputDevice | None = None  # made for the first click or key, under `opening`
        self.opening = Lock()
