"""Untrusted text and callers' values in error messages: printable, in one line, and not too long."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

import xshm
from xshm import InvalidArgument, InvalidType, Monitor, MonitorNotFound, Rect, StartFailed, UnsupportedFormat
from xshm.drawables.monitors import find_monitor
from xshm.system.printable import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from servers import Server

_HOSTILE = "a\x1b[31m\x9b2J\u202e\u2028\ud800"
_SHOWN = "a\\x1b[31m\\x9b2J\\u202e\\u2028\\ud800"


class _Unspeakable:
    def __repr__(self) -> str:
        raise RuntimeError("no")


def test_a_value_is_told_in_one_printable_line_whatever_it_is() -> None:
    assert quoted("it's") == repr("it's")
    assert quoted(_HOSTILE) == f"'{_SHOWN}'"
    assert quoted(np.arange(4).reshape(2, 2)) == "array([[0, 1],\\n       [2, 3]])"
    assert quoted("x" * 5000) == f"'{'x' * 299}… (5,002 characters)"
    assert quoted(10**5000) == "<int, whose repr raises ValueError>"
    assert quoted(_Unspeakable()) == "<_Unspeakable, whose repr raises RuntimeError>"


def test_what_a_server_says_as_it_fails_to_start_is_printable() -> None:
    with pytest.raises(StartFailed, match=r"Unrecognized option: -bogus\\x1b\[31m\\x9b2J\\u202e$") as caught:
        xshm.VirtualDisplay(8, 8, args=["-bogus\x1b[31m\x9b2J\u202e"])
    assert str(caught.value).isprintable()


def test_the_monitors_that_an_error_lists_are_printable() -> None:
    known = Monitor(_HOSTILE, Rect(0, 0, 8, 8), True, None, None, None, None, None, ())
    with pytest.raises(MonitorNotFound, match="by number and name there are 0: a") as caught:
        find_monitor((known,), "\x1b[2J")
    assert _SHOWN in str(caught.value)
    assert str(caught.value).isprintable()


def test_numbers_that_python_writes_in_no_decimals_are_refused_like_others() -> None:
    huge = 10**5000
    with pytest.raises(InvalidArgument, match="at least 1, not <int, whose repr"):
        Rect(0, 0, -huge, 1)
    with pytest.raises(InvalidArgument, match="too large"):
        xshm.DisplaySpec(timeout=huge)
    with pytest.raises(InvalidArgument, match="dpi is 1 to 32767"):
        xshm.DisplaySpec(dpi=huge)
    with pytest.raises(InvalidArgument, match=r"framebuffer_mode is 0o600.*not <int, whose repr"):
        xshm.DisplaySpec(framebuffer_mode=-huge)
    assert str(Rect(huge, 0, 1, 1)) == "of numbers with thousands of digits"


@pytest.mark.parametrize("copies", [1, "yes", None, np.array([1, 2])])
def test_a_flag_is_true_or_false_and_an_array_is_neither(copies: object) -> None:
    with pytest.raises(InvalidType, match="copies is True or False, not"):
        xshm.Screen(copies=copies)  # type: ignore[arg-type]  # what is tried


def test_values_that_are_looked_at_before_they_are_used(xvfb: Server) -> None:
    for screens in (np.array(3), 7):  # the array has a method that says that it can be gone through
        with pytest.raises(InvalidType, match="screens is a tuple, not"):
            xshm.VirtualDisplay(screens=screens)  # type: ignore[arg-type]  # what is tried
    with pytest.raises(InvalidType, match="xauthority is the path of a file, or None, not int: 5"):
        xshm.VirtualDisplay.attach(xvfb.name, 5)  # type: ignore[arg-type]
    with contextlib.closing(xshm.VirtualDisplay.attach(xvfb.name, xvfb.authority)) as display:
        with display.run(["sleep", "60"]) as program:
            for number in ("TERM", 1.5, None):
                with pytest.raises(InvalidType, match="a signal is a number, not"):
                    program.pass_on(number)  # type: ignore[arg-type]
            with pytest.raises(InvalidArgument, match="a signal is a number from 1 to 64, not 2000"):
                program.pass_on(2000)
            assert program.poll() is None
        with xshm.Surface(8, 8, display=display.name, xauthority=display.xauthority) as surface:
            for far in (2**63, 1e300, float("inf")):
                surface.wait(far)


def test_descriptors_that_hold_no_framebuffer_that_can_be_mapped(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(bytes(5000))
    for path, flags in ((tmp_path, os.O_RDONLY), (Path("/dev/zero"), os.O_RDONLY)):
        with _opened(path, flags) as descriptor, pytest.raises(UnsupportedFormat, match="is no file of a framebuffer"):
            xshm.Framebuffer.of_descriptor(descriptor)
    for flags in (os.O_WRONLY, os.O_PATH):
        with _opened(file, flags) as descriptor, pytest.raises(InvalidArgument, match="can't be mapped to be read"):
            xshm.Framebuffer.of_descriptor(descriptor)
    with _opened(file, os.O_RDONLY) as descriptor, pytest.raises(InvalidArgument, match="to be read and written"):
        xshm.Framebuffer.of_descriptor(descriptor, writable=True)


@contextlib.contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    descriptor = os.open(path, flags)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
