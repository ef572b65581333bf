"""Acts: what came of an action, on real programs: reactions, rest, lasting change, and what only moves anyway."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import responsive
from colours import BLACK, BLUE, RED
from delayed import later
from thread_times import thread_times, used_since

import xshm
from xshm.errors import InvalidArgument, InvalidType, OutOfBounds
from xshm.geometry import Rect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from painter import Painter
    from servers import Server

_LATE = 0.35  # seconds: generous, for machines that are busy with other tests; 5 to 20 ms were measured
_BOX = Rect(100, 50, 60, 30)


@contextlib.contextmanager
def blinking(painter: Painter, box: tuple[int, int, int, int], every: float) -> Iterator[None]:
    """Blink from now on: the first change comes after `every` seconds."""
    over = threading.Event()

    def blink() -> None:
        colour = RED
        while not over.wait(every):
            colour = BLACK if colour == RED else RED
            painter.fill(box, colour)

    thread = threading.Thread(target=blink)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


# -- what is painted on the screen -------------------------------------------------------------------------------------


def test_an_act_tells_the_reaction_the_rest_and_where(screen: xshm.Screen, painter: Painter) -> None:
    painter.fill((0, 0, 400, 300), BLACK)
    timer = threading.Timer(0.2, painter.fill, ((100, 50, 60, 30), RED))
    with screen.act(quiet=0.2) as act:
        timer.start()
    timer.join()
    outcome = act.outcome
    assert outcome.reacted
    assert outcome.settled
    assert outcome.changed == (_BOX,)
    assert outcome.moving == ()
    assert outcome.reaction_seconds is not None
    assert 0.15 <= outcome.reaction_seconds < 0.2 + _LATE
    assert outcome.rest_seconds == outcome.reaction_seconds
    assert outcome.before.pixel(120, 60) == BLACK
    assert outcome.frame.pixel(120, 60) == RED
    assert outcome.summary() == (
        f"reacted after {outcome.reaction_seconds * 1000:.0f} ms; at rest after {outcome.rest_seconds * 1000:.0f} ms; "
        "changed: 60x30+100+50"
    )


def test_a_function_is_called_and_its_outcome_returned(screen: xshm.Screen, painter: Painter) -> None:
    painter.fill((0, 0, 400, 300), BLACK)
    outcome = screen.act(painter.fill, (100, 50, 60, 30), RED, quiet=0.1)
    assert outcome.changed == (_BOX,)
    with pytest.raises(InvalidType, match="act calls a function, not int"):
        screen.act(5)  # type: ignore[call-overload]


def test_nothing_is_told_after_the_time_for_a_reaction(screen: xshm.Screen) -> None:
    begin = time.monotonic()
    outcome = screen.act(lambda: None, reaction=0.3)
    assert 0.3 <= time.monotonic() - begin < 0.3 + _LATE
    assert not outcome.reacted
    assert outcome.settled
    assert (outcome.reaction_seconds, outcome.rest_seconds, outcome.changed) == (None, 0.0, ())
    assert outcome.summary() == "no reaction"


def test_what_happens_before_the_block_has_ended_counts(screen: xshm.Screen, painter: Painter) -> None:
    painter.fill((0, 0, 400, 300), BLACK)
    with screen.act(quiet=0.1) as act:
        painter.fill((100, 50, 60, 30), RED)
        time.sleep(0.3)
    assert act.outcome.reacted
    assert act.outcome.reaction_seconds is not None
    assert act.outcome.reaction_seconds >= 0.29  # dated to the block's end
    assert act.outcome.changed == (_BOX,)


def test_what_flickers_and_is_as_it_was_has_reacted_without_lasting_change(
    screen: xshm.Screen, painter: Painter
) -> None:
    painter.fill((0, 0, 400, 300), BLACK)
    with (
        later(0.05, painter.fill, (100, 50, 60, 30), RED),
        later(0.15, painter.fill, (100, 50, 60, 30), BLACK),
        later(0.2, painter.fill, (200, 50, 10, 10), BLUE),
    ):
        outcome = screen.act(lambda: None)
    assert outcome.reacted
    assert outcome.changed == (Rect(200, 50, 10, 10),)


def test_the_picture_before_stays_as_it_was(screen: xshm.Screen, painter: Painter) -> None:
    painter.rectangles()
    first = screen.grab().copy()
    with screen.act(quiet=0.1) as act:
        painter.rectangles()
    for _ in range(5):
        screen.act(painter.rectangles, 5, quiet=0.05)
    assert np.array_equal(act.outcome.before.pixels, first.pixels)


def test_a_screen_that_does_not_come_to_rest_is_told_without_an_error(screen: xshm.Screen, painter: Painter) -> None:
    over = threading.Event()

    def scribble() -> None:
        while not over.wait(0.05):
            painter.noise((0, 0, 50, 50))

    thread = threading.Thread(target=scribble)
    thread.start()
    try:
        begin = time.monotonic()
        outcome = screen.act(lambda: None, timeout=0.5)
        assert 0.5 <= time.monotonic() - begin < 0.5 + _LATE
    finally:
        over.set()
        thread.join()
    assert outcome.reacted
    assert not outcome.settled
    assert outcome.rest_seconds is None
    assert "not at rest when the time was over" in outcome.summary()


def test_a_timeout_below_the_usual_quiet_time_is_no_error(screen: xshm.Screen, painter: Painter) -> None:
    for timeout in (0, 0.01, 0.2):
        assert not screen.act(lambda: None, timeout=timeout).reacted
    painter.fill((0, 0, 400, 300), BLACK)
    assert screen.act(painter.fill, (100, 50, 60, 30), RED, timeout=0.2).changed == (_BOX,)


def test_an_exception_of_the_block_passes_at_once(screen: xshm.Screen) -> None:
    begin = time.monotonic()
    with pytest.raises(ZeroDivisionError), screen.act(reaction=20, timeout=30) as act:
        raise ZeroDivisionError
    assert time.monotonic() - begin < 5
    with pytest.raises(InvalidArgument, match="known when its block has ended"):
        _ = act.outcome
    with pytest.raises(InvalidArgument, match="entered once"), act:
        pass


def test_only_the_region_and_not_what_is_ignored_is_watched(screen: xshm.Screen, painter: Painter) -> None:
    painter.fill((0, 0, 400, 300), BLACK)
    options: dict[str, Any] = {"reaction": 0.1, "region": (50, 40, 200, 100), "ignore": [(100, 50, 60, 30)]}
    assert not screen.act(painter.fill, (300, 50, 60, 30), RED, **options).reacted
    assert not screen.act(painter.fill, (100, 50, 60, 30), RED, **options).reacted
    assert screen.act(painter.fill, (90, 50, 60, 30), BLUE, **options).changed == (Rect(90, 50, 10, 30),)


def test_what_is_no_argument_of_an_act_is_refused(screen: xshm.Screen) -> None:
    with pytest.raises(InvalidArgument, match="quiet"):
        screen.act(quiet=2, timeout=1)
    with pytest.raises(InvalidArgument, match="reaction"):
        screen.act(reaction=-1)
    with pytest.raises(OutOfBounds):
        screen.act(ignore=[(5000, 0, 9, 9)])
    with pytest.raises(OutOfBounds):
        screen.act(region=(5000, 0, 9, 9))


def test_a_caret_that_nothing_is_known_of_is_no_reaction(screen: xshm.Screen, painter: Painter) -> None:
    painter.fill((0, 0, 400, 300), BLACK)
    with blinking(painter, (200, 100, 2, 14), 0.4):
        outcome = screen.act(lambda: None)
        assert not outcome.reacted
        assert [each.rect for each in outcome.moving] == [Rect(200, 100, 2, 14)]
        # A small change is told beside it, and without delay.
        with later(0.5, painter.fill, (240, 100, 5, 5), BLUE):
            outcome = screen.act(lambda: None)
        assert outcome.changed == (Rect(240, 100, 5, 5),)
        assert outcome.reaction_seconds is not None
        assert 0.45 <= outcome.reaction_seconds < 0.5 + _LATE
        assert outcome.rest_seconds == outcome.reaction_seconds


def test_a_thin_bar_alone_is_a_reaction_once_it_has_not_blinked(screen: xshm.Screen, painter: Painter) -> None:
    painter.fill((0, 0, 400, 300), BLACK)
    timer = threading.Timer(0.1, painter.fill, ((200, 100, 2, 14), RED))
    outcome = screen.act(timer.start)
    timer.join()
    assert outcome.reacted
    assert outcome.changed == (Rect(200, 100, 2, 14),)
    assert outcome.reaction_seconds is not None
    assert outcome.reaction_seconds < 0.1 + _LATE


def test_a_thin_letter_that_is_typed_beside_a_greater_change_has_changed(screen: xshm.Screen, painter: Painter) -> None:
    painter.fill((0, 0, 400, 300), BLACK)

    def type_it() -> None:
        painter.fill((200, 100, 2, 11), RED)
        painter.fill((100, 50, 60, 30), RED)

    outcome = screen.act(type_it, quiet=0.1)
    assert outcome.reacted
    assert set(outcome.changed) == {_BOX, Rect(200, 100, 2, 11)}


def test_a_caret_that_blinks_in_what_has_just_changed_delays_no_rest(screen: xshm.Screen, painter: Painter) -> None:
    painter.fill((0, 0, 400, 300), BLACK)
    with later(0.15, painter.fill, (200, 100, 2, 14), RED):
        outcome = screen.act(painter.fill, (100, 50, 200, 100), BLUE)
    assert outcome.rest_seconds == outcome.reaction_seconds
    assert outcome.changed == (Rect(100, 50, 200, 100),)
    assert [each.rect for each in outcome.moving] == [Rect(200, 100, 2, 14)]


@pytest.mark.usefixtures("no_collector")
def test_an_idle_act_costs_nothing(screen: xshm.Screen) -> None:
    screen.act(lambda: None, reaction=0)  # imports
    threads, before = thread_times(), time.process_time()
    screen.act(lambda: None, reaction=1)
    assert time.process_time() - before < 0.025, used_since(threads)


# -- windows -----------------------------------------------------------------------------------------------------------


def test_windows_that_come_and_go_are_told_with_their_titles(screen: xshm.Screen, painter: Painter) -> None:
    painter.fill((0, 0, 1280, 800), BLACK)
    stays = painter.window((10, 10, 50, 40), BLUE, title="stays")
    goes = painter.window((10, 210, 50, 40), BLUE, title="goes")
    shown: list[Any] = []

    def flash() -> None:
        shown.append(painter.window((110, 10, 50, 40), RED, title="short"))
        time.sleep(0.2)
        shown.append(painter.window((210, 10, 50, 40), RED, title="comes"))
        shown[0].destroy()
        goes.destroy()
        painter.display.sync()

    timer = threading.Timer(0.1, flash)
    outcome = screen.act(timer.start)
    timer.join()
    assert outcome.opened == {shown[0].id: "short", shown[1].id: "comes"}
    assert outcome.closed == {shown[0].id: "short", goes.id: "goes"}
    assert set(outcome.changed) == {Rect(10, 210, 50, 40), Rect(210, 10, 50, 40)}
    assert "windows opened: 'short', 'comes'; windows closed: 'short', 'goes'" in outcome.summary()
    stays.destroy()


def test_another_title_of_a_window_is_no_change_of_the_screen(screen: xshm.Screen, painter: Painter) -> None:
    window = painter.window((10, 10, 50, 40), BLUE, title="before")

    def rename() -> None:
        window.set_wm_name("after")
        painter.display.sync()

    timer = threading.Timer(0.1, rename)
    outcome = screen.act(timer.start)
    timer.join()
    assert not outcome.reacted
    assert screen.windows()[-1].title == "after"


def test_a_window_acts_in_its_own_coordinates_and_may_close(screen: xshm.Screen, painter: Painter) -> None:
    dialog = painter.window((100, 80, 200, 100), BLUE, title="dialog")
    with screen.window(dialog.id) as window:
        outcome = window.act(painter.fill, (20, 10, 30, 15), RED, dialog, quiet=0.1)
        assert outcome.changed == (Rect(20, 10, 30, 15),)
        timer = threading.Timer(0.1, lambda: (dialog.destroy(), painter.display.sync()))
        outcome = window.act(timer.start)
        timer.join()
    assert outcome.reacted
    assert outcome.settled
    assert outcome.changed == (Rect(0, 0, 200, 100),)
    assert outcome.closed == {dialog.id: "dialog"}


# -- a program with a caret and a spinner ------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [(), ("spinner",)], ids=["caret", "caret and spinner"])
def test_clicks_are_judged_right_beside_what_moves(
    responsive_on: Callable[..., tuple[Server, Any]], words: tuple[str, ...]
) -> None:
    # Takes 7 seconds: each click has its time, and the spinner two seconds to be known.
    server, program = responsive_on(*words)
    with xshm.Screen(server.name) as screen:
        # A longer quiet time: Tk may pause for longer than 0.3 s where two cores are busy with other tests.
        assert not screen.act(program.click, "nothing", quiet=0.8).reacted
        for name in ("20", "300", "steps", "20"):
            outcome = screen.act(program.click, name)
            told = time.monotonic()
            done = program.await_word(name)
            assert outcome.reacted
            assert outcome.settled
            assert outcome.changed == (Rect(*responsive.AREAS[name]),), name
            assert told - done - 0.3 < _LATE, name
        outcome = screen.act(program.click, "flash")
        assert outcome.reacted
        assert outcome.changed == ()
        outcome = screen.act(program.click, "menu")
        assert outcome.reacted
        assert outcome.changed == ()
        assert len(outcome.opened) == 1
        assert outcome.opened.keys() == outcome.closed.keys()
        assert not screen.act(program.click, "nothing").reacted
        outcome = screen.act(program.click, "dialog")
        assert outcome.opened
        assert not outcome.closed
        assert outcome.changed == (Rect(220, 200, 120, 80),)


def test_a_spinner_that_the_click_starts_is_a_reaction(responsive_on: Callable[..., tuple[Server, Any]]) -> None:
    server, program = responsive_on()
    with xshm.Screen(server.name) as screen:
        outcome = screen.act(program.click, "start", quiet=1)  # Tk may need long for its first steps
    assert outcome.reacted
    assert outcome.settled
    assert outcome.reaction_seconds is not None
    assert outcome.reaction_seconds < 1
    assert any(each.rect.width > 50 and each.rhythm for each in outcome.moving), outcome.summary()
