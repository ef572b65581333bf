"""Describe a virtual display before it is started: DisplaySpec and ScreenSpec, values that are checked when made.

They are frozen and picklable: any process can start the display that a DisplaySpec describes, while a VirtualDisplay
belongs to the process that started it. A wrong description is refused here, before anything is started. What depends on
the machine is checked at the start: which servers are installed (`kinds.choice`), and whether directories have room
(`directories`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final, Literal, Self, get_args

from xshm import _arguments
from xshm.errors import InvalidArgument, InvalidType
from xshm.system.printable import quoted
from xshm.virtual.kinds import choice

FramebufferKind = Literal["auto", "file", "sysv", "none"]
Server = Literal["auto", "xvfb", "xvnc", "xwayland"]
_BITS_PER_PIXEL: Final = {8: 8, 15: 16, 16: 16, 24: 32, 30: 32}  # by depth, for the depths that servers have
_GREATEST: Final = 32767  # pixels; coordinates are signed 16-bit numbers in the protocol
_PRIVATE: Final = 0o600  # the mode of a framebuffer's file
_READ_WRITE: Final = 0o666
_ALL_BITS: Final = 0o177777  # of st_mode
_HEADER_ROOM: Final = 16384  # bytes: the XWD header and, at depth 30, 1,024 colours of 12 bytes
_NO_TUPLES: Final = (str, bytes, set, frozenset, dict)  # which can be iterated, too
_DISPLAY_NUMBER: Final = re.compile(r":\d+(\.\d+)?")


@dataclass(frozen=True, slots=True)
class ScreenSpec:
    """One screen of a display: pixels, and depth in bits (8, 15, 16, 24 or 30)."""

    width: int
    height: int
    depth: int = 24

    def __post_init__(self) -> None:
        for name in ("width", "height", "depth"):
            value = _arguments.integer(getattr(self, name), f"a screen's {name} is a whole number")
            object.__setattr__(self, name, value)
        size = f"{quoted(self.width)}x{quoted(self.height)}"
        if not (1 <= self.width <= _GREATEST and 1 <= self.height <= _GREATEST):
            raise InvalidArgument(f"a screen is 1x1 to {_GREATEST}x{_GREATEST} pixels, not {size}")
        if self.depth not in _BITS_PER_PIXEL:
            raise InvalidArgument(f"there are screens of depth 8, 15, 16, 24 and 30, not {quoted(self.depth)}")

    @property
    def bits_per_pixel(self) -> int:
        """Bits of a pixel in memory."""
        return _BITS_PER_PIXEL[self.depth]

    @property
    def nbytes(self) -> int:
        """The greatest size of its framebuffer in bytes, XWD header and colours included."""
        stride = -(-self.width * self.bits_per_pixel // 32) * 4  # rows are padded to 32 bits
        return stride * self.height + _HEADER_ROOM

    def __str__(self) -> str:
        return f"{self.width}x{self.height}x{self.depth}"


@dataclass(frozen=True, slots=True)
class DisplaySpec:
    """A description of a VirtualDisplay, with its parameters as fields; `VirtualDisplay.from_spec` starts it.

    Raises InvalidType, InvalidArgument for a description of no display.
    """

    width: int = 1280
    height: int = 800
    depth: int = 24
    screens: tuple[ScreenSpec, ...] = ()
    dpi: int | None = None
    fonts: tuple[str, ...] = ()
    cursor: bool = False
    args: tuple[str, ...] = ()
    framebuffer: FramebufferKind | Path = "auto"
    writable: bool = False
    timeout: float = 10.0
    log: Path | None = None
    framebuffer_mode: int = _PRIVATE
    server: Server = "auto"

    def __new__(cls, *_values: object, **_named: object) -> Self:
        """Make one with every field's default: the pickle of an older version has no values for the newest fields."""
        self = object.__new__(cls)
        for field in fields(cls):
            object.__setattr__(self, field.name, field.default)
        return self

    def __post_init__(self) -> None:
        self._check_types()
        self._check_mode()
        for arg in self.args:
            if ours := choice.owner_of(arg, self.server):
                raise InvalidArgument(f"args has {arg}, which a display takes by another way: {ours}")
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
        self.all_screens()  # the first one is a ScreenSpec, which checks it
        if reason := choice.refusal(self):
            raise InvalidArgument(reason)

    def _check_types(self) -> None:
        for name in ("screens", "fonts", "args"):
            values = _arguments.several(getattr(self, name), f"{name} is a tuple", no_types=_NO_TUPLES)
            object.__setattr__(self, name, tuple(values))
        for word in (*self.fonts, *self.args):
            if not isinstance(word, str):
                raise InvalidType(f"fonts and args are texts, not {quoted(word)}")
            _arguments.os_text(
                word, "fonts and args are texts that go on a command line", "which takes no NUL and no surrogate"
            )
        for screen in self.screens:
            if not isinstance(screen, ScreenSpec):
                raise InvalidType(f"screens are ScreenSpecs, not {quoted(screen)}")
        if self.dpi is not None:
            object.__setattr__(self, "dpi", _arguments.integer(self.dpi, "dpi is a whole number"))
        for name in ("cursor", "writable"):
            _arguments.flag(getattr(self, name), name)
        if not (isinstance(self.server, str) and self.server in get_args(Server)):
            raise InvalidArgument(f"server is 'auto', 'xvfb', 'xvnc' or 'xwayland', not {quoted(self.server)}")
        self._check_paths()

    def _check_paths(self) -> None:
        if self.log is not None:
            _arguments.path(self.log, "log")
        kept = self.framebuffer
        if isinstance(kept, Path):
            _arguments.path(kept, "framebuffer")
        elif not (isinstance(kept, str) and kept in get_args(FramebufferKind)):
            raise InvalidArgument(
                f"framebuffer is 'auto', 'file', 'sysv', 'none' or a Path, not {quoted(self.framebuffer)}"
            )

    def _check_mode(self) -> None:
        mode = _arguments.integer(self.framebuffer_mode, "framebuffer_mode is a whole number, as os.chmod takes it")
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
        """Return every screen, the first and the further ones."""
        return (ScreenSpec(self.width, self.height, self.depth), *self.screens)

    @property
    def nbytes(self) -> int:
        """Bytes of all framebuffers."""
        return sum(screen.nbytes for screen in self.all_screens())
