"""Make a picture smaller by Pillow, in strips, by two threads where there is a second processor.

A 1080p page to 1568 pixels takes 12 ms so, and 26 at once (tests/bench/pixels.py, "smaller PNG"): what a strip takes
stays in the cache, and Pillow computes without the interpreter's lock. On one processor it takes 23.

Strips are those of the whole but for rounding, by which a sample differs by 1 at most: Pillow reads the rows beside a
strip, too. They do not depend on the number of processors, so the same pixels are always the same file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from xshm.image.files.two_threads import together
from xshm.system import limits

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image
else:
    from xshm._numpy import np

# Pixels of a strip, before: about 135 rows of a 1080p picture. Each takes 0.2 ms for Pillow's table of weights.
_STRIP: Final = 1 << 18


def shrunk(picture: Image.Image, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return a picture of the mode "L" or "RGBX" in a smaller size: (height, width) or (height, width, 4)."""
    with limits.loading():
        from PIL import Image  # noqa: PLC0415 - Pillow takes as long to import as a grab of ten frames

    (width, height), step = size, picture.height / size[1]
    found = np.empty((height, width, 4)[: 2 if picture.mode == "L" else 3], np.uint8)
    count = min(-(-picture.width * picture.height // _STRIP), height)
    # Each thread takes the next strip, so that one which gets less of its processor delays the other by one at most.
    strips = iter([(height * each // count, height * (each + 1) // count) for each in range(count)])

    def work() -> None:
        for top, bottom in strips:
            box = (0, top * step, picture.width, min(bottom * step, picture.height))
            # Hamming is as crisp as text needs it, and takes half the time of bicubic, a third of Lanczos.
            part = picture.resize((width, bottom - top), Image.Resampling.HAMMING, box)
            found[top:bottom] = np.asarray(part)

    if count > 1:
        together(work, work)
    else:
        work()
    return found
