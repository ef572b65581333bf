"""A server's messages go to any file that takes them, a pipe or a terminal too, and errors still quote them."""

from __future__ import annotations

import os
import pty
import re
import select
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from xshm.errors import StartFailed
from xshm.virtual.display import VirtualDisplay

_RUN = [sys.executable, "-m", "xshm", "run"]
_SAYS = ["--framebuffer", "sysv"]  # a server that says a line and goes on
_SAID = re.compile(r"screen 0 shmid \d+")


def read(descriptor: int, wanted: str, seconds: float = 10) -> str:
    """Read until that is there."""
    seen, deadline = "", time.monotonic() + seconds
    while not re.search(wanted, seen):
        assert select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))[0], f"only {seen!r} came"
        seen += os.read(descriptor, 65536).decode()
    return seen


def test_it_goes_to_a_pipe_while_the_server_runs_and_is_remembered() -> None:
    reader, writer = os.pipe()
    with VirtualDisplay(64, 48, framebuffer="sysv", log=Path(f"/dev/fd/{writer}")) as display:
        os.close(writer)
        assert _SAID.search(read(reader, _SAID.pattern))
        assert _SAID.search(display.said())
    with os.fdopen(reader) as pipe:
        assert pipe.read() == "", "nobody has it open any more"


@pytest.mark.parametrize("name", ["/dev/stderr", "/dev/stdout", "/dev/fd/2", "/proc/self/fd/2"])
def test_the_standard_streams_take_it_when_they_are_pipes(name: str) -> None:
    words = [*_RUN, "-e", name, *_SAYS, "--", "sh", "-c", "exit 3"]
    result = subprocess.run(words, capture_output=True, text=True, check=False, timeout=50)
    assert result.returncode == 3
    assert _SAID.search(result.stdout if name == "/dev/stdout" else result.stderr)
    words = [*_RUN, "-e", name, "-s", "-bogus", "--", "sh", "-c", "exit 3"]
    result = subprocess.run(words, capture_output=True, text=True, check=False, timeout=50)
    assert result.returncode == 2
    assert "Unrecognized option: -bogus\n" in (result.stdout if name == "/dev/stdout" else result.stderr)
    assert "it said: Fatal server error: | Unrecognized option: -bogus\n" in result.stderr


def test_a_terminal_takes_it() -> None:
    ours, theirs = pty.openpty()
    words = [*_RUN, "-e", "/dev/stderr", *_SAYS, "--", "sh", "-c", "exit 3"]
    with subprocess.Popen(words, stderr=theirs) as running:
        os.close(theirs)
        assert _SAID.search(read(ours, _SAID.pattern))
    assert running.returncode == 3
    os.close(ours)


def test_a_socket_takes_it() -> None:
    ours, theirs = socket.socketpair()
    words = [*_RUN, "-e", "/dev/stderr", *_SAYS, "--", "sh", "-c", "exit 3"]
    with ours, subprocess.Popen(words, stderr=theirs.fileno()) as running:
        theirs.close()
        assert _SAID.search(read(ours.fileno(), _SAID.pattern))
    assert running.returncode == 3


def test_a_fifo_takes_it_if_somebody_reads(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with pytest.raises(StartFailed, match=f"nobody reads from {fifo}; start its reader"):
        VirtualDisplay(64, 48, log=fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    with VirtualDisplay(64, 48, framebuffer="sysv", log=fifo) as display:
        assert _SAID.search(read(reader, _SAID.pattern))
        os.close(reader)
        assert display.screen.grab().pixels.shape == (48, 64, 4)


def test_a_pipe_that_nobody_empties_holds_up_nothing_and_gets_all_in_the_end() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    filled = os.write(writer, bytes(1 << 20))
    start = time.monotonic()
    with VirtualDisplay(64, 48, framebuffer="sysv", log=Path(f"/dev/fd/{writer}")) as display:
        assert display.run("true").wait() == 0
        while not _SAID.search(display.said()):
            time.sleep(0.01)
        assert time.monotonic() - start < 10
        threading.Timer(0.3, os.read, (reader, filled)).start()
    os.close(writer)
    with os.fdopen(reader) as pipe:
        assert _SAID.search(pipe.read())


def test_dev_null_takes_it_too() -> None:
    with VirtualDisplay(64, 48, framebuffer="sysv", log=Path(os.devnull)) as display:
        assert _SAID.search(display.said())


def test_a_process_without_standard_streams_has_displays_and_their_words(tmp_path: Path) -> None:
    program = (
        "import os, sys\nos.closerange(0, 3)\n"
        "from xshm.virtual.display import VirtualDisplay\nfrom pathlib import Path\n"
        "with VirtualDisplay(64, 48, framebuffer='sysv') as d:\n"
        "    code = d.run(['sh', '-c', 'exit 3']).wait()\n"
        "    Path(sys.argv[1]).write_text(f'{code} {d.screen.grab().pixels.shape} {d.said()}')\n"
        "kept = Path(sys.argv[1]).with_name('kept')\nkept.mkdir()\n"
        "with VirtualDisplay(64, 48, framebuffer=kept) as d: pass\n"
    )
    result = tmp_path / "result"
    subprocess.run([sys.executable, "-c", program, result], check=True, timeout=50)
    assert re.match(r"3 \(48, 64, 4\) (.*\n)*screen 0 shmid", result.read_text())


def test_the_terminal_of_a_process_that_has_none_is_refused_as_the_kernel_does() -> None:
    words = [*_RUN, "-e", "/dev/tty", "true"]
    result = subprocess.run(words, start_new_session=True, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (2, "xshm: /dev/tty: No such device or address\n")
