"""The example for AFL: the edges it reports are those that afl-showmap reports for the same program and input."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "afl_coverage.py"
SAMPLE = EXAMPLE.with_name("afl_target.c")


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the example's target with Debian's afl-cc."""
    if shutil.which("afl-cc") is None or shutil.which("afl-showmap") is None:
        pytest.skip("needs afl-cc and afl-showmap (Debian: afl++)")
    target = tmp_path_factory.mktemp("afl") / "target"
    subprocess.run(["afl-cc", "-o", target, SAMPLE], check=True, capture_output=True)
    return target


def run_example(*arguments: object, data: str = "") -> subprocess.CompletedProcess[str]:
    command: list[str | Path] = [sys.executable, EXAMPLE, *map(str, arguments)]
    return subprocess.run(command, input=data, capture_output=True, text=True, check=False, timeout=50)


def showmap(target: Path, data: str, directory: Path, *options: str) -> str:
    # AFL_QUIET, since its banner is printed even so. Its own exit code, 2, tells of a crash.
    (directory / "input").write_text(data)
    command: list[str | Path] = ["afl-showmap", *options, "-q", "-o", directory / "map", "--", target]
    with (directory / "input").open() as file:
        subprocess.run(command, stdin=file, env=os.environ | {"AFL_QUIET": "1"}, check=False, timeout=50)
    return (directory / "map").read_text()


INPUTS = {
    "nothing": "",
    "a line": "((12)3)xx\n",
    "unbalanced": "12)",
    "every bucket": "((((" + "1234567" + "x" * 20 + ")" * 2 + "y" * 130,
    "past one byte": "9" * 300,
    "a crash": "1!",
}


@pytest.mark.parametrize("data", INPUTS.values(), ids=INPUTS)
def test_the_counts_of_all_edges_are_afl_showmaps(data: str, target: Path, tmp_path: Path) -> None:
    expected = showmap(target, data, tmp_path, "-r")
    assert expected
    assert run_example("--raw", target, data=data).stdout == expected


def test_other_inputs_reach_other_edges(target: Path) -> None:
    one, other = (run_example("--raw", target, data=data).stdout for data in ("(1)", "xyz"))
    assert one != other


def test_counts_are_put_into_afls_buckets(target: Path, tmp_path: Path) -> None:
    for count, bucket in [
        (1, 1),
        (2, 2),
        (3, 3),
        (4, 4),
        (7, 4),
        (8, 5),
        (15, 5),
        (16, 6),
        (32, 7),
        (127, 7),
        (128, 8),
    ]:
        data = "1" * count
        raw = dict(line.split(":") for line in run_example("--raw", target, data=data).stdout.splitlines())
        edge = next(edge for edge, times in raw.items() if times == str(count))
        lines = run_example(target, data=data).stdout.splitlines()
        assert f"{edge}:{bucket}" in lines
        # Debian 12's afl-showmap (4.04c) knows the least count of each bucket only, and drops the edges of others.
        assert set(showmap(target, data, tmp_path).splitlines()) <= set(lines)


def test_an_input_can_be_a_file_given_to_the_target(target: Path, tmp_path: Path) -> None:
    (tmp_path / "seed").write_text("(1)(2)")
    by_file = run_example("-r", "--input", tmp_path / "seed", target, "@@")
    by_stdin = run_example("-r", "-i", tmp_path / "seed", target)
    assert by_file.returncode == by_stdin.returncode == 0
    # Opening a file is an edge of its own.
    assert len(set(by_file.stdout.splitlines()) ^ set(by_stdin.stdout.splitlines())) == 2


def test_without_a_target_the_sample_is_built_and_run(target: Path) -> None:
    alone = run_example("-r", data="((12)3)xx\n")
    assert (alone.returncode, alone.stderr) == (0, "")
    assert alone.stdout == run_example("-r", target, data="((12)3)xx\n").stdout


def test_a_crash_and_a_hang_are_exit_code_1_and_said(target: Path, tmp_path: Path) -> None:
    crash = run_example(target, data="!")
    assert (crash.returncode, crash.stderr) == (1, "afl_coverage: the target died of signal 6\n")
    os.mkfifo(tmp_path / "never")
    hang = run_example("--timeout", 0.3, target, tmp_path / "never")
    assert (hang.returncode, hang.stderr) == (1, "afl_coverage: the target took longer than 0.3 s\n")


def test_what_afl_cc_did_not_build_is_refused_and_not_run(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    program.chmod(0o755)
    done = run_example(program)
    assert done.returncode == 2
    assert done.stderr.startswith(f"afl_coverage: {program}: not a program that afl-cc of AFL++ 4 built")
    assert not (tmp_path / "ran").exists()
    assert run_example(tmp_path / "absent").returncode == 2
