"""Writes to a pipe end in time, whatever the reader does, and leave the pipe to others as it was."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest
from disks import descriptors

from xshm.errors import Closed, TargetGone, TargetTimeout, XshmError
from xshm.record.sinks.timed_writer import TimedWriter

if TYPE_CHECKING:
    from collections.abc import Iterator

_MUCH = bytes(range(256)) * 8_000  # more than a pipe holds


@pytest.fixture(params=["pipe", "socket"])
def ends(request: pytest.FixtureRequest) -> Iterator[list[int]]:
    """Give what reads and what writes; a test may take the first one out, and close it."""
    made = os.pipe() if request.param == "pipe" else [each.detach() for each in socket.socketpair()]
    open_ends = list(made)
    yield open_ends
    for each in open_ends:
        os.close(each)


def reading(descriptor: int, pause: float) -> tuple[threading.Thread, list[bytes]]:
    """Read all in a thread, slowly."""
    read: list[bytes] = []

    def work() -> None:
        while data := os.read(descriptor, 300_000):
            read.append(data)
            time.sleep(pause)

    thread = threading.Thread(target=work)
    thread.start()
    return thread, read


def test_a_slow_reader_gets_every_byte_though_it_takes_longer_than_the_limit_in_all(ends: list[int]) -> None:
    before = descriptors()
    with TimedWriter(ends[1], "the pipe", timeout=0.15) as writer:
        thread, read = reading(ends[0], pause=0.02)
        began = time.monotonic()
        assert writer.write(_MUCH) == writer.write(memoryview(_MUCH)) == len(_MUCH)
        assert writer.write(b"") == 0
        assert time.monotonic() - began > 0.15
        assert writer.nbytes == 2 * len(_MUCH)
    assert descriptors() == before
    os.close(ends.pop())
    thread.join()
    assert b"".join(read) == _MUCH * 2


def test_a_memoryview_of_any_shape_is_written_by_its_bytes(ends: list[int]) -> None:
    with TimedWriter(ends[1], "the pipe") as writer:
        assert writer.write(memoryview(bytes(range(24))).cast("I", (2, 3))) == 24
    assert os.read(ends[0], 100) == bytes(range(24))


def test_a_reader_that_takes_nothing_is_an_error_in_time(ends: list[int]) -> None:
    with TimedWriter(ends[1], "the pipe", timeout=0.2) as writer:
        began = time.monotonic()
        with pytest.raises(TargetTimeout, match=r"taken nothing for 0\.2 s: 'the pipe'") as refused:
            writer.write(_MUCH)
        assert 0.2 <= time.monotonic() - began < 2
        assert isinstance(refused.value, TimeoutError)
        assert isinstance(refused.value, XshmError)
        with pytest.raises(Closed, match=r"nothing more is written to the pipe: .*0\.2 s"):
            writer.write(b"the middle of something")


def test_a_reader_that_has_gone_is_an_error(ends: list[int]) -> None:
    with TimedWriter(ends[1], "the pipe") as writer:
        threading.Timer(0.1, os.close, (ends.pop(0),)).start()
        with pytest.raises(TargetGone, match="its reader has closed it: 'the pipe'") as refused:
            writer.write(_MUCH)
        assert isinstance(refused.value, BrokenPipeError)
        with pytest.raises(Closed, match="closed it"):
            writer.write(b"x")


def test_a_reader_that_had_gone_before_is_an_error(ends: list[int]) -> None:
    os.close(ends.pop(0))
    with TimedWriter(ends[0], "the pipe") as writer, pytest.raises(TargetGone, match="has closed it"):
        writer.write(b"x")


def test_a_write_that_waits_is_ended_by_another_thread_at_once(ends: list[int]) -> None:
    with TimedWriter(ends[1], "the pipe") as writer:
        threading.Timer(0.1, writer.abort).start()
        began = time.monotonic()
        with pytest.raises(Closed, match="given up"):
            writer.write(_MUCH)
        assert time.monotonic() - began < 1
        with pytest.raises(Closed, match="given up"):
            writer.write(b"x")
    with pytest.raises(Closed):
        writer.write(b"x")
    writer.abort()


def test_who_else_writes_there_finds_it_blocking_as_before(ends: list[int]) -> None:
    shares = os.dup(ends[1])
    try:
        writer = TimedWriter(ends[1], "the pipe")
        assert not os.get_blocking(writer.descriptor)
        assert not os.get_inheritable(writer.descriptor)
        writer.close()
        writer.close()
        assert os.get_blocking(shares)
        assert os.get_blocking(ends[1])
    finally:
        os.close(shares)


def test_a_pipe_is_never_made_non_blocking_for_others() -> None:
    reads, writes = os.pipe()
    with TimedWriter(writes, "the pipe"):
        assert os.get_blocking(writes)
    os.close(reads)
    os.close(writes)


def test_a_descriptor_that_did_not_block_before_stays_so() -> None:
    one, other = socket.socketpair()
    with one, other:
        one.setblocking(False)
        TimedWriter(one.fileno(), "the socket").close()
        assert not os.get_blocking(one.fileno())


def test_a_full_device_is_an_error_with_its_name() -> None:
    with open("/dev/full", "wb") as full, TimedWriter(full.fileno(), "/dev/full") as writer:  # noqa: PTH123
        with pytest.raises(OSError, match=r"No space left on device; free some.*: '/dev/full'"):
            writer.write(b"x")
        with pytest.raises(Closed, match="No space"):
            writer.write(b"x")


def test_a_program_ends_though_a_write_of_it_waits() -> None:
    program = (
        "import sys, threading, time\n"
        "from xshm.record.sinks.timed_writer import TimedWriter\n"
        "writer = TimedWriter(1, 'standard output')\n"
        "threading.Thread(target=writer.write, args=(bytes(5_000_000),), daemon=True).start()\n"
        "time.sleep(0.2)\n"
    )
    run = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with run:
        assert run.wait(5) == 0
        assert run.stderr is not None
        assert run.stderr.read() == b""
