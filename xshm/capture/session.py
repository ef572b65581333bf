"""Session: the connection, transport and pool that the drawables of one Screen share; Stats: a drawable's counts.

LiveMemory: the memory in which a server keeps a screen, where it is shared with this process.
"""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

from xshm._signal_safety import WeakRegistry

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Protocol

    import numpy as np
    from numpy.typing import NDArray

    from xshm.capture.pointer import Pointer
    from xshm.input.device import InputDevice
    from xshm.pixels.format import PixelFormat
    from xshm.shm.pool import Pool, PoolStats
    from xshm.shm.transport import Transport
    from xshm.x11.connection import Connection
    from xshm.x11.server.pointer_events import PointerEvents

    # For annotations alone: making a Protocol takes time that each screenshot would pay for.
    class InputListener(Protocol):
        """Who is told of input."""

        def note_input(self, action: str, values: Mapping[str, Any]) -> None:
            """Take note of input that is about to be made, by the thread that makes it; points are of the screen."""

    class LiveMemory(Protocol):
        """Memory in which a server keeps a screen: what it draws is there at once. It stays valid when the server ends.

        RandR may make the screen smaller than the memory; it is the top left part then.
        """

        @property
        def pixels(self) -> NDArray[Any]:
            """All of it, read-only; shape and dtype as `PixelFormat` has them."""

        @property
        def format(self) -> PixelFormat:
            """The layout of `pixels`."""

        @property
        def colormap(self) -> NDArray[np.uint16]:
            """The colours that the server has installed, now, as `Frame.colormap`."""

        @property
        def has_pointer(self) -> bool:
            """Whether the server paints the pointer into it."""


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
    __slots__ = (
        *("connection", "copies", "input", "listeners", "live", "opening", "pointer", "pointing", "pool", "transport"),
    )

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
        self.listeners: WeakRegistry[InputListener] = WeakRegistry()  # told of each click, key, … before it is made
        self.opening = Lock()
        self.live: LiveMemory | None = None  # the screen's, where the server's owner has set it (`virtual.screens`)
