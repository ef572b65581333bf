"""Limits of the kernel, reached and lifted: System V segments, memory, files, processes, disks, /dev/shm.

Under the limit a verb works by another way, or raises an error of xshm's own, or an OSError of a file of the caller's;
it never hangs and loses nothing; the message names the limit, or what is lacking. Once the limit is lifted, the same
object does the same as before. Each row is done in a process of its own, in namespaces of its own, where limits can be
set and disks be filled.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import random
import resource
import signal
import subprocess
import sys
import traceback
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if __name__ == "__main__":
    _TESTS = Path(__file__).resolve().parent.parent
    sys.path[:1] = [str(_TESTS), str(_TESTS / "helpers")]


from faults.report import provoke_inside

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from faults.report import Report

    Limit = Callable[["Objects"], contextlib.AbstractContextManager[object]]

_SHM: Final = Path("/dev/shm")  # noqa: S108 - the namespace's own
_SYSCTL: Final = Path("/proc/sys/kernel")
_HANGS: Final = 30  # seconds
_ROUNDS: Final = 8  # at most of each row: what is left to chance is little
_QUICK: Final = 3  # limits, and verbs of each, at an effort of 1: to open all that verbs need takes half a second
_NOBODY: Final = 61_234  # who has no other process
_SAID: Final = {  # by a limit's name in brackets, or else its first words: what a refusal must name one of
    "shmmni 0": ("shmmni",),
    "shmmax 4096": ("shmmax",),
    "shmall 0": ("shmall",),
    "NOFILE": ("RLIMIT_NOFILE",),
    "AS": ("RLIMIT_AS", "MemoryError", "raise its limits (memory"),
    "MEMLOCK": (),
    "FSIZE 4096": ("RLIMIT_FSIZE",),
    "NPROC": ("RLIMIT_NPROC",),
    "shared memory full": ("/dev/shm",),  # noqa: S108 - in a message
    "shared memory read-only": ("/dev/shm",),  # noqa: S108
    "shared memory on no tmpfs": ("/dev/shm",),  # noqa: S108
    "disk full": ("No space left on device", "/dev/shm"),  # noqa: S108
    "disk and /dev/shm full": ("No space left on device", "/dev/shm"),  # noqa: S108
}


def provoke(report: Report, effort: int) -> None:
    """Do each verb under each limit; at an effort of 1 a few of each that chance picks."""
    provoke_inside(report, __file__, effort)


# -- inside ------------------------------------------------------------------------------------------------------------


class Objects:
    """What the verbs are called on, opened where there was room."""

    def __init__(self, name: str, home: Path) -> None:
        self.name, self.home = name, home
        self.disk = home / "disk"
        self.screen = xshm.Screen(name, "sysv", timeout=5)
        self.by_fd = xshm.Screen(name, "fd", timeout=5)
        self.surface = xshm.Surface(64, 48, display=name)
        self.display = xshm.VirtualDisplay(64, 48, args=["-extension", "GLX"])
        self.frame = self.screen.grab((0, 0, 64, 48))
        self.held: list[xshm.Frame] = []

    def close(self) -> None:
        """Close them all."""
        self.held.clear()
        for each in (self.surface, self.screen, self.by_fd, self.display):
            each.close()


def _held(screen: xshm.Screen) -> Callable[[Objects], None]:
    """Grab frames of the whole screen and keep them, so that each needs memory of its own."""

    def grab(objects: Objects) -> None:
        objects.held += [screen.grab() for _ in range(4)]

    return grab


def _start(objects: Objects, **options: Any) -> None:
    del objects
    with xshm.VirtualDisplay(64, 48, args=["-extension", "GLX"], **options) as display:
        display.screen.grab()


def _stream(objects: Objects) -> None:
    with objects.screen.stream((0, 0, 20, 20), on_change=True) as stream:
        next(stream)


def _blit(objects: Objects) -> None:
    with objects.surface.draw() as pixels:
        pixels[...] = 7
    objects.surface.wait(5)


def _opened(objects: Objects, **options: Any) -> None:
    with xshm.Screen(objects.name, timeout=5, **options) as screen:
        screen.grab()


def _surface(objects: Objects) -> None:
    with xshm.Surface(200, 100, display=objects.name) as surface, surface.draw() as pixels:
        pixels[...] = 0


def _saved(objects: Objects) -> None:
    """Save over an old picture, which stays where the new one has no room."""
    status = (path := objects.disk / "old.png").stat()
    try:
        objects.screen.grab().save(path)
    except OSError:  # there may be no descriptor to read it by
        assert (path.stat().st_size, path.stat().st_mtime_ns) == (status.st_size, status.st_mtime_ns), "it is damaged"
        raise


def _recorded(objects: Objects) -> None:
    with objects.screen.record(objects.disk / "video.gif") as recorder:
        recorder.mark("one")


def _traced(objects: Objects) -> None:
    with objects.screen.trace(objects.disk / "trace.html") as trace:
        trace.mark("one")


_VERBS: Final[dict[str, Callable[[Objects], object]]] = {
    "grab of a kept Screen": lambda objects: objects.screen.grab((0, 0, 300, 200)),
    "frames held": lambda objects: _held(objects.screen)(objects),
    "frames held, by descriptor": lambda objects: _held(objects.by_fd)(objects),
    "Screen()": _opened,
    "Screen('sysv')": lambda objects: _opened(objects, transport="sysv"),
    "Screen('fd')": lambda objects: _opened(objects, transport="fd"),
    "stream on change": _stream,
    "blit": _blit,
    "Surface()": _surface,
    "VirtualDisplay()": _start,
    "VirtualDisplay('sysv')": lambda objects: _start(objects, framebuffer="sysv"),
    "run": lambda objects: objects.display.run(["true"]).wait(),
    "save": _saved,
    "record": _recorded,
    "trace": _traced,
}


@contextlib.contextmanager
def _sysctl(name: str, value: int) -> Iterator[None]:
    before = (_SYSCTL / name).read_text()
    (_SYSCTL / name).write_text(str(value))
    try:
        yield
    finally:
        (_SYSCTL / name).write_text(before)


@contextlib.contextmanager
def _rlimit(which: int, value: int) -> Iterator[None]:
    before = resource.getrlimit(which)
    resource.setrlimit(which, (value, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(which, before)


@contextlib.contextmanager
def _nproc(objects: Objects) -> Iterator[None]:
    """Be a user who may have no process more, and whose the files are; root's processes are not counted."""
    for path in (objects.disk, *objects.disk.iterdir()):
        os.chown(path, _NOBODY, _NOBODY)
    before = resource.getrlimit(resource.RLIMIT_NPROC)
    resource.setrlimit(resource.RLIMIT_NPROC, (1, before[1]))
    os.seteuid(0)
    os.setresuid(_NOBODY, _NOBODY, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)
        resource.setrlimit(resource.RLIMIT_NPROC, before)
        for path in (objects.disk, *objects.disk.iterdir()):
            os.chown(path, 0, 0)


def _memory(objects: Objects) -> contextlib.AbstractContextManager[object]:
    """Let the address space be as large as it is, and 1 MiB."""
    del objects
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return _rlimit(resource.RLIMIT_AS, pages * os.sysconf("SC_PAGE_SIZE") + (1 << 20))


@contextlib.contextmanager
def _full(place: Path) -> Iterator[None]:
    filler = place / "filler"
    try:
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(1 << 16))
        with filler.open("ab", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"\0")
        yield
    finally:
        filler.unlink()


@contextlib.contextmanager
def _both(*each: contextlib.AbstractContextManager[object]) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for one in each:
            stack.enter_context(one)
        yield


@contextlib.contextmanager
def _covered(place: Path, *options: str) -> Iterator[None]:
    subprocess.run(["mount", *options, str(place)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def _read_only(place: Path) -> contextlib.AbstractContextManager[object]:
    return _covered(place, "-t", "tmpfs", "-o", "ro", "none")


@contextlib.contextmanager
def _absent(_: Objects) -> Iterator[None]:
    """Put something over it in which nothing can be made."""
    with _covered(_SHM, "-t", "proc", "none"):
        yield


_LIMITS: Final[dict[str, Limit]] = {
    "no segment more (shmmni 0)": lambda _: _sysctl("shmmni", 0),
    "small segments (shmmax 4096)": lambda _: _sysctl("shmmax", 4096),
    "no page more (shmall 0)": lambda _: _sysctl("shmall", 0),
    "no descriptor more (NOFILE)": lambda _: _rlimit(resource.RLIMIT_NOFILE, len(os.listdir("/proc/self/fd")) - 1),  # noqa: PTH208
    "1 MiB of memory more (AS)": _memory,
    "no memory locked (MEMLOCK)": lambda _: _rlimit(resource.RLIMIT_MEMLOCK, 0),
    "small files (FSIZE 4096)": lambda _: _rlimit(resource.RLIMIT_FSIZE, 4096),
    "no process more (NPROC)": _nproc,
    "shared memory full": lambda _: _full(_SHM),
    "shared memory read-only": lambda _: _read_only(_SHM),
    "shared memory on no tmpfs": _absent,
    "disk full": lambda objects: _full(objects.disk),
    "disk and /dev/shm full": lambda objects: _both(_full(objects.disk), _full(_SHM)),
}


def _main(effort: int, seed: int) -> None:
    home = Path(os.environ["TMPDIR"])
    home.chmod(0o755)
    out = os.fdopen(os.dup(1), "w")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "none", str(_SHM)], check=True)
    with servers.start("Xvfb", 640, 480) as server:
        for number in range(1 if effort < _ROUNDS else min(effort // 12, _ROUNDS)):
            chance = random.Random(f"{seed} {number}")
            for limit in _LIMITS if effort > 1 else chance.sample(list(_LIMITS), _QUICK):
                names = list(_VERBS) if effort > 1 else chance.sample(list(_VERBS), _QUICK)
                for verb, how in _in_child(partial(_row, server.name, home, limit, names)):
                    out.write(json.dumps((limit, how and f"{verb}: {how}")) + "\n")
                out.flush()


def _in_child(work: Callable[[], list[tuple[str, str | None]]]) -> list[tuple[str, str | None]]:
    """Do a limit's rows in a fork, since a limit and what it has broken stay in a process."""
    told = os.memfd_create("told")
    child = os.fork()
    if not child:
        try:
            os.write(told, json.dumps(work()).encode())
        except BaseException:  # noqa: BLE001 - told to the parent
            os.write(told, json.dumps([("the row", traceback.format_exc()[-1500:])]).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    rows: list[tuple[str, str | None]] = json.loads(os.pread(told, 1 << 24, 0) or '[["the row", "it was killed"]]')
    os.close(told)
    return rows


def _row(name: str, home: Path, limit: str, verbs: list[str]) -> list[tuple[str, str | None]]:
    """Do each verb without the limit, under it, and without it again."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # as Python has it
    signal.signal(signal.SIGALRM, _hangs)
    disk = home / "disk"
    disk.mkdir(exist_ok=True)
    with _covered(disk, "-t", "tmpfs", "-o", "size=8m,mode=777", "none"):
        objects = Objects(name, home)
        objects.frame.save(disk / "old.png")
        rows = [(verb, _tried(objects, limit, _VERBS[verb])) for verb in verbs]
        try:
            objects.close()
        except Exception:  # noqa: BLE001 - which is what is looked for
            rows.append(("close", traceback.format_exc()[-1000:]))
    return rows


def _tried(objects: Objects, limit: str, verb: Callable[[Objects], object]) -> str | None:
    wrong = []
    for when in ("before", "under it", "after"):
        objects.held.clear()
        signal.alarm(_HANGS)
        try:
            with _LIMITS[limit](objects) if when == "under it" else contextlib.nullcontext():
                how = _outcome(objects, verb)
        finally:
            signal.alarm(0)
        if how and (when != "under it" or not how.startswith("refused") or not _is_named(limit, how)):
            wrong.append(f"{when}: {how}")
    return "; ".join(wrong) or None


def _is_named(limit: str, how: str) -> bool:
    """Tell whether a refusal names the limit that it is about, with what to look for in the messages of xshm."""
    words = _SAID[limit.partition("(")[2].rstrip(")") or limit]
    return any(word in how for word in words)


def _outcome(objects: Objects, verb: Callable[[Objects], object]) -> str | None:
    """Do it; return None, or what it raised: "refused: …" where that is an error as it should be."""
    try:
        verb(objects)
    except xshm.XshmError as error:
        return f"refused: {type(error).__name__}: {error}" if str(error) else f"{type(error).__name__} without a word"
    except MemoryError:
        return "refused: MemoryError"
    except OSError as error:
        is_a_files = error.filename is not None and error.errno in (
            errno.ENOSPC, errno.EFBIG, errno.EMFILE, errno.EROFS, errno.EACCES, errno.ENOMEM,
        )  # fmt: skip
        return f"{'refused: ' if is_a_files else ''}{type(error).__name__}: {error}"
    except Exception as error:  # noqa: BLE001 - which is what is looked for
        return f"{type(error).__name__}: {error}, {traceback.format_exc()[-700:]}"
    return None


def _hangs(*_: object) -> None:
    raise SystemError(f"it hangs: {''.join(traceback.format_stack(limit=6))[-900:]}")


if __name__ == "__main__":
    import servers

    import xshm

    _main(*map(int, sys.argv[1:]))
