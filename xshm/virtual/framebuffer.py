"""Xvfb's own framebuffer: the live screen as an array, with no request and no copy.

What the array shows changes under the reader's eyes. `sync` is one round trip after which all that was asked for is in
it; `grab` takes a consistent picture into memory of its own. Memory follows its views: closing lets go of our own hold.
A screen that RandR makes smaller keeps its memory and is the top left part of it; none gets larger than it began.

What is not to be written is read-only for numpy. Consumers of DLPack that are given it (`torch.from_dlpack` of the
framebuffer or of its `pixels`) get a copy, since they ignore that flag. Others ignore it too (ctypes,
torch.from_numpy), so a file is mapped a second time for `pixels`, privately: what they write there neither ends the
process nor reaches the server, `peek` or `grab`. From then on the pages of 4 KiB that were written are this process's
own, and `pixels` does not show there what is drawn later. A System V segment has no private mapping (but by
/proc/self/map_files, as root): for those who write to its read-only `pixels` in spite of the flag it is SIGSEGV.

A file that somebody can cut short (`framebuffer_file`) is copied by reading it, so that `peek` and `grab` raise
FramebufferTruncated. The live `pixels` are refused from then on; an array that was taken before can't be guarded:
whoever reads it where the file has ended is ended by SIGBUS.
"""

from __future__ import annotations

import mmap
import os
import stat
import time
from typing import TYPE_CHECKING, Any, Final, NoReturn, Self

import numpy as np

from xshm import _arguments, sysv
from xshm.errors import (
    Closed,
    ConnectFailed,
    FramebufferTruncated,
    InvalidArgument,
    InvalidType,
    OutOfBounds,
    TransportUnavailable,
    UnsupportedFormat,
    XshmError,
)
from xshm.geometry import Rect, as_rect
from xshm.image import dlpack
from xshm.image.cursor import Pointer
from xshm.image.frame import Frame
from xshm.image.read_only_array import ReadOnlyArray
from xshm.system import limits
from xshm.system.deadlines import PATIENCE
from xshm.system.kernel_errors import is_a_handlers, is_the_kernels
from xshm.system.printable import printable, quoted
from xshm.virtual.framebuffer_file import FramebufferFile, can_be_cut, open_file
from xshm.virtual.xwd import XwdHeader
from xshm.x11.display_name import DisplayName
from xshm.x11.server.screen_size import Extent
from xshm.x11.server_grab import alone

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from xshm.drawables.screen import Screen
    from xshm.geometry import Region
    from xshm.image.cursor import CursorMode
    from xshm.pixels.format import PixelFormat
    from xshm.x11.connection import Connection

    Opener = Callable[[int], Screen]

_HEAD: Final = 4096  # bytes in which a header ends; Xvfb's has 160


class Framebuffer:
    """One screen of an Xvfb. `memory` is the whole XWD dump; `screen` gives the Screen of a number when it is needed.

    `private` is the same dump where `pixels` are to stand on a mapping of their own that may be written without effect;
    `file` is what both are mapped from where that can be cut short.
    `number` and `screen_number` say whose it is, as the server has written there; `rect` and `format` describe
    `pixels`, `rect` as of the last `sync` or `grab`, since RandR may resize the screen; `has_pointer` tells whether the
    server paints the pointer into it (Xvfb without -nocursor); None is unknown.
    """

    _has_own_coordinates = True  # see `as_rect`

    def __init__(
        self,
        memory: memoryview | mmap.mmap,
        screen: Opener | None = None,
        *,
        private: mmap.mmap | None = None,
        file: FramebufferFile | None = None,
        has_pointer: bool | None = None,
    ) -> None:
        self._memory: memoryview | mmap.mmap | None = memory
        # numpy looks through a view at the object below, not through an array: see `Frame._make_read_only`.
        self._shown: Any = memory if private is None else np.frombuffer(memoryview(private).toreadonly(), np.uint8)
        self._file = file
        self._header = XwdHeader.parse(file.read(0, min(len(memory), _HEAD)) if file else memory, len(memory))
        self._screen = screen
        self._address: tuple[str, str | os.PathLike[str] | None] | None = None
        self._connected_screen: Screen | None = None
        self._extent: Extent | None = None
        self._sequence = 0
        self._pointer: Pointer | None = None
        self.has_pointer = has_pointer
        self.number = self._header.number
        self.screen_number = self._header.screen
        self.rect = Rect(0, 0, self._header.width, self._header.height)
        self.format: PixelFormat = self._header.format

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        display: str | None = None,
        xauthority: str | os.PathLike[str] | None = None,
        *,
        writable: bool = False,
        has_pointer: bool | None = None,
    ) -> Framebuffer:
        """Map the file that an Xvfb keeps its screen in (`-fbdir`), from another process or container too.

        `display` is where that server answers, for `sync` and `grab`, and is asked how large the screen is. Without it
        there are only `pixels`, all that the memory has room for, of a screen that was made smaller too. Raises
        UnsupportedFormat for what is no framebuffer; ConnectFailed, AccessDenied; RequestTimeout, later too, where the
        server takes more than 30 s for an answer.

        Whoever may write the file can cut it short. `peek` and `grab` then raise FramebufferTruncated, as all does from
        then on; who still reads an array of `pixels` is ended by SIGBUS. So of a user who is not trusted, copy.
        """
        place = _arguments.path(path, "path")
        _arguments.flag(writable, "writable")
        _check_pointer(has_pointer)
        with limits.Named(ConnectFailed, f"the framebuffer {printable(place)} can't be opened"):
            descriptor = open_file(place, writable)
        framebuffer = cls.of_descriptor(descriptor, writable=writable, has_pointer=has_pointer)
        if display is not None:
            framebuffer._address = (display, xauthority)  # noqa: SLF001 - our own
            try:
                framebuffer.sync()
            except BaseException:
                framebuffer.close()
                raise
        return framebuffer

    @classmethod
    def of_descriptor(
        cls,
        descriptor: int,
        screen: Opener | None = None,
        *,
        writable: bool = False,
        has_pointer: bool | None = None,
    ) -> Framebuffer:
        """Map an open file that is a framebuffer; the descriptor stays the caller's."""
        descriptor = _arguments.whole(descriptor, "a descriptor is a whole number")
        _arguments.flag(writable, "writable")
        _check_pointer(has_pointer)
        try:
            status = os.fstat(descriptor)
        except (OSError, OverflowError) as error:
            if is_a_handlers(error):
                raise
            raise InvalidArgument(f"{quoted(descriptor)} is no descriptor that is open here") from None
        if not stat.S_ISREG(status.st_mode):
            raise UnsupportedFormat(f"descriptor {descriptor} is no file of a framebuffer")
        size = status.st_size
        if not size:
            raise UnsupportedFormat("0 bytes are no XWD dump")
        both = mmap.PROT_READ | mmap.PROT_WRITE
        try:
            with limits.Named(ConnectFailed, "the framebuffer can't be mapped"):  # each mapping keeps a descriptor
                file = FramebufferFile(descriptor, size) if can_be_cut(descriptor) else None
                if writable:
                    shared, private = mmap.mmap(descriptor, size, mmap.MAP_SHARED, both), None
                else:
                    shared = mmap.mmap(descriptor, size, mmap.MAP_SHARED, mmap.PROT_READ)
                    # Linux shows in a private mapping what is written to the file, in pages not written here.
                    private = mmap.mmap(descriptor, size, mmap.MAP_PRIVATE, both)
        except OSError as error:  # opened for less, or sealed
            if isinstance(error, XshmError) or not is_the_kernels(error):
                raise
            how = "and written " if writable else ""
            raise InvalidArgument(
                f"descriptor {descriptor} can't be mapped to be read {how}({error.strerror})"
            ) from error
        except ValueError as error:  # mmap's own look at the size
            if is_a_handlers(error):
                raise
            raise FramebufferTruncated(f"a framebuffer's file of {size} bytes was cut short meanwhile") from error
        return cls(shared, screen, private=private, file=file, has_pointer=has_pointer)

    @classmethod
    def of_segment(
        cls,
        shmid: int,
        screen: Opener | None = None,
        *,
        writable: bool = False,
        has_pointer: bool | None = None,
    ) -> Framebuffer:
        """Attach a System V segment that is a framebuffer (`-shmem`)."""
        _arguments.flag(writable, "writable")
        _check_pointer(has_pointer)
        memory = sysv.shmat(sysv.ShmId(shmid), 0 if writable else sysv.SHM_RDONLY)
        return cls(memory, screen, has_pointer=has_pointer)

    # -- the live screen -----------------------------------------------------------------------------------------------

    @property
    def pixels(self) -> NDArray[Any]:
        """The live screen: shape and dtype as `PixelFormat` has them, (height, width, 4) uint8 B G R X on 24 bits.

        No request and no copy; read-only unless it was opened to be written. Another process writes it meanwhile: for
        a picture in itself consistent use `grab`. The array stays valid whatever is closed, and shows the last picture
        when the server has ended. Its size is the screen's as of the last `sync` or `grab`: an array that was taken
        before a resize keeps its own, and what of it is outside of the screen by now is not drawn any more.
        A consumer of DLPack (`torch.from_dlpack`) gets a copy of what is read-only. Raises FramebufferTruncated.
        """
        shown, rect = self._shown, self.rect
        self._held()
        pixels = self._header.pixels(shown, rect.width, rect.height)
        return pixels if pixels.flags.writeable else pixels.view(ReadOnlyArray)

    @property
    def width(self) -> int:
        """Pixels in a row of `rect`."""
        return self.rect.width

    @property
    def height(self) -> int:
        """Rows of `rect`."""
        return self.rect.height

    @property
    def colormap(self) -> NDArray[np.uint16]:
        """The colours that the server has installed, now: (n, 3) uint16, what pixels of depth 8 index."""
        memory = self._held()
        return self._header.colormap(self._file.read(0, self._header.pixels_at) if self._file else memory)

    def sync(self) -> None:
        """One round trip: then all that was asked for on the connection of the display's `screen` is in the pixels.

        `rect` and `pixels` have the screen's size from then on. Raises TransportUnavailable if that is larger than the
        memory, which is another screen's then.
        """
        self._held()
        self._settle(self._connected().connection)

    def peek(self, region: Region | None = None, *, clip: bool = False) -> Frame:
        """Copy a region (None: all) into a Frame without asking anybody, also where there is no connection.

        What is drawn meanwhile may be in it by half. Region and errors are as with `grab`; the size is as of the last
        `sync` or `grab`.
        """
        return self._copy(self._within(region, clip=clip))

    def grab(self, region: Region | None = None, *, cursor: CursorMode = False, clip: bool = False) -> Frame:
        """Copy a region (None: all) into a Frame of its own memory, consistent: no client draws in the meantime.

        For that the server is grabbed, which stops every other client for as long as the copy takes (0.7 ms for
        1920x1080); and it is no faster than `Screen.grab`. Region, `cursor` and errors are as there. A pointer that the
        server has painted in is not drawn again; it can't be left out.
        """
        _arguments.cursor(cursor)
        _arguments.flag(clip, "clip")
        if region is not None:
            as_rect(region, lambda: self.rect)  # what is no region is refused before any client is stopped
        if cursor is True and self.has_pointer is None:
            raise InvalidArgument(
                "whether the server has painted the pointer in is not known here, and it is not to be drawn twice; "
                "say so: Framebuffer.open(…, has_pointer=False) for an Xvfb that was started with -nocursor"
            )
        self._held()
        connection = self._connected().connection
        pointer = self._pointer_of(connection) if cursor else None

        def take() -> tuple[Frame, bool]:
            asked = pointer.ask(connection.setup.root.id) if pointer else None
            self._settle(connection)
            frame = self._copy(self._within(region, clip=clip))
            painted = False
            if pointer and asked:
                frame.cursor = pointer.read(asked)
                painted = cursor is True and bool(self.has_pointer) and self._is_painted(frame)
            return frame, painted

        frame, painted = alone(connection, take)
        if pointer and cursor is True and not painted:
            pointer.draw(frame)
        return frame

    def close(self) -> None:
        """Let go of the memory; it goes when the last array over it does. Closing twice is fine."""
        self._memory = self._shown = None  # from the left: what is read of the two is never None where this was open
        if self._address is not None and self._connected_screen is not None:
            self._connected_screen.close()  # it is our own

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return dlpack.as_array(self.pixels, dtype, copy)

    def __dlpack__(
        self,
        *,
        stream: Any = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any:
        """Export the live `pixels` where they were opened to be written; else a copy of them, as `peek` takes it.

        Raises ReadOnlyMemory, a BufferError, for read-only pixels and copy=False. (DLPack 1.0, Python array API)
        """
        pixels = self._servers_own()
        if self._file is not None and not pixels.flags.writeable and copy is not False:
            pixels = self._copied(self.rect)
        return dlpack.export(pixels, stream, max_version, dl_device, copy)

    def __dlpack_device__(self) -> tuple[int, int]:
        """Return where `pixels` are: (1, 0), the processor's memory."""
        return self._servers_own().__dlpack_device__()

    def __reduce__(self) -> NoReturn:
        raise InvalidType("a Framebuffer is memory of this process; send framebuffer.grab(), a Frame, in its place")

    def __repr__(self) -> str:
        state = ", closed" if self._memory is None else ""
        return f"<Framebuffer :{self.number}.{self.screen_number} {self.rect} {self.format}{state}>"

    # -- behind it -----------------------------------------------------------------------------------------------------

    def _servers_own(self) -> NDArray[Any]:
        """Return the screen as the server has it, whatever was written to `pixels`."""
        rect = self.rect
        return self._header.pixels(self._held(), rect.width, rect.height)

    def _copied(self, rect: Rect) -> NDArray[Any]:
        memory = self._held()
        if self._file is not None:
            return self._header.read(self._file, rect)
        return self._header.pixels(memory)[rect.slices].copy()  # of all, whatever size another thread has met

    def _copy(self, rect: Rect) -> Frame:
        pixels = self._copied(rect)
        colours = self.colormap if self.format.needs_colormap else None
        now = time.monotonic_ns()
        self._sequence += 1
        return Frame(pixels, rect, now, self._sequence, self.format, colours)

    def _is_painted(self, frame: Frame) -> bool:
        """Tell whether the pointer is in a frame: the server paints none before a client has chosen a picture for one.

        GetImage has it taken off, so this is to be asked after the frame was copied, and under the server grab.
        """
        covered = frame.cursor.rect.intersect(frame.rect) if frame.cursor else None
        if covered is None:
            return True
        part = frame.pixels[covered.moved(-frame.rect.x, -frame.rect.y).slices]
        with self._connected().grab(covered) as bare:
            copied = Frame(part, covered, frame.monotonic_ns, frame.sequence, frame.format, frame.colormap)
            return bool(copied.diff(bare))

    def _held(self) -> memoryview | mmap.mmap:
        memory = self._memory
        if memory is None:
            raise Closed("this framebuffer was closed; arrays taken from it before stay valid")
        if self._file is not None:
            self._file.check()
        return memory

    def _connected(self) -> Screen:
        if self._connected_screen is None:
            screen = self._connect()
            self._extent = Extent(screen.connection, self.screen_number)
            self._connected_screen = screen
        return self._connected_screen

    def _settle(self, connection: Connection) -> None:
        if self.has_pointer is not False:
            # The server paints the pointer, which it takes off for GetImage, when it has nothing more to do: after its
            # first answer, and before its second.
            connection.sync()
        assert self._extent is not None  # noqa: S101 - there is a connection
        width, height = self._extent.ask()
        if (width, height) == (self.rect.width, self.rect.height):
            return
        if width > self._header.width or height > self._header.height:
            raise TransportUnavailable(
                f"the screen is {width}x{height}, and this memory, of :{self.number}.{self.screen_number}, has room "
                f"for {self._header.width}x{self._header.height}: it is not where the screen is kept; grab the Screen"
            )
        self.rect = Rect(0, 0, width, height)

    def _connect(self) -> Screen:
        if self._screen is not None:
            return self._screen(self.screen_number)
        if self._address is None:
            raise InvalidArgument(
                "this framebuffer was opened without its display, so there is nobody to ask; "
                "name it: Framebuffer.open(path, display=':5')"
            )
        with limits.loading():
            from xshm.drawables.screen import Screen  # noqa: PLC0415 - the pixels alone need no connection

        name, xauthority = self._address
        screen = Screen(name, xauthority=xauthority, timeout=PATIENCE)
        if screen.connection.default_screen == self.screen_number or self.screen_number >= len(
            screen.connection.info.roots
        ):
            return screen  # its own; or, under Xinerama, the one that all of them are joined in
        screen.close()
        return Screen(DisplayName.parse(name).of_screen(self.screen_number), xauthority=xauthority, timeout=PATIENCE)

    def _pointer_of(self, connection: Connection) -> Pointer:
        if self._pointer is None:
            self._pointer = Pointer(connection)
        return self._pointer

    def _within(self, region: Region | None, *, clip: bool) -> Rect:
        _arguments.flag(clip, "clip")
        if region is None:
            return self.rect
        rect = as_rect(region, lambda: self.rect)
        if self.rect.contains(rect):
            return rect
        whole = f"{self.rect.width}x{self.rect.height}"
        if not clip:
            raise OutOfBounds(f"region {rect} leaves the framebuffer {whole}; pass clip=True to cut it")
        cut = rect.intersect(self.rect)
        if cut is None:
            raise OutOfBounds(f"region {rect} lies wholly outside the framebuffer {whole}; nothing is left")
        return cut


def _check_pointer(has_pointer: object) -> None:
    if has_pointer is not None:
        _arguments.flag(has_pointer, "has_pointer, where it is known,")
