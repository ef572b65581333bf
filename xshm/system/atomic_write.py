"""Files that are written whole or not at all: after a full disk or Ctrl-C the old content is still there.

1. A file is replaced by rename(2): the new one is written beside the old, is given its mode, owner and extended
   attributes, and then its name. A process that is killed in between leaves a file `.xshm-…`. Nothing is synced.
2. A file that can't be replaced is overwritten in place, with room on the disk reserved first: one with several hard
   links, which a rename would part; one in a directory that can't be written, or whose owner or attributes can't be
   given to another file; one that fits in place of the old bytes, on a disk without room for both. Only in this case a
   disk error or a signal in the middle of the write damages the old bytes.
3. Symbolic links stay, and their targets are replaced. In a directory that everybody can write, as /tmp, links and
   files of other users are neither followed nor written to, as Linux's fs.protected_symlinks and protected_regular have
   it for `open` with O_CREAT alone.
4. What is no regular file (a pipe, a terminal, /dev/null), or is named by a descriptor (/dev/stdout, /proc/self/fd/3),
   is written to as it is.
"""

from __future__ import annotations

import errno
import os
import stat
from collections import deque
from typing import Final

from xshm._signal_safety import Descriptor, Ignored, is_a_handlers, is_the_kernels, owned
from xshm.system import limits
from xshm.system.polling import ready

# Errors of a replacement after which overwriting in place may still succeed.
_NOT_REPLACEABLE: Final = (
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.EBUSY),  # the directory; a sticky one; a mounted file
    *(errno.EINVAL, errno.ENOTSUP),  # an owner, or attributes, that the new file can't have
    *(errno.ENOSPC, errno.EDQUOT),
)
_SHARED: Final = stat.S_ISVTX | stat.S_IWOTH  # the mode of /tmp: sticky, and everybody writes


def replace_file(path: str | bytes | os.PathLike[str], data: bytes) -> None:
    """Write a file, new or in place of the old one, which stays as it is until all of `data` is on the disk.

    A new file has the mode 0666 less the umask. Raises OSError with the file's name.
    """
    name = os.fsdecode(path)
    try:
        try:
            target = owned(os.open, name, os.O_WRONLY)
        except FileNotFoundError as error:
            if is_a_handlers(error):
                raise
            _write_beside(followed(name) or name, data, None)
        else:
            _overwrite(name, target, data)
    except OSError as error:
        if is_a_handlers(error):
            raise
        raise _about(name, error) from error


def create_file(path: str | bytes | os.PathLike[str], data: bytes) -> None:
    """Write a new file; one that can't be written whole is removed again.

    Raises FileExistsError where there is one, and OSError, each with the file's name.
    """
    name = os.fsdecode(path)
    made: deque[Descriptor] = deque()
    try:
        # Idiom 1 of `_signal_safety`: where the file was made by this call, `made` has it, and an error removes it.
        made.extend(map(Descriptor, map(os.open, (name,), (os.O_WRONLY | os.O_CREAT | os.O_EXCL,), (0o666,))))
        _write_and_flush(made[0], data)
    except BaseException as error:
        if made:
            _remove(name)
        if is_the_kernels(error):
            raise _about(name, error) from error
        raise


def write_all(descriptor: int, data: bytes | memoryview) -> None:
    """Write all bytes to a descriptor, a non-blocking one too, or raise OSError."""
    left = memoryview(data)
    while left:
        try:
            left = left[os.write(descriptor, left) :]
        except BlockingIOError as error:
            if is_a_handlers(error):
                raise
            ready((), (descriptor,), None)


def _overwrite(name: str, target: int, data: bytes) -> None:
    """Write over the file that is open as `target`: by a rename if possible, else in place."""
    status = os.fstat(target)
    place = followed(name)
    if place is not None:
        check_owner(place, status)
    if not stat.S_ISREG(status.st_mode):
        write_all(target, data)
        return
    if place is None or status.st_nlink != 1:
        _write_in_place(target, status.st_size, data)
        return
    try:
        _write_beside(place, data, target)
    except OSError as error:
        if error.errno not in _NOT_REPLACEABLE or is_a_handlers(error):
            raise
        _write_in_place(target, status.st_size, data)


def _write_beside(place: str, data: bytes, former: int | None) -> None:
    """Write a file with mode, owner and attributes of the open file `former`, and rename it to `place`."""
    beside = os.path.join(os.path.dirname(place), f".xshm-{os.urandom(8).hex()}")  # noqa: PTH118, PTH120 - no pathlib
    try:
        # 0600 until `copy_attributes`: the file may replace a private one. O_EXCL: a link of that name is not
        # followed.
        made = owned(os.open, beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666 if former is None else 0o600)
        if former is not None:
            copy_attributes(former, made)
        _write_and_flush(made, data)
        os.rename(beside, place)  # noqa: PTH104 - a screenshot needs no pathlib
    except BaseException:
        _remove(beside)
        raise


def _write_in_place(target: int, size: int, data: bytes) -> None:
    """Overwrite a file of `size` bytes; raise where there is no room for `data`, before a byte is changed."""
    import resource  # noqa: PLC0415 - rarely needed

    most = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    if most != resource.RLIM_INFINITY and len(data) > most:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
    if len(data) > size:
        try:
            os.posix_fallocate(target, size, len(data) - size)
        except BaseException:
            os.ftruncate(target, size)
            raise
    write_all(target, data)
    os.ftruncate(target, len(data))  # last: a shorter file loses its end only after the new bytes are written


def copy_attributes(former: int, made: int) -> None:
    """Copy owner, mode and extended attributes, which include access control lists, to another open file."""
    before, now = os.fstat(former), os.fstat(made)
    if (before.st_uid, before.st_gid) != (now.st_uid, now.st_gid):
        os.fchown(made, before.st_uid, before.st_gid)
    os.fchmod(made, stat.S_IMODE(before.st_mode))
    for attribute in _attributes(former):
        os.setxattr(made, attribute, os.getxattr(former, attribute))


def _attributes(descriptor: int) -> list[str]:
    with Ignored(OSError):  # of a file system that has none
        return os.listxattr(descriptor)
    return []


def _write_and_flush(descriptor: int, data: bytes) -> None:
    write_all(descriptor, data)
    # Network file systems report a full disk at close(2). The descriptor is closed by its finalizer, which can't raise;
    # closing a duplicate can. Both calls are one step in C, so that no signal leaves the duplicate open.
    deque(map(os.close, map(os.dup, (descriptor,))), maxlen=0)


def followed(name: str) -> str | None:
    """Return the path at the end of a chain of symbolic links; None where one is a link of /proc to a descriptor."""
    while True:
        try:
            link = os.readlink(name)  # noqa: PTH115 - a screenshot needs no pathlib
        except OSError as error:
            if is_a_handlers(error):
                raise
            return name
        check_owner(name, os.lstat(name))
        directory = os.path.dirname(name)  # noqa: PTH120 - as above
        if os.stat(directory or ".").st_dev == os.stat("/proc").st_dev:  # noqa: PTH116 - as above
            return None
        name = os.path.join(directory, link)  # noqa: PTH118 - as above


def check_owner(name: str, status: os.stat_result) -> None:
    """Raise PermissionError for another user's file or link in a sticky directory that everybody can write."""
    directory = os.stat(os.path.dirname(name) or ".")  # noqa: PTH116, PTH120 - as above
    if directory.st_mode & _SHARED == _SHARED and status.st_uid not in (os.geteuid(), directory.st_uid):
        raise PermissionError(
            errno.EACCES, f"uid {status.st_uid} has put it there, where everybody can; write to another directory"
        )


def _remove(name: str) -> None:
    with Ignored(OSError):
        os.unlink(name)  # noqa: PTH108 - as above


def _about(name: str, error: OSError) -> OSError:
    return OSError(error.errno, limits.describe(error), name)
