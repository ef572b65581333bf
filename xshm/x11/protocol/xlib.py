"""All that xshm takes from python-xlib: no other file imports it, and no name is used that is not listed here.

python-xlib encodes and decodes what xshm sends a few times for an object, and its objects are what `screen.xlib` gives.
Its last release, 0.33, is of 2022. What stands in its place one day, a copy of these parts or another library, must
have these names; `tests/x11/protocol/test_xlib.py` says for each, in bytes, what it must do.

Its modules are imported when they are first used: a screenshot loads few of them.

What does not work, and where it is made good:
- Its own I/O. An exception during a wait leaves it waiting for ever; `xlib_base` has the Wire in its place.
- Tables of events, errors and extensions that are the class's: two servers in one process overwrite each other's.
  `xlib_base` gives each connection its own.
- Extensions that register errors by their offsets in place of their codes (randr), with classes that are no XError:
  `XlibBase.add_extension_error`. DAMAGE forgets its first error code.
- Lists as long as a number in a reply says, before it is compared with the bytes: `decoding.with_checked_lists`.
- Strings that are all Latin-1, and names of atoms too: `text_property`, `server.randr`.
- Names: a RandR monitor's outputs are called `crtcs`; the value of BadValue is `resource_id`.
- Authority files: an entry of FamilyWild is ignored, and a failed UNIX socket silently becomes TCP: `xauthority`,
  `display_name`.
- BIG-REQUESTS and descriptors, which it does not have: `core`, `mit_shm`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from Xlib import X, Xatom, display, error
    from Xlib.ext import composite, damage, randr, res, shape, xfixes, xinerama
    from Xlib.protocol import display as protocol_display
    from Xlib.protocol import event, request, rq, structs
    from Xlib.support import lock

__all__ = [
    "MEMBERS",
    "NAMES",
    "PACKAGE",
    "X",
    "Xatom",
    "composite",
    "damage",
    "display",
    "error",
    "event",
    "extension_modules",
    "import_extension",
    "keysym_groups",
    "lock",
    "protocol_display",
    "randr",
    "request",
    "res",
    "resource_classes",
    "rq",
    "shape",
    "structs",
    "xfixes",
    "xinerama",
]

PACKAGE: Final = "Xlib"  # in whose frames its exceptions are raised

_MODULES: Final = {
    "X": "Xlib.X",
    "Xatom": "Xlib.Xatom",
    "composite": "Xlib.ext.composite",
    "damage": "Xlib.ext.damage",
    "display": "Xlib.display",
    "error": "Xlib.error",
    "event": "Xlib.protocol.event",
    "lock": "Xlib.support.lock",
    "protocol_display": "Xlib.protocol.display",
    "randr": "Xlib.ext.randr",
    "request": "Xlib.protocol.request",
    "res": "Xlib.ext.res",
    "rq": "Xlib.protocol.rq",
    "shape": "Xlib.ext.shape",
    "structs": "Xlib.protocol.structs",
    "xfixes": "Xlib.ext.xfixes",
    "xinerama": "Xlib.ext.xinerama",
}

# The names that xshm uses of each module.
NAMES: Final = {
    # -- numbers of the protocol -----------------------------------------------------------------------------------
    "X": (
        "NONE CopyFromParent PointerRoot AnyPropertyType PropModeReplace InputOutput InputOnly IsUnmapped IsViewable "
        "NorthWestGravity PlaceOnTop "
        "KeyPressMask KeyReleaseMask ButtonPressMask ButtonReleaseMask PointerMotionMask ExposureMask "
        "StructureNotifyMask SubstructureNotifyMask SubstructureRedirectMask PropertyChangeMask "
        "CreateNotify DestroyNotify UnmapNotify MapNotify ReparentNotify ConfigureNotify GravityNotify "
        "CirculateNotify PropertyNotify"
    ),
    "Xatom": (
        "ATOM CARDINAL STRING WINDOW RESOURCE_MANAGER WM_CLASS WM_CLIENT_MACHINE WM_NAME WM_NORMAL_HINTS WM_SIZE_HINTS"
    ),
    # -- requests, replies and events ------------------------------------------------------------------------------
    "request": (
        "CreateWindow ChangeWindowAttributes GetWindowAttributes DestroyWindow MapWindow ConfigureWindow GetGeometry "
        "QueryTree InternAtom GetAtomName ChangeProperty GetProperty GetSelectionOwner GrabServer UngrabServer "
        "QueryPointer TranslateCoords GetInputFocus CreatePixmap FreePixmap CreateGC FreeGC CopyArea GetImage "
        "AllocColor FreeColors QueryColors QueryExtension GetKeyboardMapping"
    ),
    "composite": "RedirectAutomatic RedirectWindow UnredirectWindow CreateRegionFromBorderClip NameWindowPixmap",
    "damage": "DamageReportNonEmpty DamageCreate DamageDestroy",
    "randr": (
        "RRScreenChangeNotifyMask SelectInput GetMonitors GetScreenResourcesCurrent GetOutputInfo GetCrtcInfo "
        "GetOutputPrimary GetOutputProperty GetScreenSizeRange GetScreenInfo SetScreenConfig "
        "CreateMode DestroyMode AddOutputMode DeleteOutputMode"
    ),
    "res": "LocalClientPIDMask QueryClientIds",
    "shape": "SK.Bounding SelectInput InputSelected QueryExtents GetRectangles",
    "xfixes": "SelectCursorInput DisplayCursorNotify",
    "xinerama": "IsActive QueryScreens",
    "protocol_display": "ConnectionSetupRequest",
    "structs": "Rectangle",
    # -- descriptions of structures, for extensions that it does not have ------------------------------------------
    "rq": (
        "Struct Request ReplyRequest Event DictWrapper Opcode RequestLength ReplyCode ReplyLength Pad "
        "Card8 Card16 Card32 Int16 Bool Drawable GC Window List Object"
    ),
    # -- the objects that `screen.xlib` gives ----------------------------------------------------------------------
    "display": "Display _BaseDisplay",
    "error": "XError ResourceIDError xerror_class",
    "event": "AnyEvent event_class",
    "lock": "_DummyLock",
}

# What xshm uses of those classes' members that is not for users of python-xlib, or is so only by its underscore.
MEMBERS: Final = {
    "rq.Struct": "fields static_size to_binary parse_binary",
    "rq.List": "name type pad parse_binary_value",
    "rq.Request": "_request _binary _errorhandler",
    "rq.ReplyRequest": "_request _reply _binary _data _error _response_lock _serial _parse_response _set_error",
    "rq.Event": "_code _fields",
    "rq.DictWrapper": "_data",
    "protocol_display.ConnectionSetupRequest": "_request _reply _success_reply",
    "display._BaseDisplay": "send_request send_and_recv next_event pending_events flush fileno check_for_error "
    "allocate_resource_id free_resource_id add_extension_error set_extension_major get_atom",
    "display.Display": "_update_keymap query_extension extension_add_event",
}


if not TYPE_CHECKING:  # a type checker has the imports above

    def __getattr__(name: str) -> object:
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        module = importlib.import_module(_MODULES[name])
        globals()[name] = module
        return module


def resource_classes() -> Any:
    """Return the classes of windows, pixmaps and the like: a dictionary for the caller, by names such as "window"."""
    return dict(importlib.import_module("Xlib.display").__dict__["_resource_baseclasses"])


def extension_modules() -> list[tuple[str, str]]:
    """Return the extensions that python-xlib has: pairs of the protocol's name, and the module's for the next."""
    found: list[tuple[str, str]] = importlib.import_module("Xlib.ext").__dict__["__extensions__"]
    return found


def import_extension(module: str) -> Any:
    """Import an extension's module, whose `init` adds its methods to a display."""
    return importlib.import_module(f"Xlib.ext.{module}")


def keysym_groups() -> dict[str, dict[str, int]]:
    """Return all keysyms that python-xlib has, by the group, such as "latin1", and the name, which begins with XK_."""
    import pkgutil  # noqa: PLC0415 - a screenshot does without

    package = importlib.import_module("Xlib.keysymdef")
    return {
        each.name: {
            name: number
            for name, number in vars(importlib.import_module(f"{package.__name__}.{each.name}")).items()
            if name.startswith("XK_") and isinstance(number, int)
        }
        for each in pkgutil.iter_modules(package.__path__)
    }
