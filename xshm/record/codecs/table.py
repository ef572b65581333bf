"""Codecs: which encoder a name means, which planes it reads at each quality, and its options by default.

1. What is said of an encoder here is what this library was tried with; of others libav's own list is asked.
2. Defaults are for screens as they are recorded: in real time, one picture in, its packet out, so that a killed process
   loses no more than the last one.
3. How good they are is measured: bars of pure colours decode within 2 of 255, in each picture, also right after a
   change. At "small" the next coarser setting that was tried does not hold that.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from xshm.errors import InvalidArgument
from xshm.record.codecs.pyav import libav
from xshm.record.sinks import target
from xshm.system.printable import quoted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from xshm.record.pictures.picture import Layout
    from xshm.record.sinks.settings import Quality


@dataclass(frozen=True, slots=True)
class Codec:
    """An encoder of libav. `kind` is the format of its packets ("h264"), by which containers know them.

    - `layouts`: the planes that it is given at each quality; a quality that it has not is missing.
    - `formats`: libav's name of the pixels it encodes, where it is none of the planes' own: they are converted then.
    - `options`: the encoder's options by default, at each quality.
    - `threads`: how many it runs; 0 is as many as there are processors.
    - `keeps`: it may read a picture after the call that gave it, which is therefore given a copy.
    - `rests`: it is given a picture when its threads have come to rest.
    """

    name: str
    kind: str
    title: str
    layouts: Mapping[Quality, Layout]
    options: Mapping[Quality, Mapping[str, str]] = field(default_factory=dict)
    formats: Mapping[Quality, str] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    threads: int = 0
    keeps: bool = False
    rests: bool = False


_444: Final[Mapping[Quality, Layout]] = {"screen": "yuv444p", "small": "yuv420p"}
_420: Final[Mapping[Quality, Layout]] = {"screen": "yuv420p", "small": "yuv420p"}

# Where all of a picture changes, x264's first block is predicted from nothing: it was up to 5 of 255 off at 23, and at
# 20 in full-resolution colour, for which x264 takes a coarser quantizer by itself.
_X264: Final = {"preset": "ultrafast", "tune": "zerolatency", "forced-idr": "1"}
# qmax: after text its control of the rate would be too coarse for a few pictures.
_X265: Final = {"preset": "ultrafast", "tune": "zerolatency", "forced-idr": "1"}
_VPX: Final = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0", "b": "0"}
# VP8 always has a rate to keep to. Its control of it would spoil what is there already: on a screen of 1080p where
# nothing moves, pure colours 21 of 255 off from the second picture on, at 3 Mb/s. So the quantizer is fixed, and a film
# takes what it takes, as with the others.
# Its speed is, too: above 0 it is coarser the busier the processors are. -4 takes a third of the bytes of -5 for text.
_VP8: Final = {**_VPX, "cpu-used": "-4", "b": "6M", "screen-content-mode": "1"}
# aq-mode=3, which spends more on blocks after they have changed, takes fewer bytes for the same colours.
_VP9: Final = {**_VPX, "tune-content": "screen", "row-mt": "1", "tile-columns": "2"}
_NVENC: Final = {"preset": "p4", "tune": "ull", "rc": "vbr", "zerolatency": "1", "delay": "0", "forced-idr": "1"}
_FFV1: Final = {"level": "3", "slices": "4", "g": "1"}
# Low delay: the encoder holds no picture back. scm=1: its tools for screens. Of rectangles of one colour that change at
# random, 3 of 100,000 pixels are more than 20 of 255 off; without scm=1 up to 30, and in its real-time mode (rtc=1),
# which leaves blocks of the picture before where they are, 2,600. A film takes up to twice the time for it, text none.
# Given a picture too soon, SVT-AV1 4.1 may stand still for ever: its thread that starts pictures reads what it knows of
# one after it has handed it on, when that may be the next one's already, and then keeps a reference that it has no
# second one of. So it is waited for. It was one encoder of 90 pictures in a hundred where processors were busy.
_SVT: Final = {"preset": "8", "svtav1-params": "pred-struct=1:scm=1"}


def _nvenc(kind: str, title: str) -> Codec:
    options: dict[Quality, Mapping[str, str]] = {
        "screen": {**_NVENC, "cq": "20"},
        "small": {**_NVENC, "cq": "25"},
    }
    layouts = _420 if kind == "av1" else _444
    return Codec(f"{kind}_nvenc", kind, f"{title} on the graphics card", layouts, options)


_CODECS: Final = (
    Codec(
        "libx264",
        "h264",
        "H.264",
        _444,
        {"screen": {**_X264, "crf": "20", "chromaoffset": "-4"}, "small": {**_X264, "crf": "22"}},
        aliases=("h264", "x264", "avc"),
        threads=1,
    ),
    Codec(
        "libx264rgb",
        "h264",
        "H.264 of RGB",
        {"screen": "bgr0", "lossless": "bgr0"},
        {"screen": {**_X264, "crf": "20"}, "lossless": {**_X264, "qp": "0"}},
        aliases=("x264rgb",),
        threads=1,
    ),
    Codec(
        "libx265",
        "hevc",
        "H.265",
        {**_444, "lossless": "gbrp"},
        {
            "screen": {**_X265, "crf": "22", "qmax": "27", "x265-params": "log-level=none"},
            "small": {**_X265, "crf": "25", "qmax": "30", "x265-params": "log-level=none"},
            "lossless": {**_X265, "x265-params": "log-level=none:lossless=1"},
        },
        aliases=("h265", "hevc", "x265"),
    ),
    Codec(
        "libvpx",
        "vp8",
        "VP8",
        _420,
        {
            "screen": {**_VP8, "crf": "9", "qmin": "9", "qmax": "9"},
            "small": {**_VP8, "crf": "13", "qmin": "13", "qmax": "13"},
        },
        aliases=("vp8",),
    ),
    Codec(
        "libvpx-vp9",
        "vp9",
        "VP9",
        {**_444, "lossless": "gbrp"},
        {
            "screen": {**_VP9, "crf": "24", "aq-mode": "3"},
            "small": {**_VP9, "crf": "23", "aq-mode": "3"},
            "lossless": {**_VP9, "lossless": "1"},
        },
        aliases=("vp9",),
    ),
    Codec(
        "libsvtav1",
        "av1",
        "AV1",
        _420,
        {"screen": {**_SVT, "crf": "24"}, "small": {**_SVT, "crf": "31"}},
        aliases=("av1", "svtav1", "svt-av1"),
        rests=True,
    ),
    Codec(
        "ffv1",
        "ffv1",
        "FFV1",
        {**_444, "lossless": "bgr0"},
        {"screen": _FFV1, "small": _FFV1, "lossless": _FFV1},
    ),
    Codec(
        "mjpeg",
        "mjpeg",
        "Motion JPEG",
        {"screen": "bgr0", "small": "bgr0"},
        {"screen": {"qmin": "2", "qmax": "3"}, "small": {"qmin": "3", "qmax": "6"}},
        {"screen": "yuvj444p", "small": "yuvj420p"},  # JPEG is of full range, whatever a file says
    ),
    Codec(
        "mpeg4",
        "mpeg4",
        "MPEG-4 Part 2",
        _420,
        {"screen": {"qmin": "2", "qmax": "4"}, "small": {"qmin": "3", "qmax": "6"}},
        keeps=True,
    ),
    Codec(
        "prores_ks",
        "prores",
        "ProRes",
        {"screen": "bgr0", "small": "bgr0"},
        {"screen": {"profile": "4444", "alpha_bits": "0"}, "small": {"profile": "standard"}},
        {"screen": "yuv444p10le", "small": "yuv422p10le"},
        aliases=("prores",),
    ),
    _nvenc("h264", "H.264"),
    _nvenc("hevc", "H.265"),
    _nvenc("av1", "AV1"),
)
_BY_NAME: Final = {name: codec for codec in _CODECS for name in (codec.name, *codec.aliases)}
# Names by which users of other tools look for a codec: those of containers' tags, of encoders, of players.
_OTHER_NAMES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("avc1", "avc3", "h.264", "openh264", "libopenh264"), "h264"),
    **dict.fromkeys(("hvc1", "hev1", "h.265", "kvazaar"), "h265"),
    **dict.fromkeys(("av01", "aom", "libaom", "libaom-av1", "rav1e", "librav1e"), "av1"),
    **dict.fromkeys(("vp08", "vp80"), "vp8"),
    **dict.fromkeys(("vp09", "vp90"), "vp9"),
    **dict.fromkeys(("xvid", "libxvid", "divx"), "mpeg4"),
}
# The encoder that takes over where the named one has not the quality.
_INSTEAD: Final[Mapping[tuple[str, Quality], str]] = {("libx264", "lossless"): "libx264rgb"}

# Encoders of single pictures, for which there are formats of their own.
_STILL: Final = ("apng", "gif", "libwebp", "libwebp_anim", "png")
_HAVE_LOSSLESS: Final = "libx264rgb, libx265, vp9 and ffv1"


def find(name: str, quality: Quality) -> tuple[Codec, str]:
    """Return the codec that a name means, and what has to be said about it at this quality, or "".

    Raises InvalidArgument for a name that is no video encoder's, and for a quality that the codec has not.
    """
    codec = _BY_NAME.get(name.lower()) or _other(name)
    codec = _BY_NAME.get(_INSTEAD.get((codec.name, quality), ""), codec)
    if quality not in codec.layouts:
        if quality == "lossless":
            raise InvalidArgument(f"{codec.name} can't be lossless; {_HAVE_LOSSLESS} can")
        raise InvalidArgument(f"{codec.name} has no quality {quality!r}; it has {' and '.join(codec.layouts)}")
    if quality == "screen" and codec.formats.get(quality, codec.layouts[quality]) == "yuv420p":
        return codec, f"{codec.name} has no full-resolution colour (4:4:4), so coloured text is softened"
    return codec, ""


def _other(name: str) -> Codec:
    """Return a video encoder that libav knows and the table does not."""
    av = libav()
    try:
        known = av.Codec(name, "w")
    except ValueError:  # UnknownCodecError
        raise InvalidArgument(f"no codec is named {quoted(name)}{_meant(name.strip().lower())}") from None
    if known.type != "video" or known.name in _STILL:
        what = f"an encoder of {known.type}" if known.type != "video" else "an encoder of single pictures"
        raise InvalidArgument(f"{known.name} is {what}, not of video; there are {', '.join(_usual())}")
    if known.name in _BY_NAME:  # "hevc" of libav's own names
        return _BY_NAME[known.name]
    return _described(known)


def _meant(name: str) -> str:
    """Return what a message says of the codec that may be meant by a name."""
    if name in _OTHER_NAMES:
        return f"; it is {_OTHER_NAMES[name]}"
    container = target.container_of(name) if name else None
    if container is not None:
        return f"; {container} is a container, which the suffix names, or format={container!r}"
    near = difflib.get_close_matches(name, {*_BY_NAME, *_encoders()}, n=4)
    if near:
        return f"; did you mean {', '.join(near)}?"
    return f"; there are {', '.join(_usual())} and others of libav"


def _described(known: Any) -> Codec:
    """Return a Codec by what libav says of an encoder: the pixels that it takes, whether it is lossless."""
    formats = [each.name for each in known.video_formats or ()]
    choices: Mapping[Quality, tuple[Layout, ...]] = {
        "screen": ("yuv444p", "bgr0", "gbrp", "yuv420p"),
        "small": ("yuv420p", "yuv444p", "bgr0", "gbrp"),
        "lossless": ("bgr0", "gbrp") if known.lossless and not known.lossy else (),
    }
    layouts: dict[Quality, Layout] = {}
    for quality, wanted in choices.items():
        fitting = [each for each in wanted if each in formats]
        if fitting:
            layouts[quality] = fitting[0]
    if not layouts:
        raise InvalidArgument(
            f"{known.name} takes {', '.join(formats[:8]) or 'no pixels that are known'}, and a recording has yuv420p, "
            "yuv444p, gbrp and bgr0"
        )
    return Codec(known.name, known.canonical_name, known.long_name, layouts, keeps=True)


def _usual() -> list[str]:
    return [codec.aliases[0] if codec.aliases else codec.name for codec in _CODECS]


def _encoders() -> list[str]:
    """Return the names of all video encoders of libav."""
    av = libav()
    found = []
    for name in av.codecs_available:
        try:
            codec = av.Codec(name, "w")
        except ValueError:  # a decoder's
            continue
        if codec.type == "video":
            found.append(codec.name)
    return found
