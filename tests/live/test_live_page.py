"""The live view's page in Debian's Chromium, with a hub whose part the test plays: exact, in order, in words.

What is expected comes from the pictures that were sent, never from the page.
"""

from __future__ import annotations

import base64
import hashlib
import io
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from devtools import Browser, Page, needs_chromium
from PIL import Image
from scripted_hub import TOKEN, ScriptedHub, Viewer, channel, noise, part

from xshm.geometry import Rect
from xshm.live.messages import Codec, Update, pack_update

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

pytestmark = needs_chromium

DIGEST = """(async canvas => {
  const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d', {willReadFrequently: true})
  copy.drawImage(canvas, 0, 0)
  const {data} = copy.getImageData(0, 0, canvas.width, canvas.height)
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', data))
  return Array.from(digest, byte => byte.toString(16).padStart(2, '0')).join('')
})(xshm.screens.get(%d).canvas)"""
_SETTLED = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
_SIZE = (320, 200)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("chromium")) as started:
        yield started


@pytest.fixture(scope="module")
def kept_page(browser: Browser) -> Page:
    return browser.page()


@pytest.fixture
def hub() -> Iterator[ScriptedHub]:
    with ScriptedHub() as started:
        yield started


@pytest.fixture
def page(kept_page: Page, hub: ScriptedHub) -> Iterator[Page]:
    """Return the page of this file, with the hub's link open; a complaint of it fails a test."""
    kept_page.resize(1280, 800)
    kept_page.visit(hub.url)
    yield kept_page
    problems = [text for text in kept_page.problems if "/live' failed" not in text]  # a hub that a test has stopped
    assert problems == []
    elsewhere = [url for url in kept_page.requests if not url.startswith((hub.url.split("#")[0], "data:", "blob:"))]
    assert elsewhere == []
    kept_page.visit("about:blank")  # which lets the hub go


@pytest.fixture
def viewer(page: Page, hub: ScriptedHub) -> Viewer:
    """Return the page as the hub sees it, welcomed to one screen that it watches."""
    assert page
    return welcomed(hub, channel(1))


def welcomed(hub: ScriptedHub, *channels: dict[str, Any], **more: Any) -> Viewer:
    found = hub.viewer()
    found.welcome(*channels, **more)
    found.until("watch")
    return found


def digest(rgb: NDArray[np.uint8]) -> str:
    alpha = np.full((*rgb.shape[:2], 1), 255, np.uint8)
    return hashlib.sha256(np.concatenate([rgb, alpha], axis=2).tobytes()).hexdigest()


def assert_shows(page: Page, rgb: NDArray[np.uint8], number: int = 1) -> None:
    assert page.run(DIGEST % number) == digest(rgb), "the canvas has not what was sent"


def pixels(page: Page) -> NDArray[np.uint8]:
    """Return what is on the canvas of the first screen."""
    url = page.run("xshm.screens.get(1).canvas.toDataURL()")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).convert("RGB"))


def seen(page: Page, name: str = ".pixels") -> NDArray[np.uint8]:
    """Return what people see where an element is."""
    page.run(_SETTLED)
    box = page.run(f"document.querySelector('{name}').getBoundingClientRect().toJSON()")
    shot = Image.open(io.BytesIO(page.shot())).convert("RGB")
    return np.asarray(shot)[round(box["top"]) : round(box["bottom"]), round(box["left"]) : round(box["right"])]


def text(page: Page, name: str) -> str:
    value: str = page.run(
        f"(e => e.checkVisibility() ? e.value ?? e.innerText : '')(document.getElementById('{name}'))"
    )
    return value.strip()


def eventually(page: Page, expression: str, seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while not page.run(expression):
        assert time.monotonic() < deadline, f"it never became true: {expression}"
        time.sleep(0.02)


def test_updates_of_any_shape_leave_the_exact_screen(page: Page, viewer: Viewer) -> None:
    """Also after hundreds of them: no picture is kept open."""
    page.run("""(() => {
      globalThis.open = 0
      const count = image => (open++, new Proxy(image, {}), image)
      for (const kind of [ImageBitmap, VideoFrame]) {
        const close = kind.prototype.close
        kind.prototype.close = function () { open--; close.call(this) }
      }
      const bitmap = createImageBitmap, decode = ImageDecoder.prototype.decode
      globalThis.createImageBitmap = async (...all) => count(await bitmap(...all))
      ImageDecoder.prototype.decode = async function (...all) {
        const made = await decode.apply(this, all); count(made.image); return made
      }
    })()""")
    size = (901, 603)
    rng = np.random.default_rng(5)
    screen = noise(size)
    viewer.draw(size, part(screen))
    for turn in range(150):
        parts = []
        for _ in range(rng.integers(1, 5)):
            width, height = (int(n) for n in rng.integers(1, (500, 400) if turn % 15 == 0 else (90, 70)))
            x, y = (int(n) for n in rng.integers(0, (size[0] - width, size[1] - height)))
            piece = noise((width, height), turn)
            screen[y : y + height, x : x + width] = piece
            parts.append(part(piece, x, y))
        viewer.draw(size, *parts)
    assert [viewer.until("ack")["number"] for _ in range(151)] == list(range(1, 152))
    assert_shows(page, screen)
    assert page.run("open") == 0


def test_an_update_without_parts_is_acknowledged_and_no_picture(page: Page, viewer: Viewer) -> None:
    viewer.draw(_SIZE)
    viewer.until("ack")
    assert text(page, "words-title") == "Waiting for the first picture…"
    viewer.draw(_SIZE, part(noise(_SIZE)))
    viewer.until("ack")
    assert text(page, "words") == ""


def test_a_slow_picture_is_not_overtaken_by_a_fast_one(page: Page, viewer: Viewer) -> None:
    size = (1900, 1400)
    large, small = part(noise(size), codec=Codec.JPEG), noise((20, 10), 2)  # it takes tens of milliseconds
    for _ in range(2):
        viewer.draw(size, large)
        viewer.draw(size, part(small, 7, 9))
    assert [viewer.until("ack")["number"] for _ in range(4)] == [1, 2, 3, 4]
    read = "[...xshm.canvas.getContext('2d').getImageData(7, 9, 20, 10).data]"
    np.testing.assert_array_equal(np.reshape(page.run(read), (10, 20, 4))[..., :3], small)


def test_a_smaller_picture_is_stretched_over_its_rectangle(page: Page, viewer: Viewer) -> None:
    left, right = np.full((50, 80, 3), (250, 20, 30), np.uint8), np.full((50, 80, 3), (10, 40, 240), np.uint8)
    half = np.concatenate([left, right], axis=1)
    viewer.draw(_SIZE, part(half, codec=Codec.JPEG, rect=Rect(0, 0, *_SIZE)))
    viewer.until("ack")
    got = pixels(page).astype(int)
    assert np.abs(got[:, :150] - left[0, 0]).max() < 12
    assert np.abs(got[:, 170:] - right[0, 0]).max() < 12


def test_a_screen_of_another_size_begins_black(page: Page, viewer: Viewer) -> None:
    viewer.draw(_SIZE, part(noise(_SIZE)))
    piece = noise((30, 20), 3)
    viewer.draw((200, 300), part(piece, 11, 12))
    viewer.until("ack")
    viewer.until("ack")
    screen = np.zeros((300, 200, 3), np.uint8)
    screen[12:32, 11:41] = piece
    assert_shows(page, screen)
    assert text(page, "size") == "200×300"
    box = page.run("xshm.canvas.getBoundingClientRect().toJSON()")
    assert box["width"] / box["height"] == pytest.approx(200 / 300, abs=0.01)


def test_an_update_that_can_not_be_decoded_changes_nothing(page: Page, viewer: Viewer) -> None:
    before = noise(_SIZE)
    viewer.draw(_SIZE, part(before))
    viewer.until("ack")
    good = part(noise((60, 40), 2))
    for bad in (good._replace(data=good.data[:-30]), good._replace(codec=Codec.JPEG)):
        number = viewer.draw((999, 99), good, bad)
        found = viewer.read()
        assert found is not None
        assert (found["type"], found["channel"]) == ("broken", 1)
        assert found["why"]
        assert viewer.read() == {"type": "ack", "channel": 1, "number": number}  # so that no place is taken by it
        assert_shows(page, before)
    number = viewer.draw(_SIZE, good)
    assert viewer.read() == {"type": "ack", "channel": 1, "number": number}


def test_a_message_that_is_no_update_has_the_connection_begun_anew(
    page: Page, hub: ScriptedHub, viewer: Viewer
) -> None:
    message = pack_update(1, 1, Update(_SIZE, 1, (part(noise((30, 20))),)))
    again = viewer
    for nonsense in (message[:-25], message + b"x"):
        again.send(nonsense)
        assert again.read() is None
        again = welcomed(hub, channel(1))
    again.draw(_SIZE, part(noise(_SIZE)))
    again.until("ack")
    assert_shows(page, noise(_SIZE))


def test_a_hidden_page_watches_nothing_and_catches_up_at_once(browser: Browser, page: Page, viewer: Viewer) -> None:
    other = browser.page()  # a tab over it
    assert viewer.read() == {"type": "watch", "channels": {}}
    other.close()
    page.call("Page.bringToFront")
    assert viewer.read() == {"type": "watch", "channels": {"1": {"width": None, "mode": "auto"}}}
    page.press("m")
    assert viewer.read() == {"type": "watch", "channels": {"1": {"width": None, "mode": "exact"}}}


def test_people_see_the_pixels_and_the_pointer_at_its_place(page: Page, viewer: Viewer) -> None:
    screen = noise(_SIZE)
    viewer.draw(_SIZE, part(screen))
    viewer.until("ack")
    page.press("f")
    assert text(page, "zoom") == "100 %"
    np.testing.assert_array_equal(seen(page), screen)
    arrow = np.full((6, 4, 4), (255, 0, 0, 255), np.uint8)
    file = io.BytesIO()
    Image.fromarray(arrow, "RGBA").save(file, "PNG")
    viewer.say(type="pointer", channel=1, x=100, y=50, visible=True)
    viewer.say(type="cursor", channel=1, hot_x=1, hot_y=2, png=base64.b64encode(file.getvalue()).decode())
    eventually(page, "!document.querySelector('.cursor').hidden")
    with_pointer = screen.copy()
    with_pointer[48:54, 99:103] = (255, 0, 0)
    np.testing.assert_array_equal(seen(page), with_pointer)
    assert_shows(page, screen)
    page.press("+", "+", "+")
    assert text(page, "zoom") == "200 %"
    np.testing.assert_array_equal(seen(page), with_pointer.repeat(2, 0).repeat(2, 1))
    page.press("p")
    np.testing.assert_array_equal(seen(page), screen.repeat(2, 0).repeat(2, 1))
    page.press("p")
    viewer.say(type="pointer", channel=1, x=100, y=50, visible=False)
    eventually(page, "document.querySelector('.cursor').hidden")


def test_a_screen_larger_than_the_window_is_moved_by_keys_and_mouse(page: Page, viewer: Viewer) -> None:
    size = (2000, 1500)
    screen = noise(size)
    viewer.draw(size, part(screen))
    viewer.until("ack")
    fit = page.run("(b => [b.width, b.height])(xshm.canvas.getBoundingClientRect())")
    stage = page.run("(b => [b.width, b.height])(document.getElementById('stage').getBoundingClientRect())")
    assert fit[1] == pytest.approx(stage[1], abs=1)
    assert fit[0] <= stage[0]
    page.press("f", "ArrowRight", "ArrowDown")
    corner = "(b => [b.x, b.y])(xshm.canvas.getBoundingClientRect())"
    eventually(page, f"Math.abs(({corner})[0] % 1) < 1")
    x, y = page.run(corner)
    page.mouse("mousePressed", 600, 400)
    page.mouse("mouseMoved", 500, 330)
    page.mouse("mouseReleased", 500, 330)
    assert page.run(corner) == [x - 100, y - 70]
    visible = page.run("xshm.app.view.pixelAt({clientX: 700, clientY: 600})")
    shown = np.asarray(Image.open(io.BytesIO(page.shot())).convert("RGB"))
    np.testing.assert_array_equal(shown[600, 700], screen[visible["y"], visible["x"]])


def test_a_screen_that_is_not_live_says_so(page: Page, viewer: Viewer) -> None:
    viewer.draw(_SIZE, part(noise(_SIZE)))
    viewer.until("ack")
    live_icon = page.run("document.getElementById('icon').href")
    live = seen(page)
    titles = set()
    for state, words in (
        ("hidden", "it is minimized"),
        ("stopped", "No answer for 2 s."),
        ("gone", "It was closed."),
        ("waiting", "…"),
    ):
        assert page.run("document.title") == ":99 – live"
        assert text(page, "words") == ""
        viewer.say(type="channel", channel=channel(1, state=state, words=words))
        eventually(page, "document.title != ':99 – live'")
        assert text(page, "words-text") == {"hidden": "It is minimized."}.get(state, words)
        title = text(page, "words-title")
        titles.add(title)
        assert page.run("document.title") == f"{title} – :99"
        assert text(page, "state") == title
        assert page.run("document.getElementById('icon').href") != live_icon
        assert page.run("document.querySelector('#words [role=status]').textContent").startswith(title)
        assert not np.array_equal(seen(page)[:20, :20], live[:20, :20]), "an old picture looks like a live one"
        viewer.say(type="channel", channel=channel(1))
        eventually(page, "document.title == ':99 – live'")
    assert len(titles - {""}) == 4


def test_a_lost_connection_is_said_and_comes_back_by_itself(page: Page, hub: ScriptedHub, viewer: Viewer) -> None:
    viewer.draw(_SIZE, part(noise(_SIZE)))
    viewer.until("ack")
    viewer.close(1011)
    hub.viewer()  # which is not welcomed
    assert page.run("document.title") == "Connection lost – :99"
    assert text(page, "words-text").startswith("The picture was true until ")
    hub.stop()
    eventually(page, "document.title == 'The live view has ended – :99'")
    assert page.run("document.getElementById('again').checkVisibility()")
    assert_shows(page, noise(_SIZE))  # what was seen last stays
    eventually(page, "xshm.status.retryAt - performance.now() > 800")
    hub.start()
    began = time.monotonic()
    page.run("dispatchEvent(new Event('online'))")  # it is not waited for then
    again = hub.viewer()
    assert time.monotonic() - began < 0.6
    again.welcome(channel(1))
    assert again.until("watch")["channels"] == {"1": {"width": None, "mode": "auto"}}
    assert again.hello == {"type": "hello", "token": TOKEN}
    again.draw(_SIZE, part(noise(_SIZE, 2)))
    again.until("ack")
    assert_shows(page, noise(_SIZE, 2))
    assert page.run("document.title") == ":99 – live"
    again.close()
    assert hub.viewer().hello["token"] == TOKEN  # by itself


def test_a_hub_that_is_silent_is_asked_and_then_given_up(page: Page, hub: ScriptedHub, viewer: Viewer) -> None:
    later = (
        "(ms => { const {connection} = xshm.app; connection.heard -= ms; connection.asked -= ms; connection.watch() })"
    )
    page.run(f"{later}(20000)")
    assert viewer.is_quiet(0.1)
    page.run(f"{later}(6000)")
    ping = viewer.until("ping")
    viewer.say(type="pong", id=ping["id"], now_ns=1)
    eventually(page, "performance.now() - xshm.app.connection.heard < 1000")
    page.run(f"{later}(26000)")
    viewer.until("ping")
    page.run(f"{later}(11000)")
    assert viewer.read() is None
    hub.viewer()
    assert text(page, "words-title") == "Connection lost"


def test_a_refused_token_is_not_tried_again_before_the_link_is_another(
    page: Page, hub: ScriptedHub, viewer: Viewer
) -> None:
    viewer.close(1008)
    eventually(page, "document.title.startsWith('This link is not valid')")
    before = len(hub.requests)
    time.sleep(0.4)
    page.run("dispatchEvent(new Event('online'))")
    assert len(hub.requests) == before
    page.press("r")
    hub.viewer().close(1008)
    eventually(page, "document.getElementById('again').checkVisibility()")
    page.run("location.hash = '#another-token%20with%2Fsigns'")
    assert hub.viewer().hello == {"type": "hello", "token": "another-token with/signs"}


def test_the_link_survives_a_reload_and_is_needed(page: Page, hub: ScriptedHub, viewer: Viewer) -> None:
    assert page.run("location.href") == hub.url
    page.call("Page.reload")
    assert viewer.read() is None
    assert hub.viewer().hello["token"] == TOKEN
    eventually(page, "document.readyState === 'complete'")
    page.visit(hub.url.partition("#")[0])
    assert text(page, "words-title") == "This link is not whole"
    assert all(TOKEN not in path for path in hub.requests)


def test_a_wall_is_used_by_keyboard_alone(page: Page, hub: ScriptedHub) -> None:
    size = (640, 400)
    viewer = welcomed(hub, *(channel(n, size, title=f"screen {n}") for n in range(1, 7)), title="six")
    for number in range(1, 7):
        viewer.draw(size, part(noise(size, number)), channel=number)
    assert {viewer.until("ack")["channel"] for _ in range(6)} == {1, 2, 3, 4, 5, 6}
    assert page.run("document.title") == "six – live"
    tiles = "[...document.querySelectorAll('.tile')]"
    assert page.run(f"{tiles}.map(t => t.getAttribute('aria-label'))") == [f"screen {n}: live" for n in range(1, 7)]
    page.run(f"{tiles}[0].focus()")
    page.press("ArrowRight", "ArrowDown")  # three in a row
    assert page.run("document.activeElement.getAttribute('aria-label')") == "screen 5: live"
    page.press("Enter")
    assert viewer.until("watch")["channels"] == {"5": {"width": None, "mode": "auto"}}
    assert page.run("xshm.screen.id") == 5
    assert page.run("location.hash") == f"#{TOKEN}&screen=5"
    assert page.run("document.title") == "screen 5 – live"
    assert_shows(page, noise(size, 5), 5)
    page.press("Escape")
    watched = viewer.until("watch")["channels"]
    assert set(watched) == {"1", "2", "3", "4", "5", "6"}
    assert all(0 < each["width"] < 640 for each in watched.values())
    assert page.run("document.activeElement.getAttribute('aria-label')") == "screen 5: live"
    page.press("2")
    assert page.run("xshm.screen.id") == 2
    page.press("]")
    assert page.run("xshm.screen.id") == 3
    page.run("history.back()")
    eventually(page, "xshm.screen?.id === 2")
    viewer.say(type="channels", channels=[channel(n, size) for n in (1, 3, 4)])
    eventually(page, f"{tiles}.length === 3 && xshm.screen === null")
    viewer.say(type="channels", channels=[channel(4, size)])
    eventually(page, "xshm.screen?.id === 4")
    viewer.say(type="channels", channels=[])
    eventually(page, "document.title.startsWith('No screen')")


def test_one_upright_screen_does_not_make_all_tiles_upright(page: Page, hub: ScriptedHub) -> None:
    sizes = [(640, 400), (300, 700), (640, 480), (640, 400)]
    viewer = welcomed(
        hub, *(channel(n, size, title=f"{n} of a title that goes on and on and on") for n, size in enumerate(sizes, 1))
    )
    for number, size in enumerate(sizes, 1):
        viewer.draw(size, part(noise(size, number)), channel=number)
    eventually(page, "[...xshm.screens.values()].every((screen) => screen.isDrawn)")
    boxes = page.run("""[...document.querySelectorAll('.frame')].map((frame) => {
      const [outer, inner] = [frame, frame.firstChild].map((each) => each.getBoundingClientRect());
      return [outer.width, outer.height, inner.width, inner.height, outer.bottom];
    })""")
    for (width, height, wide, high, bottom), size in zip(boxes, sizes, strict=True):
        assert (wide, high) == pytest.approx([edge * min(width / size[0], height / size[1]) for edge in size], abs=0.1)
        assert height / width == pytest.approx(400 / 640, abs=0.01)
        assert bottom < 800  # all are to be seen
    page.resize(500, 400)
    eventually(page, "document.querySelector('.frame').clientWidth < 260")
    sizes_cut = "[...document.querySelectorAll('.caption span')].filter((each) => each.scrollWidth > each.clientWidth)"
    assert page.run(f"{sizes_cut}.length") == 0, "a long title is cut, and not the size"


def test_the_zoom_is_of_the_screen_that_was_shown_alone(page: Page, hub: ScriptedHub) -> None:
    viewer = welcomed(hub, channel(1, (640, 400)), channel(2, (640, 400)))
    page.press("1", "f")
    assert page.run("document.getElementById('zoom').value") == "100 %"
    page.press("f", "Escape")
    zoom = page.run("document.getElementById('zoom').value")
    assert float(zoom.removesuffix(" %")) > 100
    assert viewer.until("watch")


def test_only_the_tiles_that_are_to_be_seen_are_watched(page: Page, hub: ScriptedHub) -> None:
    page.resize(500, 400)
    viewer = welcomed(hub, *(channel(n, (640, 400)) for n in range(1, 13)))
    eventually(page, "xshm.app.wall.visible.size > 0 && xshm.app.wall.visible.size < 8")
    page.run("document.querySelectorAll('.tile')[11].focus()")
    while "12" not in (watched := viewer.until("watch")["channels"]):
        pass
    assert "1" not in watched


def test_the_picture_is_saved_as_it_is(browser: Browser, page: Page, viewer: Viewer, tmp_path: Path) -> None:
    assert browser
    page.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path), eventsEnabled=False)
    viewer.draw(_SIZE, part(noise(_SIZE)))
    viewer.until("ack")
    page.press("s")
    eventually(page, "document.getElementById('told').value.startsWith('Saved as 99-20')")
    deadline = time.monotonic() + 5
    while not (files := list(tmp_path.glob("*.png"))):
        assert time.monotonic() < deadline, "nothing was saved"
        time.sleep(0.02)
    np.testing.assert_array_equal(np.asarray(Image.open(files[0]).convert("RGB")), noise(_SIZE))


def test_latency_is_by_the_hubs_clock(page: Page, viewer: Viewer) -> None:
    page.press("i")
    ping = viewer.until("ping")
    offset = 1_000_000_000_000
    viewer.say(type="pong", id=ping["id"], now_ns=time.monotonic_ns() + offset)
    eventually(page, "xshm.facts.now.trip !== undefined")
    for _ in range(5):
        viewer.draw(_SIZE, part(noise((20, 20))), changed_ns=time.monotonic_ns() + offset - 200_000_000)
        viewer.until("ack")
    facts = page.run("xshm.facts.now")
    assert 190 < facts["latency"] < 260
    assert facts["fps"] == 2.5
    assert facts["codecs"] == ["PNG"]
    eventually(page, "document.getElementById('facts').innerText.includes('2.5 a second')")
    page.press("i")
    assert text(page, "facts") == ""


def test_every_key_of_the_list_is_there_and_all_has_a_name(page: Page, viewer: Viewer) -> None:
    viewer.draw(_SIZE, part(noise(_SIZE)))
    viewer.until("ack")
    page.press("?")
    assert page.run("document.getElementById('keyboard').open")
    listed = text(page, "keyboard-list")
    for word in ("Full screen", "Save", "Light or dark", "This list"):
        assert word in listed
    page.press("Escape")
    unnamed = """[...document.querySelectorAll('button, select, canvas:not([aria-hidden]), [role=region]')]
      .filter(e => !(e.getAttribute('aria-label') || e.innerText.trim())).map(e => e.outerHTML)"""
    assert page.run(unnamed) == []
    page.press("F")
    eventually(page, "document.fullscreenElement?.id === 'stage'")
    page.press("F")
    eventually(page, "document.fullscreenElement === null")
    dark = page.run("getComputedStyle(document.body).backgroundColor")
    page.press("t")
    assert page.run("getComputedStyle(document.body).backgroundColor") != dark
    page.press("t")
