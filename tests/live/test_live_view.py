"""A live view shows a screen at a link, exactly, to several viewers, each at its own pace."""

from __future__ import annotations

import contextlib
import io
import re
import socket
import threading
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from live_client import LiveClient, fetched, pixels_of
from PIL import Image
from programs import eventually
from vnc import VncClient

import xshm
from xshm import LiveView
from xshm.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Iterator

    from painter import Painter

RED, BLUE, GREEN = (200, 30, 30), (10, 60, 220), (20, 180, 60)


@pytest.fixture
def live(screen: xshm.Screen) -> Iterator[LiveView]:
    with screen.live() as live:
        yield live


# -- what is shown -----------------------------------------------------------------------------------------------------


def test_a_page_has_exactly_what_the_screen_shows_and_what_changes(
    live: LiveView, screen: xshm.Screen, painter: Painter
) -> None:
    painter.rectangles()
    with LiveClient(live.url) as page:
        welcome = page.until("welcome")
        assert welcome["input"] is False
        (channel,) = welcome["channels"]
        assert (channel["id"], channel["width"], channel["height"], channel["state"]) == (1, 1280, 800, "live")
        assert screen._connection.display_name in welcome["title"]
        page.watch()
        page.until_equal(pixels_of(screen))
        painter.fill((40, 50, 60, 70), RED)
        page.until_equal(pixels_of(screen))
        last = page.updates[-1]
        assert sum(w * h for _, _, (_, _, w, h), _ in last.parts) <= 60 * 70  # not more than what has changed
        assert 0 < time.monotonic_ns() - last.changed_ns < 5e9
        painter.noise((0, 0, 1280, 800))
        page.until_equal(pixels_of(screen))
        assert page.lossy_pixels  # first fast, then exact


def test_a_still_screen_sends_nothing(live: LiveView, painter: Painter) -> None:
    painter.rectangles()
    with LiveClient(live.url) as page:
        page.watch()
        page.until_quiet()
        before = live.bytes
        with pytest.raises(TimeoutError):
            page.receive(1.5)
        assert live.bytes == before


def test_the_pointer_comes_beside_thepixels_of(live: LiveView, screen: xshm.Screen) -> None:
    with LiveClient(live.url) as page:
        page.watch()
        cursor = page.until("cursor")
        assert cursor["png"]
        page.until_quiet()
        screen.move(123, 234)
        page.until("pointer")
        page.until_quiet()
        pointer = [each for each in page.messages if each["type"] == "pointer"][-1]
        assert (pointer["x"], pointer["y"], pointer["visible"]) == (123, 234, True)


def test_a_viewer_that_stops_costs_others_nothing_and_gets_the_newest(
    live: LiveView, screen: xshm.Screen, painter: Painter
) -> None:
    with LiveClient(live.url) as stopped, LiveClient(live.url) as page:
        stopped.watch()
        page.watch()
        stopped.until_quiet()
        page.until_quiet()
        stopped.acknowledges = False
        for shade in range(40):
            painter.fill((0, 0, 100, 100), (shade * 5, 0, 0))
            page.until_equal(pixels_of(screen))
        assert live.viewers == 2
        before = len(stopped.updates)
        stopped.until_quiet()
        assert len(stopped.updates) - before <= 5  # all that was under way, and nothing was kept for it
        stopped.acknowledges = True
        last = stopped.updates[-1]
        stopped.send({"type": "ack", "channel": 1, "number": last.number})
        stopped.until_equal(pixels_of(screen))
        assert len(stopped.updates) - before <= 10


def test_what_was_left_and_is_watched_again_begins_anew_whatever_is_acknowledged(
    live: LiveView, screen: xshm.Screen, painter: Painter
) -> None:
    with LiveClient(live.url) as page:
        page.acknowledges = False
        page.watch()
        page.until_quiet()
        number = page.updates[-1].number
        page.send({"type": "watch", "channels": {}})
        painter.fill((0, 0, 300, 300), GREEN)
        page.acknowledges = True
        page.canvases.clear()
        page.watch()
        page.send({"type": "ack", "channel": 1, "number": number})
        page.until_equal(pixels_of(screen))


def test_what_could_not_be_decoded_is_sent_anew(live: LiveView, screen: xshm.Screen) -> None:
    with LiveClient(live.url) as page:
        page.watch()
        page.until_equal(pixels_of(screen))
        page.canvases[1][:] = 77
        page.send({"type": "broken", "channel": 1, "why": "a test"})
        page.until_equal(pixels_of(screen))


def test_a_ping_is_answered_by_the_hubs_clock(live: LiveView) -> None:
    with LiveClient(live.url) as page:
        page.send({"type": "ping", "id": 7})
        pong = page.until("pong")
        assert pong["id"] == 7
        assert abs(pong["now_ns"] - time.monotonic_ns()) < 2e9


def test_a_wall_has_several_which_come_and_go(screen: xshm.Screen, painter: Painter) -> None:
    other = painter.window((600, 300, 120, 90), BLUE, title="other")
    with screen.window(other.id) as window, LiveView(screen, title="all of it") as wall:
        number = wall.add(window, title="a <b>window</b>")
        assert number == 2
        with LiveClient(wall.url) as page:
            welcome = page.until("welcome")
            assert [each["title"] for each in welcome["channels"]] == ["all of it", "a <b>window</b>"]
            page.watch(1, 2, width=300)
            page.until_equal(np.full((90, 120, 3), BLUE, np.uint8), channel=2)
            third = wall.add(screen, region=(10, 20, 30, 40))
            assert third == 3
            assert [each["id"] for each in page.until("channels")["channels"]] == [1, 2, 3]
            page.watch(3)
            page.until_equal(screen.grab((10, 20, 30, 40)).rgb(), channel=3)
            wall.remove(3)
            assert [each["id"] for each in page.until("channels")["channels"]] == [1, 2]
            with pytest.raises(InvalidArgument, match=r"no screen has the number 3; there are \[1, 2\]"):
                wall.remove(3)
            page.watch(2)
            other.destroy()
            painter.display.sync()
            gone = page.until("channel")["channel"]
            assert (gone["id"], gone["state"], gone["words"]) == (2, "gone", "the window was closed")


def test_a_page_is_told_that_the_view_has_ended(screen: xshm.Screen) -> None:
    live = screen.live()
    live.start()
    with LiveClient(live.url) as page:
        page.watch()
        page.until_quiet(0.2)
        begun = time.monotonic()
        threading.Thread(target=live.stop).start()
        assert page.closed() == 1001
        assert time.monotonic() - begun < 2


def test_more_than_max_viewers_are_turned_away(screen: xshm.Screen) -> None:
    with screen.live(max_viewers=1) as live, LiveClient(live.url) as one:
        one.until("welcome")
        with LiveClient(live.url) as other:
            assert other.closed() == 1013
        assert live.viewers == 1
        one.close()
        eventually(lambda: live.viewers == 0)
        with LiveClient(live.url) as third:
            third.until("welcome")


# -- pictures over HTTP ------------------------------------------------------------------------------------------------


def test_frame_png_is_the_screen_of_now(live: LiveView, screen: xshm.Screen, painter: Painter) -> None:
    for colour in (RED, GREEN):  # the second one also shows that nothing is kept from the first
        painter.fill((0, 0, 200, 200), colour)
        status, headers, body = fetched(live.frame_url)
        assert (status, headers["Content-Type"]) == (200, "image/png")
        with Image.open(io.BytesIO(body)) as image:
            assert np.array_equal(np.asarray(image.convert("RGB")), pixels_of(screen))
    with LiveClient(live.url) as page:  # who is behind: a capture that nobody else has asked for
        page.acknowledges = False
        page.watch()
        page.until_quiet(0.3)
        painter.fill((0, 0, 200, 200), BLUE)
        page.until_quiet(0.3)
        for colour in (RED, GREEN, BLUE):
            painter.fill((0, 0, 200, 200), colour)
        with Image.open(io.BytesIO(fetched(live.frame_url)[2])) as image:
            assert image.convert("RGB").getpixel((5, 5)) == BLUE


def test_a_header_has_the_token_as_well(live: LiveView) -> None:
    url, token = live.frame_url.split("?token=")
    assert fetched(url, Authorization=f"Bearer {token}")[0] == 200
    assert fetched(url + "?channel=1", Authorization=f"bearer {token}")[0] == 200
    assert fetched(f"{live.frame_url}&channel=2")[0] == 404


def _pixel(image: Image.Image) -> Any:
    return image.convert("RGB").getpixel((600, 400))


def _parts(answer: Any) -> Iterator[bytes]:
    """Yield each picture once the headers of the next one are here, as Chromium shows it then."""
    head = b"--xshm-frame\r\nContent-Type: image/jpeg\r\n\r\n"
    assert answer.read(len(head)) == head
    data = b""
    while True:
        while head not in data:
            data += answer.read1()
        picture, _, data = data.partition(b"\r\n" + head)
        yield picture


def test_stream_mjpeg_has_a_picture_for_each_change(live: LiveView, painter: Painter) -> None:
    painter.fill((0, 0, 1280, 800), RED)
    with urllib.request.urlopen(live.stream_url, timeout=10) as answer:  # noqa: S310
        assert answer.headers["Content-Type"] == "multipart/x-mixed-replace; boundary=xshm-frame"
        parts = _parts(answer)
        for colour in (RED, GREEN, BLUE):
            painter.fill((0, 0, 1280, 800), colour)
            while True:
                with Image.open(io.BytesIO(next(parts))) as image:
                    assert image.size == (1280, 800)
                    found = _pixel(image)
                if np.abs(np.subtract(found, colour)).max() < 12:
                    break
        assert live.viewers == 1
    eventually(lambda: live.viewers == 0)


def test_a_stream_that_is_not_read_gets_the_newest_picture_afterwards(live: LiveView, painter: Painter) -> None:
    painter.noise((0, 0, 1280, 800))
    with contextlib.closing(socket.create_connection(_where(live))) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 15)
        sock.sendall(
            f"GET {live.stream_url[live.stream_url.index('/stream') :]} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        )
        for _ in range(25):  # some 10 MB
            painter.noise((0, 0, 1280, 800))
            time.sleep(0.02)
        painter.fill((0, 0, 1280, 800), BLUE)
        time.sleep(0.3)
        before = live.bytes
        assert before < 6_000_000
        file = sock.makefile("rb")
        while file.readline() != b"\r\n":
            pass
        for number, part in enumerate(_parts(file)):
            with Image.open(io.BytesIO(part)) as image:
                if np.abs(np.subtract(_pixel(image), BLUE)).max() < 12:
                    break
            assert number < 12


def _where(live: LiveView) -> tuple[str, int]:
    found = re.match(r"https?://([^/]+):(\d+)/", live.url)
    assert found is not None
    return found[1], int(found[2])


# -- VNC ---------------------------------------------------------------------------------------------------------------


def test_vnc_clients_see_the_same_behind_their_password(screen: xshm.Screen, painter: Painter) -> None:
    painter.rectangles()
    with screen.live(vnc_port=0) as live:
        assert live.vnc is not None
        assert live.vnc_password is not None
        host, port = live.vnc
        assert host == "127.0.0.1"
        client = VncClient(port, live.vnc_password)
        with contextlib.closing(client.socket):
            assert client.pixels.shape == (800, 1280)
            eventually(lambda: live.viewers == 1)
            assert live.bytes > 0
        eventually(lambda: live.viewers == 0)
        with pytest.raises(PermissionError):
            VncClient(port, "wrong-pw")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, port))


def test_without_vnc_there_is_no_way_to_it(live: LiveView) -> None:
    assert live.vnc is None
    assert live.vnc_password is None
    assert fetched(live.frame_url.partition("/frame")[0] + "/rfb", Upgrade="websocket")[0] == 404


def test_screens_that_change_while_the_loop_is_busy_are_told_of_and_shown(screen: xshm.Screen) -> None:
    with xshm.VirtualDisplay(300, 150) as other, screen.live() as live, LiveClient(live.url) as page:
        live.add(screen)
        live.add(screen)
        page.watch(1, 2, 3)
        page.until_quiet(0.3)
        assert live._hub is not None
        assert live._hub._loop is not None
        live._hub._loop.call_soon_threadsafe(time.sleep, 0.3)
        for number in (1, 2, 3):
            live.remove(number)
        assert live.add(other) == 1  # the number of one that went, of which the page does not hear
        told = [page.until("channels")["channels"] for _ in range(4)]
        assert [[each["width"] for each in channels] for channels in told] == [[300]] * 4
        page.until_equal(other.screen.grab().rgb())
