"""Hub: one port and one thread with an event loop, which serve all viewers of a live view.

Always true:

1. The thread is a daemon, and is started by another one, as those of a recording (`record.pipeline`). `start` returns
   when the port is open, or raises why it is not; then nothing is left open.
2. The loop never encodes, and never waits for an X server: that is done in `pool`, by two threads, each with two
   helpers, and by each channel's own.
3. However it ends, the port and all connections are closed within `_CLOSING` twice, whatever viewers do. In a process
   that was forked they are closed at once, there alone.
4. What one viewer does ends at most that viewer's connection.

Locking rules: none, but those of `audience`.
"""

from __future__ import annotations

import _thread
import asyncio
import functools
import logging
import os
import threading
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from websockets.asyncio.server import serve

from xshm._signal_safety import leave_signals
from xshm.errors import LiveViewFailed
from xshm.live.messages import SUBPROTOCOL
from xshm.live.rfb.service import SUBPROTOCOL as VNC_SUBPROTOCOL
from xshm.live.web.audience import Audience
from xshm.live.web.listening import listen, shown_host, tls_context
from xshm.live.web.routes import RFB_PATH, Routes
from xshm.live.web.session import Session
from xshm.live.web.visitor import OPENING, Visitor, Visitors
from xshm.live.web.vnc import VncClients
from xshm.record.pictures.handover import End
from xshm.system import limits, logs

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping, Sequence

    from websockets.asyncio.server import Server, ServerConnection
    from websockets.typing import Subprotocol

    from xshm.live.settings import LiveSettings
    from xshm.live.web.audience import Shown


_PATROL: Final = 2.0  # seconds
_CLOSING: Final = 1.0  # seconds that viewers have to say goodbye
_ENCODERS: Final = 2  # threads
_MOST_MESSAGE: Final = 1 << 16  # bytes from a page
_MOST_QUEUED: Final = 4  # messages of one page that wait to be read
_WRITE_LIMIT: Final = 1 << 16  # bytes that wait in this process, for one viewer
_KEEP_ALIVE: Final = 20.0  # seconds

_running: weakref.WeakSet[Hub] = weakref.WeakSet()


class Hub:
    """Serves channels, from `start` to `stop`."""

    def __init__(self, settings: LiveSettings, title: str, shown: Mapping[int, Shown]) -> None:
        self.settings = settings
        self._audience = Audience(settings, title, shown)
        self.visitors = Visitors()
        self.port = 0
        self.vnc_port = 0
        self.error: BaseException | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._vnc: VncClients | None = None
        self._sockets: list[socket.socket] = []
        self._is_stopping = False
        self._launched: list[int] = []  # the thread that starts the other one
        self._begun, self._over = End(), End()
        self._thread = threading.Thread(target=self._run, name="xshm-live", daemon=True)

    # -- any thread ----------------------------------------------------------------------------------------------------

    @property
    def address(self) -> str:
        """The link without what follows the host and port."""
        scheme = "http" if self.settings.tls_cert is None else "https"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{self.port}"

    @property
    def host(self) -> str:
        """The host that others reach it by."""
        return shown_host(self.settings.host)

    @property
    def viewers(self) -> int:
        """How many look, of any kind."""
        return len(self._audience.viewers) + (0 if self._vnc is None else self._vnc.count)

    @property
    def nbytes(self) -> int:
        """Bytes that were sent to viewers."""
        return self._audience.nbytes + (0 if self._vnc is None else self._vnc.bytes)

    @property
    def is_running(self) -> bool:
        """Whether it serves."""
        return self._begun.over and not self._over.over

    def start(self) -> None:
        """Open the port, and begin. Raises LiveViewFailed, with what to do."""
        with limits.Explained(LiveViewFailed, "the live view can't be started"):
            # From here on the thread ends it, also where this is interrupted. One call into C starts it and says so.
            self._launched.extend(map(_thread.start_new_thread, (self._launch,), ((),)))
            while not self._begun.wait(_PATROL):
                pass
            if self.error is not None:
                raise self.error

    def abandon(self) -> None:
        """Have it end by itself, soon. For finalizers: it does not wait."""
        self._is_stopping = True
        loop, stop = self._loop, self._stop
        if loop is not None and stop is not None:
            with suppress(RuntimeError):  # it has ended
                loop.call_soon_threadsafe(stop.set)

    def stop(self) -> None:
        """End it, and return when the port and all connections are closed."""
        self.abandon()
        if not self._launched:
            return
        if self._over.wait(4 * _CLOSING) and self._thread.ident is not None:
            self._thread.join(_CLOSING)

    def wait(self, seconds: float) -> bool:
        """Wait until it has ended, or so long; return whether it has."""
        return self._over.wait(seconds)

    def show(self, shown: Mapping[int, Shown]) -> None:
        """Show these channels from now on, and tell all pages so."""
        self._audience.shown = shown
        loop = self._loop
        if loop is not None:
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(self._tell_channels)

    # -- the thread ----------------------------------------------------------------------------------------------------

    def _launch(self) -> None:
        """Start the thread; where it can't be started, it is over."""
        leave_signals()
        try:
            self._thread.start()
        except BaseException as error:  # noqa: BLE001 - there are too many threads; `start` raises it
            self.error = error
            self._over.come()
            self._begun.come()

    def _run(self) -> None:
        try:
            with asyncio.Runner() as runner:
                runner.run(self._serve())
        except BaseException as error:  # noqa: BLE001 - `start` raises it, where it was not begun
            self.error = error
            if self._begun.over:
                logs.warning("live", "the live view has ended: %s: %s", type(error).__name__, str(error))
        finally:
            self._audience.pool.shutdown(wait=False, cancel_futures=True)
            self._loop = None
            self._over.come()
            if not self._begun.over:
                self._begun.come()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(_note)
        settings = self.settings
        context = tls_context(settings)
        _running.add(self)
        try:
            listening = self._listen(settings.port, "port")
            await self._open_vnc()
            routes = Routes(self._audience)
            server = await serve(
                self._handle,
                sock=listening,
                ssl=context,
                ssl_handshake_timeout=None if context is None else OPENING,
                create_connection=functools.partial(  # type: ignore[arg-type]  # it is called, whatever it is
                    Visitor, visitors=self.visitors, stream=routes.stream
                ),
                process_request=routes.answer,
                select_subprotocol=_subprotocol,
                compression=None,  # what is sent is compressed, and what is received could be a bomb
                server_header=None,
                open_timeout=None,  # `Visitor.handshake` has its own, but for streams
                ping_interval=_KEEP_ALIVE,
                ping_timeout=_KEEP_ALIVE,
                close_timeout=_CLOSING,
                max_size=_MOST_MESSAGE,
                max_queue=_MOST_QUEUED,
                write_limit=_WRITE_LIMIT,
                logger=_mute(),
            )
            self.port = listening.getsockname()[1]
            self._begun.come()
            try:
                if not self._is_stopping:
                    await self._stop.wait()
            finally:
                await self._close(server)
        finally:
            for each in self._sockets:
                each.close()

    def _listen(self, port: int, what: str) -> socket.socket:
        found = listen(self.settings.host, port, what)
        self._sockets.append(found)
        return found

    async def _open_vnc(self) -> None:
        settings = self.settings
        if settings.vnc_password is None:
            return
        self._vnc = VncClients(self._audience, settings.vnc_password, settings.max_viewers)
        if settings.vnc_port is not None:
            listening = self._listen(settings.vnc_port, "vnc_port")
            self.vnc_port = listening.getsockname()[1]
            await self._vnc.listen(listening)

    async def _handle(self, connection: ServerConnection) -> None:
        assert isinstance(connection, Visitor)  # noqa: S101 - there are no others
        if connection.path != RFB_PATH:
            await Session(connection, self._audience).run()
        elif self._vnc is not None:
            await self._vnc.websocket(connection)

    async def _close(self, server: Server) -> None:
        """Say goodbye to all viewers, and close what is left after a while."""
        server.close()
        for visitor in list(self.visitors.all):
            if visitor not in server.connections:
                visitor.transport.abort()
        closing = [asyncio.ensure_future(server.wait_closed())]
        if self._vnc is not None:
            closing.append(asyncio.ensure_future(self._vnc.close()))
        await asyncio.wait(closing, timeout=_CLOSING)
        for visitor in list(self.visitors.all):
            visitor.transport.abort()
        if self._vnc is not None:
            self._vnc.abort()
        await asyncio.wait([*closing, *self._tasks], timeout=_CLOSING)

    def _tell_channels(self) -> None:
        for session in [each for each in self._audience.viewers if isinstance(each, Session)]:
            task = asyncio.ensure_future(session.tell_channels())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def drop_in_child(self) -> None:
        """Close port and connections in a process that was forked, and there alone."""
        writers = () if self._vnc is None else self._vnc.writers
        found: list[Any] = [each.transport.get_extra_info("socket") for each in (*self.visitors.all, *writers)]
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        try:
            for each in (*self._sockets, *found):
                # The number stays the socket object's, which closes it whenever it does.
                if each is not None and (fd := each.fileno()) >= 0:
                    os.dup2(null, fd, inheritable=False)
        finally:
            os.close(null)


def _subprotocol(visitor: Any, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """Return what is spoken at the path of the request; without it nothing is, and the page is of another version."""
    from websockets.exceptions import NegotiationError  # noqa: PLC0415 - for this alone
    from websockets.typing import Subprotocol as Name  # noqa: PLC0415

    is_vnc = visitor.path == RFB_PATH
    spoken = VNC_SUBPROTOCOL if is_vnc else SUBPROTOCOL
    if spoken in offered:
        return Name(spoken)
    if offered or not is_vnc:  # VNC's clients need not offer any
        raise NegotiationError(f"what is spoken here is {spoken}")
    return None


@functools.cache
def _mute() -> logging.Logger:
    """Return a logger that logs nothing: what goes over a connection has tokens in it."""
    logger = logging.getLogger("xshm.live.websockets")
    logger.disabled = True
    logger.setLevel(logging.CRITICAL)
    return logger


def _note(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what went wrong in the loop, without what it was about."""
    error = context.get("exception")
    logs.debug("live", "%s: %s", context.get("message", ""), type(error).__name__)


def _drop_all() -> None:
    for hub in list(_running):
        with suppress(OSError):
            hub.drop_in_child()


os.register_at_fork(after_in_child=_drop_all)
