"""Firefox without a window, driven by Marionette, its own protocol on a port of 127.0.0.1, where it is there."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from typing import TYPE_CHECKING, Any, Self

import pytest

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = next(filter(None, map(shutil.which, ("firefox-esr", "firefox"))), None)
needs_firefox = pytest.mark.skipif(PROGRAM is None, reason="Firefox is not installed (Debian: firefox-esr)")

_TIMEOUT = 30  # seconds for its start, and for one answer


class Firefox:
    """A Firefox with a profile of its own, which ends with the block."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._last = 0

    def __enter__(self) -> Self:
        assert PROGRAM is not None
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        (self._home / "user.js").write_text(f'user_pref("marionette.port", {port});\n')
        options = ["--headless", "--no-remote", "--marionette", "--profile", str(self._home)]
        self._process = subprocess.Popen(
            [PROGRAM, *options],
            env=os.environ | {"HOME": str(self._home)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            self._socket = self._connected(port)
            self._read()  # its greeting
            self._call("WebDriver:NewSession")
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_exc: object) -> None:
        self._socket.close()
        self._end()

    def open(self, path: Path, fragment: str = "") -> None:
        """Open a file, and return when it has loaded."""
        self._call("WebDriver:Navigate", url=path.as_uri() + fragment)

    def visit(self, url: str) -> None:
        """Open an address, and return when it has loaded."""
        self._call("WebDriver:Navigate", url=url)

    def run(self, expression: str) -> Any:
        """Return the value of an expression of JavaScript, or what its promise becomes."""
        script = f"const done = arguments[0]; Promise.resolve({expression}).then(value => done(value ?? null))"
        return self._call("WebDriver:ExecuteAsyncScript", script=script, args=[], sandbox=None)["value"]

    def _connected(self, port: int) -> socket.socket:
        deadline = time.monotonic() + _TIMEOUT
        while True:
            try:
                return socket.create_connection(("127.0.0.1", port), _TIMEOUT)
            except ConnectionRefusedError:
                assert time.monotonic() < deadline, "Firefox does not answer"
                time.sleep(0.1)

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._last += 1
        data = json.dumps([0, self._last, method, parameters]).encode()
        self._socket.sendall(b"%d:%s" % (len(data), data))
        _, _, error, result = self._read()
        assert error is None, error
        found: dict[str, Any] = result
        return found

    def _read(self) -> Any:
        kept = b""
        while b":" not in kept or len(kept.partition(b":")[2]) < int(kept.partition(b":")[0]):
            piece = self._socket.recv(1 << 16)
            assert piece, "Firefox has ended"
            kept += piece
        return json.loads(kept.partition(b":")[2])

    def _end(self) -> None:
        self._process.terminate()
        self._process.wait()
