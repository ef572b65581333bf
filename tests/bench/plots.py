"""Draws what was measured, as SVG: `draw` writes the plots that the figures are there for.

Each is without a ground of its own, in inks that can be read on white and on near-black, so that it looks right in a
light page and a dark one, as an <img> too. Bars begin at nothing and are linear; where sizes span five decades, both
axes are logarithmic and say so. The same figures give the same file.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import matplotlib as mpl
from figures import is_ours

mpl.use("svg")
from matplotlib import pyplot as plt  # it has to be told first that there is no screen

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    Figures = Mapping[str, Any]

_INK: Final = "#6e7781"  # 4.6:1 on white, 4.1:1 on GitHub's dark ground
_OURS, _FLOOR, _PEER = "#2f81f7", "#6e7781", "#a9b2bc"
_LINES: Final = ("#d4762c", "#8b6fd6", "#2da06a", "#c2507e", "#9a8a2f", "#3b9fb5", "#b35c44", "#7f8b99")
_STYLE: Final[Any] = {
    "svg.hashsalt": "xshm",
    "font.size": 10,
    **dict.fromkeys(("text.color", "axes.labelcolor", "xtick.color", "ytick.color", "axes.edgecolor"), _INK),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
}
_BARS: Final = {
    # Plot: part, table, title.
    "speed": ("grab", "array 1920x1080", "A 1920×1080 screen in hand, in milliseconds (shorter is better)"),
    "png": ("png", "png 1920x1080", "A browser's page on a 1920×1080 screen, to a PNG's bytes, in milliseconds"),
    "files": (
        "files",
        "files 1920x1080",
        "A browser's page at 1920×1080 to a PNG file, as a whole process, in milliseconds",
    ),
}
_LINE_OF_TEXT: Final = 0.27  # decades of the logarithmic axis
_SIZES: Final = {"1920x1080": "1080p", "3840x2160": "4K", "7680x4320": "8K"}
_NOT_IN_BARS: Final = ("C, xcb, again", "memcpy")


def draw(folder: Path, everything: Figures) -> dict[str, list[str]]:
    """Write all plots that there are figures for; return their files' names by the part that shows them."""
    drawn: dict[str, list[str]] = {}
    with mpl.rc_context(_STYLE):
        for name, (part, table, title) in _BARS.items():
            found = everything.get(part, {}).get("tables", {}).get(table)
            if found:
                _bars(found, title)
                _save(folder / f"{name}.svg", title)
                drawn.setdefault(part, []).append(f"{name}.svg")
        for name, (part, title, plot) in _CURVES.items():
            tables = everything.get(part, {}).get("tables", {})
            if len(tables) > 1:
                plot(tables)
                _save(folder / f"{name}.svg", title)
                drawn.setdefault(part, []).append(f"{name}.svg")
    return drawn


def _save(path: Path, title: str) -> None:
    plt.savefig(path, transparent=True, bbox_inches="tight", metadata={"Date": None, "Title": title})
    plt.close()


def _bars(table: Figures, title: str) -> None:
    results = {name: found for name, found in table["results"].items() if name not in _NOT_IN_BARS}
    floor = table["floor"]
    names = sorted(results, key=lambda name: results[name]["median_ns"])
    values = [results[name]["median_ns"] / 1e6 for name in names]
    _, axes = plt.subplots(figsize=(8, 0.36 * len(names) + 0.7))
    colours = [_OURS if is_ours(name) else _FLOOR if name == floor else _PEER for name in names]
    bars = axes.barh(names, values, color=colours, height=0.72)
    labels = [f"{value:,.3g}   {_times(results[name]['ratio'])}" for name, value in zip(names, values, strict=True)]
    labels = [
        label if name != floor else f"{label.split()[0]}   the floor" for name, label in zip(names, labels, strict=True)
    ]
    axes.bar_label(bars, labels, padding=4, fontsize=9)
    axes.invert_yaxis()
    axes.set_xlim(0, max(values) * 1.18)
    axes.set_title(title)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    for label, name in zip(axes.get_yticklabels(), names, strict=True):
        if is_ours(name):
            label.set_color(_OURS)
            label.set_fontweight("bold")


def _times(ratio: float) -> str:
    return f"{ratio:.2f} ×" if ratio < 10 else f"{ratio:,.0f} ×"


def _growth(tables: Figures) -> None:
    """Draw time over pixels for each contestant, named at its line's end."""
    lines: dict[str, list[tuple[int, float]]] = {}
    for key, table in tables.items():
        if key.endswith(" apart"):
            continue
        width, height = map(int, key.split()[1].split("x"))
        for name, found in table["results"].items():
            lines.setdefault(name, []).append((width * height, found["median_ns"] / 1e3))
    _, axes = plt.subplots(figsize=(8, 5.6))
    inks = iter(_LINES)
    ends = {}
    for name, points in lines.items():
        if name == "C, xcb, again":
            continue
        ours, bound = is_ours(name), name in {"C, xcb", "memcpy"}
        colour = _OURS if ours else _FLOOR if bound else next(inks)
        style: Any = {"linestyle": "--" if name == "memcpy" else "-", "linewidth": 2.4 if ours else 1.4}
        axes.plot(
            *zip(*points, strict=True), color=colour, marker="o", markersize=3.5, zorder=3 if ours else 2, **style
        )
        ends[name] = (*points[-1], colour)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_ylim(1, None)
    axes.set_title("A grab, from 1×1 to 8K: median microseconds (both axes logarithmic)")
    sizes = [key.split()[1] for key in tables]
    areas = [math.prod(map(int, size.split("x"))) for size in sizes]
    axes.set_xticks(areas, [_SIZES.get(size, size.replace("x", "×")) for size in sizes])
    axes.minorticks_off()
    axes.tick_params(axis="x", labelsize=9)
    axes.yaxis.set_major_formatter(mpl.ticker.FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.grid(axis="y", color=_INK, alpha=0.2)
    _label_ends(axes, ends)


def _label_ends(axes: Any, ends: Mapping[str, tuple[float, float, str]]) -> None:
    """Name lines at their ends, apart from each other where they lie close."""
    order = sorted(ends, key=lambda name: ends[name][1])
    places = [math.log10(ends[name][1]) for name in order]
    for _ in range(200):
        for index in range(1, len(places)):
            close = _LINE_OF_TEXT - (places[index] - places[index - 1])
            if close > 0:
                places[index - 1] -= close / 2
                places[index] += close / 2
    right = 2.2 * max(x for x, _, _ in ends.values())
    for name, place in zip(order, places, strict=True):
        x, y, colour = ends[name]
        axes.annotate(
            *(name, (x, y)), xytext=(right, 10**place), color=colour, fontsize=9, va="center",
            fontweight="bold" if is_ours(name) else "normal",
            arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 3},
        )  # fmt: skip


def _changes(tables: Figures) -> None:
    """Draw time over the share of the screen that changed."""
    shares = [key for key in tables if key.startswith("change of")]
    percent = [key.removeprefix("change of ") for key in shares]
    _, axes = plt.subplots(figsize=(8, 3.4))
    for name, colour in (("mss", _LINES[0]), ("C, xcb, a full grab", _FLOOR), ("xshm, on change", _OURS)):
        values = [tables[key]["results"].get(name, {}).get("median_ns") for key in shares]
        if all(values):
            times = [value / 1e6 for value in values]
            axes.plot(percent, times, color=colour, marker="o", linewidth=2.4 if is_ours(name) else 1.4)
            axes.annotate(
                name,
                (len(percent) - 1, times[-1]),
                xytext=(8, 0),
                textcoords="offset points",
                color=colour,
                va="center",
            )
            for index, value in enumerate(times):
                axes.annotate(
                    f"{value:.2g}",
                    (index, value),
                    xytext=(0, 6),
                    textcoords="offset points",
                    color=colour,
                    fontsize=8,
                    ha="center",
                )
    axes.set_ylim(0, None)
    axes.set_xlabel("of a 3840×2160 screen were drawn anew before")
    axes.set_title("The whole picture in hand after a change, in milliseconds")


_CURVES: Final[dict[str, tuple[str, str, Callable[[Figures], None]]]] = {
    "grab_growth": ("grab", "How a grab's cost grows from 1×1 to 8K", _growth),
    "changes": ("changes", "The whole picture in hand after a change", _changes),
}
