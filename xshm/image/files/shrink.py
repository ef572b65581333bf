"""Make a picture smaller by Pillow, in strips, by two threads where there is a second processor.

A 1080p page to 1568 pixels takes 13 ms so, and 24 at once (tests/bench/pixels.py, "smaller PNG"): what a strip takes
stays in the cache, and Pillow computes without the interpreter's lock. On one processor it takes 22.

Strips are those of the whole but for rounding, by which a sample differs by 1 at most: Pillow reads the rows beside a
strip, too. They do not depend on the number of processors, so the same pixels are always the same file.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from xshm.image.files.two_threads import together
from xshm.system import limits

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
else:
    from xshm._numpy import np

# Pixels of a strip, before: about 135 rows of a 1080p picture. Each takes 0.2 ms for Pillow's table of weights.
_STRIP: Final = 1 << 18


def shrink(pixels: NDArray[Any], mode: str, raw: str, out: NDArray[np.uint8]) -> None:
    """Write a picture in a smaller size into `out`, (height, width) or (height, width, channels), rows of any stride.

    `mode` is Pillow's for the result, "L", "RGB" or "RGBX", and `raw` its raw mode for what `pixels` have in memory:
    the same, but for "RGB", of which Pillow makes a copy. It has to make one, but a strip is small, and three channels
    take three quarters of the time of four.
    """
    with limits.loading():
        from PIL import Image  # noqa: PLC0415 - Pillow takes as long to import as a grab of ten frames

    (height, width), (rows, columns) = out.shape[:2], pixels.shape[:2]
    step = rows / height
    reach = math.ceil(step) + 1  # rows beside a strip that Pillow's filter looks at
    count = min(-(-columns * rows // _STRIP), height)
    # Each thread takes the next strip, so that one which gets less of its processor delays the other by one at most.
    strips = iter([(height * each // count, height * (each + 1) // count) for each in range(count)])

    def work() -> None:
        for top, bottom in strips:
            above = max(int(top * step) - reach, 0)
            band = np.ascontiguousarray(pixels[above : math.ceil(bottom * step) + reach])
            size = columns, len(band)
            if mode == "RGB":
                picture = Image.frombytes(mode, size, band.data, "raw", raw, 0, 1)
            else:
                picture = Image.frombuffer(mode, size, band, "raw", raw, 0, 1)
            box = (0, top * step - above, columns, min(bottom * step, rows) - above)
            # Hamming is as crisp as text needs it, and takes half the time of bicubic, a third of Lanczos.
            part = picture.resize((width, bottom - top), Image.Resampling.HAMMING, box)
            target = out[top:bottom]
            target[...] = np.frombuffer(part.tobytes(), np.uint8).reshape(target.shape)

    if count > 1:
        together(work, work)
    else:
        work()
