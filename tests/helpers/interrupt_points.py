"""Interrupt a piece of work at each point where CPython may run a signal handler, one after the other.

    for interrupted in at_every_point(work): ...     # runs `work` once for each point, and once to its end

CPython looks for signals when a function is entered, at backward jumps, and after a call into C. Here a trace function
raises at these points of the package's own code, and of functions that are named beside it, so that not one of them is
left to chance. What a signal can do inside the kernel (a call that is cut short) is left to the tests with real ones.
"""

from __future__ import annotations

import contextlib
import dis
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xshm
from xshm.x11.io import shared_socket, wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import CodeType, FrameType

_PACKAGE = str(Path(xshm.__file__).parent)


class Interrupted(BaseException):
    """The exception that is raised at a point, unless the test names another."""


# By identity: a code object's hash is one of all its instructions.
_found: dict[int, tuple[CodeType, frozenset[int]]] = {}


def _points(code: CodeType) -> frozenset[int]:
    """Return the points of a code object, which are looked for once."""
    if id(code) not in _found:
        _found[id(code)] = code, _find_points(code)
    return _found[id(code)][1]


def _find_points(code: CodeType) -> frozenset[int]:
    """Return the offsets before which a handler may have run: what follows RESUME or CALL, and backward jumps.

    What is raised after a call is handled as if by the instruction that follows. Where another `except` or `with` is
    responsible for that one, the point is left out.
    """
    parse: Any = dis._parse_exception_table  # type: ignore[attr-defined]
    table = parse(code)

    def handler(offset: int) -> int | None:
        return next((each.target for each in table if each.start <= offset < each.end), None)

    points = set()
    called: int | None = None
    for instruction in dis.get_instructions(code):
        name, offset = instruction.opname, instruction.offset
        if called is not None and name != "CACHE":
            if handler(called) == handler(offset):
                points.add(offset)
            called = None
        if name == "RESUME" or name.startswith("CALL"):
            called = offset
        if "BACKWARD" in name and "NO_INTERRUPT" not in name:
            points.add(offset)
    return frozenset(points)


class _Countdown:
    """Raises an exception at the point of that number, counted from 1."""

    def __init__(self, at: int, raised: type[BaseException] = Interrupted, beside: tuple[CodeType, ...] = ()) -> None:
        self._beside = beside
        self._left = at
        self._raised = raised
        self._returned = False

    def watches(self, code: CodeType) -> bool:
        return code.co_filename.startswith(_PACKAGE) or any(code is each for each in self._beside)

    def returns(self, code: CodeType) -> None:
        # A return from Python to Python is no point: no handler runs there. A constructor was called from C.
        self._returned = code.co_name != "__init__"

    def meets(self, code: CodeType, offset: int) -> None:
        returned, self._returned = self._returned, False
        if offset in _points(code) and not returned:
            self._left -= 1
            if not self._left:
                self.stop()
                raise self._raised

    def start(self) -> None:
        sys.settrace(self._trace)

    def stop(self) -> None:
        sys.settrace(None)

    def _trace(self, frame: FrameType, _event: str, _: Any) -> Any:
        code = frame.f_code
        if not self.watches(code):
            return None
        points = _points(code)
        frame.f_trace_opcodes, frame.f_trace_lines = bool(points), False

        def step(frame: FrameType, event: str, _: Any) -> Any:  # what takes the time: it is for each instruction
            if event == "opcode":
                if frame.f_lasti in points:
                    self.meets(code, frame.f_lasti)
                    if len(points) == 1:  # its entry, or a call that is made once
                        frame.f_trace_opcodes = False
                else:
                    self._returned = False
            elif event == "return":
                self.returns(code)
            return step

        return step


if sys.version_info >= (3, 12):  # where trace functions do not see every instruction
    _TOOL = 4

    class _Countdown(_Countdown):  # type: ignore[no-redef]
        def start(self) -> None:
            events = sys.monitoring.events
            sys.monitoring.restart_events()  # in code that other countdowns had no interest in
            sys.monitoring.use_tool_id(_TOOL, __name__)
            sys.monitoring.register_callback(_TOOL, events.INSTRUCTION, self._instruction)
            sys.monitoring.register_callback(_TOOL, events.PY_RETURN, lambda code, *_: self.returns(code))
            sys.monitoring.set_events(_TOOL, events.INSTRUCTION | events.PY_RETURN)

        def stop(self) -> None:
            if sys.monitoring.get_tool(_TOOL):
                sys.monitoring.set_events(_TOOL, 0)
                sys.monitoring.free_tool_id(_TOOL)

        def _instruction(self, code: CodeType, offset: int) -> Any:
            if not self.watches(code):
                return sys.monitoring.DISABLE
            # By its number: where a thread ends, current_thread() would make another object for it, which stays.
            if threading.get_ident() != threading.main_thread().ident:  # where no handler runs
                return None
            return self.meets(code, offset)


@contextlib.contextmanager
def _steadily() -> Iterator[None]:
    """Have a call sleep from its first read on: how often it spins would be another number of points each time."""
    module: Any = wire
    before = module.NOT_WAITING
    module.NOT_WAITING = shared_socket._WAITING
    try:
        yield
    finally:
        module.NOT_WAITING = before


def at_every_point(work: Callable[[], object], *beside: CodeType) -> Iterator[bool]:
    """Do the work again and again, interrupted at the first, second, … point; yields whether it was, False at last.

    `beside`: code of others whose points count as well.
    """
    at, interrupted = 1, True
    while interrupted:
        interrupted = interrupted_at(at, work, *beside)
        yield interrupted
        at += 1


def interrupted_at(point: int, work: Callable[[], object], *beside: CodeType) -> bool:
    """Do the work, interrupted at one point; return whether the work got that far."""
    countdown = _Countdown(point, beside=beside)
    with _steadily():
        try:
            countdown.start()
            work()
        except Interrupted:
            return True
        finally:
            countdown.stop()
    return False


def outcome(point: int, raised: type[BaseException], work: Callable[[], object]) -> tuple[BaseException | None, bool]:
    """Do the work, with something raised at one point; return the exception that came out, and whether one was."""
    countdown = _Countdown(point, raised)
    try:
        countdown.start()
        work()
    except BaseException as error:  # noqa: BLE001 - it is what is asked for
        return error, not countdown._left
    finally:
        countdown.stop()
    return None, not countdown._left


def count_points(work: Callable[[], object]) -> int:
    """Do the work; return how many points it has."""
    countdown = _Countdown(sys.maxsize)
    with _steadily():
        try:
            countdown.start()
            work()
        finally:
            countdown.stop()
    return sys.maxsize - countdown._left
