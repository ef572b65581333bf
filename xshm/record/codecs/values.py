"""The value of one option, checked.

Names, types and ranges are libav's own lists, narrowed here where an encoder takes less than libav lets pass. x264
clamps numbers without a word, so the ranges hold for what is passed on to it (`x264-params`), too.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, Final

from xshm._arguments import text
from xshm.errors import InvalidArgument, InvalidType
from xshm.system.printable import quoted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from xshm.record.codecs.table import Codec

X264: Final = ("libx264", "libx264rgb")
_PRESETS: Final = (
    *("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow", "placebo"),
)
_X264_TUNES: Final = ("film", "animation", "grain", "stillimage", "psnr", "ssim", "fastdecode", "zerolatency")
_X265_TUNES: Final = ("psnr", "ssim", "grain", "animation", "fastdecode", "zerolatency")
# What the encoders themselves take, where libav's lists say more: (encoder, option) → lowest, highest.
_RANGES: Final[Mapping[tuple[str, str], tuple[float, float]]] = {
    **{
        (name, option): bounds
        for name in (*X264, "libx265")
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
    **{(name, "crf"): (0, 63) for name in ("libvpx", "libvpx-vp9")},
    **{("libsvtav1", option): (1, 63) for option in ("crf", "qp")},  # 0 is its own default, 35
    **{("mpeg4", option): (1, 31) for option in ("qmin", "qmax")},
    **{(name, "qmin"): (0, 63) for name in ("libvpx", "libvpx-vp9", "libsvtav1")},
    **{(name, "qmax"): (0, 63) for name in ("libvpx", "libvpx-vp9", "libsvtav1")},
}
_WORDS: Final[Mapping[tuple[str, str], tuple[str, ...]]] = {
    **{(name, "preset"): _PRESETS for name in (*X264, "libx265")},
    **{(name, "tune"): _X264_TUNES for name in X264},
    ("libx265", "tune"): _X265_TUNES,
    ("libx264", "profile"): ("baseline", "main", "high", "high10", "high422", "high444"),
    ("libx264rgb", "profile"): ("high444",),
}
_SEVERAL: Final = {(name, "tune") for name in X264}  # "animation,zerolatency"
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
_THREADS: Final = 64
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?([kKMG]i?)?")
_WHOLE: Final = frozenset(("INT", "INT64", "UINT", "UINT64", "FLAGS", "BOOL"))
_REAL: Final = frozenset(("DOUBLE", "FLOAT"))
_BOOLS: Final = {"true": "1", "yes": "1", "on": "1", "false": "0", "no": "0", "off": "0", "1": "1", "0": "0"}


def checked(codec: Codec, option: Any, value: object) -> str:
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
    number = as_number(value)
    whole = kind not in _REAL
    if number is None or not low <= number <= high or (whole and number != int(number)):
        raise _refused(codec, option, kind, value)
    return value


def as_number(value: str) -> float | None:
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


def check_passed_on_to_x264(codec: Codec, given: Mapping[str, str]) -> None:
    """Raise InvalidArgument for a number that x264 would clamp; what is no number, it judges itself."""
    for option, settings in given.items():
        for name, value in (map(str.strip, each.split("=", 1)) for each in settings.split(":") if "=" in each):
            key = name.replace("_", "-")
            bounds = _RANGES.get((codec.name, _X264_NAMES.get(key, key)))
            number = as_number(value)
            if bounds and number is not None and not bounds[0] <= number <= bounds[1]:
                raise InvalidArgument(
                    f"{quoted(name)} in {option} of {codec.name} is a number from {bounds[0]:g} to {bounds[1]:g}; "
                    f"not {quoted(value)}"
                )
