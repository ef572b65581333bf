"""Access: who may see anything: the token, the Host and Origin of a request, and how often was guessed.

Always true:

1. A token is compared in constant time, by digests, so that not even its length is told; it is in no message and repr.
2. A page of another site can neither reach the hub by a name of its own that it points here (DNS rebinding), since the
   Host has to be a known name or an address; nor by our own, since its Origin is then not that Host.
3. Who guesses waits for the answer, the longer the more often it was; who has the token never does.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?")
_ORIGIN: Final = re.compile(r"(https?)://([^/?#@\s]+)", re.IGNORECASE)
_DEFAULT_PORTS: Final = {"http": "80", "https": "443"}

_FREE: Final = 3  # failures that are answered at once: a link of yesterday
_FIRST_DELAY: Final = 0.25  # seconds
_LONGEST_DELAY: Final = 4.0
_FORGET: Final = 60.0  # seconds
_ADDRESSES: Final = 1024  # that are remembered


class Access:
    """Checks of one live view; for its event loop alone, but `is_token`."""

    def __init__(self, token: str, hosts: Iterable[str]) -> None:
        self._digest = _digest(token)
        self._hosts = frozenset({"localhost", *(host.lower() for host in hosts)})
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()  # by address: how many, until when

    def is_token(self, token: str) -> bool:
        """Return whether this is the token."""
        return hmac.compare_digest(_digest(token), self._digest)

    def is_host(self, values: Sequence[str]) -> bool:
        """Return whether a request's Host headers are one, and name this view: a known name, or an address."""
        if len(values) != 1:
            return False
        found = _HOST.fullmatch(values[0])
        if found is None:
            return False
        name = found[1].lower()
        if name in self._hosts:
            return True
        try:
            ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
        except ValueError:
            return False
        return True

    def is_origin(self, origins: Sequence[str], hosts: Sequence[str]) -> bool:
        """Return whether a request comes from a page of this view (Origin and Host are the same), or from no page."""
        if not origins:
            return True
        if len(origins) != 1 or len(hosts) != 1:
            return False
        found, host = _ORIGIN.fullmatch(origins[0]), _HOST.fullmatch(hosts[0])
        if found is None or host is None:  # "null", too: a sandboxed frame, a file
            return False
        page = _HOST.fullmatch(found[2])
        if page is None:
            return False
        default = _DEFAULT_PORTS[found[1].lower()]
        return (page[1].lower(), page[2] or default) == (host[1].lower(), host[2] or default)

    def failed(self, address: str) -> float:
        """Note a wrong token; return the seconds after which it is to be answered."""
        now = time.monotonic()
        count, until = self._failures.pop(address, (0, 0.0))
        count = 1 if now >= until else count + 1
        self._failures[address] = (count, now + _FORGET)
        if len(self._failures) > _ADDRESSES:
            self._failures.popitem(last=False)
        return min(_FIRST_DELAY * 2.0 ** min(count - _FREE, 10), _LONGEST_DELAY) if count > _FREE else 0.0

    def __repr__(self) -> str:
        return f"<{type(self).__name__} for {', '.join(sorted(self._hosts))}>"


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
