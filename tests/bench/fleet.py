"""Many displays on Ray: what they cost, and how fast their pictures come: `python tests/bench/fleet.py`.

- Scale: pools of 1 to 32 displays of 1280x800, one or four in each worker. In each display a function draws 200x100
  pixels and takes the frame in which that is seen, over and over: changes a second of all together. Then the functions
  draw and the driver follows all displays by what changes (`Picture`): changes a second that reached it.
- Memory: the proportional set size (PSS) of a worker, a supervisor and a server.
- The store: a Frame by ray.put and ray.get alone; then one picture from a display to the driver, as a Frame, PNG, JPEG,
  whole Delta and Delta of a small change. Beside memcpy of the picture's bytes; on it are text and a photograph.
- Calls: an item of `map`, beside a bare call of a Ray actor and an item of multiprocessing.Pool's imap, of a function
  that does nothing.
- Hosts (root): the driver and the displays in two network namespaces, joined by a pair of virtual Ethernet devices.

Nothing else should run meanwhile. Takes about four minutes.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from xshm import DisplaySpec, Surface, fleet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from xshm import VirtualDisplay

_SPEC: Final = DisplaySpec(1280, 800, args=("-extension", "GLX"))
_SIZES: Final = {"1080p": (1920, 1080), "4K": (3840, 2160)}
_NODE: Final[dict[str, Any]] = {"num_cpus": 8, "object_store_memory": 1 << 30, "include_dashboard": False}
_ROUNDS: Final = 15
_ADDRESSES: Final = ("10.213.7.1", "10.213.7.2")


# -- what runs beside the displays ------------------------------------------------------------------------------------


def change_and_grab(display: VirtualDisplay, seconds: float) -> int:
    """Draw, and take the frame that shows it, until the time is over; return how often."""
    count = 0
    with (
        Surface(200, 100, display=display.name, xauthority=display.xauthority) as surface,
        display.screen.stream(on_change=True) as stream,
    ):
        picture = np.zeros((100, 200, 3), np.uint8)
        next(stream)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            count += 1
            picture[...] = count % 251
            surface.show(picture)
            next(stream)
    return count


def change(display: VirtualDisplay, seconds: float) -> int:
    """Draw a hundred times a second."""
    count = 0
    with Surface(200, 100, display=display.name, xauthority=display.xauthority) as surface:
        picture = np.zeros((100, 200, 3), np.uint8)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            count += 1
            picture[...] = count % 251
            surface.show(picture)
            time.sleep(0.01)
    return count


def nothing(_: object, item: int) -> int:
    """Return what came."""
    return item


def alone(item: int) -> int:
    """Return what came, to multiprocessing."""
    return item


class Pictured(fleet.Seat):
    """A display with a picture on all of it: as much text as fits, and something like a photograph on a quarter."""

    def set_up(self) -> None:
        """Show it."""
        width, height = self.display.screen.width, self.display.screen.height
        random = np.random.default_rng(1)
        glyphs = random.integers(0, 2, (64, 16, 8), np.uint8) * 200
        letters = glyphs[random.integers(0, 64, (-(-height // 16), width // 8))]
        text = 255 - letters.swapaxes(1, 2).reshape(-1, width)[:height]
        picture = np.repeat(text[..., None], 3, axis=2)
        rows, columns = np.mgrid[: height // 2, : width // 2]
        light = 128 + 60 * np.sin(columns / 97)[..., None] * np.cos(rows / 71)[..., None]
        picture[: height // 2, : width // 2] = light + random.normal(0, 4, (height // 2, width // 2, 3))
        self._surface = Surface(width, height, display=self.display.name, xauthority=self.display.xauthority)
        self._surface.show(picture)
        self._surface.wait()


# -- scale, and memory ------------------------------------------------------------------------------------------------


def scale(counts: list[int], seconds: float) -> dict[str, Any]:
    """Return what pools of so many displays do, by how many are in a worker, and how many there are."""
    found: dict[str, Any] = {}
    for per_worker in (1, 4):
        for count in (each for each in counts if each >= per_worker):
            begin = time.perf_counter()
            with fleet.DisplayPool(count, _SPEC, per_worker=per_worker, num_cpus=0.2) as pool:
                started = time.perf_counter() - begin
                inside = sum(each.result() for each in [pool.submit(change_and_grab, seconds) for _ in range(count)])
                shipped = _follow(pool, seconds)
                found[f"{count} displays, {per_worker} a worker"] = {
                    "start": started,
                    "inside": inside / seconds,
                    "shipped": shipped / seconds,
                    **_memory(pool, per_worker),
                }
    return found


def _follow(pool: fleet.DisplayPool, seconds: float) -> int:
    """Follow all displays while functions draw on them; return how many changes came."""
    import ray  # noqa: PLC0415 - workers that read this file need it not

    drawing = [pool.submit(change, seconds + 1) for _ in range(len(pool))]
    pictures = [fleet.Picture() for _ in range(len(pool))]
    pulls = {pool.look(number, "changed", None, timeout=1): number for number in range(len(pool))}
    count, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        (done,), _ = ray.wait(list(pulls), num_returns=1)
        number = pulls.pop(done)
        delta = ray.get(done)
        pictures[number].apply(delta)
        count += bool(delta.rects)
        pulls[pool.look(number, "changed", pictures[number].seen, timeout=1)] = number
    for each in drawing:
        each.result()
    return count


def _memory(pool: fleet.DisplayPool, per_worker: int) -> dict[str, float]:
    """Return the median PSS of a server, a supervisor and a worker's share of a display, in MB."""
    infos = pool.infos()
    servers = [_pss(each.server_pid) for each in infos]
    supervisors = [_pss(_parent(each.server_pid)) for each in infos]
    workers = [_pss(pid) / per_worker for pid in {each.pid for each in infos}]
    parts = {"server": servers, "supervisor": supervisors, "worker": workers}
    return {name: statistics.median(values) for name, values in parts.items()}


def _pss(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1e3


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


# -- pictures, and calls ----------------------------------------------------------------------------------------------


def store(*, is_here: bool) -> dict[str, Any]:
    """Return how long a picture takes from a display to the driver, in ms, by size and way; "memcpy": its bytes.

    The store alone is measured where the displays are on the driver's own host.
    """
    found: dict[str, Any] = {}
    for name, (width, height) in _SIZES.items():
        spec = DisplaySpec(width, height, args=("-extension", "GLX"))
        with fleet.DisplayPool(1, spec, kind=Pictured, num_cpus=0.2) as pool:
            found[name] = {"memcpy": _timed(_copying(width * height * 4))}
            if is_here:
                found[name]["ray.put and ray.get of a Frame"] = _timed(_putting(pool.grab(0)))
            found[name] |= _ways(pool)
    return found


def _copying(nbytes: int) -> Callable[[], object]:
    source, target = np.ones(nbytes, np.uint8), np.empty(nbytes, np.uint8)
    return lambda: np.copyto(target, source)


def _putting(frame: Any) -> Callable[[], object]:
    import ray  # noqa: PLC0415 - as above

    return lambda: ray.get(ray.put(frame))


def _ways(pool: fleet.DisplayPool) -> dict[str, float]:
    """Return the median ms of each way of a picture of display 0 to the driver, drawing apart."""
    import ray  # noqa: PLC0415 - as above

    picture = fleet.Picture()
    picture.apply(pool.changed(0))

    def small() -> None:
        picture.apply(pool.changed(0, picture.seen))

    def encoded(encoding: str) -> Callable[[], object]:
        return lambda: ray.get(pool.look(0, "grab", encoding=encoding))

    def draw() -> None:
        pool.submit(_draw_once, next(numbers)).result()

    numbers = iter(range(10**6))
    return {
        "a small change": _timed(small, draw),
        "whole, as a Delta": _timed(lambda: fleet.Picture().apply(pool.changed(0))),
        "a Frame": _timed(lambda: pool.grab(0)),
        "a PNG": _timed(encoded("png")),
        "a JPEG": _timed(encoded("jpeg")),
    }


def _draw_once(display: VirtualDisplay, number: int) -> None:
    with Surface(200, 100, display=display.name, xauthority=display.xauthority) as surface:
        surface.show(np.full((100, 200, 3), number % 251, np.uint8))
        surface.wait()


def _timed(operation: Callable[[], object], before: Callable[[], object] | None = None) -> float:
    times = []
    for _ in range(_ROUNDS + 3):
        if before is not None:
            before()
        begin = time.perf_counter()
        operation()
        times.append(time.perf_counter() - begin)
    return statistics.median(times[3:]) * 1e3


def calls(count: int) -> dict[str, float]:
    """Return µs of an item, by way: two workers each."""
    import ray  # noqa: PLC0415 - as above

    found = {}
    actors = [ray.remote(_Bare).options(num_cpus=0.2).remote() for _ in range(2)]
    ray.get([actor.call.remote(0) for actor in actors])
    begin = time.perf_counter()
    pending: list[Any] = []
    done = 0
    while done < count:  # two under way at each, as `map` has them
        while len(pending) < 4 and done + len(pending) < count:
            pending.append(actors[len(pending) % 2].call.remote(done))
        ready, pending = ray.wait(pending, num_returns=1)
        done += len(ray.get(ready))
    found["bare actors of Ray"] = (time.perf_counter() - begin) / count * 1e6
    for actor in actors:
        ray.kill(actor)
    with fleet.DisplayPool(2, DisplaySpec(64, 64, args=("-extension", "GLX")), num_cpus=0.2) as pool:
        list(pool.map(nothing, range(20)))
        begin = time.perf_counter()
        list(pool.map(nothing, range(count), progress=False))
        found["xshm, DisplayPool.map"] = (time.perf_counter() - begin) / count * 1e6
    with multiprocessing.get_context("spawn").Pool(2) as processes:
        list(processes.imap(alone, range(20)))
        begin = time.perf_counter()
        list(processes.imap(alone, range(count)))
        found["multiprocessing.Pool.imap"] = (time.perf_counter() - begin) / count * 1e6
    return found


class _Bare:
    """An actor that does nothing."""

    def call(self, item: int) -> int:
        """Return what came."""
        return item


# -- two hosts --------------------------------------------------------------------------------------------------------


def hosts() -> dict[str, Any] | str:
    """Return what `store` does, with the displays in another network namespace; why not, as a text."""
    if os.geteuid() != 0:
        return "network namespaces take root"
    try:
        with _two_namespaces() as (first, second):
            command = ["ip", "netns", "exec", first, sys.executable, __file__, f"--there={second}"]
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    except subprocess.CalledProcessError as error:
        return error.stderr.strip() or str(error)
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)
    lines = done.stdout.splitlines()
    if done.returncode or not lines:
        return (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
    found: dict[str, Any] = json.loads(lines[-1])
    return found


@contextlib.contextmanager
def _two_namespaces() -> Iterator[tuple[str, str]]:
    def ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True, capture_output=True, text=True)

    names = first, second = f"xshm-bench-{os.getpid()}-a", f"xshm-bench-{os.getpid()}-b"
    with contextlib.ExitStack() as held:
        for namespace in names:
            ip("netns", "add", namespace)
            held.callback(ip, "netns", "delete", namespace)
        ip("link", "add", "xshm-a", "netns", first, "type", "veth", "peer", "name", "xshm-b", "netns", second)
        for namespace, device, address in zip(names, ("xshm-a", "xshm-b"), _ADDRESSES, strict=True):
            ip("-n", namespace, "address", "add", f"{address}/24", "dev", device)
            ip("-n", namespace, "link", "set", device, "up")
            ip("-n", namespace, "link", "set", "lo", "up")
        yield names


def _drive(namespace: str) -> None:
    """Be the driver: start Ray here and in the other namespace, where the displays will be."""
    import ray  # noqa: PLC0415 - as above

    node = {**_NODE, "num_cpus": 0}
    context = ray.init(address="local", _node_ip_address=_ADDRESSES[0], log_to_driver=False, **node)
    address = context.address_info["gcs_address"]
    words = ["start", "--block", f"--address={address}", f"--node-ip-address={_ADDRESSES[1]}", "--num-cpus=8"]
    program = str(Path(sys.executable).with_name("ray"))
    command = ["ip", "netns", "exec", namespace, program, *words, f"--object-store-memory={1 << 30}"]
    there = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        until = time.monotonic() + 60
        while sum(each["Alive"] for each in ray.nodes()) < 2 and time.monotonic() < until:
            time.sleep(0.2)
        print(json.dumps(store(is_here=False)))
    finally:
        ray.shutdown()
        os.killpg(there.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            there.wait(10)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(there.pid, signal.SIGKILL)


# -- all of it --------------------------------------------------------------------------------------------------------


def main() -> None:
    """Measure, and print or write what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--displays", type=int, nargs="*", default=[1, 2, 4, 8, 16, 32], metavar="N")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each pool's turns")
    parser.add_argument("--items", type=int, default=2000, help="of a map")
    parser.add_argument("--json", type=Path, help="a file for all figures")
    parser.add_argument("--there", metavar="NAMESPACE", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.there:
        _drive(options.there)
        return
    try:
        import ray  # noqa: PLC0415 - as above
    except ImportError:
        sys.exit("Ray is not installed: pip install 'xshm[fleet]'")
    os.environ.setdefault("RAY_worker_niceness", "0")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray.init(address="local", _node_ip_address="127.0.0.1", log_to_driver=False, **_NODE)
    try:
        found: dict[str, Any] = {
            "scale": scale(options.displays, options.seconds),
            "store": store(is_here=True),
            "calls": calls(options.items),
            "capacity": [str(fleet.capacity(_SPEC, num_cpus=cpus)) for cpus in (0.25, 0)],
        }
    finally:
        ray.shutdown()
    found["hosts"] = hosts()
    print(json.dumps(found, indent=1))
    if options.json:
        options.json.write_text(json.dumps(found))


if __name__ == "__main__":
    main()
