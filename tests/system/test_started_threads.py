"""Threads that are started within a block by the thread whose block it is are waited for until they sleep."""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from xshm.system.scheduling import StartedThreads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_MUCH = bytes(20_000_000)


def _compute() -> int:
    return len(hashlib.sha256(_MUCH).digest())  # C code, without the interpreter's lock


def _name() -> str:
    return Path("/proc/thread-self/comm").read_text().strip()


@pytest.fixture
def start() -> Iterator[Callable[[Callable[[], Any]], None]]:
    """Return what makes a call in a thread of its own, which sleeps after it until the test is over."""
    over = threading.Event()
    threads = []

    def start_one(call: Callable[[], Any]) -> None:
        def run() -> None:
            call()
            over.wait()

        threads.append(threading.Thread(target=run))
        threads[-1].start()

    yield start_one
    over.set()
    for thread in threads:
        thread.join()


def test_a_thread_is_waited_for_while_it_computes(start: Callable[[Callable[[], Any]], None]) -> None:
    done: list[int] = []
    names: list[str] = []
    own = _name()
    threads = StartedThreads()
    with threads:
        start(lambda: done.append(_compute()))
        start(lambda: names.append(_name()))
    threads.wait_idle()
    assert done == [32]
    assert names[0].startswith("xshm ")
    assert _name() == own != names[0]


def test_threads_that_sleep_or_have_ended_are_not_waited_for(start: Callable[[Callable[[], Any]], None]) -> None:
    threads = StartedThreads()
    with threads:
        start(lambda: None)
        short = threading.Thread(target=time.sleep, args=(0.05,))
        short.start()
    short.join()
    threads.wait_idle()
    StartedThreads().wait_idle()  # none at all


def test_threads_that_others_start_meanwhile_are_not_waited_for(start: Callable[[Callable[[], Any]], None]) -> None:
    stop = threading.Event()
    started: list[threading.Thread] = []

    def spin() -> None:
        while not stop.is_set():
            _compute()

    def other() -> None:
        entered.wait()
        with StartedThreads():  # as two encoders that are opened at the same time
            started.extend(threading.Thread(target=spin) for _ in range(3))
            for thread in started:
                thread.start()

    threads = StartedThreads()
    entered = threading.Event()
    beside = threading.Thread(target=other)
    beside.start()
    try:
        with threads:
            start(lambda: None)
            entered.set()
            beside.join()
        threads.wait_idle()
        assert all(thread.is_alive() for thread in started)
    finally:
        stop.set()
        for thread in started:
            thread.join()


def test_the_name_comes_back_after_an_error() -> None:
    own = _name()
    with contextlib.suppress(ValueError), StartedThreads():
        raise ValueError
    assert _name() == own


def test_at_the_limit_on_open_files_nothing_is_waited_for(
    start: Callable[[Callable[[], Any]], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[int] = []
    threads = StartedThreads()
    with threads:
        start(lambda: done.append(_compute()))
    with monkeypatch.context() as refused:

        def refuse(*_: Any) -> int:
            raise OSError(24, os.strerror(24))

        refused.setattr(os, "open", refuse)
        threads.wait_idle()
    threads.wait_idle()
    assert done == [32]
