"""SIGKILL processes that make System V segments, at random moments; count the segments left, then and after a Screen.

In an IPC namespace of its own where one can be made. Of a loop of bare Segments much is left, since it does little but
make them; what counts is that all of it is found again. The age of a minute is not waited for.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable

    from faults.report import Report

_BATCH = 50  # kills between two Screens: far fewer than there are keys
_OURS = 0x7F7873  # the three bytes of the keys


def provoke(report: Report, effort: int) -> None:
    """Kill; a row for the kills of each kind, and one for the segments that were left at once."""
    seed = random.randrange(1 << 32)
    command = [sys.executable, __file__, str(effort), str(seed)]
    if not subprocess.run(["unshare", "--ipc", "true"], capture_output=True, check=False).returncode:
        command[:0] = ["unshare", "--ipc"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    for line in done.stdout.splitlines():
        told = json.loads(line)
        kills, found = report.row(told["name"]), report.row(told["then"])
        kills.tried += told["killed"]
        found.tried += told["left"]
        kills.failures += [f"seed {seed}: {how}" for how in told["wrong"]]
        found.failures += [f"seed {seed}: {how}" for how in told["lost"]]


def _segment() -> None:
    segment.Segment("sysv", 65536)


def _recipe() -> None:
    shmid = sysv.shmget(sysv.IPC_PRIVATE, 65536, sysv.IPC_CREAT | 0o600)
    coverage = sysv.shmat(shmid)
    sysv.remove(shmid)
    coverage[:4] = b"here"


def _grab(display: str) -> None:
    with screen.Screen(display, "sysv") as opened:
        opened.grab()


_FEW = 3  # kills that may leave something, however few there are


@dataclass
class _Kind:
    name: str
    start: Callable[[], int]  # gives a process
    latest: float  # seconds until it is killed
    kills: int  # at an effort of 1
    most: float  # of the kills that may leave something
    ours: bool = True


def _main(effort: int, seed: int) -> None:
    with servers.start("Xvfb", 640, 480) as server, tempfile.TemporaryDirectory() as folder:
        picture = str(Path(folder, "shot.png"))
        shot = [sys.executable, "-m", "xshm", "shot", "--display", server.name, picture]
        begun = time.monotonic()
        subprocess.run(shot, check=True)
        lasts = time.monotonic() - begun
        recipe = "the caller's own shmget, shmat, remove"
        for kind in (
            _Kind("bare Segments", lambda: _forked(_segment), 0.004, 100, 0.5),
            _Kind(recipe, lambda: _forked(_recipe), 0.004, 50, 1, ours=False),
            _Kind("Screen, grab, close", lambda: _forked(lambda: _grab(server.name)), 0.03, 20, 0.07),
            _Kind("xshm shot", lambda: os.posix_spawn(shot[0], shot, os.environ), lasts, 4, 0.07),
        ):
            print(json.dumps(_kill_all(kind, kind.kills * effort, server.name, random.Random(seed))), flush=True)


def _forked(work: Callable[[], None]) -> int:
    child = os.fork()
    if child:
        return child
    try:
        while True:
            work()
    finally:
        os._exit(1)


def _kill_all(kind: _Kind, kills: int, display: str, chance: random.Random) -> dict[str, object]:
    then = "removed by the next Screen" if kind.ours else "empty and left to the caller"
    wrong: list[str] = []
    lost: list[str] = []
    count = 0
    for first in range(0, kills, _BATCH):
        killed = {_killed(kind, chance) for _ in range(min(_BATCH, kills - first))}
        left = _made_by(killed)
        count += len(left)
        for shmid, each in left.items():
            if (each.key >> 8 == _OURS) != kind.ours or each.mode != 0o600 or each.nattch:
                wrong.append(f"after {first} kills: {each}")
            if not kind.ours and any(sysv.shmat(shmid)):
                wrong.append(f"after {first} kills: written before it was removed: {each}")
        _open_screen(display)
        after = _made_by(killed)
        if kind.ours:
            lost += [f"after {first} kills: {each}" for each in after.values() if not _is_number_used(each.cpid)]
        else:
            lost += [f"after {first} kills: removed, and none of ours: {left[shmid]}" for shmid in left - after.keys()]
        for shmid in after:
            sysv.remove(shmid)
    if count > max(kind.most * kills, _FEW):  # of few kills, a share says little
        wrong.append(f"{count} of {kills} kills left a segment")
    said = f"{kind.name}, killed"
    return {
        "name": said,
        "then": f"  left at once, {then} ({kind.name})",
        "killed": kills,
        "left": count,
        "wrong": wrong,
        "lost": lost,
    }


def _killed(kind: _Kind, chance: random.Random) -> int:
    child = kind.start()
    time.sleep(chance.uniform(0, kind.latest))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return child


def _made_by(killed: set[int]) -> dict[int, sysv.SegmentInfo]:
    # The server lets go of a client's a moment after it is gone; those are marked as removed.
    return {each.shmid: each for each in sysv.segments() if each.cpid in killed and not each.mode & sysv.SHM_DEST}


def _open_screen(display: str) -> None:
    child = os.fork()
    if not child:
        own_segments._MIN_AGE = -5  # what was left this very second, too
        _exit_after(lambda: _grab(display))
    assert os.waitpid(child, 0)[1] == 0


def _exit_after(work: Callable[[], None]) -> NoReturn:
    code = 1
    try:
        work()
        code = 0
    finally:
        os._exit(code)


def _is_number_used(pid: int) -> bool:
    """Tell whether another process has the number of the one that was killed, and so its segment stays."""
    return Path(f"/proc/{pid}").exists()


if __name__ == "__main__":
    _TESTS = Path(__file__).resolve().parent.parent
    sys.path[:1] = [str(_TESTS), str(_TESTS / "helpers")]
    import servers

    from xshm import sysv
    from xshm.drawables import screen
    from xshm.shm import own_segments, segment

    _main(*map(int, sys.argv[1:]))
