"""The suite's own watch: a run that leaves a process or a segment fails, and what the servers leave is removed.

Each test runs pytest on a small suite of its own, with the fixtures and the leak watch of this one.
"""

from __future__ import annotations

import ctypes
import gc
import logging
import os
import re
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import alone
import pytest
from leak_watch import DIRECTORY_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Callable

    from painter import Painter
    from servers import Server

    import xshm

_libc = ctypes.CDLL(None, use_errno=True)
_IPC_PRIVATE, _IPC_CREAT, _IPC_RMID = 0, 0o1000, 0
_MAKE_SEGMENT = f"import ctypes\nshmid = ctypes.CDLL(None).shmget(0, 4096, {_IPC_CREAT | 0o600})\n"


class Suite:
    """A pytest run on one test, in a process of its own."""

    def __init__(self, where: Path, body: str) -> None:
        (where / "test_it.py").write_text("def test_it(request):\n" + "".join(f"    {n}\n" for n in body.splitlines()))
        (where / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
        tests = Path(__file__).parent
        environment = os.environ | {
            "PYTHONPATH": f"{tests}:{tests}/helpers",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "XSHM_LEAK_WATCH_GRACE": "0.4",
            "TMPDIR": str(where),
        }
        environment.pop(DIRECTORY_VARIABLE)
        # The conftest of this suite is loaded as a plugin: the fixtures and the leak watch are the real ones.
        command = [sys.executable, "-m", "pytest", "-p", "conftest", "-p", "no:cacheprovider", "-s", "-q", "test_it.py"]
        self.where = where
        self.run = subprocess.Popen(
            command, cwd=where, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def end(self) -> tuple[int, str]:
        """Return the exit code and all that was printed."""
        output, _ = self.run.communicate(timeout=40)
        return self.run.returncode, output


@pytest.fixture
def suite(tmp_path: Path) -> Callable[[str], Suite]:
    return lambda body: Suite(tmp_path, body)


def _remove(shmid: int) -> int:
    removed: int = _libc.shmctl(shmid, _IPC_RMID, None)
    return removed


def _number(pattern: str, output: str) -> int:
    found = re.search(pattern, output)
    assert found, output
    return int(found[1])


def test_a_clean_run_passes(suite: Callable[[str], Suite]) -> None:
    code, output = suite("request.getfixturevalue('painter').rectangles()").end()
    assert code == 0, output
    assert "1 passed" in output


def test_a_leaked_segment_fails_the_run_and_is_named(suite: Callable[[str], Suite]) -> None:
    code, output = suite(_MAKE_SEGMENT + "print('made', shmid)").end()
    shmid = _number(r"made (\d+)", output)
    try:
        assert code == 1, output
        assert "1 passed, 1 error" in output
        assert f"System V segment {shmid} of 4096 bytes" in output
    finally:
        assert _remove(shmid) == 0


def test_a_segment_leaked_by_a_program_that_the_run_started_fails_it_too(suite: Callable[[str], Suite]) -> None:
    program = _MAKE_SEGMENT + "import time; time.sleep(0.3); print('made', shmid)"
    code, output = suite(
        f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {program!r}], check=True)"
    ).end()
    shmid = _number(r"made (\d+)", output)
    try:
        assert code == 1, output
        assert f"System V segment {shmid} of 4096 bytes" in output
    finally:
        assert _remove(shmid) == 0


def test_a_segment_that_another_program_made_meanwhile_is_no_fault_of_the_run(suite: Callable[[str], Suite]) -> None:
    run = suite("import os, pathlib, time\nwhile not pathlib.Path('go').exists(): time.sleep(0.01)")
    shmid: int = _libc.shmget(_IPC_PRIVATE, 4096, _IPC_CREAT | 0o600)
    try:
        time.sleep(0.5)
        (run.where / "go").touch()
        code, output = run.end()
        assert code == 0, output
    finally:
        assert _remove(shmid) == 0


def test_a_leaked_daemon_fails_the_run_is_named_and_is_ended(suite: Callable[[str], Suite]) -> None:
    start = "import subprocess\nsubprocess.run('setsid sleep 301 & echo started $!', shell=True, check=True)"
    code, output = suite(start).end()
    assert code == 1, output
    assert "1 passed, 1 error" in output
    pid = _number(r"process (\d+) \(sleep 301\)", output)
    assert not Path(f"/proc/{pid}").exists()


def test_servers_end_when_pytest_is_killed_and_their_files_go(suite: Callable[[str], Suite], tmp_path: Path) -> None:
    start = "import os\nserver = request.getfixturevalue('xvfb')\nprint('server', server.pid, flush=True)\n"
    code, output = suite(start + "os.kill(os.getpid(), 9)").end()
    assert code == 128 + 9, output
    pid = _number(r"server (\d+)", output)
    assert not Path(f"/proc/{pid}").exists()
    assert not list(tmp_path.glob("xshm-test*"))


def test_a_killed_server_leaves_no_file_once_it_is_stopped(make_server: Callable[..., Server]) -> None:
    server = make_server("Xvfb", auth=True)
    socket = Path(f"/tmp/.X11-unix/X{server.name.removeprefix(':')}")  # noqa: S108 - where X servers put it
    made = socket.stat().st_ino, socket.stat().st_ctime_ns
    server.kill()
    server.stop()
    assert not socket.exists() or (socket.stat().st_ino, socket.stat().st_ctime_ns) != made
    assert not server.home.exists()


def test_a_server_with_authority_refuses_who_has_no_cookie(make_server: Callable[..., Server]) -> None:
    server = make_server("Xvfb", 320, 200, auth=True)
    allowed = subprocess.run(["xdpyinfo"], env=server.env(), capture_output=True, check=False)
    assert allowed.returncode == 0, allowed.stderr
    without = server.env() | {"XAUTHORITY": os.devnull}
    refused = subprocess.run(["xdpyinfo"], env=without, capture_output=True, check=False)
    assert refused.returncode == 1


def test_the_collector_passes_over_the_tests_that_were_collected(request: pytest.FixtureRequest) -> None:
    assert gc.isenabled()
    assert gc.get_freeze_count() > len(request.session.items)
    assert not any(each is request.node for each in gc.get_objects()), "it is one that was collected"


@pytest.mark.parametrize("turn", ["takes it, and keeps it", "finds it free"])
def test_a_lock_of_logging_that_is_left_taken_is_no_other_tests(turn: str, caplog: pytest.LogCaptureFixture) -> None:
    if turn.startswith("takes"):  # as a signal handler that raises within `logging` leaves it
        for handler in logging.getLogger().handlers:
            handler.acquire()
        logging._lock.acquire()  # type: ignore[attr-defined]
        return
    with caplog.at_level(logging.INFO):
        thread = threading.Thread(target=logging.getLogger("a program's").info, args=("told",), daemon=True)
        thread.start()
        thread.join(5)
    assert caplog.messages == ["told"]


def test_what_has_to_run_alone_is_there() -> None:
    for each in alone.TESTS:
        path, _, name = each.partition("::")
        assert f"\ndef {name}" in (Path(__file__).parents[1] / path).read_text(), each


@pytest.mark.parametrize("workers", [1, 3])
def test_what_has_to_run_alone_does(tmp_path: Path, workers: int) -> None:
    note = """
import time
def note(name):
    begin = time.monotonic()
    time.sleep(0.1)
    with open("notes", "a") as notes:
        print(name, begin, time.monotonic(), file=notes)
"""
    (tmp_path / "note.py").write_text(note)
    test = "def test_{0}():\n    note('{0}')\n"
    for file, names in (
        ("a", ("a", "alone_1", "alone_2")),
        ("b", ("b", "b_2")),
        ("c", ("c", "c_2", "c_3")),
        ("d", "d"),
    ):
        (tmp_path / f"test_{file}.py").write_text("from note import note\n" + "".join(map(test.format, names)))
    (tmp_path / "conftest.py").write_text(
        "import alone\nalone.TESTS = ('test_a.py::test_alone',)\n"
        "def pytest_xdist_make_scheduler(config, log): return alone.Scheduling(config, log)\n"
    )
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}:{Path(alone.__file__).parent}"}
    environment = {name: value for name, value in environment.items() if not name.startswith("PYTEST_")}
    command = [sys.executable, "-m", "pytest", "-q", "-n", str(workers), "--dist", "loadfile", "-c", "/dev/null", "."]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert "9 passed" in done.stdout, done.stdout + done.stderr
    ran = {
        name: (float(begin), float(end))
        for name, begin, end in map(str.split, (tmp_path / "notes").read_text().splitlines())
    }
    last = max(end for name, (_, end) in ran.items() if not name.startswith("alone"))
    assert last <= ran["alone_1"][0] < ran["alone_1"][1] <= ran["alone_2"][0]


def test_threads_can_paint_at_the_same_time(screen: xshm.Screen, painter: Painter) -> None:
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)]

    def paint(number: int) -> None:
        for row in range(100):
            painter.fill((40 * number, row, 40, 1), colours[number])

    with ThreadPoolExecutor() as threads:
        list(threads.map(paint, range(len(colours))))
    for number, colour in enumerate(colours):
        assert (screen.grab((40 * number, 0, 40, 100)).rgb() == colour).all()
