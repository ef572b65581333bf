"""The directory of results: a directory for each test that leaves something, with names that are safe everywhere.

Always true:

1. Names are of the letters, digits, "." and "_" and "-" of ASCII, and short; a name that says less than the test's does
   ends in a checksum of that.
2. A run removes what earlier ones have written there, and nothing else: the directory's list `.xshm-files` names it,
   before it is written. It does so when its first test begins, and not while another run has the directory: each run
   holds a shared lock of the list until it ends, and the one that removes has to be alone.
3. A file is there whole or not at all, but for a video that a kill has cut off, which is listed.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
from typing import TYPE_CHECKING, Final

from xshm._signal_safety import owned

if TYPE_CHECKING:
    from pathlib import Path

    from xshm._signal_safety import Descriptor

_LIST: Final = ".xshm-files"
_MOST_DIRECTORY, _MOST_FILE = 90, 60  # characters; 255 bytes is what file systems take, artefact stores add their own
# The names that `_slug` writes so that no other test gets the same: "-" is in them between brackets alone, and there
# between two others, since [-1], [1-] and [1] would come to one.
_PLAIN: Final = re.compile(r"(\w[\w./]*)?(::\w+)*(\[\w([\w.]|-(?=[\w.]))*(?<!\.)\])?", re.ASCII)
_SUFFIX: Final = re.compile(r"[\w.-]*", re.ASCII)
_OTHERS: Final = re.compile(r"[^A-Za-z0-9_.]+")


class Results:
    """The directory of results, of this process."""

    def __init__(self, directory: Path, worker: str) -> None:
        self._directory = directory
        self._worker = worker
        self._list: Descriptor | None = None

    def begin(self) -> None:
        """Remove what earlier runs have left, if no other run is at work; again does nothing."""
        if self._list is None and (self._directory / _LIST).exists():
            self._hold()

    def place(self, nodeid: str, name: str, rerun: int, suffix: str) -> Path:
        """Return the path for a test's file, in a directory that exists; list it."""
        if not _SUFFIX.fullmatch(suffix):  # of a picture whose name has other letters
            stem, _, kind = suffix.rpartition(".")
            suffix = f"-{_slug(stem, _MOST_FILE)}.{kind}"
        extra = "".join(f"-{each}" for each in (self._worker, f"rerun{rerun}" if rerun else "") if each)
        found = self._directory / _slug(nodeid, _MOST_DIRECTORY) / f"{_slug(name, _MOST_FILE)}{extra}{suffix}"
        found.parent.mkdir(parents=True, exist_ok=True)
        listed = self._list
        if listed is None:
            listed = self._hold()
            found.parent.mkdir(exist_ok=True)  # an empty one is removed with what was in it
        os.write(listed, f"{found.relative_to(self._directory)}\n".encode())
        return found

    def drop(self, path: Path) -> None:
        """Remove a file that is not wanted after all, and its directory, if nothing else is in it."""
        path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # not empty
            path.parent.rmdir()

    def close(self) -> None:
        """Let other runs remove what is here."""
        self._list = None  # which closes it

    def _hold(self) -> Descriptor:
        """Open the list and lock it, shared; where this run is alone, remove what it names before."""
        opened = owned(os.open, self._directory / _LIST, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pass
        else:
            self._remove_listed(opened)
        fcntl.flock(opened, fcntl.LOCK_SH)
        self._list = opened
        return opened

    def _remove_listed(self, opened: Descriptor) -> None:
        listed = os.pread(opened, os.fstat(opened).st_size, 0).decode(errors="surrogateescape").splitlines()
        for line in dict.fromkeys(listed):
            parts = line.split("/")
            # A list that somebody has edited leads nowhere else.
            if len(parts) == 2 and not {"", ".", ".."} & set(parts):  # noqa: PLR2004 - a directory and a file
                path = self._directory / line
                if not path.parent.is_symlink():
                    with contextlib.suppress(OSError):  # another user's, who ran the tests before: it stays
                        self.drop(path)
        os.ftruncate(opened, 0)


def _slug(name: str, most: int) -> str:
    """Return a name for a test as a file's (1)."""
    found = _OTHERS.sub("-", name.replace(".py::", "::")).strip("-.") or "test"
    if _PLAIN.fullmatch(name) and len(found) <= most:
        return found
    checksum = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:8]
    return f"{found[: most - len(checksum) - 1].rstrip('-.')}-{checksum}"
