"""Too few descriptors: every verb that opens something, with exactly 0, 1, 2, … of them free.

It works, or it raises an error of xshm's own (or an OSError about a file of the caller's) that names the limit; no
descriptor is lost either way, and with room again the same objects do the same. It is done in a process of its own, so
that the one which runs the tests keeps its descriptors.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import io
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from faults.report import Report

    Verb = Callable[["Objects"], object]

_FULL_FROM: Final = 200  # descriptors that are held, so that programs which inherit the limit have room for their own
_QUICK: Final = (1,)
_QUICK_OF_COMMANDS: Final = {"shot": 2, "diff": 2, "run": 2}
_ALL: Final = range(21)
_STARTS: Final = ("VirtualDisplay()", "VirtualDisplay.attach", "display.launch")  # which take their time
_ONLY_LONG: Final = ("VirtualDisplay(framebuffer='sysv')", "VirtualDisplay(log=…)", "display.close")


def provoke(report: Report, effort: int) -> None:
    """Run each verb with few descriptors: 1, or (effort 100) each number up to 20."""
    tests = Path(__file__).resolve().parent.parent
    places = os.pathsep.join((str(tests), str(tests / "helpers"), os.environ.get("PYTHONPATH", "")))
    done = subprocess.run(
        [sys.executable, "-W", "error", __file__, str(effort)],
        env=os.environ | {"PYTHONPATH": places},
        stdout=subprocess.PIPE,
        text=True,
        timeout=1200,
        check=True,
    )
    for name, how in json.loads(done.stdout.splitlines()[-1]):
        report.row(name).count(how)


class Objects:
    """What the verbs are called on: all that they need is open, but what they open themselves."""

    def __init__(self, directory: Path) -> None:
        import xshm  # noqa: PLC0415 - by the process that does it

        self.directory = directory
        self.kept = directory / "kept"
        self.kept.mkdir()
        self.picture = directory / "picture.png"
        self.display = xshm.VirtualDisplay(64, 48, framebuffer=self.kept, args=["-extension", "GLX"])
        os.environ |= self.display.env()
        self.attached = xshm.VirtualDisplay.attach(self.display.name, self.display.xauthority)
        self.screen = xshm.Screen()
        self.surface = xshm.Surface(8, 8)
        self.frame = self.screen.grab((0, 0, 8, 8))
        self.frame.save(self.picture)
        self.program = self.display.run(["sleep", "1000"])
        self.loop = asyncio.Runner()
        self.loop.get_loop()  # which opens three descriptors

    def prepare(self, name: str) -> None:
        """Make what a verb uses up."""
        import xshm  # noqa: PLC0415 - as above

        if name == "display.close":
            self.spare = xshm.VirtualDisplay(8, 8, args=["-extension", "GLX"])
            self.spare.run(["sleep", "1000"])

    def close(self) -> None:
        """Release all of them."""
        for each in (self.loop, self.surface, self.screen, self.attached, self.display):
            each.close()


def _verbs() -> dict[str, Verb]:
    import xshm  # noqa: PLC0415 - as above
    from xshm import sysv  # noqa: PLC0415

    async def one(screen: xshm.Screen) -> None:
        with screen.stream(on_change=True) as stream:
            await anext(stream)

    def streamed(screen: xshm.Screen, *, on_change: bool) -> None:
        with screen.stream(on_change=on_change) as stream:
            next(stream)

    def shown(**options: Any) -> None:
        with xshm.Surface(8, 8, **options) as surface, surface.draw() as pixels:
            pixels[...] = 0

    def grabbed(**options: Any) -> None:
        with xshm.Screen(**options) as screen:
            screen.grab()

    def started(**options: Any) -> None:
        with xshm.VirtualDisplay(8, 8, args=["-extension", "GLX"], **options) as display:
            display.screen.grab()

    def launched(objects: Objects) -> None:
        with contextlib.suppress(xshm.WindowNotFound):
            objects.display.launch(["true"], timeout=20)

    def mapped(objects: Objects) -> None:
        path = next(objects.kept.glob("Xvfb_screen0"))
        with xshm.Framebuffer.open(path, objects.display.name, objects.display.xauthority) as framebuffer:
            framebuffer.grab()

    def attached(objects: Objects) -> None:
        with contextlib.closing(
            xshm.VirtualDisplay.attach(objects.display.name, objects.display.xauthority)
        ) as display:
            display.framebuffer.peek()
            display.run(["true"]).wait()

    def awaited(objects: Objects) -> None:
        with contextlib.suppress(xshm.WindowNotFound):
            objects.program.wait_window(timeout=0)

    return {
        "Screen()": lambda _: grabbed(),
        "Screen(transport='fd')": lambda _: grabbed(transport="fd"),
        "xshm.grab": lambda _: xshm.grab(),
        "screen.grab": lambda objects: objects.screen.grab(),
        "screen.grab with the pointer": lambda objects: objects.screen.grab(cursor=True),
        "screen.stream": lambda objects: streamed(objects.screen, on_change=False),
        "screen.stream on change": lambda objects: streamed(objects.screen, on_change=True),
        "async for": lambda objects: objects.loop.run(one(objects.screen)),
        "screen.window": lambda objects: objects.screen.window(objects.surface.id).close(),
        "screen.windows": lambda objects: objects.screen.windows(),
        "screen.monitors": lambda objects: objects.screen.monitors,
        "screen.xlib": lambda objects: objects.screen.xlib,
        "screen.wait_image of a file": lambda objects: objects.screen.wait_image(objects.picture, timeout=5),
        "Surface()": lambda _: shown(),
        "Surface(transport='fd')": lambda _: shown(transport="fd"),
        "frame.save": lambda objects: objects.frame.save(objects.directory / "saved.png"),
        "frame.save of a new file": _saved_anew,
        "Framebuffer.open": mapped,
        "VirtualDisplay.attach": attached,
        "VirtualDisplay()": lambda _: started(),
        "VirtualDisplay(framebuffer='sysv')": lambda _: started(framebuffer="sysv"),
        "VirtualDisplay(log=…)": lambda objects: started(log=objects.directory / "log"),
        "display.run": lambda objects: objects.display.run(["true"]).wait(),
        "display.launch": launched,
        "display.close": lambda objects: objects.spare.close(),
        "display.wait": lambda objects: objects.attached.wait(0),
        "program.wait_window": awaited,
        "sysv.segments": lambda _: sysv.segments(),
    }


def _commands(objects: Objects) -> list[list[str]]:
    saved, picture = str(objects.directory / "shot.png"), str(objects.picture)
    return [
        ["shot", saved],
        ["shot", "-"],
        ["windows"],
        ["monitors"],
        ["info"],
        ["segments"],
        ["diff", picture, picture],
        ["wait", "--stable", "--quiet", "0.01", "--timeout", "5"],
        ["run", "--", "true"],
    ]


def _saved_anew(objects: Objects) -> None:
    path = objects.directory / "new.png"
    path.unlink(missing_ok=True)
    try:
        objects.frame.save(path)
    except BaseException:
        assert not path.exists()
        raise


# -- in the process of its own ---------------------------------------------------------------------------------------


@contextlib.contextmanager
def _only(free: int) -> Iterator[None]:
    """Let exactly so many descriptors be free."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    held: list[int] = []
    while not held or held[-1] < _FULL_FROM:
        held.append(os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC))
    resource.setrlimit(resource.RLIMIT_NOFILE, (held[-1] + 1 + free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for descriptor in held:
            os.close(descriptor)


def _open() -> dict[str, str]:
    gc.collect()
    found = {}
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            found[entry.name] = str(entry.readlink())
    return found


def _lost(before: dict[str, str]) -> str | None:
    now = _open()
    if len(now) <= len(before):
        return None
    return f"left open: {', '.join(sorted(f'{name} -> {now[name]}' for name in now.keys() - before.keys()))}"


def _wrong_words(text: str) -> str | None:
    if "Linux 5.3" in text:
        return f"blames the kernel: {text}"
    if not ("RLIMIT_NOFILE" in text and "ulimit -n" in text):
        return f"does not name the limit: {text}"
    return None


def _tried(verb: Verb, objects: Objects, free: int, *, kernels: bool) -> str | None:
    import xshm  # noqa: PLC0415 - as above

    before, how = _open(), None
    with _only(free):
        try:
            verb(objects)
        except (xshm.XshmError, OSError) as error:
            if not isinstance(error, xshm.XshmError) and error.filename is None and not kernels:
                how = f"{type(error).__name__}: {error}"
            else:
                how = _wrong_words(str(error))
                if how:
                    how = f"{type(error).__name__} {how}"
            del error
        except Exception as error:  # noqa: BLE001 - which is what is looked for
            how = f"{type(error).__name__}: {error}"
    return "; ".join(filter(None, (how, _lost(before)))) or None


def _commanded(words: list[str], free: int) -> str | None:
    """Run a command in a fork, which has only imported what the program `xshm` does before it looks at its words."""
    from xshm.cli import main  # noqa: PLC0415 - as above

    told = os.memfd_create("told")
    child = os.fork()
    if not child:
        code = 99
        try:
            os.dup2(told, 2)
            os.dup2(os.open("/dev/null", os.O_WRONLY), 1)
            sys.stderr = io.TextIOWrapper(io.FileIO(2, "w"), line_buffering=True)
            with _only(free):
                code = main.main(words)
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    text = os.pread(told, 1 << 20, 0).decode(errors="replace").strip()
    os.close(told)
    if code in (0, 1):
        return f"exit code {code}, and said: {text}" if code or text else None
    if code != 2 or len(text.splitlines()) != 1:
        return f"exit code {code}, and said: {text}"
    return _wrong_words(text)


def _quick(words: list[str]) -> tuple[int, ...]:
    """Return with how many descriptors a command is run where it has to be quick: each takes a quarter of a second."""
    return (_QUICK_OF_COMMANDS[words[0]],) if words[0] in _QUICK_OF_COMMANDS and words[-1] != "-" else ()


def _main(effort: int) -> None:
    is_long = effort >= 100
    results: list[tuple[str, str | None]] = []

    with tempfile.TemporaryDirectory(prefix="xshm-few-") as directory:
        os.chdir(directory)
        # Display and picture are made by another process: the commands are to import all that they need themselves.
        line, told = os.pipe()
        maker = os.fork()
        if not maker:
            _serve(Path(directory), told, is_long=is_long)
        os.close(told)
        with open(line) as answers:  # noqa: PTH123
            setting = json.loads(answers.readline())
            os.environ |= setting["environment"]
            objects = Objects.__new__(Objects)
            objects.directory, objects.picture = Path(directory), Path(setting["picture"])
            for words in _commands(objects):
                for free in _ALL if is_long else _quick(words):
                    how = _commanded(words, free)
                    results.append((f"xshm {words[0]}", how and f"{free} free: {how}"))
            os.kill(maker, 12)  # SIGUSR2: go on
            results += json.loads(answers.readline())
        os.waitpid(maker, 0)
    print(json.dumps(results))


def _serve(directory: Path, told: int, *, is_long: bool) -> None:
    """Make the objects, give the commands their display, then call the verbs."""
    import signal  # noqa: PLC0415 - as above

    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
    code = 1
    try:
        objects = Objects(directory)
        setting = {"environment": objects.display.env(), "picture": str(objects.picture)}
        os.write(told, json.dumps(setting).encode() + b"\n")
        signal.sigwait([signal.SIGUSR2])
        results = []
        for name, verb in _verbs().items():
            if name in _ONLY_LONG and not is_long:
                continue
            objects.prepare(name)
            verb(objects)  # what it imports, and keeps for the next time
            for free in _ALL if is_long else _QUICK:
                objects.prepare(name)
                how = _tried(verb, objects, free, kernels=name.startswith("sysv."))
                results.append((name, how and f"{free} free: {how}"))
            if is_long or name not in _STARTS:
                objects.prepare(name)
                verb(objects)
        objects.close()
        with open(told, "w", closefd=False) as file:
            file.write(json.dumps(results) + "\n")
        code = 0
    finally:
        sys.stderr.flush()
        if code:
            import traceback  # noqa: PLC0415

            traceback.print_exc()
        os._exit(code)


if __name__ == "__main__":
    _main(int(sys.argv[1]))
