"""Waiting for what is seen, and acting."""

# ruff: noqa: N802 - an example has the name of what it shows
from __future__ import annotations

import xshm

OF = "xshm"


def Change(display: xshm.VirtualDisplay) -> None:
    before = display.screen.grab()
    with display.launch("xlogo"):
        change = display.screen.wait_change(timeout=5, since=before)
    print(change.rects, f"{change.ratio:.1%} after {change.seconds:.3f} s")
    change.frame.rgb()


def Stability(display: xshm.VirtualDisplay) -> None:
    with display.run("xlogo"):
        rest = display.screen.wait_stable(quiet=0.1, timeout=5)  # nothing was drawn for so long
    print(rest.seconds, rest.frame.rect, rest.moving)


def Moving(display: xshm.VirtualDisplay) -> None:
    with display.run(["xclock", "-update", "0.1"]):
        try:
            display.screen.wait_stable(quiet=0.4, timeout=0.5)
        except xshm.WaitTimeout as error:
            for moving in error.moving:
                print(moving.rect, moving.period, moving.seconds, moving.rhythm)


def Found(screen: xshm.Screen) -> None:
    with screen.window("Logo") as window:
        wanted = window.grab()  # or a file, a Pillow image, an array
    found = screen.wait_image(wanted, timeout=5)
    print(found.rect, found.difference)


def Act(display: xshm.VirtualDisplay) -> None:
    with display.launch(["xterm", "-geometry", "60x10+0+0"]):
        with display.screen.act(quiet=0.1) as act:
            display.screen.type("echo here\n")
        print(act.outcome.summary())


def Outcome(display: xshm.VirtualDisplay) -> None:
    with display.screen.act(quiet=0.1) as act:
        program = display.run(["xlogo", "-title", "Another"])
    outcome = act.outcome
    print(outcome.reacted, outcome.reaction_seconds, outcome.changed, outcome.opened)
    outcome.frame.diff(outcome.before)
    program.end()
