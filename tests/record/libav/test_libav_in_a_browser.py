"""Chromium shows recordings in their colours."""

from __future__ import annotations

import itertools
import json
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
import videos
from browser import told_by_page

from xshm.record.libav.sink import LibavSink
from xshm.record.sinks.settings import Settings
from xshm.system.replacement import Replacement

if TYPE_CHECKING:
    from pathlib import Path

_PAGE = """<body><script>
async function show(name, columns) {
  const video = document.createElement("video");
  document.body.append(video);
  video.src = name; video.muted = true;
  await new Promise((done, failed) => {
    video.requestVideoFrameCallback(done); video.onerror = () => failed(video.error.message); video.play();
  });
  const canvas = document.createElement("canvas");
  canvas.width = video.videoWidth; canvas.height = video.videoHeight;
  const context = canvas.getContext("2d");
  context.drawImage(video, 0, 0);
  return columns.map(x => [...context.getImageData(x, canvas.height / 2, 1, 1).data].slice(0, 3));
}
(async () => {
  const shown = {};
  for (const name of NAMES) {
    try { shown[name] = await show(name, COLUMNS); } catch (error) { shown[name] = String(error); }
  }
  tell(shown);
})();
</script></body>"""


@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
def test_chromium_shows_pure_colours(tmp_path: Path) -> None:
    # As large as a screen: of small videos without tags browsers guess other colours than of large ones.
    size = (1280, 720)
    names = []
    for suffix, quality in itertools.product(("mp4", "webm"), ("screen", "small", "lossless")):
        names.append(f"{quality}.{suffix}")
        sink = LibavSink(Replacement(tmp_path / names[-1]), size, Settings(quality=quality, format=suffix))  # type: ignore[arg-type]
        videos.record(sink, [videos.bars(*size)] * 2)
    page = _PAGE.replace("NAMES", json.dumps(names)).replace("COLUMNS", json.dumps(videos.middles(size[0])))
    shown = told_by_page(tmp_path, page)
    assert set(shown) == set(names)
    for name, colours in shown.items():
        off = abs(np.array(colours) - np.array(videos.BARS)).max()
        assert off <= 2, (name, colours)
