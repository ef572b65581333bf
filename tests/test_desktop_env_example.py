"""`examples/desktop_env.py`: an environment as Gymnasium wants one, alone and four at a time, which leaves nothing."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from example_runs import loaded, output_of
from PIL import Image
from processes import ended

if TYPE_CHECKING:
    from collections.abc import Iterator

pytest.importorskip("gymnasium", reason="Gymnasium is not installed: pip install gymnasium")

_FILE = Path(__file__).parent.parent / "examples" / "desktop_env.py"


@pytest.fixture(scope="module")
def example() -> Any:
    return loaded("desktop_env")


@pytest.fixture
def env(example: Any) -> Iterator[Any]:
    env = example.DesktopEnv("rgb_array")
    yield env
    env.close()


def test_it_passes_gymnasiums_own_check(env: Any) -> None:
    from gymnasium.utils.env_checker import check_env  # noqa: PLC0415 - a part of what may be missing

    with warnings.catch_warnings():
        # The one thing it misses is a specification, which `gymnasium.register` gives to an environment with a name.
        warnings.filterwarnings("ignore", ".*not an environment created through `gymnasium.make`.*", UserWarning)
        warnings.filterwarnings("ignore", ".*not having a spec.*", UserWarning)
        check_env(env, skip_close_check=True)


def test_an_episode_is_the_same_for_a_seed_and_the_picture_decides(env: Any, example: Any) -> None:
    first, _ = env.reset(seed=3)
    cell = example.policy(first)
    wrong = ((cell[0] + 8) % 16, (cell[1] + 5) % 10)
    missed, reward, terminated, _, _ = env.step(np.array(wrong))
    assert (reward, terminated) == (-0.05, False)
    hit, reward, terminated, truncated, _ = env.step(np.array(cell))
    assert (reward, terminated, truncated) == (1.0, True, False)
    again, _ = env.reset(seed=3)
    assert (again == first).all()
    other, _ = env.reset(seed=4)
    for one, next_one in ((first, missed), (missed, hit), (hit, other)):
        assert (one != next_one).any()


def test_an_episode_is_cut_after_its_clicks(example: Any) -> None:
    env = example.DesktopEnv(max_clicks=2)
    try:
        env.reset(seed=3)
        assert env.step(np.array((0, 0)))[2:4] == (False, False)
        assert env.step(np.array((0, 9)))[2:4] == (False, True)
    finally:
        env.close()


def test_four_of_them_run_beside_each_other(tmp_path: Path) -> None:
    said = output_of("desktop_env.py", tmp_path / "env.png")
    assert re.match(r"100 buttons hit in 200 steps of 4 environments, \d+ steps a second\n", said)
    picture = np.asarray(Image.open(tmp_path / "env.png").convert("RGB"))
    assert picture.shape == (200, 320, 3)
    assert (picture == (255, 127, 0)).all(axis=2).sum() > 1000


def test_one_whose_process_is_killed_leaves_nothing() -> None:
    code = (
        f"import sys, time; sys.path.insert(0, {str(_FILE.parent)!r}); from desktop_env import DesktopEnv\n"
        "env = DesktopEnv(); print(env._display.pid, env._program.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        pids = [int(word) for word in owner.stdout.readline().split()]
        os.kill(owner.pid, signal.SIGKILL)
    assert len(pids) == 2
    assert all(map(ended, pids))
