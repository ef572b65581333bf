"""PipelineTrial: whether the next frame of a stream is requested ahead, on a simulated clock."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from xshm.capture import pipelining


@pytest.mark.parametrize("takes", [0.7, 0.97, 1.3])
def test_the_next_frame_is_asked_for_ahead_where_that_was_timed_to_be_clearly_faster(
    takes: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(pipelining, "time", SimpleNamespace(monotonic=lambda: now))
    trial = pipelining.PipelineTrial()
    ahead, ways = True, []
    for frame in range(4096):
        now += takes if ahead else 1.0
        if frame == 2048:
            takes = 1 / takes  # somebody has put them elsewhere
        ahead = trial.next_is_ahead()
        ways.append(ahead)
    for part, faster in ((ways[:2048], takes > 1 / 0.95), (ways[2048 + 256 :], takes < 0.95)):
        assert 0.96 < sum(way == faster for way in part) / len(part) < 1
    assert f"{1e6 * takes:,.0f}" in trial.how
