"""How those who read a run's reports come to know of the files: the terminal, pytest-html, Allure, JUnit XML.

A report of pytest's carries the files as `xshm_files`, paths by what they are, so that they come from a worker of
pytest-xdist to the process that prints and writes.
"""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from xml.etree import ElementTree as ET

from xshm.system.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pytest

    from xshm.testing.watch import Watch

_SECTION: Final = "xshm"
_MOST_EMBEDDED: Final = 24 << 20  # bytes of a file that is put into pytest-html's page; of a larger one there is a link
_TYPES: Final = {".png": "image/png", ".html": "text/html", ".mp4": "video/mp4"}


def add_to_failure(report: pytest.TestReport, watch: Watch, base: Path) -> None:
    """Add paths, windows and notes to the report of a phase that has failed."""
    files = watch.written()
    lines = [f"{what}: {shown(path, base)}" for what, path in files.items()]
    lines += map(printable, watch.notes)
    if watch.windows is not None:
        lines.append("windows, from the lowest to the highest:" if watch.windows else "windows: none")
        lines += (f"  {line}" for line in watch.windows)
    if lines:
        report.sections.append((_SECTION, "\n".join(lines)))
    _set_files(report, files)


def add_to_end(report: pytest.TestReport, watch: Watch, config: pytest.Config) -> None:
    """Embed the files of a test that is over, where pytest-html or Allure ask for them."""
    files = watch.written()
    _set_files(report, files)
    if watch.told:
        report.xshm_told = watch.told  # type: ignore[attr-defined]
    if files and config.getoption("htmlpath", None):
        extras = [*getattr(report, "extras", []), *_html_extras(files)]
        report.extras = extras  # type: ignore[attr-defined]
    if files and config.pluginmanager.has_plugin("allure_listener"):
        _attach_to_allure(files)


def add_to_junit(report: pytest.TestReport, config: pytest.Config) -> None:
    """Add lines that GitLab and Jenkins take for attachments; the picture's is the first, which GitLab shows."""
    from _pytest.junitxml import xml_key  # noqa: PLC0415 - this has no public name; pytest's record_property takes it

    xml = config.stash.get(xml_key, None)
    files: Mapping[str, str] = getattr(report, "xshm_files", {})
    if xml is None or not files:
        return
    project = os.environ.get("CI_PROJECT_DIR")  # GitLab takes paths from there; Jenkins takes full ones
    element = ET.Element("system-out")
    paths = (os.path.relpath(path, project) if project else path for path in files.values())
    element.text = "\n".join(f"[[ATTACHMENT|{path}]]" for path in paths)
    xml.node_reporter(report).append(element)


def join_junit_output(config: pytest.Config) -> None:
    """Leave one <system-out> in each test's element: with junit_logging pytest has written another one."""
    from _pytest.junitxml import xml_key  # noqa: PLC0415 - as above

    xml = config.stash.get(xml_key, None)
    for reporter in xml.node_reporters_ordered if xml is not None else ():
        element: ET.Element = reporter.to_xml()
        found = element.findall("system-out")
        for each in found[1:]:
            found[0].text = f"{found[0].text or ''}\n{each.text or ''}"
            element.remove(each)


def summary(stats: Mapping[str, Iterable[Any]], config: pytest.Config) -> list[str]:
    """Return lines about files that no failure's report has shown: of reruns, or where reports are short."""
    # With "line" versions of pytest before 9 print no sections.
    is_short = config.option.tbstyle in ("no", "line") or config.option.showcapture not in ("all", _SECTION)
    base = config.invocation_params.dir
    lines: list[str] = []
    for outcome in ("rerun", "failed", "error"):
        for report in stats.get(outcome, ()) if is_short or outcome == "rerun" else ():
            files: Mapping[str, str] = getattr(report, "xshm_files", {})
            lines += (f"{report.nodeid}: {shown(Path(path), base)}" for path in files.values())
    return list(dict.fromkeys(lines))


def shown(path: Path, base: Path) -> str:
    """Return a path as it is best read: from where the run was started, if it is below."""
    return str(path.relative_to(base)) if path.is_relative_to(base) else str(path)


def _set_files(report: pytest.TestReport, files: Mapping[str, Path]) -> None:
    if files:
        report.xshm_files = {what: str(path) for what, path in files.items()}  # type: ignore[attr-defined]


def _html_extras(files: Mapping[str, Path]) -> list[Any]:
    from pytest_html import extras  # noqa: PLC0415 - it is there only where its option was given

    found: list[Any] = []
    for what, path in files.items():
        if path.stat().st_size > _MOST_EMBEDDED:
            found.append(extras.url(path.as_uri(), what))
            continue
        data = base64.b64encode(path.read_bytes()).decode()
        if path.suffix == ".png":
            found.append(extras.png(data, what))
        elif path.suffix == ".mp4":
            found.append(extras.mp4(data, what))
        else:  # browsers open no page from a data: address, but save it
            address = f"data:{_TYPES[path.suffix]};base64,{data}"
            found.append(extras.html(f'<a download="{path.name}" href="{address}">{what}: {path.name}</a>'))
    return found


def _attach_to_allure(files: Mapping[str, Path]) -> None:
    import allure  # noqa: PLC0415 - it is there, as its listener is

    attach: Any = allure.attach
    for what, path in files.items():
        attach.file(str(path), name=what, attachment_type=_TYPES[path.suffix], extension=path.suffix[1:])
