"""The exceptions of xshm: one tree under XshmError, whose types show what the caller can do about an error.

Every exception that xshm raises is an `XshmError`, except that `xshm.sysv` raises plain `OSError`, since its errors are
the kernel's. An error for which Python has a built-in exception is a subclass of that too. Each X error of the core
protocol and of MIT-SHM has a class under ServerError, by the protocol's name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xshm.capture.waiting.results import Moving
    from xshm.image.frame import Frame


class XshmError(Exception):
    """The root of the tree. Each is pickled with its attributes and notes: other processes' errors are whole, too."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Exceptions are made again by a call with `args`, which are not what each `__init__` here takes.
        reduced: Any = super().__reduce__()
        return _made_again, (type(self), reduced[1]), *reduced[2:]


class InvalidArgument(XshmError, ValueError):
    """A value out of range: an empty region, an `out` array of another shape. Nothing was changed; correct the call."""


class InvalidType(XshmError, TypeError):
    """An argument of a type that is not taken. Nothing was changed; correct the call."""


class OutOfBounds(InvalidArgument):
    """A region that is not wholly inside the picture. Cut it, or pass `clip=True` where that is offered."""


class MonitorNotFound(InvalidArgument, LookupError):
    """No monitor has this name or number; the message lists the existing ones."""


class Closed(XshmError):
    """The object was closed before this call. Open a new one."""


class ConnectFailed(XshmError, OSError):
    """No connection to the display could be made. Check the display's name, the server, the access rights.

    It is also raised where this process may open no more descriptors; the message names that limit.
    """


class AccessDenied(ConnectFailed):
    """The server refused the connection: the authority (cookie) is missing or wrong."""


class UntrustedServer(ConnectFailed):
    """The server is another user's, not root's or ours, and was sent no cookie. Name the authority file to trust it."""


class DisplayGone(XshmError, ConnectionError):
    """The connection has ended: the server died or closed it. Nothing on this connection works again."""


class ServerNonsense(DisplayGone):
    """The server sent bytes that the protocol does not allow, and the connection was ended.

    `request` is the request ("QueryTree") whose reply was invalid, "" where it was no reply; `wrong` says what was
    invalid, with the numbers.
    """

    def __init__(self, request: str, wrong: str) -> None:
        self.request, self.wrong = request, wrong
        super().__init__(
            f"{request + ': ' if request else ''}the X server sent what makes no sense, and the connection was ended: "
            f"{wrong}"
        )


class RequestTimeout(XshmError, TimeoutError):
    """The server did not reply within the time that was set. The connection stays usable; call again."""


class WaitTimeout(XshmError, TimeoutError):
    """The awaited picture was not seen in time. `frame` is the last one, which shows what was there instead.

    `moving`, of `wait_stable`, is what was last seen to move.
    """

    def __init__(self, message: str, *, frame: Frame, moving: tuple[Moving, ...] = ()) -> None:
        self.frame = frame
        self.moving = moving
        super().__init__(message)


class ServerError(XshmError):
    """The server replied to a request with an X error.

    `name` is the error's name in the protocol ("BadWindow"), `code` its number on this connection, `value` the bad
    resource or value, `major` and `minor` the request's opcodes.
    """

    def __init__(self, name: str, *, code: int, value: int, major: int, minor: int, doing: str = "") -> None:
        self.name, self.code, self.value, self.major, self.minor = name, code, value, major, minor
        super().__init__(f"{doing + ': ' if doing else ''}{name}, value {value:#x}, request {major}.{minor}")


class TransportUnavailable(XshmError):
    """The transport that the caller named does not work here; the message says why, and which one does."""


class ExtensionMissing(XshmError):
    """The server does not have an extension that this needs; the message names both."""


class UnsupportedFormat(XshmError):
    """A pixel layout that xshm does not read; the message names depth and bits per pixel."""


class RootlessServer(XshmError):
    """The server shows windows one by one and has no picture of the whole screen. Grab windows instead."""


class PoolExhausted(XshmError):
    """No slot is free for a frame, and a copy in memory of its own is not allowed (`Screen(copies=False)`).

    Drop frames, copy them, or raise the limit that the message names.
    """


class FramebufferTruncated(XshmError):
    """The framebuffer's file was truncated. Touch no array over it, which is a SIGBUS, and grab the Screen."""


class ReadOnlyMemory(XshmError, BufferError):
    """Memory that later frames build on can't be given out without a copy; the message says how to read it in place."""


class WindowError(XshmError):
    """A window that does not allow what the call needs; the types below say why."""


class WindowNotFound(WindowError, LookupError):
    """No window, or more than one, fits the description; the message lists the existing ones."""


class WindowGone(WindowError):
    """The window was destroyed."""


class WindowNotViewable(WindowError):
    """The window has no picture: it is unmapped, iconified, or InputOnly."""


class TargetNotFound(XshmError, FileNotFoundError):
    """The directory of the file that is to be written is missing. Nothing was changed."""


class TargetIsDirectory(XshmError, IsADirectoryError):
    """What is to be written as a file is a directory. Nothing was changed; name a file in it."""


class TargetDenied(XshmError, PermissionError):
    """The file may not be written there: rights, a read-only disk. Nothing was changed; write to another directory."""


class RecordingFailed(XshmError):
    """The recording could not go on, or does not allow the call in its state; what was recorded so far is kept."""


class RecordingStalled(RecordingFailed, TimeoutError):
    """What a recording is written to has taken nothing for too long: a pipe whose reader has stopped, a dead line."""


class LiveViewFailed(XshmError):
    """The live view can't be had: its port is taken, a certificate is not right, there are too many threads."""


class TargetTimeout(XshmError, TimeoutError):
    """Who reads what is written has taken nothing for the time that was set. Nothing more is written."""


class TargetGone(XshmError, BrokenPipeError):
    """Who read what is written has closed the pipe or the connection. Nothing more is written."""


class TargetUnreachable(XshmError, ConnectionError):
    """No connection to a URL could be made; `errno` and the message say why. Nothing was written."""


class MissingExtra(XshmError, ImportError):
    """A library that an optional feature needs is not installed; the message names the extra that brings it."""


class StartFailed(XshmError):
    """A program did not start: it is missing, or ended before it was ready; the message has its output."""


class FleetError(XshmError):
    """A fleet of displays can't do what was asked."""


class NoRoom(FleetError):
    """More displays were asked for than fit on the nodes of a cluster; the message has the numbers of each."""


class SeatLost(FleetError):
    """An item lost its worker or its display under it, as often as it may.

    `item` is its number, `tries` how often it was tried.
    """

    def __init__(self, message: str, *, item: int, tries: int) -> None:
        self.item, self.tries = item, tries
        super().__init__(message)


class ItemTimeout(FleetError, TimeoutError):
    """An item was not done in its time. Its worker was ended, and another took its place."""


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
    """The request's arguments do not fit each other: a region outside the drawable, another depth."""


class BadDrawable(ServerError):
    """`value` names neither a window nor a pixmap."""


class BadAccess(ServerError):
    """The server, or this client, lacks the right, such as to attach another user's segment."""


class BadAlloc(ServerError):
    """The server has no memory for what the request creates."""


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


def _made_again(kind: type[XshmError], args: tuple[object, ...]) -> XshmError:
    error = kind.__new__(kind, *args)
    if not error.args:  # OSError leaves them to `__init__` where a class of ours has one
        error.args = args
    return error
