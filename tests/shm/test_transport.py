"""Transports: chosen by proof, reported with a reason, and forced by name; attaching and detaching."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sysv_kernel import run_python_with_few_segments
from Xlib.ext import res
from Xlib.protocol import request

import xshm
from xshm.errors import BadAccess, DisplayGone, InvalidArgument, InvalidType, RequestTimeout, TransportUnavailable
from xshm.shm.probe import choose
from xshm.shm.segment import Segment
from xshm.x11.connection import Connection
from xshm.x11.protocol import core, mit_shm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from painter import Painter
    from servers import Server

    from xshm.shm.transport import Transport

_NONCE = "the server read a nonce out of our"


@contextlib.contextmanager
def opened(name: str, wanted: str = "auto") -> Iterator[tuple[Connection, Transport]]:
    connection = Connection(name, timeout=10)
    try:
        yield connection, choose(connection, wanted)
    finally:
        connection.close()


# -- by name ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "kind", "reason"),
    [
        ("auto", "sysv", f"{_NONCE} segment"),
        ("sysv", "sysv", f"{_NONCE} segment"),
        ("fd", "fd", f"{_NONCE} memfd"),
        ("core", "core", "asked for by name"),
    ],
)
def test_every_transport_can_be_asked_for_and_says_why(xvfb: Server, wanted: str, kind: str, reason: str) -> None:
    with opened(xvfb.name, wanted) as (_, transport):
        assert (transport.kind, transport.reason) == (kind, reason)
        assert repr(transport) == f"<Transport {kind}: {reason}>"
        assert transport.version == (None if kind == "core" else (1, 2))
        assert transport.shared_pixmaps == (kind != "core")


@pytest.mark.parametrize("wanted", ["sysv", "fd", "core"])
def test_every_transport_takes_the_same_picture(xvfb: Server, painter: Painter, wanted: str) -> None:
    painter.noise((0, 0, 300, 200))
    with opened(xvfb.name) as (connection, _), xshm.Screen(xvfb.name, wanted) as screen:
        assert screen.transport.kind == wanted
        for box in ((0, 0, 300, 200), (17, 5, 33, 21), (299, 199, 1, 1)):
            expected = connection.wire.call(core.pack_get_image(connection.setup.root.id, *box)).reply
            assert expected is not None
            assert screen.grab(box).pixels.tobytes() == expected[32:]


@pytest.mark.parametrize("wanted", ["shm", "", "SYSV"])
def test_a_transport_that_nobody_knows_is_refused(xvfb: Server, wanted: str) -> None:
    connection = Connection(xvfb.name)
    with pytest.raises(InvalidArgument, match=f"one of auto, sysv, fd, core; not {wanted!r}"):
        choose(connection, wanted)
    connection.close()


# -- why not ---------------------------------------------------------------------------------------------------------


def test_over_tcp_it_is_core_and_the_reasons_are_told(make_server: Callable[..., Server]) -> None:
    server = make_server("Xvfb", 320, 200, tcp=True)
    name = f"127.0.0.1{server.name}"
    with opened(name) as (connection, transport):
        assert transport.kind == "core"
        sysv, _, fd = transport.reason.partition("; ")
        assert sysv.startswith("sysv: the server may not attach our segment: over TCP the server does not see who")
        assert fd == f"fd: descriptors do not travel over TCP ({connection.address})"
    with xshm.Screen(name) as screen:
        assert screen.grab((0, 0, 3, 3)).pixels.shape == (3, 3, 4)
    for wanted, why in (("sysv", "sysv: .* over TCP"), ("fd", "fd: descriptors do not travel over TCP")):
        with (
            pytest.raises(TransportUnavailable, match=f"{why}.*transport='auto' takes what works"),
            opened(name, wanted),
        ):
            pass


def test_without_the_extension_it_is_core_and_the_reason_is_told(make_server: Callable[..., Server]) -> None:
    server = make_server("Xvfb", 320, 200, 24, "-extension", "MIT-SHM")
    with opened(server.name) as (connection, transport):
        missing = f"the server at {connection.address} does not have the MIT-SHM extension"
        assert (transport.kind, transport.reason) == ("core", f"sysv: {missing}; fd: {missing}")
        assert transport.version is None
    for wanted in ("sysv", "fd"):
        with pytest.raises(TransportUnavailable, match="does not have the MIT-SHM"), opened(server.name, wanted):
            pass


def test_a_server_of_another_user_attaches_by_descriptor() -> None:
    as_nobody, program = shutil.which("setpriv"), shutil.which("Xvfb")
    if os.geteuid() != 0 or as_nobody is None or program is None:
        pytest.skip("takes root, setpriv(1) and Xvfb, for a server of another user")
    command = [as_nobody, "--reuid=65534", "--clear-groups", program, "-displayfd", "1", "-screen", "0", "320x200x24"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        try:
            name = f":{server.stdout.readline().strip()}"
            with opened(name) as (_, transport):
                assert transport.kind == "fd"
                why = "sysv: the server may not attach our segment: it runs as uid 65534, we as uid 0, or it is in"
                assert transport.reason.startswith(why)
                assert transport.reason.endswith(f"; {_NONCE} memfd")
        finally:
            server.terminate()


_LIMITS = {"shmmni": (0, "No space left on device"), "shmall": (60, "No space left"), "shmmax": (99_999, "Invalid")}


@pytest.mark.parametrize("name", _LIMITS)
def test_where_the_kernel_has_no_room_for_a_frame_it_is_the_descriptor(name: str) -> None:
    value, words = _LIMITS[name]
    auto, forced, frame = run_python_with_few_segments(
        f"""
        limit({name}={value})
        with servers.start("Xvfb", 320, 200) as server:
            with xshm.Screen(server.name) as screen:
                print(screen.transport.kind, screen.transport.reason)
                frame = screen.grab()
            try:
                xshm.Screen(server.name, "sysv")
            except xshm.TransportUnavailable as error:
                print(error)
            print(frame.rect)
        """
    ).splitlines()
    why = f"sysv: this machine refused the memory: {words}"
    assert auto.startswith(f"fd {why}")
    assert "size=256000, flags=0o3600): the limit is kernel." in auto
    assert f"kernel.{name} ({value:,})" in auto
    assert auto.endswith(f"; raise it (sysctl); {_NONCE} memfd")
    assert forced.startswith(why)
    assert frame == "320x200+0+0"


def test_a_server_that_dies_during_the_probe_is_no_lack_of_memory(
    xvfb: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = Connection(xvfb.name)
    for kind in (DisplayGone, RequestTimeout, TimeoutError):

        def fails(*_: object, kind: type[Exception] = kind) -> bool:
            raise kind("in the middle of it")

        monkeypatch.setattr("xshm.shm.probe._reads_our_bytes", fails)
        with pytest.raises(kind, match="in the middle of it"):
            choose(connection)
    connection.close()


# -- other IPC namespaces --------------------------------------------------------------------------------------------

_CLIENT = """
import sys
import xshm
try:
    with xshm.Screen(sys.argv[1], sys.argv[2]) as screen, xshm.Screen(sys.argv[1], "core") as other:
        box = (0, 0, 200, 150)
        for _ in range(3):
            assert (screen.grab(box).pixels[..., :3] == other.grab(box).pixels[..., :3]).all()
        print(screen.transport.kind, screen.transport.reason)
except xshm.TransportUnavailable as why:
    print("unavailable", why)
"""

_SERVER = """
import sys
sys.path.insert(0, sys.argv[1])
from servers import start
from xshm import sysv
decoys = [sysv.shmat(sysv.shmget(sysv.IPC_PRIVATE, 1 << 20, sysv.IPC_CREAT | 0o666)) for _ in range(40)]
ids = sorted(each.shmid for each in sysv.segments())
for number, decoy in enumerate(decoys):
    decoy[:] = bytes([0xA0 + number]) * len(decoy)
with start("Xvfb", 320, 200) as server:
    print(server.name, ids[0], flush=True)
    sys.stdin.read()
changed = [number for number, decoy in enumerate(decoys) if bytes(decoy) != bytes([0xA0 + number]) * len(decoy)]
print("changed", changed, flush=True)
"""


def _elsewhere(unshare: tuple[str, ...], name: str, wanted: str) -> str:
    command = [*unshare, sys.executable, "-c", _CLIENT, name, wanted]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert not run.stderr, run.stderr
    return run.stdout.strip()


@pytest.fixture(scope="module")
def unshare() -> tuple[str, ...]:
    """Give the command that starts a program in an IPC namespace of its own."""
    program = shutil.which("unshare")
    if program is None:
        pytest.skip("unshare(1) is not installed")
    for command in ((program, "--ipc"), (program, "--user", "--map-root-user", "--ipc")):
        if subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0:
            return command
    pytest.skip("no right to make an IPC namespace here")


def test_from_another_ipc_namespace_it_is_the_descriptor(xvfb: Server, unshare: tuple[str, ...]) -> None:
    told = _elsewhere(unshare, xvfb.name, "auto")
    assert told.startswith("fd sysv: the server may not attach our segment: ")
    assert "another IPC namespace" in told
    told = _elsewhere(unshare, xvfb.name, "sysv")
    assert told.startswith("unavailable sysv: the server may not attach our segment")


def test_a_stranger_s_segment_under_our_id_is_neither_trusted_nor_written_to(unshare: tuple[str, ...]) -> None:
    # In a fresh namespace ids begin at 0: the ids of the client's segments are those of the decoys beside the server.
    here = str(Path(__file__).parents[1] / "helpers")
    server = subprocess.Popen(
        [*unshare, sys.executable, "-c", _SERVER, here], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert server.stdin is not None
    assert server.stdout is not None
    try:
        name, lowest = server.stdout.readline().split()
        assert lowest == "0"
        stranger = "sysv: the server attached another segment with the same id; it is in another IPC namespace"
        assert _elsewhere(unshare, name, "auto") == f"fd {stranger}; {_NONCE} memfd"
        assert _elsewhere(unshare, name, "sysv").startswith(f"unavailable {stranger}; transport='auto'")
        assert _elsewhere(unshare, name, "fd") == f"fd {_NONCE} memfd"
        server.stdin.close()
        assert server.stdout.readline() == "changed []\n"
    finally:
        server.stdin.close()
        server.wait(20)
        server.stdout.close()


# -- what it leaves --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wanted", ["sysv", "fd"])
def test_the_probe_leaves_nothing_on_the_server(xvfb: Server, wanted: str) -> None:
    with opened(xvfb.name, wanted) as (connection, transport):
        assert not connection.resources.numbers
        _, names, values = _resources(connection)
        assert "PIXMAP" not in names, f"left on the server: {dict(zip(names, values, strict=True))}"
        assert transport.kind == wanted


def _resources(connection: Connection) -> tuple[int, list[str], list[int]]:
    """Ask what the server holds for this client (X-Resource)."""
    extension = connection.extension("X-Resource")
    assert extension is not None
    client = connection.info.resource_id_base
    reply = connection.request(res.QueryClientResources, opcode=extension.major, client=client)
    names = [connection.request(request.GetAtomName, atom=each.resource_type).name for each in reply.types]
    return client, names, [each.count for each in reply.types]


@pytest.mark.parametrize("wanted", ["sysv", "fd"])
def test_a_segment_is_attached_as_long_as_its_number_is_held_or_until_it_is_detached(xvfb: Server, wanted: str) -> None:
    with opened(xvfb.name, wanted) as (connection, transport):
        one, two = (transport.attach(Segment("sysv" if wanted == "sysv" else "memfd", 4096)) for _ in range(2))
        assert _is_attached(connection, transport, one)
        assert _is_attached(connection, transport, two)
        transport.detach(one)
        transport.detach(one)
        assert not _is_attached(connection, transport, one)
        number = int(two)
        del two
        three = transport.attach(Segment("memfd", 4096) if wanted == "fd" else Segment("sysv", 4096))
        assert not _is_attached(connection, transport, number)
        assert _is_attached(connection, transport, three)
        assert list(connection.resources.numbers) == [three & connection.info.resource_id_mask]
    transport.detach(three)  # the connection is over


def _is_attached(connection: Connection, transport: Transport, shmseg: int) -> bool:
    pending = connection.wire.call(
        mit_shm.pack_get_image(transport.opcode, connection.setup.root.id, 0, 0, 1, 1, shmseg)
    )
    return pending.error is None


def test_a_refused_attach_is_the_servers_error_and_costs_no_id(xvfb: Server) -> None:
    with opened(xvfb.name, "sysv") as (connection, transport):
        segment = Segment("sysv", 4096)
        segment.shmid = type(segment.shmid)(2**31 - 1)
        with pytest.raises(BadAccess, match="ShmAttach: BadAccess"):
            transport.attach(segment)
        assert not connection.resources.numbers


def test_what_was_not_attached_here_is_not_detached(xvfb: Server) -> None:
    with opened(xvfb.name, "sysv") as (connection, transport):
        shmseg = transport.attach(Segment("sysv", 4096))
        for other in (5, int(shmseg), None, "segment"):
            with pytest.raises(InvalidType, match=f"not {type(other).__name__}: {other!r}"):
                transport.detach(other)  # type: ignore[arg-type]
        assert _is_attached(connection, transport, shmseg)
