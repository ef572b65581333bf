"""Settings: how a live view is to be served, as `live` takes it, each checked by itself; no secret is in its repr."""

from __future__ import annotations

import ipaddress
import re
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from xshm import _arguments
from xshm.errors import InvalidArgument, InvalidType
from xshm.live.rfb.password import new_password, password_key
from xshm.system.printable import quoted

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    Name = str | bytes | os.PathLike[str]

LOOPBACK: Final = "127.0.0.1"
_MOST_FPS: Final = 1000
_MOST_PORT: Final = 65535
_MOST_VIEWERS: Final = 1000
_TOKEN_BYTES: Final = 24  # random ones, 32 characters
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~-]{16,256}")  # what a link's fragment and a header take as it is
_HOST: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_MOST_HOST: Final = 253  # characters of a name in DNS


@dataclass(frozen=True, slots=True)
class LiveSettings:
    """How a live view is to be served, as `live` takes it; a token that is None is random, and so is the password."""

    port: int = 0
    host: str = LOOPBACK
    fps: float = 60.0
    allow_input: bool = False
    video: bool = True
    token: str | None = field(default=None, repr=False)
    vnc_port: int | None = None
    vnc_password: str | None = field(default=None, repr=False)
    tls_cert: Name | None = None
    tls_key: Name | None = None
    unencrypted: bool = False
    allowed_hosts: Iterable[str] = ()
    max_viewers: int = 32

    def __post_init__(self) -> None:
        store = object.__setattr__
        store(self, "port", _port(self.port, "port"))
        store(self, "host", _host(self.host, "host"))
        rate = _arguments.number(self.fps, "fps is a number of pictures per second")
        if not 0 < rate <= _MOST_FPS:
            raise InvalidArgument(
                f"fps is a number of pictures per second above 0 and at most {_MOST_FPS}, not {quoted(self.fps)}"
            )
        store(self, "fps", rate)
        for name in ("allow_input", "video", "unencrypted"):
            _arguments.flag(getattr(self, name), name)
        store(self, "token", secrets.token_urlsafe(_TOKEN_BYTES) if self.token is None else _token(self.token))
        if self.vnc_port is not None:
            store(self, "vnc_port", _port(self.vnc_port, "vnc_port"))
        if self.vnc_password is not None:
            password_key(self.vnc_password)  # refuses what clients can't send
        elif self.vnc_port is not None:
            store(self, "vnc_password", new_password())
        for name in ("tls_cert", "tls_key"):
            value = getattr(self, name)
            store(self, name, None if value is None else _file(value, name))
        hosts = _arguments.several(self.allowed_hosts, "allowed_hosts are texts", no_types=(str, bytes))
        store(self, "allowed_hosts", tuple(_host(each, "each of allowed_hosts") for each in hosts))
        if not 1 <= _arguments.integer(self.max_viewers, "max_viewers is a whole number") <= _MOST_VIEWERS:
            raise InvalidArgument(f"max_viewers is 1 to {_MOST_VIEWERS}, not {quoted(self.max_viewers)}")
        self._check_encryption()

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can connect."""
        return is_loopback(self.host)

    def _check_encryption(self) -> None:
        if self.tls_key is not None and self.tls_cert is None:
            raise InvalidArgument("tls_key is a certificate's: name that, too, by tls_cert=")
        if self.is_loopback or self.unencrypted:
            return
        if self.tls_cert is None:
            raise InvalidArgument(
                f"{self.host!r} is reached over a network, where all that is shown could be read: name a certificate, "
                f"tls_cert=…, or say that it may, unencrypted=True. With {LOOPBACK!r} others come by ssh -L"
            )
        if self.vnc_port is not None:
            raise InvalidArgument(
                f"VNC clients on {self.host!r} would see all unencrypted, whatever tls_cert is: say that it may be so, "
                f"unencrypted=True, or leave vnc_port out"
            )


def is_loopback(host: str) -> bool:
    """Return whether a host's name or address is that of this machine alone."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _port(value: object, name: str) -> int:
    number = _arguments.integer(value, f"{name} is a whole number")
    if not 0 <= number <= _MOST_PORT:
        raise InvalidArgument(f"{name} is 0 (any that is free) to {_MOST_PORT}, not {quoted(value)}")
    return number


def _host(value: object, what: str) -> str:
    if not isinstance(value, str):
        raise InvalidType(f"{what} is a text, not {type(value).__name__}: {quoted(value)}")
    try:
        return str(ipaddress.ip_address(value.removeprefix("[").removesuffix("]")))
    except ValueError:
        pass
    if len(value) > _MOST_HOST or not _HOST.fullmatch(value):
        raise InvalidArgument(f"{what} is a host's name or address, such as {LOOPBACK!r}; not {quoted(value)}")
    return value.lower()


def _token(value: object) -> str:
    # Not in the message: it may go to a log.
    if not isinstance(value, str):
        raise InvalidType(f"token is a text, not {type(value).__name__}")
    if not _TOKEN.fullmatch(value):
        raise InvalidArgument(
            f"token has 16 to 256 of the characters A-Z a-z 0-9 . _ ~ -, and this one, of {len(value)}, has not; "
            f"without one it is random"
        )
    return value


def _file(value: object, name: str) -> str:
    path = _arguments.path(value, name)
    if not path:
        raise InvalidArgument(f"{name} is a path, not {quoted(value)}")
    return path
