"""How windows, rectangles and numbers are named on the command line, which flags go together, and what errors say."""

from __future__ import annotations

import ast
import errno
import functools
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import xshm
from xshm.cli import error_line as error_module
from xshm.cli import main, options
from xshm.cli.error_line import error_line, in_flags
from xshm.errors import InvalidArgument, WindowNotFound, WindowNotViewable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from painter import Painter
    from servers import Server

_PACKAGE = Path(xshm.__file__).parent
_NO_DISPLAY = (
    "no display was named and DISPLAY is not set; name one, for example --display :0, or start one with "
    "xshm run -- COMMAND"
)
_COMMANDS = (
    "shot",
    "record",
    "trace",
    "live",
    "wait",
    "diff",
    "run",
    "view",
    "windows",
    "monitors",
    "info",
    "segments",
    "doctor",
    "completion",
)


def flags_of(command: str) -> argparse.ArgumentParser:
    """Return a command's parser, with all of its flags."""
    return main.whole_parser()[1][command]


def opened(screen: xshm.Screen, text: str) -> int:
    with options.open_window(screen, text) as window:
        return window.id


# -- windows -----------------------------------------------------------------------------------------------------------


def test_a_window_is_named_by_its_id_in_either_notation(screen: xshm.Screen, painter: Painter) -> None:
    window = painter.window((0, 0, 20, 20), (1, 2, 3), title="one")
    for text in (str(window.id), hex(window.id), f"0X{window.id:X}", f"00{window.id}"):
        assert opened(screen, text) == window.id


@pytest.mark.parametrize("title", ["2048", "007", "0x7", "1_000", "99999999999", "0"])
def test_a_number_that_is_no_windows_id_is_a_title(title: str, screen: xshm.Screen, painter: Painter) -> None:
    window = painter.window((0, 0, 20, 20), (1, 2, 3), title=title)
    painter.window((0, 0, 20, 20), (1, 2, 3), title=f"{title} and more")
    assert opened(screen, title) == window.id


def test_a_title_that_reads_as_something_else_is_named_by_an_expression(screen: xshm.Screen, painter: Painter) -> None:
    one = painter.window((0, 0, 20, 20), (1, 2, 3))
    other = painter.window((0, 0, 20, 20), (1, 2, 3), title=str(one.id))
    active = painter.window((0, 0, 20, 20), (1, 2, 3), title="active")
    slashes = painter.window((0, 0, 20, 20), (1, 2, 3), title="/srv/")
    assert opened(screen, str(one.id)) == one.id
    assert opened(screen, f"/^{one.id}$/") == other.id
    assert opened(screen, "/^active$/") == active.id
    assert opened(screen, "/^/srv/$/") == slashes.id


def test_the_whole_title_goes_before_a_part_and_a_part_must_be_of_one_title(
    screen: xshm.Screen, painter: Painter
) -> None:
    whole = painter.window((0, 0, 20, 20), (1, 2, 3), title="Terminal")
    one = painter.window((0, 0, 20, 20), (1, 2, 3), title="Terminal one (1.5)")
    other = painter.window((0, 0, 20, 20), (1, 2, 3), title="Terminal two")
    assert opened(screen, "Terminal") == whole.id
    assert opened(screen, "nal two") == other.id
    assert opened(screen, "(1.5)") == one.id, "a part is no expression"
    assert opened(screen, "/ (one|three)/") == one.id
    with pytest.raises(WindowNotFound) as several:
        opened(screen, "Terminal ")
    for window in (one, other):
        assert hex(window.id) in str(several.value)
    assert hex(whole.id) not in str(several.value)
    assert "2 windows answer to 'Terminal '" in str(several.value)
    with pytest.raises(WindowNotFound, match="3 windows answer to the expression 'Term'"):
        opened(screen, "/Term/")


def test_of_two_windows_of_one_title_neither_is_taken(screen: xshm.Screen, painter: Painter) -> None:
    for _ in range(2):
        painter.window((0, 0, 20, 20), (1, 2, 3), title="twin")
    with pytest.raises(WindowNotFound, match="2 windows answer to 'twin'"):
        opened(screen, "twin")


def test_what_no_window_answers_to_is_refused_with_a_list_of_those_there_are(
    screen: xshm.Screen, painter: Painter
) -> None:
    window = painter.window((0, 0, 20, 20), (1, 2, 3), title="here")
    for text, word in (("there", "'there'"), ("0x123", "'0x123', as a number or as a title"), ("/x{3}/", "'x{3}'")):
        with pytest.raises(WindowNotFound, match="no window answers to") as refused:
            opened(screen, text)
        assert word in str(refused.value)
        assert f"{window.id:#x} 'here'" in str(refused.value)
        assert "re.compile" not in str(refused.value)
    with pytest.raises(InvalidArgument, match=r"/\(/ is no regular expression"):
        opened(screen, "/(/")


def test_a_hidden_window_of_the_whole_title_is_not_passed_over_for_a_part(
    screen: xshm.Screen, painter: Painter
) -> None:
    hidden = painter.window((0, 0, 20, 20), (1, 2, 3), title="Calendar")
    painter.window((0, 0, 20, 20), (1, 2, 3), title="Calendar settings")
    hidden.unmap()
    painter.display.sync()
    for text in ("Calendar", hex(hidden.id)):
        with pytest.raises(WindowNotViewable):
            opened(screen, text)


@pytest.mark.parametrize("command", ["shot a.png", "record a.mp4", "wait --stable --quiet 0.05", "view"])
def test_every_command_reads_a_window_in_the_same_way(
    command: str, xvfb: Server, painter: Painter, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    painter.window((0, 0, 20, 20), (1, 2, 3), title="1_000 here")
    monkeypatch.setenv("DISPLAY", xvfb.name)
    for text in ("1_001", "007", "²", "٣"):
        assert main.main([*command.split(), "-i", text]) == 2
        assert f"no window answers to {text!r}" in capsys.readouterr().err


# -- rectangles and numbers --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flag", ["shot -g", "record -g", "wait --change -g", "wait --stable --ignore", "view -g"])
def test_every_command_reads_a_rectangle_in_the_same_way(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main.main([*flag.split(), "5x5+"])
    assert ended.value.code == 2
    assert "'5x5+' is no geometry; write '640x480+10+20', '640x480-10-20'" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["1_0", "nan", "inf", "-1", "", "٣", "1e999", "0x10", "1e7"])
@pytest.mark.parametrize(
    "line",
    ["shot --delay", "record --duration", "record --keep-last", "wait --change --timeout", "wait --stable --quiet"],
)
def test_every_command_reads_seconds_in_the_same_way(line: str, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main.main(f"{line}={text}".split(" "))
    said = capsys.readouterr().err
    assert "seconds" in said
    assert said.count("\n") == 1


def test_seconds_are_decimal_numbers() -> None:
    read = {"0": 0, "0.25": 0.25, ".5": 0.5, "3.": 3, "1e-3": 0.001, "1000000": 1_000_000}
    assert {text: options.seconds(text) for text in read} == read


# -- flags that go together --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "result"),
    [
        ("shot a.png -q 80", "--quality is for JPEG, WebP and AVIF; the picture is to be PNG"),
        ("shot -q 80", "--quality is for JPEG, WebP and AVIF; the picture is to be PNG"),
        ("shot a.jpg -t gif -q 80", "--quality is for JPEG, WebP and AVIF; the picture is to be GIF"),
        ("shot a.gif --colours rgb", "a GIF can't be RGB; write a PNG or another kind, or pass --colours auto"),
        ("shot a.jpg -q 0", "--quality is 1 (smallest) to 100 (best), not 0"),
        ("shot a.jpg -q 101", "--quality is 1 (smallest) to 100 (best), not 101"),
        ("shot a.png --clip", "--clip is about a region; name one with --geometry or --monitor"),
        ("shot a.png --clip -i active", "--clip is about a region; name one with --geometry or --monitor"),
        ("shot a.png --clip -s", "--clip is about a region; name one with --geometry or --monitor"),
        ("shot a.png -m 0 -g 5x5", "--monitor and --geometry both name a region; give one"),
        ("shot a.png -s -g 5x5", "--select and --geometry both name a region; give one"),
        ("shot --all-windows d a.png", "--all-windows names its files itself and takes no FILE or --geometry"),
        ("wait --pixel 1,2,red --threshold 0.5", "--pixel waits for one colour exactly and takes no --threshold"),
        ("wait --pixel 1,2,red --threshold 0", "--pixel waits for one colour exactly and takes no --threshold"),
        ("wait --pixel 1,2,red -g 5x5", "--pixel names its place itself and takes no --geometry"),
        ("wait --change --quiet 0.5", "--quiet goes with --stable"),
        ("wait --image a.png --quiet 0", "--quiet goes with --stable"),
        ("wait --pixel 1,2,red --ignore 5x5", "--ignore goes with --stable"),
        ("view :1 --display :2", "DISPLAY and --display both name the display to show; give one"),
        ("segments --remove 123456789 --json", "--remove lists nothing, and takes no --json"),
    ],
)
def test_a_flag_that_would_have_no_effect_is_refused_before_anything_is_done(
    line: str, result: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISPLAY", "no display is asked")
    assert main.main(line.split()) == 2
    assert capsys.readouterr() == ("", f"xshm: {result}\n")


def test_segments_to_be_removed_can_be_named_in_several_turns(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["segments", "--remove", "999999998", "--remove", "999999999"]) == 2
    assert "999999998" in capsys.readouterr().err


# -- the words of errors -----------------------------------------------------------------------------------------------


@functools.cache
def _messages() -> tuple[tuple[str, str], ...]:
    """Return file and text of all messages that are raised, `0` in place of what is filled in."""
    return tuple(_read_messages())


def _read_messages() -> Iterator[tuple[str, str]]:
    for file in sorted(_PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Raise) and node.exc is not None:
                place = ".".join(file.relative_to(_PACKAGE).with_suffix("").parts)
                if place.startswith("testing."):  # pytest's users read them
                    continue
                yield from ((place, text) for text in _texts(node.exc))


def _texts(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.JoinedStr):
        yield "".join(str(part.value) if isinstance(part, ast.Constant) else "0" for part in node.values)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    else:
        for child in ast.iter_child_nodes(node):
            yield from _texts(child)


# What is said there is said to those who write Python: no command draws with numpy, opens a framebuffer or a pixmap.
_NOT_OF_COMMANDS = (
    *("drawables.pixmap", "errors", "surface.", "sysv."),
    *("fleet.", "virtual.display", "virtual.find_framebuffer", "virtual.framebuffer"),
)
_OF_A_DISPLAY = ("virtual.spec", "virtual.directories")
_OF_A_RECORDING = ("record.", "drawables.recordable")
_OF_A_RING = ("drawables.recordable", "record.ring", "record.recorder")
_OF_A_TRACE = ("trace.",)
_OF_A_LIVE_VIEW = ("live.",)  # `run` has its defaults, but for the port
_OF_A_FOLLOWER = ("trace.noting.follower", "trace.trace")
# What no command meets: a framebuffer that is writable, rectangles without a picture to count from the edge of, DLPack.
_UNREACHABLE = (
    "writable=True is about the framebuffer",
    "0 counts from the far edge of a picture, whose size is not",
    "this memory is read-only, which consumers of DLPack",
)
_PYTHON = re.compile(r"\b[a-z]\w*=|\bre\.compile|\bScreen\.\w+|\bNone\b")
_OF_C = re.compile(r"shmget\([^)]*\)")  # a call as the kernel knows it


@pytest.mark.parametrize("command", _COMMANDS)
def test_no_message_names_a_parameter_of_pythons(command: str) -> None:
    parser = flags_of(command)
    elsewhere = (
        *_NOT_OF_COMMANDS,
        *(_OF_A_DISPLAY if command != "run" else ()),
        *(_OF_A_RECORDING if command not in ("record", "run", "trace") else _OF_A_RING if command != "record" else ()),
        *(_OF_A_LIVE_VIEW if command != "live" else ()),
        *(_OF_A_TRACE if command not in ("run", "trace") else _OF_A_FOLLOWER),
    )
    messages = {text for place, text in _messages() if not place.startswith(elsewhere)}
    assert len(messages) > 150
    for text in sorted(messages):
        if not text.startswith(_UNREACHABLE):
            said = in_flags(_OF_C.sub("", text), parser)
            assert not _PYTHON.search(said), (
                f"{said!r}: teach error_line.py its words, or say above why no command meets it"
            )


@pytest.mark.parametrize("command", _COMMANDS)
def test_no_message_gains_a_flag_that_the_command_has_not(command: str) -> None:
    parser = flags_of(command)
    flags = {flag for action in parser._actions for flag in action.option_strings}
    for _, text in _messages():
        gained = set(re.findall(r"--[a-z-]+", in_flags(text, parser))) - set(re.findall(r"--[a-z-]+", text))
        assert gained <= flags


@pytest.mark.parametrize(
    ("command", "said", "result"),
    [
        ("shot", "region 9x9 leaves it; pass clip=True to cut it", "region 9x9 leaves it; pass --clip to cut it"),
        ("wait", "region 9x9 leaves it; pass clip=True to cut it", "region 9x9 leaves it"),
        ("info", "none; name one, for example display=':0'", "none; name one, for example --display :0"),
        (
            "shot",
            "raise it, or open the screen with transport='fd'",
            "raise it, or open the screen with --transport fd",
        ),
        ("run", "no room; raise it, or open the screen with transport='fd'", "no room"),
        ("shot", "max_edge is at least 1", "--max-edge is at least 1"),
        ("run", "args has :9; no", "--server-args has :9; no"),
        ("shot", "args has :9; no", "args has :9; no"),
        ("wait", "quiet is above 0, not 0", "--quiet is above 0, not 0"),
        ("record", "a rate needs fps=, the number", "a rate needs --framerate, the number"),
        ("run", "a rate: name it, as fps=30", "a rate: name it, as --framerate 30"),
        ("record", "it has a rate; name one by format=", "it has a rate; name one by --format"),
        ("run", "it has a rate; name one by format=", "it has a rate"),
        ("record", "leave codec='vp9' out, or pass region=", "leave --codec vp9 out, or pass --geometry"),
        ("record", "max_bytes of keep_last", "--max-bytes of --keep-last"),
        ("live", "name it, tls_cert=…, or say unencrypted=True. Or", "name it, --tls-cert …, or say --unencrypted. Or"),
        ("view", "fps is above 0, or None for no pacing; not 0", "--framerate is above 0; not 0"),
        ("shot", "xauthority is the path of a file, or None", "--xauthority is the path of a file"),
        (
            "view",
            "no room; drop some, keep frame.copy() in their place, open the screen without copies=False, or raise it",
            "no room; raise it",
        ),
        ("run", "framebuffer='/x' is no directory; make it", "--framebuffer /x is no directory; make it"),
        ("wait", "grab windows (Screen.windows, Screen.window)", "grab windows (xshm windows, --window)"),
        ("shot", "it is called 'a, or None'; that is all", "it is called 'a, or None'; that is all"),
        ("shot", "it is called 'a; b=1'; that is all", "it is called 'a; b=1'; that is all"),
        ("shot", "\x1b[2J\u202e\n a", "\\x1b[2J\\u202e a"),
    ],
)
def test_a_way_out_is_told_in_the_flags_that_there_are(command: str, said: str, result: str) -> None:
    assert error_line(InvalidArgument(said), flags_of(command)) == result


@pytest.mark.parametrize("name", ["clip=True.png", "max_edge", "a; transport='x'.png", "two\nlines"])
def test_a_file_is_named_as_it_is_though_it_reads_like_a_parameter(name: str) -> None:
    said = error_line(OSError(errno.ENOSPC, "No space left on device", f"/nowhere/{name}"), flags_of("shot"))
    assert said == f"/nowhere/{name}: No space left on device".replace("\n", "\\n")


@pytest.mark.parametrize(
    "line",
    [
        *(
            "shot --all-windows",
            "shot a.png -i",
            "wait --change -i",
            "wait --image",
            "view -i",
            "diff a.png",
            "diff -o",
        ),
        *("record", "record a.mp4 -c", "record a.mp4 --format", "run --record", "run --record-on-failure"),
    ],
)
def test_an_empty_name_a_variable_that_was_not_set_is_refused(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main.main([*line.split(), ""])
    assert "an empty text names nothing" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "result"),
    [
        ("shot a.png", _NO_DISPLAY),
        ("record a.mp4", _NO_DISPLAY),
        ("wait --change", _NO_DISPLAY),
        ("windows", _NO_DISPLAY),
        ("view :0", "$DISPLAY names no display to put the window on; name it with --on"),
    ],
)
def test_a_missing_display_is_told_with_the_flag_that_names_it(
    line: str, result: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    assert main.main(line.split()) == 2
    assert capsys.readouterr().err == f"xshm: {result}\n"


@pytest.mark.parametrize("command", ["wait --change", "view"])
def test_a_region_that_leaves_the_screen_is_told_without_a_flag_that_is_not_there(
    command: str, make_server: Callable[..., Server], xvfb: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    on = ["--on", make_server("Xvfb", 100, 100).name] if command == "view" else []
    assert main.main([*command.split(), *on, "--display", xvfb.name, "-g", "9x9+1275+0"]) == 2
    assert capsys.readouterr().err == "xshm: region 9x9+1275+0 leaves the screen 1280x800\n"


def test_every_phrase_that_is_said_otherwise_is_one_of_a_message() -> None:
    messages = [text for _, text in _messages()]
    for phrase, _ in error_module._IN_SHELL_WORDS:
        assert any(phrase in text for text in messages), phrase


def test_help_of_every_command_that_takes_a_window_says_how_it_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("shot", "record", "wait", "view"):
        with pytest.raises(SystemExit):
            main.main([command, "--help"])
        said = " ".join(capsys.readouterr().out.split())
        assert "or /EXPRESSION/" in said
        assert "a number that is no window's id is a title" in said
