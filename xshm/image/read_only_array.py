"""ReadOnlyArray: a read-only numpy array that DLPack exports as a copy.

numpy exports read-only memory with a flag that PyTorch (2.13) ignores: `torch.from_dlpack(array)[0] = 1` would change
memory that the next frames are built on, or end the process where pages are mapped read-only.

What does not work: protecting the memory from code that takes its address (ctypes, `torch.from_numpy`, which warns), or
that makes a plain array of it (`np.asarray`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from xshm.image import dlpack


class ReadOnlyArray(np.ndarray[Any, Any]):
    """A read-only ndarray, and its views. Results computed from it are writable and exported without a copy."""

    def __dlpack__(
        self,
        *,
        stream: Any = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any:
        """Export a copy of read-only memory; ReadOnlyMemory, a BufferError, for copy=False."""
        return dlpack.export(self.view(np.ndarray), stream, max_version, dl_device, copy)
