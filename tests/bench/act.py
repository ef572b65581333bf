"""How well an action's end is told, beside what people do today, in one run: `python tests/bench/act.py`.

Three programs, each with a caret that blinks: typing into one (Tk) that answers after 20 to 300 ms, a form in Chromium,
and the same form beside a spinner. Each contestant takes the same kinds of steps, in turn, on the same program: what
changes for good, what flashes, and what does nothing. The program itself writes down what it did and when (Chromium up
to a frame later): a verdict is right if it came after the program's last change, says rightly whether anything has
changed for good, and was not given up. Then a click beside xdotool's whole process, and the processor time of waiting
for nothing.

Debian: scrot, xdotool, chromium, python3-tk; what is absent is named. Takes five minutes; --steps 200 takes 40.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import queue
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import actors
import rounds
from figures import Table

_HERE = Path(__file__).parent
sys.path.insert(0, str(_HERE.parent / "helpers"))

from servers import start  # noqa: E402 - the tests' own tools lie a folder higher

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from actors import Action, Contestant

_SIZE = (800, 600)
_PATIENCE = 20.0  # seconds, for a program to start, or to answer at all
_PAUSE = 0.4  # seconds between two steps: longer than `actors.QUIET`
_SOON = 50  # ms
_WORDS = ("screen", "shared", "memory", "pixel", "window", "caret")
_PLACES = {"a": (100, 40), "b": (100, 100), "send": (100, 160), "blink": (100, 220), "nothing": (500, 400)}


class Program:
    """A program under test, which tells what it did: {at, state, busy, inputs}, with `at` in time.monotonic().

    `state` is all that it shows but caret and spinner, `busy` how many answers are still to come, `inputs` counts keys
    and clicks.
    """

    def __init__(self) -> None:
        self._told: queue.Queue[dict[str, Any]] = queue.Queue()
        self._closing = contextlib.ExitStack()

    def next_step(self, kind: str, pick: random.Random) -> tuple[Action, int]:
        """Return an action of this kind, and how many inputs it is."""
        raise NotImplementedError

    def wait(self, inputs: int) -> list[dict[str, Any]]:
        """Return what it told until it had so many inputs, and all answers were given."""
        told: list[dict[str, Any]] = []
        while not told or told[-1]["inputs"] < inputs or told[-1]["busy"]:
            told.append(self._told.get(timeout=_PATIENCE))
        return told

    def run(self, command: list[str], env: Mapping[str, str], **pipes: Any) -> subprocess.Popen[str]:
        """Start a process that ends with the program."""
        process = subprocess.Popen(command, env=dict(env), text=True, **pipes)
        self._closing.callback(process.wait)
        self._closing.callback(process.terminate)
        return process

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()


class TkProgram(Program):
    """`act_program.py`."""

    def __init__(self, env: Mapping[str, str]) -> None:
        super().__init__()
        process = self.run([sys.executable, str(_HERE / "act_program.py")], env, stdout=subprocess.PIPE)
        threading.Thread(target=self._read, args=(process.stdout,), daemon=True).start()

    def next_step(self, kind: str, pick: random.Random) -> tuple[Action, int]:
        """Return a key to type."""
        return ("type", {"lasting": pick.choice("abcdegh"), "flash": "f", "nothing": "n"}[kind]), 1

    def _read(self, lines: Any) -> None:
        for line in lines:
            self._told.put(json.loads(line))


class Form(Program):
    """`act_page.html` in Chromium, which posts what it did to a server in this process."""

    def __init__(self, env: Mapping[str, str], query: str = "") -> None:
        super().__init__()
        if shutil.which("chromium") is None:
            raise rounds.CanNotRun("no chromium (Debian: chromium)")
        self._actions = 0
        server = HTTPServer(("127.0.0.1", 0), _handler(self._told))
        self._closing.callback(server.server_close)
        self._closing.callback(server.shutdown)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        home = self._closing.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
        self.run(
            [
                *("chromium", "--kiosk", "--window-position=0,0", f"--window-size={_SIZE[0]},{_SIZE[1]}"),
                *("--no-first-run", "--disable-gpu", "--disable-background-networking", "--disable-component-update"),
                *(["--no-sandbox", "--test-type"] if os.geteuid() == 0 else []),  # the sandbox refuses root
                *(f"--user-data-dir={home}", f"--app=http://127.0.0.1:{server.server_port}/{query}"),
            ],
            env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def next_step(self, kind: str, pick: random.Random) -> tuple[Action, int]:
        """Return a click on a field, a button or nothing, or a word to type."""
        if kind != "lasting":
            return ("click", _PLACES["blink" if kind == "flash" else kind]), 1
        self._actions += 1
        if self._actions % 3:  # click into the other field, type there; then send
            word = pick.choice(_WORDS)
            return (("type", word), len(word)) if self._actions % 3 == 2 else (self._other_field(), 1)
        return ("click", _PLACES["send"]), 1

    def _other_field(self) -> Action:
        return "click", _PLACES["b" if self._actions // 3 % 2 == 0 else "a"]


def _handler(told: queue.Queue[dict[str, Any]]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = self.path in ("/", "/?spinner")
            self._answer((_HERE / "act_page.html").read_bytes() if page else b"", 200 if page else 404)

        def do_POST(self) -> None:
            what = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            what["at"] += time.monotonic() - time.time()  # the page has the time of day
            told.put(what)
            self._answer(b"", 200)

        def _answer(self, body: bytes, code: int) -> None:
            self.send_response(code)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    return Handler


PROGRAMS: dict[str, Callable[[Mapping[str, str]], Program]] = {
    "typing into a program that answers after 20 to 300 ms (Tk)": TkProgram,
    "a form in Chromium": Form,
    "the form beside a spinner": lambda env: Form(env, "?spinner"),
}


@dataclass
class Score:
    """What became of a contestant's steps."""

    right: int = 0
    early: int = 0  # before the program's last change
    wrong: int = 0  # says that something has changed for good where nothing has, or the other way round
    gave_up: int = 0
    late: list[float] = field(
        default_factory=list
    )  # seconds after the last change and `quiet`, of those that are right

    @property
    def steps(self) -> int:
        """How many there were."""
        return self.right + self.early + self.wrong + self.gave_up

    def __iadd__(self, other: Score) -> Self:
        for name in ("right", "early", "wrong", "gave_up", "late"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        return self


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file, too")
    parser.add_argument("--steps", type=int, default=24, help="steps of each contestant, in all (%(default)s)")
    parser.add_argument("--rounds", type=int, default=15, help="rounds of the clicks (%(default)s)")
    parser.add_argument("--idle", type=float, default=10, metavar="SECONDS", help="to wait for nothing (%(default)s)")
    parser.add_argument("--only", metavar="NAME", help="leave out the contestants whose names do not have this in them")
    parser.add_argument("--verbose", action="store_true", help="print each step, too")
    options = parser.parse_args()

    names = [name for name in actors.CONTESTANTS if (options.only or "") in name]
    totals = {name: Score() for name in names}
    figures: dict[str, Any] = {}
    for number, (title, program) in enumerate(PROGRAMS.items()):
        share = options.steps // len(PROGRAMS) + (number < options.steps % len(PROGRAMS))
        scores, absent = _compare(program, names, share, verbose=options.verbose)
        _print(title, scores, absent)
        figures[title] = {name: vars(score) for name, score in scores.items()} | {"absent": absent}
        for name, score in scores.items():
            totals[name] += score
    _print("all of them", {name: score for name, score in totals.items() if score.steps}, {})
    figures["click"] = _clicks(options.rounds)
    figures["idle"] = _idle(names, options.idle)
    if options.json:
        rounds.write_json(options.json, figures)


def _compare(
    program_type: Callable[[Mapping[str, str]], Program], names: list[str], steps: int, *, verbose: bool
) -> tuple[dict[str, Score], dict[str, str]]:
    """Let the contestants take steps in turn; return their scores, and why which could not."""
    scores, absent = dict[str, Score](), dict[str, str]()
    with contextlib.ExitStack() as closing:
        env = closing.enter_context(start("Xvfb", *_SIZE)).env()
        try:
            program = closing.enter_context(program_type(env))
        except rounds.CanNotRun as reason:
            return {}, dict.fromkeys(names, str(reason))
        contestants: dict[str, Contestant] = {}
        for name in names:
            try:
                contestants[name] = closing.enter_context(actors.CONTESTANTS[name](env))
            except rounds.CanNotRun as reason:
                absent[name] = str(reason)
        last = program.wait(0)[-1]
        time.sleep(1)  # a window that has just come may still be drawn
        for contestant in contestants.values():
            contestant.begin()
        scores = {name: Score() for name in contestants}
        pick = random.Random(5)
        order = list(contestants)
        for number in range(steps):
            kind = ("lasting", "nothing", "lasting", "flash", "lasting")[number % 5]
            for name in order:
                action, inputs = program.next_step(kind, pick)
                verdict = contestants[name].act(action)
                at = time.monotonic()
                told = program.wait(last["inputs"] + inputs)
                what = _judge(scores[name], verdict, at, contestants[name].quiet, [last, *told])
                if verbose:
                    late = (
                        f" {scores[name].late[-1] * 1e3:.0f} ms late" if what == "right" and kind != "nothing" else ""
                    )
                    print(f"{name}, {kind} {action}: {what}{late}; {verdict}", file=sys.stderr)
                last = told[-1]
                time.sleep(_PAUSE)
            order.append(order.pop(0))
    return scores, absent


def _judge(score: Score, verdict: actors.Verdict, at: float, quiet: float, told: list[dict[str, Any]]) -> str:
    """Compare a verdict, given at a time, with what the program told; return what it is."""
    changes = [now["at"] for before, now in itertools.pairwise(told) if now["state"] != before["state"]]
    what = "right"
    if not verdict.rested:
        what = "gave_up"
    elif changes and at < changes[-1]:
        what = "early"
    elif verdict.changed != (told[0]["state"] != told[-1]["state"]):
        what = "wrong"
    setattr(score, what, getattr(score, what) + 1)
    if what == "right" and changes:
        score.late.append(at - changes[-1] - quiet)
    return what


def _print(title: str, scores: dict[str, Score], absent: dict[str, str]) -> None:
    print(f"| {title} | right | too early | wrong | gave up | ms after rest and quiet | greatest | up to {_SOON:g} |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for name, score in scores.items():
        late = [each * 1e3 for each in score.late]
        soon = sum(each <= _SOON for each in late)
        times = f"{statistics.median(late):.0f} | {max(late):.0f} | {soon} of {len(late)}" if late else "– | – | –"
        print(
            f"| {name} | {score.right} of {score.steps} | {score.early} | {score.wrong} | {score.gave_up} | {times} |"
        )
    for name, reason in absent.items():
        print(f"| {name} | – | – | – | – | – | – | {reason} |")
    print(flush=True)


def _clicks(count: int) -> dict[str, Any]:
    command = [sys.executable, str(_HERE / "actors.py")]
    with start("Xvfb", *_SIZE) as server:
        commands = {
            "xshm, Screen.click": [*command, "click", server.name],
            "xdotool, the whole process": [*command, "click_by_xdotool", server.name],
        }
        results, absent = rounds.measure(commands, server.env(), rounds=count, server=server.pid)
    table = Table("click", "a click", results, absent)
    print(table.markdown(), end="\n\n", flush=True)
    return table.as_json()


def _idle(names: list[str], seconds: float) -> dict[str, Any]:
    """Measure each contestant that watches: all but those that sleep."""
    print(f"| {seconds:g} s of waiting for nothing | processor time, % of a core |\n|---|---:|")
    shares = {}
    with start("Xvfb", *_SIZE) as server:
        for name in (each for each in names if actors.CONTESTANTS[each] is not actors.Sleep):
            command = [sys.executable, str(_HERE / "actors.py"), "idle", server.name, name, str(seconds)]
            run = subprocess.run(command, env=server.env(), capture_output=True, text=True, check=False)
            if run.returncode == 0:
                shares[name] = float(run.stdout) / seconds
                print(f"| {name} | {100 * shares[name]:.2f} |", flush=True)
            else:
                print(f"| {name} | {run.stderr.strip().splitlines()[-1]} |", flush=True)
    return shares


if __name__ == "__main__":
    main()
