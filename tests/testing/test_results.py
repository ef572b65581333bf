from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

from xshm.testing.results import Results

if TYPE_CHECKING:
    from pathlib import Path


def _written(results: Results, name: str) -> Path:
    path = results.place(f"test_it.py::{name}", name, 0, ".png")
    path.write_bytes(b"a picture")
    return path


def test_a_run_removes_what_the_one_before_has_left_and_nothing_else(tmp_path: Path) -> None:
    directory = tmp_path / "test-results"
    first = Results(directory, "")
    first.begin()
    assert not directory.exists(), "until there is something to keep"
    old, shared, stuck = _written(first, "test_a"), _written(first, "test_b"), _written(first, "test_c")
    mine = shared.with_name("mine.txt")
    mine.write_text("by hand")
    precious = tmp_path / "precious" / "file"
    precious.parent.mkdir()
    precious.write_text("another's")
    listed = directory / ".xshm-files"
    listed.write_text(f"test_it-test_c/test_c.png\n{listed.read_text()}../precious/file\n{precious}\n../precious\n")
    first.close()
    stuck.unlink()
    stuck.mkdir()
    second = Results(directory, "")
    second.begin()
    assert stuck.exists(), "what can't be removed stays"
    assert not old.parent.exists()
    assert not shared.exists()
    assert mine.exists()
    assert precious.exists(), "a list that somebody has edited leads nowhere else"
    again = _written(second, "test_a")
    second.begin()
    assert again.exists(), "what is there is its own"


def test_nothing_is_removed_while_another_run_is_at_work(tmp_path: Path) -> None:
    program = (
        "import pathlib, sys\nfrom xshm.testing.results import Results\n"
        "results = Results(pathlib.Path(sys.argv[1]), 'gw0')\n"
        "results.place('test_it.py::test_a', 'test_a', 1, '.png').write_bytes(b'theirs')\n"
        "print('written', flush=True)\nsys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"written\n"
        theirs = tmp_path / "test_it-test_a" / "test_a-gw0-rerun1.png"
        ours = Results(tmp_path, "")
        ours.begin()
        path = _written(ours, "test_a")
        assert theirs.read_bytes() == b"theirs"
        assert path.name == "test_a.png"
        other.communicate()
    ours.close()
    later = Results(tmp_path, "")
    later.begin()
    assert not theirs.exists()
    assert not path.exists(), "both runs are over, and their files were named by one list"


def test_two_names_that_are_alike_are_two_files(tmp_path: Path) -> None:
    results = Results(tmp_path, "")
    names = ["test_it.py::test[a/b]", "test_it.py::test[a-b]", "test_it.py::test[a:b]", "a-b.py::t", "a/b.py::t"]
    names += [f"test_it.py::test{each}" for each in ("", "[]", "[.]", "[-]", "[1]", "[-1]", "[1-]", "[1.]", "[a--b]")]
    names += [".a-b.py::t", ".a/b.py::t", "test_it.py::test[1.5]", "test_it.py::test[1..5]"]
    names += ["test_it.py::test[" + "x" * 300 + end for end in ("y]", "z]")]
    places = [results.place(name, name.rpartition("::")[2], 0, ".png") for name in names]
    assert len({place.parent for place in places}) == len(names)
    suffixes = [f"-{label}-{each}.png" for label in ("größe", "grösse", "a b", "a-b") for each in ("actual", "diff")]
    places += [results.place("test_it.py::t", "t", 1, suffix) for suffix in suffixes]
    assert len({place.name for place in places[-8:]}) == len(suffixes)
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+\.png", place.name) for place in places)
    assert all(len(place.parent.name) <= 90 and len(place.name) <= 70 for place in places)
