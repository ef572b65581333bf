"""ReadOnlyArray: a read-only numpy array that DLPack exports as a copy.

numpy exports read-only memory with a flag that PyTorch (2.13) ignores: `torch.from_dlpack(array)[0] = 1` would change
memory that the next frames are built on, or end the process where pages are mapped read-only.

What does not work: protecting the memory from code that takes its address (ctypes, `torch.from_numpy`, which warns), or
that makes a plain array of it (`np.asarray`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from xshm.image.dlpack import DlpackExport


class ReadOnlyArray(DlpackExport, np.ndarray[Any, Any]):
    """A read-only ndarray, and its views. Results computed from it are writable and exported without a copy."""

    def _exported(self, copy: bool | None) -> np.ndarray[Any, Any]:  # noqa: ARG002 - Framebuffer's depends on it
        return self.view(np.ndarray)
