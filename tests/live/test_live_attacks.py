"""Nobody sees anything of a screen over a WebSocket without its token, nor by numbers, time, or what others can read.

As in test_live_http_attacks: nothing that is of the screen is answered, and the view goes on for who has its link.
"""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from live_client import LiveClient
from live_target import (
    TOKEN,
    WRONG,
    Target,
    all_of,
    attacked,
    check_that_nothing_is_in,
    close_code,
    frame,
    hello,
    status,
    upgrade_headers,
)
from programs import eventually
from websockets.exceptions import ConnectionClosed, InvalidStatus

import xshm
from xshm.live.web.access import Access

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    with attacked() as target:
        yield target


@pytest.fixture(autouse=True)
def _as_if_it_was_the_first(target: Target) -> None:
    target.forget_guesses()


# -- attacks by a WebSocket without the token --------------------------------------------------------------------------

_STRANGERS: dict[str, Callable[[Target], bytes]] = {
    "a wrong token": lambda it: it.websocket(hello(WRONG)),
    "no token": lambda it: it.websocket('{"type": "hello"}'),
    "a token that is a number": lambda it: it.websocket(hello(0)),
    "a token that is true": lambda it: it.websocket(hello(True)),
    "a token that is a list with it": lambda it: it.websocket(hello([TOKEN])),
    "half of a surrogate pair": lambda it: it.websocket('{"type": "hello", "token": "\\ud800"}'),
    "watching without hello": lambda it: it.websocket('{"type": "watch", "channels": {"1": {"mode": "auto"}}}'),
    "another message with the token": lambda it: it.websocket(
        json.dumps({"type": "watch", "token": TOKEN, "channels": {}})
    ),
    "a second hello, after a wrong one": lambda it: it.websocket(hello(WRONG), hello()),
    "binary": lambda it: it.websocket(hello().encode()),
    "no JSON": lambda it: it.websocket("hello"),
    "JSON that is no object": lambda it: it.websocket(json.dumps([hello()])),
    "JSON that is ten thousand deep": lambda it: it.websocket("[" * 1500 + "]" * 1500),
    "a number of five thousand digits": lambda it: it.websocket('{"type": "hello", "token": %s}' % ("9" * 3000)),
    "hello of more than 4 KiB": lambda it: it.websocket(hello(TOKEN + " " * 5000)),
    "a message of more than 64 KiB": lambda it: it.websocket("x" * 70_000),
    "a frame that claims to have 8 EiB": lambda it: it.websocket(
        frames=b"\x81\xff" + struct.pack("!Q", 1 << 62) + b"\0" * 4
    ),
    "fragments without an end": lambda it: it.websocket(
        frames=frame("x" * 1000, is_last=False) + frame("x" * 1000, opcode=0, is_last=False) * 100
    ),
    "a compressed bomb": lambda it: it.websocket(frames=frame(_bomb(), opcode=1, rsv=0x40)),
    "frames without a mask": lambda it: it.websocket(frames=frame(hello(), masked=False)),
    "an unknown kind of frame": lambda it: it.websocket(frames=frame(b"", opcode=7)),
    "text that is no UTF-8": lambda it: it.websocket(frames=frame(b"\xff\xfe", opcode=1)),
    "a ping of more than 125 bytes": lambda it: it.websocket(frames=frame(b"x" * 200, opcode=9)),
    "pings without an end": lambda it: it.websocket(frames=frame(b"x" * 100, opcode=9) * 2000 + frame(b"", opcode=8)),
}


def _bomb() -> bytes:
    pack = zlib.compressobj(9, zlib.DEFLATED, -15)
    return pack.compress(b"x" * 10_000_000) + pack.flush(zlib.Z_SYNC_FLUSH)


@pytest.mark.parametrize("name", _STRANGERS)
def test_a_websocket_without_the_token(target: Target, name: str) -> None:
    begun = time.monotonic()
    answer = _STRANGERS[name](target)
    assert b" 101 " in answer
    check_that_nothing_is_in(answer)
    assert close_code(answer) in (1002, 1007, 1008, 1009, 0)
    assert time.monotonic() - begun < 7
    target.check_that_it_goes_on()


# -- attacks by who has the token, but is no page ----------------------------------------------------------------------

_MESSAGES: dict[str, tuple[str | bytes, ...]] = {
    "binary": (b"\x01\x02",),
    "no JSON": ("{",),
    "a list": ("[]",),
    "an unknown type": ('{"type": "shell", "command": "id"}',),
    "no type": ("{}",),
    "a type that is an object": ('{"type": {}}',),
    "an update that was never sent": ('{"type": "ack", "channel": 1, "number": 4000000000}',),
    "an update of a channel that is not there": ('{"type": "ack", "channel": 77, "number": 4000000000}',),
    "an acknowledgement of a negative number": ('{"type": "ack", "channel": 1, "number": -1}',),
    "an acknowledgement of a fraction": ('{"type": "ack", "channel": 1, "number": 1.5}',),
    "an acknowledgement of true": ('{"type": "ack", "channel": 1, "number": true}',),
    "channels that are a list": ('{"type": "watch", "channels": ["1"]}',),
    "a channel that is no number": ('{"type": "watch", "channels": {"one": {}}}',),
    "a channel in other digits": ('{"type": "watch", "channels": {"\u0661": {}}}',),
    "a negative width": ('{"type": "watch", "channels": {"1": {"width": -5}}}',),
    "a width that is infinite": ('{"type": "watch", "channels": {"1": {"width": Infinity}}}',),
    "a mode that is not there": ('{"type": "watch", "channels": {"1": {"mode": "root"}}}',),
    "a mode that is a list": ('{"type": "watch", "channels": {"1": {"mode": []}}}',),
    "a thousand channels": (json.dumps({"type": "watch", "channels": {str(n): {} for n in range(1000)}}),),
    "a ping without a number": ('{"type": "ping"}',),
    "input, where there is none: the pointer": ('{"type": "pointer", "channel": 1, "x": 1, "y": 1}',),
    "input, where there is none: a key": ('{"type": "key", "channel": 1, "key": "a", "code": "KeyA", "down": true}',),
    "input, where there is none: a button": (
        '{"type": "button", "channel": 1, "x": 1, "y": 1, "button": 1, "down": true}',
    ),
    "input, where there is none: the wheel": ('{"type": "scroll", "channel": 1, "dx": 0, "dy": 1, "x": 1, "y": 1}',),
}


@pytest.mark.parametrize("name", _MESSAGES)
def test_nonsense_of_a_viewer_ends_that_viewer_alone(target: Target, name: str) -> None:
    with LiveClient(target.live.url) as page:
        page.until("welcome")
        for message in _MESSAGES[name]:
            page.send(message)
        assert page.closed() == 1002
    target.check_that_it_goes_on()


def test_what_is_merely_late_is_no_nonsense(target: Target) -> None:
    """What names a channel that has gone a moment ago was right when it was sent."""
    with LiveClient(target.live.url) as page:
        page.until("welcome")
        page.send({"type": "watch", "channels": {"9": {"width": 10, "mode": "auto"}}})
        page.send({"type": "broken", "channel": 9, "why": "x" * 10_000})
        page.send({"type": "ack", "channel": 9, "number": 0})
        page.send({"type": "ping", "id": 1})
        page.until("pong")


def test_who_says_that_all_is_broken_again_and_again_is_sent_it_at_its_pace(target: Target) -> None:
    with LiveClient(target.live.url) as page:
        page.watch()
        page.until_quiet(0.3)
        before = target.live.bytes
        whole = sum(each.nbytes for each in page.updates)
        for _ in range(300):
            page.send({"type": "broken", "channel": 1, "why": "a test"})
        page.until_quiet(0.6)
        assert target.live.bytes - before < 4 * whole + 100_000
    target.check_that_it_goes_on()


def test_who_asks_for_more_than_it_reads_is_not_kept_in_memory(target: Target) -> None:
    with target.connect() as sock:
        head = [f"GET /live HTTP/1.1\r\nHost: localhost:{target.port}", *upgrade_headers()]
        sock.sendall(("\r\n".join(head) + "\r\n\r\n").encode() + frame(hello()))
        ping = frame('{"type": "ping", "id": 1}') * 1000
        sock.settimeout(0.5)
        sent = 0
        with contextlib.suppress(TimeoutError):
            while sent < 200_000_000:  # the answers to it are not read, so no more of it is
                sent += sock.send(ping)
        assert sent < 200_000_000
        target.check_that_it_goes_on()


# -- attacks by many, or by slowness -----------------------------------------------------------------------------------


def test_many_connections_that_say_nothing_keep_nobody_out(target: Target) -> None:
    with contextlib.ExitStack() as stack:
        silent = [stack.enter_context(target.connect()) for _ in range(200)]
        target.check_that_it_goes_on()
        with LiveClient(target.live.url) as page:  # a new one, too
            page.until("welcome")
        assert status(target.get(f"/frame.png?token={TOKEN}")) == 200
        hub = target.live._hub
        assert hub is not None
        eventually(lambda: len(hub.visitors.all) <= 70)
        del silent
    eventually(lambda: len(hub.visitors.all) <= 2)


def test_slow_requests_are_ended(target: Target) -> None:
    """A header now and then, as long as it is let (slow loris); one that sends nothing; one that says no hello.

    That takes the five seconds that each of them has.
    """
    begun = time.monotonic()
    with target.connect() as loris, target.connect() as silent, LiveClient(target.live.url, says_hello=False) as shy:
        loris.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
        with contextlib.suppress(ConnectionError):
            while time.monotonic() - begun < 8:
                loris.sendall(b"X: y\r\n")
                time.sleep(0.25)
        assert 4 < time.monotonic() - begun < 7
        assert all_of(silent) == b""
        assert shy.closed() == 1008
        assert not shy.messages
        assert time.monotonic() - begun < 7
    target.check_that_it_goes_on()


def test_guesses_are_answered_ever_later_and_the_right_token_at_once(target: Target) -> None:
    def seconds(token: str) -> float:
        begun = time.monotonic()
        target.get(f"/frame.png?token={token}")
        return time.monotonic() - begun

    access = Access(TOKEN, ())
    delays = [access.failed("192.0.2.1") for _ in range(12)]
    assert delays[:3] == [0, 0, 0]
    assert delays == sorted(delays)
    assert delays[-1] >= 4
    assert access.failed("192.0.2.2") == 0
    for _ in range(4):
        seconds("x" * 32)
    assert seconds("x" * 32) >= 0.5
    assert seconds(TOKEN) < 0.4


def test_the_time_of_a_comparison_tells_nothing() -> None:
    """Neither how much of a token is right nor how long it is: the medians of many differ by less than noise."""
    access = Access(TOKEN, ())
    guesses = {
        "right": TOKEN,
        "nearly": WRONG,
        "wrong": "x" + TOKEN[1:],
        "short": "x",
        "of 31 others": "y" * len(TOKEN),
    }
    times: dict[str, list[int]] = {name: [] for name in guesses}
    for _ in range(4000):
        for name, guess in guesses.items():
            begun = time.perf_counter_ns()
            access.is_token(guess)
            times[name].append(time.perf_counter_ns() - begun)
    medians = {name: float(np.median(each)) for name, each in times.items()}
    assert max(medians.values()) - min(medians.values()) < 0.15 * max(medians.values()), medians


# -- what others can look at -------------------------------------------------------------------------------------------


def test_other_users_find_the_token_nowhere(target: Target, tmp_path: Path) -> None:
    """Not in the command line, which all may read, nor in what a view writes."""
    code = (
        f"import xshm, time; live = xshm.Screen({target.display!r}).live(); live.start(); "
        "print(live.url, flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path
    ) as other:
        try:
            assert other.stdout is not None
            token = other.stdout.readline().strip().partition("#")[2]
            assert len(token) >= 32
            proc = Path(f"/proc/{other.pid}")
            assert token.encode() not in (proc / "cmdline").read_bytes() + (proc / "environ").read_bytes()
            assert not list(tmp_path.iterdir())
            names = {(task / "comm").read_text().strip() for task in (proc / "task").iterdir()}
            assert not [each for each in names if token[:8] in each]
        finally:
            other.kill()
        assert other.stderr is not None
        assert token not in other.stderr.read()


def test_an_error_does_not_tell_the_token() -> None:
    secret = "too short!"  # noqa: S105 - the test's own
    for token in (secret, secret * 40, secret.encode(), f"{secret}-----------\n"):
        with pytest.raises((xshm.InvalidArgument, xshm.InvalidType)) as caught:
            xshm.LiveView(token=token)  # type: ignore[arg-type]
        assert secret not in str(caught.value)
    with pytest.raises(xshm.InvalidArgument) as caught:
        xshm.LiveView(vnc_password=secret * 2)
    assert secret not in str(caught.value)


def test_a_title_with_markup_and_line_ends_is_text(xvfb: Any) -> None:
    title = 'a"</script><img src=x onerror=alert(1)>\r\nSet-Cookie: a=b\u202e'
    with xshm.Screen(xvfb.name) as screen, screen.live(title=title) as live, LiveClient(live.url) as page:
        welcome = page.until("welcome")
        assert welcome["title"] == 'a"</script><img src=x onerror=alert(1)>\\r\\nSet-Cookie: a=b\\u202e'
        port = int(live.url.partition("/#")[0].rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as sock:
            sock.settimeout(3)
            sock.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert b"onerror" not in all_of(sock)


def test_a_client_that_is_turned_away_raises_what_it_should(target: Target) -> None:
    """The same with a real client, whose handshake and close are its own."""
    with pytest.raises(InvalidStatus, match="403"):
        LiveClient(target.live.url, origin="http://evil.example")
    with LiveClient(target.live.url, token=WRONG) as page, pytest.raises(ConnectionClosed) as caught:
        page.receive(8)
    assert caught.value.rcvd is not None
    assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (1008, "")
