"""Frame: one picture of a screen, window or pixmap: its pixels, their rectangle, the time, and conversions of them.

Always true:

1. Pixels do not change while the frame, or any view of them, is alive: neither later grabs nor closing the screen write
   to that memory.
2. They are writable memory of this process; writing to them changes this frame and no other. Only frames of a stream
   with `on_change` are read-only, since the next frames are built on their memory; and unpickled ones (protocol 5) of
   such, or over buffers that are read-only.
3. Consumers of DLPack (`torch.from_dlpack`) share writable memory; of read-only memory they get a copy, since PyTorch
   ignores the flag.

What does not work: frames after fork. A child sees its parent's memory, which the parent may use for another frame:
give the child a `copy()`.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, Final, Self, SupportsIndex

from xshm import _arguments
from xshm.errors import Closed, InvalidArgument, InvalidType, OutOfBounds
from xshm.geometry import Sized, as_rect
from xshm.image.dlpack import ArrayExport
from xshm.image.files import encode, png_stdlib
from xshm.image.files.encode import Encoded
from xshm.pixels import to_rgb
from xshm.pixels.bounding_shape import clear_outside
from xshm.pixels.format import PixelFormat
from xshm.pixels.raster import Raster
from xshm.system import limits
from xshm.system.atomic_write import replace_file
from xshm.system.printable import quoted

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from xshm._arguments import Colours
    from xshm.geometry import Rect, Region
    from xshm.image.cursor import Cursor
    from xshm.image.difference import Difference

    Colormap = NDArray[np.integer[Any]]
else:
    from xshm._numpy import np

_OUT_OF_BAND: Final = 5  # the protocol of pickle that can leave buffers out


class Frame(Sized, ArrayExport):
    """One picture.

    - `rect`: where it is from, in the coordinates of the screen, window or pixmap that was grabbed.
    - `monotonic_ns`: when it was grabbed: `time.monotonic_ns()` just after the server had copied it.
    - `sequence` counts the frames of one source.
    - `format` is the layout of `pixels`; `colormap` the (n, 3) colours that pixels of palette formats index.
    - `changed`: the rectangles that differ from the stream's last frame; None without `on_change`.
    - `cursor`: the pointer as a layer of its own; None where it was not requested or is not shown.
    - `bounding_shape`: the rectangles that are the window's own, where the window has a shape (SHAPE); None where all
      of the frame is.

    Coordinates: all that a frame says or takes is in those of its source, the screen, window or pixmap that was
    grabbed: `rect`, `changed`, `bounding_shape`, `cursor`, `pixel`, `diff`, and what `encode` returns. Only arrays are
    indexed from the frame's own corner; `slices` leads from the one to the other.

        0,0 ---------------------------------------> x of the screen
         |
         |   screen.grab((100, 50, 300, 200))
         |   +-------------------------------------+    frame.rect == Rect(100, 50, 300, 200)
         |   |pixels[0, 0] is pixel(100, 50)       |
         |   |                                     |
         |   |     +-------------+                 |    frame.changed == (Rect(130, 120, 90, 40),)
         |   |     |             |                 |    frame.pixels[70:110, 30:120]
         |   |     +-------------+                 |      is frame.pixels[frame.slices(frame.changed[0])]
         |   +-------------------------------------+
         v y of the screen

    Alpha: `rgba`, `image` and files have straight alpha, as most programs do, where X keeps colours multiplied by alpha
    (premultiplied); outside of a window's shape they are transparent. `pixels` is what the server has. `rgb`, `bgr`,
    `gray`, `pixel` and `diff`, files of kinds without alpha (JPEG, BMP, PPM, …), and the pictures that waits compare,
    are over black, which is the premultiplied colours as they are.

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
        # An array, or memory over which the array is made when `pixels` is first read: a grab is faster without the
        # array, and a PNG written without numpy never needs it.
        self._pixels = pixels
        self._memory = memory
        self.rect = rect
        self.monotonic_ns = monotonic_ns
        self.sequence = sequence
        self.format = format
        self.colormap = colormap
        # Set by the maker of the frame, after the constructor: most frames have none of the three.
        self.changed: tuple[Rect, ...] | None = None
        self.cursor: Cursor | None = None
        self.bounding_shape: tuple[Rect, ...] | None = None

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
            if self._memory is None:  # another thread called release() meanwhile: keep no reference here either
                self._pixels = None
        return pixels

    @property
    def memory(self) -> tuple[memoryview, int] | None:
        """A view of the bytes behind `pixels`, and how many there are from row to row; for code without numpy.

        There may be more than the picture has. None for a frame that has only an array, or was released.
        """
        memory = self._memory  # a reference: another thread may call release() meanwhile
        return None if memory is None else (memoryview(memory).cast("B"), self.format.stride(self.rect.width))

    @property
    def shared(self) -> bool:
        """Whether `pixels` is memory that the server wrote to: a slot, of which there are `Screen.max_frames`.

        False where the frame has memory of its own: a copy, an unpickled frame, one grabbed while all slots were in use
        (`Screen.stats().copies`) or over the core protocol. False for a released frame too.
        """
        return not (self._memory is None or isinstance(self._memory, bytearray))

    def release(self) -> None:
        """Drop the frame's reference to its memory. Views taken before stay valid; the frame can't be used any more."""
        self._pixels = self._memory = None

    def copy(self) -> Frame:
        """Return the same picture in memory of its own, which occupies no slot and may be kept as long as you like."""
        make, parts = self.__reduce__()
        return make(*parts)

    def _make_read_only(self, *, shared: bool) -> None:
        """Make `pixels` read-only for good; `shared` is whether their memory is the server's too.

        An array's flag can be set again while its base is writable, and numpy takes the buffer of `ndarray(buffer=…)`
        for the base. So the base is a second array, which `frombuffer` makes over a read-only memoryview.
        """
        from xshm.image.read_only_array import ReadOnlyArray  # noqa: PLC0415 - it loads numpy

        whole = np.frombuffer(memoryview(self._memory).toreadonly(), np.uint8)
        shape, dtype, strides = self.format.layout(self.rect.width, self.rect.height)
        self._pixels = ReadOnlyArray(shape, dtype, whole, 0, strides)
        # `shared` (the property) is derived from this: of memory that is the frame's own, the array is enough.
        self._memory = whole if shared else None

    @property
    def size(self) -> tuple[int, int]:
        """(width, height), as a Pillow image's."""
        return self.rect.width, self.rect.height

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def __reduce__(self) -> tuple[Callable[..., Frame], tuple[Any, ...]]:
        # By value: another process can't have the slot, so it gets memory of its own. The colormap is copied too, for
        # `copy`: a caller who changes one frame's colours does not change the other's.
        colormap = None if self.colormap is None else self.colormap.copy()
        return self._reduced(np.array(self.pixels), colormap)

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[Callable[..., Frame], tuple[Any, ...]]:
        # From protocol 5 on, who pickles copies the pixels, or takes them as a buffer of their own (PEP 574), which is
        # contiguous and holds the slot until it dies.
        if operator.index(protocol) < _OUT_OF_BAND:
            return self.__reduce__()
        return self._reduced(np.ascontiguousarray(self.pixels).view(np.ndarray), self.colormap)

    def _reduced(self, pixels: NDArray[Any], colormap: Colormap | None) -> tuple[Callable[..., Frame], tuple[Any, ...]]:
        arguments = (pixels, self.rect, self.monotonic_ns, self.sequence, self.format, colormap)
        return _restore, (arguments, (self.changed, self.cursor, self.bounding_shape))

    def __repr__(self) -> str:
        state = " released" if self._pixels is None and self._memory is None else ""
        return f"<Frame {self.rect} {self.format} #{self.sequence}{state}>"

    def rgb(self, out: NDArray[Any] | None = None, dtype: Any = "uint8") -> NDArray[Any]:
        """Return (height, width, 3) R G B, contiguous, in `out` where that is given; a picture with alpha over black.

        With dtype=numpy.uint16 the full depth of 30-bit screens is kept; values are scaled so that the brightest is the
        dtype's greatest.
        """
        return to_rgb.rgb(self._raster(), out=out, dtype=dtype)

    def bgr(self, out: NDArray[Any] | None = None, dtype: Any = "uint8") -> NDArray[Any]:
        """Return (height, width, 3) B G R, contiguous: OpenCV's order. A picture with alpha is over black."""
        return to_rgb.bgr(self._raster(), out=out, dtype=dtype)

    def rgba(self, out: NDArray[Any] | None = None, dtype: Any = "uint8") -> NDArray[Any]:
        """Return (height, width, 4) R G B A, contiguous, straight alpha, in `out` where that is given.

        A is opaque except where the format has alpha (depth 32). There colours are divided by it, rounded to the
        nearest, and 0 where it is 0. Outside of a window's shape all four are 0.
        """
        found = to_rgb.rgba(self._raster(), out=out, dtype=dtype)
        # After the conversion: outside of a shape memory has whatever the server left there, alpha included.
        if self.bounding_shape is not None:
            clear_outside(found, self.bounding_shape, self.rect)
        return found

    def gray(self, out: NDArray[Any] | None = None, dtype: Any = "uint8") -> NDArray[Any]:
        """Return (height, width) brightness (ITU-R BT.601, as Pillow's "L", OpenCV's GRAY); with alpha, over black."""
        return to_rgb.gray(self._raster(), out=out, dtype=dtype)

    def slices(self, region: Region) -> tuple[slice, slice]:
        """Return the rows and columns of a part, to index an array of this frame: `frame.rgb()[frame.slices(rect)]`.

        `region` is in the coordinates of `rect`, such as one of `changed`; one that leaves the frame is OutOfBounds.
        `pixels` can be indexed by them too, but for depths 1 and 4, where a byte has several pixels.
        """
        whole = self.rect
        part = as_rect(region, lambda: whole)
        if not whole.contains(part):
            raise OutOfBounds(f"the region {part} leaves this frame, which is {whole}")
        return part.moved(-whole.x, -whole.y).slices

    def pixel(self, x: int, y: int) -> tuple[int, int, int]:
        """Return the colour (red, green, blue), 0 to 255, over black, at x, y in the coordinates of `rect`."""
        column, row = (_arguments.integer(each, "a pixel is at whole numbers x, y") for each in (x, y))
        column, row = column - self.rect.x, row - self.rect.y
        if not (0 <= column < self.rect.width and 0 <= row < self.rect.height):
            raise InvalidArgument(f"the pixel {quoted(x)}, {quoted(y)} is not in this frame, which is {self.rect}")
        each = max(8 // self.format.bits_per_pixel, 1)  # pixels a byte
        # Converts one pixel, or the pixels of its byte; for so few, importing OpenCV would not pay.
        one = self.pixels[row : row + 1, column // each : column // each + 1]
        colours = to_rgb.rgb(Raster(one, self.format, self.colormap), converter="numpy")
        red, green, blue = colours[0, column % each].tolist()
        return red, green, blue

    def image(self) -> Image.Image:
        """Return a Pillow image of its own memory: "RGB", "L" for formats of shades, "RGBA" where there is alpha.

        That is at depth 32, and in a window with a shape. Alpha is straight, as in `rgba`.
        """
        return encode.image(self._shown())

    def png(self, level: int = 1, *, colours: Colours = "auto") -> bytes:
        """Return a PNG file. `level` 1 is by far the fastest, 9 the smallest, 0 does not compress.

        Up to 256 colours become a palette (fewer in a process that has not loaded numpy), and screens of shades a gray
        file, which readers may return as (height, width): with colours="rgb" it is always RGB, and RGBA at depth 32.
        """
        return self.encode(level=level, colours=colours).data

    def jpeg(self, quality: int = 85, *, colours: Colours = "auto") -> bytes:
        """Return a JPEG file; `quality` 1 to 100. It is gray for screens of shades, unless colours="rgb".

        A picture with alpha is over black, as is the outside of a window's shape.
        """
        return self.encode("JPEG", quality=quality, colours=colours).data

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

        `Encoded.to_source` maps a point of the small picture to where it is on the screen, or in the window or pixmap
        that was grabbed: to a place to click.
        With colours="rgb" the file has three channels, and alpha at depth 32, whatever the picture; kinds that can't
        (GIF) are refused with InvalidArgument. With "auto" it has what the picture needs: see `png`.
        """
        name = encode.known(kind)
        encode.check_colours(colours, name)
        width, height, memory = self.rect.width, self.rect.height, self.memory
        # Whether the picture is to be written in its full size.
        whole = max_edge is None or _arguments.integer(max_edge, "max_edge is a whole number") >= max(width, height)
        # A process that has not loaded numpy writes the usual PNG without, since its import takes longer.
        if name == "PNG" and memory and whole and self.bounding_shape is None and png_stdlib.serves(self.format):
            data = png_stdlib.png(*memory, width, height, self.format, level, colours)
            return Encoded(data, width, height, self.rect, name)
        raster = self._shown()
        with limits.loading():  # numpy loads parts of itself when they are first used
            return encode.encode(
                raster, name, source=self.rect, max_edge=max_edge, level=level, quality=quality, colours=colours
            )

    def save(
        self, path: str | os.PathLike[str], *, level: int = 1, quality: int = 85, colours: Colours = "auto"
    ) -> None:
        """Write the picture to a file, of the kind that its suffix names: .png, .jpg and what Pillow writes.

        `colours` is "auto" or "rgb", as `encode` has it: with "rgb" the file reads back as (height, width, 3), or 4 at
        depth 32.

        An existing file keeps its mode and links, and its picture until all of this one is written. Raises OSError with
        the file's name: the disk is full, or the place can't be written.
        """
        # Encoded before the file is opened: an error in between leaves the former file.
        made = self.encode(encode.by_suffix(path), level=level, quality=quality, colours=colours)
        replace_file(path, made.data)

    def _raster(self) -> Raster:
        return Raster(self.pixels, self.format, self.colormap, self.rect.width)

    def _shown(self) -> Raster:
        """Return the pixels; those of a window with a shape as premultiplied R G B A, 0 outside of the shape."""
        # Premultiplied, as `PixelFormat.RGBA` is: encoders divide by alpha, or scale first.
        return self._raster() if self.bounding_shape is None else Raster(self._premultiplied(), PixelFormat.RGBA)

    def _premultiplied(self) -> NDArray[np.uint8]:
        """Return (height, width, 4) R G B A, colours multiplied by alpha, all four 0 outside of a window's shape."""
        rgba = to_rgb.premultiplied(self._raster())
        if self.bounding_shape is not None:
            clear_outside(rgba, self.bounding_shape, self.rect)
        return rgba

    def diff(self, other: Frame) -> Difference:
        """Return where this picture and another of the same size differ, over black.

        Neither alpha nor undefined bytes count. Rectangles are in the coordinates of this frame, also where the other
        one is of another place. Frames of different formats are compared as RGB.
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
        if self._comparable(other):  # then pixel values can be compared, without making colours
            mask = to_rgb.differs(self._raster(), other._raster())
        else:
            mask = (self.rgb() != other.rgb()).any(axis=2)
        return difference(mask, (self.rect.x, self.rect.y))

    def _comparable(self, other: Frame) -> bool:
        if self.format != other.format:
            return False
        # Equal indices are equal colours only with equal colormaps.
        return self.colormap is other.colormap or (
            self.colormap is not None and other.colormap is not None and np.array_equal(self.colormap, other.colormap)
        )


def _restore(arguments: tuple[Any, ...], state: tuple[Any, Any, Any]) -> Frame:
    """Make a frame, unpickled or copied, of what `Frame.__reduce__` has returned."""
    frame = Frame(*arguments)
    frame.changed, frame.cursor, frame.bounding_shape = state
    return frame
