"""At the limit on open files or processes, the error names the limit, and nothing leaks."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import signal
import subprocess
import sys
import textwrap
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from descriptors import new_descriptors, open_descriptors
from processes import parent

import xshm
from xshm import ConnectFailed, InvalidArgument, RecordingFailed, StartFailed
from xshm.system import limits
from xshm.virtual.processes import process_groups

if TYPE_CHECKING:
    from collections.abc import Iterator

    from servers import Server

_LIMIT, _HARD = resource.getrlimit(resource.RLIMIT_NOFILE)


def test_an_error_about_a_limit_becomes_one_of_ours_that_names_it() -> None:
    with (
        pytest.raises(ConnectFailed, match=rf"^\[Errno 24\] it fails: .*RLIMIT_NOFILE {_LIMIT}\).*ulimit -n") as caught,
        limits.Explained(ConnectFailed, "it fails"),
    ):
        raise OSError(errno.EMFILE, "Too many open files", "name")
    assert caught.value.errno == errno.EMFILE
    with pytest.raises(StartFailed, match=r"^it fails: .*fs\.file-max"), limits.Explained(StartFailed, "it fails"):
        raise OSError(errno.ENFILE, "Too many open files in system")
    with pytest.raises(StartFailed, match=r"RLIMIT_NPROC -?\d+.*ulimit -u"), limits.Explained(StartFailed, "it fails"):
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
    with pytest.raises(RecordingFailed, match=r"RLIMIT_NPROC"), limits.Explained(RecordingFailed, "it fails"):
        raise RuntimeError("can't start new thread")
    with pytest.raises(RuntimeError, match=r"^another$"), limits.Explained(RecordingFailed, "it fails"):
        raise RuntimeError("another")


def test_a_limit_on_the_address_space_is_named() -> None:
    error = OSError(errno.ENOMEM, "Cannot allocate memory")
    assert limits.explain(error) is limits.explain_segment(error) is None
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (1 << 40, hard))
    try:
        assert "1,099,511,627,776 bytes of addresses (RLIMIT_AS)" in limits.describe(error)
        assert "RLIMIT_AS" in str(limits.explain_segment(error))
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def test_limits_behind_what_a_server_says_are_named() -> None:
    said = "shmget: No space left on device | shmget 15520 bytes failed, No space left on device"
    assert "kernel.shmmni (" in str(limits.explain_messages(said))
    assert "kernel.shmall (" in str(limits.explain_messages(said))
    assert "kernel.shmmax (" in str(limits.explain_messages("shmget: Invalid argument"))
    assert limits.explain_messages("Bus error at address 0x1") is None  # no limit on files is set
    assert limits.explain_messages("Couldn't add screen 0") is None


def test_a_limit_on_the_size_of_files_is_named_and_that_of_a_file_system_is_not() -> None:
    error = OSError(errno.EFBIG, "File too large")
    assert limits.describe(error) == "File too large"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (123_456, hard))
    try:
        words = limits.describe(error)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert words == (
        "File too large: files that this process writes may have 123,456 bytes (RLIMIT_FSIZE); "
        "raise the limit (ulimit -f)"
    )


def test_what_was_explained_is_not_explained_again() -> None:
    words = limits.describe(OSError(errno.EMFILE, os.strerror(errno.EMFILE), "name"))
    assert limits.describe(OSError(errno.EMFILE, words, "name")) == words


@pytest.mark.parametrize("error", [OSError(errno.ENOENT, "none", "name"), InvalidArgument("x"), KeyboardInterrupt()])
def test_what_is_about_no_limit_stays_what_it_is(error: BaseException) -> None:
    with pytest.raises(type(error)) as caught, limits.Explained(ConnectFailed, "it fails"):
        raise error
    assert caught.value is error


def test_waiting_for_somebody_elses_server_keeps_no_descriptor(xvfb: Server) -> None:
    display = xshm.VirtualDisplay.attach(xvfb.name, xvfb.authority)
    try:
        before = open_descriptors()
        assert not any(display.wait(0) for _ in range(5))
        assert not new_descriptors(before)
    finally:
        display.close()


def test_what_is_loaded_at_its_first_use_names_the_limit_and_can_be_used_again(xvfb: Server) -> None:
    script = f"""
        import os, resource, xshm
        screen = xshm.Screen({xvfb.name!r})
        frame = screen.grab((0, 0, 8, 8))
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        uses = screen.windows, screen.wait_stable, lambda: screen.monitors, frame.rgb, lambda: xshm.Framebuffer
        for use in uses:
            resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
            try:
                print(use())
            except xshm.ConnectFailed as error:
                assert "RLIMIT_NOFILE 3)" in str(error), error
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            use()
        print("done")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.stderr) == ("done\n", "")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become a user who has no processes yet")
def test_a_display_that_no_process_is_left_for_says_which_limit_that_is() -> None:
    script = """
        import os, resource, numpy, xshm  # numpy has threads of its own
        xshm.VirtualDisplay
        os.setgid(65534), os.setuid(65534)
        resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
        os.environ |= {"TMPDIR": "/tmp", "XDG_RUNTIME_DIR": ""}
        try:
            xshm.VirtualDisplay(8, 8)
        except xshm.StartFailed as error:
            print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.startswith("the display can't be started: all processes that this user may have are running")
    assert "RLIMIT_NPROC 1" in done.stdout


@contextlib.contextmanager
def _no_descriptor_free() -> Iterator[None]:
    held = [os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)]
    resource.setrlimit(resource.RLIMIT_NOFILE, (held[0] + 1, _HARD))
    while True:
        try:
            held.append(os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC))
        except OSError:
            break
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (_LIMIT, _HARD))
        for descriptor in held:
            os.close(descriptor)


def test_what_a_killed_supervisor_leaves_is_ended_as_soon_as_there_is_a_descriptor() -> None:
    # A framebuffer's mapping has descriptors that its end sets free.
    display = xshm.VirtualDisplay(8, 8, args=["-extension", "GLX"], framebuffer="none")
    program = display.run(["sh", "-c", "setsid sleep 61 & echo $!; exec sleep 62"], stdout=subprocess.PIPE)
    assert program.stdout is not None
    with program.stdout:
        beside = os.pidfd_open(int(program.stdout.readline()))
    supervisor = parent(display.pid)
    os.kill(supervisor, signal.SIGKILL)
    with _no_descriptor_free():
        with pytest.raises(ConnectFailed, match=r"the program's processes can't be looked for: .*RLIMIT_NOFILE"):
            program.end()
        with pytest.raises(StartFailed, match=r"the display can't be taken down: .*RLIMIT_NOFILE"):
            display.close()
    display.close()
    assert process_groups.wait((beside,), time.monotonic() + 5) == beside
    assert program.returncode == -signal.SIGTERM
    assert display.xauthority is not None
    assert not display.xauthority.parent.exists()
    os.close(beside)


def test_a_supervisor_with_few_descriptors_ends_all_of_many_programs(tmp_path: Path) -> None:
    greatest = max(int(each.name) for each in Path("/proc/self/fd").iterdir())  # other tests have run in this process
    resource.setrlimit(resource.RLIMIT_NOFILE, (greatest + 20, _HARD))
    try:
        display = xshm.VirtualDisplay(8, 8, args=["-extension", "GLX"])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (_LIMIT, _HARD))
    fifo = tmp_path / "held by all of them"
    os.mkfifo(fifo)
    reading = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    held = os.open(fifo, os.O_WRONLY)
    for _ in range(20):
        display.run(["sh", "-c", "setsid sleep 61 & exec sleep 62"], pass_fds=[held])
    os.close(held)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        display.close()
    assert process_groups.wait((reading,), time.monotonic() + 5) == reading  # its end: nobody has it any more
    os.close(reading)
