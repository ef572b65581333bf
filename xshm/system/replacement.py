"""Replacement: a file that is written over time, and gets its name once what is in it is worth having.

The rules of `atomic_write` hold, and these:

1. The file has no name at first (O_TMPFILE), so that a process which is killed leaves nothing, and the old file. Where
   the file system has no such files, it is a hidden one `.xshm-…` in the same directory. `commit` gives it the target's
   name in place of what is there; writing goes on afterwards, in the same file.
2. A file that can't be replaced is overwritten in place: its old bytes go when `descriptor` is first asked for. No room
   is reserved, since nobody knows how much will be written; on a full disk nothing is overwritten in place.
3. What can be refused is refused when it is made: a missing directory, a directory as target, a lack of rights.
4. The directory is the one that was there then, though the program changes its working directory in between.
"""

from __future__ import annotations

import errno
import os
import stat
from collections import deque
from functools import partial
from typing import Final

from xshm._signal_safety import Descriptor, Ignored, is_a_handlers, owned
from xshm.errors import Closed, TargetDenied, TargetIsDirectory, TargetNotFound
from xshm.system import limits
from xshm.system.atomic_write import check_owner, copy_attributes, followed
from xshm.system.closing import Closing

# Errors of a replacement after which overwriting in place may still succeed, and nothing is lost if it does not.
_IN_PLACE: Final = (
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.EBUSY),  # the directory; a mounted file
    *(errno.EINVAL, errno.ENOTSUP),  # an owner, or attributes, that the new file can't have
)
_NO_UNNAMED: Final = (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL)  # of a file system without O_TMPFILE
_ELSEWHERE: Final = "write to another directory"
_OTHER_DISK: Final = "write to another disk"
_WAYS_OUT: Final = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), f"free some, or {_OTHER_DISK}"),
    errno.EFBIG: _OTHER_DISK,
    errno.ENAMETOOLONG: "choose a shorter one",
    errno.ELOOP: "name the file that they are to lead to",
}


class Replacement(Closing):
    """A file to be written, new or in place of the one at `path`, which stays as it is until `commit`.

    A new file has the mode 0666 less the umask. A FIFO, a device and what is named by a descriptor is opened as it is;
    a FIFO waits for its reader. Raises TargetNotFound, TargetIsDirectory, TargetDenied, OSError, with the file's name.
    """

    def __init__(self, path: str | bytes | os.PathLike[str]) -> None:
        self.name = os.fsdecode(path)
        self._file: Descriptor | None = None
        self._directory: Descriptor | None = None  # of the target; None where that is written to as it is
        self._base = ""  # the target's name in it
        self._hidden: str | None = None  # the file's own name in it, before it has the target's
        self._to_empty = False  # a file that is overwritten in place, until its first use
        try:
            self._open()
        except OSError as error:
            if is_a_handlers(error):
                raise
            raise about_target(self.name, error) from error
        except BaseException:
            self.discard()
            raise

    @property
    def descriptor(self) -> int:
        """The open file, to be written to by its number or by /proc/self/fd; valid until `close`."""
        if self._file is None:
            raise Closed(f"{self.name} is closed, and is not written to any more")
        if self._to_empty:
            os.ftruncate(self._file, 0)
            self._to_empty = False
        return int(self._file)  # a plain number: whoever keeps it does not keep the file open

    def commit(self) -> None:
        """Give the file its name, in place of what is there; again: do nothing. Raises OSError with the file's name."""
        file, directory = self._file, self._directory
        if file is None or directory is None:
            return
        try:
            self._rename(file, directory)
        except OSError as error:
            if is_a_handlers(error):
                raise
            raise about_target(self.name, error) from error
        self._directory = self._hidden = None

    def redirect(self, name: str) -> None:
        """Have `commit` give it another name in the same directory; of a file that has its name, do nothing."""
        if self._directory is not None:
            self.name, self._base = name, os.path.basename(name)  # noqa: PTH119 - a text, as the user wrote it

    def discard(self) -> None:
        """Close the file; before `commit` nothing of it remains, and the old one is as it was. Twice is fine.

        Of a file that was being overwritten in place remains what was written.
        """
        if self._hidden is not None:
            _remove(self._hidden, self._directory)
        self._hidden = self._directory = self._file = None  # the descriptors' finalizers close them

    def close(self) -> None:
        """Close the file, and discard it before `commit`. Twice is fine; raises OSError of a disk that tells late."""
        try:
            if self._file is not None:
                # As in `atomic_write`: network file systems report a full disk at close(2), of any duplicate.
                deque(map(os.close, map(os.dup, (self._file,))), maxlen=0)
        except OSError as error:
            if is_a_handlers(error):
                raise
            raise about_target(self.name, error) from error
        finally:
            self.discard()

    def _open(self) -> None:
        try:
            former = owned(os.open, self.name, os.O_WRONLY)
        except FileNotFoundError as error:
            if is_a_handlers(error):
                raise
            self._make(followed(self.name) or self.name, None)
            return
        status, place = os.fstat(former), followed(self.name)
        if place is not None:
            check_owner(place, status)
        if stat.S_ISREG(status.st_mode):
            if place is not None and status.st_nlink == 1:
                try:
                    self._make(place, former)
                except OSError as error:
                    if error.errno not in _IN_PLACE or is_a_handlers(error):
                        raise
                else:
                    return
            self._to_empty = True
        self._file = former

    def _make(self, place: str, former: int | None) -> None:
        """Make the file in the directory of `place`, with mode, owner and attributes of the open file `former`."""
        where, base = os.path.split(place)
        if not base:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        directory = owned(os.open, where or ".", os.O_PATH | os.O_DIRECTORY)
        if former is not None and _mount(former) != _mount(directory):
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))  # as the rename would, when much is written
        hidden = _new_name()
        mode = 0o666 if former is None else 0o600  # until its attributes are copied: it may replace a private file
        opens = partial(os.open, dir_fd=directory)
        made = _unnamed(directory, mode)
        try:
            if made is None:
                made = owned(opens, hidden, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)
                self._hidden = hidden
            if former is not None:
                copy_attributes(former, made)
        except BaseException:
            _remove(hidden, directory)
            self._hidden = None
            raise
        self._base, self._directory, self._file = base, directory, made

    def _rename(self, file: int, directory: int) -> None:
        # Each step is taken where the last call was interrupted, or failed: a file that once had a name and has lost it
        # is never given one again.
        if self._hidden is None:
            self._hidden = _new_name()
        status = os.fstat(file)
        if not status.st_nlink:
            # follow_symlinks is what gives the name to the open file, and not to the link in /proc.
            link = f"/proc/self/fd/{int(file)}"
            os.link(link, self._hidden, dst_dir_fd=directory, follow_symlinks=True)
        try:
            os.rename(self._hidden, self._base, src_dir_fd=directory, dst_dir_fd=directory)
        except FileNotFoundError as error:
            if is_a_handlers(error) or not os.path.samestat(status, os.stat(self._base, dir_fd=directory)):
                raise


def about_target(name: str, error: OSError) -> OSError:
    """Return an error of a target with its name, what is wrong, and the way out; an XshmError where that is known."""
    code, words = error.errno, explained(error)
    if code == errno.ENOENT:
        words = "its directory is missing; make it first" if os.path.basename(name) else "it names no file"  # noqa: PTH119
        return TargetNotFound(code, words, name)
    if code == errno.ENOTDIR:
        return TargetNotFound(code, f"what its path leads through is no directory; {_ELSEWHERE}", name)
    if code == errno.EISDIR:
        return TargetIsDirectory(code, "this is a directory; name a file in it", name)
    if code in (errno.EACCES, errno.EPERM, errno.EROFS):
        return TargetDenied(code, words if _ELSEWHERE in words else f"{words}; {_ELSEWHERE}", name)
    return OSError(code, words, name)


def explained(error: OSError) -> str:
    """Return what is wrong with a target that is written to, and the way out where one is known."""
    words = limits.describe(error)
    way = _WAYS_OUT.get(error.errno or 0)
    return words if way is None or "; " in words else f"{words}; {way}"


def _unnamed(directory: int, mode: int) -> Descriptor | None:
    """Make a file without a name; None where the file system, or a missing /proc, does not allow it one later."""
    if not os.path.isdir("/proc/self/fd"):  # noqa: PTH112 - as in atomic_write
        return None
    try:
        return owned(partial(os.open, dir_fd=directory), ".", os.O_RDWR | os.O_TMPFILE, mode)
    except OSError as error:
        if error.errno not in _NO_UNNAMED or is_a_handlers(error):
            raise
    return None


def _new_name() -> str:
    return f".xshm-{os.urandom(8).hex()}"


def _mount(descriptor: int) -> bytes:
    """Return the line with the mount that an open file is in; b"" where the kernel does not tell."""
    with Ignored(OSError):
        information = os.read(owned(os.open, f"/proc/self/fdinfo/{int(descriptor)}", os.O_RDONLY), 4096)
        return next((line for line in information.splitlines() if line.startswith(b"mnt_id:")), b"")
    return b""


def _remove(name: str, directory: int | None) -> None:
    with Ignored(OSError):
        os.unlink(name, dir_fd=directory)
