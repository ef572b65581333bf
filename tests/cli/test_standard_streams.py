"""Standard streams of the command line: what is closed, full or slow costs no byte of a picture and no exit code."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from painter import Painter
    from servers import Server

_WHOLE = 1280 * 800 * 3 + 54  # bytes of a BMP of the screen
_TOO_LARGE = (  # by ulimit -f 100
    "File too large: files that this process writes may have 102,400 bytes (RLIMIT_FSIZE); "
    "raise the limit (ulimit -f)\n"
)
_UNBUFFERED = {"PYTHONUNBUFFERED": "1"}


@pytest.fixture
def shell(xvfb: Server, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[bytes]]:
    """Give a function that runs a line of shell in which $xshm is the command."""

    def shell(line: str, **changed: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            ["bash", "-c", line],
            env=xvfb.env() | {"xshm": f"{sys.executable} -m xshm"} | changed,
            cwd=tmp_path,
            capture_output=True,
            check=False,
            timeout=60,
        )

    return shell


def picture_size(file: Path) -> tuple[int, int]:
    with Image.open(file) as picture:
        picture.load()
        return picture.size


# -- what is not written whole -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["shot -", "windows", "--help"])
@pytest.mark.parametrize("environment", [{}, _UNBUFFERED], ids=["buffered", "unbuffered"])
def test_a_full_disk_is_said_with_the_name_of_standard_output(
    shell: Any, command: str, environment: dict[str, str]
) -> None:
    done = shell(f"$xshm {command} > /dev/full", **environment)
    assert done.stderr.decode() == "xshm: standard output: No space left on device\n"
    assert done.returncode == 2


@pytest.mark.parametrize("environment", [{}, _UNBUFFERED], ids=["buffered", "unbuffered"])
def test_a_picture_that_is_cut_by_a_limit_is_said(shell: Any, tmp_path: Path, environment: dict[str, str]) -> None:
    done = shell("(ulimit -f 100; exec $xshm shot - -t bmp > cut.bmp)", **environment)
    assert (done.returncode, done.stderr.decode()) == (2, f"xshm: standard output: {_TOO_LARGE}")
    assert (tmp_path / "cut.bmp").stat().st_size < _WHOLE


@pytest.mark.parametrize("environment", [{}, _UNBUFFERED], ids=["buffered", "unbuffered"])
def test_a_reader_who_leaves_is_said(shell: Any, environment: dict[str, str]) -> None:
    done = shell("$xshm shot - -t bmp | head -c 100000 > part; exit ${PIPESTATUS[0]}", **environment)
    assert (done.returncode, done.stderr.decode()) == (2, "xshm: standard output: Broken pipe\n")


@pytest.mark.parametrize("environment", [{}, _UNBUFFERED], ids=["buffered", "unbuffered"])
def test_a_slow_reader_of_a_non_blocking_pipe_gets_the_whole_picture(
    xvfb: Server, painter: Painter, environment: dict[str, str]
) -> None:
    painter.rectangles()
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    command = [sys.executable, "-m", "xshm", "shot", "-", "-t", "bmp"]
    with subprocess.Popen(command, env=xvfb.env() | environment, stdout=writer) as running:
        os.close(writer)
        read = b""
        with os.fdopen(reader, "rb", 0) as file:
            while data := file.read(20_000):
                read += data
                time.sleep(0.001)
        assert running.wait() == 0
    assert len(read) == _WHOLE
    assert np.asarray(Image.open(io.BytesIO(read))).shape == (800, 1280, 3)


def test_a_full_disk_keeps_the_good_picture(shell: Any, tmp_path: Path) -> None:
    """A limit on the size of files stands in for the disk, which takes root to make."""
    (tmp_path / "a.bmp").write_bytes(b"the good one")
    done = shell("(ulimit -f 100; exec $xshm shot a.bmp)")
    assert (done.returncode, done.stderr.decode()) == (2, f"xshm: a.bmp: {_TOO_LARGE}")
    done = shell("(ulimit -f 100; exec $xshm shot -t bmp)")
    assert done.returncode == 2
    assert f"_1280x800_xshm.bmp: {_TOO_LARGE}" in done.stderr.decode()
    done = shell("(ulimit -f 100; exec $xshm run --size 640x480 --framebuffer none --shot a.bmp -- true)")
    assert (done.returncode, done.stderr.decode()) == (2, f"xshm: a.bmp: {_TOO_LARGE}")
    assert (tmp_path / "a.bmp").read_bytes() == b"the good one"
    assert [file.name for file in tmp_path.iterdir()] == ["a.bmp"]


def test_the_picture_of_a_difference_is_written_whole_or_not_at_all(shell: Any, tmp_path: Path) -> None:
    for name, shade in (("one.png", "red"), ("other.png", "blue")):
        Image.new("RGB", (300, 300), shade).save(tmp_path / name)
    (tmp_path / "shown.bmp").write_bytes(b"the good one")
    done = shell("(ulimit -f 100; exec $xshm diff one.png other.png -o shown.bmp)")
    assert (done.returncode, done.stderr.decode()) == (2, f"xshm: shown.bmp: {_TOO_LARGE}")
    assert (tmp_path / "shown.bmp").read_bytes() == b"the good one"


# -- what is closed ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("closed", [">&-", "<&- >&- 2>&-", "2>/dev/full"])
@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("shot a.png", 0),
        ("wait --change --timeout 0 --json", 1),
        ("diff one.png other.png", 1),
        ("windows", 0),
        ("--help", 0),
        ("nonsense", 2),
        ("shot -i 'no such window' -", 2),
    ],
)
def test_a_closed_stream_changes_no_exit_code_and_raises_nothing(
    shell: Any, tmp_path: Path, command: str, code: int, closed: str
) -> None:
    for name, shade in (("one.png", "red"), ("other.png", "blue")):
        Image.new("RGB", (3, 3), shade).save(tmp_path / name)
    done = shell(f"$xshm {command} {closed}")
    assert done.returncode == code, done.stderr
    assert b"Traceback" not in done.stdout + done.stderr
    if ">&-" in closed.replace("2>&-", ""):
        assert done.stdout == b""
    if "2>" in closed:
        assert done.stderr == b""
    if "a.png" in command:
        assert picture_size(tmp_path / "a.png") == (1280, 800)


def test_a_picture_that_has_nowhere_to_go_is_not_taken(shell: Any) -> None:
    done = shell("$xshm shot - >&-")
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.decode() == "xshm: standard output is closed; name a FILE to write to\n"


@pytest.mark.parametrize("closed", ["2>&-", "<&- 2>&-", "<&- >&- 2>&-"])
def test_no_message_gets_into_a_picture_whose_file_could_have_been_standard_error(
    shell: Any, tmp_path: Path, painter: Painter, closed: str
) -> None:
    """One of several windows can't be taken, which is said while the files of the others are written."""
    painter.window((10, 10, 30, 20), (1, 2, 3), title="good")
    hidden = painter.root.create_window(0, 0, 10, 10, 0, 0, window_class=2, override_redirect=True)
    hidden.map()
    painter.display.sync()
    shell(f"$xshm shot --all-windows made {closed}")
    shell(f"$xshm shot whole.png {closed}")
    shell(f"$xshm shot -i none - {closed} > none.png")
    files = [*(tmp_path / "made").iterdir(), tmp_path / "whole.png"]
    assert len(files) >= 2
    for file in files:
        assert picture_size(file)
        assert file.read_bytes().endswith(b"IEND\xaeB`\x82")
    assert (tmp_path / "none.png").read_bytes() == b""


def test_programs_that_are_started_find_closed_what_was_closed(shell: Any, tmp_path: Path) -> None:
    """The name of a selection tool stands in for one: it tells whether its standard input is open."""
    slop = tmp_path / "slop"
    slop.write_text("#!/bin/sh\n[ -e /proc/self/fd/0 ] && exit 1\n echo 20 10 40 30\n")
    slop.chmod(0o755)
    done = shell("$xshm shot -s a.png <&-", PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert (done.returncode, done.stderr) == (0, b"")


# -- what a terminal's encoding lacks ----------------------------------------------------------------------------------


def test_a_title_that_the_encoding_lacks_is_escaped_and_not_refused(shell: Any, painter: Painter) -> None:
    window = painter.window((10, 10, 30, 20), (1, 2, 3))
    name, utf8 = map(painter.display.intern_atom, ("_NET_WM_NAME", "UTF8_STRING"))
    window.change_property(name, utf8, 8, "\N{HIRAGANA LETTER A}".encode())
    painter.display.sync()
    done = shell("$xshm windows", PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert b"\\u3042" in done.stdout


def test_the_name_of_a_file_is_printed_as_it_is(shell: Any, tmp_path: Path, painter: Painter) -> None:
    painter.window((10, 10, 30, 20), (1, 2, 3), title="one")
    done = shell("$xshm shot --all-windows $'d\\xff' && ls -d d*/*")
    assert done.returncode == 0, done.stderr
    printed, listed = done.stdout[: len(done.stdout) // 2], done.stdout[len(done.stdout) // 2 :]
    assert sorted(printed.splitlines()) == sorted(listed.splitlines())
    assert b"d\xff/" in printed
    assert list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("run -- no-such-command", 127),
        ("run -- /etc/passwd", 126),
        ("run --wait-window -- sh -c 'exit 5'", 5),
        ("run --shot /nowhere/a.png -- sh -c 'exit 5'", 5),
        ("wait --pixel 1,1,#123456 --timeout 0.1", 1),
        ("wait --change --timeout 0.1", 1),
        ("shot -g 9x9-99999-0 a.png", 2),
    ],
)
def test_a_full_standard_error_changes_no_exit_code(shell: Any, command: str, code: int) -> None:
    assert shell(f"$xshm {command} 2> /dev/full").returncode == code


def test_what_is_said_of_a_command_is_one_line_whatever_the_command_is_called(shell: Any) -> None:
    done = shell("$xshm run -- $'a\\nb\\e[31m'")
    assert done.stderr == b"xshm: a\\nb\\x1b[31m was not found\n"
