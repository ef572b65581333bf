"""`xshm shot` and `xshm diff`, run as a person runs them on a display with windows, monitors and a pointer."""

from __future__ import annotations

import io
import json
import struct
import subprocess
import sys
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

import xshm
from xshm.image.files import encode
from xshm.pixels.format import PixelFormat, VisualClass
from xshm.pixels.raster import Raster

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from painter import Painter
    from servers import Server


@pytest.fixture
def run(xvfb: Server, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[bytes]]:
    def run(*arguments: str, **changed: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [sys.executable, "-m", "xshm", *arguments],
            env=xvfb.env() | changed,
            cwd=tmp_path,
            capture_output=True,
            check=False,
            timeout=30,
        )

    return run


def picture(data: bytes) -> Any:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def kind(data: bytes) -> str | None:
    return Image.open(io.BytesIO(data)).format


def test_a_window_is_taken_whole_by_title_and_by_id(run: Any, painter: Painter) -> None:
    window = painter.window((100, 100, 80, 60), (10, 200, 30), title="the green one")
    painter.window((120, 110, 200, 200), (200, 10, 10), title="the one above it")
    for name in ("the green one", hex(window.id), str(window.id)):
        done = run("shot", "-i", name, "-")
        assert done.returncode == 0, done.stderr
        assert picture(done.stdout).shape == (60, 80, 3)
        assert (picture(done.stdout) == (10, 200, 30)).all()


def test_a_region_that_leaves_the_screen_is_refused_with_the_flag_that_cuts_it(run: Any) -> None:
    refused = run("shot", "-g", "100x100+1230+0", "-")
    assert refused.returncode == 2
    assert refused.stderr.decode().endswith("leaves the screen 1280x800; pass --clip to cut it\n")
    cut = run("shot", "-g", "100x100+1230+0", "--clip", "-")
    assert picture(cut.stdout).shape == (100, 50, 3)


@pytest.mark.parametrize("text", ["30x40-0-0", "30x40+1250-0", "1250,760 30x40"])
def test_a_region_is_named_from_the_far_edge_or_as_slurp_does(run: Any, painter: Painter, text: str) -> None:
    painter.fill((1250, 760, 30, 40), (255, 255, 0))
    done = run("shot", "-g", text, "-")
    assert picture(done.stdout).shape == (40, 30, 3)
    assert (picture(done.stdout) == (255, 255, 0)).all()


def test_a_region_of_a_window_is_in_its_own_coordinates(run: Any, painter: Painter) -> None:
    window = painter.window((300, 300, 50, 50), (0, 0, 0), title="marked")
    painter.fill((5, 6, 7, 8), (255, 255, 0), window)
    done = run("shot", "-i", "marked", "-g", "7x8+5+6", "-")
    assert picture(done.stdout).shape == (8, 7, 3)
    assert (picture(done.stdout) == (255, 255, 0)).all()


def test_a_monitor_is_taken_by_number_by_name_and_as_the_primary_one(run: Any, xvfb: Server) -> None:
    with xshm.Screen(xvfb.name) as screen:
        monitor = screen.monitors[0]
    for name in ("0", monitor.name, "primary"):
        assert picture(run("shot", "-m", name, "-").stdout).shape == (800, 1280, 3)
    done = run("shot", "-m", "no such", "-")
    assert (done.returncode, done.stdout) == (2, b"")
    assert f"there is no monitor 'no such'; by number and name there are 0: {monitor.name}" in done.stderr.decode()


def test_the_pointer_is_drawn_in_where_it_is_asked_for(run: Any, painter: Painter) -> None:
    painter.fill((0, 0, 1280, 800), (30, 90, 60))
    painter.root.warp_pointer(640, 400)
    painter.display.sync()
    plain, pointed = (picture(run("shot", "-", *flags).stdout) for flags in ([], ["--cursor"]))
    assert (plain == (30, 90, 60)).all()
    rows, columns = np.nonzero((pointed != plain).any(axis=2))
    assert 0 < len(rows) < 5000
    assert abs(rows.mean() - 400) < 40
    assert abs(columns.mean() - 640) < 40


@pytest.mark.parametrize("many", [True, False])
def test_a_png_of_the_usual_screen_is_made_without_numpy_and_pillow(
    xvfb: Server, painter: Painter, tmp_path: Path, *, many: bool
) -> None:
    painter.fill((0, 0, 1280, 800), (30, 90, 60))
    painter.fill((90, 70, 300, 200), (0x16, 0x5E, 0xA2))
    if many:
        painter.rectangles()
        painter.noise((100, 100, 301, 200))
    command = [sys.executable, "-X", "importtime", "-m", "xshm", "shot", "-g", "501x400+50+51", "a.png"]
    done = subprocess.run(command, env=xvfb.env(), cwd=tmp_path, capture_output=True, text=True, check=True)
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "xshm" in loaded
    assert not loaded & {"numpy", "PIL", "cv2"}
    written = (tmp_path / "a.png").read_bytes()
    assert Image.open(io.BytesIO(written)).mode == ("RGB" if many else "P")
    with xshm.Screen(xvfb.name) as screen:
        assert np.array_equal(picture(written), screen.grab("501x400+50+51").rgb())


def test_all_windows_go_into_files_of_their_own(run: Any, painter: Painter, tmp_path: Path) -> None:
    painter.window((10, 10, 30, 20), (1, 2, 3), title="first/one")
    painter.window((50, 10, 40, 25), (4, 5, 6), title="zweites Fenster")
    done = run("shot", "--all-windows", "made/here")
    assert done.returncode == 0, done.stderr
    files = {path.name.split("_", 1)[1]: path for path in (tmp_path / "made/here").iterdir()}
    assert set(files) >= {"first_one.png", "zweites_Fenster.png"}
    assert (picture(files["first_one.png"].read_bytes()) == (1, 2, 3)).all()
    assert picture(files["zweites_Fenster.png"].read_bytes()).shape == (25, 40, 3)
    assert len(done.stdout.splitlines()) == len(files)


def test_a_title_may_be_longer_than_a_files_name(run: Any, painter: Painter, tmp_path: Path) -> None:
    window = painter.window((0, 0, 20, 20), (1, 2, 3))
    name, utf8 = map(painter.display.intern_atom, ("_NET_WM_NAME", "UTF8_STRING"))
    window.change_property(name, utf8, 8, ("\N{CJK UNIFIED IDEOGRAPH-20000}" * 90).encode())
    painter.display.sync()
    done = run("shot", "--all-windows", "w", "-t", "jpeg2000")
    assert done.returncode == 0, done.stderr
    (file,) = (tmp_path / "w").glob(f"{window.id:#x}_*.jp2")
    assert kind(file.read_bytes()) == "JPEG2000"


def test_the_kind_is_named_by_suffix_or_by_type(run: Any, tmp_path: Path) -> None:
    run("shot", "a.webp", "-q", "50")
    assert kind((tmp_path / "a.webp").read_bytes()) == "WEBP"
    assert kind(run("shot", "-", "-t", "jpg").stdout) == "JPEG"
    run("shot", "named.dat", "-t", "png")
    assert kind((tmp_path / "named.dat").read_bytes()) == "PNG"
    low, high = (len(run("shot", "-", "-t", "jpeg", "-q", quality).stdout) for quality in ("10", "95"))
    assert low < high


def test_a_longest_edge_makes_it_smaller(run: Any) -> None:
    assert picture(run("shot", "-", "--max-edge", "640").stdout).shape == (400, 640, 3)
    assert picture(run("shot", "-", "--max-edge", "5000").stdout).shape == (800, 1280, 3)


def test_selecting_asks_slop(run: Any, painter: Painter, tmp_path: Path) -> None:
    """A program of that name stands in for the person and the tool that asks them."""
    painter.fill((40, 30, 20, 10), (9, 99, 199))
    programs = tmp_path / "bin"
    programs.mkdir()
    slop = programs / "slop"
    slop.write_text('#!/bin/sh\n[ "$1 $2" = "-f %w %h %x %y" ] || exit 3\necho "20 10 40 30"\n')
    slop.chmod(0o755)
    done = run("shot", "-s", "-", PATH=f"{programs}:/usr/bin:/bin")
    assert (picture(done.stdout) == (9, 99, 199)).all()
    slop.write_text("#!/bin/sh\nexit 1\n")
    cancelled = run("shot", "-s", "-", PATH=f"{programs}:/usr/bin:/bin")
    assert (cancelled.returncode, cancelled.stdout) == (2, b"")
    assert b"nothing was selected" in cancelled.stderr
    slop.write_text("#!/bin/sh\necho 40 50 -20 -10\n")
    part = run("shot", "-s", "-", PATH=f"{programs}:/usr/bin:/bin")
    assert picture(part.stdout).shape == (40, 20, 3), "of a window that is partly off the screen, what is on it"
    slop.write_text("#!/bin/sh\necho 40x50\n")
    other = run("shot", "-s", "-", PATH=f"{programs}:/usr/bin:/bin")
    assert (other.returncode, other.stdout) == (2, b"")
    assert b"slop said '40x50" in other.stderr
    slop.unlink()
    missing = run("shot", "-s", "-", PATH=str(programs))
    assert b"slop" in missing.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-i", "no window has this title", "-"], "no window has this title"),
        (["-i", "0x1", "-"], "0x1"),
        (["-i", "007", "-"], "'007', as a number or as a title"),
        (["-m", "0", "-g", "5x5", "-"], "--monitor and --geometry"),
        (["--all-windows", "d", "a.png"], "--all-windows"),
        (["-t", "xyz", "-"], "xyz"),
        (["-q", "0", "-t", "jpeg", "-"], "quality"),
        (["--max-edge", "0", "-"], "argument --max-edge: 0 is no whole number above 0"),
    ],
)
def test_what_can_not_be_meant_is_said_in_one_line(run: Any, arguments: list[str], words: str) -> None:
    done = run("shot", *arguments)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.count(b"\n") == 1, done.stderr
    assert words in done.stderr.decode()


# -- diff ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def two(tmp_path: Path) -> tuple[str, str]:
    """Give two pictures that differ in two places."""
    one = np.full((100, 200, 3), 128, np.uint8)
    other = one.copy()
    other[10:20, 30:50] = 0
    other[80, 150] = 255
    for name, pixels in (("one.png", one), ("other.png", other)):
        Image.fromarray(pixels).save(tmp_path / name)
    return "one.png", "other.png"


def test_diff_says_by_its_exit_code_whether_pictures_are_the_same(run: Any, two: tuple[str, str]) -> None:
    assert run("diff", two[0], two[0]).returncode == 0
    done = run("diff", *two)
    assert done.returncode == 1
    assert b"201 pixels differ" in done.stdout
    assert b"20x10+30+10" in done.stdout
    assert run("diff", "--threshold", "0.02", *two).returncode == 0


def test_diff_tells_rectangles_as_json(run: Any, two: tuple[str, str]) -> None:
    found = json.loads(run("diff", "--json", *two).stdout)
    assert found == {"pixels": 201, "ratio": 201 / 20000, "rects": [[30, 10, 20, 10], [150, 80, 1, 1]]}


def test_diff_shows_where_in_a_picture(run: Any, two: tuple[str, str], tmp_path: Path) -> None:
    run("diff", *two, "-o", "shown.png")
    shown = picture((tmp_path / "shown.png").read_bytes())
    assert (shown == (255, 0, 0)).all(axis=2).sum() == 201
    assert tuple(shown[15, 40]) == (255, 0, 0)


def test_diff_agrees_with_imagemagick(run: Any, two: tuple[str, str], tmp_path: Path) -> None:
    done = subprocess.run(
        ["compare", "-metric", "AE", *two, "null:"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert int(done.stderr.split()[0]) == json.loads(run("diff", "--json", *two).stdout)["pixels"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["one.png", "missing.png"], "missing.png"),
        (["one.png", "text.png"], "text.png"),
        (["one.png", "small.png"], "one.png is 200x100, small.png is 5x5"),
        (["one.png", "."], "Is a directory"),
        (["one.png", "cut.png"], "cut.png can't be read as PNG: the file is cut off"),
        (["one.png", "deep.png"], "one.png and deep.png have different depths"),
        (["one.png", "postscript.png"], "postscript.png is no picture"),
        (["numbers.tif", "numbers.tif"], "numbers.tif has the mode 'F'"),
        (["one.png", "other.png", "--threshold", "2"], "threshold"),
        (["one.png", "other.png", "-o", "shown.xyz"], "xyz"),
    ],
)
@pytest.mark.usefixtures("two")
def test_pictures_that_can_not_be_compared_are_an_error(
    run: Any, tmp_path: Path, arguments: list[str], words: str
) -> None:
    (tmp_path / "text.png").write_text("no picture")
    Image.new("RGB", (5, 5)).save(tmp_path / "small.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "one.png").read_bytes()[:100])
    Image.new("I;16", (200, 100)).save(tmp_path / "deep.png")
    Image.new("RGB", (5, 5)).save(tmp_path / "postscript.eps")
    (tmp_path / "postscript.eps").rename(tmp_path / "postscript.png")
    Image.new("F", (5, 5)).save(tmp_path / "numbers.tif")
    done = run("diff", *arguments)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.count(b"\n") == 1
    assert words in done.stderr.decode()


def test_diff_sees_what_eight_bits_do_not_hold(run: Any, tmp_path: Path) -> None:
    for name, value in (("dark.png", 1000), ("bright.png", 40000)):
        Image.fromarray(np.full((10, 10), value, np.uint16)).save(tmp_path / name)
    assert run("diff", "dark.png", "dark.png").returncode == 0
    done = run("diff", "dark.png", "bright.png", "-o", "shown.png")
    assert done.returncode == 1, done.stderr
    assert (picture((tmp_path / "shown.png").read_bytes()) == (255, 0, 0)).all()


def test_diff_does_not_call_colours_equal_of_which_it_sees_but_half_the_bits(run: Any, tmp_path: Path) -> None:
    deep = PixelFormat(30, 32, 32, "little", 0x3FF00000, 0xFFC00, 0x3FF, VisualClass.TrueColor)
    for name, value in (("one.png", 0), ("other.png", 1)):
        (tmp_path / name).write_bytes(encode.png(Raster(np.full((4, 5), value, "<u4"), deep), dtype=np.uint16))
    done = run("diff", "one.png", "other.png")
    assert done.returncode == 2
    assert b"16 bits a channel" in done.stderr
    five = b"BM" + struct.pack("<IIIIiiHHIIiiII", 74, 0, 66, 40, 2, 2, 1, 16, 3, 8, 0, 0, 0, 0)
    (tmp_path / "five.bmp").write_bytes(five + struct.pack("<III", 0xF800, 0x7E0, 0x1F) + bytes(8))
    assert run("diff", "five.bmp", "five.bmp").returncode == 0, "16 bits a pixel are not cut"


def test_diff_compares_pictures_as_they_are_shown(run: Any, two: tuple[str, str], tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(tmp_path / two[0]).transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=exif)
    assert run("diff", two[0], "turned.png").returncode == 0
    assert b"201 pixels differ" in run("diff", "turned.png", two[1]).stdout
    for kind in ("a.bmp", "a.webp", "a.tiff", "a.ppm"):
        options: Any = {"lossless": True} if kind == "a.webp" else {}
        Image.open(tmp_path / two[0]).save(tmp_path / kind, **options)
        done = run("diff", two[0], kind)
        assert (done.returncode, done.stderr) == (0, b"")


def test_diff_counts_no_colours_that_nobody_sees(run: Any, tmp_path: Path) -> None:
    pixels = np.full((3, 100, 4), 255, np.uint8)
    pixels[1] = (10, 20, 30, 0)
    Image.fromarray(pixels).save(tmp_path / "one.png")
    pixels[1] = 0
    Image.fromarray(pixels).save(tmp_path / "other.png")
    palette = Image.fromarray(np.array([[0], [1], [0]], np.uint8).repeat(100, 1)).convert("P")
    palette.putpalette([255, 255, 255, 70, 80, 90])
    palette.save(tmp_path / "palette.png", transparency=1)
    for name in ("one.png", "palette.png"):
        assert run("diff", name, "other.png").returncode == 0, name
    pixels[1, 7, 3] = 1
    Image.fromarray(pixels).save(tmp_path / "faint.png")
    assert json.loads(run("diff", "--json", "one.png", "faint.png").stdout)["pixels"] == 1


def test_diff_finds_single_pixels_wherever_a_band_of_rows_ends(run: Any, tmp_path: Path) -> None:
    pixels = np.zeros((200, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "one.png")
    pixels[[0, 63, 64, 127, 128, 199], 1] = 1
    Image.fromarray(pixels).save(tmp_path / "other.png")
    assert json.loads(run("diff", "--json", "one.png", "other.png").stdout)["pixels"] == 6


def test_a_file_that_breaks_the_decoder_is_an_error_and_no_difference(run: Any, tmp_path: Path) -> None:
    """What is raised for it is neither OSError nor ValueError; Python's own exit code would say that they differ."""
    bomb = b"\x89PNG\r\n\x1a\n"
    for chunk in (b"IHDR" + struct.pack(">IIBBBBB", 30_000, 30_000, 8, 0, 0, 0, 0), b"IDAT"):
        bomb += struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    (tmp_path / "bomb.png").write_bytes(bomb)
    done = run("diff", "bomb.png", "bomb.png")
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.count(b"\n") == 1, done.stderr
    assert b"bomb.png" in done.stderr


def test_diff_does_not_guess_which_of_many_pictures_is_meant(run: Any, tmp_path: Path) -> None:
    frames = [Image.new("RGB", (10, 10), shade) for shade in ("red", "blue")]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    done = run("diff", "moving.gif", "moving.gif")
    assert done.returncode == 2
    assert b"2 pictures" in done.stderr


def test_shots_in_the_same_second_do_not_overwrite_each_other(run: Any, tmp_path: Path) -> None:
    names = {run("shot").stdout for _ in range(4)}
    assert len(names) == 4
    assert len(list(tmp_path.glob("*_xshm*.png"))) == 4
