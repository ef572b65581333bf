"""The names of mss 10 over Screen, side by side with mss itself: monitors, pixels, the pointer, errors."""

from __future__ import annotations

import subprocess
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import edids
import mss as theirs
import numpy as np
import pytest
from descriptors import open_descriptors
from forked import in_child
from painter import Painter
from pointers import Pointers

import xshm
from xshm.compat import mss, mss11
from xshm.compat.mss.exception import as_screenshot_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from servers import Server

Pair = tuple[Any, Any]


@pytest.fixture
def pair(xvfb: Server, painter: Painter) -> Iterator[Pair]:
    """Give mss and ours on a painted screen of 1280x800."""
    painter.rectangles()
    painter.noise((100, 50, 300, 200))
    with theirs.MSS(display=xvfb.name) as real, mss.MSS(display=xvfb.name) as ours:
        yield real, ours


def _xrandr(server: Server, *args: str) -> None:
    subprocess.run(["xrandr", *args], env=server.env(), check=True, capture_output=True)


def _mss(server: Server) -> Any:
    """Open mss. Its XCB back ends do not find the visual of Xvnc's root window among several."""
    return theirs.MSS(display=server.name, backend="xlib" if server.kind == "Xvnc" else "default")


def _monitors(server: Server) -> tuple[Any, Any]:
    """Return the monitors that mss lists now, and ours."""
    with _mss(server) as real, mss.MSS(display=server.name) as ours:
        return real.monitors, ours.monitors


# -- monitors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["Xvfb", "Xephyr", "Xorg", "Xwayland"])
def test_monitors_are_those_of_mss_in_the_same_order(make_server: Callable[..., Server], kind: str) -> None:
    server = make_server(kind, 640, 480)
    _xrandr(server, "--setmonitor", "right", "320/100x480/150+320+0", "none")
    _xrandr(server, "--setmonitor", "*left", "320/0x470/0+0+10", "none")
    real, ours = _monitors(server)
    assert ours == real
    assert [list(each) for each in ours] == [list(each) for each in real]
    assert len(ours) >= 3
    assert ours[0] == {"left": 0, "top": 0, "width": 640, "height": 480}
    assert {each["is_primary"] for each in ours[1:]} == {True, False}


def test_a_monitor_of_several_outputs_goes_by_the_primary_one_and_by_its_edid(
    make_server: Callable[..., Server],
) -> None:
    server = make_server("Xorg", 640, 480)
    _xrandr(server, "--setmonitor", "wall", "640/100x480/150+0+0", "DUMMY0,DUMMY1")
    with xshm.Screen(server.name) as screen:
        for output, raw in (
            (0, edids.make("SAM", 1, 2)),
            (1, edids.make("DEL", 0x40A3, 7, ((edids.SERIAL, b"CN 01/23"), (edids.NAME, b"DELL U2720Q")))),
        ):
            edids.give(screen, raw, output)
        for primary in ("DUMMY1", "DUMMY0"):
            _xrandr(server, "--output", primary, "--primary")
            real, ours = _monitors(server)
            assert ours == real
            assert ours[1]["output"] == primary
    assert ours[1]["unique_id"] == "model=SAM0001&serial=2&mfr_date=2021W30"
    assert "name" not in ours[1]


@pytest.mark.parametrize(
    "raw",
    [
        edids.make(serial=5, texts=((edids.NAME, b"no end\nx"), (edids.SERIAL, b"\xff\x80"))),
        edids.summed(edids.make()[:16] + b"\xff\x20" + edids.make()[18:]),
        edids.summed(edids.make()[:16] + b"\x00\x20" + edids.make()[18:]),
        edids.make() + bytes(128),
        edids.make()[:100],
        b"\0" * 128,
        b"garbage" * 20,
    ],
)
def test_an_edid_is_read_as_mss_reads_it(raw: bytes) -> None:
    assert mss.tools.parse_edid(raw) == theirs.tools.parse_edid(raw)


def test_without_randr_there_is_the_whole_screen_alone(make_server: Callable[..., Server]) -> None:
    server = make_server("Xvfb", 640, 480, 24, "-extension", "RANDR")
    real, ours = _monitors(server)
    assert ours == real == [{"left": 0, "top": 0, "width": 640, "height": 480}]
    with mss.MSS(display=server.name) as sct:
        with pytest.raises(mss.ScreenShotError, match=r"lists no monitors; monitors\[0\] is the whole screen"):
            _ = sct.primary_monitor
        with pytest.raises(mss.ScreenShotError, match="there is no monitor 1: they are numbered from 1 to 0"):
            sct.shot()


def test_monitors_are_read_once_and_the_primary_one_is_mss_s(make_server: Callable[..., Server]) -> None:
    server = make_server("Xvfb", 640, 480)
    with theirs.MSS(display=server.name) as real, mss.MSS(display=server.name) as ours:
        assert ours.primary_monitor == real.primary_monitor == ours.monitors[1]  # none is marked
        assert ours.monitors is ours.monitors
        _xrandr(server, "--setmonitor", "*right", "320/100x480/150+320+0", "none")
        assert len(ours.monitors) == len(real.monitors) == 2
    with theirs.MSS(display=server.name) as real, mss.MSS(display=server.name) as ours:
        assert ours.primary_monitor == real.primary_monitor
        assert ours.primary_monitor["left"] == 320


# -- pixels ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("backend", "transport"), [("default", "auto"), ("XShmGetImage", "auto"), ("xgetimage", "core"), ("xlib", "core")]
)
def test_screenshots_are_those_of_mss_to_the_byte(xvfb: Server, pair: Pair, backend: str, transport: str) -> None:
    real, _ = pair
    with mss.mss(display=xvfb.name.encode(), backend=backend) as ours:
        for region in (
            ours.monitors[0],
            {"left": 7, "top": 3, "width": 401, "height": 299, "mon": 1},
            (7, 3, 408, 302),
            (1279, 799, 1280, 800),
            {"left": np.int64(5), "top": 0, "width": np.int32(64), "height": 2},
        ):
            one, other = real.grab(region), ours.grab(region)
            assert (other.pos, other.size) == (one.pos, one.size)
            assert type(other.raw) is bytearray
            assert type(other.rgb) is type(other.bgra) is bytes
            assert (other.raw, other.rgb, other.bgra) == (one.raw, one.rgb, one.bgra)
        assert len(set(ours.grab(ours.monitors[0]).rgb)) > 2
        (how,) = ours.performance_status
        with xshm.Screen(xvfb.name, transport) as screen:
            assert how == f"{screen.transport.kind}: {screen.transport.reason}"


@pytest.mark.parametrize("kind", ["Xvnc", "Xephyr", "Xorg", "Xwayland"])
def test_screenshots_of_other_servers_are_those_of_mss(make_server: Callable[..., Server], kind: str) -> None:
    server = make_server(kind, 320, 200)
    with Painter(server) as painter:
        painter.rectangles()
        with _mss(server) as real, mss.MSS(display=server.name) as ours:
            one, other = real.grab((10, 20, 300, 190)), ours.grab((10, 20, 300, 190))
            assert other.rgb == one.rgb
            assert len(set(one.rgb)) > 2


@pytest.mark.parametrize(("x", "y"), [(200, 100), (0, 0), (1279, 799), (101, 52)])
def test_the_pointer_is_painted_as_mss_paints_it(xvfb: Server, pair: Pair, x: int, y: int) -> None:
    pair[0].close()  # its connection has no part in this
    rgba = np.random.default_rng(1).integers(0, 256, (40, 30, 4), dtype=np.uint8)
    rgba[..., :10, 3], rgba[..., 20:, 3] = 0, 255
    with (
        Pointers(xvfb) as pointers,
        theirs.MSS(display=xvfb.name, with_cursor=True) as real,
        mss.MSS(display=xvfb.name, with_cursor=True) as ours,
    ):
        assert real.with_cursor is ours.with_cursor is True
        pointers.show(pointers.picture(rgba, (12, 5)))
        pointers.move(x, y)
        for region in (ours.monitors[0], (100, 50, 210, 120), (199, 99, 201, 101), (600, 400, 700, 500)):
            assert ours.grab(region).raw == real.grab(region).raw
        with mss.MSS(display=xvfb.name) as without:
            assert without.with_cursor is False
            assert without.grab(ours.monitors[0]).raw != ours.grab(ours.monitors[0]).raw


# -- regions and errors ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "region",
    [
        (-5, 0, 10, 10),
        (0, 0, 0, 10),
        (10, 10, 5, 5),
        (1200, 700, 1300, 900),
        (0, 0, 5000, 5000),
        {"left": 70000, "top": 0, "width": 10, "height": 10},
        {"left": 0, "top": 0, "width": -1, "height": 10},
    ],
)
def test_a_region_that_is_empty_or_off_the_screen_is_a_screenshot_error(pair: Pair, region: Any) -> None:
    real, ours = pair
    with pytest.raises(theirs.ScreenShotError):
        real.grab(region)
    with pytest.raises(mss.ScreenShotError) as raised:
        ours.grab(region)
    assert isinstance(raised.value.__cause__, xshm.InvalidArgument)
    assert "clip" not in str(raised.value), "mss's grab has no such argument"
    assert raised.value.details == {}
    assert ours.grab((0, 0, 2, 2)).raw == real.grab((0, 0, 2, 2)).raw


@pytest.mark.parametrize(
    "region", [{"left": 0, "top": 0, "width": 10}, [0, 0, 10, 10], (0, 0, 10), "640x480", None, {"top": 0}]
)
def test_what_is_no_region_is_the_same_error_as_in_mss(pair: Pair, region: Any) -> None:
    real, ours = pair
    with pytest.raises(Exception) as one:  # noqa: PT011 - whichever
        real.grab(region)
    with pytest.raises(type(one.value)):
        ours.grab(region)


def test_fractions_are_a_type_error_each_time(pair: Pair) -> None:
    for _ in range(2):
        pair[1].grab((0, 0, 10, 10))
        with pytest.raises(TypeError, match=r"a region's left is a whole number"):
            pair[1].grab((0.0, 0.0, 10.0, 10.0))


def test_a_server_that_is_not_there_is_a_screenshot_error(xvfb: Server) -> None:
    for arguments in ({"display": ":93171"}, {"display": "garbage"}, {"backend": "dxgi", "display": xvfb.name}):
        for library in (theirs, mss):
            with pytest.raises(library.ScreenShotError):
                library.MSS(**arguments)
    with pytest.raises(TypeError, match="unexpected keyword argument 'nonsense'"):
        mss.MSS(nonsense=1)  # type: ignore[call-arg]
    with pytest.raises(mss.ScreenShotError, match="no backend 'dxgi'; there are default, xshmgetimage"):
        mss.mss(backend="dxgi")


@pytest.mark.parametrize("depth", [16, 30, 8])
def test_screens_of_other_depths_are_refused_and_leave_no_connection(
    make_server: Callable[..., Server], depth: int
) -> None:
    server = make_server("Xvfb", 320, 200, depth)
    for library in (theirs, mss):
        with pytest.raises(library.ScreenShotError):
            library.MSS(display=server.name)
    with pytest.raises(mss.ScreenShotError, match=r"screenshots are B G R X.*xshm.Screen reads all others"):
        mss.MSS(display=server.name)


def test_the_display_is_that_of_the_environment(xvfb: Server, pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", xvfb.name)
    for name in (None, ""):
        with mss.MSS(display=name) as ours:
            assert ours.grab((0, 0, 500, 500)).raw == pair[0].grab((0, 0, 500, 500)).raw


def test_what_means_nothing_on_x_is_taken_and_changes_nothing(xvfb: Server) -> None:
    with mss.mss(display=xvfb.name, max_displays=2, compression_level=3) as sct:
        assert sct.compression_level == 3
        assert not hasattr(sct, "max_displays")


def test_a_closed_one_raises_and_what_it_gave_stays(xvfb: Server, painter: Painter) -> None:
    painter.rectangles()
    for library in (theirs, mss):
        sct = library.MSS(display=xvfb.name)
        shot, monitors = sct.grab((0, 0, 300, 200)), sct.monitors
        sct.close()
        sct.close()
        with pytest.raises(library.ScreenShotError):
            sct.grab((0, 0, 3, 3))
        assert sct.monitors is monitors
        assert shot.rgb == xshm.grab((0, 0, 300, 200), display=xvfb.name).rgb().tobytes()
        with library.MSS(display=xvfb.name) as unread:
            pass
        with pytest.raises(library.ScreenShotError):
            _ = unread.monitors


@pytest.mark.usefixtures("no_collector")
def test_one_that_is_dropped_unclosed_goes_without_a_word_and_its_screenshots_stay(
    xvfb: Server, painter: Painter
) -> None:
    painter.rectangles()
    before = open_descriptors()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        shots = [mss.mss(display=xvfb.name).grab((0, 0, 100, 80)) for _ in range(5)]
        sct = mss11.MSS(display=xvfb.name)
        sct.close()
        del sct
    assert said == []
    assert set(open_descriptors().items()) <= set(before.items())
    assert {shot.rgb for shot in shots} == {xshm.grab((0, 0, 100, 80), display=xvfb.name).rgb().tobytes()}


def test_a_screen_that_has_another_size_is_grabbed_in_it(make_server: Callable[..., Server]) -> None:
    server = make_server("Xvnc", 800, 600)
    with mss.MSS(display=server.name) as sct:
        before = sct.monitors[0]
        server.resize("1024x768")
        assert sct.grab((0, 0, 1024, 768)).size == (1024, 768)
        server.resize("640x480")
        with pytest.raises(mss.ScreenShotError, match=r"leaves the screen, .* 640x480"):
            sct.grab(before)


def test_a_dead_server_is_a_screenshot_error(make_server: Callable[..., Server]) -> None:
    server = make_server("Xvfb", 320, 200)
    with mss.MSS(display=server.name) as sct:
        sct.grab((0, 0, 3, 3))
        server.kill()
        with pytest.raises(mss.ScreenShotError):
            sct.grab((0, 0, 3, 3))


def test_an_x_error_comes_with_its_numbers() -> None:
    error = as_screenshot_error(xshm.BadMatch("BadMatch", code=8, value=0x50D, major=130, minor=4, doing="ShmGetImage"))
    assert str(error) == "ShmGetImage: BadMatch, value 0x50d, request 130.4"
    numbers = {"error": "BadMatch", "error_code": 8, "resource_id": 0x50D, "major_code": 130, "minor_code": 4}
    assert error.details == numbers
    assert mss.ScreenShotError("no", details={"a": 1}).details == {"a": 1}


def test_threads_share_one(pair: Pair) -> None:
    real, ours = pair
    regions = [(at, at, at + 200, at + 150) for at in range(0, 400, 50)]
    expected = [real.grab(region).raw for region in regions]
    wrong = []

    def work(at: int) -> None:
        for _ in range(20):
            if ours.grab(regions[at]).raw != expected[at] or len(ours.monitors) != 2:
                wrong.append(at)  # noqa: PERF401 - as it happens

    threads = [threading.Thread(target=work, args=(at,)) for at in range(len(regions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
@pytest.mark.parametrize("library", [mss, mss11])
@pytest.mark.parametrize("is_used", [False, True])
def test_a_forked_child_takes_pictures_by_what_its_parent_opened(
    xvfb: Server, painter: Painter, library: Any, is_used: bool
) -> None:
    painter.noise((0, 0, 64, 48))
    region = (0, 0, 64, 48)
    expected = xshm.grab(region, display=xvfb.name).rgb().tobytes()
    sct, closed = library.MSS(display=xvfb.name), library.MSS(display=xvfb.name)
    closed.close()
    if is_used:
        sct.grab(region)

    def work() -> object:
        before = len(open_descriptors())
        with ThreadPoolExecutor(8) as pool:
            taken = list(pool.map(lambda _: bytes(sct.grab(region).rgb), range(16)))
        opened = len(open_descriptors()) - before
        monitors = len(sct.monitors)
        sct.close()
        for each in (sct, closed):
            with pytest.raises(library.ScreenShotError):
                each.grab(region)
        return set(taken) == {expected}, opened, monitors

    assert in_child(work) == "(True, 1, 2)"
    assert bytes(sct.grab(region).rgb) == expected
    sct.close()
