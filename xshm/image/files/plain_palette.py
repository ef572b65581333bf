"""Pictures of at most 256 colours as indices and a palette, without numpy: exactly, or not at all.

Red, green and blue of some rows are three strings of bytes. What works on all of a string at once, translating its
bytes and `xor` of long numbers, makes one of them whose bytes are different for all known colours. That the palette
gives back the three from it proves it right; where it doesn't, there are colours that were not known.
"""

from __future__ import annotations

import itertools
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_PIXEL: Final = 4  # bytes in memory
_COLOURS: Final = 256
_ROWS: Final = 16  # at a time: what is made of them stays in the cache
_SAMPLES: Final = ((16, 32), (8, 8))  # rows and columns apart, as in `xshm.image.files.png_palette`


class TooManyColoursError(Exception):
    """More than a palette holds."""


class InseparableError(Exception):
    """These colours are not told apart by the means that are used here; `png_palette` does it with numpy."""


def find(memory: memoryview, stride: int, width: int, height: int, places: tuple[int, int, int]) -> tuple[bytes, bytes]:
    """Return rows of indices, each after a byte for its filter (none), and the palette, 3 bytes a colour.

    `memory` holds rows of four bytes a pixel; `places` says which of them are red, green, blue. Raises
    TooManyColoursError, InseparableError.
    """
    words, across = memory.cast("I"), stride // _PIXEL
    mask = int.from_bytes((255 * (at in places) for at in range(_PIXEL)), sys.byteorder)
    known: set[int] = set()
    for down, apart in _SAMPLES:
        rows = range(0, height * across, down * across)
        known.update(word & mask for top in rows for word in words[top : top + width : apart])
        if len(known) > _COLOURS:
            raise TooManyColoursError
    palette = _Palette(places)
    palette.add(known)
    lines: list[bytes] = []
    above = b""
    found: list[bytes] = []
    for top in range(0, height, _ROWS):
        bottom = min(top + _ROWS, height)
        here = b"".join(memory[row * stride : row * stride + _PIXEL * width] for row in range(top, bottom))
        if here != above:
            above = here
            indices = palette.indices(here)
            if indices is None:
                palette.add({word & mask for word in memoryview(here).cast("I")})
                indices = palette.indices(here)
                # Whatever the pixels: `here` is a copy, all of whose colours were added, and `add` gives each colour
                # a key of its own or raises. So each key leads to its colour, and all channels come out as they are.
                assert indices is not None  # noqa: S101
            found = [part for at in range(0, len(indices), width) for part in (b"\0", indices[at : at + width])]
        lines += found
    return b"".join(lines), palette.table()


class _Palette:
    """Colours in the order they were met, and what tells them apart."""

    def __init__(self, places: tuple[int, int, int]) -> None:
        self._places = places
        self._colours: dict[bytes, int] = {}
        self._first = 0
        self._steps: list[tuple[bytes, int]] = []
        self._index = b""

    def add(self, words: Iterable[int]) -> None:
        """Take in colours, as pixel values of which the rest is 0."""
        for word in sorted(words):
            data = word.to_bytes(_PIXEL, sys.byteorder)
            self._colours.setdefault(bytes(data[at] for at in self._places), len(self._colours))
        if len(self._colours) > _COLOURS:
            raise TooManyColoursError
        self._first, self._steps, keys = _separated(list(self._colours))
        index = bytearray(_COLOURS)
        for key, number in zip(keys, self._colours.values(), strict=True):
            index[key] = number
        self._index = bytes(index)

    def indices(self, pixels: bytes) -> bytes | None:
        """Return the index of each pixel; None where there is an unknown colour."""
        data = bytearray(pixels)  # whose slices are faster than bytes'
        channels = [data[at::_PIXEL] for at in self._places]
        key = bytes(channels[self._first])
        for table, other in self._steps:
            key = _xor(key.translate(table), channels[other])
        indices, palette = key.translate(self._index), self.table()
        for at, channel in enumerate(channels):
            if indices.translate(palette[at::3].ljust(_COLOURS, b"\0")) != channel:
                return None
        return indices

    def table(self) -> bytes:
        """Return red, green, blue of one colour after the other."""
        return b"".join(self._colours)


def _separated(colours: list[bytes]) -> tuple[int, list[tuple[bytes, int]], list[int]]:
    """Return a way to make a byte of each colour that no other one has, and these bytes.

    The way begins with the channel of the given number; each step translates what there is by a table, and takes the
    `xor` with another channel.
    """
    for first, *others in itertools.permutations(range(3)):
        keys = [colour[first] for colour in colours]
        steps: list[tuple[bytes, int]] = []
        for channel in others:
            if len(set(keys)) == len(colours):
                break
            table = _displacements({(key, colour[channel]) for key, colour in zip(keys, colours, strict=True)})
            if table is None:
                break
            steps.append((table, channel))
            keys = [table[key] ^ colour[channel] for key, colour in zip(keys, colours, strict=True)]
        if len(set(keys)) == len(colours):
            return first, steps, keys
    raise InseparableError


def _displacements(pairs: set[tuple[int, int]]) -> bytes | None:
    """Return a table with which `table[a] ^ b` is different for all pairs (a, b); None if none is found.

    The a with the most bs is placed first: it is the hardest to find room for.
    """
    groups: dict[int, list[int]] = {}
    for a, b in pairs:
        groups.setdefault(a, []).append(b)
    table, free = bytearray(_COLOURS), set(range(_COLOURS))
    for a, group in sorted(groups.items(), key=lambda item: (-len(item[1]), item[0])):
        for displacement in range(_COLOURS):
            places = {displacement ^ b for b in group}
            if places <= free:
                break
        else:
            return None
        free -= places
        table[a] = displacement
    return bytes(table)


def _xor(one: bytes, other: bytes | bytearray) -> bytes:
    number = int.from_bytes(one, "little") ^ int.from_bytes(other, "little")
    return number.to_bytes(len(one), "little")
