"""`xshm live`: one line is the link; what is shown, what is said, and how it ends; and what is refused."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from live_links import XSHM, LiveCommand, Opened
from painter import Painter
from processes import children
from programs import eventually
from servers import own_number
from terminals import Terminal

from xshm.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers import Server

_SIZE = (120, 80)
_ALL = "0.0.0.0"  # noqa: S104 - what is tested


def paint(painter: Painter, colour: tuple[int, int, int]) -> None:
    painter.window((0, 0, *_SIZE), colour)


def opens(link: str) -> bool:
    """Return whether the page of a link can be had."""
    try:
        with urllib.request.urlopen(link, timeout=5) as answer:  # noqa: S310 - of the command's
            return bool(answer.status == 200)
    except urllib.error.URLError:
        return False


# -- what is shown -----------------------------------------------------------------------------------------------------


def test_one_line_is_the_link_which_shows_the_display_until_term(make_server: Callable[..., Server]) -> None:
    server = make_server("Xvfb", *_SIZE)
    with Painter(server) as painter, LiveCommand(server.name, "-r", "30") as command:
        assert command.link.startswith("http://127.0.0.1:")
        with Opened(command.link) as page:
            assert (page.title, page.titles, page.states) == (server.name, [server.name], ["live"])
            paint(painter, (200, 30, 60))
            page.until(lambda: page.colour() == (200, 30, 60))
            assert page.canvases[1].shape == (80, 120, 3)
            assert command.end() == (0, "", "")
        assert not opens(command.link)


def test_a_display_that_ends_is_waited_for_and_shown_again(make_server: Callable[..., Server]) -> None:
    server = make_server("Xvfb", *_SIZE, 24, own_number())
    with LiveCommand(env=server.env()) as command, Opened(command.link) as page:
        page.until(lambda: page.colour() == (0, 0, 0))
        server.kill()
        page.until(lambda: page.states == ["waiting"])
        assert page.words == f"the display {server.name} has ended"
        make_server("Xvfb", 200, 100, 24, server.name)
        page.until(lambda: page.states == ["live"] and page.canvases[1].shape == (100, 200, 3))
        code, out, error = command.end(signal.SIGHUP)
    assert (code, out) == (0, "")
    assert error.splitlines() == [
        f"xshm: {server.name}: the display {server.name} has ended; it is shown again when it is back",
        f"xshm: {server.name} is back",
    ]


def test_several_displays_are_a_wall_and_one_that_ends_leaves_the_others(make_server: Callable[..., Server]) -> None:
    one, other = make_server("Xvfb", *_SIZE, 24, own_number()), make_server("Xvfb", *_SIZE)
    with Painter(other) as painter, LiveCommand(one.name, "--title", "Both", other.name) as command:
        with Opened(command.link) as page:
            assert (page.title, page.titles) == ("Both", [one.name, other.name])
            one.kill()
            page.until(lambda: page.states == ["waiting", "live"])
            paint(painter, (9, 8, 7))
            page.until(lambda: page.colour(2) == (9, 8, 7))
        assert command.end()[0] == 0


def test_a_window_of_a_title_comes_back_and_one_of_an_id_does_not(make_server: Callable[..., Server]) -> None:
    server = make_server("Xvfb", 300, 200)
    with Painter(server) as painter:
        one = painter.window((0, 0, *_SIZE), (1, 2, 3), title="Login")
        other = painter.window((0, 0, 50, 40), (4, 5, 6), title="Other")
        flags = ("-i", "Login", "-i", hex(other.id), "-g", "20x10+5+5")
        with LiveCommand(server.name, *flags) as command, Opened(command.link) as page:
            assert page.titles == [f"Login on {server.name}", f"Other on {server.name}"]
            page.until(lambda: page.colour(1) == (1, 2, 3) and page.colour(2) == (4, 5, 6))
            assert page.canvases[1].shape == (10, 20, 3)
            for window in (one, other):
                window.destroy()
            painter.display.sync()
            page.until(lambda: page.states == ["waiting", "gone"])
            painter.window((0, 0, *_SIZE), (7, 8, 9), title="Login")
            page.until(lambda: page.states == ["live", "gone"] and page.colour(1) == (7, 8, 9))
            code, _, error = command.end()
    assert code == 0
    assert "Other on" in error
    assert error.count("shown again when it is back") == 1


def test_a_monitor_is_shown(make_server: Callable[..., Server]) -> None:
    server = make_server("Xvfb", *_SIZE)
    with LiveCommand(server.name, "-m", "0") as command, Opened(command.link) as page:
        page.until(lambda: page.canvases[1].shape == (80, 120, 3) if 1 in page.canvases else False)
        assert page.titles[0].endswith(f" of {server.name}")


# -- who may see it ----------------------------------------------------------------------------------------------------


def test_the_token_of_a_file_keeps_the_link_the_same_and_is_on_no_command_line(xvfb: Server, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("sesame-opens-the-cave\nand nothing else\n")
    flags = ("--token-file", str(tmp_path / "token"))
    with LiveCommand(xvfb.name, *flags, "--duration", "0.5") as command:
        link = command.link
        assert link.endswith("/#sesame-opens-the-cave")
        assert "sesame" not in Path(f"/proc/{command.pid}/cmdline").read_text()
        assert command.rest() == (0, "", "")
    port = link.rpartition(":")[2].partition("/")[0]
    with LiveCommand(xvfb.name, *flags, "-p", port) as command:
        assert command.link == link


def test_tls_and_all_addresses(xvfb: Server, tmp_path: Path) -> None:
    certificate, key = str(tmp_path / "cert.pem"), str(tmp_path / "key.pem")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
            *("-keyout", key, "-out", certificate),
        ],
        check=True,
        capture_output=True,
    )
    flags = ("--host", _ALL, "--tls-cert", certificate)
    with LiveCommand(xvfb.name, *flags, "--tls-key", key) as command:
        assert command.link.startswith("https://")
        port = command.link.rpartition(":")[2]
        with Opened(f"https://localhost:{port}", certificate) as page:
            page.until(lambda: page.colour() is not None)
    done = subprocess.run([*XSHM, "live", xvfb.name, *flags], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--tls-cert" in done.stderr


def test_unencrypted_is_a_word_and_other_names_are_let_in_by_name(xvfb: Server) -> None:
    flags = ("--host", _ALL, "--unencrypted", "--allow-host", "Screens.example")
    with LiveCommand(xvfb.name, *flags) as command:
        port = command.link.rpartition(":")[2].partition("/")[0]
        codes = []
        for name in ("127.0.0.1", "screens.example", "other.example"):
            request = urllib.request.Request(f"http://127.0.0.1:{port}/", headers={"Host": name})
            try:
                with urllib.request.urlopen(request) as answer:  # noqa: S310 - as above
                    codes.append(answer.status)
            except urllib.error.HTTPError as error:
                codes.append(error.code)
        assert codes == [200, 200, 421]


def test_vnc_viewers_get_a_password_on_standard_error(xvfb: Server, tmp_path: Path) -> None:
    with LiveCommand(xvfb.name, "--vnc") as command:
        assert command.process.stderr is not None
        where, said, password = command.process.stderr.readline().rpartition(", password ")
        host, _, port = where.rpartition(" ")[2].rpartition("::")
        assert (said, len(password.strip())) == (", password ", 8)
        with closing(socket.create_connection((host, int(port)), 5)) as viewer:
            assert viewer.recv(12) == b"RFB 003.008\n"
    (tmp_path / "password").write_text("open-it!\n")
    with LiveCommand(xvfb.name, "--vnc", "0", "--vnc-password-file", str(tmp_path / "password")) as command:
        assert "open-it!" not in command.end()[2], "who has the file knows it"


# -- how it ends -------------------------------------------------------------------------------------------------------


def test_at_a_terminal_it_says_how_and_who_watches_and_q_ends_it(xvfb: Server) -> None:
    with Terminal(*XSHM, "live", env=xvfb.env()) as terminal:
        said = terminal.expect("q ends")
        link, *how = said.splitlines()
        assert link.startswith("http://127.0.0.1:")
        assert how[0].startswith(f"xshm: {xvfb.name}: ")
        with Opened(link):
            terminal.expect("xshm: 1 viewer\r\n")
        terminal.expect("xshm: no viewers\r\n")
        terminal.type("q")
        assert terminal.rest().strip() == ""
        assert terminal.exit_code() == 0


def test_ctrl_c_ends_it_and_ctrl_z_stops_it(xvfb: Server) -> None:
    with Terminal("bash", "--norc", "--noediting", "-i", env=xvfb.env()) as shell:
        shell.expect("$ ")
        shell.type(" ".join([*XSHM, "live"]) + "\n")
        shell.expect("q ends")
        shell.type("\x1a")
        shell.expect("Stopped")
        shell.type("fg\n")
        shell.expect("q ends")
        shell.type("\x03")
        shell.expect("$ ")
        shell.type("echo code $?; exit\n")
        shell.expect("\r\ncode 0\r\n")


def test_a_reader_of_the_link_who_leaves_before_it_comes_is_an_error(xvfb: Server) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as closed:
        done = subprocess.run(
            [*XSHM, "live", xvfb.name], stdout=closed, stderr=subprocess.PIPE, text=True, check=False, timeout=20
        )
    assert (done.returncode, done.stderr) == (2, "xshm: standard output: Broken pipe\n")


def test_a_reader_of_the_link_who_leaves_afterwards_ends_nothing(xvfb: Server) -> None:
    with LiveCommand(xvfb.name) as command:
        assert command.process.stdout is not None
        command.process.stdout.close()
        assert opens(command.link)
        command.process.stdout = None
        assert command.end(signal.SIGINT)[0] == 0


def test_kill_9_leaves_nothing(make_server: Callable[..., Server]) -> None:
    server = make_server("Xvfb", *_SIZE)
    before = server.segments()
    with LiveCommand(server.name) as command, Opened(command.link) as page:
        page.until(lambda: page.colour() is not None)
        assert children(command.pid) == []
        os.kill(command.pid, signal.SIGKILL)
        command.process.wait()
        assert not opens(command.link)
        eventually(lambda: server.segments() == before)


# -- what is refused ---------------------------------------------------------------------------------------------------


def test_a_port_that_is_taken_is_an_error_with_both_ways_out(xvfb: Server, capsys: pytest.CaptureFixture[str]) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        assert main.main(["live", xvfb.name, "-p", str(port)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert f"port {port}" in said.err
    assert "name another one, or 0" in said.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--host 0.0.0.0", ("--tls-cert", "--unencrypted", "ssh -L")),
        ("--host 0.0.0.0 --tls-cert cert.pem --vnc", ("--unencrypted", "leave --vnc out")),
        ("--host not/a/host", ("--host is a host's name or address",)),
        ("--allow-host http://a", ("--allow-host", "not 'http://a'")),
        ("--tls-key key.pem", ("name that with --tls-cert",)),
        ("--token-file short", ("--token-file has 16 to 256",)),
        ("--token-file empty", ("empty of --token-file has no first line", "write one")),
        ("--token-file nowhere", ("nowhere: No such file",)),
        ("--vnc --vnc-password-file short", ("6 to 8 characters", "leave --vnc-password-file out")),
        ("--vnc-password-file short", ("add --vnc",)),
        ("--vnc :1", ("write --vnc behind the displays",)),
        ("--port 99999", ("0 is any that is free",)),
        ("--port http", ("no whole number",)),
        ("--framerate 5000", ("--framerate", "at most 1000")),
        ("--duration 0", ("above 0",)),
        ("--title", ("expected one argument",)),
        (":1 --display :2", ("DISPLAY and --display both", "give one")),
        ("-m 0 -g 5x5+0+0", ("give one",)),
        ("-m 0 -i title", ("not allowed with",)),
        ("-g 5by5", ("640x480+10+20",)),
        (":1 --port 1 :2 --colour", ("unrecognized arguments: --colour", "--help")),
        (":9071", ("no X server answers at ':9071'",)),
        ("-i nobody", ("no display was named", "--display", "xshm run")),
    ],
)
def test_a_mistake_is_one_line_with_the_way_out(
    words: str,
    said: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DISPLAY", raising=False)
    (tmp_path / "short").write_text("abc\n")
    (tmp_path / "empty").touch()
    try:
        code = main.main(["live", *words.split()])
    except SystemExit as ended:
        code = ended.code  # type: ignore[assignment]
    out, error = capsys.readouterr()
    assert (code, out, error.count("\n")) == (2, "", 1)
    for each in said:
        assert each in error
    assert "abc" not in error


def test_without_the_library_it_says_what_brings_it() -> None:
    program = "import sys; sys.modules['websockets'] = None; from xshm.cli.main import main; sys.exit(main(['live']))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "pip install 'xshm[live]'" in done.stderr
