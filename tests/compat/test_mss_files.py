"""Files by mss's names: the same names, bytes, callbacks and errors as mss's own, and its command line."""

from __future__ import annotations

import subprocess
import sys
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mss as theirs
import mss.__main__ as their_command
import mss.tools
import numpy as np
import pytest

import xshm.compat.mss as ours
import xshm.compat.mss.__main__ as our_command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from painter import Painter
    from servers import Server


@pytest.fixture
def pair(xvfb: Server, painter: Painter) -> Iterator[tuple[Any, Any]]:
    painter.rectangles()
    with theirs.MSS(display=xvfb.name) as real, ours.MSS(display=xvfb.name) as mine:
        yield real, mine


def _saved(sct: Any, how: Callable[[Any], Any], place: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any]:
    """Return what a call gives in an empty directory, and the files that it leaves."""
    place.mkdir()
    monkeypatch.chdir(place)
    said = how(sct)
    return said, {path.name: path.read_bytes() for path in place.iterdir()}


@pytest.mark.parametrize(
    "how",
    [
        lambda sct: list(sct.save()),
        lambda sct: list(sct.save(mon=1, output="{mon}-{top}x{left}_{width}x{height}.png")),
        lambda sct: list(sct.save(mon=-1, output="all-{mon}.png")),
        lambda sct: list(sct.save(mon=0, output="{output}-{is_primary}.png")),
        lambda sct: list(sct.save(mon=1, output="{date:%Y}.png")),
        lambda sct: sct.shot(),
        lambda sct: sct.shot(mon=-1, output="fullscreen.png"),
        lambda sct: sct.shot(output="constant.png"),
    ],
)
def test_files_are_those_of_mss_by_name_and_byte(
    pair: tuple[Any, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: Callable[[Any], Any]
) -> None:
    real = _saved(pair[0], how, tmp_path / "real", monkeypatch)
    mine = _saved(pair[1], how, tmp_path / "mine", monkeypatch)
    assert mine == real
    assert len(mine[1]) == 1


def test_a_file_is_written_when_its_name_is_asked_for_and_the_callback_comes_first(
    make_server: Callable[..., Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = make_server("Xvfb", 64, 48)
    for name, place in (("a", "32/10x48/15+0+0"), ("b", "32/10x48/15+32+0")):
        subprocess.run(["xrandr", "--setmonitor", name, place, "none"], env=server.env(), check=True)
    for library in (theirs, ours):
        place_of = tmp_path / library.__name__
        place_of.mkdir()
        monkeypatch.chdir(place_of)
        told: list[tuple[str, bool]] = []
        with library.MSS(display=server.name) as sct:
            names = sct.save(callback=lambda name, told=told: told.append((name, Path(name).exists())))
            assert told == []
            assert next(names) == "monitor-1.png"
            assert [path.name for path in place_of.iterdir()] == ["monitor-1.png"]
            assert told == [("monitor-1.png", False)]
            assert list(names) == ["monitor-2.png", "monitor-3.png"]
        assert [name for name, _ in told] == ["monitor-1.png", "monitor-2.png", "monitor-3.png"]


def test_what_can_not_be_saved_is_the_error_of_mss(pair: tuple[Any, Any], tmp_path: Path) -> None:
    for library, sct in zip((theirs, ours), pair, strict=True):
        for number in (7, -5):
            with pytest.raises(library.ScreenShotError):
                sct.shot(mon=number)
        with pytest.raises(FileNotFoundError):
            sct.shot(output=str(tmp_path / "no" / "such.png"))
        with pytest.raises(KeyError):
            sct.shot(output="{nonsense}.png")
        with pytest.raises(TypeError):
            sct.shot(mon="1")
        sct.compression_level = 99
        with pytest.raises(zlib.error):
            sct.shot(output=str(tmp_path / "level.png"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("level", [0, 1, 6, 9, -1])
def test_a_png_has_mss_s_bytes(level: int, tmp_path: Path) -> None:
    data = bytes(range(256)) * 3
    expected = theirs.tools.to_png(data, (16, 16), level=level)
    array: Any = np.frombuffer(data, np.uint8).reshape(16, 16, 3)
    for each in (data, bytearray(data), memoryview(data), array):
        assert ours.tools.to_png(each, (16, 16), level=level) == expected
    for output in (tmp_path / "a.png", str(tmp_path / "b.png")):
        assert ours.tools.to_png(data, (16, 16), level=level, output=output) is None
        assert Path(output).read_bytes() == expected


@pytest.mark.parametrize("size", [(0, 0), (0, 3), (3, 0), (5, 2), (5, 9)])
def test_bytes_that_do_not_fit_the_size_make_the_file_that_mss_makes_of_them(size: tuple[int, int]) -> None:
    data = bytes(range(100))
    assert ours.tools.to_png(data, size) == theirs.tools.to_png(data, size)


def test_the_pixels_of_an_array_that_has_gaps_are_refused() -> None:
    array: Any = np.zeros((4, 8, 3), np.uint8)[:, ::2]
    with pytest.raises(TypeError, match="C-contiguous"):
        ours.tools.to_png(array, (4, 4))


# -- the command line --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["-m", "1"],
        ["-m", "1", "-o", "shot-{mon}.png", "-q"],
        ["-c", "2,12,67,33"],
        ["-c", "2, 12,67,33", "-l", "9", "-o", "part-{left}.png"],
        ["--coordinates", "2,12,67"],
        ["-l", "11"],
        ["-m", "one"],
        ["-m", "9", "-q"],
        ["--with-cursor", "-b", "xgetimage"],
    ],
)
def test_the_command_line_says_and_does_what_mss_s_does(
    xvfb: Server,
    painter: Painter,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
) -> None:
    painter.rectangles()
    monkeypatch.setenv("DISPLAY", xvfb.name)

    def run(command: Any, place: Path) -> tuple[Any, ...]:
        found = _saved(None, lambda _: command.main(*arguments) if arguments else _without(command), place, monkeypatch)
        printed = capsys.readouterr()
        return *found, printed.out.replace(str(place), ""), bool(printed.err)

    def _without(command: Any) -> Any:
        monkeypatch.setattr(sys, "argv", ["mss"])
        return command.main()

    assert run(our_command, tmp_path / "ours") == run(their_command, tmp_path / "theirs")


def test_a_file_is_written_without_numpy_whose_import_takes_longer(xvfb: Server, tmp_path: Path) -> None:
    program = "import sys; from xshm.compat.mss import mss; mss().shot(); sys.exit('numpy' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], env=xvfb.env(), cwd=tmp_path, check=True)
    with theirs.MSS(display=xvfb.name) as real:
        expected = real.grab(real.monitors[1])
    assert (tmp_path / "monitor-1.png").read_bytes() == theirs.tools.to_png(expected.rgb, expected.size)


def test_the_module_is_a_program(xvfb: Server, tmp_path: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "xshm.compat.mss", *arguments]
        return subprocess.run(command, env=xvfb.env(), cwd=tmp_path, capture_output=True, text=True, check=False)

    done = run("-m", "1")
    assert (done.returncode, done.stdout) == (0, f"{tmp_path.resolve()}/monitor-1.png\n")
    failed = run("-m", "5")
    assert failed.returncode == 1
    assert failed.stdout == "[ERROR] there is no monitor 5: they are numbered from 1 to 1, and -1 is all\n"
    assert run("-v").stdout == "10.2.0\n"
