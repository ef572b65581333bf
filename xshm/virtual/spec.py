"""What a virtual display is to be like, before there is one: checked at birth, frozen, and picklable.

From a DisplaySpec any process can start the display it describes; a VirtualDisplay itself belongs to one process.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path, PosixPath
from typing import Any, Final, Literal

from xshm import _arguments
from xshm.errors import InvalidArgument, InvalidType, StartFailed
from xshm.system.kernel_errors import is_the_kernels
from xshm.system.printable import quoted

FramebufferKind = Literal["file", "sysv", "none"]
_BITS_PER_PIXEL: Final = {8: 8, 15: 16, 16: 16, 24: 32, 30: 32}  # the depths that Xvfb has
_GREATEST: Final = 32767  # coordinates are signed 16-bit numbers in the protocol
_PRIVATE: Final = 0o600  # the mode of a framebuffer's file
_READ_WRITE: Final = 0o666
_ALL_BITS: Final = 0o177777  # of st_mode
_HEADER_ROOM: Final = 16384  # the XWD header and, at depth 30, 1,024 colours of 12 bytes
_SOCKETS: Final = "/tmp/.X11-unix"  # noqa: S108 - the protocol's well-known place
_DISPLAY_NUMBER: Final = re.compile(r":\d+(\.\d+)?")
# What these say is the display's own affair; said twice, its promises would not hold.
_OURS: Final = {
    "-screen": "width, height, depth and screens",
    "-fbdir": "framebuffer=Path(…)",
    "-shmem": "framebuffer='sysv'",
    "-nocursor": "cursor=False",
    "-dpi": "dpi",
    "-fp": "fonts",
    "-auth": "nothing: every display has a cookie of its own",
    "-displayfd": "nothing: the server chooses its number",
    "-terminate": "nothing: the server ends with the display, not with its first client",
}


@dataclass(frozen=True, slots=True)
class ScreenSpec:
    """One screen of a display: pixels, and depth in bits (8, 15, 16, 24 or 30)."""

    width: int
    height: int
    depth: int = 24

    def __post_init__(self) -> None:
        for name in ("width", "height", "depth"):
            if type(getattr(self, name)) is not int:
                raise InvalidType(f"a screen's {name} is a whole number, not {quoted(getattr(self, name))}")
        size = f"{quoted(self.width)}x{quoted(self.height)}"
        if not (1 <= self.width <= _GREATEST and 1 <= self.height <= _GREATEST):
            raise InvalidArgument(f"a screen is 1x1 to {_GREATEST}x{_GREATEST} pixels, not {size}")
        if self.depth not in _BITS_PER_PIXEL:
            raise InvalidArgument(f"Xvfb has screens of depth 8, 15, 16, 24 and 30, not {quoted(self.depth)}")

    @property
    def bits_per_pixel(self) -> int:
        """The bits that a pixel takes in memory."""
        return _BITS_PER_PIXEL[self.depth]

    @property
    def nbytes(self) -> int:
        """The most that its framebuffer takes, header and all."""
        stride = -(-self.width * self.bits_per_pixel // 32) * 4
        return stride * self.height + _HEADER_ROOM

    def __str__(self) -> str:
        return f"{self.width}x{self.height}x{self.depth}"


@dataclass(frozen=True, slots=True)
class DisplaySpec:
    """A description of a VirtualDisplay, whose parameters these are; `VirtualDisplay.from_spec` starts it."""

    width: int = 1280
    height: int = 800
    depth: int = 24
    screens: tuple[ScreenSpec, ...] = ()
    dpi: int | None = None
    fonts: tuple[str, ...] = ()
    cursor: bool = False
    args: tuple[str, ...] = ()
    framebuffer: FramebufferKind | Path = "file"
    writable: bool = False
    timeout: float = 10.0
    log: Path | None = None
    framebuffer_mode: int = _PRIVATE

    def __post_init__(self) -> None:
        self._check_types()
        self._check_mode()
        for arg in self.args:
            if arg in _OURS:
                raise InvalidArgument(f"args has {arg}, which a display takes by another way: {_OURS[arg]}")
            if _DISPLAY_NUMBER.fullmatch(arg):
                raise InvalidArgument(
                    f"args has {arg}; the server finds a free number by itself, and the display's name says which"
                )
        if self.dpi is not None and not 1 <= self.dpi <= _GREATEST:
            raise InvalidArgument(f"dpi is 1 to {_GREATEST}, not {quoted(self.dpi)}")
        if not _arguments.number(self.timeout, "the timeout is a number of seconds") > 0:
            raise InvalidArgument(f"the timeout is a number of seconds above 0, not {quoted(self.timeout)}")
        if self.framebuffer == "none" and self.writable:
            raise InvalidArgument("writable=True is about the framebuffer, and framebuffer='none' leaves it out")
        self.all_screens()

    def _check_types(self) -> None:
        for name in ("screens", "fonts", "args"):
            if not isinstance(getattr(self, name), tuple):
                raise InvalidType(f"{name} is a tuple, not {quoted(getattr(self, name))}")
        for word in (*self.fonts, *self.args):
            _check_word(word)
        for screen in self.screens:
            if not isinstance(screen, ScreenSpec):
                raise InvalidType(f"screens are ScreenSpecs, not {quoted(screen)}")
        if self.dpi is not None and type(self.dpi) is not int:
            raise InvalidType(f"dpi is a whole number, not {quoted(self.dpi)}")
        for name in ("cursor", "writable"):
            _arguments.flag(getattr(self, name), name)
        self._check_paths()

    def _check_paths(self) -> None:
        if self.log is not None:
            _arguments.path(self.log, "log")
        kept = self.framebuffer
        if isinstance(kept, Path):
            _arguments.path(kept, "framebuffer")
        elif not (isinstance(kept, str) and kept in ("file", "sysv", "none")):
            raise InvalidArgument(f"framebuffer is 'file', 'sysv', 'none' or a Path, not {quoted(self.framebuffer)}")

    def _check_mode(self) -> None:
        mode = self.framebuffer_mode
        if type(mode) is not int:
            raise InvalidType(f"framebuffer_mode is a whole number, as os.chmod takes it, not {quoted(mode)}")
        if mode & ~_READ_WRITE or mode & _PRIVATE != _PRIVATE:
            shown = f"{mode:#o}" if abs(mode) <= _ALL_BITS else quoted(mode)
            raise InvalidArgument(
                f"framebuffer_mode is 0o600, which is this user alone, and who else may read (0o640, 0o644) and write "
                f"(0o660, 0o666); not {shown}"
            )
        if mode != _PRIVATE and not isinstance(self.framebuffer, Path):
            raise InvalidArgument(
                f"framebuffer_mode={mode:#o} is about the file in a directory, and "
                f"framebuffer={quoted(self.framebuffer)} has none that others could open"
            )

    def all_screens(self) -> tuple[ScreenSpec, ...]:
        """Every screen, the first and the further ones."""
        return (ScreenSpec(self.width, self.height, self.depth), *self.screens)

    @property
    def nbytes(self) -> int:
        """The memory that the framebuffers take."""
        return sum(screen.nbytes for screen in self.all_screens())

    def command(self) -> list[str]:
        """Return the server's command line, but for its number, authority file and framebuffer directory."""
        server = shutil.which("Xvfb")
        if server is None:
            raise StartFailed(
                "Xvfb is not installed; Debian and Ubuntu have it in the package xvfb, Fedora in "
                "xorg-x11-server-Xvfb, Alpine in xvfb"
            )
        words = [server, "-nolisten", "tcp", "-noreset"]
        for number, screen in enumerate(self.all_screens()):
            words += ["-screen", str(number), str(screen)]
        if not self.cursor:
            words.append("-nocursor")
        if self.dpi is not None:
            words += ["-dpi", str(self.dpi)]
        if self.fonts:
            words += ["-fp", ",".join(self.fonts)]
        if self.framebuffer == "sysv":
            words.append("-shmem")
        if not _can_make_sockets() or why_not_for_sockets():
            # Where it can't, the server would try all 65,536 numbers and give up; where somebody else owns the
            # directory, he could put a socket of his own in place of the server's. An abstract one needs no directory.
            words += ["-nolisten", "unix"]
        return [*words, *self.args]

    def memory_directory(self) -> str:
        """Return a directory on a tmpfs with room for the framebuffers; raises StartFailed with the numbers."""
        need, reasons = self.nbytes, []
        for directory in ("/dev/shm", _runtime_directory()):  # noqa: S108 - 0700 directories within
            if directory:
                reason = _why_not_memory(directory, need)
                if reason is None:
                    return directory
                reasons.append(f"{directory} {reason}")
        raise StartFailed(
            f"the framebuffer of {_megabytes(need)} has no place in memory: {'; '.join(reasons)}. Give it room (in "
            f"containers: --shm-size), or pass framebuffer='sysv', framebuffer='none' or a directory's path"
        )

    def check_kept(self, directory: Path) -> None:
        """Raise unless the framebuffers can stay in this directory of the caller's."""
        directory = Path(_arguments.path(directory, "directory"))
        if not directory.is_dir():
            raise InvalidArgument(f"framebuffer={quoted(str(directory))} is no directory; make it first")
        if not _can_write(directory):
            raise InvalidArgument(f"framebuffer={quoted(str(directory))} can't be written by uid {os.geteuid()}")
        free = _free(str(directory))
        if free < self.nbytes:
            raise StartFailed(
                f"the framebuffer takes {_megabytes(self.nbytes)}; {directory} has {_megabytes(free)} free"
            )


def _check_word(word: object) -> None:
    if not isinstance(word, str):
        raise InvalidType(f"fonts and args are texts, not {quoted(word)}")
    _arguments.word(word, "fonts and args are texts that go on a command line", "which takes no NUL and no surrogate")


def places() -> tuple[str, ...]:
    """Return the directories in which a display's private ones may lie: the user's own, a temporary one, memory."""
    found = (_runtime_directory(), *_temporary(), "/dev/shm")  # noqa: S108 - 0700 directories within
    return tuple(dict.fromkeys(os.path.abspath(place) for place in found if place))  # noqa: PTH100 - texts throughout


def swept_places() -> tuple[str, ...]:
    """Return those of `places` that hold nothing but what its owner has put there: nobody could rename a directory."""
    return tuple(place for place in places() if _is_directory(place) and _why_not_ours_alone(place) is None)


class AuthorityFile(PosixPath):
    """The path of a display's own authority file. Given by hand, too, its cookie is for no stranger (`xauth.find`)."""

    is_for_own_server = True


def private_place() -> str:
    """Return a directory for the authority file: the user's own, a temporary one, or memory.

    It is asked about and not tried: Python's tempfile leaves what it tries with when it is killed.
    """
    reasons = []
    for place in places():
        reason = _why_not_place(place)
        if reason is None:
            return place
        reasons.append(f"{place} {reason}")
    raise StartFailed(
        f"there is no place for the display's authority file: {'; '.join(reasons)}; set TMPDIR to a directory"
    )


def _temporary() -> list[str]:
    """List where temporary files belong, the caller's choice first, in the order of Python's tempfile."""
    chosen = [os.environ.get(name, "") for name in ("TMPDIR", "TEMP", "TMP")]
    return [*chosen, "/tmp", "/var/tmp", "/usr/tmp"]  # noqa: S108 - a directory of ours, 0700, within


def _why_not_place(directory: str) -> str | None:
    if not _is_directory(directory):
        return "is no directory"
    reason = _why_not_ours_alone(directory)
    if reason is not None:
        return reason
    room = os.statvfs(directory)  # counts that are 0 of 0 are not kept by that file system
    if (room.f_blocks and not room.f_bavail) or (room.f_files and not room.f_favail):
        return "is full"
    return None


def _is_directory(path: str) -> bool:
    """Tell whether there is such a directory. os.path.isdir would swallow what a signal handler raises."""
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)  # noqa: PTH116
    except OSError as error:
        if not is_the_kernels(error):
            raise
        return False


def _can_write(directory: str | Path) -> bool:
    """Tell whether files can be made there by whoever we are now, which need not be who started this process."""
    return os.access(directory, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids)


def why_not_for_sockets(*, is_started: bool = False) -> str | None:
    """Return who else could replace a display's socket in the file system, as a clause; None for nobody.

    A directory that everybody can write and that is not sticky a server of root's mends, when it `is_started`.
    """
    try:
        status = os.lstat(_SOCKETS)
    except OSError as error:
        if not is_the_kernels(error):
            raise
        return None
    if status.st_uid not in (0, os.geteuid()):
        return f"{_SOCKETS} belongs to uid {status.st_uid}"
    if status.st_mode & (stat.S_IWOTH | stat.S_ISVTX) == stat.S_IWOTH and (is_started or os.geteuid() != 0):
        return f"everybody can replace what is in {_SOCKETS} (chmod +t)"
    return None


def _runtime_directory() -> str:
    """Return $XDG_RUNTIME_DIR if it is this user's own, which it is not after su."""
    directory = os.environ.get("XDG_RUNTIME_DIR", "")
    try:
        if directory and os.stat(directory).st_uid == os.geteuid():  # noqa: PTH116
            return directory
    except OSError as error:
        if not is_the_kernels(error):
            raise
    return ""


def _can_make_sockets() -> bool:
    if _is_directory(_SOCKETS):
        return _can_write(_SOCKETS)
    return _can_write(os.path.dirname(_SOCKETS))  # noqa: PTH120


def _why_not_ours_alone(directory: str) -> str | None:
    """Return why this process can't make a directory there that stays its own, or None."""
    if not _can_write(directory):
        return f"can't be written by uid {os.geteuid()}"
    status = os.stat(directory)  # noqa: PTH116 - texts throughout
    if status.st_uid not in (0, os.geteuid()):
        return f"belongs to uid {status.st_uid}, who could replace what is in it"
    if status.st_mode & stat.S_IWOTH and not status.st_mode & stat.S_ISVTX:
        return "can be written by everybody, who could replace what is in it (chmod +t)"
    return None


def _why_not_memory(directory: str, need: int) -> str | None:
    try:
        device = os.stat(directory).st_dev  # noqa: PTH116
    except OSError as error:
        if not is_the_kernels(error):
            raise
        return f"can't be used ({error.strerror})"
    reason = _why_not_ours_alone(directory)
    if reason is not None:
        return reason
    kind = _filesystem(device)
    if kind != "tmpfs":
        return f"is on {kind}, not on a tmpfs"
    free = _free(directory)
    return f"has {_megabytes(free)} free" if free < need else None


def _filesystem(device: int) -> str:
    """Return the type of the file system that has this device number (proc(5), mountinfo)."""
    number = f"{os.major(device)}:{os.minor(device)}"
    for line in Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape").splitlines():
        mount, _, source = line.partition(" - ")
        if mount.split()[2] == number:
            return source.split()[0]
    return "an unknown file system"


def _free(directory: str) -> int:
    room = os.statvfs(directory)
    return room.f_bavail * room.f_frsize


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.1f} MB"


def as_tuple(values: Any) -> Any:
    """Make a tuple of a list; what is none, one text in place of several too, is the DisplaySpec's to refuse."""
    if isinstance(values, str):
        return values
    try:
        found = iter(values)
    except TypeError:  # an array of no dimension has the method, too
        return values
    return tuple(found)
