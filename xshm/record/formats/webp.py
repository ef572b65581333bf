"""Animated WebP: the container is ours, so that frames are written one by one; each one's pixels are by Pillow.

Frames begin at even coordinates. They are exact, except with quality="small", which loses colours and sharpness as JPEG
does. The number of bytes in the file's header is corrected after each frame, so that it can't be written to a pipe.
"""

from __future__ import annotations

import errno
import io
import struct
from typing import TYPE_CHECKING, ClassVar, Final

from xshm.errors import InvalidArgument, MissingExtra
from xshm.geometry import Rect
from xshm.record.formats.animation import Animation, Patch
from xshm.system import limits

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy as np

    from xshm.record.formats.growing_file import Output
    from xshm.record.sinks.settings import Settings
else:
    from xshm._numpy import np

_ANIMATED, _HAS_ALPHA = 0x02, 0x10  # VP8X
_BLENDED: Final = 0  # ANMF: drawn over the frame before, which stays
_LOSSLESS: Final[Mapping[str, object]] = {"lossless": True, "quality": 0, "method": 0}  # 84 ms of 1080p; others 800
_LOSSY: Final[Mapping[str, object]] = {"quality": 70, "method": 2}
_MOST_BYTES: Final = 0xFFFFFFF6 - 64  # with the header
_SIZE_AT: Final = 4  # where the number of the bytes behind it is
_STILL: Final = (b"ALPH", b"VP8 ", b"VP8L")  # the chunks of a still picture that a frame consists of


class WebpSink(Animation):
    """A recording as an animated WebP."""

    kind: ClassVar = "WebP"
    ticks: ClassVar = 1000
    shortest: ClassVar = 11  # browsers show what is to last 10 ms or less for 100 ms
    longest: ClassVar = 0xFFFFFF
    most_edge: ClassVar = 16383
    trailer: ClassVar = b""

    def __init__(self, output: Output, size: tuple[int, int], settings: Settings) -> None:
        super().__init__(output, size, settings)
        if not self._file.is_corrected:
            raise InvalidArgument(
                "a WebP begins with its number of bytes, so it can't be written to a pipe; name a file, or record as "
                "APNG, GIF or y4m"
            )

    @classmethod
    def check(cls, size: tuple[int, int], settings: Settings) -> None:
        """Raise InvalidArgument for what a WebP does not have; MissingExtra where Pillow can't write one."""
        super().check(size, settings)
        with limits.loading():
            from PIL import features  # noqa: PLC0415 - as in `_still`

        if not features.check("webp"):
            raise MissingExtra("this Pillow was built without WebP; install its wheel (pip install pillow)")

    def _how(self) -> str:
        if self.settings.quality == "small":
            return f"WebP: VP8 of quality {_LOSSY['quality']}, colours of 2x2 pixels in one"
        return "WebP: the exact pixels (VP8L)"

    def _header(self) -> bytes:
        width, height = self.size
        described = struct.pack("<B3x", _ANIMATED | _HAS_ALPHA) + _three_bytes(width - 1) + _three_bytes(height - 1)
        loops = struct.pack("<IH", 0, 0)  # over a transparent background, forever
        return b"RIFF\0\0\0\0WEBP" + _chunk(b"VP8X", described) + _chunk(b"ANIM", loops)

    def _corrections(self, frames: int, nbytes: int) -> Mapping[int, bytes]:  # noqa: ARG002
        return {_SIZE_AT: struct.pack("<I", nbytes - _SIZE_AT - 4)}

    def _frame(self, whole: Rect, patches: list[Patch], ticks: int) -> bytes:
        whole = Rect.from_ltrb(whole.x & ~1, whole.y & ~1, whole.right, whole.bottom)
        numbers = (whole.x // 2, whole.y // 2, whole.width - 1, whole.height - 1, ticks)
        control = b"".join(map(_three_bytes, numbers)) + bytes((_BLENDED,))
        frame = _chunk(b"ANMF", control + self._still(whole, patches))
        if self._file.end + len(frame) > _MOST_BYTES:
            raise OSError(errno.EFBIG, "a WebP has at most 4 GiB, and this one is full; record to .apng, .mp4 or .mkv")
        return frame

    def _still(self, whole: Rect, patches: list[Patch]) -> bytes:
        """Return the chunks of a still picture of a rectangle."""
        with limits.loading():
            from PIL import Image  # noqa: PLC0415 - it takes as long to import as a grab of ten frames

        samples = np.zeros((whole.height, whole.width), "<u4")
        for rect, pixels, differs in patches:
            samples[rect.moved(-whole.x, -whole.y).slices] = pixels if differs is None else pixels * differs
        is_opaque = len(patches) == 1 and patches[0].differs is None and patches[0].rect == whole
        mode, raw = ("RGB", "BGRX") if is_opaque else ("RGBA", "BGRA")
        image = Image.frombytes(mode, (whole.width, whole.height), samples.data, "raw", raw, 0, 1)
        buffer = io.BytesIO()
        # Small changes far apart are mostly transparent, which VP8 takes 44 ms of 1080p for, and VP8L 9.
        is_dense = 2 * sum(each.pixels.size for each in patches) >= samples.size
        image.save(buffer, "WEBP", **(_LOSSY if self.settings.quality == "small" and is_dense else _LOSSLESS))
        return b"".join(_chunk(name, data) for name, data in _chunks(buffer.getvalue()) if name in _STILL)


def _chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) & 1)


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield name and data of each chunk of a WebP."""
    at = 12  # behind RIFF, a size, WEBP
    while at < len(data):
        name, size = struct.unpack_from("<4sI", data, at)
        yield name, data[at + 8 : at + 8 + size]
        at += 8 + size + (size & 1)


def _three_bytes(number: int) -> bytes:
    return number.to_bytes(3, "little")
