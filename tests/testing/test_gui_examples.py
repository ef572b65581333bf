"""`examples/gui_tests`, run as a person runs them: they pass; where their programs have a fault, each leaves a trace.

What the viewer shows in Chromium is compared with what the test's picture has, and with what is known of the programs.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from devtools import Browser, Page, needs_chromium
from PIL import Image

import xshm

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

pytestmark = needs_chromium

_EXAMPLES = Path(__file__).parents[2] / "examples" / "gui_tests"
_TESTS = {
    "test_browser": "test_numbers_are_multiplied",
    "test_qt": "test_the_name_is_in_the_greeting",
    "test_tk": "test_a_user_is_greeted_by_name",
}
_DIGEST = """(async () => {
  const {width, height} = xshm.canvas
  const {data} = xshm.canvas.getContext('2d').getImageData(0, 0, width, height)
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', data))
  return Array.from(digest, byte => byte.toString(16).padStart(2, '0')).join('')
})()"""


def start(output: Path, **environment: str) -> subprocess.Popen[str]:
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-c",
        os.devnull,
        "--rootdir",
        _EXAMPLES,
    ]
    command += ["--xshm-output", output, *(_EXAMPLES / f"{name}.py" for name in _TESTS)]
    kept = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "XAUTHORITY")}
    kept |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": "xshm.testing.plugin", **environment}
    return subprocess.Popen(command, env=kept, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[tuple[int, str, Path], tuple[int, str, Path]]:
    """Return of both runs, without and with the faults: exit code, output, and directory of what was kept."""
    # Takes 6 to 8 seconds: two browsers, and programs that have to come to rest; both runs at once.
    kept = [tmp_path_factory.mktemp("gui") / name for name in ("right", "wrong")]
    started = [start(kept[0]), start(kept[1], GUI_TESTS_BUG="1")]
    output = [process.communicate(timeout=100)[0] for process in started]
    right, wrong = ((run.returncode, text, path) for run, text, path in zip(started, output, kept, strict=True))
    return right, wrong


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with Browser(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser.page()


def digest(rgb: NDArray[np.uint8]) -> str:
    return hashlib.sha256(np.dstack([rgb, np.full(rgb.shape[:2], 255, np.uint8)]).tobytes()).hexdigest()


def test_they_pass_and_leave_nothing(runs: Any) -> None:
    code, output, kept = runs[0]
    assert code == 0, output
    assert "3 passed" in output
    assert not kept.exists()


def test_each_fails_where_its_program_has_a_fault_and_names_what_it_has_kept(runs: Any) -> None:
    code, output, kept = runs[1]
    assert code == 1, output
    assert "3 failed" in output
    for file, test in _TESTS.items():
        names = sorted(path.name for path in (kept / f"{file}-{test}").iterdir())
        assert names == [f"{test}.html", f"{test}.png"]
        assert str(kept / f"{file}-{test}" / f"{test}.html") in output


@pytest.mark.parametrize("file", _TESTS)
def test_the_viewer_opens_at_the_failure_and_shows_what_was_there(file: str, runs: Any, page: Page) -> None:
    path = runs[1][2] / f"{file}-{_TESTS[file]}" / f"{_TESTS[file]}.html"
    page.open(path)
    page.run("xshm.ready")
    photographed = np.asarray(Image.open(path.with_suffix(".png")).convert("RGB"))
    assert page.run(_DIGEST) == digest(photographed)
    with xshm.Trace.open(path) as trace:
        failure = next(each for each in trace.marks if each.kind == "failure")
        assert failure.file == str(_EXAMPLES / f"{file}.py")
        # Scrubbed to an instant by script, it is what Python reads at that instant.
        for seconds in (0.0, failure.seconds / 3, failure.seconds / 2, failure.seconds):
            page.run(f"xshm.seek({seconds})")
            assert page.run(_DIGEST) == digest(trace.at(seconds).rgb())
    assert page.problems == []
    assert page.requests == []


def test_the_marks_of_a_test_tell_what_was_there_and_what_was_typed_stays_secret(runs: Any) -> None:
    path = runs[1][2] / f"test_tk-{_TESTS['test_tk']}" / f"{_TESTS['test_tk']}.html"
    with xshm.Trace.open(path) as trace:
        marks = {each.title: each.seconds for each in trace.marks}
        assert list(marks)[:2] == ["the form is filled in", "it is sent"]
        empty, filled = (trace.at(marks[title]).rgb() for title in ("the form is filled in", "it is sent"))
        assert (empty != filled).any()
        assert any(each.title == "Log in" for each in trace.windows(marks["it is sent"]))
        assert [each.details.get("length") for each in trace.inputs if each.action == "type"] == [17]
    assert b"correct horse" not in path.read_bytes()
