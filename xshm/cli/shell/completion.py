"""`xshm completion`: what completes the words of the command line in bash, zsh, fish or tcsh, to be evaluated there."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import argparse

FILES: Final = Path(__file__).parent / "files"
# The names under which these shells look for a command's completion in their own directories.
NAMES: Final = {"bash": "xshm", "zsh": "_xshm", "fish": "xshm.fish", "tcsh": "xshm.csh"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's argument."""
    parser.add_argument("shell", choices=tuple(NAMES), metavar="SHELL", help=f"{', '.join(NAMES)}")


def main(chosen: argparse.Namespace) -> int:
    """Print the file; return 0."""
    sys.stdout.write((FILES / NAMES[chosen.shell]).read_text("utf-8"))
    return 0
