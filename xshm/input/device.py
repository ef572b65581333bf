"""InputDevice: the pointer and the keyboard of one connection, moved and pressed by XTEST.

1. A call is one batch where it can be: it is queued as a whole, or not at all if a signal handler raises. What takes
   time in between (a drag with a duration) releases in `finally` what it has pressed.
2. When a call returns, the server has processed all of its input: each batch ends with a round trip.
3. The keyboard's state and the keymap are queried before keys are pressed: another client may change them at any time.

Locking rules: one lock, held by one call at a time from its first request to its last reply, so that calls of several
threads come one after the other. It is taken before the Wire's own lock and before `Connection.grab_lock`.
"""

from __future__ import annotations

import contextlib
import time
from functools import partial
from threading import Lock, Timer
from typing import TYPE_CHECKING, Any, Final

from xshm.errors import Closed, DisplayGone, RequestTimeout
from xshm.input import lending
from xshm.input.batch import Batch, Strokes
from xshm.input.keys import KeyFinder
from xshm.system.deadlines import holding, within
from xshm.x11.protocol import xtest
from xshm.x11.protocol.requests import Request

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xshm.input.names import KeyName
    from xshm.x11.connection import Connection

    Point = tuple[int, int]

_UP, _DOWN, _LEFT, _RIGHT = 4, 5, 6, 7  # the buttons of a wheel
# Keys of a batch, at most: each takes up to ten requests, and 32,768 may be unanswered.
_MOST_KEYS: Final = 500
_STEP: Final = 0.01  # seconds between two motions of a drag that takes time
_MOST_MOTIONS: Final = 100  # of a drag that takes none
_PATIENCE: Final = 0.1  # seconds that `close` waits for a drag, at most
_FLUSH: Final = 1.0  # seconds for the kernel to take the rest of a batch that was interrupted
_CLOSING: Final = 0.5  # seconds, besides GRACE, to give all back


class InputDevice:
    """The input of one connection. Points are of the screen; names are checked before (`input.names`)."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._opcode = connection.require(xtest.NAME, xtest.VERSION, "sending clicks and keys").major
        self._root: int = connection.setup.root.id
        self._lock = Lock()
        self._finder: KeyFinder | None = None  # of the first key: clicks need none
        self._held: dict[str, list[int]] = {}  # the keys that key_down has pressed, by name
        self._buttons: set[int] = set()
        self._timer: Timer | None = None
        self._is_closing = False  # what takes long ends early then, by Closed

    # -- the pointer -------------------------------------------------------------------------------------------------

    def move(self, x: int, y: int) -> None:
        """Move the pointer."""
        batch = self._batch()
        batch.move(x, y)
        self._locked(self._send, batch)

    def click(self, x: int, y: int, button: int, count: int, modifiers: Sequence[KeyName]) -> None:
        """Click `count` times at a point."""
        batch = self._batch()
        batch.move(x, y)
        for _ in range(count):
            batch.button(button, down=True)
            batch.button(button, down=False)
        self._locked(self._send_with, modifiers, batch)

    def scroll(self, dx: int, dy: int, modifiers: Sequence[KeyName]) -> None:
        """Turn the wheels."""
        batch = self._batch()
        for button, count in ((_LEFT, -dx), (_RIGHT, dx), (_UP, -dy), (_DOWN, dy)):
            for _ in range(count):
                batch.button(button, down=True)
                batch.button(button, down=False)
        self._locked(self._send_with, modifiers, batch)

    def button(self, number: int, *, down: bool) -> None:
        """Press or release a button."""
        batch = self._batch()
        batch.button(number, down=down)
        if down:
            self._buttons.add(number)
        self._locked(self._send, batch)
        if not down:
            self._buttons.discard(number)

    def drag(self, start: Point, end: Point, button: int, duration: float, modifiers: Sequence[KeyName]) -> None:
        """Press a button at one point, move to another one, and release it."""
        self._locked(self._drag, start, end, button, duration, modifiers)

    def _drag(self, start: Point, end: Point, button: int, duration: float, modifiers: Sequence[KeyName]) -> None:
        before, after = self._around(modifiers)
        before.move(*start)
        before.button(button, down=True)
        released = self._batch()
        released.button(button, down=False)
        released.requests += after.requests
        points = _points(start, end, duration)
        if not duration:
            for point in points:
                before.move(*point)
            before.requests += released.requests
            self._send(before)
            return
        begin = time.monotonic()
        try:
            self._send(before)
            for number, point in enumerate(points, 1):
                self._sleep_until(begin + duration * number / len(points))
                motion = self._batch()
                motion.move(*point)
                self._send(motion)
        finally:
            self._send(released)

    # -- the keyboard ------------------------------------------------------------------------------------------------

    def type(self, keys: Sequence[KeyName]) -> None:
        """Press keys one after the other, each for its character, whatever modifiers are held or locked."""
        self._locked(self._type, keys)

    def press(self, chord: Sequence[KeyName]) -> None:
        """Press the last key of a chord while the others are held."""
        self._locked(self._press, chord)

    def key_down(self, chord: Sequence[KeyName]) -> None:
        """Press keys and hold them."""
        for key in chord:
            self._locked(self._key_down, key)

    def key_up(self, chord: Sequence[KeyName]) -> None:
        """Release keys."""
        for key in reversed(chord):
            self._locked(self._key_up, key)

    def hold(self, key: KeyName) -> bool:
        """Press the key of a character and hold it, where it types that under the modifiers of now; else type it.

        Returns whether it is held, for `key_up` to release.
        """
        return bool(self._locked(self._hold, key))

    def _hold(self, key: KeyName) -> bool:
        keyboard, strokes = self._keys.find_all([key], self._kept)
        fitting = [
            each
            for each in strokes[0]
            if self._keys.keymap.is_typed_now(each.keycode, key.keysym, key.character, keyboard.state)
        ]
        if not fitting:
            self._type([key])
            return False
        keycode = fitting[0].keycode
        self._held[key.name] = list(dict.fromkeys([*self._held.get(key.name, ()), keycode]))
        batch = self._batch()
        batch.key(keycode, down=True)
        self._send(batch, [keycode])
        return True

    def _type(self, keys: Sequence[KeyName]) -> None:
        while keys:
            self._check_not_closing()
            keyboard, strokes = self._keys.find(keys[:_MOST_KEYS], self._kept)
            batch = self._batch()
            pressed = Strokes(batch, self._keys.keymap, keyboard)
            used = []
            for each in strokes:
                stroke = pressed.best(each)
                used.append(stroke.keycode)
                pressed.press(stroke)
            pressed.finish()
            self._send(batch, used)
            keys = keys[len(strokes) :]

    def _press(self, chord: Sequence[KeyName]) -> None:
        keyboard, strokes = self._keys.find_all(chord, self._kept)
        batch, keymap = self._batch(), self._keys.keymap
        # Caps Lock that is pressed is to change: it is not put back.
        locks = keymap.modifier_keys().get(strokes[-1][0].keycode, 0)
        pressed = Strokes(batch, keymap, keyboard, self._kept, leave=locks)
        *modifiers, key = (pressed.best(each) for each in strokes)
        # One that key_down holds stays held.
        modifiers = [each for each in modifiers if each.keycode not in self._kept]
        for each in modifiers:
            pressed.hold(each)
        pressed.press(key)
        for each in reversed(modifiers):
            batch.key(each.keycode, down=False)
        pressed.finish()
        self._send(batch, [each.keycode for each in (*modifiers, key)])

    def _key_down(self, key: KeyName) -> None:
        keyboard, strokes = self._keys.find_all([key], self._kept)
        batch = self._batch()
        stroke = min(strokes[0], key=lambda each: each.group not in (None, keyboard.state.group))
        holders, _ = self._keys.keymap.holders(stroke.modifiers)
        keycodes = [*(code for code in holders if code not in keyboard.held), stroke.keycode]
        # Pressed once more, as a key that repeats: what the first time has pressed for it is released with it.
        self._held[key.name] = list(dict.fromkeys([*self._held.get(key.name, ()), *keycodes]))
        for keycode in keycodes:
            batch.key(keycode, down=True)
        self._send(batch, keycodes)

    def _key_up(self, key: KeyName) -> None:
        keycodes = self._held.get(key.name)
        if keycodes is None:  # another program's, or the user's
            _, strokes = self._keys.find_all([key], self._kept)
            keycodes = [strokes[0][0].keycode]
        others = {keycode for name, codes in self._held.items() if name != key.name for keycode in codes}
        batch = self._batch()
        for keycode in reversed(keycodes):
            if keycode not in others:  # Shift of "A", where "shift" is held as well
                batch.key(keycode, down=False)
        self._send(batch, keycodes)
        self._held.pop(key.name, None)

    @property
    def _keys(self) -> KeyFinder:
        if self._finder is None:
            self._finder = KeyFinder(self._connection)
        return self._finder

    @property
    def _kept(self) -> set[int]:
        """The keycodes that `key_down` holds."""
        return {keycode for keycodes in self._held.values() for keycode in keycodes}

    # -- sending -----------------------------------------------------------------------------------------------------

    def _batch(self) -> Batch:
        return Batch(self._opcode, self._root)

    def _locked(self, work: Any, *args: Any) -> Any:
        self._connection.check_for_error()  # after fork the lock may be held by a thread that only the parent has
        try:
            return holding(self._lock, work, *args)
        finally:  # also where it was interrupted after keycodes were lent
            self._start_timer()

    def _around(self, modifiers: Sequence[KeyName]) -> tuple[Batch, Batch]:
        """Return a batch that presses modifiers, and one that releases them; the keyboard's own stay as they are."""
        before, after = self._batch(), self._batch()
        if modifiers:
            keyboard, strokes = self._keys.find_all(modifiers, self._kept)
            keycodes = [each[0].keycode for each in strokes]
            for keycode in keycodes:
                if keycode not in keyboard.held:
                    before.key(keycode, down=True)
            for keycode in reversed(keycodes):
                if keycode not in keyboard.held:
                    after.key(keycode, down=False)
        return before, after

    def _send_with(self, modifiers: Sequence[KeyName], batch: Batch) -> None:
        before, after = self._around(modifiers)
        before.requests += batch.requests + after.requests
        self._send(before)

    def _send(self, batch: Batch, keycodes: Sequence[int] = ()) -> None:
        """Send a batch, and wait until the server has processed it; `keycodes` may be lent ones, used by it."""
        requests = tuple(map(Request, batch.requests))
        wire = self._connection.wire
        try:
            wire.send_all(requests)
            self._connection.check(*requests, doing="XTestFakeInput")
        except BaseException:
            with contextlib.suppress(DisplayGone, RequestTimeout, Closed):
                wire.flush(_FLUSH)  # what is queued has to go out as a whole (1)
            raise
        finally:
            if self._finder is not None:
                self._finder.lender.use(keycodes)

    def _sleep_until(self, end: float) -> None:
        self._check_not_closing()
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, _PATIENCE))
            self._check_not_closing()

    def _check_not_closing(self) -> None:
        if self._is_closing:
            raise Closed("the screen was closed meanwhile")

    # -- giving back -------------------------------------------------------------------------------------------------

    def _start_timer(self) -> None:
        """Give keycodes back after a while, unless none is lent, or that will be done already."""
        if self._timer is None and self._finder is not None and self._finder.lender.keycodes:
            # No daemon: a program that ends waits for it, and leaves no keycode lent.
            timer = Timer(self._finder.lender.seconds_left, self._expire)
            timer.name = "xshm keycodes"
            # No thread can be started: they are given back by the next call, or by `close`.
            with contextlib.suppress(RuntimeError):
                timer.start()
                self._timer = timer

    def _expire(self) -> None:
        """Give the lent keycodes back, or wait on where they were used meanwhile; called by the timer's thread."""
        self._timer = None  # first: a call that keeps the lock for long starts another one
        with contextlib.suppress(DisplayGone, RequestTimeout, Closed):
            # Not by `_locked`: it would start a timer after each failure, and where the server is stopped no program
            # would end.
            self._connection.check_for_error()
            within(time.monotonic() + _CLOSING, partial(holding, self._lock, self._give_back_due))

    def _give_back_due(self) -> None:
        lender = self._keys.lender
        lender.use([*self._kept])  # a key that is held is in use
        if lender.seconds_left:
            self._start_timer()
        else:
            lender.give_back()

    def close(self) -> None:
        """End what goes on, release what is held, wait until lent keycodes may be given back, and give them back."""
        self._is_closing = True
        left = lending.GRACE if self._finder is None else max(lending.GRACE, self._finder.lender.seconds_left)
        with contextlib.suppress(DisplayGone, RequestTimeout, Closed):
            self._connection.check_for_error()
            within(time.monotonic() + left + _CLOSING, partial(holding, self._lock, self._close))

    def _close(self) -> None:
        batch = self._batch()
        for button in self._buttons:
            batch.button(button, down=False)
        for keycode in self._kept:
            batch.key(keycode, down=False)
        if batch.requests:
            self._send(batch)
        self._buttons.clear()
        self._held.clear()
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        if self._finder is not None and self._finder.lender.keycodes:
            time.sleep(self._finder.lender.seconds_left)
            self._finder.lender.give_back()


def _points(start: Point, end: Point, duration: float) -> list[Point]:
    """Return the points of a drag after its first one: for each pixel, or fewer of a long or quick one."""
    (x1, y1), (x2, y2) = start, end
    longest = max(abs(x2 - x1), abs(y2 - y1), 1)
    steps = min(longest, max(1, int(duration / _STEP)) if duration else _MOST_MOTIONS)
    return [(x1 + (x2 - x1) * step // steps, y1 + (y2 - y1) * step // steps) for step in range(1, steps + 1)]
