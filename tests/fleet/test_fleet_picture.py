"""A screen that is followed by what changes on it: exact, whatever is lost on the way."""

from __future__ import annotations

import dataclasses
import gc
import pickle
import threading
import time
from typing import TYPE_CHECKING, Any

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from xshm import DisplaySpec, Rect, Surface, VirtualDisplay, errors, fleet
from xshm.fleet.changes import Changes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from xshm import Frame

_SPEC = DisplaySpec(97, 61, args=("-extension", "GLX"))


@pytest.fixture(scope="module")
def seat() -> Iterator[fleet.Seat]:
    with fleet.Seat(_SPEC) as seat:
        yield seat


@pytest.fixture(scope="module")
def surface(seat: fleet.Seat) -> Iterator[Surface]:
    display = seat.display
    with Surface(display.width, display.height, display=display.name, xauthority=display.xauthority) as surface:
        yield surface


def _sent(delta: fleet.Delta) -> fleet.Delta:
    """Return a Delta as it comes out of a store: its pixels over buffers that are read-only."""
    buffers: list[pickle.PickleBuffer] = []
    data = pickle.dumps(delta, 5, buffer_callback=buffers.append)
    sent: fleet.Delta = pickle.loads(data, buffers=[bytes(each.raw()) for each in buffers])  # noqa: S301 - our own
    return sent


def _draw(surface: Surface, rect: Rect, value: int) -> None:
    surface.show(np.full((rect.height, rect.width, 3), value, np.uint8), at=(rect.x, rect.y))
    surface.wait()


def _screen(seat: fleet.Seat) -> NDArray[np.uint8]:
    return seat.display.screen.grab().rgb()


_RECTS = st.builds(Rect, st.integers(0, 80), st.integers(0, 50), st.integers(1, 17), st.integers(1, 11))
_STEPS = st.lists(
    st.tuples(_RECTS, st.integers(0, 255), st.sampled_from(("taken", "lost", "doubled", "late")), st.booleans()),
    min_size=1,
    max_size=12,
)


@hypothesis.given(_STEPS)
@hypothesis.settings(max_examples=40, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])
def test_it_is_exact_after_any_loss_and_held_frames_stay(seat: fleet.Seat, surface: Surface, steps: Any) -> None:
    picture = fleet.Picture()
    held: list[tuple[Any, NDArray[np.uint8]]] = []
    late: list[fleet.Delta] = []
    for rect, value, fate, is_held in steps:
        _draw(surface, rect, value)
        delta = _sent(seat.changed(picture.seen))
        if fate == "lost":
            continue
        if fate == "late":
            late.append(delta)
            continue
        frame = picture.apply(delta)
        if fate == "doubled":
            frame = picture.apply(delta)
        assert (frame.rgb() == _screen(seat)).all()
        if is_held:
            held.append((frame, frame.rgb()))
        for each in late:  # what comes after a newer one changes nothing
            assert (picture.apply(each).rgb() == frame.rgb()).all()
        late.clear()
        for frame, before in held:
            assert (frame.rgb() == before).all()
    assert (picture.apply(seat.changed(picture.seen)).rgb() == _screen(seat)).all()


def test_only_what_has_changed_is_sent(seat: fleet.Seat, surface: Surface) -> None:
    picture = fleet.Picture()
    whole = seat.changed()
    assert whole.base == 0
    assert whole.rects == (Rect(0, 0, 97, 61),)
    picture.apply(whole)
    _draw(surface, Rect(10, 20, 8, 5), 1)
    _draw(surface, Rect(10, 20, 8, 5), 200)
    delta = seat.changed(picture.seen)
    assert delta.rects == (Rect(10, 20, 8, 5),)
    assert delta.nbytes == 8 * 5 * 4
    assert picture.apply(delta).changed == delta.rects
    assert seat.changed(picture.seen).rects == ()


def test_two_that_are_under_way_at_once_are_both_taken(seat: fleet.Seat, surface: Surface) -> None:
    picture = fleet.Picture()
    picture.apply(seat.changed())
    seen = picture.seen
    _draw(surface, Rect(0, 0, 5, 5), 10)
    first = seat.changed(seen)
    _draw(surface, Rect(50, 50, 5, 5), 20)
    second = seat.changed(seen)
    picture.apply(first)
    assert (picture.apply(second).rgb() == _screen(seat)).all()


def test_readers_do_not_take_changes_from_each_other(seat: fleet.Seat, surface: Surface) -> None:
    pictures = [fleet.Picture() for _ in range(3)]
    for step in range(6):
        _draw(surface, Rect(step * 7, step * 5, 6, 4), 40 * step + 1)
        for number, picture in enumerate(pictures):
            if step % (number + 1) == 0:
                assert (picture.apply(seat.changed(picture.seen)).rgb() == _screen(seat)).all()


def test_one_who_is_far_behind_gets_the_whole_screen(seat: fleet.Seat, surface: Surface) -> None:
    picture, other = fleet.Picture(), fleet.Picture()
    picture.apply(seat.changed())
    for step in range(300):
        _draw(surface, Rect(step % 90, 3, 2, 2), step % 251)
        other.apply(seat.changed(other.seen))
    delta = seat.changed(picture.seen)
    assert delta.rects == (Rect(0, 0, 97, 61),)
    assert (picture.apply(delta).rgb() == _screen(seat)).all()


def test_all_who_wait_are_woken_by_one_change(seat: fleet.Seat, surface: Surface) -> None:
    picture = fleet.Picture()
    picture.apply(seat.changed())
    _draw(surface, Rect(0, 0, 4, 4), 7)
    picture.apply(seat.changed(picture.seen))
    found: list[tuple[Rect, ...]] = []
    readers = [
        threading.Thread(target=lambda: found.append(seat.changed(picture.seen, timeout=30).rects)) for _ in range(4)
    ]
    for each in readers:
        each.start()
    time.sleep(0.1)
    assert found == []
    _draw(surface, Rect(30, 30, 4, 4), 250)
    for each in readers:
        each.join(10)
    assert found == [(Rect(30, 30, 4, 4),)] * 4


def test_a_change_that_another_reader_takes_before_the_wait_ends_it(seat: fleet.Seat, surface: Surface) -> None:
    class Overtaken(Changes):
        def _wait(self, *arguments: Any) -> None:
            _draw(surface, Rect(40, 40, 3, 3), 99)
            taken.append(self.delta(seen).rects)  # which takes the events from what waits
            super()._wait(*arguments)

    taken: list[tuple[Rect, ...]] = []
    found: list[tuple[Rect, ...]] = []
    _draw(surface, Rect(40, 40, 3, 3), 1)
    changes = Overtaken(seat.display.screen)
    whole = changes.delta(None)
    seen = fleet.Seen(whole.epoch, whole.generation)
    reader = threading.Thread(target=lambda: found.append(changes.delta(seen, 3600).rects), daemon=True)
    reader.start()
    reader.join(20)
    assert found == taken == [(Rect(40, 40, 3, 3),)]
    changes.close()


def test_threads_that_read_while_it_is_drawn_to_each_have_the_screen(seat: fleet.Seat, surface: Surface) -> None:
    shared, own = fleet.Picture(), [fleet.Picture() for _ in range(3)]
    over, wrong = threading.Event(), list[object]()

    def follow(picture: fleet.Picture) -> None:
        held: list[tuple[Frame, NDArray[np.uint8]]] = []
        try:
            while not over.is_set():
                frame = picture.apply(_sent(seat.changed(picture.seen, timeout=0.5)))
                held = [*held[-2:], (frame, frame.rgb())]
                wrong.extend(each for each, before in held if (each.rgb() != before).any())
        except Exception as error:  # noqa: BLE001 - told below
            wrong.append(error)

    readers = [threading.Thread(target=follow, args=(each,)) for each in (shared, shared, *own)]
    for each in readers:
        each.start()
    for step in range(150):
        _draw(surface, Rect(step * 7 % 80, step * 3 % 50, 9, 6), step * 5 % 256)
    over.set()
    for each in readers:
        each.join(20)
    assert not wrong
    for picture in (shared, *own):
        assert (picture.apply(seat.changed(picture.seen)).rgb() == _screen(seat)).all()


def test_a_wait_without_a_change_ends_with_nothing(seat: fleet.Seat) -> None:
    picture = fleet.Picture()
    frame = picture.apply(seat.changed())
    delta = seat.changed(picture.seen, timeout=0.05)
    assert delta.rects == ()
    again = picture.apply(delta)
    assert again.changed == ()
    assert (again.rgb() == frame.rgb()).all()


def test_a_seat_that_began_anew_sends_the_whole_screen_and_ends_waits() -> None:
    with fleet.Seat(_SPEC) as seat:
        picture = fleet.Picture()
        picture.apply(seat.changed())
        before = picture.seen
        ended: list[BaseException] = []

        def wait() -> None:
            try:
                seat.changed(picture.seen, timeout=30)
            except errors.XshmError as error:
                ended.append(error)

        waiting = threading.Thread(target=wait)
        waiting.start()
        time.sleep(0.1)
        seat.restart()
        waiting.join(10)
        assert len(ended) == 1
        delta = seat.changed(picture.seen)
        assert delta.base == 0
        assert before is not None
        assert delta.epoch != before.epoch
        assert (picture.apply(delta).rgb() == _screen(seat)).all()


def test_a_delta_of_what_the_picture_does_not_have_is_refused_and_changes_nothing(seat: fleet.Seat) -> None:
    picture = fleet.Picture()
    with Surface(5, 5, display=seat.display.name, xauthority=seat.display.xauthority) as surface:
        surface.wait()
        ahead = fleet.Picture()
        ahead.apply(seat.changed())
        _draw(surface, Rect(0, 0, 5, 5), 90)
        part = seat.changed(ahead.seen)
    assert part.base > 0
    with pytest.raises(errors.FleetError, match=r"changed\(picture\.seen\)"):
        picture.apply(part)
    assert picture.seen is None
    frame = picture.apply(seat.changed())
    with pytest.raises(errors.FleetError, match="epoch"):
        picture.apply(part._replace(epoch=1))
    assert (picture.apply(seat.changed(picture.seen)).rgb() == frame.rgb()).all()


@pytest.mark.parametrize("depth", [8, 15, 16, 24, 30])
def test_every_depth_has_its_colours(depth: int) -> None:
    with fleet.Seat(DisplaySpec(33, 21, depth, args=("-extension", "GLX"))) as seat:
        display, picture, random = seat.display, fleet.Picture(), np.random.default_rng(depth)
        with Surface(33, 21, display=display.name, xauthority=display.xauthority) as surface:
            for _ in range(3):
                surface.show(random.integers(0, 256, (9, 14, 3), dtype=np.uint8), at=(5, 3))
                surface.wait()
                frame, grabbed = picture.apply(_sent(seat.changed(picture.seen))), display.screen.grab()
                assert (frame.rgb(dtype=np.uint16) == grabbed.rgb(dtype=np.uint16)).all()
                assert (frame.rgba() == grabbed.rgba()).all()
                assert depth == 8 or frame.format == grabbed.format  # that has a colormap


def test_a_resized_screen_is_followed() -> None:
    spec = DisplaySpec(200, 150, args=("-extension", "GLX"))
    with fleet.Seat(spec) as seat:
        picture = fleet.Picture()
        assert picture.apply(seat.changed()).size == (200, 150)
        seat.display.resize(120, 90)
        frame = picture.apply(seat.changed(picture.seen))
        assert frame.size == (120, 90)
        assert (frame.rgb() == _screen(seat)).all()


def test_what_is_from_before_the_screen_was_resized_and_comes_late_changes_nothing() -> None:
    with fleet.Seat(DisplaySpec(200, 150, args=("-extension", "GLX"))) as seat:
        picture = fleet.Picture()
        late = seat.changed()
        seat.display.resize(120, 90)
        picture.apply(seat.changed())
        seen = picture.seen
        assert picture.apply(late).size == (120, 90)
        assert picture.seen == seen
        assert seat.changed(picture.seen).rects == ()


def test_a_wait_ends_when_the_screen_is_resized_at_whatever_moment() -> None:
    with fleet.Seat(DisplaySpec(200, 150, args=("-extension", "GLX"))) as seat:
        picture = fleet.Picture()
        picture.apply(seat.changed())
        sizes = [(120 + step, 90) for step in range(20)]
        for size in sizes:
            found: list[fleet.Delta] = []
            waiting = threading.Thread(
                target=lambda found=found: found.append(seat.changed(picture.seen, timeout=3600)), daemon=True
            )
            waiting.start()
            seat.display.resize(*size)
            waiting.join(10)
            assert [each.size for each in found] == [size]
            assert picture.apply(found[0]).size == size


@pytest.mark.usefixtures("no_collector")
def test_a_reader_that_drops_its_frames_has_two_slots(seat: fleet.Seat, surface: Surface) -> None:
    picture = fleet.Picture()
    frame = picture.apply(seat.changed())
    places = set()
    for step in range(12):
        _draw(surface, Rect(step, 0, 3, 3), 20 * step)
        frame = picture.apply(seat.changed(picture.seen))
        places.add(frame.pixels.__array_interface__["data"][0])
    assert len(places) == 2
    gc.collect()


@pytest.mark.parametrize("is_held", [True, False])
def test_a_delta_whose_pixels_do_not_fit_is_refused_and_the_picture_is_as_it_was(
    seat: fleet.Seat, surface: Surface, is_held: bool
) -> None:
    picture = fleet.Picture()
    frame = picture.apply(_sent(seat.changed()))
    before, seen = frame.pixels.copy(), picture.seen
    held = frame if is_held else None
    del frame
    _draw(surface, Rect(1, 2, 3, 4), 77 + is_held)
    _draw(surface, Rect(50, 40, 3, 4), 99 + is_held)
    delta = seat.changed(seen)
    first, second = delta.rects
    for broken in (
        delta._replace(rects=(first, dataclasses.replace(second, x=95))),
        delta._replace(pixels=delta.pixels[:1]),
        delta._replace(pixels=(delta.pixels[0], delta.pixels[1][:1, :1])),
        delta._replace(size=(5, 5)),
        delta._replace(base=0),
    ):
        with pytest.raises(errors.FleetError, match="do not fit its 2 rectangles"):
            picture.apply(broken)
        assert picture.seen == seen
    old = delta._replace(generation=0)  # shows what it has
    assert np.array_equal(picture.apply(old).pixels, before)
    assert np.array_equal(picture.apply(delta).rgb(), _screen(seat))
    assert held is None or np.array_equal(held.pixels, before)


def test_frames_are_read_only(seat: fleet.Seat) -> None:
    frame = fleet.Picture().apply(seat.changed())
    with pytest.raises(ValueError, match="read-only"):
        frame.pixels[0, 0] = 0
    assert frame.copy().pixels.flags.writeable


def test_display_that_was_killed_is_said(seat: fleet.Seat) -> None:
    with VirtualDisplay.from_spec(_SPEC) as display:
        changes = Changes(display.screen)
        seen = fleet.Seen(*changes.delta(None)[:1], 1)
        threading.Timer(0.1, lambda: display.close()).start()  # noqa: PLW0108 - another thread's
        with pytest.raises((errors.DisplayGone, errors.Closed)):
            changes.delta(seen, 30)
        changes.close()
    assert seat.changed().rects
