"""What a newcomer sees of the package by completion, `help` and a type checker: the public names, and nothing else."""

from __future__ import annotations

import ast
import pydoc
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import xshm
from xshm import errors

if TYPE_CHECKING:
    from collections.abc import Callable

    from painter import Painter

_PACKAGE = Path(xshm.__file__).parent
_TREES = [ast.parse(path.read_text()) for path in sorted(_PACKAGE.rglob("*.py"))]
_CLASSES = {node.name: node for tree in _TREES for node in tree.body if isinstance(node, ast.ClassDef)}
# Values that programs get and pass on, and whose own names they need not know.
_UNNAMED = {
    "Connection": "behind `screen.connection`, for extensions of one's own",
    "XlibDisplay": "python-xlib's Display, in a class of ours",
    "Drawing": "the context manager of Surface.draw",
    "BlitPath": "a word, of Surface.way",
    "Event": "a union of the classes in xshm.events",
    "Wait": "what the asynchronous iteration of a stream waits for",
    "AttachedId": "what pools are built on",
    "Layout": "shape, dtype and strides, in a tuple",
}

_GRABS = ("grab", "grab_many", "grab_into", "stream", "record", "trace", "live", "stats")
_WAITS = ("act", "wait_change", "wait_stable", "wait_for", "wait_pixel", "wait_image")
_INPUT = ("move", "click", "drag", "scroll", "button_down", "button_up", "press", "type", "key_down", "key_up")
_DRAWABLE = ("rect", "width", "height", "format", "transport", "close", *_GRABS, *_WAITS)
_SHOWN = {
    "Screen": (
        *("display", "max_frames", "copies", "monitors", "monitor", "windows", "window", "pixmap"),
        *("wait_window", "wait_window_gone"),
        *("connection", "xlib"),
        *_DRAWABLE,
        *_INPUT,
    ),
    "Window": ("id", "source", "title", "class_name", "pid", "position", *_DRAWABLE, *_INPUT),
    "Pixmap": ("id", *_DRAWABLE),
}


def _methods(name: str) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Return the public methods and properties of a class, inherited ones included."""
    node = _CLASSES[name]
    inherited = [base.id for base in node.bases if isinstance(base, ast.Name) and base.id in _CLASSES]
    own = [each for each in node.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)]
    return [each for each in own if not each.name.startswith("_")] + [m for base in inherited for m in _methods(base)]


def _returned() -> dict[str, str]:
    """Return each class of ours that a public class gives away, and where it does."""
    found = {}
    for name in xshm.__all__:
        if name not in _CLASSES:
            continue
        given = {method.name: method.returns for method in _methods(name)}
        given |= {
            field.target.id: field.annotation
            for field in _CLASSES[name].body
            if isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and not field.target.id.startswith("_")
        }
        for where, annotation in given.items():
            for word in re.findall(r"\w+", ast.unparse(annotation)) if annotation else ():
                if word in _CLASSES and not word.startswith("_"):
                    found[word] = f"{name}.{where}"
    return found


def test_dir_shows_the_public_names_and_nothing_else() -> None:
    assert dir(xshm) == sorted(xshm.__all__)
    assert len(set(xshm.__all__)) == len(xshm.__all__)
    assert [name for name in xshm.__all__ if name.startswith("_")] == ["__version__"]


@pytest.mark.parametrize("name", xshm.__all__)
def test_each_public_name_is_there(name: str) -> None:
    value = getattr(xshm, name)
    if isinstance(value, type):
        assert value.__name__ == name
        assert value.__doc__


def test_an_import_of_everything_brings_just_that() -> None:
    program = "from xshm import *; print(*sorted(set(dir()) - {'__builtins__'}))"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    names = {name for name in run.stdout.split() if not name.startswith("__")}
    assert names == set(xshm.__all__) - {"__version__"}


def test_every_error_is_public() -> None:
    own = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)}
    assert own <= set(xshm.__all__)


def test_what_public_classes_return_is_public() -> None:
    missing = {name: where for name, where in _returned().items() if name not in xshm.__all__ and name not in _UNNAMED}
    assert not missing
    assert {"Program", "Stability", "Change", "Found", "Difference"} <= set(_returned())


def test_help_describes_them() -> None:
    text = pydoc.plain(pydoc.render_doc(xshm))
    for name in (
        "class Screen",
        "class VirtualDisplay",
        "class WindowNotFound",
        "grab(",
        "xshm.launch",
        ".save(",
    ):
        assert name.replace("xshm.", ".") in text, name
    assert "__getattr__" not in text
    assert "_HOMES" not in text


@pytest.fixture(params=_SHOWN)
def drawable(request: pytest.FixtureRequest, screen: xshm.Screen, painter: Painter) -> Any:
    window = painter.window((10, 10, 20, 20), (0, 0, 255))
    opened: dict[str, Callable[[], Any]] = {
        "Screen": lambda: screen,
        "Window": lambda: screen.window(window.id),
        "Pixmap": lambda: _pixmap(screen),
    }
    return opened[request.param]()


def _pixmap(screen: xshm.Screen) -> xshm.Pixmap:
    display: Any = screen.xlib
    made = display.screen().root.create_pixmap(8, 8, screen.format.depth)
    display.sync()
    return screen.pixmap(made.id)


def test_dir_of_a_drawable_shows_what_a_user_calls_and_nothing_else(drawable: Any) -> None:
    shown = [name for name in dir(drawable) if not name.startswith("_")]
    assert shown == sorted(_SHOWN[type(drawable).__name__])


@pytest.mark.parametrize("name", _SHOWN)
def test_help_of_a_drawable_has_the_verbs_and_nothing_of_the_engine(name: str) -> None:
    text = pydoc.plain(pydoc.render_doc(getattr(xshm, name)))
    engine = {each for kind in getattr(xshm, name).__mro__[:-1] for each in vars(kind) if re.match("_[^_]", each)}
    assert {"_session", "_begin", "_acquire"} & engine
    assert not [each for each in engine if re.search(rf"\b{each}\b", text)]
    assert not [each for each in (*_GRABS, *_WAITS) if f" {each}(" not in text]


@pytest.mark.parametrize("name", _SHOWN)
def test_each_name_of_a_drawable_is_described(name: str) -> None:
    shown = [each for each in dir(getattr(xshm, name)) if not each.startswith("_")]
    assert not [each for each in shown if not getattr(getattr(xshm, name), each).__doc__]
    described = getattr(xshm, name).__doc__
    assert not [each for each in _SHOWN[name] if each not in shown and f"`{each}`" not in described]


def test_the_page_of_screen_lists_all_that_it_has() -> None:
    assert not [each for each in _SHOWN["Screen"] if not re.search(rf"\b{each}\b", xshm.Screen.__doc__ or "")]


def test_a_misspelt_name_is_an_error_with_a_proposal() -> None:
    run = subprocess.run(
        [sys.executable, "-c", "import xshm; xshm.VirtualDispaly"], capture_output=True, text=True, check=False
    )
    assert "AttributeError: module 'xshm' has no attribute 'VirtualDispaly'" in run.stderr
    assert "Did you mean: 'VirtualDisplay'?" in run.stderr


def test_a_type_checker_finds_a_misspelt_name_and_knows_the_right_ones(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import xshm\n"
        "def look(display: xshm.VirtualDisplay) -> xshm.Frame:\n"
        "    stability: xshm.Stability = display.screen.wait_stable()\n"
        "    program: xshm.Program = display.launch('xclock')\n"
        "    raise xshm.StartFailed(program.said() + str(stability))\n"
        "xshm.VirtualDispaly()\n"
    )
    # In the project's folder, where checking the project has left what it found: without that it takes 8 s.
    run = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", str(program)],
        capture_output=True,
        text=True,
        check=False,
        cwd=_PACKAGE.parent,
    )
    told = [line.partition(":")[2] for line in run.stdout.splitlines()]  # what was found before has that run's path
    assert told == ['6: error: Module has no attribute "VirtualDispaly"; maybe "VirtualDisplay"?  [attr-defined]']
