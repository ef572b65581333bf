"""An encoder opened as a trial, for what only its library knows.

Libraries end the program over some values, so what is passed on to them as it is (`x264-params`) is tried in a process
of its own.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Final

from xshm.errors import InvalidArgument
from xshm.record.codecs.pyav import libav
from xshm.system.printable import printable, quoted
from xshm.system.scheduling import without_real_time

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from xshm.record.codecs.table import Codec

_TRIAL_SECONDS: Final = 20.0
_ERROR_LEVEL, _WARNING_LEVEL = 16, 24  # AV_LOG_*
_START: Final = (
    "import sys, json; sys.path[:] = json.loads(sys.argv[1]); from xshm.record.codecs import trial; "
    "trial.run(sys.argv[2], json.loads(sys.argv[3]))"
)
_COMPLAINT: Final = re.compile(
    "error|unknown|invalid|unrecogni[sz]ed|not supported|must be|out of range|signal", re.IGNORECASE
)
_PREFIX: Final = re.compile(r"^\[[^]]* @ 0x[0-9a-f]+\] *")


def check(codec: Codec, given: Mapping[str, str], whole: Mapping[str, str]) -> None:
    """Raise InvalidArgument where the encoder's library complains about what is given to pass on, or ends over it.

    `whole` is all that it is opened with.
    """
    what = ", ".join(f"{name} {quoted(value)}" for name, value in given.items())
    command = [sys.executable, "-c", _START, json.dumps(sys.path), codec.name, json.dumps(whole)]
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=_TRIAL_SECONDS, check=False, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        raise InvalidArgument(f"{codec.name} did not open within {_TRIAL_SECONDS:g} s with {what}") from None
    if done.returncode < 0:
        raise InvalidArgument(f"{codec.name} ends the program (signal {-done.returncode}) over {what}")
    lines = [
        _PREFIX.sub("", line.strip()) for line in (done.stderr + done.stdout).decode(errors="replace").splitlines()
    ]
    said = [line for line in lines if _COMPLAINT.search(line) and "thread priority" not in line]
    if done.returncode or said:
        raise InvalidArgument(f"{codec.name} does not take {what}: {printable('; '.join((said or lines)[:3]))}")


def run(name: str, given: dict[str, str]) -> None:
    """Open an encoder, tell what it complains about, and end with 1 where it can't be opened: a process's work."""
    av = libav()
    os.environ.setdefault("SVT_LOG", "2")  # warnings
    av.logging.set_level(_WARNING_LEVEL)
    av.logging.restore_default_callback()
    context = _context(av, name, (64, 64), "yuv420p", given)
    if name == "libx264rgb":
        context.pix_fmt = "bgr0"
    try:
        with without_real_time():
            context.open()
        frame = av.VideoFrame(64, 64, context.pix_fmt)
        frame.pts = 0
        context.encode(frame)
        context.encode(None)
    except av.FFmpegError as error:
        sys.stdout.write(f"{error.strerror}\n")
        os._exit(1)
    sys.stdout.flush()
    os._exit(0)


def reason(codec: Codec, size: tuple[int, int], pixels: str, given: Mapping[str, str]) -> str:
    """Return what a codec says when it can't be opened, in one line; "" where it opens, or says nothing."""
    av = libav()
    before = av.logging.get_level()
    av.logging.set_level(_ERROR_LEVEL)
    try:
        with av.logging.Capture() as logs, without_real_time(), contextlib.suppress(av.FFmpegError, ValueError):
            _context(av, codec.name, size, pixels, given).open()
        return "; ".join(printable(line.strip().rstrip(".")) for _, name, line in logs if name == codec.name)
    finally:
        av.logging.set_level(before)


def _context(av: Any, name: str, size: tuple[int, int], pixels: str, given: Mapping[str, str]) -> Any:
    context = av.CodecContext.create(name, "w")
    context.width, context.height = size
    context.pix_fmt = pixels
    context.framerate = 30
    context.options = dict(given)
    context.thread_count = 1
    return context


@contextlib.contextmanager
def quiet(codec: Codec) -> Iterator[None]:
    """Keep SVT-AV1 from telling standard error about itself when it is opened, unless the environment says how much."""
    if codec.name != "libsvtav1" or "SVT_LOG" in os.environ:
        yield
        return
    os.environ["SVT_LOG"] = "1"  # errors
    try:
        yield
    finally:
        os.environ.pop("SVT_LOG", None)
