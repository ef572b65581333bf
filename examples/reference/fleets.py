"""Displays on many machines, by Ray."""

# ruff: noqa: N802 - an example has the name of what it shows
from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ray

import xshm
from xshm import fleet

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

OF = "xshm.fleet"


def DisplayPool(folder: Path) -> None:
    def photograph(display: xshm.VirtualDisplay, program: str) -> NDArray[np.uint8]:
        with display.launch(program):
            return display.screen.grab().rgb()

    with fleet.DisplayPool(2, xshm.DisplaySpec(320, 240)) as pool:
        for picture in pool.map(photograph, ["xlogo", "xclock"], trace_on_failure=folder):
            print(picture.shape)


def Seat() -> None:
    class Terminal(fleet.Seat):
        programs = ("xterm",)

        def write(self, text: str) -> xshm.Frame:
            self.display.screen.type(text)
            return self.display.screen.wait_stable().frame

    with Terminal(xshm.DisplaySpec(640, 480)) as terminal:  # here; fleet.seat(kind=Terminal) makes an actor of it
        print(terminal.write("echo hello"))


def seat() -> None:
    one = fleet.seat(xshm.DisplaySpec(640, 480), programs=["xclock"])
    title = ray.get(one.do.remote(lambda display: display.screen.windows()[0].title))
    frame = ray.get(one.grab.remote())
    print(title, frame.rgb().shape)
    ray.kill(one)


def SeatInfo() -> None:
    with fleet.Seat(xshm.DisplaySpec(640, 480)) as here:  # an actor of fleet.seat is asked as any: one.info.remote()
        info: fleet.SeatInfo = here.info()
        print(info.display, info.host, info.starts)


def Picture() -> None:
    one = fleet.seat(xshm.DisplaySpec(640, 480))
    picture = fleet.Picture()
    for _ in range(3):  # only what has changed is sent, from the second time on
        frame = picture.apply(ray.get(one.changed.remote(picture.seen, timeout=0.1)))
        print(frame.changed)
    ray.kill(one)


def Delta() -> None:
    with fleet.Seat(xshm.DisplaySpec(640, 480)) as here:
        delta = here.changed()  # all of the screen, since nothing is known
        print(delta.size, delta.rects)


def Seen() -> None:
    with fleet.Seat(xshm.DisplaySpec(640, 480)) as here:
        picture = fleet.Picture()
        picture.apply(here.changed())
        seen: fleet.Seen | None = picture.seen  # a few bytes, that say what the picture has
        print(here.changed(seen).rects)


def Capacity() -> None:
    room: fleet.Capacity = fleet.capacity(xshm.DisplaySpec(1920, 1080))
    print(room)  # a line for each node
    room.check(1)  # raises NoRoom where none fits


def capacity() -> None:
    print(fleet.capacity(xshm.DisplaySpec(1920, 1080), per_worker=4).fits, "displays fit")


def NodeRoom() -> None:
    for node in fleet.capacity(per_worker=2, num_cpus=0.5).nodes:
        row: fleet.NodeRoom = node
        print(row.host, row.fits, "fit, then there is no more of:", row.limit)


def FleetStats() -> None:
    def fail(display: xshm.VirtualDisplay, item: int) -> Any:
        raise ValueError(f"{item} on {display.name}")

    with fleet.DisplayPool(1, xshm.DisplaySpec(320, 240)) as pool:
        list(pool.map(fail, range(3), return_exceptions=True))
        stats: fleet.FleetStats = pool.stats()
        print(stats.done, stats.failed)


def Wall() -> None:
    with fleet.DisplayPool(2, xshm.DisplaySpec(320, 240), programs=["xclock"]) as pool, pool.live() as wall:
        print(wall.url)  # both displays, in a browser
