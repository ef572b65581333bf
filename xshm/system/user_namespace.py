"""The overflow uid: in a user namespace, all users without a number of their own there are shown as 65534."""

from __future__ import annotations

from typing import Final

from xshm._signal_safety import Ignored

_OVERFLOW: Final = 65534  # the kernel's default for /proc/sys/kernel/overflowuid
_ALL: Final = 2**32 - 1  # the number of uids: all of 32 bits but (uid_t) -1


def may_be_anybody(uid: int) -> bool:
    """Return whether a uid may stand for several users: it is the overflow uid, and some users have no number here."""
    if uid != _OVERFLOW:
        return False
    with (
        Ignored(OSError),
        open("/proc/self/uid_map", encoding="ascii") as file,  # noqa: PTH123 - a screenshot needs no pathlib
    ):
        return sum(int(line.split()[2]) for line in file) < _ALL
    return True
