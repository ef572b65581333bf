"""Errors of the System V calls: which arguments and users are refused, with which errno and message."""

from __future__ import annotations

import ctypes
import errno
import io
import os
import re
import struct
from typing import TYPE_CHECKING

import numpy as np
import pytest
from sysv_kernel import MODE, free_key, run_python, run_python_as_nobody

from xshm import sysv
from xshm.errors import InvalidType

if TYPE_CHECKING:
    from collections.abc import Callable


def test_a_read_only_view_refuses_every_write_and_shows_others_writes(make: Callable[..., int]) -> None:
    shmid = make()
    writable, view = sysv.shmat(shmid), sysv.shmat(shmid, sysv.SHM_RDONLY)
    array = np.frombuffer(view, np.uint8)
    writes: list[Callable[[], object]] = [
        lambda: view.__setitem__(0, 1),
        lambda: view[8:16].__setitem__(slice(0, 2), b"ab"),
        lambda: view.cast("I").__setitem__(0, 1),
        lambda: memoryview(view).__setitem__(0, 1),
        lambda: struct.pack_into("I", view, 0, 1),
        lambda: io.BytesIO(b"abc").readinto(view),
        lambda: (ctypes.c_ubyte * 4).from_buffer(view),
    ]
    for write in writes:
        with pytest.raises(TypeError):
            write()
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1
    with pytest.raises(ValueError, match="WRITEABLE"):
        array.setflags(write=True)
    assert view.readonly
    assert bytes(view) == bytes(4096)
    writable[3] = 9
    assert (view[3], array[3]) == (9, 9)


def test_no_way_over_the_exporter_leads_to_writing_read_only_memory(make: Callable[..., int]) -> None:
    # In a process of its own: a write that is not refused kills it.
    printed = run_python(
        """
        import pickle, sys
        import numpy as np
        from xshm import sysv
        shmid = int(sys.argv[1])
        view = sysv.shmat(shmid, sysv.SHM_RDONLY)
        ways = [
            view, view[1:], view.cast("I"), memoryview(view), view.toreadonly(), memoryview(pickle.PickleBuffer(view)),
            np.frombuffer(view, np.uint8)[4:].base.base, np.asarray(view).base, np.asarray(view).data,
        ]
        for number, way in enumerate(ways):
            while way is not None:
                try:
                    way[0] = 1
                    print(number, type(way), "was written")
                except (TypeError, ValueError):  # numpy's word for it
                    pass
                way = getattr(way, "obj", getattr(way, "base", None))
        del ways, way
        part = view[100:]
        del view
        print(part[0], part.obj, sysv.stat(shmid).nattch)
        del part
        print(sysv.stat(shmid).nattch)
        """,
        make(),
    )
    assert printed.splitlines() == ["0 None 1", "0"]


def test_another_user_is_refused_what_the_mode_refuses(make: Callable[..., int]) -> None:
    key = free_key()
    shmid = make(4096, MODE, key)
    desc = sysv.stat(shmid)
    printed = run_python_as_nobody(
        """
        key, desc = int(sys.argv[2]), sysv.ShmDesc()
        for call in (
            lambda: sysv.shmat(shmid),
            lambda: sysv.shmat(shmid, sysv.SHM_RDONLY),
            lambda: sysv.stat(shmid),
            lambda: sysv.shmget(key, 0, 0o600),
            lambda: sysv.remove(shmid),
            lambda: sysv.shmctl(shmid, sysv.IPC_SET, desc),
        ):
            try:
                call()
            except PermissionError as error:
                print(errno.errorcode[error.errno], error.strerror)
        """,
        shmid,
        key,
    )
    assert printed.splitlines() == [
        f"EACCES Permission denied: shmat(shmid={shmid}, flags=0o0)",
        f"EACCES Permission denied: shmat(shmid={shmid}, flags=0o10000)",
        f"EACCES Permission denied: shmctl(shmid={shmid}, cmd=IPC_STAT)",
        f"EACCES Permission denied: shmget(key={key:#x}, size=0, flags=0o600)",
        f"EPERM Operation not permitted: shmctl(shmid={shmid}, cmd=IPC_RMID)",
        f"EPERM Operation not permitted: shmctl(shmid={shmid}, cmd=IPC_SET, mode=0o0, uid=0, gid=0)",
    ]
    after = sysv.stat(shmid)
    assert (after.perm.mode, after.ctime, after.nattch, after.lpid) == (0o600, desc.ctime, 0, 0)


def test_another_user_may_only_read_what_is_readable(make: Callable[..., int]) -> None:
    shmid = make(4096, sysv.IPC_CREAT | 0o644)
    with sysv.shmat(shmid) as view:
        view[:2] = b"ok"
        code = """
            print(bytes(sysv.shmat(shmid, sysv.SHM_RDONLY)[:2]).decode())
            try:
                sysv.shmat(shmid)
            except PermissionError:
                print("refused")
        """
        assert run_python_as_nobody(code, shmid).split() == ["ok", "refused"]


def test_stat_any_needs_no_permission_where_stat_does(make: Callable[..., int]) -> None:
    shmid = make(4242)
    printed = run_python_as_nobody(
        """
        desc = sysv.ShmDesc()
        for command in (sysv.SHM_STAT_ANY, sysv.SHM_STAT):
            for index in range(sysv.shmctl(0, sysv.SHM_INFO, sysv.ShmUsage()) + 1):
                try:
                    if sysv.shmctl(index, command, desc) == shmid:
                        print(desc.segsz, oct(desc.perm.mode))
                except OSError as error:
                    if error.errno == errno.EACCES:
                        print(error.strerror)
        """,
        shmid,
    )
    assert printed.splitlines()[0] == "4242 0o600"
    assert re.search(r"Permission denied: shmctl\(shmid=\d+, cmd=SHM_STAT\)", printed)


UNUSED = 0x7FFF_FFFF
FAILURES: list[tuple[Callable[[], object], int, str]] = [
    (lambda: sysv.shmget(0, 0, MODE), errno.EINVAL, "Invalid argument: shmget(key=IPC_PRIVATE, size=0, flags=0o1600)"),
    (lambda: sysv.shmget(0, -1, MODE), errno.EINVAL, "shmget(key=IPC_PRIVATE, size=-1, flags=0o1600)"),
    (lambda: sysv.shmget(0, 2**64, MODE), errno.EINVAL, "shmget(key=IPC_PRIVATE, size=18446744073709551616,"),
    (lambda: sysv.shmget(0, 2**64 - 1, MODE), errno.EINVAL, "size=18446744073709551615"),
    (lambda: sysv.shmget(0, 2**60, MODE), errno.ENOMEM, "Cannot allocate memory: shmget(key=IPC_PRIVATE,"),
    (lambda: sysv.shmget(2**32, 10, MODE), errno.EINVAL, "shmget(key=0x100000000, size=10"),
    (lambda: sysv.shmget(0, 10, 2**32), errno.EINVAL, "size=10, flags=0o40000000000)"),
    (lambda: sysv.shmat(UNUSED), errno.EINVAL, "Invalid argument: shmat(shmid=2147483647, flags=0o0)"),
    (lambda: sysv.shmat(-1), errno.EINVAL, "shmat(shmid=-1, flags=0o0)"),
    (lambda: sysv.shmat(0, address=-4096), errno.EINVAL, "shmat(shmid=0, flags=0o0, address=-0x1000)"),
    (lambda: sysv.shmat(0, sysv.SHM_REMAP, 4096), errno.EINVAL, "SHM_REMAP would replace memory"),
    (lambda: sysv.stat(UNUSED), errno.EINVAL, "shmctl(shmid=2147483647, cmd=IPC_STAT)"),
    (lambda: sysv.size(UNUSED), errno.EINVAL, "shmctl(shmid=2147483647, cmd=IPC_STAT)"),
    (lambda: sysv.remove(UNUSED), errno.EINVAL, "shmctl(shmid=2147483647, cmd=IPC_RMID)"),
    (lambda: sysv.shmctl(UNUSED, sysv.SHM_LOCK), errno.EINVAL, "cmd=SHM_LOCK)"),
    (lambda: sysv.shmctl(0, 99), errno.EINVAL, "shmctl(shmid=0, cmd=99)"),
    (lambda: sysv.shmctl(0, 2**32), errno.EINVAL, "shmctl(shmid=0, cmd=4294967296)"),
    (lambda: sysv.ftok("/no/such", 1), errno.ENOENT, "No such file or directory: ftok(path='/no/such', project=1)"),
    (lambda: sysv.ftok("/", 0), errno.EINVAL, "ftok(path='/', project=0)"),
    (lambda: sysv.ftok("/", 256), errno.EINVAL, "ftok(path='/', project=256)"),
    (lambda: sysv.ftok("/\0x", 1), errno.EINVAL, "ftok(path='/\\x00x', project=1)"),
]


@pytest.mark.parametrize(("call", "code", "words"), FAILURES, ids=[words for _, _, words in FAILURES])
def test_a_failure_has_the_kernels_errno_and_names_call_and_arguments(
    call: Callable[[], object], code: int, words: str
) -> None:
    with pytest.raises(OSError, match=re.escape(words)) as caught:
        call()
    assert caught.value.errno == code
    assert os.strerror(code) in str(caught.value)


def test_an_id_past_32_bits_is_not_taken_for_another_segments(make: Callable[..., int]) -> None:
    shmid = make()
    for call in (sysv.shmat, sysv.stat, sysv.remove):
        with pytest.raises(OSError, match=f"shmid={shmid + 2**32}"):
            call(shmid + 2**32)
    assert sysv.stat(shmid).nattch == 0


def test_arguments_of_the_wrong_type_are_named(make: Callable[..., int]) -> None:
    shmid = make()
    for call, words in (
        (lambda: sysv.shmget("1", 10), r"shmget: key is a whole number, not str: '1'"),  # type: ignore[arg-type]
        (lambda: sysv.shmget(0, 10.0), r"shmget: size is a whole number, not float: 10.0"),  # type: ignore[arg-type]
        (lambda: sysv.shmat(None), r"shmat: shmid is a whole number, not NoneType: None"),  # type: ignore[arg-type]
        (lambda: sysv.ftok(5, 1), r"ftok: path is a text, bytes or a path, not int: 5"),  # type: ignore[arg-type]
        (lambda: sysv.ftok("/", "x"), r"ftok: project is a whole number, not str: 'x'"),  # type: ignore[arg-type]
        (lambda: sysv.stat("7"), r"shmctl: shmid is a whole number, not str: '7'"),  # type: ignore[arg-type]
        (lambda: sysv.shmat(shmid, "r"), r"shmat: flags is a whole number, not str: 'r'"),  # type: ignore[arg-type]
        (lambda: sysv.shmctl(shmid, sysv.IPC_STAT), r"shmctl: IPC_STAT takes a \w+, not NoneType: None"),
        (lambda: sysv.shmctl(0, sysv.SHM_INFO, sysv.ShmDesc()), r"shmctl: SHM_INFO takes a ShmUsage, not ShmDesc"),
    ):
        with pytest.raises(InvalidType, match=words):
            call()
    assert sysv.size(np.int64(shmid)) == 4096  # type: ignore[arg-type]  # any type with __index__ is taken
