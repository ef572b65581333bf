"""Other users of the machine: one who listens in a server's place gets no cookie, and can't replace our sockets."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from another_user import UID, Stranger, needs_root
from xauthority_lines import line

import xshm
from xshm.cli import main
from xshm.errors import ConnectFailed, StartFailed, UntrustedServer
from xshm.virtual.directories import AuthorityFile, private_place
from xshm.x11 import xauthority as xauth

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from servers import Server

_NUMBER = 61000 + os.getpid() % 4000  # another for each run of the suite
_NAME = f":{_NUMBER}"
_PLACE = f"@/tmp/.X11-unix/X{_NUMBER}"
_COOKIE = bytes(range(100, 116))


@pytest.fixture(scope="module")
def stranger() -> Iterator[Stranger]:
    with Stranger(_PLACE) as stranger:
        yield stranger


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a file of ours with a cookie for every display; the environment names another, without any."""
    path = tmp_path / "authority"
    path.write_bytes(line(xauth.WILD, b"", b"", _COOKIE))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XAUTHORITY", raising=False)
    return path


def _run(program: str, *arguments: object, unshare: str = "", before: str = "true") -> str:
    """Run a program in namespaces of its own, after a shell command, and return what it printed."""
    command = ["unshare", *unshare.split(), "sh", "-c", f'{before} && exec "$@"', "sh"] if unshare else []
    command += [sys.executable, "-c", textwrap.dedent(program), *map(str, arguments)]
    tests = str(Path(__file__).parents[1] / "helpers")
    run = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=120, env=os.environ | {"PYTHONPATH": tests}
    )
    if "unshare failed" in run.stderr or "mount: " in run.stderr:
        pytest.skip(f"namespaces are not allowed here: {run.stderr.strip()}")
    assert run.returncode == 0, run.stderr
    return run.stdout


# -- who is sent a cookie ----------------------------------------------------------------------------------------------


@needs_root
@pytest.mark.parametrize("how", ["environment", "home directory", "display of our own"])
def test_a_stranger_that_listens_first_is_sent_nothing(
    stranger: Stranger, authority: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: Any = None
    if how == "environment":
        monkeypatch.setenv("XAUTHORITY", str(authority))
    elif how == "home directory":
        authority = authority.rename(authority.with_name(".Xauthority"))
    else:
        given = AuthorityFile(authority)
    before = len(stranger.heard())
    words = (
        f"the X server at unix:{_PLACE} belongs to uid {UID}, process {stranger.pid}, who is neither root nor uid 0, "
        f"and is not sent the cookie that {authority} has for it; if that server is meant, say so with "
        f"xauthority='{authority}'"
    )
    with pytest.raises(UntrustedServer, match=re.escape(words)) as refused:
        xshm.Screen(_NAME, xauthority=given)
    assert isinstance(refused.value, ConnectFailed)
    assert not any(stranger.heard()[before:])


@needs_root
def test_a_stranger_behind_a_socket_in_the_file_system_is_sent_nothing(
    authority: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XAUTHORITY", str(authority))
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    os.chown(theirs, UID, UID)
    for directory in (tmp_path, *tmp_path.parents):
        if directory.stat().st_uid == os.geteuid() and directory.stat().st_mode & 0o011 != 0o011:
            directory.chmod(directory.stat().st_mode | 0o011)
    with Stranger(theirs / "X5") as stranger:
        with pytest.raises(UntrustedServer, match=f"unix:{theirs}/X5 belongs to uid {UID}"):
            xshm.Screen(str(theirs / "X5"))
        with pytest.raises(UntrustedServer):
            xshm.VirtualDisplay.attach(theirs / "X5")
        assert not any(stranger.heard())


@needs_root
def test_a_file_that_is_named_by_hand_says_that_the_server_is_meant(stranger: Stranger, authority: Path) -> None:
    for given in (authority, str(authority)):
        with pytest.raises(ConnectFailed, match="I am a stranger") as refused:
            xshm.Screen(_NAME, xauthority=given)
        assert not isinstance(refused.value, UntrustedServer)
        assert stranger.heard()[-1].endswith(_COOKIE)


@needs_root
def test_the_owner_of_the_file_that_the_cookie_is_in_knows_it_anyway(
    stranger: Stranger, authority: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XAUTHORITY", str(authority))  # as sudo and containers have it
    os.chown(authority, UID, UID)
    with pytest.raises(ConnectFailed, match="I am a stranger"):
        xshm.Screen(_NAME)
    assert stranger.heard()[-1].endswith(_COOKIE)


@needs_root
def test_where_there_is_no_cookie_a_stranger_is_connected_to_without_one(
    stranger: Stranger, authority: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority.write_bytes(line(xauth.WILD, b"", b"7", _COOKIE))
    monkeypatch.setenv("XAUTHORITY", str(authority))
    with pytest.raises(ConnectFailed, match="I am a stranger"):
        xshm.Screen(_NAME)
    assert len(stranger.heard()[-1]) == 12


@needs_root
def test_the_command_line_says_the_flag(
    stranger: Stranger, authority: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XAUTHORITY", str(authority))
    assert main.main(["info", "--display", _NAME]) == 2
    assert capsys.readouterr().err.endswith(f"if that server is meant, say so with --xauthority {authority}\n")
    assert main.main(["info", "--display", _NAME, "--xauthority", str(authority)]) == 2
    assert "I am a stranger" in capsys.readouterr().err
    assert stranger.heard()[-1].endswith(_COOKIE)


@needs_root
def test_roots_server_is_no_stranger_to_a_user(make_server: Callable[..., Server]) -> None:
    server = make_server("Xvfb", 320, 200, auth=True)
    assert server.authority is not None
    program = f"""
        import os, sys, xshm
        xshm.Screen, xshm.Frame  # imported before this user can't read them any more
        os.environ["XAUTHORITY"] = sys.argv[2]
        with xshm.Screen(sys.argv[1]) as screen: screen.grab().rgb()
        os.chown(sys.argv[2], {UID}, {UID})
        os.chmod(os.path.dirname(sys.argv[2]), 0o711)
        os.setgroups([]); os.setgid({UID}); os.setuid({UID})
        with xshm.Screen(sys.argv[1]) as screen: print(screen.grab().width)
    """
    if not Path(server.authority).is_relative_to("/tmp"):  # noqa: S108 - where everybody can go
        pytest.skip("the server's files are where no other user can go")
    for directory in server.authority.parents[1:]:
        if directory.stat().st_mode & 0o011 != 0o011:
            directory.chmod(directory.stat().st_mode | 0o011)
    assert _run(program, server.name, server.authority) == "320\n"


@needs_root
@pytest.mark.usefixtures("stranger")
def test_in_a_user_namespace_all_who_have_no_number_there_are_strangers(authority: Path) -> None:
    os.chown(authority, 12345, 12345)  # has no number there either, and so the stranger's
    authority.chmod(0o644)
    program = f"""
        import os, sys, xshm
        os.environ["XAUTHORITY"] = sys.argv[1]
        assert os.stat(sys.argv[1]).st_uid == {UID}
        try:
            xshm.Screen({_NAME!r})
        except xshm.UntrustedServer as error:
            print(error.strerror.partition(",")[0])
    """
    told = _run(program, authority, unshare="--user --map-root-user")
    assert told == f"the X server at unix:{_PLACE} belongs to uid {UID}\n"


# -- displays of our own -----------------------------------------------------------------------------------------------

_SOCKETS = "/tmp/.X11-unix"  # noqa: S108 - where X servers listen


@needs_root
def test_a_socket_that_was_replaced_after_the_start_gets_no_cookie_of_a_displays() -> None:
    program = f"""
        import os, xshm
        from another_user import Stranger
        with xshm.VirtualDisplay(64, 48, timeout=60) as display:
            path = {_SOCKETS!r} + "/X" + display.name[1:]
            assert os.path.exists(path)
            os.rename(path, path + "-before")
            with Stranger(path) as stranger:
                opens = (
                    lambda: display.screen,
                    lambda: xshm.Screen(display.name, xauthority=display.xauthority),
                    lambda: xshm.VirtualDisplay.attach(display.name, display.xauthority),
                    lambda: display.framebuffer.sync(),
                )
                for open in opens:
                    try:
                        open()
                    except xshm.UntrustedServer as error:
                        print(f"uid {UID}" in str(error), flush=True)
                with display.activate():
                    try:
                        xshm.grab()
                    except xshm.UntrustedServer:
                        print(True, flush=True)
                assert not any(stranger.heard()), stranger.heard()
                os.unlink(path)
            os.rename(path + "-before", path)
            print(display.screen.grab().size)
    """
    mount = f"mkdir -p {_SOCKETS} && mount -t tmpfs -o mode=777 none {_SOCKETS}"
    assert _run(program, unshare="--mount", before=mount) == "True\n" * 5 + "(64, 48)\n"


@needs_root
def test_a_directory_of_a_stranger_s_is_done_without() -> None:
    program = f"""
        import os, xshm
        with xshm.VirtualDisplay(64, 48, timeout=60) as display:
            assert os.listdir({_SOCKETS!r}) == [], os.listdir({_SOCKETS!r})
            assert os.stat({_SOCKETS!r}).st_uid == {UID}
            print(display.screen.grab().size, display.screen.connection.address.startswith("unix:@"))
        try:
            xshm.VirtualDisplay(64, 48, timeout=60, args=["-nolisten", "local"])
        except xshm.StartFailed as error:
            print(str(error).rpartition("; ")[2])
    """
    mount = f"mkdir -p {_SOCKETS} && mount -t tmpfs -o mode=1777,uid={UID} none {_SOCKETS}"
    assert _run(program, unshare="--mount", before=mount) == (
        f"(64, 48) True\nsince {_SOCKETS} belongs to uid {UID}, an abstract socket was all that it tried\n"
    )


@needs_root
def test_a_directory_in_which_everybody_can_replace_sockets_is_done_without() -> None:
    program = f"""
        import os
        from xshm.virtual.directories import why_not_for_sockets
        from xshm.virtual.kinds.choice import choose
        from xshm.virtual.spec import DisplaySpec
        from xshm.virtual.start import command_of
        spec = DisplaySpec()
        for user in (0, {UID}):  # root's server makes the directory sticky
            os.seteuid(user)
            print("unix" in command_of(spec, choose(spec)).options, why_not_for_sockets(is_started=True))
    """
    mount = f"mkdir -p {_SOCKETS} && mount -t tmpfs -o mode=777 none {_SOCKETS}"
    why = f"everybody can replace what is in {_SOCKETS} (chmod +t)"
    assert _run(program, unshare="--mount", before=mount) == f"False {why}\nTrue {why}\n"


@needs_root
def test_a_directory_that_became_a_stranger_s_during_the_start_is_told() -> None:
    program = f"""
        import os, time, xshm
        from xshm.virtual.servers.server import SupervisedServer
        hear = SupervisedServer._wait_hello
        def hear_and_give_away(self, deadline):
            hear(self, deadline)
            while not os.listdir({_SOCKETS!r}): time.sleep(0.001)
            os.chown({_SOCKETS!r}, {UID}, {UID})
        SupervisedServer._wait_hello = hear_and_give_away
        try:
            xshm.VirtualDisplay(64, 48, timeout=60)
        except xshm.StartFailed as error:
            print(error)
    """
    mount = f"mkdir -p {_SOCKETS} && mount -t tmpfs -o mode=1777 none {_SOCKETS}"
    assert _run(program, unshare="--mount", before=mount) == (
        f"{_SOCKETS} belongs to uid {UID} since a moment ago; started again, the display does without a socket there\n"
    )


@needs_root
def test_a_display_s_files_go_only_where_nobody_else_can_replace_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert private_place() == str(tmp_path)
    for mode, owner in ((0o777, 0), (0o755, UID), (0o1777, UID)):
        tmp_path.chmod(mode)
        os.chown(tmp_path, owner, -1)
        assert private_place() != str(tmp_path)
        with xshm.VirtualDisplay(64, 48, timeout=60, framebuffer="none") as display:
            assert display.xauthority is not None
            assert not display.xauthority.is_relative_to(tmp_path)
    program = """
        import xshm
        try:
            xshm.VirtualDisplay(64, 48)
        except xshm.StartFailed as error:
            print(error)
    """
    told = _run(program, unshare="--mount", before="mount -t tmpfs -o mode=777 none /dev/shm")
    assert "can be written by everybody, who could replace what is in it (chmod +t)" in told


# -- the framebuffer's file --------------------------------------------------------------------------------------------


def _mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


def test_a_framebuffer_s_file_is_this_user_s_alone_unless_it_is_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "Xvfb_screen0"
    before = os.umask(0)
    try:
        with xshm.VirtualDisplay(64, 48, timeout=60, framebuffer=tmp_path):
            assert _mode(file) == 0o600
        for mode in (0o644, 0o660):
            spec = xshm.DisplaySpec(64, 48, timeout=60, framebuffer=tmp_path, framebuffer_mode=mode)
            with xshm.VirtualDisplay.from_spec(spec) as display:
                assert _mode(file) == mode
                assert display.framebuffer.grab().size == (64, 48)
    finally:
        os.umask(before)
    assert list(tmp_path.iterdir()) == []


def test_it_is_closed_to_others_before_the_server_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrapper, said = tmp_path / "Xvfb", tmp_path / "said"
    wrapper.write_text(f"#!/bin/sh\nstat -c %a {tmp_path}/Xvfb_screen0 >{said}; umask >>{said}; exit 1\n")
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    before = os.umask(0)
    try:
        with pytest.raises(StartFailed):
            xshm.VirtualDisplay(64, 48, timeout=60, framebuffer=tmp_path, framebuffer_mode=0o644)
    finally:
        os.umask(before)
    assert said.read_text() == "600\n0077\n"
    assert not (tmp_path / "Xvfb_screen0").exists()


@pytest.mark.parametrize("mode", [0o400, 0o755, 0o4644, -1, 0o700])
def test_a_mode_that_no_framebuffer_can_have_is_refused(mode: int, tmp_path: Path) -> None:
    with pytest.raises(xshm.InvalidArgument, match="framebuffer_mode is 0o600, which is this user alone"):
        xshm.DisplaySpec(framebuffer=tmp_path, framebuffer_mode=mode)
    with pytest.raises(xshm.InvalidArgument, match="framebuffer_mode=0o644 is about the file in a directory"):
        xshm.DisplaySpec(framebuffer_mode=0o644)
    with pytest.raises(xshm.InvalidType, match="framebuffer_mode is a whole number"):
        xshm.DisplaySpec(framebuffer=tmp_path, framebuffer_mode="644")  # type: ignore[arg-type]


@pytest.mark.parametrize("what", ["a link", "a second name"])
def test_what_somebody_puts_in_the_file_s_place_is_not_read(
    tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory, other = tmp_path / "kept", tmp_path / "other"
    directory.mkdir()
    other.write_bytes(b"somebody's")
    file = directory / "Xvfb_screen0"
    put = f"ln -sf {other} {file}" if what == "a link" else f"ln {file} {other}-2"
    real = shutil.which("Xvfb")
    wrapper = tmp_path / "Xvfb"
    wrapper.write_text(f'#!/bin/sh\n{put}\nexec {real} "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(StartFailed, match=f"{file} is not the file any more that was made for the framebuffer"):
        xshm.VirtualDisplay(64, 48, timeout=60, framebuffer=directory)
    assert list(directory.iterdir()) == []
