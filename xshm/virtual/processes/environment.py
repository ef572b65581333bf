"""The environment variables that lead a program to a display."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from xshm import _arguments
from xshm.errors import InvalidArgument, InvalidType
from xshm.system.printable import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

# Toolkits prefer a Wayland compositor to the X display that DISPLAY names.
_OTHER_DISPLAYS: Final = ("WAYLAND_DISPLAY", "WAYLAND_SOCKET")
_NAMES: Final = ("DISPLAY", "XAUTHORITY", *_OTHER_DISPLAYS)
# Defaults of xshm's own command line, which come before DISPLAY: XSHM_DISPLAY, XSHM_SHOT_DISPLAY.
_DEFAULTS: Final = re.compile(r"XSHM_([A-Z]+_)?(DISPLAY|XAUTHORITY)")


def leading_to(
    display: str, xauthority: os.PathLike[str] | None, base: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return a copy of `base` (None: of os.environ) that leads programs to a display.

    Raises InvalidType, InvalidArgument for a base that the kernel does not take.
    """
    environment = dict(os.environ) if base is None else _checked(base)
    for name in (*_OTHER_DISPLAYS, *_defaults(environment)):
        environment.pop(name, None)  # else GTK, Qt and SDL open their windows there
    environment["DISPLAY"] = display
    if xauthority is not None:
        environment["XAUTHORITY"] = str(xauthority)
    return environment


@contextlib.contextmanager
def activated(environment: Mapping[str, str]) -> Iterator[None]:
    """Give os.environ the display of an environment, and on leaving the one that it had."""
    with changed({name: environment.get(name) for name in (*_NAMES, *_defaults(os.environ))}):
        yield


def _defaults(environment: Mapping[str, str]) -> list[str]:
    return list(filter(_DEFAULTS.fullmatch, environment))


@contextlib.contextmanager
def changed(variables: Mapping[str, str | None]) -> Iterator[None]:
    """Set variables in os.environ (None: there is none), and on leaving those that it had; all others stay."""
    before = {name: os.environ.get(name) for name in variables}
    _set(variables)
    try:
        yield
    finally:
        _set(before)


def _set(variables: Mapping[str, str | None]) -> None:
    for name, value in variables.items():  # one by one, by os.environ, which calls setenv(3): toolkits in C see it
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _checked(base: Mapping[str, str]) -> dict[str, str]:
    if not isinstance(base, Mapping):
        raise InvalidType(f"an environment is a dict of texts, not {type(base).__name__}: {quoted(base)}")
    for name, value in base.items():
        found = _arguments.os_text(name, "a variable's name is a text", "which the environment can't have")
        if not found or "=" in found:
            raise InvalidArgument(
                f"a variable's name has at least one character, and none of them is '=': {quoted(name)}"
            )
        _arguments.os_text(value, f"the variable {found} is a text", "which the environment can't have")
    return dict(base)
