"""The doctor's report: for a person on a terminal, as plain text elsewhere, or as JSON."""

from __future__ import annotations

import os
import sys
import textwrap
from typing import TYPE_CHECKING, Any, Final

from xshm.cli.output import print_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from xshm.cli.doctor.fact import Fact, State

    Groups = Mapping[str, Sequence[Fact]]

_WORDS: Final[dict[State, str]] = {"ok": "ok", "note": "note", "missing": "missing", "wrong": "WRONG"}
_SIGNS: Final[dict[State, str]] = {"ok": "✓", "note": "i", "missing": "–", "wrong": "✗"}
# Of ECMA-48: green, cyan, yellow, red; bold for what is to be typed.
_COLOURS: Final[dict[State, str]] = {"ok": "32", "note": "36", "missing": "33", "wrong": "1;31"}
_BOLD, _DIM = "1", "2"
_LEAST_WIDTH: Final = 60  # characters; a narrower terminal wraps by itself
_DIGITS: Final = 6  # of a width; Python makes no number of thousands of them


def wrong(groups: Groups) -> list[Fact]:
    """Return what is wrong."""
    return [fact for facts in groups.values() for fact in facts if fact.state == "wrong"]


def print_as_json(groups: Groups) -> None:
    """Print all facts as one JSON object: ok, and the facts of each group."""
    facts: list[dict[str, Any]] = [{"group": group} | fact._asdict() for group in groups for fact in groups[group]]
    print_json({"ok": not wrong(groups), "facts": facts})


def print_report(groups: Groups) -> None:
    """Print all facts, a group after the other, and the sum of them.

    In a terminal that can show it, with signs, colours and lines as long as it is wide; elsewhere in words, each fact
    and each remedy in a line of its own.
    """
    style = _Style()
    widest = max(len(fact.name) for facts in groups.values() for fact in facts)
    for group, facts in groups.items():
        print(style.paint(_BOLD, group))
        for fact in facts:
            mark = style.mark(fact.state)
            margin = " " * (style.mark_width + widest + 6)
            lines = style.wrapped(fact.value, len(margin))
            print(f"  {mark}  {fact.name:{widest}}  {lines[0]}".rstrip())
            for line in lines[1:]:
                print(f"{margin}{line}")
            if fact.remedy:
                print(f"{margin}{style.arrow} {style.paint(_BOLD, fact.remedy)}")
        print()
    print(_sum(groups, style))


def _sum(groups: Groups, style: _Style) -> str:
    found = wrong(groups)
    missing = sum(fact.state == "missing" for facts in groups.values() for fact in facts)
    optional = f"\n{missing} optional {'thing is' if missing == 1 else 'things are'} missing." if missing else ""
    if not found:
        return style.paint(_COLOURS["ok"], "Nothing is wrong.") + optional
    names = ", ".join(fact.name for fact in found)
    count = "1 thing is wrong" if len(found) == 1 else f"{len(found)} things are wrong"
    return style.paint(_COLOURS["wrong"], f"{count}: {names}.") + optional


class _Style:
    """How standard output shows it."""

    def __init__(self) -> None:
        self._width = 0  # 0: lines are not wrapped
        encoding = (sys.stdout.encoding or "").lower().replace("-", "")
        terminal = sys.stdout.isatty()
        if terminal:
            self._width = max(_LEAST_WIDTH, _columns())
        self._coloured = terminal and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
        signs = terminal and encoding == "utf8"
        self._marks = _SIGNS if signs else _WORDS
        self.mark_width = max(map(len, self._marks.values()))
        self.arrow = "→" if signs else "->"

    def paint(self, colour: str, text: str) -> str:
        """Return the text in a colour, where there are colours."""
        return f"\x1b[{colour}m{text}\x1b[0m" if self._coloured else text

    def mark(self, state: State) -> str:
        """Return the mark of a state, as wide as all are."""
        return self.paint(_COLOURS[state], f"{self._marks[state]:{self.mark_width}}")

    def wrapped(self, text: str, margin: int) -> list[str]:
        """Return the text in lines that fit beside a margin; words are not broken."""
        if not self._width:
            return [text]
        room = max(_LEAST_WIDTH - margin, self._width - margin)
        return textwrap.wrap(text, max(20, room), break_long_words=False, break_on_hyphens=False) or [""]


def _columns() -> int:
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and len(columns) <= _DIGITS:
        return int(columns)
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns
    except (OSError, ValueError):
        return 80
