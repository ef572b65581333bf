"""The System V calls against the kernel and other programs: make, attach, inspect, detach and remove segments."""

from __future__ import annotations

import errno
import mmap
import os
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from sysv_kernel import MODE, NOBODY, free_key, need_namespaces, run_python, run_python_as_nobody

from xshm import sysv

if TYPE_CHECKING:
    from collections.abc import Callable


_REALTIME_COARSE = 5  # clock_gettime(2): the clock by which the kernel dates segments


def address(view: memoryview) -> int:
    return np.frombuffer(view, np.uint8).ctypes.data


@pytest.mark.parametrize("size", [1, 4095, 4096, 4097, 1920 * 1080 * 4 + 1])
def test_a_view_has_exactly_the_segments_size_and_starts_as_zeros(make: Callable[..., int], size: int) -> None:
    shmid = make(size)
    with sysv.shmat(shmid) as view:
        assert (len(view), view.nbytes, view.format, view.itemsize, view.readonly) == (size, size, "B", 1, False)
        assert sysv.size(shmid) == size
        assert view == bytes(size)
        view[size - 1] = 0xA5
        assert view[-1] == 0xA5


def test_two_attaches_of_one_segment_see_each_others_writes(make: Callable[..., int]) -> None:
    shmid = make()
    with sysv.shmat(shmid) as one, sysv.shmat(shmid) as other:
        one[:5] = b"hello"
        other[5:10] = b"world"
        assert bytes(one[:10]) == bytes(other[:10]) == b"helloworld"
        assert sysv.stat(shmid).nattch == 2


def test_a_view_reaches_past_two_gibibytes(make: Callable[..., int]) -> None:
    size = 3 * 2**30 + 5
    shmid = make(size, MODE | sysv.SHM_NORESERVE)
    with sysv.shmat(shmid) as view, sysv.shmat(shmid, sysv.SHM_RDONLY) as other:
        assert len(view) == len(other) == sysv.size(shmid) == size
        view[-1], view[2**31 + 7] = 1, 2
        assert (other[size - 1], other[2**31 + 7], other[2**31 + 8]) == (1, 2, 0)


def test_other_programs_read_and_write_the_same_bytes(make: Callable[..., int]) -> None:
    shmid = make(100)
    with sysv.shmat(shmid) as view:
        view[:4] = b"ping"
        perl = f'shmread({shmid}, $got, 0, 4) or die $!; shmwrite({shmid}, "pong:$got", 91, 9) or die $!; print $got'
        assert subprocess.check_output(["perl", "-e", perl]) == b"ping"
        assert bytes(view[91:]) == b"pong:ping"


def test_a_key_finds_its_segment_until_it_is_removed(make: Callable[..., int]) -> None:
    key = free_key()
    shmid = make(5000, MODE, key)
    assert sysv.shmget(key, 0) == sysv.shmget(key, 5000) == sysv.shmget(key, 100, sysv.IPC_CREAT) == shmid
    assert sysv.stat(shmid).perm.key == key
    with pytest.raises(FileExistsError, match=rf"File exists: shmget\(key={key:#x}, size=10, flags=0o3600\)"):
        sysv.shmget(key, 10, MODE | sysv.IPC_EXCL)
    with pytest.raises(OSError, match="size=5001") as too_large:
        sysv.shmget(key, 5001)
    assert too_large.value.errno == errno.EINVAL
    sysv.remove(shmid)
    with pytest.raises(FileNotFoundError, match=rf"shmget\(key={key:#x}, size=0, flags=0o0\)"):
        sysv.shmget(key, 0)


def test_a_key_written_unsigned_is_the_key_of_the_same_32_bits(make: Callable[..., int]) -> None:
    shmid = make(10, MODE | sysv.IPC_EXCL, free_key() | 0x8000_0000)
    key = sysv.stat(shmid).perm.key
    assert key < 0
    assert sysv.shmget(key, 0) == sysv.shmget(key + 2**32, 0) == shmid


def test_stat_tells_who_made_it_who_attached_and_when(make: Callable[..., int]) -> None:
    before = int(time.clock_gettime(_REALTIME_COARSE))
    shmid = make(4097, sysv.IPC_CREAT | 0o640)
    fresh = sysv.stat(shmid)
    assert (fresh.segsz, fresh.nattch, fresh.cpid, fresh.lpid) == (4097, 0, os.getpid(), 0)
    assert (fresh.atime, fresh.dtime) == (0, 0)
    assert before <= fresh.ctime <= time.time()
    perm = fresh.perm
    assert (perm.key, perm.mode) == (sysv.IPC_PRIVATE, 0o640)
    assert (perm.uid, perm.gid, perm.cuid, perm.cgid) == (os.geteuid(), os.getegid()) * 2
    code = "import sys; from xshm import sysv; view = sysv.shmat(int(sys.argv[1])); import os; print(os.getpid())"
    pid = int(run_python(code, shmid))
    after = sysv.stat(shmid)
    assert (after.nattch, after.cpid, after.lpid) == (0, os.getpid(), pid)
    assert fresh.ctime <= after.atime <= after.dtime <= time.time()


def test_a_removed_segment_stays_until_its_last_detach_and_can_still_be_attached(make: Callable[..., int]) -> None:
    shmid = make()
    view = sysv.shmat(shmid)
    sysv.remove(shmid)
    assert sysv.stat(shmid).perm.mode == sysv.SHM_DEST | 0o600
    view[0] = 3
    with sysv.shmat(shmid) as other:
        assert other[0] == 3
        assert sysv.stat(shmid).nattch == 2
    sysv.shmdt(view)
    with pytest.raises(OSError, match=rf"Invalid argument: shmctl\(shmid={shmid}, cmd=IPC_STAT\)"):
        sysv.stat(shmid)


def test_ipc_set_changes_mode_and_owner_and_nothing_else(make: Callable[..., int]) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a segment away")
    shmid = make()
    desc = sysv.stat(shmid)
    desc.perm.mode, desc.perm.uid, desc.perm.gid = 0o666, NOBODY, 12345
    desc.perm.cuid, desc.segsz = 77, 9
    assert sysv.shmctl(shmid, sysv.IPC_SET, desc) == 0
    perm = sysv.stat(shmid).perm
    assert (perm.mode, perm.uid, perm.gid, perm.cuid, perm.cgid) == (0o666, NOBODY, 12345, 0, 0)
    assert sysv.size(shmid) == 4096
    # The new owner may do what the old one did, and see it done.
    run_python_as_nobody("sysv.shmat(shmid)[0] = 7; sysv.remove(shmid)", shmid)
    assert all(info.shmid != shmid for info in sysv.segments())


def test_lock_and_unlock_show_in_the_mode(make: Callable[..., int]) -> None:
    shmid = make()
    sysv.shmctl(shmid, sysv.SHM_LOCK)
    assert sysv.stat(shmid).perm.mode == sysv.SHM_LOCKED | 0o600
    sysv.shmctl(shmid, sysv.SHM_UNLOCK)
    assert sysv.stat(shmid).perm.mode == 0o600


def test_limits_and_usage_are_those_of_the_kernel(make: Callable[..., int]) -> None:
    make()
    limits, usage = sysv.ShmLimits(), sysv.ShmUsage()
    assert sysv.shmctl(0, sysv.IPC_INFO, limits) == sysv.shmctl(0, sysv.SHM_INFO, usage)
    for name in ("shmmax", "shmmni", "shmall"):
        assert getattr(limits, name) == int(Path("/proc/sys/kernel", name).read_text()), name
    assert limits.shmmin == 1
    assert usage.used_ids >= 1


def test_an_ipc_namespace_of_its_own_holds_nothing_but_what_was_made_there(make: Callable[..., int]) -> None:
    need_namespaces()
    outside = make()
    printed = run_python(
        """
        import ctypes, mmap, sys
        from xshm import sysv
        assert ctypes.CDLL(None).unshare(0x08000000) == 0  # CLONE_NEWIPC
        assert sysv.segments() == []
        shmid = sysv.shmget(sysv.IPC_PRIVATE, 10 * mmap.PAGESIZE, sysv.IPC_CREAT | 0o600)
        with sysv.shmat(shmid) as view:
            view[mmap.PAGESIZE] = view[-1] = 1
            usage = sysv.ShmUsage()
            sysv.shmctl(0, sysv.SHM_INFO, usage)
            print(usage)
            print([(info.shmid == shmid, info.size, info.nattch) for info in sysv.segments()])
        sysv.remove(shmid)
        print(sysv.segments())
        """
    )
    usage = "ShmUsage(used_ids=1, shm_tot=10, shm_rss=2, shm_swp=0)"
    assert printed.splitlines() == [usage, f"[(True, {10 * mmap.PAGESIZE}, 1)]", "[]"]
    assert sysv.stat(outside).nattch == 0


def test_segments_lists_what_ipcs_lists(make: Callable[..., int]) -> None:
    shmid = make(12345, sysv.IPC_CREAT | 0o640, free_key())
    view = sysv.shmat(shmid)

    def mine(rows: list[list[str]]) -> list[str]:
        return next(row for row in rows if str(shmid) in row[:2])

    info = next(info for info in sysv.segments() if info.shmid == shmid)
    rows = [line.split() for line in subprocess.check_output(["ipcs", "-m"], text=True).splitlines()]
    owner = subprocess.check_output(["id", "-un", str(info.uid)], text=True).strip()
    assert mine(rows) == [
        f"{info.key:#010x}",
        str(shmid),
        owner[:10],
        f"{info.mode:o}",
        str(info.size),
        str(info.nattch),
    ]
    rows = [line.split() for line in subprocess.check_output(["ipcs", "-m", "-p"], text=True).splitlines()]
    assert mine(rows) == [str(shmid), owner[:10], str(info.cpid), str(info.lpid)]
    desc = sysv.stat(shmid)
    assert (info.atime, info.dtime, info.ctime) == (desc.atime, desc.dtime, desc.ctime)
    assert (info.cuid, info.cgid, info.gid) == (desc.perm.cuid, desc.perm.cgid, desc.perm.gid)
    sysv.remove(shmid)
    doomed = next(info for info in sysv.segments() if info.shmid == shmid)
    assert (doomed.mode, doomed.key) == (sysv.SHM_DEST | 0o640, 0)
    sysv.shmdt(view)
    assert all(info.shmid != shmid for info in sysv.segments())


def test_ftok_is_made_of_device_inode_and_project(tmp_path: Path) -> None:
    status = tmp_path.stat()
    for project in (1, ord("x"), 255):
        bits = project << 24 | (status.st_dev & 0xFF) << 16 | status.st_ino & 0xFFFF
        assert sysv.ftok(tmp_path, project) % 2**32 == bits
        assert sysv.ftok(str(tmp_path), project) == sysv.ftok(tmp_path, project)


def test_an_address_can_be_asked_for_and_is_rounded_down_with_rnd(make: Callable[..., int]) -> None:
    shmid = make(4096)
    with sysv.shmat(shmid) as view:
        place = address(view)
    with sysv.shmat(shmid, sysv.SHM_RND, place + 5) as view:
        assert address(view) == place
        with pytest.raises(OSError, match=rf"shmat\(shmid={shmid}, flags=0o0, address={place:#x}\)") as taken:
            sysv.shmat(shmid, 0, place)
        assert taken.value.errno == errno.EINVAL
        assert sysv.stat(shmid).nattch == 1


def test_huge_pages_attach_and_detach_at_their_own_alignment(make: Callable[..., int]) -> None:
    if not Path("/sys/kernel/mm/hugepages/hugepages-2048kB").exists():
        pytest.skip("this kernel has no huge pages of 2 MiB")
    # Without a reservation none has to be free, as long as none is touched.
    shmid = make(2**21 + 1, MODE | sysv.SHM_HUGETLB | sysv.SHM_HUGE_2MB | sysv.SHM_NORESERVE)
    with sysv.shmat(shmid) as view:
        assert address(view) % 2**21 == 0
        assert (len(view), sysv.stat(shmid).nattch) == (2**21 + 1, 1)
    assert sysv.stat(shmid).nattch == 0


def test_the_module_loads_neither_numpy_nor_xlib() -> None:
    loaded = run_python("import sys; from xshm import sysv; print(*sys.modules)").split()
    assert "xshm.sysv" in loaded
    assert not {name.partition(".")[0] for name in loaded} & {"numpy", "Xlib", "PIL"}


def test_nothing_happens_at_import_but_definitions() -> None:
    code = "from xshm.sysv import attached; print('SYSV' in open('/proc/self/maps').read(), attached.views)"
    assert run_python(code) == "False {}\n"
