"""The packages of xshm are built on each other in one order, types included, and imports are light."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from xshm.x11.protocol import xlib

_PACKAGE = Path(__file__).parent.parent / "xshm"

# From the ground up: the files of a package import only from packages above theirs in this list, and from each other.
_LAYERS = (
    *("errors", "_signal_safety", "system", "_arguments", "_numpy", "geometry", "events"),
    "sysv",
    *("pixels", "image.files", "image"),
    *("x11.protocol", "x11.io", "x11", "x11.server", "x11.windows"),
    "input",
    "shm",
    *("capture", "capture.waiting"),
    *("record.feeds", "record.pictures", "record.sinks", "record.formats", "record.codecs", "record.libav", "record"),
    *("trace.noting", "trace.reading", "trace"),
    *("live.rfb", "live", "live.web"),
    "drawables",
    "surface",
    *("virtual.processes", "virtual.kinds", "virtual.servers", "virtual.programs", "virtual"),
    *("testing.pictures", "testing"),
    *("compat.mss", "compat.mss11", "compat"),
    *("fleet.tasks", "fleet.nodes", "fleet.tiles", "fleet"),
    "__init__",
    *("cli.shell", "cli", "cli.recording", "cli.live", "cli.doctor", "cli.commands", "__main__"),
)
# An error holds the last frame that was seen, and where it moved; only its annotations say so.
_UPWARD = {("errors", "image.frame"), ("errors", "capture.waiting.results")}
_MOST_FILES = 12
_XLIB = "x11.protocol.xlib"

_FILES = {
    ".".join(path.relative_to(_PACKAGE).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(_PACKAGE.rglob("*.py"))
}


def _layer(file: str) -> str:
    """Return the layer that a file is in: its package, or its own name where it lies beside the packages."""
    return ".".join(_FILES[file].relative_to(_PACKAGE).parent.parts) or file


def _imported(tree: ast.AST) -> list[str]:
    """Return the full name of all that is imported anywhere in a module, annotations' names included."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: name the module in full, not by dots"
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found


def _file_of(name: str) -> str | None:
    """Return the file that "xshm.image.frame.Frame" is from; the package's own names are from `__init__`."""
    if name != "xshm" and not name.startswith("xshm."):
        return None
    name = name.removeprefix("xshm").removeprefix(".")
    while name and name not in _FILES:
        name = name.rpartition(".")[0]
    return name or "__init__"


_IMPORTS = {
    file: {other for other in map(_file_of, _imported(ast.parse(path.read_text()))) if other and other != file}
    for file, path in _FILES.items()
}


@pytest.mark.parametrize("file", _FILES)
def test_imports_go_up_the_list(file: str) -> None:
    assert _layer(file) in _LAYERS, f"xshm.{_layer(file)} is a new package: add it to the list, where it belongs"
    wrong = [
        other
        for other in sorted(_IMPORTS[file])
        if _LAYERS.index(_layer(other)) > _LAYERS.index(_layer(file)) and (file, other) not in _UPWARD
    ]
    assert not wrong, f"xshm.{file} imports from {wrong}, which are built on it"


def test_no_cycle_is_inside_a_package() -> None:
    waiting = {
        file: {other for other in others if _layer(other) == _layer(file) and (file, other) not in _UPWARD}
        for file, others in _IMPORTS.items()
    }
    while ready := {file for file, others in waiting.items() if not others}:
        waiting = {file: others - ready for file, others in waiting.items() if file not in ready}
    assert not waiting, f"these import each other, or from such as do: {waiting}"


def test_what_points_upward_is_for_a_type_checker_alone() -> None:
    for file, other in _UPWARD:
        run = subprocess.run(
            [sys.executable, "-c", f"import sys, xshm.{file}; sys.exit('xshm.{other}' in sys.modules)"], check=False
        )
        assert run.returncode == 0


@pytest.mark.parametrize("package", sorted({path.parent for path in _FILES.values()} - {_PACKAGE}), ids=str)
def test_a_package_is_of_few_files_and_says_what_it_is_for(package: Path) -> None:
    files = sorted(path.stem for path in package.glob("*.py"))
    assert len(files) <= _MOST_FILES, files
    doc = ast.get_docstring(ast.parse((package / "__init__.py").read_text())) or ""
    missing = [name for name in files if name != "__init__" and not name.startswith("_") and f"`{name}`" not in doc]
    assert not missing, f"{package}'s docstring names its files in reading order; it does not name {missing}"


def test_the_flat_modules_are_few() -> None:
    flat = {path.name for path in _PACKAGE.glob("*.py")}
    assert flat == {
        *("__init__.py", "__main__.py", "errors.py", "events.py", "geometry.py"),
        *("_arguments.py", "_numpy.py", "_signal_safety.py"),
    }


@pytest.mark.parametrize("file", sorted(set(_FILES) - {_XLIB}))
def test_one_file_imports_python_xlib(file: str) -> None:
    tree = ast.parse(_FILES[file].read_text())
    strings = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    wrong = [name for name in _imported(tree) if name.partition(".")[0] == "Xlib"]
    wrong += [text for text in strings if text == "Xlib" or (text.startswith("Xlib.") and " " not in text)]
    assert not wrong, f"xshm.{file} imports {wrong}; what is used of python-xlib is listed in xshm.{_XLIB} alone"
    taken = [name for name in _imported(tree) if name.startswith(f"xshm.{_XLIB}")]
    assert file.startswith("x11.") or not taken, f"xshm.{file} uses {taken}; python-xlib is spoken in xshm.x11 alone"


def test_what_is_used_of_python_xlib_is_what_is_listed() -> None:
    used: dict[str, set[str]] = {}
    for path in _FILES.values():
        nodes = list(ast.walk(ast.parse(path.read_text())))
        names = {
            alias.asname or alias.name: alias.name
            for node in nodes
            if isinstance(node, ast.ImportFrom) and node.module == f"xshm.{_XLIB}"
            for alias in node.names
        }
        for node in nodes:
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in names:
                used.setdefault(names[node.value.id], set()).add(node.attr)
    assert used == {module: {name.partition(".")[0] for name in xlib.NAMES[module].split()} for module in xlib.NAMES}


@pytest.mark.parametrize("statement", ["import xshm", "from xshm import sysv", "from xshm import errors"])
def test_an_import_loads_no_heavy_library(statement: str) -> None:
    program = f"import sys\n{statement}\nprint(*sorted({{'numpy', 'PIL', 'Xlib', 'cv2', 'av'}} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []


@pytest.mark.parametrize(
    "module",
    [
        *("drawables.screen", "cli.commands.shot", "cli.main", "image.files.encode"),
        *("drawables.window", "drawables.window_list", "compat.mss.__main__", "compat.mss11.__main__"),
        *("virtual.display", "cli.commands.run", "fleet.seats", "fleet.worker"),
    ],
)
def test_what_screenshots_displays_and_workers_take_is_imported_without_arrays(module: str) -> None:
    program = f"import sys\nimport xshm.{module}\nprint(*sorted({{'numpy', 'PIL', 'cv2', 'av'}} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []


def test_the_order_is_checked_for_imports_inside_functions_and_for_annotations() -> None:
    source = "import a.b\nif TYPE_CHECKING:\n    import c\nelse:\n    import d\ndef f():\n    from e.f import g, h"
    assert sorted(_imported(ast.parse(source))) == ["a.b", "c", "d", "e.f.g", "e.f.h"]
