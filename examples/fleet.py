"""A form, filled in 100 times on displays of two nodes: python examples/fleet.py [--items N] [--displays N] [FILE.png].

Each display has a Chromium (Debian: package chromium) for all of its items, and real keys and clicks fill in the page.
Without $RAY_ADDRESS two nodes of a Ray cluster are started on this machine (pip install 'xshm[fleet]'). The picture is
of all displays in the middle of the work.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

import ray

from xshm import DisplaySpec, fleet

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xshm import VirtualDisplay

_SPEC = DisplaySpec(640, 360, args=("-extension", "GLX"))  # without OpenGL it is up in half the time
# Once it has the form's contents, the page has them in its title, which is the window's, and is ready for the next one.
_PAGE = """<!doctype html><meta charset="utf-8"><title>ready</title><style>
  body { margin: 0; font: 20px sans-serif; background: #eef4fa } form > *, p { position: absolute; left: 80px }
  input, button { font: inherit; box-sizing: border-box; width: 400px; height: 40px }
  input:focus { background: #ffd; outline: none }</style>
<form><input name="name" placeholder="Name" style="top: 60px"><input name="city" placeholder="City" style="top: 120px">
<button style="top: 180px">Send</button></form><p style="top: 240px"></p><script>
  const form = document.querySelector("form")
  form.onsubmit = event => {
    event.preventDefault(); const sent = [...new FormData(form).values()].join(" from ")
    document.title = sent; document.querySelector("p").textContent = `Thank you, ${sent}!`
    form.reset(); form.name.focus() }
</script>"""
_CITIES = ("Zürich", "Kraków", "Lisbon", "Oslo", "Athens", "Quito", "Dakar", "Hanoi")
# The profile is Chromium's own, and goes with it.
_IN_A_PROFILE = 'profile=$(mktemp -d) && trap "rm -rf $profile" EXIT TERM && "$@" --user-data-dir="$profile"'


class Browser(fleet.Seat):
    """A display with a Chromium that shows the form."""

    programs = (
        [
            *("sh", "-c", _IN_A_PROFILE, "sh", "chromium", f"--app=data:text/html,{quote(_PAGE)}", "--kiosk"),
            *("--window-position=0,0", "--window-size=640,360", "--no-first-run", "--disable-gpu", "--disable-sync"),
            *("--disable-background-networking", "--disable-component-update", "--password-store=basic"),
            *(["--no-sandbox", "--test-type"] if os.geteuid() == 0 else []),  # the sandbox refuses root
        ],
    )


class Filled(NamedTuple):
    """What the page had in its title, how long that took, and where."""

    title: str
    seconds: float
    where: str


def fill(display: VirtualDisplay, person: tuple[str, str]) -> Filled:
    """Fill in the form as a person does, and return what the page has received."""
    name, city = person
    screen, begin = display.screen, time.perf_counter()
    screen.click(280, 80)
    screen.type(name)
    screen.press("Tab")
    screen.type(city)
    screen.press("Enter")
    window = screen.wait_window(f"{name} from {city}", timeout=20)
    node = ray.get_runtime_context().get_node_id()[:6]
    return Filled(window.title, time.perf_counter() - begin, f"node {node}, display {display.name}")


@contextlib.contextmanager
def two_nodes() -> Iterator[None]:
    """Use the cluster of $RAY_ADDRESS; else start two nodes here, which end with the block."""
    if os.environ.get("RAY_ADDRESS"):
        yield
        return
    from ray.cluster_utils import Cluster  # noqa: PLC0415 - only where there is no cluster

    os.environ.setdefault("RAY_worker_niceness", "0")  # else browsers give way to all other programs
    node = {"num_cpus": 2, "object_store_memory": 200 << 20}
    cluster: Any = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    try:
        cluster.add_node(**node)
        ray.init(address=cluster.address, log_to_driver=False)
        yield
    finally:
        ray.shutdown()
        cluster.shutdown()


def main() -> None:
    parser = argparse.ArgumentParser(description="A form, filled in on many displays.")
    parser.add_argument("picture", nargs="?", default="fleet.png")
    parser.add_argument("--items", type=int, default=100)
    parser.add_argument("--displays", type=int, default=4)
    given = parser.parse_args()
    people = [(f"Ada {number}", _CITIES[number % len(_CITIES)]) for number in range(given.items)]
    with two_nodes(), fleet.DisplayPool(given.displays, _SPEC, kind=Browser) as pool:
        print(pool.capacity)
        begin, places, slowest = time.perf_counter(), Counter[str](), 0.0
        for number, filled in enumerate(pool.map(fill, people, timeout=60)):
            wanted = "{} from {}".format(*people[number])
            if filled.title != wanted:
                raise SystemExit(f"the page has received {filled.title!r}, and not {wanted!r}")
            places[filled.where] += 1
            slowest = max(slowest, filled.seconds)
            if number == given.items // 2:
                pool.wall(1280).save(given.picture)
        took = time.perf_counter() - begin
        for where, count in sorted(places.items()):
            print(f"{where}: {count} forms")
        print(
            f"{given.items} forms in {took:.1f} s, {took / given.items * 1e3:.0f} ms each; the slowest {slowest:.1f} s"
        )
    print(given.picture)


if __name__ == "__main__":
    main()
