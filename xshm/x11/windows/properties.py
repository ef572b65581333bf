"""What windows and window managers say of themselves: ICCCM 2.0 and EWMH 1.5 properties.

Everything here is a claim of another client: it is read with care, and what makes no sense counts as not said.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from Xlib import X, Xatom

from xshm.x11.cookie import Cookie
from xshm.x11.protocol import core, text_property

if TYPE_CHECKING:
    from xshm.x11.connection import Connection

_NAMES: Final = (
    *("_NET_WM_NAME", "_NET_WM_PID", "_NET_ACTIVE_WINDOW", "_NET_SUPPORTING_WM_CHECK"),
    *("_NET_WM_CM_S{screen}", "WM_STATE", "UTF8_STRING", "COMPOUND_TEXT"),
)
_MOST_WORDS: Final = 1 << 16  # of one property, in units of four bytes; a title is cut there
_ANY_TYPE: Final = 0
ICONIC: Final = 3


class Atoms:
    """The numbers of the names that are used here, looked up in one round trip."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        names = [name.format(screen=connection.default_screen) for name in _NAMES]
        asked = [Cookie(connection, core.InternAtom, name=name, only_if_exists=False) for name in names]
        found = [each.reply().atom for each in asked]
        self.net_name, self.net_pid, self.net_active, self.net_check = found[:4]
        self.compositor, self.state, self.utf8, self.compound = found[4:]

    def ask(self, window: int, name: int, kind: int = _ANY_TYPE) -> Cookie:
        """Ask for a property."""
        return Cookie(
            self.connection,
            core.GetProperty,
            delete=False,
            window=window,
            property=name,
            type=kind,
            long_offset=0,
            long_length=_MOST_WORDS,
        )

    def kind_name(self, kind: int) -> str:
        """Return the name of a text property's type, as `text.decode` wants it."""
        return {self.utf8: "UTF8_STRING", self.compound: "COMPOUND_TEXT"}.get(kind, "STRING")


def atom(connection: Connection, name: str) -> int:
    """Return the number of a name, which is made where there is none; looked up once for each connection."""
    known = connection.atoms
    if name not in known:
        known[name] = int(connection.request(core.InternAtom, name=name, only_if_exists=False).atom)
    return known[name]


class WindowProperties:
    """The questions to one window, on their way, and then its answers."""

    def __init__(self, atoms: Atoms, window: int) -> None:
        self._atoms = atoms
        self._net_name = atoms.ask(window, atoms.net_name, atoms.utf8)
        self._name = atoms.ask(window, Xatom.WM_NAME)
        self._class = atoms.ask(window, Xatom.WM_CLASS, Xatom.STRING)
        self._pid = atoms.ask(window, atoms.net_pid, Xatom.CARDINAL)
        self._machine = atoms.ask(window, Xatom.WM_CLIENT_MACHINE)

    def title(self) -> str:
        """Return _NET_WM_NAME, or WM_NAME in its own encoding, or ""."""
        net_name, name = _value(self._net_name, 8), _value(self._name, 8)
        if net_name:
            return text_property.decode("UTF8_STRING", net_name[1])
        return text_property.decode(self._atoms.kind_name(name[0]), name[1]) if name else ""

    def class_names(self) -> tuple[str, str]:
        """Return WM_CLASS: the instance's name and the class's, as in ("xterm", "XTerm")."""
        found = _value(self._class, 8)
        parts = found[1].split(b"\0") if found else []
        instance, name = (text_property.decode("STRING", part) for part in (*parts, b"", b"")[:2])
        return instance, name

    def pid(self) -> int | None:
        """Return _NET_WM_PID where it is one number that can be a process."""
        found = _value(self._pid, 32)
        return int(found[1][0]) if found and len(found[1]) == 1 and 0 < found[1][0] < 1 << 31 else None

    def machine(self) -> str:
        """Return the name of the machine that the program says it runs on, or ""."""
        found = _value(self._machine, 8)
        return text_property.decode(self._atoms.kind_name(found[0]), found[1]) if found else ""


def has_state(asked: Cookie) -> bool:
    """Tell from the answer about WM_STATE whether a window manager looks after this window."""
    return _value(asked, 32) is not None


def state(asked: Cookie) -> int | None:
    """Return WM_STATE's number (ICONIC is one) from the answer; None where there is none."""
    found = _value(asked, 32)
    return int(found[1][0]) if found else None


def window_id(asked: Cookie) -> int | None:
    """Return the one window that a property names, from the answer."""
    found = _value(asked, 32)
    return int(found[1][0]) if found and found[1][0] else None


def active(atoms: Atoms, root: int) -> int | None:
    """Return the window that the window manager calls active, None where it says there is none.

    Where none says anything, it is the window that the keys go to.
    """
    asked = atoms.ask(root, atoms.net_active, Xatom.WINDOW)
    focus = Cookie(atoms.connection, core.GetInputFocus)
    named = _value(asked, 32)
    if named:
        return int(named[1][0]) or None
    window = focus.reply().focus
    return None if window in {X.NONE, X.PointerRoot} else int(window.id)


def _value(asked: Cookie, fmt: int) -> tuple[int, Any] | None:
    """Return a property's type and its bytes or numbers; None where it is missing, of another form, or empty."""
    reply = asked.reply_or_none()
    if reply is None or not reply.property_type or reply.value is None or reply.value[0] != fmt:
        return None
    return (reply.property_type, reply.value[1]) if len(reply.value[1]) else None
