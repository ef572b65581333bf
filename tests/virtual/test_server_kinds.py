"""Every kind of server that a virtual display can be keeps the same promises, and what one can't do is said by name."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import pytest
from displays import painting
from processes import children, ended, lives, parent
from programs import eventually
from reference import core_image, xwd

from xshm import Surface
from xshm.drawables.screen import Screen
from xshm.errors import AccessDenied, DisplayGone, InvalidArgument, StartFailed, TransportUnavailable
from xshm.geometry import Rect
from xshm.virtual.display import VirtualDisplay
from xshm.virtual.kinds.installed import ServerKind
from xshm.virtual.spec import DisplaySpec, ScreenSpec

if TYPE_CHECKING:
    from collections.abc import Iterator

_KINDS: tuple[ServerKind, ...] = get_args(ServerKind)
_VNC_AUTH = 2  # RFB's security type of a password

each_kind = pytest.mark.parametrize("kind", _KINDS)


@pytest.fixture(scope="module", params=_KINDS)
def running(request: pytest.FixtureRequest) -> Iterator[VirtualDisplay]:
    """Give a display of each kind that the tests of this file share, 320x200."""
    with VirtualDisplay(320, 200, server=request.param) as display:
        yield display


def processes_of(display: VirtualDisplay) -> dict[str, int]:
    """Return the processes of a display by name, the owner's left out."""
    assert display.pid is not None
    supervisor = parent(display.pid)
    found = {"server": display.pid, "supervisor": supervisor, "shell": parent(supervisor)}
    others = [pid for pid in children(supervisor) if pid != display.pid]
    return found | dict(zip(["compositor"], others, strict=False))


def sockets_of(pid: int) -> list[str]:
    """Return the names of a process's sockets that listen, as ss(8) tells, and of TCP and UDP."""
    command = ["ss", "--listening", "--processes", "--no-header", "--numeric", "--unix", "--tcp", "--udp"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    mine = [line.split() for line in lines if f"pid={pid}," in line]
    # Of Unix sockets those without a name are listed, too, which have no peer.
    unix = [words[4] for words in mine if words[0].startswith("u_") and words[1] == "LISTEN"]
    return unix + [f"{words[0]} {words[4]}" for words in mine if not words[0].startswith("u_")]


def left_of(display: VirtualDisplay, found: dict[str, int]) -> list[str]:
    """Return what is still there of a display: processes, its directory, its socket."""
    assert display.xauthority is not None
    paths = (display.xauthority.parent, Path(f"/tmp/.X11-unix/X{display.name[1:]}"))  # noqa: S108 - where X servers listen
    mine = [name for name, pid in found.items() if lives(pid)]
    # Another display may have got the number, and the socket's path, by now.
    return mine + [str(path) for path in paths[: 1 + bool(mine)] if path.exists()]


# -- it does what a display does ---------------------------------------------------------------------------------------


def test_a_grab_is_what_was_drawn(running: VirtualDisplay) -> None:
    assert running.server is not None
    assert running.screen.rect == Rect(0, 0, 320, 200)
    assert running.screen.transport.kind == "sysv"
    with painting(running) as painter:
        painter.rectangles(30)
        frame = running.screen.grab()
        np.testing.assert_array_equal(frame.pixels[..., :3], core_image(painter.display)[..., :3])
        assert len(np.unique(frame.rgb().reshape(-1, 3), axis=0)) > 5


def test_drawing_is_noticed(running: VirtualDisplay) -> None:
    with painting(running) as painter, running.screen.stream(on_change=True) as stream:
        next(stream)
        painter.fill((10, 20, 30, 40), (1, 2, 3))
        changed = next(stream)
        assert changed.pixel(10, 20) == (1, 2, 3)


def test_the_pointer_moves_and_shows_where_it_is_asked_for(running: VirtualDisplay) -> None:
    subprocess.run(["xsetroot", "-solid", "blue", "-cursor_name", "left_ptr"], env=running.env(), check=True)
    running.screen.move(160, 100)
    region = (140, 80, 40, 40)
    without, shown = running.screen.grab(region), running.screen.grab(region, cursor=True)
    assert (without.rgb() == (0, 0, 255)).all()
    assert 10 < (shown.rgb() != (0, 0, 255)).any(axis=-1).sum() < 800


def test_a_surface_shows_on_it(running: VirtualDisplay) -> None:
    with running.activate(), Surface(50, 40, position=(30, 20)) as surface:
        surface.show(np.full((40, 50, 3), (9, 8, 7), np.uint8))
        surface.wait()
        assert running.screen.window(surface.id).grab().pixel(49, 39) == (9, 8, 7)


def test_without_the_cookie_nobody_gets_in(running: VirtualDisplay, tmp_path: Path) -> None:
    nothing = tmp_path / "empty"
    nothing.touch()
    with pytest.raises(AccessDenied):
        Screen(running.name, xauthority=nothing)
    refused = subprocess.run(
        ["xdpyinfo"], env=running.env() | {"XAUTHORITY": str(nothing)}, capture_output=True, text=True, check=False
    )
    assert (refused.returncode, "Authorization required" in refused.stderr) == (1, True)


def test_it_listens_for_x_alone(running: VirtualDisplay) -> None:
    assert running.server is not None
    assert running.xauthority is not None
    found = processes_of(running)
    assert ("compositor" in found) == (running.server.kind == "xwayland")
    where = f"/tmp/.X11-unix/X{running.name[1:]}"  # noqa: S108 - where X servers listen
    vnc = running.xauthority.parent / "vnc"
    assert sorted(sockets_of(found.pop("server"))) == sorted(
        [where, f"@{where}", *([str(vnc)] if running.server.kind == "xvnc" else [])]
    )
    assert {name: sockets_of(pid) for name, pid in found.items()} == {name: [] for name in found}


def test_nobody_gets_in_by_vnc() -> None:
    with VirtualDisplay(64, 48, server="xvnc") as display, socket.socket(socket.AF_UNIX) as client:
        assert display.xauthority is not None
        path = display.xauthority.parent / "vnc"
        assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
        client.settimeout(5)
        client.connect(str(path))
        client.sendall(client.recv(12, socket.MSG_WAITALL))  # "RFB 003.008\n"
        count = client.recv(1)[0]
        assert list(client.recv(count)) == [_VNC_AUTH]
        client.sendall(bytes([_VNC_AUTH]))
        assert client.recv(4) != b"\0\0\0\0", "not the end of a handshake that lets in"


def test_its_processes_ignore_no_signal_that_the_supervisor_ignores(running: VirtualDisplay) -> None:
    for name in ("server", "compositor"):
        if pid := processes_of(running).get(name):
            (ignored,) = re.findall(r"^SigIgn:\s*(\w+)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
            wanted = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)
            assert [each for each in wanted if int(ignored, 16) >> (each - 1) & 1] == [], name


def test_programs_run_on_it(running: VirtualDisplay) -> None:
    with running.launch("xclock -geometry 60x50+5+5") as clock:
        assert clock.window is not None
        assert running.screen.window(clock.window).rect == Rect(0, 0, 60, 50)
    assert clock.poll() is not None
    assert running.run("false").wait(timeout=5) == 1
    with running.run("xterm -e sleep 60") as program:
        assert eventually(lambda: any("xterm" in each.class_name.lower() for each in running.screen.windows()))
    assert program.poll() is not None


def test_another_process_attaches_to_it(running: VirtualDisplay) -> None:
    with VirtualDisplay.attach(running.name, running.xauthority) as attached:
        assert (attached.pid, attached.server) == (running.pid, None)
        assert attached.screen.grab().rect == running.screen.rect
        assert attached.run("true").wait(timeout=5) == 0
    assert not running.wait(timeout=0.01)


def test_only_who_has_a_framebuffer_gives_one(running: VirtualDisplay) -> None:
    assert running.server is not None
    if running.server.kind == "xvfb":
        assert running.framebuffer.rect == running.screen.rect
        return
    with pytest.raises(TransportUnavailable, match=r"does not share its screen's memory; Xvfb does \(server='xvfb'\)"):
        _ = running.framebuffer


def test_its_settings_reach_the_server(tmp_path: Path) -> None:
    for kind, depth in (("xvfb", 30), ("xvnc", 16), ("xwayland", 24)):
        log = tmp_path / kind
        spec = DisplaySpec(101, 77, depth, dpi=144, fonts=("built-ins",), args=("-br",), log=log, server=kind)  # type: ignore[arg-type]
        with VirtualDisplay.from_spec(spec) as display:
            said = subprocess.run(["xdpyinfo"], env=display.env(), capture_output=True, text=True, check=True).stdout
            assert re.search(r"dimensions: +101x77 pixels", said)
            assert re.search(rf"depth of root window: +{depth} planes", said)
            assert kind == "xwayland" or re.search(r"14\dx1[34]\d dots", said), "Xwayland's is that of its output"
            fonts = subprocess.run(["xset", "q"], env=display.env(), capture_output=True, text=True, check=True).stdout
            assert "built-ins" in fonts
            with painting(display) as painter:
                painter.rectangles(20)
                np.testing.assert_array_equal(display.screen.grab().rgb(), xwd(display).rgb())  # type: ignore[arg-type]
            assert log.read_text(errors="replace") == display.said()


def test_what_server_and_compositor_say_is_copied_to_a_pipe() -> None:
    reads, writes = os.pipe()
    with os.fdopen(reads, "rb") as told:
        with os.fdopen(writes, "wb"):
            display = VirtualDisplay(64, 48, server="xwayland", log=Path(f"/proc/self/fd/{writes}"))
            assert "weston" in display.said()
        display.close()
        assert b"weston" in told.read()


# -- it leaves nothing -------------------------------------------------------------------------------------------------


@each_kind
def test_closing_leaves_nothing(kind: ServerKind) -> None:
    with VirtualDisplay(64, 48, server=kind) as first, VirtualDisplay(64, 48, server=kind) as second:
        assert first.name != second.name
        program = first.run("sleep 60")
        found, others = processes_of(first), processes_of(second)
        first.close()
        assert not left_of(first, found)
        assert program.poll() is not None
        assert all(map(lives, others.values()))
        assert second.screen.grab().rect == Rect(0, 0, 64, 48)
    assert not left_of(second, others)


@pytest.mark.parametrize(
    ("kind", "victim", "how"),
    [
        *((kind, victim, "KILL") for kind in ("xvnc", "xwayland") for victim in ("server", "supervisor", "shell")),
        ("xwayland", "compositor", "KILL"),
        ("xwayland", "server", "STOP"),
        ("xwayland", "compositor", "STOP"),
    ],
)
def test_a_display_of_which_one_process_is_killed_or_stopped_leaves_nothing(
    kind: ServerKind, victim: str, how: str
) -> None:
    display = VirtualDisplay(64, 48, server=kind)
    found = processes_of(display)
    screen = display.screen
    os.kill(found[victim], signal.Signals[f"SIG{how}"])
    if how == "KILL" and victim != "shell":
        assert display.wait(timeout=5), "the server ends"
        with pytest.raises(DisplayGone):
            screen.grab()
        others = [pid for name, pid in found.items() if name in ("server", "compositor")]
        assert all(map(ended, others)), "both of them, and before the display is closed"
    display.close()
    assert not left_of(display, found)


@pytest.mark.parametrize("kind", ["xvnc", "xwayland"])
def test_the_end_of_its_owner_is_its_end(kind: ServerKind) -> None:
    program = (
        "import sys; from xshm.virtual.display import VirtualDisplay as V; d = V(64, 48, server=sys.argv[1]); "
        "print(d.name, d.pid, d.xauthority, flush=True); input()"
    )
    command = [sys.executable, "-c", program, kind]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        _, pid, authority = owner.stdout.readline().split()
        found = children(parent(int(pid)))
        assert len(found) == 1 + (kind == "xwayland")
        owner.kill()
    assert all(map(ended, found))
    assert eventually(lambda: not Path(authority).parent.exists())


def test_a_compositor_that_can_t_start_is_told_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    weston = tmp_path / "weston"
    weston.write_text("#!/bin/sh\necho weston has no such backend >&2; exit 3\n")
    weston.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(StartFailed, match=r"Xwayland ended with exit code .* no such backend"):
        VirtualDisplay(server="xwayland")


# -- which one it is ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"server": "xvnc", "depth": 8}, r"Xvnc has depth 16 and 24, not 8; server='xvfb' has that"),
        ({"server": "xwayland", "depth": 16}, r"Xwayland has depth 24, not 16; server='xvfb' has that"),
        ({"server": "xvnc", "screens": [ScreenSpec(9, 9)]}, "Xvnc has one screen, not 2"),
        ({"server": "xwayland", "framebuffer": "sysv"}, r"does not share its screen's memory \(framebuffer='sysv'\)"),
        ({"server": "xvnc", "framebuffer": Path("/tmp")}, "does not share its screen's memory"),  # noqa: S108
        ({"server": "xvnc", "cursor": True}, "Xvnc has no framebuffer, which cursor=True is about"),
        ({"server": "xvnc", "width": 16385}, "a screen of Xvnc is at most 16384x16384, not 16385x800"),
        ({"server": "xvnc", "args": ["-RFBPort=5900"]}, "nobody gets in by VNC"),
        ({"server": "xvnc", "args": ["-geometry"]}, "width and height"),
        ({"server": "xwayland", "args": ["-rootless"]}, "a display is one whole screen"),
        ({"args": ["SecurityTypes=None"]}, "nobody gets in by VNC"),
        ({"server": "xorg"}, "server is 'auto', 'xvfb', 'xvnc' or 'xwayland', not 'xorg'"),
        ({"server": ["xvfb"]}, "server is 'auto'"),
    ],
)
def test_what_a_server_can_t_do_is_refused_by_name(options: dict[str, Any], why: str) -> None:
    with pytest.raises(InvalidArgument, match=why):
        DisplaySpec(**options)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Give a directory that is the whole PATH, with the servers' programs in it."""
    for name in ("Xvfb", "Xvnc", "Xwayland", "weston", "mkdir"):  # the start of a display needs that
        path = next(Path(place, name) for place in os.get_exec_path() if Path(place, name).exists())
        (tmp_path / name).symlink_to(path)
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def test_auto_takes_what_there_is_and_says_why(installed: Path) -> None:
    with VirtualDisplay(64, 48) as display:
        assert display.server is not None
        assert str(display.server) == "Xvfb (it is installed, and can do all that is asked for)"
        assert display.server.program == str(installed / "Xvfb")
    (installed / "Xvfb").unlink()
    with VirtualDisplay(64, 48) as display:
        assert display.server is not None
        assert re.fullmatch(r"Xvnc \(Xvfb is not installed: .*xvfb\)", str(display.server))
        assert display.screen.grab().rect == Rect(0, 0, 64, 48)
    with pytest.raises(
        StartFailed, match=r"no server.*: Xvfb is not installed: .*; Xvnc has depth 16 and 24, not 8; Xw"
    ):
        VirtualDisplay(depth=8)
    with pytest.raises(StartFailed, match=r"Xvnc does not share its screen's memory \(framebuffer='file'\)"):
        VirtualDisplay(framebuffer="file")
    (installed / "Xvnc").unlink()
    with VirtualDisplay(64, 48) as display:
        assert display.server is not None
        assert display.server.kind == "xwayland"
        assert re.search(r"Xvfb is not installed: .*; Xvnc is not installed: .*", display.server.reason)
    (installed / "weston").unlink()
    with pytest.raises(StartFailed, match=r"Xvfb is not .*; Xvnc is not .*; weston is not installed: .*weston"):
        VirtualDisplay()
    with pytest.raises(StartFailed, match=r"no server for this display: Xvnc is not installed: .*"):
        VirtualDisplay(server="xvnc")


def test_run_takes_the_server_that_is_named() -> None:
    def run(*options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "xshm", "run", *options, "--", "xdpyinfo"]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    assert re.search(r"depth of root window: +16 planes", run("--server", "xvnc", "--depth", "16").stdout)
    refused = run("--server", "xwayland", "--depth", "16")
    assert (refused.returncode, "Xwayland has depth 24, not 16" in refused.stderr) == (2, True), refused


def test_a_socket_s_path_is_not_too_long(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    long = tmp_path / ("d" * 100)
    long.mkdir()
    monkeypatch.setenv("TMPDIR", str(long))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    with VirtualDisplay(64, 48, server="xvnc") as display:
        assert display.xauthority is not None
        assert not display.xauthority.is_relative_to(long)


# -- resized -----------------------------------------------------------------------------------------------------------


def test_an_xvnc_is_resized_while_it_is_streamed_and_shown_on() -> None:
    with VirtualDisplay(200, 100, server="xvnc") as display, display.activate(), painting(display) as painter:
        sizes = [(320, 240), (801, 603), (33, 40), (1600, 1200), (201, 99)]
        with display.screen.stream(on_change=True) as stream, Surface(30, 20, position=(0, 0)) as surface:
            next(stream)
            for number, (width, height) in enumerate(sizes):
                display.resize(width, height)
                whole = Rect(0, 0, width, height)
                assert (display.screen.rect, display.screen.grab().rect) == (whole, whole)
                assert (display.width, display.height) == (width, height)
                assert [monitor.rect for monitor in display.screen.monitors] == [whole]
                painter.fill((width - 3, height - 3, 3, 3), (number, 1, 2))
                surface.show(np.full((20, 30, 3), (number, 5, 6), np.uint8))
                surface.wait()
                frame = next(frame for frame in stream if frame.rect == whole and frame.pixel(2, 2)[0] == number)
                assert frame.pixel(width - 1, height - 1) == (number, 1, 2)
                assert frame.pixel(2, 2) == (number, 5, 6)
        listed = subprocess.run(["xrandr"], env=display.env(), capture_output=True, text=True, check=True).stdout
        assert listed.count("xshm-") == 1, "modes that are not needed any more are gone"


def test_threads_that_resize_at_the_same_time_leave_one_of_their_sizes() -> None:
    with VirtualDisplay(200, 100, server="xvnc") as display:
        sizes = [(300, 100), (100, 300), (250, 250)]
        threads = [threading.Thread(target=lambda size=size: display.resize(*size)) for size in sizes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (display.width, display.height) in sizes
        assert display.screen.grab().rect == display.screen.rect


def test_a_size_that_a_server_does_not_have_is_refused_and_it_goes_on(running: VirtualDisplay) -> None:
    assert running.server is not None
    refused = {
        "xvfb": [((321, 200), r"1x1 to 320x200 pixels, not 321x200; Xvnc takes any size \(server='xvnc'\)")],
        "xvnc": [
            ((16385, 100), "at most 16384x16384 pixels"),
            ((100, 20000), "at most"),
            ((1, 1), "32x32 to .* not 1x1"),
        ],
        "xwayland": [((16385, 100), "at most 16384x16384 pixels"), ((1, 1), "16x16 to .* not 1x1; Xvnc")],
    }
    for size, why in (*refused[running.server.kind], ((0, 5), "1x1 to 32767x32767 pixels, not 0x5")):
        with pytest.raises(InvalidArgument, match=why):
            running.resize(*size)
    assert running.screen.grab().rect == Rect(0, 0, 320, 200)


def test_an_xwayland_is_resized_where_it_can_be() -> None:
    with VirtualDisplay(64, 48, server="xwayland") as display:
        said = subprocess.run(["Xwayland", "-version"], capture_output=True, text=True, check=False).stderr
        newer = int(said.split("Version ")[1].split(".")[0]) >= 23
        for size in ((801, 603), (33, 40), (1600, 1200)):
            with (
                contextlib.nullcontext() if newer else pytest.raises(InvalidArgument, match="it has 64x48; Xvnc takes")
            ):
                display.resize(*size)
            assert display.screen.grab().rect == Rect(0, 0, *(size if newer else (64, 48)))
        with (
            VirtualDisplay.attach(display.name, display.xauthority) as attached,
            pytest.raises(InvalidArgument, match="whose compositor may end it"),
        ):
            attached.resize(100, 100)


def test_an_xvfb_is_resized_with_its_framebuffer() -> None:
    with VirtualDisplay(200, 100, server="xvfb") as display:
        for size in ((150, 60), (7, 5), (200, 100)):
            display.resize(*size)
            assert display.screen.grab().rect == display.framebuffer.grab().rect == Rect(0, 0, *size)


def test_a_display_that_was_attached_to_is_resized() -> None:
    with (
        VirtualDisplay(200, 100, server="xvnc") as display,
        VirtualDisplay.attach(display.name, display.xauthority) as attached,
    ):
        attached.resize(300, 200)
        assert display.screen.grab().rect == Rect(0, 0, 300, 200)
        with pytest.raises(InvalidArgument, match="at most 16384x16384"):
            attached.resize(16385, 200)
