"""Redaction: what a trace keeps secret: regions of the picture, and what patterns match in texts."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from xshm.errors import InvalidArgument, InvalidType
from xshm.geometry import Rect
from xshm.system.printable import quoted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from xshm.capture.source import Source
    from xshm.geometry import Region

HIDDEN: Final = "█████"  # in place of what a pattern matches, whatever its length


class Redaction:
    """What is kept secret: regions of the picture, and patterns in texts."""

    def __init__(self, given: Iterable[Region | re.Pattern[str]], source: Source) -> None:
        """Tell regions and patterns apart. Raises InvalidArgument, InvalidType."""
        self._regions: list[Rect] = []
        self._patterns: list[re.Pattern[str]] = []
        if isinstance(given, str | re.Pattern | Rect):
            given = [given]
        try:
            several = list(given)
        except TypeError:
            raise InvalidType(f"redact is a list of regions and patterns, not {quoted(given)}") from None
        for each in several:
            if isinstance(each, re.Pattern):
                self._patterns.append(_of_text(each))
            elif isinstance(each, str):
                self._add_text(each, source)
            else:
                self._regions.append(source._as_rect(each, source._pump_extent))

    def _add_text(self, text: str, source: Source) -> None:
        """Take a text for a region if it is one, else for an expression."""
        with suppress(InvalidArgument):
            self._regions.append(source._as_rect(text, source._pump_extent))
            return
        self._patterns.append(_compiled(text))

    def clean(self, text: str) -> str:
        """Return a text without what is secret."""
        for pattern in self._patterns:
            text = pattern.sub(_hide, text)
        return text

    def within(self, region: Rect) -> list[Rect]:
        """Return the regions, from the corner of the traced one."""
        return [each.moved(-region.x, -region.y) for each in self._regions]


def check_text(text: str) -> None:
    """Raise InvalidArgument for a text that is neither a region, of any picture, nor an expression."""
    try:
        Rect.parse(text, within=Rect(0, 0, 1, 1))
    except InvalidArgument:
        _compiled(text)


def _compiled(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise InvalidArgument(
            f"redact takes regions ('200x100+10+20') and regular expressions; {quoted(text)} is neither: {error}"
        ) from None


def _of_text(pattern: re.Pattern[Any]) -> re.Pattern[str]:
    if not isinstance(pattern.pattern, str):
        raise InvalidType(f"a pattern of redact's is one of text, not of bytes: {quoted(pattern)}")
    return pattern


def _hide(match: re.Match[str]) -> str:
    return HIDDEN if match[0] else ""
