"""Standard input, output and error of the command line: never missing, and output written whole or refused."""

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
    """Open /dev/null in place of each standard stream that was closed when the process started.

    The next file would get the lowest free number otherwise: with `2>&-` the picture's own file would be standard
    error, and a message would land in it. Programs that are started don't inherit these; they find the stream closed.
    """
    for number, name in ((_INPUT, "stdin"), (_OUTPUT, "stdout"), (_ERROR, "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number, which is this one
        if getattr(sys, name) is None:  # print(file=None) would write to standard output
            setattr(sys, name, open(os.devnull, "r+", encoding="utf-8"))  # noqa: PTH123, SIM115 - lives to the end


def is_output_closed() -> bool:
    """Tell whether standard output was closed when the process started."""
    return sys.__stdout__ is None


@contextmanager
def whole_output() -> Iterator[None]:
    """Have sys.stdout write all bytes or raise an OSError that names standard output, at the latest on leaving this.

    Python's own loses what a short write leaves where it is unbuffered (PYTHONUNBUFFERED, a full disk), and what a
    non-blocking pipe does not take at once. Characters that its encoding lacks are escaped. Where sys.stdout is not
    Python's own, whoever has put another in its place gets the text as it is.
    """
    former = sys.__stdout__
    if former is None or sys.stdout is not former:
        yield
        return
    former.flush()
    raw: Any = _WholeWrites(former.fileno())
    sys.stdout = io.TextIOWrapper(
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
            _discard(raw.fileno())
            raise
        finally:
            sys.stdout = former


def complain(line: str) -> None:
    """Write a line to standard error. Where that fails there is nobody to tell it to but by the exit code."""
    try:
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()
    except OSError:
        _discard(_ERROR)


class _WholeWrites(io.RawIOBase):
    """Standard output, as a stream of bytes that knows no short write. It does not close the descriptor."""

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
    """Send what is still buffered for a stream to nowhere: Python would try again at its end, and exit with 120."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)
