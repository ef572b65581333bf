"""Follower: the output of a program, line by line as it comes.

A pipe is read until its program closes it, also after the trace has ended: a full pipe would stop the program.
"""

from __future__ import annotations

import _thread
import os
import time
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, cast

from xshm._signal_safety import Descriptor, leave_signals, owned
from xshm.errors import InvalidArgument, InvalidType
from xshm.system.polling import ready
from xshm.system.printable import quoted

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator, Sequence

    from xshm.trace.noting.notes import Notes

_MOST_LINES: Final = 2000  # in a second; more are counted
_LONG: Final = 512  # bytes of a line, of which each count as another line
_CHUNK: Final = 1 << 16  # bytes read at once, and of a line that has no end
_LARGEST_PIPE: Final = 1 << 20  # bytes, of /proc/sys/fs/pipe-max-size as it is
_LOOK: Final = 0.1  # seconds between two looks at a file that a program writes to


class Follower:
    """The output of a program, read as it comes; a thread of its own does it, from `start` on."""

    def __init__(self, program: subprocess.Popen[Any], name: str | None, notes: Notes) -> None:
        """Find what the program's output comes by. Raises InvalidType, InvalidArgument."""
        if not hasattr(program, "stderr") or not hasattr(program, "args"):
            raise InvalidType(f"follow takes a Program or a Popen, not {type(program).__name__}: {quoted(program)}")
        self._notes = notes
        self._lock = Lock()
        self._name = _name_of(program) if name is None else name
        pipes = [each for each in (program.stdout, program.stderr) if each is not None]
        self._outputs: list[_Pipe | _Spool] = [_Pipe(each.fileno()) for each in pipes]
        spool = getattr(program, "_stderr", None)  # a Program's, which keeps standard error in memory
        if spool is not None:
            self._outputs.append(_Spool(spool))
        if not self._outputs:
            raise InvalidArgument(
                f"nothing of what {self._name} writes can be followed: run it with stdout=subprocess.PIPE and "
                f"stderr=subprocess.STDOUT, or start it by VirtualDisplay.launch, which keeps its standard error"
            )
        self._second = self._count = 0  # the present second, and the lines in it
        self._noted = self._weight = 0  # of these, those that are in the trace or told of, and how much they are

    def start(self) -> None:
        """Read until the end."""
        _thread.start_new_thread(self._run, ())

    def pump(self, *, is_last: bool = False) -> None:
        """Note what has been written by now, with `is_last` also a line that has no end yet; for any thread."""
        with self._lock:
            self._read(is_last=is_last)

    def _run(self) -> None:
        leave_signals()
        while self._wait():
            self.pump()
        self.pump()

    def _wait(self) -> Sequence[_Pipe | _Spool]:
        """Wait until there is something to read; return what is open still, after the trace pipes alone."""
        pipes = tuple(each.descriptor for each in self._outputs if isinstance(each, _Pipe))
        if any(isinstance(each, _Spool) for each in self._outputs):
            if self._notes.is_over:
                self._outputs = [each for each in self._outputs if isinstance(each, _Pipe)]
            elif pipes:
                ready(pipes, (), _LOOK)
            else:
                time.sleep(_LOOK)
        elif pipes:
            ready(pipes, (), None)
        return self._outputs

    def _read(self, *, is_last: bool) -> None:
        for each in list(self._outputs):
            for data in each.read():
                self._take(each.lines, data)
            if each.is_over:
                self._outputs = [other for other in self._outputs if other is not each]
            if is_last or each.is_over:
                for line in each.lines.end():
                    self._note(line)
        if is_last:
            self._tell_left_out()

    def _take(self, lines: _Lines, data: bytes) -> None:
        """Note the lines that some more bytes complete."""
        if self._notes.is_over or (max(self._count, self._weight) > _MOST_LINES and self._is_same_second()):
            self._count += lines.skip(data)  # a hundred times as fast, so that a flood costs next to nothing
            return
        for line in lines.of(data):
            self._note(line)

    def _is_same_second(self) -> bool:
        return time.monotonic_ns() // 10**9 == self._second

    def _note(self, line: bytes) -> None:
        if self._notes.is_over:
            return
        if not self._is_same_second():
            self._tell_left_out()
            self._second, self._count, self._weight = time.monotonic_ns() // 10**9, 0, 0
        self._count += 1
        self._weight += 1 + len(line) // _LONG
        if self._count <= _MOST_LINES and self._weight <= _MOST_LINES:
            self._noted = self._count
            self._notes.lines(line.decode(errors="replace"), self._name, "")

    def _tell_left_out(self) -> None:
        left_out, self._noted = self._count - self._noted, self._count
        if left_out > 0:
            self._notes.lines(f"… {left_out:,} more lines in this second", self._name, "")


class _Lines:
    """Bytes as they come, as lines. Of one longer than `_CHUNK` the rest is left out."""

    def __init__(self) -> None:
        self._rest = b""
        self._is_cut = False  # the line that goes on was given out

    def of(self, data: bytes) -> list[bytes]:
        """Return the lines that these bytes complete."""
        *found, self._rest = (self._rest + data).split(b"\n")
        if self._is_cut and found:
            del found[0]
            self._is_cut = False
        if self._is_cut:
            self._rest = b""
        elif len(self._rest) > _CHUNK:
            found.append(self._rest)
            self._rest, self._is_cut = b"", True
        return found

    def skip(self, data: bytes) -> int:
        """Leave out the lines that these bytes complete; return how many that are."""
        count = data.count(b"\n")
        if count:
            self._rest, self._is_cut = data[data.rindex(b"\n") + 1 :], False
        elif not self._is_cut:
            self._rest = (self._rest + data)[: _CHUNK + 1]
        return count

    def end(self) -> list[bytes]:
        """Return the line that has no end, if there is one; what goes on with it is left out."""
        if not self._rest:
            return []
        found, self._rest, self._is_cut = [self._rest], b"", True
        return found


class _Pipe:
    """The reading end of a pipe, a duplicate: the Popen may close its own at any time."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor: Descriptor = owned(os.dup, descriptor)
        self.is_over = False
        self.lines = _Lines()

    def read(self) -> Iterator[bytes]:
        """Yield what is there, without waiting; of a program that writes without a pause no more than a pipe holds."""
        left = _LARGEST_PIPE
        while left > 0 and not self.is_over and ready((self.descriptor,), (), 0.0):
            data = os.read(self.descriptor, _CHUNK)
            self.is_over = not data
            left -= len(data)
            yield data


class _Spool:
    """A file that a program appends to."""

    is_over = False

    def __init__(self, descriptor: int) -> None:
        self._descriptor: Descriptor = owned(os.dup, descriptor)
        self._at = 0
        self.lines = _Lines()

    def read(self) -> Iterator[bytes]:
        """Yield what was added by now."""
        size = os.fstat(self._descriptor).st_size
        if size < self._at:  # truncated
            self._at, self.lines = 0, _Lines()
        while self._at < size and (data := os.pread(self._descriptor, min(size - self._at, _CHUNK), self._at)):
            self._at += len(data)
            yield data


def _name_of(program: subprocess.Popen[Any]) -> str:
    """Return the file name of what a program was started by."""
    args = program.args
    first = args if isinstance(args, str | bytes | os.PathLike) else next(iter(cast("Any", args)), "program")
    words = os.fsdecode(first).split()
    return Path(words[0] if words else "program").name
