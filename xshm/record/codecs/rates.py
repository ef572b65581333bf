"""How good it has to be: which of an encoder's own options count beside those that are given, and x265's look-ahead.

1. A given rate or quantizer takes the place of all that says it in another way; a given bound of the quantizer that of
   the usual bound, and the other one and the usual crf move where they contradict it.
2. x264's fastest preset has each picture at the same quality (qp), unless an option needs its rate control (crf): that
   looks at each whole picture in advance, and spends bits where nothing moves. At 23, 1080p, 4:2:0, the pictures of
   tests/bench/record.py, without its processes: text that scrolls 4.5 ms a picture instead of 7.4 and 0.3 of the bytes,
   at 48.3 dB instead of 52.3; a film 7.1 instead of 9.8 ms, 1.04 of the bytes, both 42.9 dB; a still picture 3.1
   instead of 4.7 ms, at 49.0 dB instead of 54.5. Slower presets keep it: at veryfast a film takes 1.8 times the bytes
   without, though text and a quarter of the screen take fewer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from xshm.errors import InvalidArgument
from xshm.record.codecs.values import X264, as_number
from xshm.system.printable import quoted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from xshm.record.codecs.table import Codec
    from xshm.record.sinks.settings import Quality

# Lists of parameters that go on to the encoder's library as they are.
PASSED_ON: Final = ("x264-params", "x264opts", "x265-params", "svtav1-params")
_MIN, _MAX = "qmin", "qmax"
# What asks for a control of the rate, which the usual bounds of the quantizer would keep from its work.
_CONTROLS: Final = frozenset(
    ("maxrate", "minrate", "bufsize", "undershoot-pct", "overshoot-pct", "rc_init_occupancy", "drop-threshold")
)
# The names of x265's own parameters of the rate among libav's options.
_X265_NAMES: Final = {
    "crf": "crf",
    "qp": "qp",
    "bitrate": "b",
    "qpmin": _MIN,
    "qpmax": _MAX,
    "vbv-maxrate": "maxrate",
    "vbv-bufsize": "bufsize",
}
# What changes nothing of how x264 shares bits out between pictures.
_NEUTRAL: Final = frozenset(("preset", "tune", "profile", "level", "threads"))
_FASTEST: Final = "ultrafast"
# How many pictures x265 looks ahead at a preset, and at all others.
_X265_LOOKAHEADS: Final = {"ultrafast": 5, "superfast": 10, "veryfast": 15, "faster": 15, "fast": 15}
_X265_LOOKAHEAD: Final = 20


def settled(codec: Codec, quality: Quality, found: Mapping[str, str]) -> dict[str, str]:
    """Return an encoder's options at a quality with those that are given, and without what these replace.

    Raises InvalidArgument for what has no effect.
    """
    if codec.name == "libsvtav1":
        _check_svt(found)
    usual = {name: value for name, value in codec.options.get(quality, {}).items() if name not in found}
    given = {*found, *(_X265_NAMES[name] for name in _x265_params(found) if name in _X265_NAMES)}
    is_fixed = _MIN in usual and usual[_MIN] == usual.get(_MAX)
    if given & {"qp", "b"} or found.get("lossless") == "1":
        usual = _without(usual, "crf", _MIN, _MAX)
    elif given & {"crf", *_CONTROLS} or given > found.keys():
        usual = _without(usual, _MIN, _MAX)
        if is_fixed and not given & _CONTROLS:
            usual[_MIN] = usual[_MAX] = found["crf"]
    else:
        usual |= _moved(usual, found)
    merged = {**usual, **found, **_joined(codec, quality, found)}
    if codec.name in X264 and "crf" in merged and found.keys() <= _NEUTRAL and merged.get("preset") == _FASTEST:
        merged["qp"] = merged.pop("crf")
    if codec.name == "libsvtav1" and "b" in found:
        merged.setdefault("maxrate", found["b"])
    return merged


def _without(options: Mapping[str, str], *names: str) -> dict[str, str]:
    return {name: value for name, value in options.items() if name not in names}


def _joined(codec: Codec, quality: Quality, found: Mapping[str, str]) -> dict[str, str]:
    """Return the encoder's own lists of parameters with those given behind them, of which the later ones win."""
    lists = {name: value for name, value in codec.options.get(quality, {}).items() if name in PASSED_ON}
    return {name: f"{value}:{found[name]}" if name in found else value for name, value in lists.items()}


def _moved(usual: Mapping[str, str], found: Mapping[str, str]) -> dict[str, str]:
    """Return the usual bounds of the quantizer, and crf, where given bounds are on their other side."""
    low, high = (as_number(found[name]) if name in found else None for name in (_MIN, _MAX))
    moved = {}
    for name in ("crf", _MIN, _MAX):
        value = as_number(usual.get(name, ""))
        if value is not None and low is not None and value < low:
            moved[name] = found[_MIN]
        elif value is not None and high is not None and value > high:
            moved[name] = found[_MAX]
    return moved


def _check_svt(found: Mapping[str, str]) -> None:
    """Raise InvalidArgument for options that SVT-AV1 ignores, or has not with low delay."""
    idle = [name for name in (_MIN, _MAX, "maxrate", "bufsize") if name in found]
    if idle and "b" not in found:
        raise InvalidArgument(f"{idle[0]} of libsvtav1 has no effect without b, the bits a second; crf says how good")
    if "maxrate" in found and as_number(found["maxrate"]) != as_number(found["b"]):
        raise InvalidArgument(
            f"maxrate of libsvtav1 is b, {found['b']}, or left out: with low delay its rate can't vary; "
            f"not {quoted(found['maxrate'])}"
        )


def _x265_params(options: Mapping[str, str]) -> dict[str, str]:
    pairs = (each.split("=", 1) for each in options.get("x265-params", "").split(":") if "=" in each)
    return {name.strip().replace("_", "-"): value.strip() for name, value in pairs}


def x265_lookahead(merged: Mapping[str, str]) -> str:
    """Return the parameter by which x265 looks further ahead than it puts B-frames in a row, or "" where it does.

    It does not open otherwise, and with zerolatency, the usual tune, looks at none. Raises InvalidArgument for a given
    one that is too small.
    """
    params = _x265_params(merged)
    frames = as_number(params.get("bframes", merged.get("bf", "0"))) or 0
    given = params.get("rc-lookahead")
    if given is not None:
        ahead = as_number(given)
        if frames and ahead is not None and ahead <= frames:
            raise InvalidArgument(
                f"'rc-lookahead' in x265-params of libx265 is above the B-frames in a row, {frames:g}, or left out; "
                f"not {quoted(given)}"
            )
        return ""
    is_prompt = merged.get("tune") == "zerolatency"
    usual = 0 if is_prompt else _X265_LOOKAHEADS.get(merged.get("preset", ""), _X265_LOOKAHEAD)
    return f"rc-lookahead={frames + 1:g}" if frames > 0 and usual <= frames else ""
