"""Fixtures, the marker and the options of the pytest plugin; each function is a test."""

# ruff: noqa: S101 - they are tests
from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import xshm
    from xshm.testing.pictures.assertion import AssertScreenshot

OF = "xshm.testing"

OPTIONS = {
    "--xshm-display": "pytest --xshm-display=new    # not the one in $DISPLAY",
    "--xshm-size": "pytest --xshm-display=new --xshm-size=800x600",
    "--xshm-depth": "pytest --xshm-display=new --xshm-depth=24",
    "--xshm-screenshot": "pytest --xshm-screenshot=only-on-failure",
    "--xshm-trace": "pytest --xshm-trace=retain-on-failure",
    "--xshm-video": "pytest --xshm-video=retain-on-failure    # needs xshm[video]",
    "--xshm-output": "pytest --xshm-output=left-of-failures",
    "--xshm-profile": "pytest --xshm-profile=stable",
    "--xshm-update": "pytest --xshm-update    # writes the pictures that assert_screenshot compares with",
}


def xshm_display(xshm_display: xshm.VirtualDisplay) -> None:
    with xshm_display.launch(["xlogo", "-title", "Logo"], window="Logo"):
        assert xshm_display.screen.window("Logo").title == "Logo"


def xshm_screen(xshm_display: xshm.VirtualDisplay, xshm_screen: xshm.Screen) -> None:
    with xshm_display.launch(["xlogo", "-title", "Logo"]):
        xshm_screen.wait_window("Logo", timeout=5).close()


def screen(screen: xshm.Screen) -> None:
    screen.click(100, 100)
    assert screen.grab().size == (screen.width, screen.height)


def xshm_trace(xshm_display: xshm.VirtualDisplay, xshm_trace: xshm.Trace) -> None:
    xshm_trace.mark("a program starts")
    with xshm_display.launch("xlogo"):
        xshm_trace.log("it is there")


def assert_screenshot(xshm_display: xshm.VirtualDisplay, assert_screenshot: AssertScreenshot) -> None:
    with xshm_display.launch(["xlogo", "-geometry", "100x100+0+0"]):
        assert_screenshot("logo.png")  # beside the test; --xshm-update writes it


@pytest.mark.xshm(fresh=True, size=(320, 200))
def xshm_marker(xshm_display: xshm.VirtualDisplay) -> None:
    assert (xshm_display.width, xshm_display.height) == (320, 200)
