"""XSHM_… in the environment: defaults of options, and names that nothing reads."""

from __future__ import annotations

import difflib
import os
from typing import TYPE_CHECKING

from xshm.cli.doctor.fact import Fact
from xshm.cli.main import whole_parser
from xshm.cli.shell.environment_defaults import OTHERS, PREFIX, variables
from xshm.system.printable import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator


def variables_set() -> Iterator[Fact]:
    """Yield each variable that is set: what it is for, or that nothing reads it."""
    found = {name: value for name, value in sorted(os.environ.items()) if name.startswith(PREFIX)}
    if not found:
        yield Fact(f"{PREFIX}*", "none is set")
        return
    owners: dict[str, list[str]] = {}
    for command in whole_parser()[1].values():
        for action, names in variables(command):
            for name in names:
                owners.setdefault(name, []).append(f"{action.option_strings[-1]} of {command.prog.partition(' ')[2]}")
    for name, value in found.items():
        if name in owners:
            yield Fact(name, f"{quoted(value)}, the default of {', '.join(owners[name])}")
        elif name in OTHERS:
            yield Fact(name, quoted(value))
        else:
            close = difflib.get_close_matches(name, [*owners, *OTHERS], 1)
            yield Fact(name, "nothing reads it", "note", f"is it {close[0]}?" if close else f"unset {name}")
