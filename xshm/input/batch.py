"""Batch: input that is sent together: all of it, or nothing, so that no key and no button stays down. No I/O.

A key is pressed in its group and with its modifiers, which are set for it and reset at the end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xshm.x11.protocol import xkb, xtest

if TYPE_CHECKING:
    from collections.abc import Collection

    from xshm.x11.server.keymap import Keyboard, Keymap, Stroke


class Batch:
    """Input in order; `requests` are the bytes. `opcode` is XTEST's, `root` the screen's root window."""

    def __init__(self, opcode: int, root: int) -> None:
        self._opcode = opcode
        self._root = root
        self.requests: list[bytes] = []

    def move(self, x: int, y: int) -> None:
        """Move the pointer to a point of the screen."""
        self.requests.append(xtest.pack_fake_motion(self._opcode, self._root, x, y))

    def button(self, number: int, *, down: bool) -> None:
        """Press or release a button."""
        kind = xtest.BUTTON_PRESS if down else xtest.BUTTON_RELEASE
        self.requests.append(xtest.pack_fake_input(self._opcode, kind, number))

    def key(self, keycode: int, *, down: bool) -> None:
        """Press or release a key."""
        kind = xtest.KEY_PRESS if down else xtest.KEY_RELEASE
        self.requests.append(xtest.pack_fake_input(self._opcode, kind, keycode))


class Strokes:
    """Keys of a Batch, from the keyboard's state at its beginning, to which `finish` goes back.

    At the beginning held keys that set modifiers are released, but for those in `keep`, and locks (Caps Lock, Num Lock)
    and latches are reset, but for the modifiers in `leave`: those that the caller's keys are to lock or unlock.
    """

    def __init__(
        self, batch: Batch, keymap: Keymap, keyboard: Keyboard, keep: Collection[int] = (), *, leave: int = 0
    ) -> None:
        self._batch = batch
        self._keymap = keymap
        self._state = state = keyboard.state
        self._reset = state.locked & ~leave
        setters = keymap.modifier_keys()
        self._aside = [keycode for keycode in sorted(keyboard.held) if keycode in setters and keycode not in keep]
        self._kept = 0  # the modifiers of the keys that stay held
        for keycode in keyboard.held.intersection(keep):
            self._kept |= setters.get(keycode, 0)
        self._set = 0  # the modifiers that are set for a level, besides
        self._holding: list[int] = []  # the keys that hold them
        self._locked = 0  # those of them that are locked, since no key holds them
        self._group = state.group
        for keycode in self._aside:
            batch.key(keycode, down=False)
        if self._reset or state.latched:
            self._lock(0, affected=self._reset)

    def press(self, stroke: Stroke) -> None:
        """Press a key, in its group and with its modifiers, and release it."""
        self._prepare(stroke)
        self._batch.key(stroke.keycode, down=True)
        self._batch.key(stroke.keycode, down=False)

    def hold(self, stroke: Stroke) -> None:
        """Hold a key that sets a modifier under the keys that follow; the caller releases it."""
        self._prepare(stroke._replace(modifiers=0))
        self._batch.key(stroke.keycode, down=True)
        self._kept |= self._keymap.modifier_keys().get(stroke.keycode, 0)

    def best(self, strokes: list[Stroke]) -> Stroke:
        """Return the first stroke in the present group, or the first one."""
        return next((stroke for stroke in strokes if stroke.group in (None, self._group)), strokes[0])

    def finish(self) -> None:
        """Go back to the state at the beginning."""
        self._set_modifiers(0)
        if self._group != self._state.group:
            self._lock(0, affected=0, group=self._state.locked_group)
        if self._reset:
            self._lock(self._reset, affected=self._reset)
        for keycode in self._aside:
            self._batch.key(keycode, down=True)

    def _prepare(self, stroke: Stroke) -> None:
        self._set_modifiers(stroke.modifiers & ~self._kept)
        if stroke.group is not None and stroke.group != self._group:
            self._group = stroke.group
            self._lock(0, affected=0, group=stroke.group)

    def _set_modifiers(self, modifiers: int) -> None:
        if modifiers == self._set:
            return
        for keycode in reversed(self._holding):
            self._batch.key(keycode, down=False)
        self._holding, locked = self._keymap.holders(modifiers)
        if locked != self._locked:
            self._lock(locked, affected=locked | self._locked)
            self._locked = locked
        for keycode in self._holding:
            self._batch.key(keycode, down=True)
        self._set = modifiers

    def _lock(self, modifiers: int, *, affected: int, group: int | None = None) -> None:
        self._batch.requests.append(xkb.pack_lock(self._keymap.opcode, modifiers, group, affected=affected))
