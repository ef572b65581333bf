"""Defaults of options from XSHM_… variables: which name counts, what a wrong value is, and what no variable means."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

import xshm
from xshm.cli import main
from xshm.cli.shell.environment_defaults import OTHERS, variables

if TYPE_CHECKING:
    from servers import Server

_ROOT = Path(xshm.__file__).parents[1]


@pytest.fixture
def here(xvfb: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Be in a directory of the test's own, with the shared Xvfb as $DISPLAY."""
    for name, value in xvfb.env().items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def width(path: Path) -> int:
    with Image.open(path) as picture:
        return picture.width


def test_the_command_line_comes_before_the_commands_variable_and_that_before_the_general_one(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XSHM_MAX_EDGE", "100")
    assert main.main(["shot", "a.png"]) == 0
    assert width(here / "a.png") == 100
    monkeypatch.setenv("XSHM_SHOT_MAX_EDGE", "90")
    assert main.main(["shot", "a.png"]) == 0
    assert width(here / "a.png") == 90
    assert main.main(["shot", "a.png", "--max-edge", "80"]) == 0
    assert width(here / "a.png") == 80
    monkeypatch.setenv("XSHM_SHOT_MAX_EDGE", "")
    assert main.main(["shot", "a.png"]) == 0
    assert width(here / "a.png") == 100, "an empty variable is as one that is not set"


def test_another_commands_variable_and_that_of_an_option_it_has_not_change_nothing(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("XSHM_RECORD_MAX_EDGE", "XSHM_SIZE", "XSHM_NONSENSE", "XSHM_WINDOW", "XSHM_SHOT_WINDOW"):
        monkeypatch.setenv(name, "no number")
    assert main.main(["shot", "a.png"]) == 0
    assert width(here / "a.png") == 1280


@pytest.mark.parametrize(
    ("name", "value", "command", "said"),
    [
        ("XSHM_SHOT_MAX_EDGE", "wide", "shot a.png", "XSHM_SHOT_MAX_EDGE: 'wide' is no whole number, 0 or more"),
        ("XSHM_MAX_EDGE", "0", "shot a.png", "XSHM_MAX_EDGE: 0 is no whole number above 0"),
        ("XSHM_TRANSPORT", "x", "info", "XSHM_TRANSPORT: invalid choice: 'x' (choose from"),
        ("XSHM_SHOT_CURSOR", "yes", "shot a.png", "XSHM_SHOT_CURSOR: 'yes' is neither 1 (give --cursor) nor 0"),
        ("XSHM_RUN_DEPTH", "deep\n", "run -- true", "XSHM_RUN_DEPTH: 'deep\\n' is no whole number, 0 or more"),
    ],
)
def test_a_wrong_value_is_an_error_that_names_the_variable(
    name: str,
    value: str,
    command: str,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as ended:
        main.main(command.split())
    error = capsys.readouterr().err
    assert ended.value.code == 2
    assert error.startswith(f"xshm: {command.partition(' ')[0]}: {said}")
    assert error.count("\n") == 1


def test_an_error_about_an_option_says_that_it_is_from_the_environment(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XSHM_SHOT_QUALITY", "80")
    assert main.main(["shot", "a.png"]) == 2
    refused = "xshm: --quality is for JPEG, WebP and AVIF; the picture is to be PNG"
    assert capsys.readouterr().err == f"{refused}; --quality is from XSHM_SHOT_QUALITY\n"
    assert main.main(["shot", "a.png", "-q", "70"]) == 2
    assert capsys.readouterr().err == f"{refused}\n"
    assert list(here.iterdir()) == []


def test_flags_are_given_by_1_in_the_commands_own_variable(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XSHM_JSON", "1")
    assert main.main(["monitors"]) == 0
    assert capsys.readouterr().out.startswith("NUMBER"), here
    monkeypatch.setenv("XSHM_MONITORS_JSON", "1")
    assert main.main(["monitors"]) == 0
    assert capsys.readouterr().out.startswith("[")
    monkeypatch.setenv("XSHM_MONITORS_JSON", "0")
    assert main.main(["monitors"]) == 0
    assert capsys.readouterr().out.startswith("NUMBER")


def test_run_has_defaults_too_and_its_command_gets_the_environment_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XSHM_RUN_SIZE", "333x222")
    program = "import os, xshm; print(os.environ['XSHM_RUN_SIZE'], xshm.grab().rect)"
    run = subprocess.run(
        [sys.executable, "-m", "xshm", "run", "--", sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout == "333x222 333x222+0+0\n"


def test_an_option_that_may_be_repeated_is_added_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XSHM_RECORD_OPTION", "crf=18")
    for words, found in (([], [("crf", "18")]), (["-p", "b=1"], [("crf", "18"), ("b", "1")])):
        assert main._parser().parse_args(["record", *words]).options == found


def test_a_display_to_view_that_is_named_without_an_option_comes_first(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XSHM_DISPLAY", ":9077")
    assert main.main(["view", ":9078", "--on", ":9079"]) == 2
    assert "no X server answers at ':9078'" in capsys.readouterr().err
    assert main.main(["view", ":9078", "--display", ":9077", "--on", ":9079"]) == 2
    assert "give one" in capsys.readouterr().err


def test_help_has_the_default_that_is_set(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("XSHM_TIMEOUT", "7")
    with pytest.raises(SystemExit):
        main.main(["info", "--help"])
    assert "(default: 7)" in " ".join(capsys.readouterr().out.split())


def test_no_variable_has_two_meanings() -> None:
    meanings: dict[str, set[str]] = {}
    for command in main.whole_parser()[1].values():
        for action, names in variables(command):
            for name in names:
                meanings.setdefault(name, set()).add(action.option_strings[-1])
    assert len(meanings) > 100
    assert {name: flags for name, flags in meanings.items() if len(flags) > 1} == {}
    assert not meanings.keys() & OTHERS
    assert meanings["XSHM_WAIT_WINDOW"] == {"--window"}
    assert {"XSHM_SHOT_WINDOW", "XSHM_SHOT_MONITOR", "XSHM_SEGMENTS_REMOVE"}.isdisjoint(meanings)


def test_what_else_is_called_so_is_listed() -> None:
    read = set()
    for path in (*(_ROOT / "xshm").rglob("*.py"), _ROOT / "tests" / "run.sh"):
        if "environment_defaults" not in path.name:
            text = path.read_text()
            read |= set(re.findall(r"environ\S*[\[(]\"(XSHM_\w+)", text))
            read |= set(re.findall(r"\$\{(XSHM_\w+)", text)) | set(re.findall(r"\"(XSHM_[A-Z]+)\"", text))
    assert {"XSHM_PYTHON", "XSHM_SUPERVISOR", "XSHM_VENV"} <= read
    assert read <= OTHERS


def test_a_screenshot_without_such_a_variable_does_not_pay_for_them() -> None:
    program = "import sys; from xshm.cli.main import main; main(['segments']); print(*sys.modules, file=sys.stderr)"
    run = subprocess.run([sys.executable, "-c", program], env={}, capture_output=True, text=True, check=True)
    assert "xshm.cli.commands.segments" in run.stderr
    assert "xshm.cli.shell" not in run.stderr
