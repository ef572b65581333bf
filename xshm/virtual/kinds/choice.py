"""Choose the kind of server that a display gets, and say why: Xvfb where it can be had, else Xvnc, else Xwayland."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from xshm.errors import StartFailed
from xshm.virtual.kinds import installed
from xshm.virtual.kinds.xvfb import Xvfb
from xshm.virtual.kinds.xvnc import Xvnc
from xshm.virtual.kinds.xwayland import Xwayland

if TYPE_CHECKING:
    from xshm.virtual.kinds.installed import ServerKind
    from xshm.virtual.kinds.kind import Kind, Wanted
    from xshm.virtual.kinds.server_command import ServerCommand

# In the order in which "auto" takes them: Xvfb shares its memory, and Xvnc needs no compositor.
KINDS: Final[dict[ServerKind, Kind]] = {kind.name: kind for kind in (Xvfb(), Xvnc(), Xwayland())}


@dataclass(frozen=True, slots=True)
class ServerChoice:
    """The server of a display: its `kind`, the `reason` for it, and the path of its `program`."""

    kind: ServerKind
    reason: str
    program: str

    def __str__(self) -> str:
        return f"{KINDS[self.kind].title} ({self.reason})"


def choose(wanted: Wanted) -> ServerChoice:
    """Return the server for a description; StartFailed where none that can do it is installed, with the commands.

    What the server that was named can't do is refused before, when the description is made.
    """
    reasons: list[str] = []
    for name, kind in KINDS.items():
        if wanted.server not in ("auto", name):
            continue
        reason = kind.refusal(wanted) or _why_not_installed(name)
        if reason is None:
            why = "server=" + repr(name) if wanted.server == name else "; ".join(reasons)
            program = shutil.which(installed.PROGRAMS[name][0]) or installed.PROGRAMS[name][0]
            return ServerChoice(name, why or "it is installed, and can do all that is asked for", program)
        reasons.append(reason)
    raise StartFailed(f"there is no server for this display: {'; '.join(reasons)}")


def command(wanted: Wanted, chosen: ServerChoice) -> ServerCommand:
    """Return what is run for a display."""
    return KINDS[chosen.kind].command(wanted, chosen.program)


def refusal(wanted: Wanted) -> str | None:
    """Return what of a description no server can do that it allows, as a sentence; None where one can."""
    if wanted.server == "auto" or not (reason := KINDS[wanted.server].refusal(wanted)):  # type: ignore[index]
        return None
    able = [kind.name for kind in KINDS.values() if kind.refusal(wanted) is None]
    return f"{reason}; server={able[0]!r} has that"


def owner_of(arg: str, server: str) -> str | None:
    """Return what to use in place of an option that a display passes itself; None for any other word."""
    kinds = [kind for name, kind in KINDS.items() if server in ("auto", name)]
    return next((owner for kind in kinds if (owner := kind.owner_of(arg))), None)


def who_shares_memory() -> str:
    """Return the servers that have a framebuffer, as the end of a sentence."""
    able = [kind for kind in KINDS.values() if kind.has_framebuffer]
    return " and ".join(f"{kind.title} does (server={kind.name!r})" for kind in able)


def who_takes_any_size() -> str:
    """Return the servers whose screens take any size while they run, as the end of a sentence."""
    able = [kind for kind in KINDS.values() if kind.takes_any_size]
    return " and ".join(f"{kind.title} takes any size (server={kind.name!r})" for kind in able)


def _why_not_installed(name: ServerKind) -> str | None:
    missing = installed.missing(name)
    if not missing:
        return None
    verb = "is" if len(missing) == 1 else "are"
    return f"{' and '.join(missing)} {verb} not installed: {installed.how_to_install(*missing)}"
