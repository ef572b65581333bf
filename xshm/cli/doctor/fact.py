"""One thing that the doctor found out, and its state.

- "ok": as it should be.
- "note": nothing is wrong, but worth knowing.
- "missing": something optional is not there; what it would be for is said.
- "wrong": a display can't be read, or no virtual display started, or only with less than xshm promises.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from xshm.errors import XshmError
from xshm.system import limits
from xshm.system.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

State = Literal["ok", "note", "missing", "wrong"]
_MOUNT_PROC: Final = "mount -t proc proc /proc"  # as root: a chroot, or a namespace, without it
# What else stands behind a message's last semicolon: what a server has said, and a question.
_NO_REMEDIES: Final = ("it said", "is it ", "servers listen at ", "none listens ")


class Fact(NamedTuple):
    """What was found: its name, its value in words, its state, and what mends it ("" for nothing to mend)."""

    name: str
    value: str
    state: State = "ok"
    remedy: str = ""


def examine(name: str, group: Callable[[], Iterator[Fact]]) -> list[Fact]:
    """Return the facts of a group; where it fails, those before, and the failure as one that is wrong."""
    found: list[Fact] = []
    try:
        found.extend(group())  # what was yielded before an exception is kept
    except ImportError as error:
        found.append(Fact(name, f"not tried: {' '.join(str(error).split())}", "wrong"))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what a doctor is asked for
        words = in_words(error)
        found.append(Fact(name, f"could not be examined: {words}", "wrong", _MOUNT_PROC if "/proc/" in words else ""))
    return [fact._replace(value=printable(fact.value), remedy=printable(fact.remedy)) for fact in found]


def in_words(error: BaseException) -> str:
    """Return an error in one line, with the kernel's limit that it is about."""
    if isinstance(error, XshmError):
        text = (isinstance(error, OSError) and error.strerror) or str(error)
    elif isinstance(error, OSError):
        text = limits.describe(error)
        text = text if error.filename is None else f"{error.filename}: {text}"
    else:
        text = f"{type(error).__name__}: {error}"
    return " ".join(text.split())


def parted(error: BaseException) -> tuple[str, str]:
    """Return an error's words without its remedy, which the library's messages have after a semicolon; and that."""
    words = in_words(error)
    what, _, remedy = words.rpartition("; ")
    # A semicolon within parentheses parts reasons.
    whole = what and remedy.count("(") == remedy.count(")") and not remedy.startswith(_NO_REMEDIES)
    return (what, remedy) if whole else (words, "")
