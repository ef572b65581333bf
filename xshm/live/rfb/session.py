"""RfbSession: one client that looks at a channel, from its first byte to its last.

Two tasks: one reads what the client says, one sends it updates. Always true:

1. Whatever happens, both end, the watch is closed, and the pipe is closed with a reason; `run` returns it.
2. One update at a time is encoded and written, and only where the client asked: a slow client has one update in memory,
   and asks less. Updates come at most `_FASTEST` times a second, however fast a client asks.
3. What a client says is read no faster than `_MESSAGES_A_SECOND`; what it says about keys and the pointer is dropped
   where there is no input.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from xshm.geometry import Rect
from xshm.live.rfb import wire
from xshm.live.rfb.canvas import RfbCanvas
from xshm.live.rfb.encoding import Style, encode_cursor
from xshm.live.rfb.pipes import PipeClosed
from xshm.live.rfb.protocol import (
    Accepts,
    Answered,
    Entered,
    KeyMessage,
    PointerMessage,
    RfbProtocol,
    UpdateRequest,
    WantsFormat,
    WantsSize,
)
from xshm.live.rfb.wire import Encoding, RfbViolation

if TYPE_CHECKING:
    from xshm.live.rfb.canvas import Job, SharedUpdates, WordsJob
    from xshm.live.rfb.password import Attempts
    from xshm.live.rfb.pipes import RfbPipe
    from xshm.live.rfb.protocol import Said
    from xshm.live.rfb.viewed import RfbInput, Viewed, ViewedPicture, ViewedState, ViewedWatch

_HELLO: Final = 10.0  # seconds until a client has said its version and chosen the password
_PASSWORD: Final = 90.0  # seconds until a person has typed it
_FASTEST: Final = 60.0  # updates a second
_MESSAGES_A_SECOND: Final = 4000  # a mouse says 1000
_BYTES_A_MESSAGE: Final = 1024  # as many count as one
_AHEAD: Final = 0.05  # seconds of messages that may come at once
_SOON: Final = 0.005  # seconds
_SHOWN: Final = ("live",)  # states in which the picture is the screen's
_ENDED: Final = "gone"
_FAREWELL: Final = 2.0  # seconds in which a client still sees that the screen has ended; it may come back
_UNKNOWN_SIZE: Final = (640, 480)  # pixels: of a window that was not shown yet; there are words then


class Ended(Exception):
    """The screen has ended; the words say how."""


class RfbSession:
    """One client, from `run` on."""

    def __init__(
        self,
        pipe: RfbPipe,
        channel: Viewed,
        key: bytes,
        attempts: Attempts,
        shared: SharedUpdates,
        target: RfbInput | None,
    ) -> None:
        self._pipe, self._channel, self._key = pipe, channel, key
        self._attempts, self._shared, self._target = attempts, shared, target
        self._style = Style()
        self._canvas = RfbCanvas((1, 1))
        self._news = asyncio.Event()
        self._owes_size = self._owes_refusal = False
        self._cursor_sent: object = self  # the sprite that the client has; at first none of any
        self._ended_at: float | None = None
        self._position_sent: tuple[int, int] | None = None
        self._name_sent = ""
        self._sent_at = self._read_until = 0.0
        self._writing = asyncio.Lock()  # a message is never within another
        self.bytes = 0
        self.has_entered = False

    async def run(self) -> str:
        """Serve the client; return why it ended."""
        words, is_violation = "the live view has ended", False
        try:
            protocol, said = await self._let_in()
            await self._serve(protocol, said)
        except RfbViolation as error:
            words, is_violation = str(error), True
        except (Ended, PipeClosed) as error:
            words = str(error)
        finally:
            await self._pipe.close(words, is_violation=is_violation)
        return words

    async def _let_in(self) -> tuple[RfbProtocol, list[Said]]:
        """Ask for the password; return the conversation, and what the client said after it."""
        refusal = self._attempts.begin(self._pipe.address)
        protocol = RfbProtocol(self._key, refusal)
        try:
            await self._pipe.write(protocol.take_output())
            async with asyncio.timeout(_HELLO) as limit:
                while True:
                    for said in await self._receive(protocol):
                        assert isinstance(said, Answered)  # noqa: S101 - nothing else is said before it
                        return protocol, await self._decide(protocol, said, limit)
                    if protocol.has_challenged:
                        limit.reschedule(max(limit.when() or 0.0, asyncio.get_running_loop().time() + _PASSWORD))
        except TimeoutError:
            raise PipeClosed("no password was given in time") from None
        finally:
            if not refusal:
                self._attempts.end(self._pipe.address)

    async def _decide(self, protocol: RfbProtocol, said: Answered, limit: asyncio.Timeout) -> list[Said]:
        limit.reschedule(None)
        if not said.is_right:
            await asyncio.sleep(self._attempts.wrong(self._pipe.address))
            words = "the password is wrong"
            protocol.refuse(words)
        else:
            self._attempts.right(self._pipe.address)
            state = self._channel.state
            if state.kind != _ENDED:
                self._canvas.resize(self._size(self._channel.picture))
                self._name_sent = self._name()
                later = protocol.admit(self._canvas.size, self._name_sent)
                await self._write(protocol.take_output())
                return later
            words = state.words
            protocol.refuse(words)
        await self._pipe.write(protocol.take_output())
        raise RfbViolation(words)

    async def _receive(self, protocol: RfbProtocol) -> list[Said]:
        data = await self._pipe.read()
        if not data:
            raise PipeClosed("the client has gone")
        try:
            said = protocol.receive(data)
        finally:
            if output := protocol.take_output():
                await self._write(output)
        await self._slow_down(len(said) + len(data) / _BYTES_A_MESSAGE)
        return said

    async def _slow_down(self, messages: float) -> None:
        now = time.monotonic()
        self._read_until = max(self._read_until, now) + messages / _MESSAGES_A_SECOND
        if self._read_until - now > _AHEAD:
            await asyncio.sleep(self._read_until - now)

    async def _serve(self, protocol: RfbProtocol, said: list[Said]) -> None:
        try:
            async with asyncio.timeout(_HELLO):
                while not any(isinstance(each, Entered) for each in said):
                    said = await self._receive(protocol)
        except TimeoutError:
            raise PipeClosed("the client did not begin in time") from None
        self.has_entered = True
        loop = asyncio.get_running_loop()

        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended, and this session with it
                loop.call_soon_threadsafe(self._news.set)

        watch = self._channel.watch(wake)
        tasks = [asyncio.create_task(self._hear(protocol, said)), asyncio.create_task(self._tell(watch))]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            watch.close()
            if self._target is not None:
                self._target.release()

    async def _hear(self, protocol: RfbProtocol, said: list[Said]) -> None:
        while True:
            for each in said:
                self._take(each)
            self._news.set()
            said = await self._receive(protocol)

    def _take(self, said: Said) -> None:
        pseudo = self._style.accepted.pseudo
        match said:
            case UpdateRequest(is_incremental, x, y, width, height) if width and height:
                self._canvas.ask(Rect(x, y, width, height), is_incremental=is_incremental)
                self._owes_size |= not is_incremental and Encoding.EXTENDED_DESKTOP_SIZE in pseudo
            case Accepts(accepted):
                self._style = replace(self._style, accepted=accepted)
                self._cursor_sent, self._position_sent = self, None
            case WantsFormat(fmt):
                self._style = replace(self._style, format=fmt)
                self._cursor_sent = self
            case WantsSize():
                self._owes_refusal = Encoding.EXTENDED_DESKTOP_SIZE in pseudo
            case KeyMessage(keysym, is_down) if self._target is not None:
                self._target.key(keysym, is_down=is_down)
            case PointerMessage(x, y, buttons) if self._target is not None:
                self._target.pointer(x, y, buttons)

    async def _tell(self, watch: ViewedWatch) -> None:
        while True:
            self._news.clear()
            wait = await self._step(watch)
            if wait is None or wait > 0:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await self._news.wait()

    async def _step(self, watch: ViewedWatch) -> float | None:
        """Send an update where there is something to send; return after how many seconds to look again (None: news)."""
        state, picture, now = self._channel.state, self._channel.picture, time.monotonic()
        left = self._until_end(state, now)
        if not self._canvas.is_asked:
            return left
        if (early := self._sent_at + 1 / _FASTEST - now) > 0:
            return early
        self._sent_at = now
        if await self._size_told(self._size(picture)):
            return 0
        job: Job | WordsJob | None = None
        if state.kind in _SHOWN:
            job = None if picture is None else self._canvas.job(picture, now)
        else:
            job = self._canvas.words_job(picture, state.words)
        # The first update has pixels: there are clients that take one, and go.
        small = self._small_parts() if job is not None or self._canvas.has_picture else []
        if job is not None:
            sent = await self._shared.encode(job, self._style)
            await self._write(wire.update(len(small) + sent.pixels.count), *small, sent.pixels.data)
            self._canvas.sent(job, sent, time.monotonic())
            return 0
        if small:
            self._canvas.answered()
            await self._write(wire.update(len(small)), *small)
            return 0
        self._sent_at = 0.0
        watch.want()
        due = self._canvas.refine_at()
        return left if due is None else max(due - now, _SOON)

    def _until_end(self, state: ViewedState, now: float) -> float | None:
        """Return for how long a client is shown yet that the screen has ended; None where it has not."""
        if state.kind != _ENDED:
            self._ended_at = None
            return None
        if self._ended_at is None:
            self._ended_at = now
        left = self._ended_at + _FAREWELL - now
        if left <= 0:
            raise Ended(state.words)
        return left

    async def _size_told(self, size: tuple[int, int]) -> bool:
        """Send what is to be sent about the screen's size, without pixels, as the protocol has it; return whether."""
        pseudo = self._style.accepted.pseudo
        is_extended = Encoding.EXTENDED_DESKTOP_SIZE in pseudo
        refused, asked = self._owes_refusal, self._owes_size
        self._owes_refusal = self._owes_size = False
        if size == self._canvas.size:
            if not refused and not asked:
                return False
            # The request stands: its pixels follow in an update of their own.
            await self._write(wire.update(1), wire.extended_desktop_size(size, refused=refused))
            return True
        if not is_extended and Encoding.DESKTOP_SIZE not in pseudo:
            raise RfbViolation(
                f"the screen is now {size[0]}x{size[1]}, and this client, which has {self._canvas.size[0]}x"
                f"{self._canvas.size[1]}, can't be told; connect again"
            )
        self._canvas.resize(size)
        told = wire.extended_desktop_size(size, refused=refused) if is_extended else wire.desktop_size(size)
        await self._write(wire.update(1), told)
        return True

    def _small_parts(self) -> list[bytes]:
        """Return the pseudo rectangles of what has changed beside the pixels."""
        parts, pseudo = [], self._style.accepted.pseudo
        name = self._name()
        if name != self._name_sent and Encoding.DESKTOP_NAME in pseudo:
            self._name_sent = name
            parts.append(wire.desktop_name(name))
        pointer = self._channel.pointer
        image = pointer.image if pointer.is_visible else None
        shown = None if image is None else image.sprite  # the same object as long as it looks the same
        if shown is not self._cursor_sent:
            self._cursor_sent = shown
            if cursor := encode_cursor(image, self._style):
                parts.append(cursor)
        position = (max(pointer.x, 0), max(pointer.y, 0))
        if position != self._position_sent and Encoding.POINTER_POSITION in pseudo:
            self._position_sent = position
            parts.append(wire.rectangle(*position, 0, 0, Encoding.POINTER_POSITION))
        return parts

    def _size(self, picture: ViewedPicture | None) -> tuple[int, int]:
        size = self._channel.size if picture is None else picture.size
        return size if all(size) else _UNKNOWN_SIZE

    def _name(self) -> str:
        state = self._channel.state
        return self._channel.title if state.kind in _SHOWN else f"{self._channel.title}: {state.words}"

    async def _write(self, *parts: bytes) -> None:
        data = b"".join(parts)
        async with self._writing:
            await self._pipe.write(data)
        self.bytes += len(data)
