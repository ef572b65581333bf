"""Errors about resource limits, explained: EMFILE, ENFILE, EFBIG and fork's EAGAIN, with the limit and how to raise it.

Every call that opens a file or a socket may raise EMFILE, an import included. The kernel's message names neither the
limit nor a remedy. What is explained is not explained again.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Self

from xshm.errors import ConnectFailed, StartFailed, XshmError

if TYPE_CHECKING:
    from types import TracebackType


def explain(error: BaseException | None) -> str | None:
    """Return which limit on files an OSError is about, and how to raise it; None for any other error."""
    if not isinstance(error, OSError) or isinstance(error, XshmError):  # an XshmError's message has it already
        return None
    if error.errno is None or error.strerror != os.strerror(error.errno):  # so has one that is not the kernel's own
        return None
    if error.errno == errno.EMFILE:
        # Not by the module `resource`: importing it would need a descriptor.
        return (
            f"all descriptors that this process may have are in use (RLIMIT_NOFILE {os.sysconf('SC_OPEN_MAX')}); "
            f"close some, or raise the limit (ulimit -n)"
        )
    if error.errno == errno.ENFILE:  # the machine's limit, not this process's
        return "all files that this machine may have open are in use; raise that limit (sysctl fs.file-max)"
    if error.errno == errno.EFBIG:
        import resource  # noqa: PLC0415 - no file was refused, but bytes

        most, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
        if most != resource.RLIM_INFINITY:  # else it is the file system's, which tells none
            return f"files that this process writes may have {most:,} bytes (RLIMIT_FSIZE); raise the limit (ulimit -f)"
    return None


def explain_start(error: BaseException | None) -> str | None:
    """Return as `explain` does, and for fork's EAGAIN which limit on processes it is about."""
    # BlockingIOError is the class of EAGAIN; one without an errno was raised by a signal handler.
    if isinstance(error, BlockingIOError) and error.errno == errno.EAGAIN and not isinstance(error, XshmError):
        return (
            f"all processes that this user may have are running (RLIMIT_NPROC {os.sysconf('SC_CHILD_MAX')}), or all of "
            f"the container's (pids.max); end some, or raise the limit (ulimit -u)"
        )
    return explain(error)


def describe(error: OSError) -> str:
    """Return an OSError's message without its errno, with the limit that it is about, for another error's message."""
    why = explain(error)
    return f"{error.strerror or error}: {why}" if why else error.strerror or str(error)


class Explained:
    """A with block that turns an error about a limit into one of `kind`: "what can't be done: which limit"."""

    def __init__(self, kind: type[XshmError], what: str) -> None:
        self._kind = kind
        self._what = what

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        why = explain_start(error) if self._kind is StartFailed else explain(error)
        if why is not None and isinstance(error, OSError):
            words = f"{self._what}: {why}"
            raise (self._kind(error.errno, words) if issubclass(self._kind, OSError) else self._kind(words)) from error


def loading() -> Explained:
    """Return the with block for an import inside a function, which opens files when it is first reached."""
    return Explained(ConnectFailed, "a module that this needs can't be loaded")
