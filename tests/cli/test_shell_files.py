"""What shells and man(1) have of the command line: made from today's parsers, and what it does in real shells."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import shell_files
from terminals import Terminal

import xshm
from xshm.cli import main
from xshm.cli.shell.completion import FILES, NAMES

_ROOT = Path(xshm.__file__).parents[1]


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Give an environment in which `xshm` is this command, in a directory with one file in it."""
    program = tmp_path / "bin" / "xshm"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m xshm "$@"\n')
    program.chmod(0o755)
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "picture.png").touch()
    monkeypatch.chdir(tmp_path / "work")
    path = f"{program.parent}:{os.environ['PATH']}"
    return {"PATH": path, "PYTHONPATH": str(_ROOT), "HOME": str(tmp_path), "TERM": "dumb", "COLUMNS": "200"}


def test_the_files_are_those_that_the_parsers_make() -> None:
    run = subprocess.run(
        [sys.executable, "-c", "import json, shell_files; print(json.dumps(shell_files.made()))"],
        env={"PYTHONPATH": f"{_ROOT}:{Path(shell_files.__file__).parent}", "XSHM_MAX_EDGE": "5", "COLUMNS": "40"},
        capture_output=True,
        text=True,
        check=True,
    )
    made = json.loads(run.stdout)
    assert {path.name for path in FILES.iterdir()} == made.keys()
    stale = [name for name, text in made.items() if (FILES / name).read_text("utf-8") != text]
    assert not stale, "run: python tests/helpers/shell_files.py"


@pytest.mark.parametrize("shell", NAMES)
def test_the_command_prints_the_file(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["completion", shell]) == 0
    assert capsys.readouterr().out == (FILES / NAMES[shell]).read_text("utf-8")


def test_bash_completes_words_files_displays_windows_and_programs(environment: dict[str, str]) -> None:
    lines = {
        "sho": {"shot"},
        "shot --tran": {"--transport"},
        "shot --transport ": {"auto", "sysv", "fd", "core"},
        "shot pic": {"picture.png"},
        "shot --all-windows ../": {"../bin", "../work"},
        "record a.mp4 -q l": {"lossless"},
        "completion ": {*NAMES},
        "run --size 9x9 -- xshm": {"xshm"},
    }
    with xshm.VirtualDisplay(200, 100) as display:
        display.launch(["xclock"])
        (window,) = display.screen.windows()
        lines |= {"shot -i ": {"active", f"{window.id:#x}"}, "shot -m pri": {"primary"}, "view :": set()}
        empty = {line: "''" if line.endswith(" ") else "" for line in lines}  # the word that is being typed
        script = "".join(
            f"COMP_WORDS=(xshm {line}{word}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _shtab_xshm 2>/dev/null\n"
            f"echo ${{COMPREPLY[@]}}\n"
            for line, word in empty.items()
        )
        run = subprocess.run(
            ["bash", "-c", f'eval "$(xshm completion bash)"\n{script}'],
            env=display.env(environment),
            capture_output=True,
            text=True,
            check=True,
        )
        found = dict(zip(lines, (set(line.split()) for line in run.stdout.splitlines()), strict=True))
        assert display.name[1:] in found.pop("view :"), "bash parts words at the colon"
    lines.pop("view :")
    assert found == lines


@pytest.mark.parametrize(
    ("shell", "flags", "line"),
    [
        ("bash", ("--norc", "-i"), 'eval "$(xshm completion bash)"'),
        ("zsh", ("-f", "-i"), 'autoload -Uz compinit; compinit -u -D; eval "$(xshm completion zsh)"'),
        ("fish", ("--no-config", "-i"), "xshm completion fish | source"),
    ],
)
def test_the_tabulator_completes_in_a_shell_that_evaluates_it(
    shell: str, flags: tuple[str, ...], line: str, environment: dict[str, str]
) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    with Terminal(shell, *flags, env=environment) as terminal:
        terminal.type(f"{line}; echo rea''dy\n")
        terminal.expect("ready")
        terminal.type("echo xshm; xshm shot --transport c\t")
        terminal.expect("--transport core")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_names_that_others_choose_are_not_executed(shell: str, environment: dict[str, str], tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    program = tmp_path / "bin" / "ls"  # instead of a socket of such a name in everybody's /tmp
    program.write_text("#!/bin/sh\necho X5; echo 'X$(touch executed)'; echo 'X`touch executed`'\n")
    program.chmod(0o755)
    ask = '_shtab_xshm 2>/dev/null; echo "${COMPREPLY[@]}"'
    lines = ["xshm view ", "xshm shot --display ", "xshm shot -m ", "xshm shot -i "]
    script = {
        "bash": 'eval "$(xshm completion bash)"\n'
        + "".join(f"COMP_WORDS=({line}''); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); {ask}\n" for line in lines),
        "fish": "xshm completion fish | source\n" + "".join(f"complete -C '{line}'\n" for line in lines),
        # zsh completes in a terminal only, so here its functions print what they would add.
        "zsh": 'compdef() { }; eval "$(xshm completion zsh)"\n'
        "compadd() { print -r -- $@ }; _xshm_displays; _xshm_monitors; _xshm_windows",
    }[shell]
    with xshm.VirtualDisplay(200, 100) as display:
        name = "$(touch${IFS}executed)"
        assert display.run(["xrandr", "--setmonitor", name, "100/26x100/26+0+0", "none"]).wait() == 0
        assert name in {monitor.name for monitor in display.screen.monitors}
        display.launch(["xclock", "-title", "`touch executed`\n0x5 $(touch executed)"])
        display.screen.wait_window(re.compile("touch"))
        run = subprocess.run(
            [shell, "-c", script],
            env=display.env(environment),
            capture_output=True,
            text=True,
            check=True,
        )
    assert {":5", "primary", "active"} <= set(run.stdout.split())
    assert "executed" not in run.stdout
    assert [path.name for path in Path().iterdir()] == ["picture.png"]


def test_bash_completes_names_with_spaces_and_what_it_must_quote(environment: dict[str, str]) -> None:
    Path("two words.png").touch()
    Path("a$(touch executed).png").touch()
    with Terminal("bash", "--norc", "-i", env=environment) as terminal:
        terminal.type("eval \"$(xshm completion bash)\"; echo rea''dy\n")
        terminal.expect("ready")
        terminal.type("echo xshm; xshm shot two\\ w\t")
        terminal.expect("two\\ words.png")
        terminal.type("\x15xshm shot a\t")
        terminal.expect("a\\$\\(touch\\ executed\\).png")
    assert not Path("executed").exists()


# -- the manual --------------------------------------------------------------------------------------------------------


def test_the_manual_is_without_a_fault_to_groff_and_has_every_option() -> None:
    if shutil.which("groff") is None:
        pytest.skip("groff is not installed")
    page = FILES / "xshm.1"
    run = subprocess.run(
        ["groff", "-man", "-Tutf8", "-ww", "-P-cbou", "-rLL=80n", page], capture_output=True, text=True, check=True
    )
    assert run.stderr == ""
    shown = run.stdout.replace("\N{HYPHEN}\n", "")
    for name, command in main.whole_parser()[1].items():
        _, found, section = shown.partition(f"\n   xshm {name} ")
        section = section.partition("\n   xshm ")[0]
        assert found, name
        for action in command._actions:
            for flag in action.option_strings:
                assert flag in section or flag in ("-h", "--help")
    assert "XSHM_COMMAND_OPTION, XSHM_OPTION" in shown
    assert "xshm live [OPTION]... [DISPLAY]..." in shown
    assert "xshm run --shot-on-failure failed.png \\\n" in shown
    assert max(map(len, run.stdout.splitlines())) <= 80
