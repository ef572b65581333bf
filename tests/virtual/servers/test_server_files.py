"""The sockets of servers are judged without a connection: an Xvfb without XFIXES aborts when one of several ends."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest

from xshm.virtual.servers import server_files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def listening(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Give the socket of a display :7, which nobody has connected to when the test is over."""
    monkeypatch.setattr(server_files, "SOCKETS", str(tmp_path))
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "X7"))
        listening.listen()
        listening.setblocking(False)
        yield listening
        if listening.fileno() >= 0:
            with pytest.raises(BlockingIOError):
                listening.accept()


def test_a_socket_is_dead_when_no_process_has_it_any_more(listening: socket.socket, tmp_path: Path) -> None:
    path = listening.getsockname()
    assert not server_files.is_socket_dead(path)
    listening.close()
    assert server_files.is_socket_dead(path)
    assert not server_files.is_socket_dead(str(tmp_path / "X8"))


def test_a_socket_that_does_not_listen_yet_is_not_dead(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as starting:
        starting.bind(str(tmp_path / "X7"))
        assert not server_files.is_socket_dead(starting.getsockname())


def test_a_socket_file_is_that_of_the_process_that_listens_on_it(listening: socket.socket) -> None:
    found = os.lstat(listening.getsockname())
    assert server_files.socket_of("7", os.getpid()) == ["7", str(found.st_ino), str(found.st_ctime_ns)]
    assert server_files.socket_of("7", os.getppid()) == ["7"]
    assert server_files.socket_of("77", os.getpid()) == ["77"]


def test_a_process_that_has_ended_listens_on_nothing(listening: socket.socket) -> None:
    assert listening
    assert server_files.socket_of("7", 1 << 22) == ["7"]
