"""Containers, by every mixture of namespaces: with and without the server's IPC, /dev/shm, network, files to write.

Each mixture is a place of its own (unshare(1)) in which a client looks at a server outside: the picture must be right,
by the transport that can work there and no other, and what starts a display of its own says why not or works. What is
mixed: the IPC namespace; /dev/shm as it is, read-only, full, not there; the network's namespace, which has the abstract
sockets; the PID namespace; a file system that can't be written; a uid without rights. Of the servers outside only that
one's socket is there: an Xvfb with a network and PIDs of its own takes the others to be dead, and removes theirs.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import TYPE_CHECKING, Final

if __name__ == "__main__":
    _TESTS = Path(__file__).resolve().parent.parent
    sys.path[:1] = [str(_TESTS), str(_TESTS / "helpers")]

from painter import Painter
from reference import core_image
from servers import start

if TYPE_CHECKING:
    from faults.report import Report

_BOX: Final = (0, 0, 120, 90)
_PATIENCE: Final = 60  # seconds
_QUICK: Final = 3  # mixtures at an effort of 1; of 160
_SHM: Final = {
    "shared memory": "true",
    "shared memory read-only": "mount -t tmpfs -o ro none /dev/shm",
    "shared memory full": "mount -t tmpfs -o size=4k none /dev/shm && head -c 4096 /dev/zero > /dev/shm/filler",
    "shared memory of 64 KiB": "mount -t tmpfs -o size=64k none /dev/shm",
    "no /dev/shm": "mount -t tmpfs none /dev && mknod -m 666 /dev/null c 1 3 && mknod -m 666 /dev/zero c 1 5"
    " && mknod -m 666 /dev/urandom c 1 9",
}
_FLAGS: Final = {"--ipc": "own IPC", "--net": "own network", "--pid": "own PIDs"}
_SOCKETS: Final = "/tmp/.X11-unix"  # noqa: S108 - where X servers listen
_READ_ONLY: Final = "mount -o remount,bind,ro /"
_UID: Final = 65534


def provoke(report: Report, effort: int) -> None:
    """Try three mixtures for each unit of effort, each of them once at most."""
    if subprocess.run(["unshare", "--mount", "--ipc", "true"], capture_output=True, check=False).returncode:
        raise unittest.SkipTest("namespaces are not allowed here")
    seed = random.randrange(1 << 32)
    flags = [set(some) for count in range(4) for some in itertools.combinations(_FLAGS, count)]
    mixtures = list(itertools.product(flags, _SHM, (False, True), (False, True)))
    random.Random(seed).shuffle(mixtures)
    with (
        tempfile.TemporaryDirectory(prefix="xshm-containers-") as folder,
        start("Xvfb", 160, 120) as server,
        Painter(server) as painter,
    ):
        Path(folder).chmod(0o755)
        painter.noise((0, 0, 160, 120))
        wanted = Path(folder) / "wanted"
        wanted.write_bytes(core_image(painter.display, _BOX).tobytes())
        for chosen, shm, read_only, other_user in mixtures[: _QUICK * effort]:
            told = _run(server.name, wanted, chosen, shm, read_only=read_only, other_user=other_user)
            words = [*(_FLAGS[flag] for flag in sorted(chosen)), shm]
            words += ["read-only"] * read_only + ["another uid"] * other_user
            for what, how in told.items():
                report.row(f"{what} ({'own' if '--ipc' in chosen else 'same'} IPC)").count(
                    how and f"{', '.join(words)}: {how}"
                )


def _run(
    name: str, wanted: Path, chosen: set[str], shm: str, *, read_only: bool, other_user: bool
) -> dict[str, str | None]:
    """Be a client in such a place; return for each thing that was done what was wrong with it."""
    socket, alone = f"{_SOCKETS}/X{name.lstrip(':')}", wanted.with_name("socket")
    alone.touch()
    steps = [
        "set -e",
        f"mount --bind {socket} {alone}",
        f"mount -t tmpfs -o mode=1777 none {_SOCKETS}",
        f"touch {socket}",
        f"mount --bind {alone} {socket}",
        _SHM[shm],
        *([_READ_ONLY] if read_only else []),
    ]
    command = ["unshare", "--mount", *sorted(chosen), *(["--fork", "--mount-proc"] if "--pid" in chosen else []),
               "sh", "-c", f'{"; ".join(steps)}; exec "$@"', "sh"]  # fmt: skip
    who = str(_UID if other_user else 0)
    command += [sys.executable, __file__, name, str(wanted), who, str(int("--ipc" in chosen)), shm]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, check=False, cwd="/")
    except subprocess.TimeoutExpired:
        return {"the client": "it hangs"}
    if done.returncode:
        return {"the client": f"exit code {done.returncode}: {done.stderr[-700:]}"}
    told: dict[str, str | None] = json.loads(done.stdout.splitlines()[-1])
    return told


# -- inside ------------------------------------------------------------------------------------------------------------


def _inside(name: str, wanted: bytes, uid: int, shm: str, *, own_ipc: bool) -> dict[str, str | None]:
    """Look at the server outside by each transport, draw into it, and start a display of our own."""
    told = {"xshm.grab, the transport chosen": _grabbed(name, wanted, "auto", _expected(uid, own_ipc=own_ipc))}
    for transport in ("sysv", "fd", "core"):
        refused = transport == "sysv" and own_ipc
        told[f"Screen({transport!r})"] = _grabbed(name, wanted, transport, None if refused else transport)
    told["Surface"] = _surface(name)
    told["VirtualDisplay"] = _display(shm, uid)
    return told


def _expected(uid: int, *, own_ipc: bool) -> str:
    """Return what must be chosen: memory by descriptor needs no place of its own and no right of another user's."""
    del uid  # root's server may attach anybody's segments
    return "fd" if own_ipc else "sysv"


def _grabbed(name: str, wanted: bytes, transport: str, expected: str | None) -> str | None:
    try:
        with xshm.Screen(name, transport, timeout=10) as screen:
            if screen.transport.kind != expected:
                return f"{screen.transport}, not {expected}"
            for _ in range(3):
                if screen.grab(_BOX).pixels.tobytes() != wanted:
                    return "a wrong picture"
    except xshm.TransportUnavailable as error:
        return None if expected is None else str(error)
    except Exception as error:  # noqa: BLE001 - which is what is looked for
        return f"{type(error).__name__}: {error}"
    return None


def _surface(name: str) -> str | None:
    try:
        with xshm.Surface(30, 20, display=name, position=(125, 95), timeout=10) as surface:
            with surface.draw() as pixels:
                pixels[...] = 77
            surface.wait(10)
            with xshm.Screen(name, timeout=10) as screen:
                is_there = (screen.grab((125, 95, 30, 20)).pixels[..., :3] == 77).all()
    except Exception as error:  # noqa: BLE001 - as above
        return f"{type(error).__name__}: {error}"
    return None if is_there else "what was drawn isn't there"


def _display(shm: str, uid: int) -> str | None:
    """Start one, or be told in our words why that can't be."""
    try:
        with xshm.VirtualDisplay(64, 48, args=["-extension", "GLX"], timeout=20) as display:
            display.screen.grab()
            display.run(["true"]).wait()
    except xshm.StartFailed as error:
        # Xvfb itself needs /tmp, where a socket must be made, and where its keymap is compiled.
        is_said = bool(str(error)) and (
            shm != "shared memory" or uid or not os.access(_TMP, os.W_OK) or _is_read_only()
        )
        return None if is_said else f"StartFailed: {error}"
    except Exception as error:  # noqa: BLE001 - as above
        return f"{type(error).__name__}: {error}"
    return None


def _is_read_only() -> bool:
    return bool(os.statvfs("/").f_flag & os.ST_RDONLY)


if __name__ == "__main__":
    import xshm

    _TMP = tempfile.gettempdir() if not _is_read_only() else "/tmp"  # noqa: S108
    _name, _wanted, _uid, _own, _shm = sys.argv[1:]
    _bytes = Path(_wanted).read_bytes()
    if int(_uid):
        os.setgroups([])
        os.setresgid(_UID, _UID, _UID)
        os.setresuid(_UID, _UID, _UID)
    print(json.dumps(_inside(_name, _bytes, int(_uid), _shm, own_ipc=_own == "1")))
