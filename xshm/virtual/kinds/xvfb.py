"""Xvfb: any depth, several screens, and memory that it shares: the server of a display wherever it is installed.

Its screens never grow: RandR gives them any size up to that of their start.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from xshm.virtual.kinds.kind import Kind

if TYPE_CHECKING:
    from xshm.virtual.kinds.kind import Wanted
    from xshm.virtual.kinds.server_command import ServerCommand


class Xvfb(Kind):
    """The X server that draws into memory, of the X.Org project."""

    name = "xvfb"
    title = "Xvfb"
    depths = (8, 15, 16, 24, 30)
    has_framebuffer = True
    ours: ClassVar = {
        **Kind.ours,
        "-screen": "width, height, depth and screens",
        "-fbdir": "framebuffer=Path(…)",
        "-shmem": "framebuffer='sysv'",
        "-nocursor": "cursor=False",
    }

    def refusal(self, wanted: Wanted) -> str | None:  # noqa: ARG002 - other kinds look at it
        """Return None: it can do all that a description has."""
        return None

    def command(self, wanted: Wanted, program: str) -> ServerCommand:
        """Return what is run for a display."""
        command = super().command(wanted, program)
        options = []
        for number, screen in enumerate(wanted.all_screens()):
            options += ["-screen", str(number), str(screen)]
        if not wanted.cursor:
            options.append("-nocursor")
        is_sysv = wanted.framebuffer == "sysv"
        if is_sysv:
            options.append("-shmem")
        return replace(command.with_options(*options), framebuffers="-fbdir", makes_segments=is_sysv)
