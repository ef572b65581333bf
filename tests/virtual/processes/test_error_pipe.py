"""A signal handler that raises in the middle of a start leaves no descriptor open, and a start is Popen's otherwise."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from interrupt_points import at_every_point

from xshm.virtual.processes import error_pipe, marked_fork
from xshm.virtual.processes.error_pipe import OwningPopen

if TYPE_CHECKING:
    from collections.abc import Callable

    from xshm import VirtualDisplay

_EXECUTE = subprocess.Popen._execute_child.__code__  # type: ignore[attr-defined]
_FEW = {"PATH": "/usr/bin:/bin"}  # each variable is some more points


def pipes() -> dict[str, str]:
    """Return the pipes and null devices that are open; without a collection, so that one for each point is quick."""
    found = {}
    for each in os.listdir("/proc/self/fd"):  # noqa: PTH208 - numbers
        with contextlib.suppress(FileNotFoundError):
            found[each] = str(Path(f"/proc/self/fd/{each}").readlink())
    return {number: target for number, target in found.items() if target.startswith(("pipe:", "/dev/null"))}


def children() -> set[int]:
    return {int(pid) for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()}


def test_no_descriptor_is_left_open_wherever_a_start_is_interrupted() -> None:
    before, others, interrupted = pipes(), children(), 0
    process = OwningPopen.__new__(OwningPopen)
    for was in at_every_point(lambda: OwningPopen.__init__(process, ["true"], env=_FEW), _EXECUTE):
        interrupted += was
        assert pipes() == before, f"point {interrupted}"
        for pid in children() - others:  # of which an interrupted Popen does not learn
            os.waitpid(pid, 0)
    process.returncode = 0
    assert interrupted > (50 if sys.version_info < (3, 12) else 35)  # comprehensions are no functions any more


# Popen's word on a program that runs, and whose `run` was interrupted as it returned: it ends with the display.
@pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")
def test_nor_is_one_where_the_start_of_a_program_of_a_display_is_interrupted(display: VirtualDisplay) -> None:
    display.run(["true"]).wait()
    before, interrupted = pipes(), 0
    started = []
    for was in at_every_point(lambda: started.append(display.run(["true"], env=_FEW)), _EXECUTE):
        interrupted += was
        assert pipes() == before, f"point {interrupted}"
    started.pop().wait()
    assert interrupted > 100


def test_the_programs_of_a_display_report_on_a_pipe_with_an_owner(
    display: VirtualDisplay, monkeypatch: pytest.MonkeyPatch
) -> None:
    fork, owned = marked_fork._fork, list[object]()

    def look(mark: int, call: Callable[..., int], *arguments: object) -> int:
        owned.extend(each for each in arguments if isinstance(each, error_pipe._End))
        return fork(mark, call, *arguments)

    monkeypatch.setattr(marked_fork, "_fork", look)
    assert display.run(["true"]).wait() == 0
    assert len(owned) == 2


def test_an_end_in_the_place_of_a_standard_stream_is_moved_and_a_failed_exec_told_as_popen_does() -> None:
    script = (
        "import os\n"
        "from xshm.virtual.processes.error_pipe import OwningPopen\n"
        "os.closerange(0, 2)\n"
        "before = os.listdir('/proc/self/fd')\n"
        "assert OwningPopen(['/bin/sh', '-c', 'exit 3'], stdin=2, stdout=2).wait() == 3\n"
        "try: OwningPopen(['/no-such-program'])\n"
        "except FileNotFoundError as error: assert error.filename == '/no-such-program'\n"
        "else: raise AssertionError\n"
        "assert os.listdir('/proc/self/fd') == before, os.listdir('/proc/self/fd')\n"
    )
    run = subprocess.run([sys.executable, "-W", "error", "-c", script], stderr=subprocess.PIPE, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")


def test_another_library_s_popen_is_left_as_it_is() -> None:
    assert error_pipe.owning(print) is print
    assert error_pipe.owning(os.path.join) is os.path.join
