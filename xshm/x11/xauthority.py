"""Xauthority files: parse them, and find the cookie for the display that a socket is connected to.

A file is a list of entries (family, address, display number, protocol, data) with lengths as big-endian 16-bit numbers
(Xau, "AUTHORIZATION FILE"). A cookie is a secret that gives full control of a display; therefore:

1. The socket is connected before the file is read: an entry is matched with the address of the actual peer.
2. Only MIT-MAGIC-COOKIE-1 is used, and only an entry of this display's number (or of none) and host (or FamilyWild,
   which `xauth nlist | sed s/^..../ffff/` makes for containers).
3. A cookie from a file that the caller has not named is sent to no server of another user (`peer_credentials`).
4. No message, and no repr, has a cookie's bytes in it.
"""

from __future__ import annotations

import os
import socket
import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from xshm import _arguments
from xshm._signal_safety import is_the_kernels
from xshm.errors import ConnectFailed, InvalidArgument, InvalidType
from xshm.system import limits
from xshm.system.printable import printable, quoted
from xshm.x11 import peer_credentials

if TYPE_CHECKING:
    import _socket
    from collections.abc import Iterator

    from xshm.x11.display_name import DisplayName

# Families of addresses, as Xauth.h and X.h number them.
INTERNET: Final = 0
INTERNET6: Final = 6
LOCAL: Final = 256  # the address is a host name
WILD: Final = 65535  # any address
COOKIE: Final = b"MIT-MAGIC-COOKIE-1"


class Entry(NamedTuple):
    """One entry, in the file's bytes."""

    family: int
    address: bytes
    number: bytes
    protocol: bytes
    data: bytes

    def opens(self, families: dict[int, bytes], number: int) -> bool:
        """Return whether this entry is for the display `number` of a host with the addresses `families` (by family)."""
        if self.protocol != COOKIE or self.number not in (b"", str(number).encode()):
            return False
        return self.family == WILD or families.get(self.family) == self.address

    def __repr__(self) -> str:
        secret = f"{len(self.data)} secret bytes"  # rule 4: a repr may be in a traceback or a log
        return f"Entry(family={self.family}, address={self.address!r}, number={self.number!r}, {secret})"


def parse(raw: bytes) -> Iterator[Entry]:
    """Yield the entries of a file; a truncated one ends the list, as in libXau."""
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
            # Arguments are evaluated from left to right, the order in the file: address, number, protocol, data.
            yield Entry(family, field(), field(), field(), field())
        except struct.error:
            return


def find_cookie(
    display: DisplayName, sock: _socket.socket, path: str | os.PathLike[str] | None, address: str
) -> tuple[bytes, str]:
    """Return the cookie for the display that `sock` is connected to, b"" for none, and a sentence on its origin.

    A `path` from the caller has to be readable; without one, $XAUTHORITY or ~/.Xauthority is read if it exists. Raises
    ConnectFailed; UntrustedServer where another user listens at `address` and the caller has not named the file.
    """
    place = _place(path)
    try:
        # The owner of the open file, not of the path, which may name another file a moment later.
        with open(place, "rb") as file:  # noqa: PTH123 - pathlib takes as long to import as the connection takes
            raw, owner = file.read(), os.fstat(file.fileno()).st_uid
    except OSError as error:
        if not is_the_kernels(error):
            raise
        # A file that the caller has named has to exist. Without a default file there is no cookie, which is no error;
        # but that this process can open no file is one.
        if path is not None or limits.explain(error):
            why = f"the authority file {printable(place)} can't be read: {limits.describe(error)}"
            raise ConnectFailed(error.errno, why) from error
        return b"", f"there is no authority file ({place}: {error.strerror})"
    families = _families(display, sock)
    entries = list(parse(raw))
    for entry in entries:
        if entry.opens(families, display.number):
            # A caller that passes the file's path means that server, any user's. Not so the path of a VirtualDisplay's
            # own file: once that server has ended, another user may listen under its name.
            if path is None or getattr(path, "is_for_own_server", False):
                peer_credentials.check_may_have_cookie(sock, address, place, owner)
            return entry.data, f"a cookie from {place} was sent"
    return b"", f"none of the {len(entries)} entries in {place} is for display {display.number} of this host"


def checked(path: str | os.PathLike[str]) -> str:
    """Return the path of an authority file that the caller has passed; raise InvalidType or InvalidArgument."""
    if isinstance(path, bytes):
        raise InvalidType(f"xauthority is the path of a file, or None, not bytes: {quoted(path)}")
    place = _arguments.os_text(path, "xauthority is the path of a file, or None", "which can't be one")
    if not place:
        raise InvalidArgument("xauthority is the path of a file, which '' can't be")
    return place


def _place(path: str | os.PathLike[str] | None) -> str:
    """Return the path of the file to read: the caller's, $XAUTHORITY, or ~/.Xauthority, as libXau does."""
    if path is not None:
        return checked(path)
    return os.environ.get("XAUTHORITY") or f"{os.environ.get('HOME') or '/nonexistent'}/.Xauthority"


def _families(display: DisplayName, sock: _socket.socket) -> dict[int, bytes]:
    """Return the addresses, by family, under which authority files may list the server at the other end."""
    here = {LOCAL: socket.gethostname().encode()}
    if display.is_local:
        return here
    peer = sock.getpeername()[0]
    if sock.family == socket.AF_INET6:
        address = socket.inet_pton(socket.AF_INET6, peer.partition("%")[0])
        # Servers list loopback addresses under the host's own name.
        return {INTERNET6: address} | (here if peer == "::1" else {})
    address = socket.inet_pton(socket.AF_INET, peer)
    return {INTERNET: address} | (here if address[0] == 127 else {})  # noqa: PLR2004 - 127.0.0.0/8 is loopback
