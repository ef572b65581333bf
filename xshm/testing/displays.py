"""The displays of a run: one for all its tests, found or started, and fresh ones for single tests.

Always true:

1. While a display is the run's, or a test's, DISPLAY and XAUTHORITY in os.environ lead to it, and the variables of the
   profile are set; at its end they are as they were before.
2. A worker of pytest-xdist never uses the display that the run was started on: it would share it with the others.
3. A toolkit in this process ends the process when its display ends: Tk, GTK and Qt keep their connections, and exit at
   the next event. So a fresh display to which this process is still connected lives until the end of the run.
4. What went wrong at the start is said to each test that needs the display, and tried once.
5. Where the run's own display has ended, killed or closed by a test, the next test has another one.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from xshm.errors import Closed, XshmError
from xshm.system.deadlines import within
from xshm.testing import profile
from xshm.virtual.display import VirtualDisplay
from xshm.virtual.processes import environment
from xshm.x11.windows.client_pid import ClientPids

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from xshm.testing.settings import Settings

_PATIENCE: Final = 5.0  # seconds for a display that is there to answer, before another one is started


class NoDisplay(Exception):
    """There is no display, and why."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A display that tests are on, and whether the plugin has started it."""

    display: VirtualDisplay
    is_ours: bool


class Displays:
    """The displays of this process. `shared` is the $DISPLAY that a worker has in common with others, if it is one."""

    def __init__(self, settings: Settings, shared: str | None) -> None:
        self._settings = settings
        self._shared = shared
        self._held = contextlib.ExitStack()
        self._kept = contextlib.ExitStack()  # fresh displays of tests that are over (3)
        self._files = contextlib.ExitStack()  # of the profile
        self._variables: Mapping[str, str] | None = None  # the profile's
        self._session: Shown | None = None
        self._refused = ""

    def session(self) -> Shown:
        """Return the display of the run; find or start it at the first call. Raises NoDisplay."""
        if self._session is None:
            if not self._refused:
                try:
                    self._session = self._open()
                except (XshmError, OSError) as error:
                    self._refused = f"there is no display: {error}"
            if self._session is None:
                raise NoDisplay(self._refused)
        return self._session

    def forget_ended(self) -> bool:
        """Forget the run's own display if it has ended; return whether it had (5)."""
        if self._session is None or not self._session.is_ours or not _has_ended(self._session.display):
            return False
        self._session = None
        self._held.close()
        return True

    @contextlib.contextmanager
    def fresh(self, size: tuple[int, int] | None, depth: int | None) -> Iterator[Shown]:
        """Start a display for one test. Raises NoDisplay."""
        try:
            variables = self._profile()
            display = self._start(size or self._settings.size, depth or self._settings.depth)
        except (XshmError, OSError) as error:
            raise NoDisplay(f"there is no display: {error}") from error
        with contextlib.ExitStack() as held:
            held.enter_context(display)
            with display.activate(), environment.changed(variables):
                yield Shown(display, is_ours=True)
            if _is_used_here(display):
                self._kept.push(held.pop_all())

    def close(self) -> None:
        """End what was started, and restore the environment."""
        self._session = None
        try:
            self._held.close()
        finally:
            self._kept.close()
            self._files.close()

    def _open(self) -> Shown:
        wanted, here = self._settings.display, os.environ.get("DISPLAY", "")
        found = None
        if wanted == "auto" and here and here != self._shared:
            found = self._found(here)
        elif wanted not in ("auto", "new"):
            found = self._attached(wanted)
        variables = self._profile()
        shown = Shown(found or self._start(self._settings.size, self._settings.depth), is_ours=found is None)
        with contextlib.ExitStack() as held:
            held.enter_context(shown.display)
            held.enter_context(shown.display.activate())
            held.enter_context(environment.changed(variables))
            self._held = held.pop_all()
        return shown

    def _found(self, name: str) -> VirtualDisplay | None:
        """Return the display of $DISPLAY, where it shows pictures, of the size and depth that were asked for."""
        try:
            return self._attached(name)
        except XshmError:
            return None

    def _attached(self, name: str) -> VirtualDisplay:
        with contextlib.ExitStack() as held:
            deadline = time.monotonic() + _PATIENCE
            display = held.enter_context(contextlib.closing(within(deadline, VirtualDisplay.attach, name)))
            within(deadline, display.screen.grab, (0, 0, 1, 1))  # raises where windows are on another compositor
            size, depth = self._settings.size, self._settings.depth
            if size not in (None, (display.width, display.height)) or depth not in (None, display.screen.format.depth):
                raise XshmError(
                    f"{name} is {display.width}x{display.height}x{display.screen.format.depth}, which is not what "
                    "--xshm-size and --xshm-depth ask for; --xshm-display=new starts such a display"
                )
            held.pop_all()
        return display

    def _start(self, size: tuple[int, int] | None, depth: int | None) -> VirtualDisplay:
        width, height = size or (1280, 800)
        with contextlib.ExitStack() as held:
            display = held.enter_context(contextlib.closing(VirtualDisplay(width, height, depth or 24)))
            if self._settings.profile is not None:  # not on a display that was found, which is somebody's desktop
                profile.set_resources(display.screen)
            held.pop_all()
        return display

    def _profile(self) -> Mapping[str, str]:
        """Return the profile's variables; at the first call, write its files."""
        if self._variables is None:
            self._variables = {}
            if self._settings.profile is not None:
                directory = self._files.enter_context(tempfile.TemporaryDirectory(prefix="xshm-profile-"))
                self._variables = profile.stable(Path(directory))
        return self._variables


def _has_ended(display: VirtualDisplay) -> bool:
    try:
        return display.wait(0)
    except Closed:
        return True


def _is_used_here(display: VirtualDisplay) -> bool:
    """Return whether this process has connections to a display besides the display's own."""
    with contextlib.suppress(XshmError):
        connection = display.screen.connection
        clients = within(time.monotonic() + 1, ClientPids(connection).by_client)
        return any(pid == os.getpid() for base, pid in clients.items() if base != connection.info.resource_id_base)
    return False  # the server is gone
