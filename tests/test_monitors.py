"""Monitors: what `xrandr` says, now; with fewer extensions, what there is."""

from __future__ import annotations

import re
import subprocess
from dataclasses import FrozenInstanceError
from typing import TYPE_CHECKING

import pytest
from oracles import core_image
from painter import Painter

import xshm
from xshm.x11.outputs import Configuration

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers import Server


def _xrandr(server: Server, *args: str) -> str:
    run = subprocess.run(["xrandr", *args], env=server.env(), capture_output=True, text=True, check=True)
    return run.stdout


def _as_xrandr_lists_them(server: Server) -> list[tuple[str, xshm.Rect, bool, int | None, int | None]]:
    """Return name, place, whether it is primary, and millimetres, of every monitor."""
    line = re.compile(r" \d+: \+?(\*?)(\S+) (\d+)/(\d+)x(\d+)/(\d+)\+(\d+)\+(\d+)")
    found = []
    for star, name, width, width_mm, height, height_mm, x, y in line.findall(_xrandr(server, "--listmonitors")):
        rect = xshm.Rect(int(x), int(y), int(width), int(height))
        found.append((name, rect, bool(star), int(width_mm) or None, int(height_mm) or None))
    return sorted(found, key=lambda monitor: not monitor[2])


def _said(screen: xshm.Screen) -> list[tuple[str, xshm.Rect, bool, int | None, int | None]]:
    return [
        (monitor.name, monitor.rect, monitor.primary, monitor.width_mm, monitor.height_mm)
        for monitor in screen.monitors
    ]


@pytest.mark.parametrize("kind", ["Xvfb", "Xvnc", "Xephyr", "Xorg", "Xwayland", "Xwayland-rootless"])
def test_monitors_are_those_that_xrandr_lists(make_server: Callable[..., Server], kind: str) -> None:
    server = make_server(kind, 640, 480)
    with xshm.Screen(server.name) as screen:
        assert _said(screen) == _as_xrandr_lists_them(server)
        assert [monitor.rect for monitor in screen.monitors] == [xshm.Rect(0, 0, 640, 480)]
        refresh = re.findall(r"(\d+\.\d+)\*", _xrandr(server))
        assert [f"{monitor.refresh or 0:.2f}" for monitor in screen.monitors] == refresh


def test_monitors_that_a_user_defines_are_told_at_once_the_primary_one_first(
    make_server: Callable[..., Server],
) -> None:
    server = make_server("Xorg", 640, 480)
    with Painter(server) as painter, xshm.Screen(server.name) as screen:
        painter.rectangles()
        _xrandr(server, "--setmonitor", "right", "320/100x480/150+320+0", "none")
        _xrandr(server, "--setmonitor", "*left", "320/0x470/0+0+10", "DUMMY0")
        assert _said(screen) == _as_xrandr_lists_them(server)
        left, right = screen.monitors
        assert (left.name, left.rect, left.primary) == ("left", xshm.Rect(0, 10, 320, 470), True)
        assert (left.width_mm, left.height_mm) == (None, None)
        assert left.refresh is not None
        assert (right.name, right.width_mm, right.height_mm, right.refresh) == ("right", 100, 150, None)
        for monitor in (left, right):
            frame = screen.grab(monitor)
            assert frame.rect == monitor.rect
            box = (monitor.rect.x, monitor.rect.y, monitor.rect.width, monitor.rect.height)
            assert (frame.pixels[..., :3] == core_image(painter.display, box)[..., :3]).all()
        _xrandr(server, "--delmonitor", "right")
        _xrandr(server, "--delmonitor", "left")
        assert [monitor.name for monitor in screen.monitors] == ["DUMMY0"]


@pytest.mark.parametrize("kind", ["Xvnc", "Xorg", "Xwayland"])
def test_randr_1_2_tells_the_same_as_its_monitors(make_server: Callable[..., Server], kind: str) -> None:
    server = make_server(kind, 640, 480)
    with xshm.Screen(server.name) as screen:
        connection = screen.connection
        found = connection.extension("RANDR")
        assert found is not None
        configuration = Configuration(connection, found.major, connection.setup.root.id)
        assert [(lit.name, lit.box, lit.refresh) for lit in configuration.lit()] == [
            (monitor.name, monitor.box, monitor.refresh) for monitor in configuration.monitors()
        ]


def test_without_randr_the_monitor_is_the_screen(make_server: Callable[..., Server]) -> None:
    server = make_server("Xvfb", 640, 480, 24, "-extension", "RANDR", "-dpi", "100")
    with xshm.Screen(server.name) as screen:
        assert screen.monitors == (xshm.Monitor("screen", xshm.Rect(0, 0, 640, 480), True, 163, 122),)
        assert screen.grab(screen.monitors[0]).rect == screen.rect


def test_without_randr_xinerama_tells(make_server: Callable[..., Server]) -> None:
    args = ("-extension", "RANDR", "+xinerama", "-screen", "1", "320x240x24")
    server = make_server("Xvfb", 640, 480, 24, *args)
    said = subprocess.run(
        ["xdpyinfo", "-ext", "XINERAMA"], env=server.env(), capture_output=True, text=True, check=True
    )
    heads = re.findall(r"head #\d+: (\d+)x(\d+) @ (\d+),(\d+)", said.stdout)
    with xshm.Screen(server.name) as screen:
        assert len(heads) == len(screen.monitors) == 2
        for monitor, (width, height, x, y) in zip(screen.monitors, heads, strict=True):
            assert monitor.rect == xshm.Rect(int(x), int(y), int(width), int(height))
            assert (monitor.width_mm, monitor.height_mm, monitor.refresh) == (None, None, None)
        assert [monitor.primary for monitor in screen.monitors] == [True, False]


def test_a_monitor_is_a_value(xvfb: Server) -> None:
    with xshm.Screen(xvfb.name) as screen:
        one, other = screen.monitors[0], screen.monitors[0]
        assert one == other
        assert hash(one) == hash(other)
        with pytest.raises(FrozenInstanceError):
            one.name = "another"  # type: ignore[misc]
    with pytest.raises(xshm.Closed):
        _ = screen.monitors
