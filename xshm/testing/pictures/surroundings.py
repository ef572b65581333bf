"""What a picture depends on besides its program: size, depth, fonts and how they are drawn, toolkits.

It lies beside each golden picture, so that a picture which differs on another machine is told from one that is wrong.
What can't be found out, where fontconfig is not installed, is left out and compared with nothing.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

_PATIENCE: Final = 5.0  # seconds for fontconfig, which builds its cache where it has none
_DIGITS: Final = 16  # of a checksum
_GENERIC: Final = ("sans-serif", "serif", "monospace")
# How letters are drawn; FC's names of the properties, and no more digits of a size than count.
_RENDERING: Final = "antialias=%{antialias} hinting=%{hinting} hintstyle=%{hintstyle} autohint=%{autohint} rgba=%{rgba}"
# Libraries by which a toolkit shows itself in a process's maps, with their versions as their files' names have them.
_LIBRARIES: Final = {
    "GTK": re.compile(r"/libgtk-([34])\.so\.([\d.]+)"),
    "Qt": re.compile(r"/libQt[56]Core\.so\.([\d.]+)"),
    "Tk": re.compile(r"/libtk(?:9tcl9?|tcl)?(\d[\d.]*\d)\.so"),
    "Chromium": re.compile(r"/(chromium|chrome|electron)$"),
    "Firefox": re.compile(r"/libxul\.so()"),
    "FreeType": re.compile(r"/libfreetype\.so\.([\d.]+)"),
}


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a picture was taken in: texts by their names, in groups; equal ones are the same surroundings."""

    size: str
    depth: int
    fonts: Mapping[str, str]
    toolkits: Mapping[str, str]

    @classmethod
    def here(cls, size: tuple[int, int], depth: int, pids: Iterable[int | None]) -> Self:
        """Return those of a picture that is shown here, by these processes."""
        return cls(f"{size[0]}x{size[1]}", depth, _fonts(), _toolkits(pids))

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """Return what a file holds; None for one that is missing or holds something else."""
        try:
            found = json.loads(path.read_bytes())
            return cls(str(found["size"]), int(found["depth"]), _texts(found["fonts"]), _texts(found["toolkits"]))
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            return None

    def as_json(self) -> bytes:
        """Return the file's bytes: sorted and indented, so that a change of it reads well."""
        made = {"size": self.size, "depth": self.depth, "fonts": {**self.fonts}, "toolkits": {**self.toolkits}}
        return (json.dumps(made, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()

    def unlike(self, before: Surroundings) -> list[str]:
        """Return what is other here than `before`, in lines for a message, what matters most first."""
        found = [
            *_unlike("other fonts", before.fonts, self.fonts),
            *_unlike("other toolkit", before.toolkits, self.toolkits),
        ]
        if before.depth != self.depth:
            found.append(f"other depth: {before.depth} bits then, {self.depth} here")
        return found


def _unlike(what: str, before: Mapping[str, str], here: Mapping[str, str]) -> list[str]:
    """Return the lines of one group; what only one of the two knows is no difference."""
    return [
        f"{what}: {name} was {before[name]}, and is {here[name]} here"
        for name in sorted(before)
        if name in here and before[name] != here[name]
    ]


def _texts(found: Any) -> dict[str, str]:
    return {str(name): str(value) for name, value in found.items()}


def _fonts() -> dict[str, str]:
    """Return the fonts that the generic names lead to, how they are drawn, and a checksum of all that there are."""
    found = {}
    for name in _GENERIC:
        matched = _ask("fc-match", "-f", "%{family[0]} %{style[0]} %{fontversion}", name)
        if matched:
            found[name] = matched
    if drawn := _ask("fc-match", "-f", _RENDERING, _GENERIC[0]):
        found["rendering"] = drawn
    listed = _ask("fc-list", "-f", "%{family} %{style} %{fontversion}\n", ":")
    if listed:
        lines = sorted(set(listed.splitlines()))
        checksum = hashlib.sha256("\n".join(lines).encode()).hexdigest()[:_DIGITS]
        found["installed"] = f"{len(lines)} fonts, {checksum}"
    return found


def _ask(*command: str) -> str:
    """Return what a program prints; "" where it is missing or fails."""
    try:
        run = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PATIENCE, check=True, errors="replace"
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return run.stdout.strip()


def _toolkits(pids: Iterable[int | None]) -> dict[str, str]:
    """Return the toolkits that these processes have mapped, with the versions that their files' names have."""
    found: dict[str, str] = {}
    for pid in sorted({pid for pid in pids if pid is not None}):
        try:
            with open(f"/proc/{pid}/maps", errors="replace") as file:  # noqa: PTH123 - a file of the kernel
                paths = {line.rstrip("\n").split(maxsplit=5)[-1] for line in file}
        except OSError:  # it has ended, or is another user's
            continue
        for name, pattern in _LIBRARIES.items():
            versions = {".".join(filter(None, match.groups())) for path in paths if (match := pattern.search(path))}
            if versions:
                found[name] = " ".join(sorted(versions))
    return found
