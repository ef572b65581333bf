"""Which limit it was: an error of the kernel's that says that there are too many files open, or processes, in words.

EMFILE comes out of anything that opens something, a module that is imported for the first time too. As it is it names
no file, no limit and no way out.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Self

from xshm.errors import ConnectFailed, StartFailed, XshmError

if TYPE_CHECKING:
    from types import TracebackType


def told(error: BaseException | None) -> str | None:
    """Return in words which limit an OSError is about and how it is raised; None where it is about none."""
    if not isinstance(error, OSError) or isinstance(error, XshmError):  # ours have said it
        return None
    if error.errno == errno.EMFILE:
        # Not by the module `resource`, whose import would open a file.
        return (
            f"all descriptors that this process may have are in use (RLIMIT_NOFILE {os.sysconf('SC_OPEN_MAX')}); "
            f"close some, or raise the limit (ulimit -n)"
        )
    if error.errno == errno.ENFILE:
        return "all files that this machine may have open are in use; raise that limit (sysctl fs.file-max)"
    return None


def told_of_processes(error: BaseException | None) -> str | None:
    """Return what `told` does, and of a process that could not be started which limit that was."""
    # Without a number it is nobody's but a signal handler's.
    if isinstance(error, BlockingIOError) and error.errno == errno.EAGAIN and not isinstance(error, XshmError):
        return (
            f"all processes that this user may have are running (RLIMIT_NPROC {os.sysconf('SC_CHILD_MAX')}), or all of "
            f"the container's (pids.max); end some, or raise the limit (ulimit -u)"
        )
    return told(error)


def said(error: OSError) -> str:
    """Return what an OSError says, and which limit it is about, as the `strerror` of another."""
    why = told(error)
    return f"{error.strerror or error}: {why}" if why else error.strerror or str(error)


class Named:
    """A with block in which an error about a limit becomes one of ours: "what can't be done: which limit"."""

    def __init__(self, kind: type[XshmError], what: str) -> None:
        self._kind = kind
        self._what = what

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        why = told_of_processes(error) if self._kind is StartFailed else told(error)
        if why is not None and isinstance(error, OSError):
            words = f"{self._what}: {why}"
            raise (self._kind(error.errno, words) if issubclass(self._kind, OSError) else self._kind(words)) from error


def loading() -> Named:
    """Return the with block for an import that waits until something is used: it opens files as well."""
    return Named(ConnectFailed, "a module that this needs can't be loaded")
