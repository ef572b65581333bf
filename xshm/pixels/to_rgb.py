"""Convert pixels of any `PixelFormat` to RGB, BGR, RGBA or gray.

Channels derive from the visual's masks and, where pixels are indices, from the colormap. All functions take a `Raster`
and these keywords:

- `out`: the array to fill and return; of exactly the result's shape and dtype, writable, with any strides, not
  overlapping the pixels. `InvalidArgument` says what was expected and got, before anything is written.
- `dtype`: numpy.uint8, or numpy.uint16, which keeps the 10 bits of depth 30. Channels are scaled so that the brightest
  is the dtype's greatest, rounded to the nearest.
- `converter`: "auto" is OpenCV where it is installed and has the format, else numpy; "numpy" is that alone; "opencv"
  raises `MissingExtra` where it is not installed. All give the same colours; OpenCV's gray differs by at most 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xshm.errors import InvalidArgument, InvalidType
from xshm.pixels import opencv
from xshm.pixels.alpha import straighten
from xshm.pixels.bgrx import can_pack, pack
from xshm.pixels.channels import Channel, Constant, Part, alpha, colours, luma, values
from xshm.pixels.raster import Raster, row_bands, why_unfit
from xshm.system.printable import quoted

if TYPE_CHECKING:
    from types import ModuleType

    import numpy as np
    from numpy.typing import DTypeLike, NDArray

    from xshm.pixels.opencv import Converter
else:
    from xshm._numpy import np


def rgb(
    raster: Raster, *, out: NDArray[Any] | None = None, dtype: DTypeLike = "uint8", converter: Converter = "auto"
) -> NDArray[Any]:
    """Return (height, width, 3) red, green, blue."""
    kind = sample_type(dtype)
    return _converted(raster, colours(raster.format, kind, raster.colormap), out, kind, converter)


def bgr(
    raster: Raster, *, out: NDArray[Any] | None = None, dtype: DTypeLike = "uint8", converter: Converter = "auto"
) -> NDArray[Any]:
    """Return (height, width, 3) blue, green, red."""
    kind = sample_type(dtype)
    return _converted(raster, colours(raster.format, kind, raster.colormap)[::-1], out, kind, converter)


def rgba(
    raster: Raster, *, out: NDArray[Any] | None = None, dtype: DTypeLike = "uint8", converter: Converter = "auto"
) -> NDArray[Any]:
    """Return (height, width, 4) red, green, blue, alpha: straight alpha, as PNG, Pillow and most others have it.

    Alpha is opaque except at depth 32. There memory has colours multiplied by alpha (premultiplied), which they are
    divided by again: colour × 255 / alpha, rounded to the nearest, halves up, and at most 255; 0 where alpha is 0. With
    dtype=numpy.uint16 the same at 65535. The picture over black is what `rgb` returns.
    """
    kind = sample_type(dtype)
    found = _converted(raster, _with_alpha(raster, kind), out, kind, converter)  # still premultiplied
    if raster.format.alpha_mask:
        straighten(found)
    return found


def premultiplied(raster: Raster) -> NDArray[np.uint8]:
    """Return (height, width, 4) uint8 red, green, blue, alpha, colours multiplied by alpha, as memory has them."""
    kind = np.dtype(np.uint8)
    return _converted(raster, _with_alpha(raster, kind), None, kind, "auto")


def gray(
    raster: Raster, *, out: NDArray[Any] | None = None, dtype: DTypeLike = "uint8", converter: Converter = "auto"
) -> NDArray[Any]:
    """Return (height, width) brightness: 0.299 red + 0.587 green + 0.114 blue (ITU-R BT.601).

    numpy gives exactly what Pillow's convert("L") does; OpenCV rounds otherwise, and differs by at most 1.
    """
    kind = sample_type(dtype)
    return _converted(raster, (luma(raster.format, kind, raster.colormap),), out, kind, converter, flat=True)


def differs(one: Raster, other: Raster) -> NDArray[np.bool_]:
    """Return (height, width) bool, True where two pictures of one format and size differ over black.

    They differ where a bit of a colour does.
    """
    fmt, width, height = one.format, one.width, one.height
    mask = np.empty((height, width), bool)
    # Pixel values are compared, not colours: one xor a pixel, whose undefined bits and alpha the colour mask drops.
    for rows in row_bands(height, width):
        changed = values(one.pixels[rows], fmt, width) ^ values(other.pixels[rows], fmt, width)
        np.not_equal(changed & fmt.colour_mask, 0, out=mask[rows])
    return mask


def converters() -> dict[str, str]:
    """Return what converts pixels in this process, and why.

    The keys are "four bytes a pixel" and "other formats", for library and version, and "reason".
    """
    cv2, reason = opencv.module()
    plain = f"numpy {np.__version__}"
    return {
        "four bytes a pixel": plain if cv2 is None else f"OpenCV {cv2.__version__}",
        "other formats": plain,
        "reason": reason,
    }


def write_channels(raster: Raster, parts: tuple[Part, ...], target: NDArray[Any], cv2: ModuleType | None) -> None:
    """Write `parts` of the pixels into `target`, (height, width, len(parts)); no checks, for this and the encoders."""
    pixels = raster.pixels
    # Three ways, the fastest first: OpenCV; bytes copied as they are; pixel values, from which channels are computed.
    if cv2 is not None and target.dtype == np.uint8 and opencv.convert(cv2, pixels, parts, target):
        return
    if all(isinstance(part, Constant) or (isinstance(part, Channel) and part.byte is not None) for part in parts):
        _copy_bytes(pixels, parts, target)
        return
    for rows in row_bands(raster.height, raster.width):
        band = values(pixels[rows], raster.format, raster.width)
        for at, part in enumerate(parts):
            target[rows, :, at] = part.of(band)


def _copy_bytes(pixels: NDArray[Any], parts: tuple[Part, ...], target: NDArray[Any]) -> None:
    """Write parts that are bytes of memory, one strided copy each, whose inner loop is a row long, not three bytes."""
    places = [part.byte if isinstance(part, Channel) else None for part in parts]
    known = [place for place in places if place is not None]
    if len(known) == len(places) and can_pack(pixels, target, known):
        pack(pixels, target, known)
        return
    # Bytes next to each other in memory, both in the pixels and in the target.
    adjoining = pixels.strides[2] == target.strides[2] == target.itemsize == 1
    at = 0
    while at < len(parts):
        low = places[at]
        if low is None:  # constant alpha, which no byte of memory has
            target[..., at] = parts[at].of(pixels)
        elif low and places[at + 1 : at + 2] == [low - 1] and adjoining:
            # Two adjacent bytes that swap places are one number in the other byte order: 1.3 ms, and 1.8 one by one.
            target[..., at : at + 2].view(">u2")[..., 0] = pixels[..., low - 1 : low + 1].view("<u2")[..., 0]
            at += 1
        else:
            target[..., at] = pixels[..., low]
        at += 1


def check_colormap(raster: Raster) -> None:
    """Raise InvalidArgument for pixels that index past the end of the colormap."""
    if raster.colormap is None or not raster.format.needs_colormap:
        return
    # Only a colormap shorter than the visual's needs a look at every pixel.
    entries = len(raster.colormap)
    channels = [each for each in colours(raster.format, np.dtype(np.uint8), raster.colormap) if entries <= each.top]
    for rows in row_bands(raster.height, raster.width) if channels else ():
        band = values(raster.pixels[rows], raster.format, raster.width)
        for channel in channels:
            greatest = int(channel.raw(band).max())
            if greatest >= entries:
                raise InvalidArgument(
                    f"a pixel indexes colour {greatest} of a colormap of {entries}; pass all that the visual has"
                )


def _with_alpha(raster: Raster, kind: np.dtype[Any]) -> tuple[Part, ...]:
    return (*colours(raster.format, kind, raster.colormap), alpha(raster.format, kind))


def _converted(
    raster: Raster,
    parts: tuple[Part, ...],
    out: NDArray[Any] | None,
    dtype: np.dtype[Any],
    converter: Converter,
    *,
    flat: bool = False,
) -> NDArray[Any]:
    shape = (raster.height, raster.width) if flat else (raster.height, raster.width, len(parts))
    # Everything is checked before `out` is written: an error leaves it unchanged.
    cv2 = opencv.choose(converter, raster.format)
    check_colormap(raster)
    if out is None:
        out = np.empty(shape, dtype)  # not zeros: every sample is written below
    else:
        _check_out(out, shape, dtype, raster.pixels)
    write_channels(raster, parts, out[..., None] if flat else out, cv2)
    return out


def _check_out(out: NDArray[Any], shape: tuple[int, ...], dtype: np.dtype[Any], pixels: NDArray[Any]) -> None:
    expected = f"out: expected a writable {shape} {dtype} array"
    if not isinstance(out, np.ndarray):
        raise InvalidArgument(f"{expected}, got {type(out).__name__}")
    if wrong := why_unfit(out, shape, dtype):
        raise InvalidArgument(f"{expected}, got {out.shape} {out.dtype}: {wrong}")
    # Overlapping pixels would be overwritten before they are read: wrong colours, and no error.
    if np.shares_memory(out, pixels):
        raise InvalidArgument(f"{expected} of its own, got one that overlaps the pixels; copy them first")


def sample_type(dtype: DTypeLike) -> np.dtype[Any]:
    """Return the dtype of the result's samples, uint8 or uint16; raise InvalidType or InvalidArgument for others."""
    kind = as_dtype(dtype, "dtype is uint8 or uint16")
    if kind not in (np.uint8, np.uint16):
        raise InvalidArgument(f"dtype is uint8 or uint16, not {kind}")
    return kind


def as_dtype(value: DTypeLike, what: str) -> np.dtype[Any]:
    """Return a caller's dtype; raise InvalidType, which begins with `what`, for anything else."""
    try:
        return np.dtype(value)
    except (TypeError, ValueError, SyntaxError, AttributeError, Warning) as error:  # numpy documents none of them
        raise InvalidType(f"{what}, not {quoted(value)}: {error}") from None
