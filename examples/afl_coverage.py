"""Show which edges of a program an input reaches: AFL's coverage map, over System V shared memory.

A program that afl-cc built attaches the segment whose id is in __AFL_SHM_ID when it starts, and counts each edge it
passes in one byte of it. The same map as afl-showmap's, without AFL's tools:

    afl-cc -o target target.c
    python afl_coverage.py --input seed.txt ./target        # or ./target @@ for a program that reads a file
    python afl_coverage.py --input seed.txt                 # with a small target that is built for the occasion

One line an edge, "index:count". Like AFL, counts are put into the buckets 1, 2, 3, 4-7, 8-15, 16-31, 32-127 and 128+,
numbered 1 to 8; --raw prints the counts. Exit code 0, 1 where the target crashed or took too long, 2 for an error.
"""

from __future__ import annotations

import argparse
import bisect
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from xshm import sysv

BUCKETS = (1, 2, 3, 4, 8, 16, 32, 128)  # the least count of each
SAMPLE = Path(__file__).with_name("afl_target.c")


class CoverageError(Exception):
    """The coverage can't be had; the message says why."""


def map_size(program: str) -> int:
    """Return the size in bytes of the map that an afl-cc-built program wants, as it says itself."""
    path = Path(program)
    # Asked first, since a program that knows nothing of AFL would simply run.
    if not path.is_file() or b"AFL_DUMP_MAP_SIZE" not in path.read_bytes():
        raise CoverageError(
            f"{program}: not a program that afl-cc of AFL++ 4 built; give its path, and build it with afl-cc"
        )
    environment = os.environ | {"AFL_DUMP_MAP_SIZE": "1"}
    try:
        asked = subprocess.run(
            [path.absolute()], env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=10
        )
        return int(asked.stdout.split()[-1])
    except (subprocess.TimeoutExpired, IndexError, ValueError) as error:
        raise CoverageError(f"{program}: does not say the size of its map ({error})") from error


def coverage(command: list[str], data: bytes, timeout: float | None = None) -> tuple[dict[int, int], int | None]:
    """Run an afl-cc-built program on an input; return the count of each edge, 1 to 255, and the exit code.

    The input is the program's standard input, or a file in place of an argument "@@". The exit code is as
    subprocess has it, negative for a signal, None where the time, in seconds, ran out.
    """
    size = map_size(command[0])
    shmid = sysv.shmget(sysv.IPC_PRIVATE, size, sysv.IPC_CREAT | 0o600)
    try:
        edges = sysv.shmat(shmid)
    finally:
        # Linux attaches it by its id until the last detach. From here on nothing is left behind, come what may; killed
        # before, this leaves an empty segment: xshm segments --remove ID.
        sysv.remove(shmid)
    with edges, tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.seek(0)
        arguments = [file.name if argument == "@@" else argument for argument in command[1:]]
        environment = os.environ | {"__AFL_SHM_ID": str(shmid), "AFL_MAP_SIZE": str(size)}
        try:
            code: int | None = subprocess.run(
                [Path(command[0]).absolute(), *arguments],
                env=environment,
                stdin=file,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                check=False,
                timeout=timeout,
            ).returncode
        except subprocess.TimeoutExpired:
            code = None
        if not edges[0]:
            raise CoverageError(
                f"{command[0]}: did not attach its map, segment {shmid} of {size} bytes; exit code {code}"
            )
        # Edge 0 is no edge: the program marks there that it found the map.
        return {edge: count for edge, count in enumerate(edges) if edge and count}, code


def build_sample(directory: str) -> str:
    """Build the sample target and return its path."""
    target = str(Path(directory, "target"))
    try:
        built = subprocess.run(["afl-cc", "-o", target, SAMPLE], capture_output=True, check=False, text=True)
    except FileNotFoundError:
        raise CoverageError("afl-cc is not installed (Debian: afl++), and no target is given") from None
    if built.returncode:
        raise CoverageError(f"afl-cc does not build {SAMPLE}:\n{built.stderr}")
    return target


def main() -> int:
    parser = argparse.ArgumentParser(description="Show which edges of an afl-cc-built program an input reaches.")
    parser.add_argument("-i", "--input", default="-", metavar="FILE", help="the input (default: standard input)")
    parser.add_argument("-r", "--raw", action="store_true", help="print counts, not buckets")
    parser.add_argument("-t", "--timeout", type=float, metavar="SECONDS", help="time that the target may take")
    parser.add_argument(
        "target",
        nargs=argparse.REMAINDER,
        help="program and its arguments, where @@ stands for the input's file (default: a sample)",
    )
    options = parser.parse_args()
    try:
        data = sys.stdin.buffer.read() if options.input == "-" else Path(options.input).read_bytes()
        with tempfile.TemporaryDirectory() as directory:
            command = options.target or [build_sample(directory)]
            counts, code = coverage(command, data, options.timeout)
    except (CoverageError, OSError) as error:
        print(f"afl_coverage: {error}", file=sys.stderr)
        return 2
    for edge, count in counts.items():
        print(f"{edge:06}:{count if options.raw else bisect.bisect(BUCKETS, count)}")
    if code is None:
        print(f"afl_coverage: the target took longer than {options.timeout} s", file=sys.stderr)
    elif code < 0:
        print(f"afl_coverage: the target died of signal {-code}", file=sys.stderr)
    return 1 if code is None or code < 0 else 0


if __name__ == "__main__":
    sys.exit(main())
