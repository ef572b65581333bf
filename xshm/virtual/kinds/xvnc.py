"""Xvnc, TigerVNC's: an X server that RandR gives any size while it runs. Nobody gets in by VNC.

It has no port (-rfbport -1). Newer versions then insist on a socket in the file system: that lies in the display's
private directory, and takes a password that is nowhere.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Final

from xshm.virtual.kinds.kind import Kind

if TYPE_CHECKING:
    from xshm.virtual.kinds.kind import Wanted
    from xshm.virtual.kinds.server_command import ServerCommand

_NO_VNC: Final = "nothing: a display is used by X alone, and nobody gets in by VNC"
# Xvnc's own parameters, which may be written -Name value, -Name=value and Name=value, in any case.
_PARAMETERS: Final = (
    *("rfbport", "rfbunixpath", "rfbunixmode", "rfbauth"),
    *("passwordfile", "password", "securitytypes", "inetd"),
)


class Xvnc(Kind):
    """TigerVNC's X server."""

    name = "xvnc"
    title = "Xvnc"
    depths = (16, 24)
    greatest = 16384
    takes_any_size = True
    ours: ClassVar = {**Kind.ours, "-geometry": "width and height", "-depth": "depth"}

    def owner_of(self, arg: str) -> str | None:
        """Return what to use in place of an option that the display passes itself; None for any other word."""
        is_parameter = arg.lstrip("-").partition("=")[0].lower() in _PARAMETERS
        return _NO_VNC if is_parameter else super().owner_of(arg)

    def command(self, wanted: Wanted, program: str) -> ServerCommand:
        """Return what is run for a display."""
        command = (
            super()
            .command(wanted, program)
            .with_options(
                *("-geometry", f"{wanted.width}x{wanted.height}", "-depth", str(wanted.depth)),
                *("-rfbport", "-1", "-rfbunixmode", "0600", "-SecurityTypes", "VncAuth", "-PasswordFile", "/dev/null"),
            )
        )
        return replace(command, files=(("-rfbunixpath", "vnc"),))
