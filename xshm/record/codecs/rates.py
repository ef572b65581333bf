"""How good it has to be: which of an encoder's own options count beside those that are given, and x265's look-ahead.

x264's and x265's fastest preset has each picture at the same quality (qp), unless an option needs the rate control
(crf): that looks at each whole picture in advance, and spends bits where nothing moves. x264 at 23, 1080p, 4:2:0, the
pictures of tests/bench/record.py, without its processes: text that scrolls 4.5 ms a picture instead of 7.4 and 0.3
of the bytes, at 48.3 dB instead of 52.3; a film 7.1 instead of 9.8 ms, 1.04 of the bytes, both 42.9 dB; a still
picture 3.1 instead of 4.7 ms, at 49.0 dB instead of 54.5. Slower presets keep it: at veryfast a film takes 1.8 times
the bytes without, though text and a quarter of the screen take fewer. With x265's, pure colours are 3 of 255 off in
pictures after text; a film and text take 1.26 of the bytes without.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from xshm.errors import InvalidArgument
from xshm.record.codecs.values import X264, as_number
from xshm.system.printable import quoted

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

    from xshm.record.codecs.table import Codec

# Those whose fastest preset has each picture at the same quality.
_EVEN: Final = (*X264, "libx265")
_BOUNDS: Final = ("qmin", "qmax")
# What changes nothing of how they share bits out between pictures.
_NEUTRAL: Final = frozenset(("preset", "tune", "profile", "level", "threads"))
_FASTEST: Final = "ultrafast"
# How many pictures x265 looks ahead at a preset, and at all others.
_X265_LOOKAHEADS: Final = {"ultrafast": 5, "superfast": 10, "veryfast": 15, "faster": 15, "fast": 15}
_X265_LOOKAHEAD: Final = 20


def settled(codec: Codec, options: Mapping[str, str], given: AbstractSet[str]) -> dict[str, str]:
    """Return an encoder's options without those of its own that say in another way how good it has to be."""
    others = {"qp", "b"} & given
    dropped = {"crf"} if others else set()
    if others or given & {"crf", *_BOUNDS}:
        dropped.update(_BOUNDS)
    kept = {name: value for name, value in options.items() if name in given or name not in dropped}
    if codec.name in _EVEN and "crf" in kept and given <= _NEUTRAL and kept.get("preset") == _FASTEST:
        kept["qp"] = kept.pop("crf")
    return kept


def x265_lookahead(merged: Mapping[str, str]) -> str:
    """Return the parameter by which x265 looks further ahead than it puts B-frames in a row, or "" where it does.

    It does not open otherwise, and with zerolatency, the usual tune, looks at none. Raises InvalidArgument for a given
    one that is too small.
    """
    pairs = (each.split("=", 1) for each in merged.get("x265-params", "").split(":") if "=" in each)
    params = {name.strip().replace("_", "-"): value.strip() for name, value in pairs}
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
