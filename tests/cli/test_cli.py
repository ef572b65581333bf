"""The command `xshm`, run as a person runs it."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from reference import xwd

from xshm import sysv
from xshm.cli import main
from xshm.cli.commands import segments

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from painter import Painter
    from servers import Server

Run = "Callable[..., subprocess.CompletedProcess[bytes]]"


@pytest.fixture
def run(xvfb: Server, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[bytes]]:
    """Give a function that runs the command on the shared Xvfb, in a directory of its own."""

    def run(*arguments: str, **changed: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [sys.executable, "-m", "xshm", *arguments],
            env=xvfb.env() | changed,
            cwd=tmp_path,
            capture_output=True,
            check=False,
            timeout=30,
        )

    return run


def picture(data: bytes | Path) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data if isinstance(data, bytes) else data.read_bytes())).convert("RGB"))


def test_shot_saves_what_is_on_the_screen(run: Any, xvfb: Server, painter: Painter, tmp_path: Path) -> None:
    painter.rectangles()
    done = run("shot", "a.png")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert np.array_equal(picture(tmp_path / "a.png"), xwd(xvfb).rgb())


def test_shot_writes_to_standard_output(run: Any, painter: Painter) -> None:
    painter.fill((10, 20, 30, 40), (200, 100, 50))
    done = run("shot", "-", "-g", "30x40+10+20")
    assert (picture(done.stdout) == (200, 100, 50)).all()
    assert picture(done.stdout).shape == (40, 30, 3)


def test_shot_without_a_name_makes_one_of_the_date_and_says_it(run: Any, tmp_path: Path) -> None:
    done = run("shot")
    name = done.stdout.decode().strip()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d-\d{6}_1280x800_xshm\.png", name)
    assert picture(tmp_path / name).shape == (800, 1280, 3)


def test_shot_waits_as_long_as_it_is_told(run: Any, tmp_path: Path) -> None:
    begun = time.monotonic()
    run("shot", "-d", "0.5", "a.png")
    assert time.monotonic() - begun > 0.5
    assert (tmp_path / "a.png").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["shot", "-g", "nonsense", "a.png"], "nonsense"),
        (["shot", "-g", "100x100+1250+0", "a.png"], "leaves the screen 1280x800"),
        (["shot", "a.xyz"], "xyz"),
        (["shot", "no/such/directory/a.png"], "no/such/directory"),
        (["shot", "--display", ":987", "a.png"], "no X server answers at ':987'"),
        (["shot", "--display", "what?", "a.png"], "is no display name"),
        (["shot", "--transport", "fd", "--display", "localhost:987"], "no X server answers"),
        (["segments", "--remove", "999999999"], "999999999"),
    ],
)
def test_an_error_is_one_line_and_exit_code_two(run: Any, arguments: list[str], words: str) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stdout == b""
    assert done.stderr.count(b"\n") == 1
    assert done.stderr.startswith(b"xshm: ")
    assert words in done.stderr.decode()


_NO_ARGUMENTS = [
    ("", "xshm: the following arguments are required: COMMAND; see xshm --help"),
    ("nonsense", "xshm: argument COMMAND: invalid choice: 'nonsense' (choose from shot, record, trace, live, wait"),
    ("shot --nonsense", "xshm: shot: unrecognized arguments: --nonsense; see xshm shot --help"),
    ("shot -d soon", "xshm: shot: argument -d/--delay: 'soon' is no number of seconds; see xshm shot --help"),
    ("shot -i 1 -m 0", "xshm: shot: argument -m/--monitor: not allowed with argument -i/--window; see xshm shot"),
    (
        "wait",
        "xshm: wait: one of the arguments --change --stable --pixel --image",
    ),
    ("diff a.png", "xshm: diff: the following arguments are required: B; see xshm diff --help"),
    (
        "run --depth deep -- true",
        "xshm: run: argument --depth: 'deep' is no whole number, 0 or more; see xshm run --help",
    ),
    ("run --nonsense -- true", "xshm: run: unrecognized arguments: --nonsense; see xshm run --help"),
    ("view --scale 0", "xshm: view: argument --scale: 0 is no number above 0; see xshm view --help"),
    ("info --transport x", "xshm: info: argument --transport: invalid choice: 'x' (choose from auto, sysv, fd, core)"),
    (
        "segments --remove x",
        "xshm: segments: argument --remove: 'x' is no whole number, 0 or more; see xshm segments --help",
    ),
]


@pytest.mark.parametrize(("line", "result"), _NO_ARGUMENTS, ids=[line for line, _ in _NO_ARGUMENTS])
def test_a_command_line_that_is_wrong_is_one_line_that_names_the_option_and_where_help_is(
    line: str, result: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main.main(line.split())
    assert ended.value.code == 2
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    unquoted = re.sub(r"(?<=choose from ).*(?=\))", lambda choices: choices[0].replace("'", ""), said.err)
    assert unquoted.startswith(result)  # which Python says with quotes and without, by its version


def test_a_wrong_command_line_is_one_line_even_where_its_words_have_several(run: Any) -> None:
    done = run("shot", "--quality", "1\n2\n3")
    assert (done.returncode, done.stdout, done.stderr.count(b"\n")) == (2, b"", 1)


def test_a_bug_is_told_in_full_and_is_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_: object) -> int:
        raise RuntimeError("a bug")

    monkeypatch.setattr(segments, "main", broken)
    assert main.main(["segments"]) == main.ERROR, "1 would mean that something is false"
    result = capsys.readouterr().err
    assert "Traceback" in result
    assert "RuntimeError: a bug" in result


def test_no_display_is_said_in_a_sentence(run: Any) -> None:
    done = run("shot", DISPLAY="")
    assert done.returncode == 2
    assert b"DISPLAY is not set" in done.stderr


def test_info_tells_what_was_chosen_and_why(run: Any, xvfb: Server) -> None:
    facts = json.loads(run("info", "--json").stdout)
    assert facts["display"] == xvfb.name
    assert facts["screen"] == "1280x800"
    assert (facts["depth"], facts["bits_per_pixel"], facts["stride"]) == (24, 32, 5120)
    assert facts["transport"] == "sysv"
    assert "nonce" in facts["reason"]
    assert facts["mit_shm"] == "1.2"
    result = run("info").stdout.decode()
    for value in ("1280x800", "sysv", "nonce", "B G R X"):
        assert value in result
    assert json.loads(run("info", "--json", "--transport", "core").stdout)["transport"] == "core"


def test_segments_lists_what_the_kernel_has_and_removes_what_it_is_told(run: Any) -> None:
    shmid = sysv.shmget(sysv.IPC_PRIVATE, 12345, sysv.IPC_CREAT | 0o640)
    try:
        rows = {row["id"]: row for row in json.loads(run("segments", "--json").stdout)}
        ours = rows[shmid]
        assert (ours["bytes"], ours["mode"], ours["attached"], ours["creator_pid"]) == (12345, "640", 0, os.getpid())
        assert "12,345" in run("segments").stdout.decode()
        assert run("segments", "--remove", str(shmid)).returncode == 0
        assert shmid not in [segment.shmid for segment in sysv.segments()]
    finally:
        if shmid in [segment.shmid for segment in sysv.segments()]:
            sysv.remove(shmid)


def test_help_names_every_command(run: Any) -> None:
    result = run("--help").stdout.decode()
    for command in ("shot", "info", "segments"):
        assert command in result
