"""Xwayland as a display: rootful, a whole screen in one window of a Wayland compositor that shows it nowhere.

The compositor is weston without hardware, for this one client: both ends of their connection are made with them
(WAYLAND_SERVER_SOCKET, WAYLAND_SOCKET), so no other program can connect to it, and each ends when the other does.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Final

from xshm.errors import StartFailed
from xshm.system import limits
from xshm.virtual.kinds.kind import Kind

if TYPE_CHECKING:
    from xshm.virtual.kinds.kind import Wanted
    from xshm.virtual.kinds.server_command import ServerCommand

_WITH_GEOMETRY: Final = 23  # the version from which on it does not take its size from the compositor
_PATIENCE: Final = 10.0  # seconds for it to print its version
_ROOTFUL: Final = "nothing: a display is one whole screen"


class Xwayland(Kind):
    """The X server for Wayland desktops, of the X.Org project, in a desktop of its own."""

    name = "xwayland"
    title = "Xwayland"
    depths = (24,)
    greatest = 16384
    ours: ClassVar = {
        **Kind.ours,
        "-geometry": "width and height",
        "-fullscreen": "width and height",
        "-rootless": _ROOTFUL,
        "-wm": _ROOTFUL,
    }

    def command(self, wanted: Wanted, program: str) -> ServerCommand:
        """Return what is run for a display."""
        options = ["-shm"]  # no graphics processor
        if _version(program, min(float(wanted.timeout), _PATIENCE)) >= _WITH_GEOMETRY:
            options += ["-geometry", f"{wanted.width}x{wanted.height}"]
        weston = shutil.which("weston") or "weston"
        # A shell that gives windows no size of its own: in the others Xwayland is as large as the output, or is ended.
        compositor = (
            *(weston, "--backend=headless-backend.so", "--shell=ivi-shell.so", "--no-config", "--idle-time=0"),
            *(f"--width={wanted.width}", f"--height={wanted.height}"),
            "--socket",  # which is not made, since the one client has its connection: the option marks the process
        )
        return replace(super().command(wanted, program).with_options(*options), compositor=compositor)


def _version(program: str, timeout: float) -> int:
    """Return the first number of its version, 0 where it does not say. Raises StartFailed where it can't be run."""
    import subprocess  # noqa: PLC0415 - slow to import, and other kinds need no version

    try:
        run = subprocess.run(
            [program, "-version"], stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=timeout
        )
    except subprocess.TimeoutExpired:
        raise StartFailed(f"{program} -version did not answer within {timeout:g} s") from None
    except OSError as error:
        if limits.explain(error) or error.filename != program:  # a signal handler's
            raise
        raise StartFailed(f"{program} can't be run: {error}") from error
    found = re.search(rb"Xwayland Version (\d+)", run.stdout + run.stderr)
    return int(found[1]) if found else 0
