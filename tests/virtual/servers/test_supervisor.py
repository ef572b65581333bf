"""A supervisor has to prove that it is a Python interpreter; another program in its place leaves nothing behind."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from another_user import UID, needs_root
from processes import ended

from xshm.errors import StartFailed
from xshm.virtual.display import VirtualDisplay
from xshm.virtual.servers import server_files

if TYPE_CHECKING:
    from xshm.virtual.spec import FramebufferKind

_HINT = "set XSHM_PYTHON to the path of a Python 3.11 or newer"


def executable(path: Path, text: str) -> str:
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def another_program(where: Path, end: str) -> str:
    """Make a program that knows nothing of displays; it notes what it was started with."""
    return executable(where / "application", f"#!/bin/sh\nprintf '%s\\n' \"$@\" >>'{where}/words'\n{end}\n")


def run_programs_for_ever() -> None:
    with VirtualDisplay(2000, 2000) as display:
        while True:
            display.run("true").wait()


def check_nothing_is_left(where: Path) -> None:
    # Each start begins with "-I"; the shell above may have started the program once more, to tidy up.
    starts = (where / "words").read_text().split("-I\n")
    words = next(each for each in reversed(starts) if "xshm.virtual.servers.supervisor" in each)
    directory, memory, server = (
        next(word.partition("=")[2] for word in words.split("\n") if word.startswith(f"{name}="))
        for name in ("directory", "memory", "server")
    )
    assert directory.startswith(str(where))
    assert not Path(directory).exists()
    assert not memory or not Path(memory).exists()
    assert ended(int(server))
    segments = [line.split() for line in Path("/proc/sysvipc/shm").read_text().splitlines()]
    assert server not in {row[segments[0].index("cpid")] for row in segments[1:]}


@pytest.mark.parametrize("kind", ["file", "sysv"])
@pytest.mark.parametrize(
    ("end", "fate"), [("exec sleep 60", "did not answer"), ("exit 5", "exit code 5"), ("kill -9 $$", "signal 9")]
)
def test_another_program_in_the_supervisor_s_place_is_named_and_nothing_is_left(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, end: str, fate: str, kind: FramebufferKind
) -> None:
    program = another_program(tmp_path, end)
    monkeypatch.setattr(sys, "executable", program)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with pytest.raises(StartFailed, match=rf"{program} was to look after the display.*{fate}.*{_HINT}"):
        VirtualDisplay(64, 48, framebuffer=kind, timeout=2)
    check_nothing_is_left(tmp_path)


def test_a_supervisor_that_is_killed_at_its_first_steps_holds_nothing_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    killed = "import os, socket; socket.socket(fileno=0).send(b'hello'); os.kill(os.getpid(), 9)"
    of_the_supervisor = f'*supervisor*main*) exec {sys.executable} -c "{killed}"'
    end = f'case "$*" in {of_the_supervisor} ;; esac\nexec {sys.executable} "$@"'
    monkeypatch.setenv("XSHM_PYTHON", another_program(tmp_path, end))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    begin = time.monotonic()
    with pytest.raises(StartFailed, match="supervisor ended with signal 9 before the display was ready"):
        VirtualDisplay(64, 48)
    assert time.monotonic() - begin < 5
    check_nothing_is_left(tmp_path)


def test_a_server_that_a_shell_has_reaped_before_the_supervisor_runs_is_told_as_ended(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # A shell that waits for one child reaps the others: the server has become one by the exec.
    monkeypatch.setenv("XSHM_PYTHON", another_program(tmp_path, f'sleep 0.3; exec {sys.executable} "$@"'))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with pytest.raises(StartFailed, match=r"Xvfb ended before it was ready; it said: .*-nosuchoption"):
        VirtualDisplay(64, 48, args=("-nosuchoption",), framebuffer="sysv")
    check_nothing_is_left(tmp_path)


def test_framebuffers_that_were_to_stay_go_with_a_failed_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    monkeypatch.setenv("XSHM_PYTHON", another_program(tmp_path, "sleep 1; exit 3"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with pytest.raises(StartFailed, match="exit code 3"):
        VirtualDisplay(64, 48, framebuffer=kept)
    check_nothing_is_left(tmp_path)
    assert list(kept.iterdir()) == []


def test_an_interpreter_that_is_not_there_is_told_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
    with pytest.raises(StartFailed, match=rf"sys\.executable is .*nothing, which is no program .*{_HINT}"):
        VirtualDisplay(64, 48)
    monkeypatch.setattr(sys, "executable", "")
    with pytest.raises(StartFailed, match=rf"sys\.executable names no interpreter.*{_HINT}"):
        VirtualDisplay(64, 48)
    monkeypatch.setenv("XSHM_PYTHON", str(tmp_path))
    with pytest.raises(StartFailed, match=rf"XSHM_PYTHON is {tmp_path}, which is no program that can be run"):
        VirtualDisplay(64, 48)


def test_a_frozen_application_is_not_started_again_and_can_name_an_interpreter(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    interpreter = sys.executable
    monkeypatch.setattr(sys, "executable", another_program(tmp_path, "exit 5"))
    monkeypatch.setattr(sys, "frozen", True, raising=False)  # as PyInstaller, cx_Freeze and py2app have it
    with pytest.raises(StartFailed, match=f"application is a frozen application; {_HINT}"):
        VirtualDisplay(64, 48)
    assert not (tmp_path / "words").exists()
    monkeypatch.setenv("XSHM_PYTHON", interpreter)
    with VirtualDisplay(64, 48) as display:
        assert display.screen.grab().pixels.shape == (48, 64, 4)


def test_an_application_that_is_started_as_its_own_supervisor_starts_no_further_one(tmp_path: Path) -> None:
    program = executable(
        tmp_path / "application",
        f"#!{sys.executable}\nimport sys\nopen({str(tmp_path / 'starts')!r}, 'a').write('started\\n')\n"
        "sys.executable = sys.argv[0]\nfrom xshm.virtual.display import VirtualDisplay\nVirtualDisplay(64, 48)\n",
    )
    result = subprocess.run([program], capture_output=True, text=True, check=False, timeout=50)
    assert result.returncode == 1
    assert f"{program} was to look after the display, and ended with exit code 1" in result.stderr
    assert "this process was started to look after a display" in result.stderr
    assert (tmp_path / "starts").read_text() == "started\n" * 2


@pytest.mark.parametrize("kind", ["link", pytest.param("directory", marks=needs_root)])
def test_a_start_fails_at_once_where_somebody_else_was_first_to_make_the_display_s_directory(
    kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr("secrets.token_hex", lambda size: "7" * 2 * size)
    planted = Path(server_files.directory_name(str(tmp_path), "7" * 16))
    theirs = tmp_path / "theirs" if kind == "link" else planted
    theirs.mkdir()
    (theirs / "Xauthority").write_text("theirs")
    if kind == "link":
        planted.symlink_to(theirs)
    else:
        os.chown(planted, UID, UID)
    before = time.monotonic()
    with pytest.raises(StartFailed, match=rf"could not be started; it said: mkdir: .*{planted}.*File exists"):
        VirtualDisplay(64, 48)
    assert time.monotonic() - before < 5  # seconds; the end of a supervisor that does not answer takes 13
    assert (theirs / "Xauthority").read_text() == "theirs"
    assert planted.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount")
def test_a_display_starts_where_sigchld_is_ignored_though_the_shell_hands_that_on() -> None:
    program = (
        "import signal\nsignal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
        "from xshm.virtual.display import VirtualDisplay\n"
        "with VirtualDisplay(64, 48) as d: print(d.screen.grab().pixels.shape)"
    )
    # Debian's /bin/sh gives SIGCHLD back its default by accident; bash, the shell of others, does not.
    shell = 'mount --bind /bin/bash /bin/sh && exec "$0" -c "$1"'
    command = ["unshare", "--mount", "bash", "-c", shell, sys.executable, program]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=50)
    if "unshare failed" in result.stderr or "mount: " in result.stderr:
        pytest.skip(f"namespaces are not allowed here: {result.stderr.strip()}")
    assert result.stdout == "(48, 64, 4)\n", result.stderr


def test_a_supervisor_that_is_killed_before_the_server_is_up_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # The program becomes the real supervisor, and is killed while it waits for the server.
    words = '"$@"'
    killer = f"( sleep 0.02; kill -{signal.SIGKILL} $$ ) & exec {sys.executable} {words}"
    monkeypatch.setenv("XSHM_PYTHON", another_program(tmp_path, killer))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    start = time.monotonic()
    with pytest.raises(StartFailed, match=r"killed|signal 9"):
        run_programs_for_ever()
    assert time.monotonic() - start < 20
    check_nothing_is_left(tmp_path)


@pytest.mark.parametrize("kind", ["file", "sysv"])
def test_no_descriptor_of_a_display_s_is_inherited_by_programs_that_keep_descriptors(kind: FramebufferKind) -> None:
    before = set(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names
    with VirtualDisplay(64, 48, framebuffer=kind) as display:
        display.screen.grab()
        opened = [int(name) for name in set(os.listdir("/proc/self/fd")) - before]  # noqa: PTH208
        kept = [number for number in opened if os.path.exists(f"/proc/self/fd/{number}") and os.get_inheritable(number)]  # noqa: PTH110
    assert opened
    assert kept == []


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the system calls have other numbers here")
def test_a_kernel_without_pidfds_is_told_as_what_a_display_needs() -> None:
    program = """
import ctypes, errno, os, struct
from xshm import VirtualDisplay, errors
# BPF: load the call's number; where it is pidfd_open, fail with ENOSYS, else let it pass.
code = b"".join(struct.pack("=HBBI", *line) for line in (
    (0x20, 0, 0, 0), (0x15, 0, 1, 434), (6, 0, 0, 0x50000 | errno.ENOSYS), (6, 0, 0, 0x7FFF0000)))
lines = ctypes.create_string_buffer(code)
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS
assert libc.prctl(22, 2, struct.pack("HxxxxxxP", 4, ctypes.addressof(lines)), 0, 0) == 0  # PR_SET_SECCOMP
before = os.listdir("/proc/self/fd")
try:
    VirtualDisplay(64, 64)
except errors.StartFailed as error:
    print(error)
assert os.listdir("/proc/self/fd") == before  # now, since the traceback refers to the descriptors of the start
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=50)
    reason = "pidfd_open is refused (Function not implemented); a display needs Linux 5.3 or newer\n"
    assert result.stdout == reason, result.stderr
