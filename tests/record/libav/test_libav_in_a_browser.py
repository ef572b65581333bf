"""Chromium shows recordings in their colours."""

from __future__ import annotations

import http.server
import itertools
import json
import queue
import shutil
import subprocess
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import videos

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
  fetch("/shown", {method: "POST", body: JSON.stringify(shown)});
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
    (tmp_path / "page.html").write_text(page)
    shown = _shown(tmp_path)
    assert set(shown) == set(names)
    for name, colours in shown.items():
        off = abs(np.array(colours) - np.array(videos.BARS)).max()
        assert off <= 2, (name, colours)


def _shown(directory: Path) -> dict[str, Any]:
    """Serve a directory to Chromium, and return what page.html sends back."""
    sent: queue.Queue[dict[str, Any]] = queue.Queue()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_POST(self) -> None:
            sent.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), lambda *given: Handler(*given, directory=str(directory)))
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}).start()
    quiet = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync"]
    command = ["chromium", "--headless", "--no-sandbox", *quiet, "--disable-component-update"]
    command += [f"--user-data-dir={directory / 'profile'}", f"http://127.0.0.1:{server.server_port}/page.html"]
    try:
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as browser:
            try:
                return sent.get(timeout=30)
            finally:
                browser.terminate()
    finally:
        server.shutdown()
        server.server_close()
