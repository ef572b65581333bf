"""Channel: one screen of a live view, captured by a thread of its own while somebody watches it.

    Source -> the thread: waits for a change, captures it -> Picture -> viewers, which are woken, and look

Always true:

1. Where nobody watches, there is no thread, and the server keeps nothing for it. Where those who watch want no picture,
   since theirs are on their way to them, nothing is captured. On a still screen, or a hidden window, there is one
   wake-up in two seconds, and one round trip.
2. Whatever becomes of the source, the channel has a state with words for a person, and its thread goes on: a window
   that is shown again, a server that answers again, or another source (`replace`) is seen.
3. The thread waits for the server no longer than `_PATIENCE` at a time, and takes a stopped server for stopped. Of that
   one it waits for one reply, however long that takes.
4. A Watch that is dropped has ended, and in a process that was forked a channel does nothing.

Locking: `_lock` guards what threads share; it is not held while anything waits for the server, or others are woken.

What sends no event is seen late: a freed pixmap, a warped pointer within two seconds, new colours at the next drawing.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from xshm._signal_safety import leave_signals
from xshm.errors import LiveViewFailed, OutOfBounds, PoolExhausted, RequestTimeout, WindowNotViewable, XshmError
from xshm.live.absence import Appearance, ChannelState, display_of, ended
from xshm.live.picture import Picture
from xshm.live.pointing import HIDDEN, Pointing, open_pointing
from xshm.record.feeds.opening import OpenedFeed, open_feed
from xshm.record.feeds.untorn import read_untorn
from xshm.system import limits, logs
from xshm.system.deadlines import within
from xshm.system.printable import printable
from xshm.x11.protocol.core import SYNC
from xshm.x11.protocol.requests import Request

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from xshm.capture.source import Source
    from xshm.geometry import Rect

_PATROL: Final = 2.0  # seconds after which the thread looks, though nothing has woken it
_PATIENCE: Final = 1.0  # seconds for the server's answers, and half a second more
_RETRY: Final = 0.25  # seconds after which what could not be captured is tried again
_POINTER_AGE: Final = 0.1  # seconds after which a capture asks for the pointer, too, though no event has told of it
_JOIN: Final = 1.0


class Watch:
    """One viewer's interest in a channel, until `close`, or until it is dropped."""

    def __init__(self, channel: Channel, wake: Callable[[], None]) -> None:
        self._channel = channel
        self.wake = wake
        self.wanted = 0  # how often
        self.served = 0  # what `wanted` was at the last change

    @property
    def is_wanting(self) -> bool:
        """Whether no change was captured since the last `want`."""
        return self.wanted > self.served

    def want(self) -> None:
        """Have one more change captured, as soon as there is one."""
        self.wanted += 1
        self._channel._attend()

    def close(self) -> None:
        """End it; with the last one capturing ends. Twice is fine."""
        self._channel._leave(self)


class Channel:
    """A screen, window or pixmap, or a part of one, as viewers see it.

    `region` None follows the source's size. `fps` bounds how often it is captured. Raises what the source refuses.
    """

    def __init__(self, number: int, title: str, source: Source, region: Rect | None, *, fps: float) -> None:
        self.number = number
        self.title = title
        self.picture: Picture | None = None  # of the last capture
        self.pointer = HIDDEN
        self.state = ChannelState("live")
        self.how = ""
        # Entered by the thread before it captures, left when nobody watches: for who has a source drawn on demand.
        self.attended: Callable[[], AbstractContextManager[object]] = nullcontext
        self._source = source
        self._region = region
        self._pause = 1 / fps
        self._process = os.getpid()
        self._lock = threading.RLock()  # the collector may interrupt its owner by a finalizer that takes it, too
        self._condition = threading.Condition(self._lock)
        self._watches: tuple[weakref.ref[Watch], ...] = ()
        self._thread: threading.Thread | None = None
        self._waiting: OpenedFeed | Appearance | None = None  # what the thread waits for
        self._version = 0  # of the source: the thread begins anew with another one
        self._is_closed = False
        source._check_open()
        self._size = (0, 0)
        with suppress(WindowNotViewable):
            feed = within(time.monotonic() + _PATIENCE, lambda: open_feed(source, region, cursor=False))
            self._size, self.how = feed.size, feed.how
            feed.close()

    # -- any thread ----------------------------------------------------------------------------------------------------

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the picture; (0, 0) before there was one."""
        return self._size

    @property
    def shown(self) -> tuple[Source, Rect | None]:
        """What it shows now, and which part of it; None: all."""
        return self._source, self._region

    def watch(self, wake: Callable[[], None]) -> Watch:
        """Begin to watch: `wake` is called by the channel's thread after each change of anything, and must not wait.

        Raises LiveViewFailed where no thread can be started.
        """
        watch = Watch(self, wake)
        if self._is_elsewhere():
            return watch
        with self._lock:
            before, self._watches = self._watches, (*self._others(watch), weakref.ref(watch))
            if self._thread is None and not self._is_closed:
                thread = threading.Thread(target=self._run, name=f"xshm-live-{self.number}", daemon=True)
                try:
                    with limits.Explained(LiveViewFailed, "the screen can't be watched"):
                        thread.start()
                except BaseException:
                    self._watches = before
                    raise
                self._thread = thread
        return watch

    def replace(self, source: Source) -> None:
        """Show another source from now on: the display is back."""
        self._begin_anew(source, ChannelState("live"))

    def wait_for_it(self, words: str) -> None:
        """Say that the source is to come back by `replace`, and look at it no more."""
        self._begin_anew(self._source, ChannelState("waiting", words))

    def close(self) -> None:
        """End the thread; where the server does not answer, it ends by itself. Twice is fine."""
        if self._is_elsewhere():
            return
        with self._lock:
            self._is_closed = True
            thread, self._watches = self._thread, ()
        self._stir()
        if thread is not None and thread is not threading.current_thread():
            thread.join(_JOIN)

    def _begin_anew(self, source: Source, state: ChannelState) -> None:
        if self._is_elsewhere():
            return
        with self._lock:
            self._source, self.state = source, state
            self._version += 1
        self._stir()
        self._wake_all()

    def _leave(self, watch: Watch) -> None:
        if self._is_elsewhere():
            return
        with self._lock:
            before = self._watches
            self._watches = self._others(watch)
            is_last = bool(before) and not self._watches
        if is_last:
            self._stir()

    def _attend(self) -> None:
        if not self._is_elsewhere():
            with self._lock:
                self._condition.notify_all()

    def _stir(self) -> None:
        """Have the thread look at what is asked of it."""
        with self._lock:
            waiting = self._waiting
            self._condition.notify_all()
        if waiting is not None:
            with suppress(XshmError, OSError):
                waiting.wake()

    def _is_elsewhere(self) -> bool:
        """Return whether this is a process that was forked: thread and locks are the other one's."""
        return os.getpid() != self._process

    # -- the thread ----------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        leave_signals()
        with self.attended():
            while self._is_watched():
                with self._lock:
                    version, source, is_waiting = self._version, self._source, self.state.kind == "waiting"
                if is_waiting:
                    self._rest(version, _PATROL)
                    continue
                try:
                    self._attempt(version, source)
                except BaseException as error:  # noqa: BLE001 - said to those who watch: there is no caller
                    logs.info("live", "channel %s: %s", self.number, error)
                    self._tell(version, ended(error, source))
                    self._rest(version, _PATROL)

    def _is_watched(self) -> bool:
        """Return whether the thread is to go on; where it is not, it is not the channel's thread any more."""
        with self._lock:
            if self._watching() and not self._is_closed:
                return True
            self._thread = self.picture = None  # which would be as of now, to who watches next
            return False

    def _others(self, watch: Watch) -> tuple[weakref.ref[Watch], ...]:
        """Return all but one, and without those that were dropped."""
        return tuple(each for each in self._watches if each() not in (watch, None))

    def _watching(self) -> list[Watch]:
        return [watch for each in self._watches if (watch := each()) is not None]

    def _goes_on(self, version: int) -> bool:
        return self._version == version and not self._is_closed and bool(self._watching())

    def _attempt(self, version: int, source: Source) -> None:
        """Show a source, or wait until it can be shown; raise why it never can."""
        try:
            self._follow(version, source)
        except WindowNotViewable:
            self._tell(version, ChannelState("hidden", "the window is not shown: it is iconified or unmapped"))
            self._wait_until_shown(version, source)
        except RequestTimeout:
            self._tell(version, ChannelState("stopped", f"{display_of(source)} does not answer"))
            self._wait_for_answer(version, source)
        except (PoolExhausted, OutOfBounds) as error:
            self._tell(version, ChannelState("hidden", printable(str(error))))
            self._rest(version, _RETRY)

    def _follow(self, version: int, source: Source) -> None:
        """Capture until nobody watches, or there is another source, or another size of it."""
        feed = within(time.monotonic() + _PATIENCE, lambda: open_feed(source, self._region, cursor=False))
        try:
            self._wait_on(feed)
            pointing = within(time.monotonic() + _PATIENCE, open_pointing, source, feed.rect)
            feed.also = () if pointing is None else (pointing,)
            self._capture_all(_Following(version, source, feed, pointing, Picture(feed.size, feed.format)))
        finally:
            self._wait_on(None)
            with suppress(XshmError, OSError):
                within(time.monotonic(), _release, source, feed)

    def _wait_until_shown(self, version: int, source: Source) -> None:
        """Wait for an event about the source; or for a while."""
        appearance = Appearance(source)
        self._wait_on(appearance)
        try:
            if self._goes_on(version):
                within(time.monotonic() + _PATIENCE, source._current)
                self._rest(version, _RETRY)  # it can be shown by now, or so it seems
        except WindowNotViewable:
            appearance.wait(_PATROL)
        except RequestTimeout:
            return
        finally:
            self._wait_on(None)

    def _wait_for_answer(self, version: int, source: Source) -> None:
        """Wait for the reply to one request."""
        wire, request = source._session.connection.wire, Request(SYNC)
        wire.queue(request)
        while self._goes_on(version) and not request.done:
            with suppress(RequestTimeout):
                wire.wait_for(request, _RETRY)

    def _wait_on(self, what: OpenedFeed | Appearance | None) -> None:
        with self._lock:
            self._waiting = what

    def _rest(self, version: int, seconds: float) -> None:
        """Wait until the channel has another source, or nobody watches; so long at most."""
        with self._lock:
            self._condition.wait_for(lambda: not self._goes_on(version), seconds)

    # -- one run of it -------------------------------------------------------------------------------------------------

    def _capture_all(self, following: _Following) -> None:
        patrol = 0.0
        while self._wait_for_interest(following.version):
            is_patrol = time.monotonic() >= patrol
            if is_patrol:
                patrol = time.monotonic() + _PATROL
            if not within(time.monotonic() + _PATIENCE, self._look, following, is_patrol=is_patrol):
                return
            following.feed.wait(patrol)
            left = following.looked_at + self._pause - time.monotonic()
            if left > 0:
                self._rest(following.version, left)

    def _wait_for_interest(self, version: int) -> bool:
        """Wait until somebody wants a picture; return whether to go on."""
        while True:
            with self._lock:
                if not self._goes_on(version) or any(each.is_wanting for each in self._watching()):
                    return self._goes_on(version)
                self._condition.wait(_PATROL)

    def _look(self, following: _Following, *, is_patrol: bool) -> bool:
        """Capture what has changed, and say so; return False where the source has another size.

        Without an event it takes one round trip, in a patrol alone: that shows whether the server still answers.
        """
        source, feed, pointing = following.source, following.feed, following.pointing
        if self._region is None and source._current() != feed.rect:
            return False
        now, is_due = time.monotonic(), feed.is_due
        following.looked_at = now
        has_moved = False
        if pointing is None:
            if is_patrol:
                source._query_extent()
        elif pointing.look(always=is_patrol or (is_due and now >= pointing.looked_at + _POINTER_AGE)):
            self.pointer, has_moved = pointing.state, True
        has_changed = is_due and self._capture(following)
        if has_changed and self.state.kind != "live":
            self._tell(following.version, ChannelState("live"))
        elif has_changed or has_moved:
            self._wake_all()
        return True

    def _capture(self, following: _Following) -> bool:
        """Bring the picture up to date; return whether anything differs."""
        feed, picture = following.feed, following.picture
        at = read_untorn(feed, picture.read)
        if feed.is_hidden:
            raise WindowNotViewable("the window is not shown")
        if at is None:
            return False
        served = [(each, each.wanted) for each in self._watching()]  # who wants one from here on, wants the next
        if not picture.commit(at):
            return False
        for watch, wanted in served:
            watch.served = wanted
        with self._lock:
            if following.version == self._version:
                self.picture, self._size, self.how = picture, picture.size, feed.how
        return True

    # -- what is said --------------------------------------------------------------------------------------------------

    def _tell(self, version: int, state: ChannelState) -> None:
        """Have a state, unless another source, or the wait for one, has one of its own by now."""
        with self._lock:
            if version != self._version or state == self.state:
                return
            self.state = state
        self._wake_all()

    def _wake_all(self) -> None:
        for each in self._watching():
            each.wake()


@dataclass
class _Following:
    """What one run of `_follow` works with."""

    version: int
    source: Source
    feed: OpenedFeed
    pointing: Pointing | None
    picture: Picture
    looked_at: float = 0.0


def _release(source: Source, feed: OpenedFeed) -> None:
    """Close a feed, and have the server told at once: else that waits for whoever uses the connection next."""
    for each in feed.also:
        if isinstance(each, Pointing):
            each.close()
    feed.also = ()
    feed.close()
    wire = source._session.connection.wire
    wire.run_deferred()
    wire.pump()
