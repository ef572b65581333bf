"""What programs learn by `logging` of connections, transports and displays; nothing, unless they ask for it."""

from __future__ import annotations

import gc
import logging
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from descriptors import new_descriptors, open_descriptors

from xshm import Screen, Surface, VirtualDisplay
from xshm.x11.display_name import DisplayName
from xshm.x11.xauthority import find_cookie

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from servers import Server

_QUICK = ("-extension", "GLX")  # in half the time


@pytest.fixture(autouse=True)
def _records_are_made(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "xshm")


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Callable[[str], list[str]]:
    """Give a function that returns a logger's records so far, each as "LEVEL message"."""
    return lambda name: [f"{each.levelname} {each.getMessage()}" for each in caplog.records if each.name == name]


@pytest.fixture(scope="module")
def display() -> Iterator[VirtualDisplay]:
    with VirtualDisplay(320, 240, args=_QUICK) as display:
        yield display


def _screen(display: VirtualDisplay, **options: object) -> Screen:
    return Screen(display.name, xauthority=display.xauthority, **options)  # type: ignore[arg-type]


def test_a_connection_says_whose_server_it_is_and_when_it_is_closed(
    display: VirtualDisplay, said: Callable[[str], list[str]]
) -> None:
    with _screen(display) as screen:
        (opened,) = said("xshm.connection")
        assert opened == f"INFO opened {screen.connection.address}: {screen.connection.info.vendor}, screens: 1"
    screen.close()
    assert said("xshm.connection")[1:] == [f"INFO closed {screen.connection.address}"]


def test_a_connection_that_its_server_has_ended_says_so_when_it_is_closed(said: Callable[[str], list[str]]) -> None:
    with VirtualDisplay(64, 64, args=_QUICK) as display:
        screen = _screen(display)
    screen.close()
    _, closed = [each for each in said("xshm.connection") if screen.connection.address in each]
    assert closed.startswith(f"INFO closed {screen.connection.address}: the connection to the X server has ended")


def test_the_transport_is_logged_with_its_reason(display: VirtualDisplay, said: Callable[[str], list[str]]) -> None:
    with _screen(display) as screen:
        assert said("xshm.transport") == [
            f"INFO {screen.transport.kind}: {screen.transport.reason} ({screen.connection.address})"
        ]
    with _screen(display, transport="core") as screen:
        assert said("xshm.transport")[-1] == f"INFO core: asked for by name ({screen.connection.address})"


def test_pixels_over_the_socket_that_nobody_has_asked_for_are_a_warning(said: Callable[[str], list[str]]) -> None:
    with VirtualDisplay(64, 64, args=(*_QUICK, "-extension", "MIT-SHM")) as display, _screen(display) as screen:
        assert screen.transport.kind == "core"
        (warned,) = [each for each in said("xshm.transport") if "WARNING" in each][-1:]
    assert warned.startswith("WARNING core: sysv: the server at ")
    assert "does not have the MIT-SHM extension; fd: " in warned


def test_copies_beyond_max_frames_are_a_warning_once(display: VirtualDisplay, said: Callable[[str], list[str]]) -> None:
    with _screen(display, max_frames=1) as screen:
        frames = [screen.grab()]
        assert said("xshm.pool") == []
        frames += [screen.grab() for _ in range(3)]
        assert [frame.shared for frame in frames] == [True, False, False, False]
        (warned,) = said("xshm.pool")
    assert warned.startswith("WARNING frames are copies, which take longer: 1 frames are held (")


def test_a_display_says_when_it_starts_and_ends(said: Callable[[str], list[str]]) -> None:
    with VirtualDisplay(64, 64, args=_QUICK) as display:
        pass
    display.close()
    started, ended = said("xshm.display")
    assert re.fullmatch(rf"INFO started {display.name} in \d\.\d\d s: Xvfb \(.*\), pid {display.pid}", started)
    assert ended == f"INFO ended {display.name}"


def _drop(held: list[VirtualDisplay]) -> None:
    held.clear()
    gc.collect()


def test_a_finalizer_makes_no_records(caplog: pytest.LogCaptureFixture) -> None:
    held = [VirtualDisplay(64, 64, args=_QUICK)]
    pid = held[0].pid
    assert held[0].screen.width == 64
    assert len(caplog.records) == 3
    with pytest.warns(ResourceWarning, match="was not closed"):
        _drop(held)
    assert len(caplog.records) == 3
    assert not Path(f"/proc/{pid}").exists()
    with VirtualDisplay(64, 64, args=_QUICK):
        assert len(caplog.records) == 4  # this thread makes records again


def test_a_display_of_others_is_attached_to_and_left(display: VirtualDisplay, said: Callable[[str], list[str]]) -> None:
    with VirtualDisplay.attach(display.name, display.xauthority):
        pass
    assert said("xshm.display") == [f"INFO attached to {display.name}, pid {display.pid}", f"INFO left {display.name}"]


def test_what_reads_and_writes_pixels_says_how(
    display: VirtualDisplay, said: Callable[[str], list[str]], tmp_path: Path
) -> None:
    with _screen(display) as screen:
        with screen.record(tmp_path / "a.apng") as recorder:
            how = recorder.how
        assert said("xshm.record") == [f"INFO the screen: {how}"]
        with screen.trace(tmp_path / "a.html") as trace:
            how = trace.how
        assert said("xshm.trace") == [f"INFO the screen: {how}"]
        next(iter(screen.stream(on_change=True)))
        assert "DEBUG the screen: shared pixmaps: the server copies what was drawn, and no more" in said("xshm.changes")
    with Surface(64, 48, display=display.name, xauthority=display.xauthority) as surface:
        assert said("xshm.surface") == [f"INFO {surface.way}: {surface.way_reason}"]


def test_slower_converters_say_why(xvfb: Server) -> None:
    program = (
        "import logging, sys; sys.modules['cv2'] = sys.modules['isal.isal_zlib'] = None\n"
        "logging.basicConfig(level='INFO', format='%(name)s %(message)s', stream=sys.stdout)\n"
        "import xshm; frame = xshm.grab(); frame.rgb(); frame.encode('png')"
    )
    lines = _run(program, xvfb).stdout.splitlines()
    found = [each.partition(" ")[2] for each in lines if each.startswith("xshm.converter ")]
    assert len(found) == 2
    assert found[0].startswith("numpy: OpenCV can't be imported (")
    assert found[1].startswith("zlib, which takes ten times as long for a PNG: isal can't be imported (")


# -- silence -----------------------------------------------------------------------------------------------------------

_COPIES = "import xshm\nwith xshm.Screen(max_frames=1) as screen: a, b = screen.grab(), screen.grab()\n"


def _run(program: str, server: Server, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, env=os.environ | server.env(), capture_output=True, text=True, check=True)


def test_nothing_is_printed_unless_a_program_asks_for_it(xvfb: Server) -> None:
    quiet = _run("import logging\n" + _COPIES, xvfb)
    assert (quiet.stdout, quiet.stderr) == ("", "")
    asked = _run("import logging; logging.basicConfig()\n" + _COPIES, xvfb)
    assert asked.stderr.startswith("WARNING:xshm.pool:frames are copies")
    assert asked.stderr.count("\n") == 1


def test_a_screenshot_does_not_load_logging(xvfb: Server, tmp_path: Path) -> None:
    program = "import sys; from xshm.cli.main import main; main(['shot', sys.argv[1]]); print('logging' in sys.modules)"
    assert _run(program, xvfb, str(tmp_path / "a.png")).stdout == "False\n"


_HALF = """
import importlib.util, sys, types
path = importlib.util.find_spec("logging").origin
source = open(path).read()
sys.modules["logging"] = half = types.ModuleType("logging")
half.__path__ = []
exec(compile(source[: source.index("class NullHandler")], path, "exec"), half.__dict__)
"""


@pytest.mark.parametrize("program", ["import logging\n", _HALF])
def test_a_program_with_a_logging_module_of_its_own_or_with_half_of_pythons_gets_its_frames(
    xvfb: Server, tmp_path: Path, program: str
) -> None:
    if program != _HALF:
        (tmp_path / "logging.py").write_text("def getLogger(name=None):\n    return None\n")
    (tmp_path / "program.py").write_text(program + _COPIES + "print(a.rect)\n")
    command = [sys.executable, str(tmp_path / "program.py")]
    ran = subprocess.run(command, env=os.environ | xvfb.env(), capture_output=True, text=True, check=False)
    assert (ran.stdout, ran.stderr) == ("1280x800+0+0\n", "")


def test_no_record_has_the_cookie_what_was_typed_or_a_programs_command(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with VirtualDisplay(300, 200, args=_QUICK) as display:
        address = display.screen.connection.address
        cookie, _ = find_cookie(
            DisplayName.parse(display.name), display.screen.connection.wire.socket, display.xauthority, address
        )
        program = display.launch(["xterm", "-T", "the-title", "-e", "sh", "-c", "read word; read more"])
        with display.screen.act():
            display.screen.type("hunter-two\n")
        program.terminate()
    assert cookie
    everything = repr([(each.getMessage(), vars(each)) for each in caplog.records if each.name.startswith("xshm")])
    assert address in everything
    for secret in (cookie.hex(), repr(cookie)[2:-1], "hunter", "the-title", "xterm"):
        assert secret not in everything


def test_a_record_is_one_line_whatever_a_server_says(caplog: pytest.LogCaptureFixture) -> None:
    from xshm.system import logs  # noqa: PLC0415 - its function alone, with what a server might say

    logs.info("connection", "opened %s, %d", "a\nWARNING forged \x1b[2J", 1)
    (record,) = caplog.records
    assert record.getMessage() == "opened a\\nWARNING forged \\x1b[2J, 1"
    assert (record.funcName, record.pathname) == ("test_a_record_is_one_line_whatever_a_server_says", __file__)


# -- handlers ----------------------------------------------------------------------------------------------------------


class _Raising(logging.Filter):
    """Raises for the records of one logger, as a handler or a signal's handler may."""

    def filter(self, record: logging.LogRecord) -> bool:
        raise KeyboardInterrupt(f"{record.name}: {record.getMessage()}")


@pytest.fixture
def raising_at() -> Iterator[Callable[[str], None]]:
    """Give a function that makes records of a logger raise."""
    raising, names = _Raising(), []

    def raise_at(name: str) -> None:
        names.append(name)
        logging.getLogger(name).addFilter(raising)

    yield raise_at
    for name in names:
        logging.getLogger(name).removeFilter(raising)


@pytest.mark.parametrize("name", ["xshm.connection", "xshm.transport", "xshm.pool"])
def test_what_a_handler_raises_is_passed_on_and_nothing_is_left(
    name: str, display: VirtualDisplay, raising_at: Callable[[str], None]
) -> None:
    before = open_descriptors()
    raising_at(name)

    def grab_two() -> None:
        with _screen(display, max_frames=1) as screen:
            _ = [screen.grab(), screen.grab()]

    with pytest.raises(KeyboardInterrupt, match=name):
        grab_two()
    assert new_descriptors(before) == {}


def test_a_display_whose_start_a_handler_interrupts_is_ended(raising_at: Callable[[str], None]) -> None:
    before = open_descriptors()
    raising_at("xshm.display")
    with pytest.raises(KeyboardInterrupt) as raised:
        VirtualDisplay(64, 64, args=_QUICK)
    pids = [int(each) for each in re.findall(r"pid (\d+)", str(raised.value))]
    assert len(pids) == 1
    assert not Path(f"/proc/{pids[0]}").exists()
    del raised
    assert new_descriptors(before) == {}


def test_a_handler_may_use_the_screen_that_a_record_is_about(display: VirtualDisplay) -> None:
    seen: list[str] = []

    class Grabbing(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            screen.grab((0, 0, 10, 10))
            seen.append(record.getMessage())

    handler = Grabbing()
    with _screen(display, max_frames=1, timeout=10) as screen:
        logging.getLogger("xshm.pool").addHandler(handler)
        try:
            frames = [screen.grab(), screen.grab(), screen.grab()]
        finally:
            logging.getLogger("xshm.pool").removeHandler(handler)
    assert (len(frames), len(seen)) == (3, 1)
