"""How memory reaches the server: a System V id, a descriptor, or not at all. Chosen once, and the reason kept.

An attach that succeeds is no proof: an id is a small number in an IPC namespace, and a server in another one may have
attached somebody else's segment. So the server first shows that it reads our bytes, through a read-only attach, before
it is ever asked to write.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Literal, get_args

from xshm import _arguments
from xshm.errors import (
    BadAccess,
    BadSeg,
    Closed,
    DisplayGone,
    InvalidType,
    ServerError,
    TransportUnavailable,
)
from xshm.shm.segment import Segment
from xshm.system import limits
from xshm.system.kernel_errors import is_the_kernels
from xshm.system.printable import quoted
from xshm.x11.io.release_queue import ServerResource
from xshm.x11.protocol import core, mit_shm

if TYPE_CHECKING:
    from collections.abc import Callable

    from xshm.x11.connection import Connection, Extension
    from xshm.x11.protocol.requests import Request

Kind = Literal["sysv", "fd", "core"]
KINDS: Final = get_args(Kind)
_WITH_DESCRIPTORS: Final = (1, 2)
# The probe is one row of a depth-1 picture, which every server has, and in which every bit counts.
_NONCE_BYTES = 64


class AttachedId(ServerResource):
    """A shmseg that the server knows, until it goes.

    `settle` returns when the server has let go of all that was detached by then: one round trip.
    """

    settle: Callable[[], None]


class Transport:
    """What was chosen: `kind` ("sysv", "fd", "core"), and `reason`, a sentence on why.

    `version` is MIT-SHM's (None without it), `shared_pixmaps` whether the server has those.
    """

    def __init__(self, connection: Connection, kind: Kind, reason: str, shm: _MitShm | None) -> None:
        self._connection = connection
        self.kind: Kind = kind
        self.reason = reason
        self.opcode = shm.extension.major if shm else -1
        self.version = shm.version if shm else None
        self.shared_pixmaps = bool(shm and shm.shared_pixmaps)
        self.completion_event = shm.extension.first_event + mit_shm.COMPLETION if shm else -1

    def attach(self, segment: Segment) -> AttachedId:
        """Make a segment known to the server; return its shmseg. One round trip; raises the server's error.

        It is attached as long as the shmseg is held, or until `detach`.
        """
        connection = self._connection
        connection.check_for_error()
        shmseg = connection.holdings.id_as(AttachedId, mit_shm.Detach, "shmseg", opcode=self.opcode)
        shmseg.settle = connection.sync
        try:
            connection.check(_attach(connection, self.opcode, segment, shmseg, read_only=False), doing="ShmAttach")
        except ServerError:
            connection.holdings.free(shmseg)
            raise
        segment.close_descriptor()
        return shmseg

    def detach(self, shmseg: int) -> None:
        """Make the server let go of what `attach` returned; without effect on a connection that is over."""
        if not isinstance(shmseg, AttachedId):
            raise InvalidType(f"detach takes what attach returned, not {type(shmseg).__name__}: {quoted(shmseg)}")
        with suppress(Closed, DisplayGone):
            self._connection.holdings.free(shmseg)

    def __repr__(self) -> str:
        return f"<Transport {self.kind}: {self.reason}>"


class _MitShm:
    """The server's MIT-SHM, as QueryVersion describes it."""

    def __init__(self, connection: Connection, extension: Extension) -> None:
        self.extension = extension
        reply = connection.request(mit_shm.QueryVersion, opcode=extension.major)
        self.version: tuple[int, int] = (reply.major_version, reply.minor_version)
        self.shared_pixmaps: bool = reply.shared_pixmaps
        self.uid: int = reply.uid
        connection.register_error(extension.first_error + mit_shm.BAD_SEG, BadSeg, mit_shm.BadSegError)


def choose(connection: Connection, wanted: str = "auto") -> Transport:
    """Find the best transport that works, or the one wanted by name; raises TransportUnavailable with the reason."""
    _arguments.choice(wanted, ("auto", *KINDS), "a transport is one of")
    if wanted == "core":
        return Transport(connection, "core", "asked for by name", None)
    extension = connection.extension(mit_shm.NAME)
    shm = _MitShm(connection, extension) if extension else None
    refused: list[str] = []
    for kind in ("sysv", "fd") if wanted == "auto" else (wanted,):
        why_not = _why_not(connection, kind, shm)
        if why_not is None:
            told = f"the server read a nonce out of our {'segment' if kind == 'sysv' else 'memfd'}"
            return Transport(connection, "sysv" if kind == "sysv" else "fd", "; ".join([*refused, told]), shm)
        refused.append(f"{kind}: {why_not}")
    if wanted == "auto":
        return Transport(connection, "core", "; ".join(refused), shm)
    raise TransportUnavailable(
        f"{refused[0]}; transport='auto' takes what works, transport='core' works everywhere and is slow"
    )


def _why_not(connection: Connection, kind: str, shm: _MitShm | None) -> str | None:  # noqa: PLR0911 - reasons
    """Try a transport; return why it can't be used, or None."""
    if shm is None:
        return f"the server at {connection.address} does not have the MIT-SHM extension"
    remote = connection.address.startswith("tcp:")
    if kind == "fd":
        if shm.version < _WITH_DESCRIPTORS:
            return f"the server speaks MIT-SHM {shm.version[0]}.{shm.version[1]}; descriptors came with 1.2"
        if remote:
            return f"descriptors do not travel over TCP ({connection.address})"
    # As large as a frame of the whole screen: the kernel's limits may leave room for a page and not for that.
    size = max(4096, 4 * connection.setup.width_in_pixels * connection.setup.height_in_pixels)
    try:
        works = _reads_our_bytes(connection, shm.extension.major, Segment("sysv" if kind == "sysv" else "memfd", size))
    except BadAccess:
        where = (
            "over TCP the server does not see who we are, or is another machine"
            if remote
            else (f"it runs as uid {shm.uid}, we as uid {os.geteuid()}, or it is in another IPC namespace")
        )
        return f"the server may not attach our segment: {where}"
    except ServerError as error:
        return f"the server refused: {error}"
    except OSError as error:
        if error.errno is None or isinstance(error, ConnectionError | TimeoutError) or not is_the_kernels(error):
            raise  # it is no word of the kernel's on memory
        return f"this machine refused the memory: {limits.said(error)}"
    return None if works else "the server attached another segment with the same id; it is in another IPC namespace"


def _reads_our_bytes(connection: Connection, opcode: int, segment: Segment) -> bool:
    """Let the server copy a nonce out of the segment, and read it back by the core protocol. One round trip."""
    nonce = os.urandom(_NONCE_BYTES)
    segment.memory[:_NONCE_BYTES] = nonce
    held = connection.holdings
    shmseg = held.id(mit_shm.Detach, "shmseg", opcode=opcode)
    pixmap, gc = held.id(core.FreePixmap, "pixmap"), held.id(core.FreeGC, "gc")
    root, width = connection.setup.root.id, 8 * _NONCE_BYTES
    attach = _attach(connection, opcode, segment, shmseg, read_only=True)
    connection.send(core.CreatePixmap, depth=1, pid=pixmap, drawable=root, width=width, height=1)
    connection.send(core.CreateGC, cid=gc, drawable=pixmap, attrs={})
    put = connection.send(
        mit_shm.PutImage,
        opcode=opcode,
        drawable=pixmap,
        gc=gc,
        total_width=width,
        total_height=1,
        src_x=0,
        src_y=0,
        src_width=width,
        src_height=1,
        dst_x=0,
        dst_y=0,
        depth=1,
        format=core.Z_PIXMAP,
        send_event=0,
        shmseg=shmseg,
        offset=0,
    )
    image = connection.send(
        core.GetImage,
        drawable=pixmap,
        x=0,
        y=0,
        width=width,
        height=1,
        plane_mask=core.ALL_PLANES,
        format=core.Z_PIXMAP,
    )
    held.free(gc, pixmap, shmseg)
    connection.check(attach, put, image)
    return connection.wait_reply(image, "GetImage")[32 : 32 + _NONCE_BYTES] == nonce


def _attach(connection: Connection, opcode: int, segment: Segment, shmseg: int, *, read_only: bool) -> Request:
    if segment.kind == "sysv":
        return connection.send(
            mit_shm.Attach, opcode=opcode, shmseg=shmseg, shmid=segment.shmid, read_only=int(read_only), keep=segment
        )
    return connection.send(
        mit_shm.AttachFd,
        opcode=opcode,
        shmseg=shmseg,
        read_only=int(read_only),
        descriptors=(segment.descriptor,),
        keep=segment,
    )
