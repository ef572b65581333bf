"""The programs of virtual displays: which are installed, and which server a display gets."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Final

from xshm.cli.doctor.fact import Fact, in_words
from xshm.errors import StartFailed
from xshm.virtual.kinds import installed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_TITLES: Final[dict[installed.ServerKind, str]] = {"xvfb": "Xvfb", "xvnc": "Xvnc", "xwayland": "Xwayland"}
_USUAL: Final = "/usr/local/bin:/usr/bin:/bin"  # where distributions have them
_SPARE: Final = "another server does in its place"


def servers() -> Iterator[Fact]:
    """Yield each kind of server, the one that a VirtualDisplay gets, and other programs that commands ask."""
    yield _chosen()
    for kind, title in _TITLES.items():
        missing = installed.missing(kind)
        if missing:
            yield Fact(title, f"{_where(missing)}; {_SPARE}", "missing", _how(missing))
        else:
            yield Fact(title, ", ".join(shutil.which(program) or program for program in installed.PROGRAMS[kind]))
    if path := shutil.which("slop"):
        yield Fact("slop", path)
    else:
        words = f"{_where(['slop'])}: nobody can choose a region for xshm shot --select"
        yield Fact("slop", words, "missing", _how(["slop"]))


def _chosen() -> Fact:
    from xshm.virtual.kinds.choice import choose  # noqa: PLC0415 - needs more than the rest
    from xshm.virtual.servers.launch import interpreter  # noqa: PLC0415 - as above
    from xshm.virtual.spec import DisplaySpec  # noqa: PLC0415 - as above

    name = "VirtualDisplay"
    if all(map(installed.missing, _TITLES)):
        return Fact(name, f"none of {', '.join(_TITLES.values())} is there", "wrong", _how(installed.missing("xvfb")))
    try:
        interpreter()
        return Fact(name, str(choose(DisplaySpec())))
    except StartFailed as error:
        return Fact(name, in_words(error), "wrong")


def _where(missing: Sequence[str]) -> str:
    """Return that programs are not found, as a clause, and where they are if that is only not on PATH."""
    found = [path for path in map(_elsewhere, missing) if path]
    words = f"{' and '.join(missing)} not found on PATH"
    return f"{words}, though there is {' and '.join(found)}" if found else words


def _how(missing: Sequence[str]) -> str:
    """Return what brings programs: their installation, or their directory on PATH."""
    found = [_elsewhere(program) for program in missing]
    if all(found):
        return f'export PATH="$PATH:{os.path.dirname(found[0])}"'  # noqa: PTH120 - texts
    return installed.how_to_install(*(program for program in missing if not _elsewhere(program)))


def _elsewhere(program: str) -> str:
    return shutil.which(program, path=_USUAL) or ""
