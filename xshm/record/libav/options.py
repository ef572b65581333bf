"""Options of encoders: checked before anything is opened, since encoders ignore what they don't know, and clamp.

1. Names, types and ranges are libav's own lists, narrowed here where an encoder takes less than libav lets pass.
2. What goes on to the encoder's library as it is (`x264-params`) is tried in a process of its own, since libraries end
   the program over some values. x264 clamps numbers without a word, so the ranges here hold for them, too.
3. What the recording decides by itself (size, times, tags of colours) is no option.
4. x264's fastest preset has each picture at the same quality (qp), unless an option needs its rate control (crf): that
   looks at each whole picture in advance, and spends bits where nothing moves. At 23, 1080p, 4:2:0, the
   pictures of tests/bench/record.py, without its processes: text that scrolls 4.5 ms a picture instead of 7.4 and 0.3
   of the bytes, at 48.3 dB instead of 52.3; a film 7.1 instead of 9.8 ms, 1.04 of the bytes, both 42.9 dB; a still
   picture 3.1 instead of 4.7 ms, at 49.0 dB instead of 54.5. Slower presets keep it: at veryfast a film takes 1.8 times
   the bytes without, though text and a quarter of the screen take fewer.
"""

from __future__ import annotations

import contextlib
import difflib
import json
import math
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Final

from xshm._arguments import text
from xshm.errors import InvalidArgument, InvalidType
from xshm.record.libav import codecs
from xshm.system.printable import printable, quoted
from xshm.system.scheduling import without_real_time

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from xshm.record.libav.codecs import Codec
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
_X264: Final = ("libx264", "libx264rgb")
_PRESETS: Final = (
    *("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow", "placebo"),
)
_X264_TUNES: Final = ("film", "animation", "grain", "stillimage", "psnr", "ssim", "fastdecode", "zerolatency")
_X265_TUNES: Final = ("psnr", "ssim", "grain", "animation", "fastdecode", "zerolatency")
# What the encoders themselves take, where libav's lists say more: (encoder, option) → lowest, highest.
_RANGES: Final[Mapping[tuple[str, str], tuple[float, float]]] = {
    **{
        (name, option): bounds
        for name in (*_X264, "libx265")
        for option, bounds in {
            "crf": (0, 51),
            "crf_max": (0, 51),
            "qp": (0, 51),
            "bf": (0, 16),
            "refs": (0, 16),
            "rc-lookahead": (0, 250),
            "aq-mode": (0, 3),
            "aq-strength": (0, 3),
            "qmin": (0, 69),
            "qmax": (0, 69),
            "subq": (0, 11),
            "trellis": (0, 2),
        }.items()
    },
    **{(name, "lag-in-frames"): (0, 25) for name in ("libvpx", "libvpx-vp9")},
    **{(name, "crf"): (0, 63) for name in ("libvpx", "libvpx-vp9", "libsvtav1")},
    **{(name, "qmin"): (0, 63) for name in ("libvpx", "libvpx-vp9", "libsvtav1")},
    **{(name, "qmax"): (0, 63) for name in ("libvpx", "libvpx-vp9", "libsvtav1")},
}
_WORDS: Final[Mapping[tuple[str, str], tuple[str, ...]]] = {
    **{(name, "preset"): _PRESETS for name in (*_X264, "libx265")},
    **{(name, "tune"): _X264_TUNES for name in _X264},
    ("libx265", "tune"): _X265_TUNES,
    ("libx264", "profile"): ("baseline", "main", "high", "high10", "high422", "high444"),
    ("libx264rgb", "profile"): ("high444",),
}
_PROFILES_420: Final = ("baseline", "main", "high", "high10", "high422")
# What changes nothing of how x264 shares bits out between pictures.
_NEUTRAL: Final = frozenset(("preset", "tune", "profile", "level", "threads"))
_FASTEST: Final = "ultrafast"
_SEVERAL: Final = {(name, "tune") for name in _X264}  # "animation,zerolatency"
_PASSED_ON: Final = ("x264-params", "x264opts", "x265-params", "svtav1-params")
# x264's own names of what has a range above under libav's; it takes "_" for "-".
_X264_NAMES: Final = {
    "bframes": "bf",
    "crf-max": "crf_max",
    "frameref": "refs",
    "qp-constant": "qp",
    "qp-max": "qmax",
    "qp-min": "qmin",
    "qpmax": "qmax",
    "qpmin": "qmin",
    "ref": "refs",
    "subme": "subq",
}
# How many pictures x265 looks ahead at a preset, and at all others.
_X265_LOOKAHEADS: Final = {"ultrafast": 5, "superfast": 10, "veryfast": 15, "faster": 15, "fast": 15}
_X265_LOOKAHEAD: Final = 20
_BESIDE: Final = ("preset", "tune", "bf")  # what x265's own parameters are checked together with
_THREADS: Final = 64
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?([kKMG]i?)?")
_WHOLE: Final = frozenset(("INT", "INT64", "UINT", "UINT64", "FLAGS", "BOOL"))
_REAL: Final = frozenset(("DOUBLE", "FLOAT"))
_BOOLS: Final = {"true": "1", "yes": "1", "on": "1", "false": "0", "no": "0", "off": "0", "1": "1", "0": "0"}
_TRIAL_SECONDS: Final = 20.0
_ERROR_LEVEL, _WARNING_LEVEL = 16, 24  # AV_LOG_*


def checked(codec: Codec, quality: Quality, given: Mapping[str, Option]) -> dict[str, str]:
    """Return the encoder's options: its own by default, with those given in their place.

    Raises InvalidArgument, InvalidType for what the encoder does not take, or not as it is given.
    """
    known = _known(codec) if given else {}
    found = {name: _value(codec, _option(codec, name, known), value) for name, value in given.items()}
    passed_on: dict[str, str] = {name: found[name] for name in _PASSED_ON if name in found}
    if passed_on and codec.name in _X264:
        _check_x264(codec, passed_on)
    merged = {**codec.options.get(quality, {}), **found}
    ahead = _lookahead(merged) if codec.name == "libx265" else ""
    if passed_on:
        names = _BESIDE if codec.name == "libx265" else ()
        beside: dict[str, str] = {name: merged[name] for name in names if name in merged}
        _try(codec, passed_on, beside, ahead)
    if codec.layouts[quality] == "yuv444p" and merged.get("profile") in _PROFILES_420:
        raise InvalidArgument(f"profile {merged['profile']} of {codec.name} has no 4:4:4; quality='small' has 4:2:0")
    if {"qp", "b"} & found.keys() and "crf" not in found:
        merged.pop("crf", None)  # another way to say how good it has to be
    elif codec.name in _X264 and "crf" in merged and found.keys() <= _NEUTRAL and merged.get("preset") == _FASTEST:
        merged["qp"] = merged.pop("crf")
    for name in _PASSED_ON:  # lists of settings, of which the later ones win
        usual = codec.options.get(quality, {}).get(name)
        if usual and name in found:
            merged[name] = f"{usual}:{found[name]}"
    if ahead:
        merged["x265-params"] = f"{merged['x265-params']}:{ahead}"
    return merged


def _known(codec: Codec) -> dict[str, Any]:
    """Return libav's descriptions of a video encoder's options by name; its own before those that all have."""
    options = codecs.libav().CodecContext.create(codec.name, "w").supported_options
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


def _value(codec: Codec, option: Any, value: object) -> str:
    """Return an option's value as libav takes it."""
    kind = getattr(option.type, "name", str(option.type))
    if isinstance(value, bool):
        value = str(int(value))
    elif isinstance(value, int | float):
        if not math.isfinite(value):
            raise _refused(codec, option, kind, value)
        value = repr(value)
    elif not isinstance(value, str):
        raise InvalidType(
            f"{option.name} of {codec.name} is a text or a number, not {type(value).__name__}: {quoted(value)}"
        )
    text(value, f"{option.name} of {codec.name}")
    if "\0" in value:
        raise _refused(codec, option, kind, value)
    words = _WORDS.get((codec.name, option.name))
    if words:
        parts = re.split(r"[,.+]", value) if (codec.name, option.name) in _SEVERAL else [value]
        if not all(part in words for part in parts):
            raise InvalidArgument(f"{option.name} of {codec.name} is one of {', '.join(words)}; not {quoted(value)}")
        return value
    if kind in _WHOLE or kind in _REAL:
        return _numeric(codec, option, kind, value)
    return value


def _numeric(codec: Codec, option: Any, kind: str, value: str) -> str:
    """Return a number's text, or the name of one of the option's constants."""
    names = {choice.name for choice in option.choices}
    if value in names:
        return value
    if kind == "BOOL" and value.lower() in _BOOLS:
        return _BOOLS[value.lower()]
    if kind == "FLAGS" and names and all(part in names for part in re.split(r"[+-]", value.lstrip("+-"))):
        return value
    low, high = _bounds(codec, option, kind)
    number = _number(value)
    whole = kind not in _REAL
    if number is None or not low <= number <= high or (whole and number != int(number)):
        raise _refused(codec, option, kind, value)
    return value


def _number(value: str) -> float | None:
    """Return what libav reads as a number, with k, M, G behind it; None for another text."""
    match = _NUMBER.fullmatch(value)
    if not match:
        return None
    suffix = match[3] or ""
    number = float(value.removesuffix(suffix))
    base = 1024 if suffix.endswith("i") else 1000
    return number * base ** " kMG".index(suffix[0].replace("K", "k")) if suffix else number


def _bounds(codec: Codec, option: Any, kind: str) -> tuple[float, float]:
    if option.name == "threads":
        return 0, _THREADS
    if kind == "BOOL":
        return max(option.min, -1), 1
    return _RANGES.get((codec.name, option.name), (option.min, option.max))


def _refused(codec: Codec, option: Any, kind: str, value: object) -> InvalidArgument:
    low, high = _bounds(codec, option, kind)
    names = ", ".join(choice.name for choice in option.choices)
    if kind == "BOOL":
        what = "True or False"
    elif kind == "FLAGS" and names:
        what = f"some of {names}, with + between them"
    else:
        what = "a number" if kind in _REAL else "a whole number"
        if low > -(2**31):
            what += f" from {low:g}" + (f" to {high:g}" if high < 2**31 - 1 else "")
        if names:
            what += f", or one of {names}"
    return InvalidArgument(f"{option.name} of {codec.name} is {what}; not {quoted(value)}")


# -- what only the encoder's library knows -----------------------------------------------------------------------------

_START: Final = (
    "import sys, json; sys.path[:] = json.loads(sys.argv[1]); from xshm.record.libav import options; "
    "options.try_here(sys.argv[2], json.loads(sys.argv[3]))"
)
_COMPLAINT: Final = re.compile(
    "error|unknown|invalid|unrecogni[sz]ed|not supported|must be|out of range|signal", re.IGNORECASE
)
_PREFIX: Final = re.compile(r"^\[[^]]* @ 0x[0-9a-f]+\] *")


def _check_x264(codec: Codec, given: Mapping[str, str]) -> None:
    """Raise InvalidArgument for a number that x264 would clamp; what is no number, it judges itself."""
    for option, settings in given.items():
        for name, value in (map(str.strip, each.split("=", 1)) for each in settings.split(":") if "=" in each):
            key = name.replace("_", "-")
            bounds = _RANGES.get((codec.name, _X264_NAMES.get(key, key)))
            number = _number(value)
            if bounds and number is not None and not bounds[0] <= number <= bounds[1]:
                raise InvalidArgument(
                    f"{quoted(name)} in {option} of {codec.name} is a number from {bounds[0]:g} to {bounds[1]:g}; "
                    f"not {quoted(value)}"
                )


def _lookahead(merged: Mapping[str, str]) -> str:
    """Return the parameter by which x265 looks further ahead than it puts B-frames in a row, or "" where it does.

    It does not open otherwise, and with zerolatency, the usual tune, looks at none. Raises InvalidArgument for a given
    one that is too small.
    """
    pairs = (each.split("=", 1) for each in merged.get("x265-params", "").split(":") if "=" in each)
    params = {name.strip().replace("_", "-"): value.strip() for name, value in pairs}
    frames = _number(params.get("bframes", merged.get("bf", "0"))) or 0
    given = params.get("rc-lookahead")
    if given is not None:
        number = _number(given)
        if frames and number is not None and number <= frames:
            raise InvalidArgument(
                f"'rc-lookahead' in x265-params of libx265 is above the B-frames in a row, {frames:g}, or left out; "
                f"not {quoted(given)}"
            )
        return ""
    is_prompt = merged.get("tune") == "zerolatency"
    usual = 0 if is_prompt else _X265_LOOKAHEADS.get(merged.get("preset", ""), _X265_LOOKAHEAD)
    return f"rc-lookahead={frames + 1:g}" if frames > 0 and usual <= frames else ""


def _try(codec: Codec, given: Mapping[str, str], beside: Mapping[str, str], ahead: str) -> None:
    """Raise InvalidArgument where the encoder's library complains about what is passed on to it, or ends over it.

    `beside` are other options that it depends on, `ahead` is a parameter more for x265.
    """
    what = ", ".join(f"{name} {quoted(value)}" for name, value in given.items())
    whole = {name: f"{ahead}:{value}" if ahead else value for name, value in given.items()}
    command = [sys.executable, "-c", _START, json.dumps(sys.path), codec.name, json.dumps({**beside, **whole})]
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=_TRIAL_SECONDS, check=False, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        raise InvalidArgument(f"{codec.name} did not open within {_TRIAL_SECONDS:g} s with {what}") from None
    if done.returncode < 0:
        raise InvalidArgument(f"{codec.name} ends the program (signal {-done.returncode}) over {what}")
    lines = [
        _PREFIX.sub("", line.strip()) for line in (done.stderr + done.stdout).decode(errors="replace").splitlines()
    ]
    said = [line for line in lines if _COMPLAINT.search(line) and "thread priority" not in line]
    if done.returncode or said:
        raise InvalidArgument(f"{codec.name} does not take {what}: {printable('; '.join((said or lines)[:3]))}")


def try_here(name: str, given: dict[str, str]) -> None:
    """Open an encoder, tell what it complains about, and end with 1 where it can't be opened: a process's work."""
    av = codecs.libav()
    os.environ.setdefault("SVT_LOG", "2")  # warnings
    av.logging.set_level(_WARNING_LEVEL)
    av.logging.restore_default_callback()
    context = _context(av, name, (64, 64), "yuv420p", given)
    if name == "libx264rgb":
        context.pix_fmt = "bgr0"
    try:
        with without_real_time():
            context.open()
        frame = av.VideoFrame(64, 64, context.pix_fmt)
        frame.pts = 0
        context.encode(frame)
        context.encode(None)
    except av.FFmpegError as error:
        sys.stdout.write(f"{error.strerror}\n")
        os._exit(1)
    sys.stdout.flush()
    os._exit(0)


def reason(codec: Codec, size: tuple[int, int], pixels: str, given: Mapping[str, str]) -> str:
    """Return what a codec says when it can't be opened, in one line; "" where it opens, or says nothing."""
    av = codecs.libav()
    before = av.logging.get_level()
    av.logging.set_level(_ERROR_LEVEL)
    try:
        with av.logging.Capture() as logs, without_real_time(), contextlib.suppress(av.FFmpegError, ValueError):
            _context(av, codec.name, size, pixels, given).open()
        return "; ".join(printable(line.strip().rstrip(".")) for _, name, line in logs if name == codec.name)
    finally:
        av.logging.set_level(before)


def _context(av: Any, name: str, size: tuple[int, int], pixels: str, given: Mapping[str, str]) -> Any:
    context = av.CodecContext.create(name, "w")
    context.width, context.height = size
    context.pix_fmt = pixels
    context.framerate = 30
    context.options = dict(given)
    context.thread_count = 1
    return context


@contextlib.contextmanager
def quiet(codec: Codec) -> Iterator[None]:
    """Keep SVT-AV1 from telling standard error about itself when it is opened, unless the environment says how much."""
    if codec.name != "libsvtav1" or "SVT_LOG" in os.environ:
        yield
        return
    os.environ["SVT_LOG"] = "1"  # errors
    try:
        yield
    finally:
        os.environ.pop("SVT_LOG", None)
