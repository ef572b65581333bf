"""Pictures of at most 256 colours as indices and a palette, exactly or not at all.

A few thousand pixels tell most pictures of more colours at once; the others are looked up in a hash table that knows
for sure whether it holds a colour, so that one it lacks is added, and the 257th ends the attempt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xshm.channels import values
from xshm.convert import bands

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from xshm.pixels import PixelFormat
else:
    from xshm.later import np

_COLOURS = 256
_COLOUR_BITS = 24
_SLOT_BITS = 16
_BELOW = _COLOUR_BITS - _SLOT_BITS
_ALL = (1 << _COLOUR_BITS) - 1
_MULTIPLIER = 0x9E3779B1
_TRIES = 64

# Rows and columns apart: 4,080 pixels of 1920×1080 in 0.05 ms, then 32,400 in 0.3 ms. A full count takes 15 ms.
_SAMPLES = ((16, 32), (8, 8))


def find(pixels: NDArray[Any], fmt: PixelFormat, out: NDArray[np.uint8]) -> NDArray[np.uint32] | None:
    """Write the index of each pixel's colour to `out`, (height, width) uint8, and return the pixel values indexed.

    None where there are more than 256; `out` is then undefined. For formats with masks; colours of more than 24 bits
    are not looked for.
    """
    height, width = out.shape
    shift = (fmt.colour_mask & -fmt.colour_mask).bit_length() - 1
    if fmt.colour_mask >> shift > _ALL or fmt.bits_per_pixel < 8:  # noqa: PLR2004  columns can't be sliced there
        return None
    for down, across in _SAMPLES:
        sample = pixels[::down, ::across]
        known = np.unique(_colours(sample, fmt, shift, sample.shape[1]))
        if len(known) > _COLOURS:
            return None
    multiplier, table = _table(known)
    for rows in bands(height, width):
        band = _colours(pixels[rows], fmt, shift, width)
        hashed, entries = _look_up(band, multiplier, table)
        unknown = (entries ^ hashed) & _ALL != 0
        if unknown.any():
            known = np.concatenate((known, np.unique(band[unknown])))
            if len(known) > _COLOURS:
                return None
            multiplier, table = _table(known)
            _, entries = _look_up(band, multiplier, table)
        out[rows] = entries >> _COLOUR_BITS
    return known << np.uint32(shift)


def _colours(pixels: NDArray[Any], fmt: PixelFormat, shift: int, width: int) -> NDArray[np.uint32]:
    found = values(pixels, fmt, width).astype(np.uint32, copy=False) & np.uint32(fmt.colour_mask)
    return found >> np.uint32(shift) if shift else found


def _table(known: NDArray[np.uint32]) -> tuple[int, NDArray[np.uint32]]:
    """Return a multiplier that gives each colour a slot of its own, and the slots.

    An odd multiplier makes another 24-bit number of each colour, one to one. Its upper bits are the slot; a slot holds
    the whole number, and the colour's index above that. Equal numbers are equal colours, so a look-up is never wrong.
    """
    for attempt in range(_TRIES):
        multiplier = _MULTIPLIER * (2 * attempt + 1) & _ALL
        hashed = known * np.uint32(multiplier) & np.uint32(_ALL)
        slots = hashed >> np.uint32(_BELOW)
        if len(np.unique(slots)) == len(slots):
            # An empty slot holds a number that belongs into another.
            table = (np.arange(1 << _SLOT_BITS, dtype=np.uint32) ^ np.uint32(1)) << np.uint32(_BELOW)
            table[slots] = hashed | np.arange(len(known), dtype=np.uint32) << np.uint32(_COLOUR_BITS)
            return multiplier, table
    # Four in ten multipliers fail for 256 colours; all 64 do with a chance below 1e-25.
    raise AssertionError(f"no multiplier separates these {len(known)} colours")


def _look_up(
    band: NDArray[np.uint32], multiplier: int, table: NDArray[np.uint32]
) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    hashed = band * np.uint32(multiplier)
    hashed &= _ALL
    return hashed, table.take(hashed >> _BELOW)
