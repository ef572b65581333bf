"""Defaults of options from the environment: XSHM_SHOT_MAX_EDGE is what --max-edge of `xshm shot` is without one.

The rule, which --help and the manual tell, too:

1. An option that has a value takes it from XSHM_COMMAND_OPTION, or else from XSHM_OPTION, which counts for every
   command that has the option. A flag takes 1 (given) or 0 (not given) from XSHM_COMMAND_OPTION alone.
2. What is on the command line comes first; of an option that may be repeated, it is added. An empty variable is as
   one that is not set.
3. A value is read as the option reads it; one that is wrong is an error that names the variable, before anything is
   done.
4. No variable has two meanings. That is why flags have one name (XSHM_WAIT_WINDOW is --window of `wait`, and not the
   flag --wait-window of `run`), as have options that differ from command to command (`_OF_ONE_COMMAND`), and why
   options of which one excludes another have none: they say what is meant.

Variables of this kind that belong to other things are in `OTHERS`. This is imported only where the environment has a
name that begins with XSHM_: a screenshot without one does not pay for it.
"""

from __future__ import annotations

import argparse
import os
import re
from typing import TYPE_CHECKING, Any, Final

from xshm.system.printable import printable, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFIX: Final = "XSHM_"
# What else is called so: an interpreter for supervisors, what they and programs find in their environment; and what
# is for tests.
OTHERS: Final = frozenset(
    {
        *("XSHM_PYTHON", "XSHM_SUPERVISOR", "XSHM_PROGRAMS"),
        *("XSHM_VENV", "XSHM_SETUP_ONLY", "XSHM_SERVERS", "XSHM_SERVERS_ABSENT", "XSHM_INTERRUPTS"),
    }
)
_OF_ONE_COMMAND: Final = frozenset({"quality"})  # 1 to 100 for a JPEG, a word for a video
_GIVEN: Final = {"1": True, "0": False}


def apply(parser: argparse.ArgumentParser) -> dict[str, str]:
    """Make what the environment has the defaults of a command's options; return the variables by destination.

    A value that an option does not take ends the program, as one on the command line would.
    """
    used = {}
    for action, names in variables(parser):
        name = next((each for each in names if os.environ.get(each)), None)
        if name is not None:
            action.default = _value(parser, action, name, os.environ[name])
            used[action.dest] = name
    return used


def variables(parser: argparse.ArgumentParser) -> Iterator[tuple[argparse.Action, tuple[str, ...]]]:
    """Yield the options of a command's parser that have variables, and their names, the one that counts first."""
    command = parser.prog.partition(" ")[2]
    excluding = [action for group in parser._mutually_exclusive_groups for action in group._group_actions]  # noqa: SLF001 - argparse has no public list of them
    for action in parser._actions:  # noqa: SLF001 - as above
        long = next((flag for flag in action.option_strings if flag.startswith("--")), None)
        if long is None or action in excluding or isinstance(action, argparse._HelpAction):  # noqa: SLF001 - as above
            continue
        names = (_name(f"{command}-{long[2:]}"), _name(long[2:]))
        if action.nargs is None and action.dest not in _OF_ONE_COMMAND:
            yield action, names
        elif action.nargs is None or action.nargs == 0:
            yield action, names[:1]


def origin(line: str, parser: argparse.ArgumentParser, chosen: argparse.Namespace | None, used: dict[str, str]) -> str:
    """Return which options that an error names are from the environment, as the end of its line; "" for none."""
    from_there = [
        (action.option_strings, used[action.dest])
        for action in parser._actions  # noqa: SLF001 - as above
        # By identity, so a value of the command line counts as one of its own.
        if action.dest in used and getattr(chosen, action.dest, None) is action.default
    ]
    words = re.findall(r"(?<!\S)--?[a-z][a-z-]*", line)
    return "".join(
        f"; {word} is from {name}" for flags, name in from_there for word in dict.fromkeys(words) if word in flags
    )


def _value(parser: argparse.ArgumentParser, action: argparse.Action, name: str, text: str) -> Any:
    if action.nargs == 0:
        if text not in _GIVEN:
            parser.error(f"{name}: {quoted(text)} is neither 1 (give {action.option_strings[-1]}) nor 0")
        return action.const if _GIVEN[text] else action.default
    try:
        value = parser._get_value(action, text)  # noqa: SLF001 - as the parser reads a word of the command line
        parser._check_value(action, value)  # noqa: SLF001 - as above
    except argparse.ArgumentError as error:
        parser.error(f"{name}: {printable(error.message)}")
    return [value] if isinstance(action, argparse._AppendAction) else value  # noqa: SLF001 - as above


def _name(words: str) -> str:
    return PREFIX + words.upper().replace("-", "_")
