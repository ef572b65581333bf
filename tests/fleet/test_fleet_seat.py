"""A seat in this process, without Ray: looks at it when its display ends, or can't be started again."""

from __future__ import annotations

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from xshm import DisplaySpec, fleet
from xshm.errors import InvalidType

if TYPE_CHECKING:
    from collections.abc import Callable

_SPEC = DisplaySpec(160, 120, args=("-extension", "GLX"))
_LOOKS: list[Callable[[fleet.Seat], object]] = [
    lambda seat: seat.changed().size,
    lambda seat: getattr(seat.grab(), "size", None),
    lambda seat: seat.preview(160, 120).size,
]


def _end_server(seat: fleet.Seat) -> None:
    display = seat.display
    assert display.pid is not None
    os.kill(display.pid, signal.SIGKILL)
    assert display.wait(10)


@pytest.mark.parametrize("look", _LOOKS, ids=["changed", "grab", "preview"])
def test_a_look_at_a_seat_whose_server_has_ended_is_at_its_next_display(look: Callable[[fleet.Seat], object]) -> None:
    with fleet.Seat(_SPEC) as seat:
        seen = seat.changed()
        _end_server(seat)
        assert look(seat) == (160, 120)
        assert seat.info().starts == 2
        assert seat.changed().epoch != seen.epoch


def test_what_is_no_state_of_a_picture_is_refused() -> None:
    with fleet.Seat(_SPEC) as seat:
        for wrong in (5, (1, 2), fleet.Picture()):
            with pytest.raises(InvalidType, match="since is what a Picture has `seen`, or None, not"):
                seat.changed(wrong)  # type: ignore[arg-type]


def test_a_look_ends_where_the_display_that_it_waits_for_cant_be_set_up() -> None:
    begun, looked = threading.Event(), threading.Event()

    class Once(fleet.Seat):
        def set_up(self) -> None:
            if self._starts == 2:
                begun.set()
                looked.wait(0.5)  # a look that waits for this display has begun by then, if it is to
                raise LookupError("no such wallpaper")

    with Once(_SPEC) as seat, ThreadPoolExecutor(1) as pool:

        def look() -> int:
            begun.wait(10)
            return seat.changed().generation

        looking = pool.submit(look)
        with pytest.raises(LookupError):
            seat.restart()
        assert looking.result(20) == 1
        assert seat.info().starts == 3
