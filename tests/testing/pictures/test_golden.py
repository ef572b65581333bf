"""Golden pictures: where they lie, what they may be called, and the surroundings beside them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from xshm.errors import InvalidArgument, InvalidType
from xshm.testing.pictures.golden import Golden
from xshm.testing.pictures.surroundings import Surroundings

if TYPE_CHECKING:
    from pathlib import Path

_HERE = Surroundings("4x3", 24, {"serif": "A 1", "rendering": "x"}, {"Tk": "8.6"})


def test_they_lie_beside_the_test_and_their_names_may_have_directories(tmp_path: Path) -> None:
    test = tmp_path / "test_login.py"
    assert Golden(test, "form.png").path == tmp_path / "test_login-snapshots" / "form.png"
    golden = Golden(test, "menus/Über (1).png")
    assert golden.path == tmp_path / "test_login-snapshots" / "menus" / "Über (1).png"
    assert golden.label == "menus-Über (1)"


@pytest.mark.parametrize(
    "name",
    [
        *("", "form", "form.jpg", "form.PNG", "/tmp/form.png", "../form.png", "a/../b.png", ".png", ".hidden.png"),  # noqa: S108
        *("a\0.png", "a\n.png", "a:b.png", "a\\b.png", "a\x1b[31m.png", "~/a.png", "x" * 97 + ".png", "a/.b/c.png"),
        "日" * 85 + ".png",
    ],
)
def test_a_name_that_is_not_safe_everywhere_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match=r"name|has the suffix|can't be"):
        Golden(tmp_path / "test_a.py", name)


def test_a_name_is_a_text(tmp_path: Path) -> None:
    with pytest.raises(InvalidType):
        Golden(tmp_path / "test_a.py", 3)


def test_what_is_written_is_read_with_its_surroundings(tmp_path: Path) -> None:
    golden = Golden(tmp_path / "test_a.py", "deep/er/form.png")
    assert golden.read() is None
    assert golden.surroundings() is None
    picture = np.random.default_rng(1).integers(0, 256, (3, 4, 3), np.uint8)
    golden.write(picture, _HERE)
    assert np.array_equal(np.array(Image.open(golden.path).convert("RGB")), picture)
    assert np.array_equal(golden.read(), picture)  # type: ignore[arg-type]
    assert golden.surroundings() == _HERE
    record = json.loads(golden.path.with_suffix(".json").read_text())
    assert record == {"size": "4x3", "depth": 24, "fonts": dict(_HERE.fonts), "toolkits": {"Tk": "8.6"}}


def test_a_picture_with_alpha_is_over_black_and_one_that_is_none_is_named(tmp_path: Path) -> None:
    golden = Golden(tmp_path / "test_a.py", "form.png")
    golden.path.parent.mkdir()
    Image.new("RGBA", (2, 1), (255, 100, 0, 128)).save(golden.path)
    found = golden.read()
    assert found is not None
    assert found.tolist() == [[[128, 50, 0]] * 2]
    golden.path.write_bytes(b"<svg>")
    with pytest.raises(InvalidArgument, match=r"form\.png"):
        golden.read()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"size": 1}', '{"size": "", "depth": "x", "fonts": {}}', "\xff"])
def test_surroundings_that_somebody_has_broken_are_none(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(text, "latin-1")
    assert Surroundings.read(tmp_path / "a.json") is None


def test_other_fonts_come_first_and_what_only_one_knows_is_no_difference() -> None:
    before = Surroundings("4x3", 16, {"serif": "A 2", "sans-serif": "B", "rendering": "x"}, {"Tk": "8.5", "GTK": "3"})
    assert _HERE.unlike(before) == [
        "other fonts: serif was A 2, and is A 1 here",
        "other toolkit: Tk was 8.5, and is 8.6 here",
        "other depth: 16 bits then, 24 here",
    ]
    assert _HERE.unlike(_HERE) == []


def test_fonts_are_fontconfigs_and_toolkits_those_of_the_process() -> None:
    code = "import _tkinter, sys; print('ready', flush=True); sys.stdin.read()"
    program = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with program:
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n"
        found = Surroundings.here((4, 3), 24, [program.pid, None, os.getpid(), 2**22 + 1])
        assert program.stdin is not None
        program.stdin.close()
    assert found.toolkits["Tk"] == f"{_tk_version()}"
    said = subprocess.run(["fc-match", "-f", "%{family[0]}", "serif"], capture_output=True, text=True, check=True)
    assert found.fonts["serif"].startswith(f"{said.stdout} ")
    listed = subprocess.run(["fc-list", ":", "family", "style", "fontversion"], capture_output=True, check=True)
    assert found.fonts["installed"].startswith(f"{len(set(listed.stdout.splitlines()))} fonts, ")


def test_a_machine_without_fontconfig_has_no_fonts_to_compare(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert Surroundings.here((4, 3), 24, []).fonts == {}


def _tk_version() -> str:
    code = "import tkinter; print(tkinter.TkVersion)"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
