"""The leak watch: a process above pytest that fails the run if a process or a System V segment is left at its end.

pytest runs as its child. As a child subreaper (prctl(2)) it becomes the parent of every orphan of the run, which it
reaps at once, as init does. So all processes that the suite starts are its descendants, and /proc lists them. A System
V segment belongs to the run if its creator was ever among them: other suites may run on the machine at the same time.
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

from processes import lives

# The variable that names a directory for the run's files; it is removed at the end, however the run ends.
DIRECTORY_VARIABLE = "XSHM_TESTS_DIRECTORY"
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_POLL_EVERY = 0.05  # seconds; the segment of a process that lives shorter is not known as the run's
_GRACE = float(os.environ.get("XSHM_LEAK_WATCH_GRACE", "5"))  # seconds for what is just ending
_SIGNALS = {signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP, signal.SIGINT}
_SI_USER = 0  # si_code of a signal that a process sent
# A helper that multiprocessing keeps until the interpreter ends.
_MAY_STAY = b"multiprocessing.resource_tracker"


class LeakWatchClient:
    """The child's end of a socket to the leak watch."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end

    def leftovers(self) -> list[str]:
        """Return what the run has left behind, a sentence each, after a grace for what is just ending."""
        self._end.settimeout(_GRACE + 10)
        self._end.send(b"?")
        answer: list[str] = json.loads(self._end.recv(1 << 20))
        return answer


def fork() -> LeakWatchClient:
    """Fork, and return in the child. The parent is the leak watch, which exits with the child's code, or 1 for a leak.

    Call it before any thread is started.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    directory = tempfile.mkdtemp(prefix="xshm-tests-")
    os.environ[DIRECTORY_VARIABLE] = directory
    above, below = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")
    child = os.fork()
    if child == 0:
        # The child is no subreaper. If the leak watch is killed, the run ends as by Ctrl-C, which runs finalizers.
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGINT, 0, 0, 0)
        above.close()
        return LeakWatchClient(below)
    below.close()
    try:
        code = _LeakWatch(child, above).watch()
    except BaseException as error:  # noqa: BLE001 - nothing may unwind into the second copy of pytest
        sys.stderr.write(f"the leak watch of the tests failed: {error!r}\n")
        code = 1
    shutil.rmtree(directory, ignore_errors=True)
    os._exit(code)


class _LeakWatch:
    def __init__(self, child: int, client: socket.socket) -> None:
        self._child, self._client = child, client
        self._seen = {os.getpid(), child}  # every process of the run that was ever found
        self._others: set[int] = set()  # processes that are not below this one; they never come to be
        self._before = set(_segments())
        self._status: int | None = None

    def watch(self) -> int:
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        self._client.setblocking(False)
        while self._status is None:
            self._poll()
            with contextlib.suppress(BlockingIOError):
                if self._client.recv(1):
                    self._client.send(json.dumps(self._leftovers({self._child})).encode())
            caught = signal.sigtimedwait(_SIGNALS, _POLL_EVERY)
            # Ctrl-C in a terminal reaches pytest by itself; a signal from a process (SI_USER) is meant for it too.
            if caught and caught.si_signo != signal.SIGCHLD and caught.si_code == _SI_USER:
                os.kill(self._child, caught.si_signo)
        code = os.waitstatus_to_exitcode(self._status)
        for sentence in self._leftovers(set()):
            sys.stderr.write(f"left behind by the tests: {sentence}\n")
            code = code or 1
        self._end_all()
        return code if code >= 0 else 128 - code

    def _poll(self) -> None:
        """Reap what has ended, and record what lives."""
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                if ended[0] == self._child:
                    self._status = ended[1]
        self._find_new()

    def _find_new(self) -> None:
        """Find out once for each process whether it is the run's: Ray's have hundreds of threads to go through."""
        living = {int(name) for name in os.listdir("/proc") if name.isdigit()}  # noqa: PTH208 - names
        self._others &= living
        for pid in living - self._seen - self._others:
            above: int | None = pid
            while above and above not in self._seen and above not in self._others:
                above = _parent(above)
            if above is not None:  # else one of them has just ended
                (self._seen if above in self._seen else self._others).add(pid)

    def _leftovers(self, stay: set[int]) -> list[str]:
        deadline = time.monotonic() + _GRACE
        while True:
            self._poll()
            processes = {pid: _command(pid) for pid in _descendants(os.getpid()) if pid not in stay}
            left = [f"process {pid} ({command})" for pid, command in processes.items() if command]
            for shmid, (creator, size) in _segments().items():
                if shmid not in self._before and creator in self._seen:
                    left.append(f"System V segment {shmid} of {size} bytes, made by process {creator}")
            if not left or time.monotonic() > deadline:
                return left
            time.sleep(_POLL_EVERY)

    def _end_all(self) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            for pid in _descendants(os.getpid()):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
            deadline = time.monotonic() + 2
            while _descendants(os.getpid()) and time.monotonic() < deadline:
                time.sleep(0.02)
                self._poll()


def _descendants(pid: int) -> list[int]:
    """Return every living process below `pid`."""
    found = []
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for task in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 - names
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a thread that ends; its fellows go on
                for child in map(int, Path(f"/proc/{pid}/task/{task}/children").read_text().split()):
                    found += [child, *_descendants(child)]
    return found


def _parent(pid: int) -> int | None:
    """Return the parent of a process, 0 for the first ones; None where it has ended."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return None


def _command(pid: int) -> str:
    """Return a process's command line; "" where it has ended or is one that may stay."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    if not lives(pid):
        return ""
    return "" if _MAY_STAY in words else words.replace(b"\0", b" ").decode(errors="replace").strip()[:200] or "?"


def _segments() -> dict[int, tuple[int, int]]:
    """Return every System V segment of this IPC namespace: its creator's process id and its size."""
    rows = [line.split() for line in Path("/proc/sysvipc/shm").read_text().splitlines()]
    column = {name: number for number, name in enumerate(rows[0])}
    return {int(row[column["shmid"]]): (int(row[column["cpid"]]), int(row[column["size"]])) for row in rows[1:]}
