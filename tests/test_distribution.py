"""What is uploaded to the package index: a wheel with all of the library, an archive with all that its tests need."""

from __future__ import annotations

import email
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from readme_renderer import markdown

import xshm

if TYPE_CHECKING:
    from email.message import Message

_ROOT: Final = Path(__file__).parent.parent
_NAME: Final = f"xshm-{xshm.__version__}"
_HOME: Final = "https://github.com/xshm/xshm"


class _Built:
    """A wheel and a source archive: their paths, the files in them, the wheel's metadata."""

    def __init__(self, directory: Path) -> None:
        self.wheel, self.archive = directory / f"{_NAME}-py3-none-any.whl", directory / f"{_NAME}.tar.gz"
        with zipfile.ZipFile(self.wheel) as wheel:
            self.in_wheel = set(wheel.namelist())
            self.metadata: Message = email.message_from_bytes(wheel.read(f"{_NAME}.dist-info/METADATA"))
        with tarfile.open(self.archive) as archive:
            self.in_archive = {each.name.removeprefix(f"{_NAME}/") for each in archive if each.isfile()}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> _Built:
    """Build both as an installer does, without the network."""
    directory = tmp_path_factory.mktemp("dist")
    _run([sys.executable, "-m", "hatchling", "build", "-d", str(directory)], cwd=_ROOT)
    return _Built(directory)


def _run(command: list[str], cwd: Path, **environment: str) -> str:
    run = subprocess.run(
        command, cwd=cwd, env=os.environ | environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        check=False, timeout=60,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout
    return run.stdout


class _Links(HTMLParser):
    """The targets of a page's links and pictures, and the ids of its headings."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.pictures: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "a" and found.get("href"):
            self.links.append(str(found["href"]))
        elif tag == "img":
            self.pictures.append(str(found["src"]))


def _rendered(text: str) -> _Links:
    page = markdown.render(text)  # the package index's own renderer
    assert page, "the package index could not render it"
    return _Links(page)


def test_the_package_index_takes_both(built: _Built) -> None:
    _run([sys.executable, "-m", "twine", "check", "--strict", str(built.wheel), str(built.archive)], cwd=_ROOT)


def test_the_wheel_is_the_library_and_nothing_else(built: _Built) -> None:
    library = {
        str(path.relative_to(_ROOT))
        for path in (_ROOT / "xshm").rglob("*")
        if path.is_file() and path.suffix not in {".pyc", ".pyo"}
    }
    assert {"xshm/py.typed", "xshm/LICENSE", "xshm/trace/viewer/viewer.js", "xshm/live/page/page.js"} <= library
    assert {name for name in built.in_wheel if ".dist-info/" not in name and ".data/" not in name} == library
    assert f"{_NAME}.dist-info/licenses/xshm/LICENSE" in built.in_wheel


def test_the_archive_holds_every_file_of_the_repository(built: _Built) -> None:
    if not (_ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("no repository: this is an unpacked archive, or a machine without git")
    list_files = ["git", "-c", "safe.directory=*", "ls-files", "-z"]  # a container's repository may be another user's
    tracked = _run([*list_files, "--cached", "--deduplicate"], cwd=_ROOT).split("\0")
    here = {name for name in tracked if name and (_ROOT / name).exists()}
    assert built.in_archive >= here
    # A file that is not committed yet may be there, since git takes no part in the build.
    untracked = _run([*list_files, "--others", "--exclude-standard"], cwd=_ROOT).split("\0")
    assert built.in_archive - here <= {"PKG-INFO", *untracked}


def test_what_the_archive_holds_does_not_depend_on_git(built: _Built, tmp_path: Path) -> None:
    _run(["tar", "xzf", str(built.archive)], cwd=tmp_path)
    again = tmp_path / "dist"
    _run([sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", str(again)], cwd=tmp_path / _NAME)
    with tarfile.open(again / built.archive.name) as archive:
        assert {each.name.removeprefix(f"{_NAME}/") for each in archive if each.isfile()} == built.in_archive


def test_the_metadata_says_what_it_is(built: _Built) -> None:
    metadata = built.metadata
    assert (metadata["Name"], metadata["Version"]) == ("xshm", xshm.__version__)
    assert (metadata["License-Expression"], metadata["License-File"]) == ("MIT", "xshm/LICENSE")
    assert metadata["Requires-Python"] == ">=3.11"
    classifiers = metadata.get_all("Classifier", [])
    assert {"Framework :: Pytest", "Typing :: Typed", "Operating System :: POSIX :: Linux"} <= set(classifiers)
    urls = dict(each.split(", ") for each in metadata.get_all("Project-URL", []))
    assert set(urls) == {"Homepage", "Documentation", "Source", "Changelog", "Issues"}
    assert all(url == _HOME or url.startswith((_HOME + "/", _HOME + "#")) for url in urls.values())


def test_links_and_pictures_lead_to_files_outside_of_the_repository_too(built: _Built) -> None:
    text = str(built.metadata.get_payload())
    here, there = _rendered((_ROOT / "README.md").read_text()), _rendered(text)
    assert (len(here.links), len(here.pictures)) == (len(there.links), len(there.pictures))
    assert len(there.pictures) > 5 < len(there.links)
    for kind, targets, written in (("blob", there.links, here.links), ("raw", there.pictures, here.pictures)):
        prefix = f"{_HOME}/{kind}/v{xshm.__version__}/"
        for target, source in zip(targets, written, strict=True):
            if source.startswith(("https://", "#")):  # in a checkout, too
                assert target == source
            else:
                assert target == prefix + source
                assert (_ROOT / source.partition("#")[0]).exists(), source


def test_the_wheel_works_where_the_repository_is_not(built: _Built, tmp_path: Path) -> None:
    _run([sys.executable, "-m", "zipfile", "-e", str(built.wheel), "."], cwd=tmp_path)
    program = (
        "import importlib.metadata, xshm; from xshm.trace import page; from xshm.testing import plugin; "
        "print(xshm.__file__, importlib.metadata.version('xshm'), "
        "*(each.value for each in importlib.metadata.distribution('xshm').entry_points))"
    )
    said = _run([sys.executable, "-c", program], cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert said.split() == [
        *(str(tmp_path / "xshm" / "__init__.py"), xshm.__version__),
        *("xshm.cli.main:main", "xshm.testing.plugin"),
    ]
