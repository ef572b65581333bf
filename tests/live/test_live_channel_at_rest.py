"""A channel of a live view keeps nothing on the server and asks nothing of it where there is nothing to see."""

from __future__ import annotations

import gc
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from channel_viewer import Viewer
from forked import in_child
from painter import Painter
from pointers import Pointers
from programs import eventually
from round_trips import relayed

import xshm
from xshm.live import channel as channels
from xshm.live.channel import Channel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from servers import Server

    from xshm.capture.source import Source

_RED, _BLUE = (200, 30, 30), (10, 60, 220)


@pytest.fixture
def opened() -> Iterator[Callable[..., Channel]]:
    channels: list[Channel] = []

    def open_channel(source: Source, region: Any = None, fps: float = 200) -> Channel:
        channels.append(Channel(1, "a title", source, region, fps=fps))
        return channels[-1]

    yield open_channel
    for each in channels:
        each.close()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a channel look, and give a server up, after less than a second."""
    monkeypatch.setattr(channels, "_PATROL", 0.4)
    monkeypatch.setattr(channels, "_PATIENCE", 0.1)


def _held(painter: Painter, screen: xshm.Screen) -> dict[str, int]:
    """Return how many things of each type the server keeps for a connection, by the X-Resource extension."""
    counts = painter.display.res_query_client_resources(screen.connection.info.resource_id_base).types
    named = {painter.display.get_atom_name(each.resource_type): each.count for each in counts}
    # The pool's, for frames of each size; and the list of what the client selects, which the server keeps when empty.
    return {name: count for name, count in named.items() if name not in {"ShmSeg", "INPUTCLIENT"}}


def _until_seen(viewer: Viewer) -> Viewer:
    viewer.until(lambda: viewer.channel.picture)
    return viewer


def _wait_for_quiet(channel: Channel) -> None:
    eventually(lambda: channel.picture is None)
    eventually(lambda: not [each for each in threading.enumerate() if each.name == f"xshm-live-{channel.number}"])


def test_after_the_last_viewer_the_server_keeps_nothing_and_sends_nothing(
    screen: xshm.Screen, painter: Painter, opened: Callable[..., Channel]
) -> None:
    screen.grab()
    screen.move(1, 1)
    channel = opened(screen)
    before = _held(painter, screen)
    viewers = [_until_seen(Viewer(channel)) for _ in range(3)]
    assert sum(_held(painter, screen).values()) > sum(before.values())  # else nothing is proved here
    for each in viewers:
        each.watch.close()
    _wait_for_quiet(channel)
    assert _held(painter, screen) == before
    counted = screen._session.pointing
    assert counted is not None
    count = counted.count
    painter.display.xtest_fake_input(6, x=50, y=60)  # MotionNotify
    painter.root.warp_pointer(70, 80)
    painter.display.sync()
    screen.connection.sync()
    assert counted.count == count


@pytest.mark.usefixtures("quick")
def test_a_watch_that_is_dropped_has_ended(screen: xshm.Screen, opened: Callable[..., Channel]) -> None:
    channel = opened(screen)
    viewer: Viewer | None = _until_seen(Viewer(channel))
    assert viewer is not None
    viewer = None
    gc.collect()
    _wait_for_quiet(channel)
    dropped: Viewer | None = Viewer(channel)
    closed = _until_seen(Viewer(channel))
    dropped = None  # noqa: F841 - that is what it is about
    gc.collect()
    closed.watch.close()
    _wait_for_quiet(channel)


def test_a_hidden_window_is_not_asked_about(make_server: Callable[..., Server], opened: Callable[..., Channel]) -> None:
    server = make_server("Xvfb", 320, 240)
    with relayed(server) as relay, xshm.Screen(relay.name) as screen, Painter(server) as painter:
        window = painter.window((10, 10, 100, 80), _RED)
        with screen.window(window.id) as shown:
            viewer = _until_seen(Viewer(opened(shown)))
            window.unmap()
            painter.display.sync()
            viewer.until(lambda: viewer.channel.state.kind == "hidden")
            time.sleep(0.1)
            sent = relay.round_trips
            time.sleep(1)
            assert relay.round_trips - sent <= 3  # of the one patrol that may be in this second
            window.map()
            began = time.monotonic()
            painter.display.sync()
            viewer.until(lambda: viewer.channel.state.kind == "live")
            assert time.monotonic() - began < 0.6
            assert viewer.shows(shown)


def test_a_window_that_is_hidden_from_the_start_is_seen_once_it_is_shown(
    screen: xshm.Screen, painter: Painter, opened: Callable[..., Channel]
) -> None:
    window = painter.window((10, 10, 100, 80), _RED)
    with screen.window(window.id) as shown:
        window.unmap()
        painter.display.sync()
        channel = opened(shown)
        viewer = Viewer(channel)
        viewer.until(lambda: channel.state.kind == "hidden")
        assert channel.picture is None
        window.map()
        painter.display.sync()
        viewer.until(lambda: channel.picture and channel.state.kind == "live" and viewer.shows(shown))
        assert channel.size == (100, 80)


@pytest.mark.usefixtures("quick")
def test_a_pixmap_that_is_freed_is_told(screen: xshm.Screen, painter: Painter, opened: Callable[..., Channel]) -> None:
    pixmap = painter.root.create_pixmap(60, 40, painter.screen.root_depth)
    painter.fill((0, 0, 60, 40), _RED, pixmap)
    viewer = _until_seen(Viewer(opened(screen.pixmap(pixmap.id))))
    assert (viewer.rgb() == _RED).all()
    pixmap.free()
    painter.display.sync()
    viewer.until(lambda: viewer.channel.state.kind == "gone")
    assert viewer.channel.state.words == "the pixmap was freed"


@pytest.mark.parametrize("depth", [24, 32])
def test_a_window_of_another_depth_is_seen_over_black(
    screen: xshm.Screen, painter: Painter, opened: Callable[..., Channel], depth: int
) -> None:
    pixmap = painter.root.create_pixmap(64, 48, depth)
    drawn = pixmap.create_gc(foreground=0x80402010)
    pixmap.fill_rectangle(drawn, 0, 0, 64, 48)
    painter.display.sync()
    source = screen.pixmap(pixmap.id)
    viewer = _until_seen(Viewer(opened(source)))
    assert np.array_equal(viewer.rgb()[0, 0], (0x40, 0x20, 0x10))
    drawn.change(foreground=0xFF102040)
    pixmap.fill_rectangle(drawn, 5, 6, 7, 8)
    painter.display.sync()
    viewer.until(lambda: np.array_equal(viewer.rgb()[6, 5], (0x10, 0x20, 0x40)))
    pixmap.free()


def test_a_screen_of_our_own_that_is_resized_is_another_picture(opened: Callable[..., Channel]) -> None:
    with xshm.VirtualDisplay(640, 480) as display:
        channel = opened(display.screen)
        viewer = _until_seen(Viewer(channel))
        for size in ((320, 200), (640, 480), (400, 300)):
            display.resize(*size)
            viewer.until(lambda size=size: channel.picture is not None and channel.picture.size == size)  # type: ignore[misc]
            display.run(["xsetroot", "-solid", f"#{size[0]:06x}"]).wait()
            viewer.until(lambda: viewer.shows(display.screen))
            assert channel.size == size


def test_a_region_of_a_screen_that_was_made_smaller_is_black_outside(opened: Callable[..., Channel]) -> None:
    with xshm.VirtualDisplay(640, 480) as display:
        display.run(["xsetroot", "-solid", "#ff8040"]).wait()
        viewer = _until_seen(Viewer(opened(display.screen, xshm.Rect(300, 200, 200, 200))))
        display.resize(400, 300)
        display.run(["xsetroot", "-solid", "#4080ff"]).wait()
        viewer.until(lambda: viewer.rgb()[0, 0].tolist() == [0x40, 0x80, 0xFF])
        assert viewer.channel.size == (200, 200)
        assert not viewer.rgb()[100:].any()
        assert not viewer.rgb()[:, 100:].any()


def test_a_pointer_that_is_warped_or_has_another_image_is_told(
    make_server: Callable[..., Server], opened: Callable[..., Channel]
) -> None:
    server = make_server("Xvfb", 320, 240)
    with xshm.Screen(server.name) as screen, Pointers(server) as pointers, Painter(server) as painter:
        window = painter.window((0, 0, 320, 240), _BLUE)
        window.change_attributes(event_mask=1 << 6)  # PointerMotionMask: no event of a warp reaches the root window
        painter.display.sync()
        viewer = _until_seen(Viewer(opened(screen)))
        image = np.zeros((6, 5, 4), np.uint8)
        image[...] = (255, 0, 0, 255)
        pointers.show(pointers.picture(image, (3, 4)))
        pointers.move(100, 50)
        viewer.until(lambda: viewer.channel.pointer[:2] == (100, 50))
        viewer.until(lambda: viewer.channel.pointer.image and viewer.channel.pointer.image.sprite.shape == (6, 5, 4))
        shown = viewer.channel.pointer.image
        assert shown is not None
        assert shown.hotspot == (3, 4)


def test_what_is_waited_for_is_not_looked_at_and_what_is_back_is_shown_at_once(
    make_server: Callable[..., Server], opened: Callable[..., Channel]
) -> None:
    first, second = make_server("Xvfb", 320, 240), make_server("Xvfb", 200, 100)
    with xshm.Screen(first.name) as screen, xshm.Screen(second.name) as other, Painter(first) as painter:
        channel = opened(screen)
        viewer = _until_seen(Viewer(channel))
        channel.wait_for_it("it is to come back")
        painter.rectangles(5)
        time.sleep(0.1)
        assert (channel.state.kind, channel.state.words) == ("waiting", "it is to come back")
        for source, size in ((other, (200, 100)), (screen, (320, 240)), (other, (200, 100))):
            began = time.monotonic()
            channel.replace(source)
            viewer.until(lambda size=size: channel.size == size)  # type: ignore[misc]
            assert time.monotonic() - began < 1
            assert channel.state.kind == "live"


@pytest.mark.usefixtures("quick")
def test_a_stopped_server_is_asked_once(make_server: Callable[..., Server], opened: Callable[..., Channel]) -> None:
    server = make_server("Xvfb", 320, 240)
    with relayed(server) as relay, xshm.Screen(relay.name) as screen:
        channel = opened(screen)
        viewer = _until_seen(Viewer(channel))
        server.pause()
        try:
            viewer.until(lambda: channel.state.kind == "stopped")
            time.sleep(0.6)
            sent = relay.nbytes
            time.sleep(0.6)
            assert relay.nbytes == sent
            began = time.monotonic()
            viewer.watch.close()
            channel.close()
            assert time.monotonic() - began < 1.2
        finally:
            server.resume()
        _wait_for_quiet(channel)


def test_in_a_forked_child_a_channel_does_nothing(screen: xshm.Screen, opened: Callable[..., Channel]) -> None:
    channel = opened(screen)
    viewer = _until_seen(Viewer(channel))

    taken = threading.Event()
    given = threading.Event()

    def holder() -> None:
        with channel._lock:  # as a thread of the parent's may, in the moment of the fork
            taken.set()
            given.wait(10)

    thread = threading.Thread(target=holder)
    thread.start()
    taken.wait()
    try:
        assert in_child(lambda: _all_of_it(viewer, channel, screen)) == "[1, 'live']"
    finally:
        given.set()
        thread.join()
    before = viewer.wakes
    screen.move(200, 200)
    viewer.until(lambda: viewer.wakes > before)


def _all_of_it(viewer: Viewer, channel: Channel, screen: xshm.Screen) -> list[object]:
    viewer.watch.want()
    other = channel.watch(lambda: None)
    other.want()
    other.close()
    viewer.watch.close()
    channel.replace(screen)
    channel.wait_for_it("never")
    channel.close()
    return [threading.active_count(), channel.state.kind]


@pytest.mark.proof
@pytest.mark.timeout(300)
def test_memory_is_flat_under_a_painter_whose_viewer_never_wants(
    make_server: Callable[..., Server], opened: Callable[..., Channel]
) -> None:
    """A minute; one viewer has its first picture, and wants no other; then a minute of one who wants all."""
    server = make_server("Xvfb", 1280, 800)
    with xshm.Screen(server.name) as screen, Painter(server) as painter:
        viewer = _until_seen(Viewer(opened(screen, fps=60)))
        for is_wanting in (False, True):
            sizes: list[tuple[int, int]] = []
            cpu = time.process_time()
            end = time.monotonic() + 60
            while time.monotonic() < end:
                for number in range(20):  # in two colours: the painter remembers each
                    at = 37 * (len(sizes) + number)
                    painter.fill((at % 1200, at % 700, 80, 80), (_RED, _BLUE)[number % 2])
                if is_wanting:
                    viewer.watch.want()
                time.sleep(0.02)
                sizes.append((_resident("self"), _resident(server.pid)))
            third = len(sizes) // 3
            middle = [max(each) for each in zip(*sizes[third : 2 * third], strict=True)]
            last = [max(each) for each in zip(*sizes[2 * third :], strict=True)]
            print(is_wanting, middle, last, time.process_time() - cpu)
            assert last[0] - middle[0] < 1 << 20
            assert last[1] - middle[1] < 1 << 20


def _resident(pid: int | str) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096
