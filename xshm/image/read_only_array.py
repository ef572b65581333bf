"""Arrays over memory that is not to be written: numpy's, but for what DLPack takes of them, which is a copy.

numpy exports read-only memory with a flag that PyTorch (2.13) does not look at: `torch.from_dlpack(array)[0] = 1` would
change what others build on, or end the process where the pages can't be written. What does not work: stopping those
who take the address (ctypes, `torch.from_numpy`, which warns), or the same array as a plain one (`np.asarray`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from xshm.image import dlpack


class ReadOnlyArray(np.ndarray[Any, Any]):
    """A read-only ndarray, and its views. What is computed of it may be written, and is exported as it is."""

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
