"""A file that is written over time gets its name late, and until then the old one is as it was."""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import resource
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from disks import MS_BIND, NOBODY, as_nobody, descriptors, fill, mount, names
from interrupt_points import at_every_point

from xshm.errors import Closed, TargetDenied, TargetIsDirectory, TargetNotFound, XshmError
from xshm.system import replacement
from xshm.system.replacement import Replacement

if TYPE_CHECKING:
    from collections.abc import Iterator

OLD, FIRST, MORE = b"old " * 1000, b"first " * 1000, b"more " * 1000


@pytest.fixture(params=["unnamed", "hidden"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Have both kinds of files; a file system without the first is told by its answer to the kernel's flag."""
    if request.param == "hidden":
        monkeypatch.setattr(os, "O_TMPFILE", os.O_DIRECTORY)  # what a kernel without the flag sees of it: EISDIR
    return str(request.param)


def write(file: Replacement, data: bytes) -> None:
    """Write as libav does: by a file that is opened by the descriptor's name."""
    with Path(f"/proc/self/fd/{file.descriptor}").open("r+b") as out:
        out.seek(0, os.SEEK_END)
        out.write(data)


def write_without_end(file: Replacement) -> None:
    while True:
        os.write(file.descriptor, FIRST)


# -- when the name is given --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("there", [True, False])
def test_the_old_file_is_there_until_the_commit_and_writing_goes_on_after_it(
    tmp_path: Path, kind: str, *, there: bool
) -> None:
    path = tmp_path / "out.mp4"
    if there:
        path.write_bytes(OLD)
    before = descriptors()
    file = Replacement(path)
    write(file, FIRST)
    assert (path.read_bytes() if path.exists() else None) == (OLD if there else None)
    hidden = [name for name in names(tmp_path) if name != "out.mp4"]
    assert len(hidden) == (kind == "hidden")
    assert all(name.startswith(".xshm-") for name in hidden)
    for _ in range(2):
        file.commit()
        assert path.read_bytes() == FIRST
        assert names(tmp_path) == ["out.mp4"]
    os.write(file.descriptor, b"F")  # the number's own place in the file is its beginning
    write(file, MORE)
    file.close()
    assert path.read_bytes() == b"F" + FIRST[1:] + MORE
    assert names(tmp_path) == ["out.mp4"]
    assert descriptors() == before


@pytest.mark.parametrize("end", [Replacement.discard, Replacement.close])
def test_what_is_discarded_leaves_the_old_file_and_nothing_else(tmp_path: Path, kind: str, end: Any) -> None:
    path = tmp_path / "out.mp4"
    path.write_bytes(OLD)
    before, there = path.stat(), descriptors()
    for target in (path, tmp_path / "new.mp4"):
        file = Replacement(target)
        write(file, FIRST)
        end(file)
        end(file)
        file.commit()
        with pytest.raises(Closed, match=target.name):
            _ = file.descriptor
    after = path.stat()
    unchanged = (after.st_ino, after.st_size, after.st_ctime_ns) == (before.st_ino, before.st_size, before.st_ctime_ns)
    assert unchanged, f"{kind} files leave the old one alone"
    assert path.read_bytes() == OLD
    assert names(tmp_path) == ["out.mp4"]
    assert descriptors() == there


def test_a_discard_after_the_commit_keeps_what_has_its_name(tmp_path: Path, kind: str) -> None:
    file = Replacement(tmp_path / kind)
    write(file, FIRST)
    file.commit()
    file.discard()
    assert (tmp_path / kind).read_bytes() == FIRST


def test_a_process_that_is_killed_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    path.write_bytes(OLD)
    program = (
        "import os, signal, sys; from xshm.system.replacement import Replacement\n"
        "file = Replacement(sys.argv[1]); os.write(file.descriptor, b'new'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    run = subprocess.run([sys.executable, "-c", program, path], check=False)
    assert run.returncode == -signal.SIGKILL
    assert path.read_bytes() == OLD
    assert names(tmp_path) == ["out.mp4"]


def test_a_file_lands_where_its_name_led_though_the_working_directory_changes(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path)
    file = Replacement(kind)
    write(file, FIRST)
    monkeypatch.chdir("other")
    file.commit()
    assert (tmp_path / kind).read_bytes() == FIRST
    assert names(tmp_path / "other") == []


@pytest.mark.parametrize("there", [True, False])
def test_an_interrupt_at_any_point_leaves_the_old_file_or_the_new_one_and_nothing_else(
    tmp_path: Path, kind: str, *, there: bool
) -> None:
    path = tmp_path / "out.mp4"
    if there:
        path.write_bytes(OLD)
    gc.collect()
    before = descriptors()

    def work() -> None:
        file = Replacement(path)
        try:
            os.write(file.descriptor, FIRST)
            file.commit()
        finally:
            file.discard()

    seen, strays = set(), 0
    for interrupted in at_every_point(work):
        content = path.read_bytes() if path.exists() else None
        assert content in (OLD if there else None, FIRST)
        seen.add(content)
        left = [name for name in names(tmp_path) if name != "out.mp4"]
        strays += len(left)
        for name in left:
            (tmp_path / name).unlink()
        if not interrupted:
            assert content == FIRST
        elif content == FIRST:
            path.unlink()
            if there:
                path.write_bytes(OLD)
    assert len(seen) == 2
    assert strays <= 2 * (kind == "hidden"), "but by one in the first instruction of `discard`, as by a kill"
    assert descriptors() == before


def test_a_commit_that_was_interrupted_is_done_again_whatever_it_had_reached(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    file = Replacement(path)
    write(file, FIRST)
    for _ in at_every_point(file.commit):
        assert len(names(tmp_path)) <= 1
    assert path.read_bytes() == FIRST
    assert path.stat().st_nlink == 1
    file.close()


# -- what stays as it was ----------------------------------------------------------------------------------------------


def test_a_new_file_has_the_mode_that_the_umask_leaves(tmp_path: Path, kind: str) -> None:
    former = os.umask(0o027)
    try:
        with Replacement(tmp_path / kind) as file:
            file.commit()
    finally:
        os.umask(former)
    assert stat.S_IMODE((tmp_path / kind).stat().st_mode) == 0o640


def test_mode_owner_and_extended_attributes_stay(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "out.mp4"
    path.write_bytes(OLD)
    if os.geteuid() == 0:
        os.chown(path, 1234, 4321)
    path.chmod(0o606)
    with contextlib.suppress(OSError):  # of a file system that has none
        os.setxattr(path, "user.comment", b"mine")
    before, attributes = path.stat(), os.listxattr(path)
    with Replacement(path) as file:
        write(file, FIRST)
        file.commit()
    after = path.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert after.st_ino != before.st_ino
    assert os.listxattr(path) == attributes
    assert path.read_bytes() == FIRST, kind


def test_a_commit_that_fails_can_be_tried_again(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "out.mp4"
    file = Replacement(path)
    write(file, FIRST)
    path.mkdir()
    with pytest.raises(TargetIsDirectory, match=r"out\.mp4"):
        file.commit()
    path.rmdir()
    file.commit()
    assert path.read_bytes() == FIRST, kind
    file.close()
    assert names(tmp_path) == ["out.mp4"]


def test_what_a_symbolic_link_leads_to_is_replaced_and_the_link_stays(tmp_path: Path, kind: str) -> None:
    (tmp_path / "there").mkdir()
    target, link = tmp_path / "there/out.mp4", tmp_path / kind
    link.symlink_to("there/out.mp4")
    for expected in (FIRST, MORE):  # the link dangles at first
        with Replacement(link) as file:
            write(file, expected)
            file.commit()
        assert target.read_bytes() == expected
    assert link.is_symlink()
    assert names(tmp_path / "there") == ["out.mp4"]


@pytest.mark.skipif(os.geteuid() != 0, reason="another user's file takes root to make")
@pytest.mark.parametrize("what", ["link", "file"])
def test_what_others_have_put_where_everybody_can_is_neither_followed_nor_written(
    own_directory: Path, what: str, tmp_path: Path
) -> None:
    theirs, ours = own_directory / "out.mp4", tmp_path / "ours"
    ours.write_bytes(OLD)
    if what == "file":
        theirs.write_bytes(OLD)
    else:
        theirs.symlink_to(ours)
    os.chown(theirs, NOBODY, NOBODY, follow_symlinks=False)
    own_directory.chmod(0o1777)
    with pytest.raises(TargetDenied, match=r"uid 65534.*another directory.*out\.mp4"):
        Replacement(theirs)
    assert ours.read_bytes() == OLD
    assert names(own_directory) == ["out.mp4"]


# -- what can't be replaced --------------------------------------------------------------------------------------------


@pytest.fixture(params=["several names", "mounted", "its directory", "its owner"])
def in_place(request: pytest.FixtureRequest, own_directory: Path, tmp_path: Path) -> Iterator[Path]:
    """Give a file that may be written, and can't be replaced."""
    path, other = own_directory / "out.mp4", tmp_path / "other"
    path.write_bytes(OLD)
    path.chmod(0o666)
    with contextlib.ExitStack() as stack:
        if request.param == "several names":
            other.hardlink_to(path)
        elif request.param == "mounted":
            other.write_bytes(OLD)
            stack.enter_context(mount(str(other), path, "none", MS_BIND))
        else:
            if request.param == "its owner":
                own_directory.chmod(0o777)
            stack.enter_context(as_nobody())
        yield path


def test_what_cant_be_replaced_is_overwritten_from_the_first_use_on(in_place: Path) -> None:
    status = in_place.stat()
    Replacement(in_place).discard()
    assert in_place.read_bytes() == OLD
    with Replacement(in_place) as file:
        assert in_place.read_bytes() == OLD
        os.write(file.descriptor, FIRST)
        assert in_place.read_bytes() == FIRST, "nothing of the longer old one is left"
        file.commit()
        os.write(file.descriptor, MORE)
    assert in_place.read_bytes() == FIRST + MORE
    assert in_place.stat().st_ino == status.st_ino
    assert names(in_place.parent) == ["out.mp4"]


def test_what_is_named_by_a_descriptor_and_devices_are_written_as_they_are(tmp_path: Path) -> None:
    with (tmp_path / "out").open("w+b") as open_file:
        with Replacement(f"/proc/self/fd/{open_file.fileno()}") as file:
            os.write(file.descriptor, FIRST)
            file.commit()
        assert open_file.read() == FIRST
    assert names(tmp_path) == ["out"]
    with Replacement(os.devnull) as file:
        os.write(file.descriptor, FIRST)
        file.commit()
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "error", "words"),
    [
        ("no/such/a.mp4", TargetNotFound, "directory is missing; make it first"),
        ("file/a.mp4", TargetNotFound, "no directory; write to another"),
        ("dangling", TargetNotFound, "directory is missing; make it first"),
        ("", TargetNotFound, "it names no file"),
        (".", TargetIsDirectory, "name a file in it"),
        ("/proc/a.mp4", OSError, "/proc/a.mp4"),
    ],
)
def test_a_place_that_takes_no_file_is_refused_before_a_byte_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, error: type[OSError], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    Path("dangling").symlink_to("no/such")
    with pytest.raises(error, match=words) as refused:
        Replacement(path)
    assert refused.value.filename == path
    assert names(tmp_path) == ["dangling", "file"]


@pytest.mark.parametrize("there", [True, False])
def test_a_lack_of_rights_is_refused_before_a_byte_is_written(own_directory: Path, *, there: bool) -> None:
    path = own_directory / "out.mp4"
    if there:
        path.write_bytes(OLD)
        path.chmod(0o444)
        own_directory.chmod(0o777)
    with as_nobody(), pytest.raises(TargetDenied, match=r"Permission denied; write to another.*out\.mp4") as refused:
        Replacement(path)
    assert isinstance(refused.value, XshmError)
    assert isinstance(refused.value, PermissionError)
    assert names(own_directory) == ["out.mp4"] * there


def test_a_read_only_disk_is_refused_before_a_byte_is_written(tmp_path: Path) -> None:
    with mount("none", tmp_path, "tmpfs", 1), pytest.raises(TargetDenied, match=r"Read-only.*another.*out\.mp4"):
        Replacement(tmp_path / "out.mp4")


# -- no room -----------------------------------------------------------------------------------------------------------


def test_a_full_disk_leaves_the_old_file_and_nothing_else(small_disk: Path, kind: str) -> None:
    path = small_disk / "out.mp4"
    path.write_bytes(OLD)
    fill(small_disk, left=100_000)
    room = os.statvfs(small_disk).f_bavail
    file = Replacement(path)
    with pytest.raises(OSError, match="No space") as full:
        write_without_end(file)
    assert full.value.errno == errno.ENOSPC
    assert path.read_bytes() == OLD
    file.discard()
    assert os.statvfs(small_disk).f_bavail == room, kind
    assert names(small_disk) == ["filler", "out.mp4"]


def test_a_limit_on_the_size_of_files_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    path.write_bytes(OLD)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with Replacement(path) as file, pytest.raises(OSError, match="File too large") as full:
            write_without_end(file)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert full.value.errno == errno.EFBIG
    assert path.read_bytes() == OLD
    assert names(tmp_path) == ["out.mp4"]


@pytest.mark.parametrize(
    ("code", "way"),
    [
        (errno.ENOSPC, "; free some, or write to another disk"),
        (errno.EDQUOT, "; free some, or write to another disk"),
        (errno.EFBIG, "; write to another disk"),
        (errno.ENAMETOOLONG, "; choose a shorter one"),
        (errno.ELOOP, "; name the file that they are to lead to"),
        (errno.EIO, ""),
    ],
)
def test_an_error_of_the_disk_has_the_files_name_and_the_way_out(code: int, way: str) -> None:
    error = replacement.about_target("out.mp4", OSError(code, os.strerror(code)))
    assert (error.errno, error.strerror, error.filename) == (code, os.strerror(code) + way, "out.mp4")
