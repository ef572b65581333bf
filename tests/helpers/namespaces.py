"""Linux namespaces for displays alone: all that is in them was made by the displays, and is counted exactly.

Processes, sockets in the file system and abstract ones, System V segments, files in memory, in the temporary directory
and among the keymaps. Needs root.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

_NAMESPACES = ["unshare", "--mount", "--ipc", "--net", "--pid", "--fork", "--mount-proc"]
_HIDDEN = ("/tmp/.X11-unix", "/dev/shm", "/var/lib/xkb")  # noqa: S108 - covered by memory of the namespace's own
_REFUSED = ("unshare failed", "unshare: ", "mount: ")


class NotAllowed(Exception):
    """There are no namespaces to be had here."""


def covers_this_checkout(place: str) -> bool:
    """Return whether what is mounted there hides what would run."""
    return Path(sys.prefix).is_relative_to(place)


def run_in(words: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command in namespaces of its own, where the places that displays use are empty. Raises NotAllowed."""
    with tempfile.TemporaryDirectory(prefix="xshm-kills-") as home:
        os.makedirs(_HIDDEN[0], mode=0o1777, exist_ok=True)  # noqa: PTH103
        covers = "; ".join(f"mount -t tmpfs -o mode=1777 none {place}" for place in _HIDDEN)
        environment = os.environ | {"TMPDIR": home, "XDG_RUNTIME_DIR": ""}
        command = [*_NAMESPACES, "sh", "-c", f'set -e; {covers}; exec "$@"', "sh", *words]
        run = subprocess.run(command, env=environment, check=False, text=True, **options)
    if run.returncode and run.stderr and run.stderr.startswith(_REFUSED):
        raise NotAllowed(f"namespaces are not allowed here: {run.stderr.strip()}")
    return run


def difference(before: dict[str, list[str]]) -> dict[str, list[str]]:
    """Return what is there now and was not before."""
    reap()
    now = present()
    return {what: new for what in before if (new := sorted(set(now[what]) - set(before[what])))}


def reap() -> dict[int, int]:
    """Reap all ended children: we are the namespace's init, which inherits the orphans. Return how they ended."""
    ended = {}
    with contextlib.suppress(ChildProcessError):
        while (dead := os.waitpid(-1, os.WNOHANG))[0]:
            ended[dead[0]] = os.waitstatus_to_exitcode(dead[1])
    return ended


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
            *(str(path) for path in Path("/tmp").glob(".X*-lock") if _is_of_here(path)),  # noqa: S108 - X's own place
        ],
    }


def _is_of_here(lock: Path) -> bool:
    """Tell whether a server's lock may be one of this namespace's, whose numbers of processes begin at 1.

    /tmp is not covered, since a checkout may be in it: servers outside put their locks there, too.
    """
    with contextlib.suppress(OSError, ValueError):
        return int(lock.read_text()) <= int(Path("/proc/sys/kernel/ns_last_pid").read_text())
    return lock.exists()


def _below(place: str) -> list[str]:
    # os.walk passes over what vanishes on the way.
    return [os.path.join(top, name) for top, folders, names in os.walk(place) for name in (*folders, *names)]  # noqa: PTH118


def _command(pid: str) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")[:160]
    return ""
