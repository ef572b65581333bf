"""What is left of pictures that differ: the message of the failed test, three PNG files, and a page to look at them.

Always true: numbers are counts of pixels and rectangles in the coordinates of the screen or window, which a test can
use; no percentage, which would round a letter that is missing to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from xshm.system.atomic_write import replace_file
from xshm.testing.pictures import difference_page
from xshm.testing.pictures.golden import png

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from xshm.testing.pictures.golden import Golden
    from xshm.testing.pictures.matching import Colours, Comparison

    Place = Callable[[str], Path]  # a file of the test by its suffix, "-form-actual.png"; its directory exists

_MOST_PLACES: Final = 5  # in a message; the page has them all
_RED, _YELLOW = (255, 0, 0), (255, 200, 0)
_FAINT: Final = 4  # equal pixels are gray at this part of their strength, on white
_WEIGHTS: Final = (0.299, 0.587, 0.114)  # of R, G, B in brightness (ITU-R BT.601)


def differ(golden: Golden, found: Comparison, place: Place, how: str, unlike: Sequence[str]) -> str:
    """Write what is to be seen of a difference; return the message, which says after `how` long, with what limits."""
    width, height = found.actual_size
    columns, rows = found.expected_size
    files = {
        "actual": png(found.actual[:height, :width]),
        "expected": png(found.expected[:rows, :columns]),
        "diff": png(drawn(found)),
    }
    lines = [f"{counts(found)}, {how}", *unlike]
    page = difference_page.page(golden.name, lines, found, files)
    kept = _kept(
        place,
        {
            "actual      {}": (f"-{golden.label}-actual.png", files["actual"]),
            "difference  {}": (f"-{golden.label}-diff.png", files["diff"]),
            "to look at  {}": (f"-{golden.label}-diff.html", page),
            "": (f"-{golden.label}-expected.png", files["expected"]),
        },
    )
    return "\n".join(
        [
            f"{golden.name}: {counts(found)}, {how}",
            *(f"  {line}" for line in unlike),
            *(f"  {line}" for line in _listed(found)),
            f"  expected    {golden.path}",
            *kept,
            "  --xshm-update writes what is there now as expected",
        ]
    )


def missing(golden: Golden, actual: Colours, place: Place) -> str:
    """Write the candidate for a picture that there is not; return the message."""
    size = f"{actual.shape[1]}x{actual.shape[0]}"
    line = f"candidate   {{}}, {size}: what is there now"
    return "\n".join(
        [
            f"{golden.name}: there is no picture to compare with",
            f"  expected    {golden.path}, which is missing",
            *_kept(place, {line: (f"-{golden.label}-candidate.png", png(actual))}),
            "  look at it; --xshm-update writes it as expected",
        ]
    )


def counts(found: Comparison) -> str:
    """Return how much differs, in words."""
    resized = ""
    if found.is_resized:
        (width, height), (columns, rows) = found.actual_size, found.expected_size
        resized = f"the size is {width}x{height}, and {columns}x{rows} was expected; "
    if not found.places:
        return f"{resized}no pixel differs"
    rect, _ = found.places[0]
    if len(found.places) == 1:
        return f"{resized}{_pixels(found.pixels)} differ{'s' if found.pixels == 1 else ''} in {rect}"
    return f"{resized}{_pixels(found.pixels)} in {len(found.places)} places differ, the largest {rect}"


def drawn(found: Comparison) -> Colours:
    """Return the picture of the difference: red what differs, yellow what differs too little to count, the rest faint.

    The rest is the expected picture, in gray.
    """
    shades = (found.expected @ np.array(_WEIGHTS, np.float32)).astype(np.uint8) // _FAINT + (255 - 255 // _FAINT)
    picture = np.repeat(shades[..., np.newaxis], 3, axis=2)
    picture[found.slight] = _YELLOW
    picture[found.mask] = _RED
    return picture


def _kept(place: Place, files: Mapping[str, tuple[str, bytes]]) -> list[str]:
    """Write files, suffixes and bytes by a line about their paths; return the lines, or why they can't be written."""
    lines = []
    try:
        for line, (suffix, data) in files.items():
            path = place(suffix)
            replace_file(path, data)
            lines.append(f"  {line.format(path)}")
    except OSError as error:  # what differs is still to be told
        lines.append(f"  not written: {error}")
    return [line for line in lines if line.strip()]


def _listed(found: Comparison) -> list[str]:
    """Return the largest places, one a line, where there are several."""
    if len(found.places) < 2:  # noqa: PLR2004 - one is in the first line
        return []
    lines = [f"{rect!s:<20} {_pixels(count)}" for rect, count in found.places[:_MOST_PLACES]]
    left = found.places[_MOST_PLACES:]
    if left:
        lines.append(f"and {len(left)} more{'':<9} {_pixels(sum(count for _, count in left))}")
    return lines


def _pixels(count: int) -> str:
    return "1 pixel" if count == 1 else f"{count} pixels"
