"""A virtual display is ready when it is made, and nothing of it is left after its end, however it ends."""

from __future__ import annotations

import contextlib
import gc
import math
import os
import pickle
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from descriptors import open_file_of
from namespaces import covers_this_checkout
from PIL import Image
from processes import children, ended, lives, parent
from programs import eventually
from servers import own_number

from xshm.drawables.screen import Screen
from xshm.errors import (
    AccessDenied,
    Closed,
    ConnectFailed,
    DisplayGone,
    InvalidArgument,
    InvalidType,
    StartFailed,
    TransportUnavailable,
    WindowNotFound,
)
from xshm.virtual.display import VirtualDisplay
from xshm.virtual.screens import server_pid
from xshm.virtual.spec import DisplaySpec, ScreenSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from servers import Server

    from xshm.virtual.programs.program import Program

_ANOTHER_UID = 65534
_DEAF = ["sh", "-c", "trap : TERM INT HUP; echo ready; while :; do sleep 1; done"]

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be another user or to mount")


@pytest.fixture
def display() -> Iterator[VirtualDisplay]:
    with VirtualDisplay(640, 480) as display:
        yield display


def socket_file(display: VirtualDisplay) -> Path:
    return Path(f"/tmp/.X11-unix/X{display.name[1:]}")  # noqa: S108 - where X servers listen


def stamp(path: Path) -> tuple[int, int] | None:
    """Return what tells a file from one that another server has put in its place."""
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_ino, path.stat().st_ctime_ns
    return None


def as_another_user(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a Python program as another local user."""
    # The virtual environment may lie where that user can't go.
    command = ["/usr/bin/python3", "-c", program, *arguments]
    environment = {"PATH": os.environ["PATH"]}
    return subprocess.run(
        command,
        user=_ANOTHER_UID,
        group=_ANOTHER_UID,
        extra_groups=[],
        env=environment,
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )


# -- ready when it is made ---------------------------------------------------------------------------------------------


def test_the_server_answers_when_the_display_is_made() -> None:
    with VirtualDisplay(641, 479, depth=24) as display:
        assert re.fullmatch(r":\d+", display.name)
        said = subprocess.run(["xdpyinfo"], env=display.env(), capture_output=True, text=True, check=True).stdout
        assert "dimensions:    641x479 pixels" in said
        assert display.screen.grab().rgb().shape == (479, 641, 3)


def test_ten_started_at_once_by_threads_are_ten_displays() -> None:
    barrier = threading.Barrier(10)

    def start(_: int) -> VirtualDisplay:
        barrier.wait()
        return VirtualDisplay(64, 48, timeout=30)

    with ThreadPoolExecutor(10) as threads, contextlib.ExitStack() as stack:
        displays = [stack.enter_context(display) for display in threads.map(start, range(10))]
        assert len({display.name for display in displays}) == 10
        assert len({display.xauthority and display.xauthority.read_bytes()[-16:] for display in displays}) == 10
        assert [display.screen.rect.width for display in displays] == [64] * 10


def test_five_started_at_once_by_processes_are_five_displays() -> None:
    program = (
        "from xshm.virtual.display import VirtualDisplay as V\nwith V(64, 48) as d: print(d.name, flush=True); input()"
    )
    command = [sys.executable, "-c", program]
    with contextlib.ExitStack() as stack:
        pipe = subprocess.PIPE
        owners = [stack.enter_context(subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)) for _ in range(5)]
        names = {owner.stdout.readline() for owner in owners if owner.stdout}
        assert len(names - {""}) == 5
        assert [owner.communicate("\n")[0] for owner in owners] == [""] * 5


def test_what_is_asked_of_the_server_is_what_it_does() -> None:
    screens = (ScreenSpec(320, 200, 24), ScreenSpec(100, 50, 24))
    with VirtualDisplay(640, 480, dpi=144, screens=screens, fonts=["built-ins"], args=["-br"]) as display:
        said = subprocess.run(["xdpyinfo"], env=display.env(), capture_output=True, text=True, check=True).stdout
        assert len(re.findall(r"resolution:    1[34]\dx1[34]\d dots per inch", said)) == 3, "but for whole millimetres"
        assert [(screen.rect.width, screen.rect.height) for screen in display.screens] == [
            (640, 480),
            (320, 200),
            (100, 50),
        ]
        assert [memory.pixels.shape[:2] for memory in display.framebuffers] == [(480, 640), (200, 320), (50, 100)]
        assert "-fp built-ins" in Path(f"/proc/{display.pid}/cmdline").read_text().replace("\0", " ")


# -- the environment ---------------------------------------------------------------------------------------------------


def test_env_leads_to_the_display_and_leaves_this_process_alone(
    display: VirtualDisplay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-7")
    monkeypatch.setenv("XSHM_SHOT_DISPLAY", ":7")  # else `xshm shot` would photograph that
    before = dict(os.environ)
    environment = display.env()
    assert environment == {
        name: value for name, value in before.items() if name not in ("WAYLAND_DISPLAY", "XSHM_SHOT_DISPLAY")
    } | {
        "DISPLAY": display.name,
        "XAUTHORITY": str(display.xauthority),
    }
    assert display.env({"HOME": "/nowhere"}).keys() == {"HOME", "DISPLAY", "XAUTHORITY"}
    assert dict(os.environ) == before


def test_activate_sets_this_process_s_environment_and_puts_it_back(
    display: VirtualDisplay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISPLAY", ":somebody-else's")
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-7")
    monkeypatch.setenv("XSHM_SHOT_DISPLAY", ":7")  # else `xshm shot` would photograph that
    monkeypatch.delenv("XAUTHORITY", raising=False)
    before = dict(os.environ)
    with contextlib.suppress(KeyError), display.activate():
        os.environ["MEANWHILE"] = "kept"
        with Screen() as screen:
            assert screen.rect.width == 640
        raise KeyError(os.environ["WAYLAND_DISPLAY"])
    monkeypatch.delenv("MEANWHILE")
    assert dict(os.environ) == before


# -- programs ----------------------------------------------------------------------------------------------------------


def test_a_program_runs_on_the_display_and_tells_its_exit_code(display: VirtualDisplay) -> None:
    program = display.run("sh -c 'echo $DISPLAY; exit 7'", stdout=subprocess.PIPE, text=True)
    assert program.communicate()[0] == f"{display.name}\n"
    assert program.wait() == program.poll() == 7


def test_a_program_is_run_on_a_display_and_its_screen_saved_without_numpy(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from xshm import VirtualDisplay\n"
        "with VirtualDisplay(64, 48) as display:\n"
        "    display.run(['xsetroot', '-solid', '#336699']).wait()\n"
        f"    display.screen.grab().save({str(tmp_path / 'a.png')!r})\n"
        "    assert display.framebuffer.rect.width == 64\n"
        "    assert 'numpy' not in sys.modules\n"
        "    assert display.framebuffer.pixels[0, 0, :3].tolist() == [0x99, 0x66, 0x33]\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.convert("RGB").getpixel((5, 5)) == (0x33, 0x66, 0x99)


def test_a_program_s_window_can_be_waited_for_with_a_window_manager_and_without(display: VirtualDisplay) -> None:
    bare = display.run("xclock").wait_window()
    display.run("openbox")
    with Screen(display.name, xauthority=display.xauthority) as screen:
        while not screen.xlib.screen().root.get_full_property(screen.xlib.intern_atom("_NET_SUPPORTING_WM_CHECK"), 0):
            time.sleep(0.01)
        managed = display.run("xclock").wait_window()
        for window in (bare, managed):
            assert screen.xlib.create_resource_object("window", window).get_wm_class() == ("xclock", "XClock")
        assert screen.xlib.create_resource_object("window", managed).query_tree().parent != screen.xlib.screen().root


def test_a_window_can_be_waited_for_by_what_it_is_called_in_the_end(display: VirtualDisplay) -> None:
    program = (
        "import tkinter; r = tkinter.Tk(); r.title('loading'); r.after(300, r.title, 'ÄЖ 7 is drawn'); r.mainloop()"
    )
    with display.run([sys.executable, "-c", program]) as running:
        window = running.wait_window(re.compile(r"ЖЖ|Ж \d+ is"))
        assert window == running.wait_window("ÄЖ 7 is drawn")
        with pytest.raises(WindowNotFound, match=r"has shown no window called 'loading' within 0\.1 s"):
            running.wait_window("loading", timeout=0.1)


def test_another_program_s_window_is_not_taken_for_it(display: VirtualDisplay) -> None:
    display.run("xclock").wait_window()
    with pytest.raises(WindowNotFound, match=r"sleep, process \d+, has shown no window within 0\.2 s"):
        display.run("sleep 60").wait_window(timeout=0.2)


def test_a_program_that_ends_before_it_has_a_window_says_so_at_once(display: VirtualDisplay) -> None:
    start = time.monotonic()
    with pytest.raises(WindowNotFound, match="sh ended with exit code 3 before it had a window"):
        display.run(["sh", "-c", "sleep 0.1; exit 3"]).wait_window(timeout=30)
    assert time.monotonic() - start < 5


def test_leaving_a_program_ends_its_group_and_nobody_else(display: VirtualDisplay) -> None:
    other = display.run("sleep 60")
    with display.run(["sh", "-c", "sleep 60 & echo $!; wait"], stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        child = int(program.stdout.readline())
        assert lives(child)
    assert program.returncode == -signal.SIGTERM
    assert ended(child)
    with display.run(["sh", "-c", "sleep 60 >/dev/null & echo $!"], stdout=subprocess.PIPE, text=True) as program:
        child = int(program.communicate()[0])
        assert lives(child), "the program has left it behind"
    assert program.returncode == 0
    assert ended(child)
    assert other.poll() is None


def test_closing_ends_programs_that_are_stopped_or_deaf_with_all_their_children() -> None:
    with VirtualDisplay(64, 48) as display:
        stopped = display.run("sleep 60")
        stopped.send_signal(signal.SIGSTOP)
        deaf = display.run(_DEAF, stdout=subprocess.PIPE, text=True)
        assert deaf.stdout is not None
        assert deaf.stdout.readline() == "ready\n"
        left = display.run(["sh", "-c", "sleep 60 >/dev/null & echo $!"], stdout=subprocess.PIPE, text=True)
        orphan = int(left.communicate()[0])
        assert lives(orphan)
    deaf.stdout.close()
    assert (stopped.returncode, deaf.returncode, left.returncode) == (-signal.SIGTERM, -signal.SIGKILL, 0)
    assert not lives(orphan)


def test_hundreds_of_programs_leave_no_groups_behind(display: VirtualDisplay) -> None:
    supervisor = parent(display.pid)
    for _ in range(100):
        assert display.run("true").wait() == 0
    children = Path(f"/proc/{supervisor}/task/{supervisor}/children")
    assert len(children.read_text().split()) <= 20, "the server, and groups that nobody had time to look at"
    eventually(lambda: len(children.read_text().split()) == 1)


def test_a_command_that_can_t_be_run_is_popen_s_own_error(display: VirtualDisplay) -> None:
    with pytest.raises(FileNotFoundError, match="no-such-program"):
        display.run("no-such-program")
    with pytest.raises(InvalidArgument, match="the command is empty"):
        display.run("")
    with pytest.raises(InvalidArgument, match="start_new_session can't be given"):
        display.run("true", start_new_session=True)


# -- access ------------------------------------------------------------------------------------------------------------


def test_without_the_cookie_nobody_gets_in(display: VirtualDisplay, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.touch()
    with pytest.raises(AccessDenied):
        Screen(display.name, xauthority=empty)
    assert display.xauthority is not None
    assert display.xauthority.stat().st_mode & 0o777 == 0o600
    assert display.xauthority.parent.stat().st_mode & 0o777 == 0o700


def test_nothing_listens_on_tcp(display: VirtualDisplay) -> None:
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", 6000 + int(display.name[1:]))):
        pass


@needs_root
@pytest.mark.parametrize("abstract", [False, True], ids=["file", "abstract"])
def test_another_user_can_t_get_in_by_the_socket(display: VirtualDisplay, abstract: bool) -> None:
    ask = (
        "import socket, sys\ns = socket.socket(socket.AF_UNIX)\ns.connect(sys.argv[1].replace('@', chr(0)))\n"
        "s.sendall(b'l\\0\\x0b\\0' + bytes(8))\nprint(s.recv(8)[0])"
    )
    result = as_another_user(ask, "@" * abstract + str(socket_file(display)))
    assert result.stdout == "0\n", f"the set-up's first byte is 0 for Failed: {result}"


@needs_root
def test_another_user_can_t_get_in_by_the_cookie_or_the_memory(display: VirtualDisplay) -> None:
    memory = open_file_of(display.pid, "Xvfb_screen")
    for path in (display.xauthority, memory):
        result = as_another_user("import sys; open(sys.argv[1])", str(path))
        assert "PermissionError" in result.stderr


# -- failures ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "result"),
    [
        ({"width": 0}, "1x1 to 32767x32767 pixels, not 0x800"),
        ({"height": 40000}, "not 1280x40000"),
        ({"depth": 32}, "depth 8, 15, 16, 24 and 30, not 32"),
        ({"dpi": 0}, "dpi is 1 to 32767, not 0"),
        ({"timeout": 0}, "above 0, not 0"),
        ({"args": ["-auth", "x"]}, "args has -auth"),
        ({"args": ["-shmem"]}, "framebuffer='sysv'"),
        ({"args": ["a\0b"]}, "takes no NUL"),
        ({"framebuffer": "shm"}, "'file', 'sysv', 'none' or a Path, not 'shm'"),
        ({"framebuffer": Path("/nowhere/at/all")}, "is no directory; make it first"),
        ({"framebuffer": "none", "writable": True}, "writable=True is about the framebuffer"),
    ],
)
def test_what_can_t_be_is_refused_with_the_numbers_before_anything_starts(options: dict[str, Any], result: str) -> None:
    with pytest.raises(InvalidArgument, match=re.escape(result)):
        VirtualDisplay(**options)


def test_types_that_can_t_be_are_refused() -> None:
    wrong: list[Any] = [{"width": 1280.0}, {"fonts": [1]}, {"screens": ["640x480"]}, {"dpi": 96.0}, {"depth": True}]
    wrong += [{"args": "-ac"}, {"fonts": "fixed"}, {"screens": 5}, {"timeout": "1"}, {"timeout": None}, {"log": 5}]
    for options in wrong:
        with pytest.raises(InvalidType):
            VirtualDisplay(**options)


def test_times_and_names_of_a_wrong_type_are_refused_and_times_may_be_without_end(display: VirtualDisplay) -> None:
    with pytest.raises(InvalidType, match="named by a text"):
        VirtualDisplay.attach(5)  # type: ignore[arg-type]
    with pytest.raises(InvalidType):
        display.wait("1")  # type: ignore[arg-type]
    with display.run("xclock") as program:
        with pytest.raises(InvalidType):
            program.wait_window(timeout="1")  # type: ignore[arg-type]
        with pytest.raises(InvalidType):
            program.wait_window(5)  # type: ignore[arg-type]
        assert program.wait_window(timeout=math.inf)
    float32: Any = np.float32(0.01)
    assert not display.wait(float32)
    with VirtualDisplay(64, 48, timeout=math.inf) as another:
        assert another.pid is not None
        os.kill(another.pid, signal.SIGKILL)
        assert another.wait(math.inf)


def test_a_server_that_dies_at_the_start_is_quoted() -> None:
    with pytest.raises(StartFailed, match=r"exit code 1 before it was ready; it said: .*Unrecognized option: -bogus"):
        VirtualDisplay(args=["-bogus"])


@needs_root
def test_a_directory_that_can_t_be_made_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/proc")  # root's own, and mkdir fails there even for root
    with pytest.raises(StartFailed, match=r"could not be started; it said: mkdir: .*/proc/xshm-"):
        VirtualDisplay(64, 48)


def test_a_server_that_is_late_is_ended_and_reported() -> None:
    with pytest.raises(StartFailed, match=r"was not ready within 0\.001 s"):
        VirtualDisplay(timeout=0.001)


def test_a_framebuffer_without_room_is_refused_with_the_numbers() -> None:
    room = os.statvfs("/dev/shm")  # noqa: S108 - where framebuffers go
    greatest = ScreenSpec(32767, 32767)
    count = room.f_bavail * room.f_frsize // greatest.nbytes + 1
    with pytest.raises(
        StartFailed, match=r"the framebuffer of [\d.]+ MB has no place in memory: /dev/shm has [\d.]+ MB free"
    ):
        VirtualDisplay(32767, 32767, screens=[greatest] * count)


# -- its end -----------------------------------------------------------------------------------------------------------


def test_closing_leaves_no_process_no_socket_and_no_file() -> None:
    display = VirtualDisplay(64, 48)
    server, supervisor, authority, place = display.pid, parent(display.pid), display.xauthority, socket_file(display)
    assert server is not None
    assert authority is not None
    before = stamp(place)
    assert before
    display.close()
    display.close()
    assert not lives(server)
    assert not lives(supervisor)
    assert not authority.parent.exists()
    assert stamp(place) != before, "or it is another server's by now"


def test_a_closed_display_says_so(display: VirtualDisplay) -> None:
    program = display.run("sleep 60")
    display.close()
    for use in (
        lambda: display.screen,
        lambda: display.framebuffer,
        display.env,
        lambda: display.run("true"),
        display.wait,
    ):
        with pytest.raises(Closed, match="was closed"):
            use()
    assert program.poll() == -signal.SIGTERM


def test_a_display_that_is_forgotten_is_ended_with_a_warning() -> None:
    def forget() -> int | None:
        return VirtualDisplay(64, 48).pid

    server = forget()
    with pytest.warns(ResourceWarning, match="was not closed"):
        gc.collect()
    assert server is not None
    assert not lives(server)


@pytest.mark.parametrize(
    "forget",
    [
        "x = xshm.VirtualDisplay(64, 48)",
        "x = xshm.VirtualDisplay(64, 48); y = x; del x, y; gc.collect()",
        "x = xshm.VirtualDisplay(64, 48); x.framebuffer.grab(); x.itself = x; del x; gc.collect()",
        "x = xshm.VirtualDisplay.attach('{attached}'); x.run('true').wait()",
        "x = xshm.VirtualDisplay.attach('{attached}'); x.run('true').wait(); del x; gc.collect()",
    ],
)
@pytest.mark.parametrize("how", ["default", "error"])
def test_the_warning_is_of_the_display_and_not_of_what_it_is_made_of(forget: str, how: str, xvfb: Server) -> None:
    program = f"import gc, xshm; {forget.format(attached=xvfb.name)}"
    command = [sys.executable, "-X", "dev", "-W", how, "-c", program]
    run = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **xvfb.env()})
    warned = [line for line in run.stderr.splitlines() if "ResourceWarning: " in line and "tracemalloc" not in line]
    of_screens = [line for line in warned if "unclosed <Screen" in line]
    (warning,) = [line for line in warned if line not in of_screens]
    assert re.search(r"ResourceWarning: <VirtualDisplay :\d+ .*> was not closed", warning)
    assert "Bad file descriptor" not in run.stderr


def test_a_server_that_was_killed_leaves_no_socket_behind(display: VirtualDisplay) -> None:
    place = socket_file(display)
    assert display.pid is not None
    os.kill(display.pid, signal.SIGKILL)
    assert display.wait(timeout=5)
    before = stamp(place)
    assert before, "the server had no time to remove it"
    display.close()
    assert stamp(place) != before


def test_the_death_of_the_server_ends_the_wait_and_every_request(display: VirtualDisplay) -> None:
    screen = display.screen
    assert not display.wait(timeout=0.05)
    assert display.pid is not None
    os.kill(display.pid, signal.SIGTERM)
    assert display.wait(timeout=5)
    with pytest.raises(DisplayGone):
        screen.grab()


def test_a_server_that_is_stopped_is_ended_all_the_same() -> None:
    with VirtualDisplay(64, 48) as display:
        assert display.pid is not None
        os.kill(display.pid, signal.SIGSTOP)
    assert not lives(display.pid)


def test_closing_does_the_supervisor_s_work_when_that_was_killed() -> None:
    display = VirtualDisplay(64, 48)
    assert display.xauthority is not None
    program = display.run(["sh", "-c", "sleep 60 & echo $!; wait"], stdout=subprocess.PIPE, text=True)
    assert program.stdout is not None
    child, server, before = int(program.stdout.readline()), display.pid, stamp(socket_file(display))
    os.kill(parent(display.pid), signal.SIGKILL)
    with pytest.raises(StartFailed, match="supervisor was killed"):
        display.run("true")
    assert server is not None
    assert ended(server), "it ends with its supervisor"
    with pytest.raises((ConnectFailed, DisplayGone)):
        display.screen.grab()
    display.close()
    program.stdout.close()
    assert server is not None
    assert ended(server)
    assert ended(child)
    assert not display.xauthority.exists()
    assert stamp(socket_file(display)) != before


def test_a_server_may_be_started_by_a_script_of_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "Xvfb"
    script.write_text(f'#!/bin/sh\n{shutil.which("Xvfb")} "$@" &\ntrap "kill $!" TERM\nwait\nwait\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with VirtualDisplay(64, 48) as display:
        assert display.screen.grab().width == 64
        server = server_pid(display.screen)
        assert server not in (None, display.pid)
    assert server is not None
    assert ended(server)


def test_a_server_that_took_the_number_of_one_that_has_ended_is_not_taken_for_it(
    make_server: Callable[..., Server],
) -> None:
    first = make_server("Xvfb", 1280, 800, 24, own_number())
    with VirtualDisplay.attach(first.name) as display:
        display.screen.close()
        assert display.screen.grab().width == 1280, "the same server is connected to anew"
        display.screen.close()
        first.stop()
        other = make_server("Xvfb", 1280, 800, 24, first.name)
        for _ in range(2):
            with pytest.raises(DisplayGone, match=f"{first.pid}, has ended, and process {other.pid} has its number"):
                assert display.screen


def test_a_ctrl_c_or_sigterm_that_reaches_everybody_ends_only_who_wants_it() -> None:
    program = (
        "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN); signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "from xshm.virtual.display import VirtualDisplay\n"
        "with VirtualDisplay(64, 48) as d:\n"
        "    print(d.pid, flush=True); input(); d.screen.grab(); print('alive', flush=True)\n"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=pipe, stdout=pipe, text=True, process_group=0
    ) as owner:
        assert owner.stdout is not None
        server = int(owner.stdout.readline())
        supervisor = parent(server)
        os.killpg(owner.pid, signal.SIGINT)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(supervisor, number)
        assert owner.communicate("\n")[0] == "alive\n"
    assert not lives(server)


def test_a_close_while_a_program_is_being_started_ends_all() -> None:
    outcome: list[object] = []

    def run() -> None:
        try:
            outcome.append(mine.run("sleep 60").pid)
        except Closed as error:
            outcome.append(error)

    mine = VirtualDisplay(64, 48)
    with mine:
        assert mine.pid is not None
        supervisor = parent(mine.pid)
        os.kill(supervisor, signal.SIGSTOP)
        starting = threading.Thread(target=run)
        starting.start()
        timer = threading.Timer(0.4, os.kill, (supervisor, signal.SIGCONT))
        timer.start()
        time.sleep(0.2)
        mine.close()  # while the question for a process group is open
        starting.join()
        timer.join()
    assert isinstance(outcome[0], Closed)
    assert ended(mine.pid)


def test_a_close_while_an_attached_display_gets_its_supervisor_leaves_none(display: VirtualDisplay) -> None:
    before = children(os.getpid())
    programs: list[Program] = []

    def run() -> None:
        with contextlib.suppress(Closed):
            programs.append(attached.run("sleep 60"))

    for delay in (0.0, 0.01, 0.03):
        attached = VirtualDisplay.attach(display.name, display.xauthority)
        starting = threading.Thread(target=run)
        starting.start()
        time.sleep(delay)
        attached.close()
        starting.join()
    for program in programs:  # it may have started before the end, and ends with it
        program.wait(timeout=5)
    assert children(os.getpid()) == before


# -- forks and pickles -------------------------------------------------------------------------------------------------


def test_a_forked_child_can_neither_use_nor_end_the_display(display: VirtualDisplay) -> None:
    child = os.fork()
    if child == 0:
        code = 1
        with contextlib.suppress(BaseException):
            try:
                display.run("true")
            except Closed as error:
                display.close()
                code = 0 if f"belongs to process {os.getppid()}" in str(error) else 2
        os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert display.run("true").wait() == 0
    assert display.screen.grab().pixels.shape == (480, 640, 4)


def test_a_display_refuses_pickling_and_its_description_does_not(display: VirtualDisplay) -> None:
    with pytest.raises(InvalidType, match=r"send display\.spec"):
        pickle.dumps(display)
    with display.run("true") as running, pytest.raises(InvalidType, match="send its pid"):
        pickle.dumps(running)
    assert display.spec is not None
    program = (
        "import pickle, sys\nfrom xshm.virtual.display import VirtualDisplay\n"
        "with VirtualDisplay.from_spec(pickle.load(sys.stdin.buffer)) as d: print(d.screen.rect)"
    )
    spec = pickle.dumps(replace(display.spec, width=123))
    run = subprocess.run([sys.executable, "-c", program], input=spec, capture_output=True, check=True)
    assert run.stdout == b"123x480+0+0\n"
    assert display.spec == DisplaySpec(640, 480)


def test_a_description_that_an_older_version_has_pickled_gets_defaults_for_the_newest_fields() -> None:
    written = DisplaySpec(64, 48, timeout=3)
    read = DisplaySpec.__new__(DisplaySpec)  # as pickle does
    read.__setstate__(written.__getstate__()[:-2])  # type: ignore[attr-defined, index]  # made by dataclass
    assert read == written
    assert "server='auto'" in repr(read)


# -- displays of others ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["file", "sysv"])
def test_a_display_of_somebody_else_s_is_used_and_left_running(kind: str) -> None:
    with (
        VirtualDisplay(300, 200, framebuffer=kind) as twin,  # type: ignore[arg-type]
        VirtualDisplay(300, 200, framebuffer=kind) as other,  # type: ignore[arg-type]
    ):
        other.framebuffer.close()
        with VirtualDisplay.attach(other.name, other.xauthority) as display:
            assert display.pid == other.pid
            assert display.run("xsetroot -solid red").wait() == 0
            display.framebuffer.sync()
            assert display.framebuffer.pixels[0, 0, :3].tolist() == [0, 0, 255]
            assert twin.framebuffer.pixels[0, 0, :3].tolist() == [0, 0, 0]
            program = display.run("sleep 60")
        assert program.returncode == -signal.SIGTERM
        assert other.screen.grab().pixel(0, 0) == (255, 0, 0)


def test_a_server_that_keeps_its_screen_to_itself_is_told_from_one_that_does_not() -> None:
    with VirtualDisplay(64, 48, framebuffer="none") as other:
        with pytest.raises(TransportUnavailable, match="framebuffer='none'"):
            _ = other.framebuffer
        with VirtualDisplay.attach(other.name, other.xauthority) as display:
            with pytest.raises(
                TransportUnavailable, match=rf"process {other.pid}, keeps its screen .* -fbdir or -shmem"
            ):
                _ = display.framebuffer
            assert display.screen.grab().pixels.shape == (48, 64, 4)


def test_a_display_that_is_not_there_can_t_be_attached_to() -> None:
    with pytest.raises(ConnectFailed):
        VirtualDisplay.attach(":64999")
    words = "asks for screen 1; the server has 0 to 0"
    with VirtualDisplay(64, 48) as other, pytest.raises(ConnectFailed, match=words):
        VirtualDisplay.attach(f"{other.name}.1", other.xauthority)


def test_who_attaches_by_the_name_of_a_screen_has_that_one() -> None:
    with (
        VirtualDisplay(300, 200, screens=[ScreenSpec(120, 90)]) as other,
        VirtualDisplay.attach(f"{other.name}.1", other.xauthority) as display,
    ):
        assert (display.width, display.height) == display.framebuffer.grab().size == (120, 90)
        assert [screen.width for screen in display.screens] == [300, 120]
        assert display.run("xsetroot -solid red").wait() == 0
        assert display.screen.grab().pixel(0, 0) == display.framebuffer.grab().pixel(0, 0) == (255, 0, 0)
        assert other.screen.grab().pixel(0, 0) != (255, 0, 0)


# -- strange places ----------------------------------------------------------------------------------------------------


def test_it_needs_no_home_and_no_temporary_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setenv("TMPDIR", "/nowhere/at/all")
    with VirtualDisplay(64, 48) as display:
        assert subprocess.run(["xdpyinfo"], env=display.env(), capture_output=True, check=False).returncode == 0


_IN_A_STRANGE_PLACE = """
import os, sys
from xshm.virtual.display import VirtualDisplay
with VirtualDisplay(64, 48) as display:
    assert display.screen.grab().rgb().shape == (48, 64, 3)
"""
_AMONG_OTHERS_SOCKETS = """
import socket, subprocess
held = [socket.socket(socket.AF_UNIX) for _ in range(100)]
for number, server in enumerate(held):
    server.bind(f"/tmp/.X11-unix/X{number}")
    server.listen()
subprocess.run(["mount", "-o", "remount,ro", "/tmp/.X11-unix"], check=True)
from xshm.virtual.display import VirtualDisplay
with VirtualDisplay(64, 48) as display:
    assert int(display.name[1:]) < 100
    assert display.screen.grab().rgb().shape == (48, 64, 3)
    assert display.run("xclock").wait_window()
"""
_AS_NOBODY = (
    _IN_A_STRANGE_PLACE  # as root, so that all is imported that this user can't read
    + """
os.setgroups([]); os.setgid(65534); os.setuid(65534)
os.environ["HOME"] = "/nonexistent"
if not os.access(sys.executable, os.X_OK): sys.executable = "/usr/bin/python3"
"""
    + _IN_A_STRANGE_PLACE
)


@needs_root
@pytest.mark.parametrize(
    ("mount", "program", "said"),
    [
        ("mount -t tmpfs -o ro none /tmp/.X11-unix", _IN_A_STRANGE_PLACE, ""),
        ("mount -t tmpfs none /tmp/.X11-unix", _AMONG_OTHERS_SOCKETS, ""),
        ("mount -t tmpfs -o ro none /tmp", _IN_A_STRANGE_PLACE, ""),
        ("mount -t tmpfs -o mode=1777 none /tmp", _AS_NOBODY, ""),
        ("mount -t tmpfs -o mode=755 none /dev/shm", _AS_NOBODY, "no place in memory"),
    ],
    ids=[
        "read-only sockets",
        "the sockets of another network namespace",
        "read-only /tmp",
        "not root, and no directory for sockets",
        "not root, and no memory",
    ],
)
def test_it_copes_with(mount: str, program: str, said: str) -> None:
    if covers_this_checkout(mount.rpartition(" ")[2]):
        pytest.skip("this checkout lies in /tmp, in whose place the test puts something else")
    os.makedirs("/tmp/.X11-unix", mode=0o1777, exist_ok=True)  # noqa: PTH103, S108 - to be covered
    command = ["unshare", "--mount", "sh", "-c", f'{mount} && exec "$@"', "sh", sys.executable, "-c", program]
    run = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | {"TMPDIR": ""})
    if "unshare failed" in run.stderr or "mount: " in run.stderr:
        pytest.skip(f"namespaces are not allowed here: {run.stderr.strip()}")
    if said:
        assert said in run.stderr
    else:
        assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("name", ["screens", "fonts", "args"])
@pytest.mark.parametrize("value", [b"-ac", "-ac", {"-ac"}, {"-ac": 1}, 1])
def test_lists_of_a_display_are_no_texts_and_nothing_without_an_order(name: str, value: object) -> None:
    with pytest.raises(InvalidType, match=f"{name} is a tuple, not {type(value).__name__}"):
        DisplaySpec(**{name: value})  # type: ignore[arg-type]


def test_a_screen_that_its_user_has_closed_is_opened_anew(display: VirtualDisplay) -> None:
    with display.screen as first:
        first.grab()
    assert display.screen is not first
    assert display.screen.grab().size == (display.width, display.height)
    assert display.screen is display.screen
