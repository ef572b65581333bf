"""A program on a display is run as the shell would run it, and its exit code is its own or an error."""

from __future__ import annotations

import signal
import stat
from typing import TYPE_CHECKING

import pytest

from xshm.errors import StartFailed
from xshm.virtual_display import VirtualDisplay

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def display() -> Iterator[VirtualDisplay]:
    with VirtualDisplay(64, 48) as display:
        yield display


def executable(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_a_script_without_a_first_line_is_run_by_the_shell(display: VirtualDisplay, tmp_path: Path) -> None:
    script = executable(tmp_path / "no-first-line", b'echo "$1" "$2" >told\nexit 4\n')
    for words, path in ([script], "/bin"), (["no-first-line"], f"{tmp_path}:/bin"), (["./no-first-line"], "/bin"):
        with display.run([*words, "a b", "c"], cwd=tmp_path, env={"PATH": path}) as program:
            assert program.wait() == 4
        assert (tmp_path / "told").read_text() == "a b c\n"
        (tmp_path / "told").unlink()
    assert display.run([executable(tmp_path / "empty", b"")]).wait() == 0


def test_what_is_no_program_is_popen_s_own_error(display: VirtualDisplay, tmp_path: Path) -> None:
    binary = executable(tmp_path / "binary", b"\x7fELF\2\1\1\0of another machine")
    with pytest.raises(OSError, match="Exec format error"):
        display.run([binary])
    script = executable(tmp_path / "script", b"exit 4\n")
    with pytest.raises(OSError, match="Exec format error"):
        display.run(["name"], executable=script)
    with pytest.raises(FileNotFoundError):
        display.run([""])
    assert display.run("true").wait() == 0


def test_an_exit_code_that_the_kernel_would_lose_is_refused(display: VirtualDisplay) -> None:
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        with pytest.raises(
            StartFailed, match=r"SIGCHLD is ignored .* signal\.signal\(signal\.SIGCHLD, signal\.SIG_DFL"
        ):
            display.run(["sh", "-c", "exit 3"])
    finally:
        signal.signal(signal.SIGCHLD, before)
    assert display.run(["sh", "-c", "exit 3"]).wait() == 3
