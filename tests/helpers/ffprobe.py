"""What ffprobe and ffmpeg say of a video: independent of what has written it."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


@dataclass(frozen=True)
class Video:
    """A video that ffprobe has read to its end: codec, container, size, and the times of its frames in seconds."""

    codec: str
    container: str
    layout: str
    size: tuple[int, int]
    duration: float
    times: tuple[float, ...]


def probe(path: Path) -> Video:
    """Read a video to its end; an assertion fails where ffprobe has anything to complain of."""
    command = ["ffprobe", "-v", "error", "-of", "json", "-show_streams", "-show_format", "-show_frames", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    (stream,) = found["streams"]
    return Video(
        stream["codec_name"],
        found["format"]["format_name"],
        stream["pix_fmt"],
        (stream["width"], stream["height"]),
        float(found["format"].get("duration", "nan")),  # which an APNG does not tell
        tuple(float(each["pts_time"]) for each in found["frames"]),
    )


def last_picture(path: Path) -> NDArray[np.uint8]:
    """Decode a video by ffmpeg, and return its last picture, (height, width, 3), R G B."""
    size = probe(path).size
    command = [
        "ffmpeg",
        "-v",
        "error",
        "-i",
        str(path),
        "-fps_mode",
        "passthrough",
        "-f",
        "rawvideo",
        "-pix_fmt",
        "rgb24",
        "-",
    ]
    done = subprocess.run(command, capture_output=True, check=True)
    pixels: NDArray[np.uint8] = np.frombuffer(done.stdout, np.uint8).reshape(-1, size[1], size[0], 3)
    last: NDArray[np.uint8] = pixels[-1]
    return last
