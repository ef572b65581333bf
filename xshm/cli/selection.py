"""A region that a person chooses on the screen, by slop."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

from xshm.errors import XshmError
from xshm.system.printable import quoted

if TYPE_CHECKING:
    from xshm.drawables.screen import Screen

_CANCELLED: Final = 1  # slop's exit code when a key was pressed


def select(screen: Screen) -> tuple[int, int, int, int]:
    """Let slop ask a person; return the region that was drawn, or that of the window that was clicked."""
    import shutil  # noqa: PLC0415 - what is taken without asking does not pay for it
    import subprocess  # noqa: PLC0415

    slop = shutil.which("slop")
    if slop is None:
        raise XshmError("--select needs the program slop (Debian: apt install slop); or name a region with --geometry")
    asked = subprocess.run(
        [slop, "-f", "%w %h %x %y"],
        env=os.environ | {"DISPLAY": screen.display},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if asked.returncode != 0:
        raise XshmError(
            "nothing was selected" if asked.returncode == _CANCELLED else f"slop failed ({asked.returncode})"
        )
    numbers = asked.stdout.split()
    if not re.fullmatch(r"[0-9]+ [0-9]+ -?[0-9]+ -?[0-9]+", " ".join(numbers)):
        raise XshmError(f"slop said {quoted(asked.stdout)}, where a region's width, height, x and y were asked for")
    width, height, x, y = map(int, numbers)
    return x, y, width, height
