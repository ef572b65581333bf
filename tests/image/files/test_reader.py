"""Untrusted picture files: decoded as viewers show them, or one error with their name; never a warning."""

from __future__ import annotations

import io
import os
import random
import signal
import struct
import threading
import warnings
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from xshm.cli import main
from xshm.errors import InvalidArgument
from xshm.image.files import headers, reader

if TYPE_CHECKING:
    from pathlib import Path

BOUND = (2000, 2000, "is too large")
PIXELS = np.random.default_rng(1).integers(0, 256, (24, 31, 4), dtype=np.uint8)
RGB = Image.fromarray(PIXELS[..., :3].copy())
RGBA = Image.fromarray(PIXELS)
DEEP = Image.fromarray(np.arange(0, 65536, 256, dtype=np.uint16).reshape(16, 16) + 255)


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def read(path: Path, data: bytes) -> np.ndarray[Any, Any]:
    """Return the RGBA of a file with these bytes."""
    path.write_bytes(data)
    return reader.rgba(reader.read(path, BOUND).image, str(path))


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width: int, height: int, bits: int, colours: int, rows: bytes, *between: bytes) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colours, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(between) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def orientation(turn: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = turn
    exif[0x010E] = "what is seen, in so many words"
    return exif


# -- what is shown ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "BMP", "TIFF", "PPM", "GIF", "JPEG"])
def test_all_kinds_are_read_whatever_their_suffix(tmp_path: Path, kind: str) -> None:
    image = RGB.quantize(64) if kind == "GIF" else RGB
    data = encoded(image, kind, **({"lossless": True} if kind == "WEBP" else {}))
    shown = np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"))
    for name in ("a.png", "a.eps", "a"):
        assert np.array_equal(read(tmp_path / name, data), shown)
    if kind not in ("GIF", "JPEG"):
        assert np.array_equal(shown[..., :3], PIXELS[..., :3])


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
def test_every_mode_becomes_the_colours_that_it_shows(tmp_path: Path, mode: str) -> None:
    image = DEEP if mode == "I;16" else RGBA.quantize(32) if mode == "P" else RGBA.convert(mode)
    shown = read(tmp_path / "a", encoded(image, "TIFF" if mode == "CMYK" else "PNG"))
    if mode == "I;16":
        assert np.array_equal(shown[..., 0].ravel(), np.arange(256)), "the upper 8 bits, not cut off at 255"
        assert (shown[..., :3] == shown[..., :1]).all()
    else:
        assert np.array_equal(shown, np.asarray(image.convert("RGBA")))


def test_colours_of_16_bits_are_read_by_their_upper_8(tmp_path: Path) -> None:
    shown = read(tmp_path / "a", png(1, 1, 16, 2, b"\0" + struct.pack(">HHH", 0x1234, 0xFFFF, 0x00FF)))
    assert shown.tolist() == [[[0x12, 0xFF, 0, 255]]]
    assert reader.read(tmp_path / "a", BOUND).halved
    assert read(tmp_path / "b", b"P5 2 1 65535\n\x12\x34\xff\xff")[0, :, 0].tolist() == [0x12, 0xFF]
    assert read(tmp_path / "c", b"P6 1 1 65535\n\x12\x34\xff\xff\0\0")[0, 0].tolist() == [0x12, 0xFF, 0, 255]
    assert reader.read(tmp_path / "c", BOUND).halved


@pytest.mark.parametrize(("bits", "row"), [(1, b"\x40"), (2, b"\x10"), (4, b"\x01"), (8, b"\0\1"), (16, b"\0\0\0\1")])
def test_the_transparent_grey_of_a_png_is_transparent_in_any_depth(tmp_path: Path, bits: int, row: bytes) -> None:
    data = png(2, 1, bits, 0, b"\0" + row, chunk(b"tRNS", struct.pack(">H", 1)))
    assert read(tmp_path / "a", data)[0, :, 3].tolist() == [255, 0]


def test_the_transparent_colour_of_16_bits_can_not_be_told_and_is_refused(tmp_path: Path) -> None:
    """Read by its upper 8 bits, other colours would be transparent too, or none."""
    for transparent in ((0x1234, 0xFFFF, 0x00FF), (0x12, 0xFF, 0)):
        row = b"\0" + struct.pack(">HHH", 0x1234, 0xFFFF, 0x00FF)
        data = png(1, 1, 16, 2, row, chunk(b"tRNS", struct.pack(">HHH", *transparent)))
        with pytest.raises(InvalidArgument, match="which of its colours of 16 bits is transparent can't be told"):
            read(tmp_path / "a", data)


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_a_picture_is_turned_as_its_exif_block_says(tmp_path: Path, kind: str, turn: int) -> None:
    exif = orientation(turn)
    options: Any = {"tiffinfo": exif} if kind == "TIFF" else {"exif": exif}
    shown = read(tmp_path / "a", encoded(RGB, kind, **options))
    stored = Image.open(io.BytesIO(encoded(RGB, kind)))
    stored.getexif()[0x0112] = turn
    wanted = ImageOps.exif_transpose(stored)
    assert np.array_equal(shown[..., :3], np.asarray(wanted.convert("RGB")))


def test_a_picture_with_a_broken_exif_block_is_shown_as_it_lies(tmp_path: Path) -> None:
    whole = orientation(6).tobytes()
    for exif in (
        whole[:20],
        whole[:10],
        b"Exif\0\0II*\0\xff\xff\xff\xff",
        b"nonsense",
        whole.replace(b"\x01\x12", b"\x01\x13"),
    ):
        with warnings.catch_warnings(record=True) as given:
            warnings.simplefilter("always")
            assert read(tmp_path / "a", encoded(RGB, "JPEG", exif=exif)).shape == (24, 31, 4)
        assert not given


# -- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF", "TIFF"])
def test_several_pictures_in_a_file_are_refused(tmp_path: Path, kind: str) -> None:
    data = encoded(RGB, kind, save_all=True, append_images=[RGB.rotate(180)])
    with pytest.raises(InvalidArgument, match=r"several\.x.*(2 pictures|more than one picture)"):
        read(tmp_path / "several.x", data)


@pytest.mark.parametrize("mode", ["I", "F", "LAB"])
def test_numbers_without_colours_are_refused(tmp_path: Path, mode: str) -> None:
    with pytest.raises(InvalidArgument, match=rf"numbers.*'{mode}'"):
        read(tmp_path / "numbers", encoded(RGB.convert("L" if mode != "LAB" else "RGB").convert(mode), "TIFF"))


@pytest.mark.parametrize("begin", [b"%!PS-Adobe-3.0 EPSF-3.0\n", b"%PDF-1.7\n", b"<svg>", b"", b"text", b"II+\0"])
def test_what_is_no_picture_is_refused_with_the_kinds_that_are(tmp_path: Path, begin: bytes) -> None:
    with pytest.raises(InvalidArgument, match=r"a\.png is no picture.*PNG, JPEG, WebP, GIF, BMP, TIFF, PPM"):
        read(tmp_path / "a.png", begin + bytes(100))


def test_a_file_that_can_not_be_read_is_the_systems_error_with_its_name(tmp_path: Path) -> None:
    for path, kind in ((tmp_path / "missing", FileNotFoundError), (tmp_path, IsADirectoryError)):
        with pytest.raises(kind) as caught:
            reader.read(path, BOUND)
        assert os.fspath(path) == os.fspath(caught.value.filename)
    with pytest.raises(OSError, match="/proc/self/mem"):
        reader.read("/proc/self/mem", BOUND)
    with pytest.raises(InvalidArgument, match="no path"):
        reader.read("a\0b", BOUND)


def test_of_an_endless_device_only_the_beginning_is_read() -> None:
    with pytest.raises(InvalidArgument, match="/dev/zero is no picture"):
        reader.read("/dev/zero", BOUND)


def test_what_is_too_large_is_refused_by_its_header_and_not_decoded(tmp_path: Path) -> None:
    """None of these has a single pixel: had it been decoded, the error would be another one."""
    canvas = b"VP8X" + struct.pack("<II", 10, 0) + struct.pack("<I", 16382)[:3] * 2
    files = {
        "PNG": png(30_000, 30_000, 8, 2, b""),
        "GIF": b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0, 0, 0) + b"," + struct.pack("<HHHHB", 0, 0, 65535, 65535, 0),
        "WebP": b"RIFF" + struct.pack("<I", 4 + len(canvas)) + b"WEBP" + canvas,
        "BMP": b"BM" + struct.pack("<IIIIiiHHIIiiII", 54, 0, 54, 40, 30_000, 30_000, 1, 24, 0, 0, 0, 0, 0, 0),
        "PPM": b"P6 30000 30000 255\n",
    }
    for kind, data in files.items():
        path = tmp_path / kind
        path.write_bytes(data)
        with pytest.raises(InvalidArgument, match=rf"{kind}: a picture of \d+x\d+ is too large"):
            reader.read(path, BOUND)


def test_a_picture_may_be_as_large_as_the_caller_says_whatever_pillow_would_warn_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 300)  # RGB has more than twice as many
    for name, data in (("a.png", encoded(RGB, "PNG")), ("b.png", encoded(RGB.rotate(180), "PNG"))):
        (tmp_path / name).write_bytes(data)
    assert main.main(["diff", str(tmp_path / "a.png"), str(tmp_path / "a.png")]) == 0
    assert main.main(["diff", str(tmp_path / "a.png"), str(tmp_path / "b.png")]) == 1
    assert capsys.readouterr().err == ""
    for kind in ("GIF", "WebP", "TIFF"):
        with pytest.raises(InvalidArgument, match=rf"{kind} of 31x24 has more than 300 pixels; a PNG may"):
            read(tmp_path / "a", encoded(RGB, kind))
    assert Image.MAX_IMAGE_PIXELS == 300


def test_a_bit_that_flipped_in_a_png_is_found_by_its_checksum(tmp_path: Path) -> None:
    data = bytearray(encoded(RGB, "PNG", compress_level=0))
    data[len(data) // 2] ^= 4
    with pytest.raises(InvalidArgument, match=r"flipped\.png can't be read as PNG: the checksum of its chunk b'IDAT'"):
        read(tmp_path / "flipped.png", bytes(data))


def test_a_file_cut_off_anywhere_is_refused(tmp_path: Path) -> None:
    for kind in ("PNG", "JPEG", "BMP", "PPM", "TIFF"):
        data = encoded(RGB, kind)
        for length in range(12, len(data) - 2, 37):
            with pytest.raises(InvalidArgument, match=r"cut\.x"):
                read(tmp_path / "cut.x", data[:length])


def test_what_a_signals_handler_raises_while_a_file_is_decoded_is_not_the_files_fault(tmp_path: Path) -> None:
    class AlarmError(Exception):
        pass

    def handler(*_: object) -> None:
        raise AlarmError

    Image.new("RGB", (8000, 8000)).save(tmp_path / "large.png", compress_level=1)
    before = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        with pytest.raises(AlarmError):
            reader.read(tmp_path / "large.png", (8000, 8000, ""))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_a_file_may_come_through_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(encoded(RGBA, "PNG"),))
    writer.start()
    assert reader.read(tmp_path / "pipe", BOUND).image.tobytes() == PIXELS.tobytes()
    writer.join()


# -- broken at random ------------------------------------------------------------------------------------------------


def whole_files() -> dict[str, bytes]:
    exif = orientation(6)
    return {
        "png": encoded(RGBA, "PNG", exif=exif),
        "png of a palette": encoded(RGB.quantize(16), "PNG", transparency=3),
        "png of 16 bits": encoded(DEEP, "PNG"),
        "png that moves": encoded(RGB, "PNG", save_all=True, append_images=[RGB.rotate(180)]),
        "jpeg": encoded(RGB, "JPEG", exif=exif),
        "jpeg in passes": encoded(RGB.convert("CMYK"), "JPEG", progressive=True),
        "several jpegs": encoded(RGB, "MPO", save_all=True, append_images=[RGB]),
        "webp": encoded(RGB, "WEBP", exif=exif),
        "webp without loss": encoded(RGBA, "WEBP", lossless=True),
        "webp that moves": encoded(RGB, "WEBP", save_all=True, append_images=[RGB.rotate(180)]),
        "gif": encoded(RGB.quantize(32), "GIF"),
        "gif that moves": encoded(RGB, "GIF", save_all=True, append_images=[RGB.rotate(180)]),
        "tiff": encoded(RGB, "TIFF", tiffinfo=exif),
        "tiff with loss": encoded(RGB, "TIFF", compression="jpeg"),
        "tiff of 16 bits": encoded(DEEP, "TIFF"),
        "bmp": encoded(RGB, "BMP"),
        "bmp of a palette": encoded(RGB.quantize(16), "BMP"),
        "ppm": encoded(RGB, "PPM"),
    }


def broken(data: bytes, chance: random.Random) -> bytes:
    """Cut a file off, or change some of its bytes, near its beginning more often than not; then PNG's checksums fit."""
    made = bytearray(data)
    if chance.random() < 0.2:
        return bytes(made[: chance.randrange(len(made))])
    for _ in range(chance.choice((1, 1, 2, 5, 30))):
        at = chance.randrange(min(len(made), chance.choice((16, 60, 200, len(made)))))
        made[at] = chance.choice((0, 255, chance.randrange(256), made[at] ^ 1 << chance.randrange(8)))
    at = 8
    while headers.kind(bytes(made[:12])) == "PNG" and at + 12 <= len(made):
        end = at + 8 + int.from_bytes(made[at : at + 4], "big")
        if end + 4 > len(made):
            break
        made[end : end + 4] = zlib.crc32(made[at + 4 : end]).to_bytes(4, "big")
        at = end + 4
    return bytes(made)


@pytest.mark.parametrize("seed", range(3))
def test_a_broken_file_is_one_line_with_its_name_and_gives_no_warning(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], seed: int
) -> None:
    files, chance, refused = whole_files(), random.Random(seed), 0
    path = tmp_path / "broken.png"
    for _ in range(600):
        data = broken(chance.choice(list(files.values())), chance)
        with warnings.catch_warnings(record=True) as given:
            warnings.simplefilter("always")
            try:
                assert read(path, data).dtype == np.uint8
            except InvalidArgument as error:
                assert str(path) in str(error)  # noqa: PT017 - whether it is broken enough is left to chance
                assert "\n" not in str(error)  # noqa: PT017
                refused += 1
        assert not given, [str(each.message) for each in given]
    assert 300 < refused < 600
    assert capfd.readouterr() == ("", ""), "decoders in C write on their own"


def test_many_threads_read_at_once_and_leave_the_filters_of_warnings_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(encoded(RGB, "JPEG", exif=orientation(6).tobytes()[:20]))
    wanted, filters, seen = reader.read(path, BOUND).image.tobytes(), list(warnings.filters), list[bool]()

    def read_often() -> None:
        seen.extend(reader.read(path, BOUND).image.tobytes() == wanted for _ in range(30))

    threads = [threading.Thread(target=read_often) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [True] * 180
    assert warnings.filters == filters


def test_a_small_file_of_more_pixels_than_any_screen_has_is_not_decoded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(png(32000, 9000, 1, 0, bytes(4001) * 9000))
    assert path.stat().st_size < 100_000
    assert main.main(["diff", str(path), str(path)]) == 2
    assert capsys.readouterr().err == f"xshm: {path}: a picture of 32000x9000 has more than 268,435,456 pixels\n"
