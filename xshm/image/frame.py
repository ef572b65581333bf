"""Frame: pixels, where they are from, when they were taken.

A frame's pixels do not change while the frame, or any view of them, is held: neither by later grabs nor by closing
what it came from. They are ordinary writable memory of this process; writing to them changes this frame and no other.
Only the frames of a stream with `on_change` are read-only, since the next ones are built on their memory.
`torch.from_dlpack` of a frame or its `pixels`, and any other consumer of DLPack, shares writable memory and gets a copy
of read-only memory, since PyTorch ignores that it is read-only. After fork a child sees its parent's memory, which the
parent may use again: give the child a `copy()`.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, Self

from xshm.errors import Closed, InvalidArgument, InvalidType
from xshm.image import dlpack
from xshm.image.bounding_shape import clear_outside
from xshm.image.files import encode
from xshm.pixels import to_rgb
from xshm.system import limits
from xshm.system.printable import quoted

if TYPE_CHECKING:
    import os

    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from xshm._arguments import Colours
    from xshm.geometry import Rect
    from xshm.image.cursor import Cursor
    from xshm.image.difference import Difference
    from xshm.image.files.encode import Encoded
    from xshm.pixels.format import PixelFormat

    Colormap = NDArray[np.integer[Any]]
else:
    from xshm._numpy import np


class Frame:
    """One picture.

    `rect` is where it is from, in the coordinates of the screen or window it was taken of; `monotonic_ns` when
    (`time.monotonic_ns()` just after the server had copied it); `sequence` counts the frames of one source; `format`
    is the layout of `pixels`; `colormap` the (n, 3) colours that palette formats index; `changed` the rectangles that
    differ from the stream's last frame, None where that was not asked for; `cursor` the pointer as a layer of its own,
    None where it was not asked for or is not shown; `bounding_shape` the rectangles that are the window's own where the
    window has a shape (SHAPE), counted from the frame's corner as those of `changed`, None where all of the frame is.

    What has alpha: `rgba`, `image` and files have straight alpha, as other programs mean it, where X keeps colours
    multiplied by alpha (premultiplied); outside of a window's shape they are transparent. `pixels` is what the server
    has. `rgb`, `bgr`, `gray`, `pixel` and `diff`, files of kinds without alpha (JPEG, BMP, PPM, …), and what is waited
    for, are the picture over black, which is the premultiplied colours as they are.

    A frame is a context manager (leaving it is `release()`), outlives its Screen, and pickles by value.
    """

    __slots__ = (
        *("__weakref__", "_memory", "_pixels"),
        *("bounding_shape", "changed", "colormap", "cursor", "format", "monotonic_ns", "rect", "sequence"),
    )

    def __init__(
        self,
        pixels: NDArray[Any] | None,
        rect: Rect,
        monotonic_ns: int,
        sequence: int,
        format: PixelFormat,  # noqa: A002 - the public name of the attribute
        colormap: Colormap | None = None,
        memory: Any = None,
    ) -> None:
        # One of the two is given: an array, or the memory that it is made over when it is first asked for.
        self._pixels = pixels
        self._memory = memory
        self.rect = rect
        self.monotonic_ns = monotonic_ns
        self.sequence = sequence
        self.format = format
        self.colormap = colormap
        self.changed: tuple[Rect, ...] | None = None
        self.cursor: Cursor | None = None
        self.bounding_shape: tuple[Rect, ...] | None = None

    # -- the memory ----------------------------------------------------------------------------------------------

    @property
    def pixels(self) -> NDArray[Any]:
        """The picture's memory as the server wrote it, shape and dtype as `PixelFormat` has them.

        (height, width, 4) uint8, B G R X, on 24- and 32-bit screens; the X byte is undefined on the former. No copy: a
        view of it, however small, keeps the whole slot from being used again until it dies.
        """
        pixels = self._pixels
        if pixels is None:
            memory, rect = self._memory, self.rect
            if memory is None:
                raise Closed("this frame was released; take its pixels, or a copy(), before that")
            shape, dtype, strides = self.format.layout(rect.width, rect.height)
            self._pixels = pixels = np.ndarray(shape, dtype, memory, 0, strides)
            if self._memory is None:  # another thread released it meanwhile: the hold is dropped again
                self._pixels = None
        return pixels

    @property
    def memory(self) -> tuple[Any, int] | None:
        """The buffer behind `pixels` and its bytes from row to row; None where they were made as an array, or released.

        For who can do without numpy. The buffer may be larger than the picture.
        """
        return None if self._memory is None else (self._memory, self.format.stride(self.rect.width))

    @property
    def shared(self) -> bool:
        """Whether `pixels` is memory that the server wrote to: a slot, of which there are `Screen.max_frames`.

        False where the frame has memory of its own: a copy, one that was unpickled, one that came when all slots were
        held (`Screen.stats().copies`) or over the core protocol. False, too, once it was released.
        """
        return not (self._memory is None or isinstance(self._memory, bytearray))

    def release(self) -> None:
        """Drop the frame's own hold on its memory. Views taken before stay valid; the frame itself is done with."""
        self._pixels = self._memory = None

    def copy(self) -> Frame:
        """Return the same picture in memory of its own, which pins no slot and may be kept for as long as you like."""
        colormap = None if self.colormap is None else self.colormap.copy()
        frame = Frame(np.array(self.pixels), self.rect, self.monotonic_ns, self.sequence, self.format, colormap)
        frame.changed = self.changed
        frame.cursor = self.cursor
        frame.bounding_shape = self.bounding_shape
        return frame

    def _make_read_only(self, *, shared: bool) -> None:
        """Take away the right to write `pixels` for good, and say whether their memory is shared with the server.

        An array's own flag can be set again where what it stands on is writable. Of a view numpy looks through
        `ndarray(buffer=…)` at the object below, so the array stands on another one, which `frombuffer` makes.
        """
        from xshm.image.read_only_array import ReadOnlyArray  # noqa: PLC0415 - it loads numpy

        whole = np.frombuffer(memoryview(self._memory).toreadonly(), np.uint8)
        shape, dtype, strides = self.format.layout(self.rect.width, self.rect.height)
        self._pixels = ReadOnlyArray(shape, dtype, whole, 0, strides)
        self._memory = whole if shared else None

    @property
    def width(self) -> int:
        """Pixels in a row."""
        return self.rect.width

    @property
    def height(self) -> int:
        """Rows."""
        return self.rect.height

    @property
    def size(self) -> tuple[int, int]:
        """(width, height), as a Pillow image's."""
        return self.rect.width, self.rect.height

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return dlpack.as_array(self.pixels, dtype, copy)

    def __dlpack__(
        self,
        *,
        stream: Any = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any:
        """Export `pixels` without a copy where they are writable; as a copy where not (a stream with `on_change`).

        Raises ReadOnlyMemory, a BufferError, for read-only pixels and copy=False. (DLPack 1.0, Python array API)
        """
        return dlpack.export(self.pixels, stream, max_version, dl_device, copy)

    def __dlpack_device__(self) -> tuple[int, int]:
        """Return where `pixels` are: (1, 0), the processor's memory."""
        return self.pixels.__dlpack_device__()

    def __reduce__(self) -> tuple[Any, ...]:
        state = (self.changed, self.cursor, self.bounding_shape)
        pixels = np.array(self.pixels)
        arguments = (pixels, self.rect, self.monotonic_ns, self.sequence, self.format, self.colormap)
        return _restore, (arguments, state)

    def __repr__(self) -> str:
        state = " released" if self._pixels is None and self._memory is None else ""
        return f"<Frame {self.rect} {self.format} #{self.sequence}{state}>"

    # -- colours ---------------------------------------------------------------------------------------------------

    def rgb(self, out: NDArray[Any] | None = None, dtype: Any = "uint8") -> NDArray[Any]:
        """Return (height, width, 3) R G B, contiguous, in `out` where that is given. What has alpha is over black.

        With dtype=numpy.uint16 the full depth of 30-bit screens is kept; values are scaled so that the brightest is the
        dtype's greatest.
        """
        return to_rgb.rgb(self.pixels, self.format, out=out, dtype=dtype, colormap=self.colormap, width=self.rect.width)

    def bgr(self, out: NDArray[Any] | None = None, dtype: Any = "uint8") -> NDArray[Any]:
        """Return (height, width, 3) B G R, contiguous: OpenCV's order. What has alpha is over black."""
        return to_rgb.bgr(self.pixels, self.format, out=out, dtype=dtype, colormap=self.colormap, width=self.rect.width)

    def rgba(self, out: NDArray[Any] | None = None, dtype: Any = "uint8") -> NDArray[Any]:
        """Return (height, width, 4) R G B A, contiguous, straight alpha, in `out` where that is given.

        A is opaque except where the format has alpha (depth 32). There colours are divided by it, rounded to the
        nearest, and 0 where it is 0. Outside of a window's shape all four are 0.
        """
        found = to_rgb.rgba(
            self.pixels, self.format, out=out, dtype=dtype, colormap=self.colormap, width=self.rect.width
        )
        if self.bounding_shape is not None:
            clear_outside(found, self.bounding_shape)
        return found

    def gray(self, out: NDArray[Any] | None = None, dtype: Any = "uint8") -> NDArray[Any]:
        """Return (height, width) luma (ITU-R BT.601, as Pillow's "L" and OpenCV's GRAY); with alpha, over black."""
        return to_rgb.gray(
            self.pixels, self.format, out=out, dtype=dtype, colormap=self.colormap, width=self.rect.width
        )

    def pixel(self, x: int, y: int) -> tuple[int, int, int]:
        """Return the colour (red, green, blue), 0 to 255, over black, at x, y in the frame's coordinates (`rect`)."""
        try:
            column, row = operator.index(x) - self.rect.x, operator.index(y) - self.rect.y
        except TypeError:
            raise InvalidType(f"a pixel is at whole numbers x, y; not at {quoted(x)}, {quoted(y)}") from None
        if not (0 <= column < self.rect.width and 0 <= row < self.rect.height):
            raise InvalidArgument(f"the pixel {quoted(x)}, {quoted(y)} is not in this frame, which is {self.rect}")
        each = max(8 // self.format.bits_per_pixel, 1)  # pixels that share a byte
        one = self.pixels[row : row + 1, column // each : column // each + 1]
        colours = to_rgb.rgb(one, self.format, colormap=self.colormap, converter="numpy")
        red, green, blue = colours[0, column % each].tolist()
        return red, green, blue

    # -- files -----------------------------------------------------------------------------------------------------

    def image(self) -> Image.Image:
        """Return a Pillow image of its own memory: "RGB", "L" for formats of shades, "RGBA" where there is alpha.

        That is at depth 32, and in a window with a shape. Alpha is straight, as in `rgba`.
        """
        return encode.image_of(self)

    def png(self, level: int = 1, *, colours: Colours = "auto") -> bytes:
        """Return a PNG file. `level` 1 is by far the fastest, 9 the smallest, 0 does not compress.

        Up to 256 colours become a palette, and screens of shades a gray file, which readers may give back as
        (height, width): with colours="rgb" it is always RGB, and RGBA at depth 32.
        """
        return encode.encode_frame(self, level=level, colours=colours).data

    def jpeg(self, quality: int = 85, *, colours: Colours = "auto") -> bytes:
        """Return a JPEG file; `quality` 1 to 100. It is gray for screens of shades, unless colours="rgb".

        What has alpha is over black, as is what lies outside of a shape.
        """
        return encode.encode_frame(self, "JPEG", quality=quality, colours=colours).data

    def encode(
        self,
        kind: str = "PNG",
        *,
        max_edge: int | None = None,
        level: int = 1,
        quality: int = 85,
        colours: Colours = "auto",
    ) -> Encoded:
        """Return a file of `kind` ("PNG", "JPEG", "WEBP", …), no edge longer than `max_edge`, with its size and scale.

        `Encoded.to_source` takes a point of the small picture back to this frame's corner, for a click to be mapped.
        With colours="rgb" the file has three channels, and alpha at depth 32, whatever the picture; kinds that can't
        (GIF) are refused with InvalidArgument. With "auto" it has what the picture needs: see `png`.
        """
        return encode.encode_frame(self, kind, max_edge=max_edge, level=level, quality=quality, colours=colours)

    def save(
        self, path: str | os.PathLike[str], *, level: int = 1, quality: int = 85, colours: Colours = "auto"
    ) -> None:
        """Write the picture to a file, of the kind that its suffix names: .png, .jpg and what Pillow writes.

        `colours` is "auto" or "rgb", as `encode` has it: with "rgb" the file reads back as (height, width, 3), or 4 at
        depth 32.

        A file that was there keeps its mode and links, and its picture until all of this one is written. Raises OSError
        with the file's name: the disk is full, the place can't be written.
        """
        encode.save_frame(path, self, level=level, quality=quality, colours=colours)

    # -- comparing -------------------------------------------------------------------------------------------------

    def diff(self, other: Frame) -> Difference:
        """Tell where this picture and another of the same size differ, over black.

        Neither alpha nor undefined bytes count. Rectangles are counted from the frames' corner. Frames of different
        formats are compared as RGB.
        """
        with limits.loading():
            from xshm.image.difference import difference  # noqa: PLC0415 - a screenshot does not pay for it

        if not isinstance(other, Frame):
            raise InvalidType(f"a frame is compared with a frame, not with {type(other).__name__}")
        if (self.width, self.height) != (other.width, other.height):
            raise InvalidArgument(
                f"frames of different sizes can't be compared: "
                f"{self.width}x{self.height} and {other.width}x{other.height}"
            )
        if self._comparable(other):
            return difference(to_rgb.differs(self.pixels, other.pixels, self.format, width=self.width))
        return difference((self.rgb() != other.rgb()).any(axis=2))

    def _comparable(self, other: Frame) -> bool:
        if self.format != other.format:
            return False
        return self.colormap is other.colormap or (
            self.colormap is not None and other.colormap is not None and np.array_equal(self.colormap, other.colormap)
        )


def _restore(arguments: tuple[Any, ...], state: tuple[Any, Any, Any]) -> Frame:
    frame = Frame(*arguments)
    frame.changed, frame.cursor, frame.bounding_shape = state
    return frame
