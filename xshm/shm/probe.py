"""Choosing a transport: try each, and use it only if the server proves that it reads our segment.

A successful attach is no proof: a System V id is a small number in an IPC namespace, and a server in another namespace
may have attached another program's segment. So the server first copies a random nonce out of our segment, attached
read-only, before any request lets it write.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from xshm import _arguments
from xshm._signal_safety import is_the_kernels
from xshm.errors import BadAccess, ServerError, TransportUnavailable
from xshm.geometry import Rect
from xshm.shm.segment import Segment
from xshm.shm.transport import KINDS, MitShm, Transport, send_attach
from xshm.system import limits, logs
from xshm.x11.protocol import core, mit_shm
from xshm.x11.protocol.requests import HEADER, Request

if TYPE_CHECKING:
    from xshm.x11.connection import Connection

_WITH_DESCRIPTORS: Final = (1, 2)  # the version of MIT-SHM that has ShmAttachFd
# Bytes of the nonce, one row of a depth-1 image: every server has that depth, and each bit is a pixel. The probability
# that another segment has the same 64 bytes is 2^-512.
_NONCE_BYTES: Final = 64


def choose(connection: Connection, wanted: str = "auto") -> Transport:
    """Return the best transport that works, or the one named; raises TransportUnavailable with the reason."""
    _arguments.choice(wanted, ("auto", *KINDS), "a transport is one of")
    transport = _choose(connection, wanted)
    log = logs.warning if transport.kind == "core" != wanted else logs.info
    log("transport", "%s: %s (%s)", transport.kind, transport.reason, connection.address)
    return transport


def _choose(connection: Connection, wanted: str) -> Transport:
    if wanted == "core":
        return Transport(connection, "core", "asked for by name", None)
    extension = connection.extension(mit_shm.NAME)
    shm = MitShm(connection, extension) if extension else None
    refused: list[str] = []
    for kind in ("sysv", "fd") if wanted == "auto" else (wanted,):
        why_not = _why_not(connection, kind, shm)
        if why_not is None:
            proof = f"the server read a nonce out of our {'segment' if kind == 'sysv' else 'memfd'}"
            return Transport(connection, "sysv" if kind == "sysv" else "fd", "; ".join([*refused, proof]), shm)
        refused.append(f"{kind}: {why_not}")
    if wanted == "auto":
        return Transport(connection, "core", "; ".join(refused), shm)
    raise TransportUnavailable(
        f"{refused[0]}; transport='auto' takes what works, transport='core' works everywhere and is slow"
    )


def _why_not(connection: Connection, kind: str, shm: MitShm | None) -> str | None:  # noqa: PLR0911 - reasons
    """Try a transport; return why it can't be used, or None where it works."""
    if shm is None:
        return f"the server at {connection.address} does not have the MIT-SHM extension"
    remote = connection.address.startswith("tcp:")
    if kind == "fd":
        if shm.version < _WITH_DESCRIPTORS:
            return f"the server speaks MIT-SHM {shm.version[0]}.{shm.version[1]}; descriptors came with 1.2"
        if remote:
            return f"descriptors do not travel over TCP ({connection.address})"
    # As large as a frame of the whole screen: the kernel's limits may allow a page and not that.
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
            raise  # signal-safe (6): the connection's error or a signal handler's, neither of which is about memory
        why = limits.explain_segment(error) if kind == "sysv" else None
        return f"this machine refused the memory: {limits.describe(error)}{f': {why}' if why else ''}"
    return None if works else "the server attached another segment with the same id; it is in another IPC namespace"


def _reads_our_bytes(connection: Connection, opcode: int, segment: Segment) -> bool:
    """Have the server copy a nonce out of the segment into a pixmap, and read that by GetImage. One round trip."""
    nonce = os.urandom(_NONCE_BYTES)
    segment.memory[:_NONCE_BYTES] = nonce
    resources = connection.resources
    shmseg = resources.new_id(mit_shm.Detach, "shmseg", opcode=opcode)
    pixmap, gc = resources.new_id(core.FreePixmap, "pixmap"), resources.new_id(core.FreeGC, "gc")
    root, width = connection.setup.root.id, 8 * _NONCE_BYTES  # at depth 1, a pixel is a bit
    attach = send_attach(connection, opcode, segment, shmseg, read_only=True)
    connection.send(core.CreatePixmap, depth=1, pid=pixmap, drawable=root, width=width, height=1)
    connection.send(core.CreateGC, cid=gc, drawable=pixmap, attrs={})
    row = Rect(0, 0, width, 1)
    put = Request(mit_shm.pack_put_image(opcode, pixmap, gc, 1, shmseg, row, row, send_event=False))
    image = core.image_request(pixmap, 0, 0, width, 1)
    connection.wire.send(put)
    connection.wire.send(image)
    # Queued behind the rest, before anything is waited for: then no exception leaves a resource on the server.
    resources.free(gc, pixmap, shmseg)
    connection.check(attach, put, image)
    return connection.wait_reply(image, "GetImage")[HEADER : HEADER + _NONCE_BYTES] == nonce
