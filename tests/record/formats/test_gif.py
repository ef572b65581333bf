"""GIF recordings, as Pillow, ffmpeg and ImageMagick read them."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from animations import MS, Script, by_ffmpeg, by_pillow, noise, piped
from pictures import photograph
from PIL import Image

from xshm.errors import InvalidArgument
from xshm.geometry import Rect
from xshm.record.formats.gif import GifSink
from xshm.record.formats.palette import indexed
from xshm.record.sinks.settings import Settings
from xshm.system.replacement import Replacement

if TYPE_CHECKING:
    from pathlib import Path

    from xshm.record.sinks.settings import Quality

SIZE = (201, 101)
WHOLE = Rect(0, 0, *SIZE)


def played(sink: GifSink) -> Script:
    """Write a recording whose changes have at most 255 colours each, and more in all."""
    script = Script(sink)
    script.first(noise(WHOLE, colours=256))
    script.write(50 * MS, script.paint(Rect(3, 4, 20, 10), (255, 0, 0)), script.paint(Rect(180, 90, 7, 7), (0, 255, 0)))
    script.write(1000 * MS)
    overlapping = [
        script.paint(Rect(30 + 9 * each, 40, 50, 50), noise(Rect(0, 0, 50, 50), each, 120)) for each in (3, 4)
    ]
    script.write(1040 * MS, *overlapping)
    script.write(1080 * MS, script.paint(Rect(200, 100, 1, 1), (1, 2, 3)))
    return script


def test_it_is_exact_where_a_change_has_few_colours(tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    script = played(GifSink(Replacement(path), SIZE, Settings()))
    script.sink.finish(2000 * MS)
    read, decoded = by_pillow(path), by_ffmpeg(path)
    assert [duration for duration, _ in read] == [50, 950, 40, 40, 920]
    assert [at for at, _, _ in decoded] == [0, 50, 1000, 1040, 1080]
    for (_, shown), (_, pixels), (_, _, other) in zip(script.shown, read, decoded, strict=True):
        assert np.array_equal(pixels, shown)
        assert np.array_equal(other, shown)


@pytest.mark.skipif(shutil.which("convert") is None, reason="ImageMagick is not installed")
def test_imagemagick_reads_frames_and_times(tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    script = played(GifSink(Replacement(path), SIZE, Settings()))
    script.sink.finish(2000 * MS)
    command = ["convert", str(path), "-format", "%T %wx%h%X%Y\n", "info:"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [
        *("5", "201x101+0+0"),
        *("95", "184x93+3+4"),
        *("4", "1x1+0+0"),
        *("4", "59x50+57+40"),
        *("92", "1x1+200+100"),
    ]


def test_through_a_pipe_it_is_the_same(tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    played(GifSink(Replacement(path), SIZE, Settings())).sink.finish(2000 * MS)
    with piped() as (pipe, received):
        played(GifSink(pipe, SIZE, Settings())).sink.finish(2000 * MS)
    assert received[0] == path.read_bytes()


def test_lossless_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match=r"256 colours a picture, so it can't be lossless; record to \.apng"):
        GifSink(Replacement(tmp_path / "a.gif"), SIZE, Settings(quality="lossless"))


def test_a_photograph_in_a_page_leaves_the_page_as_it_is(tmp_path: Path) -> None:
    page = np.full((400, 640, 3), (250, 250, 248), np.uint8)
    page[:30] = (36, 41, 47)
    for row in range(60, 380, 20):
        cv2.putText(page, "The quick brown fox jumps", (8, row), 0, 0.5, (30, 30, 40), 1, cv2.LINE_AA)
    page[40:310, 150:630] = photograph()
    path = tmp_path / "a.gif"
    script = Script(GifSink(Replacement(path), (640, 400), Settings()))
    script.first(page)
    script.sink.finish(100 * MS)
    error = np.abs(by_pillow(path)[0][1].astype(int) - page)
    assert not error[:30].any()
    assert not error[35, :].any()
    assert error[310:].max() < 24  # text
    assert np.mean(error[40:310, 150:630] ** 2) < 60  # 30 dB
    quantized = Image.fromarray(page).quantize(256, dither=Image.Dither.NONE).convert("RGB")
    assert np.mean(error**2) < np.mean((np.asarray(quantized).astype(int) - page) ** 2)


def test_small_has_fewer_colours_and_bytes(tmp_path: Path) -> None:
    sizes = {}
    qualities: tuple[Quality, ...] = ("screen", "small")
    for quality in qualities:
        path = tmp_path / f"{quality}.gif"
        script = Script(GifSink(Replacement(path), (480, 270), Settings(quality=quality)))
        script.first(photograph())
        script.sink.finish(100 * MS)
        sizes[quality] = path.stat().st_size
        assert len(np.unique(by_pillow(path)[0][1].reshape(-1, 3), axis=0)) <= (64 if quality == "small" else 256)
    assert sizes["small"] < 0.8 * sizes["screen"]


def test_what_was_not_exact_is_mended_when_it_is_drawn_anew(tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    script = Script(GifSink(Replacement(path), SIZE, Settings()))
    script.first(noise(WHOLE))
    corner = Rect(0, 0, 15, 15)
    script.write(100 * MS, script.paint(Rect(0, 0, 1, 1), (1, 2, 3)), script.paint(Rect(14, 14, 1, 1), (1, 2, 3)))
    script.sink.finish(200 * MS)
    read = by_pillow(path)
    assert not np.array_equal(read[0][1][corner.slices], script.shown[0][1][corner.slices])
    assert np.array_equal(read[1][1][0, 0], (1, 2, 3))


def test_a_palette_of_any_pixels_is_of_at_most_so_many_colours_and_near() -> None:
    rng = np.random.default_rng(0)
    for count, size in ((1, 1), (2, 5), (255, 4000), (256, 4000), (257, 4000), (5000, 9000), (1 << 24, 400_000)):
        table = rng.integers(0, 1 << 24, count).astype(np.uint32) if count < 1 << 20 else None
        pixels = (
            rng.integers(0, 1 << 24, size).astype(np.uint32) if table is None else table[rng.integers(0, count, size)]
        )
        for most in (255, 63):
            indices, colours = indexed(pixels, most)
            assert len(colours) <= most
            shown = colours[indices]
            if len(np.unique(pixels)) <= most:
                assert np.array_equal(shown, pixels)
            else:
                apart = [(shown >> shift & 255).astype(int) - (pixels >> shift & 255) for shift in (0, 8, 16)]
                assert np.sqrt(np.mean(np.square(apart))) < (22 if most == 255 else 36)
