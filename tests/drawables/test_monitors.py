"""Monitors: the same as `xrandr` lists; and on servers without RandR 1.5 or Xinerama."""

from __future__ import annotations

import re
import subprocess
from dataclasses import FrozenInstanceError
from typing import TYPE_CHECKING

import edids
import numpy as np
import pytest
from painter import Painter
from reference import core_image
from round_trips import relayed

import xshm
from xshm.errors import InvalidArgument, MonitorNotFound
from xshm.x11.server.randr import Xinerama

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


def test_without_randr_the_monitor_is_the_screen(make_server: Callable[..., Server]) -> None:
    server = make_server("Xvfb", 640, 480, 24, "-extension", "RANDR", "-dpi", "100")
    with xshm.Screen(server.name) as screen:
        assert screen.monitors == (xshm.Monitor("screen", xshm.Rect(0, 0, 640, 480), True, 163, 122),)
        assert screen.grab(screen.monitors[0]).rect == screen.rect


@pytest.mark.parametrize("randr", [[], ["-extension", "RANDR"]])
def test_screens_that_the_server_joins_are_told_by_xinerama(
    make_server: Callable[..., Server], randr: list[str]
) -> None:
    server = make_server("Xvfb", 640, 480, 24, "+xinerama", "-screen", "1", "320x240x24", *randr)
    said = subprocess.run(
        ["xdpyinfo", "-ext", "XINERAMA"], env=server.env(), capture_output=True, text=True, check=True
    )
    heads = re.findall(r"head #\d+: (\d+)x(\d+) @ (\d+),(\d+)", said.stdout)
    with Painter(server) as painter, xshm.Screen(server.name) as screen:
        painter.rectangles()
        assert len(heads) == len(screen.monitors) == 2
        for monitor, (width, height, x, y) in zip(screen.monitors, heads, strict=True):
            assert monitor.rect == xshm.Rect(int(x), int(y), int(width), int(height))
            assert (monitor.width_mm, monitor.height_mm, monitor.refresh) == (None, None, None)
            box = (monitor.rect.x, monitor.rect.y, monitor.rect.width, monitor.rect.height)
            frame = screen.grab(monitor)
            assert np.array_equal(frame.pixels[..., :3], core_image(painter.display, box)[..., :3])
        assert [monitor.primary for monitor in screen.monitors] == [True, False]
        assert screen.monitor("primary") == screen.monitor("xinerama-0") == screen.monitors[0]
        assert (screen.monitor(1).width, screen.monitor(1).height) == (320, 240)


@pytest.mark.parametrize("kind", ["Xvfb", "Xvnc", "Xephyr", "Xorg", "Xwayland", "Xwayland-rootless"])
def test_where_randr_answers_for_xinerama_its_own_names_are_told(make_server: Callable[..., Server], kind: str) -> None:
    server = make_server(kind, 640, 480)
    _xrandr(server, "--setmonitor", "left", "320/100x480/150+0+0", "none")
    _xrandr(server, "--setmonitor", "over all", "640/200x480/150+0+0", "none")
    with xshm.Screen(server.name) as screen:
        boxes = [head.box for head in Xinerama(screen.connection).heads()]
        told = {monitor.name: monitor.rect for monitor in screen.monitors}
        assert {"left", "over all"} < set(told)
        assert sorted(xshm.Rect(*box) for box in boxes) == sorted(told.values())


# -- what they are ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["Xvfb", "Xvnc", "Xorg"])
def test_model_and_serial_number_are_what_the_monitor_says_now(make_server: Callable[..., Server], kind: str) -> None:
    server = make_server(kind, 640, 480)
    with xshm.Screen(server.name) as screen:
        (output,) = re.findall(r"^(\S+) connected", _xrandr(server), re.MULTILINE)
        assert (screen.monitors[0].model, screen.monitors[0].serial) == (None, None)
        for raw, said in (
            (edids.make(texts=((edids.NAME, b"DELL U2720Q"), (edids.SERIAL, b"CN0123"))), ("DELL U2720Q", "CN0123")),
            (edids.make(serial=5) + bytes(128), ("DEL-40A3", "5")),
            (b"garbage" * 20, (None, None)),
            (edids.make()[:100], (None, None)),
            (b"", (None, None)),
        ):
            edids.give(screen, raw)
            (monitor,) = screen.monitors
            assert ((monitor.model, monitor.serial), monitor.outputs) == (said, (output,))


def test_a_property_of_words_in_the_place_of_the_edid_is_none(make_server: Callable[..., Server]) -> None:
    with xshm.Screen(make_server("Xvfb", 640, 480).name) as screen:
        edids.give(screen, edids.make(), bits=32)
        assert (screen.monitors[0].model, screen.monitors[0].serial) == (None, None)


def test_a_monitor_of_several_outputs_names_them_and_is_the_first_that_says_what_it_is(
    make_server: Callable[..., Server],
) -> None:
    server = make_server("Xorg", 640, 480)
    with xshm.Screen(server.name) as screen:
        known = re.findall(r"^(\S+) (?:dis)?connected", _xrandr(server), re.MULTILINE)
        if len(known) < 2:
            pytest.skip("this dummy driver has one output")
        _xrandr(server, "--setmonitor", "wall", "640/100x480/150+0+0", ",".join(known[:2]))
        edids.give(screen, edids.make("SAM", 1, 2), output=1)
        (wall,) = screen.monitors
        assert (wall.name, wall.outputs, wall.model, wall.serial) == ("wall", tuple(known[:2]), "SAM-0001", "2")
        edids.give(screen, edids.make("DEL", 3, 4))
        assert screen.monitor("wall").model == "DEL-0003"


@pytest.mark.parametrize(
    ("raw", "name"),
    [("büro".encode(), "büro"), ("büro".encode("latin-1"), "büro"), (b"\xff\xfe\x80", "ÿþ\x80"), ("机".encode(), "机")],
)
def test_names_in_any_bytes_are_told_and_found(make_server: Callable[..., Server], raw: bytes, name: str) -> None:
    server = make_server("Xvfb", 640, 480)
    subprocess.run(["xrandr", "--setmonitor", raw, "320/100x480/150+0+0", "none"], env=server.env(), check=True)
    with xshm.Screen(server.name) as screen:
        assert name in [monitor.name for monitor in screen.monitors]
        assert screen.monitor(name).rect == xshm.Rect(0, 0, 320, 480)


def test_asking_takes_a_few_round_trips_however_many_outputs_there_are(make_server: Callable[..., Server]) -> None:
    with relayed(make_server("Xorg", 640, 480)) as relay, xshm.Screen(relay.name, transport="core") as screen:
        counts = []
        for _ in range(6):
            before = relay.round_trips
            assert len(screen.monitors) == 1
            counts.append(relay.round_trips - before)
        # The first looks the extensions up; then there are three. Requests are sent by the dozen, and of 16 outputs
        # there are more: where the relay hears the server's first answer between two sends, it counts one more.
        assert min(counts) <= 4, counts


# -- one of them -------------------------------------------------------------------------------------------------------


def test_a_monitor_is_found_by_name_by_number_and_as_the_primary_one(make_server: Callable[..., Server]) -> None:
    server = make_server("Xorg", 640, 480)
    _xrandr(server, "--setmonitor", "right", "320/100x480/150+320+0", "none")
    _xrandr(server, "--setmonitor", "*left", "320/0x480/0+0+0", "DUMMY0")
    with xshm.Screen(server.name) as screen:
        left, right = screen.monitors
        for which in ("left", "primary", 0, "0", np.int64(0)):
            assert screen.monitor(which) == left  # type: ignore[arg-type]
        assert screen.monitor("right") == screen.monitor(1) == screen.monitor("1") == right
        for absent in ("middle", "Right", 2, -1, "2", "-1", "", "1" * 30):
            with pytest.raises(
                MonitorNotFound,
                match=r"there is no monitor .*; by number and name there are 0: left .primary., 1: right",
            ):
                screen.monitor(absent)
        for kind in (None, True, 1.0, left):
            with pytest.raises(xshm.InvalidType, match="its name, its number or 'primary'"):
                screen.monitor(kind)  # type: ignore[arg-type]
        assert (right.width, right.height) == (320, 480)
    assert issubclass(MonitorNotFound, InvalidArgument)
    assert issubclass(MonitorNotFound, LookupError)


def test_a_name_comes_before_what_else_it_may_mean(make_server: Callable[..., Server]) -> None:
    server = make_server("Xorg", 640, 480)
    _xrandr(server, "--setmonitor", "0", "320/100x480/150+320+0", "none")
    _xrandr(server, "--setmonitor", "primary", "320/100x480/150+0+0", "none")
    with xshm.Screen(server.name) as screen:
        assert screen.monitor("0").rect == xshm.Rect(320, 0, 320, 480)
        assert screen.monitor("primary").rect == xshm.Rect(0, 0, 320, 480)
        assert screen.monitor(0) == screen.monitors[0]


def test_where_none_is_marked_the_only_one_is_primary_and_none_of_several(make_server: Callable[..., Server]) -> None:
    server = make_server("Xvfb", 640, 480)
    with xshm.Screen(server.name) as screen:
        assert screen.monitor("primary") == screen.monitors[0]
        _xrandr(server, "--setmonitor", "left", "320/100x480/150+0+0", "none")
        with pytest.raises(MonitorNotFound, match="there is no monitor 'primary'; by number and name there are 0: "):
            screen.monitor("primary")


def test_a_monitor_is_a_value(xvfb: Server) -> None:
    with xshm.Screen(xvfb.name) as screen:
        one, other = screen.monitors[0], screen.monitors[0]
        assert one == other
        assert hash(one) == hash(other)
        with pytest.raises(FrozenInstanceError):
            one.name = "another"  # type: ignore[misc]
    with pytest.raises(xshm.Closed):
        _ = screen.monitors
