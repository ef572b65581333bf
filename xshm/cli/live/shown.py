"""One place that a live view shows, and its return: a display that is started again, a window that is opened again.

1. What has ended is looked for once a second, by a thread of its own: a server that takes a connection and does not
   answer keeps nobody else waiting, and no end of the command.
2. Its page says meanwhile what it waits for. A window that was named by its id does not come back.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from xshm._signal_safety import leave_signals
from xshm.cli.standard_streams import complain
from xshm.errors import InvalidArgument, WindowError, XshmError

if TYPE_CHECKING:
    from xshm.cli.live.place import Opened, Place
    from xshm.drawables.screen import Screen
    from xshm.live.channel import Channel

_PAUSE: Final = 1.0  # seconds between two tries


class Shown:
    """A place, what it is at present, and the channel that shows it."""

    def __init__(self, place: Place, opened: Opened, channel: Channel) -> None:
        self._channel = channel
        self.opened = opened
        self._place = place
        self._over = threading.Event()
        self._returning: threading.Thread | None = None
        self._has_said_gone = False

    def look(self) -> None:
        """See whether it has ended, and have it come back if it can."""
        channel = self._channel
        if channel.state.kind != "gone" or (self._returning is not None and self._returning.is_alive()):
            return
        if not self.opened.is_by_id:
            self._returning = threading.Thread(target=self._return, name="xshm live", daemon=True)
            channel.wait_for_it(channel.state.words)
            self._returning.start()
            complain(f"xshm: {self.opened.title}: {channel.state.words}; it is shown again when it is back")
        elif not self._has_said_gone:
            self._has_said_gone = True
            complain(f"xshm: {self.opened.title}: {channel.state.words}")

    def close(self) -> None:
        """Let it go, and look for it no more."""
        self._over.set()
        self.opened.close()

    def _return(self) -> None:
        leave_signals()
        # The display of a window may live on; looking for the window asks it. Of a screen that has ended it has ended.
        screen: Screen | None = self.opened.screen
        if self.opened.source is screen:
            screen.close()
            screen = None
        while not self._over.wait(_PAUSE):
            try:
                screen = screen or self._place.connect()
                opened = self._place.open(screen)
            except (InvalidArgument, WindowError):  # the server answers, and has no such window, monitor or region now
                continue
            except (XshmError, OSError):
                if screen is not None:
                    screen.close()
                screen = None
                continue
            self.opened.close(but_the_screen=opened.screen is self.opened.screen)
            self.opened = opened
            self._channel.replace(opened.source)
            complain(f"xshm: {opened.title} is back")
            return
