"""Find the programs of servers, and say how what is missing is installed on this system.

Always true: nothing is run to find out; a program counts if it is on PATH, and the system is what os-release(5) says.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final, Literal

ServerKind = Literal["xvfb", "xvnc", "xwayland"]

PROGRAMS: Final[dict[ServerKind, tuple[str, ...]]] = {
    "xvfb": ("Xvfb",),
    "xvnc": ("Xvnc",),
    "xwayland": ("Xwayland", "weston"),
}
_INSTALL: Final = {
    "debian": "apt-get install",
    "fedora": "dnf install",
    "alpine": "apk add",
    "arch": "pacman -S",
    "suse": "zypper install",
}
# Which package has a program, where its name is another one.
_PACKAGES: Final = {
    "debian": {"Xvfb": "xvfb", "Xvnc": "tigervnc-standalone-server", "Xwayland": "xwayland"},
    "fedora": {
        "Xvfb": "xorg-x11-server-Xvfb",
        "Xvnc": "tigervnc-server",
        "Xwayland": "xorg-x11-server-Xwayland",
        "xauth": "xorg-x11-xauth",
    },
    "alpine": {"Xvfb": "xvfb", "Xvnc": "tigervnc", "Xwayland": "xwayland"},
    "arch": {"Xvfb": "xorg-server-xvfb", "Xvnc": "tigervnc", "Xwayland": "xorg-xwayland", "xauth": "xorg-xauth"},
    "suse": {"Xvfb": "xorg-x11-server-Xvfb", "Xvnc": "xorg-x11-Xvnc", "Xwayland": "xwayland"},
}
_OS_RELEASE: Final = ("/etc/os-release", "/usr/lib/os-release")


def missing(kind: ServerKind) -> list[str]:
    """Return those programs of a kind of server that are not on PATH."""
    return [program for program in PROGRAMS[kind] if shutil.which(program) is None]


def how_to_install(*programs: str) -> str:
    """Return the command that installs programs on this system; where that is unknown, the packages of Debian."""
    family = _family()
    names = _PACKAGES[family or "debian"]
    packages = " ".join(names.get(program, program) for program in programs)
    if family is None:
        return f"install {packages} (names of Debian's packages)"
    return as_root(f"{_INSTALL[family]} {packages}")


def as_root(command: str) -> str:
    """Return how this user runs a command as root; root in a container rarely has sudo."""
    return command if os.geteuid() == 0 else f"sudo {command}"


def _family() -> str | None:
    """Return whose packages this system has: "debian", "fedora", "alpine", "arch", "suse", or None."""
    for path in _OS_RELEASE:
        try:
            text = Path(path).read_text("utf-8", "replace")
        except FileNotFoundError:
            continue
        values = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
        named = f"{values.get('ID', '')} {values.get('ID_LIKE', '')}".replace('"', "").split()
        for name in named:
            family = {"ubuntu": "debian", "rhel": "fedora", "centos": "fedora", "opensuse": "suse"}.get(name, name)
            if family in _INSTALL:
                return family
    return None
