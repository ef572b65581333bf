"""A live view's video and input in Chromium and Firefox, with a hub whose part the test plays."""

from __future__ import annotations

import base64
import io
import json
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from devtools import Browser, Page, needs_chromium
from marionette import Firefox, needs_firefox
from PIL import Image
from programs import eventually
from scripted_hub import ScriptedHub, Viewer, channel
from video_scenes import COLOURS, FAST, SIZE, SQUARE, Scene, number_in, taken

from xshm.geometry import Rect
from xshm.live.messages import Codec, Part
from xshm.live.video import VideoEncoder, VideoViewer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray
    from painter import Painter

    from xshm import Screen

pytest.importorskip("av")

_READ = """[...xshm.canvas.getContext('2d').getImageData(0, %d, xshm.canvas.width, 1).data]"""


def row(page: Page | Firefox, y: int) -> NDArray[np.uint8]:
    return np.array(page.run(_READ % y), np.uint8).reshape(-1, 4)[:, :3]


def play(page: Page | Firefox, hub: ScriptedHub) -> None:
    """Have a page show bars and numbers, each by itself: the next one is sent after the one before is on the canvas."""
    page.visit(hub.url)
    viewer = hub.viewer()
    viewer.welcome(channel(1, (641, 401)), video=True)
    viewer.until("watch")
    encoder = VideoEncoder()
    ours = VideoViewer(encoder)
    for size, rate in (((641, 401), FAST), ((900, 602), FAST), ((900, 602), 1e5)):
        scene = Scene(size)
        scene.bars()
        delays = []
        for turn in range(12):
            scene.pixels[:3, :3] ^= 255
            scene.commit(Rect(0, 0, 3, 3))
            update = taken(ours, scene, rate).update
            began = time.perf_counter()
            number = viewer.draw(size, *update.parts)
            assert viewer.until("ack")["number"] == number, f"frame {turn}"
            delays.append(time.perf_counter() - began)
        assert np.median(delays) < 0.25, "no frame is held back"
        found = row(page, size[1] // 2)
        assert len(found) == size[0]
        for at, colour in enumerate(COLOURS):
            pixel = found[(2 * at + 1) * size[0] // (2 * len(COLOURS))]
            assert np.abs(pixel.astype(int) - colour).max() <= (3 if rate == FAST else 6), (colour, pixel)
        for shown in range(1, 12):
            scene.number(shown)
            viewer.draw(size, *taken(ours, scene, rate).update.parts)
            viewer.until("ack")
            assert number_in(np.repeat(row(page, SQUARE // 2)[None], SQUARE, 0)) == shown


def break_it(page: Page | Firefox, hub: ScriptedHub) -> None:
    """Have a page get a frame upon one that it lacks, and one that is no H.264."""
    page.visit(hub.url)
    viewer = hub.viewer()
    viewer.welcome(channel(1, SIZE), video=True)
    viewer.until("watch")
    page.run("xshm.app.setMode('video')")
    assert viewer.until("watch")["channels"]["1"]["mode"] == "video"
    whole = Rect(0, 0, *SIZE)
    for data in (b"\0\0\1\x41nonsense", b"\0\0\1\x67\x42\xc0\x1f nonsense" * 9):
        codec = Codec.H264_DELTA if data[3] == 0x41 else Codec.H264_KEY
        viewer.draw(SIZE, Part(codec, True, whole, data))
        assert viewer.until("broken")["channel"] == 1
        assert page.run("xshm.app.mode") == "auto", "it falls back to pictures"
        scene, ours = Scene(), VideoViewer(VideoEncoder())
        scene.number(77)
        number = viewer.draw(SIZE, *taken(ours, scene, FAST).update.parts)
        while viewer.until("ack")["number"] < number:  # those of what was broken
            pass
        assert number_in(np.repeat(row(page, SQUARE // 2)[None], SQUARE, 0)) == 77


# -- input -------------------------------------------------------------------------------------------------------------

_KEY = """(() => {
  const event = new KeyboardEvent('%s', {bubbles: true, cancelable: true, ...%s})
  document.activeElement.dispatchEvent(event)
  return event.defaultPrevented
})()"""


def controlled(page: Page | Firefox, hub: ScriptedHub) -> Viewer:
    """Return a page whose user has begun to control the screen."""
    page.visit(hub.url)
    viewer = hub.viewer()
    viewer.welcome(channel(1, SIZE), input=True)
    viewer.until("watch")
    page.run("xshm.app.control(true)")
    return viewer


def key(page: Page | Firefox, kind: str, **event: Any) -> bool:
    """Have the page get a keyboard's event; return whether the browser is kept from doing anything else."""
    return bool(page.run(_KEY % (kind, json.dumps(event))))


def press_keys(page: Page | Firefox, viewer: Viewer) -> None:  # noqa: PLR0915 - one browser's keys, one after another
    """Check what a page says of keys, of browsers' many ways to tell them."""

    def says(*expected: str) -> None:
        found = []
        for _ in expected:
            message = viewer.until("key")
            found.append(message.get("text") or "+-"[not message["down"]] + message["code"] + "=" + message["key"])
        assert tuple(found) == expected

    assert key(page, "keydown", key="a", code="KeyA")
    key(page, "keydown", key="a", code="KeyA", repeat=True)
    key(page, "keyup", key="A", code="KeyA")  # Caps Lock was pressed meanwhile
    says("+KeyA=a", "+KeyA=a", "-KeyA=a")
    # Tab, and what the page does by itself, goes to the screen.
    assert key(page, "keydown", key="Tab", code="Tab")
    assert key(page, "keydown", key="m", code="KeyM")
    says("+Tab=Tab", "+KeyM=m")
    assert page.run("xshm.app.mode") == "auto"
    # Another tab: all is released, in the opposite order.
    page.run("dispatchEvent(new Event('blur'))")
    says("-KeyM=m", "-Tab=Tab")
    # Back again with Ctrl held, which was not seen to be pressed; and released while it was not seen.
    key(page, "keydown", key="c", code="KeyC", ctrlKey=True)
    says("+ControlLeft=Control", "+KeyC=c")
    key(page, "keyup", key="c", code="KeyC", ctrlKey=True)
    key(page, "keydown", key="d", code="KeyD")
    says("-KeyC=c", "-ControlLeft=Control", "+KeyD=d")
    key(page, "keyup", key="d", code="KeyD")
    says("-KeyD=d")
    # AltGr: on Windows it says that it is Ctrl and Alt.
    key(page, "keydown", key="Control", code="ControlLeft", ctrlKey=True)
    key(page, "keydown", key="AltGraph", code="AltRight", ctrlKey=True, altKey=True, modifierAltGraph=True)
    key(page, "keydown", key="€", code="KeyE", ctrlKey=True, altKey=True, modifierAltGraph=True)
    key(page, "keyup", key="€", code="KeyE", ctrlKey=True, altKey=True, modifierAltGraph=True)
    key(page, "keyup", key="AltGraph", code="AltRight")
    key(page, "keyup", key="Control", code="ControlLeft")
    says("+ControlLeft=Control", "€", "-ControlLeft=Control")
    # Dead keys: where the browser composes by itself, the character comes as a key, else as an input method's.
    key(page, "keydown", key="Dead", code="Quote")
    key(page, "keydown", key="é", code="KeyE")
    key(page, "keyup", key="é", code="KeyE")
    says("+KeyE=é", "-KeyE=é")
    key(page, "keydown", key="e", code="KeyE", isComposing=True)
    key(page, "keydown", key="Process", code="KeyE")
    page.run(
        "document.activeElement.dispatchEvent(new CompositionEvent('compositionend', {data: '日本', bubbles: true}))"
    )
    says("日本")
    # A telephone's keyboard tells no keys.
    assert not key(page, "keydown", key="Unidentified", code="")
    page.run("document.execCommand('insertText', false, 'word')")
    says("word")
    assert page.run("document.activeElement.value") == ""
    # And the way out: Ctrl+Alt+Shift.
    key(page, "keydown", key="Control", code="ControlLeft", ctrlKey=True)
    key(page, "keydown", key="Alt", code="AltLeft", ctrlKey=True, altKey=True)
    key(page, "keydown", key="Shift", code="ShiftLeft", ctrlKey=True, altKey=True, shiftKey=True)
    key(page, "keyup", key="Shift", code="ShiftLeft", ctrlKey=True, altKey=True)
    key(page, "keyup", key="Control", code="ControlLeft", altKey=True)
    assert page.run("Boolean(xshm.app.input)")
    key(page, "keyup", key="Alt", code="AltLeft")
    says("+ControlLeft=Control", "+AltLeft=Alt", "+ShiftLeft=Shift")
    says("-ShiftLeft=Shift", "-ControlLeft=Control", "-AltLeft=Alt")
    assert not page.run("Boolean(xshm.app.input)")
    page.run("document.getElementById('scroller').focus()")
    key(page, "keydown", key="m", code="KeyM")
    assert page.run("xshm.app.mode") != "auto", "the page's keys are its own again"


# -- a whole live view -------------------------------------------------------------------------------------------------

_DRAWN = "globalThis.codecs = []; xshm.drawn = (_, {parts}) => codecs.push(...parts.map(({codec}) => codec))"
_CANVAS = "xshm.canvas.toDataURL()"


def on_canvas(page: Page) -> NDArray[np.uint8]:
    data = base64.b64decode(page.run(_CANVAS).partition(",")[2])
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


@needs_chromium
def test_what_moves_is_a_video_and_at_rest_the_canvas_is_the_screen(
    chromium: Page, screen: Screen, painter: Painter
) -> None:
    rng = np.random.default_rng(4)
    with screen.live(allow_input=True) as live:
        chromium.visit(live.url)
        chromium.run("xshm.ready")
        chromium.run(_DRAWN)
        chromium.run("xshm.app.setMode('video')")

        def has_moved() -> bool:
            x, y = (int(n) for n in rng.integers(0, 300, 2))
            red, green, blue = (int(n) for n in rng.integers(0, 255, 3))
            painter.fill((x, y, 700, 450), (red, green, blue))
            return bool(chromium.run(f"codecs.filter((codec) => codec === {Codec.H264_DELTA:d}).length") >= 8)

        eventually(has_moved)
        expected = screen.grab().rgb().copy()
        eventually(lambda: np.array_equal(on_canvas(chromium), expected))
        codecs = chromium.run("codecs")
        moving = codecs[codecs.index(Codec.H264_KEY) :]  # what was drawn before the hub heard of the mode was a picture
        # A key where it begins; and where the line's rate, as a busy machine makes it, leads to another encoder.
        assert moving.count(Codec.H264_KEY) < moving.count(Codec.H264_DELTA)
        assert Codec.JPEG not in moving
        # Small changes are exact at once.
        chromium.run("codecs.length = 0")
        painter.fill((5, 5, 20, 20), (1, 2, 3))
        expected = screen.grab().rgb().copy()
        eventually(lambda: np.array_equal(on_canvas(chromium), expected))
        assert set(chromium.run("codecs")) == {Codec.PNG}
        # And the page's mouse is the screen's.
        chromium.run("xshm.app.control(true)")
        box = chromium.run("xshm.canvas.getBoundingClientRect().toJSON()")
        scale = box["width"] / 1280
        chromium.call(
            "Input.dispatchMouseEvent", type="mouseMoved", x=box["x"] + 640.5 * scale, y=box["y"] + 400.5 * scale
        )
        root = screen.xlib.screen().root
        eventually(lambda: (root.query_pointer().root_x, root.query_pointer().root_y) == (640, 400))
        chromium.visit("about:blank")


# -- the browsers ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with Browser(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser.page()


@pytest.fixture
def hub(chromium: Page) -> Iterator[ScriptedHub]:
    with ScriptedHub() as hub:
        yield hub
        assert [text for text in chromium.problems if "getImageData" not in text] == []
        chromium.visit("about:blank")


@needs_chromium
def test_chromium_shows_each_frame_in_its_colours(chromium: Page, hub: ScriptedHub) -> None:
    play(chromium, hub)


@needs_chromium
def test_chromium_goes_on_after_what_can_not_be_decoded(chromium: Page, hub: ScriptedHub) -> None:
    break_it(chromium, hub)


@needs_chromium
def test_chromium_says_what_keys_mean(chromium: Page, hub: ScriptedHub) -> None:
    press_keys(chromium, controlled(chromium, hub))


@needs_chromium
def test_mouse_and_wheel_go_to_the_point_of_the_screen(chromium: Page, hub: ScriptedHub) -> None:
    viewer = controlled(chromium, hub)
    box = chromium.run("xshm.canvas.getBoundingClientRect().toJSON()")
    scale = box["width"] / SIZE[0]
    at = {name: box[name] + (place + 0.5) * scale for name, place in (("x", 100), ("y", 50))}

    def mouse(kind: str, dx: float = 0, **more: Any) -> None:
        chromium.call("Input.dispatchMouseEvent", type=kind, x=at["x"] + dx * scale, y=at["y"], **more)

    mouse("mouseMoved")
    assert viewer.until("pointer").items() >= {"channel": 1, "x": 100, "y": 50}.items()
    mouse("mousePressed", button="left", buttons=1, clickCount=1)
    mouse("mousePressed", button="right", buttons=3, clickCount=1)
    mouse("mouseMoved", 20, button="left", buttons=3)
    mouse("mouseReleased", 20, button="left", buttons=2, clickCount=1)
    mouse("mouseMoved", 9000, button="right", buttons=2)  # what is dragged may leave the picture
    mouse("mouseReleased", 9000, button="right", buttons=0, clickCount=1)
    mouse("mouseMoved", 9000)
    mouse("mouseWheel", deltaX=0, deltaY=250)
    mouse("mouseWheel", deltaX=-100, deltaY=-50, modifiers=2)
    buttons = [viewer.until("button") for _ in range(4)]
    assert [(each["button"], each["down"], each["x"]) for each in buttons] == [
        *((1, True, 100), (3, True, 100), (1, False, 120)),
        (3, False, SIZE[0] - 1),
    ]
    scrolled = [viewer.until("scroll") for _ in range(2)]
    assert [(each["dx"], each["dy"], each["x"], each["y"]) for each in scrolled] == [(0, 2, 100, 50), (-1, 0, 100, 50)]
    assert chromium.run("xshm.app.view.isFit"), "Ctrl and wheel went to the screen"
    mouse("mousePressed", button="middle", buttons=4, clickCount=1)
    chromium.run("dispatchEvent(new Event('blur'))")
    assert [viewer.until("button")["down"] for _ in range(2)] == [True, False]
    mouse("mouseReleased", button="middle", buttons=0, clickCount=1)


@needs_chromium
def test_a_page_without_input_says_nothing_of_it(chromium: Page, hub: ScriptedHub) -> None:
    chromium.visit(hub.url)
    viewer = hub.viewer()
    viewer.welcome(channel(1, SIZE))
    viewer.until("watch")
    chromium.run("xshm.app.control(true)")
    chromium.click(300, 300)
    chromium.press("x")
    assert viewer.is_quiet(0.2)
    assert "/input.js" not in hub.requests


@needs_firefox
def test_firefox_does_all_that(tmp_path: Path) -> None:
    """In one test: Firefox takes four seconds to start, and as many to end."""
    with Firefox(tmp_path) as firefox:
        for what in (play, break_it):
            with ScriptedHub() as hub:
                what(firefox, hub)
                firefox.visit("about:blank")
        with ScriptedHub() as hub:
            press_keys(firefox, controlled(firefox, hub))
            firefox.visit("about:blank")
