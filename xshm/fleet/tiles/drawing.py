"""What a tile has: a picture that fits, or words that say why there is none."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final

from PIL import Image, ImageDraw, ImageFont

from xshm.geometry import Rect

if TYPE_CHECKING:
    from xshm.image.frame import Frame

GROUND: Final = (24, 25, 28)  # R G B, between tiles
_BLANK: Final = (44, 46, 52)  # where a tile has no picture
_INK: Final = (205, 208, 214)
_WARNING: Final = (240, 196, 100)
_SMALL, _LARGE = 12, 32  # pixels, of letters


def caption(picture: Image.Image, place: Rect, words: str) -> None:
    """Write words at the left edge of a place, in one line; what does not fit is cut."""
    _write(picture, place, [words], _INK, _SMALL, is_centred=False)


def worded(size: tuple[int, int], words: str) -> Image.Image:
    """Return a tile that has words in place of a picture."""
    tile = Image.new("RGB", size, _BLANK)
    _write(tile, Rect(0, 0, *size), words.split(), _WARNING, min(max(size[0] // 28, _SMALL), _LARGE), is_centred=True)
    return tile


def fitted(frame: Frame, size: tuple[int, int]) -> Image.Image:
    """Return a screen in the middle of a tile; a smaller one is enlarged, each pixel to several."""
    picture = Image.fromarray(frame.rgb())
    scale = min(size[0] / frame.width, size[1] / frame.height)
    fitting = max(round(frame.width * scale), 1), max(round(frame.height * scale), 1)
    if any(abs(one - other) > 1 for one, other in zip(fitting, frame.size, strict=True)):  # not for a rounding
        how = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.HAMMING
        picture = picture.resize(fitting, how)
    if picture.size == size:
        return picture
    tile = Image.new("RGB", size, _BLANK)
    tile.paste(picture, ((size[0] - picture.width) // 2, (size[1] - picture.height) // 2))
    return tile


def _write(
    picture: Image.Image, place: Rect, words: list[str], ink: tuple[int, int, int], size: int, *, is_centred: bool
) -> None:
    """Write words in as many lines as they need; what does not fit is cut at the edge of the place."""
    font = _font(size)
    lines = [""]
    for word in words:
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(_latin(longer)) > place.width - size and lines[-1]:
            lines.append(word)
        else:
            lines[-1] = longer
    part = Image.new("RGB", (place.width, place.height), picture.getpixel((place.x, place.y)))
    where = (place.width / 2, place.height / 2) if is_centred else (1, place.height / 2)
    text, anchor = _latin("\n".join(lines)), "mm" if is_centred else "lm"
    ImageDraw.Draw(part).multiline_text(where, text, ink, font, anchor, size // 3, "center" if is_centred else "left")
    picture.paste(part, (place.x, place.y))


@functools.cache
def _font(size: int) -> Any:
    try:
        return ImageFont.load_default(size)
    except TypeError:  # Pillow 10.0 has one size
        return ImageFont.load_default()


def _latin(text: str) -> str:
    """Return a text in the characters that Pillow's own font has."""
    return text.encode("latin-1", "replace").decode("latin-1")
