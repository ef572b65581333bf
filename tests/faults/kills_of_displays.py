"""Kill the processes of a virtual display, each and all at once, at random moments; and count what is left.

Four processes make a display: its owner, the shell above its supervisor, the supervisor, its server; an Xwayland has a
compositor besides. Each is killed alone and together with others, while the display starts, runs and closes. What is
left is counted twice: at once, where a process lives that can remove the rest, and after the next start of a display.
Job managers have ways of their own to end workers (Ray has three); the same kinds of kill are made here without those
managers.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import random
import signal
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if __name__ == "__main__":
    _TESTS = Path(__file__).resolve().parent.parent
    sys.path[:1] = [str(_TESTS), str(_TESTS / "helpers")]

import namespaces
from processes import children, state

from faults.report import provoke_inside

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from faults.report import Report
    from xshm.virtual.display import VirtualDisplay

    Left = dict[str, list[str]]

_LIMIT = 10.0  # seconds for everything to be gone that something is left to take away
_ENDING = 2.0  # seconds for what was killed to be dead
_QUICK = 7  # rows at an effort of 1
_PATIENCE = 30.0  # seconds for an owner to come to its point, and to its end
_PR_SET_CHILD_SUBREAPER = 36
_COMPOSITOR = b"weston\0"
_DEAF = ["sh", "-c", "trap : TERM INT HUP; while :; do sleep 1; done"]


@dataclass(frozen=True)
class Victims:
    """A row: what is killed, whether a process is left that can remove the rest at once, and which of them lives."""

    name: str
    kill: Callable[[dict[str, int]], None]
    at_once: bool = True
    owner_lives: bool = False
    supervisor_lives: bool = False
    server_lives: bool = False
    kinds: tuple[str, ...] = ()  # those that have such a process; (): all


def _killing(*who: str) -> Callable[[dict[str, int]], None]:
    def kill(found: dict[str, int]) -> None:
        for name in random.sample(who, len(who)):
            if name in found:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(found[name], signal.SIGKILL)

    return kill


def _kill_all_at_once(_: dict[str, int]) -> None:
    """Kill as a memory cgroup does that is to end as a whole, and as the end of a container does."""
    os.kill(-1, signal.SIGKILL)


def _kill_group(found: dict[str, int]) -> None:
    os.killpg(found["owner"], signal.SIGKILL)


def _end_owner(found: dict[str, int]) -> None:
    os.kill(found["owner"], signal.SIGUSR1)


def _end_owner_and_orphans(found: dict[str, int]) -> None:
    """Kill all that becomes ours, as a subreaper does that wants no orphans of its workers."""
    _kill_group(found)
    deadline = time.monotonic() + _ENDING
    while time.monotonic() < deadline and (orphans := children(os.getpid())):
        for pid in orphans:
            os.kill(pid, signal.SIGKILL)
        namespaces.reap()


SERVERS = ("xvnc", "xwayland")  # the kinds of displays that are no Xvfb
ROWS = (
    Victims("owner", _killing("owner"), supervisor_lives=True),
    Victims("supervisor", _killing("supervisor"), owner_lives=True),
    Victims("shell between", _killing("shell"), owner_lives=True, supervisor_lives=True),
    Victims("server", _killing("server"), owner_lives=True, supervisor_lives=True),
    Victims("compositor", _killing("compositor"), owner_lives=True, supervisor_lives=True, kinds=("xwayland",)),
    Victims("supervisor, compositor", _killing("supervisor", "compositor"), owner_lives=True, kinds=("xwayland",)),
    Victims("owner, supervisor", _killing("owner", "supervisor")),
    Victims("owner, server", _killing("owner", "server"), supervisor_lives=True),
    Victims("owner, shell", _killing("owner", "shell"), supervisor_lives=True),
    Victims("supervisor, server", _killing("supervisor", "server"), owner_lives=True),
    Victims("shell, supervisor", _killing("shell", "supervisor"), at_once=False, owner_lives=True, server_lives=True),
    Victims("owner, supervisor, server", _killing("owner", "supervisor", "server")),
    Victims("all but the server", _killing("owner", "shell", "supervisor"), at_once=False, server_lives=True),
    Victims("all at once", _kill_all_at_once, at_once=False),
    Victims("owner, its children first", _end_owner, supervisor_lives=True),
    Victims("owner's process group", _kill_group, supervisor_lives=True),
    Victims("owner, then all orphans", _end_owner_and_orphans, at_once=False),
)
KINDS = ("file", "sysv", "kept", "xclock", "deaf program", "forked child", *SERVERS)
_NEED_SUPERVISOR = {"forked child"}  # which would be one of those that are looked for
MOMENTS = ("start", "run", "close")


def provoke(report: Report, effort: int) -> None:
    """Kill each row's victims `effort` times; at an effort of 1, those of seven rows."""
    provoke_inside(report, __file__, effort)


# -- inside ------------------------------------------------------------------------------------------------------------


def main() -> None:
    """Be the namespaces' init: kill, count and print a line for each count."""
    effort, seed = map(int, sys.argv[1:])
    import xshm.virtual.display  # noqa: F401, PLC0415 - owners are forked, so that they don't have to

    (Path(os.environ["TMPDIR"]) / "kept").mkdir()
    before = namespaces.present()
    latest = {kind: _measure_start(kind) for kind in ("file", *SERVERS)}
    for number in range(effort):
        rows = list(enumerate(ROWS)) if effort > 1 else random.Random(seed).sample(list(enumerate(ROWS)), _QUICK)
        for place, victims in rows:
            chance = random.Random(f"{seed} {number} {place}")
            turn = number + place + seed
            kinds = [kind for kind in KINDS if victims.supervisor_lives or kind not in _NEED_SUPERVISOR]
            kinds = [kind for kind in kinds if kind in (victims.kinds or KINDS)]
            if effort == 1:  # deaf programs take their two seconds
                kinds.remove("deaf program") if "deaf program" in kinds else None
            kind, moment = kinds[turn % len(kinds)], chance.choice(MOMENTS)
            trial = _Trial(victims, kind, moment, before, is_quick=effort == 1)
            whole = latest.get(kind, latest["file"])
            after = chance.uniform(0, whole if moment == "start" else whole / 4)
            for what, how in trial.run(after):
                told = f"seed {seed}, {number} {kind}, {moment} + {after * 1e3:.0f} ms, of {trial.reached}: {how}"
                print(json.dumps((f"{victims.name}: {what}", told if how else None)), flush=True)
            namespaces.end_all(before)


def _measure_start(kind: str) -> float:
    begin = time.monotonic()
    owner = _fork(lambda: _own(kind, "none", -1))
    _wait_for(owner)
    return 1.2 * (time.monotonic() - begin)


class _Trial:
    """One display, and its end."""

    def __init__(self, victims: Victims, kind: str, moment: str, before: Left, *, is_quick: bool) -> None:
        self._victims, self._kind, self._moment, self._before = victims, kind, moment, before
        self._is_quick = is_quick  # and does without a next start where nothing is left for it
        self._ended: dict[int, int] = {}
        self.reached = ""

    def run(self, after: float) -> Iterator[tuple[str, str | None]]:
        """Start and kill; give each count: what was left when."""
        go, ready = os.pipe()
        closing, close = os.pipe()
        self._told, telling = os.pipe()

        def own() -> None:
            for descriptor in (go, close, self._told):
                os.close(descriptor)
            os.dup2(telling, 2)
            _own(self._kind, self._moment, ready, closing)

        owner = _fork(own)
        for descriptor in (ready, closing, telling):
            os.close(descriptor)
        is_there = os.read(go, 1)
        os.close(go)
        if not is_there:
            yield "before anything is killed", os.read(self._told, 4096).decode()
            return
        time.sleep(after)
        found = _find(owner)
        self.reached = ", ".join(found)
        self._victims.kill(found)
        yield from self._count(owner, close)
        os.close(self._told)

    def _count(self, owner: int, close: int) -> Iterator[tuple[str, str | None]]:
        if self._victims.owner_lives:
            if self._moment == "run" and not self._victims.supervisor_lives and self._victims.at_once:
                # A segment stays as long as its owner has it attached.
                yield "at once", self._left({owner}, _LIMIT, "processes", "sockets", "files")
            elif self._server_ends_itself:
                yield "the server, at once", self._left({owner}, _LIMIT, "processes", "sockets")
            os.close(close)  # on which it closes the display
            deadline = time.monotonic() + _PATIENCE
            while owner not in self._ended and time.monotonic() < deadline:
                time.sleep(0.002)
                self._ended |= namespaces.reap()
            code = self._ended.get(owner)
            told = "" if code == 0 else os.read(self._told, 4096).decode()
            yield "its owner", None if code == 0 else f"the owner ended with {code}: {told}"
            yield "after its close", self._left(set(), _LIMIT)
        else:
            os.close(close)
            if self._victims.at_once:
                yield "at once", self._left(set(), _LIMIT)
            elif self._server_ends_itself:
                yield "the server, at once", self._left(set(), _LIMIT, "processes", "sockets")
            else:
                self._left(set(), _ENDING, "processes")
        if self._victims.at_once and self._is_quick:
            return
        next_owner = _fork(lambda: _own("file", "none", -1))
        _wait_for(next_owner)
        yield "after the next start", self._left(set(), _ENDING)

    @property
    def _server_ends_itself(self) -> bool:
        """Whether the server ends by itself when its supervisor does; programs that don't end with it are others'."""
        return self._moment == "run" and self._victims.server_lives and self._kind != "deaf program"

    def _left(self, spared: set[int], seconds: float, *of: str) -> str | None:
        """Wait until all is as it was before, but for some processes; return what still differs."""
        deadline = time.monotonic() + seconds
        while True:
            self._ended |= namespaces.reap()
            left = namespaces.difference(self._before)
            mine = {f"{pid} " for pid in spared}
            if self._kind == "forked child":  # it is none of the display's, and may live on
                mine |= {f"{pid} " for pid in children(1)}
            alive = [each for each in left.get("processes", ()) if not any(each.startswith(pid) for pid in mine)]
            if spared:  # an owner that lives has yet to reap its children
                alive = [each for each in alive if state(int(each.split()[0])) != "Z"]
            left = {what: new for what, new in {**left, "processes": alive}.items() if new and (not of or what in of)}
            if not left or time.monotonic() > deadline:
                return str(left) if left else None
            time.sleep(0.002)


def _fork(run: Callable[[], None]) -> int:
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            run()
            code = 0
        except BaseException:  # noqa: BLE001 - nothing may unwind into the second copy of this
            traceback.print_exc()
        finally:
            os._exit(code)
    return pid


def _wait_for(pid: int) -> None:
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code == 0, f"a display that nobody killed ended its owner with {code}"


def _own(kind: str, moment: str, ready: int, closing: int = -1) -> None:
    """Be an owner: start a display, use it, close it on request; report the moment that is asked for."""
    from xshm.errors import ConnectFailed, DisplayGone, StartFailed  # noqa: PLC0415 - after the fork
    from xshm.virtual.display import VirtualDisplay  # noqa: PLC0415

    os.setpgid(0, 0)
    signal.signal(signal.SIGUSR1, _kill_own_children)
    if moment == "run":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # as some workers are
    is_told = False

    def tell() -> None:
        nonlocal is_told
        if not is_told and ready >= 0:
            os.write(ready, b"!")
        is_told = True

    if moment == "start":
        tell()
    try:
        display = VirtualDisplay(640, 480, **_options(kind))
        try:
            _use(display, kind)
            if moment == "run":
                tell()
            if moment in ("start", "run"):
                os.read(closing, 1)
                display.screen.grab()
        finally:
            tell()
            display.close()
    except (StartFailed, ConnectFailed, DisplayGone):
        if not is_told:
            raise  # nobody has killed anything yet
    if closing >= 0:
        os.read(closing, 1)


def _options(kind: str) -> dict[str, Any]:
    """Return how the display of a kind differs from the usual one."""
    kept = Path(os.environ["TMPDIR"]) / "kept"
    framebuffers: dict[str, object] = {"kept": kept, "sysv": "sysv"}
    return {"server": kind if kind in SERVERS else "xvfb", "framebuffer": framebuffers.get(kind, "auto")}


def _use(display: VirtualDisplay, kind: str) -> None:
    if kind == "xclock":
        display.run("xclock")
    elif kind == "deaf program":
        display.run(_DEAF)
    elif kind == "forked child" and os.fork() == 0:
        time.sleep(_LIMIT + _ENDING)
        os._exit(0)


def _kill_own_children(*_: object) -> None:
    for pid in children(os.getpid()):
        os.kill(pid, signal.SIGKILL)
    os._exit(0)


def _find(owner: int) -> dict[str, int]:
    """Return those of the processes that are there."""
    found = {"owner": owner}
    for above, name in (("owner", "shell"), ("shell", "supervisor"), ("supervisor", "server")):
        named = children(found[above])[:1]
        if name == "shell":  # and no program of the display's
            named = [
                pid for pid in children(owner) if b"xshm.virtual.servers.cleanup" in _read(f"/proc/{pid}/cmdline")
            ][:1]
        if name == "server":
            below = {pid: _read(f"/proc/{pid}/cmdline") for pid in children(found[above])}
            found |= {"compositor": pid for pid, line in below.items() if _COMPOSITOR in line}  # noqa: B035 - one at most
            named = [pid for pid, line in below.items() if _COMPOSITOR not in line][:1]
        if not named:
            break
        found[name] = named[0]
    return found


def _read(path: str) -> bytes:
    with contextlib.suppress(OSError):
        return Path(path).read_bytes()
    return b""


if __name__ == "__main__":
    main()
