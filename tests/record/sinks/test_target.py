"""A recording's target is what its name says, and what is refused is told the way out."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest
from disks import NOBODY, descriptors

from xshm.errors import InvalidArgument, InvalidType, TargetDenied, TargetNotFound, TargetTimeout
from xshm.record.libav.network import Line
from xshm.record.sinks.target import CONTAINERS, Target
from xshm.record.sinks.timed_writer import TimedWriter
from xshm.system.replacement import Replacement


@pytest.mark.parametrize(
    ("value", "format", "kind", "container"),
    [
        ("out.mp4", None, "file", "mp4"),
        (b"out.MKV", None, "file", "mkv"),
        (Path("a/out.m4v"), None, "file", "mp4"),
        ("out", "matroska", "file", "mkv"),
        ("out.bin", ".webm", "file", "webm"),
        ("a:b.mp4", None, "file", "mp4"),
        ("C:/video/out.mp4", None, "file", "mp4"),
        ("udp:notes.mkv", None, "file", "mkv"),
        ("./tcp://host.mp4", None, "file", "mp4"),
        ("-", None, "descriptor", "y4m"),
        ("-", "bgr0", "descriptor", "bgr0"),
        ("/dev/stdout", None, "descriptor", "y4m"),
        ("/dev/fd/7", "ts", "descriptor", "ts"),
        pytest.param(f"/proc/{os.getpid()}/fd/7", None, "descriptor", "y4m", id="/proc/own pid/fd/7"),
        ("/dev/null", None, "stream", "y4m"),
        ("rtmp://host/live/key", None, "url", "flv"),
        ("rtmpe://host/live/key", None, "url", "flv"),
        ("udp://127.0.0.1:9", None, "url", "ts"),
        ("udp:127.0.0.1:9", None, "url", "ts"),
        ("TCP:host:9?listen", None, "url", "ts"),
        ("tcp://host:9", "mkv", "url", "mkv"),
        ("srt://host:9", None, "url", "ts"),
        ("https://host/a.webm?b=c", None, "url", "webm"),
        ("gopher://host/1", "ts", "url", "ts"),
    ],
)
def test_a_target_is_what_its_name_says(value: Any, format: str | None, kind: str, container: str) -> None:  # noqa: A002
    found = Target.parse(value, format)
    assert (found.kind, found.container) == (kind, container)
    assert found.path == os.fsdecode(value)


def test_a_fifo_is_told_from_a_file_of_that_name(tmp_path: Path) -> None:
    for name, container in (("pipe", "y4m"), ("pipe.mkv", "mkv")):
        os.mkfifo(tmp_path / name)
        found = Target.parse(tmp_path / name)
        assert (found.kind, found.container) == ("stream", container)


@pytest.mark.parametrize(
    ("value", "format", "words"),
    [
        ("out", None, r"no suffix.*'out\.mp4'.*format='mp4'"),
        (".mp4", None, r"no suffix.*name it so \('out\.mp4'\)"),
        ("videos/.webm", None, r"name it so \('videos/out\.webm'\)"),
        ("mp4", None, r"name it so \('mp4\.mp4'\)"),
        ("/", None, r"'/' names a directory; name a file in it \('/out\.mp4'\)"),
        ("no/such.mp4/", None, r"'no/such\.mp4/' names a directory; name a file in it \('no/such\.mp4/out\.mp4'\)"),
        ("out.wmv", None, r"\.wmv: WMV .*\.mp4"),
        ("out.ogv", None, r"\.ogv: .*\.webm"),
        ("out.png", None, r"\.png: a still picture.*\.apng"),
        ("out.avi", None, r"\.avi: AVI has one frame rate.*\.mkv"),
        ("out.wav", None, r"no sound"),
        ("out.xyz", None, r"\.xyz is no container.*mp4, mov, mkv.*format='mp4'"),
        ("out.mp4", "nonsense", r"format 'nonsense' is no container.*mp4, mov"),
        ("-", "png", r"format 'png': a still picture"),
        ("file:///tmp/a.mp4", None, "named by its path"),
        ("pipe://1", None, "standard output is '-'"),
        ("gopher://user:secret@host/1", None, r"container of gopher://host/1; name it: format='ts'"),
        ("", None, "path, '-' or a URL"),
        ("a\0.mp4", None, "path, '-' or a URL"),
    ],
)
def test_what_is_refused_is_told_the_way_out(value: str, format: str | None, words: str) -> None:  # noqa: A002
    with pytest.raises(InvalidArgument, match=words) as refused:
        Target.parse(value, format)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("value", [None, 1, 2.0, ["a.mp4"]])
def test_a_value_of_another_type_is_refused(value: Any) -> None:
    with pytest.raises(InvalidType, match="path, '-' or a URL, not"):
        Target.parse(value)


def test_the_secrets_of_a_url_are_in_no_message() -> None:
    for url in ("rtmp://user:secret@host:1935/live/secret?k=secret", "https://secret@host/a.ts#secret"):
        found = Target.parse(url)
        assert "secret" not in found.name
        assert found.name.startswith(url.partition(":")[0] + "://host")
        assert found.path == url


def test_every_container_is_named_by_its_own_name() -> None:
    assert [Target.parse("-", name).container for name in CONTAINERS] == list(CONTAINERS)


# -- files -------------------------------------------------------------------------------------------------------------


def test_a_file_is_opened_as_a_replacement_and_refused_early(tmp_path: Path) -> None:
    with Target.parse(tmp_path / "out.mp4").open() as file:
        assert isinstance(file, Replacement)
    with pytest.raises(TargetNotFound, match="make it first"):
        Target.parse(tmp_path / "no/out.mp4").open()


# -- FIFOs and descriptors ---------------------------------------------------------------------------------------------


def test_a_fifo_gets_what_is_written_and_stays_a_fifo(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(path.read_bytes()))
    before = descriptors()
    timer = threading.Timer(0.1, reader.start)  # it comes after the writer
    timer.start()
    with Target.parse(path).open() as file:
        assert isinstance(file, TimedWriter)
        assert file.write(b"x" * 500_000) == 500_000
        assert not os.get_inheritable(file.descriptor)
    timer.join()
    reader.join()
    assert read == [b"x" * 500_000]
    assert stat.S_ISFIFO(path.stat().st_mode)
    assert descriptors() == before


def test_a_fifo_without_a_reader_is_an_error_in_time(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    before = descriptors()
    with pytest.raises(TargetTimeout, match=r"no program has opened this FIFO.*0\.1 s; start one.*pipe"):
        Target.parse(path).open(timeout=0.1)
    assert descriptors() == before


@pytest.mark.skipif(os.geteuid() != 0, reason="another user's FIFO takes root to make")
def test_a_fifo_that_others_have_put_where_everybody_can_is_not_written_to(own_directory: Path) -> None:
    path = own_directory / "pipe"
    os.mkfifo(path)
    os.chown(path, NOBODY, NOBODY)
    own_directory.chmod(0o1777)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        with pytest.raises(TargetDenied, match="uid 65534"):
            Target.parse(path).open(timeout=0.1)
    finally:
        os.close(reader)


def test_a_descriptor_stays_the_callers_and_open(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    try:
        before = descriptors()
        with Target.parse(f"/dev/fd/{writer}").open() as file:
            assert isinstance(file, TimedWriter)
            file.write(b"one")
        assert descriptors() == before
        assert os.get_blocking(writer)
        os.write(writer, b" two")
        assert os.read(reader, 100) == b"one two"
    finally:
        os.close(reader)
        os.close(writer)
    with (tmp_path / "appended").open("ab+") as open_file:
        open_file.write(b"before ")
        open_file.flush()
        with Target.parse(f"/dev/fd/{open_file.fileno()}").open() as file:
            assert isinstance(file, TimedWriter)
            file.write(b"and after")
    assert (tmp_path / "appended").read_bytes() == b"before and after"


def test_a_descriptor_that_is_closed_or_a_terminal_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="/dev/fd/999 is closed"):
        Target.parse("/dev/fd/999").open()
    controller, terminal = os.openpty()
    try:
        for name in (f"/dev/fd/{terminal}", os.ttyname(terminal)):
            with pytest.raises(InvalidArgument, match=r"is a terminal.*redirect it: `> FILE`"):
                Target.parse(name).open()
    finally:
        os.close(controller)
        os.close(terminal)


@pytest.mark.parametrize("kind", ["file", "pipe"])
def test_a_descriptor_to_read_from_is_refused(tmp_path: Path, kind: str) -> None:
    (tmp_path / "file").touch()
    opened = list(os.pipe()) if kind == "pipe" else [os.open(tmp_path / "file", os.O_RDONLY)]
    before = descriptors()
    try:
        with pytest.raises(
            InvalidArgument, match=rf"/dev/fd/{opened[0]} is open for reading alone; name a file, or '-'"
        ):
            Target.parse(f"/dev/fd/{opened[0]}").open()
        assert descriptors() == before
    finally:
        for each in opened:
            os.close(each)


def test_the_file_of_a_socket_is_refused_with_its_url(monkeypatch: pytest.MonkeyPatch) -> None:
    # In a place with a short name: that of a socket has 107 bytes at most.
    with tempfile.TemporaryDirectory() as place, socket.socket(socket.AF_UNIX) as listener:
        monkeypatch.chdir(place)
        listener.bind("peer.mp4")
        listener.listen()
        with pytest.raises(InvalidArgument, match=r"peer\.mp4 is a socket.*name its URL: (.*)$") as refused:
            Target.parse("peer.mp4").open()
        url = str(refused.value).rpartition(" ")[2]
        assert url == f"unix://{place}/peer.mp4"
        with contextlib.closing(Line(url)) as line:
            line.write(b"pictures")
            peer = listener.accept()[0]
            assert peer.recv(100) == b"pictures"
            peer.close()


# -- standard output ---------------------------------------------------------------------------------------------------

_PROGRAM = """
import os, subprocess, sys
from xshm.errors import InvalidArgument
from xshm.record.sinks.target import Target
print("before")
with Target.parse(sys.argv[1]).open() as file:
    file.write(b"VIDEO ")
    print("meanwhile")
    subprocess.run(["echo", "by a child"])
    os.system("ls /proc/self/fd | wc -l >&2")
    try:
        Target.parse("-").open()
    except InvalidArgument as error:
        print(error, file=sys.stderr)
    file.write(b"END\\n")
    print("late")
print("after")
"""


@pytest.mark.parametrize("name", ["-", "/dev/stdout"])
@pytest.mark.parametrize("into", ["pipe", "file"])
def test_standard_output_is_the_recordings_alone_while_it_lasts(tmp_path: Path, name: str, into: str) -> None:
    command = [sys.executable, "-c", _PROGRAM, name]
    if into == "file":
        with (tmp_path / "out").open("wb") as out:
            run = subprocess.run(command, stdout=out, stderr=subprocess.PIPE, check=True)
        output = (tmp_path / "out").read_bytes()
    else:
        run = subprocess.run(command, capture_output=True, check=True)
        output = run.stdout
    assert output == b"before\nVIDEO END\nafter\n"
    lines = run.stderr.decode().splitlines()
    assert {"meanwhile", "by a child", "late", "4"} <= set(lines), "a child has its three descriptors and ls its own"
    assert any("goes to standard output already" in line for line in lines)


def test_what_is_printed_goes_nowhere_where_standard_error_is_closed() -> None:
    program = (
        "import os; from xshm.record.sinks.target import Target\n"
        "with Target.parse('-').open() as file: file.write(b'VIDEO'); os.write(1, b'printed')\n"
        "os.write(1, b' after')"
    )
    run = subprocess.run(
        ["sh", "-c", 'exec "$@" 2>&-', "sh", sys.executable, "-c", program], stdout=subprocess.PIPE, check=True
    )
    assert run.stdout == b"VIDEO after"


def test_standard_output_that_is_closed_is_refused() -> None:
    program = "from xshm.record.sinks.target import Target; Target.parse('-').open()"
    run = subprocess.run(f'{sys.executable} -c "{program}" >&-', shell=True, capture_output=True, check=False)  # noqa: S602
    assert b"standard output is closed" in run.stderr
