"""What an Encoder makes of pictures, as Pillow reads it, and how often it makes it."""

from __future__ import annotations

import ctypes
import io
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pictures import BGRX, DEEP, KNOWN, PSEUDO, R5G6B5, XRGB, frame_of, photograph, random_picture
from PIL import Image, ImageDraw, ImageFont

from xshm.geometry import Rect
from xshm.live.encoding import BEST_QUALITY, Ask, Encoder, Level
from xshm.live.messages import Codec
from xshm.live.picture import Picture
from xshm.live.settings import LiveSettings
from xshm.live.web.audience import Audience
from xshm.pixels.to_rgb import rgb

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from xshm.live.messages import Update
    from xshm.live.picture import Copied
    from xshm.pixels.format import PixelFormat

_SIZE = (1280, 720)
_WHOLE = Rect(0, 0, *_SIZE)
_LETTER = Rect(700, 300, 9, 18)
_BEST = Level(BEST_QUALITY, 1)


@dataclass
class _Captured:
    pixels: NDArray[Any]
    changed: Sequence[Rect]
    colormap: NDArray[np.uint16] | None = None
    at: int = 7

    def is_torn(self) -> bool:
        return False

    def release(self) -> None:
        pass


def _text() -> NDArray[np.uint8]:
    """Return a terminal full of anti-aliased text."""
    image = Image.new("RGB", _SIZE, (20, 20, 24))
    draw, font, random = ImageDraw.Draw(image), ImageFont.load_default(15), np.random.default_rng(1)
    for line in range(_SIZE[1] // 18):
        draw.text((4, 18 * line), "".join(map(chr, random.integers(97, 123, 120))), (90, 200, 220), font)
    return np.asarray(image)


@pytest.fixture(scope="module")
def text() -> NDArray[np.uint8]:
    return _text()


@pytest.fixture(scope="module")
def photo() -> NDArray[np.uint8]:
    return photograph(*_SIZE[::-1])


def _write(picture: Picture, shown: NDArray[np.uint8], *changed: Rect, at: int = 7) -> None:
    """Write R G B pixels to a picture of BGRX."""
    pixels = np.dstack((shown[..., ::-1], np.full(shown.shape[:2], 0xA5, np.uint8)))  # the fourth byte is undefined
    picture.read(_Captured(pixels, changed or (Rect(0, 0, *picture.size),)))
    assert picture.commit(at)


def _picture_of(shown: NDArray[np.uint8]) -> Picture:
    picture = Picture((shown.shape[1], shown.shape[0]), BGRX)
    _write(picture, shown)
    return picture


def _put(canvas: NDArray[np.uint8], update: Update) -> NDArray[np.uint8]:
    """Draw an Update as a page does, and return the canvas."""
    assert update.size == (canvas.shape[1], canvas.shape[0])
    for codec, _, rect, data in update.parts:
        with Image.open(io.BytesIO(data)) as image:
            assert image.format == codec.name
            assert image.mode in ("RGB", "P")
            drawn = image.convert("RGB").resize((rect.width, rect.height), Image.Resampling.NEAREST)
            canvas[rect.slices] = np.asarray(drawn)
    return canvas


def _black() -> NDArray[np.uint8]:
    return np.zeros((*_SIZE[::-1], 3), np.uint8)


def _far(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    return float(np.abs(one.astype(int) - other).mean())


# -- what is sent ------------------------------------------------------------------------------------------------------


def test_a_small_change_is_exact_and_nothing_else_is_sent(photo: NDArray[np.uint8]) -> None:
    picture, encoder = _picture_of(photo), Encoder()
    changed = photo.copy()
    changed[_LETTER.slices] = 255 - changed[_LETTER.slices]
    _write(picture, changed, Rect(600, 200, 300, 300), at=99)
    found = encoder.update(picture, Ask(1, Level(25, 4)))
    (part,) = found.update.parts
    assert (part.codec, part.is_lossy, part.rect) == (Codec.PNG, False, _LETTER)
    assert (found.generation, found.update.changed_ns, found.lossy, found.exact) == (2, 99, (), (_LETTER,))
    assert found.update.nbytes < 700
    assert (_put(photo.copy(), found.update) == changed).all()
    assert encoder.update(picture, Ask(2, _BEST)).update.parts == ()


def test_a_large_change_is_a_jpeg_of_the_level_in_strips_and_marked(photo: NDArray[np.uint8]) -> None:
    picture, encoder = _picture_of(photo), Encoder()
    sizes = []
    for level, most in ((_BEST, 3), (Level(50, 1), 4), (Level(70, 2), 5), (Level(25, 4), 9)):
        found = encoder.update(picture, Ask(0, level))
        assert {(part.codec, part.is_lossy) for part in found.update.parts} == {(Codec.JPEG, True)}
        assert sum(rect.height for rect in found.lossy) == _SIZE[1]
        assert found.exact == ()
        assert _far(_put(_black(), found.update), photo) < most
        sizes.append(found.update.nbytes)
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > 60e3
    assert sizes[-1] < 20e3


def test_text_is_exact_however_large_the_change_if_the_line_takes_that(text: NDArray[np.uint8]) -> None:
    picture, encoder = _picture_of(text), Encoder()
    found = encoder.update(picture, Ask(0, _BEST))
    assert not any(part.is_lossy for part in found.update.parts)
    assert (_put(_black(), found.update) == text).all()
    slow = encoder.update(picture, Ask(0, Level(40, 4), exact=16384))
    assert all(part.is_lossy for part in slow.update.parts)
    assert slow.update.nbytes < found.update.nbytes / 4


def test_the_flat_strips_of_a_page_are_exact_and_its_pictures_are_not(
    text: NDArray[np.uint8], photo: NDArray[np.uint8]
) -> None:
    tall = np.vstack((text, text, photo, photo))
    found = Encoder().update(_picture_of(tall), Ask(0, _BEST, exact=1 << 22))
    assert {part.codec for part in found.update.parts} == {Codec.PNG, Codec.JPEG}
    canvas = _put(np.zeros_like(tall), found.update)
    for rect in found.exact:
        assert (canvas[rect.slices] == tall[rect.slices]).all()
    assert all(rect.bottom > 2 * _SIZE[1] - 600 for rect in found.lossy)


def test_a_small_change_is_lossy_where_its_png_is_too_much_for_the_line(photo: NDArray[np.uint8]) -> None:
    picture, encoder = _picture_of(photo), Encoder()
    changed = photo.copy()
    rect = Rect(100, 100, 240, 240)
    changed[rect.slices] = np.roll(photo, 99, 1)[rect.slices]
    _write(picture, changed, rect)
    found = encoder.update(picture, Ask(1, _BEST, exact=16384))
    assert {part.codec for part in found.update.parts} == {Codec.JPEG}
    assert found.update.nbytes < 16384


def test_quality_0_is_exact_whatever_it_takes(photo: NDArray[np.uint8]) -> None:
    found = Encoder().update(_picture_of(photo), Ask(0, Level(0, 1), exact=4096))
    assert (_put(_black(), found.update) == photo).all()
    assert found.lossy == ()


@pytest.mark.parametrize("fmt", [XRGB, R5G6B5, DEEP, PSEUDO, KNOWN["DEEP_ALPHA"], KNOWN["BGRA"]], ids=str)
def test_exact_is_what_a_frame_gives_at_every_depth(fmt: PixelFormat) -> None:
    memory = random_picture(fmt, 61, 37)
    picture = Picture((61, 37), fmt)
    picture.read(_Captured(memory.pixels, (Rect(0, 0, 61, 37),), memory.colormap))
    picture.commit(1)
    expected = frame_of(memory).rgb()
    found = Encoder().update(picture, Ask(0, _BEST))
    assert (_put(np.zeros((37, 61, 3), np.uint8), found.update) == expected).all()
    for level in (Level(95, 1), Level(60, 2), Level(60, 4)):  # noise: only that it is near
        lossy = Encoder().update(picture, Ask(0, level, exact=1))
        assert lossy.update.parts
        assert _far(_put(np.zeros((37, 61, 3), np.uint8), lossy.update), expected) < 90


@pytest.mark.parametrize("size", [(1, 1), (3, 900), (901, 3), (319, 241), (1279, 721)], ids=str)
@pytest.mark.parametrize("scale", [1, 2, 3, 4, 16])
def test_odd_sizes_are_scaled_too(size: tuple[int, int], scale: int) -> None:
    shown = photograph(size[1], size[0])
    found = Encoder().update(_picture_of(shown), Ask(0, Level(80, scale), exact=1, tile=scale))
    canvas = _put(np.zeros_like(shown), found.update)
    assert _far(canvas, shown) < 60
    assert all(part.is_lossy == (scale > 1 or part.codec is Codec.JPEG) for part in found.update.parts)
    whole = Image.open(io.BytesIO(found.update.parts[0].data))
    assert whole.width == -(-size[0] // scale)


def test_strips_are_refined_exactly_besides_what_has_changed(photo: NDArray[np.uint8]) -> None:
    picture, encoder = _picture_of(photo), Encoder()
    lossy = encoder.update(picture, Ask(0, _BEST))
    canvas = _put(_black(), lossy.update)
    changed = photo.copy()
    changed[_LETTER.slices] = 255 - changed[_LETTER.slices]
    _write(picture, changed, _LETTER)
    strips = (Rect(0, 0, 1280, 51), Rect(0, 51, 1280, 51), Rect(690, 290, 30, 50))  # the last one has the letter in it
    found = encoder.update(picture, Ask(1, _BEST, refine=strips))
    _put(canvas, found.update)
    for rect in (*strips, _LETTER):
        assert (canvas[rect.slices] == changed[rect.slices]).all()
    assert set(found.exact) == {*strips, _LETTER}
    assert found.lossy == ()


def test_a_tile_is_refined_at_the_best_quality_of_its_size(photo: NDArray[np.uint8]) -> None:
    picture, encoder = _picture_of(photo), Encoder()
    poor = encoder.update(picture, Ask(0, Level(25, 4), tile=4))
    assert poor.lossy == (_WHOLE,)
    found = encoder.update(picture, Ask(1, Level(25, 4), tile=4, refine=poor.lossy))
    assert found.exact == (_WHOLE,)
    assert found.update.parts[0].is_lossy  # it is not what the screen shows
    assert found.update.nbytes > 1.5 * poor.update.nbytes


def test_a_probe_has_no_parts_and_leaves_the_viewer_where_it_is(photo: NDArray[np.uint8]) -> None:
    found = Encoder().update(_picture_of(photo), Ask(0, is_probe=True))
    assert (found.generation, found.update.parts, found.update.size) == (0, (), _SIZE)


def test_files_are_all_of_the_picture(photo: NDArray[np.uint8]) -> None:
    picture, encoder = _picture_of(photo), Encoder()
    generation, png = encoder.file(picture)
    assert generation == 1
    assert (np.asarray(Image.open(io.BytesIO(png)).convert("RGB")) == photo).all()
    _, jpeg = encoder.file(picture, _BEST)
    assert _far(np.asarray(Image.open(io.BytesIO(jpeg))), photo) < 3
    assert encoder.file(picture) == (1, png)
    assert encoder.encoded == 2


# -- once for all ------------------------------------------------------------------------------------------------------


def test_twenty_viewers_at_once_take_one_encoding(photo: NDArray[np.uint8]) -> None:
    picture, encoder = _picture_of(photo), Encoder()
    alone = Encoder()
    alone.update(picture, Ask(0, _BEST))
    begin = threading.Barrier(20)

    def view(_: int) -> Update:
        begin.wait()
        return encoder.update(picture, Ask(0, _BEST)).update

    with ThreadPoolExecutor(20) as pool:
        found = list(pool.map(view, range(20)))
    assert encoder.encoded == alone.encoded == len(found[0].parts)
    assert all(each == found[0] for each in found)


def test_viewers_that_are_at_other_generations_share_what_has_changed_for_all(photo: NDArray[np.uint8]) -> None:
    picture, encoder = _picture_of(photo), Encoder()
    for turn in (1, 2, 3):
        _write(picture, np.roll(photo, turn, 1))
    updates = [encoder.update(picture, Ask(since, _BEST)) for since in (0, 1, 2, 3)]
    assert {each.generation for each in updates} == {4}
    assert encoder.encoded == len(updates[0].update.parts)


def test_rates_that_are_near_each_other_share_too(text: NDArray[np.uint8]) -> None:
    picture, encoder = _picture_of(text), Encoder()
    for exact in (1 << 19, 3 << 18, 1 << 20):
        encoder.update(picture, Ask(0, _BEST, exact))
    assert encoder.encoded == len(encoder.update(picture, Ask(0, _BEST)).update.parts)


def test_what_is_kept_is_of_the_newest_generations_and_bounded(
    photo: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xshm.live.encoding._KEPT_BYTES", 1 << 18)
    picture, encoder = _picture_of(photo), Encoder()
    for turn in range(1, 9):
        _write(picture, np.roll(photo, turn, 1), at=turn)
        for quality in (30, 50, 70, 90):
            encoder.update(picture, Ask(turn, Level(quality, 1)))
        kept = [future for each in encoder._kept.values() for future in each.parts.values()]
        assert len(encoder._kept) <= 2
        assert sum(len(future.result().data) for future in kept) <= 1 << 18
    other = _picture_of(np.roll(photo, 5, 0))
    encoder.update(other, Ask(0, _BEST))
    assert list(encoder._kept) == [1]


def test_all_of_an_update_is_of_one_moment_while_the_picture_is_written(photo: NDArray[np.uint8]) -> None:
    picture, encoder = _picture_of(np.zeros_like(photo)), Encoder()
    over = threading.Event()

    def write() -> None:
        for shade in range(1, 60):
            _write(picture, np.full_like(photo, 4 * shade), at=shade)
        over.set()

    thread = threading.Thread(target=write)
    thread.start()
    canvas, since, seen = np.zeros_like(photo), 0, set()
    try:
        while not over.is_set():
            found = encoder.update(picture, Ask(since, _BEST, refine=(Rect(0, 0, 1280, 40),) if since else ()))
            since = found.generation
            _put(canvas, found.update)
            shades = np.unique(canvas)
            assert len(shades) == 1
            if found.update.parts:
                assert int(shades[0]) == 4 * (since - 1)
            seen.add(since)
    finally:
        thread.join()
    assert len(seen) > 3


def test_what_fails_fails_for_all_that_wait_and_is_tried_again(photo: NDArray[np.uint8]) -> None:
    class Failing(Picture):
        """Its copies can't be encoded, once."""

        fails = True

        def copy(self, since: int, also: Sequence[Rect] = ()) -> Copied:
            found = super().copy(since, also)
            if not self.fails:
                return found
            self.fails = False
            return found._replace(rects=(Rect(0, 0, 1, 1),), rasters=found.rasters)

    picture, encoder = Failing(_SIZE, BGRX), Encoder()
    _write(picture, photo)
    piece_of_nothing = Ask(0, _BEST, refine=(Rect(0, 600, 1280, 50),))
    with pytest.raises(StopIteration):
        encoder.update(picture, piece_of_nothing)
    found = encoder.update(picture, piece_of_nothing)
    assert _far(_put(_black(), found.update), photo) < 3
    assert rgb(picture.copy(0).rasters[0]).shape == photo.shape


# -- for a long time ---------------------------------------------------------------------------------------------------


class _Allocated(ctypes.Structure):
    """What malloc has given out, as its mallinfo2 says."""

    _fields_ = (
        ("before", ctypes.c_size_t * 7),
        ("in_use", ctypes.c_size_t),
        ("after", ctypes.c_size_t * 2),
    )


def _in_use() -> int:
    mallinfo2 = ctypes.CDLL(None).mallinfo2
    mallinfo2.restype = _Allocated
    return int(mallinfo2().in_use)


def test_the_memory_in_use_is_the_same_after_a_thousand_updates(
    text: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("cv2")  # it keeps 864 bytes of each thread, of which no tool for Python's memory knows
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    picture = _picture_of(text)
    ask = Ask(1, _BEST, refine=(Rect(0, 0, 320, 160), Rect(600, 400, 320, 160)))
    audience = Audience(LiveSettings(), "", {})

    def encode(times: int) -> None:
        for _ in range(times):
            found = audience.pool.submit(Encoder().update, picture, ask).result()
            assert len(found.update.parts) == 2

    with audience.pool:
        encode(100)
        before = _in_use()
        encode(1000)
        assert _in_use() - before < 100_000
