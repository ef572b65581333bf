"""python-xlib's Display over an existing Connection: all of its objects and extensions, with the I/O of our Wire.

`screen.xlib` is one. It sends on the same connection as xshm. From its creation on, events that no route of xshm's
takes are queued for its `next_event`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xshm.x11.protocol import mit_shm
from xshm.x11.protocol.xlib import display, extension_modules, import_extension, rq

if TYPE_CHECKING:
    from xshm.x11.connection import Connection


class XlibDisplay(display.Display):
    """`Xlib.display.Display`, as python-xlib documents it, on a Connection. Closing it closes the connection."""

    def __init__(self, connection: Connection) -> None:
        # Not the base's __init__, which would connect by itself: these are the attributes that its methods use.
        self.display = connection
        connection.wire.keep_events(keep=True)
        self._keymap_codes: list[tuple[int, ...]] = [()] * 256
        self._keymap_syms: dict[int, list[tuple[int, int]]] = {}
        first, last = connection.info.min_keycode, connection.info.max_keycode
        self._update_keymap(first, last - first + 1)
        self.keysym_translations: dict[int, str] = {}
        self.extensions: list[str] = []
        self.class_extension_dicts: dict[str, dict[str, Any]] = {}
        self.display_extension_methods: dict[str, Any] = {}
        self.extension_event = rq.DictWrapper({})
        self._add_extensions(connection)

    def _add_extensions(self, connection: Connection) -> None:
        """Initialize python-xlib's module of each extension that the server has, as the base's __init__ does."""
        for name, module in extension_modules():
            found = connection.extension(name)
            if found is None:
                continue
            connection.set_extension_major(name, found.major)
            connection.first_error = found.first_error  # for `add_extension_error`, which the module calls
            try:
                import_extension(module).init(self, self.query_extension(name))
            finally:
                connection.first_error = 0
            self.extensions.append(name)
        found = connection.extension(mit_shm.NAME)
        if found is not None:
            self.extension_add_event(found.first_event + mit_shm.COMPLETION, mit_shm.Completion, "ShmCompletion")
        classes: Any = connection.resource_classes
        for kind, methods in self.class_extension_dicts.items():
            classes[kind] = type(classes[kind].__name__, (classes[kind],), methods)
        # The root windows and colormaps of the setup block were made before the classes got the extensions' methods, so
        # they are made again. They refer to the connection, which does not refer to this object: no cycle keeps it
        # open.
        self._screens = []
        for screen in connection.info.roots:
            fields = dict(screen._data)
            fields["root"] = classes["window"](connection, screen.root.id)
            fields["default_colormap"] = classes["colormap"](connection, screen.default_colormap.id)
            self._screens.append(rq.DictWrapper(fields))

    def screen(self, sno: int | None = None) -> Any:
        """Return a screen of the setup block (None: the one that the display's name asked for)."""
        return self._screens[self.display.default_screen if sno is None else sno]
