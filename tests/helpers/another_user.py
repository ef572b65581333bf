"""Another user of this machine: a process of uid 65534 that listens where X servers do, and records what is sent to it.

with Stranger("@/tmp/.X11-unix/X77") as stranger:
    ...
    assert stranger.heard() == []
"""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Final, Self

import pytest

if TYPE_CHECKING:
    from pathlib import Path

UID: Final = 65534
# Any interpreter but that of a virtual environment, which may lie where this user can't go.
PYTHON: Final = "/usr/bin/python3"

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be another user or to mount")

# A connection is answered by "the server has no room", when all that its client sends first is here.
_LISTEN: Final = """
import json, socket, struct, sys, threading
heard = []
def serve(listening):
    while True:
        client, _ = listening.accept()
        client.settimeout(1)
        data = b""
        try:
            while len(data) < 12 or len(data) < 12 + sum((n + 3) // 4 * 4 for n in struct.unpack("=HH", data[6:10])):
                part = client.recv(4096)
                if not part:
                    break
                data += part
            client.sendall(struct.pack("=BBHHH", 0, 24, 11, 0, 6) + b"I am a stranger         ")
        except OSError:
            pass
        heard.append(data.hex())
        client.close()
for place in sys.argv[1:]:
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(place.replace("@", chr(0), 1) if place[0] == "@" else place)
    listening.listen()
    threading.Thread(target=serve, args=(listening,), daemon=True).start()
print("ready", flush=True)
for line in sys.stdin:
    print(json.dumps(heard), flush=True)
"""


def start_as_him(program: str, *arguments: object) -> subprocess.Popen[str]:
    """Start a program in Python as that user, with a line to and from it."""
    return subprocess.Popen(
        [PYTHON, "-c", program, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        user=UID,
        group=UID,
        extra_groups=[],
        cwd="/",
    )


class Stranger:
    """Listens at `places`, paths or "@" and abstract names, as uid 65534."""

    def __init__(self, *places: str | Path) -> None:
        self._process = start_as_him(_LISTEN, *places)
        if self._line() != "ready":
            self.close()
            raise OSError(f"uid {UID} can't listen at {', '.join(map(str, places))}")

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def heard(self) -> list[bytes]:
        """Return what each connection that is over has sent."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return [bytes.fromhex(each) for each in json.loads(self._line())]

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
