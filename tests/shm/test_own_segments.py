"""xshm's own System V segments: made and removed in one step, and the ones that a kill left behind are removed."""

from __future__ import annotations

import json
import os
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sysv_kernel import free_key, run_python_with_few_segments

from xshm import sysv
from xshm.cli import main
from xshm.shm.segment import Segment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from servers import Server

KEY = 0x7F787342

# Runs in an IPC namespace of its own, in which `left` makes what a kill leaves: by a process that has ended.
_LEFT = """
import os, time
from xshm.shm import own_segments

def by_child(make):
    child = os.fork()
    if not child:
        make()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0

def left(key=0x7F787342, mode=0o600):
    by_child(lambda: sysv.shmget(key, 4096, sysv.IPC_CREAT | sysv.IPC_EXCL | mode))
    return max(sysv.segments(), key=lambda each: each.shmid).shmid

def look(age=-5):
    own_segments._MIN_AGE = age
    own_segments.remove_left()
    return [each.shmid for each in sysv.segments() if not each.mode & sysv.SHM_DEST]

"""


def in_namespace(code: str, *arguments: object) -> str:
    return run_python_with_few_segments(_LEFT + code, *arguments)


# -- made in one go --------------------------------------------------------------------------------------------------


def _not_removed() -> list[str]:
    """Return the rows of this process's segments that are in the kernel's table and are not marked as removed."""
    rows = map(str.split, Path("/proc/sysvipc/shm").read_text().splitlines()[1:])
    return [" ".join(row) for row in rows if int(row[4]) == os.getpid() and not int(row[2], 8) & sysv.SHM_DEST]


def test_no_step_in_python_sees_a_segment_that_is_not_removed() -> None:
    steps, seen = 0, []

    def trace(frame: Any, event: str, _: object) -> Any:
        nonlocal steps
        frame.f_trace_opcodes = True
        steps += event == "opcode"
        seen.extend(_not_removed())
        return trace

    former = sys.gettrace()
    sys.settrace(trace)
    try:
        segment = Segment("sysv", 5000)
    finally:
        sys.settrace(former)
    assert steps > 100
    assert seen == []
    assert sysv.stat(segment.shmid).perm.mode == sysv.SHM_DEST | 0o600


def test_no_other_thread_comes_between_the_calls() -> None:
    code = """
    import threading
    from xshm.shm.segment import Segment

    def look():
        desc = sysv.ShmDesc()
        shmctl = ctypes.PyDLL(None).shmctl  # which keeps the GIL: what it sees was so between two steps of the other
        while not done:
            for index in range(4):
                if shmctl(index, sysv.SHM_STAT, ctypes.byref(desc)) >= 0 and desc.perm.mode == 0o600:
                    seen.append(desc.perm.key)

    done, seen = [], []
    sys.setswitchinterval(1e-6)
    threads = [threading.Thread(target=look) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(300):
        Segment("sysv", 4096)
    done.append(True)
    for thread in threads:
        thread.join()
    assert seen == []
    """
    run_python_with_few_segments(code)


def test_a_segment_that_can_not_be_attached_is_the_kernels_error_and_leaves_nothing() -> None:
    code = """
    import errno, resource
    from xshm.shm.segment import Segment
    room = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (1 << 30, room[1]))
    try:
        Segment("sysv", 1 << 31)
    except OSError as error:
        assert error.errno == errno.ENOMEM
        print(error.strerror)
    assert sysv.segments() == []
    """
    told = run_python_with_few_segments(code)
    assert "Cannot allocate memory: shmat(shmid=0, flags=0o0): after shmget(key=0x7f7873" in told
    assert "size=2147483648, flags=0o3600)" in told


def test_a_key_that_is_taken_is_passed_over_and_when_all_are_it_has_none() -> None:
    told = in_namespace("""
from xshm.shm.segment import Segment

def name(segment):
    row, = (line for line in open("/proc/self/maps") if "/SYSV" in line and int(line.split()[4]) == segment.shmid)
    return row.split("/SYSV")[1][:8]

for key in range(0x7F787300, 0x7F787400):
    if key != 0x7F787377:
        sysv.shmget(key, 4096, sysv.IPC_CREAT | 0o640)
one = Segment("sysv", 4096)  # the key is free again when it is made
two = Segment("sysv", 4096)
sysv.shmget(0x7F787377, 4096, sysv.IPC_CREAT | 0o640)
print(name(one), name(two), name(Segment("sysv", 4096)))
""")
    assert told.split() == ["7f787377", "7f787377", "00000000"]


def test_the_callers_own_segments_have_the_callers_keys() -> None:
    shmid = sysv.shmget(sysv.IPC_PRIVATE, 4096, sysv.IPC_CREAT | 0o600)
    try:
        assert sysv.stat(shmid).perm.key == 0
    finally:
        sysv.remove(shmid)


# -- what is left ----------------------------------------------------------------------------------------------------


def test_what_is_killed_at_either_system_call_leaves_what_is_found() -> None:
    if platform.machine() != "x86_64":
        pytest.skip("the system calls have other numbers here")
    in_namespace("""
import ctypes, signal, struct
from xshm.shm.segment import Segment
SHMAT, SHMCTL = 30, 31
libc = ctypes.CDLL(None, use_errno=True)

def killed_at(number):
    # BPF: load the call's number; where it is this one, kill the process, else let it pass.
    code = b"".join(struct.pack("=HBBI", *line) for line in (
        (0x20, 0, 0, 0), (0x15, 0, 1, number), (6, 0, 0, 0x80000000), (6, 0, 0, 0x7FFF0000)))
    lines = ctypes.create_string_buffer(code)
    program = struct.pack("HxxxxxxP", 4, ctypes.addressof(lines))
    child = os.fork()
    if not child:
        assert libc.prctl(38, 1, 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS
        assert libc.prctl(22, 2, program, 0, 0) == 0  # PR_SET_SECCOMP
        Segment("sysv", 4096)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGSYS
    (segment,) = sysv.segments()
    return segment

for number in (SHMAT, SHMCTL):
    segment = killed_at(number)
    assert own_segments.is_own(segment)
    assert (segment.key >> 8, segment.mode, segment.nattch) == (0x7F7873, 0o600, 0)
    assert look(60) == [segment.shmid]
    assert look() == []
""")


def test_what_was_left_goes_and_what_may_be_anothers_or_in_use_stays() -> None:
    in_namespace("""
goes = left()
assert look(60) == [goes], "it is young"
assert look() == []

alive = sysv.shmget(0x7F787301, 4096, sysv.IPC_CREAT | 0o600)  # this process
stay = {
    "alive": alive,
    "another key": left(0x7F787400),
    "one before": left(0x7F7872FF),
    "a key of the same end": left(0xFF787301),
    "no key": left(0),
    "another mode": left(0x7F787302, 0o640),
    "less of a mode": left(0x7F787303, 0o400),
    "attached": left(0x7F787304),
    "owner": left(0x7F787305),
    "locked": left(0x7F787308),
}
view = sysv.shmat(stay["attached"])
desc = sysv.stat(stay["owner"])
desc.perm.uid = 65534
sysv.shmctl(stay["owner"], sysv.IPC_SET, desc)
sysv.shmctl(stay["locked"], sysv.SHM_LOCK)

def make_as_nobody():
    os.setuid(65534)
    for key in (0x7F787306, 0x7F787309):
        sysv.shmget(key, 4096, sysv.IPC_CREAT | 0o600)

by_child(make_as_nobody)
*others, given = sorted(each.shmid for each in sysv.segments() if each.shmid not in stay.values())
assert len(others) == 1
desc = sysv.stat(given)
desc.perm.uid = 0
sysv.shmctl(given, sysv.IPC_SET, desc)
stay["creator"] = given
more = left(0x7F787307)
assert sorted(look()) == sorted([*stay.values(), *others])

def look_as_nobody():
    os.setuid(65534)
    assert sorted(look()) == sorted(stay.values())

by_child(look_as_nobody)
view.release()
assert stay["attached"] not in look()
assert sorted(each.shmid for each in sysv.segments() if own_segments.is_own(each)) == sorted(
    stay[name] for name in ("alive", "another mode", "less of a mode", "locked")
)
""")


def test_what_changed_between_the_two_looks_stays() -> None:
    in_namespace("""
first, second = left(0x7F787301), left(0x7F787302)
found = own_segments._left
views = []

def looked(before):
    ids = found(before)
    assert sorted(ids) == [first, second]
    views.append(sysv.shmat(first))
    return ids

own_segments._left = looked
assert look() == [first]
""")


def test_opening_a_screen_looks_the_first_time_only(xvfb: Server) -> None:
    in_namespace(
        """
own_segments._MIN_AGE = -5
for expected in (0, 1):
    left()
    with xshm.Screen(sys.argv[1], "core") as screen:
        screen.grab()
    assert len(sysv.segments()) == expected, expected
""",
        xvfb.name,
    )


def test_a_creator_in_another_pid_namespace_is_not_taken_for_dead() -> None:
    in_namespace("""
import ctypes
NEWPID = 0x20000000
ours, theirs = left(0x7F787301), None

def first_of_its_namespace():  # which sees nothing of the process that made `ours`
    global theirs
    (segment,) = sysv.segments()
    assert (segment.cpid, sysv.stat(ours).cpid) == (0, 0)
    assert look() == [ours]
    assert own_segments.is_own(segment)
    theirs = left(0x7F787302)  # by a process of number 2 or so here
    assert 0 < sysv.stat(theirs).cpid < 5
    alive = sysv.shmget(0x7F787303, 4096, sysv.IPC_CREAT | 0o600)
    assert look() == [ours, alive]
    left(0x7F787304)
    os.write(to_parent, b"-")
    os.read(from_parent, 1)

from_child, to_parent = os.pipe()
from_parent, to_child = os.pipe()
middle = os.fork()
if not middle:
    assert ctypes.CDLL(None).unshare(NEWPID) == 0
    by_child(first_of_its_namespace)
    os._exit(0)
assert os.read(from_child, 1) == b"-"
# The parent's namespace has numbers for all of them: `ours` and what the child's child left go, the living one's stays.
(stays,) = look()
assert sysv.stat(stays).perm.key == 0x7F787303
os.write(to_child, b"-")
assert os.waitpid(middle, 0)[1] == 0
assert look() == []
""")


def test_where_the_kernel_is_too_old_to_tell_creators_all_stay() -> None:
    in_namespace("""
import ctypes
UNAME26 = 0x0020000
shmid = left()
ctypes.CDLL(None).personality(UNAME26)
assert os.uname().release.startswith("2.6."), os.uname().release
assert look() == [shmid]
ctypes.CDLL(None).personality(0)
assert look() == []
""")


def test_nobody_in_a_user_namespace_without_numbers_takes_nothing_for_its_own() -> None:
    in_namespace("""
import ctypes, signal
NEWUSER, NEWIPC = 0x10000000, 0x08000000
libc = ctypes.CDLL(None, use_errno=True)
from_child, to_parent = os.pipe()
from_parent, to_child = os.pipe()
child = os.fork()
if not child:
    os.setuid(65534)
    libc.prctl(4, 1, 0, 0, 0)  # PR_SET_DUMPABLE: so that the parent finds our namespaces
    if libc.unshare(NEWUSER | NEWIPC):
        os.write(to_parent, b"x")
        os._exit(0)
    os.write(to_parent, b"-")
    os.read(from_parent, 1)
    # It is root's, is shown as our own, and could be removed: we have every capability over this IPC namespace.
    (segment,) = sysv.segments()
    assert segment.uid == segment.cuid == os.geteuid() == 65534
    assert look() == [segment.shmid]
    sysv.remove(segment.shmid)
    os._exit(0)
if os.read(from_child, 1) == b"-":
    def enter_and_make():
        with open(f"/proc/{child}/ns/ipc") as ns:
            assert libc.setns(ns.fileno(), 0) == 0, ctypes.get_errno()
        sysv.shmget(0x7F787301, 4096, sysv.IPC_CREAT | 0o600)

    by_child(enter_and_make)
    os.write(to_child, b"-")
assert os.waitpid(child, 0)[1] == 0
""")


# -- listed ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def young() -> Iterator[int]:
    """Give a segment as a kill leaves it; its creator lives, and so it stays."""
    taken = {info.key for info in sysv.segments()}
    key = next(key for key in range(KEY & ~0xFF, KEY | 0xFF) if key not in taken)
    shmid = sysv.shmget(key, 4096, sysv.IPC_CREAT | sysv.IPC_EXCL | 0o600)
    yield shmid
    if shmid in [each.shmid for each in sysv.segments()]:
        sysv.remove(shmid)


def test_segments_marks_what_is_ours_and_removes_it_when_told(young: int, capsys: pytest.CaptureFixture[str]) -> None:
    other = sysv.shmget(free_key(), 4096, sysv.IPC_CREAT | 0o600)
    try:
        assert main.main(["segments"]) == 0
        rows = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
        assert rows[str(young)].endswith(" ours")
        assert not rows[str(other)].endswith(" ours")
        assert main.main(["segments", "--json"]) == 0
        ours = {row["id"]: row["ours"] for row in json.loads(capsys.readouterr().out)}
        assert (ours[young], ours[other]) == (True, False)
        assert main.main(["segments", "--remove", str(young)]) == 0
        assert young not in [each.shmid for each in sysv.segments()]
    finally:
        sysv.remove(other)


def test_a_creator_that_is_not_seen_from_here_is_not_called_gone() -> None:
    told = in_namespace("""
import ctypes
from xshm.cli import main
left()

def elsewhere():
    assert main.main(["segments"]) == 0
    sys.stdout.flush()

def first():
    assert ctypes.CDLL(None).unshare(0x20000000) == 0
    by_child(elsewhere)

by_child(first)
""")
    row = told.splitlines()[1].split()
    assert row[-3:] == ["0", "(elsewhere)", "ours"]


def test_the_look_costs_little() -> None:
    told = in_namespace("""
made = [sysv.shmget(0, 4096, sysv.IPC_CREAT | 0o600) for _ in range(20)]
times = []
for _ in range(20):
    start = time.perf_counter()
    own_segments.remove_left()
    times.append(time.perf_counter() - start)
print(min(times))
""")
    assert float(told) < 0.0004
