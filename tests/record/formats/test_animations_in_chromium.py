"""APNG, GIF and WebP recordings as Chromium decodes them: each frame's pixels and its duration, and repeats."""

from __future__ import annotations

import base64
import json
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from animations import MS, Script, appended, noise
from browser import told_by_page

from xshm.geometry import Rect
from xshm.record.formats.apng import ApngSink
from xshm.record.formats.gif import GifSink
from xshm.record.formats.webp import WebpSink
from xshm.record.sinks.settings import Settings
from xshm.system.replacement import Replacement

if TYPE_CHECKING:
    from pathlib import Path

    from xshm.record.formats.animation import Animation

SIZE = (99, 61)
WHOLE = Rect(0, 0, *SIZE)
_PAGE = """<body><script>
const files = %s
async function frames([type, text]) {
  const data = Uint8Array.from(atob(text), each => each.charCodeAt(0)), found = []
  const decoder = new ImageDecoder({data, type})
  await decoder.tracks.ready
  await decoder.completed
  const track = decoder.tracks.selectedTrack
  for (let frameIndex = 0; frameIndex < track.frameCount; frameIndex++) {
    const {image} = await decoder.decode({frameIndex})
    const canvas = new OffscreenCanvas(image.displayWidth, image.displayHeight), context = canvas.getContext("2d")
    context.drawImage(image, 0, 0)
    const bytes = context.getImageData(0, 0, canvas.width, canvas.height).data
    found.push([image.duration / 1000, btoa(String.fromCharCode(...bytes))])
    image.close()
  }
  return [String(track.repetitionCount), found]
}
Promise.all(files.map(frames)).then(tell, error => tell(String(error)))
</script></body>"""


def played(sink: Animation) -> Script:
    script = Script(sink)
    script.first(noise(WHOLE, colours=200))
    script.write(50 * MS, script.paint(Rect(3, 5, 20, 10), (255, 0, 0)), script.paint(Rect(90, 50, 7, 7), (0, 255, 0)))
    script.write(850 * MS)
    script.write(870 * MS, script.paint(Rect(31, 11, 40, 40), noise(Rect(0, 0, 40, 40), colours=200)))
    script.write(1000 * MS, script.paint(Rect(98, 60, 1, 1), (1, 2, 3)))
    return script


def decoded(tmp_path: Path, files: list[tuple[str, bytes]]) -> Any:
    texts = [[f"image/{kind}", base64.b64encode(data).decode()] for kind, data in files]
    told = told_by_page(tmp_path, _PAGE % json.dumps(texts))
    assert isinstance(told, list), told
    return told


@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
def test_chromium_shows_the_exact_pixels_at_their_times(tmp_path: Path) -> None:
    files, scripts = [], []  # all in one browser, which takes a second to start
    for kind, sink in (("png", ApngSink), ("gif", GifSink), ("webp", WebpSink)):
        path = tmp_path / f"a.{kind}"
        scripts.append(played(sink(Replacement(path), SIZE, Settings())))
        scripts[-1].sink.finish(2000 * MS)
        files.append((kind, path.read_bytes()))
    path = tmp_path / "piped"  # an APNG that says it has 2,147,483,647 frames
    scripts.append(played(ApngSink(appended(path), SIZE, Settings())))
    scripts[-1].sink.finish(2000 * MS)
    files.append(("png", path.read_bytes()))
    read = decoded(tmp_path, files)
    assert len(read) == len(scripts)
    for (repeats, frames), script in zip(read, scripts, strict=True):
        assert repeats == "Infinity"
        assert [duration for duration, _ in frames] == [50, 800, 20, 130, 1000]
        for (_, data), (_, shown) in zip(frames, script.shown, strict=True):
            pixels = np.frombuffer(base64.b64decode(data), np.uint8).reshape(SIZE[1], SIZE[0], 4)
            assert np.array_equal(pixels[..., :3], shown)
            assert pixels[..., 3].min() == 255
