"""`assert_screenshot` and the profile, in runs of pytest of their own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

import xshm

if TYPE_CHECKING:
    from collections.abc import Callable

pytest_plugins = ["pytester"]

_TEST = """
import numpy
import pytest
import xshm

@pytest.fixture
def form(xshm_screen):
    with xshm.Surface(80, 60, display=xshm_screen.display, position=(100, 100), title="form") as surface:
        surface.show(numpy.full((60, 80, 3), (0, 0, 255), numpy.uint8))
        with xshm_screen.wait_window("form") as form:
            yield form

def test_new(assert_screenshot, form):
    assert_screenshot("menus/new.png", window=form, timeout=0.2)

def test_old(assert_screenshot, form):
    assert_screenshot("old.png", window=form, timeout=0.2)
"""


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Callable[..., pytest.RunResult]:
    for name in ("DISPLAY", "XAUTHORITY", "PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTHONPATH", str(Path(xshm.__file__).parent.parent))

    def run(*options: str) -> pytest.RunResult:
        plugins = ["-p", "xshm.testing.plugin", "-p", "xdist", "-p", "no:cacheprovider"]
        return pytester.runpytest_subprocess(*plugins, *options)

    return run


def test_what_is_missing_or_differs_fails_and_an_update_writes_it(
    pytester: pytest.Pytester, run: Callable[..., pytest.RunResult]
) -> None:
    pytester.makepyfile(test_it=_TEST)
    goldens = pytester.path / "test_it-snapshots"
    goldens.mkdir()
    Image.new("RGB", (80, 60), "red").save(goldens / "old.png")
    found = run()
    found.assert_outcomes(failed=2)
    found.stdout.fnmatch_lines(
        [
            "E *menus/new.png: there is no picture to compare with",
            "E *old.png: 4800 pixels differ in 80x60+0+0, after 0.2 s, with threshold 0.2",
        ]
    )
    found.stdout.no_fnmatch_line("*assertion.py*")  # the traceback ends in the test
    left = {path.name.partition("-")[2] for path in pytester.path.glob("test-results/*/test_*-*.*")}
    written = {f"old-{each}" for each in ("actual.png", "expected.png", "diff.png", "diff.html")}
    assert left >= {"menus-new-candidate.png"} | written
    assert not (goldens / "menus").exists()
    found = run("--xshm-update", "-n1")
    found.assert_outcomes(passed=2)
    found.stdout.fnmatch_lines(
        [
            f"*assert_screenshot added {goldens / 'menus' / 'new.png'} (80x60)",
            f"*assert_screenshot changed {goldens / 'old.png'} (80x60)",
        ]
    )
    with Image.open(goldens / "old.png") as image:
        assert image.convert("RGB").getcolors() == [(4800, (0, 0, 255))]
    assert json.loads((goldens / "menus" / "new.json").read_text())["size"] == "80x60"


def test_programs_of_a_test_have_the_profile_and_so_has_its_display(
    pytester: pytest.Pytester, run: Callable[..., pytest.RunResult]
) -> None:
    pytester.makepyfile("""
        import os, subprocess
        import pytest

        def resources():
            return subprocess.run(["xrdb", "-query"], capture_output=True, text=True, check=True).stdout

        def test_session(xshm_display):
            assert os.path.exists(os.environ["FONTCONFIG_FILE"])
            assert "insertOffTime" in resources()

        @pytest.mark.xshm(fresh=True)
        def test_fresh():
            assert os.environ["LC_ALL"] == "C.UTF-8"
            assert "insertOffTime" in resources()
            with open("directory", "w") as file:
                file.write(os.environ["XDG_CONFIG_HOME"])
    """)
    run("--xshm-profile=stable").assert_outcomes(passed=2)
    config = pytester.path / "directory"
    assert not pytester.path.joinpath(config.read_text()).exists()
