"""Broken pictures: files of every kind, with bytes changed, cut off, put in or taken from elsewhere.

`wait_image` and `xshm diff` read them, or refuse them in one line that names the file; nothing else is printed, no more
memory is taken than a picture of the largest size that is asked for, and no file takes long. It is done in a
process of its own, whose memory is measured, and whose crash does not end the tests.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import resource
import signal
import struct
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faults.report import Report

_SEED: Final = 19
_QUICK: Final = 240  # files of an effort of 1
_SIZE: Final = (31, 24)
_SCREEN: Final = (64, 48)
_SECONDS: Final = 20.0
_MOST_MEMORY: Final = {"wait_image": 64, "diff": 1600}  # MiB beyond what was there before
_SIZES: Final = (0, 1, 0x7F, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_SUFFIXES: Final = (".png", ".jpg", ".eps", ".pdf", ".gif", ".tif", "", ".wmf", ".svg")


def provoke(report: Report, effort: int) -> None:
    """Read 240 broken files, or (effort 100) a hundred times as many."""
    tests = Path(__file__).resolve().parent.parent
    places = os.pathsep.join((str(tests), str(tests / "helpers"), os.environ.get("PYTHONPATH", "")))
    for reader in _MOST_MEMORY:
        done = subprocess.run(
            [sys.executable, "-W", "error", __file__, reader, str(_QUICK * effort // len(_MOST_MEMORY))],
            env=os.environ | {"PYTHONPATH": places},
            stdout=subprocess.PIPE,
            text=True,
            timeout=3600,
            check=False,
        )
        if done.returncode:
            report.row(reader).failed(f"the process ended with {done.returncode}: {done.stdout[-300:]}")
            continue
        for name, how in json.loads(done.stdout.splitlines()[-1]):
            report.row(name).count(how)


def originals() -> dict[str, bytes]:
    """Return a file of each kind that is read, and of some that are not, all of the same picture."""
    rgb = Image.effect_noise(_SIZE, 90).convert("RGB")
    rgba = rgb.copy()
    rgba.putalpha(Image.linear_gradient("L").resize(_SIZE))
    frames = [rgb.rotate(turn) for turn in (0, 90, 180)]
    exif = Image.Exif()
    exif[0x0112] = 6

    def several() -> dict[str, Any]:  # new ones: Pillow keeps one kind's options in the images
        return {"save_all": True, "append_images": [each.copy() for each in frames[1:]]}

    made: dict[str, tuple[Image.Image, str, dict[str, Any]]] = {
        "PNG": (rgb, "PNG", {}),
        "PNG with alpha": (rgba, "PNG", {"exif": exif}),
        "PNG, palette": (rgb.quantize(16), "PNG", {"bits": 4, "transparency": 3}),
        "PNG, 1 bit": (rgb.convert("1"), "PNG", {}),
        "PNG, animated": (rgb, "PNG", several()),
        "JPEG": (rgb, "JPEG", {"exif": exif}),
        "JPEG, progressive": (rgb, "JPEG", {"progressive": True}),
        "JPEG, CMYK": (rgb.convert("CMYK"), "JPEG", {}),
        "JPEG, several": (rgb, "MPO", several()),
        "GIF": (rgb, "GIF", {}),
        "GIF, animated": (rgb, "GIF", several()),
        "BMP": (rgb, "BMP", {}),
        "BMP, palette": (rgb.quantize(16), "BMP", {}),
        "PPM": (rgb, "PPM", {}),
        "PBM": (rgb.convert("1"), "PPM", {}),
        "PGM": (rgb.convert("L"), "PPM", {}),
        "WebP": (rgb, "WEBP", {"exif": exif}),
        "WebP, lossless": (rgba, "WEBP", {"lossless": True}),
        "WebP, animated": (rgb, "WEBP", several()),
        "TIFF": (rgb, "TIFF", {"exif": exif}),
        "TIFF, compressed": (rgb, "TIFF", {"compression": "tiff_lzw"}),
        "TIFF, several": (rgb, "TIFF", several()),
        "EPS": (rgb, "EPS", {}),
        "PDF": (rgb, "PDF", {}),
        "ICO": (rgb, "ICO", {}),
        "TGA": (rgb, "TGA", {}),
    }
    files = {}
    for name, (image, kind, options) in made.items():
        written = io.BytesIO()
        image.copy().save(written, kind, **options)
        files[name] = written.getvalue()
    files["ASCII PPM"] = b"P3 2 2 255\n" + b" ".join(b"%d" % each for each in range(12))
    files["no bytes"] = b""
    files["a FIT of text"] = b"SIMPLE  =                    T" + b" " * 3000
    return files


def broken(files: dict[str, bytes], chance: random.Random) -> tuple[str, bytes]:
    """Return one of the files with something done to it; what was done follows from the state of `chance`."""
    name = chance.choice(list(files))
    data = bytearray(files[name])
    for _ in range(chance.choice((0, 1, 1, 1, 2, 3, 8))):
        _break(data, files, chance)
    return name, bytes(data)


def _break(data: bytearray, files: dict[str, bytes], chance: random.Random) -> None:
    front = min(len(data), chance.choice((16, 64, 256, len(data) or 1)))
    at = chance.randrange(front) if front else 0
    match chance.randrange(7):
        case 0:
            data[at : at + 1] = bytes([chance.randrange(256)])
        case 1:
            data[at : at + 1] = bytes([data[at] ^ 1 << chance.randrange(8)]) if data else b""
        case 2:
            del data[chance.randrange(len(data) + 1) :]
        case 3:
            data[at:at] = chance.randbytes(chance.choice((1, 4, 60)))
        case 4:
            del data[at : at + chance.choice((1, 4, 60))]
        case 5:
            fmt = chance.choice(("<H", ">H", "<I", ">I"))
            number = chance.choice(_SIZES) & (0xFFFF if fmt[1] == "H" else 0xFFFFFFFF)
            packed = struct.pack(fmt, number)
            data[at : at + len(packed)] = packed
        case _:
            other = files[chance.choice(list(files))]
            begin = chance.randrange(len(other) + 1)
            data[at:] = other[begin:]


# -- in the process of its own ---------------------------------------------------------------------------------------


@contextlib.contextmanager
def _standard_error() -> Iterator[list[bytes]]:
    """Give a list in which is, afterwards, what was written to descriptor 2, by libraries in C too."""
    said: list[bytes] = []
    former, caught = os.dup(2), os.memfd_create("said")
    sys.stderr.flush()
    os.dup2(caught, 2)
    try:
        yield said
    finally:
        sys.stderr.flush()
        os.dup2(former, 2)
        said.append(os.pread(caught, 1 << 16, 0))
        os.close(former)
        os.close(caught)


def _awaited(path: Path) -> tuple[str | None, bytes]:
    """Read a file as wait_image does; return what is wrong with its end, and what it printed."""
    from xshm import InvalidArgument, Rect  # noqa: PLC0415 - by the process that does it
    from xshm.capture.waiting.template import load_template  # noqa: PLC0415

    with _standard_error() as said:
        try:
            found = load_template(path, Rect(0, 0, *_SCREEN))
        except (InvalidArgument, OSError) as error:
            how = None if str(path) in str(error) and str(error).isprintable() else f"words: {error}"
        except Exception as error:  # noqa: BLE001 - which is what is looked for
            how = f"{type(error).__name__}: {error}"
        else:
            how = None if found.width <= _SCREEN[0] and found.height <= _SCREEN[1] else "it is larger than the screen"
    return how, said[0]


def _compared(path: Path) -> tuple[str | None, bytes]:
    """Compare a file with itself on the command line."""
    from xshm.cli import main  # noqa: PLC0415 - as above

    with _standard_error() as said:
        code = main.main(["diff", str(path), str(path)])
    if code == 0:
        return None, said[0]
    text = said[0].decode(errors="replace")
    if code == 2 and text.count("\n") == 1 and text.startswith("xshm: ") and str(path) in text:
        return None, b""
    return f"exit code {code}: {text[-300:]}", b""


def _main(reader: str, count: int) -> None:
    files, chance = originals(), random.Random(f"{_SEED} {reader}")
    results: list[tuple[str, str | None]] = []
    read = _awaited if reader == "wait_image" else _compared

    def expire(*_: object) -> None:
        raise RuntimeError("it takes too long")

    signal.signal(signal.SIGALRM, expire)
    with tempfile.TemporaryDirectory(prefix="xshm-broken-") as directory:
        whole = Path(directory, "whole.png")
        whole.write_bytes(files["PNG"])
        read(whole)  # with all that this imports
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for number in range(count):
            kind, data = broken(files, chance)
            path = Path(directory, f"broken-{number}{chance.choice(_SUFFIXES)}")
            path.write_bytes(data)
            signal.setitimer(signal.ITIMER_REAL, _SECONDS)
            how, said = read(path)
            signal.setitimer(signal.ITIMER_REAL, 0)
            path.unlink()
            if how is None and said:
                how = f"it wrote {said[:200]!r}"
            results.append((f"{reader}, {kind}", how and f"file {number} of seed {_SEED}: {how}"))
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10
        most = _MOST_MEMORY[reader]
        results.append((f"{reader}, memory", f"{grown} MiB of at most {most}" if grown > most else None))
    print(json.dumps(results))


if __name__ == "__main__":
    _main(sys.argv[1], int(sys.argv[2]))
