"""What a screenshot costs as a whole process, from its start to a PNG on the disk: `python tests/bench files`.

The floor is a program in C that connects, takes one picture, and ends, without a file. Each writes a PNG as it does
when nothing else is said; their sizes are in the table.

As a worker, `python whole_process.py NAME TARGET DISPLAY WIDTH HEIGHT` starts the program as rounds.py tells it to.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import rounds
from figures import Part, Settings, Table

if TYPE_CHECKING:
    from collections.abc import Iterator

_HERE = Path(__file__).parent
_BIN = Path(sys.executable).parent
_PILLOW = "import sys; from PIL import ImageGrab; ImageGrab.grab(xdisplay='').save(sys.argv[1])"
_PYSCREENSHOT = "import sys; from pyscreenshot import grab; grab(childprocess=False, backend='mss').save(sys.argv[1])"
_FLOOR = "C, one picture, no file"

# Each with the target's name in place of {}; of the screen's size where it has to be told.
COMMANDS = {
    "xshm shot": f"{_BIN / 'xshm'} shot {{}}",
    "scrot": "scrot -o {}",
    "maim": "maim {}",
    "ImageMagick import": "import -window root {}",
    "mss": f"{_BIN / 'mss'} -m 1 -o {{}}",
    "ffmpeg x11grab": "ffmpeg -nostdin -loglevel error -y -f x11grab -draw_mouse 0 -video_size {size}"
    " -i {display} -frames:v 1 -update 1 {}",
    "GStreamer ximagesrc": "gst-launch-1.0 -q ximagesrc num-buffers=1 use-damage=false show-pointer=false"
    " ! videoconvert ! pngenc ! filesink location={}",
    "Pillow ImageGrab": f"{sys.executable} -c {shlex.quote(_PILLOW)} {{}}",
    "pyscreenshot": f"{sys.executable} -c {shlex.quote(_PYSCREENSHOT)} {{}}",
}


def run(command: list[str]) -> None:
    """Start a program, and wait for its end; SystemExit where it fails."""
    quiet = [(os.POSIX_SPAWN_OPEN, fd, "/dev/null", os.O_RDWR, 0) for fd in (0, 1)]
    pid = os.posix_spawnp(command[0], command, os.environ, file_actions=quiet)
    _, status = os.waitpid(pid, 0)
    if status:
        raise SystemExit(f"{command[0]}: exit code {os.waitstatus_to_exitcode(status)}")


def work(name: str, target: Path, display: str, width: str, height: str) -> None:
    """Be the worker for one program."""
    if name == _FLOOR:
        floor = [str(target), display, width, height, "once"]
        rounds.serve(lambda: run(floor))
        return
    line = COMMANDS[name].replace("{size}", f"{width}x{height}").replace("{display}", display)
    command = [part.replace("{}", str(target)) for part in shlex.split(line)]
    if shutil.which(command[0]) is None:
        raise SystemExit(f"{command[0]} is not installed: sh tests/bench/setup.sh")

    def shoot() -> int:
        run(command)
        with target.open("rb") as file:
            file.seek(-16, os.SEEK_END)
            return int.from_bytes(file.read(4), "big")  # the checksum of the last pixels

    shoot()
    rounds.serve(shoot)


def files(settings: Settings) -> Iterator[Table]:
    """Give the table of a page at 1080p."""
    from screens import HEIGHT, WIDTH, load, page, screen  # noqa: PLC0415 - a worker does without

    where = ["", str(WIDTH), str(HEIGHT)]
    floor = rounds.compile_c(_HERE / "shm_floor.c", settings.folder, "xcb", "xcb-shm")
    targets = {name: settings.folder / f"{name.replace(' ', '_')}.png" for name in COMMANDS}
    with screen(WIDTH, HEIGHT, load(page(settings.folder))) as server:
        where[0] = server.name
        worker = [sys.executable, str(_HERE / "whole_process.py")]
        commands = {name: [*worker, name, str(target), *where] for name, target in ({_FLOOR: floor} | targets).items()}
        results, absent = rounds.measure(
            commands, server.env(), rounds=max(5, settings.rounds // 2), seconds=0.2, server=server.pid
        )
    for result in results:
        if result.name in targets:
            result.nbytes = targets[result.name].stat().st_size
    yield Table(f"files {WIDTH}x{HEIGHT}", f"{WIDTH}×{HEIGHT}, a whole process, PNG file", results, absent)


FILES = Part("files", "A screenshot as a whole process", 1.0, files)

if __name__ == "__main__":
    work(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
