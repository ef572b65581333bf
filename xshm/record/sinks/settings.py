"""Settings: how a recording is to be made, as `record` takes it, each checked by itself.

What depends on others (an option of a codec, a codec in a container) is checked by the sink.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, get_args

from xshm import _arguments
from xshm.errors import InvalidArgument, InvalidType
from xshm.system.printable import quoted

if TYPE_CHECKING:
    from xshm.image.cursor import CursorMode

Quality = Literal["screen", "small", "lossless"]
Option = str | int | float | bool

QUALITIES: Final[tuple[Quality, ...]] = get_args(Quality)
_LEAST_FPS: Final = 0.001  # files name a rate as a fraction, whose denominator the encoders and y4m bound by 1001
_MOST_FPS: Final = 1000  # times are counted in milliseconds


@dataclass(frozen=True, slots=True)
class Settings:
    """How a recording is to be made.

    - `fps`: at most so many pictures a second, 0.001 to 1000; None: each change. `constant`: exactly so many, repeated
      where nothing has changed.
    - `cursor`: the pointer is drawn into the pictures.
    - `quality`: "screen", colour in full resolution, for sharp text; "small", colour of 2x2 pixels in one (4:2:0),
      as every decoder of H.264 has it; "lossless", the exact pixels.
    - `codec`: by its name, "h264", "vp9", "libx264rgb"; None is the container's usual one. `options` go to the encoder.
    - `format`: the container, "mp4", where the target's suffix does not name it.
    - `max_edge`: scaled down so that the longer edge has at most so many pixels.
    """

    fps: float | None = 30.0
    constant: bool = False
    cursor: CursorMode = False
    quality: Quality = "screen"
    codec: str | None = None
    options: Mapping[str, Option] = field(default_factory=dict)
    format: str | None = None
    max_edge: int | None = None

    def __post_init__(self) -> None:
        rate = self.fps
        if rate is not None:
            rate = _arguments.number(rate, "fps is a number of frames per second, or None")
            if not _LEAST_FPS <= rate <= _MOST_FPS:
                raise InvalidArgument(
                    f"fps is a number of frames per second from {_LEAST_FPS} to {_MOST_FPS}, or None for each change; "
                    f"not {quoted(self.fps)}"
                )
        _arguments.flag(self.constant, "constant")
        if self.constant and (rate is None or not math.isfinite(rate)):
            raise InvalidArgument("a constant rate needs fps=, the number of frames per second")
        _arguments.flag(self.cursor, "a recording's cursor")
        _arguments.choice(self.quality, QUALITIES, "a quality is one of")
        for name, what in ((self.codec, "codec"), (self.format, "format")):
            if name is not None:
                _arguments.text(name, what)
        if not isinstance(self.options, Mapping):
            raise InvalidType(f"options are a dict of the encoder's, not {type(self.options).__name__}")
        if self.max_edge is not None and _arguments.integer(self.max_edge, "max_edge is a whole number") < 2:  # noqa: PLR2004
            raise InvalidArgument(f"max_edge is at least 2 pixels, not {quoted(self.max_edge)}")
        object.__setattr__(self, "fps", rate)
