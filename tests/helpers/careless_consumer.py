"""A consumer of DLPack that writes to the memory that it imports, as PyTorch does: it ignores the read-only flag."""

from __future__ import annotations

import ctypes
from typing import Any

_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_pointer.restype, _pointer.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)


class _Tensor(ctypes.Structure):
    """DLTensor of DLPack 1.0."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device", ctypes.c_int32 * 2),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )


class _Versioned(ctypes.Structure):
    """DLManagedTensorVersioned."""

    _fields_ = (
        ("version", ctypes.c_uint32 * 2),
        ("context", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p),
        ("flags", ctypes.c_uint64),
        ("tensor", _Tensor),
    )


class Consumer:
    """What `torch.from_dlpack(exporter, copy=copy)` holds; `version` is the one that it asks for, None none."""

    def __init__(self, exporter: Any, *, copy: bool | None = None, version: tuple[int, int] | None = (1, 0)) -> None:
        asked = {"max_version": version, "copy": copy}
        # The capsule has the memory freed when it goes.
        self._capsule = exporter.__dlpack__(**{name: value for name, value in asked.items() if value is not None})
        if version is None:
            self._tensor = _Tensor.from_address(_pointer(self._capsule, b"dltensor"))
        else:
            self._tensor = _Versioned.from_address(_pointer(self._capsule, b"dltensor_versioned")).tensor
        assert self._tensor.lanes == 1

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the lengths of its axes."""
        return tuple(self._tensor.shape[: self._tensor.ndim])

    @property
    def address(self) -> int:
        """Return where its first element is."""
        return int(self._tensor.data + self._tensor.byte_offset)

    def first(self) -> bytes:
        """Return the first pixel's bytes."""
        return ctypes.string_at(self.address, 4)

    def write(self, value: int) -> None:
        """Set the bytes of the first pixel."""
        ctypes.memset(self.address, value, 4)
