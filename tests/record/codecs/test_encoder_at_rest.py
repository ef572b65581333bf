"""SVT-AV1 is given a picture when its threads have come to rest; not waited for, it may stand still for ever."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import videos

from xshm.geometry import Rect
from xshm.record.codecs import table
from xshm.record.libav.encoder import Encoder
from xshm.record.sinks.settings import Settings

if TYPE_CHECKING:
    from xshm.record.pictures.picture import Picture

_THREADS = Path("/proc/self/task")
_SIZE = (160, 96)
_WHOLE = (Rect(0, 0, *_SIZE),)
_PERIOD = videos.SECOND // 25


def _encoder(quality: Any = "small") -> Encoder:
    return Encoder(table.find("av1", quality)[0], _SIZE, Settings(format="mp4", codec="av1", quality=quality))


def _pictures(encoder: Encoder) -> list[Picture]:
    """Return 90 pictures, each of one colour."""
    pictures = []
    for pair in itertools.permutations(videos.BARS, 2):
        for colour in (*pair, pair[1]):
            pictures.append(encoder.new_picture())
            videos.paint(pictures[-1], np.full((*_SIZE[::-1], 3), colour, np.uint8))
    return pictures


def _encode(encoder: Encoder, pictures: list[Picture]) -> int:
    """Encode pictures as fast as it goes; return how many packets they became."""
    packets = sum(len(encoder.encode(picture, number * _PERIOD, _WHOLE)) for number, picture in enumerate(pictures))
    return packets + len(encoder.finish())


class _Watched:
    """A codec's context that notes which threads are busy when it is given a picture."""

    def __init__(self, context: Any, threads: set[Path]) -> None:
        self._context, self._threads = context, threads
        self.given = 0
        self.busy: list[tuple[int, str]] = []

    def encode(self, frame: Any) -> Any:
        self.given += frame is not None
        if frame is not None:
            for thread in self._threads:
                state = (thread / "stat").read_text().rpartition(") ")[2][0]
                if state != "S":
                    self.busy.append((self.given, state))
        return self._context.encode(frame)


def test_its_threads_sleep_when_it_is_given_a_picture() -> None:
    before = set(_THREADS.iterdir())
    encoder = _encoder()
    threads = set(_THREADS.iterdir()) - before
    watched = _Watched(encoder._context, threads)
    encoder._context = watched
    assert _encode(encoder, _pictures(encoder)) == 90
    assert encoder._threads is not None
    assert len(encoder._threads._stats) == len(threads) > 10
    assert watched.given == 90
    assert not watched.busy


def _many(count: int) -> None:
    for number in range(count):
        encoder = _encoder(("small", "screen")[number % 2])
        assert _encode(encoder, _pictures(encoder)) == 90


@pytest.mark.proof
@pytest.mark.timeout(300)
def test_none_of_many_stands_still_where_processors_are_busy() -> None:
    # Without the wait it is one in a hundred of them.
    fresh = multiprocessing.get_context("spawn")
    processes = [fresh.Process(target=_many, args=(200,)) for _ in range(len(os.sched_getaffinity(0)) + 1)]
    for process in processes:
        process.start()
    until = time.monotonic() + 240
    try:
        for process in processes:
            process.join(max(until - time.monotonic(), 0))
        assert {process.exitcode for process in processes} == {0}
    finally:
        for process in processes:
            process.kill()
            process.join()
