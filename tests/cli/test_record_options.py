"""The arguments of `xshm record`, and of the recording of `xshm run`: what is refused, and in which words."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import xshm
from xshm.cli import main
from xshm.cli.output import dated_names
from xshm.cli.recording import destination, of_a_trace
from xshm.cli.recording.destination import Held, names_beside, parse
from xshm.cli.recording.progress import clock, size_of
from xshm.errors import InvalidArgument

_NO_SERVER = "no display is asked"
_TO_A_FILE = ("record a.mp4", "run --record a.mp4 -- true", "run --record-on-failure a.mp4 -- true")


def said(capsys: pytest.CaptureFixture[str], line: str) -> tuple[Any, str]:
    """Return the exit code of a command line, and what it has written to standard error."""
    try:
        code: Any = main.main(line.split())
    except SystemExit as ended:
        code = ended.code
    return code, capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "result"),
    [
        ("record a.mp4 -m 0 -g 5x5", "xshm: --monitor and --geometry both name a region; give one"),
        ("record a.mp4 -s -g 5x5", "xshm: --select and --geometry both name a region; give one"),
        ("record a.mp4 --max-bytes 5", "xshm: --max-bytes is about --keep-last; a file may grow"),
        ("record - --keep-last 5", "xshm: --keep-last keeps pictures in memory and writes a file at the end; name a"),
        ("record udp://127.0.0.1:9 --keep-last 5", "xshm: --keep-last keeps pictures in memory and writes a file"),
        ("record - --json", "xshm: --json writes the numbers to standard output, which has the video; leave it out"),
        ("record a.mp4 -i 1 -m 0", "xshm: record: argument -m/--monitor: not allowed with argument -i/--window"),
        ("record a.mp4 -r 0", "xshm: record: argument -r/--framerate: '0' is no number above 0; write"),
        ("record a.mp4 -p crf", "xshm: record: argument -p/--option: 'crf' is no option; write KEY=VALUE;"),
        ("record a.mp4 -p =18", "xshm: record: argument -p/--option: '=18' is no option; write KEY=VALUE;"),
        ("record a.mp4 -q best", "xshm: record: argument -q/--quality: invalid choice: 'best'"),
        ("record a.mp4 --duration 0", "xshm: record: argument --duration: 0 is no number of seconds above 0"),
        ("record a.mp4 --keep-last nan", "xshm: record: argument --keep-last: 'nan' is no number of seconds"),
        ("record a.mp4 b.mp4", "xshm: record: unrecognized arguments: b.mp4"),
        ("run -r 5 -- true", "xshm: --framerate is about a recording or a trace; name its file"),
        ("run -y -- true", "xshm: --overwrite is about a recording or a trace; name its file"),
        ("run --record a.mp4 --record-on-failure b.mp4 -- true", "xshm: --record keeps the recording of a failure"),
        ("run --record-on-failure b.mp4", "xshm: --record-on-failure is about a command; name one after --"),
        ("run --record-on-failure udp://127.0.0.1:9 -- true", "xshm: --record-on-failure names a file, which can be"),
        ("run --record - -- true", "xshm: standard output is the command's own; name a file to record to"),
        ("run --record a.nonsense -- true", "xshm: .nonsense is no container of a recording; there are mp4,"),
        ("record --format nonsense", "xshm: format 'nonsense' is no container of a recording; there are mp4,"),
        ("record a.png", "xshm: .png: a still picture is no recording; .apng is PNG in motion"),
        ("record a", "xshm: the name 'a' has no suffix that tells its container; name it so ('a.mp4'); where"),
    ],
)
def test_what_has_no_effect_or_no_sense_is_refused_before_anything_is_done(
    line: str, result: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DISPLAY", _NO_SERVER)
    monkeypatch.chdir(tmp_path)
    code, error = said(capsys, line)
    assert code == 2
    assert error.startswith(result)
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("line", _TO_A_FILE)
def test_a_directory_is_refused_before_a_server_is_asked(
    line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DISPLAY", _NO_SERVER)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.mp4").mkdir()
    assert said(capsys, line) == (2, "xshm: a.mp4: this is a directory; name a file in it\n")


@pytest.mark.parametrize("line", _TO_A_FILE)
@pytest.mark.parametrize("kind", ["file", "link", "dangling link"])
def test_nothing_is_overwritten_without_y(
    line: str, kind: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DISPLAY", _NO_SERVER)
    monkeypatch.chdir(tmp_path)
    file = tmp_path / ("a.mp4" if kind == "file" else "other.mp4")
    if kind != "dangling link":
        file.write_bytes(b"the good one")
    if kind != "file":
        (tmp_path / "a.mp4").symlink_to(file)
    assert said(capsys, line) == (2, "xshm: a.mp4 exists; name another file, or overwrite it with -y\n")
    if kind != "dangling link":
        assert file.read_bytes() == b"the good one"


def test_what_is_no_file_of_its_own_is_no_file_that_is_overwritten(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in (str(tmp_path / "pipe"), os.devnull, str(tmp_path / "new.mp4"), "tcp://127.0.0.1:9/a.mp4", "-"):
        parse(name, None, overwrite=False)
    with (tmp_path / "redirected").open("wb") as file:
        parse(f"/proc/self/fd/{file.fileno()}", "mkv", overwrite=False)


@pytest.mark.parametrize(
    ("redirected", "result"),
    [
        (">&-", "standard output is closed; name a FILE to write to"),
        (
            "</dev/null",
            "standard output is a terminal, which shows no video; name a FILE, or pipe it on",
        ),
    ],
)
def test_a_video_that_has_nowhere_to_go_is_not_begun(redirected: str, result: str) -> None:
    line = f"DISPLAY=none {sys.executable} -m xshm record - {redirected}"
    done = subprocess.run(["script", "-qec", line, "/dev/null"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (2, f"xshm: {result}")


# -- names -------------------------------------------------------------------------------------------------------------


def test_a_name_is_held_against_others_and_let_go_where_nothing_came_of_it(tmp_path: Path) -> None:
    name = str(tmp_path / "a.mp4")
    with Held([name]), pytest.raises(InvalidArgument, match="exists; name another file, or overwrite it with -y"):
        Held([name])
    assert list(tmp_path.iterdir()) == []
    with Held([name]):
        (tmp_path / "a.mp4").write_bytes(b"a recording")
    with Held([name, str(tmp_path / "b.mp4")]) as held:
        assert held.name == str(tmp_path / "b.mp4")
        (tmp_path / "other").touch()
        (tmp_path / "other").replace(tmp_path / "b.mp4")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.mp4", "b.mp4"], "an empty file of another's stays"


def test_a_name_beside_another_is_no_longer_than_names_are(tmp_path: Path) -> None:
    for stem in ("a" * 251, "é" * 125 + "a"):
        asked = tmp_path / f"{stem}.mp4"
        with Held([str(asked)]) as held:
            asked.write_text("another's")
            beside = Path(held.claim())
            assert beside.parent == tmp_path
            assert len(os.fsencode(beside.name)) in (254, 255)
            assert re.fullmatch(rf"{stem[0]}+.?_[\d-]+\.mp4", beside.name)
            assert held.claim() == held.name == str(beside)
        assert list(tmp_path.iterdir()) == [asked]
        asked.unlink()


def test_where_no_name_can_be_had_nothing_of_another_s_is_replaced(
    screen: xshm.Screen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.html"
    with Held([str(file)]) as held, screen.trace(file) as trace:
        file.write_text("another's")
        monkeypatch.setattr(destination, "names_beside", lambda _: iter([str(tmp_path / "missing" / "a.html")]))
        with pytest.raises(xshm.XshmError, match="its directory is missing"):
            of_a_trace._stop(trace, held)
        assert not trace.is_running
        assert held.name == str(file)
    assert file.read_text() == "another's"
    assert list(tmp_path.iterdir()) == [file]


def test_a_name_that_was_not_given_has_date_and_size_and_one_beside_another_the_time() -> None:
    names = dated_names("640x480", parse(None, "matroska", overwrite=False).container)
    first, second = next(names), next(names)
    assert first.endswith("_640x480_xshm.mkv")
    assert second == first.replace("_xshm.mkv", "_xshm_2.mkv")
    assert parse(None, None, overwrite=False).container == "mp4"
    beside = next(iter(names_beside("/some.where/a.b.webm")))
    assert beside.startswith("/some.where/a.b_20")
    assert beside.endswith(".webm")
    assert next(iter(names_beside("noSuffix"))).startswith("noSuffix_20")


# -- words -------------------------------------------------------------------------------------------------------------


def test_times_and_sizes_are_written_as_players_and_disks_have_them() -> None:
    assert [clock(each) for each in (0, 9.96, 75.25, 3723.0)] == ["0:00.0", "0:09.9", "1:15.2", "1:02:03.0"]
    sizes = [size_of(each) for each in (0, 1, 999, 1000, 1_234_567, 999_999, 5 * 10**15)]
    assert sizes == ["0 bytes", "1 byte", "999 bytes", "1.0 kB", "1.2 MB", "1.0 MB", "5000.0 TB"]


def test_the_help_names_what_users_of_recorders_look_for(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main.main(["record", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    for words in ("-r FPS", "-c NAME", "-p KEY=VALUE", "-y, --overwrite", "q, Ctrl-C, TERM or HUP end it", "SIGUSR1"):
        assert words in text
