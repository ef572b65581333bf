"""Xauthority files: which cookie opens which display.

The file is a list of entries (family, address, display number, protocol, data), each length big-endian 16 bits
(Xau, "AUTHORIZATION FILE"). FamilyWild matches every host: what `xauth nlist | sed s/^..../ffff/` makes for containers.
A cookie that was not named by hand is for no stranger's server (`peer`).
"""

from __future__ import annotations

import os
import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from xshm import _arguments
from xshm.errors import ConnectFailed, InvalidArgument, InvalidType
from xshm.system import limits
from xshm.system.kernel_errors import is_the_kernels
from xshm.system.printable import printable, quoted
from xshm.x11 import peer_credentials

if TYPE_CHECKING:
    import _socket
    from collections.abc import Iterator

    from xshm.x11.display_name import DisplayName

INTERNET: Final = 0
INTERNET6: Final = 6
LOCAL: Final = 256
WILD: Final = 65535
COOKIE: Final = b"MIT-MAGIC-COOKIE-1"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the file, as the file has it."""

    family: int
    address: bytes
    number: bytes
    protocol: bytes
    data: bytes

    def opens(self, families: dict[int, bytes], number: int) -> bool:
        """Tell whether this entry is for the display `number` of a host known under `families` (family: address)."""
        if self.protocol != COOKIE or self.number not in (b"", str(number).encode()):
            return False
        return self.family == WILD or families.get(self.family) == self.address

    def __repr__(self) -> str:
        secret = f"{len(self.data)} secret bytes"
        return f"Entry(family={self.family}, address={self.address!r}, number={self.number!r}, {secret})"


def parse(raw: bytes) -> Iterator[Entry]:
    """Yield the entries of a file; one that was cut short ends the list."""
    at = 0

    def field() -> bytes:
        nonlocal at
        (length,) = struct.unpack_from(">H", raw, at)
        at += 2 + length
        if at > len(raw):
            raise struct.error
        return raw[at - length : at]

    while at < len(raw):
        try:
            (family,) = struct.unpack_from(">H", raw, at)
            at += 2
            yield Entry(family, field(), field(), field(), field())
        except struct.error:
            return


def find_cookie(
    display: DisplayName, sock: _socket.socket, path: str | os.PathLike[str] | None, address: str
) -> tuple[bytes, str]:
    """Return the cookie for a display that is connected to (b"" for none) and a sentence on where it was looked for.

    `path` given by the caller must be readable; without it $XAUTHORITY or ~/.Xauthority is read if it is there.
    Raises ConnectFailed; UntrustedServer where a stranger listens at `address` and the caller has not named the file.
    """
    place = _place(path)
    try:
        with open(place, "rb") as file:  # noqa: PTH123 - pathlib takes as long to import as the connection takes
            raw, owner = file.read(), os.fstat(file.fileno()).st_uid
    except OSError as error:
        if not is_the_kernels(error):
            raise
        if path is not None or limits.told(error):
            why = f"the authority file {printable(place)} can't be read: {limits.said(error)}"
            raise ConnectFailed(error.errno, why) from error
        return b"", f"there is no authority file ({place}: {error.strerror})"
    families = _families(display, sock)
    entries = list(parse(raw))
    for entry in entries:
        if entry.opens(families, display.number):
            if not _is_by_hand(path):
                peer_credentials.check_may_have_cookie(sock, address, place, owner)
            return entry.data, f"a cookie from {place} was sent"
    return b"", f"none of the {len(entries)} entries in {place} is for display {display.number} of this host"


def _is_by_hand(path: str | os.PathLike[str] | None) -> bool:
    """Tell whether the caller has named the file, and so means the server, whosever it is.

    The path that a display of our own has is no such word: it goes with a name under which others may listen, too.
    """
    return path is not None and not getattr(path, "is_for_own_server", False)


def checked(path: str | os.PathLike[str]) -> str:
    """Return the path of an authority file that was named by hand; raise InvalidType or InvalidArgument for none."""
    if isinstance(path, bytes):
        raise InvalidType(f"xauthority is the path of a file, or None, not bytes: {quoted(path)}")
    place = _arguments.word(path, "xauthority is the path of a file, or None", "which can't be one")
    if not place:
        raise InvalidArgument("xauthority is the path of a file, which '' can't be")
    return place


def _place(path: str | os.PathLike[str] | None) -> str:
    if path is not None:
        return checked(path)
    named = os.environ.get("XAUTHORITY")
    if named:
        return named
    return f"{os.environ.get('HOME') or '/nonexistent'}/.Xauthority"


def _families(display: DisplayName, sock: _socket.socket) -> dict[int, bytes]:
    here = {LOCAL: socket.gethostname().encode()}
    if display.is_local:
        return here
    peer_credentials = sock.getpeername()[0]
    if sock.family == socket.AF_INET6:
        address = socket.inet_pton(socket.AF_INET6, peer_credentials.partition("%")[0])
        # Servers list loopback addresses under the host's own name.
        return {INTERNET6: address} | (here if peer_credentials == "::1" else {})
    address = socket.inet_pton(socket.AF_INET, peer_credentials)
    return {INTERNET: address} | (here if address[0] == 127 else {})  # noqa: PLR2004 - 127.0.0.0/8 is loopback
