"""VNC for the tests: a service of a channel in a thread of its own, and a client that shares no code with it.

    with Served(channel) as served:
        with VncClient(served.port, PASSWORD) as client:
            client.set_encodings(7, -223)
            client.update()             # what was drawn is in client.pixels, (height, width) values

The client decodes Raw, Zlib, ZRLE and Tight, and the pseudo encodings; what it was told is in `sizes`, `cursors`,
`names` and `positions`. Decoding is by the public specification alone, pixel by pixel where that is clearer.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import socket
import struct
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from PIL import Image

from xshm.live.rfb.service import RfbService

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from xshm.live.channel import Channel

PASSWORD = "sesame12"  # noqa: S105 - of the tests
RAW, ZLIB, TIGHT, ZRLE = 0, 6, 7, 16
_FILE_KEY = bytes((23, 82, 107, 6, 35, 78, 88, 7))  # of every VNC program's password file, in public
_PATIENCE = 10.0


def encrypted(password: bytes, data: bytes) -> bytes:
    """Encrypt as VNC does: DES, whose key has each byte's bits the other way round."""
    key = bytes(sum((byte >> bit & 1) << (7 - bit) for bit in range(8)) for byte in password[:8].ljust(8, b"\0"))
    encryptor = Cipher(TripleDES(key + key + key), modes.ECB()).encryptor()  # noqa: S305
    return encryptor.update(data) + encryptor.finalize()


def password_file(path: Path, password: str = PASSWORD) -> Path:
    """Write a password as vncpasswd does."""
    path.write_bytes(encrypted(_FILE_KEY, password.encode()[:8].ljust(8, b"\0")))
    path.chmod(0o600)
    return path


class Served:
    """A channel behind RFB, on a free port of 127.0.0.1."""

    def __init__(self, channel: Channel, **options: Any) -> None:
        self._channel, self._options = channel, options
        self._ready = threading.Event()
        self._loop: Any = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="vnc-test", daemon=True)
        self.port = 0
        self.service: RfbService

    async def _run(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        with ThreadPoolExecutor(2) as pool:
            self.service = RfbService(self._channel, PASSWORD, pool, **self._options)
            server = await asyncio.start_server(self.service.tcp, "127.0.0.1", 0)
            self.port = server.sockets[0].getsockname()[1]
            self._ready.set()
            await self._end.wait()
            server.close()
            await self.service.close()

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(_PATIENCE)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(_PATIENCE)
        assert not self._thread.is_alive()


class VncClient:
    """A client, past its ServerInit when it is made. `version` is what it says that it speaks."""

    def __init__(self, port: int, password: str = PASSWORD, version: bytes = b"RFB 003.008\n") -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), _PATIENCE)
        self._zlib = zlib.decompressobj()
        self._zrle = zlib.decompressobj()
        self._tight = [zlib.decompressobj() for _ in range(4)]
        self.sizes: list[tuple[int, ...]] = []
        self.cursors: list[tuple[int, int, bytes]] = []
        self.names: list[str] = []
        self.positions: list[tuple[int, int]] = []
        self.encodings: list[int] = []
        self.jpegs = 0
        self.bytes = 0
        with self._closed_on_error():
            assert self.read(12) == b"RFB 003.008\n"
            self.socket.sendall(version)
            if version < b"RFB 003.007":
                assert self.read(4) == b"\0\0\0\2", self.rest()
            else:
                offered = self.read(1)[0]
                assert offered, self.rest()
                assert 2 in self.read(offered)
                self.socket.sendall(b"\2")
            self.socket.sendall(encrypted(password.encode(), self.read(16)))
            if self.read(4) != b"\0\0\0\0":
                raise PermissionError(self.rest().decode())
            self.socket.sendall(b"\1")
            width, height = struct.unpack(">HH", self.read(4))
            self.format: tuple[int, ...] = struct.unpack(">BBBBHHHBBBxxx", self.read(16))
            self.name = self.read(struct.unpack(">I", self.read(4))[0]).decode()
            self.pixels: NDArray[Any] = np.zeros((height, width), self._dtype)

    @contextlib.contextmanager
    def _closed_on_error(self) -> Any:
        try:
            yield
        except BaseException:
            self.socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    # -- what it says --------------------------------------------------------------------------------------------------

    def set_encodings(self, *numbers: int) -> None:
        self.socket.sendall(struct.pack(f">BxH{len(numbers)}i", 2, len(numbers), *numbers))

    def set_format(self, *fields: int) -> None:
        """SetPixelFormat: bits, depth, big-endian, true colour, three maxima, three shifts."""
        self.format = fields
        self.socket.sendall(struct.pack(">Bxxx", 0) + struct.pack(">BBBBHHHBBBxxx", *fields))
        self.pixels = np.zeros(self.pixels.shape, self._dtype)

    def ask(self, *, incremental: bool = True, box: tuple[int, int, int, int] | None = None) -> None:
        height, width = self.pixels.shape
        self.socket.sendall(struct.pack(">BB4H", 3, incremental, *(box or (0, 0, width, height))))

    def update(self, *, incremental: bool = True) -> bool:
        """Ask for an update, and read one. Returns False, so that a condition can follow by `or`."""
        self.ask(incremental=incremental)
        self.take()
        return False

    # -- what it is told -----------------------------------------------------------------------------------------------

    def rgb(self) -> NDArray[Any]:
        maxima, shifts = self.format[4:7], self.format[7:10]
        values = self.pixels.astype(np.uint32)
        return np.stack([(values >> shift & top) for top, shift in zip(maxima, shifts, strict=True)], axis=-1)

    def read(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            part = self.socket.recv(count - len(data))
            if not part:
                raise ConnectionResetError(f"closed after {len(data)} of {count} bytes: {bytes(data[:100])!r}")
            data += part
        self.bytes += count
        return bytes(data)

    def rest(self) -> bytes:
        """Read to the end."""
        data = bytearray()
        with contextlib.suppress(ConnectionResetError):
            while part := self.socket.recv(1 << 16):
                data += part
        return bytes(data)

    def take(self) -> None:
        """Read one FramebufferUpdate, and what comes before it."""
        while (kind := self.read(1)[0]) != 0:
            assert kind == 1, f"message {kind}"
            _first, count = struct.unpack(">xHH", self.read(5))
            self.read(6 * count)
        (count,) = struct.unpack(">xH", self.read(3))
        for _ in range(count):
            self._rectangle(*struct.unpack(">HHHHi", self.read(12)))

    @property
    def _dtype(self) -> Any:
        return np.dtype(f"{'>' if self.format[2] else '<'}u{self.format[0] // 8}")

    def _rectangle(self, x: int, y: int, width: int, height: int, encoding: int) -> None:
        self.encodings.append(encoding)
        size = self._dtype.itemsize
        match encoding:
            case -223:
                self._resize(width, height)
            case -308:
                screens = self.read(4)[0]
                layout = struct.unpack(">IHHHHI", self.read(16 * screens))
                assert layout[1:5] == (0, 0, width, height)
                self.sizes.append((x, y, width, height))
                if self.pixels.shape != (height, width):
                    self._resize(width, height)
            case -239:
                self.cursors.append((x, y, self.read(width * height * size + (width + 7) // 8 * height)))
            case -314:
                assert struct.unpack(">i", self.read(4)) == (0,)
                self.cursors.append((x, y, self.read(4 * width * height)))
            case -307:
                self.names.append(self.read(struct.unpack(">I", self.read(4))[0]).decode())
            case -232:
                self.positions.append((x, y))
            case _:
                assert x + width <= self.pixels.shape[1]
                assert y + height <= self.pixels.shape[0]
                self.pixels[y : y + height, x : x + width] = self._decoded(encoding, width, height)

    def _resize(self, width: int, height: int) -> None:
        self.sizes.append((width, height))
        self.pixels = np.zeros((height, width), self._dtype)

    def _decoded(self, encoding: int, width: int, height: int) -> Any:
        size = self._dtype.itemsize
        if encoding == TIGHT:
            return self._tight_rectangle(width, height)
        if encoding == RAW:
            data = self.read(width * height * size)
        else:
            packed = self.read(struct.unpack(">I", self.read(4))[0])
            if encoding == ZRLE:
                return self._zrle_rectangle(self._zrle.decompress(packed), width, height)
            assert encoding == ZLIB, encoding
            data = self._zlib.decompress(packed)
        return np.frombuffer(data, self._dtype).reshape(height, width)

    def _packed_pixels(self, data: bytes, *, as_rgb: bool) -> Any:
        """Decode TPIXELs (RGB) or CPIXELs, which have three bytes where the format's channels fit into them."""
        size = self._dtype.itemsize
        bits, depth, big, _true, *rest = self.format
        maxima, shifts = rest[:3], rest[3:]
        if as_rgb and bits == 32 and depth == 24 and max(maxima) == min(maxima) == 255:
            rgb = np.frombuffer(data, np.uint8).reshape(-1, 3).astype(np.uint32)
            return np.sum([rgb[:, at] << shifts[at] for at in range(3)], axis=0).astype(self._dtype)
        used = sum(top << shift for top, shift in zip(maxima, shifts, strict=True))
        if as_rgb or bits != 32 or depth > 24 or (used >> 24 and used & 255):
            return np.frombuffer(data, self._dtype)
        triples = np.frombuffer(data, np.uint8).reshape(-1, 3)
        whole = np.zeros((len(triples), size), np.uint8)
        low = not used >> 24
        whole[:, slice(0, 3) if low != bool(big) else slice(1, 4)] = triples
        return whole.view(self._dtype)[:, 0]

    def _zrle_rectangle(self, data: bytes, width: int, height: int) -> Any:
        found = np.zeros((height, width), self._dtype)
        pixel = len(data) and self._pixel_size(as_rgb=False)
        at = 0
        for top in range(0, height, 64):
            for left in range(0, width, 64):
                rows, columns = min(64, height - top), min(64, width - left)
                kind, at = data[at], at + 1
                count = {0: rows * columns}.get(kind, kind)
                assert kind <= 2, kind
                pixels = self._packed_pixels(data[at : at + count * pixel], as_rgb=False)
                at += count * pixel
                if kind == 0:
                    tile = pixels.reshape(rows, columns)
                elif kind == 1:
                    tile = np.full((rows, columns), pixels[0])
                else:
                    stride = (columns + 7) // 8
                    packed = np.frombuffer(data[at : at + stride * rows], np.uint8).reshape(rows, stride)
                    at += stride * rows
                    tile = pixels[np.unpackbits(packed, axis=1)[:, :columns]]
                found[top : top + rows, left : left + columns] = tile
        assert at == len(data)
        return found

    def _pixel_size(self, *, as_rgb: bool) -> int:
        for count in (3, 4, 2, 1):
            with contextlib.suppress(ValueError):
                if len(self._packed_pixels(bytes(count), as_rgb=as_rgb)) == 1:
                    return count
        raise AssertionError(self.format)

    def _tight_rectangle(self, width: int, height: int) -> Any:
        control = self.read(1)[0]
        for stream in range(4):
            if control >> stream & 1:
                self._tight[stream] = zlib.decompressobj()
        kind = control >> 4
        pixel = self._pixel_size(as_rgb=True)
        if kind == 8:
            return self._packed_pixels(self.read(pixel), as_rgb=True)[0]
        if kind == 9:
            picture = np.asarray(Image.open(io.BytesIO(self.read(self._compact_length()))).convert("RGB"))
            assert picture.shape == (height, width, 3)
            self.jpegs += 1
            maxima, shifts = self.format[4:7], self.format[7:10]
            parts = [picture[..., at].astype(np.uint32) * maxima[at] // 255 << shifts[at] for at in range(3)]
            return np.sum(parts, axis=0).astype(self._dtype)
        assert kind < 8, kind
        palette = None
        if kind & 4 and (what := self.read(1)[0]):
            assert what == 1
            palette = self._packed_pixels(self.read(pixel * (self.read(1)[0] + 1)), as_rgb=True)
        stride = width * pixel if palette is None else (width + 7) // 8 if len(palette) == 2 else width
        size = stride * height
        data = self.read(size) if size < 12 else self._tight[kind & 3].decompress(self.read(self._compact_length()))
        assert len(data) == size
        if palette is None:
            return self._packed_pixels(data, as_rgb=True).reshape(height, width)
        indices = np.frombuffer(data, np.uint8).reshape(height, stride)
        return palette[np.unpackbits(indices, axis=1)[:, :width] if len(palette) == 2 else indices]

    def _compact_length(self) -> int:
        length = 0
        for shift in (0, 7, 14):
            byte = self.read(1)[0]
            length |= (byte if shift == 14 else byte & 0x7F) << shift
            if shift == 14 or byte < 0x80:
                break
        return length
