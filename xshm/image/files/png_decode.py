"""Decode PNG files as this package writes them: gray, palette, RGB or RGBA, 8 or 16 bits a channel, all bits kept.

Files of other writers, with filters that ours does not use, go to Pillow, which has 8 bits a channel.
"""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from xshm.errors import InvalidArgument
from xshm.image.files import png_chunks
from xshm.system import limits

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray
else:
    from xshm._numpy import np

_HEADER: Final = struct.Struct(">IIBBBBB")
_LENGTH: Final = struct.Struct(">I4s")
_CHECKSUM: Final = 4  # bytes behind a chunk's data
_CHANNELS: Final = {png_chunks.GRAY: 1, png_chunks.PALETTE: 1, png_chunks.RGB: 3, png_chunks.RGBA: 4}
_BYTE, _DEEP = 8, 16  # bits a sample


class Samples(NamedTuple):
    """A picture: (height, width), or (height, width, 3 or 4), uint8 or uint16; alpha is straight.

    With a table these are indices of its (n, 3) colours.
    """

    values: NDArray[Any]
    table: NDArray[np.uint8] | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.values.shape[1], self.values.shape[0]


def decode(data: bytes) -> Samples:
    """Return a file's picture. Raises InvalidArgument for a kind that is not ours; for a broken file what finds it."""
    if not data.startswith(png_chunks.SIGNATURE):
        raise InvalidArgument(f"a PNG file begins with {png_chunks.SIGNATURE!r}, not with {data[:8]!r}")
    found: dict[bytes, list[bytes]] = {}
    for name, chunk in _chunks(data):
        found.setdefault(name, []).append(chunk)
    width, height, bits, colour_type, *others = _HEADER.unpack(found[b"IHDR"][0])
    if bits not in (_BYTE, _DEEP) or colour_type not in _CHANNELS or any(others):
        return _by_pillow(data)
    packed = found[b"IDAT"]
    raw = png_chunks.inflate(packed[0] if len(packed) == 1 else b"".join(packed))
    pixel = _CHANNELS[colour_type] * bits // _BYTE
    rows = np.frombuffer(raw, np.uint8).reshape(height, 1 + width * pixel)
    plain = _unfiltered(rows)
    if plain is None:
        return _by_pillow(data)
    values: NDArray[Any] = np.ascontiguousarray(plain)
    if bits == _DEEP:
        values = values.view(">u2").astype(np.uint16)
    if colour_type == png_chunks.PALETTE:
        return Samples(values, np.frombuffer(found[b"PLTE"][0], np.uint8).reshape(-1, 3))
    channels = _CHANNELS[colour_type]
    return Samples(values if channels == 1 else values.reshape(height, width, channels))


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(png_chunks.SIGNATURE)
    while at < len(data):
        length, name = _LENGTH.unpack_from(data, at)
        at += _LENGTH.size
        yield name, data[at : at + length]
        at += length + _CHECKSUM


def _unfiltered(rows: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
    """Return rows without their filter bytes, and without the filter Up; None where they have another one."""
    kinds = rows[:, 0]
    if not kinds.any():
        return rows[:, 1:]
    if not np.isin(kinds, (png_chunks.NONE, png_chunks.UP)).all():
        return None
    plain = rows[:, 1:].copy()
    # The sum down to each row, modulo 256, of each run of filtered rows and the row above it.
    is_up = np.concatenate(([False], kinds == png_chunks.UP, [False]))
    starts, ends = (np.flatnonzero(edge) for edge in (is_up[1:] & ~is_up[:-1], ~is_up[1:] & is_up[:-1]))
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        run = plain[max(start - 1, 0) : end]
        np.add.accumulate(run, axis=0, dtype=np.uint8, out=run)
    return plain


def _by_pillow(data: bytes) -> Samples:
    with limits.loading():
        from PIL import Image  # noqa: PLC0415 - none of our own files needs it

    with Image.open(io.BytesIO(data), formats=["PNG"]) as picture:
        if picture.mode not in ("1", "L", "P", "RGB"):
            raise InvalidArgument(f"a PNG of the mode {picture.mode} is not among those that are written here")
        return Samples(np.asarray(picture.convert("RGB")))
