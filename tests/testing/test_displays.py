from __future__ import annotations

from importlib.metadata import entry_points
from typing import TYPE_CHECKING

import pytest

from xshm.testing import options, settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from gui_suites import Suite
    from servers import Server

_SEES = """
import os

def test_sees(xshm_display, xshm_screen, screen):
    width, height, depth = xshm_screen.width, xshm_screen.height, xshm_screen.format.depth
    assert screen is xshm_screen is xshm_display.screen
    assert os.environ["DISPLAY"] == xshm_display.name
    assert xshm_display.run("xdpyinfo", stdout=-3).wait() == 0
    with open("seen", "a") as file:
        print(xshm_display.name, f"{width}x{height}x{depth}", xshm_display.spec is not None, file=file)
    assert os.path.exists("passes")
"""


def _seen(suite: Suite) -> list[str]:
    lines = (suite.path / "seen").read_text().splitlines()
    (suite.path / "seen").unlink()
    return lines


# -- which display -----------------------------------------------------------------------------------------------------


def test_auto_takes_the_display_that_is_there_if_it_is_as_asked_for_and_works(
    suite: Suite, monkeypatch: pytest.MonkeyPatch, make_server: Callable[..., Server]
) -> None:
    server = make_server("Xvfb", 640, 480, auth=True)
    suite.write("test_it.py", _SEES)
    for name in ("DISPLAY", "XAUTHORITY"):
        monkeypatch.setenv(name, server.env()[name])
    suite.run()
    assert _seen(suite) == [f"{server.name} 640x480x24 False"]
    assert suite.files() == {}, "nothing is kept of a display that somebody else has, but by an option"
    suite.run("--xshm-size=320x200", "--xshm-depth=16")
    (line,) = _seen(suite)
    assert line.endswith(" 320x200x16 True")
    assert server.name not in line
    monkeypatch.setenv("DISPLAY", ":99999")
    suite.run(f"--xshm-display={server.name}", "--xshm-screenshot=on", "--xshm-trace=off")
    assert _seen(suite) == [f"{server.name} 640x480x24 False"]
    assert set(suite.files()) == {"test_it-test_sees/test_sees.png"}
    found = suite.run(f"--xshm-display={server.name}", "--xshm-depth=16")
    found.stderr.fnmatch_lines([f"ERROR: *{server.name} is 640x480x24, which is not what*--xshm-display=new*"])
    found = suite.run("-n2", f"--xshm-display={server.name}", plugins=["xdist.plugin"])
    found.stderr.fnmatch_lines([f"*--xshm-display={server.name} is one display, which the workers*"])
    suite.run()
    assert _seen(suite)[0].endswith("1280x800x24 True"), "the one that is named does not work"


def test_an_option_puts_each_test_on_the_display_before_modules_are_imported(
    suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite.write(
        "pytest.ini", "[pytest]\nxshm_display = new\nxshm_size = 300x200\nxshm_depth = 16\nxshm_output = kept\n"
    )
    suite.write(
        "test_it.py",
        "import os, time\nfrom xshm import Screen\nNAME = os.environ['DISPLAY']\n"
        "def test_is_on_it():\n"
        "    with Screen() as screen:\n"
        "        assert (screen.display, screen.width, screen.format.depth) == (NAME, 300, 16)\n"
        "    assert (os.environ['LC_ALL'], os.environ['TZ']) == ('C.UTF-8', 'UTC')\n"
        "    assert False, 'of no fixture'\n",
    )
    suite.run("--xshm-profile=stable").assert_outcomes(failed=1)
    kept = suite.files("kept")
    assert set(kept) == {"test_it-test_is_on_it/test_is_on_it.png", "test_it-test_is_on_it/test_is_on_it.html"}
    monkeypatch.setenv("PATH", "/nowhere")
    found = suite.run()
    assert found.ret == pytest.ExitCode.USAGE_ERROR
    found.stderr.fnmatch_lines(["ERROR: there is no display: *Xvfb*"])


def test_a_marker_gives_a_test_a_display_of_its_own(suite: Suite) -> None:
    suite.write(
        "test_it.py",
        """
import os, unittest
import pytest
from xshm import VirtualDisplay

@pytest.fixture(scope="session")
def shared(xshm_display): return xshm_display

def test_first(window, shared): pass

@pytest.mark.xshm(fresh=True)
@pytest.mark.parametrize("n", [1, 2])
def test_fresh(window, xshm_display, xshm_screen, xshm_trace, request, n):
    assert os.environ["DISPLAY"] == xshm_display.name == xshm_screen.connection.display_name
    assert request.getfixturevalue("xshm_display") is xshm_display
    assert [each.title for each in xshm_screen.windows()] == ["A red window"]

@pytest.mark.xshm(size=(400, 300))
class TestSmall:
    @pytest.mark.xshm(depth=16)
    def test_deep(self, xshm_screen, request):
        assert (xshm_screen.width, xshm_screen.height, xshm_screen.format.depth) == (400, 300, 16)

    @pytest.mark.xshm(size="200x100")
    def test_smaller(self):
        with VirtualDisplay.attach(os.environ["DISPLAY"]) as display:
            assert display.width == 200

def test_shared_again(window, shared, xshm_display):
    assert shared is xshm_display
    assert os.environ["DISPLAY"] == shared.name
    assert shared.width == 1280

def test_by_name_alone(request):
    screen = request.getfixturevalue("xshm_screen")
    assert screen.width == 1280
    assert not screen.windows()
    assert False, "and watched from there"

@pytest.mark.xshm
class TestOld(unittest.TestCase):
    def test_is_on_it(self):
        assert os.environ["DISPLAY"]

@pytest.mark.xshm(size=(0, 1))
def test_no_size(): pass

@pytest.mark.xshm(colour=True)
def test_no_word(): pass

@pytest.mark.xshm(fresh="no")
def test_no_bool(): pass

@pytest.mark.xshm(fresh=False, size=(300, 200))
def test_contradicts(): pass

@pytest.mark.xshm(size=(300, 200))
class TestOfBoth:
    @pytest.mark.xshm(fresh=False)
    def test_shared(self, shared, xshm_display): assert shared is xshm_display
    @pytest.mark.xshm(size=None, depth=None)
    def test_default(self, shared, xshm_display): assert shared is xshm_display

@pytest.mark.xshm(fresh=True)
def test_of_two(xshm_display, shared): pass
""",
    )
    found = suite.run("--strict-markers", "--xshm-trace=off")
    found.assert_outcomes(passed=9, failed=1, errors=5)
    found.stdout.fnmatch_lines_random(
        [
            "*size= of @pytest.mark.xshm is width x height in pixels, as 1280x800, not (0, 1)*",
            "*@pytest.mark.xshm takes fresh=, size= and depth=, not colour*",
            "*fresh= of @pytest.mark.xshm is True or False, not 'no'*",
            "*@pytest.mark.xshm has fresh=False beside size= or depth=*",
            "*ScopeMismatch*",
        ]
    )
    assert set(suite.files()) == {"test_it-test_by_name_alone/test_by_name_alone.png"} | {
        f"test_it-test_{each}/test_{each}.png" for each in ("of_two",)
    }


def test_a_display_that_was_killed_or_closed_is_followed_by_another(suite: Suite) -> None:
    suite.write(
        "test_it.py",
        """
import os, signal
import pytest
from xshm import Screen

@pytest.fixture(scope="session")
def program(xshm_display):
    program = xshm_display.launch(["xmessage", "hello"])
    yield program
    program.kill()

def test_kills(program, xshm_display):
    os.kill(xshm_display.pid, signal.SIGKILL)
    xshm_display.wait()
    assert False

def test_next(program, xshm_display, screen):
    assert os.environ["DISPLAY"] == xshm_display.name
    assert [each.title for each in screen.windows()] == ["xmessage"]
    assert program.poll() is None

def test_closes(xshm_display):
    xshm_display.close()

@pytest.mark.xshm
def test_by_marker_alone():
    with Screen() as screen:
        assert screen.grab()

def test_last(screen):
    assert screen.grab()
    assert False
""",
    )
    suite.write("conftest.py", "")
    found = suite.run()
    found.assert_outcomes(passed=3, failed=2)
    assert "test_it-test_last/test_last.png" in suite.files()


# -- beside others -----------------------------------------------------------------------------------------------------


def test_a_run_that_does_not_use_it_is_as_without_it(suite: Suite) -> None:
    suite.write(
        "test_it.py",
        "import os, sys\n"
        "def test_it():\n"
        "    assert 'DISPLAY' not in os.environ\n"
        "    loaded = {name for name in sys.modules if name.startswith('xshm.')}\n"
        "    assert loaded == {'xshm.testing', 'xshm.testing.plugin', 'xshm.testing.options'}\n"
        "    assert not {'numpy', 'PIL', 'Xlib', 'av'} & {*sys.modules}\n"
        "    assert os.getenv('FAIL') is None\n",
    )
    suite.write("conftest.py", "")
    suite.run("--junitxml=report.xml").assert_outcomes(passed=1)
    assert not (suite.path / "test-results").exists()


def test_another_s_screen_wins(suite: Suite) -> None:
    theirs = "import pytest\n@pytest.fixture\ndef screen(): return {!r}\n"
    suite.write("other_plugin.py", theirs.format("a plugin's"))
    suite.write("below/conftest.py", theirs.format("a conftest's"))
    test = "def test_it(screen, xshm_screen): assert (screen, xshm_screen.width) == ({!r}, 1280)\n"
    suite.write("test_it.py", test.format("a plugin's"))
    suite.write("below/test_that.py", test.format("a conftest's"))
    suite.run(plugins=["other_plugin"]).assert_outcomes(passed=2)


def test_coroutines_and_another_display_of_pytest_xvfb_are_fine(suite: Suite) -> None:
    suite.write(
        "test_it.py",
        """
import asyncio, os
import pytest, pytest_asyncio

@pytest_asyncio.fixture
async def opened(screen):
    await asyncio.sleep(0)
    yield screen

@pytest.mark.asyncio
async def test_waits(opened, xvfb, xshm_display):
    await asyncio.sleep(0)
    assert (opened.width, opened.height) == (800, 600), "pytest-xvfb's"
    assert xshm_display.spec is None
    assert os.environ["DISPLAY"] == xshm_display.name
    assert False
""",
    )
    found = suite.run(
        *("-o", "asyncio_default_fixture_loop_scope=function", "--xshm-screenshot=only-on-failure"),
        plugins=["pytest_asyncio.plugin", "pytest_xvfb"],
    )
    found.assert_outcomes(failed=1)
    assert set(suite.files()) == {"test_it-test_waits/test_waits.png"}
    suite.write(
        "test_it.py", "def test_it(xshm_display): assert (xshm_display.width, xshm_display.spec) == (800, None)\n"
    )
    suite.run("-n2", plugins=["xdist.plugin", "pytest_xvfb"]).assert_outcomes(passed=1)


def test_qt_s_own_fixtures_are_fine_beside(suite: Suite) -> None:
    pytest.importorskip("PySide6.QtWidgets", exc_type=ImportError)
    suite.write(
        "test_it.py",
        """
from PySide6.QtWidgets import QLabel

def test_label(xshm_screen, qtbot):
    label = QLabel("hello")
    label.setWindowTitle("A label")
    qtbot.addWidget(label)
    label.show()
    qtbot.waitExposed(label)
    assert [each.title for each in xshm_screen.windows()] == ["A label"]
    assert False
""",
    )
    found = suite.run("--xshm-trace=off", plugins=["pytestqt.plugin"])
    found.assert_outcomes(failed=1)
    found.stdout.fnmatch_lines(["*'A label'*"])


# -- options -----------------------------------------------------------------------------------------------------------


def test_what_can_t_be_is_refused_before_anything_runs(pytester: pytest.Pytester) -> None:
    config = pytester.parseconfig()
    for option, value, message in (
        ("display", "mine", "auto, new or the name of a display, as :5, not 'mine'"),
        ("size", "1280", "width x height in pixels, as 1280x800, not '1280'"),
        ("size", "\uff11x\uff11", "width x height in pixels, as 1280x800, not '\uff11x\uff11'"),
        ("size", "0x5", "width x height in pixels, as 1280x800, not '0x5'"),
        ("depth", "true", "8, 15, 16, 24 or 30, not 'true'"),
        ("screenshot", "always", "one of off, on, only-on-failure, not 'always'"),
        ("trace", "only-on-failure", "one of off, on, retain-on-failure, not 'only-on-failure'"),
        ("video", "yes", "one of off, on, retain-on-failure, not 'yes'"),
        ("profile", "unstable", "one of stable, not 'unstable'"),
    ):
        setattr(config.option, f"xshm_{option}", value)
        with pytest.raises(pytest.UsageError) as refused:
            settings.read(config)
        assert str(refused.value) == f"--xshm-{option} is {message}"
        setattr(config.option, f"xshm_{option}", None)
    assert options.given(config) == {}


def test_the_plugin_is_found_by_its_entry_point() -> None:
    (found,) = entry_points(group="pytest11", name="xshm")
    assert found.value == "xshm.testing.plugin"
