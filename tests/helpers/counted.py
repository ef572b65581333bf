"""Which numbers of a CounterScreen a video shows, and when: as ffmpeg decodes it, and ffprobe times it."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import numpy as np
from counter_screen import HEIGHT, WIDTH, counter_in
from videos import probe

if TYPE_CHECKING:
    from pathlib import Path


def counted(path: Path, scale: float = 1.0) -> list[tuple[float, int]]:
    """Return the time in seconds, and the number, of each picture; a torn one is an AssertionError.

    The counter is in the upper left corner; of a large picture only that is decoded into memory.
    """
    found = probe(path, frames=True)
    (stream,) = found["streams"]
    width, height = (min(stream[edge], round(most * scale)) for edge, most in (("width", WIDTH), ("height", HEIGHT)))
    cut = ["-vf", f"crop={width}:{height}:0:0:exact=1"]
    plain = [*cut, "-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "gray", "-"]
    command = ["ffmpeg", "-v", "fatal", "-i", str(path), *plain]
    raw = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=30).stdout
    pictures = np.frombuffer(raw, np.uint8).reshape(-1, height, width)
    times = [float(frame["pts_time"]) for frame in found["frames"]]
    return [(time, counter_in(picture, scale)) for time, picture in zip(times, pictures, strict=True)]


def length(path: Path) -> float:
    """Return a video's duration in seconds, as its container tells it."""
    return float(probe(path)["format"]["duration"])


def numbers(found: list[tuple[float, int]]) -> list[int]:
    """Return the numbers in their order, each run of the same as one."""
    return [number for place, (_, number) in enumerate(found) if not place or found[place - 1][1] != number]
