"""A program of another process, tested from outside, as a user has it: by its windows, by clicks and keys.

    pip install 'xshm[pytest]' && pytest examples/gui_tests/test_tk.py

Needs Tk (Debian: python3-tk). Any toolkit and any language would do: nothing is asked of the program.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xshm import Trace, VirtualDisplay

_PROGRAM = Path(__file__).parent / "login.py"


def test_a_user_is_greeted_by_name(xshm_display: VirtualDisplay, xshm_trace: Trace) -> None:
    screen = xshm_display.screen
    with xshm_display.launch([sys.executable, str(_PROGRAM)], window="Log in"):  # returns when it is painted
        xshm_trace.mark("the form is filled in")
        with screen.act():  # until what is typed is seen, and at rest
            screen.type("Ada\tcorrect horse")
        xshm_trace.mark("it is sent")
        with screen.act() as act:
            screen.press("Return")
        assert act.outcome.reacted
        with screen.wait_window("Welcome, Ada", timeout=2):
            pass
