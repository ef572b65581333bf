"""How a live view is to be served is checked before anything is begun, and refused with the way out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from xshm.errors import InvalidArgument, InvalidType
from xshm.live.settings import LiveSettings
from xshm.live.web.access import Access


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"port": -1}, InvalidArgument, r"port is 0 \(any that is free\) to 65535, not -1"),
        ({"port": 65536}, InvalidArgument, "to 65535, not 65536"),
        ({"port": "80"}, InvalidType, "port is a whole number, not str"),
        ({"port": True}, InvalidType, "port is a whole number, not bool"),
        ({"vnc_port": 70000}, InvalidArgument, "vnc_port is 0"),
        ({"host": ""}, InvalidArgument, "host is a host's name or address"),
        ({"host": "a b"}, InvalidArgument, "host is a host's name or address"),
        ({"host": "http://x"}, InvalidArgument, "host is a host's name or address"),
        ({"host": b"localhost"}, InvalidType, "host is a text, not bytes"),
        ({"host": "0.0.0.0"}, InvalidArgument, "tls_cert=…, or say that it may, unencrypted=True"),  # noqa: S104
        ({"host": "::"}, InvalidArgument, "ssh -L"),
        ({"host": "example.org"}, InvalidArgument, "reached over a network"),
        ({"host": "10.0.0.1", "tls_cert": "c.pem", "vnc_port": 0}, InvalidArgument, "leave vnc_port out"),
        ({"fps": 0}, InvalidArgument, "above 0 and at most 1000, not 0"),
        ({"fps": float("nan")}, InvalidArgument, "above 0"),
        ({"fps": "60"}, InvalidType, "fps is a number"),
        ({"allow_input": 1}, InvalidType, "allow_input is True or False, not int"),
        ({"video": None}, InvalidType, "video is True or False"),
        ({"unencrypted": "yes"}, InvalidType, "unencrypted is True or False"),
        ({"token": "short"}, InvalidArgument, "16 to 256 of the characters .* of 5, has not"),
        ({"token": "a" * 15 + "/"}, InvalidArgument, "has 16 to 256"),
        ({"token": 7}, InvalidType, "token is a text, not int"),
        ({"vnc_password": "short"}, InvalidArgument, "6 to 8 characters, not 5"),
        ({"tls_key": "k.pem"}, InvalidArgument, "name that, too, by tls_cert="),
        ({"tls_cert": ""}, InvalidArgument, "tls_cert is a path"),
        ({"tls_cert": 5}, InvalidType, "tls_cert is a path"),
        ({"allowed_hosts": "one.example"}, InvalidType, "allowed_hosts are texts"),
        ({"allowed_hosts": ["one.example", "two/"]}, InvalidArgument, "each of allowed_hosts"),
        ({"max_viewers": 0}, InvalidArgument, "max_viewers is 1 to 1000, not 0"),
    ],
)
def test_what_can_not_be_is_refused(arguments: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        LiveSettings(**arguments)


def test_what_can_be_is_taken() -> None:
    settings = LiveSettings(port=np.int64(8080), host="LOCALHOST", allowed_hosts=("Proxy.Example",), fps=25)  # type: ignore[arg-type]
    assert (settings.port, settings.host, settings.allowed_hosts) == (8080, "localhost", ("proxy.example",))
    assert settings.is_loopback
    for host in ("127.0.0.2", "::1", "[::1]"):
        assert LiveSettings(host=host).is_loopback
    assert not LiveSettings(host="10.0.0.1", unencrypted=True).is_loopback
    assert not LiveSettings(host="example.org", tls_cert="c.pem", tls_key="k.pem").is_loopback


def test_tokens_and_passwords_are_random_and_not_shown() -> None:
    tokens = {LiveSettings().token for _ in range(50)}
    assert len(tokens) == 50
    assert all(token is not None and len(token) >= 32 for token in tokens)
    assert LiveSettings().vnc_password is None  # no VNC, unless it is asked for
    settings = LiveSettings(vnc_port=0)
    assert settings.vnc_password
    assert settings.token
    assert settings.token not in repr(settings)
    assert settings.vnc_password not in repr(settings)


@pytest.mark.parametrize(
    ("host", "is_right"),
    [
        ("127.0.0.1:8080", True),
        ("LocalHost", True),
        ("[::1]:80", True),
        ("[fe80::1]", True),
        ("192.0.2.1:65535", True),
        ("proxy.example:443", True),
        ("PROXY.example", True),
        ("evil.example", False),
        ("proxy.example.", False),
        ("xproxy.example", False),
        ("127.0.0.1.", False),
        ("127.1", False),
        ("0x7f000001", False),
        ("::1", False),
        ("[::1", False),
        ("[::1]x", False),
        ("127.0.0.1:", False),
        ("127.0.0.1:80:80", False),
        ("127.0.0.1:x", False),
        (" 127.0.0.1", False),
        ("127.0.0.1\t", False),
        ("\u217cocalhost", False),
        ("localhost/", False),
        ("", False),
    ],
)
def test_hosts_are_known_names_and_addresses(host: str, is_right: bool) -> None:
    access = Access("x" * 16, ("127.0.0.1", "proxy.example"))
    assert access.is_host([host]) is is_right
    assert not access.is_host([host, host])
    assert not access.is_host([])


@pytest.mark.parametrize(
    ("origin", "host", "is_right"),
    [
        ("http://127.0.0.1:8080", "127.0.0.1:8080", True),
        ("https://proxy.example", "proxy.example", True),
        ("https://proxy.example", "proxy.example:443", True),
        ("http://LOCALHOST:80", "localhost", True),
        ("http://[::1]:8080", "[::1]:8080", True),
        ("http://127.0.0.1:8081", "127.0.0.1:8080", False),
        ("http://localhost:8080", "127.0.0.1:8080", False),
        ("http://127.0.0.1:8080.evil.example", "127.0.0.1:8080", False),
        ("http://evil.example#127.0.0.1:8080", "127.0.0.1:8080", False),
        ("http://127.0.0.1:8080@evil.example", "127.0.0.1:8080", False),
        ("http://127.0.0.1:8080/", "127.0.0.1:8080", False),
        ("chrome-extension://127.0.0.1:8080", "127.0.0.1:8080", False),
        ("file://", "127.0.0.1:8080", False),
        ("null", "127.0.0.1:8080", False),
        ("", "127.0.0.1:8080", False),
    ],
)
def test_an_origin_is_that_of_the_host(origin: str, host: str, is_right: bool) -> None:
    access = Access("x" * 16, ())
    assert access.is_origin([origin], [host]) is is_right
    assert access.is_origin([], [host])  # no page at all
    assert not access.is_origin([origin, origin], [host])
