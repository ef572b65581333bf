"""The parts of `python tests/bench`, in the order in which they run."""

from __future__ import annotations

import blit
import changes
import framebuffer
import grab
import longer
import pixels
import starts
import whole_process

PARTS = {
    part.name: part
    for part in (
        *(grab.GRAB, grab.RGB, grab.PNG, whole_process.FILES, changes.CHANGES, changes.LATENCY),
        *(framebuffer.FRAMEBUFFER, blit.BLIT, pixels.PIXELS, starts.IMPORTS, starts.DISPLAYS),
        *(longer.RECORD, longer.TRACE, longer.ACT, longer.LIVE, longer.FLEET, longer.LEFTOVERS),
    )
}
