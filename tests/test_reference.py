"""The API reference: every public name is on the page, with its docstring and an example, and each example runs."""

from __future__ import annotations

import functools
import inspect
import os
import shlex
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest
from another_user import Stranger
from example_runs import loaded
from liar import Liar, Message
from their_pyscreeze import pyscreeze
from xauthority_lines import line

import xshm
from xshm.record.sinks.target import Target
from xshm.testing import options
from xshm.x11 import xauthority as xauth

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from servers import Server

pytest.importorskip("pdoc", reason="pip install -e '.[docs]'")


build = loaded("../.github/reference/build")
# Without the other plugins of the tests' environment.
_ALONE = [
    word for name in ("xvfb", "pytest-qt", "allure_pytest", "html", "asyncio", "xdist") for word in ("-p", f"no:{name}")
]
_QUERY_TREE = (15, 0)
_NOT_RUN = {"RecordingStalled": "it takes a disk that hangs for 12 s"}
_ON_RAY = ("fleets", "fleet_failures")  # they are run in tests/fleet, in a process of their own
_EXAMPLES = [
    pytest.param(getattr(module, name), id=f"{module.OF}.{name}")
    for module in (
        loaded(f"reference/{each.path.stem}")
        for each in build.files()
        if each.module != "xshm.testing" and each.path.stem not in _ON_RAY
    )
    for name, function in vars(module).items()
    if inspect.isfunction(function) and function.__module__ == module.__name__ and name not in _NOT_RUN
]


@pytest.fixture(scope="module")
def page() -> Any:
    return build.Page()


# -- what the examples start from ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def display() -> Iterator[xshm.VirtualDisplay]:
    with xshm.VirtualDisplay(640, 480) as display:
        display.launch(["xlogo", "-title", "Logo", "-geometry", "60x50+30+400"])
        yield display


@pytest.fixture(autouse=True)
def _active(display: xshm.VirtualDisplay, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in display.env().items():
        if name in ("DISPLAY", "XAUTHORITY"):
            monkeypatch.setenv(name, value)


@pytest.fixture
def screen(display: xshm.VirtualDisplay) -> xshm.Screen:
    return display.screen


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture(scope="module")
def recorded(display: xshm.VirtualDisplay, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("trace") / "recorded.html"
    with display.screen.trace(path) as trace:
        trace.log("a program starts")
        with display.launch("xlogo"):
            display.screen.click(10, 10)
            trace.catch_up()
            trace.mark("it is there")
    return path


@pytest.fixture
def logo(display: xshm.VirtualDisplay, tmp_path: Path) -> Path:
    display.screen.grab((30, 400, 60, 50)).save(tmp_path / "logo.png")
    return tmp_path / "logo.png"


@pytest.fixture
def lying_display(xvfb: Server) -> Iterator[str]:
    def lie(message: Message) -> Iterable[bytes]:
        is_of_windows = message.kind == "reply" and message.request == _QUERY_TREE
        yield message.data[:16] + b"\xff\xff" + message.data[18:] if is_of_windows else message.data

    with Liar(xvfb, lie) as liar:
        yield liar.name


@pytest.fixture
def rootless_display(monkeypatch: pytest.MonkeyPatch, make_server: Callable[..., Server]) -> str:
    server = make_server("Xwayland-rootless", 640, 480)
    for name, value in server.env().items():
        monkeypatch.setenv(name, value)
    return server.name


@pytest.fixture
def another_users_display(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    if os.geteuid() != 0:
        pytest.skip("listening as another user takes root")
    (tmp_path / "authority").write_bytes(line(xauth.WILD, b"", b"", bytes(16)))
    monkeypatch.setenv("XAUTHORITY", str(tmp_path / "authority"))
    place = f"/tmp/.X11-unix/X{61000 + os.getpid() % 4000}"  # noqa: S108 - where X servers listen
    with Stranger(f"@{place}"):
        yield f":{place.rpartition('X')[2]}"


@pytest.fixture
def _as_it_was() -> Iterator[None]:
    """Undo `install()`: other tests compare with pyscreeze."""
    before = dict(vars(pyscreeze))
    yield
    vars(pyscreeze).update(before)


# -- the tests -------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("_as_it_was")
@pytest.mark.parametrize("example", _EXAMPLES)
def test_each_example_runs(
    example: Callable[..., None],
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Target, "open", functools.partialmethod(Target.open, timeout=0.2))  # of 10 s
    example(**{name: request.getfixturevalue(name) for name in inspect.signature(example).parameters})
    if "print(" in inspect.getsource(example):  # an error was raised, an event came
        assert capsys.readouterr().out.strip(), "it has printed nothing"


def test_the_examples_of_the_plugin_are_tests_that_pass(pytester: pytest.Pytester) -> None:
    fixtures = {name: body for name, body in _plugin_examples().items() if not name.startswith("--")}
    tests = [body.replace(f"def {name}(", f"def test_{name}(") for name, body in fixtures.items()]
    pytester.makepyfile("\n".join(["from __future__ import annotations", "import pytest", *tests]))
    run = pytester.runpytest_subprocess(*_ALONE, "--xshm-display=new", "--xshm-update")
    run.assert_outcomes(passed=len(tests))


def test_the_commands_of_the_plugin_are_taken(pytester: pytest.Pytester) -> None:
    commands = [shlex.split(body, comments=True) for name, body in _plugin_examples().items() if name.startswith("--")]
    config = pytester.parseconfigure(*_ALONE, *dict.fromkeys(word for _, *words in commands for word in words))
    given = options.given(config)
    assert {*given, "update"} == {name.removeprefix("--xshm-") for name in _plugin_examples() if name.startswith("--")}
    assert config.getoption("--xshm-update")


def _plugin_examples() -> dict[str, str]:
    (examples,) = (each for each in build.files() if each.module == "xshm.testing")
    return dict(examples.bodies)


def test_every_public_name_has_a_docstring_and_an_example(page: Any) -> None:
    names = page.names
    assert sorted((each.module, each.name) for each in names) == sorted(
        (module, name) for module in build.MODULES for name in build.public(module)
    )
    assert [each.anchor for each in names if not each.doc.strip()] == []
    assert [each.anchor for each in names if not each.example.strip()] == []
    assert set(xshm.__all__) <= {each.name for each in names}


def test_every_example_is_of_a_public_name() -> None:
    wrong = [
        (each.module, name) for each in build.files() for name in each.bodies if name not in build.public(each.module)
    ]
    assert wrong == []


def test_the_page_shows_each_name_with_its_example_and_each_link_leads_somewhere(page: Any) -> None:
    shown = _Shown(page.render())
    assert len(shown.ids) == len(set(shown.ids)), "an id stands twice"
    assert set(shown.links) <= set(shown.ids), sorted(set(shown.links) - set(shown.ids))
    assert [name for name in shown.sections if not shown.sections[name]] == []
    assert set(shown.sections) == {each.anchor for each in page.names}
    assert {"Screen.grab", "Frame.rgb", "WaitTimeout.frame", "sysv.IPC_CREAT", "compat.pyautogui.locate"} <= set(
        shown.ids
    )
    assert {"Frame", "Rect", "ConnectFailed"} <= set(shown.links)


class _Shown(HTMLParser):
    """The page as a browser has it: ids, links inside of it, and how many pieces of code each name's section has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.sections: dict[str, int] = {}
        self._section = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attributes}
        if "id" in found:
            self.ids.append(found["id"])
        if tag == "section" and not found.get("id", "section-").startswith("section-"):
            self._section = found["id"]
            self.sections[self._section] = 0
        if "example" in found.get("class", ""):
            self.sections[self._section] += 1
        if tag == "a" and found["href"].startswith("#"):
            self.links.append(found["href"].removeprefix("#"))
        elif tag == "a":
            assert found["href"].startswith("https://"), found["href"]
