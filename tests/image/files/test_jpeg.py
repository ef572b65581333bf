"""A large JPEG is written in strips, and is the picture that one piece would be, for every decoder."""

from __future__ import annotations

import io
import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pictures import BGRX, BITS, GRAYS, R5G6B5, bgrx, opened, photograph, random_picture
from PIL import Image

from xshm.image.files import encode
from xshm.pixels.raster import Raster

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from xshm.pixels.format import PixelFormat

_SCAN = b"\xff\xda"
# Odd ones, one row in the last strip, wide and tall ones, and so many strips that markers come again.
_SIZES = [
    (513, 512),
    (1920, 1080),
    (777, 513),
    (641, 1009),
    (1031, 257),
    (40, 7001),
    (65500, 33),
    (9000, 40),
    (2100, 1700),
]


def _one_piece(rgb: NDArray[Any], quality: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def _jpeg(raster: Raster, quality: int = 85) -> bytes:
    return encode.encode(raster, "JPEG", quality=quality).data


def _decoded(data: bytes) -> NDArray[Any]:
    return np.asarray(opened(data))


def _restarts(data: bytes) -> int:
    found = re.findall(rb"\xff[\xd0-\xd7]", data.partition(_SCAN)[2])
    assert found == [bytes((0xFF, 0xD0 + number % 8)) for number in range(len(found))]
    return len(found)


@pytest.fixture(params=["Pillow", "OpenCV"])
def encoder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    cv2 = pytest.importorskip("cv2")
    if request.param == "Pillow":
        monkeypatch.delitem(sys.modules, "cv2")
        monkeypatch.setattr("xshm.pixels.opencv._SPARED", 10**12)  # it is not imported because it would be worth it
    else:
        monkeypatch.setitem(sys.modules, "cv2", cv2)
    return str(request.param)


@pytest.mark.usefixtures("encoder")
@pytest.mark.parametrize(("width", "height"), _SIZES)
def test_strips_are_the_picture_of_one_piece(width: int, height: int) -> None:
    rgb = np.resize(photograph(64, 97), (height, width, 3))
    for quality in (20, 85, 100):
        whole, strips = _one_piece(rgb, quality), _jpeg(Raster(bgrx(rgb), BGRX), quality)
        assert _restarts(strips)
        assert np.array_equal(_decoded(strips), _decoded(whole))
        assert len(strips) < len(whole) * 1.01 + 50


@pytest.mark.usefixtures("encoder")
def test_a_small_picture_is_one_piece() -> None:
    rgb = photograph(200, 300)
    assert _jpeg(Raster(bgrx(rgb), BGRX)) == _one_piece(rgb, 85)


@pytest.mark.parametrize("fmt", [GRAYS, R5G6B5, BITS], ids=["shades", "16 bits", "a bit a pixel"])
def test_shades_and_other_depths_are_in_strips_too(fmt: PixelFormat) -> None:
    picture = random_picture(fmt, 804, 601)
    raster = Raster(picture.pixels, fmt, picture.colormap, picture.width)
    data, buffer = _jpeg(raster), io.BytesIO()
    encode.image(raster).save(buffer, "JPEG", quality=85)
    assert _restarts(data) > 0
    assert np.array_equal(_decoded(data), _decoded(buffer.getvalue()))


def test_other_decoders_read_the_strips_as_one_piece(tmp_path: Path) -> None:
    cv2 = pytest.importorskip("cv2")
    rgb = np.resize(photograph(64, 97), (603, 801, 3))
    seen = []
    for name, data in (("whole", _one_piece(rgb, 85)), ("strips", _jpeg(Raster(bgrx(rgb), BGRX)))):
        (tmp_path / f"{name}.jpg").write_bytes(data)
        command = ["ffmpeg", "-v", "error", "-i", f"{name}.jpg", "-f", "rawvideo", "-pix_fmt", "yuvj420p", "-"]
        run = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
        assert not run.stderr
        magick = ["convert", f"{name}.jpg", "-depth", "8", "rgb:-"]
        seen.append(
            (
                run.stdout,
                subprocess.run(magick, cwd=tmp_path, capture_output=True, check=True).stdout,
                cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).tobytes(),
            )
        )
    assert len(seen[0][1]) == 603 * 801 * 3
    assert seen[0] == seen[1]


@pytest.mark.parametrize(
    "limit",
    [
        "resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))",
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))",
    ],
)
def test_without_a_file_in_memory_it_is_one_piece(limit: str) -> None:
    program = (
        "import io, resource, signal\nimport numpy as np\nfrom PIL import Image\n"
        "from xshm import Frame, PixelFormat, Rect, VisualClass\n"
        "layout = PixelFormat(24, 32, 32, 'little', 0xFF0000, 0xFF00, 0xFF, VisualClass.TrueColor)\n"
        "pixels = np.random.default_rng(1).integers(0, 255, (600, 800, 4), np.uint8)\n"
        "frame = Frame(pixels, Rect(0, 0, 800, 600), 0, 0, layout)\n"
        "strips = frame.jpeg(quality=20)\n"
        f"{limit}\n"
        "whole = frame.jpeg(quality=20)\n"
        "same = np.array_equal(*(np.asarray(Image.open(io.BytesIO(each))) for each in (strips, whole)))\n"
        "print(same, b'\\xff\\xdd' in strips[:1000], b'\\xff\\xdd' in whole[:1000])\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["True", "True", "False"]


def test_an_oserror_of_a_signal_handler_is_not_one_of_the_file_in_memory() -> None:
    raster = Raster(bgrx(photograph(2160, 3840)), BGRX)
    came = []

    def give_up(*_: object) -> None:
        came.append(1)
        raise TimeoutError("of a handler")

    def write_jpegs() -> None:
        for _ in range(20):  # longer than the alarm, by any converter
            _jpeg(raster)

    before = signal.signal(signal.SIGALRM, give_up)
    try:
        for turn in range(10):
            signal.setitimer(signal.ITIMER_REAL, 0.004 + turn / 1000)
            with pytest.raises(TimeoutError, match="of a handler"):
                write_jpegs()
        assert len(came) == 10
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
