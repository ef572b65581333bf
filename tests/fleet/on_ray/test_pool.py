"""A pool of displays on a cluster: items in their order, and their failures."""

from __future__ import annotations

import itertools
import os
import threading
import time
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any

import pytest
from forked import in_child

from xshm import DisplaySpec, VirtualDisplay, fleet
from xshm.errors import FleetError, InvalidType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_SPEC = DisplaySpec(160, 120, args=("-extension", "GLX"))


class Painted(fleet.Seat):
    """A seat whose set-up and whose program can be seen on its root window."""

    programs = (["xclock", "-geometry", "60x60+0+0"],)

    def set_up(self) -> None:
        self.display.run(["xsetroot", "-solid", "#336699"]).wait()


@pytest.fixture(scope="module")
def pool(nothing_is_left: None, cluster: Any) -> Iterator[fleet.DisplayPool]:  # noqa: ARG001 - it comes before
    assert cluster
    with fleet.DisplayPool(3, _SPEC, kind=Painted) as pool:
        yield pool


def echo(_: VirtualDisplay, item: Any) -> Any:
    return item


def test_results_come_in_the_order_of_the_items(pool: fleet.DisplayPool) -> None:
    def late_first(display: VirtualDisplay, item: int) -> tuple[int, int]:
        time.sleep(0.3 if item == 0 else 0)
        return item, display.screen.grab().rgb().shape[1]

    assert list(pool.map(late_first, range(9))) == [(item, 160) for item in range(9)]


@pytest.mark.parametrize("buffersize", [None, 1, 5])
def test_items_may_be_endless_and_are_taken_as_results_are(pool: fleet.DisplayPool, buffersize: int | None) -> None:
    taken: list[int] = []

    def endless() -> Iterator[int]:
        for number in itertools.count():
            taken.append(number)
            yield number

    results = pool.map(echo, endless(), buffersize=buffersize)
    assert taken == []
    for number in range(8):
        assert next(results) == number
        assert len(taken) <= number + 1 + (buffersize or 2 * len(pool))
    results.close()
    assert list(results) == []


def test_an_exception_is_raised_in_its_items_place_and_iteration_goes_on(pool: fleet.DisplayPool) -> None:
    def some_fail(_: VirtualDisplay, item: int) -> int:
        if item % 2:
            raise LookupError(item)
        return item

    results = pool.map(some_fail, range(4))
    assert next(results) == 0
    with pytest.raises(LookupError, match="1") as raised:
        next(results)
    note = "".join(raised.value.__notes__)
    assert "in some_fail" in note, "the worker's traceback is among its notes"
    assert "in run" not in note, "from the item's own code on"
    assert next(results) == 2
    found = list(pool.map(some_fail, range(4), return_exceptions=True))
    assert found[::2] == [0, 2]
    assert [type(each) for each in found[1::2]] == [LookupError] * 2


def test_a_function_that_cant_be_called_with_what_it_gets_is_refused_before_it_is_sent(pool: fleet.DisplayPool) -> None:
    def of_an_item(item: int) -> int:
        return item

    failed = pool.stats().failed
    with pytest.raises(
        InvalidType, match=r"map\(\) calls function\(display, item\), and of_an_item.*too many positional"
    ):
        pool.map(of_an_item, [1])  # type: ignore[arg-type]
    with pytest.raises(
        InvalidType, match=r"submit\(\) calls .* of_an_item\(item.* unexpected keyword argument 'timeout'"
    ):
        pool.submit(of_an_item, timeout=3)  # type: ignore[call-arg, arg-type]
    assert pool.submit(print).result(10) is None, "a function in C is called as it is"
    assert pool.stats().failed == failed


class _ReadNowhere:
    def __init__(self, where: int | None = None) -> None:
        self.where = where  # a process in which it can't be read; None: all

    def __reduce__(self) -> Any:
        return _read, (self.where,)


def _read(where: int | None) -> _ReadNowhere:
    if where in (None, os.getpid()):
        raise ValueError("nobody can read this")
    return _ReadNowhere(where)


class _Strange(Exception):
    def __init__(self, first: int, second: int) -> None:
        super().__init__(f"{first} and {second}")


class _NoText(Exception):
    def __reduce__(self) -> Any:
        raise TypeError("not this one")

    def __str__(self) -> str:
        raise RuntimeError("no text")


def _raise(error: Any) -> Callable[..., Any]:
    def raising(*_: Any) -> Any:
        raise error

    return raising


def _strange(*_: Any) -> Any:
    raise _Strange(1, 2)


def _no_text(*_: Any) -> Any:
    raise _NoText


def test_what_cant_be_pickled_is_one_items_failure(pool: fleet.DisplayPool) -> None:
    here = os.getpid()
    calls: list[tuple[Callable[..., Any], str]] = [
        (lambda *_: threading.Lock(), "what item 1 has returned can't be sent.*cannot pickle"),
        (lambda display, *_: display, "what item 1 has returned can't be sent.*belongs to the process"),
        (lambda *_: _ReadNowhere(here), "what item 1 has returned can't be read here: ValueError: nobody"),
        (_strange, "_Strange: 1 and 2"),
        (_no_text, "_NoText: its text can't be made: RuntimeError"),
    ]
    for function, words in calls:

        def sometimes(display: VirtualDisplay, item: int, function: Callable[..., Any] = function) -> Any:
            return function(display) if item == 1 else item

        first, second, third = pool.map(sometimes, range(3), return_exceptions=True)
        assert (first, third) == (0, 2)
        assert isinstance(second, FleetError)
        with pytest.raises(FleetError, match=words):
            raise second
    for item, words in ((threading.Lock(), "item 1 can't be sent.*cannot pickle"), (_ReadNowhere(), "1 can't be read")):
        results = pool.map(echo, [0, item, 2])
        assert next(results) == 0
        with pytest.raises(FleetError, match=words):
            next(results)
        assert next(results) == 2
    lock = threading.Lock()
    with pytest.raises(TypeError, match=r"the function can't be sent to workers.*cannot pickle"):
        pool.map(lambda *_: lock, [1])
    assert pool.stats().workers_lost == 0


def test_an_item_can_end_neither_its_worker_nor_the_one_who_waits(pool: fleet.DisplayPool) -> None:
    errors: list[BaseException] = [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), StopIteration("over")]

    def ends(_: VirtualDisplay, item: int) -> int:
        if item < len(errors):
            raise errors[item]
        return item

    results = pool.map(ends, range(5))
    for words in ("SystemExit: 3", "KeyboardInterrupt", "GeneratorExit", "item 3 has raised StopIteration: over"):
        with pytest.raises(FleetError, match=words):
            next(results)
    assert list(results) == [4]
    assert pool.stats().workers_lost == 0


def test_what_the_items_iterator_raises_comes_after_the_items_that_it_gave(pool: fleet.DisplayPool) -> None:
    def two_and_an_error() -> Iterator[int]:
        yield 0
        yield 1
        raise LookupError("no third")

    results = pool.map(echo, two_and_an_error())
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(LookupError, match="no third"):
        next(results)
    assert list(results) == []


def test_fresh_items_have_a_display_that_nobody_was_on_set_up_as_the_first(pool: fleet.DisplayPool) -> None:
    def leave(display: VirtualDisplay, _: int) -> tuple[bool, list[int], int]:
        """Return whether there is what another item has left, a corner of the root, and how many windows."""
        listed = display.run(["xprop", "-root"], stdout=-1).communicate()[0]
        frame = display.screen.grab()
        windows = len(display.screen.windows())
        display.run(["xprop", "-root", "-format", "LEFT", "8s", "-set", "LEFT", "here"]).wait()
        display.run(["xsetroot", "-solid", "black"]).wait()
        display.launch(["xclock", "-geometry", "40x40+100+60"])
        return b"LEFT" in listed, frame.rgb()[110, 5].tolist(), windows

    assert list(pool.map(leave, range(5), fresh=True)) == [(False, [0x33, 0x66, 0x99], 1)] * 5
    again: list[Any] = list(pool.map(leave, range(3)))
    assert any(left for left, _, _ in again), "without fresh= a display is as it was left"


def test_the_environment_of_a_worker_with_one_display_leads_to_it(pool: fleet.DisplayPool) -> None:
    def by_tk(display: VirtualDisplay, _: int) -> tuple[bool, list[int]]:
        import tkinter as tk  # noqa: PLC0415 - in the worker

        root = tk.Tk()
        root.geometry("50x40+80+10")
        root.configure(background="#10ff20")
        root.update()
        for _ in range(100):
            root.update()
            found = display.screen.grab().rgb()[30, 100].tolist()
            if found == [0x10, 0xFF, 0x20]:
                break
            time.sleep(0.05)
        root.destroy()
        return os.environ["DISPLAY"] == display.name, found

    assert list(pool.map(by_tk, range(3))) == [(True, [0x10, 0xFF, 0x20])] * 3


def test_a_submitted_call_has_named_arguments_an_exception_and_can_be_cancelled(
    pool: fleet.DisplayPool, tmp_path: Path
) -> None:
    def power(_: VirtualDisplay, base: int, *, to: int) -> float:
        return float(base**to)

    def wait(_: VirtualDisplay) -> None:
        while not (tmp_path / "go").exists():
            time.sleep(0.02)

    assert pool.submit(power, 2, to=5).result(10) == 32
    with pytest.raises(ZeroDivisionError):
        pool.submit(power, 0, to=-1).result(10)
    busy = [pool.submit(wait) for _ in range(len(pool))]
    waiting = pool.submit(power, 1, to=1)
    after = pool.submit(power, 3, to=2)
    assert waiting.cancel()
    (tmp_path / "go").touch()
    assert after.result(10) == 9
    assert [each.result(10) for each in busy] == [None] * 3
    with pytest.raises(CancelledError):
        waiting.result(1)


def test_threads_may_submit_at_the_same_time(pool: fleet.DisplayPool) -> None:
    found: list[list[Any]] = []

    def work(first: int) -> None:
        found.append(list(pool.map(echo, range(first, first + 20))))

    threads = [threading.Thread(target=work, args=(100 * number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(found) == [list(range(first, first + 20)) for first in (0, 100, 200, 300)]


def test_a_forked_child_is_refused_and_ends_nothing(pool: fleet.DisplayPool) -> None:
    def use() -> None:
        pool.close()
        pool.submit(echo, 1)

    assert "works only in the process that made it" in in_child(use)
    assert list(pool.map(echo, [1, 2])) == [1, 2]


def test_several_displays_of_one_worker_work_at_the_same_time(cluster: Any, tmp_path: Path) -> None:
    def meet(display: VirtualDisplay, item: int) -> tuple[str, int]:
        (tmp_path / f"{item // 3}-{item}").touch()
        deadline = time.monotonic() + 20
        while len([*tmp_path.glob(f"{item // 3}-*")]) < 3 and time.monotonic() < deadline:
            time.sleep(0.02)
        return display.name, len([*tmp_path.glob(f"{item // 3}-*")]) + 10 * (display.screen.grab().width == 160)

    assert cluster
    with fleet.DisplayPool(3, _SPEC, per_worker=3) as pool:
        names, met = zip(*pool.map(meet, range(6)), strict=True)
        infos = pool.infos()
        assert met == (13,) * 6
        assert {info.display for info in infos} == set(names[:3]) == set(names[3:])
        assert len({info.pid for info in infos}) == 1
        assert pool.submit(lambda _: os.environ.get("DISPLAY")).result(10) not in names
