"""A program that has a pool of displays, and ends in one of several ways.

python fleet_driver.py HOW DIRECTORY
"""

from __future__ import annotations

import os
import pickle
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from display_traces import Traces, traces

from xshm import DisplaySpec, fleet
from xshm.errors import Closed

if TYPE_CHECKING:
    from xshm import VirtualDisplay

_SPEC = DisplaySpec(160, 120, args=("-extension", "GLX"))


class OwnError(Exception):
    """An exception's class that only this program has, and workers have by value."""


def fail(_: VirtualDisplay, item: int) -> None:
    raise OwnError(item)


def wait(display: VirtualDisplay, place: Path) -> None:
    """Run until it is ended from outside, with a program; say what there is of the display."""
    display.run(["sleep", "1000"])
    (place / "new").write_bytes(pickle.dumps(traces(display)))
    (place / "new").rename(place / "traces")
    threading.Event().wait()


def begun(place: Path) -> Traces:
    """Return what an item that waits has said."""
    while not (place / "traces").exists():
        time.sleep(0.02)
    found: Traces = pickle.loads((place / "traces").read_bytes())  # noqa: S301 - our own
    return found


def main(how: str, place: Path) -> None:
    pool = fleet.DisplayPool(1, _SPEC)
    try:
        next(pool.map(fail, [1]))
    except OwnError as error:
        print("its own:", *error.args, flush=True)
    results = pool.map(wait, [place])
    threading.Thread(target=say_when_begun, args=(place,), daemon=True).start()
    if how == "with":
        with pool:
            next(results)
    elif how == "shutdown":
        submitted = pool.submit(wait, place)
        begun(place)
        sys.stdin.read()  # the other side looks at Ray's processes meanwhile
        import ray  # noqa: PLC0415 - after the pool has

        ray.shutdown()
        print("ended:", submitted.exception(20), flush=True)
        try:
            pool.map(fail, [1])
        except Closed as error:
            print("refused:", error, flush=True)
        pool.close()
        print("started anew:", ray.is_initialized(), flush=True)
    else:
        _kept: Any = pool, pool.submit(wait, place)
        begun(place)


def say_when_begun(place: Path) -> None:
    begun(place)
    print("begun", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
    print("main is over", os.getpid(), flush=True)
