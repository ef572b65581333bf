"""`xshm.compat.pyautogui` answers as pyscreeze does, which takes pyautogui's pictures, and works beneath pyautogui."""

from __future__ import annotations

import importlib.util
import pickle
import subprocess
import sys
import textwrap
import threading
import warnings
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from painter import Painter
from PIL import Image
from their_pyscreeze import pyscreeze

import xshm
from xshm.compat import pyautogui as ours

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from servers import Server

_STAMP = (40, 30)  # width, height


@pytest.fixture(autouse=True)
def _on_the_display(xvfb: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in xvfb.env().items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)  # pyscreeze writes its files here
    monkeypatch.setattr(pyscreeze, "RUNNING_X11", True)


@pytest.fixture
def painted(painter: Painter) -> Painter:
    painter.rectangles()
    painter.noise((300, 200, *_STAMP))
    return painter


def _noise(width: int, height: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("region", [None, (10, 20, 300, 200), (1200, 700, 300, 200), (-5, -6, 50, 60)])
@pytest.mark.usefixtures("painted")
def test_a_screenshot_is_the_same_and_so_is_its_file(region: Any) -> None:
    theirs, mine = pyscreeze.screenshot("theirs.png", region=region), ours.screenshot("mine.png", region=region)
    assert (mine.mode, mine.size) == (theirs.mode, theirs.size)
    assert mine.tobytes() == theirs.tobytes()
    with Image.open("theirs.png") as their_file, Image.open("mine.png") as my_file:
        assert my_file.mode == their_file.mode == "RGB"
        assert my_file.tobytes() == their_file.tobytes()


def test_a_file_has_no_palette_where_its_picture_has_few_colours(painter: Painter) -> None:
    painter.fill((0, 0, 50, 50), (1, 2, 3))
    ours.screenshot("flat.png", region=(0, 0, 50, 50))
    with Image.open("flat.png") as image:
        assert (image.mode, image.getpixel((9, 9))) == ("RGB", (1, 2, 3))


@pytest.mark.parametrize(("name", "kind"), [("a.gif", "GIF"), ("a.GIF", "GIF"), ("a.jpg", "JPEG"), ("a.bmp", "BMP")])
@pytest.mark.parametrize("region", [None, (1200, 700, 300, 200)])
@pytest.mark.usefixtures("painted")
def test_a_file_is_of_the_kind_that_its_name_says(name: str, kind: str, region: Any) -> None:
    size = ours.screenshot(name, region=region).size
    with Image.open(name) as image:
        assert (image.format, image.size) == (kind, size)


@pytest.mark.usefixtures("painted")
def test_pixels_are_the_same() -> None:
    for x, y in ((0, 0), (301, 202), (1279, 799)):
        colour = ours.pixel(x, y)
        assert colour == pyscreeze.pixel(x, y) == (colour.red, colour.green, colour.blue)
        red, green, blue = colour
        near = (red + (-9 if red > 9 else 9), green, blue)
        for expected, tolerance in ((colour, 0), (near, 8), (near, 9), ((*colour, 255), 0)):
            theirs = pyscreeze.pixelMatchesColor(x, y, expected, tolerance)
            assert ours.pixelMatchesColor(x, y, expected, tolerance) == theirs
    with pytest.raises(TypeError):
        ours.pixel((1, 2))  # type: ignore[call-arg, arg-type]
    with pytest.raises(xshm.OutOfBounds, match=r"leaves the screen 1280x800$"):
        ours.pixel(1280, 0)
    with pytest.raises(xshm.OutOfBounds):
        ours.pixel(-1, 0)
    with pytest.raises(ValueError, match="not 2 numbers"):
        ours.pixelMatchesColor(0, 0, (1, 2))


@pytest.mark.parametrize("box", [(10, 10, 6, 8), (10, 10, 7, 9), (-10, -11, 7, 9), (0, 0, 1, 1)])
def test_the_middle_is_the_same(box: tuple[int, int, int, int]) -> None:
    assert ours.center(box) == pyscreeze.center(box)


@pytest.mark.parametrize("options", [{}, {"region": (250, 150, 200, 100)}, {"confidence": 0.9}, {"grayscale": True}])
@pytest.mark.usefixtures("painted")
def test_a_picture_is_found_where_pyscreeze_finds_it(options: dict[str, Any]) -> None:
    ours.screenshot("stamp.png", region=(300, 200, *_STAMP))
    with Image.open("stamp.png") as stamp:
        stamp.load()
    theirs = pyscreeze.locateOnScreen("stamp.png", **options)
    for image in ("stamp.png", stamp, np.asarray(stamp)[..., ::-1]):
        found = ours.locateOnScreen(image, **options)
        assert found == theirs == (300, 200, *_STAMP)
        assert repr(found) == "Box(left=300, top=200, width=40, height=30)"
    assert ours.locateCenterOnScreen("stamp.png", **options) == ours.Point(320, 215)
    assert list(ours.locateAllOnScreen("stamp.png", **options)) == [(300, 200, *_STAMP)]


@pytest.mark.parametrize("grayscale", [False, True])
def test_a_picture_is_waited_for(grayscale: bool, painter: Painter, xvfb: Server) -> None:
    painter.fill((0, 0, 1280, 800), (0, 0, 0))
    painter.noise((600, 500, *_STAMP))
    stamp = ours.screenshot(region=(600, 500, *_STAMP))
    painter.fill((600, 500, *_STAMP), (0, 0, 0))
    with Painter(xvfb) as same:  # as random
        timer = threading.Timer(0.2, same.noise, ((700, 400, *_STAMP),))
        timer.start()
        try:
            assert ours.locateOnScreen(stamp, 10, grayscale=grayscale) == (700, 400, *_STAMP)
        finally:
            timer.join()


@pytest.mark.usefixtures("painted")
def test_a_picture_that_is_not_there_is_the_error_of_whom_it_is_for(monkeypatch: pytest.MonkeyPatch) -> None:
    stamp = Image.fromarray(_noise(*_STAMP, seed=9))
    for error in (ours.ImageNotFoundException, pyscreeze.ImageNotFoundException, xshm.XshmError):
        with pytest.raises(error, match="did not come within 0"):
            ours.locateOnScreen(stamp)
    with pytest.raises(ours.ImageNotFoundException, match=r"the best match is off by \d+\.\d\d % at"):
        ours.locateCenterOnScreen(stamp, 0.1)
    with pytest.raises(ours.ImageNotFoundException):
        list(ours.locateAllOnScreen(stamp))
    with pytest.raises(ours.ImageNotFoundException):
        ours.locate(stamp, _noise(100, 100))
    for module in (pyscreeze, ours):
        with monkeypatch.context() as patch:
            patch.setattr(module, "USE_IMAGE_NOT_FOUND_EXCEPTION", False)
            assert ours.locateOnScreen(stamp, grayscale=True) is None
            assert ours.locateCenterOnScreen(stamp) is None
            assert list(ours.locateAllOnScreen(stamp)) == []
            assert ours.locate(stamp, _noise(100, 100)) is None
    monkeypatch.delitem(sys.modules, "pyscreeze")
    with pytest.raises(ours.ImageNotFoundException) as caught:
        ours.locateOnScreen(stamp)
    assert type(caught.value) is ours.ImageNotFoundException


def test_every_place_is_found_in_the_order_of_pyscreeze() -> None:
    inside, stamp = _noise(300, 200), _noise(*_STAMP, seed=1)
    for x, y in ((200, 20), (5, 20), (100, 150)):
        inside[y : y + 30, x : x + 40] = stamp
    theirs = list(pyscreeze.locateAll(stamp, inside, confidence=0.9))
    assert list(ours.locateAll(stamp, inside)) == list(ours.locateAll(stamp, inside, confidence=0.9)) == theirs
    assert len(theirs) == 3
    assert list(ours.locateAll(stamp, inside, limit=2)) == theirs[:2]
    region = (90, 10, 210, 190)
    assert list(ours.locateAll(stamp, inside, region=region)) == list(pyscreeze.locateAll(stamp, inside, region=region))


def test_without_a_confidence_every_place_counts_that_is_equal() -> None:
    inside, wanted = np.zeros((12, 20, 3), np.uint8), np.zeros((3, 4, 3), np.uint8)
    inside[5, 9] = 1, 2, 3
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, for getdata()
        theirs = list(pyscreeze._locateAll_pillow(*map(Image.fromarray, (wanted, inside)), grayscale=False))
    assert list(ours.locateAll(wanted, inside)) == theirs
    assert len(theirs) == 10 * 17 - 12


@pytest.mark.parametrize("confidence", [0.999, 0.95, 0.9, 0.8, 0.6])
def test_a_confidence_bounds_noise_as_a_correlation_does(confidence: float) -> None:
    rng = np.random.default_rng(7)
    stamp = rng.normal(128, 30, (60, 60, 3))
    for share, is_found in ((0.8, True), (1.2, False)):  # of the noise that correlates by just that confidence
        angle = np.arccos(confidence) * share
        other = 128 + (stamp - 128) * np.cos(angle) + rng.normal(0, 30, stamp.shape) * np.sin(angle)
        inside = np.zeros((100, 120, 3), np.uint8)
        inside[20:80, 30:90] = other.clip(0, 255)
        wanted = stamp.clip(0, 255).astype(np.uint8)
        for library in (pyscreeze, ours):
            found = [*_found(library, wanted, inside, confidence=confidence, grayscale=False)]
            assert ((30, 20, 60, 60) in found) == is_found, library.__name__


def _found(library: Any, *pictures: Any, **options: Any) -> list[tuple[int, ...]]:
    try:
        return list(library.locateAll(*pictures, **options))
    except pyscreeze.ImageNotFoundException:
        return []


def test_an_empty_place_is_not_confused_with_a_picture() -> None:
    inside = np.full((100, 200, 3), 255, np.uint8)
    button = np.full((20, 60, 3), 255, np.uint8)
    cv2.putText(button, "OK", (20, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0))
    assert _found(ours, button, inside, confidence=0.6) == []
    inside[50:70, 100:160] = cv2.GaussianBlur(button, (3, 3), 0.5)
    assert _found(ours, button, inside, confidence=0.8) == [(100, 50, 60, 20)]
    assert ours.locate(button, inside, confidence=0.8) == (100, 50, 60, 20)


def test_shades_of_gray_are_compared_where_that_is_asked_for() -> None:
    inside, stamp = _noise(120, 90), _noise(*_STAMP, seed=1)
    gray: NDArray[np.uint8] = cv2.cvtColor(stamp, cv2.COLOR_BGR2GRAY).astype(np.uint8)
    inside[40:70, 50:90] = gray[..., np.newaxis]
    assert ours.locate(gray, inside) == (50, 40, *_STAMP)  # an array of shades
    assert _found(ours, stamp, inside) == []
    assert ours.locate(stamp, inside, grayscale=True, confidence=0.999) == (50, 40, *_STAMP)


@pytest.mark.usefixtures("painted")
def test_what_is_transparent_matches_anything() -> None:
    stamp = ours.screenshot(region=(300, 200, *_STAMP)).convert("RGBA")
    stamp.paste((9, 9, 9, 0), (0, 0, 10, 10))
    assert ours.locateOnScreen(stamp) == ours.locateOnScreen(stamp, grayscale=True) == (300, 200, *_STAMP)
    assert ours.locate(stamp, ours.screenshot(), confidence=0.99) == (300, 200, *_STAMP)


def test_a_picture_that_can_not_be_there_is_a_value_error() -> None:
    for library in (pyscreeze, ours):
        with pytest.raises(ValueError):  # noqa: PT011 - of two libraries
            list(library.locateAll(_noise(50, 50), _noise(40, 60)))
        with pytest.raises(ValueError):  # noqa: PT011
            library.locateOnScreen(_noise(50, 50), region=(0, 0, 40, 40))
    with pytest.raises(xshm.OutOfBounds):
        ours.locateOnScreen(_noise(5, 5), region=(2000, 0, 40, 40))
    with pytest.raises(ValueError, match="not in the picture"):
        ours.locate(_noise(5, 5), _noise(40, 40), region=(50, 0, 40, 40))
    with pytest.raises(ValueError, match="confidence"):
        ours.locate(_noise(5, 5), _noise(40, 40), confidence=90)


@pytest.mark.parametrize(
    "array",
    [np.zeros((9, 9, 2), np.uint8), np.zeros((9, 9, 5), np.uint8), np.zeros((9, 9), np.float32), np.zeros(9, np.uint8)],
    ids=["two channels", "five channels", "floats", "a row"],
)
def test_an_array_that_is_no_picture_is_refused_as_either_one(array: NDArray[Any]) -> None:
    whole = _noise(20, 20)
    for wanted, inside in ((array, whole), (whole[:3, :3], array)):
        with pytest.raises(ValueError, match="an array is"):
            ours.locate(wanted, inside)
    with pytest.raises(xshm.XshmError, match="limit is 0 or more, not -1"):
        list(ours.locateAll(whole, whole, limit=-1))


def test_a_colour_may_be_a_pixel_of_an_array(painter: Painter) -> None:
    painter.fill((0, 0, 10, 10), (0x10, 0x20, 0x30))
    assert ours.pixelMatchesColor(5, 5, [*np.array([0x13, 0x1D, 0x30], np.uint8)], 3)
    assert not ours.pixelMatchesColor(5, 5, [*np.array([0x14, 0x20, 0x30], np.uint8)], 3)


def test_pyautogui_itself_looks_through_it_once_it_is_installed(painter: Painter) -> None:
    if importlib.util.find_spec("pyautogui") is None:  # not imported here: it would hold a connection from then on
        pytest.skip("sh tests/run.sh installs pyautogui without python3-xlib")
    painter.fill((0, 0, 1280, 800), (0, 0, 0))
    painter.noise((300, 200, *_STAMP))
    program = """
        import pyautogui, pyscreeze
        from xshm.compat import pyautogui as fast

        fast.install()
        pyautogui.screenshot("ok.png", region=(300, 200, 40, 30))
        pyautogui.PAUSE = 0
        pyautogui.click("ok.png")
        print(*pyautogui.position(), *pyautogui.locateOnScreen("ok.png", confidence=0.9), *pyautogui.pixel(0, 0))
        assert pyautogui.screenshot is pyscreeze.screenshot is fast.screenshot
        pyautogui.screenshot(region=(300, 200, 30, 40)).rotate(90, expand=True).save("other.png")
        for error in (pyautogui.ImageNotFoundException, pyscreeze.ImageNotFoundException, fast.ImageNotFoundException):
            try:
                fast.locateOnScreen("other.png")
            except error:
                print("not found")
        try:
            pyautogui.locateOnScreen("other.png")
        except pyautogui.ImageNotFoundException:
            print("not found")
        pyautogui.useImageNotFoundException(False)
        print(pyautogui.locateCenterOnScreen("other.png"))
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=False, timeout=30
    )
    assert run.stdout.split("\n") == ["320 215 300 200 40 30 0 0 0", *["not found"] * 4, "None", ""], run.stderr


def test_without_pyautogui_all_works_but_the_installation() -> None:
    program = """
        import sys
        sys.modules["pyscreeze"] = sys.modules["pyautogui"] = None
        from xshm.compat import pyautogui
        print(pyautogui.screenshot().size)
        try:
            pyautogui.locateOnScreen(__import__("numpy").arange(64, dtype="uint8").reshape(8, 8))
        except pyautogui.ImageNotFoundException:
            print("not found")
        try:
            pyautogui.install()
        except ImportError as error:
            print(error)
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True, timeout=30
    )
    assert run.stdout.startswith("(1280, 800)\nnot found\ninstall() is for pyautogui, which is missing")


@pytest.mark.usefixtures("painted")
def test_the_exception_of_a_picture_that_is_not_there_comes_out_of_another_process() -> None:
    with pytest.raises(pyscreeze.ImageNotFoundException) as raised:
        ours.locateOnScreen(Image.new("RGB", (9, 9), (1, 2, 3)))
    again = pickle.loads(pickle.dumps(raised.value))  # noqa: S301 - our own
    assert type(again) is type(raised.value)
    assert str(again) == str(raised.value)
