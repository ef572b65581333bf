"""Traces with known pictures, written record by record, and what is in them by our own count."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from xshm.geometry import Rect
from xshm.image.files.png import png
from xshm.pixels.format import PixelFormat, VisualClass
from xshm.pixels.raster import Raster
from xshm.trace import page, records
from xshm.trace.records import Patch, Record

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

SECOND = 10**9
STARTED_NS, STARTED_AT = 5_000_000_000_000, 1_790_000_000.25
BGRX = PixelFormat(24, 32, 32, "little", 0xFF0000, 0xFF00, 0xFF, VisualClass.TrueColor)


def format_fields(fmt: PixelFormat) -> dict[str, Any]:
    """Return a format as a head has it."""
    names = ("depth", "bits_per_pixel", "scanline_pad", "byte_order", "red_mask", "green_mask", "blue_mask")
    return {name: getattr(fmt, name) for name in (*names, "visual_class", "bit_order", "opaque")}


@dataclass
class TraceFile:
    """A trace that is being written; `taken` has the time (ns) and the pixels of each picture that was added.

    Pixels are in the layout of `fmt`; times are seconds.
    """

    size: tuple[int, int]
    fmt: PixelFormat = BGRX
    origin: tuple[int, int] = (0, 0)
    title: str = "a trace of known pictures"
    fps: float = 30.0
    taken: list[tuple[int, NDArray[Any]]] = field(default_factory=list)
    stream: list[Record] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Begin with a head and no picture."""
        shape, dtype, _ = self.fmt.layout(*self.size)
        self.pixels: NDArray[Any] = np.zeros(shape, dtype)
        head = {
            "version": records.VERSION,
            "xshm": "0",
            "title": self.title,
            "started_ns": STARTED_NS,
            "started_at": STARTED_AT,
            "size": list(self.size),
            "origin": list(self.origin),
            "source": "a test",
            "how": "painted by a test",
            "fps": self.fps,
            "format": format_fields(self.fmt),
        }
        self.stream.append(records.head(head))

    def key(self, seconds: float) -> None:
        """Add the whole picture as it is."""
        self._add(seconds, [Rect(0, 0, *self.size)], key=True)

    def draw(self, seconds: float, *parts: tuple[Rect, Any], key: bool = False) -> None:
        """Add a change: rectangles, and the pixels or the one colour of each; or, with these drawn, a whole picture."""
        for rect, pixels in parts:
            self.pixels[rect.slices] = pixels
        self._add(seconds, [Rect(0, 0, *self.size)] if key else [rect for rect, _ in parts], key=key)

    def event(self, seconds: float, kind: str, **values: Any) -> None:
        """Add an event."""
        self.stream.append(records.event(_ns(seconds), kind, **values))

    def end(self, seconds: float, why: str = "") -> None:
        """Say that it ends."""
        self.event(seconds, "end", why=why)

    def _add(self, seconds: float, rects: list[Rect], *, key: bool) -> None:
        dtype = np.uint16 if self.fmt.depth == 30 else np.uint8
        patches = [
            Patch(rect, png(Raster(np.ascontiguousarray(self.pixels[rect.slices]), self.fmt), dtype=dtype))
            for rect in rects
        ]
        self.stream.append(records.picture(_ns(seconds), patches, key=key))
        self.taken.append((_ns(seconds), self.pixels.copy()))

    def rgb(self, seconds: float) -> NDArray[np.uint8]:
        """Return what was drawn by then, of B G R X pixels, as (height, width, 3) R G B."""
        pixels = next(pixels for at, pixels in reversed(self.taken) if at <= _ns(seconds))
        return np.ascontiguousarray(pixels[..., 2::-1])

    def bytes(self) -> bytes:
        """Return the stream, as a spill file has it."""
        return b"".join(records.pack(self.stream))

    def save(self, path: Path) -> Path:
        """Write the page."""
        path.write_bytes(b"".join(page.pieces(self.stream, self.title)))
        return path

    def spill(self, path: Path) -> Path:
        """Write the stream as it is."""
        path.write_bytes(self.bytes())
        return path


def _ns(seconds: float) -> int:
    return round(seconds * SECOND)


def example(size: tuple[int, int] = (320, 200), *, groups: int = 3) -> TraceFile:
    """Return 4 s a group of a square that moves across a desk, letters that are typed, and of all that is noted.

    In group n, which begins with a key picture at 4 n seconds, a mark is at 4 n + 0.5, a line of the log at 4 n + 1,
    the window moves at 4 n + 2; the last group has a failure 0.25 s before its end.
    """
    width, height = size
    file = TraceFile(size)
    random = np.random.default_rng(7)
    file.pixels[...] = np.linspace(40, 90, width, dtype=np.uint8)[None, :, None]
    for group, start in ((group, 4.0 * group) for group in range(groups)):
        file.key(start)
        window = [100 + group, f"Window {group}", 10, 10 + group, width // 2, height // 2]
        file.event(start, "windows", windows=[[1, "Desk", 0, 0, width, height], window])
        file.event(start, "pointer", x=5 + group, y=7)
        file.event(start, "rate", fps=30, why="")
        for seconds, kind in ((0.5, "mark"), (1.0, "log"), (2.0, "windows")):
            _draw_until(file, start, seconds, random)
            match kind:
                case "mark":
                    file.event(start + seconds, "mark", title=f"step {group} <b>&amp;")
                case "log":
                    file.event(start + seconds, "log", text=f"line {group}", source="stdout", level="INFO")
                case _:
                    moved = [*window[:2], 30, 20, *window[4:]]
                    file.event(start + seconds, "windows", windows=[[1, "Desk", 0, 0, width, height], moved])
        file.event(start + 2.5, "input", action="click", x=20, y=30, button=1)
        file.event(start + 2.5, "pointer", x=20, y=30)
        _draw_until(file, start, 3.75, random)
    end = 4.0 * groups
    file.event(
        end - 0.25,
        "failure",
        title="AssertionError: 1 == 2",
        text="def test():\n>   assert 1 == 2",
        file="t.py",
        line=2,
    )
    file.end(end)
    return file


def _draw_until(file: TraceFile, start: float, seconds: float, random: np.random.Generator) -> None:
    """Draw what moves up to a time of a group, ten times a second."""
    width, height = file.size
    last = file.taken[-1][0] / SECOND - start
    for step in range(round(last * 10) + 1, int(seconds * 10) + 1):
        x = (step * 7) % (width - 32)
        rect = Rect(x, height // 2, 25, 20)
        parts: list[tuple[Rect, Any]] = [(rect, random.integers(0, 256, (20, 25, 4), np.uint8))]
        if step % 5 == 0:
            parts.append((Rect(8 * (step % (width // 8)), 4, 6, 9), (random.integers(0, 256), 255, 0, 0)))
        file.draw(start + step / 10, *parts)
