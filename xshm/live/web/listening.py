"""Listening: the port, the certificate, and the address that others reach the port by; errors with their remedy."""

from __future__ import annotations

import errno
import ipaddress
import socket
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from xshm.errors import LiveViewFailed
from xshm.system import limits
from xshm.system.printable import printable, quoted

if TYPE_CHECKING:
    from xshm.live.settings import LiveSettings

_BACKLOG: Final = 64
_ELSEWHERE: Final = (socket.AF_INET, ("192.0.2.1", 9))  # of the documentation's network: only a route is looked up
_PRIVILEGED: Final = 1024
_ADDRESSES: Final = "name an address of this machine; '0.0.0.0' is all that it has"
_REMEDIES: Final = {
    errno.EADDRINUSE: "something else listens there: name another one, or 0, any that is free",
    errno.EADDRNOTAVAIL: f"that is none of its own; {_ADDRESSES}",
}


def listen(host: str, port: int, what: str) -> socket.socket:
    """Return a socket that listens. Raises LiveViewFailed, with what to do; `what` is the argument's name."""
    where = f"host {printable(host)}, {what} {port}"
    try:
        family, address = _resolve(host, port)
        sock = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        words = limits.describe(error)
        if isinstance(error, socket.gaierror):
            words += f": {_ADDRESSES}"
        raise LiveViewFailed(f"{where}: {words}") from error
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6 and ipaddress.ip_address(address[0]).is_unspecified:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)  # all addresses, those of IPv4, too
        sock.bind(address)
        sock.listen(_BACKLOG)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        raise LiveViewFailed(f"{where}: {_remedy(error, port)}") from error
    except BaseException:
        sock.close()
        raise
    return sock


def shown_host(host: str) -> str:
    """Return the host that a link has: for "0.0.0.0" this machine's address on the network."""
    try:
        is_everywhere = ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return host
    if is_everywhere:
        host = "127.0.0.1"
        family, address = _ELSEWHERE
        with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.connect(address)  # sends nothing
            host = sock.getsockname()[0]
    return host


def tls_context(settings: LiveSettings) -> ssl.SSLContext | None:
    """Return what encrypts; None where nothing does. Raises LiveViewFailed for a certificate that can't be used."""
    if settings.tls_cert is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    files = f"tls_cert {quoted(settings.tls_cert)}"
    if settings.tls_key is not None:
        files += f", tls_key {quoted(settings.tls_key)}"
    try:
        # A key with a passphrase would be asked for at the terminal.
        context.load_cert_chain(settings.tls_cert, settings.tls_key, password=_no_passphrase)
    except ssl.SSLError as error:
        raise LiveViewFailed(
            f"{files}: no certificate with its key, both as PEM ({error.reason or error}); where the key has a "
            f"passphrase, remove that: openssl pkey"
        ) from error
    except OSError as error:
        raise LiveViewFailed(f"{files}: {limits.describe(error)}") from error
    except _PassphraseError as error:
        raise LiveViewFailed(f"{files}: the key has a passphrase; remove it (openssl pkey)") from error
    return context


class _PassphraseError(Exception):
    """The key has a passphrase; never leaves this file."""


def _no_passphrase() -> str:
    raise _PassphraseError


def _resolve(host: str, port: int) -> tuple[int, tuple[str, int]]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    found.sort(key=lambda each: each[0] != socket.AF_INET)  # "localhost" is 127.0.0.1 to more programs than it is ::1
    return found[0][0], found[0][4]  # type: ignore[return-value]  # of IPv6 two numbers more


def _remedy(error: OSError, port: int) -> str:
    if error.errno in (errno.EACCES, errno.EPERM) and 0 < port < _PRIVILEGED:
        return f"ports below {_PRIVILEGED} are for root; name a higher one, or 0, any that is free"
    words = limits.describe(error)
    remedy = _REMEDIES.get(error.errno or 0)
    return f"{words}: {remedy}" if remedy else words
