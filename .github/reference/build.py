"""Build the API reference, one page.

    python .github/reference/build.py [FILE]        # build/reference.html

Every public name is on it, with its docstring and an example: a function of that name in examples/reference, whose body
is shown, and which a test runs. It takes `pip install '.[docs]'`; pdoc reads docstrings and signatures.
"""

# ruff: noqa: INP001 - a program, no package

from __future__ import annotations

import ast
import html
import importlib
import importlib.util
import inspect
import pkgutil
import re
import sys
import textwrap
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pdoc.doc
import pdoc.render
import pygments
from pdoc.render_helpers import format_signature, lexer, to_html
from pygments.formatters import HtmlFormatter

import xshm.compat
from xshm.testing import options, plugin

if TYPE_CHECKING:
    from collections.abc import Mapping

_ROOT = Path(__file__).parents[2]
_EXAMPLES = _ROOT / "examples" / "reference"
_TESTING = "xshm.testing"
# In the order of the page, which is that of the files of examples below it.
MODULES = (
    *("xshm", "xshm.sysv", "xshm.events", "xshm.geometry", "xshm.fleet", _TESTING),
    *sorted(f"xshm.compat.{each.name}" for each in pkgutil.iter_modules(xshm.compat.__path__) if each.name[0] != "_"),
)
_FILES = (
    *("screens", "waits", "displays", "recordings", "failures", "server_errors", "shared_memory", "window_events"),
    *("rectangles", "gui_tests"),
)
_FORMATTER = HtmlFormatter(cssclass="pdoc-code codehilite")


@dataclass(frozen=True)
class Examples:
    """A file of examples: the module whose names its functions have, and the source of each function's body."""

    path: Path

    @cached_property
    def _tree(self) -> ast.Module:
        return ast.parse(self.path.read_text())

    @cached_property
    def module(self) -> str:
        """The module whose names these are."""
        return next(str(value) for name, value in self._constants() if name == "OF")

    @property
    def title(self) -> str:
        """What the file's docstring says of it."""
        return (ast.get_docstring(self._tree) or "").partition("\n")[0].rstrip(".")

    @property
    def exists(self) -> bool:
        """Whether the module is there."""
        return importlib.util.find_spec(self.module) is not None

    @cached_property
    def bodies(self) -> dict[str, str]:
        """The code of each function, without its first line; of a test all of it; and commands, of options."""
        lines = self.path.read_text().splitlines()
        found = {}
        for node in self._tree.body:
            if isinstance(node, ast.FunctionDef):
                first, last = node.body[0].lineno, node.end_lineno
                if self.module == _TESTING:
                    first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
                code = textwrap.dedent("\n".join(lines[first - 1 : last]))
                found[node.name] = re.sub(r"  # (noqa|type: ignore).*", "", code)
        return found | dict(next((value for name, value in self._constants() if name == "OPTIONS"), {}))

    def _constants(self) -> list[tuple[str, Any]]:
        return [
            (node.targets[0].id, ast.literal_eval(node.value))
            for node in self._tree.body
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        ]


@dataclass
class Name:
    """A public name: where it is, what it is, and its example."""

    module: str
    name: str
    example: str
    doc: str = ""
    head: str = ""
    members: list[tuple[str, str, str]] = field(default_factory=list)  # anchor, head, docstring: all HTML

    @property
    def anchor(self) -> str:
        """The id of its place on the page."""
        return f"{self.module}.{self.name}".removeprefix("xshm.")


@cache
def files() -> list[Examples]:
    """Return the files of examples, in the page's order, of those modules that are there."""
    paths = [_EXAMPLES / f"{name}.py" for name in _FILES]
    paths += sorted(set(_EXAMPLES.glob("*.py")) - set(paths))
    return [each for each in map(Examples, paths) if each.exists]


@cache
def public(module: str) -> list[str]:
    """Return a module's public names; of the pytest plugin fixtures, marker and options."""
    if module == _TESTING:
        fixtures = [*_fixtures(vars(plugin)), *_fixtures(vars(plugin._ScreenFixture))]  # noqa: SLF001 - registered late
        words = [f"--xshm-{word}" for word, _, _ in options._WORDS]  # noqa: SLF001 - what it adds
        return [*fixtures, "xshm_marker", *words, "--xshm-update"]
    found = importlib.import_module(module)
    values = {name: getattr(found, name) for name in found.__all__}  # loads those that are lazy: pdoc finds them then
    return [name for name, value in values.items() if module == "xshm" or not isinstance(value, ModuleType)]


def _fixtures(names: Mapping[str, Any]) -> list[str]:
    return [name for name, each in names.items() if type(each).__name__ == "FixtureFunctionDefinition"]


def example_of(module: str, name: str) -> str:
    """Return the example of a public name: its own, or the first that uses it, where it is a constant; else ""."""
    of_module = [each for each in files() if each.module == module]
    own = next((each.bodies[name] for each in of_module if name in each.bodies), "")
    if own or module == _TESTING or not isinstance(getattr(importlib.import_module(module), name), int):
        return own
    uses = re.compile(rf"\.{name}\b")
    return next((body for each in of_module for body in each.bodies.values() if uses.search(body)), "")


# -- what pdoc knows of a name -----------------------------------------------------------------------------------------


def _described(module: str, name: str) -> Name:
    found = Name(module, name, example_of(module, name))
    if module == _TESTING:
        _describe_testing(found)
        return found
    value = getattr(importlib.import_module(module), name)
    if inspect.isclass(value):
        _describe_class(found, pdoc.doc.Class(value.__module__, value.__qualname__, value, (module, name)))
    elif inspect.isfunction(value):
        function = pdoc.doc.Function(value.__module__, value.__qualname__, value, (module, name))
        found.doc, found.head = function.docstring, _function_head(function)
    elif isinstance(value, ModuleType):
        found.doc, found.head = _opening(value), f'<span class="def">module</span> <span class="name">{name}</span>'
    else:
        found.doc, found.head = _about_constant(module, name), _constant_head(name, value)
    return found


def _describe_class(found: Name, each: pdoc.doc.Class) -> None:
    bases = [f'<span class="n">{base[1]}</span>' for base in each.bases if base[1] != "object"]
    found.doc = each.docstring
    found.head = f'<span class="def">class</span> <span class="name">{found.name}</span>'
    if hasattr(each.obj, "_fields"):  # a NamedTuple, whose annotations pdoc does not resolve
        for name in each.obj._fields:
            annotation = str(getattr(each.obj.__annotations__[name], "__forward_arg__", ""))
            head = f'<span class="name">{name}</span>: <span class="annotation">{html.escape(annotation)}</span>'
            found.members.append((f"{found.anchor}.{name}", head, ""))
        return
    constructor = each.members.get("__init__")
    is_made_by_users = not issubclass(each.obj, BaseException) and not _is_internal(constructor)
    if isinstance(constructor, pdoc.doc.Function) and is_made_by_users:
        found.head += str(format_signature(constructor.signature_without_self, colon=False))
    if bases:
        found.head += f" ({', '.join(bases)})"
    for name, member in each.members.items():
        if name.startswith("_") or not member.taken_from[0].startswith("xshm"):
            continue
        if isinstance(member, pdoc.doc.Function):
            found.members.append((f"{found.anchor}.{name}", _function_head(member), member.docstring))
        elif isinstance(member, pdoc.doc.Variable):
            annotation = html.escape(member.annotation_str)
            head = f'<span class="name">{name}</span><span class="annotation">{annotation}</span>'
            found.members.append((f"{found.anchor}.{name}", head, member.docstring))


def _is_internal(constructor: Any) -> bool:
    """Return whether a constructor takes what only the library has: then a verb makes the objects."""
    return constructor is not None and bool(
        re.search(
            r"\b(Source|Session|Settings|TraceSettings|SupervisedServer|FramebufferMemory|Record|ShmDesc)\b",
            str(getattr(constructor, "signature", "")),
        )
    )


def _function_head(function: pdoc.doc.Function) -> str:
    kind = "".join(f'<div class="decorator">{html.escape(each)}</div>' for each in function.decorators[:1])
    kind = kind if "classmethod" in kind or "staticmethod" in kind else ""
    is_method = "." in function.qualname and not function.is_staticmethod
    signature = format_signature(function.signature_without_self if is_method else function.signature, colon=False)
    return f'{kind}<span class="def">{function.funcdef}</span> <span class="name">{function.name}</span>{signature}'


def _constant_head(name: str, value: object) -> str:
    shown = oct(value) if isinstance(value, int) and not isinstance(value, bool) else str(value).replace("xshm.", "")
    return f'<span class="name">{name}</span> = <span class="default_value">{html.escape(shown)}</span>'


@cache
def _documented(module: str) -> dict[str, pdoc.doc.Doc[Any]]:
    return pdoc.doc.Module(importlib.import_module(module)).members


def _about_constant(module: str, name: str) -> str:
    """Return a constant's docstring, or which functions say what it is for."""
    if name == "__version__":
        return "The version, as a text."
    member = _documented(module).get(name)
    if member is not None and member.docstring:
        return member.docstring
    found = importlib.import_module(module)
    users = [
        f"`{other}`"
        for other in public(module)
        if inspect.isfunction(getattr(found, other)) and re.search(rf"\b{name}\b", getattr(found, other).__doc__ or "")
    ]
    return f"See {', '.join(users)}." if users else "As in the system's own header files."


def _describe_testing(found: Name) -> None:
    fixtures = {**vars(plugin), **vars(plugin._ScreenFixture)}  # noqa: SLF001 - as above
    if found.name in fixtures:
        found.doc = inspect.getdoc(fixtures[found.name]) or ""
        found.head = f'<span class="def">fixture</span> <span class="name">{found.name}</span>'
    elif found.name == "xshm_marker":
        found.doc = "Puts a test, or a class of unittest's, on the display; with arguments on one of its own."
        found.head = (
            '<span class="def">@pytest.mark.</span><span class="name">xshm</span>(fresh=False, size=None, depth=None)'
        )
    else:
        words = {f"--xshm-{word}": (values, what) for word, values, what in options._WORDS}  # noqa: SLF001 - as above
        values, found.doc = words.get(found.name, ("", "Write the pictures that `assert_screenshot` compares with."))
        found.head = f'<span class="def">option</span> <span class="name">{found.name}</span> {html.escape(values)}'


def _opening(module: ModuleType) -> str:
    """Return a module's docstring as far as it is for users: without the list of its files."""
    doc = inspect.getdoc(module) or ""
    return re.split(r"(?im)^.*in reading order.*$", doc)[0].strip()


# -- the page ----------------------------------------------------------------------------------------------------------


@dataclass
class Section:
    """A part of the page: its heading, what the module says, the file of its examples, and the names."""

    title: str
    intro: str
    place: Path
    names: list[Name]


class Page:
    """All names, by the sections of the page; links lead from one to another."""

    def __init__(self) -> None:
        self.sections: list[Section] = []
        for module in MODULES:
            names = public(module)
            for number, examples in enumerate(each for each in files() if each.module == module):
                here = [name for name in examples.bodies if name in names]
                intro = "" if number or module == "xshm" else _opening(importlib.import_module(module))
                place = examples.path.relative_to(_ROOT)
                title = examples.title if module == "xshm" else f"{examples.title}: {module}"
                self.sections.append(Section(title, intro, place, [_described(module, name) for name in here]))
                names = [name for name in names if name not in here]
            self.sections[-1].names.extend(_described(module, name) for name in names)  # constants, of others' examples
        self._anchors = {each.anchor for each in self.names}
        self._anchors |= {anchor for each in self.names for anchor, _, _ in each.members}

    @property
    def names(self) -> list[Name]:
        """All of them, in the page's order."""
        return [each for section in self.sections for each in section.names]

    def render(self) -> str:
        """Return the page."""
        pdoc.render.configure(template_directory=Path(__file__).parent, show_source=False, search=False)
        template = pdoc.render.env.get_template("page.html.jinja2")
        return template.render(page=self, version=xshm.__version__)

    def text(self, doc: str, near: Name | None = None) -> str:
        """Return a docstring in HTML; each name in backticks that is on the page is a link."""

        def linked(code: re.Match[str]) -> str:
            anchor = self._find(html.unescape(code[1]).partition("(")[0], near)
            return f'<a href="#{anchor}">{code[0]}</a>' if anchor else code[0]

        # A "<" of the text is no tag; in code Markdown takes care of it.
        doc = re.sub(r"(?m)(^    .*$|`[^`]*`)|<", lambda found: found[1] or "&lt;", doc)
        shown = re.sub(r"<code>([\w.-]+(?:\(.*?\))?)</code>", linked, str(to_html(doc)))
        # Names of two words, ConnectFailed, are no other words; not in code, and not in links again.
        return re.sub(
            r"(?s)(<(code|a|pre)\b.*?</\2>|<[^>]*>)|\b((?:[A-Z][a-z]+){2,})\b",
            lambda m: m[0] if m[1] else self._class_link(m[3]),
            shown,
        )

    def _class_link(self, name: str) -> str:
        return f'<a href="#{name}">{name}</a>' if name in self._anchors else name

    def heading(self, head: str, near: Name) -> str:
        """Return a signature; each class in it that is on the page is a link, by its short name."""

        def linked(word: re.Match[str]) -> str:
            anchor = self._find(word[2], near)
            return f'<a href="#{anchor}">{word[2]}</a>' if anchor else word[2]

        head = re.sub(
            r'(?:<span class="n">[a-z_]\w*</span><span class="o">\.</span>)+(?=<span class="n">[A-Z])', "", head
        )
        head = re.sub(r'(<span class="n">)([A-Z]\w+)(</span>)', lambda word: word[1] + linked(word) + word[3], head)
        return re.sub(
            r'(?<=<span class="annotation">)[^<]*',
            lambda shown: re.sub(r"()\b(?:[a-z_]\w*\.)*([A-Z]\w+)", linked, shown[0]),
            head,
        )

    def _find(self, name: str, near: Name | None) -> str | None:
        """Return the anchor of a name: of the same class, the same module, or xshm."""
        within = [] if near is None else [f"{near.anchor}.{name}", Name(near.module, name, "").anchor]
        anywhere = (name.removeprefix("xshm."), f"geometry.{name}", f"Screen.{name.removeprefix('screen.')}")
        return next((each for each in (*within, *anywhere) if each in self._anchors), None)

    @staticmethod
    def code(source: str) -> str:
        """Return Python, or a command, in colours."""
        return source if not source else str(pygments.highlight(source, lexer, _FORMATTER))


def main() -> None:
    """Write the page."""
    target = Path(sys.argv[1] if len(sys.argv) > 1 else _ROOT / "build" / "reference.html")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(Page().render())
    print(target)  # noqa: T201 - a command


if __name__ == "__main__":
    main()
