"""Who a user number stands for: in a user namespace all that have no number there share one."""

from __future__ import annotations

from typing import Final

from xshm.system.kernel_errors import is_the_kernels

_OVERFLOW: Final = 65534  # the kernel's default for /proc/sys/kernel/overflowuid
_ALL: Final = 2**32 - 1  # every user but -1, which is none


def may_be_anybody(uid: int) -> bool:
    """Tell whether that number may be several users': the one for those without a number, where there can be such."""
    if uid != _OVERFLOW:
        return False
    try:
        with open("/proc/self/uid_map", encoding="ascii") as file:  # noqa: PTH123 - a screenshot needs no pathlib
            return sum(int(line.split()[2]) for line in file) < _ALL
    except OSError as error:
        if not is_the_kernels(error):
            raise
        return True
