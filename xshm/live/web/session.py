"""Session: a page's WebSocket, from its hello on: what it watches is sent as it changes, each channel at its own pace.

Always true:

1. Nothing is sent before the token was seen to be right; a wrong one is answered as any other nonsense before it.
2. A message that the page would not send ends the session: none is guessed at, or half carried out.
3. What waits to be sent is bounded by `pace` (Updates), and one message for each other change: what is newer replaces
   what was not sent yet, since only the state of the moment is compared with what was sent.
4. A channel is sent by one task, so its messages keep their order: its state before pixels of another size.

Updates and acknowledgements have numbers of the session's, not of the pace's: what was sent before a channel was last
left may be acknowledged after it is watched again.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from websockets.exceptions import ConnectionClosed

from xshm.errors import InvalidArgument, LiveViewFailed
from xshm.image.files import encode
from xshm.live.encoding import Ask
from xshm.live.messages import pack_update
from xshm.live.pace import Pace
from xshm.live.video import VideoViewer
from xshm.live.web.requests import Wish, parse_hello, parse_message
from xshm.live.web.visitor import OPENING
from xshm.pixels.format import PixelFormat
from xshm.pixels.raster import Raster
from xshm.system import logs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from xshm.image.cursor import Cursor
    from xshm.live.channel import Channel
    from xshm.live.encoding import EncodedUpdate
    from xshm.live.picture import Picture
    from xshm.live.web.audience import Audience, Shown
    from xshm.live.web.visitor import Visitor

_REFUSED, _FULL, _NONSENSE, _FAILED = 1008, 1013, 1002, 1011  # WebSocket close codes, as the page understands them
_SOON: Final = 0.2  # seconds after which an Update that could not be decoded is sent anew


class Nonsense(Exception):
    """The page has sent what a page does not send."""


class Session:
    """One page. `run` returns when it has gone, or had to."""

    def __init__(self, visitor: Visitor, audience: Audience) -> None:
        self.audience = audience
        self.number = 0  # of the last Update
        self._visitor = visitor
        self._shows: dict[int, _Show] = {}
        self._told: dict[int, dict[str, Any]] = {}  # what was said of each channel
        self._input = audience.open_input()

    async def run(self) -> None:
        """Speak with the page until it goes."""
        if not await self._is_welcome():
            return
        audience = self.audience
        if not audience.enter(self):
            await self._visitor.close(_FULL)
            return
        try:
            await self._welcome()
            async for text in self._visitor:
                await self._handle(text)
        except Nonsense as error:
            logs.info("live", "a page was closed: %s", error)
            await self._visitor.close(_NONSENSE)
        except ConnectionClosed:
            pass
        finally:
            audience.leave(self)
            await self._end()

    async def tell_channels(self) -> None:
        """Tell that channels have come or gone."""
        shown = self.audience.shown
        # All at once, before anything is awaited: another change may be told of meanwhile.
        gone = [self._shows.pop(each) for each in [*self._shows] if not self._shows[each].is_of(shown.get(each))]
        try:
            for show in gone:
                if show.number in shown:  # another has the number now, which the page still watches
                    self._show(shown[show.number], show.wish)
        except LiveViewFailed as error:
            await self.failed(error)
        for show in gone:
            await show.end()
        with suppress(ConnectionClosed):
            await self.send({"type": "channels", "channels": self._describe_all()})

    async def send(self, message: Mapping[str, Any]) -> None:
        """Send a text message."""
        text = json.dumps(message, ensure_ascii=False, separators=(",", ":"))
        self.audience.nbytes += len(text)
        await self._visitor.send(text)

    async def send_update(self, data: bytes) -> None:
        """Send a binary message."""
        self.audience.nbytes += len(data)
        await self._visitor.send(data)

    # -- the beginning -------------------------------------------------------------------------------------------------

    async def _is_welcome(self) -> bool:
        """Return whether the page has the token; close it where it has not, or says nothing."""
        visitor, access = self._visitor, self.audience.access
        try:
            async with asyncio.timeout(OPENING):
                token = parse_hello(await visitor.recv())
        except (TimeoutError, ConnectionClosed):
            await visitor.close(_REFUSED)
            return False
        if token is not None and access.is_token(token):
            visitor.visitors.is_known(visitor)
            return True
        await asyncio.sleep(access.failed(visitor.address))
        await visitor.close(_REFUSED)
        return False

    async def _welcome(self) -> None:
        audience = self.audience
        await self.send(
            {
                "type": "welcome",
                "title": audience.title,
                "input": self._input is not None,
                "video": audience.has_video,
                "channels": self._describe_all(),
            }
        )

    def _describe_all(self) -> list[dict[str, Any]]:
        self._told = {number: _describe(shown.channel) for number, shown in self.audience.shown.items()}
        return list(self._told.values())

    async def tell_state(self, channel: Channel) -> None:
        """Tell of a channel's state, size and title, unless that was told."""
        found = _describe(channel)
        if channel.number in self._told and found != self._told[channel.number]:
            self._told[channel.number] = found
            await self.send({"type": "channel", "channel": found})

    # -- what the page says --------------------------------------------------------------------------------------------

    async def _handle(self, text: str | bytes) -> None:
        now = time.monotonic()
        message = parse_message(text)
        if message is None:
            raise Nonsense("its message is none")
        kind = message["type"]
        if kind == "ack":
            show = self._shows.get(message["channel"])
            if show is not None:
                show.acked(message["number"], now)
            elif message["number"] > self.number:
                raise Nonsense("it acknowledges what was not sent")
        elif kind == "watch":
            await self._watch(message["channels"])
        elif kind == "broken":
            show = self._shows.get(message["channel"])
            if show is not None:
                logs.info("live", "a page could not show an update: %s", message["why"])
                show.is_broken(now)
        elif kind == "ping":
            await self.send({"type": "pong", "id": message["id"], "now_ns": time.monotonic_ns()})
        else:
            await self._do(message)

    async def _do(self, message: dict[str, Any]) -> None:
        """Do what a message of input says."""
        if self._input is None:
            raise Nonsense(f"it sends {message['type']!r} to a view without input")
        try:
            await self.audience.in_pool(self._input.handle, message)
        except InvalidArgument as error:
            raise Nonsense(str(error)) from None

    async def _watch(self, wishes: Mapping[int, Wish]) -> None:
        for number in [each for each in self._shows if each not in wishes]:
            if (ending := self._shows.pop(number, None)) is not None:  # it may have gone meanwhile
                await ending.end()
        for number, wish in wishes.items():
            shown = self.audience.shown.get(number)
            if shown is None:  # it has gone, and that is on its way to the page
                continue
            try:
                self._show(shown, wish)
            except LiveViewFailed as error:
                await self.failed(error)
                return

    def _show(self, shown: Shown, wish: Wish) -> None:
        """Send a channel from now on. Raises LiveViewFailed where it can't be watched."""
        number = shown.channel.number
        show = self._shows.get(number)
        if show is None:
            show = self._shows[number] = _Show(self, shown)
        show.wishes(wish)

    async def failed(self, error: BaseException) -> None:
        """End the session, since a channel can't be sent."""
        logs.warning("live", "a page was closed: %s: %s", type(error).__name__, error)
        await self._visitor.close(_FAILED)

    async def _end(self) -> None:
        shows, self._shows = self._shows, {}
        for show in shows.values():
            await show.end()
        if self._input is not None:
            await self.audience.in_pool(self._input.release)


class _Show:
    """One channel, for one page, from one "watch" to another that has it not."""

    def __init__(self, session: Session, shown: Shown) -> None:
        self._session = session
        self._shown = shown
        self._channel = shown.channel
        self.number = shown.channel.number
        self._pace = Pace()
        self._video: VideoViewer | None = None
        self._changed = asyncio.Event()
        self._pointer: tuple[int, int, bool] | None = None
        self._cursor: Any = None  # the sprite that the page has
        self._numbers: dict[int, int] = {}  # the pace's numbers, by the session's, of what is under way
        self._broken_at = float("-inf")
        self._watch = self._channel.watch(session.audience.waker(self._changed))
        self._task = asyncio.create_task(self._run())

    def wishes(self, wish: Wish) -> None:
        """Have it as wide, and in that mode, from now on."""
        self._pace.width, self._pace.mode = wish.width, wish.mode
        self._changed.set()

    @property
    def wish(self) -> Wish:
        """How wide and in which mode it is had."""
        return Wish(self._pace.width, self._pace.mode)

    def is_of(self, shown: Shown | None) -> bool:
        """Return whether it is this that it sends."""
        return shown is self._shown

    def acked(self, number: int, now: float) -> None:
        """Note an acknowledgement. Raises Nonsense for a number that was never sent."""
        if number > self._session.number:
            raise Nonsense(f"it acknowledges update {number}, and the last one was {self._session.number}")
        ours = [each for each in self._numbers if each <= number]
        if ours:
            newest = max(ours)
            with suppress(InvalidArgument):
                self._pace.acked(self._numbers[newest], now)
            for each in ours:
                del self._numbers[each]
            self._changed.set()

    def is_broken(self, now: float) -> None:
        """Have all sent anew."""
        self._broken_at = now
        self._pace.begin_again()
        self._changed.set()

    async def end(self) -> None:
        """Stop watching."""
        self._watch.close()
        self._task.cancel()
        with suppress(asyncio.CancelledError, ConnectionClosed):
            await self._task

    async def _run(self) -> None:
        try:
            while True:
                self._changed.clear()
                await self._tell()
                await self._next()
        except ConnectionClosed:
            pass
        except Exception as error:  # noqa: BLE001 - the session ends, the others go on
            await self._session.failed(error)

    async def _next(self) -> None:
        """Send what is next, or wait until there may be something."""
        pace, session, audience = self._pace, self._session, self._session.audience
        picture = self._channel.picture
        now = time.monotonic()
        if (again := self._broken_at + _SOON) > now:
            await self._wait(again - now)
            return
        step = pace.next(now, picture)
        if isinstance(step, Ask):
            assert picture is not None  # noqa: S101 - else there is nothing to ask for
            found = await audience.in_pool(self._encoded, picture, step)
            number = pace.sent(found, time.monotonic())
            session.number += 1
            self._numbers[session.number] = number
            await session.send_update(pack_update(self._channel.number, session.number, found.update))
            return
        if step.has_room:
            self._watch.want()
        await self._wait(None if step.until is None else step.until - time.monotonic())

    def _encoded(self, picture: Picture, ask: Ask) -> EncodedUpdate:
        """Return the update that was asked for: a frame of the video where much has changed in that mode."""
        found = None
        if self._pace.mode != "video":
            self._video = None
        elif ask.is_large and ask.tile == 1 and self._session.audience.has_video:
            self._video = self._video or VideoViewer(self._shown.video)
            found = self._video.update(picture, ask, self._pace.rate)
        return self._shown.encoder.update(picture, ask) if found is None else found

    async def _wait(self, seconds: float | None) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()

    async def _tell(self) -> None:
        """Tell what else is new: state and size, where the pointer is, and its image."""
        session, channel = self._session, self._channel
        await session.tell_state(channel)
        state = channel.pointer
        cursor: Cursor | None = state.image
        if cursor is not None and cursor.sprite is not self._cursor:
            self._cursor = cursor.sprite
            hot_x, hot_y = cursor.hotspot
            png = await session.audience.in_pool(_cursor_png, cursor)
            await session.send(
                {"type": "cursor", "channel": channel.number, "hot_x": hot_x, "hot_y": hot_y, "png": png}
            )
        pointer = (state.x, state.y, state.is_visible)
        if pointer != self._pointer:
            self._pointer = pointer
            x, y, is_visible = pointer
            await session.send({"type": "pointer", "channel": channel.number, "x": x, "y": y, "visible": is_visible})


def _cursor_png(cursor: Cursor) -> str:
    return base64.b64encode(encode.png(Raster(cursor.sprite, PixelFormat.RGBA))).decode()


def _describe(channel: Channel) -> dict[str, Any]:
    width, height = channel.size
    state = channel.state
    return {
        "id": channel.number,
        "title": channel.title,
        "width": width,
        "height": height,
        "state": state.kind,
        "words": state.words,
    }
