"""What a capture of 1080p costs a trace: CPU and bytes of what differs from the last picture.

    .venv/bin/python tests/bench/trace_rectangles.py

The text is drawn by Pillow, the film is `pictures.photograph`, which is noisier than most.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
from pictures import BGRX, photograph
from PIL import Image, ImageDraw, ImageFont

from xshm.geometry import Rect
from xshm.image.files import png_chunks
from xshm.trace.rectangles import Shadow

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_SIZE = (1920, 1080)
_WHOLE = Rect(0, 0, *_SIZE)
_FILM = Rect(600, 300, 640, 360)
_LETTER = Rect(500, 504, 9, 18)
_CAPTURES = 12


def _page() -> NDArray[np.uint8]:
    """Return a terminal full of text, anti-aliased, in some colours."""
    random = np.random.default_rng(1)
    image = Image.new("RGB", _SIZE, (20, 20, 24))
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(15)
    inks = [(220, 220, 220), (120, 200, 120), (90, 140, 250)]
    for line in range(60):
        text = "".join(chr(code) for code in random.integers(97, 123, int(random.integers(10, 200))))
        draw.text((4, 18 * line), text, inks[line % len(inks)], font)
    return np.dstack((np.asarray(image)[..., ::-1], np.zeros(_SIZE[::-1], np.uint8)))


def _captures(what: str, page: NDArray[np.uint8], film: NDArray[np.uint8]) -> Iterator[tuple[NDArray[Any], Rect]]:
    pixels = page.copy()
    for turn in range(1, 1 + _CAPTURES):
        changed = _WHOLE
        match what:
            case "a letter" | "a letter anywhere":
                pixels[_LETTER.slices] = page[18 * turn : 18 * turn + 18, 90:99]
                changed = _LETTER if what == "a letter" else _WHOLE
            case "two carets":
                pixels[10:28, 10:12, :3] = pixels[1000:1018, 1900:1902, :3] = 255 * (turn % 2)
            case "text scrolls":
                pixels = np.roll(page, -18 * turn, 0)
            case "a film of 640×360":
                pixels[_FILM.slices], changed = film[turn : turn + 360, 7 * turn : 7 * turn + 640], _FILM
            case "a film, all of it":
                pixels = np.roll(film, 7 * turn, 1)
        yield pixels, changed


def main() -> None:
    """Print a line for each kind of change."""
    page = _page()
    film = np.dstack((photograph(_SIZE[1], _SIZE[0]), np.zeros(_SIZE[::-1], np.uint8)))
    print(f"{png_chunks.encoder()}\n{'':24}{'CPU ms':>8}{'KiB':>9}{'rectangles':>12}")
    kinds = ("nothing differs", "a letter", "a letter anywhere", "two carets", "text scrolls")
    for what in (*kinds, "a film of 640×360", "a film, all of it"):
        shadow = Shadow(_SIZE, BGRX)
        shadow.update(page, [_WHOLE])
        spent, nbytes, count = 0, 0, 0
        for pixels, changed in _captures(what, page, film):
            before = time.thread_time_ns()
            patches = shadow.update(pixels, [changed])
            spent += time.thread_time_ns() - before
            nbytes += sum(len(patch.png) for patch in patches)
            count += len(patches)
        print(f"{what:24}{spent / _CAPTURES / 1e6:8.2f}{nbytes / _CAPTURES / 1024:9.2f}{count / _CAPTURES:12.1f}")


if __name__ == "__main__":
    main()
