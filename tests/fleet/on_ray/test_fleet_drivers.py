"""How the program ends that has made a pool, and how its Ray does: displays end with it in each case."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import fleet_driver
import pytest
from display_traces import left_of

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.usefixtures("nothing_is_left", "cluster")


class Driver:
    """A run of fleet_driver, in a session of its own, as in a terminal."""

    def __init__(self, how: str, environment: dict[str, str]) -> None:
        self._environment = environment
        self._place = Path(tempfile.mkdtemp(prefix="xshm-driver-"))
        self._run = subprocess.Popen(
            [sys.executable, "-W", "default", fleet_driver.__file__, how, self._place],
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def wait_for(self, line: str) -> str:
        """Return what it has printed up to a line."""
        assert self._run.stdout is not None
        lines = ""
        for each in self._run.stdout:
            lines += each
            if each.startswith(line):
                return lines
        pytest.fail(f"it has ended with {self._run.wait()}, and printed:\n{lines}")

    def signal(self, number: int, *, group: bool = False) -> None:
        if group:
            os.killpg(self._run.pid, number)
        else:
            self._run.send_signal(number)

    def ended(self) -> tuple[int, str]:
        """Close its standard input; return its exit code, and what else it has printed."""
        output, _ = self._run.communicate(timeout=30)
        return self._run.returncode, output

    def of_its_ray(self) -> list[bytes]:
        """Return the commands of the Ray that keeps its files where this driver was told."""
        commands = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):  # it has ended
                commands.append(path.read_bytes())
        return [each for each in commands if self._environment["RAY_TMPDIR"].encode() in each]

    def left(self) -> list[str]:
        return left_of([fleet_driver.begun(self._place)])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._run.kill()
        self._run.communicate()
        shutil.rmtree(self._place)


@pytest.fixture(scope="module")
def drivers(nothing_is_left: None, cluster: Any) -> Iterator[dict[str, Driver]]:  # noqa: ARG001 - it comes before
    """Give a driver for each test, all started at once, since each takes its time to start."""
    alone = Path(tempfile.mkdtemp(prefix="xr-"))  # short, since sockets are in it
    with contextlib.ExitStack() as ending:
        ending.callback(shutil.rmtree, alone)
        found = {}
        for name, how in (
            ("left open", "open"),
            ("killed", "with"),
            ("interrupted", "with"),
        ):
            found[name] = ending.enter_context(Driver(how, {"RAY_ADDRESS": cluster.address}))
        # Nothing tells it of a Ray: what is noted of one that runs is noted elsewhere.
        found["alone"] = ending.enter_context(Driver("with", {"RAY_TMPDIR": str(alone)}))
        # It would find the one of `ray start`, and is told to have its own.
        noted = Path(tempfile.mkdtemp(prefix="xr-"))
        ending.callback(shutil.rmtree, noted)
        (noted / "ray").mkdir()
        (noted / "ray" / "ray_current_cluster").write_text(cluster.address)
        found["local"] = ending.enter_context(Driver("shutdown", {"RAY_TMPDIR": str(noted), "RAY_ADDRESS": "local"}))
        yield found


def test_displays_end_with_a_program_that_did_not_close_its_pool(drivers: dict[str, Driver]) -> None:
    driver = drivers["left open"]
    driver.wait_for("begun")
    code, output = driver.ended()
    assert code == 0, output
    assert not driver.left()


def test_displays_end_with_a_program_that_was_killed(drivers: dict[str, Driver]) -> None:
    driver = drivers["killed"]
    driver.wait_for("begun")
    driver.signal(signal.SIGKILL)
    assert driver.ended()[0] == -signal.SIGKILL
    assert not driver.left()


@pytest.mark.parametrize("name", ["interrupted", "alone"])
def test_ctrl_c_while_a_result_is_waited_for_ends_all(drivers: dict[str, Driver], name: str) -> None:
    driver = drivers[name]
    printed = driver.wait_for("begun")
    assert "its own: 1" in printed, "an exception's class that is the program's is the same one at home"
    if name == "alone":
        assert driver.of_its_ray(), "the one that is there is another program's"
        assert " Ray " not in printed, "that it has started is nothing to say"
    driver.signal(signal.SIGINT, group=True)  # as a terminal does it
    code, output = driver.ended()
    assert code, output
    assert "KeyboardInterrupt" in output
    assert "main is over" not in output
    assert not driver.left()
    if name == "alone":
        assert not driver.of_its_ray(), "its Ray is left"


def test_a_pool_whose_ray_was_shut_down_says_so_and_starts_no_other_one(drivers: dict[str, Driver]) -> None:
    driver = drivers["local"]
    printed = driver.wait_for("begun")
    assert driver.of_its_ray(), "the one that is noted was not to be used"
    assert " Ray " not in printed, "that it has started is nothing to say"
    code, output = driver.ended()
    assert code == 0, output
    assert not driver.of_its_ray(), "its Ray is left"
    assert "ended: Ray was shut down" in output
    assert "refused: Ray was shut down" in output
    assert "started anew: False" in output
    assert not driver.left()
