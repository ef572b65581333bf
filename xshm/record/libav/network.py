"""Line: a URL that is written to by libav's protocols (rtmp, tcp, udp, http), with limits of time.

PyAV opens and closes an output, writes its header and its trailer with the GIL held, passes no options to the protocol,
and has no time limit for outputs: a host that does not answer would stop all threads of the program. So the containers
are written by PyAV to a Line, and a Line calls libav's own functions by ctypes, which releases the GIL:

1. Nothing waits for longer than `timeout` seconds (libav's rw_timeout): connecting, nor a peer that takes nothing.
2. `abort`, from any thread, ends a call in 0.1 s. libav asks for that by calling a C function with a pointer; here that
   is atoi(3) with a text, "0" or "1", so that no Python runs in a thread which does not hold the GIL.
3. After an error nothing more is written.
4. A program that ends does not wait for a daemon thread that is inside of a call.
5. A thread of its own connects, so that Ctrl-C ends the wait for it: Python handles a signal between two calls only.
   What takes too long there is left to that thread.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import re
import time
from _thread import start_new_thread
from typing import TYPE_CHECKING, Any, Final

from xshm._signal_safety import leave_signals
from xshm.errors import Closed, RecordingFailed, TargetGone, TargetTimeout, TargetUnreachable, XshmError
from xshm.record.codecs.pyav import libav
from xshm.record.pictures.handover import End
from xshm.record.sinks.target import without_secrets
from xshm.record.sinks.timed_writer import TIMEOUT
from xshm.system import limits

if TYPE_CHECKING:
    from collections.abc import Mapping

_WRITE: Final = 2  # AVIO_FLAG_WRITE
_ERROR: Final = 84  # the offset of `error` in AVIOContext, the same in libavformat 58 to 62 on 64 bits
_DATAGRAM: Final = 1316  # bytes, 7 packets of MPEG-TS: what an Ethernet frame takes
_BUFFER: Final = 32768  # bytes, PyAV's own
_GRACE: Final = 0.3  # seconds for libav to end by its own limit, and to tell
_PORT: Final = re.compile(r":0*([0-9]{1,5})(?:[/?]|$)", re.ASCII)
_MOST_PORT: Final = 65535
_GONE: Final = (errno.EPIPE, errno.ECONNRESET, errno.ECONNABORTED, errno.ENOTCONN)


def _tag(text: bytes) -> int:
    """Return an error code of libav's own."""
    return -int.from_bytes(text, "little")


_NO_PROTOCOL, _ABORTED = _tag(b"\xf8PRO"), _tag(b"EXIT")


class Line:
    """A URL that is open for writing, as a file object for PyAV; `name` is what errors call it.

    Raises TargetUnreachable, TargetTimeout, XshmError where PyAV lacks the protocol.
    """

    def __init__(self, url: str, timeout: float = TIMEOUT) -> None:
        self._process: Final = os.getpid()
        self._file = ctypes.c_void_p()
        self._ended: str | None = None  # why nothing more is written
        self._stops: Final = ctypes.create_string_buffer(b"0")
        self.name: Final = without_secrets(url)
        self.nbytes = 0  # written so far
        self._timeout = timeout
        self._libav: Final = _libav()
        self._interrupt: Final = _Interrupt(_atoi(), ctypes.addressof(self._stops))
        if _is_udp(url) and not _has_port(url):  # libav sends it nowhere, or to another one, without an error
            raise self._unreachable(-errno.EINVAL, url.partition(":")[0].lower())
        self._connect(url, _options(url, timeout))
        # One write of PyAV is one datagram.
        self.buffer_size: Final = _DATAGRAM if _is_udp(url) else _BUFFER

    def _connect(self, url: str, options: Mapping[str, str]) -> None:
        codes: list[int] = []
        begun, ended = time.monotonic(), End()

        def work() -> None:
            leave_signals()
            try:
                codes.append(self._open(url, options))
            finally:
                ended.come()

        with limits.Explained(RecordingFailed, "the target can't be opened"):
            start_new_thread(work, ())
        try:
            in_time = ended.wait(self._timeout + _GRACE)
        except BaseException:  # Ctrl-C: the thread is the last to hold this, which is closed with it
            self.abort()
            raise
        if not in_time:  # tcp, below rtmp too, has a limit of its own, and the search for a host's address has none
            self.abort()
        code = codes[0] if codes else -errno.ETIMEDOUT
        if code < 0:
            raise self._unreachable(code, url.partition(":")[0].lower(), time.monotonic() - begun)

    def _open(self, url: str, options: Mapping[str, str]) -> int:
        """Call libav until it is connected; return its error code, negative, or another number."""
        given = ctypes.c_void_p()
        try:
            for key, value in options.items():
                self._libav.av_dict_set(ctypes.byref(given), os.fsencode(key), os.fsencode(value), 0)
            return int(
                self._libav.avio_open2(
                    ctypes.byref(self._file),
                    os.fsencode(url),
                    _WRITE,
                    ctypes.byref(self._interrupt),
                    ctypes.byref(given),
                )
            )
        finally:
            self._libav.av_dict_free(ctypes.byref(given))

    def write(self, data: bytes) -> int:
        """Write all of it and send it. Raises TargetTimeout, TargetGone, Closed after `abort`, OSError."""
        if not self._file or self._ended is not None:
            raise Closed(f"nothing more is written to {self.name}: {self._ended or 'it is closed'}")
        self._libav.avio_write(self._file, data, len(data))
        self._libav.avio_flush(self._file)
        code = ctypes.c_int.from_address(int(self._file.value or 0) + _ERROR).value
        if code < 0:
            raise self._broken(code)
        self.nbytes += len(data)
        return len(data)

    def abort(self) -> None:
        """End a call of another thread, by Closed, and do not wait in `close`. Raises nothing."""
        self._ended = self._ended or "it was given up"
        self._stops.value = b"1"

    def close(self) -> None:
        """Close the connection. Twice is fine. Raises TargetTimeout, TargetGone, OSError where its end was not sent."""
        file, self._file = self._file, ctypes.c_void_p()
        if not file:
            return
        if self._ended is not None:  # nothing has to be waited for
            self._stops.value = b"1"
        code = self._libav.avio_close(file)
        if code < 0 and self._ended is None:
            raise self._broken(code)

    def __del__(self) -> None:
        if self._process == os.getpid():  # a forked child would end the connection of its parent
            self.abort()
            self.close()

    def _unreachable(self, code: int, scheme: str, took: float = 0.0) -> Exception:
        """Return the error of a connection that took so many seconds to fail."""
        if code == _NO_PROTOCOL:
            return XshmError(
                f"{self.name}: this PyAV has no protocol {scheme!r}; it writes to {', '.join(protocols())}. "
                f"For another, pipe to a program that has it: `xshm record --format ts - | ffmpeg -i - … {scheme}://…`"
            )
        if code == -errno.ETIMEDOUT:
            waited = min(self._timeout, round(took, 1))  # tcp may give up earlier
            return TargetTimeout(-code, f"nobody there has answered within {waited:g} s", self.name)
        if code == _ABORTED:
            return Closed(f"{self.name}: connecting was given up")
        words = self._words(code)
        if code in (-errno.ECONNREFUSED, -errno.ENOENT):  # of a host, of a socket's file
            place = "host and port" if code == -errno.ECONNREFUSED else "its path"
            words += f"; nothing listens there: start the server first, or correct {place}"
        elif -code in _GONE:
            words += "; the server does not take it: correct the URL, or look what the server says"
        elif code == -errno.EINVAL:
            words += f"; the URL lacks a host or a port, or the port is above 65535: {scheme}://HOST:PORT"
        elif code == -errno.EIO:
            words = "its host is not known, or has closed the connection; correct the URL"
        return TargetUnreachable(-code if self._is_errno(code) else errno.EIO, words, self.name)

    def _broken(self, code: int) -> Exception:
        """Return the error of a write, after which nothing more is written."""
        if code == _ABORTED:
            self._ended = self._ended or "it was given up"
            return Closed(f"nothing more is written to {self.name}: {self._ended}")
        if code == -errno.ETIMEDOUT:
            self._ended = f"its reader has taken nothing for {self._timeout:g} s"
            return TargetTimeout(-code, self._ended, self.name)
        if -code in _GONE:
            self._ended = "its reader has closed the connection"
            return TargetGone(-code, self._ended, self.name)
        self._ended = self._words(code)
        return OSError(-code if self._is_errno(code) else errno.EIO, self._ended, self.name)

    @staticmethod
    def _is_errno(code: int) -> bool:
        return -code in errno.errorcode

    def _words(self, code: int) -> str:
        if self._is_errno(code):
            return os.strerror(-code)
        text = ctypes.create_string_buffer(128)
        self._libav.av_strerror(code, text, len(text))
        return text.value.decode(errors="replace")


@functools.cache
def protocols() -> tuple[str, ...]:
    """Return the names of the protocols that this PyAV writes to."""
    state, found = ctypes.c_void_p(), []
    while name := _libav().avio_enum_protocols(ctypes.byref(state), 1):
        found.append(name.decode())
    return tuple(found)


class _Interrupt(ctypes.Structure):
    """AVIOInterruptCB: what libav calls while it waits, and the argument; not 0 ends the wait."""

    _fields_ = (("callback", ctypes.c_void_p), ("opaque", ctypes.c_void_p))


def _options(url: str, timeout: float) -> dict[str, str]:
    """Return options of protocols; one that does not know an option passes over it."""
    # µs; ms, for a URL that listens itself (tcp://…?listen)
    limits = {"rw_timeout": str(round(timeout * 1_000_000)), "listen_timeout": str(round(timeout * 1000))}
    return {**limits, "pkt_size": str(_DATAGRAM)} if _is_udp(url) else limits


def _is_udp(url: str) -> bool:
    return url.lower().startswith("udp")


def _has_port(url: str) -> bool:
    found = _PORT.search(url)
    return found is not None and int(found[1]) <= _MOST_PORT


def _atoi() -> int | None:
    return ctypes.cast(ctypes.CDLL(None).atoi, ctypes.c_void_p).value


@functools.cache
def _libav() -> Any:
    """Return libavformat and libavutil, the ones that PyAV has loaded."""
    libav()
    from av.container import output  # noqa: PLC0415 - heavy, and an extra

    library = ctypes.CDLL(output.__file__)  # a name is looked up in what this file is linked to, too
    try:
        library.avformat_network_init()
        library.avio_open2.restype = library.avio_close.restype = ctypes.c_int
        library.avio_close.argtypes = library.avio_flush.argtypes = (ctypes.c_void_p,)
        library.avio_write.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int)
        library.avio_write.restype = library.avio_flush.restype = None
        library.avio_enum_protocols.restype = ctypes.c_char_p
        library.av_dict_set.restype = library.av_strerror.restype = ctypes.c_int
        library.av_strerror.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t)
        library.av_dict_free.restype = None
    except AttributeError as error:
        raise XshmError(f"this PyAV hides libav's functions ({error}); install its wheel: pip install av") from error
    return library
