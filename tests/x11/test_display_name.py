"""Display names: parsing, and connecting to the named socket and no other."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import xshm
from xshm.errors import ConnectFailed, RequestTimeout
from xshm.x11.connection import Connection
from xshm.x11.display_name import DisplayName

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers import Server

_LOCAL = {"family": socket.AF_UNIX}
_NAMES: list[tuple[str, dict[str, Any]]] = [
    (":0", _LOCAL | {"number": 0, "screen": 0}),
    (":12.3", _LOCAL | {"number": 12, "screen": 3}),
    ("unix:7", _LOCAL | {"number": 7}),
    ("unix/:7", _LOCAL | {"number": 7}),
    ("local/thathost:7", _LOCAL | {"number": 7}),
    ("thathost/unix:7.1", _LOCAL | {"number": 7, "screen": 1}),
    ("/tmp/.X11-unix/X5", _LOCAL | {"path": "/tmp/.X11-unix/X5", "number": 5}),  # noqa: S108
    ("unix:/run/display", _LOCAL | {"path": "/run/display", "number": 0}),
    ("/run/launchd/org.x:0", _LOCAL | {"path": "/run/launchd/org.x:0", "number": 0}),
    ("/run/display.2", _LOCAL | {"path": "/run/display", "screen": 2}),
    ("unix:@/tmp/.X11-unix/X9", _LOCAL | {"path": "@/tmp/.X11-unix/X9", "number": 9}),
    ("localhost:10.0", {"host": "localhost", "number": 10, "family": socket.AF_UNSPEC}),
    ("tcp/example-1.org:0", {"host": "example-1.org", "family": socket.AF_UNSPEC}),
    ("inet/127.0.0.1:3", {"host": "127.0.0.1", "number": 3, "family": socket.AF_INET}),
    ("inet6/[::1]:4.1", {"host": "::1", "number": 4, "screen": 1, "family": socket.AF_INET6}),
    ("[fe80::1%eth0]:0", {"host": "fe80::1%eth0", "family": socket.AF_UNSPEC}),
    ("::1:7", {"host": "::1", "number": 7, "screen": 0, "family": socket.AF_UNSPEC}),
    ("fe80::1%eth0:7.1", {"host": "fe80::1%eth0", "number": 7, "screen": 1, "family": socket.AF_UNSPEC}),
    ("inet6/::ffff:1.2.3.4:7", {"host": "::ffff:1.2.3.4", "number": 7, "family": socket.AF_INET6}),
]


@pytest.mark.parametrize(("name", "parts"), _NAMES)
def test_a_display_name_is_read(name: str, parts: dict[str, Any]) -> None:
    parsed = DisplayName.parse(name)
    assert parsed.name == name
    assert {field: getattr(parsed, field) for field in parts} == parts
    assert parsed.is_local == (parts["family"] == socket.AF_UNIX)


_XCB_HOSTS = ["", "host", "host-1.example.org", "127.0.0.1", "::1", "[::1]", "fe80::1%eth0", "::ffff:1.2.3.4"]
_XCB_NAMES = [
    f"{protocol}{host}:{number}"
    for protocol in ("", "unix/", "tcp/", "inet/", "inet6/")
    for host in _XCB_HOSTS
    for number in ("0", "7.1", "07", "", "x", "1.", ".1", "1.2.3", "1x")
    if host or protocol in ("", "unix/")  # "tcp/:0" is a local socket to libxcb: below
]


@pytest.mark.parametrize("name", ["", None, "host/unix:3", "host", "7", "::", *_XCB_NAMES])
def test_a_name_is_read_as_libxcb_reads_it(name: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", "host:12.3")
    host, number, screen = ctypes.c_char_p(), ctypes.c_int(), ctypes.c_int()
    encoded = None if name is None else name.encode()
    parse = ctypes.CDLL("libxcb.so.1").xcb_parse_display
    if not parse(encoded, ctypes.byref(host), ctypes.byref(number), ctypes.byref(screen)):
        with pytest.raises(ConnectFailed):
            DisplayName.parse(name)
        return
    parsed = DisplayName.parse(name)
    assert (parsed.number, parsed.screen) == (number.value, screen.value)
    found = (host.value or b"").decode()
    is_local = found in ("", "unix") or (name or "").startswith("unix/")  # which libxcb decides when it connects
    assert parsed.is_local == is_local
    assert parsed.host == ("" if is_local else found.strip("[]"))


def test_unix_without_a_path_is_this_machine() -> None:  # to libxcb until 1.15, which takes it for a path since
    assert DisplayName.parse("unix:0.1")[1:4] == (0, 1, "")
    assert DisplayName.parse("unix:0").is_local


# What libxcb takes and we do not: a host that can be none, a sign or blank before the number, a protocol that it then
# does not know, and TCP to nowhere, which it makes a local socket. What we take and libxcb does not: abstract sockets.
@pytest.mark.parametrize(
    "name",
    [
        "0",
        "host",
        ":",
        ":x",
        "host:1:2",
        "a b:0",
        "tcp/:0",
        "smb/host:0",
        "::1",
        "::0",
        "host::0",
        ":-1",
        ": 1",
        "::g:0",
    ],
)
def test_what_is_no_display_name_is_refused_and_quoted(name: str) -> None:
    with pytest.raises(ConnectFailed, match=r"display name|names no host") as refused:
        DisplayName.parse(name)
    assert repr(name) in str(refused.value)


def test_without_a_name_the_environment_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", "unix:33")
    assert DisplayName.parse(None) == DisplayName.parse("") == DisplayName.parse(b"") == DisplayName.parse("unix:33")
    monkeypatch.delenv("DISPLAY")
    for nothing in (None, "", b""):
        with pytest.raises(ConnectFailed, match="DISPLAY is not set"):
            DisplayName.parse(nothing)


@pytest.mark.parametrize("name", [7, 7.5, [":7"], object()])
def test_what_can_not_name_a_display_is_refused_by_its_type(name: Any) -> None:
    for take in (DisplayName.parse, xshm.Screen, xshm.VirtualDisplay.attach, lambda name: xshm.grab(display=name)):
        with pytest.raises(xshm.InvalidType, match=f"not by {type(name).__name__}"):
            take(name)


def test_a_name_is_taken_as_the_environment_and_pathlib_have_it(xvfb: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    place = f"/tmp/.X11-unix/X{xvfb.name[1:]}"  # noqa: S108
    for name in (xvfb.name.encode(), Path(place), place.encode()):
        with xshm.Screen(name) as screen:
            assert screen.display == os.fsdecode(name)
            assert screen.grab().width == 1280
    monkeypatch.setenv("DISPLAY", xvfb.name)
    with xshm.Screen("") as screen, xshm.Surface(20, 20, display=b"") as surface:
        assert screen.display == xvfb.name
        surface.wait()
    with xshm.VirtualDisplay.attach(xvfb.name.encode()) as attached:
        assert attached.name == xvfb.name


def test_a_dot_in_the_name_of_a_socket_that_exists_is_no_screen(tmp_path: Path) -> None:
    place = tmp_path / "socket.0"
    place.touch()
    parsed = DisplayName.parse(str(place))
    assert (parsed.path, parsed.screen) == (str(place), 0)


def _address(name: str) -> str:
    connection = Connection(name)
    assert connection.setup.width_in_pixels == 320
    connection.close()
    return connection.address


@pytest.mark.parametrize("name", [":5", "unix/host:5", "host:5", "tcp/10.0.0.5:5", "[::1]:5", "unix:@abstract.X5"])
def test_another_screen_of_a_display_is_named(name: str) -> None:
    assert DisplayName.parse(name).of_screen(0) == name
    for named in (name, f"{name}.0", f"{name}.3"):
        other = DisplayName.parse(named).of_screen(2)
        assert other == f"{name}.2"
        assert DisplayName.parse(other).screen == 2


def test_a_dot_of_the_socket_itself_stays_when_another_screen_is_named(tmp_path: Path) -> None:
    path = tmp_path / "X.5"
    path.touch()
    assert DisplayName.parse(str(path)).of_screen(1) == f"{path}.1"
    assert DisplayName.parse(f"{path}.3").of_screen(0) == str(path)


def test_a_local_name_is_the_socket_in_the_file_system(make_server: Callable[..., Server]) -> None:
    name = make_server("Xvfb", 320, 200).name
    place = f"/tmp/.X11-unix/X{name[1:]}"  # noqa: S108
    for spelling in (name, f"{name}.0", f"unix{name}", place, f"unix:{place}"):
        assert _address(spelling) == f"unix:{place}"
    assert _address(f"unix:@{place}") == f"unix:@{place}"


def test_a_server_that_listens_on_an_abstract_socket_alone_is_reached(make_server: Callable[..., Server]) -> None:
    name = make_server("Xvfb", 320, 200, 24, "-nolisten", "unix").name
    place = f"/tmp/.X11-unix/X{name[1:]}"  # noqa: S108
    assert not Path(place).exists()
    assert _address(name) == f"unix:@{place}"
    with pytest.raises(ConnectFailed, match="No such file"):
        Connection(place)


def test_a_host_name_is_tcp(make_server: Callable[..., Server]) -> None:
    name = make_server("Xvfb", 320, 200, tcp=True).name
    port = 6000 + int(name[1:])
    assert _address(f"localhost{name}") in (f"tcp:127.0.0.1:{port}", f"tcp:::1:{port}")
    for spelling in (f"127.0.0.1{name}", f"inet/127.0.0.1{name}.0", f"tcp/127.0.0.1{name}"):
        assert _address(spelling) == f"tcp:127.0.0.1:{port}"
    if socket.has_ipv6 and Path("/proc/net/if_inet6").exists():
        for spelling in (f"::1{name}", f"[::1]{name}", f"inet6/::1{name}.0"):
            assert _address(spelling) == f"tcp:::1:{port}"


@pytest.mark.parametrize("beyond", [1, 3])
def test_a_number_beyond_the_last_port_is_no_other_display(make_server: Callable[..., Server], beyond: int) -> None:
    number = int(make_server("Xvfb", 320, 200, tcp=True).name[1:]) + beyond * 65536
    words = f"^'127.0.0.1:{number}': display {number} would be TCP port {6000 + number}, and the last is 65535$"
    with pytest.raises(ConnectFailed, match=words):
        Connection(f"127.0.0.1:{number}")
    with pytest.raises(ConnectFailed, match=r"127\.0\.0\.1 port 65535: Connection refused"):
        Connection("127.0.0.1:59535")


def test_a_local_name_never_becomes_tcp() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        name = f":{port - 6000}"
        for spelling in (name, f"unix{name}", f"unix/localhost{name}"):
            with pytest.raises(ConnectFailed) as failed:
                Connection(spelling)
            place = f"/tmp/.X11-unix/X{name[1:]}"  # noqa: S108
            assert f"({place}: No such file or directory; @{place}: Connection refused)" in str(failed.value)
        listening.setblocking(False)
        with pytest.raises(BlockingIOError):  # nobody has come
            listening.accept()


def test_a_server_without_tcp_is_not_reached_by_its_host_name(xvfb: Server) -> None:
    with pytest.raises(ConnectFailed, match=f"127.0.0.1 port {6000 + int(xvfb.name[1:])}: Connection refused"):
        Connection(f"127.0.0.1{xvfb.name}")


def test_an_unknown_host_is_named() -> None:
    with pytest.raises(ConnectFailed, match=r"'no-such-host\.invalid' is not known"):
        Connection("no-such-host.invalid:0")


def test_a_stale_socket_is_a_refusal_that_says_what_was_tried(tmp_path: Path) -> None:
    place = tmp_path / "X4242"
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(place))
    stale.close()
    with pytest.raises(ConnectFailed, match=f"{place}: Connection refused") as failed:
        Connection(str(place))
    assert isinstance(failed.value, OSError)


def test_an_absent_display_is_a_failure_that_says_what_was_tried() -> None:
    with pytest.raises(ConnectFailed, match=r"X64999: No such file.*@/tmp/.X11-unix/X64999: Connection refused"):
        Connection(":64999")


def test_a_screen_that_the_server_does_not_have_is_refused(xvfb: Server) -> None:
    with pytest.raises(ConnectFailed, match="asks for screen 3; the server has 0 to 0"):
        Connection(f"{xvfb.name}.3")


def test_somebody_who_takes_connections_and_says_nothing_is_a_timeout(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(str(tmp_path / "X1"))
        mute.listen()
        before = time.monotonic()
        with pytest.raises(RequestTimeout, match="X1 took the connection and did not answer"):
            Connection(str(tmp_path / "X1"), timeout=0.1)
        assert time.monotonic() - before < 1


def test_somebody_who_ends_every_connection_is_a_failure(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as rude:
        rude.bind(str(tmp_path / "X1"))
        rude.listen()
        ending = threading.Event()

        def refuse() -> None:
            rude.settimeout(0.01)
            while not ending.is_set():
                with contextlib.suppress(TimeoutError):
                    rude.accept()[0].close()

        thread = threading.Thread(target=refuse)
        thread.start()
        with pytest.raises(ConnectFailed, match="X1 ended the connection while it was set up"):
            Connection(str(tmp_path / "X1"))
        ending.set()
        thread.join()


def test_a_server_without_room_for_another_client_says_so(make_server: Callable[..., Server]) -> None:
    server = make_server("Xvfb", 320, 200, 24, "-maxclients", "64")
    held: list[Connection] = []
    try:
        with pytest.raises(ConnectFailed, match="Maximum number of clients reached") as failed:
            held.extend(Connection(server.name) for _ in range(100))
        assert type(failed.value) is ConnectFailed
    finally:
        for connection in held:
            connection.close()


def test_a_name_at_which_nobody_listens_is_told_with_those_that_are_there(make_server: Callable[..., Server]) -> None:
    servers = [make_server("Xvfb", 64, 64) for _ in range(2)]
    with pytest.raises(ConnectFailed) as caught:
        xshm.Screen(":61234")
    there = re.search(r"servers listen at ((?::\d+, )*:\d+(?:, …)?)$", str(caught.value))
    assert there
    numbers = there[1].replace(", …", "").split(", ")
    if "…" not in there[1]:
        assert {server.name for server in servers} <= set(numbers)
    assert numbers == sorted(numbers, key=lambda name: int(name[1:]))


@pytest.mark.skipif(os.geteuid() != 0, reason="a network namespace takes root")
def test_where_no_server_is_the_way_to_one_is_told() -> None:
    code = "import xshm; xshm.Screen(':61234')"
    done = subprocess.run(
        ["unshare", "-n", sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=30
    )
    assert done.stderr.endswith("`xshm run` starts one for a command, VirtualDisplay for a program\n")
