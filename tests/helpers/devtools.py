"""Debian's Chromium without a window, driven over the DevTools protocol by a pair of pipes: no port, no library.

    with Browser(tmp_path) as browser:
        page = browser.page()
        page.open(path)
        page.press("k")
        page.run("document.title")

A Page collects what must not be: `problems` (errors of the console, exceptions, violations of a policy) and `requests`
(addresses that were asked for, but its own).
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import time
from typing import TYPE_CHECKING, Any, Self

import pytest

if TYPE_CHECKING:
    from pathlib import Path

needs_chromium = pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")

_TIMEOUT = 30  # seconds for one answer
_QUIET = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--hide-scrollbars", "--mute-audio"),
    *("--disable-extensions", "--process-per-site", "--force-color-profile=srgb", "--remote-debugging-pipe"),
)
_SHIFT = 8
_CODES = {" ": 32, "Enter": 13, "Escape": 27, "Tab": 9, "End": 35, "Home": 36}
_CODES |= {"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}


class Browser:
    """A Chromium with a profile of its own, which ends with the block."""

    def __init__(self, home: Path, *options: str) -> None:
        self._home = home
        self._options = options
        self._kept = b""
        self._last = 0
        self.events: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        ours_in, its_out = os.pipe()
        its_in, ours_out = os.pipe()
        # Away from 3 and 4, which the browser takes for its own ends, so that one does not overwrite the other.
        its = [fcntl.fcntl(fd, fcntl.F_DUPFD, 10) for fd in (its_in, its_out)]
        os.close(its_in)
        os.close(its_out)
        command = ["chromium", *_QUIET, *self._options, f"--user-data-dir={self._home / 'profile'}", "about:blank"]
        actions = [
            (os.POSIX_SPAWN_DUP2, its[0], 3),
            (os.POSIX_SPAWN_DUP2, its[1], 4),
            (os.POSIX_SPAWN_CLOSE, its[0]),
            (os.POSIX_SPAWN_CLOSE, its[1]),
            *((os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (1, 2)),
        ]
        environment = os.environ | {"HOME": str(self._home)}
        self.pid = os.posix_spawnp(command[0], command, environment, file_actions=actions)
        for fd in its:
            os.close(fd)
        self._read, self._write = ours_in, ours_out
        return self

    def __exit__(self, *_exc: object) -> None:
        try:
            self.call("Browser.close")
        finally:
            os.waitpid(self.pid, 0)
            os.close(self._read)
            os.close(self._write)

    def page(self, width: int = 1280, height: int = 800) -> Page:
        """Open a page."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        return Page(self, session, width, height)

    def call(self, method: str, session: str | None = None, /, **parameters: Any) -> dict[str, Any]:
        """Have a method of the protocol called, and return its result; events that come meanwhile are kept."""
        self._last += 1
        message: dict[str, Any] = {"id": self._last, "method": method, "params": parameters}
        if session is not None:
            message["sessionId"] = session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._write, data) :]
        deadline = time.monotonic() + _TIMEOUT
        while True:
            answer = self._next(deadline)
            if answer.get("id") == self._last:
                assert "error" not in answer, f"{method}: {answer['error']}"
                result: dict[str, Any] = answer["result"]
                return result
            self.events.append(answer)

    def wait(self, method: str, session: str) -> None:
        """Wait for an event that has not been waited for."""
        deadline = time.monotonic() + _TIMEOUT
        while True:
            for event in self.events:
                if event.get("method") == method and event.get("sessionId") == session and "seen" not in event:
                    event["seen"] = True
                    return
            self.events.append(self._next(deadline))

    def _next(self, deadline: float) -> dict[str, Any]:
        while b"\0" not in self._kept:
            left = deadline - time.monotonic()
            assert left > 0, "the browser does not answer"
            if select.select([self._read], [], [], left)[0]:
                piece = os.read(self._read, 1 << 20)
                assert piece, "the browser has ended"
                self._kept += piece
        message, _, self._kept = self._kept.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found


class Page:
    """One page: what it shows, and what is done to it."""

    def __init__(self, browser: Browser, session: str, width: int, height: int) -> None:
        self._browser = browser
        self._session = session
        self._opened = 0
        for domain in ("Page", "Runtime", "Log", "Network", "Audits"):
            self.call(f"{domain}.enable")
        self.resize(width, height)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol on this page."""
        return self._browser.call(method, self._session, **parameters)

    def resize(self, width: int, height: int) -> None:
        """Give the page another size, one device pixel a CSS pixel."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def open(self, path: Path, fragment: str = "") -> None:
        """Open a file, and return when it has loaded."""
        self._browser.events.clear()
        self._opened += 1  # a query of its own: else another fragment would load nothing
        self.call("Page.navigate", url=f"{path.as_uri()}?{self._opened}{fragment}")
        self._browser.wait("Page.loadEventFired", self._session)

    def visit(self, url: str) -> None:
        """Open an address, and return when it has loaded."""
        self._browser.events.clear()
        self.call("Page.navigate", url="about:blank")  # else another fragment would load nothing
        self._browser.wait("Page.loadEventFired", self._session)
        self._browser.events.clear()
        self.call("Page.navigate", url=url)
        self._browser.wait("Page.loadEventFired", self._session)

    def close(self) -> None:
        """Close it."""
        self.call("Page.close")

    def before(self, script: str) -> None:
        """Have a script run before those of the pages that are opened from here on."""
        self.call("Page.addScriptToEvaluateOnNewDocument", source=script)

    def dark(self, is_dark: bool) -> None:
        """Have the page think that its user likes it dark, or light."""
        features = [{"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}]
        self.call("Emulation.setEmulatedMedia", features=features)

    def run(self, expression: str) -> Any:
        """Return the value of an expression of JavaScript, or what its promise becomes."""
        answer = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def press(self, *keys: str, shift: bool = False) -> None:
        """Press and release keys, named as in JavaScript."""
        for key in keys:
            text = {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
            code = _CODES.get(key, ord(key.upper()) if key.isalnum() and len(key) == 1 else 0)
            what = {"key": key, "windowsVirtualKeyCode": code, "modifiers": _SHIFT * shift}
            self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **what)
            self.call("Input.dispatchKeyEvent", type="keyUp", **what)

    def mouse(self, kind: str, x: float, y: float, button: str = "left") -> None:
        """Have the mouse do something: mousePressed, mouseMoved, mouseReleased."""
        held = int(kind != "mouseReleased")
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button=button, buttons=held, clickCount=1)

    def click(self, x: float, y: float) -> None:
        """Press and release the mouse's button at a place."""
        self.mouse("mousePressed", x, y)
        self.mouse("mouseReleased", x, y)

    def shot(self) -> bytes:
        """Return what the page looks like, as a PNG file."""
        return base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])

    @property
    def problems(self) -> list[str]:
        """What the console, the policy and the script have complained of since the page was opened."""
        found = []
        for event in self._events():
            details = event["params"]
            if event["method"] in ("Runtime.exceptionThrown", "Audits.issueAdded"):
                found.append(json.dumps(details))
            elif event["method"] == "Log.entryAdded" and details["entry"]["level"] in ("error", "warning"):
                found.append(details["entry"]["text"])
            elif event["method"] == "Runtime.consoleAPICalled" and details["type"] in ("error", "warning", "assert"):
                found.append(json.dumps(details["args"]))
        return found

    @property
    def requests(self) -> list[str]:
        """The addresses that were asked for since the page was opened, but its own."""
        asked = [each["params"] for each in self._events() if each["method"] == "Network.requestWillBeSent"]
        return [each["request"]["url"] for each in asked if each["type"] != "Document"]

    def _events(self) -> list[dict[str, Any]]:
        self.run("0")  # what has happened until now is told before this is answered
        return [event for event in self._browser.events if event.get("sessionId") == self._session]
