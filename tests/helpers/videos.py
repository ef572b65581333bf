"""Pictures with known content for sinks of recordings, and what ffprobe and ffmpeg make of the files."""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING, Any

import numpy as np

from xshm.geometry import Rect

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from xshm.record.pictures.picture import Picture
    from xshm.record.sinks.sink import Sink

SECOND = 1_000_000_000
BARS = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (128, 128, 128), (0, 0, 0))

_LUMA = np.array([0.299, 0.587, 0.114])
# Rows of Y, Cb and Cr for red, green and blue of 0 to 255.
_BT601 = np.array(
    [
        219 / 255 * _LUMA,
        224 / 255 * (np.array([0, 0, 1]) - _LUMA) / 1.772,
        224 / 255 * (np.array([1, 0, 0]) - _LUMA) / 1.402,
    ]
)


def bars(width: int, height: int) -> NDArray[np.uint8]:
    """Return vertical bars of pure colours, RGB."""
    rgb = np.zeros((height, width, 3), np.uint8)
    edges = np.linspace(0, width, len(BARS) + 1).astype(int) // 2 * 2
    edges[-1] = width
    for colour, left, right in zip(BARS, edges, edges[1:], strict=False):
        rgb[:, left:right] = colour
    return rgb


def middles(width: int) -> list[int]:
    """Return a column inside each bar."""
    return [int((number + 0.5) * width / len(BARS)) for number in range(len(BARS))]


def noise(width: int, height: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def paint(picture: Picture, rgb: NDArray[np.uint8]) -> None:
    """Paint RGB into a picture, by the formulas of BT.601; what the picture is larger is the edge once more."""
    height, width = rgb.shape[:2]
    rgb = np.pad(rgb, ((0, picture.height - height), (0, picture.width - width), (0, 0)), mode="edge")
    if picture.layout == "gbrp":
        for plane, channel in zip(picture.planes, (1, 2, 0), strict=True):
            plane[:] = rgb[..., channel]
        return
    if picture.layout == "bgr0":
        picture.planes[0][..., :3] = rgb[..., ::-1]
        picture.planes[0][..., 3] = 255
        return
    luma, *chroma = np.moveaxis(rgb @ _BT601.T, 2, 0)
    if picture.layout == "yuv420p":
        chroma = [(each[::2] + each[1::2]) / 2 for each in chroma]
        chroma = [(each[:, ::2] + each[:, 1::2]) / 2 for each in chroma]
    for plane, values in zip(picture.planes, (16 + luma, *(128 + each for each in chroma)), strict=True):
        plane[:] = np.rint(values).astype(np.uint8)


def record(
    sink: Sink, pictures: list[NDArray[np.uint8]], *, period: int = SECOND // 25, end: int | None = None
) -> None:
    """Write pictures at a steady rate, and complete the file."""
    whole = Rect(0, 0, *sink.size)
    kept = sink.new_picture()
    for number, rgb in enumerate(pictures):
        paint(kept, rgb)
        sink.write(kept, number * period, (whole,))
    sink.finish(len(pictures) * period if end is None else end)


def probe(path: Path | str, *, frames: bool = False) -> dict[str, Any]:
    """Return what ffprobe says of a file: "format", "streams", "chapters", "frames"."""
    command = ["ffprobe", "-v", "error", "-of", "json", "-show_format", "-show_streams", "-show_chapters"]
    done = subprocess.run(
        [*command, *(["-show_frames"] if frames else []), str(path)], capture_output=True, check=True, timeout=30
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def times(path: Path | str) -> list[float]:
    """Return when each picture is shown, in seconds."""
    return [float(frame["pts_time"]) for frame in probe(path, frames=True)["frames"]]


def decode(path: Path | str) -> NDArray[np.uint8]:
    """Return all pictures of a file as ffmpeg decodes them: (pictures, height, width, 3), RGB."""
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-fps_mode", "passthrough", "-pix_fmt", "rgb24"]
    command += ["-sws_flags", "accurate_rnd+full_chroma_int", "-c:v", "ppm", "-f", "image2pipe", "-"]
    done = subprocess.run(command, capture_output=True, check=True, timeout=30)
    assert not done.stderr, done.stderr
    header = re.match(rb"P6\n(\d+) (\d+)\n255\n", done.stdout)
    assert header, done.stdout[:20]
    width, height = int(header[1]), int(header[2])
    pictures = np.frombuffer(done.stdout, np.uint8).reshape(-1, header.end() + 3 * width * height)
    assert (pictures[:, : header.end()] == pictures[0, : header.end()]).all()  # all of one size
    return pictures[:, header.end() :].reshape(-1, height, width, 3)
