"""The viewer in Firefox, where that is installed: its pictures are exact there too."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
from marionette import Firefox, needs_firefox
from trace_files import SECOND, example

if TYPE_CHECKING:
    from pathlib import Path

_DIGEST = """xshm.seek(%s).then(async () => {
  const {width, height} = xshm.canvas
  const {data} = xshm.canvas.getContext('2d').getImageData(0, 0, width, height)
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', data))
  return Array.from(digest, byte => byte.toString(16).padStart(2, '0')).join('')
})"""


@needs_firefox
def test_pictures_are_exact_in_firefox(tmp_path: Path) -> None:
    file = example()
    path = file.save(tmp_path / "known.html")
    with Firefox(tmp_path) as firefox:
        firefox.open(path, "#t=3.3")
        firefox.run("xshm.ready")
        assert firefox.run("xshm.seconds") == 3.3
        times = [at / SECOND for at, _ in file.taken][::-3]
        for time in (*times, *times[::-3]):
            rgb = file.rgb(time)
            rgba = np.concatenate([rgb, np.full((*rgb.shape[:2], 1), 255, np.uint8)], axis=2)
            assert firefox.run(_DIGEST % time) == hashlib.sha256(rgba.tobytes()).hexdigest(), time
