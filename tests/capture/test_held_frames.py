"""Hundreds of frames held: shared memory up to the limit, copies beyond it, PoolExhausted with copies=False."""

from __future__ import annotations

import asyncio
import itertools
import pickle
import re
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from interrupt_workload import new_segments, own_segments
from sysv_kernel import run_python, run_python_with_few_segments
from watching import WAYS, first, watching

import xshm
from xshm.geometry import Rect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from painter import Painter
    from servers import Server

    from xshm.image.frame import Frame
    from xshm.shm.pool import PoolStats

LIMIT = 3
BOX = (10, 20, 64, 48)


@pytest.fixture(params=["sysv", "fd"])
def screen(xvfb: Server, painter: Painter, request: pytest.FixtureRequest) -> Iterator[xshm.Screen]:
    painter.rectangles()
    with xshm.Screen(xvfb.name, request.param, max_frames=LIMIT) as screen:
        yield screen


def pool(screen: xshm.Screen) -> PoolStats:
    found = screen.stats().pool
    assert found is not None
    return found


def full(screen: xshm.Screen) -> list[Frame]:
    return [screen.grab(BOX) for _ in range(LIMIT)]


def are_apart(frames: list[Frame]) -> bool:
    return not any(np.shares_memory(one.pixels, other.pixels) for one, other in itertools.combinations(frames, 2))


# -- grabs -----------------------------------------------------------------------------------------------------------


def test_frames_beyond_the_limit_are_copies_that_stay_as_they_are(screen: xshm.Screen, painter: Painter) -> None:
    held = []
    for shade in range(12):
        painter.fill((0, 0, 200, 200), (shade, 1, 2))
        held.append(screen.grab(BOX))
    assert [frame.shared for frame in held] == [True] * LIMIT + [False] * 9
    assert all((frame.rgb() == (shade, 1, 2)).all() for shade, frame in enumerate(held))
    assert are_apart(held)
    stats = screen.stats()
    assert (stats.frames, stats.copies) == (12, 9)
    assert (pool(screen).held, pool(screen).slots, pool(screen).limit) == (LIMIT, LIMIT + 1, LIMIT)
    held[-1].pixels[...] = 0


def test_as_many_frames_are_held_as_anyone_asks_for(xvfb: Server) -> None:
    before = own_segments()
    with xshm.Screen(xvfb.name, "sysv") as screen:
        held = [screen.grab((0, 0, 32, 32)) for _ in range(500)]
        assert sum(frame.shared for frame in held) == screen.max_frames == 64
        assert screen.stats().copies == 436
        screen.connection.sync()
        assert len(new_segments(before)) == 65


def test_a_frame_is_shared_again_once_one_was_let_go(screen: xshm.Screen) -> None:
    held = full(screen)
    assert not screen.grab(BOX).shared
    del held[1]
    assert screen.grab(BOX).shared
    held.append(screen.grab(BOX))
    assert not screen.grab(BOX).shared


def test_the_slot_that_copies_came_through_is_given_back_when_it_is_not_wanted(screen: xshm.Screen) -> None:
    held = full(screen)
    screen.grab(BOX)
    assert pool(screen).slots == LIMIT + 1
    del held[0]
    for _ in range(400):
        screen.grab(BOX)
    assert pool(screen).slots == LIMIT


def test_the_slot_that_a_copy_came_through_is_free_as_soon_as_there_is_the_copy(screen: xshm.Screen) -> None:
    held = full(screen)
    begun = screen._begin(Rect(*BOX))
    assert pool(screen).held == LIMIT + 1
    assert not screen._finish(begun, Rect(*BOX)).shared
    assert pool(screen).held == len(held)  # though who asked for it has still got the question
    assert begun.copied


@pytest.mark.parametrize("verb", ["whole", "clip", "pointer", "layer", "into", "many", "window", "pixmap", "stream"])
def test_each_verb_goes_on_beyond_the_limit(screen: xshm.Screen, painter: Painter, verb: str) -> None:
    held = full(screen)
    window = painter.window((30, 30, 90, 70), (1, 2, 3))
    if verb == "into":
        array = np.zeros((48, 64, 4), np.uint8)
        screen.grab_into(array, BOX)
        held.clear()
        assert np.array_equal(array[..., :3], screen.grab(BOX).pixels[..., :3])
        return
    source: Any = screen
    if verb == "window":
        source = screen.window(window.id)
    elif verb == "pixmap":
        pixmap = painter.root.create_pixmap(64, 48, 24)
        gc = pixmap.create_gc(foreground=0x123456)
        pixmap.fill_rectangle(gc, 0, 0, 64, 48)
        painter.display.sync()
        source = screen.pixmap(pixmap.id)
    verbs: dict[str, Any] = {
        "clip": lambda: source.grab((-5, -5, 60, 60), clip=True),
        "pointer": lambda: source.grab(BOX, cursor=True),
        "layer": lambda: source.grab(BOX, cursor="layer"),
        "many": lambda: source.grab_many([BOX])[0],
        "stream": lambda: next(source.stream(BOX)),
    }
    take = verbs.get(verb, source.grab)
    beyond = take()
    assert not beyond.shared
    assert source.stats().copies == 1
    held.clear()
    again = take()
    assert again.shared
    assert not beyond.diff(again)


def test_many_regions_at_once_are_right_and_land_in_one_slot(screen: xshm.Screen) -> None:
    regions = [Rect(3 * at, 2 * at, 40, 30) for at in range(200)]
    frames = screen.grab_many(regions)
    assert [frame.rect for frame in frames] == regions
    assert [frame.sequence for frame in frames] == list(range(1, 201))
    assert [frame.shared for frame in frames] == [True] * LIMIT + [False] * 197
    assert pool(screen).slots == LIMIT + 1
    whole = screen.grab().pixels[..., :3]
    assert all(np.array_equal(frame.pixels[..., :3], whole[frame.rect.slices]) for frame in frames)


def test_threads_that_meet_at_the_limit_get_their_own_pictures(screen: xshm.Screen) -> None:
    held, wrong, whole = full(screen), list[Rect](), screen.grab()

    def work(number: int) -> None:
        kept = []
        for turn in range(60):
            rect = Rect(20 * number, 5 * turn, 200, 300)
            kept.append(screen.grab(rect))
            if not np.array_equal(kept[-1].pixels[..., :3], whole.pixels[rect.slices][..., :3]):
                wrong.append(rect)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert screen.stats().copies == 8 * 60 + 1
    assert pool(screen).held == len(held)


def test_a_screen_without_copies_says_what_is_held_and_lends_no_slot_beyond(xvfb: Server) -> None:
    with xshm.Screen(xvfb.name, max_frames=LIMIT, copies=False) as screen:
        held = full(screen)
        with pytest.raises(xshm.PoolExhausted, match=r"3 frames are held .*copy\(\).*max_frames, or without copies=F"):
            screen.grab(BOX)
        assert pool(screen).slots == len(held)
        assert not screen.copies
    with pytest.raises(xshm.InvalidType, match="copies is True or False, not int: 1"):
        xshm.Screen(xvfb.name, copies=1)  # type: ignore[arg-type]


def test_a_screen_without_copies_waits_for_the_slots_of_what_was_given_up(xvfb: Server) -> None:
    with xshm.Screen(xvfb.name, max_frames=1, copies=False) as screen:
        for _ in range(3):
            screen._begin(None)  # its slot is the server's to write to until it has answered
            assert screen.grab().shared


def test_a_frame_says_whether_its_memory_is_shared(xvfb: Server) -> None:
    with xshm.Screen(xvfb.name) as screen:
        frame = screen.grab(BOX)
        said = [frame.shared, frame.pixels is frame.pixels and frame.shared]
        said += [frame.copy().shared, pickle.loads(pickle.dumps(frame)).shared]  # noqa: S301 - our own
        frame.release()
        assert [*said, frame.shared] == [True, True, False, False, False]
    with xshm.Screen(xvfb.name, "core") as screen:
        assert not screen.grab(BOX).shared
        with screen.stream(BOX, on_change=True) as stream:
            assert not next(stream).shared
        assert screen.stats().copies == 0
    with xshm.VirtualDisplay(64, 48) as display:
        assert not display.framebuffer.grab().shared


# -- streams ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [{}, {"fps": 200}, {"cursor": True}], ids=str)
def test_frames_of_a_stream_that_are_all_kept_are_right(screen: xshm.Screen, kind: dict[str, Any]) -> None:
    kept = list(itertools.islice(screen.stream(BOX, **kind), 20))
    assert sum(frame.shared for frame in kept) <= LIMIT
    assert are_apart(kept)
    last = screen.grab(BOX, cursor=kind.get("cursor", False))
    assert not any(frame.diff(last) for frame in kept)


def test_an_asynchronous_stream_goes_on_beyond_the_limit(screen: xshm.Screen, painter: Painter) -> None:
    async def keep() -> list[Frame]:
        kept = []
        async for frame in screen.stream(BOX, on_change=True):
            kept.append(frame)
            if len(kept) == 10:
                return kept
            painter.fill(BOX, (len(kept), 7, 8))
        return []

    kept = asyncio.run(asyncio.wait_for(keep(), 10))
    assert [frame.pixel(*BOX[:2]) for frame in kept[1:]] == [(shade, 7, 8) for shade in range(1, 10)]
    assert [frame.shared for frame in kept] == [True] * LIMIT + [False] * 7


@pytest.mark.parametrize("cursor", [False, True])
@pytest.mark.parametrize(("transport", "in_place"), WAYS)
def test_frames_on_change_that_are_all_kept_are_right_and_so_are_those_that_follow(
    xvfb: Server, painter: Painter, transport: str, in_place: bool, cursor: bool
) -> None:
    painter.rectangles()
    with (
        xshm.Screen(xvfb.name, transport, max_frames=LIMIT) as screen,
        watching(screen, cursor=cursor, in_place=in_place) as changes,
    ):
        # The core transport has no limit to be given; its frames on change stand on memory of ours, 64 of them.
        limit = 64 if transport == "core" else LIMIT
        kept, wanted = [first(changes)], [screen.grab(cursor=cursor).copy()]
        for turn in range(limit + 5):
            painter.display.screen().root.warp_pointer(100 + 3 * turn, 90)
            painter.fill((5 * turn, 50, 4, 30), (turn, 9, 7))
            kept.append(first(changes))
            wanted.append(screen.grab(cursor=cursor).copy())
        assert not any(frame.diff(other) for frame, other in zip(kept, wanted, strict=True))
        assert are_apart(kept)
        assert not any(frame.pixels.flags.writeable for frame in kept)
        assert [frame.shared for frame in kept] == [transport != "core" and at < limit for at in range(limit + 6)]
        assert screen.stats().copies == 6
        for dropped in (slice(0, 1), slice(0, None)):
            del kept[dropped]
            for turn in range(4):
                painter.fill((300 + 7 * turn, 60, 5, 5), (turn, 90, 70))
                frame = first(changes)
                assert frame.changed is not None
                assert any(rect.contains(Rect(300 + 7 * turn, 60, 5, 5)) for rect in frame.changed)
                assert not frame.diff(screen.grab(cursor=cursor))
                assert frame.shared == (transport != "core")
                del frame


# -- where the kernel has no more ------------------------------------------------------------------------------------


def test_where_the_kernel_has_no_segment_left_frames_are_copies() -> None:
    printed = run_python_with_few_segments(
        """
        from xshm.capture.changes import ChangeTracker

        def fill(shade):
            root.fill_rectangle(root.create_gc(foreground=shade << 16), 0, 0, 320, 200)

        with (
            servers.start("Xvfb", 320, 200) as server,
            xshm.Screen(server.name, "sysv", copies=False) as strict,
            xshm.Screen(server.name, "sysv") as screen,
        ):
            root = screen.xlib.screen().root
            limit(shmmni=3)
            held = []
            for shade in range(8):
                fill(shade)
                held.append(screen.grab())
            print([frame.shared for frame in held].count(True), len(sysv.segments()) <= 3)
            print(all((frame.rgb() == (shade, 0, 0)).all() for shade, frame in enumerate(held)))
            print(screen.stats().copies == [frame.shared for frame in held].count(False))
            many = screen.grab_many([(at, 0, 20, 20) for at in range(30)])
            print({frame.pixel(frame.rect.x, 0) for frame in many}, {frame.shared for frame in many})
            for in_place in (True, False):
                changes = ChangeTracker(screen, None, True, in_place=in_place)
                seen = []
                for shade in range(5):
                    fill(shade)
                    seen.append(changes.poll())
                    assert not seen[-1].diff(screen.grab(cursor=True))
                print([frame.pixel(0, 0)[0] for frame in seen], {frame.shared for frame in seen}, seen[-1].changed)
                limit(shmmni=4)
                for shade in range(5, 8):  # one that is shared, and copies again
                    fill(shade)
                    seen.append(changes.poll())
                    assert not seen[-1].diff(screen.grab(cursor=True))
                print([frame.pixel(0, 0)[0] for frame in seen], [frame.shared for frame in seen[5:]])
                changes.close()
                del seen
                limit(shmmni=3)
            for take in (strict.grab, strict.stream(on_change=True).__next__):
                try:
                    take()
                except xshm.PoolExhausted as error:
                    print(error)
            held.clear()
            many.clear()
            print(screen.grab().shared)
        """
    ).splitlines()
    assert printed[:4] == ["3 True", "True", "True", "{(7, 0, 0)} {False}"]
    copies = "[0, 1, 2, 3, 4] {False} (Rect(x=0, y=0, width=320, height=200),)"
    assert printed[4:8] == [copies, "[0, 1, 2, 3, 4, 5, 6, 7] [True, False, False]"] * 2
    for refusal in printed[8:10]:
        assert re.match("the kernel has no room for a frame of .* 0 frames are held .*; drop some, ", refusal)
    assert printed[10:] == ["True"]


def test_where_no_more_files_may_be_open_frames_are_copies(xvfb: Server) -> None:
    printed = run_python(
        """
        import os, resource, sys
        import numpy, xshm
        with xshm.Screen(sys.argv[1], "fd") as screen:
            held = [screen.grab() for _ in range(2)]
            most = max(map(int, os.listdir("/proc/self/fd")))
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
            held += [screen.grab() for _ in range(3)]
            print([frame.shared for frame in held], any(frame.diff(held[0]) for frame in held))
        """,
        xvfb.name,
    )
    assert printed == "[True, True, False, False, False] False\n"
