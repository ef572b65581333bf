"""One small tree of exceptions: the type says what the caller can do about it.

Every exception that xshm raises on its own is an `XshmError`; only `xshm.sysv` raises plain `OSError`, since it
speaks for the kernel. Where a built-in exception means the same thing, ours is one of those too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xshm.image.frame import Frame


class XshmError(Exception):
    """The root of the tree."""


class InvalidArgument(XshmError, ValueError):
    """A value that can't be meant: an empty region, a wrong `out` array. Nothing was changed; mend the call."""


class InvalidType(XshmError, TypeError):
    """An argument of a type that is not taken. Nothing was changed; mend the call."""


class OutOfBounds(InvalidArgument):
    """A region that leaves the picture it is taken from. Cut it, or pass `clip=True` where that is offered."""


class MonitorNotFound(InvalidArgument, LookupError):
    """No monitor has this name or number; the message lists those there are."""


class Closed(XshmError):
    """The object was closed before this call. Open a new one."""


class ConnectFailed(XshmError, OSError):
    """No connection to the display could be made. Look at the display's name, the server, the access rights.

    It is raised, too, where no descriptor is left for what a call opens; the message names that limit.
    """


class AccessDenied(ConnectFailed):
    """The server answered, and refused: the authority (cookie) is missing or wrong."""


class UntrustedServer(ConnectFailed):
    """Another user than root and us listens there, and was sent no cookie. Name the authority file if it is meant."""


class DisplayGone(XshmError, ConnectionError):
    """The connection to the server has ended: the server died or closed it. Nothing on this connection works again."""


class ServerNonsense(DisplayGone):
    """The server said what the protocol does not allow, and the connection was ended for it.

    `request` is what was asked ("QueryTree"), "" where it was no answer; `wrong` is what was wrong, with the numbers.
    """

    def __init__(self, request: str, wrong: str) -> None:
        self.request, self.wrong = request, wrong
        super().__init__(
            f"{request + ': ' if request else ''}the X server said what makes no sense, and the connection was ended: "
            f"{wrong}"
        )

    def __reduce__(self) -> tuple[type[ServerNonsense], tuple[str, str]]:
        return ServerNonsense, (self.request, self.wrong)


class RequestTimeout(XshmError, TimeoutError):
    """The server did not answer within the time that was set. The connection stays usable; ask again."""


class WaitTimeout(XshmError, TimeoutError):
    """What was waited for was not seen in time. `frame` is the last picture, which shows what was there instead."""

    def __init__(self, message: str, *, frame: Frame) -> None:
        self.frame = frame
        super().__init__(message)


class ServerError(XshmError):
    """The server answered a request with an X error.

    `name` is the error's name in the protocol ("BadWindow"), `code` its number on this connection, `value` the bad
    resource or value, `major` and `minor` the request's opcodes.
    """

    def __init__(self, name: str, *, code: int, value: int, major: int, minor: int, doing: str = "") -> None:
        self.name, self.code, self.value, self.major, self.minor = name, code, value, major, minor
        super().__init__(f"{doing + ': ' if doing else ''}{name}, value {value:#x}, request {major}.{minor}")


class TransportUnavailable(XshmError):
    """The transport that was asked for by name can't be had here; the message says why, and which one can."""


class ExtensionMissing(XshmError):
    """The server does not have an extension that this needs; the message names both."""


class UnsupportedFormat(XshmError):
    """Pixels laid out in a way that is not understood; the message names depth and bits per pixel."""


class RootlessServer(XshmError):
    """The server shows windows one by one and has no picture of the whole screen. Grab windows instead."""


class PoolExhausted(XshmError):
    """There is no slot for a frame, and it may not have memory of its own (`Screen(copies=False)`).

    Drop frames, copy them, or raise the limit that the message names.
    """


class FramebufferTruncated(XshmError):
    """The file that a framebuffer is in was cut short meanwhile. Leave arrays over it alone, and grab the Screen."""


class ReadOnlyMemory(XshmError, BufferError):
    """Memory that others build on is not given away without a copy; the message says how to read it in place."""


class WindowError(XshmError):
    """A window that can't be used the way it was asked for."""


class WindowNotFound(WindowError, LookupError):
    """No window, or more than one, answers to the description; the message lists those there are."""


class WindowGone(WindowError):
    """The window was destroyed."""


class WindowNotViewable(WindowError):
    """The window has no picture: it is unmapped, iconified, or InputOnly."""


class MissingExtra(XshmError, ImportError):
    """A library that an optional feature needs is not installed; the message names the extra that brings it."""


class StartFailed(XshmError):
    """A program did not start: it is missing, or ended before it was ready; the message has what it said."""


class BadRequest(ServerError):
    """The server does not know the request."""


class BadValue(ServerError):
    """A number out of the range that the request allows; `value` is the number."""


class BadWindow(ServerError):
    """`value` names no window."""


class BadPixmap(ServerError):
    """`value` names no pixmap."""


class BadAtom(ServerError):
    """`value` names no atom."""


class BadCursor(ServerError):
    """`value` names no cursor."""


class BadFont(ServerError):
    """`value` names no font."""


class BadMatch(ServerError):
    """The request's parts do not fit each other: a region outside the drawable, another depth."""


class BadDrawable(ServerError):
    """`value` names neither a window nor a pixmap."""


class BadAccess(ServerError):
    """The server may not, or this client may not."""


class BadAlloc(ServerError):
    """The server has no memory for it."""


class BadColor(ServerError):
    """`value` names no colormap."""


class BadGC(ServerError):
    """`value` names no graphics context."""


class BadIDChoice(ServerError):
    """The id is in use already, or not this client's."""


class BadName(ServerError):
    """A font or colour of that name does not exist."""


class BadLength(ServerError):
    """The request is too short or too long."""


class BadImplementation(ServerError):
    """The server does not implement a part of the request."""


class BadSeg(ServerError):
    """`value` names no shared segment that is attached (MIT-SHM)."""
