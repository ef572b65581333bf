"""Framebuffer: the memory in which Xvfb keeps a screen, as an array: the live screen, with no request and no copy.

Always true:

1. `pixels` change while they are read, as the server draws. `sync` is one round trip, after which all that was
   requested before is in them; `grab` copies a consistent picture.
2. Memory lives as long as its views: `close` drops this object's reference, and the last array over the memory unmaps
   it.
3. A screen that RandR makes smaller keeps its memory and is the top left part of it; none gets larger than it began.
4. `pixels` of a framebuffer that is not to be written are read-only for numpy. Consumers of DLPack
   (`torch.from_dlpack`), which ignore that flag, get a copy. Others ignore it too (ctypes, torch.from_numpy); so a file
   is mapped a second time for `pixels`, privately: what they write neither ends the process nor reaches the server,
   `peek` or `grab`. From then on those pages of 4 KiB are this process's own, and `pixels` does not show there what is
   drawn later. A System V segment has no private mapping (but by /proc/self/map_files, as root): for a consumer that
   writes to its read-only `pixels` it is SIGSEGV.
5. Of a file that another process can truncate (`framebuffer_file`), `peek` and `grab` copy by read(2) and raise
   FramebufferTruncated; `pixels` are refused from then on. An array that was taken before can't be guarded: a
   read beyond the file's end is SIGBUS.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, NoReturn

from xshm import _arguments, sysv
from xshm.capture.pointer import Pointer
from xshm.errors import (
    Closed,
    ConnectFailed,
    InvalidArgument,
    InvalidType,
    TransportUnavailable,
)
from xshm.geometry import Rect, Sized, as_rect, fit
from xshm.image.dlpack import ArrayExport
from xshm.image.frame import Frame
from xshm.system import limits
from xshm.system.closing import Closing
from xshm.system.printable import printable
from xshm.virtual.framebuffer_file import FramebufferMemory, map_file, open_file
from xshm.virtual.xwd import LiveDump, XwdHeader
from xshm.x11.scheduling import TurnEnd, with_server_grabbed
from xshm.x11.server.screen_size import ScreenSize

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from xshm.drawables.screen import Screen
    from xshm.geometry import Region
    from xshm.image.cursor import CursorMode
    from xshm.pixels.format import PixelFormat
    from xshm.virtual.screens import Screens

    Opener = Callable[[int], Screen]
else:
    from xshm._numpy import np

_HEAD: Final = 4096  # bytes in which a header ends; Xvfb's has 160


class Framebuffer(Sized, ArrayExport, Closing):
    """One screen of an Xvfb. `memory` is the whole XWD dump; `screen` returns the Screen of a number when it is needed.

    `number` and `screen_number` are those of display and screen, as the server has written them there; `rect` and
    `format` describe `pixels`, `rect` as of the last `sync` or `grab`, since RandR may resize the screen; `has_pointer`
    is whether the server paints the pointer into it (Xvfb without -nocursor), None where that is unknown.
    """

    _has_own_coordinates = True  # see `as_rect`

    def __init__(
        self, memory: FramebufferMemory, screen: Opener | None = None, *, has_pointer: bool | None = None
    ) -> None:
        self._memory: FramebufferMemory | None = memory
        # What `pixels` are over; a private mapping is for them alone, since it may be written without effect (4).
        self._is_private = memory.private is not None
        self._shown: Any = memory.private if self._is_private else memory.shared
        self._header = XwdHeader.parse(memory.beginning(_HEAD), len(memory.shared))
        # What `pixels` last returned a view of, and the `rect` that it was made for: a view takes a fifth of the time.
        self._known: tuple[Rect, NDArray[Any]] | None = None
        self._screen = screen
        self._screens: Screens | None = None  # connected here, and so closed here
        self._link: _Link | None = None
        self._sequence = 0  # of the last frame
        self.has_pointer = has_pointer
        self.number, self.screen_number = self._header.number, self._header.screen
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

        `display` is that server's name, for `sync` and `grab`, and for the size of the screen. Without it there are
        only `peek` and `pixels`, as large as the memory, also of a screen that was made smaller. Raises
        UnsupportedFormat for what is no framebuffer; ConnectFailed, AccessDenied; RequestTimeout, later too, where the
        server takes more than 30 s for a reply.

        Every user who may write the file can truncate it. `peek` and `grab` then raise FramebufferTruncated, and so
        does all else from then on; an access to an array of `pixels` is SIGBUS. So copy where a user is not trusted.
        """
        place = _arguments.path(path, "path")
        _check_options(writable, has_pointer)
        with limits.Explained(ConnectFailed, f"the framebuffer {printable(place)} can't be opened"):
            descriptor = open_file(place, writable)
        framebuffer = cls.of_descriptor(descriptor, writable=writable, has_pointer=has_pointer)
        if display is not None:
            with limits.loading():
                from xshm.virtual.screens import Screens  # noqa: PLC0415 - the pixels alone need no connection

            screens = framebuffer._screens = Screens(display, display, xauthority)  # noqa: SLF001 - our own
            framebuffer._screen = screens.of_framebuffer  # noqa: SLF001
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
        """Map an open file that is a framebuffer; the descriptor stays the caller's. Raises as `open` does."""
        descriptor = _arguments.integer(descriptor, "a descriptor is a whole number")
        _check_options(writable, has_pointer)
        return cls(map_file(descriptor, writable), screen, has_pointer=has_pointer)

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
        _check_options(writable, has_pointer)
        memory = sysv.shmat(sysv.ShmId(shmid), 0 if writable else sysv.SHM_RDONLY)
        return cls(FramebufferMemory(memory), screen, has_pointer=has_pointer)

    # -- the live screen -----------------------------------------------------------------------------------------------

    @property
    def pixels(self) -> NDArray[Any]:
        """The live screen: shape and dtype as `PixelFormat` has them, (height, width, 4) uint8 B G R X on 24 bits.

        No request and no copy; read-only unless it was opened to be written. The server draws meanwhile: `grab` has a
        picture that is consistent. The array stays valid whatever is closed, and shows the last picture when the server
        has ended. Its size is the screen's as of the last `sync` or `grab`: an array that was taken before a resize
        keeps its own, and nothing is drawn any more in the part that is outside of the screen.
        A consumer of DLPack (`torch.from_dlpack`) gets a copy of read-only pixels. Raises FramebufferTruncated.
        """
        # Before the check: `close` of another thread sets `_memory` first.
        shown, rect, known = self._shown, self.rect, self._known
        memory = self._memory
        if memory is None or memory.file is not None:
            self._held()
        if known is None or known[0] is not rect:
            known = rect, self._array(shown, rect)
            self._known = known
            if self._memory is None:  # another thread has closed it meanwhile: keep no reference here either
                self._known = None
        return known[1].view()

    @property
    def colormap(self) -> NDArray[np.uint16]:
        """The colours that the server has installed, now: (n, 3) uint16, what pixels of depth 8 index."""
        return self._header.colormap(self._held().beginning(self._header.pixels_at))

    def sync(self) -> None:
        """Wait for one round trip: all that was requested before on the display's `screen` is in the pixels then.

        `rect` and `pixels` have the screen's size from then on. Raises TransportUnavailable if that is larger than the
        memory, which is that of another screen then.
        """
        self._held()
        link = self._link
        self._settle(link if link is not None and not link.screen._closed else self._linked())  # noqa: SLF001

    def peek(self, region: Region | None = None, *, clip: bool = False) -> Frame:
        """Copy a region (None: all) into a Frame without a request, and without a connection.

        What is drawn meanwhile may be in it in part. Region and errors are as for `grab`; the size is as of the last
        `sync` or `grab`.
        """
        return self._copy(self._within(region, clip=clip))

    def grab(self, region: Region | None = None, *, cursor: CursorMode = False, clip: bool = False) -> Frame:
        """Copy a region (None: all) into a Frame of its own memory, consistent: no client draws meanwhile.

        For that the server is grabbed (GrabServer), which stops all other clients for as long as the copy takes (0.7 ms
        for 1920x1080); so it is no faster than `Screen.grab`. Region, `cursor` and errors are as there. A pointer that
        the server has painted is not drawn again, and can't be left out. What other threads request of the display's
        `screen` meanwhile is processed: they may draw, and a grab of theirs takes off the painted pointer for a moment.
        """
        _arguments.cursor(cursor)
        _arguments.flag(clip, "clip")
        if region is not None:
            as_rect(region, lambda: self.rect)  # a wrong argument is refused before any client is stopped
        if cursor is True and self.has_pointer is None:
            raise InvalidArgument(
                "whether the server has painted the pointer in is not known here, and it is not to be drawn twice; "
                "say so: Framebuffer.open(…, has_pointer=False) for an Xvfb that was started with -nocursor"
            )
        self._held()
        link, pointer = self._linked(), None
        if cursor:
            pointer = link.pointer = link.pointer or Pointer(link.screen.connection)

        def take() -> tuple[Frame, bool]:
            # Before `_settle`: the reply comes with its own, and a pointer of the moment before the copy.
            asked = pointer.request(link.screen.connection.setup.root.id) if pointer else None
            self._settle(link)
            frame = self._copy(self._within(region, clip=clip))
            painted = False
            if pointer and asked:
                frame.cursor = pointer.wait_cursor(asked)
                painted = cursor is True and bool(self.has_pointer) and _is_painted(frame, link.screen)
            return frame, painted

        frame, painted = with_server_grabbed(link.screen.connection, take)
        if pointer and cursor is True and not painted:
            pointer.draw(frame)
        return frame

    def close(self) -> None:
        """Drop this object's reference to the memory; the last array over it unmaps it. Closing twice is fine."""
        self._memory = self._shown = self._known = None  # `_memory` first: see `pixels`
        if self._screens is not None:
            self._screens.close()

    def __reduce__(self) -> NoReturn:
        raise InvalidType("a Framebuffer is memory of this process; send framebuffer.grab(), a Frame, in its place")

    def __repr__(self) -> str:
        state = ", closed" if self._memory is None else ""
        return f"<Framebuffer :{self.number}.{self.screen_number} {self.rect} {self.format}{state}>"

    # -- its memory ----------------------------------------------------------------------------------------------------

    def _live(self) -> LiveDump | None:
        """Return the memory for a recording of the screen; None where it is not to be read without a check (5)."""
        memory = self._held()
        if memory.file is not None or self.has_pointer is None:
            return None
        return LiveDump(self._header, memory.shared, self.has_pointer)

    def _exported(self, copy: bool | None) -> NDArray[Any]:
        """Return for DLPack the live `pixels` where they were opened to be written, else a copy as `peek` takes it."""
        # The screen as the server has it: not the private mapping, whose writes are not on the screen.
        memory = self._held()
        pixels = self._header.pixels(memory.shared, self.width, self.height)
        if memory.file is not None and not pixels.flags.writeable and copy is not False:
            pixels = self._copied(self.rect)
        return pixels

    def _copied(self, rect: Rect) -> NDArray[Any]:
        memory = self._held()
        if memory.file is not None:
            return self._header.read(memory.file, rect)
        # Of the whole dump: another thread may make `self.rect` smaller meanwhile.
        return self._header.pixels(memory.shared)[rect.slices].copy()

    def _copy(self, rect: Rect) -> Frame:
        pixels = self._copied(rect)
        colours = self.colormap if self.format.needs_colormap else None  # that of now belongs to these pixels
        now = time.monotonic_ns()
        self._sequence += 1
        return Frame(pixels, rect, now, self._sequence, self.format, colours)

    def _array(self, shown: Any, rect: Rect) -> NDArray[Any]:
        """Return the array of `pixels` over that memory."""
        if self._is_private:
            # numpy looks through a view at the object below, not through an array: see `Frame._make_read_only`.
            shown = np.frombuffer(memoryview(shown).toreadonly(), np.uint8)
        pixels = self._header.pixels(shown, rect.width, rect.height)
        if pixels.flags.writeable:
            return pixels
        with limits.loading():
            from xshm.image.read_only_array import ReadOnlyArray  # noqa: PLC0415 - it loads numpy

        return pixels.view(ReadOnlyArray)

    def _held(self) -> FramebufferMemory:
        memory = self._memory  # a reference: another thread may close meanwhile
        if memory is None:
            raise Closed("this framebuffer was closed; arrays taken from it before stay valid")
        if memory.file is not None:
            memory.file.check()
        return memory

    def _linked(self) -> _Link:
        link = self._link
        if link is None or link.screen._closed:  # noqa: SLF001 - by its user, and the display has another one
            if self._screen is None:
                raise InvalidArgument(
                    "this framebuffer was opened without its display, so there is nobody to ask; "
                    "name it: Framebuffer.open(path, display=':5')"
                )
            link = _Link(self._screen(self.screen_number), self.screen_number, self.has_pointer)
            self._link = link
        return link

    def _settle(self, link: _Link) -> None:
        if link.turn_end is not None:
            # Then the server paints the pointer again, which it takes off for GetImage.
            link.turn_end.queue()
        width, height = link.query_size()
        rect = self.rect
        if width == rect.width and height == rect.height:
            return
        # RandR can't make a screen of Xvfb larger than it began: a larger one is kept in other memory.
        if width > self._header.width or height > self._header.height:
            raise TransportUnavailable(
                f"the screen is {width}x{height}, and this memory, of :{self.number}.{self.screen_number}, has room "
                f"for {self._header.width}x{self._header.height}: it is not where the screen is kept; grab the Screen"
            )
        self.rect = Rect(0, 0, width, height)

    def _within(self, region: Region | None, *, clip: bool) -> Rect:
        _arguments.flag(clip, "clip")
        if region is None:
            return self.rect
        return fit(as_rect(region, lambda: self.rect), self.rect, "the framebuffer", clip=clip)


class _Link:
    """One connection to the server: its `screen`, and what is requested there again and again."""

    def __init__(self, screen: Screen, number: int, has_pointer: bool | None) -> None:
        self.screen = screen
        self.pointer: Pointer | None = None  # once it was asked for
        self.query_size = ScreenSize(screen.connection, number).query
        self.turn_end = TurnEnd(screen.connection) if has_pointer is not False else None


def _is_painted(frame: Frame, screen: Screen) -> bool:
    """Tell whether the pointer is in a frame: the server paints none before a client has defined a cursor.

    It compares the frame with a GetImage, for which the server takes the pointer off. So call it after the frame was
    copied, and while the server is grabbed by the connection of `screen`.
    """
    covered = frame.cursor.rect.intersect(frame.rect) if frame.cursor else None
    if covered is None:
        return True
    part = frame.pixels[frame.slices(covered)]
    with screen.grab(covered) as bare:
        copied = Frame(part, covered, frame.monotonic_ns, frame.sequence, frame.format, frame.colormap)
        return bool(copied.diff(bare))


def _check_options(writable: object, has_pointer: object) -> None:
    _arguments.flag(writable, "writable")
    if has_pointer is not None:
        _arguments.flag(has_pointer, "has_pointer, where it is known,")
