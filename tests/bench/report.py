"""Writes what was measured: JSON, plots, the tables of README.md, and the lines of the repository's README.md."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import headlines

if TYPE_CHECKING:
    from collections.abc import Mapping

_BEGIN, _END = "<!-- figures: written by python tests/bench -->", "<!-- end of the figures -->"
_README = Path(__file__).parents[2] / "README.md"
_EMPTY = f"# Figures\n\n{_BEGIN}\n{_END}\n"


def write_json(path: Path, figures: Mapping[str, Any]) -> None:
    """Write figures to a file."""
    path.write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n")


def write(into: Path, figures: dict[str, Any]) -> None:
    """Bring README.md, figures.json and plots/ of a folder up to date; parts that were not measured stay."""
    into.mkdir(parents=True, exist_ok=True)
    kept = into / "figures.json"
    everything = json.loads(kept.read_text()) if kept.exists() else {}
    everything |= figures
    write_json(kept, everything)
    pictures = _plots(into / "plots", everything)
    readme = into / "README.md"
    if not readme.exists():
        readme.write_text(_EMPTY)
    _replace(readme, _tables(everything, pictures))
    if into.resolve() == Path(__file__).parent:
        _replace(_README, "\n".join(headlines.lines(everything)) + "\n\n")


def _replace(page: Path, what: str) -> None:
    """Put lines between the markers of a page, if it has them."""
    before, begin, rest = page.read_text().partition(_BEGIN)
    if begin:
        page.write_text(f"{before}{begin}\n\n{what}{_END}{rest.partition(_END)[2]}")


def _tables(everything: Mapping[str, Any], pictures: Mapping[str, list[str]]) -> str:
    from parts import PARTS  # noqa: PLC0415 - all that is measured, which the plots alone do without

    lines = []
    for name in (each for each in PARTS if each in everything):
        part = everything[name]
        machine = part["machine"]
        lines.append(f"## {part['title']}\n")
        lines += [f"![{_words(picture)}](plots/{picture})\n" for picture in pictures.get(name, ())]
        lines += [f"{table.strip()}\n" for table in part["markdown"]]
        if "absent" in part:
            lines.append(f"Left out: {part['absent']}\n")
        lines.append(
            f"`python tests/bench {name}`, {part['seconds']:.0f} s on {part['measured']}: {machine['cpu']},"
            f" {machine['cores']} cores, Linux {machine['kernel']}, Python {machine['python']}.\n"
        )
    return "\n".join(lines) + "\n"


def _words(picture: str) -> str:
    return re.sub(r"_", " ", picture.removesuffix(".svg")).capitalize()


def _plots(folder: Path, everything: Mapping[str, Any]) -> Mapping[str, list[str]]:
    try:
        import plots  # noqa: PLC0415 - of the extra `bench`
    except ImportError as error:
        print(f"no plots: {error} (pip install -e '.[bench]')", file=sys.stderr)
        return {}
    folder.mkdir(exist_ok=True)
    return plots.draw(folder, everything)
