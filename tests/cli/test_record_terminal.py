"""`xshm record` at a terminal: its numbers, q, Ctrl-C and Ctrl-Z, and the modes that the terminal is left in."""

from __future__ import annotations

import os
import re
import sys
import termios
import time
from typing import TYPE_CHECKING

from ffprobe import probe
from terminals import Terminal

if TYPE_CHECKING:
    from pathlib import Path

    from servers import Server

_RECORD = [sys.executable, "-m", "xshm", "record", "-g", "320x200+0+0"]


def modes(terminal: Terminal) -> int:
    """Return the terminal's local modes."""
    found: int = termios.tcgetattr(terminal.fd)[3]
    return found


def test_a_line_of_numbers_is_shown_until_q_is_pressed(xvfb: Server, tmp_path: Path) -> None:
    file = tmp_path / "a.mp4"
    with Terminal(*_RECORD, str(file), env=xvfb.env()) as terminal:
        before = modes(terminal)
        said = terminal.expect("q ends")
        assert "H.264" in said, "what was chosen"
        line = said.rpartition("\r")[2]
        assert re.fullmatch(r"0:00\.\d  \d+ frames?, \d+ dropped, [\d.]+ (bytes?|kB)  ", line), line
        assert not modes(terminal) & (termios.ICANON | termios.ECHO)
        terminal.type("x")
        terminal.expect("0:01.")
        terminal.type("q")
        last = terminal.rest()
        assert terminal.exit_code() == 0
        assert modes(terminal) == before
        assert last.endswith("\r\n"), "the shell's prompt has a line of its own"
        assert "Traceback" not in last
    assert 0.9 < probe(file).duration < 3


def test_a_key_that_was_pressed_before_it_began_does_not_end_it(xvfb: Server, tmp_path: Path) -> None:
    with Terminal(*_RECORD, str(tmp_path / "a.mp4"), "--delay", "0.3", env=xvfb.env()) as terminal:
        terminal.type("q")
        terminal.expect("0:00.4")
        terminal.type("q")
        terminal.rest()
        assert terminal.exit_code() == 0


def test_a_duration_is_shown_as_a_bar(xvfb: Server, tmp_path: Path) -> None:
    with Terminal(*_RECORD, str(tmp_path / "a.mp4"), "--duration", "0.5", env=xvfb.env()) as terminal:
        last = terminal.rest()
        assert terminal.exit_code() == 0
    assert re.search(r"0:00\.5  .*  100%\|", last.rpartition("\r0:")[0] + last), last


def test_ctrl_z_gives_the_terminal_back_and_what_passes_meanwhile_is_not_recorded(xvfb: Server, tmp_path: Path) -> None:
    file = tmp_path / "a.mp4"
    with Terminal("bash", "--norc", "--noediting", "-i", env=xvfb.env()) as shell:
        shell.expect("$ ")
        shell.type(" ".join([*_RECORD, str(file)]) + "\n")
        shell.expect("q ends")
        shell.type("\x1a")
        shell.expect("Stopped")
        time.sleep(1.2)
        shell.type("stty -a | grep -wo -e '-*icanon' -e '-*echo'\n")
        shell.expect("\r\nicanon\r\necho\r\n")
        shell.type("fg\n")
        shell.expect("q ends")
        shell.expect("q ends")
        shell.type("q")
        shell.expect("$ ")
        shell.type("echo code $?; stty -a | grep -wo -e '-*icanon'; exit\n")
        shell.expect("\r\ncode 0\r\nicanon\r\n")
    assert 0.2 < probe(file).duration < 1.1


def test_a_job_in_the_background_shows_nothing_reads_nothing_and_goes_on(xvfb: Server, tmp_path: Path) -> None:
    file = tmp_path / "a.mp4"
    with Terminal("bash", "--norc", "--noediting", "-i", env=xvfb.env()) as shell:
        shell.expect("$ ")
        shell.type(" ".join([*_RECORD, str(file), "--duration", "1"]) + " &\n")
        shell.expect("$ ")
        time.sleep(0.6)
        shell.type("echo q$((6*7))\n")
        before = shell.expect("\r\nq42\r\n")
        assert "frames" not in before
        shell.type("wait; echo code $?; exit\n")
        shell.expect("\r\ncode 0\r\n")
    assert 0.9 < probe(file).duration < 1.3


def test_the_terminal_is_left_alone_where_standard_input_is_something_else(xvfb: Server, tmp_path: Path) -> None:
    line = f"read a; {' '.join(_RECORD)} a.mp4 --duration 0.3; read b; echo $a $b"
    with Terminal("bash", "-c", f"cd {tmp_path}; printf 'one\\nq\\n' | ( {line} )", env=xvfb.env()) as terminal:
        assert "one q\r\n" in terminal.rest()
    assert probe(tmp_path / "a.mp4").duration < 1


def test_without_tqdm_it_says_so_and_records(xvfb: Server, tmp_path: Path) -> None:
    (tmp_path / "tqdm.py").write_text("raise ImportError('not installed')")
    path = f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"
    env = xvfb.env() | {"PYTHONPATH": path}
    with Terminal(*_RECORD, str(tmp_path / "a.mp4"), "--duration", "0.1", env=env) as terminal:
        said = terminal.rest()
        assert terminal.exit_code() == 0
    assert said.count("no progress is shown without tqdm, which pip install xshm[video] brings") == 1
    assert probe(tmp_path / "a.mp4").duration < 1
