"""RandR 1.5 and Xinerama 1.1: the monitors that make up the screen.

A RandR monitor is a rectangle of the screen: the server makes one for each output (connector) that shows something, and
users define others; outputs and CRTCs are queried for what a monitor does not have: refresh rate, connectors, EDID.
Each query returns the current state, nothing is cached. Where RandR is older, Xinerama alone reports the monitors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from xshm.x11.cookie import Cookie
from xshm.x11.protocol import text_property
from xshm.x11.protocol.xlib import X, randr, xinerama
from xshm.x11.protocol.xlib import request as core

if TYPE_CHECKING:
    from collections.abc import Callable

    from xshm.x11.connection import Connection

_NAME: Final = "RANDR"
_WITH_PRIMARY, _WITH_MONITORS = (1, 3), (1, 5)
_INTERLACED, _DOUBLE_SCAN = 0x10, 0x20  # mode flags
_EDID_WORDS: Final = 32  # the first block, 128 bytes: `x11.protocol.edid` decodes no other


class MonitorInfo(NamedTuple):
    """A monitor or a Xinerama head: name and rectangle in pixels; millimetres and hertz are 0 where unknown.

    `outputs` are the names of its connectors, `edids` their first blocks in the same order, b"" where one has none.
    """

    name: str
    box: tuple[int, int, int, int]
    primary: bool
    width_mm: int
    height_mm: int
    refresh: float
    outputs: tuple[str, ...] = ()
    edids: tuple[bytes, ...] = ()

    @property
    def edid(self) -> bytes:
        """The block of the first connector that has one; b"" where none has."""
        return next((edid for edid in self.edids if edid), b"")


class _Output(NamedTuple):
    name: str
    refresh: float
    edid: bytes


def query_monitors(connection: Connection, root: int) -> list[MonitorInfo]:
    """Return the monitors, those that a user has defined included; [] without RandR 1.5. Two round trips."""
    extension = connection.negotiate(_NAME)
    if extension is None or extension.version < _WITH_MONITORS:
        return []

    def ask(request: Any, **fields: Any) -> Cookie:
        return Cookie(connection, request, opcode=extension.major, **fields)

    listed = ask(randr.GetMonitors, window=root, is_active=True)
    current = ask(randr.GetScreenResourcesCurrent, window=root)  # GetScreenResources has the hardware probed
    edid = Cookie(connection, core.InternAtom, only_if_exists=True, name="EDID")
    monitors, resources, edid_atom = listed.reply().monitors, current.reply(), edid.reply().atom
    # The second round trip: names of monitors, which are atoms, and all about outputs.
    names = [Cookie(connection, core.GetAtomName, atom=monitor.name) for monitor in monitors]
    outputs = _query_outputs(ask, resources, edid_atom)
    found = []
    for monitor, name in zip(monitors, names, strict=True):
        known = [outputs[each] for each in monitor.crtcs if each in outputs]  # python-xlib's name for its outputs
        info = MonitorInfo(
            name=_decode_name(name.reply().name),
            box=(monitor.x, monitor.y, monitor.width_in_pixels, monitor.height_in_pixels),
            primary=bool(monitor.primary),
            width_mm=monitor.width_in_millimeters,
            height_mm=monitor.height_in_millimeters,
            refresh=max((output.refresh for output in known), default=0.0),
            outputs=tuple(output.name for output in known),
            edids=tuple(output.edid for output in known),
        )
        found.append(info)
    return found


def query_primary_output(connection: Connection, root: int) -> str:
    """Return the name of the output that is marked primary (RandR 1.3); "" where none is. Two round trips."""
    extension = connection.negotiate(_NAME)
    if extension is None or extension.version < _WITH_PRIMARY:
        return ""
    output = Cookie(connection, randr.GetOutputPrimary, opcode=extension.major, window=root).reply().output
    if not output:
        return ""
    asked = {"opcode": extension.major, "output": output, "config_timestamp": 0}
    return _decode_name(Cookie(connection, randr.GetOutputInfo, **asked).reply().name)


def _query_outputs(ask: Callable[..., Cookie], resources: Any, edid_atom: int) -> dict[int, _Output]:
    """Return all outputs by their ids; all requests are sent before the first reply is waited for."""
    stamp = resources.config_timestamp
    infos = {each: ask(randr.GetOutputInfo, output=each, config_timestamp=stamp) for each in resources.outputs}
    crtcs = {each: ask(randr.GetCrtcInfo, crtc=each, config_timestamp=stamp) for each in resources.crtcs}
    wanted = {"property": edid_atom, "type": X.AnyPropertyType, "long_offset": 0, "long_length": _EDID_WORDS}
    edids = {
        each: ask(randr.GetOutputProperty, output=each, delete=False, pending=False, **wanted)
        for each in (resources.outputs if edid_atom else ())  # no such atom: no output has the property
    }
    rates = {mode.id: _refresh_rate(mode) for mode in resources.modes}
    refresh = {each: rates.get(cookie.reply().mode, 0.0) for each, cookie in crtcs.items()}
    outputs = {}
    for each, cookie in infos.items():
        info = cookie.reply()
        edid = bytes(edids[each].reply().value) if each in edids else b""
        outputs[each] = _Output(_decode_name(info.name), refresh.get(info.crtc, 0.0), edid)
    return outputs


class Xinerama:
    """Xinerama's heads. They are queried when this is made, so that other requests can share the round trip."""

    def __init__(self, connection: Connection) -> None:
        extension = connection.extension("XINERAMA")
        self._active = self._screens = None
        if extension is not None:
            self._active = Cookie(connection, xinerama.IsActive, opcode=extension.major)
            self._screens = Cookie(connection, xinerama.QueryScreens, opcode=extension.major)

    def heads(self) -> list[MonitorInfo]:
        """Return the heads; [] where the server does not have Xinerama, or it is not active. To be called once."""
        if self._active is None or self._screens is None or not self._active.reply().state:
            return []
        # Xinerama has no names, and no primary head: the first is where window managers put their panels.
        boxes = [(screen.x, screen.y, screen.width, screen.height) for screen in self._screens.reply().screens]
        return [MonitorInfo(f"xinerama-{number}", box, number == 0, 0, 0, 0.0) for number, box in enumerate(boxes)]


def _decode_name(latin: str) -> str:
    """Return a name as UTF-8, or else Latin-1; python-xlib decodes all as Latin-1."""
    return text_property.decode("STRING", latin.encode("latin-1"))


def _refresh_rate(mode: Any) -> float:
    """Return a mode's refresh rate in hertz, 0.0 where its timings do not yield one."""
    lines = float(mode.v_total)  # dots and lines of the blanking included
    if mode.flags & _DOUBLE_SCAN:
        lines *= 2
    if mode.flags & _INTERLACED:
        lines /= 2
    return mode.dot_clock / (mode.h_total * lines) if mode.h_total and lines else 0.0
