"""VideoEncoder: a channel as H.264, for viewers whose lines are slow while all of the screen moves (mode "video").

Always true:

1. A frame is encoded from the newest state, when a viewer has room for it; viewers of about the same rate get the same
   frames. Nothing is encoded twice, and nothing for nobody.
2. A viewer gets each frame after those that it has: it begins with a key, and gets one whenever what lies between is
   not kept any more, or was told to be broken. Other keys there are none.
3. A frame takes at most the bytes of its rung: what the line takes in 70 ms, in steps of two, as x264's rate control
   bounds them frame by frame, whatever the time between two is. Above the highest rung all have the same quality.
4. Who falls behind does not harm others: it shares frames with those alone that do, too (`_lane`).
5. What fails here is said once, and pictures are sent instead.

1080p, all of it new each time, KiB a frame: 160 to 300 at the same quality, and with rungs of 64, 32 and 8 at most 62,
31 and 7.8; 7 to 11 ms of processor time. Below 16 KiB a frame has half the width and height, below 4 a quarter: x264
has no coarser way to encode a whole screen.

Locking rules: an encoding's lock is held while it encodes. Under it no other is taken but the Picture's.
"""

from __future__ import annotations

import importlib.util
import math
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from weakref import WeakValueDictionary

from xshm.errors import XshmError
from xshm.geometry import Rect
from xshm.live.encoding import EncodedUpdate
from xshm.live.messages import Codec, Part, Update
from xshm.system import limits, logs

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from xshm.live.encoding import Ask
    from xshm.live.picture import Picture

_SECONDS: Final = 0.07  # that a frame may take on the line
_LEAST, _MOST = 11, 18  # rungs: frames of at most 2 KiB to 256 KiB; above, of any size
_UP: Final = 2.5  # times the rung's bytes that the line takes, before a viewer goes up: each change costs a key
_DOWN: Final = 0.8
_FIRST_HALVED, _FIRST_QUARTERED = 14, 12  # rungs below which edges are divided
_RATE: Final = 15  # pictures a second that x264 is told; the bytes of one are what matters
_KEPT: Final = 8  # frames that a viewer may lack without a key
_KEPT_BYTES: Final = 1 << 21
_FEW: Final = 1 << 15  # bytes that may always be sent instead of a key
_PATIENCE: Final = 2  # keys that a viewer needs since it fell behind, before it goes to those that do


def why_not() -> str:
    """Return why there is no video, in words for a person; "" where there is."""
    if importlib.util.find_spec("av") is None:
        return "no mode video: it needs PyAV: pip install 'xshm[video]'"
    return ""


class _Frame(NamedTuple):
    number: int
    generation: int
    changed_ns: int
    is_key: bool
    data: bytes


class VideoEncoder:
    """The videos of one channel, of which each has its viewers."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # Those that a viewer has: the others are freed.
        self._encodings: WeakValueDictionary[tuple[int, int, int], _Encoding] = WeakValueDictionary()
        self._failed: Picture | None = None  # the picture that can't be encoded

    def encoding(self, picture: Picture, rung: int, lane: int) -> _Encoding | None:
        """Return the encoding of a picture at a rung; None where it can't be encoded, which was said."""
        if picture is self._failed:
            return None
        key = id(picture), rung, lane  # an encoding holds its picture, so no other has this id
        with self._lock:
            found = self._encodings.get(key)
            if found is None:
                found = self._encodings[key] = _Encoding(picture, rung)
        return found

    def failed(self, picture: Picture, error: BaseException) -> None:
        """Note that a picture can't be encoded, and say why."""
        if picture is not self._failed:
            self._failed = picture
            logs.warning("live", "no video of this screen, pictures instead: %s", error)

    @property
    def encoded(self) -> int:
        """How many frames the encodings in use have really encoded."""
        with self._lock:
            return sum(each.number for each in self._encodings.values())


class VideoViewer:
    """One viewer of a channel's video. One thread at a time calls it."""

    def __init__(self, encoder: VideoEncoder) -> None:
        self._encoder = encoder
        self._encoding: _Encoding | None = None
        self._picture: Picture | None = None
        self._rung = _MOST + 1
        self._lane = 0
        self._last = 0  # the frame that it has
        self._keys = 0  # since it fell behind

    def update(self, picture: Picture, ask: Ask, rate: float) -> EncodedUpdate | None:
        """Return what brings it to the newest state, over a line of so many bytes a second; None: there is no video.

        All of the screen is lossy then.
        """
        self._choose(picture, rate, is_new=not ask.since)
        encoding = self._encoding
        if encoding is None:
            return None
        try:
            frames, needed_key = encoding.frames(self._last)
        except (XshmError, OSError, ValueError, RuntimeError, MemoryError) as error:  # libav's are these, too
            self._encoding = None
            self._encoder.failed(picture, error)
            return None
        newest = frames[-1]
        self._note(newest, needed_key=needed_key)
        whole = Rect(0, 0, *picture.size)
        parts = tuple(
            Part(Codec.H264_KEY if each.is_key else Codec.H264_DELTA, True, whole, each.data) for each in frames
        )
        update = Update(picture.size, newest.changed_ns, parts)
        return EncodedUpdate(ask, newest.generation, update, (whole,), ())

    def _choose(self, picture: Picture, rate: float, *, is_new: bool) -> None:
        """Choose the encoding by the rate; `is_new`: the viewer has nothing that a frame could build on."""
        rung = _rung(rate * _SECONDS, self._rung)
        if is_new:
            self._last = 0
        if picture is not self._picture or rung != self._rung or self._encoding is None:
            self._change(picture, rung)

    def _change(self, picture: Picture, rung: int) -> None:
        self._encoding = self._encoder.encoding(picture, rung, self._lane)
        self._picture, self._rung, self._last = picture, rung, 0

    def _note(self, newest: _Frame, *, needed_key: bool) -> None:
        self._keys += needed_key and self._last > 0
        self._last = newest.number
        if self._keys >= _PATIENCE and not self._lane:
            self._lane = 1
            self._encoding = None  # from the next frame on


def _rung(nbytes: float, last: int) -> int:
    """Return the rung for frames of so many bytes: the last one where that is about as good."""
    if _DOWN * 2**last <= nbytes < _UP * 2**last or (last > _MOST and nbytes >= _DOWN * 2**last / 2):
        return last
    return min(max(int(math.log2(max(nbytes, 1))), _LEAST), _MOST + 1)


def _nbytes(frames: Iterable[_Frame]) -> int:
    return sum(len(each.data) for each in frames)


class _Encoding:
    """One video of a picture at a rung: its encoder, and its last frames."""

    def __init__(self, picture: Picture, rung: int) -> None:
        self.number = 0  # of the newest frame
        self._picture = picture
        self._rung = rung
        self._lock = threading.Lock()
        self._kept: deque[_Frame] = deque(maxlen=_KEPT)
        self._generation = 0
        self._encoder: Any = None

    def frames(self, last: int) -> tuple[list[_Frame], bool]:
        """Return what a viewer is to decode that has a frame (0: none), and whether a key had to be made for it.

        The last one is the newest state of the picture.
        """
        with self._lock:
            newer = self._newer(last)
            if newer is not None and (not newer or self._picture.delta(self._generation)[1]):
                self._encode(is_key=False)
                newer.append(self._kept[-1])
            if newer is not None and (len(newer) == 1 or _nbytes(newer) <= max(2 << self._rung, _FEW)):
                return newer, False
            self._encode(is_key=True)
            return [self._kept[-1]], True

    def _newer(self, last: int) -> list[_Frame] | None:
        """Return the frames after one; None where they are not all there, or that is none."""
        kept = self._kept
        key = max((each.number for each in kept if each.is_key), default=0)
        if key > last and _nbytes([each for each in kept if each.number >= key]) <= max(2 << self._rung, _FEW):
            last = key - 1  # where another one began a moment ago
        elif not 0 < last <= self.number or kept[0].number > last + 1:
            return None
        return [each for each in kept if each.number > last]

    def _encode(self, *, is_key: bool) -> None:
        """Encode the newest state."""
        if self._encoder is None:
            with limits.loading():
                self._open()
        self._generation, changed_ns = self._picture.read_into(self._generation, self._paint)
        if is_key:
            self._encoder.request_key()
        packets = self._encoder.encode(self._planes, changed_ns, ())
        data = b"".join(map(bytes, packets))
        if not data:
            raise XshmError("the encoder holds frames back")
        self.number += 1
        is_key = any(packet.is_keyframe for packet in packets)
        self._kept.append(_Frame(self.number, self._generation, changed_ns, is_key, data))
        while _nbytes(self._kept) > _KEPT_BYTES and len(self._kept) > 1:
            self._kept.popleft()

    def _paint(self, pixels: NDArray[np.generic], rects: Sequence[Rect]) -> None:
        self._painter.paint(self._planes, pixels, rects)

    def _open(self) -> None:
        """Make the encoder, and the planes that it reads."""
        from xshm.record.codecs import table  # noqa: PLC0415 - PyAV takes longer to import than all the rest
        from xshm.record.libav.encoder import Encoder  # noqa: PLC0415 - as above
        from xshm.record.pictures.painter import Painter  # noqa: PLC0415 - as above
        from xshm.record.sinks.settings import Settings  # noqa: PLC0415 - as above

        picture, rung = self._picture, self._rung
        by = 1 if rung >= _FIRST_HALVED else 2 if rung >= _FIRST_QUARTERED else 4
        bits = 8 << rung
        # A buffer of one picture: each is at most so large, keys as well.
        bounded = {"crf": "23", "maxrate": str(bits * _RATE), "bufsize": str(bits)}
        settings = Settings(fps=_RATE, quality="small", options={} if rung > _MOST else bounded)
        edge = None if by == 1 else max(max(picture.size) // by, 2)
        self._painter = Painter(picture.format, picture.size, "yuv420p", max_edge=edge)
        codec, _ = table.find("libx264", "small")
        encoder = Encoder(codec, self._painter.size, settings, in_band=True, keys_on_request=True)
        self._planes = encoder.new_picture()
        self._encoder = encoder
