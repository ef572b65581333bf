"""Properties of windows by ICCCM 2.0 and EWMH 1.5: titles, classes, pids, states, and the active window.

Any client may set any property to anything: a value of another type, format or length than the specification has counts
as missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from xshm.x11.cookie import Cookie
from xshm.x11.protocol import core, text_property
from xshm.x11.protocol.xlib import X, Xatom

if TYPE_CHECKING:
    from xshm.x11.connection import Connection

_NAMES: Final = (
    *("_NET_WM_NAME", "_NET_WM_PID", "_NET_ACTIVE_WINDOW", "_NET_SUPPORTING_WM_CHECK"),
    *("_NET_WM_CM_S{screen}", "WM_STATE", "UTF8_STRING", "COMPOUND_TEXT"),
)
_MOST_WORDS: Final = 1 << 16  # units of four bytes; a longer property is cut
ICONIC: Final = 3  # a value of WM_STATE


class Atoms:
    """The atoms that are used here, interned in one round trip."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        names = [name.format(screen=connection.default_screen) for name in _NAMES]
        cookies = [Cookie(connection, core.InternAtom, name=name, only_if_exists=False) for name in names]
        found = [cookie.reply().atom for cookie in cookies]  # in the order of _NAMES
        self.net_name, self.net_pid, self.net_active, self.net_check = found[:4]
        self.compositor, self.state, self.utf8, self.compound = found[4:]

    def get_property(self, window: int, name: int, kind: int = X.AnyPropertyType) -> Cookie:
        """Queue GetProperty; the functions below read its reply."""
        return get_property(self.connection, window, name, kind)

    def type_name(self, kind: int) -> str:
        """Return the name of a text property's type, as `text_property.decode` takes it."""
        return {self.utf8: "UTF8_STRING", self.compound: "COMPOUND_TEXT"}.get(kind, "STRING")


def get_property(connection: Connection, window: int, name: int, kind: int) -> Cookie:
    """Queue GetProperty, without Atoms."""
    return Cookie(
        connection,
        core.GetProperty,
        delete=False,
        window=window,
        property=name,
        type=kind,
        long_offset=0,
        long_length=_MOST_WORDS,
    )


def intern_atom(connection: Connection, name: str) -> int:
    """Return the atom of a name, interning it if need be; one request for each name and connection."""
    known = connection.atoms  # of a server's lifetime: an atom is never freed
    if name not in known:
        known[name] = int(connection.request(core.InternAtom, name=name, only_if_exists=False).atom)
    return known[name]


class Title:
    """The title of one window, queried when this is made."""

    def __init__(self, atoms: Atoms, window: int) -> None:
        self._atoms = atoms
        self._net_name = atoms.get_property(window, atoms.net_name, atoms.utf8)
        self._name = atoms.get_property(window, Xatom.WM_NAME)  # of any type, which is the text's encoding

    def text(self) -> str | None:
        """Return _NET_WM_NAME, or else WM_NAME in its own encoding, or ""; None where the window was destroyed.

        To be called once.
        """
        replies = self._net_name.reply_or_none(), self._name.reply_or_none()
        if None in replies:
            return None
        net_name, name = (_value(reply, 8) for reply in replies)
        if net_name:
            return text_property.decode("UTF8_STRING", net_name[1])
        return text_property.decode(self._atoms.type_name(name[0]), name[1]) if name else ""


class WindowProperties:
    """The properties of one window. All are queried when this is made; each method may be called once."""

    def __init__(self, atoms: Atoms, window: int) -> None:
        self._atoms = atoms
        self._title = Title(atoms, window)
        self._class = atoms.get_property(window, Xatom.WM_CLASS, Xatom.STRING)
        self._pid = atoms.get_property(window, atoms.net_pid, Xatom.CARDINAL)
        self._machine = atoms.get_property(window, Xatom.WM_CLIENT_MACHINE)

    def title(self) -> str:
        """Return the title (`Title`), "" where it is missing."""
        return self._title.text() or ""

    def class_names(self) -> tuple[str, str]:
        """Return WM_CLASS: the names of instance and class, as in ("xterm", "XTerm"); "" where missing."""
        found = _value(self._class.reply_or_none(), 8)
        # Two strings, each ended by NUL; clients forget the last one, or both.
        parts = found[1].split(b"\0") if found else []
        instance, name = (text_property.decode("STRING", part) for part in (*parts, b"", b"")[:2])
        return instance, name

    def pid(self) -> int | None:
        """Return _NET_WM_PID where it is one number that can be a pid."""
        found = _value(self._pid.reply_or_none(), 32)
        return int(found[1][0]) if found and len(found[1]) == 1 and 0 < found[1][0] < 1 << 31 else None

    def machine(self) -> str:
        """Return WM_CLIENT_MACHINE, the name of the host that the program runs on, or ""."""
        found = _value(self._machine.reply_or_none(), 8)
        return text_property.decode(self._atoms.type_name(found[0]), found[1]) if found else ""


def is_managed(cookie: Cookie) -> bool:
    """Return whether a window has WM_STATE, which window managers set on the clients that they manage."""
    return _value(cookie.reply_or_none(), 32) is not None


def window_state(cookie: Cookie) -> int | None:
    """Return the number in WM_STATE (ICONIC is one); None where it is missing."""
    found = _value(cookie.reply_or_none(), 32)
    return int(found[1][0]) if found else None


def window_id(cookie: Cookie) -> int | None:
    """Return the one window that a property names; None where it names none."""
    found = _value(cookie.reply_or_none(), 32)
    return int(found[1][0]) if found and found[1][0] else None


def active_window(atoms: Atoms, root: int) -> int | None:
    """Return the active window by _NET_ACTIVE_WINDOW, None where that is 0; without it, the window with the focus."""
    cookie = atoms.get_property(root, atoms.net_active, Xatom.WINDOW)
    focus = Cookie(atoms.connection, core.GetInputFocus)
    named = _value(cookie.reply_or_none(), 32)  # a manager that has no active window sets 0, which is a value
    if named:
        return int(named[1][0]) or None
    window = focus.reply().focus  # python-xlib's window, or one of two numbers
    return None if window in {X.NONE, X.PointerRoot} else int(window.id)


def _value(reply: Any, fmt: int) -> tuple[int, Any] | None:
    """Return a property's type and its bytes or numbers; None where it is missing, empty, or of another format.

    `reply` is that to GetProperty, None where the window was destroyed.
    """
    if reply is None or not reply.property_type or reply.value is None or reply.value[0] != fmt:
        return None
    return (reply.property_type, reply.value[1]) if len(reply.value[1]) else None
