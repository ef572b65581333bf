"""The page of two pictures that differ: shown by Chromium, under its own policy, as the pictures are."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from xshm.geometry import Rect
from xshm.testing.pictures import difference_page
from xshm.testing.pictures.golden import png
from xshm.testing.pictures.matching import Comparison

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_SIZE = (240, 160)
_NAME = "<script>alert(1)</script>&.png"
_GREEN, _BLUE, _RED = (0, 160, 0), (0, 0, 200), (255, 0, 0)


def _page() -> bytes:
    actual, expected, diff = (np.full((_SIZE[1], _SIZE[0], 3), each, np.uint8) for each in (_BLUE, _GREEN, _RED))
    mask = np.ones(expected.shape[:2], np.bool_)
    places = ((Rect(1000, 500, *_SIZE), 38400), (Rect(1007, 508, 1, 1), 1))
    found = Comparison(actual, expected, _SIZE, _SIZE, mask, ~mask, places, (1000, 500))
    files = {"actual": png(actual), "expected": png(expected), "diff": png(diff)}
    return difference_page.page(_NAME, ["38401 pixels <b>differ</b>"], found, files)


def _browser(tmp_path: Path, view: str, *options: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "page.html").write_bytes(_page())
    quiet = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync"]
    command = [
        "chromium",
        "--headless",
        "--no-sandbox",
        *quiet,
        "--disable-component-update",
        "--enable-logging=stderr",
    ]
    command += ["--window-size=1000,500", "--hide-scrollbars", f"--user-data-dir={tmp_path / 'profile'}"]
    command += ["--virtual-time-budget=200", *options, f"{(tmp_path / 'page.html').as_uri()}#{view}"]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=50)


def _colours(picture: NDArray[np.uint8], colour: tuple[int, int, int]) -> tuple[int, int, int, int]:
    """Return left, top, right, bottom of what has this colour."""
    rows, columns = np.nonzero((picture == colour).all(axis=2))
    return int(columns.min()), int(rows.min()), int(columns.max()), int(rows.max())


def test_it_is_one_file_whose_policy_allows_nothing_else() -> None:
    text = _page().decode()
    assert "default-src 'none'" in text
    assert "unsafe" not in text
    assert not re.search(r"https?:|\bsrc=\"(?!data:image/png;base64,)|\bhref=|\bstyle=|\bon\w+=", text)


def test_names_and_messages_are_no_markup_and_can_be_read_without_a_script() -> None:
    text = _page().decode()
    assert "alert(1)</script>" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&amp;.png" in text
    assert "38401 pixels &lt;b&gt;differ&lt;/b&gt;" in text


@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
def test_chromium_slides_one_picture_over_the_other(tmp_path: Path) -> None:
    run = _browser(tmp_path, "slide", f"--screenshot={tmp_path / 'shot.png'}")
    assert "Content Security Policy" not in run.stderr
    with Image.open(tmp_path / "shot.png") as image:
        shot = np.array(image.convert("RGB"))
    left, top, right, bottom = _colours(shot, _GREEN)
    at = _colours(shot, _BLUE)
    assert (at[1], at[3]) == (top, bottom)
    assert right < at[0] <= right + 8  # the edge between them
    width = at[2] - left + 1
    assert abs((right - left + 1) - width / 2) < 8
    assert width % _SIZE[0] == 0  # whole pixels
    assert (bottom - top + 1) * _SIZE[0] == width * _SIZE[1]


@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
def test_chromium_shows_them_side_by_side(tmp_path: Path) -> None:
    run = _browser(tmp_path, "beside", f"--screenshot={tmp_path / 'shot.png'}")
    assert "Content Security Policy" not in run.stderr
    with Image.open(tmp_path / "shot.png") as image:
        shot = np.array(image.convert("RGB"))
    green, blue = _colours(shot, _GREEN), _colours(shot, _BLUE)
    assert green[2] < blue[0]
    assert (green[2] - green[0], green[1], green[3]) == (blue[2] - blue[0], blue[1], blue[3])
    assert not (shot == _RED).all(axis=2).any()


@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
def test_chromium_names_the_places_and_the_view_that_the_address_asks_for(tmp_path: Path) -> None:
    for _ in range(4):  # the budget's end may come before the page has decoded its pictures, which takes real time
        dumped = _browser(tmp_path, "diff", "--dump-dom").stdout
        if 'data-ready="yes"' in dumped:
            break
    assert re.search(r'<option value="0">240x160\+1000\+500: 38400 pixels</option>', dumped)
    assert re.search(r'<option value="1">1x1\+1007\+508: 1 pixel</option>', dumped)
    assert 'data-ready="yes"' in dumped
    assert re.search(r'data-view="diff"[^>]*aria-pressed="true"', dumped)
