"""Errors of a fleet."""

# ruff: noqa: N802 - an example has the name of what it shows
from __future__ import annotations

import os
import time

import xshm
from xshm import fleet as displays

OF = "xshm"


def fleet() -> None:
    with xshm.fleet.DisplayPool(1, xshm.DisplaySpec(320, 240)) as pool:
        print(pool.submit(lambda display: display.name).result())


def FleetError() -> None:
    picture = displays.Picture()
    with displays.Seat(xshm.DisplaySpec(320, 240)) as seat, displays.Seat(xshm.DisplaySpec(320, 240)) as other:
        picture.apply(seat.changed())
        of_the_other = displays.Picture()
        of_the_other.apply(other.changed())
        try:
            picture.apply(other.changed(of_the_other.seen))
        except xshm.FleetError as error:
            print(error)


def NoRoom() -> None:
    try:
        displays.DisplayPool(100_000)
    except xshm.NoRoom as error:
        print(error)  # how many fit on each node, and why not more


def SeatLost() -> None:
    def end_worker(display: xshm.VirtualDisplay) -> None:
        print(display.name, flush=True)
        os._exit(1)

    with displays.DisplayPool(1, xshm.DisplaySpec(320, 240), tries=2) as pool:
        try:
            pool.submit(end_worker).result()
        except xshm.SeatLost as error:
            print(error, error.tries)


def ItemTimeout() -> None:
    def hang(display: xshm.VirtualDisplay, item: int) -> None:
        print(display.name, item)
        time.sleep(60)

    with displays.DisplayPool(1, xshm.DisplaySpec(320, 240)) as pool:
        (error,) = pool.map(hang, [1], timeout=0.5, return_exceptions=True)
        print(repr(error))
