"""Audience: what is shown, and all that viewers share: their number, the token, the pool in which is encoded.

Locking rules: none. `shown` is replaced, never changed, by any thread; all else is the loop's, and may be looked at.
"""

from __future__ import annotations

import asyncio
import functools
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar

from xshm.image.files.two_threads import keep_helpers
from xshm.live.encoding import Encoder
from xshm.live.input import LiveInput
from xshm.live.video import VideoEncoder, why_not
from xshm.live.web.access import Access

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from xshm.live.channel import Channel
    from xshm.live.settings import LiveSettings

_Result = TypeVar("_Result")

_ENCODERS: Final = 2  # threads


@dataclass(frozen=True, slots=True)
class Shown:
    """A channel, and its encoders."""

    channel: Channel
    encoder: Encoder = field(default_factory=Encoder)
    video: VideoEncoder = field(default_factory=VideoEncoder)


class Audience:
    """The viewers of one live view."""

    def __init__(self, settings: LiveSettings, title: str, shown: Mapping[int, Shown]) -> None:
        assert settings.token is not None  # noqa: S101 - it was filled in
        self.title = title
        self.shown = shown
        self.access = Access(settings.token, (settings.host, *settings.allowed_hosts))
        self.pool = ThreadPoolExecutor(_ENCODERS, thread_name_prefix="xshm-live-encode", initializer=keep_helpers)
        self.viewers: set[object] = set()  # pages and streams
        self.nbytes = 0  # that these were sent
        self.has_video = settings.video and not why_not()
        self.has_vnc = settings.vnc_password is not None
        self.has_input = settings.allow_input
        self._most = settings.max_viewers

    def open_input(self) -> LiveInput | None:
        """Return a viewer's input; None where there is none."""
        if not self.has_input:
            return None
        return LiveInput(lambda: {number: shown.channel for number, shown in self.shown.items()})

    def enter(self, viewer: object) -> bool:
        """Count a viewer; return whether there is room for it."""
        if len(self.viewers) >= self._most:
            return False
        self.viewers.add(viewer)
        return True

    def leave(self, viewer: object) -> None:
        """Count it no more."""
        self.viewers.discard(viewer)

    def waker(self, event: asyncio.Event) -> Callable[[], None]:
        """Return what sets an event of the loop, from any thread."""
        loop = asyncio.get_running_loop()

        def wake() -> None:
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(event.set)

        return wake

    async def in_pool(self, function: Callable[..., _Result], *args: Any) -> _Result:
        """Return what a function that takes long returns."""
        return await asyncio.get_running_loop().run_in_executor(self.pool, functools.partial(function, *args))
