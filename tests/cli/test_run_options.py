"""The options of xvfb-run work with `xshm run`, or are refused in a line that names the alternative."""

from __future__ import annotations

import argparse
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from xshm.cli import run_options

if TYPE_CHECKING:
    from pathlib import Path

_RUN = [sys.executable, "-m", "xshm", "run"]


def run(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*_RUN, *map(str, words)], capture_output=True, text=True, check=False, timeout=50)


@pytest.mark.parametrize(
    "words",
    [
        ["-as", "-screen 0 640x480x24"],
        ["-as-screen 0 640x480x24"],
        ["-an", "99", "-s", "-screen 0, 640x480x24+32"],
        ["-a", "-n99", "--server-args=-screen 0 640x480x24 -dpi 96.0 -ac +extension RANDR"],
        ["-a", "--server-num", "7", "-p", ".", "-w", "0", "--server-args", "-screen 0 640x480"],
        ["-a", "--server-num=7", "-pMIT-MAGIC-COOKIE-1", "--wait=3", "-e/dev/null", "-s", "-screen 0 640x480x24"],
    ],
)
def test_options_are_read_as_getopt_reads_them(words: list[str]) -> None:
    result = run(*words, "xdpyinfo")
    assert result.returncode == 0, result.stderr
    assert "dimensions:    640x480 pixels" in result.stdout


def test_arguments_of_the_server_s_swallow_none_of_ours() -> None:
    assert run("-s", "-I rest", "xdpyinfo").returncode == 0
    assert run("-s", "-listen", "true").returncode in (0, 2)


def test_words_after_the_command_are_the_command_s_own() -> None:
    assert run("-a", "echo", "-s", "-n", "--wait").stdout == "-s -n --wait\n"
    assert run("-a", "--", "echo", "-as", "-screen 0 640x480x24").stdout == "-as -screen 0 640x480x24\n"


def test_listen_tcp_is_taken_and_only_the_cookie_gets_in() -> None:
    ask = 'DISPLAY=127.0.0.1$DISPLAY; xdpyinfo | grep dimensions; XAUTHORITY=/dev/null xdpyinfo 2>&1 | grep -i "unable"'
    result = run("-l", "--size", "320x200", "sh", "-c", ask)
    assert result.returncode == 0, result.stderr
    assert "320x200" in result.stdout
    assert "unable to open display" in result.stdout


@pytest.mark.parametrize(
    ("words", "result"),
    [
        (["-n", "99"], "-n 99 can't be had: the server finds a free number by itself"),
        (["--server-num=99"], "leave -n out, or add -a"),
        (["-f", "cookie"], "a display has a cookie file of its own, which XAUTHORITY names; leave -f out"),
        (["-p", "XDM-AUTHORIZATION-1"], "-p is MIT-MAGIC-COOKIE-1, the only protocol here, not XDM-AUTHORIZATION-1"),
        (
            ["-s", ":99.0 -screen 0 640x480x24"],
            "xshm: --server-args has :99.0; the server finds a free number",
        ),
        (["-s", "-screen 0 640x480x24+24"], "at depth 24 Xvfb has 32 bits per pixel, not 24"),
        (["-s", "-displayfd 5"], "xshm: --server-args has -displayfd, which a display takes by another way"),
        (["-s", "-dpi 0"], "-dpi 0; it is a whole number of dots per inch"),
        (["-s", "-dpi 99999999999"], "it is a whole number of dots per inch"),
        (["-s", "-screen 0 640x٤٨"], "it is WIDTHxHEIGHTxDEPTH"),
        (["-s", "-fbdir ''"], "--server-args has -fbdir without a directory"),
        (["--size", "640x٤٨"], "--size is WIDTHxHEIGHT"),
        (["--depth", "2_4"], "argument --depth: '2_4' is no whole number"),
        (["--timeout", "inf"], "argument --timeout: 'inf' is no number of seconds"),
        (["--timeout", "1_0"], "argument --timeout: '1_0' is no number of seconds"),
        (["--framebuffer", ""], "argument --framebuffer: an empty text names nothing"),
        (["--framebuffer-mode", "rw"], "argument --framebuffer-mode: 'rw' is no mode in octal digits"),
        (["--framebuffer-mode", "644"], "--framebuffer-mode 0o644 is about the file in a directory"),
        (["--framebuffer", "/", "--framebuffer-mode", "755"], "xshm: --framebuffer-mode is 0o600, which is this"),
        (["-e", ""], "argument -e/--error-file: an empty text names nothing"),
        (["--shot", ""], "argument --shot: an empty text names nothing"),
        (["-s", "-dpi 96.5"], "-dpi 96.5; it is a whole number of dots per inch"),
        (["-s", "-fp 'x"], "--server-args can't be split into words (No closing quotation): -fp 'x"),
        (["-s"], "argument --server-args: expected one argument"),
        (["--size"], "argument --size: expected one argument"),
        (["-ae"], "argument --error-file: expected one argument"),
        (["--frame", "file"], "ambiguous option: --frame could match --framebuffer, --framebuffer-mode, --framerate;"),
        (["--s", "x"], "ambiguous option: --s could match --size, --server-args, --server, --server-num, --shot"),
        (["--s"], "ambiguous option: --s could match"),
        (["---"], "unrecognized arguments: ---;"),
        (["-lz"], "unrecognized arguments: -z;"),
        (["--wait-window=3"], "option --wait-window must not have an argument"),
    ],
)
def test_what_can_t_be_had_is_refused_in_a_line_that_says_what_to_do(words: list[str], result: str) -> None:
    ended = run(*words, "--", "true")
    assert ended.returncode == 2
    assert result in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_an_option_without_its_value_is_told_at_the_end_of_the_line(tmp_path: Path) -> None:
    for words in (["-s"], ["--shot", tmp_path / "x.png", "-e"]):
        ended = run(*words)
        assert ended.returncode == 2
        assert "expected one argument" in ended.stderr
        assert "Traceback" not in ended.stderr


def test_the_help_says_which_picture_a_failure_leaves() -> None:
    assert "the screen at the end, after the last of several tests" in " ".join(run("--help").stdout.split())


def test_eleven_screens_are_in_the_order_of_their_numbers() -> None:
    sizes = [(100 + number, 50) for number in range(11)]
    words = " ".join(f"-screen {number} {width}x{height}x24" for number, (width, height) in enumerate(sizes))
    parser = argparse.ArgumentParser()
    run_options.add_run_options(parser)
    described = run_options.spec(parser.parse_args(["--server-args", words]))
    assert [(screen.width, screen.height) for screen in described.all_screens()] == sizes
