"""Encoder: pictures in, packets out, as a muxer or a ring of the last seconds takes them.

1. It opens its codec when it is made, and raises then what can't be encoded.
2. Times are those that are given, in units of `time_base`, and rise strictly.
3. After `encode` returns nothing refers to the picture's memory.
4. It may be dropped at any time: nothing waits for it. It is one thread's at a time.

What does not work: libav's threads over whole pictures. Dropping such an encoder before it is flushed waits forever,
with the interpreter's lock held, for memory that needs the lock to be freed. So threads share one picture each time.
"""

from __future__ import annotations

from contextlib import nullcontext
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

from xshm.errors import InvalidArgument
from xshm.record.codecs import options, trial
from xshm.record.codecs.pyav import libav
from xshm.record.libav import colours, frames
from xshm.record.pictures.picture import Picture
from xshm.record.sinks.sink import LEAST_LAST_RATE, USUAL_RATE
from xshm.system.scheduling import StartedThreads, without_real_time

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xshm.geometry import Rect
    from xshm.record.codecs.table import Codec
    from xshm.record.sinks.settings import Settings

_SECOND: Final = 1_000_000_000  # ns
_MILLISECONDS: Final = Fraction(1, 1000)
# A key frame comes after 10 s, so that a player can go to any place; after 4 s once as much has changed as ten whole
# pictures, since each picture is then nearly as large as a key frame; each 2 s where players join in the middle.
_KEY_SECONDS: Final = 10
_BUSY_KEY_SECONDS: Final = 4
_JOINED_KEY_SECONDS: Final = 2
_BUSY_PICTURES: Final = 10
_NO_KEYS: Final = 1_000_000  # pictures until the encoder puts a key frame by itself: never
_GLOBAL_HEADER: Final = 1 << 22  # AV_CODEC_FLAG_GLOBAL_HEADER: parameters go to the file's header
_KEY, _ANY = 1, 0  # AV_PICTURE_TYPE_I, _NONE
_COLOUR: Final = {"444": "4:4:4", "422": "4:2:2", "420": "4:2:0"}
_BROADCAST: Final = ("mpeg1video", "mpeg2video")  # codecs with a list of rates
_LEAST_OF_SLICES: Final = 2  # pixels: FFV1's four slices are two by two, of colour, too
_LARGEST_TIME_BASE: Final = 65535  # of MPEG-4 Part 2


class Encoder:
    """Encodes pictures of one size. `stream` is what a Muxer makes its stream from."""

    def __init__(
        self,
        codec: Codec,
        size: tuple[int, int],
        settings: Settings,
        *,
        joined: bool = False,
        in_band: bool = False,
        keys_on_request: bool = False,
    ) -> None:
        """Open the codec; raise InvalidArgument, XshmError for what it does not take.

        `joined`: players come while it runs, as at a URL, and need key frames soon. `in_band`: parameters are repeated
        with each key frame, as containers without a header need it. `keys_on_request`: after the first
        key frame there are those alone that `request_key` asks for.
        """
        self.codec, self.settings = codec, settings
        self.layout = codec.layouts[settings.quality]
        self.size = size
        self._pixels = codec.formats.get(settings.quality, self.layout)
        self.options = options.checked(codec, settings.quality, settings.options)
        if codec.name == "ffv1" and min(size) <= _LEAST_OF_SLICES and "slices" not in settings.options:
            self.options["slices"] = "1"

        rate = Fraction(settings.fps or USUAL_RATE).limit_denominator(1001)
        # At a constant rate times are counted in pictures, and are exact.
        even = settings.constant and max(rate.numerator, rate.denominator) <= _LARGEST_TIME_BASE
        self.time_base = 1 / rate if even else _MILLISECONDS
        # How long the last picture is shown: not long where pictures are rare, since it may come just before the end,
        # and is written before that is known. At a constant rate it is its own time.
        last = rate if settings.constant else max(rate, Fraction(LEAST_LAST_RATE))
        self._period = max(round(1 / last / self.time_base), 1)
        self._key_after = (_JOINED_KEY_SECONDS if joined else _KEY_SECONDS) * _SECOND
        self._in_band = in_band
        self._keys_on_request = keys_on_request
        self._key_requested = False
        self._last_time = -1
        self._key_at = 0
        self._changed = 0  # pixels since the last key frame
        self._flushed = False
        self._open(rate)

    def _open(self, rate: Fraction) -> None:
        av = libav()
        width, height = self.size
        # A container that writes nothing: its stream has the codec's parameters in the form that muxers copy.
        self._null = av.open("null", "w", format="null")
        self.stream: Any = self._null.add_stream(
            self.codec.name, rate=rate, options=dict(self.options), width=width, height=height, time_base=self.time_base
        )
        context = self._context = self.stream.codec_context
        self._threads = StartedThreads() if self.codec.rests else None
        context.pix_fmt = self._pixels
        context.gop_size = _NO_KEYS
        context.thread_type = "SLICE"
        context.thread_count = self.codec.threads
        if not self._in_band:
            context.flags |= _GLOBAL_HEADER
        colours.tag(context, colours.tags_of(self._pixels))
        try:
            with trial.quiet(self.codec), without_real_time(), self._threads or nullcontext():
                self._null.start_encoding()
        except (av.FFmpegError, ValueError) as error:
            why = trial.reason(self.codec, self.size, self._pixels, self.options)
            why = why or getattr(error, "strerror", None) or str(error)
            if self.codec.kind in _BROADCAST:
                why += "; it takes constant rates of broadcasts alone: constant=True with fps=24, 25, 30, 50 or 60"
            raise InvalidArgument(
                f"{self.codec.name} can't be opened here: {why} (pictures of {width}x{height})"
            ) from None

    def new_picture(self) -> Picture:
        """Return a black picture in memory that the codec reads."""
        frame, planes = frames.new_frame(self.layout, *self.size)
        colours.tag(frame, colours.tags_of(self.layout))
        return Picture(self.layout, *self.size, planes, frame)

    def encode(self, picture: Picture, at: int, changed: Sequence[Rect]) -> list[Any]:
        """Return the packets that are complete with a picture which is shown from `at`, in ns; often its own."""
        if (picture.layout, picture.width, picture.height) != (self.layout, *self.size):  # libav would convert it
            width, height = self.size
            raise InvalidArgument(
                f"a picture of {picture.layout}, {picture.width}x{picture.height}, is none of this encoder's: "
                f"{self.layout}, {width}x{height}"
            )
        now = max(round(at * self.time_base.denominator / (self.time_base.numerator * _SECOND)), self._last_time + 1)
        frame = picture.handle
        self._changed += sum(rect.width * rect.height for rect in changed)
        if self._needs_key(at):
            frame.pict_type, self._key_at, self._changed = _KEY, at, 0
            self._key_requested = False
        else:
            frame.pict_type = _ANY
        self._last_time = now
        frame.pts, frame.time_base = now, self.time_base
        if self._threads:
            self._threads.wait_idle()
        return self._timed(self._context.encode(self._readable(frame)))

    def request_key(self) -> None:
        """Make the next picture a key frame."""
        self._key_requested = True

    def finish(self) -> list[Any]:
        """Return the packets that the codec still held; the last call."""
        if self._flushed:
            return []
        self._flushed = True
        return self._timed(self._context.encode(None))

    def _needs_key(self, at: int) -> bool:
        if self._last_time < 0 or self._key_requested:
            return True
        if self._keys_on_request:
            return False
        since = at - self._key_at
        width, height = self.size
        busy = self._changed >= _BUSY_PICTURES * width * height
        return since >= self._key_after or (busy and since >= _BUSY_KEY_SECONDS * _SECOND)

    def _readable(self, frame: Any) -> Any:
        """Return the frame as the codec reads it: converted where it has other pixels, copied where it keeps it."""
        if self._pixels != self.layout:
            return colours.converted(frame, self._pixels)
        return _copied(frame) if self.codec.keeps else frame

    def _timed(self, packets: list[Any]) -> list[Any]:
        """Give each packet the duration of a picture, by which a container knows how long the last one is shown."""
        for packet in packets:
            packet.duration = self._period
        return packets

    @property
    def colour(self) -> str:
        """How finely colour is kept, in words: one per pixel ("4:4:4"), one in four ("4:2:0"), RGB."""
        return next((words for digits, words in _COLOUR.items() if digits in self._pixels), "RGB")

    @property
    def period(self) -> Fraction:
        """How long the last picture is shown, in seconds."""
        return self._period * self.time_base


def _copied(frame: Any) -> Any:
    """Return a frame of the same pixels and time in memory of its own."""
    copy = libav().VideoFrame(frame.width, frame.height, frame.format.name)
    for plane, own in zip(frame.planes, copy.planes, strict=True):
        own.update(plane)
    return colours.alike(copy, frame)
