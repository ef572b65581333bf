"""`examples/agent_loop.py`, run as a person runs it: what was typed has arrived in the page, and each step is told."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
from example_runs import output_of
from PIL import Image

if TYPE_CHECKING:
    from pathlib import Path


def test_the_form_has_what_was_typed_and_each_action_says_what_came_of_it(tmp_path: Path) -> None:
    # Takes 8 seconds: Chromium's start, and five actions of one each.
    *steps, last = output_of("agent_loop.py", tmp_path / "form.png").splitlines()
    assert last == "the page has received: Ada Lovelace from Zürich"
    assert [step.split(": ")[0] for step in steps] == ["click", "type", "click", "type", "click"]
    for step in steps:
        assert re.search(r": reacted after \d+ ms; at rest after \d+ ms; changed: \d+x\d+\+\d+\+\d+", step), step
    # The answer, 300 ms late, belongs to the last action: it changed the page below the button.
    bottoms = [int(height) + int(y) for height, y in re.findall(r"\d+x(\d+)\+\d+\+(\d+)", steps[-1])]
    assert max(bottoms) > 260
    picture = np.asarray(Image.open(tmp_path / "form.png").convert("L"))
    assert picture.shape == (400, 800)
    assert (picture[260:320, 80:500] < 100).sum() > 200, "the page's answer is not on the picture"
