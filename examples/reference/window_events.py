"""Events of a Surface's window, and rectangles."""

# ruff: noqa: N802 - an example has the name of what it shows
from __future__ import annotations

import xshm
from xshm import events

OF = "xshm.events"


def Key(display: xshm.VirtualDisplay) -> None:
    with xshm.Surface(99, 99, title="Keys") as surface:
        with display.screen.wait_window("Keys") as window:
            window.move(20, 30)  # without a window manager, the window below the pointer has the keyboard
            window.press("a")
        for event in surface.events(timeout=5):
            if isinstance(event, events.Key):
                print(event.name, event.text, event.pressed)
                break


def Button(display: xshm.VirtualDisplay) -> None:
    with xshm.Surface(99, 99, title="Button") as surface:
        with display.screen.wait_window("Button") as window:
            window.click(20, 30)
        for event in surface.events(timeout=5):
            if isinstance(event, events.Button):
                print(event.number, event.x, event.y, event.pressed)
                break


def Motion(display: xshm.VirtualDisplay) -> None:
    with xshm.Surface(99, 99, title="Motion") as surface:
        with display.screen.wait_window("Motion") as window:
            window.move(5, 5)
            window.move(20, 30)
        for event in surface.events(timeout=5):
            if isinstance(event, events.Motion):
                print(event.x, event.y)
                break


def Resize() -> None:
    with xshm.Surface(99, 99, resizable=True) as surface:
        surface.resize(120, 80)
        for event in surface.events(timeout=5):
            if isinstance(event, events.Resize):
                print(event.width, event.height, surface.rect)
                break


def Close() -> None:
    with xshm.Surface(99, 99) as surface:
        window = surface.xlib.create_resource_object("window", surface.id)
        delete = surface.xlib.get_atom("WM_DELETE_WINDOW")  # what a window manager sends for the cross
        from Xlib.protocol import event as xlib_event  # noqa: PLC0415 - for this alone

        protocols = surface.xlib.get_atom("WM_PROTOCOLS")
        said = xlib_event.ClientMessage(window=window, client_type=protocols, data=(32, [delete, 0, 0, 0, 0]))
        window.send_event(said)
        surface.xlib.flush()
        print([event for event in surface.events(timeout=5) if isinstance(event, events.Close)], surface.is_open)


def Event() -> None:
    with xshm.Surface(99, 99) as surface:
        seen: list[events.Event] = list(surface.events(timeout=0))  # keys, buttons, motion, sizes, the end
    print(len(seen))
