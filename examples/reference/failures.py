"""Errors, each raised by code that is wrong or out of luck."""

# ruff: noqa: N802 - an example has the name of what it shows
from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
from typing import TYPE_CHECKING

import numpy as np

import xshm

if TYPE_CHECKING:
    from pathlib import Path

OF = "xshm"


def XshmError(screen: xshm.Screen) -> None:
    try:
        screen.window("no such title")
    except xshm.XshmError as error:  # whatever xshm raises
        print(type(error).__name__, error)


def InvalidArgument(screen: xshm.Screen) -> None:
    try:
        screen.grab((0, 0, 0, 10))
    except xshm.InvalidArgument as error:
        print(error)


def InvalidType(screen: xshm.Screen) -> None:
    try:
        screen.grab(5)  # type: ignore[arg-type]
    except xshm.InvalidType as error:
        print(error)


def OutOfBounds(screen: xshm.Screen) -> None:
    try:
        screen.grab((screen.width - 10, 0, 50, 50))
    except xshm.OutOfBounds as error:
        print(error)  # names clip=True, which cuts it


def MonitorNotFound(screen: xshm.Screen) -> None:
    try:
        screen.monitor("HDMI-9")
    except xshm.MonitorNotFound as error:
        print(error)


def Closed() -> None:
    screen = xshm.Screen()
    screen.close()
    try:
        screen.grab()
    except xshm.Closed as error:
        print(error)


def ConnectFailed() -> None:
    try:
        xshm.Screen(":54321")
    except xshm.ConnectFailed as error:
        print(error)


def AccessDenied(display: xshm.VirtualDisplay) -> None:
    try:
        xshm.Screen(display.name, xauthority=os.devnull)  # a file without the cookie
    except xshm.AccessDenied as error:
        print(error)


def UntrustedServer(another_users_display: str) -> None:
    try:
        xshm.Screen(another_users_display)
    except xshm.UntrustedServer as error:
        print(error)


def DisplayGone() -> None:
    with xshm.VirtualDisplay(64, 48) as display:
        display.screen.grab()
        if display.pid is not None:
            os.kill(display.pid, signal.SIGKILL)
        try:
            display.screen.wait_change(timeout=5)
        except xshm.DisplayGone as error:
            print(error)


def ServerNonsense(lying_display: str) -> None:
    with xshm.Screen(lying_display) as screen:
        try:
            screen.windows()
        except xshm.ServerNonsense as error:
            print(error.request, error.wrong)


def RequestTimeout() -> None:
    with xshm.VirtualDisplay(64, 48) as display, display.activate(), xshm.Screen(timeout=0.1) as screen:
        os.kill(display.pid or 0, signal.SIGSTOP)
        try:
            screen.grab()
        except xshm.RequestTimeout as error:
            print(error)
        os.kill(display.pid or 0, signal.SIGCONT)


def WaitTimeout(screen: xshm.Screen) -> None:
    try:
        screen.wait_pixel(0, 0, "#123456", timeout=0.1)
    except xshm.WaitTimeout as error:
        print(error, error.frame.rect)  # the frame shows what was there instead


def TransportUnavailable() -> None:
    with xshm.VirtualDisplay(64, 48, framebuffer="none") as display:
        try:
            display.framebuffer.grab()
        except xshm.TransportUnavailable as error:
            print(error)


def ExtensionMissing() -> None:
    with xshm.VirtualDisplay(64, 48, args=["-extension", "XTEST"]) as display:
        try:
            display.screen.click(5, 5)
        except xshm.ExtensionMissing as error:
            print(error)


def UnsupportedFormat(folder: Path) -> None:
    (folder / "notes.txt").write_bytes(bytes(1000))
    try:
        xshm.Framebuffer.open(folder / "notes.txt")
    except xshm.UnsupportedFormat as error:
        print(error)


def RootlessServer(rootless_display: str) -> None:
    with xshm.Screen(rootless_display) as screen:
        try:
            screen.grab()
        except xshm.RootlessServer as error:
            print(error)


def PoolExhausted() -> None:
    with xshm.Screen(max_frames=2, copies=False) as screen:
        held = []
        try:
            for _ in range(3):
                held.append(screen.grab())  # noqa: PERF401 - as many as there are
        except xshm.PoolExhausted as error:
            print(len(held), error)


def FramebufferTruncated(folder: Path) -> None:
    with xshm.VirtualDisplay(64, 48, framebuffer=folder) as display:
        file = folder / "Xvfb_screen0"
        size = file.stat().st_size
        os.truncate(file, 5000)  # by who may write to it
        try:
            display.framebuffer.grab()
        except xshm.FramebufferTruncated as error:
            print(error)
        os.truncate(file, size)


def ReadOnlyMemory(display: xshm.VirtualDisplay) -> None:
    try:
        np.from_dlpack(display.framebuffer, copy=False)
    except xshm.ReadOnlyMemory as error:
        print(error)


def WindowError(screen: xshm.Screen) -> None:
    try:
        screen.window("no such title").grab()
    except xshm.WindowError as error:  # any of the three below
        print(type(error).__name__, error)


def WindowNotFound(screen: xshm.Screen) -> None:
    try:
        screen.window("no such title")
    except xshm.WindowNotFound as error:
        print(error)


def WindowGone(display: xshm.VirtualDisplay) -> None:
    with display.launch(["xlogo", "-title", "Gone"]) as program, display.screen.window("Gone") as window:
        program.end()
        try:
            window.grab()
        except xshm.WindowGone as error:
            print(error)


def WindowNotViewable(screen: xshm.Screen) -> None:
    hidden = screen.xlib.screen().root.create_window(0, 0, 9, 9, 0, screen.format.depth)  # and not mapped
    try:
        screen.window(hidden.id).grab()
    except xshm.WindowNotViewable as error:
        print(error)


def TargetNotFound(screen: xshm.Screen, folder: Path) -> None:
    try:
        screen.record(folder / "missing" / "screen.gif").start()
    except xshm.TargetNotFound as error:
        print(error)


def TargetIsDirectory(screen: xshm.Screen, folder: Path) -> None:
    (folder / "screen.gif").mkdir()
    try:
        screen.record(folder / "screen.gif").start()
    except xshm.TargetIsDirectory as error:
        print(error)


def TargetDenied(screen: xshm.Screen) -> None:
    try:
        screen.record("/sys/screen.gif").start()
    except xshm.TargetDenied as error:
        print(error)


def RecordingFailed(screen: xshm.Screen, folder: Path) -> None:
    recorder = screen.record(folder / "twice.gif")
    with recorder:
        try:
            recorder.start()
        except xshm.RecordingFailed as error:
            print(error)


def RecordingStalled(screen: xshm.Screen) -> None:
    recorder = screen.record("/mnt/a disk that hangs/screen.y4m")
    try:
        with recorder:
            screen.wait_change(timeout=60)
    except xshm.RecordingStalled as error:  # after 12 s without a byte; not run by the tests
        print(error)


def TargetTimeout(screen: xshm.Screen, folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    try:
        screen.record(folder / "pipe", format="y4m").start()
    except xshm.TargetTimeout as error:  # no program has opened it to read
        print(error)


def TargetGone(display: xshm.VirtualDisplay, folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    reader = os.open(folder / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    try:
        with display.record(folder / "pipe", format="y4m"):
            os.close(reader)  # who has read it is gone
            display.launch("xlogo").end()
    except xshm.TargetGone as error:
        print(error)


def LiveViewFailed(screen: xshm.Screen) -> None:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as server:
        try:
            screen.live(port=server.getsockname()[1]).start()
        except xshm.LiveViewFailed as error:
            print(error)


def TargetUnreachable(screen: xshm.Screen) -> None:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]  # free again below
    try:
        screen.record(f"tcp://127.0.0.1:{port}").start()
    except xshm.TargetUnreachable as error:
        print(error)


def MissingExtra(screen: xshm.Screen) -> None:
    installed = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "av"}
    for name in {"av", *installed}:
        sys.modules[name] = None  # type: ignore[assignment]  # as if PyAV were not installed
    try:
        screen.record("shot.mp4").start()
    except xshm.MissingExtra as error:
        print(error)
    for name in {"av", *installed}:
        del sys.modules[name]
    sys.modules.update(installed)


def StartFailed() -> None:
    try:
        xshm.VirtualDisplay(args=["-no-such-option"])
    except xshm.StartFailed as error:
        print(error)
