"""`xshm segments`: System V shared memory segments, as ipcs(1) lists and ipcrm(1) removes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xshm import sysv
from xshm.cli.options import add_json, whole_number
from xshm.cli.output import print_json
from xshm.errors import InvalidArgument
from xshm.shm import own_segments
from xshm.system.printable import printable
from xshm.virtual.processes import process_groups

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    parser.add_argument(
        "--remove",
        nargs="+",
        action="extend",
        type=whole_number,
        metavar="ID",
        help="remove these; which ones is yours to say, none is guessed",
    )
    add_json(parser, "as JSON")


def main(chosen: argparse.Namespace) -> int:
    """List all segments that the kernel has, or remove the named ones; return 0."""
    if chosen.remove and chosen.json:
        raise InvalidArgument("--remove lists nothing, and takes no --json")
    if chosen.remove:
        # All ids are checked before any segment is removed: one that no segment has removes none of them.
        for shmid in chosen.remove:
            sysv.stat(shmid)
        for shmid in chosen.remove:
            sysv.remove(shmid)
        return 0
    rows = [_row(segment) for segment in sysv.segments()]
    if chosen.json:
        print_json(rows)
    else:
        _print(rows)
    return 0


def _print(rows: list[dict[str, Any]]) -> None:
    print(f"{'id':>10} {'bytes':>14} {'mode':>5} {'owner':>7} {'attached':>8} {'creator pid':>11} {'creator':<16}")
    for row in rows:
        # The kernel gives 0 for a creator in a PID namespace that this process is not in.
        gone = "(gone)" if row["creator_pid"] else "(elsewhere)"
        marks = "".join(f" {mark}" for mark in ("removed", "ours") if row[mark])
        print(
            f"{row['id']:>10} {row['bytes']:>14,} {row['mode']:>5} {row['owner']:>7} {row['attached']:>8} "
            f"{row['creator_pid']:>11} {printable(row['creator'] or gone):<16}{marks}".rstrip()
        )


def _row(segment: sysv.SegmentInfo) -> dict[str, Any]:
    return {
        "id": segment.shmid,
        "bytes": segment.size,
        "mode": f"{segment.mode & 0o777:03o}",
        "owner": segment.uid,
        "attached": segment.nattch,
        "creator_pid": segment.cpid,
        "creator": _command_name(segment.cpid),
        "removed": bool(segment.mode & 0o1000),  # SHM_DEST: the kernel removes it at the last detach
        "ours": own_segments.is_own(segment),
    }


def _command_name(pid: int) -> str | None:
    """Return the name of a process as proc(5) has it (comm); None where the process has ended."""
    # The name may be no text, and contain newlines, of which only the last is the kernel's own.
    return process_groups.read(pid, "comm").removesuffix(b"\n").decode("utf-8", "backslashreplace") or None
