"""Relay: a process that sends what it reads to a URL of libav.

It is a process of its own since libav's connecting can't be ended, and holds the interpreter's lock meanwhile. It ends
when its input does, so also when the recording's process is killed.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import subprocess
import sys
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from xshm.errors import XshmError
from xshm.system.polling import is_readable
from xshm.system.printable import printable

SECONDS: Final = 10.0  # to connect, and to send the last bytes
_PIPE: Final = 1 << 20  # bytes that wait for a slow line, beyond which the encoder does
_READ: Final = 1 << 16
# What of libav's own has to be named in a URL: how long a line may take nothing (µs), and that a datagram has seven
# whole packets of MPEG-TS.
_QUERIES: Final = {"tcp": {"timeout": "10000000"}, "udp": {"pkt_size": "1316"}}
_START: Final = "import sys, json; sys.path[:] = json.loads(sys.argv[1]); from xshm.record.libav import relay; relay.run(sys.argv[2])"


class Relay:
    """A connected process; `descriptor` is the pipe that it reads."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._process = subprocess.Popen(  # noqa: S603 - our own code
            [sys.executable, "-c", _START, json.dumps(sys.path), _completed(url)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C ends the recording first, and by that the line
        )
        assert self._process.stdin
        self.descriptor = self._process.stdin.fileno()
        try:
            with contextlib.suppress(OSError):  # of a user who has too many pipes
                fcntl.fcntl(self.descriptor, fcntl.F_SETPIPE_SZ, _PIPE)
            if self._said(SECONDS) != {}:
                raise self._error
        except BaseException:
            self.kill()
            raise

    def _said(self, seconds: float) -> dict[str, Any]:
        """Return what the process says next: {} where all is well; keep the error that it tells."""
        assert self._process.stdout
        if not is_readable(self._process.stdout.fileno(), seconds):
            self._error: Exception = TimeoutError(errno.ETIMEDOUT, f"did not answer within {seconds:g} s", self._url)
            return {"timeout": seconds}
        try:
            said: dict[str, Any] = json.loads(self._process.stdout.readline())
        except ValueError:
            self._error = XshmError(f"{self._url}: the process that sends to it has ended")
            return {"ended": True}
        if code := said.get("errno"):
            self._error = OSError(code, os.strerror(code), self._url)
        elif said:
            self._error = XshmError(f"{self._url}: {printable(said['message'])}")
        return said

    def error(self) -> Exception:
        """Return why the process has ended."""
        self._said(1.0)
        self.kill()
        return self._error

    def finish(self) -> None:
        """Let the last bytes be sent; raise OSError, XshmError where they were not."""
        assert self._process.stdin
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            if self._said(SECONDS):
                raise self._error
        finally:
            self.kill()

    def kill(self) -> None:
        """End the process, whatever it waits for; twice is fine."""
        self._process.kill()
        self._process.wait()
        with contextlib.suppress(OSError):
            for stream in (self._process.stdin, self._process.stdout):
                assert stream
                stream.close()


def _completed(url: str) -> str:
    parts = urlsplit(url)
    wanted = _QUERIES.get(parts.scheme.lower(), {})
    given = dict(parse_qsl(parts.query, keep_blank_values=True))
    missing = urlencode({name: value for name, value in wanted.items() if name not in given})
    return parts._replace(query="&".join(filter(None, (parts.query, missing)))).geturl() if missing else url


def run(url: str) -> None:
    """Send standard input to a URL; this is the process."""
    import av  # noqa: PLC0415 - heavy

    try:
        # The muxer `data` writes packets as they are.
        out = av.open(url, "w", format="data", container_options={"flush_packets": "1"})
        stream = out.add_data_stream()
        out.start_encoding()
        _say({})
        number = 0
        while data := os.read(0, _READ):
            packet = av.Packet(data)
            packet.stream, packet.pts, packet.dts = stream, number, number
            out.mux_one(packet)
            number += 1
        out.close()
        _say({})
    except av.FFmpegError as error:
        known = isinstance(error, OSError)
        _say({"errno": error.errno} if known else {"message": _explained(url, error)})
    os._exit(0)  # without another attempt at a trailer


def _explained(url: str, error: Any) -> str:
    scheme = urlsplit(url).scheme
    if type(error).__name__ == "ProtocolNotFoundError":
        return f"this PyAV was built without {scheme}; ffmpeg or another program may have it: write to a pipe instead"
    return str(error.strerror or error)


def _say(said: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):
        os.write(1, json.dumps(said).encode() + b"\n")


