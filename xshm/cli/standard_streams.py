"""Standard input, output and error: opened if they were closed, and output that is written whole or an error."""

from __future__ import annotations

import io
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from xshm.system.atomic_write import write_all

if TYPE_CHECKING:
    from collections.abc import Iterator

_INPUT, _OUTPUT, _ERROR = 0, 1, 2


def open_missing() -> None:
    """Open /dev/null for each standard stream that was closed when the process started.

    Otherwise the next file that is opened gets the stream's number, the lowest free one: with `2>&-` the picture's own
    file would be standard error, and a message would be written into it. Programs that are started do not inherit
    these descriptors, and find the stream closed.
    """
    for number, name in ((_INPUT, "stdin"), (_OUTPUT, "stdout"), (_ERROR, "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number, which is this one
        if getattr(sys, name) is None:  # print(file=None) would write to standard output
            setattr(sys, name, open(os.devnull, "r+", encoding="utf-8"))  # noqa: PTH123, SIM115 - lives to the end


@contextmanager
def whole_output() -> Iterator[None]:
    """Have sys.stdout write all bytes or raise an OSError that names standard output, on leaving this at the latest.

    Python's own sys.stdout loses the rest of a short write when it is unbuffered (PYTHONUNBUFFERED, a full disk), and
    what a non-blocking pipe does not take at once. Characters that the encoding lacks are escaped. A sys.stdout that
    is not Python's own (a caller has replaced it) is left alone.
    """
    former = sys.__stdout__
    if former is None or sys.stdout is not former:
        yield
        return
    former.flush()  # what was written before goes out before what we write
    raw: Any = _WholeWrites(former.fileno())
    sys.stdout = io.TextIOWrapper(
        # Unbuffered as Python's own was: a progress line of PYTHONUNBUFFERED=1 comes at once.
        raw if former.write_through else io.BufferedWriter(raw),
        former.encoding,
        "backslashreplace",
        line_buffering=former.line_buffering,
        write_through=former.write_through,
    )
    try:
        yield
    finally:
        try:
            sys.stdout.flush()
        except OSError:
            _discard(raw.fileno())  # the error is reported once, by us; Python would fail again at its end
            raise
        finally:
            sys.stdout = former


def complain(line: str) -> None:
    """Write a line to standard error. A failure to write it is ignored: the exit code still has the result."""
    try:  # not print(), which writes the text and the newline one after the other where the stream is unbuffered
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()
    except OSError:
        _discard(_ERROR)


class _WholeWrites(io.RawIOBase):
    """Standard output as a raw stream without short writes. It does not close the descriptor."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        try:
            write_all(self._descriptor, data)
        except OSError as error:
            raise OSError(error.errno, error.strerror, "standard output") from error
        return len(data)


def _discard(number: int) -> None:
    """Point a stream at /dev/null: Python would write what is still buffered at its end, fail, and exit with 120."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, number)
    os.close(null)
