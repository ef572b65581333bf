"""`examples/record_test.py`, run as a person runs it: the video has the steps as chapters, the picture their frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ffprobe
import numpy as np
import videos
from example_runs import output_of
from PIL import Image

if TYPE_CHECKING:
    from pathlib import Path

_STEPS = ["name", "wrong address", "send", "right address", "send again"]


def test_the_steps_of_the_test_are_chapters_and_their_frames_are_in_the_picture(tmp_path: Path) -> None:
    # Takes 6 seconds: Chromium's start, and five actions.
    video, picture = tmp_path / "test.mp4", tmp_path / "test.png"
    assert output_of("record_test.py", video, picture).startswith(f"{video}: ")
    assert ffprobe.probe(video).size == (800, 340)
    chapters = videos.probe(video)["chapters"]
    assert [chapter["tags"]["title"] for chapter in chapters] == _STEPS
    starts = [float(chapter["start_time"]) for chapter in chapters]
    assert starts == sorted(starts)
    sheet = np.asarray(Image.open(picture).convert("RGB")).astype(int)
    # The answers are red, each below the form: none on the first frame, one on the last.
    rows = np.array_split(sheet, 3)
    red = [((part[..., 0] > 140) & (part[..., 1] < 90) & (part[..., 2] < 90)).sum() for part in (rows[0], rows[2])]
    assert red[0] == 0
    assert red[1] > 50
