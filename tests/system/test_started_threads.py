"""Threads that are started within a block are waited for until they sleep."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from xshm.system import scheduling
from xshm.system.scheduling import StartedThreads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_MUCH = bytes(20_000_000)


@pytest.fixture
def started() -> Iterator[Callable[[Callable[[], Any]], StartedThreads]]:
    """Return what makes a call in a thread of its own, which sleeps after it until the test is over."""
    over = threading.Event()
    threads = []

    def start(call: Callable[[], Any]) -> StartedThreads:
        def run() -> None:
            call()
            over.wait()

        threads.append(threading.Thread(target=run))
        noticed = StartedThreads()
        with noticed:
            threads[-1].start()
        return noticed

    yield start
    over.set()
    for thread in threads:
        thread.join()


def test_a_thread_is_waited_for_while_it_computes(started: Callable[[Callable[[], Any]], StartedThreads]) -> None:
    done: list[float] = []
    threads = started(
        lambda: done.append(len(hashlib.sha256(_MUCH).digest()))
    )  # C code, without the interpreter's lock
    threads.wait_idle()
    assert done == [32]


def test_threads_that_sleep_or_have_ended_are_not_waited_for(
    started: Callable[[Callable[[], Any]], StartedThreads],
) -> None:
    started(lambda: None).wait_idle()
    threads = StartedThreads()
    with threads:
        short = threading.Thread(target=time.sleep, args=(0.05,))
        short.start()
    short.join()
    threads.wait_idle()
    StartedThreads().wait_idle()  # none at all


def test_a_thread_that_never_rests_is_waited_for_once(
    started: Callable[[Callable[[], Any]], StartedThreads], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduling, "_MOST_LOOKS", 300)
    threads = started(lambda: hashlib.pbkdf2_hmac("sha256", b"", b"", 3_000_000))  # some seconds, without a sleep
    pauses: list[float] = []
    with monkeypatch.context() as patched:
        patched.setattr(time, "sleep", pauses.append)
        threads.wait_idle()
        assert len(pauses) == 300
        threads.wait_idle()
        assert len(pauses) == 300


def test_a_thread_whose_state_can_t_be_read_is_waited_for(
    started: Callable[[Callable[[], Any]], StartedThreads], monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = started(lambda: None)
    refused = [OSError(24, os.strerror(24))]  # no file more may be opened
    real = os.open

    def once(*given: Any) -> int:
        if refused:
            raise refused.pop()
        return real(*given)

    monkeypatch.setattr(os, "open", once)
    threads.wait_idle()
    assert not refused
    assert len(threads._stats) == 1
