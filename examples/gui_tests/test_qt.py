"""A dialog of this very process, tested by PySide6: real keys and clicks, and Qt's own state.

    pip install 'xshm[pytest]' PySide6-Essentials && pytest examples/gui_tests/test_qt.py

Debian's libraries that Qt asks for: libegl1 libxkbcommon-x11-0 libxcb-cursor0 libxcb-icccm4 libxcb-keysyms1
libxcb-shape0.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("PySide6", reason="PySide6 is not installed")

from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel, QLineEdit, QPushButton, QVBoxLayout, QWidget

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from xshm import Trace, VirtualDisplay

_GREETING = "Hello, {}!"


def wait_for(condition: Callable[[], bool], seconds: float = 2.0) -> bool:
    """Let Qt process events until a condition holds, or the time is over; return whether it does."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        QTest.qWait(10)
    return condition()


class Greeter(QWidget):
    """A line to type a name into, a button, and the answer. With GUI_TESTS_BUG=1 it forgets the name."""

    def __init__(self) -> None:
        super().__init__()
        self.setWindowTitle("Greeter")
        self.name, self.button, self.answer = QLineEdit(), QPushButton("Greet"), QLabel(" ")
        layout = QVBoxLayout(self)
        for widget in (self.name, self.button, self.answer):
            layout.addWidget(widget)
        self.button.clicked.connect(self.greet)
        self.resize(320, 140)
        self.move(60, 60)

    def greet(self) -> None:
        """Show the greeting."""
        self.answer.setText(_GREETING.format("" if os.environ.get("GUI_TESTS_BUG") else self.name.text()))


@pytest.fixture(scope="session")
def application(xshm_display: VirtualDisplay) -> QApplication:
    """Qt, on the display: $DISPLAY names it while `xshm_display` is there."""
    assert os.environ["DISPLAY"] == xshm_display.name
    there = QApplication.instance()
    return there if isinstance(there, QApplication) else QApplication(["gui_tests", "-platform", "xcb"])


@pytest.fixture
def greeter(application: QApplication) -> Iterator[Greeter]:  # noqa: ARG001 - it has to be there
    """Return the dialog, shown and painted; closed at the end, when a failure has been photographed."""
    widget = Greeter()
    widget.show()
    assert QTest.qWaitForWindowExposed(widget)
    QTest.qWait(50)
    yield widget
    widget.close()


def test_the_name_is_in_the_greeting(greeter: Greeter, xshm_display: VirtualDisplay, xshm_trace: Trace) -> None:
    screen = xshm_display.screen
    centre = greeter.name.mapToGlobal(greeter.name.rect().center())
    screen.click(centre.x(), centre.y())
    QTest.qWait(50)
    screen.type("Grace")
    assert wait_for(lambda: greeter.name.text() == "Grace")
    xshm_trace.mark("the button")
    centre = greeter.button.mapToGlobal(greeter.button.rect().center())
    screen.click(centre.x(), centre.y())
    assert wait_for(lambda: greeter.answer.text() != " ")
    QTest.qWait(50)  # it is drawn, too
    assert greeter.answer.text() == "Hello, Grace!"
