"""ScreenShot: one picture as memoryviews of its bytes, and as arrays, images and tensors.

Always true: nothing is copied by a grab. `bgra`, the array that numpy makes of a screenshot, and `to_numpy` in all
orders but RGBA are views of one memory, which is writable and which no later grab writes to.
"""

from __future__ import annotations

import importlib
import warnings
from typing import TYPE_CHECKING, Any, Final, Literal, Self

from xshm.compat.mss._shot import PIXEL, PixelsOfBytes, rgb_of
from xshm.compat.mss11.models import Pos, Region, Size

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image
else:
    from xshm._numpy import np

__all__ = ["Channels", "Layout", "ScreenShot"]

Channels = Literal["BGRA", "BGR", "RGB", "RGBA"]
Layout = Literal["HWC", "CHW"]

# How an array of B G R A is indexed for an order of channels; a slice leaves it a view.
_ORDERS: Final[dict[str, slice | list[int]]] = {
    "BGRA": slice(None),
    "BGR": slice(3),
    "RGB": slice(2, None, -1),
    "RGBA": [2, 1, 0, 3],
}
_AXES: Final = {"HWC": (0, 1, 2), "CHW": (2, 0, 1)}
_RAW_MODES: Final = {"RGB": "BGRX", "RGBA": "BGRA"}  # Pillow's names
_BRIGHTEST: Final = 255


class ScreenShot(PixelsOfBytes):
    """A picture of `size` from `pos`: `bgra`, `rgb`, `pixels`, `pixel`, and `to_numpy`, `to_pil`, `to_torch`.

    `data` is a buffer of bytes B G R X, `region` where they are from; `size` another size than that. Raises ValueError
    for a buffer of another length.
    """

    __slots__ = ("_raw", "_rgb")

    def __init__(
        self, data: bytes | bytearray | memoryview, region: Region | Mapping[str, Any], /, *, size: Size | None = None
    ) -> None:
        self._tuples = None
        self._rgb: memoryview | None = None
        self._raw = memoryview(data)
        self.pos = Pos(region["left"], region["top"])
        self.size = Size(region["width"], region["height"]) if size is None else size
        if self._raw.format != "B" or self._raw.nbytes != PIXEL * self.width * self.height:
            raise ValueError(
                f"a screenshot of {self.width}x{self.height} is {PIXEL * self.width * self.height} bytes B G R X, not "
                f"{self._raw.nbytes} of format {self._raw.format!r}"
            )

    @classmethod
    def from_size(cls, data: bytes | bytearray | memoryview, width: int, height: int, /) -> Self:
        """Make one of bytes and their size, from the corner 0, 0."""
        return cls(data, Region(0, 0, width, height))

    @property
    def bgra(self) -> memoryview:
        """The pixels, B G R X; the fourth byte is undefined on most screens."""
        return self._raw

    @property
    def raw(self) -> memoryview:
        """The same as `bgra`; mss 11 warns that it will go."""
        warnings.warn("ScreenShot.raw is deprecated in mss 11; use bgra", DeprecationWarning, stacklevel=2)
        return self._raw

    @property
    def rgb(self) -> memoryview:
        """The pixels as R G B, in memory of its own; made when it is first read."""
        if self._rgb is None:
            self._rgb = memoryview(rgb_of(self._raw, self.width, self.height))
        return self._rgb

    def to_pil(self, mode: str = "RGB") -> Image.Image:
        """Return a Pillow image of its own memory, "RGB" or "RGBA"; alpha is the fourth byte, whatever it is."""
        from PIL import Image  # noqa: PLC0415 - Pillow's import takes longer than a screenshot

        chosen = mode.upper()
        if chosen not in _RAW_MODES:
            raise ValueError(f"the mode of an image is one of {', '.join(_RAW_MODES)}, not {mode!r}")
        return Image.frombytes(chosen, self.size, self._raw, "raw", _RAW_MODES[chosen])

    def to_numpy(self, channels: Channels = "RGB", layout: Layout = "HWC", dtype: Any = None) -> NDArray[Any]:
        """Return an array, (height, width, channels) or, with layout "CHW", (channels, height, width).

        uint8 (`dtype` None), of the same memory unless the order is RGBA; another dtype is a copy, and floating-point
        values are from 0 to 1. Raises ValueError for an order or layout that is none.
        """
        order, axes = channels.upper(), layout.upper()
        if order not in _ORDERS:
            raise ValueError(f"channels are one of {', '.join(_ORDERS)}, not {channels!r}")
        if axes not in _AXES:
            raise ValueError(f"the layout is one of {', '.join(_AXES)}, not {layout!r}")
        array: NDArray[Any] = np.frombuffer(self._raw, np.uint8).reshape(self.height, self.width, PIXEL)
        array = array[:, :, _ORDERS[order]].transpose(_AXES[axes])
        kind = np.dtype(np.uint8 if dtype is None else dtype)
        if kind != np.uint8:
            array = array.astype(kind)
            if np.issubdtype(kind, np.floating):
                array /= _BRIGHTEST
        return array

    def to_torch(
        self, channels: Channels = "RGB", layout: Layout = "CHW", dtype: Any = None, device: Any = None
    ) -> Any:
        """Return a PyTorch tensor, (channels, height, width) or, with layout "HWC", (height, width, channels).

        `dtype` and `device` are torch's, None its defaults; floating-point values are from 0 to 1. Raises TypeError for
        a dtype that is not torch's.
        """
        torch = importlib.import_module("torch")  # who calls this has it
        kind = torch.get_default_dtype() if dtype is None else dtype
        if not isinstance(kind, torch.dtype):
            raise TypeError(f"the dtype of a tensor is a torch.dtype, not {type(dtype).__name__}")
        # PyTorch has no negative strides.
        array = np.ascontiguousarray(self.to_numpy(channels, layout))
        tensor = torch.from_numpy(array).to(torch.get_default_device() if device is None else device, kind)
        return tensor.div_(_BRIGHTEST) if kind.is_floating_point else tensor

    def to_tensorflow(self, channels: Channels = "RGB", layout: Layout = "HWC", dtype: Any = "float32") -> Any:
        """Return a TensorFlow tensor, of axes and values as `to_numpy` has them; `dtype` is TensorFlow's, or a name."""
        tf = importlib.import_module("tensorflow")
        kind = tf.as_dtype(dtype)
        tensor = tf.convert_to_tensor(np.ascontiguousarray(self.to_numpy(channels, layout)))
        if kind != tf.uint8:
            tensor = tf.cast(tensor, kind)
        return tensor / tf.cast(_BRIGHTEST, kind) if kind.is_floating else tensor

    def _memory(self) -> memoryview:
        return self._raw

    def __getstate__(self) -> tuple[Any, dict[str, Any]]:
        # A memoryview can't be pickled, and a copy is to have pixels of its own.
        state: Any = super().__getstate__()  # the instance's dict, or None, and its slots
        return state[0], state[1] | {"_raw": bytearray(self._raw), "_rgb": None}

    def __setstate__(self, state: tuple[dict[str, Any] | None, dict[str, Any]]) -> None:
        for name, value in {**(state[0] or {}), **state[1]}.items():
            setattr(self, name, memoryview(value) if name == "_raw" else value)
