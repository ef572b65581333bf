"""Colours out of pixels: rgb, bgr, rgba, gray, right for every format that `PixelFormat` takes.

Channels derive from the visual's masks and, where pixels are indices, from the colormap. All functions take `pixels`
as `PixelFormat.layout` shapes them (a crop or any other strided view will do) and these keywords:

- `out`: the array to fill and return; of exactly the result's shape and dtype, writable, with any strides, not
  overlapping the pixels. `InvalidArgument` says what was expected and got, before anything is written.
- `dtype`: numpy.uint8, or numpy.uint16, which keeps the 10 bits of depth 30. Channels are scaled so that the brightest
  is the dtype's greatest, rounded to the nearest.
- `colormap`: (n, 3) uint8 or uint16, needed where `PixelFormat.needs_colormap`; row n as `colormap_pixels` says.
- `width`: pixels in a row, for 1 and 4 bits per pixel, whose rows fill whole bytes; without it, all that these hold.
- `converter`: "auto" is OpenCV where it is installed and has the format, else numpy; "numpy" is that alone; "opencv"
  raises `MissingExtra` where it is not installed. All give the same colours; OpenCV's gray differs by at most 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from xshm.errors import InvalidArgument, InvalidType
from xshm.pixels import opencv
from xshm.pixels.alpha import straighten
from xshm.pixels.bgrx import can_pack, pack
from xshm.pixels.channels import Channel, Constant, Part, alpha, colours, luma, short_tables, values
from xshm.system.printable import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    import numpy as np
    from numpy.typing import DTypeLike, NDArray

    from xshm.pixels.format import PixelFormat
else:
    from xshm._numpy import np

Converter = Literal["auto", "numpy", "opencv"]

# Pixels handled at a time where there are intermediate arrays, which then stay in the cache: gray takes 3.0 ms of a
# 1080p picture, 3.7 ms in bands of half the size, 8.9 ms all at once.
_BAND = 32768


def rgb(
    pixels: NDArray[Any],
    fmt: PixelFormat,
    *,
    out: NDArray[Any] | None = None,
    dtype: DTypeLike = "uint8",
    colormap: NDArray[Any] | None = None,
    width: int | None = None,
    converter: Converter = "auto",
) -> NDArray[Any]:
    """Return (height, width, 3) red, green, blue."""
    kind = sample_type(dtype)
    return _fill(pixels, fmt, colours(fmt, kind, colormap), out, kind, width, converter)


def bgr(
    pixels: NDArray[Any],
    fmt: PixelFormat,
    *,
    out: NDArray[Any] | None = None,
    dtype: DTypeLike = "uint8",
    colormap: NDArray[Any] | None = None,
    width: int | None = None,
    converter: Converter = "auto",
) -> NDArray[Any]:
    """Return (height, width, 3) blue, green, red."""
    kind = sample_type(dtype)
    return _fill(pixels, fmt, colours(fmt, kind, colormap)[::-1], out, kind, width, converter)


def rgba(
    pixels: NDArray[Any],
    fmt: PixelFormat,
    *,
    out: NDArray[Any] | None = None,
    dtype: DTypeLike = "uint8",
    colormap: NDArray[Any] | None = None,
    width: int | None = None,
    converter: Converter = "auto",
) -> NDArray[Any]:
    """Return (height, width, 4) red, green, blue, alpha: straight alpha, as PNG, Pillow and most else mean it.

    Alpha is opaque except at depth 32. There memory has colours multiplied by alpha (premultiplied), which they are
    divided by again: colour × 255 / alpha, rounded to the nearest, halves up, and at most 255; 0 where alpha is 0. With
    dtype=numpy.uint16 the same at 65535. The picture over black is what `rgb` returns.
    """
    kind = sample_type(dtype)
    parts = (*colours(fmt, kind, colormap), alpha(fmt, kind))
    found = _fill(pixels, fmt, parts, out, kind, width, converter)
    if fmt.alpha_mask:
        straighten(found, row_bands(*found.shape[:2]))
    return found


def premultiplied(
    pixels: NDArray[Any], fmt: PixelFormat, *, colormap: NDArray[Any] | None = None, width: int | None = None
) -> NDArray[np.uint8]:
    """Return (height, width, 4) uint8 red, green, blue, alpha, colours multiplied by alpha, as memory has them."""
    kind = np.dtype(np.uint8)
    return _fill(pixels, fmt, (*colours(fmt, kind, colormap), alpha(fmt, kind)), None, kind, width, "auto")


def gray(
    pixels: NDArray[Any],
    fmt: PixelFormat,
    *,
    out: NDArray[Any] | None = None,
    dtype: DTypeLike = "uint8",
    colormap: NDArray[Any] | None = None,
    width: int | None = None,
    converter: Converter = "auto",
) -> NDArray[Any]:
    """Return (height, width) brightness: 0.299 red + 0.587 green + 0.114 blue (ITU-R BT.601).

    numpy gives exactly what Pillow's convert("L") does; OpenCV rounds otherwise, and differs by at most 1.
    """
    kind = sample_type(dtype)
    return _fill(pixels, fmt, (luma(fmt, kind, colormap),), out, kind, width, converter, flat=True)


def straight_alpha(rgba: NDArray[Any]) -> NDArray[Any]:
    """Return a copy of premultiplied (height, width, 4) uint8, a cursor's sprite for one, colours divided by alpha.

    That is straight alpha, as `rgba` returns it. Where alpha is 0 colours become 0; what is brighter than its alpha,
    which X does not forbid, becomes 255.
    """
    if rgba.ndim != 3 or rgba.shape[2] != 4 or rgba.dtype != np.uint8:  # noqa: PLR2004
        raise InvalidArgument(f"expected (height, width, 4) uint8, got {rgba.shape} {rgba.dtype}")
    straight = rgba.copy()
    straighten(straight, row_bands(*rgba.shape[:2]))
    return straight


def differs(
    pixels: NDArray[Any], other: NDArray[Any], fmt: PixelFormat, *, width: int | None = None
) -> NDArray[np.bool_]:
    """Return (height, width) bool, True where the pictures over black differ: where a bit of a colour does."""
    height, width = size(pixels, fmt, width)
    if size(other, fmt, width) != (height, width):
        raise InvalidArgument(f"pictures of different shapes can't be compared: {pixels.shape} and {other.shape}")
    mask = np.empty((height, width), bool)
    for rows in row_bands(height, width):
        changed = values(pixels[rows], fmt, width) ^ values(other[rows], fmt, width)
        np.not_equal(changed & fmt.colour_mask, 0, out=mask[rows])
    return mask


def converters() -> dict[str, str]:
    """Tell what converts pixels in this process, and why.

    The keys are "four bytes a pixel" and "other formats", for library and version, and "reason".
    """
    module, reason = opencv.module()
    plain = f"numpy {np.__version__}"
    return {
        "four bytes a pixel": plain if module is None else f"OpenCV {module.__version__}",
        "other formats": plain,
        "reason": reason,
    }


def size(pixels: NDArray[Any], fmt: PixelFormat, width: int | None = None) -> tuple[int, int]:
    """Return height and width of `pixels`; `InvalidArgument` where they are not of this format."""
    if not isinstance(pixels, np.ndarray):
        raise InvalidType(f"pixels are a numpy array, not {type(pixels).__name__}")
    shape, dtype, _ = fmt.layout(1, 1)
    if pixels.ndim != len(shape) or pixels.dtype != dtype or pixels.shape[2:] != shape[2:] or 0 in pixels.shape:
        inner = "".join(f", {count}" for count in shape[2:])
        raise InvalidArgument(f"{fmt}: expected (height, width{inner}) {dtype}, got {pixels.shape} {pixels.dtype}")
    each_byte = max(8 // fmt.bits_per_pixel, 1)
    fits = pixels.shape[1] * each_byte
    if width is None:
        width = fits
    elif not fits - each_byte < width <= fits:
        raise InvalidArgument(f"{fmt}: rows of {pixels.shape[1]} hold {fits} pixels, not {width}")
    return pixels.shape[0], width


def paint(
    pixels: NDArray[Any],
    fmt: PixelFormat,
    parts: tuple[Part, ...],
    target: NDArray[Any],
    cv2: ModuleType | None,
) -> None:
    """Write `parts` of `pixels` into `target`, (height, width, len(parts)); no checks, for this and the encoders."""
    if cv2 is not None and target.dtype == np.uint8 and opencv.convert(cv2, pixels, parts, target):
        return
    height, width = target.shape[:2]
    if all(isinstance(part, Constant) or (isinstance(part, Channel) and part.byte is not None) for part in parts):
        _copy(pixels, parts, target)
        return
    for rows in row_bands(height, width):
        band = values(pixels[rows], fmt, width)
        for at, part in enumerate(parts):
            target[rows, :, at] = part.of(band)


def _copy(pixels: NDArray[Any], parts: tuple[Part, ...], target: NDArray[Any]) -> None:
    """Write parts that are bytes of memory, one strided copy each, whose inner loop is a row long, not three bytes."""
    places = [part.byte if isinstance(part, Channel) else None for part in parts]
    known = [place for place in places if place is not None]
    if len(known) == len(places) and can_pack(pixels, target, known):
        pack(pixels, target, known, row_bands(*target.shape[:2]))
        return
    adjoining = pixels.strides[2] == target.strides[2] == target.itemsize == 1
    at = 0
    while at < len(parts):
        low = places[at]
        if low is None:
            target[..., at] = parts[at].of(pixels)
        elif low and places[at + 1 : at + 2] == [low - 1] and adjoining:
            # Two neighbours that change places are one number in the other byte order: 1.3 ms, and 1.8 one by one.
            target[..., at : at + 2].view(">u2")[..., 0] = pixels[..., low - 1 : low + 1].view("<u2")[..., 0]
            at += 1
        else:
            target[..., at] = pixels[..., low]
        at += 1


def check_colormap(pixels: NDArray[Any], fmt: PixelFormat, parts: tuple[Part, ...], width: int) -> None:
    """Refuse pixels that index past the end of the colormap."""
    channels = short_tables(parts)
    for rows in row_bands(len(pixels), width) if channels else ():
        band = values(pixels[rows], fmt, width)
        for channel in channels:
            greatest, cells = int(channel.raw(band).max()), 0 if channel.table is None else len(channel.table)
            if greatest >= cells:
                raise InvalidArgument(
                    f"a pixel indexes colour {greatest} of a colormap of {cells}; pass all that the visual has"
                )


def _fill(
    pixels: NDArray[Any],
    fmt: PixelFormat,
    parts: tuple[Part, ...],
    out: NDArray[Any] | None,
    dtype: np.dtype[Any],
    width: int | None,
    converter: Converter,
    *,
    flat: bool = False,
) -> NDArray[Any]:
    height, width = size(pixels, fmt, width)
    shape = (height, width) if flat else (height, width, len(parts))
    cv2 = _opencv(converter, fmt)
    check_colormap(pixels, fmt, parts, width)
    if out is None:
        out = np.empty(shape, dtype)
    else:
        _check_out(out, shape, dtype, pixels)
    paint(pixels, fmt, parts, out[..., None] if flat else out, cv2)
    return out


def _check_out(out: NDArray[Any], shape: tuple[int, ...], dtype: np.dtype[Any], pixels: NDArray[Any]) -> None:
    expected = f"out: expected a writable {shape} {dtype} array"
    if not isinstance(out, np.ndarray):
        raise InvalidArgument(f"{expected}, got {type(out).__name__}")
    if out.shape != shape or out.dtype != dtype:
        raise InvalidArgument(f"{expected}, got {out.shape} {out.dtype}")
    if not out.flags.writeable:
        raise InvalidArgument(f"{expected}, got a read-only one")
    if np.shares_memory(out, pixels):
        raise InvalidArgument(f"{expected} of its own, got one that overlaps the pixels; copy them first")
    if any(stride == 0 and count > 1 for stride, count in zip(out.strides, shape, strict=True)):
        raise InvalidArgument(f"{expected}, got one whose elements share memory (strides {out.strides})")


def _opencv(converter: Converter, fmt: PixelFormat) -> ModuleType | None:
    if converter == "opencv":
        return opencv.required()
    if converter == "auto":
        # Not imported for formats that it has no way for.
        return opencv.module()[0] if fmt.byte_offsets is not None else None
    if converter != "numpy":
        raise InvalidArgument(f"converter is 'auto', 'numpy' or 'opencv', not {quoted(converter)}")
    return None


def sample_type(dtype: DTypeLike) -> np.dtype[Any]:
    """Return what each channel is asked for in: uint8 or uint16; nothing else is taken."""
    try:
        kind = np.dtype(dtype)
    except (TypeError, ValueError, SyntaxError, AttributeError):  # which of them is numpy's own affair
        raise InvalidType(f"dtype is uint8 or uint16, not {quoted(dtype)}") from None
    if kind not in (np.uint8, np.uint16):
        raise InvalidArgument(f"dtype is uint8 or uint16, not {kind}")
    return kind


def row_bands(height: int, width: int) -> Iterator[slice]:
    """Cut a picture into slices of rows small enough that what is made of one stays in the cache."""
    rows = max(_BAND // width, 1)
    return (slice(top, top + rows) for top in range(0, height, rows))
