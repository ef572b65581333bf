"""pyscreeze, imported without what it leaves to the garbage collector: pipes to which(1), some other test's error."""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", ResourceWarning)
    import pyscreeze

    del pyscreeze.whichProc

__all__ = ["pyscreeze"]
