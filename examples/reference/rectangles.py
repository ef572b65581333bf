"""Rectangles of pixels."""

# ruff: noqa: N802 - an example has the name of what it shows
from __future__ import annotations

from xshm import geometry

OF = "xshm.geometry"


def Rect() -> None:
    rect = geometry.Rect(10, 20, 300, 200)  # the same as xshm.Rect
    print(rect.right, rect.bottom, rect.contains(geometry.Rect(20, 30, 5, 5)))


def HasRect() -> None:
    def middle(place: geometry.HasRect) -> tuple[int, int]:  # a Monitor, a Frame, a Window
        return place.rect.x + place.rect.width // 2, place.rect.y + place.rect.height // 2

    class Button:
        rect = geometry.Rect(10, 20, 30, 40)

    print(middle(Button()))


def Region() -> None:
    regions: list[geometry.Region] = [(10, 20, 300, 200), "300x200+10+20", geometry.Rect(10, 20, 300, 200)]
    regions.append({"left": 10, "top": 20, "width": 300, "height": 200})  # mss's
    print({geometry.as_rect(each) for each in regions})


def as_rect() -> None:
    print(geometry.as_rect("300x200-0-0", lambda: geometry.Rect(0, 0, 1280, 800)))  # from the far edges


def merged() -> None:
    print(geometry.merged([geometry.Rect(0, 0, 9, 9), geometry.Rect(8, 8, 9, 9), geometry.Rect(99, 99, 1, 1)], 2))
