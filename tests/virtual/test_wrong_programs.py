"""A program that has a server's name, and is another one or a broken one, is told in words, and within the timeout."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from xshm.errors import StartFailed
from xshm.virtual.display import VirtualDisplay

if TYPE_CHECKING:
    from pathlib import Path

    from xshm.virtual.kinds.installed import ServerKind

_OF_2004 = r"""
echo "Unrecognized option: -displayfd"
echo "use: X [:<display>] [option]"
for option in a b c d e f g h; do echo "-$option     something else"; done
exit 1
"""


@pytest.mark.parametrize(
    ("kind", "name", "script", "why"),
    [
        ("xvnc", "Xvnc", _OF_2004, r"said: Unrecognized option: -displayfd; .*/Xvnc is too old, or another program"),
        ("xvnc", "Xvnc", "echo ../x >&3; exec sleep 60", r"in place of its display's number the server wrote '\.\./x'"),
        ("xvnc", "Xvnc", "exec sleep 60", r"not ready within 1 s; it said nothing"),
        ("xwayland", "Xwayland", "exec sleep 60", r"Xwayland -version did not answer within 1 s"),
        ("xwayland", "weston", "exec sleep 60", r"not ready within 1 s"),
    ],
)
def test_a_program_that_is_not_that_server(
    kind: ServerKind, name: str, script: str, why: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / name
    program.write_text(f"#!/bin/sh\nexec 2>&1\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    begin = time.monotonic()
    with pytest.raises(StartFailed, match=why):
        VirtualDisplay(64, 48, server=kind, timeout=1)
    assert time.monotonic() - begin < 8, "the timeout, and what the end of a server that is starting takes"


def test_an_xwayland_without_its_interpreter(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "Xwayland"
    program.write_text("#!/no/such/interpreter\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(StartFailed, match=r"Xwayland can't be run: .*No such file"):
        VirtualDisplay(64, 48, server="xwayland")


def test_of_a_server_that_writes_without_end_the_last_words_are_quoted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program, log = tmp_path / "Xvnc", tmp_path / "log"
    # More than memory has, were all of it read: 64 GB without a block on the disk.
    program.write_text(f"#!/bin/sh\ntruncate -s 64G '{log}'\nseq 9 >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(StartFailed, match=r"Xvnc ended.* before it was ready; it said: … \| 2 .* 9$"):
        VirtualDisplay(64, 48, server="xvnc", log=log)
