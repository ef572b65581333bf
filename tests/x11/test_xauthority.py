"""Xauthority files: the right cookie is found, a wrong one is not sent, and the error names the file that was read."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from xauthority_lines import COOKIE_NAME, line

from xshm.errors import AccessDenied, ConnectFailed, InvalidArgument, InvalidType
from xshm.x11 import xauthority as xauth
from xshm.x11.connection import Connection

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from servers import Server

_HOST = socket.gethostname().encode()


@pytest.fixture(autouse=True)
def _no_authority(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("XAUTHORITY", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def guarded(make_server: Callable[..., Server]) -> Server:
    return make_server("Xvfb", 320, 200, auth=True)


def cookie(server: Server) -> bytes:
    assert server.authority is not None
    (entry,) = xauth.parse(server.authority.read_bytes())
    return entry.data


# -- the file --------------------------------------------------------------------------------------------------------

_FIELD = st.binary(max_size=40)


@given(st.lists(st.tuples(st.integers(0, 65535), _FIELD, _FIELD, _FIELD, _FIELD), max_size=6), st.data())
def test_a_file_is_read_as_it_was_written_and_a_cut_one_up_to_the_cut(
    entries: list[tuple[int, bytes, bytes, bytes, bytes]], data: st.DataObject
) -> None:
    lines = [line(family, address, number, value, name) for family, address, number, name, value in entries]
    raw = b"".join(lines)
    assert list(xauth.parse(raw)) == [xauth.Entry(*entry) for entry in entries]
    cut = data.draw(st.integers(0, len(raw)))
    whole = next((count for count in range(len(lines), -1, -1) if len(b"".join(lines[:count])) <= cut), 0)
    assert list(xauth.parse(raw[:cut])) == [xauth.Entry(*entry) for entry in entries[:whole]]


def test_the_file_that_xauth_writes_is_read(tmp_path: Path) -> None:
    program = shutil.which("xauth")
    if program is None:
        pytest.skip("xauth is not installed")
    path = tmp_path / "authority"
    for command in ("add :3 . 00112233445566778899aabbccddeeff", "add 192.0.2.1:4 . 0123"):
        subprocess.run([program, "-f", str(path), *command.split()], check=True, capture_output=True)
    local, remote = xauth.parse(path.read_bytes())
    assert local == xauth.Entry(
        xauth.LOCAL, _HOST, b"3", COOKIE_NAME, bytes.fromhex("00112233445566778899aabbccddeeff")
    )
    assert remote == xauth.Entry(xauth.INTERNET, bytes([192, 0, 2, 1]), b"4", COOKIE_NAME, b"\x01\x23")


def test_an_entry_shown_in_a_traceback_keeps_its_secret() -> None:
    assert "secretsecret" not in repr(xauth.Entry(xauth.WILD, b"", b"", COOKIE_NAME, b"secretsecret"))


# -- who is let in ---------------------------------------------------------------------------------------------------


def test_the_cookie_is_found_in_the_file_that_the_caller_names(guarded: Server) -> None:
    Connection(guarded.name, guarded.authority).close()


def test_the_cookie_is_found_by_the_environment(guarded: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XAUTHORITY", str(guarded.authority))
    Connection(guarded.name).close()


def test_the_cookie_is_found_in_the_home_directory(guarded: Server, tmp_path: Path) -> None:
    assert guarded.authority is not None
    shutil.copy(guarded.authority, tmp_path / ".Xauthority")
    Connection(guarded.name).close()


def test_the_file_that_is_named_comes_before_the_environments(
    guarded: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XAUTHORITY", str(guarded.authority))
    wrong = tmp_path / "wrong"
    wrong.write_bytes(line(xauth.WILD, b"", b"", bytes(16)))
    with pytest.raises(AccessDenied, match="Invalid MIT-MAGIC-COOKIE-1 key"):
        Connection(guarded.name, wrong)


@pytest.mark.parametrize(
    ("family", "address", "number"),
    [
        (xauth.LOCAL, _HOST, None),
        (xauth.LOCAL, _HOST, b""),
        (xauth.WILD, b"", None),  # what people make for containers, whose host has another name
        (xauth.WILD, b"another-host", b""),
    ],
    ids=["local", "local, any display", "wild", "wild, any display"],
)
def test_an_entry_that_fits_opens_the_display(
    guarded: Server, tmp_path: Path, family: int, address: bytes, number: bytes | None
) -> None:
    path = tmp_path / "authority"
    own = guarded.name[1:].encode()
    others = [
        line(xauth.LOCAL, b"another-host", own, bytes(16)),
        line(xauth.LOCAL, _HOST, b"9999", bytes(16)),
        line(xauth.INTERNET, bytes(4), own, bytes(16)),
        line(xauth.WILD, b"", own, bytes(16), name=b"XDM-AUTHORIZATION-1"),
    ]
    path.write_bytes(b"".join(others) + line(family, address, own if number is None else number, cookie(guarded)))
    Connection(guarded.name, path).close()


def test_over_tcp_an_entry_for_the_address_or_the_host_opens_the_display(
    make_server: Callable[..., Server], tmp_path: Path
) -> None:
    server = make_server("Xvfb", 320, 200, auth=True, tcp=True)
    number, path = server.name[1:].encode(), tmp_path / "authority"
    for family, address in ((xauth.INTERNET, bytes([127, 0, 0, 1])), (xauth.LOCAL, _HOST), (xauth.WILD, b"")):
        path.write_bytes(line(family, address, number, cookie(server)))
        Connection(f"127.0.0.1{server.name}", path).close()
    path.write_bytes(line(xauth.INTERNET, bytes([127, 0, 0, 2]), number, cookie(server)))
    with pytest.raises(AccessDenied):
        Connection(f"127.0.0.1{server.name}", path)


# -- who is not ------------------------------------------------------------------------------------------------------


def test_a_wrong_cookie_is_denied_and_the_file_named(guarded: Server, tmp_path: Path) -> None:
    path = tmp_path / "authority"
    path.write_bytes(line(xauth.WILD, b"", b"", os.urandom(16)))
    with pytest.raises(AccessDenied, match=f"Invalid MIT-MAGIC-COOKIE-1 key; a cookie from {path} was sent"):
        Connection(guarded.name, path)


def test_no_entry_for_the_display_is_denied_and_the_entries_counted(guarded: Server, tmp_path: Path) -> None:
    path = tmp_path / "authority"
    path.write_bytes(line(xauth.LOCAL, b"another-host", b"", bytes(16)) * 3)
    with pytest.raises(AccessDenied, match=f"none of the 3 entries in {path} is for display {guarded.name[1:]}"):
        Connection(guarded.name, path)


def test_no_file_at_all_is_denied_and_the_place_named(guarded: Server, tmp_path: Path) -> None:
    with pytest.raises(AccessDenied, match=rf"there is no authority file \({tmp_path}/.Xauthority: No such file"):
        Connection(guarded.name)


def test_a_named_file_that_is_missing_is_a_failure_even_where_none_is_needed(xvfb: Server, tmp_path: Path) -> None:
    Connection(xvfb.name).close()
    with pytest.raises(ConnectFailed, match="missing can't be read: No such file") as failed:
        Connection(xvfb.name, tmp_path / "missing")
    assert isinstance(failed.value, OSError)


@pytest.mark.parametrize("path", [5, 1.5, b"/nope", ["/nope"], True])
def test_what_is_no_path_is_refused_by_its_type(xvfb: Server, path: Any) -> None:
    with pytest.raises(InvalidType, match=r"xauthority is the path of a file, or None, not \w+: "):
        Connection(xvfb.name, path)


@pytest.mark.parametrize("path", ["", "a\0b"])
def test_a_path_that_no_file_can_have_is_refused(xvfb: Server, path: str) -> None:
    with pytest.raises(InvalidArgument, match="xauthority is the path of a file, "):
        Connection(xvfb.name, path)


@pytest.mark.parametrize("name", [5, [":0"], {":0"}])
def test_a_display_that_is_no_text_is_refused_by_its_type(name: Any) -> None:
    with pytest.raises(InvalidType, match=r"a display is named by a text such as ':0', not by \w+: "):
        Connection(name)


@pytest.mark.parametrize(
    "name", [":" + "9" * 5000, ":0." + "9" * 5000, ":\N{ARABIC-INDIC DIGIT THREE}", "/run/\ud800", "@\ud800"]
)
def test_a_display_name_that_nothing_can_be_called_is_a_failure_to_connect(name: str) -> None:
    with pytest.raises(ConnectFailed, match="is no display name"):
        Connection(name)


@pytest.mark.parametrize("host", ["a..b", "a" * 300])
def test_a_host_that_no_name_server_could_know_is_a_failure_to_connect(host: str) -> None:
    with pytest.raises(ConnectFailed, match=r"the host '.*' is not known"):
        Connection(f"{host}:0")
