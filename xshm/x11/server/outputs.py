"""What makes up the screen: RandR's monitors (1.5), its lit CRTCs (1.2), or Xinerama's heads. Nothing is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from Xlib.ext import randr, xinerama
from Xlib.protocol.request import GetAtomName, InternAtom

from xshm.errors import BadRequest
from xshm.x11.cookie import Cookie
from xshm.x11.protocol import text_property

if TYPE_CHECKING:
    from collections.abc import Iterable

    from xshm.x11.connection import Connection

_INTERLACED, _DOUBLE_SCAN = 0x10, 0x20  # mode flags
_EDID_WORDS: Final = 32  # the first block has all that is read of it (edid.py)
_ANY_TYPE: Final = 0


class Output(NamedTuple):
    """One of them: name, place in pixels; millimetres and hertz are 0 where the server does not know.

    `outputs` are the names of the connectors it is made of, `edid` the first block of the first of them that has one.
    """

    name: str
    box: tuple[int, int, int, int]
    primary: bool
    width_mm: int
    height_mm: int
    refresh: float
    outputs: tuple[str, ...] = ()
    edid: bytes = b""


class Configuration:
    """RandR's outputs and CRTCs, as they were at one moment. Raises BadRequest where RandR is older than 1.2."""

    def __init__(self, connection: Connection, opcode: int, root: int) -> None:
        self._connection = connection
        self._opcode = opcode
        self._monitors = self._ask(randr.GetMonitors, window=root, is_active=True)
        current = self._ask(randr.GetScreenResourcesCurrent, window=root)
        primary = self._ask(randr.GetOutputPrimary, window=root)
        edid = Cookie(connection, InternAtom, only_if_exists=True, name="EDID")
        try:
            resources = current.reply()
            self._primary = int(primary.reply().output)
        except BadRequest:  # RandR 1.2; before 1.3 the question makes the server look at its hardware
            resources = self._ask(randr.GetScreenResources, window=root).reply()
            self._primary = 0
        stamp = resources.config_timestamp
        outputs = {one: self._ask(randr.GetOutputInfo, output=one, config_timestamp=stamp) for one in resources.outputs}
        crtcs = {one: self._ask(randr.GetCrtcInfo, crtc=one, config_timestamp=stamp) for one in resources.crtcs}
        edids = self._ask_properties(resources.outputs, edid.reply().atom)
        self._outputs = {one: asked.reply() for one, asked in outputs.items()}
        self._crtcs = {one: asked.reply() for one, asked in crtcs.items()}
        self._edids = {one: bytes(asked.reply().value) for one, asked in edids.items()}
        self._rates = {mode.id: _rate(mode) for mode in resources.modes}

    def monitors(self) -> list[Output]:
        """Return the monitors, which a user can define too; raises BadRequest where RandR is older than 1.5."""
        found = self._monitors.reply().monitors
        names = [Cookie(self._connection, GetAtomName, atom=monitor.name) for monitor in found]
        return [
            self._output(
                _name(name.reply().name),
                (monitor.x, monitor.y, monitor.width_in_pixels, monitor.height_in_pixels),
                bool(monitor.primary),
                (monitor.width_in_millimeters, monitor.height_in_millimeters),
                monitor.crtcs,  # so python-xlib calls what are its outputs
            )
            for monitor, name in zip(found, names, strict=True)
        ]

    def lit(self) -> list[Output]:
        """Return the CRTCs that show something, each under the name of its first output."""
        found = []
        for crtc in self._crtcs.values():
            outputs = [self._outputs[one] for one in crtc.outputs]
            if crtc.mode and outputs:
                first = outputs[0]
                box = (crtc.x, crtc.y, crtc.width, crtc.height)
                primary = self._primary in crtc.outputs
                found.append(
                    self._output(_name(first.name), box, primary, (first.mm_width, first.mm_height), crtc.outputs)
                )
        return found

    def _output(
        self,
        name: str,
        box: tuple[int, int, int, int],
        primary: bool,
        millimetres: tuple[int, int],
        outputs: Iterable[int],
    ) -> Output:
        known = [one for one in outputs if one in self._outputs]
        names = tuple(_name(self._outputs[one].name) for one in known)
        edid = next((self._edids[one] for one in known if self._edids.get(one)), b"")
        return Output(name, box, primary, *millimetres, self._refresh(known), names, edid)

    def _refresh(self, outputs: Iterable[int]) -> float:
        crtcs = [self._crtcs.get(self._outputs[one].crtc) for one in outputs]
        return max((self._rates.get(crtc.mode, 0.0) for crtc in crtcs if crtc is not None), default=0.0)

    def _ask_properties(self, outputs: Iterable[int], atom: int) -> dict[int, Cookie]:
        """Ask each output for its EDID; none where the server has not even the property's name."""
        if not atom:
            return {}
        fields = {"property": atom, "type": _ANY_TYPE, "long_offset": 0, "long_length": _EDID_WORDS}
        return {
            one: self._ask(randr.GetOutputProperty, output=one, delete=False, pending=False, **fields)
            for one in outputs
        }

    def _ask(self, request: Any, **fields: Any) -> Cookie:
        return Cookie(self._connection, request, opcode=self._opcode, **fields)


def by_randr(connection: Connection, root: int) -> list[Output]:
    """Ask RandR; [] where the server does not have it, or nothing is lit."""
    extension = connection.extension("RANDR")
    if extension is None:
        return []
    try:
        configuration = Configuration(connection, extension.major, root)
    except BadRequest:
        return []
    try:
        return configuration.monitors()
    except BadRequest:
        return configuration.lit()


class Xinerama:
    """Xinerama's heads: asked for when this is made, so that others' questions can travel with them."""

    def __init__(self, connection: Connection) -> None:
        extension = connection.extension("XINERAMA")
        self._active = self._screens = None
        if extension is not None:
            self._active = Cookie(connection, xinerama.IsActive, opcode=extension.major)
            self._screens = Cookie(connection, xinerama.QueryScreens, opcode=extension.major)

    def heads(self) -> list[Output]:
        """Return them; [] where the server does not have Xinerama, or it is not active. To be asked for once."""
        if self._active is None or self._screens is None or not self._active.reply().state:
            return []
        boxes = [(screen.x, screen.y, screen.width, screen.height) for screen in self._screens.reply().screens]
        return [Output(f"xinerama-{number}", box, number == 0, 0, 0, 0.0) for number, box in enumerate(boxes)]


def _name(latin: str) -> str:
    """Return a name as its bytes are meant, UTF-8 or else Latin-1; python-xlib reads all as Latin-1."""
    return text_property.decode("STRING", latin.encode("latin-1"))


def _rate(mode: Any) -> float:
    """Return a mode's pictures in a second."""
    lines = float(mode.v_total)
    if mode.flags & _DOUBLE_SCAN:
        lines *= 2
    if mode.flags & _INTERLACED:
        lines /= 2
    return mode.dot_clock / (mode.h_total * lines) if mode.h_total and lines else 0.0
