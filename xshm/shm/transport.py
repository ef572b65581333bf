"""Transports: how a segment is attached to the server: by System V id, by descriptor (MIT-SHM 1.2), or not ("core").

`probe.choose` chooses a Transport once for a connection. A segment is detached when the last reference to its shmseg,
an AttachedId, goes.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from xshm.errors import BadSeg, Closed, DisplayGone, InvalidType, ServerError
from xshm.system.printable import quoted
from xshm.x11.io.resources import ServerResource
from xshm.x11.protocol import mit_shm

if TYPE_CHECKING:
    from collections.abc import Callable

    from xshm.shm.segment import Kind as SegmentKind
    from xshm.shm.segment import Segment
    from xshm.x11.connection import Connection, Extension
    from xshm.x11.protocol.requests import Request

Kind = Literal["sysv", "fd", "core"]
KINDS: Final = get_args(Kind)


class MitShm:
    """The server's MIT-SHM extension, as QueryVersion describes it."""

    def __init__(self, connection: Connection, extension: Extension) -> None:
        self.extension = extension
        reply = connection.request(mit_shm.QueryVersion, opcode=extension.major)
        self.version: tuple[int, int] = (reply.major_version, reply.minor_version)
        self.shared_pixmaps: bool = reply.shared_pixmaps
        self.uid: int = reply.uid
        connection.register_error(extension.first_error + mit_shm.BAD_SEG, BadSeg, mit_shm.BadSegError)


class AttachedId(ServerResource):
    """The shmseg of a segment that the server has attached as long as this object lives.

    `wait_released` waits until the server has processed all Detach requests sent before: one round trip.
    """

    wait_released: Callable[[], None]


class Transport:
    """The chosen transport: its `kind` ("sysv", "fd", "core"), and `reason`, a sentence on why it was chosen.

    `segment_kind` is the kind of memory that it attaches, and that refreshers use without a server on "core".
    `version` is MIT-SHM's (None without it), `shared_pixmaps` whether the server has those.
    """

    def __init__(self, connection: Connection, kind: Kind, reason: str, shm: MitShm | None) -> None:
        self._connection = connection
        self.kind: Kind = kind
        self.segment_kind: SegmentKind = "sysv" if kind == "sysv" else "memfd"
        self.reason = reason
        # -1 on the core transport, where no request of MIT-SHM is sent and no event of it comes.
        self.opcode = shm.extension.major if shm else -1
        self.version = shm.version if shm else None
        self.shared_pixmaps = bool(shm and shm.shared_pixmaps)
        self.completion_event = shm.extension.first_event + mit_shm.COMPLETION if shm else -1

    def attach(self, segment: Segment) -> AttachedId:
        """Attach a segment to the server; return its shmseg. One round trip; raises the server's error.

        It stays attached until the last reference to the shmseg goes, or until `detach`.
        """
        connection = self._connection
        connection.check_for_error()  # an id of a connection that has ended would never be freed
        shmseg = connection.resources.new_id_as(AttachedId, mit_shm.Detach, "shmseg", opcode=self.opcode)
        shmseg.wait_released = connection.sync
        try:
            attach = send_attach(connection, self.opcode, segment, shmseg, read_only=False)
            connection.check(attach, doing="ShmAttach")
        except ServerError:
            connection.resources.free(shmseg)  # now, not when the traceback that refers to it goes
            raise
        # The server has a descriptor of its own; ours would count against RLIMIT_NOFILE, one for each slot of a pool.
        segment.close_descriptor()
        return shmseg

    def detach(self, shmseg: int) -> None:
        """Detach a segment by the shmseg that `attach` returned; without effect on a connection that has ended."""
        if not isinstance(shmseg, AttachedId):
            raise InvalidType(f"detach takes what attach returned, not {type(shmseg).__name__}: {quoted(shmseg)}")
        with suppress(Closed, DisplayGone):  # the server has detached every segment with the connection
            self._connection.resources.free(shmseg)

    def __repr__(self) -> str:
        return f"<Transport {self.kind}: {self.reason}>"


def send_attach(connection: Connection, opcode: int, segment: Segment, shmseg: int, *, read_only: bool) -> Request:
    """Queue the request that attaches a segment: ShmAttach for a System V id, ShmAttachFd for a descriptor."""
    # keepalive: the server may attach the segment after the caller has dropped it, and before it replies.
    fields: dict[str, Any] = {"opcode": opcode, "shmseg": shmseg, "read_only": int(read_only), "keepalive": segment}
    if segment.kind == "sysv":
        return connection.send(mit_shm.Attach, shmid=segment.shmid, **fields)
    return connection.send(mit_shm.AttachFd, descriptors=(segment.descriptor,), **fields)
