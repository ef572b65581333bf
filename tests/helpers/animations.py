"""Synthetic recordings, and what Pillow and ffmpeg see in the files that were made of them."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageSequence

from xshm.geometry import Rect
from xshm.record.sinks.timed_writer import TimedWriter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from xshm.record.sinks.sink import Sink

MS = 1_000_000  # ns


@contextlib.contextmanager
def piped() -> Iterator[tuple[TimedWriter, list[bytes]]]:
    """Give what writes to a pipe; after the block the list holds all that came through it."""
    reads, writes = os.pipe()
    received: list[bytes] = []

    def receive() -> None:
        with open(reads, "rb") as file:  # noqa: PTH123 - a descriptor
            received.append(file.read())

    reader = threading.Thread(target=receive)
    reader.start()
    try:
        writer = TimedWriter(writes, "a pipe")
    finally:
        os.close(writes)
    try:
        yield writer, received
    finally:
        writer.discard()
        reader.join()


def appended(path: Path) -> TimedWriter:
    """Return what writes behind what is in a file, as after `>> file` in a shell."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    try:
        return TimedWriter(descriptor, str(path))
    finally:
        os.close(descriptor)


@dataclass
class Script:
    """A sequence of pictures that is written to a sink, and what was shown, as (ns, R G B)."""

    sink: Sink
    shown: list[tuple[int, NDArray[np.uint8]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.picture = self.sink.new_picture()
        self.plane = self.picture.planes[0]

    def paint(self, rect: Rect, rgb: Any) -> Rect:
        self.plane[(*rect.slices, slice(2, None, -1))] = rgb
        return rect

    def write(self, at: int, *changed: Rect) -> None:
        self.sink.write(self.picture, at, changed)
        self.shown.append((at, self.plane[..., 2::-1].copy()))

    def first(self, rgb: Any = (40, 80, 120)) -> None:
        whole = Rect(0, 0, self.picture.width, self.picture.height)
        self.write(0, self.paint(whole, rgb))


def noise(rect: Rect, seed: int = 0, colours: int | None = None) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    if colours is None:
        return rng.integers(0, 256, (rect.height, rect.width, 3)).astype(np.uint8)
    table = rng.integers(0, 256, (colours, 3)).astype(np.uint8)
    return table[rng.integers(0, colours, (rect.height, rect.width))]


def by_pillow(path: Path) -> list[tuple[int, NDArray[np.uint8]]]:
    """Return duration in ms and R G B of each frame."""
    found = []
    with Image.open(path) as image:
        for frame in ImageSequence.Iterator(image):
            pixels = np.asarray(frame.convert("RGB")).copy()
            found.append((round(frame.info["duration"]), pixels))  # of a WebP known only now
    return found


def by_ffmpeg(path: Path | str, data: bytes | None = None) -> list[tuple[int, int, NDArray[np.uint8]]]:
    """Return time and duration in ms, and R G B of each frame."""
    command = ["ffmpeg", "-v", "info", "-nostdin", "-i", str(path), "-vf", "showinfo", "-fps_mode", "passthrough"]
    command += ["-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    if data is not None:
        command.remove("-nostdin")
    done = subprocess.run(command, input=data, capture_output=True, check=True)
    log = done.stderr.decode()
    times = [round(1000 * float(each)) for each in re.findall(r"pts_time:\s*(\S+)", log)]
    width, height = map(int, re.findall(r"\bs:(\d+)x(\d+)", log)[0])
    frames = np.frombuffer(done.stdout, np.uint8).reshape(-1, height, width, 3)
    assert len(frames) == len(times), log
    ends = [*times[1:], times[-1]]
    return [(at, end - at, frame) for at, end, frame in zip(times, ends, frames, strict=True)]
