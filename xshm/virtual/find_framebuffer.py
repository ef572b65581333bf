"""Where an Xvfb keeps its screens: taken over from one of ours, found by process id for one of somebody else's.

Nothing is guessed. A file counts if the server's process has it open, a segment if that process made it and has it
mapped, and the dump in it must name the display's number. So two servers of the same size, and what dead ones left,
are told apart.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from xshm import sysv
from xshm.errors import ConnectFailed, StartFailed, TransportUnavailable, UnsupportedFormat
from xshm.system import limits
from xshm.system.kernel_errors import Ignored, is_a_handlers
from xshm.virtual.framebuffer import Framebuffer
from xshm.virtual.framebuffer_file import open_file
from xshm.x11 import peer_credentials
from xshm.x11.display_name import DisplayName

if TYPE_CHECKING:
    from collections.abc import Callable

    from xshm.drawables.screen import Screen
    from xshm.virtual.servers.server import SupervisedServer
    from xshm.virtual.spec import DisplaySpec

    Opener = Callable[[int], Screen]

_SEGMENT: Final = re.compile(r"^screen \d+ shmid (\d+)$", re.MULTILINE)
_MODE: Final = 0o600
_FILE: Final = re.compile(r"/Xvfb_screen\d+(?: \(deleted\))?$")


def adopt(spec: DisplaySpec, server: SupervisedServer, screen: Opener) -> tuple[Framebuffer, ...]:
    """Map the framebuffers of a server of ours that has just started; none for framebuffer="none"."""
    how = FramebufferOptions(screen, spec.writable, spec.cursor)
    if spec.framebuffer == "sysv":
        return tuple(_take_over(int(shmid), how) for shmid in _SEGMENT.findall(server.said()))
    if isinstance(spec.framebuffer, Path):
        count = len(spec.all_screens())
        return tuple(how.map_kept(spec.framebuffer / f"Xvfb_screen{number}", spec) for number in range(count))
    return tuple(how.map_open(descriptor) for descriptor in server.framebuffers)


@dataclass(frozen=True, slots=True)
class FramebufferOptions:
    """How the framebuffers of one display are opened."""

    screen: Opener
    writable: bool
    pointer: bool

    def map_file(self, path: Path) -> Framebuffer:
        """Map a file that a server keeps its screen in."""
        return self.map_open(open_file(path, self.writable))

    def map_kept(self, path: Path, spec: DisplaySpec) -> Framebuffer:
        """Map a file of ours that stays in a directory, where others may have put something else in its place."""
        try:
            descriptor = open_file(path, self.writable, os.O_NOFOLLOW)
            status = os.fstat(descriptor)
            is_ours = status.st_uid == os.geteuid() and status.st_nlink == 1
        except (OSError, UnsupportedFormat) as error:
            if is_a_handlers(error):
                raise
            is_ours = False
        if not is_ours:
            raise StartFailed(
                f"{path} is not the file any more that was made for the framebuffer; somebody else writes there, so "
                f"take another directory"
            )
        os.fchmod(descriptor, spec.framebuffer_mode)
        return self.map_open(descriptor)

    def map_open(self, descriptor: int) -> Framebuffer:
        """Map an open file."""
        return Framebuffer.of_descriptor(descriptor, self.screen, writable=self.writable, has_pointer=self.pointer)

    def attach(self, shmid: int) -> Framebuffer:
        """Attach a System V segment that a server keeps its screen in."""
        return Framebuffer.of_segment(shmid, self.screen, writable=self.writable, has_pointer=self.pointer)


def _take_over(shmid: int, how: FramebufferOptions) -> Framebuffer:
    """Attach a segment that Xvfb made for everybody, and make it ours: closed to others, gone with its last user."""
    framebuffer = how.attach(shmid)
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


def server_pid(screen: Screen) -> int | None:
    """Return the process id of the server that a screen is connected to, or None where it can't be seen from here."""
    found = peer_credentials.credentials(screen.connection.wire.socket)
    return (found.pid or None) if found else None  # 0: a process that this PID namespace can't see


def find_framebuffers(display: str, pid: int | None, screen: Opener, *, writable: bool) -> tuple[Framebuffer, ...]:
    """Return the framebuffers of the server `pid` behind `display`, in the order of its screens.

    Raises TransportUnavailable with what was looked at; ConnectFailed where no descriptor is left for it.
    """
    with limits.Named(ConnectFailed, f"the framebuffer of {display} can't be looked for"):
        return _find(display, pid, screen, writable=writable)


def _find(display: str, pid: int | None, screen: Opener, *, writable: bool) -> tuple[Framebuffer, ...]:
    if pid is None:
        raise TransportUnavailable(
            f"the server of {display} is no process that is seen from here, so its framebuffer can't be found; "
            f"where it keeps a file (-fbdir), Framebuffer.open(path, display={display!r}) reads that"
        )
    number = DisplayName.parse(display).number
    pointer = b"-nocursor" not in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    how = FramebufferOptions(screen, writable, pointer)
    found: dict[int, Framebuffer] = {}
    refused: list[str] = []
    for look in (_files, _segments):
        try:
            found |= {each.screen_number: each for each in look(pid, how) if each.number == number}
        except PermissionError as error:
            if is_a_handlers(error, "pathlib"):
                raise
            refused.append(f"{error.filename}: {error.strerror}")
    if not found:
        told = f" ({'; '.join(refused)})" if refused else ""
        raise TransportUnavailable(
            f"the server of {display}, process {pid}, keeps its screen in memory that can't be shared{told}; "
            f"Xvfb does share it when it is started with -fbdir or -shmem"
        )
    framebuffers = tuple(found[screen_number] for screen_number in sorted(found))
    for framebuffer in framebuffers:
        framebuffer.sync()  # a screen may be smaller by now than its memory
    return framebuffers


def _files(pid: int, how: FramebufferOptions) -> list[Framebuffer]:
    # The entries lead to the open files themselves, to unlinked ones too, whatever has their names now.
    found = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with Ignored(FileNotFoundError):  # closed in the meantime: a client's connection, for one
            if _FILE.search(os.readlink(entry)):  # noqa: PTH115 - what pathlib has called is not told from a handler
                found.append(how.map_file(entry))
    return found


def _segments(pid: int, how: FramebufferOptions) -> list[Framebuffer]:
    # That a process of this id made it may be long ago. The mapping, whose inode is the segment's id, is now.
    maps = Path(f"/proc/{pid}/maps").read_text("utf-8", "surrogateescape").splitlines()
    mapped = {int(columns[4]) for columns in map(str.split, maps) if columns[5:6] and columns[5].startswith("/SYSV")}
    return [how.attach(each.shmid) for each in sysv.segments() if each.cpid == pid and each.shmid in mapped]
