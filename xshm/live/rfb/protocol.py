"""RfbProtocol: what a client's bytes mean, and what is answered to them until it has been let in. No input or output.

Always true:

1. `_run` is the whole conversation, from the version on: it yields how many bytes it needs next, and gets these. No
   more than the largest of these, 64 KiB, are ever kept of what a client has sent and not yet said in full.
2. After RfbViolation, or `refuse`, nothing more is read. What is in `take_output` by then is still to be sent.
3. Before `admit` nothing of the screen is said, not even its size.

Versions: 3.3, 3.7 and 3.8. What is newer is taken as 3.8 (Apple's clients say 3.889), what is between as 3.3 or 3.7.
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from xshm.live.rfb import password, wire
from xshm.live.rfb.client_format import COLOUR_MAP, NATIVE, ClientFormat, colour_map_entries
from xshm.live.rfb.wire import RfbViolation

if TYPE_CHECKING:
    from collections.abc import Generator

_LATER: Final = 0  # in place of a number of bytes: go on when `admit` or `refuse` was called
_MOST_ENCODINGS: Final = 1024  # that a client lists; noVNC lists 29, TigerVNC 40
_LONGEST_CUT_TEXT: Final = 1 << 20  # bytes; it is dropped, and never kept
_DROPPED_AT_ONCE: Final = 1 << 16  # bytes


class UpdateRequest(NamedTuple):
    """FramebufferUpdateRequest: what has changed there, or all of it."""

    is_incremental: bool
    x: int
    y: int
    width: int
    height: int


class Accepts(NamedTuple):
    """SetEncodings."""

    accepted: wire.Accepted


class WantsFormat(NamedTuple):
    """SetPixelFormat."""

    format: ClientFormat


class KeyMessage(NamedTuple):
    """KeyEvent, with X's keysym."""

    keysym: int
    is_down: bool


class PointerMessage(NamedTuple):
    """PointerEvent: bit n of `buttons` is button n + 1; 4 and up are a wheel's."""

    x: int
    y: int
    buttons: int


class WantsSize(NamedTuple):
    """SetDesktopSize, which is always refused."""


class Answered(NamedTuple):
    """The password's answer; the conversation goes on after `admit` or `refuse`."""

    is_right: bool


class Entered(NamedTuple):
    """ClientInit: the client may look from now on."""


Said = UpdateRequest | Accepts | WantsFormat | KeyMessage | PointerMessage | WantsSize | Answered | Entered


class RfbProtocol:
    """One client's conversation. `key` is `password.password_key`'s; with a `refusal` the client learns that alone."""

    def __init__(self, key: bytes, refusal: str = "") -> None:
        self._key, self._refusal = key, refusal
        self._input, self._output = bytearray(), bytearray(wire.VERSION)
        self._said: list[Said] = []
        self._minor = 3
        self.has_challenged = False  # the password is asked for
        self._admitted: tuple[tuple[int, int], str] | None = None
        self._steps = self._run()
        self._needed = next(self._steps)

    def receive(self, data: bytes) -> list[Said]:
        """Take what a client has sent; return what it says by that. Raises RfbViolation."""
        self._input += data
        return self._go_on()

    def admit(self, size: tuple[int, int], name: str) -> list[Said]:
        """Answer that the password was right; ServerInit follows when the client has said whether it shares."""
        self._admitted = size, name
        self._output += struct.pack(">I", 0)
        self._needed = next(self._steps)
        return self._go_on()

    def refuse(self, words: str) -> None:
        """Answer that the client does not get in, with the reason where its version has a place for that."""
        if self._needed == _LATER:
            self._output += struct.pack(">I", 1)
            if self._minor >= 8:  # noqa: PLR2004
                self._output += wire.reason(words)
        self._steps.close()
        self._input.clear()

    def take_output(self) -> bytes:
        """Return what is to be sent by now, once."""
        data = bytes(self._output)
        self._output.clear()
        return data

    def _go_on(self) -> list[Said]:
        while self._needed != _LATER and len(self._input) >= self._needed:
            data = bytes(self._input[: self._needed])
            del self._input[: self._needed]
            self._needed = self._steps.send(data)
        said, self._said = self._said, []
        return said

    def _run(self) -> Generator[int, bytes, None]:
        yield from self._agree_on_version()
        yield from self._agree_on_security()
        challenge = password.new_challenge()
        self._output += challenge
        self.has_challenged = True
        answer = yield password.CHALLENGE
        self._said.append(Answered(password.is_right(self._key, challenge, answer)))
        yield _LATER
        yield 1  # ClientInit: whether others may stay, which they do
        assert self._admitted is not None  # noqa: S101 - `admit` has set it, or `refuse` has ended this
        size, name = self._admitted
        self._output += wire.server_init(size, NATIVE.pack(), name)
        self._said.append(Entered())
        while True:
            kind = yield 1
            yield from self._message(kind[0])

    def _agree_on_version(self) -> Generator[int, bytes, None]:
        data = yield len(wire.VERSION)
        found = re.fullmatch(rb"RFB (\d{3})\.(\d{3})\n", data)
        if found is None:
            raise RfbViolation(f"no version of RFB: {data!r}")
        major, minor = int(found[1]), int(found[2])
        if (major, minor) < (3, 3):
            raise RfbViolation(f"version {major}.{minor} of RFB; 3.3 is the first that there is")
        self._minor = 8 if major > 3 or minor >= 8 else 7 if minor == 7 else 3  # noqa: PLR2004

    def _agree_on_security(self) -> Generator[int, bytes, None]:
        if self._refusal:
            self._output += bytes(1 if self._minor > 3 else 4) + wire.reason(self._refusal)  # noqa: PLR2004
            raise RfbViolation(self._refusal)
        if self._minor == 3:  # noqa: PLR2004 - the server decides
            self._output += struct.pack(">I", wire.VNC_AUTHENTICATION)
            return
        self._output += wire.security_types()
        kind = yield 1
        if kind[0] != wire.VNC_AUTHENTICATION:
            raise RfbViolation(f"security type {kind[0]}, which was not offered")

    def _message(self, kind: int) -> Generator[int, bytes, None]:
        match kind:
            case 0:
                data = yield 19
                self._set_format(ClientFormat.unpack(data[3:]))
            case 2:
                data = yield 3
                (count,) = struct.unpack(">xH", data)
                if count > _MOST_ENCODINGS:
                    raise RfbViolation(f"SetEncodings of {count} encodings; at most {_MOST_ENCODINGS} are read")
                # A client that lists none takes what every client has to take.
                data = (yield 4 * count) if count else b""
                self._said.append(Accepts(wire.Accepted.of(struct.unpack(f">{count}i", data))))
            case 3:
                data = yield 9
                incremental, *box = struct.unpack(">B4H", data)
                self._said.append(UpdateRequest(bool(incremental), *box))
            case 4:
                data = yield 7
                is_down, keysym = struct.unpack(">BxxI", data)
                self._said.append(KeyMessage(keysym, bool(is_down)))
            case 5:
                data = yield 5
                buttons, x, y = struct.unpack(">BHH", data)
                self._said.append(PointerMessage(x, y, buttons))
            case 6:
                data = yield 7
                (length,) = struct.unpack(">xxxI", data)
                yield from self._drop_text(length)
            case 251:
                data = yield 7
                yield from self._drop_screens(data[5])
            case _:
                raise RfbViolation(f"a message of type {kind}, which was not offered")

    def _set_format(self, fmt: ClientFormat) -> None:
        if fmt is COLOUR_MAP:
            self._output += wire.colour_map(colour_map_entries())
        self._said.append(WantsFormat(fmt))

    def _drop_text(self, length: int) -> Generator[int, bytes, None]:
        if length > _LONGEST_CUT_TEXT:
            raise RfbViolation(f"ClientCutText of {length} bytes; at most {_LONGEST_CUT_TEXT} are read")
        while length:
            part = min(length, _DROPPED_AT_ONCE)
            yield part
            length -= part

    def _drop_screens(self, count: int) -> Generator[int, bytes, None]:
        if count:
            yield 16 * count
        self._said.append(WantsSize())
