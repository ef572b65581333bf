"""What the idioms of signal safety promise: owners close, deaths are noted, a handler's OSError is a handler's."""

from __future__ import annotations

import _thread
import ast
import contextlib
import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import xshm
from xshm._signal_safety import (
    Ignored,
    TaggedRef,
    WeakRegistry,
    begun,
    is_a_handlers,
    is_the_kernels,
    leave_signals,
    owned,
    pipe,
    released_by,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from servers import Server


class Thing:
    """Something that dies."""


def is_open(descriptor: int) -> bool:
    with contextlib.suppress(OSError):
        os.fstat(descriptor)
        return True
    return False


def test_a_descriptor_is_closed_with_its_last_reference() -> None:
    opened = owned(os.open, "/dev/null", os.O_RDONLY)
    reads, writes = pipe()
    numbers = [int(each) for each in (opened, reads, writes)]
    other = reads
    assert all(map(is_open, numbers))
    del opened, reads, writes
    assert [is_open(each) for each in numbers] == [False, True, False]
    del other
    assert not is_open(numbers[1])


def test_what_releases_a_number_is_called_with_it_once() -> None:
    released: list[int] = []

    class Number(int):
        __del__ = released_by(released.append)

    number = Number(5)
    assert released == []
    del number
    assert released == [5]


def test_a_tagged_reference_hands_on_its_tag_when_its_object_dies() -> None:
    died: deque[TaggedRef[Thing, str]] = deque()
    one, two = Thing(), Thing()
    first: TaggedRef[Thing, str] = TaggedRef(one, died.append)
    first.tag = "first"
    again: TaggedRef[Thing, str] = TaggedRef(one, died.append)
    again.tag = "again"
    assert first() is one
    assert first != again
    assert len({first, again}) == 2
    del two
    assert not died
    del one
    assert {each.tag for each in died} == {"first", "again"}
    assert first() is None


def test_a_registry_holds_nothing_and_forgets_what_dies() -> None:
    registry: WeakRegistry[Thing] = WeakRegistry()
    one, two = Thing(), Thing()
    registry.add(one)
    registry.add(two)
    assert registry.living() == [one, two]
    del one
    assert registry.living() == [two]
    assert len(registry) == 1
    assert registry.discard(two)
    assert not registry.discard(two)
    del two
    assert not registry


# -- whose an OSError is -----------------------------------------------------------------------------------------------

_OURS: dict[str, Any] = {"__name__": "xshm.somewhere", "__package__": "xshm", "Ignored": Ignored}
exec(  # noqa: S102 - functions of a module that counts as xshm's
    """
def caught(call):
    try:
        call()
    except OSError as error:
        return error

def ignored(call):
    with Ignored(OSError):
        call()
""",
    _OURS,
)
_BAD_CLOSE = partial(os.close, 1 << 20)


@pytest.fixture
def interrupted() -> Iterator[Callable[[], None]]:
    """Return a call into C during which a signal handler fails at a system call of its own."""
    before = signal.signal(signal.SIGUSR1, lambda *_: _BAD_CLOSE())
    yield partial(signal.raise_signal, signal.SIGUSR1)
    signal.signal(signal.SIGUSR1, before)


def test_whose_an_error_is_is_told_by_its_frames_and_not_by_its_errno(interrupted: Callable[[], None]) -> None:
    ours, theirs = _OURS["caught"](_BAD_CLOSE), _OURS["caught"](interrupted)
    assert ours.errno == theirs.errno == errno.EBADF
    assert (is_the_kernels(ours), is_a_handlers(ours)) == (True, False)
    assert (is_the_kernels(theirs), is_a_handlers(theirs)) == (False, True)
    assert not is_a_handlers(theirs, __name__)


def test_an_error_of_another_kind_is_not_the_kernels() -> None:
    assert not is_the_kernels(ValueError())


def test_a_handlers_error_is_not_ignored(interrupted: Callable[[], None]) -> None:
    _OURS["ignored"](_BAD_CLOSE)
    with pytest.raises(OSError, match="Bad file descriptor"):
        _OURS["ignored"](interrupted)


# -- a thread ----------------------------------------------------------------------------------------------------------


def test_work_is_done_by_another_thread_and_waited_for() -> None:
    threads: list[int] = []

    def work() -> None:
        time.sleep(0.05)
        threads.append(threading.get_ident())

    wait = begun(work)
    assert wait is not None
    wait()
    assert threads != [threading.get_ident()]


@pytest.mark.usefixtures("no_collector")  # else it may raise in a finalizer that runs meanwhile
def test_a_handler_that_raises_at_any_moment_of_a_thread_s_begin_does_not_end_the_thread(
    capsys: pytest.CaptureFixture[str],
) -> None:
    done: list[int] = []
    begins: list[int] = []
    start: Callable[..., int] = _thread.start_new_thread

    class _GivesUp(Exception):
        pass

    def interrupted_at(moment: int) -> None:
        """Begin some work, and raise at that line of `begun`, or of what it calls in Python, as a handler may."""
        left = [moment]

        def trace(frame: FrameType, event: str, _: object) -> Any:
            if frame.f_code is counting.__code__:  # in place of a function in C
                return None
            if event == "line":
                left[0] -= 1
                if not left[0]:
                    raise _GivesUp
            return trace

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            begun(lambda: done.append(moment))
        finally:
            sys.settrace(before)

    def counting(*arguments: Any) -> int:
        begins.append(1)
        return start(*arguments)

    raised = 0
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(_thread, "start_new_thread", counting)
        for moment in range(1, 40):
            with contextlib.suppress(_GivesUp):
                interrupted_at(moment)
                continue
            raised += 1
    assert raised >= 4
    deadline = time.monotonic() + 5
    while len(done) < len(begins) and time.monotonic() < deadline:
        time.sleep(0.001)
    assert len(done) == len(begins) > 1
    assert not capsys.readouterr().err


def test_where_the_system_has_no_more_threads_there_is_none() -> None:
    # As with a limit that is reached: the error is raised in C, without a frame of its own.
    before = threading.stack_size(1 << 46)
    try:
        assert begun(lambda: None) is None
    finally:
        threading.stack_size(before)


def test_a_handler_s_runtime_error_in_the_begin_of_a_thread_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    start: Callable[..., int] = _thread.start_new_thread

    def give_up(*_: object) -> None:
        raise RuntimeError("of a handler")

    def interrupted(*arguments: Any) -> int:
        started = start(*arguments)
        signal.raise_signal(signal.SIGUSR1)
        return started

    before = signal.signal(signal.SIGUSR1, give_up)
    monkeypatch.setattr(_thread, "start_new_thread", interrupted)
    try:
        with pytest.raises(RuntimeError, match="of a handler"):
            begun(lambda: None)
    finally:
        signal.signal(signal.SIGUSR1, before)


# -- locks -------------------------------------------------------------------------------------------------------------

_LOOPS = (ast.For, ast.While, ast.AsyncFor, ast.ListComp, ast.SetComp, ast.DictComp)
_OTHER_CODE = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.GeneratorExp, ast.ClassDef)
_LOCKS = {"Lock", "RLock", "Condition", "Semaphore", "BoundedSemaphore"}


def _name(node: ast.AST) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _within(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what lies in the same code as a node, and the node."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, _OTHER_CODE):
            yield from _within(child)


def _assigned_locks(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            values = node.value.elts if isinstance(node.value, ast.Tuple) else [node.value]
            if any(isinstance(value, ast.Call) and _name(value.func) in _LOCKS for value in values):
                yield from (_name(each) for target in targets for each in ast.walk(target))


_ALL_THREADS = """
import threading, time, xshm
from live_client import LiveClient
with xshm.Screen() as screen, screen.live() as live, LiveClient(live.url) as page:
    page.watch()
    with screen.record("a.apng"), screen.trace(keep_last=5):
        screen.grab().save("a.jpg")
        time.sleep(0.3)
        for each in threading.enumerate():
            lines = dict(line.split(":", 1) for line in open(f"/proc/self/task/{each.native_id}/status"))
            blocked = int(lines["SigBlk"], 16)
            print(each.name, *(blocked >> (number - 1) & 1 for number in (2, 15, 20, 11)))
"""


def test_signals_come_to_the_main_thread_whatever_others_the_library_has(xvfb: Server, tmp_path: Path) -> None:
    """The kernel gives a signal to any thread that takes it, and the main one's wait would not end by it."""
    helpers = str(Path(__file__).parent / "helpers")
    run = subprocess.run(
        [sys.executable, "-c", _ALL_THREADS],
        cwd=tmp_path,
        env=os.environ | xvfb.env() | {"PYTHONPATH": helpers},
        capture_output=True,
        text=True,
        check=True,
    )
    threads = dict(line.split(" ", 1) for line in run.stdout.splitlines())
    ours = {name: blocked for name, blocked in threads.items() if name.startswith("xshm")}
    assert {"xshm-live", "xshm-record-capture", "xshm-record-write", "xshm-trace"} < ours.keys(), run.stdout
    assert set(ours.values()) == {"1 1 1 0"}, run.stdout
    assert threads["MainThread"] == "0 0 0 0"


def test_the_main_thread_goes_on_to_take_signals() -> None:
    leave_signals()  # where there can be no other thread, it does the work of one
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set()


def test_no_lock_is_held_around_a_loop() -> None:
    """From Python 3.12 on an exception at the backward jump of some loops leaves a `with` without its exit.

    Of those with a condition (3.13.0) or all (3.12.1, by their exception tables), and comprehensions are such loops: a
    lock was left taken where a start of a program was interrupted.
    """
    trees = {path: ast.parse(path.read_text()) for path in Path(xshm.__file__).parent.rglob("*.py")}
    locks = {name for tree in trees.values() for name in _assigned_locks(tree)} - {"self", ""}
    assert {"_lock", "lock", "_condition", "_closing"} <= locks
    assert not [
        f"{path}:{loop.lineno}"
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.With) and any(_name(item.context_expr) in locks for item in node.items)
        for statement in node.body
        for loop in _within(statement)
        if isinstance(loop, _LOOPS)
    ]
