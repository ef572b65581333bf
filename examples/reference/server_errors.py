"""The X errors, each of a request that a program sends by itself, over the connection of a Screen."""

# ruff: noqa: N802 - an example has the name of what it shows
from __future__ import annotations

from typing import Any

from Xlib.protocol import request, rq

import xshm

OF = "xshm"


def ServerError(screen: xshm.Screen) -> None:
    try:
        screen.connection.request(request.GetAtomName, atom=0x1FFFFFFF)
    except xshm.ServerError as error:  # any of those below, and those of extensions
        print(error.name, error.code, hex(error.value), error.major, error.minor)


def BadRequest(screen: xshm.Screen) -> None:
    class NoSuchRequest(rq.Request):
        _request = rq.Struct(rq.Opcode(126), rq.Pad(1), rq.RequestLength())

    try:
        screen.connection.check(screen.connection.send(NoSuchRequest))
    except xshm.BadRequest as error:
        print(error)


def BadValue(screen: xshm.Screen) -> None:
    try:
        screen.connection.check(screen.connection.send(request.Bell, percent=120))
    except xshm.BadValue as error:
        print(error, error.value)


def BadWindow(screen: xshm.Screen) -> None:
    try:
        screen.connection.request(request.GetWindowAttributes, window=0x1FFFFFFF)
    except xshm.BadWindow as error:
        print(error)


def BadPixmap(screen: xshm.Screen) -> None:
    try:
        screen.connection.check(screen.connection.send(request.FreePixmap, pixmap=0x1FFFFFFF))
    except xshm.BadPixmap as error:
        print(error)


def BadAtom(screen: xshm.Screen) -> None:
    try:
        screen.connection.request(request.GetAtomName, atom=0x1FFFFFFF)
    except xshm.BadAtom as error:
        print(error)


def BadCursor(screen: xshm.Screen) -> None:
    try:
        screen.connection.check(screen.connection.send(request.FreeCursor, cursor=0x1FFFFFFF))
    except xshm.BadCursor as error:
        print(error)


def BadFont(screen: xshm.Screen) -> None:
    try:
        screen.connection.check(screen.connection.send(request.CloseFont, font=0x1FFFFFFF))
    except xshm.BadFont as error:
        print(error)


def BadMatch(screen: xshm.Screen) -> None:
    image: dict[str, Any] = {"format": 2, "drawable": screen.xlib.screen().root, "plane_mask": 0xFFFFFFFF}
    try:
        screen.connection.request(request.GetImage, x=0, y=0, width=9999, height=9999, **image)
    except xshm.BadMatch as error:
        print(error)


def BadDrawable(screen: xshm.Screen) -> None:
    try:
        screen.connection.request(request.GetGeometry, drawable=0x1FFFFFFF)
    except xshm.BadDrawable as error:
        print(error)


def BadAccess(screen: xshm.Screen) -> None:
    colour = {"pixel": 0, "red": 0, "green": 0, "blue": 0, "flags": 7}
    fixed = screen.xlib.screen().default_colormap
    try:
        screen.connection.check(screen.connection.send(request.StoreColors, cmap=fixed, items=[colour]))
    except xshm.BadAccess as error:
        print(error)


def BadAlloc(screen: xshm.Screen) -> None:
    larger = {"pid": screen.xlib.display.allocate_resource_id(), "drawable": screen.xlib.screen().root}
    try:
        sent = screen.connection.send(request.CreatePixmap, depth=24, width=40000, height=40000, **larger)
        screen.connection.check(sent)
    except xshm.BadAlloc as error:
        print(error)


def BadColor(screen: xshm.Screen) -> None:
    try:
        screen.connection.check(screen.connection.send(request.FreeColormap, cmap=0x1FFFFFFF))
    except xshm.BadColor as error:
        print(error)


def BadGC(screen: xshm.Screen) -> None:
    try:
        screen.connection.check(screen.connection.send(request.FreeGC, gc=0x1FFFFFFF))
    except xshm.BadGC as error:
        print(error)


def BadIDChoice(screen: xshm.Screen) -> None:
    root = screen.xlib.screen().root
    try:
        sent = screen.connection.send(request.CreatePixmap, pid=7, drawable=root, depth=24, width=9, height=9)
        screen.connection.check(sent)
    except xshm.BadIDChoice as error:
        print(error)


def BadName(screen: xshm.Screen) -> None:
    colours = screen.xlib.screen().default_colormap
    try:
        screen.connection.request(request.AllocNamedColor, cmap=colours, name="no such colour")
    except xshm.BadName as error:
        print(error)


def BadLength(screen: xshm.Screen) -> None:
    class ShortGetGeometry(rq.Request):
        _request = rq.Struct(rq.Opcode(14), rq.Pad(1), rq.RequestLength())

    try:
        screen.connection.check(screen.connection.send(ShortGetGeometry))
    except xshm.BadLength as error:
        print(error)


def BadImplementation(screen: xshm.Screen) -> None:
    class RenderTransform(rq.Request):  # which no server has ever had
        _request = rq.Struct(rq.Card8("opcode"), rq.Opcode(16), rq.RequestLength())

    render = screen.connection.extension("RENDER")
    try:
        screen.connection.check(screen.connection.send(RenderTransform, opcode=render.major if render else 0))
    except xshm.BadImplementation as error:
        print(error)


def BadSeg(screen: xshm.Screen) -> None:
    class ShmDetach(rq.Request):
        _request = rq.Struct(rq.Card8("opcode"), rq.Opcode(2), rq.RequestLength(), rq.Card32("shmseg"))

    shm = screen.connection.extension("MIT-SHM")
    try:
        screen.connection.check(screen.connection.send(ShmDetach, opcode=shm.major if shm else 0, shmseg=0x1FFFFFFF))
    except xshm.BadSeg as error:
        print(error)
