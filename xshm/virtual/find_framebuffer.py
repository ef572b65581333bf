"""Find where an Xvfb keeps its screens: known for a server of ours, searched by process id for any other.

Always true: nothing is guessed. A file counts if the server's process has it open, a segment if that process made it
and has it mapped, and in both the dump must name the display's number. So neither another server of that size nor what
a dead one has left is mistaken for it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypedDict

from xshm import sysv
from xshm._signal_safety import Ignored, is_a_handlers
from xshm.errors import ConnectFailed, StartFailed, TransportUnavailable, UnsupportedFormat
from xshm.system import limits
from xshm.virtual.framebuffer import Framebuffer
from xshm.virtual.framebuffer_file import open_file
from xshm.virtual.kinds import choice
from xshm.virtual.servers.server_files import framebuffer_file
from xshm.x11.display_name import DisplayName

if TYPE_CHECKING:
    from xshm.virtual.framebuffer import Opener
    from xshm.virtual.kinds.choice import ServerChoice
    from xshm.virtual.servers.server import SupervisedServer
    from xshm.virtual.spec import DisplaySpec

_SEGMENT: Final = re.compile(r"^screen \d+ shmid (\d+)$", re.MULTILINE)  # which Xvfb writes to its standard error
_MODE: Final = 0o600  # of a segment that was taken over
_FILE: Final = re.compile(r"/Xvfb_screen\d+(?: \(deleted\))?$")


class _Options(TypedDict):
    """How the framebuffers of one display are opened."""

    screen: Opener
    writable: bool
    has_pointer: bool


def check_is_shared(spec: DisplaySpec | None, server: ServerChoice | None) -> None:
    """Raise TransportUnavailable for a display of ours that shares no memory, with who does; None: another's."""
    if server is not None and not choice.KINDS[server.kind].has_framebuffer:
        raise TransportUnavailable(
            f"{server} does not share its screen's memory; {choice.who_shares_memory()}. Grabs need none"
        )
    if spec is not None and spec.framebuffer == "none":
        raise TransportUnavailable("this display was started with framebuffer='none'; leave that out to have one")


# -- of our own server -------------------------------------------------------------------------------------------------


def of_our_server(spec: DisplaySpec, server: SupervisedServer, screen: Opener) -> tuple[Framebuffer, ...]:
    """Map the framebuffers of a server that has just started; none where it shares none."""
    options: _Options = {"screen": screen, "writable": spec.writable, "has_pointer": spec.cursor}
    if spec.framebuffer == "sysv":
        return tuple(_take_over(int(shmid), options) for shmid in _SEGMENT.findall(server.said()))
    if isinstance(spec.framebuffer, Path):
        paths = [framebuffer_file(str(spec.framebuffer), number) for number in range(len(spec.all_screens()))]
        return tuple(_map_kept(path, spec.framebuffer_mode, options) for path in paths)
    return tuple(Framebuffer.of_descriptor(descriptor, **options) for descriptor in server.framebuffers)


def _map_kept(path: str, mode: int, options: _Options) -> Framebuffer:
    """Map a file in the caller's directory, where another user may have put something else in its place."""
    is_ours = False
    with Ignored(OSError, UnsupportedFormat):
        descriptor = open_file(path, options["writable"], os.O_NOFOLLOW)
        status = os.fstat(descriptor)
        is_ours = status.st_uid == os.geteuid() and status.st_nlink == 1
    if not is_ours:
        raise StartFailed(
            f"{path} is not the file any more that was made for the framebuffer; somebody else writes there, so "
            f"take another directory"
        )
    os.fchmod(descriptor, mode)
    return Framebuffer.of_descriptor(descriptor, **options)


def _take_over(shmid: int, options: _Options) -> Framebuffer:
    """Attach a segment that Xvfb made with mode 0777, close it to others, and have it go with its last user."""
    framebuffer = Framebuffer.of_segment(shmid, **options)
    desc = sysv.stat(shmid)
    desc.perm.mode = _MODE
    sysv.shmctl(shmid, sysv.IPC_SET, desc)
    sysv.remove(shmid)
    attached = sysv.stat(shmid).nattch
    if attached > 2:  # noqa: PLR2004 - the server and we
        raise StartFailed(
            f"{attached - 2} other process(es) attached to the framebuffer, segment {shmid}, in the moment in which "
            f"Xvfb leaves it open to all; framebuffer='file' has no such moment"
        )
    return framebuffer


# -- of any server -----------------------------------------------------------------------------------------------------


def find_framebuffers(display: str, pid: int | None, screen: Opener, *, writable: bool) -> tuple[Framebuffer, ...]:
    """Return the framebuffers of the server `pid` behind `display`, in the order of its screens.

    Raises TransportUnavailable with what was looked at; ConnectFailed where no descriptor is left for it.
    """
    with limits.Explained(ConnectFailed, f"the framebuffer of {display} can't be looked for"):
        return _find(display, pid, screen, writable=writable)


def _find(display: str, pid: int | None, screen: Opener, *, writable: bool) -> tuple[Framebuffer, ...]:
    if pid is None:
        raise TransportUnavailable(
            f"the server of {display} is no process that is seen from here, so its framebuffer can't be found; "
            f"where it keeps a file (-fbdir), Framebuffer.open(path, display={display!r}) reads that"
        )
    number = DisplayName.parse(display).number
    has_pointer = b"-nocursor" not in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    options: _Options = {"screen": screen, "writable": writable, "has_pointer": has_pointer}
    found: dict[int, Framebuffer] = {}
    refused: list[str] = []
    for look in (_in_files, _in_segments):
        try:
            found |= {each.screen_number: each for each in look(pid, options) if each.number == number}
        except PermissionError as error:
            if is_a_handlers(error, "pathlib"):
                raise
            refused.append(f"{error.filename}: {error.strerror}")
    if not found:
        reasons = f" ({'; '.join(refused)})" if refused else ""
        raise TransportUnavailable(
            f"the server of {display}, process {pid}, keeps its screen in memory that can't be shared{reasons}; "
            f"Xvfb does share it when it is started with -fbdir or -shmem"
        )
    framebuffers = tuple(found[screen_number] for screen_number in sorted(found))
    for framebuffer in framebuffers:
        framebuffer.sync()  # RandR may have made a screen smaller than its memory
    return framebuffers


def _in_files(pid: int, options: _Options) -> list[Framebuffer]:
    # Through /proc, which leads to the open files themselves: to unlinked ones too, and not to others of the same name.
    found = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with Ignored(FileNotFoundError):  # closed meanwhile, as a client's connection
            if _FILE.search(os.readlink(entry)):  # noqa: PTH115 - pathlib's frames would pass for a signal handler's
                found.append(Framebuffer.of_descriptor(open_file(entry, options["writable"]), **options))
    return found


def _in_segments(pid: int, options: _Options) -> list[Framebuffer]:
    # The creator's process id may be another process's by now. The mapping, whose inode is the segment's id, is not.
    maps = Path(f"/proc/{pid}/maps").read_text("utf-8", "surrogateescape").splitlines()
    mapped = {int(columns[4]) for columns in map(str.split, maps) if columns[5:6] and columns[5].startswith("/SYSV")}
    ours = [each.shmid for each in sysv.segments() if each.cpid == pid and each.shmid in mapped]
    return [Framebuffer.of_segment(shmid, **options) for shmid in ours]
