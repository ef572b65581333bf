"""The process above pytest: it sees every process of the run, and what of them is left at the end.

`pytest` runs as its child. As a child subreaper (prctl(2)) it inherits every orphan of the run and buries it at once,
as init does; so all that the suite starts stays below it, where the kernel can be asked for it. A System V segment
belongs to the run when its creator was seen below the warden: other suites may run on the machine at the same time.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
from pathlib import Path

# The variable that names a directory for the run; it goes with the run, however that ends.
PLACE = "XSHM_TESTS_PLACE"
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_LOOK_EVERY = 0.05  # seconds; a process that lives shorter and leaves a segment is not known as ours
_GRACE = float(os.environ.get("XSHM_WARDEN_GRACE", "5"))  # seconds for what is ending to be gone
_SIGNALS = {signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP, signal.SIGINT}
_SI_USER = 0
# A helper that multiprocessing keeps until the interpreter ends.
_STAYS = b"multiprocessing.resource_tracker"


class Line:
    """The child's end of the line to the warden."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end

    def leftovers(self) -> list[str]:
        """Return what the run has left behind, a sentence each, after some grace for what is just ending."""
        self._end.settimeout(_GRACE + 10)
        self._end.send(b"?")
        answer: list[str] = json.loads(self._end.recv(1 << 20))
        return answer


def fork() -> Line:
    """Go on as a child of a new warden; the warden ends with the child's exit code, or 1 where something is left.

    To be called before any thread is started.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    place = tempfile.mkdtemp(prefix="xshm-tests-")
    os.environ[PLACE] = place
    above, below = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")
    child = os.fork()
    if child == 0:
        # The subreaper's mark is not inherited. Without its warden the run ends as by Ctrl-C, which tidies up.
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGINT, 0, 0, 0)
        above.close()
        return Line(below)
    below.close()
    try:
        code = _Warden(child, above).watch()
    except BaseException as error:  # noqa: BLE001 - nothing may unwind into the second copy of pytest
        sys.stderr.write(f"the warden of the tests failed: {error!r}\n")
        code = 1
    shutil.rmtree(place, ignore_errors=True)
    os._exit(code)


class _Warden:
    def __init__(self, child: int, line: socket.socket) -> None:
        self._child, self._line = child, line
        self._seen = {child}  # every process of the run that was ever met
        self._before = set(_segments())
        self._status: int | None = None

    def watch(self) -> int:
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        self._line.setblocking(False)
        while self._status is None:
            self._look()
            with contextlib.suppress(BlockingIOError):
                if self._line.recv(1):
                    self._line.send(json.dumps(self._leftovers({self._child})).encode())
            caught = signal.sigtimedwait(_SIGNALS, _LOOK_EVERY)
            # Ctrl-C in a terminal reaches pytest by itself; a signal from a process (SI_USER) is meant for it too.
            if caught and caught.si_signo != signal.SIGCHLD and caught.si_code == _SI_USER:
                os.kill(self._child, caught.si_signo)
        code = os.waitstatus_to_exitcode(self._status)
        for sentence in self._leftovers(set()):
            sys.stderr.write(f"left behind by the tests: {sentence}\n")
            code = code or 1
        self._end_all()
        return code if code >= 0 else 128 - code

    def _look(self) -> None:
        """Bury the dead, and remember who lives."""
        with contextlib.suppress(ChildProcessError):
            while (dead := os.waitpid(-1, os.WNOHANG))[0]:
                if dead[0] == self._child:
                    self._status = dead[1]
        self._seen.update(_descendants(os.getpid()))

    def _leftovers(self, stay: set[int]) -> list[str]:
        deadline = time.monotonic() + _GRACE
        while True:
            self._look()
            processes = {pid: _command(pid) for pid in _descendants(os.getpid()) if pid not in stay}
            left = [f"process {pid} ({said})" for pid, said in processes.items() if said]
            for shmid, (creator, size) in _segments().items():
                if shmid not in self._before and creator in self._seen:
                    left.append(f"System V segment {shmid} of {size} bytes, made by process {creator}")
            if not left or time.monotonic() > deadline:
                return left
            time.sleep(_LOOK_EVERY)

    def _end_all(self) -> None:
        for how in (signal.SIGTERM, signal.SIGKILL):
            for pid in _descendants(os.getpid()):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, how)
            deadline = time.monotonic() + 2
            while _descendants(os.getpid()) and time.monotonic() < deadline:
                time.sleep(0.02)
                self._look()


def _descendants(pid: int) -> list[int]:
    """Return every living process below `pid`."""
    found = []
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            for child in map(int, children.read_text().split()):
                found += [child, *_descendants(child)]
    return found


def _command(pid: int) -> str:
    """Return a process's command line; "" where it has ended or is one that may stay."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""
    if state == "Z":
        return ""
    return "" if _STAYS in words else words.replace(b"\0", b" ").decode(errors="replace").strip()[:200] or "?"


def _segments() -> dict[int, tuple[int, int]]:
    """Return every System V segment of this IPC namespace: its creator's process id and its size."""
    rows = [line.split() for line in Path("/proc/sysvipc/shm").read_text().splitlines()]
    column = {name: number for number, name in enumerate(rows[0])}
    return {int(row[column["shmid"]]): (int(row[column["cpid"]]), int(row[column["size"]])) for row in rows[1:]}
