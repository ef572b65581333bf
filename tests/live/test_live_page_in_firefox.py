"""The live view's page in Firefox, where that is installed: exact, in order, and it begins anew by itself there too."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
from marionette import Firefox, needs_firefox
from scripted_hub import TOKEN, ScriptedHub, channel, noise, part

from xshm.live.messages import Codec

if TYPE_CHECKING:
    from pathlib import Path

_DIGEST = """(async () => {
  const {width, height} = xshm.canvas
  const {data} = xshm.canvas.getContext('2d').getImageData(0, 0, width, height)
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', data))
  return Array.from(digest, byte => byte.toString(16).padStart(2, '0')).join('')
})()"""


@needs_firefox
def test_the_page_is_exact_in_firefox(tmp_path: Path) -> None:
    size = (1203, 701)
    rng = np.random.default_rng(2)
    screen = noise(size)
    with ScriptedHub() as hub, Firefox(tmp_path) as firefox:
        firefox.visit(hub.url)
        viewer = hub.viewer()
        viewer.welcome(channel(1, size))
        assert viewer.read() == {"type": "watch", "channels": {"1": {"width": None, "mode": "auto"}}}
        viewer.draw(size, part(noise(size, 9), codec=Codec.JPEG))
        viewer.draw(size, part(screen))
        for turn in range(60):
            width, height = (int(n) for n in rng.integers(1, (600, 400) if turn % 10 == 0 else (90, 70)))
            x, y = (int(n) for n in rng.integers(0, (size[0] - width, size[1] - height)))
            piece = noise((width, height), turn)
            screen[y : y + height, x : x + width] = piece
            viewer.draw(size, part(piece, x, y))
        assert [viewer.until("ack")["number"] for _ in range(62)] == list(range(1, 63))
        rgba = np.concatenate([screen, np.full((*screen.shape[:2], 1), 255, np.uint8)], axis=2)
        assert firefox.run(_DIGEST) == hashlib.sha256(rgba.tobytes()).hexdigest()
        assert firefox.run("document.title") == ":99 – live"
        viewer.close(1011)
        again = hub.viewer()
        assert again.hello["token"] == TOKEN
        again.welcome(channel(1, size, state="gone", words="The server has ended."))
        again.until("watch")
        assert firefox.run("document.getElementById('words-text').textContent") == "The server has ended."
