"""The names of mss 11 over Screen: monitors and regions that can't be changed, memoryviews, arrays, images."""

from __future__ import annotations

import copy
import dataclasses
import itertools
import pickle
import re
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import edids
import numpy as np
import pytest
from pointers import Pointers
from reference import core_image

import xshm
import xshm.compat.mss11.__main__ as command
from xshm.compat import mss as mss10
from xshm.compat import mss11 as mss
from xshm.compat.mss11.models import Monitor, Region

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from painter import Painter
    from servers import Server

_REGION = Region(left=90, top=40, width=64, height=48)


@pytest.fixture
def sct(xvfb: Server, painter: Painter) -> Iterator[mss.MSS]:
    painter.rectangles()
    painter.noise((100, 50, 30, 20))
    with mss.MSS(display=xvfb.name) as sct:
        yield sct


# -- monitors and regions ----------------------------------------------------------------------------------------------


def test_monitors_are_those_of_mss_10_as_objects(make_server: Callable[..., Server]) -> None:
    server = make_server("Xvfb", 640, 480)
    subprocess.run(["xrandr", "--setmonitor", "*left", "320/0x480/0+0+0", "screen"], env=server.env(), check=True)
    subprocess.run(["xrandr", "--setmonitor", "right", "320/0x480/0+320+0", "none"], env=server.env(), check=True)
    with xshm.Screen(server.name) as screen:
        edids.give(screen, edids.make(texts=((edids.NAME, b"DELL U2720Q"),)))
        with mss10.MSS(display=server.name) as former, mss.MSS(display=server.name) as sct:
            assert [Monitor(**each) for each in former.monitors] == sct.monitors
            assert sct.monitors is sct.monitors
            whole, left, right = sct.monitors
    assert (whole.width, whole.is_primary, whole.name, whole.unique_id, whole.output) == (640, None, None, None, None)
    assert (left.left, left["width"], left.is_primary, left.name) == (0, 320, True, "DELL U2720Q")
    assert left.unique_id == "model=DEL40A3&mfr_date=2021W30"
    assert (left.output, right.output, right.is_primary) == ("screen", None, False)
    assert sct.primary_monitor is left
    assert right.as_region() == Region(320, 0, 320, 480)


def test_monitors_and_regions_can_not_be_changed_and_are_no_dicts() -> None:
    for each in (Monitor(1, 2, 3, 4), Region(1, 2, 3, 4)):
        assert [each[key] for key in ("left", "top", "width", "height")] == [1, 2, 3, 4]
        assert not hasattr(each, "__dict__")
        assert not hasattr(each, "keys")
        with pytest.raises(dataclasses.FrozenInstanceError):
            each.width = 5  # type: ignore[misc]
        for key in ("unknown", "as_region", "__class__"):
            with pytest.raises(KeyError):
                each[key]
    with pytest.raises(KeyError):
        Region(1, 2, 3, 4)["name"]
    assert Monitor(1, 2, 3, 4)["name"] is None


@pytest.mark.parametrize(
    "region",
    [
        _REGION,
        Monitor(90, 40, 64, 48, is_primary=True),
        {"left": 90, "top": 40, "width": 64, "height": 48, "mon": 1},
        (90, 40, 154, 88),
        {"left": np.int64(90), "top": 40, "width": np.uint8(64), "height": 48},
    ],
)
def test_any_form_of_a_region_is_the_same_screenshot(sct: mss.MSS, painter: Painter, region: Any) -> None:
    shot = sct.grab(region)
    assert (shot.pos, shot.size, repr(shot)) == ((90, 40), (64, 48), "<ScreenShot pos=90,40 size=64x48>")
    assert np.array_equal(np.asarray(shot)[..., :3], core_image(painter.display, (90, 40, 64, 48))[..., :3])


@pytest.mark.parametrize(
    ("region", "error"),
    [
        (Region(-1, 0, 5, 5), mss.ScreenShotError),
        (Region(0, 0, 5, 0), mss.ScreenShotError),
        ((5, 5, 2, 2), mss.ScreenShotError),
        (Region(0, 0, 5000, 5), mss.ScreenShotError),
        ("640x480", TypeError),
        (None, TypeError),
        (Region(0.5, 0, 5, 5), TypeError),  # type: ignore[arg-type]
        ({"left": 1}, KeyError),
        ((1, 2, 3), ValueError),
    ],
)
def test_what_is_no_region_of_the_screen_is_an_error(sct: mss.MSS, region: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        sct.grab(region)


def test_both_interfaces_raise_one_class_and_close_alike(xvfb: Server) -> None:
    assert mss.ScreenShotError is mss10.ScreenShotError
    sct = mss.mss(display=xvfb.name)
    shot = sct.grab(_REGION)
    sct.close()
    with pytest.raises(mss.ScreenShotError, match="closed"):
        sct.grab(_REGION)
    assert len(shot.bgra) == 64 * 48 * 4


# -- pixels ------------------------------------------------------------------------------------------------------------


def test_bytes_are_memoryviews_of_what_mss_10_has(xvfb: Server, sct: mss.MSS) -> None:
    shot = sct.grab(_REGION)
    with mss10.MSS(display=xvfb.name) as former:
        other = former.grab((90, 40, 154, 88))
    assert type(shot.bgra) is type(shot.rgb) is memoryview
    assert (shot.bgra.format, shot.rgb.format, shot.bgra.ndim, shot.rgb.ndim) == ("B", "B", 1, 1)
    assert (bytes(shot.bgra), bytes(shot.rgb), shot.pixels) == (other.bgra, other.rgb, other.pixels)
    assert shot.pixel(13, 9) == other.pixel(13, 9)
    assert shot.bgra is shot.bgra
    with pytest.warns(DeprecationWarning, match="use bgra"):
        assert shot.raw is shot.bgra


def test_nothing_is_copied_and_later_grabs_change_nothing(sct: mss.MSS, painter: Painter) -> None:
    shot = sct.grab(_REGION)
    for view in (np.asarray(shot), shot.to_numpy(), shot.to_numpy("BGR"), shot.to_numpy("BGRA", "CHW")):
        assert np.shares_memory(view, np.frombuffer(shot.bgra, np.uint8))
    shot.to_numpy()[0, 0] = (1, 2, 3)
    assert bytes(shot.bgra[:3]) == bytes((3, 2, 1))
    before = bytes(shot.bgra)
    painter.noise((90, 40, 64, 48))
    for _ in range(100):
        sct.grab(_REGION)
    sct.close()
    assert shot.bgra == before


@pytest.mark.parametrize("layout", ["HWC", "CHW", "chw"])
@pytest.mark.parametrize("channels", ["BGRA", "BGR", "RGB", "RGBA", "rgb"])
def test_arrays_have_each_order_of_channels_and_axes(sct: mss.MSS, channels: Any, layout: Any) -> None:
    shot = sct.grab(_REGION)
    raw = np.frombuffer(shot.bgra, np.uint8).reshape(48, 64, 4)
    expected = np.stack([raw[..., "BGRA".index(channel)] for channel in channels.upper()], axis=2)
    if layout.upper() == "CHW":
        expected = np.moveaxis(expected, 2, 0)
    found = shot.to_numpy(channels, layout)
    assert found.dtype == np.uint8
    assert np.array_equal(found, expected)
    halves = shot.to_numpy(channels=channels, layout=layout, dtype=np.float32)
    assert halves.dtype == np.float32
    assert np.array_equal(halves, (expected / np.float32(255)).astype(np.float32))
    assert np.array_equal(shot.to_numpy(channels, layout, "int16"), expected)


def test_orders_that_are_none_are_value_errors(sct: mss.MSS) -> None:
    shot = sct.grab(_REGION)
    with pytest.raises(ValueError, match="channels are one of BGRA, BGR, RGB, RGBA, not 'gray'"):
        shot.to_numpy("gray")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="the layout is one of HWC, CHW, not 'NHWC'"):
        shot.to_numpy(layout="NHWC")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="the mode of an image is one of RGB, RGBA, not 'L'"):
        shot.to_pil("L")


def test_images_have_the_same_pixels(sct: mss.MSS) -> None:
    shot = sct.grab(_REGION)
    assert np.array_equal(np.array(shot.to_pil()), shot.to_numpy())
    assert np.array_equal(np.array(shot.to_pil("rgba")), shot.to_numpy("RGBA"))
    assert shot.to_pil().mode == "RGB"


def test_a_buffer_of_another_size_is_refused() -> None:
    assert mss.ScreenShot.from_size(bytes(range(4)), 1, 1).pixel(0, 0) == (2, 1, 0)
    assert mss.ScreenShot(bytearray(8), {"left": 3, "top": 4, "width": 1, "height": 2}).pos == (3, 4)
    with pytest.raises(ValueError, match=r"a screenshot of 2x2 is 16 bytes B G R X, not 15 of format 'B'"):
        mss.ScreenShot.from_size(bytes(15), 2, 2)


def test_it_is_copied_and_pickled_with_pixels_of_its_own(sct: mss.MSS) -> None:
    makers: tuple[Any, ...] = (copy.copy, copy.deepcopy, lambda shot: pickle.loads(pickle.dumps(shot)))  # noqa: S301
    for make in makers:
        shot = sct.grab(_REGION)
        other = make(shot)
        assert (other.bgra, other.rgb, other.pos, other.size) == (shot.bgra, shot.rgb, shot.pos, shot.size)
        other.bgra[0] ^= 255
        assert other.bgra[0] != shot.bgra[0]


def test_a_class_of_the_program_s_own_gets_memory_and_region(sct: mss.MSS) -> None:
    class Simple(mss.ScreenShot):
        def __init__(self, data: memoryview, region: Region, **_: object) -> None:
            self.data, self.region = data, region

    sct.cls_image = Simple
    shot = sct.grab((90, 40, 154, 88))
    assert isinstance(shot, Simple)
    assert (type(shot.data), shot.data.nbytes, shot.region) == (memoryview, 64 * 48 * 4, _REGION)


def test_the_pointer_is_painted_as_by_mss_10(xvfb: Server, painter: Painter) -> None:
    painter.rectangles()
    with (
        Pointers(xvfb) as pointers,
        mss.MSS(display=xvfb.name, with_cursor=True) as sct,
        mss10.MSS(display=xvfb.name, with_cursor=True) as former,
        mss.MSS(display=xvfb.name) as without,
    ):
        pointers.show(pointers.picture(np.full((9, 9, 4), 128, np.uint8)))
        pointers.move(100, 50)
        assert sct.grab(_REGION).bgra == former.grab((90, 40, 154, 88)).raw
        assert sct.grab(_REGION).bgra != without.grab(_REGION).bgra


def test_tensors_are_the_arrays(sct: mss.MSS) -> None:
    torch = pytest.importorskip("torch")  # it is too large to be installed for this
    shot = sct.grab(_REGION)
    orders: Any = itertools.product(("BGRA", "BGR", "RGB", "RGBA"), ("HWC", "CHW"))
    for channels, layout in orders:
        tensor = shot.to_torch(channels, layout, torch.uint8)
        assert np.array_equal(tensor.numpy(), shot.to_numpy(channels, layout))
    assert shot.to_torch().shape == (3, 48, 64)
    assert np.allclose(shot.to_torch().numpy(), shot.to_numpy(layout="CHW", dtype="float32"))
    with pytest.raises(TypeError, match=r"a torch\.dtype, not str"):
        shot.to_torch(dtype="float32")


# -- files -------------------------------------------------------------------------------------------------------------


def test_save_takes_all_pictures_first_and_returns_the_names(
    make_server: Callable[..., Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    server = make_server("Xvfb", 64, 48)
    subprocess.run(["xrandr", "--setmonitor", "a", "32/10x48/15+0+0", "none"], env=server.env(), check=True)
    told: list[tuple[str, list[str]]] = []
    with mss.MSS(display=server.name, compression_level=1) as sct:
        names = sct.save(
            output="{mon}-{width}-{name}-{output}-{date:%d.%H.%M.%S.%f}.png",
            callback=lambda name: told.append((name, [path.name for path in tmp_path.iterdir()])),
        )
        assert sct.shot(output="one.png") == "one.png"
        assert sct.shot(mon=-1, output="all-{mon}.png") == "all-0.png"
        with pytest.raises(mss.ScreenShotError, match="there is no monitor 4"):
            sct.shot(mon=4)
    assert type(names) is list
    assert [name for name, _ in told] == names
    assert not any(files for _, files in told)
    first, second = (re.fullmatch(r"(\d)-(\d+)-None-(\S+?)-([\d.]+).png", name) for name in names)
    assert first is not None
    assert second is not None
    assert first[4] == second[4]
    said = datetime.strptime(f"{datetime.now().astimezone():%Y-%m}-{first[4]}", "%Y-%m-%d.%H.%M.%S.%f").astimezone()
    assert abs(datetime.now().astimezone() - said) < timedelta(minutes=1)
    assert (tmp_path / names[0]).read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "region"),
    [
        (["-c", "40,90,64,48"], (90, 40, 64, 48)),
        (["-c", "64x48+90+40"], (90, 40, 64, 48)),
        (["-c", "64x48-0-0"], (1216, 752, 64, 48)),
        (["--coordinates=-10,-20,64,48"], (1196, 742, 64, 48)),
        (["-c", "64x48+-4--8"], (0, 760, 60, 40)),
        (["-c", " 40 , 90, 64, 48", "-m", "1", "-l", "1"], (90, 40, 64, 48)),
    ],
)
def test_the_command_line_takes_regions_from_any_edge(
    xvfb: Server,
    sct: mss.MSS,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    region: tuple[int, int, int, int],
) -> None:
    monkeypatch.setenv("DISPLAY", xvfb.name)
    monkeypatch.chdir(tmp_path)
    assert command.main(*arguments) == 0
    left, top, width, height = region
    name = f"sct-{top}x{left}_{width}x{height}.png"
    assert capsys.readouterr().out == f"{tmp_path.resolve() / name}\n"
    expected = mss.tools.to_png(sct.grab(Region(*region)).rgb, (width, height), level=1 if "-l" in arguments else 6)
    assert Path(name).read_bytes() == expected


def test_the_command_line_says_what_it_can_not_do(
    xvfb: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DISPLAY", xvfb.name)
    monkeypatch.chdir(tmp_path)
    for text in ("1,2,3", "0x5+1+1", "here", "1,2,0,4"):
        assert command.main("-c", text) == 2
    assert set(capsys.readouterr().out.splitlines()) == {
        "Coordinates syntax: TOP,LEFT,WIDTH,HEIGHT or WIDTHxHEIGHT+LEFT+TOP"
    }
    for arguments in (["-c", "1,5000,3,4"], ["-c", "1,2,3,4", "-m", "7"], ["-m", "7"]):
        assert command.main(*arguments, "-q") == 1
        with pytest.raises(mss.ScreenShotError):
            command.main(*arguments)
    assert list(tmp_path.iterdir()) == []
    run = [sys.executable, "-m", "xshm.compat.mss11", "-m", "1", "-o", "a.png"]
    assert subprocess.run(run, env=xvfb.env(), check=True, capture_output=True, text=True).stdout.endswith("/a.png\n")
