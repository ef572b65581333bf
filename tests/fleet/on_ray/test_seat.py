"""A seat as an actor of its own: its methods, looks at it meanwhile, and its return after a kill."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest
from display_traces import Traces, left_of, traces

from xshm import DisplaySpec, VirtualDisplay, fleet
from xshm.errors import DisplayGone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("nothing_is_left", "cluster")
_SPEC = DisplaySpec(160, 120, args=("-extension", "GLX"))
_BLUE = [0x33, 0x66, 0x99]


class Clock(fleet.Seat):
    """A blue root window, a clock, and a method."""

    programs = (["xclock", "-geometry", "60x60+0+0"],)

    def set_up(self) -> None:
        self.display.run(["xsetroot", "-solid", "#336699"]).wait()

    def corner(self, row: int, *, column: int = 100) -> tuple[list[int], int]:
        """Return a pixel of the screen, and how many windows there are."""
        return self.display.screen.grab().rgb()[row, column].tolist(), len(self.display.screen.windows())


@pytest.fixture(scope="module")
def ray(cluster: Any) -> Any:
    assert cluster
    import ray  # noqa: PLC0415 - only where there is Ray

    return ray


@pytest.fixture(scope="module")
def clock(nothing_is_left: None, ray: Any) -> Iterator[Any]:  # noqa: ARG001 - it comes before
    seat = fleet.seat(_SPEC, Clock)
    yield seat
    found = ray.get(seat.do.remote(traces), timeout=20)
    ray.kill(seat)
    assert not left_of([found])


def again(ray: Any, call: Callable[[], Any], error: Any) -> Any:
    """Return what a call returns once the actor is back."""
    deadline = time.monotonic() + 20
    while True:
        try:
            return ray.get(call(), timeout=20)
        except error:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def test_methods_of_a_class_of_seats_are_called_beside_a_display_that_it_has_set_up(ray: Any, clock: Any) -> None:
    assert ray.get(clock.corner.remote(110), timeout=20) == (_BLUE, 1)
    assert ray.get(clock.do.remote(lambda display: os.environ["DISPLAY"] == display.name), timeout=20)
    info = ray.get(clock.info.remote(), timeout=20)
    assert (info.starts, bool(info.node)) == (1, True)


def test_a_seat_is_looked_at_while_something_is_done_on_it(ray: Any, clock: Any, tmp_path: Path) -> None:
    def wait(_: VirtualDisplay, place: Path) -> str:
        (place / "begun").touch()
        while not (place / "seen").exists():
            time.sleep(0.02)
        return "done"

    doing = clock.do.remote(wait, tmp_path)
    while not (tmp_path / "begun").exists():
        time.sleep(0.02)
    frame = ray.get(clock.grab.remote(), timeout=20)
    assert frame.rgb()[110, 100].tolist() == _BLUE
    assert ray.get(clock.grab.remote(encoding="png"), timeout=20)[:4] == b"\x89PNG"
    assert not ray.wait([doing], timeout=0)[0]
    (tmp_path / "seen").touch()
    assert ray.get(doing, timeout=20) == "done"


def test_those_who_wait_for_changes_keep_nobody_from_looking(ray: Any) -> None:
    seat, picture = fleet.seat(_SPEC), fleet.Picture()
    picture.apply(ray.get(seat.changed.remote(), timeout=20))
    waiting = [seat.changed.remote(picture.seen, timeout=60) for _ in range(8)]
    assert ray.get(seat.grab.remote(), timeout=20).size == (_SPEC.width, _SPEC.height)
    assert not ray.wait(waiting, timeout=0)[0]
    ray.kill(seat)


def test_a_display_that_ended_under_a_function_is_its_error_and_the_next_one_has_another(ray: Any, clock: Any) -> None:
    def end(display: VirtualDisplay) -> None:
        assert display.pid is not None
        os.kill(display.pid, signal.SIGKILL)
        display.wait()
        display.screen.grab()

    with pytest.raises(DisplayGone):
        ray.get(clock.do.remote(end), timeout=20)
    assert ray.get(clock.corner.remote(110), timeout=20) == (_BLUE, 1)
    assert ray.get(clock.info.remote(), timeout=20).starts == 2


def test_a_seat_whose_worker_was_killed_comes_back_from_its_description(ray: Any, clock: Any) -> None:
    found: Traces = ray.get(clock.do.remote(traces), timeout=20)
    os.kill(found.worker, signal.SIGKILL)
    corner = again(ray, lambda: clock.corner.remote(110), ray.exceptions.RayActorError)
    assert corner == (_BLUE, 1)
    assert ray.get(clock.info.remote(), timeout=20).pid != found.worker
    assert not left_of([found])


class Refusing(fleet.Seat):
    """A seat that can't be set up."""

    def set_up(self) -> None:
        (self.display.spec.log.parent / str(self.display.pid)).touch()  # type: ignore[union-attr]
        raise LookupError("no such wallpaper")


def test_a_seat_that_cant_be_set_up_says_why_and_leaves_nothing(ray: Any, tmp_path: Path) -> None:
    seat = fleet.seat(DisplaySpec(160, 120, args=_SPEC.args, log=tmp_path / "log"), Refusing)
    with pytest.raises(ray.exceptions.ActorDiedError, match="no such wallpaper"):
        ray.get(seat.info.remote(), timeout=20)
    servers = [int(path.name) for path in tmp_path.iterdir() if path.name.isdigit()]
    assert len(servers) == 1, "it is not tried again"
    assert not left_of([Traces(0, 0, 0, frozenset((pid, "") for pid in servers), frozenset(), frozenset())])


def test_a_seat_that_is_dropped_ends_with_its_display(ray: Any) -> None:
    seat = fleet.seat(_SPEC, max_restarts=0)
    found = ray.get(seat.do.remote(traces), timeout=20)
    del seat
    assert not left_of([found])
