"""GIF by a writer of our own: each frame has a palette of its own, for the pixels that have changed.

A frame of at most 255 colours is exact, as most of them are; others are as near as `palette` gets. Nothing is dithered:
text stays sharp, and flat surfaces flat. Pixels that are not what they should be are mended as soon as they are drawn
anew. LZW is Pillow's.
"""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING, ClassVar, Final

from xshm.errors import InvalidArgument
from xshm.record.formats.animation import OPAQUE, Animation, Patch
from xshm.record.formats.palette import indexed
from xshm.system import limits

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from xshm.geometry import Rect
    from xshm.record.sinks.settings import Settings
else:
    from xshm._numpy import np

_COLOURS: Final = 256
_FEW_COLOURS: Final = 64  # of quality="small"; half the bytes of photographs
_EIGHT_BITS: Final = 0x70  # a channel, in the header
_FOREVER: Final = b"\x21\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00"
_CONTROL, _IMAGE, _TABLE = b"\x21\xf9\x04", b"\x2c", 0x80  # what begins what; 0x80: a palette follows
_KEEP, _TRANSPARENT = 1 << 2, 1  # the frame stays under the next one; one of its colours is transparent
_HEADER, _DESCRIPTOR = 13, 10  # bytes before the palette of a file, and before an image's data


class GifSink(Animation):
    """A recording as a GIF."""

    kind: ClassVar = "GIF"
    ticks: ClassVar = 100
    shortest: ClassVar = 2  # browsers show what is to last 10 ms or less for 100 ms
    longest: ClassVar = 0xFFFF
    most_edge: ClassVar = 0xFFFF
    trailer: ClassVar = b"\x3b"

    @classmethod
    def check(cls, size: tuple[int, int], settings: Settings) -> None:
        """Raise InvalidArgument for what a GIF does not have."""
        super().check(size, settings)
        if settings.quality == "lossless":
            raise InvalidArgument(
                f"a GIF has {_COLOURS} colours a picture, so it can't be lossless; record to .apng, which browsers "
                f"show, too, or pass quality='screen'"
            )

    def _how(self) -> str:
        return f"GIF: up to {self._most} colours in each changed rectangle, the nearest where it has more"

    @property
    def _most(self) -> int:
        return _FEW_COLOURS if self.settings.quality == "small" else _COLOURS

    def _header(self) -> bytes:
        return b"GIF89a" + struct.pack("<HHBBB", *self.size, _EIGHT_BITS, 0, 0) + _FOREVER

    def _corrections(self, frames: int, nbytes: int) -> Mapping[int, bytes]:  # noqa: ARG002
        return {}

    def _frame(self, whole: Rect, patches: list[Patch], ticks: int) -> bytes:
        is_whole = patches[0].differs is None and patches[0].rect == whole
        indices, colours = _indexed(whole, patches, self._most if is_whole else self._most - 1)
        flags, transparent = (_KEEP, 0) if is_whole else (_KEEP | _TRANSPARENT, len(colours))
        bits = max((len(colours) + (not is_whole) - 1).bit_length(), 1)
        table = np.zeros((1 << bits, 3), np.uint8)
        for channel in range(3):
            table[: len(colours), channel] = colours >> np.uint32(16 - 8 * channel) & np.uint32(0xFF)
        control = _CONTROL + struct.pack("<BHBB", flags, ticks, transparent, 0)
        place = struct.pack("<HHHHB", whole.x, whole.y, whole.width, whole.height, _TABLE | bits - 1)
        return b"".join((control, _IMAGE, place, table.tobytes(), _compressed(indices)))


def _indexed(whole: Rect, patches: list[Patch], most: int) -> tuple[NDArray[np.uint8], NDArray[np.uint32]]:
    """Return indices of a rectangle, and its colours; the index after the last colour is where nothing differs.

    The colours that are shown are written into the patches.
    """
    changed = [each.pixels.ravel() if each.differs is None else each.pixels[each.differs] for each in patches]
    joined = changed[0] if len(changed) == 1 else np.concatenate(changed)
    if not len(joined):
        return np.zeros((whole.height, whole.width), np.uint8), np.empty(0, np.uint32)
    found, colours = indexed(joined, most)
    shown = (colours | OPAQUE)[found]
    indices = np.full((whole.height, whole.width), min(len(colours), 0xFF), np.uint8)
    at = 0
    for (rect, pixels, differs), part in zip(patches, changed, strict=True):
        where = ... if differs is None else differs
        here, shape = slice(at, at + len(part)), pixels.shape if differs is None else (len(part),)
        indices[rect.moved(-whole.x, -whole.y).slices][where] = found[here].reshape(shape)
        pixels[where] = shown[here].reshape(shape)
        at += len(part)
    return indices, colours


def _compressed(indices: NDArray[np.uint8]) -> bytes:
    """Return the number of bits of an index, and the indices as blocks of LZW, with the empty one that ends them."""
    with limits.loading():
        from PIL import Image  # noqa: PLC0415 - it takes as long to import as a grab of ten frames

    height, width = indices.shape
    image = Image.frombuffer("P", (width, height), indices, "raw", "P", 0, 1)
    image.putpalette(bytes(3 * _COLOURS))
    buffer = io.BytesIO()
    image.save(buffer, "GIF", interlace=0, optimize=False)
    data = buffer.getvalue()
    at = _HEADER + 3 * (2 << (data[10] & 7))  # behind Pillow's palette
    while data[at : at + 1] == _CONTROL[:1]:  # an extension: its kind, and blocks up to an empty one
        at += 2
        while data[at]:
            at += 1 + data[at]
        at += 1
    assert data[at : at + 1] == _IMAGE  # noqa: S101 - GIF89a, section 20
    return data[at + _DESCRIPTOR : -1]
