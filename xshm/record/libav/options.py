"""Options of encoders: checked before anything is opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from xshm.record.libav.codecs import Codec
    from xshm.record.sinks.settings import Option, Quality


def merged(codec: Codec, quality: Quality, given: Mapping[str, Option]) -> dict[str, str]:
    """Return the codec's options by default, with those that were given in place of them."""
    return {**codec.options.get(quality, {}), **{name: _text(value) for name, value in given.items()}}


def _text(value: Option) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


def check(codec: Codec, given: Mapping[str, Option]) -> None:
    pass


def reason(codec: Codec, size: tuple[int, int], pixels: str, given: Mapping[str, str]) -> str:
    return ""
