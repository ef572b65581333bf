"""Encode what has changed of a channel's Picture, once for all viewers that ask for the same.

Always true:

1. Nothing is encoded twice while it is the newest: pieces are kept by their rectangle and how they are encoded, for the
   newest two generations, of at most 32 MiB. Who asks for a piece that another thread is just encoding waits for it.
   So there are at most as many encodings as captures and levels, however many viewers are at whatever generation.
2. All pieces of an Update are of one moment (`Picture.copy`).
3. What is not marked as lossy is what `Frame.rgb()` gives, at every depth.

Up to 64k changed pixels are PNG; larger changes are cut into strips, each of which is PNG where it shows text and
flat surfaces, else JPEG at the level, on two threads. An edge is a pixel of another colour than its left neighbour's;
one row in 16 is looked at, in 0.04 ms a strip. A PNG takes 1.7 bytes an edge: 1.66 to 1.70 in a terminal, 1.4 to 1.7
in a page, 1.7 to 1.8 in a photograph, less where a palette holds the colours. It takes fewer than a JPEG of quality 80,
or as many, where edges are few (up to 0.15 of the pixels) or sharp: two in five by more than 24 of 255. Bytes of PNG to
those of JPEG, edges, and how many are sharp: a terminal 0.9 to 1.0, 0.10, 0.8; dense text 0.3, 0.30, 0.8; the text of a
page 0.9, 0.19, 0.8; a board of cells 1.0, 0.49, 0.4; a page's pictures 3.4 to 4.6, 0.24 to 0.45, 0.1 to 0.2; a
photograph 10, 0.93, 0.02.

1080p, ms of processor time and KiB (isal, OpenCV; Pillow's JPEG takes 1.1 to 2 ms more, which are the conversion's):

                        a terminal      a page          a photograph
    PNG                 3.5   350       8.1  1073       19.8  3332
    JPEG 80 4:4:4       7.3   464       7.0   411        7.4   415
    JPEG 80 4:2:0       4.3   356       4.3   374        4.4   313
    JPEG 40 4:2:0       3.7   204       3.8   220        3.9   171
    halved, 80 4:2:0    1.4    96       1.5   122        1.5   120
    quartered, 60       0.6    16       0.7    24        0.7    29
    of a letter, PNG    0.02    0.1
    of 200×100, PNG     0.07    7                        0.2    30

So text is exact for less than a JPEG of it takes, and has not to be sent again. 4:2:0 at all levels: 4:4:4 takes two
thirds more time and up to a third more bytes, for colours that are exact once it is still. Two threads take 55 %.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Final, NamedTuple

from xshm.geometry import Rect
from xshm.image.files import encode
from xshm.image.files.two_threads import together
from xshm.live.messages import Codec, Part, Update
from xshm.pixels import opencv, to_rgb
from xshm.pixels.channels import values
from xshm.pixels.format import PixelFormat
from xshm.pixels.raster import Raster
from xshm.system import limits

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    import numpy as np
    from numpy.typing import NDArray

    from xshm._arguments import Colours
    from xshm.live.picture import Copied, Picture
else:
    from xshm._numpy import np

SMALL: Final = 1 << 16  # pixels that are sent as they are, unless the line is very slow
PNG_BYTES: Final = 1.7  # an edge
BEST_QUALITY: Final = 80  # of JPEG
_STRIP: Final = 1 << 19  # pixels after scaling: of 1080p two threads have two each; of larger ones `png` has its own
_FLAT: Final = 0.15  # of a strip's pixels are edges: up to there it is PNG
_BUSY: Final = 0.6  # up to there it is where they are sharp; PNG takes twice JPEG's time then
_STEP, _SHARP = 24, 0.4  # levels of a channel, and how many of the edges are higher
_EVERY: Final = 16  # rows, of which one is looked at
_TINY: Final = 1 << 12  # pixels, which are PNG whatever they show
# A palette halves a PNG of text, and takes as long again. It is looked for in so many pixels, where a message may take
# fewer bytes than this: on lines of less than 4 to 7 MB a second.
_PALETTE: Final = 1 << 15
_PLENTY: Final = 1 << 18
_ROWS: Final = 16  # of JPEG's blocks with 4:2:0: a strip begins at one
_KEPT_GENERATIONS: Final = 2
_KEPT_BYTES: Final = 1 << 25
_WORD: Final = 32  # bits of a pixel
_EAGER: Final = 16  # OpenCV is imported after so many times fewer pixels than elsewhere: six pictures of 1080p


class Level(NamedTuple):
    """How a large change is encoded: JPEG of a `quality`, 0: all is exact; its edges divided by `scale`."""

    quality: int
    scale: int


LOSSLESS: Final = Level(0, 1)


class Ask(NamedTuple):
    """What a viewer is to be sent next."""

    since: int  # the generation that it has
    level: Level = LOSSLESS  # of large changes
    exact: int = 1 << 20  # bytes that PNG may take; above that small changes are lossy, too
    tile: int = 1  # all is scaled down by this, since the viewer shows it small
    refine: tuple[Rect, ...] = ()  # to be sent exactly besides, whether changed or not
    is_probe: bool = False  # an Update without parts
    is_large: bool = False  # more than 64k pixels have changed: mode "video" has a frame for them


class EncodedUpdate(NamedTuple):
    """An Update, the generation that the viewer has then, where it is not as good as it can be, and where it is."""

    ask: Ask
    generation: int
    update: Update
    lossy: tuple[Rect, ...]
    exact: tuple[Rect, ...]


class _Wish(NamedTuple):
    """How a rectangle is to be encoded, before it is known what it shows."""

    rect: Rect
    level: Level
    tile: int
    most: float  # of its pixels that are edges: with more it is not PNG; 0: nor with fewer
    has_palette: bool = False  # as PNG, where its colours are few
    is_small: bool = False  # it is PNG whatever else it shows


class _Look(NamedTuple):
    """What a rectangle shows."""

    edges: float  # of its pixels
    is_sharp: bool


class _Piece(NamedTuple):
    """A rectangle, and how it is encoded; quality 0: PNG."""

    rect: Rect
    level: Level
    has_palette: bool = False


class _Kept(NamedTuple):
    """What is known of a generation."""

    looks: dict[Rect, _Look]
    parts: dict[_Piece, Future[Part]]


_ANY: Final = 1.0  # `most` of what is PNG whatever it shows


class Encoder:
    """Encodes the pictures of one channel. Any thread may call it, and waits until all is encoded.

    Locking rules: `_lock` is held for look-ups alone. A thread waits for another's piece only after it has encoded all
    that it has taken on itself, so no two wait for each other.
    """

    def __init__(self) -> None:
        self.encoded = 0  # pieces that were really encoded
        self._lock = threading.Lock()
        self._picture: Picture | None = None
        self._kept: dict[int, _Kept] = {}  # by generation

    def update(self, picture: Picture, ask: Ask) -> EncodedUpdate:
        """Return what brings a viewer that has `ask.since` to the newest state; maybe an Update without parts."""
        changed_ns = picture.changed_ns  # before the generation, so that it is not newer
        if ask.is_probe:
            return EncodedUpdate(ask, ask.since, Update(picture.size, changed_ns, ()), (), ())
        generation, changed = picture.delta(ask.since)
        wishes = _wishes(changed, ask)
        parts = self._known(picture, generation, wishes)
        if parts is None:
            copied = picture.copy(ask.since, ask.refine)
            if copied.generation != generation:  # a change came in between: it goes first, as if it had come before
                ask = ask._replace(refine=())
                copied = picture.copy(ask.since)
                wishes = _wishes(copied.rects, ask)
            generation, changed_ns = copied.generation, copied.changed_ns
            parts = self._encoded(picture, generation, wishes, copied)
        good: list[Rect] = []
        lossy: list[Rect] = []
        for piece, part in parts:
            (good if _is_good(piece, ask) else lossy).append(part.rect)
        update = Update(picture.size, changed_ns, tuple(part for _, part in parts))
        return EncodedUpdate(ask, generation, update, tuple(lossy), tuple(good))

    def file(self, picture: Picture, level: Level = LOSSLESS) -> tuple[int, bytes]:
        """Return the newest generation, and all of it as one file: a PNG, or a JPEG of a level."""
        whole = Rect(0, 0, *picture.size)
        wish = _Wish(whole, level, 1, 0.0 if level.quality else _ANY, has_palette=True)
        generation, _ = picture.delta(0)
        parts = self._known(picture, generation, [wish])
        if parts is None:
            copied = picture.copy(0, (whole,))
            generation = copied.generation
            parts = self._encoded(picture, generation, [wish], copied)
        return generation, parts[0][1].data

    # -- what is kept --------------------------------------------------------------------------------------------------

    def _known(self, picture: Picture, generation: int, wishes: Sequence[_Wish]) -> list[tuple[_Piece, Part]] | None:
        """Return the parts where all are encoded, or are being encoded; None where one is not."""
        with self._lock:
            kept = self._kept_of(picture, generation)
            pieces = tuple(_piece(wish, kept.looks.get(wish.rect)) for wish in wishes)
            futures = tuple((piece, kept.parts[piece]) for piece in pieces if piece in kept.parts)
        return [(piece, future.result()) for piece, future in futures] if len(futures) == len(wishes) else None

    def _encoded(
        self, picture: Picture, generation: int, wishes: Sequence[_Wish], copied: Copied
    ) -> list[tuple[_Piece, Part]]:
        with self._lock:
            kept = self._kept_of(picture, generation)
        futures: list[tuple[_Piece, Future[Part]]] = []
        mine: list[tuple[_Piece, Future[Part]]] = []
        for wish in wishes:
            piece = _piece(wish, kept.looks.get(wish.rect))
            if piece is None:
                look = kept.looks[wish.rect] = _look_at(_raster_of(wish.rect, copied))
                piece = _piece(wish, look)
                assert piece is not None  # noqa: S101 - it is seen now
            with self._lock:
                future = kept.parts.get(piece)
                if future is None:
                    future = kept.parts[piece] = Future()
                    mine.append((piece, future))
                    self.encoded += 1
            futures.append((piece, future))
        try:
            _encode(mine, copied)
        except BaseException as error:
            self._give_up(mine, kept, error)
            raise
        self._drop_the_oldest()
        return [(piece, future.result()) for piece, future in futures]

    def _kept_of(self, picture: Picture, generation: int) -> _Kept:
        """Return what is known of a generation; with `_lock`."""
        if picture is not self._picture:
            self._picture = picture
            self._kept.clear()
        kept = self._kept.get(generation)
        if kept is None:
            kept = self._kept[generation] = _Kept({}, {})
            while len(self._kept) > _KEPT_GENERATIONS:
                del self._kept[min(self._kept)]
        return kept

    def _give_up(self, mine: Sequence[tuple[_Piece, Future[Part]]], kept: _Kept, error: BaseException) -> None:
        """Let those that wait for what could not be encoded fail, too, and the next one try again."""
        for piece, future in mine:
            with self._lock:
                if not future.done():
                    kept.parts.pop(piece, None)
                    future.set_exception(error)

    def _drop_the_oldest(self) -> None:
        with self._lock:
            self._drop_beyond(_KEPT_BYTES)

    def _drop_beyond(self, most: int) -> None:
        done = [
            (kept.parts, piece, len(future.result().data))
            for _, kept in sorted(self._kept.items())
            for piece, future in kept.parts.items()
            if future.done() and future.exception() is None
        ]
        excess = sum(nbytes for _, _, nbytes in done) - most
        for parts, piece, nbytes in done:
            if excess > 0:
                del parts[piece]
                excess -= nbytes


# -- which pieces, and how ---------------------------------------------------------------------------------------------


def _wishes(changed: Sequence[Rect], ask: Ask) -> list[_Wish]:
    level, tile = ask.level, ask.tile
    pixels = sum(rect.width * rect.height for rect in changed) // tile**2
    is_small, has_palette = pixels <= SMALL, ask.exact < _PLENTY
    if level.quality == 0 or pixels <= _TINY:
        most = _ANY
    elif tile > 1:  # what is scaled down has few flat surfaces
        most = 0.0
    else:
        most = ask.exact / (PNG_BYTES * pixels)
    scale = tile if most >= _ANY else max(level.scale, tile)
    wishes = [
        _Wish(strip, Level(level.quality, scale), tile, most, has_palette, is_small)
        for rect in changed
        for strip in _strips(rect, scale)
    ]
    finely = (LOSSLESS, 1, _ANY, has_palette) if tile == 1 else (Level(BEST_QUALITY, tile), tile, 0.0)
    return [*wishes, *(_Wish(rect, *finely) for rect in ask.refine)]


def _piece(wish: _Wish, look: _Look | None) -> _Piece | None:
    """Return how a wish is fulfilled, given what there is to see; None where that has to be known first."""
    if wish.most <= 0:
        return _Piece(wish.rect, wish.level)
    if wish.most < _ANY or not (wish.is_small or wish.level.quality == 0):
        if look is None:
            return None
        is_text = look.edges <= _FLAT or (look.is_sharp and look.edges <= _BUSY)
        if look.edges > wish.most or not (wish.is_small or is_text):
            return _Piece(wish.rect, wish.level)
    return _Piece(wish.rect, Level(0, wish.tile), wish.has_palette)


def _strips(rect: Rect, scale: int) -> list[Rect]:
    step = _ROWS * scale
    rows = max(_STRIP * scale**2 // rect.width // step * step, step)
    return [Rect(rect.x, top, rect.width, min(rows, rect.bottom - top)) for top in range(rect.y, rect.bottom, rows)]


def _is_good(piece: _Piece, ask: Ask) -> bool:
    """Return whether a piece needs not be sent again: it is exact, or of a tile, and as good as tiles get."""
    quality, scale = piece.level
    return scale == ask.tile and (quality == 0 or (ask.tile > 1 and quality == BEST_QUALITY))


# -- how a piece is encoded --------------------------------------------------------------------------------------------


def _encode(mine: Sequence[tuple[_Piece, Future[Part]]], copied: Copied) -> None:
    todo = iter(mine)

    def work() -> None:
        for piece, future in todo:
            future.set_result(_part(piece, _raster_of(piece.rect, copied)))

    if len(mine) > 1 and sum(piece.rect.width * piece.rect.height for piece, _ in mine) > SMALL:
        together(work, work)
    else:
        work()


def _raster_of(rect: Rect, copied: Copied) -> Raster:
    """Return one rectangle of those that were copied, or of their parts; no copy."""
    whole, raster = next(each for each in zip(copied.rects, copied.rasters, strict=True) if each[0].contains(rect))
    return Raster(raster.pixels[rect.moved(-whole.x, -whole.y).slices], raster.format)


def _part(piece: _Piece, raster: Raster) -> Part:
    rect, (quality, scale), has_palette = piece
    if quality:
        opencv.loaded(_EAGER * raster.width * raster.height)
        raster = _shrunk(raster, scale)
        return Part(Codec.JPEG, True, rect, encode.encode(raster, "JPEG", quality=quality).data)
    raster = _shrunk(raster, scale)
    colours: Colours = "auto" if has_palette and raster.width * raster.height >= _PALETTE else "rgb"
    return Part(Codec.PNG, scale > 1, rect, encode.png(raster, colours=colours))


def _look_at(raster: Raster) -> _Look:
    fmt = raster.format
    rows = raster.pixels[min(_EVERY // 2, raster.height - 1) :: _EVERY]
    found = values(rows, fmt, raster.width)
    found = found & found.dtype.type(fmt.colour_mask)
    edges = int(np.count_nonzero(found[:, 1:] != found[:, :-1])) / found.size
    if fmt.byte_offsets is None or not _FLAT < edges <= _BUSY:  # it is of no account whether they are sharp
        return _Look(edges, False)
    green = rows[..., fmt.byte_offsets[1]].astype(np.int16)
    high = int(np.count_nonzero(np.abs(green[:, 1:] - green[:, :-1]) > _STEP))
    return _Look(edges, high >= _SHARP * edges * found.size)


def _shrunk(raster: Raster, by: int) -> Raster:
    """Return the picture with its edges divided, rounded up, each pixel the mean of those that it stands for."""
    if by == 1:
        return raster
    fmt, pixels = raster.format, raster.pixels
    if fmt.byte_offsets is None or fmt.bits_per_pixel != _WORD:
        fmt, pixels = PixelFormat.RGBX, to_rgb.rgba(raster)
    cv2 = opencv.loaded()
    if cv2 is None:
        with limits.loading():
            from PIL import Image  # noqa: PLC0415 - Pillow takes as long to import as a grab of ten frames

        image = Image.frombuffer("RGBX", raster.size, np.ascontiguousarray(pixels), "raw", "RGBX", 0, 1)
        return Raster(np.asarray(image.reduce(by)), fmt)
    # Halves, which OpenCV makes in 0.4 ms of 1080p: a quarter at once takes 2.8, two halves 0.5.
    while by % 2 == 0:
        pixels = _averaged(cv2, pixels, 2)
        by //= 2
    return Raster(_averaged(cv2, pixels, by) if by > 1 else pixels, fmt)


def _averaged(cv2: ModuleType, pixels: NDArray[np.uint8], by: int) -> NDArray[np.uint8]:
    height, width = (edge // by for edge in pixels.shape[:2])
    found = np.empty((-(-pixels.shape[0] // by), -(-pixels.shape[1] // by), pixels.shape[2]), np.uint8)
    if height and width:
        core = pixels[: height * by, : width * by]
        cv2.resize(core, (width, height), dst=found[:height, :width], interpolation=cv2.INTER_AREA)
    # Of what is left over at right and bottom, single pixels: with edges that are no multiple OpenCV takes 8 ms.
    found[:, width:] = pixels[::by, width * by :: by]
    found[height:] = pixels[height * by :: by, ::by]
    return found
