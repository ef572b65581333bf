"""What killed displays have left goes with the next start, and nothing else does; `faults.kills_of_displays` kills."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from processes import below, lives, parent, state

from xshm.errors import StartFailed
from xshm.virtual.display import VirtualDisplay
from xshm.virtual.processes.descendants import first_mark
from xshm.virtual.servers import cleanup, launch, server_files

if TYPE_CHECKING:
    from collections.abc import Iterator

_OLD = 100.0  # seconds: more than a directory of another PID namespace is left alone for being new
_HOLD = "from xshm.virtual.display import VirtualDisplay as V; d = V(64, 48); print(d.xauthority, flush=True); input()"
# Its program leaves a daemon without a group, a parent and an environment of the display's.
_RUN = """
import subprocess
from xshm.virtual.display import VirtualDisplay
display = VirtualDisplay(64, 48)
program = display.run(["sh", "-c", "setsid env -i /bin/sleep 20 & exec sleep 20"])
mine = subprocess.Popen(["sleep", "60"], stdout=subprocess.DEVNULL)
print(display.pid, program.pid, mine.pid, display.xauthority, flush=True)
input()
"""
_DEAD_PID = 1 << 22  # greater than any
# The child of the shell stops right after it has started the server; from then on it is killed at its next line.
_STOPPED_AFTER_THE_FORK = """
from xshm.virtual.display import VirtualDisplay
from xshm.virtual.servers import launch_script
script, fork = launch_script._SCRIPT, "      server=$!\\n"
assert script.count(fork) == 1
launch_script._SCRIPT = script.replace(fork, fork + "sh -c 'kill -STOP $PPID'\\n")
VirtualDisplay(64, 48, framebuffer="sysv")
"""
# A supervisor that kills its owner when the server is ready, and itself when it has removed the private directory.
_KILLED_AFTER_THE_DIRECTORY = """
import posix, sys
from xshm.virtual.servers import server_files, supervisor
owner, remove = int(next(each for each in sys.argv if each.startswith("directory=")).split("-")[-4]), posix.rmdir
posix.rmdir = lambda path: (remove(path), "/xshm-" in path and posix.kill(posix.getpid(), 9))
supervisor.Supervisor._send_ready = lambda *_: posix.kill(owner, 9)
supervisor.main()
"""

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for a namespace")


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Give the directory in which this process's displays have their authority files."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def display(place: Path) -> Iterator[VirtualDisplay]:
    with VirtualDisplay(64, 48) as display:
        assert display.xauthority is not None
        assert display.xauthority.is_relative_to(place)
        yield display


def start_another() -> None:
    with VirtualDisplay(64, 48, args=("-extension", "GLX")):
        pass


def segments() -> dict[int, int]:
    """Return the segments that there are, and the process that made each."""
    names, *rows = (line.split() for line in Path("/proc/sysvipc/shm").read_text().splitlines())
    return {int(row[names.index("shmid")]): int(row[names.index("cpid")]) for row in rows}


def make(place: Path, pid: int, started: str, namespace: str | None = None, mode: int = 0o700) -> Path:
    """Make a directory as a killed display leaves it, with a file in it."""
    fields = (pid, started, namespace or server_files.pid_namespace(), "0" * 16)
    directory = place / "-".join(("xshm", *map(str, fields)))
    directory.mkdir(mode)
    directory.chmod(mode)
    (directory / "Xauthority").touch()
    return directory


def test_the_shell_between_an_owner_and_its_supervisor_can_be_killed(display: VirtualDisplay) -> None:
    supervisor = parent(display.pid)
    shell = parent(supervisor)
    assert parent(shell) == os.getpid()
    os.kill(shell, signal.SIGKILL)
    assert display.run("true").wait() == 0
    assert display.screen.grab().pixels.shape == (48, 64, 4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        display.close()
    assert display.pid is not None
    assert not any(map(lives, (shell, supervisor, display.pid)))
    assert display.xauthority is not None
    assert not display.xauthority.parent.exists()


def test_a_supervisor_that_is_killed_is_told_with_how_it_ended_and_the_shell_above_tidies_up(
    display: VirtualDisplay,
) -> None:
    assert display.xauthority is not None
    supervisor = parent(display.pid)
    shell = parent(supervisor)
    os.kill(supervisor, signal.SIGKILL)
    assert os.waitid(os.P_PID, shell, os.WEXITED | os.WNOWAIT)
    assert not display.xauthority.parent.exists()
    with pytest.raises(StartFailed, match=r"supervisor was killed \(ended with signal 9\); close the display"):
        display.run("true")


def test_a_supervisor_that_is_killed_before_the_display_is_ready_is_told_so(
    place: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = tmp_path_factory.mktemp("programs") / "Xvfb"
    late.write_text(f'#!/bin/sh\nsleep 1\nexec {shutil.which("Xvfb")} "$@"\n')
    late.chmod(late.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(late.parent), prepend=":")
    servers = []

    def kill() -> None:
        while not list(place.glob("xshm-*/supervisor")):
            time.sleep(0.01)
        servers.append(int(next(place.glob("xshm-*/pid")).read_text()))
        os.kill(parent(servers[0]), signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(StartFailed, match=r"supervisor ended with signal 9 before the display was ready; it said noth"):
        VirtualDisplay(64, 48)
    killer.join()
    assert not lives(servers[0])
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("has_shell", [True, False])
def test_a_supervisor_that_is_stopped_is_ended_with_all_that_it_looked_after(
    display: VirtualDisplay, monkeypatch: pytest.MonkeyPatch, has_shell: bool
) -> None:
    assert display.xauthority is not None
    assert display.pid is not None
    supervisor = parent(display.pid)
    os.kill(supervisor, signal.SIGSTOP)
    if not has_shell:
        os.kill(parent(supervisor), signal.SIGKILL)
    # Seconds; more is a matter of programs that end late.
    monkeypatch.setattr("xshm.virtual.servers.control_socket.PATIENCE", 0.2)
    display.close()
    assert not lives(display.pid)
    assert not lives(supervisor)
    assert not display.xauthority.parent.exists()


def test_no_environment_and_no_command_line_holds_the_cookie(display: VirtualDisplay) -> None:
    assert display.xauthority is not None
    cookie = display.xauthority.read_bytes()[-16:]
    written = "".join(f"\\0{byte:03o}" for byte in cookie).encode()
    supervisor = parent(display.pid)
    for pid in (display.pid, supervisor, parent(supervisor)):
        for what in ("environ", "cmdline"):
            said = Path(f"/proc/{pid}/{what}").read_bytes()
            assert said
            assert cookie not in said
            assert written not in said


def test_the_next_start_takes_away_only_what_is_a_dead_display_s_of_this_user(place: Path) -> None:
    ours = os.getpid()
    dead = [make(place, _DEAD_PID, "1"), make(place, ours, "1")]  # that number was another process's before
    left = [
        make(place, ours, server_files.start_time(ours)),
        make(place, _DEAD_PID, "2", mode=0o755),  # no display makes it so that others can look into it
        make(place, _DEAD_PID, "3", namespace="4711"),  # so new that its supervisor may still be on its way
        place / f"xshm-{_DEAD_PID}-1",
        place / "xshm-of-somebody-else-s",
    ]
    for directory in left[3:]:
        directory.mkdir(mode=0o700)
    old = make(place, _DEAD_PID, "4", namespace="4711")
    os.utime(old, (time.time() - _OLD,) * 2)
    link = place / f"xshm-{_DEAD_PID}-5-{server_files.pid_namespace()}-{'1' * 16}"
    link.symlink_to(left[0])
    start_another()
    assert [directory for directory in [*dead, old] if directory.exists()] == []
    assert [directory for directory in [*left, link] if not directory.exists()] == []
    assert (left[0] / "Xauthority").exists()


def test_a_directory_s_name_need_not_be_text_in_this_locale(tmp_path: Path) -> None:
    place = tmp_path / "bücher"
    place.mkdir(mode=0o700)
    script = (
        "import os, sys\n"
        "from xshm.virtual.display import VirtualDisplay\n"
        "from xshm.virtual.processes import process_groups\n"
        "assert sys.getfilesystemencoding() == 'ascii'\n"
        "for kills in (False, True):\n"
        "    with VirtualDisplay(64, 48) as display:\n"
        "        assert display.run(['true']).wait() == 0\n"
        "        display.screen.grab()\n"
        "        if kills: os.kill(process_groups.process(display.pid).parent, 9)\n"
    )
    locale = {"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "XDG_RUNTIME_DIR": str(place)}
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        env=os.environ | locale,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert list(place.iterdir()) == []


def test_only_sockets_that_nobody_listens_on_and_that_a_dead_display_made_are_removed(place: Path) -> None:
    sockets = Path("/tmp/.X11-unix")  # noqa: S108 - where X servers listen
    sockets.mkdir(mode=0o1777, exist_ok=True)
    with contextlib.ExitStack() as stack:
        paths = [sockets / f"X{number}" for number in (64801, 64802, 64803)]
        for path in paths:
            listening = stack.enter_context(socket.socket(socket.AF_UNIX))
            listening.bind(str(path))
            listening.listen()
            stack.callback(path.unlink, missing_ok=True)
            if path != paths[0]:
                listening.close()
        directory = make(place, _DEAD_PID, "1")
        (directory / "what").touch()
        noted = paths[1].lstat()
        (directory / "socket").write_text(f"64802 {noted.st_ino} {noted.st_ctime_ns}")
        start_another()
        assert [path.name for path in paths if path.exists()] == ["X64801", "X64803"]
        # Without a note it is known by its time; the file's time is when the display began.
        unnoted = make(place, _DEAD_PID, "2")
        (unnoted / "what").touch()
        os.utime(unnoted / "what", (time.time() - 1000,) * 2)
        start_another()
        assert [path.name for path in paths if path.exists()] == ["X64801", "X64803"]
        unnoted = make(place, _DEAD_PID, "2")
        (unnoted / "what").touch()
        os.utime(unnoted / "what", (noted.st_ctime,) * 2)
        start_another()
        assert [path.name for path in paths if path.exists()] == ["X64801"]


def test_a_start_connects_to_no_server_of_others(place: Path) -> None:
    with contextlib.ExitStack() as stack:
        sockets = {number: stack.enter_context(socket.socket(socket.AF_UNIX)) for number in (64804, 64805)}
        for number, each in sockets.items():
            path = Path(f"/tmp/.X11-unix/X{number}")  # noqa: S108 - where X servers listen
            path.parent.mkdir(mode=0o1777, exist_ok=True)
            each.bind(str(path))
            stack.callback(path.unlink, missing_ok=True)
        listening = sockets[64804]  # the other one is still to do so
        listening.listen()
        listening.setblocking(False)
        (make(place, _DEAD_PID, "1") / "what").touch()  # killed as it started: its socket is known by its time alone
        start_another()
        assert list(place.iterdir()) == []
        assert all(Path(each.getsockname()).exists() for each in sockets.values())
        with pytest.raises(BlockingIOError):
            listening.accept()


@needs_root
def test_a_display_of_another_pid_namespace_is_left_alone_as_long_as_it_lives(place: Path) -> None:
    command = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", sys.executable, "-c", _HOLD]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as owner:
        assert owner.stdout is not None
        assert owner.stderr is not None
        said = owner.stdout.readline()
        if not said:
            pytest.skip(f"namespaces are not allowed here: {owner.stderr.read()}")
        directory = Path(said.strip()).parent
        assert directory.is_relative_to(place)
        os.utime(directory, (time.time() - _OLD,) * 2)
        start_another()
        assert directory.exists()
        owner.kill()  # and with it its namespace
        assert owner.stdout.read() == ""
    start_another()
    assert not directory.exists()


@pytest.mark.parametrize("has_shell", [True, False])
def test_programs_are_ended_whose_owner_and_supervisor_were_killed_at_once(
    display: VirtualDisplay, has_shell: bool
) -> None:
    other = display.run(["sleep", "60"])
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", _RUN], stdin=pipe, stdout=pipe, text=True) as owner:
        assert owner.stdout is not None
        server, program, mine, authority = owner.stdout.readline().split()
        supervisor = parent(int(server))
        if not has_shell:
            os.kill(parent(supervisor), signal.SIGKILL)
        os.kill(owner.pid, signal.SIGSTOP)
        os.kill(supervisor, signal.SIGKILL)
        owner.kill()
        owner.wait()
        if not has_shell:
            assert lives(int(program))
            start_another()
        assert owner.stdout.read() == ""  # which all of its programs had open
    assert lives(int(mine))
    os.kill(int(mine), signal.SIGKILL)
    until = time.monotonic() + 10  # the sweep goes on beside the start
    while lives(int(program)) and time.monotonic() < until:
        time.sleep(0.01)
    assert not lives(int(program))
    assert other.poll() is None
    deadline = time.monotonic() + 10
    while has_shell and Path(authority).parent.exists() and time.monotonic() < deadline:  # its server goes last
        time.sleep(0.01)
    assert not Path(authority).parent.exists()


def test_of_dead_displays_programs_only_those_with_a_mark_are_ended_and_a_display_that_one_starts_is_spared(
    place: Path,
) -> None:
    mark, another = (first_mark(bytes([each] * 8)) for each in (1, 2))
    directory = make(place, _DEAD_PID, "1")
    (directory / "what").write_text(f"file\n1\n{mark}\n\n\n")
    cut_short = make(place, _DEAD_PID, "2")
    (cut_short / "what").write_text(f"file\n1\n{str(mark)[:-1]}")
    limits = (mark + 1, another + 1, int(str(mark)[:-1]) + 1, mark - 1)
    with contextlib.ExitStack() as ending:
        programs = []
        for limit in limits:
            programs.append(ending.enter_context(subprocess.Popen(["prlimit", f"--locks={limit}:", "sleep", "60"])))
            ending.callback(programs[-1].kill)
        for program in programs:
            while b"sleep" not in Path(f"/proc/{program.pid}/comm").read_bytes():
                time.sleep(0.001)
        starting = [sys.executable, "-c", f"{_HOLD.removesuffix('input()')}d.close()"]
        subprocess.run(["prlimit", f"--locks={mark + 1}:", *starting], stdout=subprocess.DEVNULL, check=True)
        assert directory.exists()
        start_another()
        assert not directory.exists()
        assert [program.poll() for program in programs] == [-signal.SIGTERM, None, None, None]
    assert not cut_short.exists()


def test_a_server_beside_another_program_in_the_supervisor_s_place_goes_with_the_next_start(
    place: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    program = tmp_path_factory.mktemp("programs") / "application"
    program.write_text(f"#!/bin/sh\necho $$ >>{program}.pid\nexec sleep 60\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    environment = os.environ | {"XSHM_PYTHON": str(program)}
    with subprocess.Popen([sys.executable, "-c", _HOLD], env=environment) as owner:
        while not (Path(f"{program}.pid").exists() and any(path.read_text() for path in place.glob("xshm-*/pid"))):
            time.sleep(0.01)
        (directory,) = place.glob("xshm-*")
        server = int((directory / "pid").read_text())
        assert lives(server)
        owner.kill()
    stranger = int(Path(f"{program}.pid").read_text())
    start_another()
    assert not directory.exists()
    assert not lives(server)
    assert not lives(stranger)


def test_a_segment_goes_with_the_next_start_though_all_were_killed_as_the_shell_had_just_started_the_server(
    place: Path,
) -> None:
    with subprocess.Popen([sys.executable, "-c", _STOPPED_AFTER_THE_FORK]) as owner:
        while not (set(segments().values()) & set(found := below(owner.pid)) and "T" in map(state, found)):
            time.sleep(0.01)
        killed = below(owner.pid)  # from now on the shell starts and reaps nothing
        made = [shmid for shmid, creator in segments().items() if creator in killed]
        for pid in killed:
            with contextlib.suppress(ProcessLookupError):  # the program that has stopped the shell has ended meanwhile
                os.kill(pid, signal.SIGKILL)
    assert len(killed) >= 4, "owner, shell, its child, the server, and what these wait for"
    assert len(list(place.iterdir())) == 1
    start_another()
    assert segments().keys().isdisjoint(made)
    assert list(place.iterdir()) == []


def test_two_processes_may_remove_the_same_directory_at_once(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = make(place, _DEAD_PID, "1")
    listed = os.listdir

    def list_and_lose(where: int | str) -> list[str]:
        names = listed(where)
        (directory / "Xauthority").unlink(missing_ok=True)  # by the other one
        return names

    monkeypatch.setattr("posix.listdir", list_and_lose)
    server_files.remove_directory(str(directory))
    assert not directory.exists()


def test_a_supervisor_that_is_killed_when_its_directory_is_gone_has_removed_all_else(
    place: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    programs = tmp_path_factory.mktemp("programs")
    (programs / "supervisor.py").write_text(_KILLED_AFTER_THE_DIRECTORY)
    python = programs / "python"
    # The interpreter's own flags, then "-c" and what it is to run; the rest are words for that.
    python.write_text(
        f'#!/bin/sh\nwhile [ "$1" != -c ]; do shift; done\nshift 2; echo "$@" >{programs}/words\n'
        f'PYTHONPATH="$1/.." exec {sys.executable} -B {programs}/supervisor.py "$@"\n'
    )
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    program = "from xshm.virtual.display import VirtualDisplay; VirtualDisplay(64, 48, framebuffer='sysv')"
    owner = subprocess.run([sys.executable, "-c", program], env=os.environ | {"XSHM_PYTHON": str(python)}, check=False)
    assert owner.returncode == -signal.SIGKILL
    words = (programs / "words").read_text().split()
    server = int(next(word for word in words if word.startswith("server=")).partition("=")[2])
    deadline = time.monotonic() + 10
    while list(place.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert list(place.iterdir()) == []
    assert not lives(server)
    assert server not in segments().values()


@pytest.mark.parametrize("victims", ["supervisor", "supervisor and owner"])
@pytest.mark.parametrize("is_made", [False, True])
def test_a_kill_before_anything_is_noted_leaves_no_framebuffer_in_the_owners_own_directory(
    victims: str, is_made: bool, place: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    real, kept = shutil.which("mkdir"), tmp_path_factory.mktemp("kept")
    kill = "kill -9 $PPID" + ' $(echo "${3##*/}" | cut -d- -f2)' * ("owner" in victims)
    owner = start_with_mkdir(f'{real} "$@"; ' * is_made + kill, kept, tmp_path_factory.mktemp("programs"))
    if "owner" in victims:
        assert owner.returncode == -signal.SIGKILL
    else:
        assert "ended with signal 9" in owner.stdout or "was killed" in owner.stdout
    deadline = time.monotonic() + 10
    while list(kept.iterdir()) and "owner" in victims and time.monotonic() < deadline:
        time.sleep(0.01)  # the shell cleans up, and nobody waits for it
    assert list(kept.iterdir()) == []
    start_another()
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("make", ["echo theirs >", "ln -s nowhere ", "ln -s /dev/null ", "mkfifo "])
def test_a_framebuffer_is_not_made_where_somebody_else_has_just_put_something(make: str, tmp_path: Path) -> None:
    theirs = tmp_path / "Xvfb_screen0"
    subprocess.run(["sh", "-c", make + str(theirs)], check=True)
    with pytest.raises(StartFailed, match=f"somebody else has just made {theirs}; take a directory that nobody else"):
        launch._make_framebuffers(str(tmp_path), 1)
    assert [path.name for path in tmp_path.iterdir()] == [theirs.name]


def start_with_mkdir(line: str, kept: Path, programs: Path) -> subprocess.CompletedProcess[str]:
    """Start a display whose script runs this line of the shell in place of its first program, mkdir."""
    mkdir = programs / "mkdir"
    mkdir.write_text(f"#!/bin/sh\n{line}\n")
    mkdir.chmod(0o700)
    program = (
        "import pathlib, sys, xshm\n"
        "try: xshm.VirtualDisplay(64, 48, framebuffer=pathlib.Path(sys.argv[1]))\n"
        "except xshm.StartFailed as error: print(error)"
    )
    environment = os.environ | {"PATH": f"{programs}:{os.environ['PATH']}"}
    command = [sys.executable, "-c", program, str(kept)]
    return subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=False)


@needs_root
def test_a_directory_that_a_stranger_has_put_there_tells_nothing_of_what_is_to_be_removed(tmp_path: Path) -> None:
    his = tmp_path / "his"
    his.mkdir()
    number = 61000 + os.getpid() % 4000
    path = Path(f"/tmp/.X11-unix/X{number}")  # noqa: S108 - the protocol's well-known place
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
    try:
        os.chown(his, 65534, 65534)
        cleanup.remove(str(his), has_processes=False)
        assert path.exists()
        os.chown(his, 0, 0)  # of ours it would be what a server has left that was killed as it started
        cleanup.remove(str(his), has_processes=False)
        assert not path.exists()
    finally:
        path.unlink(missing_ok=True)


def test_no_place_is_swept_in_which_others_could_give_a_directory_another_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    namespace = str(Path("/proc/self/ns/pid").readlink())[len("pid:[") : -1]
    directory = tmp_path / f"xshm-{_DEAD_PID}-1-{namespace}-{'0' * 16}"
    directory.mkdir(mode=0o700)
    (directory / "letter").touch()
    for mode, is_left in ((0o777, True), (0o1777, False)):
        tmp_path.chmod(mode)
        start_another()
        assert directory.exists() == is_left


def test_a_display_whose_supervisor_was_killed_before_it_had_read_all_is_closed() -> None:
    with VirtualDisplay(64, 48, args=("-extension", "GLX")) as display:
        program = display.run(["sleep", "60"])
        above = parent(display.pid)
        os.kill(above, signal.SIGSTOP)
        program.kill()
        program.wait()  # the supervisor is informed
        shell = parent(above)
        os.kill(above, signal.SIGKILL)
        os.waitid(os.P_PID, shell, os.WEXITED | os.WNOWAIT)  # which has the line, too
        assert display.xauthority is not None
        server, directory = display.pid, display.xauthority.parent
        assert server is not None
    assert not lives(server)
    assert not directory.exists()
