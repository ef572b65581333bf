"""Nobody gets anything of a screen over HTTP without its token, whatever is sent to the port.

Each attack returns all bytes that it was answered with. None of them may be of the screen: no picture, nor its title or
size, nor the token. After each of them a page that has the link sees what is painted, as before.
"""

from __future__ import annotations

import base64
import contextlib
import ssl
from typing import TYPE_CHECKING

import pytest
from live_target import (
    PASSWORD,
    TOKEN,
    WRONG,
    Target,
    attacked,
    check_that_nothing_is_in,
    hello,
    status,
    upgrade_headers,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    with attacked() as target:
        yield target


@pytest.fixture(autouse=True)
def _as_if_it_was_the_first(target: Target) -> None:
    target.forget_guesses()


def _tls(it: Target) -> bytes:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with it.connect() as sock, contextlib.suppress(OSError):
        context.wrap_socket(sock, server_hostname="localhost")
    return b""


# -- attacks by HTTP; the status that each is answered with ------------------------------------------------------------

_HTTP: dict[str, tuple[Callable[[Target], bytes], set[int]]] = {
    "a picture without a token": (lambda it: it.get("/frame.png"), {401}),
    "a stream without a token": (lambda it: it.get("/stream.mjpeg"), {401}),
    "a wrong token": (lambda it: it.get(f"/frame.png?token={WRONG}"), {401}),
    "an empty token": (lambda it: it.get("/frame.png?token="), {401}),
    "a part of the token": (lambda it: it.get(f"/frame.png?token={TOKEN[:16]}"), {401}),
    "the token in another case": (lambda it: it.get(f"/frame.png?token={TOKEN.upper()}"), {401}),
    "the token twice": (lambda it: it.get(f"/frame.png?token={TOKEN}&token={TOKEN}"), {401}),
    "the token by another name": (lambda it: it.get(f"/frame.png?Token={TOKEN}&t={TOKEN}"), {401}),
    "the token as a path": (lambda it: it.get(f"/{TOKEN}/frame.png"), {404}),
    "the token as a fragment": (lambda it: it.get(f"/frame.png#{TOKEN}"), {404, 401}),
    "the token as a cookie": (lambda it: it.get("/frame.png", f"Cookie: token={TOKEN}"), {401}),
    "the token as a password": (
        lambda it: it.get("/frame.png", "Authorization: Basic " + base64.b64encode(f":{TOKEN}".encode()).decode()),
        {401},
    ),
    "two authorizations": (
        lambda it: it.get("/frame.png", f"Authorization: Bearer {WRONG}", f"Authorization: Bearer {TOKEN}"),
        {401},
    ),
    "a wrong authorization over a right query": (
        lambda it: it.get(f"/frame.png?token={TOKEN}", f"Authorization: Bearer {WRONG}"),
        {401},
    ),
    "the VNC password as the token": (lambda it: it.get(f"/frame.png?token={PASSWORD}"), {401}),
    "a name that was pointed here (DNS rebinding)": (
        lambda it: it.get(f"/frame.png?token={TOKEN}", host=f"rebound.example:{it.port}"),
        {421},
    ),
    "a name that ends like ours": (lambda it: it.get("/", host="localhost.evil.example"), {421}),
    "a name with a name of ours before an @": (lambda it: it.get("/", host="localhost@evil.example"), {421}),
    "an address that a name goes on after": (lambda it: it.get("/", host="127.0.0.1.evil.example"), {421}),
    "a Host with two names": (lambda it: it.get("/", host="localhost, evil.example"), {421}),
    "an empty Host": (lambda it: it.get("/", host=""), {421}),
    "no Host": (lambda it: it.talk("GET / HTTP/1.1\r\n\r\n"), {421}),
    "two Hosts": (lambda it: it.get("/", "Host: evil.example"), {421}),
    "a Host of a megabyte": (lambda it: it.get("/", host="a" * (1 << 20)), {431, 0}),
    "a page of another site": (
        lambda it: it.get(f"/frame.png?token={TOKEN}", "Origin: http://evil.example"),
        {403},
    ),
    "a page of another port of this machine": (
        lambda it: it.get(f"/frame.png?token={TOKEN}", "Origin: http://127.0.0.1:1"),
        {403},
    ),
    "a page without an origin (a sandbox, a file)": (
        lambda it: it.get(f"/frame.png?token={TOKEN}", "Origin: null"),
        {403},
    ),
    "two Origins": (
        lambda it: it.get(f"/frame.png?token={TOKEN}", f"Origin: http://127.0.0.1:{it.port}", "Origin: null"),
        {403},
    ),
    "files beside the page's": (lambda it: it.get("/../pages.py"), {404}),
    "files beside the page's, in disguise": (
        lambda it: (
            it.get("/%2e%2e/pages.py") + it.get("/..%2fpages.py") + it.get("//etc/passwd") + it.get("/page.html\0")
        ),
        {404, 0},
    ),
    "an absolute address": (lambda it: it.get("http://evil.example/frame.png"), {404}),
    "a proxy's CONNECT": (lambda it: it.get("127.0.0.1:6000", method="CONNECT"), {405, 0}),
    "a channel that is not there": (lambda it: it.get("/frame.png?channel=2"), {401}),
    "channels that are no numbers": (
        lambda it: b"".join(
            it.get(f"/frame.png?token={TOKEN}&channel={each}")
            for each in ("-1", "1e0", "%D9%A1", "9" * 5000, "1%00", "0x1")
        ),
        {404},
    ),
    "a thousand fields": (
        lambda it: it.get("/frame.png?" + "&".join(f"a{n}=1" for n in range(1000)) + f"&token={TOKEN}"),
        {401},
    ),
    "bytes that are no text": (lambda it: it.talk(b"GET /\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n"), {0, 400, 404}),
    "a query that is no UTF-8": (lambda it: it.get("/frame.png?token=%ff%fe"), {401}),
    "HTTP/1.0": (lambda it: it.get("/frame.png", version="1.0"), {401}),
    "HTTP/1.0 without a Host": (lambda it: it.talk("GET /frame.png HTTP/1.0\r\n\r\n"), {421}),
    "HTTP/2's preface": (lambda it: it.talk(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), {0}),
    "TLS, spoken to what has none": (_tls, {0}),
    "a line without an end": (lambda it: it.talk(b"G" * 100_000), {414, 0}),
    "headers of 128 KiB": (lambda it: it.get("/", *(f"X-{n}: {'a' * 1000}" for n in range(200))), {431, 0}),
    "a header on several lines": (
        lambda it: it.talk("GET / HTTP/1.1\r\nHost: localhost\r\nX: a\r\n b\r\n\r\n"),
        {0, 400},
    ),
    "lines that end in LF alone": (lambda it: it.talk("GET /frame.png HTTP/1.1\nHost: localhost\n\n"), {0, 400}),
    "a request within a body (smuggling)": (
        lambda it: it.talk(
            f"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
            f"GET /frame.png?token={TOKEN} HTTP/1.1\r\nHost: localhost\r\n\r\n"
        ),
        {0},
    ),
    "a second request behind the first": (
        lambda it: it.talk(
            "GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n"
            f"GET /frame.png?token={TOKEN} HTTP/1.1\r\nHost: localhost\r\n\r\n"
        ),
        {404, 0},
    ),
    "header injection by the path": (lambda it: it.get("/%0d%0aSet-Cookie:%20a=b"), {404}),
    "a WebSocket of a page of another site": (lambda it: it.upgrade("/live", "Origin: http://evil.example"), {403}),
    "a WebSocket of a rebound name": (
        lambda it: it.upgrade("/live", f"Origin: http://rebound.example:{it.port}", host=f"rebound.example:{it.port}"),
        {421},
    ),
    "a WebSocket of a page without an origin": (lambda it: it.upgrade("/live", "Origin: null"), {403}),
    "a WebSocket that speaks nothing": (lambda it: it.upgrade("/live", subprotocol=""), {400}),
    "a WebSocket that speaks another version": (lambda it: it.upgrade("/live", subprotocol="xshm.live.99"), {400}),
    "a WebSocket at another path": (lambda it: it.upgrade("/frame.png") + it.upgrade("/"), {401}),
    "a WebSocket by POST": (lambda it: it.get("/live", *upgrade_headers(), method="POST"), {405, 0}),
    "VNC of a page of another site": (
        lambda it: it.upgrade("/rfb", "Origin: http://evil.example", subprotocol="binary"),
        {403},
    ),
    "VNC of a channel that is not there": (lambda it: it.upgrade("/rfb?channel=9", subprotocol="binary"), {404}),
}
for _method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "PROPFIND", "get"):
    _HTTP[f"the method {_method}"] = (
        lambda it, method=_method: it.get(f"/frame.png?token={TOKEN}", method=method),  # type: ignore[misc]
        {405, 0},
    )


@pytest.mark.parametrize("name", _HTTP)
def test_http(target: Target, name: str) -> None:
    attack, expected = _HTTP[name]
    answer = attack(target)
    assert status(answer) in expected, answer[:300]
    check_that_nothing_is_in(answer)
    target.check_that_it_goes_on()


def test_the_controls_of_these_attacks_are_let_in(target: Target) -> None:
    """Else the tests above would pass with a view that answers nothing."""
    for answer in (
        target.get(f"/frame.png?token={TOKEN}"),
        target.get("/frame.png", f"Authorization: Bearer {TOKEN}", f"Origin: http://127.0.0.1:{target.port}"),
        target.get(f"/frame.png?token={TOKEN}", host="localhost"),
        target.get(f"/frame.png?token={TOKEN}&channel=1", host="[::1]:1", version="1.0"),
    ):
        assert status(answer) == 200
        assert b"\x89PNG" in answer
    page = target.get("/")
    assert status(page) == 200
    assert b"<!DOCTYPE html>" in page
    assert not [each for each in (b"s3cret", TOKEN.encode(), b"1237", b"1019") if each in page]
    assert target.get("/", method="HEAD").endswith(b"\r\n\r\n")
    assert b"s3cret" in target.websocket(hello(), then=1)
    answer = target.upgrade("/rfb", subprotocol="binary", seconds=0.5)
    assert b" 101 " in answer
    assert answer.endswith(b"RFB 003.008\n")  # and no more before the password
    check_that_nothing_is_in(answer)
