"""A program at a terminal of its own."""

from __future__ import annotations

import os
import pty
import select
import signal
import time
from typing import Self

import pytest


class Terminal:
    """A program at a terminal of its own; `fd` is our end of it. It is killed on leaving."""

    def __init__(self, *command: str, env: dict[str, str] | None = None) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvpe(command[0], command, (os.environ if env is None else env) | {"PS1": "$ "})  # noqa: S606 - words
        self._seen = ""

    def expect(self, text: str, within: float = 20) -> str:
        """Read until a text comes; return what came before it."""
        deadline = time.monotonic() + within
        while text not in self._seen:
            poll = select.poll()
            poll.register(self.fd, select.POLLIN)
            if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
                pytest.fail(f"{text!r} did not come: {self._seen!r}")
            try:
                self._seen += os.read(self.fd, 4096).decode(errors="replace")
            except OSError:
                pytest.fail(f"the terminal was closed before {text!r} came: {self._seen!r}")
        before, _, self._seen = self._seen.partition(text)
        return before

    def rest(self) -> str:
        """Read to the end of the program; return what came."""
        while True:
            try:
                self._seen += os.read(self.fd, 4096).decode(errors="replace")
            except OSError:
                return self._seen

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self.fd, keys.encode())

    def exit_code(self) -> int:
        """Wait for the program's end, and return its exit code."""
        status = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        assert status is not None
        return status.si_status

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
