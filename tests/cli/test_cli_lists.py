"""`xshm windows`, `monitors`, `segments` and `info`: tables and JSON, whatever other programs call themselves."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import edids
import pytest

import xshm
from xshm import sysv
from xshm.cli import main
from xshm.system.printable import printable
from xshm.x11.connection import Connection

if TYPE_CHECKING:
    from collections.abc import Callable

    from painter import Painter
    from servers import Server

_HOSTILE = "good\x1b[31m\n0x1  9x9+0+0  1  yes  Fake  row\x9b2J\u202e\t\x00"


@pytest.fixture
def output(xvfb: Server, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Give a function that runs a command on the shared Xvfb and returns what it prints."""

    def output(*words: str) -> str:
        assert main.main([*words, "--display", xvfb.name]) == 0
        printed = capsys.readouterr()
        assert printed.err == ""
        return printed.out

    return output


def named(painter: Painter, title: str, class_name: tuple[str, str] | None = None) -> Any:
    window = painter.window((100, 50, 30, 20), (1, 2, 3))
    name, utf8 = map(painter.display.intern_atom, ("_NET_WM_NAME", "UTF8_STRING"))
    window.change_property(name, utf8, 8, title.encode())
    if class_name:
        window.set_wm_class(*class_name)
    painter.display.sync()
    return window


# -- windows -----------------------------------------------------------------------------------------------------------


def test_windows_are_listed_from_the_bottom_to_the_top(output: Any, painter: Painter) -> None:
    below = named(painter, "below", ("under", "Under"))
    above = named(painter, "above, and wide")
    header, *rows = output("windows").splitlines()
    assert header.split() == ["ID", "GEOMETRY", "PID", "VISIBLE", "CLASS", "TITLE"]
    assert [row.split(maxsplit=5) for row in rows] == [
        [hex(below.id), "30x20+100+50", rows[0].split()[2], "no", "Under", "below"],
        [hex(above.id), "30x20+100+50", rows[1].split()[2], "yes", "-", "above, and wide"],
    ]
    assert {row.index("30x20") for row in rows} == {header.index("GEOMETRY")}


def test_windows_as_json_are_what_the_library_lists(output: Any, painter: Painter, xvfb: Server) -> None:
    window = named(painter, "Größe\n2", ("under", "Under"))
    (listed,) = json.loads(output("windows", "--json"))
    with xshm.Screen(xvfb.name) as screen:
        (info,) = screen.windows()
    assert listed == {
        "id": window.id,
        "title": "Größe\n2",
        "class": "Under",
        "instance": "under",
        "pid": info.pid,
        "rect": [100, 50, 30, 20],
        "visible": True,
    }


def test_a_title_or_a_class_can_neither_fake_a_row_nor_command_the_terminal(output: Any, painter: Painter) -> None:
    window = named(painter, _HOSTILE, ("a\x1b]0;b", "C\nD\x07"))
    table = output("windows")
    assert len(table.splitlines()) == 2
    assert all(line.isprintable() for line in table.splitlines())
    assert "good\\x1b[31m\\n0x1" in table
    assert "C\\nD\\x07" in table
    assert json.loads(output("windows", "--json"))[0]["id"] == window.id


def test_what_an_error_lists_is_in_one_line_and_printable(
    painter: Painter, xvfb: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    named(painter, _HOSTILE, ("a\x1b]0;b", "C\nD\x07"))
    for command in (["shot", "-i", "none\x1b", "-"], ["shot", "-m", "\x1b[2J", "-"], ["shot", "\x1b/\x9b.png"]):
        assert main.main([*command, "--display", xvfb.name]) == 2
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.endswith("\n")
        assert said.err[:-1].isprintable()
    with pytest.raises(SystemExit):
        main.main(["shot", "-g", "\x1b[2J"])
    assert capsys.readouterr().err[:-1].isprintable()


def test_a_display_without_windows_has_a_header_and_an_empty_list(output: Any) -> None:
    assert output("windows") == "ID  GEOMETRY  PID  VISIBLE  CLASS  TITLE\n"
    assert json.loads(output("windows", "--json")) == []


@pytest.mark.parametrize("kind", ["Xvnc", "Xwayland-rootless"])
def test_other_servers_are_listed_too(
    kind: str, make_server: Callable[..., Server], capsys: pytest.CaptureFixture[str]
) -> None:
    server = make_server(kind, 640, 480)
    for command in ("windows", "monitors"):
        assert main.main([command, "--display", server.name]) == 0
        assert main.main([command, "--json", "--display", server.name]) == 0
        said = capsys.readouterr()
        assert said.err == ""
        assert said.out.startswith("ID " if command == "windows" else "NUMBER ")


# -- monitors ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def two_monitors(make_server: Callable[..., Server]) -> Server:
    server = make_server("Xvfb", 640, 480)
    for name, geometry in (("left", "320/85x480/127+0+0"), ("right", "320/85x480/127+320+0")):
        output = "screen" if name == "left" else "none"
        subprocess.run(["xrandr", "--setmonitor", name, geometry, output], env=server.env(), check=True)
    return server


def test_monitors_are_listed_with_the_number_that_shot_takes(
    two_monitors: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    with xshm.Screen(two_monitors.name) as screen:
        edids.give(screen, edids.make(texts=((edids.NAME, b"DELL U2720Q"), (edids.SERIAL, b"CN0123"))))
        monitors = screen.monitors
    assert main.main(["monitors", "--display", two_monitors.name]) == 0
    header, *rows = capsys.readouterr().out.splitlines()
    assert header.split() == [
        *("NUMBER", "NAME", "GEOMETRY", "PRIMARY", "MILLIMETRES", "HERTZ", "OUTPUTS", "MODEL", "SERIAL")
    ]
    assert len(rows) == len(monitors) == 2
    for number, (row, monitor) in enumerate(zip(rows, monitors, strict=True)):
        assert row.split()[:5] == [
            *(str(number), monitor.name, str(monitor.rect)),
            *("yes" if monitor.primary else "no", f"{monitor.width_mm}x{monitor.height_mm}"),
        ]
        column = header.index("OUTPUTS")
        assert row[column:].split(maxsplit=1)[0] == (",".join(monitor.outputs) or "-")
    assert [row[header.index("MODEL") :].split() for row in rows] == [["DELL", "U2720Q", "CN0123"], ["-", "-"]]
    assert main.main(["monitors", "--json", "--display", two_monitors.name]) == 0
    listed = json.loads(capsys.readouterr().out)
    for result, monitor in zip(listed, monitors, strict=True):
        rect = monitor.rect
        assert result["rect"] == [rect.x, rect.y, rect.width, rect.height]
        plain = ("name", "primary", "width_mm", "height_mm", "refresh", "model", "serial")
        assert {name: result[name] for name in plain} == {name: getattr(monitor, name) for name in plain}
        assert result["outputs"] == list(monitor.outputs)
    assert [result["model"] for result in listed] == ["DELL U2720Q", None]


# -- segments and info -------------------------------------------------------------------------------------------------

_MAKER = """
import os, sys
from xshm import sysv
with open("/proc/self/comm", "wb") as file:
    file.write(os.fsencode(sys.argv[1]))
print(sysv.shmget(sysv.IPC_PRIVATE, 4096, sysv.IPC_CREAT | 0o600), flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize(
    ("comm", "shown"), [(b"\xff\xfebad", "\\xff\\xfebad"), (b"a\n99 fake", "a\\n99 fake"), (b"\x1b[31mx", "\\x1b[31mx")]
)
def test_a_segments_creator_is_shown_whatever_it_calls_itself(
    comm: bytes, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [sys.executable.encode(), b"-c", _MAKER.encode(), comm]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as maker:
        assert maker.stdout is not None
        shmid = int(maker.stdout.readline())
        try:
            assert main.main(["segments"]) == 0
            table = capsys.readouterr().out
            (row,) = (line for line in table.splitlines() if line.split()[0] == str(shmid))
            assert row.endswith(shown)
            assert all(line.isprintable() for line in table.splitlines())
            assert main.main(["segments", "--json"]) == 0
            rows = json.loads(capsys.readouterr().out)
            (result,) = (each["creator"] for each in rows if each["id"] == shmid)
            assert printable(result) == shown
        finally:
            sysv.remove(shmid)
            maker.communicate()


def test_a_servers_vendor_is_shown_whatever_it_calls_itself(output: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server's own text can't be chosen here: what was read of it is changed before it is shown."""
    connect = Connection.__init__

    def connected(connection: Connection, *args: Any, **options: Any) -> None:
        connect(connection, *args, **options)
        connection.info.vendor = "The\x1b[31m X\nscreen  9x9"

    monkeypatch.setattr(Connection, "__init__", connected)
    table = output("info")
    assert "server           The\\x1b[31m X\\nscreen  9x9, release" in table
    assert all(line.isprintable() for line in table.splitlines())


def test_text_stays_as_it_is_but_for_what_can_not_be_seen() -> None:
    for text in ("", "plain", "Größe 漢字 😀", "C:\\Users"):
        assert printable(text) == text
    assert printable("\x1b\n\t\x7f\x9b\u202e\u2028\ud800\xa0") == "\\x1b\\n\\t\\x7f\\x9b\\u202e\\u2028\\ud800\\xa0"
