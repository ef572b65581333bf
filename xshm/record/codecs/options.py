"""Options of encoders: checked before anything is opened, since encoders ignore what they don't know, and clamp.

What the recording decides by itself (size, times, tags of colours) is no option.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, Final

from xshm.errors import InvalidArgument, InvalidType
from xshm.record.codecs import rates, trial, values
from xshm.record.codecs.pyav import libav
from xshm.system.printable import quoted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from xshm.record.codecs.table import Codec
    from xshm.record.sinks.settings import Option, Quality

_ENCODING, _VIDEO, _READ_ONLY = 1, 16, 128  # AV_OPT_FLAG_*
_OURS: Final = frozenset(
    (
        *("video_size", "pixel_format", "time_base", "framerate", "g", "keyint_min", "thread_type", "flags", "flags2"),
        *("color_primaries", "color_trc", "colorspace", "color_range", "field_order", "stats", "passlogfile"),
        *("x265-stats", "dump_separator", "debug", "export_side_data", "aspect", "sar", "max_pixels"),
    )
)
# What users look for among the options, by the names of other tools, and what it is here.
_OTHER_NAMES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("bitrate", "bit_rate", "video_bitrate", "b:v", "vb"), "b, in bits a second: '2M'"),
    **dict.fromkeys(("fps", "r", "rate", "frame_rate"), "none of the encoder's but the recording's own: fps"),
    **dict.fromkeys(("quality", "q", "q:v", "qscale"), "crf where there is one, or the recording's own quality"),
    **dict.fromkeys(("pix_fmt", "pixel-format"), "chosen by the recording's quality: screen, small, lossless"),
    **dict.fromkeys(("c", "c:v", "vcodec", "codec"), "none of the encoder's but the recording's own: codec"),
    **dict.fromkeys(("s", "size", "scale", "vf"), "none of the encoder's; region and max_edge are the recording's own"),
}
_PROFILES_420: Final = ("baseline", "main", "high", "high10", "high422")
# What an encoder's own parameters are checked together with.
_BESIDE: Final[Mapping[str, tuple[str, ...]]] = {
    "libx265": ("preset", "tune", "bf"),
    "libsvtav1": ("preset", "crf", "qp", "b", "maxrate", "bufsize"),
}


def checked(codec: Codec, quality: Quality, given: Mapping[str, Option]) -> dict[str, str]:
    """Return the encoder's options: its own by default, with those given in their place.

    Raises InvalidArgument, InvalidType for what the encoder does not take, or not as it is given.
    """
    known = _known(codec) if given else {}
    found = {name: values.checked(codec, _option(codec, name, known), value) for name, value in given.items()}
    passed_on: dict[str, str] = {name: found[name] for name in rates.PASSED_ON if name in found}
    if passed_on and codec.name in values.X264:
        values.check_passed_on_to_x264(codec, passed_on)
    merged = rates.settled(codec, quality, found)
    ahead = rates.x265_lookahead(merged) if codec.name == "libx265" else ""
    if passed_on:
        whole = {name: merged[name] for name in _BESIDE.get(codec.name, ()) if name in merged}
        own = {name: merged[name] if codec.name == "libsvtav1" else value for name, value in passed_on.items()}
        if ahead:
            own = {name: f"{ahead}:{value}" for name, value in own.items()}
        trial.check(codec, passed_on, {**whole, **own})
    if codec.layouts[quality] == "yuv444p" and merged.get("profile") in _PROFILES_420:
        raise InvalidArgument(f"profile {merged['profile']} of {codec.name} has no 4:4:4; quality='small' has 4:2:0")
    if ahead:
        merged["x265-params"] = f"{merged['x265-params']}:{ahead}"
    return merged


def _known(codec: Codec) -> dict[str, Any]:
    """Return libav's descriptions of a video encoder's options by name; its own before those that all have."""
    options = libav().CodecContext.create(codec.name, "w").supported_options
    wanted = _ENCODING | _VIDEO
    return {
        each.name: each
        for each in (*options.generic, *options.private)
        if each.flags & wanted == wanted and not each.flags & _READ_ONLY
    }


def _option(codec: Codec, name: object, known: Mapping[str, Any]) -> Any:
    if not isinstance(name, str):
        raise InvalidType(f"an option's name is a text, not {type(name).__name__}: {quoted(name)}")
    if name in _OURS:
        raise InvalidArgument(f"{name} is set by the recording itself, and is no option")
    if name not in known:
        if name.lstrip("-") in _OTHER_NAMES:
            raise InvalidArgument(f"{codec.name} has no option {quoted(name)}; it is {_OTHER_NAMES[name.lstrip('-')]}")
        near = difflib.get_close_matches(name, [each for each in known if each not in _OURS], n=4, cutoff=0.5)
        like = f"; near it are {', '.join(near)}" if near else ""
        raise InvalidArgument(f"{codec.name} has no option {quoted(name)}{like}")
    return known[name]
