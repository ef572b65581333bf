"""The files that shells and man(1) have of the command line, made from its parsers.

    python tests/helpers/shell_files.py

writes them into xshm/cli/shell/files, after an option or its help has changed. The completions are shtab's, with what
it can't know: displays, windows, monitors, programs. The manual is our own few lines of roff: argparse-manpage's pages
differ from one Python to the next, and have no ENVIRONMENT or EXIT STATUS.
"""

from __future__ import annotations

import argparse
import os
import re
from typing import TYPE_CHECKING, Any

import shtab

from xshm.cli import main
from xshm.cli.shell.completion import FILES, NAMES

if TYPE_CHECKING:
    from collections.abc import Iterator

# Whoever can write /tmp, or draw on the display, chooses names there, and bash evaluates lists of words: only what no
# shell takes for anything but letters is let through.
_DISPLAYS = "ls /tmp/.X11-unix 2>/dev/null | grep -x 'X[0-9][0-9]*' | tr X :"
_WINDOWS = "xshm windows --timeout 2 2>/dev/null | cut -d' ' -f1 | grep -x '0x[0-9a-f]*'"
_MONITORS = "xshm monitors --timeout 2 2>/dev/null | tail -n +2 | tr -s ' ' | cut -d' ' -f2 | grep -x '[A-Za-z0-9._-]*'"


def _listed(name: str, command: str, *words: str) -> dict[str, str]:
    """Return how each shell completes what a command prints, and some words besides."""
    more = "".join(f"; echo {word}" for word in words)
    listed = {"bash": f"_xshm_{name}", "zsh": f"_xshm_{name}", "fish": f"({command}{more})"}
    # A pattern of tcsh is between slashes, which it can't escape.
    return listed | {"tcsh": "" if "/" in command else f"`{command}`"}


_VALUES = {
    "displays": _listed("displays", _DISPLAYS),
    "windows": _listed("windows", _WINDOWS, "active"),
    "monitors": _listed("monitors", _MONITORS, "primary"),
    "programs": {
        "bash": "_xshm_programs",
        "zsh": "_xshm_programs",
        "fish": "(complete -C (commandline -ct))",
        "tcsh": "c",
    },
    "files": shtab.FILE,
    "directories": shtab.DIRECTORY,
}
# What a value is, by the destination of its option; of others it is one of a few words, or anything.
_KINDS = {
    **dict.fromkeys(("file", "a", "b", "output", "image", "xauthority", "log", "auth_file"), "files"),
    **dict.fromkeys(("tls_cert", "tls_key", "token_file", "vnc_password_file"), "files"),
    **dict.fromkeys(("shot", "shot_on_failure", "record", "record_on_failure", "trace", "trace_on_failure"), "files"),
    **dict.fromkeys(("spill", "recover", "export"), "files"),
    **dict.fromkeys(("all_windows", "framebuffer"), "directories"),
    **dict.fromkeys(("display", "on", "shown"), "displays"),
    **dict.fromkeys(("window", "window_gone"), "windows"),
    "monitor": "monitors",
    "command": "programs",
}
_PREAMBLES = {
    "bash": f"""
# A colon parts words in bash: behind one, what follows it is completed.
_xshm_displays() {{
  local names
  names=$({_DISPLAYS})
  if [[ $1 == : ]]; then compgen -W "${{names//:/}}"; else compgen -W "$names" -- "$1"; fi
}}
_xshm_windows() {{ compgen -W "active $({_WINDOWS})" -- "$1"; }}
_xshm_monitors() {{ compgen -W "primary $({_MONITORS})" -- "$1"; }}
_xshm_programs() {{ compgen -c -- "$1"; compgen -f -- "$1"; }}
""",
    "zsh": f"""
_xshm_displays() {{ compadd -- ${{(f)"$({_DISPLAYS})"}} }}
_xshm_windows() {{ compadd -- active ${{(f)"$({_WINDOWS})"}} }}
_xshm_monitors() {{ compadd -- primary ${{(f)"$({_MONITORS})"}} }}
_xshm_programs() {{ _alternative 'commands:command:_command_names -e' 'files:file:_files' }}
""",
}


def completion(shell: str) -> str:
    """Return the completion of a shell, as a file."""
    parser, commands = main.whole_parser()
    for command in commands.values():
        for action in command._actions:
            if action.dest in _KINDS and action.nargs != 0:
                action.complete = _VALUES[_KINDS[action.dest]]  # type: ignore[attr-defined]  # shtab's own attribute
    text = shtab.complete(parser, shell, preamble=_PREAMBLES.get(shell, "")).strip()
    if shell == "bash":
        # A word with a quoted space in it matches no name as it is typed: readline's own completion knows how to.
        text = re.sub(r"(compgen -[fd] -- )\$1", r'\1"$1"', text)
        text = text.replace("complete -o bashdefault -F", "complete -o bashdefault -o default -F")
    return f"{text}\n"


# -- the manual --------------------------------------------------------------------------------------------------------

_EXAMPLES = (
    (
        "Save what is on the screen, and a window by a part of its title.",
        "xshm shot screen.png",
        "xshm shot -i Terminal window.png",
    ),
    (
        "Run tests on a display of their own; keep a picture, and a video, if they fail.",
        "xshm run --shot-on-failure failed.png \\",
        "    --record-on-failure failed.mp4 -- pytest",
    ),
    ("Show a display in a browser, by a link that is printed.", "xshm live :99"),
    ("Wait for a window to be painted, at most ten seconds.", "xshm wait --window-appears Welcome --timeout 10"),
    ("Make every screenshot small enough for a model that looks at it.", "export XSHM_SHOT_MAX_EDGE=1568"),
    ("Find out why something does not work.", "xshm doctor"),
)
_ENVIRONMENT = {
    "DISPLAY": "The display that is read, unless --display names another.",
    "XAUTHORITY": "The file with its cookie; without it, ~/.Xauthority.",
    "XSHM_COMMAND_OPTION, XSHM_OPTION": (
        "Defaults of options. XSHM_SHOT_MAX_EDGE is what --max-edge of xshm shot is without one; XSHM_MAX_EDGE is so "
        "for every command that has the option, where the first is not set. A flag, such as --cursor, is given by 1 "
        "and not by 0, and has the first form alone (XSHM_SHOT_CURSOR). The command line comes first, and adds to an "
        "option that may be repeated; an empty variable counts as none; a value that the option does not take is an "
        "error. Options of which one excludes another, such as --window and --monitor of xshm shot, have no variables. "
        "xshm doctor lists those that are set, and says which of them nothing reads."
    ),
    "XSHM_PYTHON": "The Python that looks after virtual displays, where xshm is run by a frozen application.",
    "NO_COLOR": "If it is set, xshm doctor prints no colours.",
}
_STATUS = {
    "0": "What was asked for is done, or true.",
    "1": (
        "A condition is false: the time of xshm wait is over, the pictures of xshm diff differ, xshm doctor found "
        "something wrong."
    ),
    "2": "An error, which is told in one line on standard error.",
    "other": (
        "xshm run and xshm trace exit with their command's own code, with 127 or 126 for a command that was not found "
        "or can't be executed, and with 128 and the number of the signal that ended it."
    ),
}


def manual() -> str:
    """Return the manual, in the language of man(7)."""
    text = "\n".join(_manual()) + "\n"
    return re.sub(r"[^\x00-\x7f]", lambda each: rf"\[u{ord(each[0]):04X}]", text)  # troff reads no UTF-8


def _manual() -> Iterator[str]:
    _, commands = main.whole_parser()
    yield '.TH XSHM 1 "" xshm "User Commands"'
    yield from (".SH NAME", r"xshm \- read X11 screens through shared memory")
    yield from (
        ".SH SYNOPSIS",
        r"\fBxshm\fP \fICOMMAND\fP [\fIOPTION\fP]\|.\|.\|.",
        ".br",
        r"\fBxshm\fP [\fICOMMAND\fP] \fB\-\-help\fP | \fB\-\-version\fP",
    )
    yield from (
        ".SH DESCRIPTION",
        _text(
            "xshm takes pictures and videos of X11 screens, windows and regions, shows them in a browser, waits until "
            "something is seen, and runs programs on virtual displays, which end with them."
        ),
        ".SH COMMANDS",
    )
    for name, command in commands.items():
        yield f".SS {_synopsis(name, command)}"
        yield _text(command.description or "")
        for action in command._actions:
            if not isinstance(action, argparse._HelpAction):
                yield from (".TP", _head(action), _text(_help(command, action)))
    yield ".SH ENVIRONMENT"
    for term, text in _ENVIRONMENT.items():
        yield from (".TP", rf"\fB{_escaped(term)}\fP", _text(text))
    yield ".SH EXIT STATUS"
    for term, text in _STATUS.items():
        yield from (".TP", rf"\fB{term}\fP", _text(text))
    yield ".SH EXAMPLES"
    for text, *lines in _EXAMPLES:
        yield from (".PP", _text(text), ".PP", ".RS 4", ".nf", *map(_escaped, lines), ".fi", ".RE")
    yield from (".SH SEE ALSO", r"\fBXvfb\fP(1), \fBxvfb\-run\fP(1), \fBxwd\fP(1), \fBipcs\fP(1), \fBshmget\fP(2)")


def _synopsis(name: str, command: argparse.ArgumentParser) -> str:
    words = [rf"xshm {name} [OPTION]\|.\|.\|."]
    for action in command._actions:
        if not action.option_strings:
            metavar = _escaped(str(action.metavar or action.dest))
            more = r"\|.\|.\|." if action.nargs == "*" else ""
            words.append(f"[{metavar}]{more}" if action.nargs in ("?", "...", "*") else metavar)
    return " ".join(words)


def _head(action: argparse.Action) -> str:
    value = str(action.metavar or ("|".join(map(str, action.choices)) if action.choices else action.dest))
    many = r"\|.\|.\|." if action.nargs == "+" else ""
    if not action.option_strings:
        return rf"\fI{_escaped(value)}\fP"
    flags = ", ".join(rf"\fB{_escaped(flag)}\fP" for flag in action.option_strings)
    return flags if action.nargs == 0 else rf"{flags} \fI{_escaped(value)}\fP{many}"


def _help(command: argparse.ArgumentParser, action: argparse.Action) -> str:
    text: Any = command._get_formatter()._expand_help(action)
    return f"{text}." if text else ""  # its first word may be a value, such as rgb


def _text(text: str) -> str:
    """Return words of a sentence as a line: what looks like a flag is bold, as it is where it is described."""
    bold = re.sub(r"(?<![\w\\-])(--?[a-z][\w-]*)", r"\\fB\1\\fP", text.replace("\\", r"\e"))
    line = bold.replace("-", r"\-")
    return rf"\&{line}" if line[:1] in (".", "'") else line


def _escaped(text: str) -> str:
    return text.replace("\\", r"\e").replace("-", r"\-")


def made() -> dict[str, str]:
    """Return all files by their names, as they should be."""
    for name in [each for each in os.environ if each.startswith("XSHM_")]:
        del os.environ[name]  # help has the defaults that are everybody's
    return {NAMES[shell]: completion(shell) for shell in NAMES} | {"xshm.1": manual()}


if __name__ == "__main__":
    FILES.mkdir(exist_ok=True)
    for file, text in made().items():
        (FILES / file).write_text(text, "utf-8")
