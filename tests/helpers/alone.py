"""Run a few tests last, while no other one runs: they judge how soon something is told, or leave others no processor.

For pytest-xdist: of several workers one runs them, after the others have ended. Without it tests follow each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xdist.scheduler import LoadFileScheduling

if TYPE_CHECKING:
    from xdist.workermanage import WorkerController

# How their names begin. Beside two other workers on two processors a spinner turns unevenly, for one.
TESTS: tuple[str, ...] = (
    "tests/capture/waiting/test_act.py::test_clicks_are_judged_right_beside_what_moves",
    "tests/live/test_live_truth.py::test_a_viewer_behind_a_slow_line_does_not_hold_up_another",
    "tests/record/test_pipeline.py::test_each_change_is_a_picture_of_its_own_moment",
    "tests/trace/test_trace_log.py::test_snapshots_are_whole",
    "tests/test_fleet_example.py",  # two nodes and two browsers
)
_SCOPE = "alone"


class Scheduling(LoadFileScheduling):  # type: ignore[misc]  # it has no types
    """The tests of a file go to one worker, as with --dist loadfile; those of `TESTS` are one file more, the last."""

    def _split_scope(self, nodeid: str) -> str:
        return _SCOPE if nodeid.startswith(TESTS) else super()._split_scope(nodeid)

    def _assign_work_unit(self, node: WorkerController) -> None:
        if _SCOPE in self.workqueue:
            self.workqueue.move_to_end(_SCOPE)
        if not self._only_they_are_left() or not self._others_are_busy(node):
            super()._assign_work_unit(node)

    def _reschedule(self, node: WorkerController) -> None:
        """Give a worker that has done a test more to do. One of them waits, before its last, for those to come."""
        if not self._only_they_are_left():
            super()._reschedule(node)
            return
        last, *others = [each for each in self.nodes if not each.shutting_down] or [node]
        for other in others:
            other.shutdown()
        super()._reschedule(last)

    def _only_they_are_left(self) -> bool:
        return list(self.workqueue) == [_SCOPE]

    def _others_are_busy(self, node: WorkerController) -> bool:
        return any(self._pending_of(tests) for each, tests in self.assigned_work.items() if each is not node)
