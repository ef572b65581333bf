"""What all drawables of one Screen share while they grab: connection, transport, pool; and what a user counts of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xshm.image.cursor import Pointer
    from xshm.shm.segment import Pool, PoolStats
    from xshm.shm.transport import Transport
    from xshm.x11.connection import Connection
    from xshm.x11.server.pointer_events import PointerEvents


@dataclass(frozen=True, slots=True)
class Stats:
    """What a source has done: frames taken, and its pool (None where frames have memory of their own: core).

    `copies` counts the frames that got memory of their own because all slots were held, or the kernel had no room for
    one more (`Frame.shared` is False): of a slot that they came in, or over the socket.
    """

    frames: int
    pool: PoolStats | None
    copies: int = 0


@dataclass(slots=True)
class Session:
    """What all drawables of one Screen share."""

    connection: Connection
    transport: Transport
    pool: Pool | None
    copies: bool = True  # whether frames that there is no slot for get memory of their own; else PoolExhausted
    pointer: Pointer | None = None  # from the first grab that asks for it
    pointing: PointerEvents | None = None  # from the first stream that does
