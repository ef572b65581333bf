"""Kill the owner of a virtual display at random moments, and count what is left: `python tests/kills.py [kills]`.

Runs in namespaces of its own, so that whatever is there was made by the display, and the count is exact: processes,
sockets in the file system and abstract ones, System V segments, files in memory, in the temporary directory and among
the keymaps. Prints a line for each kill. Needs root, for the namespaces.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_NAMESPACES = ["unshare", "--mount", "--ipc", "--net", "--pid", "--fork", "--mount-proc"]
_HIDDEN = ("/tmp/.X11-unix", "/dev/shm", "/var/lib/xkb")  # noqa: S108 - covered by memory of the namespace's own
_LIMIT = 10.0  # seconds for everything to be gone
_READY = "import os, sys, time; from xshm.virtual_display import VirtualDisplay as V; "
_GO = "os.write(1, b'go\\n'); "
# What the owner does, and how many seconds after its "go" it is killed at the latest.
OWNERS = {
    "start": (_READY + _GO + "V(); time.sleep(60)", 0.12),
    "start, sysv": (_READY + _GO + "V(framebuffer='sysv'); time.sleep(60)", 0.12),
    "start, xterm": (_READY + _GO + "V().run('xterm'); time.sleep(60)", 0.5),
    "deaf program": (
        _READY + _GO + "V().run(['sh', '-c', 'trap : TERM INT HUP; while :; do sleep 1; done']); time.sleep(60)",
        0.5,
    ),
    "forked child": (_READY + "d = V(); os.fork() or time.sleep(11) or os._exit(0); " + _GO + "time.sleep(60)", 0.05),
}


def main() -> int:
    """Kill that many owners; exit with 1 if anything was left."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kills", type=int, nargs="?", default=50)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        return _kill_all(options.kills, options.seed)
    words = [sys.executable, __file__, str(options.kills), "--inside"]
    return in_namespaces(words + (["--seed", str(options.seed)] if options.seed is not None else []))


def in_namespaces(words: list[str]) -> int:
    """Run a command in namespaces of its own, where the places that displays use are empty; return its exit code."""
    with tempfile.TemporaryDirectory(prefix="xshm-kills-") as home:
        os.makedirs(_HIDDEN[0], mode=0o1777, exist_ok=True)  # noqa: PTH103
        covers = "; ".join(f"mount -t tmpfs -o mode=1777 none {place}" for place in _HIDDEN)
        environment = os.environ | {"TMPDIR": home, "XDG_RUNTIME_DIR": ""}
        command = [*_NAMESPACES, "sh", "-c", f'set -e; {covers}; exec "$@"', "sh", *words]
        return subprocess.run(command, env=environment, check=False).returncode


def _kill_all(kills: int, seed: int | None) -> int:
    chance = random.Random(seed)
    before, failures, servers = present(), 0, 0
    for number in range(kills):
        kind = list(OWNERS)[number % len(OWNERS)]
        code, latest = OWNERS[kind]
        moment = chance.uniform(0, latest)
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as owner:
            assert owner.stdout is not None
            assert owner.stdout.readline() == b"go\n", "the owner did not come to its start"
            time.sleep(moment)
            reached = {what: len(set(present()[what]) - set(before[what])) for what in before}
            owner.kill()
        killed = time.monotonic()
        # A child that the owner has forked is none of the display's, and may live on; it outlives the wait here.
        left = _wait_until_as(before, but=_READY if kind == "forked child" else None)
        told = ", ".join(f"{count} {what}" for what, count in reached.items() if count)
        print(
            f"{number + 1:3} {kind:13} killed after {moment * 1000:4.0f} ms ({told}): "
            f"{'LEFT ' + str(left) if left else f'as before {1000 * (time.monotonic() - killed):.0f} ms later'}",
            flush=True,
        )
        failures += bool(left)
        servers += bool(reached["sockets"])
        end_all(before)
    print(f"{kills - failures} of {kills} kills left nothing; {servers} hit when the server was listening")
    return int(bool(failures) or not servers)


def _wait_until_as(before: dict[str, list[str]], but: str | None) -> dict[str, list[str]]:
    """Wait until all is as it was, but for processes that run that code; return what still differs after some time."""
    deadline = time.monotonic() + _LIMIT
    while True:
        left = difference(before)
        if but is not None:
            left["processes"] = [process for process in left.get("processes", ()) if but not in process]
            left = {what: new for what, new in left.items() if new}
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.005)


def difference(before: dict[str, list[str]]) -> dict[str, list[str]]:
    """Return what is there now and was not before."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:  # we are the namespace's init, which inherits the orphans
            pass
    now = present()
    return {what: new for what in before if (new := sorted(set(now[what]) - set(before[what])))}


def end_all(before: dict[str, list[str]]) -> None:
    """End every other process of the namespace, and remove the files that are new."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, 0):
            pass
    for path in map(Path, reversed(difference(before).get("files", []))):
        path.rmdir() if path.is_dir() else path.unlink()


def present() -> dict[str, list[str]]:
    """List what displays are made of: processes, sockets, segments, files."""
    return {
        "processes": [f"{pid} {_command(pid)}" for pid in os.listdir("/proc") if pid.isdigit() and pid != "1"],  # noqa: PTH208
        "sockets": [line.split()[-1] for line in Path("/proc/net/unix").read_text().splitlines() if "X11-unix" in line],
        "segments": [line.split()[1] for line in Path("/proc/sysvipc/shm").read_text().splitlines()[1:]],
        "files": [
            *(path for place in (*_HIDDEN, os.environ["TMPDIR"]) for path in _below(place)),
            *map(str, Path("/tmp").glob(".X*-lock")),  # noqa: S108 - where X servers put them
        ],
    }


def _below(place: str) -> list[str]:
    # os.walk passes over what vanishes on the way.
    return [os.path.join(top, name) for top, folders, names in os.walk(place) for name in (*folders, *names)]  # noqa: PTH118


def _command(pid: str) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")[:160]
    return ""


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    sys.exit(main())
