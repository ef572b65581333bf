"""The contestants of act.py: ways to act on a program, and to tell when it has come to rest and whether it has changed.

Each is a context manager, made of a display's environment. `act` returns once it knows; CanNotRun is raised where what
it needs is not there. As a program of its own, `python actors.py ROLE DISPLAY …`, it clicks, or watches a still screen.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from rounds import CanNotRun, serve

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Action = tuple[str, tuple[int, int] | str]  # ("click", (x, y)) or ("type", text)

QUIET = 0.3  # seconds without a change that are rest
REACTION = 1.0  # seconds to wait for a first change
TIMEOUT = 5.0  # seconds
_SLEEP = 2.0  # seconds, the custom
_TOLERANCE = 0.001  # of all pixels


class Verdict(NamedTuple):
    """Whether something has changed for good, whether the program was found at rest, and what is known beyond that."""

    changed: bool
    rested: bool
    summary: str = ""


def xdotool(env: Mapping[str, str], action: Action) -> None:
    """Click or type by a process, which has ended when this returns."""
    verb, what = action
    words = ["type", what] if isinstance(what, str) else ["mousemove", *map(str, what), verb, "1"]
    subprocess.run(["xdotool", *words], env=dict(env), check=True)


def _need(program: str) -> None:
    if shutil.which(program) is None:
        raise CanNotRun(f"no {program} (Debian: {program})")


class Contestant:
    """A way to act; `quiet` is how long it waits without a change before it reports, `reaction` for a first one."""

    quiet = QUIET

    def __init__(self, env: Mapping[str, str], reaction: float = REACTION, timeout: float = TIMEOUT) -> None:
        self._env = env
        self._reaction = reaction
        self._timeout = timeout
        self._closing = contextlib.ExitStack()

    def begin(self) -> None:
        """Wait until the program that has just been started is at rest; those that have no way to tell just begin."""

    def act(self, action: Action) -> Verdict:
        """Act, and wait for what comes of it."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()


class Act(Contestant):
    """`Screen.act`, and the clicks and keys of the same connection."""

    def __init__(self, env: Mapping[str, str], **seconds: float) -> None:
        import xshm  # noqa: PLC0415 - the others do without

        super().__init__(env, **seconds)
        self._screen = self._closing.enter_context(xshm.Screen(env["DISPLAY"]))

    def begin(self) -> None:
        """Wait, which takes two seconds beside a spinner; what moves is known from then on."""
        self._screen.wait_stable(timeout=20)

    def act(self, action: Action) -> Verdict:
        verb, what = action
        with self._screen.act(quiet=QUIET, reaction=self._reaction, timeout=self._timeout) as act:
            if isinstance(what, str):
                self._screen.type(what)
            else:
                getattr(self._screen, verb)(*what)
        return Verdict(bool(act.outcome.changed), act.outcome.settled, act.outcome.summary())


class Sleep(Contestant):
    """A screenshot, the action, two seconds, another screenshot: each a process, as in a shell script."""

    quiet = 0.0

    def __init__(self, env: Mapping[str, str], **seconds: float) -> None:
        _need("scrot")
        _need("xdotool")
        super().__init__(env, **seconds)
        self._folder = Path(self._closing.enter_context(tempfile.TemporaryDirectory()))

    def act(self, action: Action) -> Verdict:
        before = self._shot("before.png")
        xdotool(self._env, action)
        time.sleep(_SLEEP)
        return Verdict(before != self._shot("after.png"), rested=True)

    def _shot(self, name: str) -> bytes:
        from PIL import Image  # noqa: PLC0415

        subprocess.run(["scrot", "-o", str(self._folder / name)], env=dict(self._env), check=True)
        with Image.open(self._folder / name) as picture:
            return picture.convert("RGB").tobytes()


class Poll(Contestant):
    """Pictures by mss at a rate, until they have been the same for a while; `tolerance` of the pixels may differ."""

    def __init__(self, env: Mapping[str, str], *, rate: int, tolerance: float = 0.0, **seconds: float) -> None:
        _need("xdotool")
        try:
            from mss import MSS  # noqa: PLC0415
        except ImportError as error:
            raise CanNotRun(f"{error} (pip install mss)") from None
        super().__init__(env, **seconds)
        self._pause, self._tolerance = 1 / rate, tolerance
        self._grabber: Any = self._closing.enter_context(MSS(display=env["DISPLAY"]))

    def act(self, action: Action) -> Verdict:
        before = last = self._look()
        xdotool(self._env, action)
        begin = due = time.monotonic()
        since = None  # when the last change was seen
        while True:
            due = max(due + self._pause, time.monotonic())
            time.sleep(max(0.0, due - time.monotonic()))
            picture = self._look()
            now = time.monotonic()
            if self._differ(picture, last):
                last, since = picture, now
            elif now - (begin if since is None else since) >= (self._reaction if since is None else QUIET):
                return Verdict(self._differ(before, picture), rested=True)
            if now - begin >= self._timeout:
                return Verdict(self._differ(before, picture), rested=False)

    def _look(self) -> Any:
        return self._grabber.grab(self._grabber.monitors[0]).raw

    def _differ(self, one: Any, other: Any) -> bool:
        if one == other or not self._tolerance:
            return bool(one != other)
        pictures = [np.frombuffer(each, np.uint32) & 0xFFFFFF for each in (one, other)]
        return float((pictures[0] != pictures[1]).mean()) > self._tolerance


CONTESTANTS: dict[str, Callable[..., Contestant]] = {
    "xshm, act": Act,
    "sleep(2) + scrot": Sleep,
    "mss, 10 a second": partial(Poll, rate=10),
    "mss, 60 a second": partial(Poll, rate=60),
    "mss, 60 a second, 0.1 % may differ": partial(Poll, rate=60, tolerance=_TOLERANCE),
}


# -- processes of their own --------------------------------------------------------------------------------------------


def click(display: str) -> None:
    """Serve clicks by `Screen.click`."""
    import xshm  # noqa: PLC0415

    with xshm.Screen(display) as screen:
        serve(lambda: screen.click(700, 500))


def click_by_xdotool(display: str) -> None:
    """Serve clicks by xdotool's whole process."""
    _need("xdotool")
    command = ["xdotool", "mousemove", "700", "500", "click", "1"]
    env = dict(os.environ) | {"DISPLAY": display}
    serve(lambda: subprocess.run(command, env=env, check=True))


def idle(display: str, name: str, seconds: str) -> None:
    """Print the seconds of processor time that an act takes which waits for so long, and nothing happens."""
    env, action = dict(os.environ) | {"DISPLAY": display}, ("click", (700, 500))
    with CONTESTANTS[name](env, reaction=0.1) as contestant:  # imports
        contestant.act(action)
    with CONTESTANTS[name](env, reaction=float(seconds), timeout=2 * float(seconds)) as contestant:
        before = time.process_time()
        contestant.act(action)
        print(time.process_time() - before)


if __name__ == "__main__":
    {each.__name__: each for each in (click, click_by_xdotool, idle)}[sys.argv[1]](*sys.argv[2:])
