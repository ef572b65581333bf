"""The viewer in a trace's page, in Debian's Chromium: each picture is exact, by script and by keys, and all is told.

What is expected comes from the pictures that were painted, never from the viewer.
"""

from __future__ import annotations

import base64
import hashlib
import io
import itertools
import random
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from devtools import Browser, Page, needs_chromium
from pictures import DEEP
from PIL import Image
from trace_files import SECOND, TraceFile, example

from xshm.geometry import Rect
from xshm.trace import page as html
from xshm.trace import records

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

pytestmark = needs_chromium

_DIGESTS = """(async times => {
  const found = []
  for (const time of times) {
    await xshm.seek(time)
    const {width, height} = xshm.canvas
    const {data} = xshm.canvas.getContext('2d').getImageData(0, 0, width, height)
    const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', data))
    found.push(Array.from(digest, byte => byte.toString(16).padStart(2, '0')).join(''))
  }
  return found
})(%s)"""
_SETTLED = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("chromium")) as started:
        yield started


@pytest.fixture(scope="module")
def kept_page(browser: Browser) -> Page:
    return browser.page()


@pytest.fixture
def page(kept_page: Page) -> Iterator[Page]:
    """Return the one page of this file; a test fails if anything was wrong in it, or was loaded from anywhere."""
    kept_page.resize(1280, 800)
    kept_page.dark(False)
    yield kept_page
    assert kept_page.problems == []
    assert kept_page.requests == []


@pytest.fixture(scope="module")
def known() -> TraceFile:
    return example()


@pytest.fixture(scope="module")
def known_path(known: TraceFile, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return known.save(tmp_path_factory.mktemp("traces") / "known.html")


def opened(page: Page, path: Path, fragment: str = "") -> Page:
    page.open(path, fragment)
    page.run("xshm.ready")
    return page


def digest(rgb: NDArray[np.uint8]) -> str:
    alpha = np.full((*rgb.shape[:2], 1), 255, np.uint8)
    return hashlib.sha256(np.concatenate([rgb, alpha], axis=2).tobytes()).hexdigest()


def assert_exact(page: Page, file: TraceFile, times: list[float]) -> None:
    found = page.run(_DIGESTS % times)
    wrong = [time for time, got in zip(times, found, strict=True) if got != digest(file.rgb(time))]
    assert not wrong, f"at {wrong} s the canvas has not what was painted"


def seen(page: Page) -> NDArray[np.uint8]:
    """Return what people see where the picture is."""
    page.run(_SETTLED)
    box = page.run("document.getElementById('view').getBoundingClientRect().toJSON()")
    left, top, right, bottom = (round(box[name]) for name in ("left", "top", "right", "bottom"))
    shot = Image.open(io.BytesIO(page.shot())).convert("RGB")
    return np.asarray(shot)[top:bottom, left:right]


def text(page: Page, name: str) -> str:
    value: str = page.run(f"(e => e.value ?? e.textContent)(document.getElementById('{name}'))")
    return value


def now(page: Page) -> float:
    seconds: float = page.run("xshm.seconds")
    return seconds


def press(page: Page, *keys: str, shift: bool = False) -> float:
    page.press(*keys, shift=shift)
    return now(page)


def times_of(file: TraceFile) -> list[float]:
    return [at / SECOND for at, _ in file.taken]


def long_group() -> TraceFile:
    """Return a trace of 600 small changes behind one key picture, some of which hide others, and a second group."""
    rng = np.random.default_rng(3)
    file = TraceFile((64, 48))
    file.key(0)
    for step in range(1, 601):
        x, y = (int(n) for n in rng.integers(0, (54, 40)))
        file.draw(step / 100, (Rect(x, y, 10, 8), rng.integers(0, 256, (8, 10, 4), np.uint8)))
    file.draw(7, (Rect(0, 0, 64, 48), (1, 2, 3, 0)), key=True)
    file.draw(7.5, (Rect(5, 5, 2, 2), (250, 2, 3, 0)))
    file.end(8)
    return file


def test_each_picture_is_exact_in_any_order(page: Page, known: TraceFile, known_path: Path) -> None:
    opened(page, known_path)
    times = [*times_of(known), *(time + 0.03 for time in times_of(known)[::5])]
    random.Random(5).shuffle(times)
    assert_exact(page, known, times)


def test_going_back_in_a_long_group_is_exact_with_little_memory_too(page: Page, tmp_path: Path) -> None:
    file = long_group()
    opened(page, file.save(tmp_path / "long.html"))
    times = times_of(file)
    assert_exact(page, file, [*times[::-17], *times[::23], 5.99, 1.3, 7.2, 3.0])
    page.run("xshm.app.bitmaps.constructor.LIMIT = 2000")
    page.run("xshm.app.snapshots.most = 2; xshm.app.snapshots.kept.clear()")
    assert_exact(page, file, [*times[::-41], *times[::53], 7.6, 0])
    assert page.run("xshm.app.bitmaps.pixels") <= 2000
    assert page.run("xshm.app.snapshots.kept.size") == 2


def test_it_is_exact_without_the_newest_functions_of_browsers(browser: Browser, tmp_path: Path) -> None:
    page = browser.page()
    page.before("delete globalThis.ImageDecoder; delete Uint8Array.prototype.setFromBase64")
    file = long_group()
    opened(page, file.save(tmp_path / "long.html"))
    assert_exact(page, file, times_of(file)[::80])
    assert page.problems == []
    page.close()  # what is behind another page is not drawn


def test_large_pictures_are_exact_and_what_is_seen_at_100_percent_is_that(page: Page, tmp_path: Path) -> None:
    file = TraceFile((700, 300))
    file.pixels[...] = np.random.default_rng(1).integers(0, 256, file.pixels.shape, np.uint8)
    file.key(0)
    file.draw(1, (Rect(50, 20, 600, 200), np.random.default_rng(2).integers(0, 256, (200, 600, 4), np.uint8)))
    file.end(2)
    opened(page, file.save(tmp_path / "large.html"))
    assert_exact(page, file, [1.5, 0.5, 1])
    assert text(page, "zoom") == "100 %"
    shown = seen(page)
    origin = page.run("xshm.app.stage.origin(xshm.app.stage.panes()[0])")
    part = shown[origin["y"] :, origin["x"] :][:300, :700]
    assert np.array_equal(part, file.rgb(1))
    page.press("+", "+", "+")  # 4 times as large, as whole pixels without a grid yet
    page.run("xshm.app.stage.zoomTo(4, {x: 300, y: 200})")
    shown = seen(page)
    origin = page.run("xshm.app.stage.origin(xshm.app.stage.panes()[0])")
    x, y = -(origin["x"] // 4) + 1, -(origin["y"] // 4) + 1
    part = shown[origin["y"] + 4 * y :, origin["x"] + 4 * x :][:200, :400]
    assert np.array_equal(part, file.rgb(1)[y : y + 50, x : x + 100].repeat(4, 0).repeat(4, 1))


def test_deep_colours_are_shown_by_their_upper_bits(page: Page, tmp_path: Path) -> None:
    file = TraceFile((40, 30), fmt=DEEP)
    file.pixels[...] = np.random.default_rng(1).integers(0, 1 << 30, file.pixels.shape, np.uint32)
    file.key(0)
    file.end(1)
    opened(page, file.save(tmp_path / "deep.html"))
    data = page.run("Array.from(xshm.canvas.getContext('2d').getImageData(0, 0, 40, 30).data)")
    shown = np.array(data).reshape(30, 40, 4)[..., :3]
    pixels = file.pixels.astype(np.int64)
    expected = np.stack([(pixels >> shift & 1023) / 1023 * 255 for shift in (20, 10, 0)], axis=-1)
    assert abs(shown - expected).max() <= 1


def test_keys_step_by_change_frame_mark_and_second(page: Page, known: TraceFile, known_path: Path) -> None:
    opened(page, known_path)
    end = 12.0
    assert now(page) == 11.75  # the failure
    assert press(page, "Home") == 0
    times = times_of(known)
    assert [press(page, "]") for _ in range(20)] == times[1:21]
    assert [press(page, "[") for _ in range(5)] == times[15:20][::-1]
    assert press(page, "End") == end
    assert press(page, "[") == times[-1]
    page.press("Home")
    assert [press(page, "m") for _ in range(4)] == [0.5, 4.5, 8.5, 11.75]
    assert press(page, "M", shift=True) == 8.5
    assert press(page, ".") == pytest.approx(8.5 + 1 / 30)
    assert press(page, ",", ",") == pytest.approx(8.5 - 1 / 30)
    assert press(page, "5") == 6
    assert press(page, "ArrowRight", "ArrowRight") == 8
    assert press(page, "ArrowLeft") == 7
    assert press(page, "ArrowLeft", shift=True) == 2
    assert press(page, "l") == end
    assert press(page, "j") == 2
    assert press(page, "e") == 11.75
    found = page.run(_DIGESTS % [11.75])
    assert found == [digest(known.rgb(11.75))]


def test_it_plays_to_the_end_at_any_speed_and_passes_over_what_is_quiet(page: Page, tmp_path: Path) -> None:
    file = TraceFile((32, 32))
    file.key(0)
    for step in range(8):
        file.draw(100 * step + 1, (Rect(step, 0, 4, 4), (step, 9, 9, 0)))
    file.end(800)
    opened(page, file.save(tmp_path / "quiet.html"))
    page.press("i", *">" * 9)
    assert text(page, "speed") == "64"
    page.press("k")
    assert page.run("document.body.className") == "playing"
    page.run("new Promise(done => { const at = setInterval(() => xshm.app.playing || done(clearInterval(at)), 20) })")
    assert now(page) == 800
    assert page.run("xshm.app.film.picture") == 8
    page.press(*"<" * 4, " ")
    page.run("new Promise(done => setTimeout(done, 100))")
    assert press(page, " ") > 0
    assert page.run("document.body.className") == ""
    stopped = now(page)
    assert 0 < stopped < 800
    page.run("new Promise(done => setTimeout(done, 60))")
    assert now(page) == stopped


def test_it_opens_at_the_failure_else_at_the_end_and_at_a_link_before_both(
    page: Page, known: TraceFile, known_path: Path, tmp_path: Path
) -> None:
    opened(page, known_path)
    assert now(page) == 11.75
    assert text(page, "failure-title") == "AssertionError: 1 == 2"
    assert text(page, "failure-place") == "t.py:2"
    assert text(page, "failure-text") == "def test():\n>   assert 1 == 2"
    opened(page, known_path, "#t=3.3")
    assert_exact(page, known, [page.run("xshm.seconds")])
    assert now(page) == 3.3
    page.run("location.hash = 't=5.25'")
    page.run(_SETTLED)
    assert now(page) == 5.25
    page.press("Home", "m")
    page.run("new Promise(done => setTimeout(done, 260))")
    assert page.run("location.hash") == "#t=0.50"
    file = long_group()
    opened(page, file.save(tmp_path / "none.html"))
    assert now(page) == 8
    assert page.run("document.getElementById('failure').hidden")


def test_a_link_leads_to_the_same_picture_however_short_it_was(page: Page, tmp_path: Path) -> None:
    file = TraceFile((16, 16))
    file.key(0)
    for step in range(1, 40):
        file.draw(1 + step * 0.000_123, (Rect(0, 0, 3, 3), (step, step, step, 0)))
    file.end(2)
    path = file.save(tmp_path / "near.html")
    opened(page, path)
    for time in times_of(file)[::13]:
        link = page.run(f"xshm.seek({time}).then(() => xshm.app.linkTime())")
        assert digest(file.rgb(float(link))) == digest(file.rgb(time))


def test_a_search_finds_lines_and_goes_to_them(page: Page, tmp_path: Path) -> None:
    file = TraceFile((16, 16))
    file.key(0)
    for step in range(3000):
        level = "ERROR" if step % 500 == 7 else "INFO"
        file.event(step / 100, "log", text=f"request {step} <b>took</b> {step % 50} ms", source="server", level=level)
    file.end(30)
    opened(page, file.save(tmp_path / "log.html"), "#t=4")
    page.press("/")
    page.press(*"Request 17")
    assert text(page, "found") == "111 found"
    assert press(page, "Enter") == 17.0
    page.press("Enter")
    assert press(page, "Enter", shift=True) == 17.0
    assert press(page, "Enter", shift=True) == 1.79
    row = "document.querySelector('[aria-selected=true] .line')"
    assert page.run(f"{row}.textContent") == "serverrequest 179 <b>took</b> 29 ms"
    assert page.run(f"{row}.querySelector('mark').textContent") == "request 17"
    assert page.run("document.querySelectorAll('#rows .row').length") < 100
    page.run("document.getElementById('search').select()")
    page.press(*"/ 4\\d ms$/")
    assert text(page, "found") == "600 found"
    page.press("ArrowDown")  # into the list
    assert press(page, "ArrowDown") == pytest.approx(1.90)
    page.run("document.getElementById('search').select()")
    page.press("/", "(", "/")
    assert text(page, "found") == "no pattern"


def _changes(file: TraceFile, region: Rect) -> list[float]:
    parts = [pixels[region.slices] for _, pixels in file.taken]
    pairs = zip(times_of(file)[1:], itertools.pairwise(parts), strict=True)
    return [time for time, (one, other) in pairs if not np.array_equal(one, other)]


def test_it_tells_when_a_pixel_or_region_changed_last_and_next(page: Page, known: TraceFile, tmp_path: Path) -> None:
    group = long_group()
    for file in (known, group):
        opened(page, file.save(tmp_path / "changes.html"))
        for region in (Rect(30, 20, 1, 1), Rect(7, 4, 30, 12), Rect(3, 6, 1, 1), Rect(0, 47, 2, 1)):
            expected = _changes(file, region)
            x, y, width, height = region.x, region.y, region.width, region.height
            choose = f"xshm.app.stage.choose({{x: {x}, y: {y}, width: {width}, height: {height}}})"
            page.run(f"xshm.seek(0).then(() => {choose})")
            forward = [page.run("xshm.app.findChange(1).then(() => xshm.seconds)") for _ in expected[:5]]
            assert forward == expected[:5], region
            page.run("xshm.seek(1e9)")
            backward = [page.run("xshm.app.findChange(-1).then(() => xshm.seconds)") for _ in expected[-4:]]
            assert backward == expected[-4:][::-1], region
            if len(expected) <= 4:
                page.run("xshm.app.findChange(-1)")
                assert text(page, "told") == "It had not changed before."


def test_a_click_chooses_a_pixel_a_drag_a_region_and_keys_ask_for_them(
    page: Page, known: TraceFile, known_path: Path
) -> None:
    opened(page, known_path, "#t=6")
    box = page.run("(({x, y}) => [x, y])(document.getElementById('view').getBoundingClientRect())")
    origin = page.run("xshm.app.stage.origin(xshm.app.stage.panes()[0])")
    zoom = page.run("xshm.app.stage.zoom")
    assert zoom == 2

    def at(x: int, y: int) -> tuple[float, float]:
        return box[0] + origin["x"] + zoom * (x + 0.5), box[1] + origin["y"] + zoom * (y + 0.5)

    page.mouse("mouseMoved", *at(30, 103))
    colour = "#" + known.rgb(6)[103, 30].tobytes().hex()
    assert text(page, "place") == f"30, 103  {colour}"
    page.click(*at(30, 103))
    assert text(page, "region") == "pixel 30, 103"
    changes = _changes(known, Rect(30, 103, 1, 1))
    page.press("p")
    page.run("new Promise(done => setTimeout(done, 150))")
    assert now(page) == max(time for time in changes if time < 6)
    page.mouse("mousePressed", *at(40, 100))
    page.mouse("mouseMoved", *at(50, 108))
    page.mouse("mouseMoved", *at(59, 109))
    page.mouse("mouseReleased", *at(59, 109))
    assert text(page, "region") == "20x10+40+100"
    before = now(page)
    page.press("n")
    page.run("new Promise(done => setTimeout(done, 150))")
    assert now(page) == min(time for time in _changes(known, Rect(40, 100, 20, 10)) if time > before)
    assert re.match(r"Changed at [\d.]+ s, [\d.]+ s later\.", text(page, "told"))
    page.press("Escape")
    assert page.run("document.getElementById('chosen').hidden")
    page.press("v", "ArrowLeft")  # the crosshair is in the middle
    page.press("ArrowLeft", "ArrowUp")
    page.press("ArrowUp", shift=True)
    page.press("Enter", "ArrowRight", "ArrowDown", "ArrowDown", "Enter")
    assert text(page, "region") == "2x3+159+89"
    assert now(page) > 0


def test_what_differs_between_two_instants_is_counted_and_drawn(page: Page, known: TraceFile, known_path: Path) -> None:
    opened(page, known_path, "#t=1.05")
    page.press("a")
    page.run("xshm.seek(6.05)")
    page.press("b", "d", "d")
    page.run("xshm.app.showCompared()")
    assert text(page, "mode") == "difference"
    one, other = known.rgb(1.05), known.rgb(6.05)
    differs = (one != other).any(axis=2)
    diff = page.run("(({pixels, boxes, words}) => ({pixels, boxes, words}))(xshm.app.compare.diff)")
    assert diff["pixels"] == differs.sum()
    covered = np.zeros_like(differs)
    for box in diff["boxes"]:
        covered[box["y"] :, box["x"] :][: box["height"], : box["width"]] = True
    assert not (differs & ~covered).any()
    largest = diff["boxes"][0]
    where = f"{largest['width']}x{largest['height']}+{largest['x']}+{largest['y']}"
    assert diff["words"] == f"{differs.sum():,} pixels in {len(diff['boxes'])} places differ, the largest {where}"
    drawn = page.run("Array.from(xshm.app.compare.diff.canvas.getContext('2d').getImageData(0, 0, 320, 200).data)")
    ink = np.array(drawn).reshape(200, 320, 4)[..., :3]
    is_gray = ink.min(axis=2) == ink.max(axis=2)
    assert np.array_equal(~is_gray, differs)


def test_two_instants_are_shown_side_by_side_by_turns_and_by_a_slider(
    page: Page, known: TraceFile, known_path: Path
) -> None:
    opened(page, known_path, "#t=1.05")
    page.press("a")
    page.run("xshm.seek(6.05)")  # which is B, as it is not set
    page.press("h")
    one, other = known.rgb(1.05), known.rgb(6.05)

    def part(pane: int, shown: NDArray[np.uint8]) -> NDArray[np.uint8]:
        origin = page.run(f"xshm.app.stage.origin(xshm.app.stage.panes()[{pane}])")
        return shown[origin["y"] :, origin["x"] :][:200, :320]

    def mode(name: str) -> NDArray[np.uint8]:
        page.run(f"xshm.app.setMode('{name}').then(() => xshm.app.stage.zoomTo(1))")
        return seen(page)

    shown = mode("sides")
    assert np.array_equal(part(0, shown), one)
    assert np.array_equal(part(1, shown), other)
    shown = part(0, mode("slide"))
    assert np.array_equal(shown[:, :155], one[:, :155])
    assert np.array_equal(shown[:, 165:], other[:, 165:])
    page.run("document.getElementById('slide').focus()")
    page.press("Home")  # the slider's key, not the time's
    assert np.array_equal(part(0, seen(page))[:, 5:], other[:, 5:])
    assert now(page) == 6.05
    mode("blink")
    blinked: list[int] = []
    while len(blinked) < 20 and len(set(blinked)) < 2:
        blinked.append([np.array_equal(part(0, seen(page)), each) for each in (one, other)].index(True))
    assert set(blinked) == {0, 1}
    page.press("Escape")
    assert text(page, "mode") == ""
    page.press("Escape", "d")
    assert text(page, "told") == "Set A or B first, by the keys a and b."


def test_windows_input_pointer_and_the_rate_are_told_as_of_the_instant(page: Page, tmp_path: Path) -> None:
    file = TraceFile((100, 80))
    file.key(0)
    file.event(0, "rate", fps=30, why="")
    file.event(1, "windows", windows=[[16, "", 0, 0, 100, 80], [17, "<i>One</i>", 10, 10, 50, 40]])
    file.event(1, "pointer", x=20, y=30)
    file.event(2, "input", action="click", x=20, y=30, button=1, count=1)
    file.event(2.1, "input", action="click", x=20, y=30, button=3, count=2)
    file.event(2.2, "input", action="scroll", x=20, y=30, dx=0, dy=-3)
    file.event(2.3, "input", action="press", keys="ctrl+s")
    file.event(2.5, "input", action="type", length=9)
    file.event(3, "rate", fps=8, why="more would take 12 % of a core")
    file.event(4, "windows", windows=[[17, "Two", 10, 10, 50, 40]])
    file.event(5, "gap", why="another client held the server")
    file.key(7)
    file.event(7, "rate", fps=8, why="more would take 12 % of a core")
    file.event(7, "windows", windows=[[17, "Two", 10, 10, 50, 40]])
    file.event(9, "unknown", what="readers skip it")
    file.end(9)
    opened(page, file.save(tmp_path / "told.html"))
    rows = page.run("Array.from(document.querySelectorAll('.row .line'), row => row.textContent)")
    assert rows == [
        "at most 30 pictures a second from here",
        "opened: 0x10, 100x80+0+0",
        "opened: <i>One</i>, 50x40+10+10",
        "click left at 20, 30",
        "click right 2 times at 20, 30",
        "scroll by 0, -3 at 20, 30",
        "press ctrl+s",
        "type 9 characters",
        "at most 8 pictures a second from here: more would take 12 % of a core",
        "renamed: <i>One</i> → Two",
        "closed: 0x10",
        "no pictures from here: another client held the server",
        "end",
    ]
    badges = {}
    for time in (2, 3.5, 6, 7.5):
        page.run(f"xshm.seek({time})")
        badges[time] = None if page.run("document.getElementById('badge').hidden") else text(page, "badge")
    assert badges[2] is None
    assert badges[3.5] == badges[7.5] == "At most 8 pictures a second here: more would take 12 % of a core"
    assert badges[6] == "No pictures until 7.000 s: another client held the server"
    page.run("xshm.seek(3)")
    assert text(page, "keys") == "press ctrl+stype 9 characters"
    page.run("document.getElementById('tab-windows').click()")
    names = "Array.from(document.querySelectorAll('.window-row b'), name => name.textContent)"
    assert page.run(names) == ["<i>One</i>", "no title"]
    bare = seen(page)
    page.run("document.querySelector('.window-row').focus()")  # as a pointer over it does
    assert not np.array_equal(seen(page), bare)  # its outline
    page.run("document.querySelector('.window-row').click()")
    assert text(page, "region") == "50x40+10+10"
    page.run("xshm.seek(4)")
    assert page.run(names) == ["Two"]
    with_pointer = seen(page)
    page.press("h")
    assert not np.array_equal(seen(page), with_pointer)
    assert "At most" in page.run("document.getElementById('about').textContent")


def test_a_stream_that_was_cut_off_opens_and_says_so(page: Page, known: TraceFile, tmp_path: Path) -> None:
    path = tmp_path / "cut.html"

    def write(stream: bytes) -> None:
        made = b"".join(html.pieces((), "cut"))
        lines = b"".join(base64.b64encode(stream[at : at + 12288]) + b"\n" for at in range(0, len(stream), 12288))
        path.write_bytes(made.replace(base64.b64encode(records.MAGIC) + b"\n", lines))

    whole = known.bytes()
    parts = [records.MAGIC, *(record.pack() for record in known.stream)]
    sixty = sum(map(len, parts[:60]))
    last = next(record.at for record in reversed(known.stream[:59])) / SECOND
    damaged = bytearray(whole)
    damaged[sixty + 25] ^= 255
    for stream in (whole[: sixty + 30], whole[: sixty + 5], bytes(damaged)):
        write(stream)
        opened(page, path)
        assert text(page, "notices") == f"Cut off: it has no end. All until {last:.3f} s is good."
        assert_exact(page, known, [last, 0.5])
    write(records.MAGIC + known.stream[0].pack())
    opened(page, path)
    assert text(page, "opening") == "There is no picture in this trace."
    page.press("]", "m", "Home", "p", " ")


def test_a_page_of_another_format_says_so(kept_page: Page, tmp_path: Path) -> None:
    path = tmp_path / "other.html"
    made = b"".join(html.pieces((), "other"))
    path.write_bytes(made.replace(base64.b64encode(records.MAGIC), base64.b64encode(b"XSHMTRACE9\n")))
    kept_page.open(path)
    kept_page.run("xshm.ready.catch(() => 0)")
    assert text(kept_page, "opening").startswith("This trace can not be shown: There is no trace in this page")


def test_what_anybody_may_have_written_is_text_and_no_more(page: Page, tmp_path: Path) -> None:
    file = TraceFile((64, 48))
    file.key(0)
    page.before("window.hit = 0")
    for text_of_all in (
        "</script><script>hit = 1</script>",
        "<img src=x onerror='hit = 1'>",
        "a\0b",
        "\u202ea",
        "<!--",
    ):
        file.event(0.1, "mark", title=text_of_all)
        file.event(0.1, "log", text=text_of_all, source=text_of_all, level=text_of_all)
        file.event(0.1, "windows", windows=[[1, text_of_all, 0, 0, 9, 9]])
        file.title += text_of_all
    for kind, values in (
        ("windows", {"windows": 3}),
        ("windows", {"windows": [[1, None, 0, 0, 9, 9]]}),
        ("pointer", {}),
        ("rate", {}),
        ("log", {"text": 3, "level": []}),
        ("mark", {"title": {}}),
        ("constructor", {}),
    ):
        file.event(0.2, kind, **values)
    file.event(0.3, "failure", title="<b>", text="<svg onload='hit = 1'>")
    file.end(0.5)
    opened(page, file.save(tmp_path / "trace.html"))
    page.press("Home", "m", "m", "End")
    assert page.run("window.hit") == 0
    assert page.run("document.scripts.length") == 2
    assert "<img src=x onerror='hit = 1'>" in page.run("document.title")
    assert "<img src=x onerror='hit = 1'>" in page.run("document.body.textContent")


def test_the_policy_lets_nothing_be_loaded_or_run(kept_page: Page, known_path: Path) -> None:
    opened(kept_page, known_path)
    assert kept_page.problems == []
    kept_page.run("fetch('http://127.0.0.1:9/').catch(() => 0)")
    kept_page.run("document.body.insertAdjacentHTML('beforeend', '<b style=\"color: red\" onclick=\"x()\">x</b>')")
    kept_page.run("document.body.append(Object.assign(document.createElement('script'), {text: 'window.ran = 1'}))")
    assert kept_page.run("window.ran") is None
    told = " ".join(kept_page.problems)
    assert all(each in told for each in ("connect-src", "style-src", "script-src"))


def _luminance(colour: str) -> float:
    channels = [int(value) / 255 for value in re.findall(r"\d+", colour)[:3]]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return sum(weight * value for weight, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def _contrast(one: str, other: str) -> float:
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_it_is_light_or_dark_as_its_user_likes_and_can_be_read_in_both(page: Page, known_path: Path) -> None:
    def colour(name: str) -> str:
        page.run("document.body.append(Object.assign(document.createElement('i'), {id: 'ink'}))")
        page.run(f"document.getElementById('ink').style.color = 'var(--{name})'")
        found: str = page.run("getComputedStyle(document.getElementById('ink')).color")
        page.run("document.getElementById('ink').remove()")
        return found

    for is_dark in (False, True):
        page.dark(is_dark)
        opened(page, known_path)
        assert (_luminance(colour("page")) < 0.2) == is_dark
        inks = ("text", "quiet", "accent", "error", "warning", "mark", "rate")
        low = {name: _contrast(colour(name), colour("panel")) for name in inks}
        low["failure"] = _contrast(colour("failure"), colour("failure-soft"))
        low["label"] = _contrast(colour("label-text"), colour("label"))
        assert not {name: ratio for name, ratio in low.items() if ratio < 4.5}
        page.press("t")
        assert (_luminance(colour("page")) < 0.2) != is_dark


def test_all_of_it_is_reached_and_named_without_a_mouse(page: Page, known_path: Path) -> None:
    opened(page, known_path)
    slider = "document.getElementById('timeline')"
    names = ("role", "aria-valuenow", "aria-valuemax", "aria-valuetext")
    values = [page.run(f"{slider}.getAttribute('{name}')") for name in names]
    assert values == ["slider", "11.75", "12", "11.750 s of 12.000 s"]
    page.press("a")  # so that the ways to compare can be reached
    visited = []
    for _ in range(60):
        page.press("Tab")
        visited.append(page.run("document.activeElement.id || document.activeElement.className"))
        if visited[-1] in ("", "BODY") or visited.count(visited[-1]) > 1:
            break
        style = page.run("(s => s.outlineStyle + s.outlineWidth)(getComputedStyle(document.activeElement))")
        assert style == "solid2px", visited[-1]
    buttons = page.run(
        "Array.from(document.querySelectorAll('button, input, select'), each => each).filter("
        "each => each.offsetParent && !each.disabled && each.tabIndex >= 0).map(each => each.id || each.className)"
    )
    assert set(buttons) | {"view", "list", "timeline", "failure-text"} <= set(visited)
    nameless = page.run(
        "Array.from(document.querySelectorAll('button, input, select, [tabindex]')).filter(each =>"
        " !each.textContent.trim() && !each.ariaLabel && !each.labels?.length && !each.title).map(each => each.id)"
    )
    assert nameless == []
    page.run("document.getElementById('list').focus()")
    page.press("Home", "ArrowDown", "ArrowDown")
    assert (
        page.run(
            "document.querySelector('#' + document.getElementById('list').getAttribute("
            "'aria-activedescendant')).getAttribute('aria-selected')"
        )
        == "true"
    )
    page.press("?")
    assert page.run("document.getElementById('keyboard').open")
    keys = page.run("Array.from(document.querySelectorAll('#keyboard kbd'), key => key.textContent)")
    assert {"Space", "k", "j", "l", ",", ".", "Home", "End", "<", ">", "m", "[", "]", "p", "n", "a", "b"} <= set(keys)
    page.press("Escape")
    assert not page.run("document.getElementById('keyboard').open")


@pytest.mark.parametrize("size", [(1280, 800), (800, 600), (420, 700)])
def test_it_fits_windows_of_any_size(page: Page, known_path: Path, size: tuple[int, int]) -> None:
    page.resize(*size)
    opened(page, known_path)
    width, stage, timeline = page.run(
        "[document.documentElement.scrollWidth, document.getElementById('view').clientHeight,"
        " document.getElementById('timeline').getBoundingClientRect().bottom]"
    )
    assert width <= size[0]
    assert stage >= 150
    assert timeline <= size[1]


def test_the_timeline_takes_presses_and_goes_to_a_mark_that_is_near(page: Page, known_path: Path) -> None:
    opened(page, known_path)
    box: dict[str, Any] = page.run("document.getElementById('timeline').getBoundingClientRect().toJSON()")
    page.click(box["x"] + box["width"] * 4.5 / 12 + 3, box["y"] + 40)
    assert now(page) == 4.5
    page.click(box["x"] + box["width"] * 0.25, box["y"] + 40)
    assert now(page) == pytest.approx(3, abs=0.02)
    page.mouse("mouseMoved", box["x"] + box["width"] * 8.5 / 12, box["y"] + 40)
    assert "step 2 <b>&amp;" in text(page, "tip")
    page.press("Z", "z", "z")
    shown = page.run("[xshm.app.timeline.from, xshm.app.timeline.to]")
    assert shown[1] - shown[0] == pytest.approx(3 * SECOND)
    page.press("End")
    assert page.run("xshm.app.timeline.to") == 12 * SECOND
