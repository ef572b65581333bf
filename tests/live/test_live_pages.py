"""The page's files are served under a policy that lets them load nothing else, by their names and no other paths."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import xshm.live
from xshm.live import pages

_FOLDER = Path(xshm.live.__file__).parent / "page"


def test_each_file_of_the_page_is_served() -> None:
    for file in _FOLDER.iterdir():
        found = pages.page("/" if file.name == "page.html" else f"/{file.name}")
        assert found is not None, file.name
        body, headers = found
        assert body == file.read_bytes()
        assert headers["Content-Length"] == str(len(body))
        assert headers["Content-Type"].startswith(
            {".html": "text/html", ".css": "text/css"}.get(file.suffix, "text/java")
        )
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize(
    "path",
    [
        "",
        "page.js",
        "/page.html",
        "/../pages.py",
        "/page/page.js",
        "/page.js/",
        "//page.js",
        "/%70age.js",
        "/page.js?",
        "/x",
    ],
)
def test_nothing_else_is_served(path: str) -> None:
    assert pages.page(path) is None


def test_files_name_only_files_that_there_are() -> None:
    for file in _FOLDER.iterdir():
        for name in re.findall(r"""(?:from|import\(|href=|src=)\s*['"](?:\./|/)([\w.]+)['"]""", file.read_text()):
            assert (_FOLDER / name).exists() or name in {"video.js", "input.js"}, f"{file.name} names {name}"
