"""The five lines of the README's section on speed, from the figures: each has the ratio, and where it is not ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def lines(everything: Mapping[str, Any]) -> Iterator[str]:
    """Give a line for each thing that there are figures for."""

    def tables(part: str) -> Any:
        return everything.get(part, {}).get("tables", {})

    def found(part: str, table: str) -> Any:
        return tables(part).get(table, {}).get("results", {})

    grabs = {size: found("grab", f"array {size}") for size in ("1x1", "1920x1080", "3840x2160")}
    if all(grabs.values()):
        small, full, large = (each["xshm"]["ratio"] for each in grabs.values())
        slower = [_times(grabs[size], "mss", "xshm") for size in ("1920x1080", "3840x2160")]
        apart = _between_cores(found("grab", "array 1x1 apart"), "xshm")
        yield (
            f"- A grab takes {full:.2f} × what a loop in C over libxcb takes at 1080p, {large:.2f} × at 4K, and"
            f" {small:.2f} × for one pixel{apart}; mss takes {slower[0]:.1f} and {slower[1]:.1f} times as long."
        )
    look = found("framebuffer", "framebuffer 1920x1080")
    if look:
        way = "xshm, framebuffer, sync and look"
        apart = _between_cores(found("framebuffer", "framebuffer 1920x1080 apart"), way)
        yield (
            f"- A look at a `VirtualDisplay`'s own framebuffer takes {look[way]['median_ns'] / 1e3:.0f} µs at any size:"
            f" {look[way]['ratio']:.2f} × a round trip of C{apart}."
        )
    change, all_of_it = found("changes", "change of 1 %"), found("changes", "change of 100 %")
    if change and all_of_it:
        part, whole = change["xshm, on change"]["ratio"], all_of_it["xshm, on change"]["ratio"]
        yield (
            f"- After a change of 1 % of a 4K screen the whole picture is in hand in 1/{1 / part:.0f} of the time of a"
            f" full grab in C; after one of all of it in {whole:.2f} × that."
        )
    png, files = found("png", "png 1920x1080"), found("files", "files 1920x1080")
    if png and files:
        yield (
            f"- A browser's page at 1080p is a PNG's bytes in {png['xshm']['median_ns'] / 1e6:.0f} ms, by mss in"
            f" {_times(png, 'mss', 'xshm'):.1f} times that; `xshm shot` takes"
            f" {_times(files, 'xshm shot', 'scrot'):.1f} × as long as scrot, whole processes both."
        )
    recorded = tables("record").get("record", {}).get("data", {})
    shares = {
        load: _both(by["xshm"][0]) / _both(by["x11grab"][0])
        for load, by in recorded.items()
        if by.get("xshm") and by.get("x11grab")
    }
    if shares:
        words = ", ".join(f"{share:.2f} × ({load})" for load, share in shares.items())
        yield f"- A recording costs, of the processor time of ffmpeg's x11grab, X server included: {words}."


def _between_cores(results: Any, name: str) -> str:
    """Return what is said of one's ratio where the server has a core of its own, if that was measured."""
    return f" ({results[name]['ratio']:.2f} × between two cores)" if results else ""


def _times(results: Any, one: str, other: str) -> float:
    return float(results[one]["ratio"] / results[other]["ratio"]) if one in results else float("nan")


def _both(run: Any) -> float:
    return float(run["client"] + run["server"])
