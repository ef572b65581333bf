"""`examples/record_test.py`, run as a person runs it: the video has the steps as chapters, the picture their frames."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import ffprobe
import numpy as np
from PIL import Image

_EXAMPLE = Path(__file__).parent.parent / "examples" / "record_test.py"
_STEPS = ["name", "wrong address", "send", "right address", "send again"]


def test_the_steps_of_the_test_are_chapters_and_their_frames_are_in_the_picture(tmp_path: Path) -> None:
    # Takes 6 seconds: Chromium's start, and five actions.
    environment = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "XAUTHORITY")}
    video, picture = tmp_path / "test.mp4", tmp_path / "test.png"
    done = subprocess.run(
        [sys.executable, "-W", "error", _EXAMPLE, video, picture],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{video}: ")
    assert ffprobe.probe(video).size == (800, 340)
    command = ["ffprobe", "-v", "error", "-of", "json", "-show_chapters", str(video)]
    chapters = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)["chapters"]
    assert [chapter["tags"]["title"] for chapter in chapters] == _STEPS
    starts = [float(chapter["start_time"]) for chapter in chapters]
    assert starts == sorted(starts)
    sheet = np.asarray(Image.open(picture).convert("RGB")).astype(int)
    # The answers are red, each below the form: none on the first frame, one on the last.
    rows = np.array_split(sheet, 3)
    red = [((part[..., 0] > 140) & (part[..., 1] < 90) & (part[..., 2] < 90)).sum() for part in (rows[0], rows[2])]
    assert red[0] == 0
    assert red[1] > 50
