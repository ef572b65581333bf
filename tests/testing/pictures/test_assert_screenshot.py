"""`assert_screenshot`: passes at the first frame that matches, fails at the end of its time, and tells what differs."""

from __future__ import annotations

import re
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from xshm.errors import InvalidArgument, InvalidType, OutOfBounds
from xshm.testing.pictures.assertion import AssertScreenshot

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from painter import Painter

    from xshm import Screen

_PLACE = (100, 200, 160, 90)
_RED, _BLUE, _GREEN = (255, 0, 0), (0, 0, 255), (0, 128, 0)


class Suite:
    """A test's `assert_screenshot`, and what it leaves."""

    def __init__(self, screen: Screen, home: Path) -> None:
        self._screen = screen
        self._test = home / "test_it.py"
        self.goldens = home / "test_it-snapshots"
        self.output = home / "output"
        self.output.mkdir()
        self.told: list[str] = []

    def check(self, name: str = "it.png", *, update: bool = False, **options: Any) -> None:
        options = {"region": _PLACE, "timeout": 0.3, **options}
        place = lambda suffix: self.output / f"test_it{suffix}"  # noqa: E731
        AssertScreenshot(self._screen, self._test, place, self.told.append, update=update)(name, **options)

    def failure(self, name: str = "it.png", **options: Any) -> str:
        with pytest.raises(AssertionError) as caught:
            self.check(name, **options)
        return str(caught.value)


def _picture(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        return np.array(image.convert("RGB"))


@pytest.fixture
def tests(screen: Screen, painter: Painter, tmp_path: Path) -> Suite:
    painter.fill(_PLACE, _RED)
    return Suite(screen, tmp_path)


def test_a_missing_picture_fails_and_is_written_as_a_candidate_alone(tests: Suite) -> None:
    message = tests.failure()
    assert "it.png: there is no picture to compare with" in message
    assert "--xshm-update" in message
    candidate = tests.output / "test_it-it-candidate.png"
    assert str(candidate) in message
    assert list(tests.output.iterdir()) == [candidate]
    assert (_picture(candidate) == _RED).all()
    assert not tests.goldens.exists()
    assert tests.told == []


def test_an_update_writes_what_differs_says_so_and_leaves_the_rest(tests: Suite, painter: Painter) -> None:
    tests.check(update=True)
    assert tests.told == [f"assert_screenshot added {tests.goldens / 'it.png'} (160x90)"]
    tests.check()
    before = (tests.goldens / "it.png").stat()
    tests.check(update=True)
    assert (tests.goldens / "it.png").stat() == before
    assert len(tests.told) == 1
    painter.fill(_PLACE, _BLUE)
    tests.failure()
    tests.check(update=True)
    assert tests.told[1:] == [f"assert_screenshot changed {tests.goldens / 'it.png'} (160x90)"]
    tests.check()


def test_an_update_replaces_what_is_no_picture(tests: Suite) -> None:
    tests.goldens.mkdir()
    (tests.goldens / "it.png").write_text("<<<<<<< HEAD")
    with pytest.raises(InvalidArgument, match=r"it\.png"):
        tests.check()
    tests.check(update=True)
    tests.check()


def test_it_passes_the_instant_the_picture_matches(tests: Suite, painter: Painter) -> None:
    tests.check(update=True)
    painter.fill(_PLACE, _BLUE)
    painted: list[float] = []

    def paint() -> None:
        painter.fill((*_PLACE[:2], 80, 90), _RED)
        time.sleep(0.2)
        painted.append(time.monotonic())
        painter.fill((*_PLACE[:2], 160, 90), _RED)

    painting = threading.Timer(0.2, paint)
    painting.start()
    tests.check(timeout=20)
    passed = time.monotonic()
    painting.join()
    assert painted
    assert 0 < passed - painted[0] < 1  # of 20
    assert list(tests.output.iterdir()) == []


def test_it_fails_at_the_end_of_the_time_by_what_is_there_then(tests: Suite, painter: Painter) -> None:
    tests.check(update=True)
    painter.fill(_PLACE, _BLUE)
    started = time.monotonic()
    painting = threading.Timer(0.2, painter.fill, [_PLACE, _GREEN])
    painting.start()
    message = tests.failure(timeout=0.6)
    assert 0.55 < time.monotonic() - started < 2
    painting.join()
    assert "14400 pixels differ in 160x90+100+200, after 0.6 s, with threshold 0.2" in message
    assert (_picture(tests.output / "test_it-it-actual.png") == _GREEN).all()


def test_the_message_has_counts_and_places_and_the_files_are_left(tests: Suite, painter: Painter) -> None:
    tests.check(update=True)
    for box in ((110, 205, 20, 10), (180, 250, 30, 20), (250, 210, 2, 2)):
        painter.fill(box, _BLUE)
    message = tests.failure()
    assert "it.png: 804 pixels in 3 places differ, the largest 30x20+180+250, after" in message
    assert re.findall(r"^  (\d+x\d+\S+) +(\d+) pixels$", message, re.MULTILINE) == [
        ("30x20+180+250", "600"),
        ("20x10+110+205", "200"),
        ("2x2+250+210", "4"),
    ]
    assert "%" not in message
    names = {path.name for path in tests.output.iterdir()}
    assert names == {f"test_it-it-{each}" for each in ("actual.png", "expected.png", "diff.png", "diff.html")}
    assert all(str(tests.output / name) in message for name in names if name != "test_it-it-expected.png")
    actual, expected, diff = (tests.output / f"test_it-it-{each}.png" for each in ("actual", "expected", "diff"))
    compared = subprocess.run(
        ["compare", "-metric", "AE", str(actual), str(expected), "null:"], capture_output=True, text=True, check=False
    )
    assert compared.stderr.strip() == "804"
    shown = _picture(diff)
    assert int((shown == _RED).all(axis=2).sum()) == 804
    assert (shown[50:70, 80:110] == _RED).all()


@pytest.mark.parametrize(
    ("options", "allowed"),
    [
        ({"max_diff_pixels": 100}, 100),
        ({"max_diff_ratio": 100 / 14400}, 100),
        ({"max_diff_pixels": 5000, "max_diff_ratio": 100 / 14400}, 100),
        ({"max_diff_pixels": 100, "max_diff_ratio": 1.0}, 100),
    ],
)
def test_so_many_pixels_may_differ(options: dict[str, Any], allowed: int, tests: Suite, painter: Painter) -> None:
    tests.check(update=True)
    painter.fill((120, 220, 10, 10), _BLUE)
    tests.check(**options)
    painter.fill((150, 250, 1, 1), _BLUE)
    message = tests.failure(**options, timeout=0.05)
    assert f"with threshold 0.2 and {allowed} pixels that may differ" in message


def test_a_colour_may_be_off_by_the_threshold(tests: Suite, painter: Painter) -> None:
    tests.check(update=True)
    painter.fill(_PLACE, (225, 0, 0))
    tests.check()
    assert "14400 pixels" in tests.failure(threshold=0.01, timeout=0.05)


def test_regions_and_windows_are_masked_in_files_too(tests: Suite, painter: Painter, screen: Screen) -> None:
    painter.window((150, 230, 40, 20), _GREEN, title="clock")
    with screen.wait_window("clock") as clock:
        masked: dict[str, Any] = {"mask": [clock, (100, 200, 10, 10), "5x5+95+195"]}
        tests.check(update=True, **masked)
        golden = _picture(tests.goldens / "it.png")
        assert (golden[30:50, 50:90] == (255, 0, 255)).all()
        assert (golden[:10, :10] == (255, 0, 255)).all()
        assert int((golden == (255, 0, 255)).all(axis=2).sum()) == 800 + 100
        painter.fill((150, 230, 40, 20), _BLUE)
        painter.fill((100, 200, 10, 10), _BLUE)
        tests.check(**masked)
        painter.fill((100, 200, 11, 10), _BLUE)
        assert "10 pixels differ in 1x10+110+200" in tests.failure(**masked, timeout=0.05)
        painter.window((0, 0, 9, 9), _RED)
    assert "differ" in tests.failure(timeout=0.05)


def test_a_windows_picture_is_of_it_alone_and_masks_are_in_its_coordinates(
    tests: Suite, painter: Painter, screen: Screen
) -> None:
    window = painter.window((300, 100, 60, 40), _GREEN, title="dialog")
    with screen.wait_window("dialog") as dialog:
        tests.check(window=dialog, region=None, update=True)
        window.configure(x=500, y=300)
        painter.window((510, 310, 300, 200), _RED, title="cover")
        with screen.wait_window("cover") as cover:
            tests.check(window=dialog, region=None)
            painter.fill((5, 6, 7, 8), _BLUE, window)
            assert "56 pixels differ in 7x8+5+6" in tests.failure(window=dialog, region=None, timeout=0.05)
            tests.check(window=dialog, region=None, mask=[(5, 6, 7, 8)])
            painter.fill((20, 20, 9, 9), _BLUE, window)
            tests.check(window=dialog, region=None, mask=[(5, 6, 7, 8), cover])


def test_another_size_is_shown_padded(tests: Suite) -> None:
    tests.check(update=True)
    message = tests.failure(region=(100, 200, 150, 100), timeout=0.05)
    assert "it.png: the size is 150x100, and 160x90 was expected; " in message
    sizes = {name: _picture(tests.output / f"test_it-it-{name}.png").shape for name in ("actual", "expected", "diff")}
    assert sizes == {"actual": (100, 150, 3), "expected": (90, 160, 3), "diff": (100, 160, 3)}
    tests.check(region=(100, 200, 150, 100), update=True)
    assert _picture(tests.goldens / "it.png").shape == (100, 150, 3)


def test_other_fonts_are_named_before_the_pixels(tests: Suite, painter: Painter) -> None:
    tests.check(update=True)
    record = tests.goldens / "it.json"
    record.write_text(re.sub(r'"serif": "[^"]*"', '"serif": "Times 1"', record.read_text()))
    tests.check()
    painter.fill((120, 220, 3, 1), _BLUE)
    lines = tests.failure(timeout=0.05).splitlines()
    assert lines[1].startswith("  other fonts: serif was Times 1, and is ")
    record.unlink()
    assert "other fonts" not in tests.failure(timeout=0.05)


def test_a_screen_that_never_rests_is_written_at_the_end_of_the_time(tests: Suite, painter: Painter) -> None:
    stop = threading.Event()

    def flicker() -> None:
        colours = np.random.default_rng(1).integers(0, 256, (400, 3))
        for red, green, blue in colours.tolist():
            if stop.wait(0.02):
                return
            painter.fill((120, 220, 10, 10), (red, green, blue))

    flickering = threading.Thread(target=flicker)
    flickering.start()
    try:
        tests.check(update=True, timeout=0.5)
    finally:
        stop.set()
        flickering.join()
    tests.check(mask=[(120, 220, 10, 10)])


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"threshold": 2}, InvalidArgument),
        ({"threshold": "0.2"}, InvalidType),
        ({"max_diff_pixels": -1}, InvalidArgument),
        ({"max_diff_pixels": 0.5}, InvalidType),
        ({"max_diff_ratio": 50}, InvalidArgument),
        ({"mask": (1, 2, 3, 4)}, InvalidType),
        ({"mask": "10x10+0+0"}, InvalidType),
        ({"mask": [None]}, InvalidType),
        ({"window": "title"}, InvalidType),
        ({"timeout": -1}, InvalidArgument),
        ({"region": (5000, 0, 10, 10)}, OutOfBounds),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_written(
    options: dict[str, Any], error: type[Exception], tests: Suite
) -> None:
    for update in (False, True):
        with pytest.raises(error):
            tests.check(update=update, **options)
    assert not tests.goldens.exists()
    assert list(tests.output.iterdir()) == []
