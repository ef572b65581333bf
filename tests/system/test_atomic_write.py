"""Files are written whole or not at all, and keep their mode, owner, attributes and links."""

from __future__ import annotations

import errno
import gc
import os
import resource
import select
import stat
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from disks import MS_BIND, NOBODY, as_nobody, descriptors, fill, mount, names
from interrupt_points import at_every_point

from xshm.geometry import Rect
from xshm.image.frame import Frame
from xshm.pixels.format import PixelFormat, VisualClass
from xshm.system.atomic_write import create_file, replace_file, write_all

OLD, NEW = b"old " * 1000, b"new " * 50_000
_BGRX = PixelFormat(24, 32, 32, "little", 0xFF0000, 0xFF00, 0xFF, VisualClass.TrueColor)


# -- no room -----------------------------------------------------------------------------------------------------------


def test_a_full_disk_leaves_the_old_file_and_nothing_else(small_disk: Path) -> None:
    file = small_disk / "shot.png"
    file.write_bytes(OLD)
    fill(small_disk, left=100_000)
    with pytest.raises(OSError, match=r"shot\.png") as refused:
        replace_file(file, NEW)
    assert refused.value.errno == errno.ENOSPC
    assert file.read_bytes() == OLD
    assert names(small_disk) == ["filler", "shot.png"]


@pytest.mark.parametrize("write", [replace_file, create_file])
def test_a_full_disk_gets_no_part_of_a_file_that_was_not_there(write: Any, small_disk: Path) -> None:
    fill(small_disk, left=100_000)
    with pytest.raises(OSError, match=r"shot\.png") as refused:
        write(small_disk / "shot.png", NEW)
    assert refused.value.errno == errno.ENOSPC
    assert names(small_disk) == ["filler"]


def test_a_file_with_several_names_is_kept_by_a_full_disk_too(small_disk: Path) -> None:
    one, other = small_disk / "one.png", small_disk / "other.png"
    one.write_bytes(OLD)
    other.hardlink_to(one)
    fill(small_disk, left=100_000)
    with pytest.raises(OSError, match=r"one\.png"):
        replace_file(one, NEW)
    assert other.read_bytes() == OLD


def test_a_disk_with_room_for_one_of_two_pictures_still_takes_the_second_in_place_of_the_first(
    small_disk: Path,
) -> None:
    file = small_disk / "shot.png"
    file.write_bytes(bytes(len(NEW)))
    fill(small_disk, left=100_000)
    replace_file(file, NEW)
    assert file.read_bytes() == NEW
    assert names(small_disk) == ["filler", "shot.png"]


def test_a_limit_on_the_size_of_files_leaves_the_old_file(tmp_path: Path) -> None:
    one, other, alone = (tmp_path / name for name in ("one.png", "other.png", "alone.png"))
    for file in (one, alone):
        file.write_bytes(OLD)
    other.hardlink_to(one)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(NEW) - 1, hard))
    try:
        for file, write in ((one, replace_file), (alone, replace_file), (tmp_path / "none.png", create_file)):
            with pytest.raises(OSError, match=file.name) as refused:
                write(file, NEW)
            assert refused.value.errno == errno.EFBIG
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert one.read_bytes() == alone.read_bytes() == OLD
    assert names(tmp_path) == ["alone.png", "one.png", "other.png"]


def test_pictures_are_saved_so(small_disk: Path) -> None:
    file = small_disk / "shot.bmp"
    file.write_bytes(OLD)
    fill(small_disk, left=100_000)
    with pytest.raises(OSError, match=r"shot\.bmp"):
        Frame(np.zeros((300, 300, 4), np.uint8), Rect(0, 0, 300, 300), 0, 0, _BGRX).save(file)
    assert file.read_bytes() == OLD


# -- interrupts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("there", [True, False])
def test_an_interrupt_at_any_point_leaves_the_old_file_or_the_new_one_and_nothing_else(
    tmp_path: Path, *, there: bool
) -> None:
    file = tmp_path / "shot.png"
    if there:
        file.write_bytes(OLD)
    gc.collect()  # what other tests have dropped is closed now, not in between
    before = descriptors()
    seen = set()
    for interrupted in at_every_point(lambda: replace_file(file, NEW)):
        assert set(names(tmp_path)) <= {"shot.png"}
        content = file.read_bytes() if file.exists() else None
        assert content in (OLD if there else None, NEW)
        seen.add(content)
        if not interrupted:
            assert content == NEW
        elif content == NEW:
            file.unlink()
            if there:
                file.write_bytes(OLD)
    assert len(seen) == 2
    assert descriptors() == before


def test_an_interrupt_at_any_point_leaves_the_whole_of_a_file_that_was_not_there_or_none(tmp_path: Path) -> None:
    file = tmp_path / "shot.png"
    before = descriptors()
    for interrupted in at_every_point(lambda: create_file(file, NEW)):
        left = [name.read_bytes() for name in tmp_path.iterdir()]
        assert left in ([], [NEW])
        if interrupted:
            file.unlink(missing_ok=True)
    assert file.read_bytes() == NEW
    assert descriptors() == before


# -- what stays as it was ----------------------------------------------------------------------------------------------


def test_a_new_file_has_the_mode_that_the_umask_leaves(tmp_path: Path) -> None:
    former = os.umask(0o027)
    try:
        replace_file(tmp_path / "replaced", NEW)
        create_file(tmp_path / "created", NEW)
    finally:
        os.umask(former)
    assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()} == {0o640}


def test_a_file_that_was_there_keeps_its_mode_and_its_owner(tmp_path: Path) -> None:
    file = tmp_path / "shot.png"
    file.write_bytes(OLD)
    if os.geteuid() == 0:
        os.chown(file, 1234, 4321)
    file.chmod(0o606)
    before = file.stat()
    replace_file(file, NEW)
    after = file.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert after.st_ino != before.st_ino, "a reader who has it open goes on with a whole picture"
    assert file.read_bytes() == NEW


def test_a_file_that_was_there_keeps_its_extended_attributes(tmp_path: Path) -> None:
    file = tmp_path / "shot.png"
    file.write_bytes(OLD)
    try:
        os.setxattr(file, "user.comment", b"mine")
    except OSError as error:
        pytest.skip(f"no extended attributes here: {error.strerror}")
    replace_file(file, NEW)
    assert os.getxattr(file, "user.comment") == b"mine"


def test_what_a_symbolic_link_leads_to_is_replaced_and_the_link_stays(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    target, second, first = tmp_path / "there/shot.png", tmp_path / "there/second", tmp_path / "first"
    second.symlink_to("shot.png")
    first.symlink_to("there/second")
    for expected in (NEW, OLD):  # the link dangles at first
        replace_file(first, expected)
        assert target.read_bytes() == expected
    assert first.is_symlink()
    assert second.is_symlink()
    assert not target.is_symlink()
    assert names(tmp_path / "there") == ["second", "shot.png"]


def test_all_names_of_a_file_name_the_new_picture(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_bytes(OLD)
    other.hardlink_to(one)
    for data in (NEW, OLD):  # larger, and smaller again
        replace_file(one, data)
        assert other.read_bytes() == data
        assert other.samefile(one)


def test_a_file_that_is_mounted_is_written_to(tmp_path: Path) -> None:
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    for file in (outside, inside):
        file.write_bytes(OLD)
    with mount(str(outside), inside, "none", MS_BIND):
        replace_file(inside, NEW)
        assert inside.read_bytes() == NEW
    assert outside.read_bytes() == NEW
    assert names(tmp_path) == ["inside", "outside"]


def test_a_file_that_may_be_written_is_written_though_its_directory_may_not(own_directory: Path) -> None:
    file = own_directory / "shot.png"
    file.write_bytes(OLD)
    file.chmod(0o666)
    own_directory.chmod(0o555)
    with as_nobody():
        replace_file(file, NEW)
    assert file.read_bytes() == NEW


def test_a_file_that_may_not_be_written_is_not_replaced_though_its_directory_may(own_directory: Path) -> None:
    file = own_directory / "shot.png"
    file.write_bytes(OLD)
    file.chmod(0o444)
    own_directory.chmod(0o777)
    with as_nobody(), pytest.raises(PermissionError, match=r"shot\.png"):
        replace_file(file, NEW)
    assert file.read_bytes() == OLD


@pytest.mark.skipif(os.geteuid() != 0, reason="another user's file takes root to make")
def test_another_users_file_stays_theirs(own_directory: Path) -> None:
    file = own_directory / "shot.png"
    file.write_bytes(OLD)
    file.chmod(0o666)
    own_directory.chmod(0o777)
    before = file.stat()
    with as_nobody():
        replace_file(file, NEW)
    assert file.read_bytes() == NEW
    assert (file.stat().st_uid, file.stat().st_ino) == (before.st_uid, before.st_ino)
    assert names(own_directory) == ["shot.png"]


@pytest.mark.skipif(os.geteuid() != 0, reason="another user's file takes root to make")
@pytest.mark.parametrize("what", ["link", "link to nothing", "file"])
def test_what_others_have_put_where_everybody_can_is_neither_followed_nor_written(
    own_directory: Path, what: str, tmp_path: Path
) -> None:
    theirs, ours = own_directory / "shot.png", tmp_path / "ours"
    if what != "link to nothing":
        ours.write_bytes(OLD)
    if what == "file":
        theirs.write_bytes(OLD)
        theirs.chmod(0o666)
    else:
        theirs.symlink_to(ours)
    os.chown(theirs, NOBODY, NOBODY, follow_symlinks=False)
    own_directory.chmod(0o1777)
    with pytest.raises(PermissionError, match=r"shot\.png"):
        replace_file(theirs, NEW)
    assert ours.exists() == (what != "link to nothing")
    assert what == "link to nothing" or ours.read_bytes() == OLD
    assert what != "file" or theirs.read_bytes() == OLD
    assert names(own_directory) == ["shot.png"]
    # What is ours, or the directory's owner's, is written as anywhere; and so is all in a directory of our own.
    with as_nobody():
        replace_file(theirs, NEW) if what == "file" else None
    own_directory.chmod(0o755)
    replace_file(theirs, NEW)
    assert theirs.read_bytes() == NEW


# -- what is no file of its own ----------------------------------------------------------------------------------------


def test_pipes_devices_and_descriptors_are_written_to_as_they_are(tmp_path: Path) -> None:
    replace_file(os.devnull, NEW)
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)
    with pytest.raises(OSError, match="/dev/full"):
        replace_file("/dev/full", NEW)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    replace_file(pipe, NEW)
    reader.join()
    assert read == [NEW]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_an_open_file_that_is_named_by_its_descriptor_stays_the_one_that_is_open(tmp_path: Path) -> None:
    with (tmp_path / "out").open("w+b") as file:
        replace_file(f"/proc/self/fd/{file.fileno()}", NEW)
        assert file.read() == NEW
        replace_file(f"/dev/fd/{file.fileno()}", OLD)
        assert (tmp_path / "out").read_bytes() == OLD
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize("has_poll", [True, False])
def test_a_non_blocking_pipe_gets_every_byte(monkeypatch: pytest.MonkeyPatch, *, has_poll: bool) -> None:
    if not has_poll:
        monkeypatch.delattr(select, "poll")  # as eventlet does
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    read: list[bytes] = []

    def slowly() -> None:
        with os.fdopen(reader, "rb", 0) as file:
            while data := file.read(5000):
                read.append(data)

    thread = threading.Thread(target=slowly)
    thread.start()
    write_all(writer, NEW)
    os.close(writer)
    thread.join()
    assert b"".join(read) == NEW


@pytest.mark.parametrize(("path", "code"), [("no/such/a.png", errno.ENOENT), ("/proc", errno.EISDIR)])
def test_a_place_that_takes_no_file_is_named(path: str, code: int) -> None:
    with pytest.raises(OSError, match=path) as refused:
        replace_file(path, NEW)
    assert refused.value.errno == code


def test_a_file_that_is_there_is_not_created_again(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(OLD)
    with pytest.raises(FileExistsError):
        create_file(tmp_path / "a", NEW)
    assert (tmp_path / "a").read_bytes() == OLD
