"""A live view begins, ends, and leaves nothing, whatever becomes of it; what can not be is said with the way out."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import re
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import weakref
from typing import TYPE_CHECKING

import pytest
from forked import in_child
from live_client import LiveClient, fetched, pixels_of
from programs import eventually

import xshm
from xshm import LiveView
from xshm.errors import Closed, InvalidArgument, InvalidType, LiveViewFailed, MissingExtra

if TYPE_CHECKING:
    from pathlib import Path

    from painter import Painter
    from servers import Server


def _where(live: LiveView) -> tuple[str, int]:
    found = re.match(r"https?://([^/]+):(\d+)/", live.url)
    assert found is not None
    return found[1], int(found[2])


def test_a_view_is_started_once_and_stopped_as_often_as_one_likes(screen: xshm.Screen) -> None:
    live = screen.live()
    with pytest.raises(LiveViewFailed, match="not started yet"):
        print(live.url)
    live.start()
    with pytest.raises(LiveViewFailed, match="started already"):
        live.start()
    where = _where(live)
    assert bool(live.is_running)
    assert not live.wait(0.05)
    waiting = threading.Thread(target=live.wait)
    waiting.start()
    live.stop()
    live.stop()
    waiting.join(5)
    assert not waiting.is_alive()
    assert not live.is_running
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(where)
    with pytest.raises(Closed, match="begin a new one"):
        live.start()
    with pytest.raises(Closed, match="begin a new one"):
        live.add(screen)


def test_one_that_was_never_started_stops(screen: xshm.Screen) -> None:
    live = screen.live()
    live.stop()
    with pytest.raises(Closed):
        live.start()


def test_one_that_is_dropped_stops_and_leaves_no_thread(screen: xshm.Screen) -> None:
    live = screen.live()
    live.start()
    where, page = _where(live), LiveClient(live.url)
    page.watch()
    page.until_quiet(0.2)
    seen = weakref.ref(live)
    del live
    gc.collect()
    assert seen() is None
    assert page.closed() == 1001
    eventually(lambda: not any(each.name.startswith("xshm-live") for each in threading.enumerate()))
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(where)


def test_a_port_that_is_taken_is_told_with_the_way_out(screen: xshm.Screen) -> None:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        live = screen.live(port=port)
        with pytest.raises(LiveViewFailed, match=rf"port {port}: .*in use.*name another one, or 0"):
            live.start()
        with pytest.raises(LiveViewFailed, match=rf"vnc_port {port}: .*in use"):
            screen.live(vnc_port=port).start()
    live.start()  # it is free now
    assert _where(live)[1] == port
    live.stop()
    with screen.live(port=port):  # at once: nothing is left
        pass


def test_addresses_that_are_not_this_machines_are_told(screen: xshm.Screen) -> None:
    with pytest.raises(LiveViewFailed, match=r"name an address of this machine; '0.0.0.0' is all"):
        screen.live(host="192.0.2.7", unencrypted=True).start()
    with pytest.raises(LiveViewFailed, match=r"no-such-host\.invalid, port 0: .*name an address of this machine"):
        screen.live(host="no-such-host.invalid", unencrypted=True).start()


def test_all_addresses_are_listened_on_where_that_is_said(screen: xshm.Screen) -> None:
    with screen.live(host="0.0.0.0", unencrypted=True) as live:  # noqa: S104
        host, port = _where(live)
        assert host != "0.0.0.0"  # noqa: S104 - a link that can be opened
        assert fetched(f"http://127.0.0.1:{port}/")[0] == 200
        assert fetched(live.frame_url)[0] == 200


def test_a_child_that_was_forked_keeps_neither_port_nor_viewers(screen: xshm.Screen) -> None:
    live = screen.live()
    live.start()
    where = _where(live)
    with LiveClient(live.url) as page:
        page.watch()
        page.until_quiet(0.2)

        def stop() -> object:
            live.stop()
            return live.is_running, live.viewers

        assert in_child(stop) == "(False, 0)"
        page.send({"type": "ping", "id": 1})
        page.until("pong")  # the view goes on
        ours, theirs = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.read(ours, 1)
            os._exit(0)
        try:
            live.stop()
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(where)
            assert page.closed() == 1001
        finally:
            os.write(theirs, b"x")
            os.waitpid(pid, 0)
            os.close(ours)
            os.close(theirs)


def test_what_runs_at_the_interpreters_end_is_stopped(xvfb: Server) -> None:
    code = f"import xshm; live = xshm.Screen({xvfb.name!r}).live(); live.start(); print(live.url)"
    run = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "ignore", "-c", code],
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    assert run.stdout.startswith("http://127.0.0.1:")
    # With -X dev asyncio tells what took a tenth of a second, as all does on a busy machine.
    assert not [line for line in run.stderr.splitlines() if " took " not in line]


def test_a_view_that_can_have_no_thread_says_so_and_leaves_nothing(
    screen: xshm.Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = screen.live()

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        with pytest.raises(LiveViewFailed, match=r"can't be started: all processes .*ulimit -u"):
            live.start()
    live.start()
    live.stop()


def test_without_the_library_the_extra_is_named(screen: xshm.Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "websockets", None)
    with pytest.raises(MissingExtra, match=r"pip install 'xshm\[live\]'"):
        screen.live()


def test_what_checks_passwords_is_needed_for_vnc_alone(screen: xshm.Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers", None)
    for how in ({"vnc_port": 0}, {"vnc_password": "pa55word"}):
        with pytest.raises(MissingExtra, match=r"cryptography .*pip install 'xshm\[live\]'"):
            screen.live(**how)
    with screen.live() as live:
        assert live.vnc is None


def test_the_token_is_neither_in_a_repr_nor_in_a_log(screen: xshm.Screen, caplog: pytest.LogCaptureFixture) -> None:
    token = "t0ken-" * 4
    with caplog.at_level(logging.DEBUG), screen.live(token=token, vnc_password="pa55word") as live:  # noqa: S106
        assert live.url.endswith("/#" + token)
        with LiveClient(live.url) as page:
            page.watch()
            page.until_quiet(0.2)
        fetched(live.frame_url)
        shown = repr(live) + repr(live._settings) + repr(live._hub and live._hub._audience.access)
    assert token not in shown
    assert "pa55word" not in shown
    # What this test's own client logs has it.
    ours = [each for each in caplog.records if each.name.startswith(("xshm", "websockets.server", "asyncio"))]
    assert not [each for each in ours if token in each.getMessage()]
    assert [each for each in ours if "serving at http://127.0.0.1:" in each.getMessage()]


def test_what_can_not_be_shown_is_refused(screen: xshm.Screen) -> None:
    with pytest.raises(InvalidType, match="a Screen, a Window, a Pixmap or a VirtualDisplay, not str"):
        LiveView(":0")  # type: ignore[arg-type]
    with pytest.raises(InvalidType, match="a VirtualDisplay, not type"):
        LiveView(xshm.Screen)  # type: ignore[arg-type]
    with pytest.raises(xshm.OutOfBounds):
        screen.live(region=(0, 0, 5000, 10))
    with pytest.raises(InvalidArgument, match="these are 2"):
        LiveView(screen, screen, region=(0, 0, 10, 10))


def test_a_display_of_our_own_is_shown() -> None:
    with xshm.VirtualDisplay(320, 240) as display, display.live() as live, LiveClient(live.url) as page:
        page.watch()
        page.until_equal(display.screen.grab().rgb())
    eventually(lambda: live.viewers == 0)


def test_tls_encrypts_and_a_certificate_that_is_none_is_told(screen: xshm.Screen, tmp_path: Path) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert),
        ],
        check=True,
        capture_output=True,
    )
    context = ssl.create_default_context(cafile=str(cert))
    with screen.live(tls_cert=cert, tls_key=key) as live:
        assert live.url.startswith("https://127.0.0.1:")
        with urllib.request.urlopen(live.frame_url, timeout=10, context=context) as answer:  # noqa: S310
            assert answer.read(8) == b"\x89PNG\r\n\x1a\n"
        with LiveClient(live.url, ssl=context) as page:
            page.watch()
            page.until_equal(pixels_of(screen))
        with contextlib.closing(socket.create_connection(_where(live))) as plain:
            plain.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            with contextlib.suppress(ConnectionError):
                assert b"HTTP" not in plain.recv(1000)
    with pytest.raises(LiveViewFailed, match=r"key\.pem.*no certificate with its key"):
        screen.live(tls_cert=key).start()
    with pytest.raises(LiveViewFailed, match=r"missing\.pem.*No such file"):
        screen.live(tls_cert=tmp_path / "missing.pem").start()
    locked = tmp_path / "locked.pem"
    subprocess.run(
        ["openssl", "ec", "-in", key, "-aes128", "-passout", "pass:secret", "-out", locked],
        check=True,
        capture_output=True,
    )
    with pytest.raises(LiveViewFailed, match="the key has a passphrase"):
        screen.live(tls_cert=cert, tls_key=locked).start()


def test_a_viewer_in_the_middle_of_an_update_does_not_keep_stop_waiting(screen: xshm.Screen, painter: Painter) -> None:
    painter.noise((0, 0, 1280, 800))
    live = screen.live()
    live.start()
    page = LiveClient(live.url, max_queue=1)
    page.watch()  # and reads nothing more
    time.sleep(0.3)
    begun = time.monotonic()
    live.stop()
    assert time.monotonic() - begun < 3
    assert page.closed() in (1001, 1006)
    page.close()
