"""What the plugin was asked for: the values of its options and ini names, checked.

Always true: a value that can't be is a UsageError, before any test runs.
"""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import pytest

from xshm.testing import options

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

Screenshots = Literal["off", "on", "only-on-failure"]
Kept = Literal["off", "on", "retain-on-failure"]
_SIZE: Final = re.compile(r"(\d{1,5})x(\d{1,5})", re.ASCII)
_DISPLAY: Final = re.compile(r"auto|new|(\S*:\d+(\.\d+)?)")
_DEPTHS: Final = (8, 15, 16, 24, 30)
_DEFAULT_OUTPUT: Final = "test-results"


@dataclass(frozen=True, slots=True)
class Settings:
    """What was asked for, by options or in an ini file; None: what the plugin thinks best.

    `is_asked` is whether anything was: then all tests are on the display and watched, else those alone that use a
    fixture or the marker.
    """

    display: str
    size: tuple[int, int] | None
    depth: int | None
    screenshot: Screenshots | None
    trace: Kept | None
    video: Kept
    output: Path
    profile: str | None
    update: bool
    is_asked: bool


def read(config: pytest.Config) -> Settings:
    """Return what was asked for. Raises UsageError."""
    given = options.given(config)
    update = bool(config.getoption("--xshm-update"))
    return Settings(
        _display(given.get("display") or "auto"),
        size_of("--xshm-size", given["size"]) if "size" in given else None,
        depth_of("--xshm-depth", given["depth"]) if "depth" in given else None,
        _choice("screenshot", given.get("screenshot"), get_args(Screenshots)),
        _choice("trace", given.get("trace"), get_args(Kept)),
        _video(given.get("video")),
        _output(config),
        _choice("profile", given.get("profile"), ("stable",)),
        update,
        is_asked=bool(given),
    )


def size_of(name: str, value: Any) -> tuple[int, int]:
    """Return a size that was given as "800x600" or as (800, 600). Raises UsageError."""
    numbers: Any = value
    if isinstance(value, str):
        found = _SIZE.fullmatch(value)
        numbers = tuple(map(int, found.groups())) if found else None
    if not (
        isinstance(numbers, list | tuple)
        and list(map(type, numbers)) == [int, int]
        and all(1 <= number <= 32767 for number in numbers)  # noqa: PLR2004 - coordinates are signed 16-bit numbers
    ):
        raise pytest.UsageError(f"{name} is width x height in pixels, as 1280x800, not {value!r}")
    width, height = numbers
    return width, height


def depth_of(name: str, value: Any) -> int:
    """Return a depth that was given as a number or a text. Raises UsageError."""
    try:
        depth = int(value)
    except (TypeError, ValueError):
        depth = 0
    if depth not in _DEPTHS:
        raise pytest.UsageError(f"{name} is {', '.join(map(str, _DEPTHS[:-1]))} or {_DEPTHS[-1]}, not {value!r}")
    return depth


def _display(value: str) -> str:
    if not _DISPLAY.fullmatch(value):
        raise pytest.UsageError(f"--xshm-display is auto, new or the name of a display, as :5, not {value!r}")
    return value


def _choice(word: str, value: str | None, choices: Sequence[str]) -> Any:
    if value is not None and value not in choices:
        raise pytest.UsageError(f"--xshm-{word} is one of {', '.join(choices)}, not {value!r}")
    return value


def _video(value: str | None) -> Kept:
    kept: Kept = _choice("video", value, get_args(Kept)) or "off"
    if kept != "off" and importlib.util.find_spec("av") is None:
        raise pytest.UsageError(f"--xshm-video={kept} needs PyAV: pip install 'xshm[video]'")
    return kept


def _output(config: pytest.Config) -> Path:
    """Return the directory as a full path: tests may change to another one."""
    option, ini = config.getoption("--xshm-output"), config.getini("xshm_output")
    return config.invocation_params.dir / str(option) if option else config.rootpath / str(ini or _DEFAULT_OUTPUT)
