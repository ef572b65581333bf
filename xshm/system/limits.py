"""Errors about resource limits, explained: EMFILE, ENFILE, EFBIG, ENOMEM, fork's EAGAIN, shmget's.

Every call that opens a file or a socket may raise EMFILE, an import included. The kernel's message names neither the
limit nor a remedy. What is explained is not explained again.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Final, Self

from xshm._signal_safety import Ignored
from xshm.errors import ConnectFailed, LiveViewFailed, RecordingFailed, StartFailed, XshmError

if TYPE_CHECKING:
    from types import TracebackType


_NO_THREAD: Final = ("can't start new thread",)  # all that Python says of it
_OF_SEGMENTS: Final = {  # by the errno of shmget(2), which does not tell two of them apart
    errno.ENOSPC: ("shmmni", "shmall"),
    errno.EINVAL: ("shmmax",),
}


def explain(error: BaseException | None) -> str | None:
    """Return which limit on files an OSError is about, and how to raise it; None for any other error."""
    if not isinstance(error, OSError) or isinstance(error, XshmError):  # an XshmError's message has it already
        return None
    if error.errno is None or error.strerror != os.strerror(error.errno):  # so has one that is not the kernel's own
        return None
    return _explain_number(error.errno)


def _explain_number(code: int) -> str | None:
    if code == errno.EMFILE:
        # Not by the module `resource`: importing it would need a descriptor.
        return (
            f"all descriptors that this process may have are in use (RLIMIT_NOFILE {os.sysconf('SC_OPEN_MAX')}); "
            f"close some, or raise the limit (ulimit -n)"
        )
    if code == errno.ENFILE:  # the machine's limit, not this process's
        return "all files that this machine may have open are in use; raise that limit (sysctl fs.file-max)"
    if code == errno.ENOMEM:
        return _explain_memory()
    if code == errno.EFBIG:
        import resource  # noqa: PLC0415 - no file was refused, but bytes

        most, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
        if most != resource.RLIM_INFINITY:  # else it is the file system's, which tells none
            return f"files that this process writes may have {most:,} bytes (RLIMIT_FSIZE); raise the limit (ulimit -f)"
    return None


def explain_start(error: BaseException | None) -> str | None:
    """Return as `explain` does, and for fork's EAGAIN and a thread's which limit on processes it is about."""
    # BlockingIOError is the class of EAGAIN; one without an errno was raised by a signal handler.
    is_forks = isinstance(error, BlockingIOError) and error.errno == errno.EAGAIN and not isinstance(error, XshmError)
    if is_forks or (isinstance(error, RuntimeError) and error.args == _NO_THREAD):
        return (
            f"all processes that this user may have are running (RLIMIT_NPROC {os.sysconf('SC_CHILD_MAX')}), or all of "
            f"the container's (pids.max); end some, or raise the limit (ulimit -u)"
        )
    return explain(error)


def explain_segment(error: OSError) -> str | None:
    """Return which limits on System V memory an error of shmget may be about, their values, and how to raise them."""
    if error.errno == errno.ENOMEM:  # of shmat(2), too
        return _explain_memory()
    names = _OF_SEGMENTS.get(error.errno or 0)
    if names is None:
        return None
    return f"the limit is {' or '.join(map(_of_kernel, names))}; raise it (sysctl)"


def _explain_memory() -> str | None:
    import resource  # noqa: PLC0415 - rarely needed

    most, _ = resource.getrlimit(resource.RLIMIT_AS)
    if most == resource.RLIM_INFINITY:  # else it is the machine's, or a container's
        return None
    return f"this process may have {most:,} bytes of addresses (RLIMIT_AS); raise the limit (ulimit -v)"


def _of_kernel(name: str) -> str:
    with Ignored(OSError), open(f"/proc/sys/kernel/{name}", encoding="ascii") as file:  # noqa: PTH123 - needs no pathlib
        return f"kernel.{name} ({int(file.read()):,})"
    return f"kernel.{name}"


def explain_messages(text: str) -> str | None:
    """Return which limit another program's messages are about, by what X servers and libc say; None for no such one."""
    if "shmget" in text:
        codes = [code for code in _OF_SEGMENTS if f"shmget: {os.strerror(code)}" in text]
        return explain_segment(OSError(codes[0], "")) if codes else None
    if any(each in text for each in ("File size limit exceeded", os.strerror(errno.EFBIG), "Bus error")):
        return explain(OSError(errno.EFBIG, os.strerror(errno.EFBIG)))
    return None


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
        starts = self._kind in (StartFailed, RecordingFailed, LiveViewFailed)  # processes, or threads
        why = explain_start(error) if starts else explain(error)
        if why is not None:
            words = f"{self._what}: {why}"
            code = getattr(error, "errno", None)
            raise (self._kind(code, words) if issubclass(self._kind, OSError) else self._kind(words)) from error


def loading() -> Explained:
    """Return the with block for an import inside a function, which opens files when it is first reached."""
    return Explained(ConnectFailed, "a module that this needs can't be loaded")
