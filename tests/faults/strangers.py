"""Attacks by another user of the machine, uid 65534: on sockets, directories, files, segments, /proc.

All of it happens in namespaces of its own, so that no socket, segment or display number of others is touched. He may
never have the cookie, a pixel, a file or a segment of a display of ours; where he can keep a display from starting,
that is an error of ours.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from another_user import UID, Stranger, start_as_him
from processes import parent

import xshm
from xshm import sysv
from xshm.system.atomic_write import replace_file
from xshm.virtual.framebuffer import Framebuffer
from xshm.virtual.servers.server_files import authority_entry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faults.report import Report, Row

_SOCKETS = Path("/tmp/.X11-unix")  # noqa: S108 - where X servers listen
_TESTS = Path(__file__).resolve().parent.parent
_NUMBERS = 8  # of displays that he takes
_NOT_OURS = (xshm.UntrustedServer, xshm.StartFailed, xshm.ConnectFailed)
_MNT_DETACH = 2


def provoke(report: Report, effort: int) -> None:
    """Let him try everything `effort` times, in namespaces of its own."""
    if os.geteuid() != 0:
        report.row("skipped: it takes root to be another user").passed()
        return
    # The sockets' directory is covered first: Stranger and servers find an empty one.
    mount = f'mkdir -p {_SOCKETS} && mount -t tmpfs none {_SOCKETS} && mount -t tmpfs none /dev/shm && exec "$@"'
    command = [
        "unshare",
        "--mount",
        "--net",
        "--ipc",
        # He looks for processes all the time: he is to see those of the test alone, and to end with it.
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
        "sh",
        "-c",
        mount,
        "sh",
        sys.executable,
        "-m",
        "faults.strangers",
        str(effort),
    ]
    environment = os.environ | {"PYTHONPATH": f"{_TESTS}:{_TESTS}/helpers:{_TESTS.parent}"}
    environment.pop("XDG_RUNTIME_DIR", None)
    ran = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=_TESTS)
    if ran.stderr.startswith("unshare: ") or "mount: " in ran.stderr:
        report.row(f"skipped: no namespaces here ({ran.stderr.strip()})").passed()
        return
    if ran.returncode:
        report.row("to the end").failed(f"exit code {ran.returncode}: {ran.stderr[-800:]}")
        return
    for name, tried, failures in json.loads(ran.stdout.splitlines()[-1]):
        row = report.row(name)
        row.tried += tried
        row.failures += failures


# -- him ---------------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _him(program: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Run a program as him, until it is ended; it prints "ready" first."""
    process = start_as_him(textwrap.dedent(program), *arguments)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def _said(process: subprocess.Popen[str]) -> str:
    """End him, and return all that he has printed; at SIGTERM he prints what he got."""
    process.send_signal(signal.SIGTERM)
    return _rest(process)


def _rest(process: subprocess.Popen[str]) -> str:
    """Return what he prints until his end; `communicate` would lose what was read ahead with "ready"."""
    assert process.stdout is not None
    return process.stdout.read()


@contextlib.contextmanager
def _mounted(place: Path, options: str) -> Iterator[None]:
    """Put a file system of its own there."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", place], check=True)
    try:
        yield
    finally:
        ctypes.CDLL(None).umount2(bytes(place), _MNT_DETACH)


def _abstract(number: int) -> str:
    return f"@{_SOCKETS}/X{number}"


def _cookie(display: xshm.VirtualDisplay) -> bytes:
    assert display.xauthority is not None
    return display.xauthority.read_bytes()[-16:]


def _told(heard: list[bytes], cookie: bytes) -> str | None:
    return f"he was sent the cookie: {heard}" if any(cookie in each for each in heard) else None


# -- sockets -----------------------------------------------------------------------------------------------------------


def _first(report: Report, kind: str, effort: int) -> None:
    """He listens where our display is going to, and where anybody looks for displays."""
    ours = report.row(f"display of ours, {kind} of its first {_NUMBERS} numbers taken")
    others = report.row(f"Screen(':N'), {kind} of N taken")
    places = [_abstract(number) if kind == "abstract names" else f"{_SOCKETS}/X{number}" for number in range(_NUMBERS)]
    cookie = os.urandom(16)
    authority = Path(tempfile.gettempdir(), "authority-of-ours")
    authority.write_bytes(authority_entry(cookie))
    os.environ["XAUTHORITY"] = str(authority)
    for _ in range(effort):
        with _mounted(_SOCKETS, "mode=1777"), Stranger(*places) as stranger:
            for number in range(_NUMBERS):
                try:
                    xshm.Screen(f":{number}", timeout=5).close()
                    others.failed(f"he was connected to as :{number}")
                except xshm.UntrustedServer:
                    others.count(_told(stranger.heard(), cookie))
            with xshm.VirtualDisplay(64, 48, timeout=60) as display:
                display.screen.grab()
                ours.count(_told(stranger.heard(), _cookie(display)))
    authority.unlink()


_REPLACES = """
import json, os, signal, socket, sys, threading
heard = []
def say(*_):
    print(json.dumps([each.hex() for each in heard]), flush=True)
    os._exit(0)
signal.signal(signal.SIGTERM, say)
def serve(listening):
    while True:
        client, _ = listening.accept()
        client.settimeout(0.5)
        try:
            heard.append(client.recv(4096))
        except OSError:
            pass
        client.close()
done = set()
print("ready", flush=True)
while True:
    for name in os.listdir(sys.argv[1]):
        if name[0] == "X" and name not in done:
            path = f"{sys.argv[1]}/{name}"
            try:
                os.rename(path, f"{sys.argv[1]}/was-{name}")
                listening = socket.socket(socket.AF_UNIX)
                listening.bind(path)
                listening.listen()
            except OSError:
                continue
            done.add(name)
            threading.Thread(target=serve, args=(listening,), daemon=True).start()
"""


def _replaced(report: Report, effort: int) -> None:
    """He puts a socket of his in the place of the server's as soon as it is there."""
    row = report.row("socket replaced as soon as it is there")
    for _ in range(effort):
        with _mounted(_SOCKETS, "mode=777"), _him(_REPLACES, _SOCKETS) as him:
            cookie = b"never there"
            try:
                with xshm.VirtualDisplay(64, 48, timeout=60) as display:
                    cookie = _cookie(display)
                    _SOCKETS.chmod(0o777)  # root's Xvfb has made it sticky
                    deadline = time.monotonic() + 10
                    while not list(_SOCKETS.glob("was-*")) and time.monotonic() < deadline:
                        time.sleep(0.001)
                    for use in (
                        lambda: display.screen,
                        lambda: xshm.grab(display=display.name),
                        display.framebuffer.sync,
                    ):
                        with contextlib.suppress(*_NOT_OURS), display.activate():
                            use()
            except _NOT_OURS:
                pass
            row.count(_told([bytes.fromhex(each) for each in json.loads(_said(him))], cookie))


def _owned(report: Report, effort: int) -> None:
    """Give him the directory of the sockets, with sockets of his in it."""
    row = report.row("directory of the sockets is his")
    for _ in range(effort):
        with (
            _mounted(_SOCKETS, f"mode=1777,uid={UID}"),
            Stranger(*(f"{_SOCKETS}/X{number}" for number in range(_NUMBERS))) as stranger,
            xshm.VirtualDisplay(64, 48, timeout=60) as display,
        ):
            display.screen.grab()
            display.framebuffer.grab()
            row.count(_told(stranger.heard(), _cookie(display)))


_CONNECTS = """
import socket, struct, sys
print("ready", flush=True)
for cookie in (b"", bytes(16)):
    name = b"MIT-MAGIC-COOKIE-1" if cookie else b""
    hello = struct.pack("=BxHHHHxx", 0x6C, 11, 0, len(name), len(cookie)) + name.ljust(-(-len(name) // 4) * 4, bytes(1))
    for place in sys.argv[1:]:
        asking = socket.socket(socket.AF_UNIX)
        asking.connect(place.replace("@", chr(0), 1) if place[0] == "@" else place)
        asking.sendall(hello + cookie)
        print(asking.recv(1)[0], flush=True)
"""


def _connects(report: Report, display: xshm.VirtualDisplay) -> None:
    """He connects to our server, without a cookie and with a wrong one."""
    row = report.row("connects to a display of ours")
    number = int(display.name[1:])
    with _him(_CONNECTS, _abstract(number), f"{_SOCKETS}/X{number}") as him:
        answers = _rest(him).split()
    for answer in answers:
        row.count(None if answer == "0" else f"he was let in: {answer}")
    if len(answers) != 4:
        row.failed(f"{len(answers)} of 4 answers came")


# -- files -------------------------------------------------------------------------------------------------------------

_OPENS = """
import os, sys
print("ready", flush=True)
for path in sys.argv[1:]:
    try:
        if os.path.isdir(path):
            os.listdir(path)
        else:
            with open(path, "rb") as file:
                file.read(1)
    except OSError as error:
        if error.errno in (1, 13):
            print("kept out", flush=True)
            continue
        print(path, error, flush=True)
        continue
    print("got into", path, flush=True)
"""


def _files(report: Report, display: xshm.VirtualDisplay, kept: Path) -> None:
    """He opens every file of a display's, and of its processes in /proc."""
    row = report.row("opens files, and what /proc has of the processes")
    assert display.pid is not None
    assert display.xauthority is not None
    server = display.pid
    supervisor = parent(server)
    paths = [display.xauthority, display.xauthority.parent, kept / "Xvfb_screen0"]
    for pid in (os.getpid(), supervisor, server):
        paths += [Path(f"/proc/{pid}/{name}") for name in ("environ", "fd", "maps", "mem", "fd/0", "map_files")]
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
        row.count("the cookie is on a command line" if _cookie(display).hex().encode() in words else None)
    with _him(_OPENS, *paths) as him:
        told = _rest(him).splitlines()
    for line in told:
        row.count(None if line == "kept out" else line)
    if len(told) != len(paths):
        row.failed(f"{len(told)} of {len(paths)} were tried")


_WRITES = """
import os, sys
print("ready", flush=True)
for path in sys.argv[1:]:
    tries = {
        "read": lambda: os.open(path, os.O_RDONLY),
        "written": lambda: os.open(path, os.O_WRONLY),
        "given another name": lambda: os.rename(path, path + "-his"),
        "removed": lambda: os.rmdir(path) if os.path.isdir(path) else os.unlink(path),
        "made to be his": lambda: os.chown(path, os.getuid(), -1),
        "opened for all": lambda: os.chmod(path, 0o777),
        "filled with a link": lambda: os.symlink("/", os.path.join(path, "his")),
    }
    for how, attempt in tries.items():
        try:
            attempt()
        except OSError as error:
            print("kept out" if error.errno in (1, 13, 20, 21) else f"{path} was not to be {how}: {error}", flush=True)
        else:
            print(path, "was", how, flush=True)
"""


# By the first bytes an X server refuses who has no cookie; whatever else listens must not let him connect.
_ENTERS = """
import socket, struct, sys
print("ready", flush=True)
for place in sys.argv[1:]:
    asking = socket.socket(socket.AF_UNIX)
    asking.settimeout(10)
    try:
        asking.connect(place.replace("@", chr(0), 1) if place[0] == "@" else place)
        if "/.X11-unix/X" not in place:
            print("he is connected to", place, flush=True)
            continue
        name, cookie = b"MIT-MAGIC-COOKIE-1", bytes(16)
        asking.sendall(struct.pack("=BxHHHHxx", 0x6C, 11, 0, len(name), 16) + name + bytes(2) + cookie)
        answer = asking.recv(1)
        print("kept out" if answer == bytes(1) else f"he was let in at {place}: {answer}", flush=True)
    except OSError as error:
        print("kept out" if error.errno in (1, 13) else f"{place}: {error}", flush=True)
"""


def _listening() -> list[str]:
    """Return the names of all sockets that listen here, whatever they are of."""
    lines = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()[1:]]
    return sorted({words[7] for words in lines if len(words) > 7 and words[3] == "00010000"})


def _by_network() -> str | None:
    """Say what listens to the network here: nothing of a display's may."""
    listens = "0A"
    lines = [line for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    ports = [int(line.split()[1].rpartition(":")[2], 16) for line in lines if line.split()[3] == listens]
    return f"something listens at TCP {ports}" if ports else None


def _all_ours(report: Report, place: Path, effort: int) -> None:
    """He reads, writes, renames, removes what displays of each kind, traces and recordings in progress are made of."""
    for_all = place / "for all"
    for_all.mkdir(mode=0o755)
    for _ in range(effort):
        kinds = list(_DISPLAYS.items()) if effort > 1 else random.sample(list(_DISPLAYS.items()), 1)
        for kind, options in kinds:
            if "server" in options and not _has(kind):
                continue
            row = report.row(f"files of a display: {kind}")
            before = {*place.rglob("*"), *Path("/dev/shm").rglob("*")}  # noqa: S108 - where displays have theirs
            theirs = {"framebuffer": for_all} if options.get("framebuffer") == "for all" else {}
            with xshm.VirtualDisplay(64, 48, timeout=60, **(options | theirs)) as display:
                screen = display.screen
                made = {*place.rglob("*"), *Path("/dev/shm").rglob("*")} - before  # noqa: S108
                assert display.xauthority in made
                _tried(row, _WRITES, sorted(map(str, made)))
                _tried(report.row(f"sockets of a display: {kind}"), _ENTERS, _listening())
                row.count(_by_network())
                if kind in ("Xvfb", kinds[0][0]):
                    _progress(report.row("a trace and a recording in progress, and their files"), screen, place)
    for_all.rmdir()


_DISPLAYS: dict[str, dict[str, Any]] = {
    "Xvfb": {},
    "Xvfb, sysv": {"framebuffer": "sysv"},
    "Xvfb, a framebuffer in a directory for all": {"framebuffer": "for all"},
    "Xvnc": {"server": "xvnc", "framebuffer": "none"},
    "Xwayland": {"server": "xwayland", "framebuffer": "none"},
}
_PROGRAMS = {"Xvnc": ("Xvnc",), "Xwayland": ("Xwayland", "weston")}


def _has(kind: str) -> bool:
    return all(map(shutil.which, _PROGRAMS[kind]))


def _tried(row: Row, program: str, words: list[str]) -> None:
    """Have him try all of it, and count each attempt."""
    with _him(program, *words) as him:
        told = _rest(him).splitlines()
    for line in told:
        row.count(None if line == "kept out" else line)
    if not told:
        row.failed(f"nothing was tried of {words}")


def _progress(row: Row, screen: xshm.Screen, place: Path) -> None:
    """He looks for what a trace and a recording over private files write until they end."""
    private = place / "private.html", place / "private.gif"
    for path in private:
        path.write_bytes(b"")
        path.chmod(0o600)
    before = set(place.iterdir())
    with screen.trace(private[0]) as trace, screen.record(private[1]) as recorder:
        for each in (trace, recorder):
            each.mark("here")
        mine = [f"/proc/{os.getpid()}/fd/{number}" for number in os.listdir("/proc/self/fd")]  # noqa: PTH208
        _tried(row, _WRITES, [*map(str, {*private, *place.iterdir()} - before | set(private)), *mine])
    for path in private:
        row.count(None if path.stat().st_mode & 0o777 == 0o600 else f"{path.name} has {path.stat().st_mode:o}")
        path.unlink()


# He reads the name of a directory that is about to be made on the command line that makes it, and makes there, in turn,
# a link to a directory of ours, and a directory of his in which is noted what he would like to be removed and ended.
_PLANTS = """
import json, os, re, sys
precious, notes = sys.argv[1], json.loads(sys.argv[2])
print("ready", flush=True)
me, known, planted = os.getpid(), set(), 0
# Of this process's displays alone: the tests are not to be in the way of others'.
names = re.compile(rb"(/[^\\0\\n]*/xshm-" + sys.argv[3].encode() + rb"-[0-9]+-[0-9]+-[0-9a-f]{16})\\0")
while True:
    for pid in os.listdir("/proc"):
        if pid.isdigit() and int(pid) > me:
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    found = names.findall(file.read())
            except OSError:
                continue
            for name in found:
                if name not in known:
                    known.add(name)
                    try:
                        if planted % 2:
                            os.mkdir(name)
                            for what, text in notes.items():
                                with open(os.path.join(name, what.encode()), "w") as file:
                                    file.write(text)
                        else:
                            os.symlink(precious, name)
                        planted += 1
                        print("planted", flush=True)
                    except OSError:
                        pass
"""


def _planted(report: Report, place: Path, effort: int) -> None:
    """He puts links and directories where a display is about to make directories of its own."""
    row = report.row("links and directories planted where a display makes its own")
    precious = place / "precious"
    precious.mkdir(mode=0o700)
    files = [precious / name for name in ("Xauthority", "Xvfb_screen0", "letter")]
    with contextlib.ExitStack() as held:
        bystander = held.enter_context(subprocess.Popen(["sleep", "1000"]))
        held.callback(bystander.kill)
        segment = sysv.shmget(sysv.IPC_PRIVATE, 4096, sysv.IPC_CREAT | 0o600)
        held.callback(sysv.remove, segment)
        dead = _SOCKETS / "X60999"
        listening = held.enter_context(socket.socket(socket.AF_UNIX))
        listening.bind(str(dead))
        listening.close()
        held.callback(dead.unlink)
        status = dead.lstat()
        notes = {
            "what": f"sysv\n1\n{precious}\n{precious}\n",
            "pid": f"{bystander.pid} {os.getpid()}\n",
            "socket": f"60999 {status.st_ino} {status.st_ctime_ns}",
            "supervisor": "",
            "Xauthority": "his",
        }
        him = held.enter_context(_him(_PLANTS, precious, json.dumps(notes), os.getpid()))
        for _ in range(2 * effort):
            for file in files:
                file.write_bytes(b"precious")
            with contextlib.suppress(*_NOT_OURS), xshm.VirtualDisplay(64, 48, timeout=60) as display:
                display.screen.grab()
            lost = [file.name for file in files if not file.exists() or file.read_bytes() != b"precious"]
            lost += ["a process"] if bystander.poll() is not None else []
            lost += ["a segment"] if segment not in {each.shmid for each in sysv.segments()} else []
            lost += [] if dead.exists() else ["a socket"]
            row.count(f"lost: {', '.join(lost)}" if lost else None)
        him.kill()
        planted = _rest(him).count("planted")
    theirs = [path for where in (place, Path("/dev/shm")) for path in where.glob("xshm-*")]  # noqa: S108
    his = report.row("of these, in time; his own are left to him")
    his.tried += planted
    if len(theirs) != planted or any(path.lstat().st_uid != UID for path in theirs):
        his.failed(f"{planted} planted, there are {theirs}")
    for path in theirs:
        path.unlink() if path.is_symlink() else shutil.rmtree(path)


def _pictures(report: Report, place: Path, effort: int) -> None:
    """He puts files and links where pictures are saved, in a directory for everybody."""
    row = report.row("files and links planted where pictures are saved")
    ours = place / "a file of ours"
    for _ in range(effort):
        for kind in ("link", "link to nothing", "file"):
            planted = place / "shot.png"
            ours.unlink(missing_ok=True)
            if kind == "link":
                ours.write_bytes(b"precious")
            if kind == "file":
                planted.write_bytes(b"his")
                planted.chmod(0o666)
            else:
                planted.symlink_to(ours)
            os.chown(planted, UID, UID, follow_symlinks=False)
            try:
                replace_file(planted, b"the screen")
                row.failed(f"{kind}: written")
            except PermissionError:
                row.count(None if not ours.exists() or ours.read_bytes() == b"precious" else f"{kind}: overwritten")
            planted.unlink()


# -- memory ------------------------------------------------------------------------------------------------------------

_ATTACHES = """
import ctypes, json, os, signal
libc = ctypes.CDLL(None, use_errno=True)
libc.shmat.restype = ctypes.c_void_p
got = []
def say(*_):
    print(json.dumps(got), flush=True)
    os._exit(0)
signal.signal(signal.SIGTERM, say)
print("ready", flush=True)
while True:
    with open("/proc/sysvipc/shm") as table:
        next(table)
        for line in table:
            shmid = int(line.split()[1])
            if shmid not in got and libc.shmat(shmid, None, 0o10000) not in (None, 2**64 - 1):
                got.append(shmid)
"""


def _segments(report: Report, effort: int) -> None:
    """He attaches every segment that he finds, all the time, and keeps it."""
    row = report.row("attaches System V segments")
    for _ in range(effort):
        with _him(_ATTACHES) as him, contextlib.ExitStack() as held:
            with contextlib.suppress(xshm.StartFailed):  # he was in time, and the error reports it
                display = held.enter_context(xshm.VirtualDisplay(64, 48, timeout=60, framebuffer="sysv"))
                display.framebuffer.grab()
                with xshm.VirtualDisplay(64, 48, timeout=60) as other:
                    frames = [other.screen.grab() for _ in range(50)]
                    other.screen.grab_many([(0, 0, 5, 5)] * 3)
                    del frames
            alive = {segment.shmid for segment in sysv.segments()}
            theirs = alive.intersection(json.loads(_said(him))) if held._exit_callbacks else set()  # type: ignore[attr-defined]
            row.count(f"he has {len(theirs)} segments" if theirs else None)


_READS = """
import sys
from xshm.errors import FramebufferTruncated
from xshm.virtual.framebuffer import Framebuffer
framebuffer = Framebuffer.open(sys.argv[1])
print("ready", flush=True)
try:
    while True:
        framebuffer.peek()
except FramebufferTruncated:
    print("told", flush=True)
"""


def _cut(report: Report, place: Path, effort: int) -> None:
    """He cuts the file of a framebuffer of his, which we read."""
    row = report.row("cuts a framebuffer that is read")
    his = place / "his"
    his.mkdir()
    with xshm.VirtualDisplay(640, 480, timeout=60, framebuffer=his):
        picture = (his / "Xvfb_screen0").read_bytes()
    file = his / "screen"
    for number in range(effort):
        file.write_bytes(picture)
        os.chown(file, UID, UID)
        command = [sys.executable, "-c", _READS, str(file)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as reader:
            assert reader.stdout is not None
            reader.stdout.readline()
            time.sleep(number % 10 / 1000)
            os.truncate(file, len(picture) * (number % 7) // 7)
            told = reader.communicate(timeout=20)[0]
        row.count(
            None if (reader.returncode, told) == (0, "told\n") else f"{reader.returncode}, {told!r}, try {number}"
        )
        with contextlib.suppress(xshm.UnsupportedFormat, xshm.FramebufferTruncated):
            Framebuffer.open(file).peek()
        file.unlink()


# -- all of it ---------------------------------------------------------------------------------------------------------


def _inside(effort: int) -> None:
    from faults.report import Report  # noqa: PLC0415 - as the parent has it

    report = Report()
    Path("/dev/shm").chmod(0o1777)  # noqa: S108 - as everywhere
    _SOCKETS.chmod(0o1777)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=False, capture_output=True)
    outside = Path(tempfile.mkdtemp(prefix="xshm-strangers-", dir="/var/tmp"))  # where he can go, too
    outside.chmod(0o755)
    try:
        with _mounted(outside, "mode=1777"):
            tempfile.tempdir = os.environ["TMPDIR"] = str(outside)
            _first(report, "abstract names", effort)
            _first(report, "files", effort)
            _replaced(report, effort)
            _owned(report, effort)
            kept = outside / "kept"
            kept.mkdir(mode=0o755)
            for _ in range(effort):
                with xshm.VirtualDisplay(64, 48, timeout=60, framebuffer=kept) as display:
                    _connects(report, display)
                    _files(report, display, kept)
            _all_ours(report, outside, effort)
            _planted(report, outside, effort)
            _pictures(report, outside, effort)
            _segments(report, effort)
            _cut(report, outside, effort)
    finally:
        outside.rmdir()
    rows: list[Any] = [(row.name, row.tried, row.failures) for row in report.rows]
    print(json.dumps(rows))


if __name__ == "__main__":
    _inside(int(sys.argv[1]))
