"""Give a screen another size by RandR 1.3, as a rule one that its monitor need not have yet.

A mode of the size is made and given to the first output, and then one request of RandR 1.0 (SetScreenConfig) changes
monitor and screen at once: with the requests of 1.2 programs would see states in between, and a server that can't turn
its monitor off (Xvfb) refuses them. Which sizes there are is the server's to say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from xshm.errors import ExtensionMissing, InvalidArgument, ServerError
from xshm.x11.cookie import Cookie
from xshm.x11.protocol.xlib import randr

if TYPE_CHECKING:
    from xshm.x11.connection import Connection

_NAME: Final = "RANDR"
_WITH_RESOURCES: Final = (1, 3)
_PREFIX: Final = "xshm-"  # of the names of modes made here
_RATE: Final = 60  # Hz, of a mode that is made
_MOST_HERTZ: Final = 0xFFFFFFFF  # of a mode's dot clock
_OF_WINDOW: Final = "XWAYLAND"  # begins the names of outputs that are windows of a compositor
_TRIES: Final = 20
_SUCCESS: Final = 0
_NORMAL: Final = 1  # RR_Rotate_0


def resize_screen(connection: Connection, root: int, width: int, height: int, *, is_foreign: bool) -> None:
    """Give the screen of a root window this size. Raises InvalidArgument where the server does not have it.

    `is_foreign`: the server may be a window of a compositor that ends it for a size it does not like; it is refused.
    Another program may change the screen at the same time: the last one has its way.
    """
    extension = connection.negotiate(_NAME)
    if extension is None or extension.version < _WITH_RESOURCES:
        raise ExtensionMissing(f"the server at {connection.address} has no RandR 1.3, so its screen keeps its size")
    _Resize(connection, extension.major, root).to(width, height, is_foreign=is_foreign)


class _Resize:
    def __init__(self, connection: Connection, opcode: int, root: int) -> None:
        self._connection, self._opcode, self._root = connection, opcode, root

    def to(self, width: int, height: int, *, is_foreign: bool) -> None:
        least = self._ask(randr.GetScreenSizeRange, window=self._root)
        if not (least.min_width <= width <= least.max_width and least.min_height <= height <= least.max_height):
            raise InvalidArgument(
                f"this screen can be {least.min_width}x{least.min_height} to {least.max_width}x{least.max_height} "
                f"pixels, not {width}x{height}"
            )
        refused = f"the server does not give its screen the size {width}x{height}"
        output, name = self._output()
        if is_foreign and name.startswith(_OF_WINDOW):
            raise InvalidArgument(f"{refused}: it is an Xwayland, whose compositor may end it for another size")
        in_use, why = "", ""
        try:
            for _ in range(_TRIES):  # another thread or program may remove the mode before it is in use
                try:
                    self._give_mode(output, width, height)
                    if self._set(width, height):
                        in_use = f"{_PREFIX}{width}x{height}"
                        return
                except ServerError as error:
                    why = f" ({error})"
        finally:
            self._remove_modes(output, in_use)
        sizes = self._sizes()
        raise InvalidArgument(f"{refused}{why}{f'; it has {sizes}' if sizes else ''}")

    def _output(self) -> tuple[int, str]:
        """Return id and name of the first output."""
        resources = self._resources()
        if not resources.outputs:
            raise InvalidArgument("this screen has no output (RandR), so it keeps its size")
        output = int(resources.outputs[0])
        return output, self._output_info(output, resources).name

    def _output_info(self, output: int, resources: Any) -> Any:
        return self._ask(randr.GetOutputInfo, output=output, config_timestamp=resources.config_timestamp)

    def _give_mode(self, output: int, width: int, height: int) -> None:
        """Give an output a mode of this size, unless it has one. Raises ServerError."""
        resources = self._resources()
        info = self._output_info(output, resources)
        sizes = {mode.id: (mode.width, mode.height) for mode in resources.modes}
        if not any(sizes.get(mode) == (width, height) for mode in info.modes):
            name = f"{_PREFIX}{width}x{height}"
            mode = next((each for each, known in self._modes(resources) if known == name), 0)
            self._send(randr.AddOutputMode, output=output, mode=mode or self._make_mode(name, width, height))

    def _make_mode(self, name: str, width: int, height: int) -> int:
        # No monitor sees these timings: all of the picture, and no blanking.
        horizontal = {"h_sync_start": width, "h_sync_end": width, "h_total": width, "h_skew": 0}
        vertical = {"v_sync_start": height, "v_sync_end": height, "v_total": height}
        mode = {"id": 0, "width": width, "height": height, "flags": 0}
        mode["dot_clock"] = min(width * height * _RATE, _MOST_HERTZ)
        mode |= horizontal | vertical | {"name_length": len(name)}
        return int(self._ask(randr.CreateMode, window=self._root, mode=mode, name=name).mode)

    def _set(self, width: int, height: int) -> bool:
        """Have the server take the size; return whether it did: another program may have changed what there is."""
        info = self._ask(randr.GetScreenInfo, window=self._root)
        numbers = [
            number
            for number, size in enumerate(info.sizes)
            if (size.width_in_pixels, size.height_in_pixels) == (width, height)
        ]
        if not numbers:
            return False
        reply = self._ask(
            randr.SetScreenConfig,
            drawable=self._root,
            timestamp=0,
            config_timestamp=info.config_timestamp,
            size_id=numbers[0],
            rotation=_NORMAL,
            rate=0,
        )
        return bool(reply.status == _SUCCESS)

    def _sizes(self) -> str:
        """Return the sizes that the screen can have now."""
        sizes = self._ask(randr.GetScreenInfo, window=self._root).sizes
        return ", ".join(dict.fromkeys(f"{size.width_in_pixels}x{size.height_in_pixels}" for size in sizes))

    def _remove_modes(self, output: int, kept: str) -> None:
        """Remove the modes that were made here, except one; the server keeps a mode that is in use."""
        for mode, name in self._modes(self._resources()):
            if name.startswith(_PREFIX) and name != kept:
                try:
                    self._send(randr.DeleteOutputMode, output=output, mode=mode)
                    self._send(randr.DestroyMode, mode=mode)
                except ServerError:
                    continue

    # -- requests --------------------------------------------------------------------------------------------------

    def _resources(self) -> Any:
        return self._ask(randr.GetScreenResourcesCurrent, window=self._root)

    def _modes(self, resources: Any) -> list[tuple[int, str]]:
        """Return ids and names of all modes."""
        found, start = [], 0
        for mode in resources.modes:
            found.append((int(mode.id), resources.names[start : start + mode.name_length]))
            start += mode.name_length
        return found

    def _ask(self, request: Any, **fields: Any) -> Any:
        return Cookie(self._connection, request, opcode=self._opcode, **fields).reply()

    def _send(self, request: Any, **fields: Any) -> None:
        """Send a request without a reply; raise its error."""
        self._connection.check(self._connection.send(request, opcode=self._opcode, **fields), doing=request.__name__)
