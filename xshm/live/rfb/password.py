"""VNC Authentication: a challenge, encrypted with the password, by which a client shows that it knows it; and Attempts.

Always true: the password itself is never on the wire, each challenge is random and is used once, and answers are
compared in constant time. The cipher is DES with a key of 8 characters, and nothing is encrypted after it: this keeps
out who does not know the password, not who listens on the line. Hence it is offered on 127.0.0.1, or over TLS.
"""

from __future__ import annotations

import hmac
import ipaddress
import secrets
import string
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from xshm.errors import InvalidArgument, InvalidType, MissingExtra

if TYPE_CHECKING:
    from collections.abc import Callable

CHALLENGE: Final = 16  # bytes, two of the cipher's blocks
_KEY: Final = 8  # bytes, DES's
_LEAST: Final = 6  # characters that a caller's password has at least
# Without those that are mistaken for others when they are read from a terminal and typed: 57 are left, 47 bits in all.
_ALPHABET: Final = "".join(sorted(set(string.ascii_letters + string.digits) - set("0O1lI")))
_AT_ONCE: Final = 4
_FIRST_DELAY: Final = 0.5  # seconds
_LONGEST_DELAY: Final = 8.0  # seconds; a person who mistypes waits 1, 2, 4
_BEFORE_BLOCK: Final = 6
_BLOCK: Final = 30.0  # seconds: two guesses a minute, for 47 bits
_MEMORY: Final = 600.0  # seconds after the last wrong one
_ADDRESSES: Final = 1024
_NETWORK: Final = 64  # bits


def new_password() -> str:
    """Return a random password, of as many characters as the protocol has."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(_KEY))


def password_key(password: str) -> bytes:
    """Return the cipher's key of a password; raise InvalidArgument or InvalidType for what clients can't send."""
    if not isinstance(password, str):
        raise InvalidType(f"a VNC password is a str, not {type(password).__name__}")
    # The password is in no message: errors are logged.
    if not password.isascii() or not password.isprintable():
        raise InvalidArgument(
            "a VNC password has printable ASCII characters alone: clients differ in how they send others"
        )
    if not _LEAST <= len(password) <= _KEY:
        raise InvalidArgument(
            f"a VNC password has {_LEAST} to {_KEY} characters, not {len(password)}: the protocol ignores all after "
            f"these; leave vnc_password out for a random one"
        )
    # VNC takes the bits of each byte in the other order than DES does.
    return bytes(int(f"{byte:08b}"[::-1], 2) for byte in password.encode().ljust(_KEY, b"\0"))


def new_challenge() -> bytes:
    """Return a challenge."""
    return secrets.token_bytes(CHALLENGE)


def check_installed() -> None:
    """Raise MissingExtra where no password could be checked: clients would be let in to a wait, and no further."""
    response(bytes(_KEY), bytes(CHALLENGE))


def response(key: bytes, challenge: bytes) -> bytes:
    """Return what a client that knows the password answers to a challenge."""
    try:
        from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES  # noqa: PLC0415 - heavy, and optional
        from cryptography.hazmat.primitives.ciphers import Cipher, modes  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtra(
            f"VNC's password check needs the library cryptography ({error}): pip install 'xshm[live]'"
        ) from None
    # Three rounds with one key are one: encrypt, decrypt, encrypt. Two blocks, each on its own.
    encryptor = Cipher(TripleDES(key * 3), modes.ECB()).encryptor()  # noqa: S305 - what the protocol has
    return encryptor.update(challenge) + encryptor.finalize()


def is_right(key: bytes, challenge: bytes, answer: bytes) -> bool:
    """Return whether a client's answer is the password's; as fast for wrong ones as for right ones."""
    return hmac.compare_digest(response(key, challenge), answer)


@dataclass
class _Tried:
    wrong: int = 0
    open: int = 0
    last: float = 0.0
    until: float = 0.0


class Attempts:
    """How often an address may try passwords, and how fast; of one thread. `clock` is in seconds.

    Always true:

    1. An address has at most `_AT_ONCE` attempts open at a time: more connections do not make guessing faster.
    2. Each wrong password delays the answer to it: half a second, doubled each time, up to `_LONGEST_DELAY`.
    3. After `_BEFORE_BLOCK` wrong ones an address is refused for `_BLOCK` seconds after each further one. A right
       password forgets all that, and so does time.
    4. No more than `_ADDRESSES` are remembered; the one that was heard of least lately is forgotten first.

    Who shares an address is refused together; on one machine that is all of its users. An address of IPv6 is a network
    of 64 bits, since one machine has all of such.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: OrderedDict[str, _Tried] = OrderedDict()

    def begin(self, address: str) -> str:
        """Open an attempt; return "", or why not, in words for the client. Each that was opened is ended by `end`."""
        tried = self._of(address)
        if tried.until > self._clock():
            return f"too many wrong passwords; try again in {tried.until - self._clock():.0f} seconds"
        if tried.open >= _AT_ONCE:
            return f"{tried.open} connections from this address are giving their passwords already"
        tried.open += 1
        return ""

    def wrong(self, address: str) -> float:
        """Count a wrong password; return for how many seconds the answer is to wait."""
        tried = self._of(address)
        tried.wrong += 1
        tried.last = self._clock()
        if tried.wrong >= _BEFORE_BLOCK:
            tried.until = tried.last + _BLOCK
        return min(_FIRST_DELAY * 2.0 ** min(tried.wrong - 1, 10), _LONGEST_DELAY)

    def right(self, address: str) -> None:
        """Forget the wrong passwords of an address."""
        tried = self._of(address)
        tried.wrong, tried.until = 0, 0.0

    def end(self, address: str) -> None:
        """Close an attempt."""
        tried = self._of(address)
        tried.open = max(tried.open - 1, 0)

    def _of(self, address: str) -> _Tried:
        name = _network(address)
        tried = self._known.setdefault(name, _Tried())
        self._known.move_to_end(name)
        if tried.wrong and tried.last + _MEMORY < self._clock():
            tried.wrong, tried.until = 0, 0.0
        while len(self._known) > _ADDRESSES:
            self._known.popitem(last=False)
        return tried


def _network(address: str) -> str:
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:  # a Unix socket's, or none
        return address
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((int(found), _NETWORK), strict=False))
    return str(found)
