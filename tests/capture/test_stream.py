"""Streams: paced, as fast as they are used, or on change; in a loop and in an event loop."""

from __future__ import annotations

import asyncio
import gc
import itertools
import math
import pickle
import resource
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from colours import BLUE, GREEN, RED
from delayed import later
from servers import start

import xshm
from xshm.errors import Closed, DisplayGone, InvalidArgument, InvalidType, OutOfBounds, PoolExhausted, WindowGone
from xshm.geometry import Rect

if TYPE_CHECKING:
    from collections.abc import Callable

    from painter import Painter
    from servers import Server

    from xshm.capture.stream import Stream
    from xshm.image.frame import Frame

KINDS: list[dict[str, Any]] = [{}, {"fps": 100}, {"on_change": True}, {"cursor": True}, {"on_change": True, "fps": 100}]


# -- what comes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("transport", ["sysv", "fd", "core"])
def test_a_stream_begins_with_the_picture_that_is_there(
    xvfb: Server, painter: Painter, transport: str, kind: dict[str, Any]
) -> None:
    painter.rectangles(20)
    with xshm.Screen(xvfb.name, transport) as screen, screen.stream((10, 20, 300, 200), **kind) as stream:
        frame = next(stream)
        assert not frame.diff(screen.grab((10, 20, 300, 200), cursor=kind.get("cursor", False)))
        assert (frame.changed is not None) == kind.get("on_change", False)


def test_each_frame_of_a_stream_is_whole_and_later_than_the_last(screen: xshm.Screen, painter: Painter) -> None:
    painter.fill((0, 0, 50, 50), BLUE)
    frames = []
    for shade, frame in enumerate(screen.stream((0, 0, 50, 50))):
        frames.append((frame, frame.pixel(0, 0)))
        painter.fill((0, 0, 50, 50), (shade, 1, 2))
        if shade == 12:
            break
    assert [pixel for frame, pixel in frames] == [frame.pixel(49, 49) for frame, _ in frames]
    times = [frame.monotonic_ns for frame, _ in frames]
    assert times == sorted(times)
    assert frames[-1][1] in {(shade, 1, 2) for shade in (10, 11)}  # asked for while the one before was in use


def test_a_stream_says_how_it_takes_frames_and_each_is_of_now_whichever_way(
    screen: xshm.Screen, painter: Painter
) -> None:
    async def seen(stream: Stream) -> tuple[int, int, int]:
        return (await anext(stream)).pixel(0, 0)

    painter.fill((0, 0, 9, 9), (0, 0, 0))
    with screen.stream((0, 0, 9, 9)) as stream, asyncio.Runner() as runner:
        assert "until both ways have been timed" in stream.how
        for shade in range(1, 60):
            found = runner.run(seen(stream)) if shade % 3 == 0 else next(stream).pixel(0, 0)
            assert found in {(shade - 1, 0, 0), (max(0, shade - 2), 0, 0)}
            painter.fill((0, 0, 9, 9), (shade, 0, 0))
        assert stream.how.count("µs") == 1


def test_the_time_of_a_frame_is_not_later_than_what_it_shows(screen: xshm.Screen, painter: Painter) -> None:
    stream = screen.stream((0, 0, 10, 10))
    next(stream)
    time.sleep(0.05)
    drawn = time.monotonic_ns()
    painter.fill((0, 0, 10, 10), (7, 8, 9))
    frame = next(stream)
    assert (frame.pixel(0, 0) == (7, 8, 9)) <= (frame.monotonic_ns > drawn)


def test_a_paced_stream_keeps_to_its_grid_of_time(screen: xshm.Screen) -> None:
    with screen.stream((0, 0, 64, 64), fps=100) as stream:
        begin = time.monotonic()
        for _ in itertools.islice(stream, 101):
            time.sleep(0.002)
        took = time.monotonic() - begin
    # Whatever the machine does in between, what was left out is counted; the grid itself does not move.
    assert took == pytest.approx((100 + stream.skipped) / 100, abs=0.05)


def test_who_is_slow_gets_the_newest_and_the_count_of_what_was_left_out(screen: xshm.Screen, painter: Painter) -> None:
    with screen.stream((0, 0, 9, 9), fps=50) as stream:
        next(stream)
        time.sleep(0.131)  # six points of the grid have passed
        painter.fill((0, 0, 9, 9), GREEN)
        assert next(stream).pixel(0, 0) == GREEN
        assert 5 <= stream.skipped <= 8


def test_a_stream_on_change_waits_for_drawing_and_says_where(screen: xshm.Screen, painter: Painter) -> None:
    with screen.stream((50, 50, 200, 100), on_change=True) as stream:
        next(stream)
        begin = time.monotonic()
        with later(0.2, painter.fill, (60, 70, 20, 10), RED):
            frame = next(stream)
            assert time.monotonic() - begin >= 0.2
        assert frame.changed == (Rect(60, 70, 20, 10),)


def test_on_change_with_a_rate_gathers_changes(screen: xshm.Screen, painter: Painter) -> None:
    with screen.stream((0, 0, 300, 300), fps=10, on_change=True) as stream:
        next(stream)
        begin = time.monotonic()
        painter.fill((0, 0, 5, 5), RED)
        first = next(stream)
        painter.fill((10, 10, 5, 5), RED)
        with later(0.03, painter.fill, (30, 30, 5, 5), BLUE):
            second = next(stream)
        assert time.monotonic() - begin >= 0.19
        assert first.changed == (Rect(0, 0, 5, 5),)
        assert second.changed == (Rect(10, 10, 5, 5), Rect(30, 30, 5, 5))


def test_a_pointer_put_elsewhere_over_a_window_that_takes_its_motion_is_seen_all_the_same(
    screen: xshm.Screen, painter: Painter
) -> None:
    window = painter.window((100, 100, 300, 300), BLUE)
    window.change_attributes(event_mask=1 << 6)  # PointerMotion
    painter.root.warp_pointer(150, 150)
    painter.display.sync()
    with screen.stream(on_change=True, cursor=True) as stream:
        next(stream)
        painter.root.warp_pointer(250, 251)  # gives no event: it is found by a query from time to time
        painter.display.sync()
        while (frame := next(stream)).cursor is None or frame.cursor.position != (250, 251):
            pass
        assert not frame.diff(screen.grab(cursor=True))


def test_the_pointer_as_a_layer_is_told_and_not_drawn(screen: xshm.Screen, painter: Painter) -> None:
    painter.root.warp_pointer(15, 15)
    painter.display.sync()
    with screen.stream(on_change=True, cursor="layer") as stream:
        frame = next(stream)
        assert frame.cursor is not None
        assert not frame.diff(screen.grab())
        painter.root.warp_pointer(40, 44)
        painter.display.sync()
        frame = next(stream)
        assert frame.cursor is not None
        assert frame.cursor.position == (40, 44)
        assert frame.changed == ()


# -- ends and accidents ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_closed_stream_ends_the_loop(screen: xshm.Screen, kind: dict[str, Any]) -> None:
    stream = screen.stream(**kind)
    next(stream)
    stream.close()
    stream.close()
    assert list(stream) == []


def test_a_stream_that_was_left_gives_back_with_the_next(xvfb: Server) -> None:
    with xshm.Screen(xvfb.name, "sysv") as screen:
        for _ in range(5):
            for _ in screen.stream(on_change=True):
                break
        screen.stream().close()
        screen.connection.sync()
        gc.collect()
        assert xvfb.segments() == 0


def test_what_is_raised_in_the_loop_comes_out_of_it_and_the_next_stream_is_right(
    screen: xshm.Screen, painter: Painter
) -> None:
    def use() -> None:
        with screen.stream(on_change=True) as stream:
            for frame in stream:
                frame.pixel(0, 10_000)

    with pytest.raises(InvalidArgument):
        use()
    painter.fill((0, 0, 9, 9), BLUE)
    assert next(screen.stream(on_change=True)).pixel(0, 0) == BLUE


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_ctrl_c_while_it_waits_is_raised_at_once_and_it_can_go_on(
    screen: xshm.Screen, painter: Painter, kind: dict[str, Any]
) -> None:
    with screen.stream((0, 0, 99, 99), **kind) as stream:
        next(stream)
        main = threading.main_thread().ident
        assert main is not None
        with later(0.1, signal.pthread_kill, main, signal.SIGINT), pytest.raises(KeyboardInterrupt):
            for _ in stream:
                pass
        painter.fill((0, 0, 99, 99), GREEN)
        assert any(frame.pixel(9, 9) == GREEN for frame in itertools.islice(stream, 2))


def test_who_keeps_frames_meets_the_limit_as_an_error_and_can_go_on(xvfb: Server) -> None:
    with xshm.Screen(xvfb.name, max_frames=4, copies=False) as screen:
        stream, kept = screen.stream(), list[Any]()
        with pytest.raises(PoolExhausted, match="4 frames are held"):
            any(map(kept.append, stream))  # `append` returns None: all of them, until it raises
        assert len(kept) <= 4
        kept.clear()
        next(stream)


def _destroy(painter: Painter, window: Any) -> None:
    window.destroy()
    painter.display.sync()


def test_a_window_that_is_destroyed_ends_its_streams_with_a_typed_error(screen: xshm.Screen, painter: Painter) -> None:
    for kind in KINDS:
        window = painter.window((10, 10, 100, 80), RED)
        with screen.window(window.id) as source, source.stream(**kind) as stream:
            assert next(stream).pixel(5, 5) == RED
            with later(0.1, _destroy, painter, window), pytest.raises(WindowGone):
                for _ in stream:
                    pass


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_stream_of_everything_follows_a_window_that_is_resized(
    screen: xshm.Screen, painter: Painter, kind: dict[str, Any]
) -> None:
    window = painter.window((10, 10, 100, 80), RED)
    with screen.window(window.id) as source, source.stream(**kind) as stream:
        for width, height in ((100, 80), (200, 150), (60, 50)):
            window.configure(width=width, height=height)
            painter.display.sync()
            wanted = Rect(0, 0, width, height)
            assert any(frame.rect == wanted for frame in itertools.islice(stream, 2))


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_stream_of_a_screen_that_is_resized_goes_on_with_the_new_size(
    make_server: Callable[..., Server], kind: dict[str, Any]
) -> None:
    server = make_server("Xvnc", 1024, 768)
    with xshm.Screen(server.name) as screen, screen.stream(**kind) as stream:
        assert next(stream).rect == Rect(0, 0, 1024, 768)
        for mode in ("640x480", "800x600"):
            server.resize(mode)
            assert any(str(frame.rect) == f"{mode}+0+0" for frame in itertools.islice(stream, 2))
        with screen.stream((700, 500, 50, 50), **kind) as part:
            next(part)
            server.resize("640x480")
            with pytest.raises(OutOfBounds, match="640x480"):
                list(itertools.islice(part, 3))


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_server_that_dies_ends_a_stream_with_display_gone(kind: dict[str, Any]) -> None:
    with start("Xvfb", 320, 240) as server, xshm.Screen(server.name) as screen, screen.stream(**kind) as stream:
        next(stream)
        server.kill()
        with pytest.raises(DisplayGone):
            list(itertools.islice(stream, 3))


def test_a_closed_screen_ends_a_stream_with_closed(xvfb: Server) -> None:
    with xshm.Screen(xvfb.name) as screen:
        streams = [screen.stream(**kind) for kind in KINDS]
        for stream in streams:
            next(stream)
    for stream in streams:
        with pytest.raises(Closed):
            list(itertools.islice(stream, 3))
        stream.close()


def test_a_rate_of_a_wrong_type_is_refused(screen: xshm.Screen) -> None:
    for fps in ("30", True, [30]):
        with pytest.raises(InvalidType, match="fps"):
            screen.stream(fps=fps)  # type: ignore[arg-type]


def test_a_stream_refuses_pickling_and_says_what_to_send(screen: xshm.Screen) -> None:
    for kind in KINDS:
        with screen.stream(**kind) as stream, pytest.raises(InvalidType, match="send the Frames"):
            pickle.dumps(stream)


@pytest.mark.parametrize("fps", [0, -1, math.inf, math.nan])
def test_a_rate_that_is_none_is_refused(screen: xshm.Screen, fps: float) -> None:
    with pytest.raises(InvalidArgument, match="fps"):
        screen.stream(fps=fps)


def test_a_region_that_leaves_the_screen_is_refused_at_once(screen: xshm.Screen) -> None:
    with pytest.raises(OutOfBounds, match="1280x800"):
        screen.stream((1200, 0, 100, 100), on_change=True)


# -- in an event loop ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_an_event_loop_gets_the_same_frames(screen: xshm.Screen, painter: Painter, kind: dict[str, Any]) -> None:
    async def seen() -> list[tuple[int, int, int]]:
        found = []
        with screen.stream((0, 0, 40, 40), **kind) as stream:
            async for frame in stream:
                found.append(frame.pixel(5, 5))
                if len(found) == 3:
                    break
                asyncio.get_running_loop().call_later(0.01, painter.fill, (0, 0, 40, 40), (len(found), 0, 0))
                await asyncio.sleep(0.03)
        return found

    painter.fill((0, 0, 40, 40), (0, 0, 0))
    painter.root.warp_pointer(600, 600)
    painter.display.sync()
    found = asyncio.run(seen())
    assert found[0] == (0, 0, 0)
    assert found == sorted(found)
    assert found[-1] > (0, 0, 0)


def test_two_streams_of_one_screen_share_an_event_loop_without_threads(screen: xshm.Screen, painter: Painter) -> None:
    async def first_change(region: Rect) -> Frame:
        with screen.stream(region, on_change=True) as stream:
            await anext(stream)
            return await anext(stream)

    async def both() -> tuple[Frame, Frame]:
        loop = asyncio.get_running_loop()
        loop.call_later(0.1, painter.fill, (0, 0, 5, 5), RED)
        loop.call_later(0.2, painter.fill, (100, 0, 5, 5), BLUE)
        threads = threading.active_count()
        left, right = asyncio.create_task(first_change(Rect(0, 0, 50, 50))), first_change(Rect(100, 0, 50, 50))
        found = await asyncio.wait_for(asyncio.gather(left, right), 5)
        assert threading.active_count() == threads
        return found[0], found[1]

    left, right = asyncio.run(both())
    assert (left.pixel(0, 0), right.pixel(100, 0)) == (RED, BLUE)


def test_a_cancelled_wait_leaves_the_stream_and_the_loop_in_order(screen: xshm.Screen, painter: Painter) -> None:
    async def interrupted() -> Frame:
        with screen.stream((0, 0, 50, 50), on_change=True) as stream:
            await anext(stream)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(stream), 0.1)
            asyncio.get_running_loop().call_later(0.05, painter.fill, (3, 3, 5, 5), GREEN)
            return await asyncio.wait_for(anext(stream), 5)

    assert asyncio.run(interrupted()).changed == (Rect(3, 3, 5, 5),)


def test_the_event_loop_is_free_while_a_stopped_server_does_not_answer() -> None:
    async def ticks(screen: xshm.Screen, server: Server) -> int:
        with screen.stream((0, 0, 50, 50)) as stream:
            await anext(stream)
            await asyncio.sleep(0.1)  # so that the one that is under way has come
            server.pause()
            await anext(stream)
            task = asyncio.create_task(anext(stream))
            count = 0
            while count < 20:
                await asyncio.sleep(0.005)
                count += 1
            assert not task.done()
            server.resume()
            await asyncio.wait_for(task, 5)
            return count

    with start("Xvfb", 320, 240) as server, xshm.Screen(server.name) as screen:
        assert asyncio.run(ticks(screen, server)) == 20


def test_an_idle_screen_wakes_an_event_loop_four_times_a_second(screen: xshm.Screen) -> None:
    def slept() -> int:  # times; what each waking costs is the machine's affair
        return resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw

    async def idle() -> int:
        with screen.stream(on_change=True) as stream:
            await anext(stream)
            with pytest.raises(TimeoutError):  # the event loop's own beginnings are not counted
                await asyncio.wait_for(anext(stream), 0.05)
            before = slept()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(stream), 3)
            return slept() - before

    assert asyncio.run(idle()) <= 3 * 4 + 3
