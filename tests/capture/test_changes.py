"""ChangeTracker: after each poll its frame equals a full grab, with either refresher."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import random
import signal
import struct
import subprocess
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from colours import BLUE, GREEN, RED
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from painter import Painter
from pointers import Pointers
from watching import WAYS, first, watching

import xshm
from xshm.capture.changes import ChangeTracker
from xshm.errors import Closed, OutOfBounds, PoolExhausted, WindowGone, WindowNotViewable, XshmError
from xshm.geometry import Rect

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers import Server

    from xshm.drawables.drawable import Drawable
    from xshm.image.frame import Frame


def undiffering(frame: Frame, truth: Frame) -> bool:
    return frame.rect == truth.rect and not frame.diff(truth)


# -- truth -----------------------------------------------------------------------------------------------------------


class Polls(RuleBasedStateMachine):
    """Another client draws, maps, moves, resizes; frames are kept and dropped; each poll is the truth of its moment."""

    server: Server
    covered = False  # whether a window is watched, under another one, or the screen
    in_place = True
    transport = "auto"
    resizes = False  # whether the server can resize its screen

    def __init__(self) -> None:
        super().__init__()
        self.painter = Painter(self.server)
        self.window = self.painter.window((100, 80, 300, 200), BLUE, "watched")
        self.others: list[Any] = [self.painter.window((150, 120, 300, 200), GREEN)]
        self.screen = xshm.Screen(self.server.name, self.transport)
        self.source: Drawable = self.screen.window(self.window.id) if self.covered else self.screen
        self.kept: list[tuple[Frame, bytes]] = []
        self.last: Frame | None = None

    @initialize(whole=st.booleans())
    def begin(self, whole: bool) -> None:
        region = None if whole else Rect(20, 10, 120, 100)
        self.changes = ChangeTracker(self.source, region, cursor=False, in_place=self.in_place)

    @rule(seed=st.integers(0, 1000), count=st.integers(1, 5))
    def draw(self, seed: int, count: int) -> None:
        pick = random.Random(seed)
        for _ in range(count):
            box = (pick.randrange(300), pick.randrange(200), pick.randrange(1, 200), pick.randrange(1, 200))
            colour = (pick.randrange(256), pick.randrange(256), pick.randrange(256))
            self.painter.fill(box, colour, pick.choice([None, self.window, *self.others]))

    @rule(seed=st.integers(0, 1000))
    def draw_noise(self, seed: int) -> None:
        pick = random.Random(seed)
        self.painter.noise((pick.randrange(150), pick.randrange(100), 40, 30), pick.choice([None, self.window]))

    @rule(x=st.integers(-50, 300), y=st.integers(-50, 200))
    def move(self, x: int, y: int) -> None:
        self.window.configure(x=x, y=y)
        self.painter.display.sync()

    @rule(width=st.integers(150, 350), height=st.integers(120, 250), border=st.integers(0, 4))
    def resize(self, width: int, height: int, border: int) -> None:
        self.window.configure(width=width, height=height, border_width=border)
        self.painter.display.sync()

    @rule(x=st.integers(0, 300), y=st.integers(0, 200))
    def map_another(self, x: int, y: int) -> None:
        self.others.append(self.painter.window((x, y, 120, 90), RED))

    @precondition(lambda self: len(self.others) > 1)
    @rule()
    def destroy_another(self) -> None:
        self.others.pop().destroy()
        self.painter.display.sync()

    @rule()
    def map_again(self) -> None:
        self.window.unmap()
        self.window.map()
        self.painter.display.sync()

    @precondition(lambda self: self.resizes)
    @rule(mode=st.sampled_from(["640x480", "800x600", "1024x768"]))
    def resize_screen(self, mode: str) -> None:
        self.server.resize(mode)

    @rule(keep=st.booleans())
    def poll(self, keep: bool) -> None:
        frame = self.changes.poll()
        if frame is not None:
            self.last = frame
            if keep and len(self.kept) < 8:
                self.kept.append((frame, frame.pixels.tobytes()))
        assert self.last is not None
        region = None if self.last.rect.width != 120 else self.last.rect
        assert undiffering(self.last, self.source.grab(region))

    @precondition(lambda self: self.kept)
    @rule(at=st.integers(0, 100))
    def drop(self, at: int) -> None:
        frame, pixels = self.kept.pop(at % len(self.kept))
        assert frame.pixels.tobytes() == pixels, "a frame that was kept has changed"

    @invariant()
    def settled(self) -> None:
        assert len(self.kept) <= 8

    def teardown(self) -> None:
        for frame, pixels in self.kept:
            assert frame.pixels.tobytes() == pixels, "a frame that was kept has changed"
        if hasattr(self, "changes"):
            self.changes.close()
        self.screen.close()
        self.painter.close()


def explore(server: Server, examples: int = 8, **how: Any) -> None:
    machine = type("Explored", (Polls,), {"server": server} | how)
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.parametrize("covered", [False, True], ids=["screen", "covered window"])
@pytest.mark.parametrize(("transport", "in_place"), WAYS)
def test_each_poll_is_what_a_full_grab_is(xvfb: Server, transport: str, in_place: bool, covered: bool) -> None:
    explore(xvfb, transport=transport, in_place=in_place, covered=covered)


@pytest.mark.parametrize("covered", [False, True], ids=["screen", "covered window"])
def test_each_poll_is_what_a_full_grab_is_on_a_server_that_is_resized(
    make_server: Callable[..., Server], covered: bool
) -> None:
    explore(make_server("Xvnc", 1024, 768), covered=covered, resizes=True)


@pytest.mark.parametrize("covered", [False, True], ids=["screen", "covered window"])
@pytest.mark.parametrize("kind", ["Xephyr", "Xorg", "Xwayland"])
def test_each_poll_is_what_a_full_grab_is_on_other_servers(
    make_server: Callable[..., Server], kind: str, covered: bool
) -> None:
    explore(make_server(kind, 1024, 768), examples=3, covered=covered)


@pytest.mark.parametrize("depth", [8, 15, 16, 30])
def test_each_poll_is_what_a_full_grab_is_at_other_depths(make_server: Callable[..., Server], depth: int) -> None:
    server = make_server("Xvfb", 640, 480, depth)
    with Painter(server) as painter, xshm.Screen(server.name) as screen, watching(screen) as changes:
        for _ in range(5):
            painter.rectangles(3)
            assert undiffering(first(changes), screen.grab())


# -- what a frame says -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("transport", "in_place"), WAYS)
def test_a_frame_says_where_was_drawn_in_the_coordinates_of_its_source(
    xvfb: Server, painter: Painter, transport: str, in_place: bool
) -> None:
    region = Rect(100, 50, 200, 100)
    with xshm.Screen(xvfb.name, transport) as screen, watching(screen, region, in_place=in_place) as changes:
        assert first(changes).changed == (region,)
        painter.fill((110, 60, 20, 10), RED)
        painter.fill((290, 140, 50, 50), BLUE)
        assert first(changes).changed == (Rect(110, 60, 20, 10), Rect(290, 140, 10, 10))


def test_drawing_beside_the_region_is_no_change(screen: xshm.Screen, painter: Painter) -> None:
    with watching(screen, Rect(0, 0, 100, 100)) as changes:
        first(changes)
        painter.fill((200, 200, 50, 50), RED)
        assert changes.poll() is None


def test_many_small_strokes_become_few_rectangles_that_cover_them(screen: xshm.Screen, painter: Painter) -> None:
    with watching(screen) as changes:
        first(changes)
        spots = [(x, y, 3, 3) for x in range(0, 1200, 60) for y in range(0, 800, 60)]
        for spot in spots:
            painter.fill(spot, RED)
        changed = first(changes).changed
        assert changed is not None
        assert len(changed) <= 16
        assert all(any(rect.contains(Rect(*spot)) for rect in changed) for spot in spots)


@pytest.mark.parametrize(("transport", "in_place"), WAYS)
def test_what_was_not_drawn_to_is_not_copied_again(
    xvfb: Server, painter: Painter, transport: str, in_place: bool
) -> None:
    painter.fill((0, 0, 200, 200), BLUE)
    with xshm.Screen(xvfb.name, transport) as screen, watching(screen, in_place=in_place) as changes:
        frame = first(changes)
        # A mark in the slot, which a copy would wipe out.
        ctypes.memset(frame.pixels[150, 150:].ctypes.data, 77, frame.pixels.strides[1])
        del frame
        painter.fill((10, 10, 20, 20), RED)
        frame = first(changes)
        assert frame.pixel(15, 15) == RED
        assert frame.pixel(150, 150) == (77, 77, 77)


def test_frames_can_not_be_written_to_and_their_copies_can(screen: xshm.Screen) -> None:
    with watching(screen) as changes:
        frame = first(changes)
        with pytest.raises(ValueError, match="read-only"):
            frame.pixels[0, 0] = 1
        with pytest.raises(ValueError, match="WRITEABLE"):
            frame.pixels.setflags(write=True)
        with pytest.raises(ValueError, match="WRITEABLE"):
            frame.pixels[5:].flags.writeable = True
        frame.copy().pixels[0, 0] = 1


def test_how_it_is_done_is_said(xvfb: Server, screen: xshm.Screen) -> None:
    with watching(screen) as changes:
        assert changes.how.startswith("shared pixmaps")
    with xshm.Screen(xvfb.name, "core") as core, watching(core) as changes:
        assert changes.how == "rows over the core protocol: asked for by name"


# -- limits and ends -------------------------------------------------------------------------------------------------


def test_kept_frames_meet_the_limit_and_polls_go_on_once_they_are_dropped(xvfb: Server, painter: Painter) -> None:
    with xshm.Screen(xvfb.name, max_frames=3, copies=False) as screen, watching(screen) as changes:
        kept = [first(changes)]
        for shade in (1, 2):
            painter.fill((0, 0, 9, 9), (shade, 0, 0))
            kept.append(first(changes))
        painter.fill((0, 0, 9, 9), GREEN)
        with pytest.raises(PoolExhausted, match="3 frames are held"):
            changes.poll()
        kept.clear()
        frame = first(changes)
        assert frame.changed == (Rect(0, 0, 9, 9),)
        assert undiffering(frame, screen.grab())


def test_a_window_that_is_unmapped_is_an_error_and_watched_again_when_it_is_back(
    screen: xshm.Screen, painter: Painter
) -> None:
    window = painter.window((10, 10, 80, 60), RED)
    with screen.window(window.id) as source, watching(source) as changes:
        first(changes)
        window.unmap()
        painter.display.sync()
        with pytest.raises(WindowNotViewable):
            changes.poll()
        window.map()
        painter.display.sync()
        assert first(changes).changed == (Rect(0, 0, 80, 60),)
        window.destroy()
        painter.display.sync()
        with pytest.raises(WindowGone):
            changes.poll()


def test_a_region_that_no_longer_fits_is_out_of_bounds(make_server: Callable[..., Server]) -> None:
    server = make_server("Xvnc", 1024, 768)
    with xshm.Screen(server.name) as screen, watching(screen, Rect(900, 700, 50, 50)) as changes:
        first(changes)
        server.resize("640x480")
        with pytest.raises(OutOfBounds, match="640x480"):
            changes.poll()


def test_closing_gives_back_segments_and_keeps_frames(xvfb: Server, painter: Painter) -> None:
    with xshm.Screen(xvfb.name, "sysv") as screen:
        painter.rectangles(10)
        mapped = xvfb.segments()
        changes = ChangeTracker(screen, None, cursor=False)
        frame = first(changes)
        before = frame.pixels.tobytes()
        assert xvfb.segments() == mapped + 1
        changes.close()
        changes.close()
        screen.connection.sync()
        assert xvfb.segments() == mapped
        painter.fill((0, 0, 100, 100), GREEN)
        assert frame.pixels.tobytes() == before


def test_after_the_screen_was_closed_it_says_so(xvfb: Server) -> None:
    with xshm.Screen(xvfb.name) as screen:
        changes = ChangeTracker(screen, None, cursor=False)
    with pytest.raises(Closed):
        changes.poll()
    changes.close()


def test_a_server_without_damage_is_named(make_server: Callable[..., Server]) -> None:
    server = make_server("Xvfb", 320, 240, 24, "-extension", "DAMAGE")
    with xshm.Screen(server.name) as screen, pytest.raises(XshmError, match="DAMAGE"):
        ChangeTracker(screen, None, cursor=False)


@pytest.mark.parametrize("region", [None, Rect(30, 40, 500, 300)], ids=["all", "a part"])
def test_where_nearly_all_is_drawn_pictures_are_right(
    screen: xshm.Screen, painter: Painter, region: Rect | None
) -> None:
    with watching(screen, region) as changes:
        first(changes)
        kept = []
        for turn in range(12):
            painter.fill((0, 0, 1280, 800), (turn, 20 * turn, 9))
            painter.fill((50, 60, 5 + turn, 7), RED)
            kept.append((first(changes), screen.grab(region)))
            if turn % 5 == 4:  # little, in between: the slots that were not used are stale in more than that
                painter.fill((100, 100, 9, 9), BLUE)
                kept.append((first(changes), screen.grab(region)))
            del kept[: -1 - turn % 3]
            assert all(undiffering(frame, truth) for frame, truth in kept)


def test_a_poll_that_the_collector_ends_sends_nothing_and_the_next_is_right(
    screen: xshm.Screen, painter: Painter
) -> None:
    with watching(screen) as changes:
        first(changes)
        painter.fill((10, 10, 30, 30), GREEN)
        steps: Any = changes.poll_steps()
        next(steps)
        cycle: list[Any] = [steps]
        cycle.append(cycle)
        del steps, cycle
        with screen.connection.wire._lock:  # as if an allocation under it had started the collector
            gc.collect()
        frame = first(changes)
        assert undiffering(frame, screen.grab())


def test_a_poll_that_is_interrupted_anywhere_spoils_no_later_one(xvfb: Server, painter: Painter) -> None:
    class Interrupted(Exception):
        pass

    def interrupt(*_: object) -> None:
        raise Interrupted

    pick = random.Random(4)
    former = signal.signal(signal.SIGALRM, interrupt)
    gc.disable()  # the collector calls hypothesis, where an exception would be lost
    times = 0
    try:
        with xshm.Screen(xvfb.name) as screen, watching(screen, Rect(0, 0, 400, 300)) as changes:
            last: Frame | None = None
            for _ in range(3000):  # how many come in time depends on the machine
                if times == 60:
                    break
                painter.fill((pick.randrange(300), pick.randrange(200), 60, 60), (pick.randrange(256), 9, 9))
                try:
                    signal.setitimer(signal.ITIMER_REAL, pick.uniform(1e-6, 1.2e-3))
                    last = changes.poll() or last
                    signal.setitimer(signal.ITIMER_REAL, 0)
                except Interrupted:
                    times += 1
                last = changes.poll() or last
                assert last is not None
                assert undiffering(last, screen.grab((0, 0, 400, 300)))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)
        gc.enable()
    assert times == 60


# -- the pointer -----------------------------------------------------------------------------------------------------


def sprite(colour: tuple[int, int, int], size: int = 8) -> np.ndarray[Any, Any]:
    rgba = np.empty((size, size, 4), np.uint8)
    rgba[...] = (*colour, 255)
    return rgba


@pytest.mark.parametrize(("transport", "in_place"), WAYS)
def test_the_pointer_is_drawn_where_it_is_and_leaves_no_trace(
    xvfb: Server, painter: Painter, transport: str, in_place: bool
) -> None:
    painter.rectangles(30)
    pick = random.Random(1)
    with (
        xshm.Screen(xvfb.name, transport) as screen,
        Pointers(xvfb) as pointers,
        watching(screen, Rect(50, 50, 300, 200), cursor=True, in_place=in_place) as changes,
    ):
        pointers.show(pointers.picture(sprite(RED), (2, 3)))
        last = first(changes)
        kept = []
        for turn in range(60):
            pointers.move(pick.randrange(40, 360), pick.randrange(40, 260))
            if turn % 7 == 0:
                painter.fill((pick.randrange(350), pick.randrange(250), 30, 30), (0, turn, 99))
            last = changes.poll() or last
            kept.append(last)
            del kept[pick.randrange(len(kept))]
            kept = kept[-5:]
            assert not last.diff(screen.grab((50, 50, 300, 200), cursor=True))


def test_a_moved_pointer_is_a_change_of_the_place_it_left_and_of_the_one_it_came_to(xvfb: Server) -> None:
    with xshm.Screen(xvfb.name) as screen, Pointers(xvfb) as pointers:
        pointers.show(pointers.picture(sprite(GREEN)))
        pointers.move(10, 10)
        with watching(screen, cursor=True) as changes:
            first(changes)
            pointers.move(100, 100)
            frame = first(changes)
            assert frame.changed == (Rect(10, 10, 8, 8), Rect(100, 100, 8, 8))
            assert frame.cursor is not None
            assert frame.cursor.position == (100, 100)
            assert changes.poll() is None


def is_told_within(changes: ChangeTracker, seconds: float) -> bool:
    """Wait for an event, without the polls from time to time."""
    with contextlib.suppress(TimeoutError):
        changes.wait(seconds)
    return changes.done


def test_pointer_events_come_for_motion_for_a_new_picture_and_for_a_warp_over_the_root(xvfb: Server) -> None:
    with xshm.Screen(xvfb.name) as screen, Pointers(xvfb) as pointers, watching(screen, cursor=True) as changes:
        first(changes)
        for act in (
            lambda: pointers.move(300, 301),
            lambda: subprocess.run(["xdotool", "mousemove_relative", "5", "5"], env=xvfb.env(), check=True),
            lambda: pointers.show(pointers.picture(sprite(BLUE))),
        ):
            while changes.done:
                changes.poll()
            act()
            assert is_told_within(changes, 2)


def test_the_first_one_of_a_connection_to_stop_listening_leaves_the_others_theirs(xvfb: Server) -> None:
    with xshm.Screen(xvfb.name) as screen, Pointers(xvfb) as pointers, watching(screen, cursor=True) as changes:
        with watching(screen, cursor=True):
            pass
        while changes.done:
            changes.poll()
        pointers.move(311, 322)
        assert is_told_within(changes, 2)
    assert struct.calcsize("=BBHIHxxHHIHHI") == 28  # seven words, as XISelectEvents' length says


@pytest.mark.usefixtures("no_collector")
def test_waiting_costs_no_processor_time(screen: xshm.Screen) -> None:
    with watching(screen) as changes:
        first(changes)
        before = time.process_time()
        assert not is_told_within(changes, 3)  # that long, for a share to be told from nothing
        assert time.process_time() - before < 0.0005 * 3
