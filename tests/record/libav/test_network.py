"""A recording's URL: what is sent arrives, and a peer that is missing, hangs or goes is an error in time."""

from __future__ import annotations

import contextlib
import errno
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from xshm.errors import Closed, TargetGone, TargetTimeout, TargetUnreachable, XshmError
from xshm.record.libav.network import Line, protocols

if TYPE_CHECKING:
    from collections.abc import Iterator

av = pytest.importorskip("av")

_SIZE = 64, 48
_SHADES = (40, 90, 140, 190, 240)  # of the frames, gray
_TS = {"flush_packets": "1", "mpegts_flags": "+resend_headers"}
_PATIENCE = 15.0


@contextlib.contextmanager
def listening(backlog: int = 8) -> Iterator[tuple[socket.socket, int]]:
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        server.bind(("127.0.0.1", 0))
        server.listen(backlog)
        yield server, server.getsockname()[1]


def free_port(kind: int = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def ffmpeg(url: str, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """Have ffmpeg listen, and give out the gray bytes of what it decodes."""
    command = ["ffmpeg", "-v", "error", *options, "-i", url, "-fps_mode", "passthrough", "-pix_fmt", "gray"]
    decoder = subprocess.Popen(
        [*command, "-f", "rawvideo", "-"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    with decoder:
        try:
            yield decoder
        finally:
            decoder.kill()


def connected(url: str) -> Line:
    """Connect to a server that is about to listen."""
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            return Line(url)
        except TargetUnreachable:
            if time.monotonic() > until:
                raise
        time.sleep(0.05)


def send(target: str | Line, container: str, options: dict[str, str], times: int = 1) -> None:
    """Send frames of one shade each."""
    line = target if isinstance(target, Line) else Line(target)
    output = av.open(line, "w", format=container, container_options=options, buffer_size=line.buffer_size)
    stream = output.add_stream("libx264", rate=25, options={"preset": "ultrafast", "tune": "zerolatency"})
    stream.width, stream.height = _SIZE
    stream.pix_fmt = "yuv420p"
    for number, shade in enumerate(_SHADES * times):
        frame = av.VideoFrame.from_ndarray(np.full((_SIZE[1], _SIZE[0]), shade, np.uint8), "gray")
        frame.pts, frame.time_base = number, Fraction(1, 25)
        output.mux(stream.encode(frame))
    output.mux(stream.encode(None))
    output.close()
    line.close()


def shades(gray: bytes) -> list[int]:
    frames = np.frombuffer(gray, np.uint8).reshape(-1, _SIZE[0] * _SIZE[1])
    return [round(float(each)) for each in frames.mean(axis=1)]


def close_to(found: list[int], wanted: tuple[int, ...]) -> bool:
    return len(found) == len(wanted) and all(abs(a - b) <= 2 for a, b in zip(found, wanted, strict=True))


# -- what arrives ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "listens", "container", "options"),
    [
        ("rtmp://127.0.0.1:{}/live/key", ("-listen", "1"), "flv", {"flush_packets": "1"}),
        ("tcp://127.0.0.1:{}", None, "mpegts", _TS),
    ],
)
def test_ffmpeg_decodes_every_frame_that_is_sent(
    url: str, listens: tuple[str, ...] | None, container: str, options: dict[str, str]
) -> None:
    url = url.format(free_port())
    with ffmpeg(url if listens else f"{url}?listen", *(listens or ("-f", "mpegts"))) as decoder:
        send(connected(url), container, options)
        found, errors = decoder.communicate(timeout=_PATIENCE)
    assert close_to(shades(found), _SHADES), errors


def test_datagrams_hold_whole_packets_of_mpegts_and_decode() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(_PATIENCE)
        send(f"udp://127.0.0.1:{receiver.getsockname()[1]}", "mpegts", _TS)
        received = []
        receiver.settimeout(0.2)
        with contextlib.suppress(TimeoutError):
            while True:
                received.append(receiver.recv(65536))
    assert all(len(each) % 188 == 0 and len(each) <= 1316 and each[0] == 0x47 for each in received)
    command = ["ffmpeg", "-v", "error", "-f", "mpegts", "-i", "-", "-pix_fmt", "gray", "-f", "rawvideo", "-"]
    decoded = subprocess.run(command, input=b"".join(received), capture_output=True, check=True)
    assert close_to(shades(decoded.stdout), _SHADES), decoded.stderr


# -- who is not there --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["tcp", "rtmp", "http"])
def test_a_refused_connection_says_so_with_its_number_and_the_way_out(scheme: str) -> None:
    url = f"{scheme}://user:secret@127.0.0.1:{free_port()}/live/key"
    with pytest.raises(TargetUnreachable, match=r"Errno 111.*refused; nothing listens there: start") as refused:
        Line(url)
    assert refused.value.errno == errno.ECONNREFUSED
    assert isinstance(refused.value, ConnectionError)
    assert "secret" not in str(refused.value)


def test_a_protocol_that_pyav_lacks_is_named_with_the_way_out() -> None:
    missing = "srt" if "srt" not in protocols() else "nonsense"
    with pytest.raises(XshmError, match=rf"no protocol '{missing}'; it writes to .*rtmp.*tcp.*ffmpeg -i -"):
        Line(f"{missing}://127.0.0.1:9000")


def test_an_unknown_host_is_an_error_of_the_url() -> None:
    with pytest.raises(TargetUnreachable, match="host is not known"):
        Line("tcp://no-such-host.invalid:9000")


@pytest.mark.parametrize("scheme", ["tcp", "udp"])
@pytest.mark.parametrize("place", ["127.0.0.1", "127.0.0.1:99999", "127.0.0.1:100000", "[::1]"])
def test_a_url_without_a_port_says_how_to_write_it(scheme: str, place: str) -> None:
    with pytest.raises(TargetUnreachable, match=rf"lacks a host or a port.*: {scheme}://HOST:PORT"):
        Line(f"{scheme}://{place}")


@pytest.mark.parametrize("way", ["limit", "abort"])
def test_a_server_that_never_answers_ends_the_connecting_in_time_and_stops_no_other_thread(way: str) -> None:
    class _Aborted(Line):
        def _connect(self, *arguments: Any) -> None:
            threading.Timer(0.3, self.abort).start()
            super()._connect(*arguments)

    beats = [time.monotonic()]
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(0.01):
            beats.append(time.monotonic())

    watch = threading.Thread(target=beat)
    watch.start()
    try:
        with listening() as (_, port):
            url = f"rtmp://127.0.0.1:{port}/live/key"
            if way == "limit":
                with pytest.raises(TargetTimeout, match=r"answered within 0\.3 s.*rtmp://127\.0\.0\.1:\d+/live/…"):
                    Line(url, timeout=0.3)
            else:
                with pytest.raises(Closed, match="given up"):
                    _Aborted(url)
    finally:
        ended.set()
        watch.join()
    assert time.monotonic() - beats[0] < 5
    assert max(np.diff(beats)) < 0.25, "libav's call held the GIL"


def test_a_host_that_takes_no_connection_ends_it_in_time() -> None:
    with listening(0) as (_, port), contextlib.ExitStack() as stack:
        for _ in range(3):  # who come later are not answered
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", port))
        begun = time.monotonic()
        with pytest.raises(TargetTimeout, match=r"answered within 0\.3 s"):
            Line(f"tcp://127.0.0.1:{port}", timeout=0.3)
        assert time.monotonic() - begun < 2


def test_a_server_that_closes_at_once_is_an_error_of_the_url() -> None:
    def take() -> None:
        peer, _ = server.accept()
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset
        peer.close()

    with listening() as (server, port):
        taking = threading.Thread(target=take)
        taking.start()
        with pytest.raises(TargetUnreachable, match="reset by peer; the server does not take it: correct the URL"):
            Line(f"rtmp://127.0.0.1:{port}/live/key")
        taking.join()


def test_a_socket_that_is_not_there_says_so_with_the_way_out() -> None:
    with pytest.raises(TargetUnreachable, match="nothing listens there: start the server first, or correct its path"):
        Line("unix:///no/such/socket")


def test_a_signal_ends_the_connecting_at_once_and_closes_what_was_opened() -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    former = signal.signal(signal.SIGALRM, interrupt)
    try:
        with listening() as (server, port):
            begun = time.monotonic()
            signal.setitimer(signal.ITIMER_REAL, 0.3)
            with pytest.raises(KeyboardInterrupt):
                Line(f"rtmp://127.0.0.1:{port}/live/key")
            assert time.monotonic() - begun < 2
            peer, _ = server.accept()
            with peer:
                peer.settimeout(2)
                while peer.recv(65536):
                    pass
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)


# -- who hangs, and who goes -------------------------------------------------------------------------------------------


def write_without_end(line: Line) -> None:
    while True:
        line.write(bytes(100_000))


def test_a_peer_that_reads_nothing_is_an_error_in_time() -> None:
    with listening() as (_, port):
        line = Line(f"tcp://127.0.0.1:{port}", timeout=0.3)
        with pytest.raises(TargetTimeout, match=r"taken nothing for 0\.3 s.*tcp://127"):
            write_without_end(line)
        with pytest.raises(Closed, match=r"taken nothing for 0\.3 s"):
            line.write(b"more")
        began = time.monotonic()
        line.close()
        line.close()
        assert time.monotonic() - began < 1


def test_a_write_that_hangs_is_ended_by_another_thread() -> None:
    with listening() as (_, port):
        line = Line(f"tcp://127.0.0.1:{port}")
        threading.Timer(0.2, line.abort).start()
        began = time.monotonic()
        with pytest.raises(Closed, match="given up"):
            write_without_end(line)
        line.close()
    assert time.monotonic() - began < 3


def test_a_peer_that_closes_is_an_error() -> None:
    with listening() as (server, port):
        line = Line(f"tcp://127.0.0.1:{port}")
        server.accept()[0].close()
        with pytest.raises(TargetGone, match=r"has closed the connection.*tcp://127") as gone:
            write_without_end(line)
        assert isinstance(gone.value, BrokenPipeError)
        line.close()


def test_the_errors_of_a_line_come_through_pyav_from_header_packets_and_trailer() -> None:
    with listening() as (server, port):
        line = Line(f"tcp://127.0.0.1:{port}")
        server.accept()[0].close()
        with pytest.raises(TargetGone, match="tcp://127"):
            send(line, "mpegts", _TS, times=200)


def test_a_program_ends_though_a_write_of_it_hangs() -> None:
    program = (
        "import sys, threading, time\n"
        "from xshm.record.libav.network import Line\n"
        "line = Line(sys.argv[1])\n"
        "threading.Thread(target=lambda: [line.write(bytes(1000000)) for _ in range(50)], daemon=True).start()\n"
        "time.sleep(0.3)\n"
    )
    with listening() as (_, port):
        run = subprocess.run(
            [sys.executable, "-c", program, f"tcp://127.0.0.1:{port}"], capture_output=True, check=False, timeout=5
        )
    assert (run.returncode, run.stderr) == (0, b"")
