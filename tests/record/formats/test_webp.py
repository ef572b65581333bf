"""WebP recordings, as Pillow reads them."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np
import pytest
from animations import MS, Script, by_pillow, noise, piped
from pictures import photograph

from xshm.errors import InvalidArgument
from xshm.geometry import Rect
from xshm.record.formats.webp import WebpSink
from xshm.record.sinks.settings import Settings
from xshm.system.replacement import Replacement

if TYPE_CHECKING:
    from pathlib import Path

    from xshm.record.sinks.settings import Quality

SIZE = (201, 101)
WHOLE = Rect(0, 0, *SIZE)


@pytest.mark.parametrize("quality", ["screen", "lossless"])
def test_it_holds_the_exact_pixels_at_their_times_after_each_frame(tmp_path: Path, quality: Quality) -> None:
    path = tmp_path / "a.webp"
    script = Script(WebpSink(Replacement(path), SIZE, Settings(quality=quality)))
    script.first(noise(WHOLE))
    script.write(50 * MS, script.paint(Rect(3, 5, 20, 10), (255, 0, 0)), script.paint(Rect(181, 91, 7, 7), (0, 255, 0)))
    script.write(1000 * MS)
    overlapping = [script.paint(Rect(31 + 9 * each, 41, 50, 50), noise(Rect(0, 0, 50, 50), each)) for each in (3, 4)]
    script.write(1033 * MS, *overlapping)
    assert [duration for duration, _ in by_pillow(path)] == [50, 950, 33]
    script.write(1067 * MS, script.paint(Rect(200, 100, 1, 1), (1, 2, 3)))
    script.write(1101 * MS, script.paint(WHOLE, noise(WHOLE, 5)))
    script.sink.finish(3000 * MS)
    read = by_pillow(path)
    assert [duration for duration, _ in read] == [50, 950, 33, 34, 34, 1899]
    for (_, shown), (_, pixels) in zip(script.shown, read, strict=True):
        assert np.array_equal(pixels, shown)
    assert struct.unpack_from("<I", path.read_bytes(), 4) == (path.stat().st_size - 8,)


def test_small_is_smaller_and_near(tmp_path: Path) -> None:
    sizes = {}
    qualities: tuple[Quality, ...] = ("screen", "small")
    for quality in qualities:
        path = tmp_path / f"{quality}.webp"
        script = Script(WebpSink(Replacement(path), (480, 270), Settings(quality=quality)))
        script.first(photograph())
        script.write(100 * MS, script.paint(Rect(0, 0, 10, 10), 255), script.paint(Rect(300, 200, 99, 10), 0))
        script.sink.finish(200 * MS)
        sizes[quality] = path.stat().st_size
        for (_, shown), (_, pixels) in zip(script.shown, by_pillow(path), strict=True):
            assert np.mean((pixels.astype(int) - shown) ** 2) < 130
    assert sizes["small"] < 0.5 * sizes["screen"]


def test_a_pipe_is_refused_before_anything_is_written() -> None:
    with (
        piped() as (pipe, received),
        pytest.raises(InvalidArgument, match="can't be written to a pipe; name a file, or record as APNG"),
    ):
        WebpSink(pipe, SIZE, Settings())
    assert received == [b""]


def test_an_edge_longer_than_the_format_has_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="at most 16383 pixels along an edge, not 16384x10; pass max_edge="):
        WebpSink(Replacement(tmp_path / "a.webp"), (16384, 10), Settings())
