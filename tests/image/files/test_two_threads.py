"""Work on a large picture by two threads: the same files as by one, and the errors of both."""

from __future__ import annotations

import _thread
import contextlib
import io
import os
import subprocess
import sys
import threading
import time
import zlib
from typing import TYPE_CHECKING

import numpy as np
import pytest
from pictures import BGRX, bgrx, opened, photograph
from PIL import Image
from programs import eventually

from xshm._signal_safety import begun
from xshm.image.files import encode, two_threads
from xshm.image.files.shrink import shrink
from xshm.image.files.two_threads import keep_helpers, together
from xshm.pixels.raster import Raster

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

# What threading.Thread calls, which Python 3.13 has given another name.
_START = next(name for name in ("_start_new_thread", "_start_joinable_thread") if hasattr(threading, name))


@contextlib.contextmanager
def _on_one_processor() -> Iterator[None]:
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


@pytest.fixture(scope="module")
def rgb() -> NDArray[np.uint8]:
    return photograph(1081, 1911)  # an odd size: no strip begins at a whole row


@pytest.mark.parametrize("edge", [1910, 1568, 640, 3])
def test_a_picture_made_smaller_is_pillow_s_but_for_rounding(rgb: NDArray[np.uint8], edge: int) -> None:
    made = opened(encode.encode(Raster(bgrx(rgb), BGRX), max_edge=edge).data)
    expected = Image.fromarray(rgb).resize(made.size, Image.Resampling.HAMMING)
    assert np.abs(np.asarray(made.convert("RGB")).astype(int) - np.asarray(expected)).max() <= 1


def test_shades_are_made_smaller_too() -> None:
    shades = photograph(700, 1400)[..., 0].copy()
    made = np.empty((166, 333), np.uint8)
    shrink(shades, "L", "L", made)
    expected = Image.fromarray(shades).resize((333, 166), Image.Resampling.HAMMING)
    assert np.abs(made.astype(int) - np.asarray(expected)).max() <= 1


@pytest.mark.parametrize("edge", [None, 1568])
def test_a_large_png_holds_the_picture_and_is_the_same_on_one_processor(
    rgb: NDArray[np.uint8], edge: int | None
) -> None:
    def png() -> bytes:
        return encode.encode(Raster(bgrx(rgb), BGRX), max_edge=edge).data

    made = png()
    with _on_one_processor():
        assert png() == made
    if edge is None:
        assert np.array_equal(np.asarray(opened(made)), rgb)
        # zlib checks the checksum of the stream, which viewers mostly ignore.
        start, stop = made.index(b"IDAT") + 4, made.rindex(b"IEND") - 8
        rows = zlib.decompress(made[start:stop])
        assert len(rows) == 1081 * (1 + 3 * 1911)
        assert b"\0\0\xff\xff" in made[start:stop], "it is not of two parts: the first ends so"
        usual = io.BytesIO()
        Image.fromarray(rgb).save(usual, "PNG", compress_level=1)
        assert len(made) < 1.1 * len(usual.getvalue())


def test_with_two_processors_both_parts_are_done_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    met = threading.Barrier(2)

    def meet() -> None:
        met.wait(10)  # raises where the other part does not come

    together(meet, meet)


@pytest.mark.parametrize("broken", ["here", "there"])
@pytest.mark.parametrize("where", [contextlib.nullcontext, _on_one_processor])
def test_what_either_part_raises_is_raised(
    broken: str, where: Callable[[], contextlib.AbstractContextManager[None]]
) -> None:
    def fail() -> None:
        raise MemoryError(broken)

    parts = {"here": lambda: None, "there": lambda: None} | {broken: fail}
    with where(), pytest.raises(MemoryError, match=broken):
        together(**parts)


def test_where_the_system_has_no_more_threads_both_parts_are_done() -> None:
    program = (
        "import os, resource, threading\n"
        "from xshm.image.files.two_threads import together\n"
        "os.sched_getaffinity = lambda _: {0, 1}\n"
        "threading.stack_size(1 << 30)\n"
        "resource.setrlimit(resource.RLIMIT_AS, (1 << 29, resource.getrlimit(resource.RLIMIT_AS)[1]))\n"
        "together(lambda: print('here'), lambda: print('there'))\n"
        "try:\n"
        "    threading.Thread(target=print).start()\n"
        "except RuntimeError as error:\n"
        "    print(error)\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout == "there\nhere\ncan't start new thread\n"


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="there is one processor")
def test_a_part_of_such_work_is_not_parted_once_more() -> None:
    used: dict[str, list[int]] = {"here": [], "there": [], "after": []}
    met = threading.Barrier(2)

    def part(name: str) -> None:
        together(*2 * [lambda: used[name].append(threading.get_ident())])

    def meet_and_part(name: str) -> None:
        met.wait(10)  # both threads are alive, so their ids differ
        part(name)

    def note_and_meet() -> None:
        used["after"].append(threading.get_ident())
        met.wait(10)

    together(lambda: meet_and_part("here"), lambda: meet_and_part("there"))
    together(*2 * [note_and_meet])
    assert [len(each) for each in used.values()] == [2, 2, 2]
    assert [len(set(each)) for each in used.values()] == [1, 1, 2]
    assert not set(used["here"]) & set(used["there"])
    assert threading.get_ident() not in {each for threads in used.values() for each in threads}


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="there is one processor")
@pytest.mark.parametrize("prepare", [lambda: None, keep_helpers])
def test_each_part_begins_on_half_of_the_processors_and_is_free_to_leave(
    prepare: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed = os.sched_getaffinity(0)
    bound: dict[int, list[set[int]]] = {}
    free: list[set[int]] = []
    bind = os.sched_setaffinity

    def noted(pid: int, processors: Iterable[int]) -> None:
        bind(pid, processors)
        bound.setdefault(threading.get_native_id(), []).append(os.sched_getaffinity(0))

    met = threading.Barrier(2)

    def part() -> None:
        met.wait(10)  # both threads are alive, so their ids differ
        free.append(os.sched_getaffinity(0))

    monkeypatch.setattr(os, "sched_setaffinity", noted)
    _in_a_thread(lambda: together(part, part), prepare)
    (one, then), (other, at_last) = bound.values()
    assert one | other == then == at_last == allowed
    assert not one & other
    assert free == [allowed, allowed]
    assert os.sched_getaffinity(0) == allowed


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="there is one processor")
def test_in_a_child_forked_by_a_part_such_work_has_two_threads_again() -> None:
    program = (
        "import os, threading\n"
        "from xshm.image.files.two_threads import together\n"
        "def fork():\n"
        "    child = os.fork()\n"
        "    if child:\n"
        "        print(os.waitpid(child, 0)[1])\n"
        "        return\n"
        "    threads, met = [threading.get_ident()], threading.Barrier(2)\n"
        "    together(*2 * [lambda: (threads.append(threading.get_ident()), met.wait(10))])\n"
        "    print(len(set(threads)), flush=True)\n"
        "    os._exit(0)\n"
        "together(lambda: None, fork)\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout == "3\n0\n"


@pytest.mark.parametrize("kept", [True, False])
def test_where_one_part_fails_in_the_caller_the_other_is_waited_for(
    kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    start: Callable[..., object] = getattr(threading, _START)
    started: list[int] = []
    done: list[int] = []

    def is_the_first() -> bool:
        started.append(1)
        return len(started) == 1

    def start_one(*arguments: object, **options: object) -> object:
        if not is_the_first():
            raise RuntimeError("can't start new thread")
        return start(*arguments, **options)

    def begin_one(work: Callable[[], None]) -> Callable[[], object] | None:
        return begun(work) if is_the_first() else None

    def fail() -> None:
        raise MemoryError("here")

    def take_long() -> None:
        time.sleep(0.2)
        done.append(1)

    def work() -> None:
        with monkeypatch.context() as patched:
            patched.setattr(threading, _START, start_one)
            patched.setattr(two_threads, "begun", begin_one)
            with pytest.raises(MemoryError, match="here"):
                together(fail, take_long)
        assert done

    _in_a_thread(work, keep_helpers if kept else lambda: None)
    assert len(started) == 2


def test_a_thread_of_greenlets_stays_on_all_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    allowed = os.sched_getaffinity(0)
    done: list[str] = []
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    # As gevent has it: what is started as a thread runs in the caller's own.
    monkeypatch.setattr(_thread, "start_new_thread", lambda work, arguments: work(*arguments))
    together(lambda: done.append("here"), lambda: done.append("there"))
    monkeypatch.undo()
    assert done == ["there", "here"]
    assert os.sched_getaffinity(0) == allowed


# -- a thread that keeps its helpers -----------------------------------------------------------------------------------


def _in_a_thread(work: Callable[[], None], prepare: Callable[[], object] = keep_helpers) -> None:
    failed: list[BaseException] = []

    def run() -> None:
        try:
            prepare()
            work()
        except BaseException as error:  # noqa: BLE001 - the test's thread raises it
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]


def test_kept_helpers_are_two_threads_which_end_after_their_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    before, met = set(threading.enumerate()), threading.Barrier(2)
    helpers: list[threading.Thread] = []

    def meet() -> None:
        met.wait(10)
        helpers.append(threading.current_thread())

    def fail() -> None:
        raise MemoryError("there")

    def work() -> None:
        for _ in range(5):
            together(meet, meet)
        with pytest.raises(MemoryError, match="there"):
            together(lambda: None, fail)
        together(meet, meet)

    _in_a_thread(work)
    assert len(helpers) == 12
    assert len(set(helpers)) == 2
    assert eventually(lambda: not set(threading.enumerate()) - before)


def test_where_no_helper_can_be_started_to_be_kept_both_parts_are_done_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    done: list[tuple[str, bool]] = []

    def part(name: str) -> None:
        done.append((name, threading.current_thread().name.startswith("xshm-files")))

    def refuse(*_: object, **__: object) -> int:
        raise RuntimeError("can't start new thread")

    def work() -> None:
        with monkeypatch.context() as patched:
            patched.setattr(threading, _START, refuse)
            together(lambda: part("here"), lambda: part("there"))
        assert done == [("there", False), ("here", False)]
        together(lambda: part("here"), lambda: part("there"))
        assert sorted(done[2:]) == [("here", True), ("there", True)]

    _in_a_thread(work)
    assert len(done) == 4
