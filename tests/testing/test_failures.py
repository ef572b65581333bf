from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from gui_suites import shows_window
from PIL import Image
from processes import lives

from xshm import Trace

if TYPE_CHECKING:
    from pathlib import Path

    from gui_suites import Suite
    from servers import Server

_FAILING = """
import logging
import os
import pytest
import signal
import unittest

@pytest.fixture
def broken(window):
    raise ValueError("no such form")

@pytest.fixture
def broken_end(window):
    yield
    raise ValueError("would not close")

def test_passes(window): pass

@pytest.mark.xfail(reason="known")
def test_is_known_to_fail(window): assert False

def test_call(window):
    print("typed the name")
    logging.getLogger("app").warning("not found")
    assert "Welcome" == "Error"

def test_setup(broken): pass

def test_teardown(broken_end): pass

def test_program(xshm_display):
    with xshm_display.launch(["xmessage", "-geometry", "300x100+50+40", "hello"]):
        assert False, "the program is ended as this leaves"

@pytest.mark.usefixtures("window")
class TestOld(unittest.TestCase):
    def test_method(self):
        self.assertEqual(1, 2)

@pytest.mark.parametrize("text", ["a"] * 3, ids=["über/../etc\\n\\u202e" * 30, "a/b", "a-b"])
def test_names(text, xshm_screen): assert not text

@pytest.mark.xshm(fresh=True)
def test_server_dies(xshm_display):
    os.kill(xshm_display.pid, signal.SIGKILL)
    xshm_display.wait()
    assert False

def test_closes_it(xshm_screen):
    xshm_screen.close()

def test_without_a_display(): assert False
"""


def test_a_failing_test_leaves_its_screen_as_it_was_before_anything_was_closed(suite: Suite) -> None:
    suite.write("gui/test_forms.py", _FAILING)
    found = suite.run(
        *("--junitxml=report.xml", "--html=report.html", "--self-contained-html", "--alluredir=allure"),
        plugins=["pytest_metadata.plugin", "pytest_html.plugin", "allure_pytest.plugin"],
    )
    found.assert_outcomes(passed=3, failed=8, errors=2, xfailed=1)
    files = suite.files()
    names = [name for name in files if "names" not in name]
    assert names == [
        f"gui-test_forms-{each}/{each.rpartition('-')[2]}.{suffix}"
        for each in (
            "TestOld-test_method",
            "test_call",
            "test_program",
            "test_server_dies",
            "test_setup",
            "test_teardown",
        )
        for suffix in ("html", "png")
        if not (each == "test_server_dies" and suffix == "png")
    ]
    for name in ("TestOld-test_method/test_method", *(f"{each}/{each}" for each in ("test_call", "test_setup"))):
        assert shows_window(files[f"gui-test_forms-{name}.png"]), name
    assert shows_window(files["gui-test_forms-test_teardown/test_teardown.png"])
    _check_names([name for name in files if "names" in name])
    _check_terminal(found.stdout.str(), names)
    _check_trace(files)
    _check_junit(suite.path / "report.xml", files)
    _check_html((suite.path / "report.html").read_text())
    _check_allure(suite.path / "allure")


_BLINKING = (
    """
import pytest

PROGRAM = """
    + repr("""
import tkinter
root = tkinter.Tk()
root.title("Caret")
root.configure(bg="white")

def blink():
    root.configure(bg="black" if root["bg"] == "white" else "white")
    root.after(150, blink)

blink()
root.mainloop()
""")
    + """

@pytest.fixture
def blinking(xshm_display):
    with xshm_display.run(["python3", "-c", PROGRAM]):
        yield

@pytest.mark.parametrize("number", range(8))
def test_blinks(blinking, screen, number):
    with screen.wait_window("Caret"):
        screen.wait_window("Never there", timeout=0.1 + number / 150)
"""
)


_LATE = """
import random
import threading
import time

from xshm.capture.source import Source

frame = Source._frame


def late(*arguments):
    if threading.current_thread() is threading.main_thread():
        time.sleep(random.random() / 10)
    return frame(*arguments)


Source._frame = late
"""


@pytest.mark.parametrize("conftest", ["", _LATE], ids=["at once", "seen late"])
def test_picture_and_trace_of_a_failure_are_of_one_moment_though_something_blinks(suite: Suite, conftest: str) -> None:
    # Takes three seconds: eight programs, each seen at another moment of its blinking; a busy machine gives the process
    # its picture later than it was made.
    suite.write("conftest.py", conftest)
    suite.write("test_caret.py", _BLINKING)
    suite.run().assert_outcomes(failed=8)
    files = suite.files()
    assert len(files) == 16
    for name, path in files.items():
        if name.endswith(".png"):
            with Trace.open(path.with_suffix(".html")) as trace:
                failure = next(each for each in trace.marks if each.kind == "failure")
                assert failure.seen is not None
                seen = trace.at(failure.seen).rgb()
            assert (seen == np.asarray(Image.open(path).convert("RGB"))).all(), name


def _check_names(names: list[str]) -> None:
    assert len(names) == 6  # three tests, a picture and a trace each
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]{1,90}/[A-Za-z0-9_.-]{1,70}\.(png|html)", name) for name in names), names
    assert len({name.partition("/")[0] for name in names}) == 3, "a/b and a-b are two tests"


def _check_terminal(text: str, names: list[str]) -> None:
    assert all(f"test-results/{name}" in text for name in names)
    assert re.search(r"0x[0-9a-f]+ 'A red window' \(Tk\) 300x200\+50\+40", text)
    assert re.search(r"0x[0-9a-f]+ 'xmessage' \(Xmessage\)", text), "before it was ended"
    assert text.count("no picture: DisplayGone: ") == text.count("no picture") == 1, "and that is all that comes of it"
    assert "no trace" not in text


def _check_trace(files: dict[str, Path]) -> None:
    with Trace.open(files["gui-test_forms-test_call/test_call.html"]) as trace:
        assert trace.title == "gui/test_forms.py::test_call"
        failure = trace.marks[-1]
        assert (failure.kind, failure.title) == ("failure", "AssertionError: assert 'Welcome' == 'Error'")
        assert failure.file is not None
        assert failure.file.endswith("test_forms.py")
        assert failure.line == _FAILING.splitlines().index('    assert "Welcome" == "Error"') + 1
        assert ">       assert" in failure.text
        assert trace.at(failure.seconds).pixel(200, 140) == (255, 0, 0)
        assert [window.title for window in trace.windows(failure.seconds)] == ["A red window"]
        assert trace.at(trace.duration).pixel(200, 140) != (255, 0, 0), "it goes on until the fixtures are done"
        lines = {line.text: line for line in trace.log}
        assert lines["typed the name"].source == "stdout"
        found = next(line for text, line in lines.items() if "not found" in text)
        assert found.level == "WARNING"
        assert found.seconds < failure.seconds
    with Trace.open(files["gui-test_forms-test_teardown/test_teardown.html"]) as trace:
        assert [mark.title for mark in trace.marks] == ["ValueError: would not close"]


def _check_junit(path: Path, files: dict[str, Path]) -> None:
    for case in ET.parse(path).iter("testcase"):  # noqa: S314 - our own
        outputs = [each.text or "" for each in case.findall("system-out")]
        if case.get("name") in ("test_passes", "test_is_known_to_fail", "test_closes_it", "test_without_a_display"):
            assert not outputs
        else:
            (output,) = outputs
            listed = re.findall(r"^\[\[ATTACHMENT\|(.*)\]\]$", output, re.MULTILINE)
            kinds = ["html"] if case.get("name") == "test_server_dies" else ["png", "html"]
            assert [each.rpartition(".")[2] for each in listed] == kinds, "GitLab shows the first one"
            assert {*listed} <= {*map(str, files.values())}


def _check_html(text: str) -> None:
    found = re.search(r'data-jsonblob="([^"]*)"', text)
    assert found is not None
    blob = found[1].replace("&#34;", '"').replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">")
    tests: dict[str, list[dict[str, Any]]] = json.loads(blob)["tests"]
    extras = [each for results in tests.values() for result in results for each in result["extras"]]
    assert any(str(each["content"]).startswith("data:image/png;base64,") for each in extras)
    assert any('download="test_call.html" href="data:text/html;base64,' in str(each["content"]) for each in extras)


def _check_allure(directory: Path) -> None:
    for path in directory.glob("*-result.json"):
        result = json.loads(path.read_text())
        attached = {each["name"]: each for each in result.get("attachments", ())}
        if result["name"] == "test_call":
            assert attached["picture"]["type"] == "image/png"
            assert shows_window(directory / attached["picture"]["source"])
            assert attached["trace"]["type"] == "text/html"
            Trace.open(directory / attached["trace"]["source"]).close()
            return
    pytest.fail("Allure has no result of it")


def test_a_failure_with_a_surrogate_in_its_text_is_a_mark_and_short_reports_have_the_paths(suite: Suite) -> None:
    suite.write("test_it.py", "def test_odd(screen): assert 0, 'no file \\ud800'\n")
    found = suite.run("--xshm-screenshot=off", "--tb=line")
    found.assert_outcomes(failed=1)
    found.stdout.fnmatch_lines(["test_it.py::test_odd: test-results/test_it-test_odd/test_odd.html"])
    (path,) = suite.files().values()
    with Trace.open(path) as trace:
        assert trace.marks[-1].kind == "failure"
        assert r"no file \ud800" in trace.marks[-1].title


def test_a_directory_that_can_t_be_written_fails_no_test_and_is_told_of_those_that_fail(suite: Suite) -> None:
    suite.write(
        "test_it.py",
        "def test_passes(screen): pass\ndef test_fails(screen): assert False\n"
        "def test_shot(assert_screenshot): assert_screenshot('a.png', timeout=0)\n",
    )
    (suite.path / "test-results" / ".xshm-files").mkdir(parents=True)
    found = suite.run()
    found.assert_outcomes(passed=1, failed=2)
    found.stdout.fnmatch_lines(["E *a.png: there is no picture to compare with", "E *not written: *Is a directory*"])
    found.stdout.fnmatch_lines(["no picture: IsADirectoryError: *", "no trace: IsADirectoryError: *"])


_WATCHED = """
import tkinter, time

def test_moves(window):
    for x in range(50, 90, 10):
        window.geometry(f"+{x}+40")
        window.update()
        time.sleep(0.02)

def test_fails(window): assert False
"""


def test_what_is_kept_is_as_the_options_say_and_the_last_run_s(suite: Suite) -> None:
    suite.write("test_it.py", _WATCHED)
    both = {"test_it-test_fails/test_fails", "test_it-test_moves/test_moves"}
    suite.run("--xshm-screenshot=on", "--xshm-trace=on", "--xshm-video=on")
    found = suite.files()
    assert set(found) == {name + suffix for name in both for suffix in (".png", ".html", ".mp4")}
    assert shows_window(found["test_it-test_fails/test_fails.png"])
    length = subprocess.run(
        ["ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0",
         found["test_it-test_moves/test_moves.mp4"]],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert float(length.stdout) > 0.05

    suite.write("test-results/mine.txt", "not the plugin's")
    suite.write("pytest.ini", "[pytest]\nxshm_video = retain-on-failure\nxshm_trace = off\nxshm_screenshot = off\n")
    suite.run()
    assert set(suite.files()) == {"mine.txt", "test_it-test_fails/test_fails.mp4"}, "and earlier ones are removed"

    suite.run("--xshm-video=off", "--xshm-screenshot=only-on-failure", "--xshm-output=out/of it")
    assert set(suite.files("out/of it")) == {"test_it-test_fails/test_fails.png"}, "an option wins over an ini name"
    assert "test_it-test_fails/test_fails.mp4" in suite.files(), "another directory is no business of this run"


_REPEATED = """
import os, pathlib, pytest

@pytest.mark.parametrize("n", range(8))
def test_fails_once(n, xshm_display, request):
    assert os.environ["DISPLAY"] == xshm_display.name
    pathlib.Path(f"display-{os.environ['PYTEST_XDIST_WORKER']}").write_text(xshm_display.name)
    print("printed")
    assert request.node.execution_count > 1
    assert n != 7
"""


def test_workers_have_displays_of_their_own_and_files_the_names_of_workers_and_reruns(
    suite: Suite, monkeypatch: pytest.MonkeyPatch, xvfb: Server
) -> None:
    monkeypatch.setenv("DISPLAY", xvfb.name)
    monkeypatch.setenv("CI_PROJECT_DIR", str(suite.path.parent))
    suite.write("test_it.py", _REPEATED)
    found = suite.run(
        *("-n4", "--reruns=1", "--junitxml=report.xml", "-o", "junit_logging=all", "--xshm-trace=off"),
        plugins=["xdist.plugin", "pytest_rerunfailures"],
    )
    assert found.parseoutcomes() == {"passed": 7, "failed": 1, "rerun": 8}
    displays = [path.read_text() for path in suite.path.glob("display-gw*")]
    assert len(displays) == 4
    assert len({*displays, xvfb.name}) == 5, "none is the one that they would share"
    names = list(suite.files())
    assert len(names) == 9
    assert all(
        re.fullmatch(r"test_it-test_fails_once-(\d)/test_fails_once-\1-gw[0-3](-rerun1)?\.png", name) for name in names
    )
    (last,) = (name for name in names if "rerun" in name)
    section = found.stdout.str().partition("xshm: kept of tests that failed")[2]
    assert all(f"test-results/{name}" in section for name in names if name != last), (
        "reruns have no report of their own"
    )
    report = ET.parse(suite.path / "report.xml")  # noqa: S314 - our own
    (case,) = [each for each in report.iter("testcase") if each.find("failure") is not None]
    (output,) = case.findall("system-out")
    assert output.text is not None
    assert f"[[ATTACHMENT|{suite.path.name}/test-results/{last}]]" in output.text, "from the project's directory"
    assert "printed" in output.text


_SLOW = """
import pathlib, time

def test_hangs(window, xshm_display):
    pathlib.Path("up").write_text(str(xshm_display.pid))
    time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_is_interrupted_or_killed_leaves_no_server(suite: Suite, number: signal.Signals) -> None:
    suite.write("test_it.py", _SLOW)
    with subprocess.Popen(suite.command(), cwd=suite.path, stdout=subprocess.PIPE, text=True) as run:
        while not (suite.path / "up").is_file() or not (pid := (suite.path / "up").read_text()):
            time.sleep(0.02)
        run.send_signal(number)
        text = run.communicate(timeout=20)[0]
    deadline = time.monotonic() + 5
    while lives(int(pid)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not lives(int(pid))
    if number == signal.SIGINT:
        assert run.returncode == pytest.ExitCode.INTERRUPTED
        files = suite.files()
        assert set(files) == {"test_it-test_hangs/test_hangs.png", "test_it-test_hangs/test_hangs.html"}
        assert shows_window(files["test_it-test_hangs/test_hangs.png"])
        assert all(f"test-results/{name}" in text for name in files)


_SHORT = """
import pathlib, time
import pytest

@pytest.mark.parametrize("number", range(300))
def test_one_of_many(xshm_display, number):
    pathlib.Path(f"up-{xshm_display.pid}").touch()
    time.sleep(0.1)
"""


def test_of_workers_whose_run_is_killed_no_server_is_left(suite: Suite) -> None:
    suite.write("test_it.py", _SHORT)
    command = suite.command("-n2", plugins=("xdist.plugin",))
    with subprocess.Popen(command, cwd=suite.path, stdout=subprocess.DEVNULL) as run:
        deadline = time.monotonic() + 20
        while len(up := list(suite.path.glob("up-*"))) < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
        run.kill()
    pids = [int(path.name.removeprefix("up-")) for path in up]
    assert len(pids) == 2
    deadline = time.monotonic() + 10
    while any(map(lives, pids)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(map(lives, pids))
