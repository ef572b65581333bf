"""libav writes to a file that has no name yet, and goes on when it has one."""

from __future__ import annotations

import contextlib
import errno
import subprocess
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from disks import fill, names

from xshm.system.replacement import Replacement

if TYPE_CHECKING:
    from pathlib import Path

av = pytest.importorskip("av")

OLD = b"old " * 1000
_OPTIONS = {"movflags": "+hybrid_fragmented", "frag_duration": "100000", "flush_packets": "1"}


def opened(file: Replacement) -> tuple[Any, Any]:
    """Open an mp4 of fragments as libav does: by the descriptor's name, truncating it."""
    output = av.open(f"/proc/self/fd/{file.descriptor}", "w", format="mp4", container_options=_OPTIONS)
    stream = output.add_stream("libx264", rate=10, options={"preset": "ultrafast", "tune": "zerolatency", "qp": "0"})
    stream.width = stream.height = 128
    stream.pix_fmt = "yuv420p"
    return output, stream


def mux(output: Any, stream: Any, count: int) -> None:
    noise = np.random.default_rng(1)
    for _ in range(count):
        output.mux(stream.encode(av.VideoFrame.from_ndarray(noise.integers(0, 256, (128, 128), np.uint8), "gray")))


def frames(path: Path) -> int:
    command = ["ffprobe", "-v", "error", "-count_frames", "-show_entries", "stream=nb_read_frames", "-of", "csv=p=0"]
    return int(subprocess.run([*command, path], check=True, capture_output=True).stdout)


@pytest.mark.parametrize("links", [1, 2])
def test_a_video_plays_from_its_commit_on_and_whole_at_its_end(tmp_path: Path, links: int) -> None:
    path = tmp_path / "out.mp4"
    path.write_bytes(OLD)
    if links == 2:
        (tmp_path / "other.mp4").hardlink_to(path)
    with Replacement(path) as file:
        output, stream = opened(file)
        mux(output, stream, 6)
        assert links == 2 or path.read_bytes() == OLD
        file.commit()
        assert frames(path) >= 3
        mux(output, stream, 6)
        output.mux(stream.encode(None))
        output.close()
    assert frames(path) == 12
    assert path.stat().st_nlink == links


def test_a_disk_that_fills_up_leaves_the_old_file_and_nothing_else(small_disk: Path) -> None:
    path = small_disk / "out.mp4"
    path.write_bytes(OLD)
    fill(small_disk, left=100_000)
    with Replacement(path) as file:
        output, stream = opened(file)
        with pytest.raises(OSError, match="No space") as full:
            mux(output, stream, 100)
        assert full.value.errno == errno.ENOSPC
        for _ in range(2):  # libav's trailer fails, too
            with contextlib.suppress(OSError):
                output.close()
    assert path.read_bytes() == OLD
    assert names(small_disk) == ["filler", "out.mp4"]
