"""The directory of a display's authority file is chosen by its status, not by making files that a kill would leave."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from sysv_kernel import NOBODY, run_python

from xshm.virtual.directories import private_place

if TYPE_CHECKING:
    from pathlib import Path

_TEMPORARY = ("TMPDIR", "TEMP", "TMP")


@pytest.fixture(autouse=True)
def _no_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("XDG_RUNTIME_DIR", *_TEMPORARY):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("name", _TEMPORARY)
def test_the_callers_choice_is_taken_and_nothing_is_made_in_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, str(tmp_path))
    os.utime(tmp_path, (1, 1))
    assert private_place() == str(tmp_path)
    assert tmp_path.stat().st_mtime == 1  # so that no file has come and gone


def test_nothing_in_a_display_asks_python_for_its_temporary_directory() -> None:
    result = run_python("import sys, xshm.virtual.display, xshm.cli.commands.run; print('tempfile' in sys.modules)")
    assert result.strip() == "False"


def test_the_first_that_will_do_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    file.touch()
    folder = tmp_path / "folder"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "nowhere"))
    monkeypatch.setenv("TEMP", str(file))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMP", "folder")
    assert private_place() == str(folder)
    monkeypatch.delenv("TMP")
    assert private_place() == "/tmp"  # noqa: S108 - its name is what is checked
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert private_place() == str(tmp_path)


_FULL = """
import os, subprocess, sys
from xshm.virtual.directories import private_place  # before another /tmp may cover the checkout
from xshm.errors import StartFailed
full = {"/tmp": "size=4k,mode=1777", "/var/tmp": "nr_inodes=1,mode=1777", "/dev/shm": "ro"}
for place, options in full.items():
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", place], check=True)
with open("/tmp/much", "wb") as file:
    file.write(bytes(4096))
sys.stdout.flush()
try:
    private_place()
except StartFailed as error:
    print(error)
os.unlink("/tmp/much")
print(private_place())
"""


@pytest.mark.skipif(os.path.isdir("/usr/tmp"), reason="there is one more place here")  # noqa: PTH112
def test_what_is_full_or_read_only_is_passed_over_and_told() -> None:
    command = ["unshare", "--mount", sys.executable, "-c", _FULL]
    here = {"TMPDIR": "/nowhere"}
    run = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | here)
    if "unshare failed" in run.stderr or "mount: " in run.stderr:
        pytest.skip(f"namespaces are not allowed here: {run.stderr.strip()}")
    assert run.returncode == 0, run.stderr
    error, place = run.stdout.splitlines()
    assert error.startswith(
        "there is no place for the display's authority file: /nowhere is no directory; /tmp is full; /var/tmp is full; "
    )
    assert error.endswith("; /dev/shm can't be written by uid 0; set TMPDIR to a directory")
    assert place == "/tmp"  # noqa: S108 - as above


def test_whether_it_can_be_written_is_asked_for_the_user_that_we_are_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    tmp_path.chmod(0o755)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert private_place() == str(tmp_path)
    os.seteuid(NOBODY)
    try:
        assert private_place() != str(tmp_path)
    finally:
        os.seteuid(0)
