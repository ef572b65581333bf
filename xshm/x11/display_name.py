"""Display names: parse them as libxcb does, and connect to the socket that a name stands for.

1. A local name is only ever connected to by a local socket, a TCP name by TCP: only of a local socket the user at the
   other end can be checked (`peer_credentials`).
2. A local display is looked for at two places: the socket's file and the abstract name of the same path.
3. A display number beyond TCP's ports is refused, never wrapped around to another display's port.
4. A failure names each address that was tried, with the kernel's reason.
"""

from __future__ import annotations

import _socket  # not `socket.socket`, which eventlet and gevent replace: the Wire does their waits itself (`polling`)
import os
import re
import socket
import threading
import time
from contextlib import suppress
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from xshm._signal_safety import Ignored, is_the_kernels, leave_signals
from xshm.errors import ConnectFailed, InvalidType, RequestTimeout
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
_LISTENING: Final = re.compile(r": \w+ \w+ 00010000 .* @?/tmp/\.X11-unix/X(\d{1,5})@*$", re.MULTILINE)  # in net/unix
_MOST_NAMES: Final = 8
_PORT: Final = 6000  # of display 0
_LAST_PORT: Final = 0xFFFF
_PAUSE: Final = 0.01  # seconds until a server with a full queue of connections is tried again

Name = str | bytes | os.PathLike[str]  # bytes: as os.environb has it


class DisplayName(NamedTuple):
    """A parsed display name: the `path` of a socket, or a `host` ("" is this machine) and a display `number`."""

    name: str
    number: int
    screen: int
    host: str = ""
    path: str = ""
    family: socket.AddressFamily = socket.AF_UNSPEC

    @classmethod
    def parse(cls, name: Name | None) -> DisplayName:
        """Parse ":0", "unix/host:0", "host:0.1", "tcp/host:0", "[::1]:0", "::1:0", "/path/to/socket", "unix:@abstract".

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
            # Not os.path.exists, which would suppress an OSError that a signal handler raises.
            if screen is not None and path.startswith("/") and os.access(f"{path}.{screen}", os.F_OK):
                path, screen = f"{path}.{screen}", None  # the dot is part of the file's name
            # Authority files list the display's number; of a path it is the digits at the end, if there are any.
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
        # A path's ending such as ".1" is a screen only where `parse` did not take it for a part of the file's name.
        has_screen = not self.path or not self.name.endswith(self.path)
        display = re.sub(r"\.[0-9]+$", "", self.name) if has_screen else self.name
        return f"{display}.{screen}" if screen else display

    @property
    def is_local(self) -> bool:
        """Whether the name stands for a local socket (AF_UNIX)."""
        return self.family == socket.AF_UNIX

    def connect(self, timeout: float | None) -> tuple[ServerSocket, str]:
        """Connect; return the socket and its address: "unix:/tmp/.X11-unix/X0", "unix:@abstract", "tcp:127.0.0.1:6000".

        Takes `timeout` seconds at most. Raises ConnectFailed; RequestTimeout where a local server exists and accepts no
        more connections.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        places = self._local_places() if self.is_local else self._tcp_places(deadline)  # as getaddrinfo has them
        while (found := self._connect_first(places, deadline)) is None:
            if deadline is not None and time.monotonic() >= deadline:
                raise RequestTimeout(f"the X server at {self.name!r} took no more connections in time; is it stopped?")
            time.sleep(_PAUSE)
        return found

    def _connect_first(self, places: list[Any], deadline: float | None) -> tuple[ServerSocket, str] | None:
        """Connect to the first place where a server listens; None where a local one has a full queue of connections."""
        failures = []
        for family, kind, protocol, _, target in places:
            # A NUL begins the kernel's name of an abstract socket.
            name = target.replace("\0", "@") if self.is_local else f"{target[0]} port {target[1]}"
            sock = ServerSocket(family, kind | socket.SOCK_CLOEXEC, protocol)
            try:
                self._connect_socket(sock, target, deadline)
            except BaseException as error:
                sock.close()
                if not is_the_kernels(error):
                    raise
                failures.append((name, error))
            else:
                return sock, f"unix:{name}" if self.is_local else f"tcp:{target[0]}:{target[1]}"
        if any(isinstance(error, BlockingIOError) for _, error in failures):
            return None
        tried = "; ".join(f"{printable(name)}: {error.strerror or error}" for name, error in failures)
        hint = f"; {_who_listens()}" if self.is_local else ""
        raise ConnectFailed(failures[0][1].errno, f"no X server answers at {quoted(self.name)} ({tried}){hint}")

    def _connect_socket(self, sock: ServerSocket, target: Any, deadline: float | None) -> None:
        if self.is_local:
            # On a full queue connect(2) blocks without a limit. On a non-blocking socket it fails at once with EAGAIN,
            # and no connection is in progress that could be polled for: the caller has to call again.
            sock.settimeout(None if deadline is None else 0.0)
        else:
            # A nanosecond at the deadline: a timeout of 0 is a non-blocking socket, whose error is EINPROGRESS.
            sock.settimeout(None if deadline is None else max(1e-9, deadline - time.monotonic()))
            # Send each request at once, not when a packet is full; and notice a machine that died without a FIN.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.connect(target)

    def _local_places(self) -> list[Any]:
        names = [self.path] if self.path else [_SOCKET.format(self.number), "@" + _SOCKET.format(self.number)]
        return [(socket.AF_UNIX, socket.SOCK_STREAM, 0, "", re.sub("^@", "\0", name)) for name in names]

    def _tcp_places(self, deadline: float | None) -> list[Any]:
        port = _PORT + self.number
        if port > _LAST_PORT:  # getaddrinfo would take it modulo 65536, to another display's
            raise ConnectFailed(f"{self.name!r}: display {self.number} would be TCP port {port}, and the last is 65535")
        try:
            return _addresses(deadline, self.host, port, self.family, socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:  # UnicodeError: no name that DNS could have (IDNA)
            if not (isinstance(error, socket.gaierror | UnicodeError) or is_the_kernels(error, "socket")):
                raise
            code = getattr(error, "errno", None)
            raise ConnectFailed(code, f"{self.name!r}: the host {self.host!r} is not known ({error})") from error


def _addresses(deadline: float | None, *wanted: Any) -> list[Any]:
    """Look a host up by getaddrinfo; raise socket.gaierror (EAI_AGAIN) after the deadline.

    getaddrinfo has no timeout: it runs in a daemon thread, which goes on after the deadline, without effect.
    """
    if deadline is None:
        return socket.getaddrinfo(*wanted)
    found: list[Any] = []

    def look_up() -> None:
        leave_signals()
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
    """A socket that names the object that uses it, such as a Screen, in the ResourceWarning if it is dropped unclosed.

    The warning calls repr() in a finalizer, where a signal handler's exception is lost: so `__repr__` runs in C.
    """

    text: Callable[[], str] = partial(str, "<connection to an X server>")
    __repr__ = property(attrgetter("text"))

    def name_owner(self, owner: str) -> None:
        """Set the name in the warning."""
        self.text = partial(str, owner)


def _text(name: object) -> str:
    """Return a display's name as a str, "" for None."""
    if name is None:
        return ""
    try:
        return os.fsdecode(name)  # type: ignore[arg-type]  # TypeError is handled
    except TypeError:
        raise InvalidType(
            f"a display is named by a text such as ':0', not by {type(name).__name__}: {quoted(name)}"
        ) from None


def _is_ipv6(host: str) -> bool:
    with Ignored(OSError):
        socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
        return True
    return False


def _is_encodable(name: str) -> bool:
    """Return whether a name can be encoded for the operating system."""
    with suppress(UnicodeEncodeError):  # a lone surrogate
        os.fsencode(name)
        return True
    return False


def listening() -> list[str]:
    """Return the displays at which a server listens in this network namespace, by their numbers, as the kernel says."""
    from pathlib import Path  # noqa: PLC0415 - an error alone needs it

    with suppress(OSError):
        found = _LISTENING.findall(Path("/proc/net/unix").read_text(errors="replace"))
        return [f":{number}" for number in sorted({int(number) for number in found})]
    return []


def _who_listens() -> str:
    names = listening()
    if names:
        return f"servers listen at {', '.join(names[:_MOST_NAMES])}{', …' if len(names) > _MOST_NAMES else ''}"
    return "none listens on this machine: `xshm run` starts one for a command, VirtualDisplay for a program"
