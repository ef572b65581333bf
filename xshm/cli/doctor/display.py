"""The display that programs are led to: whether it can be reached, with which cookie, transport and extensions."""

from __future__ import annotations

import os
import time
from contextlib import closing
from typing import TYPE_CHECKING, Final, NamedTuple

from xshm.cli.doctor.fact import Fact, parted
from xshm.errors import AccessDenied, ConnectFailed, UntrustedServer, XshmError
from xshm.x11.display_name import DisplayName, listening

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xshm.drawables.screen import Screen

_START: Final = "xshm run -- COMMAND"
# What is not there without an extension.
_EXTENSIONS: Final = {
    "DAMAGE": "changes are found by comparing pictures only: no stream(on_change=True), no wait",
    "XFIXES": "no pointer in pictures, and no waits for changes",
    "XTEST": "no keys and clicks",
    "RANDR": "no monitors, and new sizes of the screen are noticed late",
    "Composite": "no covered windows",
}


class Wanted(NamedTuple):
    """The display to look at, as the command line names it; None: $DISPLAY and its authority file."""

    display: str | None
    xauthority: str | None
    timeout: float


def display(wanted: Wanted) -> Iterator[Fact]:
    """Yield whether a display is named and can be reached, and how it can be read."""
    name = wanted.display or os.environ.get("DISPLAY", "")
    if not name:
        others = listening()
        words = f"; servers listen at {', '.join(others)}" if others else ""
        remedy = f"export DISPLAY={others[0]}" if others else _START
        yield Fact("DISPLAY", f"not set, so there is no display to read{words}", "note", remedy)
        return
    from xshm.drawables.screen import Screen  # noqa: PLC0415 - may be what can't be imported
    from xshm.x11.xauthority import find_cookie  # noqa: PLC0415 - as above

    try:
        with Screen(name, xauthority=wanted.xauthority, timeout=wanted.timeout) as screen:
            yield Fact("DISPLAY", f"{name}: {screen.connection.info.vendor} at {screen.connection.address}")
            parsed = DisplayName.parse(name)
            sock, address = parsed.connect(wanted.timeout)
            with closing(sock):
                yield Fact("cookie", find_cookie(parsed, sock, wanted.xauthority, address)[1])
            yield from _reading(screen)
            yield from _extensions(screen)
    except XshmError as error:
        yield _unreachable(name, error)


def _reading(screen: Screen) -> Iterator[Fact]:
    chosen = screen.transport
    slow = chosen.kind == "core"
    yield Fact(
        "transport",
        f"{chosen.kind}: {chosen.reason}",
        "note" if slow else "ok",
        "run where memory can be shared with the server: on its machine, over its own socket" if slow else "",
    )
    begun = time.perf_counter()
    screen.grab().release()
    took = time.perf_counter() - begun
    yield Fact(
        "screen",
        f"{screen.rect.width}x{screen.rect.height}, depth {screen.format.depth}; first grab {took * 1e3:.1f} ms",
    )


def _extensions(screen: Screen) -> Iterator[Fact]:
    if version := screen.transport.version:
        yield Fact("MIT-SHM", f"{version[0]}.{version[1]}")
    else:
        yield Fact("MIT-SHM", "the server has none: all pixels come over the socket", "missing")
    for name, without in _EXTENSIONS.items():
        found = screen.connection.negotiate(name)
        if found is None:
            yield Fact(name, f"the server has none: {without}", "missing")
        else:
            yield Fact(name, f"{found.version[0]}.{found.version[1]}")


def _unreachable(name: str, error: XshmError) -> Fact:
    words, remedy = parted(error)
    if isinstance(error, AccessDenied):
        words, remedy = (
            f"{words}; {remedy}",
            "export XAUTHORITY=FILE, the authority file of whom the display belongs to",
        )
    elif isinstance(error, UntrustedServer):
        remedy = "if it is to be trusted, name the authority file: xshm … --xauthority FILE"
    elif isinstance(error, ConnectFailed) and not remedy:
        others = [each for each in listening() if each != name]  # the words have them
        remedy = f"export DISPLAY={others[0]}" if others else _START
    return Fact("DISPLAY", f"{name}: {words}", "wrong", remedy or _START)
