"""Chromium at a page of our own, until that page says what it has found: by no clock, which a busy machine outruns."""

from __future__ import annotations

import http.server
import json
import queue
import subprocess
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

_QUIET = (
    *("--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync"),
    "--disable-component-update",
)


def told_by_page(directory: Path, page: str) -> Any:
    """Show a page in Chromium, with the directory's files beside it; return what it sends by `tell(value)`, as JSON."""
    telling = '<script>const tell = value => fetch("/told", {method: "POST", body: JSON.stringify(value)})</script>'
    (directory / "page.html").write_text(f"<!doctype html>{telling}{page}")
    told: queue.Queue[Any] = queue.Queue()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_POST(self) -> None:
            told.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), lambda *given: Handler(*given, directory=str(directory)))
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}).start()
    command = ["chromium", "--headless", "--no-sandbox", *_QUIET, f"--user-data-dir={directory / 'profile'}"]
    command += [f"http://127.0.0.1:{server.server_port}/page.html"]
    try:
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as browser:
            try:
                return told.get(timeout=50)
            finally:
                browser.terminate()
    finally:
        server.shutdown()
        server.server_close()
