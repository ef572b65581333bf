"""Display names, and the sockets they stand for.

What a name says is what is connected to: a local name never becomes TCP, and a failure says what was tried.
"""

from __future__ import annotations

import _socket  # what eventlet and gevent leave alone: `Wire` waits for it in their ways, where they have any
import os
import re
import socket
import threading
import time
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from xshm.errors import ConnectFailed, InvalidType, RequestTimeout
from xshm.system.kernel_errors import is_the_kernels
from xshm.system.printable import printable, quoted

if TYPE_CHECKING:
    from collections.abc import Callable

# The last colon is the one before the number, as libxcb has it: "::1:0" is display 0 of the host ::1.
_NAME: Final = re.compile(
    r"(?:(?P<protocol>unix|local|tcp|inet|inet6)/)?"
    r"(?P<host>\[[0-9A-Fa-f:.%\w]+\]|(?P<address>[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(?:%[-\w.]+)?)|[-\w.]*)(?P<family>/unix)?"
    r":(?P<number>[0-9]{1,20})(?:\.(?P<screen>[0-9]{1,20}))?"
)
_PATH: Final = re.compile(r"(?:unix:)?(?P<path>[/@].*?)(?:\.(?P<screen>[0-9]{1,20}))?")
_SOCKET: Final = "/tmp/.X11-unix/X{}"  # noqa: S108 - the protocol's well-known place
_PORT: Final = 6000
_LAST_PORT: Final = 0xFFFF
_PAUSE: Final = 0.01  # seconds until a server is asked again that had no room for one more to connect


Name = str | bytes | os.PathLike[str]  # bytes: as os.environb has it


@dataclass(frozen=True, slots=True)
class DisplayName:
    """A parsed display name: `path` of a socket that was named itself, or `host` ("" is this machine) and `number`."""

    name: str
    number: int
    screen: int
    host: str = ""
    path: str = ""
    family: socket.AddressFamily = socket.AF_UNSPEC

    @classmethod
    def parse(cls, name: Name | None) -> DisplayName:
        """Read ":0", "unix/host:0", "host:0.1", "tcp/host:0", "[::1]:0", "::1:0", "/path/to/socket", "unix:@abstract".

        ":0" is the local socket of display 0, "host:0" TCP to port 6000; None and "" are $DISPLAY, as libxcb has it.
        """
        name = _text(name) or os.environ.get("DISPLAY", "")
        if not name:
            raise ConnectFailed(
                "no display was named and DISPLAY is not set; name one, for example display=':0', or start one with "
                "VirtualDisplay()"
            )
        match = _PATH.fullmatch(name)
        if match and _is_encodable(name):
            path, screen = match["path"], match["screen"]
            if screen is not None and path.startswith("/") and _is_there(f"{path}.{screen}"):
                path, screen = f"{path}.{screen}", None  # the dot belongs to the file's name
            ending = re.search(r"(?:X|:)([0-9]{1,20})$", path)
            return cls(name, int(ending[1]) if ending else 0, int(screen or 0), path=path, family=socket.AF_UNIX)
        match = _NAME.fullmatch(name)
        if match is None or not _is_encodable(name) or not _is_ipv6(match["address"] or "::"):
            raise ConnectFailed(f"{name!r} is no display name; one looks like ':0', 'host:0.1' or '/path/to/socket'")
        host = match["host"].strip("[]")
        protocol = match["protocol"]
        number, screen = int(match["number"]), int(match["screen"] or 0)
        if protocol in ("unix", "local") or match["family"] or host in ("", "unix"):
            if protocol in ("tcp", "inet", "inet6"):
                raise ConnectFailed(f"{name!r} asks for {protocol} and names no host")
            return cls(name, number, screen, family=socket.AF_UNIX)
        family = {"inet": socket.AF_INET, "inet6": socket.AF_INET6}.get(protocol or "", socket.AF_UNSPEC)
        return cls(name, number, screen, host=host, family=family)

    def of_screen(self, screen: int) -> str:
        """Return the name of a screen of the same display."""
        has_screen = not self.path or not self.name.endswith(self.path)
        display = re.sub(r"\.[0-9]+$", "", self.name) if has_screen else self.name
        return f"{display}.{screen}" if screen else display

    @property
    def is_local(self) -> bool:
        """Whether it is a socket of this machine's own (AF_UNIX)."""
        return self.family == socket.AF_UNIX

    def connect(self, timeout: float | None) -> tuple[ServerSocket, str]:
        """Connect, and tell to what: "unix:/tmp/.X11-unix/X0", "unix:@/tmp/.X11-unix/X0", "tcp:127.0.0.1:6000".

        `timeout` bounds it. Raises ConnectFailed, and RequestTimeout where the server of a local name is there and
        takes no more connections.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        if not self.is_local:
            return self._connect_tcp(deadline)
        # A server listens on a file, on an abstract name, or on both; either is this display and no other.
        places = [self.path] if self.path else [_SOCKET.format(self.number), "@" + _SOCKET.format(self.number)]
        while (found := self._connect_unix(places, deadline)) is None:
            if deadline is not None and time.monotonic() >= deadline:
                raise RequestTimeout(f"the X server at {self.name!r} took no more connections in time; is it stopped?")
            time.sleep(_PAUSE)
        return found

    def _connect_unix(self, places: list[str], deadline: float | None) -> tuple[ServerSocket, str] | None:
        """Return None where a server is there that has a full queue of those who connect.

        For that the kernel waits without a limit or, in Python's way of having one, not at all.
        """
        failures = []
        for place in places:
            sock = ServerSocket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
            sock.settimeout(None if deadline is None else 0.0)
            try:
                sock.connect("\0" + place[1:] if place.startswith("@") else place)
            except BaseException as error:
                sock.close()
                if not is_the_kernels(error):
                    raise
                failures.append((place, error))
            else:
                return sock, f"unix:{place}"
        if any(isinstance(error, BlockingIOError) for _, error in failures):
            return None
        told = "; ".join(f"{printable(place)}: {error.strerror or error}" for place, error in failures)
        raise ConnectFailed(failures[0][1].errno, f"no X server answers at {self.name!r} ({told})")

    def _connect_tcp(self, deadline: float | None) -> tuple[ServerSocket, str]:
        port = _PORT + self.number
        if port > _LAST_PORT:  # getaddrinfo would take it modulo 65536, to another display's
            raise ConnectFailed(f"{self.name!r}: display {self.number} would be TCP port {port}, and the last is 65535")
        try:
            found = _addresses(deadline, self.host, port, self.family, socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:  # UnicodeError: no name that DNS could have (IDNA)
            if not (isinstance(error, socket.gaierror | UnicodeError) or is_the_kernels(error, "socket")):
                raise
            code = getattr(error, "errno", None)
            raise ConnectFailed(code, f"{self.name!r}: the host {self.host!r} is not known ({error})") from error
        failures = []
        for family, kind, protocol, _, address in found:
            sock = ServerSocket(family, kind | socket.SOCK_CLOEXEC, protocol)
            # At the deadline a nanosecond: 0 would not wait, and be another error.
            sock.settimeout(None if deadline is None else max(1e-9, deadline - time.monotonic()))
            try:
                sock.connect(address)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            except BaseException as error:
                sock.close()
                if not is_the_kernels(error):
                    raise
                failures.append((str(address[0]), error))
            else:
                return sock, f"tcp:{address[0]}:{port}"
        told = "; ".join(f"{place} port {port}: {error.strerror or error}" for place, error in failures)
        raise ConnectFailed(failures[0][1].errno, f"no X server answers at {quoted(self.name)} ({told})")


def _addresses(deadline: float | None, *wanted: Any) -> list[Any]:
    """Look a host up, as getaddrinfo does, which knows no limit: after the deadline it is left to a thread.

    Raises socket.gaierror (EAI_AGAIN) then.
    """
    if deadline is None:
        return socket.getaddrinfo(*wanted)
    found: list[Any] = []

    def look_up() -> None:
        try:
            found.append(socket.getaddrinfo(*wanted))
        except (OSError, UnicodeError) as error:
            found.append(error)

    thread = threading.Thread(target=look_up, name="xshm look-up", daemon=True)
    thread.start()
    thread.join(max(0.0, deadline - time.monotonic()))
    if not found:
        raise socket.gaierror(socket.EAI_AGAIN, "no answer in time")
    if isinstance(found[0], Exception):
        raise found[0]
    return list(found[0])


class ServerSocket(_socket.socket):
    """A socket that names its owner in the warning of one that is dropped unclosed, a Screen for one.

    The warning's text is made in a finalizer, where what a signal handler raises is lost: hence no method in Python.
    """

    shown: Callable[[], str] = partial(str, "<connection to an X server>")
    __repr__ = property(attrgetter("shown"))

    def name_owner(self, owner: str) -> None:
        """Set what the warning names."""
        self.shown = partial(str, owner)


def _text(name: object) -> str:
    """Return a display's name as a text, "" for None."""
    if name is None:
        return ""
    try:
        return os.fsdecode(name)  # type: ignore[arg-type]  # it says so
    except TypeError:
        raise InvalidType(
            f"a display is named by a text such as ':0', not by {type(name).__name__}: {quoted(name)}"
        ) from None


def _is_ipv6(host: str) -> bool:
    try:
        socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
    except OSError as error:
        if not is_the_kernels(error):
            raise
        return False
    return True


def _is_there(path: str) -> bool:
    """Tell whether there is such a file. os.path.exists would swallow what a signal handler raises."""
    return os.access(path, os.F_OK)


def _is_encodable(name: str) -> bool:
    try:
        os.fsencode(name)
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return True
